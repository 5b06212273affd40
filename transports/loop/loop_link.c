/* transports/loop/loop_link.c - one end of a pair as a link.
 *
 * Threads: both lanes of both ends and abort() may run at once. Syscalls: only to wake somebody who
 * sleeps, and to close handles. Peer: this process. Wire layout: none.
 *
 * The pair is freed when its second end closes, so either end may look at the other at any time.
 * How a link ends: the first CLOSED that a verb sees is kept in `end`; recv() first hands out what
 * is in the ring. abort() stands above that.
 */
#include "loop.h"
#include <string.h>

enum { BOTH = VIA_EV_RX | VIA_EV_TX };

static struct loop_end *end_of(via_link *base)
{
	return (struct loop_end *)(void *)base;
}

/* Keeps CLOSED and answers what counts. */
static via_rc finish(struct loop_end *e)
{
	via_rc none = VIA_OK;
	via_rc why;

	atomic_compare_exchange_strong(&e->end, &none, VIA_CLOSED);
	why = atomic_load(&e->aborted);
	return why != VIA_OK ? why : atomic_load(&e->end);
}

static via_rc ended(struct loop_end *e)
{
	via_rc why = atomic_load_explicit(&e->aborted, memory_order_acquire);

	return why != VIA_OK ? why : atomic_load_explicit(&e->end, memory_order_acquire);
}

/* -- send lane --------------------------------------------------------------------------------- */

static via_rc tx_ready(struct loop_end *e)
{
	via_rc rc = ended(e);

	if (rc != VIA_OK)
		return rc;
	if (e->tx_shut)
		return VIA_STATE;
	return atomic_load_explicit(&e->out->reader_left, memory_order_acquire) != 0 ? finish(e)
										     : VIA_OK;
}

static via_rc VIA_CALL loop_reserve(via_link *base, uint32_t len, via_slot *out)
{
	struct loop_end *e = end_of(base);
	via_rc rc = tx_ready(e);

	if (rc != VIA_OK)
		return rc;
	if (len == 0)
		return VIA_INVAL;
	if (len > e->out->max_record)
		return VIA_TOOBIG;
	return loop_ring_reserve(e->out, len, out);
}

static via_rc VIA_CALL loop_commit(via_link *base, const via_slot *slots, uint32_t n)
{
	struct loop_end *e = end_of(base);
	via_rc rc = tx_ready(e);

	if (rc != VIA_OK)
		return rc;
	rc = loop_ring_commit(e->out, slots, n);
	if (rc > 0)
		loop_bell_ring(&e->peer->bell, VIA_EV_RX);
	return rc;
}

static via_rc VIA_CALL loop_send(via_link *base, const via_msg *msgs, uint32_t n)
{
	struct loop_end *e = end_of(base);
	via_rc rc = tx_ready(e);
	uint32_t i;

	if (rc != VIA_OK)
		return rc;
	if (e->out->n_slots != 0) /* would overtake the slots */
		return VIA_STATE;
	for (i = 0; i < n && rc == VIA_OK; i++)
		rc = loop_ring_put(e->out, &msgs[i]);
	if (rc != VIA_OK)
		i--;
	if (i != 0) {
		loop_bell_ring(&e->peer->bell, VIA_EV_RX);
		return (via_rc)i;
	}
	return rc;
}

static via_rc VIA_CALL loop_shutdown(via_link *base)
{
	struct loop_end *e = end_of(base);
	via_rc rc = ended(e);

	if (rc != VIA_OK || e->tx_shut)
		return rc;
	e->tx_shut = 1;
	atomic_store(&e->out->writer_left, 1);
	loop_bell_fire(&e->peer->bell, BOTH);
	return VIA_OK;
}

/* -- receive lane ------------------------------------------------------------------------------ */

static via_rc VIA_CALL loop_recv(via_link *base, via_view *out, uint32_t max)
{
	struct loop_end *e = end_of(base);
	struct loop_ring *r = e->in;
	via_rc why = atomic_load_explicit(&e->aborted, memory_order_acquire);
	uint32_t left, n;

	if (why != VIA_OK)
		return why;
	if (e->drained)
		return ended(e);
	if (r->n_views == LOOP_MAX_VIEWS)
		return VIA_LIMIT;
	if (max == 0)
		return VIA_INVAL;
	left = atomic_load(&r->writer_left); /* before the look: what it wrote is then visible */
	n = loop_ring_get(r, out, max);
	base->rx_seen = r->next;
	if (n != 0)
		return (via_rc)n;
	if (left == 0) {
		loop_bell_ring(&e->peer->bell, VIA_EV_TX); /* skipped slots may have made room */
		return VIA_AGAIN;
	}
	e->drained = 1;
	return finish(e);
}

static void VIA_CALL loop_release(via_link *base, const via_view *views, uint32_t n)
{
	struct loop_end *e = end_of(base);

	loop_ring_release(e->in, views, n);
	loop_bell_ring(&e->peer->bell, VIA_EV_TX);
}

static via_rc VIA_CALL loop_expect(via_link *base, uint32_t max_record)
{
	struct loop_end *e = end_of(base);

	if (e->in->n_views != 0)
		return VIA_STATE;
	if (max_record == 0)
		return VIA_INVAL;
	e->in->expected = max_record;
	return VIA_OK;
}

static via_rc VIA_CALL loop_take_handles(via_link *base, const via_view *view, via_handle *out,
					 uint32_t max)
{
	return loop_ring_take(end_of(base)->in, view, out, max);
}

/* -- waiting ----------------------------------------------------------------------------------- */

static int is_ready(struct loop_end *e, uint32_t events)
{
	if ((events & VIA_EV_RX) != 0 &&
	    (loop_ring_has_record(e->in) || atomic_load(&e->in->writer_left) != 0))
		return 1;
	return (events & VIA_EV_TX) != 0 &&
	       (loop_ring_has_room(e->out) || atomic_load(&e->out->reader_left) != 0);
}

static via_rc VIA_CALL loop_arm(via_link *base, uint32_t events, via_waitobj *out)
{
	struct loop_end *e = end_of(base);
	int reads = (events & VIA_EV_RX) != 0;
	via_rc rc;

	atomic_fetch_or(&e->bell.armed, events & BOTH);
	rc = atomic_load(&e->aborted);
	if (rc == VIA_OK && (!reads || e->drained))
		rc = atomic_load(&e->end);
	if (rc == VIA_OK && is_ready(e, events))
		rc = VIA_BUSY;
	if (rc != VIA_OK) {
		/* Nobody will sleep, so nobody will disarm. A bell that has rung already is
		 * heard once more. */
		atomic_fetch_and(&e->bell.armed, ~(events & BOTH));
		return rc;
	}
	loop_event_object(e->bell.event, out);
	return VIA_OK;
}

static void VIA_CALL loop_disarm(via_link *base, uint32_t events)
{
	loop_bell_disarm(&end_of(base)->bell, events & BOTH);
}

/* No more records either way, and everybody who sleeps looks again. */
static void leave(struct loop_end *e)
{
	atomic_store(&e->out->writer_left, 1);
	atomic_store(&e->in->reader_left, 1);
	loop_bell_fire(&e->peer->bell, BOTH);
}

static void VIA_CALL loop_abort(via_link *base, via_rc why)
{
	struct loop_end *e = end_of(base);
	via_rc none = VIA_OK;

	if (!atomic_compare_exchange_strong(&e->aborted, &none, why < 0 ? why : VIA_ABORTED))
		return;
	leave(e);
	loop_bell_fire(&e->bell, BOTH);
}

/* -- facts and end ----------------------------------------------------------------------------- */

static via_rc VIA_CALL loop_peer(via_link *base, via_peer *out)
{
	(void)base;
	if (!VIA_HAS(out, via_peer, label))
		return VIA_INVAL;
	loop_self_facts(out);
	return VIA_OK;
}

static const void *VIA_CALL loop_get_ext(via_link *base, const char *id)
{
	(void)base;
	(void)id;
	return NULL;
}

static void pair_free(struct loop_pair *p)
{
	const via_host *h = p->self->h;
	int i;

	for (i = 0; i < 2; i++) {
		if (p->ring[i].data != NULL)
			loop_ring_drain(&p->ring[i]);
		h->free(h->ctx, p->ring[i].data);
		loop_event_close(p->end[i].bell.event);
	}
	h->free(h->ctx, p);
}

void VIA_CALL loop_close(via_link *base)
{
	struct loop_end *e = end_of(base);

	leave(e);
	if (atomic_fetch_sub(&e->pair->open, 1) == 1)
		pair_free(e->pair);
}

static const via_link_ops loop_link_ops = {
	.struct_size = sizeof(via_link_ops),
	.link_size = sizeof(struct loop_end),
	.reserve = loop_reserve,
	.commit = loop_commit,
	.send = loop_send,
	.recv = loop_recv,
	.release = loop_release,
	.arm = loop_arm,
	.disarm = loop_disarm,
	.abort = loop_abort,
	.expect = loop_expect,
	.take_handles = loop_take_handles,
	.shutdown = loop_shutdown,
	.peer = loop_peer,
	.get_ext = loop_get_ext,
	.close = loop_close,
};

static via_rc end_init(struct loop_pair *p, int i)
{
	const via_host *h = p->self->h;
	struct loop_end *e = &p->end[i];
	uint8_t *data = h->alloc(h->ctx, loop_ring_size(p->limits.max_record), LOOP_ALIGN);

	if (data == NULL)
		return h->fail(h->ctx, VIA_NOMEM, 0, "ring of a loop link");
	loop_ring_init(&p->ring[i], data, p->limits.max_record);
	e->pair = p;
	e->peer = &p->end[!i];
	e->out = &p->ring[i];
	e->in = &p->ring[!i];
	e->base = (via_link){.ops = &loop_link_ops,
			     .rx_word =
				     (const volatile uint64_t *)(const volatile void *)&e->in->head,
			     .caps = VIA_CAP_RELIABLE | VIA_CAP_PIPELINE | VIA_CAP_HANDLES |
				     VIA_CAP_PEERCRED | VIA_CAP_HUP | VIA_CAP_POLLABLE |
				     VIA_CAP_ZC_TX | VIA_CAP_ZC_RX,
			     .limits = &p->limits};
	return loop_event_open(p->self, &e->bell.event);
}

via_rc loop_pair_make(struct loop_self *s, uint32_t max_record, struct loop_pair **out)
{
	struct loop_pair *p = s->h->alloc(s->h->ctx, sizeof *p, _Alignof(struct loop_pair));
	via_rc rc;

	if (p == NULL)
		return s->h->fail(s->h->ctx, VIA_NOMEM, 0, "pair of loop links");
	p->self = s;
	p->limits = (via_limits){.struct_size = sizeof(via_limits),
				 .max_record = max_record,
				 .max_batch = LOOP_MAX_BATCH,
				 .max_views = LOOP_MAX_VIEWS,
				 .max_slots = LOOP_MAX_SLOTS,
				 .max_handles = LOOP_MAX_HANDLES,
				 .align = LOOP_ALIGN};
	p->end[0].bell.event = p->end[1].bell.event = LOOP_NO_EVENT;
	atomic_store(&p->open, 2);
	rc = end_init(p, 0);
	if (rc == VIA_OK)
		rc = end_init(p, 1);
	if (rc != VIA_OK) {
		pair_free(p);
		return rc;
	}
	*out = p;
	return VIA_OK;
}
