/* SPDX-License-Identifier: Apache-2.0 */
/** @file viaduct/service.h
 * Answers calls. The core owns framing, batching, credit, deadlines and the threads. */
#ifndef VIADUCT_SERVICE_H
#define VIADUCT_SERVICE_H
#include "codec.h"
#include "transport.h"
#ifdef __cplusplus
extern "C" {
#endif
/** Flags of a service. */
enum {
	VIA_SVC_CONCURRENT = 1,      /**< calls may overlap, also those of one session; else one at a time */
	VIA_SVC_IDEMPOTENT = 2,      /**< a call may run twice (at-least-once retry) without harm */
	VIA_SVC_BLOCKING = 4,        /**< call() may block: the core runs it on a pool, never on an event loop */
	VIA_SVC_ASYNC = 8            /**< call() may return VIA_PENDING; without it there is no token */
};

/** One call, as a service sees it. */
typedef struct via_call {
	uint32_t struct_size;        /**< sizeof, where it was built */
	uint16_t method;             /**< method code */
	uint16_t reserved;           /**< 0 */
	const void *request;         /**< passed the codec's check, and cannot change under the service;
	                                valid until call() returns, or until reply() after VIA_PENDING */
	uint64_t request_len;        /**< bytes */
	void *response;              /**< room to encode into; may be memory the peer will see: write only.
	                                Valid until call() returns. */
	uint64_t response_cap;       /**< its bytes */
	uint64_t response_len;       /**< out: bytes of the answer */
	via_time deadline;           /**< when the answer stops being useful; VIA_FOREVER if unknown */
	const via_peer *peer;        /**< valid until call() returns */
	uint64_t token;              /**< ASYNC: for host->reply after VIA_PENDING; else 0 */
} via_call;

/** Some items of one batch, for services that answer many in less time than one by one. */
typedef struct via_calls {
	uint32_t struct_size;        /**< sizeof, where it was built */
	uint16_t method;             /**< method code */
	uint16_t reserved;           /**< 0 */
	uint32_t n;                  /**< calls */
	uint32_t reserved2;          /**< 0 */
	const via_iov *requests;     /**< n, each as via_call.request */
	void *response;              /**< room for all answers, aligned to 8: write only. Answer i starts at
	                                the next multiple of 8 behind the end of answer i - 1 */
	uint64_t response_cap;       /**< its bytes */
	uint32_t *lengths;           /**< out: bytes of each answer */
	via_time deadline;           /**< as via_call.deadline */
	const via_peer *peer;        /**< as via_call.peer */
} via_calls;

/** What answers calls to one endpoint. */
typedef struct via_service {
	uint32_t struct_size;        /**< sizeof, where it was built */
	uint32_t flags;              /**< VIA_SVC_* */
	const char *name;            /**< endpoint name, "cgroups-snapshot"; A-Z a-z 0-9 . _ - */
	const char *const *codecs;   /**< names of the codecs it speaks, NULL-terminated; one is usual */
	/** Before a session's first call: makes its state, or refuses the peer. May be NULL: no state per session. */
	via_rc(VIA_CALL *open)(void *self, const via_peer *, void **session);           /**< [ctl] */
	/** Answers one call. OK: response_len bytes are the answer. PENDING: host->reply(token) comes later, exactly once. TOOBIG:
	 * the answer does not fit response_cap; the peer gets LIMIT_EXCEEDED. Any other rc: INTERNAL_ERROR. */
	via_rc(VIA_CALL *call)(void *self, void *session, via_call *);                  /**< [rx]; [any] with CONCURRENT */
	/** Nobody waits for the answer of a PENDING call any more; a reply is still owed. May be NULL. */
	void(VIA_CALL *cancel)(void *self, void *session, uint64_t token);              /**< [any] nb */
	/** Ends a session; no call is outstanding. May be NULL. */
	void(VIA_CALL *close)(void *self, void *session);                               /**< [ctl] */
	/** An extension by its name; NULL if there is none of it. May be NULL itself. */
	const void *(VIA_CALL *get_ext)(void *self, const char *id);                    /**< [any] */
	/** As call(), for several items of a batch: OK answers all of them, anything else is the answer to the
	 * whole batch. Never PENDING. May be NULL: then call() is called for each. */
	via_rc(VIA_CALL *call_many)(void *self, void *session, via_calls *);            /**< [rx]; [any] with CONCURRENT */
} via_service;
#ifdef __cplusplus
}
#endif
#endif
