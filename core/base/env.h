/* SPDX-License-Identifier: Apache-2.0
 * core/base/env.h - memory and the system-call gate of one registry, handed down to everything.
 *
 * An env is a via_hooks with every member but `deny` filled in. Nothing in the core calls malloc or
 * makes a system call that can fail without going through it, so that a test can fail the nth one. */
#ifndef VIA_CORE_ENV_H
#define VIA_CORE_ENV_H
#include <viaduct/app/registry.h>

typedef via_hooks core_env;

/* Defaults over libc. */
extern const core_env core_env_libc;

static inline void *env_alloc(const core_env *e, uint64_t size)
{
	return e->alloc(e->arg, size, 16);
}

static inline void env_free(const core_env *e, void *p)
{
	e->free(e->arg, p);
}

/* 0: make the call. Otherwise the system error it is to be treated as having failed with. */
static inline int32_t env_deny(const core_env *e, const char *call)
{
	return e->deny == NULL ? 0 : e->deny(e->arg, call);
}

/* NUL-terminated copy of a string; NULL when out of memory. */
char *env_strdup(const core_env *e, const char *s);

#endif
