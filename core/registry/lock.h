/* SPDX-License-Identifier: Apache-2.0
 * core/registry/lock.h - the locks of a module directory: which files it may have, by their digests.
 *
 * A lock is a text as sha256sum writes it: modules.lock, then modules.lock.d/<any>.lock in the order
 * of their names. One that is malformed, not trusted or contradicts another takes all of them with
 * it: then no file of the directory is admitted. */
#ifndef VIA_CORE_LOCK_H
#define VIA_CORE_LOCK_H
#include "../base/env.h"
#include "image.h"

enum {
	LOCK_BYTES_MAX = 1 << 20, /* of all locks of a directory */
	LOCK_FILES_MAX = 256,
	LOCK_NAMES_MAX = 4096, /* lines, repetitions not counted */
	LOCK_NAME_MAX = 255,
	LOCK_DIGITS = 64
};

/* One line that lists a file. */
typedef struct lock_line {
	const char *name;   /* without a directory */
	const char *digest; /* LOCK_DIGITS digits and a NUL */
	uint32_t number;    /* from 1 */
} lock_line;

/* Calls take for every line that lists a file, until it returns an error; returns that. VIA_PROTO
 * with a detail "line N: expected ..., found ..." for one that is malformed. Pure: text is cut into
 * strings in place and needs a byte of room behind len. */
via_rc lock_parse(char *text, uint64_t len, via_rc (*take)(void *arg, const lock_line *line),
		  void *arg);

typedef struct lock_text lock_text;

typedef struct lock_entry {
	lock_line line;
	const lock_text *from;
} lock_entry;

/* All locks of one directory. */
typedef struct lock {
	const core_env *e;
	lock_text *texts;
	uint64_t n_bytes;
	lock_entry *entries; /* sorted by name */
	uint32_t n_entries, cap;
	via_rc rc;        /* why none of them counts, and ... */
	char reason[512]; /* ... the sentence */
} lock;

/* Reads the locks of dir. VIA_NOMEM, or VIA_OK: whatever else is wrong is kept for lock_admits().
 * Ends with lock_free() in any case. */
via_rc lock_read(lock *l, const core_env *e, const char *dir);
void lock_free(lock *l);

/* VIA_OK when a line lists the file name. VIA_PERM otherwise, or when the locks cannot be used;
 * VIA_IO, VIA_LIMIT when the system did not let them be read. */
via_rc lock_admits(const lock *l, const char *name);
/* The same, and the digest of s must be the one that is listed. Reads all of s. */
via_rc lock_verify(const lock *l, const char *name, const image_source *s);

#endif
