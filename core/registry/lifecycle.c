/* core/registry/lifecycle.c - drives a module through init, start, drain, stop and fini.
 *
 * Callers made sure that nobody else does so at the same time. Module code runs without the
 * registry's locks; once the module is in use it runs under its control lane.
 */
#include "reg.h"

#include <stdio.h>
#include <string.h>

/* How long after VIA_AGAIN drain() is asked again when no pin was dropped meanwhile. */
#define DRAIN_STEP_NS 10000000u

/* The member, if the module's table is long enough to have it. */
#define LIFE(g, m) \
	((g)->desc->life != NULL && VIA_HAS((g)->desc->life, via_lifecycle, m) \
		 ? (g)->desc->life->m \
		 : NULL)

/* A failed call's detail: the module's own words, behind what failed. */
static via_rc call_failed(const char *call, via_rc rc)
{
	const char *why = via_error();

	if (why[0] == '\0')
		return core_fail(rc, "%s failed: %s (%s)", call, via_rc_text(rc), via_rc_name(rc));
	return core_fail(rc, "%s failed: %s", call, why);
}

/* -- beginning --------------------------------------------------------------------------------- */

/* After fini, or after an init that failed, nothing of the module may be left. VIA_STATE says
 * what was. */
static via_rc sweep(reg_gen *g)
{
	uint64_t n = g->n_blocks, bytes = g->n_bytes;
	uint32_t n_refs = 0;

	while (g->refs.next != &g->refs) {
		reg_ref_free(g->reg, g->refs.next);
		n_refs++;
	}
	host_reclaim(g);
	if (n == 0 && n_refs == 0 && g->n_own_pins == 0)
		return VIA_OK;
	return core_fail(
		VIA_STATE,
		"left behind %llu blocks of memory (%llu bytes), %u references and %u pins",
		(unsigned long long)n, (unsigned long long)bytes, n_refs, g->n_own_pins);
}

static void swept(reg_gen *g, const char *after)
{
	char detail[512];

	snprintf(detail, sizeof detail, "%s", via_error());
	if (sweep(g) != VIA_OK)
		reg_log(g->reg, VIA_LOG_ERROR, g->note->n.id, "after %s: %s", after, via_error());
	core_fail(VIA_OK, "%s", detail);
}

via_rc life_start(reg_gen *g, const char *config)
{
	via_rc(VIA_CALL * init)(const via_host *, const char *, void **) = LIFE(g, init);
	via_rc(VIA_CALL * start)(void *) = LIFE(g, start);
	void(VIA_CALL * fini)(void *) = LIFE(g, fini);
	via_rc rc;

	if (init == NULL && config != NULL && config[0] != '\0')
		return core_fail(VIA_INVAL, "configured, but it takes no configuration");
	g->was_run = 1;
	core_error_clear();
	rc = init != NULL ? init(&g->host, config, &g->self) : VIA_OK;
	if (rc < 0) {
		rc = call_failed("init", rc);
		swept(g, "a failed init");
		return rc;
	}
	core_error_clear();
	rc = start != NULL ? start(g->self) : VIA_OK;
	if (rc >= 0)
		return VIA_OK;
	rc = call_failed("start", rc);
	if (fini != NULL)
		fini(g->self);
	swept(g, "fini");
	return rc;
}

/* -- draining ---------------------------------------------------------------------------------- */

void life_resume(reg_gen *g)
{
	via_rc(VIA_CALL * resume)(void *) = LIFE(g, resume);

	if (resume == NULL)
		return;
	os_mutex_lock(&g->ctl);
	if (resume(g->self) < 0)
		reg_log(g->reg, VIA_LOG_ERROR, g->note->n.id, "resume failed: %s", via_error());
	os_mutex_unlock(&g->ctl);
}

static via_rc pause_module(reg_gen *g)
{
	via_rc(VIA_CALL * pause)(void *) = LIFE(g, pause);
	via_rc rc = VIA_OK;

	if (pause == NULL)
		return VIA_OK;
	core_error_clear();
	os_mutex_lock(&g->ctl);
	rc = pause(g->self);
	os_mutex_unlock(&g->ctl);
	return rc < 0 ? call_failed("pause", rc) : VIA_OK;
}

static via_rc drain_once(reg_gen *g, via_time deadline)
{
	via_rc(VIA_CALL * drain)(void *, via_time) = LIFE(g, drain);
	via_rc rc = VIA_OK;

	if (drain == NULL)
		return VIA_OK;
	core_error_clear();
	os_mutex_lock(&g->ctl);
	rc = drain(g->self, deadline);
	os_mutex_unlock(&g->ctl);
	return rc < 0 && rc != VIA_AGAIN && rc != VIA_TIMEOUT ? call_failed("drain", rc) : rc;
}

/* Those who need the module now are told so instead of being kept waiting. */
static void now_draining(reg_gen *g)
{
	via_registry *r = g->reg;

	os_mutex_lock(&r->lock);
	if (g->file->busy == REG_UNLOADING && !g->file->draining) {
		g->file->draining = 1;
		os_cond_broadcast(&r->changed);
	}
	os_mutex_unlock(&r->lock);
}

/* Sleeps until something lets go of the module or drain() should be asked again. 0: the deadline
 * passed. drained: only pins are left, so there is nothing to ask the module meanwhile. */
static int wait_unpinned(reg_gen *g, via_time deadline, int but_modules, int drained)
{
	via_registry *r = g->reg;
	via_time now = os_now(), until = deadline;

	if (now >= deadline)
		return 0;
	now_draining(g);
	if (!drained && deadline - now > DRAIN_STEP_NS)
		until = now + DRAIN_STEP_NS;
	os_mutex_lock(&r->pins);
	if (!drained)
		os_cond_wait_until(&r->unpinned, &r->pins, until);
	while (drained && pins_count(g, but_modules) > 0)
		if (until == VIA_FOREVER)
			os_cond_wait(&r->unpinned, &r->pins);
		else if (!os_cond_wait_until(&r->unpinned, &r->pins, until))
			break;
	os_mutex_unlock(&r->pins);
	return 1;
}

via_rc life_drain(reg_gen *g, via_time deadline, int but_modules)
{
	int in_use;
	via_rc rc;

	rc = pause_module(g);
	if (rc != VIA_OK)
		return rc;
	for (;;) {
		rc = drain_once(g, deadline);
		if (rc < 0 && rc != VIA_AGAIN)
			break;
		os_mutex_lock(&g->reg->pins);
		in_use = pins_count(g, but_modules) > 0;
		os_mutex_unlock(&g->reg->pins);
		if (rc >= 0 && !in_use)
			return VIA_OK;
		if (!wait_unpinned(g, deadline, but_modules, rc >= 0)) {
			rc = VIA_TIMEOUT;
			break;
		}
	}
	if (rc == VIA_TIMEOUT)
		rc = pins_refuse(g, but_modules);
	life_resume(g);
	return rc;
}

/* -- end --------------------------------------------------------------------------------------- */

via_rc life_finish(reg_gen *g)
{
	via_rc(VIA_CALL * stop)(void *) = LIFE(g, stop);
	void(VIA_CALL * fini)(void *) = LIFE(g, fini);
	via_rc rc = VIA_OK;

	core_error_clear();
	os_mutex_lock(&g->ctl);
	if (stop != NULL)
		rc = stop(g->self);
	if (rc >= 0 && fini != NULL)
		fini(g->self);
	os_mutex_unlock(&g->ctl);
	if (rc < 0)
		return call_failed("stop", rc);
	rc = sweep(g);
	if (rc != VIA_OK)
		reg_log(g->reg, VIA_LOG_ERROR, g->note->n.id, "after fini: %s", via_error());
	return rc;
}

void life_end(reg_gen *g, via_rc finished)
{
	singleton_drop(g);
	gen_free(g, finished != VIA_OK || (g->desc->flags & VIA_MOD_UNLOADABLE) == 0);
}

via_rc life_unload(via_registry *r, reg_file *f, via_time deadline)
{
	char id[NOTE_ID_MAX + 1], detail[400];
	reg_gen *g = f->gen;
	int kept;
	via_rc rc;

	snprintf(id, sizeof id, "%s", g->note->n.id);
	f->busy = REG_UNLOADING;
	f->users++;
	os_mutex_unlock(&r->lock);
	rc = life_drain(g, deadline, 0);
	os_mutex_lock(&r->lock);
	f->draining = 0;
	os_mutex_unlock(&r->lock);
	if (rc == VIA_OK) {
		rc = life_finish(g);
		if (rc != VIA_OK && rc != VIA_STATE)
			life_resume(g);
	}
	if (rc == VIA_OK || rc == VIA_STATE) {
		snprintf(detail, sizeof detail, "%s", rc == VIA_OK ? "" : via_error());
		kept = g->image != NULL &&
		       (rc != VIA_OK || (g->desc->flags & VIA_MOD_UNLOADABLE) == 0);
		os_mutex_lock(&r->lock);
		f->gen = NULL;
		f->retired = (uint32_t)kept;
		reg_set_text(r, &f->load_reason, rc == VIA_OK ? NULL : detail);
		os_mutex_unlock(&r->lock);
		life_end(g, rc);
		reg_log(r, VIA_LOG_INFO, id, kept ? "unloaded; its code stays mapped" : "unloaded");
		if (rc != VIA_OK)
			core_fail(rc, "%s is unloaded, but %s", id, detail);
	}
	os_mutex_lock(&r->lock);
	f->users--;
	f->busy = REG_IDLE;
	reg_index(r);
	os_cond_broadcast(&r->changed);
	return rc;
}

/* The file of a module id; of a loaded one also if it has vanished. Lock held. */
static reg_file *find_module(via_registry *r, const reg_want *w)
{
	uint32_t i;
	reg_file *f = reg_find(r, w, NULL, &i);

	if (f != NULL)
		return f;
	for (f = r->files; f != NULL; f = f->next)
		if (f->gen != NULL && strcmp(f->gen->note->n.id, w->name) == 0)
			break;
	return f;
}

via_rc via_registry_unload(via_registry *r, const char *id, via_time deadline)
{
	reg_want w = {.by = REG_BY_MODULE, .name = id};
	via_rc rc = VIA_OK;
	reg_file *f;

	if (id == NULL)
		return core_fail(VIA_INVAL, "unload: expected a module id, found none");
	os_mutex_lock(&r->lock);
	for (f = find_module(r, &w); f != NULL && f->busy != REG_IDLE; f = find_module(r, &w))
		os_cond_wait(&r->changed, &r->lock);
	if (f == NULL)
		rc = reg_not_found(r, &w);
	else if (r->closing)
		rc = core_fail(VIA_STATE, "the registry is being closed");
	else if (f->gen != NULL)
		rc = life_unload(r, f, deadline);
	os_mutex_unlock(&r->lock);
	return rc;
}
