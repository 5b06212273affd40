/* transports/fault/fault_link.c - passes every verb on to the inner link, except where the plan
 * says else.
 *
 * Threads: the lanes of the inner link. Counters are atomic, everything else belongs to one lane.
 * Syscalls: none. Peer: sees shortened and changed records, or the end. Wire layout: none.
 */
#include "fault.h"
#include <string.h>

struct fault_link {
	via_link base; /* first: the core holds a pointer to this */
	struct fault_self *self;
	via_link *inner;
	struct fault_plan plan;
	via_limits limits;
	_Atomic uint32_t count[FAULT_N_VERBS]; /* FAULT_ANY: of all */
	_Atomic via_rc aborted;                /* by abort(): answered from then on */
	_Atomic via_rc dead;                   /* by the plan: answered from then on */
	_Atomic int over;                      /* the inner link has ended: no more plan */
	uint32_t delay[FAULT_N_VERBS];
	int tx_held, rx_held; /* the lane's last AGAIN was ours: the inner link may be ready */
	/* receive lane: the one view that was changed, as the inner link gave it */
	int edits; /* the plan may change received records: one view at a time */
	int is_edited;
	via_view real;
	uint8_t *copy;
	uint32_t copy_cap;
};

static struct fault_link *link_of(via_link *base)
{
	return (struct fault_link *)(void *)base;
}

static int is_end(via_rc rc)
{
	return rc == VIA_CLOSED || rc == VIA_RESET || rc == VIA_ABORTED;
}

/* The link is over, and the peer gets to see it. */
static via_rc kill_link(struct fault_link *l, via_rc how)
{
	via_rc none = VIA_OK;

	if (atomic_compare_exchange_strong(&l->dead, &none, how))
		l->inner->ops->abort(l->inner, how);
	return atomic_load(&l->dead);
}

/* What the plan wants of this call: VIA_OK (then *item may ask for a change), or the answer. */
static via_rc begin(struct fault_link *l, uint32_t verb, const struct fault_item **item)
{
	uint32_t total = atomic_fetch_add(&l->count[FAULT_ANY], 1) + 1;
	uint32_t n = atomic_fetch_add(&l->count[verb], 1) + 1;
	const struct fault_item *it;
	via_rc rc = atomic_load(&l->aborted);

	*item = NULL;
	if (rc == VIA_OK)
		rc = atomic_load(&l->dead);
	if (rc != VIA_OK || atomic_load(&l->over) != 0)
		return rc;
	if (verb != FAULT_ARM && l->delay[verb] != 0) {
		l->delay[verb]--;
		return VIA_AGAIN;
	}
	it = fault_plan_at(&l->plan, verb, n, total);
	if (it == NULL)
		return VIA_OK;
	switch (it->action) {
	case FAULT_AGAIN:
		return VIA_AGAIN;
	case FAULT_DELAY:
		l->delay[verb] = (uint32_t)it->arg - 1;
		return VIA_AGAIN;
	case FAULT_ERROR:
		return is_end((via_rc)it->arg) ? kill_link(l, (via_rc)it->arg) : (via_rc)it->arg;
	case FAULT_CLOSE:
		return kill_link(l, VIA_RESET);
	case FAULT_SPURIOUS:
		return VIA_BUSY;
	default:
		*item = it;
		return VIA_OK;
	}
}

/* Passes on what the inner link answered. */
static via_rc done(struct fault_link *l, via_rc rc)
{
	via_rc why;

	if (!is_end(rc))
		return rc;
	why = atomic_load(&l->aborted);
	if (why == VIA_OK)
		why = atomic_load(&l->dead);
	atomic_store(&l->over, 1);
	return why != VIA_OK ? why : rc;
}

/* Flips bits of one byte; the same call with the same seed flips the same ones, so twice undoes
 * it. */
static void corrupt(const struct fault_link *l, uint32_t verb, uint8_t *data, uint32_t len)
{
	uint64_t d = fault_draw(l->plan.seed, verb, atomic_load(&l->count[verb]));

	data[(d >> 8) % len] ^= (uint8_t)(d % 255 + 1);
}

static uint32_t shorter(const struct fault_item *it, uint32_t len)
{
	return it->action == FAULT_SHORT && (uint64_t)it->arg < len ? (uint32_t)it->arg : len;
}

/* -- send lane --------------------------------------------------------------------------------- */

static via_rc begin_tx(struct fault_link *l, uint32_t verb, const struct fault_item **item)
{
	via_rc rc = begin(l, verb, item);

	l->tx_held = rc == VIA_AGAIN;
	return rc;
}

static via_rc VIA_CALL fault_reserve(via_link *base, uint32_t len, via_slot *out)
{
	struct fault_link *l = link_of(base);
	const struct fault_item *it;
	via_rc rc = begin_tx(l, FAULT_RESERVE, &it);

	return rc != VIA_OK ? rc : done(l, l->inner->ops->reserve(l->inner, len, out));
}

/* The first slot, changed. 1, or why not, and then it is as it was. */
static via_rc commit_changed(struct fault_link *l, const struct fault_item *it,
			     const via_slot *slot)
{
	via_slot s = *slot;
	int flips =
		it->action == FAULT_CORRUPT && s.len != VIA_SKIP && s.len != 0 && s.len <= s.cap;
	via_rc rc;

	if (s.len != VIA_SKIP)
		s.len = shorter(it, s.len);
	if (flips)
		corrupt(l, FAULT_COMMIT, s.data, s.len);
	rc = l->inner->ops->commit(l->inner, &s, 1);
	if (rc != 1 && flips)
		corrupt(l, FAULT_COMMIT, s.data, s.len);
	return rc;
}

static via_rc VIA_CALL fault_commit(via_link *base, const via_slot *slots, uint32_t n)
{
	struct fault_link *l = link_of(base);
	const struct fault_item *it;
	via_rc rc = begin_tx(l, FAULT_COMMIT, &it);

	if (rc != VIA_OK)
		return rc;
	if (it == NULL || n == 0)
		return done(l, l->inner->ops->commit(l->inner, slots, n));
	rc = commit_changed(l, it, slots);
	if (rc == 1 && n > 1) {
		via_rc more = l->inner->ops->commit(l->inner, slots + 1, n - 1);

		return more > 0 ? more + 1 : 1;
	}
	return done(l, rc);
}

static uint64_t length_of(const via_msg *m)
{
	uint64_t len = 0;
	uint32_t i;

	for (i = 0; i < m->n_iov; i++) {
		if (m->iov[i].len > UINT32_MAX)
			return UINT64_MAX;
		len += m->iov[i].len;
	}
	return len;
}

/* A record of its own, changed. */
static via_rc send_changed(struct fault_link *l, const struct fault_item *it, const via_msg *m)
{
	const via_host *h = l->self->h;
	uint64_t len = length_of(m);
	via_msg changed = *m;
	via_iov iov;
	uint8_t *p;
	uint64_t at = 0;
	uint32_t i;
	via_rc rc;

	if (len == 0 || len > l->limits.max_record)
		return l->inner->ops->send(l->inner, m, 1); /* it knows how to refuse that */
	p = h->alloc(h->ctx, len, 1);
	if (p == NULL)
		return h->fail(h->ctx, VIA_NOMEM, 0, "changed record");
	for (i = 0; i < m->n_iov; i++) {
		if (m->iov[i].len != 0)
			memcpy(p + at, m->iov[i].base, (size_t)m->iov[i].len);
		at += m->iov[i].len;
	}
	if (it->action == FAULT_CORRUPT)
		corrupt(l, FAULT_SEND, p, (uint32_t)len);
	iov = (via_iov){p, shorter(it, (uint32_t)len)};
	changed.iov = &iov;
	changed.n_iov = 1;
	rc = l->inner->ops->send(l->inner, &changed, 1);
	h->free(h->ctx, p);
	return rc;
}

static via_rc VIA_CALL fault_send(via_link *base, const via_msg *msgs, uint32_t n)
{
	struct fault_link *l = link_of(base);
	const struct fault_item *it;
	via_rc rc = begin_tx(l, FAULT_SEND, &it);

	if (rc != VIA_OK)
		return rc;
	if (it == NULL || n == 0)
		return done(l, l->inner->ops->send(l->inner, msgs, n));
	rc = send_changed(l, it, msgs);
	if (rc == 1 && n > 1) {
		via_rc more = l->inner->ops->send(l->inner, msgs + 1, n - 1);

		return more > 0 ? more + 1 : 1;
	}
	return done(l, rc);
}

static via_rc VIA_CALL fault_shutdown(via_link *base)
{
	struct fault_link *l = link_of(base);
	const struct fault_item *it;
	via_rc rc = begin(l, FAULT_SHUTDOWN, &it);

	return rc != VIA_OK ? rc : done(l, l->inner->ops->shutdown(l->inner));
}

/* -- receive lane ------------------------------------------------------------------------------ */

static void edit(struct fault_link *l, const struct fault_item *it, via_view *v)
{
	if (it->action == FAULT_CORRUPT && v->len > l->copy_cap)
		return; /* cannot be: expect() made room for the longest */
	l->real = *v;
	l->is_edited = 1;
	if (it->action == FAULT_CORRUPT) {
		memcpy(l->copy, v->data, v->len);
		corrupt(l, FAULT_RECV, l->copy, v->len);
		v->data = l->copy;
		v->flags &= ~(uint32_t)VIA_VIEW_SHARED;
	}
	v->len = shorter(it, v->len);
}

static via_rc VIA_CALL fault_recv(via_link *base, via_view *out, uint32_t max)
{
	struct fault_link *l = link_of(base);
	const struct fault_item *it;
	via_rc rc = begin(l, FAULT_RECV, &it);

	l->rx_held = rc == VIA_AGAIN;
	if (rc != VIA_OK)
		return rc;
	if (l->edits && max > 1)
		max = 1;
	rc = done(l, l->inner->ops->recv(l->inner, out, max));
	base->rx_word = l->inner->rx_word; /* it may move with every record */
	base->rx_seen = l->inner->rx_seen;
	if (rc > 0 && it != NULL)
		edit(l, it, out);
	return rc;
}

static const via_view *real_view(struct fault_link *l, const via_view *v)
{
	return l->is_edited ? &l->real : v;
}

static void VIA_CALL fault_release(via_link *base, const via_view *views, uint32_t n)
{
	struct fault_link *l = link_of(base);

	if (n == 0)
		return;
	l->inner->ops->release(l->inner, real_view(l, views), n);
	l->is_edited = 0;
}

static via_rc VIA_CALL fault_expect(via_link *base, uint32_t max_record)
{
	struct fault_link *l = link_of(base);
	const via_host *h = l->self->h;
	const struct fault_item *it;
	uint8_t *p = NULL;
	via_rc rc = begin(l, FAULT_EXPECT, &it);

	if (rc != VIA_OK)
		return rc;
	if (l->is_edited)
		return VIA_STATE;
	if (l->copy_cap != 0 && max_record > l->copy_cap) {
		p = h->alloc(h->ctx, max_record, 16);
		if (p == NULL)
			return h->fail(h->ctx, VIA_NOMEM, 0, "copy of a received record");
	}
	l->inner->rx_plain = base->rx_plain;
	rc = done(l, l->inner->ops->expect(l->inner, max_record));
	if (!l->edits)
		l->limits.max_views = l->inner->limits->max_views;
	if (rc == VIA_OK && p != NULL) {
		h->free(h->ctx, l->copy);
		l->copy = p;
		l->copy_cap = max_record;
		p = NULL;
	}
	h->free(h->ctx, p);
	return rc;
}

static via_rc VIA_CALL fault_take_handles(via_link *base, const via_view *view, via_handle *out,
					  uint32_t max)
{
	struct fault_link *l = link_of(base);
	const struct fault_item *it;
	via_rc rc = begin(l, FAULT_HANDLES, &it);

	return rc != VIA_OK ? rc
			    : l->inner->ops->take_handles(l->inner, real_view(l, view), out, max);
}

/* -- waiting ----------------------------------------------------------------------------------- */

static via_rc VIA_CALL fault_arm(via_link *base, uint32_t events, via_waitobj *out)
{
	struct fault_link *l = link_of(base);
	const struct fault_item *it;
	via_rc rc = begin(l, FAULT_ARM, &it);

	if (rc != VIA_OK)
		return rc;
	/* The AGAIN was ours, so nothing may ever happen down there that would end a sleep. */
	if (((events & VIA_EV_RX) != 0 && l->rx_held) || ((events & VIA_EV_TX) != 0 && l->tx_held))
		return VIA_BUSY;
	return done(l, l->inner->ops->arm(l->inner, events, out));
}

static void VIA_CALL fault_disarm(via_link *base, uint32_t events)
{
	struct fault_link *l = link_of(base);

	l->inner->ops->disarm(l->inner, events);
}

static void VIA_CALL fault_abort(via_link *base, via_rc why)
{
	struct fault_link *l = link_of(base);
	via_rc none = VIA_OK;

	atomic_compare_exchange_strong(&l->aborted, &none, why < 0 ? why : VIA_ABORTED);
	l->inner->ops->abort(l->inner, why);
}

/* -- facts and end ----------------------------------------------------------------------------- */

static via_rc VIA_CALL fault_peer(via_link *base, via_peer *out)
{
	struct fault_link *l = link_of(base);
	const struct fault_item *it;
	via_rc rc = begin(l, FAULT_PEER, &it);

	return rc != VIA_OK ? rc : l->inner->ops->peer(l->inner, out);
}

static const void *VIA_CALL fault_get_ext(via_link *base, const char *id)
{
	struct fault_link *l = link_of(base);

	return l->inner->ops->get_ext(l->inner, id);
}

static void VIA_CALL fault_close(via_link *base)
{
	struct fault_link *l = link_of(base);
	const via_host *h = l->self->h;

	l->inner->ops->close(l->inner);
	h->free(h->ctx, l->copy);
	h->free(h->ctx, l);
}

static const via_link_ops fault_link_ops = {
	.struct_size = sizeof(via_link_ops),
	.link_size = sizeof(struct fault_link),
	.reserve = fault_reserve,
	.commit = fault_commit,
	.send = fault_send,
	.recv = fault_recv,
	.release = fault_release,
	.arm = fault_arm,
	.disarm = fault_disarm,
	.abort = fault_abort,
	.expect = fault_expect,
	.take_handles = fault_take_handles,
	.shutdown = fault_shutdown,
	.peer = fault_peer,
	.get_ext = fault_get_ext,
	.close = fault_close,
};

via_rc fault_link_make(struct fault_self *s, via_link *inner, const struct fault_plan *p,
		       via_link **out)
{
	const via_host *h = s->h;
	struct fault_link *l = h->alloc(h->ctx, sizeof *l, _Alignof(struct fault_link));

	if (l == NULL)
		return h->fail(h->ctx, VIA_NOMEM, 0, "link");
	l->self = s;
	l->inner = inner;
	l->plan = *p;
	l->limits = (via_limits){.struct_size = sizeof(via_limits),
				 .max_record = inner->limits->max_record,
				 .max_batch = inner->limits->max_batch,
				 .max_views = inner->limits->max_views,
				 .max_slots = inner->limits->max_slots,
				 .max_handles = inner->limits->max_handles,
				 .align = inner->limits->align};
	if (fault_plan_has(p, FAULT_RECV, FAULT_CORRUPT)) {
		l->copy = h->alloc(h->ctx, VIA_EXPECT_INITIAL, 16);
		if (l->copy == NULL) {
			h->free(h->ctx, l);
			return h->fail(h->ctx, VIA_NOMEM, 0, "copy of a received record");
		}
		l->copy_cap = VIA_EXPECT_INITIAL;
	}
	l->edits = l->copy != NULL || fault_plan_has(p, FAULT_RECV, FAULT_SHORT);
	if (l->edits)
		l->limits.max_views = 1;
	l->base = (via_link){.ops = &fault_link_ops,
			     .rx_word = inner->rx_word,
			     .rx_seen = inner->rx_seen,
			     .caps = inner->caps &
				     ~(uint64_t)VIA_CAP_MORE, /* tx_more stays out here */
			     .limits = &l->limits};
	*out = &l->base;
	return VIA_OK;
}
