/* tests/codecs/test_service.c - the services increment and string-reverse, called directly. */
#include "rig.h"

#include <criterion/criterion.h>

TestSuite(codec_services, .timeout = 10);

static via_rc call(int module, uint16_t method, const struct rig_room *request,
		   struct rig_room *response, uint64_t *len)
{
	const via_service *s = rig_service(module);
	void *session = &session;
	via_call c;
	via_rc rc;

	cr_assert_eq(s->open(NULL, NULL, &session), VIA_OK);
	cr_assert_null(session, "stateless services keep no session");
	memset(&c, 0, sizeof c);
	c.struct_size = sizeof c;
	c.method = method;
	c.request = request->room;
	c.request_len = request->cap;
	c.response = response->room;
	c.response_cap = response->cap;
	c.response_len = 77;
	c.deadline = VIA_FOREVER;
	rc = s->call(NULL, session, &c);
	*len = c.response_len;
	return rc;
}

Test(codec_services, description)
{
	const via_service *s = rig_service(RIG_S_INCREMENT);

	cr_expect_str_eq(s->name, "increment");
	cr_expect_str_eq(s->codecs[0], "increment");
	cr_expect_null(s->codecs[1]);
	cr_expect_eq(s->flags, VIA_SVC_CONCURRENT | VIA_SVC_IDEMPOTENT);
	s = rig_service(RIG_S_REVERSE);
	cr_expect_str_eq(s->name, "string-reverse");
	cr_expect_str_eq(s->codecs[0], "string-reverse");
	cr_expect_null(s->codecs[1]);
	cr_expect_eq(s->flags, VIA_SVC_CONCURRENT | VIA_SVC_IDEMPOTENT);
}

/* -- increment -------------------------------------------------------------------------------- */

static void expect_increment(uint64_t value, uint64_t want)
{
	struct rig_room request = rig_room_open(8), response = rig_room_open(8);
	uint64_t len;

	via_bytes_put_u64(request.room, value);
	cr_assert_eq(call(RIG_S_INCREMENT, 1, &request, &response, &len), VIA_OK);
	cr_expect_eq(len, 8);
	cr_expect_eq(via_bytes_get_u64(response.room), want);
	cr_expect(rig_room_whole(&response));
	rig_room_close(&request);
	rig_room_close(&response);
}

Test(codec_services, increment_counts_and_wraps)
{
	expect_increment(0, 1);
	expect_increment(41, 42);
	expect_increment(UINT32_MAX, UINT64_C(1) << 32);
	expect_increment(UINT64_MAX - 1, UINT64_MAX);
	expect_increment(UINT64_MAX, 0);
}

Test(codec_services, increment_refusals)
{
	struct rig_room request = rig_room_open(8), response;
	uint64_t len, cap;

	for (cap = 0; cap < 8; cap++) {
		response = rig_room_open(cap);
		cr_expect_eq(call(RIG_S_INCREMENT, 1, &request, &response, &len), VIA_TOOBIG);
		cr_expect_eq(len, 77, "a length although it failed");
		cr_expect(rig_room_blank(&response, 0));
		rig_room_close(&response);
	}
	response = rig_bytes(NULL, 0);
	cr_expect_eq(call(RIG_S_INCREMENT, 1, &request, &response, &len), VIA_TOOBIG);
	response = rig_room_open(64);
	request.cap = 7;
	cr_expect_eq(call(RIG_S_INCREMENT, 1, &request, &response, &len), VIA_PROTO);
	request.cap = 8;
	cr_expect_eq(call(RIG_S_INCREMENT, 3, &request, &response, &len), VIA_NOTSUP);
	cr_expect(rig_room_blank(&response, 0));
	rig_room_close(&response);
	rig_room_close(&request);
}

/* What a running server answered to the captured requests. */
Test(codec_services, increment_answers_like_the_captured_server)
{
	static const uint32_t at[] = {32, 56, 64, 72};
	const char *request_name, *response_name;
	struct rig_room request, response;
	uint64_t len;
	uint32_t i;
	vec in, out;

	for (i = 0; i < 4; i++) {
		request_name = i == 0 ? "l2-increment.req" : "l2-increment-batch3.req";
		response_name = i == 0 ? "l2-increment.resp" : "l2-increment-batch3.resp";
		in = rig_vec("live", request_name);
		out = rig_vec("live", response_name);
		request = rig_bytes(in.data + at[i], 8);
		response = rig_room_open(8);
		cr_assert_eq(call(RIG_S_INCREMENT, 1, &request, &response, &len), VIA_OK);
		cr_expect_eq(memcmp(response.room, out.data + at[i], 8), 0, "%s", response_name);
		rig_room_close(&response);
		vec_free(&in);
		vec_free(&out);
	}
}

/* -- string-reverse --------------------------------------------------------------------------- */

static void expect_reverse(const char *text, uint32_t n, const char *want)
{
	const via_string_reverse_view in = {text, n};
	struct rig_room request = rig_room_open(9 + (uint64_t)n);
	struct rig_room response = rig_room_open(9 + (uint64_t)n);
	via_string_reverse_view out;
	uint64_t len;

	cr_assert_eq(via_string_reverse_encode(request.room, request.cap, &in, &len), VIA_OK);
	cr_assert_eq(call(RIG_S_REVERSE, 3, &request, &response, &len), VIA_OK);
	cr_assert_eq(len, 9 + (uint64_t)n);
	cr_expect(rig_room_whole(&response));
	cr_assert_eq(via_string_reverse_open(&out, response.room, len, NULL), VIA_OK);
	cr_assert_eq(out.len, n);
	cr_expect_eq(memcmp(out.text, want, n), 0);
	rig_room_close(&request);
	rig_room_close(&response);
}

Test(codec_services, reverse_reverses_bytes)
{
	expect_reverse("", 0, "");
	expect_reverse("a", 1, "a");
	expect_reverse("abc", 3, "cba");
	expect_reverse("hello world", 11, "dlrow olleh");
	expect_reverse("a\0b\0", 4, "\0b\0a");
	expect_reverse("\xC3\xA9\xE2\x82\xAC", 5, "\xAC\x82\xE2\xA9\xC3");
}

Test(codec_services, reverse_refusals)
{
	const via_string_reverse_view in = {"abc", 3};
	struct rig_room request = rig_room_open(12), response;
	uint64_t len, cap;

	cr_assert_eq(via_string_reverse_encode(request.room, 12, &in, &len), VIA_OK);
	for (cap = 0; cap < 12; cap++) { /* 9: the header fits, nothing of the string does */
		response = rig_room_open(cap);
		cr_expect_eq(call(RIG_S_REVERSE, 3, &request, &response, &len), VIA_TOOBIG);
		cr_expect_eq(len, 77, "a length although it failed");
		cr_expect(rig_room_blank(&response, 0));
		rig_room_close(&response);
	}
	response = rig_room_open(64);
	request.cap = 11;
	cr_expect_eq(call(RIG_S_REVERSE, 3, &request, &response, &len), VIA_PROTO);
	request.cap = 12;
	cr_expect_eq(call(RIG_S_REVERSE, 1, &request, &response, &len), VIA_NOTSUP);
	cr_expect(rig_room_blank(&response, 0));
	rig_room_close(&response);
	rig_room_close(&request);
}
