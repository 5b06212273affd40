/* SPDX-License-Identifier: Apache-2.0
 * viaduct/app/client.h - level 2: typed calls to one service, without hidden threads.
 *
 * A client belongs to one thread at a time; via_client_abort() may be called from any. Calls are
 * at most once: nothing is repeated behind the caller's back. docs/wire.md section 16. */
#ifndef VIADUCT_APP_CLIENT_H
#define VIADUCT_APP_CLIENT_H
#include "session.h"
#ifdef __cplusplus
extern "C" {
#endif

typedef struct via_client via_client;

typedef enum via_client_state {
	VIA_CLIENT_DISCONNECTED = 0,
	VIA_CLIENT_CONNECTING,
	VIA_CLIENT_READY,
	VIA_CLIENT_NOT_FOUND,
	VIA_CLIENT_AUTH_FAILED,
	VIA_CLIENT_INCOMPATIBLE,
	VIA_CLIENT_BROKEN
} via_client_state;

typedef struct via_client_options {
	uint32_t struct_size;
	uint32_t call_timeout_ms; /* of a call without a deadline of its own; 0: 30000 */
	via_endpoint endpoint;    /* strings are copied */
	via_session_config config;
} via_client_options;

/** Opens a client; connects nothing yet. */
VIA_API via_rc via_client_open(via_registry *r, const via_client_options *options,
			       via_client **out);

/** State as of the last call; no I/O. Threads: any. */
VIA_API via_client_state via_client_get_state(const via_client *c);
VIA_API const char *via_client_state_name(via_client_state state);
/** True in state READY; one load. Threads: any. */
VIA_API int via_client_is_ready(const via_client *c);

/**
 * Connects unless READY; reconnects after BROKEN. AUTH_FAILED and INCOMPATIBLE are tried again too: a
 * new connection each time.
 *
 * @retval VIA_OK       READY
 * @retval VIA_UNREACH  NOT_FOUND: nobody listens
 * @retval VIA_REFUSED  AUTH_FAILED, INCOMPATIBLE, or DISCONNECTED after LIMIT_EXCEEDED
 * @retval VIA_TIMEOUT, VIA_ABORTED, ...  as via_session_connect()
 * Blocks: until deadline.
 */
VIA_API via_rc via_client_refresh(via_client *c, via_time deadline);

typedef struct via_request {
	uint16_t method, flags; /* flags: VIA_WIRE_FLAG_BATCH or 0 */
	uint32_t item_count;    /* 0 means 1 */
	const void *payload;
	uint32_t payload_len;
} via_request;

typedef struct via_reply {
	uint16_t status, flags; /* status: VIA_STATUS_* */
	uint32_t item_count;
	const void *payload; /* borrowed until the client's next call, refresh or close */
	uint32_t payload_len;
} via_reply;

/**
 * Sends a request and waits for its answer.
 *
 * @param deadline  absolute, or 0 for the configured call timeout from now
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

typedef struct via_client_stats {
	uint32_t struct_size, reserved;
	uint64_t calls_ok, calls_failed, connects, connects_failed;
} via_client_stats;
VIA_API void via_client_get_stats(const via_client *c, via_client_stats *out);

/** Session of the last connection attempt, for via_session_get_info(); NULL before the first. */
VIA_API via_session *via_client_session(via_client *c);

VIA_API void via_client_close(via_client *c);

#ifdef __cplusplus
}
#endif
#endif
