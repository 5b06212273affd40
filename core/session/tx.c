/* core/session/tx.c - the send lane: limits, headers, chunks (docs/wire.md sections 2, 4, 8). */
#include "../wire/bytes.h"
#include "session.h"
#include <string.h>

enum { JOIN_MAX = 256 }; /* bytes of a record that are joined rather than gathered */

/* Keeps the first failure of the lane and returns it from then on. */
static via_rc lane_fail(via_session *s, via_rc rc)
{
	via_rc none = VIA_OK;

	if (atomic_compare_exchange_strong(&s->tx.fail, &none, rc))
		return rc;
	return none;
}

static via_rc lane_state(const via_session *s)
{
	via_rc rc = atomic_load(&s->tx.fail);

	if (rc != VIA_OK)
		return core_fail(rc, "the session has ended (%s)", via_rc_text(rc));
	if (s->phase != PHASE_UP)
		return core_fail(VIA_STATE, "the session is not up");
	return VIA_OK;
}

/* One record of two parts. VIA_OK, VIA_AGAIN or a failure. */
static via_rc put_record(via_session *s, const void *head, uint32_t head_len, const void *body,
			 uint32_t body_len)
{
	via_link *l = s->data;
	via_iov iov[2] = {{head, head_len}, {body, body_len}};
	via_msg msg = {.iov = iov, .n_iov = body_len != 0 ? 2u : 1u};
	uint8_t joined[JOIN_MAX];
	via_rc rc;

	if (body_len != 0 &&
	    head_len + body_len <= sizeof joined) { /* one part costs a socket less than two */
		memcpy(joined, head, head_len);
		memcpy(joined + head_len, body, body_len);
		iov[0] = (via_iov){joined, head_len + body_len};
		msg.n_iov = 1;
	}
	rc = l->ops->send(l, &msg, 1);

	if (rc == 1)
		return VIA_OK;
	return rc == 0 ? VIA_AGAIN : session_link_end(rc);
}

static uint32_t chunk_room(const via_session *s)
{
	return s->agreed.packet_size - VIA_WIRE_HEADER;
}

/* Sends continuation packets until the message is out. */
static via_rc send_chunks(via_session *s)
{
	tx_lane *t = &s->tx;

	while (t->sent < t->header.payload_len) {
		uint32_t left = t->header.payload_len - t->sent;
		uint32_t n = left < chunk_room(s) ? left : chunk_room(s);
		via_wire_chunk c = {.message_id = t->header.message_id,
				    .total_message_len = VIA_WIRE_HEADER + t->header.payload_len,
				    .chunk_index = t->index,
				    .chunk_count = t->count,
				    .chunk_payload_len = n};
		uint8_t head[VIA_WIRE_HEADER];
		via_rc rc;

		via_wire_chunk_encode(&c, head);
		rc = put_record(s, head, sizeof head, t->payload + t->sent, n);
		if (rc != VIA_OK)
			return rc;
		t->sent += n;
		t->index++;
	}
	return VIA_OK;
}

/* Goes on with the message that is under way. */
static via_rc continue_message(via_session *s)
{
	via_rc rc = send_chunks(s);

	if (rc == VIA_AGAIN)
		return rc;
	s->tx.pending = 0;
	s->tx.payload = NULL;
	return rc == VIA_OK ? VIA_OK : lane_fail(s, rc);
}

static via_wire_header header_of(const via_message *m)
{
	return (via_wire_header){.kind = m->kind,
				 .flags = m->flags,
				 .code = m->code,
				 .status = m->status,
				 .payload_len = m->payload_len,
				 .item_count = m->item_count,
				 .message_id = m->id};
}

/* A whole message into the link's own memory: encoded there, so that nothing is copied twice. */
static via_rc place_message(via_session *s, const via_message *m)
{
	via_link *l = s->data;
	via_wire_header h = header_of(m);
	via_slot slot;
	via_rc rc = l->ops->reserve(l, VIA_WIRE_HEADER + m->payload_len, &slot);

	if (rc == VIA_LIMIT)
		return VIA_AGAIN;
	if (rc != VIA_OK)
		return session_link_end(rc);
	put_header(slot.data, &h);
	copy_bytes((uint8_t *)slot.data + VIA_WIRE_HEADER, m->payload, m->payload_len);
	slot.len = VIA_WIRE_HEADER + m->payload_len;
	rc = l->ops->commit(l, &slot, 1);
	if (rc == 1)
		return VIA_OK;
	slot.len = VIA_SKIP;
	(void)l->ops->commit(l, &slot, 1);
	return rc == 0 ? VIA_AGAIN : session_link_end(rc);
}

static via_rc start_message(via_session *s, const via_message *m)
{
	tx_lane *t = &s->tx;
	uint8_t head[VIA_WIRE_HEADER];
	uint32_t first = m->payload_len;
	via_rc rc;

	if (s->in_place != 0)
		return place_message(s, m);
	t->header = header_of(m);
	if (s->chunked != 0 && first > chunk_room(s))
		first = chunk_room(s);
	via_wire_header_encode(&t->header, head);
	rc = put_record(s, head, sizeof head, m->payload, first);
	if (rc != VIA_OK)
		return rc;
	if (first == m->payload_len)
		return VIA_OK;
	t->payload = m->payload;
	t->sent = first;
	t->index = 1;
	t->count = via_wire_chunk_count(m->payload_len, s->agreed.packet_size);
	t->pending = 1;
	rc = continue_message(s);
	return rc == VIA_AGAIN ? VIA_PENDING : rc;
}

/* Local limits; docs/wire.md section 8. A refusal costs nothing and leaves the session usable. */
static via_rc check_limits(const via_session *s, const via_message *m)
{
	if (m->kind != s->kind_out)
		return core_fail(VIA_INVAL, "message kind: expected %u on this side, found %u",
				 s->kind_out, m->kind);
	if (m->payload_len > s->max_out)
		return core_fail(VIA_TOOBIG,
				 "payload: expected at most %u bytes as agreed, found %u",
				 s->max_out, m->payload_len);
	if (m->item_count > s->items_out)
		return core_fail(VIA_LIMIT, "item_count: expected at most %u as agreed, found %u",
				 s->items_out, m->item_count);
	return VIA_OK;
}

/* 1: nothing speaks against sending this message now. 0: the checks that follow say what does. */
static inline int is_clear(const via_session *s, const via_message *m)
{
	return atomic_load(&s->tx.fail) == VIA_OK && s->phase == PHASE_UP && s->tx.pending == 0 &&
	       m->kind == s->kind_out && m->payload_len <= s->max_out &&
	       m->item_count <= s->items_out;
}

static via_rc check_send(via_session *s, const via_message *m)
{
	via_rc rc = lane_state(s);

	if (rc == VIA_OK && s->tx.pending != 0)
		rc = continue_message(s); /* what came first goes first */
	if (rc == VIA_OK)
		rc = check_limits(s, m);
	if (rc == VIA_OK && m->payload_len != 0 && m->payload == NULL)
		rc = core_fail(VIA_INVAL, "payload of %u bytes at NULL", m->payload_len);
	if (rc == VIA_OK && s->tx.has_slot != 0)
		rc = core_fail(VIA_STATE, "room of via_session_reserve() is still out");
	return rc;
}

/* The id of a request is under way from here on. */
static inline via_rc depart(via_session *s, uint64_t id)
{
	if (s->is_server != 0 || inflight_add_quick(&s->flight, id))
		return VIA_OK;
	return inflight_add(s->env, &s->flight, id);
}

via_rc via_session_send(via_session *s, const via_message *m)
{
	via_rc rc;

	if (!is_clear(s, m) || m->payload == NULL || s->tx.has_slot != 0) {
		rc = check_send(s, m);
		if (rc != VIA_OK)
			return rc;
	}
	rc = depart(s, m->id);
	if (rc != VIA_OK)
		return rc;
	rc = start_message(s, m);
	if (rc == VIA_OK || rc == VIA_PENDING)
		return rc;
	if (s->is_server == 0)
		inflight_take(&s->flight, m->id); /* a send that failed leaves the id free again */
	if (rc == VIA_AGAIN || rc == VIA_TOOBIG || rc == VIA_NOMEM)
		return rc; /* nothing left this side */
	return lane_fail(s, rc);
}

/* -- several at once ------------------------------------------------------------------------------------ */

via_rc tx_send_short(via_session *s, const via_message *m, uint32_t n)
{
	struct {
		uint8_t bytes[VIA_WIRE_HEADER + SHORT_PAYLOAD];
	} record[SHORT_MANY];
	via_iov iov[SHORT_MANY];
	via_msg msg[SHORT_MANY];
	via_link *l = s->data;
	uint32_t i;
	via_rc rc;

	for (i = 0; i < n; i++) {
		via_wire_header h = header_of(&m[i]);

		put_header(record[i].bytes, &h);
		copy_bytes(record[i].bytes + VIA_WIRE_HEADER, m[i].payload, m[i].payload_len);
		iov[i] = (via_iov){record[i].bytes, VIA_WIRE_HEADER + m[i].payload_len};
		msg[i] = (via_msg){.iov = &iov[i], .n_iov = 1};
	}
	rc = l->ops->send(l, msg, n);
	if (rc > 0)
		return rc;
	if (rc == 0 || rc == VIA_AGAIN)
		return VIA_AGAIN;
	return lane_fail(s, session_link_end(rc));
}

/* Sent as one record, and nothing speaks against sending it now. */
static int is_short(const via_session *s, const via_message *m)
{
	return is_clear(s, m) && m->payload_len <= s->short_out && m->payload != NULL &&
	       s->tx.has_slot == 0;
}

via_rc via_session_send_many(via_session *s, const via_message *m, uint32_t n)
{
	uint32_t i, ready;
	via_rc sent;

	for (ready = 0; ready < n && ready < s->tx_at_once && is_short(s, &m[ready]); ready++)
		if (depart(s, m[ready].id) != VIA_OK)
			break;
	if (ready < 2) {
		if (ready == 1 && s->is_server == 0)
			inflight_take(&s->flight, m->id);
		sent = n != 0 ? via_session_send(s, m) : VIA_OK;
		return sent == VIA_OK ? (via_rc)(n != 0) : sent;
	}
	sent = tx_send_short(s, m, ready);
	for (i = sent > 0 ? (uint32_t)sent : 0; i < ready && s->is_server == 0; i++)
		inflight_take(&s->flight, m[i].id); /* they did not leave */
	return sent;
}

/* -- the rest of a message ------------------------------------------------------------------------------ */

via_rc via_session_flush(via_session *s)
{
	via_rc rc = lane_state(s);

	if (rc != VIA_OK)
		return rc;
	return s->tx.pending != 0 ? continue_message(s) : VIA_OK;
}

/* -- encoding in place -------------------------------------------------------------------------------- */

via_rc via_session_reserve(via_session *s, uint32_t cap, void **payload)
{
	via_link *l = s->data;
	via_rc rc = VIA_OK;

	if (s->phase != PHASE_UP || atomic_load(&s->tx.fail) != VIA_OK)
		rc = lane_state(s);
	if (rc != VIA_OK)
		return rc;
	if (s->tx.has_slot != 0)
		return core_fail(VIA_STATE, "room of the last via_session_reserve() is still out");
	if (cap > s->max_out)
		return core_fail(VIA_TOOBIG,
				 "payload: expected at most %u bytes as agreed, found %u",
				 s->max_out, cap);
	if (s->in_place == 0)
		return VIA_NOTSUP;
	rc = l->ops->reserve(l, VIA_WIRE_HEADER + cap, &s->tx.slot);
	if (rc == VIA_AGAIN || rc == VIA_LIMIT)
		return VIA_AGAIN;
	if (rc != VIA_OK)
		return lane_fail(s, session_link_end(rc));
	s->tx.has_slot = 1;
	*payload = (uint8_t *)s->tx.slot.data + VIA_WIRE_HEADER;
	return VIA_OK;
}

void via_session_cancel(via_session *s)
{
	via_link *l = s->data;

	if (s->tx.has_slot == 0)
		return;
	s->tx.has_slot = 0;
	s->tx.slot.len = VIA_SKIP;
	(void)l->ops->commit(l, &s->tx.slot, 1);
}

static via_rc commit_slot(via_session *s, const via_message *m)
{
	via_link *l = s->data;
	via_wire_header h = header_of(m);
	via_rc rc;

	put_header(s->tx.slot.data, &h);
	s->tx.slot.len = VIA_WIRE_HEADER + m->payload_len;
	rc = l->ops->commit(l, &s->tx.slot, 1);
	if (rc == 0 || rc == VIA_AGAIN)
		return VIA_AGAIN;
	s->tx.has_slot = 0;
	return rc == 1 ? VIA_OK : lane_fail(s, session_link_end(rc));
}

/* The room is out. */
static via_rc check_commit(via_session *s, const via_message *m)
{
	via_rc rc = lane_state(s);

	if (rc == VIA_OK)
		rc = check_limits(s, m);
	if (rc == VIA_OK && m->payload_len > s->tx.slot.cap - VIA_WIRE_HEADER)
		rc = core_fail(VIA_TOOBIG, "payload: the room has %u bytes, found %u",
			       s->tx.slot.cap - VIA_WIRE_HEADER, m->payload_len);
	return rc;
}

via_rc via_session_commit(via_session *s, const via_message *m)
{
	via_rc rc = VIA_OK;

	if (s->tx.has_slot == 0) {
		rc = lane_state(s);
		return rc != VIA_OK ? rc
				    : core_fail(VIA_STATE, "no room is out: "
							   "via_session_reserve() comes first");
	}
	if (!is_clear(s, m) || m->payload_len > s->tx.slot.cap - VIA_WIRE_HEADER)
		rc = check_commit(s, m);
	if (rc == VIA_OK)
		rc = depart(s, m->id);
	if (rc != VIA_OK) {
		via_session_cancel(s);
		return rc;
	}
	rc = commit_slot(s, m);
	if (rc != VIA_OK && s->is_server == 0)
		inflight_take(&s->flight, m->id);
	return rc;
}

/* -- several in a row ---------------------------------------------------------------------------------- */

void via_session_cork(via_session *s)
{
	via_link *l = s->data;

	if (s->phase == PHASE_UP && (l->caps & VIA_CAP_MORE) != 0)
		l->tx_more = 1;
}

void via_session_uncork(via_session *s)
{
	via_link *l = s->data;

	if (l->tx_more == 0)
		return;
	l->tx_more = 0;
	if (s->tx.has_slot == 0)
		(void)l->ops->send(l, NULL, 0); /* an end is seen by the next verb */
}

void tx_rebase(via_session *s, const void *payload)
{
	s->tx.payload = payload;
}
