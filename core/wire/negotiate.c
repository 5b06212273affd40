/* core/wire/negotiate.c - what both sides of a handshake make of what they got.
 *
 * Wire layout: none of its own; rules of docs/wire.md section 6, step numbers as there.
 */
#include "bytes.h"

/* -- selection -------------------------------------------------------------------------------- */

static uint32_t highest_bit(uint32_t mask)
{
	mask |= mask >> 1;
	mask |= mask >> 2;
	mask |= mask >> 4;
	mask |= mask >> 8;
	mask |= mask >> 16;
	return mask ^ (mask >> 1);
}

uint32_t via_wire_select(uint32_t client, uint32_t client_pref, uint32_t server,
			 uint32_t server_pref)
{
	uint32_t common = client & server, preferred = common & client_pref & server_pref;

	return highest_bit(preferred != 0 ? preferred : common);
}

uint16_t via_wire_negotiate(const via_wire_hello *hello, const via_wire_server *server,
			    via_wire_ack *out)
{
	uint32_t common = hello->supported & server->supported;
	uint32_t packet =
		hello->packet_size < server->packet_size ? hello->packet_size : server->packet_size;
	uint16_t status = VIA_STATUS_OK;

	if (common == 0)
		status = VIA_STATUS_UNSUPPORTED; /* 6 */
	else if (hello->auth_token != server->auth_token)
		status = VIA_STATUS_AUTH_FAILED; /* 7 */
	else if (hello->max_request_payload > server->max_request_payload)
		status = VIA_STATUS_LIMIT_EXCEEDED; /* 8 */
	else if (packet <= VIA_WIRE_HEADER)
		status = VIA_STATUS_INCOMPATIBLE; /* 9 */

	memset(out, 0, sizeof *out);
	out->layout = 1;
	if (status != VIA_STATUS_OK)
		return status;

	out->server_supported = server->supported; /* 10 */
	out->intersection = common;
	out->selected = via_wire_select(hello->supported, hello->preferred, server->supported,
					server->preferred);
	out->max_request_payload = hello->max_request_payload;
	out->max_request_batch = hello->max_request_batch;
	out->max_response_payload = server->max_response_payload;
	out->max_response_batch = hello->max_request_batch;
	out->packet_size = packet;
	out->session_id = server->session_id;
	return VIA_STATUS_OK;
}

/* -- first packets ---------------------------------------------------------------------------- */

/* A header that decoded is CONTROL with this code, or a flaw. */
static via_rc check_control(const via_wire_header *h, uint16_t code, via_flaw *why)
{
	if (h->kind != VIA_WIRE_CONTROL)
		return flawed(why, FLAW(BAD_KIND, 8, VIA_WIRE_CONTROL, h->kind, "header.kind"));
	if (h->code != code)
		return flawed(why, FLAW(BAD_LAYOUT, 12, code, h->code, "header.code"));
	return VIA_OK;
}

/* A payload that is long enough says its layout in its first two bytes. */
static int is_foreign_layout(const void *payload, uint64_t len, uint32_t full_len)
{
	return len >= full_len && get_u16(payload, 0) != 1;
}

/* A payload decoder counts from the payload; the packet's reader counts from the packet. */
static void shift_flaw(via_flaw *why)
{
	if (why != NULL)
		why->offset += VIA_WIRE_HEADER;
}

int via_wire_hello_inspect(const void *packet, uint64_t len, via_wire_hello *hello, via_flaw *why)
{
	const uint8_t *p = packet;
	via_wire_header h;
	via_flaw flaw;

	if (via_wire_header_decode(p, len, &h, &flaw) != VIA_OK) {
		if (why != NULL)
			*why = flaw;
		if (flaw.kind == VIA_FLAW_BAD_VERSION && get_u16(p, 6) == VIA_WIRE_HEADER &&
		    get_u16(p, 8) == VIA_WIRE_CONTROL && get_u16(p, 12) == VIA_WIRE_HELLO)
			return VIA_HELLO_REFUSE; /* 2 */
		return VIA_HELLO_DROP;           /* 1 */
	}
	if (check_control(&h, VIA_WIRE_HELLO, why) != VIA_OK)
		return VIA_HELLO_DROP; /* 3 */
	p += VIA_WIRE_HEADER;
	len -= VIA_WIRE_HEADER;
	if (via_wire_hello_decode(p, len, hello, why) == VIA_OK)
		return VIA_HELLO_ACCEPT;
	shift_flaw(why);
	if (is_foreign_layout(p, len, VIA_WIRE_HELLO_LEN))
		return VIA_HELLO_REFUSE; /* 4 */
	return VIA_HELLO_DROP;           /* 5 */
}

static via_rc check_agreement(const via_wire_ack *a, via_flaw *why)
{
	if (a->packet_size <= VIA_WIRE_HEADER)
		return flawed(why, FLAW(OUT_OF_BOUNDS, VIA_WIRE_HEADER + 32, VIA_WIRE_HEADER + 1,
					a->packet_size, "hello_ack.agreed_packet_size"));
	if (a->selected == 0 || a->selected != highest_bit(a->selected))
		return flawed(why, FLAW(BAD_LAYOUT, VIA_WIRE_HEADER + 12,
					a->selected == 0 ? 1 : highest_bit(a->selected),
					a->selected, "hello_ack.selected_profile"));
	return VIA_OK;
}

via_rc via_wire_ack_inspect(const void *packet, uint64_t len, via_wire_ack *ack, uint16_t *status,
			    via_flaw *why)
{
	const uint8_t *p = packet;
	via_wire_header h;
	via_wire_ack a;
	via_flaw flaw;

	if (via_wire_header_decode(p, len, &h, &flaw) != VIA_OK) {
		if (flaw.kind == VIA_FLAW_BAD_VERSION)
			goto incompatible;
		return flawed(why, flaw);
	}
	if (check_control(&h, VIA_WIRE_HELLO_ACK, why) != VIA_OK)
		return VIA_PROTO;
	if (h.status != VIA_STATUS_OK) {
		/* The payload is not looked at: the bare header is refusal enough. */
		flawed(why, FLAW(NONE, 0, 0, 0, "hello_ack"));
		*status = h.status;
		return VIA_REFUSED;
	}
	p += VIA_WIRE_HEADER;
	len -= VIA_WIRE_HEADER;
	if (via_wire_ack_decode(p, len, &a, &flaw) != VIA_OK) {
		shift_flaw(&flaw);
		if (is_foreign_layout(p, len, VIA_WIRE_ACK_LEN))
			goto incompatible;
		return flawed(why, flaw);
	}
	if (check_agreement(&a, why) != VIA_OK)
		return VIA_PROTO;
	*ack = a;
	*status = VIA_STATUS_OK;
	return VIA_OK;

incompatible:
	flawed(why, flaw);
	*status = VIA_STATUS_INCOMPATIBLE;
	return VIA_REFUSED;
}
