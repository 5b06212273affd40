/* tests/link/rig_upgrade.c - the rig's stacks with an upgrade: the handshake's part of it, waiting on
 * two links at once, and the end. What core/session does, in small. */
#include "rig.h"
#include "rig_os.h"
#include <stdlib.h>

enum {
	MAX_REQUEST = 100000, /* longest records of an upgraded link */
	MAX_RESPONSE = 70000,
	MAX_HANDLES = 4
};
#define WATCH_SLICE (100 * RIG_MS)

/* What the rig keeps of an upgraded link; its host pointer leads here. */
struct under {
	via_link *base;
	_Atomic int watched; /* one lane sleeps on the baseline too */
};

static struct under *under(const via_link *l)
{
	return l->host;
}

via_link *rig_base(via_link *l)
{
	return under(l) != NULL ? under(l)->base : l;
}

const via_transport *rig_transport(const rig *r)
{
	return r->n_up != 0 ? r->up[0].t : r->layer[0].t;
}

int rig_pipelines(const rig *r)
{
	return (r->a->caps & VIA_CAP_PIPELINE) != 0;
}

int rig_hears_the_end(const via_link *l)
{
	return (l->caps & VIA_CAP_HUP) != 0;
}

void rig_answer(rig *r)
{
	if (rig_pipelines(r))
		return;
	cr_assert_eq(rig_put(r->b, "\x1f", 1), VIA_OK);
	rig_expect_record(r->a, 1, 1);
}

/* -- beginning --------------------------------------------------------------------------------- */

static via_upgrade facts(const rig *r, via_link *base, via_handle *h, uint32_t n)
{
	uint32_t profiles = r->up[0].t->profiles;

	return (via_upgrade){.struct_size = sizeof(via_upgrade),
			     .profile = r->profile != 0 ? r->profile : profiles & (0u - profiles),
			     .ns = r->dir,
			     .service = "svc",
			     .session_id = r->session_id,
			     .auth_token = 0x5ec2e7,
			     .max_request = MAX_REQUEST,
			     .max_response = MAX_RESPONSE,
			     .baseline = base,
			     .handles = h,
			     .n_handles = n,
			     .cap_handles = MAX_HANDLES};
}

static void close_handles(const via_handle *h, uint32_t n)
{
	while (n > 0)
		rig_handle_close(&h[--n]);
}

/* Decorates a data link and ties its baseline to it. On failure it is closed, the baseline is not. */
static via_rc settle(const rig *r, via_link *base, via_link **data)
{
	struct under *u;
	via_rc rc = rig_wrap(r, r->up, r->n_up, data);

	if (rc != VIA_OK)
		return rc;
	u = calloc(1, sizeof *u);
	cr_assert_not_null(u);
	u->base = base;
	(*data)->host = u;
	return VIA_OK;
}

/* The answer to HELLO, as far as upgrades care: one record that carries the handles. */
static via_rc send_handles(via_link *base, via_handle *h, uint32_t n)
{
	via_iov iov = {"ack", 3};
	via_msg m = {.iov = &iov, .n_iov = 1, .n_handles = n, .handles = h};
	via_time deadline = rig_now() + RIG_SOON;
	via_rc rc;

	do
		rc = base->ops->send(base, &m, 1);
	while ((rc == VIA_AGAIN || rc == 0) &&
	       (rc = rig_wait(base, VIA_EV_TX, deadline)) == VIA_OK);
	if (rc == 1)
		return VIA_OK;
	close_handles(h, n);
	return rc;
}

static via_rc provision(const rig *r, via_link *base, via_link **out)
{
	const rig_layer *up = &r->up[0];
	via_handle h[MAX_HANDLES];
	via_upgrade u = facts(r, base, h, 0);
	via_rc rc = up->t->provision(up->self, &u, out);

	if (rc != VIA_OK)
		return rc;
	cr_assert_leq(u.n_handles, MAX_HANDLES);
	rc = settle(r, base, out);
	if (rc != VIA_OK) {
		close_handles(h, u.n_handles);
		return rc;
	}
	rc = send_handles(base, h, u.n_handles);
	if (rc == VIA_OK)
		return rc;
	free((*out)->host);
	(*out)->ops->close(*out);
	return rc;
}

static via_rc receive_handles(via_link *base, via_handle *h, uint32_t *n)
{
	via_view v;
	via_rc rc = rig_get(base, &v);

	if (rc != 1)
		return rc;
	rc = 0;
	if ((v.flags & VIA_VIEW_HANDLES) != 0)
		rc = base->ops->take_handles(base, &v, h, MAX_HANDLES);
	base->ops->release(base, &v, 1);
	if (rc < 0)
		return rc;
	*n = (uint32_t)rc;
	return VIA_OK;
}

static via_rc attach(const rig *r, via_link *base, via_link **out)
{
	const rig_layer *up = &r->up[0];
	via_time deadline = rig_now() + RIG_SOON;
	via_handle h[MAX_HANDLES];
	via_upgrade u;
	uint32_t n = 0;
	via_rc rc = receive_handles(base, h, &n);

	if (rc != VIA_OK)
		return rc;
	u = facts(r, base, h, n);
	do
		rc = up->t->attach(up->self, &u, out);
	while (rc == VIA_AGAIN && rig_now() < deadline);
	close_handles(h, n);
	return rc == VIA_OK ? settle(r, base, out) : rc;
}

static via_rc upgrade(rig *r, via_link **a, via_link **b)
{
	uint64_t needs = r->up[0].t->needs;
	via_link *server;
	via_link *client;
	via_rc rc;

	cr_assert_eq(needs & ~(*b)->caps, 0, "the baseline lacks 0x%llx",
		     (unsigned long long)(needs & ~(*b)->caps));
	r->session_id++;
	rc = provision(r, *b, &server);
	if (rc != VIA_OK)
		return rc;
	rc = attach(r, *a, &client);
	if (rc != VIA_OK) {
		free(server->host);
		server->ops->close(server);
		return rc;
	}
	*a = client;
	*b = server;
	return VIA_OK;
}

via_rc rig_try_pair(rig *r, via_listener *listener, via_link **a, via_link **b)
{
	via_link *dialled;
	via_link *accepted;
	via_rc rc = rig_dial(r, NULL, &dialled);

	if (rc != VIA_OK)
		return rc;
	rc = rig_accept_soon(r, listener, &accepted);
	if (rc != VIA_OK)
		goto hang_up;
	if (r->n_up != 0) {
		rc = upgrade(r, &dialled, &accepted);
		if (rc != VIA_OK)
			goto hang_up_both;
	}
	*a = dialled;
	*b = accepted;
	return VIA_OK;
hang_up_both:
	accepted->ops->close(accepted);
hang_up:
	dialled->ops->close(dialled);
	return rc;
}

/* -- end --------------------------------------------------------------------------------------- */

void rig_hang_up(via_link **l)
{
	struct under *u;

	if (*l == NULL)
		return;
	u = under(*l);
	(*l)->ops->close(*l);
	if (u != NULL)
		u->base->ops->close(u->base);
	free(u);
	*l = NULL;
}

void rig_abort(via_link *l, via_rc why)
{
	l->ops->abort(l, why);
	if (under(l) != NULL)
		under(l)->base->ops->abort(under(l)->base, why);
}

/* A link that does not hear the end has nothing to tell it with either: the baseline does. */
void rig_shutdown(via_link *l)
{
	cr_assert_eq(l->ops->shutdown(l), VIA_OK);
	if (!rig_hears_the_end(l))
		cr_assert_eq(rig_base(l)->ops->shutdown(rig_base(l)), VIA_OK);
}

/* -- waiting ----------------------------------------------------------------------------------- */

/* Only the end is allowed to come over the idle baseline. */
static via_rc check_baseline(via_link *base)
{
	via_view v;
	via_rc rc = base->ops->recv(base, &v, 1);

	if (rc == VIA_AGAIN || rc == 0)
		return VIA_OK;
	if (rc < 0)
		return rc;
	base->ops->release(base, &v, 1);
	return VIA_PROTO;
}

/* The baseline has ended: so has the data link, once it is empty. VIA_BUSY: it is not. */
static via_rc end_with(via_link *l, via_rc end)
{
	via_waitobj o = {.struct_size = sizeof o};
	via_rc rc = l->ops->arm(l, VIA_EV_RX, &o);

	if (rc == VIA_BUSY)
		return rc;
	if (rc == VIA_OK)
		l->ops->disarm(l, VIA_EV_RX);
	rig_abort(l, end);
	return end;
}

via_rc rig_wait_set(via_link *l, uint32_t events, via_waitobj o[2])
{
	struct under *u = under(l);
	via_rc rc, end;

	o[0] = o[1] = (via_waitobj){.struct_size = sizeof o[0]};
	rc = l->ops->arm(l, events, &o[0]);
	if (rc != VIA_OK)
		return rc;
	/* A link that hears the end has the baseline's lanes for itself. */
	if (u == NULL || rig_hears_the_end(l) || atomic_exchange(&u->watched, 1) != 0)
		return 1;
	rc = u->base->ops->arm(u->base, VIA_EV_RX, &o[1]);
	end = check_baseline(u->base); /* armed first: what comes from now on wakes */
	if (rc == VIA_OK && end == VIA_OK)
		return 2;
	if (rc == VIA_OK)
		u->base->ops->disarm(u->base, VIA_EV_RX);
	l->ops->disarm(l, events);
	atomic_store(&u->watched, 0);
	return end != VIA_OK ? end_with(l, end) : rc;
}

void rig_wait_done(via_link *l, uint32_t events, via_rc n)
{
	if (n > 0)
		l->ops->disarm(l, events);
	if (n != 2)
		return;
	under(l)->base->ops->disarm(under(l)->base, VIA_EV_RX);
	atomic_store(&under(l)->watched, 0);
}

via_rc rig_wait(via_link *l, uint32_t events, via_time deadline)
{
	via_waitobj o[2];
	via_rc n = rig_wait_set(l, events, o);
	via_time slice = UINT64_MAX;
	int woke;

	if (n < 0)
		return n == VIA_BUSY ? VIA_OK : n;
	if (n == 1 && under(l) != NULL &&
	    !rig_hears_the_end(l)) /* the other lane watches the baseline, for now */
		slice = rig_now() + WATCH_SLICE;
	woke = rig_sleep_any(o, (uint32_t)n, slice < deadline ? slice : deadline);
	rig_wait_done(l, events, n);
	return woke || slice < deadline ? VIA_OK : VIA_TIMEOUT;
}

via_rc rig_look(via_link *l, via_view *out)
{
	via_rc rc = l->ops->recv(l, out, 1);
	via_rc end;

	if (rc != VIA_AGAIN || rig_hears_the_end(l))
		return rc;
	end = check_baseline(rig_base(l));
	if (end == VIA_OK)
		return rc;
	end = end_with(l, end);
	return end == VIA_BUSY ? VIA_AGAIN : end;
}
