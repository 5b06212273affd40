/* tests/session/test_replay.c - packets of running peers, replayed byte for byte: tests/vectors/live. */
#include "sess_rig.h"
#include "vec.h"

TestSuite(replay, .init = sr_open_few, .fini = sr_close, .timeout = 30);

static vec load(const char *folder, const char *name)
{
	vec v = {0};

	cr_assert_eq(vec_load(folder, name, &v), 0, "%s", vec_error());
	return v;
}

static void expect_vec(const script_record *r, const char *folder, const char *name)
{
	vec v = load(folder, name);

	cr_assert(vec_equal(&v, r->data, r->len),
		  "%s: %u bytes, %zu expected, first difference at %ld", name, r->len, v.len,
		  vec_difference(&v, r->data, r->len));
	vec_free(&v);
}

static void push_vec(script_link *l, const char *folder, const char *name)
{
	vec v = load(folder, name);

	script_push(l, v.data, (uint32_t)v.len, 0);
	vec_free(&v);
}

static script_link *server_meets(const char *folder, const char *hello)
{
	script_link *l = script_accepted();

	push_vec(l, folder, hello);
	return l;
}

static void listen_with(uint64_t token, uint32_t request, uint32_t response, uint32_t packet)
{
	via_endpoint ep = sr_endpoint("script", "svc");
	via_session_config c = sr_config();

	ep.auth_token = token;
	c.profiles = 1;
	c.max_request_payload = request;
	c.max_response_payload = response;
	c.packet_size = packet;
	sr_ok(via_acceptor_open(r_, &ep, &c, &acceptor_));
}

Test(replay, our_acknowledgement_is_the_live_one)
{
	via_session *s = NULL;
	script_link *l;

	listen_with(0xDEADBEEFCAFEBABEu, 4096, 65536, 65536);
	l = server_meets("live", "l2-snapshot.hello");
	sr_ok(via_acceptor_step(acceptor_, &s));
	expect_vec(&l->out[0], "live", "l2-snapshot.ack");
	via_session_close(s);
}

Test(replay, our_refusals_are_the_live_ones)
{
	via_session *s = NULL;
	script_link *l;

	listen_with(0x1122334455667788u, 1024, 1024, 65536);
	l = server_meets("live", "live-hello-configured"); /* asks for 8192 */
	sr_is(via_acceptor_step(acceptor_, &s), VIA_AGAIN);
	expect_vec(&l->out[0], "live", "live-ack-limit-exceeded");
	via_acceptor_close(acceptor_);
	listen_with(0x1122334455667788u, 8192, 1024, 32);
	l = server_meets("live", "live-hello-configured");
	sr_is(via_acceptor_step(acceptor_, &s), VIA_AGAIN);
	expect_vec(&l->out[0], "live", "live-ack-incompatible-packet-size");
	l = script_accepted();
	push_vec(l, "live", "live-hello-configured");
	l->in[0].data[36] = 0x40; /* supported: nothing we have */
	sr_is(via_acceptor_step(acceptor_, &s), VIA_AGAIN);
	expect_vec(&l->out[0], "live", "live-ack-unsupported");
}

Test(replay, our_hello_is_the_live_one_when_configured_like_it)
{
	via_endpoint ep = sr_endpoint("script", "svc");
	via_session_config c = sr_config();
	script_link *l = script_dialled();
	via_session *s = NULL;

	ep.auth_token = 0;
	c.profiles = 1;
	sr_ok(via_session_start(r_, &ep, &c,
				&s)); /* the script's record is the live host's send buffer */
	sr_is(via_session_step(s), VIA_AGAIN);
	expect_vec(&l->out[0], "live", "live-hello-zero-config");
	via_session_close(s);
	ep.auth_token = 0xDEADBEEFCAFEBABEu;
	c.preferred = 1;
	c.max_request_payload = 4096;
	c.max_request_batch = 16;
	c.max_response_payload = 65536;
	c.packet_size = 65536;
	l = script_dialled();
	sr_ok(via_session_start(r_, &ep, &c, &s));
	sr_is(via_session_step(s), VIA_AGAIN);
	expect_vec(&l->out[0], "live", "l2-snapshot.hello");
	via_session_close(s);
}

/* The configured one offers two profiles; with only the baseline here, all but the mask is the same. */
Test(replay, our_hello_against_the_configured_one)
{
	via_endpoint ep = sr_endpoint("script", "svc");
	via_session_config c = sr_config();
	script_link *l = script_dialled();
	via_session *s = NULL;

	c.profiles = 3;
	c.preferred = 2;
	c.max_request_payload = 8192;
	c.max_request_batch = 16;
	c.max_response_payload = 65536;
	c.packet_size = 65536;
	sr_ok(via_session_start(r_, &ep, &c, &s));
	sr_is(via_session_step(s), VIA_AGAIN);
	cr_assert_eq(l->out[0].data[36], 1, "a profile without a module is not offered");
	l->out[0].data[36] = 3;
	expect_vec(&l->out[0], "live", "live-hello-configured");
	via_session_close(s);
}

Test(replay, our_client_takes_the_live_answers)
{
	static const struct {
		const char *folder, *name;
		via_rc rc;
		uint16_t status;
	} row[] = {
		{"live", "l2-snapshot.ack", VIA_OK, 0},
		{"valid", "pkt-ack-ok-baseline", VIA_OK, 0},
		{"live", "live-ack-unsupported", VIA_REFUSED, 4},
		{"live", "live-ack-limit-exceeded", VIA_REFUSED, 5},
		{"live", "live-ack-incompatible-packet-size", VIA_REFUSED, 3},
		{"valid", "pkt-ack-rejected-status-2", VIA_REFUSED, 2},
		{"valid", "pkt-ack-rejected-status-3", VIA_REFUSED, 3},
		{"valid", "pkt-ack-rejected-status-4", VIA_REFUSED, 4},
		{"valid", "pkt-ack-rejected-status-5", VIA_REFUSED, 5},
	};
	via_endpoint ep = sr_endpoint("script", "svc");
	uint32_t i;

	for (i = 0; i < sizeof row / sizeof row[0]; i++) {
		script_link *l = script_dialled();
		via_session *s = NULL;

		sr_ok(via_session_start(r_, &ep, NULL, &s));
		push_vec(l, row[i].folder, row[i].name);
		sr_is(via_session_step(s), row[i].rc);
		cr_assert_eq(sr_info(s).status, row[i].status);
		via_session_close(s);
	}
}

static const struct {
	uint32_t packet, payload, packets;
} chunked[] = {{64, 33, 2}, {64, 64, 2}, {64, 100, 4}, {40, 25, 4}, {33, 3, 3}};

static const char *chunk_name(uint32_t row, uint32_t i)
{
	static char name[64];

	snprintf(name, sizeof name, "chunk-pkt%u-payload%u.%u", chunked[row].packet,
		 chunked[row].payload, i);
	return name;
}

Test(replay, chunks_as_sent_and_as_received)
{
	uint8_t body[128];
	uint32_t row, i;

	for (i = 0; i < sizeof body; i++)
		body[i] = (uint8_t)i;
	for (row = 0; row < sizeof chunked / sizeof chunked[0]; row++) {
		sr_terms t = {1024, 1, 1024, chunked[row].packet};
		via_message m = {.kind = VIA_WIRE_REQUEST,
				 .code = 3,
				 .item_count = 1,
				 .payload_len = chunked[row].payload,
				 .id = 0x0A0B0C0D0E0F1011u,
				 .payload = body};
		script_link *c, *v;
		via_session *client = sr_client_up(&t, &c), *server = sr_server_up(&t, &v);
		via_message got;

		sr_ok(via_session_send(client, &m));
		cr_assert_eq(c->n_out, chunked[row].packets);
		for (i = 0; i < chunked[row].packets; i++) {
			expect_vec(&c->out[i], "live", chunk_name(row, i));
			push_vec(v, "live", chunk_name(row, i));
		}
		sr_ok(via_session_recv(server, &got));
		cr_assert_eq(got.payload_len, m.payload_len);
		cr_assert_eq(got.id, m.id);
		cr_assert_arr_eq(got.payload, body, m.payload_len);
		via_session_release(server, &got);
		via_session_close(client);
		via_session_close(server);
	}
}

/* The same snapshot answer once in one packet and once in three. */
Test(replay, live_answer_in_three_packets)
{
	sr_terms t = {4096, 1, 65536, 128};
	vec first = load("live", "l2-snapshot-chunked-pkt128.0");
	script_link *l;
	via_session *s = sr_client_up(&t, &l);
	via_message m = {.kind = VIA_WIRE_REQUEST, .code = 2, .item_count = 1}, got;
	uint32_t i;

	memcpy(&m.id, first.data + 24, sizeof m.id);
	sr_ok(via_session_send(s, &m));
	for (i = 0; i < 3; i++) {
		char name[64];

		snprintf(name, sizeof name, "l2-snapshot-chunked-pkt128.%u", i);
		push_vec(l, "live", name);
	}
	sr_ok(via_session_recv(s, &got));
	cr_assert_eq(got.payload_len, sr_get32(first.data, 16));
	cr_assert_arr_eq(got.payload, first.data + 32, 96);
	via_session_release(s, &got);
	via_session_close(s);
	vec_free(&first);
}
