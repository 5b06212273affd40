/* SPDX-License-Identifier: Apache-2.0
 * core/wait/wait.h - when to spin and when to sleep; one policy for every link.
 *
 * Waking a sleeping thread costs microseconds on bare metal and up to 140 us on a virtual machine,
 * against well under a microsecond for looking again. So a waiter spins for about what a sleep would
 * cost here, and only while the recent history of that link says the record is likely to come in that
 * time. With one usable CPU nobody spins, and never more threads of a process than there are CPUs.
 * Where spinning threads of several processes crowd each other out, their waits get long and the
 * history sends them to sleep. */
#ifndef VIA_CORE_WAIT_H
#define VIA_CORE_WAIT_H
#include "../os/os.h"

/* How long waits on one link took lately. Zeroed: expects a quick answer. */
typedef struct wait_history {
	uint64_t mean_ns;
} wait_history;

/* Budget of one spin under a policy, ns; 0: do not spin. Calibrates on first use, which takes about a
 * millisecond and one short-lived thread. */
uint64_t wait_budget(const core_env *e, uint32_t policy);

/* True if the history says that spinning pays. */
static inline int wait_pays(const wait_history *h, uint64_t budget_ns)
{
	return budget_ns != 0 && h->mean_ns <= budget_ns;
}

/* Takes one of the places for spinning threads; 0 if there is none. */
int wait_spin_enter(void);
void wait_spin_leave(void);

/* Learns from a wait that ended with a record after waited_ns. slept: includes a wake-up. */
void wait_learn(wait_history *h, uint64_t waited_ns, int slept, uint64_t budget_ns);

/* What a sleep and a wake-up cost here, ns, as calibrated. */
uint64_t wait_sleep_cost(const core_env *e);

#endif
