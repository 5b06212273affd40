/* transports/ring/ring_map.c - the memory of a session: layout, creation, checks, mapping.
 *
 * Threads: none. Syscalls: memfd_create, getrlimit, ftruncate, fallocate, fcntl, fstat, mmap, munmap,
 * close. Peer: may hand over any descriptor with any content; everything is compared with what the
 * agreed sizes ask for, and the seal keeps the file from shrinking under the mapping. Wire layout:
 * docs/wire.md section 20.
 */
#include "ring.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#if !defined(MFD_NOEXEC_SEAL)
#define MFD_NOEXEC_SEAL 0x0008U
#endif

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

/* -- layout ------------------------------------------------------------------------------------ */

/* Two of the longest record and a line that stays free, so that one can be written while the one before
 * is read. */
static uint64_t capacity_for(uint32_t page, uint32_t max_record)
{
	uint64_t n = 2 * ring_stride(max_record) + RING_LINE;

	if (n < RING_MIN_CAPACITY)
		n = RING_MIN_CAPACITY;
	return (n + page - 1) / page * page;
}

via_rc ring_layout(const struct ring_self *s, uint32_t max_request, uint32_t max_response,
		   struct ring_header *out)
{
	struct ring_header h = {.magic = RING_MAGIC,
				.version = RING_VERSION,
				.header_len = RING_HEADER_LEN,
				.page_size = s->page,
				.max_request = max_request,
				.max_response = max_response};

	h.request_offset = s->page;
	h.request_capacity = capacity_for(s->page, max_request);
	h.response_offset = h.request_offset + h.request_capacity;
	h.response_capacity = capacity_for(s->page, max_response);
	h.total_size = h.response_offset + h.response_capacity;
	if (h.total_size > RING_MAX_TOTAL)
		return ring_fail(s, VIA_TOOBIG, 0,
				 "records of %u and %u bytes take %" PRIu64
				 " bytes of shared memory, expected at most %u",
				 max_request, max_response, h.total_size, RING_MAX_TOTAL);
	*out = h;
	return VIA_OK;
}

static via_rc differs(const struct ring_self *s, const char *field, uint64_t expected,
		      uint64_t found)
{
	return ring_fail(s, VIA_PROTO, 0, "ring header, %s: expected %" PRIu64 ", found %" PRIu64,
			 field, expected, found);
}

static via_rc check_header(const struct ring_self *s, const struct ring_header *want,
			   const struct ring_page *page)
{
	struct ring_header h;

	memcpy(&h, &page->header, sizeof h); /* the peer may still write there */
#define CHECK(field) \
	if (h.field != want->field) \
	return differs(s, #field, want->field, h.field)
	CHECK(magic);
	CHECK(version);
	CHECK(header_len);
	CHECK(page_size);
	CHECK(total_size);
	CHECK(max_request);
	CHECK(max_response);
	CHECK(request_offset);
	CHECK(request_capacity);
	CHECK(response_offset);
	CHECK(response_capacity);
#undef CHECK
	return VIA_OK;
}

/* -- mapping ----------------------------------------------------------------------------------- */

/* The addresses are taken in one piece first, then filled: page, request twice, response twice. */
static via_rc map_all(const struct ring_self *s, const struct ring_header *h, int fd,
		      struct ring_map *out)
{
	const uint64_t len[] = {h->page_size, h->request_capacity, h->request_capacity,
				h->response_capacity, h->response_capacity};
	const uint64_t from[] = {0, h->request_offset, h->request_offset, h->response_offset,
				 h->response_offset};
	uint64_t span = h->page_size + 2 * (h->request_capacity + h->response_capacity);
	uint8_t *base, *at;
	int err = ring_deny(s, "mmap");
	uint32_t i;

	base = err != 0 ? MAP_FAILED
			: mmap(NULL, (size_t)span, PROT_NONE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (base == MAP_FAILED) {
		err = err != 0 ? err : errno;
		return ring_fail(s, ring_rc_of(err), err,
				 "mmap: no addresses for %" PRIu64 " bytes", span);
	}
	for (at = base, i = 0; i < sizeof len / sizeof len[0]; at += len[i], i++) {
		err = ring_deny(s, "mmap");
		if (err == 0 && mmap(at, (size_t)len[i], PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_FIXED, fd, (off_t)from[i]) == MAP_FAILED)
			err = errno;
		if (err != 0) {
			munmap(base, (size_t)span);
			return ring_fail(s, ring_rc_of(err), err,
					 "mmap: %" PRIu64 " bytes of shared memory", len[i]);
		}
	}
	*out = (struct ring_map){.page = (struct ring_page *)(void *)base, .span = span};
	out->data[RING_REQUEST] = base + h->page_size;
	out->data[RING_RESPONSE] = out->data[RING_REQUEST] + 2 * h->request_capacity;
	out->capacity[RING_REQUEST] = h->request_capacity;
	out->capacity[RING_RESPONSE] = h->response_capacity;
	return VIA_OK;
}

void ring_unmap(const struct ring_map *m)
{
	munmap(m->page, (size_t)m->span);
}

/* -- server ------------------------------------------------------------------------------------ */

/* Beyond the limit ftruncate() would send SIGXFSZ, which ends the process. */
static via_rc check_file_limit(const struct ring_self *s, uint64_t size)
{
	struct rlimit r;
	int err = ring_deny(s, "getrlimit");

	if (err == 0 && getrlimit(RLIMIT_FSIZE, &r) != 0)
		err = errno;
	if (err != 0)
		return ring_fail(s, ring_rc_of(err), err, "getrlimit RLIMIT_FSIZE");
	if (r.rlim_cur != RLIM_INFINITY && r.rlim_cur < size)
		return ring_fail(s, VIA_LIMIT, 0,
				 "limit of file sizes (RLIMIT_FSIZE): expected at least %" PRIu64
				 " bytes, found %" PRIu64,
				 size, (uint64_t)r.rlim_cur);
	return VIA_OK;
}

int ring_create_file(const struct ring_self *s, int *fd)
{
	const unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	int err = ring_deny(s, "memfd_create");

	if (err != 0)
		return err;
	*fd = memfd_create("viaduct-ring", flags | MFD_NOEXEC_SEAL);
	if (*fd < 0 && errno == EINVAL) /* before Linux 6.3 */
		*fd = memfd_create("viaduct-ring", flags);
	return *fd < 0 ? errno : 0;
}

/* Pages come with their first use. Only where the kernel counts every page (strict overcommit) could it refuse
 * one then, which is a SIGBUS: there all of it is allocated here and now. */
static via_rc fill_file(const struct ring_self *s, int fd, uint64_t size)
{
	const char *call = "ftruncate";
	int err = ring_deny(s, call);

	if (err == 0 && ftruncate(fd, (off_t)size) != 0)
		err = errno;
	if (err == 0 && s->is_strict) {
		call = "fallocate";
		err = ring_deny(s, call);
	}
	if (err == 0 && s->is_strict) {
		while (fallocate(fd, 0, 0, (off_t)size) != 0 && (err = errno) == EINTR)
			err = 0;
	}
	if (err == 0) {
		call = "fcntl F_ADD_SEALS";
		err = ring_deny(s, "fcntl");
	}
	if (err == 0 && fcntl(fd, F_ADD_SEALS, SEALS) != 0)
		err = errno;
	if (err == 0)
		return VIA_OK;
	return ring_fail(s, ring_rc_of(err), err, "%s: %" PRIu64 " bytes of shared memory", call,
			 size);
}

via_rc ring_make(const struct ring_self *s, const struct ring_header *h, int *fd,
		 struct ring_map *out)
{
	via_rc rc = check_file_limit(s, h->total_size);
	int file = -1;
	int err;

	if (rc != VIA_OK)
		return rc;
	err = ring_create_file(s, &file);
	if (err != 0)
		return ring_fail(s, ring_rc_of(err), err, "memfd_create");
	rc = fill_file(s, file, h->total_size);
	if (rc == VIA_OK)
		rc = map_all(s, h, file, out);
	if (rc != VIA_OK) {
		close(file);
		return rc;
	}
	memcpy(&out->page->header, h, sizeof *h);
	*fd = file;
	return VIA_OK;
}

/* -- client ------------------------------------------------------------------------------------ */

static via_rc check_file(const struct ring_self *s, int fd, uint64_t size)
{
	struct stat st;
	int err = ring_deny(s, "fcntl");
	int seals = err != 0 ? -1 : fcntl(fd, F_GET_SEALS);

	if (seals < 0) {
		err = err != 0 ? err : errno;
		return ring_fail(s, err == EINVAL ? VIA_PROTO : ring_rc_of(err), err,
				 "the peer's handle: expected a sealed memfd, found something that "
				 "has no seals");
	}
	if ((seals & F_SEAL_SHRINK) == 0)
		return ring_fail(s, VIA_PROTO, 0,
				 "seals of the peer's memory: expected 0x%x, found 0x%x",
				 (unsigned)F_SEAL_SHRINK, (unsigned)seals);
	err = ring_deny(s, "fstat");
	if (err == 0 && fstat(fd, &st) != 0)
		err = errno;
	if (err != 0)
		return ring_fail(s, ring_rc_of(err), err, "fstat of the peer's memory");
	if ((uint64_t)st.st_size != size)
		return ring_fail(s, VIA_PROTO, 0,
				 "size of the peer's memory: expected %" PRIu64 ", found %" PRIu64,
				 size, (uint64_t)st.st_size);
	return VIA_OK;
}

via_rc ring_open(const struct ring_self *s, const struct ring_header *h, int fd,
		 struct ring_map *out)
{
	struct ring_map m;
	via_rc rc = check_file(s, fd, h->total_size);

	if (rc == VIA_OK)
		rc = map_all(s, h, fd, &m);
	if (rc != VIA_OK)
		return rc;
	rc = check_header(s, h, m.page);
	if (rc != VIA_OK) {
		ring_unmap(&m);
		return rc;
	}
	*out = m;
	return VIA_OK;
}
