/* tests/registry/test_lock_refused.c - locks that are malformed, too long or contradict each
 * other: the module they list is refused, and the sentence says where and why. */
#include "lock_rig.h"

#include <stdio.h>
#include <stdlib.h>

TestSuite(registry_lock_refused, .init = rig_open, .fini = rig_close, .timeout = 120);

RR_TEST(registry_lock_refused, malformed_lines)
{
	static const struct {
		const char *text, *why;
	} bad[] = {
		{"x\n", "line 1: expected 64 lower-case hexadecimal digits, found \"x\""},
		{"# first\n\n" ZEROS, "line 3: expected two blanks, or one and '*', behind the "
				      "digest, found \"\""},
		{ZEROS " ", "found \" \""},
		{ZEROS " a.so\n",
		 "expected two blanks, or one and '*', behind the digest, found \" a.so\""},
		{ZEROS "0  a.so\n", "found \"0  a.so\""},
		{ZEROS "\t a.so\n", "found \"? a.so\""},
		{"A" ZEROS "  a.so\n", "line 1: expected 64 lower-case"},
		{"\xef\xbb\xbf" ZEROS "  a.so\n", "found \"???0000"},
		{"\\" ZEROS "  a\\nb.so\n", "found \"\\0000"},
		{"SHA256 (a.so) = " ZEROS "\n",
		 "found \"SHA256 (a.so) = 000000000000000000000000...\""},
		{ZEROS "  \n",
		 "expected the name of a file without a directory, of at most 255 bytes, found \"\""},
		{ZEROS "  /lib/a.so\n", "found \"/lib/a.so\""},
		{ZEROS "  ./a.so\n", "found \"./a.so\""},
		{ZEROS " *sub\\a.so\n", "found \"sub\\a.so\""},
		{ZEROS "  ..\n", "found \"..\""},
		{ZEROS "  .\n", "found \".\""},
		{ZEROS "  a\x1b[m.so\n", "found \"a?[m.so\""},
		{ZEROS "  a.so\r\r\n", "found \"a.so?\""},
		{ZEROS "  a.so\rb\n", "found \"a.so?b\""},
		{ZEROS "  x\n" ZEROS "  y\nz\n", "line 3: "},
	};
	char text[640];
	size_t i;

	rr_put("unit_unloadable", "a");
	for (i = 0; i < N(bad); i++) {
		lr_write(LOCK, bad[i].text);
		lr_refused("locked: modules.lock: line ");
		lr_refused(bad[i].why);
	}
	/* The good line in front does not help. */
	snprintf(text, sizeof text, "%s  " A "\nnonsense\n", lr_digest(rig_path(A)));
	lr_write(LOCK, text);
	lr_refused("locked: modules.lock: line 2: expected 64 lower-case hexadecimal digits, "
		   "found \"nonsense\"");
	rig_remove(rig_path(LOCK));
	rig_mkdir(rig_path(DIR));
	lr_list(DIR "/a.lock", A);
	lr_write(DIR "/z.lock", "nonsense\n");
	lr_refused("locked: modules.lock.d/z.lock: line 1: expected 64");
}

RR_TEST(registry_lock_refused, a_byte_of_zero_and_a_long_name)
{
	char text[LOCK_NAME_MAX + 100];

	rr_put("unit_unloadable", "a");
	memcpy(text, ZEROS "  a\0b\n", 70);
	rig_write(rig_path(LOCK), text, 70);
	lr_refused("found \"a?b\"");
	memset(text, 'n', sizeof text);
	memcpy(text, ZEROS "  ", 66);
	rig_write(rig_path(LOCK), text, 66 + LOCK_NAME_MAX + 1);
	lr_refused("of at most 255 bytes, found \"nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn...\"");
	rig_write(rig_path(LOCK), text, 66 + LOCK_NAME_MAX);
	lr_refused("no modules.lock lists it");
}

RR_TEST(registry_lock_refused, locks_that_contradict_each_other)
{
	char text[320], why[320];
	const char *sum;

	rr_put("unit_unloadable", "a");
	sum = lr_digest(rig_path(A));
	snprintf(text, sizeof text, "%s  " A "\n" ZEROS "  " A "\n", sum);
	lr_write(LOCK, text);
	snprintf(why, sizeof why,
		 "locked: modules.lock: line 2: " A
		 ": expected sha256 %s as in line 1 of modules.lock, found " ZEROS,
		 sum);
	lr_refused(why);
	lr_list(LOCK, A);
	rig_mkdir(rig_path(DIR));
	lr_write(DIR "/x.lock", "# x\n" ZEROS "  " A "\n");
	snprintf(why, sizeof why,
		 "locked: modules.lock.d/x.lock: line 2: " A
		 ": expected sha256 %s as in line 1 of modules.lock, found " ZEROS,
		 sum);
	lr_refused(why);
	rig_remove(rig_path(DIR "/x.lock"));
	lr_loaded();
}

RR_TEST(registry_lock_refused, more_than_is_read)
{
	const uint32_t line = 64 + 2 + 8 + 1;
	uint32_t i, n = LOCK_NAMES_MAX + 1;
	char *text = malloc((size_t)n * line + 1), name[64];

	cr_assert_not_null(text);
	rr_put("unit_unloadable", "a");
	lr_list(LOCK, A);
	rig_resize(rig_path(LOCK), LOCK_BYTES_MAX + 1);
	lr_refused(
		"modules.lock: 1048577 bytes, expected at most 1048576 in all locks of a directory");
	rig_resize(rig_path(LOCK), INT64_C(1) << 31);
	lr_refused("2147483648 bytes, expected at most 1048576");
	for (i = 0; i < n; i++)
		snprintf(text + (size_t)i * line, line + 1, ZEROS "  %08u\n", (i * 7919) % n);
	rig_write(rig_path(LOCK), text, (size_t)n * line);
	lr_refused("modules.lock: line 4097: expected at most 4096 names in a directory's locks");
	rig_write(rig_path(LOCK), text, (size_t)(n - 1) * line);
	lr_refused("no modules.lock lists it");
	free(text);
	lr_list(LOCK, A);
	rig_mkdir(rig_path(DIR));
	for (i = 0; i < LOCK_FILES_MAX; i++) {
		snprintf(name, sizeof name, DIR "/%u.lock", i);
		lr_write(name, "# nothing\n");
	}
	lr_loaded();
	lr_write(DIR "/last.lock", "");
	lr_refused("locked: modules.lock.d: expected at most 256 locks");
}

RR_TEST(registry_lock_refused, not_a_file)
{
	rr_put("unit_unloadable", "a");
	rig_mkdir(rig_path(LOCK));
	lr_refused("expected a regular file");
	rig_rmdir(rig_path(LOCK));
	lr_write(DIR, "not a directory");
	lr_refused("locked: ");
}
