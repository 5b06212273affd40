/* tests/session/modules/pair_posix.c - see pair.h: a pair of sockets. */
#include "pair.h"
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

int pair_make(pair_end out[2])
{
	int fd[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd) != 0)
		return -1;
	out[0] = fd[0];
	out[1] = fd[1];
	return 0;
}

pair_end pair_dup(pair_end e)
{
	return dup((int)e);
}

void pair_close(pair_end e)
{
	close((int)e);
}

via_rc pair_send(pair_end e, const via_iov *v, uint32_t n)
{
	struct iovec iov[PAIR_IOV];
	struct msghdr mh = {.msg_iov = iov};
	uint32_t i;

	for (i = 0; i < n; i++)
		iov[i] = (struct iovec){(void *)(uintptr_t)v[i].base, (size_t)v[i].len};
	mh.msg_iovlen = n;
	if (sendmsg((int)e, &mh, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
		return 1;
	if (errno == EAGAIN)
		return VIA_AGAIN;
	return errno == EMSGSIZE ? VIA_TOOBIG : VIA_RESET;
}

via_rc pair_recv(pair_end e, void *buf, uint32_t cap, uint32_t *len)
{
	ssize_t n = recv((int)e, buf, cap, MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN ? VIA_AGAIN : VIA_RESET;
	if (n == 0)
		return VIA_CLOSED;
	*len = (uint32_t)n;
	return 1;
}

void pair_arm(pair_end e, uint32_t events, via_waitobj *out)
{
	out->kind = VIA_WAIT_FD;
	out->handle = e;
	out->fd_events = ((events & VIA_EV_RX) != 0 ? (uint32_t)POLLIN : 0u) |
			 ((events & VIA_EV_TX) != 0 ? (uint32_t)POLLOUT : 0u);
}

void pair_disarm(pair_end e, uint32_t events)
{
	(void)e;
	(void)events;
}

void pair_shutdown(pair_end e, int both)
{
	(void)shutdown((int)e, both ? SHUT_RDWR : SHUT_WR);
}

void pair_to_handle(pair_end e, via_handle *out)
{
	*out = (via_handle){.value = e, .kind = VIA_H_FD};
}

pair_end pair_from_handle(const via_handle *h)
{
	return dup((int)h->value);
}
