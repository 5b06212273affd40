/* tests/shim/report.c - what a run says: lines, XML and TAP files, the closing line. */
#include "shim.h"

#include <stdio.h>

static const char *const words[] = {[PASSED] = "PASS",  [FAILED] = "FAIL",    [SKIPPED] = "SKIP",
				    [CRASHED] = "FAIL", [TIMED_OUT] = "FAIL", [STOPPED] = "FAIL"};
static const char *const reasons[] = {[PASSED] = "",
				      [FAILED] = "",
				      [SKIPPED] = "",
				      [CRASHED] = "CRASH! ",
				      [TIMED_OUT] = "Timed out. ",
				      [STOPPED] = "Stopped. "};
static const char *const elements[] = {[PASSED] = "",
				       [FAILED] = "<failure type=\"assert\"/>",
				       [SKIPPED] = "<skipped/>",
				       [CRASHED] = "<error type=\"crash\"/>",
				       [TIMED_OUT] = "<error type=\"timeout\"/>",
				       [STOPPED] = "<error type=\"stopped\"/>"};

static int open_file(void **out, const char *path)
{
	FILE *file;

	if (path == NULL)
		return 0;
	file = fopen(path, "w");
	if (file == NULL) {
		perror(path);
		return -1;
	}
	*out = file;
	return 0;
}

int report_open(struct report *r, const char *xml, const char *tap)
{
	if (open_file(&r->xml, xml) != 0 || open_file(&r->tap, tap) != 0)
		return -1;
	if (r->xml != NULL)
		fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"Criterion Tests\">\n",
		      r->xml);
	if (r->tap != NULL)
		fputs("TAP version 13\n", r->tap);
	return 0;
}

static void count(struct report *r, enum outcome outcome)
{
	if (outcome == SKIPPED)
		return;
	r->tested++;
	if (outcome == PASSED)
		r->passed++;
	else
		r->failed++;
	if (outcome == CRASHED)
		r->crashed++;
}

void report_test(struct report *r, const struct shim_test *test, enum outcome outcome,
		 double seconds)
{
	const int is_good = outcome == PASSED || outcome == SKIPPED;

	count(r, outcome);
	if ((r->is_verbose && outcome != SKIPPED) || (!is_good && !r->is_quiet))
		fprintf(stderr, "[%s] %s::%s: %s(%.2fs)\n", words[outcome], test->suite, test->name,
			reasons[outcome], seconds);
	if (r->tap != NULL) {
		fprintf(r->tap, "%sok - %s::%s %s(%.2fs)\n", is_good ? "" : "not ", test->suite,
			test->name, outcome == SKIPPED ? "# SKIP " : "", seconds);
		r->n_tap++;
	}
	if (r->xml != NULL)
		fprintf(r->xml,
			"  <testcase classname=\"%s\" name=\"%s\" time=\"%.3f\">%s</testcase>\n",
			test->suite, test->name, seconds, elements[outcome]);
}

int report_close(struct report *r)
{
	int failed = 0;

	if (r->tap != NULL) {
		fprintf(r->tap, "1..%u\n", r->n_tap);
		failed |= fclose(r->tap);
	}
	if (r->xml != NULL) {
		fputs("</testsuite>\n", r->xml);
		failed |= fclose(r->xml);
	}
	if (failed != 0)
		perror("report");
	if (!r->is_quiet)
		fprintf(stderr,
			"[====] Synthesis: Tested: %u | Passing: %u | Failing: %u | Crashing: %u \n",
			r->tested, r->passed, r->failed, r->crashed);
	return failed == 0 ? 0 : -1;
}

static unsigned count_suite(const char *suite, int (*is_wanted)(const struct shim_test *))
{
	const struct shim_test *test;
	unsigned n = 0;

	for (test = shim_tests; test != NULL; test = test->next) {
		if (strcmp(test->suite, suite) == 0 && is_wanted(test))
			n++;
	}
	return n;
}

void report_list(int (*is_wanted)(const struct shim_test *))
{
	const struct shim_test *test;
	const char *suite = "";

	for (test = shim_tests; test != NULL; test = test->next) {
		if (!is_wanted(test))
			continue;
		if (strcmp(suite, test->suite) != 0) {
			unsigned n = count_suite(test->suite, is_wanted);

			printf("%s: %u test%s\n", test->suite, n, n == 1 ? "" : "s");
			suite = test->suite;
		}
		printf("|-- %s\n", test->name);
	}
}
