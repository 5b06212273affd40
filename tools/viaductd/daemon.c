/* tools/viaductd/daemon.c - serves what the configuration names until it is told to stop.
 *
 * Threads: the main thread only waits for requests from outside; the workers of the servers answer. Order
 * of the end: servers, registry, run directory.
 */
#include "daemon.h"

#include "log.h"
#include "supervisor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WATCH_LEAST_NS 10000000u /* no supervisor needs more looks than this asks for */

static int fail_rc(via_rc rc, const char *what)
{
	const char *detail = via_error();

	log_line(VIA_LOG_ERROR, "%s: %s", what, detail[0] != '\0' ? detail : via_rc_text(rc));
	return CLI_FAILED;
}

static void tell(int state, uint64_t within_ns)
{
	char why[SYS_WHY];

	if (!supervisor_tell(state, within_ns, why))
		log_line(VIA_LOG_WARN, "%s", why);
}

/* -- start ----------------------------------------------------------------------------------- */

static int open_registry(daemon_state *d)
{
	via_registry_options o = VIA_REGISTRY_OPTIONS_INIT;
	const conf_module *m;
	via_rc rc;

	o.load_mode = d->c->load;
	o.policy = d->c->policy;
	o.module_policy = d->c->module_policy;
	o.log_level = (int32_t)d->c->log_level;
	o.module_path = d->c->module_path[0] != '\0' ? d->c->module_path : NULL;
	o.log = log_from_library;
	rc = via_registry_open(&o, &d->registry);
	if (rc != VIA_OK)
		return fail_rc(rc, "module registry");
	for (m = d->c->modules; m != NULL; m = m->next) {
		buf lines = {0};

		buf_put(&lines, m->lines.data, m->lines.len);
		rc = via_registry_configure(d->registry, m->id, buf_string(&lines));
		buf_free(&lines);
		if (rc != VIA_OK)
			return fail_rc(rc, m->id);
	}
	/* a module that differs is named now and not by the first call that needs it */
	if (o.module_policy == VIA_MODULES_LOCKED && via_registry_verify(d->registry) != VIA_OK)
		return fail_rc(VIA_IO, "modules.policy = locked");
	return plan_make(d->registry, d->c, &d->services);
}

static int open_dir(daemon_state *d)
{
	char path[SYS_PATH], why[SYS_WHY];
	via_rc rc;

	if (d->c->run_dir[0] != '\0')
		memcpy(path, d->c->run_dir, strlen(d->c->run_dir) + 1);
	else if ((rc = via_default_run_dir(path, sizeof path)) != VIA_OK)
		return fail_rc(rc, "run directory");
	if (sys_dir_open(path, d->c->run_dir_mode, &d->dir, why))
		return CLI_OK;
	log_line(VIA_LOG_ERROR, "run directory %s: %s", path, why);
	return CLI_FAILED;
}

static int start(daemon_state *d)
{
	int status = CLI_OK;
	uint32_t n = 0;
	served *s;

	if (d->services == NULL) {
		log_line(VIA_LOG_ERROR, "nothing to serve: no service is enabled and found in %s",
			 via_registry_path(d->registry));
		return CLI_MODULE;
	}
	status = open_dir(d);
	for (s = d->services; s != NULL && status == CLI_OK; s = s->next, n++)
		if (served_start(s, d->registry, d->dir.path) != VIA_OK)
			status = CLI_FAILED;
	if (status != CLI_OK)
		return status;
	for (s = d->services; s != NULL; s = s->next)
		log_line(VIA_LOG_INFO, "serving %s", s->name);
	log_line(VIA_LOG_INFO, "ready: %u services in %s", n, d->dir.path);
	return CLI_OK;
}

/* -- reports and the end --------------------------------------------------------------------- */

static int report_file(void *arg, const via_file_info *info)
{
	static const char *const names[] = {[VIA_FILE_LOADED] = "loaded",
					    [VIA_FILE_RETIRED] = "retired",
					    [VIA_FILE_REFUSED] = "refused",
					    [VIA_FILE_GONE] = "gone"};
	const char *name = info->state <= VIA_FILE_GONE ? names[info->state] : NULL;

	(void)arg;
	if (name != NULL && info->reason[0] != '\0')
		log_line(VIA_LOG_INFO, "module %s %s is %s: %s: %s", info->id, info->version, name,
			 info->path, info->reason);
	else if (name != NULL)
		log_line(VIA_LOG_INFO, "module %s %s is %s: %s", info->id, info->version, name,
			 info->path);
	return 0;
}

static void report(daemon_state *d, const char *what)
{
	via_server_stats sum = d->gone;
	const served *s;

	for (s = d->services; s != NULL; s = s->next)
		served_add_stats(s, &sum);
	for (s = d->abandoned; s != NULL; s = s->next)
		served_add_stats(s, &sum);
	log_line(
		VIA_LOG_INFO,
		"%s: %u sessions open, %llu accepted, %llu refused, %llu handshakes failed, %llu calls, "
		"%llu failed",
		what, sum.n_sessions, (unsigned long long)sum.accepted,
		(unsigned long long)sum.refused, (unsigned long long)sum.handshakes_failed,
		(unsigned long long)sum.calls, (unsigned long long)sum.calls_failed);
}

static void last_words(void)
{
	log_line(VIA_LOG_WARN, "told to stop again: stopped at once, calls were abandoned");
	supervisor_end(CLI_FAILED);
}

static void out_of_patience(void)
{
	log_line(VIA_LOG_ERROR, "a module does not let go of its calls: ended without it");
	supervisor_end(CLI_FAILED);
}

/* -- watchdog -------------------------------------------------------------------------------- */

/* The daemon works while every worker of every service goes round its loop between two looks: then it takes
 * connections in and answers. This thread itself cannot be stuck where the word comes from. Threads for blocking
 * services may take as long as they like. After a bad look the next ones follow quickly, so that the workers
 * have nearly all of the watchdog's time to come back. */
static void watch(daemon_state *d)
{
	int is_stuck = 0;
	served *s;

	for (s = d->services; s != NULL; s = s->next)
		is_stuck |= !served_works(s, d->is_stuck);
	if (!is_stuck)
		tell(SUPERVISOR_WORKS, 0);
	if (!is_stuck && d->is_stuck)
		log_line(VIA_LOG_INFO, "all workers go on");
	d->is_stuck = is_stuck;
	d->watch_at = via_deadline(d->watch_ns / (is_stuck ? 16 : 2));
}

/* Without a watchdog it sleeps until somebody wants something. */
static int next_request(daemon_state *d)
{
	via_time now;
	int what = 0;

	if (d->watch_ns == 0)
		return sys_signals_wait();
	while (what == 0) {
		now = via_now();
		if (now >= d->watch_at)
			watch(d);
		else
			what = sys_signals_wait_for(d->watch_at - now);
	}
	return what;
}

static void find_watchdog(daemon_state *d)
{
	char why[SYS_WHY];

	if (!supervisor_watchdog(&d->watch_ns, why))
		log_line(VIA_LOG_WARN, "%s: there will be no word to a watchdog", why);
	if (d->watch_ns != 0 && d->watch_ns < WATCH_LEAST_NS)
		d->watch_ns = WATCH_LEAST_NS;
}

/* -- serving --------------------------------------------------------------------------------- */

static int serve(daemon_state *d)
{
	int status, what;

	find_watchdog(d);
	status = start(d);
	if (status != CLI_OK)
		return status;
	tell(SUPERVISOR_READY, 0);
	while ((what = next_request(d)) != SYS_STOP) {
		if (what == SYS_REPORT) {
			(void)via_registry_scan(d->registry); /* else the report says what was */
			(void)via_registry_files(d->registry, report_file, NULL);
			report(d, "report");
		} else {
			tell(SUPERVISOR_RELOADING, d->c->drain_ns);
			daemon_reload(d);
			tell(SUPERVISOR_READY, 0);
		}
	}
	tell(SUPERVISOR_STOPPING, d->c->drain_ns + DAEMON_GRACE_NS);
	log_line(VIA_LOG_INFO, "stopping");
	sys_signals_insist(last_words);
	sys_end_within(d->c->drain_ns + DAEMON_GRACE_NS, out_of_patience);
	served_drain(d->services, d->c->drain_ns);
	report(d, "served");
	return CLI_OK;
}

static int clean_up(daemon_state *d, int status)
{
	served *s;

	for (s = d->services; s != NULL; s = s->next)
		served_close(s, &d->gone);
	for (s = d->abandoned; s != NULL; s = s->next)
		served_close(s, &d->gone);
	plan_free(d->services);
	plan_free(d->abandoned);
	if (d->registry != NULL && via_registry_close(d->registry) != VIA_OK)
		status = fail_rc(VIA_BUSY, "module registry");
	sys_dir_close(&d->dir);
	conf_free(d->c);
	return status;
}

static int test(const daemon_state *d)
{
	const served *s;
	uint32_t n = 0;

	for (s = d->services; s != NULL; s = s->next)
		n++;
	printf("viaductd: the configuration is valid: %u files read, %u services\n", d->c->n_files,
	       n);
	return CLI_OK;
}

int daemon_run(const conf_source *from, int is_check)
{
	char why[CONF_WHY];
	daemon_state d;
	conf c;
	int status = CLI_OK;

	memset(&d, 0, sizeof d);
	conf_init(&c);
	d.from = from;
	d.c = &c;
	if (!conf_read(&c, from, why))
		status = log_end(CLI_USAGE, "%s", why);
	log_init((int32_t)c.log_level);
	if (status == CLI_OK && !is_check && !sys_signals_take(SYS_RELOAD, why))
		status = log_end(CLI_FAILED, "signals: %s", why);
	if (status == CLI_OK)
		status = open_registry(&d);
	if (status == CLI_OK)
		status = is_check ? test(&d) : serve(&d);
	status = clean_up(&d, status);
	if (!is_check && status == CLI_OK)
		log_line(VIA_LOG_INFO, "stopped");
	return status;
}
