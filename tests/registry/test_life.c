/* tests/registry/test_life.c - unloading: pins, draining, what is left behind, generations. */
#include "reg_rig.h"

#include <stdatomic.h>
#include <stdio.h>

TestSuite(registry_life, .init = rig_open, .fini = rig_close, .timeout = 60);

#define UNIT "org.test.unit"

static via_registry *open_with(const char *variant, const char *config)
{
	via_registry *r;

	rr_put(variant, "a");
	r = rr_open();
	cr_assert_eq(via_registry_configure(r, UNIT, config), VIA_OK, "%s", via_error());
	cr_assert_eq(via_registry_load(r, UNIT), VIA_OK, "%s", via_error());
	return r;
}

RR_TEST(registry_life, unloadable_code_goes_the_rest_stays)
{
	via_registry *r = open_with("unit_unloadable", NULL);
	int before = rig_descriptors();

	cr_assert_eq(via_registry_unload(r, UNIT, VIA_POLL), VIA_OK, "%s", via_error());
	cr_expect_eq(rr_info(r, "a").state, VIA_FILE_FOUND);
	cr_expect_leq(rig_descriptors(), before);
	cr_expect_eq(via_registry_unload(r, UNIT, VIA_POLL), VIA_OK, "it is not loaded, as wished");
	rr_refused(via_registry_unload(r, "org.test.nobody", VIA_POLL), VIA_NOTFOUND,
		   "no module \"org.test.nobody\"");
	rr_refused(via_registry_unload(r, NULL, VIA_POLL), VIA_INVAL, "none");
	rr_close(r);

	r = open_with("unit", NULL);
	cr_assert_eq(via_registry_unload(r, UNIT, VIA_POLL), VIA_OK, "%s", via_error());
	cr_expect_eq(rr_info(r, "a").state, VIA_FILE_RETIRED);
	cr_assert_eq(via_registry_load(r, UNIT), VIA_OK, "%s", via_error());
	cr_expect_eq(rr_info(r, "a").state, VIA_FILE_LOADED);
	cr_expect_eq(rr_info(r, "a").generation, 2);
	rr_retired(2);
	rr_close(r);
}

/* A new generation is new: its state and its statics begin anew. */
RR_TEST(registry_life, many_generations)
{
	via_registry *r = open_with("unit_unloadable", NULL);
	int before = rig_descriptors();
	via_ref ref;
	uint32_t i;

	for (i = 1; i <= 100; i++) {
		ref = rr_service(r, "unit");
		cr_assert_str_eq(rr_call(&ref, "starts"), "1");
		cr_assert_eq(rr_info(r, "a").generation, i);
		via_registry_release(r, &ref);
		cr_assert_eq(via_registry_unload(r, UNIT, VIA_POLL), VIA_OK, "%s", via_error());
	}
	cr_expect_leq(rig_descriptors(), before);
	rr_close(r);
}

/* -- who holds it ------------------------------------------------------------------------------ */

RR_TEST(registry_life, holders_are_named)
{
	via_registry *r = open_with("unit_unloadable", NULL);
	reg_pin one, two;
	via_ref ref;

	ref = rr_service(r, "unit");
	rr_refused(via_registry_unload(r, UNIT, VIA_POLL), VIA_BUSY,
		   "org.test.unit is still held by a reference the program acquired");
	cr_expect_str_eq(rr_call(&ref, "pauses"), "1");
	cr_expect_str_eq(rr_call(&ref, "resumes"), "1", "a refused unload lets it go on");
	reg_pin_take(r, &ref, &one, "session 3 of /run/x/increment");
	reg_pin_take(r, &ref, &two, "session 4 of /run/x/increment");
	cr_expect_eq(rr_info(r, "a").n_pins, 3);
	via_registry_release(r, &ref);
	rr_refused(via_registry_unload(r, UNIT, VIA_POLL), VIA_BUSY,
		   "org.test.unit is still held by session 3 of /run/x/increment and 1 more");
	reg_pin_drop(r, &one);
	rr_refused(via_registry_unload(r, UNIT, os_now() + 1000000), VIA_BUSY,
		   "org.test.unit is still held by session 4 of /run/x/increment");
	rr_refused(via_registry_close(r), VIA_BUSY, "still held by session 4 of /run/x/increment");
	cr_expect_eq(rr_info(r, "a").state, VIA_FILE_LOADED);
	reg_pin_drop(r, &two);
	cr_assert_eq(via_registry_unload(r, UNIT, VIA_POLL), VIA_OK, "%s", via_error());
	rr_close(r);
}

RR_TEST(registry_life, a_module_can_hold_itself)
{
	via_registry *r = open_with("unit_unloadable", NULL);
	const via_service *s;
	via_ref ref;
	void *self;
	via_ref still;

	ref = rr_service(r, "unit");
	cr_expect_str_eq(rr_call(&ref, "pin"), "0");
	s = ref.vtable;
	self = ref.self;
	via_registry_release(r, &ref);
	rr_refused(via_registry_unload(r, UNIT, VIA_POLL), VIA_BUSY,
		   "org.test.unit is still held by its own work under way");
	still = (via_ref){.vtable = s, .self = self};
	cr_expect_str_eq(rr_call(&still, "unpin"), "0");
	cr_expect_str_eq(rr_call(&still, "unpin"), "0");
	cr_expect(strstr(rr_log(), "org.test.unit: unpin() without pin()") != NULL, "%s", rr_log());
	cr_assert_eq(via_registry_unload(r, UNIT, VIA_POLL), VIA_OK, "%s", via_error());
	rr_close(r);
}

/* -- draining ---------------------------------------------------------------------------------- */

RR_TEST(registry_life, drain_is_asked_until_it_is_done)
{
	via_registry *r = open_with("unit_unloadable", "again=3\n");

	rr_refused(via_registry_unload(r, UNIT, VIA_POLL), VIA_BUSY,
		   "org.test.unit did not finish its work");
	cr_assert_eq(via_registry_unload(r, UNIT, rig_soon()), VIA_OK, "%s", via_error());
	rr_close(r);
}

RR_TEST(registry_life, refusals_of_the_module)
{
	via_registry *r = open_with("unit_unloadable", "drain=fail\n");
	via_ref ref;

	rr_refused(via_registry_unload(r, UNIT, VIA_POLL), VIA_IO,
		   "drain failed: told not to drain");
	ref = rr_service(r, "unit");
	cr_expect_str_eq(rr_call(&ref, "resumes"), "1");
	via_registry_release(r, &ref);
	rr_refused(via_registry_close(r), VIA_BUSY, "drain failed: told not to drain");
	cr_expect_eq(rr_info(r, "a").state, VIA_FILE_LOADED, "nothing happened");
	ref = rr_service(r, "unit");
	cr_expect_str_eq(rr_call(&ref, "resumes"), "2");
	cr_expect_str_eq(rr_call(&ref, "settle"), "0");
	via_registry_release(r, &ref);
	rr_close(r);
}

RR_TEST(registry_life, stop_may_refuse)
{
	via_registry *r = open_with("unit_unloadable", "stop=fail\n");
	via_ref ref;

	rr_refused(via_registry_unload(r, UNIT, VIA_POLL), VIA_IO, "stop failed: told not to stop");
	ref = rr_service(r, "unit");
	cr_expect_str_eq(rr_call(&ref, "resumes"), "1", "it goes on");
	cr_expect_str_eq(rr_call(&ref, "settle"), "0");
	via_registry_release(r, &ref);
	rr_close(r);
}

struct unloader {
	via_registry *r;
	via_rc rc;
	atomic_int done;
};

static void unload(void *arg)
{
	struct unloader *u = arg;

	u->rc = via_registry_unload(u->r, UNIT, rig_soon());
	atomic_store(&u->done, 1);
}

/* While it drains, who needs it is told so; when the last holder lets go, it ends at once. */
RR_TEST(registry_life, unload_waits_for_the_last_holder)
{
	via_registry *r = open_with("unit_unloadable", NULL);
	struct unloader u = {.r = r};
	via_ref ref, other;
	os_thread *t;
	via_time until = rig_soon();
	via_rc rc;

	ref = rr_service(r, "unit");
	cr_assert_eq(os_thread_start(&core_env_libc, "unloader", unload, &u, &t), VIA_OK);
	do {
		rc = via_registry_acquire(r, VIA_KIND_SERVICE, "unit", 0, &other);
		if (rc == VIA_OK)
			via_registry_release(r, &other);
	} while (rc == VIA_OK && os_now() < until);
	cr_assert_eq(rc, VIA_BUSY, "%s", via_rc_name(rc));
	cr_expect(rig_error_has(" is being unloaded"), "%s", via_error());
	cr_expect_eq(atomic_load(&u.done), 0);
	cr_expect_str_eq(rr_call(&ref, "version"), "1", "what is held goes on working");
	via_registry_release(r, &ref);
	os_thread_join(&core_env_libc, t);
	cr_expect_eq(u.rc, VIA_OK);
	ref = rr_service(r, "unit");
	cr_expect_eq(rr_info(r, "a").generation, 2);
	via_registry_release(r, &ref);
	rr_close(r);
}

/* -- what is left behind ----------------------------------------------------------------------- */

RR_TEST(registry_life, leaks_are_found_and_freed)
{
	via_registry *r = open_with("unit_unloadable", "leak=yes\n");

	rr_refused(via_registry_unload(r, UNIT, VIA_POLL), VIA_STATE,
		   "org.test.unit is unloaded, but left behind 1 blocks of memory (");
	cr_expect_eq(rr_info(r, "a").state, VIA_FILE_RETIRED,
		     "its code stays: something may still point to it");
	cr_expect(strstr(rr_info(r, "a").reason, "left behind 1 blocks") != NULL);
	cr_expect(strstr(rr_log(), "4 org.test.unit: after fini: left behind 1 blocks") != NULL,
		  "%s", rr_log());
	rr_retired(1);
	rr_close(r);

	/* On closing, it is logged. */
	r = open_with("unit_unloadable", "leak=yes\n");
	rr_retired(1);
	rr_close(r);
}

RR_TEST(registry_life, references_left_behind_are_dropped)
{
	via_registry *r;

	rr_put("unit_moved", "m");
	r = open_with("unit_unloadable", "lookup=moved\nkeep=yes\n");
	cr_expect_eq(rr_info(r, "m").n_pins, 1);
	rr_refused(via_registry_unload(r, UNIT, VIA_POLL), VIA_STATE,
		   "0 blocks of memory (0 bytes), 1 references");
	cr_expect_eq(rr_info(r, "m").n_pins, 0);
	rr_retired(2);
	rr_close(r);
}

RR_TEST(registry_life, memory_that_is_not_its_own_is_left_alone)
{
	via_registry *r;
	via_ref ref, other;

	rr_put("moved_unloadable", "m");
	r = open_with("unit_unloadable", "lookup=moved\n");
	ref = rr_service(r, "unit");
	other = rr_service(r, "moved");
	rr_call(&ref, "foreign");
	cr_expect(strstr(rr_log(), "org.test.unit: gave back memory that is not its own") != NULL,
		  "%s", rr_log());
	cr_expect_str_eq(rr_call(&other, "version"), "1");
	via_registry_release(r, &ref);
	via_registry_release(r, &other);
	rr_close(r);
}
