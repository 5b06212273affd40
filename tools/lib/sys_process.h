/* SPDX-License-Identifier: Apache-2.0
 * tools/lib/sys_process.h - another process and this one: starting, talking, processors, times. One
 * file for each system.
 */
#ifndef VIA_TOOLS_SYS_PROCESS_H
#define VIA_TOOLS_SYS_PROCESS_H
#include "sys.h"

#include <stdatomic.h>

#define SYS_LINE 2048u /* longest line between two processes, NUL included */
#define SYS_CPUS 1024u

/* -- a process at the other end of two pipes ------------------------------------------------- */

typedef struct sys_child {
	intptr_t process, to, from; /* its handle (or pid), its standard input and output */
	char line[SYS_LINE];        /* what was read and not taken yet */
	uint32_t have;
	int is_running;
	char end[64]; /* how it ended, after sys_child_end() */
} sys_child;

/* Path of the program that runs here. Returns 1, or 0 with why. */
int sys_own_program(char *path, size_t cap, char *why);
#if defined(_WIN32)
/* Adds an argument to a command line, in the form that CommandLineToArgvW() reads back. */
void sys_put_argument(buf *b, const char *text);
#endif
/* Starts a program; argv ends with NULL. Its standard error is ours; what is sent to us from a terminal does not
 * reach it. Returns 1, or 0 with why. */
int sys_child_start(sys_child *c, const char *program, const char *const *argv, char *why);
/* Writes a line to it, '\n' included. Returns 1, or 0 when it no longer reads. */
int sys_child_tell(sys_child *c, const char *line);
/* The other end, in the process that was started: for sys_child_hear() only. */
void sys_child_self(sys_child *c);
/* Reads one line without its '\n'. Returns 1; 0: it has closed its output, said too much, or *stop
 * became true; -1: that many ms passed. stop may be NULL. */
int sys_child_hear(sys_child *c, char line[SYS_LINE], uint32_t ms, const atomic_int *stop);
/* Asks it to end with its own way of tidying up; on Windows there is no way to ask. */
void sys_child_ask(sys_child *c);
/* Closes its input, waits that long for its end, then kills it; on POSIX what it has started and left behind as
 * well. Returns 1 if it ended with status 0; c->end says how. */
int sys_child_end(sys_child *c, uint32_t ms);

/* -- a directory for a short time ------------------------------------------------------------ */

/* Makes an empty directory that only this user may enter. Returns 1, or 0 with why. */
int sys_temp_make(char path[SYS_PATH], char *why);
/* Removes it with the files in it. What is gone already is no error. Returns 1, or 0 with why. */
int sys_temp_remove(const char *path, char *why);

/* -- time and processors --------------------------------------------------------------------- */

/* CPU time used so far, user and system, ns. */
uint64_t sys_process_cpu(void);
uint64_t sys_thread_cpu(void);
/* Asks for sleeps of this thread that end when they are to. */
void sys_sleep_exactly(void);
void sys_sleep(uint64_t ns);

/* Processors that this thread may use, at most SYS_CPUS. 0: not known on this system. */
uint32_t sys_cpus(uint16_t *list);
/* Each returns 1, or 0 with why. */
int sys_pin_thread(uint32_t cpu, char *why);
/* This thread, and the threads and processes that it starts from now on. */
int sys_pin_all(uint32_t cpu, char *why);
/* Lets this thread use several again. */
void sys_unpin_thread(const uint16_t *cpus, uint32_t n);
/* Every thread of this process but the calling one, and those that they start. */
int sys_pin_others(uint32_t cpu, char *why);

/* -- threads --------------------------------------------------------------------------------- */

typedef struct sys_thread {
	void (*run)(void *arg);
	void *arg;
	intptr_t handle[2];
} sys_thread;

/* The struct must stay until sys_thread_join(). Returns 1, or 0 with why. */
int sys_thread_start(sys_thread *t, void (*run)(void *arg), void *arg, char *why);
void sys_thread_join(sys_thread *t);

/* True if standard error is a terminal. */
int sys_is_terminal(void);

#endif
