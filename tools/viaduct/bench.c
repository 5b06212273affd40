/* tools/viaduct/bench.c - `viaduct bench`: options, and the rows that follow from them. */
#include "bench.h"

#include "../lib/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_LIST 16u

typedef struct bench {
	const char *transports[MAX_LIST];
	const bench_scenario *scenarios[MAX_LIST];
	uint64_t rates[MAX_LIST];
	uint32_t bytes[MAX_LIST];
	uint32_t n_transports, n_scenarios, n_rates, n_bytes;
	uint32_t min_items, max_items; /* 0: the scenario's default */
	bench_setup setup;
	bench_row row; /* what all rows have in common */
	const char *serve_dir;
	uint32_t form;
	int is_help;
	bench_out out;
	bench_result result;
} bench;

enum {
	O_SCENARIO,
	O_TRANSPORT,
	O_PROFILES,
	O_DEPTH,
	O_ITEMS,
	O_BYTES,
	O_RATE,
	O_SECONDS,
	O_WARMUP,
	O_POLICY,
	O_PIN,
	O_ONE_CPU,
	O_CSV,
	O_JSON,
	O_SERVER,
	O_SERVER_PATH,
	O_PATH,
	O_MODULES,
	O_VERBOSE,
	O_SERVE,
	O_HELP
};

static const opt options[] = {
	{"scenario", 0, "NAME", "what to measure, again for more; else ping-pong, pipeline, batch"},
	{"transport", 0, "NAME", "as an operand: uds, ring, 'uds>ring'; else the best baseline"},
	{"profiles", 0, "LIST", "offered by both sides, as in call; else those of the transport"},
	{"depth", 0, "N", "messages under way in pipeline and pipeline-batch, 1..64; else 16"},
	{"items", 0, "N",
	 "in a batch or a snapshot: 1..1000, or a range A..B of a batch, drawn anew\n"
	 "                        for each; else 2..1000, and 16 in a snapshot"},
	{"bytes", 0, "N", "of a payload, 64..16777216, K and M allowed, again for more; else 1M"},
	{"rate", 0, "N", "operations per second, again for more; else max"},
	{"seconds", 0, "S", "how long each is measured; else 2"},
	{"warmup", 0, "S", "how long each runs before that; else a quarter of it, at most 0.5"},
	{"policy", 0, "NAME", "of waiting, both sides: balanced, latency, frugal; else balanced"},
	{"pin", 0, NULL, "the client's thread on one processor, the server's threads on another"},
	{"one-cpu", 0, NULL, "everything on one processor, before the library starts"},
	{"csv", 0, NULL, "one line for each, and one above that says what is what"},
	{"json", 0, NULL, "the same as an array of objects"},
	{"server-program", 0, "FILE", "another build of this program for the server's side"},
	{"server-module-path", 0, "DIRS", "where that one's modules are"},
	{"module-path", 0, "DIRS", "where modules are, instead of the usual place"},
	CLI_MODULE_POLICY,
	{"verbose", 'v', NULL, "log what the library does to standard error"},
	{"serve", 0, "DIR", "the server's side; it is started by this program itself"},
	{"help", 'h', NULL, "this text"},
	{NULL, 0, NULL, NULL}};

static const char about[] =
	"Measures the way of calls through client, session, transport, server and service and\n"
	"back, between two processes, in a run directory of its own. Every answer is checked; a\n"
	"wrong one, a failed call or another profile than the one asked for is an error.\n"
	"TRANSPORTs are measured one after another. An upgrade by its own name stands on the best\n"
	"baseline. 'loop' stays in one process: the server is threads of it.\n"
	"\n"
	"Without --rate operations follow one another as fast as they go. Where they take up to\n"
	"2 us, only every 64th is timed, for a clock takes time as well. With --rate they are due\n"
	"at fixed times, and time counts from then, however late an earlier answer came; what is\n"
	"not begun at the end is left out. The client sleeps until the next one is due, but looks\n"
	"at the clock all the time where that is less than 50 us away, as at 100000 per second.\n";

/* -- options --------------------------------------------------------------------------------- */

static int too_many(const char *name)
{
	return cli_fail(CLI_USAGE, "--%s: expected at most %u of them", name, MAX_LIST);
}

static int add_scenario(bench *b, const char *value)
{
	const char *names[MAX_LIST], *near;
	uint32_t i;

	for (i = 0; bench_scenarios[i].name != NULL; i++) {
		names[i] = bench_scenarios[i].name;
		if (strcmp(names[i], value) != 0)
			continue;
		if (b->n_scenarios == MAX_LIST)
			return too_many("scenario");
		b->scenarios[b->n_scenarios++] = &bench_scenarios[i];
		return CLI_OK;
	}
	near = text_nearest(value, names, i);
	if (near != NULL)
		return cli_fail(CLI_USAGE, "--scenario: unknown '%s'; did you mean '%s'?", value,
				near);
	return cli_fail(CLI_USAGE,
			"--scenario: unknown '%s'; viaduct bench --help lists the scenarios",
			value);
}

static int add_transport(bench *b, const char *value)
{
	if (b->n_transports == MAX_LIST)
		return too_many("transport");
	b->transports[b->n_transports++] = value;
	return CLI_OK;
}

static int add_rate(bench *b, const char *value)
{
	uint64_t rate = 0;

	if (strcmp(value, "max") != 0 && (!text_u64(value, &rate) || rate == 0 || rate > 1000000))
		return cli_fail(CLI_USAGE, "--rate: expected max or 1..1000000, found '%s'", value);
	if (b->n_rates == MAX_LIST)
		return too_many("rate");
	b->rates[b->n_rates++] = rate;
	return CLI_OK;
}

static int add_bytes(bench *b, const char *value)
{
	uint64_t bytes;

	if (!text_size(value, &bytes) || bytes < BENCH_MIN_BYTES || bytes > BENCH_MAX_BYTES)
		return cli_fail(CLI_USAGE, "--bytes: expected %u..%u, found '%s'", BENCH_MIN_BYTES,
				BENCH_MAX_BYTES, value);
	if (b->n_bytes == MAX_LIST)
		return too_many("bytes");
	b->bytes[b->n_bytes++] = (uint32_t)bytes;
	return CLI_OK;
}

static int take_items(bench *b, const char *value)
{
	const char *dots = strstr(value, "..");
	uint64_t low, high;
	char first[16];

	(void)snprintf(first, sizeof first, "%.*s",
		       (int)(dots != NULL && dots - value < 15 ? dots - value : 15), value);
	if (!text_u64(first, &low) || !text_u64(dots != NULL ? dots + 2 : first, &high) ||
	    low == 0 || low > high || high > BENCH_MAX_ITEMS)
		return cli_fail(CLI_USAGE,
				"--items: expected 1..%u, or a range like 2..%u, found '%s'",
				BENCH_MAX_ITEMS, BENCH_MAX_ITEMS, value);
	b->min_items = (uint32_t)low;
	b->max_items = (uint32_t)high;
	return CLI_OK;
}

static int take_seconds(const char *name, const char *value, double min, uint64_t *ns)
{
	double v;

	if (!text_f64(value, &v) || !(v >= min && v <= 86400))
		return cli_fail(CLI_USAGE, "--%s: expected %g..86400, found '%s'", name, min,
				value);
	*ns = (uint64_t)(v * 1e9);
	return CLI_OK;
}

static int take_policy(bench *b, const char *value)
{
	static const char *const names[] = {
		[VIA_POLICY_BALANCED] = "balanced",
		[VIA_POLICY_LATENCY] = "latency",
		[VIA_POLICY_FRUGAL] = "frugal",
	};
	uint32_t i;

	for (i = 0; i < sizeof names / sizeof names[0]; i++) {
		if (strcmp(names[i], value) == 0) {
			b->row.policy = i;
			b->row.policy_name = names[i];
			return CLI_OK;
		}
	}
	return cli_fail(CLI_USAGE, "--policy: expected balanced, latency or frugal, found '%s'",
			value);
}

static int take_number(bench *b, int o, const char *value)
{
	uint64_t n;

	switch (o) {
	case O_ITEMS:
		return take_items(b, value);
	case O_SECONDS:
		return take_seconds("seconds", value, 0.01, &b->row.ns);
	case O_WARMUP:
		return take_seconds("warmup", value, 0, &b->row.warmup_ns);
	default:
		if (!text_u64(value, &n) || n == 0 || n > BENCH_MAX_DEPTH)
			return cli_fail(CLI_USAGE, "--depth: expected 1..%u, found '%s'",
					BENCH_MAX_DEPTH, value);
		b->row.depth = (uint32_t)n;
		return CLI_OK;
	}
}

static int take_flag(bench *b, int o)
{
	if ((o == O_PIN || o == O_ONE_CPU) && b->row.pin != BENCH_NO_PIN)
		return cli_fail(CLI_USAGE, "bench: expected one of --pin and --one-cpu, once");
	if ((o == O_CSV || o == O_JSON) && b->form != BENCH_TEXT)
		return cli_fail(CLI_USAGE, "bench: expected one of --csv and --json, once");
	b->row.pin = o == O_PIN ? BENCH_PIN : o == O_ONE_CPU ? BENCH_ONE_CPU : b->row.pin;
	b->form = o == O_CSV ? BENCH_CSV : o == O_JSON ? BENCH_JSON : b->form;
	b->setup.verbose |= o == O_VERBOSE;
	b->is_help |= o == O_HELP;
	return CLI_OK;
}

static int take_option(bench *b, int o, const char *value)
{
	switch (o) {
	case O_SCENARIO:
		return add_scenario(b, value);
	case O_TRANSPORT:
	case OPT_OPERAND:
		return add_transport(b, value);
	case O_PROFILES:
		b->row.profiles = value;
		return CLI_OK;
	case O_RATE:
		return add_rate(b, value);
	case O_BYTES:
		return add_bytes(b, value);
	case O_POLICY:
		return take_policy(b, value);
	case O_SERVER:
		b->setup.server_program = value;
		return CLI_OK;
	case O_SERVER_PATH:
		b->setup.server_modules = value;
		return CLI_OK;
	case O_PATH:
		b->setup.module_path = value;
		return CLI_OK;
	case O_MODULES:
		return cli_module_policy(value, &b->setup.module_policy);
	case O_SERVE:
		b->serve_dir = value;
		return CLI_OK;
	case O_DEPTH:
	case O_ITEMS:
	case O_SECONDS:
	case O_WARMUP:
		return take_number(b, o, value);
	default:
		return take_flag(b, o);
	}
}

static void set_defaults(bench *b)
{
	static const char *const usual[] = {"ping-pong", "pipeline", "batch"};
	uint32_t i;

	for (i = 0; b->n_scenarios == 0 || (i != 0 && i < 3); i++)
		(void)add_scenario(b, usual[i]);
	if (b->n_rates == 0)
		b->rates[b->n_rates++] = 0;
	if (b->n_bytes == 0)
		b->bytes[b->n_bytes++] = 1048576;
	if (b->row.warmup_ns == UINT64_MAX)
		b->row.warmup_ns = b->row.ns / 4 < 500000000 ? b->row.ns / 4 : 500000000;
}

static int read_options(bench *b, int argc, char **argv)
{
	opt_parser p;
	int o, status;

	b->row.depth = 16;
	b->row.ns = 2000000000;
	b->row.warmup_ns = UINT64_MAX;
	(void)take_policy(b, "balanced");
	opt_begin(&p, options, argc, argv);
	while ((o = opt_next(&p)) != OPT_END) {
		if (o == OPT_BAD)
			return bad_option("bench", &p);
		status = take_option(b, o, p.value);
		if (status != CLI_OK)
			return status;
	}
	if (b->setup.server_modules != NULL && b->setup.server_program == NULL)
		return cli_fail(CLI_USAGE, "--server-module-path: expected --server-program too");
	set_defaults(b);
	return CLI_OK;
}

static int help(void)
{
	buf text = {0};
	uint32_t i;
	int status;

	buf_text(&text, about);
	buf_text(&text, "\nScenarios:\n");
	for (i = 0; bench_scenarios[i].name != NULL; i++)
		buf_printf(&text, "  %-15s %s\n", bench_scenarios[i].name,
			   bench_scenarios[i].about);
	status = print_help("viaduct bench [OPTION...] [TRANSPORT...]", buf_string(&text), options);
	buf_free(&text);
	return status;
}

/* -- rows ------------------------------------------------------------------------------------ */

static int run_row(bench *b, const bench_row *row)
{
	int status = bench_row_run(&b->setup, row, &b->result);

	return status == CLI_OK ? bench_out_row(&b->out, row, &b->result) : status;
}

/* A row, and what it is compared with. */
static int run_pair(bench *b, const bench_row *row)
{
	int status = run_row(b, row);
	bench_row copy = *row;

	if (status != CLI_OK || !row->scenario->has_bytes)
		return status;
	copy.scenario = &bench_memcpy;
	copy.transport = "memcpy";
	copy.is_local = 1;
	copy.rate = 0;
	return run_row(b, &copy);
}

static int run_scenario(bench *b, bench_row *row)
{
	const bench_scenario *what = row->scenario;
	uint32_t i, j, n_bytes = what->has_bytes ? b->n_bytes : 1;
	int status = CLI_OK;

	row->min_items = b->min_items;
	row->max_items = b->max_items;
	if (b->max_items == 0 && what->has_batches) {
		row->min_items = 2;
		row->max_items = BENCH_MAX_ITEMS;
	} else if (b->max_items == 0) {
		row->min_items = row->max_items = 16;
	}
	if (!what->has_batches) /* only batches draw their size */
		row->min_items = row->max_items;
	for (i = 0; i < n_bytes; i++) {
		row->bytes = b->bytes[i];
		for (j = 0; status == CLI_OK && j < b->n_rates; j++) {
			row->rate = b->rates[j];
			status = run_pair(b, row);
		}
	}
	return status;
}

static int run_transport(bench *b, via_registry *r, const char *text)
{
	bench_row row = b->row;
	char name[256];
	uint32_t i;
	int status = bench_resolve(r, text, &row, name, sizeof name);

	for (i = 0; status == CLI_OK && i < b->n_scenarios; i++) {
		row.scenario = b->scenarios[i];
		status = run_scenario(b, &row);
	}
	return status;
}

static int check_rows(const bench *b)
{
	uint32_t i, j;

	for (i = 0; i < b->n_scenarios; i++) {
		if (b->scenarios[i]->prepare == NULL)
			continue;
		for (j = 0; j < b->n_rates; j++) {
			if (b->rates[j] != 0)
				return cli_fail(CLI_USAGE, "--rate: %s has no rate but max",
						b->scenarios[i]->name);
		}
		if (b->row.pin == BENCH_PIN)
			return cli_fail(CLI_USAGE, "--pin: %s starts its threads anew each time",
					b->scenarios[i]->name);
	}
	return CLI_OK;
}

static int prepare_cpus(const bench *b)
{
	uint16_t cpus[SYS_CPUS];
	char why[SYS_WHY];
	uint32_t n = b->row.pin != BENCH_NO_PIN ? sys_cpus(cpus) : 2;

	if (n == 0)
		return cli_fail(CLI_USAGE, "--pin and --one-cpu: not on this system");
	if (n < 2 && b->row.pin == BENCH_PIN)
		return cli_fail(CLI_FAILED, "--pin: expected two usable processors, found one");
	if (b->row.pin == BENCH_ONE_CPU && !sys_pin_all(cpus[0], why))
		return cli_fail(CLI_FAILED, "--one-cpu: %s", why);
	return CLI_OK;
}

static int run_all(bench *b, via_registry *r)
{
	char best[64];
	uint32_t i;
	int status = CLI_OK, written;

	if (b->n_transports == 0) {
		status = bench_best(r, best, sizeof best);
		b->transports[b->n_transports++] = best;
	}
	if (status == CLI_OK)
		status = bench_out_begin(&b->out, b->form);
	if (status != CLI_OK)
		return status;
	for (i = 0; status == CLI_OK && i < b->n_transports; i++)
		status = run_transport(b, r, b->transports[i]);
	written = bench_out_end(&b->out);
	return status == CLI_OK ? written : status;
}

/* For names: nothing is measured with it. */
static int open_index(const bench *b, via_registry **out)
{
	via_registry_options o = VIA_REGISTRY_OPTIONS_INIT;

	o.module_path = b->setup.module_path;
	o.module_policy = b->setup.module_policy;
	return open_registry_with(&o, 0, out);
}

static int run(bench *b)
{
	via_registry *r;
	int status = open_index(b, &r);

	if (status != CLI_OK)
		return status;
	status = run_all(b, r);
	(void)via_registry_close(r);
	return status;
}

static int serve(bench *b)
{
	bench_row *row = &b->row;
	via_registry *r;
	char name[256];
	int status = open_index(b, &r);

	if (status != CLI_OK)
		return status;
	row->scenario = b->scenarios[0];
	row->bytes = b->bytes[0];
	row->min_items = b->min_items;
	row->max_items = b->max_items;
	status = bench_resolve(r, b->n_transports != 0 ? b->transports[0] : "", row, name,
			       sizeof name);
	(void)via_registry_close(r);
	return status == CLI_OK ? bench_serve(&b->setup, row, b->serve_dir) : status;
}

static int begin(bench *b)
{
	char why[SYS_WHY];
	int status;

	if (!sys_signals_take(SYS_STOP, why))
		return cli_fail(CLI_FAILED, "signals: %s", why);
	if (b->serve_dir != NULL)
		return serve(b);
	status = check_rows(b);
	if (status == CLI_OK)
		status = prepare_cpus(b);
	if (status == CLI_OK)
		status = bench_watch_start(b->form == BENCH_TEXT && sys_is_terminal());
	if (status != CLI_OK)
		return status;
	sys_sleep_exactly();
	status = run(b);
	bench_watch_stop();
	return status;
}

int cmd_bench(int argc, char **argv)
{
	bench *b = calloc(1, sizeof *b); /* a histogram is no thing for a stack */
	int status;

	if (b == NULL)
		return cli_fail(CLI_FAILED, "no memory");
	status = read_options(b, argc, argv);
	if (status == CLI_OK)
		status = b->is_help ? help() : begin(b);
	free(b);
	return status;
}
