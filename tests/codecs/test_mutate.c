/* tests/codecs/test_mutate.c - many damaged messages: what check() lets pass can be read whole.
 *
 * The seed is fixed, so a failure comes back. Run under the address sanitizer it also shows reads
 * past the message, which lies in a block of exactly its size.
 */
#include "rig.h"

#include <criterion/criterion.h>

TestSuite(codec_mutate, .timeout = 120);

enum { ROUNDS = 1500 };

static uint64_t state = UINT64_C(0x9E3779B97F4A7C15);

static uint32_t rnd(uint32_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 33) % below;
}

/* Damages a message of len bytes, of which there is room for len + 16; returns the new length. */
static uint64_t damage(uint8_t *bytes, uint64_t len)
{
	static const uint32_t words[] = {0,  1,  2,          7,          8,          9,         31,
					 32, 33, 0x7FFFFFFF, 0x80000000, 0xFFFFFFF8, 0xFFFFFFFF};
	uint32_t times = 1 + rnd(3), at;

	while (times-- > 0 && len > 0) {
		at = rnd((uint32_t)len);
		switch (rnd(6)) {
		case 0:
			bytes[at] ^= (uint8_t)(1u << rnd(8));
			break;
		case 1:
			bytes[at] = (uint8_t)rnd(256);
			break;
		case 2: /* a field, most of which are aligned to 4 */
			at &= ~3u;
			if (at + 4 <= len)
				via_bytes_put_u32(bytes + at, words[rnd(13)]);
			break;
		case 3: /* a field that is nearly right */
			at &= ~3u;
			if (at + 4 <= len)
				via_bytes_put_u32(bytes + at,
						  via_bytes_get_u32(bytes + at) + rnd(17) - 8);
			break;
		case 4:
			len = at;
			break;
		default:
			memset(bytes + len, (int)rnd(256), 16);
			len += rnd(17);
			return len;
		}
	}
	return len;
}

/* Reads every byte that a value shows; the sum keeps the compiler from skipping it. */
static uint32_t touch(const via_value *values, uint32_t n)
{
	const uint8_t *p;
	uint32_t sum = 0, i;
	uint64_t k;

	for (i = 0; i < n; i++) {
		if (values[i].type != VIA_T_STR)
			continue;
		p = values[i].v.ptr;
		for (k = 0; k < values[i].len; k++)
			sum += p[k];
		cr_assert_eq(p[k], 0, "a string without its NUL");
	}
	return sum;
}

static uint32_t read_whole(const via_codec *c, uint32_t side, const struct rig_room *from,
			   via_rc rows)
{
	via_value values[8];
	uint32_t sum, i;

	c->head(side, from->room, from->cap, values);
	sum = touch(values, c->side[side].n_head);
	for (i = 0; i < (uint32_t)rows; i++) {
		c->row(side, from->room, from->cap, i, values);
		sum += touch(values, c->side[side].n_row);
	}
	return sum;
}

/* An accepted message survives being written anew: same rows, same values, twice the same bytes. */
static void expect_stable(int module, uint32_t side, const struct rig_room *from, via_rc rows)
{
	const via_codec *c = rig_codec(module);
	struct rig_room one = rig_room_open(from->cap * 2 + 256), two = rig_room_open(one.cap);
	struct rig_room again;
	uint64_t used = 0, used_again = 0;
	const uint32_t sum = read_whole(c, side, from, rows);
	via_rc rc = rig_reencode(c, side, from, 3, &one, &used);

	if (rc == VIA_TOOBIG) { /* many entries may show the same item: longer when written apart */
		cr_assert_eq(module, RIG_SNAPSHOT);
	} else {
		cr_assert_eq(rc, VIA_OK);
		cr_assert_eq(c->check(side, one.room, used, NULL), rows);
		again = rig_bytes(one.room, used);
		cr_assert_eq(read_whole(c, side, &again, rows), sum);
		cr_assert_eq(rig_reencode_typed(module, side, from, 0, &two, &used_again), VIA_OK);
		cr_assert_eq(used_again, used);
		cr_assert_eq(memcmp(one.room, two.room, (size_t)used), 0);
	}
	cr_assert(rig_room_whole(&one));
	cr_assert(rig_room_whole(&two));
	rig_room_close(&one);
	rig_room_close(&two);
}

/* A refused snapshot: its accessors answer for every index, with or without an opened view. */
static void probe_refused(const struct rig_room *from)
{
	via_cgroups_snapshot_view view;
	via_cgroups_item item;
	uint32_t i;

	if (via_cgroups_snapshot_peek(&view, from->room, from->cap, NULL) != VIA_OK) {
		view.bytes = from->room;
		view.len = from->cap;
		view.n_items = rnd(100);
	}
	for (i = 0; i < 40; i++) {
		if (via_cgroups_snapshot_item(&view, i, &item, NULL) == VIA_OK)
			cr_assert_eq(item.name[item.name_len] | item.path[item.path_len], 0);
	}
}

Test(codec_mutate, accepted_means_readable)
{
	const struct rig_payload *p;
	struct rig_room from;
	uint8_t *bytes, *work;
	uint64_t len;
	uint32_t accepted = 0, refused = 0, i, round;
	via_flaw why;
	via_rc rows;

	for (i = 0; i < n_rig_canonical; i++) {
		p = &rig_canonical[i];
		bytes = rig_load(p, &len);
		for (round = 0; round < ROUNDS; round++) {
			work = malloc((size_t)len + 16);
			cr_assert_not_null(work);
			memcpy(work, bytes, (size_t)len);
			from.cap = damage(work, len);
			from.block = NULL;
			from.room = rig_block(work, from.cap);
			free(work);
			memset(&why, 0, sizeof why);
			rows = rig_codec(p->module)->check(p->side, from.room, from.cap, &why);
			if (rows >= 0) {
				accepted++;
				cr_assert_eq(why.kind, VIA_FLAW_NONE);
				expect_stable(p->module, p->side, &from, rows);
			} else {
				refused++;
				cr_assert_eq(rows, VIA_PROTO);
				cr_assert_neq(why.kind, VIA_FLAW_NONE);
				cr_assert_not_null(why.field);
				if (p->module == RIG_SNAPSHOT)
					probe_refused(&from);
			}
			free(from.room);
		}
		free(bytes);
	}
	cr_log_info("%u accepted, %u refused", accepted, refused);
	cr_expect_gt(accepted, ROUNDS);
	cr_expect_gt(refused, ROUNDS);
}
