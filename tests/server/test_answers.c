/* tests/server/test_answers.c - what a request gets: order, statuses, batches, chunks, sizes (docs/wire.md
 * sections 3, 4 and 15), by sessions over every transport. */
#include "rig.h"

TestSuite(answers, .timeout = 60);

static rig r;
static rig_svc svc;

static void serve_with(const char *stack, uint32_t flags,
		       via_rc (*behave)(rig_svc *, rig_session *, via_call *),
		       const via_session_config *config)
{
	rig_open(&r, stack);
	rig_svc_open(&svc, &r, flags, behave);
	rig_add(&r, &svc, "svc", config);
	rig_start(&r);
}

static void serve(const char *stack)
{
	serve_with(stack, 0, rig_answer, NULL);
}

static void done(void)
{
	rig_close(&r);
	rig_svc_close(&svc);
}

/* -- statuses ---------------------------------------------------------------------------------- */

STACK_TEST(answers, another_method_is_unsupported_and_the_session_goes_on)
{
	via_session *s;
	uint64_t id;

	serve(stack);
	s = rig_connect(&r, "svc", NULL);
	for (id = 1; id < 10; id++) {
		uint16_t code = (uint16_t)(id == 1 ? 0 : id == 2 ? 65535 : id + 3);

		cr_assert_eq(rig_send(s, &(via_message){.code = code, .item_count = 1, .id = id}),
			     VIA_OK);
		rig_expect_status(s, id, code, VIA_STATUS_UNSUPPORTED, 0);
		cr_assert_eq(rig_send_number(s, id, id), VIA_OK);
		rig_expect_number(s, id, id);
	}
	via_session_close(s);
	cr_expect_eq(rig_stats(&r).calls, 9);
	cr_expect_eq(rig_stats(&r).calls_failed, 9);
	done();
}

STACK_TEST(answers, a_payload_that_does_not_decode_is_bad_envelope)
{
	via_session *s;

	serve(stack);
	s = rig_connect(&r, "svc", NULL);
	cr_assert_eq(rig_send(s, &(via_message){.code = NUMBER,
						.item_count = 1,
						.id = 3,
						.payload = "1234567",
						.payload_len = 7}),
		     VIA_OK);
	rig_expect_status(s, 3, NUMBER, VIA_STATUS_BAD_ENVELOPE, 1);
	via_session_close(s);
	s = rig_connect(&r, "svc", NULL);
	cr_assert_eq(rig_send(s, &(via_message){.code = TEXT, .item_count = 1, .id = 4}), VIA_OK);
	rig_expect_status(s, 4, TEXT, VIA_STATUS_BAD_ENVELOPE, 1);
	via_session_close(s);
	cr_expect_eq(atomic_load(&svc.calls), 0);
	done();
}

static via_rc fail_on_13(rig_svc *v, rig_session *s, via_call *call)
{
	uint64_t number = 0;

	via_increment_decode(call->request, call->request_len, &number, NULL);
	return number == 13   ? core_fail(VIA_IO, "thirteen")
	       : number == 14 ? VIA_TOOBIG
			      : rig_answer(v, s, call);
}

/* Requests that were pipelined behind the one that fails must not cost its answer. */
static void check_pipelined_failure(const char *stack, uint32_t flags, uint64_t number,
				    uint16_t status)
{
	int round;

	serve_with(stack, flags, fail_on_13, NULL);
	for (round = 0; round < 50; round++) {
		via_session *s = rig_connect(&r, "svc", NULL);
		uint64_t id;
		via_message m;
		via_rc rc;

		int pipelines = rig_pipelines(s);

		cr_assert_eq(rig_send_number(s, 1, 1), VIA_OK);
		if (!pipelines)
			rig_expect_number(s, 1, 1);
		cr_assert_eq(rig_send_number(s, 2, number), VIA_OK);
		for (id = 3; pipelines && id < 12; id++) {
			rc = rig_send_number(s, id, id); /* the end may have come meanwhile */
			cr_assert(rc == VIA_OK || rc == VIA_RESET || rc == VIA_CLOSED, "%s",
				  via_rc_name(rc));
		}
		if (pipelines)
			rig_expect_number(s, 1, 1);
		rig_expect_status(s, 2, NUMBER, status, 0);
		rc = rig_recv(s, &m, NULL, 0);
		cr_assert(rc == VIA_CLOSED || rc == VIA_RESET, "%s", via_rc_name(rc));
		via_session_close(s);
	}
	done();
}

STACK_TEST(answers, a_failure_is_answered_before_the_end)
{
	check_pipelined_failure(stack, 0, 13, VIA_STATUS_INTERNAL_ERROR);
}

STACK_TEST(answers, a_failure_on_the_pool_is_answered_before_the_end)
{
	check_pipelined_failure(stack, VIA_SVC_BLOCKING, 13, VIA_STATUS_INTERNAL_ERROR);
}

STACK_TEST(answers, an_answer_too_big_is_answered_before_the_end)
{
	check_pipelined_failure(stack, 0, 14, VIA_STATUS_LIMIT_EXCEEDED);
}

STACK_TEST(answers, a_failure_is_logged_with_its_reason)
{
	via_session *s;

	serve_with(stack, 0, fail_on_13, NULL);
	s = rig_connect(&r, "svc", NULL);
	cr_assert_eq(rig_send_number(s, 1, 13), VIA_OK);
	rig_expect_status(s, 1, NUMBER, VIA_STATUS_INTERNAL_ERROR, 1);
	via_session_close(s);
	cr_expect(rig_log_has(&r, "service svc failed for pid "), "%s", r.log);
	cr_expect(rig_log_has(&r, ": thirteen\n"), "%s", r.log);
	done();
}

/* -- order ------------------------------------------------------------------------------------- */

static void check_pipelining(const char *stack, uint32_t flags,
			     via_rc (*behave)(rig_svc *, rig_session *, via_call *))
{
	via_session *s;
	int pipelines;
	uint64_t id;

	serve_with(stack, flags, behave, NULL);
	s = rig_connect(&r, "svc", NULL);
	pipelines = rig_pipelines(s);
	for (id = 0; id < 64 && pipelines; id++)
		cr_assert_eq(rig_send_number(s, id, id * 1000), VIA_OK);
	for (id = 0; id < 64; id++) {
		if (!pipelines)
			cr_assert_eq(rig_send_number(s, id, id * 1000), VIA_OK);
		if (behave == rig_pend) { /* one at a time, in order */
			rig_until(atomic_load(&svc.n_pending) == (int)id + 1);
			cr_assert_eq(svc.number[id], id * 1000);
			rig_reply(&svc, (int)id);
		}
		rig_expect_number(s, id, id * 1000);
	}
	via_session_close(s);
	done();
}

STACK_TEST(answers, pipelined_requests_are_answered_in_order)
{
	check_pipelining(stack, 0, rig_answer);
}

STACK_TEST(answers, pipelined_requests_are_answered_in_order_concurrent)
{
	check_pipelining(stack, VIA_SVC_CONCURRENT, rig_answer);
}

STACK_TEST(answers, pipelined_requests_are_answered_in_order_blocking)
{
	check_pipelining(stack, VIA_SVC_CONCURRENT | VIA_SVC_BLOCKING, rig_answer);
}

STACK_TEST(answers, pipelined_requests_are_answered_in_order_async)
{
	check_pipelining(stack, VIA_SVC_ASYNC, rig_pend);
}

STACK_TEST(answers, pipelined_requests_are_answered_in_order_async_blocking)
{
	check_pipelining(stack, VIA_SVC_ASYNC | VIA_SVC_BLOCKING, rig_pend);
}

STACK_TEST(answers, ids_may_be_used_again)
{
	via_session *s;
	uint64_t i;

	serve(stack);
	s = rig_connect(&r, "svc", NULL);
	for (i = 0; i < 20; i++) {
		cr_assert_eq(rig_send_number(s, 0xFFFFFFFFFFFFFFFF, i), VIA_OK);
		rig_expect_number(s, 0xFFFFFFFFFFFFFFFF, i);
	}
	via_session_close(s);
	done();
}

STACK_TEST(answers, no_items_without_a_batch_is_one)
{
	uint8_t bytes[8], back[8];
	uint64_t used;
	via_session *s;
	via_message m;

	serve(stack);
	s = rig_connect(&r, "svc", NULL);
	via_increment_encode(bytes, sizeof bytes, 6, &used);
	cr_assert_eq(rig_send(s, &(via_message){.code = NUMBER,
						.id = 1,
						.payload = bytes,
						.payload_len = 8}),
		     VIA_OK);
	cr_assert_eq(rig_recv(s, &m, back, sizeof back), VIA_OK);
	cr_expect_eq(m.status, VIA_STATUS_OK);
	cr_expect_eq(m.item_count, 1);
	cr_expect_eq(m.payload_len, 8);
	via_session_close(s);
	done();
}

/* -- batches ----------------------------------------------------------------------------------- */

static const via_session_config batches = {.struct_size = sizeof batches, .max_request_batch = 16};

/* A batch of texts of these lengths; the payload's length. */
static uint32_t texts(uint8_t *dst, uint32_t cap, const uint32_t *len, uint32_t n)
{
	via_wire_batch b;
	uint32_t i;

	cr_assert_eq(via_wire_batch_begin(&b, dst, cap, n), VIA_OK);
	for (i = 0; i < n; i++) {
		uint64_t room;
		uint8_t *at = via_wire_batch_room(&b, &room);

		cr_assert_not_null(at);
		cr_assert_eq(via_wire_batch_commit(&b, rig_text(at, len[i])), VIA_OK);
	}
	return (uint32_t)via_wire_batch_finish(&b);
}

static void check_batch(const char *stack, uint32_t flags)
{
	static const uint32_t len[] = {0, 1, 7, 8, 100, 0, 33};
	uint8_t out[1024], back[1024];
	via_session *s;
	via_message m;
	uint32_t n, i, item_len;
	const void *item;

	serve_with(stack, flags, rig_answer, NULL);
	s = rig_connect(&r, "svc", &batches);
	n = texts(out, sizeof out, len, 7);
	cr_assert_eq(rig_send(s, &(via_message){.code = TEXT,
						.flags = VIA_WIRE_FLAG_BATCH,
						.item_count = 7,
						.id = 9,
						.payload = out,
						.payload_len = n}),
		     VIA_OK);
	cr_assert_eq(rig_recv(s, &m, back, sizeof back), VIA_OK);
	cr_assert_eq(m.status, VIA_STATUS_OK);
	cr_assert_eq(m.flags, VIA_WIRE_FLAG_BATCH);
	cr_assert_eq(m.item_count, 7);
	for (i = 0; i < 7; i++) {
		via_string_reverse_view v;

		cr_assert_eq(via_wire_batch_item(back, m.payload_len, 7, i, &item, &item_len, NULL),
			     VIA_OK);
		cr_assert_eq(via_string_reverse_open(&v, item, item_len, NULL), VIA_OK);
		cr_assert_eq(v.len, len[i]);
		cr_assert_eq(item_len, via_string_reverse_size(len[i]));
	}
	cr_expect_eq(atomic_load(&svc.calls), 7);
	via_session_close(s);
	done();
}

STACK_TEST(answers, a_batch_is_split)
{
	check_batch(stack, 0);
}

STACK_TEST(answers, a_batch_is_split_on_the_pool)
{
	check_batch(stack, VIA_SVC_BLOCKING);
}

static void check_async_batch(const char *stack, uint32_t flags)
{
	uint8_t out[256], back[256];
	via_wire_batch b;
	via_session *s;
	via_message m;
	uint64_t i, used, got;

	serve_with(stack, flags, rig_pend, NULL);
	s = rig_connect(&r, "svc", &batches);
	cr_assert_eq(via_wire_batch_begin(&b, out, sizeof out, 5), VIA_OK);
	for (i = 0; i < 5; i++) {
		uint8_t item[8];

		via_increment_encode(item, sizeof item, i, &used);
		cr_assert_eq(via_wire_batch_add(&b, item, 8), VIA_OK);
	}
	cr_assert_eq(rig_send(s,
			      &(via_message){.code = NUMBER,
					     .flags = VIA_WIRE_FLAG_BATCH,
					     .item_count = 5,
					     .id = 9,
					     .payload = out,
					     .payload_len = (uint32_t)via_wire_batch_finish(&b)}),
		     VIA_OK);
	for (i = 0; i < 5; i++) {
		rig_until(atomic_load(&svc.n_pending) == (int)i + 1);
		rig_reply(&svc, (int)i);
	}
	cr_assert_eq(rig_recv(s, &m, back, sizeof back), VIA_OK);
	cr_assert_eq(m.item_count, 5);
	for (i = 0; i < 5; i++) {
		const void *item;
		uint32_t len;

		cr_assert_eq(via_wire_batch_item(back, m.payload_len, 5, (uint32_t)i, &item, &len,
						 NULL),
			     VIA_OK);
		cr_assert_eq(via_increment_decode(item, len, &got, NULL), VIA_OK);
		cr_assert_eq(got, i + 1);
	}
	via_session_close(s);
	done();
}

STACK_TEST(answers, items_of_a_batch_may_be_answered_later)
{
	check_async_batch(stack, VIA_SVC_ASYNC);
}

STACK_TEST(answers, items_of_a_batch_may_be_answered_later_from_the_pool)
{
	check_async_batch(stack, VIA_SVC_ASYNC | VIA_SVC_BLOCKING);
}

/* One item, with a directory and without one: the answer is of the same kind. */
STACK_TEST(answers, a_batch_of_one_comes_both_ways)
{
	static const uint32_t len[] = {21};
	uint8_t out[256], back[256];
	int with;

	serve(stack);
	for (with = 0; with < 2; with++) {
		via_session *s = rig_connect(&r, "svc", NULL);
		uint32_t n = with != 0 ? texts(out, sizeof out, len, 1) : rig_text(out, 21);
		via_message m;
		via_string_reverse_view v;
		const void *item = back;
		uint32_t item_len;

		cr_assert_eq(rig_send(s, &(via_message){.code = TEXT,
							.flags = VIA_WIRE_FLAG_BATCH,
							.item_count = 1,
							.id = 9,
							.payload = out,
							.payload_len = n}),
			     VIA_OK);
		cr_assert_eq(rig_recv(s, &m, back, sizeof back), VIA_OK);
		cr_assert_eq(m.status, VIA_STATUS_OK);
		cr_assert_eq(m.flags, VIA_WIRE_FLAG_BATCH);
		cr_assert_eq(m.item_count, 1);
		item_len = m.payload_len;
		if (with != 0)
			cr_assert_eq(via_wire_batch_item(back, m.payload_len, 1, 0, &item,
							 &item_len, NULL),
				     VIA_OK);
		cr_assert_eq(via_string_reverse_open(&v, item, item_len, NULL), VIA_OK);
		cr_assert_eq(v.len, 21);
		via_session_close(s);
	}
	done();
}

/* What a batch is answered with: it fails as a whole. */
static void check_bad_batch(const char *stack, const uint32_t *len, uint32_t n,
			    const via_session_config *config,
			    via_rc (*behave)(rig_svc *, rig_session *, via_call *), uint16_t status)
{
	uint8_t out[1024];
	via_session *s;

	serve_with(stack, 0, behave, config);
	s = rig_connect(&r, "svc", &batches);
	cr_assert_eq(rig_send(s, &(via_message){.code = TEXT,
						.flags = VIA_WIRE_FLAG_BATCH,
						.item_count = n,
						.id = 9,
						.payload = out,
						.payload_len = texts(out, sizeof out, len, n)}),
		     VIA_OK);
	rig_expect_status(s, 9, TEXT, status, 1);
	via_session_close(s);
	done();
}

static via_rc fail_on_13_bytes(rig_svc *v, rig_session *s, via_call *call)
{
	return call->request_len == via_string_reverse_size(13) ? VIA_IO : rig_answer(v, s, call);
}

STACK_TEST(answers, a_failing_item_fails_the_batch)
{
	static const uint32_t len[] = {1, 2, 13, 4};

	check_bad_batch(stack, len, 4, NULL, fail_on_13_bytes, VIA_STATUS_INTERNAL_ERROR);
}

STACK_TEST(answers, an_item_too_big_fails_the_batch)
{
	static const uint32_t len[] = {1, 2, 60, 60};
	static const via_session_config small = {.struct_size = sizeof small,
						 .max_response_payload = 128};

	check_bad_batch(stack, len, 4, &small, rig_answer, VIA_STATUS_LIMIT_EXCEEDED);
}

STACK_TEST(answers, no_room_for_a_directory_fails_the_batch)
{
	static const uint32_t len[] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
	static const via_session_config small = {.struct_size = sizeof small,
						 .max_response_payload = 64};

	check_bad_batch(stack, len, 9, &small, rig_answer, VIA_STATUS_LIMIT_EXCEEDED);
}

STACK_TEST(answers, an_item_that_does_not_decode_fails_the_batch)
{
	uint8_t out[256];
	via_wire_batch b;
	via_session *s;

	serve(stack);
	s = rig_connect(&r, "svc", &batches);
	cr_assert_eq(via_wire_batch_begin(&b, out, sizeof out, 2), VIA_OK);
	cr_assert_eq(via_wire_batch_add(&b, "12345678", 8), VIA_OK);
	cr_assert_eq(via_wire_batch_add(&b, "", 0), VIA_OK);
	cr_assert_eq(rig_send(s,
			      &(via_message){.code = NUMBER,
					     .flags = VIA_WIRE_FLAG_BATCH,
					     .item_count = 2,
					     .id = 9,
					     .payload = out,
					     .payload_len = (uint32_t)via_wire_batch_finish(&b)}),
		     VIA_OK);
	rig_expect_status(s, 9, NUMBER, VIA_STATUS_BAD_ENVELOPE, 1);
	via_session_close(s);
	done();
}

STACK_TEST(answers, a_batch_of_none_is_answered_with_none)
{
	via_session *s;
	via_message m;

	serve(stack);
	s = rig_connect(&r, "svc", &batches);
	cr_assert_eq(rig_send(s, &(via_message){.code = NUMBER,
						.flags = VIA_WIRE_FLAG_BATCH,
						.id = 9}),
		     VIA_OK);
	cr_assert_eq(rig_recv(s, &m, NULL, 0), VIA_OK);
	cr_expect_eq(m.status, VIA_STATUS_OK);
	cr_expect_eq(m.flags, VIA_WIRE_FLAG_BATCH);
	cr_expect_eq(m.item_count, 0);
	cr_expect_eq(m.payload_len, 0);
	cr_expect_eq(atomic_load(&svc.calls), 0);
	via_session_close(s);
	done();
}
