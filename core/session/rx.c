/* core/session/rx.c - the receive lane: checks, chunks, batches (docs/wire.md sections 2, 3, 4, 8).
 *
 * Bytes that the peer can still write (VIA_VIEW_SHARED) are copied before they are looked at. A payload
 * that came in one private record is lent to the caller where it lies. */
#include "../wire/bytes.h"
#include "session.h"
#include <string.h>

enum { KEEP_MOST = 256 }; /* bytes of a record that is given back later, with others */

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

static via_link *lane_link(const via_session *s)
{
	return s->phase == PHASE_UP ? s->data : s->base;
}

/* Where a look costs no system call a record that came alone is enough to ask for no more than one: a look at the line
 * behind it would take that away from a peer that is about to write there. Elsewhere it takes a while, for a call that
 * brings one of several costs little more than one that can bring no more. */
static int come_alone(const via_session *s)
{
	const rx_lane *r = &s->rx;

	return s->has_word != 0 ? r->in_row < 2 : r->n_alone >= RX_ALONE;
}

static void end_row(via_session *s)
{
	rx_lane *r = &s->rx;

	if (r->in_row != 0)
		r->n_alone = r->in_row == 1 ? r->n_alone + 1 : 0;
	if (come_alone(s))
		r->at_once = 1;
	r->in_row = 0;
}

/* A link with a word has been looked at in between, and that has told. */
void rx_end_row(via_session *s)
{
	if (s->has_word == 0)
		end_row(s);
}

/* Where records come several at a time they are fetched together. */
via_rc rx_fetch(via_session *s)
{
	rx_lane *r = &s->rx;
	via_link *l;
	via_rc rc;

	if (rx_has_view(s))
		return VIA_OK;
	rc = atomic_load(&r->fail);
	if (rc != VIA_OK)
		return rc;
	l = lane_link(s);
	rc = l->ops->recv(l, r->views, r->at_once);
	if (rc == VIA_AGAIN || rc == 0) {
		end_row(s);
		return VIA_AGAIN;
	}
	if (rc < 0)
		return lane_fail(s, session_link_end(rc));
	r->oldest = r->next = 0;
	r->n_views = (uint32_t)rc;
	r->in_row += r->n_views;
	if (r->in_row > 1 && s->phase == PHASE_UP)
		r->at_once = s->rx_at_once;
	return VIA_OK;
}

static void give_back(via_session *s)
{
	rx_lane *r = &s->rx;
	via_link *l = lane_link(s);

	l->ops->release(l, &r->views[r->oldest], r->next - r->oldest);
	r->oldest = r->next;
}

/* Short records go back with the last of those that were fetched with them. */
void rx_drop_view(via_session *s)
{
	rx_lane *r = &s->rx;

	r->view_out = 0;
	if (!rx_has_view(s))
		return;
	r->next++;
	if (!rx_has_view(s) || r->views[r->next - 1].len > KEEP_MOST)
		give_back(s);
}

void rx_drop_all(via_session *s)
{
	rx_lane *r = &s->rx;

	r->view_out = 0;
	r->next = r->n_views;
	if (r->oldest != r->next)
		give_back(s);
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

static via_rc check_header(via_session *s, const via_wire_header *h)
{
	if (h->kind != s->kind_in)
		return core_fail(VIA_PROTO, "message kind: expected %u, found %u", s->kind_in,
				 h->kind);
	if (h->payload_len > s->max_in)
		return core_fail(VIA_LIMIT, "payload_len: expected at most %u as agreed, found %u",
				 s->max_in, h->payload_len);
	if (h->item_count > s->items_in)
		return core_fail(VIA_LIMIT, "item_count: expected at most %u as agreed, found %u",
				 s->items_in, h->item_count);
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
static inline via_rc deliver(via_session *s, const via_wire_header *h, const void *payload,
			     via_message *m)
{
	if ((h->flags & VIA_WIRE_FLAG_BATCH) != 0 && h->item_count > 1) {
		via_flaw why;

		if (via_wire_batch_check(payload, h->payload_len, h->item_count, &why) != VIA_OK)
			return core_fail_flaw("batch directory", &why);
	}
	m->kind = h->kind;
	m->flags = h->flags;
	m->code = h->code;
	m->status = h->status;
	m->item_count = h->item_count;
	m->payload_len = h->payload_len;
	m->id = h->message_id;
	m->payload = payload;
	s->rx.lent = 1;
	return VIA_OK;
}

/* What of the payload came with the header: lent where it lies, or copied if the peer can still change it or more
 * is to come. */
static inline via_rc place_payload(via_session *s, const via_wire_header *h, const via_view *v,
				   const uint8_t **payload)
{
	rx_lane *r = &s->rx;
	uint32_t body = v->len - VIA_WIRE_HEADER;
	via_rc rc;

	*payload = (const uint8_t *)v->data + VIA_WIRE_HEADER;
	if (body == h->payload_len &&
	    ((v->flags & VIA_VIEW_SHARED) == 0 || (s->config.flags & VIA_SESSION_BORROW) != 0)) {
		r->view_out = 1;
		return VIA_OK;
	}
	rc = reserve_buffer(s, h->payload_len);
	if (rc != VIA_OK)
		return rc;
	copy_bytes(r->buf, *payload, body);
	*payload = r->buf;
	rx_drop_view(s);
	return VIA_OK;
}

static inline via_wire_header header_in(const uint8_t *head)
{
	return (via_wire_header){.kind = get_u16(head, 8),
				 .flags = get_u16(head, 10),
				 .code = get_u16(head, 12),
				 .status = get_u16(head, 14),
				 .payload_len = get_u32(head, 16),
				 .item_count = get_u32(head, 20),
				 .message_id = get_u64(head, 24)};
}

static inline void fill_message(via_message *m, const uint8_t *head, const void *payload)
{
	m->kind = get_u16(head, 8);
	m->flags = get_u16(head, 10);
	m->code = get_u16(head, 12);
	m->status = get_u16(head, 14);
	m->item_count = get_u32(head, 20);
	m->payload_len = get_u32(head, 16);
	m->id = get_u64(head, 24);
	m->payload = payload;
}

/* A message that came in one record with nothing wrong in its header, as nearly all do: found out in a few
 * comparisons. For any other first_packet() knows what it is. head: a copy of the header. */
static inline int is_whole(const via_session *s, const uint8_t *head, const via_view *v)
{
	uint32_t len = v->len - VIA_WIRE_HEADER;

	return is_header_of(head, s->kind_in) && get_u32(head, 16) == len && len <= s->max_in &&
	       get_u32(head, 20) <= s->items_in && (v->flags & VIA_VIEW_CUT) == 0;
}

/* The message that begins in views[next]; VIA_AGAIN: more of it is to come. */
static via_rc first_packet(via_session *s, const uint8_t *head, via_message *m)
{
	rx_lane *r = &s->rx;
	const via_view *v = &r->views[r->next];
	uint32_t body = v->len - VIA_WIRE_HEADER;
	const uint8_t *payload;
	via_flaw why;
	via_rc rc;

	if (via_wire_header_decode(head, VIA_WIRE_HEADER, &r->header, &why) != VIA_OK)
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
	if (rc == VIA_OK)
		rc = place_payload(s, &r->header, v, &payload);
	if (rc != VIA_OK)
		return rc;
	if (body == r->header.payload_len)
		return deliver(s, &r->header, payload, m);
	r->partial = 1;
	r->got = body;
	r->index = 1;
	r->count = 1 +
		   (r->header.payload_len - body - 1) / (s->agreed.packet_size - VIA_WIRE_HEADER) +
		   1;
	return VIA_AGAIN;
}

static via_rc take_packet(via_session *s, via_message *m)
{
	const via_view *v = &s->rx.views[s->rx.next];
	uint8_t head[VIA_WIRE_HEADER];
	const uint8_t *payload;
	via_wire_header h;
	via_rc rc;

	if (v->len < sizeof head)
		return core_fail(VIA_PROTO, "packet: expected at least %u bytes, found %u",
				 VIA_WIRE_HEADER, v->len);
	memcpy(head, v->data, sizeof head); /* once: what is checked is what is used */
	h = header_in(head);
	if (!is_whole(s, head, v) ||
	    (s->is_server == 0 && !inflight_take_quick(&s->flight, h.message_id)))
		return first_packet(s, head, m);
	rc = place_payload(s, &h, v, &payload);
	return rc == VIA_OK ? deliver(s, &h, payload, m) : rc;
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
	const via_view *v = &r->views[r->next];
	const uint8_t *bytes = v->data;
	uint8_t head[VIA_WIRE_HEADER];
	uint32_t head_len = v->len < sizeof head ? v->len : (uint32_t)sizeof head;
	via_wire_chunk c;
	via_flaw why;
	via_rc rc;

	memcpy(head, bytes, head_len);
	if (via_wire_chunk_decode(head, head_len, &c, &why) != VIA_OK)
		return core_fail_flaw("chunk header", &why);
	if ((v->flags & VIA_VIEW_CUT) != 0)
		return core_fail(VIA_PROTO, "chunk: longer than the agreed packet of %u bytes",
				 s->agreed.packet_size);
	rc = check_chunk(s, &c, v->len);
	if (rc != VIA_OK)
		return rc;
	memcpy(r->buf + r->got, bytes + VIA_WIRE_HEADER, c.chunk_payload_len);
	r->got += c.chunk_payload_len;
	r->index++;
	rx_drop_view(s);
	if (r->got < r->header.payload_len)
		return VIA_AGAIN;
	r->partial = 0;
	return deliver(s, &r->header, r->buf, m);
}

/* -- several at once ------------------------------------------------------------------------------------- */

int rx_peek_short(const via_session *s, uint32_t i, via_message *m, uint8_t room[SHORT_PAYLOAD])
{
	const rx_lane *r = &s->rx;
	const via_view *v = &r->views[r->next + i];
	uint8_t head[VIA_WIRE_HEADER];

	if (r->next + i >= r->n_views || v->len < sizeof head ||
	    v->len - sizeof head > SHORT_PAYLOAD || r->partial != 0 || r->lent != 0)
		return 0;
	memcpy(head, v->data, sizeof head); /* once: what is checked is what is used */
	if (!is_whole(s, head, v) || (get_u16(head, 10) & VIA_WIRE_FLAG_BATCH) != 0)
		return 0;
	fill_message(m, head, room);
	copy_bytes(room, (const uint8_t *)v->data + VIA_WIRE_HEADER, m->payload_len);
	return 1;
}

void rx_take_short(via_session *s, uint32_t n)
{
	rx_lane *r = &s->rx;

	r->next += n;
	if (!rx_has_view(s) && n != 0)
		give_back(s);
}

/* -- messages --------------------------------------------------------------------------------------------- */

/* Looks at records until a message is complete. */
static via_rc take_message(via_session *s, via_message *m)
{
	via_rc rc;

	do {
		rc = rx_fetch(s);
		if (rc != VIA_OK)
			return rc;
		rc = s->rx.partial != 0 ? next_chunk(s, m) : take_packet(s, m);
	} while (rc == VIA_AGAIN);
	if (rc != VIA_OK) {
		rx_drop_all(s);
		return lane_fail(s, rc);
	}
	return VIA_OK;
}

via_rc via_session_recv(via_session *s, via_message *m)
{
	via_rc rc;

	if (s->phase != PHASE_UP || !rx_has_view(s)) {
		rc = lane_state(s);
		if (rc != VIA_OK)
			return rc;
	}
	if (s->rx.lent != 0)
		return core_fail(VIA_STATE, "the last message has not been released");
	return take_message(s, m);
}

void via_session_release(via_session *s, const via_message *m)
{
	(void)m;
	s->rx.lent = 0;
	if (s->rx.view_out != 0)
		rx_drop_view(s);
}
