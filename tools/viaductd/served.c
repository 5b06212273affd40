/* tools/viaductd/served.c - one service and its server: start, drain, close, counters. */
#include "daemon.h"

#include "../lib/sys_process.h"
#include "log.h"

#include <stdlib.h>
#include <string.h>

via_rc served_start(served *s, via_registry *r, const char *run_dir)
{
	const served_terms *t = &s->terms;
	via_server_options o = {.struct_size = sizeof o,
				.n_workers = t->workers,
				.n_pool = t->pool,
				.max_sessions = t->max_sessions};
	via_session_config config = {.struct_size = sizeof config,
				     .profiles = t->profiles,
				     .max_request_payload = t->max_request,
				     .max_response_payload = t->max_response};
	via_endpoint ep = {.struct_size = sizeof ep,
			   .service = s->name,
			   .run_dir = run_dir,
			   .transport = t->transport[0] != '\0' ? t->transport : NULL,
			   .auth_token = t->token};
	via_server *server = NULL;
	via_rc rc;

	rc = via_server_open(r, &o, &server);
	if (rc == VIA_OK)
		rc = via_server_add(server, &ep, &config);
	if (rc == VIA_OK)
		rc = via_server_start(server);
	if (rc == VIA_OK) {
		s->server = server;
		s->is_drained = 0;
		return VIA_OK;
	}
	log_line(VIA_LOG_ERROR, "%s: %s", s->name,
		 via_error()[0] != '\0' ? via_error() : via_rc_text(rc));
	via_server_close(server);
	return rc;
}

/* -- the end of some ------------------------------------------------------------------------- */

typedef struct drain {
	sys_thread thread;
	served *s;
	via_time deadline;
	int is_started;
} drain;

static void run_drain(void *arg)
{
	drain *d = arg;
	via_rc rc = via_server_drain(d->s->server, d->deadline);

	d->s->is_drained = rc == VIA_OK;
	if (rc != VIA_OK)
		log_line(VIA_LOG_WARN, "stopping: %s: %s", d->s->name, via_error());
}

void served_drain(served *list, uint64_t ns)
{
	uint32_t n = 0, i = 0;
	char why[SYS_WHY];
	drain *all;
	served *s;

	for (s = list; s != NULL; s = s->next)
		n++;
	all = calloc(n != 0 ? n : 1, sizeof *all);
	for (s = list; s != NULL; s = s->next) {
		drain here = {.s = s, .deadline = via_deadline(ns)};
		drain *d = all != NULL ? &all[i++] : &here;

		if (s->server == NULL)
			continue;
		*d = here;
		d->is_started =
			all != NULL && n > 1 && sys_thread_start(&d->thread, run_drain, d, why);
		if (!d->is_started) /* one after another then */
			run_drain(d);
	}
	for (i = 0; all != NULL && i < n; i++)
		if (all[i].is_started)
			sys_thread_join(&all[i].thread);
	free(all);
}

int served_works(served *s, int is_known)
{
	if (s->server == NULL || via_server_alive(s->server) == VIA_OK)
		return 1;
	if (!is_known)
		log_line(VIA_LOG_WARN,
			 "%s: %s the last look: no word to the watchdog until they have", s->name,
			 via_error());
	return 0;
}

void served_add_stats(const served *s, via_server_stats *sum)
{
	via_server_stats one = {.struct_size = sizeof one};

	if (s->server == NULL)
		return;
	via_server_get_stats(s->server, &one);
	sum->n_sessions += one.n_sessions;
	sum->accepted += one.accepted;
	sum->refused += one.refused;
	sum->handshakes_failed += one.handshakes_failed;
	sum->calls += one.calls;
	sum->calls_failed += one.calls_failed;
}

void served_close(served *s, via_server_stats *gone)
{
	served_add_stats(s, gone);
	gone->n_sessions = 0;
	via_server_close(s->server);
	s->server = NULL;
}
