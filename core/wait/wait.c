/* core/wait/wait.c - calibration of the cost of a sleep, spin budget, history and probes.
 *
 * The sleep's cost and the number of CPUs are facts about the machine, not about a registry: they are
 * measured once per process and kept in two atomics. */
#include "wait.h"
#include <stdatomic.h>
#include <viaduct/app/registry.h>

enum { CALIBRATION_ROUNDS = 9 };
#define COST_DEFAULT_NS 50000u /* when it cannot be measured */
#define COST_MIN_NS \
	20000u /* less means that both threads ran on one CPU: not what a peer's wake-up costs */
#define COST_MAX_NS 200000u
#define LATENCY_QUARTERS 80u /* of a sleep: how long the latency policy spins */
#define PROBE_FACTOR 2u      /* sleeps: a wake-up of the peer and as much again */
enum { PROBE_WAITS = 6, PROBE_FIRST = 2, PROBE_RAREST = 1024 };

static _Atomic uint64_t sleep_cost_ns;
static _Atomic uint32_t usable_cpus;
static _Atomic int32_t spinning;

/* -- calibration: two threads wake each other in turn -------------------------------------------- */

struct pingpong {
	const core_env *env;
	os_waker *there, *back;
	atomic_int stop;
};

static via_rc wait_for(const core_env *e, os_waker *w)
{
	via_waitobj obj;
	uint32_t ready;
	via_rc rc;

	os_waker_object(w, &obj);
	rc = os_wait(e, &obj, 1, via_deadline(1000000000u), &ready);
	os_waker_clear(w);
	return rc;
}

static void answer(void *arg)
{
	struct pingpong *p = arg;

	while (wait_for(p->env, p->there) == VIA_OK && atomic_load(&p->stop) == 0)
		os_waker_set(p->back);
}

/* The median of the rounds, each two sleeps. */
static uint64_t measure(struct pingpong *p)
{
	uint64_t cost[CALIBRATION_ROUNDS];
	int i, j;

	for (i = 0; i < CALIBRATION_ROUNDS; i++) {
		via_time t0 = os_now();
		uint64_t c;

		os_waker_set(p->there);
		if (wait_for(p->env, p->back) != VIA_OK)
			return COST_DEFAULT_NS;
		c = (os_now() - t0) / 2;
		for (j = i; j > 0 && cost[j - 1] > c; j--)
			cost[j] = cost[j - 1];
		cost[j] = c;
	}
	return cost[CALIBRATION_ROUNDS / 2];
}

static uint64_t calibrate(const core_env *e)
{
	struct pingpong p = {.env = e};
	uint64_t cost = COST_DEFAULT_NS;
	os_thread *t;

	if (os_waker_open(e, &p.there) != VIA_OK)
		return cost;
	if (os_waker_open(e, &p.back) != VIA_OK)
		goto close_there;
	if (os_thread_start(e, "via-calibrate", answer, &p, &t) != VIA_OK)
		goto close_back;
	cost = measure(&p);
	atomic_store(&p.stop, 1);
	os_waker_set(p.there);
	os_thread_join(e, t);
close_back:
	os_waker_close(e, p.back);
close_there:
	os_waker_close(e, p.there);
	return cost;
}

uint64_t wait_sleep_cost(const core_env *e)
{
	uint64_t cost = atomic_load_explicit(&sleep_cost_ns, memory_order_relaxed);

	if (cost != 0)
		return cost;
	cost = calibrate(e);
	if (cost < COST_MIN_NS)
		cost = COST_MIN_NS;
	if (cost > COST_MAX_NS)
		cost = COST_MAX_NS;
	atomic_store_explicit(&sleep_cost_ns, cost, memory_order_relaxed);
	core_error_clear(); /* a failed calibration is not the caller's error */
	return cost;
}

/* -- policy --------------------------------------------------------------------------------------- */

static uint32_t cpus(void)
{
	uint32_t n = atomic_load_explicit(&usable_cpus, memory_order_relaxed);

	if (n == 0) {
		n = os_usable_cpus();
		atomic_store_explicit(&usable_cpus, n, memory_order_relaxed);
	}
	return n;
}

uint64_t wait_budget(const core_env *e, uint32_t policy)
{
	if (policy == VIA_POLICY_FRUGAL)
		return 0;
	return wait_sleep_cost(e) / 4 * (policy == VIA_POLICY_LATENCY ? LATENCY_QUARTERS : 3u);
}

int wait_alone(void)
{
	return cpus() < 2;
}

uint64_t wait_spin_ns(wait_history *h, uint64_t budget_ns)
{
	uint64_t probe = atomic_load_explicit(&sleep_cost_ns, memory_order_relaxed) * PROBE_FACTOR;

	if (budget_ns == 0)
		return 0;
	if (h->mean_ns <= budget_ns)
		return budget_ns;
	if (h->probing == 0) {
		if (h->interval == 0)
			h->interval = PROBE_FIRST;
		if (++h->passed < h->interval)
			return 0;
		h->passed = 0;
		h->probing = PROBE_WAITS;
	}
	return probe > budget_ns ? probe : budget_ns;
}

int wait_spin_enter(void)
{
	int32_t room = (int32_t)cpus();

	if (atomic_fetch_add_explicit(&spinning, 1, memory_order_relaxed) < room)
		return 1;
	atomic_fetch_sub_explicit(&spinning, 1, memory_order_relaxed);
	return 0;
}

void wait_spin_leave(void)
{
	atomic_fetch_sub_explicit(&spinning, 1, memory_order_relaxed);
}

/* A probe ends at the first sleep, when it has paid, or when its waits are used up. */
static void learn_probe(wait_history *h, int slept, uint64_t budget_ns)
{
	if (h->mean_ns <= budget_ns) {
		h->interval = PROBE_FIRST;
		h->probing = 0;
		return;
	}
	if (h->probing == 0)
		return;
	h->probing = slept != 0 ? 0 : h->probing - 1;
	if (h->probing == 0 && h->interval < PROBE_RAREST)
		h->interval *= 2;
}

void wait_learn(wait_history *h, uint64_t waited_ns, int slept, uint64_t spun_ns,
		uint64_t budget_ns)
{
	uint64_t cost = atomic_load_explicit(&sleep_cost_ns, memory_order_relaxed);
	uint64_t cap = budget_ns * 3;

	if (slept != 0) /* the record came about one wake-up before we saw it */
		waited_ns = waited_ns > cost + spun_ns ? waited_ns - cost : spun_ns;
	if (waited_ns > cap) /* one long pause alone does not end a conversation */
		waited_ns = cap;
	h->mean_ns = (h->mean_ns * 3 + waited_ns) / 4;
	learn_probe(h, slept, budget_ns);
}
