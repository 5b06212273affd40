/* tests/registry/test_close.c - the end of a registry, and several registries in one process. */
#include "reg_rig.h"

#include <stdio.h>

TestSuite(registry_close, .init = rig_open, .fini = rig_close, .timeout = 60);

RR_TEST(registry_close, holders_keep_it_open)
{
	via_registry *r;
	reg_pin one, two;
	via_ref ref;

	rr_put("unit_unloadable", "a");
	r = rr_open();
	reg_hold(r, &one, "client of /run/x/increment");
	reg_hold(r, &two, "server of /run/x/increment");
	rr_refused(via_registry_close(r), VIA_BUSY,
		   "the registry is still held by client of /run/x/increment and 1 more");
	reg_unhold(r, &one);
	rr_refused(via_registry_close(r), VIA_BUSY,
		   "the registry is still held by server of /run/x/increment");
	ref = rr_service(r, "unit");
	reg_unhold(r, &two);
	rr_refused(via_registry_close(r), VIA_BUSY,
		   "org.test.unit is still held by a reference the program acquired");
	cr_expect_str_eq(rr_call(&ref, "pauses"), "0", "nothing happened");
	via_registry_release(r, &ref);
	rr_close(r);
	cr_expect_eq(via_registry_close(NULL), VIA_OK);
}

/* Modules that hold each other end in the right order: users first. */
RR_TEST(registry_close, users_end_before_what_they_use)
{
	via_registry *r;

	rr_put("unit_unloadable", "a");
	rr_put("moved_unloadable", "b");
	rr_put("needy_unloadable", "c");
	r = rr_open();
	cr_assert_eq(via_registry_configure(r, "org.test.unit", "lookup=moved\n"), VIA_OK);
	cr_assert_eq(via_registry_configure(r, "org.test.moved", "lookup=needy\n"), VIA_OK);
	cr_assert_eq(via_registry_load(r, "org.test.unit"), VIA_OK, "%s", via_error());
	cr_expect_eq(rr_info(r, "c").n_pins, 1);
	cr_expect_eq(rr_info(r, "c").state, VIA_FILE_LOADED);
	rr_close(r);
	cr_expect_null(strstr(rr_log(), "left behind"), "%s", rr_log());

	r = rr_open();
	cr_assert_eq(via_registry_configure(r, "org.test.needy", "lookup=moved\n"), VIA_OK);
	cr_assert_eq(via_registry_configure(r, "org.test.moved", "lookup=unit\n"), VIA_OK);
	cr_assert_eq(via_registry_load(r, "org.test.needy"), VIA_OK, "%s", via_error());
	rr_close(r);
	cr_expect_null(strstr(rr_log(), "left behind"), "%s", rr_log());
}

RR_TEST(registry_close, one_that_does_not_drain_keeps_all)
{
	via_registry *r;
	via_ref a, b;

	rr_put("moved_unloadable", "a");
	rr_put("unit_unloadable", "b");
	r = rr_open();
	cr_assert_eq(via_registry_configure(r, "org.test.unit", "drain=fail\n"), VIA_OK);
	a = rr_service(r, "moved");
	b = rr_service(r, "unit");
	via_registry_release(r, &a);
	via_registry_release(r, &b);
	rr_refused(via_registry_close(r), VIA_BUSY, "drain failed: told not to drain");
	a = rr_service(r, "moved");
	b = rr_service(r, "unit");
	cr_expect_eq(rr_info(r, "a").generation, 1);
	cr_expect_eq(rr_info(r, "b").generation, 1);
	cr_expect_str_eq(rr_call(&a, "resumes"), rr_call(&a, "pauses"));
	cr_expect_str_eq(rr_call(&b, "resumes"), "1");
	cr_expect_str_eq(rr_call(&b, "settle"), "0");
	via_registry_release(r, &a);
	via_registry_release(r, &b);
	rr_close(r);
}

RR_TEST(registry_close, two_registries_share_nothing)
{
	via_registry *r, *s;
	via_ref a, b;

	rr_put("unit_unloadable", "a");
	r = rr_open();
	s = rr_open();
	a = rr_service(r, "unit");
	cr_expect_eq(rr_info(s, "a").state, VIA_FILE_FOUND);
	b = rr_service(s, "unit");
	cr_expect_neq(a.self, b.self);
	cr_expect_neq(a.vtable, b.vtable, "each has a copy of the code");
	cr_expect_str_eq(rr_call(&a, "pin"), "0");
	via_registry_release(s, &b);
	rr_close(s);
	cr_expect_str_eq(rr_call(&a, "unpin"), "0");
	via_registry_release(r, &a);
	rr_close(r);
}

RR_TEST(registry_close, a_singleton_serves_one_at_a_time)
{
	via_registry *r, *s;
	via_ref a, b;

	rr_put("unit_singleton", "a");
	r = rr_open();
	s = rr_open();
	a = rr_service(r, "unit");
	rr_refused(via_registry_acquire(s, VIA_KIND_SERVICE, "unit", 0, &b), VIA_BUSY,
		   "serves one registry of a process at a time, and another one has it loaded");
	via_registry_release(r, &a);
	cr_assert_eq(via_registry_unload(r, "org.test.unit", VIA_POLL), VIA_OK, "%s", via_error());
	b = rr_service(s, "unit");
	via_registry_release(s, &b);
	rr_retired(2);
	rr_close(s);
	rr_close(r);
}
