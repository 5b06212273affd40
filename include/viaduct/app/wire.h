/* SPDX-License-Identifier: Apache-2.0
 * viaduct/app/wire.h - the bytes of docs/wire.md: pure, total decoders and encoders.
 *
 * No function here allocates, blocks or keeps state; all are callable from any thread. Fields are in
 * host byte order. `why` may be NULL and is written on failure only. */
#ifndef VIADUCT_APP_WIRE_H
#define VIADUCT_APP_WIRE_H
#include "base.h"
#ifdef __cplusplus
extern "C" {
#endif

/* Section 2: the outer header. */
#define VIA_WIRE_MAGIC 0x4E495043u
#define VIA_WIRE_VERSION 1u
#define VIA_WIRE_HEADER 32u
enum { VIA_WIRE_REQUEST = 1, VIA_WIRE_RESPONSE = 2, VIA_WIRE_CONTROL = 3 };
enum { VIA_WIRE_HELLO = 1, VIA_WIRE_HELLO_ACK = 2 };
enum { VIA_WIRE_FLAG_BATCH = 1 };
enum {
	VIA_STATUS_OK = 0,
	VIA_STATUS_BAD_ENVELOPE = 1,
	VIA_STATUS_AUTH_FAILED = 2,
	VIA_STATUS_INCOMPATIBLE = 3,
	VIA_STATUS_UNSUPPORTED = 4,
	VIA_STATUS_LIMIT_EXCEEDED = 5,
	VIA_STATUS_INTERNAL_ERROR = 6
};

typedef struct via_wire_header {
	uint16_t kind, flags, code, status;
	uint32_t payload_len, item_count;
	uint64_t message_id;
} via_wire_header;

/** Reads an outer header. VIA_OK, or VIA_PROTO with *why. Bytes after 32 are ignored. */
VIA_API via_rc via_wire_header_decode(const void *src, uint64_t len, via_wire_header *out,
				      via_flaw *why);
/** Writes 32 bytes. */
VIA_API void via_wire_header_encode(const via_wire_header *h, void *dst);
/** "LIMIT_EXCEEDED" and so on; "?" if unknown. */
VIA_API const char *via_wire_status_name(uint16_t status);

/* Section 4: chunk continuation header. */
#define VIA_WIRE_CHUNK_MAGIC 0x4E43484Bu
typedef struct via_wire_chunk {
	uint64_t message_id;
	uint32_t total_message_len; /* outer header + payload */
	uint32_t chunk_index, chunk_count, chunk_payload_len;
} via_wire_chunk;

VIA_API via_rc via_wire_chunk_decode(const void *src, uint64_t len, via_wire_chunk *out,
				     via_flaw *why);
VIA_API void via_wire_chunk_encode(const via_wire_chunk *c, void *dst);
/** Packets that a payload needs at a packet size > 32: 1 + ceil((payload - first) / (packet - 32)). */
VIA_API uint32_t via_wire_chunk_count(uint32_t payload_len, uint32_t packet_size);

/* Section 3: batches. */
/** Checks a batch payload's whole directory. */
VIA_API via_rc via_wire_batch_check(const void *payload, uint64_t len, uint32_t item_count,
				    via_flaw *why);
/** One item of a payload. Checks that entry only, so it is safe on any bytes. */
VIA_API via_rc via_wire_batch_item(const void *payload, uint64_t len, uint32_t item_count,
				   uint32_t index, const void **item, uint32_t *item_len,
				   via_flaw *why);
/** n items of a payload from `first` on, as spans in items[0..n). Checks their entries only, each read once,
 * so it is safe on any bytes. */
VIA_API via_rc via_wire_batch_items(const void *payload, uint64_t len, uint32_t item_count,
				    uint32_t first, uint32_t n, via_iov *items, via_flaw *why);
/** True if the payload of a BATCH message with item_count 1 starts with a directory (section 3). */
VIA_API int via_wire_batch_has_directory(const void *payload, uint64_t len);

typedef struct via_wire_batch { /* builder over the caller's room; members are private */
	uint8_t *dst;
	uint64_t cap, used; /* used: bytes of the packed area */
	uint32_t slots, n;
} via_wire_batch;
/** Starts a batch of at most max_items items in dst. VIA_TOOBIG if not even the directory fits. */
VIA_API via_rc via_wire_batch_begin(via_wire_batch *b, void *dst, uint64_t cap, uint32_t max_items);
/** Room for the next item, to encode in place; then via_wire_batch_commit(). NULL if there is none. */
VIA_API void *via_wire_batch_room(const via_wire_batch *b, uint64_t *cap);
VIA_API via_rc via_wire_batch_commit(via_wire_batch *b, uint32_t len);
/** Copies an item in. VIA_LIMIT: more than max_items. VIA_TOOBIG: no room; what was added stays valid. */
VIA_API via_rc via_wire_batch_add(via_wire_batch *b, const void *item, uint32_t len);
/** Copies n items of item_len bytes in, which lie one behind the other. All or none. */
VIA_API via_rc via_wire_batch_add_equal(via_wire_batch *b, const void *items, uint32_t item_len,
					uint32_t n);
/** Commits n items that were encoded into via_wire_batch_room(), each at the next multiple of 8 behind the
 * one before; gaps are zeroed here. All or none. */
VIA_API via_rc via_wire_batch_commit_many(via_wire_batch *b, const uint32_t *lengths, uint32_t n);
/** Ends the batch; returns the payload's length. */
VIA_API uint64_t via_wire_batch_finish(via_wire_batch *b);

/* Section 5: handshake payloads. */
#define VIA_WIRE_HELLO_LEN 44u
#define VIA_WIRE_ACK_LEN 48u
typedef struct via_wire_hello {
	uint16_t layout, flags;
	uint32_t supported, preferred;
	uint32_t max_request_payload, max_request_batch, max_response_payload, max_response_batch;
	uint64_t auth_token;
	uint32_t packet_size;
} via_wire_hello;
typedef struct via_wire_ack {
	uint16_t layout, flags;
	uint32_t server_supported, intersection, selected;
	uint32_t max_request_payload, max_request_batch, max_response_payload, max_response_batch;
	uint32_t packet_size, reserved;
	uint64_t session_id;
} via_wire_ack;

VIA_API via_rc via_wire_hello_decode(const void *src, uint64_t len, via_wire_hello *out,
				     via_flaw *why);
VIA_API void via_wire_hello_encode(const via_wire_hello *h, void *dst); /* 44 bytes */
VIA_API via_rc via_wire_ack_decode(const void *src, uint64_t len, via_wire_ack *out, via_flaw *why);
VIA_API void via_wire_ack_encode(const via_wire_ack *a, void *dst); /* 48 bytes */

/* Section 6: negotiation, the server's side of it. */
typedef struct via_wire_server {
	uint32_t supported, preferred; /* profile masks; supported is never 0 */
	uint32_t max_request_payload, max_response_payload;
	uint32_t packet_size;
	uint64_t auth_token, session_id;
} via_wire_server;
/**
 * Decides over a HELLO. Returns a VIA_STATUS_*: OK fills *out with the whole answer; anything else is a
 * refusal (*out is then what a refusal carries).
 */
VIA_API uint16_t via_wire_negotiate(const via_wire_hello *hello, const via_wire_server *server,
				    via_wire_ack *out);
/** Highest common preferred bit, or the highest common bit; 0 if nothing is common. */
VIA_API uint32_t via_wire_select(uint32_t client, uint32_t client_pref, uint32_t server,
				 uint32_t server_pref);

/** What a server does with a first packet (section 6, steps 1-5). */
enum {
	VIA_HELLO_ACCEPT = 0, /* *hello is filled: negotiate */
	VIA_HELLO_REFUSE = 1, /* answer INCOMPATIBLE, close */
	VIA_HELLO_DROP = 2,   /* close without an answer */
};
VIA_API int via_wire_hello_inspect(const void *packet, uint64_t len, via_wire_hello *hello,
				   via_flaw *why);

/** Whole packets: header and payload. Each writes 76 / 80 bytes and returns the length. */
VIA_API uint32_t via_wire_hello_packet(const via_wire_hello *h, void *dst);
VIA_API uint32_t via_wire_ack_packet(const via_wire_ack *a, uint16_t status, void *dst);
#define VIA_WIRE_HELLO_PACKET 76u
#define VIA_WIRE_ACK_PACKET 80u

/**
 * What a client makes of the answer: VIA_OK, VIA_REFUSED with *status, or VIA_PROTO with *why. Another
 * header version or payload layout is VIA_REFUSED with VIA_STATUS_INCOMPATIBLE; a bare header with a status
 * is refusal enough. An agreed packet size of 32 or less, or a selection that is not exactly one bit, is
 * VIA_PROTO.
 */
VIA_API via_rc via_wire_ack_inspect(const void *packet, uint64_t len, via_wire_ack *ack,
				    uint16_t *status, via_flaw *why);

#ifdef __cplusplus
}
#endif
#endif
