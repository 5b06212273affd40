/* tests/server/test_crossing.c - many long requests under way while their long answers come back: both sides have
 * more to say than the transport has room for, and neither may wait for the other to listen first. */
#include "rig.h"

TestSuite(crossing, .timeout = 90);

enum { LEN = 100000, REQUESTS = 24 };

static rig r;
static rig_svc svc;
static uint8_t text[LEN + 64], back[LEN + 64];
static const via_session_config roomy = {.struct_size = sizeof roomy,
					 .max_request_payload = LEN + 64,
					 .max_response_payload = LEN + 64,
					 .packet_size = 4096};

static via_session *serve(const char *stack, uint32_t flags)
{
	rig_open(&r, stack);
	rig_svc_open(&svc, &r, flags, rig_answer);
	rig_add(&r, &svc, "svc", &roomy);
	rig_start(&r);
	return rig_connect(&r, "svc", &roomy);
}

static void done(via_session *s)
{
	via_session_close(s);
	rig_close(&r);
	rig_svc_close(&svc);
}

static via_message request(uint64_t id)
{
	return (via_message){.kind = VIA_WIRE_REQUEST,
			     .code = TEXT,
			     .item_count = 1,
			     .id = id,
			     .payload = text,
			     .payload_len = rig_text(text, LEN)};
}

struct sender {
	via_session *s;
	via_rc rc;
};

static void send_all(void *arg)
{
	struct sender *x = arg;
	via_message m = request(0);

	for (x->rc = VIA_OK; m.id < REQUESTS && x->rc == VIA_OK; m.id++)
		x->rc = rig_send(x->s, &m);
}

static void expect_text(via_session *s, uint64_t id)
{
	via_message m;
	via_rc rc = rig_recv(s, &m, back, sizeof back);

	cr_assert_eq(rc, VIA_OK, "answer %llu: %s: %s", (unsigned long long)id, via_rc_name(rc),
		     via_error());
	cr_assert_eq(m.id, id);
	cr_assert_eq(m.payload_len, via_string_reverse_size(LEN));
	cr_assert_arr_eq(back, text, m.payload_len);
}

static void check_lanes(const char *stack, uint32_t flags)
{
	struct sender x = {.s = serve(stack, flags)};
	os_thread *t = rig_thread(send_all, &x);
	uint64_t id;

	for (id = 0; id < REQUESTS; id++)
		expect_text(x.s, id);
	rig_join(t);
	cr_expect_eq(x.rc, VIA_OK, "%s", via_rc_name(x.rc));
	done(x.s);
}

STACK_TEST(crossing, a_thread_for_each_direction)
{
	check_lanes(stack, 0);
}

STACK_TEST(crossing, a_thread_for_each_direction_and_calls_on_the_pool)
{
	check_lanes(stack, VIA_SVC_BLOCKING);
}

/* One thread that never waits for one direction alone. */
struct both {
	via_session *s;
	via_message m;
	int pending;
	uint64_t sent, got;
};

static int go_on_sending(struct both *b)
{
	via_rc rc;

	if (b->sent == REQUESTS)
		return 0;
	rc = b->pending ? via_session_flush(b->s) : via_session_send(b->s, &b->m);
	b->pending = rc == VIA_PENDING || (b->pending && rc == VIA_AGAIN);
	cr_assert(rc == VIA_OK || rc == VIA_AGAIN || rc == VIA_PENDING, "%s: %s", via_rc_name(rc),
		  via_error());
	if (rc != VIA_OK)
		return 0;
	b->m.id = ++b->sent;
	return 1;
}

static int go_on_receiving(struct both *b)
{
	via_message m;
	via_rc rc = via_session_recv(b->s, &m);

	cr_assert(rc == VIA_OK || rc == VIA_AGAIN, "%s: %s", via_rc_name(rc), via_error());
	if (rc != VIA_OK)
		return 0;
	cr_assert_eq(m.id, b->got);
	cr_assert_eq(m.payload_len, via_string_reverse_size(LEN));
	via_session_release(b->s, &m);
	b->got++;
	return 1;
}

STACK_TEST(crossing, one_thread_for_both_directions)
{
	struct both b = {.s = serve(stack, 0), .m = request(0)};
	via_time end = via_deadline(RIG_SOON);

	while (b.got < REQUESTS) {
		int sent = go_on_sending(&b);

		if (go_on_receiving(&b) + sent == 0)
			rig_pause();
		cr_assert_lt(via_now(), end, "%llu sent, %llu answered", (unsigned long long)b.sent,
			     (unsigned long long)b.got);
	}
	done(b.s);
}
