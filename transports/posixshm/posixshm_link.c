/* transports/posixshm/posixshm_link.c - one attached region as a link.
 *
 * Threads: the send lane, the receive lane and abort() may run at once; what they share is atomic.
 * Syscalls: one FUTEX_WAKE for each message sent, because a waiter leaves no mark in this layout;
 * lstat, unlink, munmap at close. Peer: can write any byte of the region at any time. Positions and
 * capacities are private copies; of what the peer writes, each word is read once and then checked.
 * Wire layout: docs/wire.md section 10.
 *
 * Whose turn it is. The layout has one place for a message each way and no word that says that it
 * has been read, so a second message would overwrite the first. What does say it is the other
 * direction: a response proves that the request before it was taken, and the next request proves
 * that about the response. So the client may send while it has received as many as it has sent,
 * the server while it has received one more; else VIA_AGAIN. A message counts as received when its
 * view is released: from then on the peer may write over it. One that comes out of turn is VIA_PROTO.
 *
 * Waiting. Both lanes sleep on the signal word of what comes in: only a message from the peer can
 * end a sender's wait as well. A netipc peer wakes a single sleeper, and for the sender it is not the
 * message itself but release() that ends the wait. Hence `tx_waits`: release() adds to the word and wakes
 * when a sender may sleep, and a sender that was woken in the receiver's place passes that on when
 * it disarms.
 * Adding to the own receive word is, for the peer, a wake-up without a message.
 */
#include "posixshm.h"
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>

struct pshm_link {
	via_link base; /* first: the core holds a pointer to this */
	struct pshm_self *self;
	struct pshm_map map;
	via_limits limits;
	int is_server;
	_Atomic via_rc aborted; /* why, from abort() */
	_Atomic via_rc broken;  /* PROTO: the peer; IO: a wake-up was refused */
	_Atomic uint64_t sent, received;
	_Atomic int tx_waits; /* a sender sleeps, or is about to */
	/* send lane */
	struct pshm_area tx;
	uint64_t tx_seq;
	int slot_out;
	int tx_shut;
	/* receive lane */
	struct pshm_area rx;
	uint64_t rx_seq, rx_first; /* taken last; when the link was made */
	uint32_t expect;
	_Atomic uint32_t view_out; /* read by the send lane when it looks for a record */
	char path[];               /* server: the file's name; client: empty */
};

static struct pshm_link *link_of(via_link *base)
{
	return (struct pshm_link *)(void *)base;
}

/* -- how it ends ------------------------------------------------------------------------------- */

static via_rc ended(const struct pshm_link *l)
{
	via_rc why = atomic_load_explicit(&l->aborted, memory_order_acquire);

	return why != VIA_OK ? why : atomic_load_explicit(&l->broken, memory_order_acquire);
}

/* Changes the word that sleepers of this side sleep on, so that one who is about to cannot. */
static void wake_own(struct pshm_link *l)
{
	atomic_fetch_add(l->rx.signal, 1);
	(void)pshm_wake(l->self, l->rx.signal, INT_MAX);
}

static via_rc breaks(struct pshm_link *l, via_rc rc)
{
	atomic_store(&l->broken, rc);
	wake_own(l);
	return rc;
}

/* -- whose turn it is -------------------------------------------------------------------------- */

/* `sent` is read and written by the send lane only, but for the check in recv(). */
static int may_send(const struct pshm_link *l)
{
	uint64_t sent = atomic_load_explicit(&l->sent, memory_order_relaxed);
	uint64_t received = atomic_load(&l->received);

	return l->is_server ? received == sent + 1 : received == sent;
}

/* Whether the peer may have sent what has just been seen. The peer saw our last message before, so
 * its count is up to date here. */
static int may_come(const struct pshm_link *l)
{
	uint64_t sent = atomic_load_explicit(&l->sent, memory_order_relaxed);
	uint64_t received = atomic_load_explicit(&l->received, memory_order_relaxed);

	return l->is_server ? received == sent : received + 1 == sent;
}

/* -- send lane --------------------------------------------------------------------------------- */

static via_rc tx_ready(const struct pshm_link *l)
{
	via_rc rc = ended(l);

	if (rc != VIA_OK)
		return rc;
	return l->tx_shut ? VIA_STATE : VIA_OK;
}

/* Steps 3 to 5 of sending: length, sequence, signal, wake. */
static via_rc publish(struct pshm_link *l, uint32_t len)
{
	struct pshm_area *a = &l->tx;
	uint64_t sent = atomic_load_explicit(&l->sent, memory_order_relaxed);
	int err;

	l->tx_seq++;
	/* Before the peer can answer, for may_come(). */
	atomic_store_explicit(&l->sent, sent + 1, memory_order_relaxed);
	atomic_store_explicit(a->len, len, memory_order_release);
	atomic_store_explicit(a->seq, l->tx_seq, memory_order_release);
	atomic_fetch_add_explicit(a->signal, 1, memory_order_release);
	err = pshm_wake(l->self, a->signal, 1);
	if (err != 0) { /* the peer may sleep for ever: better no link than that */
		(void)pshm_fail(l->self, err, "futex", "FUTEX_WAKE");
		return breaks(l, VIA_IO);
	}
	return 1;
}

static via_rc VIA_CALL pshm_reserve(via_link *base, uint32_t len, via_slot *out)
{
	struct pshm_link *l = link_of(base);
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

static via_rc VIA_CALL pshm_commit(via_link *base, const via_slot *slots, uint32_t n)
{
	struct pshm_link *l = link_of(base);
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

/* Step 1: length of a message, checked. */
static via_rc measure(const struct pshm_link *l, const via_msg *m, uint32_t *len)
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

/* Step 2: one contiguous message. */
static void gather(const struct pshm_link *l, const via_msg *m)
{
	uint8_t *at = l->tx.bytes;
	uint32_t i;

	for (i = 0; i < m->n_iov; i++) {
		if (m->iov[i].len != 0)
			memcpy(at, m->iov[i].base, (size_t)m->iov[i].len);
		at += m->iov[i].len;
	}
}

static via_rc VIA_CALL pshm_send(via_link *base, const via_msg *msgs, uint32_t n)
{
	struct pshm_link *l = link_of(base);
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

static via_rc VIA_CALL pshm_shutdown(via_link *base)
{
	struct pshm_link *l = link_of(base);
	via_rc rc = ended(l);

	if (rc == VIA_OK)
		l->tx_shut = 1; /* the layout has no word for it: the baseline tells the peer */
	return rc;
}

/* -- receive lane ------------------------------------------------------------------------------ */

static via_rc out_of_turn(struct pshm_link *l, uint64_t seq)
{
	uint64_t next = l->rx_seq + 1;

	if (seq != next)
		(void)pshm_failf(l->self, VIA_PROTO, 0,
				 "sequence: expected %" PRIu64 ", found %" PRIu64, next, seq);
	else if (l->is_server)
		(void)pshm_failf(l->self, VIA_PROTO, 0,
				 "request %" PRIu64 ": expected none before the response to the "
				 "last one",
				 seq);
	else
		(void)pshm_failf(l->self, VIA_PROTO, 0,
				 "response %" PRIu64 ": expected none without a request", seq);
	return breaks(l, VIA_PROTO);
}

static via_rc VIA_CALL pshm_recv(via_link *base, via_view *out, uint32_t max)
{
	struct pshm_link *l = link_of(base);
	via_rc rc = ended(l);
	uint64_t seq;
	uint32_t len;

	if (rc != VIA_OK)
		return rc;
	if (l->view_out)
		return VIA_LIMIT;
	if (max == 0)
		return VIA_INVAL;
	seq = atomic_load_explicit(l->rx.seq, memory_order_acquire);
	if (seq == l->rx_seq)
		return VIA_AGAIN;
	if (seq != l->rx_seq + 1 || !may_come(l))
		return out_of_turn(l, seq);
	len = atomic_load_explicit(l->rx.len, memory_order_acquire);
	if (len == 0 || len > l->rx.cap) {
		(void)pshm_failf(l->self, VIA_PROTO, 0,
				 "message length: expected 1 to %" PRIu32 ", found %" PRIu32,
				 l->rx.cap, len);
		return breaks(l, VIA_PROTO);
	}
	l->rx_seq = seq;
	base->rx_seen = seq;
	l->view_out = 1;
	*out = (via_view){.data = l->rx.bytes, .len = len, .flags = VIA_VIEW_SHARED};
	if (len > l->expect) {
		out->len = l->expect;
		out->flags |= VIA_VIEW_CUT;
	}
	return 1;
}

static void VIA_CALL pshm_release(via_link *base, const via_view *views, uint32_t n)
{
	struct pshm_link *l = link_of(base);

	(void)views; /* there is only one */
	if (n == 0 || !l->view_out)
		return;
	l->view_out = 0;
	atomic_fetch_add(&l->received, 1); /* with the next line: pairs with arm() */
	if (atomic_load(&l->tx_waits) != 0)
		wake_own(l);
}

static via_rc VIA_CALL pshm_expect(via_link *base, uint32_t max_record)
{
	struct pshm_link *l = link_of(base);

	if (l->view_out)
		return VIA_STATE;
	if (max_record == 0)
		return VIA_INVAL;
	l->expect = max_record;
	return VIA_OK;
}

static via_rc VIA_CALL pshm_take_handles(via_link *base, const via_view *view, via_handle *out,
					 uint32_t max)
{
	(void)base;
	(void)view;
	(void)out;
	(void)max;
	return VIA_NOTSUP;
}

/* -- waiting ----------------------------------------------------------------------------------- */

/* For either lane, so it cannot look at rx_seq. */
static int has_record(const struct pshm_link *l)
{
	return atomic_load_explicit(l->rx.seq, memory_order_acquire) !=
	       l->rx_first + atomic_load(&l->received) + atomic_load(&l->view_out);
}

/* The word is read before the state is looked at again: what happens after that changes the word. */
static via_rc VIA_CALL pshm_arm(via_link *base, uint32_t events, via_waitobj *out)
{
	struct pshm_link *l = link_of(base);
	uint32_t seen;
	via_rc rc;

	if ((events & VIA_EV_TX) != 0)
		atomic_store(&l->tx_waits, 1); /* with may_send(): pairs with release() */
	seen = atomic_load_explicit(l->rx.signal, memory_order_acquire);
	rc = ended(l);
	if (rc == VIA_OK && (events & VIA_EV_TX) != 0 && (may_send(l) || l->tx_shut))
		rc = VIA_BUSY;
	if (rc == VIA_OK && (events & VIA_EV_RX) != 0 && has_record(l))
		rc = VIA_BUSY;
	if (rc != VIA_OK) {
		if ((events & VIA_EV_TX) != 0)
			atomic_store(&l->tx_waits, 0);
		return rc;
	}
	out->kind = VIA_WAIT_WORD;
	out->expected = seen;
	out->word = (const volatile uint32_t *)(const volatile void *)l->rx.signal;
	return VIA_OK;
}

static void VIA_CALL pshm_disarm(via_link *base, uint32_t events)
{
	struct pshm_link *l = link_of(base);

	if ((events & VIA_EV_TX) == 0)
		return;
	atomic_store(&l->tx_waits, 0);
	if ((events & VIA_EV_RX) == 0 && has_record(l)) /* the wake-up was meant for the receiver */
		(void)pshm_wake(l->self, l->rx.signal, INT_MAX);
}

static void VIA_CALL pshm_abort(via_link *base, via_rc why)
{
	struct pshm_link *l = link_of(base);
	via_rc none = VIA_OK;

	if (why >= 0)
		why = VIA_ABORTED;
	if (atomic_compare_exchange_strong(&l->aborted, &none, why))
		wake_own(l);
}

/* -- facts and end ----------------------------------------------------------------------------- */

static via_rc VIA_CALL pshm_peer(via_link *base, via_peer *out)
{
	(void)base;
	(void)out;
	return VIA_NOTSUP; /* the baseline knows */
}

static const void *VIA_CALL pshm_get_ext(via_link *base, const char *id)
{
	(void)base;
	(void)id;
	return NULL;
}

/* The server's name goes first, while the mapping still keeps another file from getting its inode
 * number. A generation of 0 makes the region dead for everybody, should the name stay. */
static void let_go(struct pshm_self *s, const struct pshm_map *m, const char *path)
{
	if (path != NULL) {
		m->header->owner_generation = 0;
		pshm_unlink(s, path, m->dev, m->ino);
	}
	pshm_unmap(m);
}

static void VIA_CALL pshm_close(via_link *base)
{
	struct pshm_link *l = link_of(base);
	const via_host *h = l->self->h;

	let_go(l->self, &l->map, l->is_server ? l->path : NULL);
	h->free(h->ctx, l);
}

static const via_link_ops pshm_link_ops = {
	.struct_size = sizeof(via_link_ops),
	.link_size = sizeof(struct pshm_link),
	.reserve = pshm_reserve,
	.commit = pshm_commit,
	.send = pshm_send,
	.recv = pshm_recv,
	.release = pshm_release,
	.arm = pshm_arm,
	.disarm = pshm_disarm,
	.abort = pshm_abort,
	.expect = pshm_expect,
	.take_handles = pshm_take_handles,
	.shutdown = pshm_shutdown,
	.peer = pshm_peer,
	.get_ext = pshm_get_ext,
	.close = pshm_close,
};

const uint64_t pshm_caps = VIA_CAP_RELIABLE | VIA_CAP_ZC_TX | VIA_CAP_ZC_RX | VIA_CAP_WORDWAIT;

via_rc pshm_link_make(struct pshm_self *s, const struct pshm_map *m, const char *path,
		      via_link **out)
{
	size_t path_len = path == NULL ? 0 : strlen(path);
	struct pshm_link *l =
		s->h->alloc(s->h->ctx, sizeof *l + path_len + 1, _Alignof(struct pshm_link));

	if (l == NULL) {
		let_go(s, m, path);
		return s->h->fail(s->h->ctx, VIA_NOMEM, 0, "link");
	}
	l->self = s;
	l->map = *m;
	l->is_server = path != NULL;
	if (path != NULL) {
		memcpy(l->path, path, path_len + 1);
		l->tx = m->response;
		l->rx = m->request;
	} else {
		l->tx = m->request;
		l->rx = m->response;
		/* A client starts where the region is; the server's is new. */
		l->tx_seq = atomic_load_explicit(l->tx.seq, memory_order_acquire);
		l->rx_seq = atomic_load_explicit(l->rx.seq, memory_order_acquire);
	}
	l->rx_first = l->rx_seq;
	l->expect = VIA_EXPECT_INITIAL;
	/* A link must be said to carry at least VIA_EXPECT_INITIAL bytes; a region made for tiny
	 * messages carries less, and the verbs say TOOBIG. */
	l->limits = (via_limits){.struct_size = sizeof(via_limits),
				 .max_record = l->tx.cap < VIA_EXPECT_INITIAL ? VIA_EXPECT_INITIAL
									      : l->tx.cap,
				 .max_batch = 1,
				 .max_views = 1,
				 .max_slots = 1,
				 .align = PSHM_ALIGN};
	l->base = (via_link){.ops = &pshm_link_ops,
			     .rx_word = (const volatile uint64_t *)(const volatile void *)l->rx.seq,
			     .rx_seen = l->rx_seq,
			     .caps = pshm_caps,
			     .limits = &l->limits};
	*out = &l->base;
	return VIA_OK;
}
