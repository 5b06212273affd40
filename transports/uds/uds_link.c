/* transports/uds/uds_link.c - one connected socket as a link: receive lane, waiting, facts, end.
 *
 * Threads: the send lane, the receive lane and abort() may run at once; what they share is atomic.
 * Syscalls: recvmsg, poll, shutdown, getsockopt, close. Receiving always takes recvmsg(), 100 ns
 * more than recv(): any record may carry handles, and recv() would make the kernel drop them without
 * a word. Peer: may send any bytes, any length, any number of descriptors; nothing of that is
 * trusted. Wire layout: one packet is one record.
 */
#include "uds_link.h"
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

/* -- receive lane ------------------------------------------------------------------------------ */

static void drop_handles(struct uds_link *l)
{
	while (l->n_handles != 0)
		close(l->handles[--l->n_handles]);
}

/* Keeps the descriptors that came along; what is over the limit is closed at once. */
static void keep_handles(struct uds_link *l, struct msghdr *mh)
{
	struct cmsghdr *c;

	for (c = CMSG_FIRSTHDR(mh); c != NULL; c = CMSG_NXTHDR(mh, c)) {
		size_t n, i;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS ||
		    c->cmsg_len < CMSG_LEN(0))
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
			if (l->n_handles < UDS_MAX_HANDLES)
				l->handles[l->n_handles++] = fd;
			else
				close(fd);
		}
	}
}

/* Bytes of one record, 0 at the end of the stream, or -errno. */
static ssize_t take_packet(struct uds_link *l, int *cut)
{
	_Alignas(struct cmsghdr) unsigned char control[CMSG_SPACE(UDS_MAX_HANDLES * sizeof(int))];
	struct iovec v = {.iov_base = l->buf, .iov_len = l->buf_len};
	struct msghdr mh = {.msg_iov = &v,
			    .msg_iovlen = 1,
			    .msg_control = control,
			    .msg_controllen = sizeof control};
	int err = uds_deny(l->self, "recvmsg");
	ssize_t n;

	if (err != 0)
		return -err;
	n = recvmsg(l->fd, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n < 0)
		return -errno;
	if (mh.msg_controllen != 0)
		keep_handles(l, &mh);
	*cut = (mh.msg_flags & MSG_TRUNC) != 0;
	return n;
}

/* After no bytes: is it the end? Linux looks at the queue first and at the peer's shutdown then, so a
 * record sent right before a shutdown can be passed over (seen 10 times in 20000). Once the peer has
 * shut down nothing can be added, and a second look tells. A packet of no bytes from a peer that has
 * not is no record, and ends the link too. */
static ssize_t look_again(struct uds_link *l, int *cut)
{
	struct pollfd p = {.fd = l->fd, .events = POLLRDHUP};

	drop_handles(l);
	if (uds_deny(l->self, "poll") == 0 && poll(&p, 1, 0) == 0)
		return 0;
	return take_packet(l, cut);
}

static via_rc receive_failed(struct uds_link *l, int err)
{
	switch (err) {
	case EAGAIN:
	case EINTR:
		return VIA_AGAIN;
	case ECONNRESET:
	case ENOTCONN:
		l->drained = 1;
		return uds_finish(l, VIA_RESET);
	default:
		return uds_fail(l->self, err, "recvmsg", "from the peer");
	}
}

static via_rc VIA_CALL uds_recv(via_link *base, via_view *out, uint32_t max)
{
	struct uds_link *l = uds_link_of(base);
	via_rc why = atomic_load_explicit(&l->aborted, memory_order_acquire);
	ssize_t n;
	int cut = 0;

	if (why != VIA_OK)
		return why;
	if (l->drained)
		return uds_ended(l);
	if (l->view_out)
		return VIA_LIMIT;
	if (max == 0)
		return VIA_INVAL;
	n = take_packet(l, &cut);
	if (n == -ECONNRESET) {
		/* The peer left with our records unread. The kernel says so once, before what it
		 * had sent. */
		uds_finish(l, VIA_RESET);
		n = take_packet(l, &cut);
	}
	if (n == 0)
		n = look_again(l, &cut);
	if (n < 0)
		return receive_failed(l, (int)-n);
	if (n == 0) {
		drop_handles(l);
		l->drained = 1;
		return uds_finish(l, VIA_CLOSED);
	}
	l->view_out = 1;
	*out = (via_view){.data = l->buf,
			  .len = (uint32_t)n,
			  .flags = (cut ? VIA_VIEW_CUT : 0u) |
				   (l->n_handles != 0 ? VIA_VIEW_HANDLES : 0u)};
	return 1;
}

static void VIA_CALL uds_release(via_link *base, const via_view *views, uint32_t n)
{
	struct uds_link *l = uds_link_of(base);

	(void)views; /* there is only one */
	if (n == 0)
		return;
	drop_handles(l);
	l->view_out = 0;
}

static via_rc VIA_CALL uds_expect(via_link *base, uint32_t max_record)
{
	struct uds_link *l = uds_link_of(base);
	const via_host *h = l->self->h;
	uint8_t *p;

	if (l->view_out)
		return VIA_STATE;
	if (max_record == 0)
		return VIA_INVAL;
	if (max_record > l->buf_cap) {
		p = h->alloc(h->ctx, max_record, UDS_ALIGN);
		if (p == NULL)
			return h->fail(h->ctx, VIA_NOMEM, 0, "receive buffer");
		if (l->buf != l->first)
			h->free(h->ctx, l->buf);
		l->buf = p;
		l->buf_cap = max_record;
	}
	l->buf_len = max_record;
	return VIA_OK;
}

static via_rc VIA_CALL uds_take_handles(via_link *base, const via_view *view, via_handle *out,
					uint32_t max)
{
	struct uds_link *l = uds_link_of(base);
	uint32_t n = l->n_handles;
	uint32_t i;

	if (!l->view_out || view->data != l->buf)
		return VIA_INVAL;
	if (n > max)
		return VIA_LIMIT; /* they stay until release() */
	for (i = 0; i < n; i++)
		out[i] = (via_handle){.value = l->handles[i], .kind = VIA_H_FD};
	l->n_handles = 0;
	return (via_rc)n;
}

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

	drop_handles(l);
	close(l->fd);
	if (l->buf != l->first)
		h->free(h->ctx, l->buf);
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
