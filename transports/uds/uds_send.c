/* transports/uds/uds_send.c - the send lane of a socket: slots, gathered records, handles.
 *
 * Threads: whoever holds the lane. Syscalls: send, sendmsg, sendmmsg, shutdown, close. A one-part
 * record without handles goes out with send(), 7 % cheaper than sendmsg(); several of them with
 * sendmmsg(), a fifth cheaper than that. Peer: reads or goes away, nothing else. Wire layout: one
 * packet is one record.
 */
#include "uds_link.h"
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

enum { LOCAL_IOV = 32 }; /* more parts than this are joined in the slot buffer */

static via_rc tx_ready(struct uds_link *l)
{
	via_rc rc = uds_ended(l);

	if (rc != VIA_OK)
		return rc;
	return l->tx_shut ? VIA_STATE : VIA_OK;
}

static via_rc room_for(struct uds_link *l, uint32_t len)
{
	const via_host *h = l->self->h;
	uint32_t cap = 512;
	uint8_t *p;

	if (len <= l->slot_cap)
		return VIA_OK;
	while (cap < len)
		cap = cap > l->limits.max_record / 2 ? l->limits.max_record : cap * 2;
	p = h->alloc(h->ctx, cap, UDS_ALIGN);
	if (p == NULL)
		return h->fail(h->ctx, VIA_NOMEM, 0, "send buffer");
	h->free(h->ctx, l->slot);
	l->slot = p;
	l->slot_cap = cap;
	return VIA_OK;
}

via_rc VIA_CALL uds_reserve(via_link *base, uint32_t len, via_slot *out)
{
	struct uds_link *l = uds_link_of(base);
	via_rc rc = tx_ready(l);

	if (rc != VIA_OK)
		return rc;
	if (len == 0)
		return VIA_INVAL;
	if (len > l->limits.max_record)
		return VIA_TOOBIG;
	if (l->slot_out)
		return VIA_LIMIT;
	rc = room_for(l, len);
	if (rc != VIA_OK)
		return rc;
	l->slot_out = 1;
	*out = (via_slot){.data = l->slot, .cap = l->slot_cap, .len = len};
	return VIA_OK;
}

static via_rc send_failed(struct uds_link *l, int err)
{
	switch (err) {
	case EAGAIN:
	case ENOBUFS:
	case EINTR:
		return VIA_AGAIN;
	case EMSGSIZE:
		return VIA_TOOBIG;
	case EPIPE:
	case ECONNRESET:
	case ENOTCONN:
	case ECONNREFUSED:
		return uds_finish(l, VIA_RESET);
	default:
		return uds_fail(l->self, err, "sendmsg", "to the peer");
	}
}

/* 1 when the whole record was taken. SEQPACKET takes all of it or nothing. */
static via_rc send_bytes(struct uds_link *l, const void *data, uint32_t len)
{
	int err = uds_deny(l->self, "send");

	if (err == 0) {
		if (send(l->fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
			return 1;
		err = errno;
	}
	return send_failed(l, err);
}

via_rc VIA_CALL uds_commit(via_link *base, const via_slot *slots, uint32_t n)
{
	struct uds_link *l = uds_link_of(base);
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
	rc = send_bytes(l, l->slot, slots->len);
	if (rc == 1)
		l->slot_out = 0;
	return rc;
}

/* Length of a message, checked; handles checked. */
static via_rc measure(const struct uds_link *l, const via_msg *m, uint32_t *len)
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
	if (m->n_handles > UDS_MAX_HANDLES)
		return VIA_LIMIT;
	for (i = 0; i < m->n_handles; i++)
		if (m->handles[i].kind != VIA_H_FD || m->handles[i].value < 0 ||
		    m->handles[i].value > INT_MAX)
			return VIA_INVAL;
	*len = (uint32_t)sum;
	return VIA_OK;
}

/* Fills v; joins the parts in the slot buffer when there are too many. The number of parts, or
 * an error. */
static via_rc gather(struct uds_link *l, const via_msg *m, uint32_t len, struct iovec *v)
{
	uint32_t at = 0;
	uint32_t i;
	via_rc rc;

	if (m->n_iov <= LOCAL_IOV) {
		for (i = 0; i < m->n_iov; i++) {
			v[i].iov_base = (void *)(uintptr_t)m->iov[i].base; /* only read */
			v[i].iov_len = (size_t)m->iov[i].len;
		}
		return (via_rc)m->n_iov;
	}
	rc = room_for(l, len);
	if (rc != VIA_OK)
		return rc;
	for (i = 0; i < m->n_iov; i++) {
		if (m->iov[i].len != 0)
			memcpy(l->slot + at, m->iov[i].base, (size_t)m->iov[i].len);
		at += (uint32_t)m->iov[i].len;
	}
	v[0].iov_base = l->slot;
	v[0].iov_len = len;
	return 1;
}

static void attach_handles(struct msghdr *mh, void *room, size_t size, const via_msg *m)
{
	struct cmsghdr *c;
	uint32_t i;

	memset(room, 0, size);
	mh->msg_control = room;
	mh->msg_controllen = CMSG_SPACE(m->n_handles * sizeof(int));
	c = CMSG_FIRSTHDR(mh);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(m->n_handles * sizeof(int));
	for (i = 0; i < m->n_handles; i++) {
		int fd = (int)m->handles[i].value;

		memcpy(CMSG_DATA(c) + i * sizeof fd, &fd, sizeof fd);
	}
}

static via_rc send_parts(struct uds_link *l, const via_msg *m, uint32_t len)
{
	_Alignas(struct cmsghdr) unsigned char control[CMSG_SPACE(UDS_MAX_HANDLES * sizeof(int))];
	struct iovec v[LOCAL_IOV];
	struct msghdr mh = {.msg_iov = v};
	via_rc n = gather(l, m, len, v);
	uint32_t i;
	int err;

	if (n < 0)
		return n;
	mh.msg_iovlen = (size_t)n;
	if (m->n_handles != 0)
		attach_handles(&mh, control, sizeof control, m);
	err = uds_deny(l->self, "sendmsg");
	if (err == 0 && sendmsg(l->fd, &mh, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		err = errno;
	if (err != 0)
		return send_failed(l, err);
	for (i = 0; i < m->n_handles; i++)
		close((int)m->handles[i].value);
	return 1;
}

static int is_plain(const via_msg *m)
{
	return m->n_iov == 1 && m->n_handles == 0;
}

#if defined(__linux__)

/* Several records of one part by one system call. How many of the first `n` can go that way. */
static uint32_t count_plain(const struct uds_link *l, const via_msg *msgs, uint32_t n)
{
	uint32_t i, len;

	if (n > UDS_MAX_BATCH)
		n = UDS_MAX_BATCH;
	for (i = 0; i < n; i++)
		if (!is_plain(&msgs[i]) || measure(l, &msgs[i], &len) != VIA_OK)
			break;
	return i;
}

static via_rc send_together(struct uds_link *l, const via_msg *msgs, uint32_t n)
{
	struct mmsghdr mm[UDS_MAX_BATCH];
	struct iovec v[UDS_MAX_BATCH];
	int err = uds_deny(l->self, "sendmmsg");
	int sent;
	uint32_t i;

	for (i = 0; i < n; i++) {
		v[i].iov_base = (void *)(uintptr_t)msgs[i].iov->base; /* only read */
		v[i].iov_len = (size_t)msgs[i].iov->len;
		mm[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &v[i], .msg_iovlen = 1}};
	}
	if (err == 0) {
		sent = sendmmsg(l->fd, mm, n, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (sent > 0)
			return sent;
		err = errno;
	}
	if (err == ENOSYS) /* here or under a filter */
		return send_bytes(l, msgs->iov->base, (uint32_t)msgs->iov->len);
	return send_failed(l, err);
}

#else

static uint32_t count_plain(const struct uds_link *l, const via_msg *msgs, uint32_t n)
{
	(void)l;
	(void)msgs;
	(void)n;
	return 0;
}

static via_rc send_together(struct uds_link *l, const via_msg *msgs, uint32_t n)
{
	(void)n;
	return send_bytes(l, msgs->iov->base, (uint32_t)msgs->iov->len);
}

#endif

/* The first of some messages, and more if that is cheaper. How many were taken, or an error. */
static via_rc send_some(struct uds_link *l, const via_msg *m, uint32_t n)
{
	uint32_t together = n > 1 ? count_plain(l, m, n) : 0;
	uint32_t len;
	via_rc rc;

	if (together > 1)
		return send_together(l, m, together);
	rc = measure(l, m, &len);
	if (rc != VIA_OK)
		return rc;
	return is_plain(m) ? send_bytes(l, m->iov->base, len) : send_parts(l, m, len);
}

via_rc VIA_CALL uds_send(via_link *base, const via_msg *msgs, uint32_t n)
{
	struct uds_link *l = uds_link_of(base);
	via_rc rc = tx_ready(l);
	uint32_t i;

	if (rc != VIA_OK)
		return rc;
	if (l->slot_out) /* would overtake the slot */
		return VIA_STATE;
	for (i = 0; i < n; i += (uint32_t)rc) {
		rc = send_some(l, &msgs[i], n - i);
		if (rc < 0)
			return i != 0 ? (via_rc)i : rc;
	}
	return (via_rc)n;
}

via_rc VIA_CALL uds_shutdown(via_link *base)
{
	struct uds_link *l = uds_link_of(base);
	via_rc rc = uds_ended(l);
	int err;

	if (rc != VIA_OK)
		return rc;
	if (l->tx_shut)
		return VIA_OK;
	err = uds_deny(l->self, "shutdown");
	if (err == 0 && shutdown(l->fd, SHUT_WR) != 0)
		err = errno;
	if (err == ENOTCONN)
		return uds_finish(l, VIA_RESET);
	if (err != 0)
		return uds_fail(l->self, err, "shutdown", "SHUT_WR");
	l->tx_shut = 1;
	return VIA_OK;
}
