/* SPDX-License-Identifier: Apache-2.0
 * transports/loop/loop.h - what the parts of the loop module share. */
#ifndef VIA_LOOP_H
#define VIA_LOOP_H
#include <viaduct/module.h>
#include <stdatomic.h>

#define LOOP_RECORD 65536u
#define LOOP_RECORD_MAX (16u << 20)
#define LOOP_BACKLOG 128u
#define LOOP_BACKLOG_MAX 4096u
#define LOOP_MAX_HANDLES 8u
#define LOOP_MAX_VIEWS 16u
#define LOOP_MAX_SLOTS 8u
#define LOOP_MAX_BATCH 16u
#define LOOP_ALIGN 16u
#define LOOP_LINE 64u

struct loop_config {
	uint32_t record; /* 0 in a dial: whatever the listener says */
	uint32_t backlog;
};

struct loop_listener;
struct loop_self {
	const via_host *h;
	const via_sysgate *gate; /* NULL outside of tests */
	struct loop_config defaults;
	atomic_flag lock; /* guards the list and every listener's queue */
	struct loop_listener *listeners;
};

via_rc loop_config_read(const struct loop_self *s, const char *lines, struct loop_config *cfg);

/* -- loop_posix.c, loop_windows.c -------------------------------------------------------------- */

#define LOOP_NO_EVENT (-1)
via_rc loop_event_open(const struct loop_self *s, int64_t *out);
void loop_event_close(int64_t event);
void loop_event_set(int64_t event); /* from any thread, cannot fail */
void loop_event_clear(int64_t event);
void loop_event_object(int64_t event, via_waitobj *out);
int loop_handle_ok(const via_handle *h); /* of this system's kind */
void loop_handle_close(const via_handle *h);
void loop_self_facts(via_peer *out);
void loop_yield(void);

/* -- bell: the wait object of one end -----------------------------------------------------------
 *
 * Both lanes of an end sleep on one event, so each has a bit. Sleeper: sets its bit in `armed`,
 * then looks whether there is something after all, then sleeps. The other side: publishes, then
 * looks at `armed`. Both steps of both sides are sequentially consistent, so one of the two sees
 * the other: no wake-up is lost, and without a sleeper there is no system call. `fired` says for
 * whom the event was set: who disarms clears the event, and sets it again if it was (also) for the
 * other lane. The bit is set before the event, so a disarm in between leaves the event set for
 * nobody; the next sleep then ends at once, and its disarm clears it. */
struct loop_bell {
	int64_t event;
	_Atomic uint32_t armed, fired;
};

static inline void loop_bell_disarm(struct loop_bell *b, uint32_t ev)
{
	atomic_fetch_and(&b->armed, ~ev);
	atomic_fetch_and(&b->fired, ~ev);
	loop_event_clear(b->event);
	if (atomic_load(&b->fired) != 0)
		loop_event_set(b->event);
}

static inline void loop_bell_fire(struct loop_bell *b, uint32_t ev)
{
	atomic_fetch_or(&b->fired, ev);
	loop_event_set(b->event);
}

/* After something was published for ev. */
static inline void loop_bell_ring(struct loop_bell *b, uint32_t ev)
{
	if ((atomic_load(&b->armed) & ev) != 0 && (atomic_fetch_and(&b->armed, ~ev) & ev) != 0)
		loop_bell_fire(b, ev);
}

/* -- ring: records one way, one writer, one reader (loop_ring.c) ------------------------------- */

struct loop_ring {
	_Alignas(LOOP_LINE) _Atomic uint64_t head; /* writer: everything before it is published */
	_Atomic uint32_t writer_left;
	_Alignas(LOOP_LINE) _Atomic uint64_t
		tail; /* reader: everything before it may be overwritten */
	_Atomic uint32_t reader_left;
	_Alignas(LOOP_LINE)
		uint64_t reserved;     /* writer's own from here: end of the last reservation */
	uint64_t tail_known;           /* as last loaded */
	uint64_t tail_full;            /* what it was when there was no room, or UINT64_MAX */
	uint64_t slot[LOOP_MAX_SLOTS]; /* oldest first */
	uint32_t n_slots;
	_Alignas(LOOP_LINE) uint64_t next; /* reader's own from here: the next record to hand out */
	uint32_t n_views;
	uint32_t expected; /* longest record to hand out whole */
	uint8_t *data;     /* constant */
	uint32_t size, max_record;
};

/* Bytes of data that a ring for such records needs. */
uint32_t loop_ring_size(uint32_t max_record);
void loop_ring_init(struct loop_ring *r, uint8_t *data, uint32_t max_record);
/* Closes the handles of whatever was never received. Nobody else has the ring any more. */
void loop_ring_drain(struct loop_ring *r);

/* writer */
via_rc loop_ring_reserve(struct loop_ring *r, uint32_t len, via_slot *out);
via_rc loop_ring_commit(struct loop_ring *r, const via_slot *slots, uint32_t n);
via_rc loop_ring_put(struct loop_ring *r, const via_msg *m);
int loop_ring_has_room(struct loop_ring *r); /* more than when there was none */
/* reader */
uint32_t loop_ring_get(struct loop_ring *r, via_view *out, uint32_t max);
void loop_ring_release(struct loop_ring *r, const via_view *views, uint32_t n);
via_rc loop_ring_take(struct loop_ring *r, const via_view *v, via_handle *out, uint32_t max);
int loop_ring_has_record(struct loop_ring *r);

/* -- pair: both ends of one connection (loop_link.c) ------------------------------------------- */

struct loop_pair;
struct loop_end {
	via_link base; /* first: the core holds a pointer to this */
	struct loop_pair *pair;
	struct loop_end *peer;
	struct loop_ring *out, *in;
	struct loop_bell bell;
	_Atomic via_rc aborted, end;
	int tx_shut; /* send lane */
	int drained; /* receive lane */
};

struct loop_pair {
	struct loop_ring ring[2]; /* first: cache lines */
	struct loop_end end[2];   /* dialled, accepted */
	struct loop_self *self;
	via_limits limits;
	_Atomic uint32_t open; /* ends not closed yet */
};

via_rc loop_pair_make(struct loop_self *s, uint32_t max_record, struct loop_pair **out);
void VIA_CALL loop_close(via_link *base);

#endif
