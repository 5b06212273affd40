/* tests/link/winshm_peer.c - the module against a peer in this process that knows only the wire
 * contract and does not keep to it. winshm_process.c has the honest ones. */
#include "winshm_rig.h"

TestSuite(winshm_peer, .timeout = 120);

/* -- honest, without a sleep ------------------------------------------------------------------- */

static void count_calls(void *arg, const char *call)
{
	(void)call;
	++*(uint32_t *)arg;
}

/* Nobody sleeps, so no message enters the system. */
PROFILE_TEST(winshm_peer, no_system_call_for_a_message)
{
	rig r;
	uint32_t n = 0, i;

	wshm_open_pair(&r, profile[0], 64, 64);
	r.host.hook = count_calls;
	r.host.hook_arg = &n;
	for (i = 1; i <= 1000; i++)
		wshm_roundtrip(&r, 10, 10, i);
	cr_expect_eq(n, 0);
	r.host.hook = NULL;
	rig_close(&r);
}

/* rx_word and rx_seen differ exactly while recv() would succeed. */
PROFILE_TEST(winshm_peer, the_word_to_watch)
{
	rig r;
	raw_peer p;
	via_waitobj o = {.struct_size = sizeof o};
	via_view v;

	wshm_open_pair(&r, profile[0], 64, 64);
	cr_assert_eq(raw_attach(&p, &r, 1, 0), 0);
	cr_expect_eq(*r.b->rx_word, r.b->rx_seen);
	cr_assert_eq(raw_send(&p, "abc", 3), 0);
	cr_expect_neq(*r.b->rx_word, r.b->rx_seen);
	cr_expect_eq(r.b->ops->arm(r.b, VIA_EV_RX, &o), VIA_BUSY);
	cr_expect_eq(r.b->ops->arm(r.b, VIA_EV_RX | VIA_EV_TX, &o), VIA_BUSY);
	cr_assert_eq(r.b->ops->recv(r.b, &v, 1), 1);
	cr_expect_eq(*r.b->rx_word, r.b->rx_seen);
	r.b->ops->release(r.b, &v, 1);
	raw_vanish(&p);
	rig_close(&r);
}

/* -- hostile ----------------------------------------------------------------------------------- */

/* A pair whose server end is the module's and gets what `spoil` makes of the region after two round
 * trips; it must say PROTO with this text, and keep saying it. */
static void check_refused(uint32_t profile, void (*spoil)(raw_peer *), const char *text)
{
	rig r;
	raw_peer p;
	via_view v;
	via_slot s;
	via_waitobj o = {.struct_size = sizeof o};

	wshm_open_pair(&r, profile, 100, 100);
	wshm_roundtrip(&r, 10, 10, 1);
	wshm_roundtrip(&r, 10, 10, 2);
	cr_assert_eq(raw_attach(&p, &r, 1, 0), 0);
	spoil(&p);
	cr_expect_eq(r.b->ops->recv(r.b, &v, 1), VIA_PROTO);
	cr_expect_not_null(strstr(rig_detail(), text), "\"%s\" lacks \"%s\"", rig_detail(), text);
	cr_expect_eq(r.b->ops->recv(r.b, &v, 1), VIA_PROTO);
	cr_expect_eq(r.b->ops->arm(r.b, VIA_EV_RX, &o), VIA_PROTO);
	cr_expect_eq(r.b->ops->arm(r.b, VIA_EV_TX, &o), VIA_PROTO);
	cr_expect_eq(rig_send_once(r.b, "x", 1), VIA_PROTO);
	cr_expect_eq(r.b->ops->reserve(r.b, 1, &s), VIA_PROTO);
	cr_expect_eq(r.b->ops->shutdown(r.b), VIA_PROTO);
	raw_vanish(&p);
	rig_close(&r);
}

static void length_0(raw_peer *p)
{
	cr_assert_eq(raw_send(p, "x", 1), 0);
	raw_set32(p, AT_REQ_LEN, 0);
}

static void length_over_capacity(raw_peer *p)
{
	cr_assert_eq(raw_send(p, "x", 1), 0);
	raw_set32(p, AT_REQ_LEN, 129);
}

static void length_negative(raw_peer *p)
{
	cr_assert_eq(raw_send(p, "x", 1), 0);
	raw_set32(p, AT_REQ_LEN, 0x80000001);
}

/* What the header says later counts for nothing. */
static void length_and_capacity(raw_peer *p)
{
	cr_assert_eq(raw_send(p, "x", 1), 0);
	raw_set32(p, AT_REQ_CAP, UINT32_MAX);
	raw_set32(p, AT_REQ_LEN, INT32_MAX);
}

static void jump(raw_peer *p)
{
	raw_set64(p, AT_REQ_SEQ, 4);
}

static void backwards(raw_peer *p)
{
	raw_set64(p, AT_REQ_SEQ, 1);
}

static void negative(raw_peer *p)
{
	raw_set64(p, AT_REQ_SEQ, UINT64_MAX);
}

/* The low half, which a busy-wait sleeps on, is as it was. */
static void high_half(raw_peer *p)
{
	raw_set64(p, AT_REQ_SEQ, UINT64_C(0x100000002));
}

static void a_lie_and_a_close(raw_peer *p)
{
	raw_set64(p, AT_REQ_SEQ, 4);
	raw_set32(p, AT_CLIENT_CLOSED, 1);
}

PROFILE_TEST(winshm_peer, lies_are_refused)
{
	check_refused(profile[0], length_0, "expected 1 to 128, found 0");
	check_refused(profile[0], length_over_capacity, "expected 1 to 128, found 129");
	check_refused(profile[0], length_negative, "expected 1 to 128, found 2147483649");
	check_refused(profile[0], length_and_capacity, "expected 1 to 128, found 2147483647");
	check_refused(profile[0], jump, "sequence: expected 3, found 4");
	check_refused(profile[0], backwards, "sequence: expected 3, found 1");
	check_refused(profile[0], negative, "expected 3, found 18446744073709551615");
	check_refused(profile[0], high_half, "expected 3, found 4294967298");
	check_refused(profile[0], a_lie_and_a_close, "sequence: expected 3, found 4");
}

PROFILE_TEST(winshm_peer, messages_out_of_turn_are_refused)
{
	rig r;
	raw_peer p;
	via_view v;

	wshm_open_pair(&r, profile[0], 100, 100);
	cr_assert_eq(raw_attach(&p, &r, 1, 1), 0);
	cr_assert_eq(raw_send(&p, "x", 1), 0);
	cr_expect_eq(r.a->ops->recv(r.a, &v, 1), VIA_PROTO);
	cr_expect_not_null(strstr(rig_detail(), "response 1: expected none without a request"));
	raw_vanish(&p);
	cr_assert_eq(raw_attach(&p, &r, 1, 0), 0);
	cr_assert_eq(raw_send(&p, "x", 1), 0);
	wshm_take(r.b);
	cr_assert_eq(raw_send(&p, "x", 1), 0);
	cr_expect_eq(r.b->ops->recv(r.b, &v, 1), VIA_PROTO);
	cr_expect_not_null(strstr(rig_detail(), "before the response"), "%s", rig_detail());
	raw_vanish(&p);
	rig_close(&r);
}

/* Capacities, offsets, own sequence and own length: never read back. */
PROFILE_TEST(winshm_peer, nothing_private_is_read_back)
{
	rig r;
	raw_peer p;
	uint32_t i;

	wshm_open_pair(&r, profile[0], 100, 100);
	cr_assert_eq(raw_attach(&p, &r, 1, 0), 0);
	for (i = 1; i < 20; i++) {
		memset(p.base, (int)i, AT_REQ_LEN);
		memset(p.base + 80, (int)i, 48);
		raw_set64(&p, AT_RESP_SEQ, i * 1000);
		raw_set32(&p, AT_RESP_LEN, i * 1000);
		rig_fill(p.base + 128, 100, i);
		cr_assert_eq(rig_send_once(r.a, p.base + 128, 100), VIA_OK);
		rig_expect_record(r.b, 100, i);
		cr_assert_eq(rig_send_once(r.b, p.base + 128, 100), VIA_OK);
		cr_expect_eq(raw_u64(&p, AT_RESP_SEQ), i);
		rig_expect_record(r.a, 100, i);
	}
	raw_vanish(&p);
	rig_close(&r);
}

/* -- torn messages ----------------------------------------------------------------------------- */

struct flipper {
	raw_peer p;
	uint32_t at, first;
	_Atomic int stop;
};

static void flip(void *arg)
{
	struct flipper *f = arg;
	uint32_t i = 0;

	while (atomic_load(&f->stop) == 0)
		raw_set32(&f->p, f->at, f->first + (i++ & 1));
}

/* One of two values of a word is right; it changes while a long message is copied. */
static void check_torn(uint32_t profile, uint32_t at, uint32_t first, const char *text)
{
	enum { LONG_MESSAGE = 4 << 20 };
	via_time deadline = rig_now() + RIG_SOON;
	uint32_t torn = 0;
	rig r;

	wshm_open(&r, profile);
	while (torn == 0) {
		struct flipper f = {.at = at, .first = first};
		rig_thread *t;
		via_view v;
		via_rc rc;

		cr_assert_lt(rig_now(), deadline, "no message was torn");
		cr_assert_eq(wshm_provision(&r, 1, LONG_MESSAGE, 64, &r.b), VIA_OK);
		cr_assert_eq(r.b->ops->expect(r.b, LONG_MESSAGE), VIA_OK);
		cr_assert_eq(raw_attach(&f.p, &r, 1, 0), 0);
		raw_set32(&f.p, AT_REQ_LEN, LONG_MESSAGE);
		raw_set64(&f.p, AT_REQ_SEQ, 1);
		t = rig_thread_start(flip, &f);
		rc = r.b->ops->recv(r.b, &v, 1);
		cr_assert(rc == 1 || rc == VIA_PROTO || rc == VIA_AGAIN, "%d", rc);
		if (rc == VIA_PROTO && strstr(rig_detail(), text) != NULL)
			torn++;
		if (rc == 1)
			r.b->ops->release(r.b, &v, 1);
		atomic_store(&f.stop, 1);
		rig_thread_join(t);
		raw_vanish(&f.p);
		rig_hang_up(&r.b);
	}
	rig_close(&r);
}

PROFILE_TEST(winshm_peer, a_length_that_changes_meanwhile)
{
	check_torn(profile[0], AT_REQ_LEN, (4 << 20) - 1, "message torn: expected 41943");
}

PROFILE_TEST(winshm_peer, a_sequence_that_changes_meanwhile)
{
	check_torn(profile[0], AT_REQ_SEQ, 0, "and sequence 1 to stay, found 4194304 and 0");
}

/* -- scribbling -------------------------------------------------------------------------------- */

static uint32_t next_random(uint32_t *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 8;
}

struct scribbler {
	raw_peer p;
	uint32_t seed;
	_Atomic int stop;
};

/* Random bytes over random bytes of the header, all the time, and events set for nothing. */
static void scribble(void *arg)
{
	struct scribbler *s = arg;
	uint32_t i;

	for (i = 0; atomic_load(&s->stop) == 0; i++) {
		uint32_t n = next_random(&s->seed);

		((volatile uint8_t *)s->p.base)[n % RAW_HEADER] = (uint8_t)(n >> 8);
		if (i % 256 == 0 && s->p.req_event != NULL)
			SetEvent(i % 512 == 0 ? s->p.req_event : s->p.resp_event);
	}
}

static int is_end(via_rc rc)
{
	return rc == VIA_PROTO || rc == VIA_CLOSED;
}

/* Uses a link in all ways; every answer is one of those that the contract has. 1 when it has had
 * enough of the peer. */
static int poke(via_link *l)
{
	via_waitobj o = {.struct_size = sizeof o};
	via_view v;
	via_slot s;
	uint8_t sum = 0;
	via_rc rc = l->ops->recv(l, &v, 1);
	uint32_t i;

	cr_assert(rc == 1 || rc == VIA_AGAIN || is_end(rc), "recv: %d", rc);
	if (rc == 1) {
		cr_assert_leq(v.len, 128);
		for (i = 0; i < v.len; i++)
			sum ^= ((const uint8_t *)v.data)[i];
		l->ops->release(l, &v, 1);
	}
	rc = l->ops->reserve(l, 100, &s);
	cr_assert(rc == VIA_OK || rc == VIA_AGAIN || is_end(rc), "reserve: %d", rc);
	if (rc == VIA_OK) {
		memset(s.data, sum, s.cap);
		s.len = s.cap;
		rc = l->ops->commit(l, &s, 1);
		cr_assert(rc == 1 || is_end(rc), "commit: %d", rc);
	}
	rc = l->ops->arm(l, VIA_EV_RX | VIA_EV_TX, &o);
	cr_assert(rc == VIA_OK || rc == VIA_BUSY || is_end(rc), "arm: %d", rc);
	if (rc == VIA_OK)
		(void)rig_sleep(&o, rig_now());
	l->ops->disarm(l, VIA_EV_RX | VIA_EV_TX);
	return is_end(rc);
}

PROFILE_TEST(winshm_peer, scribbling_over_the_header_hurts_nobody)
{
	rig r;
	uint32_t round, i;

	wshm_open(&r, profile[0]);
	for (round = 0; round < 100; round++) {
		struct scribbler s = {.seed = round};
		via_time deadline = rig_now() + RIG_SOON;
		rig_thread *t;
		int broken;

		cr_assert_eq(wshm_provision(&r, 1, 100, 100, &r.b), VIA_OK, "%s", rig_detail());
		cr_assert_eq(wshm_attach(&r, 1, 100, 100, &r.a), VIA_OK, "%s", rig_detail());
		cr_assert_eq(raw_attach(&s.p, &r, 1, 0), 0);
		t = rig_thread_start(scribble, &s);
		do {
			broken = poke(r.a);
			broken += poke(r.b);
			cr_assert_lt(rig_now(), deadline, "nothing was scribbled");
		} while (broken < 2);
		rig_hang_up(&r.a);
		/* Attaching to such a thing: taken or refused, never a crash. */
		for (i = 0; i < 50; i++) {
			if (wshm_attach(&r, 1, 100, 100, &r.a) == VIA_OK)
				(void)poke(r.a);
			rig_hang_up(&r.a);
		}
		atomic_store(&s.stop, 1);
		rig_thread_join(t);
		raw_vanish(&s.p);
		rig_hang_up(&r.b);
		rig_check_clean(&r);
	}
	rig_close(&r);
}

/* Every single bit of the header, flipped between two messages. */
PROFILE_TEST(winshm_peer, every_bit_flipped)
{
	rig r;
	uint32_t at, bit;

	wshm_open(&r, profile[0]);
	for (at = 0; at < RAW_HEADER; at++)
		for (bit = 0; bit < 8; bit++) {
			raw_peer p;

			cr_assert_eq(wshm_provision(&r, 1, 100, 100, &r.b), VIA_OK);
			cr_assert_eq(wshm_attach(&r, 1, 100, 100, &r.a), VIA_OK);
			wshm_roundtrip(&r, 5, 5, at);
			cr_assert_eq(raw_attach(&p, &r, 1, 0), 0);
			cr_assert_eq(rig_send_once(r.a, "hello", 5), VIA_OK);
			p.base[at] ^= (uint8_t)(1u << bit);
			raw_vanish(&p);
			(void)poke(r.b);
			(void)poke(r.a);
			rig_hang_up(&r.a);
			if (wshm_attach(&r, 1, 100, 100, &r.a) == VIA_OK)
				(void)poke(r.a);
			rig_hang_up(&r.a);
			rig_hang_up(&r.b);
		}
	rig_close(&r);
}
