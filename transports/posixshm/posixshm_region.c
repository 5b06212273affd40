/* transports/posixshm/posixshm_region.c - makes a region, attaches to one, lets go of it
 * (docs/wire.md section 10).
 *
 * Threads: none. Syscalls: open, fchmod, fstat, getrlimit, fallocate, mmap, pread, munmap, unlink.
 * Peer: the file may be anybody's and hold anything. Its header is read once, with pread(), and only
 * that copy is checked and used: what the peer writes into it later changes nothing here.
 *
 * What cannot be checked away: whoever may write the file can also truncate it, and touching a page
 * behind its end kills with SIGBUS. Files on tmpfs that have a name cannot be sealed against that
 * and a module must not handle signals, so a client only attaches to files that nobody but root, its
 * own user and the server it talks to can write. Among those the trust remains.
 */
#include "posixshm.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { INTERRUPTIONS = 64 }; /* signals during one call before it counts as failed */

/* -- layout ------------------------------------------------------------------------------------ */

static uint64_t align64(uint64_t n)
{
	return (n + PSHM_ALIGN - 1) & ~(uint64_t)(PSHM_ALIGN - 1);
}

/* What the offsets and capacities of the header amount to. */
struct layout {
	uint32_t request_offset, request_capacity, response_offset, response_capacity;
};

static uint64_t layout_size(const struct layout *l)
{
	uint64_t request = (uint64_t)l->request_offset + l->request_capacity;
	uint64_t response = (uint64_t)l->response_offset + l->response_capacity;

	return request > response ? request : response;
}

static void map_set(struct pshm_map *m, void *at, const struct layout *l, const struct stat *st)
{
	struct pshm_header *h = at;
	uint8_t *bytes = at;

	*m = (struct pshm_map){
		.header = h,
		.size = layout_size(l),
		.dev = st->st_dev,
		.ino = st->st_ino,
		.request = {bytes + l->request_offset, l->request_capacity, &h->req_seq,
			    &h->req_len, &h->req_signal},
		.response = {bytes + l->response_offset, l->response_capacity, &h->resp_seq,
			     &h->resp_len, &h->resp_signal},
	};
}

static via_rc map_file(const struct pshm_self *s, int fd, uint64_t size, const char *path,
		       void **out)
{
	int err = size > SIZE_MAX / 2 ? ENOMEM : pshm_deny(s, "mmap");
	void *at = MAP_FAILED;

	if (err == 0) {
		at = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		err = at == MAP_FAILED ? errno : 0;
	}
	if (err != 0)
		return pshm_fail(s, err, "mmap", path);
	*out = at;
	return VIA_OK;
}

void pshm_unmap(const struct pshm_map *m)
{
	(void)munmap(m->header, (size_t)m->size);
}

static int do_fstat(const struct pshm_self *s, int fd, struct stat *st)
{
	int err = pshm_deny(s, "fstat");

	return err != 0 ? err : fstat(fd, st) == 0 ? 0 : errno;
}

/* -- server ------------------------------------------------------------------------------------ */

static via_rc plan(const struct pshm_self *s, uint32_t max_request, uint32_t max_response,
		   struct layout *out)
{
	uint64_t request = align64(max_request);
	uint64_t response = align64(max_response);

	if (max_request == 0 || max_response == 0)
		return pshm_failf(s, VIA_INVAL, 0,
				  "region: expected records of at least 1 byte, found %" PRIu32
				  " and %" PRIu32,
				  max_request, max_response);
	if (PSHM_HEADER + request + response > UINT32_MAX)
		return pshm_failf(s, VIA_LIMIT, 0,
				  "region: records of %" PRIu32 " and %" PRIu32
				  " bytes do not fit the offsets of the header",
				  max_request, max_response);
	*out = (struct layout){PSHM_HEADER, (uint32_t)request, (uint32_t)(PSHM_HEADER + request),
			       (uint32_t)response};
	return VIA_OK;
}

/* A file that grows past this limit is answered with SIGXFSZ, not with an error. */
static via_rc check_file_limit(const struct pshm_self *s, uint64_t size, const char *path)
{
	struct rlimit r;
	int err = pshm_deny(s, "getrlimit");

	if (err == 0 && getrlimit(RLIMIT_FSIZE, &r) != 0)
		err = errno;
	if (err != 0)
		return pshm_fail(s, err, "getrlimit", "RLIMIT_FSIZE");
	if (r.rlim_cur != RLIM_INFINITY && size > r.rlim_cur)
		return pshm_failf(s, VIA_LIMIT, EFBIG,
				  "%s: %" PRIu64
				  " bytes are needed, this process may make files of %" PRIu64,
				  path, size, (uint64_t)r.rlim_cur);
	return VIA_OK;
}

/* Every page gets its storage now: a sparse file on a full file system kills its writer with SIGBUS
 * later. So there is no other way when this fails. */
static via_rc take_storage(const struct pshm_self *s, int fd, uint64_t size, const char *path)
{
	int err = EINTR;
	int i;

	for (i = 0; i < INTERRUPTIONS && err == EINTR; i++) {
		err = pshm_deny(s, "fallocate");
		if (err == 0 && fallocate(fd, 0, 0, (off_t)size) != 0)
			err = errno;
	}
	switch (err) {
	case 0:
		return VIA_OK;
	case EOPNOTSUPP:
	case ENOSYS:
		return pshm_failf(s, VIA_NOTSUP, err,
				  "%s: the file system cannot reserve storage (fallocate)", path);
	case ENOSPC:
	case EDQUOT:
		return pshm_failf(s, VIA_LIMIT, err, "%s: no room for %" PRIu64 " bytes", path,
				  size);
	default:
		return pshm_fail(s, err, "fallocate", path);
	}
}

/* Anything but 0, which would make the region look dead. The same recipe as netipc's. */
static uint32_t generation(const struct pshm_self *s)
{
	uint64_t now = s->h->now(s->h->ctx);
	uint32_t g = (uint32_t)(now / 1000000000u) ^ (uint32_t)(now % 1000000000u >> 10);

	return g == 0 ? 1 : g;
}

/* The magic last: who sees it sees the rest. The file is new, what is not written here is zero. */
static void write_header(const struct pshm_self *s, struct pshm_header *h, const struct layout *l)
{
	h->version = PSHM_VERSION;
	h->header_len = PSHM_HEADER;
	h->owner_pid = (int32_t)getpid();
	h->owner_generation = generation(s);
	h->request_offset = l->request_offset;
	h->request_capacity = l->request_capacity;
	h->response_offset = l->response_offset;
	h->response_capacity = l->response_capacity;
	atomic_store_explicit(&h->magic, PSHM_MAGIC, memory_order_release);
}

/* Makes the new, empty file at fd a region. */
static via_rc furnish(const struct pshm_self *s, int fd, const char *path, const struct layout *l,
		      const struct stat *st, struct pshm_map *out)
{
	uint64_t size = layout_size(l);
	void *at;
	via_rc rc;
	int err = pshm_deny(s, "fchmod");

	if (err == 0 && fchmod(fd, PSHM_MODE) != 0) /* the umask may have taken too much */
		err = errno;
	if (err != 0)
		return pshm_fail(s, err, "fchmod", path);
	rc = take_storage(s, fd, size, path);
	if (rc == VIA_OK)
		rc = map_file(s, fd, size, path, &at);
	if (rc != VIA_OK)
		return rc;
	map_set(out, at, l, st);
	write_header(s, out->header, l);
	return VIA_OK;
}

via_rc pshm_create(struct pshm_self *s, const char *path, uint32_t max_request,
		   uint32_t max_response, struct pshm_map *out)
{
	struct layout l = {0};
	struct stat st;
	int fd = -1;
	int err;
	via_rc rc = plan(s, max_request, max_response, &l);

	if (rc != VIA_OK)
		return rc;
	rc = check_file_limit(s, layout_size(&l), path);
	if (rc != VIA_OK)
		return rc;
	err = pshm_deny(s, "open");
	if (err == 0) {
		fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, PSHM_MODE);
		err = fd < 0 ? errno : 0;
	}
	if (err != 0)
		return pshm_fail(s, err, "open", path);
	err = do_fstat(s, fd, &st);
	if (err != 0) {
		rc = pshm_fail(s, err, "fstat", path);
		(void)unlink(path); /* made a moment ago, and nobody has a reason to replace it */
	} else {
		rc = furnish(s, fd, path, &l, &st, out);
		if (rc != VIA_OK)
			pshm_unlink(s, path, st.st_dev, st.st_ino);
	}
	close(fd);
	return rc;
}

/* -- client ------------------------------------------------------------------------------------ */

/* Why the file cannot be opened. AGAIN: that can be over in a moment. */
static via_rc not_opened(const struct pshm_self *s, int err, const char *path)
{
	switch (err) {
	case ENOENT:
		return pshm_failf(s, VIA_AGAIN, err, "%s: not there yet", path);
	case EINTR:
	case EMFILE:
	case ENFILE:
	case ENOMEM:
		return pshm_failf(s, VIA_AGAIN, err, "open %s", path);
	case ELOOP:
	case EISDIR:
	case ENXIO:
	case ENODEV:
		return pshm_failf(s, VIA_PROTO, err,
				  "%s: expected a regular file, found something else", path);
	default:
		return pshm_fail(s, err, "open", path);
	}
}

static int is_trusted_user(const via_upgrade *u, uint64_t uid)
{
	via_peer p = {.struct_size = sizeof p};

	if (uid == 0 || uid == geteuid())
		return 1;
	return u->baseline != NULL && (u->baseline->caps & VIA_CAP_PEERCRED) != 0 &&
	       u->baseline->ops->peer(u->baseline, &p) == VIA_OK && (p.valid & VIA_PEER_UID) != 0 &&
	       p.uid == uid;
}

static via_rc check_file(const struct pshm_self *s, int fd, const char *path, const via_upgrade *u,
			 struct stat *st)
{
	int err = do_fstat(s, fd, st);

	if (err != 0)
		return pshm_fail(s, err, "fstat", path);
	if (!S_ISREG(st->st_mode))
		return pshm_failf(s, VIA_PROTO, 0,
				  "%s: expected a regular file, found file type 0%o", path,
				  (unsigned)(st->st_mode & S_IFMT));
	if ((st->st_mode & 022u) != 0)
		return pshm_failf(s, VIA_PERM, 0,
				  "%s: expected a file that only its owner can write, found mode "
				  "%04o",
				  path, (unsigned)(st->st_mode & 07777u));
	if (!is_trusted_user(u, st->st_uid))
		return pshm_failf(s, VIA_PERM, 0,
				  "%s: expected a file of root, of the server's user or of user "
				  "%lu, found one of user %lu",
				  path, (unsigned long)geteuid(), (unsigned long)st->st_uid);
	if (st->st_size < (off_t)PSHM_HEADER)
		return pshm_failf(s, VIA_AGAIN, 0,
				  "%s: expected at least %u bytes, found %lld so far", path,
				  PSHM_HEADER, (long long)st->st_size);
	return VIA_OK;
}

/* One private copy of the header, and whether it is one. */
static via_rc read_header(const struct pshm_self *s, int fd, const char *path,
			  struct pshm_header *h)
{
	int err = pshm_deny(s, "pread");
	ssize_t n = -1;
	uint32_t magic;

	if (err == 0) {
		n = pread(fd, h, sizeof *h, 0);
		err = n < 0 ? errno : 0;
	}
	if (err != 0)
		return pshm_fail(s, err, "pread", path);
	if (n != (ssize_t)sizeof *h)
		return pshm_failf(s, VIA_AGAIN, 0, "%s: header cut after %zd bytes", path, n);
	magic = atomic_load_explicit(&h->magic, memory_order_relaxed);
	if (magic != PSHM_MAGIC)
		return pshm_failf(s, VIA_AGAIN, 0,
				  "%s: magic: expected 0x%08x, found 0x%08x so far", path,
				  PSHM_MAGIC, magic);
	if (h->version == 0 && h->header_len == 0) /* netipc's C server writes the magic first */
		return pshm_failf(s, VIA_AGAIN, 0, "%s: header not complete yet", path);
	if (h->version != PSHM_VERSION)
		return pshm_failf(s, VIA_PROTO, 0, "%s: version: expected %u, found %u", path,
				  PSHM_VERSION, h->version);
	if (h->header_len != PSHM_HEADER)
		return pshm_failf(s, VIA_PROTO, 0, "%s: header_len: expected %u, found %u", path,
				  PSHM_HEADER, h->header_len);
	return VIA_OK;
}

static via_rc check_layout(const struct pshm_self *s, const char *path, const struct layout *l,
			   const via_upgrade *u, uint64_t file_size)
{
	uint64_t request_end = align64((uint64_t)l->request_offset + l->request_capacity);

	if (l->request_offset < PSHM_HEADER || l->response_offset < PSHM_HEADER ||
	    l->request_capacity == 0 || l->response_capacity == 0)
		return pshm_failf(
			s, VIA_AGAIN, 0,
			"%s: areas: expected offsets from 64 and some room, found %" PRIu32
			"+%" PRIu32 " and %" PRIu32 "+%" PRIu32 " so far",
			path, l->request_offset, l->request_capacity, l->response_offset,
			l->response_capacity);
	if (((l->request_offset | l->request_capacity | l->response_offset | l->response_capacity) &
	     (PSHM_ALIGN - 1)) != 0)
		return pshm_failf(s, VIA_PROTO, 0,
				  "%s: areas: expected multiples of 64, found %" PRIu32 "+%" PRIu32
				  " and %" PRIu32 "+%" PRIu32,
				  path, l->request_offset, l->request_capacity, l->response_offset,
				  l->response_capacity);
	if (l->response_offset < request_end)
		return pshm_failf(s, VIA_PROTO, 0,
				  "%s: response_offset: expected at least %" PRIu64
				  ", the end of the request area, found %" PRIu32,
				  path, request_end, l->response_offset);
	if (file_size < layout_size(l))
		return pshm_failf(s, VIA_PROTO, 0,
				  "%s: expected %" PRIu64 " bytes for the areas declared, found "
				  "%" PRIu64,
				  path, layout_size(l), file_size);
	if (l->request_capacity < u->max_request)
		return pshm_failf(s, VIA_PROTO, 0,
				  "%s: request_capacity: expected at least the %" PRIu32
				  " bytes agreed, found %" PRIu32,
				  path, u->max_request, l->request_capacity);
	return VIA_OK;
}

static via_rc attach_open(const struct pshm_self *s, int fd, const char *path, const via_upgrade *u,
			  struct pshm_map *out)
{
	struct pshm_header h;
	struct layout l = {0};
	struct stat st;
	void *at;
	via_rc rc = check_file(s, fd, path, u, &st);

	if (rc == VIA_OK)
		rc = read_header(s, fd, path, &h);
	if (rc != VIA_OK)
		return rc;
	l = (struct layout){h.request_offset, h.request_capacity, h.response_offset,
			    h.response_capacity};
	rc = check_layout(s, path, &l, u, (uint64_t)st.st_size);
	if (rc == VIA_OK)
		rc = map_file(s, fd, layout_size(&l), path, &at);
	if (rc == VIA_OK)
		map_set(out, at, &l, &st);
	return rc;
}

via_rc pshm_attach(const struct pshm_self *s, const char *path, const via_upgrade *u,
		   struct pshm_map *out)
{
	int err = pshm_deny(s, "open");
	int fd = -1;
	via_rc rc;

	if (err == 0) { /* O_NONBLOCK: opening a device or a pipe must not wait */
		fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK);
		err = fd < 0 ? errno : 0;
	}
	if (err != 0)
		return not_opened(s, err, path);
	rc = attach_open(s, fd, path, u, out);
	close(fd);
	return rc;
}
