/* tests/server/test_sizes.c - messages of many packets, agreed limits, room that grows (docs/wire.md sections 4
 * and 15), by sessions over every transport. */
#include "rig.h"

TestSuite(sizes, .timeout = 60);

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

static void done(void)
{
	rig_close(&r);
	rig_svc_close(&svc);
}

static void check_text(via_session *s, uint64_t id, uint32_t len)
{
	static uint8_t out[1 << 20], back[1 << 20];
	uint32_t n = rig_text(out, len);
	via_message m;
	via_rc rc;

	cr_assert_eq(rig_send(s, &(via_message){.code = TEXT,
						.item_count = 1,
						.id = id,
						.payload = out,
						.payload_len = n}),
		     VIA_OK, "%s", via_error());
	rc = rig_recv(s, &m, back, sizeof back);
	cr_assert_eq(rc, VIA_OK, "%s: %s", via_rc_name(rc), via_error());
	cr_assert_eq(m.status, VIA_STATUS_OK);
	cr_assert_eq(m.payload_len, n);
	cr_assert_arr_eq(back, out, n);
}

static void check_chunks(const char *stack, uint32_t flags)
{
	via_session_config server = {.struct_size = sizeof server,
				     .max_request_payload = 1 << 20,
				     .max_response_payload = 1 << 20};
	via_session_config c = {.struct_size = sizeof c,
				.max_request_payload = 1 << 20,
				.packet_size = 128};
	via_session *s;
	uint32_t len;

	serve_with(stack, flags, rig_answer, &server);
	s = rig_connect(&r, "svc", &c);
	for (len = 80; len < 300; len += 7)
		check_text(s, len, len);
	check_text(s, 1, 20000);
	via_session_close(s);
	c.packet_size = 0;
	s = rig_connect(&r, "svc", &c);
	check_text(s, 1, 1000000);
	check_text(s, 2, 5);
	check_text(s, 3, 700000);
	via_session_close(s);
	done();
}

STACK_TEST(sizes, long_messages_are_chunked)
{
	check_chunks(stack, 0);
}

STACK_TEST(sizes, long_messages_are_chunked_on_the_pool)
{
	check_chunks(stack, VIA_SVC_BLOCKING | VIA_SVC_CONCURRENT);
}

static via_rc long_text(rig_svc *v, rig_session *s, via_call *call)
{
	uint64_t number = 0;
	uint32_t size;

	(void)s;
	via_increment_decode(call->request, call->request_len, &number, NULL);
	size = (uint32_t)via_string_reverse_size((uint32_t)number);
	if (size > call->response_cap)
		return VIA_TOOBIG;
	rig_text(call->response, (uint32_t)number);
	call->response_len = size;
	(void)v;
	return VIA_OK;
}

/* One more session, its agreed room, and a call that needs more. */
static uint32_t room_of_next(uint32_t wanted)
{
	via_session *s = rig_connect(&r, "svc", NULL);
	via_session_info info = {.struct_size = sizeof info};

	via_session_get_info(s, &info);
	if (info.max_response_payload < wanted) {
		cr_assert_eq(rig_send_number(s, 1, wanted), VIA_OK);
		rig_expect_status(s, 1, NUMBER, VIA_STATUS_LIMIT_EXCEEDED, 1);
	}
	via_session_close(s);
	return info.max_response_payload;
}

STACK_TEST(sizes, later_sessions_get_more_room_up_to_the_ceiling)
{
	uint32_t want;

	serve_with(stack, 0, long_text, NULL);
	for (want = 65536; want < 1 << 20; want *= 2)
		cr_assert_eq(room_of_next(2 << 20), want);
	cr_assert_eq(room_of_next(2 << 20), 1 << 20);
	cr_assert_eq(room_of_next(2 << 20), 1 << 20);
	cr_expect_eq(rig_stats(&r).calls_failed, 6);
	done();
}

STACK_TEST(sizes, configured_room_is_the_ceiling)
{
	via_session_config c = {.struct_size = sizeof c, .max_response_payload = 3000};

	serve_with(stack, 0, long_text, &c);
	cr_assert_eq(room_of_next(4000), 3000);
	cr_assert_eq(room_of_next(4000), 3000);
	done();
}

STACK_TEST(sizes, a_request_ceiling_refuses_in_the_handshake)
{
	via_session_config server = {.struct_size = sizeof server, .max_request_payload = 2000};
	via_session_config c = {.struct_size = sizeof c, .max_request_payload = 2001};
	via_endpoint ep;
	via_session *s = NULL;

	serve_with(stack, 0, rig_answer, &server);
	ep = rig_endpoint(&r, "svc");
	cr_assert_eq(via_session_connect(r.reg, &ep, &c, via_deadline(RIG_SOON), &s), VIA_REFUSED);
	cr_assert_null(s);
	rig_until(rig_stats(&r).refused == 1);
	cr_expect(rig_log_has(&r,
			      "a server session of svc: handshake: refused with LIMIT_EXCEEDED"),
		  "%s", r.log);
	c.max_request_payload = 2000;
	s = rig_connect(&r, "svc", &c);
	via_session_close(s);
	done();
}
