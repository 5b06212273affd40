/* core/session/hs_client.c - the client's half of the handshake (docs/wire.md sections 5 and 6).
 *
 * HELLO leaves as soon as the link takes it. When the answer selects an upgrade its module is loaded and
 * attached; a failed attach ends the session, and via_session_connect() comes back without the bit. */
#include "session.h"
#include <stdio.h>
#include <string.h>

/* -- parts shared by both halves --------------------------------------------------------------------- */

via_rc hs_fail(via_session *s, via_rc rc)
{
	s->phase = PHASE_DEAD;
	s->fail_rc = rc;
	return rc;
}

via_rc hs_send(via_session *s)
{
	via_iov iov = {s->out, s->out_len};
	via_msg msg = {.iov = &iov,
		       .n_iov = 1,
		       .n_handles = s->n_out_handles,
		       .handles = s->out_handles};
	via_rc rc = s->base->ops->send(s->base, &msg, 1);

	if (rc == 0)
		return VIA_AGAIN;
	if (rc == 1) {
		s->n_out_handles = 0; /* moved */
		return VIA_OK;
	}
	return session_link_end(rc);
}

/* -- client ------------------------------------------------------------------------------------------------ */

static void fill_hello(via_session *s)
{
	const via_session_config *c = &s->config;
	via_wire_hello h = {.layout = 1,
			    .supported = s->offered,
			    .preferred = c->preferred,
			    .max_request_payload = c->max_request_payload,
			    .max_request_batch = c->max_request_batch,
			    .max_response_payload = c->max_response_payload,
			    .max_response_batch = c->max_request_batch,
			    .auth_token = s->st->auth_token,
			    .packet_size = c->packet_size};

	s->out_len = via_wire_hello_packet(&h, s->out);
}

static via_rc send_hello(via_session *s)
{
	via_rc rc;

	if (s->offered == 0)
		return core_fail(
			VIA_NOTSUP,
			"no profile to offer: the configured mask 0x%x leaves none that can be served",
			s->config.profiles);
	if (s->out_len == 0)
		fill_hello(s);
	rc = hs_send(s);
	if (rc == VIA_OK)
		s->phase = PHASE_ACK_IN;
	return rc;
}

/* What the answer says is remembered also when it is a refusal. */
static via_rc read_ack(via_session *s)
{
	const via_view *v = &s->rx.views[s->rx.next];
	uint8_t bytes[VIA_EXPECT_INITIAL];
	uint32_t len = v->len < sizeof bytes ? v->len : (uint32_t)sizeof bytes;
	via_flaw why;
	via_rc rc;

	memcpy(bytes, v->data, len);
	rc = via_wire_ack_inspect(bytes, len, &s->agreed, &s->status, &why);
	if (rc == VIA_REFUSED)
		return core_fail(rc, "the server refused the handshake: %s",
				 via_wire_status_name(s->status));
	if (rc != VIA_OK)
		return core_fail_flaw("HELLO_ACK", &why);
	if ((s->agreed.selected & s->offered) == 0)
		return core_fail(VIA_PROTO,
				 "HELLO_ACK: selected profile 0x%x was not offered (0x%x)",
				 s->agreed.selected, s->offered);
	s->peer_offered = s->agreed.server_supported;
	candidates_settle(s->cand, s->peer_offered, s->agreed.selected);
	if ((v->flags & VIA_VIEW_HANDLES) != 0) {
		rc = s->base->ops->take_handles(s->base, v, s->in_handles, MAX_UPGRADE_HANDLES);
		if (rc < 0)
			return rc;
		s->n_in_handles = (uint32_t)rc;
	}
	return VIA_OK;
}

static via_rc receive_ack(via_session *s)
{
	via_rc rc = rx_fetch(s);

	if (rc == VIA_CLOSED)
		return core_fail(rc, "the server closed the connection without answering HELLO");
	if (rc != VIA_OK)
		return rc;
	rc = read_ack(s);
	rx_drop_view(s);
	if (rc == VIA_OK)
		s->phase = PHASE_ATTACH;
	return rc;
}

/* The module of the selected upgrade takes the data over. */
static via_rc attach_upgrade(via_session *s, via_link **out)
{
	const via_transport *t;
	via_upgrade up = {.struct_size = sizeof up,
			  .profile = s->agreed.selected,
			  .ns = s->st->ns,
			  .service = s->st->service,
			  .session_id = s->agreed.session_id,
			  .auth_token = s->st->auth_token,
			  .max_request = session_record(s->agreed.max_request_payload),
			  .max_response = session_record(s->agreed.max_response_payload),
			  .baseline = s->base,
			  .handles = s->in_handles,
			  .n_handles = s->n_in_handles,
			  .cap_handles = MAX_UPGRADE_HANDLES};
	via_rc rc = VIA_OK;

	if (s->upgrade.vtable == NULL)
		rc = stack_acquire_upgrade(s->st, s->agreed.selected, &s->upgrade);
	if (rc != VIA_OK)
		return rc;
	t = s->upgrade.vtable;
	if ((t->needs & ~s->base->caps) != 0)
		return core_fail(VIA_NOTSUP, "%s needs capabilities 0x%llx that the baseline lacks",
				 reg_ref_id(&s->upgrade),
				 (unsigned long long)(t->needs & ~s->base->caps));
	reg_ctl_lock(s->reg, &s->upgrade);
	rc = t->attach(s->upgrade.self, &up, out);
	reg_ctl_unlock(s->reg, &s->upgrade);
	return rc == VIA_OK ? stack_wrap_upgrade(s->st, &s->upgrade, out) : rc;
}

/* The upgrade cannot be used here; session_fallback() comes back without it. */
static via_rc attach_fails(via_session *s, via_rc rc)
{
	candidates_verdict(s->cand, s->agreed.selected, VIA_VERDICT_FAILED, via_error());
	s->attach_failed = 1;
	return rc;
}

/* Not there yet: fine until the handshake's deadline, or until the peer is gone. */
static via_rc attach_later(via_session *s)
{
	via_rc rc = session_check_baseline(s);

	if (rc != VIA_OK)
		return rc;
	if (os_now() < s->hs_deadline)
		return VIA_AGAIN;
	return attach_fails(s, core_fail(VIA_TIMEOUT, "not ready to be attached within %u ms",
					 s->config.handshake_ms));
}

static via_rc attach(via_session *s)
{
	via_rc rc;

	if (s->agreed.selected != PROFILE_BASELINE) {
		via_link *data;

		rc = atomic_load(&s->rx.fail);
		if (rc != VIA_OK)
			return session_link_end(rc);
		rc = attach_upgrade(s, &data);
		if (rc == VIA_AGAIN)
			return attach_later(s);
		if (rc != VIA_OK)
			return attach_fails(s, rc);
		s->data = data;
		rc = atomic_load(&s->rx.fail); /* abort() may have missed the new link */
		if (rc != VIA_OK)
			data->ops->abort(data, rc);
	}
	session_close_handles(s->env, s->in_handles, s->n_in_handles);
	s->n_in_handles = 0;
	rc = session_settle(s);
	if (rc == VIA_OK)
		s->phase = PHASE_UP;
	return rc;
}

via_rc hs_client_step(via_session *s)
{
	via_rc rc = VIA_OK;

	if (s->phase == PHASE_DEAD)
		return core_fail(s->fail_rc, "the handshake failed before (%s)",
				 via_rc_text(s->fail_rc));
	if (s->phase == PHASE_HELLO_OUT)
		rc = send_hello(s);
	if (rc == VIA_OK && s->phase == PHASE_ACK_IN)
		rc = receive_ack(s);
	if (rc == VIA_OK && s->phase == PHASE_ATTACH)
		rc = attach(s);
	if (rc == VIA_OK)
		return rc;
	if (rc != VIA_AGAIN)
		return hs_fail(s, rc);
	if (os_now() >= s->hs_deadline)
		return hs_fail(s, core_fail(VIA_TIMEOUT, "no answer to HELLO within %u ms",
					    s->config.handshake_ms));
	return rc;
}

/* -- public ---------------------------------------------------------------------------------------------------- */

via_rc via_session_start(via_registry *r, const via_endpoint *ep, const via_session_config *config,
			 via_session **out)
{
	via_session_config c;
	stack st;
	via_session *s;
	via_link *base;
	via_rc rc;

	rc = session_config_copy(config, &c);
	if (rc != VIA_OK)
		return rc;
	rc = stack_open(r, ep, &st);
	if (rc != VIA_OK)
		return rc;
	rc = stack_dial(&st, &base);
	if (rc != VIA_OK)
		goto close_stack;
	rc = session_new(r, &st, base, &c, 0, &s);
	if (rc != VIA_OK) {
		base->ops->close(base);
		goto close_stack;
	}
	s->own_stack = st;
	s->st = &s->own_stack;
	*out = s;
	return VIA_OK;
close_stack:
	stack_close(&st);
	return rc;
}

via_rc via_session_step(via_session *s)
{
	if (s->phase == PHASE_UP)
		return VIA_OK;
	return s->is_server != 0 ? hs_server_step(s) : hs_client_step(s);
}

via_rc session_step_until(via_session *s, via_time deadline)
{
	for (;;) {
		via_time until = deadline < s->hs_deadline ? deadline : s->hs_deadline;
		via_rc rc = via_session_step(s);

		if (rc != VIA_AGAIN)
			return rc;
		rc = via_session_wait(s, s->phase == PHASE_HELLO_OUT ? VIA_EV_TX : VIA_EV_RX,
				      until);
		if (rc == VIA_TIMEOUT && s->hs_deadline <= deadline)
			continue; /* the handshake's own deadline: step says so */
		if (rc != VIA_OK)
			return rc;
	}
}

/* Pauses between two tries to get into a full queue: 1, 2, 4 ... 16 ms, never past the deadline. */
static via_rc pause_before_retry(const core_env *e, uint32_t tries, const os_waker *waker,
				 via_time deadline)
{
	via_time until = via_deadline((uint64_t)(1u << (tries < 4 ? tries : 4)) * 1000000u);
	via_waitobj obj;
	uint32_t ready;

	if (os_now() >= deadline)
		return core_fail(VIA_TIMEOUT, "the server's queue stayed full until the deadline");
	if (waker != NULL)
		os_waker_object(waker, &obj);
	if (os_wait(e, &obj, waker != NULL, until < deadline ? until : deadline, &ready) == VIA_OK)
		return core_fail(VIA_ABORTED, "aborted while the server's queue was full");
	return VIA_OK;
}

via_rc session_start_until(via_registry *r, const via_endpoint *ep,
			   const via_session_config *config, const os_waker *waker,
			   via_time deadline, via_session **out)
{
	uint32_t tries;

	for (tries = 0;; tries++) {
		via_rc rc = via_session_start(r, ep, config, out);

		if (rc == VIA_AGAIN)
			rc = pause_before_retry(reg_env(r), tries, waker, deadline);
		else
			return rc;
		if (rc != VIA_OK)
			return rc;
	}
}

int session_fallback(const via_session *s, via_session_config *config, candidates *failed)
{
	if (s->attach_failed == 0)
		return 0;
	candidates_inherit(failed, s->cand);
	config->profiles = s->offered & ~s->agreed.selected;
	return config->profiles != 0;
}

via_rc via_session_connect(via_registry *r, const via_endpoint *ep,
			   const via_session_config *config, via_time deadline, via_session **out)
{
	candidates failed = {0};
	via_session_config c;
	via_rc rc = session_config_copy(config, &c);

	if (rc != VIA_OK)
		return rc;
	for (;;) {
		via_session *s;
		int again;

		rc = session_start_until(r, ep, &c, NULL, deadline, &s);
		if (rc != VIA_OK)
			return rc;
		candidates_inherit(s->cand, &failed);
		rc = session_step_until(s, deadline);
		if (rc == VIA_OK) {
			*out = s;
			return VIA_OK;
		}
		again = session_fallback(s, &c, &failed);
		via_session_close(s);
		if (again == 0)
			return rc;
	}
}
