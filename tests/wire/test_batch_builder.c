/* tests/wire/test_batch_builder.c - the batch builder against a model of docs/wire.md section 3. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

TestSuite(wire_batch_builder, .timeout = 60);

enum { MAX_ITEMS = 12, MAX_BYTES = 1024 };

/* -- the model: lays items out in one go, knowing all of them --------------------------------- */

struct model {
	uint8_t bytes[MAX_BYTES];
	uint64_t len;
	uint32_t n; /* items that fitted */
	uint32_t lens[MAX_ITEMS];
	via_rc rcs[MAX_ITEMS];
};

static uint8_t content(uint32_t item, uint32_t at)
{
	return (uint8_t)(0x30 + 17 * item + at);
}

static void model_build(struct model *m, uint64_t cap, uint32_t slots, const uint32_t *lens,
			uint32_t n_lens)
{
	uint64_t end = 0, start;
	uint32_t i, k;

	memset(m, 0, sizeof *m);
	for (i = 0; i < n_lens; i++) {
		start = (end + 7) / 8 * 8;
		if (m->n == slots)
			m->rcs[i] = VIA_LIMIT;
		else if (8 * (uint64_t)slots + start + lens[i] > cap)
			m->rcs[i] = VIA_TOOBIG;
		else {
			m->lens[m->n++] = lens[i];
			end = start + lens[i];
		}
	}
	/* A second pass writes what was kept: directory of exactly n entries, then the packed area. */
	for (i = 0, end = 0; i < m->n; i++) {
		start = (end + 7) / 8 * 8;
		check_put32(m->bytes, 8 * i, (uint32_t)start);
		check_put32(m->bytes, 8 * i + 4, m->lens[i]);
		for (k = 0; k < m->lens[i]; k++)
			m->bytes[8 * m->n + start + k] = content(i, k);
		end = start + m->lens[i];
	}
	m->len = m->n == 0 ? 0 : 8 * (uint64_t)m->n + end;
	if ((m->len + 7) / 8 * 8 <= cap)
		m->len = (m->len + 7) / 8 * 8;
}

/* Builds the same with the library, in a block of exactly cap dirty bytes. in_place: room and commit. */
static void compare(uint64_t cap, uint32_t slots, const uint32_t *lens, uint32_t n_lens,
		    int in_place)
{
	uint8_t *room = malloc(cap > 0 ? (size_t)cap : 1), item[MAX_BYTES];
	via_wire_batch b;
	struct model m;
	uint32_t i, k;
	uint64_t len, left;
	via_rc rc;

	cr_assert_not_null(room);
	memset(room, 0xaa, (size_t)cap);
	rc = via_wire_batch_begin(&b, room, cap, slots);
	if (8 * (uint64_t)slots > cap) {
		if (rc != VIA_TOOBIG)
			cr_assert_fail("cap %u holds no directory of %u", (unsigned)cap, slots);
		free(room);
		return;
	}
	cr_assert_eq(rc, VIA_OK);
	model_build(&m, cap, slots, lens, n_lens);
	for (i = 0; i < n_lens; i++) {
		for (k = 0; k < lens[i]; k++)
			item[k] = content(b.n, k);
		if (in_place) {
			uint8_t *at = via_wire_batch_room(&b, &left);

			if (at != NULL && (at < room || left > cap || at + left != room + cap))
				cr_assert_fail("cap %u: room outside", (unsigned)cap);
			if (at != NULL && lens[i] <= left)
				memcpy(at, item, lens[i]);
			rc = via_wire_batch_commit(&b, lens[i]);
		} else {
			rc = via_wire_batch_add(&b, item, lens[i]);
		}
		if (rc != m.rcs[i])
			cr_assert_fail("cap %u, %u slots, item %u: expected %s, found %s",
				       (unsigned)cap, slots, i, via_rc_name(m.rcs[i]),
				       via_rc_name(rc));
	}
	len = via_wire_batch_finish(&b);
	if (len != m.len || memcmp(room, m.bytes, (size_t)len) != 0)
		cr_assert_fail("cap %u, %u slots, %u items: %u bytes, expected %u, or other ones",
			       (unsigned)cap, slots, n_lens, (unsigned)len, (unsigned)m.len);
	if (via_wire_batch_check(room, len, m.n, NULL) != VIA_OK)
		cr_assert_fail("its own reader refuses it");
	if (via_wire_batch_finish(&b) != len || memcmp(room, m.bytes, (size_t)len) != 0)
		cr_assert_fail("finishing twice changes something");
	free(room);
}

/* -- tests ------------------------------------------------------------------------------------ */

Test(wire_batch_builder, equals_the_model_at_every_capacity)
{
	static const uint32_t sets[][4] = {
		{8, 8, 8, 8}, {1, 2, 3, 4},   {0, 0, 0, 0},   {0, 4, 0, 9},
		{7, 9, 0, 5}, {33, 1, 0, 64}, {3, 100, 2, 1},
	};
	uint32_t set, n, slots;
	uint64_t cap;

	for (set = 0; set < sizeof sets / sizeof sets[0]; set++) {
		for (n = 0; n <= 4; n++) {
			for (slots = 0; slots <= 6; slots++) {
				for (cap = 0; cap <= 200; cap++)
					compare(cap, slots, sets[set], n, (int)(cap & 1));
			}
		}
	}
}

Test(wire_batch_builder, equals_the_model_on_random_sequences)
{
	uint32_t seed = 0x2545f491, round, i, n, lens[MAX_ITEMS];

	for (round = 0; round < 3000; round++) {
		n = check_random(&seed) % (MAX_ITEMS + 1);
		for (i = 0; i < n; i++)
			lens[i] = check_random(&seed) % 50;
		compare(check_random(&seed) % 600, check_random(&seed) % 16, lens, n,
			(int)(check_random(&seed) & 1));
	}
}

Test(wire_batch_builder, nothing_is_a_payload_of_no_bytes)
{
	uint8_t room[64];
	via_wire_batch b;

	memset(room, 0xaa, sizeof room);
	cr_assert_eq(via_wire_batch_begin(&b, room, sizeof room, 8), VIA_OK);
	cr_assert_eq(via_wire_batch_finish(&b), 0);
	cr_assert_eq(room[0], 0xaa, "touched the room");
	cr_assert_eq(via_wire_batch_begin(&b, NULL, 0, 0), VIA_OK);
	cr_assert_eq(via_wire_batch_add(&b, "x", 1), VIA_LIMIT);
	cr_assert_eq(via_wire_batch_finish(&b), 0);
}

Test(wire_batch_builder, a_full_batch_refuses_and_stays)
{
	uint8_t room[256];
	via_wire_batch b;
	uint64_t left = 99;

	cr_assert_eq(via_wire_batch_begin(&b, room, sizeof room, 2), VIA_OK);
	cr_assert_eq(via_wire_batch_add(&b, "one", 3), VIA_OK);
	cr_assert_eq(via_wire_batch_add(&b, "twofold", 7), VIA_OK);
	cr_assert_eq(via_wire_batch_add(&b, "three", 5), VIA_LIMIT);
	cr_assert_eq(via_wire_batch_commit(&b, 0), VIA_LIMIT);
	cr_assert_null(via_wire_batch_room(&b, &left));
	cr_assert_eq(left, 99, "written on failure");
	cr_assert_eq(via_wire_batch_finish(&b), 32);
	cr_assert_eq(memcmp(room + 16, "one\0\0\0\0\0twofold\0", 16), 0);
}

Test(wire_batch_builder, an_item_too_big_leaves_the_rest_valid)
{
	uint8_t *room = malloc(41), big[40] = {0};
	via_wire_batch b;
	uint64_t left;

	cr_assert_not_null(room);
	cr_assert_eq(via_wire_batch_begin(&b, room, 41, 3), VIA_OK);
	cr_assert_eq(via_wire_batch_add(&b, "abc", 3), VIA_OK);
	cr_assert_not_null(via_wire_batch_room(&b, &left));
	cr_assert_eq(left, 9);
	cr_assert_eq(via_wire_batch_add(&b, big, 10), VIA_TOOBIG);
	cr_assert_eq(via_wire_batch_add(&b, big, 9), VIA_OK, "an exact fit fits");
	cr_assert_not_null(via_wire_batch_room(&b, &left) == NULL ? "none" : NULL);
	cr_assert_eq(via_wire_batch_add(&b, NULL, 0), VIA_TOOBIG, "the next start is past the end");
	cr_assert_eq(via_wire_batch_finish(&b), 40, "compacted by one entry, then padded");
	cr_assert_eq(via_wire_batch_check(room, 40, 2, NULL), VIA_OK);
	free(room);
}

Test(wire_batch_builder, an_empty_item_fits_at_the_very_end)
{
	uint8_t room[24];
	via_wire_batch b;
	uint64_t left = 99;

	cr_assert_eq(via_wire_batch_begin(&b, room, sizeof room, 2), VIA_OK);
	cr_assert_eq(via_wire_batch_add(&b, "12345678", 8), VIA_OK);
	cr_assert_not_null(via_wire_batch_room(&b, &left));
	cr_assert_eq(left, 0);
	cr_assert_eq(via_wire_batch_add(&b, NULL, 0), VIA_OK);
	cr_assert_eq(via_wire_batch_finish(&b), 24);
}

Test(wire_batch_builder, using_the_room_again_leaves_no_old_bytes)
{
	uint8_t room[128];
	via_wire_batch b;
	uint64_t len;
	uint32_t i;

	memset(room, 0xee, sizeof room);
	cr_assert_eq(via_wire_batch_begin(&b, room, sizeof room, 3), VIA_OK);
	for (i = 0; i < 3; i++)
		cr_assert_eq(via_wire_batch_add(&b, "\xff\xff\xff\xff\xff\xff\xff\xff\xff", 9),
			     VIA_OK);
	via_wire_batch_finish(&b);
	cr_assert_eq(via_wire_batch_begin(&b, room, sizeof room, 3), VIA_OK);
	for (i = 0; i < 2; i++)
		cr_assert_eq(via_wire_batch_add(&b, "z", 1), VIA_OK);
	len = via_wire_batch_finish(&b);
	cr_assert_eq(len, 32);
	cr_assert_eq(memcmp(room + 16, "z\0\0\0\0\0\0\0z\0\0\0\0\0\0\0", 16), 0);
}

Test(wire_batch_builder, room_is_not_used_up_by_looking_at_it)
{
	uint8_t room[64];
	via_wire_batch b;
	uint64_t left;
	uint8_t *at;

	cr_assert_eq(via_wire_batch_begin(&b, room, sizeof room, 4), VIA_OK);
	at = via_wire_batch_room(&b, &left);
	cr_assert(at == room + 32 && left == 32);
	memcpy(at, "hello", 5);
	cr_assert_eq(via_wire_batch_room(&b, &left), at);
	cr_assert_eq(via_wire_batch_commit(&b, 33), VIA_TOOBIG);
	cr_assert_eq(via_wire_batch_commit(&b, 5), VIA_OK);
	at = via_wire_batch_room(&b, &left);
	cr_assert(at == room + 40 && left == 24);
	cr_assert_eq(via_wire_batch_finish(&b), 16);
	cr_assert_eq(memcmp(room + 8, "hello\0\0\0", 8), 0);
}

Test(wire_batch_builder, begin_wants_room_for_the_directory)
{
	uint8_t room[16];
	via_wire_batch b = {.n = 7};

	cr_assert_eq(via_wire_batch_begin(&b, room, 15, 2), VIA_TOOBIG);
	cr_assert_eq(via_wire_batch_begin(&b, room, 16, UINT32_MAX), VIA_TOOBIG);
	cr_assert_eq(via_wire_batch_begin(&b, room, 16, 0x20000001), VIA_TOOBIG, "8 * n wraps");
	cr_assert_eq(b.n, 7, "written on failure");
	cr_assert_eq(via_wire_batch_begin(&b, room, 16, 2), VIA_OK);
	/* No message is longer than a u32 can say, however much room there is (section 4). */
	cr_assert_eq(via_wire_batch_begin(&b, room, UINT64_MAX, UINT32_MAX), VIA_TOOBIG);
	cr_assert_eq(via_wire_batch_begin(&b, room, UINT64_MAX, 0), VIA_OK);
	cr_assert_eq(b.cap, UINT32_MAX - 32);
}
