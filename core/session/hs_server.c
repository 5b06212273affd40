/* core/session/hs_server.c - the server's half of the handshake (docs/wire.md sections 5 and 6).
 *
 * HELLO is read and decided first; only the selected upgrade is provisioned, before the answer leaves. A
 * provision that fails drops that bit and the decision is made again. */
#include "session.h"
#include <string.h>

/* What a provision handed over, tested and decorated; on failure it is closed. */
static via_rc take_provisioned(via_session *s, via_link **data, const via_upgrade *up,
			       const via_ref *upgrade)
{
	uint32_t most = s->base->limits->max_handles;
	via_rc rc = VIA_OK;

	if (up->n_handles > (most < MAX_UPGRADE_HANDLES ? most : MAX_UPGRADE_HANDLES)) {
		rc = core_fail(VIA_NOTSUP, "%s hands over %u handles, the baseline carries %u",
			       reg_ref_id(upgrade), up->n_handles, most);
		link_discard(*data);
	} else {
		rc = stack_wrap_upgrade(s->st, upgrade, data);
	}
	if (rc != VIA_OK)
		session_close_handles(s->env, s->out_handles,
				      up->n_handles < MAX_UPGRADE_HANDLES ? up->n_handles
									  : MAX_UPGRADE_HANDLES);
	return rc;
}

/* The module of a profile makes the data link; its handles go out with the answer. */
static via_rc provision(via_session *s, const via_wire_ack *ack, via_link **out)
{
	via_upgrade up = {.struct_size = sizeof up,
			  .profile = ack->selected,
			  .ns = s->st->ns,
			  .service = s->st->service,
			  .session_id = ack->session_id,
			  .auth_token = s->st->auth_token,
			  .max_request = session_record(ack->max_request_payload),
			  .max_response = session_record(ack->max_response_payload),
			  .baseline = s->base,
			  .handles = s->out_handles,
			  .cap_handles = MAX_UPGRADE_HANDLES};
	const via_transport *t;
	via_ref ref;
	via_rc rc = stack_acquire_upgrade(s->st, ack->selected, &ref);

	if (rc != VIA_OK)
		return rc;
	t = ref.vtable;
	if ((t->needs & ~s->base->caps) != 0) {
		rc = core_fail(VIA_NOTSUP, "%s needs capabilities 0x%llx that the baseline lacks",
			       reg_ref_id(&ref), (unsigned long long)(t->needs & ~s->base->caps));
		goto release;
	}
	reg_ctl_lock(s->reg, &ref);
	rc = t->provision(ref.self, &up, out);
	reg_ctl_unlock(s->reg, &ref);
	if (rc != VIA_OK)
		goto release;
	rc = take_provisioned(s, out, &up, &ref);
	if (rc != VIA_OK)
		goto release;
	s->upgrade = ref;
	s->n_out_handles = up.n_handles;
	return VIA_OK;
release:
	via_registry_release(s->reg, &ref);
	return rc;
}

static via_wire_server terms(const via_session *s, uint32_t supported)
{
	return (via_wire_server){.supported = supported,
				 .preferred = s->config.preferred,
				 .max_request_payload = s->config.max_request_payload,
				 .max_response_payload = s->config.max_response_payload,
				 .packet_size = s->config.packet_size,
				 .auth_token = s->st->auth_token};
}

/* Sessions are counted from 1. Upgrades may name objects after the number, so those of theirs are never used
 * twice: a client that is slow to attach must not find what a server started since has made for another. */
static uint64_t session_number(via_session *s, uint32_t selected)
{
	if (s->number == 0)
		s->number = atomic_fetch_add(s->next_id, 1);
	return selected == PROFILE_BASELINE ? s->number : s->born + s->number;
}

/* Settles on a profile that really works. Returns the status for the answer. */
static uint16_t decide(via_session *s, const via_wire_hello *hello, via_wire_ack *ack)
{
	uint32_t supported = s->offered;

	for (;;) {
		via_wire_server server = terms(s, supported);
		uint16_t status = via_wire_negotiate(hello, &server, ack);
		via_link *data;

		if (status != VIA_STATUS_OK)
			return status;
		ack->session_id = session_number(s, ack->selected);
		s->agreed.session_id = ack->session_id;
		if (ack->selected == PROFILE_BASELINE)
			return status;
		if (provision(s, ack, &data) == VIA_OK) {
			s->data = data;
			return status;
		}
		candidates_verdict(s->cand, ack->selected, VIA_VERDICT_FAILED, via_error());
		reg_log(s->reg, VIA_LOG_WARN, "core", "%s: profile 0x%x: %s", s->what,
			ack->selected, via_error());
		supported &= ~ack->selected;
	}
}

static void answer(via_session *s, const via_wire_ack *ack, uint16_t status)
{
	s->status = status;
	if (status == VIA_STATUS_OK) {
		s->agreed = *ack;
		candidates_settle(s->cand, s->peer_offered, ack->selected);
	}
	s->out_len = via_wire_ack_packet(ack, status, s->out);
	s->phase = PHASE_ACK_OUT;
}

static via_rc refuse(via_session *s, uint16_t status)
{
	via_wire_ack none = {.layout = 1};

	answer(s, &none, status);
	return VIA_OK;
}

/* docs/wire.md section 6, in its order; one client too many is refused like any other limit. */
static via_rc read_hello(via_session *s)
{
	uint8_t bytes[VIA_EXPECT_INITIAL];
	const via_view *v = &s->rx.views[s->rx.next];
	uint32_t len = v->len < sizeof bytes ? v->len : (uint32_t)sizeof bytes;
	via_wire_hello hello;
	via_wire_ack ack;
	via_flaw why;
	uint16_t status;

	memcpy(bytes, v->data, len);
	switch (via_wire_hello_inspect(bytes, len, &hello, &why)) {
	case VIA_HELLO_ACCEPT:
		break;
	case VIA_HELLO_REFUSE:
		return refuse(s, VIA_STATUS_INCOMPATIBLE);
	default:
		return core_fail_flaw("HELLO", &why);
	}
	s->peer_offered = hello.supported;
	if (s->admit != NULL && s->admit(s->admit_arg) == 0)
		return refuse(s, VIA_STATUS_LIMIT_EXCEEDED);
	status = decide(s, &hello, &ack);
	answer(s, &ack, status);
	return VIA_OK;
}

static via_rc receive_hello(via_session *s)
{
	via_rc rc = rx_fetch(s);

	if (rc != VIA_OK)
		return rc;
	rc = read_hello(s);
	rx_drop_view(s);
	return rc;
}

static via_rc send_answer(via_session *s)
{
	via_rc rc;

	if (s->status ==
	    VIA_STATUS_OK) { /* the client's first request may be right behind the answer */
		rc = session_settle(s);
		if (rc != VIA_OK)
			return rc;
	}
	rc = hs_send(s);
	if (rc != VIA_OK)
		return rc;
	if (s->status != VIA_STATUS_OK)
		return core_fail(VIA_REFUSED, "refused with %s", via_wire_status_name(s->status));
	s->phase = PHASE_UP;
	return VIA_OK;
}

/* The list of candidates has served its purpose unless something failed. */
static void forget_candidates(via_session *s)
{
	uint32_t i;

	for (i = 0; i < s->cand->n; i++)
		if (s->cand->list[i].verdict == VIA_VERDICT_FAILED)
			return;
	env_free(s->env, s->cand);
	s->cand = NULL;
}

via_rc hs_server_step(via_session *s)
{
	via_rc rc = VIA_OK;

	if (s->phase == PHASE_DEAD)
		return core_fail(s->fail_rc, "the handshake failed before (%s)",
				 via_rc_text(s->fail_rc));
	if (s->phase == PHASE_HELLO_IN)
		rc = receive_hello(s);
	if (rc == VIA_OK && s->phase == PHASE_ACK_OUT)
		rc = send_answer(s);
	if (rc == VIA_OK) {
		forget_candidates(s);
		return rc;
	}
	if (rc != VIA_AGAIN)
		return hs_fail(s, rc);
	if (os_now() >= s->hs_deadline)
		return hs_fail(s, core_fail(VIA_TIMEOUT, "the client sent no HELLO within %u ms",
					    s->config.handshake_ms));
	return rc;
}
