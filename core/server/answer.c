/* core/server/answer.c - one message through its service: binding, checking, batches, late answers.
 *
 * Threads: the conn's worker, or the pool thread that has the conn's message. docs/wire.md section 15. */
#include "server.h"
#include <string.h>

/* -- binding: the module of a service is loaded by its first call ------------------------------------ */

static via_rc take_codecs(struct server_endpoint *ep)
{
	const char *const *name;

	for (name = ep->service->codecs; name != NULL && *name != NULL; name++) {
		via_rc rc;

		if (ep->n_codecs == MAX_METHODS)
			return core_fail(VIA_LIMIT, "service %s: expected at most %d codecs",
					 ep->service->name, MAX_METHODS);
		rc = via_registry_acquire(ep->server->reg, VIA_KIND_CODEC, *name, 0,
					  &ep->codec_ref[ep->n_codecs]);
		if (rc != VIA_OK)
			return rc;
		ep->n_codecs++;
	}
	return VIA_OK;
}

void answer_unbind(struct server_endpoint *ep)
{
	while (ep->n_codecs > 0)
		via_registry_release(ep->server->reg, &ep->codec_ref[--ep->n_codecs]);
	if (ep->service_ref.vtable != NULL) {
		ep->service = NULL;
		via_registry_release(ep->server->reg, &ep->service_ref);
	}
	atomic_store(&ep->bound, 0);
}

static via_rc bind_locked(struct server_endpoint *ep)
{
	via_registry *reg = ep->server->reg;
	via_rc rc = VIA_OK;

	if (ep->service == NULL) {
		rc = via_registry_acquire(reg, VIA_KIND_SERVICE, ep->ep.service, 0,
					  &ep->service_ref);
		if (rc != VIA_OK)
			return rc;
		ep->service = ep->service_ref.vtable;
		ep->self = ep->service_ref.self;
	}
	rc = take_codecs(ep);
	if (rc != VIA_OK)
		answer_unbind(ep);
	return rc;
}

/* A failure is tried again at the next call: the missing module may have been installed by then. */
static via_rc bind_endpoint(struct server_endpoint *ep)
{
	via_rc rc = VIA_OK;

	if (atomic_load_explicit(&ep->bound, memory_order_acquire) != 0)
		return VIA_OK;
	os_mutex_lock(&ep->lock);
	if (atomic_load(&ep->bound) == 0) {
		rc = bind_locked(ep);
		if (rc == VIA_OK)
			atomic_store_explicit(&ep->bound, 1, memory_order_release);
		else
			reg_log(ep->server->reg, VIA_LOG_ERROR, "core",
				"service %s cannot be loaded: %s", ep->ep.service, via_error());
	}
	os_mutex_unlock(&ep->lock);
	return rc;
}

static const via_codec *find_codec(const struct server_endpoint *ep, uint16_t method)
{
	uint32_t i;

	for (i = 0; i < ep->n_codecs; i++) {
		const via_codec *codec = ep->codec_ref[i].vtable;

		if (codec->method == method)
			return codec;
	}
	return NULL;
}

/* Never the lock of calls: one that blocks must not hold up an event loop. */
static void lock_ctl(struct server_endpoint *ep)
{
	if (ep->service_ref.vtable != NULL)
		reg_ctl_lock(ep->server->reg, &ep->service_ref);
	else
		os_mutex_lock(&ep->lane->ctl);
}

static void unlock_ctl(struct server_endpoint *ep)
{
	if (ep->service_ref.vtable != NULL)
		reg_ctl_unlock(ep->server->reg, &ep->service_ref);
	else
		os_mutex_unlock(&ep->lane->ctl);
}

static via_rc open_session(struct server_conn *c)
{
	struct server_endpoint *ep = c->ep;
	via_rc rc = VIA_OK;

	if (c->svc_open != 0)
		return VIA_OK;
	if (ep->service->open != NULL) {
		core_error_clear();
		lock_ctl(ep);
		rc = ep->service->open(ep->self, &c->peer, &c->svc_session);
		unlock_ctl(ep);
	}
	if (rc != VIA_OK)
		reg_log(ep->server->reg, VIA_LOG_WARN, "core",
			"service %s refuses a session with %s: %s", ep->ep.service, conn_peer(c),
			via_error()[0] != '\0' ? via_error() : via_rc_text(rc));
	c->svc_open = rc == VIA_OK;
	return rc;
}

void answer_close_session(struct server_conn *c)
{
	struct server_endpoint *ep = c->ep;

	if (c->svc_open != 0 && ep->service->close != NULL) {
		lock_ctl(ep);
		ep->service->close(ep->self, c->svc_session);
		unlock_ctl(ep);
	}
	c->svc_open = 0;
}

uint16_t answer_bind(struct server_conn *c, const via_message *m)
{
	if (c->svc_open != 0 && c->job.codec != NULL && c->job.codec->method == m->code)
		return VIA_STATUS_OK; /* as last time */
	if (bind_endpoint(c->ep) != VIA_OK)
		return VIA_STATUS_INTERNAL_ERROR;
	c->job.codec = find_codec(c->ep, m->code);
	if (c->job.codec == NULL)
		return VIA_STATUS_UNSUPPORTED;
	return open_session(c) == VIA_OK ? VIA_STATUS_OK : VIA_STATUS_INTERNAL_ERROR;
}

/* -- late answers ----------------------------------------------------------------------------------------- */

/* Whoever comes second, the returning call or the reply, hands the conn back to its worker. */
void answer_gate(struct server_conn *c)
{
	if (atomic_fetch_add(&c->job.gate, 1) == 1)
		worker_post(c->worker, c);
}

static void on_reply(void *arg, via_rc rc, const void *response, uint64_t len)
{
	struct server_conn *c = arg;
	struct job *j = &c->job;

	j->replied = 1;
	j->reply_rc = rc;
	j->reply_len = 0;
	if (rc == VIA_OK && len > c->ep->ceiling)
		j->reply_rc = VIA_TOOBIG;
	if (j->reply_rc == VIA_OK && len != 0) {
		j->reply = env_alloc(c->worker->server->env, len);
		if (j->reply == NULL)
			j->reply_rc = VIA_NOMEM;
		else
			memcpy(j->reply, response, (size_t)len);
		j->reply_len = (uint32_t)len;
	}
	answer_gate(c);
}

/* The token is taken by one: whoever finds the peer gone, or whoever learns of it after the call. */
static void cancel_pending(struct server_conn *c)
{
	uint64_t token = atomic_exchange(&c->job.token, 0);

	if (token != 0 && c->ep->service->cancel != NULL)
		c->ep->service->cancel(c->ep->self, c->svc_session, token);
}

void answer_cancel(struct server_conn *c)
{
	atomic_store(&c->gone, 1);
	cancel_pending(c);
}

/* -- calls --------------------------------------------------------------------------------------------------- */

static inline via_rc call_in_lane(struct server_conn *c, via_call *call)
{
	struct server_endpoint *ep = c->ep;
	const via_service *service = ep->service;
	via_rc rc;

	if ((service->flags & VIA_SVC_CONCURRENT) != 0)
		return service->call(ep->self, c->svc_session, call);
	os_mutex_lock(&ep->lane->calls);
	rc = service->call(ep->self, c->svc_session, call);
	os_mutex_unlock(&ep->lane->calls);
	return rc;
}

/* A service that may answer later. */
static via_rc call_async(struct server_conn *c, via_call *call)
{
	struct pending_table *pending = reg_pending(c->ep->server->reg);
	struct job *j = &c->job;
	via_rc rc;

	j->replied = 0;
	atomic_store(&j->gate, 0);
	rc = pending_add(pending, on_reply, c, &call->token);
	if (rc != VIA_OK)
		return rc;
	rc = call_in_lane(c, call);
	if (rc != VIA_PENDING && pending_remove(pending, call->token) == 0)
		rc = VIA_PENDING; /* it has replied all the same: the reply is the answer */
	if (rc == VIA_PENDING) {
		atomic_store(&j->token, call->token);
		if (atomic_load(&c->gone) != 0)
			cancel_pending(c);
	}
	return rc;
}

static via_rc call_service(struct server_conn *c, const void *req, uint32_t req_len, void *dst,
			   uint64_t cap, uint64_t *len)
{
	const via_service *service = c->ep->service;
	int is_async = (service->flags & VIA_SVC_ASYNC) != 0;
	via_call call = {.struct_size = sizeof call,
			 .method = c->job.codec->method,
			 .request = req,
			 .request_len = req_len,
			 .response = dst,
			 .response_cap = cap,
			 .deadline = VIA_FOREVER,
			 .peer = &c->peer};
	via_rc rc = is_async != 0 ? call_async(c, &call) : call_in_lane(c, &call);

	if (rc == VIA_PENDING && is_async == 0)
		return core_fail(VIA_STATE, "service %s answered VIA_PENDING without VIA_SVC_ASYNC",
				 service->name);
	if (rc == VIA_OK && call.response_len > cap)
		return core_fail(VIA_STATE, "service %s wrote %llu bytes into room for %llu",
				 service->name, (unsigned long long)call.response_len,
				 (unsigned long long)cap);
	*len = call.response_len;
	return rc;
}

static uint16_t status_of(struct server_conn *c, via_rc rc)
{
	if (rc == VIA_OK)
		return VIA_STATUS_OK;
	if (rc == VIA_TOOBIG)
		return VIA_STATUS_LIMIT_EXCEEDED;
	reg_log(c->ep->server->reg, VIA_LOG_WARN, "core", "service %s failed for %s: %s",
		c->ep->ep.service, conn_peer(c),
		via_error()[0] != '\0' ? via_error() : via_rc_text(rc));
	return VIA_STATUS_INTERNAL_ERROR;
}

static enum answer_result finish(struct job *j, uint16_t status, uint32_t len)
{
	j->status = status;
	j->len = status == VIA_STATUS_OK ? len : 0;
	return ANSWER_READY;
}

/* Where the next item's answer is encoded. NULL: no room left. */
static void *item_room(struct job *j, uint64_t *cap)
{
	if (j->is_batch != 0)
		return via_wire_batch_room(&j->batch, cap);
	*cap = j->cap;
	return j->dst;
}

/* Some methods have requests that are valid whatever they hold, if they are so long; 0: this is none. */
static uint32_t plain_len(const via_codec *codec)
{
	return VIA_HAS(codec, via_codec, plain_len) ? codec->plain_len[VIA_SIDE_REQUEST] : 0;
}

/* Those cost no call. */
int answer_is_valid(const via_codec *codec, const void *req, uint64_t len)
{
	uint32_t plain = plain_len(codec);

	return (plain != 0 && len >= plain) || codec->check(VIA_SIDE_REQUEST, req, len, NULL) >= 0;
}

static uint16_t item_request(const struct job *j, const void **req, uint32_t *len)
{
	const via_message *m = &j->request;

	if (j->is_batch == 0) {
		*req = m->payload;
		*len = m->payload_len;
	} else if (via_wire_batch_item(m->payload, m->payload_len, m->item_count, j->index, req,
				       len, NULL) != VIA_OK) {
		return VIA_STATUS_BAD_ENVELOPE;
	}
	return answer_is_valid(j->codec, *req, *len) ? VIA_STATUS_OK : VIA_STATUS_BAD_ENVELOPE;
}

/* -- batches for services that take many items at once -------------------------------------------------- */

enum { CALLS_AT_ONCE = 64 };

int answer_takes_many(const via_service *s)
{
	return (s->flags & VIA_SVC_ASYNC) == 0 && VIA_HAS(s, via_service, call_many) &&
	       s->call_many != NULL;
}

static uint16_t next_requests(const struct job *j, uint32_t n, via_iov *requests)
{
	const via_message *m = &j->request;
	uint32_t i, plain;
	int is_shorter = 0;

	if (via_wire_batch_items(m->payload, m->payload_len, m->item_count, j->index, n, requests,
				 NULL) != VIA_OK)
		return VIA_STATUS_BAD_ENVELOPE;
	plain = plain_len(j->codec);
	for (i = 0; i < n && plain != 0; i++)
		is_shorter |= requests[i].len < plain;
	if (plain != 0 && is_shorter == 0)
		return VIA_STATUS_OK;
	for (i = 0; i < n; i++)
		if (!answer_is_valid(j->codec, requests[i].base, requests[i].len))
			return VIA_STATUS_BAD_ENVELOPE;
	return VIA_STATUS_OK;
}

via_rc answer_call_many(struct server_conn *c, via_calls *calls)
{
	struct server_endpoint *ep = c->ep;
	int is_alone = (ep->service->flags & VIA_SVC_CONCURRENT) == 0;
	via_rc rc;

	if (is_alone != 0)
		os_mutex_lock(&ep->lane->calls);
	rc = ep->service->call_many(ep->self, c->svc_session, calls);
	if (is_alone != 0)
		os_mutex_unlock(&ep->lane->calls);
	return rc;
}

static enum answer_result run_many(struct server_conn *c)
{
	struct job *j = &c->job;
	via_iov requests[CALLS_AT_ONCE];
	uint32_t lengths[CALLS_AT_ONCE];

	while (j->index < j->request.item_count) {
		uint32_t left = j->request.item_count - j->index;
		via_calls calls = {.struct_size = sizeof calls,
				   .method = j->codec->method,
				   .n = left < CALLS_AT_ONCE ? left : CALLS_AT_ONCE,
				   .requests = requests,
				   .lengths = lengths,
				   .deadline = VIA_FOREVER,
				   .peer = &c->peer};
		uint16_t status = next_requests(j, calls.n, requests);
		via_rc rc;

		if (status == VIA_STATUS_OK && atomic_load(&c->gone) != 0)
			status = VIA_STATUS_INTERNAL_ERROR; /* nobody will read it */
		if (status != VIA_STATUS_OK)
			return finish(j, status, 0);
		calls.response = via_wire_batch_room(&j->batch, &calls.response_cap);
		if (calls.response == NULL)
			return finish(j, VIA_STATUS_LIMIT_EXCEEDED, 0);
		rc = answer_call_many(c, &calls);
		if (rc == VIA_OK)
			rc = via_wire_batch_commit_many(&j->batch, lengths, calls.n);
		if (rc != VIA_OK)
			return finish(j, status_of(c, rc), 0);
		j->index += calls.n;
	}
	return finish(j, VIA_STATUS_OK, (uint32_t)via_wire_batch_finish(&j->batch));
}

/* -- one call, answered at once ---------------------------------------------------------------------- */

int answer_is_simple(const struct server_conn *c)
{
	return (c->ep->service->flags & (VIA_SVC_BLOCKING | VIA_SVC_ASYNC)) == 0 &&
	       (c->job.request.flags & VIA_WIRE_FLAG_BATCH) == 0;
}

uint16_t answer_simply(struct server_conn *c, uint8_t *dst, uint32_t cap, uint32_t *len)
{
	const via_message *m = &c->job.request;
	uint64_t used = 0;
	via_rc rc;

	*len = 0;
	if (!answer_is_valid(c->job.codec, m->payload, m->payload_len))
		return VIA_STATUS_BAD_ENVELOPE;
	rc = call_service(c, m->payload, m->payload_len, dst, cap, &used);
	if (rc != VIA_OK)
		return status_of(c, rc);
	*len = (uint32_t)used;
	return VIA_STATUS_OK;
}

/* -- any message --------------------------------------------------------------------------------------- */

void answer_begin(struct server_conn *c, uint8_t *dst, uint32_t cap)
{
	struct job *j = &c->job;
	const via_message *m = &j->request;
	int is_batch = (m->flags & VIA_WIRE_FLAG_BATCH) != 0;

	/* a batch of one comes with and without a directory: docs/wire.md section 3 */
	if (is_batch != 0 && m->item_count == 1)
		is_batch = via_wire_batch_has_directory(m->payload, m->payload_len);
	/* not all of it: what is left belongs to late answers, which leave it as it was, and to batches */
	j->is_batch = is_batch;
	j->index = 0;
	j->dst = dst;
	j->cap = cap;
	j->status = VIA_STATUS_OK;
	j->len = 0;
}

enum answer_result answer_run(struct server_conn *c)
{
	struct job *j = &c->job;
	uint32_t n = j->is_batch != 0 ? j->request.item_count : 1;

	if (j->index == 0 && j->is_batch != 0 &&
	    via_wire_batch_begin(&j->batch, j->dst, j->cap, n) != VIA_OK)
		return finish(j, VIA_STATUS_LIMIT_EXCEEDED, 0);
	if (j->is_batch != 0 && answer_takes_many(c->ep->service))
		return run_many(c);
	for (; j->index < n; j->index++) {
		const void *req;
		uint32_t req_len;
		uint64_t cap, len = 0;
		uint16_t status = item_request(j, &req, &req_len);
		void *dst = item_room(j, &cap);
		via_rc rc;

		if (status == VIA_STATUS_OK && atomic_load(&c->gone) != 0)
			status = VIA_STATUS_INTERNAL_ERROR; /* nobody will read it */
		if (status != VIA_STATUS_OK)
			return finish(j, status, 0);
		if (dst == NULL)
			return finish(j, VIA_STATUS_LIMIT_EXCEEDED, 0);
		rc = call_service(c, req, req_len, dst, cap, &len);
		if (rc == VIA_PENDING)
			return ANSWER_PENDING;
		if (rc == VIA_OK && j->is_batch != 0)
			rc = via_wire_batch_commit(&j->batch, (uint32_t)len);
		if (rc != VIA_OK)
			return finish(j, status_of(c, rc), 0);
		if (j->is_batch == 0)
			j->len = (uint32_t)len;
	}
	return finish(j, VIA_STATUS_OK,
		      j->is_batch != 0 ? (uint32_t)via_wire_batch_finish(&j->batch) : j->len);
}

enum answer_result answer_resume(struct server_conn *c)
{
	struct job *j = &c->job;
	via_rc rc = j->reply_rc;

	core_error_clear(); /* what this thread did before is no reason */
	j->replied = 0;
	atomic_store(&j->token, 0);
	if (rc == VIA_OK && j->is_batch != 0)
		rc = via_wire_batch_add(&j->batch, j->reply, j->reply_len);
	else if (rc == VIA_OK && j->reply_len > j->cap)
		rc = VIA_TOOBIG;
	else if (rc == VIA_OK && j->reply_len != 0)
		memcpy(j->dst, j->reply, j->reply_len);
	env_free(c->ep->server->env, j->reply);
	j->reply = NULL;
	if (rc != VIA_OK)
		return finish(j, status_of(c, rc), 0);
	if (j->is_batch == 0)
		return finish(j, VIA_STATUS_OK, j->reply_len);
	j->index++;
	return ANSWER_PENDING;
}
