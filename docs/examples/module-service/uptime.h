/* SPDX-License-Identifier: Apache-2.0
 * docs/examples/module-service/uptime.h - the method UPTIME: nothing asked, two numbers answered.
 *
 * Request: empty; whatever it holds is ignored. Response: u64 uptime_ns, u64 calls, 16 bytes. */
#ifndef UPTIME_H
#define UPTIME_H
#include <viaduct/codecs/bytes.h>
#include <viaduct/module.h>

#define UPTIME_METHOD 40001u
#define UPTIME_SIZE 16u /* of a response */

/* VIA_PROTO: fewer than 16 bytes; why may be NULL. */
static inline via_rc uptime_decode(const void *src, uint64_t len, uint64_t *uptime_ns,
				   uint64_t *calls, via_flaw *why)
{
	if (len < UPTIME_SIZE)
		return via_bytes_refuse(why, via_bytes_at(VIA_FLAW_NO_ITEM, 0, "uptime_ns"),
					VIA_FLAW_TRUNCATED, UPTIME_SIZE, len);
	*uptime_ns = via_bytes_get_u64(src);
	*calls = via_bytes_get_u64((const uint8_t *)src + 8);
	return VIA_OK;
}

/* VIA_TOOBIG: there is no room for 16 bytes; nothing was written. */
static inline via_rc uptime_encode(void *dst, uint64_t cap, uint64_t uptime_ns, uint64_t calls,
				   uint64_t *used)
{
	if (cap < UPTIME_SIZE)
		return VIA_TOOBIG;
	via_bytes_put_u64(dst, uptime_ns);
	via_bytes_put_u64((uint8_t *)dst + 8, calls);
	*used = UPTIME_SIZE;
	return VIA_OK;
}

extern const via_codec uptime_codec; /* uptime_codec.c */

#endif
