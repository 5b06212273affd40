/* tests/server/raw.c - see raw.h: what is the same on every system. */
#include "raw.h"

raw raw_connect(const rig *r, const char *service)
{
	raw c;
	int busy;

	rig_until((c = raw_dial(r->dir, service, &busy)) != RAW_NONE || !busy);
	cr_assert_neq(c, RAW_NONE, "no connection to %s", service);
	return c;
}

uint16_t raw_hello(raw c, const via_session_config *config)
{
	via_wire_hello h = {.layout = 1,
			    .supported = 1,
			    .max_request_payload =
				    config != NULL ? config->max_request_payload : 1024,
			    .max_request_batch = config != NULL && config->max_request_batch != 0
							 ? config->max_request_batch
							 : 1,
			    .max_response_payload = 1024,
			    .max_response_batch = 1,
			    .auth_token = 7,
			    .packet_size = config != NULL && config->packet_size != 0
						   ? config->packet_size
						   : 65536};
	uint8_t bytes[256];
	via_wire_header ack = {0};

	raw_send(c, bytes, via_wire_hello_packet(&h, bytes));
	cr_assert_eq(raw_recv(c, bytes, sizeof bytes), VIA_WIRE_ACK_PACKET, "no answer to HELLO");
	cr_assert_eq(via_wire_header_decode(bytes, sizeof bytes, &ack, NULL), VIA_OK);
	return ack.status;
}

raw raw_session(const rig *r, const char *service, const via_session_config *config)
{
	raw c = raw_connect(r, service);

	cr_assert_eq(raw_hello(c, config), VIA_STATUS_OK);
	return c;
}

void raw_request(raw c, const via_wire_header *h, const void *payload, size_t len)
{
	static _Thread_local uint8_t bytes[RAW_MAX];

	cr_assert_leq(len + VIA_WIRE_HEADER, sizeof bytes);
	via_wire_header_encode(h, bytes);
	if (len != 0)
		memcpy(bytes + VIA_WIRE_HEADER, payload, len);
	raw_send(c, bytes, VIA_WIRE_HEADER + len);
}

void raw_number(raw c, uint64_t id, uint64_t number)
{
	uint8_t payload[VIA_INCREMENT_SIZE];
	uint64_t used = 0;

	via_increment_encode(payload, sizeof payload, number, &used);
	raw_request(c,
		    &(via_wire_header){.kind = VIA_WIRE_REQUEST,
				       .code = NUMBER,
				       .payload_len = sizeof payload,
				       .item_count = 1,
				       .message_id = id},
		    payload, sizeof payload);
}

void raw_expect_number(raw c, uint64_t id, uint64_t number)
{
	uint8_t bytes[128];
	via_wire_header h = {0};
	uint64_t got = 0;

	cr_assert_eq(raw_recv(c, bytes, sizeof bytes), VIA_WIRE_HEADER + VIA_INCREMENT_SIZE,
		     "no answer to %llu", (unsigned long long)id);
	cr_assert_eq(via_wire_header_decode(bytes, sizeof bytes, &h, NULL), VIA_OK);
	cr_assert_eq(h.kind, VIA_WIRE_RESPONSE);
	cr_assert_eq(h.status, VIA_STATUS_OK);
	cr_assert_eq(h.code, NUMBER);
	cr_assert_eq(h.flags, 0);
	cr_assert_eq(h.item_count, 1);
	cr_assert_eq(h.message_id, id);
	cr_assert_eq(via_increment_decode(bytes + VIA_WIRE_HEADER, VIA_INCREMENT_SIZE, &got, NULL),
		     VIA_OK);
	cr_assert_eq(got, number + 1);
}

void raw_expect_status(raw c, uint64_t id, uint16_t code, uint16_t status)
{
	uint8_t bytes[128];
	via_wire_header h = {0};
	int n = raw_recv(c, bytes, sizeof bytes);

	cr_assert_eq(n, VIA_WIRE_HEADER, "expected an empty answer, found %d bytes", n);
	cr_assert_eq(via_wire_header_decode(bytes, sizeof bytes, &h, NULL), VIA_OK);
	cr_assert_eq(h.kind, VIA_WIRE_RESPONSE);
	cr_assert_eq(h.status, status, "expected %s, found %s", via_wire_status_name(status),
		     via_wire_status_name(h.status));
	cr_assert_eq(h.code, code);
	cr_assert_eq(h.flags, 0);
	cr_assert_eq(h.item_count, 1);
	cr_assert_eq(h.payload_len, 0);
	cr_assert_eq(h.message_id, id);
}

void raw_expect_end(raw c)
{
	static _Thread_local uint8_t bytes[RAW_MAX];
	int n;

	while ((n = raw_recv(c, bytes, sizeof bytes)) > 0)
		;
	cr_assert_eq(n, 0, "the server did not close");
}
