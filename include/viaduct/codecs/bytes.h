/* SPDX-License-Identifier: Apache-2.0 */
/** @file viaduct/codecs/bytes.h
 * Fields of messages: at any address, in host byte order.
 *
 * What every codec header needs and nothing else. Peers share one host, so no value ever changes
 * its byte order (docs/wire.md, Notation); payloads may lie at any address, so fields are copied,
 * never read through struct pointers (docs/wire.md section 13). No function here allocates, blocks,
 * keeps state or checks bounds: that is the caller's part. Threads: any.
 */
#ifndef VIADUCT_CODECS_BYTES_H
#define VIADUCT_CODECS_BYTES_H
#include "../abi.h"
#include <string.h>
#ifdef __cplusplus
extern "C" {
#endif

/** Reads the two bytes at p. */
static inline uint16_t via_bytes_get_u16(const void *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof v);
	return v;
}

/** Reads the four bytes at p. */
static inline uint32_t via_bytes_get_u32(const void *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof v);
	return v;
}

/** Reads the eight bytes at p. */
static inline uint64_t via_bytes_get_u64(const void *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof v);
	return v;
}

/** Writes two bytes at p. */
static inline void via_bytes_put_u16(void *p, uint16_t v)
{
	memcpy(p, &v, sizeof v);
}

/** Writes four bytes at p. */
static inline void via_bytes_put_u32(void *p, uint32_t v)
{
	memcpy(p, &v, sizeof v);
}

/** Writes eight bytes at p. */
static inline void via_bytes_put_u64(void *p, uint64_t v)
{
	memcpy(p, &v, sizeof v);
}

/** Copies len bytes; unlike memcpy, either pointer may be NULL when len is 0. */
static inline void via_bytes_copy(void *dst, const void *src, uint64_t len)
{
	if (len != 0)
		memcpy(dst, src, (size_t)len);
}

/** x rounded up to a multiple of 8. x is at most UINT64_MAX - 7. */
static inline uint64_t via_bytes_align8(uint64_t x)
{
	return (x + 7u) & ~(uint64_t)7u;
}

/** The place of a flaw: item or VIA_FLAW_NO_ITEM, byte offset, the wire's name of the field. */
static inline via_flaw via_bytes_at(uint32_t item, uint64_t offset, const char *field)
{
	via_flaw at;

	memset(&at, 0, sizeof at);
	at.item = item;
	at.offset = offset;
	at.field = field;
	return at;
}

/**
 * Ends a check: hands the flaw to whoever asked why.
 *
 * @param why       receives the flaw; NULL if nobody asks
 * @param at        from via_bytes_at()
 * @param kind      VIA_FLAW_*
 * @param expected  what the rule asks for: a value, a bound, the multiple that an offset must be
 * @param found     what the bytes say
 * @return VIA_PROTO, always
 */
static inline via_rc via_bytes_refuse(via_flaw *why, via_flaw at, uint32_t kind, uint64_t expected,
				      uint64_t found)
{
	at.kind = kind;
	at.expected = expected;
	at.found = found;
	if (why != NULL)
		*why = at;
	return VIA_PROTO;
}

/** Memory for owned copies. */
typedef struct via_bytes_heap {
	void *(*alloc)(void *arg, uint64_t size); /**< aligned for any type; NULL: no memory */
	void (*free)(void *arg, void *p);         /**< what alloc gave */
	void *arg;                                /**< first argument of both */
} via_bytes_heap;

#ifdef __cplusplus
}
#endif
#endif
