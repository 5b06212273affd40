/* core/registry/close.c - ends every module and the registry, or nothing of it.
 *
 * First everybody is drained, users before what they use; only when all agree is anything stopped.
 */
#include "reg.h"

#include <stdio.h>

/* What a module that nobody holds any more may take to finish its own work. */
#define CLOSE_DRAIN_NS 5000000000u

/* Another loaded module that is not in the order yet holds g. */
static int is_needed(const via_registry *r, const reg_gen *g)
{
	const reg_file *f;
	const reg_ref *ref;

	for (f = r->files; f != NULL; f = f->next) {
		if (f->gen == NULL || f->gen == g || f->gen->ordered)
			continue;
		for (ref = f->gen->refs.next; ref != &f->gen->refs; ref = ref->next)
			if (ref->pin.generation == g)
				return 1;
	}
	return 0;
}

/* Loaded modules, each before those it holds; a circle is cut anywhere. Lock held. */
static reg_gen *order(via_registry *r)
{
	reg_gen *first = NULL, **tail = &first, *pick, *any;
	reg_file *f;

	for (f = r->files; f != NULL; f = f->next)
		if (f->gen != NULL)
			f->gen->ordered = 0;
	os_mutex_lock(&r->pins);
	do {
		pick = any = NULL;
		for (f = r->files; f != NULL && pick == NULL; f = f->next) {
			if (f->gen == NULL || f->gen->ordered)
				continue;
			any = f->gen;
			if (!is_needed(r, f->gen))
				pick = f->gen;
		}
		if (pick == NULL)
			pick = any;
		if (pick != NULL) {
			pick->ordered = 1;
			pick->next_end = NULL;
			*tail = pick;
			tail = &pick->next_end;
		}
	} while (pick != NULL);
	os_mutex_unlock(&r->pins);
	return first;
}

/* What the program still has open. Lock held. */
static via_rc check_holders(via_registry *r)
{
	via_rc rc = VIA_OK;
	reg_file *f;
	uint32_t n;

	os_mutex_lock(&r->pins);
	n = r->n_holds;
	if (n > 0)
		rc = core_fail(VIA_BUSY,
			       n == 1 ? "the registry is still held by %s"
				      : "the registry is still held by %s and %u more",
			       r->holds.next->what == NULL ? "an unnamed holder"
							   : r->holds.next->what,
			       n - 1);
	os_mutex_unlock(&r->pins);
	for (f = r->files; rc == VIA_OK && f != NULL; f = f->next) {
		if (f->gen == NULL)
			continue;
		os_mutex_lock(&r->pins);
		n = f->gen->n_pins;
		os_mutex_unlock(&r->pins);
		if (n > 0)
			rc = pins_refuse(f->gen, 1);
	}
	return rc;
}

static int is_busy(const via_registry *r)
{
	const reg_file *f;

	for (f = r->files; f != NULL; f = f->next)
		if (f->busy != REG_IDLE)
			return 1;
	return r->scanning != 0;
}

static via_rc begin_close(via_registry *r, reg_gen **first)
{
	via_rc rc;

	os_mutex_lock(&r->lock);
	while (!r->closing && is_busy(r))
		os_cond_wait(&r->changed, &r->lock);
	rc = r->closing ? core_fail(VIA_STATE, "the registry is being closed") : check_holders(r);
	if (rc == VIA_OK) {
		r->closing = 1;
		*first = order(r);
	}
	os_mutex_unlock(&r->lock);
	return rc;
}

static via_rc drain_all(via_registry *r, reg_gen *first)
{
	via_time deadline = os_now() + CLOSE_DRAIN_NS;
	char detail[512];
	via_rc rc = VIA_OK;
	reg_gen *g, *back;

	for (g = first; rc == VIA_OK && g != NULL; g = g->next_end) {
		rc = life_drain(g, deadline, 1);
		if (rc == VIA_OK)
			continue;
		snprintf(detail, sizeof detail, "%s", via_error());
		for (back = first; back != g; back = back->next_end)
			life_resume(back);
		os_mutex_lock(&r->lock);
		r->closing = 0;
		os_mutex_unlock(&r->lock);
		return core_fail(VIA_BUSY, "%s", detail);
	}
	return rc;
}

via_rc via_registry_close(via_registry *r)
{
	reg_gen *g, *next, *first = NULL;
	via_rc rc;

	if (r == NULL)
		return VIA_OK;
	rc = begin_close(r, &first);
	if (rc == VIA_OK)
		rc = drain_all(r, first);
	if (rc != VIA_OK)
		return rc;
	for (g = first; g != NULL; g = next) {
		next = g->next_end;
		rc = life_finish(g);
		if (rc != VIA_OK && rc != VIA_STATE)
			reg_log(r, VIA_LOG_ERROR, g->note->n.id, "%s; its code stays", via_error());
		g->file->gen = NULL;
		life_end(g, rc);
	}
	reg_free(r);
	return VIA_OK;
}
