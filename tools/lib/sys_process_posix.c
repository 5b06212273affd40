/* tools/lib/sys_process_posix.c - processes, processors and times of a POSIX system. */
#include "sys_process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/prctl.h>
#endif

#define SLICE_MS 50 /* between two looks at whether to stop */
#define LOOK_MS 10  /* between two looks at whether a process has ended */

extern char **environ;

static int failed(const char *what, int error, char *why)
{
	(void)snprintf(why, SYS_WHY, "%s: %s", what, strerror(error));
	return 0;
}

static uint64_t now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* -- a process at the other end of two pipes ------------------------------------------------- */

int sys_own_program(char *path, size_t cap, char *why)
{
	ssize_t n = readlink("/proc/self/exe", path, cap - 1);

	if (n < 0)
		return failed("/proc/self/exe", errno, why);
	path[n] = '\0';
	return 1;
}

/* Nothing of the signals that this program has taken over; and a group of its own, so that what it starts in
 * turn can be ended with it. */
static int set_attributes(posix_spawnattr_t *attr)
{
	sigset_t none, usual;
	int error;

	(void)sigemptyset(&none);
	(void)sigemptyset(&usual);
	(void)sigaddset(&usual, SIGPIPE);
	error = posix_spawnattr_setsigmask(attr, &none);
	if (error == 0)
		error = posix_spawnattr_setsigdefault(attr, &usual);
	if (error == 0)
		error = posix_spawnattr_setpgroup(attr, 0);
	if (error == 0)
		error = posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSIGMASK |
							       POSIX_SPAWN_SETSIGDEF |
							       POSIX_SPAWN_SETPGROUP);
	return error;
}

static int spawn(sys_child *c, const char *program, const char *const *argv, int in, int out)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	pid_t pid = 0;
	int error = posix_spawn_file_actions_init(&actions);

	if (error != 0)
		return error;
	error = posix_spawnattr_init(&attr);
	if (error != 0) {
		(void)posix_spawn_file_actions_destroy(&actions);
		return error;
	}
	error = set_attributes(&attr);
	if (error == 0)
		error = posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
	if (error == 0)
		error = posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
	if (error == 0) /* the type is that of execve(): nothing is written to */
		error = posix_spawn(&pid, program, &actions, &attr, (char *const *)(uintptr_t)argv,
				    environ);
	(void)posix_spawnattr_destroy(&attr);
	(void)posix_spawn_file_actions_destroy(&actions);
	c->process = pid;
	return error;
}

int sys_child_start(sys_child *c, const char *program, const char *const *argv, char *why)
{
	int in[2], out[2], error;

	memset(c, 0, sizeof *c);
	if (pipe2(in, O_CLOEXEC) != 0)
		return failed("pipe", errno, why);
	if (pipe2(out, O_CLOEXEC) != 0) {
		error = errno;
		(void)close(in[0]);
		(void)close(in[1]);
		return failed("pipe", error, why);
	}
	error = spawn(c, program, argv, in[0], out[1]);
	(void)close(in[0]);
	(void)close(out[1]);
	c->to = in[1];
	c->from = out[0];
	c->is_running = error == 0;
	if (error == 0)
		return 1;
	(void)close(in[1]);
	(void)close(out[0]);
	return failed(program, error, why);
}

int sys_child_tell(sys_child *c, const char *line)
{
	size_t len = strlen(line);
	ssize_t n;

	do
		n = write((int)c->to, line,
			  len); /* a line is far below what a pipe takes at once */
	while (n < 0 && errno == EINTR);
	return n == (ssize_t)len;
}

void sys_child_self(sys_child *c)
{
	memset(c, 0, sizeof *c);
	c->from = STDIN_FILENO;
}

/* Takes a whole line out of what was read. */
static int take_line(sys_child *c, char *line)
{
	char *end = memchr(c->line, '\n', c->have);
	uint32_t len;

	if (end == NULL)
		return 0;
	len = (uint32_t)(end - c->line);
	memcpy(line, c->line, len);
	line[len] = '\0';
	c->have -= len + 1;
	memmove(c->line, end + 1, c->have);
	return 1;
}

int sys_child_hear(sys_child *c, char line[SYS_LINE], uint32_t ms, const atomic_int *stop)
{
	const uint64_t slice = stop != NULL ? SLICE_MS : INT32_MAX;
	uint64_t end = now_ms() + ms, now;
	struct pollfd p = {.fd = (int)c->from, .events = POLLIN};
	ssize_t n;

	while (!take_line(c, line)) {
		now = now_ms();
		if ((stop != NULL && atomic_load(stop) != 0) || c->have == SYS_LINE)
			return 0;
		if (now >= end)
			return -1;
		if (poll(&p, 1, (int)(end - now < slice ? end - now : slice)) <= 0)
			continue;
		n = read((int)c->from, c->line + c->have, SYS_LINE - c->have);
		if (n == 0 || (n < 0 && errno != EINTR))
			return 0;
		c->have += n > 0 ? (uint32_t)n : 0;
	}
	return 1;
}

void sys_child_ask(sys_child *c)
{
	if (c->is_running)
		(void)kill((pid_t)c->process, SIGTERM);
}

/* Its number stays taken until it is waited for in earnest. */
static int has_ended(const sys_child *c)
{
	siginfo_t info = {.si_pid = 0};

	return waitid(P_PID, (id_t)c->process, &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
	       info.si_pid != 0;
}

int sys_child_end(sys_child *c, uint32_t ms)
{
	int status = 0, is_killed;
	const uint64_t end = now_ms() + ms;
	char line[SYS_LINE];

	if (!c->is_running)
		return 0;
	(void)close((int)c->to);
	/* Its output closes when it ends, unless a process it has left behind holds it open. */
	while (!has_ended(c) && now_ms() < end)
		if (sys_child_hear(c, line, LOOK_MS, NULL) == 0)
			sys_sleep(1000000);
	is_killed = !has_ended(c);
	(void)kill(-(pid_t)c->process, SIGKILL); /* and whatever it has left behind */
	while (waitpid((pid_t)c->process, &status, 0) < 0 && errno == EINTR)
		;
	(void)close((int)c->from);
	c->is_running = 0;
	if (is_killed)
		(void)snprintf(c->end, sizeof c->end, "did not end and was killed");
	else if (WIFSIGNALED(status))
		(void)snprintf(c->end, sizeof c->end, "was ended by signal %d (%.30s)",
			       WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		(void)snprintf(c->end, sizeof c->end, "ended with status %d", WEXITSTATUS(status));
	return !is_killed && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* -- a directory for a short time ------------------------------------------------------------ */

int sys_temp_make(char path[SYS_PATH], char *why)
{
	const char *parent = getenv("TMPDIR");
	int n;

	if (parent == NULL || parent[0] != '/')
		parent = "/tmp";
	n = snprintf(path, SYS_PATH, "%s/viaduct-run.XXXXXX", parent);
	if (n < 0 || n >= (int)SYS_PATH) {
		(void)snprintf(why, SYS_WHY, "$TMPDIR is too long");
		return 0;
	}
	if (mkdtemp(path) != NULL)
		return 1;
	return failed(parent, errno, why);
}

int sys_temp_remove(const char *path, char *why)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), error;
	struct dirent *e;
	DIR *d;

	if (fd < 0)
		return errno == ENOENT ? 1 : failed(path, errno, why);
	d = fdopendir(fd);
	if (d == NULL) {
		error = errno;
		(void)close(fd);
		return failed(path, error, why);
	}
	while ((e = readdir(d)) != NULL) {
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			(void)unlinkat(fd, e->d_name, 0);
	}
	(void)closedir(d);
	return rmdir(path) == 0 || errno == ENOENT ? 1 : failed(path, errno, why);
}

/* -- time and processors --------------------------------------------------------------------- */

static uint64_t read_clock(clockid_t id)
{
	struct timespec t = {0};

	(void)clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

uint64_t sys_process_cpu(void)
{
	return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

uint64_t sys_thread_cpu(void)
{
	return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

void sys_sleep_exactly(void)
{
#if defined(__linux__)
	(void)prctl(PR_SET_TIMERSLACK, 1ul, 0ul, 0ul, 0ul); /* else 50 us late */
#endif
}

void sys_sleep(uint64_t ns)
{
	struct timespec t = {.tv_sec = (time_t)(ns / 1000000000),
			     .tv_nsec = (long)(ns % 1000000000)};

	(void)nanosleep(&t, NULL); /* who needs the whole time looks at the clock */
}

#if defined(__linux__)
uint32_t sys_cpus(uint16_t *list)
{
	cpu_set_t set;
	uint32_t n = 0, i;

	if (sched_getaffinity(0, sizeof set, &set) != 0)
		return 0;
	for (i = 0; i < CPU_SETSIZE && i < SYS_CPUS; i++) {
		if (CPU_ISSET(i, &set))
			list[n++] = (uint16_t)i;
	}
	return n;
}

static int pin(pid_t thread, uint32_t cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(thread, sizeof set, &set) == 0 ? 0 : errno;
}

int sys_pin_thread(uint32_t cpu, char *why)
{
	int error = pin(0, cpu);

	return error == 0 ? 1 : failed("sched_setaffinity", error, why);
}

int sys_pin_all(uint32_t cpu, char *why)
{
	return sys_pin_thread(cpu, why);
}

void sys_unpin_thread(const uint16_t *cpus, uint32_t n)
{
	cpu_set_t set;
	uint32_t i;

	CPU_ZERO(&set);
	for (i = 0; i < n; i++)
		CPU_SET(cpus[i], &set);
	(void)sched_setaffinity(0, sizeof set, &set);
}

int sys_pin_others(uint32_t cpu, char *why)
{
	DIR *d = opendir("/proc/self/task");
	pid_t self = gettid(), thread;
	struct dirent *e;
	int error = 0;

	if (d == NULL)
		return failed("/proc/self/task", errno, why);
	while (error == 0 && (e = readdir(d)) != NULL) {
		thread = (pid_t)strtol(e->d_name, NULL, 10);
		if (thread > 0 && thread != self)
			error = pin(thread, cpu);
		if (error == ESRCH) /* it has ended meanwhile */
			error = 0;
	}
	(void)closedir(d);
	return error == 0 ? 1 : failed("sched_setaffinity", error, why);
}
#else
uint32_t sys_cpus(uint16_t *list)
{
	(void)list;
	return 0;
}

int sys_pin_thread(uint32_t cpu, char *why)
{
	(void)cpu;
	return failed("pinning", ENOTSUP, why);
}

int sys_pin_all(uint32_t cpu, char *why)
{
	return sys_pin_thread(cpu, why);
}

void sys_unpin_thread(const uint16_t *cpus, uint32_t n)
{
	(void)cpus;
	(void)n;
}

int sys_pin_others(uint32_t cpu, char *why)
{
	return sys_pin_thread(cpu, why);
}
#endif

/* -- threads --------------------------------------------------------------------------------- */

static void *run_thread(void *arg)
{
	sys_thread *t = arg;

	t->run(t->arg);
	return NULL;
}

int sys_thread_start(sys_thread *t, void (*run)(void *arg), void *arg, char *why)
{
	pthread_t thread;
	int error;

	t->run = run;
	t->arg = arg;
	error = pthread_create(&thread, NULL, run_thread, t);
	if (error != 0)
		return failed("pthread_create", error, why);
	memcpy(t->handle, &thread, sizeof thread);
	return 1;
}

void sys_thread_join(sys_thread *t)
{
	pthread_t thread;

	memcpy(&thread, t->handle, sizeof thread);
	(void)pthread_join(thread, NULL);
}

int sys_is_terminal(void)
{
	return isatty(STDERR_FILENO);
}
