/* tests/services/test_cgroups_fault.c - no room, no time, no memory, and system calls that fail. */
#include "cgroups_rig.h"
#include "services/cgroups/cgroups.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void make_tree(void)
{
	char path[64];
	int i;

	tree_make();
	tree_pure_v2();
	for (i = 0; i < 5; i++) {
		snprintf(path, sizeof path, "/system.slice/unit-%d.service", i);
		tree_v2("sys/fs/cgroup", path, i & 1);
	}
	tree_v2("sys/fs/cgroup", "/a/b/c", 1);
}

TestSuite(cgroups_fault, .timeout = 60, .init = make_tree, .fini = tree_remove);

/* Every room from none to enough: the answer is whole or it is TOOBIG, and nothing behind it is
 * touched. */
Test(cgroups_fault, every_response_cap)
{
	struct rig r;
	struct answer a;
	uint64_t cap, len, i;

	rig_open(&r, NULL, tree_config(""));
	a = rig_ask(&r);
	for (cap = 0; cap < a.len + 16; cap++) {
		uint8_t *room = malloc(cap + 64);
		via_rc rc;

		cr_assert_not_null(room);
		memset(room, 0xa5, cap + 64);
		len = 0;
		rc = rig_call(&r, room, cap, &len);
		if (cap < a.len) {
			cr_assert_eq(rc, VIA_TOOBIG, "room for %d bytes", (int)cap);
			cr_assert_eq(r.fail_rc, VIA_TOOBIG);
		} else {
			cr_assert_eq(rc, VIA_OK, "room for %d bytes", (int)cap);
			cr_assert_eq(len, a.len);
			cr_assert_arr_eq(room, a.bytes, len);
		}
		for (i = cap; i < cap + 64; i++)
			cr_assert_eq(room[i], 0xa5, "byte %d behind the room", (int)(i - cap));
		free(room);
	}
	cr_expect_str_eq(r.fail_text, "the cgroups of this machine do not fit the response");
	answer_free(&a);
	rig_close(&r);
}

Test(cgroups_fault, every_allocation_of_a_call)
{
	struct rig r;
	struct answer a;
	char path[64];
	uint8_t *room = malloc(1u << 20);
	uint64_t len;
	int n, n_live, n_failed = 0;
	via_rc rc;

	for (n = 0; n < 600; n++) { /* enough for the lists to grow */
		snprintf(path, sizeof path, "sys/fs/cgroup/many/a-name-that-takes-some-room-%d", n);
		tree_dir(path);
	}
	rig_open(&r, NULL, tree_config(""));
	a = rig_ask(&r);
	n_live = atomic_load(&r.n_live);
	for (n = 1;; n++) {
		atomic_store(&r.n_allocs, 0);
		atomic_store(&r.fail_alloc, n);
		atomic_store(&r.n_fails, 0);
		rc = rig_call(&r, room, 1u << 20, &len);
		cr_assert_eq(atomic_load(&r.n_live), n_live);
		cr_assert_eq(rig_open_fds(), r.n_fds);
		if (rc == VIA_OK)
			break;
		cr_assert_eq(rc, VIA_NOMEM);
		cr_assert_eq(r.fail_rc, VIA_NOMEM);
		cr_assert_eq(atomic_load(&r.n_fails), 1);
		cr_assert_gt(strlen(r.fail_text), 0);
		n_failed++;
	}
	cr_expect_geq(n_failed, 6, "the lists must have grown");
	cr_expect_eq(len, a.len);
	cr_expect_arr_eq(room, a.bytes, a.len);
	answer_free(&a);
	free(room);
	rig_close(&r);
}

Test(cgroups_fault, allocations_of_init)
{
	struct rig r;
	void *self = (void *)1;

	rig_open(&r, NULL, tree_config(""));
	atomic_store(&r.n_allocs, 0);
	atomic_store(&r.fail_alloc, 1);
	cr_expect_eq(r.desc->life->init(&r.host, NULL, &self), VIA_NOMEM);
	cr_expect_eq(self, (void *)1);
	cr_expect_eq(r.fail_rc, VIA_NOMEM);
	rig_close(&r);
}

Test(cgroups_fault, init_refuses_and_keeps_nothing)
{
	struct rig r;
	void *self = (void *)1;

	rig_open(&r, NULL, tree_config(""));
	cr_expect_eq(r.desc->life->init(&r.host, "max_cgroups=many\n", &self), VIA_INVAL);
	cr_expect_eq(self, (void *)1);
	cr_expect_eq(r.fail_rc, VIA_INVAL);
	cr_expect_str_eq(r.fail_text,
			 "max_cgroups: expected a number from 1 to 65536, found \"many\"");
	rig_close(&r);
}

static const struct error_case {
	int error;
	via_rc rc;
} errors[] = {
	{EIO, VIA_IO},
	{EMFILE, VIA_LIMIT},
	{ENFILE, VIA_LIMIT},
	{ENOMEM, VIA_NOMEM},
};

/* These errors are not about one cgroup, so wherever they strike there is no answer. */
Test(cgroups_fault, every_system_call)
{
	struct rig r;
	uint8_t room[4096];
	uint64_t len;
	size_t i;
	int n, n_live, n_calls;
	via_rc rc;

	rig_open(&r, NULL, tree_config(""));
	n_live = atomic_load(&r.n_live);
	for (i = 0; i < sizeof errors / sizeof errors[0]; i++) {
		atomic_store(&r.call_error, errors[i].error);
		for (n = 1;; n++) {
			atomic_store(&r.n_calls, 0);
			atomic_store(&r.n_fails, 0);
			atomic_store(&r.fail_call, n);
			rc = rig_call(&r, room, sizeof room, &len);
			cr_assert_eq(atomic_load(&r.n_live), n_live);
			cr_assert_eq(rig_open_fds(), r.n_fds);
			if (rc == VIA_OK)
				break;
			cr_assert_eq(rc, errors[i].rc, "call %d fails with %d", n, rc);
			cr_assert_eq(r.fail_rc, rc);
			cr_assert_eq(r.fail_error, errors[i].error);
			cr_assert_eq(atomic_load(&r.n_fails), 1);
			cr_assert_eq(strncmp(r.fail_text, "cannot ", 7), 0, "%s", r.fail_text);
		}
		n_calls = atomic_load(&r.n_calls);
		cr_assert_eq(n, n_calls + 1, "each of %d calls is asked for", n_calls);
		cr_assert_gt(n_calls, 40);
	}
	rig_close(&r);
}

static const int about_files[] = {ENOENT, ENODEV, ENOTDIR, ELOOP, EACCES};

/* One thing that is not there any more costs at most itself and what is below it. */
Test(cgroups_fault, every_system_call_finds_something_gone)
{
	struct rig r;
	uint8_t room[4096];
	uint64_t len;
	via_cgroups_snapshot_view view;
	size_t i;
	int n, n_calls, n_ok;
	via_rc rc;

	rig_open(&r, NULL, tree_config(""));
	for (i = 0; i < sizeof about_files / sizeof about_files[0]; i++) {
		atomic_store(&r.call_error, about_files[i]);
		n_ok = 0;
		for (n = 1, n_calls = 1; n <= n_calls; n++) {
			atomic_store(&r.n_calls, 0);
			atomic_store(&r.fail_call, n);
			rc = rig_call(&r, room, sizeof room, &len);
			cr_assert_eq(rig_open_fds(), r.n_fds);
			if (atomic_load(&r.n_calls) > n_calls)
				n_calls = atomic_load(&r.n_calls);
			if (rc != VIA_OK) {
				cr_assert_eq(r.fail_rc, rc);
				continue;
			}
			cr_assert_eq(via_cgroups_snapshot_check(&view, room, len, NULL), VIA_OK);
			n_ok++;
		}
		/* the root, mountinfo (twice) and the mount must be there; the rest need not */
		cr_expect_geq(n_ok, n_calls - 6, "error %d: %d of %d answered", about_files[i],
			      n_ok, n_calls);
	}
	rig_close(&r);
}

Test(cgroups_fault, interruptions_are_repeated_but_not_for_ever)
{
	struct rig r;
	struct answer a;
	uint8_t room[4096];
	uint64_t len;
	int n, n_calls;

	rig_open(&r, NULL, tree_config(""));
	a = rig_ask(&r);
	n_calls = atomic_load(&r.n_calls);
	atomic_store(&r.call_error, EINTR);
	for (n = 1; n <= n_calls; n++) {
		atomic_store(&r.n_calls, 0);
		atomic_store(&r.fail_call, n);
		cr_assert_eq(rig_call(&r, room, sizeof room, &len), VIA_OK, "call %d", n);
		cr_assert_eq(len, a.len);
		cr_assert_arr_eq(room, a.bytes, len);
		cr_assert_eq(atomic_load(&r.n_calls), n_calls + 1);
	}
	atomic_store(&r.fail_call, 0);
	for (n = 1; n <= n_calls; n++) {
		atomic_store(&r.n_calls, 0);
		atomic_store(&r.fail_every, n);
		cr_assert_eq(rig_call(&r, room, sizeof room, &len), VIA_IO);
		cr_assert_eq(r.fail_error, EINTR);
		cr_assert_eq(rig_open_fds(), r.n_fds);
	}
	answer_free(&a);
	rig_close(&r);
}

static via_rc call_until(struct rig *r, via_time deadline)
{
	uint8_t *room = malloc(1u << 20);
	via_call call = {.struct_size = sizeof call,
			 .method = 2,
			 .response = room,
			 .response_cap = 1u << 20,
			 .deadline = deadline};
	via_rc rc;

	cr_assert_not_null(room);
	rc = r->service->call(r->self, NULL, &call);
	free(room);
	return rc;
}

Test(cgroups_fault, a_deadline_ends_the_walk)
{
	struct rig r;
	char path[64];
	int i;

	for (i = 0; i < 500; i++) {
		snprintf(path, sizeof path, "sys/fs/cgroup/many/%d", i);
		tree_dir(path);
	}
	rig_open(&r, NULL, tree_config(""));
	r.now = 1000;
	r.tick = 10;
	cr_expect_eq(call_until(&r, 1020), VIA_TIMEOUT);
	cr_expect_str_eq(r.fail_text, "the deadline passed while cgroups were read");
	cr_expect_eq(r.fail_rc, VIA_TIMEOUT);
	cr_expect_eq(call_until(&r, 1000000), VIA_OK);
	cr_expect_eq(call_until(&r, VIA_FOREVER), VIA_OK);
	cr_expect_eq(call_until(&r, VIA_POLL), VIA_OK);
	rig_close(&r);
}

Test(cgroups_fault, without_a_gate)
{
	struct rig r;
	uint8_t room[4096];
	uint64_t len;
	void *self;

	rig_open(&r, NULL, tree_config(""));
	r.host.get_ext = NULL;
	cr_assert_eq(r.desc->life->init(&r.host, tree_config(""), &self), VIA_OK);
	r.desc->life->fini(r.self);
	r.self = self;
	cr_expect_eq(rig_call(&r, room, sizeof room, &len), VIA_OK);
	cr_expect_eq(atomic_load(&r.n_calls), 0);
	rig_close(&r);
}
