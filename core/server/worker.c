/* core/server/worker.c - a worker's event loop: spins on sessions that are in conversation, sleeps on all.
 *
 * With nothing to do it sleeps without a timeout. */
#include "server.h"

enum { MAX_EVENTS = 64, MAX_LOOKS = 4 };

/* -- inbox ------------------------------------------------------------------------------------------------ */

void worker_wake(struct server_worker *w)
{
	atomic_store(&w->inbox_flag, 1);
	os_waker_set(w->waker);
}

/* Wakes with the lock held: once the conn is out of the inbox the worker may end. */
void worker_post(struct server_worker *w, struct server_conn *c)
{
	os_mutex_lock(&w->lock);
	c->inbox_next = w->inbox;
	w->inbox = c;
	worker_wake(w);
	os_mutex_unlock(&w->lock);
}

static struct server_conn *take_inbox(struct server_worker *w)
{
	struct server_conn *c;

	if (atomic_exchange(&w->inbox_flag, 0) == 0)
		return NULL;
	atomic_store(&w->round_asked, atomic_load(&w->server->round));
	os_waker_clear(
		w->waker); /* after the flag, before the list: whatever comes meanwhile is not lost */
	os_mutex_lock(&w->lock);
	c = w->inbox;
	w->inbox = NULL;
	os_mutex_unlock(&w->lock);
	return c;
}

/* -- lists and timers ------------------------------------------------------------------------------------------ */

static void list_add(struct server_conn **head, struct server_conn *c)
{
	c->prev = NULL;
	c->next = *head;
	if (*head != NULL)
		(*head)->prev = c;
	*head = c;
}

static void list_remove(struct server_conn **head, struct server_conn *c)
{
	if (c->prev != NULL)
		c->prev->next = c->next;
	else
		*head = c->next;
	if (c->next != NULL)
		c->next->prev = c->prev;
	c->next = c->prev = NULL;
}

void worker_set_deadline(struct server_conn *c, via_time deadline)
{
	c->deadline = deadline;
	if (deadline != 0 && deadline < c->worker->next_deadline)
		c->worker->next_deadline = deadline;
}

void worker_bury(struct server_conn *c)
{
	c->closed = 1;
	c->next = c->worker->graveyard;
	c->worker->graveyard = c;
}

/* Frees closed conns, once no event of a batch can point to them any more. */
static void bury(struct server_worker *w)
{
	while (w->graveyard != NULL) {
		struct server_conn *c = w->graveyard;

		w->graveyard = c->next;
		env_free(w->server->env, c);
	}
}

/* -- conns with more to do than one turn lasts ---------------------------------------------------------------------- */

static void make_ready(struct server_conn *c)
{
	struct server_worker *w = c->worker;

	c->is_ready = 1;
	w->n_ready++;
	c->ready_next = NULL;
	*w->ready_tail = c;
	w->ready_tail = &c->ready_next;
}

static void not_ready(struct server_conn *c)
{
	struct server_worker *w = c->worker;
	struct server_conn **at = &w->ready;

	if (c->is_ready == 0)
		return;
	while (*at != c)
		at = &(*at)->ready_next;
	*at = c->ready_next;
	if (w->ready_tail == &c->ready_next)
		w->ready_tail = at;
	c->is_ready = 0;
	w->n_ready--;
}

void worker_forget(struct server_conn *c)
{
	watch_stop(c);
	not_ready(c);
	if (c->is_hot != 0)
		hot_cool(c);
	if (c->up == 0)
		c->worker->n_handshakes--;
	list_remove(&c->worker->conns, c);
	atomic_fetch_sub(&c->worker->n_conns, 1);
	c->deadline = 0;
}

void worker_adopt(struct server_worker *w, struct server_conn *c)
{
	c->worker = w;
	list_add(&w->conns, c);
}

void worker_adopt_zombie(struct server_conn *c)
{
	list_add(&c->worker->zombies, c);
}

/* -- serving one conn ------------------------------------------------------------------------------------------------- */

/* Pumps a conn. 0 when it is gone or another worker's. */
static int pump(struct server_conn *c, uint32_t *served)
{
	struct server_worker *w = c->worker;
	int was_up = c->up;

	w->current = c;
	*served = conn_pump(c);
	if (w->current != c)
		return 0;
	w->current = NULL;
	return was_up != 0 || c->up == 0 || accept_hand_over(c) == 0;
}

/* A peer that is gone while its message is being answered. */
static void peer_left(struct server_conn *c)
{
	reg_log(c->worker->server->reg, VIA_LOG_INFO, "core",
		"%s with %s: the peer left during a call", c->s->what, conn_peer(c));
	conn_close(c);
}

static void cannot_wait(struct server_conn *c, via_rc rc)
{
	if (rc != VIA_CLOSED && rc != VIA_RESET)
		reg_log(c->worker->server->reg, VIA_LOG_WARN, "core",
			"%s with %s: cannot be waited on: %s", c->s->what, conn_peer(c),
			via_error());
	conn_close(c);
}

/* A turn of a conn: what there is to do for it, then hot, armed or ready. how: what brought us here. */
void worker_serve(struct server_conn *c, enum wake how)
{
	struct server_worker *w = c->worker;
	uint32_t served;
	via_rc rc;
	int i;

	if (c->closed != 0)
		return;
	watch_pause(c);
	not_ready(c);
	for (i = 0; i < MAX_LOOKS; i++) {
		if (!pump(c, &served))
			return;
		if (c->busy != 0) {
			c->busy_round = w->round;
			if (c->is_hot != 0)
				hot_cool(c);
			if (watch_end(c) != 0)
				peer_left(c);
			return;
		}
		if (served != 0 && c->up != 0) {
			hot_learn(c, how);
			if (hot_stays(c) != 0)
				return;
		}
		how = WAKE_LOOKED;
		rc = served == CONN_BURST ? VIA_BUSY : watch_start(c);
		if (rc == VIA_OK)
			return;
		if (served == CONN_BURST)
			break;
		if (rc != VIA_BUSY) {
			cannot_wait(c, rc);
			return;
		}
	}
	make_ready(c);
}

static void serve_ready(struct server_worker *w)
{
	uint32_t n; /* those that are in the list now */

	for (n = w->n_ready; n > 0 && w->ready != NULL; n--)
		worker_serve(w->ready, WAKE_LOOKED);
}

/* The last turn of a conn: what has come is answered, what then is idle closed. */
static void drain_conn(struct server_conn *c)
{
	if (c->up != 0)
		worker_serve(c, WAKE_LOOKED);
	if (c->closed == 0 && c->busy == 0 && c->out_waiting == 0 && c->lingering == 0)
		conn_close(c);
}

static void start_draining(struct server_worker *w)
{
	struct server_conn *c, *next;

	w->draining = 1;
	for (c = w->conns; c != NULL; c = next) {
		next = c->next;
		drain_conn(c);
	}
	accept_stop(w);
}

static void process(struct server_worker *w, struct server_conn *c)
{
	while (c != NULL) {
		struct server_conn *next = c->inbox_next;

		if (c->busy == 0) { /* a session that came up on another worker */
			worker_adopt(w, c);
			if (w->draining != 0)
				drain_conn(c);
			else
				worker_serve(c, WAKE_LOOKED);
		} else {
			if (c->zombie != 0)
				list_remove(&w->zombies, c);
			else
				watch_pause(c);
			w->current = c;
			conn_answered(c);
			if (w->current == c) {
				w->current = NULL;
				worker_serve(c, WAKE_LOOKED);
			}
		}
		c = next;
	}
}

/* -- timers -------------------------------------------------------------------------------------------------------- */

static void expire(struct server_conn *c)
{
	if (c->up == 0 && c->lingering == 0) {
		worker_serve(c, WAKE_LOOKED); /* the handshake finds its own deadline passed */
		return;
	}
	if (c->lingering == 0)
		reg_log(c->worker->server->reg, VIA_LOG_INFO, "core",
			"%s with %s: closed: %s took longer than %u ms", c->s->what, conn_peer(c),
			c->out_waiting != 0 ? "taking its answer" : "the rest of a message",
			c->worker->server->options.send_timeout_ms);
	conn_close(c);
}

void worker_run_timers(struct server_worker *w)
{
	via_time now = os_now();
	struct server_conn *c, *next;

	if (now < w->next_deadline)
		return;
	w->next_deadline = VIA_FOREVER;
	for (c = w->conns; c != NULL; c = next) {
		next = c->next;
		if (c->deadline == 0)
			continue;
		if (c->deadline <= now)
			expire(c);
		else if (c->deadline < w->next_deadline)
			w->next_deadline = c->deadline;
	}
	accept_timers(w, now);
}

/* -- loop ------------------------------------------------------------------------------------------------------------ */

static void conn_event(struct server_worker *w, struct server_conn *c)
{
	if (c->closed != 0 || c->zombie != 0)
		return;
	if (c->busy == 0)
		worker_serve(c, WAKE_SLEPT);
	else if (c->busy_round != w->round && watch_saw_end(c) != 0)
		peer_left(c);
}

static void handle_events(struct server_worker *w, const os_event *ev, via_rc n)
{
	via_rc i;

	for (i = 0; i < n; i++) {
		enum key_kind kind = *(enum key_kind *)ev[i].key;

		if (kind == KEY_LISTENER)
			accept_ready((struct server_endpoint *)ev[i].key);
		else if (kind == KEY_CONN)
			conn_event(w, (struct server_conn *)ev[i].key);
		else /* the bell may ring after the flag that came with it was seen */
			atomic_store(&w->inbox_flag, 1);
	}
	w->round++;
	bury(w);
}

void worker_look_at_others(struct server_worker *w)
{
	os_event ev[MAX_EVENTS];

	handle_events(w, ev, os_poller_wait(w->poller, ev, MAX_EVENTS, VIA_POLL));
}

static void close_all(struct server_worker *w)
{
	while (w->conns != NULL)
		conn_close(w->conns);
}

static via_time sleep_until(const struct server_worker *w)
{
	return w->n_ready != 0 || w->n_hot != 0 ? VIA_POLL : w->next_deadline;
}

void worker_main(void *arg)
{
	struct server_worker *w = arg;
	via_server *s = w->server;
	struct server_conn *inbox;
	int state;

	w->error = core_error_place();
	w->budget = wait_budget(s->env, reg_policy(s->reg));
	accept_start(w);
	for (;;) {
		os_event ev[MAX_EVENTS];

		bury(w);
		inbox = take_inbox(w);
		state = atomic_load(
			&s->state); /* what was posted after a drain began finds it noticed */
		if (state >= SERVER_DRAINING && w->draining == 0)
			start_draining(w);
		process(w, inbox);
		if (state == SERVER_STOPPING) {
			close_all(w);
			if (atomic_load(&s->n_conns) == 0)
				break;
		}
		serve_ready(w);
		hot_spin(w);
		if (atomic_load(&w->inbox_flag) != 0)
			continue;
		hot_arm(w);
		worker_run_timers(w);
		handle_events(w, ev, os_poller_wait(w->poller, ev, MAX_EVENTS, sleep_until(w)));
	}
	bury(w);
}

/* -- life -------------------------------------------------------------------------------------------------------------- */

via_rc worker_open(via_server *s, struct server_worker *w)
{
	via_waitobj obj = OS_WAITOBJ_INIT;
	via_rc rc;

	w->kind = KEY_WAKER;
	w->server = s;
	w->tally = &s->tally[w - s->workers];
	atomic_store(&w->round_asked, atomic_load(&s->round));
	w->next_deadline = VIA_FOREVER;
	w->ready_tail = &w->ready;
	rc = os_poller_open(s->env, &w->poller);
	if (rc != VIA_OK)
		return rc;
	rc = os_waker_open(s->env, &w->waker);
	if (rc != VIA_OK)
		goto close_poller;
	os_waker_object(w->waker, &obj);
	rc = os_poller_add(w->poller, &obj, w);
	if (rc != VIA_OK)
		goto close_waker;
	os_mutex_init(&w->lock);
	return VIA_OK;
close_waker:
	os_waker_close(s->env, w->waker);
close_poller:
	os_poller_close(w->poller);
	w->poller = NULL;
	return rc;
}

void worker_close(struct server_worker *w)
{
	via_waitobj obj = OS_WAITOBJ_INIT;

	if (w->poller == NULL)
		return;
	os_waker_object(w->waker, &obj);
	os_poller_remove(w->poller, &obj);
	os_poller_close(w->poller);
	os_waker_close(w->server->env, w->waker);
	os_mutex_destroy(&w->lock);
	env_free(w->server->env, w->resp);
}
