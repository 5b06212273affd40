/* SPDX-License-Identifier: Apache-2.0
 * transports/pipe/pipe_link.h - one connected pipe as a link: its state, its waiting, its send lane.
 *
 * How a link ends: the first CLOSED or RESET that a verb sees is kept in `end` and answered from
 * then on, except that recv() first hands out what the kernel still holds. abort() stands above
 * that. A pipe has no half close; a message of no bytes takes its place, which netipc peers also
 * take for the end (docs/wire.md section 11).
 *
 * Waiting: one manual-reset event serves both lanes. The kernel sets it when a read or a write
 * completes, and clears it whenever one is begun on it, for whichever lane; so a note that was meant
 * for one lane can be wiped out by the other. The rule that makes up for it: whoever has begun an
 * operation or cleared the event looks afterwards whether an armed lane has reason to wake, and sets
 * it again if so (pipe_rewake()). A lane says that it is armed before it looks for itself. Either the
 * one who clears sees it armed, or it was not yet armed and then sees the completed operation: the
 * status is written before the event is set, and both sides' accesses are sequentially consistent.
 * The event may be set too often, which costs a look; never too seldom.
 *
 * Threads that exit: Windows cancels what they have begun. Both operations are then begun again by
 * the next verb of either lane (the event is set, so a sleeper wakes and calls one). A cancelled read
 * has taken nothing, a cancelled write has left nothing, so no record is lost or doubled; only if the
 * peer was halfway through a record with a buffer too small for it would it see its beginning twice. */
#ifndef VIA_PIPE_LINK_H
#define VIA_PIPE_LINK_H
#include "pipe.h"
#include <stdatomic.h>

#define PIPE_STATUS_PENDING ((ULONG_PTR)0x103)
#define PIPE_STATUS_CANCELLED 0xC0000120u

enum { PIPE_IDLE, PIPE_FLYING, PIPE_TAKEN }; /* a write: TAKEN while a lane looks at its result */

struct pipe_link {
	via_link base; /* first: the core holds a pointer to this */
	struct pipe_self *self;
	struct pipe_name *name; /* NULL: the client's end */
	HANDLE h, event;
	via_limits limits;
	_Atomic via_rc aborted; /* why, from abort() */
	_Atomic via_rc end;     /* CLOSED or RESET */
	_Atomic uint32_t armed; /* VIA_EV_*, of lanes that sleep or are about to */
	_Atomic int signalled;  /* the event may be set */
	_Atomic int said_bye;   /* the message of no bytes has been sent */
	_Atomic int bye_due;    /* as soon as the write that flies has come down */
	_Atomic int tx_state;
	/* send lane */
	OVERLAPPED tx, bye;
	uint8_t *slot; /* NULL until the first use; the kernel's while a write flies */
	uint32_t slot_cap, tx_len;
	int slot_out;
	int tx_shut;
	/* receive lane */
	OVERLAPPED rx;
	uint8_t *buf;  /* first, or allocated by expect() */
	uint8_t *into; /* what the read that is posted fills: buf, an older one, or spare */
	uint32_t buf_cap, buf_len;
	uint32_t have; /* bytes of the record that lie in `into` already */
	int posted;
	int skipping; /* the rest of a cut record comes first */
	int view_out;
	int drained; /* nothing more will come */
	/* after close() */
	struct pipe_link *next;
	via_time until;
	_Alignas(PIPE_ALIGN) uint8_t first[VIA_EXPECT_INITIAL];
	_Alignas(PIPE_ALIGN) uint8_t spare[VIA_EXPECT_INITIAL];
};

static inline struct pipe_link *pipe_link_of(via_link *base)
{
	return (struct pipe_link *)(void *)base;
}

/* -- operations -------------------------------------------------------------------------------- */

/* The kernel writes the status last, after the bytes and their number. */
static inline ULONG_PTR pipe_status(const OVERLAPPED *o)
{
	ULONG_PTR s = *(const volatile ULONG_PTR *)&o->Internal;

	atomic_thread_fence(memory_order_seq_cst);
	return s;
}

static inline int pipe_flies(const OVERLAPPED *o)
{
	return pipe_status(o) == PIPE_STATUS_PENDING;
}

/* Marks an operation that could not even be begun: the system leaves "pending" behind then. */
static inline void pipe_not_begun(OVERLAPPED *o)
{
	*(volatile ULONG_PTR *)&o->Internal = 0;
}

/* -- how it ends, and who wakes ---------------------------------------------------------------- */

static inline void pipe_wake(struct pipe_link *l)
{
	(void)SetEvent(l->event);
	atomic_store(&l->signalled, 1); /* not before: who clears it then clears the event */
}

/* A write has come down that somebody has to look at, whoever it is: it was cancelled with the thread
 * that began it, or the end is to follow it. */
static inline int pipe_needs_repair(struct pipe_link *l)
{
	ULONG_PTR status;

	if (atomic_load(&l->tx_state) != PIPE_FLYING)
		return 0;
	status = pipe_status(&l->tx);
	return (uint32_t)status == PIPE_STATUS_CANCELLED ||
	       (status != PIPE_STATUS_PENDING && atomic_load(&l->bye_due) != 0);
}

/* Has a lane that is armed for `events` reason to wake? */
static inline int pipe_is_due(struct pipe_link *l, uint32_t events)
{
	if (atomic_load(&l->aborted) != VIA_OK || pipe_needs_repair(l))
		return 1;
	if ((events & VIA_EV_RX) != 0 && !pipe_flies(&l->rx))
		return 1;
	if ((events & VIA_EV_TX) == 0)
		return 0;
	return atomic_load(&l->end) != VIA_OK || atomic_load(&l->tx_state) == PIPE_IDLE ||
	       !pipe_flies(&l->tx);
}

static inline void pipe_rewake(struct pipe_link *l)
{
	uint32_t armed;

	atomic_thread_fence(memory_order_seq_cst);
	armed = atomic_load(&l->armed);
	if (armed != 0 && pipe_is_due(l, armed))
		pipe_wake(l);
}

/* Keeps the first end and answers the one that counts. */
static inline via_rc pipe_finish(struct pipe_link *l, via_rc how)
{
	via_rc none = VIA_OK;
	via_rc why;

	if (atomic_compare_exchange_strong(&l->end, &none, how) && atomic_load(&l->armed) != 0)
		pipe_wake(l);
	why = atomic_load(&l->aborted);
	return why != VIA_OK ? why : atomic_load(&l->end);
}

static inline via_rc pipe_ended(struct pipe_link *l)
{
	via_rc why = atomic_load_explicit(&l->aborted, memory_order_acquire);

	return why != VIA_OK ? why : atomic_load_explicit(&l->end, memory_order_acquire);
}

/* Errors that mean that the other end is gone. */
static inline int pipe_is_gone(DWORD err)
{
	return err == ERROR_BROKEN_PIPE || err == ERROR_NO_DATA || err == ERROR_PIPE_NOT_CONNECTED;
}

/* -- send lane: pipe_send.c -------------------------------------------------------------------- */

via_rc VIA_CALL pipe_reserve(via_link *base, uint32_t len, via_slot *out);
via_rc VIA_CALL pipe_commit(via_link *base, const via_slot *slots, uint32_t n);
via_rc VIA_CALL pipe_send(via_link *base, const via_msg *msgs, uint32_t n);
via_rc VIA_CALL pipe_shutdown(via_link *base);
/* Looks at a write that has been flying. VIA_OK: none flies; VIA_AGAIN; or how the link ended. One
 * that was cancelled with the thread that began it is begun again. Any lane. */
via_rc pipe_settle(struct pipe_link *l);
/* The message of no bytes, once: 0 or an error. Any thread. */
DWORD pipe_say_bye(struct pipe_link *l);
/* Any lane: does nothing while there is nothing to be done. */
static inline void pipe_repair(struct pipe_link *l)
{
	if (pipe_needs_repair(l))
		(void)pipe_settle(l);
}

#endif
