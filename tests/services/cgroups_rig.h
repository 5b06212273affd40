/* SPDX-License-Identifier: Apache-2.0
 * tests/services/cgroups_rig.h - a small host for the cgroups service, and trees for it to read. */
#ifndef VIA_TESTS_SERVICES_CGROUPS_RIG_H
#define VIA_TESTS_SERVICES_CGROUPS_RIG_H
#include <viaduct/codecs/cgroups_snapshot.h>
#include <viaduct/module.h>

#include <stdatomic.h>

/* -- host -------------------------------------------------------------------------------------- */

struct rig {
	via_host host;
	via_sysgate gate;
	int32_t log_level;
	atomic_int n_live; /* allocations not yet freed */
	atomic_int n_allocs,
		fail_alloc; /* fail_alloc: the nth from now fails, then no other; 0: none */
	atomic_int n_calls, fail_call; /* the same for system calls */
	atomic_int call_error;         /* what the failing system call fails with */
	atomic_int fail_every; /* every system call of this number and above fails; 0: none */
	atomic_int n_logs, n_fails;
	via_time now; /* what the clock shows, and how far it goes with every look */
	via_time tick;
	via_rc fail_rc; /* what fail() was last told */
	int64_t fail_error;
	char fail_text[512], log_text[512];
	const via_module_desc *desc;
	const via_service *service;
	void *self, *file;
	int n_fds; /* open before the module was initialised */
};

/* The builtin copy, or with a path the module file. Asserts that init succeeds. config may be
 * NULL. */
void rig_open(struct rig *r, const char *path, const char *config);
/* The host alone, without any module. */
void rig_host(struct rig *r);
/* Ends the module and asserts that no allocation and no descriptor is left. */
void rig_close(struct rig *r);
int rig_open_fds(void);

/* One call with a deadline of VIA_FOREVER. */
via_rc rig_call(struct rig *r, void *response, uint64_t cap, uint64_t *len);

struct answer {
	void *bytes;
	uint64_t len;
	via_cgroups_snapshot_view view;
};

/* A call that must succeed and pass the codec's complete check. */
struct answer rig_ask(struct rig *r);
void answer_free(struct answer *a);
/* The row with this path, or NULL: valid until the next call. */
const via_cgroups_item *answer_find(const struct answer *a, const char *path);
const via_cgroups_item *answer_at(const struct answer *a, uint32_t index);

/* -- trees ------------------------------------------------------------------------------------- */

#define TREE_PATH 2048

extern char tree_root[TREE_PATH];

void tree_make(void);   /* an empty directory; for .init */
void tree_remove(void); /* with everything in it; for .fini */
/* "root=<tree>\n" and more; static storage. */
const char *tree_config(const char *more);
/* The full name of something in the tree; static storage, four at a time. */
const char *tree_path(const char *path);
void tree_dir(const char *path); /* with its parents */
void tree_file(const char *path, const char *text);
void tree_link(const char *path, const char *target);
void tree_mountinfo(const char *text);
/* Cgroups of a hierarchy mounted at `at`: made with the files the kernel puts in them. */
void tree_v1(const char *at, const char *path, int has_processes);
void tree_v2(const char *at, const char *path, int is_populated);
/* A machine with cgroup2 only, the root cgroup, and nothing below it. */
void tree_pure_v2(void);

#define TREE_V2_LINE "30 24 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"

#endif
