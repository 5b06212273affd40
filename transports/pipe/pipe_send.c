/* transports/pipe/pipe_send.c - the send lane of a pipe: slots, gathered records, the end.
 *
 * Threads: whoever holds the lane; a write that was cancelled may be begun again by the receive lane.
 * Syscalls: WriteFile, one for a record. Peer: reads, or not, or goes away. Wire layout: one message
 * is one record; one of no bytes is the end (docs/wire.md section 11).
 *
 * A write that finds no room stays with the kernel until the peer has read: the bytes it needs are
 * the slot's, into which every record is copied first, so nothing of the caller's is ever lent out.
 * The record counts as sent, the next one has to wait.
 */
#include "pipe_link.h"
#include <string.h>

static via_rc write_failed(struct pipe_link *l, DWORD err)
{
	if (pipe_is_gone(err))
		return pipe_finish(l, VIA_RESET);
	return pipe_fail(l->self, err, "WriteFile", "to the peer");
}

/* Begins to write the slot's first tx_len bytes. tx_state is the caller's to change; it is FLYING
 * afterwards if the write is pending, else IDLE. 1 or an error. */
static via_rc write_slot(struct pipe_link *l)
{
	DWORD err = pipe_deny(l->self, "WriteFile");

	if (err == 0) {
		if (!WriteFile(l->h, l->slot, l->tx_len, NULL, &l->tx))
			err = GetLastError();
		atomic_store(&l->signalled, 1);
	}
	if (err != 0 && err != ERROR_IO_PENDING)
		pipe_not_begun(&l->tx);
	atomic_store(&l->tx_state, err == ERROR_IO_PENDING ? PIPE_FLYING : PIPE_IDLE);
	pipe_rewake(l);
	return err == 0 || err == ERROR_IO_PENDING ? 1 : write_failed(l, err);
}

static void say_bye_if_due(struct pipe_link *l)
{
	if (atomic_exchange(&l->bye_due, 0) != 0)
		(void)pipe_say_bye(l); /* if it cannot be said the peer has to wait for close() */
}

via_rc pipe_settle(struct pipe_link *l)
{
	int flying = PIPE_FLYING;
	DWORD n, err = 0;
	via_rc rc;

	if (atomic_load_explicit(&l->tx_state, memory_order_acquire) == PIPE_IDLE)
		return VIA_OK;
	if (pipe_flies(&l->tx) ||
	    !atomic_compare_exchange_strong(&l->tx_state, &flying, PIPE_TAKEN))
		return flying == PIPE_IDLE ? VIA_OK : VIA_AGAIN;
	if (!GetOverlappedResult(l->h, &l->tx, &n, FALSE)) /* no call: it has completed */
		err = GetLastError();
	if (err == ERROR_OPERATION_ABORTED) {
		rc = write_slot(l);
		if (rc == 1)
			return atomic_load(&l->tx_state) == PIPE_IDLE ? VIA_OK : VIA_AGAIN;
	} else {
		atomic_store(&l->signalled, 1);
		atomic_store(&l->tx_state, PIPE_IDLE);
		rc = err == 0 ? VIA_OK : write_failed(l, err);
	}
	if (rc != VIA_OK)
		return pipe_finish(l, VIA_RESET); /* an accepted record is lost */
	say_bye_if_due(l);
	return VIA_OK;
}

static via_rc tx_ready(struct pipe_link *l)
{
	via_rc rc = pipe_ended(l);

	if (rc != VIA_OK)
		return rc;
	return l->tx_shut ? VIA_STATE : VIA_OK;
}

static via_rc room_for(struct pipe_link *l, uint32_t len)
{
	const via_host *h = l->self->h;
	uint32_t cap = 512;
	uint8_t *p;

	if (len <= l->slot_cap)
		return VIA_OK;
	while (cap < len)
		cap = cap > l->limits.max_record / 2 ? l->limits.max_record : cap * 2;
	p = h->alloc(h->ctx, cap, PIPE_ALIGN);
	if (p == NULL)
		return h->fail(h->ctx, VIA_NOMEM, 0, "send buffer");
	h->free(h->ctx, l->slot);
	l->slot = p;
	l->slot_cap = cap;
	return VIA_OK;
}

via_rc VIA_CALL pipe_reserve(via_link *base, uint32_t len, via_slot *out)
{
	struct pipe_link *l = pipe_link_of(base);
	via_rc rc = tx_ready(l);

	if (rc != VIA_OK)
		return rc;
	if (len == 0)
		return VIA_INVAL;
	if (len > l->limits.max_record)
		return VIA_TOOBIG;
	if (l->slot_out)
		return VIA_LIMIT;
	rc = pipe_settle(l);
	if (rc == VIA_OK)
		rc = room_for(l, len);
	if (rc != VIA_OK)
		return rc;
	l->slot_out = 1;
	*out = (via_slot){.data = l->slot, .cap = l->slot_cap, .len = len};
	return VIA_OK;
}

via_rc VIA_CALL pipe_commit(via_link *base, const via_slot *slots, uint32_t n)
{
	struct pipe_link *l = pipe_link_of(base);
	via_rc rc = tx_ready(l);

	if (rc != VIA_OK)
		return rc;
	if (n == 0)
		return 0;
	if (n > 1 || !l->slot_out || slots->data != l->slot)
		return VIA_INVAL;
	if (slots->len == VIA_SKIP) {
		l->slot_out = 0;
		return 1;
	}
	if (slots->len == 0 || slots->len > l->slot_cap)
		return VIA_INVAL;
	if (slots->len > l->limits.max_record)
		return VIA_TOOBIG;
	l->tx_len = slots->len;
	rc = write_slot(l);
	if (rc == 1)
		l->slot_out = 0;
	return rc;
}

/* Length of a message, checked. */
static via_rc measure(const struct pipe_link *l, const via_msg *m, uint32_t *len)
{
	uint64_t sum = 0;
	uint32_t i;

	for (i = 0; i < m->n_iov; i++) {
		if (m->iov[i].len > l->limits.max_record - sum)
			return VIA_TOOBIG;
		sum += m->iov[i].len;
	}
	if (sum == 0)
		return VIA_INVAL;
	if (m->n_handles != 0)
		return VIA_LIMIT;
	*len = (uint32_t)sum;
	return VIA_OK;
}

static via_rc send_one(struct pipe_link *l, const via_msg *m)
{
	uint32_t at = 0;
	uint32_t len, i;
	via_rc rc = measure(l, m, &len);

	if (rc == VIA_OK)
		rc = pipe_settle(l);
	if (rc == VIA_OK)
		rc = room_for(l, len);
	if (rc != VIA_OK)
		return rc;
	for (i = 0; i < m->n_iov; i++) {
		if (m->iov[i].len != 0)
			memcpy(l->slot + at, m->iov[i].base, (size_t)m->iov[i].len);
		at += (uint32_t)m->iov[i].len;
	}
	l->tx_len = len;
	return write_slot(l);
}

via_rc VIA_CALL pipe_send(via_link *base, const via_msg *msgs, uint32_t n)
{
	struct pipe_link *l = pipe_link_of(base);
	via_rc rc = tx_ready(l);
	uint32_t i;

	if (rc != VIA_OK)
		return rc;
	if (l->slot_out)
		return VIA_STATE;
	for (i = 0; i < n; i++) {
		rc = send_one(l, &msgs[i]);
		if (rc != 1)
			return i != 0 ? (via_rc)i : rc;
	}
	return (via_rc)n;
}

/* -- the end ----------------------------------------------------------------------------------- */

DWORD pipe_say_bye(struct pipe_link *l)
{
	DWORD err;

	if (atomic_exchange(&l->said_bye, 1) != 0)
		return 0;
	err = pipe_deny(l->self, "WriteFile");
	if (err == 0 && !WriteFile(l->h, l->spare, 0, NULL, &l->bye))
		err = GetLastError();
	if (err == 0 || err == ERROR_IO_PENDING)
		return 0;
	pipe_not_begun(&l->bye);
	atomic_store(&l->said_bye, 0);
	return err;
}

/* The message of no bytes needs no room, so it would be there before a write that flies has come down;
 * should that be cancelled with its thread, it could not be begun again in its place. It waits. */
via_rc VIA_CALL pipe_shutdown(via_link *base)
{
	struct pipe_link *l = pipe_link_of(base);
	via_rc rc = pipe_ended(l);
	DWORD err;

	if (rc != VIA_OK)
		return rc;
	if (l->tx_shut)
		return VIA_OK;
	rc = pipe_settle(l);
	if (rc == VIA_AGAIN) {
		l->tx_shut = 1;
		atomic_store(&l->bye_due, 1);
		if (atomic_load(&l->tx_state) == PIPE_IDLE) /* the other lane was faster */
			say_bye_if_due(l);
		pipe_rewake(l);
		return VIA_OK;
	}
	if (rc != VIA_OK)
		return rc;
	err = pipe_say_bye(l);
	if (err != 0)
		return write_failed(l, err);
	l->tx_shut = 1;
	return VIA_OK;
}
