/* tests/link/ending.c - conformance of any link: shutdown, close, abort, and what every verb
 * says then. */
#include "stacks.h"

TestSuite(link_ending, .timeout = 60);

static int is_end(via_rc rc)
{
	return rc == VIA_CLOSED || rc == VIA_RESET;
}

/* Every verb that can answer does so with rc; none hangs, none crashes. */
static void every_verb_says(via_link *l, via_rc rc)
{
	via_waitobj o = {.struct_size = sizeof o};
	via_slot s;
	via_view v;
	int i;

	for (i = 0; i < 2; i++) {
		cr_expect_eq(l->ops->recv(l, &v, 1), rc);
		cr_expect_eq(l->ops->reserve(l, 1, &s), rc);
		cr_expect_eq(rig_send_once(l, "x", 1), rc);
		cr_expect_eq(l->ops->shutdown(l), rc);
		cr_expect_eq(l->ops->arm(l, VIA_EV_RX, &o), rc);
		cr_expect_eq(l->ops->arm(l, VIA_EV_TX, &o), rc);
		cr_expect_eq(l->ops->arm(l, VIA_EV_RX | VIA_EV_TX, &o), rc);
		l->ops->disarm(l, VIA_EV_RX | VIA_EV_TX);
	}
	cr_expect_null(l->ops->get_ext(l, "org.example.unknown/1"));
}

/* -- shutdown and close ------------------------------------------------------------------------ */

/* Records for a's peer, with nothing read in between: as many as may be in flight. */
static uint32_t put_some(rig *r)
{
	uint32_t n = rig_pipelines(r) ? 10 : 1;
	uint8_t data[100];
	uint32_t i;

	for (i = 0; i < n; i++) {
		rig_fill(data, sizeof data, i);
		cr_assert_eq(rig_put(r->a, data, sizeof data), VIA_OK);
	}
	return n;
}

static void expect_some(rig *r, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n; i++)
		rig_expect_record(r->b, 100, i);
}

STACK_TEST(link_ending, shutdown_lets_the_peer_drain)
{
	rig r;
	uint8_t data[7];
	uint32_t n;
	via_view v;
	via_slot s;

	rig_open(&r, stack);
	rig_connect(&r);
	n = put_some(&r);
	cr_assert_eq(r.a->ops->shutdown(r.a), VIA_OK);
	cr_expect_eq(r.a->ops->shutdown(r.a), VIA_OK, "twice is harmless");
	cr_expect_eq(rig_send_once(r.a, "x", 1), VIA_STATE);
	cr_expect_eq(r.a->ops->reserve(r.a, 1, &s), VIA_STATE);
	if (!rig_pipelines(&r)) { /* b answers what it has read */
		expect_some(&r, n);
		n = 0;
	}
	rig_fill(data, sizeof data, 9);
	cr_assert_eq(rig_put(r.b, data, sizeof data), VIA_OK, "the other way is open");
	rig_expect_record(r.a, sizeof data, 9);
	if (!rig_hears_the_end(r.b))
		rig_shutdown(r.a); /* it was a's own affair until now */
	expect_some(&r, n);
	cr_expect_eq(rig_get(r.b, &v), VIA_CLOSED);
	every_verb_says(r.b, VIA_CLOSED);
	rig_close(&r);
}

STACK_TEST(link_ending, close_lets_the_peer_drain)
{
	rig r;
	uint32_t n;
	via_view v;

	rig_open(&r, stack);
	rig_connect(&r);
	n = put_some(&r);
	rig_hang_up(&r.a);
	expect_some(&r, n);
	cr_expect_eq(rig_get(r.b, &v), VIA_CLOSED);
	every_verb_says(r.b, VIA_CLOSED);
	rig_close(&r);
}

/* What the peer has sent arrives even if it left without reading what we sent. */
STACK_TEST(link_ending, last_words_arrive)
{
	rig r;
	uint8_t data[50];
	via_view v;
	via_rc rc;

	rig_open(&r, stack);
	rig_connect(&r);
	rig_fill(data, sizeof data, 3);
	if (rig_pipelines(&r))
		cr_assert_eq(rig_put(r.b, "never read", 10), VIA_OK);
	cr_assert_eq(rig_put(r.a, data, sizeof data), VIA_OK);
	if (rig_pipelines(&r))
		cr_assert_eq(rig_put(r.a, data, 20), VIA_OK);
	rig_hang_up(&r.a);
	rig_expect_record(r.b, 50, 3);
	if ((r.b->caps & VIA_CAP_PIPELINE) != 0)
		rig_expect_record(r.b, 20, 3);
	else
		cr_assert_eq(rig_put(r.b, "never read", 10), VIA_OK);
	rc = rig_get(r.b, &v);
	cr_assert(is_end(rc), "%d", rc);
	every_verb_says(r.b, rc);
	rig_close(&r);
}

static void say_one_thing_and_leave(void *arg)
{
	via_link *l = arg;

	(void)rig_put(l, "\x1f", 1);
	rig_shutdown(l);
}

/* The reader looks all the time, so it also looks between the record and the end. */
STACK_TEST(link_ending, a_last_record_is_never_overlooked)
{
	rig r;
	int i;

	rig_open(&r, stack);
	cr_assert_eq(rig_listen(&r, NULL, &r.listener), VIA_OK);
	for (i = 0; i < 300; i++) {
		rig_thread *t;
		uint32_t got = 0;
		via_view v;
		via_rc rc;

		rig_pair(&r);
		t = rig_thread_start(say_one_thing_and_leave, r.a);
		while ((rc = rig_look(r.b, &v)) == 1 || rc == VIA_AGAIN) {
			if (rc == 1) {
				r.b->ops->release(r.b, &v, 1);
				got++;
			}
		}
		cr_expect_eq(rc, VIA_CLOSED);
		cr_assert_eq(got, 1, "round %d", i);
		rig_thread_join(t);
		rig_hang_up(&r.a);
		rig_hang_up(&r.b);
	}
	rig_close(&r);
}

/* The end is seen by a send first. Where the link does not hear it, a send goes nowhere or waits for
 * its turn; the end comes with the next wait. */
STACK_TEST(link_ending, a_send_may_see_the_end_first)
{
	rig r;
	uint8_t data[50];
	via_view v;
	via_rc rc;

	rig_open(&r, stack);
	rig_connect(&r);
	rig_fill(data, sizeof data, 3);
	if (rig_pipelines(&r))
		cr_assert_eq(rig_put(r.b, "never read", 10), VIA_OK);
	cr_assert_eq(rig_put(r.a, data, sizeof data), VIA_OK);
	rig_hang_up(&r.a);
	rc = rig_send_once(r.b, "x", 1);
	if (rig_hears_the_end(r.b)) {
		cr_assert(is_end(rc), "%d", rc);
		cr_expect_eq(rig_send_once(r.b, "x", 1), rc);
	} else {
		cr_assert(rc == VIA_OK || rc == VIA_AGAIN, "%d", rc);
		rc = VIA_CLOSED;
	}
	rig_expect_record(r.b, 50, 3);
	cr_expect_eq(rig_get(r.b, &v), rc, "the same end on both lanes");
	every_verb_says(r.b, rc);
	rig_close(&r);
}

STACK_TEST(link_ending, a_commit_may_see_the_end_first)
{
	rig r;
	via_slot s;
	via_view v;
	via_rc rc;

	rig_open(&r, stack);
	rig_connect(&r);
	if (!rig_pipelines(&r)) { /* b's turn to speak */
		cr_assert_eq(rig_put(r.a, "\x1f", 1), VIA_OK);
		rig_expect_record(r.b, 1, 1);
	}
	cr_assert_eq(r.b->ops->reserve(r.b, 10, &s), VIA_OK);
	memset(s.data, 0, 10);
	s.len = 10;
	rig_hang_up(&r.a);
	rc = r.b->ops->commit(r.b, &s, 1);
	if (!rig_hears_the_end(r.b)) {
		cr_assert_eq(rc, 1, "into the void");
		rc = rig_get(r.b, &v);
	}
	cr_assert(is_end(rc), "%d", rc);
	every_verb_says(r.b, rc);
	rig_close(&r);
}

STACK_TEST(link_ending, close_with_things_lying_about)
{
	rig r;
	uint8_t data[3000];
	via_link *last;
	via_view v;
	via_slot s;
	uint32_t i;

	rig_open(&r, stack);
	rig_connect(&r);
	rig_fill(data, sizeof data, 1);
	last = r.a;
	if (rig_pipelines(&r)) {
		for (i = 0; i < 10; i++) {
			cr_assert_eq(rig_put(r.a, data, sizeof data), VIA_OK);
			cr_assert_eq(rig_put(r.b, data, sizeof data), VIA_OK);
		}
	} else { /* one record, and the slot of its answer */
		cr_assert_eq(rig_put(r.a, data, sizeof data), VIA_OK);
		cr_assert_eq(rig_get(r.b, &v), 1);
		r.b->ops->release(r.b, &v, 1);
		last = r.b;
	}
	cr_assert_eq(last->ops->reserve(last, 2000, &s), VIA_OK);
	rig_close(&r); /* unread records on both sides, a slot not committed */
}

STACK_TEST(link_ending, either_end_may_close_first)
{
	rig r;
	int i;

	rig_open(&r, stack);
	cr_assert_eq(rig_listen(&r, NULL, &r.listener), VIA_OK);
	for (i = 0; i < 20; i++) {
		rig_pair(&r);
		cr_assert_eq(rig_put(r.a, "hello", 5), VIA_OK);
		rig_hang_up(i % 2 != 0 ? &r.a : &r.b);
		rig_hang_up(i % 2 != 0 ? &r.b : &r.a);
	}
	rig_close(&r);
}

/* -- abort ------------------------------------------------------------------------------------- */

STACK_TEST(link_ending, abort_is_sticky)
{
	rig r;
	uint8_t data[10];

	rig_open(&r, stack);
	rig_connect(&r);
	rig_fill(data, sizeof data, 1);
	cr_assert_eq(rig_put(r.a, data, sizeof data), VIA_OK); /* b will not get it */
	if (rig_pipelines(&r))
		cr_assert_eq(rig_put(r.b, data, sizeof data), VIA_OK); /* a will */
	rig_abort(r.b, VIA_TIMEOUT);
	rig_abort(r.b, VIA_ABORTED); /* the first reason stays */
	every_verb_says(r.b, VIA_TIMEOUT);
	if (rig_pipelines(&r))
		rig_expect_record(r.a, sizeof data, 1);
	cr_expect(is_end(rig_get(r.a, &(via_view){0})));
	rig_close(&r);
}

STACK_TEST(link_ending, abort_after_the_end)
{
	rig r;
	via_view v;
	via_rc rc;

	rig_open(&r, stack);
	rig_connect(&r);
	rig_hang_up(&r.a);
	cr_assert_eq(rig_get(r.b, &v), VIA_CLOSED);
	rig_abort(r.b, VIA_ABORTED);
	/* What does not hear of every end may have been told of this one by abort() before: that reason
	 * stays then. */
	rc = r.b->ops->recv(r.b, &v, 1);
	cr_expect(rc == VIA_ABORTED || (rc == VIA_CLOSED && !rig_hears_the_end(r.b)), "%d", rc);
	every_verb_says(r.b, rc);
	rig_close(&r);
}

static void abort_it(void *arg)
{
	rig_abort(arg, VIA_ABORTED);
}

static void write_until_the_end(void *arg)
{
	via_link *l = arg;
	uint8_t data[100] = {0};
	via_view v;

	while (rig_put(l, data, sizeof data) == VIA_OK) {
		if ((l->caps & VIA_CAP_PIPELINE) != 0)
			continue;
		if (rig_get(l, &v) != 1)
			return;
		l->ops->release(l, &v, 1);
	}
}

/* Takes one and answers where that is asked for. 1, or how it ended. */
static via_rc read_one(via_link *l)
{
	via_view v;
	via_rc rc = rig_get(l, &v);

	if (rc != 1)
		return rc;
	l->ops->release(l, &v, 1);
	if ((l->caps & VIA_CAP_PIPELINE) != 0)
		return 1;
	rc = rig_put(l, "x", 1);
	return rc == VIA_OK ? 1 : rc;
}

/* From a third thread, while both lanes are at work. */
STACK_TEST(link_ending, abort_at_any_moment)
{
	rig r;
	int i;

	rig_open(&r, stack);
	cr_assert_eq(rig_listen(&r, NULL, &r.listener), VIA_OK);
	for (i = 0; i < 50; i++) {
		rig_thread *t[2];
		via_rc rc;
		int n = 0;

		rig_pair(&r);
		t[0] = rig_thread_start(write_until_the_end, r.a);
		while (n < i && read_one(r.b) == 1)
			n++;
		t[1] = rig_thread_start(abort_it, i % 2 != 0 ? r.a : r.b);
		while ((rc = read_one(r.b)) == 1)
			;
		cr_assert(rc == VIA_ABORTED || is_end(rc), "%d", rc);
		rig_thread_join(t[1]);
		rig_hang_up(&r.b); /* a's writer sees the end in any case */
		rig_thread_join(t[0]);
		rig_hang_up(&r.a);
	}
	rig_close(&r);
}

/* -- facts ------------------------------------------------------------------------------------- */

STACK_TEST(link_ending, facts_are_constant)
{
	rig r;
	uint64_t caps;

	rig_open(&r, stack);
	rig_connect(&r);
	caps = r.a->caps;
	cr_expect_eq(r.b->caps, caps);
	cr_expect_eq(caps & ~rig_transport(&r)->caps, 0,
		     "a link has no more than its transport says");
	cr_expect((caps & VIA_CAP_RELIABLE) != 0);
	cr_assert_geq(r.a->limits->struct_size, sizeof(via_limits));
	cr_expect_geq(r.a->limits->max_record, VIA_EXPECT_INITIAL);
	cr_expect_geq(r.a->limits->max_batch, 1);
	cr_expect_geq(r.a->limits->align, 1);
	cr_expect_geq(r.a->ops->struct_size, sizeof(via_link_ops));
	if (r.b->rx_word != NULL) { /* tells without a call whether recv() would succeed */
		cr_expect_eq(*r.b->rx_word, r.b->rx_seen);
		cr_assert_eq(rig_put(r.a, "\x1f", 1), VIA_OK);
		cr_expect_neq(*r.b->rx_word, r.b->rx_seen);
		rig_expect_record(r.b, 1, 1);
		cr_expect_eq(*r.b->rx_word, r.b->rx_seen);
	}
	cr_expect_eq(r.a->caps, caps);
	rig_close(&r);
}

/* Who has the system's word for it knows at least the process, and something for people. */
static void check_peer(const via_link *l, const via_peer *p)
{
	const uint32_t least = VIA_PEER_PID | VIA_PEER_LABEL;

	if ((l->caps & VIA_CAP_PEERCRED) != 0)
		cr_expect_eq(p->valid & least, least);
	if ((p->valid & VIA_PEER_PID) != 0)
		cr_expect_eq(p->pid, rig_process_id());
	cr_expect_not_null(memchr(p->label, '\0', sizeof p->label));
	if ((p->valid & VIA_PEER_LABEL) != 0)
		cr_expect_neq(p->label[0], '\0');
}

/* It is the baseline that knows who is there. */
STACK_TEST(link_ending, peers_are_told)
{
	rig r;
	via_link *a;
	via_link *b;
	via_peer p = {.struct_size = sizeof p};
	via_peer small = {.struct_size = 8};

	rig_open(&r, stack);
	rig_connect(&r);
	a = rig_base(r.a);
	b = rig_base(r.b);
	cr_assert_eq(a->ops->peer(a, &p), VIA_OK);
	check_peer(a, &p);
	p = (via_peer){.struct_size = sizeof p};
	cr_assert_eq(b->ops->peer(b, &p), VIA_OK);
	check_peer(b, &p);
	cr_expect_eq(b->ops->peer(b, &small), VIA_INVAL);
	rig_close(&r);
}
