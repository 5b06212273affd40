/* tests/server/procs.c - see procs.h. */
#include "procs.h"
#include <dirent.h>
#include <signal.h>
#include <stdlib.h>
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
