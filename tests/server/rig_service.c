/* tests/server/rig_service.c - the service of a test: does what it is told and counts. */
#include "rig.h"

static via_rc VIA_CALL svc_open(void *self, const via_peer *peer, void **session)
{
	rig_svc *v = self;
	rig_session *place;
	int n;

	(void)peer;
	if (v->open_rc != VIA_OK)
		return core_fail(v->open_rc, "not for you");
	n = atomic_fetch_add(&v->opens, 1);
	place = &v->sessions[n % RIG_SESSIONS];
	if (n >= RIG_SESSIONS && atomic_exchange(&place->closed, 0) == 0)
		return VIA_LIMIT;
	place->svc = v;
	*session = place;
	return VIA_OK;
}

static void VIA_CALL svc_close(void *self, void *session)
{
	rig_svc *v = self;
	rig_session *s = session;

	if (s == NULL || s->svc != v || atomic_load(&s->calls) != 0 ||
	    atomic_fetch_add(&s->closed, 1) != 0)
		atomic_fetch_add(&v->wrong_closes, 1);
	atomic_fetch_add(&v->closes, 1);
}

static void VIA_CALL svc_cancel(void *self, void *session, uint64_t token)
{
	rig_svc *v = self;

	(void)session;
	atomic_store(&v->cancelled, token);
	atomic_fetch_add(&v->cancels, 1);
}

static via_rc VIA_CALL svc_call(void *self, void *session, via_call *call)
{
	rig_svc *v = self;
	rig_session *s = session;
	int now = atomic_fetch_add(&v->running, 1) + 1;
	int most = atomic_load(&v->most_running);
	via_rc rc;

	if (s == NULL || atomic_load(&s->closed) != 0)
		atomic_fetch_add(&v->wrong_closes, 1);
	while (now > most && !atomic_compare_exchange_weak(&v->most_running, &most, now))
		;
	atomic_fetch_add(&v->calls, 1);
	if (s != NULL)
		atomic_fetch_add(&s->calls, 1);
	rc = v->behave(v, s, call);
	if (s != NULL && rc != VIA_PENDING)
		atomic_fetch_sub(&s->calls, 1);
	atomic_fetch_sub(&v->running, 1);
	return rc;
}

void rig_svc_open(rig_svc *v, rig *r, uint32_t flags,
		  via_rc (*behave)(rig_svc *, rig_session *, via_call *))
{
	memset(v, 0, sizeof *v);
	v->codecs[0] = "increment";
	v->codecs[1] = "string-reverse";
	v->vt = (via_service){.struct_size = sizeof v->vt,
			      .flags = flags,
			      .name = "test",
			      .codecs = v->codecs,
			      .open = svc_open,
			      .call = svc_call,
			      .cancel = svc_cancel,
			      .close = svc_close};
	v->behave = behave;
	v->r = r;
	os_mutex_init(&v->lock);
	os_cond_init(&v->cond);
}

void rig_svc_close(rig_svc *v)
{
	cr_expect_eq(atomic_load(&v->opens), atomic_load(&v->closes),
		     "%d sessions opened, %d closed", atomic_load(&v->opens),
		     atomic_load(&v->closes));
	cr_expect_eq(atomic_load(&v->wrong_closes), 0,
		     "a session was closed twice, during a call, or used after it");
	os_cond_destroy(&v->cond);
	os_mutex_destroy(&v->lock);
}

via_rc rig_answer(rig_svc *v, rig_session *s, via_call *call)
{
	uint64_t number;
	via_string_reverse_view text;
	via_rc rc;

	(void)v;
	(void)s;
	if (call->method == NUMBER) {
		rc = via_increment_decode(call->request, call->request_len, &number, NULL);
		return rc != VIA_OK ? rc
				    : via_increment_encode(call->response, call->response_cap,
							   number + 1, &call->response_len);
	}
	rc = via_string_reverse_open(&text, call->request, call->request_len, NULL);
	return rc != VIA_OK ? rc
			    : via_string_reverse_encode(call->response, call->response_cap, &text,
							&call->response_len);
}

via_rc rig_held(rig_svc *v, rig_session *s, via_call *call)
{
	atomic_fetch_add(&v->held, 1);
	os_mutex_lock(&v->lock);
	while (v->shut != 0)
		os_cond_wait(&v->cond, &v->lock);
	os_mutex_unlock(&v->lock);
	atomic_fetch_sub(&v->held, 1);
	return rig_answer(v, s, call);
}

void rig_gate(rig_svc *v, int shut)
{
	os_mutex_lock(&v->lock);
	v->shut = shut;
	os_cond_broadcast(&v->cond);
	os_mutex_unlock(&v->lock);
}

via_rc rig_pend(rig_svc *v, rig_session *s, via_call *call)
{
	int n;

	os_mutex_lock(&v->lock);
	n = atomic_load(&v->n_pending);
	if (n < RIG_CALLS && call->token != 0 &&
	    via_increment_decode(call->request, call->request_len, &v->number[n], NULL) == VIA_OK) {
		v->token[n] = call->token;
		v->of[n] = s;
		atomic_store(&v->n_pending, n + 1);
	} else {
		n = -1;
	}
	os_mutex_unlock(&v->lock);
	return n < 0 ? VIA_STATE : VIA_PENDING;
}

void rig_reply(rig_svc *v, int nth)
{
	uint8_t bytes[VIA_INCREMENT_SIZE];
	uint64_t used = 0;

	via_increment_encode(bytes, sizeof bytes, v->number[nth] + 1, &used);
	atomic_fetch_sub(&v->of[nth]->calls, 1);
	via_server_reply(v->r->srv, v->token[nth], VIA_OK, bytes, used);
}
