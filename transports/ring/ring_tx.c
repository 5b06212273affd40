/* transports/ring/ring_tx.c - the send lane: room, slots, gathered records.
 *
 * Threads: whoever holds the lane. Syscalls: none here; a bell when the peer sleeps (ring_wait.c).
 * Peer: says how much it has given back, which is checked against what was written; nothing else is
 * read. Wire layout: docs/wire.md section 20.
 *
 * A record becomes visible with its commit word. The word behind it must be 0 by then. Clearing it in
 * the same breath would put a store to a line that the peer still holds in front of the commit, so line
 * starts are cleared ahead, many at once (their transfers overlap), and after a record has left.
 */
#include "ring.h"
#include <inttypes.h>
#include <string.h>

/* Measured: far ahead is no better (a longer burst delays the next record) and one line is too few. A
 * batch is cleared for before it is written. */
#define CLEAR_AHEAD UINT64_C(4) /* lines */
#define CLEAR_AGAIN UINT64_C(2)
#define CLEAR_BATCH UINT64_C(16)

/* -- room -------------------------------------------------------------------------------------- */

static inline uint64_t free_bytes(const struct ring_tx *tx)
{
	return tx->capacity - (tx->tail - tx->head);
}

via_rc ring_room(struct ring_link *l, uint64_t bytes)
{
	struct ring_tx *tx = &l->tx;
	uint64_t head = atomic_load_explicit(&tx->control->head, memory_order_acquire);

	if (head - tx->head > tx->tail - tx->head || head % RING_LINE != 0)
		return ring_breach(l,
				   "bytes given back: expected a multiple of %u from %" PRIu64
				   " to %" PRIu64 ", found %" PRIu64,
				   RING_LINE, tx->head, tx->tail, head);
	tx->head = head;
	return free_bytes(tx) >= bytes ? VIA_OK : VIA_AGAIN;
}

/* Room for a record and the free line behind it. */
static inline via_rc need_room(struct ring_link *l, uint64_t stride)
{
	struct ring_tx *tx = &l->tx;
	via_rc rc;

	if (free_bytes(tx) >= stride + RING_LINE)
		return VIA_OK;
	rc = ring_room(l, stride + RING_LINE);
	if (rc != VIA_AGAIN)
		return rc;
	if (atomic_load_explicit(&tx->control->rx_sleep, memory_order_acquire) == RING_GONE)
		return ring_finish(l);
	tx->want = stride + RING_LINE;
	return VIA_AGAIN;
}

static inline void clear_start(struct ring_tx *tx, uint64_t at)
{
	atomic_store_explicit(ring_word(tx->data, at), 0, memory_order_relaxed);
}

static inline uint64_t wrapped(const struct ring_tx *tx, uint64_t at)
{
	return at >= tx->capacity ? at - tx->capacity : at;
}

/* -- publishing -------------------------------------------------------------------------------- */

/* The record at `at` is written but for its commit word: on to the next one. */
static inline void pass(struct ring_tx *tx, uint32_t len)
{
	uint64_t stride = ring_stride(len);
	uint64_t next = wrapped(tx, tx->at + stride);

	if (stride >= tx->clear) {
		clear_start(tx, next);
		tx->clear = stride + RING_LINE;
	}
	tx->tail += stride;
	tx->at = next;
	tx->clear -= stride;
}

static inline void commit_word(struct ring_tx *tx, uint64_t at, uint32_t len)
{
	atomic_store_explicit(ring_word(tx->data, at), len, memory_order_release);
}

static inline void publish(struct ring_tx *tx, uint32_t len)
{
	uint64_t at = tx->at;

	pass(tx, len);
	commit_word(tx, at, len);
}

static void clear_ahead(struct ring_tx *tx, uint64_t lines)
{
	uint64_t most = free_bytes(tx);

	if (most > lines * RING_LINE)
		most = lines * RING_LINE;
	for (; tx->clear < most; tx->clear += RING_LINE)
		clear_start(tx, wrapped(tx, tx->at + tx->clear));
}

static inline via_rc wake_reader(struct ring_link *l)
{
	_Atomic uint32_t *flag = &l->tx.control->rx_sleep;

	if (atomic_load_explicit(flag, memory_order_relaxed) == RING_AWAKE)
		return VIA_OK;
	return ring_wake(l, flag);
}

/* Fence F1 of docs/wire.md section 20, then a look at the sleeper. VIA_OK, or how it ended. */
via_rc ring_announce(struct ring_link *l)
{
	l->tx.owed = 0;
	ring_fence();
	return wake_reader(l);
}

/* After something was published. While more follows at once the fence is put off: who is seen asleep
 * without it is woken all the same, and who just falls asleep is seen behind the fence of the next send()
 * or commit() without tx_more, or before this lane sleeps itself. */
static inline via_rc announce(struct ring_link *l)
{
	via_rc rc;

	if (l->base.tx_more != 0) {
		l->tx.owed = 1;
		rc = wake_reader(l);
	} else {
		rc = ring_announce(l);
	}
	if (l->tx.clear < CLEAR_AGAIN * RING_LINE)
		clear_ahead(&l->tx, CLEAR_AHEAD);
	return rc;
}

/* No records: makes up for a fence that was put off. */
static via_rc settle(struct ring_link *l)
{
	return l->tx.owed != 0 && l->base.tx_more == 0 ? ring_announce(l) : VIA_OK;
}

/* -- slots ------------------------------------------------------------------------------------- */

static inline via_rc tx_ready(struct ring_link *l)
{
	via_rc rc = ring_ended(l);

	if (rc != VIA_OK)
		return rc;
	return l->tx.shut ? VIA_STATE : VIA_OK;
}

via_rc VIA_CALL ring_reserve(via_link *base, uint32_t len, via_slot *out)
{
	struct ring_link *l = ring_link_of(base);
	struct ring_tx *tx = &l->tx;
	via_rc rc = tx_ready(l);

	if (rc != VIA_OK)
		return rc;
	if (len == 0)
		return VIA_INVAL;
	if (len > tx->max_record)
		return VIA_TOOBIG;
	if (tx->slot != 0)
		return VIA_LIMIT;
	rc = need_room(l, ring_stride(len));
	if (rc != VIA_OK)
		return rc;
	tx->slot = len;
	*out = (via_slot){.data = tx->data + tx->at + RING_WORD, .cap = len, .len = len};
	return VIA_OK;
}

via_rc VIA_CALL ring_commit(via_link *base, const via_slot *slots, uint32_t n)
{
	struct ring_link *l = ring_link_of(base);
	struct ring_tx *tx = &l->tx;
	via_rc rc = n == 0 ? settle(l) : tx_ready(l);
	uint32_t len;

	if (rc != VIA_OK || n == 0)
		return rc;
	if (n > 1 || tx->slot == 0 || slots->data != tx->data + tx->at + RING_WORD)
		return VIA_INVAL;
	len = slots->len;
	if (len != VIA_SKIP && (len == 0 || len > tx->slot))
		return VIA_INVAL;
	if ((len == VIA_SKIP ? 0 : ring_stride(len)) < ring_stride(tx->slot))
		tx->clear = RING_LINE; /* the caller may have written over the line starts behind */
	tx->slot = 0;
	if (len == VIA_SKIP)
		return 1;
	publish(tx, len);
	rc = announce(l);
	return rc != VIA_OK ? rc : 1;
}

/* -- records ----------------------------------------------------------------------------------- */

/* Length of a message. Handles are not carried. */
static inline via_rc measure(const struct ring_tx *tx, const via_msg *m, uint32_t *len)
{
	uint64_t sum = 0;
	uint32_t i;

	for (i = 0; i < m->n_iov; i++) {
		if (m->iov[i].len > tx->max_record - sum)
			return VIA_TOOBIG;
		sum += m->iov[i].len;
	}
	if (sum == 0)
		return VIA_INVAL;
	if (m->n_handles != 0)
		return VIA_NOTSUP;
	*len = (uint32_t)sum;
	return VIA_OK;
}

static inline void gather(uint8_t *to, const via_msg *m)
{
	uint32_t i;

	if (m->n_iov == 1 && m->iov->len - 32 <= 32) { /* a short message: no call */
		memcpy(to, m->iov->base, 32);
		memcpy(to + m->iov->len - 32, (const uint8_t *)m->iov->base + m->iov->len - 32, 32);
		return;
	}
	for (i = 0; i < m->n_iov; i++) {
		if (m->iov[i].len != 0)
			memcpy(to, m->iov[i].base, (size_t)m->iov[i].len);
		to += m->iov[i].len;
	}
}

/* Several at once become visible with one store, that of the first: a reader that follows the writer from line to
 * line would take each away from it while it is written. */
via_rc VIA_CALL ring_send(via_link *base, const via_msg *msgs, uint32_t n)
{
	struct ring_link *l = ring_link_of(base);
	struct ring_tx *tx = &l->tx;
	const uint64_t first_at = tx->at;
	via_rc rc = n == 0 ? settle(l) : tx_ready(l);
	uint32_t i, first_len = 0;

	if (rc != VIA_OK || n == 0)
		return rc;
	if (tx->slot != 0) /* would overtake the slot */
		return VIA_STATE;
	if (n > CLEAR_AGAIN)
		clear_ahead(tx, n < CLEAR_BATCH ? n : CLEAR_BATCH);
	for (i = 0; i < n; i++) {
		uint64_t at;
		uint32_t len;

		rc = measure(tx, &msgs[i], &len);
		if (rc == VIA_OK)
			rc = need_room(l, ring_stride(len));
		if (rc != VIA_OK)
			break;
		at = tx->at;
		gather(tx->data + at + RING_WORD, &msgs[i]);
		pass(tx, len);
		if (i == 0)
			first_len = len;
		else
			commit_word(tx, at, len);
	}
	if (i == 0)
		return rc;
	commit_word(tx, first_at, first_len);
	rc = announce(l);
	return rc != VIA_OK ? rc : (via_rc)i;
}

via_rc VIA_CALL ring_shutdown(via_link *base)
{
	struct ring_link *l = ring_link_of(base);
	struct ring_tx *tx = &l->tx;
	via_rc rc = ring_ended(l);

	if (rc != VIA_OK || tx->shut)
		return rc;
	tx->shut = 1;
	atomic_store_explicit(&tx->control->closed, 1, memory_order_release);
	return ring_announce(l);
}
