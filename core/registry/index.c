/* core/registry/index.c - who offers what: matching, preference, shadowing, enumeration.
 *
 * Nothing is loaded here. All functions that are not public run with the registry's lock held.
 */
#include "reg.h"

#include <stdio.h>
#include <string.h>

/* -- shadowing --------------------------------------------------------------------------------- */

/* The id that both claim, or NULL. */
static const char *conflict(const note *a, const note *b)
{
	uint32_t i, k;

	if (strcmp(a->id, b->id) == 0)
		return a->id;
	for (i = 0; i < a->n_provides; i++)
		for (k = 0; k < b->n_provides; k++)
			if (a->provides[i].p.kind == b->provides[k].p.kind &&
			    strcmp(a->provides[i].p.id, b->provides[k].p.id) == 0)
				return a->provides[i].p.id;
	return NULL;
}

const note *reg_active(const reg_file *f)
{
	if (f->vanished) /* a loaded copy belongs to those who have it */
		return NULL;
	if (f->gen != NULL)
		return &f->gen->note->n;
	if (f->rc != VIA_OK || f->winner != NULL || f->note == NULL)
		return NULL;
	return &f->note->n;
}

/* Looks for a file that keeps f from being used: a loaded one anywhere, or one before it. */
static void find_winner(const via_registry *r, reg_file *f)
{
	reg_file *other;
	int before = 1;

	f->winner = NULL;
	if (f->gen != NULL || f->rc != VIA_OK || f->vanished || f->note == NULL)
		return;
	for (other = r->files; other != NULL; other = other->next) {
		const note *n = other->gen != NULL || before ? reg_active(other) : NULL;

		if (other == f) {
			before = 0;
			continue;
		}
		if (n == NULL)
			continue;
		f->winner_id = conflict(&f->note->n, n);
		if (f->winner_id != NULL) {
			f->winner = other;
			return;
		}
	}
}

void reg_index(via_registry *r)
{
	reg_file *f;

	for (f = r->files; f != NULL; f = f->next)
		find_winner(r, f);
}

/* -- matching ---------------------------------------------------------------------------------- */

enum { RANK_ALIAS = 1 << 16, RANK_ID = 2 << 16 };

static int match_component(const reg_want *w, const via_provided *p)
{
	int rank = RANK_ALIAS + p->score + 1;

	if (p->kind != w->kind || p->rev < w->min_rev)
		return 0;
	switch (w->by) {
	case REG_BY_NAME:
		if (strcmp(p->id, w->name) == 0)
			return RANK_ID + p->score + 1;
		if (p->kind == VIA_KIND_TRANSPORT)
			return note_list_has(p->name, w->name) ? rank : 0;
		return strcmp(p->name, w->name) == 0 ? rank : 0;
	case REG_BY_METHOD:
		return p->method == w->method && p->score > 0 ? rank : 0;
	case REG_BY_PROFILE:
		if ((p->roles & w->role) == 0 || p->score <= 0)
			return 0;
		return w->profile == 0 || (p->profiles & w->profile) != 0 ? rank : 0;
	default:
		return 0;
	}
}

int reg_match(const reg_want *w, const note *n, uint32_t *i)
{
	uint32_t k;
	int rank, best = 0;

	if (w->by == REG_BY_MODULE) {
		*i = 0;
		return strcmp(n->id, w->name) == 0;
	}
	for (k = 0; k < n->n_provides; k++) {
		rank = match_component(w, &n->provides[k].p);
		if (rank > best) {
			best = rank;
			*i = k;
		}
	}
	return best;
}

static int was_tried(const reg_tried *t, const reg_file *f)
{
	uint32_t k;

	for (k = 0; t != NULL && k < t->n; k++)
		if (t->file[k] == f)
			return 1;
	return 0;
}

reg_file *reg_find(via_registry *r, const reg_want *w, const reg_tried *tried, uint32_t *i)
{
	reg_file *f, *found = NULL;
	int rank, best = 0;
	uint32_t k = 0;

	for (f = r->files; f != NULL; f = f->next) {
		const note *n = reg_active(f);

		if (n == NULL || was_tried(tried, f))
			continue;
		rank = reg_match(w, n, &k);
		if (rank > best) {
			best = rank;
			found = f;
			*i = k;
		}
	}
	return found;
}

/* -- enumeration ------------------------------------------------------------------------------- */

uint32_t reg_state(const reg_file *f)
{
	if (f->gen != NULL)
		return f->vanished ? VIA_FILE_GONE : VIA_FILE_LOADED;
	if (f->rc != VIA_OK || f->vanished)
		return VIA_FILE_REFUSED;
	if (f->winner != NULL)
		return VIA_FILE_SHADOWED;
	return f->retired ? VIA_FILE_RETIRED : VIA_FILE_FOUND;
}

int via_registry_files(via_registry *r, int (*fn)(void *arg, const via_file_info *), void *arg)
{
	via_provided provided[NOTE_PROVIDES_MAX];
	char why[640];
	reg_file *f;
	uint32_t i;
	int stop = 0;

	os_mutex_lock(&r->lock);
	for (f = r->files; f != NULL && stop == 0; f = f->next) {
		const note *n = f->gen != NULL    ? &f->gen->note->n
				: f->note != NULL ? &f->note->n
						  : NULL;
		via_file_info info = {.struct_size = sizeof info,
				      .state = reg_state(f),
				      .path = f->path,
				      .id = "",
				      .version = "",
				      .provided = provided,
				      .generation = f->n_loads};

		if (n != NULL) {
			info.id = n->id;
			info.version = n->version;
			info.n_provided = n->n_provides;
			for (i = 0; i < n->n_provides; i++)
				provided[i] = n->provides[i].p;
		}
		if (f->gen != NULL) {
			os_mutex_lock(&r->pins);
			info.n_pins = pins_count(f->gen, 0);
			os_mutex_unlock(&r->pins);
		}
		info.reason = reg_why(f, why, sizeof why);
		stop = fn(arg, &info);
	}
	os_mutex_unlock(&r->lock);
	return stop;
}

/* Position of a transport in the order of preference: better scores first, then the search
 * order. */
struct place {
	int32_t score;
	uint32_t file, i;
};

static int is_behind(const struct place *a, const struct place *b)
{
	if (a->score != b->score)
		return a->score < b->score;
	if (a->file != b->file)
		return a->file > b->file;
	return a->i > b->i;
}

/* The transport next behind `last`. */
static const via_provided *next_transport(const via_registry *r, struct place *last)
{
	const via_provided *best = NULL;
	struct place at, best_at = *last;
	const reg_file *f;

	at.file = 0;
	for (f = r->files; f != NULL; f = f->next, at.file++) {
		const note *n = reg_active(f);

		for (at.i = 0; n != NULL && at.i < n->n_provides; at.i++) {
			const via_provided *p = &n->provides[at.i].p;

			at.score = p->score;
			if (p->kind != VIA_KIND_TRANSPORT || !is_behind(&at, last))
				continue;
			if (best == NULL || is_behind(&best_at, &at)) {
				best = p;
				best_at = at;
			}
		}
	}
	*last = best_at;
	return best;
}

int reg_transports(via_registry *r, int (*fn)(void *arg, const via_provided *t), void *arg)
{
	struct place last = {INT32_MAX, 0, 0};
	const via_provided *p;
	int stop = 0;

	os_mutex_lock(&r->lock);
	while (stop == 0 && (p = next_transport(r, &last)) != NULL)
		stop = fn(arg, p);
	os_mutex_unlock(&r->lock);
	return stop;
}

via_rc via_registry_lookup(via_registry *r, uint32_t kind, const char *name, via_provided *out)
{
	reg_want w = {.by = REG_BY_NAME, .kind = kind, .name = name};
	via_rc rc = VIA_OK;
	uint32_t i = 0;
	reg_file *f;

	if (out->struct_size < offsetof(via_provided, codecs))
		return core_fail(VIA_INVAL, "lookup: struct_size is %u, expected at least %zu",
				 out->struct_size, offsetof(via_provided, codecs));
	if (name == NULL || kind < VIA_KIND_TRANSPORT || kind > VIA_KIND_SERVICE)
		return core_fail(VIA_INVAL,
				 "lookup: expected a kind from 1 to 3 and a name, found %u and %s",
				 kind, name == NULL ? "none" : name);
	os_mutex_lock(&r->lock);
	f = reg_find(r, &w, NULL, &i);
	if (f != NULL) { /* a program built against an older header has less room */
		via_provided p = reg_active(f)->provides[i].p;

		p.struct_size = out->struct_size < sizeof p ? out->struct_size : sizeof p;
		memcpy(out, &p, p.struct_size);
	} else {
		rc = reg_not_found(r, &w);
	}
	os_mutex_unlock(&r->lock);
	return rc;
}
