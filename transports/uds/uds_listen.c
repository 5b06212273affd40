/* transports/uds/uds_listen.c - takes a name over, listens, gives the name back.
 *
 * Threads: none. Syscalls: open, flock, stat, fstat, lstat, bind, chmod, listen, renameat2, link,
 * rename, unlink, rmdir, accept. Peer: other servers that want the same name, some of which know
 * nothing of the lock. Wire layout: none (docs/wire.md section 9).
 *
 * The order, and why no two servers can both believe that they own the name:
 *  1. {service}.sock.lock is created and flock'ed; whoever cannot have it at once is told EXISTS.
 *     The lock dies with its process. Only its holder removes the file, so a lock on a file that is
 *     no longer the one at that path is worth nothing: the path is looked up again after locking.
 *  2. {service}.new, left by a holder that died between 3 and 5, is removed.
 *  3. The socket is bound to {service}.new, gets its mode, and listens. The public name therefore
 *     never leads to a socket that refuses. fchmod() before bind() makes Linux create the file with
 *     that mode; chmod() after it puts back what the umask took, which nobody has to touch.
 *  4. Nothing at the public name: renamed there, unless something has appeared meanwhile
 *     (RENAME_NOREPLACE).
 *  5. Something dead there: the two names are exchanged, atomically, and what was displaced is
 *     asked once more before it is removed. If a server without the lock had come alive in between,
 *     it gets its name back. A live endpoint is never removed.
 * A crash at any point leaves names that the next holder of the lock removes.
 */
#include "uds.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { ATTEMPTS = 16 }; /* at a name that somebody else keeps changing */

struct uds_listener {
	via_listener base; /* first: the core holds a pointer to this */
	struct uds_self *self;
	struct uds_names names;
	int fd, lock_fd;
	int litter; /* something dead may still lie at names.fresh */
	dev_t dev;  /* of the name we bound, wherever it is now */
	ino_t ino;
};

static struct uds_listener *listener_of(via_listener *base)
{
	return (struct uds_listener *)(void *)base;
}

/* -- system calls that may be denied ----------------------------------------------------------- */

static int do_lstat(const struct uds_self *s, const char *path, struct stat *st)
{
	int err = uds_deny(s, "lstat");

	return err != 0 ? err : lstat(path, st) == 0 ? 0 : errno;
}

static int do_unlink(const struct uds_self *s, const char *path)
{
	int err = uds_deny(s, "unlink");

	return err != 0 ? err : unlink(path) == 0 ? 0 : errno;
}

static int do_rmdir(const struct uds_self *s, const char *path)
{
	int err = uds_deny(s, "rmdir");

	return err != 0 ? err : rmdir(path) == 0 ? 0 : errno;
}

#if !defined(RENAME_NOREPLACE)
#define RENAME_NOREPLACE 1u
#endif
#if !defined(RENAME_EXCHANGE)
#define RENAME_EXCHANGE 2u
#endif

/* EINVAL or ENOSYS: this file system or kernel cannot. */
static int do_rename2(const struct uds_self *s, const char *from, const char *to, unsigned flags)
{
	int err = uds_deny(s, "renameat2");

	if (err != 0)
		return err;
#if defined(SYS_renameat2)
	return syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, flags) == 0 ? 0 : errno;
#else
	(void)from;
	(void)to;
	(void)flags;
	return ENOSYS;
#endif
}

/* -- lock -------------------------------------------------------------------------------------- */

static via_rc lock_open(const struct uds_self *s, const struct uds_names *n, int *out)
{
	int err = uds_deny(s, "open");
	int fd = -1;

	if (err == 0) {
		fd = open(n->lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
		err = fd < 0 ? errno : 0;
	}
	if (err == ENOENT || err == ENOTDIR)
		return uds_failf(s, VIA_NOTFOUND, err, "%s: the run directory does not exist",
				 n->lock);
	if (err == ELOOP || err == EISDIR)
		return uds_failf(s, VIA_EXISTS, err, "%s: expected a lock file, found %s", n->lock,
				 uds_kind_of(s, n->lock));
	if (err != 0)
		return uds_fail(s, err, "open", n->lock);
	*out = fd;
	return VIA_OK;
}

static via_rc lock_take(const struct uds_self *s, const struct uds_names *n, int fd)
{
	int err = uds_deny(s, "flock");

	if (err == 0 && flock(fd, LOCK_EX | LOCK_NB) != 0)
		err = errno;
	if (err == EWOULDBLOCK)
		return uds_failf(s, VIA_EXISTS, err, "%s: another server owns this name", n->path);
	if (err != 0)
		return uds_fail(s, err, "flock", n->lock);
	return VIA_OK;
}

/* 0: the locked file is the one at the path. ENOENT: it is not, or no longer. Else an errno. */
static int lock_is_current(const struct uds_self *s, const char *path, int fd)
{
	struct stat mine, there;
	int err = uds_deny(s, "fstat");

	if (err == 0 && fstat(fd, &mine) != 0)
		err = errno;
	if (err == 0)
		err = do_lstat(s, path, &there);
	if (err != 0)
		return err;
	return mine.st_dev == there.st_dev && mine.st_ino == there.st_ino ? 0 : ENOENT;
}

static via_rc lock_name(struct uds_listener *l)
{
	const struct uds_self *s = l->self;
	int i;

	for (i = 0; i < ATTEMPTS; i++) {
		int fd = -1;
		int err = ENOENT;
		via_rc rc = lock_open(s, &l->names, &fd);

		if (rc != VIA_OK)
			return rc;
		rc = lock_take(s, &l->names, fd);
		if (rc == VIA_OK)
			err = lock_is_current(s, l->names.lock, fd);
		if (err == 0) {
			l->lock_fd = fd;
			return VIA_OK;
		}
		close(fd);
		if (rc != VIA_OK)
			return rc;
		if (err != ENOENT)
			return uds_fail(s, err, "stat", l->names.lock);
	}
	return uds_failf(s, VIA_EXISTS, 0, "%s: other servers keep taking and leaving this name",
			 l->names.path);
}

static void unlock_name(struct uds_listener *l)
{
	if (lock_is_current(l->self, l->names.lock, l->lock_fd) == 0)
		(void)do_unlink(l->self, l->names.lock);
	close(l->lock_fd);
}

/* -- the fresh name ---------------------------------------------------------------------------- */

/* Removes what is at the fresh name; nobody uses it but holders of the lock. */
static via_rc sweep(struct uds_listener *l)
{
	const struct uds_self *s = l->self;
	const char *path = l->names.fresh;
	via_rc what = uds_probe(s, path);
	int err = 0;

	if (what < 0)
		return what;
	if (what == UDS_LIVE) {
		/* A holder died right after it had displaced a server without the lock: give
		 * that its name back. */
		via_rc there = uds_probe(s, l->names.path);

		if (there == UDS_NONE || there == UDS_DEAD) {
			err = uds_deny(s, "rename");
			if (err == 0 && rename(path, l->names.path) != 0)
				err = errno;
		}
		return uds_failf(s, VIA_EXISTS, err, "%s: another server owns this name",
				 l->names.path);
	}
	if (what == UDS_DIR)
		err = do_rmdir(s, path);
	if (what == UDS_DEAD)
		err = do_unlink(s, path);
	if (err != 0 && err != ENOENT)
		return uds_failf(s, VIA_EXISTS, err, "%s: in the way and cannot be removed", path);
	return VIA_OK;
}

static int bind_fresh(struct uds_listener *l, uint32_t mode, const char **call)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	const struct uds_self *s = l->self;
	struct stat st;
	int err;

	memcpy(sa.sun_path, l->names.fresh, strlen(l->names.fresh) + 1);
	*call = "fchmod";
	err = uds_deny(s, *call);
	if (err == 0 && fchmod(l->fd, (mode_t)mode) != 0)
		err = errno;
	if (err != 0)
		return err;
	*call = "bind";
	err = uds_deny(s, *call);
	if (err == 0 && bind(l->fd, (const struct sockaddr *)&sa, sizeof sa) != 0)
		err = errno;
	if (err != 0)
		return err;
	l->litter = 1;
	*call = "chmod";
	err = uds_deny(s, *call);
	if (err == 0 && chmod(l->names.fresh, (mode_t)mode) != 0)
		err = errno;
	if (err != 0)
		return err;
	*call = "lstat";
	err = do_lstat(s, l->names.fresh, &st);
	if (err != 0)
		return err;
	l->dev = st.st_dev;
	l->ino = st.st_ino;
	return 0;
}

static via_rc open_fresh(struct uds_listener *l, const struct uds_config *cfg)
{
	const struct uds_self *s = l->self;
	const char *call;
	via_rc rc = uds_socket(s, &l->fd);
	int err;

	if (rc != VIA_OK)
		return rc;
	err = bind_fresh(l, cfg->mode, &call);
	if (err == 0) {
		call = "listen";
		err = uds_deny(s, call);
		if (err == 0 && listen(l->fd, (int)cfg->backlog) != 0)
			err = errno;
	}
	return err == 0 ? VIA_OK : uds_fail(s, err, call, l->names.fresh);
}

/* -- the public name --------------------------------------------------------------------------- */

static int cannot(int err)
{
	return err == EINVAL || err == ENOSYS || err == ENOTSUP;
}

/* The name was free: moves the socket there unless something has appeared. */
static int publish_new(struct uds_listener *l)
{
	const struct uds_self *s = l->self;
	const struct uds_names *n = &l->names;
	int err = do_rename2(s, n->fresh, n->path, RENAME_NOREPLACE);

	if (!cannot(err)) {
		if (err == 0)
			l->litter = 0;
		return err;
	}
	err = uds_deny(s, "link");
	if (err == 0 && link(n->fresh, n->path) != 0)
		err = errno;
	if (err == 0 && do_unlink(s, n->fresh) == 0)
		l->litter = 0;
	return err;
}

/* A symbolic link back to the public name leads to us now; it does not make a server of what it
 * was. */
static int leads_to_us(const struct uds_listener *l, const char *path)
{
	struct stat st;
	int err = uds_deny(l->self, "stat");

	return err == 0 && stat(path, &st) == 0 && st.st_dev == l->dev && st.st_ino == l->ino;
}

/* Something dead has the name: takes its place, and looks at it again before it goes. */
static via_rc publish_over(struct uds_listener *l)
{
	const struct uds_self *s = l->self;
	const struct uds_names *n = &l->names;
	int err = do_rename2(s, n->fresh, n->path, RENAME_EXCHANGE);
	via_rc what;

	if (cannot(err)) {
		err = uds_deny(s, "rename");
		if (err == 0 && rename(n->fresh, n->path) != 0)
			err = errno;
		if (err == 0) {
			l->litter = 0;
			return VIA_OK;
		}
	}
	if (err == ENOENT)
		return VIA_AGAIN;
	if (err != 0)
		return uds_failf(s, VIA_EXISTS, err, "%s: %s is in the way and cannot be removed",
				 n->path, uds_kind_of(s, n->path));
	what = leads_to_us(l, n->fresh) ? UDS_DEAD : uds_probe(s, n->fresh);
	if (what == UDS_NONE || what == UDS_DEAD) {
		if (what == UDS_NONE || do_unlink(s, n->fresh) == 0)
			l->litter = 0; /* else close() tries again */
		return VIA_OK;
	}
	err = do_rename2(s, n->fresh, n->path, RENAME_EXCHANGE);
	if (err != 0)
		l->litter = 0; /* may be alive: the next holder of the lock decides (sweep()) */
	else if (what == UDS_DIR)
		return VIA_AGAIN;
	if (what >= 0)
		what = uds_failf(s, VIA_EXISTS, err, "%s: another server has just taken this name",
				 n->path);
	return what;
}

static via_rc publish(struct uds_listener *l)
{
	const struct uds_self *s = l->self;
	const char *path = l->names.path;
	int i;

	for (i = 0; i < ATTEMPTS; i++) {
		via_rc what = uds_probe(s, path);
		int err = 0;

		if (what < 0)
			return what;
		if (what == UDS_LIVE)
			return uds_failf(s, VIA_EXISTS, 0, "%s: a live server listens there", path);
		if (what == UDS_DEAD) {
			what = publish_over(l);
			if (what != VIA_AGAIN)
				return what;
		} else if (what == UDS_DIR) {
			err = do_rmdir(s, path);
			if (err != 0 && err != ENOENT)
				return uds_failf(
					s, VIA_EXISTS, err,
					"%s: a directory is in the way and cannot be removed",
					path);
		} else {
			err = publish_new(l);
			if (err == 0)
				return VIA_OK;
			if (err != EEXIST)
				return uds_fail(s, err, "rename", path);
		}
	}
	return uds_failf(s, VIA_EXISTS, 0, "%s: other servers keep changing this name", path);
}

/* -- listener ---------------------------------------------------------------------------------- */

static via_rc VIA_CALL uds_accept(via_listener *base, via_link **out)
{
	struct uds_listener *l = listener_of(base);
	int err = uds_deny(l->self, "accept");
	int fd = -1;

	if (err == 0) {
		fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		err = fd < 0 ? errno : 0;
	}
	if (err == EAGAIN || err == EINTR || err == ECONNABORTED)
		return VIA_AGAIN;
	if (err != 0)
		return uds_fail(l->self, err, "accept", l->names.path);
	return uds_link_make(l->self, fd, out);
}

static via_rc VIA_CALL uds_listener_arm(via_listener *base, via_waitobj *out)
{
	out->kind = VIA_WAIT_FD;
	out->handle = listener_of(base)->fd;
	out->fd_events = POLLIN;
	return VIA_OK;
}

static via_rc VIA_CALL uds_address(via_listener *base, char *buf, uint32_t cap)
{
	const char *path = listener_of(base)->names.path;
	size_t need = strlen(path) + 1;

	if (need <= cap)
		memcpy(buf, path, need);
	return (via_rc)need;
}

/* Undoes whatever has been done; what is not ours any more is left alone. */
static void dismantle(struct uds_listener *l)
{
	const struct uds_self *s = l->self;
	struct stat st;

	/* While the socket is open its inode cannot become anybody else's. */
	if (l->ino != 0 && do_lstat(s, l->names.path, &st) == 0 && st.st_dev == l->dev &&
	    st.st_ino == l->ino)
		(void)do_unlink(s, l->names.path);
	if (l->litter)
		(void)do_unlink(s, l->names.fresh);
	if (l->fd >= 0)
		close(l->fd);
	if (l->lock_fd >= 0)
		unlock_name(l);
	s->h->free(s->h->ctx, l);
}

static void VIA_CALL uds_listener_close(via_listener *base)
{
	dismantle(listener_of(base));
}

static const via_listener_ops uds_listener_ops = {
	.struct_size = sizeof(via_listener_ops),
	.listener_size = sizeof(struct uds_listener),
	.accept = uds_accept,
	.arm = uds_listener_arm,
	.address = uds_address,
	.close = uds_listener_close,
};

via_rc VIA_CALL uds_listen(void *self, const via_address *a, via_listener **out)
{
	struct uds_self *s = self;
	struct uds_config cfg = s->defaults;
	struct uds_listener *l;
	via_rc rc = uds_config_read(s, a->config, &cfg);

	if (rc != VIA_OK)
		return rc;
	l = s->h->alloc(s->h->ctx, sizeof *l, _Alignof(struct uds_listener));
	if (l == NULL)
		return s->h->fail(s->h->ctx, VIA_NOMEM, 0, "listener");
	l->base.ops = &uds_listener_ops;
	l->self = s;
	l->fd = l->lock_fd = -1;
	rc = uds_names_make(s, a, &l->names);
	if (rc == VIA_OK)
		rc = lock_name(l);
	if (rc == VIA_OK)
		rc = sweep(l);
	if (rc == VIA_OK)
		rc = open_fresh(l, &cfg);
	if (rc == VIA_OK)
		rc = publish(l);
	if (rc != VIA_OK) {
		dismantle(l);
		return rc;
	}
	*out = &l->base;
	return VIA_OK;
}
