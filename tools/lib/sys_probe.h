/* SPDX-License-Identifier: Apache-2.0
 * tools/lib/sys_probe.h - what a process holds, and memory that shows who writes or reads beyond it:
 * for running code that is not trusted to behave. One file for each system.
 */
#ifndef VIA_TOOLS_SYS_PROBE_H
#define VIA_TOOLS_SYS_PROBE_H
#include "sys.h"

/* True if path is a regular file, which can be read without waiting for anybody; else 0 with why. */
int sys_is_file(const char *path, char *why);
/* Writes a file that must not exist yet, for this user alone. Returns 1, or 0 with why. */
int sys_write_new(const char *path, const void *data, size_t len, char *why);

/* From now on a crash of this process ends it: no window, no core dump. */
void sys_crash_quietly(void);

/* From now on this process is killed when the one that started it ends, however that happens. Nothing where the
 * system has no such thing. */
void sys_end_with_parent(void);

typedef struct sys_usage {
	uint64_t n_handles; /* descriptors */
	uint64_t n_threads;
	uint64_t
		n_mapped; /* bytes of address space without the heap; 0: not known on this system */
} sys_usage;

/* What this process holds now. Returns 1, or 0 with why. */
int sys_usage_get(sys_usage *out, char *why);
/* True if something is mapped at p. */
int sys_is_mapped(const void *p);

/* Memory whose end is followed by a page that nobody may touch. */
typedef struct sys_guarded {
	uint8_t *end; /* the last byte is end[-1] */
	size_t cap;
	void *base;
	size_t size;
} sys_guarded;

/* Room for cap bytes in front of end. Returns 1, or 0 with why. */
int sys_guarded_make(sys_guarded *g, size_t cap, char *why);
void sys_guarded_free(sys_guarded *g);

#endif
