/* tests/registry/test_denied.c - the nth allocation or system call fails: nothing is lost,
 * nothing is left. */
#include "reg_rig.h"

#include <stdio.h>

TestSuite(registry_denied, .init = rig_open, .fini = rig_close, .timeout = 120);

static via_registry *r;

/* Open, first need with a lookup of another module, release, unload, close. The first error, if
 * any. */
static via_rc once(void)
{
	via_registry_options o;
	via_ref ref = {.token = 0};
	via_rc rc;

	rr_options(&o);
	o.module_path = rig_path("");
	r = NULL;
	rc = reg_open(&o, NULL, &r);
	if (rc != VIA_OK)
		return rc;
	rc = via_registry_configure(r, "org.test.unit", "lookup=moved\n");
	if (rc == VIA_OK)
		rc = via_registry_acquire(r, VIA_KIND_SERVICE, "unit", 0, &ref);
	if (rc == VIA_OK)
		cr_expect_str_eq(rr_call(&ref, "version"), "1");
	via_registry_release(r, &ref);
	return rc;
}

/* Closing needs neither memory nor system calls that may be denied. */
static void end(void)
{
	via_rc rc;

	if (r == NULL)
		return;
	rc = via_registry_close(r);
	cr_assert_eq(rc, VIA_OK, "%s", via_error());
}

RR_TEST(registry_denied, the_nth)
{
	uint32_t n, n_failed = 0;
	int descriptors;
	via_rc rc;

	rr_put("unit_unloadable", "a");
	rr_put("moved_unloadable", "b");
	rig_write(rig_path("c" OS_MODULE_SUFFIX), "garbage", 7);
	cr_assert_eq(once(), VIA_OK, "%s", via_error());
	end();
	cr_assert_eq(rig_allocations(), 0);
	descriptors = rig_descriptors();
	for (n = 1; n < 2000; n++) {
		rig_deny(n);
		rc = once();
		if (rc != VIA_OK) {
			n_failed++;
			cr_expect_neq(via_error()[0], '\0', "%s without a word", via_rc_name(rc));
		}
		end();
		cr_assert_eq(rig_allocations(), 0, "%u: %d allocations are left", n,
			     rig_allocations());
		cr_assert_eq(rig_descriptors(), descriptors, "%u: %s", n, via_error());
		if (rig_denied() == 0)
			break;
		rig_deny(0);
	}
	rig_deny(0);
	cr_assert_lt(n, 2000);
	cr_expect_gt(n_failed, 20, "of %u", n);
	rc = once();
	cr_expect_eq(rc, VIA_OK, "%s", via_error());
	end();
}

/* The module asks the same gate as the core. */
RR_TEST(registry_denied, the_gate_reaches_into_modules)
{
	via_ref ref;

	rr_put("unit_unloadable", "a");
	r = rr_open();
	rig_deny_call("unit", 5);
	rr_refused(via_registry_acquire(r, VIA_KIND_SERVICE, "unit", 0, &ref), VIA_IO,
		   "init failed: unit: ");
	cr_expect(rig_error_has("(error 5)"), "%s", via_error());
	rig_deny_call(NULL, 0);
	ref = rr_service(r, "unit");
	via_registry_release(r, &ref);
	rr_close(r);
}

/* Whatever a scan could not look at, the next need looks at it again. */
RR_TEST(registry_denied, a_failed_scan_is_made_up_for)
{
	uint32_t n, n_short = 0;
	via_ref ref;

	rr_put("unit_unloadable", "a");
	for (n = 1; n < 200; n++) {
		via_registry_options o;

		rr_options(&o);
		o.module_path = rig_path("");
		rig_deny(n);
		r = NULL;
		cr_assert(reg_open(&o, NULL, &r) == VIA_OK || r == NULL);
		if (rig_denied() == 0)
			break;
		rig_deny(0);
		if (r == NULL)
			continue;
		n_short += rr_info(r, "a").state != VIA_FILE_FOUND;
		ref = rr_service(r, "unit");
		via_registry_release(r, &ref);
		rr_close(r);
	}
	rig_deny(0);
	cr_expect_lt(n, 200);
	cr_expect_gt(n_short, 0);
	rr_close(r);
}
