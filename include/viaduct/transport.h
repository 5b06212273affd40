/* SPDX-License-Identifier: Apache-2.0 */
/** @file viaduct/transport.h
 * The one contract behind sockets, shared memory, pipes, loopback, decorators and foreign networks: a link
 * moves records, in order, between two peers. */
#ifndef VIADUCT_TRANSPORT_H
#define VIADUCT_TRANSPORT_H
#include "host.h"
#ifdef __cplusplus
extern "C" {
#endif
typedef struct via_link via_link;         /**< one end of a connection */
typedef struct via_listener via_listener; /**< what accepts links */

/** Capabilities: facts, per link, fixed once VIA_EV_UP. */
enum {
	VIA_CAP_RELIABLE = 1u << 0,           /**< no loss while up */
	VIA_CAP_PIPELINE = 1u << 1,           /**< many records may be in flight unacknowledged */
	VIA_CAP_HANDLES = 1u << 2,            /**< carries via_handle */
	VIA_CAP_PEERCRED = 1u << 3,           /**< peer() is kernel-attested */
	VIA_CAP_HUP = 1u << 4,                /**< reports peer death. Without it the core watches an
	                                         upgrade's baseline, and shuts that down instead */
	VIA_CAP_POLLABLE = 1u << 5,           /**< arm() gives FD or WIN */
	VIA_CAP_ZC_TX = 1u << 6,              /**< reserve() returns the peer-visible memory */
	VIA_CAP_ZC_RX = 1u << 7,              /**< recv() views are not copies */
	VIA_CAP_REMOTE = 1u << 8,             /**< crosses machines */
	VIA_CAP_RT = 1u << 9,                 /**< hot ops: no syscall, no allocation, no lock */
	VIA_CAP_MT_TX = 1u << 10,             /**< tx lane may be held by many threads at once */
	VIA_CAP_WORDWAIT = 1u << 11,          /**< can only be slept on through a VIA_WAIT_WORD */
	VIA_CAP_MORE = 1u << 12               /**< sending is cheaper with via_link.tx_more */
};

/** Limits of a link. */
typedef struct via_limits {
	uint32_t struct_size;        /**< sizeof, where it was built */
	uint32_t max_record;         /**< bytes the medium can carry in one record */
	uint32_t max_batch;          /**< useful upper bound for n in send/recv */
	uint32_t max_views;          /**< views that may be out at once; recv() then returns VIA_LIMIT */
	uint32_t max_slots;          /**< reservations that may be out at once; then VIA_LIMIT */
	uint32_t max_handles;        /**< of one record */
	uint32_t align;              /**< of slot and view data, bytes */
	uint32_t reserved;           /**< 0 */
} via_limits;

/** Writable room for one record. Frozen. */
typedef struct via_slot {
	void *data;                  /**< the room: write only */
	uint32_t cap;                /**< room granted, >= asked */
	uint32_t len;                /**< set by the caller before commit(); VIA_SKIP drops the slot */
	uint64_t cookie;             /**< transport's */
} via_slot;
#define VIA_SKIP UINT32_MAX /**< via_slot.len: send nothing */

/** Flags of a view. */
enum {
	VIA_VIEW_SHARED = 1,         /**< peer can still write these bytes: copy before you validate */
	VIA_VIEW_HANDLES = 2,        /**< take_handles() has something */
	VIA_VIEW_CUT = 4             /**< the record was longer than expect() allowed; the rest is gone */
};
/** A borrowed record, valid until release(). Frozen. */
typedef struct via_view {
	const void *data;            /**< the record */
	uint32_t len;                /**< its bytes */
	uint32_t flags;              /**< VIA_VIEW_* */
	uint64_t cookie;             /**< transport's */
} via_view;

/** One record to send, in parts. Frozen. */
typedef struct via_msg {
	const via_iov *iov;          /**< the parts, in order; borrowed until send() returns */
	uint32_t n_iov;              /**< how many */
	uint32_t n_handles;          /**< how many handles go with it */
	via_handle *handles;         /**< moved into the transport for every accepted message */
} via_msg;

/** What of a via_peer is known. */
enum {
	VIA_PEER_PID = 1,            /**< pid */
	VIA_PEER_UID = 2,            /**< uid */
	VIA_PEER_GID = 4,            /**< gid */
	VIA_PEER_LABEL = 8           /**< label */
};
/** Who is at the other end. */
typedef struct via_peer {
	uint32_t struct_size;        /**< sizeof, where it was built */
	uint32_t valid;              /**< VIA_PEER_* */
	uint64_t pid;                /**< process */
	uint64_t uid;                /**< user */
	uint64_t gid;                /**< group */
	char label[64];              /**< NUL-terminated, for people */
} via_peer;

/** The verbs of a link.
 *
 * Every verb tries once and never blocks: sleeping happens in the core, on what arm() hands out.
 * A record is 1..max_record bytes. send() while a slot is out, and any sending after an own shutdown(),
 * is VIA_STATE. A listener has no disarm: what its arm() hands out stays ready while accept() would
 * succeed. After a verb has answered CLOSED, RESET or ABORTED every later one answers the same, except
 * that records already received may still be delivered before it. */
typedef struct via_link_ops {
	uint32_t struct_size;        /**< sizeof, where it was built */
	uint32_t link_size;          /**< sizeof the module's own link struct, for the record */
	/* -- hot: never NULL, checked once when the link is handed over, then called unchecked ---- */
	/** Room for one record of len bytes. */
	via_rc(VIA_CALL *reserve)(via_link *, uint32_t len, via_slot *out);             /**< [tx] nb; AGAIN, TOOBIG, LIMIT */
	/** Sends the n oldest slots, in order. Count accepted, or AGAIN: the slots stay reserved. */
	via_rc(VIA_CALL *commit)(via_link *, const via_slot *, uint32_t n);             /**< [tx] nb */
	/** Sends n records, in order. */
	via_rc(VIA_CALL *send)(via_link *, const via_msg *, uint32_t n);                /**< [tx] nb; count accepted, or AGAIN, TOOBIG */
	/** Takes up to max records, in order; each stays until release(). */
	via_rc(VIA_CALL *recv)(via_link *, via_view *out, uint32_t max);                /**< [rx] nb; count, or AGAIN, CLOSED, RESET */
	/** Gives n views back. */
	void(VIA_CALL *release)(via_link *, const via_view *, uint32_t n);              /**< [rx] nb; any order */
	/* -- waiting: events is one or both of VIA_EV_RX, VIA_EV_TX. The end of the link wakes any wait */
	/** Prepares a sleep and says what to sleep on. */
	via_rc(VIA_CALL *arm)(via_link *, uint32_t events, via_waitobj *out); /**< [rx|tx] nb; VIA_BUSY = ready, do not sleep */
	/** Ends what arm() prepared: after every sleep. */
	void(VIA_CALL *disarm)(via_link *, uint32_t events);                            /**< [rx|tx] nb */
	/** Wakes sleepers; every op fails with why from now on. */
	void(VIA_CALL *abort)(via_link *, via_rc why);                                  /**< [any] nb */
	/* -- cold --------------------------------------------------------------------------------- */
	/** The longest record the core will take from now on. Until the first call a link need not keep more
	 * than VIA_EXPECT_INITIAL bytes of one. May allocate; on failure nothing changes. */
	via_rc(VIA_CALL *expect)(via_link *, uint32_t max_record);                      /**< [rx] no view out */
	/** Takes the handles that came with a view: their count; the caller owns them. */
	via_rc(VIA_CALL *take_handles)(via_link *, const via_view *, via_handle *out, uint32_t max); /**< [rx] */
	/** Ends sending; the peer sees VIA_CLOSED after what was sent. */
	via_rc(VIA_CALL *shutdown)(via_link *);                                         /**< [tx] */
	/** Who is at the other end. */
	via_rc(VIA_CALL *peer)(via_link *, via_peer *out);                              /**< [any] */
	/** An extension by its name. */
	const void *(VIA_CALL *get_ext)(via_link *, const char *id);                    /**< [any] unknown id: NULL */
	/** Closes and frees the link; its lanes are released, no views are out. */
	void(VIA_CALL *close)(via_link *);                                              /**< [ctl] nb */
} via_link_ops;
#define VIA_EXPECT_INITIAL 128u   /**< bytes of a record that a link takes before its first expect() */

/** First member of the transport's own link struct. */
struct via_link {
	const via_link_ops *ops;     /**< the verbs */
	const volatile uint64_t *rx_word; /**< optional: differs from rx_seen when recv() would succeed;
	                                     load-acquire it to busy-poll without any call. The receive
	                                     lane's: may point elsewhere after each recv() */
	uint64_t rx_seen;            /**< maintained by recv() */
	uint64_t caps;               /**< VIA_CAP_* */
	const via_limits *limits;    /**< lives as long as the link */
	void *host;                  /**< core's, a transport never touches it */
	uint32_t tx_more;            /**< core's, send lane: more records follow at once. What only makes sure
	                                that a sleeping peer wakes may be put off until a send() or commit()
	                                without it; one of no records is enough */
	uint32_t rx_plain;           /**< core's, receive lane, set before an expect(): handles are not wanted
	                                any more. A link may drop them unseen from then on, and that
	                                expect() may change limits->max_views */
};

/** The verbs of a listener. */
typedef struct via_listener_ops {
	uint32_t struct_size;        /**< sizeof, where it was built */
	uint32_t listener_size;      /**< sizeof the module's own listener struct, for the record */
	/** Takes the next link that was dialled. */
	via_rc(VIA_CALL *accept)(via_listener *, via_link **out);                       /**< [ctl] nb; AGAIN */
	/** Says what to sleep on until accept() is worth trying. */
	via_rc(VIA_CALL *arm)(via_listener *, via_waitobj *out);                        /**< [ctl] nb; VIA_BUSY = accept now */
	/** Writes its address for people; returns the bytes needed, with NUL. */
	via_rc(VIA_CALL *address)(via_listener *, char *buf, uint32_t cap);             /**< [any] */
	/** Stops listening and frees the listener. Links that were accepted live on. */
	void(VIA_CALL *close)(via_listener *);                                          /**< [ctl] */
} via_listener_ops;
/** First member of the transport's own listener struct. */
struct via_listener {
	const via_listener_ops *ops; /**< the verbs */
	void *host;                  /**< core's */
};

/** Where a baseline listens and dials. How the two names become a path, a pipe name or a table key is
 * the transport's affair. The core has checked the service name (docs/wire.md section 9). */
typedef struct via_address {
	uint32_t struct_size;        /**< sizeof, where it was built */
	uint32_t reserved;           /**< 0 */
	const char *ns;              /**< namespace: the run directory */
	const char *service;         /**< name of the service */
	const char *config;          /**< "key=value\n" lines, or NULL */
} via_address;

/** What both halves of an upgrade know once HELLO has been answered. An upgrade either derives its
 * object names from this (so that it can meet a peer that knows nothing but the wire contract) or
 * hands unnamed memory over as handles that travel with HELLO_ACK, or both. */
typedef struct via_upgrade {
	uint32_t struct_size;        /**< sizeof, where it was built */
	uint32_t profile;            /**< the one selected bit */
	const char *ns;              /**< namespace: the run directory */
	const char *service;         /**< name of the service */
	uint64_t session_id;         /**< the server's number of the session */
	uint64_t auth_token;         /**< the endpoint's */
	uint32_t max_request;        /**< largest record from the client, outer header included, bytes */
	uint32_t max_response;       /**< the same from the server */
	via_link *baseline;          /**< stays open; its lanes are lent to the data link until that closes */
	via_handle *handles;         /**< provision: room for out handles; attach: the ones that came in */
	uint32_t n_handles;          /**< handles in it: out of provision, into attach */
	uint32_t cap_handles;        /**< provision: the room */
} via_upgrade;

/** What a transport can do. */
enum {
	VIA_ROLE_BASELINE = 1,       /**< can listen and dial an address */
	VIA_ROLE_UPGRADE = 2,        /**< can take over the data of a session begun on some baseline */
	VIA_ROLE_DECORATOR = 4       /**< can wrap a link of any transport */
};

/** What makes links. */
typedef struct via_transport {
	uint32_t struct_size;        /**< sizeof, where it was built */
	uint32_t roles;              /**< VIA_ROLE_* */
	uint32_t profiles;           /**< negotiated bits it serves: 0x1 for a baseline; docs/wire.md section 7 */
	uint32_t by_request;         /**< those of them that a client offers only when its configuration names
	                                them; a server has them for whoever asks */
	uint64_t caps;               /**< best case of its links */
	uint64_t needs;              /**< UPGRADE, DECORATOR: caps the underlying link must have */
	const char *schemes;         /**< names for endpoints and people, "uds,unix"; NULL for none */
	/** Would it work here and now? Cheap, no side effects. Returns a score 1..1000, or rc with the
	 * reason given to host->fail, so that "why not" can always be printed. */
	via_rc(VIA_CALL *probe)(void *self);                                                         /**< [any] */
	/** BASELINE: begins to listen. */
	via_rc(VIA_CALL *listen)(void *self, const via_address *, via_listener **);                  /**< [ctl] EXISTS: live owner */
	/** BASELINE: connects to what listens there. */
	via_rc(VIA_CALL *dial)(void *self, const via_address *, via_link **);  /**< [ctl] nb; UNREACH; AGAIN = queue full, retry */
	/** UPGRADE: the server provisions before it answers HELLO with success; the client attaches after. A
	 * failed provision drops the bit from this handshake; a failed attach ends this session, and the
	 * client comes back without the bit. Nobody falls back inside a session. */
	via_rc(VIA_CALL *provision)(void *self, via_upgrade *, via_link **out);                      /**< [ctl] server */
	/** UPGRADE: the client's half of provision(). */
	via_rc(VIA_CALL *attach)(void *self, const via_upgrade *, via_link **out);                   /**< [ctl] client; AGAIN = retry */
	/** DECORATOR: the core wraps every dialled and every accepted link. */
	via_rc(VIA_CALL *wrap)(void *self, via_link *inner, const char *config, via_link **outer);   /**< [ctl] owns inner on success */
} via_transport;
#ifdef __cplusplus
}
#endif
#endif
