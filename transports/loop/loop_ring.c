/* transports/loop/loop_ring.c - records in a byte ring, written and read in place.
 *
 * Threads: one writer and one reader at a time. Syscalls: none. Peer: this process; a record
 * belongs to its reader from publication to release. Wire layout: none; in memory, 16-byte aligned:
 * rec, handles, data.
 *
 * A record never wraps: what is too short at the end of the ring becomes a filler. The ring is at
 * least twice as large as the longest record, so that one always fits once everything has been
 * released.
 */
#include "loop.h"
#include <string.h>

enum { REC_FILLER = 1, REC_SKIPPED = 2, REC_OUT = 4, REC_RELEASED = 8 };

struct rec {
	uint32_t span; /* bytes to the next one */
	uint32_t len;
	uint32_t flags;
	uint32_t n_handles;
};

_Static_assert(sizeof(struct rec) == LOOP_ALIGN, "keeps what follows aligned");
_Static_assert(sizeof(via_handle) % LOOP_ALIGN == 0, "keeps what follows aligned");

static uint32_t rounded(uint32_t n)
{
	return (n + (LOOP_ALIGN - 1)) & ~(LOOP_ALIGN - 1);
}

static uint32_t span_of(uint32_t len, uint32_t n_handles)
{
	return (uint32_t)sizeof(struct rec) + n_handles * (uint32_t)sizeof(via_handle) +
	       rounded(len);
}

static struct rec *rec_at(struct loop_ring *r, uint64_t pos)
{
	return (struct rec *)(void *)(r->data + (pos & (r->size - 1)));
}

static via_handle *handles_of(struct rec *c)
{
	return (via_handle *)(void *)(c + 1);
}

static uint8_t *data_of(struct rec *c, uint32_t room_for_handles)
{
	return (uint8_t *)(c + 1) + (size_t)room_for_handles * sizeof(via_handle);
}

uint32_t loop_ring_size(uint32_t max_record)
{
	uint32_t need = 2 * span_of(max_record, LOOP_MAX_HANDLES);
	uint32_t size = 4096;

	while (size < need)
		size *= 2;
	return size;
}

void loop_ring_init(struct loop_ring *r, uint8_t *data, uint32_t max_record)
{
	r->data = data;
	r->size = loop_ring_size(max_record);
	r->max_record = max_record;
	r->expected = VIA_EXPECT_INITIAL;
	r->tail_full = UINT64_MAX;
}

static void drop_handles(struct rec *c)
{
	uint32_t i;

	for (i = 0; i < c->n_handles; i++)
		loop_handle_close(&handles_of(c)[i]);
	c->n_handles = 0;
}

void loop_ring_drain(struct loop_ring *r)
{
	uint64_t pos = atomic_load(&r->tail);
	uint64_t head = atomic_load(&r->head);

	while (pos != head) {
		struct rec *c = rec_at(r, pos);

		pos += c->span;
		drop_handles(c);
	}
}

/* -- writer ------------------------------------------------------------------------------------ */

/* Room for one record behind everything reserved; *pos is where. */
static via_rc take_room(struct loop_ring *r, uint32_t span, uint64_t *pos)
{
	uint32_t left = r->size - (uint32_t)(r->reserved & (r->size - 1));
	uint32_t filler = span > left ? left : 0;
	uint64_t end = r->reserved + filler + span;

	if (end - r->tail_known > r->size) {
		r->tail_known = atomic_load(&r->tail);
		if (end - r->tail_known > r->size) {
			r->tail_full = r->tail_known;
			return VIA_AGAIN;
		}
	}
	if (filler != 0)
		*rec_at(r, r->reserved) = (struct rec){.span = filler, .flags = REC_FILLER};
	*pos = r->reserved + filler;
	r->reserved = end;
	r->tail_full = UINT64_MAX;
	return VIA_OK;
}

via_rc loop_ring_reserve(struct loop_ring *r, uint32_t len, via_slot *out)
{
	uint64_t pos;
	struct rec *c;
	via_rc rc;

	if (r->n_slots == LOOP_MAX_SLOTS)
		return VIA_LIMIT;
	rc = take_room(r, span_of(len, 0), &pos);
	if (rc != VIA_OK)
		return rc;
	c = rec_at(r, pos);
	*c = (struct rec){.span = span_of(len, 0)};
	r->slot[r->n_slots++] = pos;
	*out = (via_slot){.data = data_of(c, 0), .cap = rounded(len), .len = len, .cookie = pos};
	if (out->cap > r->max_record)
		out->cap = r->max_record;
	return VIA_OK;
}

via_rc loop_ring_commit(struct loop_ring *r, const via_slot *slots, uint32_t n)
{
	uint64_t head = 0;
	uint32_t i;

	if (n > r->n_slots)
		return VIA_INVAL;
	for (i = 0; i < n; i++) {
		const struct rec *c = rec_at(r, r->slot[i]);
		uint32_t len = slots[i].len;

		if (slots[i].cookie != r->slot[i])
			return VIA_INVAL;
		if (len != VIA_SKIP &&
		    (len == 0 || len > r->max_record || span_of(len, 0) > c->span))
			return VIA_INVAL;
	}
	for (i = 0; i < n; i++) {
		struct rec *c = rec_at(r, r->slot[i]);

		if (slots[i].len == VIA_SKIP)
			c->flags = REC_SKIPPED;
		else
			c->len = slots[i].len;
		head = r->slot[i] + c->span;
	}
	r->n_slots -= n;
	memmove(r->slot, r->slot + n, r->n_slots * sizeof r->slot[0]);
	if (n != 0)
		atomic_store(&r->head, head);
	return (via_rc)n;
}

/* Length and handles of a message, checked. */
static via_rc measure(const struct loop_ring *r, const via_msg *m, uint32_t *len)
{
	uint64_t sum = 0;
	uint32_t i;

	for (i = 0; i < m->n_iov; i++) {
		if (m->iov[i].len > r->max_record - sum)
			return VIA_TOOBIG;
		sum += m->iov[i].len;
	}
	if (sum == 0)
		return VIA_INVAL;
	if (m->n_handles > LOOP_MAX_HANDLES)
		return VIA_LIMIT;
	for (i = 0; i < m->n_handles; i++)
		if (!loop_handle_ok(&m->handles[i]))
			return VIA_INVAL;
	*len = (uint32_t)sum;
	return VIA_OK;
}

via_rc loop_ring_put(struct loop_ring *r, const via_msg *m)
{
	uint32_t len, span, i;
	uint64_t pos;
	struct rec *c;
	uint8_t *to;
	via_rc rc = measure(r, m, &len);

	if (rc != VIA_OK)
		return rc;
	span = span_of(len, m->n_handles);
	rc = take_room(r, span, &pos);
	if (rc != VIA_OK)
		return rc;
	c = rec_at(r, pos);
	*c = (struct rec){.span = span, .len = len, .n_handles = m->n_handles};
	if (m->n_handles != 0)
		memcpy(handles_of(c), m->handles, m->n_handles * sizeof *m->handles);
	to = data_of(c, m->n_handles);
	for (i = 0; i < m->n_iov; i++) {
		if (m->iov[i].len != 0)
			memcpy(to, m->iov[i].base, (size_t)m->iov[i].len);
		to += m->iov[i].len;
	}
	atomic_store(&r->head, r->reserved);
	return VIA_OK;
}

int loop_ring_has_room(struct loop_ring *r)
{
	return r->tail_full == UINT64_MAX || atomic_load(&r->tail) != r->tail_full;
}

/* -- reader ------------------------------------------------------------------------------------ */

/* Gives back what lies at the tail and is done with. */
static void reclaim(struct loop_ring *r)
{
	uint64_t from = atomic_load_explicit(&r->tail, memory_order_relaxed);
	uint64_t pos = from;

	while (pos != r->next) {
		const struct rec *c = rec_at(r, pos);

		if ((c->flags & (REC_FILLER | REC_SKIPPED | REC_RELEASED)) == 0)
			break;
		pos += c->span;
	}
	if (pos != from)
		atomic_store(&r->tail, pos);
}

uint32_t loop_ring_get(struct loop_ring *r, via_view *out, uint32_t max)
{
	uint64_t head = atomic_load(&r->head);
	uint32_t passed = 0;
	uint32_t n = 0;

	while (n < max && r->n_views < LOOP_MAX_VIEWS && r->next != head) {
		struct rec *c = rec_at(r, r->next);
		int cut = c->len > r->expected;

		if ((c->flags & (REC_FILLER | REC_SKIPPED)) != 0) {
			r->next += c->span;
			passed = 1;
			continue;
		}
		c->flags = REC_OUT;
		out[n++] = (via_view){.data = data_of(c, c->n_handles),
				      .len = cut ? r->expected : c->len,
				      .flags = (cut ? VIA_VIEW_CUT : 0u) |
					       (c->n_handles != 0 ? VIA_VIEW_HANDLES : 0u),
				      .cookie = r->next};
		r->n_views++;
		r->next += c->span;
	}
	if (passed != 0)
		reclaim(r);
	return n;
}

/* The record behind a view that is out, or NULL. */
static struct rec *rec_of(struct loop_ring *r, const via_view *v)
{
	uint64_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
	struct rec *c;

	if (v->cookie - tail >= r->next - tail || v->cookie % LOOP_ALIGN != 0)
		return NULL;
	c = rec_at(r, v->cookie);
	return c->flags == REC_OUT ? c : NULL;
}

void loop_ring_release(struct loop_ring *r, const via_view *views, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n; i++) {
		struct rec *c = rec_of(r, &views[i]);

		if (c == NULL)
			continue;
		drop_handles(c);
		c->flags = REC_RELEASED;
		r->n_views--;
	}
	reclaim(r);
}

via_rc loop_ring_take(struct loop_ring *r, const via_view *v, via_handle *out, uint32_t max)
{
	struct rec *c = rec_of(r, v);
	uint32_t n;

	if (c == NULL)
		return VIA_INVAL;
	n = c->n_handles;
	if (n > max)
		return VIA_LIMIT; /* they stay until release() */
	memcpy(out, handles_of(c), n * sizeof *out);
	c->n_handles = 0;
	return (via_rc)n;
}

int loop_ring_has_record(struct loop_ring *r)
{
	return atomic_load(&r->head) != r->next;
}
