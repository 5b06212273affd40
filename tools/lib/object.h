/* SPDX-License-Identifier: Apache-2.0
 * tools/lib/object.h - the names in a shared object: sections, exports, imports, libraries. ELF64
 * little-endian and PE32+, both on every system.
 *
 * Pure and total: any bytes may be given. Every offset is checked against the file before it is
 * used, and every name has its NUL inside the table it is in.
 */
#ifndef VIA_TOOLS_OBJECT_H
#define VIA_TOOLS_OBJECT_H
#include <stddef.h>
#include <stdint.h>

#define OBJECT_WHY 256u
#define OBJECT_NAMES 65536u /* of one kind; more is taken for damage */

enum { OBJECT_SECTION = 1, OBJECT_EXPORT, OBJECT_IMPORT, OBJECT_LIBRARY };
enum { OBJECT_ELF = 1, OBJECT_PE };

/* Called for every name; it is borrowed, some from the file, some for the call. value: of a section its
 * bytes in the file, else 0. */
typedef void object_fn(void *arg, int what, const char *name, uint64_t value);

/* Returns OBJECT_ELF or OBJECT_PE, or 0 with why; fn may have been called already then. */
int object_read(const void *data, size_t len, object_fn *fn, void *arg, char why[OBJECT_WHY]);

/* -- for the two readers --------------------------------------------------------------------- */

typedef struct object {
	const uint8_t *data;
	uint64_t len;
	object_fn *fn;
	void *arg;
	char *why;
} object;

int object_read_elf(const object *o);
int object_read_pe(const object *o);
/* n bytes at off, or NULL with why. what: "section table". */
const uint8_t *object_at(const object *o, uint64_t off, uint64_t n, const char *what);
/* The text at off, whose NUL lies in front of end; or NULL with why. */
const char *object_text(const object *o, uint64_t off, uint64_t end, const char *what);
/* Returns 0. */
int object_too_many(const object *o, const char *what);

static inline uint32_t object_u16(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static inline uint32_t object_u32(const uint8_t *p)
{
	return object_u16(p) | object_u16(p + 2) << 16;
}

static inline uint64_t object_u64(const uint8_t *p)
{
	return (uint64_t)object_u32(p) | (uint64_t)object_u32(p + 4) << 32;
}

#endif
