/* core/registry/acquire.c - references to components, loading their modules on first need. */
#include "reg.h"

#include <stdio.h>
#include <string.h>

/* -- references -------------------------------------------------------------------------------- */

/* Lock held: the generation cannot begin to end between being found and being pinned. */
static void ref_take(reg_ref *ref, reg_file *f, uint32_t i, reg_gen *by, via_ref *out)
{
	const via_provided *p = &f->gen->note->n.provides[i].p;

	ref->id = p->id;
	ref->by = by;
	if (by != NULL)
		snprintf(ref->what, sizeof ref->what, "module %.63s", by->note->n.id);
	pin_add(f->gen, &ref->pin, by != NULL ? ref->what : "a reference the program acquired",
		by != NULL);
	if (by != NULL) {
		os_mutex_lock(&by->reg->pins);
		ref->next = &by->refs;
		ref->prev = by->refs.prev;
		by->refs.prev->next = ref;
		by->refs.prev = ref;
		os_mutex_unlock(&by->reg->pins);
	}
	*out = (via_ref){.struct_size = sizeof *out,
			 .rev = p->rev,
			 .vtable = f->gen->component[i].vtable,
			 .self = f->gen->self,
			 .token = (uint64_t)(uintptr_t)ref};
}

void reg_ref_free(via_registry *r, reg_ref *ref)
{
	if (ref->by != NULL) {
		os_mutex_lock(&r->pins);
		ref->prev->next = ref->next;
		ref->next->prev = ref->prev;
		os_mutex_unlock(&r->pins);
	}
	pin_del(r, &ref->pin, ref->by != NULL);
	env_free(&r->env, ref);
}

void via_registry_release(via_registry *r, via_ref *ref)
{
	if (ref == NULL)
		return;
	if (ref->token != 0)
		reg_ref_free(r, (reg_ref *)(uintptr_t)ref->token);
	memset(ref, 0, sizeof *ref);
}

/* -- finding and loading ----------------------------------------------------------------------- */

/* Scans again if that may help; lock held, released meanwhile. 1: it was done. */
static via_rc look_again(via_registry *r)
{
	via_rc rc;

	os_mutex_unlock(&r->lock);
	rc = reg_scan(r, REG_SCAN_CHANGED);
	os_mutex_lock(&r->lock);
	return rc;
}

/* After a failed load: is there another file to try, or is the same one another by now? */
static int found_another(via_registry *r, const reg_want *w, const reg_tried *tried,
			 const reg_file *f, const os_file_id *id)
{
	reg_file *now;
	uint32_t i;

	if (look_again(r) != 1)
		return 0;
	now = reg_find(r, w, tried, &i);
	return now != NULL && (now != f || memcmp(&now->id, id, sizeof *id) != 0);
}

/* The best file for w, loaded; lock held. *found is also set when its load failed. */
static via_rc resolve(via_registry *r, const reg_want *w, reg_gen *by, const reg_tried *tried,
		      reg_file **found, uint32_t *i)
{
	char detail[512];
	int looked = 0;
	os_file_id id;
	reg_file *f;
	via_rc rc;

	for (;;) {
		*found = f = reg_find(r, w, tried, i);
		if (f == NULL && looked)
			return reg_not_found(r, w);
		if (f == NULL) {
			looked = 1;
			rc = look_again(r);
			if (rc < 0)
				return rc;
			continue;
		}
		id = f->id;
		rc = reg_ensure(r, f, w, by);
		if (rc == VIA_OK && reg_match(w, &f->gen->note->n, i) > 0)
			return VIA_OK;
		if (rc == VIA_OK || rc == VIA_AGAIN)
			continue;
		snprintf(detail, sizeof detail, "%s", via_error());
		if (looked || rc == VIA_BUSY || rc == VIA_NOMEM || rc == VIA_STATE ||
		    !found_another(r, w, tried, f, &id))
			return core_fail(rc, "%s", detail);
		looked = 1;
	}
}

via_rc reg_acquire(via_registry *r, const reg_want *w, reg_gen *by, via_ref *out)
{
	reg_file *f = NULL;
	uint32_t i = 0;
	reg_ref *ref;
	via_rc rc;

	ref = env_alloc(&r->env, sizeof *ref);
	if (ref == NULL)
		return core_nomem("a reference");
	os_mutex_lock(&r->lock);
	rc = r->closing ? core_fail(VIA_STATE, "the registry is being closed")
			: resolve(r, w, by, NULL, &f, &i);
	if (rc == VIA_OK)
		ref_take(ref, f, i, by, out);
	os_mutex_unlock(&r->lock);
	if (rc != VIA_OK)
		env_free(&r->env, ref);
	return rc;
}

via_rc via_registry_acquire(via_registry *r, uint32_t kind, const char *name, uint32_t min_rev,
			    via_ref *out)
{
	reg_want w = {.by = REG_BY_NAME, .kind = kind, .name = name, .min_rev = min_rev};

	if (name == NULL || kind < VIA_KIND_TRANSPORT || kind > VIA_KIND_SERVICE)
		return core_fail(
			VIA_INVAL,
			"acquire: expected a kind from 1 to 3 and a name, found %u and %.80s", kind,
			name == NULL ? "none" : name);
	return reg_acquire(r, &w, NULL, out);
}

via_rc via_registry_acquire_method(via_registry *r, uint16_t method, via_ref *out)
{
	reg_want w = {.by = REG_BY_METHOD, .kind = VIA_KIND_CODEC, .method = method};

	return reg_acquire(r, &w, NULL, out);
}

/* -- by what it can do ------------------------------------------------------------------------- */

static via_rc probe(const via_ref *ref)
{
	const via_transport *t = ref->vtable;
	via_rc rc;

	core_error_clear();
	rc = t->probe(ref->self);
	return rc > 0 ? VIA_OK : rc == 0 ? VIA_NOTSUP : rc;
}

/* Adds "; name: reason" behind what is there; a failed load says the name itself. */
static void add_reason(char *reasons, size_t cap, const char *name, via_rc rc)
{
	size_t len = strlen(reasons), name_len = strlen(name);
	const char *why = via_error();

	if (strncmp(why, name, name_len) == 0 && why[name_len] == ':')
		snprintf(reasons + len, cap - len, "; %s", why);
	else
		snprintf(reasons + len, cap - len, "; %s: %s", name,
			 why[0] != '\0' ? why : via_rc_text(rc));
}

/* One candidate after the other, best score first, until one agrees. */
static via_rc acquire_best(via_registry *r, const reg_want *w, reg_ref *ref, via_ref *out)
{
	reg_tried tried = {.n = 0};
	char reasons[400] = "", wanted[160];
	reg_file *f = NULL;
	uint32_t i = 0;
	via_rc rc = VIA_NOTFOUND;

	while (tried.n < REG_TRIED_MAX) {
		os_mutex_lock(&r->lock);
		rc = resolve(r, w, NULL, &tried, &f, &i);
		if (rc == VIA_OK)
			ref_take(ref, f, i, NULL, out);
		else if (f != NULL)
			add_reason(reasons, sizeof reasons, reg_name(f), rc);
		os_mutex_unlock(&r->lock);
		if (rc == VIA_OK) {
			rc = probe(out);
			if (rc == VIA_OK)
				return VIA_OK;
			add_reason(reasons, sizeof reasons, ref->id, rc);
			pin_del(r, &ref->pin, 0);
			memset(out, 0, sizeof *out);
		} else if (f == NULL) {
			break;
		}
		tried.file[tried.n++] = f;
	}
	if (tried.n == 0)
		return rc;
	reg_want_text(w, wanted, sizeof wanted);
	return core_fail(VIA_NOTFOUND, "no usable %s%s", wanted, reasons);
}

static via_rc acquire_transport(via_registry *r, const reg_want *w, via_ref *out)
{
	via_ref found = {.token = 0};
	reg_ref *ref;
	via_rc rc;

	ref = env_alloc(&r->env, sizeof *ref);
	if (ref == NULL)
		return core_nomem("a reference");
	rc = acquire_best(r, w, ref, &found);
	if (rc == VIA_OK)
		*out = found;
	else
		env_free(&r->env, ref);
	return rc;
}

via_rc reg_acquire_profile(via_registry *r, uint32_t profile, uint32_t role, via_ref *out)
{
	reg_want w = {.by = REG_BY_PROFILE,
		      .kind = VIA_KIND_TRANSPORT,
		      .profile = profile,
		      .role = role};

	return acquire_transport(r, &w, out);
}

via_rc reg_acquire_baseline(via_registry *r, via_ref *out)
{
	reg_want w = {.by = REG_BY_PROFILE, .kind = VIA_KIND_TRANSPORT, .role = VIA_ROLE_BASELINE};

	return acquire_transport(r, &w, out);
}

/* -- modules by id ----------------------------------------------------------------------------- */

via_rc via_registry_load(via_registry *r, const char *id)
{
	reg_want w = {.by = REG_BY_MODULE, .name = id};
	reg_file *f = NULL;
	uint32_t i;
	via_rc rc;

	if (id == NULL)
		return core_fail(VIA_INVAL, "load: expected a module id, found none");
	os_mutex_lock(&r->lock);
	rc = r->closing ? core_fail(VIA_STATE, "the registry is being closed")
			: resolve(r, &w, NULL, NULL, &f, &i);
	os_mutex_unlock(&r->lock);
	return rc;
}
