/* SPDX-License-Identifier: Apache-2.0
 * tools/viaductd/daemon.h - what the daemon does with its configuration, shared by its parts.
 *
 *   daemon.c  registry, start, requests from outside, end     served.c  one service and its server
 *   plan.c    what a configuration wants to be served         reload.c  from one plan to the next
 */
#ifndef VIA_TOOLS_DAEMON_H
#define VIA_TOOLS_DAEMON_H
#include "config.h"

#include "../lib/cli.h"
#include "../lib/sys.h"

#define DAEMON_GRACE_NS 2000000000ull /* for modules to let go of calls that were abandoned */

/* What a service is served with; zeroed before it is filled, for it is compared as bytes. */
typedef struct served_terms {
	uint64_t token;
	uint32_t max_request, max_response, profiles, workers, pool, max_sessions;
	char transport[64];
} served_terms;

/* A service has a server of its own: a slow one holds up no other, and a reload touches none but those
 * that changed. */
typedef struct served {
	struct served *next;
	char name[INI_NAME];
	char module[INI_NAME]; /* id of the module that provides it */
	served_terms terms;
	via_server *server; /* NULL: it is not served */
	int is_drained;     /* of calls, or at least nobody waits for them any more */
} served;

typedef struct daemon_state {
	const conf_source *from;
	conf *c;
	via_registry *registry;
	sys_dir dir;
	served *services;      /* in the order in which they were found */
	served *abandoned;     /* their modules still have calls */
	via_server_stats gone; /* counters of servers that were closed */
	uint64_t watch_ns;     /* within that the supervisor wants a word; 0: it wants none */
	via_time watch_at;     /* when the services are looked at again */
	int is_stuck;          /* one did not go on the last time */
} daemon_state;

/* daemon.c */
/* With is_check tests that every service and module named in the configuration is known and nothing
 * else; else serves until told to stop. Returns the exit status. */
int daemon_run(const conf_source *from, int is_check);

/* plan.c */
/* What the configuration wants, none of it served yet. Returns CLI_OK, or another status after a line of
 * log for each thing that is wrong; *out then is NULL. */
int plan_make(via_registry *r, const conf *c, served **out);
served *plan_find(served *list, const char *name);
void plan_free(served *list);

/* served.c */
/* Says in the log why not. */
via_rc served_start(served *s, via_registry *r, const char *run_dir);
/* Stops accepting and lets calls end, of all of them at the same time. */
void served_drain(served *list, uint64_t ns);
/* Closes the server; adds its counters to *gone. Waits for calls that were abandoned. */
void served_close(served *s, via_server_stats *gone);
/* 1: its workers have gone round since this was asked last, and are asked again. Else the log says so, unless
 * is_known. */
int served_works(served *s, int is_known);
void served_add_stats(const served *s, via_server_stats *sum);

/* reload.c */
/* Reads the configuration again and changes what has changed. A bad one changes nothing. */
void daemon_reload(daemon_state *d);

#endif
