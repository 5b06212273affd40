/* tests/link/ring_layout.c - memory of a ring session: layout, what attach refuses, failing calls. */
#include "ring_rig.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

TestSuite(ring_layout, .timeout = 60);

enum { SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL, TOTAL = 180224 };

static via_handle handle_of(int fd)
{
	return (via_handle){.value = fd, .kind = VIA_H_FD};
}

static void only_small_pages(void)
{
	if (sysconf(_SC_PAGESIZE) != 4096)
		cr_skip_test("the figures are for pages of 4096 bytes");
}

/* The figures of docs/wire.md section 20. */
Test(ring_layout, is_as_specified)
{
	static const struct {
		size_t at, size;
		uint64_t value;
	} want[] = {{0, 4, 0x474E5256}, {4, 4, 1},      {8, 4, 128},    {12, 4, 4096},
		    {16, 8, TOTAL},     {24, 4, 1000},  {28, 4, 70000}, {32, 8, 4096},
		    {40, 8, 32768},     {48, 8, 36864}, {56, 8, 143360}};
	pair p;
	size_t i;

	only_small_pages();
	pair_open(&p, 1000, 70000);
	pair_map(&p);
	cr_assert_eq(p.shared_len, TOTAL);
	for (i = 0; i < sizeof want / sizeof want[0]; i++) {
		uint64_t found = want[i].size == 8 ? atomic_load(pair_u64(&p, want[i].at))
						   : atomic_load(pair_u32(&p, want[i].at));

		cr_expect_eq(found, want[i].value, "at %zu: %llu", want[i].at,
			     (unsigned long long)found);
	}
	for (i = 64; i < 4096; i += 8)
		cr_expect_eq(atomic_load(pair_u64(&p, i)), 0, "at %zu", i);
	cr_assert_eq(rig_put(p.a, "0123456789", 10), VIA_OK);
	cr_expect_eq(atomic_load(pair_u64(&p, AT_DATA)), 10);
	cr_expect_arr_eq(p.shared + AT_DATA + 8, "0123456789", 10);
	cr_assert_eq(rig_put(p.b, "x", 1), VIA_OK);
	cr_expect_eq(atomic_load(pair_u64(&p, 36864)), 1);
	pair_close(&p);
}

/* What the client gets can neither shrink nor grow, and does not survive exec. */
Test(ring_layout, is_sealed)
{
	pair p;

	pair_open(&p, 1000, 1000);
	cr_expect_eq(fcntl(p.fd, F_GET_SEALS) & SEALS, SEALS);
	cr_expect_neq(fcntl(p.fd, F_GETFD) & FD_CLOEXEC, 0);
	cr_expect_eq(ftruncate(p.fd, 0), -1);
	cr_expect_eq(ftruncate(p.fd, 1 << 30), -1);
	pair_close(&p);
}

static void attach_refuses(pair *p, const via_handle *h, uint32_t n, const char *a, const char *b)
{
	rig_detail_clear();
	cr_expect_eq(pair_attach(p, h, n), VIA_PROTO);
	pair_said(a);
	pair_said(b);
}

Test(ring_layout, every_field_of_the_header_is_compared)
{
	static const struct {
		size_t at;
		const char *field;
	} fields[] = {{0, "magic"},
		      {4, "version"},
		      {8, "header_len"},
		      {12, "page_size"},
		      {16, "total_size"},
		      {24, "max_request"},
		      {28, "max_response"},
		      {32, "request_offset"},
		      {40, "request_capacity"},
		      {48, "response_offset"},
		      {56, "response_capacity"}};
	via_handle h;
	char words[64];
	uint32_t before;
	pair p;
	size_t i;

	pair_begin(&p, 1000, 70000);
	cr_assert_eq(pair_provision(&p), VIA_OK);
	pair_map(&p);
	h = handle_of(p.fd);
	before = rig_mappings();
	for (i = 0; i < sizeof fields / sizeof fields[0]; i++) {
		uint32_t right = atomic_load(pair_u32(&p, fields[i].at));

		atomic_store(pair_u32(&p, fields[i].at), right + 1);
		snprintf(words, sizeof words, "expected %u, found %u", right, right + 1);
		attach_refuses(&p, &h, 1, fields[i].field, words);
		atomic_store(pair_u32(&p, fields[i].at), right);
	}
	cr_expect_eq(rig_mappings(), before);
	cr_expect_eq(pair_attach(&p, &h, 1), VIA_OK, "nothing is wrong any more");
	pair_close(&p);
}

/* Both sizes are below the least capacity, so only the header tells. */
Test(ring_layout, both_sides_must_have_agreed_on_the_same)
{
	via_handle h;
	pair p;

	pair_begin(&p, 1000, 1000);
	cr_assert_eq(pair_provision(&p), VIA_OK);
	h = handle_of(p.fd);
	p.max_request = 1001;
	attach_refuses(&p, &h, 1, "max_request", "expected 1001, found 1000");
	p.max_request = 100000;
	attach_refuses(&p, &h, 1, "size of the peer's memory", "found ");
	pair_close(&p);
}

static int make_memfd(off_t size, int seals)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	cr_assert_geq(fd, 0);
	cr_assert_eq(ftruncate(fd, size), 0);
	cr_assert_eq(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

Test(ring_layout, handles_are_looked_at)
{
	pair p;
	via_handle h[2];
	int fd[2];

	only_small_pages();
	pair_begin(&p, 1000, 70000);
	cr_assert_eq(pipe(fd), 0);
	h[0] = handle_of(fd[0]);
	h[1] = handle_of(fd[1]);
	attach_refuses(&p, h, 0, "expected 1, found 0", "handles");
	attach_refuses(&p, h, 2, "expected 1, found 2", "handles");
	attach_refuses(&p, h, 1, "expected a sealed memfd", "no seals");
	h[0].kind = VIA_H_WIN;
	attach_refuses(&p, h, 1, "expected 1, found 2", "kind");
	close(fd[0]);
	close(fd[1]);
	h[0] = handle_of(make_memfd(TOTAL, 0));
	attach_refuses(&p, h, 1, "seals", "expected 0x2, found 0x");
	close((int)h[0].value);
	h[0] = handle_of(make_memfd(TOTAL - 4096, SEALS));
	attach_refuses(&p, h, 1, "expected 180224, found 176128", "size");
	close((int)h[0].value);
	h[0] = handle_of(make_memfd(0, SEALS));
	attach_refuses(&p, h, 1, "expected 180224, found 0", "size");
	close((int)h[0].value);
	h[0] = handle_of(make_memfd(TOTAL, SEALS));
	attach_refuses(&p, h, 1, "magic", "found 0");
	close((int)h[0].value);
	h[0] = handle_of(open("/dev/null", O_RDWR | O_CLOEXEC));
	attach_refuses(&p, h, 1, "expected a sealed memfd", "no seals");
	close((int)h[0].value);
	pair_close(&p);
}

/* A memory that may not be written to cannot be mapped; that is said, not found out by dying. */
Test(ring_layout, memory_that_is_read_only)
{
	pair p;
	via_handle h;

	only_small_pages();
	pair_begin(&p, 1000, 70000);
	h = handle_of(make_memfd(TOTAL, SEALS | F_SEAL_WRITE));
	cr_expect_eq(pair_attach(&p, &h, 1), VIA_PERM);
	pair_said("mmap");
	close((int)h.value);
	pair_close(&p);
}

Test(ring_layout, provision_has_limits)
{
	struct rlimit old, small;
	pair p;

	pair_begin(&p, 1u << 30, 1000);
	cr_expect_eq(pair_provision(&p), VIA_TOOBIG);
	pair_said("expected at most 1073741824");
	p.max_request = p.max_response = UINT32_MAX;
	cr_expect_eq(pair_provision(&p), VIA_TOOBIG);
	p.max_request = p.max_response = 1000;
	cr_assert_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = old;
	small.rlim_cur = 65536;
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
	cr_expect_eq(pair_provision(&p), VIA_LIMIT); /* SIGXFSZ would end the test */
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &old), 0);
	pair_said("RLIMIT_FSIZE");
	pair_said("found 65536");
	p.base_b->caps &= ~(uint64_t)VIA_CAP_HANDLES;
	cr_expect_eq(pair_provision(&p), VIA_NOTSUP);
	pair_said("capabilities");
	pair_close(&p);
}

Test(ring_layout, there_are_no_options)
{
	pair p;
	void *self;

	pair_begin(&p, 1000, 1000);
	cr_expect_eq(p.ring.desc->life->init(&p.r.host.h, "ring.size=1\n", &self), VIA_INVAL);
	pair_said("ring.size=1");
	pair_close(&p);
}

/* -- the nth call fails ------------------------------------------------------------------------ */

/* Provision and attach, with whatever is set to fail. 1: all of it worked. */
static int whole_life(pair *p)
{
	via_handle h;
	int ok = 0;

	if (pair_provision(p) == VIA_OK) {
		h = handle_of(p->fd);
		ok = pair_attach(p, &h, 1) == VIA_OK;
		close(p->fd);
		p->fd = -1;
	}
	rig_hang_up(&p->a);
	rig_hang_up(&p->b);
	return ok;
}

static void check_nothing_left(pair *p, int64_t live, uint32_t descriptors, uint32_t mappings)
{
	cr_expect_eq(atomic_load(&p->r.host.live), live);
	cr_expect_eq(rig_descriptors(), descriptors);
	cr_expect_eq(rig_mappings(), mappings);
}

/* 1 where the kernel counts every page: the memory is allocated ahead then. */
static uint32_t counts_pages(void)
{
	FILE *f = fopen("/proc/sys/vm/overcommit_memory", "r");
	int mode = f == NULL ? '2' : fgetc(f);

	if (f != NULL)
		fclose(f);
	return mode == '2';
}

Test(ring_layout, every_system_call_fails_once)
{
	static const int32_t errors[] = {EIO, EMFILE, ENOMEM, EACCES, EINTR, ENOSYS, ENOSPC};
	uint32_t total, descriptors, mappings, n, i;
	int64_t live;
	pair p;

	pair_begin(&p, 1000, 70000);
	live = atomic_load(&p.r.host.live);
	descriptors = rig_descriptors();
	mappings = rig_mappings();
	total = atomic_load(&p.r.host.calls);
	cr_assert(whole_life(&p));
	total = atomic_load(&p.r.host.calls) - total;
	cr_assert_eq(total, 4 + counts_pages() + 6 + 2 + 6, "%u calls", total);
	for (i = 0; i < sizeof errors / sizeof errors[0]; i++)
		for (n = 1; n <= total; n++) {
			p.r.host.how = RIG_FAIL;
			p.r.host.error = errors[i];
			p.r.host.fail_call = atomic_load(&p.r.host.calls) + n;
			rig_detail_clear();
			cr_expect(!whole_life(&p), "call %u", n);
			cr_expect_str_not_empty(rig_detail(), "call %u failed without a word", n);
			check_nothing_left(&p, live, descriptors, mappings);
		}
	p.r.host.fail_call = 0;
	cr_expect(whole_life(&p));
	pair_close(&p);
}

Test(ring_layout, every_allocation_fails_once)
{
	uint32_t total, descriptors, mappings, n;
	int64_t live;
	pair p;

	pair_begin(&p, 1000, 70000);
	live = atomic_load(&p.r.host.live);
	descriptors = rig_descriptors();
	mappings = rig_mappings();
	total = atomic_load(&p.r.host.allocs);
	cr_assert(whole_life(&p));
	total = atomic_load(&p.r.host.allocs) - total;
	cr_assert_eq(total, 2);
	for (n = 1; n <= total; n++) {
		p.r.host.fail_alloc = atomic_load(&p.r.host.allocs) + n;
		rig_detail_clear();
		cr_expect(!whole_life(&p));
		cr_expect_str_not_empty(rig_detail());
		check_nothing_left(&p, live, descriptors, mappings);
	}
	p.r.host.fail_alloc = 0;
	pair_close(&p);
}
