/* tests/server/procs.c - see procs.h. */
#include "procs.h"
#include <dirent.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

char proc_stacks[][RIG_STACK_MAX] = {"uds>ring", "uds>posixshm"};
const size_t proc_n_stacks = sizeof proc_stacks / sizeof proc_stacks[0];

unsigned proc_setting(const char *name, unsigned otherwise)
{
	const char *s = getenv(name);

	return s != NULL ? (unsigned)strtoul(s, NULL, 10) : otherwise;
}

uint32_t proc_random(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*state >> 33);
}

void proc_let_pass(uint64_t ns)
{
	uint32_t ready;

	(void)os_wait(&core_env_libc, NULL, 0, via_deadline(ns), &ready);
}

pid_t proc_start(rig *r, int (*fn)(rig *r, void *arg), void *arg)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		via_registry_options o = {.struct_size = sizeof o,
					  .load_mode = VIA_LOAD_DIRECT,
					  .policy = r->policy,
					  .module_path = r->modules};

		if (via_registry_open(&o, &r->reg) != VIA_OK)
			_exit(90);
		_exit(fn(r, arg));
	}
	cr_assert_gt(pid, 0);
	return pid;
}

void proc_kill(pid_t pid, int sig)
{
	cr_assert_eq(kill(pid, sig), 0);
}

void proc_stop(pid_t pid)
{
	via_time end = via_deadline(RIG_SOON);
	int status = 0;

	proc_kill(pid, SIGSTOP);
	while (waitpid(pid, &status, WNOHANG | WUNTRACED) != pid) {
		cr_assert_lt(via_now(), end, "process %d does not stop", (int)pid);
		rig_pause();
	}
	cr_assert(WIFSTOPPED(status));
}

int proc_wait(pid_t pid)
{
	int status = 0;
	via_time end = via_deadline(RIG_SOON + proc_setting("VIADUCT_SCRIBBLE_MS", 0) * RIG_MS);

	while (waitpid(pid, &status, WNOHANG) != pid) {
		cr_assert_lt(via_now(), end, "process %d does not end", (int)pid);
		rig_pause();
	}
	return status;
}

void proc_warm_up(rig *r)
{
	via_session *s[8];
	int i;

	for (i = 0; i < 8; i++)
		s[i] = rig_connect(r, "svc", NULL);
	for (i = 0; i < 8; i++) {
		cr_assert_eq(rig_send_number(s[i], 1, 1), VIA_OK);
		rig_expect_number(s[i], 1, 1);
		via_session_close(s[i]);
	}
	rig_until(rig_stats(r).n_sessions == 0);
}

void proc_forbid(long call, int error)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)call, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ((uint32_t)error & SECCOMP_RET_DATA)),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = {sizeof code / sizeof code[0], code};

	cr_assert_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	cr_assert_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter), 0, "errno %d", errno);
}

void proc_pin(void)
{
	cpu_set_t all, one;
	size_t i = 0;

	cr_assert_eq(sched_getaffinity(0, sizeof all, &all), 0);
	while (i < CPU_SETSIZE - 1 && !CPU_ISSET(i, &all))
		i++;
	CPU_ZERO(&one);
	CPU_SET(i, &one);
	cr_assert_eq(sched_setaffinity(0, sizeof one, &one), 0);
	cr_assert_eq(os_usable_cpus(), 1);
}

struct threads {
	long switches;
	int n, awake;
};

static void look_at_thread(const char *id, struct threads *t)
{
	char path[320], line[128];
	int mine = 0;
	FILE *f;

	snprintf(path, sizeof path, "/proc/self/task/%s/status", id);
	f = fopen(path, "r");
	while (f != NULL && fgets(line, sizeof line, f) != NULL) {
		if (strncmp(line, "Name:\tvia-", 10) == 0) {
			mine = 1;
			t->n++;
		}
		if (mine && strncmp(line, "State:", 6) == 0)
			t->awake += line[7] != 'S';
		if (mine && strncmp(line, "voluntary_ctxt_switches:", 24) == 0)
			t->switches += atol(line + 24);
	}
	if (f != NULL)
		fclose(f);
}

static struct threads look_at_threads(void)
{
	DIR *d = opendir("/proc/self/task");
	struct threads t = {0};
	struct dirent *e;

	cr_assert_not_null(d);
	while ((e = readdir(d)) != NULL)
		if (e->d_name[0] != '.')
			look_at_thread(e->d_name, &t);
	closedir(d);
	return t;
}

long proc_switches(int *threads)
{
	struct threads t = look_at_threads();

	*threads = t.n;
	return t.switches;
}

int proc_all_asleep(void)
{
	return look_at_threads().awake == 0;
}

uint64_t proc_cpu_ns(void)
{
	struct rusage u;

	cr_assert_eq(getrusage(RUSAGE_SELF, &u), 0);
	return ((uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000 +
		(uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec)) *
	       1000;
}

static int is_region(const char *line)
{
	return strstr(line, "memfd:viaduct-ring") != NULL || strstr(line, ".ipcshm") != NULL;
}

int proc_regions(struct proc_region *out, int max)
{
	FILE *f = fopen("/proc/self/maps", "r");
	char line[512];
	int n = 0;

	while (f != NULL && fgets(line, sizeof line, f) != NULL) {
		unsigned long from, to;

		if (!is_region(line) || sscanf(line, "%lx-%lx", &from, &to) != 2)
			continue;
		if (n < max)
			out[n] = (struct proc_region){(uint8_t *)(uintptr_t)from, to - from};
		n++;
	}
	if (f != NULL)
		fclose(f);
	return n < max || max == 0 ? n : max;
}

int proc_mappings(void)
{
	return proc_regions(NULL, 0);
}

int proc_session_files(const rig *r)
{
	DIR *d = opendir(r->dir);
	struct dirent *e;
	int n = 0;

	cr_assert_not_null(d);
	while ((e = readdir(d)) != NULL)
		n += strstr(e->d_name, ".ipcshm") != NULL;
	closedir(d);
	return n;
}
