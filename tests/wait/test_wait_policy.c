/* tests/wait/test_wait_policy.c - when to spin: budgets of the policies, history, places for spinners. */
#include "core/wait/wait.h"
#include <criterion/criterion.h>
#if defined(__linux__)
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>
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
	if (os_usable_cpus() < 2) {
		cr_expect_eq(balanced, 0);
		cr_expect_eq(latency, 0);
		return;
	}
	cr_expect_eq(balanced, cost * 3 / 2);
	cr_expect_gt(latency, balanced);
}

Test(wait_policy, quick_answers_keep_a_link_spinning)
{
	wait_history h = {0};
	int i;

	cr_assert(wait_pays(&h, 50u * US), "a new link expects a quick answer");
	for (i = 0; i < 100; i++)
		wait_learn(&h, 5u * US, 0, 50u * US);
	cr_expect(wait_pays(&h, 50u * US));
	cr_expect_leq(h.mean_ns, 5u * US);
}

Test(wait_policy, slow_answers_send_it_to_sleep_and_quick_ones_bring_it_back)
{
	wait_history h = {0};
	int i;

	for (i = 0; i < 20; i++)
		wait_learn(&h, 10000u * US, 0, 50u * US);
	cr_assert_not(wait_pays(&h, 50u * US));
	for (i = 0; i < 20; i++)
		wait_learn(&h, 1u * US, 0, 50u * US);
	cr_expect(wait_pays(&h, 50u * US));
}

Test(wait_policy, one_long_pause_does_not_outweigh_a_conversation)
{
	wait_history h = {0};
	int i;

	for (i = 0; i < 50; i++)
		wait_learn(&h, 5u * US, 0, 50u * US);
	wait_learn(&h, UINT64_MAX / 8, 0, 50u * US); /* the peer went to lunch */
	for (i = 0; i < 4; i++)
		wait_learn(&h, 5u * US, 0, 50u * US);
	cr_expect(wait_pays(&h, 50u * US), "mean %llu ns", (unsigned long long)h.mean_ns);
}

Test(wait_policy, a_wake_up_is_not_the_peers_time)
{
	wait_history slept = {0}, seen = {0};
	uint64_t cost = wait_sleep_cost(&core_env_libc);

	wait_learn(&slept, cost + 1u * US, 1, 3 * cost);
	wait_learn(&seen, 1u * US, 0, 3 * cost);
	cr_expect_eq(slept.mean_ns, seen.mean_ns);
	wait_learn(&slept, cost / 2, 1, 3 * cost);
	cr_expect_lt(slept.mean_ns, seen.mean_ns,
		     "sooner than a wake-up takes: it was there already");
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

#if defined(__linux__)
/* In a process of its own: what is usable is asked once. */
Test(wait_policy, nobody_spins_on_a_single_cpu)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		cpu_set_t all, one;
		size_t i = 0;

		sched_getaffinity(0, sizeof all, &all);
		while (i < CPU_SETSIZE - 1 && !CPU_ISSET(i, &all))
			i++;
		CPU_ZERO(&one);
		CPU_SET(i, &one);
		if (sched_setaffinity(0, sizeof one, &one) != 0)
			_exit(2);
		_exit(wait_budget(&core_env_libc, VIA_POLICY_BALANCED) != 0 ||
		      wait_budget(&core_env_libc, VIA_POLICY_LATENCY) != 0);
	}
	cr_assert_gt(pid, 0);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status 0x%x", (unsigned)status);
}
#endif
