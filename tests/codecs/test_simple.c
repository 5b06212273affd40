/* tests/codecs/test_simple.c - INCREMENT and STRING_REVERSE: typed functions, flaws, limits. */
#include "rig.h"

#include <criterion/criterion.h>

TestSuite(codec_increment, .timeout = 10);
TestSuite(codec_string_reverse, .timeout = 10);

/* -- increment -------------------------------------------------------------------------------- */

Test(codec_increment, round_trip)
{
	static const uint64_t values[] = {0, 1, 41, UINT64_C(0x0102030405060708), UINT64_MAX};
	struct rig_room r;
	uint64_t used, value;
	uint32_t i;

	for (i = 0; i < sizeof values / sizeof values[0]; i++) {
		r = rig_room_open(8);
		used = 0;
		value = ~values[i];
		cr_assert_eq(via_increment_encode(r.room, 8, values[i], &used), VIA_OK);
		cr_expect_eq(used, 8);
		cr_expect(rig_room_whole(&r));
		cr_assert_eq(via_increment_decode(r.room, used, &value, NULL), VIA_OK);
		cr_expect_eq(value, values[i]);
		rig_room_close(&r);
	}
}

Test(codec_increment, room_too_small_writes_nothing)
{
	struct rig_room r;
	uint64_t used = 77, cap;

	for (cap = 0; cap < 8; cap++) {
		r = rig_room_open(cap);
		cr_expect_eq(via_increment_encode(r.room, cap, 1, &used), VIA_TOOBIG);
		cr_expect(rig_room_blank(&r, 0));
		rig_room_close(&r);
	}
	cr_expect_eq(via_increment_encode(NULL, 0, 1, &used), VIA_TOOBIG);
	cr_expect_eq(used, 77, "written although it failed");
}

Test(codec_increment, seven_bytes_say_why)
{
	static const uint8_t bytes[7] = {0};
	uint64_t value = 77;
	via_flaw why;

	cr_assert_eq(via_increment_decode(bytes, 7, &value, &why), VIA_PROTO);
	cr_expect_eq(why.kind, VIA_FLAW_TRUNCATED);
	cr_expect_eq(why.item, VIA_FLAW_NO_ITEM);
	cr_expect_eq(why.offset, 0);
	cr_expect_eq(why.expected, 8);
	cr_expect_eq(why.found, 7);
	cr_expect_str_eq(why.field, "value");
	cr_expect_eq(value, 77, "written although it failed");
	cr_expect_eq(via_increment_decode(NULL, 0, &value, &why), VIA_PROTO);
	cr_expect_eq(why.found, 0);
}

Test(codec_increment, trailing_bytes_are_ignored)
{
	static const uint8_t bytes[] = {5, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
	uint64_t value = 0;

	cr_assert_eq(via_increment_decode(bytes, sizeof bytes, &value, NULL), VIA_OK);
	cr_expect_eq(value, 5);
}

Test(codec_increment, success_leaves_the_flaw_alone)
{
	static const uint8_t bytes[8] = {0};
	uint64_t value;
	via_flaw why, before;

	memset(&why, 0x5A, sizeof why);
	memcpy(&before, &why, sizeof before);
	cr_assert_eq(via_increment_decode(bytes, 8, &value, &why), VIA_OK);
	cr_expect_eq(memcmp(&why, &before, sizeof why), 0);
}

/* -- string-reverse --------------------------------------------------------------------------- */

static void expect_round_trip(const char *text, uint32_t len)
{
	const via_string_reverse_view in = {text, len};
	via_string_reverse_view out = {NULL, 0};
	struct rig_room r = rig_room_open(9 + (uint64_t)len);
	uint64_t used = 0;

	cr_assert_eq(via_string_reverse_encode(r.room, r.cap, &in, &used), VIA_OK);
	cr_expect_eq(used, 9 + (uint64_t)len);
	cr_expect(rig_room_whole(&r));
	cr_assert_eq(via_string_reverse_open(&out, r.room, used, NULL), VIA_OK);
	cr_assert_eq(out.len, len);
	if (len != 0)
		cr_expect_eq(memcmp(out.text, text, len), 0);
	cr_expect_eq(out.text[out.len], '\0');
	rig_room_close(&r);
}

Test(codec_string_reverse, round_trip)
{
	char *text = malloc(1000000);
	uint32_t i;

	cr_assert_not_null(text);
	for (i = 0; i < 1000000; i++)
		text[i] = (char)(i * 7u + (i >> 8));
	expect_round_trip(NULL, 0);
	expect_round_trip("", 0);
	expect_round_trip("a", 1);
	expect_round_trip("abc\0def", 7);
	expect_round_trip("\xFF\xFE\x80 not UTF-8 \xC0", 14);
	expect_round_trip(text, 1000000);
	free(text);
}

Test(codec_string_reverse, room_too_small_writes_nothing)
{
	const via_string_reverse_view in = {"hello", 5};
	struct rig_room r;
	uint64_t used = 77, cap;

	for (cap = 0; cap < 14; cap++) { /* 8: header only, 9: no room for the string */
		r = rig_room_open(cap);
		cr_expect_eq(via_string_reverse_encode(r.room, cap, &in, &used), VIA_TOOBIG);
		cr_expect_null(via_string_reverse_reserve(r.room, cap, 5));
		cr_expect(rig_room_blank(&r, 0));
		rig_room_close(&r);
	}
	r = rig_room_open(1000);
	cr_expect_null(via_string_reverse_reserve(r.room, r.cap, UINT32_MAX));
	cr_expect(rig_room_blank(&r, 0));
	rig_room_close(&r);
	cr_expect_eq(used, 77, "written although it failed");
}

Test(codec_string_reverse, a_length_without_bytes_is_invalid)
{
	const via_string_reverse_view in = {NULL, 5};
	uint8_t room[32];
	uint64_t used;

	cr_expect_eq(via_string_reverse_encode(room, sizeof room, &in, &used), VIA_INVAL);
}

static void expect_flaw(const uint8_t *bytes, uint64_t len, const via_flaw *want)
{
	uint8_t *block = rig_block(bytes, len);
	via_string_reverse_view view = {"untouched", 9};
	via_flaw why;

	cr_assert_eq(via_string_reverse_open(&view, block, len, &why), VIA_PROTO);
	cr_expect_eq(why.kind, want->kind);
	cr_expect_eq(why.item, VIA_FLAW_NO_ITEM);
	cr_expect_eq(why.offset, want->offset);
	cr_expect_eq(why.expected, want->expected);
	cr_expect_eq(why.found, want->found);
	cr_expect_str_eq(why.field, want->field);
	cr_expect_str_eq(view.text, "untouched");
	free(block);
}

Test(codec_string_reverse, flaws_say_where_and_why)
{
	static const uint8_t good[] = {8, 0, 0, 0, 3, 0, 0, 0, 'a', 'b', 'c', 0};
	uint8_t bytes[12];
	via_flaw want = {VIA_FLAW_TRUNCATED, 0, 0, 8, 7, "header"};

	expect_flaw(good, 7, &want);

	want = (via_flaw){VIA_FLAW_OUT_OF_BOUNDS, 0, 4, 11, 12, "str_length"};
	expect_flaw(good, 11, &want);

	memcpy(bytes, good, 12);
	bytes[4] = 4;
	want = (via_flaw){VIA_FLAW_OUT_OF_BOUNDS, 0, 4, 12, 13, "str_length"};
	expect_flaw(bytes, 12, &want);

	memset(bytes + 4, 0xFF, 4);
	want.found = UINT64_C(0x100000008);
	expect_flaw(bytes, 12, &want);

	memcpy(bytes, good, 12);
	bytes[0] = 9;
	want = (via_flaw){VIA_FLAW_BAD_LAYOUT, 0, 0, 8, 9, "str_offset"};
	expect_flaw(bytes, 12, &want);
	bytes[4] = 0xFF; /* two things wrong: the offset is looked at first */
	expect_flaw(bytes, 12, &want);
	bytes[0] = 0;
	want.found = 0;
	expect_flaw(bytes, 12, &want);

	memcpy(bytes, good, 12);
	bytes[11] = 'd';
	want = (via_flaw){VIA_FLAW_MISSING_NUL, 0, 11, 0, 'd', "string"};
	expect_flaw(bytes, 12, &want);
}
