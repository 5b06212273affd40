/* services/cgroups/hierarchy.c - finds the cgroup hierarchy that tells most about this machine.
 *
 * Mounts come from <root>/proc/self/mountinfo, best first. One that is hidden under another mount,
 * or not there in this root, is recognised by what can be opened at its place and passed over. The
 * first one that has at least one control group below its root wins; if none has, the first usable
 * one.
 *
 * Threads: any, no state. Syscalls: openat, read, getdents64, close.
 */
#include "cgroups.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define KEPT 16u           /* mounts worth trying */
#define WINDOW (32u << 10) /* longest line of mountinfo; longer ones are not cgroup mounts */
#define MOUNTINFO_MAX (64u << 20)
#define ENTRIES 4096u

struct search {
	const struct cgroups_self *s;
	int root;
	uint32_t n_kept, n_seen;
	uint8_t has_systemd, is_skipping, reserved[6];
	struct cgroups_mount next;       /* the one being parsed */
	struct cgroups_mount kept[KEPT]; /* best first */
	char window[WINDOW];
};

/* -- mountinfo --------------------------------------------------------------------------------- */

static int is_better(const struct cgroups_mount *a, const struct cgroups_mount *b)
{
	if (a->rank != b->rank)
		return a->rank < b->rank;
	return a->has_whole_tree > b->has_whole_tree;
}

static void keep(struct search *f)
{
	uint32_t at;

	f->n_seen++;
	f->has_systemd |= f->next.is_systemd;
	for (at = 0; at < f->n_kept; at++)
		if (is_better(&f->next, &f->kept[at]))
			break;
	if (at == KEPT)
		return;
	if (f->n_kept < KEPT)
		f->n_kept++;
	memmove(&f->kept[at + 1], &f->kept[at], (f->n_kept - 1 - at) * sizeof f->kept[0]);
	f->kept[at] = f->next;
}

/* Takes the whole lines out of the window's first len bytes; returns how many bytes are left
 * over. */
static uint64_t take_lines(struct search *f, uint64_t len)
{
	uint64_t at = 0;
	const char *end;

	while ((end = memchr(f->window + at, '\n', (size_t)(len - at))) != NULL) {
		uint64_t n = (uint64_t)(end - f->window) - at;

		if (f->is_skipping == 0 && cgroups_mount_parse(f->window + at, n, &f->next))
			keep(f);
		f->is_skipping = 0;
		at += n + 1;
	}
	if (at == 0 && len == WINDOW) {
		f->is_skipping = 1; /* the rest of this line comes with the next reads */
		return 0;
	}
	memmove(f->window, f->window + at, (size_t)(len - at));
	return len - at;
}

/* A last line without its newline was cut off and says nothing reliable. */
static via_rc read_mountinfo(struct search *f)
{
	static const char path[] = "proc/self/mountinfo";
	uint64_t len = 0, total = 0;
	int64_t n;
	int fd;

	fd = cgroups_openat(f->s, f->root, path, O_RDONLY | O_NONBLOCK);
	if (fd < 0)
		return cgroups_fail(f->s, -fd, "open", path);
	for (;;) {
		n = cgroups_read(f->s, fd, f->window + len, WINDOW - len);
		if (n <= 0 || total > MOUNTINFO_MAX)
			break;
		total += (uint64_t)n;
		len = take_lines(f, len + (uint64_t)n);
	}
	cgroups_close(fd);
	if (n < 0)
		return cgroups_fail(f->s, -n, "read", path);
	return VIA_OK;
}

/* -- candidates -------------------------------------------------------------------------------- */

/* 1: the directory has a subdirectory; 0: it has none; negative: -errno. */
static int has_child(struct search *f, int fd)
{
	struct cgroups_entry e;
	int64_t n;

	while ((n = cgroups_getdents(f->s, fd, f->window, ENTRIES)) > 0) {
		uint64_t at = 0;
		int child;

		while (cgroups_entry_next(f->window, (uint64_t)n, &at, &e)) {
			if (e.may_be_dir == 0)
				continue;
			child = cgroups_openat(f->s, fd, e.name,
					       O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
			cgroups_close(child);
			if (child >= 0 || child == -EACCES)
				return 1;
			if (!cgroups_is_about_file(-child))
				return child;
		}
	}
	return (int)n;
}

/* Opens a mount point that really shows a hierarchy. -errno if it does not, or if opening
 * failed. */
static int open_mount(struct search *f, const struct cgroups_mount *m)
{
	const char *path = m->point + strspn(m->point, "/");
	int fd, procs;

	fd = cgroups_openat(f->s, f->root, *path == 0 ? "." : path,
			    O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
	if (fd < 0)
		return fd;
	procs = cgroups_openat(f->s, fd, "cgroup.procs", O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
	cgroups_close(procs);
	if (procs >= 0 || procs == -EACCES)
		return fd;
	cgroups_close(fd);
	return procs;
}

static via_rc no_hierarchy(const struct search *f, int error)
{
	char text[160];

	if (f->n_seen == 0)
		snprintf(text, sizeof text,
			 "expected a cgroup or cgroup2 mount in proc/self/mountinfo, found none");
	else
		snprintf(text, sizeof text,
			 "expected a cgroup hierarchy with cgroup.procs at a mount point, "
			 "found none at any of %u cgroup mounts",
			 f->n_seen);
	return f->s->h->fail(f->s->h->ctx, VIA_NOTFOUND, error, text);
}

static via_rc choose(struct search *f, struct cgroups_hierarchy *out)
{
	int best = -1, error = 0;
	uint8_t best_is_v2 = 0;
	uint32_t i;

	for (i = 0; i < f->n_kept; i++) {
		int fd = open_mount(f, &f->kept[i]), child;

		if (fd < 0) {
			error = -fd;
			if (cgroups_is_about_file(error))
				continue;
			cgroups_close(best);
			return cgroups_fail(f->s, error, "open cgroup mount", f->kept[i].point);
		}
		child = has_child(f, fd);
		if (child < 0 && !cgroups_is_about_file(-child)) {
			cgroups_close(fd);
			cgroups_close(best);
			return cgroups_fail(f->s, -child, "list cgroup mount", f->kept[i].point);
		}
		if (child > 0 || best < 0) {
			cgroups_close(best);
			best = fd;
			best_is_v2 = f->kept[i].is_v2;
		} else {
			cgroups_close(fd);
		}
		if (child > 0)
			break;
	}
	if (best < 0)
		return no_hierarchy(f, error);
	out->fd = best;
	out->is_v2 = best_is_v2;
	out->has_systemd = f->has_systemd;
	return VIA_OK;
}

via_rc cgroups_hierarchy_open(const struct cgroups_self *s, struct cgroups_hierarchy *out)
{
	struct search *f;
	via_rc rc;

	f = s->h->alloc(s->h->ctx, sizeof *f, _Alignof(struct search));
	if (f == NULL)
		return s->h->fail(s->h->ctx, VIA_NOMEM, 0, "search for the cgroup hierarchy");
	f->s = s;
	f->root = cgroups_openat(s, AT_FDCWD, s->config.root, O_PATH | O_DIRECTORY);
	if (f->root < 0) {
		rc = cgroups_fail(s, -f->root, "open root directory", s->config.root);
		goto free_search;
	}
	rc = read_mountinfo(f);
	if (rc == VIA_OK)
		rc = choose(f, out);
	cgroups_close(f->root);
free_search:
	s->h->free(s->h->ctx, f);
	return rc;
}
