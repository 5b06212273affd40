/* cmake/coverage/flush.c - coverage builds only: writes the counters of processes that do not end by exit().
 *
 * Every instrumented program, library and module has counters of its own and registers how to write them
 * (register.c). Here _exit() and the deadly signals of tests do so first. SIGKILL stays out of reach. Writing
 * files from a signal handler is not allowed in general; in a test build it is good enough.
 */
#include "flush.h"

#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAX_OBJECTS 256

static _Atomic(coverage_dump_fn) dumps[MAX_OBJECTS];

void coverage_register(coverage_dump_fn dump)
{
	size_t i;

	for (i = 0; i < MAX_OBJECTS; i++) {
		coverage_dump_fn none = NULL;

		if (atomic_compare_exchange_strong(&dumps[i], &none, dump))
			return;
	}
}

void coverage_unregister(coverage_dump_fn dump)
{
	size_t i;

	for (i = 0; i < MAX_OBJECTS; i++) {
		coverage_dump_fn same = dump;

		if (atomic_compare_exchange_strong(&dumps[i], &same, NULL))
			return;
	}
}

static void dump_all(void)
{
	size_t i;

	for (i = 0; i < MAX_OBJECTS; i++) {
		coverage_dump_fn dump = atomic_load(&dumps[i]);

		if (dump != NULL)
			dump();
	}
}

void _exit(int status)
{
	dump_all();
	for (;;)
		syscall(SYS_exit_group, status);
}

static void on_signal(int number)
{
	dump_all();
	signal(number, SIG_DFL);
	raise(number);
}

__attribute__((constructor)) static void watch_signals(void)
{
	static const int deadly[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTERM};
	struct sigaction action, old;
	size_t i;

	memset(&action, 0, sizeof action);
	action.sa_handler = on_signal;
	action.sa_flags = SA_NODEFER;
	for (i = 0; i < sizeof deadly / sizeof deadly[0]; i++) {
		if (sigaction(deadly[i], NULL, &old) == 0 && old.sa_handler == SIG_DFL)
			sigaction(deadly[i], &action, NULL);
	}
}
