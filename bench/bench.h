/* SPDX-License-Identifier: Apache-2.0
 * bench/bench.h - what the benchmarks share: failing, medians, a server in a process of its own. */
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

/* A server of `increment` in a child process; *stop ends it when closed. */
typedef struct bench_server {
	pid_t pid;
	int stop;
} bench_server;

static inline void bench_serve(const char *module_path, const char *run_dir, int up, int stop)
{
	via_registry *r = bench_registry(module_path);
	via_endpoint ep = {.struct_size = sizeof ep, .service = "increment", .run_dir = run_dir};
	via_server *s;
	char c = 1;

	bench_check(via_server_open(r, NULL, &s), "server");
	bench_check(via_server_add(s, &ep, NULL), "endpoint");
	bench_check(via_server_start(s), "start");
	if (write(up, &c, 1) != 1 || read(stop, &c, 1) < 0)
		_exit(1);
	bench_check(via_server_drain(s, via_deadline(5000000000u)), "drain");
	via_server_close(s);
	bench_check(via_registry_close(r), "close");
	_exit(0);
}

static inline bench_server bench_server_start(const char *module_path, const char *run_dir)
{
	bench_server b;
	int up[2], stop[2];
	char c;

	if (pipe(up) != 0 || pipe(stop) != 0)
		exit(1);
	b.pid = fork();
	if (b.pid == 0) {
		close(stop[1]);
		close(up[0]);
		bench_serve(module_path, run_dir, up[1], stop[0]);
	}
	close(up[1]);
	close(stop[0]);
	if (b.pid < 0 || read(up[0], &c, 1) != 1)
		exit(1);
	close(up[0]);
	b.stop = stop[1];
	return b;
}

static inline void bench_server_stop(bench_server *b)
{
	int status;

	close(b->stop);
	if (waitpid(b->pid, &status, 0) != b->pid || !WIFEXITED(status) ||
	    WEXITSTATUS(status) != 0) {
		fprintf(stderr, "the server did not end well\n");
		exit(1);
	}
}

#endif
