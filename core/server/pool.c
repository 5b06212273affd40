/* core/server/pool.c - threads that run services which may block. Started by the first such call. */
#include "server.h"

void pool_init(struct server_pool *p)
{
	os_mutex_init(&p->lock);
	os_cond_init(&p->cond);
	p->tail = &p->head;
}

static int is_exclusive(const struct server_conn *c)
{
	return (c->ep->service->flags & VIA_SVC_CONCURRENT) == 0;
}

/* The oldest message whose service may be called now: one that has to wait holds no thread meanwhile. */
static struct server_conn *pick(struct server_pool *p)
{
	struct server_conn **at = &p->head;
	struct server_conn *c;

	while ((c = *at) != NULL && is_exclusive(c) && c->ep->lane->in_pool != 0)
		at = &c->pool_next;
	if (c == NULL)
		return NULL;
	*at = c->pool_next;
	if (p->tail == &c->pool_next)
		p->tail = at;
	c->ep->lane->in_pool |= is_exclusive(c);
	return c;
}

static struct server_conn *next_conn(struct server_pool *p)
{
	struct server_conn *c;

	os_mutex_lock(&p->lock);
	while ((c = pick(p)) == NULL && p->stop == 0)
		os_cond_wait(&p->cond, &p->lock);
	os_mutex_unlock(&p->lock);
	return c;
}

static void leave_lane(struct server_pool *p, struct server_lane *lane)
{
	os_mutex_lock(&p->lock);
	lane->in_pool = 0;
	if (p->head != NULL)
		os_cond_signal(&p->cond);
	os_mutex_unlock(&p->lock);
}

static void pool_main(void *arg)
{
	struct server_pool *p = arg;
	struct server_conn *c;

	while ((c = next_conn(p)) != NULL) {
		enum answer_result r;

		core_error_clear(); /* what this thread did before is no reason */
		r = answer_run(c);

		if (is_exclusive(c))
			leave_lane(p, c->ep->lane);
		if (r == ANSWER_PENDING)
			answer_gate(c);
		else
			worker_post(c->worker, c);
	}
}

/* At least one thread must run; the others are a matter of speed. */
static via_rc start_threads(via_server *s)
{
	struct server_pool *p = &s->pool;
	via_rc rc = VIA_OK;

	if (p->threads == NULL) {
		p->threads = env_alloc(s->env, s->options.n_pool * sizeof(os_thread *));
		if (p->threads == NULL)
			return core_nomem("pool");
	}
	while (p->n_threads < s->options.n_pool && rc == VIA_OK) {
		rc = os_thread_start(s->env, "via-pool", pool_main, p, &p->threads[p->n_threads]);
		p->n_threads += rc == VIA_OK;
	}
	return p->n_threads != 0 ? VIA_OK : rc;
}

via_rc pool_submit(via_server *s, struct server_conn *c)
{
	struct server_pool *p = &s->pool;
	via_rc rc;

	os_mutex_lock(&p->lock);
	rc = start_threads(s);
	if (rc == VIA_OK) {
		c->pool_next = NULL;
		*p->tail = c;
		p->tail = &c->pool_next;
		os_cond_signal(&p->cond);
	}
	os_mutex_unlock(&p->lock);
	return rc;
}

void pool_stop(via_server *s)
{
	struct server_pool *p = &s->pool;

	os_mutex_lock(&p->lock);
	p->stop = 1;
	os_cond_broadcast(&p->cond);
	os_mutex_unlock(&p->lock);
	while (p->n_threads > 0)
		os_thread_join(s->env, p->threads[--p->n_threads]);
	env_free(s->env, p->threads);
	p->threads = NULL;
	p->stop = 0;
}

void pool_close(via_server *s)
{
	struct server_pool *p = &s->pool;

	pool_stop(s);
	os_cond_destroy(&p->cond);
	os_mutex_destroy(&p->lock);
}
