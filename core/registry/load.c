/* core/registry/load.c - makes a file a running module: image, identity, descriptor, init, start.
 *
 * What was checked is what is mapped: digest and identity are taken from the private image, not from
 * the file. A load that fails changes nothing but the reason that is kept with the file.
 * Threads: one loads a file at a time (reg_file.busy); no lock is held while module code runs.
 */
#include "reg.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

/* Loads of the whole process: image labels must differ between registries too. */
static atomic_uint n_images;

/* -- a generation ------------------------------------------------------------------------------ */

static via_rc gen_new(via_registry *r, reg_file *f, reg_gen **out)
{
	reg_gen *g;

	g = env_alloc(&r->env, sizeof *g);
	if (g == NULL)
		return core_nomem("a module");
	g->reg = r;
	g->file = f;
	g->pins.next = g->pins.prev = &g->pins;
	g->module_pins.next = g->module_pins.prev = &g->module_pins;
	g->refs.next = g->refs.prev = &g->refs;
	os_mutex_init(&g->ctl);
	os_mutex_init(&g->mem);
	host_init(g);
	*out = g;
	return VIA_OK;
}

void gen_free(reg_gen *g, int keep_mapped)
{
	if (g->image != NULL)
		os_image_close(g->image, keep_mapped);
	os_mutex_destroy(&g->mem);
	os_mutex_destroy(&g->ctl);
	env_free(&g->reg->env, g);
}

/* -- identity ---------------------------------------------------------------------------------- */

static via_rc read_image(void *ctx, uint64_t off, void *buf, uint64_t len)
{
	return os_image_read(ctx, off, buf, len);
}

/* "uds.7": unique in the process, and says what it was. */
static void image_label(const reg_file *f, char *buf, size_t cap)
{
	size_t len = strlen(f->label), suffix = sizeof OS_MODULE_SUFFIX - 1;

	len = len > suffix ? len - suffix : len;
	snprintf(buf, cap, "%.*s.%u", (int)(len < 64 ? len : 64), f->label,
		 atomic_fetch_add(&n_images, 1) + 1);
}

/* The locks as they are now, after the copy was made: an upgrade may have brought both meanwhile. */
static via_rc check_locks(const reg_gen *g, const image_source *s)
{
	via_registry *r = g->reg;
	const reg_file *f = g->file;
	char *dir;
	via_rc rc;
	lock l;

	if (r->module_policy != VIA_MODULES_LOCKED)
		return VIA_OK;
	dir = env_strdup(&r->env, f->path);
	if (dir == NULL)
		return core_nomem("a module's directory");
	dir[f->label - f->path] = '\0';
	rc = lock_read(&l, &r->env, dir);
	if (rc == VIA_OK)
		rc = lock_verify(&l, f->label, s);
	lock_free(&l);
	env_free(&r->env, dir);
	return rc;
}

/* Opens the file as it is now and reads its identity from the image, once the locks admit it. *out
 * is not kept yet. */
static via_rc open_image(reg_gen *g, reg_note **out)
{
	via_registry *r = g->reg;
	image_source s = {read_image, NULL, 0};
	os_file *file = NULL;
	char label[96];
	via_rc rc;

	rc = os_file_open(&r->env, g->file->path, &file);
	if (rc != VIA_OK)
		return rc;
	os_file_identity(file, &g->id);
	image_label(g->file, label, sizeof label);
	rc = os_file_trusted(file, g->file->path);
	if (rc == VIA_OK)
		rc = os_image_open(&r->env, file, g->file->path, label,
				   r->load_mode == VIA_LOAD_DIRECT, &g->image);
	os_file_close(file);
	if (rc != VIA_OK)
		return rc;
	s.ctx = g->image;
	s.size = os_image_size(g->image);
	rc = check_locks(g, &s);
	return rc != VIA_OK ? rc : reg_note_read(&r->env, &s, out);
}

/* The identity the image really has: the same as at the scan, or one that still does what is
 * wanted. */
static via_rc accept_identity(reg_gen *g, reg_note *n, via_rc rc, const reg_want *w)
{
	via_registry *r = g->reg;
	reg_file *f = g->file;
	char wanted[160];
	uint32_t i;

	os_mutex_lock(&r->lock);
	if (n != NULL)
		g->note = reg_note_keep(r, n);
	if (rc == VIA_OK && g->note != f->note) {
		f->note = g->note;
		f->id = g->id;
		reg_index(r);
		reg_want_text(w, wanted, sizeof wanted);
		if (f->winner != NULL)
			rc = core_fail(VIA_EXISTS,
				       "changed since it was scanned: %s is already provided by %s",
				       f->winner_id, reg_name(f->winner));
		else if (reg_match(w, &g->note->n, &i) == 0)
			rc = core_fail(
				VIA_NOTFOUND,
				"changed since it was scanned: it is now %s %s and does not provide %s",
				g->note->n.id, g->note->n.version, wanted);
	}
	if (rc == VIA_OK)
		f->id = g->id;
	os_mutex_unlock(&r->lock);
	return rc;
}

static via_rc identify(reg_gen *g, const reg_want *w)
{
	reg_note *n = NULL;
	via_rc rc;

	if (g->file->builtin != NULL) {
		g->note = g->file->note;
		return VIA_OK;
	}
	rc = open_image(g, &n);
	return accept_identity(g, n, rc, w);
}

/* -- code -------------------------------------------------------------------------------------- */

static via_rc enter(reg_gen *g)
{
	const core_builtin *b = g->file->builtin;
	const via_module_desc *desc = NULL;
	via_module_entry_fn entry;
	void *symbol;
	via_rc rc;

	if (b != NULL) {
		entry = b->entry;
	} else {
		rc = os_image_map(g->image);
		if (rc != VIA_OK)
			return rc;
		symbol = os_image_symbol(g->image, VIA_MODULE_SYMBOL);
		if (symbol == NULL)
			return core_fail(VIA_EABI, "the symbol " VIA_MODULE_SYMBOL " is missing");
		memcpy(&entry, &symbol, sizeof entry);
	}
	if (entry == NULL)
		return core_fail(VIA_EABI, "the symbol " VIA_MODULE_SYMBOL " is missing");
	rc = entry(VIA_ABI_MINOR, &desc);
	if (rc < 0)
		return core_fail(VIA_EABI, VIA_MODULE_SYMBOL " answered %s to a core of minor %u",
				 via_rc_name(rc), VIA_ABI_MINOR);
	if (desc == NULL)
		return core_fail(VIA_EABI, VIA_MODULE_SYMBOL " gave no descriptor");
	rc = gate_check(g, desc);
	if (rc == VIA_OK)
		g->desc = desc;
	return rc;
}

/* Everything it says it cannot work without must be there (not loaded: that happens when it
 * asks). */
static via_rc check_requirements(reg_gen *g)
{
	via_registry *r = g->reg;
	char wanted[160];
	via_rc rc = VIA_OK;
	uint32_t i, k;
	int looked = 0;

	for (i = 0; rc == VIA_OK && i < g->note->n.n_requires; i++) {
		const note_requirement *q = &g->note->n.requires[i];
		reg_want w = {.by = REG_BY_NAME, .kind = q->kind, .name = q->name};
		int found;

		os_mutex_lock(&r->lock);
		found = reg_find(r, &w, NULL, &k) != NULL;
		os_mutex_unlock(&r->lock);
		if (!found && !looked && (looked = reg_scan(r, REG_SCAN_CHANGED) == 1)) {
			i--;
			continue;
		}
		reg_want_text(&w, wanted, sizeof wanted);
		if (!found)
			rc = core_fail(VIA_NOTFOUND, "requires %s, which no module provides",
				       wanted);
	}
	return rc;
}

/* A copy of what init() is to get: the program may set another one meanwhile. */
static via_rc take_config(reg_gen *g, char **out)
{
	via_registry *r = g->reg;
	const reg_config *c;
	via_rc rc = VIA_OK;

	*out = NULL;
	os_mutex_lock(&r->lock);
	for (c = r->configs; c != NULL; c = c->next)
		if (strcmp(c->id, g->note->n.id) == 0)
			break;
	if (c != NULL) {
		*out = env_strdup(&r->env, c->text);
		if (*out == NULL)
			rc = core_nomem("a module's configuration");
	}
	os_mutex_unlock(&r->lock);
	return rc;
}

static via_rc run(reg_gen *g)
{
	char *config;
	via_rc rc;

	rc = check_requirements(g);
	if (rc == VIA_OK)
		rc = singleton_claim(g);
	if (rc != VIA_OK)
		return rc;
	rc = take_config(g, &config);
	if (rc == VIA_OK)
		rc = life_start(g, config);
	env_free(&g->reg->env, config);
	if (rc != VIA_OK)
		singleton_drop(g);
	return rc;
}

static via_rc build(via_registry *r, reg_file *f, const reg_want *w, reg_gen **out)
{
	reg_gen *g = NULL;
	char detail[512];
	via_rc rc;

	rc = gen_new(r, f, &g);
	if (rc != VIA_OK)
		return rc;
	rc = identify(g, w);
	if (rc == VIA_OK)
		rc = enter(g);
	if (rc == VIA_OK)
		rc = run(g);
	if (rc == VIA_OK) {
		reg_log(r, VIA_LOG_INFO, g->note->n.id, "version %s loaded from %s",
			g->note->n.version, f->path);
		*out = g;
		return VIA_OK;
	}
	snprintf(detail, sizeof detail, "%s", via_error());
	reg_log(r, VIA_LOG_ERROR, f->label, "not loaded: %s", detail);
	/* Code that was never run is unmapped; code that was, only where its author allows it. */
	gen_free(g, g->was_run && (g->desc->flags & VIA_MOD_UNLOADABLE) == 0);
	return core_fail(rc, "%s", detail);
}

/* -- one at a time (lock held, released meanwhile) --------------------------------------------- */

/* by's load waits for f. Would f's, directly or not, wait for by's? */
static int is_circular(const reg_gen *by, const reg_file *f)
{
	if (by == NULL || by->file->busy != REG_LOADING)
		return 0;
	for (; f != NULL; f = f->waits_for)
		if (f == by->file)
			return 1;
	return 0;
}

static void waits(reg_gen *by, reg_file *f)
{
	if (by != NULL && by->file->busy == REG_LOADING)
		by->file->waits_for = f;
}

static via_rc failed_load(const reg_file *f, via_rc rc)
{
	return core_fail(rc, "%s: %s", reg_name(f),
			 f->load_reason != NULL ? f->load_reason : via_rc_text(rc));
}

/* Another thread loads or unloads f. */
static via_rc wait_for(via_registry *r, reg_file *f, reg_gen *by)
{
	uint32_t n_tries = f->n_tries;

	if (is_circular(by, f))
		return core_fail(VIA_STATE, "%s and %s need each other to be loaded",
				 by->note->n.id, reg_name(f));
	waits(by, f);
	f->users++;
	while (f->busy == REG_LOADING || (f->busy == REG_UNLOADING && !f->draining && by == NULL))
		os_cond_wait(&r->changed, &r->lock);
	f->users--;
	waits(by, NULL);
	if (f->busy == REG_UNLOADING)
		return core_fail(VIA_BUSY, "%s is being unloaded", reg_name(f));
	if (f->n_tries != n_tries && f->gen == NULL && f->load_rc < 0)
		return failed_load(f, f->load_rc);
	return VIA_AGAIN;
}

via_rc reg_ensure(via_registry *r, reg_file *f, const reg_want *w, reg_gen *by)
{
	reg_gen *g = NULL;
	via_rc rc;

	if (f->busy != REG_IDLE)
		return wait_for(r, f, by);
	if (f->gen != NULL)
		return VIA_OK;
	f->busy = REG_LOADING;
	f->users++;
	waits(by, f);
	os_mutex_unlock(&r->lock);
	rc = build(r, f, w, &g);
	os_mutex_lock(&r->lock);
	waits(by, NULL);
	f->users--;
	f->busy = REG_IDLE;
	f->n_tries++;
	f->load_rc = rc;
	if (rc != VIA_OK) {
		reg_set_reason(r, f, &f->load_reason);
	} else {
		reg_set_text(r, &f->load_reason, NULL);
		f->gen = g;
		f->n_loads++;
		f->retired = 0;
	}
	reg_index(r);
	os_cond_broadcast(&r->changed);
	return rc == VIA_OK ? VIA_OK : failed_load(f, rc);
}
