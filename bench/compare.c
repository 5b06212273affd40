/* bench/compare.c - what `viaduct bench` is compared with, measured and printed in the same way.
 *
 * usage: bench_compare [OPTION...] NAME     one CSV line, as `viaduct bench --csv` prints it
 *        bench_compare --list               the names
 *
 *   --depth N     so many counters under way (raw-seqpacket-* only): the scenario is pipeline
 *   --rate N      open loop, so many a second; else as fast as they go
 *   --seconds S   how long is measured; else 1
 *   --one-cpu     both sides on the first usable CPU; else the client there, the server on the second
 *
 * The client is this process, the server its child. Every answer must be the next number. */
#include "compare.h"
#include "../tools/lib/hist.h"
#include "../tools/lib/text.h"
#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	MAX_DEPTH = 64,        /* fewer than a socket pair holds */
	TIMED_EVERY = 64,      /* of fast operations one in so many, as in tools/viaduct/bench.h */
	FAST_NS = 2000,        /* operations up to this are fast */
	SPIN_BELOW_NS = 50000, /* a shorter wait for the schedule is spent looking at the clock */
	SECOND = 1000000000,
	PATIENCE_S = 20, /* longer than the time measured: something hangs */
};

static const comparator *const comparators[] = {
	&compare_line,           &compare_futex, &compare_futex_wake, &compare_seqpacket_block,
	&compare_seqpacket_poll, &compare_nng,   &compare_zmq,
};

#define N_COMPARATORS (sizeof comparators / sizeof comparators[0])

typedef struct plan {
	const comparator *what;
	uint64_t rate; /* 0: as fast as they go */
	uint64_t ns, warmup_ns;
	uint64_t depth; /* 0: ping-pong */
	int one_cpu;
} plan;

typedef struct run {
	const plan *plan;
	compare_pair *pair;
	pid_t server; /* 0: none */
	uint64_t sent, received;
	uint64_t span_ns, ops, client_ns, server_ns;
	hist times;
} run;

/* -- failing and counters --------------------------------------------------------------------------- */

void compare_die(const char *what, int error)
{
	fprintf(stderr, "bench_compare: %s%s%s\n", what, error != 0 ? ": " : "",
		error != 0 ? strerror(error) : "");
	exit(1);
}

void compare_put(uint8_t record[COMPARE_RECORD], uint64_t counter)
{
	memset(record, 0, COMPARE_COUNTER_AT);
	memcpy(record + COMPARE_COUNTER_AT, &counter, sizeof counter);
}

uint64_t compare_get(const uint8_t record[COMPARE_RECORD])
{
	uint64_t counter;

	memcpy(&counter, record + COMPARE_COUNTER_AT, sizeof counter);
	return counter;
}

/* -- clocks ----------------------------------------------------------------------------------------- */

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	if (clock_gettime(clock, &t) != 0)
		compare_die("clock", errno);
	return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

static uint64_t now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

/* Processor time of all threads of a process. */
static uint64_t cpu_ns(pid_t pid)
{
	clockid_t clock;
	int error = clock_getcpuclockid(pid, &clock);

	if (error != 0)
		compare_die("processor time of the server", error);
	return clock_ns(clock);
}

static void wait_until(uint64_t due)
{
	struct timespec t = {.tv_sec = (time_t)(due / SECOND), .tv_nsec = (long)(due % SECOND)};
	uint64_t now;

	while ((now = now_ns()) < due)
		if (due - now > SPIN_BELOW_NS)
			clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

/* -- measuring -------------------------------------------------------------------------------------- */

static void send_next(run *r)
{
	r->plan->what->send(r->pair, r->sent++);
}

/* The answer to n is n + 1, and it is the next request. */
static void receive_next(run *r)
{
	uint64_t found = r->plan->what->recv(r->pair);

	if (found != ++r->received) {
		fprintf(stderr,
			"bench_compare: the counter chain is broken: expected %llu, found %llu\n",
			(unsigned long long)r->received, (unsigned long long)found);
		exit(1);
	}
}

static void call(run *r)
{
	send_next(r);
	receive_next(r);
}

/* Every stride'th operation is timed; all of them count. */
static void run_calls(run *r, uint64_t until, uint32_t stride)
{
	uint64_t start, end = now_ns();
	uint32_t i;

	do {
		start = stride == 1 ? end : now_ns();
		call(r);
		end = now_ns();
		hist_record(&r->times, end - start);
		for (i = 1; i < stride; i++)
			call(r);
	} while (end < until);
}

/* Open loop: time counts from when an operation was due. */
static void run_paced(run *r, uint64_t start, uint64_t until)
{
	uint64_t interval = SECOND / r->plan->rate, due, now = start;

	for (due = start; due < until && now < until; due += interval) {
		wait_until(due);
		call(r);
		now = now_ns();
		hist_record(&r->times, now - due);
	}
	wait_until(until);
}

static void run_pipeline(run *r, uint64_t until)
{
	uint64_t started[MAX_DEPTH], now = now_ns();
	uint64_t depth = r->plan->depth;

	while (now < until) {
		while (r->sent - r->received < depth) {
			started[r->sent % depth] = now;
			send_next(r);
			now = now_ns();
		}
		receive_next(r);
		now = now_ns();
		hist_record(&r->times, now - started[(r->received - 1) % depth]);
	}
	while (r->received < r->sent)
		receive_next(r);
}

static void run_phase(run *r, uint64_t ns, uint32_t stride)
{
	uint64_t start = now_ns(), before = r->received;

	hist_reset(&r->times);
	if (r->plan->rate != 0)
		run_paced(r, start, start + ns);
	else if (r->plan->depth != 0)
		run_pipeline(r, start + ns);
	else
		run_calls(r, start + ns, stride);
	r->ops = r->received - before;
	r->span_ns = now_ns() - start;
}

static void measure(run *r)
{
	uint64_t client, server;
	uint32_t stride;

	run_phase(r, r->plan->warmup_ns, 1);
	stride = r->span_ns / r->ops <= FAST_NS ? TIMED_EVERY : 1;
	client = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	server = r->server != 0 ? cpu_ns(r->server) : 0;
	run_phase(r, r->plan->ns, stride);
	r->client_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - client;
	r->server_ns = r->server != 0 ? cpu_ns(r->server) - server : 0;
}

/* -- processes -------------------------------------------------------------------------------------- */

/* Pins this process, and the threads it starts later, to the nth usable CPU. */
static void pin(const cpu_set_t *usable, uint32_t n)
{
	cpu_set_t one;
	uint32_t cpu;

	for (cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, usable) && n-- == 0)
			break;
	if (cpu == CPU_SETSIZE)
		compare_die("expected two usable processors, found one; --one-cpu needs one only",
			    0);
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	if (sched_setaffinity(0, sizeof one, &one) != 0)
		compare_die("pinning", errno);
}

static void serve(const run *r, const cpu_set_t *usable, int ready)
{
	const comparator *what = r->plan->what;

	alarm((unsigned)(r->plan->ns / SECOND) + PATIENCE_S);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	pin(usable, r->plan->one_cpu ? 0 : 1);
	if (what->listen != NULL)
		what->listen(r->pair);
	if (write(ready, "", 1) != 1)
		compare_die("telling the client", errno);
	what->serve(r->pair);
	_exit(0);
}

static void start_server(run *r, const cpu_set_t *usable)
{
	int ready[2];
	char c;

	if (pipe(ready) != 0)
		compare_die("pipe", errno);
	r->server = fork();
	if (r->server < 0)
		compare_die("fork", errno);
	if (r->server == 0) {
		close(ready[0]);
		serve(r, usable, ready[1]);
	}
	close(ready[1]);
	if (read(ready[0], &c, 1) != 1)
		compare_die("the server did not start", 0);
	close(ready[0]);
}

static void stop_server(run *r)
{
	int status;

	r->plan->what->send(r->pair, COMPARE_END);
	if (waitpid(r->server, &status, 0) != r->server || status != 0)
		compare_die("the server did not end well", 0);
}

/* The directory is for the libraries' sockets. */
static void run_plan(run *r)
{
	const comparator *what = r->plan->what;
	char dir[] = "/tmp/bench_compare.XXXXXX";
	cpu_set_t usable;

	if (sched_getaffinity(0, sizeof usable, &usable) != 0)
		compare_die("usable processors", errno);
	if (mkdtemp(dir) == NULL)
		compare_die(dir, errno);
	snprintf(r->pair->address, sizeof r->pair->address, "ipc://%s/s", dir);
	if (what->open != NULL)
		what->open(r->pair);
	if (what->serve != NULL)
		start_server(r, &usable);
	pin(&usable, 0);
	if (what->connect != NULL)
		what->connect(r->pair);
	measure(r);
	if (what->serve != NULL)
		stop_server(r);
	unlink(r->pair->address + strlen("ipc://"));
	rmdir(dir);
}

/* -- options and output ----------------------------------------------------------------------------- */

static void print_row(const run *r)
{
	const plan *p = r->plan;
	double seconds = (double)r->span_ns / 1e9, per_second = (double)r->ops / seconds;
	const char *version = p->what->version != NULL ? p->what->version() : "-";

	printf("scenario,transport,policy,rate,depth,items,bytes,pin,seconds,ops,ops_per_s,units,"
	       "units_per_s,p50_ns,p95_ns,p99_ns,p999_ns,max_ns,client_cpu_s,server_cpu_s,verified,"
	       "client_build,server_build,profile\n");
	printf("%s,%s,%s,", p->depth != 0 ? "pipeline" : "ping-pong", p->what->name,
	       p->what->policy);
	if (p->rate != 0)
		printf("%llu,", (unsigned long long)p->rate);
	else
		printf("max,");
	if (p->depth != 0)
		printf("%llu", (unsigned long long)p->depth);
	printf(",,,%s,%.6f,%llu,%.1f,%llu,%.1f,", p->one_cpu ? "one-cpu" : "pin", seconds,
	       (unsigned long long)r->ops, per_second, (unsigned long long)r->ops, per_second);
	printf("%llu,%llu,%llu,%llu,%llu,%.6f,%.6f,%llu,%s,%s,-\n",
	       (unsigned long long)hist_quantile(&r->times, 500000),
	       (unsigned long long)hist_quantile(&r->times, 950000),
	       (unsigned long long)hist_quantile(&r->times, 990000),
	       (unsigned long long)hist_quantile(&r->times, 999000),
	       (unsigned long long)r->times.max, (double)r->client_ns / 1e9,
	       (double)r->server_ns / 1e9, (unsigned long long)r->ops, version, version);
}

static int usage(void)
{
	fputs("usage: bench_compare [--depth N] [--rate N] [--seconds S] [--one-cpu] NAME\n"
	      "       bench_compare --list\n",
	      stderr);
	return 2;
}

static int list(void)
{
	size_t i;

	for (i = 0; i < N_COMPARATORS; i++)
		puts(comparators[i]->name);
	return 0;
}

static int take_number(const char *text, uint64_t max, uint64_t *out)
{
	return text_u64(text, out) && *out >= 1 && *out <= max;
}

static int take_seconds(const char *text, plan *p)
{
	double seconds;

	if (!text_f64(text, &seconds) || !(seconds >= 0.01 && seconds <= 3600))
		return 0;
	p->ns = (uint64_t)(seconds * 1e9);
	return 1;
}

static int take_option(plan *p, int o, const char *value)
{
	switch (o) {
	case 'd':
		return take_number(value, MAX_DEPTH, &p->depth);
	case 'r':
		return take_number(value, 1000000, &p->rate);
	case 's':
		return take_seconds(value, p);
	default:
		p->one_cpu = 1;
		return o == '1';
	}
}

static int take_name(plan *p, const char *name)
{
	size_t i;

	for (i = 0; i < N_COMPARATORS; i++)
		if (strcmp(comparators[i]->name, name) == 0)
			p->what = comparators[i];
	return p->what != NULL && (p->depth == 0 || (p->what->can_pipeline && p->rate == 0));
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"depth", 1, NULL, 'd'},
						{"rate", 1, NULL, 'r'},
						{"seconds", 1, NULL, 's'},
						{"one-cpu", 0, NULL, '1'},
						{"list", 0, NULL, 'l'},
						{NULL, 0, NULL, 0}};
	static compare_pair pair;
	static run r;
	plan p = {.ns = SECOND};
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (o == 'l')
			return list();
		if (!take_option(&p, o, optarg))
			return usage();
	}
	if (optind + 1 != argc || !take_name(&p, argv[optind]))
		return usage();
	p.warmup_ns = p.ns / 4 < SECOND / 2 ? p.ns / 4 : SECOND / 2;
	pair.one_cpu = p.one_cpu;
	pair.poll = p.what->poll;
	r.plan = &p;
	r.pair = &pair;
	alarm((unsigned)(p.ns / SECOND) + PATIENCE_S);
	prctl(PR_SET_TIMERSLACK, 1);
	run_plan(&r);
	print_row(&r);
	return 0;
}
