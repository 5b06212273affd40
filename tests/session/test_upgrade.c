/* tests/session/test_upgrade.c - upgrades: selection, fallback on either side, death notice, handles. */
#include "sess_rig.h"
#if defined(_WIN32)
#include <windows.h>
#else
#include <unistd.h>
#endif

#define UP 0x20000u
#define REQUESTED 0x40000u /* the same module's, highest bit of all */

TestSuite(upgrade, .init = sr_open_few, .fini = sr_close, .timeout = 60);

static void configure(const char *config)
{
	sr_ok(via_registry_configure(r_, "org.test.upgrade", config));
}

static via_session_config offer(uint32_t profiles, uint32_t preferred)
{
	via_session_config c = sr_config();

	c.profiles = profiles;
	c.preferred = preferred;
	return c;
}

/* An acceptor in a thread of its own: hands over the sessions it accepts. */
struct keeper {
	via_session *s[4];
	atomic_uint n;
};

static void keep_accepting(void *arg)
{
	struct keeper *k = arg;
	via_session *s;

	while (via_acceptor_accept(acceptor_, VIA_FOREVER, &s) == VIA_OK) {
		k->s[atomic_load(&k->n) % 4] = s;
		atomic_fetch_add(&k->n, 1);
	}
}

static via_rc connect_with(struct keeper *k, const via_session_config *c, via_session **out)
{
	via_endpoint ep = sr_endpoint(PLATFORM_BASELINE, "svc");
	os_thread *t = sr_thread(keep_accepting, k);
	via_rc rc = via_session_connect(r_, &ep, c, rig_soon(), out);
	char detail[512];

	snprintf(detail, sizeof detail, "%s", via_error());
	via_acceptor_abort(acceptor_);
	sr_join(t);
	return rc == VIA_OK ? rc : core_fail(rc, "%s", detail);
}

static void close_kept(struct keeper *k)
{
	uint32_t i;

	for (i = 0; i < 4; i++)
		via_session_close(k->s[i]);
}

Test(upgrade, selected_and_carries_the_data)
{
	static const char *const modes[] =
	{ "mode=key\n",
	  "mode=mute\n",
	  "mode=key\nagain=5\n",
#if !defined(_WIN32) /* whose pipes carry no handles */
	  "mode=handles\n",
#endif
	};
	uint32_t i;

	for (i = 0; i < sizeof modes / sizeof modes[0]; i++) {
		via_session_config c = sr_config();
		via_session_info in;
		sr_pair p;

		configure(modes[i]);
		c.max_request_payload = c.max_response_payload = 50000;
		c.packet_size = 200; /* of no meaning to the data link */
		sr_listen(PLATFORM_BASELINE, &c);
		p = sr_connect(PLATFORM_BASELINE, &c);
		cr_assert(p.client->data != p.client->base && p.server->data != p.server->base);
		in = sr_info(p.client);
		cr_assert_eq(in.selected, UP);
		cr_assert_eq(in.offered, UP | 1);
		cr_assert_eq(in.peer_offered, UP | REQUESTED | 1);
		cr_assert_eq(sr_candidate(&in, UP)->verdict, VIA_VERDICT_SELECTED);
		cr_assert_str_eq(sr_candidate(&in, UP)->id, "org.test.upgrade");
		cr_assert_eq(sr_candidate(&in, 1)->verdict, VIA_VERDICT_OFFERED);
		sr_exchange(&p, 1, 50000, 50000);
		sr_exchange(&p, 2, 0, 1);
		sr_pair_close(&p);
		via_acceptor_close(acceptor_);
		acceptor_ = NULL;
		sr_ok(via_registry_unload(r_, "org.test.upgrade", rig_soon()));
	}
}

Test(upgrade, masks_and_preferences_choose)
{
	via_session_config both = offer(0, 1), base = offer(1, 0);
	via_session_info in;
	sr_pair p;

	sr_listen(PLATFORM_BASELINE, &both); /* prefers the baseline */
	p = sr_connect(PLATFORM_BASELINE, &both);
	cr_assert_eq(sr_info(p.client).selected, 1);
	sr_pair_close(&p);
	p = sr_connect(PLATFORM_BASELINE, &base);
	in = sr_info(p.client);
	cr_assert_eq(in.selected, 1);
	cr_assert_eq(sr_candidate(&in, UP)->verdict, VIA_VERDICT_MASKED);
	sr_pair_close(&p);
	via_acceptor_close(acceptor_);
	sr_listen(PLATFORM_BASELINE, &base);
	p = sr_connect(PLATFORM_BASELINE, NULL);
	in = sr_info(p.client);
	cr_assert_eq(in.selected, 1);
	cr_assert_eq(sr_candidate(&in, UP)->verdict, VIA_VERDICT_NOT_COMMON);
	sr_pair_close(&p);
}

/* A client offers such a profile when it is named, a server always. */
Test(upgrade, profiles_by_request)
{
	via_session_config named = offer(1 | UP | REQUESTED, 0);
	const via_session_config *const sides[] = {NULL, &named};
	uint32_t i;

	configure("mode=key\n");
	for (i = 0; i < 4; i++) {
		const via_session_config *client = sides[i & 1], *server = sides[i >> 1];
		uint32_t verdict = client == NULL ? VIA_VERDICT_MASKED : VIA_VERDICT_SELECTED;
		via_session_info in;
		sr_pair p;

		sr_listen(PLATFORM_BASELINE, server);
		p = sr_connect(PLATFORM_BASELINE, client);
		in = sr_info(p.client);
		cr_expect_eq(in.selected, client == NULL ? UP : REQUESTED);
		cr_expect_eq(in.offered, client == NULL ? UP | 1 : UP | REQUESTED | 1);
		cr_expect_eq(in.peer_offered, UP | REQUESTED | 1);
		cr_expect_eq(sr_candidate(&in, REQUESTED)->verdict, verdict);
		sr_exchange(&p, 1, 100, 100);
		sr_pair_close(&p);
		via_acceptor_close(acceptor_);
		acceptor_ = NULL;
	}
}

Test(upgrade, profiles_by_request_of_an_upgrade_in_the_endpoint)
{
	via_session_config named = offer(1 | REQUESTED, 0);
	sr_pair p;

	configure("mode=key\n");
	sr_listen(PLATFORM_BASELINE ">upgrade", NULL);
	p = sr_connect(PLATFORM_BASELINE ">upgrade", NULL);
	cr_expect_eq(sr_info(p.client).selected, UP);
	sr_pair_close(&p);
	p = sr_connect(PLATFORM_BASELINE ">upgrade", &named);
	cr_expect_eq(sr_info(p.client).selected, REQUESTED);
	sr_pair_close(&p);
}

Test(upgrade, server_falls_back_when_it_cannot_provision)
{
	static const char *const modes[] = {"mode=provision-fails\n", "mode=bad-link\n",
					    "mode=key\nneeds=0x80000000\n"};
	static const char *const reasons[] = {"no room for records of 1056 and 65568", "limits",
					      "capabilities 0x80000000"};
	uint32_t i;

	for (i = 0; i < 3; i++) {
		via_session_info in;
		sr_pair p;

		configure(modes[i]);
		sr_listen(PLATFORM_BASELINE, NULL);
		p = sr_connect(PLATFORM_BASELINE, NULL);
		in = sr_info(p.client);
		cr_assert_eq(in.selected, 1);
		cr_assert_eq(in.peer_offered, REQUESTED | 1,
			     "the answer says what the server really supports");
		cr_assert_eq(sr_candidate(&in, UP)->verdict, VIA_VERDICT_NOT_COMMON);
		in = sr_info(p.server);
		cr_assert_eq(sr_candidate(&in, UP)->verdict, VIA_VERDICT_FAILED);
		cr_assert_not_null(strstr(sr_candidate(&in, UP)->reason, reasons[i]), "%s",
				   sr_candidate(&in, UP)->reason);
		cr_assert_eq(in.session_id, 1);
		sr_exchange(&p, 1, 100, 100);
		sr_pair_close(&p);
		via_acceptor_close(acceptor_);
		acceptor_ = NULL;
		sr_ok(via_registry_unload(r_, "org.test.upgrade", rig_soon()));
	}
}

Test(upgrade, nothing_is_left_to_fall_back_to)
{
	via_session_config c = offer(UP, 0);
	via_endpoint ep = sr_endpoint(PLATFORM_BASELINE, "svc");
	via_session *s = NULL, *server;

	configure("mode=provision-fails\n");
	sr_listen(PLATFORM_BASELINE, NULL);
	sr_ok(via_session_start(r_, &ep, &c, &s));
	while (via_acceptor_step(acceptor_, &server) == VIA_AGAIN &&
	       via_session_step(s) == VIA_AGAIN)
		;
	sr_is(via_session_step(s), VIA_REFUSED);
	cr_assert_eq(sr_info(s).status, VIA_STATUS_UNSUPPORTED);
	via_session_close(s);
}

Test(upgrade, client_comes_back_without_the_bit)
{
	static const char *const modes[] = {"mode=attach-fails\n", "mode=key\nagain=1000000\n"};
	static const char *const reasons[] = {"the door is locked", "not ready"};
	uint32_t i;

	for (i = 0; i < 2; i++) {
		via_session_config c = sr_config();
		struct keeper k = {0};
		via_session_info in;
		via_session *s = NULL;

		c.handshake_ms = i == 1 ? 200 : 0;
		configure(modes[i]);
		sr_listen(PLATFORM_BASELINE, NULL);
		sr_ok(connect_with(&k, &c, &s));
		in = sr_info(s);
		cr_assert_eq(in.offered, 1);
		cr_assert_eq(in.selected, 1);
		cr_assert_eq(sr_candidate(&in, UP)->verdict, VIA_VERDICT_FAILED,
			     "why it fell back is forgotten");
		cr_assert_not_null(strstr(sr_candidate(&in, UP)->reason, reasons[i]), "%s",
				   sr_candidate(&in, UP)->reason);
		cr_assert_str_eq(sr_candidate(&in, UP)->id, "org.test.upgrade");
		cr_assert_eq(sr_candidate(&in, 1)->verdict, VIA_VERDICT_SELECTED);
		cr_assert_eq(in.session_id, 2);
		via_session_close(s);
		close_kept(&k);
		via_acceptor_close(acceptor_);
		acceptor_ = NULL;
		sr_ok(via_registry_unload(r_, "org.test.upgrade", rig_soon()));
	}
}

Test(upgrade, client_with_nothing_else_says_why)
{
	via_session_config c = offer(UP, 0);
	struct keeper k = {0};
	via_session *s = NULL;

	configure("mode=attach-fails\n");
	sr_listen(PLATFORM_BASELINE, NULL);
	sr_is(connect_with(&k, &c, &s), VIA_IO);
	cr_assert(rig_error_has("the door is locked"), "%s", via_error());
	close_kept(&k);
}

Test(upgrade, the_baselines_end_is_the_sessions_end)
{
	int side, way;

	configure("mode=mute\n"); /* the data link itself says nothing */
	sr_listen(PLATFORM_BASELINE, NULL);
	for (side = 0; side < 2; side++) {
		for (way = 0; way < 2; way++) {
			sr_pair p = sr_connect(PLATFORM_BASELINE, NULL);
			via_session *dies = side == 0 ? p.server : p.client,
				    *lives = side == 0 ? p.client : p.server;
			via_message m;
			via_rc rc;

			via_session_close(dies);
			rc = way == 0 ? via_session_recv_wait(lives, &m, rig_soon())
				      : via_session_wait(lives, VIA_EV_RX, rig_soon());
			cr_assert(rc == VIA_CLOSED || rc == VIA_RESET, "%s", via_rc_name(rc));
			cr_assert_eq(via_session_recv(lives, &m), rc);
			m = (via_message){.kind = side == 0 ? VIA_WIRE_REQUEST : VIA_WIRE_RESPONSE,
					  .item_count = 1};
			cr_assert_eq(via_session_send(lives, &m), rc);
			via_session_close(lives);
		}
	}
}

/* Neither arm() nor the baseline tells that something came before the end. */
Test(upgrade, an_answer_outlives_the_end_of_the_baseline)
{
	via_message m = {.kind = VIA_WIRE_REQUEST, .item_count = 1, .id = 1};
	via_waitobj objs[2];
	sr_pair p;
	via_rc rc;

	configure("mode=mute\n");
	sr_listen(PLATFORM_BASELINE, NULL);
	p = sr_connect(PLATFORM_BASELINE, NULL);
	sr_ok(via_session_send(p.client, &m));
	sr_ok(via_session_recv_wait(p.server, &m, rig_soon()));
	via_session_release(p.server, &m);
	m = (via_message){.kind = VIA_WIRE_RESPONSE, .item_count = 1, .id = 1};
	sr_ok(via_session_send(p.server, &m));
	via_session_close(p.server);
	sr_is(via_session_wait_set(p.client, VIA_EV_RX, objs), VIA_BUSY);
	sr_ok(via_session_recv(p.client, &m));
	cr_assert_eq(m.id, 1);
	via_session_release(p.client, &m);
	rc = via_session_recv_wait(p.client, &m, rig_soon());
	cr_assert(rc == VIA_CLOSED || rc == VIA_RESET, "%s", via_rc_name(rc));
	via_session_close(p.client);
}

/* The same over a baseline whose arm() says BUSY when its peer has gone. */
Test(upgrade, the_end_of_a_busy_baseline_is_seen_too)
{
	via_session *lives;
	via_message m;
	sr_pair p;

	configure("mode=mute\n");
	sr_listen("loop", NULL);
	p = sr_connect("loop", NULL);
	cr_assert_eq(sr_info(p.client).selected, UP);
	via_session_close(p.server);
	lives = p.client;
	sr_is(via_session_recv_wait(lives, &m, rig_soon()), VIA_CLOSED);
	via_session_close(lives);
}

struct lane {
	via_session *s;
	via_rc rc;
};

static void receive_until_end(void *arg)
{
	struct lane *l = arg;
	via_message m;

	do {
		l->rc = via_session_recv_wait(l->s, &m, VIA_FOREVER);
		if (l->rc == VIA_OK)
			via_session_release(l->s, &m);
	} while (l->rc == VIA_OK);
}

/* Both lanes asleep on one upgraded session: only one may look at the baseline, both must wake. */
Test(upgrade, both_lanes_see_the_end)
{
	static uint8_t body[20000];
	via_message m = {.kind = VIA_WIRE_REQUEST,
			 .item_count = 1,
			 .payload = body,
			 .payload_len = sizeof body};
	via_session_config c = sr_config();
	struct lane in;
	via_rc rc;
	sr_pair p;
	os_thread *t;

	configure("mode=mute\n");
	c.max_request_payload = sizeof body;
	sr_listen(PLATFORM_BASELINE, &c);
	p = sr_connect(PLATFORM_BASELINE, &c);
	in.s = p.client;
	t = sr_thread(receive_until_end, &in);
	do {
		m.id++;
		rc = via_session_send(p.client, &m);
	} while (rc == VIA_OK); /* full */
	sr_is(rc, VIA_AGAIN);
	via_session_close(p.server);
	rc = via_session_send_wait(p.client, &m, rig_soon());
	cr_assert(rc == VIA_CLOSED || rc == VIA_RESET, "%s", via_rc_name(rc));
	sr_join(t);
	cr_assert_eq(in.rc, rc);
	via_session_close(p.client);
}

Test(upgrade, a_record_on_the_baseline_breaks_the_protocol)
{
	via_iov iov = {"boo", 3};
	via_msg msg = {.iov = &iov, .n_iov = 1};
	via_message m;
	sr_pair p;

	configure("mode=key\n");
	sr_listen(PLATFORM_BASELINE, NULL);
	p = sr_connect(PLATFORM_BASELINE, NULL);
	cr_assert_eq(p.server->base->ops->send(p.server->base, &msg, 1), 1);
	sr_is(via_session_recv_wait(p.client, &m, rig_soon()), VIA_PROTO);
	sr_is(via_session_recv(p.client, &m), VIA_PROTO);
	sr_pair_close(&p);
}

/* While the client still tries to attach, the baseline is not the data link. */
Test(upgrade, a_record_before_the_upgrade_is_attached)
{
	via_wire_ack ack = {.layout = 1,
			    .server_supported = UP | 1,
			    .intersection = UP | 1,
			    .selected = UP,
			    .max_request_payload = 100,
			    .max_request_batch = 1,
			    .max_response_payload = 100,
			    .max_response_batch = 1,
			    .packet_size = 200,
			    .session_id = 5};
	via_endpoint ep = sr_endpoint("script", "svc");
	uint8_t p[VIA_WIRE_ACK_PACKET];
	script_link *l = script_dialled();
	via_session *s = NULL;

	configure("mode=key\nagain=20\n");
	sr_ok(via_session_start(r_, &ep, NULL, &s));
	script_push(l, p, via_wire_ack_packet(&ack, VIA_STATUS_OK, p), 0);
	script_push(l, p, 40, 0);
	sr_is(session_step_until(s, rig_soon()), VIA_PROTO);
	via_session_close(s);
	l = script_dialled();
	sr_ok(via_session_start(r_, &ep, NULL, &s));
	script_push(l, p, via_wire_ack_packet(&ack, VIA_STATUS_OK, p), 0);
	script_end(l, VIA_RESET);
	sr_is(session_step_until(s, rig_soon()), VIA_RESET);
	via_session_close(s);
}

#if !defined(_WIN32)
/* A refusal or a silent death with descriptors on the way leaves none behind; sr_close() counts. */
Test(upgrade, handles_are_closed_on_every_path)
{
	via_endpoint ep = sr_endpoint(PLATFORM_BASELINE, "svc");
	via_session *s = NULL, *server = NULL;
	uint32_t steps;

	configure("mode=handles\n");
	sr_listen(PLATFORM_BASELINE, NULL);
	sr_ok(via_session_start(r_, &ep, NULL, &s)); /* leaves with the answer unread */
	sr_is(via_session_step(s), VIA_AGAIN);
	for (steps = 0; server == NULL && steps < 1000; steps++)
		(void)via_acceptor_step(acceptor_, &server);
	cr_assert_not_null(server);
	via_session_close(s);
	via_session_close(server);
}
#endif

static via_handle any_handle(void)
{
#if defined(_WIN32)
	HANDLE h = CreateEventW(NULL, TRUE, FALSE, NULL);

	return (via_handle){.value = (int64_t)(intptr_t)h, .kind = VIA_H_WIN};
#else
	return (via_handle){.value = dup(2), .kind = VIA_H_FD};
#endif
}

/* Nobody asked for these. */
Test(upgrade, handles_with_a_baseline_answer_are_closed)
{
	via_wire_ack ack = {.layout = 1,
			    .server_supported = 1,
			    .intersection = 1,
			    .selected = 1,
			    .packet_size = 100};
	via_endpoint ep = sr_endpoint("script", "svc");
	uint8_t p[VIA_WIRE_ACK_PACKET];
	via_session *s = NULL;
	uint16_t status;
	int i;

	for (status = 0; status < 2; status++) { /* accepted, refused */
		script_link *l = script_dialled();
		script_record *r;

		sr_ok(via_session_start(r_, &ep, NULL, &s));
		r = script_push(l, p, via_wire_ack_packet(&ack, status, p), 0);
		for (i = 0; i < SCRIPT_HANDLES; i++)
			r->handle[r->n_handles++] = any_handle();
		sr_is(via_session_step(s), status == 0 ? VIA_OK : VIA_REFUSED);
		via_session_close(s);
	}
}

Test(upgrade, abort_wakes_an_upgraded_session)
{
	struct lane in;
	sr_pair p;
	os_thread *t;

	configure("mode=mute\n");
	sr_listen(PLATFORM_BASELINE, NULL);
	p = sr_connect(PLATFORM_BASELINE, NULL);
	in.s = p.client;
	t = sr_thread(receive_until_end, &in);
	while (atomic_load(&p.client->watched) == 0) /* asleep, or about to */
		os_cpu_relax();
	via_session_abort(p.client, VIA_ABORTED);
	sr_join(t);
	cr_assert_eq(in.rc, VIA_ABORTED);
	sr_pair_close(&p);
}
