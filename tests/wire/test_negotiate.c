/* tests/wire/test_negotiate.c - negotiation, both sides: docs/wire.md section 6. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

TestSuite(wire_negotiate, .timeout = 60);
TestSuite(wire_inspect, .timeout = 20);

#define N(array) (sizeof(array) / sizeof(array)[0])

/* -- selection against a model that looks at one bit after the other -------------------------- */

static uint32_t model_select(uint32_t client, uint32_t client_pref, uint32_t server,
			     uint32_t server_pref)
{
	int bit;

	for (bit = 31; bit >= 0; bit--) {
		uint32_t m = (uint32_t)1 << bit;

		if ((client & m) && (client_pref & m) && (server & m) && (server_pref & m))
			return m;
	}
	for (bit = 31; bit >= 0; bit--) {
		uint32_t m = (uint32_t)1 << bit;

		if ((client & m) && (server & m))
			return m;
	}
	return 0;
}

/* One case of the matrix. 0 when the answer is what section 6 says. */
static int differs(uint32_t c, uint32_t cp, uint32_t s, uint32_t sp)
{
	via_wire_hello hello = {.layout = 1,
				.supported = c,
				.preferred = cp,
				.max_request_payload = 100,
				.max_request_batch = 7,
				.max_response_payload = 1,
				.max_response_batch = 9,
				.auth_token = 5,
				.packet_size = 4000};
	via_wire_server server = {.supported = s,
				  .preferred = sp,
				  .max_request_payload = 100,
				  .max_response_payload = 300,
				  .packet_size = 5000,
				  .auth_token = 5,
				  .session_id = 42};
	via_wire_ack a, refusal;
	uint16_t status;

	memset(&a, 0xee, sizeof a);
	memset(&refusal, 0, sizeof refusal);
	refusal.layout = 1;
	status = via_wire_negotiate(&hello, &server, &a);
	if (via_wire_select(c, cp, s, sp) != model_select(c, cp, s, sp))
		return 1;
	if ((c & s) == 0)
		return status != VIA_STATUS_UNSUPPORTED || memcmp(&a, &refusal, sizeof a) != 0;
	return status != VIA_STATUS_OK || a.layout != 1 || a.flags != 0 ||
	       a.server_supported != s || a.intersection != (c & s) ||
	       a.selected != model_select(c, cp, s, sp) || a.max_request_payload != 100 ||
	       a.max_request_batch != 7 || a.max_response_payload != 300 ||
	       a.max_response_batch != 7 || a.packet_size != 4000 || a.reserved != 0 ||
	       a.session_id != 42;
}

Test(wire_negotiate, every_combination_of_four_profiles)
{
	uint32_t i, n = 0;

	for (i = 0; i < 0x10000; i++, n++) {
		if (differs(i & 15, i >> 4 & 15, i >> 8 & 15, i >> 12 & 15))
			cr_assert_fail("client %u prefers %u, server %u prefers %u", i & 15,
				       i >> 4 & 15, i >> 8 & 15, i >> 12 & 15);
	}
	cr_assert_eq(n, 65536);
}

Test(wire_negotiate, high_and_unknown_bits)
{
	uint32_t seed = 0x7f4a7c15, i;

	for (i = 0; i < 20000; i++) {
		uint32_t c = check_random(&seed), cp = check_random(&seed), s = check_random(&seed);

		if (differs(c & check_random(&seed), cp, s & check_random(&seed),
			    check_random(&seed)))
			cr_assert_fail("round %u", i);
	}
	cr_expect_eq(via_wire_select(0x80000001, 0, 0x80000001, 0), 0x80000000);
	cr_expect_eq(via_wire_select(UINT32_MAX, 0, UINT32_MAX, 0), 0x80000000);
	cr_expect_eq(via_wire_select(7, 2, 7, 2), 2);
	cr_expect_eq(via_wire_select(7, 2, 7, 0), 4, "no preference: the highest common bit");
	cr_expect_eq(via_wire_select(3, 4, 7, 4), 2,
		     "a preference that is not common counts nothing");
	cr_expect_eq(via_wire_select(0, 1, 1, 1), 0);
}

/* -- refusals --------------------------------------------------------------------------------- */

Test(wire_negotiate, refusals_in_order)
{
	via_wire_server server = {1, 0, 1024, 65536, 65536, 7, 1};
	uint32_t broken;

	for (broken = 0; broken < 16; broken++) {
		via_wire_hello hello = {1, 0, 1, 0, 1024, 1, 1024, 1, 7, 4096};
		uint16_t want = VIA_STATUS_OK, got;
		via_wire_ack a, zero;

		if (broken & 8) {
			hello.packet_size = 32;
			want = VIA_STATUS_INCOMPATIBLE;
		}
		if (broken & 4) {
			hello.max_request_payload = 1025;
			want = VIA_STATUS_LIMIT_EXCEEDED;
		}
		if (broken & 2) {
			hello.auth_token = 8;
			want = VIA_STATUS_AUTH_FAILED;
		}
		if (broken & 1) {
			hello.supported = 2;
			want = VIA_STATUS_UNSUPPORTED;
		}
		memset(&a, 0xee, sizeof a);
		memset(&zero, 0, sizeof zero);
		zero.layout = 1;
		got = via_wire_negotiate(&hello, &server, &a);
		cr_assert_eq(got, want, "defects %u: %s", broken, via_wire_status_name(got));
		if (want != VIA_STATUS_OK)
			cr_assert_eq(memcmp(&a, &zero, sizeof a), 0, "defects %u: not zero",
				     broken);
	}
}

Test(wire_negotiate, limits_at_their_edges)
{
	static const struct {
		uint32_t request, server_request, packet, server_packet;
		uint16_t status;
	} cases[] = {
		{1024, 1024, 4096, 4096, VIA_STATUS_OK},
		{1025, 1024, 4096, 4096, VIA_STATUS_LIMIT_EXCEEDED},
		{0, 0, 4096, 4096, VIA_STATUS_OK},
		{1, 0, 4096, 4096, VIA_STATUS_LIMIT_EXCEEDED},
		{0, 1024, 4096, 4096, VIA_STATUS_OK},
		{UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX, VIA_STATUS_OK},
		{UINT32_MAX, UINT32_MAX - 1, 99, 99, VIA_STATUS_LIMIT_EXCEEDED},
		{1, 1, 33, 4096, VIA_STATUS_OK},
		{1, 1, 4096, 33, VIA_STATUS_OK},
		{1, 1, 32, 4096, VIA_STATUS_INCOMPATIBLE},
		{1, 1, 4096, 32, VIA_STATUS_INCOMPATIBLE},
		{1, 1, 0, 4096, VIA_STATUS_INCOMPATIBLE},
	};
	size_t i;

	for (i = 0; i < N(cases); i++) {
		via_wire_hello hello = {1, 0,  1,  0, cases[i].request,
					3, 11, 12, 7, cases[i].packet};
		via_wire_server server =
			{1, 0, cases[i].server_request, 77, cases[i].server_packet, 7, UINT64_MAX};
		via_wire_ack a;
		uint16_t status = via_wire_negotiate(&hello, &server, &a);

		cr_assert_eq(status, cases[i].status, "case %zu: %s", i,
			     via_wire_status_name(status));
		if (status == VIA_STATUS_OK) {
			cr_expect_eq(a.max_request_payload, cases[i].request, "case %zu", i);
			cr_expect_eq(a.packet_size, cases[i].packet < cases[i].server_packet
							    ? cases[i].packet
							    : cases[i].server_packet);
			cr_expect_eq(a.max_response_payload, 77, "the server's, whatever the hint");
			cr_expect_eq(a.max_response_batch, 3, "the request batch, for both");
			cr_expect_eq(a.session_id, UINT64_MAX);
		}
	}
}

Test(wire_negotiate, batch_limits_and_token_are_taken_as_they_are)
{
	via_wire_server server = {1, 0, 1024, 65536, 65536, UINT64_MAX, 1};
	via_wire_hello hello = {1, 0xffff, 1, 0, 1024, 0, 1024, 5, UINT64_MAX, 4096};
	via_wire_ack a;

	cr_assert_eq(via_wire_negotiate(&hello, &server, &a), VIA_STATUS_OK);
	cr_expect_eq(a.max_request_batch, 0, "0 stays 0");
	cr_expect_eq(a.max_response_batch, 0);
	cr_expect_eq(a.flags, 0);
	hello.max_request_batch = UINT32_MAX;
	cr_assert_eq(via_wire_negotiate(&hello, &server, &a), VIA_STATUS_OK);
	cr_expect_eq(a.max_request_batch, UINT32_MAX, "a server has no ceiling for it");
	hello.auth_token = UINT64_MAX >> 32; /* the lower half agrees */
	cr_assert_eq(via_wire_negotiate(&hello, &server, &a), VIA_STATUS_AUTH_FAILED);
}

/* The exchange that was captured: its HELLO, negotiated, gives its HELLO_ACK byte for byte. */
Test(wire_negotiate, captured_handshake)
{
	vec h = check_vec("live", "l2-snapshot.hello"), a = check_vec("live", "l2-snapshot.ack");
	via_wire_server server = {1, 0, 4096, 65536, 65536, 0xDEADBEEFCAFEBABE, 1};
	uint8_t bytes[VIA_WIRE_ACK_PACKET];
	via_wire_hello hello;
	uint16_t status;
	via_wire_ack out;

	cr_assert_eq(via_wire_hello_inspect(h.data, h.len, &hello, NULL), VIA_HELLO_ACCEPT);
	status = via_wire_negotiate(&hello, &server, &out);
	via_wire_ack_packet(&out, status, bytes);
	cr_assert(vec_equal(&a, bytes, sizeof bytes));
	cr_assert_eq(via_wire_ack_inspect(a.data, a.len, &out, &status, NULL), VIA_OK);
	vec_free(&h);
	vec_free(&a);
}

/* -- a server's first packet ------------------------------------------------------------------ */

struct change {
	uint32_t size, at, value; /* size 0: none; 2 or 4 bytes */
};

static void apply(uint8_t *packet, const struct change *changes, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (changes[i].size == 2)
			check_put16(packet, changes[i].at, changes[i].value);
		else if (changes[i].size == 4)
			check_put32(packet, changes[i].at, changes[i].value);
	}
}

static const struct {
	const char *what;
	size_t len;
	struct change changes[3];
	int want;
	uint32_t flaw;
	uint64_t offset;
} firsts[] = {
	{"good", 76, {{0}}, VIA_HELLO_ACCEPT, 0, 0},
	{"longer than 76", 77, {{0}}, VIA_HELLO_ACCEPT, 0, 0},
	{"longer than 128", 200, {{0}}, VIA_HELLO_ACCEPT, 0, 0},
	{"header flags", 76, {{2, 10, 0xffff}}, VIA_HELLO_ACCEPT, 0, 0},
	{"header status", 76, {{2, 14, 5}}, VIA_HELLO_ACCEPT, 0, 0},
	{"payload_len and item_count", 76, {{4, 16, 9999}, {4, 20, 0}}, VIA_HELLO_ACCEPT, 0, 0},
	{"message_id", 76, {{4, 24, 1}}, VIA_HELLO_ACCEPT, 0, 0},
	{"hello flags", 76, {{2, 34, 0xffff}}, VIA_HELLO_ACCEPT, 0, 0},

	{"nothing", 0, {{0}}, VIA_HELLO_DROP, VIA_FLAW_TRUNCATED, 0},
	{"31 bytes", 31, {{0}}, VIA_HELLO_DROP, VIA_FLAW_TRUNCATED, 0},
	{"31 bytes of another version", 31, {{2, 4, 2}}, VIA_HELLO_DROP, VIA_FLAW_TRUNCATED, 0},
	{"magic", 76, {{4, 0, 1}}, VIA_HELLO_DROP, VIA_FLAW_BAD_MAGIC, 0},
	{"header_len", 76, {{2, 6, 33}}, VIA_HELLO_DROP, VIA_FLAW_BAD_HEADER_LEN, 6},
	{"kind 0", 76, {{2, 8, 0}}, VIA_HELLO_DROP, VIA_FLAW_BAD_KIND, 8},
	{"kind 4", 76, {{2, 8, 4}}, VIA_HELLO_DROP, VIA_FLAW_BAD_KIND, 8},

	{"version 2", 76, {{2, 4, 2}}, VIA_HELLO_REFUSE, VIA_FLAW_BAD_VERSION, 4},
	{"version 0", 76, {{2, 4, 0}}, VIA_HELLO_REFUSE, VIA_FLAW_BAD_VERSION, 4},
	{"version 2, header only", 32, {{2, 4, 2}}, VIA_HELLO_REFUSE, VIA_FLAW_BAD_VERSION, 4},
	{"version and magic", 76, {{2, 4, 2}, {4, 0, 1}}, VIA_HELLO_DROP, VIA_FLAW_BAD_MAGIC, 0},
	{"version and header_len",
	 76,
	 {{2, 4, 2}, {2, 6, 40}},
	 VIA_HELLO_DROP,
	 VIA_FLAW_BAD_VERSION,
	 4},
	{"version and kind", 76, {{2, 4, 2}, {2, 8, 1}}, VIA_HELLO_DROP, VIA_FLAW_BAD_VERSION, 4},
	{"version and code", 76, {{2, 4, 2}, {2, 12, 2}}, VIA_HELLO_DROP, VIA_FLAW_BAD_VERSION, 4},

	{"a request", 76, {{2, 8, 1}}, VIA_HELLO_DROP, VIA_FLAW_BAD_KIND, 8},
	{"a response", 76, {{2, 8, 2}}, VIA_HELLO_DROP, VIA_FLAW_BAD_KIND, 8},
	{"code 0", 76, {{2, 12, 0}}, VIA_HELLO_DROP, VIA_FLAW_BAD_LAYOUT, 12},
	{"a HELLO_ACK", 76, {{2, 12, 2}}, VIA_HELLO_DROP, VIA_FLAW_BAD_LAYOUT, 12},

	{"layout 2", 76, {{2, 32, 2}}, VIA_HELLO_REFUSE, VIA_FLAW_BAD_LAYOUT, 32},
	{"layout 0", 76, {{2, 32, 0}}, VIA_HELLO_REFUSE, VIA_FLAW_BAD_LAYOUT, 32},
	{"layout 2, longer", 90, {{2, 32, 2}}, VIA_HELLO_REFUSE, VIA_FLAW_BAD_LAYOUT, 32},
	{"layout and reserved",
	 76,
	 {{2, 32, 2}, {4, 60, 1}},
	 VIA_HELLO_REFUSE,
	 VIA_FLAW_BAD_LAYOUT,
	 32},
	{"layout 2, cut", 75, {{2, 32, 2}}, VIA_HELLO_DROP, VIA_FLAW_TRUNCATED, 32},

	{"header only", 32, {{0}}, VIA_HELLO_DROP, VIA_FLAW_TRUNCATED, 32},
	{"cut by one", 75, {{0}}, VIA_HELLO_DROP, VIA_FLAW_TRUNCATED, 32},
	{"reserved", 76, {{4, 60, 1}}, VIA_HELLO_DROP, VIA_FLAW_BAD_LAYOUT, 60},
};

Test(wire_inspect, first_packet_of_a_client)
{
	static const via_wire_hello hello = {1,    0, 3, 2, 8192, 16, 65536, 16, 0x1122334455667788,
					     65536};
	via_wire_hello out, again, untouched;
	uint8_t bytes[256], *packet;
	via_flaw why;
	size_t i;
	int got;

	memset(&untouched, 0xee, sizeof untouched);
	for (i = 0; i < N(firsts); i++) {
		memset(bytes, 0xcc, sizeof bytes);
		via_wire_hello_packet(&hello, bytes);
		apply(bytes, firsts[i].changes, N(firsts[i].changes));
		packet = check_copy(bytes, firsts[i].len);
		memset(&out, 0xee, sizeof out);
		why = (via_flaw){0};
		got = via_wire_hello_inspect(packet, firsts[i].len, &out, &why);
		cr_assert_eq(got, firsts[i].want, "%s: %d", firsts[i].what, got);
		cr_assert_eq(via_wire_hello_inspect(packet, firsts[i].len, &again, NULL), got);
		if (got == VIA_HELLO_ACCEPT) {
			cr_assert_eq(out.auth_token, hello.auth_token, "%s", firsts[i].what);
			cr_assert_eq(out.packet_size, hello.packet_size, "%s", firsts[i].what);
		} else {
			cr_assert_eq(memcmp(&out, &untouched, sizeof out), 0, "%s: written",
				     firsts[i].what);
		}
		cr_assert_eq(why.kind, firsts[i].flaw, "%s: %s", firsts[i].what,
			     via_flaw_name(why.kind));
		cr_assert_eq(why.offset, firsts[i].offset, "%s", firsts[i].what);
		free(packet);
	}
}

/* -- a client's answer ------------------------------------------------------------------------ */

static const struct {
	const char *what;
	size_t len;
	struct change changes[3];
	via_rc want;
	uint16_t status;
	uint32_t flaw;
	uint64_t offset;
} answers[] = {
	{"good", 80, {{0}}, VIA_OK, 0, 0, 0},
	{"longer", 128, {{0}}, VIA_OK, 0, 0, 0},
	{"header fields", 80, {{2, 10, 9}, {4, 16, 0}, {4, 20, 7}}, VIA_OK, 0, 0, 0},
	{"message_id", 80, {{4, 28, 7}}, VIA_OK, 0, 0, 0},
	{"reserved", 80, {{4, 68, 0xdeadbeef}}, VIA_OK, 0, 0, 0},
	{"packet 33", 80, {{4, 64, 33}}, VIA_OK, 0, 0, 0},
	{"an unknown profile", 80, {{4, 44, 0x80000000}}, VIA_OK, 0, 0, 0},
	{"everything 0 is allowed", 80, {{4, 48, 0}, {4, 52, 0}, {4, 56, 0}}, VIA_OK, 0, 0, 0},

	{"nothing", 0, {{0}}, VIA_PROTO, 0, VIA_FLAW_TRUNCATED, 0},
	{"31 bytes", 31, {{0}}, VIA_PROTO, 0, VIA_FLAW_TRUNCATED, 0},
	{"magic", 80, {{4, 0, 1}}, VIA_PROTO, 0, VIA_FLAW_BAD_MAGIC, 0},
	{"header_len", 80, {{2, 6, 0}}, VIA_PROTO, 0, VIA_FLAW_BAD_HEADER_LEN, 6},
	{"kind 0", 80, {{2, 8, 0}}, VIA_PROTO, 0, VIA_FLAW_BAD_KIND, 8},
	{"a response", 80, {{2, 8, 2}}, VIA_PROTO, 0, VIA_FLAW_BAD_KIND, 8},
	{"a HELLO", 80, {{2, 12, 1}}, VIA_PROTO, 0, VIA_FLAW_BAD_LAYOUT, 12},
	{"a HELLO with a status",
	 80,
	 {{2, 12, 1}, {2, 14, 2}},
	 VIA_PROTO,
	 0,
	 VIA_FLAW_BAD_LAYOUT,
	 12},

	{"version 2", 80, {{2, 4, 2}}, VIA_REFUSED, 3, VIA_FLAW_BAD_VERSION, 4},
	{"version 2, header only", 32, {{2, 4, 2}}, VIA_REFUSED, 3, VIA_FLAW_BAD_VERSION, 4},
	{"version 2 and a status",
	 80,
	 {{2, 4, 2}, {2, 14, 5}},
	 VIA_REFUSED,
	 3,
	 VIA_FLAW_BAD_VERSION,
	 4},
	{"version 2 and kind 9",
	 80,
	 {{2, 4, 2}, {2, 8, 9}},
	 VIA_REFUSED,
	 3,
	 VIA_FLAW_BAD_VERSION,
	 4},

	{"status 1", 80, {{2, 14, 1}}, VIA_REFUSED, 1, 0, 0},
	{"status 2", 80, {{2, 14, 2}}, VIA_REFUSED, 2, 0, 0},
	{"status 3", 80, {{2, 14, 3}}, VIA_REFUSED, 3, 0, 0},
	{"status 4", 80, {{2, 14, 4}}, VIA_REFUSED, 4, 0, 0},
	{"status 5", 80, {{2, 14, 5}}, VIA_REFUSED, 5, 0, 0},
	{"status 6", 80, {{2, 14, 6}}, VIA_REFUSED, 6, 0, 0},
	{"an unknown status", 80, {{2, 14, 0xffff}}, VIA_REFUSED, 0xffff, 0, 0},
	{"a bare refusal", 32, {{2, 14, 2}}, VIA_REFUSED, 2, 0, 0},
	{"a refusal with half a payload", 50, {{2, 14, 2}}, VIA_REFUSED, 2, 0, 0},
	{"a refusal of another layout", 80, {{2, 14, 2}, {2, 32, 9}}, VIA_REFUSED, 2, 0, 0},

	{"layout 2", 80, {{2, 32, 2}}, VIA_REFUSED, 3, VIA_FLAW_BAD_LAYOUT, 32},
	{"layout 2 and flags",
	 80,
	 {{2, 32, 2}, {2, 34, 1}},
	 VIA_REFUSED,
	 3,
	 VIA_FLAW_BAD_LAYOUT,
	 32},
	{"layout 2, cut", 79, {{2, 32, 2}}, VIA_PROTO, 0, VIA_FLAW_TRUNCATED, 32},
	{"header only", 32, {{0}}, VIA_PROTO, 0, VIA_FLAW_TRUNCATED, 32},
	{"cut by one", 79, {{0}}, VIA_PROTO, 0, VIA_FLAW_TRUNCATED, 32},
	{"flags", 80, {{2, 34, 1}}, VIA_PROTO, 0, VIA_FLAW_BAD_LAYOUT, 34},
	{"packet 32", 80, {{4, 64, 32}}, VIA_PROTO, 0, VIA_FLAW_OUT_OF_BOUNDS, 64},
	{"packet 0", 80, {{4, 64, 0}}, VIA_PROTO, 0, VIA_FLAW_OUT_OF_BOUNDS, 64},
	{"no profile", 80, {{4, 44, 0}}, VIA_PROTO, 0, VIA_FLAW_BAD_LAYOUT, 44},
	{"two profiles", 80, {{4, 44, 3}}, VIA_PROTO, 0, VIA_FLAW_BAD_LAYOUT, 44},
	{"all profiles", 80, {{4, 44, 0xffffffff}}, VIA_PROTO, 0, VIA_FLAW_BAD_LAYOUT, 44},
};

Test(wire_inspect, answer_of_a_server)
{
	static const via_wire_ack ack = {1, 0, 7, 3, 2, 8192, 16, 1048576, 16, 212992, 0, 99};
	via_wire_ack out, untouched;
	uint8_t bytes[256], *packet;
	uint16_t status;
	via_flaw why;
	size_t i;
	via_rc rc;

	memset(&untouched, 0xee, sizeof untouched);
	for (i = 0; i < N(answers); i++) {
		memset(bytes, 0xcc, sizeof bytes);
		via_wire_ack_packet(&ack, VIA_STATUS_OK, bytes);
		apply(bytes, answers[i].changes, N(answers[i].changes));
		packet = check_copy(bytes, answers[i].len);
		memset(&out, 0xee, sizeof out);
		why = (via_flaw){.kind = 77};
		status = 0x5555;
		rc = via_wire_ack_inspect(packet, answers[i].len, &out, &status, &why);
		cr_assert_eq(rc, answers[i].want, "%s: %s", answers[i].what, via_rc_name(rc));
		if (rc == VIA_OK) {
			cr_assert_eq(out.session_id, 99, "%s", answers[i].what);
			cr_assert_eq(status, VIA_STATUS_OK, "%s", answers[i].what);
			cr_assert_eq(why.kind, 77, "%s: why written on success", answers[i].what);
		} else {
			cr_assert_eq(memcmp(&out, &untouched, sizeof out), 0, "%s: ack written",
				     answers[i].what);
			cr_assert_eq(status, rc == VIA_REFUSED ? answers[i].status : 0x5555,
				     "%s: status %u", answers[i].what, status);
			cr_assert_eq(why.kind, answers[i].flaw, "%s: %s", answers[i].what,
				     via_flaw_name(why.kind));
			cr_assert_eq(why.offset, answers[i].offset, "%s", answers[i].what);
		}
		cr_assert_eq(via_wire_ack_inspect(packet, answers[i].len, &out, &status, NULL), rc);
		free(packet);
	}
}
