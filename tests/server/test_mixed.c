/* tests/server/test_mixed.c - one endpoint, hundreds of sessions of every kind at once, busy and idle, with what the
 * kernel gives and without; and everything on one CPU. */
#include "procs.h"
#if defined(__linux__)
#include <errno.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#if !defined(SYS_futex_waitv)
#define SYS_futex_waitv 449
#endif
#endif

TestSuite(mixed, .timeout = 200);

enum { KINDS = 3, MANY = 500 };
#if defined(_WIN32) /* shared memory with events and without, a pipe */
static const uint32_t kind_profiles[KINDS] = {0x3, 0x5, 0x1};
static const uint32_t kind_selected[KINDS] = {0x2, 0x4, 0x1};
static const int kind_many[KINDS] = {90, 30, 90}; /* more than 64, each way of waiting */
#else
static const uint32_t kind_profiles[KINDS] = {0x10001, 0x7, 0x1};
static const uint32_t kind_selected[KINDS] = {0x10000, 0x4, 0x1};
static const int kind_many[KINDS] = {200, 200, 100};
#endif

static rig r;
static rig_svc svc;
static via_session *session[MANY];
static int order[MANY];
static uint64_t seed = 77;

static void serve_on(const char *spec, uint32_t workers, const via_session_config *config)
{
	rig_prepare(&r, spec);
	r.options.n_workers = workers;
	cr_assert_eq(rig_open_registry(&r), VIA_OK, "%s", via_error());
	cr_assert_eq(rig_open_server(&r), VIA_OK, "%s", via_error());
	rig_svc_open(&svc, &r, 0, rig_answer);
	rig_add(&r, &svc, "svc", config);
	rig_start(&r);
}

static void done(void)
{
	rig_close(&r);
	rig_svc_close(&svc);
}

static uint32_t session_profile(via_session *s)
{
	via_session_info info = {.struct_size = sizeof info};

	via_session_get_info(s, &info);
	return info.selected;
}

/* of[k] sessions of kind k. */
static int connect_all(const int *of)
{
	int n = 0, k, i;

	for (k = 0; k < KINDS; k++) {
		via_session_config c = {.struct_size = sizeof c, .profiles = kind_profiles[k]};

		for (i = 0; i < of[k]; i++, n++) {
			session[n] = rig_connect(&r, "svc", &c);
			cr_assert_eq(session_profile(session[n]), kind_selected[k],
				     "0x%x, expected 0x%x", session_profile(session[n]),
				     kind_selected[k]);
		}
	}
	return n;
}

static void close_all(int n)
{
	int i;

	for (i = 0; i < n; i++)
		via_session_close(session[i]);
}

static void shuffle(int n)
{
	int i;

	for (i = 0; i < n; i++)
		order[i] = i;
	for (i = n - 1; i > 0; i--) {
		int k = (int)(proc_random(&seed) % (uint32_t)(i + 1)), was = order[i];

		order[i] = order[k];
		order[k] = was;
	}
}

/* All ask in some order, all are answered in another. */
static void round_of_calls(int n, uint64_t round)
{
	int i;

	shuffle(n);
	for (i = 0; i < n; i++)
		cr_assert_eq(rig_send_number(session[order[i]], round,
					     round * MANY + (uint64_t)order[i]),
			     VIA_OK, "%s", via_error());
	shuffle(n);
	for (i = 0; i < n; i++)
		rig_expect_number(session[order[i]], round, round * MANY + (uint64_t)order[i]);
}

static void check_many(uint32_t workers)
{
	uint64_t round;
	int n;

	serve_on(PLATFORM_BASELINE, workers, NULL);
	n = connect_all(kind_many);
	for (round = 0; round < 6; round++) {
		if (round % 2 != 0) /* from sleep */
			rig_until(rig_all_asleep());
		round_of_calls(n, round);
	}
	cr_expect_eq(rig_stats(&r).calls, 6 * (uint64_t)n);
	close_all(n);
	rig_until(rig_stats(&r).n_sessions == 0);
	cr_expect_eq(proc_session_files(&r), 0);
	done();
}

Test(mixed, hundreds_of_sessions_on_one_worker)
{
	check_many(1);
}

Test(mixed, hundreds_of_sessions_on_two_workers)
{
	check_many(2);
}

#if defined(__linux__)
static void forbid_waitv(void)
{
	proc_forbid(SYS_futex_waitv, EPERM);
	cr_assert_eq(syscall(SYS_futex_waitv, NULL, 0, 0, NULL, 0), -1);
	cr_assert_eq(errno, EPERM);
}

Test(mixed, hundreds_of_sessions_without_futex_waitv)
{
	forbid_waitv();
	check_many(2);
}
#endif

/* -- idle -------------------------------------------------------------------------------------- */

/* Looks for 300 ms after the last handshake's deadline. */
static void check_idle(const int *of, uint32_t workers)
{
	via_session_config quick = {.struct_size = sizeof quick, .handshake_ms = 500};
	via_time end;
	int n;

	serve_on(PLATFORM_BASELINE, workers, &quick);
	n = connect_all(of);
	round_of_calls(n, 1);
	end = via_deadline(600 * RIG_MS);
	rig_until(via_now() > end && rig_all_asleep());
	cr_assert_geq(rig_threads(), (int)workers);
	cr_expect(rig_idle_for(300 * RIG_MS), "threads with nothing to do woke up");
	round_of_calls(n, 2); /* and they can be woken */
	close_all(n);
	done();
}

Test(mixed, nobody_wakes_up_for_a_hundred_idle_sessions_of_the_first_kind)
{
	check_idle((const int[KINDS]){100, 0, 0}, 1);
}

Test(mixed, nobody_wakes_up_for_a_hundred_idle_baselines)
{
	check_idle((const int[KINDS]){0, 0, 100}, 1);
}

#if defined(__linux__) /* elsewhere the second kind is looked at again and again */
Test(mixed, nobody_wakes_up_for_a_hundred_idle_regions)
{
	check_idle((const int[KINDS]){0, 100, 0}, 1);
}

Test(mixed, nobody_wakes_up_for_a_hundred_idle_sessions_of_each_kind)
{
	check_idle((const int[KINDS]){100, 100, 100}, 2);
}
#endif

/* -- no room for files ------------------------------------------------------------------------- */

#if defined(__linux__)
/* The server may make no byte of any file: sessions come up on what is left. */
Test(mixed, a_server_that_may_make_no_files)
{
	const struct rlimit none = {0, 0};
	via_session *s;

	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &none), 0);
	serve_on("uds", 1, NULL);
	s = rig_connect(&r, "svc", &(via_session_config){.profiles = 0x10007});
	cr_expect_eq(session_profile(s), 1);
	cr_assert_eq(rig_send_number(s, 1, 1), VIA_OK);
	rig_expect_number(s, 1, 1);
	via_session_close(s);
	cr_expect(rig_log_has(&r, "RLIMIT_FSIZE"), "%s", r.log);
	done();
}
#endif

/* -- one CPU ----------------------------------------------------------------------------------- */

enum { TURNS = 2000 };

/* Pinned before the library asks how many there are. */
STACK_TEST(mixed, one_cpu_is_enough)
{
	via_session *s;
	uint64_t i, before;

	proc_pin();
	serve_on(stack, 2, NULL);
	s = rig_connect(&r, "svc", NULL);
	for (i = 0; i < TURNS; i++) {
		cr_assert_eq(rig_send_number(s, i, i), VIA_OK, "%s", via_error());
		rig_expect_number(s, i, i);
	}
	rig_until(rig_all_asleep());
	before = rig_cpu_ns();
	proc_let_pass(300 * RIG_MS);
	cr_expect_lt(rig_cpu_ns() - before, 60 * RIG_MS, "a thread is busy: %llu us of 300 ms",
		     (unsigned long long)(rig_cpu_ns() - before) / 1000);
	via_session_close(s);
	done();
}
