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
	uint64_t bytes = 0;
	uint32_t i;

	for (i = 0; i < n && rx->n_out != 0; i++) {
		const struct ring_out *oldest = ring_out_view(rx, 0);

		if (oldest->number != (uint32_t)views[i].cookie) {
			forget_later(rx, (uint32_t)views[i].cookie);
			continue;
		}
		bytes += oldest->bytes;
		rx->oldest++;
		rx->n_out--;
	}
	rx->head += bytes;
	rx->held -= bytes;
	if (rx->head - rx->published >= rx->capacity / 8)
		announce_room(l);
}

/* Whoever asks for several records gets their lines under way at once: each says where the next begins, and one
 * after another they would take as long as so many round trips. */
enum { PREFETCH_MOST = 8 };

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

/* Takes up to `most` records; views for them are free. *word: the commit word at which it stopped, 0 where none is. */
static inline uint32_t take(struct ring_rx *rx, via_view *out, uint32_t most, uint64_t *word)
{
	/* in registers: the compiler must think that views and records may lie anywhere */
	const uint64_t capacity = rx->capacity, max_record = rx->max_record;
	const uint32_t place = rx->oldest + rx->n_out, number = rx->taken, expect = rx->expect;
	uint8_t *const data = rx->data;
	uint64_t at = rx->at, held = rx->held, stride;
	uint32_t n, len;

	for (n = 0; n < most; n++) {
		*word = atomic_load_explicit(ring_word(data, at), memory_order_acquire);
		if (*word - 1 >= max_record) /* 0 as well */
			break;
		len = (uint32_t)*word;
		stride = ring_stride(len);
		if (held + stride + RING_LINE > capacity)
			break;
		rx->out[(place + n) % RING_MAX_VIEWS] =
			(struct ring_out){number + n, (uint32_t)stride};
		out[n].data = data + at + RING_WORD;
		out[n].len = len;
		out[n].flags = VIA_VIEW_SHARED;
		out[n].cookie = number + n;
		if (len > expect) {
			out[n].len = expect;
			out[n].flags |= VIA_VIEW_CUT;
		}
		held += stride;
		at += stride;
		if (at >= capacity)
			at -= capacity;
	}
	rx->n_out += n;
	rx->taken = number + n;
	rx->held = held;
	rx->at = at;
	return n;
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
	uint32_t most = RING_MAX_VIEWS - rx->n_out, n, i;
	uint64_t word = 0;

	if (rc != VIA_OK)
		return rc;
	if (max == 0)
		return VIA_INVAL;
	if (most > max)
		most = max;
	for (i = 1; i < most && i < PREFETCH_MOST; i++)
		__builtin_prefetch(rx->data + rx->at + (uint64_t)i * RING_LINE);
	n = rx->drained ? 0 : take(rx, out, most, &word);
	if (n != 0) {
		__builtin_prefetch(rx->data + rx->at); /* the next one is often there already */
		base->rx_word =
			(const volatile uint64_t *)(const volatile void *)(rx->data + rx->at);
		return (via_rc)n;
	}
	if (rx->n_out == RING_MAX_VIEWS)
		return VIA_LIMIT;
	if (word != 0)
		return bad_word(l, word);
	rc = nothing_there(l);
	return rc != VIA_OK ? rc : ring_recv(base, out, max);
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
