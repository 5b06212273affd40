/* SPDX-License-Identifier: Apache-2.0 */
/** @file viaduct/app/endpoint.h
 * Where a service is: run directory, service name, transport, token. */
#ifndef VIADUCT_APP_ENDPOINT_H
#define VIADUCT_APP_ENDPOINT_H
#include "registry.h"
#ifdef __cplusplus
extern "C" {
#endif

/** Where a service is, and how to get there. */
typedef struct via_endpoint {
	uint32_t struct_size;  /**< sizeof, where it was built */
	uint32_t reserved;     /**< 0 */
	const char *service;   /**< A-Z a-z 0-9 . _ -, not "." or ".."; at most 127 bytes */
	const char *run_dir;   /**< NULL: via_default_run_dir() */
	const char *transport; /**< scheme of a baseline, decorators in front: "uds",
	                                "fault+uds". NULL: the best one that works here.
	                                Behind '>': the one upgrade to offer, decorators of its
	                                link in front: "uds>ring", "fault+uds>fault+ring" */
	const char *config;    /**< for the transport and its decorators: "scheme.key=value\n"
	                                lines; NULL for none. ">scheme.key=value\n": for a
	                                decorator behind '>' */
	uint64_t auth_token;   /**< opaque number that both sides must agree on */
} via_endpoint;

/**
 * Tests the service name and the run directory.
 *
 * @retval VIA_INVAL  with the rule that was broken
 */
VIA_API via_rc via_endpoint_check(const via_endpoint *ep);

/**
 * The run directory used when none is given: $XDG_RUNTIME_DIR/viaduct, else /run/viaduct; on Windows
 * `%ProgramData%\viaduct`. Does not create it.
 *
 * @retval VIA_TOOBIG  cap is too small
 */
VIA_API via_rc via_default_run_dir(char *buf, uint32_t cap);

/** One side's part in the handshake; zeros are the defaults of docs/wire.md section 17. */
typedef struct via_session_config {
	uint32_t struct_size;         /**< sizeof, where it was built */
	uint32_t profiles;            /**< mask offered; 0: all that work here, a client's without
					 those that are by request */
	uint32_t preferred;           /**< mask preferred; 0: highest common bit wins */
	uint32_t max_request_payload; /**< client: proposal, server: ceiling. 0: 1024 */
	uint32_t max_request_batch;   /**< client: proposal. 0: 1. A server accepts any */
	/** client: hint, server: what it may send. 0: 1024 (65536 server) */
	uint32_t max_response_payload;
	uint32_t packet_size;  /**< 0: what the baseline can carry */
	uint32_t handshake_ms; /**< whole handshake; 0: 5000 */
	uint32_t flags;        /**< VIA_SESSION_* */
} via_session_config;

/** Flags of a session. */
enum {
	/** Payloads may be lent where they arrived even while the peer can still change them: no copy, but
	 * whoever reads one must treat every look at it as new (docs/decisions.md, "Views are lent"). */
	VIA_SESSION_BORROW = 1
};

#ifdef __cplusplus
}
#endif
#endif
