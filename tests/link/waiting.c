/* tests/link/waiting.c - conformance of any link: nothing is lost between a verb, arm() and the
 * sleep. */
#include "stacks.h"

TestSuite(link_waiting, .timeout = 60);

/* -- wake-ups of a sleeping thread ------------------------------------------------------------- */

struct sleeper {
	via_link *l;
	uint32_t events;
	_Atomic int armed; /* went to sleep, or is about to */
	int woke;
	via_rc rc; /* of recv() after it */
	via_view v;
};

static void sleep_once(void *arg)
{
	struct sleeper *s = arg;
	via_waitobj o[2];
	via_rc n = rig_wait_set(s->l, s->events, o);

	atomic_store(&s->armed, 1);
	s->woke = n > 0 ? rig_sleep_any(o, (uint32_t)n, rig_now() + RIG_SOON) : n == VIA_BUSY;
	rig_wait_done(s->l, s->events, n);
	if ((s->events & VIA_EV_RX) != 0)
		s->rc = rig_look(s->l, &s->v);
}

static void start(struct sleeper *s, rig_thread **t)
{
	*t = rig_thread_start(sleep_once, s);
	while (atomic_load(&s->armed) == 0)
		;
}

STACK_TEST(link_waiting, a_record_wakes)
{
	rig r;
	rig_thread *t;
	struct sleeper s;

	rig_open(&r, stack);
	rig_connect(&r);
	s = (struct sleeper){.l = r.b, .events = VIA_EV_RX};
	start(&s, &t);
	cr_assert_eq(rig_put(r.a, "ab", 2), VIA_OK);
	rig_thread_join(t);
	cr_expect(s.woke);
	cr_assert_eq(s.rc, 1);
	r.b->ops->release(r.b, &s.v, 1);
	rig_close(&r);
}

STACK_TEST(link_waiting, a_slot_wakes)
{
	rig r;
	rig_thread *t;
	struct sleeper s;
	via_slot slot;

	rig_open(&r, stack);
	rig_connect(&r);
	s = (struct sleeper){.l = r.b, .events = VIA_EV_RX};
	cr_assert_eq(r.a->ops->reserve(r.a, 3, &slot), VIA_OK);
	start(&s, &t);
	memcpy(slot.data, "abc", 3);
	slot.len = 3;
	cr_assert_eq(r.a->ops->commit(r.a, &slot, 1), 1);
	rig_thread_join(t);
	cr_expect(s.woke);
	cr_assert_eq(s.rc, 1);
	r.b->ops->release(r.b, &s.v, 1);
	rig_close(&r);
}

STACK_TEST(link_waiting, room_wakes)
{
	rig r;
	rig_thread *t;
	struct sleeper s;
	uint8_t data[4000];
	uint32_t n = 0;
	via_view v;

	rig_open(&r, stack);
	rig_connect(&r);
	rig_fill(data, sizeof data, 0);
	while (rig_send_once(r.a, data, sizeof data) == VIA_OK)
		n++;
	s = (struct sleeper){.l = r.a, .events = VIA_EV_TX};
	start(&s, &t);
	for (; n != 0; n--) {
		cr_assert_eq(rig_get(r.b, &v), 1);
		r.b->ops->release(r.b, &v, 1);
	}
	rig_answer(&r); /* the room of a link for one record */
	rig_thread_join(t);
	cr_expect(s.woke);
	cr_expect_eq(rig_send_once(r.a, data, sizeof data), VIA_OK);
	rig_close(&r);
}

/* What ends a link wakes whoever sleeps on it, for records or for room. */
enum { BY_ABORT, BY_PEER_CLOSE, BY_PEER_SHUTDOWN, BY_PEER_ABORT };

static void end_wakes(const char *stack, uint32_t events, int how)
{
	rig r;
	rig_thread *t;
	struct sleeper s;
	uint8_t data[4000] = {0};

	rig_open(&r, stack);
	rig_connect(&r);
	if (events == VIA_EV_TX)
		while (rig_send_once(r.b, data, sizeof data) == VIA_OK)
			;
	s = (struct sleeper){.l = r.b, .events = events, .rc = VIA_OK};
	start(&s, &t);
	switch (how) {
	case BY_ABORT:
		rig_abort(r.b, VIA_ABORTED);
		break;
	case BY_PEER_CLOSE:
		rig_hang_up(&r.a);
		break;
	case BY_PEER_SHUTDOWN:
		rig_shutdown(r.a);
		break;
	default:
		rig_abort(r.a, VIA_TIMEOUT);
		break;
	}
	rig_thread_join(t);
	cr_expect(s.woke);
	if (events == VIA_EV_RX)
		cr_expect_eq(s.rc, how == BY_ABORT ? VIA_ABORTED : VIA_CLOSED);
	rig_close(&r);
}

STACK_TEST(link_waiting, abort_wakes_a_reader)
{
	end_wakes(stack, VIA_EV_RX, BY_ABORT);
}

STACK_TEST(link_waiting, abort_wakes_a_writer)
{
	end_wakes(stack, VIA_EV_TX, BY_ABORT);
}

STACK_TEST(link_waiting, the_peers_close_wakes_a_reader)
{
	end_wakes(stack, VIA_EV_RX, BY_PEER_CLOSE);
}

STACK_TEST(link_waiting, the_peers_close_wakes_a_writer)
{
	end_wakes(stack, VIA_EV_TX, BY_PEER_CLOSE);
}

STACK_TEST(link_waiting, the_peers_shutdown_wakes_a_reader)
{
	end_wakes(stack, VIA_EV_RX, BY_PEER_SHUTDOWN);
}

STACK_TEST(link_waiting, the_peers_abort_wakes_a_reader)
{
	end_wakes(stack, VIA_EV_RX, BY_PEER_ABORT);
}

/* -- one thread -------------------------------------------------------------------------------- */

STACK_TEST(link_waiting, arm_tells_the_state)
{
	rig r;
	via_waitobj o = {.struct_size = sizeof o};
	via_waitobj again = {.struct_size = sizeof again};
	via_view v;
	via_rc rc;

	rig_open(&r, stack);
	rig_connect(&r);
	cr_assert_eq(r.b->ops->arm(r.b, VIA_EV_RX, &o), VIA_OK, "nothing is there");
	cr_expect_eq(rig_sleep(&o, rig_now()), 0, "and nothing wakes");
	r.b->ops->disarm(r.b, VIA_EV_RX);
	cr_assert_eq(rig_put(r.a, "x", 1), VIA_OK);
	rc = r.b->ops->arm(r.b, VIA_EV_RX, &again);
	cr_expect(rc == VIA_BUSY || (rc == VIA_OK && rig_sleep(&again, rig_now() + RIG_SOON) == 1));
	if (rc == VIA_OK) {
		cr_expect_eq(again.handle, o.handle, "the object stays the same");
		cr_expect_eq(again.kind, o.kind);
		r.b->ops->disarm(r.b, VIA_EV_RX);
	}
	cr_assert_eq(rig_get(r.b, &v), 1);
	r.b->ops->release(r.b, &v, 1);
	rc = r.b->ops->arm(r.b, VIA_EV_TX, &again);
	cr_expect(rc == VIA_BUSY || (rc == VIA_OK && rig_sleep(&again, rig_now() + RIG_SOON) == 1),
		  "there is room");
	r.b->ops->disarm(r.b, VIA_EV_TX);
	cr_assert_eq(r.b->ops->arm(r.b, VIA_EV_RX, &o), VIA_OK,
		     "a record that was taken is forgotten");
	cr_expect_eq(rig_sleep(&o, rig_now()), 0);
	r.b->ops->disarm(r.b, VIA_EV_RX);
	rig_close(&r);
}

/* Armed for both, woken for one; the other must still come through. */
STACK_TEST(link_waiting, both_events_on_one_object)
{
	rig r;
	via_waitobj o = {.struct_size = sizeof o};
	uint8_t data[4000];
	uint32_t n = 0;
	via_view v;
	via_rc rc;

	rig_open(&r, stack);
	rig_connect(&r);
	rig_fill(data, sizeof data, 1);
	while (rig_send_once(r.a, data, sizeof data) == VIA_OK)
		n++;
	rc = r.a->ops->arm(r.a, VIA_EV_RX | VIA_EV_TX, &o);
	cr_assert_eq(rc, VIA_OK, "nothing to read and no room");
	if (!rig_pipelines(&r)) { /* b may not speak before it has listened */
		cr_assert_eq(n, 1);
		cr_assert_eq(rig_get(r.b, &v), 1);
		r.b->ops->release(r.b, &v, 1);
		n = 0;
	}
	cr_assert_eq(rig_put(r.b, "x", 1), VIA_OK);
	cr_expect_eq(rig_sleep(&o, rig_now() + RIG_SOON), 1);
	r.a->ops->disarm(r.a, VIA_EV_RX);
	cr_assert_eq(rig_get(r.a, &v), 1);
	r.a->ops->release(r.a, &v, 1);
	for (; n != 0; n--) {
		cr_assert_eq(rig_get(r.b, &v), 1);
		r.b->ops->release(r.b, &v, 1);
	}
	o.fd_events = 0;
	rc = r.a->ops->arm(r.a, VIA_EV_TX, &o);
	cr_expect(rc == VIA_BUSY || rig_sleep(&o, rig_now() + RIG_SOON) == 1);
	r.a->ops->disarm(r.a, VIA_EV_TX);
	rig_close(&r);
}

/* -- many rounds ------------------------------------------------------------------------------- */

enum { ROUNDS = 3000, FLOOD = 20000 };

static void answer(void *arg)
{
	via_link *l = arg;
	uint32_t i;

	for (i = 0; i < ROUNDS; i++) {
		via_view v;

		if (rig_get(l, &v) != 1)
			return;
		l->ops->release(l, &v, 1);
		if (rig_put(l, &i, sizeof i) != VIA_OK)
			return;
	}
}

/* Every round arms and sleeps on both sides: one lost wake-up ends in a timeout. */
STACK_TEST(link_waiting, no_wake_up_is_lost)
{
	rig r;
	rig_thread *t;
	uint32_t i;

	rig_open(&r, stack);
	rig_connect(&r);
	t = rig_thread_start(answer, r.b);
	for (i = 0; i < ROUNDS; i++) {
		via_view v;
		uint32_t got;

		cr_assert_eq(rig_put(r.a, &i, sizeof i), VIA_OK);
		cr_assert_eq(rig_get(r.a, &v), 1, "round %u", i);
		memcpy(&got, v.data, sizeof got);
		cr_assert_eq(got, i);
		r.a->ops->release(r.a, &v, 1);
	}
	rig_thread_join(t);
	rig_close(&r);
}

/* Links on which every record waits for the one before it get fewer. */
static uint32_t flood_of(const via_link *l)
{
	return (l->caps & VIA_CAP_PIPELINE) != 0 ? FLOOD : FLOOD / 10;
}

static void flood(void *arg)
{
	via_link *l = arg;
	uint8_t data[600];
	uint32_t n = flood_of(l), i;

	for (i = 0; i < n; i++) {
		uint32_t len = 1 + i * 37 % (uint32_t)sizeof data;

		rig_fill(data, len, i);
		if (rig_put(l, data, len) != VIA_OK)
			return;
	}
}

/* One thread writes without pause, the other reads: full and empty are met many times, from both
 * sides. A link for one record needs an answer to each: two_lanes_sleep_on_one_link has them. */
STACK_TEST(link_waiting, no_wake_up_is_lost_under_backpressure)
{
	rig r;
	rig_thread *t;
	uint32_t i;

	rig_open(&r, stack);
	rig_connect(&r);
	if (!rig_pipelines(&r)) {
		rig_close(&r);
		cr_skip_test("one in flight");
	}
	cr_assert_eq(r.b->ops->expect(r.b, 600), VIA_OK);
	t = rig_thread_start(flood, r.a);
	for (i = 0; i < FLOOD; i++)
		rig_expect_record(r.b, 1 + i * 37 % 600, i);
	rig_thread_join(t);
	rig_close(&r);
}

static void swallow(void *arg)
{
	via_link *l = arg;
	uint32_t n = flood_of(l), i;

	for (i = 0; i < n; i++) {
		via_view v;

		if (rig_get(l, &v) != 1)
			return;
		l->ops->release(l, &v, 1);
	}
}

/* Both lanes of both ends at once: two threads sleep on one link's object, each for its own
 * event. */
STACK_TEST(link_waiting, two_lanes_sleep_on_one_link)
{
	rig r;
	rig_thread *t[3];
	uint32_t n, i;

	rig_open(&r, stack);
	rig_connect(&r);
	n = flood_of(r.a);
	cr_assert_eq(r.a->ops->expect(r.a, 600), VIA_OK);
	cr_assert_eq(r.b->ops->expect(r.b, 600), VIA_OK);
	t[0] = rig_thread_start(flood, r.a);
	t[1] = rig_thread_start(swallow, r.a);
	t[2] = rig_thread_start(flood, r.b);
	for (i = 0; i < n; i++)
		rig_expect_record(r.b, 1 + i * 37 % 600, i);
	for (i = 0; i < 3; i++)
		rig_thread_join(t[i]);
	rig_close(&r);
}
