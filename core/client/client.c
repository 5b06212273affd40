/* core/client/client.c - level 2: one service, blocking calls (docs/wire.md section 16).
 *
 * Threads: one at a time, except that abort may come from any. The lock protects only the session pointer
 * against an abort that looks at it while it is replaced. */
#include "../session/session.h"
#include <string.h>
#include <viaduct/app/client.h>

#define DEFAULT_CALL_MS 30000u
#define MS 1000000u

struct via_client {
	via_registry *reg;
	const core_env *env;
	via_endpoint ep; /* strings owned */
	via_session_config config;
	uint32_t call_timeout_ms;
	_Atomic int state;
	atomic_int aborted;
	os_waker *waker;
	os_mutex lock; /* session, against abort */
	via_session *session;
	int reply_out;
	via_message reply;
	via_client_stats stats;
	reg_pin hold;
};

/* -- life -------------------------------------------------------------------------------------------- */

static void free_client(via_client *c)
{
	const core_env *e = c->env;

	endpoint_free(e, &c->ep);
	os_mutex_destroy(&c->lock);
	env_free(e, c);
}

via_rc via_client_open(via_registry *r, const via_client_options *options, via_client **out)
{
	const core_env *e = reg_env(r);
	via_client *c;
	via_rc rc;

	if (options == NULL || !VIA_HAS(options, via_client_options, config))
		return core_fail(VIA_INVAL, "client options: struct_size is not set");
	c = env_alloc(e, sizeof *c);
	if (c == NULL)
		return core_nomem("client");
	c->reg = r;
	c->env = e;
	os_mutex_init(&c->lock);
	c->call_timeout_ms =
		options->call_timeout_ms != 0 ? options->call_timeout_ms : DEFAULT_CALL_MS;
	rc = via_endpoint_check(&options->endpoint);
	if (rc == VIA_OK)
		rc = endpoint_copy(e, &options->endpoint, &c->ep);
	if (rc == VIA_OK)
		rc = session_config_copy(options->config.struct_size == 0 ? NULL : &options->config,
					 &c->config);
	if (rc == VIA_OK)
		rc = os_waker_open(e, &c->waker);
	if (rc != VIA_OK) {
		free_client(c);
		return rc;
	}
	reg_hold(r, &c->hold, "a client");
	*out = c;
	return VIA_OK;
}

static void release_reply(via_client *c)
{
	if (c->reply_out != 0)
		via_session_release(c->session, &c->reply);
	c->reply_out = 0;
}

static void set_session(via_client *c, via_session *s)
{
	via_session *old = c->session;

	os_mutex_lock(&c->lock);
	c->session = s;
	if (s != NULL && atomic_load(&c->aborted) != 0)
		via_session_abort(s, VIA_ABORTED);
	os_mutex_unlock(&c->lock);
	via_session_close(old);
}

void via_client_close(via_client *c)
{
	if (c == NULL)
		return;
	release_reply(c);
	set_session(c, NULL);
	os_waker_close(c->env, c->waker);
	reg_unhold(c->reg, &c->hold);
	free_client(c);
}

/* -- state ---------------------------------------------------------------------------------------------- */

via_client_state via_client_get_state(const via_client *c)
{
	return (via_client_state)atomic_load_explicit(&c->state, memory_order_relaxed);
}

int via_client_is_ready(const via_client *c)
{
	return via_client_get_state(c) == VIA_CLIENT_READY;
}

const char *via_client_state_name(via_client_state state)
{
	static const char *const name[] = {"DISCONNECTED", "CONNECTING",   "READY", "NOT_FOUND",
					   "AUTH_FAILED",  "INCOMPATIBLE", "BROKEN"};

	return (uint32_t)state < sizeof name / sizeof name[0] ? name[state] : "?";
}

static void set_state(via_client *c, via_client_state state)
{
	atomic_store_explicit(&c->state, state, memory_order_relaxed);
}

/* docs/wire.md section 16, table of states. */
static via_client_state state_after(via_rc rc, uint16_t status)
{
	if (rc == VIA_UNREACH)
		return VIA_CLIENT_NOT_FOUND;
	if (rc != VIA_REFUSED)
		return VIA_CLIENT_DISCONNECTED;
	switch (status) {
	case VIA_STATUS_AUTH_FAILED:
		return VIA_CLIENT_AUTH_FAILED;
	case VIA_STATUS_INCOMPATIBLE:
	case VIA_STATUS_UNSUPPORTED:
		return VIA_CLIENT_INCOMPATIBLE;
	default:
		return VIA_CLIENT_DISCONNECTED;
	}
}

/* -- connecting --------------------------------------------------------------------------------------------- */

static via_rc connect_once(via_client *c, const via_session_config *config,
			   const candidates *failed, via_time deadline)
{
	via_session *s;
	via_rc rc;

	set_session(
		c,
		NULL); /* its place at the server is free again, and its failure is not this one's */
	rc = session_start_until(c->reg, &c->ep, config, c->waker, deadline, &s);
	if (rc != VIA_OK) {
		set_state(c, state_after(rc, VIA_STATUS_OK));
		return rc;
	}
	candidates_inherit(s->cand, failed);
	set_session(c, s);
	rc = session_step_until(s, deadline);
	set_state(c, rc == VIA_OK ? VIA_CLIENT_READY : state_after(rc, s->status));
	return rc;
}

via_rc via_client_refresh(via_client *c, via_time deadline)
{
	via_session_config config = c->config;
	candidates failed = {0};
	via_rc rc;

	if (via_client_is_ready(c))
		return VIA_OK;
	if (atomic_load(&c->aborted) != 0)
		return core_fail(VIA_ABORTED, "via_client_abort() was called");
	release_reply(c);
	set_state(c, VIA_CLIENT_CONNECTING);
	do
		rc = connect_once(c, &config, &failed, deadline);
	while (rc != VIA_OK && c->session != NULL &&
	       session_fallback(c->session, &config, &failed) != 0);
	if (rc == VIA_OK)
		c->stats.connects++;
	else
		c->stats.connects_failed++;
	return rc;
}

/* -- calls ----------------------------------------------------------------------------------------------------- */

/* After this the answer may still be under way, or the stream is out of step: only a new session helps. */
static via_rc broken(via_client *c, via_rc rc)
{
	set_state(c, VIA_CLIENT_BROKEN);
	return rc;
}

static via_rc check_reply(const via_client *c, const via_request *q, uint32_t items)
{
	const via_message *m = &c->reply;

	if (m->code != q->method)
		return core_fail(VIA_PROTO, "answer's method code: expected %u, found %u",
				 q->method, m->code);
	if (m->status != VIA_STATUS_OK)
		return core_fail(VIA_REFUSED, "the server answered %s",
				 via_wire_status_name(m->status));
	if ((q->flags & VIA_WIRE_FLAG_BATCH) == 0)
		return VIA_OK;
	if (m->item_count != items)
		return core_fail(VIA_PROTO, "answer's item_count: expected %u, found %u", items,
				 m->item_count);
	if (items > 1 &&
	    (m->flags & VIA_WIRE_FLAG_BATCH) == 0) /* then nobody has looked at its directory */
		return core_fail(VIA_PROTO,
				 "answer to a batch of %u: expected flag BATCH, found 0x%x", items,
				 m->flags);
	return VIA_OK;
}

/* The clock is not asked before there is something to wait for: a quick call does without. */
static via_time deadline_of(const via_client *c, via_time deadline)
{
	return deadline != 0 ? deadline : via_deadline((uint64_t)c->call_timeout_ms * MS);
}

static via_rc receive(via_client *c, via_time deadline)
{
	via_rc rc = session_recv_quick(c->session, &c->reply);

	if (rc == VIA_AGAIN)
		rc = session_recv_unseen(c->session, &c->reply, deadline_of(c, deadline));
	return rc;
}

static via_rc exchange(via_client *c, const via_message *m, via_time deadline)
{
	via_rc rc = via_session_send(c->session, m);

	if (rc == VIA_AGAIN || rc == VIA_PENDING) {
		deadline = deadline_of(c, deadline);
		rc = session_send_rest(c->session, m, rc, deadline);
	}

	if ((rc == VIA_TOOBIG || rc == VIA_LIMIT || rc == VIA_INVAL || rc == VIA_NOMEM ||
	     rc == VIA_EXISTS) &&
	    atomic_load(&c->session->tx.fail) == VIA_OK)
		return rc; /* nothing was sent */
	if (rc == VIA_OK)
		rc = receive(c, deadline);
	if (rc == VIA_OK &&
	    c->reply.id != m->id) { /* ids of earlier calls were given up with their session */
		via_session_release(c->session, &c->reply);
		rc = core_fail(VIA_PROTO, "answer's message_id: expected %llu, found %llu",
			       (unsigned long long)m->id, (unsigned long long)c->reply.id);
	}
	if (rc != VIA_OK)
		return broken(c, rc);
	c->reply_out = 1;
	return VIA_OK;
}

static via_rc can_call(via_client *c)
{
	if (atomic_load(&c->aborted) != 0)
		return core_fail(VIA_ABORTED, "via_client_abort() was called");
	if (!via_client_is_ready(c))
		return core_fail(VIA_STATE, "the client is %s, not READY",
				 via_client_state_name(via_client_get_state(c)));
	release_reply(c);
	return VIA_OK;
}

/* Servers close after every error answer but UNSUPPORTED. */
static via_rc take_reply(via_client *c, const via_request *q, uint32_t items, via_reply *reply)
{
	via_rc rc = check_reply(c, q, items);

	if (rc == VIA_OK || rc == VIA_REFUSED)
		*reply = (via_reply){.status = c->reply.status,
				     .flags = c->reply.flags,
				     .item_count = c->reply.item_count,
				     .payload = c->reply.payload,
				     .payload_len = c->reply.payload_len};
	if (rc == VIA_PROTO || (rc == VIA_REFUSED && c->reply.status != VIA_STATUS_UNSUPPORTED))
		broken(c, rc);
	return rc;
}

via_rc via_client_call(via_client *c, const via_request *request, via_time deadline,
		       via_reply *reply)
{
	uint32_t items = request->item_count != 0 ? request->item_count : 1;
	via_message m = {.kind = VIA_WIRE_REQUEST,
			 .flags = request->flags,
			 .code = request->method,
			 .item_count = items,
			 .payload_len = request->payload_len,
			 .id = c->stats.calls_ok + 1,
			 .payload = request->payload};
	via_rc rc;

	rc = can_call(c);
	if (rc == VIA_OK)
		rc = exchange(c, &m, deadline);
	if (rc == VIA_OK)
		rc = take_reply(c, request, items, reply);
	if (rc == VIA_OK)
		c->stats.calls_ok++;
	else
		c->stats.calls_failed++;
	return rc;
}

/* -- abort, facts ---------------------------------------------------------------------------------------------- */

void via_client_abort(via_client *c)
{
	os_mutex_lock(&c->lock);
	atomic_store(&c->aborted, 1);
	if (c->session != NULL)
		via_session_abort(c->session, VIA_ABORTED);
	os_mutex_unlock(&c->lock);
	os_waker_set(c->waker);
}

void via_client_abort_clear(via_client *c)
{
	atomic_store(&c->aborted, 0);
	os_waker_clear(c->waker);
	if (via_client_is_ready(c))
		set_state(c, VIA_CLIENT_BROKEN); /* the abort ended the session */
}

void via_client_get_stats(const via_client *c, via_client_stats *out)
{
	uint32_t n = out->struct_size < sizeof *out ? out->struct_size : (uint32_t)sizeof *out;
	via_client_stats s = c->stats;

	s.struct_size = n;
	memcpy(out, &s, n);
}

via_session *via_client_session(via_client *c)
{
	return c->session;
}
