/* core/os/posix/files.c - reading files and directories. */
#include "posix.h"
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int os_path_is_absolute(const char *path)
{
	return path[0] == '/';
}

int os_name_compare(const char *a, const char *b)
{
	return strcmp(a, b);
}

const char *posix_kind(unsigned int mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return "a regular file";
	case S_IFDIR:
		return "a directory";
	case S_IFLNK:
		return "a symbolic link";
	case S_IFSOCK:
		return "a socket";
	case S_IFIFO:
		return "a named pipe";
	case S_IFCHR:
	case S_IFBLK:
		return "a device";
	default:
		return "something unknown";
	}
}

/* -- directories ---------------------------------------------------------------------------------
 */

static via_rc list_entries(const core_env *e, DIR *d, const char *dir,
			   via_rc (*fn)(void *arg, const char *name), void *arg)
{
	struct dirent *entry;
	via_rc rc = VIA_OK;

	while (rc == VIA_OK) {
		errno = 0;
		entry = posix_may(e, "readdir") ? readdir(d) : NULL;
		if (entry == NULL)
			return errno == 0 ? VIA_OK
					  : core_fail_os(VIA_IO, errno, "%s: reading the directory",
							 dir);
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			rc = fn(arg, entry->d_name);
	}
	return rc;
}

via_rc os_dir_list(const core_env *e, const char *dir, via_rc (*fn)(void *arg, const char *name),
		   void *arg)
{
	via_rc rc;
	DIR *d;
	int fd;

	fd = posix_may(e, "open") ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	if (fd < 0)
		return core_fail_os(posix_rc(errno), errno, "%s: opening the directory", dir);
	d = posix_may(e, "fdopendir") ? fdopendir(fd) : NULL;
	if (d == NULL) {
		rc = core_fail_os(posix_rc(errno), errno, "%s: opening the directory", dir);
		close(fd);
		return rc;
	}
	rc = list_entries(e, d, dir, fn, arg);
	closedir(d);
	return rc;
}

/* -- files ---------------------------------------------------------------------------------------
 */

static void identify(const struct stat *st, os_file_id *out)
{
#if defined(__APPLE__)
	const struct timespec mtime = st->st_mtimespec;
#else
	const struct timespec mtime = st->st_mtim;
#endif
	out->device = (uint64_t)st->st_dev;
	out->inode = (uint64_t)st->st_ino;
	out->size = (uint64_t)st->st_size;
	out->mtime_ns = (uint64_t)mtime.tv_sec * POSIX_NS_PER_S + (uint64_t)mtime.tv_nsec;
}

/* open() does not say in plain words that it met a link or a socket. */
static via_rc open_refused(const char *path, int err)
{
	struct stat st;

	if ((err == ELOOP || err == ENXIO || err == EOPNOTSUPP || err == EMLINK) &&
	    lstat(path, &st) == 0 && !S_ISREG(st.st_mode))
		return core_fail(VIA_INVAL, "%s is %s, expected a regular file", path,
				 posix_kind(st.st_mode));
	return core_fail_os(posix_rc(err), err, "%s: opening the file", path);
}

via_rc os_file_open(const core_env *e, const char *path, os_file **out)
{
	struct os_file *f;
	struct stat st;
	via_rc rc;

	if (!os_path_is_absolute(path))
		return core_fail(VIA_INVAL, "%s: a relative path, expected an absolute one", path);
	f = env_alloc(e, sizeof *f);
	if (f == NULL)
		return core_nomem("file");
	f->e = e;
	f->fd = posix_may(e, "open")
			? open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
			: -1;
	if (f->fd < 0) {
		rc = open_refused(path, errno);
		goto err_free;
	}
	if (!posix_may(e, "fstat") || fstat(f->fd, &st) != 0) {
		rc = core_fail_os(VIA_IO, errno, "%s: looking at the file", path);
		goto err_close;
	}
	if (!S_ISREG(st.st_mode)) {
		rc = core_fail(VIA_INVAL, "%s is %s, expected a regular file", path,
			       posix_kind(st.st_mode));
		goto err_close;
	}
	identify(&st, &f->id);
	*out = f;
	return VIA_OK;

err_close:
	close(f->fd);
err_free:
	env_free(e, f);
	return rc;
}

void os_file_close(os_file *f)
{
	if (f == NULL)
		return;
	close(f->fd);
	env_free(f->e, f);
}

void os_file_identity(const os_file *f, os_file_id *out)
{
	*out = f->id;
}

via_rc posix_read_at(const core_env *e, int fd, uint64_t offset, void *buf, uint64_t len)
{
	const uint64_t end = offset + len;
	unsigned char *p = buf;
	ssize_t n;

	if (end < offset || end > INT64_MAX)
		return core_fail(VIA_PROTO, "%llu bytes at %llu lie beyond the end of any file",
				 (unsigned long long)len, (unsigned long long)offset);
	while (offset < end) {
		n = posix_may(e, "pread") ? pread(fd, p, (size_t)(end - offset), (off_t)offset)
					  : -1;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return core_fail_os(VIA_IO, errno, "reading %llu bytes at %llu",
					    (unsigned long long)(end - offset),
					    (unsigned long long)offset);
		if (n == 0)
			return core_fail(VIA_PROTO,
					 "the file ends at byte %llu, expected %llu bytes",
					 (unsigned long long)offset, (unsigned long long)end);
		p += n;
		offset += (uint64_t)n;
	}
	return VIA_OK;
}

via_rc os_file_read(os_file *f, uint64_t offset, void *buf, uint64_t len)
{
	return posix_read_at(f->e, f->fd, offset, buf, len);
}

uint64_t os_file_clock(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * POSIX_NS_PER_S + (uint64_t)now.tv_nsec;
}

via_rc os_path_id(const char *path, os_file_id *out)
{
	struct stat st;

	if (stat(path, &st) != 0)
		return core_fail_os(posix_rc(errno), errno, "%s: looking at it", path);
	identify(&st, out);
	return VIA_OK;
}

void os_handle_close(via_handle *h)
{
	if (h->kind == VIA_H_FD && h->value >= 0 && h->value <= INT32_MAX)
		close((int)h->value);
	*h = (via_handle){.value = -1, .kind = VIA_H_NONE};
}
