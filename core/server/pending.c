/* core/server/pending.c - tokens of calls whose answer comes later.
 *
 * A token is handed out before the call and forgotten at its reply, so that a second reply, or one with
 * an invented token, finds nothing. */
#include "server.h"

enum { BUCKETS = 64 };

struct entry {
	struct entry *next;
	uint64_t token;
	pending_fn fn;
	void *arg;
};

struct pending_table {
	const core_env *env;
	os_mutex lock;
	uint64_t next_token;
	struct entry *bucket[BUCKETS];
};

via_rc pending_open(const core_env *e, struct pending_table **out)
{
	struct pending_table *t = env_alloc(e, sizeof *t);

	if (t == NULL)
		return core_nomem("table of pending calls");
	t->env = e;
	t->next_token = 1;
	os_mutex_init(&t->lock);
	*out = t;
	return VIA_OK;
}

void pending_close(struct pending_table *t)
{
	uint32_t i;

	if (t == NULL)
		return;
	for (i = 0; i < BUCKETS; i++) {
		while (t->bucket[i] != NULL) {
			struct entry *e = t->bucket[i];

			t->bucket[i] = e->next;
			env_free(t->env, e);
		}
	}
	os_mutex_destroy(&t->lock);
	env_free(t->env, t);
}

via_rc pending_add(struct pending_table *t, pending_fn fn, void *arg, uint64_t *token)
{
	struct entry *e = env_alloc(t->env, sizeof *e);
	struct entry **head;

	if (e == NULL)
		return core_nomem("pending call");
	e->fn = fn;
	e->arg = arg;
	os_mutex_lock(&t->lock);
	e->token = t->next_token++;
	*token = e->token;
	head = &t->bucket[e->token % BUCKETS];
	e->next = *head;
	*head = e;
	os_mutex_unlock(&t->lock);
	return VIA_OK;
}

static struct entry *take(struct pending_table *t, uint64_t token)
{
	struct entry **at = &t->bucket[token % BUCKETS];
	struct entry *e;

	os_mutex_lock(&t->lock);
	while (*at != NULL && (*at)->token != token)
		at = &(*at)->next;
	e = *at;
	if (e != NULL)
		*at = e->next;
	os_mutex_unlock(&t->lock);
	return e;
}

int pending_remove(struct pending_table *t, uint64_t token)
{
	struct entry *e = take(t, token);

	env_free(t->env, e);
	return e != NULL;
}

void pending_reply(struct pending_table *t, uint64_t token, via_rc rc, const void *response,
		   uint64_t len)
{
	struct entry *e = take(t, token);
	pending_fn fn;
	void *arg;

	if (e == NULL)
		return;
	fn = e->fn;
	arg = e->arg;
	env_free(t->env, e);
	fn(arg, rc, response,
	   len); /* last: the server and this table may be gone when it returns */
}
