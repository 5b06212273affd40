/* tests/registry/test_lock.c - modules held to the locks of their directory. */
#include "lock_rig.h"

#include <stdio.h>

TestSuite(registry_lock, .init = rig_open, .fini = rig_close, .timeout = 120);

/* -- rig --------------------------------------------------------------------------------------- */

static void flip(const char *path, long at)
{
	FILE *f = fopen(path, "r+b");
	int byte;

	cr_assert_not_null(f, "%s", path);
	cr_assert_eq(fseek(f, at, SEEK_SET), 0);
	byte = fgetc(f);
	cr_assert_neq(byte, EOF, "%ld", at);
	cr_assert_eq(fseek(f, at, SEEK_SET), 0);
	cr_assert_eq(fputc(byte ^ 1, f), byte ^ 1);
	cr_assert_eq(fclose(f), 0);
}

static long size_of(const char *path)
{
	FILE *f = fopen(path, "rb");
	long size;

	cr_assert_not_null(f, "%s", path);
	cr_assert_eq(fseek(f, 0, SEEK_END), 0);
	size = ftell(f);
	fclose(f);
	return size;
}

/* -- what is listed ---------------------------------------------------------------------------- */

RR_TEST(registry_lock, a_listed_module_is_loaded)
{
	static const char *const forms[] = {
		"%s  " A,
		"%s *" A "\n",
		"# of package x\n\n \t\n  # and\n%s  " A "\n",
		"%s  " A "\r\n",
		"# \x01\xff\r\n\r\n%s *" A "\r\n" ZEROS "  another" OS_MODULE_SUFFIX "\r\n",
		ZEROS "  notes.txt\n" ZEROS "  gr\xc3\xb6\xc3\x9f"
		      "e b\n%s  " A "\n%s  " A "\n",
	};
	char text[640];
	const char *sum;
	size_t i;

	rr_put("unit_unloadable", "a");
	sum = lr_digest(rig_path(A));
	for (i = 0; i < N(forms); i++) {
		/* a form without a second place ignores the second argument */
		snprintf(text, sizeof text, forms[i], sum, sum);
		lr_write(LOCK, text);
		lr_loaded();
	}
}

RR_TEST(registry_lock, any_file_of_the_directory_of_locks_may_list_it)
{
	rr_put("unit_unloadable", "a");
	rig_mkdir(rig_path(DIR));
	lr_refused("no modules.lock lists it");
	lr_list(DIR "/a.lock.orig", A);
	lr_list(DIR "/.a.lock", A);
	lr_list(DIR "/.lock", A);
	lr_refused("no modules.lock lists it");
	lr_write(DIR "/b.lock", ZEROS "  b" OS_MODULE_SUFFIX "\n");
	lr_list(DIR "/mine.lock", A);
	lr_loaded();
	lr_list(LOCK, A); /* the same again */
	lr_loaded();
}

RR_TEST(registry_lock, names_are_those_of_the_file_system)
{
	char text[256];

	rr_put("unit_unloadable", "a");
	snprintf(text, sizeof text, "%s  A" OS_MODULE_SUFFIX "\n", lr_digest(rig_path(A)));
	lr_write(LOCK, text);
#if defined(_WIN32)
	lr_loaded();
	snprintf(text, sizeof text, "%s  a.dll\n" ZEROS "  A.DLL\n", lr_digest(rig_path(A)));
	lr_write(LOCK, text);
	lr_refused("line 2: A.DLL: expected sha256 ");
#else
	lr_refused("no modules.lock lists it");
#endif
}

RR_TEST(registry_lock, without_the_policy_locks_are_not_even_read)
{
	via_registry *r;

	rr_put("unit_unloadable", "a");
	lr_write(LOCK, "nonsense\n");
	r = lr_open_under(VIA_MODULES_ANY, rig_path(""), NULL);
	cr_assert_eq(via_registry_verify(r), VIA_OK, "%s", via_error());
	lr_version(r, "1");
	rr_close(r);
}

RR_TEST(registry_lock, each_directory_has_its_own)
{
	char path[2100];
	via_registry *r;

	rig_mkdir(rig_path("one"));
	rig_mkdir(rig_path("two"));
	rr_put("unit_unloadable", "one/a");
	rr_put("moved_unloadable", "two/b");
	lr_write("one/" LOCK, ZEROS "  b" OS_MODULE_SUFFIX "\n");
	snprintf(path, sizeof path, "%s  b" OS_MODULE_SUFFIX "\n",
		 lr_digest(rig_path("two/b" OS_MODULE_SUFFIX)));
	lr_write("two/" LOCK, path);
	snprintf(path, sizeof path, "%s%c%s", rig_path("one"), OS_PATH_SEP, rig_path("two"));
	r = lr_open_under(VIA_MODULES_LOCKED, path, NULL);
	cr_expect_eq(rr_info(r, "a").state, VIA_FILE_REFUSED);
	cr_expect_eq(rr_info(r, "b").state, VIA_FILE_FOUND, "%s", rr_info(r, "b").reason);
	cr_expect_eq(via_registry_load(r, "org.test.moved"), VIA_OK, "%s", via_error());
	rr_close(r);
}

static via_rc VIA_CALL enter(uint32_t minor, const via_module_desc **out)
{
	(void)minor;
	*out = NULL;
	return VIA_IO;
}

/* Part of the library: nothing of it lies in the directory. */
RR_TEST(registry_lock, builtin_modules_need_none)
{
	static const char text[] = "viaduct-module\0abi=1\0id=org.test.inside\0"
				   "provides=service org.test.inside/1 name=inside\0";
	static const uint32_t len = sizeof text - 1;
	static const core_builtin table[] = {{"inside", text, &len, enter},
					     {NULL, NULL, NULL, NULL}};
	via_registry *r = lr_open_under(VIA_MODULES_LOCKED, "", table);

	cr_assert_eq(via_registry_verify(r), VIA_OK, "%s", via_error());
	cr_expect_eq(rr_info(r, "(builtin)").state, VIA_FILE_FOUND, "%s",
		     rr_info(r, "(builtin)").reason);
	rr_refused(via_registry_load(r, "org.test.inside"), VIA_EABI, "answered VIA_IO");
	rr_close(r);
}

/* What is not admitted takes no place in the search order. */
RR_TEST(registry_lock, an_unlisted_file_shadows_nothing)
{
	via_registry *r;

	rr_put("unit2", "0");
	rr_put("unit_unloadable", "a");
	lr_list(LOCK, A);
	r = lr_open();
	cr_expect_eq(rr_info(r, "0").state, VIA_FILE_REFUSED);
	lr_version(r, "1");
	rr_close(r);
}

/* -- what differs ------------------------------------------------------------------------------ */

RR_TEST(registry_lock, a_flipped_byte_is_refused_by_name)
{
	char listed[SHA256_TEXT], why[256];
	via_registry *r;

	rr_put("unit_unloadable", "a");
	lr_list(LOCK, A);
	snprintf(listed, sizeof listed, "%s", lr_digest(rig_path(A)));
	flip(rig_path(A), size_of(rig_path(A)) - 1);
	snprintf(why, sizeof why, "locked: expected sha256 %s, found %s (listed in modules.lock)",
		 listed, lr_digest(rig_path(A)));
	r = lr_open();
	cr_expect_eq(rr_info(r, "a").state, VIA_FILE_FOUND, "a scan hashes nothing");
	rr_refused(lr_load(r), VIA_PERM, A ": locked: expected sha256 ");
	cr_expect(rig_error_has(why), "%s", via_error());
	cr_expect_str_eq(rr_info(r, "a").reason, why, "the reason is kept");
	cr_expect_eq(rr_info(r, "a").generation, 0);
	cr_assert_eq(via_registry_verify(r), VIA_OK, "%s", via_error());
	cr_expect_eq(rr_info(r, "a").state, VIA_FILE_REFUSED, "to verify is to hash");
	cr_expect_str_eq(rr_info(r, "a").reason, why);
	flip(rig_path(A), size_of(rig_path(A)) - 1);
	lr_version(r, "1");
	rr_close(r);
}

/* Wherever it is: header, identity, code, symbols. */
RR_TEST(registry_lock, any_byte_of_the_module)
{
	long at, size, n = 0;
	via_registry *r;
	via_rc rc;

	rr_put("unit_unloadable", "a");
	lr_list(LOCK, A);
	size = size_of(rig_path(A));
	for (at = 0; at < size; at += size / 97 + 1) {
		flip(rig_path(A), at);
		r = lr_open();
		rc = lr_load(r);
		cr_assert_lt(rc, 0, "byte %ld", at);
		cr_assert(rig_error_has(A), "byte %ld: %s", at, via_error());
		n += rc == VIA_PERM;
		rr_close(r);
		flip(rig_path(A), at);
	}
	cr_expect_gt(n, 50, "most by the lock");
	lr_loaded();
}

RR_TEST(registry_lock, a_flipped_digit_of_the_lock)
{
	char line[256];
	via_registry *r;

	rr_put("unit_unloadable", "a");
	snprintf(line, sizeof line, "%s  " A "\n", lr_digest(rig_path(A)));
	line[5] = line[5] == '0' ? '1' : '0';
	lr_write(LOCK, line);
	r = lr_open();
	rr_refused(lr_load(r), VIA_PERM, "locked: expected sha256 ");
	line[64] = '\0';
	cr_expect(rig_error_has(line), "%s", via_error());
	cr_expect(rig_error_has(lr_digest(rig_path(A))), "%s", via_error());
	rr_close(r);
}

/* -- locks that change ------------------------------------------------------------------------- */

/* The administrator's lock comes after the file, with the program running. */
RR_TEST(registry_lock, a_lock_that_comes_later)
{
	via_registry *r;

	rr_put("unit_unloadable", "a");
	r = lr_open();
	rr_refused(lr_load(r), VIA_NOTFOUND, A ": locked: no modules.lock lists it");
	rig_mkdir(rig_path(DIR));
	lr_list(DIR "/mine.lock", A);
	lr_version(r, "1");
	rr_close(r);
}

RR_TEST(registry_lock, a_lock_that_goes_after_the_scan)
{
	via_registry *r;

	rr_put("unit_unloadable", "a");
	lr_list(LOCK, A);
	r = lr_open();
	cr_expect_eq(rr_info(r, "a").state, VIA_FILE_FOUND, "%s", rr_info(r, "a").reason);
	rig_remove(rig_path(LOCK));
	cr_assert_lt(lr_load(r), 0);
	cr_expect(rig_error_has(A ": locked: no modules.lock lists it"), "%s", via_error());
	lr_write(LOCK, "nonsense\n");
	cr_assert_lt(lr_load(r), 0);
	cr_expect(rig_error_has(A ": locked: modules.lock: line 1: "), "%s", via_error());
	lr_list(LOCK, A);
	lr_version(r, "1");
	/* What is loaded goes on. */
	lr_write(LOCK, "nonsense\n");
	lr_version(r, "1");
	rr_close(r);
}

/* A package brings a module and its lock one after the other: between them the need fails, and the
 * one after that does not, whichever was first. */
RR_TEST(registry_lock, an_upgrade_in_either_order)
{
	char line[256];
	via_registry *r;
	int lock_first;

	for (lock_first = 0; lock_first < 2; lock_first++) {
		rr_put("unit_unloadable", "a");
		lr_list(LOCK, A);
		r = lr_open();
		if (lock_first) {
			snprintf(line, sizeof line, "%s  " A "\n", lr_digest(rr_built("unit2")));
			lr_write(LOCK, line);
		} else {
			rr_move("unit2", "a");
		}
		rr_refused(lr_load(r), VIA_PERM, "locked: expected sha256 ");
		if (lock_first)
			rr_move("unit2", "a");
		else
			lr_list(LOCK, A);
		lr_version(r, "2");
		rr_retired(1);
		rr_close(r);
	}
}

static void upgrade(void *arg)
{
	(void)arg;
	/* On Windows the name of a file that is open is free once that has another one. */
	cr_assert_eq(rename(rig_path(A), rig_path("old")), 0);
	rr_move("unit2", "a");
	lr_list(LOCK, A);
}

/* Both change while the old file is being copied. */
RR_TEST(registry_lock, an_upgrade_in_the_middle_of_a_load)
{
	via_registry *r;

	rr_put("unit_unloadable", "a");
	lr_list(LOCK, A);
	r = lr_open();
#if defined(_WIN32)
	rig_before_call("WriteFile", upgrade, NULL);
#else
	rig_before_call("getrlimit", upgrade, NULL);
#endif
	lr_version(r, "2");
	rr_retired(1);
	rr_close(r);
}

/* -- failures ---------------------------------------------------------------------------------- */

static via_registry *denied_registry;

static via_rc once(void)
{
	via_registry_options o;
	via_rc rc;

	rr_options(&o);
	o.module_path = rig_path("");
	o.module_policy = VIA_MODULES_LOCKED;
	denied_registry = NULL;
	rc = reg_open(&o, NULL, &denied_registry);
	if (rc != VIA_OK)
		return rc;
	rc = via_registry_verify(denied_registry);
	return rc != VIA_OK ? rc : lr_load(denied_registry);
}

RR_TEST(registry_lock, the_nth_call_or_allocation_fails)
{
	int descriptors;
	uint32_t n, n_failed = 0;
	via_rc rc;

	rr_put("unit_unloadable", "a");
	rig_mkdir(rig_path(DIR));
	lr_list(LOCK, A);
	lr_list(DIR "/x.lock", A);
	lr_list(DIR "/y.lock", A);
	cr_assert_eq(once(), VIA_OK, "%s", via_error());
	rr_close(denied_registry);
	descriptors = rig_descriptors();
	for (n = 1; n < 3000; n++) {
		rig_deny(n);
		rc = once();
		if (rc != VIA_OK) {
			n_failed++;
			cr_expect_neq(via_error()[0], '\0', "%s without a word", via_rc_name(rc));
		}
		if (denied_registry != NULL)
			rr_close(denied_registry);
		cr_assert_eq(rig_allocations(), 0, "%u: %d allocations are left", n,
			     rig_allocations());
		cr_assert_eq(rig_descriptors(), descriptors, "%u: %s", n, via_error());
		if (rig_denied() == 0)
			break;
		rig_deny(0);
	}
	rig_deny(0);
	cr_assert_lt(n, 3000);
	cr_expect_gt(n_failed, 50, "of %u", n);
	lr_loaded();
}
