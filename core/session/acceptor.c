/* core/session/acceptor.c - a listener and the handshakes under way on it.
 *
 * Every handshake has its own deadline, so a silent client delays nobody. When all places are taken the
 * oldest handshake makes room: whoever connects and says nothing can only crowd out its like. */
#include "session.h"
#include <stdio.h>
#include <string.h>

enum {
	DISCARD_MAX = 256,
	MAX_HANDSHAKES = 30
};                                   /* two below os_wait()'s limit: the listener and the waker */
#define RESOURCE_PAUSE_NS 100000000u /* after the system ran out of descriptors */

struct via_acceptor {
	via_registry *reg;
	const core_env *env;
	stack st;
	via_session_config config;
	via_listener *listener;
	reg_pin hold;
	link_pins pins;
	os_waker *waker;
	atomic_int aborted;
	_Atomic uint64_t next_id;
	via_time born;
	_Atomic uint32_t max_response;
	via_session *handshakes; /* oldest first */
	uint32_t n_handshakes;
	via_time accept_after;
	int (*admit)(void *arg);
	void *admit_arg;
	char what[96];
	char address[256];
};

/* -- life --------------------------------------------------------------------------------------------- */

static via_rc check_listener(const via_listener *l, const char *who)
{
	const via_listener_ops *o = l->ops;

	if (o == NULL || !VIA_HAS(o, via_listener_ops, close) || o->accept == NULL ||
	    o->arm == NULL || o->address == NULL || o->close == NULL)
		return core_fail(VIA_EABI, "%s: a mandatory listener operation is missing", who);
	return VIA_OK;
}

static via_rc listen_on(via_acceptor *a)
{
	via_rc rc = stack_listen(&a->st, &a->listener);

	if (rc != VIA_OK)
		return rc;
	rc = check_listener(a->listener, reg_ref_id(&a->st.layer[0].ref));
	if (rc != VIA_OK)
		return rc;
	if (a->listener->ops->address(a->listener, a->address, sizeof a->address) < 0)
		snprintf(a->address, sizeof a->address, "%s", a->st.service);
	return VIA_OK;
}

via_rc via_acceptor_open(via_registry *r, const via_endpoint *ep, const via_session_config *config,
			 via_acceptor **out)
{
	const core_env *e = reg_env(r);
	via_acceptor *a = env_alloc(e, sizeof *a);
	via_rc rc;

	if (a == NULL)
		return core_nomem("acceptor");
	a->reg = r;
	a->env = e;
	atomic_store(&a->next_id, 1);
	a->born = os_now();
	rc = session_config_copy(config, &a->config);
	if (rc != VIA_OK)
		goto free_acceptor;
	atomic_store(&a->max_response, a->config.max_response_payload);
	rc = stack_open(r, ep, &a->st);
	if (rc != VIA_OK)
		goto free_acceptor;
	rc = os_waker_open(e, &a->waker);
	if (rc != VIA_OK)
		goto close_stack;
	rc = listen_on(a);
	if (rc != VIA_OK)
		goto close_waker;
	snprintf(a->what, sizeof a->what, "the acceptor of %.60s", a->st.service);
	stack_pin(&a->st, &a->pins, a->what);
	reg_hold(r, &a->hold, a->what);
	*out = a;
	return VIA_OK;
close_waker:
	os_waker_close(e, a->waker);
close_stack:
	stack_close(&a->st);
free_acceptor:
	env_free(e, a);
	return rc;
}

/* Closing a link with records unread may take the refusal from a client that has sent more than HELLO. */
static void discard_input(via_session *s)
{
	via_view v;
	int i;

	rx_drop_all(s);
	for (i = 0; i < DISCARD_MAX && s->base->ops->recv(s->base, &v, 1) > 0; i++)
		s->base->ops->release(s->base, &v, 1);
}

static void drop_handshake(via_acceptor *a, via_session **at)
{
	via_session *s = *at;

	if (s->status != VIA_STATUS_OK)
		discard_input(s);
	*at = s->next;
	a->n_handshakes--;
	via_session_close(s);
}

void via_acceptor_close(via_acceptor *a)
{
	if (a == NULL)
		return;
	while (a->handshakes != NULL)
		drop_handshake(a, &a->handshakes);
	a->listener->ops->close(a->listener);
	stack_unpin(a->reg, &a->pins);
	reg_unhold(a->reg, &a->hold);
	stack_close(&a->st);
	os_waker_close(a->env, a->waker);
	env_free(a->env, a);
}

const char *via_acceptor_address(const via_acceptor *a)
{
	return a->address;
}

void via_acceptor_abort(via_acceptor *a)
{
	atomic_store(&a->aborted, 1);
	os_waker_set(a->waker);
}

/* -- parts for the managed server ------------------------------------------------------------------------- */

const stack *acceptor_stack(const via_acceptor *a)
{
	return &a->st;
}

via_listener *acceptor_listener(via_acceptor *a)
{
	return a->listener;
}

void acceptor_set_admission(via_acceptor *a, int (*admit)(void *arg), void *arg)
{
	a->admit = admit;
	a->admit_arg = arg;
}

void acceptor_set_max_response(via_acceptor *a, uint32_t bytes)
{
	atomic_store(&a->max_response, bytes);
}

via_rc acceptor_take(via_acceptor *a, via_session **out)
{
	via_session_config c = a->config;
	via_link *link;
	via_session *s;
	via_rc rc = a->listener->ops->accept(a->listener, &link);

	if (rc != VIA_OK)
		return rc;
	rc = stack_wrap(&a->st, &link);
	if (rc != VIA_OK)
		return rc;
	c.max_response_payload = atomic_load(&a->max_response);
	rc = session_new(a->reg, &a->st, link, &c, 1, &s);
	if (rc != VIA_OK) {
		link->ops->close(link);
		return rc;
	}
	s->next_id = &a->next_id;
	s->born = a->born;
	s->admit = a->admit;
	s->admit_arg = a->admit_arg;
	*out = s;
	return VIA_OK;
}

/* -- level 1 -------------------------------------------------------------------------------------------------- */

static uint32_t handshake_events(const via_session *s)
{
	return s->phase == PHASE_ACK_OUT ? VIA_EV_TX : VIA_EV_RX;
}

static void disarm_all(via_acceptor *a)
{
	via_session *s;

	for (s = a->handshakes; s != NULL; s = s->next)
		session_disarm(s, handshake_events(s));
}

/* Steps the handshake at *at, which leaves the list when it ends. VIA_OK: *out is up. */
static via_rc step_one(via_acceptor *a, via_session **at, via_session **out)
{
	via_session *s = *at;
	via_rc rc = via_session_step(s);

	if (rc == VIA_OK) {
		*at = s->next;
		a->n_handshakes--;
		s->next = NULL;
		*out = s;
		return VIA_OK;
	}
	if (rc == VIA_AGAIN)
		return rc;
	if (reg_logs(a->reg, VIA_LOG_DEBUG))
		reg_log(a->reg, VIA_LOG_DEBUG, "core", "%s: handshake: %s", a->what, via_error());
	drop_handshake(a, at);
	return rc;
}

/* A new connection. VIA_OK: *out is up at once. Whoever makes room for one that has nothing to say yet has
 * been looked at and had nothing to say either. */
static via_rc begin(via_acceptor *a, via_session *s, via_session **out)
{
	via_session **tail = &a->handshakes;
	via_rc rc;

	a->n_handshakes++;
	rc = step_one(a, &s, out);
	if (rc != VIA_AGAIN)
		return rc;
	if (a->n_handshakes > MAX_HANDSHAKES)
		drop_handshake(a, &a->handshakes);
	while (*tail != NULL)
		tail = &(*tail)->next;
	*tail = s;
	return VIA_AGAIN;
}

/* Takes new connections in until one is up at once, but no more than there are places: then it is the
 * others' turn. A resource failure pauses accepting instead of failing the listener. */
static via_rc take_in(via_acceptor *a, via_session **out)
{
	uint32_t n;

	for (n = 0; n < MAX_HANDSHAKES && os_now() >= a->accept_after; n++) {
		via_session *s;
		via_rc rc = acceptor_take(a, &s);

		if (rc == VIA_AGAIN)
			return rc;
		if (VIA_RC_CLASS(rc) == VIA_RC_CLASS(VIA_NOMEM) && rc != VIA_OK) {
			a->accept_after = via_deadline(RESOURCE_PAUSE_NS);
			reg_log(a->reg, VIA_LOG_WARN, "core", "%s: accepting pauses: %s", a->what,
				via_error());
			return VIA_AGAIN;
		}
		if (rc == VIA_CLOSED || rc == VIA_RESET)
			continue; /* that connection died before we looked */
		if (rc != VIA_OK)
			return rc;
		if (begin(a, s, out) == VIA_OK)
			return VIA_OK;
	}
	return VIA_AGAIN;
}

via_rc via_acceptor_step(via_acceptor *a, via_session **out)
{
	via_session **at = &a->handshakes;

	disarm_all(a); /* whoever slept on via_acceptor_wait_set() is awake */
	while (*at != NULL) {
		via_rc rc = step_one(a, at, out);

		if (rc == VIA_OK)
			return rc;
		if (rc == VIA_AGAIN)
			at = &(*at)->next;
	}
	return take_in(a, out);
}

via_rc via_acceptor_wait_set(via_acceptor *a, via_waitobj *objs, uint32_t cap, via_time *deadline)
{
	via_time until = VIA_FOREVER;
	via_waitobj obj = OS_WAITOBJ_INIT;
	via_session **at = &a->handshakes;
	uint32_t n = 0;
	via_rc rc;

	if (a->accept_after > os_now()) {
		until = a->accept_after;
	} else {
		rc = a->listener->ops->arm(a->listener, &obj);
		if (rc != VIA_OK)
			return rc;
		if (n < cap)
			objs[n] = obj;
		n++;
	}
	while (*at != NULL) {
		via_session *s = *at;

		rc = session_arm(s, handshake_events(s), &obj);
		if (rc == VIA_BUSY)
			return rc;
		if (rc != VIA_OK) { /* the end of that one, not of the listener */
			drop_handshake(a, at);
			continue;
		}
		if (n < cap)
			objs[n] = obj;
		n++;
		if (s->hs_deadline < until)
			until = s->hs_deadline;
		at = &s->next;
	}
	*deadline = until;
	return (via_rc)n;
}

via_rc via_acceptor_accept(via_acceptor *a, via_time deadline, via_session **out)
{
	for (;;) {
		via_waitobj objs[MAX_HANDSHAKES + 2];
		via_time until;
		uint32_t ready;
		via_rc rc, n;

		if (atomic_load(&a->aborted) != 0)
			return core_fail(VIA_ABORTED, "via_acceptor_abort() was called");
		rc = via_acceptor_step(a, out);
		if (rc != VIA_AGAIN)
			return rc;
		if (os_now() >= deadline)
			return core_fail(VIA_TIMEOUT, "nobody connected before the deadline");
		n = via_acceptor_wait_set(a, objs, MAX_HANDSHAKES + 1, &until);
		if (n < 0 && n != VIA_BUSY)
			return n;
		if (n >= 0) {
			os_waker_object(a->waker, &objs[n]);
			rc = os_wait(a->env, objs, (uint32_t)n + 1,
				     until < deadline ? until : deadline, &ready);
			if (rc != VIA_OK && rc != VIA_TIMEOUT)
				return rc;
		}
	}
}
