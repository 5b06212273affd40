/* core/os/posix/image.c - mapping a private copy of a shared object.
 *
 * The copy is a sealed memory file. The loader knows an object by the string it was opened with
 * before it looks at the file, and /proc/self/fd/N is such a string: N stays open for as long as
 * the copy is mapped, so that no later copy can get the same one and, with it, the old code.
 *
 * Where memory files are missing or may not be executed, or /proc is not there, the copy is a file
 * in a private directory, unlinked as soon as it is mapped.
 *
 * The direct mode maps the file itself and is at the mercy of whoever changes it; a debugger finds
 * its source. A second mapping of the same path while the first is there gives the first. */
#include "posix.h"
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define LABEL_MAX 200

struct os_image {
	const core_env *e;
	char *path; /* of the original, for messages */
	uint64_t size;
	int fd;        /* of the copy, or of the original in direct mode */
	int in_memory; /* name[] is /proc/self/fd/N, N being fd */
	int on_disk;   /* name[] is a file of ours in a directory of its own */
	void *handle;
	char name[POSIX_PATH_MAX]; /* what dlopen() gets */
};

/* -- copying -------------------------------------------------------------------------------------
 */

static via_rc write_all(const core_env *e, int fd, const unsigned char *p, size_t len,
			const char *path)
{
	ssize_t n;

	while (len > 0) {
		n = posix_may(e, "write") ? write(fd, p, len) : -1;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return core_fail_os(posix_rc(errno), errno, "%s: writing its private copy",
					    path);
		p += n;
		len -= (size_t)n;
	}
	return VIA_OK;
}

/* Writing beyond the limit would raise SIGXFSZ, which ends the process. */
static via_rc check_file_limit(const core_env *e, uint64_t size, const char *path)
{
	struct rlimit r;

	if (!posix_may(e, "getrlimit") || getrlimit(RLIMIT_FSIZE, &r) != 0)
		return core_fail_os(posix_rc(errno), errno, "%s: limit of file sizes", path);
	if (r.rlim_cur != RLIM_INFINITY && r.rlim_cur < size)
		return core_fail(VIA_LIMIT,
				 "%s: limit of file sizes (RLIMIT_FSIZE): expected at least %llu "
				 "bytes for its private copy, found %llu",
				 path, (unsigned long long)size, (unsigned long long)r.rlim_cur);
	return VIA_OK;
}

static via_rc copy(const core_env *e, const os_file *f, int to, uint64_t size, const char *path)
{
	unsigned char buf[16384];
	uint64_t at, len;
	struct stat st;
	via_rc rc = check_file_limit(e, size, path);

	if (rc != VIA_OK)
		return rc;
	for (at = 0; at < size; at += len) {
		len = size - at < sizeof buf ? size - at : sizeof buf;
		rc = posix_read_at(e, f->fd, at, buf, len);
		if (rc == VIA_OK)
			rc = write_all(e, to, buf, (size_t)len, path);
		if (rc != VIA_OK)
			return rc;
	}
	if (!posix_may(e, "fstat") || fstat(f->fd, &st) != 0)
		return core_fail_os(VIA_IO, errno, "%s: looking at the file", path);
	if ((uint64_t)st.st_size != size)
		return core_fail(
			VIA_IO,
			"%s: now has %lld bytes, expected the %llu it had when it was opened", path,
			(long long)st.st_size, (unsigned long long)size);
	return VIA_OK;
}

/* The loader will be allowed to map fd as code. Not known, thus true, of an empty one. */
static int may_execute(const core_env *e, int fd, uint64_t size)
{
	void *p;

	if (!posix_may(e, "mmap"))
		return 0;
	p = mmap(NULL, 1, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		return size == 0;
	(void)munmap(p, 1);
	return 1;
}

/* File name made of a label: what a path or a terminal might trip over becomes '_'. */
static void safe_label(const char *label, char out[LABEL_MAX])
{
	size_t i;

	for (i = 0; i + 1 < LABEL_MAX && label[i] != '\0'; i++)
		out[i] = (label[i] > ' ' && label[i] < 127 && label[i] != '/') ? label[i] : '_';
	out[i] = '\0';
}

/* -- a memory file -------------------------------------------------------------------------------
 */

#if defined(OS_LINUX)
#if !defined(MFD_EXEC)
#define MFD_EXEC 0x0010u
#endif

/* The descriptor; -1 with errno. Kernels before 6.3 do not know MFD_EXEC, later ones may ask for
 * it. */
static int memory_file(const core_env *e, const char *label)
{
	const unsigned int flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	char name[LABEL_MAX + 16], safe[LABEL_MAX];
	int fd;

	safe_label(label, safe);
	(void)snprintf(name, sizeof name, "viaduct-%s", safe);
	fd = posix_may(e, "memfd_create") ? memfd_create(name, flags | MFD_EXEC) : -1;
	if (fd < 0 && errno == EINVAL)
		fd = posix_may(e, "memfd_create") ? memfd_create(name, flags) : -1;
	return fd;
}

/* The name under which dlopen() finds fd again, or 0 when there is no usable /proc. */
static int proc_name(int fd, char *name, size_t cap)
{
	struct stat a, b;

	(void)snprintf(name, cap, "/proc/self/fd/%d", fd);
	return stat(name, &a) == 0 && fstat(fd, &b) == 0 && a.st_dev == b.st_dev &&
	       a.st_ino == b.st_ino;
}

/* VIA_NOTSUP: try a file instead. */
static via_rc copy_to_memory(struct os_image *i, const os_file *f, const char *label)
{
	via_rc rc;
	int fd;

	fd = memory_file(i->e, label);
	if (fd < 0 && (errno == ENOSYS || errno == EPERM || errno == EACCES || errno == EINVAL))
		return VIA_NOTSUP;
	if (fd < 0)
		return core_fail_os(posix_rc(errno), errno, "%s: creating its private copy",
				    i->path);
	if (!proc_name(fd, i->name, sizeof i->name)) {
		rc = VIA_NOTSUP;
		goto err_close;
	}
	rc = copy(i->e, f, fd, i->size, i->path);
	if (rc != VIA_OK)
		goto err_close;
	if (!posix_may(i->e, "fcntl") ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) != 0) {
		rc = core_fail_os(VIA_IO, errno, "%s: sealing its private copy", i->path);
		goto err_close;
	}
	if (!may_execute(i->e, fd, i->size)) {
		rc = VIA_NOTSUP;
		goto err_close;
	}
	i->fd = fd;
	i->in_memory = 1;
	return VIA_OK;

err_close:
	close(fd);
	return rc;
}
#else
static via_rc copy_to_memory(struct os_image *i, const os_file *f, const char *label)
{
	(void)i;
	(void)f;
	(void)label;
	return VIA_NOTSUP;
}
#endif

/* -- a file in a private directory ---------------------------------------------------------------
 */

static void remove_copy(struct os_image *i)
{
	char *slash;

	if (!i->on_disk)
		return;
	i->on_disk = 0;
	(void)unlink(i->name);
	slash = strrchr(i->name, '/');
	*slash = '\0';
	(void)rmdir(i->name);
	*slash = '/';
}

/* Makes <parent>/viaduct-XXXXXX/<label>.so and opens it for writing; -1 with errno. */
static int disk_file(struct os_image *i, const char *parent, const char *label)
{
	char safe[LABEL_MAX];
	size_t len;
	int fd, err;

	safe_label(label, safe);
	len = (size_t)snprintf(i->name, sizeof i->name, "%s/viaduct-XXXXXX", parent);
	if (len + 1 + LABEL_MAX + sizeof OS_MODULE_SUFFIX > sizeof i->name) {
		errno = ENAMETOOLONG;
		return -1;
	}
	if (!posix_may(i->e, "mkdtemp") || mkdtemp(i->name) == NULL)
		return -1;
	(void)snprintf(i->name + len, sizeof i->name - len, "/%s%s", safe, OS_MODULE_SUFFIX);
	i->on_disk = 1;
	fd = posix_may(i->e, "open") ? open(i->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0500)
				     : -1;
	if (fd < 0) {
		err = errno;
		remove_copy(i);
		errno = err;
	}
	return fd;
}

static via_rc copy_below(struct os_image *i, const os_file *f, const char *parent,
			 const char *label)
{
	via_rc rc;
	int fd;

	fd = disk_file(i, parent, label);
	if (fd < 0)
		return core_fail_os(posix_rc(errno), errno, "%s: creating its private copy in %s",
				    i->path, parent);
	rc = copy(i->e, f, fd, i->size, i->path);
	close(fd);
	if (rc != VIA_OK)
		goto err_remove;
	fd = posix_may(i->e, "open") ? open(i->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC) : -1;
	if (fd < 0) {
		rc = core_fail_os(posix_rc(errno), errno, "%s: opening its private copy in %s",
				  i->path, parent);
		goto err_remove;
	}
	if (!may_execute(i->e, fd, i->size)) {
		rc = core_fail_os(VIA_PERM, errno, "%s: mapping its private copy in %s", i->path,
				  parent);
		goto err_close;
	}
	i->fd = fd;
	return VIA_OK;

err_close:
	close(fd);
err_remove:
	remove_copy(i);
	return rc;
}

static via_rc copy_to_disk(struct os_image *i, const os_file *f, const char *label)
{
	const char *user = os_is_privileged() ? NULL : getenv("XDG_RUNTIME_DIR");
	const char *parents[] = {user, "/run", "/tmp"};
	via_rc rc = VIA_IO;
	size_t k;

	for (k = 0; k < sizeof parents / sizeof parents[0]; k++) {
		if (parents[k] == NULL || parents[k][0] != '/')
			continue;
		rc = copy_below(i, f, parents[k], label);
		if (rc == VIA_OK)
			return VIA_OK;
	}
	return rc;
}

/* -- the contract --------------------------------------------------------------------------------
 */

/* The path must still name the open file: it is the path that gets mapped. */
static via_rc take_direct(struct os_image *i, const os_file *f)
{
	os_file_id now;
	via_rc rc;

	if (strlen(i->path) >= sizeof i->name)
		return core_fail(VIA_TOOBIG, "path of %zu bytes, expected less than %zu",
				 strlen(i->path), sizeof i->name);
	(void)snprintf(i->name, sizeof i->name, "%s", i->path);
	rc = os_path_id(i->path, &now);
	if (rc != VIA_OK)
		return rc;
	if (now.device != f->id.device || now.inode != f->id.inode)
		return core_fail(VIA_IO, "%s: inode %llu was put in its place, expected inode %llu",
				 i->path, (unsigned long long)now.inode,
				 (unsigned long long)f->id.inode);
	i->fd = posix_may(i->e, "fcntl") ? fcntl(f->fd, F_DUPFD_CLOEXEC, 0) : -1;
	if (i->fd < 0)
		return core_fail_os(posix_rc(errno), errno, "%s: duplicating its descriptor",
				    i->path);
	return VIA_OK;
}

via_rc os_image_open(const core_env *e, os_file *f, const char *path, const char *label, int direct,
		     os_image **out)
{
	struct os_image *i;
	via_rc rc;

	if (f->id.size > OS_IMAGE_MAX)
		return core_fail(VIA_TOOBIG, "%s: %llu bytes, expected at most %llu", path,
				 (unsigned long long)f->id.size, (unsigned long long)OS_IMAGE_MAX);
	i = env_alloc(e, sizeof *i);
	if (i == NULL)
		return core_nomem("module image");
	memset(i, 0, sizeof *i);
	i->e = e;
	i->size = f->id.size;
	i->path = env_strdup(e, path);
	if (i->path == NULL) {
		rc = core_nomem("module image");
		goto err_free;
	}
	if (direct) {
		rc = take_direct(i, f);
	} else {
		rc = copy_to_memory(i, f, label);
		if (rc == VIA_NOTSUP)
			rc = copy_to_disk(i, f, label);
	}
	if (rc != VIA_OK)
		goto err_path;
	*out = i;
	return VIA_OK;

err_path:
	env_free(e, i->path);
err_free:
	env_free(e, i);
	return rc;
}

via_rc os_image_read(os_image *i, uint64_t offset, void *buf, uint64_t len)
{
	return posix_read_at(i->e, i->fd, offset, buf, len);
}

uint64_t os_image_size(const os_image *i)
{
	return i->size;
}

via_rc os_image_map(os_image *i)
{
	const char *text;
	size_t len = strlen(i->name);

	if (i->handle != NULL)
		return VIA_OK;
	if (!posix_may(i->e, "dlopen"))
		return core_fail_os(VIA_EABI, errno, "%s: mapping it", i->path);
	i->handle = dlopen(i->name, RTLD_NOW | RTLD_LOCAL);
	if (i->handle == NULL) {
		text = dlerror();
		if (text != NULL && strncmp(text, i->name, len) == 0 &&
		    strncmp(text + len, ": ", 2) == 0)
			text += len + 2; /* the copy's name says nothing to anybody */
		return core_fail(VIA_EABI, "%s: %s", i->path,
				 text == NULL ? "the loader gave no reason" : text);
	}
	remove_copy(i);
	return VIA_OK;
}

void *os_image_symbol(os_image *i, const char *name)
{
	return i->handle == NULL ? NULL : dlsym(i->handle, name);
}

/* True when the loader kept the object although it was closed: it asked for that, or another holds
 * it. */
static int still_mapped(const struct os_image *i)
{
	void *h = dlopen(i->name, RTLD_LAZY | RTLD_NOLOAD);

	if (h == NULL)
		return 0;
	(void)dlclose(h);
	return 1;
}

void os_image_close(os_image *i, int keep_mapped)
{
	int mapped = i != NULL && i->handle != NULL;

	if (i == NULL)
		return;
	if (mapped && !keep_mapped) {
		(void)dlclose(i->handle);
		mapped = still_mapped(i);
	}
	remove_copy(i);
	if (!mapped || !i->in_memory) /* else the number belongs to the image, see the top */
		close(i->fd);
	env_free(i->e, i->path);
	env_free(i->e, i);
}
