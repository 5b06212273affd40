/* SPDX-License-Identifier: Apache-2.0
 * tests/server/procs.h - other processes with a library of their own, and what they leave behind (Linux). */
#ifndef VIA_TESTS_SERVER_PROCS_H
#define VIA_TESTS_SERVER_PROCS_H
#include "rig.h"
#include <sys/types.h>

/* The stacks whose data lies in shared memory. */
extern char proc_stacks[][RIG_STACK_MAX];
extern const size_t proc_n_stacks;
#define PROC_TEST(S, N) \
	ParameterizedTestParameters(S, N) \
	{ \
		return cr_make_param_array(char[RIG_STACK_MAX], proc_stacks, proc_n_stacks); \
	} \
	ParameterizedTest(char spec[RIG_STACK_MAX], S, N)

/* A whole number from the environment, or what it is without. */
unsigned proc_setting(const char *name, unsigned otherwise);
/* Pseudo-random; the seed is the number of the test's round, so that a failure comes again. */
uint32_t proc_random(uint64_t *state);
/* Lets ns pass: for moments that are to be random, never for something to happen. */
void proc_let_pass(uint64_t ns);

/* Forks; in the child fn runs with a registry of its own in r->reg and the result is the exit status. The
 * thread that calls this must not hold a lock. */
pid_t proc_start(rig *r, int (*fn)(rig *r, void *arg), void *arg);
void proc_kill(pid_t pid, int sig);
/* Returns when the process has really stopped: another CPU may be in the middle of an answer. */
void proc_stop(pid_t pid);
int proc_wait(pid_t pid); /* status of waitpid(), waits until RIG_SOON */

/* Sessions on every worker at once, so that what a worker opens with its first one is open; then none. */
void proc_warm_up(rig *r);

/* From now on this system call fails in this thread, and in those that it starts. */
void proc_forbid(long call, int error);
/* This thread, and those that it starts, run on one CPU only. */
void proc_pin(void);
/* Voluntary context switches of the library's threads, and how many threads those are. */
long proc_switches(int *threads);
int proc_all_asleep(void);  /* those threads */
uint64_t proc_cpu_ns(void); /* of this process, so far */

/* Mappings of shared regions that this process has. */
int proc_mappings(void);
struct proc_region {
	uint8_t *at;
	size_t len;
};
int proc_regions(struct proc_region *out, int max);
/* Files in the run directory that a session has made. */
int proc_session_files(const rig *r);

#endif
