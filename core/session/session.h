/* SPDX-License-Identifier: Apache-2.0
 * core/session/session.h - the inside of a session, shared by its parts.
 *
 *   session.c   life, waiting, facts          candidates.c  which profiles, and why not
 *   tx.c        send lane, chunking           hs_client.c   HELLO, the client's side
 *   rx.c        receive lane, reassembly      hs_server.c   HELLO, the server's side
 *   inflight.c  ids of requests under way     acceptor.c    listener and its handshakes */
#ifndef VIA_CORE_SESSION_H
#define VIA_CORE_SESSION_H
#include "../os/os.h"
#include "../wait/wait.h"
#include "stack.h"
#include <stdatomic.h>
#include <viaduct/app/session.h>

#define PROFILE_BASELINE 0x1u
enum { MAX_CANDIDATES = 16, MAX_UPGRADE_HANDLES = 8 };
#define DEFAULT_REQUEST 1024u
#define DEFAULT_RESPONSE_SERVER 65536u
#define DEFAULT_RESPONSE_CLIENT 1024u
#define DEFAULT_BATCH 1u
#define DEFAULT_HANDSHAKE_MS 5000u

/* -- ids in flight (client): docs/wire.md section 8 ------------------------------------------------ */

enum { INFLIGHT_QUICK = 64 };
typedef struct inflight {
	/* id + 1 at place id % INFLIGHT_QUICK, 0 when free: what the two lanes need no lock for. The send lane
	 * fills a place, the receive lane empties it. */
	_Atomic uint64_t quick[INFLIGHT_QUICK];
	/* the others */
	os_mutex lock;
	_Atomic uint32_t n; /* written under the lock */
	struct id_table {
		uint64_t *slot;
		uint8_t *used;
		uint32_t cap; /* power of two or 0 */
	} table;
} inflight;

void inflight_init(inflight *f);
void inflight_free(const core_env *e, inflight *f);
via_rc inflight_add(const core_env *e, inflight *f, uint64_t id); /* EXISTS, LIMIT, NOMEM */
int inflight_take(inflight *f, uint64_t id);                      /* 0 when it was not there */

/* The usual case of inflight_add(): 1, it is in; 0, that function has to look. */
static inline int inflight_add_quick(inflight *f, uint64_t id)
{
	_Atomic uint64_t *place = &f->quick[id % INFLIGHT_QUICK];

	if (id == UINT64_MAX || atomic_load_explicit(place, memory_order_acquire) != 0 ||
	    atomic_load_explicit(&f->n, memory_order_acquire) != 0)
		return 0;
	atomic_store_explicit(place, id + 1, memory_order_release);
	return 1;
}

/* The usual case of inflight_take(): 1, it was there; 0, that function has to look. */
static inline int inflight_take_quick(inflight *f, uint64_t id)
{
	_Atomic uint64_t *place = &f->quick[id % INFLIGHT_QUICK];

	if (id == UINT64_MAX || atomic_load_explicit(place, memory_order_acquire) != id + 1)
		return 0;
	atomic_store_explicit(place, 0, memory_order_release);
	return 1;
}

/* -- profiles ----------------------------------------------------------------------------------------- */

typedef struct candidates {
	via_candidate list[MAX_CANDIDATES];
	uint32_t n;
	uint32_t mask; /* what to offer */
	uint32_t
		configured; /* what may be; 0: everything, for a client without what is by request */
	int is_server;
} candidates;

/* Fills the list from the index. */
void candidates_collect(via_registry *reg, uint32_t configured, int is_server, candidates *out);
/* Only this upgrade is to be offered, beside the baseline. */
void candidates_name(candidates *c, const char *id, const via_transport *t);
/* Sets the verdict of one bit; reason may be NULL. */
void candidates_verdict(candidates *c, uint32_t profile, uint32_t verdict, const char *reason);
/* Takes the failures of an earlier attempt over. */
void candidates_inherit(candidates *c, const candidates *failed);
/* After the answer: who was selected, who was not common. */
void candidates_settle(candidates *c, uint32_t peer, uint32_t selected);

/* -- session -------------------------------------------------------------------------------------------- */

enum session_phase {
	PHASE_HELLO_OUT, /* client: HELLO not sent yet */
	PHASE_ACK_IN,    /* client: waiting for the answer */
	PHASE_ATTACH,    /* client: the upgrade asked to be tried again */
	PHASE_HELLO_IN,  /* server: waiting for HELLO */
	PHASE_ACK_OUT,   /* server: answer decided, not sent yet */
	PHASE_UP,
	PHASE_DEAD /* the handshake failed: fail_rc */
};

typedef struct tx_lane {
	int pending; /* a chunked message is under way */
	via_wire_header header;
	const uint8_t *payload;
	uint32_t sent;         /* payload bytes already on the link */
	uint32_t index, count; /* next chunk, chunks in all */
	via_slot slot;         /* room lent to the caller: via_session_reserve() */
	int has_slot;
	_Atomic via_rc fail;
} tx_lane;

enum { RX_ALONE = 8 };   /* so many rows of one are no accident */
enum { RX_AT_ONCE = 8 }; /* enough to spread what a fetch costs; half of a conversation 16 deep */
typedef struct rx_lane {
	/* Fetched from the link together. Those before `next` are through, from `oldest` on they are still to be
	 * given back; the others wait to be looked at. */
	via_view views[RX_AT_ONCE];
	uint32_t oldest, next, n_views;
	uint32_t at_once; /* most to fetch next time, at least 1 */
	uint32_t in_row;  /* fetched since there was none, or whoever fetches did something else */
	uint32_t n_alone; /* rows of one since the last longer one */
	int lent;         /* a message is out: no other before it is released */
	int view_out;     /* what it lies in is views[next] */
	int partial;      /* reassembly under way */
	via_wire_header header;
	uint8_t *buf; /* reassembly, or private copy of shared bytes */
	uint32_t cap, got, index, count;
	_Atomic via_rc fail;
} rx_lane;

struct via_session {
	via_registry *reg;
	const core_env *env;
	int is_server;
	enum session_phase phase;
	via_rc fail_rc;    /* of the handshake */
	int attach_failed; /* client: the selected upgrade could not be used */
	stack own_stack;   /* client: its own; server: empty */
	const stack *st;   /* the stack in use until the session is up */
	via_link *base;
	_Atomic(via_link *)
		data; /* == base on the baseline profile; abort() reads it from any thread */
	link_pins pins;
	via_ref upgrade; /* module of data when it is not base */
	reg_pin hold;
	char what[96];      /* names the session in refused unloads and logs */
	atomic_int watched; /* a sleeping lane looks after the baseline under an upgrade */

	via_session_config config;
	candidates *cand; /* NULL once a server session is up and nothing failed */
	uint32_t offered, peer_offered;
	via_wire_ack agreed;
	uint16_t status;
	via_time hs_deadline;
	int (*admit)(void *arg); /* server: 0 refuses with LIMIT_EXCEEDED */
	void *admit_arg;
	_Atomic uint64_t *next_id;        /* server: session numbers of the acceptor */
	uint64_t number;                  /* server: taken from there; 0: not yet */
	via_time born;                    /* server: of the acceptor */
	uint8_t out[VIA_WIRE_ACK_PACKET]; /* HELLO or HELLO_ACK under way */
	uint32_t out_len;
	via_handle out_handles[MAX_UPGRADE_HANDLES];
	uint32_t n_out_handles;
	via_handle in_handles[MAX_UPGRADE_HANDLES];
	uint32_t n_in_handles;

	/* of messages each way: what session_settle() has made of the agreement */
	uint32_t max_in, max_out;     /* payload bytes */
	uint32_t items_in, items_out; /* highest item_count */
	uint32_t short_out; /* payload bytes that are one record, and at most SHORT_PAYLOAD */
	uint16_t kind_in, kind_out;
	int chunked;         /* data link splits at agreed.packet_size */
	int in_place;        /* it does not, and lends memory to encode in */
	int has_word;        /* data link can be polled; rx_word itself is the receive lane's */
	uint32_t rx_at_once; /* records that may be fetched together */
	uint32_t tx_at_once; /* and sent, at most SHORT_MANY */
	uint64_t budget;     /* of one spin of a waiting lane */
	tx_lane tx;
	rx_lane rx;
	inflight flight;
	wait_history history;
	struct via_session *next; /* list of the acceptor */
};

/* Takes over a caller's configuration of any age; NULL gives defaults. */
via_rc session_config_copy(const via_session_config *in, via_session_config *out);
/* Makes a session around a link that it then owns. st must outlive the handshake. */
via_rc session_new(via_registry *reg, const stack *st, via_link *base,
		   const via_session_config *config, int is_server, via_session **out);
/* Handshake machines; as via_session_step(). */
via_rc hs_client_step(via_session *s);
via_rc hs_server_step(via_session *s);
/* Ends the handshake with rc, keeping it for later calls. */
via_rc hs_fail(via_session *s, via_rc rc);
/* Steps and waits until the session is up, has failed, or the deadline passed. */
via_rc session_step_until(via_session *s, via_time deadline);
/* via_session_start(), tried again while the server's queue is full. waker (may be NULL) ends a pause. */
via_rc session_start_until(via_registry *r, const via_endpoint *ep,
			   const via_session_config *config, const os_waker *waker,
			   via_time deadline, via_session **out);
/* True when a handshake failed on the client's own side of an upgrade: config then offers one bit less, and
 * `failed` remembers why for the session that comes next. */
int session_fallback(const via_session *s, via_session_config *config, candidates *failed);
/* One packet with handles; VIA_OK, VIA_AGAIN or a failure. */
via_rc hs_send(via_session *s);
/* The agreed limits take effect; sizes the links' buffers. */
via_rc session_settle(via_session *s);
/* Header and payload as one record, at most what 32 bits can say. */
uint32_t session_record(uint32_t payload);
/* The sentence behind the way a link ended; anything else is left as the link said it. */
via_rc session_link_end(via_rc rc);
/* VIA_OK while nothing but silence is on the baseline under an upgrade; else ends the session. */
via_rc session_check_baseline(via_session *s);
void session_close_handles(const core_env *e, via_handle *h, uint32_t n);

/* Arms the link of the lanes alone, without the baseline under it. */
via_rc session_arm(via_session *s, uint32_t events, via_waitobj *out);
void session_disarm(via_session *s, uint32_t events);

/* Receive lane: fetches records if there is none yet. VIA_OK: there is one, views[next]. */
via_rc rx_fetch(via_session *s);
/* What comes from now on has nothing to do with what came before: whoever fetches has other things to do. */
void rx_end_row(via_session *s);
void rx_drop_view(via_session *s); /* that one is through */
void rx_drop_all(via_session *s);  /* with all that were fetched behind it */
/* Short messages that were fetched together can be looked at and taken in one go: no batch, the whole of it in one
 * record. */
enum { SHORT_PAYLOAD = 64, SHORT_MANY = RX_AT_ONCE };
/* The i-th from views[next] on: 1, *m and its payload, copied into room, are as via_session_recv() would lend them; 0:
 * that function has to see to it. Nothing is taken yet. */
int rx_peek_short(const via_session *s, uint32_t i, via_message *m, uint8_t room[SHORT_PAYLOAD]);
void rx_take_short(via_session *s, uint32_t n); /* the next n, which were peeked at */
/* Sends messages of at most short_out bytes, which passed the checks of via_session_send(), as one record each.
 * How many were accepted; VIA_AGAIN; or a failure that ends the lane. */
via_rc tx_send_short(via_session *s, const via_message *m, uint32_t n);
static inline uint32_t rx_n_views(const via_session *s)
{
	return s->rx.n_views - s->rx.next;
}
static inline int rx_has_view(const via_session *s)
{
	return rx_n_views(s) != 0;
}
/* via_session_recv() where looking costs no system call, and a few times over when that is likely to pay. */
via_rc session_recv_quick(via_session *s, via_message *m);
/* via_session_recv_wait() after something was sent that has to be answered first. The session is up. */
via_rc session_recv_unseen(via_session *s, via_message *m, via_time deadline);
/* What via_session_send_wait() does after via_session_send() answered rc. */
via_rc session_send_rest(via_session *s, const via_message *m, via_rc rc, via_time deadline);
/* Send lane: goes on with a message whose payload moved to another address. */
void tx_rebase(via_session *s, const void *payload);

/* Acceptor parts for the managed server. */
const stack *acceptor_stack(const via_acceptor *a);
via_listener *acceptor_listener(via_acceptor *a);
/* Accepts one connection and starts its handshake. VIA_AGAIN: none; VIA_LIMIT: out of resources, pause. */
via_rc acceptor_take(via_acceptor *a, via_session **out);
void acceptor_set_admission(via_acceptor *a, int (*admit)(void *arg), void *arg);
/* What the next sessions may be sent; grows as answers turn out larger. */
void acceptor_set_max_response(via_acceptor *a, uint32_t bytes);

#endif
