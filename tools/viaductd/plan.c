/* tools/viaductd/plan.c - what a configuration wants to be served, from the modules that are there. */
#include "daemon.h"

#include "../lib/elsewhere.h"
#include "log.h"

#include <stdlib.h>
#include <string.h>

typedef struct planner {
	via_registry *registry;
	const conf *c;
	served *list, **tail;
	int status;
	const char *wanted; /* while the files are searched */
	int is_found;
} planner;

static int is_usable(const via_file_info *info)
{
	return info->state == VIA_FILE_FOUND || info->state == VIA_FILE_LOADED;
}

served *plan_find(served *list, const char *name)
{
	while (list != NULL && strcmp(list->name, name) != 0)
		list = list->next;
	return list;
}

void plan_free(served *list)
{
	served *s;

	while ((s = list) != NULL) {
		list = s->next;
		free(s);
	}
}

/* -- services -------------------------------------------------------------------------------- */

static void take_service(planner *p, const char *name, const char *module)
{
	const conf_service *s = conf_find_service(p->c, name);
	served *one;

	if (s != NULL ? !s->enabled : p->c->serve == CONF_SERVE_LISTED)
		return;
	if (plan_find(p->list, name) != NULL) /* several files may provide one name */
		return;
	one = calloc(1, sizeof *one);
	if (one == NULL) {
		p->status = log_end(CLI_FAILED, "services: no memory");
		return;
	}
	memcpy(one->name, name, strlen(name) + 1);
	memcpy(one->module, module, strlen(module) + 1);
	*p->tail = one;
	p->tail = &one->next;
}

static int take_services(void *arg, const via_file_info *info)
{
	planner *p = arg;
	uint32_t i;

	for (i = 0; is_usable(info) && i < info->n_provided; i++) {
		const via_provided *one = &info->provided[i];

		if (one->kind == VIA_KIND_SERVICE && strlen(one->name) < INI_NAME &&
		    strlen(info->id) < INI_NAME)
			take_service(p, one->name, info->id);
	}
	return p->status != CLI_OK;
}

static int fill_terms(planner *p, served *one)
{
	const conf_service *s = conf_find_service(p->c, one->name);
	served_terms *t = &one->terms;
	char why[CLI_WHY];

	t->token = s != NULL && s->has_token ? s->token : p->c->token;
	t->workers = p->c->workers;
	t->pool = p->c->pool;
	t->max_sessions = p->c->max_sessions;
	if (s == NULL)
		return CLI_OK;
	t->max_request = s->max_request;
	t->max_response = s->max_response;
	memcpy(t->transport, s->transport, strlen(s->transport));
	if (s->profiles[0] == '\0' || cli_profiles(p->registry, s->profiles, &t->profiles, why))
		return CLI_OK;
	log_line(VIA_LOG_ERROR, "%s: [service %s]: profiles: %s", s->where, s->name, why);
	return CLI_USAGE;
}

/* -- names ----------------------------------------------------------------------------------- */

static int find_module(void *arg, const via_file_info *info)
{
	planner *p = arg;

	p->is_found |= is_usable(info) && strcmp(info->id, p->wanted) == 0;
	return p->is_found;
}

/* Puts the files that were refused into the log: the one that is missed may be among them. */
static int log_refused(void *arg, const via_file_info *info)
{
	(void)arg;
	if (info->state == VIA_FILE_REFUSED)
		log_line(VIA_LOG_WARN, "%s: refused: %s", info->path, info->reason);
	return 0;
}

static void missing_service(planner *p, const conf_service *s, const char *why)
{
	const char *needs = elsewhere_service(s->name);

	p->status = CLI_MODULE;
	if (needs != NULL)
		log_line(VIA_LOG_ERROR, "%s: [service %s]: " ELSEWHERE_SAYS, s->where, s->name,
			 elsewhere_here, needs);
	else
		log_line(VIA_LOG_ERROR, "%s: [service %s]: %s", s->where, s->name, why);
}

static void missing_module(planner *p, const conf_module *m)
{
	const char *needs = elsewhere_module(m->id);

	p->status = CLI_MODULE;
	if (needs != NULL)
		log_line(VIA_LOG_ERROR, "%s: [module %s]: " ELSEWHERE_SAYS, m->where, m->id,
			 elsewhere_here, needs);
	else
		log_line(VIA_LOG_ERROR, "%s: [module %s]: no usable module file of this id in %s",
			 m->where, m->id, via_registry_path(p->registry));
}

static void check_names(planner *p)
{
	via_provided known = {.struct_size = sizeof known};
	const conf_service *s;
	const conf_module *m;

	for (s = p->c->services; s != NULL; s = s->next)
		if (s->enabled &&
		    via_registry_lookup(p->registry, VIA_KIND_SERVICE, s->name, &known) != VIA_OK)
			missing_service(p, s, via_error());
	for (m = p->c->modules; m != NULL; m = m->next) {
		p->wanted = m->id;
		p->is_found = 0;
		(void)via_registry_files(p->registry, find_module, p);
		if (!p->is_found)
			missing_module(p, m);
	}
}

int plan_make(via_registry *r, const conf *c, served **out)
{
	planner p = {.registry = r, .c = c, .status = CLI_OK};
	served *one;

	*out = NULL;
	p.tail = &p.list;
	(void)via_registry_files(r, take_services, &p);
	for (one = p.list; one != NULL && p.status == CLI_OK; one = one->next)
		p.status = fill_terms(&p, one);
	if (p.status == CLI_OK)
		check_names(&p);
	(void)via_registry_files(r, log_refused, NULL);
	if (p.status == CLI_OK)
		*out = p.list;
	else
		plan_free(p.list);
	return p.status;
}
