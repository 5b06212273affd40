/* services/cgroups/mounts.c - cgroup mounts out of /proc/self/mountinfo.
 *
 *   36 35 0:30 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory
 *   id parent device root mount-point options optional-fields... - type source super-options
 *
 * Space, tab, newline and backslash stand in the paths as \040, \011, \012 and \134.
 *
 * Pure. Threads: any. Syscalls: none.
 */
#include "cgroups.h"

#include <string.h>

/* One field: bytes up to a space or the line's end. */
struct field {
	const char *s;
	uint64_t len;
};

struct line {
	const char *s;
	uint64_t len, at;
	int is_over;
};

static int next_field(struct line *l, struct field *out)
{
	const char *space;

	if (l->is_over != 0)
		return 0;
	out->s = l->s + l->at;
	space = memchr(out->s, ' ', (size_t)(l->len - l->at));
	out->len = space == NULL ? l->len - l->at : (uint64_t)(space - out->s);
	l->is_over = space == NULL;
	l->at += out->len + 1;
	return 1;
}

static int field_is(struct field f, const char *z)
{
	return f.len == strlen(z) && memcmp(f.s, z, (size_t)f.len) == 0;
}

static int is_octal(char c)
{
	return c >= '0' && c <= '7';
}

/* Undoes the escapes. 0: too long, a broken escape, or a byte that no path has. */
static int unescape_path(struct field f, char *out, uint64_t cap)
{
	uint64_t at = 0, n = 0;

	while (at < f.len) {
		unsigned int c = (uint8_t)f.s[at];

		if (c == '\\') {
			if (f.len - at < 4 || f.s[at + 1] > '3' || !is_octal(f.s[at + 1]) ||
			    !is_octal(f.s[at + 2]) || !is_octal(f.s[at + 3]))
				return 0;
			c = (unsigned int)(f.s[at + 1] - '0') << 6 |
			    (unsigned int)(f.s[at + 2] - '0') << 3 |
			    (unsigned int)(f.s[at + 3] - '0');
			at += 3;
		}
		at++;
		if (c == 0 || n + 1 >= cap)
			return 0;
		out[n++] = (char)c;
	}
	out[n] = 0;
	return n > 0 && out[0] == '/';
}

/* The kernel prints absolute paths without "..": one that has it comes from somewhere else. */
static int climbs(const char *path)
{
	const char *p = path;

	while ((p = strstr(p, "/..")) != NULL) {
		if (p[3] == 0 || p[3] == '/')
			return 1;
		p += 3;
	}
	return 0;
}

/* README.md explains the order. */
static uint32_t rank_of(struct field option)
{
	static const char *const order[] = {"memory",       "cpuacct", "cpu",   "",
					    "name=systemd", "pids",    "blkio", "devices",
					    "cpuset",       "freezer"};
	uint32_t i;

	for (i = 0; i < sizeof order / sizeof order[0]; i++)
		if (order[i][0] != 0 && field_is(option, order[i]))
			return i;
	return sizeof order / sizeof order[0];
}
#define RANK_V2 3u /* the empty place in the order */
#define RANK_LAST UINT32_MAX

static void read_super_options(struct field f, struct cgroups_mount *out)
{
	uint64_t at = 0;

	out->rank = RANK_LAST;
	while (at < f.len) {
		const char *comma = memchr(f.s + at, ',', (size_t)(f.len - at));
		struct field option = {f.s + at,
				       comma == NULL ? f.len - at : (uint64_t)(comma - f.s) - at};
		uint32_t rank = rank_of(option);

		if (rank < out->rank)
			out->rank = rank;
		if (field_is(option, "name=systemd"))
			out->is_systemd = 1;
		at += option.len + 1;
	}
}

static int is_number(struct field f)
{
	uint64_t i;

	for (i = 0; i < f.len; i++)
		if (f.s[i] < '0' || f.s[i] > '9')
			return 0;
	return f.len > 0;
}

int cgroups_mount_parse(const char *text, uint64_t len, struct cgroups_mount *out)
{
	struct line l = {text, len, 0, 0};
	struct field id, parent, device, root, point, options, skipped, type, source, super;

	if (!next_field(&l, &id) || !next_field(&l, &parent) || !next_field(&l, &device) ||
	    !next_field(&l, &root) || !next_field(&l, &point) || !next_field(&l, &options))
		return 0;
	do {
		if (!next_field(&l, &skipped))
			return 0;
	} while (!field_is(skipped, "-"));
	if (!next_field(&l, &type) || !next_field(&l, &source) || !next_field(&l, &super))
		return 0;
	if (!is_number(id) || !is_number(parent) || root.len == 0 || root.s[0] != '/')
		return 0;
	if (!field_is(type, "cgroup") && !field_is(type, "cgroup2"))
		return 0;
	if (!unescape_path(point, out->point, sizeof out->point) || climbs(out->point))
		return 0;

	out->is_v2 = type.len == 7;
	out->is_systemd = 0;
	out->has_whole_tree = field_is(root, "/") ? 1 : 0;
	if (out->is_v2 != 0)
		out->rank = RANK_V2;
	else
		read_super_options(super, out);
	return 1;
}
