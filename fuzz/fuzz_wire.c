/* fuzz/fuzz_wire.c - every decoder of wire.h, the batch builder and the negotiation.
 *
 * The first byte chooses what the rest is taken for, so that one corpus serves them all. Whatever a
 * decoder accepts must encode back to the same bytes, and whatever is built must be accepted.
 */
#include <viaduct/app/wire.h>

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void insist(int truth)
{
	if (!truth)
		abort(); /* the fuzzer's report */
}

/* A refusal says why, in words that fit. */
static void check_flaw(const via_flaw *why, size_t len)
{
	char text[256];

	insist(why->kind > VIA_FLAW_NONE && why->kind <= VIA_FLAW_OVERFLOW);
	insist(why->field != NULL && why->offset <= len);
	insist(via_flaw_text(why, text, sizeof text) < sizeof text);
}

static void fuzz_header(const uint8_t *data, size_t len)
{
	uint8_t bytes[VIA_WIRE_HEADER];
	via_wire_header h;
	via_flaw why;

	if (via_wire_header_decode(data, len, &h, &why) != VIA_OK) {
		check_flaw(&why, len);
		return;
	}
	via_wire_header_encode(&h, bytes);
	insist(memcmp(bytes, data, sizeof bytes) == 0);
	insist(via_wire_status_name(h.status) != NULL);
}

static void fuzz_chunk(const uint8_t *data, size_t len)
{
	uint8_t bytes[VIA_WIRE_HEADER];
	via_wire_chunk c;
	uint32_t n, body;
	via_flaw why;

	if (via_wire_chunk_decode(data, len, &c, &why) != VIA_OK) {
		check_flaw(&why, len);
		return;
	}
	via_wire_chunk_encode(&c, bytes);
	insist(memcmp(bytes, data, sizeof bytes) == 0);

	/* n packets hold the payload, n - 1 do not */
	n = via_wire_chunk_count(c.total_message_len, c.chunk_payload_len);
	if (c.chunk_payload_len <= VIA_WIRE_HEADER) {
		insist(n == 0);
		return;
	}
	body = c.chunk_payload_len - VIA_WIRE_HEADER;
	insist(n >= 1 && (uint64_t)n * body >= c.total_message_len);
	insist(n == 1 || (uint64_t)(n - 1) * body < c.total_message_len);
}

static void fuzz_hello(const uint8_t *data, size_t len)
{
	uint8_t bytes[VIA_WIRE_HELLO_LEN];
	via_wire_hello h;
	via_flaw why;

	if (via_wire_hello_decode(data, len, &h, &why) != VIA_OK) {
		check_flaw(&why, len);
		return;
	}
	via_wire_hello_encode(&h, bytes);
	insist(memcmp(bytes, data, sizeof bytes) == 0);
}

static void fuzz_ack(const uint8_t *data, size_t len)
{
	uint8_t bytes[VIA_WIRE_ACK_LEN];
	via_wire_ack a;
	via_flaw why;

	if (via_wire_ack_decode(data, len, &a, &why) != VIA_OK) {
		check_flaw(&why, len);
		return;
	}
	via_wire_ack_encode(&a, bytes);
	insist(memcmp(bytes, data, sizeof bytes) == 0);
}

/* The item count is the first four bytes. */
static void fuzz_batch(const uint8_t *data, size_t len)
{
	uint32_t count, i, item_len, good = 0;
	const void *item;
	via_flaw why;

	if (len < sizeof count)
		return;
	memcpy(&count, data, sizeof count);
	data += sizeof count;
	len -= sizeof count;
	if (via_wire_batch_check(data, len, count, &why) == VIA_OK)
		good = count;
	else
		check_flaw(&why, len);
	for (i = 0; i < count && i < 1000; i++) {
		if (via_wire_batch_item(data, len, count, i, &item, &item_len, &why) != VIA_OK) {
			check_flaw(&why, len);
			insist(good == 0);
			continue;
		}
		insist((const uint8_t *)item >= data + 8 * (size_t)count);
		insist((const uint8_t *)item + item_len <= data + len);
	}
	insist(via_wire_batch_item(data, len, count, count, &item, &item_len, NULL) == VIA_PROTO);
	if (via_wire_batch_has_directory(data, len))
		insist(via_wire_batch_item(data, len, 1, 0, &item, &item_len, NULL) == VIA_OK);
}

/* Capacity, slots, then one length a byte: an item of that many bytes, added or encoded in place. */
static void fuzz_builder(const uint8_t *data, size_t len)
{
	uint32_t n_items, item_len, lens[64], n = 0;
	uint64_t cap, room, used;
	const void *item;
	via_wire_batch b;
	uint8_t *dst;
	size_t i;
	void *at;
	via_rc rc;

	if (len < 3)
		return;
	cap = data[0] | (uint32_t)data[1] << 8;
	n_items = data[2] % 64;
	dst = malloc(cap > 0 ? cap : 1);
	if (dst == NULL)
		return;
	memset(dst, 0xaa, cap);
	if (via_wire_batch_begin(&b, dst, cap, n_items) != VIA_OK) {
		insist((uint64_t)n_items * 8 > cap);
		free(dst);
		return;
	}
	for (i = 3; i < len; i++) {
		uint8_t bytes[256];

		memset(bytes, (int)i & 0xff, sizeof bytes);
		if (i % 2 == 0) {
			rc = via_wire_batch_add(&b, bytes, data[i]);
		} else {
			at = via_wire_batch_room(&b, &room);
			if (at != NULL && data[i] <= room)
				memcpy(at, bytes, data[i]);
			rc = via_wire_batch_commit(&b, data[i]);
		}
		if (rc == VIA_OK)
			lens[n++] = data[i];
		else
			insist(rc == (n == n_items ? VIA_LIMIT : VIA_TOOBIG));
	}
	used = via_wire_batch_finish(&b);
	insist(used <= cap && via_wire_batch_check(dst, used, n, NULL) == VIA_OK);
	for (i = 0; i < n; i++) {
		insist(via_wire_batch_item(dst, used, n, (uint32_t)i, &item, &item_len, NULL) ==
		       VIA_OK);
		insist(item_len == lens[i]);
	}
	free(dst);
}

/* A first packet, and the server it meets: its masks and limits from the packet's own tail. */
static void fuzz_handshake(const uint8_t *data, size_t len)
{
	uint8_t packet[VIA_WIRE_ACK_PACKET];
	via_wire_server server = {0};
	via_wire_hello hello;
	via_wire_ack ack, seen;
	uint16_t status, seen_status;
	via_flaw why;
	int action;
	via_rc rc;

	action = via_wire_hello_inspect(data, len, &hello, &why);
	if (action != VIA_HELLO_ACCEPT) {
		check_flaw(&why, len);
		return;
	}
	if (len >= VIA_WIRE_HELLO_PACKET + sizeof server)
		memcpy(&server, data + VIA_WIRE_HELLO_PACKET, sizeof server);
	status = via_wire_negotiate(&hello, &server, &ack);
	insist(via_wire_ack_packet(&ack, status, packet) == sizeof packet);
	rc = via_wire_ack_inspect(packet, sizeof packet, &seen, &seen_status, &why);
	insist(rc == (status == VIA_STATUS_OK ? VIA_OK : VIA_REFUSED) && seen_status == status);
	if (rc != VIA_OK)
		return;
	insist((seen.selected & hello.supported & server.supported) == seen.selected);
	insist(seen.packet_size > VIA_WIRE_HEADER);
	insist(seen.packet_size <= hello.packet_size && seen.packet_size <= server.packet_size);
	insist(seen.session_id == server.session_id);
}

static void fuzz_answer(const uint8_t *data, size_t len)
{
	uint16_t status = 0xffff;
	via_wire_ack ack;
	via_flaw why;
	via_rc rc;

	rc = via_wire_ack_inspect(data, len, &ack, &status, &why);
	insist(rc == VIA_OK || rc == VIA_PROTO || rc == VIA_REFUSED);
	if (rc == VIA_PROTO)
		check_flaw(&why, len);
	if (rc == VIA_OK)
		insist(status == VIA_STATUS_OK && ack.selected != 0 && ack.packet_size > 32);
	if (rc == VIA_REFUSED)
		insist(status != VIA_STATUS_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const kinds[])(const uint8_t *, size_t) = {
		fuzz_header, fuzz_chunk,   fuzz_hello,     fuzz_ack,
		fuzz_batch,  fuzz_builder, fuzz_handshake, fuzz_answer,
	};

	if (size > 0)
		kinds[data[0] % (sizeof kinds / sizeof kinds[0])](data + 1, size - 1);
	return 0;
}
