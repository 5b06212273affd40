/* core/server/server.c - public functions of the managed server: endpoints, start, drain, stop. */
#include "server.h"
#include <string.h>

enum { DEFAULT_WORKERS_MAX = 4, POOL_MAX = 256 };
#define DEFAULT_POOL 2u
#define DEFAULT_SESSIONS 1024u
#define DEFAULT_SEND_TIMEOUT_MS 30000u

/* -- open ------------------------------------------------------------------------------------------------ */

static via_rc fill_options(via_server *s, const via_server_options *o)
{
	via_server_options *d = &s->options;

	if (o != NULL) {
		if (!VIA_HAS(o, via_server_options, send_timeout_ms))
			return core_fail(VIA_INVAL, "server options: struct_size is not set");
		memcpy(d, o, o->struct_size < sizeof *d ? o->struct_size : sizeof *d);
	}
	if (d->n_workers > WORKERS_MAX)
		return core_fail(VIA_INVAL, "workers: expected at most %d, found %u", WORKERS_MAX,
				 d->n_workers);
	if (d->n_pool > POOL_MAX)
		return core_fail(VIA_INVAL, "pool threads: expected at most %d, found %u", POOL_MAX,
				 d->n_pool);
	if (d->n_workers == 0)
		d->n_workers = os_usable_cpus() < DEFAULT_WORKERS_MAX ? os_usable_cpus()
								      : DEFAULT_WORKERS_MAX;
	if (d->n_pool == 0)
		d->n_pool = DEFAULT_POOL;
	if (d->max_sessions == 0)
		d->max_sessions = DEFAULT_SESSIONS;
	if (d->send_timeout_ms == 0)
		d->send_timeout_ms = DEFAULT_SEND_TIMEOUT_MS;
	return VIA_OK;
}

via_rc via_server_open(via_registry *r, const via_server_options *options, via_server **out)
{
	const core_env *e = reg_env(r);
	via_server *s = env_alloc(e, sizeof *s);
	via_rc rc;

	if (s == NULL)
		return core_nomem("server");
	s->reg = r;
	s->env = e;
	rc = fill_options(s, options);
	if (rc != VIA_OK) {
		env_free(e, s);
		return rc;
	}
	os_mutex_init(&s->lock);
	os_cond_init(&s->idle);
	pool_init(&s->pool);
	reg_hold(r, &s->hold, "a server");
	*out = s;
	return VIA_OK;
}

/* -- endpoints ----------------------------------------------------------------------------------------------- */

static void free_endpoint(struct server_endpoint *ep)
{
	const core_env *e = ep->server->env;

	answer_unbind(ep);
	endpoint_free(e, &ep->ep);
	os_mutex_destroy(&ep->lock);
	os_mutex_destroy(&ep->own_lane.ctl);
	os_mutex_destroy(&ep->own_lane.calls);
	env_free(e, ep);
}

static via_rc append_endpoint(via_server *s, struct server_endpoint *ep)
{
	struct server_endpoint **grown = env_alloc(s->env, (s->n_endpoints + 1) * sizeof(*grown));

	if (grown == NULL)
		return core_nomem("server endpoint");
	if (s->n_endpoints != 0)
		memcpy(grown, s->endpoints, s->n_endpoints * sizeof(*grown));
	grown[s->n_endpoints++] = ep;
	env_free(s->env, s->endpoints);
	s->endpoints = grown;
	return VIA_OK;
}

/* Sizes: the configuration, else what the service's module asks for, else the defaults. */
static void fill_sizes(struct server_endpoint *ep, const via_provided *asked)
{
	via_session_config *c = &ep->config;

	if (c->max_request_payload == 0 && asked != NULL)
		c->max_request_payload = asked->max_request;
	ep->ceiling = c->max_response_payload;
	if (c->max_response_payload == 0)
		c->max_response_payload = asked != NULL && asked->max_response != 0
						  ? asked->max_response
						  : DEFAULT_RESPONSE_SERVER;
	if (ep->ceiling == 0)
		ep->ceiling = c->max_response_payload > GROWTH_CEILING ? c->max_response_payload
								       : GROWTH_CEILING;
	atomic_store(&ep->max_response, c->max_response_payload);
}

/* Endpoints with the same service share its lanes: what may not overlap must not do so across them either. */
static struct server_lane *find_lane(via_server *s, struct server_endpoint *ep)
{
	uint32_t i;

	for (i = 0; i < s->n_endpoints; i++) {
		struct server_endpoint *other = s->endpoints[i];
		int same = ep->service != NULL
				   ? other->service == ep->service && other->self == ep->self
				   : other->service == NULL &&
					     strcmp(other->ep.service, ep->ep.service) == 0;

		if (same)
			return other->lane;
	}
	return &ep->own_lane;
}

static via_rc add(via_server *s, const via_endpoint *in, const via_session_config *config,
		  const via_provided *asked, const via_service *service, void *self)
{
	struct server_endpoint *ep;
	via_rc rc;

	if (atomic_load(&s->state) != SERVER_NEW)
		return core_fail(VIA_STATE, "endpoints are added before the server starts");
	ep = env_alloc(s->env, sizeof *ep);
	if (ep == NULL)
		return core_nomem("server endpoint");
	ep->kind = KEY_LISTENER;
	ep->server = s;
	os_mutex_init(&ep->lock);
	os_mutex_init(&ep->own_lane.ctl);
	os_mutex_init(&ep->own_lane.calls);
	ep->service = service;
	ep->self = self;
	rc = endpoint_copy(s->env, in, &ep->ep);
	if (rc == VIA_OK)
		rc = session_config_copy(config, &ep->config);
	if (rc == VIA_OK) {
		ep->lane = find_lane(s, ep);
		fill_sizes(ep, asked);
		rc = append_endpoint(s, ep);
	}
	if (rc != VIA_OK)
		free_endpoint(ep);
	return rc;
}

via_rc via_server_add(via_server *s, const via_endpoint *ep, const via_session_config *config)
{
	via_provided asked = {.struct_size = sizeof asked};
	via_rc rc = via_endpoint_check(ep);

	if (rc == VIA_OK)
		rc = via_registry_lookup(s->reg, VIA_KIND_SERVICE, ep->service, &asked);
	return rc == VIA_OK ? add(s, ep, config, &asked, NULL, NULL) : rc;
}

via_rc via_server_add_service(via_server *s, const via_endpoint *ep,
			      const via_session_config *config, const via_service *vtable,
			      void *self)
{
	via_rc rc = via_endpoint_check(ep);

	if (rc != VIA_OK)
		return rc;
	if (vtable == NULL || !VIA_HAS(vtable, via_service, call) || vtable->call == NULL ||
	    vtable->name == NULL)
		return core_fail(VIA_INVAL, "service %s: a name and call() are mandatory",
				 ep->service);
	return add(s, ep, config, NULL, vtable, self);
}

/* -- start ----------------------------------------------------------------------------------------------------- */

void server_wake_all(via_server *s)
{
	uint32_t i;

	for (i = 0; i < s->n_workers; i++)
		worker_wake(&s->workers[i]);
}

void server_conn_gone(via_server *s)
{
	uint32_t left = atomic_fetch_sub(&s->n_conns, 1) - 1;

	if (left != 0 || atomic_load(&s->state) == SERVER_RUNNING)
		return;
	os_mutex_lock(&s->lock);
	os_cond_broadcast(&s->idle);
	os_mutex_unlock(&s->lock);
	server_wake_all(s);
}

static void close_acceptors(via_server *s)
{
	uint32_t i;

	for (i = 0; i < s->n_endpoints; i++) {
		via_acceptor_close(s->endpoints[i]->acceptor);
		s->endpoints[i]->acceptor = NULL;
	}
}

static via_rc open_acceptors(via_server *s)
{
	uint32_t i;

	for (i = 0; i < s->n_endpoints; i++) {
		struct server_endpoint *ep = s->endpoints[i];
		via_rc rc = via_acceptor_open(s->reg, &ep->ep, &ep->config, &ep->acceptor);

		if (rc != VIA_OK)
			return rc;
		ep->worker = &s->workers[i % s->options.n_workers];
		reg_log(s->reg, VIA_LOG_INFO, "core", "listening for %s at %s", ep->ep.service,
			via_acceptor_address(ep->acceptor));
	}
	return VIA_OK;
}

static void stop_workers(via_server *s)
{
	uint32_t i;

	atomic_store(&s->state, SERVER_STOPPING);
	server_wake_all(s);
	for (i = 0; i < s->n_workers; i++)
		if (s->workers[i].thread != NULL)
			os_thread_join(s->env, s->workers[i].thread);
	pool_stop(s); /* a thread of it may still be about to wake a worker */
	for (i = 0; i < s->n_workers; i++)
		worker_close(&s->workers[i]);
	env_free(s->env, s->workers);
	s->workers = NULL;
	s->n_workers = 0;
}

static via_rc start_workers(via_server *s)
{
	uint32_t i;
	via_rc rc = VIA_OK;

	for (i = 0; i < s->n_workers && rc == VIA_OK; i++)
		rc = os_thread_start(s->env, "via-worker", worker_main, &s->workers[i],
				     &s->workers[i].thread);
	return rc;
}

via_rc via_server_start(via_server *s)
{
	via_rc rc = VIA_OK;

	if (atomic_load(&s->state) != SERVER_NEW)
		return core_fail(VIA_STATE, "the server was started before");
	if (s->n_endpoints == 0)
		return core_fail(VIA_STATE, "a server needs at least one endpoint");
	s->workers = env_alloc(s->env, s->options.n_workers * sizeof *s->workers);
	if (s->workers == NULL)
		return core_nomem("workers");
	while (s->n_workers < s->options.n_workers && rc == VIA_OK) {
		rc = worker_open(s, &s->workers[s->n_workers]);
		s->n_workers += rc == VIA_OK;
	}
	if (rc == VIA_OK)
		rc = open_acceptors(s);
	if (rc == VIA_OK)
		rc = start_workers(s);
	if (rc == VIA_OK) { /* not before: sessions are handed over to threads that exist only */
		atomic_store(&s->state, SERVER_RUNNING);
	} else {
		stop_workers(s);
		close_acceptors(s);
		atomic_store(&s->state, SERVER_NEW);
	}
	return rc;
}

/* -- stop ---------------------------------------------------------------------------------------------------------- */

via_rc via_server_drain(via_server *s, via_time deadline)
{
	int running = SERVER_RUNNING;
	via_rc rc = VIA_OK;

	if (atomic_load(&s->state) == SERVER_NEW || s->n_workers == 0)
		return VIA_OK;
	atomic_compare_exchange_strong(&s->state, &running, SERVER_DRAINING);
	server_wake_all(s);
	os_mutex_lock(&s->lock);
	while (atomic_load(&s->n_conns) != 0 && rc == VIA_OK)
		if (os_cond_wait_until(&s->idle, &s->lock, deadline) == 0 &&
		    atomic_load(&s->n_conns) != 0)
			rc = core_fail(VIA_TIMEOUT, "%u sessions were still busy",
				       atomic_load(&s->n_conns));
	os_mutex_unlock(&s->lock);
	atomic_store(&s->state, SERVER_STOPPING);
	if (rc == VIA_OK)
		stop_workers(s);
	else
		server_wake_all(
			s); /* they close everything; who waits for the calls is via_server_close() */
	return rc;
}

void via_server_close(via_server *s)
{
	uint32_t i;

	if (s == NULL)
		return;
	via_server_drain(s, VIA_POLL);
	stop_workers(s);
	close_acceptors(s);
	pool_close(s);
	for (i = 0; i < s->n_endpoints; i++)
		free_endpoint(s->endpoints[i]);
	env_free(s->env, s->endpoints);
	os_cond_destroy(&s->idle);
	os_mutex_destroy(&s->lock);
	reg_unhold(s->reg, &s->hold);
	env_free(s->env, s);
}

/* -- facts ------------------------------------------------------------------------------------------------------------ */

void via_server_get_stats(via_server *s, via_server_stats *out)
{
	uint32_t n = out->struct_size < sizeof *out ? out->struct_size : (uint32_t)sizeof *out;
	via_server_stats st = {.struct_size = n,
			       .n_sessions = atomic_load(&s->n_sessions),
			       .accepted = atomic_load(&s->accepted),
			       .refused = atomic_load(&s->refused),
			       .handshakes_failed = atomic_load(&s->handshakes_failed)};
	uint32_t i;

	for (i = 0; i < WORKERS_MAX; i++) {
		st.calls += atomic_load(&s->tally[i].calls);
		st.calls_failed += atomic_load(&s->tally[i].calls_failed);
	}
	memcpy(out, &st, n);
}

/* Whoever is woken says in the next turn of its loop that it was: nothing is counted for the watchdogs of those
 * who have none, and an idle worker shows life as well as a busy one. */
via_rc via_server_alive(via_server *s)
{
	uint32_t i, asked = atomic_load(&s->round), stuck = 0;

	if (atomic_load(&s->state) != SERVER_RUNNING)
		return VIA_OK;
	for (i = 0; i < s->n_workers; i++)
		stuck += atomic_load(&s->workers[i].round_asked) != asked;
	if (stuck != 0)
		return core_fail(VIA_BUSY, "%u of %u workers have not gone round since", stuck,
				 s->n_workers);
	atomic_store(&s->round, asked + 1);
	server_wake_all(s);
	return VIA_OK;
}

void via_server_reply(via_server *s, uint64_t token, via_rc rc, const void *response, uint64_t len)
{
	pending_reply(reg_pending(s->reg), token, rc, response, len);
}
