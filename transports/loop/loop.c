/* transports/loop/loop.c - both ends in one process: for tests and for services inside their
 * caller.
 *
 * Threads: any; the list of listeners and their queues are behind one short spin lock. Syscalls:
 * events only (loop_posix.c, loop_windows.c). Peer: this process. Wire layout: none.
 */
#include "loop.h"
#include <stdio.h>
#include <string.h>

struct loop_listener {
	via_listener base; /* first: the core holds a pointer to this */
	struct loop_self *self;
	struct loop_listener *next;
	struct loop_config cfg;
	int64_t event; /* set while the queue is not empty, once somebody has asked for it */
	int is_watched;
	uint32_t first, count;    /* of queue, a ring of cfg.backlog entries */
	struct loop_end **queue;  /* accepted ends nobody has taken yet */
	const char *ns, *service; /* behind each other in name */
	char name[];
};

static struct loop_listener *listener_of(via_listener *base)
{
	return (struct loop_listener *)(void *)base;
}

static void lock(struct loop_self *s)
{
	while (atomic_flag_test_and_set_explicit(&s->lock, memory_order_acquire))
		loop_yield();
}

static void unlock(struct loop_self *s)
{
	atomic_flag_clear_explicit(&s->lock, memory_order_release);
}

/* -- addresses --------------------------------------------------------------------------------- */

static const char *ns_of(const via_address *a)
{
	return a->ns == NULL ? "" : a->ns;
}

/* Called with the lock. */
static struct loop_listener *find(const struct loop_self *s, const via_address *a)
{
	struct loop_listener *l;

	for (l = s->listeners; l != NULL; l = l->next)
		if (strcmp(l->ns, ns_of(a)) == 0 && strcmp(l->service, a->service) == 0)
			break;
	return l;
}

static via_rc check_address(const struct loop_self *s, const via_address *a)
{
	if (a->service == NULL || a->service[0] == '\0')
		return s->h->fail(s->h->ctx, VIA_INVAL, 0,
				  "service name: expected at least one character, found none");
	return VIA_OK;
}

static via_rc fail_at(const struct loop_self *s, via_rc rc, const via_address *a, const char *what)
{
	char text[512];

	(void)snprintf(text, sizeof text, "%.127s in \"%.255s\": %s", a->service, ns_of(a), what);
	return s->h->fail(s->h->ctx, rc, 0, text);
}

/* -- dial -------------------------------------------------------------------------------------- */

/* Called with the lock. */
static via_rc enqueue(struct loop_listener *l, struct loop_end *e)
{
	if (l->count == l->cfg.backlog)
		return VIA_AGAIN;
	l->queue[(l->first + l->count) % l->cfg.backlog] = e;
	l->count++;
	if (l->is_watched)
		loop_event_set(l->event);
	return VIA_OK;
}

static via_rc VIA_CALL loop_dial(void *self, const via_address *a, via_link **out)
{
	struct loop_self *s = self;
	struct loop_config cfg = {0};
	struct loop_listener *l;
	struct loop_pair *p = NULL;
	via_rc rc = loop_config_read(s, a->config, &cfg);

	if (rc == VIA_OK)
		rc = check_address(s, a);
	if (rc != VIA_OK)
		return rc;
	lock(s);
	l = find(s, a);
	if (l != NULL && cfg.record == 0)
		cfg.record = l->cfg.record;
	unlock(s);
	if (l == NULL)
		return fail_at(s, VIA_UNREACH, a, "nobody listens there in this process");
	rc = loop_pair_make(s, cfg.record, &p);
	if (rc != VIA_OK)
		return rc;
	lock(s);
	l = find(s, a); /* may have gone meanwhile */
	rc = l == NULL ? VIA_UNREACH : enqueue(l, &p->end[1]);
	unlock(s);
	if (rc != VIA_OK) {
		loop_close(&p->end[1].base);
		loop_close(&p->end[0].base);
		return rc == VIA_UNREACH ? fail_at(s, rc, a, "nobody listens there in this process")
					 : rc;
	}
	*out = &p->end[0].base;
	return VIA_OK;
}

/* -- listener ---------------------------------------------------------------------------------- */

static via_rc VIA_CALL loop_accept(via_listener *base, via_link **out)
{
	struct loop_listener *l = listener_of(base);
	struct loop_end *e = NULL;

	lock(l->self);
	if (l->count != 0) {
		e = l->queue[l->first];
		l->first = (l->first + 1) % l->cfg.backlog;
		l->count--;
		if (l->count == 0 && l->is_watched)
			loop_event_clear(l->event);
	}
	unlock(l->self);
	if (e == NULL)
		return VIA_AGAIN;
	*out = &e->base;
	return VIA_OK;
}

static via_rc VIA_CALL loop_listener_arm(via_listener *base, via_waitobj *out)
{
	struct loop_listener *l = listener_of(base);
	int busy;

	lock(l->self);
	busy = l->count != 0;
	if (busy && !l->is_watched)
		loop_event_set(l->event);
	l->is_watched = 1;
	unlock(l->self);
	if (busy)
		return VIA_BUSY;
	loop_event_object(l->event, out);
	return VIA_OK;
}

static via_rc VIA_CALL loop_address(via_listener *base, char *buf, uint32_t cap)
{
	const struct loop_listener *l = listener_of(base);
	size_t need = strlen("loop:") + strlen(l->ns) + 1 + strlen(l->service) + 1;

	if (need <= cap)
		(void)snprintf(buf, cap, "loop:%s/%s", l->ns, l->service);
	return (via_rc)need;
}

static void listener_free(struct loop_listener *l)
{
	const via_host *h = l->self->h;

	loop_event_close(l->event);
	h->free(h->ctx, l->queue);
	h->free(h->ctx, l);
}

static void VIA_CALL loop_listener_close(via_listener *base)
{
	struct loop_listener *l = listener_of(base);
	struct loop_self *s = l->self;
	struct loop_listener **at;

	lock(s);
	for (at = &s->listeners; *at != l; at = &(*at)->next)
		;
	*at = l->next;
	unlock(s);
	for (; l->count != 0; l->count--) { /* whoever dialled these sees CLOSED */
		loop_close(&l->queue[l->first]->base);
		l->first = (l->first + 1) % l->cfg.backlog;
	}
	listener_free(l);
}

static const via_listener_ops loop_listener_ops = {
	.struct_size = sizeof(via_listener_ops),
	.listener_size = sizeof(struct loop_listener),
	.accept = loop_accept,
	.arm = loop_listener_arm,
	.address = loop_address,
	.close = loop_listener_close,
};

static via_rc listener_make(struct loop_self *s, const via_address *a,
			    const struct loop_config *cfg, struct loop_listener **out)
{
	const via_host *h = s->h;
	size_t ns = strlen(ns_of(a)) + 1;
	size_t service = strlen(a->service) + 1;
	struct loop_listener *l =
		h->alloc(h->ctx, sizeof *l + ns + service, _Alignof(struct loop_listener));
	via_rc rc;

	if (l == NULL)
		return h->fail(h->ctx, VIA_NOMEM, 0, "listener");
	l->base.ops = &loop_listener_ops;
	l->self = s;
	l->cfg = *cfg;
	l->event = LOOP_NO_EVENT;
	memcpy(l->name, ns_of(a), ns);
	memcpy(l->name + ns, a->service, service);
	l->ns = l->name;
	l->service = l->name + ns;
	l->queue = h->alloc(h->ctx, cfg->backlog * sizeof *l->queue, _Alignof(struct loop_end *));
	rc = l->queue == NULL ? h->fail(h->ctx, VIA_NOMEM, 0, "queue of a listener")
			      : loop_event_open(s, &l->event);
	if (rc != VIA_OK) {
		listener_free(l);
		return rc;
	}
	*out = l;
	return VIA_OK;
}

static via_rc VIA_CALL loop_listen(void *self, const via_address *a, via_listener **out)
{
	struct loop_self *s = self;
	struct loop_config cfg = s->defaults;
	struct loop_listener *l = NULL;
	int taken;
	via_rc rc = loop_config_read(s, a->config, &cfg);

	if (rc == VIA_OK)
		rc = check_address(s, a);
	if (rc == VIA_OK)
		rc = listener_make(s, a, &cfg, &l);
	if (rc != VIA_OK)
		return rc;
	lock(s);
	taken = find(s, a) != NULL;
	if (!taken) {
		l->next = s->listeners;
		s->listeners = l;
	}
	unlock(s);
	if (taken) {
		listener_free(l);
		return fail_at(s, VIA_EXISTS, a, "somebody in this process listens there already");
	}
	*out = &l->base;
	return VIA_OK;
}

/* -- module ------------------------------------------------------------------------------------ */

static via_rc VIA_CALL loop_probe(void *self)
{
	(void)self;
	return 1;
}

static via_rc VIA_CALL loop_init(const via_host *h, const char *config, void **out)
{
	struct loop_self *s = h->alloc(h->ctx, sizeof *s, _Alignof(struct loop_self));
	via_rc rc;

	if (s == NULL)
		return h->fail(h->ctx, VIA_NOMEM, 0, "state of the loop transport");
	s->h = h;
	s->gate = h->get_ext(h->ctx, VIA_EXT_SYSGATE);
	s->defaults = (struct loop_config){LOOP_RECORD, LOOP_BACKLOG};
	atomic_flag_clear(&s->lock);
	rc = loop_config_read(s, config, &s->defaults);
	if (rc != VIA_OK) {
		h->free(h->ctx, s);
		return rc;
	}
	*out = s;
	return VIA_OK;
}

static void VIA_CALL loop_fini(void *self)
{
	struct loop_self *s = self;

	s->h->free(s->h->ctx, s);
}

static const via_transport loop_transport = {
	.struct_size = sizeof(via_transport),
	.roles = VIA_ROLE_BASELINE,
	.profiles = 0x1,
	.caps = VIA_CAP_RELIABLE | VIA_CAP_PIPELINE | VIA_CAP_HANDLES | VIA_CAP_PEERCRED |
		VIA_CAP_HUP | VIA_CAP_POLLABLE | VIA_CAP_ZC_TX | VIA_CAP_ZC_RX,
	.schemes = "loop",
	.probe = loop_probe,
	.listen = loop_listen,
	.dial = loop_dial,
};

static const via_component loop_components[] = {
	{sizeof(via_component), VIA_KIND_TRANSPORT, "org.viaduct.loop", 1, 0, &loop_transport},
};

static const via_lifecycle loop_life = {
	.struct_size = sizeof(via_lifecycle),
	.init = loop_init,
	.fini = loop_fini,
};

static const via_module_desc loop_desc =
	VIA_MODULE_DESC("org.viaduct.loop", "1.0.0", "Apache-2.0", VIA_MOD_UNLOADABLE,
			loop_components, &loop_life);

VIA_MODULE(
	loop, loop_desc,
	"id=org.viaduct.loop\0"
	"version=1.0.0\0"
	"provides=transport org.viaduct.loop/1 score=0 roles=baseline profiles=0x1 schemes=loop\0")
