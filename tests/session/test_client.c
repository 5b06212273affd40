/* tests/session/test_client.c - level 2: states, calls, error answers, abort: docs/wire.md section 16. */
#include "sess_rig.h"

TestSuite(client, .init = sr_open, .fini = sr_close, .timeout = 60);

/* The baseline and the test's own upgrade, whatever else is installed. */
#define TEST_PROFILES 0x20001u

static via_client *open_client(const char *spec, uint32_t batch)
{
	via_client_options o = {.struct_size = sizeof o,
				.endpoint = sr_endpoint(spec, "svc"),
				.config = sr_config()};
	via_client *c = NULL;

	if (strchr(spec, '>') == NULL)
		o.config.profiles = TEST_PROFILES;
	o.call_timeout_ms = 20000;
	o.config.max_request_batch = batch;
	sr_ok(via_client_open(r_, &o, &c));
	return c;
}

/* The next connection: accepted with these profiles selected, or refused. */
static script_link *answer_hello(uint16_t status, uint32_t selected)
{
	via_wire_ack a = {.layout = 1,
			  .server_supported = selected | 1,
			  .intersection = selected | 1,
			  .selected = selected,
			  .max_request_payload = 1024,
			  .max_request_batch = 4,
			  .max_response_payload = 1024,
			  .max_response_batch = 4,
			  .packet_size = 64,
			  .session_id = 9};
	script_link *l = script_dialled();
	uint8_t p[VIA_WIRE_ACK_PACKET];

	script_push(l, p, via_wire_ack_packet(&a, status, p), 0);
	return l;
}

static via_client *ready_client(script_link **l)
{
	via_client *c = open_client("script", 4);

	*l = answer_hello(VIA_STATUS_OK, 1);
	sr_ok(via_client_refresh(c, rig_soon()));
	cr_assert(via_client_is_ready(c));
	return c;
}

static void push_answer(script_link *l, via_wire_header h, const void *payload, uint32_t len)
{
	uint8_t p[1200];

	if (h.kind == 0)
		h.kind = VIA_WIRE_RESPONSE;
	if (h.item_count == 0)
		h.item_count = 1;
	h.payload_len = len;
	via_wire_header_encode(&h, p);
	if (len != 0)
		memcpy(p + 32, payload, len);
	script_push(l, p, 32 + len, 0);
}

static const via_request plain = {.method = 3, .payload = "hello", .payload_len = 5};

static via_client_stats stats_of(const via_client *c)
{
	via_client_stats s = {.struct_size = sizeof s};

	via_client_get_stats(c, &s);
	return s;
}

/* -- states ----------------------------------------------------------------------------------------------- */

Test(client, states_after_a_refresh)
{
	static const struct {
		uint16_t status;
		via_rc rc;
		via_client_state state;
	} row[] = {
		{VIA_STATUS_AUTH_FAILED, VIA_REFUSED, VIA_CLIENT_AUTH_FAILED},
		{VIA_STATUS_INCOMPATIBLE, VIA_REFUSED, VIA_CLIENT_INCOMPATIBLE},
		{VIA_STATUS_UNSUPPORTED, VIA_REFUSED, VIA_CLIENT_INCOMPATIBLE},
		{VIA_STATUS_LIMIT_EXCEEDED, VIA_REFUSED, VIA_CLIENT_DISCONNECTED},
		{99, VIA_REFUSED, VIA_CLIENT_DISCONNECTED},
		{VIA_STATUS_OK, VIA_OK, VIA_CLIENT_READY},
	};
	via_client *c = open_client("script", 1);
	uint32_t i;

	cr_assert_eq(via_client_get_state(c), VIA_CLIENT_DISCONNECTED);
	cr_assert_null(via_client_session(c));
	sr_is(via_client_refresh(c, rig_soon()), VIA_UNREACH);
	cr_assert_eq(via_client_get_state(c), VIA_CLIENT_NOT_FOUND);
	for (i = 0; i < sizeof row / sizeof row[0]; i++) {
		answer_hello(row[i].status, 1);
		sr_is(via_client_refresh(c, rig_soon()), row[i].rc);
		cr_assert_eq(via_client_get_state(c), row[i].state, "row %u: %s", i,
			     via_client_state_name(via_client_get_state(c)));
		cr_assert_eq(sr_info(via_client_session(c)).status, row[i].status);
	}
	sr_ok(via_client_refresh(
		c, rig_soon())); /* READY: nothing is dialled, the script would say UNREACH */
	cr_assert_eq(stats_of(c).connects, 1);
	cr_assert_eq(stats_of(c).connects_failed, 6);
	via_client_close(c);
}

Test(client, other_failures_of_a_refresh)
{
	via_client *c = open_client("script", 1);
	script_link *l = script_dialled();

	script_end(l, VIA_CLOSED);
	sr_is(via_client_refresh(c, rig_soon()), VIA_CLOSED);
	cr_assert_eq(via_client_get_state(c), VIA_CLIENT_DISCONNECTED);
	script_dialled();
	sr_is(via_client_refresh(c, via_deadline(2000000u)), VIA_TIMEOUT);
	cr_assert_eq(via_client_get_state(c), VIA_CLIENT_DISCONNECTED);
	l = answer_hello(VIA_STATUS_OK, 1);
	l->in[0].data[0] ^= 1;
	sr_is(via_client_refresh(c, rig_soon()), VIA_PROTO);
	cr_assert_eq(via_client_get_state(c), VIA_CLIENT_DISCONNECTED);
	script_dial_fails(VIA_AGAIN);
	sr_is(via_client_refresh(c, via_deadline(2000000u)), VIA_TIMEOUT);
	via_client_close(c);
}

/* The bit failed, the client comes back without it, and nobody is there any more. */
Test(client, server_gone_during_the_fallback)
{
	via_client *c = open_client("script", 1);

	sr_ok(via_registry_configure(r_, "org.test.upgrade", "mode=attach-fails\n"));
	answer_hello(VIA_STATUS_OK, 0x20000);
	sr_is(via_client_refresh(c, rig_soon()), VIA_UNREACH);
	cr_assert_eq(via_client_get_state(c), VIA_CLIENT_NOT_FOUND);
	sr_is(via_client_refresh(c, rig_soon()), VIA_UNREACH);
	via_client_close(c);
}

Test(client, falls_back_and_remembers_why)
{
	via_client *c = open_client("script", 1);
	via_session_info i;

	sr_ok(via_registry_configure(r_, "org.test.upgrade", "mode=attach-fails\n"));
	answer_hello(VIA_STATUS_OK, 0x20000);
	answer_hello(VIA_STATUS_OK, 1);
	sr_ok(via_client_refresh(c, rig_soon()));
	i = sr_info(via_client_session(c));
	cr_assert_eq(i.offered, 1);
	cr_assert_eq(sr_candidate(&i, 0x20000)->verdict, VIA_VERDICT_FAILED);
	cr_assert_not_null(strstr(sr_candidate(&i, 0x20000)->reason, "door is locked"));
	via_client_close(c);
}

Test(client, bad_options)
{
	via_client_options o = {.struct_size = 8};
	via_client *c = NULL;

	sr_is(via_client_open(r_, NULL, &c), VIA_INVAL);
	sr_is(via_client_open(r_, &o, &c), VIA_INVAL);
	o = (via_client_options){.struct_size = sizeof o, .endpoint = sr_endpoint("script", "a b")};
	sr_is(via_client_open(r_, &o, &c), VIA_INVAL);
	via_client_close(NULL);
}

/* -- calls ------------------------------------------------------------------------------------------------- */

Test(client, call_when_not_ready_sends_nothing)
{
	via_client *c = open_client("script", 1);
	via_reply reply = {.status = 77};

	sr_is(via_client_call(c, &plain, 0, &reply), VIA_STATE);
	cr_assert_eq(reply.status, 77);
	cr_assert_eq(stats_of(c).calls_failed, 1);
	via_client_close(c);
}

Test(client, calls_and_their_numbers)
{
	script_link *l;
	via_client *c = ready_client(&l);
	via_reply reply;
	uint64_t i;

	for (i = 1; i <= 5; i++) {
		push_answer(l, (via_wire_header){.code = 3, .message_id = i}, "answer", 6);
		sr_ok(via_client_call(c, &plain, i % 2 != 0 ? 0 : rig_soon(), &reply));
		cr_assert_eq(reply.payload_len, 6);
		cr_assert_arr_eq(reply.payload, "answer", 6);
		cr_assert_eq(reply.status, VIA_STATUS_OK);
		cr_assert_eq(l->out[i].len, 37);
		cr_assert_eq(sr_get32(l->out[i].data, 24), (uint32_t)i);
	}
	cr_assert_eq(stats_of(c).calls_ok, 5);
	via_client_close(c); /* with a reply out */
}

static void expect_call(via_wire_header answer, const void *payload, uint32_t len, via_rc rc,
			via_client_state state)
{
	script_link *l;
	via_client *c = ready_client(&l);
	via_reply reply = {.status = 77};

	push_answer(l, answer, payload, len);
	sr_is(via_client_call(c, &plain, 0, &reply), rc);
	cr_assert_eq(via_client_get_state(c), state, "%s",
		     via_client_state_name(via_client_get_state(c)));
	cr_assert_eq(reply.status, rc == VIA_REFUSED ? answer.status : 77);
	if (state == VIA_CLIENT_BROKEN) {
		sr_is(via_client_call(c, &plain, 0, &reply), VIA_STATE);
		l = answer_hello(VIA_STATUS_OK, 1);
		sr_ok(via_client_refresh(c, rig_soon()));
	}
	push_answer(l, (via_wire_header){.code = 3, .message_id = 1}, NULL,
		    0); /* the failed one did not count */
	sr_ok(via_client_call(c, &plain, 0, &reply));
	via_client_close(c);
}

Test(client, error_answers)
{
	uint16_t status;

	for (status = 1; status < 9; status++)
		expect_call((via_wire_header){.code = 3, .message_id = 1, .status = status}, NULL,
			    0, VIA_REFUSED,
			    status == VIA_STATUS_UNSUPPORTED ? VIA_CLIENT_READY
							     : VIA_CLIENT_BROKEN);
}

Test(client, answers_that_break_the_protocol)
{
	uint8_t big[1100] = {0};

	expect_call((via_wire_header){.code = 4, .message_id = 1}, NULL, 0, VIA_PROTO,
		    VIA_CLIENT_BROKEN);
	expect_call((via_wire_header){.code = 4, .message_id = 1, .status = 5}, NULL, 0, VIA_PROTO,
		    VIA_CLIENT_BROKEN);
	expect_call((via_wire_header){.code = 3, .message_id = 2}, NULL, 0, VIA_PROTO,
		    VIA_CLIENT_BROKEN);
	expect_call((via_wire_header){.kind = VIA_WIRE_REQUEST, .code = 3, .message_id = 1}, NULL,
		    0, VIA_PROTO, VIA_CLIENT_BROKEN);
	expect_call((via_wire_header){.kind = VIA_WIRE_CONTROL, .code = 3, .message_id = 1}, NULL,
		    0, VIA_PROTO, VIA_CLIENT_BROKEN);
	expect_call((via_wire_header){.code = 3, .message_id = 1}, big, sizeof big, VIA_LIMIT,
		    VIA_CLIENT_BROKEN);
	expect_call((via_wire_header){.code = 3, .message_id = 1, .item_count = 5}, NULL, 0,
		    VIA_LIMIT, VIA_CLIENT_BROKEN);
}

Test(client, server_that_leaves)
{
	static const via_rc ends[] = {VIA_CLOSED, VIA_RESET};
	uint32_t i;

	for (i = 0; i < 2; i++) {
		script_link *l;
		via_client *c = ready_client(&l);
		via_reply reply;

		script_end(l, ends[i]);
		sr_is(via_client_call(c, &plain, 0, &reply), ends[i]);
		cr_assert_eq(via_client_get_state(c), VIA_CLIENT_BROKEN);
		via_client_close(c);
	}
}

Test(client, deadline_breaks_the_session)
{
	script_link *l;
	via_client *c = ready_client(&l);
	via_reply reply;

	sr_is(via_client_call(c, &plain, via_deadline(2000000u), &reply), VIA_TIMEOUT);
	cr_assert_eq(via_client_get_state(c), VIA_CLIENT_BROKEN);
	via_client_close(c);
}

Test(client, limits_are_local)
{
	static uint8_t big[1025];
	script_link *l;
	via_client *c = ready_client(&l);
	via_request q = plain;
	via_reply reply;

	q.payload = big;
	q.payload_len = sizeof big;
	sr_is(via_client_call(c, &q, 0, &reply), VIA_TOOBIG);
	q.payload_len = 10;
	q.item_count = 5;
	sr_is(via_client_call(c, &q, 0, &reply), VIA_LIMIT);
	q.item_count = 1;
	q.payload = NULL;
	sr_is(via_client_call(c, &q, 0, &reply), VIA_INVAL);
	cr_assert(via_client_is_ready(c));
	cr_assert_eq(l->n_out, 1, "only HELLO left");
	cr_assert_eq(stats_of(c).calls_failed, 3);
	push_answer(l, (via_wire_header){.code = 3, .message_id = 1}, NULL, 0);
	sr_ok(via_client_call(c, &plain, 0, &reply));
	via_client_close(c);
}

/* A resource that runs out between two packets of one request: the session is lost, and that is said. */
Test(client, failure_in_mid_request_is_not_ready)
{
	static const via_rc rcs[] = {VIA_NOMEM, VIA_TOOBIG, VIA_IO};
	uint8_t body[200] = {0};
	uint32_t i;

	for (i = 0; i < 3; i++) {
		via_request q = {.method = 3, .payload = body, .payload_len = sizeof body};
		script_link *l;
		via_client *c = ready_client(&l);
		via_reply reply;

		l->fail_at = l->sends + 3;
		l->fail_rc = rcs[i];
		sr_is(via_client_call(c, &q, 0, &reply), rcs[i]);
		cr_assert_eq(via_client_get_state(c), VIA_CLIENT_BROKEN);
		via_client_close(c);
	}
}

/* -- batches --------------------------------------------------------------------------------------------------- */

static uint32_t three_items(uint8_t *out, uint32_t cap)
{
	via_wire_batch b;

	sr_ok(via_wire_batch_begin(&b, out, cap, 3));
	sr_ok(via_wire_batch_add(&b, "one", 3));
	sr_ok(via_wire_batch_add(&b, "two", 3));
	sr_ok(via_wire_batch_add(&b, "three", 5));
	return (uint32_t)via_wire_batch_finish(&b);
}

Test(client, batch_calls)
{
	static const struct {
		uint16_t flags;
		uint32_t items;
		int corrupt;
		via_rc rc;
	} row[] = {
		{VIA_WIRE_FLAG_BATCH, 3, 0, VIA_OK},
		{VIA_WIRE_FLAG_BATCH, 2, 0, VIA_PROTO}, /* another count; also another directory */
		{VIA_WIRE_FLAG_BATCH, 4, 0, VIA_PROTO},
		{VIA_WIRE_FLAG_BATCH, 3, 1, VIA_PROTO},
		{0, 3, 1, VIA_PROTO}, /* without the flag nobody has looked at the directory */
		{0, 3, 0, VIA_PROTO},
	};
	uint8_t body[128], answer[128];
	uint32_t len = three_items(body, sizeof body), i;

	for (i = 0; i < sizeof row / sizeof row[0]; i++) {
		via_request q = {.method = 3,
				 .flags = VIA_WIRE_FLAG_BATCH,
				 .item_count = 3,
				 .payload = body,
				 .payload_len = len};
		script_link *l;
		via_client *c = ready_client(&l);
		via_reply reply;

		memcpy(answer, body, len);
		if (row[i].corrupt)
			sr_put32(answer, 0, 0xfffffff8u);
		push_answer(l,
			    (via_wire_header){.code = 3,
					      .message_id = 1,
					      .flags = row[i].flags,
					      .item_count = row[i].items},
			    answer, len);
		sr_is(via_client_call(c, &q, 0, &reply), row[i].rc);
		cr_assert_eq(via_client_is_ready(c), row[i].rc == VIA_OK);
		if (row[i].rc == VIA_OK) {
			const void *item;
			uint32_t item_len;

			cr_assert_eq(reply.item_count, 3);
			sr_ok(via_wire_batch_item(reply.payload, reply.payload_len, 3, 2, &item,
						  &item_len, NULL));
			cr_assert_arr_eq(item, "three", 5);
		}
		via_client_close(c);
	}
}

/* -- abort ------------------------------------------------------------------------------------------------------- */

Test(client, abort_sticks_until_cleared)
{
	script_link *l;
	via_client *c = ready_client(&l);
	via_reply reply;

	via_client_abort(c);
	sr_is(via_client_call(c, &plain, 0, &reply), VIA_ABORTED);
	sr_is(via_client_call(c, &plain, 0, &reply), VIA_ABORTED);
	via_client_abort_clear(c);
	cr_assert_eq(via_client_get_state(c), VIA_CLIENT_BROKEN);
	sr_is(via_client_call(c, &plain, 0, &reply), VIA_STATE);
	via_client_abort(c);
	sr_is(via_client_refresh(c, rig_soon()), VIA_ABORTED);
	via_client_abort_clear(c);
	l = answer_hello(VIA_STATUS_OK, 1);
	sr_ok(via_client_refresh(c, rig_soon()));
	push_answer(l, (via_wire_header){.code = 3, .message_id = 1}, NULL, 0);
	sr_ok(via_client_call(c, &plain, 0, &reply));
	via_client_close(c);
}

struct caller {
	via_client *c;
	via_rc rc;
	int refresh;
};

static void call_for_ever(void *arg)
{
	struct caller *x = arg;
	via_reply reply;

	x->rc = x->refresh ? via_client_refresh(x->c, VIA_FOREVER)
			   : via_client_call(x->c, &plain, VIA_FOREVER, &reply);
}

STACK_TEST(client, abort_from_another_thread)
{
	struct caller x = {.c = open_client(spec, 1)};
	via_session *server = NULL;
	via_message m;
	os_thread *t;

	sr_listen(spec, NULL);
	x.refresh = 1;
	t = sr_thread(call_for_ever, &x);
	sr_ok(via_acceptor_accept(acceptor_, rig_soon(), &server));
	sr_join(t);
	sr_ok(x.rc);
	x.refresh = 0;
	t = sr_thread(call_for_ever, &x);
	sr_ok(via_session_recv_wait(server, &m, rig_soon()));
	via_session_release(server, &m);
	via_client_abort(x.c);
	sr_join(t);
	cr_assert_eq(x.rc, VIA_ABORTED);
	cr_assert_eq(via_client_get_state(x.c), VIA_CLIENT_BROKEN);
	via_session_close(server);
	via_client_abort_clear(x.c);
	x.refresh = 1;
	t = sr_thread(call_for_ever, &x); /* nobody accepts */
	while (via_client_get_state(x.c) != VIA_CLIENT_CONNECTING)
		os_cpu_relax();
	via_client_abort(x.c);
	sr_join(t);
	cr_assert_eq(x.rc, VIA_ABORTED);
	via_client_close(x.c);
}

Test(client, abort_ends_the_wait_for_a_full_queue)
{
	struct caller x = {.c = open_client("script", 1), .refresh = 1};
	os_thread *t;

	script_dial_fails(VIA_AGAIN);
	t = sr_thread(call_for_ever, &x);
	while (via_client_get_state(x.c) != VIA_CLIENT_CONNECTING)
		os_cpu_relax();
	via_client_abort(x.c);
	sr_join(t);
	cr_assert_eq(x.rc, VIA_ABORTED);
	via_client_close(x.c);
}

/* -- over real stacks --------------------------------------------------------------------------------------------- */

static void answer_one(void *arg)
{
	uint32_t *n = arg;
	via_session *s;
	via_message m;

	for (*n = 0; *n < 3; ++*n) {
		if (via_acceptor_accept(acceptor_, rig_soon(), &s) != VIA_OK)
			return;
		if (via_session_recv_wait(s, &m, rig_soon()) == VIA_OK) {
			via_message a = {.kind = VIA_WIRE_RESPONSE,
					 .code = m.code,
					 .item_count = 1,
					 .id = m.id};

			via_session_release(s, &m);
			(void)via_session_send_wait(s, &a, rig_soon());
		}
		via_session_close(s); /* and is gone: the client has to come again */
	}
}

STACK_TEST(client, reconnects_after_each_loss)
{
	via_client *c = open_client(spec, 1);
	via_reply reply;
	uint32_t n, i;
	os_thread *t;
	via_rc rc;

	sr_listen(spec, NULL);
	t = sr_thread(answer_one, &n);
	for (i = 0; i < 3; i++) {
		sr_ok(via_client_refresh(c, rig_soon()));
		sr_ok(via_client_call(c, &plain, 0, &reply));
		rc = via_client_call(c, &plain, 0, &reply);
		cr_assert(rc == VIA_CLOSED || rc == VIA_RESET, "%s", via_rc_name(rc));
		cr_assert_eq(via_client_get_state(c), VIA_CLIENT_BROKEN);
	}
	sr_join(t);
	cr_assert_eq(stats_of(c).connects, 3);
	cr_assert_eq(stats_of(c).calls_ok, 3);
	via_client_close(c);
}
