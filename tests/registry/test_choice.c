/* tests/registry/test_choice.c - which component is chosen: by id, alias, method, profile,
 * score. */
#include "reg_rig.h"

#include <stdio.h>

TestSuite(registry_choice, .init = rig_open, .fini = rig_close, .timeout = 30);

static via_ref transport(via_registry *r, const char *name, uint32_t min_rev)
{
	via_ref ref = {.token = 0};
	via_rc rc = via_registry_acquire(r, VIA_KIND_TRANSPORT, name, min_rev, &ref);

	cr_assert_eq(rc, VIA_OK, "%s: %s", name, via_error());
	return ref;
}

RR_TEST(registry_choice, by_id_and_by_scheme)
{
	via_registry *r;
	via_ref a, b, c;

	rr_put("carrier", "c");
	r = rr_open();
	a = transport(r, "org.test.carrier", 0);
	b = transport(r, "car", 3);
	c = transport(r, "carrier", 2);
	cr_expect_eq(a.vtable, b.vtable);
	cr_expect_eq(a.vtable, c.vtable);
	cr_expect_eq(a.rev, 3);
	cr_expect_str_eq(reg_ref_id(&b), "org.test.carrier");
	cr_expect_eq(((const via_transport *)a.vtable)->roles, VIA_ROLE_BASELINE);
	cr_expect_eq(rr_info(r, "c").n_pins, 3);
	via_registry_release(r, &a);
	via_registry_release(r, &b);
	via_registry_release(r, &c);
	cr_expect_eq(c.token, 0);
	via_registry_release(r, &c);
	via_registry_release(r, NULL);
	cr_expect_str_eq(reg_ref_id(&c), "");
	cr_expect_eq(rr_info(r, "c").n_pins, 0);
	rr_refused(via_registry_acquire(r, VIA_KIND_TRANSPORT, "ca", 0, &a), VIA_NOTFOUND,
		   "transport \"ca\"");
	rr_refused(via_registry_acquire(r, VIA_KIND_SERVICE, "car", 0, &a), VIA_NOTFOUND,
		   "service \"car\"");
	rr_refused(via_registry_acquire(r, VIA_KIND_TRANSPORT, "car", 4, &a), VIA_NOTFOUND,
		   "no module provides transport \"car\" of revision 4 or later; ");
	cr_expect(rig_error_has("c" OS_MODULE_SUFFIX " has revision 3"), "%s", via_error());
	rr_close(r);
}

RR_TEST(registry_choice, by_profile)
{
	via_registry *r;
	via_ref ref;

	rr_put("carrier", "c");
	rr_put("carrier_zero", "z");
	r = rr_open();
	cr_assert_eq(reg_acquire_profile(r, 0x10000, VIA_ROLE_UPGRADE, &ref), VIA_OK, "%s",
		     via_error());
	cr_expect_str_eq(reg_ref_id(&ref), "org.test.carrier.up");
	via_registry_release(r, &ref);
	cr_expect_eq(rr_info(r, "z").generation, 0, "score 0 is taken by name only");
	rr_refused(reg_acquire_profile(r, 0x8, VIA_ROLE_UPGRADE, &ref), VIA_NOTFOUND,
		   "no module provides transport for profile 0x8");
	rr_refused(reg_acquire_profile(r, 0x2, VIA_ROLE_DECORATOR, &ref), VIA_NOTFOUND,
		   "profile 0x2");
	rr_close(r);
}

/* The best score is asked first; when it says no, its words are kept and the next one is asked. */
RR_TEST(registry_choice, probe_decides)
{
	via_registry *r;
	via_ref ref;

	rr_put("carrier_best", "best");
	rr_put("carrier", "c");
	r = rr_open();
	cr_assert_eq(reg_acquire_baseline(r, &ref), VIA_OK, "%s", via_error());
	cr_expect_str_eq(reg_ref_id(&ref), "org.test.carrier");
	cr_expect_eq(rr_info(r, "best").generation, 1, "it was asked");
	cr_expect_eq(rr_info(r, "best").n_pins, 0);
	via_registry_release(r, &ref);
	rig_remove(rig_path("c" OS_MODULE_SUFFIX));
	cr_assert_eq(via_registry_unload(r, "org.test.carrier", VIA_POLL), VIA_OK);
	cr_assert_eq(via_registry_scan(r), VIA_OK);
	rr_refused(reg_acquire_baseline(r, &ref), VIA_NOTFOUND,
		   "no usable baseline transport; org.test.best: no road here");
	rr_refused(reg_acquire_profile(r, 4, VIA_ROLE_UPGRADE, &ref), VIA_NOTFOUND,
		   "no usable transport for profile 0x4; org.test.best.up: no road here");
	rr_close(r);
}

RR_TEST(registry_choice, one_that_cannot_be_loaded_is_passed_over)
{
	via_registry *r;
	via_ref ref;

	rr_put("carrier_best", "best");
	rr_put("carrier", "c");
	r = rr_open();
	cr_assert_eq(via_registry_configure(r, "org.test.best", "x=y\n"), VIA_OK);
	rr_put("unit", "best"); /* another module altogether, after the scan */
	cr_assert_eq(reg_acquire_baseline(r, &ref), VIA_OK, "%s", via_error());
	cr_expect_str_eq(reg_ref_id(&ref), "org.test.carrier");
	via_registry_release(r, &ref);
	rr_close(r);
}

static int collect(void *arg, const via_provided *p)
{
	char *list = arg;
	size_t len = strlen(list);

	snprintf(list + len, 256 - len, "%s:%d ", p->id, p->score);
	return 0;
}

static int stop_at_once(void *arg, const via_provided *p)
{
	(void)arg;
	return p->score;
}

RR_TEST(registry_choice, transports_in_order_of_preference)
{
	char list[256] = "";
	via_registry *r;

	rr_put("carrier_zero", "a");
	rr_put("carrier", "b");
	rr_put("carrier_best", "c");
	rr_put("unit", "d");
	r = rr_open();
	cr_expect_eq(reg_transports(r, collect, list), 0);
	cr_expect_str_eq(
		list,
		"org.test.best:90 org.test.best.up:90 org.test.carrier:50 org.test.carrier.up:50 "
		"org.test.zero:0 org.test.zero.up:0 ");
	cr_expect_eq(reg_transports(r, stop_at_once, NULL), 90);
	cr_expect_eq(rr_info(r, "c").generation, 0, "nothing was loaded");
	rr_close(r);
}
