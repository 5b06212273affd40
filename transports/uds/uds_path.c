/* transports/uds/uds_path.c - names of an endpoint and what is found there.
 *
 * Threads: none. Syscalls: lstat, socket, connect. Peer: whoever owns the name; a probe is a bare
 * connect that sends nothing. Wire layout: none (docs/wire.md section 9).
 */
#include "uds.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

via_rc uds_names_make(const struct uds_self *s, const via_address *a, struct uds_names *out)
{
	const char *ns = a->ns == NULL ? "." : a->ns;
	size_t len = strlen(ns);
	const char *slash = len != 0 && ns[len - 1] == '/' ? "" : "/";
	int n;

	if (a->service == NULL || a->service[0] == '\0' || strchr(a->service, '/') != NULL)
		return uds_failf(
			s, VIA_INVAL, 0,
			"service name: expected at least one character and no '/', found \"%s\"",
			a->service == NULL ? "" : a->service);
	n = snprintf(out->path, sizeof out->path, "%s%s%s" UDS_SUFFIX, ns, slash, a->service);
	if (n < 0 || (size_t)n >= sizeof out->path)
		return uds_failf(s, VIA_INVAL, ENAMETOOLONG,
				 "socket path: expected at most %zu bytes, found %d: "
				 "%.200s%s%.127s" UDS_SUFFIX,
				 sizeof out->path - 1, n, ns, slash, a->service);
	/* Neither can be cut: both are made of parts that fitted. */
	memcpy(out->fresh, out->path, (size_t)n + 1);
	memcpy(out->fresh + (size_t)n - strlen(UDS_SUFFIX), UDS_FRESH_SUFFIX,
	       sizeof UDS_FRESH_SUFFIX);
	memcpy(out->lock, out->path, (size_t)n);
	memcpy(out->lock + n, UDS_LOCK_SUFFIX, sizeof UDS_LOCK_SUFFIX);
	return VIA_OK;
}

via_rc uds_socket(const struct uds_self *s, int *fd)
{
	int err = uds_deny(s, "socket");
	int n = -1;

	if (err == 0) {
		n = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		err = n < 0 ? errno : 0;
	}
	if (err == EAFNOSUPPORT || err == EPROTONOSUPPORT || err == ESOCKTNOSUPPORT)
		return uds_failf(s, VIA_NOTSUP, err,
				 "this system has no AF_UNIX SOCK_SEQPACKET sockets");
	if (err != 0)
		return uds_fail(s, err, "socket", "AF_UNIX SOCK_SEQPACKET");
	*fd = n;
	return VIA_OK;
}

int uds_connect(const struct uds_self *s, int fd, const char *path)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int err = uds_deny(s, "connect");

	if (err != 0)
		return err;
	memcpy(sa.sun_path, path, strlen(path) + 1);
	return connect(fd, (const struct sockaddr *)&sa, sizeof sa) == 0 ? 0 : errno;
}

const char *uds_kind_of(const struct uds_self *s, const char *path)
{
	struct stat st;

	if (uds_deny(s, "lstat") != 0 || lstat(path, &st) != 0)
		return "nothing";
	switch (st.st_mode & S_IFMT) {
	case S_IFSOCK:
		return "a socket";
	case S_IFREG:
		return "a regular file";
	case S_IFDIR:
		return "a directory";
	case S_IFLNK:
		return "a symbolic link";
	case S_IFIFO:
		return "a named pipe";
	default:
		return "a device";
	}
}

/* Whether somebody accepts connections there. Only a definite no counts as dead. */
static via_rc ask(const struct uds_self *s, const char *path, int is_link)
{
	int fd;
	int err;
	via_rc rc = uds_socket(s, &fd);

	if (rc != VIA_OK)
		return rc;
	err = uds_connect(s, fd, path);
	close(fd);
	switch (err) {
	case 0:
	case EAGAIN: /* its queue is full: very much alive */
		return UDS_LIVE;
	case ENOENT:
		return is_link ? UDS_DEAD : UDS_NONE;
	case ECONNREFUSED:
	case EPROTOTYPE:
	case ENOTSOCK:
	case ENOTDIR:
	case ELOOP:
		return UDS_DEAD;
	case EACCES:
	case EPERM:
		return uds_failf(
			s, VIA_EXISTS, err,
			"%s: somebody else's, and asking whether it is alive is not permitted",
			path);
	default:
		return uds_fail(s, err, "connect", path);
	}
}

via_rc uds_probe(const struct uds_self *s, const char *path)
{
	struct stat st;
	int err = uds_deny(s, "lstat");

	if (err == 0 && lstat(path, &st) != 0)
		err = errno;
	if (err == ENOENT)
		return UDS_NONE;
	if (err != 0)
		return uds_fail(s, err, "lstat", path);
	if (S_ISDIR(st.st_mode))
		return UDS_DIR;
	if (S_ISSOCK(st.st_mode) || S_ISLNK(st.st_mode))
		return ask(s, path, S_ISLNK(st.st_mode));
	return UDS_DEAD;
}
