/* tests/session/test_rx.c - the receive lane against hostile packets: docs/wire.md sections 2, 3, 4, 8. */
#include "sess_rig.h"

TestSuite(rx, .init = sr_open, .fini = sr_close, .timeout = 30);

static const sr_terms terms = {4096, 4, 4096, 64}; /* 32 payload bytes in a packet */

Test(rx, one_packet_message_is_lent_where_it_lies)
{
	uint8_t p[132], body[100];
	script_link *l;
	via_session *s = sr_server_up(&sr_wide, &l);
	via_message m;

	sr_fill(body, sizeof body, 3);
	sr_packet(p, VIA_WIRE_REQUEST, 9, body, sizeof body);
	script_push(l, p, sizeof p, 0);
	sr_ok(via_session_recv(s, &m));
	cr_assert_eq(m.kind, VIA_WIRE_REQUEST);
	cr_assert_eq(m.code, 3);
	cr_assert_eq(m.id, 9);
	cr_assert_eq(m.item_count, 1);
	cr_assert_eq(m.payload_len, 100);
	cr_assert_eq(m.payload, l->in[1].data + 32, "a private record must not be copied");
	via_session_release(s, &m);
	cr_assert_eq(l->view_out, 0);
	sr_is(via_session_recv(s, &m), VIA_AGAIN);
	via_session_close(s);
}

Test(rx, zero_payload)
{
	uint8_t p[32];
	script_link *l;
	via_session *s = sr_server_up(&terms, &l);
	via_message m;

	sr_packet(p, VIA_WIRE_REQUEST, 1, NULL, 0);
	script_push(l, p, 32, 0);
	script_push(l, p, 32, VIA_VIEW_SHARED);
	sr_ok(via_session_recv(s, &m));
	cr_assert_eq(m.payload_len, 0);
	via_session_release(s, &m);
	sr_ok(via_session_recv(s, &m));
	cr_assert_eq(m.payload_len, 0);
	via_session_release(s, &m);
	via_session_close(s);
}

Test(rx, packet_shorter_than_a_header)
{
	uint8_t p[32];
	uint32_t n;

	sr_packet(p, VIA_WIRE_REQUEST, 1, NULL, 0);
	for (n = 1; n < 32; n++)
		sr_packet_kills(p, n, 0, VIA_PROTO);
}

Test(rx, every_bad_header)
{
	static const struct {
		uint32_t at;
		uint16_t value;
	} row[] = {{0, 0},
		   {4, 2},
		   {6, 31},
		   {8, 0},
		   {8, 4},
		   {8, VIA_WIRE_RESPONSE},
		   {8, VIA_WIRE_CONTROL}};
	uint32_t i;

	for (i = 0; i < sizeof row / sizeof row[0]; i++) {
		uint8_t p[32];

		sr_packet(p, VIA_WIRE_REQUEST, 1, NULL, 0);
		sr_put16(p, row[i].at, row[i].value);
		sr_packet_kills(p, sizeof p, 0, VIA_PROTO);
	}
}

Test(rx, longer_than_declared)
{
	uint8_t p[64] = {0}, body[32] = {0};

	sr_packet(p, VIA_WIRE_REQUEST, 1, body, 32);
	sr_put32(p, 16, 31);
	sr_packet_kills(p, sizeof p, 0, VIA_PROTO);
	sr_put32(p, 16, 0);
	sr_packet_kills(p, sizeof p, 0, VIA_PROTO);
}

Test(rx, exactly_as_declared_up_to_the_limit)
{
	static uint8_t p[32 + 4096], body[4096];
	script_link *l;
	via_session *s = sr_server_up(&sr_wide, &l);
	via_message m;

	sr_packet(p, VIA_WIRE_REQUEST, 1, body, 4096);
	script_push(l, p, sizeof p, 0);
	sr_ok(via_session_recv(s, &m));
	cr_assert_eq(m.payload_len, 4096);
	via_session_release(s, &m);
	via_session_close(s);
}

Test(rx, cut_record)
{
	uint8_t p[64], body[64] = {0};

	sr_packet(p, VIA_WIRE_REQUEST, 1, body, 32);
	sr_put32(p, 16, 64);
	sr_packet_kills(p, sizeof p, VIA_VIEW_CUT, VIA_PROTO);
	sr_packet_kills(p, 20, VIA_VIEW_CUT, VIA_PROTO);
}

Test(rx, payload_over_the_limit_leaves_a_header_to_answer)
{
	uint8_t p[32];
	script_link *l;
	via_session *s = sr_server_up(&sr_wide, &l);
	via_message m = {0}, answer;

	sr_packet(p, VIA_WIRE_REQUEST, 0xabcdef, NULL, 0);
	sr_put32(p, 16, 4097);
	sr_put16(p, 10, VIA_WIRE_FLAG_BATCH);
	sr_put32(p, 20, 3);
	script_push(l, p, sizeof p, 0);
	sr_is(via_session_recv(s, &m), VIA_LIMIT);
	cr_assert_eq(m.id, 0xabcdef);
	cr_assert_eq(m.code, 3);
	cr_assert_eq(m.kind, VIA_WIRE_REQUEST);
	cr_assert_eq(m.flags, VIA_WIRE_FLAG_BATCH);
	cr_assert_eq(m.item_count, 3);
	cr_assert_eq(m.payload_len, 0);
	cr_assert_null(m.payload);
	answer = (via_message){.kind = VIA_WIRE_RESPONSE,
			       .status = VIA_STATUS_LIMIT_EXCEEDED,
			       .item_count = 1,
			       .id = m.id};
	sr_ok(via_session_send(s, &answer));
	cr_assert_eq(l->n_out, 1);
	sr_dead(s, VIA_LIMIT);
}

Test(rx, payload_length_near_the_end_of_u32)
{
	static const sr_terms huge = {UINT32_MAX, 1, 4096, 64};
	uint8_t p[64] = {0};
	script_link *l;
	via_session *s = sr_server_up(&huge, &l);
	via_message m;

	sr_packet(p, VIA_WIRE_REQUEST, 1, NULL, 0);
	sr_put32(p, 16, UINT32_MAX - 31); /* header and payload together do not fit 32 bits */
	script_push(l, p, sizeof p, 0);
	sr_is(via_session_recv(s, &m), VIA_LIMIT);
	sr_dead(s, VIA_LIMIT);
}

Test(rx, item_count_over_the_limit)
{
	uint8_t p[32];

	sr_packet(p, VIA_WIRE_REQUEST, 1, NULL, 0);
	sr_put32(p, 20, 5);
	sr_packet_kills(p, sizeof p, 0, VIA_LIMIT);
	sr_put32(p, 20, UINT32_MAX);
	sr_packet_kills(p, sizeof p, 0, VIA_LIMIT);
}

Test(rx, agreed_zero_allows_nothing)
{
	static const sr_terms none = {0, 0, 4096, 64};
	uint8_t p[33] = {0};
	script_link *l;
	via_session *s = sr_server_up(&none, &l);
	via_message m;

	sr_packet(p, VIA_WIRE_REQUEST, 1, p, 1);
	script_push(l, p, sizeof p, 0);
	sr_is(via_session_recv(s, &m), VIA_LIMIT);
	via_session_close(s);
	s = sr_server_up(&none, &l);
	sr_packet(p, VIA_WIRE_REQUEST, 1, NULL, 0);
	script_push(l, p, 32, 0);
	sr_is(via_session_recv(s, &m), VIA_LIMIT);
	via_session_close(s);
}

/* The answer's batch limit is a field of its own, even if servers repeat the request's. */
Test(rx, response_batch_limit_is_the_responses)
{
	via_endpoint ep = sr_endpoint("script", "svc");
	via_wire_ack ack = {.layout = 1,
			    .server_supported = 1,
			    .intersection = 1,
			    .selected = 1,
			    .max_request_payload = 100,
			    .max_request_batch = 1,
			    .max_response_payload = 100,
			    .max_response_batch = 3,
			    .packet_size = 200};
	script_link *l = script_dialled();
	uint8_t p[VIA_WIRE_ACK_PACKET];
	via_session *s = NULL;
	via_message m = {.kind = VIA_WIRE_REQUEST, .item_count = 1, .id = 1};

	sr_ok(via_session_start(r_, &ep, NULL, &s));
	script_push(l, p, via_wire_ack_packet(&ack, 0, p), 0);
	sr_ok(via_session_step(s));
	sr_ok(via_session_send(s, &m));
	sr_packet(p, VIA_WIRE_RESPONSE, 1, NULL, 0);
	sr_put32(p, 20, 3);
	script_push(l, p, 32, 0);
	sr_ok(via_session_recv(s, &m));
	via_session_release(s, &m);
	via_session_close(s);
}

Test(rx, response_without_request)
{
	uint8_t p[32];
	script_link *l;
	via_session *s = sr_client_up(&sr_wide, &l);
	via_message m = {.kind = VIA_WIRE_REQUEST, .item_count = 1, .id = 5};

	sr_packet(p, VIA_WIRE_RESPONSE, 1, NULL, 0);
	script_push(l, p, sizeof p, 0);
	sr_is(via_session_recv(s, &m), VIA_PROTO); /* nothing in flight */
	via_session_close(s);
	s = sr_client_up(&sr_wide, &l);
	sr_ok(via_session_send(s, &m));
	script_push(l, p, sizeof p, 0);
	sr_is(via_session_recv(s, &m), VIA_PROTO); /* another is */
	via_session_close(s);
}

Test(rx, response_twice)
{
	uint8_t p[32];
	script_link *l;
	via_session *s = sr_client_up(&sr_wide, &l);
	via_message m = {.kind = VIA_WIRE_REQUEST, .item_count = 1, .id = 5};

	sr_ok(via_session_send(s, &m));
	sr_packet(p, VIA_WIRE_RESPONSE, 5, NULL, 0);
	script_push(l, p, sizeof p, 0);
	script_push(l, p, sizeof p, 0);
	sr_ok(via_session_recv(s, &m));
	via_session_release(s, &m);
	sr_is(via_session_recv(s, &m), VIA_PROTO);
	via_session_close(s);
}

/* -- lending ------------------------------------------------------------------------------------------------ */

Test(rx, shared_bytes_are_copied_before_they_are_looked_at)
{
	uint8_t p[132], body[100];
	script_link *l;
	via_session *s = sr_server_up(&sr_wide, &l);
	via_message m;

	sr_fill(body, sizeof body, 3);
	sr_packet(p, VIA_WIRE_REQUEST, 9, body, sizeof body);
	script_push(l, p, sizeof p, VIA_VIEW_SHARED);
	sr_ok(via_session_recv(s, &m));
	cr_assert(m.payload != l->in[1].data + 32);
	memset(l->in[1].data, 0xee, sizeof p); /* the peer changes its mind */
	cr_assert(sr_filled(m.payload, 100, 3));
	cr_assert_eq(l->view_out, 0, "shared memory is given back at once");
	via_session_release(s, &m);
	via_session_close(s);
}

Test(rx, unreleased_message_refuses_the_next)
{
	uint8_t p[64], body[SR_BODY];
	script_link *l;
	via_session *s = sr_server_up(&terms, &l);
	uint32_t i, way;
	via_message m, next;

	sr_fill(body, sizeof body, 5);
	for (way = 0; way < 3;
	     way++) { /* a lent record, a copy of a shared one, put together from chunks */
		if (way == 2) {
			sr_push_first(l, body, 0);
			for (i = 1; i < 4; i++)
				script_push(l, p, sr_chunk(p, i, body), 0);
		} else {
			sr_packet(p, VIA_WIRE_REQUEST, 9, body, 20);
			script_push(l, p, 52, way == 1 ? VIA_VIEW_SHARED : 0);
		}
		sr_ok(via_session_recv(s, &m));
		sr_packet(p, VIA_WIRE_REQUEST, 10, "x", 1);
		script_push(l, p, 33, VIA_VIEW_SHARED);
		sr_is(via_session_recv(s, &next), VIA_STATE);
		cr_assert(sr_filled(m.payload, m.payload_len, 5), "way %u", way);
		via_session_release(s, &m);
		sr_ok(via_session_recv(s, &next));
		cr_assert_eq(next.id, 10);
		via_session_release(s, &next);
	}
	via_session_close(s);
}

Test(rx, received_before_the_end_is_delivered_before_it)
{
	uint8_t p[33];
	script_link *l;
	via_session *s = sr_server_up(&terms, &l);
	via_message m;

	sr_packet(p, VIA_WIRE_REQUEST, 9, "x", 1);
	script_push(l, p, 33, 0);
	script_push(l, p, 33, 0);
	script_end(l, VIA_CLOSED);
	sr_ok(via_session_recv(s, &m));
	via_session_release(s, &m);
	sr_ok(via_session_recv(s, &m));
	via_session_release(s, &m);
	sr_is(via_session_recv(s, &m), VIA_CLOSED);
	sr_dead(s, VIA_CLOSED);
}

Test(rx, end_of_receiving_does_not_end_sending)
{
	script_link *l;
	via_session *s = sr_server_up(&terms, &l);
	via_message m = {.kind = VIA_WIRE_RESPONSE, .item_count = 1, .id = 9}, got;

	script_end(l, VIA_CLOSED);
	sr_is(via_session_recv(s, &got), VIA_CLOSED);
	sr_ok(via_session_send(s, &m));
	cr_assert_eq(l->n_out, 1);
	via_session_close(s);
}

Test(rx, no_memory_for_a_message_ends_the_session)
{
	uint8_t body[SR_BODY] = {0};
	script_link *l;
	via_session *s = sr_server_up(&terms, &l);
	via_message m;

	sr_push_first(l, body, 0);
	rig_deny(1);
	sr_is(via_session_recv(s, &m), VIA_NOMEM);
	sr_dead(s, VIA_NOMEM);
}

/* -- several at once ------------------------------------------------------------------------------------ */

/* A link where a look costs a system call, and which could hand out several records. */
static via_session *up_for_many(script_link **l)
{
	via_session *s = sr_server_up(&sr_wide, l);

	cr_assert_eq((*l)->base.rx_plain, 1, "handles may still come");
	s->rx_at_once = RX_AT_ONCE;
	return s;
}

/* n messages in a row, of which there are no more then. */
static void take_row(via_session *s, script_link *l, uint64_t *id, uint32_t n)
{
	uint8_t p[32];
	via_message m;
	uint32_t i;

	for (i = 0; i < n; i++) {
		sr_packet(p, VIA_WIRE_REQUEST, (*id)++, NULL, 0);
		script_push(l, p, sizeof p, 0);
	}
	for (i = 0; i < n; i++) {
		sr_ok(via_session_recv(s, &m));
		via_session_release(s, &m);
	}
}

/* With a look in vain behind each row, or with none. */
Test(rx, several_are_asked_for_where_they_come_in_rows)
{
	int looks;

	for (looks = 0; looks < 2; looks++) {
		script_link *l;
		via_session *s = up_for_many(&l);
		uint64_t id = 1;
		uint32_t i;
		via_message m;

		for (i = 0; i < 6; i++) {
			take_row(s, l, &id, 1);
			cr_assert_eq(l->asked, 1, "they come alone");
			if (looks != 0)
				sr_is(via_session_recv(s, &m), VIA_AGAIN);
			rx_end_row(s);
		}
		take_row(s, l, &id, 2);
		cr_assert_eq(l->asked, 1, "the second showed it");
		for (i = 0; i < RX_ALONE; i++) {
			if (looks != 0)
				sr_is(via_session_recv(s, &m), VIA_AGAIN);
			rx_end_row(s);
			take_row(s, l, &id, 1);
			cr_assert_eq(l->asked, RX_AT_ONCE, "%u: one or a few may be an accident",
				     i);
		}
		rx_end_row(s);
		take_row(s, l, &id, 1);
		cr_assert_eq(l->asked, 1, "they come alone again");
		via_session_close(s);
	}
}

/* A client that waits for each answer: the next one begins another row. */
Test(rx, a_wait_ends_a_row)
{
	script_link *l;
	via_session *s = sr_client_up(&sr_wide, &l);
	via_message m, q = {.kind = VIA_WIRE_REQUEST, .code = 3, .item_count = 1};
	uint8_t p[32];
	uint32_t i;

	s->rx_at_once = RX_AT_ONCE;
	for (i = 1; i < 8; i++) {
		q.id = i;
		sr_ok(via_session_send(s, &q));
		sr_packet(p, VIA_WIRE_RESPONSE, i, NULL, 0);
		script_push(l, p, sizeof p, 0);
		sr_ok(session_recv_unseen(s, &m, via_deadline(1000000000u)));
		via_session_release(s, &m);
		cr_assert_eq(l->asked, 1);
	}
	via_session_close(s);
}
