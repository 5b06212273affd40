/* tools/viaduct/bench_host.c - `viaduct bench`: the client's hold on the server, a process of its own
 * or, for a transport that stays in one process, this one.
 */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int fail(bench_host *h, const char *what, const char *why)
{
	(void)snprintf(h->why, sizeof h->why, "%s: %s", what, why);
	return 0;
}

/* -- its process ----------------------------------------------------------------------------- */

/* The process is gone or out of step: says how it ended. */
static int lost(bench_host *h)
{
	(void)sys_child_end(&h->child, 1000);
	(void)snprintf(h->why, sizeof h->why, "the server process %s", h->child.end);
	return 0;
}

/* Tells a line and takes the answer, which begins with `expected`. */
static int ask(bench_host *h, const char *line, const char *expected, char answer[SYS_LINE])
{
	if (line != NULL && !sys_child_tell(&h->child, line))
		return lost(h);
	switch (sys_child_hear(&h->child, answer, BENCH_PATIENCE_MS, &bench_stop)) {
	case 0:
		return lost(h);
	case -1:
		return fail(h, expected, "the server process does not answer");
	default:
		break;
	}
	if (strncmp(answer, expected, strlen(expected)) == 0)
		return 1;
	return fail(h, expected, "the server process answered something else");
}

static int start_process(bench_host *h)
{
	const bench_row *row = h->row;
	const bench_setup *setup = h->setup;
	char own[SYS_PATH], items[32], bytes[16], line[SYS_LINE], why[SYS_WHY];
	const char *program = setup->server_program, *argv[24];
	const char *modules = program != NULL ? setup->server_modules : setup->module_path;
	size_t n = 0, len;

	if (program == NULL && !sys_own_program(own, sizeof own, why))
		return fail(h, "this program's path", why);
	program = program != NULL ? program : own;
	(void)snprintf(items, sizeof items, "%u..%u", row->min_items, row->max_items);
	(void)snprintf(bytes, sizeof bytes, "%u", row->bytes);
	argv[n++] = program;
	argv[n++] = "bench";
	argv[n++] = "--serve";
	argv[n++] = h->run_dir;
	argv[n++] = "--scenario";
	argv[n++] = row->scenario->name;
	argv[n++] = "--transport";
	argv[n++] = row->transport;
	argv[n++] = "--policy";
	argv[n++] = row->policy_name;
	argv[n++] = "--items";
	argv[n++] = items;
	argv[n++] = "--bytes";
	argv[n++] = bytes;
	if (row->profiles != NULL) {
		argv[n++] = "--profiles";
		argv[n++] = row->profiles;
	}
	if (modules != NULL) {
		argv[n++] = "--module-path";
		argv[n++] = modules;
	}
	if (setup->module_policy ==
	    VIA_MODULES_LOCKED) { /* another build may not know the option */
		argv[n++] = "--module-policy";
		argv[n++] = "locked";
	}
	argv[n] = NULL;
	if (!sys_child_start(&h->child, program, argv, why))
		return fail(h, "the server process", why);
	if (!ask(h, NULL, "ready ", line))
		return 0;
	len = strlen(line + 6);
	if (len >= sizeof h->build || line[6 + strcspn(line + 6, ",\"\\\r\t")] != '\0')
		return fail(h, "ready", "the server process names a build that is no name");
	memcpy(h->build, line + 6, len + 1);
	return 1;
}

/* -- what the row asks of it ----------------------------------------------------------------- */

static int start_here(bench_host *h)
{
	if (bench_server_open(&h->local, h->registry, h->row, h->run_dir) == CLI_OK)
		return 1;
	return fail(h, "server", "it does not start");
}

static int is_served_here(const bench_host *h)
{
	return h->row->is_local && h->row->scenario->link != BENCH_NONE;
}

static int open_both(bench_host *h)
{
	if (bench_open_registry(h->setup, h->row, &h->registry) != CLI_OK)
		return fail(h, "module registry", "it does not open");
	return !is_served_here(h) || start_here(h);
}

static void close_both(bench_host *h)
{
	if (is_served_here(h))
		bench_server_close(&h->local);
	if (h->registry != NULL)
		(void)via_registry_close(h->registry);
	h->registry = NULL;
}

int bench_host_start(bench_host *h, const bench_setup *setup, const bench_row *row)
{
	char why[SYS_WHY];

	memset(h, 0, sizeof *h);
	h->setup = setup;
	h->row = row;
	if (!sys_temp_make(h->run_dir, why))
		return fail(h, "run directory", why);
	h->has_dir = 1;
	if (!open_both(h))
		return 0;
	if (!row->is_local)
		return start_process(h);
	bench_build(h->registry, row->transport, h->build, sizeof h->build);
	return 1;
}

int bench_host_pin(bench_host *h, uint32_t cpu)
{
	char line[SYS_LINE], why[SYS_WHY];

	if (h->row->is_local)
		return sys_pin_others(cpu, why) || fail(h, "pinning the server's threads", why);
	(void)snprintf(line, sizeof line, "pin %u\n", cpu);
	return ask(h, line, "ok", line);
}

int bench_host_cpu(bench_host *h, uint64_t *ns)
{
	char line[SYS_LINE];

	if (h->row->is_local) { /* everything that is not the client's thread */
		*ns = sys_process_cpu() - sys_thread_cpu();
		return 1;
	}
	if (!ask(h, "cpu\n", "cpu ", line))
		return 0;
	*ns = strtoull(line + 4, NULL, 10);
	return 1;
}

int bench_host_renew(bench_host *h)
{
	char line[SYS_LINE];

	close_both(h);
	if (!open_both(h))
		return 0;
	return h->row->is_local || ask(h, "renew\n", "ok", line);
}

int bench_host_stop(bench_host *h)
{
	char why[SYS_WHY];
	int is_good = 1;

	if (h->child.is_running && !sys_child_end(&h->child, BENCH_PATIENCE_MS) &&
	    h->why[0] == '\0') {
		(void)snprintf(h->why, sizeof h->why, "the server process %s", h->child.end);
		is_good = 0;
	}
	if (h->row != NULL)
		close_both(h);
	if (h->has_dir && !sys_temp_remove(h->run_dir, why)) {
		(void)fail(h, "run directory", why);
		is_good = 0;
	}
	h->has_dir = 0;
	return is_good;
}
