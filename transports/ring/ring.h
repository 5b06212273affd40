/* SPDX-License-Identifier: Apache-2.0
 * transports/ring/ring.h - what the parts of the ring module share: memory, link, lanes.
 *
 * How a link ends: the first CLOSED or RESET that a verb sees is kept in `end` and answered from then
 * on, except that recv() first hands out what lies in the ring. What abort() said, and a breach of
 * the protocol, stand above that. */
#ifndef VIA_RING_H
#define VIA_RING_H
#include <pthread.h>
#include <stdatomic.h>
#include <viaduct/module.h>

#define RING_MAGIC 0x474E5256u /* "VRNG" */
#define RING_VERSION 1u
#define RING_HEADER_LEN 128u
#define RING_LINE 64u             /* records start on one */
#define RING_WORD 8u              /* commit word, in front of the bytes of a record */
#define RING_MIN_CAPACITY 32768u  /* bytes per direction */
#define RING_MAX_TOTAL (1u << 30) /* of one session, in memory */
#define RING_BELL 0x42u           /* the one byte of a bell */

#define RING_MAX_VIEWS 16u /* a power of two */
#define RING_MAX_BATCH 64u
#define RING_ALIGN 8u

_Static_assert(ATOMIC_INT_LOCK_FREE == 2 && ATOMIC_LLONG_LOCK_FREE == 2,
	       "words shared between processes must not need a lock");

struct ring_self {
	const via_host *h;
	const via_sysgate *gate; /* NULL outside of tests */
	uint32_t page;           /* bytes */
	int is_strict;           /* the kernel promises no memory that it does not have */
};

/* -- shared memory: docs/wire.md section 20 ---------------------------------------------------- */

enum { RING_REQUEST = 0, RING_RESPONSE = 1, RING_DIRECTIONS = 2 };

struct ring_header {
	uint32_t magic, version;
	uint32_t header_len, page_size;
	uint64_t total_size;
	uint32_t max_request, max_response;
	uint64_t request_offset, request_capacity;
	uint64_t response_offset, response_capacity;
	uint8_t reserved[64];
};
_Static_assert(sizeof(struct ring_header) == RING_HEADER_LEN, "header of the ring");

enum { RING_AWAKE = 0, RING_ASLEEP = 1, RING_GONE = 2 };

/* One direction. Every line is written by one side, but that the other one may turn ASLEEP to AWAKE. */
struct ring_control {
	_Alignas(128) _Atomic uint32_t closed; /* producer: nothing follows what is in the ring */
	_Atomic uint32_t tx_sleep;             /* producer: AWAKE, or ASLEEP until there is room */
	_Alignas(128) _Atomic uint64_t head;   /* consumer: bytes given back */
	_Alignas(128) _Atomic uint32_t
		rx_sleep; /* consumer: AWAKE, ASLEEP until there is a record, GONE */
};
_Static_assert(sizeof(struct ring_control) == 384, "control lines of the ring");

struct ring_page { /* the first page */
	struct ring_header header;
	struct ring_control control[RING_DIRECTIONS];
};

struct ring_map {
	struct ring_page *page;
	uint64_t span;                  /* bytes of addresses, from page */
	uint8_t *data[RING_DIRECTIONS]; /* each mapped twice, back to back */
	uint64_t capacity[RING_DIRECTIONS];
};

/* Bytes a record takes in the ring. */
static inline uint64_t ring_stride(uint32_t len)
{
	return ((uint64_t)len + RING_WORD + RING_LINE - 1) & ~(uint64_t)(RING_LINE - 1);
}

/* -- link -------------------------------------------------------------------------------------- */

struct ring_out {        /* a view somebody has */
	uint32_t number; /* of the record */
	uint32_t bytes;  /* to give back with it */
};

struct ring_rx {
	uint8_t *data;
	struct ring_control *control;
	uint64_t capacity;
	uint64_t at;        /* of the next record, within data */
	uint64_t held;      /* bytes from the oldest view to there */
	uint64_t head;      /* bytes given back */
	uint64_t published; /* what the producer knows of that */
	uint32_t max_record, expect;
	uint32_t taken;         /* records, ever: number of the next one */
	uint32_t oldest, n_out; /* place of the oldest view in `out`, how many there are */
	int drained;            /* nothing more will come */
	struct ring_out out[RING_MAX_VIEWS];
};

struct ring_tx {
	uint8_t *data;
	struct ring_control *control;
	uint64_t capacity;
	uint64_t at;    /* of the next record, within data */
	uint64_t tail;  /* bytes written */
	uint64_t head;  /* bytes given back, as last seen */
	uint64_t clear; /* from `at` on every line start of so many bytes is 0; at least one line */
	uint64_t want;  /* bytes that were missing last time */
	uint32_t max_record;
	uint32_t slot; /* bytes reserved, 0: none */
	int shut;
	int owed; /* something was published without fence F1 behind it */
};

struct ring_link {
	via_link base; /* first: the core holds a pointer to this */
	_Alignas(RING_LINE) struct ring_rx rx;
	_Alignas(RING_LINE) struct ring_tx tx;
	/* both lanes: seldom written */
	_Alignas(RING_LINE) _Atomic via_rc aborted; /* why, from abort() or a breach */
	_Atomic via_rc end;                         /* CLOSED, RESET, or why no bell can be rung */
	_Atomic int baseline_ended;
	struct ring_self *self;
	via_link *baseline;
	struct ring_map map;
	via_limits limits;
	/* both lanes: around a sleep */
	_Alignas(RING_LINE) _Atomic uint32_t bells; /* asked for and not yet rung */
	pthread_mutex_t lock; /* of what follows, and of the baseline's rx lane */
	uint32_t armed;       /* VIA_EV_* */
	uint64_t due;         /* bells the peer may still ring */
	via_waitobj object;
};

static inline struct ring_link *ring_link_of(via_link *base)
{
	return (struct ring_link *)(void *)base;
}

/* A store before it is visible to everyone before a load after it is made. */
static inline void ring_fence(void)
{
#if defined(__x86_64__)
	/* Not mfence, which some compilers choose: that halves the rate of small records. */
	__asm__ __volatile__("lock; orl $0, -4(%%rsp)" ::: "memory", "cc");
#else
	atomic_thread_fence(memory_order_seq_cst);
#endif
}

/* -- ring.c ------------------------------------------------------------------------------------ */

/* 0: make the system call. Otherwise the errno it is to be treated as having failed with. */
static inline int ring_deny(const struct ring_self *s, const char *call)
{
	return s->gate == NULL ? 0 : s->gate->deny(s->gate->arg, call);
}

via_rc ring_fail(const struct ring_self *s, via_rc rc, int err, const char *fmt, ...) VIA_COLD
	VIA_PRINTF(4, 5);
via_rc ring_rc_of(int err); /* errno to result */

/* -- ring_map.c -------------------------------------------------------------------------------- */

/* The one header that fits the sizes agreed. VIA_TOOBIG: over RING_MAX_TOTAL. */
via_rc ring_layout(const struct ring_self *s, uint32_t max_request, uint32_t max_response,
		   struct ring_header *out);
/* An empty file in memory: 0 or an errno. */
int ring_create_file(const struct ring_self *s, int *fd);
/* Makes the memory, sealed, with its header; the caller closes *fd. */
via_rc ring_make(const struct ring_self *s, const struct ring_header *h, int *fd,
		 struct ring_map *out);
/* Maps the peer's memory after looking at everything that could be wrong with it. */
via_rc ring_open(const struct ring_self *s, const struct ring_header *h, int fd,
		 struct ring_map *out);
void ring_unmap(const struct ring_map *m);

/* -- ring_wait.c ------------------------------------------------------------------------------- */

via_rc VIA_CALL ring_arm(via_link *base, uint32_t events, via_waitobj *out);
void VIA_CALL ring_disarm(via_link *base, uint32_t events);
void VIA_CALL ring_abort(via_link *base, via_rc why);

/* Tells the peer that this side is gone, and wakes it. */
void ring_leave(struct ring_link *l);
/* Rings if *flag says that the peer sleeps. VIA_OK, or how the link ended. */
via_rc ring_wake(struct ring_link *l, _Atomic uint32_t *flag);
/* Keeps how it ended, if nothing has yet, and answers what counts. */
via_rc ring_finish(struct ring_link *l);
/* The peer broke the protocol: nothing it says from now on counts. */
via_rc ring_breach(struct ring_link *l, const char *fmt, ...) VIA_COLD VIA_PRINTF(2, 3);

static inline via_rc ring_ended(struct ring_link *l)
{
	via_rc why = atomic_load_explicit(&l->aborted, memory_order_acquire);

	return why != VIA_OK ? why : atomic_load_explicit(&l->end, memory_order_acquire);
}

/* -- lanes: ring_rx.c, ring_tx.c --------------------------------------------------------------- */

static inline _Atomic uint64_t *ring_word(uint8_t *data, uint64_t at)
{
	return (_Atomic uint64_t *)(void *)(data + at);
}

/* A look at the ring without taking anything: 1 when recv() would succeed. */
static inline int ring_has_record(const struct ring_rx *rx)
{
	return atomic_load_explicit(ring_word(rx->data, rx->at), memory_order_acquire) != 0;
}

static inline int ring_peer_closed(const struct ring_link *l)
{
	return atomic_load_explicit(&l->rx.control->closed, memory_order_acquire) != 0;
}

via_rc VIA_CALL ring_recv(via_link *base, via_view *out, uint32_t max);
void VIA_CALL ring_release(via_link *base, const via_view *views, uint32_t n);
via_rc VIA_CALL ring_expect(via_link *base, uint32_t max_record);
/* Tells the producer what has been given back. 1: it did not know. */
int ring_publish_head(struct ring_rx *rx);

via_rc VIA_CALL ring_reserve(via_link *base, uint32_t len, via_slot *out);
via_rc VIA_CALL ring_commit(via_link *base, const via_slot *slots, uint32_t n);
via_rc VIA_CALL ring_send(via_link *base, const via_msg *msgs, uint32_t n);
via_rc VIA_CALL ring_shutdown(via_link *base);
/* Wakes the consumer if it sleeps; whatever was published before is seen by it. */
via_rc ring_announce(struct ring_link *l);
/* Looks at the consumer's head. VIA_OK: there are `bytes` free; VIA_AGAIN; or a breach. */
via_rc ring_room(struct ring_link *l, uint64_t bytes);

#endif
