/* transports/pipe/pipe_link.c - one connected pipe as a link: receive lane, waiting, facts, end.
 *
 * Threads: the send lane, the receive lane and abort() may run at once; what they share is atomic.
 * Syscalls: ReadFile, one for a record, and for waiting ResetEvent, SetEvent. Peer: may send any
 * bytes, any length; nothing of that is trusted. Wire layout: one message is one record.
 *
 * A read is posted whenever no view is out, so the end of the peer is known without asking, and
 * whether recv() would succeed is to be seen in memory: the status word of the read is rx_word. A
 * wait with a view out posts one too, into the spare buffer. The kernel owns the buffer of a posted
 * read, therefore expect() leaves the old one to it; what arrives there is copied over.
 */
#include "pipe_link.h"
#include <string.h>

enum { STEPS = 16 };          /* reads in one recv(), when a long record is to be skipped */
enum { LINGERING_MAX = 256 }; /* closed links with a record that nobody reads */
#define LINGER_NS ((via_time)5000000000u)

/* -- receive lane ------------------------------------------------------------------------------ */

/* Begins to read, behind what there is. 0, also when it completed at once, or an error. */
static DWORD post(struct pipe_link *l)
{
	uint32_t cap = l->into == l->spare ? (uint32_t)sizeof l->spare : l->buf_len;
	DWORD err = pipe_deny(l->self, "ReadFile");

	if (err == 0 && !ReadFile(l->h, l->into + l->have, cap - l->have, NULL, &l->rx))
		err = GetLastError();
	if (err == ERROR_IO_PENDING || err == ERROR_MORE_DATA)
		err = 0;
	if (err == 0)
		l->posted = 1;
	else
		pipe_not_begun(&l->rx);
	pipe_rewake(l);
	return err;
}

/* What was read into another buffer moves to the present one, as far as it fits. */
static void move_in(struct pipe_link *l)
{
	if (l->into == l->buf)
		return;
	memcpy(l->buf, l->into, l->have < l->buf_cap ? l->have : l->buf_cap);
	if (l->into != l->first && l->into != l->spare)
		l->self->h->free(l->self->h->ctx, l->into);
	l->into = l->buf;
}

/* Goes on with the record that has begun, or with the next. While a view lies in the buffer only the
 * beginning of a record is taken. */
static DWORD resume(struct pipe_link *l)
{
	if (l->view_out)
		l->into = l->spare;
	else
		move_in(l);
	return post(l);
}

/* The part of a record that was read before expect() allowed less of it. */
static int is_full(const struct pipe_link *l)
{
	return !l->posted && l->have != 0 && l->have >= l->buf_len;
}

static via_rc read_failed(struct pipe_link *l, DWORD err)
{
	if (err == ERROR_OPERATION_ABORTED)
		return VIA_AGAIN;
	if (pipe_is_gone(err)) {
		l->drained = 1;
		return pipe_finish(l, VIA_CLOSED);
	}
	return pipe_fail(l->self, err, "ReadFile", "from the peer");
}

/* Looks at the read that is posted, and takes the next step. 1: a record lies in the buffer, cut if
 * *cut. VIA_OK: look again. VIA_AGAIN: nothing yet. Or how the link ended. */
static via_rc step(struct pipe_link *l, int *cut)
{
	DWORD n = 0;
	DWORD err = 0;
	via_rc rc;

	if (is_full(l)) {
		move_in(l);
		l->skipping = *cut = 1;
		return 1;
	}
	if (!l->posted) {
		err = resume(l);
		return err == 0 ? VIA_OK : read_failed(l, err);
	}
	if (pipe_flies(&l->rx))
		return VIA_AGAIN;
	l->posted = 0;
	if (!GetOverlappedResult(l->h, &l->rx, &n, FALSE)) /* no call: it has completed */
		err = GetLastError();
	if (err != 0 && err != ERROR_MORE_DATA) {
		rc = read_failed(l, err);
		return rc == VIA_AGAIN ? VIA_OK : rc; /* its thread has exited: begin again */
	}
	if (n == 0 && err == 0 && l->have == 0 && !l->skipping) {
		l->drained = 1;
		return pipe_finish(l, VIA_CLOSED);
	}
	if (l->skipping) {
		l->skipping = err == ERROR_MORE_DATA;
		move_in(l);
		l->have = 0;
		return VIA_OK;
	}
	l->have += n;
	move_in(l);
	if (err == ERROR_MORE_DATA && l->have < l->buf_len)
		return VIA_OK; /* the rest, behind it */
	l->skipping = err == ERROR_MORE_DATA;
	*cut = l->skipping || l->have > l->buf_len;
	return 1;
}

static via_rc VIA_CALL pipe_recv(via_link *base, via_view *out, uint32_t max)
{
	struct pipe_link *l = pipe_link_of(base);
	via_rc rc = atomic_load_explicit(&l->aborted, memory_order_acquire);
	int cut = 0;
	int i;

	if (rc != VIA_OK)
		return rc;
	if (l->drained)
		return pipe_ended(l);
	if (l->view_out)
		return VIA_LIMIT;
	if (max == 0)
		return VIA_INVAL;
	for (i = 0; i < STEPS && rc == VIA_OK; i++)
		rc = step(l, &cut);
	if (rc == VIA_OK || rc == VIA_AGAIN) {
		pipe_repair(l);
		return VIA_AGAIN;
	}
	if (rc != 1)
		return rc;
	l->view_out = 1;
	*out = (via_view){.data = l->buf,
			  .len = l->have < l->buf_len ? l->have : l->buf_len,
			  .flags = cut ? VIA_VIEW_CUT : 0u};
	l->have = 0;
	return 1;
}

/* The next read begins here, not in recv(): the buffer is free again. If it cannot, recv() tries
 * once more and says why. */
static void VIA_CALL pipe_release(via_link *base, const via_view *views, uint32_t n)
{
	struct pipe_link *l = pipe_link_of(base);

	(void)views; /* there is only one */
	if (n == 0)
		return;
	l->view_out = 0;
	if (!l->posted && !l->drained &&
	    atomic_load_explicit(&l->aborted, memory_order_acquire) == VIA_OK)
		(void)resume(l);
}

static via_rc VIA_CALL pipe_expect(via_link *base, uint32_t max_record)
{
	struct pipe_link *l = pipe_link_of(base);
	const via_host *h = l->self->h;
	uint8_t *p;

	if (l->view_out)
		return VIA_STATE;
	if (max_record == 0)
		return VIA_INVAL;
	if (max_record > l->buf_cap) {
		p = h->alloc(h->ctx, max_record, PIPE_ALIGN);
		if (p == NULL)
			return h->fail(h->ctx, VIA_NOMEM, 0, "receive buffer");
		if (!l->posted && l->into == l->buf) {
			memcpy(p, l->buf, l->have);
			l->into = p;
		}
		if (l->into != l->buf && l->buf != l->first)
			h->free(h->ctx, l->buf);
		l->buf = p;
		l->buf_cap = max_record;
	}
	l->buf_len = max_record;
	return VIA_OK;
}

static via_rc VIA_CALL pipe_take_handles(via_link *base, const via_view *view, via_handle *out,
					 uint32_t max)
{
	(void)base;
	(void)view;
	(void)out;
	(void)max;
	return 0; /* pipes carry none */
}

/* -- waiting ----------------------------------------------------------------------------------- */

static via_rc disarmed(struct pipe_link *l, uint32_t events, via_rc rc)
{
	atomic_fetch_and(&l->armed, ~events);
	return rc;
}

/* A read that has completed: does it say that nothing more will come? */
static int is_last(struct pipe_link *l)
{
	DWORD n = 0;

	if (!GetOverlappedResult(l->h, &l->rx, &n, FALSE)) /* no call */
		return pipe_is_gone(GetLastError());
	return n == 0 && l->have == 0 && !l->skipping;
}

/* Is there something for recv()? If that is the end, it is known to both lanes from now on: with a view
 * out recv() cannot be asked. */
static int has_come(struct pipe_link *l)
{
	DWORD err = 0;

	if (is_full(l))
		return 1;
	if (!l->posted)
		err = resume(l);
	if (err == 0 && pipe_flies(&l->rx))
		return 0;
	if (err == 0 ? is_last(l) : pipe_is_gone(err))
		(void)pipe_finish(l, VIA_CLOSED);
	return 1;
}

/* See the head of pipe_link.h. */
static via_rc VIA_CALL pipe_arm(via_link *base, uint32_t events, via_waitobj *out)
{
	struct pipe_link *l = pipe_link_of(base);
	int reads = (events & VIA_EV_RX) != 0;
	via_rc rc;

	atomic_fetch_or(&l->armed, events);
	rc = atomic_load(&l->aborted);
	if (rc == VIA_OK && (!reads || l->drained))
		rc = pipe_ended(l);
	if (rc != VIA_OK)
		return disarmed(l, events, rc);
	pipe_repair(l);
	if (reads && has_come(l))
		return disarmed(l, events, VIA_BUSY);
	if (pipe_is_due(l, events))
		return disarmed(l, events, VIA_BUSY);
	/* A write that completes sets the event, at once or later; nobody may be waiting for that. */
	if (atomic_exchange(&l->signalled, 0) != 0 || atomic_load(&l->tx_state) != PIPE_IDLE) {
		(void)ResetEvent(l->event);
		pipe_rewake(l);
	}
	out->kind = VIA_WAIT_WIN;
	out->handle = (int64_t)(intptr_t)l->event;
	return VIA_OK;
}

static void VIA_CALL pipe_disarm(via_link *base, uint32_t events)
{
	atomic_fetch_and(&pipe_link_of(base)->armed, ~events);
}

static void VIA_CALL pipe_abort(via_link *base, via_rc why)
{
	struct pipe_link *l = pipe_link_of(base);
	via_rc none = VIA_OK;

	if (why >= 0)
		why = VIA_ABORTED;
	if (!atomic_compare_exchange_strong(&l->aborted, &none, why))
		return;
	(void)pipe_say_bye(l); /* if that fails the peer has to wait for close() */
	pipe_wake(l);
}

/* -- facts and end ----------------------------------------------------------------------------- */

static via_rc VIA_CALL pipe_peer(via_link *base, via_peer *out)
{
	struct pipe_link *l = pipe_link_of(base);

	if (!VIA_HAS(out, via_peer, label))
		return VIA_INVAL;
	return pipe_peer_read(l->self, l->h, l->name != NULL, out);
}

static const void *VIA_CALL pipe_get_ext(via_link *base, const char *id)
{
	(void)base;
	(void)id;
	return NULL;
}

/* Takes an operation back and waits until the kernel has let go of it, which for a pipe is at once. */
static void recall(struct pipe_link *l, OVERLAPPED *o)
{
	if (!pipe_flies(o))
		return;
	(void)CancelIoEx(l->h, o);
	while (pipe_flies(o))
		(void)SwitchToThread();
}

static void free_link(struct pipe_link *l)
{
	const via_host *h = l->self->h;

	recall(l, &l->rx);
	recall(l, &l->tx);
	recall(l, &l->bye);
	CloseHandle(l->h);
	CloseHandle(l->event);
	if (l->name != NULL)
		pipe_name_drop(l->self, l->name);
	if (l->into != l->buf && l->into != l->first && l->into != l->spare)
		h->free(h->ctx, l->into);
	if (l->buf != l->first)
		h->free(h->ctx, l->buf);
	h->free(h->ctx, l->slot);
	h->free(h->ctx, l);
}

/* An accepted record is still on its way, to a peer that may yet read it. */
static int is_owed(struct pipe_link *l)
{
	return atomic_load(&l->aborted) == VIA_OK && pipe_settle(l) == VIA_AGAIN;
}

void pipe_reap(struct pipe_self *s, int all)
{
	struct pipe_link **at = &s->lingering;
	struct pipe_link *dead = NULL;
	struct pipe_link *l;
	via_time now;

	if (atomic_load(&s->n_lingering) == 0)
		return;
	now = s->h->now(s->h->ctx);
	AcquireSRWLockExclusive(&s->lock);
	while ((l = *at) != NULL) {
		if (all == 0 && l->until > now && s->n_lingering <= LINGERING_MAX && is_owed(l)) {
			at = &l->next;
			continue;
		}
		*at = l->next;
		s->n_lingering--;
		l->next = dead;
		dead = l;
	}
	ReleaseSRWLockExclusive(&s->lock);
	while ((l = dead) != NULL) {
		dead = l->next;
		free_link(l);
	}
}

/* A socket would keep what it has accepted; a pipe forgets a write that flies when its end closes. So
 * the end stays open behind the back of the caller, with the message of no bytes behind the record,
 * so that the peer hears the end although nobody here is there to close, until the peer has read them or is gone, the module ends, or the time is up. */
static void VIA_CALL pipe_close(via_link *base)
{
	struct pipe_link *l = pipe_link_of(base);
	struct pipe_self *s = l->self;
	struct pipe_link **at = &s->lingering;

	recall(l, &l->rx);
	if (is_owed(l) && pipe_say_bye(l) == 0) {
		l->until = s->h->now(s->h->ctx) + LINGER_NS;
		AcquireSRWLockExclusive(&s->lock);
		while (*at != NULL)
			at = &(*at)->next;
		*at = l;
		s->n_lingering++;
		ReleaseSRWLockExclusive(&s->lock);
	} else {
		free_link(l);
	}
	pipe_reap(s, 0);
}

static const via_link_ops pipe_link_ops = {
	.struct_size = sizeof(via_link_ops),
	.link_size = sizeof(struct pipe_link),
	.reserve = pipe_reserve,
	.commit = pipe_commit,
	.send = pipe_send,
	.recv = pipe_recv,
	.release = pipe_release,
	.arm = pipe_arm,
	.disarm = pipe_disarm,
	.abort = pipe_abort,
	.expect = pipe_expect,
	.take_handles = pipe_take_handles,
	.shutdown = pipe_shutdown,
	.peer = pipe_peer,
	.get_ext = pipe_get_ext,
	.close = pipe_close,
};

const uint64_t pipe_caps =
	VIA_CAP_RELIABLE | VIA_CAP_PIPELINE | VIA_CAP_PEERCRED | VIA_CAP_HUP | VIA_CAP_POLLABLE;

via_rc pipe_link_make(struct pipe_self *s, HANDLE h, struct pipe_name *name, uint32_t packet,
		      via_link **out)
{
	struct pipe_link *l = s->h->alloc(s->h->ctx, sizeof *l, _Alignof(struct pipe_link));
	via_rc rc = VIA_NOMEM;
	DWORD err;

	if (l == NULL) {
		(void)s->h->fail(s->h->ctx, VIA_NOMEM, 0, "link");
		goto drop;
	}
	err = pipe_event(s, &l->event);
	if (err != 0) {
		s->h->free(s->h->ctx, l);
		rc = pipe_fail(s, err, "CreateEventW", "of a link");
		goto drop;
	}
	l->self = s;
	l->name = name;
	l->h = h;
	l->tx.hEvent = l->rx.hEvent = l->event;
	l->buf = l->into = l->first;
	l->buf_cap = l->buf_len = VIA_EXPECT_INITIAL;
	l->limits = (via_limits){.struct_size = sizeof(via_limits),
				 .max_record = packet,
				 .max_batch = PIPE_MAX_BATCH,
				 .max_views = 1,
				 .max_slots = 1,
				 .align = PIPE_ALIGN};
	l->base = (via_link){.ops = &pipe_link_ops, .caps = pipe_caps, .limits = &l->limits};
	if (sizeof l->rx.Internal == sizeof *l->base.rx_word) {
		l->base.rx_word = (const volatile uint64_t *)(const volatile void *)&l->rx.Internal;
		l->base.rx_seen = PIPE_STATUS_PENDING;
	}
	(void)post(l); /* if it cannot, recv() says why */
	*out = &l->base;
	return VIA_OK;
drop:
	CloseHandle(h);
	if (name != NULL)
		pipe_name_drop(s, name);
	return rc;
}
