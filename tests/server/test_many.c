/* tests/server/test_many.c - many clients, many connections, and nobody for a while. */
#include "rig.h"
#include "rig_os.h"
#include <limits.h>

TestSuite(many, .timeout = 90);

static rig r;
static rig_svc svc;

static void serve(const char *stack, uint32_t flags, const via_session_config *config)
{
	rig_open(&r, stack);
	rig_svc_open(&svc, &r, flags, rig_answer);
	rig_add(&r, &svc, "svc", config);
	rig_start(&r);
}

static void done(void)
{
	rig_close(&r);
	rig_svc_close(&svc);
}

/* -- cross-talk -------------------------------------------------------------------------------- */

struct caller {
	uint64_t base;
	int n;
	int failed;
};

static void call_many(void *arg)
{
	struct caller *k = arg;
	via_client *c = rig_client(&r, "svc", NULL);
	int i;

	for (i = 0; i < k->n; i++) /* every number is asked for once in all */
		k->failed += rig_client_call(c, k->base + (uint64_t)i * 7) != VIA_OK;
	via_client_close(c);
}

static void check_many(const char *stack, uint32_t flags, int clients, int calls)
{
	static struct caller k[50];
	static os_thread *t[50];
	int i;

	serve(stack, flags, NULL);
	for (i = 0; i < clients; i++) {
		k[i] = (struct caller){.base = (uint64_t)i << 32, .n = calls};
		t[i] = rig_thread(call_many, &k[i]);
	}
	for (i = 0; i < clients; i++) {
		rig_join(t[i]);
		cr_expect_eq(k[i].failed, 0, "client %d: %d of %d calls failed", i, k[i].failed,
			     calls);
	}
	cr_expect_eq(rig_stats(&r).calls, (uint64_t)clients * (uint64_t)calls);
	cr_expect_eq(rig_stats(&r).accepted, (uint64_t)clients);
	done();
}

STACK_TEST(many, ten_clients_a_hundred_calls)
{
	check_many(stack, 0, 10, 100);
}

STACK_TEST(many, fifty_clients_ten_calls)
{
	check_many(stack, VIA_SVC_CONCURRENT, 50, 10);
}

STACK_TEST(many, fifty_clients_ten_calls_on_the_pool)
{
	check_many(stack, VIA_SVC_CONCURRENT | VIA_SVC_BLOCKING, 50, 10);
}

STACK_TEST(many, a_thousand_connections)
{
	int i, most = 0;

	serve(stack, 0, NULL);
	rig_good(&r, "svc");
	for (i = 0; i < 1000; i++) {
		via_session *s = rig_connect(&r, "svc", NULL);
		int now = rig_descriptors();

		most = now > most ? now : most;
		via_session_close(s);
	}
	rig_until(rig_stats(&r).n_sessions == 0);
	cr_expect_lt(most, 100, "%d descriptors", most);
	cr_expect_eq(rig_stats(&r).accepted, 1001);
	done();
}

/* -- spread ------------------------------------------------------------------------------------ */

/* Calls of sessions on one worker come one after the other: four at once are on four workers. */
static via_rc meet(rig_svc *v, rig_session *s, via_call *call)
{
	via_time end = via_deadline(RIG_SOON);

	atomic_fetch_add(&v->held, 1);
	while (atomic_load(&v->held) < 4 && via_now() < end)
		rig_pause();
	return atomic_load(&v->held) < 4 ? VIA_TIMEOUT : rig_answer(v, s, call);
}

STACK_TEST(many, sessions_are_spread_over_the_workers)
{
	via_session *s[4];
	int i;

	rig_prepare(&r, stack);
	r.options.n_workers = 4;
	cr_assert_eq(rig_open_registry(&r), VIA_OK);
	cr_assert_eq(rig_open_server(&r), VIA_OK);
	rig_svc_open(&svc, &r, VIA_SVC_CONCURRENT, meet);
	rig_add(&r, &svc, "svc", NULL);
	rig_start(&r);
	for (i = 0; i < 4; i++)
		s[i] = rig_connect(&r, "svc", NULL);
	for (i = 0; i < 4; i++)
		cr_assert_eq(rig_send_number(s[i], 1, (uint64_t)i), VIA_OK);
	for (i = 0; i < 4; i++) {
		rig_expect_number(s[i], 1, (uint64_t)i);
		via_session_close(s[i]);
	}
	cr_expect_eq(atomic_load(&svc.most_running), 4);
	done();
}

/* -- fairness --------------------------------------------------------------------------------------- */

/* Every call of number 666 brings the next one along, so that its session is never idle. */
static via_session *endless;
static atomic_int feeding, in_feed;
static uint64_t endless_id, feed_ns; /* how long such a call takes */

static via_rc feed(rig_svc *v, rig_session *s, via_call *call)
{
	via_time end = via_deadline(feed_ns);
	uint64_t number = 0;
	via_message m;

	atomic_store(&in_feed, 1);
	via_increment_decode(call->request, call->request_len, &number, NULL);
	while (number == 666 && atomic_load(&feeding) == 0)
		rig_pause(); /* the send lane is still the test's */
	if (number == 666 && atomic_load(&feeding) == 1) {
		while (via_session_recv(endless, &m) == VIA_OK)
			via_session_release(endless, &m);
		(void)rig_send_number(endless, ++endless_id, 666);
		while (via_now() < end)
			rig_pause();
	}
	atomic_store(&in_feed, 0);
	return rig_answer(v, s, call);
}

/* One worker serves that session and a good client. most: how many of its calls come before a good client's
 * connection, call and farewell are through. */
static void check_fairness(const char *stack, uint32_t policy, int n_good, int most)
{
	int i, before;

	rig_prepare(&r, stack);
	r.policy = policy;
	r.options.n_workers = 1;
	cr_assert_eq(rig_open_registry(&r), VIA_OK);
	cr_assert_eq(rig_open_server(&r), VIA_OK);
	rig_svc_open(&svc, &r, 0, feed);
	rig_add(&r, &svc, "svc", NULL);
	rig_start(&r);
	endless = rig_connect(&r, "svc", NULL);
	if (!rig_pipelines(endless)) {
		via_session_close(endless);
		done();
		cr_skip_test("a client that waits for its answers cannot keep a session busy");
	}
	rig_good(&r, "svc");
	atomic_store(&feeding, 0);
	endless_id = 3;
	for (i = 1; i <= 3; i++)
		cr_assert_eq(rig_send_number(endless, (uint64_t)i, i < 3 ? 1 : 666), VIA_OK);
	atomic_store(&feeding, 1);
	rig_until(atomic_load(&svc.calls) > 1000);
	for (i = 0; i < n_good; i++) {
		before = atomic_load(&svc.calls);
		rig_good(&r, "svc");
		before = atomic_load(&svc.calls) - before;
		cr_assert_leq(before, most, "%d calls came before it", before);
	}
	atomic_store(&feeding, 2);
	rig_until(atomic_load(&in_feed) == 0); /* from now on the session is the test's again */
	rig_until(rig_stats(&r).calls == (uint64_t)atomic_load(&svc.calls));
	via_session_close(endless);
	done();
}

STACK_TEST(many, a_session_that_is_never_idle_starves_nobody)
{
	check_fairness(stack, VIA_POLICY_BALANCED, 20, INT_MAX);
}

STACK_TEST(many, a_session_that_is_never_idle_starves_nobody_frugal)
{
	check_fairness(stack, VIA_POLICY_FRUGAL, 20, INT_MAX);
}

/* Turns of any length: each of these calls is as long as hundreds of others. What they hold up takes minutes; a few
 * seconds are what a busy machine under wine needs for a connection. */
STACK_TEST(many, long_calls_without_end_starve_nobody)
{
	feed_ns = RIG_MS;
	check_fairness(stack, VIA_POLICY_BALANCED, 5, 5000);
}

/* -- idle -------------------------------------------------------------------------------------- */

/* Looks for 300 ms after the last handshake's deadline. */
STACK_TEST(many, nobody_wakes_up_while_all_are_idle)
{
	via_session_config quick = {.struct_size = sizeof quick, .handshake_ms = 100};
	via_session *s[50];
	via_time end;
	int i;

	serve(stack, 0, &quick);
	for (i = 0; i < 50; i++)
		s[i] = rig_connect(&r, "svc", NULL);
	for (i = 0; i < 50; i++) {
		cr_assert_eq(rig_send_number(s[i], 1, 1), VIA_OK);
		rig_expect_number(s[i], 1, 1);
	}
	end = via_deadline(200 * RIG_MS);
	rig_until(via_now() > end && rig_all_asleep());
	cr_assert_geq(rig_threads(), 2);
	cr_expect(rig_idle_for(300 * RIG_MS), "a worker woke up");
	for (i = 0; i < 50; i++)
		via_session_close(s[i]);
	done();
}

static via_rc pend_on_77(rig_svc *v, rig_session *s, via_call *call)
{
	uint64_t number = 0;

	via_increment_decode(call->request, call->request_len, &number, NULL);
	return number == 77 ? rig_pend(v, s, call) : rig_answer(v, s, call);
}

/* A session in lively conversation is looked at instead of slept on, but not while its call is under way. */
STACK_TEST(many, nobody_spins_during_a_long_call)
{
	via_session *s;
	uint64_t i, before;
	via_time end;

	rig_prepare(&r, stack);
	r.policy = VIA_POLICY_LATENCY;
	r.options.n_workers = 1;
	cr_assert_eq(rig_open_registry(&r), VIA_OK);
	cr_assert_eq(rig_open_server(&r), VIA_OK);
	rig_svc_open(&svc, &r, VIA_SVC_ASYNC, pend_on_77);
	rig_add(&r, &svc, "svc", NULL);
	rig_start(&r);
	s = rig_connect(&r, "svc", NULL);
	for (i = 100; i < 300; i++) {
		cr_assert_eq(rig_send_number(s, i, i), VIA_OK);
		rig_expect_number(s, i, i);
	}
	cr_assert_eq(rig_send_number(s, 1, 77), VIA_OK);
	rig_until(atomic_load(&svc.n_pending) == 1 && rig_all_asleep());
	end = via_deadline(200 * RIG_MS);
	before = rig_cpu_ns();
	rig_until(via_now() > end);
	cr_expect_lt(rig_cpu_ns() - before, 150 * RIG_MS, "a thread is busy");
	rig_reply(&svc, 0);
	rig_expect_number(s, 1, 77);
	via_session_close(s);
	done();
}
