/* tests/wire/test_hello.c - handshake payloads and packets: docs/wire.md section 5. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

TestSuite(wire_hello, .timeout = 20);

#define N(array) (sizeof(array) / sizeof(array)[0])

/* -- vectors ---------------------------------------------------------------------------------- */

/* layout, flags, supported, preferred, request payload, batch, response payload, batch, token, packet */
static const struct {
	const char *folder, *name;
	int packet;    /* a whole message: the payload starts at 32 */
	int canonical; /* encodes back to the same bytes */
	via_wire_hello h;
} hellos[] = {
	{"valid", "hello-zero-config", 0, 1, {1, 0, 1, 0, 1024, 1, 1024, 1, 0, 65536}},
	{"valid", "pkt-hello-zero-config", 1, 1, {1, 0, 1, 0, 1024, 1, 1024, 1, 0, 65536}},
	{"valid", "hello-shm", 0, 1, {1, 0, 3, 2, 8192, 16, 65536, 16, 0x1122334455667788, 212992}},
	{"valid",
	 "hello-maxima",
	 0,
	 1,
	 {1, 0, UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT64_MAX,
	  UINT32_MAX}},
	{"lenient", "hello-flags", 0, 1, {1, 0xffff, 1, 0, 1024, 1, 1024, 1, 7, 4096}},
	{"lenient", "hello-zero-limits", 0, 1, {1, 0, 0, 0, 0, 0, 0, 0, 7, 0}},
	{"lenient", "hello-48-bytes", 0, 0, {1, 0, 1, 0, 1024, 1, 1024, 1, 7, 4096}},
	{"live", "live-hello-zero-config", 1, 1, {1, 0, 1, 0, 1024, 1, 1024, 1, 0, 212992}},
	{"live",
	 "live-hello-configured",
	 1,
	 1,
	 {1, 0, 3, 2, 8192, 16, 65536, 16, 0x1122334455667788, 65536}},
	{"live",
	 "l2-snapshot.hello",
	 1,
	 1,
	 {1, 0, 1, 1, 4096, 16, 65536, 16, 0xDEADBEEFCAFEBABE, 65536}},
	{"interop", "hello", 0, 1, {1, 0, 5, 4, 4096, 100, 1048576, 1, 0xAABBCCDDEEFF0011, 65536}},
};

/* layout, flags, server, intersection, selected, request payload, batch, response payload, batch, packet,
 * reserved, session */
static const struct {
	const char *folder, *name;
	int packet, canonical;
	uint16_t status;
	via_wire_ack a;
} acks[] = {
	{"valid", "pkt-ack-ok-baseline", 1, 1, 0, {1, 0, 1, 1, 1, 1024, 1, 65536, 1, 65536, 0, 1}},
	{"valid",
	 "ack-ok-shm",
	 0,
	 1,
	 0,
	 {1, 0, 7, 3, 2, 8192, 16, 1048576, 16, 212992, 0, 0xABCDEF0123456789}},
	{"valid", "ack-rejected", 0, 1, 0, {.layout = 1}},
	{"valid", "pkt-ack-rejected-status-2", 1, 1, 2, {.layout = 1}},
	{"valid", "pkt-ack-rejected-status-3", 1, 1, 3, {.layout = 1}},
	{"valid", "pkt-ack-rejected-status-4", 1, 1, 4, {.layout = 1}},
	{"valid", "pkt-ack-rejected-status-5", 1, 1, 5, {.layout = 1}},
	{"lenient",
	 "ack-reserved",
	 0,
	 1,
	 0,
	 {1, 0, 1, 1, 1, 1024, 1, 1024, 1, 4096, 0xDEADBEEF, 1}},
	{"lenient", "ack-trailing", 0, 0, 0, {1, 0, 1, 1, 1, 1024, 1, 1024, 1, 4096, 0, 1}},
	{"live", "live-ack-unsupported", 1, 1, 4, {.layout = 1}},
	{"live", "live-ack-limit-exceeded", 1, 1, 5, {.layout = 1}},
	{"live", "live-ack-incompatible-packet-size", 1, 1, 3, {.layout = 1}},
	{"live", "l2-snapshot.ack", 1, 1, 0, {1, 0, 1, 1, 1, 4096, 16, 65536, 16, 65536, 0, 1}},
	{"interop", "hello_ack", 0, 1, 0, {1, 0, 7, 5, 4, 2048, 50, 65536, 1, 32768, 0, 1}},
};

static void expect_hello(const char *name, const via_wire_hello *h, const via_wire_hello *want)
{
	cr_expect_eq(h->layout, want->layout, "%s: layout %u", name, h->layout);
	cr_expect_eq(h->flags, want->flags, "%s: flags %u", name, h->flags);
	cr_expect_eq(h->supported, want->supported, "%s: supported %u", name, h->supported);
	cr_expect_eq(h->preferred, want->preferred, "%s: preferred %u", name, h->preferred);
	cr_expect_eq(h->max_request_payload, want->max_request_payload, "%s: request", name);
	cr_expect_eq(h->max_request_batch, want->max_request_batch, "%s: request batch", name);
	cr_expect_eq(h->max_response_payload, want->max_response_payload, "%s: response", name);
	cr_expect_eq(h->max_response_batch, want->max_response_batch, "%s: response batch", name);
	cr_expect_eq(h->auth_token, want->auth_token, "%s: token", name);
	cr_expect_eq(h->packet_size, want->packet_size, "%s: packet_size %u", name, h->packet_size);
}

static void expect_ack(const char *name, const via_wire_ack *a, const via_wire_ack *want)
{
	cr_expect_eq(a->layout, want->layout, "%s: layout %u", name, a->layout);
	cr_expect_eq(a->flags, want->flags, "%s: flags %u", name, a->flags);
	cr_expect_eq(a->server_supported, want->server_supported, "%s: server", name);
	cr_expect_eq(a->intersection, want->intersection, "%s: intersection", name);
	cr_expect_eq(a->selected, want->selected, "%s: selected", name);
	cr_expect_eq(a->max_request_payload, want->max_request_payload, "%s: request", name);
	cr_expect_eq(a->max_request_batch, want->max_request_batch, "%s: request batch", name);
	cr_expect_eq(a->max_response_payload, want->max_response_payload, "%s: response", name);
	cr_expect_eq(a->max_response_batch, want->max_response_batch, "%s: response batch", name);
	cr_expect_eq(a->packet_size, want->packet_size, "%s: packet_size", name);
	cr_expect_eq(a->reserved, want->reserved, "%s: reserved", name);
	cr_expect_eq(a->session_id, want->session_id, "%s: session", name);
}

Test(wire_hello, hello_vectors)
{
	uint8_t bytes[VIA_WIRE_HELLO_PACKET];
	via_wire_hello h;
	uint32_t len;
	size_t i;

	for (i = 0; i < N(hellos); i++) {
		const char *name = hellos[i].name;
		size_t skip = hellos[i].packet ? 32 : 0;
		vec v = check_vec(hellos[i].folder, name);

		memset(&h, 0xee, sizeof h);
		cr_assert_eq(via_wire_hello_decode(v.data + skip, v.len - skip, &h, NULL), VIA_OK,
			     "%s", name);
		expect_hello(name, &h, &hellos[i].h);

		memset(bytes, 0xaa, sizeof bytes);
		if (hellos[i].packet) {
			len = via_wire_hello_packet(&hellos[i].h, bytes);
			cr_expect_eq(len, VIA_WIRE_HELLO_PACKET);
		} else {
			via_wire_hello_encode(&hellos[i].h, bytes);
			len = VIA_WIRE_HELLO_LEN;
		}
		if (hellos[i].canonical)
			cr_expect(vec_equal(&v, bytes, len), "%s: other bytes", name);
		vec_free(&v);
	}
	cr_expect_eq(check_count("valid", "hello-"), 3);
	cr_expect_eq(check_count("lenient", "hello-"), 3);
	cr_expect_eq(check_count("live", "live-hello-"), 2);
}

Test(wire_hello, ack_vectors)
{
	uint8_t bytes[VIA_WIRE_ACK_PACKET];
	via_wire_header head;
	via_wire_ack a;
	uint32_t len;
	size_t i;

	for (i = 0; i < N(acks); i++) {
		const char *name = acks[i].name;
		size_t skip = acks[i].packet ? 32 : 0;
		vec v = check_vec(acks[i].folder, name);

		memset(&a, 0xee, sizeof a);
		cr_assert_eq(via_wire_ack_decode(v.data + skip, v.len - skip, &a, NULL), VIA_OK,
			     "%s", name);
		expect_ack(name, &a, &acks[i].a);

		memset(bytes, 0xaa, sizeof bytes);
		if (acks[i].packet) {
			cr_assert_eq(via_wire_header_decode(v.data, v.len, &head, NULL), VIA_OK);
			cr_expect_eq(head.status, acks[i].status, "%s: status", name);
			len = via_wire_ack_packet(&acks[i].a, acks[i].status, bytes);
			cr_expect_eq(len, VIA_WIRE_ACK_PACKET);
		} else {
			via_wire_ack_encode(&acks[i].a, bytes);
			len = VIA_WIRE_ACK_LEN;
		}
		if (acks[i].canonical)
			cr_expect(vec_equal(&v, bytes, len), "%s: other bytes", name);
		vec_free(&v);
	}
	cr_expect_eq(check_count("valid", "ack-"), 2);
	cr_expect_eq(check_count("lenient", "ack-"), 2);
	cr_expect_eq(check_count("live", "live-ack-"), 3);
}

/* -- HELLO ------------------------------------------------------------------------------------ */

static const via_wire_hello hello = {.layout = 1,
				     .flags = 0x0203,
				     .supported = 0x04050607,
				     .preferred = 0x08090a0b,
				     .max_request_payload = 0x0c0d0e0f,
				     .max_request_batch = 0x10111213,
				     .max_response_payload = 0x14151617,
				     .max_response_batch = 0x18191a1b,
				     .auth_token = 0x2021222324252627,
				     .packet_size = 0x28292a2b};

Test(wire_hello, hello_byte_image)
{
	static const uint8_t image[VIA_WIRE_HELLO_LEN] = {
		1,    0,    3,    2,    7,    6,    5,    4,    0x0b, 0x0a, 9,
		8,    0x0f, 0x0e, 0x0d, 0x0c, 0x13, 0x12, 0x11, 0x10, 0x17, 0x16,
		0x15, 0x14, 0x1b, 0x1a, 0x19, 0x18, 0,    0,    0,    0,    0x27,
		0x26, 0x25, 0x24, 0x23, 0x22, 0x21, 0x20, 0x2b, 0x2a, 0x29, 0x28,
	};
	uint8_t bytes[VIA_WIRE_HELLO_LEN + 4];

	memset(bytes, 0xaa, sizeof bytes);
	via_wire_hello_encode(&hello, bytes);
	cr_assert_arr_eq(bytes, image, sizeof image);
	cr_assert_eq(bytes[VIA_WIRE_HELLO_LEN], 0xaa, "44 bytes, not what sizeof the struct says");
	cr_assert_gt(sizeof(via_wire_hello), VIA_WIRE_HELLO_LEN);
}

Test(wire_hello, what_lies_between_members_does_not_travel)
{
	uint8_t clean[VIA_WIRE_HELLO_LEN], bytes[VIA_WIRE_HELLO_LEN];
	via_wire_hello dirty, a, b;

	via_wire_hello_encode(&hello, clean);
	memset(&dirty, 0xff, sizeof dirty);
	cr_assert_eq(via_wire_hello_decode(clean, sizeof clean, &dirty, NULL), VIA_OK);
	memset(bytes, 0xaa, sizeof bytes);
	via_wire_hello_encode(&dirty, bytes);
	cr_assert_arr_eq(bytes, clean, sizeof clean);

	/* Nor does what was in the struct before survive a decode. */
	memset(&a, 0x00, sizeof a);
	memset(&b, 0xff, sizeof b);
	cr_assert_eq(via_wire_hello_decode(clean, sizeof clean, &a, NULL), VIA_OK);
	cr_assert_eq(via_wire_hello_decode(clean, sizeof clean, &b, NULL), VIA_OK);
	cr_assert_eq(memcmp(&a, &b, sizeof a), 0);
}

Test(wire_hello, hello_refusals_in_order)
{
	uint8_t bytes[VIA_WIRE_HELLO_LEN], *cut;
	via_wire_hello out;
	via_flaw why;
	size_t len;

	memcpy(&out, &hello, sizeof out); /* an assignment need not copy what is between members */
	via_wire_hello_encode(&hello, bytes);
	check_put16(bytes, 0, 2);
	check_put32(bytes, 28, 0x01000000);
	for (len = 0; len < sizeof bytes; len++) {
		cut = check_copy(bytes, len);
		cr_assert_eq(via_wire_hello_decode(cut, len, &out, &why), VIA_PROTO);
		check_flaw("cut", &why, VIA_FLAW_TRUNCATED, 0, 44, len);
		free(cut);
	}
	cr_assert_eq(via_wire_hello_decode(bytes, 44, &out, &why), VIA_PROTO);
	check_flaw("layout", &why, VIA_FLAW_BAD_LAYOUT, 0, 1, 2);
	check_put16(bytes, 0, 1);
	cr_assert_eq(via_wire_hello_decode(bytes, 44, &out, &why), VIA_PROTO);
	check_flaw("reserved", &why, VIA_FLAW_BAD_LAYOUT, 28, 0, 0x01000000);
	cr_assert_eq(via_wire_hello_decode(bytes, 44, &out, NULL), VIA_PROTO);
	cr_assert_eq(memcmp(&out, &hello, sizeof out), 0, "written on failure");
	check_put32(bytes, 28, 0);
	cr_assert_eq(via_wire_hello_decode(bytes, 44, &out, &why), VIA_OK, "flags are not checked");
	expect_hello("round trip", &out, &hello);
}

/* -- HELLO_ACK -------------------------------------------------------------------------------- */

static const via_wire_ack ack = {.layout = 1,
				 .server_supported = 0x04050607,
				 .intersection = 0x08090a0b,
				 .selected = 0x0c0d0e0f,
				 .max_request_payload = 0x10111213,
				 .max_request_batch = 0x14151617,
				 .max_response_payload = 0x18191a1b,
				 .max_response_batch = 0x1c1d1e1f,
				 .packet_size = 0x20212223,
				 .reserved = 0x24252627,
				 .session_id = 0x28292a2b2c2d2e2f};

Test(wire_hello, ack_byte_image)
{
	static const uint8_t image[VIA_WIRE_ACK_LEN] = {
		1,    0,    0,    0,    7,    6,    5,    4,    0x0b, 0x0a, 9,    8,
		0x0f, 0x0e, 0x0d, 0x0c, 0x13, 0x12, 0x11, 0x10, 0x17, 0x16, 0x15, 0x14,
		0x1b, 0x1a, 0x19, 0x18, 0x1f, 0x1e, 0x1d, 0x1c, 0x23, 0x22, 0x21, 0x20,
		0x27, 0x26, 0x25, 0x24, 0x2f, 0x2e, 0x2d, 0x2c, 0x2b, 0x2a, 0x29, 0x28,
	};
	uint8_t bytes[VIA_WIRE_ACK_LEN + 4];

	memset(bytes, 0xaa, sizeof bytes);
	via_wire_ack_encode(&ack, bytes);
	cr_assert_arr_eq(bytes, image, sizeof image);
	cr_assert_eq(bytes[VIA_WIRE_ACK_LEN], 0xaa, "more than 48 bytes written");
}

Test(wire_hello, ack_refusals_in_order)
{
	uint8_t bytes[VIA_WIRE_ACK_LEN], *cut;
	via_wire_ack out = ack;
	via_flaw why;
	size_t len;

	via_wire_ack_encode(&ack, bytes);
	check_put16(bytes, 0, 0);
	check_put16(bytes, 2, 0x0100);
	for (len = 0; len < sizeof bytes; len++) {
		cut = check_copy(bytes, len);
		cr_assert_eq(via_wire_ack_decode(cut, len, &out, &why), VIA_PROTO);
		check_flaw("cut", &why, VIA_FLAW_TRUNCATED, 0, 48, len);
		free(cut);
	}
	cr_assert_eq(via_wire_ack_decode(bytes, 48, &out, &why), VIA_PROTO);
	check_flaw("layout", &why, VIA_FLAW_BAD_LAYOUT, 0, 1, 0);
	check_put16(bytes, 0, 1);
	cr_assert_eq(via_wire_ack_decode(bytes, 48, &out, &why), VIA_PROTO);
	check_flaw("flags", &why, VIA_FLAW_BAD_LAYOUT, 2, 0, 0x0100);
	cr_assert_eq(memcmp(&out, &ack, sizeof out), 0, "written on failure");
	check_put16(bytes, 2, 0);
	cr_assert_eq(via_wire_ack_decode(bytes, 48, &out, &why), VIA_OK, "reserved is not checked");
	expect_ack("round trip", &out, &ack);
}
