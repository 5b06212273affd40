/* tests/registry/test_scan.c - what is found in the directories of the module path, and what is
 * refused. */
#include "reg_rig.h"

#include <criterion/parameterized.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

TestSuite(registry_scan, .init = rig_open, .fini = rig_close, .timeout = 60);

static void expect_refused(via_registry *r, const char *name, const char *why)
{
	rr_file f = rr_info(r, name);

	cr_assert(f.found, "%s is not listed", name);
	cr_expect_eq(f.state, VIA_FILE_REFUSED, "%s: state %u", name, f.state);
	cr_expect(strstr(f.reason, why) != NULL, "%s: expected \"%s\" in: %s", name, why, f.reason);
}

RR_TEST(registry_scan, an_empty_directory)
{
	via_registry *r = rr_open();

	cr_expect_eq(rr_count(r), 0);
	rr_refused(via_registry_load(r, "org.test.unit"), VIA_NOTFOUND,
		   "no module \"org.test.unit\"; looked in ");
	rr_close(r);
}

RR_TEST(registry_scan, what_a_good_file_says)
{
	via_registry *r;
	via_provided p = {.struct_size = 8};
	rr_file f;

	rr_put("unit", "a");
	r = rr_open();
	f = rr_info(r, "a");
	cr_expect_eq(f.state, VIA_FILE_FOUND);
	cr_expect_str_eq(f.id, "org.test.unit");
	cr_expect_str_eq(f.version, "1");
	cr_expect_str_eq(f.reason, "");
	cr_expect_eq(f.n_provided, 1);
	cr_expect_eq(f.generation, 0);
	rr_refused(via_registry_lookup(r, VIA_KIND_SERVICE, "unit", &p), VIA_INVAL,
		   "struct_size is 8");
	p.struct_size = offsetof(via_provided, codecs); /* a program of the first header */
	p.codecs = "untouched";
	cr_assert_eq(via_registry_lookup(r, VIA_KIND_SERVICE, "unit", &p), VIA_OK, "%s",
		     via_error());
	cr_expect_str_eq(p.codecs, "untouched");
	p.struct_size = sizeof p;
	cr_assert_eq(via_registry_lookup(r, VIA_KIND_SERVICE, "unit", &p), VIA_OK, "%s",
		     via_error());
	cr_expect_str_neq(p.codecs, "untouched");
	cr_expect_eq(p.kind, VIA_KIND_SERVICE);
	cr_expect_eq(p.rev, 1);
	cr_expect_eq(p.score, 100);
	cr_expect_eq(p.max_request, 100);
	cr_expect_eq(p.max_response, 200);
	cr_expect_str_eq(p.name, "unit");
	rr_refused(via_registry_lookup(r, VIA_KIND_CODEC, "unit", &p), VIA_NOTFOUND,
		   "no module provides codec \"unit\"");
	rr_refused(via_registry_lookup(r, 9, "unit", &p), VIA_INVAL, "found 9 and unit");
	rr_refused(via_registry_lookup(r, VIA_KIND_CODEC, NULL, &p), VIA_INVAL, "found 2 and none");
	cr_expect_eq(rr_info(r, "a").state, VIA_FILE_FOUND, "nothing was loaded");
	rr_close(r);
}

RR_TEST(registry_scan, only_modules_are_looked_at)
{
	via_registry *r;

	rr_put("unit", "good");
	rr_put("unit", ".hidden");
	rig_write(rig_path("README"), "x", 1);
	rig_write(rig_path("a.txt"), "x", 1);
	rig_write(rig_path(OS_MODULE_SUFFIX), "x", 1);
	r = rr_open();
	cr_expect_eq(rr_count(r), 1);
	rr_close(r);
}

RR_TEST(registry_scan, bad_files_and_why)
{
	via_registry *r;
	via_ref ref;

	rr_put("unit_other_abi", "abi");
	rr_put("unit_no_note", "bare");
	rig_write(rig_path("empty" OS_MODULE_SUFFIX), "", 0);
	rig_write(rig_path("text" OS_MODULE_SUFFIX), "#!/bin/sh\necho hello\n", 21);
	rig_mkdir(rig_path("dir" OS_MODULE_SUFFIX));
	r = rr_open();
	cr_expect_eq(rr_count(r), 5);
	expect_refused(r, "abi", "built for viaduct ABI 2, this core offers 1.0");
	expect_refused(r, "bare", "not a viaduct module");
	expect_refused(r, "empty", "empty file");
	expect_refused(r, "text", "not a");
	expect_refused(r, "dir", "directory");
	cr_expect_str_eq(rr_info(r, "abi").id, "org.test.unit", "what can be read of it is shown");

	/* Who asks is told about all of them, the likeliest first. */
	rr_refused(via_registry_acquire(r, VIA_KIND_SERVICE, "text", 0, &ref), VIA_NOTFOUND,
		   "; refused: text" OS_MODULE_SUFFIX ": not a");
	cr_expect(rig_error_has("no module provides service \"text\"; looked in "));
	cr_expect(rig_error_has("; empty" OS_MODULE_SUFFIX ": empty file"), "%s", via_error());
	rr_close(r);
}

RR_TEST(registry_scan, many_refused_files_fit_the_sentence)
{
	char name[64];
	via_registry *r;
	via_ref ref;
	int i;

	for (i = 0; i < 60; i++) {
		snprintf(name, sizeof name, "text%d" OS_MODULE_SUFFIX, i);
		rig_write(rig_path(name), "text", 4);
	}
	r = rr_open();
	rr_refused(via_registry_acquire(r, VIA_KIND_SERVICE, "text59", 0, &ref), VIA_NOTFOUND,
		   "; refused: text59" OS_MODULE_SUFFIX ": ");
	cr_expect(rig_error_has(" more"), "%s", via_error());
	cr_expect_lt(strlen(via_error()), 512);
	rr_close(r);
}

RR_TEST(registry_scan, truncated_at_many_lengths)
{
	static char bytes[1 << 22];
	FILE *f = fopen(rr_built("unit_unloadable"), "rb");
	uint32_t n_found = 0;
	size_t full, len;

	cr_assert_not_null(f);
	full = fread(bytes, 1, sizeof bytes, f);
	fclose(f);
	for (len = 0; len < full; len += full / 40) {
		via_registry *r;
		via_ref ref;
		rr_file info;

		rig_write(rig_path("cut" OS_MODULE_SUFFIX), bytes, len);
		r = rr_open();
		info = rr_info(r, "cut");
		cr_assert(info.found);
		if (info.state != VIA_FILE_FOUND) {
			cr_expect_eq(info.state, VIA_FILE_REFUSED);
			cr_expect_neq(info.reason[0], '\0');
		} else if (via_registry_load(r, "org.test.unit") == VIA_OK) {
			ref = rr_service(r, "unit"); /* PE: cut behind everything that is mapped */
			cr_expect_str_eq(rr_call(&ref, "version"), "1");
			via_registry_release(r, &ref);
		}
		n_found += info.state == VIA_FILE_FOUND;
		rr_close(r);
	}
#if !defined(_WIN32)
	cr_expect_eq(n_found, 0, "the section table of an ELF file is at its end");
#else
	(void)n_found;
#endif
}

RR_TEST(registry_scan, first_in_search_order_wins)
{
	char path[1024];
	via_registry *r;
	via_ref ref;
	rr_file f;

	rig_mkdir(rig_path("one"));
	rig_mkdir(rig_path("two"));
	rr_put("unit2", "two/a");
	rr_put("unit", "one/z");
	rr_put("unit_same_id", "two/b");
	rr_put("unit_twin", "two/c");
	snprintf(path, sizeof path, "%s%c%s%c%s", rig_path("one"), OS_PATH_SEP, rig_path("two"),
		 OS_PATH_SEP, rig_path("one"));
	r = rr_open_path(path, NULL);
	cr_expect_str_eq(via_registry_path(r), path);
	cr_expect_eq(rr_count(r), 4, "a directory named twice is searched once");
	cr_expect_eq(rr_info(r, "z").state, VIA_FILE_FOUND);
	f = rr_info(r, "a");
	cr_expect_eq(f.state, VIA_FILE_SHADOWED);
	snprintf(path, sizeof path, "org.test.unit is already provided by %s",
		 rig_path("one/z" OS_MODULE_SUFFIX));
	cr_expect_str_eq(f.reason, path);
	cr_expect_eq(rr_info(r, "b").state, VIA_FILE_SHADOWED);
	f = rr_info(r, "c");
	cr_expect_eq(f.state, VIA_FILE_SHADOWED);
	snprintf(path, sizeof path, "unit is already provided by %s",
		 rig_path("one/z" OS_MODULE_SUFFIX));
	cr_expect_str_eq(f.reason, path, "another module, the same component");

	ref = rr_service(r, "unit");
	cr_expect_str_eq(rr_call(&ref, "version"), "1");
	via_registry_release(r, &ref);
	rr_retired(1);
	rr_close(r);
}

RR_TEST(registry_scan, the_winner_leaves_and_the_next_takes_over)
{
	via_registry *r;
	via_ref ref;

	rr_put("unit", "a");
	rr_put("unit2", "b");
	r = rr_open();
	cr_expect_eq(rr_info(r, "b").state, VIA_FILE_SHADOWED);
	rig_remove(rig_path("a" OS_MODULE_SUFFIX));
	cr_assert_eq(via_registry_scan(r), VIA_OK);
	cr_expect_not(rr_info(r, "a").found);
	cr_expect_eq(rr_info(r, "b").state, VIA_FILE_FOUND);
	ref = rr_service(r, "unit");
	cr_expect_str_eq(rr_call(&ref, "version"), "2");

	/* One that is loaded stays the winner, also over a file that comes earlier. */
	rr_put("unit", "a");
	cr_assert_eq(via_registry_scan(r), VIA_OK);
	cr_expect_eq(rr_info(r, "a").state, VIA_FILE_SHADOWED);
	cr_expect_eq(rr_info(r, "b").state, VIA_FILE_LOADED);
	via_registry_release(r, &ref);
	cr_assert_eq(via_registry_unload(r, "org.test.unit", VIA_POLL), VIA_OK, "%s", via_error());
	cr_expect_eq(rr_info(r, "a").state, VIA_FILE_FOUND);
	cr_expect_eq(rr_info(r, "b").state, VIA_FILE_SHADOWED);
	rr_retired(1);
	rr_close(r);
}

RR_TEST(registry_scan, rescan_sees_changes)
{
	via_registry *r;

	rr_put("unit", "a");
	rr_put("unit_moved", "b");
	r = rr_open();
	cr_expect_str_eq(rr_info(r, "a").version, "1");
	rr_put("unit2", "a");
	rig_write(rig_path("b" OS_MODULE_SUFFIX), "garbage", 7);
	rr_put("unit_needy", "c");
	cr_assert_eq(via_registry_scan(r), VIA_OK);
	cr_expect_str_eq(rr_info(r, "a").version, "2");
	expect_refused(r, "b", "not a");
	cr_expect_str_eq(rr_info(r, "b").id, "", "nothing is known of it any more");
	cr_expect_eq(rr_info(r, "c").state, VIA_FILE_FOUND);
	rr_put("unit_moved", "b");
	cr_assert_eq(via_registry_scan(r), VIA_OK);
	cr_expect_eq(rr_info(r, "b").state, VIA_FILE_FOUND);
	rr_close(r);
}

/* A miss looks again by itself: a new file, a repaired file, a directory that was not there. */
RR_TEST(registry_scan, a_miss_looks_again)
{
	char path[1024];
	via_registry *r;
	via_ref ref;

	snprintf(path, sizeof path, "%s", rig_path("later"));
	r = rr_open_path(path, NULL);
	rr_refused(via_registry_acquire(r, VIA_KIND_SERVICE, "unit", 0, &ref), VIA_NOTFOUND,
		   "(does not exist)");
	rig_mkdir(path);
	rig_write(rig_path("later/a" OS_MODULE_SUFFIX), "not yet", 7);
	rr_refused(via_registry_acquire(r, VIA_KIND_SERVICE, "unit", 0, &ref), VIA_NOTFOUND,
		   "refused: a");
	rr_put("unit", "later/a");
	ref = rr_service(r, "unit");
	via_registry_release(r, &ref);
	rr_put("unit_moved", "later/b");
	ref = rr_service(r, "moved");
	via_registry_release(r, &ref);
	rr_retired(2);
	rr_close(r);
}

RR_TEST(registry_scan, a_hundred_files_in_few_reads)
{
	char name[64];
	via_registry *r;
	int i;

	for (i = 0; i < 100; i++) {
		snprintf(name, sizeof name, "m%02d", i);
		rr_put(i % 2 ? "unit" : "unit_moved", name);
	}
	r = rr_open();
	cr_expect_eq(rr_count(r), 100);
	cr_expect_eq(rr_info(r, "m00").state, VIA_FILE_FOUND);
	cr_expect_eq(rr_info(r, "m01").state, VIA_FILE_FOUND);
	cr_expect_eq(rr_info(r, "m98").state, VIA_FILE_SHADOWED);
	rr_close(r);
}

/* -- options ----------------------------------------------------------------------------------- */

static via_rc open_with(const via_registry_options *o)
{
	via_registry *r = NULL;
	via_rc rc = reg_open(o, NULL, &r);

	cr_expect_eq(rc == VIA_OK, r != NULL, "written only on success");
	return rc == VIA_OK ? via_registry_close(r) : rc;
}

RR_TEST(registry_scan, options_are_checked)
{
	via_registry_options o;

	rr_options(&o);
	o.module_path = "";
	cr_expect_eq(open_with(&o), VIA_OK, "%s", via_error());
	o.module_path = "relative/dir";
	rr_refused(open_with(&o), VIA_INVAL,
		   "expected absolute directories, found \"relative/dir\"");
	o.module_path = "";
	o.load_mode = 2;
	rr_refused(open_with(&o), VIA_INVAL, "load_mode: expected 0 or 1, found 2");
	o.load_mode = 0;
	o.policy = 3;
	rr_refused(open_with(&o), VIA_INVAL, "policy: expected 0 to 2, found 3");
	o.policy = 0;
	o.log_level = VIA_LOG_OFF + 1;
	rr_refused(open_with(&o), VIA_INVAL, "log_level");
	o.log_level = -1;
	rr_refused(open_with(&o), VIA_INVAL, "log_level");
	o.log_level = 0;
	o.module_policy = 2;
	rr_refused(open_with(&o), VIA_INVAL, "module_policy: expected 0 or 1, found 2");
	o.module_policy = VIA_MODULES_LOCKED;
	cr_expect_eq(open_with(&o), VIA_OK, "%s", via_error());
	o.load_mode = VIA_LOAD_DIRECT;
	rr_refused(
		open_with(&o), VIA_INVAL,
		"module_policy 1 (locked) expected load_mode 0 (a private copy, so that what was "
		"checked is what is mapped), found 1");
	o.struct_size = offsetof(via_registry_options, module_policy);
	cr_expect_eq(open_with(&o), VIA_OK, "an older program says nothing of it: %s", via_error());
	o.struct_size = sizeof o;
	o.module_policy = VIA_MODULES_ANY;
	o.load_mode = VIA_LOAD_COPY;
	o.reserved = 7;
	rr_refused(open_with(&o), VIA_INVAL, "reserved: expected 0, found 7");
	o.reserved = 0;
	o.struct_size = 8;
	rr_refused(open_with(&o), VIA_INVAL, "struct_size");
	o.struct_size = sizeof o;
	o.hooks = NULL;
	cr_expect_eq(open_with(&o), VIA_OK, "%s", via_error());
}

RR_TEST(registry_scan, nothing_to_look_at_is_said)
{
	via_registry *r = rr_open_path("", NULL);
	via_ref ref;

	rr_refused(via_registry_acquire(r, VIA_KIND_TRANSPORT, "x", 0, &ref), VIA_NOTFOUND,
		   "the module path is empty");
	rr_refused(via_registry_acquire_method(r, 7, &ref), VIA_NOTFOUND,
		   "no module provides codec of method 7");
	rr_refused(via_registry_acquire(r, 0, "x", 0, &ref), VIA_INVAL, "found 0 and x");
	rr_refused(via_registry_acquire(r, 1, NULL, 0, &ref), VIA_INVAL, "none");
	rr_refused(via_registry_load(r, NULL), VIA_INVAL, "none");
	rr_close(r);
}

/* -- while the program runs -------------------------------------------------------------------- */

static int count_log(const char *text)
{
	const char *at = rr_log();
	int n = 0;

	while ((at = strstr(at, text)) != NULL) {
		at += strlen(text);
		n++;
	}
	return n;
}

static via_rc looked_up(via_registry *r, const char *service)
{
	via_provided p = {.struct_size = sizeof p};

	reg_refresh(r); /* as before a handshake */
	return via_registry_lookup(r, VIA_KIND_SERVICE, service, &p);
}

/* The time of a directory has steps: a change in the step of the last scan shows a moment later. */
static void comes_to(via_registry *r, const char *service, via_rc rc)
{
	via_time end = via_deadline(20000000000u);

	while (looked_up(r, service) != rc)
		cr_assert_lt(via_now(), end, "%s: never %s", service, via_rc_name(rc));
}

RR_TEST(registry_scan, what_comes_and_goes_is_known_before_a_handshake)
{
	via_registry *r;
	via_ref ref, other;
	int i;

	rr_put("unit_unloadable", "a");
	r = rr_open();
	ref = rr_service(r, "unit");
	cr_expect_eq(looked_up(r, "moved"), VIA_NOTFOUND);
	rr_put("unit_moved", "b");
	comes_to(r, "moved", VIA_OK);
	for (i = 0; i < 3; i++)
		cr_expect_eq(looked_up(r, "moved"), VIA_OK, "%s", via_error());
	cr_expect_eq(count_log("found "), 1, "%s", rr_log());
	rig_remove(rig_path("a" OS_MODULE_SUFFIX));
	rig_remove(rig_path("b" OS_MODULE_SUFFIX));
	comes_to(r, "unit", VIA_NOTFOUND);
	for (i = 0; i < 3; i++) {
		cr_expect_eq(looked_up(r, "unit"), VIA_NOTFOUND);
		cr_expect_eq(looked_up(r, "moved"), VIA_NOTFOUND);
	}
	cr_expect_eq(count_log(" is gone"), 2, "%s", rr_log());
	cr_expect_eq(rr_info(r, "a").state, VIA_FILE_GONE);
	cr_expect_str_eq(rr_call(&ref, "version"), "1", "who has it goes on");
	rr_refused(via_registry_acquire(r, VIA_KIND_SERVICE, "unit", 0, &other), VIA_NOTFOUND,
		   "the file is gone");
	rr_put("unit_unloadable", "a");
	comes_to(r, "unit", VIA_OK);
	cr_expect_eq(rr_info(r, "a").state, VIA_FILE_LOADED);
	rig_remove(rig_path("a" OS_MODULE_SUFFIX));
	comes_to(r, "unit", VIA_NOTFOUND);
	rr_put("unit2", "c"); /* the same module elsewhere, beside the copy that runs */
	comes_to(r, "unit", VIA_OK);
	other = rr_service(r, "unit");
	cr_expect_str_eq(rr_call(&other, "version"), "2");
	cr_expect_str_eq(rr_call(&ref, "version"), "1");
	via_registry_release(r, &other);
	via_registry_release(r, &ref);
	rr_retired(1);
	rr_close(r);
}

/* A failure of the moment (too many open files) is no sign that anything went. */
RR_TEST(registry_scan, a_scan_that_fails_takes_nothing_away)
{
	via_registry *r;
	uint32_t nth, denied;
	via_ref ref;

	rr_put("unit_unloadable", "a");
	r = rr_open();
	ref = rr_service(r, "unit");
	for (nth = 1, denied = 1; denied != 0; nth++) {
		cr_assert_lt(nth, 100);
		rig_deny(nth);
		(void)via_registry_scan(r);
		denied = rig_denied();
		rig_deny(0);
		cr_expect_eq(rr_info(r, "a").state, VIA_FILE_LOADED, "failure %u", nth);
		cr_expect_eq(looked_up(r, "unit"), VIA_OK, "failure %u: %s", nth, via_error());
	}
#if !defined(_WIN32)
	rig_deny_call("open", EMFILE); /* which is not the limit of modules in a directory */
	(void)via_registry_scan(r);
	rig_deny_call(NULL, 0);
	cr_expect_eq(rr_info(r, "a").state, VIA_FILE_LOADED);
#endif
	cr_expect_gt(nth, 3);
	cr_expect_eq(count_log(" is gone"), 0, "%s", rr_log());
	via_registry_release(r, &ref);
	rr_close(r);
}
