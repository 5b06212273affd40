/* tests/session/test_tx.c - the send lane: limits, chunks, full links, ids: docs/wire.md sections 4, 8. */
#include "sess_rig.h"
#include <stdlib.h>

TestSuite(tx, .init = sr_open, .fini = sr_close, .timeout = 60);

static const sr_terms terms = {4096, 4, 4096, 64};

static via_message request(uint64_t id, const void *payload, uint32_t len)
{
	return (via_message){.kind = VIA_WIRE_REQUEST,
			     .code = 3,
			     .item_count = 1,
			     .payload_len = len,
			     .id = id,
			     .payload = payload};
}

Test(tx, limits_are_local_and_cost_nothing)
{
	static uint8_t body[4097];
	script_link *l;
	via_session *s = sr_client_up(&terms, &l);
	via_message m = request(1, body, 4097);

	sr_is(via_session_send(s, &m), VIA_TOOBIG);
	m.payload_len = 4;
	m.item_count = 5;
	sr_is(via_session_send(s, &m), VIA_LIMIT);
	m.item_count = 4;
	m.kind = VIA_WIRE_RESPONSE;
	sr_is(via_session_send(s, &m), VIA_INVAL);
	m.kind = VIA_WIRE_REQUEST;
	m.payload = NULL;
	sr_is(via_session_send(s, &m), VIA_INVAL);
	m.payload = body;
	cr_assert_eq(l->n_out, 0);
	sr_ok(via_session_send(s, &m)); /* the id was never taken */
	m.payload_len = 4096;
	m.id = 2;
	sr_ok(via_session_send(s, &m));
	via_session_close(s);
}

Test(tx, length_near_the_end_of_u32)
{
	static const sr_terms huge = {1024, 1, UINT32_MAX, 64};
	script_link *l;
	via_session *s = sr_server_up(&huge, &l);
	uint8_t body[64] = {0};
	via_message m = request(1, body, UINT32_MAX - 31);

	m.kind = VIA_WIRE_RESPONSE;
	l->fail_at = 2; /* never reads past the first packet's bytes, even if it gets that far */
	l->fail_rc = VIA_RESET;
	sr_is(via_session_send(s, &m), VIA_TOOBIG);
	cr_assert_eq(l->n_out, 0);
	via_session_close(s);
}

Test(tx, a_record_the_link_cannot_carry)
{
	static const sr_terms t = {500000, 1, 4096, 400000};
	static uint8_t body[300000];
	script_link *l;
	via_session *s = sr_client_up(&t, &l);
	via_message m = request(1, body, sizeof body);

	sr_is(via_session_send(s, &m), VIA_TOOBIG);
	m.payload_len = 100;
	sr_ok(via_session_send(s, &m)); /* id free, session usable */
	via_session_close(s);
}

/* Reassembles what a session put on a scripted link. */
static void expect_sent(const script_link *l, const uint8_t *body, uint32_t len, uint32_t packet)
{
	uint32_t room = packet - 32, at = 0, i;

	cr_assert_eq(l->n_out, via_wire_chunk_count(len, packet));
	for (i = 0; i < l->n_out; i++) {
		const script_record *r = &l->out[i];
		uint32_t want = len - at < room ? len - at : room;

		cr_assert_eq(r->len, 32 + want, "packet %u has %u bytes", i, r->len);
		cr_assert_eq(sr_get32(r->data, 0), i == 0 ? VIA_WIRE_MAGIC : VIA_WIRE_CHUNK_MAGIC);
		if (want != 0)
			cr_assert_arr_eq(r->data + 32, body + at, want);
		at += want;
	}
	cr_assert_eq(at, len);
}

Test(tx, every_payload_length_around_packet_borders)
{
	static const uint32_t lens[] = {0, 1, 31, 32, 33, 63, 64, 65, 95, 96, 97, 4095, 4096};
	uint8_t body[4096];
	uint32_t i;

	sr_fill(body, sizeof body, 0);
	for (i = 0; i < sizeof lens / sizeof lens[0]; i++) {
		script_link *l;
		via_session *s = sr_client_up(&terms, &l);
		via_message m = request(1, body, lens[i]);

		sr_ok(via_session_send(s, &m));
		expect_sent(l, body, lens[i], 64);
		via_session_close(s);
	}
}

/* AGAIN at every send of a chunked message, for one call or several: same packets in the end. */
Test(tx, full_link_at_every_point)
{
	uint8_t body[200];
	uint32_t at, n;

	sr_fill(body, sizeof body, 9);
	for (at = 1; at <= 7; at++) {
		for (n = 1; n <= 3; n++) {
			script_link *l;
			via_session *s = sr_client_up(&terms, &l);
			via_message m = request(1, body, sizeof body);
			via_rc rc;
			uint32_t tries = 0;

			l->again_from = at;
			l->again_n = n;
			rc = via_session_send(s, &m);
			cr_assert_eq(rc, at == 1 ? VIA_AGAIN : VIA_PENDING);
			while (rc != VIA_OK) {
				rc = at == 1 ? via_session_send(s, &m) : via_session_flush(s);
				cr_assert(rc == VIA_OK || rc == VIA_AGAIN);
				cr_assert(++tries < 10);
			}
			cr_assert_eq(tries, n);
			expect_sent(l, body, sizeof body, 64);
			sr_ok(via_session_flush(s));
			via_session_close(s);
		}
	}
}

Test(tx, send_behind_a_pending_message)
{
	uint8_t body[100];
	script_link *l;
	via_session *s = sr_client_up(&terms, &l);
	via_message m = request(1, body, sizeof body), next = request(2, "x", 1);

	sr_fill(body, sizeof body, 9);
	l->again_from = 2;
	l->again_n = 2;
	sr_is(via_session_send(s, &m), VIA_PENDING);
	sr_is(via_session_send(s, &next), VIA_AGAIN);
	sr_ok(via_session_send_wait(s, &next, rig_soon())); /* sends the rest of the first before */
	cr_assert_eq(l->n_out, 5);
	cr_assert_eq(l->out[3].len, 36);
	cr_assert_eq(l->out[4].len, 33);
	via_session_close(s);
}

Test(tx, failure_in_mid_message_ends_the_lane)
{
	static const via_rc rcs[] = {VIA_RESET, VIA_NOMEM, VIA_TOOBIG};
	uint8_t body[100] = {0};
	uint32_t i, at;

	for (i = 0; i < 3; i++) {
		for (at = 2; at <= 4; at++) {
			script_link *l;
			via_session *s = sr_client_up(&terms, &l);
			via_message m = request(1, body, sizeof body);

			l->fail_at = at;
			l->fail_rc = rcs[i];
			sr_is(via_session_send(s, &m), rcs[i]);
			sr_is(via_session_send(s, &m), rcs[i]);
			sr_is(via_session_flush(s), rcs[i]);
			cr_assert_eq(l->n_out, at - 1);
			via_session_close(s);
		}
	}
}

Test(tx, waiting_that_fails_does_not_keep_the_payload)
{
	uint8_t *body = calloc(1, 100);
	script_link *l;
	via_session *s = sr_client_up(&terms, &l);
	via_message m = request(1, body, 100);

	cr_assert_not_null(body);
	l->again_from = 2;
	l->again_n = 1;
	l->fail_arm = VIA_IO;
	sr_is(via_session_send_wait(s, &m, rig_soon()), VIA_IO);
	free(body);
	cr_assert(via_session_flush(s) < 0,
		  "half a message is out: there is nothing to go on with");
	via_session_close(s);
}

Test(tx, deadline_in_mid_message_ends_the_session)
{
	uint8_t body[100] = {0};
	script_link *l;
	via_session *s = sr_client_up(&terms, &l);
	via_message m = request(1, body, sizeof body), got;

	l->again_from = 2;
	l->again_n = UINT32_MAX - 2;
	sr_is(via_session_send_wait(s, &m, via_deadline(2000000u)), VIA_TIMEOUT);
	sr_is(via_session_send(s, &m), VIA_TIMEOUT);
	sr_is(via_session_recv(s, &got), VIA_TIMEOUT);
	via_session_close(s);
	s = sr_client_up(&terms, &l); /* nothing was sent: the session goes on */
	l->again_from = 1;
	l->again_n = UINT32_MAX - 1;
	sr_is(via_session_send_wait(s, &m, via_deadline(2000000u)), VIA_TIMEOUT);
	l->again_n = 0;
	sr_ok(via_session_send(s, &m));
	via_session_close(s);
}

Test(tx, id_is_free_after_a_failed_send)
{
	static const via_rc rcs[] = {VIA_AGAIN, VIA_TOOBIG, VIA_NOMEM};
	uint32_t i;

	for (i = 0; i < 3; i++) {
		script_link *l;
		via_session *s = sr_client_up(&terms, &l);
		via_message m = request(1, NULL, 0);

		l->fail_at = 1;
		l->fail_rc = rcs[i];
		sr_is(via_session_send(s, &m), rcs[i]);
		sr_ok(via_session_send(s, &m));
		sr_is(via_session_send(s, &m), VIA_EXISTS);
		via_session_close(s);
	}
}

Test(tx, dead_link_is_sticky)
{
	script_link *l;
	via_session *s = sr_client_up(&terms, &l);
	via_message m = request(1, NULL, 0);

	l->fail_at = 1;
	l->fail_rc = VIA_RESET;
	sr_is(via_session_send(s, &m), VIA_RESET);
	sr_is(via_session_send(s, &m), VIA_RESET);
	sr_is(via_session_send_wait(s, &m, rig_soon()), VIA_RESET);
	via_session_close(s);
}

Test(tx, no_memory_for_the_table_of_ids)
{
	script_link *l;
	via_session *s = sr_client_up(&terms, &l);
	uint64_t id;

	for (id = 1; id <= 100; id++) {
		via_message m = request(id, NULL, 0);

		rig_deny(1);
		if (via_session_send(s, &m) != VIA_OK) {
			rig_deny(0);
			sr_ok(via_session_send(s, &m));
		}
	}
	rig_deny(0);
	cr_assert_eq(l->n_out, 100);
	via_session_close(s);
}

Test(tx, thousands_in_flight)
{
	static const uint64_t strides[] = {1, 3, 0x100000001u, 0x8000000000000001u, 1u << 20};
	uint32_t i, k, n = 5000;

	for (i = 0; i < sizeof strides / sizeof strides[0]; i++) {
		inflight f;

		inflight_init(&f);
		for (k = 0; k < n; k++)
			sr_ok(inflight_add(&rig_env, &f, k * strides[i]));
		for (k = 0; k < n; k += 7)
			sr_is(inflight_add(&rig_env, &f, k * strides[i]), VIA_EXISTS);
		for (k = 0; k < n; k += 2)
			cr_assert(inflight_take(&f, k * strides[i]));
		for (k = 0; k < n; k++)
			cr_assert_eq(inflight_take(&f, k * strides[i]), k % 2,
				     "id %u of stride %llu", k, (unsigned long long)strides[i]);
		cr_assert_eq(f.n, 0);
		cr_assert_eq(inflight_take(&f, 1), 0);
		inflight_free(&rig_env, &f);
	}
}

/* Adding and taking in random order against a plain list. */
Test(tx, ids_against_a_model)
{
	static uint8_t there[512];
	uint64_t x = 88172645463325252u;
	inflight f;
	uint32_t i;

	inflight_init(&f);
	for (i = 0; i < 40000; i++) {
		uint32_t id;

		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		id = (uint32_t)(x >> 20) % 512;
		if ((x & 3) != 0 && i / 5000 % 2 == 0) {
			sr_is(inflight_add(&rig_env, &f, (uint64_t)id << 40),
			      there[id] != 0 ? VIA_EXISTS : VIA_OK);
			there[id] = 1;
		} else {
			cr_assert_eq(inflight_take(&f, (uint64_t)id << 40), there[id]);
			there[id] = 0;
		}
	}
	inflight_free(&rig_env, &f);
}

Test(tx, in_flight_has_an_end)
{
	inflight f;
	uint64_t id = 0;
	via_rc rc;

	inflight_init(&f);
	do
		rc = inflight_add(&rig_env, &f, id++);
	while (rc == VIA_OK && id < 1u << 20);
	cr_assert_eq(rc, VIA_LIMIT);
	cr_assert_gt(id, 60000);
	cr_assert(inflight_take(&f, 7));
	sr_ok(inflight_add(&rig_env, &f, 7));
	inflight_free(&rig_env, &f);
}

Test(tx, abort_is_sticky_whatever_its_reason)
{
	static const via_rc whys[] = {VIA_ABORTED, VIA_TIMEOUT, VIA_CLOSED, VIA_OK};
	uint32_t i;

	for (i = 0; i < 4; i++) {
		via_rc want = whys[i] == VIA_OK ? VIA_ABORTED : whys[i];
		script_link *l;
		via_session *s = sr_client_up(&terms, &l);
		via_message m = request(1, NULL, 0), got;

		via_session_abort(s, whys[i]);
		via_session_abort(s, VIA_RESET);
		sr_is(via_session_send(s, &m), want);
		sr_is(via_session_recv(s, &got), want);
		sr_is(via_session_recv_wait(s, &got, VIA_FOREVER), want);
		sr_is(via_session_send_wait(s, &m, VIA_FOREVER), want);
		via_session_close(s);
	}
}

/* -- several at once ------------------------------------------------------------------------------------ */

static via_session *up_for_many(script_link **l)
{
	via_session *s = sr_client_up(&terms, l);

	(*l)->limits.max_batch = s->tx_at_once = SHORT_MANY;
	return s;
}

/* The scripted link takes one record a call: the ids of the others are free again. */
Test(tx, many_of_which_one_is_accepted)
{
	static uint8_t body[8];
	script_link *l;
	via_session *s = up_for_many(&l);
	via_message m[3] = {request(1, body, 8), request(2, body, 8), request(3, body, 0)};

	sr_is(via_session_send_many(s, m, 3), 1);
	cr_assert_eq(l->n_out, 1);
	cr_assert_eq(l->out[0].len, 40);
	sr_is(via_session_send_many(s, m + 1, 2), 1);
	sr_is(via_session_send_many(s, m + 2, 1), 1);
	cr_assert_eq(l->n_out, 3);
	cr_assert_eq(l->out[2].len, 32);
	sr_is(via_session_send_many(s, m, 0), 0);
	sr_is(via_session_send_many(s, m + 1, 2), VIA_EXISTS);
	via_session_close(s);
}

Test(tx, many_on_a_full_link_and_a_dead_one)
{
	static uint8_t body[8];
	script_link *l;
	via_session *s = up_for_many(&l);
	via_message m[3] = {request(1, body, 8), request(2, body, 8), request(3, body, 8)};

	l->again_from = l->sends + 1;
	l->again_n = 1;
	sr_is(via_session_send_many(s, m, 3), VIA_AGAIN);
	sr_is(via_session_send_many(s, m, 3), 1); /* the ids were free */
	l->fail_at = l->sends + 1;
	l->fail_rc = VIA_RESET;
	sr_is(via_session_send_many(s, m + 1, 2), VIA_RESET);
	sr_is(via_session_send_many(s, m + 1, 2), VIA_RESET);
	via_session_close(s);
}

/* What is wrong with the first is said, what is wrong with a later one when its turn comes. */
Test(tx, many_with_one_that_cannot_be_sent)
{
	static uint8_t body[4097];
	script_link *l;
	via_session *s = up_for_many(&l);
	via_message m[3] = {request(1, body, 8), request(2, body, 4097), request(1, body, 8)};

	sr_is(via_session_send_many(s, m, 3), 1);
	sr_is(via_session_send_many(s, m + 1, 2), VIA_TOOBIG);
	sr_is(via_session_send_many(s, m + 2, 1), VIA_EXISTS);
	m[1] = request(2, NULL, 8);
	sr_is(via_session_send_many(s, m + 1, 2), VIA_INVAL);
	m[1] = request(2, body, 100); /* chunked, so alone */
	sr_is(via_session_send_many(s, m + 1, 2), 1);
	via_session_close(s);
}
