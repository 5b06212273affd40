/* tests/tools/test_text.c - numbers, names and options as people write them. */
#include "tools/lib/opt.h"
#include "tools/lib/table.h"
#include "tools/lib/text.h"

#include <criterion/criterion.h>

#include <string.h>

TestSuite(text, .timeout = 20);
TestSuite(options, .timeout = 20);
TestSuite(tables, .timeout = 20);

Test(text, numbers_are_whole_or_nothing)
{
	static const char *const bad[] = {"",
					  "-1",
					  "+1",
					  " 1",
					  "1 ",
					  "1a",
					  "0x",
					  "0xg",
					  "x1",
					  "18446744073709551616",
					  "0x10000000000000000"};
	uint64_t v = 0;
	size_t i;

	cr_expect(text_u64("18446744073709551615", &v));
	cr_expect_eq(v, UINT64_MAX);
	cr_expect(text_u64("0xfFfFffffFFFFffff", &v));
	cr_expect_eq(v, UINT64_MAX);
	cr_expect(text_u64("010", &v));
	cr_expect_eq(v, 10u, "decimal, not octal");
	for (i = 0; i < sizeof bad / sizeof bad[0]; i++)
		cr_expect_not(text_u64(bad[i], &v), "'%s' was taken", bad[i]);
}

Test(text, signed_numbers_reach_both_ends)
{
	int64_t v = 0;

	cr_expect(text_i64("-9223372036854775808", &v));
	cr_expect_eq(v, INT64_MIN);
	cr_expect(text_i64("9223372036854775807", &v));
	cr_expect_eq(v, INT64_MAX);
	cr_expect_not(text_i64("9223372036854775808", &v));
	cr_expect_not(text_i64("-9223372036854775809", &v));
	cr_expect_not(text_i64("--1", &v));
	cr_expect_not(text_i64("-", &v));
}

Test(text, floating_numbers)
{
	static const char *const bad[] = {"",    "-",        "1.5x", "0x10", "1e999",
					  "NAN", "infinity", " 1",   ".5",   "e5"};
	double v = 0;
	size_t i;

	cr_expect(text_f64("-1.5e3", &v));
	cr_expect_eq(v, -1500.0);
	cr_expect(text_f64("1e-400", &v), "too small is not too big");
	cr_expect(text_f64("nan", &v));
	cr_expect_neq(v, v);
	cr_expect(text_f64("-inf", &v));
	cr_expect_lt(v, -1e308);
	for (i = 0; i < sizeof bad / sizeof bad[0]; i++)
		cr_expect_not(text_f64(bad[i], &v), "'%s' was taken", bad[i]);
}

Test(text, durations_need_a_unit)
{
	static const char *const bad[] = {"",
					  "5",
					  "0s",
					  "-1s",
					  "1.5s",
					  "1 s",
					  "1d",
					  "s",
					  "9223372036855s",
					  "99999999999999999999s"};
	uint64_t ns = 0;
	size_t i;

	cr_expect(text_duration("500ms", &ns));
	cr_expect_eq(ns, 500000000u);
	cr_expect(text_duration("2s", &ns));
	cr_expect_eq(ns, 2000000000u);
	cr_expect(text_duration("1m", &ns));
	cr_expect_eq(ns, 60000000000u);
	cr_expect(text_duration("1us", &ns));
	cr_expect_eq(ns, 1000u);
	for (i = 0; i < sizeof bad / sizeof bad[0]; i++)
		cr_expect_not(text_duration(bad[i], &ns), "'%s' was taken", bad[i]);
}

Test(text, sizes)
{
	uint64_t v = 0;

	cr_expect(text_size("64K", &v));
	cr_expect_eq(v, 65536u);
	cr_expect(text_size("1M", &v));
	cr_expect_eq(v, 1048576u);
	cr_expect(text_size("7", &v));
	cr_expect_eq(v, 7u);
	cr_expect_not(text_size("7G", &v));
	cr_expect_not(text_size("7KK", &v));
	cr_expect_not(text_size("K", &v));
	cr_expect_not(text_size("18446744073709551615K", &v));
}

Test(text, the_nearest_name_is_the_one_meant)
{
	static const char *const names[] = {"workers",      "pool",      "run_dir",
					    "run_dir_mode", "log_level", "load"};
	static const struct {
		const char *word, *near;
	} rows[] = {{"worker", "workers"},
		    {"wrokers", "workers"},
		    {"Workers", "workers"},
		    {"rundir", "run_dir"},
		    {"run_dir_mod", "run_dir_mode"},
		    {"loglevel", "log_level"},
		    {"pol", "pool"},
		    {"zebra", NULL},
		    {"x", NULL},
		    {"", NULL},
		    {"q_q_q_q", NULL}};
	char long_word[300];
	size_t i;

	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const char *near = text_nearest(rows[i].word, names, 6);

		if (rows[i].near == NULL)
			cr_expect_null(near, "%s -> %s", rows[i].word, near);
		else
			cr_expect(near != NULL && strcmp(near, rows[i].near) == 0, "%s -> %s",
				  rows[i].word, near != NULL ? near : "(none)");
	}
	memset(long_word, 'w', sizeof long_word - 1);
	long_word[sizeof long_word - 1] = '\0';
	cr_expect_null(text_nearest(long_word, names, 6));
}

Test(text, shows_nothing_a_terminal_obeys)
{
	static const char raw[] = "a\x1B[31m\x07\xFF\xC2\x9B\xE2\x80\xAE\xC3\xA9\\x41";
	buf b = {0};
	char small[6];

	text_show(&b, raw, sizeof raw - 1);
	cr_expect_str_eq(buf_string(&b), "a\\x1b[31m\\x07\\xff\\u{9b}\\u{202e}\xC3\xA9\\x41");
	buf_free(&b);
	cr_expect_str_eq(text_shown(small, sizeof small, "abcd\xC3\xA9", 6), "abcd",
			 "not half a character");
}

static const opt table_of_options[] = {{"json", 0, NULL, "x"},
				       {"run-dir", 'd', "DIR", "x"},
				       {"timeout", 0, "TIME", "x"},
				       {NULL, 0, NULL, NULL}};

Test(options, forms_and_operands)
{
	char *argv[] = {(char *)"--json",       (char *)"a",
			(char *)"--run-dir",    (char *)"/x",
			(char *)"--timeout=5s", (char *)"-5",
			(char *)"-d/y",         (char *)"-d",
			(char *)"/z",           (char *)"-",
			(char *)"--",           (char *)"--json"};
	static const struct {
		int o;
		const char *value;
	} want[] = {{0, NULL},      {OPT_OPERAND, "a"},  {1, "/x"},
		    {2, "5s"},      {OPT_OPERAND, "-5"}, {1, "/y"},
		    {1, "/z"},      {OPT_OPERAND, "-"},  {OPT_OPERAND, "--json"},
		    {OPT_END, NULL}};
	opt_parser p;
	size_t i;

	opt_begin(&p, table_of_options, 12, argv);
	for (i = 0; i < sizeof want / sizeof want[0]; i++) {
		cr_assert_eq(opt_next(&p), want[i].o, "step %zu: %s", i, p.why);
		if (want[i].value != NULL)
			cr_expect_str_eq(p.value, want[i].value);
	}
}

Test(options, faults_name_the_nearest)
{
	static const struct {
		const char *word, *says;
	} rows[] = {{"--jsn", "--json"},
		    {"--run-di", "--run-dir"},
		    {"--nothing", "--help"},
		    {"--json=1", "takes no value"},
		    {"--timeout", "needs a value"},
		    {"-q", "unknown option -q"},
		    {"--\x1B[2J", "\\x1b"}};
	opt_parser p;
	size_t i;

	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char *argv[] = {(char *)rows[i].word};

		opt_begin(&p, table_of_options, 1, argv);
		cr_expect_eq(opt_next(&p), OPT_BAD, "%s", rows[i].word);
		cr_expect_not_null(strstr(p.why, rows[i].says), "%s: %s", rows[i].word, p.why);
	}
}

Test(tables, align_and_sanitise)
{
	buf out = {0};
	table t;

	table_begin(&t, 3);
	t.is_number[1] = 1;
	table_text(&t, "name");
	table_text(&t, "size");
	table_text(&t, "path");
	table_text(&t, "\xC3\xA9");
	table_text(&t, "7");
	table_text(&t, "");
	table_text(&t, "a\nb");
	table_text(&t, "12345");
	table_text(&t, "/x");
	table_end(&t, &out);
	cr_expect_str_eq(buf_string(&out), "name     size  path\n"
					   "\xC3\xA9           7  -\n"
					   "a\\x0ab  12345  /x\n");
	buf_free(&out);
}
