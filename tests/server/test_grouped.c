/* tests/server/test_grouped.c - short messages that come together: answered together or one by one, the peer sees no
 * difference. */
#include "rig.h"

TestSuite(grouped, .timeout = 60);

enum { MESSAGES = 400, BURST = 8 };

static rig r;

/* What the service does, and what it was asked. */
struct plural {
	unsigned fail_every;  /* the nth call_many fails; 0: none */
	uint32_t many_length; /* of answers of call_many, if not 0: too much to be sent together */
	atomic_uint n_many, n_single;
};

static via_rc VIA_CALL one(void *self, void *session, via_call *call)
{
	struct plural *p = self;
	uint64_t value;
	via_rc rc = via_increment_decode(call->request, call->request_len, &value, NULL);

	(void)session;
	atomic_fetch_add(&p->n_single, 1);
	if (rc != VIA_OK)
		return rc;
	return via_increment_encode(call->response, call->response_cap, value + 1,
				    &call->response_len);
}

static via_rc VIA_CALL many(void *self, void *session, via_calls *calls)
{
	struct plural *p = self;
	uint8_t *out = calls->response;
	uint32_t i, length = p->many_length != 0 ? p->many_length : 8;
	unsigned n = atomic_fetch_add(&p->n_many, 1) + 1;

	(void)session;
	if (p->fail_every != 0 && n % p->fail_every == 0)
		return VIA_IO;
	if (calls->response_cap < (uint64_t)calls->n * length)
		return VIA_TOOBIG;
	for (i = 0; i < calls->n; i++) {
		uint64_t value, used;

		if (via_increment_decode(calls->requests[i].base, calls->requests[i].len, &value,
					 NULL) != VIA_OK)
			return VIA_STATE; /* the core has checked that */
		(void)via_increment_encode(out + (size_t)i * length, 8, value + 1, &used);
		calls->lengths[i] = length;
	}
	return VIA_OK;
}

static const char *const codecs[] = {"increment", NULL};

static const via_session_config config = {.struct_size = sizeof config,
					  .max_request_payload = 4096,
					  .max_request_batch = 4,
					  .max_response_payload = 4096};
static via_service service;

static via_session *serve(const char *stack, struct plural *p, uint32_t flags)
{
	via_endpoint ep;

	if (strstr(stack, "shm") != NULL)
		cr_skip_test("what netipc shares holds one message each way");
	service = (via_service){.struct_size = sizeof service,
				.flags = flags,
				.name = "svc",
				.codecs = codecs,
				.call = one,
				.call_many = many};
	rig_open(&r, stack);
	ep = rig_endpoint(&r, "svc");
	cr_assert_eq(via_server_add_service(r.srv, &ep, &config, &service, p), VIA_OK);
	rig_start(&r);
	return rig_connect(&r, "svc", &config);
}

static via_message request(uint64_t id, const uint64_t *number)
{
	return (via_message){.kind = VIA_WIRE_REQUEST,
			     .code = NUMBER,
			     .item_count = 1,
			     .id = id,
			     .payload_len = 8,
			     .payload = number};
}

static void send_all(via_session *s, const via_message *m, uint32_t n)
{
	while (n != 0) {
		via_rc sent = via_session_send_many(s, m, n);

		if (sent == VIA_AGAIN) {
			sent = via_session_wait(s, VIA_EV_TX, via_deadline(RIG_SOON));
			cr_assert_eq(sent, VIA_OK, "%s", via_error());
			continue;
		}
		cr_assert_gt(sent, 0, "%s", via_error());
		m += sent;
		n -= (uint32_t)sent;
	}
}

static void expect_number(via_session *s, uint64_t id, uint64_t number)
{
	via_message m;
	uint64_t found = 0;

	cr_assert_eq(via_session_recv_wait(s, &m, via_deadline(RIG_SOON)), VIA_OK, "%s",
		     via_error());
	cr_assert_eq(m.id, id);
	cr_assert_eq(m.status, VIA_STATUS_OK);
	cr_assert_eq(m.item_count, 1);
	cr_assert_eq(via_increment_decode(m.payload, m.payload_len, &found, NULL), VIA_OK);
	cr_assert_eq(found, number);
	via_session_release(s, &m);
}

/* Bursts of messages, two under way at a time; every answer must be there, in order. */
static void converse(via_session *s)
{
	uint64_t number[BURST];
	via_message m[BURST];
	uint32_t sent = 0, got = 0, i;

	while (got < MESSAGES) {
		for (; sent < MESSAGES && sent < got + 2 * BURST; sent += BURST) {
			for (i = 0; i < BURST; i++) {
				number[i] = sent + i;
				m[i] = request(sent + i + 1, &number[i]);
			}
			send_all(s, m, BURST);
		}
		for (i = 0; i < BURST; i++, got++)
			expect_number(s, got + 1, got + 1);
	}
}

static int is_ring(const char *stack)
{
	return strstr(stack, "ring") != NULL && strstr(stack, "fault") == NULL;
}

static void run(const char *stack, struct plural *p, uint32_t flags)
{
	via_server_stats st = {.struct_size = sizeof st};
	via_session *s = serve(stack, p, flags);

	converse(s);
	via_server_get_stats(r.srv, &st);
	cr_expect_eq(st.calls, MESSAGES);
	cr_expect_eq(st.calls_failed, 0);
	via_session_close(s);
	rig_close(&r);
}

STACK_TEST(grouped, what_comes_together_is_answered_together)
{
	struct plural p = {0};

	run(stack, &p, VIA_SVC_CONCURRENT | VIA_SVC_IDEMPOTENT);
	if (is_ring(stack)) {
		cr_expect_gt(p.n_many, 0);
		cr_expect_lt(p.n_single, MESSAGES / 2, "%u alone", p.n_single);
	}
}

/* Calls that overlap in nothing but time are still calls of one lane. */
STACK_TEST(grouped, services_with_one_lane)
{
	struct plural p = {0};

	run(stack, &p, VIA_SVC_IDEMPOTENT);
	cr_expect(p.n_many > 0 || !is_ring(stack));
}

/* What a group leaves is called again, and that must not matter. */
STACK_TEST(grouped, calls_that_count_are_made_once)
{
	struct plural p = {0};

	run(stack, &p, VIA_SVC_CONCURRENT);
	cr_expect_eq(p.n_many, 0);
	cr_expect_eq(p.n_single, MESSAGES);
}

STACK_TEST(grouped, a_group_that_fails_is_answered_one_by_one)
{
	struct plural p = {.fail_every = 2};

	run(stack, &p, VIA_SVC_CONCURRENT | VIA_SVC_IDEMPOTENT);
	cr_expect(p.n_many > 1 || !is_ring(stack));
}

/* Once, and then no more. */
STACK_TEST(grouped, answers_that_are_too_long_go_alone)
{
	struct plural p = {.many_length = 72 /* more than 64 */};

	run(stack, &p, VIA_SVC_CONCURRENT | VIA_SVC_IDEMPOTENT);
	cr_expect_leq(p.n_many, 1);
	cr_expect_eq(p.n_single, MESSAGES);
}

/* Sends number `next` and those behind it until the server takes no more, because nobody reads its answers. */
static uint64_t fill_both_ways(via_session *s, uint64_t next)
{
	for (;;) {
		uint64_t number[BURST];
		via_message m[BURST];
		via_rc rc;
		uint32_t i;

		for (i = 0; i < BURST; i++) {
			number[i] = next + i;
			m[i] = request(next + i, &number[i]);
		}
		rc = via_session_send_many(s, m, BURST);
		if (rc == VIA_AGAIN)
			rc = via_session_wait(s, VIA_EV_TX, via_deadline(200000000));
		if (rc == VIA_TIMEOUT)
			return next;
		cr_assert_geq(rc, 0, "%s", via_error());
		next += (uint32_t)rc;
		cr_assert_lt(next, 1000000, "the server takes everything");
	}
}

/* Some of those that are sent together are accepted, the others wait for room and keep their turn. */
STACK_TEST(grouped, answers_that_nobody_reads_for_a_while)
{
	struct plural p = {0};
	via_session *s = serve(stack, &p, VIA_SVC_CONCURRENT | VIA_SVC_IDEMPOTENT);
	via_server_stats st = {.struct_size = sizeof st};
	uint64_t next = 1, got = 1;
	int round;

	for (round = 0; round < 2; round++) {
		next = fill_both_ways(s, next);
		for (; got < next; got++)
			expect_number(s, got, got + 1);
	}
	cr_expect(p.n_many > 0 || (!is_ring(stack) && strcmp(stack, "uds") != 0));
	via_server_get_stats(r.srv, &st);
	cr_expect_eq(st.calls, next - 1);
	via_session_close(s);
	rig_close(&r);
}

/* Sends bursts with something else in their middle until an answer is not a number. That one. */
static via_message until_refused(via_session *s, const via_message *odd)
{
	uint64_t number = 7;
	via_message m[BURST], a = {0};
	uint64_t id = 1, next = 1;
	uint32_t i;

	for (;;) {
		for (i = 0; i < BURST; i++, id++) {
			m[i] = request(id, &number);
			if (i == 4 && id > 2 * BURST) {
				m[i] = *odd;
				m[i].id = id;
			}
		}
		send_all(s, m, BURST);
		for (i = 0; i < BURST; i++, next++) {
			cr_assert_eq(via_session_recv_wait(s, &a, via_deadline(RIG_SOON)), VIA_OK,
				     "%s", via_error());
			cr_assert_eq(a.id, next, "before or behind what was asked");
			via_session_release(s, &a);
			if (a.status != VIA_STATUS_OK)
				return a;
		}
	}
}

STACK_TEST(grouped, another_method_in_the_middle)
{
	struct plural p = {0};
	via_session *s = serve(stack, &p, VIA_SVC_CONCURRENT | VIA_SVC_IDEMPOTENT);
	uint64_t number = 1;
	via_message odd = request(0, &number), a;
	uint32_t i;

	odd.code = 999;
	a = until_refused(s, &odd);
	cr_expect_eq(a.status, VIA_STATUS_UNSUPPORTED);
	cr_expect_eq(a.id % BURST, 5);
	for (i = 1; i <= 3; i++) /* the session goes on */
		expect_number(s, a.id + i, 8);
	via_session_close(s);
	rig_close(&r);
}

STACK_TEST(grouped, a_request_that_is_none_in_the_middle)
{
	struct plural p = {0};
	via_session *s = serve(stack, &p, VIA_SVC_CONCURRENT | VIA_SVC_IDEMPOTENT);
	uint64_t number = 1;
	via_message odd = request(0, &number), a;
	via_rc rc;

	odd.payload_len = 7;
	a = until_refused(s, &odd);
	cr_expect_eq(a.status, VIA_STATUS_BAD_ENVELOPE);
	cr_expect_eq(a.id % BURST, 5);
	rc = via_session_recv_wait(s, &a, via_deadline(RIG_SOON));
	cr_expect(rc == VIA_CLOSED || rc == VIA_RESET, "%s", via_rc_name(rc));
	via_session_close(s);
	rig_close(&r);
}

/* A server that ends during a conversation has answered what it took, in order. */
STACK_TEST(grouped, a_drain_in_the_middle)
{
	struct plural p = {0};
	via_session *s = serve(stack, &p, VIA_SVC_CONCURRENT | VIA_SVC_IDEMPOTENT);
	uint64_t number = 1, next = 1;
	via_message m[BURST], a;
	uint32_t i;
	via_rc rc;

	for (i = 0; i < BURST; i++)
		m[i] = request(i + 1, &number);
	send_all(s, m, BURST);
	expect_number(s, next++, 2);
	cr_assert_eq(via_server_drain(r.srv, via_deadline(RIG_SOON)), VIA_OK);
	while ((rc = via_session_recv_wait(s, &a, via_deadline(RIG_SOON))) == VIA_OK) {
		cr_assert_eq(a.id, next++);
		via_session_release(s, &a);
	}
	cr_expect(rc == VIA_CLOSED || rc == VIA_RESET, "%s: %s", via_rc_name(rc), via_error());
	cr_expect_leq(next, BURST + 1);
	via_session_close(s);
	rig_close(&r);
}
