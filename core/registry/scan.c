/* core/registry/scan.c - looks at the directories of the module path and reads identities.
 *
 * Executes nothing. The new list is built without the lock and then merged under it; `scanning`
 * makes sure that one thread does so at a time, which is also what lets it walk the list without
 * the lock.
 * Syscalls: directory listing, open, stat and a few small reads for each file (core/os).
 */
#include "reg.h"

#include <string.h>

/* A directory whose time changed less than this before it was listed may change again without
 * showing it. */
#define SETTLED_NS 100000000u
#define REFUSED_AGAIN_NS 1000000000u /* between looks of handshakes at files that were refused */

/* -- identity texts ---------------------------------------------------------------------------- */

/* *out is also set when the result is VIA_EABI: the text of another ABI is worth keeping. */
via_rc reg_note_new(const core_env *e, const char *text, uint64_t len, reg_note **out)
{
	reg_note *n;
	via_rc rc;

	n = env_alloc(e, sizeof *n + 2 * (len < NOTE_MAX ? len : NOTE_MAX));
	if (n == NULL)
		return core_nomem("a module's identity");
	n->raw = (char *)(n + 1);
	rc = note_parse(text, len, n->raw + len, &n->n);
	if (rc != VIA_OK && rc != VIA_EABI) {
		env_free(e, n);
		return rc;
	}
	n->len = len;
	memcpy(n->raw, text, (size_t)len);
	*out = n;
	return rc;
}

reg_note *reg_note_keep(via_registry *r, reg_note *n)
{
	reg_note *k;

	for (k = r->notes; k != NULL; k = k->next)
		if (k->len == n->len && memcmp(k->raw, n->raw, (size_t)n->len) == 0) {
			env_free(&r->env, n);
			return k;
		}
	n->next = r->notes;
	r->notes = n;
	return n;
}

via_rc reg_note_read(const core_env *e, const image_source *s, reg_note **out)
{
	char text[NOTE_MAX];
	uint32_t len = 0;
	via_rc rc;

	rc = image_read_note(s, text, &len);
	return rc != VIA_OK ? rc : reg_note_new(e, text, len, out);
}

/* -- one file ---------------------------------------------------------------------------------- */

static via_rc read_file(void *ctx, uint64_t off, void *buf, uint64_t len)
{
	return os_file_read(ctx, off, buf, len);
}

/* Why f is refused, or VIA_OK. The identity is read from a file that is not trusted or not listed,
 * too: reading runs nothing, and the registry can then say which refused file would have provided
 * something. locks: those of its directory, NULL when they do not count. */
static void examine(via_registry *r, reg_file *f, const lock *locks, int how)
{
	image_source s = {read_file, NULL, 0};
	os_file *file = NULL;
	via_rc rc;

	if (os_path_id(f->path, &f->id) !=
	    VIA_OK) /* of what cannot be opened, too: is_stale() compares */
		memset(&f->id, 0, sizeof f->id);
	f->rc = os_file_open(&r->env, f->path, &file);
	if (f->rc != VIA_OK) {
		reg_set_reason(r, f, &f->reason);
		return;
	}
	os_file_identity(file, &f->id);
	s.ctx = file;
	s.size = f->id.size;
	f->rc = os_file_trusted(file, f->path);
	if (f->rc == VIA_OK && locks != NULL)
		f->rc = how == REG_SCAN_VERIFY ? lock_verify(locks, f->label, &s)
					       : lock_admits(locks, f->label);
	if (f->rc != VIA_OK)
		reg_set_reason(r, f, &f->reason);
	rc = reg_note_read(&r->env, &s, &f->note);
	if (rc != VIA_OK && (f->rc == VIA_OK || rc == VIA_NOMEM)) {
		f->rc = rc;
		reg_set_reason(r, f, &f->reason);
	}
	os_file_close(file);
}

static int is_module_name(const char *name)
{
	size_t len = strlen(name), suffix = sizeof OS_MODULE_SUFFIX - 1;

	return name[0] != '.' && len > suffix && strcmp(name + len - suffix, OS_MODULE_SUFFIX) == 0;
}

/* -- one directory ----------------------------------------------------------------------------- */

struct listing {
	via_registry *r;
	const char *dir;
	reg_file *first;
	uint32_t n;
};

static via_rc add_name(void *arg, const char *name)
{
	struct listing *l = arg;
	size_t dir_len = strlen(l->dir), name_len = strlen(name);
	int separate = dir_len > 0 && l->dir[dir_len - 1] != OS_DIR_SEP;
	reg_file *f;

	if (!is_module_name(name))
		return VIA_OK;
	if (l->n == REG_FILES_MAX)
		return core_fail(VIA_LIMIT, "more than %d modules in one directory", REG_FILES_MAX);
	f = env_alloc(&l->r->env, sizeof *f);
	if (f == NULL)
		return core_nomem("the list of modules");
	f->path = env_alloc(&l->r->env, dir_len + name_len + 2);
	if (f->path == NULL) {
		env_free(&l->r->env, f);
		return core_nomem("the list of modules");
	}
	memcpy(f->path, l->dir, dir_len);
	if (separate)
		f->path[dir_len++] = OS_DIR_SEP;
	memcpy(f->path + dir_len, name, name_len + 1);
	f->label = f->path + dir_len;
	f->next = l->first;
	l->first = f;
	l->n++;
	return VIA_OK;
}

static reg_file *merge_sorted(reg_file *a, reg_file *b)
{
	reg_file *first = NULL, **tail = &first;

	while (a != NULL && b != NULL) {
		reg_file **from = strcmp(a->label, b->label) <= 0 ? &a : &b;

		*tail = *from;
		tail = &(*tail)->next;
		*from = *tail;
	}
	*tail = a != NULL ? a : b;
	return first;
}

/* Bottom-up merge sort of a list: level k of `part` holds a sorted list of 2^k files. */
static reg_file *sort_files(reg_file *f)
{
	reg_file *part[32] = {NULL}, *next, *sorted = NULL;
	uint32_t k;

	for (; f != NULL; f = next) {
		next = f->next;
		f->next = NULL;
		for (k = 0; part[k] != NULL; k++) {
			f = merge_sorted(part[k], f);
			part[k] = NULL;
		}
		part[k] = f;
	}
	for (k = 0; k < 32; k++)
		sorted = merge_sorted(sorted, part[k]);
	return sorted;
}

static void free_files(via_registry *r, reg_file *f)
{
	reg_file *next;

	for (; f != NULL; f = next) {
		next = f->next;
		env_free(&r->env, f->note); /* not kept yet */
		reg_file_free(r, f);
	}
}

static via_rc examine_all(via_registry *r, const char *dir, reg_file *f, int how)
{
	const int is_locked = r->module_policy == VIA_MODULES_LOCKED && f != NULL;
	via_rc rc = VIA_OK;
	lock l;

	if (is_locked)
		rc = lock_read(&l, &r->env, dir);
	for (; rc == VIA_OK && f != NULL; f = f->next) {
		examine(r, f, is_locked ? &l : NULL, how);
		if (f->rc == VIA_NOMEM)
			rc = core_nomem("the list of modules");
	}
	if (is_locked)
		lock_free(&l);
	return rc;
}

/* When what has this identity was changed, unless its clock is ahead of ours: then now. */
static via_time changed_at(const os_file_id *id, via_time now)
{
	uint64_t clock = os_file_clock(), age = clock > id->mtime_ns ? clock - id->mtime_ns : 0;

	return age < now ? now - age : 0;
}

/* Lists d into *out, sorted, each file examined. d gets what is known of the directory itself. */
static via_rc scan_dir(via_registry *r, reg_dir *d, int how, reg_file **out)
{
	struct listing l = {r, d->path, NULL, 0};
	os_file_id id = {0, 0, 0, 0};
	via_time now = os_now();
	int exists, is_full;
	via_rc rc;

	exists = os_path_id(d->path, &id) == VIA_OK;
	if (exists != d->exists || memcmp(&id, &d->id, sizeof id) != 0 || d->listed == 0)
		d->since = changed_at(&id, now);
	d->exists = exists;
	d->id = id;
	d->listed = now;
	d->reason = NULL;
	rc = os_dir_list(&r->env, d->path, add_name, &l);
	is_full = rc == VIA_LIMIT && l.n == REG_FILES_MAX; /* else the system's limit */
	d->is_unknown = r->is_open && rc != VIA_OK && rc != VIA_NOTFOUND && !is_full;
	if (rc == VIA_NOMEM) {
		free_files(r, l.first);
		return rc;
	}
	if (rc != VIA_OK) {
		reg_set_text(r, &d->reason, rc == VIA_NOTFOUND ? "does not exist" : via_error());
		if (!is_full) {
			free_files(r, l.first);
			l.first = NULL;
		}
	}
	l.first = sort_files(l.first);
	rc = examine_all(r, d->path, l.first, how);
	if (rc == VIA_OK)
		*out = l.first;
	else
		free_files(r, l.first);
	return rc;
}

/* -- all of them ------------------------------------------------------------------------------- */

/* A fresh look at a known file: what is loaded stays, what was read of the file is new. */
static void refresh(via_registry *r, reg_file *old, reg_file *f)
{
	if (memcmp(&old->id, &f->id, sizeof f->id) != 0)
		reg_set_text(r, &old->load_reason, NULL);
	old->is_news = old->vanished || (old->rc == VIA_OK) != (f->rc == VIA_OK);
	env_free(&r->env, old->reason);
	old->reason = f->reason;
	f->reason = NULL;
	old->id = f->id;
	old->rc = f->rc;
	old->note = f->note;
	old->vanished = 0;
	reg_file_free(r, f);
}

static reg_file *take_old(reg_file **list, const char *path)
{
	reg_file **at, *f;

	for (at = list; (f = *at) != NULL; at = &f->next)
		if (f->builtin == NULL && strcmp(f->path, path) == 0) {
			*at = f->next;
			return f;
		}
	return NULL;
}

/* Lock held. Builtins stay in front; vanished files that are in use go to the end, the others to *gone. */
static void merge(via_registry *r, reg_file *fresh, reg_file **gone)
{
	reg_file *old = r->files, *list = NULL, **tail = &list, *f, *known;

	while (old != NULL && old->builtin != NULL) {
		*tail = old;
		tail = &old->next;
		old = old->next;
	}
	r->n_refused = 0;
	for (; (f = fresh) != NULL; tail = &(*tail)->next) {
		fresh = f->next;
		f->is_news = 1;
		r->n_refused += f->rc != VIA_OK;
		if (f->note != NULL)
			f->note = reg_note_keep(r, f->note);
		known = take_old(&old, f->path);
		if (known != NULL)
			refresh(r, known, f);
		*tail = known != NULL ? known : f;
	}
	for (; (f = old) != NULL;) {
		old = f->next;
		if (r->dirs[f->dir].is_unknown) {
			r->n_refused += f->rc != VIA_OK;
			*tail = f;
			tail = &f->next;
			continue;
		}
		f->is_news = !f->vanished;
		f->vanished = 1;
		if (f->gen == NULL && f->busy == REG_IDLE && f->users == 0) {
			f->next = *gone;
			*gone = f;
			continue;
		}
		*tail = f;
		tail = &f->next;
	}
	*tail = NULL;
	r->files = list;
	reg_index(r);
}

static const char *id_of(via_registry *r, const reg_file *f)
{
	const reg_note *n;

	os_mutex_lock(&r->lock);
	n = f->gen != NULL ? f->gen->note : f->note;
	os_mutex_unlock(&r->lock);
	return n != NULL && n->n.id[0] != '\0' ? n->n.id : f->label; /* notes stay until the end */
}

/* Puts into the log, once, what came and went. What it reads without the lock only scans write, and this is
 * in one. */
static void announce(via_registry *r, reg_file *f)
{
	for (; f != NULL; f = f->next) {
		if (f->is_news == 0)
			continue;
		f->is_news = 0;
		if (r->is_open == 0)
			continue;
		if (f->vanished)
			reg_log(r, VIA_LOG_WARN, id_of(r, f),
				"%s is gone: what has it loaded goes on, nothing new gets it",
				f->path);
		else if (f->rc != VIA_OK)
			reg_log(r, VIA_LOG_WARN, id_of(r, f), "%s is refused: %s", f->path,
				f->reason != NULL ? f->reason : via_rc_text(f->rc));
		else
			reg_log(r, VIA_LOG_INFO, id_of(r, f), "found %s", f->path);
	}
}

/* All but the path, which others read without the lock. */
static void take_dir(reg_dir *d, const reg_dir *fresh)
{
	d->reason = fresh->reason;
	d->id = fresh->id;
	d->exists = fresh->exists;
	d->is_unknown = fresh->is_unknown;
	d->since = fresh->since;
	d->listed = fresh->listed;
}

static via_rc scan_all(via_registry *r, reg_dir *dirs, int how)
{
	reg_file *list = NULL, **tail = &list, *gone = NULL;
	via_rc rc = VIA_OK;
	uint32_t i;

	for (i = 0; rc == VIA_OK && i < r->n_dirs; i++) {
		dirs[i] = r->dirs[i];
		dirs[i].reason = NULL;
		rc = scan_dir(r, &dirs[i], how, tail);
		for (; *tail != NULL; tail = &(*tail)->next)
			(*tail)->dir = i;
	}
	if (rc != VIA_OK) {
		free_files(r, list);
		while (i-- > 0)
			env_free(&r->env, dirs[i].reason);
		return rc;
	}
	os_mutex_lock(&r->lock);
	for (i = 0; i < r->n_dirs; i++) {
		env_free(&r->env, r->dirs[i].reason);
		take_dir(&r->dirs[i], &dirs[i]);
	}
	merge(r, list, &gone);
	os_mutex_unlock(&r->lock);
	announce(r, r->files);
	announce(r, gone);
	while ((list = gone) != NULL) {
		gone = list->next;
		reg_file_free(r, list);
	}
	return VIA_OK;
}

/* The refusal follows from the file's bytes, and stays until those change. Anything else (mode,
 * owner, too many open files) may be over by now without a trace in the file's identity. */
static int is_lasting(via_rc rc)
{
	return rc == VIA_PROTO || rc == VIA_EABI || rc == VIA_NOTFOUND || rc == VIA_INVAL;
}

/* A scan could find something else than the last one did. */
static int is_stale(via_registry *r)
{
	os_file_id id, last;
	int refused, lasting;
	reg_file *f;
	uint32_t i;

	for (i = 0; i < r->n_dirs; i++) {
		const reg_dir *d = &r->dirs[i];

		if ((os_path_id(d->path, &id) == VIA_OK) != d->exists)
			return 1;
		if (d->exists && (memcmp(&id, &d->id, sizeof id) != 0 ||
				  d->listed - d->since < SETTLED_NS || d->reason != NULL))
			return 1;
	}
	for (f = r->files; f != NULL; f = f->next) {
		os_mutex_lock(&r->lock);
		refused = f->builtin == NULL && !f->vanished && f->rc != VIA_OK;
		lasting = is_lasting(f->rc);
		last = f->id;
		os_mutex_unlock(&r->lock);
		if (!refused)
			continue;
		if (os_path_id(f->path, &id) != VIA_OK)
			memset(&id, 0, sizeof id);
		if (!lasting || memcmp(&id, &last, sizeof id) != 0)
			return 1;
	}
	return 0;
}

via_rc reg_scan(via_registry *r, int how)
{
	reg_dir *dirs = NULL;
	int waited = 0;
	via_rc rc = 0;

	os_mutex_lock(&r->lock);
	while (r->scanning) {
		waited = 1;
		os_cond_wait(&r->changed, &r->lock);
	}
	r->scanning = 1;
	r->verifies |= how == REG_SCAN_VERIFY;
	os_mutex_unlock(&r->lock);
	if (how != REG_SCAN_CHANGED || is_stale(r)) {
		dirs = env_alloc(&r->env, (uint64_t)(r->n_dirs + 1) * sizeof *dirs);
		rc = dirs == NULL ? core_nomem("the list of modules")
				  : scan_all(r, dirs, r->verifies ? REG_SCAN_VERIFY : how);
		env_free(&r->env, dirs);
		if (rc == VIA_OK)
			rc = 1;
	} else {
		rc = waited; /* somebody else's scan may have brought it */
	}
	os_mutex_lock(&r->lock);
	r->scanning = 0;
	os_cond_broadcast(&r->changed);
	os_mutex_unlock(&r->lock);
	return rc;
}

via_rc via_registry_scan(via_registry *r)
{
	via_rc rc = reg_scan(r, REG_SCAN_ALWAYS);

	return rc < 0 ? rc : VIA_OK;
}

via_rc via_registry_verify(via_registry *r)
{
	via_rc rc = reg_scan(r, REG_SCAN_VERIFY);

	return rc < 0 ? rc : VIA_OK;
}

/* A directory has other times than when it was listed; or was listed so soon after a change that another
 * one may not show: it is looked at once more then; or something was refused, which may be over: looked at now
 * and then. */
static int is_due(via_registry *r, const reg_dir *d, const os_file_id *id, int exists, via_time now)
{
	if (exists != d->exists || (exists && memcmp(id, &d->id, sizeof *id) != 0))
		return 1;
	if (exists && d->listed - d->since < SETTLED_NS && now - d->since >= SETTLED_NS)
		return 1;
	return (d->is_unknown || r->n_refused != 0) && now - r->looked >= REFUSED_AGAIN_NS;
}

void reg_refresh(via_registry *r)
{
	os_file_id id;
	int exists, due = 0;
	via_time now;
	uint32_t i;

	for (i = 0; i < r->n_dirs && due == 0; i++) {
		exists = os_path_id(r->dirs[i].path, &id) == VIA_OK;
		os_mutex_lock(&r->lock);
		now = os_now(); /* not before what another thread has just noted */
		due = is_due(r, &r->dirs[i], &id, exists, now);
		if (due != 0)
			r->looked = now;
		os_mutex_unlock(&r->lock);
	}
	if (due != 0)
		(void)reg_scan(r, REG_SCAN_CHANGED); /* the old list goes on when that fails */
}
