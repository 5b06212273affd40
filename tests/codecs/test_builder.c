/* tests/codecs/test_builder.c - CGROUPS_SNAPSHOT: building responses into any room. */
#include "rig.h"

#include <criterion/criterion.h>
#include <stdio.h>

TestSuite(codec_builder, .timeout = 60);

static const char long_path[] = "/sys/fs/cgroup/system.slice/long-name-of-a-container.scope";

static void three(via_cgroups_item items[3])
{
	items[0] = rig_item(1, 0, 1, "a", "/a");
	items[1] = rig_item(2, 2, 0, "", "");
	items[2] =
		rig_item(UINT32_MAX, UINT32_MAX, UINT32_MAX, "long-name-of-a-container", long_path);
}

/* How many of the three fit into cap with max_items reserved, by the rules alone. */
static uint32_t fits(uint64_t cap, uint32_t max_items, uint64_t *used)
{
	static const uint32_t sizes[3] = {34 + 1 + 2, 34, 34 + 24 + sizeof long_path - 1};
	uint64_t end = 0, start;
	uint32_t n;

	*used = 24;
	for (n = 0; n < 3 && n < max_items; n++) {
		start = (end + 7) / 8 * 8;
		if (24 + 8 * (uint64_t)max_items + start + sizes[n] > cap)
			break;
		end = start + sizes[n];
		*used = 24 + 8 * ((uint64_t)n + 1) + end;
	}
	return n;
}

/* Adds until it is full; what was added must be there, and nothing past cap be touched. */
static void fill(uint64_t cap, uint32_t max_items)
{
	struct rig_room r = rig_room_open(cap), prefix = rig_room_open(512);
	via_cgroups_snapshot_builder b, p;
	via_cgroups_snapshot_view view = {NULL, 0, 0, 0, 0};
	via_cgroups_item items[3];
	uint64_t used = 0, want, prefix_used = 0;
	uint32_t n = 0, i;

	three(items);
	if (cap < 24 + 8 * (uint64_t)max_items) {
		cr_expect_eq(via_cgroups_snapshot_begin(&b, r.room, cap, max_items), VIA_TOOBIG);
		cr_expect(rig_room_blank(&r, 0));
		cr_expect_eq(via_cgroups_snapshot_add(&b, &items[0]), VIA_STATE);
		cr_expect_eq(via_cgroups_snapshot_finish(&b, &used), VIA_STATE);
		goto out;
	}
	cr_assert_eq(via_cgroups_snapshot_begin(&b, r.room, cap, max_items), VIA_OK);
	while (n < 3 && via_cgroups_snapshot_add(&b, &items[n]) == VIA_OK)
		n++;
	cr_assert_eq(n, fits(cap, max_items, &want), "cap %u", (unsigned)cap);
	if (n < 3)
		cr_expect_eq(via_cgroups_snapshot_add(&b, &items[n]), VIA_TOOBIG);
	via_cgroups_snapshot_set_header(&b, 1, 999);
	cr_assert_eq(via_cgroups_snapshot_finish(&b, &used), VIA_OK);
	cr_assert_eq(used, want, "cap %u", (unsigned)cap);
	cr_expect(rig_room_whole(&r), "cap %u", (unsigned)cap);
	cr_assert_eq(via_cgroups_snapshot_check(&view, r.room, used, NULL), VIA_OK);
	cr_expect_eq(view.n_items, n);

	/* The same bytes as a builder that knew the number beforehand. */
	cr_assert_eq(via_cgroups_snapshot_begin(&p, prefix.room, prefix.cap, n), VIA_OK);
	via_cgroups_snapshot_set_header(&p, 1, 999);
	for (i = 0; i < n; i++)
		cr_assert_eq(via_cgroups_snapshot_add(&p, &items[i]), VIA_OK);
	cr_assert_eq(via_cgroups_snapshot_finish(&p, &prefix_used), VIA_OK);
	cr_assert_eq(prefix_used, used);
	cr_expect_eq(memcmp(prefix.room, r.room, (size_t)used), 0, "cap %u", (unsigned)cap);
out:
	rig_room_close(&prefix);
	rig_room_close(&r);
}

Test(codec_builder, every_capacity_keeps_what_fits)
{
	static const uint32_t reserved[] = {0, 1, 2, 3, 4, 11};
	uint64_t cap;
	uint32_t i;

	for (i = 0; i < sizeof reserved / sizeof reserved[0]; i++) {
		for (cap = 0; cap <= 244 + 8 * 11; cap++)
			fill(cap, reserved[i]);
	}
}

Test(codec_builder, full_room_is_the_golden_message)
{
	vec v = rig_vec("valid", "snapshot-resp-3");
	struct rig_room r = rig_room_open(v.len);
	via_cgroups_snapshot_builder b;
	via_cgroups_item items[3];
	uint64_t used = 0;
	uint32_t i;

	three(items);
	cr_assert_eq(via_cgroups_snapshot_begin(&b, r.room, r.cap, 3), VIA_OK);
	for (i = 0; i < 3; i++)
		cr_assert_eq(via_cgroups_snapshot_add(&b, &items[i]), VIA_OK);
	via_cgroups_snapshot_set_header(&b, 0, 1); /* the last one counts */
	via_cgroups_snapshot_set_header(&b, 1, 999);
	cr_assert_eq(via_cgroups_snapshot_finish(&b, &used), VIA_OK);
	cr_expect(vec_equal(&v, r.room, (size_t)used), "differs at byte %ld",
		  vec_difference(&v, r.room, (size_t)used));
	cr_expect(rig_room_whole(&r));
	rig_room_close(&r);
	vec_free(&v);
}

Test(codec_builder, unused_slots_vanish)
{
	vec v = rig_vec("valid", "snapshot-resp-20-of-64");
	struct rig_room r = rig_room_open(v.len + 44 * 8);
	via_cgroups_snapshot_builder b;
	via_cgroups_item item;
	char name[32], path[64];
	uint64_t used = 0;
	uint32_t i;

	cr_assert_eq(via_cgroups_snapshot_begin(&b, r.room, r.cap, 64), VIA_OK);
	for (i = 0; i < 20; i++) {
		snprintf(name, sizeof name, "unit-%u", i);
		snprintf(path, sizeof path, "/sys/fs/cgroup/unit-%u", i);
		item = rig_item(1000 + i, i, i & 1, name, path);
		cr_assert_eq(via_cgroups_snapshot_add(&b, &item), VIA_OK);
	}
	via_cgroups_snapshot_set_header(&b, 1, 5);
	cr_assert_eq(via_cgroups_snapshot_finish(&b, &used), VIA_OK);
	cr_expect(vec_equal(&v, r.room, (size_t)used), "differs at byte %ld",
		  vec_difference(&v, r.room, (size_t)used));
	rig_room_close(&r);
	vec_free(&v);

	v = rig_vec("valid", "snapshot-resp-empty-of-50");
	r = rig_room_open(24 + 50 * 8);
	cr_assert_eq(via_cgroups_snapshot_begin(&b, r.room, r.cap, 50), VIA_OK);
	via_cgroups_snapshot_set_header(&b, 1, UINT64_MAX);
	cr_assert_eq(via_cgroups_snapshot_finish(&b, &used), VIA_OK);
	cr_expect(vec_equal(&v, r.room, (size_t)used));
	cr_expect(rig_room_blank(&r, 24), "the unused directory was written");
	rig_room_close(&r);
	vec_free(&v);
}

Test(codec_builder, without_a_header_it_is_zero)
{
	via_cgroups_snapshot_builder b;
	via_cgroups_snapshot_view view = {NULL, 0, 0, 0, 0};
	uint8_t room[24];
	uint64_t used = 0;

	memset(&b, 0xEE, sizeof b); /* whatever was on the stack */
	cr_assert_eq(via_cgroups_snapshot_begin(&b, room, sizeof room, 0), VIA_OK);
	cr_assert_eq(via_cgroups_snapshot_finish(&b, &used), VIA_OK);
	cr_assert_eq(used, 24);
	cr_assert_eq(via_cgroups_snapshot_check(&view, room, used, NULL), VIA_OK);
	cr_expect_eq(view.systemd_enabled, 0);
	cr_expect_eq(view.generation, 0);
}

Test(codec_builder, a_smaller_item_may_still_fit)
{
	struct rig_room r = rig_room_open(24 + 16 + 40 + 37);
	via_cgroups_snapshot_builder b;
	via_cgroups_snapshot_view view = {NULL, 0, 0, 0, 0};
	via_cgroups_item items[3];
	uint64_t used = 0;

	three(items);
	cr_assert_eq(via_cgroups_snapshot_begin(&b, r.room, r.cap, 2), VIA_OK);
	cr_assert_eq(via_cgroups_snapshot_add(&b, &items[0]), VIA_OK);
	cr_expect_eq(via_cgroups_snapshot_add(&b, &items[2]), VIA_TOOBIG);
	cr_expect_eq(via_cgroups_snapshot_add(&b, &items[0]), VIA_OK);
	cr_expect_eq(via_cgroups_snapshot_add(&b, &items[1]), VIA_TOOBIG); /* more than reserved */
	cr_assert_eq(via_cgroups_snapshot_finish(&b, &used), VIA_OK);
	cr_expect_eq(used, r.cap);
	cr_expect(rig_room_whole(&r));
	cr_assert_eq(via_cgroups_snapshot_check(&view, r.room, used, NULL), VIA_OK);
	cr_expect_eq(view.n_items, 2);
	rig_room_close(&r);
}

Test(codec_builder, what_the_wire_cannot_say_is_invalid)
{
	struct rig_room r = rig_room_open(4096);
	via_cgroups_snapshot_builder b;
	via_cgroups_item item = rig_item(0, 0, 0, "", "");
	uint64_t used = 0;

	cr_expect_eq(via_cgroups_snapshot_begin(&b, NULL, 4096, 1), VIA_INVAL);
	cr_assert_eq(via_cgroups_snapshot_begin(&b, r.room, r.cap, 8), VIA_OK);
	item.name = NULL;
	item.name_len = 1;
	cr_expect_eq(via_cgroups_snapshot_add(&b, &item), VIA_INVAL);
	item.name = "";
	item.name_len = UINT32_MAX - 33; /* an item of 2^32 bytes */
	cr_expect_eq(via_cgroups_snapshot_add(&b, &item), VIA_INVAL);
	item.name_len = UINT32_MAX - 34; /* says the wire, but not this room */
	cr_expect_eq(via_cgroups_snapshot_add(&b, &item), VIA_TOOBIG);
	item.name_len = item.path_len = UINT32_MAX;
	cr_expect_eq(via_cgroups_snapshot_add(&b, &item), VIA_INVAL);
	item = rig_item(0, 0, 0, "", "");
	item.path = NULL;
	item.path_len = 9;
	cr_expect_eq(via_cgroups_snapshot_add(&b, &item), VIA_INVAL);
	item.path_len = 0;
	item.name = NULL; /* nothing of nothing is fine */
	cr_expect_eq(via_cgroups_snapshot_add(&b, &item), VIA_OK);
	cr_assert_eq(via_cgroups_snapshot_finish(&b, &used), VIA_OK);
	cr_expect_eq(used, 24 + 8 + 34);
	cr_expect_eq(via_cgroups_snapshot_finish(&b, &used), VIA_STATE);
	cr_expect_eq(via_cgroups_snapshot_add(&b, &item), VIA_STATE);
	cr_expect(rig_room_whole(&r));
	rig_room_close(&r);
}

/* A directory offset has 32 bits, whatever room there is. */
Test(codec_builder, offsets_end_at_four_gibibytes)
{
	via_cgroups_snapshot_builder b;
	via_cgroups_item item = rig_item(0, 0, 0, "", "");
	uint8_t room[256];
	uint64_t used = 0;

	/* The room is a lie; the builder is moved to where it would be after 4 GiB of items. */
	cr_assert_eq(via_cgroups_snapshot_begin(&b, room, UINT64_C(1) << 40, 4), VIA_OK);
	b.packed = UINT64_C(0xFFFFFFF9);
	cr_expect_eq(via_cgroups_snapshot_add(&b, &item), VIA_TOOBIG);
	b.packed = 0;
	cr_expect_eq(via_cgroups_snapshot_add(&b, &item), VIA_OK);
	cr_expect_eq(via_cgroups_snapshot_finish(&b, &used), VIA_OK);
	cr_expect_eq(used, 24 + 8 + 34);
}

Test(codec_builder, thousands_of_items)
{
	enum { N = 10000, RESERVED = 12000 };
	const uint64_t cap = 24 + 8 * RESERVED + N * 80;
	struct rig_room r = rig_room_open(cap);
	via_cgroups_snapshot_builder b;
	via_cgroups_snapshot_view view = {NULL, 0, 0, 0, 0};
	via_cgroups_item item;
	char name[32], path[32];
	uint64_t used = 0;
	uint32_t i;

	cr_assert_eq(via_cgroups_snapshot_begin(&b, r.room, cap, RESERVED), VIA_OK);
	for (i = 0; i < N; i++) {
		snprintf(name, sizeof name, "n%u", i);
		snprintf(path, sizeof path, "/p/%u", i * 7);
		item = rig_item(i * 2654435761u, i, i & 1, name, path);
		cr_assert_eq(via_cgroups_snapshot_add(&b, &item), VIA_OK);
	}
	via_cgroups_snapshot_set_header(&b, 1, 1);
	cr_assert_eq(via_cgroups_snapshot_finish(&b, &used), VIA_OK);
	cr_expect(rig_room_whole(&r));
	cr_expect_eq(rig_codec(RIG_SNAPSHOT)->check(VIA_SIDE_RESPONSE, r.room, used, NULL), N);
	cr_assert_eq(via_cgroups_snapshot_open(&view, r.room, used, NULL), VIA_OK);
	for (i = 0; i < N; i++) {
		cr_assert_eq(via_cgroups_snapshot_item(&view, i, &item, NULL), VIA_OK);
		snprintf(name, sizeof name, "n%u", i);
		snprintf(path, sizeof path, "/p/%u", i * 7);
		cr_assert_eq(item.hash, i * 2654435761u);
		cr_assert_str_eq(item.name, name);
		cr_assert_str_eq(item.path, path);
	}
	rig_room_close(&r);
}

Test(codec_builder, estimate)
{
	cr_expect_eq(via_cgroups_snapshot_estimate(0), 0);
	cr_expect_eq(via_cgroups_snapshot_estimate(23), 0);
	cr_expect_eq(via_cgroups_snapshot_estimate(24 + 47), 0);
	cr_expect_eq(via_cgroups_snapshot_estimate(24 + 48), 1);
	cr_expect_eq(via_cgroups_snapshot_estimate(65536), (65536 - 24) / 48);
	cr_expect_eq(via_cgroups_snapshot_estimate(UINT64_MAX), UINT32_MAX);
}
