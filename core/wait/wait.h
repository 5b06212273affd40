/* SPDX-License-Identifier: Apache-2.0
 * core/wait/wait.h - when to spin and when to sleep; one policy for every link.
 *
 * Waking a sleeping thread costs microseconds on bare metal and up to 140 us on a virtual machine,
 * against well under a microsecond for looking again. Of that cost about half is processor time; the rest is
 * idle. So a balanced waiter spins for at most half of what a sleep costs here: it then never burns more than
 * the sleep would have, and only while the recent history of that link says that the record is likely to
 * come in that time.
 *
 * Two sides that both sleep see each other's wake-ups as slow answers and would never learn that spinning
 * pays. So now and then a waiter probes: for a few waits in a row it spins long enough to see an answer that
 * takes a wake-up of the peer. Then the peer sees quick requests and spins too, or the probe fails and the
 * next one comes twice as late.
 *
 * With one usable CPU nobody spins: the processor is offered to the others a few times instead, which costs
 * less than a sleep when the peer is ready to run. Never more threads of a process spin than there are CPUs.
 * Where spinning threads of several processes crowd each other out, their waits get long and the history
 * sends them to sleep. */
#ifndef VIA_CORE_WAIT_H
#define VIA_CORE_WAIT_H
#include "../os/os.h"

/* How long waits on one link took lately. Zeroed: expects a quick answer. */
typedef struct wait_history {
	uint64_t mean_ns;
	uint32_t passed;   /* waits slept through since the last probe */
	uint32_t interval; /* how many that are; 0: not set yet */
	uint32_t probing;  /* waits left of a probe */
} wait_history;

/* Budget of one spin under a policy, ns; 0: never. Calibrates on first use, which takes about a
 * millisecond and one short-lived thread. */
uint64_t wait_budget(const core_env *e, uint32_t policy);

/* True if the history says that spinning pays. */
static inline int wait_pays(const wait_history *h, uint64_t budget_ns)
{
	return budget_ns != 0 && (h->mean_ns <= budget_ns || h->probing != 0);
}

/* How long the wait that begins now may spin, ns; 0: sleep at once. Once for each wait. */
uint64_t wait_spin_ns(wait_history *h, uint64_t budget_ns);

/* True when this process may use one CPU only: look and offer the processor, at most WAIT_OFFERS times,
 * instead of spinning for a time. */
int wait_alone(void);
enum {
	WAIT_OFFERS = 16,
	WAIT_QUICK_LOOKS = 64
}; /* quick: looks before anybody asks for the time */

/* Takes one of the places for spinning threads; 0 if there is none. */
int wait_spin_enter(void);
void wait_spin_leave(void);

/* Learns from a wait that ended with a record after waited_ns. slept: includes a wake-up, and the record had
 * not come when the first spun_ns of it were over. */
void wait_learn(wait_history *h, uint64_t waited_ns, int slept, uint64_t spun_ns,
		uint64_t budget_ns);
/* The same for a record that came at once, without a clock. */
static inline void wait_hit(wait_history *h)
{
	h->mean_ns -= h->mean_ns / 4;
	h->probing -= h->probing != 0;
}

/* What a sleep and a wake-up cost here, ns, as calibrated. */
uint64_t wait_sleep_cost(const core_env *e);

#endif
