/* SPDX-License-Identifier: Apache-2.0
 * tests/shim/shim.h - what the parts of the test runner know of each other. */
#ifndef VIA_SHIM_H
#define VIA_SHIM_H
#include <criterion/criterion.h>

/* How a test's process ends. Not 0 and not 1: a test that calls exit() must not look like a result. */
enum { WORKER_SKIPPED = 77, WORKER_PASSED = 90, WORKER_FAILED = 91 };

enum outcome { PASSED, FAILED, SKIPPED, CRASHED, TIMED_OUT };

/* shim.c: the tests of this program, ordered by suite and name */
extern struct shim_test *shim_tests;
const struct criterion_test_opts *shim_suite_opts(const struct shim_test *test);
size_t shim_n_params(const struct shim_test *test);
/* Runs one test in this process; a WORKER_ code. */
int shim_run(const struct shim_test *test, size_t param);

/* process_posix.c, process_windows.c */
double process_now(void); /* seconds, monotonic */
void process_is_worker(void);
_Noreturn void process_end_thread(void);
/* Runs this program again as `--worker id`. seconds 0: no limit. */
enum outcome process_run(const char *id, double seconds,
			 const struct criterion_test_opts *expected);

/* report.c */
struct report {
	unsigned tested, passed, failed, crashed;
	int is_verbose, is_quiet;
	void *xml, *tap; /* FILE */
	unsigned n_tap;
};
/* Opens the report files that were asked for; 0, or -1 with a message. */
int report_open(struct report *r, const char *xml, const char *tap);
void report_test(struct report *r, const struct shim_test *test, enum outcome outcome,
		 double seconds);
int report_close(struct report *r);
void report_list(int (*is_wanted)(const struct shim_test *));

#endif
