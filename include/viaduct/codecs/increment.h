/* SPDX-License-Identifier: Apache-2.0 */
/** @file viaduct/codecs/increment.h
 * INCREMENT (method 1): a number each way (docs/wire.md section 13.1).
 *
 * Pure functions, the same for programs and for the codec module: no allocation, no blocking, no
 * state. Threads: any. Request and response have the same layout: 8 bytes, the value.
 */
#ifndef VIADUCT_CODECS_INCREMENT_H
#define VIADUCT_CODECS_INCREMENT_H
#include "bytes.h"
#ifdef __cplusplus
extern "C" {
#endif

#define VIA_INCREMENT_METHOD 1u /**< its method code */
#define VIA_INCREMENT_SIZE 8u   /**< of either message */

/**
 * Reads a request or a response.
 *
 * @param src    the payload at any address; only read, not kept
 * @param len    its bytes; what follows the first 8 is ignored, as the wire allows
 * @param value  out: the number
 * @param why    out on VIA_PROTO; may be NULL
 *
 * @retval VIA_OK
 * @retval VIA_PROTO  TRUNCATED: fewer than 8 bytes
 */
static inline via_rc via_increment_decode(const void *src, uint64_t len, uint64_t *value,
					  via_flaw *why)
{
	if (len < VIA_INCREMENT_SIZE)
		return via_bytes_refuse(why, via_bytes_at(VIA_FLAW_NO_ITEM, 0, "value"),
					VIA_FLAW_TRUNCATED, VIA_INCREMENT_SIZE, len);
	*value = via_bytes_get_u64(src);
	return VIA_OK;
}

/**
 * Writes a request or a response.
 *
 * @param dst    the caller's room, at any address; only written
 * @param cap    its bytes
 * @param value  any
 * @param used   out: 8
 *
 * @retval VIA_OK
 * @retval VIA_TOOBIG  cap is below 8; nothing was written
 */
static inline via_rc via_increment_encode(void *dst, uint64_t cap, uint64_t value, uint64_t *used)
{
	if (cap < VIA_INCREMENT_SIZE)
		return VIA_TOOBIG;
	via_bytes_put_u64(dst, value);
	*used = VIA_INCREMENT_SIZE;
	return VIA_OK;
}

#ifdef __cplusplus
}
#endif
#endif
