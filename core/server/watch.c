/* core/server/watch.c - what a worker's poller knows of a conn: its objects, armed or not. */
#include "server.h"

static void unregister(struct server_conn *c)
{
	while (c->registered > 0)
		os_poller_remove(c->worker->poller, &c->obj[--c->registered]);
}

static int same_object(const via_waitobj *a, const via_waitobj *b)
{
	if (a->kind == VIA_WAIT_WORD)
		return b->kind == VIA_WAIT_WORD && a->word == b->word;
	return a->kind == b->kind && a->handle == b->handle;
}

/* A word is reported once, so it is armed anew each time; other kinds stay until their events change. */
static int must_modify(const via_waitobj *known, const via_waitobj *obj)
{
	return obj->kind == VIA_WAIT_WORD || known->fd_events != obj->fd_events;
}

/* Makes the poller know exactly objs[0..n). */
static via_rc register_objects(struct server_conn *c, const via_waitobj *objs, int n)
{
	os_poller *p = c->worker->poller;
	int i;

	if (c->registered != n || !same_object(&c->obj[0], &objs[0]) ||
	    (n == 2 && !same_object(&c->obj[1], &objs[1])))
		unregister(c);
	for (i = 0; i < n; i++) {
		via_rc rc = VIA_OK;

		if (i >= c->registered)
			rc = os_poller_add(p, &objs[i], c);
		else if (must_modify(&c->obj[i], &objs[i]))
			rc = os_poller_modify(p, &objs[i], c);
		if (rc != VIA_OK)
			return rc;
		c->obj[i] = objs[i];
		if (i >= c->registered)
			c->registered = i + 1;
	}
	return VIA_OK;
}

void watch_pause(struct server_conn *c)
{
	via_link *end = conn_end_link(c), *base = c->s->base;

	if (c->end_armed != 0)
		base->ops->disarm(base, VIA_EV_RX);
	else if (c->lingering == 0)
		via_session_wait_done(c->s, c->armed_events, c->armed);
	else if (c->armed > 0)
		end->ops->disarm(end, VIA_EV_RX);
	c->armed = 0;
	c->end_armed = 0;
}

/* The session has ended, only its link is still listened to. */
static via_rc linger_wait_set(struct server_conn *c, via_waitobj objs[2])
{
	via_link *l = conn_end_link(c);
	via_rc rc;

	objs[0] = (via_waitobj)OS_WAITOBJ_INIT;
	rc = l->ops->arm(l, VIA_EV_RX, &objs[0]);
	return rc == VIA_OK ? 1 : rc;
}

/* VIA_OK: the conn can be slept on. VIA_BUSY: look again. Else it is of no more use. */
via_rc watch_start(struct server_conn *c)
{
	via_waitobj objs[2];
	via_rc n, rc;

	c->armed_events = c->out_waiting != 0 || (c->up == 0 && c->s->phase == PHASE_ACK_OUT)
				  ? VIA_EV_TX
				  : VIA_EV_RX;
	n = c->lingering != 0 ? linger_wait_set(c, objs)
			      : via_session_wait_set(c->s, c->armed_events, objs);
	if (n < 0)
		return n;
	c->armed = n;
	rc = register_objects(c, objs, n);
	if (rc != VIA_OK)
		watch_pause(c);
	return rc;
}

void watch_stop(struct server_conn *c)
{
	watch_pause(c);
	unregister(c);
}

/* Something has come over the link and lies there. The end of the link is known to the send lane too, and
 * that one is not kept from it by records. */
static int is_end(via_link *l)
{
	via_waitobj unused = OS_WAITOBJ_INIT;
	via_rc rc = l->ops->arm(l, VIA_EV_TX, &unused);

	if (rc == VIA_OK)
		l->ops->disarm(l, VIA_EV_TX);
	return rc == VIA_CLOSED || rc == VIA_RESET;
}

/* While its message is being answered only the end of the peer may wake us. A descriptor that is asked for
 * nothing still reports it. A handle reports the next record too, after which it keeps quiet until the answer
 * is out; words always do. 1: the peer has gone. */
int watch_end(struct server_conn *c)
{
	via_link *base = c->s->base;
	via_waitobj obj = OS_WAITOBJ_INIT;
	via_rc rc;

	watch_pause(c);
	rc = base->ops->arm(base, VIA_EV_RX, &obj);
	if (rc == VIA_OK && obj.kind == VIA_WAIT_WIN && register_objects(c, &obj, 1) == VIA_OK) {
		c->end_armed = 1;
		return 0;
	}
	unregister(c);
	if (rc != VIA_OK)
		return rc == VIA_BUSY && is_end(base);
	base->ops->disarm(base, VIA_EV_RX);
	obj.fd_events = 0;
	if (obj.kind != VIA_WAIT_FD || os_poller_add(c->worker->poller, &obj, c) != VIA_OK)
		return 0;
	c->obj[0] = obj;
	c->registered = 1;
	return 0;
}

/* The poller has reported the conn. 1: because the peer has gone. */
int watch_saw_end(struct server_conn *c)
{
	return c->registered != 0 && (c->end_armed == 0 || watch_end(c) != 0);
}
