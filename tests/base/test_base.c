/* tests/base/test_base.c - names, sentences, error detail, clock and memory of core/base. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/env.h"
#include "core/base/err.h"
#include "core/os/os.h"

TestSuite(base_text, .timeout = 10);
TestSuite(base_error, .timeout = 20);
TestSuite(base_env, .timeout = 10);

#define N(array) (sizeof(array) / sizeof(array)[0])

/* -- result codes ----------------------------------------------------------------------------- */

static const struct {
	via_rc rc;
	const char *name;
} codes[] = {
	{0, "VIA_OK"},       {-1, "VIA_AGAIN"},     {-2, "VIA_TIMEOUT"}, {-3, "VIA_BUSY"},
	{-4, "VIA_PENDING"}, {-16, "VIA_CLOSED"},   {-17, "VIA_RESET"},  {-18, "VIA_UNREACH"},
	{-19, "VIA_PROTO"},  {-20, "VIA_REFUSED"},  {-32, "VIA_INVAL"},  {-33, "VIA_TOOBIG"},
	{-34, "VIA_STATE"},  {-35, "VIA_NOTFOUND"}, {-36, "VIA_EXISTS"}, {-48, "VIA_NOMEM"},
	{-49, "VIA_LIMIT"},  {-50, "VIA_IO"},       {-51, "VIA_PERM"},   {-64, "VIA_NOTSUP"},
	{-65, "VIA_EABI"},   {-66, "VIA_ABORTED"},
};

Test(base_text, every_code_has_its_name_and_a_text_of_its_own)
{
	size_t i, k;

	for (i = 0; i < N(codes); i++) {
		cr_expect_str_eq(via_rc_name(codes[i].rc), codes[i].name);
		cr_expect_gt(strlen(via_rc_text(codes[i].rc)), 3, "%s", codes[i].name);
		for (k = 0; k < i; k++)
			cr_expect_str_neq(via_rc_text(codes[i].rc), via_rc_text(codes[k].rc),
					  "%s and %s", codes[i].name, codes[k].name);
	}
	cr_expect_str_eq(via_rc_text(VIA_TIMEOUT), "deadline passed");
}

/* Reads abi.h's own list, so that a new code without a name fails here. */
Test(base_text, no_code_of_the_abi_header_is_missing)
{
	FILE *f = fopen(VIA_TEST_SOURCE_DIR "/include/viaduct/abi.h", "rb");
	char line[256], name[64];
	int value, n = 0;

	cr_assert_not_null(f);
	while (fgets(line, sizeof line, f) != NULL) {
		if (sscanf(line, " VIA_%48[A-Z] = %d", name, &value) != 2)
			continue;
		if (value > 0 || (value == 0 && strcmp(name, "OK") != 0))
			continue;
		cr_expect_str_eq(via_rc_name(value) + 4, name, "%d is %s in abi.h", value, name);
		n++;
	}
	fclose(f);
	cr_assert_eq(n, (int)N(codes));
}

Test(base_text, codes_nobody_has_heard_of)
{
	static const struct {
		via_rc rc;
		const char *text;
	} classes[] = {
		{-15, "try again"},
		{-31, "the peer or the medium failed"},
		{-47, "the caller made a mistake"},
		{-63, "resources ran out"},
		{-79, "the contract does not allow it"},
		{-80, "unknown result code"},
		{INT32_MIN, "unknown result code"},
	};
	size_t i;

	for (i = 0; i < N(classes); i++) {
		cr_expect_str_eq(via_rc_name(classes[i].rc), "VIA_?");
		cr_expect_str_eq(via_rc_text(classes[i].rc), classes[i].text, "%d", classes[i].rc);
	}
	cr_expect_str_eq(via_rc_name(3), "VIA_OK", "a count is a success");
	cr_expect_str_eq(via_rc_text(INT32_MAX), "success");
}

/* -- flaws ------------------------------------------------------------------------------------ */

static const struct {
	via_flaw flaw;
	const char *text;
} sentences[] = {
	{{VIA_FLAW_NONE, VIA_FLAW_NO_ITEM, 1, 2, 3, "x"}, "no flaw"},
	{{VIA_FLAW_TRUNCATED, VIA_FLAW_NO_ITEM, 0, 32, 31, "header"},
	 "header at byte 0: expected at least 32 bytes, found 31"},
	{{VIA_FLAW_BAD_MAGIC, VIA_FLAW_NO_ITEM, 0, 0x4e495043, 0x1f, "header.magic"},
	 "header.magic at byte 0: expected 0x4e495043, found 0x0000001f"},
	{{VIA_FLAW_BAD_VERSION, VIA_FLAW_NO_ITEM, 4, 1, 2, "header.version"},
	 "header.version at byte 4: expected version 1, found 2"},
	{{VIA_FLAW_BAD_HEADER_LEN, VIA_FLAW_NO_ITEM, 6, 32, 33, "header.header_len"},
	 "header.header_len at byte 6: expected a header of 32 bytes, found 33"},
	{{VIA_FLAW_BAD_KIND, VIA_FLAW_NO_ITEM, 8, 3, 4, "header.kind"},
	 "header.kind at byte 8: expected 1, 2 or 3, found 4"},
	{{VIA_FLAW_BAD_KIND, VIA_FLAW_NO_ITEM, 8, 3, 0, "header.kind"},
	 "header.kind at byte 8: expected 1, 2 or 3, found 0"},
	{{VIA_FLAW_BAD_KIND, VIA_FLAW_NO_ITEM, 8, 3, 1, "header.kind"},
	 "header.kind at byte 8: expected 3, found 1"},
	{{VIA_FLAW_BAD_KIND, VIA_FLAW_NO_ITEM, 8, 1, 2, "header.kind"},
	 "header.kind at byte 8: expected 1, found 2"},
	{{VIA_FLAW_BAD_LAYOUT, VIA_FLAW_NO_ITEM, 28, 0, 9, "hello.reserved"},
	 "hello.reserved at byte 28: expected 0, found 9"},
	{{VIA_FLAW_OUT_OF_BOUNDS, 2, 40, 32, 31, "payload.name_offset"},
	 "payload.name_offset of item 2 at byte 40: expected at least 32, found 31"},
	{{VIA_FLAW_OUT_OF_BOUNDS, 0, 8, 16, 17, "batch.offset + length"},
	 "batch.offset + length of item 0 at byte 8: expected at most 16, found 17"},
	{{VIA_FLAW_OUT_OF_BOUNDS, VIA_FLAW_NO_ITEM, 0, 5, 5, "index"},
	 "index at byte 0: expected less than 5, found 5"},
	{{VIA_FLAW_MISSING_NUL, 1, 99, 0, 0x41, "path"},
	 "path of item 1 at byte 99: expected a zero byte, found 0x41"},
	{{VIA_FLAW_BAD_ALIGNMENT, 3, 24, 8, 12, "batch.offset"},
	 "batch.offset of item 3 at byte 24: expected a multiple of 8, found 12"},
	{{VIA_FLAW_BAD_ITEM_COUNT, VIA_FLAW_NO_ITEM, 4, 5, 4, "item_count"},
	 "item_count at byte 4: expected 5 items, found 4"},
	{{VIA_FLAW_OVERFLOW, VIA_FLAW_NO_ITEM, 0, 100, 120, "response"},
	 "response at byte 0: there is room for 100 bytes, 120 are needed"},
	{{VIA_FLAW_BAD_LAYOUT, VIA_FLAW_NO_ITEM, UINT64_MAX, UINT64_MAX, 0, NULL},
	 "a field at byte 18446744073709551615: expected 18446744073709551615, found 0"},
	{{99, VIA_FLAW_NO_ITEM, 0, 1, 2, "x"}, "x at byte 0: expected 1, found 2"},
};

Test(base_text, flaws_as_sentences)
{
	char text[256];
	uint32_t len;
	size_t i;

	for (i = 0; i < N(sentences); i++) {
		len = via_flaw_text(&sentences[i].flaw, text, sizeof text);
		cr_expect_str_eq(text, sentences[i].text);
		cr_expect_eq(len, strlen(sentences[i].text), "%s", sentences[i].text);
	}
}

Test(base_text, a_short_buffer_is_cut_and_terminated)
{
	const char *whole = sentences[1].text;
	char text[128];
	uint32_t cap;

	for (cap = 1; cap < 60; cap++) {
		memset(text, 0x55, sizeof text);
		cr_assert_eq(via_flaw_text(&sentences[1].flaw, text, cap), strlen(whole));
		cr_assert_eq(text[cap], 0x55, "wrote past %u", cap);
		cr_assert_eq(strlen(text), cap - 1 < strlen(whole) ? cap - 1 : strlen(whole));
		cr_assert_eq(strncmp(text, whole, strlen(text)), 0);
	}
	cr_assert_eq(via_flaw_text(&sentences[1].flaw, NULL, 0), strlen(whole));
}

Test(base_text, flaw_names)
{
	static const char *const names[] = {"NONE",          "TRUNCATED",      "BAD_MAGIC",
					    "BAD_VERSION",   "BAD_HEADER_LEN", "BAD_KIND",
					    "BAD_LAYOUT",    "OUT_OF_BOUNDS",  "MISSING_NUL",
					    "BAD_ALIGNMENT", "BAD_ITEM_COUNT", "OVERFLOW"};
	uint32_t i;

	for (i = 0; i < N(names); i++)
		cr_expect_str_eq(via_flaw_name(i), names[i]);
	cr_expect_eq(VIA_FLAW_OVERFLOW, N(names) - 1);
	cr_expect_str_eq(via_flaw_name(VIA_FLAW_OVERFLOW + 1), "?");
	cr_expect_str_eq(via_flaw_name(UINT32_MAX), "?");
}

/* -- version and clock ------------------------------------------------------------------------ */

Test(base_text, version)
{
	int major, minor, patch, used = 0;

	cr_assert_eq(sscanf(via_version(), "%d.%d.%d%n", &major, &minor, &patch, &used), 3);
	cr_assert_eq((size_t)used, strlen(via_version()));
}

Test(base_text, deadlines_saturate)
{
	via_time before = via_now(), soon = via_deadline(1000000000), after = via_now();

	cr_expect_gt(before, 0);
	cr_expect(after >= before, "the clock went back");
	cr_expect(soon >= before + 1000000000 && soon <= after + 1000000000);
	cr_expect_eq(via_deadline(UINT64_MAX), VIA_FOREVER);
	cr_expect_eq(via_deadline(UINT64_MAX - 1), VIA_FOREVER);
	cr_expect_lt(via_deadline(UINT64_MAX / 2), VIA_FOREVER);
}

/* -- error detail ----------------------------------------------------------------------------- */

Test(base_error, starts_empty_and_clears)
{
	cr_assert_str_eq(via_error(), "");
	cr_assert_eq(core_fail(VIA_INVAL, "expected %d, found %s", 3, "four"), VIA_INVAL);
	cr_assert_str_eq(via_error(), "expected 3, found four");
	core_error_clear();
	cr_assert_str_eq(via_error(), "");
}

Test(base_error, long_details_are_cut)
{
	char big[2000];

	memset(big, 'x', sizeof big - 1);
	big[sizeof big - 1] = '\0';
	cr_assert_eq(core_fail(VIA_LIMIT, "%s", big), VIA_LIMIT);
	cr_assert_eq(strlen(via_error()), 511);
	cr_assert_eq(core_fail_os(VIA_IO, 2, "%s", big), VIA_IO);
	cr_assert_eq(strlen(via_error()), 511);
	cr_assert_not_null(strstr(via_error(), "(error 2)"), "what the system said is kept");
}

Test(base_error, a_detail_may_quote_the_one_before)
{
	core_fail(VIA_IO, "inner");
	core_fail(VIA_IO, "outer: %s", via_error());
	cr_assert_str_eq(via_error(), "outer: inner");
	core_fail_os(VIA_IO, 0, "again: %s", via_error());
	cr_assert_str_eq(via_error(), "again: outer: inner");
}

Test(base_error, system_errors_are_spelled_out)
{
	char system[160], want[256];

	os_error_text(2, system, sizeof system);
	cr_assert_gt(strlen(system), 3);
	cr_assert_eq(core_fail_os(VIA_NOTFOUND, 2, "open %s", "/x"), VIA_NOTFOUND);
	snprintf(want, sizeof want, "open /x: %s (error 2)", system);
	cr_assert_str_eq(via_error(), want);
	core_fail_os(VIA_IO, 0, "nothing from the system");
	cr_assert_str_eq(via_error(), "nothing from the system");
}

Test(base_error, memory_and_flaws)
{
	via_flaw flaw = {VIA_FLAW_BAD_ALIGNMENT, 1, 8, 8, 4, "batch.offset"};

	cr_assert_eq(core_nomem("a session"), VIA_NOMEM);
	cr_assert_str_eq(via_error(), "out of memory for a session");
	cr_assert_eq(core_fail_flaw("request", &flaw), VIA_PROTO);
	cr_assert_str_eq(via_error(), "request: batch.offset of item 1 at byte 8: "
				      "expected a multiple of 8, found 4");
}

/* Filled in a thread of its own, looked at by the test's. */
struct other {
	char before[64], after[64];
};

static void fail_elsewhere(void *arg)
{
	struct other *o = arg;

	snprintf(o->before, sizeof o->before, "%.60s", via_error());
	core_fail(VIA_IO, "theirs");
	snprintf(o->after, sizeof o->after, "%.60s", via_error());
}

Test(base_error, each_thread_has_its_own)
{
	struct other o = {"unset", "unset"};
	os_thread *t;

	core_fail(VIA_IO, "mine");
	cr_assert_eq(os_thread_start(&core_env_libc, "other", fail_elsewhere, &o, &t), VIA_OK, "%s",
		     via_error());
	os_thread_join(&core_env_libc, t);
	cr_expect_str_eq(o.before, "");
	cr_expect_str_eq(o.after, "theirs");
	cr_expect_str_eq(via_error(), "mine");
}

/* -- memory ----------------------------------------------------------------------------------- */

Test(base_env, zeroed_and_aligned)
{
	static const uint64_t sizes[] = {0, 1, 7, 16, 63, 64, 4097, 1 << 20};
	uint64_t align, k;
	uint8_t *p;
	size_t i;

	for (align = 1; align <= 4096; align *= 2) {
		for (i = 0; i < N(sizes); i++) {
			p = core_env_libc.alloc(NULL, sizes[i], align);
			cr_assert_not_null(p, "%u bytes at %u", (unsigned)sizes[i],
					   (unsigned)align);
			cr_assert_eq((uintptr_t)p % align, 0);
			for (k = 0; k < sizes[i]; k++) {
				if (p[k] != 0)
					cr_assert_fail("byte %u of %u", (unsigned)k,
						       (unsigned)sizes[i]);
			}
			memset(p, 0xee, (size_t)sizes[i]);
			core_env_libc.free(NULL, p);
		}
	}
	env_free(&core_env_libc, NULL);
}

Test(base_env, sizes_and_alignments_that_cannot_be)
{
	cr_expect_null(core_env_libc.alloc(NULL, UINT64_MAX, 16));
	cr_expect_null(core_env_libc.alloc(NULL, UINT64_MAX - 16, 64));
	cr_expect_null(core_env_libc.alloc(NULL, UINT64_MAX - 15, 16));
	cr_expect_null(core_env_libc.alloc(NULL, 8, 0));
	cr_expect_null(core_env_libc.alloc(NULL, 8, 24));
	cr_expect_eq(core_env_libc.struct_size, sizeof(via_hooks));
	cr_expect_null(core_env_libc.deny);
	cr_expect_eq(env_deny(&core_env_libc, "open"), 0);
}

static void *no_memory(void *arg, uint64_t size, uint64_t align)
{
	(void)align;
	*(uint64_t *)arg = size;
	return NULL;
}

static int32_t deny_open(void *arg, const char *call)
{
	(void)arg;
	return strcmp(call, "open") == 0 ? 24 : 0;
}

Test(base_env, strings_and_hooks)
{
	uint64_t asked = 0;
	core_env e = {.struct_size = sizeof e,
		      .arg = &asked,
		      .alloc = no_memory,
		      .deny = deny_open};
	char *copy = env_strdup(&core_env_libc, "text");

	cr_assert_not_null(copy);
	cr_expect_str_eq(copy, "text");
	env_free(&core_env_libc, copy);
	cr_expect_null(env_strdup(&e, "text"));
	cr_expect_eq(asked, 5);
	cr_expect_eq(env_deny(&e, "open"), 24);
	cr_expect_eq(env_deny(&e, "close"), 0);
}
