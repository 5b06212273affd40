/* tests/session/test_hs_client.c - what the client makes of the answer to HELLO: docs/wire.md section 6. */
#include "sess_rig.h"

TestSuite(hs_client, .init = sr_open, .fini = sr_close, .timeout = 30);

static via_wire_ack good_ack(void)
{
	return (via_wire_ack){.layout = 1,
			      .server_supported = 1,
			      .intersection = 1,
			      .selected = 1,
			      .max_request_payload = 1024,
			      .max_request_batch = 1,
			      .max_response_payload = 5000,
			      .max_response_batch = 1,
			      .packet_size = 300,
			      .session_id = 42};
}

static via_session *start(script_link **l)
{
	via_endpoint ep = sr_endpoint("script", "svc");
	via_session_config c = sr_config();
	via_session *s = NULL;

	c.profiles = 1;
	*l = script_dialled();
	sr_ok(via_session_start(r_, &ep, &c, &s));
	return s;
}

/* The answer's bytes, changed at one place, bring this result; again when asked again. */
static void expect_result(const uint8_t *packet, uint32_t len, uint32_t flags, via_rc want,
			  uint16_t status)
{
	script_link *l;
	via_session *s = start(&l);
	via_message m;

	sr_is(via_session_step(s), VIA_AGAIN);
	script_push(l, packet, len, flags);
	sr_is(via_session_step(s), want);
	if (want == VIA_REFUSED)
		cr_assert_eq(sr_info(s).status, status);
	if (want != VIA_OK) {
		cr_assert_str_not_empty(via_error());
		sr_is(via_session_step(s), want);
		cr_assert_eq(sr_info(s).is_up, 0);
		sr_is(via_session_recv(s, &m), VIA_STATE);
		sr_is(via_session_send(s, &(via_message){.kind = VIA_WIRE_REQUEST}), VIA_STATE);
	}
	via_session_close(s);
}

Test(hs_client, hello_leaves_at_once)
{
	script_link *l;
	via_session *s = start(&l);
	via_wire_hello h;
	via_flaw why;

	sr_is(via_session_step(s), VIA_AGAIN);
	cr_assert_eq(l->n_out, 1);
	cr_assert_eq(via_wire_hello_inspect(l->out[0].data, l->out[0].len, &h, &why),
		     VIA_HELLO_ACCEPT);
	cr_assert_eq(h.supported, 1);
	cr_assert_eq(h.max_request_payload, 1024);
	cr_assert_eq(h.max_request_batch, 1);
	cr_assert_eq(h.packet_size, 212992);
	via_session_close(s);
}

Test(hs_client, agreed_limits_are_applied)
{
	via_wire_ack a = good_ack();
	uint8_t p[VIA_WIRE_ACK_PACKET];
	script_link *l;
	via_session *s = start(&l);
	via_session_info i;

	via_wire_ack_packet(&a, VIA_STATUS_OK, p);
	sr_is(via_session_step(s), VIA_AGAIN);
	script_push(l, p, sizeof p, 0);
	sr_ok(via_session_step(s));
	i = sr_info(s);
	cr_assert_eq(i.is_up, 1);
	cr_assert_eq(i.status, VIA_STATUS_OK);
	cr_assert_eq(i.session_id, 42);
	cr_assert_eq(i.selected, 1);
	cr_assert_eq(i.peer_offered, 1);
	cr_assert_eq(i.max_response_payload, 5000);
	cr_assert_eq(i.packet_size, 300);
	cr_assert_eq(sr_candidate(&i, 1)->verdict, VIA_VERDICT_SELECTED);
	cr_assert_str_eq(sr_candidate(&i, 1)->id, "org.test.script");
	cr_assert_eq(l->expected, 300);
	via_session_close(s);
}

Test(hs_client, every_refusal_says_its_status)
{
	uint16_t status;

	for (status = 1; status < 12; status++) {
		via_wire_ack none = {.layout = 1};
		uint8_t p[VIA_WIRE_ACK_PACKET];

		via_wire_ack_packet(&none, status, p);
		expect_result(p, sizeof p, 0, VIA_REFUSED, status);
		expect_result(p, 32, 0, VIA_REFUSED, status); /* a bare header is enough */
		memset(p + 32, 0xff, sizeof p - 32);
		expect_result(p, sizeof p, 0, VIA_REFUSED, status);
	}
}

struct ack_row {
	uint32_t at, size, value;
	via_rc want;
};

static const struct ack_row ack_rows[] = {
	{0, 4, 1, VIA_PROTO},   /* magic */
	{4, 2, 2, VIA_REFUSED}, /* version: INCOMPATIBLE */
	{6, 2, 33, VIA_PROTO},  /* header_len */
	{8, 2, 9, VIA_PROTO},   /* kind */
	{8, 2, VIA_WIRE_RESPONSE, VIA_PROTO},
	{12, 2, VIA_WIRE_HELLO, VIA_PROTO}, /* code */
	{32, 2, 2, VIA_REFUSED},            /* layout: INCOMPATIBLE */
	{34, 2, 1, VIA_PROTO},              /* flags */
	{32 + 12, 4, 0, VIA_PROTO},         /* nothing selected */
	{32 + 12, 4, 3, VIA_PROTO},         /* several */
	{32 + 12, 4, 2, VIA_PROTO},         /* not offered */
	{32 + 12, 4, 0x80000000u, VIA_PROTO},
	{32 + 32, 4, 32, VIA_PROTO}, /* packet size */
	{32 + 32, 4, 0, VIA_PROTO},
	{32 + 32, 4, 33, VIA_OK},
	{32 + 32, 4, 10000000, VIA_OK}, /* above the own proposal */
	{32 + 36, 4, 5, VIA_OK},        /* reserved is not checked */
	{10, 2, 0xffff, VIA_OK},        /* nor are these of the header */
	{16, 4, 0, VIA_OK},
	{20, 4, 0, VIA_OK},
	{24, 4, 77, VIA_OK},
};

Test(hs_client, every_flaw_has_its_result)
{
	uint32_t i;

	for (i = 0; i < sizeof ack_rows / sizeof ack_rows[0]; i++) {
		const struct ack_row *row = &ack_rows[i];
		via_wire_ack a = good_ack();
		uint8_t p[VIA_WIRE_ACK_PACKET];

		cr_log_info("row %u", i);
		via_wire_ack_packet(&a, VIA_STATUS_OK, p);
		if (row->size == 2)
			sr_put16(p, row->at, (uint16_t)row->value);
		else
			sr_put32(p, row->at, row->value);
		expect_result(p, sizeof p, 0, row->want, VIA_STATUS_INCOMPATIBLE);
	}
}

Test(hs_client, truncated_answer_breaks_the_protocol)
{
	via_wire_ack a = good_ack();
	uint8_t p[VIA_WIRE_ACK_PACKET];
	uint32_t n;

	via_wire_ack_packet(&a, VIA_STATUS_OK, p);
	for (n = 1; n < sizeof p; n += n < 30 || n > 76 ? 1 : 3)
		expect_result(p, n, 0, VIA_PROTO, 0);
}

Test(hs_client, longer_answer_is_accepted)
{
	via_wire_ack a = good_ack();
	uint8_t p[128] = {0};

	via_wire_ack_packet(&a, VIA_STATUS_OK, p);
	expect_result(p, sizeof p, VIA_VIEW_CUT, VIA_OK, 0);
	expect_result(p, 81, VIA_VIEW_SHARED, VIA_OK, 0);
}

Test(hs_client, closed_or_reset_without_an_answer)
{
	static const via_rc ends[] = {VIA_CLOSED, VIA_RESET};
	uint32_t i;

	for (i = 0; i < 2; i++) {
		script_link *l;
		via_session *s = start(&l);

		script_end(l, ends[i]);
		sr_is(via_session_step(s), ends[i]);
		sr_is(via_session_step(s), ends[i]);
		via_session_close(s);
	}
}

Test(hs_client, hello_waits_for_room_and_fails_with_its_link)
{
	script_link *l;
	via_session *s = start(&l);

	l->again_from = 1;
	l->again_n = 2;
	sr_is(via_session_step(s), VIA_AGAIN);
	cr_assert_eq(l->n_out, 0);
	sr_is(via_session_step(s), VIA_AGAIN);
	sr_is(via_session_step(s), VIA_AGAIN);
	cr_assert_eq(l->n_out, 1);
	via_session_close(s);
	s = start(&l);
	l->fail_at = 1;
	l->fail_rc = VIA_RESET;
	sr_is(via_session_step(s), VIA_RESET);
	via_session_close(s);
}

Test(hs_client, silent_server_runs_into_the_handshake_deadline)
{
	via_endpoint ep = sr_endpoint("script", "svc");
	via_session_config c = sr_config();
	via_session *s = NULL;

	c.handshake_ms = 20;
	script_dialled();
	sr_is(via_session_connect(r_, &ep, &c, rig_soon(), &s), VIA_TIMEOUT);
	script_dialled();
	c.handshake_ms = 0;
	sr_is(via_session_connect(r_, &ep, &c, via_deadline(20000000u), &s), VIA_TIMEOUT);
	script_dialled();
	sr_is(via_session_connect(r_, &ep, &c, VIA_POLL, &s), VIA_TIMEOUT);
}

Test(hs_client, nothing_to_offer_is_said)
{
	via_endpoint ep = sr_endpoint("script", "svc");
	via_session_config c = sr_config();
	via_session *s = NULL;
	via_session_info i;

	c.profiles = 0x8;
	script_dialled();
	sr_ok(via_session_start(r_, &ep, &c, &s));
	sr_is(via_session_step(s), VIA_NOTSUP);
	i = sr_info(s);
	cr_assert_eq(sr_candidate(&i, 8)->verdict, VIA_VERDICT_UNUSABLE);
	cr_assert_str_not_empty(sr_candidate(&i, 8)->reason);
	via_session_close(s);
}

Test(hs_client, full_queue_is_tried_again_until_the_deadline)
{
	via_endpoint ep = sr_endpoint("script", "svc");
	via_session *s = NULL;

	script_dial_fails(VIA_AGAIN);
	sr_is(via_session_connect(r_, &ep, NULL, via_deadline(10000000u), &s), VIA_TIMEOUT);
	sr_is(via_session_start(r_, &ep, NULL, &s), VIA_AGAIN);
	script_dial_fails(VIA_UNREACH);
	sr_is(via_session_connect(r_, &ep, NULL, rig_soon(), &s), VIA_UNREACH);
}

Test(hs_client, abort_during_the_handshake)
{
	script_link *l;
	via_session *s = start(&l);

	sr_is(via_session_step(s), VIA_AGAIN);
	via_session_abort(s, VIA_ABORTED);
	sr_is(via_session_wait(s, VIA_EV_RX, rig_soon()), VIA_OK);
	sr_is(via_session_step(s), VIA_ABORTED);
	via_session_close(s);
}

/* An answer fetched by a wait is not a message. */
Test(hs_client, recv_before_the_session_is_up_leaves_the_answer_alone)
{
	via_wire_ack a = good_ack();
	uint8_t p[VIA_WIRE_ACK_PACKET];
	script_link *l;
	via_session *s = start(&l);
	via_message m;

	sr_is(via_session_step(s), VIA_AGAIN);
	script_push(l, p, via_wire_ack_packet(&a, VIA_STATUS_OK, p), 0);
	sr_ok(via_session_wait(s, VIA_EV_RX, rig_soon()));
	sr_is(via_session_recv(s, &m), VIA_STATE);
	sr_ok(via_session_step(s));
	sr_is(via_session_recv(s, &m), VIA_AGAIN);
	via_session_close(s);
}

Test(hs_client, old_configuration_struct_is_refused)
{
	via_endpoint ep = sr_endpoint("script", "svc");
	via_session_config c = {.struct_size = 8};
	via_session *s = NULL;

	sr_is(via_session_start(r_, &ep, &c, &s), VIA_INVAL);
}

/* What cannot be sent must not be agreed. */
Test(hs_client, proposed_packet_is_what_the_link_carries)
{
	via_endpoint ep = sr_endpoint("script", "svc");
	via_session_config c = sr_config();
	script_link *l = script_dialled();
	via_session *s = NULL;

	c.packet_size = 212993;
	sr_ok(via_session_start(r_, &ep, &c, &s));
	sr_is(via_session_step(s), VIA_AGAIN);
	cr_assert_eq(sr_get32(l->out[0].data, 32 + 40), 212992);
	via_session_close(s);
}
