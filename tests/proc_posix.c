/* tests/proc_posix.c - see proc.h: fork(), two pipes, signals. */
#include "proc.h"
#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/prctl.h>
#endif
#include <viaduct/app/base.h>

enum { SOON_MS = 20000 };

static int ears = -1, mouth = -1; /* of the other process */

void proc_start(proc *p, int (*fn)(const void *arg), const void *arg, size_t len)
{
	static _Alignas(16) char copy[PROC_ARG_MAX];
	int says[2], told[2];
	pid_t pid;

	cr_assert_leq(len, sizeof copy);
	cr_assert(pipe(says) == 0 && pipe(told) == 0);
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
#if defined(__linux__)
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
		close(says[0]);
		close(told[1]);
		mouth = says[1];
		ears = told[0];
		if (len != 0)
			memcpy(copy, arg, len);
		_exit(fn(copy));
	}
	cr_assert_gt(pid, 0);
	close(says[1]);
	close(told[0]);
	*p = (proc){.id = pid, .ears = says[0], .mouth = told[1]};
}

int proc_hear(proc *p)
{
	struct pollfd f = {.fd = (int)p->ears, .events = POLLIN};
	unsigned char c;

	cr_assert_eq(poll(&f, 1, SOON_MS), 1, "the other process says nothing");
	return read((int)p->ears, &c, 1) == 1 ? c : -1;
}

void proc_tell(proc *p, char c)
{
	cr_assert_eq(write((int)p->mouth, &c, 1), 1);
}

void proc_kill(proc *p)
{
	cr_assert_eq(kill((pid_t)p->id, SIGKILL), 0);
}

void proc_stop(proc *p)
{
	via_time end = via_deadline(SOON_MS * UINT64_C(1000000));
	siginfo_t i = {0};

	cr_assert_eq(kill((pid_t)p->id, SIGSTOP), 0);
	while (i.si_pid == 0) { /* one that has ended stays for proc_wait() */
		cr_assert_eq(waitid(P_PID, (id_t)p->id, &i, WSTOPPED | WEXITED | WNOHANG | WNOWAIT),
			     0);
		cr_assert_lt(via_now(), end, "process %d does not stop", (int)p->id);
		(void)poll(NULL, 0, 1);
	}
}

void proc_continue(proc *p)
{
	cr_assert_eq(kill((pid_t)p->id, SIGCONT), 0);
}

int proc_has_ended(const proc *p)
{
	siginfo_t i = {0};

	cr_assert_eq(waitid(P_PID, (id_t)p->id, &i, WEXITED | WNOHANG | WNOWAIT), 0);
	return i.si_pid != 0;
}

int proc_wait(proc *p, via_time deadline)
{
	int status = 0;

	while (waitpid((pid_t)p->id, &status, WNOHANG) != p->id) {
		cr_assert_lt(via_now(), deadline, "process %d does not end", (int)p->id);
		(void)poll(NULL, 0, 1);
	}
	close((int)p->ears);
	close((int)p->mouth);
	if (WIFSIGNALED(status))
		return WTERMSIG(status) == SIGKILL ? PROC_KILLED : -1000 - WTERMSIG(status);
	return WEXITSTATUS(status);
}

/* -- the other process ------------------------------------------------------------------------- */

void proc_say(char c)
{
	if (write(mouth, &c, 1) != 1)
		_exit(91);
}

char proc_listen(void)
{
	char c;

	if (read(ears, &c, 1) != 1)
		_exit(92);
	return c;
}

_Noreturn void proc_die(void)
{
	(void)raise(SIGKILL);
	_exit(93);
}

uint64_t proc_number(proc_fn *fn)
{
	return (uintptr_t)fn;
}

proc_fn *proc_function(uint64_t number)
{
	return (proc_fn *)(uintptr_t)number;
}
