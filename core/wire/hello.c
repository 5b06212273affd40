/* core/wire/hello.c - the payloads of HELLO and HELLO_ACK, and the packets around them.
 *
 * Wire layout: docs/wire.md section 5. Both structs hold more bytes than their wire form; what is
 * between their members never travels.
 */
#include "bytes.h"

via_rc via_wire_hello_decode(const void *src, uint64_t len, via_wire_hello *out, via_flaw *why)
{
	if (len < VIA_WIRE_HELLO_LEN)
		return flawed(why, FLAW(TRUNCATED, 0, VIA_WIRE_HELLO_LEN, len, "hello"));
	if (get_u16(src, 0) != 1)
		return flawed(why, FLAW(BAD_LAYOUT, 0, 1, get_u16(src, 0), "hello.layout_version"));
	if (get_u32(src, 28) != 0)
		return flawed(why, FLAW(BAD_LAYOUT, 28, 0, get_u32(src, 28), "hello.reserved"));

	memset(out, 0, sizeof *out);
	out->layout = get_u16(src, 0);
	out->flags = get_u16(src, 2);
	out->supported = get_u32(src, 4);
	out->preferred = get_u32(src, 8);
	out->max_request_payload = get_u32(src, 12);
	out->max_request_batch = get_u32(src, 16);
	out->max_response_payload = get_u32(src, 20);
	out->max_response_batch = get_u32(src, 24);
	out->auth_token = get_u64(src, 32);
	out->packet_size = get_u32(src, 40);
	return VIA_OK;
}

void via_wire_hello_encode(const via_wire_hello *h, void *dst)
{
	put_u16(dst, 0, h->layout);
	put_u16(dst, 2, h->flags);
	put_u32(dst, 4, h->supported);
	put_u32(dst, 8, h->preferred);
	put_u32(dst, 12, h->max_request_payload);
	put_u32(dst, 16, h->max_request_batch);
	put_u32(dst, 20, h->max_response_payload);
	put_u32(dst, 24, h->max_response_batch);
	put_u32(dst, 28, 0);
	put_u64(dst, 32, h->auth_token);
	put_u32(dst, 40, h->packet_size);
}

via_rc via_wire_ack_decode(const void *src, uint64_t len, via_wire_ack *out, via_flaw *why)
{
	if (len < VIA_WIRE_ACK_LEN)
		return flawed(why, FLAW(TRUNCATED, 0, VIA_WIRE_ACK_LEN, len, "hello_ack"));
	if (get_u16(src, 0) != 1)
		return flawed(why,
			      FLAW(BAD_LAYOUT, 0, 1, get_u16(src, 0), "hello_ack.layout_version"));
	if (get_u16(src, 2) != 0)
		return flawed(why, FLAW(BAD_LAYOUT, 2, 0, get_u16(src, 2), "hello_ack.flags"));

	memset(out, 0, sizeof *out);
	out->layout = get_u16(src, 0);
	out->flags = get_u16(src, 2);
	out->server_supported = get_u32(src, 4);
	out->intersection = get_u32(src, 8);
	out->selected = get_u32(src, 12);
	out->max_request_payload = get_u32(src, 16);
	out->max_request_batch = get_u32(src, 20);
	out->max_response_payload = get_u32(src, 24);
	out->max_response_batch = get_u32(src, 28);
	out->packet_size = get_u32(src, 32);
	out->reserved = get_u32(src, 36);
	out->session_id = get_u64(src, 40);
	return VIA_OK;
}

void via_wire_ack_encode(const via_wire_ack *a, void *dst)
{
	put_u16(dst, 0, a->layout);
	put_u16(dst, 2, a->flags);
	put_u32(dst, 4, a->server_supported);
	put_u32(dst, 8, a->intersection);
	put_u32(dst, 12, a->selected);
	put_u32(dst, 16, a->max_request_payload);
	put_u32(dst, 20, a->max_request_batch);
	put_u32(dst, 24, a->max_response_payload);
	put_u32(dst, 28, a->max_response_batch);
	put_u32(dst, 32, a->packet_size);
	put_u32(dst, 36, a->reserved);
	put_u64(dst, 40, a->session_id);
}

uint32_t via_wire_hello_packet(const via_wire_hello *h, void *dst)
{
	via_wire_header header = {.kind = VIA_WIRE_CONTROL,
				  .code = VIA_WIRE_HELLO,
				  .payload_len = VIA_WIRE_HELLO_LEN,
				  .item_count = 1};

	via_wire_header_encode(&header, dst);
	via_wire_hello_encode(h, (uint8_t *)dst + VIA_WIRE_HEADER);
	return VIA_WIRE_HELLO_PACKET;
}

uint32_t via_wire_ack_packet(const via_wire_ack *a, uint16_t status, void *dst)
{
	via_wire_header header = {.kind = VIA_WIRE_CONTROL,
				  .code = VIA_WIRE_HELLO_ACK,
				  .status = status,
				  .payload_len = VIA_WIRE_ACK_LEN,
				  .item_count = 1};

	via_wire_header_encode(&header, dst);
	via_wire_ack_encode(a, (uint8_t *)dst + VIA_WIRE_HEADER);
	return VIA_WIRE_ACK_PACKET;
}
