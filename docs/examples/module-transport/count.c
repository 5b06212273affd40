/* docs/examples/module-transport/count.c - a decorator that counts: when a link closes, the log says
 * what it has carried.
 *
 * "count+uds" puts it in front of a baseline, "uds>count+ring" in front of an upgrade. Every verb goes
 * on to the link inside, and so do the facts about that link: it stays as fast as it was.
 *
 * Threads: the lanes of the link inside; each counter belongs to one of them. Syscalls: none.
 * Peer: does not notice. Wire layout: none.
 */
#include <inttypes.h>
#include <stdio.h>
#include <viaduct/module.h>

/* -- types ------------------------------------------------------------------------------------- */

struct count_self {
	const via_host *h;
};

struct count_lane {
	uint64_t records, bytes;
};

struct count_link {
	via_link base; /* first: the core holds a pointer to this */
	via_link *inner;
	const via_host *h;
	struct count_lane tx, rx;
};

static struct count_link *link_of(via_link *base)
{
	return (struct count_link *)(void *)base;
}

static via_link *inner_of(via_link *base)
{
	return link_of(base)->inner;
}

/* -- send lane --------------------------------------------------------------------------------- */

static via_rc VIA_CALL count_reserve(via_link *base, uint32_t len, via_slot *out)
{
	return inner_of(base)->ops->reserve(inner_of(base), len, out);
}

static via_rc VIA_CALL count_commit(via_link *base, const via_slot *slots, uint32_t n)
{
	struct count_link *l = link_of(base);
	via_rc i, accepted;

	l->inner->tx_more = base->tx_more;
	accepted = l->inner->ops->commit(l->inner, slots, n);
	for (i = 0; i < accepted; i++) {
		if (slots[i].len == VIA_SKIP)
			continue;
		l->tx.records++;
		l->tx.bytes += slots[i].len;
	}
	return accepted;
}

static via_rc VIA_CALL count_send(via_link *base, const via_msg *msgs, uint32_t n)
{
	struct count_link *l = link_of(base);
	via_rc i, accepted;
	uint32_t k;

	l->inner->tx_more = base->tx_more;
	accepted = l->inner->ops->send(l->inner, msgs, n);
	for (i = 0; i < accepted; i++) {
		l->tx.records++;
		for (k = 0; k < msgs[i].n_iov; k++)
			l->tx.bytes += msgs[i].iov[k].len;
	}
	return accepted;
}

static via_rc VIA_CALL count_shutdown(via_link *base)
{
	return inner_of(base)->ops->shutdown(inner_of(base));
}

/* -- receive lane ------------------------------------------------------------------------------ */

static via_rc VIA_CALL count_recv(via_link *base, via_view *out, uint32_t max)
{
	struct count_link *l = link_of(base);
	via_rc i, n = l->inner->ops->recv(l->inner, out, max);

	base->rx_word = l->inner->rx_word; /* it may move with every record */
	base->rx_seen = l->inner->rx_seen;
	for (i = 0; i < n; i++) {
		l->rx.records++;
		l->rx.bytes += out[i].len;
	}
	return n;
}

static void VIA_CALL count_release(via_link *base, const via_view *views, uint32_t n)
{
	inner_of(base)->ops->release(inner_of(base), views, n);
}

static via_rc VIA_CALL count_expect(via_link *base, uint32_t max_record)
{
	inner_of(base)->rx_plain = base->rx_plain;
	return inner_of(base)->ops->expect(inner_of(base), max_record);
}

static via_rc VIA_CALL count_take_handles(via_link *base, const via_view *view, via_handle *out,
					  uint32_t max)
{
	return inner_of(base)->ops->take_handles(inner_of(base), view, out, max);
}

/* -- waiting ----------------------------------------------------------------------------------- */

static via_rc VIA_CALL count_arm(via_link *base, uint32_t events, via_waitobj *out)
{
	return inner_of(base)->ops->arm(inner_of(base), events, out);
}

static void VIA_CALL count_disarm(via_link *base, uint32_t events)
{
	inner_of(base)->ops->disarm(inner_of(base), events);
}

static void VIA_CALL count_abort(via_link *base, via_rc why)
{
	inner_of(base)->ops->abort(inner_of(base), why);
}

/* -- facts and end ----------------------------------------------------------------------------- */

static via_rc VIA_CALL count_peer(via_link *base, via_peer *out)
{
	return inner_of(base)->ops->peer(inner_of(base), out);
}

static const void *VIA_CALL count_get_ext(via_link *base, const char *id)
{
	return inner_of(base)->ops->get_ext(inner_of(base), id);
}

static void VIA_CALL count_close(via_link *base)
{
	struct count_link *l = link_of(base);
	const via_host *h = l->h;
	char text[160];

	l->inner->ops->close(l->inner);
	if (*h->log_level <= VIA_LOG_INFO) {
		(void)snprintf(text, sizeof text,
			       "sent %" PRIu64 " records (%" PRIu64 " bytes), received %" PRIu64
			       " (%" PRIu64 " bytes)",
			       l->tx.records, l->tx.bytes, l->rx.records, l->rx.bytes);
		h->log(h->ctx, VIA_LOG_INFO, text);
	}
	h->free(h->ctx, l);
}

static const via_link_ops count_link_ops = {
	.struct_size = sizeof(via_link_ops),
	.link_size = sizeof(struct count_link),
	.reserve = count_reserve,
	.commit = count_commit,
	.send = count_send,
	.recv = count_recv,
	.release = count_release,
	.arm = count_arm,
	.disarm = count_disarm,
	.abort = count_abort,
	.expect = count_expect,
	.take_handles = count_take_handles,
	.shutdown = count_shutdown,
	.peer = count_peer,
	.get_ext = count_get_ext,
	.close = count_close,
};

/* -- transport --------------------------------------------------------------------------------- */

static via_rc VIA_CALL count_probe(void *self)
{
	(void)self;
	return 1;
}

static via_rc VIA_CALL count_wrap(void *self, via_link *inner, const char *config, via_link **outer)
{
	const via_host *h = ((struct count_self *)self)->h;
	struct count_link *l;

	if (config != NULL)
		return h->fail(h->ctx, VIA_INVAL, 0,
			       "count: expected no configuration, found some");
	l = h->alloc(h->ctx, sizeof *l, _Alignof(struct count_link));
	if (l == NULL)
		return h->fail(h->ctx, VIA_NOMEM, 0, "link");
	l->inner = inner;
	l->h = h;
	l->base = *inner; /* its capabilities, its limits, its word to poll */
	l->base.ops = &count_link_ops;
	l->base.host = NULL;
	l->base.caps &= ~(uint64_t)VIA_CAP_MT_TX; /* the counters are not atomic */
	*outer = &l->base;
	return VIA_OK;
}

static const via_transport count_transport = {
	.struct_size = sizeof(via_transport),
	.roles = VIA_ROLE_DECORATOR,
	.schemes = "count",
	.probe = count_probe,
	.wrap = count_wrap,
};

/* -- module ------------------------------------------------------------------------------------ */

static via_rc VIA_CALL count_init(const via_host *h, const char *config, void **out)
{
	struct count_self *s;

	if (config != NULL)
		return h->fail(h->ctx, VIA_INVAL, 0,
			       "count: expected no configuration, found some");
	s = h->alloc(h->ctx, sizeof *s, _Alignof(struct count_self));
	if (s == NULL)
		return h->fail(h->ctx, VIA_NOMEM, 0, "state of the transport count");
	s->h = h;
	*out = s;
	return VIA_OK;
}

static void VIA_CALL count_fini(void *self)
{
	const via_host *h = ((struct count_self *)self)->h;

	h->free(h->ctx, self);
}

static const via_component count_components[] = {{
	.struct_size = sizeof(via_component),
	.kind = VIA_KIND_TRANSPORT,
	.id = "com.example.count",
	.rev = 1,
	.score = 0, /* only by name */
	.vtable = &count_transport,
}};

static const via_lifecycle count_life = {
	.struct_size = sizeof(via_lifecycle),
	.init = count_init,
	.fini = count_fini,
};

static const via_module_desc count_desc =
	VIA_MODULE_DESC("com.example.count", "1.0.0", "Apache-2.0", VIA_MOD_UNLOADABLE,
			count_components, &count_life);

VIA_MODULE(count, count_desc,
	   "id=com.example.count\0"
	   "version=1.0.0\0"
	   "provides=transport com.example.count/1 score=0 roles=decorator schemes=count\0")
