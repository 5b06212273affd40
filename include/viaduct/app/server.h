/* SPDX-License-Identifier: Apache-2.0 */
/** @file viaduct/app/server.h
 * Level 2: a managed server with a fixed number of workers.
 *
 * Handshakes run in the workers' event loops, many at once. Sessions are spread over the workers; no
 * thread per session. Services that may block run on a pool of their own. docs/wire.md section 15. */
#ifndef VIADUCT_APP_SERVER_H
#define VIADUCT_APP_SERVER_H
#include "session.h"
#ifdef __cplusplus
extern "C" {
#endif

typedef struct via_server via_server; /**< a server of any number of endpoints; opaque */

/** What a server is opened with. */
typedef struct via_server_options {
	uint32_t struct_size; /**< sizeof, where it was built */
	uint32_t n_workers;   /**< 0: one for each usable CPU, at most 4 */
	uint32_t n_pool;      /**< threads for blocking services; 0: 2. Started when first needed */
	/** over all endpoints; 0: 1024. One more is refused in the handshake */
	uint32_t max_sessions;
	/** a peer that does not take its answer for so long is closed; 0: 30000 */
	uint32_t send_timeout_ms;
	uint32_t reserved; /**< 0 */
} via_server_options;

/** Makes a server; listens to nothing yet. options may be NULL. */
VIA_API via_rc via_server_open(via_registry *r, const via_server_options *options,
			       via_server **out);

/**
 * Adds an endpoint answered by the service of that name from the registry. The module is loaded on the
 * first call, not before.
 *
 * @retval VIA_NOTFOUND  no module provides the service; the detail says what was refused
 * @retval VIA_STATE     already started
 */
VIA_API via_rc via_server_add(via_server *s, const via_endpoint *ep,
			      const via_session_config *config);

/** Adds an endpoint answered by the program's own service. vtable and self must outlive the server. */
VIA_API via_rc via_server_add_service(via_server *s, const via_endpoint *ep,
				      const via_session_config *config, const via_service *vtable,
				      void *self);

/**
 * Listens on all endpoints and starts the workers. All or nothing.
 *
 * @retval VIA_EXISTS  a live server owns one of the endpoints
 */
VIA_API via_rc via_server_start(via_server *s);

/**
 * Stops accepting and waits until no call is being answered, then closes every session.
 *
 * @retval VIA_TIMEOUT  calls were still running; they were abandoned
 * Blocks: until deadline.
 */
VIA_API via_rc via_server_drain(via_server *s, via_time deadline);

/** What a server has done since it was started. */
typedef struct via_server_stats {
	uint32_t struct_size;       /**< sizeof, where it was built */
	uint32_t n_sessions;        /**< open now */
	uint64_t accepted;          /**< sessions that came up */
	uint64_t refused;           /**< handshakes that it answered with a refusal */
	uint64_t handshakes_failed; /**< handshakes that came to no end */
	uint64_t calls;             /**< calls answered with status OK */
	uint64_t calls_failed;      /**< calls answered with another */
} via_server_stats;

/** Reads the counters: out->struct_size bytes of them. Threads: any. */
VIA_API void via_server_get_stats(via_server *s, via_server_stats *out);

/**
 * For watchdogs: whether every worker has gone round its loop since the last time this was asked, and asks
 * again, which wakes each worker once. A worker that is stuck in a call cannot go round; threads for blocking
 * services may take their time and are not asked. Not beside via_server_drain() or via_server_close().
 *
 * @retval VIA_OK    all have, or nobody has asked before, or the server does not run
 * @retval VIA_BUSY  at least one has not; the detail says how many, and none is asked again
 */
VIA_API via_rc via_server_alive(via_server *s);

/** Completes a call that a program's own service left with VIA_PENDING; as via_host.reply. Threads: any. */
VIA_API void via_server_reply(via_server *s, uint64_t token, via_rc rc, const void *response,
			      uint64_t len);

/** Stops at once (drain with a deadline in the past), joins the threads and frees. NULL is fine. */
VIA_API void via_server_close(via_server *s);

#ifdef __cplusplus
}
#endif
#endif
