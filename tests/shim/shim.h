/* SPDX-License-Identifier: Apache-2.0
 * tests/shim/shim.h - what the parts of the test runner know of each other. */
#ifndef VIA_SHIM_H
#define VIA_SHIM_H
#include <criterion/criterion.h>

/* How a test's process ends. Not 0 and not 1: a test that calls exit() must not look like a result. */
enum { WORKER_SKIPPED = 77, WORKER_PASSED = 90, WORKER_FAILED = 91 };

enum outcome { PASSED, FAILED, SKIPPED, CRASHED, TIMED_OUT, STOPPED };

/* shim.c: the tests of this program, ordered by suite and name */
extern struct shim_test *shim_tests;
const struct criterion_test_opts *shim_suite_opts(const struct shim_test *test);
size_t shim_n_params(const struct shim_test *test);
/* Runs one test in this process; a WORKER_ code. */
int shim_run(const struct shim_test *test, size_t param);

/* case.c */
#define SHIM_ID 300
/* Whether all of text is as pattern says; '*' is any text, '?' any character. */
int shim_matches(const char *pattern, const char *text);
/* "suite/name", and "suite/name#parameter" for a worker. */
void shim_name(const struct shim_test *test, char *buf, size_t cap);
void shim_id(const struct shim_test *test, size_t param, char *buf, size_t cap);
/* In a worker: runs the test of that id; a WORKER_ code. */
int shim_run_id(const char *id);
int shim_is_disabled(const struct shim_test *test);
/* The test's limit, else its suite's, else the one given. */
double shim_seconds(const struct shim_test *test, double otherwise);

/* process_posix.c, process_windows.c */
double process_now(void); /* seconds, monotonic */
void process_is_worker(void);
_Noreturn void process_end_thread(void);

/* This program again, as a process of its own. */
struct worker {
	const char *const *args; /* behind the program's name; NULL ends them */
	double seconds;          /* 0: no limit */
	const struct criterion_test_opts *expected;
	char *said;      /* room for what it prints; NULL: it prints where we do */
	size_t cap, len; /* of said; what is beyond is dropped */
	char how[64];    /* what a crash was: "SIGSEGV" */
};
enum outcome process_run(struct worker *w);
/* From now on what asks this program to end (SIGINT, SIGTERM, SIGHUP) ends the worker, and process_run()
 * answers STOPPED. The caller tidies up, and then goes the way it was asked to. */
void process_stop_when_asked(void);
_Noreturn void process_end_as_asked(void);

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
