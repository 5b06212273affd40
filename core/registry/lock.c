/* core/registry/lock.c - reads the locks of a module directory and compares digests with them.
 *
 * Locks are short and read when they are needed, at each scan and each load, and not kept: there is
 * no state that could be older than the file. They pass the same trust gate as modules, since who
 * may write them decides which code is run.
 * Syscalls: directory listing, open, stat and one read for each lock (core/os).
 */
#include "lock.h"
#include "../base/sha256.h"
#include "../os/os.h"

#include <stdio.h>
#include <string.h>

#define LOCK_FILE "modules.lock"
#define LOCK_DIR "modules.lock.d"
#define LOCK_SUFFIX ".lock"

/* -- one text ---------------------------------------------------------------------------------- */

enum { SHOWN_MAX = 40 };

/* The first bytes of what was found, fit for a sentence. */
static const char *shown(const char *s, size_t len, char buf[SHOWN_MAX + 4])
{
	size_t i, n = len < SHOWN_MAX ? len : SHOWN_MAX;

	for (i = 0; i < n; i++)
		buf[i] = s[i] >= ' ' && s[i] < 127 ? s[i] : '?';
	memcpy(buf + n, len > n ? "..." : "", len > n ? 4 : 1);
	return buf;
}

static int is_digest(const char *s, size_t len)
{
	size_t i;

	for (i = 0; i < LOCK_DIGITS; i++)
		if (i == len || !((s[i] >= '0' && s[i] <= '9') || (s[i] >= 'a' && s[i] <= 'f')))
			return 0;
	return 1;
}

static int is_file_name(const char *s, size_t len)
{
	size_t i;

	if (len == 0 || len > LOCK_NAME_MAX || (len <= 2 && memcmp(s, "..", len) == 0))
		return 0;
	for (i = 0; i < len; i++)
		if ((unsigned char)s[i] < ' ' || s[i] == 127 || s[i] == '/' || s[i] == '\\')
			return 0;
	return 1;
}

static int is_empty(const char *s, size_t len)
{
	size_t i;

	for (i = 0; i < len && (s[i] == ' ' || s[i] == '\t'); i++)
		;
	return i == len || s[i] == '#';
}

/* "<64 digits>  <name>", or " *" between them. */
static via_rc parse_line(char *s, size_t len, lock_line *out)
{
	const size_t at = LOCK_DIGITS + 2;
	char buf[SHOWN_MAX + 4];

	if (!is_digest(s, len))
		return core_fail(VIA_PROTO,
				 "line %u: expected %d lower-case hexadecimal digits, found \"%s\"",
				 out->number, LOCK_DIGITS, shown(s, len, buf));
	if (len < at || s[at - 2] != ' ' || (s[at - 1] != ' ' && s[at - 1] != '*'))
		return core_fail(VIA_PROTO,
				 "line %u: expected two blanks, or one and '*', behind the digest, "
				 "found \"%s\"",
				 out->number, shown(s + LOCK_DIGITS, len - LOCK_DIGITS, buf));
	if (!is_file_name(s + at, len - at))
		return core_fail(
			VIA_PROTO,
			"line %u: expected the name of a file without a directory, of at most "
			"%d bytes, found \"%s\"",
			out->number, LOCK_NAME_MAX, shown(s + at, len - at, buf));
	s[LOCK_DIGITS] = '\0';
	s[len] = '\0';
	out->digest = s;
	out->name = s + at;
	return VIA_OK;
}

via_rc lock_parse(char *text, uint64_t len, via_rc (*take)(void *arg, const lock_line *line),
		  void *arg)
{
	char *at, *end, *next, *stop = text + len;
	lock_line line = {NULL, NULL, 0};
	via_rc rc = VIA_OK;

	for (at = text; rc == VIA_OK && at < stop; at = next) {
		end = memchr(at, '\n', (size_t)(stop - at));
		next = end == NULL ? stop : end + 1;
		if (end == NULL)
			end = stop;
		if (end > at && end[-1] == '\r')
			end--;
		line.number++;
		if (is_empty(at, (size_t)(end - at)))
			continue;
		rc = parse_line(at, (size_t)(end - at), &line);
		if (rc == VIA_OK)
			rc = take(arg, &line);
	}
	return rc;
}

/* -- all texts of a directory ------------------------------------------------------------------ */

struct lock_text {
	lock_text *next;
	char *name; /* "modules.lock.d/x.lock", for sentences */
	uint64_t len;
	char text[]; /* len bytes and one more */
};

/* The entry of this name, or where it belongs. 1: found. */
static int search(const lock *l, const char *name, uint32_t *at)
{
	uint32_t low = 0, high = l->n_entries, middle;
	int order;

	while (low < high) {
		middle = low + (high - low) / 2;
		order = os_name_compare(name, l->entries[middle].line.name);
		if (order == 0) {
			*at = middle;
			return 1;
		}
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	*at = low;
	return 0;
}

static via_rc grow(lock *l)
{
	uint32_t cap = l->cap == 0 ? 32 : 2 * l->cap;
	lock_entry *more;

	if (l->n_entries < l->cap)
		return VIA_OK;
	more = env_alloc(l->e, (uint64_t)cap * sizeof *more);
	if (more == NULL)
		return core_nomem("the locks of a module directory");
	if (l->n_entries > 0)
		memcpy(more, l->entries, l->n_entries * sizeof *more);
	env_free(l->e, l->entries);
	l->entries = more;
	l->cap = cap;
	return VIA_OK;
}

struct adding {
	lock *l;
	const lock_text *from;
};

static via_rc add_line(void *arg, const lock_line *line)
{
	const struct adding *a = arg;
	lock *l = a->l;
	const lock_entry *other;
	uint32_t at;
	via_rc rc;

	if (search(l, line->name, &at)) {
		other = &l->entries[at];
		if (strcmp(other->line.digest, line->digest) == 0)
			return VIA_OK;
		return core_fail(
			VIA_PROTO,
			"line %u: %.80s: expected sha256 %s as in line %u of %.80s, found %s",
			line->number, line->name, other->line.digest, other->line.number,
			other->from->name, line->digest);
	}
	if (l->n_entries == LOCK_NAMES_MAX)
		return core_fail(VIA_PERM,
				 "line %u: expected at most %d names in a directory's locks",
				 line->number, LOCK_NAMES_MAX);
	rc = grow(l);
	if (rc != VIA_OK)
		return rc;
	memmove(l->entries + at + 1, l->entries + at, (l->n_entries - at) * sizeof *l->entries);
	l->entries[at] = (lock_entry){*line, a->from};
	l->n_entries++;
	return VIA_OK;
}

/* dir, a separator unless it ends with one, and name */
static char *join(const core_env *e, const char *dir, char sep, const char *name)
{
	const size_t len = strlen(dir), room = len + strlen(name) + 2;
	const int separate = len > 0 && dir[len - 1] != sep;
	char *path = env_alloc(e, room);

	if (path != NULL)
		snprintf(path, room, "%s%.*s%s", dir, separate, &sep, name);
	return path;
}

/* Reads an open file of at most what is left of the bound into a new text. */
static via_rc take_text(lock *l, os_file *file, const char *path, lock_text **out)
{
	os_file_id id;
	lock_text *t;
	via_rc rc;

	rc = os_file_trusted(file, path);
	if (rc != VIA_OK)
		return rc;
	os_file_identity(file, &id);
	if (id.size > LOCK_BYTES_MAX - l->n_bytes)
		return core_fail(VIA_PERM,
				 "%s: %llu bytes, expected at most %d in all locks of a directory",
				 path, (unsigned long long)id.size, LOCK_BYTES_MAX);
	t = env_alloc(l->e, sizeof *t + id.size + 1);
	if (t == NULL)
		return core_nomem("a module lock");
	rc = os_file_read(file, 0, t->text, id.size);
	if (rc != VIA_OK) {
		env_free(l->e, t);
		return core_fail(rc, "%s: %s", path, via_error());
	}
	t->name = NULL;
	t->len = id.size;
	t->next = l->texts;
	l->texts = t;
	l->n_bytes += id.size;
	*out = t;
	return VIA_OK;
}

/* name is taken over. A file that is not there, or no more, lists nothing. */
static via_rc read_text(lock *l, const char *dir, const char *file_name, char *name)
{
	struct adding a = {l, NULL};
	lock_text *t = NULL;
	os_file *file = NULL;
	char *path;
	via_rc rc;

	path = name != NULL ? join(l->e, dir, OS_DIR_SEP, file_name) : NULL;
	rc = path != NULL ? os_file_open(l->e, path, &file) : core_nomem("a module lock");
	if (rc == VIA_OK) {
		rc = take_text(l, file, path, &t);
		os_file_close(file);
	} else if (rc == VIA_NOTFOUND) {
		rc = VIA_OK;
	}
	env_free(l->e, path);
	if (t == NULL) {
		env_free(l->e, name);
		return rc;
	}
	t->name = name;
	a.from = t;
	rc = lock_parse(t->text, t->len, add_line, &a);
	return rc == VIA_OK || rc == VIA_NOMEM ? rc : core_fail(rc, "%s: %s", name, via_error());
}

/* -- modules.lock.d ---------------------------------------------------------------------------- */

struct names {
	const core_env *e;
	char *name[LOCK_FILES_MAX];
	uint32_t n;
};

/* Keeps them sorted. */
static via_rc add_name(void *arg, const char *name)
{
	const size_t len = strlen(name), suffix = sizeof LOCK_SUFFIX - 1;
	struct names *l = arg;
	char *copy;
	uint32_t at;

	if (name[0] == '.' || len <= suffix || strcmp(name + len - suffix, LOCK_SUFFIX) != 0)
		return VIA_OK;
	if (l->n == LOCK_FILES_MAX)
		return core_fail(VIA_PERM, LOCK_DIR ": expected at most %d locks", LOCK_FILES_MAX);
	copy = env_strdup(l->e, name);
	if (copy == NULL)
		return core_nomem("the list of module locks");
	for (at = l->n; at > 0 && strcmp(copy, l->name[at - 1]) < 0; at--)
		l->name[at] = l->name[at - 1];
	l->name[at] = copy;
	l->n++;
	return VIA_OK;
}

static via_rc read_dir(lock *l, const char *dir)
{
	struct names found = {l->e, {NULL}, 0};
	char *path = join(l->e, dir, OS_DIR_SEP, LOCK_DIR);
	via_rc rc;
	uint32_t i;

	if (path == NULL)
		return core_nomem("the list of module locks");
	rc = os_dir_list(l->e, path, add_name, &found);
	if (rc == VIA_NOTFOUND)
		rc = VIA_OK;
	for (i = 0; i < found.n; i++) {
		if (rc == VIA_OK)
			rc = read_text(l, path, found.name[i],
				       join(l->e, LOCK_DIR, '/', found.name[i]));
		env_free(l->e, found.name[i]);
	}
	env_free(l->e, path);
	return rc;
}

via_rc lock_read(lock *l, const core_env *e, const char *dir)
{
	via_rc rc;

	memset(l, 0, sizeof *l);
	l->e = e;
	rc = read_text(l, dir, LOCK_FILE, env_strdup(e, LOCK_FILE));
	if (rc == VIA_OK)
		rc = read_dir(l, dir);
	if (rc == VIA_OK || rc == VIA_NOMEM)
		return rc;
	/* What the system did not allow is not the lock's fault; all else is, until it changes. */
	l->rc = rc == VIA_IO || rc == VIA_LIMIT ? rc : VIA_PERM;
	snprintf(l->reason, sizeof l->reason, "%s", via_error());
	return VIA_OK;
}

void lock_free(lock *l)
{
	lock_text *t;

	while ((t = l->texts) != NULL) {
		l->texts = t->next;
		env_free(l->e, t->name);
		env_free(l->e, t);
	}
	env_free(l->e, l->entries);
	l->entries = NULL;
}

/* -- what they say of a file ------------------------------------------------------------------- */

static via_rc find(const lock *l, const char *name, const lock_entry **out)
{
	uint32_t at;

	if (l->rc != VIA_OK)
		return core_fail(l->rc, "locked: %s", l->reason);
	if (!search(l, name, &at))
		return core_fail(VIA_PERM, "locked: no " LOCK_FILE " lists it");
	*out = &l->entries[at];
	return VIA_OK;
}

via_rc lock_admits(const lock *l, const char *name)
{
	const lock_entry *found;

	return find(l, name, &found);
}

static via_rc digest(const image_source *s, char text[SHA256_TEXT])
{
	unsigned char buf[16384], sum[SHA256_BYTES];
	uint64_t at, n;
	sha256 h;
	via_rc rc;

	if (s->size > OS_IMAGE_MAX)
		return core_fail(VIA_TOOBIG, "%llu bytes, expected at most %llu",
				 (unsigned long long)s->size, (unsigned long long)OS_IMAGE_MAX);
	sha256_begin(&h);
	for (at = 0; at < s->size; at += n) {
		n = s->size - at < sizeof buf ? s->size - at : sizeof buf;
		rc = s->read_at(s->ctx, at, buf, n);
		if (rc != VIA_OK)
			return rc;
		sha256_add(&h, buf, (size_t)n);
	}
	sha256_end(&h, sum);
	sha256_text(sum, text);
	return VIA_OK;
}

via_rc lock_verify(const lock *l, const char *name, const image_source *s)
{
	const lock_entry *listed = NULL;
	char found[SHA256_TEXT];
	via_rc rc;

	rc = find(l, name, &listed);
	if (rc == VIA_OK)
		rc = digest(s, found);
	if (rc == VIA_OK && strcmp(found, listed->line.digest) != 0)
		rc = core_fail(VIA_PERM, "locked: expected sha256 %s, found %s (listed in %s)",
			       listed->line.digest, found, listed->from->name);
	return rc;
}
