/* SPDX-License-Identifier: Apache-2.0 */
/** @file viaduct/codecs/string_reverse.h
 * STRING_REVERSE (method 3): one string each way
 * (docs/wire.md section 13.2).
 *
 * Pure functions, the same for programs and for the codec module: no allocation, no blocking, no
 * state. Threads: any. Request and response have the same layout:
 *
 *   @0 u32 str_offset, exactly 8   @4 u32 str_length, without NUL   @8 the bytes, then NUL
 *
 * The bytes are bytes: any value may occur, NUL and invalid UTF-8 included.
 */
#ifndef VIADUCT_CODECS_STRING_REVERSE_H
#define VIADUCT_CODECS_STRING_REVERSE_H
#include "bytes.h"
#ifdef __cplusplus
extern "C" {
#endif

#define VIA_STRING_REVERSE_METHOD 3u /**< its method code */
#define VIA_STRING_REVERSE_HEADER 8u /**< bytes before the string */
#define VIA_STRING_REVERSE_MIN 9u    /**< an empty string: header and NUL */

/** A message in somebody's buffer. Borrowed: valid while those bytes stay as they are. */
typedef struct via_string_reverse_view {
	const char *text; /**< len bytes, then a NUL that is not counted */
	uint32_t len;     /**< bytes of text */
} via_string_reverse_view;

/** Bytes of a message that carries len bytes of text. */
static inline uint64_t via_string_reverse_size(uint32_t len)
{
	return (uint64_t)VIA_STRING_REVERSE_MIN + len;
}

/**
 * Checks a request or a response completely and shows what is in it.
 *
 * @param view  out, on success only
 * @param src   the payload at any address; *view points into it
 * @param len   its bytes; what follows the string's NUL is ignored, as the wire allows
 * @param why   out on VIA_PROTO; may be NULL
 *
 * @retval VIA_OK
 * @retval VIA_PROTO  TRUNCATED (no whole header), BAD_LAYOUT (str_offset), OUT_OF_BOUNDS
 *                    (str_length), MISSING_NUL, in this order
 */
static inline via_rc via_string_reverse_open(via_string_reverse_view *view, const void *src,
					     uint64_t len, via_flaw *why)
{
	const uint8_t *p = (const uint8_t *)src;
	uint32_t offset, n;

	if (len < VIA_STRING_REVERSE_HEADER)
		return via_bytes_refuse(why, via_bytes_at(VIA_FLAW_NO_ITEM, 0, "header"),
					VIA_FLAW_TRUNCATED, VIA_STRING_REVERSE_HEADER, len);
	offset = via_bytes_get_u32(p);
	n = via_bytes_get_u32(p + 4);
	if (offset != VIA_STRING_REVERSE_HEADER)
		return via_bytes_refuse(why, via_bytes_at(VIA_FLAW_NO_ITEM, 0, "str_offset"),
					VIA_FLAW_BAD_LAYOUT, VIA_STRING_REVERSE_HEADER, offset);
	if (via_string_reverse_size(n) > len)
		return via_bytes_refuse(why, via_bytes_at(VIA_FLAW_NO_ITEM, 4, "str_length"),
					VIA_FLAW_OUT_OF_BOUNDS, len, via_string_reverse_size(n));
	if (p[VIA_STRING_REVERSE_HEADER + (size_t)n] != 0)
		return via_bytes_refuse(why,
					via_bytes_at(VIA_FLAW_NO_ITEM,
						     (uint64_t)VIA_STRING_REVERSE_HEADER + n,
						     "string"),
					VIA_FLAW_MISSING_NUL, 0,
					p[VIA_STRING_REVERSE_HEADER + (size_t)n]);
	view->text = (const char *)p + VIA_STRING_REVERSE_HEADER;
	view->len = n;
	return VIA_OK;
}

/**
 * Writes everything but the text and says where the text goes: for whoever produces it in place.
 *
 * @param dst  the caller's room, at any address; only written
 * @param cap  its bytes
 * @param len  bytes of text to come
 *
 * @return where exactly len bytes are to be written; the message is then
 *         via_string_reverse_size(len) bytes. NULL: it does not fit cap, nothing was written.
 */
static inline char *via_string_reverse_reserve(void *dst, uint64_t cap, uint32_t len)
{
	uint8_t *p = (uint8_t *)dst;

	if (via_string_reverse_size(len) > cap)
		return NULL;
	via_bytes_put_u32(p, VIA_STRING_REVERSE_HEADER);
	via_bytes_put_u32(p + 4, len);
	p[VIA_STRING_REVERSE_HEADER + (size_t)len] = 0;
	return (char *)p + VIA_STRING_REVERSE_HEADER;
}

/**
 * Writes a request or a response.
 *
 * @param dst   the caller's room, at any address; only written; must not overlap the text
 * @param cap   its bytes
 * @param text  borrowed until return; may be NULL if its len is 0
 * @param used  out: via_string_reverse_size(text->len)
 *
 * @retval VIA_OK
 * @retval VIA_INVAL   text NULL with a length; nothing was written
 * @retval VIA_TOOBIG  does not fit cap; nothing was written
 */
static inline via_rc via_string_reverse_encode(void *dst, uint64_t cap,
					       const via_string_reverse_view *text, uint64_t *used)
{
	char *room;

	if (text->text == NULL && text->len != 0)
		return VIA_INVAL;
	room = via_string_reverse_reserve(dst, cap, text->len);
	if (room == NULL)
		return VIA_TOOBIG;
	via_bytes_copy(room, text->text, text->len);
	*used = via_string_reverse_size(text->len);
	return VIA_OK;
}

#ifdef __cplusplus
}
#endif
#endif
