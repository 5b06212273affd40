/* SPDX-License-Identifier: Apache-2.0 */
/** @file viaduct/app/wire.h
 * The bytes of docs/wire.md: pure, total decoders and encoders.
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
#define VIA_WIRE_MAGIC 0x4E495043u /**< first word of a header */
#define VIA_WIRE_VERSION 1u        /**< of the header */
#define VIA_WIRE_HEADER 32u        /**< bytes of a header */
/** Kinds of message. */
enum {
	VIA_WIRE_REQUEST = 1,  /**< from the client */
	VIA_WIRE_RESPONSE = 2, /**< from the server */
	VIA_WIRE_CONTROL = 3   /**< the handshake */
};
/** Codes of CONTROL messages. */
enum {
	VIA_WIRE_HELLO = 1,    /**< the client's offer */
	VIA_WIRE_HELLO_ACK = 2 /**< the server's answer */
};
/** Flags of a message. */
enum { VIA_WIRE_FLAG_BATCH = 1 /**< the payload is a batch: section 3 */ };
/** Status of a response. */
enum {
	VIA_STATUS_OK = 0,             /**< answered */
	VIA_STATUS_BAD_ENVELOPE = 1,   /**< the request breaks the protocol */
	VIA_STATUS_AUTH_FAILED = 2,    /**< another token */
	VIA_STATUS_INCOMPATIBLE = 3,   /**< no common profile, version or layout */
	VIA_STATUS_UNSUPPORTED = 4,    /**< unknown method */
	VIA_STATUS_LIMIT_EXCEEDED = 5, /**< over an agreed limit */
	VIA_STATUS_INTERNAL_ERROR = 6  /**< the service failed */
};

/** The outer header. */
typedef struct via_wire_header {
	uint16_t kind;        /**< VIA_WIRE_REQUEST, _RESPONSE or _CONTROL */
	uint16_t flags;       /**< VIA_WIRE_FLAG_BATCH or 0 */
	uint16_t code;        /**< method code, or VIA_WIRE_HELLO, VIA_WIRE_HELLO_ACK */
	uint16_t status;      /**< VIA_STATUS_* */
	uint32_t payload_len; /**< bytes behind the header */
	uint32_t item_count;  /**< items of the payload */
	uint64_t message_id;  /**< the same in a request and its response */
} via_wire_header;

/** Reads an outer header. VIA_OK, or VIA_PROTO with *why. Bytes after 32 are ignored. */
VIA_API via_rc via_wire_header_decode(const void *src, uint64_t len, via_wire_header *out,
				      via_flaw *why);
/** Writes 32 bytes. */
VIA_API void via_wire_header_encode(const via_wire_header *h, void *dst);
/** "LIMIT_EXCEEDED" and so on; "?" if unknown. */
VIA_API const char *via_wire_status_name(uint16_t status);

/* Section 4: chunks. */
#define VIA_WIRE_CHUNK_MAGIC 0x4E43484Bu /**< first word of a continuation header */
/** The header of every packet of a message but the first. */
typedef struct via_wire_chunk {
	uint64_t message_id;        /**< of the message it belongs to */
	uint32_t total_message_len; /**< outer header + payload */
	uint32_t chunk_index;       /**< from 1: the first packet is 0 */
	uint32_t chunk_count;       /**< packets of the message */
	uint32_t chunk_payload_len; /**< bytes behind this header */
} via_wire_chunk;

/** Reads a continuation header. VIA_OK, or VIA_PROTO with *why. */
VIA_API via_rc via_wire_chunk_decode(const void *src, uint64_t len, via_wire_chunk *out,
				     via_flaw *why);
/** Writes 32 bytes. */
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

/** Writes a batch into the caller's room. Members are private; it needs no clean-up. */
typedef struct via_wire_batch {
	uint8_t *dst;   /**< the room */
	uint64_t cap;   /**< its bytes */
	uint64_t used;  /**< bytes of the packed area */
	uint32_t slots; /**< entries of the directory */
	uint32_t n;     /**< items in it */
} via_wire_batch;

/** Starts a batch of at most max_items items in dst. VIA_TOOBIG if not even the directory fits. */
VIA_API via_rc via_wire_batch_begin(via_wire_batch *b, void *dst, uint64_t cap, uint32_t max_items);
/** Room for the next item, to encode in place; then via_wire_batch_commit(). NULL if there is none. */
VIA_API void *via_wire_batch_room(const via_wire_batch *b, uint64_t *cap);
/** Ends the item that was encoded into via_wire_batch_room(): len bytes of it. Results as for via_wire_batch_add(). */
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
#define VIA_WIRE_HELLO_LEN 44u /**< bytes of a HELLO's payload */
#define VIA_WIRE_ACK_LEN 48u   /**< bytes of a HELLO_ACK's payload */

/** What a client offers. */
typedef struct via_wire_hello {
	uint16_t layout;               /**< layout version, 1 */
	uint16_t flags;                /**< 0 */
	uint32_t supported;            /**< profiles, a mask */
	uint32_t preferred;            /**< of these, a mask */
	uint32_t max_request_payload;  /**< proposed, bytes */
	uint32_t max_request_batch;    /**< proposed, items */
	uint32_t max_response_payload; /**< hint, bytes */
	uint32_t max_response_batch;   /**< hint, items */
	uint64_t auth_token;           /**< the endpoint's */
	uint32_t packet_size;          /**< what the client's end can carry, bytes */
} via_wire_hello;

/** What the server decided. */
typedef struct via_wire_ack {
	uint16_t layout;               /**< layout version, 1 */
	uint16_t flags;                /**< 0 */
	uint32_t server_supported;     /**< the server's profiles, a mask */
	uint32_t intersection;         /**< the common ones, a mask */
	uint32_t selected;             /**< the one that carries the data */
	uint32_t max_request_payload;  /**< agreed, bytes */
	uint32_t max_request_batch;    /**< agreed, items */
	uint32_t max_response_payload; /**< agreed, bytes */
	uint32_t max_response_batch;   /**< agreed, items */
	uint32_t packet_size;          /**< agreed, bytes */
	uint32_t reserved;             /**< 0 */
	uint64_t session_id;           /**< the server's number of the session */
} via_wire_ack;

/** Reads a HELLO's payload. VIA_OK, or VIA_PROTO with *why. */
VIA_API via_rc via_wire_hello_decode(const void *src, uint64_t len, via_wire_hello *out,
				     via_flaw *why);
/** Writes 44 bytes. */
VIA_API void via_wire_hello_encode(const via_wire_hello *h, void *dst);
/** Reads a HELLO_ACK's payload. VIA_OK, or VIA_PROTO with *why. */
VIA_API via_rc via_wire_ack_decode(const void *src, uint64_t len, via_wire_ack *out, via_flaw *why);
/** Writes 48 bytes. */
VIA_API void via_wire_ack_encode(const via_wire_ack *a, void *dst);

/* Section 6: negotiation. */
/** What a server decides by. */
typedef struct via_wire_server {
	uint32_t supported;            /**< profiles, a mask, never 0 */
	uint32_t preferred;            /**< of these, a mask */
	uint32_t max_request_payload;  /**< ceiling, bytes */
	uint32_t max_response_payload; /**< what it may send, bytes */
	uint32_t packet_size;          /**< what its end can carry, bytes */
	uint64_t auth_token;           /**< that a client must have */
	uint64_t session_id;           /**< number of the session to be */
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
	VIA_HELLO_ACCEPT = 0, /**< *hello is filled: negotiate */
	VIA_HELLO_REFUSE = 1, /**< answer INCOMPATIBLE, close */
	VIA_HELLO_DROP = 2,   /**< close without an answer */
};
/** Looks at a first packet. A VIA_HELLO_*; *why is filled unless it is ACCEPT. */
VIA_API int via_wire_hello_inspect(const void *packet, uint64_t len, via_wire_hello *hello,
				   via_flaw *why);

/** Writes a whole HELLO, header and payload: VIA_WIRE_HELLO_PACKET bytes. Returns that. */
VIA_API uint32_t via_wire_hello_packet(const via_wire_hello *h, void *dst);
/** Writes a whole HELLO_ACK, header and payload: VIA_WIRE_ACK_PACKET bytes. Returns that. */
VIA_API uint32_t via_wire_ack_packet(const via_wire_ack *a, uint16_t status, void *dst);
#define VIA_WIRE_HELLO_PACKET 76u /**< bytes of a whole HELLO */
#define VIA_WIRE_ACK_PACKET 80u   /**< bytes of a whole HELLO_ACK */

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
