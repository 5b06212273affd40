/* core/os/posix/trust.c - may the code in this file be run?
 *
 * The directory part of the path is made canonical once. From / on, each directory is opened below
 * the one before, following no link, and looked at through its descriptor, so that what was checked
 * is what was walked; at the end the entry must be the very file that is open. Then nobody but root
 * and this user could have put the file there or changed it.
 *
 * Access control lists need no look of their own: their widest grant shows as the group bits. */
#include "posix.h"
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#if !defined(O_PATH)
#define O_PATH O_RDONLY
#endif
#define OPEN_DIR (O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

/* A group that only this user is in: the convention of one group for each user. */
static int own_group(const struct stat *st)
{
	return st->st_uid == geteuid() && st->st_gid == (gid_t)st->st_uid &&
	       st->st_gid == getegid();
}

static via_rc check_stat(const struct stat *st, const char *path)
{
	const unsigned int mode = (unsigned int)st->st_mode & 07777u, most = mode & ~022u;

	if (st->st_uid != 0 && st->st_uid != geteuid())
		return core_fail(VIA_PERM, "%s: owned by user %lu, expected 0 or %lu", path,
				 (unsigned long)st->st_uid, (unsigned long)geteuid());
	if (S_ISDIR(st->st_mode) && (mode & S_ISVTX) != 0)
		return VIA_OK; /* others may add entries, but not touch the one that leads here */
	if ((mode & S_IWOTH) != 0)
		return core_fail(VIA_PERM,
				 "%s: mode %04o is writable by others, expected at most %04o", path,
				 mode, most);
	if ((mode & S_IWGRP) != 0 && st->st_gid != 0 && !own_group(st))
		return core_fail(VIA_PERM,
				 "%s: mode %04o is writable by group %lu, expected at most %04o",
				 path, mode, (unsigned long)st->st_gid, most);
	return VIA_OK;
}

static via_rc check_dir(const core_env *e, int fd, const char *path)
{
	struct stat st;

	if (!posix_may(e, "fstat") || fstat(fd, &st) != 0)
		return core_fail_os(VIA_IO, errno, "%s: looking at the directory", path);
	return check_stat(&st, path);
}

/* One step down. fd is closed in any case; the new descriptor, or a negative via_rc. */
static via_rc step(const core_env *e, int fd, const char *name, const char *path)
{
	int next;
	via_rc rc;

	next = posix_may(e, "openat") ? openat(fd, name, OPEN_DIR) : -1;
	if (next < 0) {
		rc = core_fail_os(posix_rc(errno), errno, "%s: opening the directory", path);
		close(fd);
		return rc;
	}
	close(fd);
	rc = check_dir(e, next, path);
	if (rc != VIA_OK) {
		close(next);
		return rc;
	}
	return next;
}

/* Walks a canonical path, checking every directory. The descriptor of the last, or a negative
 * via_rc. */
static via_rc walk(const core_env *e, char *real)
{
	char *name, *end, cut;
	via_rc rc;
	int fd;

	fd = posix_may(e, "open") ? open("/", OPEN_DIR) : -1;
	if (fd < 0)
		return core_fail_os(posix_rc(errno), errno, "/: opening the directory");
	rc = check_dir(e, fd, "/");
	if (rc != VIA_OK) {
		close(fd);
		return rc;
	}
	for (name = real + 1; *name != '\0'; name = end + (cut != '\0')) {
		end = name + strcspn(name, "/");
		cut = *end;
		*end = '\0';
		fd = step(e, fd, name, real);
		*end = cut;
		if (fd < 0)
			return fd;
	}
	return fd;
}

/* The first len bytes of path, canonical; len 0 is "/". */
static via_rc canonical(const core_env *e, const char *path, size_t len, char real[PATH_MAX])
{
	char dir[PATH_MAX];

	if (len == 0)
		len = 1;
	if (len >= sizeof dir)
		return core_fail(VIA_TOOBIG, "path of %zu bytes, expected less than %d", len,
				 PATH_MAX);
	memcpy(dir, path, len);
	dir[len] = '\0';
	if (!posix_may(e, "realpath") || realpath(dir, real) == NULL)
		return core_fail_os(posix_rc(errno), errno, "%s: finding its real path", dir);
	return VIA_OK;
}

/* The entry in the last directory is the open file, and the open file is fine. */
static via_rc check_file(const os_file *f, int dir, const char *base, const char *path)
{
	struct stat st, entry;

	if (!posix_may(f->e, "fstat") || fstat(f->fd, &st) != 0)
		return core_fail_os(VIA_IO, errno, "%s: looking at the file", path);
	if (!posix_may(f->e, "fstatat") || fstatat(dir, base, &entry, AT_SYMLINK_NOFOLLOW) != 0)
		return core_fail_os(posix_rc(errno), errno, "%s: looking at the file", path);
	if (st.st_dev != entry.st_dev || st.st_ino != entry.st_ino)
		return core_fail(
			VIA_PERM,
			"%s: inode %llu was put in its place, expected the opened file, inode %llu",
			path, (unsigned long long)entry.st_ino, (unsigned long long)st.st_ino);
	return check_stat(&st, path);
}

via_rc os_file_trusted(os_file *f, const char *path)
{
	const char *slash = strrchr(path, '/');
	char real[PATH_MAX];
	via_rc rc;
	int fd;

	if (path[0] != '/' || slash[1] == '\0' || strcmp(slash + 1, ".") == 0 ||
	    strcmp(slash + 1, "..") == 0)
		return core_fail(VIA_INVAL, "%s: expected the absolute path of a file", path);
	rc = canonical(f->e, path, (size_t)(slash - path), real);
	if (rc != VIA_OK)
		return rc;
	fd = walk(f->e, real);
	if (fd < 0)
		return fd;
	rc = check_file(f, fd, slash + 1, path);
	close(fd);
	return rc;
}
