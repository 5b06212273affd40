/* tests/server/test_slow.c - peers that take their time: with the parts of a message, with their answers. */
#include "raw.h"

TestSuite(slow, .timeout = 60);

static rig r;
static rig_svc svc, lazy;

static void serve(void)
{
	rig_prepare(&r, PLATFORM_BASELINE);
	r.options.send_timeout_ms = 200;
	cr_assert_eq(rig_open_registry(&r), VIA_OK, "%s", via_error());
	cr_assert_eq(rig_open_server(&r), VIA_OK, "%s", via_error());
	rig_svc_open(&svc, &r, 0, rig_answer);
	rig_add(&r, &svc, "svc", NULL);
	rig_start(&r);
}

static void done(void)
{
	rig_until(rig_stats(&r).n_sessions == 0);
	rig_close(&r);
	rig_svc_close(&svc);
}

Test(slow, only_the_first_chunk)
{
	uint8_t payload[600] = {0};
	via_session_config c = {.struct_size = sizeof c,
				.max_request_payload = 1024,
				.packet_size = 256};
	raw fd;

	serve();
	fd = raw_session(&r, "svc", &c);
	raw_request(fd,
		    &(via_wire_header){.kind = VIA_WIRE_REQUEST,
				       .code = TEXT,
				       .payload_len = 600,
				       .item_count = 1,
				       .message_id = 1},
		    payload, 224);
	rig_good(&r, "svc");
	raw_expect_end(fd); /* after send_timeout_ms */
	raw_close(fd);
	cr_expect(rig_log_has(&r, "the rest of a message took longer than 200 ms"), "%s", r.log);
	done();
}

/* The time for a message's parts is over when it is there: the call may take longer. */
static via_rc wait_for_timeout(rig_svc *v, rig_session *s, via_call *call)
{
	via_time end = via_deadline(500 * RIG_MS);

	while (via_now() < end)
		rig_pause();
	return rig_answer(v, s, call);
}

Test(slow, a_long_call_after_a_chunked_request)
{
	uint8_t payload[300], chunk[300];
	via_session_config c = {.struct_size = sizeof c,
				.max_request_payload = 1024,
				.packet_size = 128};
	uint32_t n = rig_text(payload, 200);
	raw fd;

	rig_open(&r, PLATFORM_BASELINE);
	via_server_close(r.srv);
	r.options.n_workers = 1;
	r.options.send_timeout_ms = 200;
	cr_assert_eq(rig_open_server(&r), VIA_OK);
	rig_svc_open(&lazy, &r, VIA_SVC_BLOCKING, wait_for_timeout);
	rig_svc_open(&svc, &r, 0, rig_answer);
	rig_add(&r, &lazy, "lazy", NULL);
	rig_add(&r, &svc, "svc", NULL);
	rig_start(&r);
	fd = raw_session(&r, "lazy", &c);
	raw_request(fd,
		    &(via_wire_header){.kind = VIA_WIRE_REQUEST,
				       .code = TEXT,
				       .payload_len = n,
				       .item_count = 1,
				       .message_id = 1},
		    payload, 96);
	via_wire_chunk_encode(&(via_wire_chunk){.message_id = 1,
						.total_message_len = 32 + n,
						.chunk_index = 1,
						.chunk_count = 3,
						.chunk_payload_len = 96},
			      chunk);
	memcpy(chunk + 32, payload + 96, 96);
	raw_send(fd, chunk, 128);
	rig_good(&r, "svc"); /* meanwhile the worker has seen that there is more to come */
	via_wire_chunk_encode(&(via_wire_chunk){.message_id = 1,
						.total_message_len = 32 + n,
						.chunk_index = 2,
						.chunk_count = 3,
						.chunk_payload_len = n - 192},
			      chunk);
	memcpy(chunk + 32, payload + 192, n - 192);
	raw_send(fd, chunk, 32 + n - 192);
	cr_expect_eq(raw_recv(fd, chunk, sizeof chunk), 128,
		     "the session was closed during the call: %s", r.log);
	raw_close(fd);
	done();
	rig_svc_close(&lazy);
}

/* Answers that nobody takes: they wait in a bounded room, then the session ends. */
Test(slow, requests_without_reading_answers)
{
	static uint8_t payload[1024];
	uint32_t n = rig_text(payload, 1000);
	int64_t before;
	raw fd;
	int on = 1;
	uint64_t id;

	serve();
	rig_good(&r, "svc");
	fd = raw_session(&r, "svc", NULL);
	before = atomic_load(&r.live);
	for (id = 1; on == 1; id++) {
		uint8_t p[1100];

		via_wire_header_encode(&(via_wire_header){.kind = VIA_WIRE_REQUEST,
							  .code = TEXT,
							  .payload_len = n,
							  .item_count = 1,
							  .message_id = id},
				       p);
		memcpy(p + 32, payload, n);
		while ((on = raw_try_send(fd, p, 32 + n)) == 0)
			rig_good(&r, "svc"); /* others are not kept waiting */
		cr_assert_leq(atomic_load(&r.live), before + 16,
			      "memory grows with what is not read");
	}
	rig_good(&r, "svc");
	cr_expect(rig_log_has(&r, "taking its answer took longer than 200 ms"), "%s", r.log);
	raw_close(fd);
	done();
}

/* An answer of many packets to somebody who reads one now and then, but in time. */
Test(slow, a_slow_reader)
{
	static uint8_t payload[1 << 16], back[1 << 16];
	via_session_config server = {.struct_size = sizeof server,
				     .max_request_payload = 1 << 16,
				     .max_response_payload = 1 << 16};
	via_session_config c = {.struct_size = sizeof c,
				.max_request_payload = 1 << 16,
				.packet_size = 0};
	uint32_t n = rig_text(payload, 60000);
	raw fd;
	int i;

	rig_open(&r, PLATFORM_BASELINE);
	rig_svc_open(&svc, &r, 0, rig_answer);
	rig_add(&r, &svc, "svc", &server);
	rig_start(&r);
	fd = raw_session(&r, "svc", &c);
	for (i = 1; i <= 5; i++) {
		raw_request(fd,
			    &(via_wire_header){.kind = VIA_WIRE_REQUEST,
					       .code = TEXT,
					       .payload_len = n,
					       .item_count = 1,
					       .message_id = (uint64_t)i},
			    payload, n);
		rig_good(&r, "svc");
	}
	for (i = 1; i <= 5; i++) {
		uint32_t got = 0;
		int len;

		rig_good(&r, "svc");
		len = raw_recv(fd, back, sizeof back);
		cr_assert_gt(len, 32);
		for (got = (uint32_t)len - 32; got < n; got += (uint32_t)len - 32) {
			len = raw_recv(fd, back, sizeof back);
			cr_assert_gt(len, 32);
		}
		cr_assert_eq(got, n);
	}
	raw_close(fd);
	done();
}
