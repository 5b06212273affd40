/* tests/link/posixshm_peer.c - the module against a peer that knows only the wire contract: honest,
 * then hostile. */
#include "posixshm_rig.h"

TestSuite(posixshm_peer, .timeout = 120);

enum { MESSAGES = 10000, CAP = 4096 };

static uint32_t length_of(uint32_t number)
{
	return 1 + number * 37 % CAP;
}

/* -- honest ------------------------------------------------------------------------------------ */

static int is_filled(const uint8_t *data, uint32_t len, uint32_t number)
{
	uint8_t want[CAP];

	rig_fill(want, len, number);
	return memcmp(data, want, len) == 0;
}

/* What the raw peer's process does; exit status 0 when all was as expected. */
static void raw_echo(raw_peer *p)
{
	uint8_t data[CAP];
	uint32_t i;

	for (i = 0; i < MESSAGES; i++) {
		int64_t n = raw_recv(p, data, sizeof data);

		if (n != length_of(i) || !is_filled(data, (uint32_t)n, i))
			_exit(2);
		if (raw_send(p, data, (uint32_t)n) != 0)
			_exit(3);
	}
	_exit(0);
}

static void raw_ask(raw_peer *p)
{
	uint8_t data[CAP];
	uint32_t i;

	for (i = 0; i < MESSAGES; i++) {
		rig_fill(data, length_of(i), i);
		if (raw_send(p, data, length_of(i)) != 0)
			_exit(2);
		if (raw_recv(p, data, sizeof data) != length_of(i) ||
		    !is_filled(data, length_of(i), i))
			_exit(3);
	}
	_exit(0);
}

Test(posixshm_peer, a_foreign_server_is_served)
{
	rig r;
	raw_peer p;
	pid_t pid;
	uint8_t data[CAP];
	uint32_t i;

	rig_open(&r, "posixshm");
	cr_assert_eq(raw_create(&p, shm_path(&r, 1), CAP, CAP), 0);
	pid = shm_child();
	if (pid == 0)
		raw_echo(&p);
	raw_close(&p);
	cr_assert_eq(shm_attach(&r, 1, CAP, CAP, &r.a), VIA_OK, "%s", rig_detail());
	cr_assert_eq(r.a->ops->expect(r.a, CAP), VIA_OK);
	for (i = 0; i < MESSAGES; i++) {
		rig_fill(data, length_of(i), i);
		cr_assert_eq(shm_put(r.a, data, length_of(i)), VIA_OK, "%s", rig_detail());
		shm_expect_record(r.a, length_of(i), i);
	}
	cr_expect_eq(shm_child_ends(pid), 0);
	rig_hang_up(&r.a);
	rig_check_files(&r, 1); /* the server's, which the client leaves alone */
	unlink(shm_path(&r, 1));
	rig_close(&r);
}

Test(posixshm_peer, a_foreign_client_is_served)
{
	rig r;
	raw_peer p;
	pid_t pid;
	uint8_t data[CAP];
	uint32_t i;

	rig_open(&r, "posixshm");
	cr_assert_eq(shm_provision(&r, 1, CAP, CAP, &r.b), VIA_OK, "%s", rig_detail());
	cr_assert_eq(r.b->ops->expect(r.b, CAP), VIA_OK);
	pid = shm_child();
	if (pid == 0) {
		if (raw_attach(&p, shm_path(&r, 1), 0) != 0)
			_exit(1);
		raw_ask(&p);
	}
	for (i = 0; i < MESSAGES; i++) {
		via_view v;
		via_slot s;

		cr_assert_eq(shm_get(r.b, &v), 1, "%s", rig_detail());
		rig_check_fill(&v, length_of(i), i);
		memcpy(data, v.data, v.len);
		cr_assert_eq(r.b->ops->reserve(r.b, v.len, &s), VIA_AGAIN, "while the view is held");
		r.b->ops->release(r.b, &v, 1);
		cr_assert_eq(r.b->ops->reserve(r.b, v.len, &s), VIA_OK);
		memcpy(s.data, data, v.len);
		s.len = v.len;
		cr_assert_eq(r.b->ops->commit(r.b, &s, 1), 1);
	}
	cr_expect_eq(shm_child_ends(pid), 0);
	rig_close(&r);
}

/* Both ends are the module's, each in a process of its own. */
Test(posixshm_peer, two_processes)
{
	rig r;
	pid_t pid;
	uint8_t data[CAP];
	uint32_t i;

	rig_open(&r, "posixshm");
	cr_assert_eq(shm_provision(&r, 1, CAP, CAP, &r.b), VIA_OK);
	cr_assert_eq(r.b->ops->expect(r.b, CAP), VIA_OK);
	pid = shm_child();
	if (pid == 0) {
		if (shm_attach(&r, 1, CAP, CAP, &r.a) != VIA_OK ||
		    r.a->ops->expect(r.a, CAP) != VIA_OK)
			_exit(1);
		for (i = 0; i < MESSAGES; i++) {
			via_view v;

			rig_fill(data, length_of(i), i);
			if (shm_put(r.a, data, length_of(i)) != VIA_OK || shm_get(r.a, &v) != 1 ||
			    v.len != length_of(i) || !is_filled(v.data, v.len, i))
				_exit(2);
			r.a->ops->release(r.a, &v, 1);
		}
		_exit(0);
	}
	for (i = 0; i < MESSAGES; i++) {
		shm_expect_record(r.b, length_of(i), i);
		rig_fill(data, length_of(i), i);
		cr_assert_eq(shm_put(r.b, data, length_of(i)), VIA_OK);
	}
	cr_expect_eq(shm_child_ends(pid), 0);
	rig_close(&r);
}

static void count_futex(void *arg, const char *call)
{
	uint32_t *n = arg;

	*n += strcmp(call, "futex") == 0 ? 1 : 1000000;
}

/* A message costs one wake-up, always, and nothing else that enters the system. */
Test(posixshm_peer, one_system_call_a_message)
{
	rig r;
	uint32_t n = 0, i;

	shm_open_pair(&r, 64, 64);
	r.host.hook = count_futex;
	r.host.hook_arg = &n;
	for (i = 1; i <= 100; i++) {
		shm_roundtrip(&r, 10, 10, i);
		cr_assert_eq(n, 2 * i);
	}
	r.host.hook = NULL;
	rig_close(&r);
}

/* rx_word and rx_seen differ exactly while recv() would succeed. */
Test(posixshm_peer, the_word_to_watch)
{
	rig r;
	raw_peer p;
	via_view v;
	via_waitobj o = {.struct_size = sizeof o};

	shm_open_pair(&r, 64, 64);
	cr_assert_eq(raw_attach(&p, shm_path(&r, 1), 0), 0);
	cr_expect_eq(*r.b->rx_word, r.b->rx_seen);
	cr_assert_eq(r.b->ops->arm(r.b, VIA_EV_RX, &o), VIA_OK);
	cr_expect_eq(o.kind, VIA_WAIT_WORD);
	cr_expect_eq(o.expected, 0);
	cr_expect_eq(*o.word, 0);
	r.b->ops->disarm(r.b, VIA_EV_RX);
	cr_assert_eq(raw_send(&p, "abc", 3), 0);
	cr_expect_neq(*r.b->rx_word, r.b->rx_seen);
	cr_expect_neq(*o.word, o.expected);
	cr_expect_eq(r.b->ops->arm(r.b, VIA_EV_RX, &o), VIA_BUSY);
	cr_expect_eq(r.b->ops->arm(r.b, VIA_EV_RX | VIA_EV_TX, &o), VIA_BUSY);
	cr_assert_eq(r.b->ops->recv(r.b, &v, 1), 1);
	cr_expect_eq(*r.b->rx_word, r.b->rx_seen);
	cr_assert_eq(r.b->ops->arm(r.b, VIA_EV_RX, &o), VIA_OK);
	cr_expect_eq(o.expected, 1, "the peer's wake-up");
	r.b->ops->release(r.b, &v, 1);
	raw_close(&p);
	rig_close(&r);
}

/* -- hostile ----------------------------------------------------------------------------------- */

/* A pair whose server end is the module's and gets what `spoil` makes of the region after two round
 * trips; it must say PROTO with this text, and keep saying it. */
static void check_refused(void (*spoil)(raw_peer *), const char *text)
{
	rig r;
	raw_peer p;
	via_view v;
	via_slot s;
	via_waitobj o = {.struct_size = sizeof o};

	shm_open_pair(&r, 100, 100);
	shm_roundtrip(&r, 10, 10, 1);
	shm_roundtrip(&r, 10, 10, 2);
	cr_assert_eq(raw_attach(&p, shm_path(&r, 1), 0), 0);
	spoil(&p);
	cr_expect_eq(r.b->ops->recv(r.b, &v, 1), VIA_PROTO);
	cr_expect_not_null(strstr(rig_detail(), text), "\"%s\" lacks \"%s\"", rig_detail(), text);
	cr_expect_eq(r.b->ops->recv(r.b, &v, 1), VIA_PROTO);
	cr_expect_eq(r.b->ops->arm(r.b, VIA_EV_RX, &o), VIA_PROTO);
	cr_expect_eq(r.b->ops->arm(r.b, VIA_EV_TX, &o), VIA_PROTO);
	cr_expect_eq(rig_send_once(r.b, "x", 1), VIA_PROTO);
	cr_expect_eq(r.b->ops->reserve(r.b, 1, &s), VIA_PROTO);
	cr_expect_eq(r.b->ops->shutdown(r.b), VIA_PROTO);
	raw_close(&p);
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

/* What the header says later counts for nothing. */
static void length_and_capacity(raw_peer *p)
{
	cr_assert_eq(raw_send(p, "x", 1), 0);
	raw_set32(p, AT_REQ_CAP, UINT32_MAX);
	raw_set32(p, AT_REQ_LEN, UINT32_MAX);
}

static void jump(raw_peer *p)
{
	raw_set64(p, AT_REQ_SEQ, 4);
}

static void backwards(raw_peer *p)
{
	raw_set64(p, AT_REQ_SEQ, 1);
}

static void far_ahead(raw_peer *p)
{
	raw_set64(p, AT_REQ_SEQ, UINT64_MAX);
}

Test(posixshm_peer, lies_are_refused)
{
	check_refused(length_0, "expected 1 to 128, found 0");
	check_refused(length_over_capacity, "expected 1 to 128, found 129");
	check_refused(length_and_capacity, "expected 1 to 128, found 4294967295");
	check_refused(jump, "sequence: expected 3, found 4");
	check_refused(backwards, "sequence: expected 3, found 1");
	check_refused(far_ahead, "expected 3, found 18446744073709551615");
}

Test(posixshm_peer, messages_out_of_turn_are_refused)
{
	rig r;
	raw_peer p;
	via_view v;

	shm_open_pair(&r, 100, 100);
	cr_assert_eq(raw_attach(&p, shm_path(&r, 1), 1), 0);
	cr_assert_eq(raw_send(&p, "x", 1), 0);
	cr_expect_eq(r.a->ops->recv(r.a, &v, 1), VIA_PROTO);
	cr_expect_not_null(strstr(rig_detail(), "response 1: expected none without a request"));
	raw_close(&p);
	cr_assert_eq(raw_attach(&p, shm_path(&r, 1), 0), 0);
	cr_assert_eq(raw_send(&p, "x", 1), 0);
	cr_assert_eq(r.b->ops->recv(r.b, &v, 1), 1);
	r.b->ops->release(r.b, &v, 1);
	cr_assert_eq(raw_send(&p, "x", 1), 0);
	cr_expect_eq(r.b->ops->recv(r.b, &v, 1), VIA_PROTO);
	cr_expect_not_null(strstr(rig_detail(), "before the response"), "%s", rig_detail());
	raw_close(&p);
	rig_close(&r);
}

/* Capacities, offsets, own sequence and own length: never read back. */
Test(posixshm_peer, nothing_private_is_read_back)
{
	rig r;
	raw_peer p;
	uint32_t i;

	shm_open_pair(&r, 100, 100);
	cr_assert_eq(raw_attach(&p, shm_path(&r, 1), 0), 0);
	for (i = 1; i < 20; i++) {
		raw_set32(&p, AT_MAGIC, i);
		memset(p.base + AT_VERSION, (int)i, 28); /* up to response_capacity */
		raw_set64(&p, AT_RESP_SEQ, i * 1000);
		raw_set32(&p, AT_RESP_LEN, i * 1000);
		rig_fill(p.base + 64, 100, i);
		cr_assert_eq(rig_send_once(r.a, p.base + 64, 100), VIA_OK);
		shm_expect_record(r.b, 100, i);
		cr_assert_eq(rig_send_once(r.b, p.base + 64, 100), VIA_OK);
		cr_expect_eq(raw_u64(&p, AT_RESP_SEQ), i);
		shm_expect_record(r.a, 100, i);
	}
	raw_close(&p);
	rig_close(&r);
}

/* -- scribbling -------------------------------------------------------------------------------- */

static uint32_t next_random(uint32_t *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 8;
}

/* Another process writes random bytes over random bytes of the header, all the time. */
static pid_t start_scribbler(const rig *r, uint32_t seed)
{
	pid_t pid = shm_child();
	raw_peer p;

	if (pid != 0)
		return pid;
	if (raw_attach(&p, shm_path(r, 1), 0) != 0)
		_exit(1);
	for (;;) {
		uint32_t n = next_random(&seed);

		((volatile uint8_t *)p.base)[n % 64] = (uint8_t)(n >> 8);
	}
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

	cr_assert(rc == 1 || rc == VIA_AGAIN || rc == VIA_PROTO, "recv: %d", rc);
	if (rc == 1) {
		cr_assert_leq(v.len, 128);
		for (i = 0; i < v.len; i++)
			sum ^= ((const uint8_t *)v.data)[i];
		l->ops->release(l, &v, 1);
	}
	rc = l->ops->reserve(l, 100, &s);
	cr_assert(rc == VIA_OK || rc == VIA_AGAIN || rc == VIA_PROTO, "reserve: %d", rc);
	if (rc == VIA_OK) {
		memset(s.data, sum, s.cap);
		s.len = s.cap;
		rc = l->ops->commit(l, &s, 1);
		cr_assert(rc == 1 || rc == VIA_PROTO, "commit: %d", rc);
	}
	rc = l->ops->arm(l, VIA_EV_RX | VIA_EV_TX, &o);
	cr_assert(rc == VIA_OK || rc == VIA_BUSY || rc == VIA_PROTO, "arm: %d", rc);
	l->ops->disarm(l, VIA_EV_RX | VIA_EV_TX);
	return rc == VIA_PROTO;
}

Test(posixshm_peer, scribbling_over_the_header_hurts_nobody)
{
	rig r;
	uint32_t round, i;

	rig_open(&r, "posixshm");
	for (round = 0; round < 100; round++) {
		via_time deadline = rig_now() + RIG_SOON;
		pid_t pid;
		int broken;

		cr_assert_eq(shm_provision(&r, 1, 100, 100, &r.b), VIA_OK, "%s", rig_detail());
		cr_assert_eq(shm_attach(&r, 1, 100, 100, &r.a), VIA_OK, "%s", rig_detail());
		pid = start_scribbler(&r, round);
		do {
			broken = poke(r.a);
			broken += poke(r.b);
			cr_assert_lt(rig_now(), deadline, "nothing was scribbled");
		} while (broken < 2);
		rig_hang_up(&r.a);
		/* Attaching to such a thing: taken or refused, never a crash. */
		for (i = 0; i < 50; i++) {
			if (shm_attach(&r, 1, 100, 100, &r.a) == VIA_OK)
				(void)poke(r.a);
			rig_hang_up(&r.a);
		}
		kill(pid, SIGKILL);
		cr_expect_eq(shm_child_ends(pid), -1);
		rig_hang_up(&r.b);
		rig_check_files(&r, 0);
	}
	rig_close(&r);
}

/* Every single byte of the header, flipped between two messages. */
Test(posixshm_peer, every_byte_flipped)
{
	rig r;
	uint32_t at, bit;

	rig_open(&r, "posixshm");
	for (at = 0; at < 64; at++)
		for (bit = 0; bit < 8; bit++) {
			raw_peer p;

			cr_assert_eq(shm_provision(&r, 1, 100, 100, &r.b), VIA_OK);
			cr_assert_eq(shm_attach(&r, 1, 100, 100, &r.a), VIA_OK);
			shm_roundtrip(&r, 5, 5, at);
			cr_assert_eq(raw_attach(&p, shm_path(&r, 1), 0), 0);
			cr_assert_eq(rig_send_once(r.a, "hello", 5), VIA_OK);
			p.base[at] ^= (uint8_t)(1u << bit);
			raw_close(&p);
			(void)poke(r.b);
			(void)poke(r.a);
			rig_hang_up(&r.a);
			if (shm_attach(&r, 1, 100, 100, &r.a) == VIA_OK)
				(void)poke(r.a);
			rig_hang_up(&r.a);
			rig_hang_up(&r.b);
			rig_check_files(&r, 0);
		}
	rig_close(&r);
}
