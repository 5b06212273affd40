/* SPDX-License-Identifier: Apache-2.0
 * core/server/server.h - the inside of the managed server, shared by its parts.
 *
 *   server.c   public functions, start, drain        conn.c     one session: requests in, answers out
 *   worker.c   event loop, spinning, timers          answer.c   a message through its service
 *   pool.c     threads for blocking services         pending.c  answers that come later
 *   accept.c   listeners, admission, spreading       watch.c    what the poller knows of a session
 *   hot.c      sessions in conversation                 group.c    short messages, several in one go
 *
 * A conn belongs to one worker at a time and only that worker's thread touches it, except while a pool
 * thread answers its message: then nobody else does. */
#ifndef VIA_CORE_SERVER_H
#define VIA_CORE_SERVER_H
#include "../session/session.h"
#include <viaduct/app/server.h>

enum { MAX_METHODS = 8, MAX_HOT = 8, WORKERS_MAX = 64 };
#define LINGER_NS \
	1000000000u /* how long a peer may take to read the answer that closes its session */
#define GROWTH_CEILING 1048576u /* docs/wire.md section 15: learned sizes */

enum key_kind { KEY_WAKER, KEY_LISTENER, KEY_CONN };
struct server_worker;

/* -- a service and where it is reached ------------------------------------------------------------- */

/* The lanes of a service (abi.h): shared by the endpoints it answers. */
struct server_lane {
	os_mutex ctl;   /* open, close */
	os_mutex calls; /* calls that may not overlap */
	int in_pool;    /* such a call is on the pool; the pool's lock */
};

struct server_endpoint {
	enum key_kind kind; /* KEY_LISTENER; first: poller keys point here */
	via_server *server;
	via_endpoint ep; /* strings owned */
	via_session_config config;
	via_acceptor *acceptor; /* NULL once closed; touched by its worker only after the start */
	struct server_worker *worker;
	via_waitobj obj;
	int registered;                /* obj is in the poller */
	via_time accept_after;         /* accepting pauses until then; 0: it does not */
	_Atomic uint32_t max_response; /* what later sessions get */
	uint32_t ceiling;

	struct server_lane own_lane;
	struct server_lane *lane; /* of the first endpoint with the same service */

	os_mutex lock; /* binding */
	atomic_int bound;
	const via_service *service;
	void *self;
	via_ref service_ref;
	via_ref codec_ref[MAX_METHODS];
	uint32_t n_codecs;
};

/* -- a session and the message it is answering -------------------------------------------------------- */

struct job {
	via_message request; /* payload lent by the session until the answer is made */
	const via_codec *codec;
	int is_batch;
	via_wire_batch batch;
	uint32_t index; /* next item */
	uint8_t *dst;   /* room for the answer */
	uint32_t cap;
	uint16_t status; /* of the answer */
	uint32_t len;
	_Atomic uint64_t token; /* of the call that is pending and not cancelled */
	atomic_int gate;        /* a pending call needs both: call() returned, reply() came */
	int replied;            /* it was a reply that came, not a whole answer */
	via_rc reply_rc;
	uint8_t *reply; /* copy of the reply's bytes */
	uint32_t reply_len;
};

struct server_conn {
	enum key_kind kind;              /* KEY_CONN */
	struct server_conn *next, *prev; /* of the worker */
	struct server_conn *inbox_next;
	struct server_conn *pool_next;
	struct server_worker *worker;
	struct server_endpoint *ep;
	via_session *s;
	int admitted, up;
	int registered; /* objects known to the poller */
	via_waitobj obj[2];
	via_rc armed;  /* how many objects the session has armed */
	int end_armed; /* the baseline is, by watch_end() */
	uint32_t armed_events;
	int is_hot;
	via_time deadline;   /* 0: none */
	int busy;            /* a pool thread or a pending call has the message */
	uint32_t busy_round; /* of the worker: events older than that say nothing about the peer */
	int closed;          /* in the graveyard, until the events at hand are through */
	int zombie;          /* closed, kept until the call that is out comes back */
	atomic_int gone;     /* the same, for whoever has the message */
	int is_ready;        /* in the worker's list: has more to do, after the others */
	struct server_conn *ready_next;
	int lingering;
	int close_after;
	int out_waiting; /* an answer is not accepted by the link yet */
	int in_place;    /* it is encoded in the link's own memory */
	via_message out;
	uint8_t *buf; /* payload of an answer that outlives the worker's buffer */
	uint32_t buf_cap;
	uint32_t answer_len; /* of the last answer */
	uint32_t n_pumps;
	int comes_in_bursts; /* more than one message was there last time */
	int alone;           /* answers turned out too long to be sent together */
	int svc_open;
	void *svc_session;
	via_peer peer;
	struct job job;
	wait_history history;
	uint64_t spin_ns; /* of the wait that has begun */
	uint32_t turn;    /* of the worker, when last served while hot */
	uint32_t n_hot_turns;
	via_time served_at; /* 0: a moment ago, nobody asked for the time */
};

/* -- workers and pool --------------------------------------------------------------------------------------- */

struct server_worker {
	enum key_kind kind; /* KEY_WAKER */
	via_server *server;
	os_thread *thread;
	os_poller *poller;
	os_waker *waker;
	os_mutex lock;             /* inbox */
	struct server_conn *inbox; /* new sessions, and messages whose answer is ready */
	atomic_int inbox_flag;
	atomic_uint round_asked; /* via_server.round, when it last saw that somebody woke it */
	struct server_conn *conns, *zombies, *graveyard;
	struct server_conn *current; /* being pumped; NULL once it is closed */
	atomic_uint n_conns;
	via_time next_deadline; /* never later than the earliest deadline of a conn or listener */
	struct server_conn *hot[MAX_HOT];
	uint32_t n_hot;
	uint32_t turn;            /* counts hot conns served */
	uint32_t look_turn, pace; /* when the others are looked at: hot.c */
	via_time looked_at;
	struct server_conn *ready, **ready_tail; /* to be served before the next sleep */
	uint32_t n_ready;
	uint32_t round; /* counts looks at the poller */
	struct server_tally *tally;
	char *error;   /* core_error_place() of its thread */
	uint8_t *resp; /* answers are made here */
	uint32_t resp_cap;
	uint64_t budget;
	uint32_t n_handshakes;
	int draining;
};

/* What a worker has answered. Only its thread writes: no lock, and a line of its own. */
struct server_tally {
	_Atomic uint64_t calls, calls_failed;
	uint8_t apart[48];
};

static inline void server_count(_Atomic uint64_t *of, int32_t n)
{
	atomic_store_explicit(of, atomic_load_explicit(of, memory_order_relaxed) + (uint64_t)n,
			      memory_order_relaxed);
}

struct server_pool {
	os_mutex lock;
	os_cond cond;
	struct server_conn *head, **tail;
	os_thread **threads;
	uint32_t n_threads;
	int stop;
};

enum server_state { SERVER_NEW, SERVER_RUNNING, SERVER_DRAINING, SERVER_STOPPING };

struct via_server {
	via_registry *reg;
	const core_env *env;
	via_server_options options;
	struct server_endpoint **endpoints;
	uint32_t n_endpoints;
	struct server_worker *workers;
	uint32_t n_workers;
	struct server_pool pool;
	_Atomic int state; /* enum server_state */
	atomic_uint round; /* counts via_server_alive() */
	os_mutex lock;     /* with idle */
	os_cond idle;      /* a conn has gone */
	atomic_uint n_conns, n_sessions;
	_Atomic uint64_t accepted, refused, handshakes_failed;
	struct server_tally
		tally[WORKERS_MAX]; /* of each worker, those of earlier starts included */
	reg_pin hold;
};

/* group.c */
/* Answers short messages that came together in one go. How many; 0: the next one is to be answered alone. */
uint32_t group_answer(struct server_conn *c);

/* answer.c */
enum answer_result { ANSWER_READY, ANSWER_PENDING };
/* Finds the service and the codec of a message; a status other than OK is the whole answer. */
uint16_t answer_bind(struct server_conn *c, const via_message *m);
void answer_unbind(struct server_endpoint *ep);
/* A message that is one call of a service which answers at once needs nothing of what follows but this. */
int answer_is_simple(const struct server_conn *c);
uint16_t answer_simply(struct server_conn *c, uint8_t *dst, uint32_t cap, uint32_t *len);
int answer_takes_many(const via_service *s);
int answer_is_valid(const via_codec *codec, const void *req, uint64_t len);
via_rc answer_call_many(struct server_conn *c, via_calls *calls);
/* Starts and continues the message in c->job.request. dst has room for cap bytes. */
void answer_begin(struct server_conn *c, uint8_t *dst, uint32_t cap);
enum answer_result answer_run(struct server_conn *c);
/* To be called once after ANSWER_PENDING, when this thread has nothing more to do with the conn. */
void answer_gate(struct server_conn *c);
/* A pending call's reply is in: takes it over, then go on with answer_run() unless ANSWER_READY. */
enum answer_result answer_resume(struct server_conn *c);
/* Nobody wants the answer any more. Whoever has the message may be another thread. */
void answer_cancel(struct server_conn *c);
void answer_close_session(struct server_conn *c);

/* conn.c */
enum { CONN_BURST = 32 }; /* messages of one session before the others get a turn */
/* Serves what has arrived, at most CONN_BURST messages. Returns the number taken; the conn may be gone when
 * it is closed. */
uint32_t conn_pump(struct server_conn *c);
/* The answer of a busy conn is ready, or its pending call was replied to. */
void conn_answered(struct server_conn *c);
void conn_close(struct server_conn *c);
/* Who is at the other end, for the log. */
const char *conn_peer(const struct server_conn *c);
/* The link that tells when the peer has gone: that of the data, unless it cannot. */
via_link *conn_end_link(const struct server_conn *c);
uint8_t *conn_room(struct server_conn *c, uint32_t len);
uint8_t *conn_worker_room(struct server_conn *c, uint32_t len);

/* worker.c */
via_rc worker_open(via_server *s, struct server_worker *w);
void worker_close(struct server_worker *w);
void worker_main(void *arg);
void worker_post(struct server_worker *w, struct server_conn *c);   /* any thread */
void worker_wake(struct server_worker *w);                          /* any thread */
void worker_set_deadline(struct server_conn *c, via_time deadline); /* 0: none */
void worker_forget(struct server_conn *c);                          /* out of poller and lists */
void worker_adopt_zombie(struct server_conn *c);
void worker_bury(struct server_conn *c);
void worker_adopt(struct server_worker *w, struct server_conn *c); /* into the lists of w */
enum wake {
	WAKE_LOOKED,
	WAKE_SLEPT,
	WAKE_QUICK
}; /* QUICK: so soon that nobody asked for the time */
void worker_serve(struct server_conn *c, enum wake how);

void worker_look_at_others(struct server_worker *w); /* at what the poller has, without sleeping */
void worker_run_timers(struct server_worker *w);

/* hot.c */
int hot_stays(struct server_conn *c); /* after it was served: 1, it is looked at and not slept on */
void hot_cool(struct server_conn *c);
void hot_learn(struct server_conn *c, enum wake how);
void hot_spin(struct server_worker *w);
void hot_arm(struct server_worker *w); /* before the worker sleeps */

/* watch.c */
/* VIA_OK: the conn can be slept on. VIA_BUSY: look again. Else it is of no more use. */
via_rc watch_start(struct server_conn *c);
void watch_pause(struct server_conn *c); /* not slept on: the poller may still report it */
void watch_stop(struct server_conn *c);  /* out of the poller */
/* During a call: reported when the peer ends, and then watch_saw_end() is asked. 1: it has ended already. */
int watch_end(struct server_conn *c);
int watch_saw_end(struct server_conn *c);

/* accept.c */
void accept_start(struct server_worker *w);
void accept_ready(struct server_endpoint *ep);
void accept_timers(struct server_worker *w, via_time now);
void accept_stop(struct server_worker *w);
/* A session has come up: it goes to the worker with the fewest. 1: it went to another. */
int accept_hand_over(struct server_conn *c);
int server_admit(void *arg); /* arg: struct server_conn */
void server_conn_gone(via_server *s);
void server_wake_all(via_server *s);

/* pool.c */
void pool_init(struct server_pool *p);
void pool_stop(via_server *s); /* nothing is queued any more; a new start is fine */
void pool_close(via_server *s);
via_rc pool_submit(via_server *s, struct server_conn *c);

/* pending.c */
typedef void (*pending_fn)(void *arg, via_rc rc, const void *response, uint64_t len);
via_rc pending_add(struct pending_table *t, pending_fn fn, void *arg, uint64_t *token);
int pending_remove(struct pending_table *t, uint64_t token); /* 0: a reply has taken it */

#endif
