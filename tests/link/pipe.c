/* tests/link/pipe.c - the pipe transport's links: cut records, waiting writes, threads that exit,
 * ends. */
#include "pipe_rig.h"
#include <stdlib.h>

TestSuite(pipe_link, .timeout = 60);

/* -- records ----------------------------------------------------------------------------------- */

static uint8_t *filled(uint32_t len, uint32_t number)
{
	uint8_t *p = malloc(len);

	cr_assert_not_null(p);
	rig_fill(p, len, number);
	return p;
}

static void expect_view(via_link *l, const uint8_t *data, uint32_t len, uint32_t flags)
{
	via_view v;

	cr_assert_eq(rig_get(l, &v), 1);
	cr_assert_eq(v.len, len);
	cr_expect_eq(v.flags, flags);
	cr_expect_arr_eq(v.data, data, len);
	l->ops->release(l, &v, 1);
}

/* Tails of all lengths are skipped, in as many reads as it takes, and the next record is whole. */
Test(pipe_link, long_tails_are_skipped)
{
	static const uint32_t lens[] = {129, 200, 256, 257, 5000, 40000, 65535, 65536};
	uint8_t *data = filled(65536, 4);
	rig r;
	uint32_t i;

	rig_open(&r, "pipe");
	rig_connect(&r);
	for (i = 0; i < sizeof lens / sizeof lens[0]; i++) {
		cr_assert_eq(rig_put(r.a, data, lens[i]), VIA_OK);
		cr_assert_eq(rig_put(r.a, data, 128), VIA_OK);
		expect_view(r.b, data, 128, VIA_VIEW_CUT);
		expect_view(r.b, data, 128, 0);
	}
	free(data);
	rig_close(&r);
}

/* A read was posted for another length when expect() changes it. */
Test(pipe_link, expect_while_a_read_is_posted)
{
	uint8_t *data = filled(65536, 5);
	rig r;
	uint32_t round;

	rig_open(&r, "pipe");
	rig_connect(&r);
	for (round = 0; round < 2; round++) {
		cr_assert_eq(r.b->ops->expect(r.b, 1000), VIA_OK);
		cr_assert_eq(r.b->ops->expect(r.b, 2000), VIA_OK);
		cr_assert_eq(r.b->ops->expect(r.b, 65536), VIA_OK);
		cr_assert_eq(rig_put(r.a, data, 65536), VIA_OK);
		expect_view(r.b, data, 65536, 0);
		cr_assert_eq(rig_put(r.a, data, 65536), VIA_OK); /* read already, as a whole */
		cr_assert_eq(r.b->ops->expect(r.b, 100), VIA_OK);
		expect_view(r.b, data, 100, VIA_VIEW_CUT);
		cr_assert_eq(rig_put(r.a, data, 100), VIA_OK);
		expect_view(r.b, data, 100, 0);
	}
	/* Read in part, and then more is allowed: nothing of it is lost. */
	cr_assert_eq(rig_put(r.a, data, 5000), VIA_OK);
	cr_assert_eq(r.b->ops->expect(r.b, 5000), VIA_OK);
	expect_view(r.b, data, 5000, 0);
	free(data);
	rig_close(&r);
}

/* The wait for the end goes on while a view is out, and takes nothing of the next records away. */
Test(pipe_link, a_wait_with_a_view_out)
{
	uint8_t *data = filled(3000, 6);
	via_waitobj o = {.struct_size = sizeof o};
	via_view v;
	rig r;

	rig_open(&r, "pipe");
	rig_connect(&r);
	cr_assert_eq(r.b->ops->expect(r.b, 3000), VIA_OK);
	cr_assert_eq(rig_put(r.a, data, 100), VIA_OK);
	cr_assert_eq(rig_get(r.b, &v), 1);
	cr_assert_eq(r.b->ops->arm(r.b, VIA_EV_RX, &o), VIA_OK);
	cr_assert_eq(rig_put(r.a, data, 3000), VIA_OK);
	cr_expect_eq(rig_sleep(&o, rig_now() + RIG_SOON), 1);
	r.b->ops->disarm(r.b, VIA_EV_RX);
	cr_expect_eq(r.b->ops->arm(r.b, VIA_EV_RX, &o), VIA_BUSY);
	cr_expect_eq(r.b->ops->arm(r.b, VIA_EV_TX, &o), VIA_BUSY, "it is a record");
	cr_expect_eq(r.b->ops->recv(r.b, &v, 1), VIA_LIMIT);
	cr_expect_arr_eq(v.data, data, 100);
	r.b->ops->release(r.b, &v, 1);
	expect_view(r.b, data, 3000, 0);
	cr_assert_eq(rig_put(r.a, data, 10), VIA_OK);
	cr_assert_eq(rig_get(r.b, &v), 1);
	cr_assert_eq(r.b->ops->arm(r.b, VIA_EV_RX, &o), VIA_OK);
	rig_hang_up(&r.a);
	cr_expect_eq(rig_sleep(&o, rig_now() + RIG_SOON), 1, "the end wakes");
	r.b->ops->disarm(r.b, VIA_EV_RX);
	cr_expect_eq(r.b->ops->arm(r.b, VIA_EV_RX, &o), VIA_BUSY);
	cr_expect_eq(r.b->ops->arm(r.b, VIA_EV_TX, &o), VIA_CLOSED, "known to both lanes");
	r.b->ops->release(r.b, &v, 1);
	cr_expect_eq(rig_get(r.b, &v), VIA_CLOSED);
	free(data);
	rig_close(&r);
}

/* -- writes that wait -------------------------------------------------------------------------- */

Test(pipe_link, a_slow_reader)
{
	rig r;
	uint32_t n, i;
	uint8_t *data;

	rig_open(&r, "pipe");
	rig_connect(&r);
	cr_assert_eq(r.b->ops->expect(r.b, 50000), VIA_OK);
	n = pipe_fill_up(r.a, 50000);
	data = filled(50000, 0);
	for (i = 0; i < 30; i++) { /* the buffer may be changed: what was accepted is not there */
		rig_expect_record(r.b, 50000, i);
		rig_fill(data, 50000, n);
		cr_assert_eq(rig_put(r.a, data, 50000), VIA_OK);
		memset(data, 0xee, 50000);
		n++;
	}
	for (; i < n; i++)
		rig_expect_record(r.b, 50000, i);
	free(data);
	rig_close(&r);
}

enum { LARGE = 60000, LARGE_N = 60 };

struct pusher {
	via_link *l;
	via_rc rc;
};

/* As a session does: sends while it can, reads while it waits. */
static void push_and_pull(void *arg)
{
	struct pusher *p = arg;
	uint8_t *data = malloc(LARGE);
	uint32_t sent = 0, got = 0;
	via_view v;

	while (sent < LARGE_N || got < LARGE_N) {
		via_rc rc = VIA_AGAIN;

		if (sent < LARGE_N) {
			rig_fill(data, LARGE, sent);
			rc = rig_send_once(p->l, data, LARGE);
			if (rc == VIA_OK) {
				sent++;
				continue;
			}
		}
		if (rc == VIA_AGAIN)
			rc = p->l->ops->recv(p->l, &v, 1);
		if (rc == 1) {
			rig_check_fill(&v, LARGE, got++);
			p->l->ops->release(p->l, &v, 1);
			continue;
		}
		if (rc == VIA_AGAIN)
			rc = rig_wait(p->l, sent < LARGE_N ? VIA_EV_RX | VIA_EV_TX : VIA_EV_RX,
				      rig_now() + RIG_SOON);
		if (rc != VIA_OK) {
			p->rc = rc;
			break;
		}
	}
	free(data);
}

/* Both sides fill the pipe at once; netipc's blocking writes deadlock here. */
Test(pipe_link, both_sides_push)
{
	rig r;
	struct pusher a, b;
	rig_thread *t;

	rig_open(&r, "pipe");
	rig_connect(&r);
	cr_assert_eq(r.a->ops->expect(r.a, LARGE), VIA_OK);
	cr_assert_eq(r.b->ops->expect(r.b, LARGE), VIA_OK);
	a = (struct pusher){.l = r.a};
	b = (struct pusher){.l = r.b};
	t = rig_thread_start(push_and_pull, &a);
	push_and_pull(&b);
	rig_thread_join(t);
	cr_expect_eq(a.rc, VIA_OK);
	cr_expect_eq(b.rc, VIA_OK);
	rig_close(&r);
}

/* -- threads that exit ------------------------------------------------------------------------- */

static void connect_rig(void *arg)
{
	rig_connect(arg);
}

static void release_one(void *arg)
{
	via_link *l = arg;
	via_view v;

	if (rig_get(l, &v) == 1)
		l->ops->release(l, &v, 1); /* and posts the next read */
}

/* The reads were posted by threads that are gone, before and after the sleep began. */
Test(pipe_link, the_thread_that_read_has_exited)
{
	uint8_t data[200];
	rig r;
	uint32_t i;

	rig_open(&r, "pipe");
	pipe_in_a_thread(connect_rig, &r);
	cr_assert_eq(r.b->ops->expect(r.b, sizeof data), VIA_OK);
	for (i = 0; i < 20; i++) {
		rig_fill(data, sizeof data, i);
		cr_assert_eq(rig_put(r.a, data, sizeof data), VIA_OK);
		if (i % 2 != 0)
			pipe_in_a_thread(release_one, r.b);
		else
			rig_expect_record(r.b, sizeof data, i);
	}
	rig_close(&r);
}

struct late {
	via_link *l;
	rig_thread *sleeper;
	_Atomic int armed;
	via_rc rc;
};

static void sleep_for_one(void *arg)
{
	struct late *s = arg;
	via_waitobj o = {.struct_size = sizeof o};
	via_rc rc = s->l->ops->arm(s->l, VIA_EV_RX, &o);
	via_view v;

	atomic_store(&s->armed, 1);
	if (rc == VIA_OK) {
		(void)rig_sleep(&o, rig_now() + RIG_SOON);
		s->l->ops->disarm(s->l, VIA_EV_RX);
	}
	s->rc = rig_get(s->l, &v);
	if (s->rc == 1)
		s->l->ops->release(s->l, &v, 1);
}

/* Posts the read, and exits while another thread sleeps on it. */
static void post_and_hand_over(void *arg)
{
	struct late *s = arg;

	release_one(s->l);
	s->sleeper = rig_thread_start(sleep_for_one, s);
	while (atomic_load(&s->armed) == 0)
		;
}

Test(pipe_link, the_reading_thread_exits_under_a_sleeper)
{
	struct late s;
	rig r;

	rig_open(&r, "pipe");
	rig_connect(&r);
	s = (struct late){.l = r.b};
	cr_assert_eq(rig_put(r.a, "x", 1), VIA_OK);
	pipe_in_a_thread(post_and_hand_over, &s);
	cr_assert_eq(rig_put(r.a, "y", 1), VIA_OK);
	rig_thread_join(s.sleeper);
	cr_expect_eq(s.rc, 1);
	rig_close(&r);
}

struct filler {
	via_link *l;
	uint32_t n;
	int shut; /* and says the end as well */
};

static void fill_up(void *arg)
{
	struct filler *f = arg;

	f->n = pipe_fill_up(f->l, 30000);
	if (f->shut)
		cr_assert_eq(f->l->ops->shutdown(f->l), VIA_OK);
}

enum { NO_END, END_AFTERWARDS, END_AT_ONCE };

/* The record that waited was begun by a thread that is gone; the peer gets it once, in its place. */
static void writer_exits(uint32_t events, int shut)
{
	struct filler f;
	via_waitobj o = {.struct_size = sizeof o};
	rig r;
	uint32_t i;
	via_view v;
	via_rc rc;

	rig_open(&r, "pipe");
	rig_connect(&r);
	cr_assert_eq(r.b->ops->expect(r.b, 30000), VIA_OK);
	f = (struct filler){.l = r.a, .shut = shut == END_AT_ONCE};
	pipe_in_a_thread(fill_up, &f);
	cr_assert_geq(f.n, 2);
	if (events != 0) { /* any lane's verb begins it again */
		rc = r.a->ops->arm(r.a, events, &o);
		cr_expect_eq(rc, VIA_OK);
		r.a->ops->disarm(r.a, events);
	} else {
		cr_expect_eq(rig_send_once(r.a, "x", 1), VIA_AGAIN);
	}
	if (shut == END_AFTERWARDS)
		cr_assert_eq(r.a->ops->shutdown(r.a), VIA_OK);
	if (shut != NO_END)
		cr_assert_eq(r.a->ops->arm(r.a, VIA_EV_RX, &o), VIA_OK);
	for (i = 0; i < f.n; i++)
		rig_expect_record(r.b, 30000, i);
	if (shut != NO_END) { /* who listens to the link sees to it that the end follows */
		cr_expect_eq(rig_sleep(&o, rig_now() + RIG_SOON), 1);
		r.a->ops->disarm(r.a, VIA_EV_RX);
		cr_expect_eq(r.a->ops->recv(r.a, &v, 1), VIA_AGAIN);
	} else {
		cr_assert_eq(rig_put(r.a, "\x1f", 1), VIA_OK);
		rig_expect_record(r.b, 1, 1);
		rig_hang_up(&r.a);
	}
	cr_expect_eq(rig_get(r.b, &v), VIA_CLOSED);
	rig_close(&r);
}

Test(pipe_link, the_thread_that_wrote_has_exited)
{
	writer_exits(0, NO_END);
	writer_exits(VIA_EV_TX, NO_END);
	writer_exits(VIA_EV_RX, NO_END);
	writer_exits(VIA_EV_TX, END_AFTERWARDS);
	writer_exits(VIA_EV_TX, END_AT_ONCE);
	writer_exits(VIA_EV_RX, END_AT_ONCE);
}

/* -- ends -------------------------------------------------------------------------------------- */

/* What was accepted is delivered after close(), with the record that found no room; then the end. */
static void closed_in_mid_write(int dialled)
{
	rig r;
	via_link **from, **to;
	via_view v;
	uint32_t n, i;

	rig_open(&r, "pipe");
	rig_connect(&r);
	from = dialled ? &r.a : &r.b;
	to = dialled ? &r.b : &r.a;
	cr_assert_eq((*to)->ops->expect(*to, 30000), VIA_OK);
	n = pipe_fill_up(*from, 30000);
	rig_hang_up(from);
	for (i = 0; i < n; i++)
		rig_expect_record(*to, 30000, i);
	cr_expect_eq(rig_get(*to, &v), VIA_CLOSED);
	rig_close(&r);
}

Test(pipe_link, close_with_a_write_that_waits)
{
	closed_in_mid_write(1);
	closed_in_mid_write(0);
}

static void fill_up_and_close(void *arg)
{
	struct filler *f = arg;

	f->n = pipe_fill_up(f->l, 30000);
	f->l->ops->close(f->l);
}

/* The thread that closed it has exited, too, and took the record that waited along: what had found
 * room is heard, and then the end. */
Test(pipe_link, close_and_exit_with_a_write_that_waits)
{
	struct filler f;
	rig r;
	via_view v;
	via_rc rc;
	uint32_t got = 0;

	rig_open(&r, "pipe");
	rig_connect(&r);
	cr_assert_eq(r.b->ops->expect(r.b, 30000), VIA_OK);
	f = (struct filler){.l = r.a};
	r.a = NULL;
	pipe_in_a_thread(fill_up_and_close, &f);
	while ((rc = rig_get(r.b, &v)) == 1) {
		rig_check_fill(&v, 30000, got++);
		r.b->ops->release(r.b, &v, 1);
	}
	cr_expect_eq(rc, VIA_CLOSED);
	cr_expect(got + 1 == f.n || got == f.n, "%u of %u", got, f.n);
	rig_close(&r);
}

/* A peer that neither reads nor leaves: the closed ends do not stay for ever, nor beyond the module. */
Test(pipe_link, closed_links_do_not_pile_up)
{
	via_link *b[8];
	rig r;
	uint32_t i;

	rig_open(&r, "pipe");
	cr_assert_eq(rig_listen(&r, NULL, &r.listener), VIA_OK);
	for (i = 0; i < 8; i++) {
		rig_pair(&r);
		(void)pipe_fill_up(r.a, 30000);
		rig_hang_up(&r.a);
		b[i] = r.b;
		r.b = NULL;
	}
	for (i = 0; i < 8; i++)
		rig_hang_up(&b[i]); /* now nobody can read it: all are gone with the next close */
	rig_close(&r);
}

/* The module ends while such a link is left. */
Test(pipe_link, the_module_ends_with_a_write_that_waits)
{
	rig r;
	HANDLE raw;
	char *data = malloc(PIPE_ROOM);
	uint32_t got = 0;
	int n;

	rig_open(&r, "pipe");
	raw = pipe_raw_server(&r);
	cr_assert_eq(rig_dial(&r, NULL, &r.a), VIA_OK);
	pipe_raw_accept(raw);
	(void)pipe_fill_up(r.a, 30000);
	rig_hang_up(&r.a);
	rig_fini_modules(&r);
	cr_expect_eq(atomic_load(&r.host.live), 0);
	while ((n = pipe_raw_get(raw, data, PIPE_ROOM)) == 30000)
		got++;
	cr_expect_geq(got, 1, "what had found room is still there");
	cr_expect(n <= 0);
	CloseHandle(raw);
	free(data);
	cr_assert_eq(rig_init_modules(&r, NULL), VIA_OK);
	rig_close(&r);
}

enum { STATES = 32 };

/* Closed with each combination of: a record unread, a write that waits, a view or a slot out, armed,
 * aborted. Nothing hangs, nothing is left. */
Test(pipe_link, close_at_every_state)
{
	rig r;
	uint32_t i;

	rig_open(&r, "pipe");
	cr_assert_eq(rig_listen(&r, NULL, &r.listener), VIA_OK);
	for (i = 0; i < STATES; i++) {
		via_waitobj o = {.struct_size = sizeof o};
		via_view v;
		via_slot s;

		rig_pair(&r);
		if ((i & 1) != 0)
			cr_assert_eq(rig_put(r.b, "x", 1), VIA_OK);
		if ((i & 2) != 0)
			(void)pipe_fill_up(r.a, 30000);
		else
			cr_assert_eq(r.a->ops->reserve(r.a, 10, &s), VIA_OK);
		if ((i & 4) != 0 && (i & 1) != 0)
			cr_assert_eq(rig_get(r.a, &v), 1);
		if ((i & 8) != 0)
			(void)r.a->ops->arm(r.a, VIA_EV_RX | VIA_EV_TX, &o);
		if ((i & 16) != 0)
			r.a->ops->abort(r.a, VIA_ABORTED);
		if ((i & 4) != 0 && (i & 1) != 0)
			r.a->ops->release(r.a, &v, 1);
		rig_hang_up(i % 3 == 0 ? &r.b : &r.a);
		rig_hang_up(i % 3 == 0 ? &r.a : &r.b);
	}
	rig_close(&r);
}

/* One event for both lanes and both events, for the life of the link. */
Test(pipe_link, one_event)
{
	via_waitobj rx = {.struct_size = sizeof rx};
	via_waitobj tx = {.struct_size = sizeof tx};
	rig r;

	rig_open(&r, "pipe");
	rig_connect(&r);
	(void)pipe_fill_up(r.a, 30000);
	cr_assert_eq(r.a->ops->arm(r.a, VIA_EV_TX, &tx), VIA_OK);
	cr_assert_eq(r.a->ops->arm(r.a, VIA_EV_RX, &rx), VIA_OK);
	cr_expect_eq(rx.handle, tx.handle);
	cr_expect_eq(rx.kind, VIA_WAIT_WIN);
	cr_expect_eq(rig_sleep(&rx, rig_now()), 0);
	r.a->ops->disarm(r.a, VIA_EV_RX | VIA_EV_TX);
	rig_close(&r);
}

/* The three ways in which one lane clears the event that was set for the other: it begins a read, it
 * begins a write, it clears a note that was not for it. */
enum { BY_READ, BY_WRITE, BY_ARM };

static void a_note_for_the_other(int how)
{
	via_waitobj tx = {.struct_size = sizeof tx};
	via_waitobj rx = {.struct_size = sizeof rx};
	via_waitobj *sleeper = how == BY_WRITE ? &rx : &tx;
	rig r;
	uint32_t n, i;
	via_view v;

	rig_open(&r, "pipe");
	rig_connect(&r);
	cr_assert_eq(r.b->ops->expect(r.b, 30000), VIA_OK);
	if (how == BY_WRITE) { /* a sleeps for a record, which comes; then it writes */
		cr_assert_eq(r.a->ops->arm(r.a, VIA_EV_RX, &rx), VIA_OK);
		cr_assert_eq(rig_put(r.b, "x", 1), VIA_OK);
		(void)pipe_fill_up(r.a, 30000);
	} else { /* a sleeps for room, which comes; then it reads, or waits for records */
		n = pipe_fill_up(r.a, 30000);
		if (how == BY_READ) {
			cr_assert_eq(rig_put(r.b, "x", 1), VIA_OK);
			cr_assert_eq(rig_get(r.a, &v), 1);
		}
		cr_assert_eq(r.a->ops->arm(r.a, VIA_EV_TX, &tx), VIA_OK);
		for (i = 0; i < n; i++)
			rig_expect_record(r.b, 30000, i);
		if (how == BY_READ)
			r.a->ops->release(r.a, &v, 1);
		else
			cr_assert_eq(r.a->ops->arm(r.a, VIA_EV_RX, &rx), VIA_OK);
	}
	cr_expect_eq(rig_sleep(sleeper, rig_now() + 2000 * RIG_MS), 1, "way %d", how);
	r.a->ops->disarm(r.a, VIA_EV_RX | VIA_EV_TX);
	rig_close(&r);
}

Test(pipe_link, one_lane_does_not_wipe_out_the_others_note)
{
	a_note_for_the_other(BY_READ);
	a_note_for_the_other(BY_WRITE);
	a_note_for_the_other(BY_ARM);
}

/* Handles and memory after many lives are what they were. */
Test(pipe_link, nothing_leaks)
{
	rig r;
	uint32_t i;

	rig_open(&r, "pipe");
	for (i = 0; i < 30; i++) {
		via_peer p = {.struct_size = sizeof p};

		rig_connect(&r);
		cr_assert_eq(r.b->ops->peer(r.b, &p), VIA_OK);
		cr_assert_eq(r.a->ops->peer(r.a, &p), VIA_OK);
		(void)pipe_fill_up(r.a, 30000);
		rig_hang_up(i % 2 != 0 ? &r.a : &r.b);
		rig_hang_up(i % 2 != 0 ? &r.b : &r.a);
		rig_stop(&r.listener);
		rig_check_clean(&r);
	}
	rig_close(&r);
}
