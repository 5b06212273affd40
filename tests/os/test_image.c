/* tests/os/test_image.c - mapping private copies of a shared object. */
#include "rig.h"
#include <criterion/parameterized.h>
#include <stdio.h>
#include <stdlib.h>
#if !defined(_WIN32)
#include <errno.h>
#endif

TestSuite(os_image, .init = rig_open, .fini = rig_close, .timeout = 60);

typedef int plug_fn(void);

static os_image *image(const char *path, const char *label, int direct)
{
	os_file *f;
	os_image *i = NULL;

	cr_assert_eq(os_file_open(&rig_env, path, &f), VIA_OK, "%s", via_error());
	cr_assert_eq(os_image_open(&rig_env, f, path, label, direct, &i), VIA_OK, "%s",
		     via_error());
	os_file_close(f); /* the image stands on its own */
	return i;
}

static int call(os_image *i, const char *name)
{
	plug_fn *fn;
	void *p = os_image_symbol(i, name);

	cr_assert_not_null(p, "%s", name);
	memcpy(&fn, &p, sizeof fn);
	return fn();
}

static os_image *mapped(const char *path, const char *label)
{
	os_image *i = image(path, label, 0);

	cr_assert_eq(os_image_map(i), VIA_OK, "%s", via_error());
	return i;
}

/* Overwritten in its own inode, as cp does. */
static void spoil(const char *path)
{
	char junk[4096];

	memset(junk, 0xa5, sizeof junk);
	rig_write(path, junk, sizeof junk);
}

Test(os_image, is_read_and_mapped)
{
	unsigned char magic[4];
	os_image *i = image(VIA_TEST_PLUG_A, "plug.g1", 0);
	os_file_id id;

	cr_assert_eq(os_path_id(VIA_TEST_PLUG_A, &id), VIA_OK);
	cr_assert_eq(os_image_size(i), id.size);
	cr_assert_eq(os_image_read(i, 0, magic, 4), VIA_OK);
#if defined(_WIN32)
	cr_assert_arr_eq(magic, "MZ", 2);
#else
	cr_assert_arr_eq(magic, "\177ELF", 4);
#endif
	cr_assert_eq(os_image_read(i, id.size - 1, magic, 2), VIA_PROTO);
	cr_assert_null(os_image_symbol(i, "plug_answer"), "not mapped yet");
	cr_assert_eq(os_image_map(i), VIA_OK, "%s", via_error());
	cr_assert_eq(call(i, "plug_answer"), 41);
	cr_assert_null(os_image_symbol(i, "plug_nothing"));
	os_image_close(i, 0);
	os_image_close(NULL, 0);
}

Test(os_image, file_is_spoiled_before_it_is_mapped)
{
	os_image *i;

	rig_copy(VIA_TEST_PLUG_A, rig_path("p" OS_MODULE_SUFFIX));
	i = image(rig_path("p" OS_MODULE_SUFFIX), "plug.g1", 0);
	spoil(rig_path("p" OS_MODULE_SUFFIX));
	cr_assert_eq(os_image_map(i), VIA_OK, "%s", via_error());
	cr_assert_eq(call(i, "plug_answer"), 41);
	os_image_close(i, 0);
}

Test(os_image, file_is_truncated_and_removed_while_mapped)
{
	os_image *i;

	rig_copy(VIA_TEST_PLUG_A, rig_path("p" OS_MODULE_SUFFIX));
	i = mapped(rig_path("p" OS_MODULE_SUFFIX), "plug.g1");
	rig_write(rig_path("p" OS_MODULE_SUFFIX), "", 0);
	cr_assert_eq(call(i, "plug_far"), 42, "pages nobody had touched");
	rig_remove(rig_path("p" OS_MODULE_SUFFIX));
	cr_assert_eq(call(i, "plug_answer"), 41);
	os_image_close(i, 0);
}

Test(os_image, one_after_the_other)
{
	os_image *i;
	int k;

	for (k = 0; k < 6; k++) {
		rig_copy(k % 2 == 0 ? VIA_TEST_PLUG_A : VIA_TEST_PLUG_B,
			 rig_path("p" OS_MODULE_SUFFIX));
		i = mapped(rig_path("p" OS_MODULE_SUFFIX), "plug");
		cr_assert_eq(call(i, "plug_answer"), k % 2 == 0 ? 41 : 42,
			     "round %d has the code before", k);
		cr_assert_eq(call(i, "plug_count"), 1, "round %d has the data before", k);
		os_image_close(i, 0);
	}
}

Test(os_image, two_at_a_time)
{
	os_image *a = mapped(VIA_TEST_PLUG_A, "plug.g1"), *b = mapped(VIA_TEST_PLUG_B, "plug.g2"),
		 *again = mapped(VIA_TEST_PLUG_A, "plug.g3");

	cr_assert_eq(call(a, "plug_answer"), 41);
	cr_assert_eq(call(b, "plug_answer"), 42);
	cr_assert_eq(call(again, "plug_answer"), 41);
	cr_assert_eq(call(a, "plug_count"), 1);
	cr_assert_eq(call(a, "plug_count"), 2);
	cr_assert_eq(call(again, "plug_count"), 1, "the same file, but its own data");
	os_image_close(a, 0);
	cr_assert_eq(call(b, "plug_answer"), 42);
	os_image_close(b, 0);
	cr_assert_eq(call(again, "plug_answer"), 41);
	os_image_close(again, 0);
}

#if !defined(VIA_OS_PORTABLE)
Test(os_image, retired_code_stays_and_its_name_is_not_taken)
{
	os_image *i;
	plug_fn *old;
	void *p;
	int k;

	for (k = 0; k < 3; k++) {
		i = mapped(k % 2 == 0 ? VIA_TEST_PLUG_A : VIA_TEST_PLUG_B, "plug");
		cr_assert_eq(call(i, "plug_answer"), k % 2 == 0 ? 41 : 42);
		p = os_image_symbol(i, "plug_answer");
		memcpy(&old, &p, sizeof old);
		os_image_close(i, 1);
		cr_assert_eq(old(), k % 2 == 0 ? 41 : 42, "still there");
	}
#if !defined(_WIN32)
	rig_keep(3);
#endif
}
#endif

Test(os_image, direct_maps_the_file_itself)
{
	os_image *i;

	rig_copy(VIA_TEST_PLUG_B, rig_path("p" OS_MODULE_SUFFIX));
	i = image(rig_path("p" OS_MODULE_SUFFIX), "plug.g1", 1);
	cr_assert_eq(os_image_map(i), VIA_OK, "%s", via_error());
	cr_assert_eq(call(i, "plug_answer"), 42);
	os_image_close(i, 0);
}

Test(os_image, what_is_no_object_is_refused)
{
	os_image *i;

	rig_write(rig_path("p" OS_MODULE_SUFFIX), "not code at all", 15);
	i = image(rig_path("p" OS_MODULE_SUFFIX), "plug.g1", 0);
	cr_assert_eq(os_image_map(i), VIA_EABI);
	cr_assert(rig_error_has(rig_path("p" OS_MODULE_SUFFIX)), "the original is named: %s",
		  via_error());
	cr_assert_not(rig_error_has("/proc/"), "%s", via_error());
	cr_assert_null(os_image_symbol(i, "plug_answer"));
	os_image_close(i, 0);

	rig_write(rig_path("empty"), "", 0);
	i = image(rig_path("empty"), "plug.g2", 0);
	cr_assert_eq(os_image_size(i), 0u);
	cr_assert_eq(os_image_map(i), VIA_EABI);
	os_image_close(i, 1);
}

Test(os_image, replaced_while_it_is_mapped)
{
	const char *path = rig_path("p" OS_MODULE_SUFFIX);
	os_image *old, *new;

	rig_copy(VIA_TEST_PLUG_A, path);
	old = mapped(path, "plug.g1");
	rig_copy(VIA_TEST_PLUG_B, path); /* over the old content */
	new = mapped(path, "plug.g2");
	cr_assert_eq(call(old, "plug_answer"), 41);
	cr_assert_eq(call(new, "plug_answer"), 42);
	os_image_close(new, 0);
	cr_assert_eq(rename(path, rig_path("aside")), 0);
	rig_copy(VIA_TEST_PLUG_A, path); /* another file of the same name */
	new = mapped(path, "plug.g3");
	cr_assert_eq(call(new, "plug_answer"), 41);
	cr_assert_eq(call(new, "plug_count"), 1);
	os_image_close(old, 0);
	rig_remove(path);
	cr_assert_eq(call(new, "plug_count"), 2);
	os_image_close(new, 0);
}

Test(os_image, too_big)
{
	os_image *i = NULL;
	os_file *f;

	rig_write(rig_path("big"), "x", 1);
	rig_resize(rig_path("big"), INT64_C(65) << 20);
	cr_assert_eq(os_file_open(&rig_env, rig_path("big"), &f), VIA_OK);
	cr_assert_eq(os_image_open(&rig_env, f, rig_path("big"), "big", 0, &i), VIA_TOOBIG);
	cr_assert_null(i);
	os_file_close(f);
}

Test(os_image, shrinks_after_it_was_opened)
{
	os_image *i = NULL;
	os_file *f;
	char junk[40000];

	memset(junk, 1, sizeof junk);
	rig_write(rig_path("f"), junk, sizeof junk);
	cr_assert_eq(os_file_open(&rig_env, rig_path("f"), &f), VIA_OK);
	rig_resize(rig_path("f"), 20000);
	cr_assert_eq(os_image_open(&rig_env, f, rig_path("f"), "f", 0, &i), VIA_PROTO);
	rig_resize(rig_path("f"), 50000);
	cr_assert_eq(os_image_open(&rig_env, f, rig_path("f"), "f", 0, &i), VIA_IO);
	cr_assert(rig_error_has("50000"), "%s", via_error());
	os_file_close(f);
}

Test(os_image, direct_refuses_another_file_in_its_place)
{
	os_image *i = NULL;
	os_file *f;

	rig_copy(VIA_TEST_PLUG_A, rig_path("p" OS_MODULE_SUFFIX));
	cr_assert_eq(os_file_open(&rig_env, rig_path("p" OS_MODULE_SUFFIX), &f), VIA_OK);
	rig_copy(VIA_TEST_PLUG_B, rig_path("q" OS_MODULE_SUFFIX));
	cr_assert_eq(rename(rig_path("p" OS_MODULE_SUFFIX), rig_path("old")), 0);
	cr_assert_eq(rename(rig_path("q" OS_MODULE_SUFFIX), rig_path("p" OS_MODULE_SUFFIX)), 0);
	cr_assert_eq(os_image_open(&rig_env, f, rig_path("p" OS_MODULE_SUFFIX), "plug", 1, &i),
		     VIA_IO);
	cr_assert(rig_error_has("put in its place"), "%s", via_error());
	os_file_close(f);
}

#if !defined(_WIN32)
Test(os_image, undefined_symbols_are_found_at_once)
{
	os_image *i = image(VIA_TEST_PLUG_BROKEN, "plug.g1", 0);

	cr_assert_eq(os_image_map(i), VIA_EABI);
	cr_assert(rig_error_has("plug_nowhere"), "%s", via_error());
	os_image_close(i, 0);
}

/* Where memory files cannot be had: a file, gone as soon as it is mapped. */
struct fallback {
	char call[16];
	int error;
};

static struct fallback fallbacks[] = {
	{"memfd_create", ENOSYS},
	{"memfd_create", EPERM},
	{"memfd_create", EACCES},
	{"memfd_create", EINVAL},
};

ParameterizedTestParameters(os_image, falls_back_to_a_file)
{
	return cr_make_param_array(struct fallback, fallbacks,
				   sizeof fallbacks / sizeof fallbacks[0]);
}

ParameterizedTest(struct fallback *c, os_image, falls_back_to_a_file)
{
	os_image *i;

	rig_mkdir(rig_path("run"));
	cr_assert_eq(setenv("XDG_RUNTIME_DIR", rig_path("run"), 1), 0);
	rig_deny_call(c->call, c->error);
	i = image(VIA_TEST_PLUG_A, "plug/../g1", 0);
	cr_assert_eq(rig_count_entries(rig_path("run")), 1u);
	cr_assert_eq(os_image_map(i), VIA_OK, "%s", via_error());
	cr_assert_eq(rig_count_entries(rig_path("run")), 0u, "removed as soon as it is mapped");
	cr_assert_eq(call(i, "plug_answer"), 41);
	os_image_close(i, 0);
	i = image(VIA_TEST_PLUG_B, "plug", 0);
	cr_assert_eq(rig_count_entries(rig_path("run")), 1u);
	os_image_close(i, 0);
	cr_assert_eq(rig_count_entries(rig_path("run")), 0u, "never mapped");
	i = image(VIA_TEST_PLUG_B, "plug", 0);
	cr_assert_eq(os_image_map(i), VIA_OK);
	cr_assert_eq(call(i, "plug_answer"), 42);
	os_image_close(i, 0);
}

Test(os_image, no_place_for_a_copy)
{
	os_image *i = NULL;
	os_file *f;

	rig_deny_call("mmap", EPERM); /* nothing may be mapped as code, anywhere */
	cr_assert_eq(os_file_open(&rig_env, VIA_TEST_PLUG_A, &f), VIA_OK);
	cr_assert_eq(os_image_open(&rig_env, f, VIA_TEST_PLUG_A, "plug", 0, &i), VIA_PERM);
	cr_assert(rig_error_has("/tmp"), "the last place tried: %s", via_error());
	os_file_close(f);
}
#endif
