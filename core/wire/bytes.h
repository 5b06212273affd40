/* SPDX-License-Identifier: Apache-2.0
 * core/wire/bytes.h - fields at any address in host byte order, and flaws. */
#ifndef VIA_CORE_WIRE_BYTES_H
#define VIA_CORE_WIRE_BYTES_H
#include <viaduct/app/wire.h>

#include <string.h>

static inline uint16_t get_u16(const void *p, size_t at)
{
	uint16_t v;

	memcpy(&v, (const uint8_t *)p + at, sizeof v);
	return v;
}

/* A copy whose length is often small and never known before: no call below 17 bytes. */
static inline void copy_bytes(void *dst, const void *src, size_t n)
{
	uint64_t head, tail;

	if (n > 16) {
		memcpy(dst, src, n);
	} else if (n >= 8) {
		memcpy(&head, src, 8);
		memcpy(&tail, (const uint8_t *)src + n - 8, 8);
		memcpy(dst, &head, 8);
		memcpy((uint8_t *)dst + n - 8, &tail, 8);
	} else {
		while (n-- != 0)
			((uint8_t *)dst)[n] = ((const uint8_t *)src)[n];
	}
}

static inline uint32_t get_u32(const void *p, size_t at)
{
	uint32_t v;

	memcpy(&v, (const uint8_t *)p + at, sizeof v);
	return v;
}

static inline uint64_t get_u64(const void *p, size_t at)
{
	uint64_t v;

	memcpy(&v, (const uint8_t *)p + at, sizeof v);
	return v;
}

static inline void put_u16(void *p, size_t at, uint16_t v)
{
	memcpy((uint8_t *)p + at, &v, sizeof v);
}

static inline void put_u32(void *p, size_t at, uint32_t v)
{
	memcpy((uint8_t *)p + at, &v, sizeof v);
}

static inline void put_u64(void *p, size_t at, uint64_t v)
{
	memcpy((uint8_t *)p + at, &v, sizeof v);
}

/* Outer header, docs/wire.md section 2. */
static inline void put_header(void *dst, const via_wire_header *h)
{
	put_u32(dst, 0, VIA_WIRE_MAGIC);
	put_u16(dst, 4, VIA_WIRE_VERSION);
	put_u16(dst, 6, VIA_WIRE_HEADER);
	put_u16(dst, 8, h->kind);
	put_u16(dst, 10, h->flags);
	put_u16(dst, 12, h->code);
	put_u16(dst, 14, h->status);
	put_u32(dst, 16, h->payload_len);
	put_u32(dst, 20, h->item_count);
	put_u64(dst, 24, h->message_id);
}

/* 1: via_wire_header_decode() would take these 32 bytes, and they are of this kind. */
static inline int is_header_of(const void *p, uint16_t kind)
{
	return get_u32(p, 0) == VIA_WIRE_MAGIC && get_u16(p, 4) == VIA_WIRE_VERSION &&
	       get_u16(p, 6) == VIA_WIRE_HEADER && get_u16(p, 8) == kind;
}

static inline uint64_t align8(uint64_t x)
{
	return (x + 7) & ~(uint64_t)7;
}

/* A flaw that concerns no item; `return flawed(why, FLAW(BAD_MAGIC, 0, want, got, "magic"))`. */
#define FLAW(k, at, want, got, name) \
	((via_flaw){VIA_FLAW_##k, VIA_FLAW_NO_ITEM, (at), (want), (got), (name)})

static inline via_rc flawed(via_flaw *why, via_flaw flaw)
{
	if (why != NULL)
		*why = flaw;
	return VIA_PROTO;
}

#endif
