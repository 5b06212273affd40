/* SPDX-License-Identifier: Apache-2.0
 * tests/vec.h - reads the golden vectors: tests/vectors/<folder>/<name>.hex, format in INDEX.md there.
 *
 * Needs nothing but libc and the macro VIA_TEST_VECTORS, the directory's path. */
#ifndef VIA_TEST_VEC_H
#define VIA_TEST_VEC_H
#include <stddef.h>
#include <stdint.h>

typedef struct vec {
	uint8_t *data; /* exactly len bytes of heap, so that a sanitizer sees any read past them */
	uint8_t *mask; /* 0xff: this byte counts, 0: a wildcard (`??`); wildcards read as 0 */
	size_t len;
	char name[128];
} vec;

/* 0, or -1 with the reason in vec_error(). */
int vec_load(const char *folder, const char *name, vec *out);

/* The same from text in memory; where names it in errors. */
int vec_parse(const char *text, size_t text_len, const char *where, vec *out);
void vec_free(vec *v);

/* True if data is the vector, wildcards aside. */
int vec_equal(const vec *v, const void *data, size_t len);

/* Offset of the first byte that differs, len of the shorter if one is a prefix; -1 if equal. */
long vec_difference(const vec *v, const void *data, size_t len);

/* Calls fn with every vector's name (without .hex) in a folder, sorted, while it returns 0. Returns the
 * number of calls, or -1 with the reason in vec_error(). */
int vec_list(const char *folder, int (*fn)(void *arg, const char *name), void *arg);

/* Whole text of a file below the directory ("INDEX.md"), NUL-terminated; free() it. NULL: vec_error(). */
char *vec_text(const char *path, size_t *len);

const char *vec_error(void);

#endif
