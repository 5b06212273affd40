/* tests/wire/test_batch_many.c - many items of a batch at once give the same bytes as one by one. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

TestSuite(wire_batch_many, .timeout = 60);

enum { MAX_N = 20, CAP = 1024 };

static void fill(uint8_t *p, size_t n, uint32_t salt)
{
	size_t i;

	for (i = 0; i < n; i++)
		p[i] = (uint8_t)(salt * 29 + i * 7 + 1);
}

/* One by one, in a block of cap dirty bytes; the bytes and the result of the first refusal. */
static uint64_t one_by_one(uint8_t *out, uint64_t cap, uint32_t slots, const uint8_t *items,
			   uint32_t len, uint32_t n, via_rc *rc)
{
	via_wire_batch b;
	uint32_t i;

	memset(out, 0xee, (size_t)cap);
	*rc = via_wire_batch_begin(&b, out, cap, slots);
	for (i = 0; i < n && *rc == VIA_OK; i++)
		*rc = via_wire_batch_add(&b, items + (size_t)i * len, len);
	return *rc == VIA_OK ? via_wire_batch_finish(&b) : 0;
}

Test(wire_batch_many, equal_items_are_laid_out_as_one_by_one)
{
	uint8_t items[MAX_N * 33], want[CAP], got[CAP];
	uint32_t len, n, refused = 0;

	fill(items, sizeof items, 3);
	for (len = 0; len <= 33; len++)
		for (n = 0; n <= MAX_N; n++) {
			uint64_t cap = 8 * MAX_N + len * 12;
			via_rc expected, rc;
			via_wire_batch b;
			uint64_t used = one_by_one(want, cap, MAX_N, items, len, n, &expected);

			memset(got, 0xee, sizeof got);
			cr_assert_eq(via_wire_batch_begin(&b, got, cap, MAX_N), VIA_OK);
			rc = via_wire_batch_add_equal(&b, items, len, n);
			cr_assert_eq(rc, expected, "%u items of %u: %d", n, len, rc);
			refused += rc != VIA_OK;
			if (rc != VIA_OK)
				cr_assert_eq(b.n, 0, "all or none");
			else
				cr_assert_eq(via_wire_batch_finish(&b), used);
			if (rc == VIA_OK && memcmp(got, want, (size_t)used) != 0)
				cr_assert_fail("%u items of %u differ", n, len);
			cr_assert_eq(got[cap], 0xee, "written past the end");
		}
	cr_assert_gt(refused, 0);
}

Test(wire_batch_many, equal_items_follow_others_and_slots_are_counted)
{
	uint8_t items[24], a[CAP], b[CAP];
	via_wire_batch one, many;
	uint32_t i;

	fill(items, sizeof items, 9);
	memset(a, 0x11, sizeof a);
	memset(b, 0x22, sizeof b);
	cr_assert_eq(via_wire_batch_begin(&one, a, CAP, 9), VIA_OK);
	cr_assert_eq(via_wire_batch_begin(&many, b, CAP, 9), VIA_OK);
	cr_assert_eq(via_wire_batch_add(&one, items, 5), VIA_OK);
	cr_assert_eq(via_wire_batch_add(&many, items, 5), VIA_OK);
	for (i = 0; i < 8; i++)
		cr_assert_eq(via_wire_batch_add(&one, items + 3 * i, 3), VIA_OK);
	cr_assert_eq(via_wire_batch_add_equal(&many, items, 3, 9), VIA_LIMIT);
	cr_assert_eq(via_wire_batch_add_equal(&many, items, 3, 8), VIA_OK);
	cr_assert_eq(via_wire_batch_add_equal(&many, items, 3, 1), VIA_LIMIT);
	cr_assert_eq(via_wire_batch_finish(&one), via_wire_batch_finish(&many));
	cr_assert_arr_eq(a, b, (size_t)(72 + many.used));
}

/* Encoded in place: each at the next multiple of 8 behind the one before. */
Test(wire_batch_many, what_was_encoded_in_place_is_committed_at_once)
{
	static const uint32_t lengths[] = {8, 3, 0, 17, 16, 1, 0, 9};
	uint8_t item[32], want[CAP], got[CAP];
	uint32_t n = sizeof lengths / sizeof lengths[0], before, i;

	for (before = 0; before < 3; before++) {
		via_wire_batch one, many;
		uint64_t room, at = 0;
		uint8_t *p;

		memset(want, 0x55, sizeof want);
		memset(got, 0x66, sizeof got);
		cr_assert_eq(via_wire_batch_begin(&one, want, CAP, 12), VIA_OK);
		cr_assert_eq(via_wire_batch_begin(&many, got, CAP, 12), VIA_OK);
		for (i = 0; i < before; i++) {
			fill(item, sizeof item, 100 + i);
			cr_assert_eq(via_wire_batch_add(&one, item, 3), VIA_OK);
			cr_assert_eq(via_wire_batch_add(&many, item, 3), VIA_OK);
		}
		p = via_wire_batch_room(&many, &room);
		for (i = 0; i < n; i++) {
			fill(item, sizeof item, i);
			cr_assert_eq(via_wire_batch_add(&one, item, lengths[i]), VIA_OK);
			memcpy(p + at, item, lengths[i]);
			at = (at + lengths[i] + 7) / 8 * 8;
		}
		cr_assert_eq(via_wire_batch_commit_many(&many, lengths, n), VIA_OK);
		cr_assert_eq(many.n, one.n);
		cr_assert_eq(via_wire_batch_finish(&many), via_wire_batch_finish(&one));
		cr_assert_arr_eq(got, want, (size_t)(8 * one.n + one.used));
	}
}

Test(wire_batch_many, a_commit_past_the_room_is_refused_whole)
{
	static const uint32_t fits[] = {8, 8}, too_long[] = {8, 9}, wraps[] = {8, UINT32_MAX},
			      many[] = {8, 8, 8};
	uint8_t room[16 + 16];
	via_wire_batch b;

	cr_assert_eq(via_wire_batch_begin(&b, room, sizeof room, 2), VIA_OK);
	cr_assert_eq(via_wire_batch_commit_many(&b, too_long, 2), VIA_TOOBIG);
	cr_assert_eq(via_wire_batch_commit_many(&b, wraps, 2), VIA_TOOBIG);
	cr_assert_eq(via_wire_batch_commit_many(&b, many, 3), VIA_LIMIT);
	cr_assert_eq(b.n, 0);
	cr_assert_eq(via_wire_batch_commit_many(&b, NULL, 0), VIA_OK);
	cr_assert_eq(via_wire_batch_commit_many(&b, fits, 2), VIA_OK);
	cr_assert_eq(via_wire_batch_finish(&b), sizeof room);
}

Test(wire_batch_many, spans_are_what_single_items_are)
{
	uint8_t payload[CAP];
	uint32_t value = 1, round, good = 0, bad = 0;

	for (round = 0; round < 20000; round++) {
		uint32_t count = round % 9, i, len;
		via_iov spans[9];
		via_flaw why;
		via_rc rc;

		for (i = 0; i < 160; i++) {
			value = value * 1103515245u + 12345u;
			/* small numbers, mostly multiples of 8, so that many are valid */
			payload[i] = (uint8_t)(i % 4 == 0 ? (value >> 16) % 9 * 8 % 72 : 0);
			if ((value >> 8) % 211 == 0)
				payload[i] = (uint8_t)(value >> 20);
		}
		len = 8 * count + (value >> 12) % 80;
		rc = via_wire_batch_items(payload, len, count, 0, count, spans, &why);
		for (i = 0; i < count; i++) {
			const void *item;
			uint32_t item_len;
			via_rc one =
				via_wire_batch_item(payload, len, count, i, &item, &item_len, NULL);

			if (one != VIA_OK) {
				cr_assert_neq(rc, VIA_OK);
				break;
			}
			if (rc == VIA_OK)
				cr_assert(spans[i].base == item && spans[i].len == item_len);
		}
		cr_assert(rc == VIA_OK ? i == count : why.item == i, "round %u", round);
		good += rc == VIA_OK && count != 0;
		bad += rc != VIA_OK;
	}
	cr_assert_gt(good, 100);
	cr_assert_gt(bad, 100);
	cr_assert_neq(via_wire_batch_items(payload, CAP, 4, 3, 2, NULL, NULL), VIA_OK);
	cr_assert_neq(via_wire_batch_items(payload, CAP, 4, UINT32_MAX, 2, NULL, NULL), VIA_OK);
	cr_assert_neq(via_wire_batch_items(payload, 8, 2, 0, 1, NULL, NULL), VIA_OK);
}

/* -- directories that are nearly those of equal items --------------------------------------------------- */

static void put32(uint8_t *p, uint32_t v)
{
	memcpy(p, &v, 4);
}

static uint32_t get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
	return v;
}

/* docs/wire.md section 3, word by word. */
static int is_good(const uint8_t *p, uint64_t len, uint32_t n)
{
	uint32_t i;

	if (8 * (uint64_t)n > len)
		return 0;
	for (i = 0; i < n; i++) {
		uint64_t offset = get32(p + 8 * (size_t)i), length = get32(p + 8 * (size_t)i + 4);

		if (offset % 8 != 0 || offset + length > len - 8 * (uint64_t)n)
			return 0;
	}
	return 1;
}

static void compare(const uint8_t *p, uint64_t len, uint32_t n)
{
	via_iov items[MAX_N];
	uint32_t first, i;
	int good = is_good(p, len, n);

	cr_assert_eq(via_wire_batch_check(p, len, n, NULL) == VIA_OK, good);
	cr_assert_eq(via_wire_batch_items(p, len, n, 0, n, items, NULL) == VIA_OK, good);
	for (first = 0; good && first < n; first++) {
		cr_assert_eq(via_wire_batch_items(p, len, n, first, n - first, items, NULL),
			     VIA_OK);
		for (i = first; i < n; i++) {
			cr_assert_eq(items[i - first].base,
				     p + 8 * (size_t)n + get32(p + 8 * (size_t)i));
			cr_assert_eq(items[i - first].len, get32(p + 8 * (size_t)i + 4));
		}
	}
}

Test(wire_batch_many, each_field_of_an_equal_directory_counts)
{
	static const uint32_t values[] = {0,         1,   7,   8,   9,        16,
					  64,        159, 160, 168, 1u << 31, UINT32_MAX - 7,
					  UINT32_MAX};
	uint8_t p[CAP];
	uint32_t n, at, i, length;

	for (length = 0; length <= 17; length += length == 0 ? 7 : 1)
		for (n = 1; n <= MAX_N; n++) {
			uint64_t stride = (length + 7u) & ~7u, len = 8 * n + n * stride;

			memset(p, 0, sizeof p);
			for (i = 0; i < n; i++) {
				put32(p + 8 * i, (uint32_t)(i * stride));
				put32(p + 8 * i + 4, length);
			}
			compare(p, len, n);
			cr_assert(is_good(p, len, n));
			for (at = 0; at < 8 * n; at += 4)
				for (i = 0; i < sizeof values / sizeof values[0]; i++) {
					uint32_t was = get32(p + at);

					put32(p + at, values[i]);
					compare(p, len, n);
					compare(p, len - 1, n);
					put32(p + at, was);
				}
		}
}

/* Lengths that are equal, nearly equal, or not: the bytes are those of one by one. */
Test(wire_batch_many, lengths_committed_together)
{
	uint8_t items[MAX_N * 24], a[CAP], b[CAP];
	uint32_t lengths[MAX_N], n, odd, i;

	fill(items, sizeof items, 5);
	for (n = 1; n < MAX_N; n++)
		for (odd = 0; odd <= n; odd++) { /* odd == n: none is */
			via_wire_batch one, many;
			uint64_t cap, at = 0, used;

			memset(a, 0x11, sizeof a);
			memset(b, 0x22, sizeof b);
			cr_assert_eq(via_wire_batch_begin(&one, a, CAP, MAX_N), VIA_OK);
			cr_assert_eq(via_wire_batch_begin(&many, b, CAP, MAX_N), VIA_OK);
			for (i = 0; i < n; i++) {
				uint8_t *room = via_wire_batch_room(&many, &cap);

				lengths[i] = i == odd ? 5 : 16;
				memcpy(room + at, items + 16 * i, lengths[i]);
				at += (lengths[i] + 7u) & ~7u;
				cr_assert_eq(via_wire_batch_add(&one, items + 16 * i, lengths[i]),
					     VIA_OK);
			}
			cr_assert_eq(via_wire_batch_commit_many(&many, lengths, n), VIA_OK);
			used = via_wire_batch_finish(&one);
			cr_assert_eq(via_wire_batch_finish(&many), used);
			cr_assert_eq(memcmp(a, b, used), 0, "%u items, %u is odd", n, odd);
		}
}
