/* tests/session/test_stacks.c - sessions over real stacks: messages, pipelining, lanes, abort, event loops. */
#include "sess_rig.h"

TestSuite(stacks, .init = sr_open, .fini = sr_close, .timeout = 60);

STACK_TEST(stacks, messages_of_many_sizes)
{
	static const uint32_t sizes[] = {0, 1, 7, 95, 96, 97, 1000, 4095, 65536, 200000, 1 << 20};
	static const uint32_t packets[] = {0, 128, 4096};
	uint32_t i, k;

	for (k = 0; k < 3; k++) {
		via_session_config c = sr_config();
		sr_pair p;

		c.profiles = sr_profiles(spec);
		c.max_request_payload = c.max_response_payload = 1 << 20;
		c.packet_size = packets[k];
		sr_listen(spec, &c);
		p = sr_connect(spec, &c);
		for (i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
			if (packets[k] != 128 || sizes[i] <= 65536)
				sr_exchange(&p, i + 1, sizes[i], sizes[i] / 2 + 1);
		sr_pair_close(&p);
		via_acceptor_close(acceptor_);
		acceptor_ = NULL;
	}
}

STACK_TEST(stacks, terms_are_agreed_and_kept)
{
	via_session_config c = sr_config(), server = sr_config();
	via_session_info a, b;
	sr_pair p;

	server.max_request_payload = 8192;
	server.max_response_payload = 3000;
	server.packet_size = 700;
	c.max_request_payload = 5000;
	c.max_request_batch = 12;
	c.packet_size = 600;
	sr_listen(spec, &server);
	c.profiles = sr_profiles(spec);
	p = sr_connect(spec, &c);
	a = sr_info(p.client);
	b = sr_info(p.server);
	cr_assert_eq(a.session_id, b.session_id);
	cr_assert_eq(a.packet_size, 600);
	cr_assert_eq(b.packet_size, 600);
	cr_assert_eq(a.max_request_payload, 5000);
	cr_assert_eq(a.max_response_payload, 3000);
	cr_assert_eq(b.max_request_batch, 12);
	cr_assert_eq(a.is_server, 0);
	cr_assert_eq(b.is_server, 1);
	cr_assert(a.is_up && b.is_up);
	sr_pair_close(&p);
}

STACK_TEST(stacks, refusals_leave_the_listener_alone)
{
	via_session_config good = sr_config(), c = sr_config();
	via_endpoint ep = sr_endpoint(spec, "svc");
	via_session *s = NULL, *server;
	sr_pair p;

	good.profiles = sr_profiles(spec);
	sr_listen(spec, &good);
	ep.auth_token++;
	sr_ok(via_session_start(r_, &ep, &good, &s));
	sr_is(sr_handshake(s, &server), VIA_REFUSED);
	cr_assert_eq(sr_info(s).status, VIA_STATUS_AUTH_FAILED);
	via_session_close(s);
	ep.auth_token--;
	c.profiles = sr_profiles(spec);
	c.max_request_payload = 1025;
	sr_ok(via_session_start(r_, &ep, &c, &s));
	sr_is(sr_handshake(s, &server), VIA_REFUSED);
	cr_assert_eq(sr_info(s).status, VIA_STATUS_LIMIT_EXCEEDED);
	via_session_close(s);
	c.max_request_payload = 0;
	c.packet_size = 32;
	sr_ok(via_session_start(r_, &ep, &c, &s));
	sr_is(sr_handshake(s, &server), VIA_REFUSED);
	cr_assert_eq(sr_info(s).status, VIA_STATUS_INCOMPATIBLE);
	via_session_close(s);
	p = sr_connect(spec, &good);
	sr_exchange(&p, 1, 10, 10);
	if (sr_info(p.server).selected == 1)
		cr_assert_eq(sr_info(p.server).session_id, 1, "refusals take no numbers");
	sr_pair_close(&p);
}

STACK_TEST(stacks, nobody_there)
{
	via_endpoint ep = sr_endpoint(spec, "nobody");
	via_session *s = NULL;

	sr_is(via_session_connect(r_, &ep, NULL, rig_soon(), &s), VIA_UNREACH);
	ep.service = "..";
	sr_is(via_session_connect(r_, &ep, NULL, rig_soon(), &s), VIA_INVAL);
}

STACK_TEST(stacks, endpoint_in_use)
{
	via_endpoint ep = sr_endpoint(spec, "svc");
	via_acceptor *second = NULL;

	sr_listen(spec, NULL);
	sr_is(via_acceptor_open(r_, &ep, NULL, &second), VIA_EXISTS);
	cr_assert_str_not_empty(via_acceptor_address(acceptor_));
}

/* -- pipelining ------------------------------------------------------------------------------------------ */

/* A link without VIA_CAP_PIPELINE takes the next request when the answer has been received. */
static void one_after_the_other(sr_pair *p)
{
	via_message m = {.kind = VIA_WIRE_REQUEST, .item_count = 1}, got;
	uint64_t i;

	for (i = 0; i < 100; i++) {
		m.id = i;
		sr_ok(via_session_send(p->client, &m));
		sr_is(via_session_send(p->client, &m), VIA_EXISTS);
		m.id = i + 1;
		sr_is(via_session_send(p->client, &m), VIA_AGAIN);
		sr_ok(via_session_recv_wait(p->server, &got, rig_soon()));
		got.kind = VIA_WIRE_RESPONSE;
		via_session_release(p->server, &got);
		sr_is(via_session_send(p->client, &m), VIA_AGAIN);
		sr_ok(via_session_send(p->server, &got));
		sr_is(via_session_send(p->server, &got), VIA_AGAIN);
		sr_is(via_session_send(p->client, &m), VIA_AGAIN);
		sr_ok(via_session_recv_wait(p->client, &got, rig_soon()));
		cr_assert_eq(got.id, i);
		via_session_release(p->client, &got);
	}
}

STACK_TEST(stacks, hundred_in_flight_answered_out_of_order)
{
	via_session_config c = sr_config();
	uint64_t ids[100];
	uint8_t seen[101] = {0}, byte;
	via_message m, got;
	uint32_t i;
	sr_pair p;

	c.profiles = sr_profiles(spec);
	c.packet_size = 40;
	sr_listen(spec, &c);
	p = sr_connect(spec, &c);
	if (!sr_pipelines(&p)) {
		one_after_the_other(&p);
		sr_pair_close(&p);
		return;
	}
	m = (via_message){.kind = VIA_WIRE_REQUEST,
			  .item_count = 1,
			  .payload = "0123456789",
			  .payload_len = 10};
	for (i = 0; i < 100; i++) {
		m.id = i + 1;
		while (via_session_send(p.client, &m) != VIA_OK ||
		       via_session_flush(p.client) != VIA_OK)
			cr_assert_fail("no room for %u small requests: %s", i + 1, via_error());
		sr_ok(via_session_recv_wait(p.server, &got, rig_soon()));
		ids[i] = got.id;
		via_session_release(p.server, &got);
	}
	sr_is(via_session_send(p.client, &m), VIA_EXISTS);
	for (i = 0; i < 100; i++) {
		byte = (uint8_t)ids[(i * 37 + 11) % 100];
		m = (via_message){.kind = VIA_WIRE_RESPONSE,
				  .item_count = 1,
				  .payload = &byte,
				  .payload_len = 1,
				  .id = byte};
		sr_ok(via_session_send(p.server, &m));
		sr_ok(via_session_recv_wait(p.client, &got, rig_soon()));
		cr_assert_eq(*(const uint8_t *)got.payload, got.id);
		cr_assert_eq(seen[got.id]++, 0);
		via_session_release(p.client, &got);
	}
	sr_pair_close(&p);
}

/* -- two lanes ---------------------------------------------------------------------------------------------- */

enum { ROUNDS = 300 };

static void echo_all(void *arg)
{
	via_session *s = arg;
	via_message m;

	while (via_session_recv_wait(s, &m, rig_soon()) == VIA_OK) {
		static uint8_t copy[4000];
		via_message a = m;

		memcpy(copy, m.payload, m.payload_len);
		via_session_release(s, &m);
		a.kind = VIA_WIRE_RESPONSE;
		a.payload = copy;
		if (via_session_send_wait(s, &a, rig_soon()) != VIA_OK)
			break;
	}
}

struct sender {
	via_session *s;
	via_rc rc;
};

static void send_all(void *arg)
{
	struct sender *x = arg;
	uint8_t body[4000];
	uint32_t i;

	for (i = 1; i <= ROUNDS; i++) {
		via_message m = {.kind = VIA_WIRE_REQUEST,
				 .item_count = 1,
				 .id = i,
				 .payload = body,
				 .payload_len = i * 13 % 4000};

		sr_fill(body, m.payload_len, i);
		x->rc = via_session_send_wait(x->s, &m, rig_soon());
		if (x->rc != VIA_OK)
			return;
	}
}

STACK_TEST(stacks, send_and_receive_in_two_threads)
{
	via_session_config c = sr_config();
	os_thread *echo, *send;
	struct sender x;
	uint32_t i;
	sr_pair p;

	c.profiles = sr_profiles(spec);
	c.packet_size = 1000;
	c.max_request_payload = c.max_response_payload = 4000;
	sr_listen(spec, &c);
	p = sr_connect(spec, &c);
	x.s = p.client;
	echo = sr_thread(echo_all, p.server);
	send = sr_thread(send_all, &x);
	for (i = 1; i <= ROUNDS; i++) {
		via_message m;

		sr_ok(via_session_recv_wait(p.client, &m, rig_soon()));
		cr_assert_eq(m.id, i);
		cr_assert_eq(m.payload_len, i * 13 % 4000);
		cr_assert(sr_filled(m.payload, m.payload_len, i));
		via_session_release(p.client, &m);
	}
	sr_join(send);
	sr_ok(x.rc);
	via_session_close(p.client);
	sr_join(echo);
	via_session_close(p.server);
}

/* -- ends ------------------------------------------------------------------------------------------------------ */

STACK_TEST(stacks, close_is_seen_by_a_sleeper_and_sticks)
{
	via_message m = {.kind = VIA_WIRE_REQUEST, .item_count = 1, .id = 1};
	via_session_config c = sr_config();
	via_rc rc;
	sr_pair p;

	c.profiles = sr_profiles(spec);
	sr_listen(spec, &c);
	p = sr_connect(spec, &c);
	sr_ok(via_session_send(p.client, &m)); /* in flight when it ends */
	via_session_close(p.server);
	rc = via_session_recv_wait(p.client, &m, rig_soon());
	cr_assert(rc == VIA_CLOSED || rc == VIA_RESET, "%s: %s", via_rc_name(rc), via_error());
	cr_assert_str_not_empty(via_error());
	cr_assert_eq(via_session_recv_wait(p.client, &m, rig_soon()), rc);
	via_session_close(p.client);
}

static void wait_for_message(void *arg)
{
	struct sender *x = arg;
	via_message m;

	x->rc = via_session_recv_wait(x->s, &m, VIA_FOREVER);
}

STACK_TEST(stacks, abort_wakes_a_sleeper_and_sticks)
{
	via_session_config c = sr_config();
	struct sender x;
	via_message m;
	uint32_t i;

	c.profiles = sr_profiles(spec);
	sr_listen(spec, &c);
	for (i = 0; i < 20; i++) {
		sr_pair p = sr_connect(spec, &c);
		os_thread *t;

		x.s = p.client;
		t = sr_thread(wait_for_message, &x);
		if (i % 2 == 0) /* let it fall asleep, or not */
			sr_is(via_session_wait(p.server, VIA_EV_RX, via_deadline(3000000u)),
			      VIA_TIMEOUT);
		via_session_abort(p.client, VIA_ABORTED);
		sr_join(t);
		cr_assert_eq(x.rc, VIA_ABORTED);
		sr_is(via_session_recv(p.client, &m), VIA_ABORTED);
		sr_is(via_session_recv_wait(p.server, &m, rig_soon()), VIA_CLOSED);
		sr_pair_close(&p);
	}
}

static void accept_for_ever(void *arg)
{
	struct sender *x = arg;

	x->rc = via_acceptor_accept(acceptor_, VIA_FOREVER, &x->s);
}

STACK_TEST(stacks, abort_wakes_accept_and_sticks)
{
	struct sender x = {0};
	via_session *s;
	os_thread *t;

	sr_listen(spec, NULL);
	t = sr_thread(accept_for_ever, &x);
	via_acceptor_abort(acceptor_);
	sr_join(t);
	cr_assert_eq(x.rc, VIA_ABORTED);
	sr_is(via_acceptor_accept(acceptor_, VIA_FOREVER, &s), VIA_ABORTED);
	sr_is(via_acceptor_accept(acceptor_, VIA_POLL, &s), VIA_ABORTED);
}

STACK_TEST(stacks, deadlines)
{
	via_session_config c = sr_config();
	via_session *s;
	via_message m;
	via_time t0;
	sr_pair p;

	c.profiles = sr_profiles(spec);
	sr_listen(spec, &c);
	sr_is(via_acceptor_accept(acceptor_, VIA_POLL, &s), VIA_TIMEOUT);
	sr_is(via_acceptor_accept(acceptor_, via_deadline(1000000u), &s), VIA_TIMEOUT);
	p = sr_connect(spec, &c);
	t0 = os_now();
	sr_is(via_session_recv_wait(p.client, &m, via_deadline(5000000u)), VIA_TIMEOUT);
	cr_assert_geq(os_now() - t0, 5000000u);
	sr_is(via_session_recv_wait(p.client, &m, VIA_POLL), VIA_TIMEOUT);
	sr_is(via_session_wait(p.client, VIA_EV_RX, VIA_POLL), VIA_TIMEOUT);
	sr_exchange(&p, 1, 10, 10); /* a deadline that passed leaves the session as it was */
	m = (via_message){.kind = VIA_WIRE_REQUEST, .item_count = 1, .id = 2};
	sr_ok(via_session_send_wait(p.client, &m,
				    VIA_POLL)); /* room is there: no wait, no deadline */
	sr_ok(via_session_recv_wait(p.server, &m, rig_soon()));
	via_session_release(p.server, &m);
	sr_pair_close(&p);
}

STACK_TEST(stacks, full_link_times_out_and_fills_again)
{
	static uint8_t body[30000];
	via_message m = {.kind = VIA_WIRE_REQUEST,
			 .item_count = 1,
			 .payload = body,
			 .payload_len = sizeof body};
	via_session_config c = sr_config();
	via_message got;
	via_rc rc;
	sr_pair p;

	c.profiles = sr_profiles(spec);
	c.max_request_payload = sizeof body;
	sr_listen(spec, &c);
	p = sr_connect(spec, &c);
	do {
		m.id++;
		rc = via_session_send(p.client, &m);
	} while (rc == VIA_OK && m.id < 10000);
	sr_is(rc, VIA_AGAIN);
	sr_is(via_session_send_wait(p.client, &m, via_deadline(2000000u)), VIA_TIMEOUT);
	sr_ok(via_session_recv_wait(p.server, &got, rig_soon()));
	via_session_release(p.server, &got);
	if (!sr_pipelines(&p)) {
		got.kind = VIA_WIRE_RESPONSE;
		got.payload_len = 0;
		sr_ok(via_session_send(p.server, &got));
		sr_ok(via_session_recv_wait(p.client, &got, rig_soon()));
		via_session_release(p.client, &got);
	}
	sr_ok(via_session_send_wait(p.client, &m, rig_soon()));
	sr_pair_close(&p);
}

/* -- a caller's own event loop: no blocking verb ------------------------------------------------------------------ */

static void wait_any(const via_waitobj *objs, via_rc n, via_time until)
{
	uint32_t ready;
	via_rc rc;

	if (n == VIA_BUSY || n == VIA_CLOSED || n == VIA_RESET) /* the next verb tells */
		return;
	cr_assert(n >= 0 && n <= 32, "%s", via_rc_name(n));
	rc = os_wait(&core_env_libc, objs, (uint32_t)n, until < rig_soon() ? until : rig_soon(),
		     &ready);
	cr_assert(rc == VIA_OK || rc == VIA_TIMEOUT);
}

static void sleep_on(via_session *s, uint32_t events)
{
	via_waitobj objs[2];
	via_rc n = via_session_wait_set(s, events, objs);

	wait_any(objs, n, VIA_FOREVER);
	via_session_wait_done(s, events, n);
}

static void serve_by_events(void *arg)
{
	via_waitobj objs[8];
	via_session *s = NULL;
	via_time until;
	via_message m;
	uint32_t i, steps = 0;
	via_rc rc;

	(void)arg;
	for (i = 0; i < 8; i++)
		objs[i].struct_size = sizeof objs[0];
	while ((rc = via_acceptor_step(acceptor_, &s)) == VIA_AGAIN) {
		rc = via_acceptor_wait_set(acceptor_, objs, 8, &until);
		wait_any(objs, rc, rc == VIA_BUSY ? 0 : until);
		steps++;
	}
	if (rc != VIA_OK || steps > 200) /* it sleeps, it does not spin */
		return;
	while ((rc = via_session_recv(s, &m)) == VIA_OK || rc == VIA_AGAIN) {
		uint64_t n;

		if (rc == VIA_AGAIN) {
			sleep_on(s, VIA_EV_RX);
			continue;
		}
		memcpy(&n, m.payload, sizeof n);
		via_session_release(s, &m);
		n++;
		m.kind = VIA_WIRE_RESPONSE;
		m.payload = &n;
		while (via_session_send(s, &m) == VIA_AGAIN)
			sleep_on(s, VIA_EV_TX);
	}
	via_session_close(s);
}

STACK_TEST(stacks, event_loops_on_both_sides)
{
	via_endpoint ep = sr_endpoint(spec, "svc");
	via_session_config c = sr_config();
	via_session *s = NULL;
	os_thread *t;
	uint64_t i;
	via_rc rc;

	c.profiles = sr_profiles(spec);
	sr_listen(spec, &c);
	t = sr_thread(serve_by_events, NULL);
	sr_ok(via_session_start(r_, &ep, &c, &s));
	while ((rc = via_session_step(s)) == VIA_AGAIN)
		sleep_on(s, VIA_EV_RX);
	sr_ok(rc);
	for (i = 1; i <= 50; i++) {
		via_message m = {.kind = VIA_WIRE_REQUEST,
				 .item_count = 1,
				 .id = i,
				 .payload = &i,
				 .payload_len = 8};
		uint64_t n;

		sr_ok(via_session_send(s, &m));
		while ((rc = via_session_recv(s, &m)) == VIA_AGAIN)
			sleep_on(s, VIA_EV_RX);
		sr_ok(rc);
		memcpy(&n, m.payload, sizeof n);
		cr_assert_eq(n, i + 1);
		via_session_release(s, &m);
	}
	via_session_close(s);
	sr_join(t);
}

/* A link that was armed for the acceptor's sleep is not still ringing when the session is handed over. */
STACK_TEST(stacks, handed_over_sessions_are_quiet)
{
	via_endpoint ep = sr_endpoint(spec, "svc");
	via_session_config c = sr_config();
	via_session *s = NULL, *server = NULL;
	via_waitobj objs[8], pair[2];
	via_time until;
	uint32_t ready, i;
	via_rc n;

	for (i = 0; i < 8; i++)
		objs[i].struct_size = sizeof objs[0];
	c.profiles = sr_profiles(spec);
	sr_listen(spec, &c);
	sr_ok(via_session_start(r_, &ep, &c, &s));
	sr_is(via_acceptor_step(acceptor_, &server), VIA_AGAIN);
	cr_assert_eq(via_acceptor_wait_set(acceptor_, objs, 8, &until), 2);
	sr_is(via_session_step(s), VIA_AGAIN);
	sr_ok(os_wait(&core_env_libc, objs, 2, rig_soon(), &ready));
	sr_ok(via_acceptor_step(acceptor_, &server));
	n = via_session_wait_set(server, VIA_EV_RX, pair);
	cr_assert(n == 1 || (n == 2 && server->data != server->base), "%s", via_rc_name(n));
	sr_is(os_wait(&core_env_libc, pair, (uint32_t)n, via_deadline(3000000u), &ready),
	      VIA_TIMEOUT);
	via_session_wait_done(server, VIA_EV_RX, n);
	via_session_close(s);
	via_session_close(server);
}
