/* core/server/conn.c - one session of a managed server: requests in, answers out (docs/wire.md section 15).
 *
 * One message at a time is being answered; the next stays in the link until its answer is out, so a peer
 * that pipelines is held back by the link and memory stays bounded. */
#include "server.h"
#include <string.h>

enum {
	ASK_EVERY = 8,
	IN_PLACE_FROM = 65536
}; /* below, what is encoded in a warm buffer and copied goes faster */

const char *conn_peer(const struct server_conn *c)
{
	return (c->peer.valid & VIA_PEER_LABEL) != 0 ? c->peer.label : "an unknown peer";
}

/* The detail of the last failure, or what its code means. */
static const char *reason(via_rc rc)
{
	return via_error()[0] != '\0' ? via_error() : via_rc_text(rc);
}

/* -- answers out ---------------------------------------------------------------------------------------- */

uint8_t *conn_room(struct server_conn *c, uint32_t len)
{
	const core_env *e = c->worker->server->env;
	uint8_t *b;

	if (len <= c->buf_cap && c->buf != NULL)
		return c->buf;
	b = env_alloc(e, len != 0 ? len : 1);
	if (b == NULL)
		return NULL;
	env_free(e, c->buf);
	c->buf = b;
	c->buf_cap = len;
	return b;
}

via_link *conn_end_link(const struct server_conn *c)
{
	via_link *data = c->s->data;

	return (data->caps & VIA_CAP_HUP) != 0 ? data : c->s->base;
}

static void start_linger(struct server_conn *c)
{
	via_link *l = c->s->data, *end = conn_end_link(c);

	rx_drop_all(c->s); /* from here on the link is read, not the session */
	/* closing now could overtake the answer: the peer reads it, sees the end and closes */
	if (l->ops->shutdown(l) != VIA_OK || (end != l && end->ops->shutdown(end) != VIA_OK)) {
		conn_close(c);
		return;
	}
	c->lingering = 1;
	worker_set_deadline(c, via_deadline(LINGER_NS));
}

/* Closing a link with records unread may take from the peer what it has not read yet. */
static int has_unread(struct server_conn *c)
{
	if (rx_fetch(c->s) != VIA_OK)
		return 0;
	rx_drop_all(c->s);
	return 1;
}

static void answer_out(struct server_conn *c)
{
	/* not before the worker has noticed: its last look at the conn is still to come, and the next request may
	 * have been sent before the drain began */
	int draining = c->worker->draining;

	c->out_waiting = 0;
	c->deadline = 0;
	if (c->close_after != 0 || (draining != 0 && has_unread(c) != 0))
		start_linger(c);
	else if (draining != 0)
		conn_close(c);
}

static void send_failed(struct server_conn *c, via_rc rc)
{
	if (rc != VIA_CLOSED && rc != VIA_RESET)
		reg_log(c->worker->server->reg, VIA_LOG_WARN, "core",
			"%s with %s: an answer cannot be sent: %s", c->s->what, conn_peer(c),
			reason(rc));
	conn_close(c);
}

/* Moves a payload out of the worker's buffer, which the next conn will use. */
static int keep_payload(struct server_conn *c)
{
	uint8_t *b;

	if (c->out.payload_len == 0 || c->out.payload == c->buf || c->in_place != 0)
		return 1;
	b = conn_room(c, c->out.payload_len);
	if (b == NULL)
		return 0;
	memcpy(b, c->out.payload, c->out.payload_len);
	c->out.payload = b;
	return 1;
}

/* The link is full: the answer waits, for as long as the configuration lets a peer take. */
static void answer_waits(struct server_conn *c, via_rc rc)
{
	via_server *s = c->worker->server;

	if (!keep_payload(c)) {
		conn_close(c);
		return;
	}
	if (rc == VIA_PENDING)
		tx_rebase(c->s, c->out.payload);
	c->out_waiting = rc;
	worker_set_deadline(c, via_deadline((uint64_t)s->options.send_timeout_ms * 1000000u));
}

static via_rc put_answer(struct server_conn *c)
{
	return c->in_place != 0 ? via_session_commit(c->s, &c->out)
				: via_session_send(c->s, &c->out);
}

static void send_answer(struct server_conn *c)
{
	via_rc rc = put_answer(c);

	if (rc == VIA_OK)
		answer_out(c);
	else if (rc == VIA_AGAIN || rc == VIA_PENDING)
		answer_waits(c, rc);
	else
		send_failed(c, rc);
}

static void flush_answer(struct server_conn *c)
{
	via_rc rc;

	if (c->out_waiting == VIA_AGAIN) {
		rc = put_answer(c);
		if (rc == VIA_PENDING) {
			c->out_waiting = rc;
			return;
		}
	} else {
		rc = via_session_flush(c->s);
	}
	if (rc == VIA_OK)
		answer_out(c);
	else if (rc != VIA_AGAIN)
		send_failed(c, rc);
}

/* A response that did not fit teaches the endpoint to give later sessions more. */
static void learn_size(struct server_conn *c)
{
	struct server_endpoint *ep = c->ep;
	uint32_t now = c->s->max_out;
	uint32_t want = now > ep->ceiling / 2 ? ep->ceiling : now * 2;

	if (want > atomic_load(&ep->max_response))
		atomic_store(&ep->max_response, want);
}

/* docs/wire.md section 15: error answers are empty, and all but UNSUPPORTED end the session. */
static void make_answer(struct server_conn *c, const via_message *request, uint16_t status,
			const void *payload, uint32_t len)
{
	int is_batch = status == VIA_STATUS_OK && (request->flags & VIA_WIRE_FLAG_BATCH) != 0;

	c->out = (via_message){.kind = VIA_WIRE_RESPONSE,
			       .flags = is_batch != 0 ? VIA_WIRE_FLAG_BATCH : 0,
			       .code = request->code,
			       .status = status,
			       .item_count = is_batch != 0 ? request->item_count : 1,
			       .payload_len = len,
			       .id = request->id,
			       .payload = payload};
	c->close_after = status != VIA_STATUS_OK && status != VIA_STATUS_UNSUPPORTED;
	server_count(status == VIA_STATUS_OK ? &c->worker->tally->calls
					     : &c->worker->tally->calls_failed,
		     1);
	c->answer_len = len;
	via_session_release(c->s, request);
	if (c->in_place != 0 && status != VIA_STATUS_OK) {
		via_session_cancel(c->s);
		c->in_place = 0;
	}
	send_answer(c);
}

/* -- requests in ------------------------------------------------------------------------------------------- */

uint8_t *conn_worker_room(struct server_conn *c, uint32_t len)
{
	struct server_worker *w = c->worker;
	const core_env *e = w->server->env;

	if (len > w->resp_cap || w->resp == NULL) {
		uint8_t *b = env_alloc(e, len != 0 ? len : 1);

		if (b == NULL)
			return NULL;
		env_free(e, w->resp);
		w->resp = b;
		w->resp_cap = len;
	}
	return w->resp;
}

/* Where an answer is encoded: in a buffer, or in the link's own memory if it lends some and the last answer was
 * long enough for a copy to matter. Services that take their time get a buffer that does not hold up the
 * link. */
static uint8_t *room_for_answer(struct server_conn *c, uint32_t service_flags, uint32_t len)
{
	void *room;

	c->in_place = 0;
	if ((service_flags & (VIA_SVC_BLOCKING | VIA_SVC_ASYNC)) != 0)
		return conn_room(c, len);
	if (c->answer_len < IN_PLACE_FROM || via_session_reserve(c->s, len, &room) != VIA_OK)
		return conn_worker_room(c, len);
	c->in_place = 1;
	return room;
}

static void give_to_pool(struct server_conn *c)
{
	c->busy = 1;
	if (pool_submit(c->worker->server, c) == VIA_OK)
		return;
	c->busy = 0;
	reg_log(c->worker->server->reg, VIA_LOG_ERROR, "core", "service %s: %s", c->ep->ep.service,
		via_error());
	make_answer(c, &c->job.request, VIA_STATUS_INTERNAL_ERROR, NULL, 0);
}

static void finish(struct server_conn *c, uint16_t status, const uint8_t *answer, uint32_t len)
{
	if (status == VIA_STATUS_LIMIT_EXCEEDED)
		learn_size(c);
	make_answer(c, &c->job.request, status, answer, len);
}

static void job_done(struct server_conn *c)
{
	finish(c, c->job.status, c->job.dst, c->job.len);
}

static void run_answer(struct server_conn *c)
{
	if (answer_run(c) == ANSWER_PENDING) {
		c->busy = 1;
		answer_gate(c);
		return;
	}
	job_done(c);
}

static void take_message(struct server_conn *c, const via_message *m)
{
	uint32_t room = c->s->max_out;
	uint16_t status = answer_bind(c, m);
	uint32_t flags, len;
	uint8_t *dst;

	c->deadline = 0; /* of its parts; the call takes as long as it takes */
	if (status != VIA_STATUS_OK) {
		make_answer(c, m, status, NULL, 0);
		return;
	}
	flags = c->ep->service->flags;
	dst = room_for_answer(c, flags, room);
	if (dst == NULL) {
		make_answer(c, m, VIA_STATUS_INTERNAL_ERROR, NULL, 0);
		return;
	}
	if (answer_is_simple(c)) {
		status = answer_simply(c, dst, room, &len);
		finish(c, status, dst, len);
		return;
	}
	answer_begin(c, dst, room);
	if ((flags & VIA_SVC_BLOCKING) != 0)
		give_to_pool(c);
	else
		run_answer(c);
}

/* A message whose parts keep coming in, but too slowly, must not hold its buffer for ever. */
static void watch_partial(struct server_conn *c)
{
	via_server *s = c->worker->server;

	if (c->s->rx.partial != 0 && c->deadline == 0)
		worker_set_deadline(c,
				    via_deadline((uint64_t)s->options.send_timeout_ms * 1000000u));
	else if (c->s->rx.partial == 0 && c->deadline != 0)
		worker_set_deadline(c, 0);
}

static void session_ended(struct server_conn *c, via_rc rc)
{
	via_registry *reg = c->worker->server->reg;

	if (rc != VIA_CLOSED && rc != VIA_ABORTED && reg_logs(reg, VIA_LOG_INFO))
		reg_log(reg, VIA_LOG_INFO, "core", "%s with %s: closed: %s", c->s->what,
			conn_peer(c), reason(rc));
	conn_close(c);
}

/* Takes a message, or several short ones. How many; 0: there is none, or the conn has other things to do first. */
static uint32_t take_some(struct server_conn *c)
{
	via_message *m = &c->job.request;
	uint32_t n;
	via_rc rc;

	c->worker->error[0] = '\0';
	rc = rx_fetch(c->s);
	if (rc == VIA_OK) {
		n = group_answer(c);
		if (n != 0)
			return n;
		rc = via_session_recv(c->s, m);
	}
	if (rc == VIA_OK) {
		take_message(c, m);
		return 1;
	}
	if (rc == VIA_LIMIT)
		make_answer(c, m, VIA_STATUS_LIMIT_EXCEEDED, NULL, 0);
	else if (rc == VIA_AGAIN)
		watch_partial(c);
	else
		session_ended(c, rc);
	return 0;
}

/* After the last answer: whatever still comes is thrown away until the peer is gone. */
static uint32_t linger(struct server_conn *c)
{
	via_link *l = conn_end_link(c);
	uint32_t n;

	for (n = 0; n < CONN_BURST; n++) {
		via_view v;
		via_rc rc = l->ops->recv(l, &v, 1);

		if (rc > 0) {
			l->ops->release(l, &v, 1);
			continue;
		}
		if (rc != VIA_AGAIN)
			conn_close(c);
		break;
	}
	return n;
}

/* -- handshake ------------------------------------------------------------------------------------------------ */

static void handshake_step(struct server_conn *c)
{
	via_server *s = c->worker->server;
	via_session_info info = {.struct_size = sizeof info};
	via_rc rc;

	core_error_clear();
	rc = via_session_step(c->s);
	if (rc == VIA_AGAIN)
		return;
	if (rc != VIA_OK) {
		atomic_fetch_add(rc == VIA_REFUSED ? &s->refused : &s->handshakes_failed, 1);
		if (reg_logs(s->reg, VIA_LOG_INFO))
			reg_log(s->reg, VIA_LOG_INFO, "core", "%s: handshake: %s", c->s->what,
				reason(rc));
		if (rc == VIA_REFUSED)
			start_linger(c); /* the refusal is an answer too */
		else
			conn_close(c);
		return;
	}
	atomic_fetch_add(&s->accepted, 1);
	via_session_get_info(c->s, &info);
	c->peer = info.peer;
	c->up = 1;
	worker_set_deadline(c, 0);
	if (reg_logs(s->reg, VIA_LOG_DEBUG))
		reg_log(s->reg, VIA_LOG_DEBUG, "core", "%s %llu is up: profile 0x%x, %s",
			c->s->what, (unsigned long long)info.session_id, info.selected,
			(info.peer.valid & VIA_PEER_LABEL) != 0 ? info.peer.label : "peer unknown");
}

/* -- pump ---------------------------------------------------------------------------------------------------------- */

/* How many messages to take now. Where a look costs a system call, peers that send one at a time are not asked
 * for a second; every so often they are, for they may have changed. */
static uint32_t burst(struct server_conn *c)
{
	const via_link *l = c->s->data;

	if (l->rx_word != NULL || c->comes_in_bursts != 0 || ++c->n_pumps % ASK_EVERY == 0)
		return CONN_BURST;
	return 1;
}

/* The worker itself may not have noticed yet: one call at a time from now on. */
static int is_draining(const struct server_worker *w)
{
	return atomic_load(&w->server->state) >= SERVER_DRAINING;
}

uint32_t conn_pump(struct server_conn *c)
{
	struct server_worker *w = c->worker;
	uint32_t served = 0, most, n;

	if (c->lingering != 0)
		return linger(c);
	if (c->up == 0) {
		handshake_step(c);
		return 1;
	}
	if (c->busy != 0 || c->zombie != 0)
		return 0;
	if (c->out_waiting != 0)
		flush_answer(c);
	if (w->current != c) /* the answer was its last one */
		return 0;
	most = burst(c);
	via_session_cork(c->s);
	/* the list is the owner: a conn that is gone, busy or waiting for room is left alone */
	while (served < most && w->current == c && c->busy == 0 && c->out_waiting == 0 &&
	       c->lingering == 0 && (served == 0 || is_draining(w) == 0)) {
		n = take_some(c);
		if (n == 0)
			break;
		served += n;
	}
	if (w->current == c) {
		c->comes_in_bursts = served > 1 || rx_has_view(c->s);
		rx_end_row(c->s);
		via_session_uncork(c->s);
	}
	return served;
}

void conn_answered(struct server_conn *c)
{
	struct job *j = &c->job;

	c->busy = 0;
	if (c->zombie != 0) {
		env_free(c->worker->server->env, j->reply);
		j->reply = NULL;
		conn_close(c);
		return;
	}
	if (j->replied != 0) { /* not a whole answer yet */
		if (answer_resume(c) == ANSWER_PENDING) {
			if ((c->ep->service->flags & VIA_SVC_BLOCKING) != 0)
				give_to_pool(c);
			else
				run_answer(c);
			return;
		}
	}
	job_done(c);
}

void conn_close(struct server_conn *c)
{
	struct server_worker *w = c->worker;
	via_server *s = w->server;

	if (w->current == c)
		w->current = NULL;
	if (c->zombie == 0)
		worker_forget(c);
	if (c->busy != 0) { /* its message is in use: the session ends now, the memory later */
		c->zombie = 1;
		answer_cancel(c);
		via_session_abort(c->s, VIA_ABORTED);
		worker_adopt_zombie(c);
		return;
	}
	answer_close_session(c);
	via_session_close(c->s);
	env_free(s->env, c->buf);
	if (c->admitted != 0)
		atomic_fetch_sub(&s->n_sessions, 1);
	worker_bury(c);
	server_conn_gone(s);
}
