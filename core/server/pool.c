/* SPDX-License-Identifier: Apache-2.0
 * core/server/pool.c - threads that run services which may block. Started by the first such call.     */
#include "server.h"

void pool_init(struct server_pool *p)
{
	os_mutex_init(&p->lock);
	os_cond_init(&p->cond);
}

static struct server_conn *next_conn(struct server_pool *p)
{
	struct server_conn *c;

	os_mutex_lock(&p->lock);
	while (p->head == NULL && p->stop == 0)
		os_cond_wait(&p->cond, &p->lock);
	c = p->head;
	if (c != NULL) {
		p->head = c->pool_next;
		if (p->head == NULL)
			p->tail = NULL;
	}
	os_mutex_unlock(&p->lock);
	return c;
}

static void pool_main(void *arg)
{
	struct server_pool *p = arg;
	struct server_conn *c;

	while ((c = next_conn(p)) != NULL) {
		if (answer_run(c) == ANSWER_PENDING)
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
		if (p->tail != NULL)
			p->tail->pool_next = c;
		else
			p->head = c;
		p->tail = c;
		os_cond_signal(&p->cond);
	}
	os_mutex_unlock(&p->lock);
	return rc;
}

void pool_close(via_server *s)
{
	struct server_pool *p = &s->pool;

	os_mutex_lock(&p->lock);
	p->stop = 1;
	os_cond_broadcast(&p->cond);
	os_mutex_unlock(&p->lock);
	while (p->n_threads > 0)
		os_thread_join(s->env, p->threads[--p->n_threads]);
	env_free(s->env, p->threads);
	os_cond_destroy(&p->cond);
	os_mutex_destroy(&p->lock);
}
