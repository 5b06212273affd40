/* core/session/rx.c - the receive lane: checks, chunks, batches (docs/wire.md sections 2, 3, 4, 8).
 *
 * Bytes that the peer can still write (VIA_VIEW_SHARED) are copied before they are looked at. A payload
 * that came in one private record is lent to the caller where it lies. */
#include "../wire/bytes.h"
#include "session.h"
#include <string.h>

static via_rc lane_fail(via_session *s, via_rc rc)
{
	via_rc none = VIA_OK;

	if (atomic_compare_exchange_strong(&s->rx.fail, &none, rc))
		return rc;
	return none;
}

static via_rc lane_state(const via_session *s)
{
	via_rc rc = atomic_load(&s->rx.fail);

	if (rc != VIA_OK)
		return core_fail(rc, "the session has ended (%s)", via_rc_text(rc));
	if (s->phase != PHASE_UP)
		return core_fail(VIA_STATE, "the session is not up");
	return VIA_OK;
}

/* -- records --------------------------------------------------------------------------------------- */

via_rc rx_fetch(via_session *s)
{
	via_link *l = s->phase == PHASE_UP ? (via_link *)s->data : s->base;
	via_rc rc;

	if (s->rx.has_view != 0)
		return VIA_OK;
	rc = atomic_load(&s->rx.fail);
	if (rc != VIA_OK)
		return rc;
	rc = l->ops->recv(l, &s->rx.view, 1);
	if (rc == VIA_AGAIN || rc == 0)
		return VIA_AGAIN;
	if (rc < 0)
		return lane_fail(s, session_link_end(rc));
	s->rx.has_view = 1;
	return VIA_OK;
}

void rx_drop_view(via_session *s)
{
	via_link *l = s->phase == PHASE_UP ? (via_link *)s->data : s->base;

	if (s->rx.has_view != 0)
		l->ops->release(l, &s->rx.view, 1);
	s->rx.has_view = 0;
	s->rx.view_out = 0;
}

static via_rc reserve_buffer(via_session *s, uint32_t len)
{
	uint8_t *b;

	if (len <= s->rx.cap)
		return VIA_OK;
	b = env_alloc(s->env, len);
	if (b == NULL)
		return core_nomem("message buffer");
	env_free(s->env, s->rx.buf);
	s->rx.buf = b;
	s->rx.cap = len;
	return VIA_OK;
}

/* -- first packet ------------------------------------------------------------------------------------ */

static via_rc check_kind(const via_session *s, const via_wire_header *h)
{
	uint16_t kind = s->is_server != 0 ? VIA_WIRE_REQUEST : VIA_WIRE_RESPONSE;

	if (h->kind == kind)
		return VIA_OK;
	return core_fail(VIA_PROTO, "message kind: expected %u, found %u", kind, h->kind);
}

static via_rc check_header(via_session *s, const via_wire_header *h)
{
	uint32_t items =
		s->is_server != 0 ? s->agreed.max_request_batch : s->agreed.max_response_batch;
	via_rc rc = check_kind(s, h);

	if (rc != VIA_OK)
		return rc;
	if (h->payload_len > s->max_in)
		return core_fail(VIA_LIMIT, "payload_len: expected at most %u as agreed, found %u",
				 s->max_in, h->payload_len);
	if (h->item_count > items)
		return core_fail(VIA_LIMIT, "item_count: expected at most %u as agreed, found %u",
				 items, h->item_count);
	if (s->is_server == 0 && inflight_take(&s->flight, h->message_id) == 0)
		return core_fail(VIA_PROTO, "message_id %llu answers no request in flight",
				 (unsigned long long)h->message_id);
	return VIA_OK;
}

static via_rc check_length(const via_session *s, const via_wire_header *h, const via_view *v)
{
	uint32_t body = v->len - VIA_WIRE_HEADER;

	if ((v->flags & VIA_VIEW_CUT) != 0)
		return core_fail(VIA_PROTO,
				 "packet: longer than the %u bytes that this session allows",
				 v->len);
	if (body > h->payload_len)
		return core_fail(VIA_PROTO,
				 "packet: expected at most %u bytes after the header, found %u",
				 h->payload_len, body);
	if (body < h->payload_len && s->chunked == 0)
		return core_fail(VIA_PROTO, "packet: expected %u bytes after the header, found %u",
				 h->payload_len, body);
	return VIA_OK;
}

/* The payload of a whole message: checked as far as the transport does, and lent to the caller. */
static via_rc deliver(via_session *s, const void *payload, via_message *m)
{
	const via_wire_header *h = &s->rx.header;

	if ((h->flags & VIA_WIRE_FLAG_BATCH) != 0 && h->item_count > 1) {
		via_flaw why;

		if (via_wire_batch_check(payload, h->payload_len, h->item_count, &why) != VIA_OK)
			return core_fail_flaw("batch directory", &why);
	}
	*m = (via_message){.kind = h->kind,
			   .flags = h->flags,
			   .code = h->code,
			   .status = h->status,
			   .item_count = h->item_count,
			   .payload_len = h->payload_len,
			   .id = h->message_id,
			   .payload = payload};
	s->rx.lent = 1;
	return VIA_OK;
}

static via_rc first_packet(via_session *s, via_message *m)
{
	rx_lane *r = &s->rx;
	const via_view *v = &r->view;
	const uint8_t *bytes = v->data;
	uint8_t head[VIA_WIRE_HEADER];
	uint32_t body;
	via_flaw why;
	via_rc rc;

	if (v->len < sizeof head)
		return core_fail(VIA_PROTO, "packet: expected at least %u bytes, found %u",
				 VIA_WIRE_HEADER, v->len);
	memcpy(head, bytes, sizeof head);
	if (via_wire_header_decode(head, sizeof head, &r->header, &why) != VIA_OK)
		return core_fail_flaw("outer header", &why);
	rc = check_header(s, &r->header);
	if (rc == VIA_LIMIT)
		*m = (via_message){.kind = r->header.kind,
				   .flags = r->header.flags,
				   .code = r->header.code,
				   .item_count = r->header.item_count,
				   .id = r->header.message_id};
	if (rc == VIA_OK)
		rc = check_length(s, &r->header, v);
	if (rc != VIA_OK)
		return rc;
	body = v->len - VIA_WIRE_HEADER;
	if (body == r->header.payload_len &&
	    ((v->flags & VIA_VIEW_SHARED) == 0 || (s->config.flags & VIA_SESSION_BORROW) != 0)) {
		r->view_out = 1;
		return deliver(s, bytes + VIA_WIRE_HEADER, m);
	}
	rc = reserve_buffer(s, r->header.payload_len);
	if (rc != VIA_OK)
		return rc;
	copy_bytes(r->buf, bytes + VIA_WIRE_HEADER, body);
	rx_drop_view(s);
	if (body == r->header.payload_len)
		return deliver(s, r->buf, m);
	r->partial = 1;
	r->got = body;
	r->index = 1;
	r->count = 1 +
		   (r->header.payload_len - body - 1) / (s->agreed.packet_size - VIA_WIRE_HEADER) +
		   1;
	return VIA_AGAIN;
}

/* -- continuations: docs/wire.md section 4 ------------------------------------------------------------ */

static via_rc check_chunk(const via_session *s, const via_wire_chunk *c, uint32_t packet_len)
{
	const rx_lane *r = &s->rx;
	uint32_t room = s->agreed.packet_size - VIA_WIRE_HEADER;
	uint32_t left = r->header.payload_len - r->got;
	uint32_t want = left < room ? left : room;

	if (c->message_id != r->header.message_id)
		return core_fail(VIA_PROTO, "chunk message_id: expected %llu, found %llu",
				 (unsigned long long)r->header.message_id,
				 (unsigned long long)c->message_id);
	if (c->chunk_index != r->index)
		return core_fail(VIA_PROTO, "chunk_index: expected %u, found %u", r->index,
				 c->chunk_index);
	if (c->chunk_count != r->count)
		return core_fail(VIA_PROTO, "chunk_count: expected %u, found %u", r->count,
				 c->chunk_count);
	if (c->total_message_len != VIA_WIRE_HEADER + r->header.payload_len)
		return core_fail(VIA_PROTO, "total_message_len: expected %u, found %u",
				 VIA_WIRE_HEADER + r->header.payload_len, c->total_message_len);
	if (c->chunk_payload_len != want || packet_len - VIA_WIRE_HEADER != want)
		return core_fail(VIA_PROTO, "chunk_payload_len: expected %u, declared %u, found %u",
				 want, c->chunk_payload_len, packet_len - VIA_WIRE_HEADER);
	return VIA_OK;
}

static via_rc next_chunk(via_session *s, via_message *m)
{
	rx_lane *r = &s->rx;
	const uint8_t *bytes = r->view.data;
	uint8_t head[VIA_WIRE_HEADER];
	uint32_t head_len = r->view.len < sizeof head ? r->view.len : (uint32_t)sizeof head;
	via_wire_chunk c;
	via_flaw why;
	via_rc rc;

	memcpy(head, bytes, head_len);
	if (via_wire_chunk_decode(head, head_len, &c, &why) != VIA_OK)
		return core_fail_flaw("chunk header", &why);
	if ((r->view.flags & VIA_VIEW_CUT) != 0)
		return core_fail(VIA_PROTO, "chunk: longer than the agreed packet of %u bytes",
				 s->agreed.packet_size);
	rc = check_chunk(s, &c, r->view.len);
	if (rc != VIA_OK)
		return rc;
	memcpy(r->buf + r->got, bytes + VIA_WIRE_HEADER, c.chunk_payload_len);
	r->got += c.chunk_payload_len;
	r->index++;
	rx_drop_view(s);
	if (r->got < r->header.payload_len)
		return VIA_AGAIN;
	r->partial = 0;
	return deliver(s, r->buf, m);
}

/* -- messages --------------------------------------------------------------------------------------------- */

via_rc via_session_recv(via_session *s, via_message *m)
{
	via_rc rc = lane_state(s);

	if (rc != VIA_OK && (s->phase != PHASE_UP || s->rx.has_view == 0))
		return rc;
	if (s->rx.lent != 0)
		return core_fail(VIA_STATE, "the last message has not been released");
	do {
		rc = rx_fetch(s);
		if (rc != VIA_OK)
			return rc;
		rc = s->rx.partial != 0 ? next_chunk(s, m) : first_packet(s, m);
	} while (rc == VIA_AGAIN);
	if (rc != VIA_OK) {
		rx_drop_view(s);
		return lane_fail(s, rc);
	}
	return VIA_OK;
}

void via_session_release(via_session *s, const via_message *m)
{
	(void)m;
	s->rx.lent = 0;
	if (s->rx.view_out != 0)
		rx_drop_view(s);
}
