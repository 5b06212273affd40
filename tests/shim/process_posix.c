/* tests/shim/process_posix.c - a process for each test, with a time limit: Linux. */
#include "shim.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_ARGS = 32, LAST_WORDS = 64 };

extern char **environ;

double process_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

void process_is_worker(void)
{
	const struct rlimit none = {0, 0};

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setrlimit(RLIMIT_CORE, &none); /* a crash is a result here */
}

_Noreturn void process_end_thread(void)
{
	pthread_exit(NULL);
}

/* -- being asked to end --------------------------------------------------------------------------- */

static volatile sig_atomic_t asked; /* the signal, or 0 */
static sigset_t usual;              /* the mask of workers, and ours while we sleep */
static int takes_requests;

static void on_request(int number)
{
	asked = number;
}

/* Blocked but for the time we sleep, so none comes between a look at `asked` and the sleep. */
void process_stop_when_asked(void)
{
	static const int requests[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction act = {.sa_handler = on_request};
	struct sigaction old;
	sigset_t block;
	size_t i;

	sigemptyset(&block);
	for (i = 0; i < sizeof requests / sizeof requests[0]; i++) {
		if (sigaction(requests[i], NULL, &old) == 0 && old.sa_handler == SIG_IGN)
			continue; /* nohup, or a job in the background */
		sigaction(requests[i], &act, NULL);
		sigaddset(&block, requests[i]);
	}
	takes_requests = sigprocmask(SIG_BLOCK, &block, &usual) == 0;
}

_Noreturn void process_end_as_asked(void)
{
	int number = asked;

	signal(number, SIG_DFL);
	raise(number);
	sigprocmask(SIG_SETMASK, &usual, NULL);
	_exit(128 + number);
}

/* -- a worker ------------------------------------------------------------------------------------- */

static void name_signal(int number, char *buf, size_t cap)
{
	static const struct {
		int number;
		const char *name;
	} known[] = {{SIGSEGV, "SIGSEGV"}, {SIGABRT, "SIGABRT"}, {SIGBUS, "SIGBUS"},
		     {SIGFPE, "SIGFPE"},   {SIGILL, "SIGILL"},   {SIGPIPE, "SIGPIPE"},
		     {SIGSYS, "SIGSYS"},   {SIGTRAP, "SIGTRAP"}, {SIGKILL, "SIGKILL"},
		     {SIGTERM, "SIGTERM"}, {SIGALRM, "SIGALRM"}, {SIGXCPU, "SIGXCPU"}};
	size_t i;

	snprintf(buf, cap, "signal %d", number);
	for (i = 0; i < sizeof known / sizeof known[0]; i++)
		if (known[i].number == number)
			snprintf(buf, cap, "%s", known[i].name);
}

static enum outcome judge(struct worker *w, int status)
{
	const struct criterion_test_opts *expected = w->expected;
	int code;

	if (WIFSIGNALED(status)) {
		int number = WTERMSIG(status);

		name_signal(number, w->how, sizeof w->how);
		return expected->signal != 0 && number == expected->signal ? PASSED : CRASHED;
	}
	code = WEXITSTATUS(status);
	if (code == WORKER_SKIPPED)
		return SKIPPED;
	if (expected->signal != 0)
		return FAILED;
	if (expected->exit_code != 0)
		return code == expected->exit_code ? PASSED : FAILED;
	return code == WORKER_PASSED ? PASSED : FAILED;
}

/* Takes what is in the pipe; 0 when there is nothing. */
static int hear(struct worker *w, int from)
{
	char rest[4096];
	size_t room = w->cap - w->len;
	ssize_t n;

	do
		n = room != 0 ? read(from, w->said + w->len, room) : read(from, rest, sizeof rest);
	while (n < 0 && errno == EINTR);
	if (n > 0 && room != 0)
		w->len += (size_t)n;
	return n > 0;
}

/* Until the process has ended, the time is over, or we are asked to end. PASSED: it has ended, its status says how. */
static enum outcome watch(struct worker *w, int process, int from)
{
	struct pollfd p[2] = {{.fd = process, .events = POLLIN}, {.fd = from, .events = POLLIN}};
	const double end = process_now() + w->seconds;

	for (;;) {
		double left = w->seconds > 0 ? end - process_now() : 3600;
		struct timespec t = {.tv_sec = (time_t)left};

		if (asked != 0)
			return STOPPED;
		if (left <= 0)
			return TIMED_OUT;
		t.tv_nsec = (long)((left - (double)t.tv_sec) * 1e9);
		if (ppoll(p, 2, &t, takes_requests ? &usual : NULL) < 0)
			continue; /* a signal */
		if (p[1].revents != 0 && !hear(w, from))
			p[1].fd = -1;
		if (p[0].revents != 0)
			return PASSED;
	}
}

static int start(const struct worker *w, int to, pid_t *pid)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	char program[] = "worker";
	char *argv[MAX_ARGS] = {program};
	int n, error;

	for (n = 0; n < MAX_ARGS - 2 && w->args[n] != NULL; n++)
		argv[n + 1] = (char *)(uintptr_t)w->args[n];
	posix_spawn_file_actions_init(&files);
	posix_spawnattr_init(&attr);
	if (to >= 0) {
		posix_spawn_file_actions_adddup2(&files, to, STDOUT_FILENO);
		posix_spawn_file_actions_adddup2(&files, to, STDERR_FILENO);
	}
	if (takes_requests) {
		posix_spawnattr_setsigmask(&attr, &usual);
		posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	}
	fflush(NULL);
	error = posix_spawn(pid, "/proc/self/exe", &files, &attr, argv, environ);
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&attr);
	if (error != 0)
		fprintf(stderr, "posix_spawn: %s\n", strerror(error));
	return error == 0;
}

static enum outcome finish(struct worker *w, pid_t pid, int from)
{
	enum outcome outcome = FAILED;
	int process = (int)syscall(SYS_pidfd_open, pid, 0);
	int status;

	if (process < 0)
		perror("pidfd_open");
	else
		outcome = watch(w, process, from);
	if (outcome != PASSED)
		kill(pid, SIGKILL);
	if (process >= 0)
		close(process);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return FAILED;
	return outcome == PASSED ? judge(w, status) : outcome;
}

enum outcome process_run(struct worker *w)
{
	int words[2] = {-1, -1};
	enum outcome outcome = FAILED;
	pid_t pid;
	int i;

	w->len = 0;
	w->how[0] = '\0';
	if (w->said != NULL &&
	    (pipe2(words, O_CLOEXEC) != 0 || fcntl(words[0], F_SETFL, O_NONBLOCK) != 0)) {
		perror("pipe");
		return FAILED;
	}
	if (start(w, words[1], &pid)) {
		outcome = finish(w, pid, words[0]);
		/* The last words. Bounded: a process that the worker has left behind may go on. */
		for (i = 0; w->said != NULL && i < LAST_WORDS && hear(w, words[0]); i++)
			;
	}
	if (w->said != NULL) {
		close(words[0]);
		close(words[1]);
	}
	return outcome;
}
