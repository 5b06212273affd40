/* transports/uds/uds_recv.c - the receive lane of a socket: records one or several at a time, handles.
 *
 * Threads: whoever holds the lane. Syscalls: recvmsg, recv, recvmmsg, poll, close. While handles may be
 * wanted receiving takes recvmsg(), for recv() makes the kernel drop them without a word; later on that
 * is just what recv() is for, and several records are taken by one recvmmsg(). Peer: may send any bytes,
 * any length, any number of descriptors; nothing of that is trusted. Wire layout: one packet is one
 * record.
 */
#include "uds_link.h"
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

/* Elsewhere recv() does not tell how long a record was that did not fit, and recvmmsg() is missing. */
#if defined(__linux__)
enum { PLAIN_RECV = 1 };
#else
enum { PLAIN_RECV = 0 };
#endif

/* Bytes for the views behind the first. Untouched pages of it are not in memory. */
enum { ROOM_MAX = 524288 };

/* -- views ------------------------------------------------------------------------------------- */

static size_t stride_of(uint32_t len)
{
	return ((size_t)len + UDS_ALIGN - 1) / UDS_ALIGN * UDS_ALIGN;
}

static uint8_t *view_data(const struct uds_link *l, uint32_t i)
{
	return i == 0 ? l->buf : l->more + (i - 1) * stride_of(l->buf_len);
}

static via_view view_of(const struct uds_link *l, uint32_t i, uint32_t len, int cut)
{
	return (via_view){.data = view_data(l, i),
			  .len = len,
			  .flags = (cut ? VIA_VIEW_CUT : 0u) |
				   (l->n_handles != 0 ? VIA_VIEW_HANDLES : 0u),
			  .cookie = i};
}

/* Handles that are wanted belong to one view: there is no other beside it. */
static uint32_t views_for(const struct uds_link *l, uint32_t len)
{
	size_t more = ROOM_MAX / stride_of(len);

	if (!PLAIN_RECV || l->base.rx_plain == 0)
		return 1;
	return more < UDS_MAX_VIEWS - 1 ? (uint32_t)more + 1 : UDS_MAX_VIEWS;
}

/* Memory for more than one view. Most links never need it. */
static int make_room(struct uds_link *l)
{
	const via_host *h = l->self->h;

	if (l->more == NULL)
		l->more = h->alloc(h->ctx, (l->limits.max_views - 1) * stride_of(l->buf_len),
				   UDS_ALIGN);
	return l->more != NULL;
}

/* -- handles ----------------------------------------------------------------------------------- */

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

via_rc VIA_CALL uds_take_handles(via_link *base, const via_view *view, via_handle *out,
				 uint32_t max)
{
	struct uds_link *l = uds_link_of(base);
	uint32_t n = l->n_handles;
	uint32_t i;

	if (view->cookie >= UDS_MAX_VIEWS || (l->views_out >> view->cookie & 1) == 0 ||
	    view->data != view_data(l, (uint32_t)view->cookie))
		return VIA_INVAL;
	if (n > max)
		return VIA_LIMIT; /* they stay until release() */
	for (i = 0; i < n; i++)
		out[i] = (via_handle){.value = l->handles[i], .kind = VIA_H_FD};
	l->n_handles = 0;
	return (via_rc)n;
}

/* -- the end ----------------------------------------------------------------------------------- */

/* Whether the peer will send nothing more; in doubt it will not. */
static int has_hung_up(const struct uds_link *l)
{
	struct pollfd p = {.fd = l->fd, .events = POLLRDHUP};

	return uds_deny(l->self, "poll") != 0 || poll(&p, 1, 0) != 0;
}

static via_rc finish(struct uds_link *l, via_rc how)
{
	l->drained = 1;
	return uds_finish(l, how);
}

/* -- one record -------------------------------------------------------------------------------- */

/* Each fills *out and answers 1; 0: no bytes, the end of the stream or an empty packet; or -errno. */

static int take_with_handles(struct uds_link *l, via_view *out, uint32_t at)
{
	_Alignas(struct cmsghdr) unsigned char control[CMSG_SPACE(UDS_MAX_HANDLES * sizeof(int))];
	struct iovec v = {.iov_base = view_data(l, at), .iov_len = l->buf_len};
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
	*out = view_of(l, at, (uint32_t)n, (mh.msg_flags & MSG_TRUNC) != 0);
	return n != 0;
}

/* Nobody wants handles: the kernel closes what comes along. */
static int take_plain(struct uds_link *l, via_view *out, uint32_t at)
{
	int err = uds_deny(l->self, "recv");
	ssize_t n;
	int cut;

	if (err != 0)
		return -err;
	n = recv(l->fd, view_data(l, at), l->buf_len, MSG_DONTWAIT | MSG_TRUNC);
	if (n < 0)
		return -errno;
	cut = n > (ssize_t)l->buf_len;
	*out = view_of(l, at, cut ? l->buf_len : (uint32_t)n, cut);
	return n != 0;
}

/* Into the first free view; there is one, and memory for it. */
static int take_one(struct uds_link *l, via_view *out)
{
	uint32_t at = 0;

	while ((l->views_out >> at & 1) != 0)
		at++;
	return PLAIN_RECV && l->base.rx_plain != 0 ? take_plain(l, out, at)
						   : take_with_handles(l, out, at);
}

/* -- several records --------------------------------------------------------------------------- */

#if defined(__linux__)

/* What has come without bytes is no record. Once the peer has shut down only records count, as in
 * look_again(); from a peer that has not it is the end, whatever follows. */
static int views_of_records(struct uds_link *l, const struct mmsghdr *msg, int n, via_view *out)
{
	int i, records = 0, is_over = 0;

	for (i = 0; i < n; i++) {
		if (msg[i].msg_len != 0) {
			out[records++] = view_of(l, (uint32_t)i, msg[i].msg_len,
						 (msg[i].msg_hdr.msg_flags & MSG_TRUNC) != 0);
			continue;
		}
		is_over = is_over || has_hung_up(l);
		if (!is_over) {
			(void)finish(l, VIA_CLOSED);
			break;
		}
	}
	return records;
}

/* As take_one(), up to max records. No view is out. */
static int take_together(struct uds_link *l, via_view *out, uint32_t max)
{
	struct mmsghdr msg[UDS_MAX_VIEWS];
	struct iovec v[UDS_MAX_VIEWS];
	int err = uds_deny(l->self, "recvmmsg");
	uint32_t i;
	int n;

	for (i = 0; i < max; i++) {
		v[i] = (struct iovec){view_data(l, i), l->buf_len};
		msg[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &v[i], .msg_iovlen = 1}};
	}
	if (err == 0) {
		n = recvmmsg(l->fd, msg, max, MSG_DONTWAIT, NULL);
		if (n > 0)
			return views_of_records(l, msg, n, out);
		err = errno;
	}
	if (err != ENOSYS)
		return -err;
	l->one_by_one = 1; /* here or under a filter */
	return take_one(l, out);
}

#else

static int take_together(struct uds_link *l, via_view *out, uint32_t max)
{
	(void)max;
	return take_one(l, out);
}

#endif

static int take(struct uds_link *l, via_view *out, uint32_t max)
{
	if (max > l->limits.max_views)
		max = l->limits.max_views;
	if (max > 1 && l->views_out == 0 && !l->one_by_one) {
		if (make_room(l))
			return take_together(l, out, max);
		l->one_by_one = 1;
	}
	return take_one(l, out);
}

/* -- verbs ------------------------------------------------------------------------------------- */

/* After no bytes: is it the end? Linux looks at the queue first and at the peer's shutdown then, so a
 * record sent right before a shutdown can be passed over (seen 10 times in 20000). Once the peer has
 * shut down nothing can be added, and a second look tells. A packet of no bytes from a peer that has
 * not is no record, and ends the link too. */
static int look_again(struct uds_link *l, via_view *out, uint32_t max)
{
	drop_handles(l);
	return !l->drained && has_hung_up(l) ? take(l, out, max) : 0;
}

static via_rc receive_failed(struct uds_link *l, int err)
{
	switch (err) {
	case EAGAIN:
	case EINTR:
		return VIA_AGAIN;
	case ECONNRESET:
	case ENOTCONN:
		return finish(l, VIA_RESET);
	default:
		return uds_fail(l->self, err, "recvmsg", "from the peer");
	}
}

/* Nothing of this needs a look at the kernel. VIA_OK: there is room for a record. */
static via_rc rx_ready(struct uds_link *l, uint32_t max)
{
	via_rc why = atomic_load_explicit(&l->aborted, memory_order_acquire);
	const via_host *h = l->self->h;

	if (why != VIA_OK)
		return why;
	if (l->drained)
		return uds_ended(l);
	if (l->views_out == (1u << l->limits.max_views) - 1)
		return VIA_LIMIT;
	if (max == 0)
		return VIA_INVAL;
	if (l->views_out != 0 && !make_room(l))
		return h->fail(h->ctx, VIA_NOMEM, 0, "receive buffers");
	return VIA_OK;
}

via_rc VIA_CALL uds_recv(via_link *base, via_view *out, uint32_t max)
{
	struct uds_link *l = uds_link_of(base);
	via_rc rc = rx_ready(l, max);
	int i, n;

	if (rc != VIA_OK)
		return rc;
	n = take(l, out, max);
	if (n == -ECONNRESET) {
		/* The peer left with our records unread. The kernel says so once, before what it
		 * had sent. */
		uds_finish(l, VIA_RESET);
		n = take(l, out, max);
	}
	if (n == 0)
		n = look_again(l, out, max);
	if (n < 0)
		return receive_failed(l, -n);
	if (n == 0) {
		drop_handles(l);
		return finish(l, VIA_CLOSED);
	}
	for (i = 0; i < n; i++)
		l->views_out |= 1u << out[i].cookie;
	return n;
}

void VIA_CALL uds_release(via_link *base, const via_view *views, uint32_t n)
{
	struct uds_link *l = uds_link_of(base);
	uint32_t i;

	for (i = 0; i < n; i++)
		l->views_out &= ~(1u << views[i].cookie);
	if (n != 0)
		drop_handles(l);
}

via_rc VIA_CALL uds_expect(via_link *base, uint32_t max_record)
{
	struct uds_link *l = uds_link_of(base);
	const via_host *h = l->self->h;
	uint8_t *p;

	if (l->views_out != 0)
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
	h->free(h->ctx, l->more); /* made for the old length */
	l->more = NULL;
	l->one_by_one = 0;
	l->buf_len = max_record;
	l->limits.max_views = views_for(l, max_record);
	return VIA_OK;
}

void uds_recv_drop(struct uds_link *l)
{
	const via_host *h = l->self->h;

	drop_handles(l);
	if (l->buf != l->first)
		h->free(h->ctx, l->buf);
	h->free(h->ctx, l->more);
}
