/* core/wire/header.c - outer header and chunk header.
 *
 * Wire layout: docs/wire.md sections 2 and 4.
 */
#include "bytes.h"

/* -- outer header ----------------------------------------------------------------------------- */

via_rc via_wire_header_decode(const void *src, uint64_t len, via_wire_header *out, via_flaw *why)
{
	uint16_t kind;

	if (len < VIA_WIRE_HEADER)
		return flawed(why, FLAW(TRUNCATED, 0, VIA_WIRE_HEADER, len, "header"));
	if (get_u32(src, 0) != VIA_WIRE_MAGIC)
		return flawed(why,
			      FLAW(BAD_MAGIC, 0, VIA_WIRE_MAGIC, get_u32(src, 0), "header.magic"));
	if (get_u16(src, 4) != VIA_WIRE_VERSION)
		return flawed(why, FLAW(BAD_VERSION, 4, VIA_WIRE_VERSION, get_u16(src, 4),
					"header.version"));
	if (get_u16(src, 6) != VIA_WIRE_HEADER)
		return flawed(why, FLAW(BAD_HEADER_LEN, 6, VIA_WIRE_HEADER, get_u16(src, 6),
					"header.header_len"));
	kind = get_u16(src, 8);
	if (kind < VIA_WIRE_REQUEST || kind > VIA_WIRE_CONTROL)
		return flawed(why, FLAW(BAD_KIND, 8, VIA_WIRE_CONTROL, kind, "header.kind"));

	*out = (via_wire_header){
		.kind = kind,
		.flags = get_u16(src, 10),
		.code = get_u16(src, 12),
		.status = get_u16(src, 14),
		.payload_len = get_u32(src, 16),
		.item_count = get_u32(src, 20),
		.message_id = get_u64(src, 24),
	};
	return VIA_OK;
}

void via_wire_header_encode(const via_wire_header *h, void *dst)
{
	put_header(dst, h);
}

const char *via_wire_status_name(uint16_t status)
{
	static const char *const names[] = {
		[VIA_STATUS_OK] = "OK",
		[VIA_STATUS_BAD_ENVELOPE] = "BAD_ENVELOPE",
		[VIA_STATUS_AUTH_FAILED] = "AUTH_FAILED",
		[VIA_STATUS_INCOMPATIBLE] = "INCOMPATIBLE",
		[VIA_STATUS_UNSUPPORTED] = "UNSUPPORTED",
		[VIA_STATUS_LIMIT_EXCEEDED] = "LIMIT_EXCEEDED",
		[VIA_STATUS_INTERNAL_ERROR] = "INTERNAL_ERROR",
	};

	return status < sizeof names / sizeof names[0] ? names[status] : "?";
}

/* -- chunk header ----------------------------------------------------------------------------- */

via_rc via_wire_chunk_decode(const void *src, uint64_t len, via_wire_chunk *out, via_flaw *why)
{
	if (len < VIA_WIRE_HEADER)
		return flawed(why, FLAW(TRUNCATED, 0, VIA_WIRE_HEADER, len, "chunk"));
	if (get_u32(src, 0) != VIA_WIRE_CHUNK_MAGIC)
		return flawed(why, FLAW(BAD_MAGIC, 0, VIA_WIRE_CHUNK_MAGIC, get_u32(src, 0),
					"chunk.magic"));
	if (get_u16(src, 4) != VIA_WIRE_VERSION)
		return flawed(why, FLAW(BAD_VERSION, 4, VIA_WIRE_VERSION, get_u16(src, 4),
					"chunk.version"));
	if (get_u16(src, 6) != 0)
		return flawed(why, FLAW(BAD_LAYOUT, 6, 0, get_u16(src, 6), "chunk.flags"));
	if (get_u32(src, 28) == 0)
		return flawed(why, FLAW(BAD_LAYOUT, 28, 1, 0, "chunk.chunk_payload_len"));

	*out = (via_wire_chunk){
		.message_id = get_u64(src, 8),
		.total_message_len = get_u32(src, 16),
		.chunk_index = get_u32(src, 20),
		.chunk_count = get_u32(src, 24),
		.chunk_payload_len = get_u32(src, 28),
	};
	return VIA_OK;
}

void via_wire_chunk_encode(const via_wire_chunk *c, void *dst)
{
	put_u32(dst, 0, VIA_WIRE_CHUNK_MAGIC);
	put_u16(dst, 4, VIA_WIRE_VERSION);
	put_u16(dst, 6, 0);
	put_u64(dst, 8, c->message_id);
	put_u32(dst, 16, c->total_message_len);
	put_u32(dst, 20, c->chunk_index);
	put_u32(dst, 24, c->chunk_count);
	put_u32(dst, 28, c->chunk_payload_len);
}

uint32_t via_wire_chunk_count(uint32_t payload_len, uint32_t packet_size)
{
	uint32_t body;

	if (packet_size <= VIA_WIRE_HEADER)
		return 0; /* no packet of this size carries anything */
	body = packet_size - VIA_WIRE_HEADER;
	if (payload_len <= body)
		return 1;
	payload_len -= body; /* every packet but the last carries exactly `body` */
	return 1 + payload_len / body + (payload_len % body != 0);
}
