/* SPDX-License-Identifier: Apache-2.0
 * bench/bench.h - what the benchmarks share: failing, medians, processes. */
#ifndef VIA_BENCH_H
#define VIA_BENCH_H
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>
#include <viaduct/viaduct.h>

static inline void bench_check(via_rc rc, const char *what)
{
	if (rc == VIA_OK)
		return;
	fprintf(stderr, "%s: %s: %s\n", what, via_rc_name(rc), via_error());
	_exit(1);
}

/* A number of the command line, from 1 to max; ends the program if it is none. */
static inline int bench_number(const char *text, int max)
{
	char *end;
	long v = strtol(text, &end, 10);

	if (end == text || *end != '\0' || v < 1 || v > max) {
		fprintf(stderr, "expected a number from 1 to %d, found '%s'\n", max, text);
		exit(2);
	}
	return (int)v;
}

static inline int bench_order(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static inline double bench_median(double *v, int n)
{
	qsort(v, (size_t)n, sizeof *v, bench_order);
	return n % 2 != 0 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

static inline via_registry *bench_registry(const char *module_path)
{
	via_registry_options o = VIA_REGISTRY_OPTIONS_INIT;
	via_registry *r;

	o.module_path = module_path;
	bench_check(via_registry_open(&o, &r), "registry");
	return r;
}

/* A child process that has set itself up, and ends when stop is closed. */
typedef struct bench_child {
	pid_t pid;
	int stop;
} bench_child;

/* Sets up, calls bench_child_ready(), tears down. */
typedef void bench_child_run(void *arg, int up, int stop);

/* Tells the parent, and waits until it says stop. */
static inline void bench_child_ready(int up, int stop)
{
	char c = 1;

	if (write(up, &c, 1) != 1 || read(stop, &c, 1) < 0)
		_exit(1);
}

static inline bench_child bench_child_start(bench_child_run *run, void *arg)
{
	bench_child b;
	int up[2], stop[2];
	char c;

	if (pipe(up) != 0 || pipe(stop) != 0)
		exit(1);
	b.pid = fork();
	if (b.pid == 0) {
		close(stop[1]);
		close(up[0]);
		run(arg, up[1], stop[0]);
		_exit(0);
	}
	close(up[1]);
	close(stop[0]);
	if (b.pid < 0 || read(up[0], &c, 1) != 1)
		exit(1);
	close(up[0]);
	b.stop = stop[1];
	return b;
}

static inline void bench_child_stop(bench_child *b)
{
	int status;

	close(b->stop);
	if (waitpid(b->pid, &status, 0) != b->pid || !WIFEXITED(status) ||
	    WEXITSTATUS(status) != 0) {
		fprintf(stderr, "a child process did not end well\n");
		exit(1);
	}
}

#endif
