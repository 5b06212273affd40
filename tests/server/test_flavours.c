/* tests/server/test_flavours.c - services of every flavour: who may overlap with whom, on which thread, and
 * answers that come later. */
#include "rig.h"

TestSuite(flavours, .timeout = 60);

static rig r;
static rig_svc svc, other;

static void serve(const char *stack, uint32_t flags,
		  via_rc (*behave)(rig_svc *, rig_session *, via_call *))
{
	rig_open(&r, stack);
	rig_svc_open(&svc, &r, flags, behave);
	rig_add(&r, &svc, "svc", NULL);
	rig_svc_open(&other, &r, 0, rig_answer);
	rig_add(&r, &other, "other", NULL);
	rig_start(&r);
}

static void done(void)
{
	rig_close(&r);
	rig_svc_close(&svc);
	rig_svc_close(&other);
}

/* -- overlapping ------------------------------------------------------------------------------- */

struct caller {
	const char *service;
	int n;
	atomic_int failed, finished;
};

static void call_many(void *arg)
{
	struct caller *k = arg;
	via_client *c = rig_client(&r, k->service, NULL);
	int i;

	for (i = 0; i < k->n; i++)
		if (rig_client_call(c, (uint64_t)i) != VIA_OK)
			atomic_fetch_add(&k->failed, 1);
	via_client_close(c);
	atomic_store(&k->finished, 1);
}

static void call_from_threads(int n, int calls)
{
	struct caller k[8] = {{0}};
	os_thread *t[8];
	int i;

	for (i = 0; i < n; i++) {
		k[i].service = "svc";
		k[i].n = calls;
		t[i] = rig_thread(call_many, &k[i]);
	}
	for (i = 0; i < n; i++) {
		rig_join(t[i]);
		cr_expect_eq(atomic_load(&k[i].failed), 0);
	}
}

STACK_TEST(flavours, plain_calls_never_overlap)
{
	serve(stack, 0, rig_answer);
	call_from_threads(4, 200);
	cr_expect_eq(atomic_load(&svc.calls), 800);
	cr_expect_eq(atomic_load(&svc.most_running), 1);
	cr_expect_eq(rig_stats(&r).calls, 800);
	done();
}

STACK_TEST(flavours, blocking_calls_that_may_not_overlap_do_not)
{
	serve(stack, VIA_SVC_BLOCKING, rig_answer);
	call_from_threads(4, 100);
	cr_expect_eq(atomic_load(&svc.most_running), 1);
	done();
}

/* Two calls that each wait for the other one to be there too: only overlapping calls end. */
static via_rc meet(rig_svc *v, rig_session *s, via_call *call)
{
	via_time end = via_deadline(RIG_SOON);

	atomic_fetch_add(&v->held, 1);
	while (atomic_load(&v->held) < 2 && via_now() < end)
		rig_pause();
	return atomic_load(&v->held) < 2 ? VIA_TIMEOUT : rig_answer(v, s, call);
}

STACK_TEST(flavours, concurrent_blocking_calls_overlap)
{
	serve(stack, VIA_SVC_CONCURRENT | VIA_SVC_BLOCKING, meet);
	call_from_threads(2, 1);
	cr_expect_eq(atomic_load(&svc.most_running), 2);
	done();
}

Test(flavours, concurrent_calls_overlap_across_workers)
{
	via_session *a, *b;

	serve("loop", VIA_SVC_CONCURRENT, meet);
	a = rig_connect(&r, "svc", NULL);
	b = rig_connect(&r, "svc", NULL);
	cr_assert_eq(rig_send_number(a, 1, 1), VIA_OK);
	cr_assert_eq(rig_send_number(b, 1, 2), VIA_OK);
	rig_expect_number(a, 1, 1);
	rig_expect_number(b, 1, 2);
	via_session_close(a);
	via_session_close(b);
	done();
}

/* Gives an overlapping call 50 ms to happen. */
static via_rc look_out(rig_svc *v, rig_session *s, via_call *call)
{
	via_time end = via_deadline(50 * RIG_MS);

	while (atomic_load(&v->running) < 2 && via_now() < end)
		rig_pause();
	return rig_answer(v, s, call);
}

/* Two sessions, on two workers, each at an endpoint of its own or at the same one. */
static void check_no_overlap(const char *stack, uint32_t flags, const char *second)
{
	via_session *a, *b;

	rig_open(&r, stack);
	rig_svc_open(&svc, &r, flags, look_out);
	rig_svc_open(&other, &r, 0, rig_answer);
	rig_add(&r, &svc, "svc", NULL);
	rig_add(&r, &svc, "twin", NULL);
	rig_start(&r);
	a = rig_connect(&r, "svc", NULL);
	b = rig_connect(&r, second, NULL);
	cr_assert_eq(rig_send_number(a, 1, 1), VIA_OK);
	cr_assert_eq(rig_send_number(b, 1, 2), VIA_OK);
	rig_expect_number(a, 1, 1);
	rig_expect_number(b, 1, 2);
	cr_expect_eq(atomic_load(&svc.most_running), 1);
	via_session_close(a);
	via_session_close(b);
	done();
}

STACK_TEST(flavours, workers_do_not_overlap)
{
	check_no_overlap(stack, 0, "svc");
}

STACK_TEST(flavours, pool_threads_do_not_overlap)
{
	check_no_overlap(stack, VIA_SVC_BLOCKING, "svc");
}

STACK_TEST(flavours, endpoints_of_one_service_do_not_overlap)
{
	check_no_overlap(stack, 0, "twin");
}

STACK_TEST(flavours, endpoints_of_one_service_do_not_overlap_on_the_pool)
{
	check_no_overlap(stack, VIA_SVC_BLOCKING, "twin");
}

/* -- blocking ---------------------------------------------------------------------------------- */

/* A call that blocks holds up neither other services, nor the opening and closing of its own sessions. */
static void check_others_go_on(const char *stack, uint32_t flags)
{
	via_session *a, *b, *c;

	rig_prepare(&r, stack);
	r.options.n_workers = 1;
	cr_assert_eq(rig_open_registry(&r), VIA_OK);
	cr_assert_eq(rig_open_server(&r), VIA_OK);
	rig_svc_open(&svc, &r, flags, rig_held);
	rig_svc_open(&other, &r, 0, rig_answer);
	rig_add(&r, &svc, "svc", NULL);
	rig_add(&r, &other, "other", NULL);
	rig_start(&r);
	rig_gate(&svc, 1);
	c = rig_connect(&r, "svc", NULL);
	rig_gate(&svc, 0);
	cr_assert_eq(rig_send_number(c, 1, 1), VIA_OK);
	rig_expect_number(c, 1, 1);
	rig_gate(&svc, 1);
	a = rig_connect(&r, "svc", NULL);
	b = rig_connect(&r, "svc", NULL);
	cr_assert_eq(rig_send_number(a, 1, 10), VIA_OK);
	rig_until(atomic_load(&svc.held) == 1);
	rig_good(&r, "other");
	cr_assert_eq(rig_send_number(b, 1, 20), VIA_OK); /* opens a session of the service */
	rig_until(atomic_load(&svc.opens) == 3);
	rig_good(&r, "other");
	via_session_close(c); /* closes one */
	rig_until(atomic_load(&svc.closes) == 1);
	rig_good(&r, "other");
	rig_gate(&svc, 0);
	rig_expect_number(a, 1, 10);
	rig_expect_number(b, 1, 20);
	via_session_close(a);
	via_session_close(b);
	done();
}

STACK_TEST(flavours, a_blocking_call_holds_nobody_up)
{
	check_others_go_on(stack, VIA_SVC_BLOCKING);
}

STACK_TEST(flavours, a_concurrent_blocking_call_holds_nobody_up)
{
	check_others_go_on(stack, VIA_SVC_BLOCKING | VIA_SVC_CONCURRENT);
}

/* Messages that wait for their turn at one service do not take the pool away from another. */
STACK_TEST(flavours, a_queue_at_one_service_leaves_the_pool_to_others)
{
	via_session *s[4];
	int i;

	rig_open(&r, stack);
	rig_svc_open(&svc, &r, VIA_SVC_BLOCKING, rig_held);
	rig_svc_open(&other, &r, VIA_SVC_BLOCKING, rig_answer);
	rig_add(&r, &svc, "svc", NULL);
	rig_add(&r, &other, "other", NULL);
	rig_start(&r);
	rig_gate(&svc, 1);
	for (i = 0; i < 4; i++) {
		s[i] = rig_connect(&r, "svc", NULL);
		cr_assert_eq(rig_send_number(s[i], 1, (uint64_t)i), VIA_OK);
		rig_until(atomic_load(&svc.opens) == i + 1);
	}
	rig_until(atomic_load(&svc.held) == 1);
	rig_good(&r, "other");
	rig_gate(&svc, 0);
	for (i = 0; i < 4; i++) {
		rig_expect_number(s[i], 1, (uint64_t)i);
		via_session_close(s[i]);
	}
	cr_expect_eq(atomic_load(&svc.most_running), 1);
	done();
}

/* -- answers that come later ------------------------------------------------------------------- */

STACK_TEST(flavours, replies_come_in_any_order)
{
	via_session *s[8];
	int i;

	serve(stack, VIA_SVC_ASYNC, rig_pend);
	for (i = 0; i < 8; i++) {
		s[i] = rig_connect(&r, "svc", NULL);
		cr_assert_eq(rig_send_number(s[i], 100, (uint64_t)i), VIA_OK);
		rig_until(atomic_load(&svc.n_pending) == i + 1);
	}
	rig_good(&r, "other");
	for (i = 7; i >= 0; i--) {
		rig_reply(&svc, i);
		rig_expect_number(s[i], 100, (uint64_t)i);
		rig_reply(&svc, i); /* once more: nobody is there to take it */
		atomic_fetch_add(&svc.of[i]->calls, 1);
	}
	via_server_reply(r.srv, 0, VIA_OK, "x", 1);
	via_server_reply(r.srv, UINT64_MAX, VIA_OK, "x", 1);
	for (i = 0; i < 8; i++)
		via_session_close(s[i]);
	done();
}

/* Replies from another thread, which may be there before call() has returned. */
static via_rc pend_and_tell(rig_svc *v, rig_session *s, via_call *call)
{
	via_rc rc = rig_pend(v, s, call);

	os_mutex_lock(&v->lock);
	os_cond_broadcast(&v->cond);
	os_mutex_unlock(&v->lock);
	return rc;
}

static void replier(void *arg)
{
	rig_svc *v = arg;
	int i;

	for (i = 0; i < RIG_CALLS; i++) {
		os_mutex_lock(&v->lock);
		while (atomic_load(&v->n_pending) == i)
			os_cond_wait(&v->cond, &v->lock);
		os_mutex_unlock(&v->lock);
		rig_reply(v, i);
	}
}

static void check_replier(const char *stack, uint32_t flags)
{
	os_thread *t;

	serve(stack, flags, pend_and_tell);
	t = rig_thread(replier, &svc);
	call_from_threads(4, RIG_CALLS / 4);
	rig_join(t);
	cr_expect_eq(rig_stats(&r).calls, RIG_CALLS);
	done();
}

STACK_TEST(flavours, replies_race_with_the_call)
{
	check_replier(stack, VIA_SVC_ASYNC);
}

STACK_TEST(flavours, replies_race_with_a_call_on_the_pool)
{
	check_replier(stack, VIA_SVC_ASYNC | VIA_SVC_BLOCKING);
}

/* The reply is given inside of call(), which then says what it likes. */
static via_rc reply_inside(rig_svc *v, rig_session *s, via_call *call)
{
	uint64_t number = 0, used = 0;
	uint8_t bytes[VIA_INCREMENT_SIZE];

	(void)s;
	via_increment_decode(call->request, call->request_len, &number, NULL);
	via_increment_encode(bytes, sizeof bytes, number + 1, &used);
	via_server_reply(v->r->srv, call->token, VIA_OK, bytes, used);
	if (number % 3 == 0)
		return VIA_PENDING;
	via_increment_encode(call->response, call->response_cap, 0, &call->response_len);
	return number % 3 == 1 ? VIA_OK : VIA_IO;
}

static via_rc reply_inside_uncounted(rig_svc *v, rig_session *s, via_call *call)
{
	via_rc rc = reply_inside(v, s, call);

	if (rc == VIA_PENDING)
		atomic_fetch_sub(&s->calls, 1);
	return rc;
}

STACK_TEST(flavours, a_reply_inside_of_the_call_counts)
{
	serve(stack, VIA_SVC_ASYNC, reply_inside_uncounted);
	call_from_threads(2, 60);
	done();
}

/* What a reply says becomes the status of the answer, and the session ends as with any other. */
static void check_reply(const char *stack, via_rc rc, uint32_t len, uint16_t status)
{
	static uint8_t big[2 << 20];
	via_session *s;

	serve(stack, VIA_SVC_ASYNC, rig_pend);
	s = rig_connect(&r, "svc", NULL);
	cr_assert_eq(rig_send_number(s, 5, 1), VIA_OK);
	rig_until(atomic_load(&svc.n_pending) == 1);
	atomic_fetch_sub(&svc.of[0]->calls, 1);
	via_server_reply(r.srv, svc.token[0], rc, big, len);
	rig_expect_status(s, 5, NUMBER, status, 1);
	via_session_close(s);
	cr_expect_eq(rig_stats(&r).calls_failed, 1);
	done();
}

STACK_TEST(flavours, a_reply_too_big_is_limit_exceeded)
{
	check_reply(stack, VIA_TOOBIG, 0, VIA_STATUS_LIMIT_EXCEEDED);
}

STACK_TEST(flavours, a_reply_over_the_limit_is_limit_exceeded)
{
	check_reply(stack, VIA_OK, 65537, VIA_STATUS_LIMIT_EXCEEDED);
}

STACK_TEST(flavours, a_reply_over_the_ceiling_is_limit_exceeded)
{
	check_reply(stack, VIA_OK, 2 << 20, VIA_STATUS_LIMIT_EXCEEDED);
}

STACK_TEST(flavours, a_failed_reply_is_internal_error)
{
	check_reply(stack, VIA_PERM, 0, VIA_STATUS_INTERNAL_ERROR);
}

/* -- refusals and lies ------------------------------------------------------------------------- */

STACK_TEST(flavours, open_may_refuse_the_peer)
{
	via_session *s;

	serve(stack, 0, rig_answer);
	svc.open_rc = VIA_PERM;
	s = rig_connect(&r, "svc", NULL);
	cr_assert_eq(rig_send_number(s, 5, 1), VIA_OK);
	rig_expect_status(s, 5, NUMBER, VIA_STATUS_INTERNAL_ERROR, 1);
	via_session_close(s);
	cr_expect(rig_log_has(&r, "service svc refuses a session"), "%s", r.log);
	cr_expect(rig_log_has(&r, "not for you"), "%s", r.log);
	cr_expect_eq(atomic_load(&svc.calls), 0);
	rig_good(&r, "other");
	svc.open_rc = VIA_OK;
	rig_good(&r, "svc");
	done();
}

static via_rc boast(rig_svc *v, rig_session *s, via_call *call)
{
	(void)v;
	(void)s;
	call->response_len = call->response_cap + 1;
	return VIA_OK;
}

static via_rc promise(rig_svc *v, rig_session *s, via_call *call)
{
	(void)v;
	(void)call;
	atomic_fetch_sub(&s->calls, 1);
	return VIA_PENDING;
}

static void check_lie(const char *stack, via_rc (*behave)(rig_svc *, rig_session *, via_call *),
		      const char *says)
{
	via_session *s;

	serve(stack, 0, behave);
	s = rig_connect(&r, "svc", NULL);
	cr_assert_eq(rig_send_number(s, 5, 1), VIA_OK);
	rig_expect_status(s, 5, NUMBER, VIA_STATUS_INTERNAL_ERROR, 1);
	via_session_close(s);
	cr_expect(rig_log_has(&r, says), "expected \"%s\" in: %s", says, r.log);
	rig_good(&r, "other");
	done();
}

STACK_TEST(flavours, an_answer_longer_than_its_room_is_internal_error)
{
	check_lie(stack, boast, "wrote 65537 bytes into room for 65536");
}

STACK_TEST(flavours, pending_without_the_flag_is_internal_error)
{
	check_lie(stack, promise, "without VIA_SVC_ASYNC");
}

/* -- clients that vanish ----------------------------------------------------------------------- */

/* Closing the server asks for the calls that are still owed; replying then ends it. */
static void reply_when_cancelled(void *arg)
{
	rig_svc *v = arg;

	while (atomic_load(&v->cancels) == 0)
		rig_pause();
	rig_reply(v, 0);
}

static void check_cancel_at_close(const char *stack, uint32_t flags)
{
	via_session *s;
	os_thread *t;

	serve(stack, flags, rig_pend);
	s = rig_connect(&r, "svc", NULL);
	cr_assert_eq(rig_send_number(s, 5, 1), VIA_OK);
	rig_until(atomic_load(&svc.n_pending) == 1);
	t = rig_thread(reply_when_cancelled, &svc);
	cr_expect_eq(via_server_drain(r.srv, VIA_POLL), VIA_TIMEOUT);
	rig_join(t);
	cr_expect_eq(atomic_load(&svc.cancels), 1);
	cr_expect_eq(atomic_load(&svc.cancelled), svc.token[0]);
	via_session_close(s);
	done();
}

STACK_TEST(flavours, stopping_cancels_what_is_pending)
{
	check_cancel_at_close(stack, VIA_SVC_ASYNC);
}

STACK_TEST(flavours, stopping_cancels_what_is_pending_from_the_pool)
{
	check_cancel_at_close(stack, VIA_SVC_ASYNC | VIA_SVC_BLOCKING);
}

static void check_vanish(const char *stack, uint32_t flags)
{
	via_session *s;

	if (strcmp(stack, "loop") == 0)
		cr_skip_test("its end is heard behind the records only");
	serve(stack, flags, rig_pend);
	s = rig_connect(&r, "svc", NULL);
	cr_assert_eq(rig_send_number(s, 5, 1), VIA_OK);
	rig_until(atomic_load(&svc.n_pending) == 1);
	via_session_close(s);
	rig_until(atomic_load(&svc.cancels) == 1);
	cr_expect_eq(atomic_load(&svc.cancelled), svc.token[0]);
	cr_expect_eq(atomic_load(&svc.closes), 0);
	rig_good(&r, "other");
	rig_reply(&svc, 0);
	rig_until(atomic_load(&svc.closes) == 1);
	rig_until(rig_stats(&r).n_sessions == 0);
	cr_expect(rig_log_has(&r, "the peer left during a call"), "%s", r.log);
	done();
}

STACK_TEST(flavours, a_client_that_vanishes_cancels_its_call)
{
	check_vanish(stack, VIA_SVC_ASYNC);
}

STACK_TEST(flavours, a_client_that_vanishes_cancels_its_call_on_the_pool)
{
	check_vanish(stack, VIA_SVC_ASYNC | VIA_SVC_BLOCKING);
}

/* A batch for a client that is gone is not worked through. */
Test(flavours, a_client_that_vanishes_ends_its_batch)
{
	uint8_t payload[64 * 16 + 64];
	via_session_config c = {.struct_size = sizeof c,
				.max_request_batch = 64,
				.max_request_payload = 2048};
	via_session_config sc = {.struct_size = sizeof sc, .max_request_payload = 4096};
	via_wire_batch b;
	via_session *s;
	uint64_t i, used;
	uint8_t item[8];

	rig_open(&r, PLATFORM_BASELINE);
	rig_svc_open(&svc, &r, VIA_SVC_BLOCKING, rig_held);
	rig_svc_open(&other, &r, 0, rig_answer);
	rig_add(&r, &svc, "svc", &sc);
	rig_add(&r, &other, "other", NULL);
	rig_start(&r);
	rig_gate(&svc, 1);
	cr_assert_eq(via_wire_batch_begin(&b, payload, sizeof payload, 64), VIA_OK);
	for (i = 0; i < 64; i++) {
		via_increment_encode(item, sizeof item, i, &used);
		cr_assert_eq(via_wire_batch_add(&b, item, sizeof item), VIA_OK);
	}
	s = rig_connect(&r, "svc", &c);
	cr_assert_eq(rig_send(s,
			      &(via_message){.code = NUMBER,
					     .flags = VIA_WIRE_FLAG_BATCH,
					     .item_count = 64,
					     .id = 1,
					     .payload = payload,
					     .payload_len = (uint32_t)via_wire_batch_finish(&b)}),
		     VIA_OK);
	rig_until(atomic_load(&svc.held) == 1);
	via_session_close(s);
	rig_until(rig_log_has(&r, "the peer left during a call"));
	rig_gate(&svc, 0);
	rig_until(atomic_load(&svc.closes) == 1);
	cr_expect_eq(atomic_load(&svc.calls), 1, "%d of 64 calls were made for nobody",
		     atomic_load(&svc.calls));
	done();
}

/* On every transport: what a client that is gone left behind is noticed at the latest with the answer. */
STACK_TEST(flavours, an_answer_for_nobody_is_dropped)
{
	via_session *s;

	serve(stack, VIA_SVC_ASYNC, rig_pend);
	s = rig_connect(&r, "svc", NULL);
	cr_assert_eq(rig_send_number(s, 5, 1), VIA_OK);
	rig_until(atomic_load(&svc.n_pending) == 1);
	via_session_close(s);
	rig_reply(&svc, 0);
	rig_until(atomic_load(&svc.closes) == 1);
	rig_good(&r, "other");
	done();
}
