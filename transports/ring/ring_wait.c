/* transports/ring/ring_wait.c - sleeping, bells, and how a link ends.
 *
 * Threads: both lanes and abort(). Syscalls: those of the baseline, whose lanes are lent to this link:
 * its receive lane is held under `lock`, its send lane by whoever moved `bells` from 0. Peer: may ring
 * as often as it was asked to and not once more; any other record on the baseline is a breach. Wire
 * layout: docs/wire.md section 20, from which the names of the fences come.
 *
 * A sleeper says so, passes fence F2, looks again, and sleeps on the baseline. A waker publishes, passes
 * fence F1, and looks for sleepers: one of the two sees the other. Bells that were not slept on are
 * drained before the next sleep, but never while the other lane of this link may be asleep: the bell
 * could be its own.
 */
#include "ring.h"
#include <stdarg.h>
#include <stdio.h>

enum { BELL_TRIES = 4, DRAIN_MOST = 64 };

/* -- how it ends ------------------------------------------------------------------------------- */

static via_rc keep_end(struct ring_link *l, via_rc how)
{
	via_rc none = VIA_OK;

	atomic_compare_exchange_strong(&l->end, &none, how);
	return ring_ended(l);
}

via_rc ring_finish(struct ring_link *l)
{
	return keep_end(l, ring_peer_closed(l) ? VIA_CLOSED : VIA_RESET);
}

/* The peer will get nothing more from here, and take nothing more. */
static void say_goodbye(struct ring_link *l)
{
	atomic_store_explicit(&l->tx.control->closed, 1, memory_order_release);
	atomic_store_explicit(&l->rx.control->rx_sleep, RING_GONE, memory_order_release);
}

void VIA_CALL ring_abort(via_link *base, via_rc why)
{
	struct ring_link *l = ring_link_of(base);
	via_rc none = VIA_OK;

	if (why >= 0)
		why = VIA_ABORTED;
	if (!atomic_compare_exchange_strong(&l->aborted, &none, why))
		return;
	say_goodbye(l);
	l->baseline->ops->abort(l->baseline, why); /* sleepers wake, the peer's as well */
}

via_rc ring_breach(struct ring_link *l, const char *fmt, ...)
{
	char text[256];
	via_rc none = VIA_OK;
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (!atomic_compare_exchange_strong(&l->aborted, &none, VIA_PROTO))
		return none;
	l->baseline->ops->abort(l->baseline, VIA_PROTO);
	return l->self->h->fail(l->self->h->ctx, VIA_PROTO, 0, text);
}

/* -- bells ------------------------------------------------------------------------------------- */

/* A full queue is as good as one more bell in it. Other refusals are tried again: a bell that is lost
 * is a peer that never wakes. */
static via_rc ring_once(struct ring_link *l)
{
	static const uint8_t bell = RING_BELL;
	const via_iov part = {&bell, sizeof bell};
	const via_msg m = {.iov = &part, .n_iov = 1};
	via_rc rc = VIA_AGAIN;
	int i;

	for (i = 0; i < BELL_TRIES; i++) {
		rc = l->baseline->ops->send(l->baseline, &m, 1);
		if (rc == 1 || rc == VIA_CLOSED || rc == VIA_RESET)
			break;
	}
	return rc == 1 || rc == VIA_AGAIN ? VIA_OK : rc;
}

/* Both lanes may want to ring: who comes second leaves it to the first, so that one thread at a time
 * sends on the baseline. */
static via_rc ring_bell(struct ring_link *l)
{
	uint32_t asked = 1;
	via_rc rc;

	if (atomic_fetch_add(&l->bells, 1) != 0)
		return VIA_OK;
	do
		rc = ring_once(l);
	while (!atomic_compare_exchange_strong(&l->bells, &asked, 0));
	if (rc == VIA_OK)
		return rc;
	if (rc == VIA_CLOSED || rc == VIA_RESET)
		return ring_finish(l);
	rc = keep_end(l, rc);
	l->baseline->ops->abort(l->baseline,
				rc); /* no bell can be rung: this is what still wakes */
	return rc;
}

via_rc ring_wake(struct ring_link *l, _Atomic uint32_t *flag)
{
	uint32_t seen = RING_ASLEEP;

	if (atomic_compare_exchange_strong(flag, &seen, RING_AWAKE))
		return ring_bell(l);
	return seen == RING_GONE ? ring_finish(l) : VIA_OK;
}

void ring_leave(struct ring_link *l)
{
	(void)ring_publish_head(&l->rx);
	say_goodbye(l);
	ring_fence();
	(void)ring_wake(l, &l->tx.control->rx_sleep);
	(void)ring_wake(l, &l->rx.control->tx_sleep);
}

/* -- arming: everything here under the lock ---------------------------------------------------- */

static _Atomic uint32_t *flag_of(struct ring_link *l, uint32_t event)
{
	return event == VIA_EV_RX ? &l->rx.control->rx_sleep : &l->tx.control->tx_sleep;
}

/* Takes one record from the baseline: VIA_OK, VIA_AGAIN when there is none, or a breach. */
static via_rc drain_one(struct ring_link *l)
{
	via_link *b = l->baseline;
	via_view v;
	via_rc rc = b->ops->recv(b, &v, 1);
	uint32_t len;
	uint8_t byte = 0;

	if (rc == 0)
		return VIA_AGAIN;
	if (rc == VIA_CLOSED || rc == VIA_RESET) {
		atomic_store_explicit(&l->baseline_ended, 1, memory_order_release);
		return VIA_AGAIN;
	}
	if (rc < 0)
		return rc;
	len = v.len;
	if (len != 0)
		byte = *(const uint8_t *)v.data;
	b->ops->release(b, &v, 1);
	if (len != 1 || byte != RING_BELL)
		return ring_breach(l,
				   "record on the baseline: expected one byte 0x%02x, found %u "
				   "bytes, the first 0x%02x",
				   RING_BELL, len, byte);
	if (l->due == 0)
		return ring_breach(l, "a bell that nobody asked for");
	l->due--;
	return VIA_OK;
}

/* Looks at the baseline at least once, because its end is to be seen too; then for the bells due. */
static via_rc drain(struct ring_link *l)
{
	via_rc rc;
	int i = 0;

	do
		rc = drain_one(l);
	while (rc == VIA_OK && l->due != 0 && ++i < DRAIN_MOST);
	return rc == VIA_AGAIN ? VIA_OK : rc;
}

static void say_asleep(struct ring_link *l, uint32_t event)
{
	uint32_t awake = RING_AWAKE;

	if (atomic_compare_exchange_strong(flag_of(l, event), &awake, RING_ASLEEP))
		l->due++;
	l->armed |= event;
}

/* If somebody else has turned the flag a bell is on its way, and stays due. */
static void say_awake(struct ring_link *l, uint32_t event)
{
	uint32_t asleep = RING_ASLEEP;

	if (atomic_compare_exchange_strong(flag_of(l, event), &asleep, RING_AWAKE) && l->due != 0)
		l->due--;
	l->armed &= ~event;
}

static via_rc enter(struct ring_link *l, uint32_t events, via_waitobj *out)
{
	via_link *b = l->baseline;
	via_rc rc;

	if (l->armed == 0) {
		rc = drain(l);
		if (rc != VIA_OK)
			return rc;
		if (atomic_load_explicit(&l->baseline_ended, memory_order_relaxed))
			return VIA_OK; /* nothing to sleep on, and no need: look() says so */
		l->object = (via_waitobj){.struct_size = sizeof l->object};
		rc = b->ops->arm(b, VIA_EV_RX, &l->object);
		if (rc != VIA_OK)
			return rc;
	}
	if ((events & VIA_EV_RX) != 0)
		say_asleep(l, VIA_EV_RX);
	if ((events & VIA_EV_TX) != 0)
		say_asleep(l, VIA_EV_TX);
	out->kind = l->object.kind;
	out->handle = l->object.handle;
	out->fd_events = l->object.fd_events;
	return VIA_OK;
}

/* -- verbs ------------------------------------------------------------------------------------- */

/* After everybody can see that this side sleeps: is there a reason not to? VIA_AGAIN: none. */
static via_rc look(struct ring_link *l, uint32_t events)
{
	int ended = atomic_load_explicit(&l->baseline_ended, memory_order_acquire);
	via_rc rc = ring_ended(l);

	if ((events & VIA_EV_RX) != 0 &&
	    (ring_has_record(&l->rx) || (rc == VIA_OK && ring_peer_closed(l))))
		return VIA_BUSY;
	if (rc != VIA_OK)
		return rc;
	if (ended)
		return ring_finish(l);
	if ((events & VIA_EV_TX) == 0)
		return VIA_AGAIN;
	if (atomic_load_explicit(&l->tx.control->rx_sleep, memory_order_acquire) == RING_GONE)
		return ring_finish(l);
	rc = ring_room(l, l->tx.want);
	return rc == VIA_OK ? VIA_BUSY : rc;
}

via_rc VIA_CALL ring_arm(via_link *base, uint32_t events, via_waitobj *out)
{
	struct ring_link *l = ring_link_of(base);
	via_rc rc = atomic_load_explicit(&l->aborted, memory_order_acquire);

	if (rc == VIA_OK && ((events & VIA_EV_RX) == 0 || l->rx.drained))
		rc = ring_ended(l);
	if (rc != VIA_OK)
		return rc;
	pthread_mutex_lock(&l->lock);
	rc = enter(l, events, out);
	pthread_mutex_unlock(&l->lock);
	if (rc != VIA_OK && rc != VIA_BUSY)
		return rc;
	if ((events & VIA_EV_RX) != 0)
		(void)ring_publish_head(&l->rx);
	ring_fence(); /* F2, and F1 for the room just told of */
	if ((events & VIA_EV_RX) != 0 &&
	    atomic_load_explicit(&l->rx.control->tx_sleep, memory_order_relaxed) != RING_AWAKE)
		(void)ring_wake(l, &l->rx.control->tx_sleep);
	if ((events & VIA_EV_TX) != 0 && l->tx.owed != 0)
		(void)ring_announce(l); /* or both sides would sleep */
	rc = rc == VIA_BUSY ? rc : look(l, events);
	if (rc == VIA_AGAIN)
		return VIA_OK;
	ring_disarm(base, events);
	return rc;
}

void VIA_CALL ring_disarm(via_link *base, uint32_t events)
{
	struct ring_link *l = ring_link_of(base);

	pthread_mutex_lock(&l->lock);
	events &= l->armed;
	if ((events & VIA_EV_RX) != 0)
		say_awake(l, VIA_EV_RX);
	if ((events & VIA_EV_TX) != 0)
		say_awake(l, VIA_EV_TX);
	if (events != 0 && l->armed == 0)
		l->baseline->ops->disarm(l->baseline, VIA_EV_RX);
	pthread_mutex_unlock(&l->lock);
}
