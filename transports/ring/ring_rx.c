/* transports/ring/ring_rx.c - the receive lane: records where they lie, given back in order.
 *
 * Threads: whoever holds the lane. Syscalls: none here; a bell when the peer waits for room
 * (ring_wait.c). Peer: may change every byte at any time. A commit word is read once and checked
 * against what can have been written; nothing else is read. Views are VIA_VIEW_SHARED. Wire layout:
 * docs/wire.md section 20.
 */
#include "ring.h"
#include <inttypes.h>

static inline struct ring_out *ring_out_view(struct ring_rx *rx, uint32_t i)
{
	return &rx->out[(rx->oldest + i) % RING_MAX_VIEWS];
}

/* -- giving back ------------------------------------------------------------------------------- */

int ring_publish_head(struct ring_rx *rx)
{
	if (rx->published == rx->head)
		return 0;
	rx->published = rx->head;
	atomic_store_explicit(&rx->control->head, rx->head, memory_order_release);
	return 1;
}

/* Fence F1 of docs/wire.md section 20, as in announce() of the other lane. An end is seen by the next verb. */
static void announce_room(struct ring_link *l)
{
	_Atomic uint32_t *flag = &l->rx.control->tx_sleep;

	if (!ring_publish_head(&l->rx))
		return;
	ring_fence();
	if (atomic_load_explicit(flag, memory_order_relaxed) != RING_AWAKE)
		(void)ring_wake(l, flag);
}

/* A view that comes back before older ones leaves its bytes to the one before it. */
static void forget_later(struct ring_rx *rx, uint32_t number)
{
	uint32_t i = 1;

	while (i < rx->n_out && ring_out_view(rx, i)->number != number)
		i++;
	if (i >= rx->n_out)
		return; /* not out */
	ring_out_view(rx, i - 1)->bytes += ring_out_view(rx, i)->bytes;
	for (rx->n_out--; i < rx->n_out; i++)
		*ring_out_view(rx, i) = *ring_out_view(rx, i + 1);
}

/* Views come back in any order; room is given back from the oldest on. */
void VIA_CALL ring_release(via_link *base, const via_view *views, uint32_t n)
{
	struct ring_link *l = ring_link_of(base);
	struct ring_rx *rx = &l->rx;
	uint32_t i;

	for (i = 0; i < n && rx->n_out != 0; i++) {
		const struct ring_out *oldest = ring_out_view(rx, 0);

		if (oldest->number != (uint32_t)views[i].cookie) {
			forget_later(rx, (uint32_t)views[i].cookie);
			continue;
		}
		rx->head += oldest->bytes;
		rx->held -= oldest->bytes;
		rx->oldest++;
		rx->n_out--;
	}
	if (rx->head - rx->published >= rx->capacity / 8)
		announce_room(l);
}

/* -- taking ------------------------------------------------------------------------------------ */

static via_rc bad_word(struct ring_link *l, uint64_t word)
{
	struct ring_rx *rx = &l->rx;

	if (word > rx->max_record)
		return ring_breach(l, "length of a record: expected 1 to %u, found %" PRIu64,
				   rx->max_record, word);
	return ring_breach(l,
			   "a record of %" PRIu64 " bytes where at most %" PRIu64
			   " can have been written",
			   word, rx->capacity - rx->held - RING_LINE - RING_WORD);
}

/* word: commit word of the record at rx->at, not 0. */
static inline via_rc take(struct ring_link *l, uint64_t word, via_view *out)
{
	struct ring_rx *rx = &l->rx;
	uint32_t number = rx->taken++;
	uint64_t stride;
	uint32_t len;

	if (word > rx->max_record)
		return bad_word(l, word);
	len = (uint32_t)word;
	stride = ring_stride(len);
	if (rx->held + stride + RING_LINE > rx->capacity)
		return bad_word(l, word);
	*out = (via_view){.data = rx->data + rx->at + RING_WORD,
			  .len = len,
			  .flags = VIA_VIEW_SHARED,
			  .cookie = number};
	if (len > rx->expect) {
		out->len = rx->expect;
		out->flags |= VIA_VIEW_CUT;
	}
	*ring_out_view(rx, rx->n_out++) = (struct ring_out){number, (uint32_t)stride};
	rx->held += stride;
	rx->at += stride;
	if (rx->at >= rx->capacity)
		rx->at -= rx->capacity;
	__builtin_prefetch(rx->data + rx->at); /* the next record is often there already */
	l->base.rx_word = (const volatile uint64_t *)(const volatile void *)(rx->data + rx->at);
	return 1;
}

/* Nothing at the read position. VIA_OK: there is now; VIA_AGAIN, or how it ended. */
static via_rc nothing_there(struct ring_link *l)
{
	struct ring_rx *rx = &l->rx;
	int closed;

	if (rx->drained)
		return ring_ended(l);
	closed = ring_peer_closed(l);
	if (!closed && ring_ended(l) == VIA_OK)
		return VIA_AGAIN;
	if (ring_has_record(rx)) /* the last ones were written before the end was told */
		return VIA_OK;
	rx->drained = 1;
	return ring_finish(l);
}

via_rc VIA_CALL ring_recv(via_link *base, via_view *out, uint32_t max)
{
	struct ring_link *l = ring_link_of(base);
	struct ring_rx *rx = &l->rx;
	via_rc rc = atomic_load_explicit(&l->aborted, memory_order_acquire);
	uint32_t n = 0;

	if (rc != VIA_OK)
		return rc;
	if (max == 0)
		return VIA_INVAL;
	while (n < max) {
		uint64_t word;

		if (rx->n_out == RING_MAX_VIEWS) {
			rc = VIA_LIMIT;
			break;
		}
		word = atomic_load_explicit(ring_word(rx->data, rx->at), memory_order_acquire);
		if (word != 0 && !rx->drained) {
			rc = take(l, word, &out[n]);
			if (rc < 0)
				break;
			n++;
			continue;
		}
		rc = n != 0 ? VIA_AGAIN : nothing_there(l);
		if (rc != VIA_OK)
			break;
	}
	return n != 0 ? (via_rc)n : rc;
}

via_rc VIA_CALL ring_expect(via_link *base, uint32_t max_record)
{
	struct ring_rx *rx = &ring_link_of(base)->rx;

	if (rx->n_out != 0)
		return VIA_STATE;
	if (max_record == 0)
		return VIA_INVAL;
	rx->expect = max_record;
	return VIA_OK;
}
