/* core/server/accept.c - listeners of a worker, new conns, admission, spreading over the workers.
 *
 * Handshakes stay with the worker of their listener; a session that is up moves to the worker that has
 * the fewest. When too many handshakes are under way the oldest makes room. */
#include "server.h"

enum { MAX_HANDSHAKES = 256, ACCEPT_BURST = 64 };
#define RESOURCE_PAUSE_NS 100000000u

/* -- admission ----------------------------------------------------------------------------------------- */

int server_admit(void *arg)
{
	struct server_conn *c = arg;
	via_server *s = c->worker->server;

	if (atomic_fetch_add(&s->n_sessions, 1) < s->options.max_sessions) {
		c->admitted = 1;
		return 1;
	}
	atomic_fetch_sub(&s->n_sessions, 1);
	return 0;
}

static void evict_oldest(struct server_worker *w)
{
	struct server_conn *c, *oldest = NULL;

	for (c = w->conns; c != NULL; c = c->next) /* newest first */
		if (c->up == 0)
			oldest = c;
	if (oldest == NULL)
		return;
	reg_log(w->server->reg, VIA_LOG_INFO, "core",
		"%s: closed: the oldest of %d unfinished handshakes makes room", oldest->s->what,
		MAX_HANDSHAKES);
	atomic_fetch_add(&w->server->handshakes_failed, 1);
	conn_close(oldest);
}

/* -- accepting --------------------------------------------------------------------------------------------- */

static via_rc take_conn(struct server_endpoint *ep)
{
	struct server_worker *w = ep->worker;
	via_server *s = ep->server;
	struct server_conn *c;
	via_rc rc;

	c = env_alloc(s->env, sizeof *c);
	if (c == NULL)
		return core_nomem("session of a server");
	acceptor_set_max_response(ep->acceptor, atomic_load(&ep->max_response));
	rc = acceptor_take(ep->acceptor, &c->s);
	if (rc != VIA_OK) {
		env_free(s->env, c);
		return rc;
	}
	if (w->n_handshakes == MAX_HANDSHAKES)
		evict_oldest(w);
	c->kind = KEY_CONN;
	c->ep = ep;
	c->s->admit = server_admit;
	c->s->admit_arg = c;
	atomic_fetch_add(&s->n_conns, 1);
	w->n_handshakes++;
	atomic_fetch_add(&w->n_conns, 1);
	worker_adopt(w, c);
	worker_set_deadline(c, c->s->hs_deadline);
	worker_serve(c, WAKE_LOOKED);
	return VIA_OK;
}

static void unregister(struct server_endpoint *ep)
{
	if (ep->registered != 0)
		os_poller_remove(ep->worker->poller, &ep->obj);
	ep->registered = 0;
}

static void pause_accepting(struct server_endpoint *ep)
{
	struct server_worker *w = ep->worker;

	unregister(ep);
	ep->accept_after = via_deadline(RESOURCE_PAUSE_NS);
	if (ep->accept_after < w->next_deadline)
		w->next_deadline = ep->accept_after;
}

/* Accepts what waits. VIA_OK: more may come, VIA_AGAIN: nothing waits; else accepting has paused. */
static via_rc accept_burst(struct server_endpoint *ep)
{
	via_registry *reg = ep->server->reg;
	int i;

	for (i = 0; i < ACCEPT_BURST; i++) {
		via_rc rc = take_conn(ep);

		if (rc == VIA_OK || rc == VIA_CLOSED || rc == VIA_RESET)
			continue;
		if (rc != VIA_AGAIN) {
			reg_log(reg, VIA_LOG_WARN, "core", "service %s: accepting pauses: %s",
				ep->ep.service, via_error());
			pause_accepting(ep);
		}
		return rc;
	}
	return VIA_OK;
}

void accept_ready(struct server_endpoint *ep)
{
	via_listener *l;
	via_rc rc;

	while (ep->acceptor != NULL) {
		via_waitobj obj = OS_WAITOBJ_INIT;

		rc = accept_burst(ep);
		if (rc != VIA_OK && rc != VIA_AGAIN)
			return;
		if (rc == VIA_OK && ep->registered != 0)
			return; /* the others get a turn; the poller reports this listener again */
		l = acceptor_listener(ep->acceptor);
		rc = l->ops->arm(l, &obj);
		if (rc == VIA_BUSY)
			continue;
		if (rc == VIA_OK && ep->registered == 0) {
			rc = os_poller_add(ep->worker->poller, &obj, ep);
			ep->obj = obj;
			ep->registered = rc == VIA_OK;
		}
		if (rc == VIA_OK)
			return;
		reg_log(ep->server->reg, VIA_LOG_WARN, "core", "service %s: accepting pauses: %s",
			ep->ep.service, via_error());
		pause_accepting(ep);
		return;
	}
}

void accept_timers(struct server_worker *w, via_time now)
{
	via_server *s = w->server;
	uint32_t i;

	for (i = 0; i < s->n_endpoints; i++) {
		struct server_endpoint *ep = s->endpoints[i];

		if (ep->worker != w || ep->accept_after == 0)
			continue;
		if (ep->accept_after <= now) {
			ep->accept_after = 0;
			accept_ready(ep);
		} else if (ep->accept_after < w->next_deadline) {
			w->next_deadline = ep->accept_after;
		}
	}
}

void accept_start(struct server_worker *w)
{
	via_server *s = w->server;
	uint32_t i;

	for (i = 0; i < s->n_endpoints; i++)
		if (s->endpoints[i]->worker == w)
			accept_ready(s->endpoints[i]);
}

void accept_stop(struct server_worker *w)
{
	via_server *s = w->server;
	uint32_t i;

	for (i = 0; i < s->n_endpoints; i++) {
		struct server_endpoint *ep = s->endpoints[i];

		if (ep->worker != w || ep->acceptor == NULL)
			continue;
		unregister(ep);
		ep->accept_after = 0;
		via_acceptor_close(ep->acceptor);
		ep->acceptor = NULL;
	}
}

/* -- spreading -------------------------------------------------------------------------------------------------- */

int accept_hand_over(struct server_conn *c)
{
	struct server_worker *from = c->worker;
	via_server *s = from->server;
	struct server_worker *best = from;
	uint32_t i;

	from->n_handshakes--;
	if (atomic_load(&s->state) != SERVER_RUNNING)
		return 0;
	for (i = 0; i < s->n_workers; i++)
		if (atomic_load(&s->workers[i].n_conns) + (&s->workers[i] != from) <
		    atomic_load(&best->n_conns))
			best = &s->workers[i];
	if (best == from)
		return 0;
	worker_forget(c);
	atomic_fetch_add(&best->n_conns, 1); /* now: others must not choose by what it had before */
	worker_post(best, c);
	return 1;
}
