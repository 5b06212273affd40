/* tests/tools/test_ini.c - the INI reader: what it takes, what it refuses, and where it says so. */
#include "tools/lib/ini.h"

#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

TestSuite(ini, .timeout = 20);

static ini_reader reader;

static void begin(const char *text)
{
	ini_begin(&reader, text, strlen(text));
}

static void expect_section(const char *section, const char *name)
{
	cr_assert_eq(ini_next(&reader), INI_SECTION, "%s", reader.why.text);
	cr_expect_str_eq(reader.section, section);
	cr_expect_str_eq(reader.name, name);
}

static void expect_key(const char *key, const char *value)
{
	cr_assert_eq(ini_next(&reader), INI_KEY, "%s", reader.why.text);
	cr_expect_str_eq(reader.key, key);
	cr_expect_str_eq(reader.value, value);
}

Test(ini, reads_sections_keys_and_comments)
{
	begin("# one\n; two\n\n [ daemon ] \nworkers=4\n  run_dir =  /run/x  \r\nempty =\n"
	      "[service cgroups-snapshot]\nenabled = yes # no comment\n\tlast = a=b");
	expect_section("daemon", "");
	expect_key("workers", "4");
	expect_key("run_dir", "/run/x");
	cr_expect_eq(reader.line, 6u);
	expect_key("empty", "");
	expect_section("service", "cgroups-snapshot");
	expect_key("enabled", "yes # no comment");
	expect_key("last", "a=b");
	cr_expect_eq(ini_next(&reader), INI_END);
	cr_expect_eq(ini_next(&reader), INI_END);
}

Test(ini, quotes_keep_blanks)
{
	begin("[a]\nx = \" b \"\ny = \"\\\"\\\\\"\nz = \"\"\nu = un\"quoted\"\n");
	expect_section("a", "");
	expect_key("x", " b ");
	expect_key("y", "\"\\");
	expect_key("z", "");
	expect_key("u", "un\"quoted\"");
	cr_expect_eq(ini_next(&reader), INI_END);
}

Test(ini, skips_a_byte_order_mark_and_takes_utf8)
{
	begin("\xEF\xBB\xBF[a]\nx = \xC3\xA9\xE2\x82\xAC\n");
	expect_section("a", "");
	expect_key("x", "\xC3\xA9\xE2\x82\xAC");
}

Test(ini, an_empty_text_is_no_error)
{
	ini_begin(&reader, NULL, 0);
	cr_expect_eq(ini_next(&reader), INI_END);
}

typedef struct refusal {
	const char *text;
	size_t len;
	uint32_t line, column;
	const char *says;
} refusal;

#define BAD(text, line, column, says) \
	{ \
		text, sizeof(text) - 1, line, column, says \
	}

static const refusal bad[] = {
	BAD("x = 1\n", 1, 1, "before the first [section]"),
	BAD("[a]\nx\n", 2, 2, "expected '='"),
	BAD("[a]\n= 1\n", 2, 1, "expected '[section]' or 'key = value'"),
	BAD("[a]\n  b c = 1\n", 2, 5, "expected '=' behind \"b\""),
	BAD("[]\n", 1, 2, "expected a section's name"),
	BAD("[a\n", 1, 3, "expected ']'"),
	BAD("[a b c]\n", 1, 6, "expected ']'"),
	BAD("[a b/c]\n", 1, 5, "expected ']'"),
	BAD("[a/b]\n", 1, 3, "expected ']' or a name"),
	BAD("[a] x\n", 1, 4, "nothing behind ']'"),
	BAD("[a]\nx = \"b\n", 2, 7, "expected '\"' at the end"),
	BAD("[a]\nx = \"b\" c\n", 2, 8, "nothing behind"),
	BAD("[a]\nx = \"b\\n\"\n", 2, 7, "expected \\\" or \\\\"),
	BAD("[a]\nx = \"b\\", 2, 7, "expected \\\" or \\\\"),
	BAD("[a]\nx = \xFF\n", 2, 5, "not UTF-8"),
	BAD("[a]\nx = a\0b\n", 2, 6, "control character 0x00"),
	BAD("[a]\n# \x1B\n", 2, 3, "control character 0x1b"),
	BAD("[a]\rx = 1\n", 1, 4, "control character 0x0d"),
	BAD("[a]\n\nx = 1\n  continued\n", 4, 12, "expected '='"),
};

Test(ini, refuses_with_line_and_column)
{
	size_t i;
	int what;

	for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		char *copy = malloc(bad[i].len);

		cr_assert_not_null(copy);
		memcpy(copy, bad[i].text, bad[i].len);
		ini_begin(&reader, copy, bad[i].len);
		while ((what = ini_next(&reader)) > INI_END)
			;
		cr_expect_eq(what, INI_BAD, "'%s' was taken", bad[i].text);
		cr_expect_eq(reader.why.line, bad[i].line, "'%s': line %u", bad[i].text,
			     reader.why.line);
		cr_expect_eq(reader.why.column, bad[i].column, "'%s': column %u", bad[i].text,
			     reader.why.column);
		cr_expect_not_null(strstr(reader.why.text, bad[i].says), "'%s': %s", bad[i].text,
				   reader.why.text);
		cr_expect_eq(ini_next(&reader), INI_BAD, "goes on after a fault");
		free(copy);
	}
}

Test(ini, bounds_names_and_values)
{
	static char text[2 * INI_VALUE];
	size_t n = INI_NAME - 1;

	memcpy(text, "[a]\n", 4);
	memset(text + 4, 'k', n);
	memcpy(text + 4 + n, "=v", 3);
	begin(text);
	cr_expect_eq(ini_next(&reader), INI_SECTION);
	cr_expect_eq(ini_next(&reader), INI_KEY);
	memset(text + 4, 'k', n + 1);
	memcpy(text + 5 + n, "=v", 3);
	begin(text);
	cr_expect_eq(ini_next(&reader), INI_SECTION);
	cr_expect_eq(ini_next(&reader), INI_BAD);

	memcpy(text + 4, "k=", 2);
	memset(text + 6, 'v', INI_VALUE - 1);
	text[6 + INI_VALUE - 1] = '\0';
	begin(text);
	cr_expect_eq(ini_next(&reader), INI_SECTION);
	cr_expect_eq(ini_next(&reader), INI_KEY);
	cr_expect_eq(strlen(reader.value), INI_VALUE - 1);
	memset(text + 6, 'v', INI_VALUE);
	text[6 + INI_VALUE] = '\0';
	begin(text);
	cr_expect_eq(ini_next(&reader), INI_SECTION);
	cr_expect_eq(ini_next(&reader), INI_BAD);
	text[6] = '"';
	text[6 + INI_VALUE] = '"';
	text[7 + INI_VALUE] = '\0';
	begin(text);
	cr_expect_eq(ini_next(&reader), INI_SECTION);
	cr_expect_eq(ini_next(&reader), INI_KEY, "%s", reader.why.text);
	cr_expect_eq(strlen(reader.value), INI_VALUE - 1);
}
