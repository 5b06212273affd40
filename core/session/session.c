/* core/session/session.c - life of a session, waiting, facts. */
#include "session.h"
#include <stdio.h>
#include <string.h>

#define ATTACH_PAUSE_NS 1000000u  /* between two tries to attach an upgrade */
#define WATCH_SLICE_NS 100000000u /* sleep of a lane while the other one watches the baseline */

/* -- life ---------------------------------------------------------------------------------------- */

via_rc session_config_copy(const via_session_config *in, via_session_config *out)
{
	via_session_config c = {.struct_size = sizeof c};
	size_t n;

	if (in != NULL) {
		if (!VIA_HAS(in, via_session_config, handshake_ms))
			return core_fail(
				VIA_INVAL,
				"session configuration: struct_size is %u, expected at least %zu",
				in->struct_size, sizeof c);
		n = in->struct_size < sizeof c ? in->struct_size : sizeof c;
		memcpy(&c, in, n);
		c.struct_size = sizeof c;
	}
	*out = c;
	return VIA_OK;
}

static void apply_defaults(via_session *s)
{
	via_session_config *c = &s->config;

	if (c->max_request_payload == 0)
		c->max_request_payload = DEFAULT_REQUEST;
	if (c->max_request_batch == 0)
		c->max_request_batch = DEFAULT_BATCH;
	if (c->max_response_payload == 0)
		c->max_response_payload =
			s->is_server != 0 ? DEFAULT_RESPONSE_SERVER : DEFAULT_RESPONSE_CLIENT;
	if (c->packet_size == 0 || c->packet_size > s->base->limits->max_record)
		c->packet_size = s->base->limits->max_record;
	if (c->handshake_ms == 0)
		c->handshake_ms = DEFAULT_HANDSHAKE_MS;
}

via_rc session_new(via_registry *reg, const stack *st, via_link *base,
		   const via_session_config *config, int is_server, via_session **out)
{
	const core_env *e = reg_env(reg);
	via_session *s = env_alloc(e, sizeof *s);

	if (s == NULL)
		return core_nomem("session");
	s->cand = env_alloc(e, sizeof *s->cand);
	if (s->cand == NULL) {
		env_free(e, s);
		return core_nomem("session");
	}
	s->reg = reg;
	s->env = e;
	s->is_server = is_server;
	s->st = st;
	s->base = base;
	s->data = base;
	s->phase = is_server != 0 ? PHASE_HELLO_IN : PHASE_HELLO_OUT;
	s->config = *config;
	apply_defaults(s);
	candidates_collect(reg, s->config.profiles, is_server, s->cand);
	if (stack_upgrade(st) != NULL)
		candidates_name(s->cand, reg_ref_id(&stack_upgrade(st)->ref),
				stack_transport(stack_upgrade(st)));
	if ((s->cand->mask & PROFILE_BASELINE) != 0)
		snprintf(s->cand->list[0].id, sizeof s->cand->list[0].id, "%s",
			 reg_ref_id(&st->layer[0].ref));
	s->offered = s->cand->mask;
	s->budget = wait_budget(e, reg_policy(reg));
	s->hs_deadline = via_deadline((uint64_t)s->config.handshake_ms * 1000000u);
	snprintf(s->what, sizeof s->what, "%s session of %.60s",
		 is_server != 0 ? "a server" : "a client", st->service);
	s->rx.at_once = 1;
	inflight_init(&s->flight);
	stack_pin(st, &s->pins, s->what);
	reg_hold(reg, &s->hold, s->what);
	*out = s;
	return VIA_OK;
}

void session_close_handles(const core_env *e, via_handle *h, uint32_t n)
{
	(void)e;
	while (n > 0)
		os_handle_close(&h[--n]);
}

void via_session_close(via_session *s)
{
	const core_env *e;
	via_registry *reg;
	via_link *data;

	if (s == NULL)
		return;
	e = s->env;
	reg = s->reg;
	data = s->data;
	via_session_cancel(s);
	rx_drop_all(s);
	if (data != s->base)
		data->ops->close(data);
	s->base->ops->close(s->base);
	session_close_handles(e, s->out_handles, s->n_out_handles);
	session_close_handles(e, s->in_handles, s->n_in_handles);
	via_registry_release(reg, &s->upgrade);
	stack_unpin(reg, &s->pins);
	stack_close(&s->own_stack);
	inflight_free(e, &s->flight);
	reg_unhold(reg, &s->hold);
	env_free(e, s->rx.buf);
	env_free(e, s->cand);
	env_free(e, s);
}

void via_session_abort(via_session *s, via_rc why)
{
	via_link *data = s->data;
	via_rc none = VIA_OK;

	if (why >= 0)
		why = VIA_ABORTED;
	atomic_compare_exchange_strong(&s->tx.fail, &none, why);
	none = VIA_OK;
	atomic_compare_exchange_strong(&s->rx.fail, &none, why);
	if (data != s->base)
		data->ops->abort(data, why);
	s->base->ops->abort(s->base, why);
}

via_rc session_link_end(via_rc rc)
{
	switch (rc) {
	case VIA_CLOSED:
		return core_fail(rc, "the peer closed the connection");
	case VIA_RESET:
		return core_fail(rc, "the connection to the peer was lost");
	case VIA_ABORTED:
		return core_fail(rc, "the session was aborted");
	default:
		return rc;
	}
}

/* -- after the handshake ------------------------------------------------------------------------------ */

uint32_t session_record(uint32_t payload)
{
	return payload > UINT32_MAX - VIA_WIRE_HEADER ? UINT32_MAX : payload + VIA_WIRE_HEADER;
}

/* At most as many as the link can have out. */
static uint32_t fetch_together(const via_link *l)
{
	uint32_t most = l->limits->max_views;

	most += most == 0;
	return most < RX_AT_ONCE ? most : RX_AT_ONCE;
}

via_rc session_settle(via_session *s)
{
	const via_wire_ack *a = &s->agreed;
	via_link *data = s->data;
	uint32_t longest;
	via_rc rc;

	longest = session_record(s->is_server != 0 ? a->max_request_payload
						   : a->max_response_payload);
	s->max_in = longest - VIA_WIRE_HEADER;
	s->max_out = session_record(s->is_server != 0 ? a->max_response_payload
						      : a->max_request_payload) -
		     VIA_WIRE_HEADER;
	s->items_in = s->is_server != 0 ? a->max_request_batch : a->max_response_batch;
	s->items_out = s->is_server != 0 ? a->max_response_batch : a->max_request_batch;
	s->items_out += s->items_out == 0;
	s->kind_in = s->is_server != 0 ? VIA_WIRE_REQUEST : VIA_WIRE_RESPONSE;
	s->kind_out = s->is_server != 0 ? VIA_WIRE_RESPONSE : VIA_WIRE_REQUEST;
	s->chunked = s->data == s->base;
	s->in_place = s->chunked == 0 && (data->caps & VIA_CAP_ZC_TX) != 0;
	s->short_out = s->max_out < SHORT_PAYLOAD ? s->max_out : SHORT_PAYLOAD;
	if (s->chunked != 0 && s->short_out > a->packet_size - VIA_WIRE_HEADER)
		s->short_out = a->packet_size - VIA_WIRE_HEADER;
	s->has_word = data->rx_word != NULL;
	s->tx_at_once = data->limits->max_batch < SHORT_MANY ? data->limits->max_batch : SHORT_MANY;
	if (s->chunked != 0 && longest > a->packet_size)
		longest = a->packet_size;
	if (longest < VIA_EXPECT_INITIAL)
		longest = VIA_EXPECT_INITIAL;
	data->rx_plain = 1; /* handles come with the HELLO_ACK only */
	rc = data->ops->expect(data, longest);
	s->rx_at_once = fetch_together(data);
	s->rx.in_row = 0; /* the handshake is no part of it */
	return rc;
}

/* -- waiting -------------------------------------------------------------------------------------------- */

static via_link *lane_link(const via_session *s)
{
	return s->phase == PHASE_UP ? s->data : s->base;
}

via_rc session_arm(via_session *s, uint32_t events, via_waitobj *out)
{
	via_link *l = lane_link(s);

	if (s->phase == PHASE_DEAD || s->phase == PHASE_ATTACH)
		return VIA_BUSY;
	if ((events & VIA_EV_RX) != 0 && (rx_has_view(s) || atomic_load(&s->rx.fail) != VIA_OK))
		return VIA_BUSY;
	return l->ops->arm(l, events & (VIA_EV_RX | VIA_EV_TX), out);
}

void session_disarm(via_session *s, uint32_t events)
{
	via_link *l = lane_link(s);

	l->ops->disarm(l, events & (VIA_EV_RX | VIA_EV_TX));
}

/* Only the end is allowed to come over the idle baseline of an upgraded session. */
static via_rc look_at_baseline(via_session *s, uint32_t *len)
{
	via_view v;
	via_rc rc = s->base->ops->recv(s->base, &v, 1);

	if (rc == VIA_AGAIN || rc == 0)
		return VIA_OK;
	if (rc < 0)
		return rc;
	*len = v.len;
	s->base->ops->release(s->base, &v, 1);
	return VIA_PROTO;
}

static via_rc end_with_baseline(via_session *s, via_rc end, uint32_t len)
{
	via_session_abort(s, end);
	return end == VIA_PROTO
		       ? core_fail(end,
				   "a record of %u bytes on the baseline of an upgraded session",
				   len)
		       : session_link_end(end);
}

via_rc session_check_baseline(via_session *s)
{
	uint32_t len = 0;
	via_rc end = look_at_baseline(s, &len);

	return end == VIA_OK ? end : end_with_baseline(s, end, len);
}

/* The peer may have said a last thing after the data link was armed: that is taken first. A sender that
 * sees the end leaves it to the receiver. */
static via_rc check_watched(via_session *s, uint32_t events)
{
	uint32_t len = 0;
	via_rc none = VIA_OK;
	via_rc end = look_at_baseline(s, &len);

	if (end == VIA_OK || end == VIA_PROTO)
		return end == VIA_OK ? end : end_with_baseline(s, end, len);
	if ((events & VIA_EV_RX) == 0) {
		atomic_compare_exchange_strong(&s->tx.fail, &none, end);
		return session_link_end(end);
	}
	/* not arm(): it need not look where the system reports what has come */
	return rx_fetch(s) == VIA_OK ? VIA_BUSY : end_with_baseline(s, end, len);
}

/* A data link that hears the end by itself has the baseline's lanes to itself: bells may lie there. For any
 * other one the baseline is the death notice. */
static int needs_watch(const via_session *s)
{
	return s->phase == PHASE_UP && s->data != s->base && (s->data->caps & VIA_CAP_HUP) == 0;
}

via_rc via_session_wait_set(via_session *s, uint32_t events, via_waitobj objs[2])
{
	via_rc rc, end;

	objs[0] = objs[1] = (via_waitobj)OS_WAITOBJ_INIT;
	rc = session_arm(s, events, &objs[0]);
	if (rc != VIA_OK)
		return rc;
	if (!needs_watch(s))
		return 1;
	rc = s->base->ops->arm(s->base, VIA_EV_RX, &objs[1]);
	end = check_watched(s, events); /* armed first: what comes from now on wakes */
	if (rc == VIA_OK && end == VIA_OK)
		return 2;
	if (rc == VIA_OK)
		s->base->ops->disarm(s->base, VIA_EV_RX);
	session_disarm(s, events);
	return end != VIA_OK ? end : rc;
}

void via_session_wait_done(via_session *s, uint32_t events, via_rc n)
{
	if (n > 0)
		session_disarm(s, events);
	if (n == 2)
		s->base->ops->disarm(s->base, VIA_EV_RX);
}

/* While one lane sleeps on the baseline too, the other one must leave it alone: it sleeps on the data link
 * and wakes now and then to see whether the watch is free. */
static via_rc sleep_beside(via_session *s, uint32_t events, via_time deadline)
{
	via_time slice = via_deadline(WATCH_SLICE_NS);
	via_waitobj obj = OS_WAITOBJ_INIT;
	uint32_t ready;
	via_rc rc = session_arm(s, events, &obj);

	if (rc != VIA_OK)
		return rc == VIA_BUSY ? VIA_OK : rc;
	rc = os_wait(s->env, &obj, 1, slice < deadline ? slice : deadline, &ready);
	session_disarm(s, events);
	return rc == VIA_TIMEOUT && slice < deadline ? VIA_OK : rc;
}

static via_rc sleep_watching(via_session *s, uint32_t events, via_time deadline)
{
	via_waitobj objs[2];
	uint32_t ready = 0;
	via_rc rc, n = via_session_wait_set(s, events, objs);

	if (n < 0)
		return n == VIA_BUSY ? VIA_OK : n;
	rc = os_wait(s->env, objs, (uint32_t)n, deadline, &ready);
	via_session_wait_done(s, events, n);
	return rc;
}

static via_rc sleep_once(via_session *s, uint32_t events, via_time deadline)
{
	via_rc rc;

	if (!needs_watch(s))
		return sleep_watching(s, events, deadline);
	if (atomic_exchange(&s->watched, 1) != 0)
		return sleep_beside(s, events, deadline);
	rc = sleep_watching(s, events, deadline);
	atomic_store(&s->watched, 0);
	return rc;
}

/* Between two tries to attach: nothing to sleep on, the peer is about to finish. */
static via_rc pause_attach(via_session *s, via_time deadline)
{
	via_time until = via_deadline(ATTACH_PAUSE_NS);
	uint32_t ready;
	via_rc rc;

	if (deadline <= os_now())
		return core_fail(VIA_TIMEOUT, "the deadline passed");
	rc = os_wait(s->env, NULL, 0, until < deadline ? until : deadline, &ready);
	return rc == VIA_TIMEOUT ? VIA_OK : rc;
}

/* Looks at the link's own word, if it has one, without a call or a clock. 1: recv is worth a try. */
static int look_quickly(via_session *s)
{
	const via_link *l = lane_link(s);
	uint32_t i;

	if (l->rx_word == NULL || wait_alone() != 0)
		return 0;
	for (i = 0; i < WAIT_QUICK_LOOKS; i++) {
		if (os_load64(l->rx_word) != l->rx_seen) {
			wait_hit(&s->history);
			return 1;
		}
		os_cpu_relax();
	}
	return 0;
}

via_rc session_recv_quick(via_session *s, via_message *m)
{
	via_rc rc;

	if (lane_link(s)->rx_word ==
	    NULL) /* a look costs a system call: the wait begins with one */
		return VIA_AGAIN;
	rc = via_session_recv(s, m);
	if (rc == VIA_AGAIN && wait_pays(&s->history, s->budget) && look_quickly(s) != 0)
		rc = via_session_recv(s, m);
	return rc;
}

/* Looks again and again for at most budget ns. VIA_OK: there is something. */
static via_rc spin(via_session *s, via_time t0, uint64_t budget, via_time deadline)
{
	via_time end = budget > UINT64_MAX - t0 ? UINT64_MAX : t0 + budget;
	uint32_t offers = wait_alone() != 0 ? WAIT_OFFERS : 0, n = 0;

	if (end > deadline)
		end = deadline;
	do {
		if (offers != 0)
			os_yield(); /* nothing comes before the peer has run */
		if (rx_fetch(s) != VIA_AGAIN)
			return VIA_OK;
		if (offers == 0 && look_quickly(s) == 0)
			os_cpu_relax();
	} while (offers != 0 ? ++n < offers : os_now() < end);
	return VIA_AGAIN;
}

/* Spins for as long as that pays. VIA_OK: there is something; VIA_AGAIN: not within *spun ns. */
static via_rc spin_first(via_session *s, via_time t0, via_time deadline, uint64_t *spun)
{
	uint64_t budget = wait_spin_ns(&s->history, s->budget);
	via_rc rc;

	*spun = 0;
	if (budget == 0 || wait_spin_enter() == 0)
		return VIA_AGAIN;
	rc = spin(s, t0, budget, deadline);
	wait_spin_leave();
	if (wait_alone() == 0)
		*spun = budget;
	return rc;
}

/* The wait itself, for who has just looked, or has reason to think that there is nothing yet. */
static via_rc wait_unseen(via_session *s, uint32_t events, via_time deadline)
{
	via_time t0 = os_now();
	uint64_t spun = 0;
	int slept = 0;
	via_rc rc;

	if (deadline <= t0)
		return core_fail(VIA_TIMEOUT, "the deadline passed");
	if ((events & VIA_EV_RX) != 0)
		rx_end_row(s);
	rc = events == VIA_EV_RX ? spin_first(s, t0, deadline, &spun) : VIA_AGAIN;
	if (rc != VIA_OK) {
		slept = 1;
		rc = sleep_once(s, events, deadline);
	}
	if (rc == VIA_TIMEOUT)
		return core_fail(VIA_TIMEOUT, "the deadline passed");
	if (rc == VIA_OK && events == VIA_EV_RX && s->budget != 0)
		wait_learn(&s->history, os_now() - t0, slept, spun, s->budget);
	return rc;
}

via_rc via_session_wait(via_session *s, uint32_t events, via_time deadline)
{
	if (s->phase == PHASE_ATTACH) /* what comes now is not the data link's */
		return pause_attach(s, deadline);
	if ((events & VIA_EV_RX) != 0 && rx_fetch(s) != VIA_AGAIN)
		return VIA_OK;
	if (events == VIA_EV_RX && wait_pays(&s->history, s->budget) && look_quickly(s) != 0)
		return VIA_OK;
	return wait_unseen(s, events, deadline);
}

/* A peer that is awake makes room in no time: tries again for a while before anybody sleeps. */
static via_rc send_quick(via_session *s, const via_message *m)
{
	via_rc rc = via_session_send(s, m);
	uint32_t i;

	if (s->phase != PHASE_UP || s->has_word == 0 || wait_alone() != 0)
		return rc;
	for (i = 0; rc == VIA_AGAIN && s->budget != 0 && i < WAIT_QUICK_LOOKS; i++) {
		os_cpu_relax();
		rc = via_session_send(s, m);
	}
	return rc;
}

via_rc via_session_send_wait(via_session *s, const via_message *m, via_time deadline)
{
	return session_send_rest(s, m, send_quick(s, m), deadline);
}

via_rc session_send_rest(via_session *s, const via_message *m, via_rc rc, via_time deadline)
{
	int accepted = rc == VIA_PENDING;

	while (rc == VIA_AGAIN || rc == VIA_PENDING) {
		rc = via_session_wait(s, VIA_EV_TX, deadline);
		if (rc != VIA_OK) {
			if (accepted !=
			    0) /* half a message is out: the session is of no more use */
				via_session_abort(s, rc);
			return rc;
		}
		rc = accepted != 0 ? via_session_flush(s) : via_session_send(s, m);
		accepted |= rc == VIA_PENDING;
	}
	return rc;
}

via_rc via_session_recv_wait(via_session *s, via_message *m, via_time deadline)
{
	via_rc rc = via_session_recv(s, m);

	return rc == VIA_AGAIN ? session_recv_unseen(s, m, deadline) : rc;
}

via_rc session_recv_unseen(via_session *s, via_message *m, via_time deadline)
{
	via_rc rc;

	do {
		rc = wait_unseen(s, VIA_EV_RX, deadline);
		if (rc == VIA_OK)
			rc = via_session_recv(s, m);
	} while (rc == VIA_AGAIN);
	return rc;
}

/* -- facts ------------------------------------------------------------------------------------------------ */

void via_session_get_info(via_session *s, via_session_info *out)
{
	via_session_info i = {.struct_size = out->struct_size};

	if (out->struct_size < sizeof i)
		return;
	i.is_server = s->is_server != 0;
	i.is_up = s->phase == PHASE_UP;
	i.status = s->status;
	i.session_id = s->agreed.session_id;
	i.offered = s->offered;
	i.peer_offered = s->peer_offered;
	i.selected = s->agreed.selected;
	i.max_request_payload = s->agreed.max_request_payload;
	i.max_request_batch = s->agreed.max_request_batch;
	i.max_response_payload = s->agreed.max_response_payload;
	i.max_response_batch = s->agreed.max_response_batch;
	i.packet_size = s->agreed.packet_size;
	if (s->cand != NULL) {
		i.n_candidates = s->cand->n;
		i.candidates = s->cand->list;
	}
	i.peer.struct_size = sizeof i.peer;
	if (s->base->ops->peer(s->base, &i.peer) != VIA_OK)
		i.peer.valid = 0;
	*out = i;
}
