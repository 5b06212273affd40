/* tests/link/loop.c - what only the loop transport promises. */
#include "rig.h"
#include <stdlib.h>

TestSuite(link_loop, .timeout = 60);

static uint32_t record_of(rig *r, const char *listen_config, const char *dial_config)
{
	uint32_t max;

	cr_assert_eq(rig_listen(r, listen_config, &r->listener), VIA_OK, "%s", rig_detail());
	cr_assert_eq(rig_dial(r, dial_config, &r->a), VIA_OK, "%s", rig_detail());
	cr_assert_eq(rig_accept(r, r->listener, &r->b), VIA_OK);
	max = r->a->limits->max_record;
	cr_expect_eq(r->b->limits->max_record, max);
	rig_hang_up(&r->a);
	rig_hang_up(&r->b);
	rig_stop(&r->listener);
	return max;
}

Test(link_loop, the_record_size_is_an_option)
{
	rig r;
	via_listener *l;

	rig_open(&r, "loop");
	cr_expect_eq(record_of(&r, NULL, NULL), 65536);
	cr_expect_eq(record_of(&r, "loop.record=1000\n", NULL), 1000);
	cr_expect_eq(record_of(&r, "loop.record=1000\n", "loop.record=2000\n"), 2000,
		     "the dialler's counts");
	cr_expect_eq(record_of(&r, "loop.record=1048576\nloop.backlog=1\n", NULL), 1048576);
	cr_expect_eq(rig_listen(&r, "loop.record=127\n", &l), VIA_INVAL);
	cr_expect_eq(rig_listen(&r, "loop.record=16777217\n", &l), VIA_INVAL);
	rig_close(&r);
}

/* The largest record fits at any position of the ring, once it is empty. */
Test(link_loop, the_largest_record_fits_anywhere)
{
	rig r;
	uint8_t data[1000];
	uint32_t i;

	rig_open(&r, "loop");
	cr_assert_eq(rig_listen(&r, "loop.record=1000\n", &r.listener), VIA_OK);
	cr_assert_eq(rig_dial(&r, NULL, &r.a), VIA_OK);
	cr_assert_eq(rig_accept(&r, r.listener, &r.b), VIA_OK);
	cr_assert_eq(r.b->ops->expect(r.b, 1000), VIA_OK);
	for (i = 0; i < 3000; i++) {
		uint32_t small = i * 16 % 700 + 1;

		rig_fill(data, small, i);
		cr_assert_eq(rig_send_once(r.a, data, small), VIA_OK);
		rig_expect_record(r.b, small, i);
		rig_fill(data, 1000, i);
		cr_assert_eq(rig_send_once(r.a, data, 1000), VIA_OK, "round %u", i);
		rig_expect_record(r.b, 1000, i);
	}
	rig_close(&r);
}

/* Nothing is copied: what was written into the slot is the memory that is read. */
Test(link_loop, records_stay_where_they_were_written)
{
	rig r;
	via_slot s;
	via_view v;

	rig_open(&r, "loop");
	rig_connect(&r);
	cr_expect((r.a->caps & VIA_CAP_ZC_TX) != 0 && (r.a->caps & VIA_CAP_ZC_RX) != 0);
	cr_assert_eq(r.a->ops->reserve(r.a, 100, &s), VIA_OK);
	rig_fill(s.data, 100, 5);
	s.len = 100;
	cr_assert_eq(r.a->ops->commit(r.a, &s, 1), 1);
	cr_assert_eq(rig_get(r.b, &v), 1);
	cr_expect_eq(v.data, s.data);
	cr_expect_eq(v.flags & VIA_VIEW_SHARED, 0, "it is the reader's until released");
	rig_check_fill(&v, 100, 5);
	r.b->ops->release(r.b, &v, 1);
	rig_close(&r);
}

/* A view that is held keeps its memory, however much passes by. */
Test(link_loop, a_held_view_is_not_overwritten)
{
	rig r;
	uint8_t data[3000];
	via_view held, v;
	uint32_t sent = 0, got = 0;

	rig_open(&r, "loop");
	rig_connect(&r);
	cr_assert_eq(r.b->ops->expect(r.b, 3000), VIA_OK);
	rig_fill(data, 3000, 77);
	cr_assert_eq(rig_send_once(r.a, data, 3000), VIA_OK);
	cr_assert_eq(rig_get(r.b, &held), 1);
	for (;;) {
		rig_fill(data, 3000, sent);
		if (rig_send_once(r.a, data, 3000) == VIA_AGAIN)
			break;
		sent++;
	}
	while (got < sent) {
		cr_assert_eq(rig_get(r.b, &v), 1);
		rig_check_fill(&v, 3000, got++);
		r.b->ops->release(r.b, &v, 1);
	}
	cr_expect_eq(rig_send_once(r.a, data, 3000), VIA_AGAIN, "the oldest is still out");
	rig_check_fill(&held, 3000, 77);
	r.b->ops->release(r.b, &held, 1);
	cr_expect_eq(rig_send_once(r.a, data, 3000), VIA_OK);
	rig_close(&r);
}

/* Without a sleeper nobody rings: the object stays quiet through any number of records. */
Test(link_loop, no_bell_without_a_sleeper)
{
	rig r;
	via_waitobj o = {.struct_size = sizeof o};
	uint32_t i;

	rig_open(&r, "loop");
	rig_connect(&r);
	cr_assert_eq(r.b->ops->arm(r.b, VIA_EV_RX, &o), VIA_OK);
	r.b->ops->disarm(r.b, VIA_EV_RX);
	for (i = 0; i < 1000; i++) {
		cr_assert_eq(rig_send_once(r.a, "\x1f", 1), VIA_OK);
		cr_assert_eq(rig_sleep(&o, rig_now()), 0, "nobody had armed");
		rig_expect_record(r.b, 1, 1);
	}
	cr_assert_eq(r.b->ops->arm(r.b, VIA_EV_RX, &o), VIA_OK);
	cr_assert_eq(rig_send_once(r.a, "\x1f", 1), VIA_OK);
	cr_expect_eq(rig_sleep(&o, rig_now() + RIG_SOON), 1);
	r.b->ops->disarm(r.b, VIA_EV_RX);
	cr_expect_eq(rig_sleep(&o, rig_now()), 0, "disarm clears it");
	rig_close(&r);
}

/* An event that is set for nobody (its reason was taken before it was set) wakes once, not for
 * ever. */
Test(link_loop, a_bell_that_rang_too_late_is_heard_once)
{
	rig r;
	via_waitobj o = {.struct_size = sizeof o};

	rig_open(&r, "loop");
	rig_connect(&r);
	cr_assert_eq(r.b->ops->arm(r.b, VIA_EV_RX, &o), VIA_OK);
	rig_signal(&o);
	cr_expect_eq(rig_sleep(&o, rig_now()), 1);
	r.b->ops->disarm(r.b, VIA_EV_RX);
	cr_assert_eq(r.b->ops->arm(r.b, VIA_EV_RX, &o), VIA_OK);
	cr_expect_eq(rig_sleep(&o, rig_now()), 0);
	cr_assert_eq(rig_send_once(r.a, "x", 1), VIA_OK);
	cr_expect_eq(rig_sleep(&o, rig_now() + RIG_SOON), 1);
	r.b->ops->disarm(r.b, VIA_EV_RX);
	rig_close(&r);
}

/* Release is checked: a view that is not out, or twice, changes nothing. */
Test(link_loop, release_twice)
{
	rig r;
	via_view v, w;

	rig_open(&r, "loop");
	rig_connect(&r);
	cr_assert_eq(rig_send_once(r.a, "\x1f", 1), VIA_OK);
	cr_assert_eq(rig_send_once(r.a, "\x3e", 1), VIA_OK);
	cr_assert_eq(rig_get(r.b, &v), 1);
	cr_assert_eq(rig_get(r.b, &w), 1);
	r.b->ops->release(r.b, &w, 1);
	r.b->ops->release(r.b, &w, 1);
	rig_check_fill(&v, 1, 1);
	r.b->ops->release(r.b, &v, 1);
	r.b->ops->release(r.b, &v, 1);
	cr_assert_eq(rig_send_once(r.a, "\x1f", 1), VIA_OK);
	rig_expect_record(r.b, 1, 1);
	rig_close(&r);
}

/* -- many threads ------------------------------------------------------------------------------ */

enum { CALLERS = 4, CALLS = 100 };

struct caller {
	rig *r;
	uint32_t done;
};

static void call(void *arg)
{
	struct caller *c = arg;
	uint32_t i;

	for (i = 0; i < CALLS; i++) {
		via_address a = rig_address(c->r, "svc", NULL);
		via_link *l;
		via_view v;
		via_rc rc = c->r->layer[0].t->dial(c->r->layer[0].self, &a, &l);

		if (rc == VIA_AGAIN) {
			i--;
			continue;
		}
		if (rc != VIA_OK)
			return;
		if (rig_put(l, "call", 4) == VIA_OK && rig_get(l, &v) == 1) {
			l->ops->release(l, &v, 1);
			c->done++;
		}
		l->ops->close(l);
	}
}

Test(link_loop, callers_from_many_threads)
{
	rig r;
	struct caller c[CALLERS];
	rig_thread *t[CALLERS];
	uint32_t i;

	rig_open(&r, "loop");
	cr_assert_eq(rig_listen(&r, "loop.backlog=3\n", &r.listener), VIA_OK);
	for (i = 0; i < CALLERS; i++) {
		c[i] = (struct caller){&r, 0};
		t[i] = rig_thread_start(call, &c[i]);
	}
	for (i = 0; i < CALLERS * CALLS; i++) {
		via_link *l;
		via_view v;

		cr_assert_eq(rig_accept_soon(&r, r.listener, &l), VIA_OK);
		cr_assert_eq(rig_get(l, &v), 1);
		l->ops->release(l, &v, 1);
		cr_assert_eq(rig_put(l, "done", 4), VIA_OK);
		l->ops->close(l);
	}
	for (i = 0; i < CALLERS; i++) {
		rig_thread_join(t[i]);
		cr_expect_eq(c[i].done, CALLS);
	}
	rig_close(&r);
}
