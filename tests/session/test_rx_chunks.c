/* tests/session/test_rx_chunks.c - continuations and batch directories: docs/wire.md sections 3 and 4. */
#include "sess_rig.h"

TestSuite(rx_chunks, .init = sr_open, .fini = sr_close, .timeout = 30);

static const sr_terms terms = {4096, 4, 4096, 64}; /* 32 payload bytes in a packet */

Test(rx_chunks, chunks_are_put_together)
{
	uint8_t body[SR_BODY], p[64];
	script_link *l;
	via_session *s = sr_server_up(&terms, &l);
	uint32_t round, i;
	via_message m;

	for (round = 0; round < 3; round++) {
		sr_fill(body, SR_BODY, round);
		sr_push_first(l, body, round == 1 ? VIA_VIEW_SHARED : 0);
		for (i = 1; i < 4; i++) {
			sr_is(via_session_recv(s, &m), VIA_AGAIN);
			script_push(l, p, sr_chunk(p, i, body), round == 1 ? VIA_VIEW_SHARED : 0);
		}
		sr_ok(via_session_recv(s, &m));
		cr_assert_eq(m.payload_len, SR_BODY);
		cr_assert(sr_filled(m.payload, SR_BODY, round));
		via_session_release(s, &m);
	}
	via_session_close(s);
}

static const struct chunk_row {
	const char *what;
	uint32_t at, value;
} chunk_rows[] = {
	{"magic", 0, 0x4E495043},
	{"version", 4, 2},
	{"flags", 4, 0x00010001},
	{"message id", 8, 10},
	{"message id high", 12, 1},
	{"total", 16, SR_BODY},
	{"total + 1", 16, SR_BODY + 33},
	{"total 0", 16, 0},
	{"index 0", 20, 0},
	{"index 2", 20, 2},
	{"count 3", 24, 3},
	{"count 5", 24, 5},
	{"count 0", 24, 0},
	{"length 0", 28, 0},
	{"length 31", 28, 31},
	{"length 33", 28, 33},
	{"length max", 28, UINT32_MAX},
};

Test(rx_chunks, every_bad_chunk)
{
	uint8_t body[SR_BODY] = {0};
	uint32_t i;

	for (i = 0; i < sizeof chunk_rows / sizeof chunk_rows[0]; i++) {
		script_link *l;
		via_session *s = sr_server_up(&terms, &l);
		uint8_t p[64];
		via_message m;

		cr_log_info("%s", chunk_rows[i].what);
		sr_push_first(l, body, 0);
		sr_chunk(p, 1, body);
		sr_put32(p, chunk_rows[i].at, chunk_rows[i].value);
		script_push(l, p, 64, 0);
		sr_is(via_session_recv(s, &m), VIA_PROTO);
		sr_dead(s, VIA_PROTO);
	}
}

Test(rx_chunks, chunk_of_another_length_than_declared)
{
	static const uint32_t lens[] = {1, 31, 32, 33, 63, 65, 80};
	uint8_t body[SR_BODY] = {0};
	uint32_t i;

	for (i = 0; i < sizeof lens / sizeof lens[0]; i++) {
		script_link *l;
		via_session *s = sr_server_up(&terms, &l);
		uint8_t p[80] = {0};
		via_message m;

		sr_push_first(l, body, 0);
		sr_chunk(p, 1, body);
		script_push(l, p, lens[i], 0);
		sr_is(via_session_recv(s, &m), VIA_PROTO);
		sr_dead(s, VIA_PROTO);
	}
}

/* A packet may be filled less than full only if it is the last. */
Test(rx_chunks, chunk_not_filled)
{
	uint8_t body[SR_BODY] = {0}, p[64];
	script_link *l;
	via_session *s = sr_server_up(&terms, &l);
	via_message m;

	sr_push_first(l, body, 0);
	sr_chunk(p, 1, body);
	sr_put32(p, 28, 16);
	script_push(l, p, 48, 0);
	sr_is(via_session_recv(s, &m), VIA_PROTO);
	sr_dead(s, VIA_PROTO);
}

Test(rx_chunks, chunk_past_the_end_and_cut)
{
	uint8_t body[128] = {0}, p[64];
	script_link *l;
	via_session *s = sr_server_up(&terms, &l);
	via_message m;

	sr_push_first(l, body, 0);
	script_push(l, p, sr_chunk(p, 1, body), 0);
	script_push(l, p, sr_chunk(p, 2, body), 0);
	sr_chunk(p, 3, body);
	sr_put32(p, 28, 5);
	script_push(l, p, 37, 0);
	sr_is(via_session_recv(s, &m), VIA_PROTO);
	sr_dead(s, VIA_PROTO);
	s = sr_server_up(&terms, &l);
	sr_push_first(l, body, 0);
	script_push(l, p, sr_chunk(p, 1, body), VIA_VIEW_CUT);
	sr_is(via_session_recv(s, &m), VIA_PROTO);
	sr_dead(s, VIA_PROTO);
}

Test(rx_chunks, another_message_between_chunks)
{
	uint8_t body[SR_BODY] = {0}, p[64];
	script_link *l;
	via_session *s = sr_server_up(&terms, &l);
	via_message m;

	sr_push_first(l, body, 0);
	sr_packet(p, VIA_WIRE_REQUEST, 10, NULL, 0);
	script_push(l, p, 32, 0);
	sr_is(via_session_recv(s, &m), VIA_PROTO);
	sr_dead(s, VIA_PROTO);
}

Test(rx_chunks, missing_continuation_is_the_end_not_a_chunk_error)
{
	static const via_rc ends[] = {VIA_CLOSED, VIA_RESET};
	uint8_t body[SR_BODY] = {0};
	uint32_t i;

	for (i = 0; i < 2; i++) {
		script_link *l;
		via_session *s = sr_server_up(&terms, &l);
		via_message m;

		sr_push_first(l, body, 0);
		script_end(l, ends[i]);
		sr_is(via_session_recv_wait(s, &m, rig_soon()), ends[i]);
		via_session_close(s);
	}
}

Test(rx_chunks, deadline_covers_all_chunks_and_leaves_the_session_usable)
{
	uint8_t body[SR_BODY], p[64];
	script_link *l;
	via_session *s = sr_server_up(&terms, &l);
	via_message m;
	uint32_t i;

	sr_fill(body, SR_BODY, 1);
	sr_push_first(l, body, 0);
	sr_is(via_session_recv_wait(s, &m, via_deadline(5000000u)), VIA_TIMEOUT);
	for (i = 1; i < 4; i++)
		script_push(l, p, sr_chunk(p, i, body), 0);
	sr_ok(via_session_recv_wait(s, &m, rig_soon()));
	cr_assert(sr_filled(m.payload, SR_BODY, 1));
	via_session_release(s, &m);
	via_session_close(s);
}

Test(rx_chunks, client_id_leaves_with_the_first_packet)
{
	uint8_t p[132] = {0}, body[SR_BODY] = {0};
	script_link *l;
	via_session *s = sr_client_up(&terms, &l);
	via_message m = {.kind = VIA_WIRE_REQUEST, .item_count = 1, .id = 9}, got;

	sr_ok(via_session_send(s, &m));
	sr_is(via_session_send(s, &m), VIA_EXISTS);
	sr_packet(p, VIA_WIRE_RESPONSE, 9, body, SR_BODY);
	script_push(l, p, 64, 0);
	sr_is(via_session_recv(s, &got), VIA_AGAIN);
	sr_ok(via_session_send(s, &m));
	via_session_close(s);
}

/* -- batches ----------------------------------------------------------------------------------------------- */

static uint32_t batch_payload(uint8_t *out, uint32_t cap)
{
	via_wire_batch b;

	sr_ok(via_wire_batch_begin(&b, out, cap, 3));
	sr_ok(via_wire_batch_add(&b, "first item", 10));
	sr_ok(via_wire_batch_add(&b, "", 0));
	sr_ok(via_wire_batch_add(&b, "the third and longest of the items", 34));
	return (uint32_t)via_wire_batch_finish(&b);
}

/* Sends a payload in packets of 64 or one. */
static void push_message(script_link *l, uint8_t *p, uint32_t payload_len, int chunked)
{
	uint32_t at = 32, index = 1, count = via_wire_chunk_count(payload_len, 64);
	uint8_t c[64];

	sr_put16(p, 10, VIA_WIRE_FLAG_BATCH);
	sr_put32(p, 20, 3);
	if (!chunked) {
		script_push(l, p, 32 + payload_len, 0);
		return;
	}
	script_push(l, p, 64, 0);
	for (; at < payload_len; at += 32, index++) {
		uint32_t n = payload_len - at < 32 ? payload_len - at : 32;
		via_wire_chunk h = {.message_id = 9,
				    .total_message_len = 32 + payload_len,
				    .chunk_index = index,
				    .chunk_count = count,
				    .chunk_payload_len = n};

		via_wire_chunk_encode(&h, c);
		memcpy(c + 32, p + 32 + at, n);
		script_push(l, c, 32 + n, 0);
	}
}

Test(rx_chunks, batch_directory)
{
	uint8_t body[128], p[160];
	uint32_t len = batch_payload(body, sizeof body);
	int chunked;

	for (chunked = 0; chunked < 2; chunked++) {
		static const struct {
			uint32_t at, value;
		} bad[] = {{0, 4},           {0, 1000},         {4, 1000},
			   {12, UINT32_MAX}, {16, 0xfffffff8u}, {20, 35 + 40}};
		via_message m;
		script_link *l;
		via_session *s = sr_server_up(chunked != 0 ? &terms : &sr_wide, &l);
		uint32_t i;

		sr_packet(p, VIA_WIRE_REQUEST, 9, body, len);
		push_message(l, p, len, chunked);
		sr_ok(via_session_recv(s, &m));
		cr_assert_eq(m.item_count, 3);
		cr_assert_eq(m.flags, VIA_WIRE_FLAG_BATCH);
		via_session_release(s, &m);
		via_session_close(s);
		for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
			s = sr_server_up(chunked != 0 ? &terms : &sr_wide, &l);
			sr_packet(p, VIA_WIRE_REQUEST, 9, body, len);
			sr_put32(p, 32 + bad[i].at, bad[i].value);
			push_message(l, p, len, chunked);
			sr_is(via_session_recv(s, &m), VIA_PROTO);
			sr_dead(s, VIA_PROTO);
		}
	}
}

Test(rx_chunks, batch_directory_longer_than_the_payload)
{
	uint8_t p[64] = {0};

	sr_packet(p, VIA_WIRE_REQUEST, 9, p, 23);
	sr_put16(p, 10, VIA_WIRE_FLAG_BATCH);
	sr_put32(p, 20, 3);
	sr_packet_kills(p, 55, 0, VIA_PROTO);
	sr_put32(p, 16, 0);
	sr_packet_kills(p, 32, 0, VIA_PROTO);
	sr_packet_kills(p, 32, VIA_VIEW_SHARED, VIA_PROTO);
}

/* Only a batch of more than one has its directory looked at. */
Test(rx_chunks, batch_of_one_and_count_without_the_flag_are_opaque)
{
	uint8_t p[40] = {0};
	script_link *l;
	via_session *s = sr_server_up(&sr_wide, &l);
	via_message m;

	sr_packet(p, VIA_WIRE_REQUEST, 9, "\xff\xff\xff\xff\xff\xff\xff\xff", 8);
	sr_put16(p, 10, VIA_WIRE_FLAG_BATCH);
	script_push(l, p, 40, 0);
	sr_put16(p, 10, 0);
	sr_put32(p, 20, 4);
	script_push(l, p, 40, 0);
	sr_ok(via_session_recv(s, &m));
	via_session_release(s, &m);
	sr_ok(via_session_recv(s, &m));
	cr_assert_eq(m.item_count, 4);
	via_session_release(s, &m);
	via_session_close(s);
}
