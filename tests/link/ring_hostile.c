/* tests/link/ring_hostile.c - a peer that writes where it likes and rings when it likes.
 *
 * p.shared is the hostile peer's own mapping. The victim is b, the server, unless said otherwise. */
#include "ring_rig.h"
#include <sys/mman.h>

TestSuite(ring_hostile, .timeout = 60);

enum { CAPACITY = 32768 };

static void open_pair(pair *p)
{
	pair_open(p, 15000, 15000); /* both directions at the least capacity */
	pair_map(p);
	cr_assert_eq(p->shared_len, 4096 + 2 * CAPACITY);
}

/* Once the protocol is broken every verb says so, the peer sees an end, and sleepers wake. */
static void every_verb_says_proto(pair *p)
{
	via_waitobj o = {.struct_size = sizeof o};
	via_link *l = p->b;
	via_slot s;
	via_view v;

	cr_expect_eq(l->ops->recv(l, &v, 1), VIA_PROTO);
	cr_expect_eq(l->ops->reserve(l, 1, &s), VIA_PROTO);
	cr_expect_eq(rig_send_once(l, "x", 1), VIA_PROTO);
	cr_expect_eq(l->ops->shutdown(l), VIA_PROTO);
	cr_expect_eq(l->ops->arm(l, VIA_EV_RX, &o), VIA_PROTO);
	cr_expect_eq(l->ops->arm(l, VIA_EV_TX, &o), VIA_PROTO);
	cr_expect_eq(rig_get(p->a, &v), VIA_RESET);
}

/* -- commit words ------------------------------------------------------------------------------ */

Test(ring_hostile, commit_words)
{
	static const uint64_t words[] = {15001,      CAPACITY,        UINT32_MAX, 5 | 1ull << 32,
					 1ull << 32, UINT64_MAX - 64, UINT64_MAX, 1ull << 63};
	char found[32];
	via_view v;
	size_t i;

	for (i = 0; i < sizeof words / sizeof words[0]; i++) {
		pair p;

		open_pair(&p);
		atomic_store(pair_u64(&p, AT_DATA), words[i]);
		rig_detail_clear();
		cr_expect_eq(p.b->ops->recv(p.b, &v, 1), VIA_PROTO);
		snprintf(found, sizeof found, "found %llu", (unsigned long long)words[i]);
		pair_said("expected 1 to 15000");
		pair_said(found);
		every_verb_says_proto(&p);
		pair_close(&p);
	}
}

/* In the middle of what is taken at once: those before are handed out, then the breach is found. */
Test(ring_hostile, a_commit_word_among_good_ones)
{
	via_view v[8];
	uint32_t bad, i;

	for (bad = 1; bad < 5; bad++) {
		pair p;

		open_pair(&p);
		for (i = 0; i < 5; i++)
			cr_assert_eq(rig_send_once(p.a, "record", 6), VIA_OK);
		atomic_store(pair_u64(&p, AT_DATA + 64 * (size_t)bad), 15001);
		cr_assert_eq(p.b->ops->recv(p.b, v, 8), (via_rc)bad);
		for (i = 0; i < bad; i++)
			cr_assert_eq(memcmp(v[i].data, "record", 6), 0);
		cr_expect_eq(p.b->ops->recv(p.b, v + bad, 1), VIA_PROTO);
		pair_said("found 15001");
		p.b->ops->release(p.b, v, bad);
		every_verb_says_proto(&p);
		pair_close(&p);
	}
}

/* A length that would do, but not while so much is out. */
Test(ring_hostile, more_than_can_have_been_written)
{
	static uint8_t data[15000];
	via_view v[3];
	pair p;

	open_pair(&p);
	cr_assert_eq(rig_send_once(p.a, data, sizeof data), VIA_OK);
	cr_assert_eq(rig_send_once(p.a, data, sizeof data), VIA_OK);
	cr_assert_eq(p.b->ops->recv(p.b, v, 3), 2);
	atomic_store(pair_u64(&p, AT_DATA + 2 * 15040), 2617); /* 2688 and a free line: too much */
	cr_expect_eq(p.b->ops->recv(p.b, &v[2], 1), VIA_PROTO);
	pair_said("at most 2616 can have been written");
	p.b->ops->release(p.b, v, 2);
	every_verb_says_proto(&p);
	pair_close(&p);
}

/* As much as can have been written is fine. */
Test(ring_hostile, as_much_as_can_have_been_written)
{
	static uint8_t data[15000];
	via_view v[3];
	pair p;

	open_pair(&p);
	cr_assert_eq(rig_send_once(p.a, data, sizeof data), VIA_OK);
	cr_assert_eq(rig_send_once(p.a, data, sizeof data), VIA_OK);
	cr_assert_eq(p.b->ops->recv(p.b, v, 3), 2);
	atomic_store(pair_u64(&p, AT_DATA + 2 * 15040), 2616);
	cr_expect_eq(p.b->ops->recv(p.b, &v[2], 1), 1);
	p.b->ops->release(p.b, v, 3);
	pair_close(&p);
}

/* -- positions and flags ----------------------------------------------------------------------- */

static void bad_head(uint64_t head)
{
	via_waitobj o = {.struct_size = sizeof o};
	static uint8_t data[1000];
	uint32_t n = 0;
	pair p;

	open_pair(&p);
	while (rig_send_once(p.b, data, sizeof data) == VIA_OK)
		n++;
	cr_assert_eq(n, 31);
	atomic_store(pair_u64(&p, AT_RESPONSE + AT_HEAD), head);
	rig_detail_clear();
	cr_expect_eq(rig_send_once(p.b, data, sizeof data), head == 0 ? VIA_AGAIN : VIA_PROTO);
	if (head != 0) {
		pair_said("bytes given back: expected");
		cr_expect_eq(p.b->ops->arm(p.b, VIA_EV_TX, &o), VIA_PROTO);
		cr_expect_eq(p.b->ops->recv(p.b, &(via_view){0}, 1), VIA_PROTO);
	}
	pair_close(&p);
}

Test(ring_hostile, heads)
{
	bad_head(0);               /* nothing wrong with that */
	bad_head(32 * 1024 + 64);  /* more than was written */
	bad_head(63);              /* not a line */
	bad_head(UINT64_MAX - 63); /* before the beginning */
	bad_head(1ull << 63);
}

Test(ring_hostile, a_head_that_goes_back)
{
	via_view v;
	static uint8_t data[15000];
	pair p;

	open_pair(&p);
	cr_assert_eq(rig_put(p.b, data, sizeof data), VIA_OK);
	cr_assert_eq(rig_put(p.b, data, sizeof data), VIA_OK);
	cr_assert_eq(rig_get(p.a, &v), 1);
	p.a->ops->release(p.a, &v, 1);
	cr_assert_eq(rig_put(p.b, data, sizeof data), VIA_OK); /* has seen 15040 */
	atomic_store(pair_u64(&p, AT_RESPONSE + AT_HEAD), 0);
	cr_expect_eq(rig_send_once(p.b, data, sizeof data), VIA_PROTO);
	pair_said("from 15040 to 45120, found 0");
	pair_close(&p);
}

/* Flags of all kinds, for ever: at most one bell for each record. */
Test(ring_hostile, flags_that_never_go)
{
	static const uint32_t flags[] = {1, 3, 0x80000000u, UINT32_MAX};
	uint32_t i, k, before;
	pair p;

	open_pair(&p);
	for (i = 0; i < sizeof flags / sizeof flags[0]; i++)
		for (k = 0; k < 20; k++) {
			atomic_store(pair_u32(&p, AT_RESPONSE + AT_RX_SLEEP), flags[i]);
			atomic_store(pair_u32(&p, AT_REQUEST + AT_TX_SLEEP), flags[i]);
			before = atomic_load(&p.r.host.calls);
			cr_expect_eq(rig_send_once(p.b, "\x1f", 1), VIA_OK);
			cr_expect_leq(atomic_load(&p.r.host.calls) - before, 1);
		}
	pair_close(&p);
}

/* A flag under which nothing wakes the victim hurts the peer that set it; its death still wakes. */
Test(ring_hostile, a_flag_that_hides_a_sleeper)
{
	via_waitobj o = {.struct_size = sizeof o};
	pair p;

	open_pair(&p);
	atomic_store(pair_u32(&p, AT_REQUEST + AT_RX_SLEEP), 9);
	cr_assert_eq(p.b->ops->arm(p.b, VIA_EV_RX, &o), VIA_OK);
	cr_assert_eq(rig_send_once(p.a, "\x1f", 1), VIA_OK);
	cr_expect_eq(rig_sleep(&o, rig_now()), 0);
	p.base_a->ops->abort(p.base_a, VIA_ABORTED);
	cr_expect_eq(rig_sleep(&o, rig_now() + RIG_SOON), 1);
	p.b->ops->disarm(p.b, VIA_EV_RX);
	rig_expect_record(p.b, 1, 1);
	cr_expect_eq(rig_get(p.b, &(via_view){0}), VIA_RESET);
	pair_close(&p);
}

/* After the end nothing is read, whatever appears. */
Test(ring_hostile, a_record_after_the_end)
{
	via_view v;
	pair p;

	open_pair(&p);
	atomic_store(pair_u32(&p, AT_REQUEST + AT_CLOSED), UINT32_MAX);
	cr_expect_eq(p.b->ops->recv(p.b, &v, 1), VIA_CLOSED);
	atomic_store(pair_u64(&p, AT_DATA), 5);
	atomic_store(pair_u32(&p, AT_REQUEST + AT_CLOSED), 0);
	cr_expect_eq(p.b->ops->recv(p.b, &v, 1), VIA_CLOSED);
	pair_close(&p);
}

/* -- bells ------------------------------------------------------------------------------------- */

static void bad_bell(const void *data, uint32_t len, int asked, const char *words)
{
	via_waitobj o = {.struct_size = sizeof o};
	pair p;

	open_pair(&p);
	if (asked) {
		cr_assert_eq(p.b->ops->arm(p.b, VIA_EV_RX, &o), VIA_OK);
		cr_assert_eq(rig_send_once(p.a, "\x1f", 1), VIA_OK); /* and its bell */
		p.b->ops->disarm(p.b, VIA_EV_RX);
		rig_expect_record(p.b, 1, 1);
		cr_assert_eq(p.b->ops->arm(p.b, VIA_EV_RX, &o), VIA_OK); /* hears that one */
		p.b->ops->disarm(p.b, VIA_EV_RX);
	}
	cr_assert_eq(rig_send_once(p.base_a, data, len), VIA_OK);
	rig_detail_clear();
	cr_expect_eq(p.b->ops->arm(p.b, VIA_EV_RX, &o), VIA_PROTO);
	pair_said(words);
	every_verb_says_proto(&p);
	pair_close(&p);
}

Test(ring_hostile, bells)
{
	bad_bell("B", 1, 0, "a bell that nobody asked for");
	bad_bell("B", 1, 1, "a bell that nobody asked for");
	bad_bell("C", 1, 1, "expected one byte 0x42, found 1 bytes, the first 0x43");
	bad_bell("BB", 2, 1, "found 2 bytes");
}

/* As many bells as the peer can send, while it owes one: the second is one too many. */
Test(ring_hostile, a_flood_of_bells)
{
	via_waitobj o = {.struct_size = sizeof o};
	pair p;
	via_rc rc;

	open_pair(&p);
	cr_assert_eq(p.b->ops->arm(p.b, VIA_EV_RX, &o), VIA_OK);
	while (rig_send_once(p.base_a, "B", 1) == VIA_OK)
		;
	atomic_store(pair_u32(&p, AT_REQUEST + AT_RX_SLEEP), 0); /* as if all were in order */
	p.b->ops->disarm(p.b, VIA_EV_RX);
	rc = p.b->ops->arm(p.b, VIA_EV_RX, &o);
	if (rc == VIA_OK) { /* took the one that was due */
		p.b->ops->disarm(p.b, VIA_EV_RX);
		rc = p.b->ops->arm(p.b, VIA_EV_RX, &o);
	}
	cr_expect_eq(rc, VIA_PROTO);
	pair_said("a bell that nobody asked for");
	pair_close(&p);
}

/* -- memory ------------------------------------------------------------------------------------ */

/* Holes read as zeros: as nothing, not as a signal. */
Test(ring_hostile, holes)
{
	via_view v;
	uint32_t i;
	pair p;

	open_pair(&p);
	for (i = 0; i < 100; i++)
		cr_assert_eq(rig_send_once(p.a, "\x1f", 1), VIA_OK);
	cr_assert_eq(p.b->ops->recv(p.b, &v, 1), 1);
	if (madvise(p.shared, p.shared_len, MADV_REMOVE) != 0)
		cr_log_warn("no holes on this system");
	cr_expect_eq(((const uint8_t *)v.data)[0], 0);
	p.b->ops->release(p.b, &v, 1);
	cr_expect_eq(p.b->ops->recv(p.b, &v, 1), VIA_AGAIN);
	for (i = 0; i < 100; i++)
		cr_assert_eq(rig_send_once(p.b, "\x1f", 1), VIA_OK);
	pair_close(&p);
}

struct scribbler {
	pair *p;
	uint64_t seed;
	_Atomic int stop;
};

static void scribble(void *arg)
{
	struct scribbler *s = arg;
	pair *p = s->p;

	while (atomic_load(&s->stop) == 0) {
		uint32_t where, what;

		s->seed = s->seed * 6364136223846793005u + 1442695040888963407u;
		where = (uint32_t)(s->seed >> 40) % 4096;
		what = (uint32_t)(s->seed >> 20);
		switch (what % 4) {
		case 0: /* commit words that could be right */
			atomic_store(pair_u64(p, AT_DATA + where * 64 % CAPACITY), what % 15000);
			break;
		case 1:
			atomic_store(pair_u32(p, where & ~3u), what % 3);
			break;
		case 2:
			atomic_store(pair_u64(p, AT_RESPONSE + AT_HEAD), (what % 512) * 64ull);
			break;
		default:
			atomic_store(pair_u32(p, AT_DATA + where * 16), what);
			break;
		}
	}
}

/* Whatever is written wherever: the victim goes on or ends, and reads no byte outside. */
Test(ring_hostile, a_scribbler)
{
	uint32_t round, i, ends = 0;

	for (round = 0; round < 200; round++) {
		struct scribbler s = {.seed = round};
		uint8_t sum = 0;
		rig_thread *t;
		pair p;

		open_pair(&p);
		s.p = &p;
		t = rig_thread_start(scribble, &s);
		for (i = 0; i < 2000; i++) {
			via_waitobj o = {.struct_size = sizeof o};
			via_view v;
			via_rc rc = p.b->ops->recv(p.b, &v, 1);
			uint32_t k;

			if (rc == 1) {
				for (k = 0; k < v.len; k++)
					sum = (uint8_t)(sum +
							((const volatile uint8_t *)v.data)[k]);
				p.b->ops->release(p.b, &v, 1);
			}
			(void)rig_send_once(p.b, &sum, 1);
			if (rc == VIA_AGAIN &&
			    p.b->ops->arm(p.b, VIA_EV_RX | VIA_EV_TX, &o) == VIA_OK)
				p.b->ops->disarm(p.b, VIA_EV_RX | VIA_EV_TX);
			if (rc < 0 && rc != VIA_AGAIN)
				break;
		}
		ends += i < 2000;
		atomic_store(&s.stop, 1);
		rig_thread_join(t);
		pair_close(&p);
	}
	cr_expect_gt(ends, 0, "no round ended: nothing was hit");
}
