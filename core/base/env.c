/* core/base/env.c - memory over libc. */
#include "env.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#if defined(_WIN32)
#include <malloc.h>
#endif

static void *libc_alloc(void *arg, uint64_t size, uint64_t align)
{
	void *p;

	(void)arg;
	if (align == 0 || (align & (align - 1)) != 0)
		return NULL;
	if (align < sizeof(void *))
		align = sizeof(void *);
	if (size == 0)
		size = 1;
	if (size > SIZE_MAX - align)
		return NULL;
#if defined(_WIN32)
	p = _aligned_malloc((size_t)size, (size_t)align);
#else
	/* calloc leaves fresh pages untouched, so a large buffer costs nothing until it is used. */
	if (align <= _Alignof(max_align_t))
		return calloc(1, (size_t)size);
	p = aligned_alloc((size_t)align, (size_t)((size + align - 1) & ~(align - 1)));
#endif
	if (p != NULL)
		memset(p, 0, (size_t)size);
	return p;
}

static void libc_free(void *arg, void *p)
{
	(void)arg;
#if defined(_WIN32)
	_aligned_free(p);
#else
	free(p);
#endif
}

const core_env core_env_libc = {
	.struct_size = sizeof(core_env),
	.alloc = libc_alloc,
	.free = libc_free,
};

char *env_strdup(const core_env *e, const char *s)
{
	size_t size = strlen(s) + 1;
	char *copy = env_alloc(e, size);

	if (copy != NULL)
		memcpy(copy, s, size);
	return copy;
}
