/* SPDX-License-Identifier: Apache-2.0 */
/** @file viaduct/app/client.h
 * Level 2: typed calls to one service, without hidden threads.
 *
 * A client belongs to one thread at a time; via_client_abort() may be called from any. Calls are
 * at most once: nothing is repeated behind the caller's back. docs/wire.md section 16. */
#ifndef VIADUCT_APP_CLIENT_H
#define VIADUCT_APP_CLIENT_H
#include "session.h"
#ifdef __cplusplus
extern "C" {
#endif

typedef struct via_client via_client; /**< one client of one service; opaque */

/** Where a client stands. */
typedef enum via_client_state {
	VIA_CLIENT_DISCONNECTED = 0, /**< none, or it could not be made for another reason */
	VIA_CLIENT_CONNECTING,       /**< within via_client_refresh() */
	VIA_CLIENT_READY,            /**< calls can be made */
	VIA_CLIENT_NOT_FOUND,        /**< nobody listened there */
	VIA_CLIENT_AUTH_FAILED,      /**< the server has another token */
	VIA_CLIENT_INCOMPATIBLE,     /**< no common profile, version or layout */
	VIA_CLIENT_BROKEN            /**< the connection failed: refresh makes a new one */
} via_client_state;

/** What a client is opened with. */
typedef struct via_client_options {
	uint32_t struct_size;      /**< sizeof, where it was built */
	uint32_t call_timeout_ms;  /**< of a call without a deadline of its own; 0: 30000 */
	via_endpoint endpoint;     /**< strings are copied */
	via_session_config config; /**< its part in the handshakes */
} via_client_options;

/**
 * Opens a client; connects nothing yet.
 *
 * @param r        stays open for as long as the client
 * @param options  copied
 * @param out      the client, for via_client_close()
 * @retval VIA_OK
 * @retval VIA_INVAL  the endpoint or an option is wrong; the detail says which
 * @retval VIA_NOMEM, VIA_IO  no memory, or no descriptor left
 * Blocks: no.
 */
VIA_API via_rc via_client_open(via_registry *r, const via_client_options *options,
			       via_client **out);

/** State as of the last call; no I/O. Threads: any. */
VIA_API via_client_state via_client_get_state(const via_client *c);
/** Its name in words, "READY"; "?" if unknown. Threads: any. */
VIA_API const char *via_client_state_name(via_client_state state);
/** True in state READY; one load. Threads: any. */
VIA_API int via_client_is_ready(const via_client *c);

/**
 * Connects unless READY; reconnects after BROKEN. AUTH_FAILED and INCOMPATIBLE are tried again too: a
 * new connection each time.
 *
 * @param c         the client
 * @param deadline  absolute, of the whole handshake
 * @retval VIA_OK       READY
 * @retval VIA_UNREACH  NOT_FOUND: nobody listens
 * @retval VIA_REFUSED  AUTH_FAILED, INCOMPATIBLE, or DISCONNECTED after LIMIT_EXCEEDED
 * @retval VIA_TIMEOUT, VIA_ABORTED, ...  as via_session_connect()
 * Blocks: until deadline.
 */
VIA_API via_rc via_client_refresh(via_client *c, via_time deadline);

/** What is asked. */
typedef struct via_request {
	uint16_t method;      /**< method code */
	uint16_t flags;       /**< VIA_WIRE_FLAG_BATCH or 0 */
	uint32_t item_count;  /**< 0 means 1 */
	const void *payload;  /**< borrowed until the call returns */
	uint32_t payload_len; /**< bytes */
} via_request;

/** What was answered. */
typedef struct via_reply {
	uint16_t status;      /**< VIA_STATUS_* */
	uint16_t flags;       /**< VIA_WIRE_FLAG_BATCH or 0 */
	uint32_t item_count;  /**< items of the answer */
	const void *payload;  /**< borrowed until the client's next call, refresh or close */
	uint32_t payload_len; /**< bytes */
} via_reply;

/**
 * Sends a request and waits for its answer.
 *
 * @param c         a client that is READY
 * @param request   borrowed until return
 * @param deadline  absolute, or 0 for the configured call timeout from now
 * @param reply     out: the answer
 * @retval VIA_OK       status OK; a batch's directory has been checked
 * @retval VIA_STATE    not READY; nothing was sent
 * @retval VIA_REFUSED  answered with another status: see reply->status. UNSUPPORTED leaves the client
 *                      READY; after any other servers close, and the client is BROKEN
 * @retval VIA_TIMEOUT, VIA_ABORTED  the client is BROKEN: the answer may still be under way
 * @retval VIA_CLOSED, VIA_RESET     the server closed or died; at once, not at the deadline. BROKEN
 * @retval VIA_PROTO    the answer breaks the protocol. BROKEN
 * @retval VIA_TOOBIG, VIA_LIMIT     over the agreed limits; nothing was sent
 * Blocks: until deadline.
 */
VIA_API via_rc via_client_call(via_client *c, const via_request *request, via_time deadline,
			       via_reply *reply);

/** Ends the call that is running, and every later one, with VIA_ABORTED. Threads: any. */
VIA_API void via_client_abort(via_client *c);
/** Allows calls again. */
VIA_API void via_client_abort_clear(via_client *c);

/** What a client has done since it was opened. */
typedef struct via_client_stats {
	uint32_t struct_size;     /**< sizeof, where it was built */
	uint32_t reserved;        /**< 0 */
	uint64_t calls_ok;        /**< answered with status OK */
	uint64_t calls_failed;    /**< all others */
	uint64_t connects;        /**< handshakes that succeeded */
	uint64_t connects_failed; /**< handshakes that did not */
} via_client_stats;

/** Reads the counters: out->struct_size bytes of them. */
VIA_API void via_client_get_stats(const via_client *c, via_client_stats *out);

/** Session of the last connection attempt, for via_session_get_info(); NULL before the first. */
VIA_API via_session *via_client_session(via_client *c);

/** Closes the connection, if there is one, and frees the client. NULL is fine. */
VIA_API void via_client_close(via_client *c);

#ifdef __cplusplus
}
#endif
#endif
