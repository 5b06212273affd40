/* tests/session/test_upgraded.c - what sessions over the shipped upgrades do beyond what every stack does: last
 * words, room in the link, borrowed payloads, long messages, and the text of their endpoints. */
#include "sess_rig.h"
#include <stdlib.h>
#if defined(_WIN32)
#include <windows.h>
#endif

TestSuite(upgraded, .init = sr_open, .fini = sr_close, .timeout = 60);

#define B PLATFORM_BASELINE
#define U PLATFORM_UPGRADE

static char upgraded[][32] = {
	B ">" U,        "fault+" B ">" U,     B ">fault+" U,
#if defined(__linux__)
	"uds>posixshm", "uds>fault+posixshm",
#endif
};

#define UPGRADED_TEST(N) \
	ParameterizedTestParameters(upgraded, N) \
	{ \
		return cr_make_param_array(char[32], upgraded, \
					   sizeof upgraded / sizeof upgraded[0]); \
	} \
	ParameterizedTest(char spec[32], upgraded, N)

static sr_pair connect_pair(const char *spec, const via_session_config *c)
{
	sr_listen(spec, c);
	return sr_connect(spec, c);
}

static via_message request(uint64_t id, const void *payload, uint32_t len)
{
	return (via_message){.kind = VIA_WIRE_REQUEST,
			     .item_count = 1,
			     .id = id,
			     .payload = payload,
			     .payload_len = len};
}

/* -- last words -------------------------------------------------------------------------------- */

/* The server answers and closes right after the client's data link was armed: the worst moment. */
static struct {
	via_link_ops ops;
	const via_link_ops *real;
	via_session *server;
	via_message answer;
} leaver;

static via_rc VIA_CALL arm_then_leave(via_link *l, uint32_t events, via_waitobj *out)
{
	via_rc rc = leaver.real->arm(l, events, out);

	if (leaver.server != NULL) {
		sr_ok(via_session_send(leaver.server, &leaver.answer));
		via_session_close(leaver.server);
		leaver.server = NULL;
	}
	return rc;
}

static sr_pair asked(const char *spec)
{
	sr_pair p = connect_pair(spec, NULL);
	via_message m = request(7, "?", 1);
	via_link *l = p.client->data;

	sr_ok(via_session_send(p.client, &m));
	sr_ok(via_session_recv_wait(p.server, &m, rig_soon()));
	via_session_release(p.server, &m);
	leaver.real = l->ops;
	leaver.ops = *l->ops;
	leaver.ops.arm = arm_then_leave;
	leaver.server = p.server;
	leaver.answer = (via_message){.kind = VIA_WIRE_RESPONSE,
				      .item_count = 1,
				      .id = 7,
				      .payload = "!",
				      .payload_len = 1};
	l->ops = &leaver.ops;
	return p;
}

static void expect_answer_then_end(via_session *s)
{
	via_message m;
	via_rc rc;

	sr_ok(via_session_recv_wait(s, &m, rig_soon()));
	cr_assert_eq(m.payload_len, 1);
	cr_assert_eq(*(const char *)m.payload, '!');
	via_session_release(s, &m);
	rc = via_session_recv_wait(s, &m, rig_soon());
	cr_assert(rc == VIA_CLOSED || rc == VIA_RESET, "%s: %s", via_rc_name(rc), via_error());
	via_session_close(s);
}

UPGRADED_TEST(an_answer_right_before_the_end_is_received)
{
	sr_pair p = asked(spec);

	expect_answer_then_end(p.client);
}

/* The send lane sees the end first; what is there for the other lane stays there. */
UPGRADED_TEST(an_end_seen_by_the_sender_leaves_the_answer)
{
	sr_pair p = asked(spec);
	via_waitobj objs[2];
	via_rc n = via_session_wait_set(p.client, VIA_EV_TX, objs);

	via_session_wait_done(p.client, VIA_EV_TX, n);
	cr_assert_null(leaver.server);
	n = via_session_wait_set(p.client, VIA_EV_TX, objs);
	via_session_wait_done(p.client, VIA_EV_TX, n);
	expect_answer_then_end(p.client);
}

/* -- room in the link -------------------------------------------------------------------------- */

static void receive(via_session *s, uint64_t id, const void *payload, uint32_t len)
{
	via_message m;

	sr_ok(via_session_recv_wait(s, &m, rig_soon()));
	cr_assert_eq(m.id, id);
	cr_assert_eq(m.payload_len, len);
	cr_assert_arr_eq(m.payload, payload, len);
	via_session_release(s, &m);
}

/* Answers with the request's own bytes, encoded in place. */
static void answer_in_place(via_session *s, uint64_t id, const void *bytes, uint32_t len)
{
	via_message a = {.kind = VIA_WIRE_RESPONSE, .item_count = 1, .id = id, .payload_len = len};
	void *room;

	sr_ok(via_session_reserve(s, len + 100, &room));
	memcpy(room, bytes, len);
	sr_ok(via_session_commit(s, &a));
}

UPGRADED_TEST(messages_are_encoded_in_place)
{
	static uint8_t bytes[900];
	sr_pair p = connect_pair(spec, NULL);
	uint64_t id;

	for (id = 1; id < 300; id++) {
		uint32_t len = (uint32_t)(id * 37 % sizeof bytes);
		via_message m = request(id, NULL, len);
		void *room;

		sr_fill(bytes, sizeof bytes, (uint32_t)id);
		sr_ok(via_session_reserve(p.client, sizeof bytes, &room));
		cr_assert_eq((uintptr_t)room % 8, 0);
		memset(room, 0xFF, sizeof bytes); /* all of it may be used */
		sr_is(via_session_reserve(p.client, 1, &room), VIA_STATE);
		if (id % 3 == 0) {
			via_session_cancel(p.client);
			sr_ok(via_session_reserve(p.client, sizeof bytes, &room));
		}
		memcpy(room, bytes, len);
		m.payload = bytes;
		sr_is(via_session_send(p.client, &m), VIA_STATE);
		sr_ok(via_session_commit(p.client, &m));
		receive(p.server, id, bytes, len);
		answer_in_place(p.server, id, bytes, len);
		receive(p.client, id, bytes, len);
	}
	sr_pair_close(&p);
}

UPGRADED_TEST(room_is_given_back_by_a_refusal)
{
	sr_pair p = connect_pair(spec, NULL);
	via_message m = request(1, NULL, 11);
	void *room;

	sr_is(via_session_commit(p.client, &m), VIA_STATE);
	via_session_cancel(p.client);
	sr_is(via_session_reserve(p.client, 1025, &room), VIA_TOOBIG);
	m.payload_len = 1025;
	sr_ok(via_session_reserve(p.client, 1024, &room));
	sr_is(via_session_commit(p.client, &m), VIA_TOOBIG);
	m.payload_len = 1;
	m.item_count = 5;
	sr_ok(via_session_reserve(p.client, 10, &room));
	sr_is(via_session_commit(p.client, &m), VIA_LIMIT);
	m.item_count = 1;
	sr_ok(via_session_reserve(p.client, 10, &room));
	memcpy(room, "x", 1);
	sr_ok(via_session_commit(p.client, &m));
	receive(p.server, 1, "x", 1);
	answer_in_place(p.server, 1, "y", 1);
	receive(p.client, 1, "y", 1);
	sr_ok(via_session_reserve(p.client, 10, &room)); /* closed with room out */
	sr_pair_close(&p);
}

/* -- several in a row -------------------------------------------------------------------------- */

struct corked {
	via_session *s;
	uint32_t n;
};

static void count_messages(void *arg)
{
	struct corked *k = arg;
	via_message m;

	while (k->n != 0 && via_session_recv_wait(k->s, &m, rig_soon()) == VIA_OK) {
		via_session_release(k->s, &m);
		k->n--;
	}
}

/* The reader falls asleep again and again while the writer says that more follows: none is left behind. */
UPGRADED_TEST(corked_messages_arrive)
{
	sr_pair p = connect_pair(spec, NULL);
	struct corked k = {.s = p.server, .n = 2000};
	via_link *l = p.client->data;
	int pipelines = (l->caps & VIA_CAP_PIPELINE) != 0;
	os_thread *t;
	uint64_t id;

	if (!pipelines)
		k.n = 1;
	t = sr_thread(count_messages, &k);
	for (id = 1; id <= (pipelines ? 2000 : 1);) {
		uint64_t end = id + id % 7 + 1;

		via_session_cork(p.client);
		for (; id < end && id <= 2000; id++) {
			via_message m = request(id, "0123456789", 10);

			sr_ok(via_session_send_wait(p.client, &m, rig_soon()));
			if (!pipelines)
				break;
		}
		via_session_uncork(p.client);
		if (!pipelines)
			break;
	}
	sr_join(t);
	cr_assert_eq(k.n, 0);
	sr_pair_close(&p);
}

/* A writer that sleeps for room in the middle of a row does not leave the reader asleep. */
UPGRADED_TEST(a_corked_sender_may_wait_for_room)
{
	static uint8_t body[30000];
	via_session_config c = sr_config();
	struct corked k = {.n = 200};
	sr_pair p;
	os_thread *t;
	uint64_t id;

	c.max_request_payload = sizeof body;
	p = connect_pair(spec, &c);
	if (!sr_pipelines(&p)) {
		sr_pair_close(&p);
		sr_close();
		cr_skip_test("one message at a time: the sender waits for an answer, not for room");
	}
	k.s = p.server;
	t = sr_thread(count_messages, &k);
	via_session_cork(p.client);
	for (id = 1; id <= 200; id++) {
		via_message m = request(id, body, sizeof body);

		sr_ok(via_session_send_wait(p.client, &m, rig_soon()));
	}
	via_session_uncork(p.client);
	sr_join(t);
	cr_assert_eq(k.n, 0);
	sr_pair_close(&p);
}

/* -- borrowed payloads ------------------------------------------------------------------------- */

/* 1: the address is in memory that another process may have, too. */
#if defined(_WIN32)
static int is_shared(const void *p)
{
	MEMORY_BASIC_INFORMATION i;

	cr_assert_neq(VirtualQuery(p, &i, sizeof i), 0);
	return i.Type == MEM_MAPPED;
}
#else
static int is_shared(const void *p)
{
	FILE *f = fopen("/proc/self/maps", "r");
	char line[512];
	int shared = 0;

	cr_assert_not_null(f);
	while (fgets(line, sizeof line, f) != NULL) {
		unsigned long from, to;
		char mode[5];

		if (sscanf(line, "%lx-%lx %4s", &from, &to, mode) == 3 && (uintptr_t)p >= from &&
		    (uintptr_t)p < to)
			shared = mode[3] == 's';
	}
	fclose(f);
	return shared;
}
#endif

#if !defined(_WIN32) /* whose shared memory is copied before it is looked at */
UPGRADED_TEST(a_borrowed_payload_lies_in_shared_memory)
{
	via_session_config c = sr_config();
	via_message m = request(1, "before", 7), got;
	sr_pair p;

	c.flags = VIA_SESSION_BORROW;
	p = connect_pair(spec, &c);
	sr_ok(via_session_send(p.client, &m));
	sr_ok(via_session_recv_wait(p.server, &got, rig_soon()));
	cr_assert(is_shared(got.payload), "%p is private", got.payload);
	cr_assert_str_eq(got.payload, "before");
	memcpy((void *)(uintptr_t)got.payload, "after!", 7); /* as the peer could */
	cr_assert_str_eq(got.payload, "after!");
	via_session_release(p.server, &got);
	answer_in_place(p.server, 1, "ok", 3);
	receive(p.client, 1, "ok", 3);
	sr_pair_close(&p);
}

/* The peer changes a batch's directory while it is checked, for as long as it takes to be caught at it and to
 * get away with it: a refusal or a message, nothing else. */
struct scribbler {
	uint8_t *at;
	uint32_t len;
	atomic_int stop;
};

static void scribble(void *arg)
{
	struct scribbler *x = arg;
	uint32_t i = 0;

	while (atomic_load(&x->stop) == 0) {
		volatile uint8_t *b = x->at + i++ % x->len;

		*b = (uint8_t)(*b ^ 0x80);
		*b = (uint8_t)(*b ^ 0x80);
	}
}

Test(upgraded, a_borrowed_batch_changes_while_it_is_checked)
{
	enum { ITEMS = 8, LEN = 16 * 8 + 8 * 8 };
	via_session_config c = sr_config();
	struct scribbler x = {.len = 64};
	uint32_t good = 0, bad = 0, i;
	via_time end = via_deadline(300000000u);

#if defined(__SANITIZE_THREAD__)
	sr_close();
	cr_skip_test("the race is the test");
#endif
	c.flags = VIA_SESSION_BORROW;
	c.max_request_batch = ITEMS;
	sr_listen(B ">" U, &c);
	while (os_now() < end) {
		sr_pair p = sr_connect(B ">" U, &c);
		via_wire_batch b;
		via_message m = request(1, NULL, 0), got;
		void *room;
		os_thread *t;
		via_rc rc;

		sr_ok(via_session_reserve(p.client, LEN, &room));
		sr_ok(via_wire_batch_begin(&b, room, LEN, ITEMS));
		for (i = 0; i < ITEMS; i++)
			sr_ok(via_wire_batch_add(&b, "12345678", 8));
		m.payload_len = (uint32_t)via_wire_batch_finish(&b);
		m.item_count = ITEMS;
		m.flags = VIA_WIRE_FLAG_BATCH;
		x.at = room;
		atomic_store(&x.stop, 0);
		t = sr_thread(scribble, &x);
		sr_ok(via_session_commit(p.client, &m));
		rc = via_session_recv_wait(p.server, &got, rig_soon());
		cr_assert(rc == VIA_OK || rc == VIA_PROTO, "%s: %s", via_rc_name(rc), via_error());
		good += rc == VIA_OK;
		bad += rc == VIA_PROTO;
		atomic_store(&x.stop, 1);
		sr_join(t);
		if (rc == VIA_OK)
			via_session_release(p.server, &got);
		sr_pair_close(&p);
	}
	cr_assert_gt(good + bad, 10);
}
#endif

UPGRADED_TEST(a_payload_is_private_unless_borrowed)
{
	sr_pair p = connect_pair(spec, NULL);
	via_message m = request(1, "before", 7), got;

	sr_ok(via_session_send(p.client, &m));
	sr_ok(via_session_recv_wait(p.server, &got, rig_soon()));
	cr_assert_not(is_shared(got.payload));
	via_session_release(p.server, &got);
	sr_pair_close(&p);
}

/* -- long messages ----------------------------------------------------------------------------- */

struct echo {
	via_session *s;
	uint32_t n;
	via_rc rc;
};

static void echo_some(void *arg)
{
	struct echo *x = arg;
	via_message m;

	while (x->n-- != 0) {
		void *copy;

		x->rc = via_session_recv_wait(x->s, &m, rig_soon());
		if (x->rc != VIA_OK)
			return;
		copy = malloc(m.payload_len);
		memcpy(copy, m.payload, m.payload_len);
		via_session_release(x->s, &m);
		m.kind = VIA_WIRE_RESPONSE;
		m.payload = copy;
		x->rc = via_session_send_wait(x->s, &m, rig_soon());
		free(copy);
		if (x->rc != VIA_OK)
			return;
	}
}

UPGRADED_TEST(messages_of_sixteen_mebibytes)
{
	static const uint32_t sizes[] = {1 << 20, (1 << 20) + 1, 1, 16 << 20, (16 << 20) - 1, 63};
	uint8_t *body = malloc(16 << 20);
	via_session_config c = sr_config();
	struct echo x = {.n = sizeof sizes / sizeof sizes[0]};
	sr_pair p;
	os_thread *t;
	uint32_t i;

	cr_assert_not_null(body);
	c.max_request_payload = c.max_response_payload = 16 << 20;
	p = connect_pair(spec, &c);
	cr_assert_neq(sr_info(p.client).selected, 1);
	x.s = p.server;
	t = sr_thread(echo_some, &x);
	for (i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		via_message m = request(i, body, sizes[i]), got;

		sr_fill(body, sizes[i], i);
		sr_ok(via_session_send_wait(p.client, &m, rig_soon()));
		sr_ok(via_session_recv_wait(p.client, &got, rig_soon()));
		cr_assert_eq(got.payload_len, sizes[i]);
		cr_assert(sr_filled(got.payload, sizes[i], i));
		via_session_release(p.client, &got);
	}
	sr_join(t);
	sr_ok(x.rc);
	sr_pair_close(&p);
	free(body);
}

/* -- text of an endpoint ----------------------------------------------------------------------- */

static void refuses(const char *spec, const char *config, via_rc rc, const char *says)
{
	via_endpoint ep = sr_endpoint(spec, "svc");
	via_acceptor *a = NULL;
	via_session *s = NULL;

	ep.config = config;
	sr_is(via_acceptor_open(r_, &ep, NULL, &a), rc);
	cr_assert(rig_error_has(says), "%s: expected \"%s\" in \"%s\"", spec, says, via_error());
	sr_is(via_session_start(r_, &ep, NULL, &s), rc);
	cr_assert(rig_error_has(says), "%s: expected \"%s\" in \"%s\"", spec, says, via_error());
}

Test(upgraded, wrong_endpoints_say_why)
{
	refuses(B ">", NULL, VIA_INVAL, "found \"\"");
	refuses(">" U, NULL, VIA_INVAL, "found \"\"");
	refuses(">", NULL, VIA_INVAL, "found \"\"");
	refuses("", NULL, VIA_INVAL, "found \"\"");
	refuses(B ">" U "+", NULL, VIA_INVAL, "found \"\"");
	refuses(B ">+" U, NULL, VIA_INVAL, "found \"\"");
	refuses("+" B ">" U, NULL, VIA_INVAL, "found \"\"");
	refuses(B ">" B, NULL, VIA_INVAL, "\"" B "\" is not a upgrade");
	refuses(U, NULL, VIA_INVAL, "\"" U "\" is not a baseline");
	refuses(U ">" B, NULL, VIA_INVAL, "\"" U "\" is not a baseline");
	refuses(B ">fault", NULL, VIA_INVAL, "\"fault\" is not a upgrade");
	refuses(B ">" U "+fault", NULL, VIA_INVAL, "\"fault\" is not a upgrade");
	refuses(U "+" B, NULL, VIA_INVAL, "\"" U "\" is not a decorator");
	refuses(B ">" U ">" U, NULL, VIA_INVAL, "at most one '>'");
	refuses(B ">" U ">", NULL, VIA_INVAL, "at most one '>'");
	refuses(B ">nosuch", NULL, VIA_NOTFOUND, "nosuch");
	refuses(B ">" U " ", NULL, VIA_NOTFOUND, U " ");
	refuses(B ">" U, U ".x=1", VIA_INVAL, U ".x=1");
	refuses(B ">" U, ">" B ".x=1", VIA_INVAL, ">" B ".x=1");
	refuses(B ">" U, ">", VIA_INVAL, "found \">\"");
	refuses(B ">" U, ">>" U ".x=1", VIA_INVAL, ">>" U ".x=1");
	refuses(B ">fault+" U, "fault.plan=send:again@1", VIA_INVAL, "fault.plan");
	refuses("fault+" B ">" U, ">fault.plan=send:again@1", VIA_INVAL, ">fault.plan");
}

/* Lines with a '>' are for what stands behind it. */
Test(upgraded, configuration_reaches_the_layer_it_is_for)
{
	via_endpoint ep = sr_endpoint("fault+" B ">fault+" U, "svc");
	via_message m = request(1, "x", 1);
	sr_pair p;

	ep.config = "fault.plan=send:again@1\n>fault.plan=commit:error=IO@1\n";
	sr_listen("fault+" B ">fault+" U, NULL);
	sr_ok(via_session_start(r_, &ep, NULL, &p.client));
	sr_ok(sr_handshake(p.client, &p.server)); /* HELLO was put off once */
	sr_is(via_session_send(p.client, &m), VIA_IO);
	sr_pair_close(&p);
}

/* A named upgrade is the only one offered, and the only one provisioned. */
Test(upgraded, the_named_upgrade_carries_the_data)
{
	static const struct {
		const char *spec;
		uint32_t offered, selected;
	} t[] = {
#if defined(_WIN32)
		{"pipe>winshm", 3, 2},
#else
		{"uds>ring", 0x10001, 0x10000},
		{"uds>posixshm", 3, 2},
#endif
	};
	via_session_info i;
	uint32_t k;

	for (k = 0; k < sizeof t / sizeof t[0]; k++) {
		sr_pair p = connect_pair(t[k].spec, NULL);

		i = sr_info(p.client);
		cr_assert_eq(i.offered, t[k].offered, "%s: 0x%x", t[k].spec, i.offered);
		cr_assert_eq(i.selected, t[k].selected, "%s: 0x%x", t[k].spec, i.selected);
		sr_pair_close(&p);
		via_acceptor_close(acceptor_);
		acceptor_ = NULL;
	}
}
