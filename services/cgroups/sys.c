/* services/cgroups/sys.c - the few system calls of this module, and what their errors mean.
 *
 * Directories are read with getdents64 itself: opendir() would take memory that is not the host's.
 *
 * Threads: any. Syscalls: openat, read, getdents64, close.
 */
#include "cgroups.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SENTENCE 256
#define INTERRUPTIONS 16 /* signals during one call before it counts as failed */

/* 0, or -error if the call is to be treated as having failed. */
static int denied(const struct cgroups_self *s, const char *call)
{
	int32_t error = s->gate == NULL ? 0 : s->gate->deny(s->gate->arg, call);

	return error > 0 ? -error : error;
}

int cgroups_openat(const struct cgroups_self *s, int dir, const char *path, int flags)
{
	int rc = -EINTR, i;

	for (i = 0; i < INTERRUPTIONS && rc == -EINTR; i++) {
		rc = denied(s, "openat");
		if (rc != 0)
			continue;
		rc = openat(dir, path, flags | O_CLOEXEC | O_NOCTTY);
		if (rc < 0)
			rc = -errno;
	}
	return rc;
}

int64_t cgroups_read(const struct cgroups_self *s, int fd, void *buf, uint64_t cap)
{
	int64_t rc = -EINTR;
	int i;

	for (i = 0; i < INTERRUPTIONS && rc == -EINTR; i++) {
		rc = denied(s, "read");
		if (rc != 0)
			continue;
		rc = read(fd, buf, (size_t)cap);
		if (rc < 0)
			rc = -errno;
	}
	return rc;
}

int64_t cgroups_getdents(const struct cgroups_self *s, int fd, void *buf, uint64_t cap)
{
	int64_t rc = -EINTR;
	int i;

	for (i = 0; i < INTERRUPTIONS && rc == -EINTR; i++) {
		rc = denied(s, "getdents64");
		if (rc != 0)
			continue;
		rc = syscall(SYS_getdents64, fd, buf, (size_t)cap);
		if (rc < 0)
			rc = -errno;
	}
	return rc;
}

void cgroups_close(int fd)
{
	if (fd >= 0)
		close(fd);
}

via_rc cgroups_fail(const struct cgroups_self *s, int64_t error, const char *verb, const char *path)
{
	char text[SENTENCE];
	via_rc rc;

	snprintf(text, sizeof text, "cannot %s %s", verb, path);
	switch (error) {
	case ENOMEM:
		rc = VIA_NOMEM;
		break;
	case EMFILE:
	case ENFILE:
		rc = VIA_LIMIT;
		break;
	case EACCES:
	case EPERM:
		rc = VIA_PERM;
		break;
	case ENOENT:
		rc = VIA_NOTFOUND;
		break;
	default:
		rc = VIA_IO;
		break;
	}
	return s->h->fail(s->h->ctx, rc, error, text);
}

int cgroups_is_about_file(int64_t error)
{
	switch (error) {
	case ENOENT: /* removed */
	case ENODEV: /* removed while open */
	case ESTALE:
	case ENOTDIR:
	case EISDIR:
	case ELOOP: /* a symbolic link: not followed */
	case EACCES:
	case EPERM:
	case EOPNOTSUPP: /* cgroup.procs of a threaded cgroup */
	case EINVAL:
	case ENXIO:
	case EAGAIN:
	case ENAMETOOLONG:
		return 1;
	default:
		return 0;
	}
}

/* struct linux_dirent64, which no header of libc declares: inode, offset, length, type, name. */
enum { ENTRY_LENGTH = 16, ENTRY_TYPE = 18, ENTRY_NAME = 19 };

int cgroups_entry_next(const void *buf, uint64_t len, uint64_t *at, struct cgroups_entry *out)
{
	while (len - *at > ENTRY_NAME) {
		const uint8_t *p = (const uint8_t *)buf + *at;
		const char *name = (const char *)p + ENTRY_NAME;
		uint16_t size;
		size_t name_len;

		memcpy(&size, p + ENTRY_LENGTH, sizeof size);
		if (size <= ENTRY_NAME || size > len - *at)
			return 0;
		*at += size;
		name_len = strnlen(name, (size_t)size - ENTRY_NAME);
		if (name_len == 0 || name_len >= (size_t)size - ENTRY_NAME ||
		    name_len >= CGROUPS_COMPONENT_CAP || memchr(name, '/', name_len) != NULL)
			continue;
		if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
			continue;
		out->name = name;
		out->len = (uint32_t)name_len;
		out->may_be_dir = p[ENTRY_TYPE] == DT_DIR || p[ENTRY_TYPE] == DT_UNKNOWN;
		return 1;
	}
	return 0;
}
