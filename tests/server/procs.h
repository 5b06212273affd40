/* SPDX-License-Identifier: Apache-2.0
 * tests/server/procs.h - other processes with a library of their own, and what they leave behind: procs_linux.c,
 * procs_windows.c. */
#ifndef VIA_TESTS_SERVER_PROCS_H
#define VIA_TESTS_SERVER_PROCS_H
#include "proc.h"
#include "rig.h"

/* Stacks that cross processes; first those whose data lies in shared memory, which SHARED_TEST() is for. */
extern char proc_stacks[][RIG_STACK_MAX];
extern const size_t proc_n_stacks;
size_t proc_n_shared(void);
#define PROC_TEST(S, N) \
	ParameterizedTestParameters(S, N) \
	{ \
		return cr_make_param_array(char[RIG_STACK_MAX], proc_stacks, proc_n_stacks); \
	} \
	ParameterizedTest(char spec[RIG_STACK_MAX], S, N)
#define SHARED_TEST(S, N) \
	ParameterizedTestParameters(S, N) \
	{ \
		return cr_make_param_array(char[RIG_STACK_MAX], proc_stacks, proc_n_shared()); \
	} \
	ParameterizedTest(char spec[RIG_STACK_MAX], S, N)

/* A whole number from the environment, or what it is without. */
unsigned proc_setting(const char *name, unsigned otherwise);
/* Pseudo-random; the seed is the number of the test's round, so that a failure comes again. */
uint32_t proc_random(uint64_t *state);
/* Lets ns pass: for moments that are to be random, never for something to happen. */
void proc_let_pass(uint64_t ns);

/* fn runs in another process with a rig that has r's stack, directories and policy, and a registry of its own.
 * The thread that calls this must not hold a lock. */
void proc_start_rig(proc *p, const rig *r, int (*fn)(rig *r, const void *arg), const void *arg,
		    size_t len);
int proc_wait_soon(proc *p); /* proc_wait() until RIG_SOON, and as long as such processes last */

/* Sessions on every worker at once, so that what a worker opens with its first one is open; then none. */
void proc_warm_up(rig *r);

/* From now on this system call fails in this thread, and in those that it starts (Linux). */
void proc_forbid(long call, int error);
/* This thread, and those that it starts, run on one CPU only. */
void proc_pin(void);
/* Mappings of shared regions that this process has. */
int proc_mappings(void);
struct proc_region {
	uint8_t *at;
	size_t len;
};
/* The shared memory of a session that is up, to be written to: how many regions, at most max. */
int proc_regions(const rig *r, via_session *s, struct proc_region *out, int max);
void proc_regions_done(const struct proc_region *regions, int n);
/* Advice to the system about a region that is meant to do harm: deep takes the pages away. */
void proc_punch(const struct proc_region *g, int deep);
/* Files in the run directory that a session has made. */
int proc_session_files(const rig *r);

#endif
