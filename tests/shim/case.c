/* tests/shim/case.c - one test by its name: which are wanted, how long it may take, running it in a worker. */
#include "shim.h"

#include <stdio.h>
#include <stdlib.h>

int shim_matches(const char *pattern, const char *text)
{
	for (; *pattern != '\0'; pattern++, text++) {
		if (*pattern == '*') {
			while (*pattern == '*')
				pattern++;
			do {
				if (shim_matches(pattern, text))
					return 1;
			} while (*text++ != '\0');
			return 0;
		}
		if (*text == '\0' || (*pattern != '?' && *pattern != *text))
			return 0;
	}
	return *text == '\0';
}

void shim_name(const struct shim_test *test, char *buf, size_t cap)
{
	snprintf(buf, cap, "%s/%s", test->suite, test->name);
}

void shim_id(const struct shim_test *test, size_t param, char *buf, size_t cap)
{
	snprintf(buf, cap, "%s/%s#%zu", test->suite, test->name, param);
}

int shim_run_id(const char *id)
{
	const struct shim_test *test;
	const char *number = strchr(id, '#');
	size_t len = number != NULL ? (size_t)(number - id) : strlen(id);
	size_t param = number != NULL ? (size_t)strtoul(number + 1, NULL, 10) : 0;
	char name[SHIM_ID];

	for (test = shim_tests; test != NULL; test = test->next) {
		shim_name(test, name, sizeof name);
		if (strlen(name) == len && memcmp(name, id, len) == 0)
			return shim_run(test, param);
	}
	fprintf(stderr, "there is no test '%s'\n", id);
	return WORKER_FAILED;
}

int shim_is_disabled(const struct shim_test *test)
{
	return test->opts.disabled || shim_suite_opts(test)->disabled;
}

double shim_seconds(const struct shim_test *test, double otherwise)
{
	double of_suite = shim_suite_opts(test)->timeout;

	return test->opts.timeout > 0 ? test->opts.timeout : of_suite > 0 ? of_suite : otherwise;
}
