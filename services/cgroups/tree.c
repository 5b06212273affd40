/* services/cgroups/tree.c - reads a tree of control groups that others change meanwhile.
 *
 * Breadth first, so that a limit leaves out what lies deepest. A directory is reached from the root
 * one component at a time and no component may be a symbolic link, so nobody can lead the walk out
 * of the hierarchy; at most four descriptors are open at once. What is gone when its turn comes is
 * left out.
 *
 * Threads: any, no state. Syscalls: openat, read, getdents64, close.
 */
#include "cgroups.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define NO_ROW UINT32_MAX
#define DIRECTORY (O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
#define ENTRIES (32u << 10)     /* room for directory entries of one read */
#define ENTRIES_EACH 1024u      /* entries looked at: this many for every cgroup allowed ... */
#define ENTRIES_MORE (1u << 20) /* ... and this many more */
#define EVENTS 512u             /* room for cgroup.events */
#define ROWS_FIRST 256u
#define TEXT_FIRST (16u << 10)
#define DEADLINE_EACH 64u /* directories between two looks at the clock */

struct walk {
	const struct cgroups_self *s;
	const struct cgroups_hierarchy *hier;
	struct cgroups_rows *rows;
	uint64_t n_entries;
	uint32_t parent; /* the row whose directory is kept open */
	int parent_fd;
	char entries[ENTRIES];
};

/* -- rows -------------------------------------------------------------------------------------- */

static const char *row_path(const struct cgroups_rows *rows, const struct cgroups_row *r)
{
	return rows->text + r->path;
}

void cgroups_rows_free(const struct cgroups_self *s, struct cgroups_rows *rows)
{
	s->h->free(s->h->ctx, rows->row);
	s->h->free(s->h->ctx, rows->text);
	*rows = (struct cgroups_rows){0};
}

static via_rc grow_rows(struct walk *w)
{
	const via_host *h = w->s->h;
	struct cgroups_rows *rows = w->rows;
	uint32_t cap = rows->cap == 0 ? ROWS_FIRST : rows->cap * 2;
	struct cgroups_row *row;

	if (rows->n < rows->cap)
		return VIA_OK;
	row = h->alloc(h->ctx, (uint64_t)cap * sizeof *row, _Alignof(struct cgroups_row));
	if (row == NULL)
		return h->fail(h->ctx, VIA_NOMEM, 0, "list of cgroups");
	if (rows->n != 0)
		memcpy(row, rows->row, rows->n * sizeof *row);
	h->free(h->ctx, rows->row);
	rows->row = row;
	rows->cap = cap;
	return VIA_OK;
}

static via_rc grow_text(struct walk *w, uint64_t len)
{
	const via_host *h = w->s->h;
	struct cgroups_rows *rows = w->rows;
	uint64_t cap = rows->text_cap == 0 ? TEXT_FIRST : rows->text_cap;
	char *text;

	while (cap - rows->text_len < len)
		cap *= 2;
	if (cap == rows->text_cap)
		return VIA_OK;
	text = h->alloc(h->ctx, cap, 1);
	if (text == NULL)
		return h->fail(h->ctx, VIA_NOMEM, 0, "paths of cgroups");
	if (rows->text_len != 0)
		memcpy(text, rows->text, (size_t)rows->text_len);
	h->free(h->ctx, rows->text);
	rows->text = text;
	rows->text_cap = cap;
	return VIA_OK;
}

/* Adds the root (parent NO_ROW, no name) or a child. One that a limit forbids is left out. */
static via_rc add_row(struct walk *w, uint32_t parent, const char *name, uint32_t name_len)
{
	struct cgroups_rows *rows = w->rows;
	uint32_t above = parent == NO_ROW || parent == 0 ? 0 : rows->row[parent].path_len;
	uint32_t depth = parent == NO_ROW ? 0 : rows->row[parent].depth + 1;
	uint64_t len = (uint64_t)above + 1 + name_len + 1;
	struct cgroups_row *r;
	char *path;
	via_rc rc;

	if (depth > w->s->config.max_depth)
		rows->cut |= CGROUPS_CUT_DEPTH;
	else if (rows->n >= w->s->config.max_cgroups)
		rows->cut |= CGROUPS_CUT_COUNT;
	else if (len > CGROUPS_TEXT_MAX - rows->text_len)
		rows->cut |= CGROUPS_CUT_TEXT;
	else
		goto add;
	return VIA_OK;
add:
	rc = grow_rows(w);
	if (rc == VIA_OK)
		rc = grow_text(w, len);
	if (rc != VIA_OK)
		return rc;
	path = rows->text + rows->text_len;
	if (above != 0)
		memcpy(path, row_path(rows, &rows->row[parent]), above);
	path[above] = '/';
	memcpy(path + above + 1, name, name_len);
	path[len - 1] = 0;

	r = &rows->row[rows->n++];
	*r = (struct cgroups_row){.path = rows->text_len,
				  .path_len = (uint32_t)len - 1,
				  .leaf = above + 1,
				  .parent = parent,
				  .depth = depth};
	if (w->hier->is_v2 != 0)
		r->options = CGROUPS_OPT_V2;
	rows->text_len += len;
	return VIA_OK;
}

/* -- reaching a directory ---------------------------------------------------------------------- */

/* Opens the directory of a row from the hierarchy's root on: a descriptor or -errno. */
static int open_from_root(struct walk *w, uint32_t row)
{
	const char *p = row_path(w->rows, &w->rows->row[row]) + 1;
	int fd = cgroups_openat(w->s, w->hier->fd, ".", DIRECTORY);

	while (fd >= 0 && *p != 0) {
		char name[CGROUPS_COMPONENT_CAP];
		size_t len = strcspn(p, "/");
		int next;

		memcpy(name, p, len); /* add_row() got it from an entry: it fits */
		name[len] = 0;
		next = cgroups_openat(w->s, fd, name, DIRECTORY);
		cgroups_close(fd);
		fd = next;
		p += len + (p[len] == '/');
	}
	return fd;
}

/* The same; siblings come one after another, so their parent stays open. */
static int open_row(struct walk *w, uint32_t row)
{
	const struct cgroups_row *r = &w->rows->row[row];

	if (r->parent == NO_ROW)
		return open_from_root(w, row);
	if (w->parent != r->parent) {
		int fd = open_from_root(w, r->parent);

		if (fd < 0)
			return fd;
		cgroups_close(w->parent_fd);
		w->parent_fd = fd;
		w->parent = r->parent;
	}
	return cgroups_openat(w->s, w->parent_fd, row_path(w->rows, r) + r->leaf, DIRECTORY);
}

/* -- looking into a directory ------------------------------------------------------------------ */

/* Reads the start of a file into buf, which it ends with a NUL: bytes, or -errno. */
static int64_t read_start(struct walk *w, int dir, const char *name, char *buf, uint64_t cap)
{
	int fd = cgroups_openat(w->s, dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
	int64_t n;

	if (fd < 0)
		return fd;
	n = cgroups_read(w->s, fd, buf, cap - 1);
	cgroups_close(fd);
	if (n >= 0)
		buf[n] = 0;
	return n;
}

/* 1: processes are in it (v2: or below it), 0: none, or nobody can tell; negative: -errno. */
static int has_processes(struct walk *w, int dir)
{
	char text[EVENTS];
	const char *line;
	int64_t n;

	if (w->hier->is_v2 != 0) {
		n = read_start(w, dir, "cgroup.events", text, sizeof text);
		if (n < 0 && !cgroups_is_about_file(-n))
			return (int)n;
		for (line = n > 0 ? text : NULL; line != NULL; line = strchr(line, '\n')) {
			line += *line == '\n';
			if (strncmp(line, "populated ", 10) == 0)
				return line[10] == '1';
		}
	}
	n = read_start(w, dir, "cgroup.procs", text, sizeof text);
	if (n < 0 && !cgroups_is_about_file(-n))
		return (int)n;
	return n > 0;
}

static via_rc add_entries(struct walk *w, uint32_t row, uint64_t len)
{
	struct cgroups_entry e;
	uint64_t at = 0;
	via_rc rc;

	while (cgroups_entry_next(w->entries, len, &at, &e)) {
		w->n_entries++;
		if (e.may_be_dir == 0)
			continue;
		rc = add_row(w, row, e.name, e.len);
		if (rc != VIA_OK)
			return rc;
	}
	return VIA_OK;
}

static via_rc list_children(struct walk *w, uint32_t row, int dir)
{
	const uint64_t most = (uint64_t)w->s->config.max_cgroups * ENTRIES_EACH + ENTRIES_MORE;
	int64_t n;
	via_rc rc;

	for (;;) {
		n = cgroups_getdents(w->s, dir, w->entries, sizeof w->entries);
		if (n <= 0)
			break;
		rc = add_entries(w, row, (uint64_t)n);
		if (rc != VIA_OK)
			return rc;
		if (w->n_entries > most) {
			w->rows->cut |= CGROUPS_CUT_COUNT;
			break;
		}
	}
	if (n >= 0)
		return VIA_OK;
	if (!cgroups_is_about_file(-n))
		return cgroups_fail(w->s, -n, "list cgroup", row_path(w->rows, &w->rows->row[row]));
	if (n == -ENOENT)
		w->rows->row[row].is_gone = 1;
	else
		w->rows->row[row].options |= CGROUPS_OPT_UNREADABLE;
	return VIA_OK;
}

static via_rc visit(struct walk *w, uint32_t row)
{
	int dir = open_row(w, row), populated;
	via_rc rc;

	if (dir == -EACCES || dir == -EPERM) {
		w->rows->row[row].options |= CGROUPS_OPT_UNREADABLE;
		return VIA_OK;
	}
	if (dir < 0 && cgroups_is_about_file(-dir)) {
		w->rows->row[row].is_gone = 1;
		return VIA_OK;
	}
	if (dir < 0)
		return cgroups_fail(w->s, -dir, "open cgroup",
				    row_path(w->rows, &w->rows->row[row]));
	populated = has_processes(w, dir);
	if (populated < 0)
		rc = cgroups_fail(w->s, -populated, "read the state of cgroup",
				  row_path(w->rows, &w->rows->row[row]));
	else
		rc = list_children(w, row, dir);
	cgroups_close(dir);
	w->rows->row[row].is_enabled = populated > 0;
	return rc;
}

static via_rc visit_all(struct walk *w, via_time deadline)
{
	const via_host *h = w->s->h;
	uint32_t i;
	via_rc rc;

	rc = add_row(w, NO_ROW, "", 0);
	for (i = 0; rc == VIA_OK && i < w->rows->n; i++) {
		/* VIA_POLL: the caller has no use for a deadline and wants one try */
		if (i % DEADLINE_EACH == DEADLINE_EACH - 1 && deadline != VIA_POLL &&
		    deadline != VIA_FOREVER && h->now(h->ctx) > deadline)
			return h->fail(h->ctx, VIA_TIMEOUT, 0,
				       "the deadline passed while cgroups were read");
		rc = visit(w, i);
	}
	return rc;
}

/* -- putting in order -------------------------------------------------------------------------- */

static int compare(const struct cgroups_rows *rows, const struct cgroups_row *a,
		   const struct cgroups_row *b)
{
	uint32_t len = a->path_len < b->path_len ? a->path_len : b->path_len;
	int c = memcmp(row_path(rows, a), row_path(rows, b), len);

	if (c != 0)
		return c;
	return (a->path_len > b->path_len) - (a->path_len < b->path_len);
}

static void swap(struct cgroups_row *a, struct cgroups_row *b)
{
	struct cgroups_row t = *a;

	*a = *b;
	*b = t;
}

static void sift_down(struct cgroups_rows *rows, uint32_t at, uint32_t n)
{
	struct cgroups_row *r = rows->row;

	while (2 * at + 1 < n) {
		uint32_t child = 2 * at + 1;

		if (child + 1 < n && compare(rows, &r[child], &r[child + 1]) < 0)
			child++;
		if (compare(rows, &r[at], &r[child]) >= 0)
			return;
		swap(&r[at], &r[child]);
		at = child;
	}
}

/* Heap sort: in place, without the memory that qsort() may take. */
static void sort(struct cgroups_rows *rows)
{
	uint32_t i;

	for (i = rows->n / 2; i > 0; i--)
		sift_down(rows, i - 1, rows->n);
	for (i = rows->n; i > 1; i--) {
		swap(&rows->row[0], &rows->row[i - 1]);
		sift_down(rows, 0, i - 1);
	}
}

/* A cgroup counts as enabled when processes are below it: v2 says so itself, v1 does not. */
static void spread_enabled(struct cgroups_rows *rows)
{
	uint32_t i;

	for (i = rows->n; i > 1; i--) {
		const struct cgroups_row *r = &rows->row[i - 1];

		if (r->is_enabled != 0 && r->is_gone == 0)
			rows->row[r->parent].is_enabled = 1;
	}
}

static int is_made_by_systemd(const struct cgroups_rows *rows, const struct cgroups_row *r)
{
	const char *path = row_path(rows, r);

	return strcmp(path, "/init.scope") == 0 || strcmp(path, "/system.slice") == 0;
}

/* Drops what is gone, and what a directory listed twice while it changed. */
static void settle(struct cgroups_rows *rows)
{
	uint32_t i, n = 0;

	spread_enabled(rows);
	sort(rows);
	for (i = 0; i < rows->n; i++) {
		if (rows->row[i].is_gone != 0)
			continue;
		if (n > 0 && compare(rows, &rows->row[n - 1], &rows->row[i]) == 0)
			continue;
		if (is_made_by_systemd(rows, &rows->row[i]))
			rows->has_systemd = 1;
		rows->row[n++] = rows->row[i];
	}
	rows->n = n;
}

via_rc cgroups_tree_read(const struct cgroups_self *s, const struct cgroups_hierarchy *hier,
			 via_time deadline, struct cgroups_rows *out)
{
	struct walk *w;
	via_rc rc;

	*out = (struct cgroups_rows){.has_systemd = hier->has_systemd};
	w = s->h->alloc(s->h->ctx, sizeof *w, _Alignof(struct walk));
	if (w == NULL)
		return s->h->fail(s->h->ctx, VIA_NOMEM, 0, "walk over the cgroups");
	w->s = s;
	w->hier = hier;
	w->rows = out;
	w->parent = NO_ROW;
	w->parent_fd = -1;
	rc = visit_all(w, deadline);
	cgroups_close(w->parent_fd);
	s->h->free(s->h->ctx, w);
	if (rc == VIA_OK)
		settle(out);
	return rc;
}
