/* tests/wire/test_batch.c - batch directory and builder: docs/wire.md section 3. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

TestSuite(wire_batch, .timeout = 30);

#define N(array) (sizeof(array) / sizeof(array)[0])

/* -- vectors ---------------------------------------------------------------------------------- */

struct item {
	uint32_t len;
	const char *bytes;
};

/* What INDEX.md says is in each vector; cap is the output buffer (0: more than enough). */
static const struct {
	const char *name;
	uint32_t slots, n;
	uint64_t cap;
	struct item items[3];
} batches[] = {
	{"batch-0-items", 0, 0, 0, {{0, NULL}}},
	{"batch-1-increment", 1, 1, 0, {{8, "\x29\0\0\0\0\0\0\0"}}},
	{"batch-3-increment",
	 3,
	 3,
	 0,
	 {{8, "\xe8\x03\0\0\0\0\0\0"}, {8, "\xe9\x03\0\0\0\0\0\0"}, {8, "\xea\x03\0\0\0\0\0\0"}}},
	{"batch-3-empty-items", 3, 3, 0, {{0, ""}, {4, "\x77\x77\x77\x77"}, {0, ""}}},
	{"batch-2-of-8-compacted", 8, 2, 0, {{8, "\x07\0\0\0\0\0\0\0"}, {8, "\x08\0\0\0\0\0\0\0"}}},
	{"batch-2-no-room-for-tail-pad", 2, 2, 27, {{8, "aaaaaaaa"}, {3, "bbb"}}},
	{"batch-3-string-reverse",
	 3,
	 3,
	 0,
	 {{12, "\x08\0\0\0\x03\0\0\0abc\0"},
	  {9, "\x08\0\0\0\0\0\0\0\0"},
	  {20, "\x08\0\0\0\x0b\0\0\0hello world\0"}}},
};

Test(wire_batch, vectors_read)
{
	const void *item;
	uint32_t i, len;
	size_t b;

	for (b = 0; b < N(batches); b++) {
		vec v = check_vec("valid", batches[b].name);

		cr_assert_eq(via_wire_batch_check(v.data, v.len, batches[b].n, NULL), VIA_OK, "%s",
			     batches[b].name);
		for (i = 0; i < batches[b].n; i++) {
			cr_assert_eq(via_wire_batch_item(v.data, v.len, batches[b].n, i, &item,
							 &len, NULL),
				     VIA_OK, "%s item %u", batches[b].name, i);
			cr_assert_eq(len, batches[b].items[i].len, "%s item %u", batches[b].name,
				     i);
			cr_assert_eq(memcmp(item, batches[b].items[i].bytes, len), 0, "%s item %u",
				     batches[b].name, i);
		}
		vec_free(&v);
	}
}

Test(wire_batch, vectors_build)
{
	uint8_t room[256];
	via_wire_batch batch;
	uint64_t len, cap;
	uint32_t i;
	size_t b;

	for (b = 0; b < N(batches); b++) {
		vec v = check_vec("valid", batches[b].name);

		memset(room, 0xaa, sizeof room);
		cap = batches[b].cap != 0 ? batches[b].cap : sizeof room;
		cr_assert_eq(via_wire_batch_begin(&batch, room, cap, batches[b].slots), VIA_OK);
		for (i = 0; i < batches[b].n; i++) {
			cr_assert_eq(via_wire_batch_add(&batch, batches[b].items[i].bytes,
							batches[b].items[i].len),
				     VIA_OK, "%s item %u", batches[b].name, i);
		}
		len = via_wire_batch_finish(&batch);
		cr_assert_eq(vec_difference(&v, room, (size_t)len), -1, "%s: differs at %ld",
			     batches[b].name, vec_difference(&v, room, (size_t)len));
		vec_free(&v);
	}
	/* batch-dir-3-entries is a bare directory, see below */
	cr_expect_eq(check_count("valid", "batch-"), (int)N(batches) + 1);
}

/* A vector that is only the directory, with its packed area put behind. */
static uint8_t *with_packed(const vec *v, size_t packed)
{
	uint8_t *payload = malloc(v->len + packed);

	cr_assert_not_null(payload);
	memcpy(payload, v->data, v->len);
	memset(payload + v->len, 0x5a, packed);
	return payload;
}

Test(wire_batch, bare_directories)
{
	static const struct {
		const char *folder, *name;
		uint32_t n;
		size_t packed;
		uint32_t entries[3][2];
	} dirs[] = {
		{"valid", "batch-dir-3-entries", 3, 16, {{0, 8}, {8, 5}, {16, 0}}},
		{"lenient", "batchdir-overlap", 2, 16, {{0, 8}, {0, 8}}},
		{"lenient", "batchdir-reverse-order", 2, 16, {{8, 8}, {0, 8}}},
		{"lenient", "batchdir-gap", 2, 64, {{0, 8}, {40, 8}}},
		{"lenient", "batchdir-zero-length", 2, 16, {{0, 8}, {16, 0}}},
	};
	const void *item;
	uint32_t i, len;
	size_t d;

	for (d = 0; d < N(dirs); d++) {
		vec v = check_vec(dirs[d].folder, dirs[d].name);
		uint8_t *payload = with_packed(&v, dirs[d].packed);
		size_t size = v.len + dirs[d].packed;

		cr_assert_eq(v.len, 8 * dirs[d].n);
		cr_assert_eq(via_wire_batch_check(payload, size, dirs[d].n, NULL), VIA_OK, "%s",
			     dirs[d].name);
		for (i = 0; i < dirs[d].n; i++) {
			cr_assert_eq(via_wire_batch_item(payload, size, dirs[d].n, i, &item, &len,
							 NULL),
				     VIA_OK, "%s", dirs[d].name);
			cr_expect_eq((size_t)((const uint8_t *)item - payload),
				     v.len + dirs[d].entries[i][0], "%s entry %u", dirs[d].name, i);
			cr_expect_eq(len, dirs[d].entries[i][1], "%s entry %u", dirs[d].name, i);
		}
		free(payload);
		vec_free(&v);
	}
	cr_expect_eq(check_count("lenient", "batchdir-"), (int)N(dirs) - 1);
}

Test(wire_batch, item_looks_at_its_own_entry_only)
{
	vec v = check_vec("lenient", "batchitem-only-requested-entry-checked");
	const void *item = NULL;
	uint32_t len = 0;
	via_flaw why;

	cr_assert_eq(via_wire_batch_item(v.data, v.len, 2, 0, &item, &len, &why), VIA_OK);
	cr_expect(item == v.data + 16 && len == 8);
	cr_assert_eq(via_wire_batch_item(v.data, v.len, 2, 1, &item, &len, &why), VIA_PROTO);
	check_flaw("item 1", &why, VIA_FLAW_OUT_OF_BOUNDS, 8, 16, 8 + 0x63);
	cr_expect_eq(why.item, 1);
	cr_assert_eq(via_wire_batch_check(v.data, v.len, 2, &why), VIA_PROTO);
	vec_free(&v);
	cr_expect_eq(check_count("lenient", "batchitem-"), 1);
}

/* -- reading: rules --------------------------------------------------------------------------- */

static void put_entry(uint8_t *payload, uint32_t i, uint32_t offset, uint32_t length)
{
	check_put32(payload, 8 * i, offset);
	check_put32(payload, 8 * i + 4, length);
}

Test(wire_batch, directory_rules)
{
	uint8_t p[32] = {0};
	via_flaw why;

	put_entry(p, 0, 0, 8);
	put_entry(p, 1, 8, 8);
	cr_assert_eq(via_wire_batch_check(p, 32, 2, &why), VIA_OK);
	cr_assert_eq(via_wire_batch_check(p, 31, 2, &why), VIA_PROTO);
	check_flaw("one byte short", &why, VIA_FLAW_OUT_OF_BOUNDS, 8, 15, 16);
	cr_assert_eq(via_wire_batch_check(p, 15, 2, &why), VIA_PROTO);
	check_flaw("directory cut", &why, VIA_FLAW_TRUNCATED, 0, 16, 15);
	cr_expect_eq(why.item, VIA_FLAW_NO_ITEM);

	put_entry(p, 1, 4, 4);
	cr_assert_eq(via_wire_batch_check(p, 32, 2, &why), VIA_PROTO);
	check_flaw("unaligned", &why, VIA_FLAW_BAD_ALIGNMENT, 8, 8, 4);
	cr_expect_eq(why.item, 1);
	put_entry(p, 1, 0xfffffff8, 0xffffffff);
	cr_assert_eq(via_wire_batch_check(p, 32, 2, &why), VIA_PROTO);
	check_flaw("32-bit overflow", &why, VIA_FLAW_OUT_OF_BOUNDS, 8, 16, 0x1fffffff7);
	put_entry(p, 1, 0xfffffffc, 8);
	cr_assert_eq(via_wire_batch_check(p, 32, 2, &why), VIA_PROTO);
	cr_expect_eq(why.kind, VIA_FLAW_BAD_ALIGNMENT, "alignment comes before bounds");
	cr_expect_eq(via_wire_batch_check(p, 32, 2, NULL), VIA_PROTO);
}

Test(wire_batch, no_items)
{
	const void *item = NULL;
	uint32_t len = 77;
	via_flaw why;

	cr_assert_eq(via_wire_batch_check(NULL, 0, 0, &why), VIA_OK);
	cr_assert_eq(via_wire_batch_check("abc", 3, 0, &why), VIA_OK);
	cr_assert_eq(via_wire_batch_item("abc", 3, 0, 0, &item, &len, &why), VIA_PROTO);
	cr_expect_eq(why.kind, VIA_FLAW_OUT_OF_BOUNDS);
	cr_expect(item == NULL && len == 77, "written on failure");
}

Test(wire_batch, counts_whose_directory_overflows)
{
	static const uint32_t counts[] = {0x20000000, 0x20000001, 0x40000000,
					  0x7fffffff, 0x80000000, 0xffffffff};
	uint8_t *p = check_copy("\0\0\0\0\0\0\0\0", 8);
	const void *item;
	uint32_t len;
	via_flaw why;
	size_t i;

	for (i = 0; i < N(counts); i++) {
		cr_assert_eq(via_wire_batch_check(p, 8, counts[i], &why), VIA_PROTO);
		check_flaw("directory", &why, VIA_FLAW_TRUNCATED, 0, 8 * (uint64_t)counts[i], 8);
		cr_assert_eq(via_wire_batch_item(p, 8, counts[i], 0, &item, &len, &why), VIA_PROTO);
		cr_expect_eq(why.kind, VIA_FLAW_TRUNCATED);
		cr_assert_eq(via_wire_batch_item(p, 8, counts[i], counts[i] - 1, &item, &len, &why),
			     VIA_PROTO);
		cr_expect_eq(why.kind, VIA_FLAW_TRUNCATED);
	}
	free(p);
}

Test(wire_batch, check_and_item_agree)
{
	uint32_t seed = 0x51ed2701, round, i, n, len, refused = 0, accepted = 0;
	const void *item;
	via_flaw first = {0}, why = {0};
	int good;

	for (round = 0; round < 20000; round++) {
		size_t size = check_random(&seed) % 80;
		uint8_t bytes[80], *p;

		n = check_random(&seed) % 6;
		for (i = 0; i < sizeof bytes; i++)
			bytes[i] = 0;
		for (i = 0; i < n; i++)
			put_entry(bytes, i,
				  check_random(&seed) % 6 * 4 * (1 + check_random(&seed) % 2),
				  check_random(&seed) % 24);
		p = check_copy(bytes, size);
		for (i = 0, good = 1; i < n; i++) {
			if (via_wire_batch_item(p, size, n, i, &item, &len, &why) == VIA_OK) {
				const uint8_t *at = item;

				if (at < p + 8 * n || at + len > p + size)
					cr_assert_fail("round %u: item %u outside", round, i);
			} else if (good) {
				first = why;
				good = 0;
			}
		}
		if ((via_wire_batch_check(p, size, n, &why) == VIA_OK) != (good != 0))
			cr_assert_fail("round %u: check and item disagree", round);
		if (!good && (why.kind != first.kind || why.found != first.found))
			cr_assert_fail("round %u: not the first flaw", round);
		good ? accepted++ : refused++;
		free(p);
	}
	cr_assert(accepted > 1000 && refused > 1000, "%u accepted, %u refused", accepted, refused);
}

Test(wire_batch, directory_of_one)
{
	uint8_t p[64] = {0};
	vec v;

	put_entry(p, 0, 0, 8);
	cr_expect_eq(via_wire_batch_has_directory(p, 16), 1);
	cr_expect_eq(via_wire_batch_has_directory(p, 15), 0);
	cr_expect_eq(via_wire_batch_has_directory(p, 17), 0);
	cr_expect_eq(via_wire_batch_has_directory(p, 24), 0);
	put_entry(p, 0, 0, 5);
	cr_expect_eq(via_wire_batch_has_directory(p, 13), 1, "no padding");
	cr_expect_eq(via_wire_batch_has_directory(p, 16), 1, "padded");
	cr_expect_eq(via_wire_batch_has_directory(p, 14), 0, "half padded");
	put_entry(p, 0, 0, 0);
	cr_expect_eq(via_wire_batch_has_directory(p, 8), 1, "one empty item");
	cr_expect_eq(via_wire_batch_has_directory(p, 7), 0);
	cr_expect_eq(via_wire_batch_has_directory(p, 0), 0);
	put_entry(p, 0, 8, 8);
	cr_expect_eq(via_wire_batch_has_directory(p, 16), 0, "a lone item starts at 0");
	/* Rounding up near 2^32 must not wrap: nothing but the first eight bytes is looked at. */
	put_entry(p, 0, 0, UINT32_MAX);
	cr_expect_eq(via_wire_batch_has_directory(p, 8), 0);
	cr_expect_eq(via_wire_batch_has_directory(p, 8 + 0xffffffffull), 1);
	cr_expect_eq(via_wire_batch_has_directory(p, 8 + 0x100000000ull), 1);

	v = check_vec("live", "l2-cgroups-batch1-with-directory.req");
	cr_expect_eq(via_wire_batch_has_directory(v.data + 32, v.len - 32), 1);
	vec_free(&v);
	v = check_vec("live", "l2-cgroups-mixed.req");
	cr_expect_eq(via_wire_batch_has_directory(v.data + 32, v.len - 32), 0);
	vec_free(&v);
}
