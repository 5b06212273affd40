/* tests/session/test_crowd.c - many clients of one acceptor, silent ones among them. */
#include "sess_rig.h"

TestSuite(crowd, .init = sr_open, .fini = sr_close, .timeout = 60);

/* -- a server that echoes, each session in its own thread ------------------------------------------------- */

enum { MAX_SERVED = 64 };

static struct {
	os_thread *thread[MAX_SERVED];
	via_session *session[MAX_SERVED];
	uint32_t n;
} served;

static void echo(void *arg)
{
	via_session *s = arg;
	via_message m;

	while (via_session_recv_wait(s, &m, rig_soon()) == VIA_OK) {
		uint8_t copy[64];

		memcpy(copy, m.payload, m.payload_len);
		via_session_release(s, &m);
		m.kind = VIA_WIRE_RESPONSE;
		m.payload = copy;
		if (via_session_send_wait(s, &m, rig_soon()) != VIA_OK)
			break;
	}
}

static void serve(void *arg)
{
	via_session *s;

	(void)arg;
	while (served.n < MAX_SERVED && via_acceptor_accept(acceptor_, VIA_FOREVER, &s) == VIA_OK) {
		served.session[served.n] = s;
		if (os_thread_start(&core_env_libc, "echo", echo, s, &served.thread[served.n]) !=
		    VIA_OK)
			break;
		served.n++;
	}
}

static void end_serving(os_thread *t)
{
	uint32_t i;

	via_acceptor_abort(acceptor_);
	sr_join(t);
	for (i = 0; i < served.n; i++) {
		sr_join(served.thread[i]);
		via_session_close(served.session[i]);
	}
}

static via_rc one_call(via_session *s, uint64_t id)
{
	via_message m = {.kind = VIA_WIRE_REQUEST,
			 .item_count = 1,
			 .id = id,
			 .payload = &id,
			 .payload_len = 8};
	via_rc rc = via_session_send_wait(s, &m, rig_soon());

	if (rc == VIA_OK)
		rc = via_session_recv_wait(s, &m, rig_soon());
	if (rc == VIA_OK && (m.id != id || m.payload_len != 8 || memcmp(m.payload, &id, 8) != 0))
		rc = VIA_PROTO;
	via_session_release(s, &m);
	return rc;
}

/* -- clients ------------------------------------------------------------------------------------------------ */

struct client {
	char spec[32];
	uint32_t number;
	via_rc rc;
	os_thread *t;
};

static void be_client(void *arg)
{
	struct client *c = arg;
	via_session_config config = sr_config();
	via_endpoint ep = sr_endpoint(c->spec, "svc");
	via_session *s = NULL;
	uint64_t i;

	config.profiles = sr_profiles(c->spec);
	c->rc = via_session_connect(r_, &ep, &config, rig_soon(), &s);
	for (i = 1; i <= 20 && c->rc == VIA_OK; i++)
		c->rc = one_call(s, (uint64_t)c->number << 32 | i);
	via_session_close(s);
}

STACK_TEST(crowd, many_clients_at_once)
{
	struct client c[40];
	os_thread *t;
	uint32_t i;

	sr_listen(spec, NULL);
	t = sr_thread(serve, NULL);
	for (i = 0; i < 40; i++) {
		snprintf(c[i].spec, sizeof c[i].spec, "%s", spec);
		c[i].number = i + 1;
		c[i].t = sr_thread(be_client, &c[i]);
	}
	for (i = 0; i < 40; i++)
		sr_join(c[i].t);
	end_serving(t);
	for (i = 0; i < 40; i++)
		cr_assert_eq(c[i].rc, VIA_OK, "client %u: %s", i, via_rc_name(c[i].rc));
}

/* -- silent ones ----------------------------------------------------------------------------------------------- */

/* A connection that says nothing, below the session layer. */
struct silent {
	stack st;
	via_link *link;
};

static void silent_dial(struct silent *x, const char *spec)
{
	via_endpoint ep = sr_endpoint(spec, "svc");
	via_rc rc;

	sr_ok(stack_open(r_, &ep, &x->st));
	do
		rc = stack_dial(&x->st, &x->link);
	while (rc == VIA_AGAIN); /* the queue is full: the acceptor is at it */
	sr_ok(rc);
}

static void silent_close(struct silent *x)
{
	x->link->ops->close(x->link);
	stack_close(&x->st);
}

/* How the link ends, with a deadline. */
static via_rc silent_end(struct silent *x)
{
	via_time end = rig_soon();
	via_view v;
	via_rc rc;

	while ((rc = x->link->ops->recv(x->link, &v, 1)) == VIA_AGAIN && os_now() < end) {
		via_waitobj o = {.struct_size = sizeof o};
		uint32_t ready;

		if (x->link->ops->arm(x->link, VIA_EV_RX, &o) == VIA_OK)
			(void)os_wait(&core_env_libc, &o, 1, end, &ready);
		x->link->ops->disarm(x->link, VIA_EV_RX);
	}
	return rc;
}

STACK_TEST(crowd, silent_client_delays_nobody_and_is_dropped_at_its_deadline)
{
	struct client good = {.number = 1};
	via_session_config c = sr_config();
	struct silent quiet;
	via_time t0;
	os_thread *t;
	via_rc rc;

	c.handshake_ms = 1500;
	sr_listen(spec, &c);
	t0 = os_now();
	silent_dial(&quiet, spec);
	t = sr_thread(serve, NULL);
	snprintf(good.spec, sizeof good.spec, "%s", spec);
	be_client(&good);
	sr_ok(good.rc);
	cr_assert_lt(os_now() - t0, 1400000000u, "the silent client was waited for");
	rc = silent_end(&quiet);
	cr_assert(rc == VIA_CLOSED || rc == VIA_RESET, "%s", via_rc_name(rc));
	cr_assert_geq(os_now() - t0, 1400000000u);
	silent_close(&quiet);
	end_serving(t);
}

STACK_TEST(crowd, more_silent_clients_than_places)
{
	static struct silent quiet[50];
	struct client good = {.number = 1};
	os_thread *t;
	uint32_t i;
	via_rc rc;

	sr_listen(spec, NULL); /* 5 s to be silent in */
	t = sr_thread(serve, NULL);
	for (i = 0; i < 50; i++)
		silent_dial(&quiet[i], spec);
	snprintf(good.spec, sizeof good.spec, "%s", spec);
	be_client(&good);
	sr_ok(good.rc);
	rc = silent_end(&quiet[0]); /* the oldest made room */
	cr_assert(rc == VIA_CLOSED || rc == VIA_RESET, "%s", via_rc_name(rc));
	for (i = 0; i < 50; i++)
		silent_close(&quiet[i]);
	end_serving(t);
}

/* The server side of the connection exists and says nothing: the queue of the listener. */
STACK_TEST(crowd, server_that_never_answers)
{
	via_session_config c = sr_config();
	via_endpoint ep = sr_endpoint(spec, "svc");
	via_session *s = NULL;
	via_time t0 = os_now();

	c.profiles = sr_profiles(spec);
	sr_listen(spec, &c);
	sr_is(via_session_connect(r_, &ep, &c, via_deadline(20000000u), &s), VIA_TIMEOUT);
	c.handshake_ms = 20;
	sr_is(via_session_connect(r_, &ep, &c, rig_soon(), &s), VIA_TIMEOUT);
	cr_assert_lt(os_now() - t0, 5000000000u);
}

STACK_TEST(crowd, connections_come_and_go)
{
	via_session_config c = sr_config();
	uint32_t i;

	c.profiles = sr_profiles(spec);
	sr_listen(spec, &c);
	for (i = 0; i < 200; i++) {
		sr_pair p = sr_connect(spec, &c);

		if (i % 3 != 0)
			sr_exchange(&p, 1, i, i);
		sr_pair_close(&p);
	}
}
