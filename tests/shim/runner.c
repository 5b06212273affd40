/* tests/shim/runner.c - the program around the tests: options, one process for each test. */
#include "shim.h"

#include <stdio.h>
#include <stdlib.h>

struct options {
	const char *filter, *xml, *tap;
	double timeout;
	int list, verbose, quiet, in_process;
	const char *worker; /* "suite/name#parameter": run this one and leave */
	const char *call;   /* for shim_call */
};

static struct options opt = {.filter = "*"};

/* -- choosing tests --------------------------------------------------------------------------------- */

static int is_wanted(const struct shim_test *test)
{
	char name[SHIM_ID];

	shim_name(test, name, sizeof name);
	return shim_matches(opt.filter, name);
}

/* -- options: those of Criterion that we use; others are refused, not ignored ---------------------- */

/* Value of "--name=value" or of "--name" "value"; NULL if args[*i] is something else. */
static char *value_of(char **args, int n, int *i, const char *name)
{
	const size_t len = strlen(name);

	if (strncmp(args[*i], name, len) != 0)
		return NULL;
	if (args[*i][len] == '=')
		return args[*i] + len + 1;
	if (args[*i][len] == '\0' && *i + 1 < n)
		return args[++*i];
	return NULL;
}

static int parse_flag(const char *arg)
{
	if (strcmp(arg, "--list") == 0 || strcmp(arg, "-l") == 0)
		opt.list = 1;
	else if (strncmp(arg, "--verbose", strlen("--verbose")) == 0)
		opt.verbose = 1;
	else if (strcmp(arg, "--quiet") == 0 || strcmp(arg, "-q") == 0)
		opt.quiet = 1;
	else if (strcmp(arg, "--no-isolate") == 0)
		opt.in_process = 1;
	else if (strncmp(arg, "-j", 2) != 0) /* one test after the other, whatever -j says */
		return -1;
	return 0;
}

static int parse_options(int argc, char **argv)
{
	char *value;
	int i;

	for (i = 1; i < argc; i++) {
		if ((value = value_of(argv, argc, &i, "--filter")) != NULL)
			opt.filter = value;
		else if ((value = value_of(argv, argc, &i, "--timeout")) != NULL)
			opt.timeout = atof(value);
		else if ((value = value_of(argv, argc, &i, "--xml")) != NULL)
			opt.xml = value;
		else if ((value = value_of(argv, argc, &i, "--tap")) != NULL)
			opt.tap = value;
		else if ((value = value_of(argv, argc, &i, "--worker")) != NULL)
			opt.worker = value;
		else if ((value = value_of(argv, argc, &i, "--call")) != NULL)
			opt.call = value;
		else if (parse_flag(argv[i]) != 0) {
			fprintf(stderr, "unknown option '%s'\n", argv[i]);
			return -1;
		}
	}
	return 0;
}

/* -- running ---------------------------------------------------------------------------------------- */

static enum outcome run_one(const struct shim_test *test, size_t param)
{
	char id[SHIM_ID];
	const char *const args[] = {"--worker", id, NULL};
	struct worker w = {.args = args, .expected = &test->opts};

	if (shim_is_disabled(test))
		return SKIPPED;
	if (opt.in_process) {
		int code = shim_run(test, param);

		return code == WORKER_PASSED ? PASSED : code == WORKER_SKIPPED ? SKIPPED : FAILED;
	}
	shim_id(test, param, id, sizeof id);
	w.seconds = shim_seconds(test, opt.timeout);
	return process_run(&w);
}

static void run_all(struct report *report)
{
	const struct shim_test *test;
	size_t i, n;

	for (test = shim_tests; test != NULL; test = test->next) {
		if (!is_wanted(test))
			continue;
		n = shim_n_params(test);
		for (i = 0; i < n; i++) {
			double start = process_now();
			enum outcome outcome = run_one(test, i);

			report_test(report, test, outcome, process_now() - start);
		}
	}
}

int main(int argc, char **argv)
{
	struct report report;

	if (parse_options(argc, argv) != 0)
		return 2;
	if (opt.worker != NULL) {
		process_is_worker();
		return shim_run_id(opt.worker);
	}
	if (opt.call != NULL)
		return shim_call != NULL ? shim_call(opt.call) : WORKER_FAILED;
	if (opt.list) {
		report_list(is_wanted);
		return 0;
	}
	memset(&report, 0, sizeof report);
	report.is_verbose = opt.verbose;
	report.is_quiet = opt.quiet;
	if (report_open(&report, opt.xml, opt.tap) != 0)
		return 2;
	run_all(&report);
	if (report_close(&report) != 0)
		return 2;
	return report.failed > 0 ? 1 : 0;
}
