/* tests/wait/test_wait_policy.c - when to spin: budgets of the policies, history, places for spinners. */
#include "core/wait/wait.h"
#include <criterion/criterion.h>
#if defined(_WIN32)
#include <windows.h>
#elif defined(__linux__)
#include <sched.h>
#endif

TestSuite(wait_policy, .timeout = 30);

#define US 1000u

Test(wait_policy, a_frugal_waiter_never_spins)
{
	wait_history h = {0};
	uint64_t budget = wait_budget(&core_env_libc, VIA_POLICY_FRUGAL);

	cr_assert_eq(budget, 0);
	cr_expect_not(wait_pays(&h, budget));
}

Test(wait_policy, budgets_follow_the_cost_of_a_sleep)
{
	uint64_t cost = wait_sleep_cost(&core_env_libc);
	uint64_t balanced = wait_budget(&core_env_libc, VIA_POLICY_BALANCED);
	uint64_t latency = wait_budget(&core_env_libc, VIA_POLICY_LATENCY);

	cr_expect_geq(cost, 20u * US);
	cr_expect_leq(cost, 200u * US);
	cr_expect_eq(wait_sleep_cost(&core_env_libc), cost, "measured once");
	cr_expect_eq(balanced, cost / 4 * 3, "about the processor time of a sleep");
	cr_expect_gt(latency, balanced);
}

Test(wait_policy, quick_answers_keep_a_link_spinning)
{
	wait_history h = {0};
	int i;

	cr_assert(wait_pays(&h, 50u * US), "a new link expects a quick answer");
	for (i = 0; i < 100; i++)
		wait_learn(&h, 5u * US, 0, 0, 50u * US);
	cr_expect(wait_pays(&h, 50u * US));
	cr_expect_leq(h.mean_ns, 5u * US);
}

Test(wait_policy, slow_answers_send_it_to_sleep_and_quick_ones_bring_it_back)
{
	wait_history h = {0};
	int i;

	for (i = 0; i < 20; i++)
		wait_learn(&h, 10000u * US, 0, 0, 50u * US);
	cr_assert_not(wait_pays(&h, 50u * US));
	for (i = 0; i < 20; i++)
		wait_learn(&h, 1u * US, 0, 0, 50u * US);
	cr_expect(wait_pays(&h, 50u * US));
}

Test(wait_policy, one_long_pause_does_not_outweigh_a_conversation)
{
	wait_history h = {0};
	int i;

	for (i = 0; i < 50; i++)
		wait_learn(&h, 5u * US, 0, 0, 50u * US);
	wait_learn(&h, UINT64_MAX / 8, 0, 0, 50u * US); /* the peer went to lunch */
	for (i = 0; i < 4; i++)
		wait_learn(&h, 5u * US, 0, 0, 50u * US);
	cr_expect(wait_pays(&h, 50u * US), "mean %llu ns", (unsigned long long)h.mean_ns);
}

Test(wait_policy, a_wake_up_is_not_the_peers_time)
{
	wait_history slept = {0}, seen = {0};
	uint64_t cost = wait_sleep_cost(&core_env_libc);

	wait_learn(&slept, cost + 1u * US, 1, 0, 3 * cost);
	wait_learn(&seen, 1u * US, 0, 0, 3 * cost);
	cr_expect_eq(slept.mean_ns, seen.mean_ns);
	wait_learn(&slept, cost / 2, 1, 0, 3 * cost);
	cr_expect_lt(slept.mean_ns, seen.mean_ns,
		     "sooner than a wake-up takes: it was there already");
}

/* Two sleeping sides look slow to each other: only a probe finds out that they are not. */
Test(wait_policy, a_sleeper_probes_now_and_then_and_less_often_when_it_fails)
{
	uint64_t cost = wait_sleep_cost(&core_env_libc), budget = cost / 2;
	uint32_t waits, probes, gap = 0, last_gap = 0;
	wait_history h = {0};

	for (waits = 0; waits < 20; waits++)
		wait_learn(&h, 100 * cost, 1, 0, budget);
	for (probes = 0; probes < 5; probes++) {
		for (gap = 0; wait_spin_ns(&h, budget) == 0; gap++)
			cr_assert_lt(gap, 5000, "no probe in %u waits", gap);
		cr_assert_gt(gap, last_gap, "probe %u", probes);
		last_gap = gap;
		wait_learn(&h, 100 * cost, 1, 2 * cost, budget); /* nothing came */
		cr_assert_not(wait_pays(&h, budget));
	}
}

Test(wait_policy, a_probe_that_pays_brings_the_link_back)
{
	uint64_t cost = wait_sleep_cost(&core_env_libc), budget = cost / 2, spin;
	wait_history h = {0};
	uint32_t i;

	for (i = 0; i < 20; i++)
		wait_learn(&h, 2 * cost, 0, 0, budget);
	while ((spin = wait_spin_ns(&h, budget)) == 0)
		wait_learn(&h, 3 * cost, 1, 0, budget);
	cr_expect_geq(spin, 2 * cost, "long enough for a wake-up of the peer");
	wait_learn(&h, cost + US, 0, 0, budget); /* the peer slept */
	for (i = 0; i < 5; i++) {
		cr_assert_neq(wait_spin_ns(&h, budget), 0, "wait %u of the probe", i);
		wait_learn(&h, US, 0, 0, budget); /* it spins too by now */
	}
	cr_expect_leq(h.mean_ns, budget);
	cr_expect_eq(wait_spin_ns(&h, budget), budget);
}

/* Asleep after a spin in vain: the record cannot have come during the spin. */
Test(wait_policy, a_spin_in_vain_is_remembered)
{
	uint64_t cost = wait_sleep_cost(&core_env_libc), budget = cost / 2;
	wait_history h = {0};
	uint32_t i;

	for (i = 0; i < 20; i++)
		wait_learn(&h, budget + cost / 4, 1, budget, budget);
	cr_expect_geq(h.mean_ns, budget * 9 / 10);
}

Test(wait_policy, no_more_spinners_than_cpus)
{
	uint32_t n = os_usable_cpus(), i;

	for (i = 0; i < n; i++)
		cr_assert_neq(wait_spin_enter(), 0, "place %u of %u", i, n);
	cr_expect_eq(wait_spin_enter(), 0);
	wait_spin_leave();
	cr_expect_neq(wait_spin_enter(), 0);
	for (i = 0; i < n; i++)
		wait_spin_leave();
}

#if defined(__linux__) || defined(_WIN32)
static void use_one_cpu(void)
{
#if defined(_WIN32)
	cr_assert(SetProcessAffinityMask(GetCurrentProcess(), 1) != 0);
#else
	cpu_set_t all, one;
	size_t i = 0;

	cr_assert_eq(sched_getaffinity(0, sizeof all, &all), 0);
	while (i < CPU_SETSIZE - 1 && !CPU_ISSET(i, &all))
		i++;
	CPU_ZERO(&one);
	CPU_SET(i, &one);
	cr_assert_eq(sched_setaffinity(0, sizeof one, &one), 0);
#endif
}

/* A case has its process to itself: what is usable is asked once. */
Test(wait_policy, nobody_spins_on_a_single_cpu)
{
	use_one_cpu();
	cr_expect_neq(wait_alone(), 0);
}
#endif
