/* tests/link/records.c - conformance of any link: records, slots, views, handles, backpressure. */
#include "stacks.h"
#include <stdlib.h>

TestSuite(link_records, .timeout = 60);

static uint8_t *buffer(uint32_t len)
{
	uint8_t *p = malloc(len);

	cr_assert_not_null(p);
	return p;
}

STACK_TEST(link_records, whole_and_in_order)
{
	rig r;
	uint8_t data[64];
	uint32_t i;

	rig_open(&r, stack);
	rig_connect(&r);
	for (i = 0; i < 1000; i++) {
		uint32_t len = i % sizeof data + 1;

		rig_fill(data, len, i);
		cr_assert_eq(rig_put(i % 2 != 0 ? r.b : r.a, data, len), VIA_OK);
		rig_expect_record(i % 2 != 0 ? r.a : r.b, len, i);
	}
	rig_close(&r);
}

STACK_TEST(link_records, many_in_flight_both_ways)
{
	rig r;
	uint8_t data[100];
	uint32_t round, i;

	rig_open(&r, stack);
	rig_connect(&r);
	if (!rig_pipelines(&r)) {
		rig_close(&r);
		cr_skip_test("one in flight: whole_and_in_order is what is promised");
	}
	for (round = 0; round < 50; round++) {
		for (i = 0; i < 20; i++) {
			rig_fill(data, i + 1, i);
			cr_assert_eq(rig_put(r.a, data, i + 1), VIA_OK);
			rig_fill(data, 100 - i, i + 500);
			cr_assert_eq(rig_put(r.b, data, 100 - i), VIA_OK);
		}
		for (i = 0; i < 20; i++) {
			rig_expect_record(r.b, i + 1, i);
			rig_expect_record(r.a, 100 - i, i + 500);
		}
	}
	rig_close(&r);
}

STACK_TEST(link_records, every_size_up_to_the_limit)
{
	static const uint32_t around[] = {1, 16, 64, 128, 256, 4096, 32768, 65536, 131072};
	rig r;
	uint32_t max, i;
	uint8_t *data;

	rig_open(&r, stack);
	rig_connect(&r);
	max = r.a->limits->max_record;
	cr_assert_geq(max, VIA_EXPECT_INITIAL);
	cr_assert_eq(r.b->ops->expect(r.b, max), VIA_OK);
	data = buffer(max);
	for (i = 1; i < 300; i++) {
		rig_fill(data, i, i);
		cr_assert_eq(rig_put(r.a, data, i), VIA_OK);
		rig_expect_record(r.b, i, i);
		rig_answer(&r);
	}
	for (i = 0; i < 3 * sizeof around / sizeof around[0]; i++) {
		uint32_t len = around[i / 3] + i % 3 - 1;

		if (len == 0 || len > max)
			continue;
		rig_fill(data, len, i);
		cr_assert_eq(rig_put(r.a, data, len), VIA_OK, "%u bytes", len);
		rig_expect_record(r.b, len, i);
		rig_answer(&r);
	}
	for (i = 0; i < 5; i++) {
		rig_fill(data, max - i, i);
		cr_assert_eq(rig_put(r.a, data, max - i), VIA_OK, "%u bytes", max - i);
		rig_expect_record(r.b, max - i, i);
		rig_answer(&r);
	}
	free(data);
	rig_close(&r);
}

STACK_TEST(link_records, too_big_and_empty_are_refused)
{
	rig r;
	uint32_t max;
	via_slot s;
	via_iov parts[2];
	via_msg m = {.iov = parts, .n_iov = 2};
	uint8_t *data;

	rig_open(&r, stack);
	rig_connect(&r);
	max = r.a->limits->max_record;
	data = buffer(max);
	cr_expect_eq(r.a->ops->reserve(r.a, max + 1, &s), VIA_TOOBIG);
	cr_expect_eq(r.a->ops->reserve(r.a, UINT32_MAX, &s), VIA_TOOBIG);
	cr_expect_eq(r.a->ops->reserve(r.a, 0, &s), VIA_INVAL);
	parts[0] = (via_iov){data, max};
	parts[1] = (via_iov){data, 1};
	cr_expect_eq(r.a->ops->send(r.a, &m, 1), VIA_TOOBIG);
	parts[1].len = UINT64_MAX; /* the sum wraps */
	cr_expect_eq(r.a->ops->send(r.a, &m, 1), VIA_TOOBIG);
	parts[0].len = parts[1].len = 0;
	cr_expect_eq(r.a->ops->send(r.a, &m, 1), VIA_INVAL);
	m.n_iov = 0;
	cr_expect_eq(r.a->ops->send(r.a, &m, 1), VIA_INVAL);
	rig_fill(data, 5, 1); /* and the link is none the worse for it */
	cr_assert_eq(rig_put(r.a, data, 5), VIA_OK);
	rig_expect_record(r.b, 5, 1);
	free(data);
	rig_close(&r);
}

STACK_TEST(link_records, parts_are_gathered)
{
	enum { PARTS = 100 };
	rig r;
	uint8_t data[PARTS * 7];
	via_iov parts[PARTS];
	via_msg m = {.iov = parts};
	uint32_t n, i;

	rig_open(&r, stack);
	rig_connect(&r);
	cr_assert_eq(r.b->ops->expect(r.b, sizeof data), VIA_OK);
	for (n = 1; n <= PARTS; n += 3) {
		uint32_t at = 0;

		for (i = 0; i < n; i++) { /* some of them empty */
			parts[i] = (via_iov){data + at, i % 8};
			at += i % 8;
		}
		if (at == 0)
			continue;
		rig_fill(data, at, n);
		m.n_iov = n;
		cr_assert_eq(r.a->ops->send(r.a, &m, 1), 1, "%u parts", n);
		rig_expect_record(r.b, at, n);
		rig_answer(&r);
	}
	rig_close(&r);
}

/* Where one may be in flight, one is accepted. */
STACK_TEST(link_records, several_records_in_one_send)
{
	rig r;
	uint8_t data[8][32];
	via_iov iov[8];
	via_msg m[8];
	uint32_t all, good, i;

	rig_open(&r, stack);
	rig_connect(&r);
	all = rig_pipelines(&r) ? 8 : 1;
	good = rig_pipelines(&r) ? 3 : 0;
	for (i = 0; i < 8; i++) {
		rig_fill(data[i], 4 * i + 1, i);
		iov[i] = (via_iov){data[i], 4 * i + 1};
		m[i] = (via_msg){.iov = &iov[i], .n_iov = 1};
	}
	cr_assert_eq(r.a->ops->send(r.a, m, 8), (via_rc)all);
	for (i = 0; i < all; i++)
		rig_expect_record(r.b, 4 * i + 1, i);
	rig_answer(&r);
	m[good].n_iov = 0; /* the ones before a bad one are accepted */
	cr_assert_eq(r.a->ops->send(r.a, m, 8), good != 0 ? (via_rc)good : VIA_INVAL);
	for (i = 0; i < good; i++)
		rig_expect_record(r.b, 4 * i + 1, i);
	cr_assert_eq(r.a->ops->send(r.a, m, 0), 0);
	rig_close(&r);
}

/* -- slots ------------------------------------------------------------------------------------- */

STACK_TEST(link_records, slots_carry_records)
{
	rig r;
	via_slot s;
	uint32_t i;

	rig_open(&r, stack);
	rig_connect(&r);
	cr_assert_eq(r.b->ops->expect(r.b, 4096), VIA_OK);
	for (i = 1; i <= 4096; i = i * 2 + 1) {
		cr_assert_eq(r.a->ops->reserve(r.a, i, &s), VIA_OK);
		cr_assert_geq(s.cap, i);
		cr_expect_eq((uintptr_t)s.data % r.a->limits->align, 0);
		rig_fill(s.data, i, i);
		s.len = i;
		cr_assert_eq(r.a->ops->commit(r.a, &s, 1), 1);
		rig_expect_record(r.b, i, i);
		rig_answer(&r);
		cr_assert_eq(r.a->ops->reserve(r.a, i, &s),
			     VIA_OK); /* less than asked for is fine */
		rig_fill(s.data, 1, i);
		s.len = 1;
		cr_assert_eq(r.a->ops->commit(r.a, &s, 1), 1);
		rig_expect_record(r.b, 1, i);
		rig_answer(&r);
	}
	rig_close(&r);
}

STACK_TEST(link_records, slots_have_a_limit_and_keep_order)
{
	rig r;
	via_slot s[32], extra;
	uint32_t max, i;

	rig_open(&r, stack);
	rig_connect(&r);
	max = r.a->limits->max_slots;
	cr_assert(max >= 1 && max < 32);
	for (i = 0; i < max; i++) {
		cr_assert_eq(r.a->ops->reserve(r.a, 40, &s[i]), VIA_OK);
		rig_fill(s[i].data, 40, i);
		s[i].len = 40;
	}
	cr_expect_eq(r.a->ops->reserve(r.a, 40, &extra), VIA_LIMIT);
	cr_expect_eq(r.a->ops->commit(r.a, s, 0), 0);
	cr_expect_eq(rig_send_once(r.a, "x", 1), VIA_STATE, "a send must not overtake a slot");
	if (max > 1) {
		cr_expect_eq(r.a->ops->commit(r.a, &s[1], 1), VIA_INVAL, "only the oldest");
		cr_assert_eq(r.a->ops->commit(r.a, s, 1), 1);
		rig_expect_record(r.b, 40, 0);
	}
	i = max > 1 ? 1 : 0;
	cr_assert_eq(r.a->ops->commit(r.a, &s[i], max - i), (via_rc)(max - i));
	for (; i < max; i++)
		rig_expect_record(r.b, 40, i);
	cr_expect_eq(r.a->ops->commit(r.a, s, 1), VIA_INVAL, "nothing is reserved");
	rig_close(&r);
}

STACK_TEST(link_records, skipped_slots_are_not_seen)
{
	rig r;
	via_slot s;
	via_view v;
	uint32_t i;

	rig_open(&r, stack);
	rig_connect(&r);
	cr_assert_eq(r.b->ops->expect(r.b, r.b->limits->max_record), VIA_OK);
	for (i = 0; i < 200; i++) { /* more than fit: a skipped slot gives its room back */
		cr_assert_eq(r.a->ops->reserve(r.a, r.a->limits->max_record / 2, &s), VIA_OK,
			     "slot %u", i);
		s.len = VIA_SKIP;
		cr_assert_eq(r.a->ops->commit(r.a, &s, 1), 1);
		cr_assert_eq(r.b->ops->recv(r.b, &v, 1), VIA_AGAIN);
	}
	cr_assert_eq(rig_put(r.a, "\x1f", 1), VIA_OK);
	rig_expect_record(r.b, 1, 1);
	rig_answer(&r);
	cr_assert_eq(r.a->ops->reserve(r.a, 10, &s), VIA_OK);
	s.len = 0;
	cr_expect_eq(r.a->ops->commit(r.a, &s, 1), VIA_INVAL);
	s.len = s.cap + 1;
	cr_expect_lt(r.a->ops->commit(r.a, &s, 1), 0);
	s.len = VIA_SKIP;
	cr_expect_eq(r.a->ops->commit(r.a, &s, 1), 1);
	cr_assert_eq(r.a->ops->reserve(r.a, 10, &s), VIA_OK); /* left behind: close() copes */
	rig_close(&r);
}

/* -- views ------------------------------------------------------------------------------------- */

/* Where one may be in flight, one view is all there can be. */
STACK_TEST(link_records, views_have_a_limit_and_any_order)
{
	rig r;
	via_view v[32], extra;
	uint32_t max, sent, i, got = 0;
	uint8_t data[64];

	rig_open(&r, stack);
	rig_connect(&r);
	max = r.b->limits->max_views;
	cr_assert(max >= 1 && max < 32);
	sent = rig_pipelines(&r) ? 2 * max : max;
	for (i = 0; i < sent; i++) {
		rig_fill(data, 64, i);
		cr_assert_eq(rig_put(r.a, data, 64), VIA_OK);
	}
	while (got < max) {
		via_rc rc = r.b->ops->recv(r.b, v + got, 2);

		cr_assert_gt(rc, 0);
		got += (uint32_t)rc;
	}
	cr_assert_eq(got, max);
	cr_expect_eq(r.b->ops->recv(r.b, &extra, 1), VIA_LIMIT);
	for (i = 0; i < max; i++) {
		cr_expect_eq((uintptr_t)v[i].data % r.b->limits->align, 0);
		rig_check_fill(&v[i], 64, i);
	}
	for (i = 0; i < max; i++) { /* odd ones first, then backwards */
		uint32_t at = i < max / 2 ? 2 * i + 1 : 2 * (max - 1 - i);

		r.b->ops->release(r.b, &v[at], 1);
	}
	for (i = max; i < sent; i++)
		rig_expect_record(r.b, 64, i);
	rig_answer(&r);
	cr_expect_eq(r.b->ops->recv(r.b, &extra, 0), VIA_INVAL);
	cr_expect_eq(r.b->ops->recv(r.b, &extra, 1), VIA_AGAIN);
	rig_close(&r);
}

/* Records of 300, 301 and 1000 bytes are on their way at once, or one after the other. */
static void put_one(rig *r, const uint8_t *data, uint32_t len)
{
	if (!rig_pipelines(r))
		cr_assert_eq(rig_put(r->a, data, len), VIA_OK);
}

static void expect_cut(rig *r, const uint8_t *data, uint32_t len)
{
	via_view v;

	cr_assert_eq(rig_get(r->b, &v), 1);
	cr_expect((v.flags & VIA_VIEW_CUT) != 0);
	cr_assert_eq(v.len, len);
	cr_expect_arr_eq(v.data, data, len);
	cr_expect_eq(r->b->ops->expect(r->b, 2000), VIA_STATE, "a view is out");
	r->b->ops->release(r->b, &v, 1);
	rig_answer(r);
}

STACK_TEST(link_records, expect_bounds_what_is_kept)
{
	rig r;
	uint8_t data[1000];

	rig_open(&r, stack);
	rig_connect(&r);
	rig_fill(data, sizeof data, 9);
	cr_assert_eq(rig_put(r.a, data, VIA_EXPECT_INITIAL), VIA_OK);
	rig_expect_record(r.b, VIA_EXPECT_INITIAL, 9);
	rig_answer(&r);
	cr_assert_eq(r.b->ops->expect(r.b, 300), VIA_OK);
	if (rig_pipelines(&r)) {
		cr_assert_eq(rig_put(r.a, data, 300), VIA_OK);
		cr_assert_eq(rig_put(r.a, data, 301), VIA_OK);
		cr_assert_eq(rig_put(r.a, data, 1000), VIA_OK);
	}
	put_one(&r, data, 300);
	rig_expect_record(r.b, 300, 9);
	rig_answer(&r);
	put_one(&r, data, 301);
	expect_cut(&r, data, 300);
	put_one(&r, data, 1000);
	cr_assert_eq(r.b->ops->expect(r.b, 10), VIA_OK); /* smaller again */
	expect_cut(&r, data, 10);
	cr_expect_eq(r.b->ops->expect(r.b, 0), VIA_INVAL);
	cr_assert_eq(rig_put(r.a, data, 10), VIA_OK); /* the rest of a cut record is gone */
	rig_expect_record(r.b, 10, 9);
	rig_close(&r);
}

/* -- handles ----------------------------------------------------------------------------------- */

static void send_tokens(via_link *l, rig_token *t, uint32_t n)
{
	via_handle h[32];
	via_iov iov = {"token", 5};
	via_msg m = {.iov = &iov, .n_iov = 1, .n_handles = n, .handles = h};
	uint32_t i;

	for (i = 0; i < n; i++) {
		rig_token_make(&t[i]);
		h[i] = t[i].give;
	}
	cr_assert_eq(l->ops->send(l, &m, 1), 1);
}

STACK_TEST(link_records, handles_move)
{
	rig r;
	rig_token t[32];
	via_handle got[32];
	via_view v;
	uint32_t n, i;

	rig_open(&r, stack);
	rig_connect(&r);
	if ((r.a->caps & VIA_CAP_HANDLES) == 0) {
		rig_close(&r);
		cr_skip_test("carries no handles");
	}
	n = r.a->limits->max_handles;
	cr_assert(n >= 1 && n <= 32);
	send_tokens(r.a, t, n);
	cr_assert_eq(rig_put(r.a, "plain", 5), VIA_OK);
	cr_assert_eq(rig_get(r.b, &v), 1);
	cr_expect((v.flags & VIA_VIEW_HANDLES) != 0);
	cr_expect_eq(v.len, 5);
	cr_expect_arr_eq(v.data, "token", 5);
	if (n > 1)
		cr_expect_eq(r.b->ops->take_handles(r.b, &v, got, n - 1), VIA_LIMIT);
	cr_assert_eq(r.b->ops->take_handles(r.b, &v, got, n), (via_rc)n);
	cr_expect_eq(r.b->ops->take_handles(r.b, &v, got, n), 0, "only once");
	r.b->ops->release(r.b, &v, 1);
	for (i = 0; i < n; i++) {
		cr_expect(rig_token_works(&t[i], &got[i]), "handle %u", i);
		rig_token_done(&t[i]);
	}
	cr_assert_eq(rig_get(r.b, &v), 1);
	cr_expect_eq(v.flags & VIA_VIEW_HANDLES, 0);
	cr_expect_eq(r.b->ops->take_handles(r.b, &v, got, n), 0);
	r.b->ops->release(r.b, &v, 1);
	rig_close(&r);
}

/* Handles that nobody took are closed: with their view, and with the link. */
STACK_TEST(link_records, handles_not_taken_are_closed)
{
	rig r;
	rig_token t[3];
	via_view v;
	uint32_t i;

	rig_open(&r, stack);
	rig_connect(&r);
	if ((r.a->caps & VIA_CAP_HANDLES) == 0) {
		rig_close(&r);
		cr_skip_test("carries no handles");
	}
	for (i = 0; i < 3; i++)
		send_tokens(r.a, &t[i], 1);
	cr_assert_eq(rig_get(r.b, &v), 1);
	cr_expect(!rig_token_is_gone(&t[0]));
	r.b->ops->release(r.b, &v, 1);
	cr_expect(rig_token_is_gone(&t[0]));
	cr_assert_eq(rig_get(r.b, &v), 1); /* one received, one not: both go with the link */
	r.b->ops->release(r.b, &v, 1);
	rig_hang_up(&r.b);
	rig_hang_up(&r.a);
	for (i = 0; i < 3; i++) {
		cr_expect(rig_token_is_gone(&t[i]), "handle %u", i);
		rig_token_done(&t[i]);
	}
	rig_close(&r);
}

STACK_TEST(link_records, bad_handles_are_refused)
{
	rig r;
	rig_token t;
	via_handle h[64];
	via_iov iov = {"x", 1};
	via_msg m = {.iov = &iov, .n_iov = 1, .n_handles = 1, .handles = h};
	uint32_t i;
	via_view v;

	rig_open(&r, stack);
	rig_connect(&r);
	if ((r.a->caps & VIA_CAP_HANDLES) == 0) {
		rig_close(&r);
		cr_skip_test("carries no handles");
	}
	rig_token_make(&t);
	for (i = 0; i < 64; i++)
		h[i] = t.give;
	m.n_handles = r.a->limits->max_handles + 1;
	cr_expect_eq(r.a->ops->send(r.a, &m, 1), VIA_LIMIT);
	m.n_handles = 1;
	h[0].kind = VIA_H_NONE;
	cr_expect_eq(r.a->ops->send(r.a, &m, 1), VIA_INVAL);
	h[0].kind = 77;
	cr_expect_eq(r.a->ops->send(r.a, &m, 1), VIA_INVAL);
	cr_expect_eq(r.b->ops->recv(r.b, &v, 1), VIA_AGAIN, "nothing was sent");
	cr_expect(!rig_token_is_gone(&t), "still ours");
	h[0] = t.give;
	cr_assert_eq(r.a->ops->send(r.a, &m, 1), 1);
	cr_assert_eq(rig_get(r.b, &v), 1);
	r.b->ops->release(r.b, &v, 1);
	cr_expect(rig_token_is_gone(&t));
	rig_token_done(&t);
	rig_close(&r);
}

/* What carries none says so and leaves them to the sender; the record is not sent either. */
STACK_TEST(link_records, handles_are_refused_where_there_are_none)
{
	rig r;
	rig_token t;
	via_iov iov = {"token", 5};
	via_msg m = {.iov = &iov, .n_iov = 1, .n_handles = 1, .handles = &t.give};
	via_handle got;
	via_view v;

	rig_open(&r, stack);
	rig_connect(&r);
	if ((r.a->caps & VIA_CAP_HANDLES) != 0) {
		rig_close(&r);
		cr_skip_test("carries handles");
	}
	cr_expect_eq(r.a->limits->max_handles, 0);
	rig_token_make(&t);
	cr_expect_lt(r.a->ops->send(r.a, &m, 1), 0);
	cr_expect(rig_token_works(&t, &t.give), "still ours");
	rig_token_done(&t);
	cr_assert_eq(r.b->ops->recv(r.b, &v, 1), VIA_AGAIN);
	cr_assert_eq(rig_put(r.a, "\x1f", 1), VIA_OK);
	cr_assert_eq(rig_get(r.b, &v), 1);
	cr_expect_eq(v.flags & VIA_VIEW_HANDLES, 0);
	cr_expect_leq(r.b->ops->take_handles(r.b, &v, &got, 1), 0);
	r.b->ops->release(r.b, &v, 1);
	rig_close(&r);
}

/* -- backpressure ------------------------------------------------------------------------------ */

/* A link for one record is full with one, until that has been answered. */
STACK_TEST(link_records, a_full_link_says_again_and_goes_on)
{
	rig r;
	uint8_t data[1000];
	uint32_t sent = 0, got = 0, round, lag;

	rig_open(&r, stack);
	rig_connect(&r);
	cr_assert_eq(r.b->ops->expect(r.b, sizeof data), VIA_OK);
	for (round = 0; round < 20; round++) {
		for (;;) {
			via_rc rc;

			rig_fill(data, sizeof data, sent);
			rc = rig_send_once(r.a, data, sizeof data);
			if (rc == VIA_AGAIN)
				break;
			cr_assert_eq(rc, VIA_OK);
			sent++;
			cr_assert_lt(sent - got, 1000000, "no backpressure");
		}
		cr_assert_gt(sent, got);
		lag = rig_pipelines(&r) ? round * 10 : 0;
		while (got + lag < sent) { /* sometimes all of it, sometimes not */
			rig_expect_record(r.b, sizeof data, got);
			got++;
		}
		rig_answer(&r);
	}
	while (got < sent) {
		rig_expect_record(r.b, sizeof data, got);
		got++;
	}
	rig_close(&r);
}

STACK_TEST(link_records, a_full_link_says_again_to_slots)
{
	rig r;
	uint32_t sent = 0, got = 0;
	via_slot s;
	via_rc rc = VIA_OK;

	rig_open(&r, stack);
	rig_connect(&r);
	cr_assert_eq(r.b->ops->expect(r.b, 1000), VIA_OK);
	while (rc != VIA_AGAIN) {
		rc = r.a->ops->reserve(r.a, 1000, &s);
		if (rc == VIA_AGAIN)
			break;
		cr_assert_eq(rc, VIA_OK);
		rig_fill(s.data, 1000, sent);
		s.len = 1000;
		rc = r.a->ops->commit(r.a, &s, 1);
		if (rc == VIA_AGAIN)
			break;
		cr_assert_eq(rc, 1);
		sent++;
		cr_assert_lt(sent, 1000000, "no backpressure");
	}
	while (got < sent)
		rig_expect_record(r.b, 1000, got++);
	/* A slot that could not be committed is still there, unchanged. */
	if (r.a->ops->commit(r.a, &s, 1) == 1)
		rig_expect_record(r.b, 1000, sent);
	rig_close(&r);
}
