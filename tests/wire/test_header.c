/* tests/wire/test_header.c - outer header and chunk header: docs/wire.md sections 2 and 4. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

TestSuite(wire_header, .timeout = 20);
TestSuite(wire_chunk, .timeout = 20);

/* -- outer header: vectors -------------------------------------------------------------------- */

static const struct {
	const char *folder, *name;
	via_wire_header h; /* kind, flags, code, status, payload_len, item_count, message_id */
} header_vectors[] = {
	{"valid", "hdr-request-single", {1, 0, 1, 0, 8, 1, 1}},
	{"valid", "hdr-request-batch", {1, 1, 1, 0, 80, 5, 0x0102030405060708}},
	{"valid", "hdr-response-ok", {2, 0, 2, 0, 24, 1, 2}},
	{"valid", "hdr-response-batch", {2, 1, 3, 0, 128, 4, 3}},
	{"valid", "hdr-request-method-1", {1, 0, 1, 0, 16, 1, 0x65}},
	{"valid", "hdr-request-method-4", {1, 0, 4, 0, 16, 1, 0x68}},
	{"valid", "hdr-request-method-5", {1, 0, 5, 0, 16, 1, 0x69}},
	{"valid", "hdr-response-status-1", {2, 0, 4, 1, 0, 1, 0x33}},
	{"valid", "hdr-response-status-2", {2, 0, 4, 2, 0, 1, 0x34}},
	{"valid", "hdr-response-status-3", {2, 0, 4, 3, 0, 1, 0x35}},
	{"valid", "hdr-response-status-4", {2, 0, 4, 4, 0, 1, 0x36}},
	{"valid", "hdr-response-status-5", {2, 0, 4, 5, 0, 1, 0x37}},
	{"valid", "hdr-response-status-6", {2, 0, 4, 6, 0, 1, 0x38}},
	{"valid", "hdr-control-hello", {3, 0, 1, 0, 44, 1, 0}},
	{"valid", "hdr-control-hello-ack", {3, 0, 2, 0, 48, 1, 0}},
	{"lenient", "hdr-unknown-code-status", {1, 0, 0xffff, 0xffff, 8, 1, 1}},
	{"lenient", "hdr-item-count-0", {1, 0, 1, 0, 8, 0, 1}},
	{"lenient", "hdr-trailing-bytes", {1, 0, 1, 0, 8, 1, 1}},
	{"lenient",
	 "hdr-all-ones-tail",
	 {1, 0xffff, 0xffff, 0xffff, UINT32_MAX, UINT32_MAX, UINT64_MAX}},
	{"interop", "header", {1, 1, 2, 0, 12345, 42, 0xDEADBEEFCAFEBABE}},
	/* whole messages; payload_len is also what follows the header */
	{"valid", "pkt-hello-zero-config", {3, 0, 1, 0, 44, 1, 0}},
	{"valid", "pkt-ack-ok-baseline", {3, 0, 2, 0, 48, 1, 0}},
	{"valid", "pkt-ack-rejected-status-2", {3, 0, 2, 2, 48, 1, 0}},
	{"valid", "pkt-ack-rejected-status-3", {3, 0, 2, 3, 48, 1, 0}},
	{"valid", "pkt-ack-rejected-status-4", {3, 0, 2, 4, 48, 1, 0}},
	{"valid", "pkt-ack-rejected-status-5", {3, 0, 2, 5, 48, 1, 0}},
	{"valid", "pkt-increment-request", {1, 0, 1, 0, 8, 1, 1}},
	{"valid", "pkt-increment-response", {2, 0, 1, 0, 8, 1, 1}},
	{"valid", "pkt-response-internal-error", {2, 0, 2, 6, 0, 1, 9}},
	{"valid", "pkt-snapshot-request", {1, 0, 2, 0, 4, 1, 1}},
	{"live", "live-ack-unsupported", {3, 0, 2, 4, 48, 1, 0}},
	{"live", "live-ack-limit-exceeded", {3, 0, 2, 5, 48, 1, 0}},
	{"live", "live-ack-incompatible-packet-size", {3, 0, 2, 3, 48, 1, 0}},
	{"live", "live-hello-zero-config", {3, 0, 1, 0, 44, 1, 0}},
	{"live", "live-hello-configured", {3, 0, 1, 0, 44, 1, 0}},
	{"live", "l2-snapshot.hello", {3, 0, 1, 0, 44, 1, 0}},
	{"live", "l2-snapshot.ack", {3, 0, 2, 0, 48, 1, 0}},
	{"live", "l2-snapshot.req", {1, 0, 2, 0, 4, 1, 1}},
	{"live", "l2-snapshot.resp", {2, 0, 2, 0, 281, 1, 1}},
	{"live", "l2-unsupported-method.req", {1, 0, 1, 0, 8, 1, 2}},
	{"live", "l2-unsupported-method.resp", {2, 0, 1, 4, 0, 1, 2}},
	{"live", "l2-increment-batch3.req", {1, 1, 1, 0, 48, 3, 2}},
	{"live", "l2-increment-batch3.resp", {2, 1, 1, 0, 48, 3, 2}},
};

#define N(array) (sizeof(array) / sizeof(array)[0])

Test(wire_header, vectors_decode_and_encode_back)
{
	uint8_t bytes[VIA_WIRE_HEADER];
	via_wire_header h;
	size_t i;

	for (i = 0; i < N(header_vectors); i++) {
		const char *name = header_vectors[i].name;
		vec v = check_vec(header_vectors[i].folder, name);

		memset(&h, 0xee, sizeof h);
		cr_assert_eq(via_wire_header_decode(v.data, v.len, &h, NULL), VIA_OK, "%s", name);
		cr_expect_eq(h.kind, header_vectors[i].h.kind, "%s: kind %u", name, h.kind);
		cr_expect_eq(h.flags, header_vectors[i].h.flags, "%s: flags %u", name, h.flags);
		cr_expect_eq(h.code, header_vectors[i].h.code, "%s: code %u", name, h.code);
		cr_expect_eq(h.status, header_vectors[i].h.status, "%s: status %u", name, h.status);
		cr_expect_eq(h.payload_len, header_vectors[i].h.payload_len, "%s: payload_len",
			     name);
		cr_expect_eq(h.item_count, header_vectors[i].h.item_count, "%s: item_count", name);
		cr_expect_eq(h.message_id, header_vectors[i].h.message_id, "%s: message_id", name);
		if (v.len > VIA_WIRE_HEADER && strcmp(name, "hdr-trailing-bytes") != 0)
			cr_expect_eq(v.len, VIA_WIRE_HEADER + h.payload_len, "%s: length", name);

		memset(bytes, 0xaa, sizeof bytes);
		via_wire_header_encode(&header_vectors[i].h, bytes);
		cr_expect_eq(memcmp(bytes, v.data, sizeof bytes), 0, "%s: other bytes", name);
		vec_free(&v);
	}
}

Test(wire_header, every_vector_is_in_the_table)
{
	int n_valid = 0, n_packets = 0, n_lenient = 0;
	size_t i;

	for (i = 0; i < N(header_vectors); i++) {
		n_valid += strcmp(header_vectors[i].folder, "valid") == 0 &&
			   strncmp(header_vectors[i].name, "hdr-", 4) == 0;
		n_packets += strncmp(header_vectors[i].name, "pkt-", 4) == 0;
		n_lenient += strcmp(header_vectors[i].folder, "lenient") == 0;
	}
	cr_expect_eq(n_valid, check_count("valid", "hdr-"));
	cr_expect_eq(n_packets, check_count("valid", "pkt-"));
	cr_expect_eq(n_lenient, check_count("lenient", "hdr-"));
}

static int check_live_message(void *arg, const char *name)
{
	size_t len = strlen(name);
	via_wire_header h;
	vec v;

	if ((len > 4 && strcmp(name + len - 4, ".req") == 0) ||
	    (len > 5 && strcmp(name + len - 5, ".resp") == 0)) {
		v = check_vec("live", name);
		cr_assert_eq(via_wire_header_decode(v.data, v.len, &h, NULL), VIA_OK, "%s", name);
		cr_expect_eq(h.kind, name[len - 1] == 'q' ? VIA_WIRE_REQUEST : VIA_WIRE_RESPONSE);
		cr_expect_eq(v.len, VIA_WIRE_HEADER + h.payload_len, "%s: length", name);
		vec_free(&v);
		(*(int *)arg)++;
	}
	return 0;
}

Test(wire_header, captured_messages_are_whole)
{
	int n = 0;

	cr_assert_gt(vec_list("live", check_live_message, &n), 0, "%s", vec_error());
	cr_assert_geq(n, 24);
}

/* -- outer header: rules ---------------------------------------------------------------------- */

static const via_wire_header distinct = {.kind = 2,
					 .flags = 0x0102,
					 .code = 0x0304,
					 .status = 0x0506,
					 .payload_len = 0x0708090a,
					 .item_count = 0x0b0c0d0e,
					 .message_id = 0x1112131415161718};

Test(wire_header, byte_image)
{
	static const uint8_t image[VIA_WIRE_HEADER] = {
		0x43, 0x50, 0x49, 0x4e, 1,    0,    32,   0,    2,    0,    2,
		1,    4,    3,    6,    5,    0x0a, 9,    8,    7,    0x0e, 0x0d,
		0x0c, 0x0b, 0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12, 0x11,
	};
	uint8_t bytes[VIA_WIRE_HEADER + 8];
	via_wire_header h;

	memset(bytes, 0xaa, sizeof bytes);
	via_wire_header_encode(&distinct, bytes);
	cr_assert_arr_eq(bytes, image, sizeof image);
	cr_assert_eq(bytes[VIA_WIRE_HEADER], 0xaa, "more than 32 bytes written");
	cr_assert_eq(via_wire_header_decode(bytes, sizeof image, &h, NULL), VIA_OK);
	cr_assert_eq(memcmp(&h, &distinct, sizeof h), 0);
}

Test(wire_header, at_any_address)
{
	uint8_t room[VIA_WIRE_HEADER + 8];
	via_wire_header h;
	size_t shift;

	for (shift = 0; shift < 8; shift++) {
		via_wire_header_encode(&distinct, room + shift);
		cr_assert_eq(via_wire_header_decode(room + shift, VIA_WIRE_HEADER, &h, NULL),
			     VIA_OK);
		cr_assert_eq(memcmp(&h, &distinct, sizeof h), 0, "shifted by %zu", shift);
	}
}

Test(wire_header, truncated)
{
	uint8_t bytes[VIA_WIRE_HEADER];
	via_wire_header h = distinct;
	via_flaw why;
	size_t len;

	via_wire_header_encode(&distinct, bytes);
	for (len = 0; len < sizeof bytes; len++) {
		uint8_t *cut = check_copy(bytes, len);

		cr_assert_eq(via_wire_header_decode(cut, len, &h, &why), VIA_PROTO);
		check_flaw("cut", &why, VIA_FLAW_TRUNCATED, 0, 32, len);
		free(cut);
	}
	cr_assert_eq(via_wire_header_decode(NULL, 0, &h, NULL), VIA_PROTO);
	cr_assert_eq(memcmp(&h, &distinct, sizeof h), 0, "written on failure");
}

Test(wire_header, kinds)
{
	uint8_t bytes[VIA_WIRE_HEADER];
	via_wire_header h = distinct, out;
	uint32_t kind;
	via_flaw why;

	for (kind = 0; kind <= 0xffff; kind++) {
		h.kind = (uint16_t)kind;
		via_wire_header_encode(&h, bytes);
		if (kind >= 1 && kind <= 3) {
			cr_assert_eq(via_wire_header_decode(bytes, 32, &out, &why), VIA_OK);
			cr_assert_eq(out.kind, kind);
		} else if (via_wire_header_decode(bytes, 32, &out, &why) != VIA_PROTO ||
			   why.kind != VIA_FLAW_BAD_KIND || why.offset != 8 || why.found != kind) {
			cr_assert_fail("kind %u", kind);
		}
	}
}

Test(wire_header, each_field_alone)
{
	uint8_t good[VIA_WIRE_HEADER], bytes[VIA_WIRE_HEADER];
	via_wire_header h = distinct;
	via_flaw why;

	via_wire_header_encode(&distinct, good);

	memcpy(bytes, good, sizeof bytes);
	check_put32(bytes, 0, 0x4350494e);
	cr_assert_eq(via_wire_header_decode(bytes, 32, &h, &why), VIA_PROTO);
	check_flaw("magic", &why, VIA_FLAW_BAD_MAGIC, 0, VIA_WIRE_MAGIC, 0x4350494e);

	memcpy(bytes, good, sizeof bytes);
	check_put16(bytes, 4, 2);
	cr_assert_eq(via_wire_header_decode(bytes, 32, &h, &why), VIA_PROTO);
	check_flaw("version", &why, VIA_FLAW_BAD_VERSION, 4, 1, 2);

	memcpy(bytes, good, sizeof bytes);
	check_put16(bytes, 6, 31);
	cr_assert_eq(via_wire_header_decode(bytes, 32, &h, &why), VIA_PROTO);
	check_flaw("header_len", &why, VIA_FLAW_BAD_HEADER_LEN, 6, 32, 31);

	cr_assert_eq(via_wire_header_decode(bytes, 32, &h, NULL), VIA_PROTO, "why may be NULL");
	cr_assert_eq(memcmp(&h, &distinct, sizeof h), 0, "written on failure");
}

Test(wire_header, first_failure_wins)
{
	uint8_t bytes[VIA_WIRE_HEADER];
	via_wire_header h;
	via_flaw why;

	memset(bytes, 0xff, sizeof bytes);
	via_wire_header_decode(bytes, 31, &h, &why);
	cr_expect_eq(why.kind, VIA_FLAW_TRUNCATED);
	via_wire_header_decode(bytes, 32, &h, &why);
	cr_expect_eq(why.kind, VIA_FLAW_BAD_MAGIC);
	check_put32(bytes, 0, VIA_WIRE_MAGIC);
	via_wire_header_decode(bytes, 32, &h, &why);
	cr_expect_eq(why.kind, VIA_FLAW_BAD_VERSION);
	check_put16(bytes, 4, 1);
	via_wire_header_decode(bytes, 32, &h, &why);
	cr_expect_eq(why.kind, VIA_FLAW_BAD_HEADER_LEN);
	check_put16(bytes, 6, 32);
	via_wire_header_decode(bytes, 32, &h, &why);
	cr_expect_eq(why.kind, VIA_FLAW_BAD_KIND);
	cr_expect_eq(why.item, VIA_FLAW_NO_ITEM);
	check_put16(bytes, 8, 3);
	cr_expect_eq(via_wire_header_decode(bytes, 32, &h, &why), VIA_OK);
}

Test(wire_header, status_names)
{
	static const char *const names[] =
		{"OK",          "BAD_ENVELOPE",   "AUTH_FAILED",   "INCOMPATIBLE",
		 "UNSUPPORTED", "LIMIT_EXCEEDED", "INTERNAL_ERROR"};
	uint32_t i;

	for (i = 0; i < N(names); i++)
		cr_expect_str_eq(via_wire_status_name((uint16_t)i), names[i]);
	cr_expect_str_eq(via_wire_status_name(7), "?");
	cr_expect_str_eq(via_wire_status_name(0xffff), "?");
}

/* -- chunk header ----------------------------------------------------------------------------- */

static const struct {
	const char *folder, *name;
	via_wire_chunk c; /* message_id, total_message_len, index, count, payload_len */
} chunk_vectors[] = {
	{"valid", "chunk-hdr-index1-of-3", {0x1122334455667788, 250, 1, 3, 96}},
	{"valid", "chunk-hdr-last-of-3", {0x1122334455667788, 250, 2, 3, 58}},
	{"lenient", "chunk-count-0", {5, 250, 1, 0, 96}},
	{"lenient", "chunk-index-ge-count", {5, 250, 9, 3, 96}},
	{"lenient", "chunk-total-0", {5, 0, 1, 3, 96}},
	{"interop", "chunk_header", {0x1234567890ABCDEF, 100000, 3, 10, 8192}},
};

Test(wire_chunk, vectors_decode_and_encode_back)
{
	uint8_t bytes[VIA_WIRE_HEADER];
	via_wire_chunk c;
	size_t i;

	for (i = 0; i < N(chunk_vectors); i++) {
		const char *name = chunk_vectors[i].name;
		const via_wire_chunk *want = &chunk_vectors[i].c;
		vec v = check_vec(chunk_vectors[i].folder, name);

		memset(&c, 0xee, sizeof c);
		cr_assert_eq(via_wire_chunk_decode(v.data, v.len, &c, NULL), VIA_OK, "%s", name);
		cr_expect_eq(memcmp(&c, want, sizeof c), 0, "%s: other fields", name);
		memset(bytes, 0xaa, sizeof bytes);
		via_wire_chunk_encode(want, bytes);
		cr_expect(vec_equal(&v, bytes, sizeof bytes), "%s: other bytes", name);
		vec_free(&v);
	}
	cr_expect_eq(check_count("valid", "chunk-"), 2);
	cr_expect_eq(check_count("lenient", "chunk-"), 3);
}

Test(wire_chunk, byte_image)
{
	static const uint8_t image[VIA_WIRE_HEADER] = {
		0x4b, 0x48, 0x43, 0x4e, 1, 0, 0, 0, 0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12, 0x11,
		4,    3,    2,    1,    8, 7, 6, 5, 0x0c, 0x0b, 0x0a, 9,    0x1c, 0x1b, 0x1a, 0x19,
	};
	static const via_wire_chunk c = {0x1112131415161718, 0x01020304, 0x05060708, 0x090a0b0c,
					 0x191a1b1c};
	uint8_t bytes[VIA_WIRE_HEADER + 8];

	memset(bytes, 0xaa, sizeof bytes);
	via_wire_chunk_encode(&c, bytes);
	cr_assert_arr_eq(bytes, image, sizeof image);
	cr_assert_eq(bytes[VIA_WIRE_HEADER], 0xaa, "more than 32 bytes written");
}

Test(wire_chunk, refusals_in_order)
{
	static const via_wire_chunk good = {5, 250, 1, 3, 96};
	uint8_t bytes[VIA_WIRE_HEADER];
	via_wire_chunk c = good;
	via_flaw why;
	size_t len;

	via_wire_chunk_encode(&good, bytes);
	for (len = 0; len < sizeof bytes; len++) {
		uint8_t *cut = check_copy(bytes, len);

		cr_assert_eq(via_wire_chunk_decode(cut, len, &c, &why), VIA_PROTO);
		check_flaw("cut", &why, VIA_FLAW_TRUNCATED, 0, 32, len);
		free(cut);
	}
	memset(bytes, 0xff, 28);
	memset(bytes + 28, 0, 4);
	cr_assert_eq(via_wire_chunk_decode(bytes, 32, &c, &why), VIA_PROTO);
	check_flaw("magic", &why, VIA_FLAW_BAD_MAGIC, 0, VIA_WIRE_CHUNK_MAGIC, UINT32_MAX);
	check_put32(bytes, 0, VIA_WIRE_CHUNK_MAGIC);
	cr_assert_eq(via_wire_chunk_decode(bytes, 32, &c, &why), VIA_PROTO);
	check_flaw("version", &why, VIA_FLAW_BAD_VERSION, 4, 1, 0xffff);
	check_put16(bytes, 4, 1);
	cr_assert_eq(via_wire_chunk_decode(bytes, 32, &c, &why), VIA_PROTO);
	check_flaw("flags", &why, VIA_FLAW_BAD_LAYOUT, 6, 0, 0xffff);
	check_put16(bytes, 6, 0);
	cr_assert_eq(via_wire_chunk_decode(bytes, 32, &c, &why), VIA_PROTO);
	check_flaw("chunk_payload_len", &why, VIA_FLAW_BAD_LAYOUT, 28, 1, 0);
	cr_assert_eq(memcmp(&c, &good, sizeof c), 0, "written on failure");
	check_put32(bytes, 28, 1);
	cr_assert_eq(via_wire_chunk_decode(bytes, 32, &c, &why), VIA_OK);
}

/* Counts packets by filling them one after the other. */
static uint32_t count_by_filling(uint64_t payload_len, uint64_t packet_size)
{
	uint64_t body = packet_size - 32;
	uint32_t n = 1;

	payload_len -= payload_len < body ? payload_len : body;
	while (payload_len > 0) {
		payload_len -= payload_len < body ? payload_len : body;
		n++;
	}
	return n;
}

Test(wire_chunk, count_is_what_filling_gives)
{
	uint32_t payload, packet;

	for (packet = 33; packet <= 300; packet++) {
		for (payload = 0; payload <= 700; payload++) {
			if (via_wire_chunk_count(payload, packet) !=
			    count_by_filling(payload, packet))
				cr_assert_fail("payload %u, packet %u", payload, packet);
		}
	}
}

Test(wire_chunk, count_at_the_edges)
{
	const uint32_t most = UINT32_MAX - 32; /* header and payload fit a u32 */

	cr_expect_eq(via_wire_chunk_count(most, 33), most);
	cr_expect_eq(via_wire_chunk_count(most, 34), most / 2 + 1);
	cr_expect_eq(via_wire_chunk_count(most, UINT32_MAX), 1);
	cr_expect_eq(via_wire_chunk_count(most, UINT32_MAX - 1), 2);
	cr_expect_eq(via_wire_chunk_count(UINT32_MAX, 33), UINT32_MAX);
	cr_expect_eq(via_wire_chunk_count(0, 33), 1);
	cr_expect_eq(via_wire_chunk_count(65536 - 32, 65536), 1);
	cr_expect_eq(via_wire_chunk_count(65536 - 31, 65536), 2);
	cr_expect_eq(via_wire_chunk_count(1, 32), 0, "a packet of 32 bytes carries nothing");
	cr_expect_eq(via_wire_chunk_count(0, 0), 0);
}

/* -- chunks as captured ----------------------------------------------------------------------- */

static const struct {
	const char *name; /* packets are name.0, name.1, ... */
	uint32_t packet_size, payload_len, n_packets;
	uint64_t message_id;
	int counts_up; /* the payload is 00 01 02 ... */
} captured[] = {
	{"chunk-pkt64-payload33", 64, 33, 2, 0x0A0B0C0D0E0F1011, 1},
	{"chunk-pkt64-payload64", 64, 64, 2, 0x0A0B0C0D0E0F1011, 1},
	{"chunk-pkt64-payload100", 64, 100, 4, 0x0A0B0C0D0E0F1011, 1},
	{"chunk-pkt40-payload25", 40, 25, 4, 0x0A0B0C0D0E0F1011, 1},
	{"chunk-pkt33-payload3", 33, 3, 3, 0x0A0B0C0D0E0F1011, 1},
	{"l2-snapshot-chunked-pkt128", 128, 281, 3, 1, 0},
};

/* Compares one packet with what section 4 says it must be. Returns the payload bytes in it. */
static uint32_t check_packet(size_t i, uint32_t index, uint32_t done)
{
	uint32_t body = captured[i].packet_size - 32, left = captured[i].payload_len - done, k;
	uint32_t len = left < body ? left : body;
	via_wire_chunk c, want = {captured[i].message_id, 32 + captured[i].payload_len, index,
				  captured[i].n_packets, len};
	uint8_t bytes[VIA_WIRE_HEADER];
	via_wire_header h;
	char name[64];
	vec v;

	snprintf(name, sizeof name, "%s.%u", captured[i].name, index);
	v = check_vec("live", name);
	cr_assert_eq(v.len, 32 + len, "%s: length", name);
	if (index == 0) {
		cr_assert_eq(via_wire_header_decode(v.data, v.len, &h, NULL), VIA_OK, "%s", name);
		cr_expect_eq(h.payload_len, captured[i].payload_len, "%s", name);
		cr_expect_eq(h.message_id, captured[i].message_id, "%s", name);
		cr_expect_eq(h.item_count, 1, "%s", name);
	} else {
		cr_assert_eq(via_wire_chunk_decode(v.data, v.len, &c, NULL), VIA_OK, "%s", name);
		cr_expect_eq(memcmp(&c, &want, sizeof c), 0, "%s: other fields", name);
		via_wire_chunk_encode(&want, bytes);
		cr_expect_eq(memcmp(bytes, v.data, sizeof bytes), 0, "%s: other bytes", name);
	}
	for (k = 0; captured[i].counts_up && k < len; k++)
		cr_assert_eq(v.data[32 + k], (uint8_t)(done + k), "%s: payload byte %u", name, k);
	vec_free(&v);
	return len;
}

Test(wire_chunk, captured_chunks_obey_the_formula)
{
	uint32_t index, done;
	size_t i;

	for (i = 0; i < N(captured); i++) {
		cr_assert_eq(via_wire_chunk_count(captured[i].payload_len, captured[i].packet_size),
			     captured[i].n_packets, "%s", captured[i].name);
		for (index = 0, done = 0; index < captured[i].n_packets; index++)
			done += check_packet(i, index, done);
		cr_assert_eq(done, captured[i].payload_len, "%s", captured[i].name);
	}
}
