/* tests/server/test_dying.c - clients that are killed at every step, and answers that must not be lost on peers that
 * know nothing but the wire. */
#include "proc.h"
#include "raw.h"
#if !defined(_WIN32)
#include <poll.h>
#include <sys/socket.h>
#endif

TestSuite(dying, .timeout = 60);

static rig r;
static rig_svc svc, other;

/* -- clients that are killed ------------------------------------------------------------------- */

enum { CONNECTED, HALF_HELLO, HELLO_SENT, UP, FIRST_CHUNK, REQUESTED, PIPELINED, ANSWERED, STEPS };

static size_t hello(uint8_t *bytes)
{
	via_wire_hello h = {.layout = 1,
			    .supported = 1,
			    .max_request_payload = 1024,
			    .max_request_batch = 1,
			    .auth_token = 7,
			    .packet_size = 256};

	return via_wire_hello_packet(&h, bytes);
}

static void put_number(raw fd, uint64_t id)
{
	uint8_t p[VIA_WIRE_HEADER + VIA_INCREMENT_SIZE];
	uint64_t used;

	via_wire_header_encode(&(via_wire_header){.kind = VIA_WIRE_REQUEST,
						  .code = NUMBER,
						  .payload_len = VIA_INCREMENT_SIZE,
						  .item_count = 1,
						  .message_id = id},
			       p);
	via_increment_encode(p + VIA_WIRE_HEADER, VIA_INCREMENT_SIZE, id, &used);
	(void)raw_send(fd, p, sizeof p);
}

struct order {
	char run_dir[64];
	int step;
};

/* In the other process: goes as far as step, says so and waits for the end. */
static int go_as_far_as(const void *arg)
{
	const struct order *o = arg;
	uint8_t bytes[256] = {0};
	int i, busy, step = o->step;
	raw fd;

	(void)proc_listen();
	fd = raw_dial(o->run_dir, "svc", &busy);
	if (fd == RAW_NONE)
		return 2;
	if (step == HALF_HELLO)
		(void)raw_send(fd, bytes, 20 + 0 * hello(bytes));
	if (step >= HELLO_SENT)
		(void)raw_send(fd, bytes, hello(bytes));
	if (step >= UP && raw_recv(fd, bytes, sizeof bytes) != VIA_WIRE_ACK_PACKET)
		return 3;
	if (step == FIRST_CHUNK) {
		via_wire_header_encode(&(via_wire_header){.kind = VIA_WIRE_REQUEST,
							  .code = TEXT,
							  .payload_len = 1000,
							  .item_count = 1,
							  .message_id = 1},
				       bytes);
		(void)raw_send(fd, bytes, sizeof bytes);
	}
	if (step >= REQUESTED)
		for (i = 0; i < (step == REQUESTED ? 1 : 20); i++)
			put_number(fd, 1 + (uint64_t)i);
	if (step == ANSWERED && raw_recv(fd, bytes, sizeof bytes) <= 0)
		return 4;
	proc_say('x');
	(void)proc_listen(); /* until it is killed */
	return 5;
}

static void check_dying(uint32_t flags, via_rc (*behave)(rig_svc *, rig_session *, via_call *))
{
	proc p[STEPS];
	int step;

	rig_open(&r, PLATFORM_BASELINE);
	for (step = 0; step < STEPS; step++) { /* before there are threads */
		struct order o = {.step = step};

		snprintf(o.run_dir, sizeof o.run_dir, "%s", r.dir);
		proc_start(&p[step], go_as_far_as, &o, sizeof o);
	}
	rig_svc_open(&svc, &r, flags, behave);
	rig_svc_open(&other, &r, 0, rig_answer);
	rig_add(&r, &svc, "svc", NULL);
	rig_add(&r, &other, "other", NULL);
	rig_start(&r);
	for (step = 0; step < STEPS; step++)
		proc_tell(&p[step], 'x');
	for (step = 0; step < STEPS; step++)
		cr_assert_eq(proc_hear(&p[step]), 'x', "step %d: not reached", step);
	rig_good(&r, "other");
	for (step = 0; step < STEPS; step++) {
		proc_kill(&p[step]);
		cr_expect_eq(proc_wait(&p[step], via_deadline(RIG_SOON)), PROC_KILLED,
			     "step %d: ended before", step);
		rig_good(&r, "other");
	}
	rig_until(rig_stats(&r).n_sessions == 0);
	rig_good(&r, "svc");
	rig_close(&r);
	rig_svc_close(&svc);
	rig_svc_close(&other);
}

Test(dying, clients_killed_at_every_step)
{
	check_dying(0, rig_answer);
}

Test(dying, clients_killed_at_every_step_of_a_call_on_the_pool)
{
	check_dying(VIA_SVC_BLOCKING | VIA_SVC_CONCURRENT, rig_answer);
}

/* -- answers that must arrive ------------------------------------------------------------------ */

static via_rc fail_on_13(rig_svc *v, rig_session *s, via_call *call)
{
	uint64_t number = 0;

	via_increment_decode(call->request, call->request_len, &number, NULL);
	return number == 13 ? VIA_IO : rig_answer(v, s, call);
}

/* A record for each failure, with more requests behind it: closing at once would make the kernel report a reset
 * before the answer. */
static void check_last_answer(const via_wire_header *h, size_t len, uint16_t status, uint32_t flags)
{
	static const uint8_t payload[2048] = {13};
	int round, i;

	rig_open(&r, PLATFORM_BASELINE);
	rig_svc_open(&svc, &r, flags, fail_on_13);
	rig_add(&r, &svc, "svc", NULL);
	rig_start(&r);
	for (round = 0; round < 200; round++) {
		raw fd = raw_session(&r, "svc", NULL);

		raw_request(fd, h, payload, len);
		for (i = 0; i < 5; i++)
			put_number(fd, (uint64_t)i);
		raw_expect_status(fd, h->message_id, h->code, status);
		raw_expect_end(fd);
		raw_close(fd);
	}
	rig_close(&r);
	rig_svc_close(&svc);
}

Test(dying, a_failure_reaches_its_client)
{
	check_last_answer(&(via_wire_header){.kind = VIA_WIRE_REQUEST,
					     .code = NUMBER,
					     .payload_len = 8,
					     .item_count = 1,
					     .message_id = 99},
			  8, VIA_STATUS_INTERNAL_ERROR, 0);
}

Test(dying, a_failure_on_the_pool_reaches_its_client)
{
	check_last_answer(&(via_wire_header){.kind = VIA_WIRE_REQUEST,
					     .code = NUMBER,
					     .payload_len = 8,
					     .item_count = 1,
					     .message_id = 99},
			  8, VIA_STATUS_INTERNAL_ERROR, VIA_SVC_BLOCKING);
}

Test(dying, a_bad_envelope_reaches_its_client)
{
	check_last_answer(&(via_wire_header){.kind = VIA_WIRE_REQUEST,
					     .code = NUMBER,
					     .payload_len = 3,
					     .item_count = 1,
					     .message_id = 99},
			  3, VIA_STATUS_BAD_ENVELOPE, 0);
}

Test(dying, an_exceeded_limit_reaches_its_client)
{
	check_last_answer(&(via_wire_header){.kind = VIA_WIRE_REQUEST,
					     .code = NUMBER,
					     .payload_len = 2000,
					     .item_count = 1,
					     .message_id = 99},
			  2000, VIA_STATUS_LIMIT_EXCEEDED, 0);
}

struct drain {
	via_rc rc;
};

static void drain(void *arg)
{
	struct drain *d = arg;

	d->rc = via_server_drain(r.srv, via_deadline(RIG_SOON));
}

/* The same for the last answer of a server that drains: 20 requests are there, the first is being answered. */
static void check_drained(uint32_t flags, via_rc (*behave)(rig_svc *, rig_session *, via_call *))
{
	int round, i;

	for (round = 0; round < 20; round++) {
		struct drain d = {0};
		os_thread *t;
		raw fd, idle;

		rig_open(&r, PLATFORM_BASELINE);
		rig_svc_open(&svc, &r, flags, behave);
		rig_add(&r, &svc, "svc", NULL);
		rig_start(&r);
		rig_gate(&svc, 1);
		fd = raw_session(&r, "svc", NULL);
		idle = raw_session(&r, "svc", NULL);
		for (i = 1; i <= 20; i++)
			put_number(fd, (uint64_t)i);
		rig_until(behave == rig_pend ? atomic_load(&svc.n_pending) == 1
					     : atomic_load(&svc.held) == 1);
		t = rig_thread(drain, &d);
		raw_expect_end(idle);
		if (behave == rig_pend)
			rig_reply(&svc, 0);
		rig_gate(&svc, 0);
		raw_expect_number(fd, 1, 1);
		raw_expect_end(fd);
		raw_close(fd);
		raw_close(idle);
		rig_join(t);
		cr_expect_eq(d.rc, VIA_OK, "%s", via_rc_name(d.rc));
		rig_close(&r);
		rig_svc_close(&svc);
	}
}

Test(dying, the_last_answer_of_a_drain_reaches_its_client)
{
	check_drained(VIA_SVC_BLOCKING, rig_held);
}

Test(dying, the_last_late_answer_of_a_drain_reaches_its_client)
{
	check_drained(VIA_SVC_ASYNC, rig_pend);
}

#if !defined(_WIN32)
/* Half-closed clients still want their answers. */
Test(dying, a_client_that_only_stops_sending_gets_its_answers)
{
	raw fd;
	int i;

	rig_open(&r, PLATFORM_BASELINE);
	rig_svc_open(&svc, &r, VIA_SVC_ASYNC, rig_pend);
	rig_add(&r, &svc, "svc", NULL);
	rig_start(&r);
	fd = raw_session(&r, "svc", NULL);
	for (i = 0; i < 3; i++)
		put_number(fd, (uint64_t)i);
	rig_until(atomic_load(&svc.n_pending) == 1);
	shutdown((int)fd, SHUT_WR);
	for (i = 0; i < 3; i++) {
		rig_until(atomic_load(&svc.n_pending) == i + 1);
		rig_reply(&svc, i);
		raw_expect_number(fd, (uint64_t)i, (uint64_t)i);
	}
	raw_expect_end(fd);
	raw_close(fd);
	cr_expect_eq(atomic_load(&svc.cancels), 0);
	rig_close(&r);
	rig_svc_close(&svc);
}

/* The same in a row, which is taken and answered together. */
Test(dying, a_row_of_requests_and_an_end)
{
	enum { ROUNDS = 50, WARM = 200 };
	uint64_t i, n;
	int round;
	raw fd;

	rig_open(&r, PLATFORM_BASELINE);
	rig_svc_open(&svc, &r, 0, rig_answer);
	rig_add(&r, &svc, "svc", NULL);
	rig_start(&r);
	for (round = 0; round < ROUNDS; round++) {
		fd = raw_session(&r, "svc", NULL);
		n = WARM + (uint64_t)round; /* long enough for the server to see a row */
		for (i = 0; i < n; i++)
			put_number(fd, i);
		shutdown((int)fd, SHUT_WR);
		for (i = 0; i < n; i++)
			raw_expect_number(fd, i, i);
		raw_expect_end(fd);
		raw_close(fd);
	}
	rig_close(&r);
	rig_svc_close(&svc);
}

/* Sends until the server takes no more, because nobody reads its answers. How many went out. */
static uint64_t fill_both_ways(raw fd)
{
	struct pollfd p = {.fd = (int)fd, .events = POLLOUT};
	uint64_t n = 0;

	while (poll(&p, 1, 200) == 1) {
		cr_assert_lt(n, 1000000, "the server takes everything");
		put_number(fd, n++);
	}
	return n;
}

/* Some of those that are sent together are accepted, the others wait for room and keep their turn. */
Test(dying, a_row_of_answers_that_nobody_reads_for_a_while)
{
	uint64_t i, n;
	int round;
	raw fd;

	rig_open(&r, PLATFORM_BASELINE);
	rig_svc_open(&svc, &r, 0, rig_answer);
	rig_add(&r, &svc, "svc", NULL);
	rig_start(&r);
	fd = raw_session(&r, "svc", NULL);
	for (round = 0; round < 3; round++) {
		n = fill_both_ways(fd);
		cr_expect_gt(n, 100);
		for (i = 0; i < n; i++)
			raw_expect_number(fd, i, i);
	}
	raw_close(fd);
	rig_close(&r);
	rig_svc_close(&svc);
}
#endif
