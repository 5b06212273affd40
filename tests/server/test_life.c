/* tests/server/test_life.c - starting, draining, stopping, and starting again. */
#include "rig.h"

TestSuite(life, .timeout = 60);

static rig r;
static rig_svc svc;

static void serve(const char *stack, uint32_t flags,
		  via_rc (*behave)(rig_svc *, rig_session *, via_call *))
{
	rig_open(&r, stack);
	rig_svc_open(&svc, &r, flags, behave);
	rig_add(&r, &svc, "svc", NULL);
	rig_start(&r);
}

static void done(void)
{
	rig_close(&r);
	rig_svc_close(&svc);
}

static void expect_end(via_session *s)
{
	via_message m;
	via_rc rc = rig_recv(s, &m, NULL, 0);

	cr_expect(rc == VIA_CLOSED || rc == VIA_RESET, "expected the end, found %s",
		  via_rc_name(rc));
}

/* -- start ------------------------------------------------------------------------------------- */

STACK_TEST(life, what_start_asks_for)
{
	via_server_options bad = {.struct_size = sizeof bad, .n_workers = 65};
	via_endpoint ep;
	via_server *s = NULL;

	rig_open(&r, stack);
	cr_expect_eq(via_server_start(r.srv), VIA_STATE, "without an endpoint");
	cr_expect_eq(via_server_open(r.reg, &bad, &s), VIA_INVAL);
	bad = (via_server_options){.struct_size = sizeof bad, .n_pool = 257};
	cr_expect_eq(via_server_open(r.reg, &bad, &s), VIA_INVAL);
	bad = (via_server_options){.struct_size = 4};
	cr_expect_eq(via_server_open(r.reg, &bad, &s), VIA_INVAL);
	cr_expect_null(s);
	rig_svc_open(&svc, &r, 0, rig_answer);
	ep = rig_endpoint(&r, "..");
	cr_expect_eq(via_server_add_service(r.srv, &ep, NULL, &svc.vt, &svc), VIA_INVAL);
	ep = rig_endpoint(&r, "svc");
	cr_expect_eq(via_server_add_service(r.srv, &ep, NULL, NULL, &svc), VIA_INVAL);
	svc.vt.call = NULL;
	cr_expect_eq(via_server_add_service(r.srv, &ep, NULL, &svc.vt, &svc), VIA_INVAL);
	ep = rig_endpoint(&r, "no-such-service");
	cr_expect_eq(via_server_add(r.srv, &ep, NULL), VIA_NOTFOUND);
	rig_svc_close(&svc);
	rig_svc_open(&svc, &r, 0, rig_answer);
	rig_add(&r, &svc, "svc", NULL);
	rig_start(&r);
	cr_expect_eq(via_server_start(r.srv), VIA_STATE, "twice");
	ep = rig_endpoint(&r, "late");
	cr_expect_eq(via_server_add_service(r.srv, &ep, NULL, &svc.vt, &svc), VIA_STATE);
	rig_good(&r, "svc");
	done();
}

STACK_TEST(life, closing_what_was_never_started)
{
	rig_open(&r, stack);
	rig_svc_open(&svc, &r, 0, rig_answer);
	rig_add(&r, &svc, "svc", NULL);
	cr_expect_eq(via_server_drain(r.srv, VIA_POLL), VIA_OK);
	via_server_close(NULL);
	done();
}

/* All or nothing: the first endpoint is not left behind when the second is taken. */
STACK_TEST(life, a_live_endpoint_is_not_taken_over)
{
	via_server *second = NULL;
	via_endpoint ep;
	int i;

	serve(stack, 0, rig_answer);
	for (i = 0; i < 3; i++) {
		cr_assert_eq(via_server_open(r.reg, &r.options, &second), VIA_OK);
		ep = rig_endpoint(&r, "first");
		cr_assert_eq(via_server_add_service(second, &ep, NULL, &svc.vt, &svc), VIA_OK);
		ep = rig_endpoint(&r, "svc");
		cr_assert_eq(via_server_add_service(second, &ep, NULL, &svc.vt, &svc), VIA_OK);
		cr_expect_eq(via_server_start(second), VIA_EXISTS, "%s", via_error());
		cr_expect_eq(rig_call(&r, "first", 1), VIA_UNREACH);
		cr_expect_eq(via_server_start(second), VIA_EXISTS, "%s", via_error());
		via_server_close(second);
	}
	rig_good(&r, "svc");
	done();
}

STACK_TEST(life, a_new_server_takes_the_place_of_a_closed_one)
{
	int i;

	serve(stack, 0, rig_answer);
	for (i = 0; i < 10; i++) {
		via_session *s = rig_connect(&r, "svc", NULL);

		cr_assert_eq(rig_send_number(s, 1, 1), VIA_OK);
		rig_expect_number(s, 1, 1);
		via_server_close(r.srv);
		expect_end(s);
		via_session_close(s);
		cr_assert_eq(rig_call(&r, "svc", 1), VIA_UNREACH);
		cr_assert_eq(rig_open_server(&r), VIA_OK);
		rig_add(&r, &svc, "svc", NULL);
		rig_start(&r);
		rig_good(&r, "svc");
	}
	cr_expect(rig_log_has(&r, "listening for svc at "), "%s", r.log);
	done();
}

/* -- life -------------------------------------------------------------------------------------- */

STACK_TEST(life, a_worker_stuck_in_a_call_does_not_go_round)
{
	via_session *s;
	int i;

	serve(stack, 0, rig_held);
	for (i = 0; i < 3; i++)
		rig_until(via_server_alive(r.srv) == VIA_OK);
	rig_gate(&svc, 1);
	s = rig_connect(&r, "svc", NULL);
	cr_assert_eq(rig_send_number(s, 1, 1), VIA_OK);
	rig_until(atomic_load(&svc.held) == 1);
	(void)via_server_alive(r.srv); /* the last time it could have gone round since */
	for (i = 0; i < 3; i++)
		cr_expect_eq(via_server_alive(r.srv), VIA_BUSY);
	rig_until(via_server_alive(r.srv) == VIA_BUSY && /* the other one may need a moment, too */
		  strcmp(via_error(), "1 of 2 workers have not gone round since") == 0);
	rig_gate(&svc, 0);
	rig_expect_number(s, 1, 1);
	for (i = 0; i < 3; i++)
		rig_until(via_server_alive(r.srv) == VIA_OK);
	via_session_close(s);
	cr_expect_eq(via_server_drain(r.srv, via_deadline(RIG_SOON)), VIA_OK, "%s", via_error());
	cr_expect_eq(via_server_alive(r.srv), VIA_OK, "what was stopped is not stuck");
	done();
}

STACK_TEST(life, threads_for_blocking_services_may_take_their_time)
{
	via_session *s;
	int i;

	serve(stack, VIA_SVC_BLOCKING, rig_held);
	rig_gate(&svc, 1);
	s = rig_connect(&r, "svc", NULL);
	cr_assert_eq(rig_send_number(s, 1, 1), VIA_OK);
	rig_until(atomic_load(&svc.held) == 1);
	for (i = 0; i < 3; i++)
		rig_until(via_server_alive(r.srv) == VIA_OK);
	rig_gate(&svc, 0);
	rig_expect_number(s, 1, 1);
	via_session_close(s);
	done();
}

/* -- drain ------------------------------------------------------------------------------------- */

STACK_TEST(life, idle_sessions_are_closed_at_once)
{
	via_session *s[20];
	via_endpoint ep;
	via_session *late = NULL;
	int i;

	serve(stack, 0, rig_answer);
	for (i = 0; i < 20; i++)
		s[i] = rig_connect(&r, "svc", NULL);
	cr_expect_eq(via_server_drain(r.srv, via_deadline(RIG_SOON)), VIA_OK, "%s", via_error());
	cr_expect_eq(rig_stats(&r).n_sessions, 0);
	for (i = 0; i < 20; i++) {
		expect_end(s[i]);
		via_session_close(s[i]);
	}
	ep = rig_endpoint(&r, "svc");
	cr_expect_eq(via_session_connect(r.reg, &ep, NULL, via_deadline(RIG_SOON), &late),
		     VIA_UNREACH);
	cr_expect_eq(via_server_drain(r.srv, via_deadline(RIG_SOON)), VIA_OK, "a second time");
	done();
}

struct drain {
	via_time deadline;
	via_rc rc;
	atomic_int finished;
};

static void drain(void *arg)
{
	struct drain *d = arg;

	d->rc = via_server_drain(r.srv, d->deadline);
	atomic_store(&d->finished, 1);
}

/* The name of a pipe lasts as long as its sessions, and nobody waits at it any more: AGAIN. */
static int refuses_connections(void)
{
	via_endpoint ep = rig_endpoint(&r, "svc");
	via_session *s = NULL;
	via_rc rc = via_session_start(r.reg, &ep, NULL, &s);

	via_session_close(s);
#if defined(_WIN32)
	return rc == VIA_UNREACH || rc == VIA_AGAIN;
#else
	return rc == VIA_UNREACH;
#endif
}

/* n requests are pipelined; those that are being answered when the drain begins are. */
static void check_drain(const char *stack, uint32_t flags,
			via_rc (*behave)(rig_svc *, rig_session *, via_call *), uint64_t n)
{
	struct drain d = {.deadline = via_deadline(RIG_SOON)};
	os_thread *t;
	via_session *s, *idle;
	uint64_t i;

	serve(stack, flags, behave);
	rig_gate(&svc, 1);
	s = rig_connect(&r, "svc", NULL);
	idle = rig_connect(&r, "svc", NULL);
	for (i = 1; i <= (rig_pipelines(s) ? n : 1); i++)
		cr_assert_eq(rig_send_number(s, i, i), VIA_OK);
	rig_until(behave == rig_pend ? atomic_load(&svc.n_pending) == 1
				     : atomic_load(&svc.held) == 1);
	t = rig_thread(drain, &d);
	rig_until(refuses_connections());
	expect_end(idle);
	cr_expect_eq(atomic_load(&d.finished), 0, "a call is still running");
	if (behave == rig_pend)
		rig_reply(&svc, 0);
	rig_gate(&svc, 0);
	rig_expect_number(s, 1, 1);
	expect_end(s);
	via_session_close(s);
	rig_join(t);
	cr_expect_eq(d.rc, VIA_OK, "%s", via_rc_name(d.rc));
	via_session_close(idle);
	done();
}

STACK_TEST(life, a_running_call_is_answered_first)
{
	check_drain(stack, VIA_SVC_BLOCKING, rig_held, 1);
}

STACK_TEST(life, a_running_call_is_answered_first_with_others_behind_it)
{
	check_drain(stack, VIA_SVC_BLOCKING, rig_held, 10);
}

STACK_TEST(life, a_pending_call_is_answered_first)
{
	check_drain(stack, VIA_SVC_ASYNC, rig_pend, 1);
}

STACK_TEST(life, a_pending_call_is_answered_first_with_others_behind_it)
{
	check_drain(stack, VIA_SVC_ASYNC | VIA_SVC_BLOCKING, rig_pend, 10);
}

/* The drain begins while the worker itself is in a call, so that it has not noticed when the answer leaves. */
static os_thread *draining;
static struct drain meanwhile;

static via_rc drain_meanwhile(rig_svc *v, rig_session *s, via_call *call)
{
	if (draining == NULL) {
		meanwhile.deadline = via_deadline(RIG_SOON);
		draining = rig_thread(drain, &meanwhile);
		rig_until(refuses_connections()); /* so the other worker has noticed */
	}
	return rig_answer(v, s, call);
}

STACK_TEST(life, what_was_asked_before_a_drain_is_answered)
{
	via_session *first, *s;
	uint64_t i, n;

	draining = NULL;
	serve(stack, 0, drain_meanwhile);
	first = rig_connect(&r, "svc",
			    NULL); /* stays with the worker that accepts, the next one does not */
	s = rig_connect(&r, "svc", NULL);
	n = rig_pipelines(s) ? 2 : 1;
	for (i = 1; i <= n; i++) /* the second is there before the drain begins */
		cr_assert_eq(rig_send_number(s, i, i), VIA_OK);
	for (i = 1; i <= n; i++)
		rig_expect_number(s, i, i);
	expect_end(s);
	via_session_close(s);
	via_session_close(first);
	rig_join(draining);
	cr_expect_eq(meanwhile.rc, VIA_OK, "%s", via_rc_name(meanwhile.rc));
	cr_expect_eq(atomic_load(&svc.calls), (int)n);
	done();
}

/* A call that is stuck: the deadline holds, and only close waits for the call. */
static void close_server(void *arg)
{
	struct drain *d = arg;

	via_server_close(r.srv);
	atomic_store(&d->finished, 1);
}

STACK_TEST(life, a_stuck_call_ends_a_drain_at_its_deadline)
{
	struct drain d = {.deadline = via_deadline(100 * RIG_MS)}, c = {0};
	os_thread *t;
	via_session *s;

	serve(stack, VIA_SVC_BLOCKING, rig_held);
	rig_gate(&svc, 1);
	s = rig_connect(&r, "svc", NULL);
	cr_assert_eq(rig_send_number(s, 1, 1), VIA_OK);
	rig_until(atomic_load(&svc.held) == 1);
	t = rig_thread(drain, &d);
	rig_until(atomic_load(&d.finished) == 1);
	rig_join(t);
	cr_expect_eq(d.rc, VIA_TIMEOUT, "%s", via_rc_name(d.rc));
	expect_end(s);
	cr_expect_eq(via_server_drain(r.srv, via_deadline(RIG_MS)), VIA_TIMEOUT, "it still is");
	t = rig_thread(close_server, &c);
	cr_expect_eq(atomic_load(&svc.closes), 0);
	cr_expect_eq(atomic_load(&c.finished), 0, "closed under a call");
	rig_gate(&svc, 0);
	rig_join(t);
	r.srv = NULL;
	via_session_close(s);
	done();
}

/* Calls that wait for the pool when the server stops are not made any more. */
STACK_TEST(life, queued_calls_are_dropped_by_a_stop)
{
	via_session *s[6];
	os_thread *t;
	struct drain c = {0};
	int i;

	serve(stack, VIA_SVC_BLOCKING, rig_held);
	rig_gate(&svc, 1);
	for (i = 0; i < 6; i++) {
		s[i] = rig_connect(&r, "svc", NULL);
		cr_assert_eq(rig_send_number(s[i], 1, 1), VIA_OK);
		rig_until(atomic_load(&svc.opens) == i + 1);
	}
	rig_until(atomic_load(&svc.held) == 1);
	cr_expect_eq(via_server_drain(r.srv, VIA_POLL), VIA_TIMEOUT);
	for (i = 0; i < 6; i++)
		expect_end(s[i]);
	t = rig_thread(close_server, &c);
	rig_gate(&svc, 0);
	rig_join(t);
	r.srv = NULL;
	cr_expect_eq(atomic_load(&svc.calls), 1, "%d calls were made for nobody",
		     atomic_load(&svc.calls));
	for (i = 0; i < 6; i++)
		via_session_close(s[i]);
	done();
}

/* -- many of them -------------------------------------------------------------------------------- */

enum { CROWD = 200 };

/* Half of them idle, half in the middle of a call. */
STACK_TEST(life, a_stop_with_hundreds_of_clients_ends_them_all)
{
	static via_session *s[CROWD];
	via_time t0;
	int i;

	serve(stack, VIA_SVC_ASYNC, rig_pend);
	for (i = 0; i < CROWD; i++) {
		s[i] = rig_connect(&r, "svc", NULL);
		if (i % 2 != 0)
			cr_assert_eq(rig_send_number(s[i], 1, 1), VIA_OK);
	}
	rig_until(atomic_load(&svc.n_pending) == CROWD / 2);
	t0 = via_now();
	cr_expect_eq(via_server_drain(r.srv, VIA_POLL), VIA_TIMEOUT);
	for (i = 0; i < CROWD; i++) {
		expect_end(s[i]);
		via_session_close(s[i]);
	}
	cr_expect_lt(via_now() - t0, RIG_SOON / 2);
	cr_expect_eq(atomic_load(&svc.cancels), CROWD / 2);
	for (i = 0; i < CROWD / 2; i++)
		rig_reply(&svc, i); /* what was cancelled is still owed to the server */
	done();
}

/* -- drain and clients that keep coming -------------------------------------------------------- */

static atomic_int coming, wrong;

static void keep_coming(void *arg)
{
	uint64_t n = 0;

	(void)arg;
	while (atomic_load(&coming) != 0) {
		via_rc rc = rig_call(&r, "svc", n++);

		if (rc == VIA_PROTO || rc == VIA_TIMEOUT || rc == VIA_NOMEM)
			atomic_store(&wrong, (int)rc);
	}
}

STACK_TEST(life, draining_while_clients_keep_coming)
{
	os_thread *t[3];
	int round, i;

	serve(stack, 0, rig_answer);
	atomic_store(&coming, 1);
	for (i = 0; i < 3; i++)
		t[i] = rig_thread(keep_coming, NULL);
	for (round = 0; round < 15; round++) {
		int before = atomic_load(&svc.calls);
		via_rc rc;

		rig_until(atomic_load(&svc.calls) > before + 20);
		rc = via_server_drain(r.srv, via_deadline(RIG_SOON));
		cr_expect_eq(rc, VIA_OK, "round %d: %s: %s", round, via_rc_name(rc), via_error());
		via_server_close(r.srv);
		cr_assert_eq(rig_open_server(&r), VIA_OK);
		rig_add(&r, &svc, "svc", NULL);
		rig_start(&r);
	}
	atomic_store(&coming, 0);
	for (i = 0; i < 3; i++)
		rig_join(t[i]);
	cr_expect_eq(atomic_load(&wrong), 0, "%s", via_rc_name(atomic_load(&wrong)));
	done();
}
