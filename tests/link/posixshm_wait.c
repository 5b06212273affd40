/* tests/link/posixshm_wait.c - two lanes that sleep on one word: nothing is lost, and every end wakes
 * both. */
#include "posixshm_rig.h"
#include <sched.h>

TestSuite(posixshm_wait, .timeout = 60);

struct sleeper {
	via_link *l;
	uint32_t events;
	_Atomic int armed;
	via_rc rc; /* of the verb that ended it */
};

/* Sleeps until its verb says something else than AGAIN. */
static void sleep_until(void *arg)
{
	struct sleeper *s = arg;
	via_time deadline = rig_now() + RIG_SOON;
	via_view v;

	for (;;) {
		via_waitobj o = {.struct_size = sizeof o};
		via_rc rc;

		s->rc = s->events == VIA_EV_RX ? s->l->ops->recv(s->l, &v, 1)
					       : rig_send_once(s->l, "t", 1);
		if (s->rc != VIA_AGAIN)
			break;
		rc = s->l->ops->arm(s->l, s->events, &o);
		if (rc == VIA_BUSY)
			continue;
		if (rc != VIA_OK) {
			s->rc = rc;
			break;
		}
		atomic_store(&s->armed, 1);
		if (shm_sleep(&o, deadline) == 0) {
			s->l->ops->disarm(s->l, s->events);
			s->rc = VIA_TIMEOUT;
			break;
		}
		s->l->ops->disarm(s->l, s->events);
	}
	if (s->rc == 1)
		s->l->ops->release(s->l, &v, 1);
	atomic_store(&s->armed, 1);
}

static rig_thread *start(struct sleeper *s, via_link *l, uint32_t events)
{
	rig_thread *t;

	*s = (struct sleeper){.l = l, .events = events};
	t = rig_thread_start(sleep_until, s);
	while (atomic_load(&s->armed) == 0)
		sched_yield();
	return t;
}

static void take(via_link *l)
{
	via_view v;

	cr_assert_eq(shm_get(l, &v), 1, "%s", rig_detail());
	l->ops->release(l, &v, 1);
}

Test(posixshm_wait, a_message_wakes)
{
	rig r;
	struct sleeper s;
	rig_thread *t;
	int i;

	shm_open_pair(&r, 64, 64);
	for (i = 0; i < 200; i++) {
		t = start(&s, r.b, VIA_EV_RX);
		cr_assert_eq(rig_send_once(r.a, "a", 1), VIA_OK);
		rig_thread_join(t);
		cr_assert_eq(s.rc, 1);
		t = start(&s, r.a, VIA_EV_RX);
		cr_assert_eq(rig_send_once(r.b, "b", 1), VIA_OK);
		rig_thread_join(t);
		cr_assert_eq(s.rc, 1);
	}
	rig_close(&r);
}

/* The peer wakes one sleeper of two; whichever it is, both get on. */
Test(posixshm_wait, a_reader_and_a_writer_on_one_word)
{
	rig r;
	struct sleeper reader, writer;
	rig_thread *t, *u;
	int i;

	shm_open_pair(&r, 64, 64);
	cr_assert_eq(rig_send_once(r.a, "a", 1), VIA_OK);
	take(r.b);
	for (i = 0; i < 200; i++) {
		if (i % 2 == 0) {
			u = start(&writer, r.a, VIA_EV_TX);
			t = start(&reader, r.a, VIA_EV_RX);
		} else {
			t = start(&reader, r.a, VIA_EV_RX);
			u = start(&writer, r.a, VIA_EV_TX);
		}
		cr_assert_eq(rig_send_once(r.b, "b", 1), VIA_OK);
		rig_thread_join(t);
		rig_thread_join(u);
		cr_assert_eq(reader.rc, 1, "round %d", i);
		cr_assert_eq(writer.rc, VIA_OK, "round %d", i);
		take(r.b);
	}
	rig_close(&r);
}

/* A writer sleeps although the response is there: it is the reader who lets it go on. */
Test(posixshm_wait, taking_the_response_wakes_the_writer)
{
	rig r;
	struct sleeper s;
	rig_thread *t;
	int i;

	shm_open_pair(&r, 64, 64);
	cr_assert_eq(rig_send_once(r.a, "a", 1), VIA_OK);
	for (i = 0; i < 200; i++) {
		take(r.b);
		cr_assert_eq(rig_send_once(r.b, "b", 1), VIA_OK);
		t = start(&s, r.a, VIA_EV_TX);
		take(r.a);
		rig_thread_join(t);
		cr_assert_eq(s.rc, VIA_OK);
	}
	rig_close(&r);
}

/* -- ends -------------------------------------------------------------------------------------- */

static void check_aborted(via_link *l, via_rc why)
{
	via_waitobj o = {.struct_size = sizeof o};
	via_view v;
	via_slot s;

	cr_expect_eq(l->ops->recv(l, &v, 1), why);
	cr_expect_eq(rig_send_once(l, "x", 1), why);
	cr_expect_eq(l->ops->reserve(l, 1, &s), why);
	cr_expect_eq(l->ops->arm(l, VIA_EV_RX, &o), why);
	cr_expect_eq(l->ops->arm(l, VIA_EV_TX, &o), why);
	cr_expect_eq(l->ops->shutdown(l), why);
}

Test(posixshm_wait, abort_wakes_both_lanes)
{
	rig r;
	struct sleeper reader, writer;
	rig_thread *t, *u;
	int i;

	rig_open(&r, "posixshm");
	for (i = 0; i < 100; i++) {
		cr_assert_eq(shm_provision(&r, 1, 64, 64, &r.b), VIA_OK);
		t = start(&reader, r.b, VIA_EV_RX);
		u = start(&writer, r.b, VIA_EV_TX);
		r.b->ops->abort(r.b, VIA_TIMEOUT);
		rig_thread_join(t);
		rig_thread_join(u);
		cr_assert_eq(reader.rc, VIA_TIMEOUT);
		cr_assert_eq(writer.rc, VIA_TIMEOUT);
		r.b->ops->abort(r.b, VIA_ABORTED);
		check_aborted(r.b, VIA_TIMEOUT); /* the first one counts */
		rig_hang_up(&r.b);
	}
	rig_close(&r);
}

/* Between arm() and the sleep: the word has changed by then. */
Test(posixshm_wait, abort_after_arm_is_not_missed)
{
	rig r;
	via_waitobj o = {.struct_size = sizeof o};

	shm_open_pair(&r, 64, 64);
	cr_assert_eq(r.b->ops->arm(r.b, VIA_EV_RX, &o), VIA_OK);
	r.b->ops->abort(r.b, VIA_OK);
	cr_expect_neq(*o.word, o.expected);
	cr_expect_eq(shm_sleep(&o, rig_now() + RIG_SOON), 1);
	r.b->ops->disarm(r.b, VIA_EV_RX);
	check_aborted(r.b, VIA_ABORTED);
	/* For the peer nothing has happened: a wake-up without a message. */
	cr_assert_eq(rig_send_once(r.a, "a", 1), VIA_OK);
	rig_close(&r);
}

/* The reader finds out that the peer lies; the writer must not sleep on. */
Test(posixshm_wait, a_lie_wakes_the_other_lane)
{
	rig r;
	raw_peer p;
	struct sleeper s;
	rig_thread *t;
	via_view v;

	shm_open_pair(&r, 64, 64);
	cr_assert_eq(raw_attach(&p, shm_path(&r, 1), 0), 0);
	t = start(&s, r.b, VIA_EV_TX);
	raw_set64(&p, AT_REQ_SEQ, 77);
	cr_assert_eq(r.b->ops->recv(r.b, &v, 1), VIA_PROTO);
	rig_thread_join(t);
	cr_expect_eq(s.rc, VIA_PROTO);
	raw_close(&p);
	rig_close(&r);
}
