/* tests/registry/test_trust.c - files that cannot be trusted, and the environment. POSIX only. */
#include "lock_rig.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

TestSuite(registry_trust, .init = rig_open, .fini = rig_close, .timeout = 30);

static void mode(const char *name, mode_t m)
{
	cr_assert_eq(chmod(rig_path(name), m), 0, "%s: %s", name, strerror(errno));
}

static void expect_refused(via_registry *r, const char *why)
{
	rr_file f = rr_info(r, "a");

	cr_expect_eq(f.state, VIA_FILE_REFUSED, "state %u", f.state);
	cr_expect(strstr(f.reason, why) != NULL, "expected \"%s\" in: %s", why, f.reason);
	cr_expect_str_eq(f.id, "org.test.unit", "who it claims to be is known all the same");
}

RR_TEST(registry_trust, world_writable_file)
{
	via_registry *r;
	via_ref ref;

	rr_put("unit", "a");
	mode("a.so", 0777);
	r = rr_open();
	expect_refused(r, "mode 0777 is writable by others, expected at most 0755");
	rr_refused(via_registry_acquire(r, VIA_KIND_SERVICE, "unit", 0, &ref), VIA_NOTFOUND,
		   "writable by others");
	mode("a.so", 0755); /* repaired: a change of mode does not show in the file's identity */
	ref = rr_service(r, "unit");
	via_registry_release(r, &ref);
	rr_retired(1);
	rr_close(r);
}

RR_TEST(registry_trust, becomes_world_writable_after_the_scan)
{
	via_registry *r;
	via_ref ref;
	rr_file f;

	rr_put("unit", "a");
	r = rr_open();
	mode("a.so", 0757);
	rr_refused(via_registry_acquire(r, VIA_KIND_SERVICE, "unit", 0, &ref), VIA_PERM,
		   "a.so: mode 0757 is writable by others, expected at most 0755");
	f = rr_info(r, "a");
	cr_expect(strstr(f.reason, "writable by others") != NULL, "the reason is kept: %s",
		  f.reason);
	cr_expect_eq(f.generation, 0);
	mode("a.so", 0755);
	ref = rr_service(r, "unit");
	cr_expect_str_eq(rr_info(r, "a").reason, "");
	via_registry_release(r, &ref);
	rr_retired(1);
	rr_close(r);
}

RR_TEST(registry_trust, world_writable_directory)
{
	via_registry *r;

	rig_mkdir(rig_path("open"));
	rig_mkdir(rig_path("open/modules"));
	rr_put("unit", "open/modules/a");
	mode("open", 0777);
	r = rr_open_path(rig_path("open/modules"), NULL);
	expect_refused(r, "mode 0777 is writable by others");
	mode("open", 01777); /* sticky: others may add entries, but not replace this one */
	cr_assert_eq(via_registry_scan(r), VIA_OK);
	cr_expect_eq(rr_info(r, "a").state, VIA_FILE_FOUND, "%s", rr_info(r, "a").reason);
	rr_close(r);
}

RR_TEST(registry_trust, symbolic_link)
{
	via_registry *r;
	rr_file f;

	rig_mkdir(rig_path("real"));
	rr_put("unit", "real/a");
	cr_assert_eq(symlink(rig_path("real/a.so"), rig_path("link.so")), 0);
	r = rr_open();
	f = rr_info(r, "link");
	cr_expect_eq(f.state, VIA_FILE_REFUSED);
	cr_expect(strstr(f.reason, "link") != NULL, "%s", f.reason);
	rr_close(r);
}

RR_TEST(registry_trust, unreadable)
{
	via_registry *r;

	if (geteuid() == 0)
		rig_skip("root reads every file");
	rr_put("unit", "a");
	mode("a.so", 0);
	r = rr_open();
	cr_expect_eq(rr_info(r, "a").state, VIA_FILE_REFUSED);
	cr_expect_neq(rr_info(r, "a").reason[0], '\0');
	rr_close(r);
}

RR_TEST(registry_trust, somebody_elses_file)
{
	via_registry *r;

	if (geteuid() != 0)
		rig_skip("only root gives files away");
	rr_put("unit", "a");
	cr_assert_eq(chown(rig_path("a.so"), 65534, 65534), 0);
	r = rr_open();
	expect_refused(r, "owned by user 65534, expected 0 or 0");
	rr_close(r);
}

/* Who may write a lock decides which code is run. */
RR_TEST(registry_trust, locks_are_files_like_modules)
{
	rr_put("unit_unloadable", "a");
	lr_list(LOCK, A);
	mode(LOCK, 0646);
	lr_refused("modules.lock: mode 0646 is writable by others, expected at most 0644");
	mode(LOCK, 0644);
	lr_loaded();
	cr_assert_eq(rename(rig_path(LOCK), rig_path("real")), 0);
	cr_assert_eq(symlink(rig_path("real"), rig_path(LOCK)), 0);
	lr_refused("modules.lock is a symbolic link, expected a regular file");
	cr_assert_eq(unlink(rig_path(LOCK)), 0);
	rig_mkdir(rig_path(DIR));
	lr_list(DIR "/a.lock", A);
	mode(DIR, 0777);
	lr_refused("mode 0777 is writable by others");
	mode(DIR, 0755);
	lr_loaded();
	if (geteuid() == 0) {
		cr_assert_eq(chown(rig_path(DIR "/a.lock"), 65534, 65534), 0);
		lr_refused("a.lock: owned by user 65534, expected 0 or 0");
	}
}

RR_TEST(registry_trust, environment_is_used)
{
	via_registry_options o;
	via_registry *r;

	rr_put("unit", "a");
	cr_assert_eq(setenv("VIADUCT_MODULE_PATH", rig_path(""), 1), 0);
	rr_options(&o);
	cr_assert_eq(reg_open(&o, NULL, &r), VIA_OK, "%s", via_error());
	cr_expect_eq(rr_info(r, "a").state, VIA_FILE_FOUND, "%s", via_registry_path(r));
	rr_close(r);
	cr_assert_eq(setenv("VIADUCT_MODULE_PATH", "modules", 1), 0);
	rr_refused(reg_open(&o, NULL, &r), VIA_INVAL,
		   "VIADUCT_MODULE_PATH: expected absolute directories, found \"modules\"");
	cr_assert_eq(setenv("VIADUCT_MODULE_PATH", "", 1), 0);
	cr_assert_eq(reg_open(&o, NULL, &r), VIA_OK, "%s", via_error());
	cr_expect_neq(via_registry_path(r)[0], '\0', "empty is as good as unset");
	rr_close(r);
	o.module_path = "";
	cr_assert_eq(setenv("VIADUCT_MODULE_PATH", rig_path(""), 1), 0);
	cr_assert_eq(reg_open(&o, NULL, &r), VIA_OK, "%s", via_error());
	cr_expect_str_eq(via_registry_path(r), "", "what the program says comes first");
	rr_close(r);
}
