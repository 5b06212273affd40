/* SPDX-License-Identifier: Apache-2.0 */
/** @file viaduct/app/session.h
 * Level 1: acceptors and sessions, usable from the caller's own event loop.
 *
 * A session carries messages (docs/wire.md sections 2-4) between one client and one server. Its verbs
 * try once and never block; via_session_wait() is the one that does. Send and receive are two lanes:
 * one thread may send while another receives, never two on one lane. via_session_abort() may be called
 * from any thread. A session that has failed once fails for ever with the same code. */
#ifndef VIADUCT_APP_SESSION_H
#define VIADUCT_APP_SESSION_H
#include "endpoint.h"
#include "wire.h"
#ifdef __cplusplus
extern "C" {
#endif

typedef struct via_session via_session;   /**< one connection, on either side; opaque */
typedef struct via_acceptor via_acceptor; /**< a listening endpoint; opaque */

/** One message: docs/wire.md section 2. */
typedef struct via_message {
	uint16_t kind;        /**< VIA_WIRE_REQUEST, VIA_WIRE_RESPONSE */
	uint16_t flags;       /**< VIA_WIRE_FLAG_BATCH or 0 */
	uint16_t code;        /**< method code */
	uint16_t status;      /**< responses: VIA_STATUS_* */
	uint32_t item_count;  /**< items of the payload, 1 without a batch */
	uint32_t payload_len; /**< bytes */
	uint64_t id;          /**< the client's choice; the response carries the same */
	const void *payload;  /**< recv: borrowed until via_session_release() */
} via_message;

/* -- opening ---------------------------------------------------------------------------------- */

/**
 * Starts a client session: dials, and sends HELLO as soon as it can. Drive it with
 * via_session_step() until that returns something else than VIA_AGAIN.
 *
 * @param r       stays open for as long as the session
 * @param ep      copied
 * @param config  NULL for defaults; copied
 * @param out     the session, for via_session_close()
 * @retval VIA_OK        started
 * @retval VIA_UNREACH   nobody listens there
 * @retval VIA_AGAIN     the server's queue is full: start again in a moment
 * @retval VIA_NOTFOUND  no transport for it; the detail says why
 * Blocks: no (loading a module touches the file system). Allocates: yes.
 */
VIA_API via_rc via_session_start(via_registry *r, const via_endpoint *ep,
				 const via_session_config *config, via_session **out);

/**
 * Goes on with the handshake.
 *
 * @retval VIA_OK        the session is up
 * @retval VIA_AGAIN     not yet: sleep on via_session_wait_set(s, VIA_EV_RX) and call again
 * @retval VIA_REFUSED   the server refused; via_session_info gives the status
 * @retval VIA_TIMEOUT   the handshake's own deadline passed
 * @retval VIA_PROTO, VIA_CLOSED, VIA_RESET  as via_session_recv()
 */
VIA_API via_rc via_session_step(via_session *s);

/** Starts and steps until the session is up or the deadline passes. Blocks: until deadline. */
VIA_API via_rc via_session_connect(via_registry *r, const via_endpoint *ep,
				   const via_session_config *config, via_time deadline,
				   via_session **out);

/* -- server side ------------------------------------------------------------------------------ */

/**
 * Listens. Handshakes of many clients run at once, each with its own deadline.
 *
 * @retval VIA_EXISTS  a live server owns the endpoint
 */
VIA_API via_rc via_acceptor_open(via_registry *r, const via_endpoint *ep,
				 const via_session_config *config, via_acceptor **out);

/**
 * Accepts, and moves every handshake on as far as it goes without waiting.
 *
 * @retval VIA_OK     *out is a session that is up; call again, there may be more
 * @retval VIA_AGAIN  nothing more now; see via_acceptor_wait_set()
 * other: the listener failed
 */
VIA_API via_rc via_acceptor_step(via_acceptor *a, via_session **out);

/**
 * What to sleep on until via_acceptor_step() is worth calling: fills at most cap objects.
 *
 * @param a         the acceptor
 * @param objs      out: borrowed until the next call on the acceptor
 * @param cap       room in objs
 * @param deadline  out: the earliest handshake deadline, VIA_FOREVER for none
 * @return number of objects there are; VIA_BUSY: do not sleep
 */
VIA_API via_rc via_acceptor_wait_set(via_acceptor *a, via_waitobj *objs, uint32_t cap,
				     via_time *deadline);

/** Steps until a session is up. Blocks: until deadline. */
VIA_API via_rc via_acceptor_accept(via_acceptor *a, via_time deadline, via_session **out);

/** Ends a blocked via_acceptor_accept() with VIA_ABORTED, now and later. Threads: any. */
VIA_API void via_acceptor_abort(via_acceptor *a);

/** Textual address, for people. Lives as long as a. */
VIA_API const char *via_acceptor_address(const via_acceptor *a);

/** Stops listening, ends unfinished handshakes. Sessions handed out live on. NULL is fine. */
VIA_API void via_acceptor_close(via_acceptor *a);

/* -- messages --------------------------------------------------------------------------------- */

/**
 * Sends one message. Larger ones are chunked; a chunked message that meets a full link is kept and
 * continued by via_session_flush().
 *
 * @retval VIA_OK      accepted; the payload may be reused
 * @retval VIA_PENDING accepted in part: the payload must stay until via_session_flush() returns VIA_OK
 * @retval VIA_AGAIN   nothing was sent: the link is full, or an earlier message is still pending
 * @retval VIA_TOOBIG  payload over the agreed limit; VIA_LIMIT: item_count over the agreed limit
 * @retval VIA_EXISTS  client: the id is in flight already
 */
VIA_API via_rc via_session_send(via_session *s, const via_message *m);

/**
 * Sends several messages, which costs less than one at a time if they are short: at most 64 payload bytes, and not
 * chunked. Longer ones are sent alone.
 *
 * @param s  a session that is up
 * @param m  n messages, each as for via_session_send()
 * @param n  how many, at least 1
 * @return how many of the first of them were accepted, at least 1; else what via_session_send() answered for the first.
 *         After VIA_PENDING that one is accepted.
 * Blocks: no. Allocates: no. Threads: as via_session_send().
 */
VIA_API via_rc via_session_send_many(via_session *s, const via_message *m, uint32_t n);

/**
 * Room in the link's own memory for one outgoing payload, to encode in place instead of copying: the peer
 * reads it from there. Write only, and nothing that the peer may not see. Ends with via_session_commit() or
 * via_session_cancel(), before the next message is sent.
 *
 * @param s        a session that is up
 * @param cap      bytes wanted; the room is at least that long and aligned to 8
 * @param payload  out: the room
 * @retval VIA_OK      *payload points to it
 * @retval VIA_NOTSUP  this link has no memory to lend, or messages that long are chunked: use
 *                     via_session_send()
 * @retval VIA_AGAIN   the link is full, or an earlier message is still pending
 * @retval VIA_TOOBIG  over the agreed limit; VIA_STATE: room is out already
 * Blocks: no. Allocates: no. Threads: as via_session_send().
 */
VIA_API via_rc via_session_reserve(via_session *s, uint32_t cap, void **payload);

/**
 * Sends what was encoded into the room: m->payload_len bytes of it, m->payload is not looked at.
 *
 * @retval as via_session_send(), but never VIA_PENDING. After VIA_AGAIN the room is still out; after any
 *         other failure it is given back
 */
VIA_API via_rc via_session_commit(via_session *s, const via_message *m);
/** Gives the room back, nothing is sent. */
VIA_API void via_session_cancel(via_session *s);

/**
 * Between the two, messages are sent as before, but waking a peer that is just falling asleep may be put off
 * until via_session_uncork(): cheaper when several are sent in a row. Do not wait for answers in between.
 *
 * Blocks: no. Allocates: no. Threads: as via_session_send().
 */
VIA_API void via_session_cork(via_session *s);
/** Ends via_session_cork(): wakes the peer if it may sleep. */
VIA_API void via_session_uncork(via_session *s);

/** Goes on with a pending message. VIA_OK: nothing is pending. VIA_AGAIN: still full. */
VIA_API via_rc via_session_flush(via_session *s);

/**
 * Receives one message. The payload is borrowed until via_session_release().
 *
 * @retval VIA_OK     *m is filled; release it before the next call
 * @retval VIA_AGAIN  none yet
 * @retval VIA_CLOSED, VIA_RESET  the peer closed, or died
 * @retval VIA_PROTO  the peer broke the protocol; the detail says how
 * @retval VIA_LIMIT  over an agreed limit; *m holds the header (no payload) so that a server can answer,
 *                    after which the session must be closed
 */
VIA_API via_rc via_session_recv(via_session *s, via_message *m);
/** Gives a received message's payload back. Nothing to do for one without. */
VIA_API void via_session_release(via_session *s, const via_message *m);

/**
 * What to sleep on until a verb is worth trying, for the caller's own event loop: one or two objects, the
 * second being the baseline under an upgraded session, which tells of the peer's death.
 *
 * @param s       the session
 * @param events  VIA_EV_RX, VIA_EV_TX or both
 * @param objs    room for two
 * @return number of objects; VIA_BUSY: ready already, do not sleep; otherwise how the session ended
 *
 * Call via_session_wait_done() after every sleep, before the next verb.
 */
VIA_API via_rc via_session_wait_set(via_session *s, uint32_t events, via_waitobj objs[2]);
/** Ends what via_session_wait_set() began; n is what it returned. Nothing to do unless n > 0. */
VIA_API void via_session_wait_done(via_session *s, uint32_t events, via_rc n);

/**
 * Waits until a verb is worth trying: spins while that pays, then sleeps.
 *
 * @retval VIA_OK, VIA_TIMEOUT, VIA_ABORTED
 */
VIA_API via_rc via_session_wait(via_session *s, uint32_t events, via_time deadline);

/** Sends, waiting for room. Blocks: until deadline, which covers the whole message. */
VIA_API via_rc via_session_send_wait(via_session *s, const via_message *m, via_time deadline);
/** Receives, waiting. Blocks: until deadline, which covers the whole message. */
VIA_API via_rc via_session_recv_wait(via_session *s, via_message *m, via_time deadline);

/** Ends the session from any thread: every verb and wait fails with why from now on. */
VIA_API void via_session_abort(via_session *s, via_rc why);

/* -- facts ------------------------------------------------------------------------------------- */

/** What became of a profile in the handshake. */
enum {
	VIA_VERDICT_SELECTED = 1,   /**< carries the data */
	VIA_VERDICT_OFFERED = 2,    /**< offered, the peer chose another */
	VIA_VERDICT_NOT_COMMON = 3, /**< offered, the peer does not have it */
	VIA_VERDICT_FAILED = 4,     /**< selected, but could not be provisioned or attached */
	VIA_VERDICT_UNUSABLE = 5,   /**< not offered: see reason */
	VIA_VERDICT_MASKED = 6,     /**< not offered: configured out */
};

/** One profile, and what became of it. */
typedef struct via_candidate {
	uint32_t profile; /**< the bit */
	uint32_t verdict; /**< VIA_VERDICT_* */
	char id[64];      /**< component id, "" if none provides it */
	char reason[192]; /**< for people; "" if there is nothing to say */
} via_candidate;

/** Facts about a session. */
typedef struct via_session_info {
	uint32_t struct_size;            /**< sizeof, where it was built */
	uint32_t is_server;              /**< 1: the server's side */
	uint32_t is_up;                  /**< 1: the handshake succeeded */
	uint32_t status;                 /**< of the handshake: VIA_STATUS_* */
	uint64_t session_id;             /**< the server's number of it */
	uint32_t offered;                /**< profiles, a mask */
	uint32_t peer_offered;           /**< the peer's; 0 if unknown */
	uint32_t selected;               /**< the one that carries the data */
	uint32_t max_request_payload;    /**< agreed, bytes */
	uint32_t max_request_batch;      /**< agreed, items */
	uint32_t max_response_payload;   /**< agreed, bytes */
	uint32_t max_response_batch;     /**< agreed, items */
	uint32_t packet_size;            /**< agreed, bytes */
	uint32_t n_candidates;           /**< of candidates */
	const via_candidate *candidates; /**< lives as long as the session */
	via_peer peer;                   /**< who is at the other end */
} via_session_info;

/** Reads the facts: out->struct_size bytes of them. */
VIA_API void via_session_get_info(via_session *s, via_session_info *out);
/** What a VIA_VERDICT_* means in a few words. Threads: any. */
VIA_API const char *via_verdict_text(uint32_t verdict);

/** Closes and frees. No message may be out. NULL is fine. */
VIA_API void via_session_close(via_session *s);

#ifdef __cplusplus
}
#endif
#endif
