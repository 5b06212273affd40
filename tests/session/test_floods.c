/* tests/session/test_floods.c - records that are fetched together, and messages that are sent together (Linux). */
#include "sess_rig.h"
#include <stdlib.h>
#include <string.h>

TestSuite(floods, .init = sr_open, .fini = sr_close, .timeout = 60);

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

enum { FLOOD = 40, BROKEN = 25 };

/* A flood of requests of 8 bytes, so that records are fetched together; what a header says may be changed. */
static void flood(sr_pair *p, uint32_t broken, uint32_t at, uint16_t value)
{
	via_link *l = p->client->data;
	uint32_t i;

	for (i = 0; i < FLOOD; i++) {
		uint64_t body = i;
		uint8_t packet[40];
		via_iov iov = {packet, sizeof packet};
		via_msg m = {.iov = &iov, .n_iov = 1};

		sr_packet(packet, VIA_WIRE_REQUEST, i + 1, &body, sizeof body);
		if (i == broken)
			sr_put16(packet, at, value);
		cr_assert_eq(l->ops->send(l, &m, 1), 1);
	}
}

static void expect_flood(via_session *s, uint32_t from, uint32_t to)
{
	uint32_t i;

	for (i = from; i < to; i++) {
		via_message m;
		uint64_t body;

		sr_ok(via_session_recv_wait(s, &m, rig_soon()));
		cr_assert_eq(m.id, i + 1);
		cr_assert_eq(m.payload_len, 8);
		memcpy(&body, m.payload, 8);
		cr_assert_eq(body, i);
		via_session_release(s, &m);
	}
}

/* Each field of a header in the middle of what was fetched together: those before are delivered, nothing behind. */
Test(floods, a_bad_header_in_the_middle)
{
	static const struct {
		uint32_t at;
		uint16_t value;
		via_rc rc;
	} t[] = {{0, 1, VIA_PROTO},  {2, 1, VIA_PROTO},  {4, 2, VIA_PROTO},
		 {6, 31, VIA_PROTO}, {8, 2, VIA_PROTO},  {16, 9, VIA_PROTO},
		 {16, 7, VIA_PROTO}, {18, 1, VIA_LIMIT}, {20, 100, VIA_LIMIT}};
	uint32_t i;

	for (i = 0; i < sizeof t / sizeof t[0]; i++) {
		sr_pair p = connect_pair("uds>ring", NULL);
		via_message m;

		flood(&p, BROKEN, t[i].at, t[i].value);
		expect_flood(p.server, 0, BROKEN);
		sr_is(via_session_recv(p.server, &m), t[i].rc);
		cr_expect_neq(via_error()[0], '\0');
		sr_is(via_session_recv(p.server, &m), t[i].rc);
		cr_assert_eq(rx_has_view(p.server), 0);
		sr_pair_close(&p);
		via_acceptor_close(acceptor_);
		acceptor_ = NULL;
	}
}

/* More lent than a link lends at once is never asked for, and a lent message lasts until it is given back. */
Test(floods, borrowed_payloads_in_a_flood)
{
	via_session_config c = sr_config();
	via_message m, none;
	uint32_t i;
	sr_pair p;

	c.flags = VIA_SESSION_BORROW;
	p = connect_pair("uds>ring", &c);
	flood(&p, FLOOD, 0, 0);
	for (i = 0; i < FLOOD; i++) {
		uint64_t body;

		sr_ok(via_session_recv_wait(p.server, &m, rig_soon()));
		sr_is(via_session_recv(p.server, &none), VIA_STATE);
		memcpy(&body, m.payload, 8);
		cr_assert_eq(body, i);
		via_session_release(p.server, &m);
	}
	sr_is(via_session_recv(p.server, &m), VIA_AGAIN);
	sr_pair_close(&p);
}

/* Who waits must not wait for what it has fetched already. */
Test(floods, what_was_fetched_is_not_waited_for)
{
	via_waitobj objs[2];
	via_message m;
	sr_pair p = connect_pair("uds>ring", NULL);

	flood(&p, FLOOD, 0, 0);
	expect_flood(p.server, 0, 3);
	cr_assert(rx_has_view(p.server));
	sr_is(via_session_wait_set(p.server, VIA_EV_RX, objs), VIA_BUSY);
	sr_ok(via_session_wait(p.server, VIA_EV_RX, VIA_POLL));
	expect_flood(p.server, 3, FLOOD);
	sr_is(via_session_recv(p.server, &m), VIA_AGAIN);
	sr_pair_close(&p);
}

/* A session that ends with fetched records gives them back. */
Test(floods, a_flood_that_nobody_reads)
{
	sr_pair p = connect_pair("uds>ring", NULL);

	flood(&p, FLOOD, 0, 0);
	expect_flood(p.server, 0, 3);
	cr_assert(rx_has_view(p.server));
	sr_pair_close(&p);
}

/* posixshm holds one message each way. */
static char upgraded[][32] = {"uds>ring", "fault+uds>ring", "uds>fault+ring"};

ParameterizedTestParameters(floods, many_are_sent_as_one_by_one)
{
	return cr_make_param_array(char[32], upgraded, sizeof upgraded / sizeof upgraded[0]);
}

ParameterizedTest(char spec[32], floods, many_are_sent_as_one_by_one)
{
	enum { N = 50 };
	via_message m[N], a;
	uint64_t body[N];
	uint32_t sent = 0, got = 0;
	sr_pair p = connect_pair(spec, NULL);

	for (sent = 0; sent < N; sent++) {
		body[sent] = sent;
		m[sent] = request(sent + 1, &body[sent], sent % 9);
	}
	for (sent = 0; got < N;) {
		via_rc n = sent < N ? via_session_send_many(p.client, &m[sent], N - sent) : 0;

		cr_assert(n >= 0 || n == VIA_AGAIN, "%s", via_error());
		sent += n > 0 ? (uint32_t)n : 0;
		while (got < sent && via_session_recv(p.server, &a) == VIA_OK) {
			cr_assert_eq(a.id, got + 1);
			cr_assert_eq(a.payload_len, got % 9);
			cr_assert(a.payload_len == 0 ||
				  memcmp(a.payload, &body[got], a.payload_len) == 0);
			via_session_release(p.server, &a);
			got++;
		}
	}
	sr_pair_close(&p);
}
