/* transports/winshm/winshm_link.c - one attached region as a link.
 *
 * Threads: the send lane, the receive lane and abort() may run at once; what they share is atomic.
 * Syscalls: SetEvent, only when somebody may sleep; UnmapViewOfFile and CloseHandle at close. Peer: can
 * write any byte of the mapping and set any event at any time. Positions and capacities are private
 * copies; of what the peer writes, each word is read once and then checked, and a message is copied
 * before anybody looks at it. Wire layout: docs/wire.md section 12.
 *
 * Whose turn it is. The layout has one place for a message each way and no word that says that it
 * has been read, so a second message would overwrite the first. What does say it is the other
 * direction: a response proves that the request before it was taken, and the next request proves
 * that about the response. So the client may send while it has received as many as it has sent,
 * the server while it has received one more; else VIA_AGAIN. One that comes out of turn is VIA_PROTO.
 *
 * Waiting, hybrid. Both lanes sleep on the event of what comes in, which the peer sets when the
 * waiting flag is up. The event is reset by whoever finds it, and that may be the wrong lane; so each
 * lane has a bit in `armed`, and a lane that disarms sets the event again when the other one is armed
 * and has reason to wake. A sender does not wait for a message but for recv(), which sets the event
 * when the sender's bit is up. Bits and flag go up before the last look, what they wait for is
 * published before bits and flag are looked at, all of it sequentially consistent: one of the two
 * sides sees the other.
 *
 * Waiting, busy-wait. There is no event: the receive lane sleeps on the low half of the counter of what
 * comes in, a sender alone on a word of this link, and nobody wakes either. The peer's closed flag is
 * not in that word; its sleepers hear of the end through the baseline.
 */
#include "winshm.h"
#include <inttypes.h>
#include <string.h>

struct wshm_link {
	via_link base; /* first: the core holds a pointer to this */
	const struct wshm_self *self;
	struct wshm_map map;
	via_limits limits;
	int is_server;
	_Atomic via_rc ended; /* how; the first one stays */
	_Atomic uint64_t sent, received;
	_Atomic uint32_t armed; /* VIA_EV_RX, VIA_EV_TX: who sleeps, or is about to */
	_Atomic uint32_t bell;  /* busy-wait: what a sender sleeps on */
	/* send lane */
	struct wshm_area tx;
	uint64_t tx_seq;
	int slot_out;
	_Atomic int tx_shut; /* written by the send lane, read by both */
	/* receive lane */
	struct wshm_area rx;
	uint64_t rx_seq, rx_first; /* taken last; when the link was made */
	uint8_t *copy;             /* of the message that a view shows */
	uint32_t copy_cap, expect;
	int view_out;
};

static struct wshm_link *link_of(via_link *base)
{
	return (struct wshm_link *)(void *)base;
}

/* -- how it ends ------------------------------------------------------------------------------- */

static via_rc ended(const struct wshm_link *l)
{
	return atomic_load_explicit(&l->ended, memory_order_acquire);
}

static void wake_own(struct wshm_link *l)
{
	if (l->rx.event != NULL)
		(void)wshm_set(l->self, l->rx.event); /* the baseline wakes, too */
	else
		atomic_fetch_add(&l->bell, 1);
}

/* Ends the link and wakes its sleepers. Without an event a receiver can only be told through the counter
 * that it sleeps on: this side has read it for the last time, and its writer never reads it. */
static via_rc ends(struct wshm_link *l, via_rc why)
{
	via_rc none = VIA_OK;

	if (!atomic_compare_exchange_strong(&l->ended, &none, why))
		return none;
	if (l->rx.event == NULL)
		atomic_fetch_xor(l->rx.seq, UINT64_C(0x80000000));
	wake_own(l);
	return why;
}

static int peer_closed(const struct wshm_link *l)
{
	return atomic_load_explicit(l->rx.closed, memory_order_acquire) != 0;
}

/* -- whose turn it is -------------------------------------------------------------------------- */

/* `sent` is read and written by the send lane only, but for the check in recv(). */
static int may_send(const struct wshm_link *l)
{
	uint64_t sent = atomic_load_explicit(&l->sent, memory_order_relaxed);
	uint64_t received = atomic_load(&l->received);

	return l->is_server ? received == sent + 1 : received == sent;
}

/* Whether the peer may have sent what has just been seen. The peer saw our last message before, so
 * its count is up to date here. */
static int may_come(const struct wshm_link *l)
{
	uint64_t sent = atomic_load_explicit(&l->sent, memory_order_relaxed);
	uint64_t received = atomic_load_explicit(&l->received, memory_order_relaxed);

	return l->is_server ? received == sent : received + 1 == sent;
}

/* For either lane, so it cannot look at rx_seq. */
static int has_record(const struct wshm_link *l)
{
	return atomic_load(l->rx.seq) != l->rx_first + atomic_load(&l->received);
}

/* -- send lane --------------------------------------------------------------------------------- */

static via_rc tx_ready(const struct wshm_link *l)
{
	via_rc rc = ended(l);

	if (rc != VIA_OK)
		return rc;
	return atomic_load_explicit(&l->tx_shut, memory_order_relaxed) ? VIA_STATE : VIA_OK;
}

/* The peer may sleep for ever when this fails: better no link than that. */
static via_rc wake_peer(struct wshm_link *l)
{
	via_rc rc = l->tx.event != NULL ? wshm_set(l->self, l->tx.event) : VIA_OK;

	return rc == VIA_OK ? VIA_OK : ends(l, rc);
}

/* Length, sequence, and the event if the peer says that it waits. */
static via_rc publish(struct wshm_link *l, uint32_t len)
{
	struct wshm_area *a = &l->tx;
	uint64_t sent = atomic_load_explicit(&l->sent, memory_order_relaxed);
	via_rc rc = VIA_OK;

	/* Before the peer can answer, for may_come(). */
	atomic_store_explicit(&l->sent, sent + 1, memory_order_relaxed);
	atomic_exchange_explicit(a->len, len, memory_order_release);
	/* The same as an increment, and says what it should whatever the peer has made of it. */
	atomic_exchange(a->seq, ++l->tx_seq);
	if (a->event != NULL && atomic_load(a->waiting) != 0)
		rc = wake_peer(l);
	return rc == VIA_OK ? 1 : rc;
}

static via_rc VIA_CALL wshm_reserve(via_link *base, uint32_t len, via_slot *out)
{
	struct wshm_link *l = link_of(base);
	via_rc rc = tx_ready(l);

	if (rc != VIA_OK)
		return rc;
	if (len == 0)
		return VIA_INVAL;
	if (len > l->tx.cap)
		return VIA_TOOBIG;
	if (l->slot_out)
		return VIA_LIMIT;
	if (!may_send(l))
		return VIA_AGAIN;
	l->slot_out = 1;
	*out = (via_slot){.data = l->tx.bytes, .cap = l->tx.cap, .len = len};
	return VIA_OK;
}

static via_rc VIA_CALL wshm_commit(via_link *base, const via_slot *slots, uint32_t n)
{
	struct wshm_link *l = link_of(base);
	via_rc rc = tx_ready(l);
	uint32_t len;

	if (rc != VIA_OK)
		return rc;
	if (n == 0)
		return 0;
	if (n > 1 || !l->slot_out || slots->data != l->tx.bytes)
		return VIA_INVAL;
	len = slots->len;
	if (len != VIA_SKIP && (len == 0 || len > l->tx.cap))
		return VIA_INVAL;
	l->slot_out = 0;
	return len == VIA_SKIP ? 1 : publish(l, len);
}

/* Length of a message, checked. */
static via_rc measure(const struct wshm_link *l, const via_msg *m, uint32_t *len)
{
	uint64_t sum = 0;
	uint32_t i;

	if (m->n_handles != 0)
		return VIA_LIMIT;
	for (i = 0; i < m->n_iov; i++) {
		if (m->iov[i].len > l->tx.cap - sum)
			return VIA_TOOBIG;
		sum += m->iov[i].len;
	}
	*len = (uint32_t)sum;
	return sum == 0 ? VIA_INVAL : VIA_OK;
}

static void gather(const struct wshm_link *l, const via_msg *m)
{
	uint8_t *at = l->tx.bytes;
	uint32_t i;

	for (i = 0; i < m->n_iov; i++) {
		if (m->iov[i].len != 0)
			memcpy(at, m->iov[i].base, (size_t)m->iov[i].len);
		at += m->iov[i].len;
	}
}

static via_rc VIA_CALL wshm_send(via_link *base, const via_msg *msgs, uint32_t n)
{
	struct wshm_link *l = link_of(base);
	via_rc rc = tx_ready(l);
	uint32_t len;

	if (rc != VIA_OK)
		return rc;
	if (l->slot_out) /* would overwrite the slot */
		return VIA_STATE;
	if (n == 0)
		return 0;
	rc = measure(l, msgs, &len);
	if (rc != VIA_OK)
		return rc;
	if (!may_send(l))
		return VIA_AGAIN;
	gather(l, msgs);
	return publish(l, len); /* one is all there is room for */
}

/* The closed flag only tells the peer that nothing more comes from here. */
static via_rc VIA_CALL wshm_shutdown(via_link *base)
{
	struct wshm_link *l = link_of(base);
	via_rc rc = ended(l);

	if (rc != VIA_OK || atomic_load_explicit(&l->tx_shut, memory_order_relaxed))
		return rc;
	atomic_store(&l->tx_shut, 1);
	atomic_store(l->tx.closed, 1);
	return wake_peer(l);
}

/* -- receive lane ------------------------------------------------------------------------------ */

static via_rc out_of_turn(struct wshm_link *l, uint64_t seq)
{
	uint64_t next = l->rx_seq + 1;
	via_rc rc = ended(l);

	if (rc != VIA_OK) /* it was ends() that changed the counter */
		return rc;
	if (seq != next)
		(void)wshm_failf(l->self, VIA_PROTO, 0,
				 "sequence: expected %" PRIu64 ", found %" PRIu64, next, seq);
	else if (l->is_server)
		(void)wshm_failf(l->self, VIA_PROTO, 0,
				 "request %" PRIu64 ": expected none before the response to the "
				 "last one",
				 seq);
	else
		(void)wshm_failf(l->self, VIA_PROTO, 0,
				 "response %" PRIu64 ": expected none without a request", seq);
	return ends(l, VIA_PROTO);
}

/* Copies message seq and looks whether it stayed the same meanwhile. */
static via_rc take(struct wshm_link *l, uint64_t seq, uint32_t *out)
{
	uint32_t len = atomic_load_explicit(l->rx.len, memory_order_acquire);
	uint32_t len_after;
	uint64_t seq_after;
	via_rc rc;

	if (len == 0 || len > l->rx.cap) {
		(void)wshm_failf(l->self, VIA_PROTO, 0,
				 "message length: expected 1 to %" PRIu32 ", found %" PRIu32,
				 l->rx.cap, len);
		return ends(l, VIA_PROTO);
	}
	memcpy(l->copy, l->rx.bytes, len < l->expect ? len : l->expect);
	atomic_thread_fence(memory_order_acquire);
	len_after = atomic_load_explicit(l->rx.len, memory_order_relaxed);
	seq_after = atomic_load_explicit(l->rx.seq, memory_order_relaxed);
	rc = ended(l);
	if (rc != VIA_OK) /* it may have been ends() that changed the counter */
		return rc;
	if (len_after != len || seq_after != seq) {
		(void)wshm_failf(l->self, VIA_PROTO, 0,
				 "message torn: expected %" PRIu32 " bytes and sequence %" PRIu64
				 " to stay, found %" PRIu32 " and %" PRIu64,
				 len, seq, len_after, seq_after);
		return ends(l, VIA_PROTO);
	}
	*out = len;
	return VIA_OK;
}

static via_rc VIA_CALL wshm_recv(via_link *base, via_view *out, uint32_t max)
{
	struct wshm_link *l = link_of(base);
	via_rc rc = ended(l);
	uint32_t len = 0;
	uint64_t seq;

	if (rc != VIA_OK)
		return rc;
	if (l->view_out)
		return VIA_LIMIT;
	if (max == 0)
		return VIA_INVAL;
	seq = atomic_load_explicit(l->rx.seq, memory_order_acquire);
	if (seq == l->rx_seq) {
		if (!peer_closed(l))
			return VIA_AGAIN;
		/* what was published before the flag can be seen now */
		seq = atomic_load_explicit(l->rx.seq, memory_order_acquire);
		if (seq == l->rx_seq)
			return ends(l, VIA_CLOSED);
	}
	if (seq != l->rx_seq + 1 || !may_come(l))
		return out_of_turn(l, seq);
	rc = take(l, seq, &len);
	if (rc != VIA_OK)
		return rc;
	l->rx_seq = seq;
	base->rx_seen = seq;
	l->view_out = 1;
	*out = (via_view){.data = l->copy, .len = len};
	if (len > l->expect) {
		out->len = l->expect;
		out->flags = VIA_VIEW_CUT;
	}
	atomic_fetch_add(&l->received, 1); /* with the next line: pairs with arm() */
	if ((atomic_load(&l->armed) & VIA_EV_TX) != 0)
		wake_own(l);
	return 1;
}

static void VIA_CALL wshm_release(via_link *base, const via_view *views, uint32_t n)
{
	(void)views; /* there is only one */
	if (n != 0)
		link_of(base)->view_out = 0;
}

static via_rc VIA_CALL wshm_expect(via_link *base, uint32_t max_record)
{
	struct wshm_link *l = link_of(base);
	const via_host *h = l->self->h;
	uint32_t need = max_record < l->rx.cap ? max_record : l->rx.cap;
	uint8_t *copy;

	if (l->view_out)
		return VIA_STATE;
	if (max_record == 0)
		return VIA_INVAL;
	if (need > l->copy_cap) {
		copy = h->alloc(h->ctx, need, WSHM_ALIGN);
		if (copy == NULL)
			return wshm_failf(l->self, VIA_NOMEM, 0,
					  "%" PRIu32 " bytes for a received message", need);
		h->free(h->ctx, l->copy);
		l->copy = copy;
		l->copy_cap = need;
	}
	l->expect = max_record;
	return VIA_OK;
}

static via_rc VIA_CALL wshm_take_handles(via_link *base, const via_view *view, via_handle *out,
					 uint32_t max)
{
	(void)base;
	(void)view;
	(void)out;
	(void)max;
	return VIA_NOTSUP;
}

/* -- waiting ----------------------------------------------------------------------------------- */

static void announce(struct wshm_link *l, uint32_t events)
{
	atomic_fetch_or(&l->armed, events);
	if ((events & VIA_EV_RX) != 0 && l->rx.event != NULL)
		atomic_store(l->rx.waiting, 1);
	atomic_thread_fence(memory_order_seq_cst);
}

/* The lanes that stay armed. */
static uint32_t withdraw(struct wshm_link *l, uint32_t events)
{
	if ((events & VIA_EV_RX) != 0 && l->rx.event != NULL)
		atomic_store(l->rx.waiting, 0);
	return atomic_fetch_and(&l->armed, ~events) & ~events;
}

/* A sender whose turn it is not and to whom nobody will give it any more. */
static int is_stranded(const struct wshm_link *l)
{
	return peer_closed(l) && !has_record(l) && !may_send(l);
}

/* Whether there is reason to wake for any of the events. */
static int has_reason(const struct wshm_link *l, uint32_t events)
{
	if (ended(l) != VIA_OK)
		return 1;
	if ((events & VIA_EV_RX) != 0 && (has_record(l) || peer_closed(l)))
		return 1;
	return (events & VIA_EV_TX) != 0 &&
	       (may_send(l) || is_stranded(l) || atomic_load(&l->tx_shut));
}

static via_rc VIA_CALL wshm_arm(via_link *base, uint32_t events, via_waitobj *out)
{
	struct wshm_link *l = link_of(base);
	uint32_t bell;
	via_rc rc;

	announce(l, events);
	bell = atomic_load(&l->bell);
	if (has_reason(l, events)) {
		(void)withdraw(l, events);
		rc = ended(l);
		if (rc != VIA_OK)
			return rc;
		if (events == VIA_EV_TX && is_stranded(l))
			return ends(l, VIA_CLOSED);
		return VIA_BUSY;
	}
	if (l->rx.event != NULL) {
		out->kind = VIA_WAIT_WIN;
		out->handle = (int64_t)(intptr_t)l->rx.event;
		return VIA_OK;
	}
	out->kind = VIA_WAIT_WORD;
	if ((events & VIA_EV_RX) != 0) {
		out->expected = (uint32_t)(l->rx_first + atomic_load(&l->received));
		out->word = (const volatile uint32_t *)(const volatile void *)l->rx.seq;
	} else {
		out->expected = bell;
		out->word = (const volatile uint32_t *)(const volatile void *)&l->bell;
	}
	return VIA_OK;
}

/* The wake-up may have been meant for the other lane, which would not see it again. */
static void VIA_CALL wshm_disarm(via_link *base, uint32_t events)
{
	struct wshm_link *l = link_of(base);
	uint32_t others = withdraw(l, events);

	if (others != 0 && l->rx.event != NULL && has_reason(l, others))
		wake_own(l);
}

static void VIA_CALL wshm_abort(via_link *base, via_rc why)
{
	(void)ends(link_of(base), why < 0 ? why : VIA_ABORTED);
}

/* -- facts and end ----------------------------------------------------------------------------- */

static via_rc VIA_CALL wshm_peer(via_link *base, via_peer *out)
{
	(void)base;
	(void)out;
	return VIA_NOTSUP; /* the baseline knows */
}

static const void *VIA_CALL wshm_get_ext(via_link *base, const char *id)
{
	(void)base;
	(void)id;
	return NULL;
}

/* The flag stays in the memory for as long as the peer has it; the event may wake it at once. */
static void VIA_CALL wshm_close(via_link *base)
{
	struct wshm_link *l = link_of(base);
	const via_host *h = l->self->h;

	atomic_store(l->tx.closed, 1);
	if (l->tx.event != NULL)
		(void)wshm_set(l->self, l->tx.event); /* the baseline wakes, too */
	wshm_let_go(&l->map);
	h->free(h->ctx, l->copy);
	h->free(h->ctx, l);
}

static const via_link_ops wshm_link_ops = {
	.struct_size = sizeof(via_link_ops),
	.link_size = sizeof(struct wshm_link),
	.reserve = wshm_reserve,
	.commit = wshm_commit,
	.send = wshm_send,
	.recv = wshm_recv,
	.release = wshm_release,
	.arm = wshm_arm,
	.disarm = wshm_disarm,
	.abort = wshm_abort,
	.expect = wshm_expect,
	.take_handles = wshm_take_handles,
	.shutdown = wshm_shutdown,
	.peer = wshm_peer,
	.get_ext = wshm_get_ext,
	.close = wshm_close,
};

/* Areas by role; a client starts where the region is, the server's is new. */
static void take_sides(struct wshm_link *l)
{
	l->tx = l->is_server ? l->map.response : l->map.request;
	l->rx = l->is_server ? l->map.request : l->map.response;
	if (!l->is_server) {
		l->tx_seq = atomic_load_explicit(l->tx.seq, memory_order_acquire);
		l->rx_seq = atomic_load_explicit(l->rx.seq, memory_order_acquire);
	}
	l->rx_first = l->rx_seq;
}

/* A link must be said to carry at least VIA_EXPECT_INITIAL bytes; a region made for tiny messages
 * carries less, and the verbs say TOOBIG. */
static uint32_t said_max(uint32_t cap)
{
	return cap < VIA_EXPECT_INITIAL ? VIA_EXPECT_INITIAL : cap;
}

via_rc wshm_link_make(const struct wshm_self *s, const struct wshm_map *m, int is_server,
		      via_link **out)
{
	const via_host *h = s->h;
	struct wshm_link *l = h->alloc(h->ctx, sizeof *l, _Alignof(struct wshm_link));
	uint8_t *copy = h->alloc(h->ctx, VIA_EXPECT_INITIAL, WSHM_ALIGN);

	if (l == NULL || copy == NULL) {
		h->free(h->ctx, copy);
		h->free(h->ctx, l);
		wshm_let_go(m);
		return h->fail(h->ctx, VIA_NOMEM, 0, "link");
	}
	l->self = s;
	l->map = *m;
	l->is_server = is_server;
	take_sides(l);
	l->copy = copy;
	l->copy_cap = l->expect = VIA_EXPECT_INITIAL;
	l->limits = (via_limits){.struct_size = sizeof(via_limits),
				 .max_record = said_max(l->tx.cap),
				 .max_batch = 1,
				 .max_views = 1,
				 .max_slots = 1,
				 .align = WSHM_ALIGN};
	l->base = (via_link){.ops = &wshm_link_ops,
			     .rx_word = (const volatile uint64_t *)(const volatile void *)l->rx.seq,
			     .rx_seen = l->rx_seq,
			     .caps = VIA_CAP_RELIABLE | VIA_CAP_ZC_TX |
				     (l->rx.event != NULL ? VIA_CAP_POLLABLE : VIA_CAP_WORDWAIT),
			     .limits = &l->limits};
	*out = &l->base;
	return VIA_OK;
}
