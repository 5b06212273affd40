/* tests/session/test_hs_server.c - what the server makes of a HELLO: docs/wire.md section 6, row by row. */
#include "sess_rig.h"

TestSuite(hs_server, .init = sr_open_few, .fini = sr_close, .timeout = 30);

static via_wire_hello good_hello(void)
{
	return (via_wire_hello){.layout = 1,
				.supported = 1,
				.max_request_payload = 1024,
				.max_request_batch = 1,
				.max_response_payload = 1024,
				.max_response_batch = 1,
				.auth_token = 0x1122334455667788u,
				.packet_size = 65536};
}

static script_link *hello_comes(const via_wire_hello *h)
{
	uint8_t packet[VIA_WIRE_HELLO_PACKET];
	script_link *l = script_accepted();

	script_push(l, packet, via_wire_hello_packet(h, packet), 0);
	return l;
}

static void listen_script(uint32_t packet)
{
	via_session_config c = sr_config();

	c.packet_size = packet;
	sr_listen("script", &c);
}

/* Dropped: no session, no answer, connection closed. */
static void expect_dropped(script_link *l)
{
	via_session *s = NULL;

	sr_is(via_acceptor_step(acceptor_, &s), VIA_AGAIN);
	cr_assert_eq(l->n_out, 0, "a dropped peer was answered");
	cr_assert(l->closed);
}

/* Refused: the 80 bytes of docs/wire.md section 5, then closed. */
static void expect_refused(script_link *l, uint16_t status)
{
	uint8_t want[VIA_WIRE_ACK_PACKET];
	via_wire_ack none = {.layout = 1};
	via_session *s = NULL;

	sr_is(via_acceptor_step(acceptor_, &s), VIA_AGAIN);
	via_wire_ack_packet(&none, status, want);
	cr_assert_eq(l->n_out, 1, "%u answers", l->n_out);
	cr_assert_eq(l->out[0].len, sizeof want);
	cr_assert_arr_eq(l->out[0].data, want, sizeof want);
	cr_assert(l->closed);
}

static void expect_accepted(script_link *l, via_wire_ack *ack)
{
	via_session *s = NULL;
	via_flaw why;
	uint16_t status;

	sr_ok(via_acceptor_step(acceptor_, &s));
	cr_assert_eq(l->n_out, 1);
	sr_ok(via_wire_ack_inspect(l->out[0].data, l->out[0].len, ack, &status, &why));
	via_session_close(s);
	cr_assert(l->closed);
}

/* The good one is accepted after whatever came before. */
static void expect_alive(void)
{
	via_wire_hello h = good_hello();
	via_wire_ack ack;

	expect_accepted(hello_comes(&h), &ack);
}

Test(hs_server, accepts_and_answers_with_its_terms)
{
	via_wire_hello h = good_hello();
	via_session_config c = sr_config();
	via_wire_ack ack;

	c.max_request_payload = 4096;
	c.max_response_payload = 70000;
	c.packet_size = 2000;
	sr_listen("script", &c);
	h.max_request_payload = 4096;
	h.max_request_batch = 9;
	expect_accepted(hello_comes(&h), &ack);
	cr_assert_eq(ack.selected, 1);
	cr_assert_eq(ack.max_request_payload, 4096);
	cr_assert_eq(ack.max_request_batch, 9);
	cr_assert_eq(ack.max_response_payload, 70000);
	cr_assert_eq(ack.max_response_batch, 9);
	cr_assert_eq(ack.packet_size, 2000);
	cr_assert_eq(ack.session_id, 1);
}

Test(hs_server, session_ids_count)
{
	via_wire_hello h = good_hello();
	via_wire_ack ack;
	uint64_t i;

	listen_script(0);
	for (i = 1; i <= 5; i++) {
		expect_accepted(hello_comes(&h), &ack);
		cr_assert_eq(ack.session_id, i);
	}
}

/* One flaw each in an otherwise good HELLO. */
struct flaw_row {
	const char *what;
	uint32_t at, size, value;
	int status; /* refused with this, or -1: dropped */
};

static const struct flaw_row flaw_rows[] = {
	{"magic", 0, 4, 0x12345678, -1},
	{"version 2", 4, 2, 2, VIA_STATUS_INCOMPATIBLE},
	{"version 0", 4, 2, 0, VIA_STATUS_INCOMPATIBLE},
	{"header_len", 6, 2, 40, -1},
	{"kind 0", 8, 2, 0, -1},
	{"kind 4", 8, 2, 4, -1},
	{"kind request", 8, 2, VIA_WIRE_REQUEST, -1},
	{"kind response", 8, 2, VIA_WIRE_RESPONSE, -1},
	{"code ack", 12, 2, VIA_WIRE_HELLO_ACK, -1},
	{"code 0", 12, 2, 0, -1},
	{"layout", 32, 2, 2, VIA_STATUS_INCOMPATIBLE},
	{"reserved", 32 + 28, 4, 1, -1},
	{"no common profile", 32 + 4, 4, 0x2, VIA_STATUS_UNSUPPORTED},
	{"no profile", 32 + 4, 4, 0, VIA_STATUS_UNSUPPORTED},
	{"token", 32 + 32, 4, 1, VIA_STATUS_AUTH_FAILED},
	{"request payload", 32 + 12, 4, 1025, VIA_STATUS_LIMIT_EXCEEDED},
	{"packet 32", 32 + 40, 4, 32, VIA_STATUS_INCOMPATIBLE},
	{"packet 0", 32 + 40, 4, 0, VIA_STATUS_INCOMPATIBLE},
};

static script_link *flawed(const struct flaw_row *row)
{
	via_wire_hello h = good_hello();
	uint8_t p[VIA_WIRE_HELLO_PACKET];
	script_link *l = script_accepted();

	via_wire_hello_packet(&h, p);
	if (row->size == 2)
		sr_put16(p, row->at, (uint16_t)row->value);
	else
		sr_put32(p, row->at, row->value);
	script_push(l, p, sizeof p, 0);
	return l;
}

Test(hs_server, every_flaw_has_its_outcome)
{
	uint32_t i;

	listen_script(0);
	for (i = 0; i < sizeof flaw_rows / sizeof flaw_rows[0]; i++) {
		cr_log_info("%s", flaw_rows[i].what);
		if (flaw_rows[i].status < 0)
			expect_dropped(flawed(&flaw_rows[i]));
		else
			expect_refused(flawed(&flaw_rows[i]), (uint16_t)flaw_rows[i].status);
	}
	expect_alive();
}

Test(hs_server, the_order_of_tests_is_that_of_the_wire)
{
	via_wire_hello h = good_hello();
	uint8_t p[VIA_WIRE_HELLO_PACKET];
	script_link *l;

	listen_script(0);
	h.auth_token = 1;
	h.max_request_payload = UINT32_MAX;
	h.packet_size = 1;
	expect_refused(hello_comes(&h), VIA_STATUS_AUTH_FAILED);
	h.supported = 8;
	expect_refused(hello_comes(&h), VIA_STATUS_UNSUPPORTED);
	h = good_hello();
	h.max_request_payload = UINT32_MAX;
	h.packet_size = 1;
	expect_refused(hello_comes(&h), VIA_STATUS_LIMIT_EXCEEDED);
	l = script_accepted(); /* layout wins over reserved */
	h = good_hello();
	via_wire_hello_packet(&h, p);
	sr_put16(p, 32, 7);
	sr_put32(p, 32 + 28, 7);
	script_push(l, p, sizeof p, 0);
	expect_refused(l, VIA_STATUS_INCOMPATIBLE);
}

Test(hs_server, truncated_at_every_length_is_dropped)
{
	via_wire_hello h = good_hello();
	uint8_t p[VIA_WIRE_HELLO_PACKET];
	uint32_t n;

	listen_script(0);
	via_wire_hello_packet(&h, p);
	for (n = 1; n < 60; n++) { /* as many links as a script has */
		script_link *l = script_accepted();

		script_push(l, p, n < 32 ? n : n + 16, 0);
		expect_dropped(l);
	}
	expect_alive();
}

Test(hs_server, foreign_layout_of_a_short_payload_is_dropped)
{
	via_wire_hello h = good_hello();
	uint8_t p[VIA_WIRE_HELLO_PACKET];
	script_link *l = script_accepted();

	listen_script(0);
	via_wire_hello_packet(&h, p);
	sr_put16(p, 32, 2);
	script_push(l, p, sizeof p - 1, 0);
	expect_dropped(l);
}

/* docs/wire.md section 5: what receivers of a handshake do not check. */
Test(hs_server, lenient_fields_are_not_looked_at)
{
	via_wire_hello h = good_hello();
	uint8_t p[VIA_WIRE_HELLO_PACKET];
	script_link *l = script_accepted();
	via_wire_ack ack;

	listen_script(0);
	via_wire_hello_packet(&h, p);
	sr_put16(p, 10, 0xffff);     /* flags of the header */
	sr_put16(p, 14, 99);         /* transport_status */
	sr_put32(p, 16, 7);          /* payload_len */
	sr_put32(p, 20, 0);          /* item_count */
	sr_put64(p, 24, UINT64_MAX); /* message_id */
	sr_put16(p, 34, 0xffff);     /* flags of HELLO */
	script_push(l, p, sizeof p, 0);
	expect_accepted(l, &ack);
}

Test(hs_server, longer_hello_is_accepted_cut_or_not)
{
	via_wire_hello h = good_hello();
	uint8_t p[200] = {0};
	via_wire_ack ack;
	script_link *l;

	listen_script(0);
	via_wire_hello_packet(&h, p);
	l = script_accepted();
	script_push(l, p, 128, VIA_VIEW_CUT);
	expect_accepted(l, &ack);
	l = script_accepted(); /* a link that keeps more than it was asked to */
	script_push(l, p, sizeof p, 0);
	expect_accepted(l, &ack);
	l = script_accepted();
	script_push(l, p, 77, VIA_VIEW_SHARED);
	expect_accepted(l, &ack);
}

Test(hs_server, a_peer_that_leaves_is_dropped)
{
	via_session *s;
	script_link *l;

	listen_script(0);
	l = script_accepted();
	script_end(l, VIA_CLOSED);
	expect_dropped(l);
	l = script_accepted();
	sr_is(via_acceptor_step(acceptor_, &s), VIA_AGAIN);
	cr_assert_not(l->closed);
	script_end(l, VIA_RESET);
	expect_dropped(l);
	expect_alive();
}

Test(hs_server, answer_waits_for_room)
{
	via_wire_hello h = good_hello();
	script_link *l = hello_comes(&h);
	via_session *s = NULL;
	uint32_t i;

	listen_script(0);
	l->again_from = 1;
	l->again_n = 3;
	for (i = 0; i < 3; i++)
		sr_is(via_acceptor_step(acceptor_, &s), VIA_AGAIN);
	sr_ok(via_acceptor_step(acceptor_, &s));
	cr_assert_eq(l->n_out, 1);
	cr_assert_eq(sr_info(s).session_id, 1, "the number must not change between tries");
	via_session_close(s);
}

Test(hs_server, buffers_are_sized_before_the_answer_leaves)
{
	via_wire_hello h = good_hello();
	script_link *l = hello_comes(&h);
	via_session *s = NULL;

	listen_script(200);
	l->again_from = 1;
	l->again_n = 1;
	sr_is(via_acceptor_step(acceptor_, &s), VIA_AGAIN);
	cr_assert_eq(l->expected, 200, "expect(%u) before the answer", l->expected);
	sr_ok(via_acceptor_step(acceptor_, &s));
	via_session_close(s);
	l = hello_comes(&h);
	l->fail_expect = VIA_NOMEM;
	sr_is(via_acceptor_step(acceptor_, &s), VIA_AGAIN);
	cr_assert(l->closed);
	cr_assert_eq(l->n_out, 0);
}

Test(hs_server, failing_answer_ends_that_handshake_only)
{
	via_wire_hello h = good_hello();
	script_link *l = hello_comes(&h);
	via_session *s;

	listen_script(0);
	l->fail_at = 1;
	l->fail_rc = VIA_RESET;
	sr_is(via_acceptor_step(acceptor_, &s), VIA_AGAIN);
	cr_assert(l->closed);
	expect_alive();
}

Test(hs_server, a_link_that_cannot_be_armed_ends_that_handshake_only)
{
	script_link *l = script_accepted();
	via_waitobj objs[4] = {{.struct_size = sizeof objs[0]}};
	via_time until;
	via_session *s;
	via_rc n;

	listen_script(0);
	l->fail_arm = VIA_RESET;
	sr_is(via_acceptor_step(acceptor_, &s), VIA_AGAIN);
	n = via_acceptor_wait_set(acceptor_, objs, 4, &until);
	cr_assert(n == VIA_BUSY || n >= 0, "one link's end ends the acceptor: %s", via_rc_name(n));
	sr_is(via_acceptor_step(acceptor_, &s), VIA_AGAIN);
	cr_assert(l->closed);
	expect_alive();
}

Test(hs_server, silent_peer_is_dropped_at_its_deadline)
{
	via_session_config c = sr_config();
	via_session *s = NULL;
	script_link *l;
	via_time t0 = os_now();

	c.handshake_ms = 30;
	sr_listen("script", &c);
	l = script_accepted();
	while (l->closed == 0 && os_now() < t0 + 10000000000u)
		sr_is(via_acceptor_accept(acceptor_, via_deadline(10000000u), &s), VIA_TIMEOUT);
	cr_assert(l->closed);
	cr_assert(os_now() - t0 >= 30000000u);
}

Test(hs_server, burst_of_clients_loses_nobody)
{
	via_wire_hello h = good_hello();
	script_link *l[50];
	via_session *s[50];
	uint32_t i;

	listen_script(0);
	for (i = 0; i < 50; i++)
		l[i] = hello_comes(&h);
	for (i = 0; i < 50; i++)
		sr_ok(via_acceptor_step(acceptor_, &s[i]));
	for (i = 0; i < 50; i++) {
		cr_assert_not(l[i]->closed, "client %u was lost", i);
		via_session_close(s[i]);
	}
}

Test(hs_server, more_silent_peers_than_places_let_the_good_one_in)
{
	via_wire_hello h = good_hello();
	script_link *l[40], *good;
	via_session *s;
	uint32_t i, open = 0;

	listen_script(0);
	for (i = 0; i < 40; i++)
		l[i] = script_accepted();
	sr_is(via_acceptor_step(acceptor_, &s), VIA_AGAIN);
	good = hello_comes(&h);
	sr_ok(via_acceptor_step(acceptor_, &s));
	cr_assert_not(good->closed);
	via_session_close(s);
	for (i = 0; i < 40; i++)
		open += l[i]->closed == 0;
	cr_assert_leq(open, 30, "%u silent peers are kept", open);
	cr_assert(l[0]->closed, "the oldest makes room");
	cr_assert_not(l[39]->closed);
}
