/* tests/server/test_hostile.c - peers that are silent, slow, wrong or greedy. After each of them a good
 * client is served at once. */
#include "raw.h"
#include <stdlib.h>

TestSuite(hostile, .timeout = 60);

static rig r;
static rig_svc svc;
static const via_session_config quick = {.struct_size = sizeof quick, .handshake_ms = 300};

static void serve_n(uint32_t workers, uint32_t policy,
		    via_rc (*behave)(rig_svc *, rig_session *, via_call *),
		    const via_session_config *config)
{
	rig_prepare(&r, PLATFORM_BASELINE);
	r.options.n_workers = workers;
	r.options.send_timeout_ms = 200;
	r.policy = policy;
	cr_assert_eq(rig_open_registry(&r), VIA_OK, "%s", via_error());
	cr_assert_eq(rig_open_server(&r), VIA_OK, "%s", via_error());
	rig_svc_open(&svc, &r, 0, behave);
	rig_add(&r, &svc, "svc", config);
	rig_start(&r);
}

static void serve(void)
{
	serve_n(2, VIA_POLICY_BALANCED, rig_answer, &quick);
}

static void done(void)
{
	rig_until(rig_stats(&r).n_sessions == 0);
	rig_close(&r);
	rig_svc_close(&svc);
}

/* -- handshake --------------------------------------------------------------------------------- */

Test(hostile, silent_after_connecting)
{
	raw fd[20];
	int i;

	serve();
	for (i = 0; i < 20; i++)
		fd[i] = raw_connect(&r, "svc");
	rig_good(&r, "svc");
	for (i = 0; i < 20; i++) {
		raw_expect_end(fd[i]); /* by the handshake's deadline */
		raw_close(fd[i]);
	}
	cr_expect(rig_log_has(&r, "sent no HELLO within 300 ms"), "%s", r.log);
	cr_expect_eq(rig_stats(&r).handshakes_failed, 20);
	done();
}

Test(hostile, silent_after_hello)
{
	raw fd;

	serve();
	fd = raw_session(&r, "svc", NULL);
	rig_good(&r, "svc");
	raw_number(fd, 1, 1);
	raw_expect_number(fd, 1, 1);
	raw_close(fd);
	done();
}

static uint32_t hello(uint8_t *bytes)
{
	via_wire_hello h = {.layout = 1,
			    .supported = 1,
			    .max_request_payload = 64,
			    .max_request_batch = 1,
			    .auth_token = 7,
			    .packet_size = 4096};

	return via_wire_hello_packet(&h, bytes);
}

Test(hostile, first_packets_that_are_no_hello)
{
	uint8_t bytes[256] = {0};
	uint32_t n, cut;
	raw fd;

	serve();
	for (cut = 1; cut < VIA_WIRE_HELLO_PACKET; cut += 5) { /* half a HELLO */
		fd = raw_connect(&r, "svc");
		n = hello(bytes);
		cr_assert_gt(n, cut);
		raw_send(fd, bytes, cut);
		raw_expect_end(fd);
		raw_close(fd);
	}
	fd = raw_connect(&r, "svc"); /* a request before HELLO */
	raw_number(fd, 1, 1);
	raw_expect_end(fd);
	raw_close(fd);
	fd = raw_connect(&r, "svc"); /* the server's own part of it */
	raw_send(fd, bytes, via_wire_ack_packet(&(via_wire_ack){.layout = 1}, 0, bytes));
	raw_expect_end(fd);
	raw_close(fd);
	fd = raw_session(&r, "svc", NULL); /* HELLO twice */
	raw_send(fd, bytes, hello(bytes));
	raw_expect_end(fd);
	raw_close(fd);
	rig_good(&r, "svc");
	done();
}

Test(hostile, refusals_cost_nothing)
{
	uint8_t bytes[256];
	via_wire_header h = {0};
	raw fd;
	int i;

	serve();
	for (i = 0; i < 200; i++) {
		fd = raw_connect(&r, "svc");
		hello(bytes);
		bytes[VIA_WIRE_HEADER + 32] ^= 1; /* the token */
		raw_send(fd, bytes, VIA_WIRE_HELLO_PACKET);
		cr_assert_eq(raw_recv(fd, bytes, sizeof bytes), VIA_WIRE_ACK_PACKET);
		cr_assert_eq(via_wire_header_decode(bytes, sizeof bytes, &h, NULL), VIA_OK);
		cr_assert_eq(h.status, VIA_STATUS_AUTH_FAILED);
		raw_expect_end(fd);
		raw_close(fd);
	}
	rig_good(&r, "svc");
	cr_expect_eq(rig_stats(&r).refused, 200);
	done();
}

/* More than a worker has places for handshakes: the oldest make room, nobody waits for a deadline. */
Test(hostile, flood_of_connections)
{
	static raw fd[400];
	via_session_config patient = {.struct_size = sizeof patient, .handshake_ms = 600000};
	int i;

	serve_n(2, VIA_POLICY_BALANCED, rig_answer, &patient);
	for (i = 0; i < 400; i++)
		fd[i] = raw_connect(&r, "svc");
	rig_good(&r, "svc");
	rig_until(rig_stats(&r).handshakes_failed >= 400 - 256);
	for (i = 0; i < 400 - 256; i++)
		raw_expect_end(fd[i]);
	cr_expect(rig_log_has(&r, "makes room"), "%s", r.log);
	for (i = 0; i < 400; i++)
		raw_close(fd[i]);
	rig_good(&r, "svc");
	done();
}

/* -- requests ---------------------------------------------------------------------------------- */

static void expect_cut_off(const void *packet, size_t len)
{
	raw fd = raw_session(&r, "svc", NULL);

	raw_send(fd, packet, len);
	raw_expect_end(fd);
	raw_close(fd);
	rig_good(&r, "svc");
}

Test(hostile, packets_that_break_the_protocol)
{
	uint8_t p[64] = {0};
	via_wire_header h = {.kind = VIA_WIRE_REQUEST,
			     .code = NUMBER,
			     .payload_len = 8,
			     .item_count = 1,
			     .message_id = 1};

	serve();
	via_wire_header_encode(&h, p);
	expect_cut_off(p, 31);
	expect_cut_off(p, 1);
	expect_cut_off(p, 41); /* longer than declared */
	p[4] = 2;              /* another version */
	expect_cut_off(p, 40);
	p[4] = 1;
	p[0] ^= 1; /* magic */
	expect_cut_off(p, 40);
	p[0] ^= 1;
	p[6] = 33; /* header_len */
	expect_cut_off(p, 40);
	h.kind = VIA_WIRE_RESPONSE;
	via_wire_header_encode(&h, p);
	expect_cut_off(p, 40);
	h.kind = VIA_WIRE_CONTROL;
	via_wire_header_encode(&h, p);
	expect_cut_off(p, 40);
	cr_expect(rig_log_has(&r, "a server session of svc with pid "), "%s", r.log);
	cr_expect(rig_log_has(&r, "message kind: expected 1, found 2"), "%s", r.log);
	done();
}

Test(hostile, a_batch_with_a_bad_directory)
{
	static const via_session_config batch = {.struct_size = sizeof batch,
						 .max_request_payload = 64,
						 .max_request_batch = 4};
	uint32_t dir[10] = {0, 8, 4, 8}; /* offset 4 is not aligned */
	int i;

	serve();
	for (i = 0; i < 3; i++) {
		raw fd = raw_session(&r, "svc", &batch);

		dir[2] = i == 0 ? 4 : i == 1 ? 16 : 0xFFFFFFF8;
		raw_request(fd,
			    &(via_wire_header){.kind = VIA_WIRE_REQUEST,
					       .flags = VIA_WIRE_FLAG_BATCH,
					       .code = NUMBER,
					       .payload_len = 32,
					       .item_count = 2,
					       .message_id = 1},
			    dir, 32);
		raw_expect_end(fd);
		raw_close(fd);
		rig_good(&r, "svc");
	}
	done();
}

/* LIMIT_EXCEEDED is answered; a peer that then neither closes nor is quiet is closed a second later and
 * meanwhile costs the others nothing. One worker: there is nobody else to serve them. */
static void check_over_limit(const via_wire_header *h, size_t len)
{
	static const uint8_t zeros[4096];
	via_time end;
	raw fd;

	serve_n(1, VIA_POLICY_BALANCED, rig_answer, NULL);
	fd = raw_session(&r, "svc", NULL);
	raw_request(fd, h, zeros, len);
	raw_expect_status(fd, h->message_id, h->code, VIA_STATUS_LIMIT_EXCEEDED);
	rig_good(&r, "svc");
	for (end = via_deadline(5000 * RIG_MS);
	     via_now() < end && raw_try_send(fd, zeros, 64) == 1;)
		rig_good(&r, "svc");
	cr_expect_lt(via_now(), end, "the server never closed");
	raw_close(fd);
	done();
}

Test(hostile, declared_length_over_the_limit)
{
	check_over_limit(&(via_wire_header){.kind = VIA_WIRE_REQUEST,
					    .code = NUMBER,
					    .payload_len = 1025,
					    .item_count = 1,
					    .message_id = 77},
			 1025);
}

Test(hostile, declared_length_far_over_the_limit)
{
	check_over_limit(&(via_wire_header){.kind = VIA_WIRE_REQUEST,
					    .code = NUMBER,
					    .payload_len = UINT32_MAX,
					    .item_count = 1,
					    .message_id = 77},
			 8);
}

Test(hostile, items_over_the_limit)
{
	check_over_limit(&(via_wire_header){.kind = VIA_WIRE_REQUEST,
					    .code = NUMBER,
					    .payload_len = 8,
					    .item_count = 2,
					    .message_id = 77},
			 8);
}

/* A peer that goes on sending for as long as anybody looks, after its answer. The service of the flood's
 * session never gets to a point where nothing waits. */
static raw flood_fd = RAW_NONE;
static atomic_int flood_on;

static void flood(void *arg)
{
	uint8_t p[32] = {0};

	(void)arg;
	while (atomic_load(&flood_on) != 0 && raw_send(flood_fd, p, sizeof p) == 1)
		;
}

Test(hostile, a_flood_after_the_last_answer)
{
	os_thread *t[2];
	int i;

	serve_n(1, VIA_POLICY_FRUGAL, rig_answer, NULL);
	flood_fd = raw_session(&r, "svc", NULL);
	atomic_store(&flood_on, 1);
	raw_request(flood_fd,
		    &(via_wire_header){.kind = VIA_WIRE_REQUEST,
				       .code = NUMBER,
				       .payload_len = 1,
				       .item_count = 1,
				       .message_id = 5},
		    "x", 1);
	for (i = 0; i < 2; i++)
		t[i] = rig_thread(flood, NULL);
	raw_expect_status(flood_fd, 5, NUMBER, VIA_STATUS_BAD_ENVELOPE);
	rig_good(&r, "svc");
	for (i = 0; i < 2; i++)
		rig_join(
			t[i]); /* they end because the server closes, one second after its answer */
	atomic_store(&flood_on, 0);
	raw_close(flood_fd);
	done();
}

/* -- noise ------------------------------------------------------------------------------------- */

Test(hostile, random_bytes)
{
	uint8_t p[512];
	int round, i;

	serve();
	srand(1);
	for (round = 0; round < 100; round++) {
		raw fd = raw_session(&r, "svc", NULL);
		size_t n = 1 + (size_t)rand() % sizeof p;

		for (i = 0; i < (int)n; i++)
			p[i] = (uint8_t)rand();
		if (round % 2 != 0) { /* a header that passes, nonsense behind it */
			via_wire_header_encode(&(via_wire_header){.kind = VIA_WIRE_REQUEST,
								  .code = (uint16_t)(rand() % 4),
								  .flags = (uint16_t)(rand() % 2),
								  .payload_len =
									  (uint32_t)rand() % 600,
								  .item_count =
									  (uint32_t)rand() % 3},
					       p);
			n = n < 32 ? 32 : n;
		}
		raw_send(fd, p, n);
		raw_close(fd);
		if (round % 10 == 0)
			rig_good(&r, "svc");
	}
	rig_good(&r, "svc");
	done();
}

/* Leaves after each step of a session. */
Test(hostile, leaving_at_every_step)
{
	uint8_t bytes[256];
	int step, round;

	serve();
	for (round = 0; round < 20; round++) {
		for (step = 0; step < 6; step++) {
			raw fd = raw_connect(&r, "svc");

			if (step == 1)
				raw_send(fd, bytes, hello(bytes));
			if (step >= 2)
				raw_hello(fd, NULL);
			if (step >= 3)
				raw_number(fd, 1, 1);
			if (step >= 4)
				raw_number(fd, 2, 2);
			if (step == 5)
				raw_expect_number(fd, 1, 1);
			raw_close(fd);
		}
		rig_good(&r, "svc");
	}
	done();
}

/* -- too many ---------------------------------------------------------------------------------- */

Test(hostile, one_session_too_many)
{
	via_endpoint ep;
	via_session *s[3], *more = NULL;
	int i;

	rig_prepare(&r, PLATFORM_BASELINE);
	r.options.max_sessions = 3;
	cr_assert_eq(rig_open_registry(&r), VIA_OK);
	cr_assert_eq(rig_open_server(&r), VIA_OK);
	rig_svc_open(&svc, &r, 0, rig_answer);
	rig_add(&r, &svc, "svc", NULL);
	rig_start(&r);
	for (i = 0; i < 3; i++)
		s[i] = rig_connect(&r, "svc", NULL);
	ep = rig_endpoint(&r, "svc");
	for (i = 0; i < 10; i++) {
		raw fd = raw_connect(&r, "svc");

		cr_assert_eq(raw_hello(fd, NULL), VIA_STATUS_LIMIT_EXCEEDED);
		raw_expect_end(fd);
		raw_close(fd);
		cr_assert_eq(via_session_connect(r.reg, &ep, NULL, via_deadline(RIG_SOON), &more),
			     VIA_REFUSED);
	}
	for (i = 0; i < 3; i++) {
		cr_assert_eq(rig_send_number(s[i], 1, 1), VIA_OK);
		rig_expect_number(s[i], 1, 1);
	}
	cr_expect_eq(rig_stats(&r).n_sessions, 3);
	rig_until(rig_stats(&r).refused == 20);
	via_session_close(s[1]);
	rig_until(rig_stats(&r).n_sessions == 2);
	rig_good(&r, "svc");
	via_session_close(s[0]);
	via_session_close(s[2]);
	done();
}
