/* tests/link/winshm_faults.c - every system call and every allocation fails once; nothing is ever left
 * behind. */
#include "winshm_rig.h"

TestSuite(winshm_faults, .timeout = 60);

static const DWORD errors[] = {ERROR_ACCESS_DENIED,     ERROR_FILE_NOT_FOUND,
			       ERROR_ALREADY_EXISTS,    ERROR_NOT_ENOUGH_MEMORY,
			       ERROR_COMMITMENT_LIMIT,  ERROR_TOO_MANY_OPEN_FILES,
			       ERROR_INVALID_PARAMETER, ERROR_INTERNAL_ERROR};

/* A server and a client, from nothing to nothing, with a message for a sleeper: VIA_OK, or what
 * failed. */
static via_rc whole_life(rig *r)
{
	via_waitobj o = {.struct_size = sizeof o};
	via_link *a, *b;
	via_view v;
	via_rc rc = wshm_provision(r, 1, 64, 64, &b);

	if (rc != VIA_OK)
		return rc;
	rc = wshm_attach(r, 1, 64, 64, &a);
	if (rc == VIA_OK) {
		cr_expect_eq(b->ops->arm(b, VIA_EV_RX, &o), VIA_OK);
		rc = rig_send_once(a, "x", 1);
		b->ops->disarm(b, VIA_EV_RX);
		if (rc == VIA_OK) {
			cr_expect_eq(b->ops->recv(b, &v, 1), 1);
			b->ops->release(b, &v, 1);
		}
		a->ops->close(a);
	}
	b->ops->close(b);
	return rc;
}

static void check_recovers(rig *r)
{
	r->host.fail_call = 0;
	r->host.fail_alloc = 0;
	rig_check_clean(r);
	cr_assert_eq(whole_life(r), VIA_OK, "%s", rig_detail());
}

PROFILE_TEST(winshm_faults, each_system_call)
{
	uint32_t silent = profile[0] == HYBRID ? 2 : 0; /* SetEvent of both close() */
	size_t e;

	for (e = 0; e < sizeof errors / sizeof errors[0]; e++) {
		uint32_t n, calls, failed = 0;
		rig r;

		wshm_open(&r, profile[0]);
		atomic_store(&r.host.calls, 0);
		cr_assert_eq(whole_life(&r), VIA_OK);
		calls = atomic_load(&r.host.calls);
		cr_assert_eq(calls, profile[0] == HYBRID ? 15 : 8);
		for (n = 1; n <= calls; n++) {
			atomic_store(&r.host.calls, 0);
			r.host.error = (int32_t)errors[e];
			r.host.fail_call = n;
			rig_detail_clear();
			if (whole_life(&r) != VIA_OK) {
				failed++;
				cr_expect_neq(rig_detail()[0], '\0', "call %u: no reason", n);
			}
			check_recovers(&r);
		}
		cr_expect_eq(failed, calls - silent, "error %lu", errors[e]);
		rig_close(&r);
	}
}

PROFILE_TEST(winshm_faults, each_allocation)
{
	rig r;
	uint32_t n;

	wshm_open(&r, profile[0]);
	for (n = 1; n <= 4; n++) {
		atomic_store(&r.host.allocs, 0);
		r.host.fail_alloc = n;
		cr_expect_eq(whole_life(&r), VIA_NOMEM, "allocation %u", n);
		check_recovers(&r);
	}
	rig_close(&r);
}

PROFILE_TEST(winshm_faults, no_memory_for_longer_records)
{
	rig r;
	via_view v;
	uint8_t data[200];

	wshm_open_pair(&r, profile[0], 100, 100);
	rig_hang_up(&r.a);
	rig_hang_up(&r.b);
	cr_assert_eq(wshm_provision(&r, 1, 300, 100, &r.b), VIA_OK);
	cr_assert_eq(wshm_attach(&r, 1, 300, 100, &r.a), VIA_OK);
	r.host.fail_alloc = atomic_load(&r.host.allocs) + 1;
	cr_expect_eq(r.b->ops->expect(r.b, 300), VIA_NOMEM);
	cr_expect_not_null(strstr(rig_detail(), "300 bytes"));
	r.host.fail_alloc = 0;
	rig_fill(data, sizeof data, 1); /* nothing has changed */
	cr_assert_eq(rig_send_once(r.a, data, sizeof data), VIA_OK);
	cr_assert_eq(r.b->ops->recv(r.b, &v, 1), 1);
	cr_expect_eq(v.flags, VIA_VIEW_CUT);
	rig_check_fill(&v, VIA_EXPECT_INITIAL, 1);
	r.b->ops->release(r.b, &v, 1);
	cr_expect_eq(r.b->ops->expect(r.b, 300), VIA_OK);
	rig_close(&r);
}

/* A sleeper that cannot be woken would sleep for ever: rather no link. */
Test(winshm_faults, a_wake_up_that_fails_ends_the_link)
{
	rig r;
	via_waitobj o = {.struct_size = sizeof o};
	via_view v;

	wshm_open_pair(&r, HYBRID, 64, 64);
	cr_assert_eq(r.b->ops->arm(r.b, VIA_EV_RX, &o), VIA_OK);
	r.host.error = ERROR_INVALID_HANDLE;
	r.host.fail_call = atomic_load(&r.host.calls) + 1;
	cr_expect_eq(rig_send_once(r.a, "x", 1), VIA_IO);
	cr_expect_not_null(strstr(rig_detail(), "SetEvent"));
	cr_expect_eq(r.a->ops->recv(r.a, &v, 1), VIA_IO);
	cr_expect_eq(r.a->ops->shutdown(r.a), VIA_IO);
	r.b->ops->disarm(r.b, VIA_EV_RX);
	wshm_take(r.b); /* it was published all the same */
	rig_close(&r);
}

Test(winshm_faults, a_shutdown_that_cannot_be_told)
{
	rig r;

	wshm_open_pair(&r, HYBRID, 64, 64);
	r.host.error = ERROR_INVALID_HANDLE;
	r.host.fail_call = atomic_load(&r.host.calls) + 1;
	cr_expect_eq(r.a->ops->shutdown(r.a), VIA_IO);
	rig_close(&r);
}
