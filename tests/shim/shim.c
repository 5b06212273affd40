/* tests/shim/shim.c - registration, assertions, and the run of one test in this process. */
#include "shim.h"

#include <setjmp.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { JUMP_FAILED = 1, JUMP_SKIPPED = 2 };

struct shim_test *shim_tests;
int (*shim_call)(const char *word);
static struct shim_suite *suites;
static atomic_int n_failures;
static _Thread_local jmp_buf *way_out; /* of the thread that runs the test, nowhere else */
static char skip_reason[256];

/* -- registration --------------------------------------------------------------------------------- */

void shim_add_suite(struct shim_suite *suite)
{
	suite->next = suites;
	suites = suite;
}

static int compare(const struct shim_test *a, const struct shim_test *b)
{
	int order = strcmp(a->suite, b->suite);

	return order != 0 ? order : strcmp(a->name, b->name);
}

void shim_add_test(struct shim_test *test)
{
	struct shim_test **at = &shim_tests;

	while (*at != NULL && compare(*at, test) < 0)
		at = &(*at)->next;
	test->next = *at;
	*at = test;
}

const struct criterion_test_opts *shim_suite_opts(const struct shim_test *test)
{
	static const struct criterion_test_opts none;
	const struct shim_suite *suite;

	for (suite = suites; suite != NULL; suite = suite->next) {
		if (strcmp(suite->name, test->suite) == 0)
			return &suite->opts;
	}
	return &none;
}

size_t shim_n_params(const struct shim_test *test)
{
	return test->params == NULL ? 1 : test->params().length;
}

/* -- assertions ----------------------------------------------------------------------------------- */

static _Thread_local char found[96]; /* values of the comparison that has just failed */

void shim_values(long long a, long long b)
{
	snprintf(found, sizeof found, " (%lld and %lld)", a, b);
}

void shim_values_u(unsigned long long a, unsigned long long b)
{
	snprintf(found, sizeof found, " (%llu and %llu)", a, b);
}

void shim_values_double(double a, double b)
{
	snprintf(found, sizeof found, " (%.17g and %.17g)", a, b);
}

void shim_values_pointer(const volatile void *a, const volatile void *b)
{
	snprintf(found, sizeof found, " (0x%llx and 0x%llx)", (unsigned long long)(uintptr_t)a,
		 (unsigned long long)(uintptr_t)b);
}

void shim_fail(const char *file, int line, const char *expression, const char *fmt, ...)
{
	char text[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	atomic_fetch_add(&n_failures, 1);
	fprintf(stderr, "[----] %s:%d: Assertion Failed\n[----]   %s%s%s%s\n", file, line,
		expression, found, text[0] != '\0' ? ": " : "", text);
	found[0] = '\0';
}

_Noreturn void shim_leave(void)
{
	if (way_out != NULL)
		longjmp(*way_out, JUMP_FAILED);
	process_end_thread();
}

_Noreturn void cr_skip_test(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(skip_reason, sizeof skip_reason, fmt, args);
	va_end(args);
	if (way_out != NULL)
		longjmp(*way_out, JUMP_SKIPPED);
	exit(WORKER_SKIPPED);
}

void cr_log_info(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	fputs("[----] ", stderr);
	vfprintf(stderr, fmt, args);
	fputc('\n', stderr);
	va_end(args);
}

/* -- one test ------------------------------------------------------------------------------------- */

static void run_body(const struct shim_test *test, size_t param)
{
	struct criterion_test_params p;

	if (test->params == NULL) {
		test->run();
		return;
	}
	p = test->params();
	if (param < p.length)
		test->run_with((char *)p.params + param * p.size);
	else
		shim_fail(test->suite, 0, test->name, "there is no parameter %zu", param);
}

/* Initialisers and body, until their end or the first failed cr_assert. In a function of its own: nothing
 * that is needed after the jump may live in the frame that jumped. */
static int run_guarded(const struct shim_test *test, const struct criterion_test_opts *suite,
		       size_t param)
{
	jmp_buf here;
	int jump = setjmp(here);

	if (jump != 0)
		return jump;
	way_out = &here;
	if (suite->init != NULL)
		suite->init();
	if (test->opts.init != NULL)
		test->opts.init();
	run_body(test, param);
	return 0;
}

int shim_run(const struct shim_test *test, size_t param)
{
	const struct criterion_test_opts *suite = shim_suite_opts(test);
	const int before = atomic_load(&n_failures);
	int jump = run_guarded(test, suite, param);

	way_out = NULL;
	if (test->opts.fini != NULL)
		test->opts.fini();
	if (suite->fini != NULL)
		suite->fini();
	if (jump == JUMP_SKIPPED) {
		fprintf(stderr, "[SKIP] %s::%s: %s\n", test->suite, test->name, skip_reason);
		return WORKER_SKIPPED;
	}
	return atomic_load(&n_failures) == before ? WORKER_PASSED : WORKER_FAILED;
}
