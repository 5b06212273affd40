/* tools/viaductd/daemon.c - serves what the configuration names until it is told to stop.
 *
 * Threads: the main thread only waits for signals; the server's workers answer. Order of the end:
 * server, registry, run directory.
 */
#include "daemon.h"

#include "../lib/sys.h"
#include "log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_SERVICES 1024u
#define GRACE_NS 2000000000ull /* for modules to let go of calls that were abandoned */

typedef struct daemon_state {
	const conf *c;
	via_registry *registry;
	via_server *server;
	sys_dir dir;
	char (*names)[INI_NAME]; /* of the services that are served */
	uint32_t n_names;
	const char *wanted; /* while the files are searched */
	int is_found;
	int failed;
} daemon_state;

static int fail_rc(via_rc rc, const char *what)
{
	const char *detail = via_error();

	log_line(VIA_LOG_ERROR, "%s: %s", what, detail[0] != '\0' ? detail : via_rc_text(rc));
	return CLI_FAILED;
}

/* -- what is there --------------------------------------------------------------------------- */

static int is_usable(const via_file_info *info)
{
	return info->state == VIA_FILE_FOUND || info->state == VIA_FILE_LOADED;
}

/* Adds a file's services that the configuration wants. Several files may provide one name. */
static int take_services(void *arg, const via_file_info *info)
{
	daemon_state *d = arg;
	const conf_service *s;
	uint32_t i, j;

	for (i = 0; is_usable(info) && i < info->n_provided; i++) {
		const via_provided *p = &info->provided[i];

		if (p->kind != VIA_KIND_SERVICE || strlen(p->name) >= INI_NAME)
			continue;
		s = conf_find_service(d->c, p->name);
		if (s != NULL ? !s->enabled : d->c->serve == CONF_SERVE_LISTED)
			continue;
		for (j = 0; j < d->n_names && strcmp(d->names[j], p->name) != 0; j++)
			;
		if (j < d->n_names)
			continue;
		if (d->n_names == MAX_SERVICES)
			return 1;
		memcpy(d->names[d->n_names++], p->name, strlen(p->name) + 1);
	}
	return 0;
}

static int find_module(void *arg, const via_file_info *info)
{
	daemon_state *d = arg;

	d->is_found |= is_usable(info) && strcmp(info->id, d->wanted) == 0;
	return d->is_found;
}

/* Puts the files that were refused into the log: the one that is missed may be among them. */
static int log_refused(void *arg, const via_file_info *info)
{
	(void)arg;
	if (info->state == VIA_FILE_REFUSED)
		log_line(VIA_LOG_WARN, "%s: refused: %s", info->path, info->reason);
	return 0;
}

static int check_names(daemon_state *d)
{
	via_provided known = {.struct_size = sizeof known};
	const conf_service *s;
	const conf_module *m;
	int status = CLI_OK;

	for (s = d->c->services; s != NULL; s = s->next) {
		if (!s->enabled ||
		    via_registry_lookup(d->registry, VIA_KIND_SERVICE, s->name, &known) == VIA_OK)
			continue;
		log_line(VIA_LOG_ERROR, "%s: [service %s]: %s", s->where, s->name, via_error());
		status = CLI_MODULE;
	}
	for (m = d->c->modules; m != NULL; m = m->next) {
		d->wanted = m->id;
		d->is_found = 0;
		(void)via_registry_files(d->registry, find_module, d);
		if (d->is_found)
			continue;
		log_line(VIA_LOG_ERROR, "%s: [module %s]: no usable module file of this id in %s",
			 m->where, m->id, via_registry_path(d->registry));
		status = CLI_MODULE;
	}
	(void)via_registry_files(d->registry, log_refused, NULL);
	return status;
}

static int open_registry(daemon_state *d)
{
	via_registry_options o = VIA_REGISTRY_OPTIONS_INIT;
	const conf_module *m;
	via_rc rc;

	o.load_mode = d->c->load;
	o.policy = d->c->policy;
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
	d->names = calloc(MAX_SERVICES, sizeof(*d->names));
	if (d->names == NULL)
		return fail_rc(VIA_NOMEM, "services");
	(void)via_registry_files(d->registry, take_services, d);
	return check_names(d);
}

/* -- serving --------------------------------------------------------------------------------- */

static int add_service(daemon_state *d, const char *name)
{
	via_session_config config = {.struct_size = sizeof config};
	via_endpoint ep = {.struct_size = sizeof ep, .service = name, .run_dir = d->dir.path};
	const conf_service *s = conf_find_service(d->c, name);
	via_rc rc;

	ep.auth_token = d->c->token;
	if (s != NULL) {
		if (s->has_token)
			ep.auth_token = s->token;
		if (s->transport[0] != '\0')
			ep.transport = s->transport;
		if (s->profiles[0] != '\0' &&
		    !cli_profiles(d->registry, s->profiles, &config.profiles))
			return CLI_USAGE;
		config.max_request_payload = s->max_request;
		config.max_response_payload = s->max_response;
	}
	rc = via_server_add(d->server, &ep, &config);
	return rc == VIA_OK ? CLI_OK : fail_rc(rc, name);
}

static int start(daemon_state *d)
{
	via_server_options o = {.struct_size = sizeof o};
	char path[SYS_PATH], why[SYS_WHY];
	int status = CLI_OK;
	uint32_t i;
	via_rc rc;

	if (d->n_names == 0) {
		log_line(VIA_LOG_ERROR, "nothing to serve: no service is enabled and found in %s",
			 via_registry_path(d->registry));
		return CLI_MODULE;
	}
	if (d->c->run_dir[0] != '\0')
		memcpy(path, d->c->run_dir, strlen(d->c->run_dir) + 1);
	else if ((rc = via_default_run_dir(path, sizeof path)) != VIA_OK)
		return fail_rc(rc, "run directory");
	if (!sys_dir_open(path, d->c->run_dir_mode, &d->dir, why)) {
		log_line(VIA_LOG_ERROR, "run directory %s: %s", path, why);
		return CLI_FAILED;
	}
	o.n_workers = d->c->workers;
	o.n_pool = d->c->pool;
	o.max_sessions = d->c->max_sessions;
	rc = via_server_open(d->registry, &o, &d->server);
	if (rc != VIA_OK)
		return fail_rc(rc, "server");
	for (i = 0; i < d->n_names && status == CLI_OK; i++)
		status = add_service(d, d->names[i]);
	if (status != CLI_OK)
		return status;
	rc = via_server_start(d->server);
	return rc == VIA_OK ? CLI_OK : fail_rc(rc, "server");
}

static void notify(const char *state)
{
	char why[SYS_WHY];

	if (!sys_notify(state, why))
		log_line(VIA_LOG_WARN, "%s", why);
}

/* -- reports and the end --------------------------------------------------------------------- */

static int report_file(void *arg, const via_file_info *info)
{
	(void)arg;
	if (info->state == VIA_FILE_LOADED || info->state == VIA_FILE_RETIRED)
		log_line(VIA_LOG_INFO, "module %s %s is %s: %s", info->id, info->version,
			 info->state == VIA_FILE_LOADED ? "loaded" : "retired", info->path);
	return 0;
}

static void report(daemon_state *d, const char *what)
{
	via_server_stats s = {.struct_size = sizeof s};

	via_server_get_stats(d->server, &s);
	log_line(
		VIA_LOG_INFO,
		"%s: %u sessions open, %llu accepted, %llu refused, %llu handshakes failed, %llu calls, "
		"%llu failed",
		what, s.n_sessions, (unsigned long long)s.accepted, (unsigned long long)s.refused,
		(unsigned long long)s.handshakes_failed, (unsigned long long)s.calls,
		(unsigned long long)s.calls_failed);
}

static void last_words(void)
{
	log_line(VIA_LOG_WARN, "told to stop again: stopped at once, calls were abandoned");
}

static void out_of_patience(void)
{
	log_line(VIA_LOG_ERROR, "a module does not let go of its calls: ended without it");
}

static int serve(daemon_state *d)
{
	int status = start(d);
	uint32_t i;
	via_rc rc;

	if (status != CLI_OK)
		return status;
	for (i = 0; i < d->n_names; i++)
		log_line(VIA_LOG_INFO, "serving %s", d->names[i]);
	log_line(VIA_LOG_INFO, "ready: %u services in %s", d->n_names, d->dir.path);
	notify("READY=1");
	while (sys_signals_wait() == SYS_REPORT) {
		(void)via_registry_files(d->registry, report_file, NULL);
		report(d, "report");
	}
	notify("STOPPING=1");
	log_line(VIA_LOG_INFO, "stopping");
	sys_signals_insist(last_words);
	sys_end_within(d->c->drain_ns + GRACE_NS, out_of_patience);
	rc = via_server_drain(d->server, via_deadline(d->c->drain_ns));
	if (rc != VIA_OK)
		log_line(VIA_LOG_WARN, "stopping: %s", via_error());
	report(d, "served");
	return CLI_OK;
}

int daemon_run(const conf *c, int is_check)
{
	daemon_state d;
	char why[SYS_WHY];
	int status;

	memset(&d, 0, sizeof d);
	d.c = c;
	log_init((int32_t)c->log_level);
	if (!is_check && !sys_signals_take(why)) {
		log_line(VIA_LOG_ERROR, "signals: %s", why);
		return CLI_FAILED;
	}
	status = open_registry(&d);
	if (status == CLI_OK && !is_check)
		status = serve(&d);
	else if (status == CLI_OK)
		printf("viaductd: the configuration is valid: %u files read, %u services\n",
		       c->n_files, d.n_names);
	via_server_close(d.server);
	if (d.registry != NULL && via_registry_close(d.registry) != VIA_OK)
		status = fail_rc(VIA_BUSY, "module registry");
	sys_dir_close(&d.dir);
	free(d.names);
	if (!is_check && status == CLI_OK)
		log_line(VIA_LOG_INFO, "stopped");
	return status;
}
