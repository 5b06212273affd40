/* SPDX-License-Identifier: Apache-2.0
 * core/registry/image.h - finds the identity section in a module file without executing it.
 *
 * Both formats are read on every platform, through a callback and in a handful of small reads.
 * Every offset is checked against the size of the file before it is used. */
#ifndef VIA_CORE_IMAGE_H
#define VIA_CORE_IMAGE_H
#include "../base/err.h"

typedef struct image_source {
	/* Exactly len bytes at off; never asked for bytes beyond size. */
	via_rc (*read_at)(void *ctx, uint64_t off, void *buf, uint64_t len);
	void *ctx;
	uint64_t size;
} image_source;

typedef struct image_span {
	uint64_t off, len;
} image_span;

enum { IMAGE_ELF_X86_64 = 62, IMAGE_ELF_AARCH64 = 183 };
enum { IMAGE_PE_X86_64 = 0x8664, IMAGE_PE_AARCH64 = 0xaa64 };

/* Where section .viaduct lies. machine: the code's expected target, IMAGE_*. VIA_EABI: another
 * format, class or machine. VIA_PROTO: truncated or damaged. VIA_NOTFOUND: no such section. */
via_rc image_elf_find(const image_source *s, uint32_t machine, image_span *out);
via_rc image_pe_find(const image_source *s, uint32_t machine, image_span *out);

/* The identity text of a file in this platform's format: at most NOTE_MAX bytes into buf. */
via_rc image_read_note(const image_source *s, char *buf, uint32_t *len);

/* VIA_PROTO with a sentence when [off, off + len) leaves the file. what: "section table". */
via_rc image_inside(const image_source *s, uint64_t off, uint64_t len, const char *what);
/* The same, then reads. */
via_rc image_fetch(const image_source *s, uint64_t off, void *buf, uint64_t len, const char *what);

static inline uint32_t image_u16(const unsigned char *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static inline uint32_t image_u32(const unsigned char *p)
{
	return image_u16(p) | image_u16(p + 2) << 16;
}

static inline uint64_t image_u64(const unsigned char *p)
{
	return (uint64_t)image_u32(p) | (uint64_t)image_u32(p + 4) << 32;
}

#endif
