/* tools/viaductd/reload.c - from one configuration to the next while sessions go on.
 *
 * What is new is tested first; a fault leaves everything as it is. Then: services that go or change are
 * drained together, modules get their configuration, and what is new is started. A service that does
 * not start with its new terms gets its old ones back, a module likewise. */
#include "daemon.h"

#include "log.h"
#include "supervisor.h"

#include <stdlib.h>
#include <string.h>

typedef struct change {
	daemon_state *d;
	conf next;
	served *plan; /* what is to be */
	served *old;  /* what is no longer */
	uint32_t added, changed, removed, kept;
} change;

/* -- what only a new start changes ----------------------------------------------------------- */

static void keep_number(const char *key, uint32_t *next, uint32_t now)
{
	if (*next != now)
		log_line(VIA_LOG_WARN, "reload: %s is taken over by the next start only", key);
	*next = now;
}

static void keep_text(const char *key, char *next, const char *now)
{
	if (strcmp(next, now) != 0)
		log_line(VIA_LOG_WARN, "reload: %s is taken over by the next start only", key);
	memcpy(next, now, strlen(now) + 1);
}

static void keep_fixed(conf *next, const conf *now)
{
	keep_text("run_dir", next->run_dir, now->run_dir);
	keep_text("module_path", next->module_path, now->module_path);
	keep_number("run_dir_mode", &next->run_dir_mode, now->run_dir_mode);
	keep_number("modules.policy", &next->module_policy, now->module_policy);
	keep_number("policy", &next->policy, now->policy);
	keep_number("load", &next->load, now->load);
	keep_number("log_level", &next->log_level, now->log_level);
}

/* -- modules --------------------------------------------------------------------------------- */

static int same_lines(const conf_module *a, const conf_module *b)
{
	size_t an = a != NULL ? a->lines.len : 0, bn = b != NULL ? b->lines.len : 0;

	return an == bn && (an == 0 || memcmp(a->lines.data, b->lines.data, an) == 0);
}

/* A module's lines as text. The buffer is to be freed. */
static const char *lines_text(const conf_module *m, buf *copy)
{
	if (m != NULL)
		buf_put(copy, m->lines.data, m->lines.len);
	return buf_string(copy);
}

static via_rc configure(via_registry *r, const char *id, const conf_module *m)
{
	buf copy = {0};
	via_rc rc = via_registry_configure(r, id, lines_text(m, &copy));

	buf_free(&copy);
	return rc;
}

/* The next configuration is to say what is true. */
static void keep_lines(change *ch, const char *id, const conf_module *now)
{
	conf_module *m = conf_find_module(&ch->next, id);

	if (m == NULL) {
		m = calloc(1, sizeof *m);
		if (m == NULL)
			return;
		memcpy(m->id, id, strlen(id) + 1);
		m->next = ch->next.modules;
		ch->next.modules = m;
	}
	m->lines.len = 0;
	if (now != NULL)
		buf_put(&m->lines, now->lines.data, now->lines.len);
}

static int is_loaded(via_registry *r, const char *id);

/* A module that is loaded shows by loading again that it takes the new lines. */
static void change_module(change *ch, const char *id)
{
	via_registry *r = ch->d->registry;
	const conf_module *now = conf_find_module(ch->d->c, id);
	const conf_module *next = conf_find_module(&ch->next, id);
	int was_loaded = is_loaded(r, id);
	via_rc rc = VIA_OK;

	if (same_lines(now, next))
		return;
	if (was_loaded)
		rc = via_registry_unload(r, id, VIA_POLL);
	if (rc == VIA_OK)
		rc = configure(r, id, next);
	if (rc == VIA_OK && was_loaded && (rc = via_registry_load(r, id)) != VIA_OK) {
		log_line(VIA_LOG_ERROR, "reload: [module %s]: the old configuration stays: %s", id,
			 via_error());
		(void)configure(r, id, now);
	} else if (rc != VIA_OK) {
		log_line(VIA_LOG_WARN,
			 "reload: [module %s] is taken over by the next start only: %s", id,
			 via_error());
	}
	if (rc != VIA_OK)
		keep_lines(ch, id, now);
}

typedef struct search {
	const char *id;
	int is_loaded;
} search;

static int look(void *arg, const via_file_info *info)
{
	search *s = arg;

	s->is_loaded |= info->state == VIA_FILE_LOADED && strcmp(info->id, s->id) == 0;
	return s->is_loaded;
}

static int is_loaded(via_registry *r, const char *id)
{
	search s = {.id = id};

	return via_registry_files(r, look, &s);
}

static void change_modules(change *ch)
{
	const conf_module *m;

	for (m = ch->next.modules; m != NULL; m = m->next)
		change_module(ch, m->id);
	for (m = ch->d->c->modules; m != NULL; m = m->next)
		if (conf_find_module(&ch->next, m->id) == NULL)
			change_module(ch, m->id);
}

/* -- services -------------------------------------------------------------------------------- */

static int stays(change *ch, const served *now, const served *next)
{
	if (now->server == NULL || memcmp(&now->terms, &next->terms, sizeof now->terms) != 0 ||
	    strcmp(now->module, next->module) != 0)
		return 0;
	/* a module that is configured anew must be free of sessions */
	return same_lines(conf_find_module(ch->d->c, now->module),
			  conf_find_module(&ch->next, now->module)) ||
	       !is_loaded(ch->d->registry, now->module);
}

/* Servers that stay move into the plan; ch->old keeps the others. */
static void sort_out(change *ch)
{
	served **at = &ch->d->services, *now, *next;

	while ((now = *at) != NULL) {
		next = plan_find(ch->plan, now->name);
		if (next != NULL && stays(ch, now, next)) {
			next->server = now->server;
			*at = now->next;
			free(now);
			ch->kept++;
			continue;
		}
		ch->removed += next == NULL;
		at = &now->next;
	}
	ch->old = ch->d->services;
	ch->d->services = NULL;
}

static void stop_old(change *ch)
{
	served *s;

	served_drain(ch->old, ch->d->c->drain_ns);
	for (s = ch->old; s != NULL; s = s->next)
		if (s->server == NULL || s->is_drained)
			served_close(s, &ch->d->gone);
}

/* Closing one that still has calls would wait for a module; that is left to the end of the daemon. */
static void abandon_rest(change *ch)
{
	served **at = &ch->old, *s;

	while ((s = *at) != NULL) {
		if (s->server == NULL) {
			at = &s->next;
			continue;
		}
		*at = s->next;
		s->next = ch->d->abandoned;
		ch->d->abandoned = s;
	}
}

static void start_new(change *ch)
{
	daemon_state *d = ch->d;
	served *s, *old;

	for (s = ch->plan; s != NULL; s = s->next) {
		if (s->server != NULL)
			continue;
		old = plan_find(ch->old, s->name);
		if (served_start(s, d->registry, d->dir.path) == VIA_OK) {
			log_line(VIA_LOG_INFO, "serving %s", s->name);
			ch->added += old == NULL;
			ch->changed += old != NULL;
		} else if (old != NULL) {
			s->terms = old->terms;
			if (served_start(s, d->registry, d->dir.path) == VIA_OK)
				log_line(VIA_LOG_WARN, "reload: %s goes on as it was", s->name);
		}
	}
}

/* -- all of it ------------------------------------------------------------------------------- */

static void apply(change *ch)
{
	daemon_state *d = ch->d;

	keep_fixed(&ch->next, d->c);
	sort_out(ch);
	stop_old(ch);
	change_modules(ch);
	start_new(ch);
	abandon_rest(ch);
	plan_free(ch->old);
	d->services = ch->plan;
	conf_free(d->c);
	*d->c = ch->next;
	log_line(VIA_LOG_INFO, "reloaded: %u services added, %u changed, %u removed, %u untouched",
		 ch->added, ch->changed, ch->removed, ch->kept);
}

static int prepare(change *ch)
{
	char why[CONF_WHY];

	if (!conf_read(&ch->next, ch->d->from, why)) {
		log_line(VIA_LOG_ERROR, "%s", why);
		return 0;
	}
	if (via_registry_scan(ch->d->registry) != VIA_OK)
		log_line(VIA_LOG_WARN, "reload: module files: %s", via_error());
	if (plan_make(ch->d->registry, &ch->next, &ch->plan) != CLI_OK)
		return 0;
	if (ch->plan == NULL)
		log_line(VIA_LOG_ERROR, "nothing to serve: no service is enabled and found in %s",
			 via_registry_path(ch->d->registry));
	return ch->plan != NULL;
}

void daemon_reload(daemon_state *d)
{
	change ch = {.d = d};
	char why[SYS_WHY];

	log_line(VIA_LOG_INFO, "reloading");
	if (!log_reopen(why))
		log_line(VIA_LOG_WARN, "reload: the log stays in the old file: %s", why);
	conf_init(&ch.next);
	if (prepare(&ch)) {
		apply(&ch);
		return;
	}
	conf_free(&ch.next);
	log_line(VIA_LOG_ERROR, "reload: the old configuration stays");
}
