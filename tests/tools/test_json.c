/* tests/tools/test_json.c - the JSON reader takes exactly RFC 8259, and the writer writes what it
 * takes. */
#include "tools/lib/json.h"

#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

TestSuite(json_reader, .timeout = 20);
TestSuite(json_values, .timeout = 20);
TestSuite(json_writer, .timeout = 20);

/* A text with its length: NULs may be in it. */
#define TEXT(s) \
	{ \
		s, sizeof(s) - 1 \
	}

typedef struct sample {
	const char *text;
	size_t len;
} sample;

static const sample good[] = {
	TEXT("null"),
	TEXT(" true "),
	TEXT("false\n"),
	TEXT("0"),
	TEXT("-0"),
	TEXT("1"),
	TEXT("-1.5e+10"),
	TEXT("1E400"),
	TEXT("0.000"),
	TEXT("18446744073709551615"),
	TEXT("123456789012345678901234567890"),
	TEXT("\"\""),
	TEXT("\"a\""),
	TEXT("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""),
	TEXT("\"\\u0000\""),
	TEXT("\"\\ud83d\\ude00\""),
	TEXT("\"\xF0\x9F\x98\x80\""),
	TEXT("\"\x7F\""),
	TEXT("[]"),
	TEXT("[ ]"),
	TEXT("[1,2]"),
	TEXT("[1 , [2] ]"),
	TEXT("{}"),
	TEXT("{\"\":1}"),
	TEXT("{\"a\":1,\"b\":2}"),
	TEXT("{\"a\":{\"a\":1}}"),
	TEXT("\t\r\n [ null ] \t"),
};

static const sample bad[] = {
	TEXT(""),
	TEXT(" "),
	TEXT("nul"),
	TEXT("nulll"),
	TEXT("True"),
	TEXT("NaN"),
	TEXT("Infinity"),
	TEXT("+1"),
	TEXT("01"),
	TEXT("-"),
	TEXT("-01"),
	TEXT("1."),
	TEXT(".5"),
	TEXT("1e"),
	TEXT("1e+"),
	TEXT("0x10"),
	TEXT("1 2"),
	TEXT("\""),
	TEXT("\"abc"),
	TEXT("'a'"),
	TEXT("\"\\\""),
	TEXT("\"\\x41\""),
	TEXT("\"\\u12\""),
	TEXT("\"\\u12g4\""),
	TEXT("\"\\u\""),
	TEXT("\"\\ud800\""),
	TEXT("\"\\udc00\""),
	TEXT("\"\\ud800\\u0041\""),
	TEXT("\"\\ud800\\ud800\""),
	TEXT("\"\\ud800x\""),
	TEXT("\"\n\""),
	TEXT("\"\t\""),
	TEXT("\"\0\""),
	TEXT("\"\x80\""),
	TEXT("\"\xC0\x80\""),
	TEXT("\"\xED\xA0\x80\""),
	TEXT("\"\xF4\x90\x80\x80\""),
	TEXT("\"\xE2\x82\""),
	TEXT("\"\\\xC3\xA9\""),
	TEXT("["),
	TEXT("]"),
	TEXT("[1"),
	TEXT("[1,"),
	TEXT("[1,]"),
	TEXT("[,1]"),
	TEXT("[1 2]"),
	TEXT("[1}"),
	TEXT("{"),
	TEXT("}"),
	TEXT("{1:2}"),
	TEXT("{a:1}"),
	TEXT("{\"a\"}"),
	TEXT("{\"a\":}"),
	TEXT("{\"a\":1,}"),
	TEXT("{\"a\":1 \"b\":2}"),
	TEXT("{\"a\":1,\"a\":2}"),
	TEXT("{\"a\":1,\"\\u0061\":2}"),
	TEXT("// x\n1"),
	TEXT("\xEF\xBB\xBF"
	     "1"),
	TEXT("null\0"),
	TEXT("\f1"),
};

/* Reads a copy of exactly the text's length, so that a sanitizer sees a byte too far. */
static int parse(const sample *s, json_doc *doc, text_error *why, char **copy)
{
	*copy = malloc(s->len != 0 ? s->len : 1);
	cr_assert_not_null(*copy);
	memcpy(*copy, s->text, s->len);
	return json_parse(*copy, s->len, doc, why);
}

Test(json_reader, takes_what_the_rfc_allows)
{
	text_error why;
	json_doc doc;
	char *copy;
	size_t i;

	for (i = 0; i < sizeof good / sizeof good[0]; i++) {
		cr_expect_eq(parse(&good[i], &doc, &why, &copy), 0, "%s: %s", good[i].text,
			     why.text);
		json_free(&doc);
		free(copy);
	}
}

Test(json_reader, refuses_everything_else)
{
	text_error why;
	json_doc doc;
	char *copy;
	size_t i;

	for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		memset(&why, 0, sizeof why);
		cr_expect_eq(parse(&bad[i], &doc, &why, &copy), -1, "'%s' was taken", bad[i].text);
		cr_expect_neq(why.text[0], '\0', "'%s': no reason", bad[i].text);
		cr_expect_gt(why.line, 0u);
		cr_expect_gt(why.column, 0u);
		free(copy);
	}
}

Test(json_reader, refuses_every_cut_of_a_document)
{
	static const char text[] =
		"{\"a\": [1, -2.5e3, \"x\\u00e9\\ud83d\\ude00y\"], \"b\": {\"c\": null}}";
	text_error why;
	json_doc doc;
	char *copy;
	size_t len;

	for (len = 0; len < sizeof text - 1; len++) {
		sample s = {text, len};

		cr_expect_eq(parse(&s, &doc, &why, &copy), -1, "cut at %zu was taken", len);
		free(copy);
	}
}

Test(json_reader, bounds_the_depth)
{
	char text[4 * JSON_DEPTH];
	text_error why;
	json_doc doc;

	memset(text, '[', JSON_DEPTH);
	memset(text + JSON_DEPTH, ']', JSON_DEPTH);
	cr_assert_eq(json_parse(text, 2 * JSON_DEPTH, &doc, &why), 0, "%s", why.text);
	json_free(&doc);
	memset(text, '[', JSON_DEPTH + 1);
	memset(text + JSON_DEPTH + 1, ']', JSON_DEPTH + 1);
	cr_assert_eq(json_parse(text, 2 * JSON_DEPTH + 2, &doc, &why), -1);
	cr_expect_not_null(strstr(why.text, "deeper"), "%s", why.text);
}

Test(json_reader, a_bomb_of_brackets_ends_at_the_bound)
{
	size_t len = 1000000, i;
	char *text = malloc(len);
	text_error why;
	json_doc doc;

	cr_assert_not_null(text);
	for (i = 0; i < len; i++)
		text[i] = "[{\"a\":"[i % 6];
	cr_expect_eq(json_parse(text, len, &doc, &why), -1);
	memset(text, '[', len);
	cr_expect_eq(json_parse(text, len, &doc, &why), -1);
	cr_expect_eq(why.column, JSON_DEPTH + 1);
	free(text);
}

Test(json_reader, says_where)
{
	static const char text[] = "{\n  \"a\": 1,\n  \"b\": tru\n}";
	text_error why;
	json_doc doc;

	cr_assert_eq(json_parse(text, sizeof text - 1, &doc, &why), -1);
	cr_expect_eq(why.line, 3u);
	cr_expect_eq(why.column, 8u);
	cr_expect_str_eq(why.text, "expected a value, found 't'");
}

Test(json_reader, names_the_member_that_comes_twice)
{
	static const char text[] = "{\"first\": 1, \"x\": 2, \"first\": 3}";
	text_error why;
	json_doc doc;

	cr_assert_eq(json_parse(text, sizeof text - 1, &doc, &why), -1);
	cr_expect_not_null(strstr(why.text, "\"first\""), "%s", why.text);
}

static json_doc parsed(const char *text)
{
	text_error why;
	json_doc doc;

	cr_assert_eq(json_parse(text, strlen(text), &doc, &why), 0, "%s", why.text);
	return doc;
}

Test(json_values, integers_are_exact_or_refused)
{
	static const struct {
		const char *text;
		int is_u64, is_i64;
		uint64_t u64;
		int64_t i64;
	} rows[] = {
		{"0", 1, 1, 0, 0},
		{"18446744073709551615", 1, 0, UINT64_MAX, 0},
		{"18446744073709551616", 0, 0, 0, 0},
		{"9223372036854775807", 1, 1, INT64_MAX, INT64_MAX},
		{"9223372036854775808", 1, 0, (uint64_t)INT64_MAX + 1, 0},
		{"-9223372036854775808", 0, 1, 0, INT64_MIN},
		{"-9223372036854775809", 0, 0, 0, 0},
		{"1e3", 0, 0, 0, 0},
		{"1.0", 0, 0, 0, 0},
		{"100000000000000000000000000000000000000000000000000", 0, 0, 0, 0},
		{"\"1\"", 0, 0, 0, 0},
	};
	size_t i;

	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		json_doc doc = parsed(rows[i].text);
		uint64_t u64 = 7;
		int64_t i64 = 7;

		cr_expect_eq(json_u64(doc.root, &u64), rows[i].is_u64, "%s", rows[i].text);
		cr_expect_eq(u64, rows[i].is_u64 ? rows[i].u64 : 7u, "%s", rows[i].text);
		cr_expect_eq(json_i64(doc.root, &i64), rows[i].is_i64, "%s", rows[i].text);
		cr_expect_eq(i64, rows[i].is_i64 ? rows[i].i64 : 7, "%s", rows[i].text);
		json_free(&doc);
	}
}

Test(json_values, strings_are_decoded)
{
	json_doc doc = parsed("[\"a\\u0000b\", \"\\ud83d\\ude00\\u20ac\\u00e9\", \"plain\"]");
	const json_node *n = doc.root->u.first;

	cr_expect_eq(n->len, 3u);
	cr_expect_arr_eq(n->u.text, "a\0b", 3);
	n = n->next;
	cr_expect_eq(n->len, 9u);
	cr_expect_arr_eq(n->u.text, "\xF0\x9F\x98\x80\xE2\x82\xAC\xC3\xA9", 9);
	n = n->next;
	cr_expect_eq(n->len, 5u);
	cr_expect_arr_eq(n->u.text, "plain", 5);
	cr_expect_null(n->next);
	json_free(&doc);
}

Test(json_values, members_are_found_by_name)
{
	json_doc doc = parsed("{\"a\": 1, \"ab\": 2, \"\\u0061bc\": 3}");
	uint64_t v = 0;

	cr_assert_not_null(json_get(doc.root, "abc"));
	cr_expect(json_u64(json_get(doc.root, "abc"), &v));
	cr_expect_eq(v, 3u);
	cr_expect_null(json_get(doc.root, "b"));
	cr_expect_null(json_get(doc.root, ""));
	cr_expect_null(json_get(doc.root->u.first, "a"));
	json_free(&doc);
}

Test(json_writer, writes_what_the_reader_takes)
{
	buf out = {0};
	json_writer w = {.out = &out, .lines = 2};
	text_error why;
	json_doc doc;
	uint64_t u = 0;
	int64_t i = 0;
	double d = 0;

	json_open(&w, '{');
	json_key(&w, "big");
	json_put_u64(&w, UINT64_MAX);
	json_key(&w, "small");
	json_put_i64(&w, INT64_MIN);
	json_key(&w, "third");
	json_put_f64(&w, 1.0 / 3);
	json_key(&w, "list");
	json_open(&w, '[');
	json_put_text(&w, "q\"b\\");
	json_put_bool(&w, 1);
	json_put_bytes(&w, "n\0m", 3);
	json_close(&w, ']');
	json_key(&w, "none");
	json_open(&w, '[');
	json_close(&w, ']');
	json_close(&w, '}');
	cr_assert_not(out.failed);
	cr_assert_eq(json_parse(out.data, out.len, &doc, &why), 0, "%.*s: %s", (int)out.len,
		     out.data, why.text);
	cr_expect(json_u64(json_get(doc.root, "big"), &u));
	cr_expect_eq(u, UINT64_MAX);
	cr_expect(json_i64(json_get(doc.root, "small"), &i));
	cr_expect_eq(i, INT64_MIN);
	cr_expect(json_f64(json_get(doc.root, "third"), &d));
	cr_expect_eq(d, 1.0 / 3);
	cr_expect_eq(json_get(doc.root, "list")->len, 3u);
	cr_expect_eq(json_get(doc.root, "none")->len, 0u);
	json_free(&doc);
	buf_free(&out);
}

Test(json_writer, bytes_that_are_no_plain_text_become_hex)
{
	static const struct {
		const char *bytes;
		size_t len;
		const char *json;
	} rows[] = {
		{"abc", 3, "\"abc\""},
		{"", 0, "\"\""},
		{"\xC3\xA9", 2, "\"\xC3\xA9\""},
		{"n\0m", 3, "{\"hex\": \"6e006d\"}"},
		{"a\nb", 3, "{\"hex\": \"610a62\"}"},
		{"\x1B[2J", 4, "{\"hex\": \"1b5b324a\"}"},
		{"\x7F", 1, "{\"hex\": \"7f\"}"},
		{"\xC2\x9B", 2, "{\"hex\": \"c29b\"}"},
		{"\xA9\xC3", 2, "{\"hex\": \"a9c3\"}"},
		{"\xE2\x80\xAE", 3, "{\"hex\": \"e280ae\"}"},
	};
	size_t i;

	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		buf out = {0};
		json_writer w = {.out = &out};

		json_put_bytes(&w, rows[i].bytes, rows[i].len);
		cr_expect_str_eq(buf_string(&out), rows[i].json);
		buf_free(&out);
	}
}

Test(json_writer, refuses_to_nest_deeper_than_the_reader)
{
	buf out = {0};
	json_writer w = {.out = &out};
	uint32_t i;

	for (i = 0; i < JSON_DEPTH; i++)
		json_open(&w, '[');
	cr_expect_not(out.failed);
	json_open(&w, '[');
	cr_expect(out.failed);
	buf_free(&out);
}
