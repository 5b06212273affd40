/* tests/registry/test_load.c - loading on first need, configuration, failures, files that change
 * meanwhile. */
#include "reg_rig.h"

#include <stdio.h>
#include <stdatomic.h>

TestSuite(registry_load, .init = rig_open, .fini = rig_close, .timeout = 60);

#define UNIT "org.test.unit"

RR_TEST(registry_load, on_first_need)
{
	via_registry *r;
	via_ref a, b;

	rr_put("unit_unloadable", "a");
	r = rr_open();
	cr_expect_eq(rr_info(r, "a").state, VIA_FILE_FOUND);
	a = rr_service(r, "unit");
	cr_expect_eq(rr_info(r, "a").state, VIA_FILE_LOADED);
	cr_expect_eq(rr_info(r, "a").generation, 1);
	b = rr_service(r, "unit");
	cr_expect_eq(a.self, b.self);
	cr_expect_eq(rr_info(r, "a").generation, 1, "once");
	cr_expect_str_eq(rr_call(&a, "starts"), "1");
	cr_expect_eq(via_registry_load(r, UNIT), VIA_OK);
	cr_expect_eq(rr_info(r, "a").generation, 1);
	cr_expect(strstr(rr_log(), "1 org.test.unit: unit is up\n") != NULL, "%s", rr_log());
	cr_expect(strstr(rr_log(), "org.test.unit: version 1 loaded from ") != NULL, "%s",
		  rr_log());
	via_registry_release(r, &a);
	via_registry_release(r, &b);
	rr_close(r);
}

RR_TEST(registry_load, direct_mode)
{
	via_registry_options o;
	via_registry *r;
	via_ref ref;

	rr_put("unit_unloadable", "a");
	rr_options(&o);
	o.module_path = rig_path("");
	o.load_mode = VIA_LOAD_DIRECT;
	cr_assert_eq(reg_open(&o, NULL, &r), VIA_OK, "%s", via_error());
	ref = rr_service(r, "unit");
	cr_expect_str_eq(rr_call(&ref, "version"), "1");
	via_registry_release(r, &ref);
	rr_close(r);
}

/* -- configuration and failures ---------------------------------------------------------------- */

static void configured(const char *config, via_rc rc, const char *reason)
{
	via_registry *r = rr_open();
	via_ref ref;
	rr_file f;

	cr_assert_eq(via_registry_configure(r, UNIT, config), VIA_OK, "%s", via_error());
	rr_refused(via_registry_acquire(r, VIA_KIND_SERVICE, "unit", 0, &ref), rc, reason);
	f = rr_info(r, "a");
	cr_expect_eq(f.state, VIA_FILE_FOUND, "a failed load changes nothing");
	cr_expect_eq(f.generation, 0);
	cr_expect(strstr(f.reason, reason) != NULL, "the reason is kept: %s", f.reason);
	/* The next attempt may go well. */
	cr_assert_eq(via_registry_configure(r, UNIT, NULL), VIA_OK, "%s", via_error());
	ref = rr_service(r, "unit");
	cr_expect_str_eq(rr_info(r, "a").reason, "");
	via_registry_release(r, &ref);
	rr_close(r);
}

RR_TEST(registry_load, init_and_start_may_fail)
{
	rr_put("unit_unloadable", "a");
	configured("init=fail\n", VIA_IO, "init failed: told to fail");
	configured("init=silent\n", VIA_LIMIT, "init failed: ");
	configured("start=fail\n", VIA_IO, "start failed: told not to start");
	configured("colour=blue\n", VIA_INVAL, "init failed: unknown key");
	configured("lookup=nobody\n", VIA_NOTFOUND,
		   "init failed: no module provides service \"nobody\"");
}

RR_TEST(registry_load, what_a_failed_init_leaves_is_reported_and_freed)
{
	rr_put("unit_unloadable", "a");
	configured("init=leak\n", VIA_NOMEM, "init failed: told to fail with a block left");
	cr_expect(strstr(rr_log(),
			 "after a failed init: left behind 1 blocks of memory (100 bytes)") != NULL,
		  "%s", rr_log());
}

RR_TEST(registry_load, configuration_comes_before_the_load)
{
	via_registry *r;
	via_ref ref;

	rr_put("unit_unloadable", "a");
	rr_put("carrier", "c");
	r = rr_open();
	rr_refused(via_registry_configure(r, "no id", "x"), VIA_INVAL, "\"no id\" is no module id");
	rr_refused(via_registry_configure(r, NULL, "x"), VIA_INVAL, "is no module id");
	cr_assert_eq(via_registry_configure(r, "org.test.absent", "x=y\n"), VIA_OK,
		     "it may still come");
	cr_assert_eq(via_registry_configure(r, UNIT, "init=fail\n"), VIA_OK);
	cr_assert_eq(via_registry_configure(r, UNIT, "again=3\n"), VIA_OK, "the last word counts");
	ref = rr_service(r, "unit");
	rr_refused(via_registry_configure(r, UNIT, "x=y\n"), VIA_STATE, "org.test.unit is loaded");
	via_registry_release(r, &ref);
	rr_close(r);
}

/* -- files ------------------------------------------------------------------------------------- */

RR_TEST(registry_load, files_that_pass_the_scan_but_not_the_gate)
{
	static const char *const variants[][2] = {
		{"unit_minor", ": built for viaduct ABI 1.4, this core offers 1.0"},
		{"unit_no_entry", ": the symbol viaduct_module_v1 is missing"},
		{"unit_mismatch",
		 ": descriptor: id: expected org.test.unit as in the identity text, found org.test.other"},
		{"unit_no_call", ": service unit: member call is missing"},
	};
	char name[64];
	via_registry *r;
	via_ref ref;
	size_t i;

	for (i = 0; i < sizeof variants / sizeof variants[0]; i++) {
		rr_put(variants[i][0], "a");
		r = rr_open();
		cr_expect_eq(rr_info(r, "a").state, VIA_FILE_FOUND, "%s", rr_info(r, "a").reason);
		snprintf(name, sizeof name, "a" OS_MODULE_SUFFIX "%s", variants[i][1]);
		rr_refused(via_registry_acquire(r, VIA_KIND_SERVICE, "unit", 0, &ref), VIA_EABI,
			   variants[i][1]);
		cr_expect(strstr(rr_info(r, "a").reason, variants[i][1] + 2) != NULL);
		rr_close(r);
	}
}

/* How the file is changed under a loaded module. */
static void overwrite(void)
{
	rr_put("unit2", "a");
}

static void rename_over(void)
{
	rr_move("unit2", "a");
}

static void truncate_then_replace(void)
{
	rig_write(rig_path("a" OS_MODULE_SUFFIX), "", 0);
}

static void delete_it(void)
{
	rig_remove(rig_path("a" OS_MODULE_SUFFIX));
}

static void changed_while_loaded(void (*change)(void), uint32_t state, const char *reason)
{
	via_registry *r;
	via_ref ref;
	rr_file f;

	rr_put("unit_unloadable", "a");
	r = rr_open();
	ref = rr_service(r, "unit");
	change();
	cr_expect_str_eq(rr_call(&ref, "version"), "1", "the loaded code goes on");
	cr_assert_eq(via_registry_scan(r), VIA_OK);
	cr_expect_str_eq(rr_call(&ref, "drains"), "0");
	f = rr_info(r, "a");
	cr_expect_eq(f.state, state, "state %u", f.state);
	cr_expect(strstr(f.reason, reason) != NULL, "%s", f.reason);
	via_registry_release(r, &ref);
	cr_assert_eq(via_registry_unload(r, UNIT, VIA_POLL), VIA_OK, "%s", via_error());
	rr_move("unit2", "a");
	ref = rr_service(r, "unit");
	cr_expect_str_eq(rr_call(&ref, "version"), "2", "the next generation is the new file");
	cr_expect_str_eq(rr_info(r, "a").version, "2");
	via_registry_release(r, &ref);
	rr_retired(1); /* unit2 is not unloadable: its code stays */
	rr_close(r);
}

RR_TEST(registry_load, overwritten_while_loaded)
{
	changed_while_loaded(overwrite, VIA_FILE_LOADED, "the file was replaced");
}

RR_TEST(registry_load, renamed_over_while_loaded)
{
	changed_while_loaded(rename_over, VIA_FILE_LOADED, "the file was replaced");
}

RR_TEST(registry_load, truncated_while_loaded)
{
	changed_while_loaded(truncate_then_replace, VIA_FILE_LOADED, "the file was replaced");
}

RR_TEST(registry_load, removed_while_loaded)
{
	changed_while_loaded(delete_it, VIA_FILE_GONE, "the file is gone");
}

RR_TEST(registry_load, changed_between_scan_and_load)
{
	via_registry *r;
	via_ref ref;

	rr_put("unit_unloadable", "a");
	r = rr_open();
	rr_put("unit2", "a");
	ref = rr_service(r, "unit");
	cr_expect_str_eq(rr_call(&ref, "version"), "2",
			 "still what was asked for: the file as it is");
	cr_expect_str_eq(rr_info(r, "a").version, "2");
	via_registry_release(r, &ref);
	rr_retired(1);
	rr_close(r);

	rr_put("unit", "a");
	r = rr_open();
	rr_put("unit_moved", "a");
	rr_refused(
		via_registry_acquire(r, VIA_KIND_SERVICE, "unit", 0, &ref), VIA_NOTFOUND,
		"changed since it was scanned: it is now org.test.moved 1 and does not provide service \"unit\"");
	cr_expect_str_eq(rr_info(r, "a").id, "org.test.moved");
	ref = rr_service(r, "moved");
	via_registry_release(r, &ref);
	rr_retired(1);
	rr_close(r);

	rr_put("unit", "a");
	r = rr_open();
	rig_write(rig_path("a" OS_MODULE_SUFFIX), "garbage", 7);
	rr_refused(via_registry_acquire(r, VIA_KIND_SERVICE, "unit", 0, &ref), VIA_EABI, "not a");
	rr_close(r);
}

RR_TEST(registry_load, became_a_double_between_scan_and_load)
{
	via_registry *r;
	via_ref ref;

	rr_put("unit_moved", "a");
	rr_put("unit_unloadable", "b");
	r = rr_open();
	ref = rr_service(r, "unit");
	rr_put("unit2", "a");
	via_registry_release(r, &ref);
	rr_refused(via_registry_acquire(r, VIA_KIND_SERVICE, "moved", 0, &ref), VIA_EXISTS,
		   "changed since it was scanned: org.test.unit is already provided by ");
	cr_expect_eq(rr_info(r, "a").state, VIA_FILE_SHADOWED);
	rr_close(r);
}

/* -- modules that need others ------------------------------------------------------------------ */

RR_TEST(registry_load, requirements)
{
	via_registry *r;
	via_ref ref;

	rr_put("unit_needy", "n");
	r = rr_open();
	rr_refused(via_registry_acquire(r, VIA_KIND_SERVICE, "needy", 0, &ref), VIA_NOTFOUND,
		   "requires service \"unit\", which no module provides");
	rr_put("unit_unloadable", "u");
	ref = rr_service(r, "needy");
	cr_expect_eq(rr_info(r, "u").generation, 0,
		     "it must be there, and is loaded when it is asked for");
	via_registry_release(r, &ref);
	rr_retired(1);
	rr_close(r);
}

RR_TEST(registry_load, lookup_during_init)
{
	via_registry *r;
	via_ref ref;
	rr_file f;

	rr_put("unit_unloadable", "u");
	rr_put("unit_moved", "m");
	r = rr_open();
	cr_assert_eq(via_registry_configure(r, "org.test.moved", "lookup=unit\n"), VIA_OK);
	ref = rr_service(r, "moved");
	f = rr_info(r, "u");
	cr_expect_eq(f.state, VIA_FILE_LOADED);
	cr_expect_eq(f.n_pins, 1);
	rr_refused(via_registry_unload(r, UNIT, VIA_POLL), VIA_BUSY,
		   "org.test.unit is still held by module org.test.moved");
	via_registry_release(r, &ref);
	cr_assert_eq(via_registry_unload(r, "org.test.moved", VIA_POLL), VIA_OK, "%s", via_error());
	cr_expect_eq(rr_info(r, "u").n_pins, 0);
	cr_assert_eq(via_registry_unload(r, UNIT, VIA_POLL), VIA_OK, "%s", via_error());
	rr_retired(1);
	rr_close(r);
}

RR_TEST(registry_load, circles_are_refused_not_waited_for)
{
	via_registry *r;
	via_ref ref;

	rr_put("unit_unloadable", "u");
	rr_put("unit_moved", "m");
	r = rr_open();
	cr_assert_eq(via_registry_configure(r, UNIT, "lookup=unit\n"), VIA_OK);
	rr_refused(via_registry_acquire(r, VIA_KIND_SERVICE, "unit", 0, &ref), VIA_STATE,
		   "need each other");
	cr_assert_eq(via_registry_configure(r, UNIT, "lookup=moved\n"), VIA_OK);
	cr_assert_eq(via_registry_configure(r, "org.test.moved", "lookup=unit\n"), VIA_OK);
	rr_refused(via_registry_acquire(r, VIA_KIND_SERVICE, "unit", 0, &ref), VIA_STATE,
		   "org.test.moved and ");
	cr_expect_eq(rr_info(r, "u").generation, 0);
	cr_expect_eq(rr_info(r, "m").generation, 0);
	cr_assert_eq(via_registry_configure(r, UNIT, NULL), VIA_OK);
	ref = rr_service(r, "moved");
	via_registry_release(r, &ref);
	rr_retired(2); /* its init failed once, after its code had run */
	rr_close(r);
}

/* -- threads ----------------------------------------------------------------------------------- */

enum { N_THREADS = 4, N_ROUNDS = 20 };

struct racer {
	via_registry *r;
	const char *name;
	atomic_int *go;
	void *self;
	via_rc rc;
};

static void race(void *arg)
{
	struct racer *x = arg;
	via_ref ref;

	atomic_fetch_add(x->go, 1);
	while (atomic_load(x->go) < N_THREADS)
		os_cpu_relax();
	x->rc = via_registry_acquire(x->r, VIA_KIND_SERVICE, x->name, 0, &ref);
	if (x->rc == VIA_OK) {
		x->self = ref.self;
		via_registry_release(x->r, &ref);
	}
}

static void run_race(via_registry *r, const char *const names[2], struct racer *x)
{
	os_thread *t[N_THREADS];
	atomic_int go = 0;
	int i;

	for (i = 0; i < N_THREADS; i++) {
		x[i] = (struct racer){r, names[i % 2], &go, NULL, VIA_OK};
		cr_assert_eq(os_thread_start(&core_env_libc, "racer", race, &x[i], &t[i]), VIA_OK);
	}
	for (i = 0; i < N_THREADS; i++)
		os_thread_join(&core_env_libc, t[i]);
}

RR_TEST(registry_load, threads_that_need_it_at_once_load_it_once)
{
	static const char *const names[2] = {"unit", "unit"};
	struct racer x[N_THREADS];
	via_registry *r;
	int i, k;

	rr_put("unit_unloadable", "a");
	r = rr_open();
	for (k = 1; k <= N_ROUNDS; k++) {
		run_race(r, names, x);
		for (i = 0; i < N_THREADS; i++) {
			cr_assert_eq(x[i].rc, VIA_OK, "%s", via_rc_name(x[i].rc));
			cr_assert_eq(x[i].self, x[0].self);
		}
		cr_assert_eq(rr_info(r, "a").generation, (uint32_t)k);
		cr_assert_eq(via_registry_unload(r, UNIT, VIA_POLL), VIA_OK, "%s", via_error());
	}
	rr_close(r);
}

/* Each needs the other: whoever comes first, nobody waits forever, and the loser is told. */
RR_TEST(registry_load, threads_in_a_circle)
{
	static const char *const names[2] = {"unit", "needy"};
	struct racer x[N_THREADS];
	via_registry *r;
	int i, k;

	rr_put("unit_unloadable", "u");
	rr_put("needy_unloadable", "n");
	r = rr_open();
	cr_assert_eq(via_registry_configure(r, UNIT, "lookup=needy\n"), VIA_OK);
	cr_assert_eq(via_registry_configure(r, "org.test.needy", "lookup=unit\n"), VIA_OK);
	for (k = 0; k < N_ROUNDS; k++) {
		run_race(r, names, x);
		for (i = 0; i < N_THREADS; i++)
			cr_assert_eq(x[i].rc, VIA_STATE, "%s", via_rc_name(x[i].rc));
	}
	rr_close(r);
}
