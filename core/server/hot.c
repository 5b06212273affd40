/* core/server/hot.c - conns in conversation: looked at in turn instead of slept on.
 *
 * A conn is hot while its history says that its next request will come sooner than a sleep would pay. Hot
 * conns are not armed; before the worker sleeps it arms them. */
#include "server.h"

enum { POLL_EVERY = 64, FORGET_AFTER = 64 };
#define OTHERS_WAIT_NS 1000000u /* where turns are long they look at the others more often */

void hot_cool(struct server_conn *c)
{
	struct server_worker *w = c->worker;
	uint32_t i;

	for (i = 0; i < w->n_hot; i++) {
		if (w->hot[i] == c) {
			w->hot[i] = w->hot[--w->n_hot];
			break;
		}
	}
	c->is_hot = 0;
	c->n_hot_turns = 0;
}

/* 1: the next request is likely to come soon, the conn is looked at instead of slept on. */
int hot_stays(struct server_conn *c)
{
	struct server_worker *w = c->worker;

	c->spin_ns =
		c->out_waiting == 0 && c->lingering == 0 ? wait_spin_ns(&c->history, w->budget) : 0;
	if (c->spin_ns == 0) {
		if (c->is_hot != 0)
			hot_cool(c);
		return 0;
	}
	if (c->is_hot == 0 && w->n_hot < MAX_HOT) {
		w->hot[w->n_hot++] = c;
		c->is_hot = 1;
	}
	c->turn = w->turn;
	/* while it is known to the poller each record costs its sender a note that nobody reads */
	if (c->is_hot != 0 && ++c->n_hot_turns == FORGET_AFTER && c->s->data->rx_word == NULL)
		watch_stop(c);
	return c->is_hot;
}

void hot_learn(struct server_conn *c, enum wake how)
{
	struct server_worker *w = c->worker;
	via_time now;

	if (w->budget == 0)
		return;
	if (how == WAKE_QUICK) {
		wait_hit(&c->history);
		c->served_at = 0;
		return;
	}
	now = os_now();
	if (c->served_at != 0)
		wait_learn(&c->history, now - c->served_at, how == WAKE_SLEPT, c->spin_ns,
			   w->budget);
	c->served_at = now;
}

/* Looks at each hot conn once; one that has something, or NULL. */
static struct server_conn *look_over_hot(struct server_worker *w)
{
	uint32_t i;

	for (i = w->n_hot; i > 0; i--) {
		struct server_conn *c = w->hot[i - 1];
		const via_link *l = c->s->data;

		if (rx_has_view(c->s))
			return c;
		if (l->rx_word != NULL ? os_load64(l->rx_word) != l->rx_seen
				       : rx_fetch(c->s) != VIA_AGAIN)
			return c;
	}
	return NULL;
}

/* From here on the conns' waits are timed. Returns when the last of them is to be slept on. */
static via_time start_clock(struct server_worker *w)
{
	via_time now = os_now(), end = now;
	uint32_t i;

	for (i = 0; i < w->n_hot; i++) {
		struct server_conn *c = w->hot[i];

		if (c->served_at == 0)
			c->served_at = now;
		if (now + c->spin_ns > end)
			end = now + c->spin_ns;
	}
	return end;
}

static int is_called(const struct server_worker *w)
{
	return atomic_load_explicit(&w->inbox_flag, memory_order_relaxed) != 0;
}

static struct server_conn *look_quickly(struct server_worker *w)
{
	uint32_t i;

	for (i = 0; i < WAIT_QUICK_LOOKS && !is_called(w); i++) {
		struct server_conn *c = look_over_hot(w);

		if (c != NULL)
			return c;
		os_cpu_relax();
	}
	return NULL;
}

/* Spins until a hot conn has been served, or the worker called: 1. 0: their time is over. */
static int spin_over_hot(struct server_worker *w)
{
	uint32_t offers = wait_alone() != 0 ? WAIT_OFFERS : 0, looks = 0;
	struct server_conn *c = offers == 0 ? look_quickly(w) : NULL;
	via_time end;

	if (c != NULL) {
		worker_serve(c, WAKE_QUICK);
		return 1;
	}
	end = start_clock(w);
	do {
		if (offers != 0)
			os_yield(); /* nothing comes before a peer has run */
		c = look_over_hot(w);
		if (c != NULL) {
			worker_serve(c, WAKE_LOOKED);
			return 1;
		}
		if (is_called(w))
			return 1;
		if (++looks % POLL_EVERY == 0)
			worker_look_at_others(w);
		if (offers == 0)
			os_cpu_relax();
	} while (w->n_hot != 0 && (offers != 0 ? looks < offers : os_now() < end));
	return 0;
}

/* A conn that has had nothing to say during a long conversation of another is slept on. */
static void cool_idle(struct server_worker *w)
{
	uint32_t i;

	for (i = w->n_hot; i > 0; i--) {
		struct server_conn *c = w->hot[i - 1];

		if (w->turn - c->turn < POLL_EVERY)
			continue;
		hot_cool(c);
		if (watch_start(c) != VIA_OK)
			worker_serve(c, WAKE_LOOKED);
		i = i <= w->n_hot ? i : w->n_hot + 1; /* others may have gone meanwhile */
	}
}

/* After a look at the others: in how many turns the next one is due. One turn may last a microsecond or many
 * milliseconds, and nobody asks for the time in between. */
static void pace_looks(struct server_worker *w)
{
	via_time now = os_now();
	int was_long = now - w->looked_at > OTHERS_WAIT_NS;

	w->pace = was_long != 0 ? 1 : w->pace < POLL_EVERY ? w->pace * 2 : POLL_EVERY;
	w->look_turn = w->turn + w->pace;
	w->looked_at = now;
}

void hot_spin(struct server_worker *w)
{
	if (w->n_hot == 0 || w->n_ready != 0 || wait_spin_enter() == 0)
		return;
	while (w->n_hot != 0 && spin_over_hot(w) != 0) {
		if (is_called(w) || w->n_ready != 0)
			break;
		w->turn++;
		if ((int32_t)(w->turn - w->look_turn) >= 0) { /* the others must not starve */
			cool_idle(w);
			worker_look_at_others(w);
			worker_run_timers(w);
			pace_looks(w);
		}
	}
	wait_spin_leave();
}

/* Each hot conn is armed or gets a turn, which may leave it hot. */
void hot_arm(struct server_worker *w)
{
	uint32_t n;

	for (n = w->n_hot; n > 0 && w->n_hot != 0; n--) {
		struct server_conn *c = w->hot[0];

		hot_cool(c);
		if (watch_start(c) != VIA_OK)
			worker_serve(c, WAKE_LOOKED);
	}
}
