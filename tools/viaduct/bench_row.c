/* tools/viaduct/bench_row.c - `viaduct bench`: one row, from setting up to tearing down. */
#include "bench.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SPIN_BELOW_NS 50000u     /* a shorter wait for the schedule is spent looking at the clock */
#define SLEEP_SLICE_NS 50000000u /* between two looks at whether to stop */
#define SECOND 1000000000u

/* -- failing --------------------------------------------------------------------------------- */

int bench_fail(bench_run *b, const char *fmt, ...)
{
	va_list ap;

	if (b->why[0] != '\0')
		return 0;
	va_start(ap, fmt);
	(void)vsnprintf(b->why, sizeof b->why, fmt, ap);
	va_end(ap);
	return 0;
}

int bench_fail_rc(bench_run *b, via_rc rc, const char *what)
{
	const char *detail = via_error();

	return bench_fail(b, "%s: %s", what, detail[0] != '\0' ? detail : via_rc_text(rc));
}

/* -- connecting ------------------------------------------------------------------------------ */

static int check_profile(bench_run *b, via_session *s)
{
	via_session_info info = {.struct_size = sizeof info};
	const char *reason = "";
	uint32_t i;

	via_session_get_info(s, &info);
	b->result->profile = info.selected;
	if ((info.selected & b->row->asked) != 0)
		return 1;
	for (i = 0; i < info.n_candidates; i++) {
		const via_candidate *c = &info.candidates[i];

		if ((c->profile & b->row->asked) != 0)
			reason = c->reason[0] != '\0' ? c->reason : via_verdict_text(c->verdict);
	}
	return bench_fail(b, "profile: expected one of 0x%x, the handshake chose 0x%x: %s",
			  b->row->asked, info.selected, reason);
}

int bench_connect_session(bench_run *b)
{
	via_rc rc = via_session_connect(b->host->registry, &b->ep, &b->config,
					via_deadline(BENCH_PATIENCE_NS), &b->session);

	if (rc != VIA_OK)
		return bench_fail_rc(b, rc, "connecting");
	return check_profile(b, b->session);
}

int bench_connect_client(bench_run *b)
{
	via_client_options o = {.struct_size = sizeof o,
				.call_timeout_ms = BENCH_PATIENCE_MS,
				.endpoint = b->ep,
				.config = b->config};
	via_rc rc = via_client_open(b->host->registry, &o, &b->client);

	if (rc == VIA_OK)
		rc = via_client_refresh(b->client, via_deadline(BENCH_PATIENCE_NS));
	if (rc != VIA_OK)
		return bench_fail_rc(b, rc, "connecting");
	return check_profile(b, via_client_session(b->client));
}

void bench_disconnect(bench_run *b)
{
	via_client_close(b->client);
	via_session_close(b->session);
	b->client = NULL;
	b->session = NULL;
}

/* -- pace ------------------------------------------------------------------------------------ */

via_time bench_due(const bench_run *b, uint64_t i)
{
	const uint64_t rate = b->row->rate;

	return b->phase.start + i / rate * SECOND + i % rate * SECOND / rate;
}

int bench_pace(via_time due)
{
	via_time now;

	while ((now = via_now()) < due) {
		if (atomic_load_explicit(&bench_stop, memory_order_relaxed) != 0)
			return 0;
		if (due - now > SPIN_BELOW_NS)
			sys_sleep(due - now < SLEEP_SLICE_NS ? due - now : SLEEP_SLICE_NS);
	}
	return 1;
}

uint64_t bench_random(uint64_t *state)
{
	uint64_t x = *state += 0x9E3779B97F4A7C15u; /* splitmix64 */

	x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
	x = (x ^ x >> 27) * 0x94D049BB133111EBu;
	return x ^ x >> 31;
}

/* -- operations one after another ------------------------------------------------------------ */

static int stopped(bench_run *b)
{
	atomic_store_explicit(&bench_ops_so_far, b->phase.ops, memory_order_relaxed);
	return atomic_load_explicit(&bench_stop, memory_order_relaxed) != 0;
}

/* With what is to be prepared before each operation, outside its time. */
static int run_prepared(bench_run *b)
{
	const bench_scenario *what = b->row->scenario;
	bench_phase *p = &b->phase;
	via_time before, start, end;

	do {
		before = via_now();
		if (!what->prepare(b))
			return 0;
		start = via_now();
		p->patience = start + BENCH_PATIENCE_NS;
		if (!what->op(b))
			return 0;
		end = via_now();
		p->untimed_ns += start - before;
		p->ops++;
		hist_record(&b->result->times, end - start);
	} while (end < p->end && p->ops != p->max_ops && !stopped(b));
	return 1;
}

/* Every stride'th operation is timed; all of them count. */
static int run_unpaced(bench_run *b)
{
	bench_op *const op = b->row->scenario->op;
	bench_phase *p = &b->phase;
	via_time start, end = via_now();
	uint32_t i;

	do {
		start = p->stride == 1 ? end : via_now();
		p->patience = start + BENCH_PATIENCE_NS;
		if (!op(b))
			return 0;
		end = via_now();
		hist_record(&b->result->times, end - start);
		for (i = 1; i < p->stride; i++) {
			if (!op(b))
				return 0;
		}
		p->ops += p->stride;
	} while (end < p->end && p->ops != p->max_ops && !stopped(b));
	return 1;
}

/* Open loop: times count from when the operation was due, so one that is late because the one before
 * it took long is as slow as it looks from outside. What is not begun by the end is not done. */
static int run_paced(bench_run *b)
{
	bench_op *const op = b->row->scenario->op;
	bench_phase *p = &b->phase;
	via_time due, now = p->start;

	while ((due = bench_due(b, p->ops)) < p->end && now < p->end && p->ops != p->max_ops) {
		if (!bench_pace(due) || !op(b))
			return 0;
		now = via_now();
		p->ops++;
		p->patience = now + 2 * BENCH_PATIENCE_NS; /* what is due next may be due late */
		hist_record(&b->result->times, now - due);
		if (stopped(b))
			return 1;
	}
	return p->max_ops != BENCH_UNLIMITED || bench_pace(p->end);
}

static int run_phase(bench_run *b, uint64_t ns, uint64_t max_ops, uint32_t stride)
{
	const bench_scenario *what = b->row->scenario;

	memset(&b->phase, 0, sizeof b->phase);
	hist_reset(&b->result->times);
	b->phase.stride = stride;
	b->phase.max_ops = max_ops;
	b->phase.start = via_now();
	b->phase.end = b->phase.start + ns;
	b->phase.patience = b->phase.start + BENCH_PATIENCE_NS;
	if (what->op == NULL)
		return bench_pipe_run(b);
	if (what->prepare != NULL)
		return run_prepared(b);
	return b->row->rate != 0 ? run_paced(b) : run_unpaced(b);
}

/* -- one row --------------------------------------------------------------------------------- */

static int pin(bench_run *b)
{
	uint16_t cpus[SYS_CPUS];
	char why[SYS_WHY];

	if (b->row->pin != BENCH_PIN || b->row->scenario->link == BENCH_NONE)
		return 1;
	if (sys_cpus(cpus) < 2)
		return bench_fail(b, "--pin: expected two processors, found one");
	if (!bench_host_pin(b->host, cpus[1]))
		return bench_fail(b, "%s", b->host->why);
	return sys_pin_thread(cpus[0], why) || bench_fail(b, "--pin: %s", why);
}

static uint64_t client_cpu(const bench_run *b)
{
	return b->row->is_local ? sys_thread_cpu() : sys_process_cpu();
}

static int server_cpu(bench_run *b, uint64_t *ns)
{
	*ns = 0;
	if (b->row->scenario->link == BENCH_NONE)
		return 1;
	return bench_host_cpu(b->host, ns) || bench_fail(b, "%s", b->host->why);
}

static int measure(bench_run *b, uint32_t stride)
{
	bench_result *r = b->result;
	uint64_t server_before, server_after, client_before;

	if (!server_cpu(b, &server_before))
		return 0;
	client_before = client_cpu(b);
	bench_watch_row(b->row, via_now());
	if (!run_phase(b, b->row->ns, BENCH_UNLIMITED, stride))
		return 0;
	r->span_ns = via_now() - b->phase.start - b->phase.untimed_ns;
	bench_watch_row(NULL, 0);
	r->client_cpu_ns = client_cpu(b) - client_before;
	if (!server_cpu(b, &server_after))
		return 0;
	r->server_cpu_ns = server_after - server_before;
	r->ops = b->phase.ops;
	r->units = b->phase.units;
	r->verified = b->phase.verified;
	r->stride = stride;
	return 1;
}

/* The first operation loads modules and maps memory; threads are pinned after it, so that the library
 * has seen a process that may use them all. The warm-up says whether operations are fast. */
static int run(bench_run *b)
{
	const bench_scenario *what = b->row->scenario;
	uint32_t stride = 1;

	if (what->link == BENCH_CLIENT && !bench_connect_client(b))
		return 0;
	if (what->link == BENCH_SESSION && !bench_connect_session(b))
		return 0;
	bench_watch_link(b->client, b->session);
	if (what->open != NULL && !what->open(b))
		return 0;
	if (!run_phase(b, BENCH_PATIENCE_NS, 1, 1) || !pin(b) ||
	    !run_phase(b, b->row->warmup_ns, BENCH_UNLIMITED, 1))
		return 0;
	if (b->row->rate == 0 && what->prepare == NULL &&
	    (via_now() - b->phase.start) / b->phase.ops <= BENCH_FAST_NS)
		stride = BENCH_SAMPLE;
	return atomic_load(&bench_stop) == 0 && measure(b, stride);
}

static void close_run(bench_run *b)
{
	bench_watch_row(NULL, 0);
	bench_watch_link(NULL, NULL);
	if (b->row->scenario->close != NULL)
		b->row->scenario->close(b);
	bench_disconnect(b);
	if (b->codec.vtable != NULL)
		via_registry_release(b->host->registry, &b->codec);
}

int bench_row_run(const bench_setup *setup, const bench_row *row, bench_result *out)
{
	bench_run b = {.row = row, .result = out, .codec = {.struct_size = sizeof b.codec}};
	uint16_t cpus[SYS_CPUS];
	uint32_t n_cpus = row->pin == BENCH_PIN ? sys_cpus(cpus) : 0;
	bench_host host;
	int is_good, is_told;

	memset(out, 0, offsetof(bench_result, times)); /* every phase resets the times */
	b.host = &host;
	b.ep = (via_endpoint){.struct_size = sizeof b.ep,
			      .service = row->scenario->service,
			      .run_dir = host.run_dir,
			      .transport = row->transport};
	bench_config(row, &b.config);
	is_good = bench_host_start(&host, setup, row) || bench_fail(&b, "%s", host.why);
	is_good = is_good && run(&b);
	if (is_good)
		bench_build(host.registry, row->transport, out->client_build,
			    sizeof out->client_build);
	(void)memcpy(out->server_build, host.build, sizeof host.build);
	close_run(&b);
	if (!bench_host_stop(&host) && is_good)
		is_good = bench_fail(&b, "%s", host.why);
	if (n_cpus != 0) /* what the next row starts must not be pinned */
		sys_unpin_thread(cpus, n_cpus);
	if (atomic_load(&bench_stop) != 0)
		return cli_fail(CLI_FAILED, "bench: interrupted");
	if (is_good)
		return CLI_OK;
	is_told = host.why[0] == '\0' || strstr(b.why, host.why) != NULL;
	return cli_fail(CLI_FAILED, "%s over %s: %s%s%s", row->scenario->name, row->transport,
			b.why, is_told ? "" : "; ", is_told ? "" : host.why);
}
