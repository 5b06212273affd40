/* transports/posixshm/posixshm_stale.c - names of regions, and which of those found are dead
 * (docs/wire.md section 10).
 *
 * Threads: none; the list of swept services belongs to the control lane. Syscalls: open, fstat,
 * pread, lstat, unlink, rmdir, getdents64. Peer: whoever may write the run directory; what lies at a
 * name may be anything. Nothing is followed, nothing is opened for writing.
 *
 * A region is looked at by its exact name only: the service, a dash, 16 lowercase hexadecimal
 * digits, the suffix. So the sweep of a service "a" leaves those of "a-b" alone, whatever state they
 * are in.
 */
#include "posixshm.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* -- names ------------------------------------------------------------------------------------- */

via_rc pshm_path(const struct pshm_self *s, const char *ns, const char *service, uint64_t id,
		 char *path)
{
	const char *slash;
	int n;

	if (ns == NULL || ns[0] == '\0')
		return pshm_failf(s, VIA_INVAL, 0, "run directory: expected a path, found none");
	if (service == NULL || service[0] == '\0' || strchr(service, '/') != NULL)
		return pshm_failf(
			s, VIA_INVAL, 0,
			"service name: expected at least one character and no '/', found \"%s\"",
			service == NULL ? "" : service);
	slash = ns[strlen(ns) - 1] == '/' ? "" : "/";
	n = snprintf(path, PSHM_PATH_MAX, "%s%s%s-%016" PRIx64 PSHM_SUFFIX, ns, slash, service, id);
	if (n < 0 || n >= (int)PSHM_PATH_MAX)
		return pshm_failf(s, VIA_INVAL, ENAMETOOLONG,
				  "region path: expected at most %u bytes, found %d: %.200s...",
				  PSHM_PATH_MAX - 1, n, ns);
	return VIA_OK;
}

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == NULL ? path : slash + 1;
}

/* Whether name is {service}-{16 digits}.ipcshm; prefix is "{service}-". */
static int is_region_of(const char *name, const char *prefix, size_t prefix_len)
{
	const char *digits = name + prefix_len;

	return strncmp(name, prefix, prefix_len) == 0 &&
	       strspn(digits, "0123456789abcdef") == PSHM_ID_DIGITS &&
	       strcmp(digits + PSHM_ID_DIGITS, PSHM_SUFFIX) == 0;
}

/* -- one name ---------------------------------------------------------------------------------- */

static int do_lstat(const struct pshm_self *s, const char *path, struct stat *st)
{
	int err = pshm_deny(s, "lstat");

	return err != 0 ? err : lstat(path, st) == 0 ? 0 : errno;
}

/* Removes a name that still leads to that inode: 0 or an errno. Between the two calls somebody else
 * could put another file there; nobody but a server of the same service would. */
static int remove_same(const struct pshm_self *s, const char *path, uint64_t dev, uint64_t ino)
{
	struct stat st;
	int err = do_lstat(s, path, &st);

	if (err == ENOENT)
		return 0;
	if (err != 0)
		return err;
	if (st.st_dev != dev || st.st_ino != ino)
		return ESTALE;
	err = pshm_deny(s, S_ISDIR(st.st_mode) ? "rmdir" : "unlink");
	if (err == 0 && (S_ISDIR(st.st_mode) ? rmdir(path) : unlink(path)) != 0)
		err = errno;
	return err == ENOENT ? 0 : err;
}

void pshm_unlink(struct pshm_self *s, const char *path, uint64_t dev, uint64_t ino)
{
	if (remove_same(s, path, dev, ino) !=
	    0) /* what stays is dead: the next session removes it */
		atomic_store(&s->left_behind, 1);
}

enum { UNKNOWN, JUNK, DEAD, LIVE };

static uint64_t ns_of(const struct timespec *t)
{
	return t->tv_sec < 0 ? 0 : (uint64_t)t->tv_sec * 1000000000u + (uint64_t)t->tv_nsec;
}

/* What an open file is. */
static int judge_file(const struct pshm_self *s, int fd, const char *path, const struct stat *st)
{
	struct pshm_header h;
	ssize_t n;

	if (!S_ISREG(st->st_mode))
		return JUNK;
	if (pshm_deny(s, "pread") != 0)
		return UNKNOWN;
	n = pread(fd, &h, sizeof h, 0);
	if (n < 0)
		return UNKNOWN;
	if (n < (ssize_t)sizeof h ||
	    atomic_load_explicit(&h.magic, memory_order_relaxed) != PSHM_MAGIC)
		return JUNK;
	if (h.owner_generation == 0)
		return DEAD;
	return pshm_owner_lives(s, h.owner_pid, ns_of(&st->st_mtim), last_part(path)) ? LIVE : DEAD;
}

/* What is at a path that cannot be opened: the table calls it junk, unless only the descriptors have
 * run out, or something else that has nothing to do with the file. *st is then that of the name.
 * Another user's file may be alive for all we know: it only has to go when its name is needed. */
static int judge_closed(const struct pshm_self *s, int err, const char *path, int is_needed,
			struct stat *st)
{
	switch (err) {
	case EACCES:
	case EPERM:
		if (!is_needed)
			return UNKNOWN;
		/* fall through */
	case ELOOP:
	case ENXIO:
	case ENODEV:
	case EISDIR:
		return do_lstat(s, path, st) == 0 ? JUNK : UNKNOWN;
	default:
		return UNKNOWN;
	}
}

/* Acts on a verdict; err goes into the detail. VIA_OK: the name is free. */
static via_rc act_on(const struct pshm_self *s, const char *path, int err, int verdict,
		     const struct stat *st)
{
	if (verdict == LIVE)
		return pshm_failf(s, VIA_EXISTS, 0, "%s: in use by a living process", path);
	if (verdict == UNKNOWN)
		return pshm_failf(s, VIA_EXISTS, err, "%s: taken, and cannot be examined", path);
	err = remove_same(s, path, st->st_dev, st->st_ino);
	if (err == 0)
		return VIA_OK;
	return pshm_failf(s, VIA_EXISTS, err, "%s: %s, and cannot be removed", path,
			  verdict == DEAD ? "left by a dead server" : "not a region");
}

static via_rc clear(const struct pshm_self *s, const char *path, int is_needed)
{
	int verdict = UNKNOWN;
	struct stat st;
	int err = pshm_deny(s, "open");
	int fd = -1;
	via_rc rc;

	if (err == 0) { /* O_NONBLOCK: opening a pipe must not wait */
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK);
		err = fd < 0 ? errno : 0;
	}
	if (err == ENOENT)
		return VIA_OK;
	if (err != 0) {
		verdict = judge_closed(s, err, path, is_needed, &st);
		return act_on(s, path, err, verdict, &st);
	}
	err = pshm_deny(s, "fstat");
	if (err == 0 && fstat(fd, &st) != 0)
		err = errno;
	if (err == 0)
		verdict = judge_file(s, fd, path, &st);
	/* Still open, so that its inode number cannot be given to another file meanwhile. */
	rc = act_on(s, path, err, verdict, &st);
	close(fd);
	return rc;
}

via_rc pshm_clear(const struct pshm_self *s, const char *path)
{
	return clear(s, path, 1);
}

/* -- all of a service -------------------------------------------------------------------------- */

/* struct linux_dirent64, which no header of libc declares. Read so, because opendir() would take
 * memory that is not the host's. */
enum { ENTRY_LENGTH = 16, ENTRY_NAME = 19, ENTRIES_BYTES = 8192 };

/* Looks at every entry; *path is a buffer that holds the stem. */
static void sweep_entries(const struct pshm_self *s, const char *entries, size_t len, char *path)
{
	char *name = path + (last_part(path) - path);
	size_t prefix_len = strlen(name);
	char prefix[PSHM_PATH_MAX];
	size_t at = 0;

	memcpy(prefix, name, prefix_len + 1);
	while (at + ENTRY_NAME < len) {
		const char *entry = entries + at;
		uint16_t size;

		memcpy(&size, entry + ENTRY_LENGTH, sizeof size);
		if (size <= ENTRY_NAME || size > len - at)
			break;
		at += size;
		if (!is_region_of(entry + ENTRY_NAME, prefix, prefix_len))
			continue;
		memcpy(name, entry + ENTRY_NAME, strlen(entry + ENTRY_NAME) + 1);
		(void)clear(s, path, 0); /* what stays is in use, or not ours to judge */
		name[prefix_len] = '\0';
	}
}

/* 0 or an errno. */
static int sweep_directory(const struct pshm_self *s, const char *dir, char *path)
{
	_Alignas(8) char entries[ENTRIES_BYTES];
	int err = pshm_deny(s, "open");
	int fd = -1;
	long n;

	if (err == 0) {
		fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		err = fd < 0 ? errno : 0;
	}
	if (err != 0)
		return err;
	do {
		n = 0;
		err = pshm_deny(s, "getdents64");
		if (err == 0)
			n = syscall(SYS_getdents64, fd, entries, sizeof entries);
		if (n < 0)
			err = errno;
		else
			sweep_entries(s, entries, (size_t)n, path);
	} while (n > 0);
	close(fd);
	return err;
}

/* FNV-1a, 64 bits. */
static uint64_t hash_of(const char *text)
{
	uint64_t h = 0xCBF29CE484222325u;

	for (; *text != '\0'; text++)
		h = (h ^ (uint8_t)*text) * 0x100000001B3u;
	return h;
}

static int is_swept(const struct pshm_self *s, uint64_t hash)
{
	uint32_t i;

	for (i = 0; i < s->n_swept && i < PSHM_SWEPT_MAX; i++)
		if (s->swept[i] == hash)
			return 1;
	return 0;
}

void pshm_sweep(struct pshm_self *s, const char *ns, const char *service)
{
	char path[PSHM_PATH_MAX];
	uint64_t hash;

	if (pshm_path(s, ns, service, 0, path) != VIA_OK)
		return; /* its caller has been told */
	path[strlen(path) - PSHM_ID_DIGITS - strlen(PSHM_SUFFIX)] = '\0';
	hash = hash_of(path);
	if (atomic_exchange(&s->left_behind, 0) != 0)
		s->n_swept = 0;
	if (is_swept(s, hash))
		return;
	if (sweep_directory(s, ns, path) == 0) /* else the next session tries again */
		s->swept[s->n_swept++ % PSHM_SWEPT_MAX] = hash;
}
