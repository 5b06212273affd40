/* SPDX-License-Identifier: Apache-2.0
 * services/cgroups/cgroups.h - what the files of this module share. Internal: no contract with
 * anybody else.
 *
 * name.c, text.c   pure: path -> name and kind
 * mounts.c         pure: lines of mountinfo -> cgroup mounts
 * config.c         pure: configuration
 * sys.c            system calls
 * hierarchy.c      finds the hierarchy to read
 * tree.c           walks it: rows
 * encode.c         rows -> response bytes
 * cgroups.c        the call, the module
 */
#ifndef VIADUCT_SERVICES_CGROUPS_H
#define VIADUCT_SERVICES_CGROUPS_H
#include <viaduct/module.h>

/* -- limits ------------------------------------------------------------------------------------ */

#define CGROUPS_NAME_CAP 512u       /* bytes of a resolved name, NUL included */
#define CGROUPS_ROOT_CAP 1024u      /* bytes of the configured root, NUL included */
#define CGROUPS_MOUNT_CAP 4096u     /* bytes of a mount point, NUL included */
#define CGROUPS_COMPONENT_CAP 256u  /* bytes of one directory name, NUL included */
#define CGROUPS_TEXT_MAX (8u << 20) /* bytes of paths in one snapshot */
#define CGROUPS_MAX_CGROUPS_DEFAULT 4096u
#define CGROUPS_MAX_CGROUPS_LIMIT 65536u
#define CGROUPS_MAX_DEPTH_DEFAULT 32u
#define CGROUPS_MAX_DEPTH_LIMIT 256u

/* -- options of a row (README.md has the table for users) -------------------------------------- */

enum { /* bits 0-7: who runs it, numbers of docs/wire.md 13.5 */
       CGROUPS_BY_UNKNOWN,
       CGROUPS_BY_SYSTEMD,
       CGROUPS_BY_DOCKER,
       CGROUPS_BY_K8S,
       CGROUPS_BY_KVM,
       CGROUPS_BY_LXC,
       CGROUPS_BY_PODMAN,
       CGROUPS_BY_NSPAWN
};
enum { /* bits 8-11: what it is */
       CGROUPS_IS_PLAIN,
       CGROUPS_IS_ROOT,
       CGROUPS_IS_GROUP, /* a slice, or a directory that only holds others */
       CGROUPS_IS_SCOPE,
       CGROUPS_IS_SERVICE,
       CGROUPS_IS_UNIT, /* a systemd unit of another type */
       CGROUPS_IS_CONTAINER,
       CGROUPS_IS_VM,
       CGROUPS_IS_POD
};
#define CGROUPS_OPT_KIND_SHIFT 8
#define CGROUPS_OPT_V2 0x10000u         /* the hierarchy is cgroup2 */
#define CGROUPS_OPT_UNREADABLE 0x20000u /* there, but not to be looked into */

/* -- text.c ------------------------------------------------------------------------------------ */

/* Text that grows up to its room and is then cut; always NUL-terminated, valid UTF-8, no
 * controls. */
struct cgroups_text {
	uint32_t len;
	uint8_t is_cut, reserved[3];
	char at[CGROUPS_NAME_CAP];
};

void cgroups_text_clear(struct cgroups_text *t);
/* Adds bytes as readable text: printable UTF-8 as it is, every other byte as \xNN. */
void cgroups_text_add(struct cgroups_text *t, const char *s, uint64_t len);
void cgroups_text_add_z(struct cgroups_text *t, const char *s);
/* Ends a text that was cut with "..." */
void cgroups_text_finish(struct cgroups_text *t);
/* Undoes the \xNN escapes that systemd writes into the names of units. out has room for len
 * bytes; returns how many it got. What would become a NUL stays as it is. */
uint64_t cgroups_unescape(const char *s, uint64_t len, char *out);
/* 32-bit FNV-1, the hash of docs/wire.md section 13.3. */
uint32_t cgroups_hash(const char *s, uint64_t len);

/* -- name.c ------------------------------------------------------------------------------------ */

/* Resolves a path relative to the hierarchy's root, "/a/b". Total: any bytes give a name that is
 * not empty, is valid UTF-8 without control characters, and fits. *options gets bits 0-11. */
void cgroups_name(const char *path, uint64_t len, struct cgroups_text *name, uint32_t *options);

/* -- mounts.c ---------------------------------------------------------------------------------- */

/* One cgroup mount. */
struct cgroups_mount {
	uint32_t rank; /* lower is more useful */
	uint8_t is_v2;
	uint8_t is_systemd;     /* the named hierarchy of systemd on v1 */
	uint8_t has_whole_tree; /* not a bind mount of a part */
	uint8_t reserved;
	char point[CGROUPS_MOUNT_CAP]; /* unescaped, begins with '/' */
};

/* Reads one line of mountinfo, without its newline. Returns 1 and fills *out for a cgroup mount,
 * 0 for everything else, malformed lines included. */
int cgroups_mount_parse(const char *line, uint64_t len, struct cgroups_mount *out);

/* -- config.c ---------------------------------------------------------------------------------- */

struct cgroups_config {
	uint32_t max_cgroups, max_depth;
	char root[CGROUPS_ROOT_CAP]; /* absolute; "/" unless configured */
};

/* Pure. config: "key=value" lines, or NULL for nothing but defaults. VIA_INVAL: why says what is
 * wrong, *out is not written. */
via_rc cgroups_config_parse(const char *config, struct cgroups_config *out, char *why,
			    uint64_t why_cap);

/* -- the module -------------------------------------------------------------------------------- */

struct cgroups_self {
	const via_host *h;
	const via_sysgate *gate; /* NULL: nobody wants to fail system calls */
	struct cgroups_config config;
	_Atomic uint32_t cut; /* CGROUPS_CUT_* of the last snapshot: only changes are logged */
};

/* -- sys.c: system calls, each through the gate; the result, or -errno ------------------------- */

int cgroups_openat(const struct cgroups_self *s, int dir, const char *path, int flags);
int64_t cgroups_read(const struct cgroups_self *s, int fd, void *buf, uint64_t cap);
int64_t cgroups_getdents(const struct cgroups_self *s, int fd, void *buf, uint64_t cap);
void cgroups_close(int fd); /* negative: nothing to close */

/* Records "cannot <verb> <path>" with the system's error as the detail, and maps the error to a
 * result. */
via_rc cgroups_fail(const struct cgroups_self *s, int64_t error, const char *verb,
		    const char *path);

/* True for errors that say something about one file, not about us or the machine: it is gone, it
 * is not what it seemed, or we may not read it. */
int cgroups_is_about_file(int64_t error);

/* One entry of what cgroups_getdents() filled. */
struct cgroups_entry {
	const char *name; /* NUL-terminated, in the buffer */
	uint32_t len;
	uint8_t may_be_dir; /* a directory, or the file system does not say */
	uint8_t reserved[3];
};

/* Steps through len bytes of entries, without "." and ".."; *at starts at 0. 1: *out is the next
 * one; 0: no more. */
int cgroups_entry_next(const void *buf, uint64_t len, uint64_t *at, struct cgroups_entry *out);

/* -- hierarchy.c ------------------------------------------------------------------------------- */

struct cgroups_hierarchy {
	int fd;                                  /* its root directory */
	uint8_t is_v2, has_systemd, reserved[2]; /* has_systemd: it has a hierarchy of its own */
};

/* Opens the most useful hierarchy. The caller closes out->fd. */
via_rc cgroups_hierarchy_open(const struct cgroups_self *s, struct cgroups_hierarchy *out);

/* -- tree.c ------------------------------------------------------------------------------------ */

enum { CGROUPS_CUT_COUNT = 1, CGROUPS_CUT_DEPTH = 2, CGROUPS_CUT_TEXT = 4 };

struct cgroups_row {
	uint64_t path;           /* where it starts in the text; NUL-terminated there */
	uint32_t path_len, leaf; /* leaf: where its last component starts, from path */
	uint32_t parent, depth;  /* parent: index, valid while the tree is read */
	uint32_t options;
	uint8_t is_enabled, is_gone, reserved[2];
};

struct cgroups_rows {
	struct cgroups_row *row;
	char *text;
	uint64_t text_len, text_cap;
	uint32_t n, cap;
	uint32_t cut;         /* CGROUPS_CUT_*: which limits left something out */
	uint32_t has_systemd; /* 0 or 1 */
};

/* Reads the tree under hier->fd into *out, sorted by path. Call cgroups_rows_free() in any case. */
via_rc cgroups_tree_read(const struct cgroups_self *s, const struct cgroups_hierarchy *hier,
			 via_time deadline, struct cgroups_rows *out);
void cgroups_rows_free(const struct cgroups_self *s, struct cgroups_rows *rows);

/* -- encode.c ---------------------------------------------------------------------------------- */

/* Writes the response. VIA_TOOBIG: does not fit cap. */
via_rc cgroups_encode(const struct cgroups_rows *rows, void *dst, uint64_t cap, uint64_t *used);

#endif
