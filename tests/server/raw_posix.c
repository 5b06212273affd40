/* tests/server/raw_posix.c - see raw.h: a SEQPACKET socket. */
#include "raw.h"
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int wait_for(raw c, short events)
{
	struct pollfd p = {.fd = (int)c, .events = events};

	return poll(&p, 1, (int)(RIG_SOON / RIG_MS)) == 1;
}

raw raw_dial(const char *run_dir, const char *service, int *busy)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(sa.sun_path, sizeof sa.sun_path, "%.60s/%.30s.sock", run_dir, service);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&sa, sizeof sa) == 0)
		return fd;
	*busy = errno == EAGAIN;
	close(fd);
	return RAW_NONE;
}

void raw_close(raw c)
{
	close((int)c);
}

int raw_try_send(raw c, const void *p, size_t len)
{
	if (send((int)c, p, len, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
		return 1;
	return errno == EAGAIN ? 0 : -1;
}

int raw_send(raw c, const void *p, size_t len)
{
	int rc;

	do {
		rc = raw_try_send(c, p, len);
	} while (rc == 0 && wait_for(c, POLLOUT));
	return rc;
}

int raw_recv(raw c, void *p, size_t cap)
{
	ssize_t n;

	for (;;) {
		n = recv((int)c, p, cap, MSG_DONTWAIT);
		if (n >= 0)
			return (int)n;
		if (errno == ECONNRESET)
			return 0;
		if (errno != EAGAIN || !wait_for(c, POLLIN))
			return -1;
	}
}
