/* tests/link/winshm_wait.c - two lanes that sleep on one object: nothing is lost, and every end wakes
 * both; closed flags; events that are set for nothing. */
#include "winshm_rig.h"

TestSuite(winshm_wait, .timeout = 60);

struct sleeper {
	via_link *l;
	uint32_t events;
	_Atomic int armed;
	via_rc rc; /* of the verb that ended it */
};

static via_rc one_try(struct sleeper *s, via_view *v)
{
	return s->events == VIA_EV_RX ? s->l->ops->recv(s->l, v, 1) : rig_send_once(s->l, "t", 1);
}

/* Sleeps until its verb says something else than AGAIN. */
static void sleep_until(void *arg)
{
	struct sleeper *s = arg;
	via_time deadline = rig_now() + RIG_SOON;
	via_view v;

	while ((s->rc = one_try(s, &v)) == VIA_AGAIN) {
		via_waitobj o = {.struct_size = sizeof o};
		via_rc rc = s->l->ops->arm(s->l, s->events, &o);
		int woke;

		if (rc == VIA_BUSY)
			continue;
		s->rc = rc;
		if (rc != VIA_OK)
			break;
		atomic_store(&s->armed, 1);
		woke = rig_sleep(&o, deadline);
		s->l->ops->disarm(s->l, s->events);
		s->rc = VIA_TIMEOUT;
		if (!woke)
			break;
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
		SwitchToThread();
	return t;
}

PROFILE_TEST(winshm_wait, a_message_wakes)
{
	rig r;
	struct sleeper s;
	rig_thread *t;
	int i;

	wshm_open_pair(&r, profile[0], 64, 64);
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

/* The event is reset by one sleeper of two; whichever it is, both get on. */
PROFILE_TEST(winshm_wait, a_reader_and_a_writer_on_one_object)
{
	rig r;
	struct sleeper reader, writer;
	rig_thread *t, *u;
	int i;

	wshm_open_pair(&r, profile[0], 64, 64);
	cr_assert_eq(rig_send_once(r.a, "a", 1), VIA_OK);
	wshm_take(r.b);
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
		wshm_take(r.b);
	}
	rig_close(&r);
}

/* A writer sleeps although the response is there: it is the reader who lets it go on. */
PROFILE_TEST(winshm_wait, taking_the_response_wakes_the_writer)
{
	rig r;
	struct sleeper s;
	rig_thread *t;
	int i;

	wshm_open_pair(&r, profile[0], 64, 64);
	cr_assert_eq(rig_send_once(r.a, "a", 1), VIA_OK);
	for (i = 0; i < 200; i++) {
		wshm_take(r.b);
		cr_assert_eq(rig_send_once(r.b, "b", 1), VIA_OK);
		t = start(&s, r.a, VIA_EV_TX);
		wshm_take(r.a);
		rig_thread_join(t);
		cr_assert_eq(s.rc, VIA_OK);
	}
	rig_close(&r);
}

/* The wake-up of the reader, found by the writer: set again by disarm(), and only then. */
Test(winshm_wait, a_wake_up_of_the_other_lane_is_passed_on)
{
	rig r;
	via_waitobj rx = {.struct_size = sizeof rx}, tx = {.struct_size = sizeof tx};

	wshm_open_pair(&r, HYBRID, 64, 64);
	cr_assert_eq(rig_send_once(r.a, "a", 1), VIA_OK);
	wshm_take(r.b);
	cr_assert_eq(r.a->ops->arm(r.a, VIA_EV_RX, &rx), VIA_OK);
	cr_assert_eq(r.a->ops->arm(r.a, VIA_EV_TX, &tx), VIA_OK);
	cr_expect_eq(rx.handle, tx.handle);
	r.a->ops->disarm(r.a, VIA_EV_TX);
	cr_expect_eq(rig_sleep(&rx, rig_now()), 0, "nothing was passed on");
	cr_assert_eq(r.a->ops->arm(r.a, VIA_EV_TX, &tx), VIA_OK);
	cr_assert_eq(rig_send_once(r.b, "b", 1), VIA_OK);
	cr_expect_eq(rig_sleep(&tx, rig_now() + RIG_SOON), 1);
	cr_expect_eq(rig_sleep(&rx, rig_now()), 0, "it is reset");
	r.a->ops->disarm(r.a, VIA_EV_TX);
	cr_expect_eq(rig_sleep(&rx, rig_now()), 1);
	r.a->ops->disarm(r.a, VIA_EV_RX);
	wshm_take(r.a);
	rig_close(&r);
}

/* The flag is up exactly while somebody sleeps for records. */
Test(winshm_wait, the_waiting_flag)
{
	rig r;
	raw_peer p;
	via_waitobj o = {.struct_size = sizeof o};

	wshm_open_pair(&r, HYBRID, 64, 64);
	cr_assert_eq(raw_attach(&p, &r, 1, 0), 0);
	cr_assert_eq(r.b->ops->arm(r.b, VIA_EV_RX, &o), VIA_OK);
	cr_expect_eq(o.kind, VIA_WAIT_WIN);
	cr_expect_eq(raw_u32(&p, AT_SERVER_WAITING), 1);
	cr_expect_eq(raw_u32(&p, AT_CLIENT_WAITING), 0);
	r.b->ops->disarm(r.b, VIA_EV_RX);
	cr_expect_eq(raw_u32(&p, AT_SERVER_WAITING), 0);
	cr_assert_eq(r.b->ops->arm(r.b, VIA_EV_TX, &o), VIA_OK);
	cr_expect_eq(raw_u32(&p, AT_SERVER_WAITING), 0, "a sender does not wait for a record");
	r.b->ops->disarm(r.b, VIA_EV_TX);
	cr_assert_eq(raw_send(&p, "x", 1), 0);
	cr_expect_eq(WaitForSingleObject(p.req_event, 0), WAIT_TIMEOUT, "nobody waits");
	cr_assert_eq(r.b->ops->arm(r.b, VIA_EV_RX, &o), VIA_BUSY);
	cr_expect_eq(raw_u32(&p, AT_SERVER_WAITING), 0);
	wshm_take(r.b);
	raw_set32(&p, AT_CLIENT_WAITING, 1);
	cr_assert_eq(rig_send_once(r.b, "y", 1), VIA_OK);
	cr_expect_eq(WaitForSingleObject(p.resp_event, 0), WAIT_OBJECT_0, "the peer waits");
	raw_vanish(&p);
	rig_close(&r);
}

Test(winshm_wait, the_word_of_a_busy_wait)
{
	rig r;
	via_waitobj o = {.struct_size = sizeof o}, tx = {.struct_size = sizeof tx};

	wshm_open_pair(&r, BUSYWAIT, 64, 64);
	cr_assert_eq(r.b->ops->arm(r.b, VIA_EV_RX, &o), VIA_OK);
	cr_expect_eq(o.kind, VIA_WAIT_WORD);
	cr_expect_eq((const volatile void *)o.word, (const volatile void *)r.b->rx_word);
	cr_expect_eq(o.expected, 0);
	cr_expect_eq(rig_sleep(&o, rig_now()), 0);
	cr_assert_eq(rig_send_once(r.a, "a", 1), VIA_OK);
	cr_expect_eq(rig_sleep(&o, rig_now()), 1);
	r.b->ops->disarm(r.b, VIA_EV_RX);
	cr_assert_eq(r.b->ops->arm(r.b, VIA_EV_TX, &tx), VIA_OK);
	cr_expect_neq((const volatile void *)o.word, (const volatile void *)tx.word);
	wshm_take(r.b);
	cr_expect_eq(rig_sleep(&tx, rig_now()), 1, "taking it gives the turn");
	r.b->ops->disarm(r.b, VIA_EV_TX);
	cr_assert_eq(r.b->ops->arm(r.b, VIA_EV_RX, &o), VIA_OK);
	cr_expect_eq(o.expected, 1);
	r.b->ops->disarm(r.b, VIA_EV_RX);
	rig_close(&r);
}

/* Set for nothing, again and again: every sleep ends, nothing else happens. */
Test(winshm_wait, events_set_for_nothing)
{
	rig r;
	raw_peer p;
	via_waitobj o = {.struct_size = sizeof o};
	via_view v;
	int i;

	wshm_open_pair(&r, HYBRID, 64, 64);
	cr_assert_eq(raw_attach(&p, &r, 1, 0), 0);
	for (i = 0; i < 100; i++) {
		SetEvent(p.req_event);
		SetEvent(p.resp_event);
		cr_assert_eq(r.b->ops->recv(r.b, &v, 1), VIA_AGAIN);
		cr_assert_eq(r.b->ops->arm(r.b, VIA_EV_RX | VIA_EV_TX, &o), VIA_OK);
		cr_assert_eq(rig_sleep(&o, rig_now()), 1);
		r.b->ops->disarm(r.b, VIA_EV_RX | VIA_EV_TX);
		wshm_roundtrip(&r, 5, 5, (uint32_t)i);
	}
	raw_vanish(&p);
	rig_close(&r);
}

/* -- closed flags ------------------------------------------------------------------------------ */

/* What was published before is delivered, then every verb says that it is over. */
static void check_closed(via_link *l)
{
	via_waitobj o = {.struct_size = sizeof o};
	via_view v;
	via_slot s;

	cr_expect_eq(rig_get(l, &v), VIA_CLOSED);
	cr_expect_eq(l->ops->recv(l, &v, 1), VIA_CLOSED);
	cr_expect_eq(rig_send_once(l, "x", 1), VIA_CLOSED);
	cr_expect_eq(l->ops->reserve(l, 1, &s), VIA_CLOSED);
	cr_expect_eq(l->ops->arm(l, VIA_EV_RX, &o), VIA_CLOSED);
	cr_expect_eq(l->ops->arm(l, VIA_EV_TX, &o), VIA_CLOSED);
	cr_expect_eq(l->ops->shutdown(l), VIA_CLOSED);
}

PROFILE_TEST(winshm_wait, a_client_that_closes)
{
	rig r;
	raw_peer p;

	wshm_open(&r, profile[0]);
	cr_assert_eq(wshm_provision(&r, 1, 64, 64, &r.b), VIA_OK);
	cr_assert_eq(raw_attach(&p, &r, 1, 0), 0);
	cr_assert_eq(raw_send(&p, "last", 4), 0);
	raw_close(&p);
	wshm_take(r.b);
	cr_assert_eq(rig_send_once(r.b, "into the void", 13), VIA_OK);
	check_closed(r.b);
	rig_close(&r);
}

PROFILE_TEST(winshm_wait, a_server_that_closes)
{
	rig r;
	raw_peer p;

	wshm_open(&r, profile[0]);
	cr_assert_eq(raw_create(&p, &r, 1, 64, 64), 0);
	cr_assert_eq(wshm_attach(&r, 1, 64, 64, &r.a), VIA_OK);
	cr_assert_eq(rig_send_once(r.a, "a", 1), VIA_OK);
	cr_assert_eq(raw_send(&p, "last", 4), 0);
	raw_close(&p);
	wshm_take(r.a);
	check_closed(r.a);
	rig_close(&r);
}

PROFILE_TEST(winshm_wait, a_peer_is_told_of_our_close)
{
	rig r;
	raw_peer p;
	uint8_t data[64];

	wshm_open_pair(&r, profile[0], 64, 64);
	cr_assert_eq(raw_attach(&p, &r, 1, 1), 0);
	cr_assert_eq(rig_send_once(r.a, "last", 4), VIA_OK);
	rig_hang_up(&r.a);
	cr_expect_eq(raw_recv(&p, data, sizeof data), 4);
	cr_expect_eq(raw_recv(&p, data, sizeof data), RAW_CLOSED);
	raw_vanish(&p);
	cr_assert_eq(raw_attach(&p, &r, 1, 0), 0);
	rig_hang_up(&r.b);
	cr_expect_eq(raw_recv(&p, data, sizeof data), RAW_CLOSED);
	raw_vanish(&p);
	rig_close(&r);
}

/* Shutting down says that nothing more comes; the other way stays open. */
PROFILE_TEST(winshm_wait, shutdown_ends_one_way)
{
	rig r;
	via_slot s;
	via_view v;

	wshm_open_pair(&r, profile[0], 64, 64);
	cr_assert_eq(rig_send_once(r.a, "a", 1), VIA_OK);
	cr_assert_eq(r.a->ops->shutdown(r.a), VIA_OK);
	cr_expect_eq(r.a->ops->shutdown(r.a), VIA_OK);
	cr_expect_eq(rig_send_once(r.a, "a", 1), VIA_STATE);
	cr_expect_eq(r.a->ops->reserve(r.a, 1, &s), VIA_STATE);
	wshm_take(r.b);
	cr_assert_eq(rig_send_once(r.b, "b", 1), VIA_OK);
	wshm_take(r.a);
	cr_expect_eq(r.b->ops->recv(r.b, &v, 1), VIA_CLOSED);
	rig_close(&r);
}

/* A reader and a writer sleep; the peer closes in order. A busy-waiting one is told by the baseline. */
Test(winshm_wait, a_close_wakes_both_lanes)
{
	rig r;
	struct sleeper reader, writer;
	rig_thread *t, *u;
	int i;

	wshm_open(&r, HYBRID);
	for (i = 0; i < 100; i++) {
		cr_assert_eq(wshm_provision(&r, 1, 64, 64, &r.b), VIA_OK);
		cr_assert_eq(wshm_attach(&r, 1, 64, 64, &r.a), VIA_OK);
		t = start(&reader, r.b, VIA_EV_RX);
		u = start(&writer, r.b, VIA_EV_TX);
		rig_hang_up(&r.a);
		rig_thread_join(t);
		rig_thread_join(u);
		cr_assert_eq(reader.rc, VIA_CLOSED);
		cr_assert_eq(writer.rc, VIA_CLOSED);
		rig_hang_up(&r.b);
	}
	rig_close(&r);
}

/* Without a reader it is the writer who finds out that its turn will never come. */
PROFILE_TEST(winshm_wait, a_writer_finds_the_end_by_itself)
{
	rig r;
	via_waitobj o = {.struct_size = sizeof o};

	wshm_open_pair(&r, profile[0], 64, 64);
	cr_assert_eq(rig_send_once(r.a, "a", 1), VIA_OK);
	rig_hang_up(&r.a);
	cr_expect_eq(r.b->ops->arm(r.b, VIA_EV_TX, &o), VIA_OK, "a record is still to be taken");
	r.b->ops->disarm(r.b, VIA_EV_TX);
	wshm_take(r.b);
	cr_expect_eq(r.b->ops->arm(r.b, VIA_EV_TX, &o), VIA_BUSY, "its turn");
	cr_assert_eq(rig_send_once(r.b, "b", 1), VIA_OK);
	cr_expect_eq(r.b->ops->arm(r.b, VIA_EV_TX, &o), VIA_CLOSED);
	check_closed(r.b);
	rig_close(&r);
}

/* -- other ends -------------------------------------------------------------------------------- */

PROFILE_TEST(winshm_wait, abort_wakes_both_lanes)
{
	rig r;
	struct sleeper reader, writer;
	rig_thread *t, *u;
	int i;

	wshm_open(&r, profile[0]);
	for (i = 0; i < 100; i++) {
		cr_assert_eq(wshm_provision(&r, 1, 64, 64, &r.b), VIA_OK);
		t = start(&reader, r.b, VIA_EV_RX);
		u = start(&writer, r.b, VIA_EV_TX);
		r.b->ops->abort(r.b, VIA_TIMEOUT);
		rig_thread_join(t);
		rig_thread_join(u);
		cr_assert_eq(reader.rc, VIA_TIMEOUT);
		cr_assert_eq(writer.rc, VIA_TIMEOUT);
		r.b->ops->abort(r.b, VIA_ABORTED); /* the first one counts */
		cr_expect_eq(rig_send_once(r.b, "x", 1), VIA_TIMEOUT);
		rig_hang_up(&r.b);
	}
	rig_close(&r);
}

PROFILE_TEST(winshm_wait, abort_after_arm_is_not_missed)
{
	rig r;
	via_waitobj o = {.struct_size = sizeof o};
	via_view v;

	wshm_open_pair(&r, profile[0], 64, 64);
	cr_assert_eq(r.b->ops->arm(r.b, VIA_EV_RX, &o), VIA_OK);
	r.b->ops->abort(r.b, VIA_OK);
	cr_expect_eq(rig_sleep(&o, rig_now() + RIG_SOON), 1);
	r.b->ops->disarm(r.b, VIA_EV_RX);
	cr_expect_eq(r.b->ops->recv(r.b, &v, 1), VIA_ABORTED);
	/* For the peer nothing has happened. */
	cr_assert_eq(rig_send_once(r.a, "a", 1), VIA_OK);
	cr_expect_eq(r.a->ops->recv(r.a, &v, 1), VIA_AGAIN);
	rig_close(&r);
}

/* The reader finds out that the peer lies; the writer must not sleep on. */
PROFILE_TEST(winshm_wait, a_lie_wakes_the_other_lane)
{
	rig r;
	raw_peer p;
	struct sleeper s;
	rig_thread *t;
	via_view v;

	wshm_open_pair(&r, profile[0], 64, 64);
	cr_assert_eq(raw_attach(&p, &r, 1, 0), 0);
	t = start(&s, r.b, VIA_EV_TX);
	raw_set64(&p, AT_REQ_SEQ, 77);
	cr_assert_eq(r.b->ops->recv(r.b, &v, 1), VIA_PROTO);
	rig_thread_join(t);
	cr_expect_eq(s.rc, VIA_PROTO);
	raw_vanish(&p);
	rig_close(&r);
}
