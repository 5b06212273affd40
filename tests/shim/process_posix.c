/* tests/shim/process_posix.c - a process for each test, with a time limit: Linux. */
#include "shim.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

double process_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

void process_is_worker(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
}

_Noreturn void process_end_thread(void)
{
	pthread_exit(NULL);
}

static enum outcome judge(int status, const struct criterion_test_opts *expected)
{
	int code;

	if (WIFSIGNALED(status))
		return expected->signal != 0 && WTERMSIG(status) == expected->signal ? PASSED
										     : CRASHED;
	code = WEXITSTATUS(status);
	if (code == WORKER_SKIPPED)
		return SKIPPED;
	if (expected->signal != 0)
		return FAILED;
	if (expected->exit_code != 0)
		return code == expected->exit_code ? PASSED : FAILED;
	return code == WORKER_PASSED ? PASSED : FAILED;
}

/* 1 when pid has ended, 0 when the time is over. */
static int wait_for(pid_t pid, double seconds)
{
	struct pollfd p = {.events = POLLIN};
	int n;

	p.fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (p.fd < 0) {
		perror("pidfd_open");
		return seconds > 0 ? 0 : 1;
	}
	do {
		n = poll(&p, 1, seconds > 0 ? (int)(seconds * 1000) : -1);
	} while (n < 0 && errno == EINTR);
	close(p.fd);
	return n != 0;
}

enum outcome process_run(const char *id, double seconds, const struct criterion_test_opts *expected)
{
	char worker[] = "--worker", program[] = "worker", name[320];
	char *argv[] = {program, worker, name, NULL};
	int status, is_late;
	pid_t pid;

	snprintf(name, sizeof name, "%s", id);
	fflush(NULL);
	if (posix_spawn(&pid, "/proc/self/exe", NULL, NULL, argv, environ) != 0) {
		perror("posix_spawn");
		return FAILED;
	}
	is_late = !wait_for(pid, seconds);
	if (is_late)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return FAILED;
	}
	return is_late ? TIMED_OUT : judge(status, expected);
}
