/* tests/link/posixshm_faults.c - every system call and every allocation fails once; file systems that
 * are full, files that may not grow. Nothing is ever left behind. */
#include "posixshm_rig.h"
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>

TestSuite(posixshm_faults, .timeout = 60);

/* -- one failure at a time --------------------------------------------------------------------- */

static const int errors[] = {EIO, ENOMEM, EMFILE, EACCES, ENOSPC, EINTR, ENOENT};
enum { N_ERRORS = sizeof errors / sizeof errors[0] };

/* A server and a client, from nothing to nothing: VIA_OK, or what failed. A file may stay only when
 * the system calls that remove it were the ones to fail. */
static via_rc whole_life(rig *r)
{
	via_link *a, *b;
	via_view v;
	via_rc rc = shm_provision(r, 1, 64, 64, &b);

	if (rc != VIA_OK)
		return rc;
	rc = shm_attach(r, 1, 64, 64, &a);
	if (rc == VIA_OK) {
		rc = rig_send_once(a, "x", 1);
		if (rc == VIA_OK) {
			rc = b->ops->recv(b, &v, 1);
			b->ops->release(b, &v, 1);
			rc = rc == 1 ? VIA_OK : rc;
		}
		a->ops->close(a);
	}
	b->ops->close(b);
	return rc;
}

/* What may have stayed does not disturb the next one. */
static void check_recovers(rig *r)
{
	r->host.fail_call = 0;
	r->host.fail_alloc = 0;
	rig_check_clean(r);
	cr_assert_eq(whole_life(r), VIA_OK, "%s", rig_detail());
	rig_check_files(r, 0);
}

Test(posixshm_faults, each_system_call)
{
	rig r;
	int e;

	for (e = 0; e < N_ERRORS; e++) {
		uint32_t n, calls;
		int failed = 0;

		rig_open(&r, "posixshm");
		atomic_store(&r.host.calls, 0);
		cr_assert_eq(whole_life(&r), VIA_OK);
		calls = atomic_load(&r.host.calls);
		cr_assert_gt(calls, 12);
		for (n = 1; n <= calls; n++) {
			/* A new instance, so that the sweep is part of it every time. */
			rig_fini_modules(&r);
			cr_assert_eq(rig_init_modules(&r, NULL), VIA_OK);
			atomic_store(&r.host.calls, 0);
			r.host.error = errors[e];
			r.host.fail_call = n;
			rig_detail_clear();
			if (whole_life(&r) != VIA_OK) {
				failed++;
				cr_expect_neq(rig_detail()[0], '\0', "call %u: no reason", n);
			}
			check_recovers(&r);
		}
		cr_expect_geq(failed, 8, "error %d", errors[e]);
		rig_close(&r);
	}
}

/* The same with a dead region of that name in the way. */
Test(posixshm_faults, each_system_call_of_a_recovery)
{
	int32_t dead = shm_dead_pid();
	rig r;
	uint32_t n;

	rig_open(&r, "posixshm");
	cr_assert_eq(whole_life(&r), VIA_OK);
	for (n = 1; n < 40; n++) {
		via_rc rc;

		shm_write_region(shm_path(&r, 1), dead, 99);
		atomic_store(&r.host.calls, 0);
		r.host.error = EIO;
		r.host.fail_call = n;
		rc = shm_provision(&r, 1, 64, 64, &r.b);
		if (rc != VIA_OK)
			cr_expect_neq(rig_detail()[0], '\0');
		r.host.fail_call = 0;
		rig_hang_up(&r.b);
		check_recovers(&r);
	}
	rig_close(&r);
}

Test(posixshm_faults, each_allocation)
{
	rig r;
	uint32_t n;

	rig_open(&r, "posixshm");
	for (n = 1; n <= 2; n++) {
		atomic_store(&r.host.allocs, 0);
		r.host.fail_alloc = n;
		cr_expect_eq(whole_life(&r), VIA_NOMEM, "allocation %u", n);
		rig_check_files(&r, 0);
		check_recovers(&r);
	}
	atomic_store(&r.host.allocs, 0);
	cr_assert_eq(whole_life(&r), VIA_OK);
	cr_expect_eq(atomic_load(&r.host.allocs), 2, "one for each link");
	rig_fini_modules(&r);
	atomic_store(&r.host.allocs, 0);
	r.host.fail_alloc = 1;
	cr_expect_eq(rig_init_modules(&r, NULL), VIA_NOMEM);
	r.host.fail_alloc = 0;
	cr_assert_eq(rig_init_modules(&r, NULL), VIA_OK);
	rig_close(&r);
}

Test(posixshm_faults, no_futex_no_transport)
{
	rig r;

	rig_open(&r, "posixshm");
	shm_deny(&r, "futex", 1, ENOSYS);
	cr_expect_eq(r.layer[0].t->probe(r.layer[0].self), VIA_NOTSUP);
	cr_expect_not_null(strstr(rig_detail(), "futex"));
	rig_close(&r);
}

/* The peer may sleep for ever on a message it was not woken for: such a link is no more. */
Test(posixshm_faults, a_wake_up_that_fails_ends_the_link)
{
	rig r;
	via_view v;

	shm_open_pair(&r, 64, 64);
	shm_deny(&r, "futex", 1, EPERM);
	cr_expect_eq(rig_send_once(r.a, "x", 1), VIA_IO);
	cr_expect_not_null(strstr(rig_detail(), "futex"));
	cr_expect_eq(rig_send_once(r.a, "x", 1), VIA_IO);
	cr_expect_eq(r.a->ops->recv(r.a, &v, 1), VIA_IO);
	rig_close(&r);
}

/* -- storage ----------------------------------------------------------------------------------- */

static void check_refused(rig *r, int error, via_rc rc, const char *text)
{
	shm_deny(r, "fallocate", 1, error);
	cr_expect_eq(shm_provision(r, 1, 64, 64, &r->b), rc, "errno %d", error);
	cr_expect_not_null(strstr(rig_detail(), text), "%s", rig_detail());
	rig_check_clean(r);
	rig_check_files(r, 0);
}

static void interrupt_again(rig *r)
{
	shm_before(r, "fallocate", 1, interrupt_again);
	r->host.error = EINTR;
	r->host.fail_call = atomic_load(&r->host.calls);
}

Test(posixshm_faults, no_storage_no_region)
{
	rig r;

	rig_open(&r, "posixshm");
	check_refused(&r, ENOSPC, VIA_LIMIT, "no room for 192 bytes");
	check_refused(&r, EDQUOT, VIA_LIMIT, "no room for 192 bytes");
	check_refused(&r, EOPNOTSUPP, VIA_NOTSUP, "cannot reserve storage");
	check_refused(&r, ENOSYS, VIA_NOTSUP, "cannot reserve storage");
	check_refused(&r, EIO, VIA_IO, "fallocate");
	shm_deny(&r, "fallocate", 1, EINTR);
	cr_assert_eq(shm_provision(&r, 1, 64, 64, &r.b), VIA_OK, "interrupted once");
	rig_hang_up(&r.b);
	shm_before(&r, "fallocate", 1, interrupt_again);
	cr_expect_eq(shm_provision(&r, 1, 64, 64, &r.b), VIA_AGAIN, "interrupted for ever");
	rig_check_files(&r, 0);
	rig_close(&r);
}

/* Runs fn in a child and says what it found: 0, or the number of what went wrong. */
static int in_child(rig *r, int (*fn)(rig *))
{
	pid_t pid = shm_child();

	if (pid == 0)
		_exit(fn(r));
	return shm_child_ends(pid);
}

static int with_a_file_limit(rig *r)
{
	struct rlimit limit = {.rlim_cur = 8192, .rlim_max = 8192};

	if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
		return 1;
	if (shm_provision(r, 1, 8192, 64, &r->b) != VIA_LIMIT)
		return 2;
	if (strstr(rig_detail(), "may make files of 8192") == NULL)
		return 3;
	if (rig_files(r->dir) != 0)
		return 4;
	if (shm_provision(r, 1, 8064, 64, &r->b) != VIA_OK)
		return 5;
	rig_hang_up(&r->b);
	return rig_files(r->dir) == 0 ? 0 : 6;
}

/* -1 would be SIGXFSZ. */
Test(posixshm_faults, a_limit_on_files_is_no_signal)
{
	rig r;

	rig_open(&r, "posixshm");
	cr_expect_eq(in_child(&r, with_a_file_limit), 0);
	rig_close(&r);
}

enum { CANNOT_MOUNT = 100 };

static int write_text(const char *file, const char *text)
{
	int fd = open(file, O_WRONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : write(fd, text, strlen(text));

	close(fd);
	return n == (ssize_t)strlen(text) ? 0 : -1;
}

/* Root in a user namespace of its own, which may mount. */
static int become_root(void)
{
	char uid[64], gid[64];

	snprintf(uid, sizeof uid, "0 %u 1", (unsigned)geteuid());
	snprintf(gid, sizeof gid, "0 %u 1", (unsigned)getegid());
	if (unshare(CLONE_NEWUSER) != 0 || write_text("/proc/self/setgroups", "deny") != 0)
		return -1;
	return write_text("/proc/self/uid_map", uid) != 0 ? -1
							  : write_text("/proc/self/gid_map", gid);
}

/* 64 KiB of tmpfs at the run directory, for this process only. */
static int mount_small(rig *r)
{
	if (geteuid() != 0 && become_root() != 0)
		return -1;
	if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
		return -1;
	return mount("tmpfs", r->dir, "tmpfs", 0, "size=64k,mode=0700");
}

/* Takes every page that is left. */
static int fill_up(rig *r)
{
	int fd = open(shm_path_of(r, "ballast"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	char page[4096];
	ssize_t n;

	memset(page, 1, sizeof page);
	if (fd < 0)
		return -1;
	do
		n = write(fd, page, sizeof page);
	while (n > 0);
	close(fd);
	return errno == ENOSPC ? 0 : -1;
}

static int on_a_full_file_system(rig *r)
{
	via_view v;
	via_slot s;

	if (mount_small(r) != 0)
		return CANNOT_MOUNT;
	if (shm_provision(r, 1, 1 << 20, 64, &r->b) != VIA_LIMIT)
		return 1;
	if (strstr(rig_detail(), "no room for") == NULL || rig_files(r->dir) != 0)
		return 2;
	if (shm_provision(r, 1, 16384, 16384, &r->b) != VIA_OK || fill_up(r) != 0)
		return 3;
	if (shm_provision(r, 2, 64, 64, &r->a) != VIA_LIMIT || rig_files(r->dir) != 2)
		return 4;
	/* Every byte of the one that was made can be written: no SIGBUS. */
	if (shm_attach(r, 1, 16384, 16384, &r->a) != VIA_OK ||
	    r->a->ops->reserve(r->a, 16384, &s) != VIA_OK)
		return 5;
	memset(s.data, 7, s.cap);
	s.len = s.cap;
	if (r->a->ops->commit(r->a, &s, 1) != 1 || r->b->ops->recv(r->b, &v, 1) != 1)
		return 6;
	r->b->ops->release(r->b, &v, 1);
	if (r->b->ops->reserve(r->b, 16384, &s) != VIA_OK)
		return 6;
	memset(s.data, 8, s.cap);
	s.len = s.cap;
	if (r->b->ops->commit(r->b, &s, 1) != 1)
		return 7;
	rig_hang_up(&r->a);
	rig_hang_up(&r->b);
	return rig_files(r->dir) == 1 ? 0 : 8;
}

Test(posixshm_faults, a_full_file_system_is_no_signal)
{
	rig r;
	int status;

	rig_open(&r, "posixshm");
	status = in_child(&r, on_a_full_file_system);
	rig_close(&r);
	if (status == CANNOT_MOUNT)
		cr_skip_test("no tmpfs can be mounted here: needs root or user namespaces");
	cr_expect_eq(status, 0);
}

/* -- umask and exec ---------------------------------------------------------------------------- */

Test(posixshm_faults, the_umask_plays_no_part)
{
	static const mode_t masks[] = {0, 022, 0777};
	rig r;
	size_t i;

	rig_open(&r, "posixshm");
	for (i = 0; i < sizeof masks / sizeof masks[0]; i++) {
		mode_t was = umask(masks[i]);
		struct stat st;

		cr_assert_eq(shm_provision(&r, 1, 64, 64, &r.b), VIA_OK, "%s", rig_detail());
		cr_assert_eq(stat(shm_path(&r, 1), &st), 0);
		cr_expect_eq(st.st_mode & 07777u, 0600);
		cr_expect_eq(umask(was), masks[i], "nor is it changed");
		rig_hang_up(&r.b);
	}
	rig_close(&r);
}

/* An attached link holds no descriptor. */
Test(posixshm_faults, links_hold_no_descriptors)
{
	rig r;

	shm_open_pair(&r, 64, 64);
	cr_expect_eq(rig_descriptors(), r.descriptors);
	cr_expect_eq(rig_mappings(), r.mappings + 2);
	rig_close(&r);
}
