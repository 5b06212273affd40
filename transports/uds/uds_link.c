/* transports/uds/uds_link.c - one connected socket as a link: waiting, facts, end.
 *
 * Threads: the send lane, the receive lane and abort() may run at once; what they share is atomic.
 * Syscalls: shutdown, getsockopt, close. Peer: only its credentials are asked for. Wire layout: one
 * packet is one record.
 */
#include "uds_link.h"
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* -- waiting ----------------------------------------------------------------------------------- */

/* The kernel's readiness is a level, so nothing can be lost between a verb, arm() and the sleep. */
static via_rc VIA_CALL uds_arm(via_link *base, uint32_t events, via_waitobj *out)
{
	struct uds_link *l = uds_link_of(base);
	via_rc why = atomic_load_explicit(&l->aborted, memory_order_acquire);
	int reads = (events & VIA_EV_RX) != 0;

	if (why != VIA_OK)
		return why;
	if (!reads || l->drained) {
		via_rc rc = uds_ended(l);

		if (rc != VIA_OK)
			return rc;
	}
	out->kind = VIA_WAIT_FD;
	out->handle = l->fd;
	out->fd_events = (reads ? (uint32_t)POLLIN : 0u) |
			 ((events & VIA_EV_TX) != 0 ? (uint32_t)POLLOUT : 0u);
	return VIA_OK;
}

static void VIA_CALL uds_disarm(via_link *base, uint32_t events)
{
	(void)base;
	(void)events;
}

static void VIA_CALL uds_abort(via_link *base, via_rc why)
{
	struct uds_link *l = uds_link_of(base);
	via_rc none = VIA_OK;

	if (why >= 0)
		why = VIA_ABORTED;
	if (atomic_compare_exchange_strong(&l->aborted, &none, why))
		(void)shutdown(
			l->fd,
			SHUT_RDWR); /* makes the socket ready for everything: sleepers wake */
}

/* -- facts and end ----------------------------------------------------------------------------- */

static via_rc VIA_CALL uds_peer(via_link *base, via_peer *out)
{
	struct uds_link *l = uds_link_of(base);
	struct ucred c;
	socklen_t len = sizeof c;
	int err = uds_deny(l->self, "getsockopt");

	if (!VIA_HAS(out, via_peer, label))
		return VIA_INVAL;
	if (err == 0 && getsockopt(l->fd, SOL_SOCKET, SO_PEERCRED, &c, &len) != 0)
		err = errno;
	if (err != 0)
		return uds_fail(l->self, err, "getsockopt", "SO_PEERCRED");
	out->valid = VIA_PEER_UID | VIA_PEER_GID | VIA_PEER_LABEL;
	out->pid = 0;
	if (c.pid > 0) { /* 0: the peer lives in a pid namespace that this one cannot see */
		out->valid |= VIA_PEER_PID;
		out->pid = (uint64_t)c.pid;
	}
	out->uid = c.uid;
	out->gid = c.gid;
	(void)snprintf(out->label, sizeof out->label, "pid %ld uid %lu", (long)c.pid,
		       (unsigned long)c.uid);
	return VIA_OK;
}

static const void *VIA_CALL uds_get_ext(via_link *base, const char *id)
{
	(void)base;
	(void)id;
	return NULL;
}

static void VIA_CALL uds_close(via_link *base)
{
	struct uds_link *l = uds_link_of(base);
	const via_host *h = l->self->h;

	uds_recv_drop(l);
	close(l->fd);
	h->free(h->ctx, l->slot);
	h->free(h->ctx, l);
}

static const via_link_ops uds_link_ops = {
	.struct_size = sizeof(via_link_ops),
	.link_size = sizeof(struct uds_link),
	.reserve = uds_reserve,
	.commit = uds_commit,
	.send = uds_send,
	.recv = uds_recv,
	.release = uds_release,
	.arm = uds_arm,
	.disarm = uds_disarm,
	.abort = uds_abort,
	.expect = uds_expect,
	.take_handles = uds_take_handles,
	.shutdown = uds_shutdown,
	.peer = uds_peer,
	.get_ext = uds_get_ext,
	.close = uds_close,
};

const uint64_t uds_caps = VIA_CAP_RELIABLE | VIA_CAP_PIPELINE | VIA_CAP_HANDLES | VIA_CAP_PEERCRED |
			  VIA_CAP_HUP | VIA_CAP_POLLABLE;

/* What one packet can carry. Linux refuses a packet longer than the send buffer less 32 bytes;
 * on kernels that count differently a longer one is still refused, never cut, and that is
 * VIA_TOOBIG too. */
static uint32_t packet_max(const struct uds_link *l)
{
	int size = 0;
	socklen_t len = sizeof size;

	if (uds_deny(l->self, "getsockopt") != 0 ||
	    getsockopt(l->fd, SOL_SOCKET, SO_SNDBUF, &size, &len) != 0 ||
	    size < (int)VIA_EXPECT_INITIAL + 32)
		return UDS_MAX_RECORD;
	return (uint32_t)size - 32;
}

via_rc uds_link_make(struct uds_self *s, int fd, via_link **out)
{
	struct uds_link *l = s->h->alloc(s->h->ctx, sizeof *l, _Alignof(struct uds_link));

	if (l == NULL) {
		close(fd);
		return s->h->fail(s->h->ctx, VIA_NOMEM, 0, "link");
	}
	l->self = s;
	l->fd = fd;
	l->buf = l->first;
	l->buf_cap = l->buf_len = VIA_EXPECT_INITIAL;
	l->limits = (via_limits){.struct_size = sizeof(via_limits),
				 .max_record = packet_max(l),
				 .max_batch = UDS_MAX_BATCH,
				 .max_views = 1,
				 .max_slots = 1,
				 .max_handles = UDS_MAX_HANDLES,
				 .align = UDS_ALIGN};
	l->base = (via_link){.ops = &uds_link_ops, .caps = uds_caps, .limits = &l->limits};
	*out = &l->base;
	return VIA_OK;
}
