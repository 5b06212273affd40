/* tests/codecs/test_snapshot.c - CGROUPS_SNAPSHOT: requests, reading responses, owned copies. */
#include "rig.h"

#include <criterion/criterion.h>
#include <stdio.h>

TestSuite(codec_snapshot, .timeout = 30);

/* -- requests --------------------------------------------------------------------------------- */

Test(codec_snapshot, request_round_trip)
{
	struct rig_room r;
	uint64_t used = 0, cap;

	for (cap = 0; cap < 4; cap++) {
		r = rig_room_open(cap);
		cr_expect_eq(via_cgroups_snapshot_request_encode(r.room, cap, &used), VIA_TOOBIG);
		cr_expect(rig_room_blank(&r, 0));
		rig_room_close(&r);
	}
	r = rig_room_open(4);
	cr_assert_eq(via_cgroups_snapshot_request_encode(r.room, 4, &used), VIA_OK);
	cr_expect_eq(used, 4);
	cr_expect(rig_room_whole(&r));
	cr_expect_eq(via_cgroups_snapshot_request_check(r.room, 4, NULL), VIA_OK);
	rig_room_close(&r);
}

Test(codec_snapshot, request_flaws)
{
	static const uint8_t layout[] = {0, 1, 0, 0}, flags[] = {1, 0, 0, 0x80};
	via_flaw why;

	cr_assert_eq(via_cgroups_snapshot_request_check(layout, 3, &why), VIA_PROTO);
	cr_expect_eq(why.kind, VIA_FLAW_TRUNCATED);
	cr_expect_eq(why.expected, 4);
	cr_expect_eq(why.found, 3);
	cr_assert_eq(via_cgroups_snapshot_request_check(NULL, 0, &why), VIA_PROTO);
	cr_expect_eq(why.found, 0);

	cr_assert_eq(via_cgroups_snapshot_request_check(layout, 4, &why), VIA_PROTO);
	cr_expect_eq(why.kind, VIA_FLAW_BAD_LAYOUT);
	cr_expect_eq(why.offset, 0);
	cr_expect_eq(why.expected, 1);
	cr_expect_eq(why.found, 256);
	cr_expect_str_eq(why.field, "layout_version");

	cr_assert_eq(via_cgroups_snapshot_request_check(flags, 4, &why), VIA_PROTO);
	cr_expect_eq(why.kind, VIA_FLAW_BAD_LAYOUT);
	cr_expect_eq(why.offset, 2);
	cr_expect_eq(why.found, 0x8000);
	cr_expect_str_eq(why.field, "flags");
}

/* -- what is in the vectors ------------------------------------------------------------------- */

static void expect_item(const via_cgroups_snapshot_view *view, uint32_t index,
			const via_cgroups_item *want)
{
	via_cgroups_item item;

	cr_assert_eq(via_cgroups_snapshot_item(view, index, &item, NULL), VIA_OK);
	cr_expect_eq(item.hash, want->hash);
	cr_expect_eq(item.options, want->options);
	cr_expect_eq(item.enabled, want->enabled);
	cr_assert_eq(item.name_len, want->name_len);
	cr_assert_eq(item.path_len, want->path_len);
	cr_expect_eq(memcmp(item.name, want->name, item.name_len), 0);
	cr_expect_eq(memcmp(item.path, want->path, item.path_len), 0);
	cr_expect_eq(item.name[item.name_len], '\0');
	cr_expect_eq(item.path[item.path_len], '\0');
}

static uint8_t *open_vector(const char *folder, const char *name, uint32_t skip,
			    via_cgroups_snapshot_view *view)
{
	const struct rig_payload p = {folder, name, skip, 0, RIG_SNAPSHOT, VIA_SIDE_RESPONSE};
	uint64_t len;
	uint8_t *bytes = rig_load(&p, &len);

	cr_assert_eq(via_cgroups_snapshot_check(view, bytes, len, NULL), VIA_OK);
	return bytes;
}

Test(codec_snapshot, three_items)
{
	via_cgroups_snapshot_view view = {NULL, 0, 0, 0, 0};
	uint8_t *bytes = open_vector("valid", "snapshot-resp-3", 0, &view);
	via_cgroups_item want = rig_item(1, 0, 1, "a", "/a");

	cr_assert_eq(view.n_items, 3);
	cr_expect_eq(view.systemd_enabled, 1);
	cr_expect_eq(view.generation, 999);
	expect_item(&view, 0, &want);
	want = rig_item(2, 2, 0, "", "");
	expect_item(&view, 1, &want);
	want = rig_item(UINT32_MAX, UINT32_MAX, UINT32_MAX, "long-name-of-a-container",
			"/sys/fs/cgroup/system.slice/long-name-of-a-container.scope");
	expect_item(&view, 2, &want);
	free(bytes);
}

Test(codec_snapshot, twenty_items)
{
	via_cgroups_snapshot_view view = {NULL, 0, 0, 0, 0};
	uint8_t *bytes = open_vector("valid", "snapshot-resp-20-of-64", 0, &view);
	via_cgroups_item want;
	char name[32], path[64];
	uint32_t i;

	cr_assert_eq(view.n_items, 20);
	cr_expect_eq(view.generation, 5);
	for (i = 0; i < 20; i++) {
		snprintf(name, sizeof name, "unit-%u", i);
		snprintf(path, sizeof path, "/sys/fs/cgroup/unit-%u", i);
		want = rig_item(1000 + i, i, i & 1, name, path);
		expect_item(&view, i, &want);
	}
	free(bytes);
}

Test(codec_snapshot, empty_ones_and_interior_nuls)
{
	via_cgroups_snapshot_view view = {NULL, 0, 0, 0, 0};
	uint8_t *bytes = open_vector("valid", "snapshot-resp-empty", 0, &view);
	via_cgroups_item want;

	cr_expect_eq(view.n_items, 0);
	cr_expect_eq(view.systemd_enabled, 0);
	cr_expect_eq(view.generation, 42);
	free(bytes);

	bytes = open_vector("valid", "snapshot-resp-empty-of-50", 0, &view);
	cr_expect_eq(view.n_items, 0);
	cr_expect_eq(view.systemd_enabled, 1);
	cr_expect_eq(view.generation, UINT64_MAX);
	free(bytes);

	bytes = open_vector("valid", "snapshot-resp-interior-nul", 0, &view);
	cr_assert_eq(view.n_items, 1);
	want = rig_item(0, 0, 0, "", "");
	cr_assert_eq(via_cgroups_snapshot_item(&view, 0, &want, NULL), VIA_OK);
	cr_assert_eq(want.name_len, 3);
	cr_expect_eq(memcmp(want.name, "n\0m", 4), 0);
	cr_assert_eq(want.path_len, 4);
	cr_expect_eq(memcmp(want.path, "/p\0q", 5), 0);
	free(bytes);
}

Test(codec_snapshot, captured_and_interop_ones)
{
	via_cgroups_snapshot_view view = {NULL, 0, 0, 0, 0};
	uint8_t *bytes = open_vector("live", "l2-snapshot.resp", 32, &view);
	via_cgroups_item want =
		rig_item(1001, 0, 1, "docker-abc123", "/sys/fs/cgroup/docker/abc123");

	cr_assert_eq(view.n_items, 3);
	expect_item(&view, 0, &want);
	want = rig_item(2002, 0, 1, "k8s-pod-xyz", "/sys/fs/cgroup/kubepods/xyz");
	expect_item(&view, 1, &want);
	want = rig_item(3003, 0, 0, "systemd-user", "/sys/fs/cgroup/user.slice/user-1000");
	expect_item(&view, 2, &want);
	free(bytes);

	bytes = open_vector("interop", "cgroups_resp", 0, &view);
	cr_assert_eq(view.n_items, 3);
	want = rig_item(200, 2, 0, "system.slice/docker-abc.scope",
			"/sys/fs/cgroup/system.slice/docker-abc.scope");
	expect_item(&view, 1, &want);
	want = rig_item(300, 0, 1, "", "");
	expect_item(&view, 2, &want);
	free(bytes);
}

/* -- one flaw at a time ----------------------------------------------------------------------- */

/* Base: the message the malformed vectors were made from: items at 40 (39 bytes) and 80 (39 bytes),
 * (1,0,1,"abc","/x") and (2,0,1,"de","/yy"). Built here, so that one sees what is changed. */
static uint64_t build_base(uint8_t *room, uint64_t cap)
{
	via_cgroups_snapshot_builder b;
	via_cgroups_item item = rig_item(1, 0, 1, "abc", "/x");
	uint64_t used = 0;

	cr_assert_eq(via_cgroups_snapshot_begin(&b, room, cap, 2), VIA_OK);
	cr_assert_eq(via_cgroups_snapshot_add(&b, &item), VIA_OK);
	item = rig_item(2, 0, 1, "de", "/yy");
	cr_assert_eq(via_cgroups_snapshot_add(&b, &item), VIA_OK);
	via_cgroups_snapshot_set_header(&b, 1, 7);
	cr_assert_eq(via_cgroups_snapshot_finish(&b, &used), VIA_OK);
	cr_assert_eq(used, 119);
	return used;
}

struct change {
	uint32_t at, width; /* where, and how many bytes of the value: 1, 2 or 4 */
	uint32_t value;
	via_flaw want;
};

#define NONE VIA_FLAW_NO_ITEM
static const struct change changes[] = {
	/* header */
	{0, 2, 0, {VIA_FLAW_BAD_LAYOUT, NONE, 0, 1, 0, "layout_version"}},
	{2, 2, 0x8000, {VIA_FLAW_BAD_LAYOUT, NONE, 2, 0, 0x8000, "flags"}},
	{12, 4, 1u << 31, {VIA_FLAW_BAD_LAYOUT, NONE, 12, 0, 1u << 31, "reserved"}},
	{4, 4, 12, {VIA_FLAW_TRUNCATED, NONE, 24, 96, 95, "directory"}},
	{4, 4, UINT32_MAX, {VIA_FLAW_TRUNCATED, NONE, 24, UINT64_C(34359738360), 95, "directory"}},
	/* directory */
	{24, 4, 1, {VIA_FLAW_BAD_ALIGNMENT, 0, 24, 8, 1, "offset"}},
	{32, 4, UINT32_MAX, {VIA_FLAW_BAD_ALIGNMENT, 1, 32, 8, UINT32_MAX, "offset"}},
	{32, 4, 48, {VIA_FLAW_OUT_OF_BOUNDS, 1, 36, 79, 87, "length"}},
	{32, 4, 0xFFFFFFF8u, {VIA_FLAW_OUT_OF_BOUNDS, 1, 36, 79, 0x10000001Fu, "length"}},
	{36, 4, 40, {VIA_FLAW_OUT_OF_BOUNDS, 1, 36, 79, 80, "length"}},
	{36, 4, UINT32_MAX, {VIA_FLAW_OUT_OF_BOUNDS, 1, 36, 79, 0x100000027u, "length"}},
	{36, 4, 31, {VIA_FLAW_TRUNCATED, 1, 36, 32, 31, "length"}},
	{28, 4, 0, {VIA_FLAW_TRUNCATED, 0, 28, 32, 0, "length"}},
	/* items */
	{80, 2, 2, {VIA_FLAW_BAD_LAYOUT, 1, 80, 1, 2, "layout_version"}},
	{82, 2, 1, {VIA_FLAW_BAD_LAYOUT, 1, 82, 0, 1, "flags"}},
	{96, 4, 31, {VIA_FLAW_OUT_OF_BOUNDS, 1, 96, 32, 31, "name_offset"}},
	{96, 4, 0, {VIA_FLAW_OUT_OF_BOUNDS, 1, 96, 32, 0, "name_offset"}},
	{96, 4, UINT32_MAX, {VIA_FLAW_OUT_OF_BOUNDS, 1, 100, 39, 0x100000002u, "name_length"}},
	{100, 4, 7, {VIA_FLAW_OUT_OF_BOUNDS, 1, 100, 39, 40, "name_length"}},
	{100, 4, UINT32_MAX, {VIA_FLAW_OUT_OF_BOUNDS, 1, 100, 39, 0x100000020u, "name_length"}},
	{104, 4, 31, {VIA_FLAW_OUT_OF_BOUNDS, 1, 104, 32, 31, "path_offset"}},
	{104, 4, 36, {VIA_FLAW_OUT_OF_BOUNDS, 1, 108, 39, 40, "path_length"}},
	{104, 4, UINT32_MAX, {VIA_FLAW_OUT_OF_BOUNDS, 1, 108, 39, 0x100000003u, "path_length"}},
	{108, 4, 4, {VIA_FLAW_OUT_OF_BOUNDS, 1, 108, 39, 40, "path_length"}},
	{108, 4, UINT32_MAX, {VIA_FLAW_OUT_OF_BOUNDS, 1, 108, 39, 0x100000023u, "path_length"}},
	{114, 1, 'x', {VIA_FLAW_MISSING_NUL, 1, 114, 0, 'x', "name"}},
	{100, 4, 1, {VIA_FLAW_MISSING_NUL, 1, 113, 0, 'e', "name"}},
	{118, 1, 'y', {VIA_FLAW_MISSING_NUL, 1, 118, 0, 'y', "path"}},
	{108, 4, 2, {VIA_FLAW_MISSING_NUL, 1, 117, 0, 'y', "path"}},
	/* name and path share a byte, from either side */
	{100, 4, 6, {VIA_FLAW_BAD_LAYOUT, 1, 104, 39, 35, "path_offset"}},
	{96, 4, 36, {VIA_FLAW_BAD_LAYOUT, 1, 104, 39, 35, "path_offset"}},
};

Test(codec_snapshot, each_flaw_says_where_and_why)
{
	const struct change *c;
	via_cgroups_snapshot_view view = {NULL, 0, 0, 0, 0};
	uint8_t base[119], *bytes;
	via_flaw why;
	uint32_t i, j;

	build_base(base, sizeof base);
	for (i = 0; i < sizeof changes / sizeof changes[0]; i++) {
		c = &changes[i];
		bytes = rig_block(base, sizeof base);
		for (j = 0; j < c->width; j++)
			bytes[c->at + j] = (uint8_t)(c->value >> 8 * j);
		memset(&view, 0x5A, sizeof view);
		cr_expect_eq(via_cgroups_snapshot_check(&view, bytes, sizeof base, &why), VIA_PROTO,
			     "change %u", i);
		cr_expect_eq(why.kind, c->want.kind, "change %u: %u", i, why.kind);
		cr_expect_eq(why.item, c->want.item, "change %u: %u", i, why.item);
		cr_expect_eq(why.offset, c->want.offset, "change %u: %u", i, (unsigned)why.offset);
		cr_expect_eq(why.expected, c->want.expected, "change %u", i);
		cr_expect_eq(why.found, c->want.found, "change %u: %u", i, (unsigned)why.found);
		cr_expect_str_eq(why.field, c->want.field, "change %u", i);
		cr_expect_eq(view.n_items, 0x5A5A5A5A, "change %u: written although it failed", i);
		free(bytes);
	}
}

/* The path may come first, and bytes between and after the strings are nobody's business. */
Test(codec_snapshot, strings_in_any_order_with_gaps)
{
	via_cgroups_snapshot_view view = {NULL, 0, 0, 0, 0};
	via_cgroups_item want = rig_item(2, 0, 1, "q", "/p");
	uint8_t base[119], *bytes;

	build_base(base, sizeof base);
	bytes = rig_block(base, sizeof base);
	memcpy(bytes + 112, "/p\0qqq\0", 7); /* the item's bytes 32..38 */
	memcpy(bytes + 116, "q\0", 2);
	via_bytes_put_u32(bytes + 80 + 16, 36);
	via_bytes_put_u32(bytes + 80 + 20, 1);
	via_bytes_put_u32(bytes + 80 + 24, 32);
	via_bytes_put_u32(bytes + 80 + 28, 2);
	bytes[118] = 0xEE; /* after the last string, inside the item */
	cr_assert_eq(via_cgroups_snapshot_check(&view, bytes, sizeof base, NULL), VIA_OK);
	expect_item(&view, 1, &want);
	free(bytes);
}

/* Where the strings of the base's item 1 are said to be: name and path, offset and length. */
struct strings {
	uint32_t name, name_len, path, path_len;
	uint32_t is_ok;
};

/* Two strings may touch but not share a byte, not even the NUL of an empty one. */
Test(codec_snapshot, strings_may_touch_but_not_share)
{
	static const struct strings cases[] = {
		{32, 2, 35, 3, 1}, {32, 2, 34, 0, 0}, {35, 3, 38, 0, 0}, {34, 0, 32, 2, 0},
		{38, 0, 35, 3, 0}, {38, 0, 32, 2, 1}, {34, 0, 34, 0, 0}, {34, 0, 38, 0, 1},
		{38, 0, 34, 0, 1}, {35, 3, 32, 2, 1}, {35, 3, 34, 0, 1}, {33, 1, 32, 2, 0},
	};
	const struct strings *c;
	via_cgroups_snapshot_view view = {NULL, 0, 0, 0, 0};
	uint8_t base[119], *bytes;
	via_flaw why;
	uint32_t i;

	build_base(base, sizeof base);
	for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		c = &cases[i];
		bytes = rig_block(base, sizeof base);
		via_bytes_put_u32(bytes + 96, c->name);
		via_bytes_put_u32(bytes + 100, c->name_len);
		via_bytes_put_u32(bytes + 104, c->path);
		via_bytes_put_u32(bytes + 108, c->path_len);
		memset(&why, 0, sizeof why);
		cr_expect_eq(via_cgroups_snapshot_check(&view, bytes, sizeof base, &why),
			     c->is_ok ? VIA_OK : VIA_PROTO, "case %u", i);
		cr_expect_eq(why.kind, c->is_ok ? VIA_FLAW_NONE : VIA_FLAW_BAD_LAYOUT, "case %u",
			     i);
		free(bytes);
	}
}

Test(codec_snapshot, a_count_beyond_what_can_be_returned)
{
	/* 2^31 items need 16 GiB; the length is a lie, but nothing past the header is read. */
	static const uint8_t header[24] = {1, 0, 0, 0, 0, 0, 0, 0x80};
	via_flaw why;

	cr_assert_eq(rig_codec(RIG_SNAPSHOT)
			     ->check(VIA_SIDE_RESPONSE, header, UINT64_C(1) << 40, &why),
		     VIA_PROTO);
	cr_expect_eq(why.kind, VIA_FLAW_BAD_ITEM_COUNT);
	cr_expect_eq(why.offset, 4);
	cr_expect_eq(why.found, UINT64_C(1) << 31);
}

/* -- views that were made or changed by hand -------------------------------------------------- */

Test(codec_snapshot, accessors_trust_nothing)
{
	uint8_t base[119], *bytes;
	via_cgroups_snapshot_view good, view;
	via_cgroups_item item = rig_item(77, 0, 0, "", "");
	via_flaw why;
	uint64_t len;
	uint32_t i;

	build_base(base, sizeof base);
	bytes = rig_block(base, sizeof base);
	cr_assert_eq(via_cgroups_snapshot_open(&good, bytes, sizeof base, NULL), VIA_OK);

	cr_expect_eq(via_cgroups_snapshot_item(&good, 2, &item, &why), VIA_PROTO);
	cr_expect_eq(why.kind, VIA_FLAW_OUT_OF_BOUNDS);
	cr_expect_eq(why.item, 2);
	cr_expect_eq(why.expected, 2);
	cr_expect_eq(why.found, 2);
	cr_expect_eq(via_cgroups_snapshot_item(&good, UINT32_MAX, &item, NULL), VIA_PROTO);

	view = good;
	view.n_items = UINT32_MAX;
	cr_expect_eq(via_cgroups_snapshot_item(&view, 11, &item, &why), VIA_PROTO);
	cr_expect_eq(why.kind, VIA_FLAW_TRUNCATED);

	memset(&view, 0, sizeof view);
	cr_expect_eq(via_cgroups_snapshot_item(&view, 0, &item, &why), VIA_PROTO);
	view.len = sizeof base; /* bytes still NULL */
	view.n_items = 1;
	cr_expect_eq(via_cgroups_snapshot_item(&view, 0, &item, &why), VIA_PROTO);
	cr_expect_eq(why.kind, VIA_FLAW_TRUNCATED);

	for (len = 0; len < sizeof base; len++) { /* a view whose length shrank */
		view = good;
		view.bytes = rig_block(base, len);
		view.len = len;
		for (i = 0; i < 3; i++) {
			if (via_cgroups_snapshot_item(&view, i, &item, NULL) == VIA_OK)
				cr_expect_eq(item.name[item.name_len] + item.path[item.path_len],
					     0);
		}
		free((void *)(uintptr_t)view.bytes);
	}
	bytes[24] = 4; /* the directory changed after it was checked */
	cr_expect_eq(via_cgroups_snapshot_item(&good, 0, &item, &why), VIA_PROTO);
	cr_expect_eq(why.kind, VIA_FLAW_BAD_ALIGNMENT);
	free(bytes);
}

/* -- owned copies ----------------------------------------------------------------------------- */

struct heap {
	int n_alloc, n_free, fail;
	uint64_t size;
};

static void *heap_alloc(void *arg, uint64_t size)
{
	struct heap *h = arg;

	h->size = size;
	if (h->fail)
		return NULL;
	h->n_alloc++;
	return malloc((size_t)size);
}

static void heap_free(void *arg, void *p)
{
	struct heap *h = arg;

	h->n_free++;
	free(p);
}

Test(codec_snapshot, copy_owns_everything_in_one_allocation)
{
	struct heap h = {0, 0, 0, 0};
	const via_bytes_heap heap = {heap_alloc, heap_free, &h};
	via_cgroups_snapshot_view view = {NULL, 0, 0, 0, 0};
	via_cgroups_snapshot *s = NULL;
	uint8_t *bytes = open_vector("valid", "snapshot-resp-3", 0, &view);

	cr_assert_eq(via_cgroups_snapshot_copy(&view, &heap, &s, NULL), VIA_OK);
	memset(bytes, 0xEE, (size_t)view.len); /* the source may go */
	free(bytes);
	cr_expect_eq(h.n_alloc, 1);
	cr_expect_eq(s->generation, 999);
	cr_expect_eq(s->systemd_enabled, 1);
	cr_assert_eq(s->n_items, 3);
	cr_expect_str_eq(s->items[0].name, "a");
	cr_expect_str_eq(s->items[0].path, "/a");
	cr_expect_str_eq(s->items[1].name, "");
	cr_expect_str_eq(s->items[2].path,
			 "/sys/fs/cgroup/system.slice/long-name-of-a-container.scope");
	cr_expect_eq(s->items[2].hash, UINT32_MAX);
	heap.free(heap.arg, s);
	cr_expect_eq(h.n_free, 1);
}

Test(codec_snapshot, copy_fails_cleanly)
{
	struct heap h = {0, 0, 1, 0};
	const via_bytes_heap heap = {heap_alloc, heap_free, &h};
	via_cgroups_snapshot_view view = {NULL, 0, 0, 0, 0};
	via_cgroups_snapshot *s = NULL;
	via_flaw why;
	uint8_t base[119], *bytes;

	build_base(base, sizeof base);
	bytes = rig_block(base, sizeof base);
	cr_assert_eq(via_cgroups_snapshot_open(&view, bytes, sizeof base, NULL), VIA_OK);
	cr_expect_eq(via_cgroups_snapshot_copy(&view, &heap, &s, NULL), VIA_NOMEM);

	h.fail = 0;
	bytes[118] = 'x'; /* a bad item: open() does not mind, the copy does */
	cr_expect_eq(via_cgroups_snapshot_copy(&view, &heap, &s, &why), VIA_PROTO);
	cr_expect_eq(why.kind, VIA_FLAW_MISSING_NUL);
	cr_expect_eq(why.item, 1);
	bytes[118] = 0;
	via_bytes_put_u32(bytes + 4, 1); /* changed behind the view's back */
	cr_expect_eq(via_cgroups_snapshot_copy(&view, &heap, &s, &why), VIA_PROTO);
	cr_expect_eq(why.kind, VIA_FLAW_BAD_ITEM_COUNT);
	cr_expect_eq(h.n_alloc, 2);
	cr_expect_eq(h.n_free, 2);

	view.n_items = UINT32_MAX; /* refused before anything is allocated for them */
	cr_expect_eq(via_cgroups_snapshot_copy(&view, &heap, &s, &why), VIA_PROTO);
	view.n_items = 0;
	view.len = UINT64_MAX;
	cr_expect_eq(via_cgroups_snapshot_copy(&view, &heap, &s, &why), VIA_NOMEM);
	cr_expect_eq(h.n_alloc, 2);
	cr_expect_null(s, "written although it failed");
	free(bytes);
}

/* Thousands of entries that all show the same long item must not blow a copy up. */
Test(codec_snapshot, copy_of_overlapping_items_stays_small)
{
	enum { N = 4000, ITEM = 40000 };
	const uint64_t len = 24 + 8 * N + ITEM;
	struct heap h = {0, 0, 0, 0};
	const via_bytes_heap heap = {heap_alloc, heap_free, &h};
	via_cgroups_snapshot_view view = {NULL, 0, 0, 0, 0};
	via_cgroups_snapshot *s = NULL;
	uint8_t *bytes = calloc(1, len), *item = bytes + 24 + 8 * N;
	uint32_t i;

	cr_assert_not_null(bytes);
	bytes[0] = 1;
	via_bytes_put_u32(bytes + 4, N);
	for (i = 0; i < N; i++)
		via_bytes_put_u32(bytes + 24 + 8 * i + 4, ITEM);
	item[0] = 1;
	via_bytes_put_u32(item + 16, 32);
	via_bytes_put_u32(item + 20, ITEM - 34);
	via_bytes_put_u32(item + 24, ITEM - 1);
	cr_assert_eq(via_cgroups_snapshot_check(&view, bytes, len, NULL), VIA_OK);
	cr_assert_eq(via_cgroups_snapshot_copy(&view, &heap, &s, NULL), VIA_OK);
	cr_expect_lt(h.size, len + 64 + N * sizeof(via_cgroups_item));
	cr_expect_eq(s->items[N - 1].name_len, ITEM - 34);
	heap.free(heap.arg, s);
	free(bytes);
}
