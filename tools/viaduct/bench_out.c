/* tools/viaduct/bench_out.c - `viaduct bench`: results for people, as CSV and as JSON. */
#include "bench.h"

#include <stdio.h>
#include <string.h>

#define PICTURE 16u /* lines of the histogram */

static const char *const pins[] = {"no", "pin", "one-cpu"};

static double per_second(uint64_t n, uint64_t ns)
{
	return ns != 0 ? (double)n * 1e9 / (double)ns : 0;
}

static uint64_t units_of(const bench_row *row, const bench_result *r)
{
	return row->scenario->units != NULL ? r->units : r->ops;
}

static void put_range(buf *b, uint32_t low, uint32_t high)
{
	if (low == high)
		buf_printf(b, "%u", low);
	else
		buf_printf(b, "%u..%u", low, high);
}

/* -- CSV ------------------------------------------------------------------------------------- */

static const char csv_head[] =
	"scenario,transport,policy,rate,depth,items,bytes,pin,seconds,ops,ops_per_s,units,"
	"units_per_s,p50_ns,p95_ns,p99_ns,p999_ns,max_ns,client_cpu_s,server_cpu_s,verified,"
	"client_build,server_build,profile\n";

static const uint32_t quantiles[] = {500000, 950000, 990000, 999000};
static const char *const quantile_names[] = {"p50_ns", "p95_ns", "p99_ns", "p999_ns"};

/* What a scenario does not have stays empty. */
static void csv_row(buf *b, const bench_row *row, const bench_result *r)
{
	const bench_scenario *what = row->scenario;
	uint32_t i;

	buf_printf(b, "%s,%s,%s,", what->name, row->transport, row->policy_name);
	if (row->rate != 0)
		buf_printf(b, "%llu,", (unsigned long long)row->rate);
	else
		buf_text(b, "max,");
	if (what->has_depth)
		buf_printf(b, "%u", row->depth);
	buf_char(b, ',');
	if (what->has_items)
		put_range(b, row->min_items, row->max_items);
	buf_char(b, ',');
	if (what->has_bytes)
		buf_printf(b, "%u", row->bytes);
	buf_printf(b, ",%s,%.6f,%llu,%.3f,%llu,%.3f", pins[row->pin], (double)r->span_ns / 1e9,
		   (unsigned long long)r->ops, per_second(r->ops, r->span_ns),
		   (unsigned long long)units_of(row, r), per_second(units_of(row, r), r->span_ns));
	for (i = 0; i < 4; i++)
		buf_printf(b, ",%llu", (unsigned long long)hist_quantile(&r->times, quantiles[i]));
	buf_printf(b, ",%llu,%.6f,%.6f,%llu,%s,%s,0x%x\n", (unsigned long long)r->times.max,
		   (double)r->client_cpu_ns / 1e9, (double)r->server_cpu_ns / 1e9,
		   (unsigned long long)r->verified, r->client_build, r->server_build, r->profile);
}

/* -- JSON ------------------------------------------------------------------------------------ */

static void json_text(json_writer *w, const char *name, const char *text)
{
	json_key(w, name);
	json_put_text(w, text);
}

static void json_u64_of(json_writer *w, const char *name, uint64_t v)
{
	json_key(w, name);
	json_put_u64(w, v);
}

static void json_f64_of(json_writer *w, const char *name, double v)
{
	json_key(w, name);
	json_put_f64(w, v);
}

static void json_settings(json_writer *w, const bench_row *row)
{
	const bench_scenario *what = row->scenario;

	json_text(w, "scenario", what->name);
	json_text(w, "transport", row->transport);
	json_text(w, "policy", row->policy_name);
	if (row->rate != 0)
		json_u64_of(w, "rate", row->rate);
	else
		json_text(w, "rate", "max");
	if (what->has_depth)
		json_u64_of(w, "depth", row->depth);
	if (what->has_items) {
		json_u64_of(w, "min_items", row->min_items);
		json_u64_of(w, "max_items", row->max_items);
	}
	if (what->has_bytes)
		json_u64_of(w, "bytes", row->bytes);
	json_text(w, "pin", pins[row->pin]);
}

static void json_row(json_writer *w, const bench_row *row, const bench_result *r)
{
	uint32_t i;

	json_open(w, '{');
	json_settings(w, row);
	json_f64_of(w, "seconds", (double)r->span_ns / 1e9);
	json_u64_of(w, "ops", r->ops);
	json_f64_of(w, "ops_per_s", per_second(r->ops, r->span_ns));
	json_u64_of(w, "units", units_of(row, r));
	json_f64_of(w, "units_per_s", per_second(units_of(row, r), r->span_ns));
	json_u64_of(w, "timed_every", r->stride);
	for (i = 0; i < 4; i++)
		json_u64_of(w, quantile_names[i], hist_quantile(&r->times, quantiles[i]));
	json_u64_of(w, "max_ns", r->times.max);
	json_f64_of(w, "client_cpu_s", (double)r->client_cpu_ns / 1e9);
	json_f64_of(w, "server_cpu_s", (double)r->server_cpu_ns / 1e9);
	json_u64_of(w, "verified", r->verified);
	json_text(w, "client_build", r->client_build);
	json_text(w, "server_build", r->server_build);
	json_u64_of(w, "profile", r->profile);
	json_close(w, '}');
}

/* -- for people ------------------------------------------------------------------------------ */

static void put_rate(buf *b, double v, const char *of)
{
	if (strcmp(of, "bytes") == 0)
		buf_printf(b, "%.2f GB/s", v / 1e9);
	else if (v >= 1e6)
		buf_printf(b, "%.2f million %s/s", v / 1e6, of);
	else
		buf_printf(b, "%.0f %s/s", v, of);
}

static const char *ops_name(const bench_row *row)
{
	if (row->scenario->op == NULL)
		return "messages";
	return row->scenario->link == BENCH_CLIENT ? "calls" : "times";
}

static void text_head(buf *b, const bench_row *row)
{
	const bench_scenario *what = row->scenario;

	buf_printf(b, "%s", what->name);
	if (row->scenario->link != BENCH_NONE)
		buf_printf(b, " over %s", row->transport);
	if (what->has_depth)
		buf_printf(b, ", depth %u", row->depth);
	if (what->has_items) {
		buf_text(b, ", ");
		put_range(b, row->min_items, row->max_items);
		buf_text(b, " items");
	}
	if (what->has_bytes)
		buf_printf(b, ", %u bytes", row->bytes);
	if (row->rate != 0)
		buf_printf(b, ", %llu/s", (unsigned long long)row->rate);
	buf_printf(b, ", %s%s\n", row->policy_name,
		   row->pin == BENCH_PIN       ? ", a processor for each side"
		   : row->pin == BENCH_ONE_CPU ? ", one processor"
					       : "");
}

static void text_times(buf *b, const bench_result *r)
{
	static const char *const names[] = {"p50 ", "  p95 ", "  p99 ", "  p99.9 "};
	uint32_t i;

	buf_text(b, "  ");
	for (i = 0; i < 4; i++) {
		buf_text(b, names[i]);
		hist_time(b, hist_quantile(&r->times, quantiles[i]));
	}
	buf_text(b, "  max ");
	hist_time(b, r->times.max);
	if (r->stride != 1)
		buf_printf(b, "  (every %uth was timed)", r->stride);
	buf_char(b, '\n');
}

static void text_row(buf *b, const bench_row *row, const bench_result *r)
{
	const char *units = row->scenario->units;

	text_head(b, row);
	buf_text(b, "  ");
	put_rate(b, per_second(r->ops, r->span_ns), ops_name(row));
	if (units != NULL) {
		buf_text(b, ", ");
		put_rate(b, per_second(r->units, r->span_ns), units);
	}
	buf_printf(b, ", %llu answers verified\n", (unsigned long long)r->verified);
	text_times(b, r);
	buf_printf(b, "  processor time: client %.2f s, server %.2f s in %.2f s\n",
		   (double)r->client_cpu_ns / 1e9, (double)r->server_cpu_ns / 1e9,
		   (double)r->span_ns / 1e9);
	hist_draw(b, &r->times, PICTURE);
	buf_char(b, '\n');
}

static void cell(table *t, buf *b)
{
	table_cell(t, b->data, b->len);
	b->len = 0;
}

static void summary_row(table *t, const bench_row *row, const bench_result *r)
{
	buf b = {0};

	text_head(&b, row);
	if (b.len != 0)
		b.len--; /* its '\n' */
	cell(t, &b);
	put_rate(&b, per_second(r->ops, r->span_ns), ops_name(row));
	cell(t, &b);
	if (row->scenario->units != NULL)
		put_rate(&b, per_second(r->units, r->span_ns), row->scenario->units);
	cell(t, &b);
	hist_time(&b, hist_quantile(&r->times, 500000));
	cell(t, &b);
	hist_time(&b, hist_quantile(&r->times, 990000));
	cell(t, &b);
	t->failed |= b.failed;
	buf_free(&b);
}

/* -- all three ------------------------------------------------------------------------------- */

/* What is there is written at once: a later row may fail. */
static int write_now(buf *b)
{
	int status = cli_write(b);

	return status == CLI_OK ? cli_finish(CLI_OK) : status;
}

int bench_out_begin(bench_out *o, uint32_t form)
{
	static const char *const heads[] = {"measured", "rate", "", "p50", "p99"};
	uint32_t i;

	memset(o, 0, sizeof *o);
	o->form = form;
	o->json = (json_writer){.out = &o->text, .lines = 1};
	if (form == BENCH_CSV) {
		buf_text(&o->text, csv_head);
		return write_now(&o->text);
	}
	if (form == BENCH_JSON) {
		json_open(&o->json, '[');
		return CLI_OK;
	}
	table_begin(&o->table, 5);
	for (i = 0; i < 5; i++) {
		table_text(&o->table, heads[i][0] != '\0' ? heads[i] : " ");
		o->table.is_number[i] = i != 0;
	}
	return CLI_OK;
}

int bench_out_row(bench_out *o, const bench_row *row, const bench_result *r)
{
	o->n_rows++;
	if (o->form == BENCH_CSV) {
		csv_row(&o->text, row, r);
		return write_now(&o->text);
	}
	if (o->form == BENCH_JSON) {
		json_row(&o->json, row, r);
		return CLI_OK;
	}
	text_row(&o->text, row, r);
	summary_row(&o->table, row, r);
	return write_now(&o->text);
}

int bench_out_end(bench_out *o)
{
	if (o->form == BENCH_JSON) {
		json_close(&o->json, ']');
		buf_char(&o->text, '\n');
	}
	if (o->form == BENCH_TEXT)
		table_end(&o->table, &o->text);
	if (o->form == BENCH_TEXT ? o->n_rows > 1 : o->n_rows != 0)
		return write_now(&o->text);
	buf_free(&o->text); /* nothing was measured, or nothing to sum up */
	return CLI_OK;
}
