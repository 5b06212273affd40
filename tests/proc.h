/* SPDX-License-Identifier: Apache-2.0
 * tests/proc.h - another process of a test: it runs one function of this program, and both can say bytes.
 *
 * POSIX forks it, so it has a copy of the test's memory; Windows starts the program anew, so it has what it
 * is given and nothing else. Whoever wants to run on both gives it everything. In the other process: no
 * assertions, and the result of the function is how it reports. It ends with the test at the latest. */
#ifndef VIA_TESTS_PROC_H
#define VIA_TESTS_PROC_H
#include <stddef.h>
#include <stdint.h>
#include <viaduct/abi.h>

enum { PROC_ARG_MAX = 1024, PROC_KILLED = -9 };

typedef struct proc {
	intptr_t id;          /* pid, or a process handle */
	intptr_t ears, mouth; /* what it says is read here; what it is told is written here */
} proc;

/* -- the test ---------------------------------------------------------------------------------- */

/* fn(copy of arg) runs in another process, and its result, 0 to 255, is how it ends. */
void proc_start(proc *p, int (*fn)(const void *arg), const void *arg, size_t len);
int proc_hear(proc *p); /* the next byte it says; -1: it ended first. Waits 20 seconds at most. */
void proc_tell(proc *p, char c);
void proc_kill(proc *p); /* at once, without a word; also one that has ended */
/* Returns when it has really stopped: another CPU may be in the middle of an answer. */
void proc_stop(proc *p);
void proc_continue(proc *p);
int proc_has_ended(const proc *p);
/* Waits until it has ended, and forgets it: its result, or PROC_KILLED; a crash is neither. */
int proc_wait(proc *p, via_time deadline);

/* -- the other process ------------------------------------------------------------------------- */

void proc_say(char c);
char proc_listen(void);        /* the next byte it is told; without the test it ends here */
_Noreturn void proc_die(void); /* as if it were killed */

/* A function of this program as a number that means the same in the other process. */
typedef void proc_fn(void);
uint64_t proc_number(proc_fn *fn);
proc_fn *proc_function(uint64_t number);

#endif
