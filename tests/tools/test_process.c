/* tests/tools/test_process.c - another process at the other end of two pipes, and short-lived
 * directories.
 */
#include "tools/lib/sys_process.h"

#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if !defined(_WIN32)
#include <time.h>
#endif

#define DEADLINE_MS 20000u

TestSuite(process, .timeout = 60);

static sys_child other;
static char line[SYS_LINE], why[SYS_WHY];
static atomic_int stop;

static void start(const char *const *more)
{
	const char *argv[8] = {VIA_OTHER};
	size_t n;

	for (n = 0; more != NULL && more[n] != NULL; n++)
		argv[n + 1] = more[n];
	cr_assert(sys_signals_take(SYS_STOP, why), "%s", why);
	cr_assert(sys_child_start(&other, VIA_OTHER, argv, why), "%s", why);
}

#if !defined(_WIN32)
/* Nobody may have waited for it yet: then it is still in the table. */
static int is_dead(int pid)
{
	char path[64], state = 'Z';
	FILE *f;

	(void)snprintf(path, sizeof path, "/proc/%d/stat", pid);
	f = fopen(path, "r");
	if (f == NULL)
		return 1;
	if (fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
		state = 'Z';
	(void)fclose(f);
	return state == 'Z';
}
#endif

static void hears(const char *expected)
{
	cr_assert_eq(sys_child_hear(&other, line, DEADLINE_MS, &stop), 1);
	cr_expect_str_eq(line, expected);
}

Test(process, lines_go_both_ways)
{
	start(NULL);
	cr_assert(sys_child_tell(&other, "one\ntwo\n"));
	hears("you said one");
	hears("you said two");
	cr_expect(sys_child_end(&other, DEADLINE_MS), "%s", other.end);
	cr_expect_str_eq(other.end, "ended with status 0");
}

Test(process, arguments_arrive_as_they_are)
{
	static const char *const odd[] = {"",     "a b",      "say \"no\"", "back\\slash\\",
					  "\\\"", "\xc3\xa4", NULL};
	size_t i;

	start(odd);
	cr_assert(sys_child_tell(&other, "arguments\n"));
	for (i = 0; odd[i] != NULL; i++)
		hears(odd[i]);
	cr_expect(sys_child_end(&other, DEADLINE_MS));
}

Test(process, its_end_is_told)
{
	start(NULL);
	cr_assert(sys_child_tell(&other, "die\n"));
	cr_expect_eq(sys_child_hear(&other, line, DEADLINE_MS, &stop), 0);
	cr_expect_not(sys_child_end(&other, DEADLINE_MS));
	cr_expect_str_eq(other.end, "ended with status 7");
	cr_expect_not(sys_child_end(&other, DEADLINE_MS), "ended twice");
}

Test(process, silence_has_a_deadline_and_can_be_stopped)
{
	start(NULL);
	cr_expect_eq(sys_child_hear(&other, line, 20, &stop), -1);
	atomic_store(&stop, 1);
	cr_expect_eq(sys_child_hear(&other, line, DEADLINE_MS, &stop), 0);
	cr_expect(sys_child_end(&other, DEADLINE_MS));
}

Test(process, a_line_without_end_is_refused)
{
	start(NULL);
	cr_assert(sys_child_tell(&other, "shout\n"));
	cr_expect_eq(sys_child_hear(&other, line, DEADLINE_MS, &stop), 0);
	(void)sys_child_end(&other, 0);
}

Test(process, what_does_not_end_is_killed)
{
	start(NULL);
	cr_assert(sys_child_tell(&other, "stay\n"));
	cr_expect_eq(sys_child_hear(&other, line, DEADLINE_MS, &stop), 0);
	cr_expect_not(sys_child_end(&other, 20));
	cr_expect_str_eq(other.end, "did not end and was killed");
}

#if !defined(_WIN32)
Test(process, what_it_leaves_behind_goes_with_it)
{
	const time_t begin = time(NULL);
	int left;

	start(NULL);
	cr_assert(sys_child_tell(&other, "leave\n"));
	cr_assert_eq(sys_child_hear(&other, line, DEADLINE_MS, &stop), 1);
	left = atoi(line);
	cr_assert_gt(left, 1);
	cr_expect(sys_child_end(&other, DEADLINE_MS), "%s", other.end);
	cr_expect_lt(time(NULL) - begin, DEADLINE_MS / 1000, "it was waited for");
	while (!is_dead(left))
		cr_assert_lt(time(NULL) - begin, DEADLINE_MS / 1000, "it goes on");
}

Test(process, it_can_be_asked_to_end)
{
	start(NULL);
	cr_assert(sys_child_tell(&other, "mask\n"));
	hears("0");
	sys_child_ask(&other);
	cr_expect_eq(sys_child_hear(&other, line, DEADLINE_MS, &stop), 0);
	cr_expect_not(sys_child_end(&other, DEADLINE_MS));
	cr_expect_not_null(strstr(other.end, "signal 15"), "%s", other.end);
}
#endif

Test(process, what_is_not_there_does_not_start)
{
	const char *argv[] = {"nothing", NULL};

	cr_expect_not(sys_child_start(&other, VIA_OTHER ".not", argv, why));
	cr_expect_neq(why[0], '\0');
	cr_expect_not(sys_child_end(&other, 0));
}

Test(process, a_short_lived_directory_goes_with_what_is_in_it)
{
	char path[SYS_PATH], file[SYS_PATH + 16];
	FILE *f;

	cr_assert(sys_temp_make(path, why), "%s", why);
	(void)snprintf(file, sizeof file, "%s/file", path);
	f = fopen(file, "w");
	cr_assert_not_null(f);
	(void)fclose(f);
	cr_expect(sys_temp_remove(path, why), "%s", why);
	f = fopen(file, "r");
	cr_expect_null(f);
	cr_expect(sys_temp_remove(path, why), "what is gone is no error: %s", why);
}

Test(process, processor_time_grows)
{
	uint64_t before = sys_thread_cpu(), all = sys_process_cpu();
	volatile uint64_t x = 0;

	while (sys_thread_cpu() - before < 50000000)
		x = x + 1;
	cr_expect_geq(sys_process_cpu() - all, 30000000u); /* clocks tick, some every 15.6 ms */
}

static void add(void *arg)
{
	++*(int *)arg;
}

Test(process, a_thread_runs_and_is_joined)
{
	sys_thread t;
	int n = 0;

	cr_assert(sys_thread_start(&t, add, &n, why), "%s", why);
	sys_thread_join(&t);
	cr_expect_eq(n, 1);
}

Test(process, waiting_for_signals_ends)
{
	cr_assert(sys_signals_take(SYS_STOP, why), "%s", why);
	cr_expect_eq(sys_signals_wait_for(1000000), 0);
	sys_signals_post(SYS_REPORT);
	cr_expect_eq(sys_signals_wait_for(20000000000u), SYS_REPORT);
}
