/* tests/link/ring_wait.c - sleeping and bells of the rings, and how they end. */
#include "ring_rig.h"
#include "uds_rig.h"

TestSuite(ring_wait, .timeout = 60);

/* Bells are the only records that the module sends. */
static _Atomic uint32_t sends;

static void count_sends(void *arg, const char *call)
{
	(void)arg;
	if (strcmp(call, "send") == 0)
		atomic_fetch_add(&sends, 1);
}

/* -- bells ------------------------------------------------------------------------------------- */

Test(ring_wait, one_bell_per_sleep)
{
	via_waitobj o = {.struct_size = sizeof o};
	uint32_t round, i;
	pair p;

	pair_open(&p, 1000, 1000);
	p.r.host.hook = count_sends;
	for (round = 1; round <= 20; round++) {
		cr_assert_eq(p.b->ops->arm(p.b, VIA_EV_RX, &o), VIA_OK, "round %u", round);
		cr_expect_eq(rig_sleep(&o, rig_now()), 0, "an old bell is not heard again");
		for (i = 0; i < 50; i++)
			cr_assert_eq(rig_send_once(p.a, "\x1f", 1), VIA_OK);
		cr_expect_eq(atomic_load(&sends), round);
		cr_expect_eq(rig_sleep(&o, rig_now() + RIG_SOON), 1);
		p.b->ops->disarm(p.b, VIA_EV_RX);
		for (i = 0; i < 50; i++)
			rig_expect_record(p.b, 1, 1);
	}
	pair_close(&p);
}

/* One bell for all the room, and not for less than was asked for. */
Test(ring_wait, room_is_told_to_a_sleeper)
{
	enum { LEN = 8000 };
	static uint8_t data[LEN];
	via_waitobj o = {.struct_size = sizeof o};
	uint32_t n = 0;
	pair p;

	pair_open(&p, LEN, 100);
	p.r.host.hook = count_sends;
	while (rig_send_once(p.a, data, LEN) == VIA_OK)
		n++;
	cr_assert_eq(n, 4);
	cr_assert_eq(p.a->ops->arm(p.a, VIA_EV_TX, &o), VIA_OK);
	cr_expect_eq(rig_sleep(&o, rig_now()), 0);
	for (; n != 0; n--) {
		via_view v;

		cr_assert_eq(p.b->ops->recv(p.b, &v, 1), 1);
		p.b->ops->release(p.b, &v, 1);
	}
	cr_expect_eq(atomic_load(&sends), 1);
	cr_expect_eq(rig_sleep(&o, rig_now() + RIG_SOON), 1);
	p.a->ops->disarm(p.a, VIA_EV_TX);
	cr_expect_eq(p.a->ops->arm(p.a, VIA_EV_TX, &o), VIA_BUSY);
	cr_expect_eq(rig_send_once(p.a, data, LEN), VIA_OK);
	pair_close(&p);
}

/* While more follows the fence is put off, so a reader that falls asleep may not be seen. It is behind what ends
 * that: a send without more, one of nothing, a shutdown, or going to sleep. */
static void ends_the_cork(pair *p, int how)
{
	via_waitobj o = {.struct_size = sizeof o};

	switch (how) {
	case 0:
		p->a->tx_more = 0;
		cr_expect_eq(p->a->ops->send(p->a, NULL, 0), 0);
		break;
	case 1:
		p->a->tx_more = 0;
		cr_expect_eq(p->a->ops->commit(p->a, NULL, 0), 0);
		break;
	case 2:
		cr_expect_eq(p->a->ops->shutdown(p->a), VIA_OK);
		break;
	default:
		cr_expect_eq(p->a->ops->arm(p->a, VIA_EV_TX, &o), VIA_OK);
		p->a->ops->disarm(p->a, VIA_EV_TX);
		break;
	}
}

Test(ring_wait, a_fence_may_wait_for_more)
{
	static uint8_t data[1000];
	int how;

	for (how = 0; how < 4; how++) {
		pair p;

		pair_open(&p, 1000, 1000);
		pair_map(&p);
		p.r.host.hook = count_sends;
		atomic_store(&sends, 0);
		p.a->tx_more = 1;
		while (rig_send_once(p.a, data, sizeof data) == VIA_OK)
			;
		atomic_store(pair_u32(&p, AT_REQUEST + AT_RX_SLEEP), 1); /* unseen so far */
		cr_expect_eq(p.a->ops->send(p.a, NULL, 0), 0);
		cr_expect_eq(atomic_load(&sends), 0);
		ends_the_cork(&p, how);
		cr_expect_eq(atomic_load(&sends), 1, "way %d", how);
		cr_expect_eq(atomic_load(pair_u32(&p, AT_REQUEST + AT_RX_SLEEP)), 0);
		pair_close(&p);
	}
}

/* Who is seen asleep is woken at once. */
Test(ring_wait, a_sleeper_is_woken_although_more_follows)
{
	via_waitobj o = {.struct_size = sizeof o};
	pair p;

	pair_open(&p, 1000, 1000);
	cr_assert_eq(p.b->ops->arm(p.b, VIA_EV_RX, &o), VIA_OK);
	p.a->tx_more = 1;
	cr_assert_eq(rig_send_once(p.a, "\x1f", 1), VIA_OK);
	cr_expect_eq(rig_sleep(&o, rig_now() + RIG_SOON), 1);
	p.b->ops->disarm(p.b, VIA_EV_RX);
	rig_expect_record(p.b, 1, 1);
	pair_close(&p);
}

/* A bell that is refused for a moment is rung again. */
Test(ring_wait, a_refused_bell)
{
	static const int32_t errors[] = {EAGAIN, EINTR, ENOBUFS, ENOMEM, EIO};
	via_waitobj o = {.struct_size = sizeof o};
	uint32_t i;
	pair p;

	pair_open(&p, 1000, 1000);
	p.r.host.how = RIG_FAIL;
	for (i = 0; i < sizeof errors / sizeof errors[0]; i++) {
		cr_assert_eq(p.b->ops->arm(p.b, VIA_EV_RX, &o), VIA_OK);
		p.r.host.error = errors[i];
		p.r.host.fail_call = atomic_load(&p.r.host.calls) + 1;
		cr_expect_eq(rig_send_once(p.a, "\x1f", 1), VIA_OK, "error %d", errors[i]);
		cr_expect_eq(rig_sleep(&o, rig_now() + RIG_SOON), 1, "error %d", errors[i]);
		p.b->ops->disarm(p.b, VIA_EV_RX);
		rig_expect_record(p.b, 1, 1);
	}
	pair_close(&p);
}

/* While one lane sleeps the other one leaves the bells alone. */
Test(ring_wait, a_bell_of_the_other_lane_is_kept)
{
	via_waitobj rx = {.struct_size = sizeof rx}, tx = {.struct_size = sizeof tx};
	static uint8_t data[1000];
	pair p;

	pair_open(&p, 1000, 1000);
	while (rig_send_once(p.a, data, sizeof data) == VIA_OK)
		;
	cr_assert_eq(p.a->ops->arm(p.a, VIA_EV_RX, &rx), VIA_OK);
	cr_assert_eq(rig_send_once(p.b, "\x1f", 1), VIA_OK); /* rings for the reader */
	cr_assert_eq(p.a->ops->arm(p.a, VIA_EV_TX, &tx), VIA_OK);
	cr_expect_eq(rx.handle, tx.handle);
	cr_expect_eq(rig_sleep(&rx, rig_now() + RIG_SOON), 1);
	p.a->ops->disarm(p.a, VIA_EV_TX);
	cr_expect_eq(rig_sleep(&rx, rig_now()), 1, "still there");
	p.a->ops->disarm(p.a, VIA_EV_RX);
	rig_expect_record(p.a, 1, 1);
	pair_close(&p);
}

/* -- threads ----------------------------------------------------------------------------------- */

enum { FLOOD = 30000 };

struct lane {
	via_link *l;
	_Atomic int armed;
	via_rc rc;
};

static void write_all(void *arg)
{
	struct lane *s = arg;
	uint8_t data[900];
	uint32_t i;

	for (i = 0; i < FLOOD; i++) {
		uint32_t len = 1 + i * 37 % (uint32_t)sizeof data;

		rig_fill(data, len, i);
		s->rc = rig_put(s->l, data, len);
		if (s->rc != VIA_OK)
			return;
	}
}

static void read_all(void *arg)
{
	struct lane *s = arg;
	uint32_t i;

	for (i = 0; i < FLOOD; i++) {
		via_view v;

		s->rc = rig_get(s->l, &v);
		if (s->rc != 1)
			return;
		s->rc = v.len == 1 + i * 37 % 900 ? VIA_OK : VIA_PROTO;
		s->l->ops->release(s->l, &v, 1);
		if (s->rc != VIA_OK)
			return;
	}
}

/* Four threads, a lane each; full and empty are met many times on both rings. */
Test(ring_wait, four_lanes_at_once)
{
	struct lane lane[4];
	rig_thread *t[4];
	pair p;
	int i;

	pair_open(&p, 900, 900);
	for (i = 0; i < 4; i++)
		lane[i] = (struct lane){.l = i < 2 ? p.a : p.b};
	for (i = 0; i < 4; i++)
		t[i] = rig_thread_start(i % 2 == 0 ? write_all : read_all, &lane[i]);
	for (i = 0; i < 4; i++)
		rig_thread_join(t[i]);
	for (i = 0; i < 4; i++)
		cr_expect_eq(lane[i].rc, VIA_OK, "lane %d: %d", i, lane[i].rc);
	pair_close(&p);
}

static void sleep_for_a_record(void *arg)
{
	struct lane *s = arg;
	via_waitobj o = {.struct_size = sizeof o};
	via_rc rc = s->l->ops->arm(s->l, VIA_EV_RX, &o);

	atomic_store(&s->armed, 1);
	if (rc == VIA_OK && rig_sleep(&o, rig_now() + RIG_SOON) == 0)
		rc = VIA_TIMEOUT;
	s->l->ops->disarm(s->l, VIA_EV_RX);
	s->rc = rc == VIA_TIMEOUT ? rc : s->l->ops->recv(s->l, &(via_view){0}, 1);
}

static void sleep_for_room(void *arg)
{
	struct lane *s = arg;
	via_waitobj o = {.struct_size = sizeof o};
	via_rc rc = s->l->ops->arm(s->l, VIA_EV_TX, &o);

	atomic_store(&s->armed, 1);
	if (rc == VIA_OK && rig_sleep(&o, rig_now() + RIG_SOON) == 0)
		rc = VIA_TIMEOUT;
	s->l->ops->disarm(s->l, VIA_EV_TX);
	s->rc = rc == VIA_TIMEOUT ? rc : rig_send_once(s->l, "x", 1);
}

enum { ABORT, BREAK, CLOSE };

static void both_lanes_wake(int how, via_rc expected)
{
	static uint8_t data[1000];
	struct lane lane[2];
	rig_thread *t[2];
	pair p;
	int i;

	pair_open(&p, 1000, 1000);
	while (rig_send_once(p.a, data, sizeof data) == VIA_OK)
		;
	for (i = 0; i < 2; i++) {
		lane[i] = (struct lane){.l = p.a};
		t[i] = rig_thread_start(i == 0 ? sleep_for_a_record : sleep_for_room, &lane[i]);
	}
	for (i = 0; i < 2; i++)
		while (atomic_load(&lane[i].armed) == 0)
			;
	if (how == ABORT)
		p.a->ops->abort(p.a, VIA_TIMEOUT);
	else if (how == BREAK)
		p.base_b->ops->abort(p.base_b, VIA_ABORTED);
	else
		rig_hang_up(&p.b);
	for (i = 0; i < 2; i++)
		rig_thread_join(t[i]);
	for (i = 0; i < 2; i++)
		cr_expect_eq(how == BREAK ? rig_get(p.a, &(via_view){0}) : lane[i].rc, expected,
			     "lane %d: %d", i, lane[i].rc);
	pair_close(&p);
}

Test(ring_wait, abort_wakes_both_lanes)
{
	both_lanes_wake(ABORT, VIA_TIMEOUT);
}

Test(ring_wait, the_peers_death_wakes_both_lanes)
{
	both_lanes_wake(BREAK, VIA_RESET);
}

Test(ring_wait, the_peers_close_wakes_both_lanes)
{
	both_lanes_wake(CLOSE, VIA_CLOSED);
}

/* -- ends -------------------------------------------------------------------------------------- */

/* The closed flag is enough: no system call is made to find it. */
Test(ring_wait, shutdown_is_seen_without_a_system_call)
{
	uint32_t before;
	via_view v;
	pair p;

	pair_open(&p, 1000, 1000);
	before = atomic_load(&p.r.host.calls);
	cr_assert_eq(rig_send_once(p.a, "\x1f", 1), VIA_OK);
	cr_assert_eq(p.a->ops->shutdown(p.a), VIA_OK);
	cr_expect_eq(p.a->ops->shutdown(p.a), VIA_OK);
	cr_expect_eq(rig_send_once(p.a, "x", 1), VIA_STATE);
	rig_expect_record(p.b, 1, 1);
	cr_assert_eq(rig_send_once(p.b, "\x1f", 1), VIA_OK, "the other way is open");
	cr_expect_eq(p.b->ops->recv(p.b, &v, 1), VIA_CLOSED);
	cr_expect_eq(p.b->ops->recv(p.b, &v, 1), VIA_CLOSED);
	rig_expect_record(p.a, 1, 1);
	cr_expect_eq(atomic_load(&p.r.host.calls), before);
	pair_close(&p);
}

/* A send to somebody who has closed says so at once. */
Test(ring_wait, close_is_seen_by_a_send)
{
	via_view v;
	pair p;

	pair_open(&p, 1000, 1000);
	cr_assert_eq(rig_send_once(p.b, "\x1f", 1), VIA_OK);
	rig_hang_up(&p.b);
	cr_expect_eq(rig_send_once(p.a, "x", 1), VIA_CLOSED);
	rig_expect_record(p.a, 1, 1);
	cr_expect_eq(rig_get(p.a, &v), VIA_CLOSED);
	pair_close(&p);
}

/* The baseline ends and no flag is set: what lies in the ring is read first. */
Test(ring_wait, a_dead_peers_records_are_read)
{
	via_waitobj o = {.struct_size = sizeof o};
	uint32_t i;
	pair p;

	pair_open(&p, 1000, 1000);
	for (i = 0; i < 30; i++)
		cr_assert_eq(rig_send_once(p.b, "\x1f", 1), VIA_OK);
	p.base_b->ops->abort(p.base_b, VIA_ABORTED);
	for (i = 0; i < 30; i++) {
		cr_expect_eq(p.a->ops->arm(p.a, VIA_EV_RX, &o), VIA_BUSY);
		rig_expect_record(p.a, 1, 1);
	}
	cr_expect_eq(p.a->ops->arm(p.a, VIA_EV_RX, &o), VIA_RESET);
	cr_expect_eq(p.a->ops->recv(p.a, &(via_view){0}, 1), VIA_RESET);
	cr_expect_eq(rig_send_once(p.a, "x", 1), VIA_RESET);
	cr_expect_eq(p.a->ops->arm(p.a, VIA_EV_TX, &o), VIA_RESET);
	pair_close(&p);
}

/* The other process: takes the memory from the socket, speaks, dies. */
static void live_and_die(pair *p)
{
	via_handle h;
	via_view v;
	int i;

	if (rig_dial(&p->r, NULL, &p->base_a) != VIA_OK || rig_get(p->base_a, &v) != 1 ||
	    p->base_a->ops->take_handles(p->base_a, &v, &h, 1) != 1)
		_exit(1);
	p->base_a->ops->release(p->base_a, &v, 1);
	if (pair_attach(p, &h, 1) != VIA_OK)
		_exit(2);
	for (i = 0; i < 20; i++)
		if (rig_put(p->a, "\x1f", 1) != VIA_OK)
			_exit(3);
	if (rig_get(p->a, &v) != 1) /* told to go, with all of that unread */
		_exit(4);
	raise(SIGKILL);
}

Test(ring_wait, a_killed_peer)
{
	via_iov iov = {"ring", 4};
	via_msg m = {.iov = &iov, .n_iov = 1, .n_handles = 1};
	via_handle h;
	via_view v;
	pid_t pid;
	pair p;
	int i;

	pair_begin(&p, 1000, 1000);
	rig_hang_up(&p.base_a);
	rig_hang_up(&p.base_b);
	pid = start_child();
	if (pid == 0)
		live_and_die(&p);
	cr_assert_eq(rig_accept_soon(&p.r, p.r.listener, &p.base_b), VIA_OK);
	cr_assert_eq(pair_provision(&p), VIA_OK);
	h = (via_handle){.value = p.fd, .kind = VIA_H_FD};
	m.handles = &h;
	cr_assert_eq(p.base_b->ops->send(p.base_b, &m, 1), 1); /* and closed */
	p.fd = -1;
	rig_expect_record(p.b, 1, 1);
	cr_assert_eq(rig_put(p.b, "go", 2), VIA_OK);
	cr_expect_eq(end_of_child(pid), -1);
	for (i = 1; i < 20; i++)
		rig_expect_record(p.b, 1, 1);
	cr_expect_eq(rig_get(p.b, &v), VIA_RESET);
	cr_expect_eq(rig_send_once(p.b, "x", 1), VIA_RESET);
	pair_close(&p);
}
