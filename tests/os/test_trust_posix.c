/* tests/os/test_trust_posix.c - who may have written the code that is about to be run. */
#include "rig.h"
#include <criterion/parameterized.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(os_trust, .init = rig_open, .fini = rig_close, .timeout = 30);

#define OTHER 4242

/* <root>/a/b/x.so, everything 0755. */
static void tree(void)
{
	rig_mkdir(rig_path("a"));
	rig_mkdir(rig_path("a/b"));
	rig_write(rig_path("a/b/x.so"), "code", 4);
	cr_assert_eq(chmod(rig_path("a/b/x.so"), 0755), 0);
}

static via_rc trust(const char *path)
{
	os_file *f;
	via_rc rc;

	rc = os_file_open(&rig_env, path, &f);
	if (rc == VIA_OK) {
		rc = os_file_trusted(f, path);
		os_file_close(f);
	}
	return rc;
}

static void mode(const char *name, mode_t bits)
{
	cr_assert_eq(chmod(rig_path(name), bits), 0, "%s", strerror(errno));
}

static void owner(const char *name, int uid, int gid)
{
	cr_assert_eq(chown(rig_path(name), (uid_t)uid, (gid_t)gid), 0, "%s", strerror(errno));
}

static void refused(const char *name, const char *says)
{
	char want[1200];

	(void)snprintf(want, sizeof want, "%s: %s", rig_path(name), says);
	cr_expect_eq(trust(rig_path("a/b/x.so")), VIA_PERM, "%s", says);
	cr_expect_str_eq(via_error(), want);
}

Test(os_trust, ordinary_tree)
{
	tree();
	cr_assert_eq(trust(rig_path("a/b/x.so")), VIA_OK, "%s", via_error());
	mode("a/b/x.so", 0600);
	mode("a/b", 0700);
	cr_assert_eq(trust(rig_path("a/b/x.so")), VIA_OK, "%s", via_error());
}

struct bad_mode {
	char name[16];
	unsigned int bits;
	char says[80];
};

static struct bad_mode bad_modes[] = {
	{"a/b/x.so", 0777, "mode 0777 is writable by others, expected at most 0755"},
	{"a/b/x.so", 0602, "mode 0602 is writable by others, expected at most 0600"},
	{"a/b/x.so", 01777, "mode 1777 is writable by others, expected at most 1755"},
	{"a/b", 0777, "mode 0777 is writable by others, expected at most 0755"},
	{"a", 0757, "mode 0757 is writable by others, expected at most 0755"},
};

ParameterizedTestParameters(os_trust, writable_by_others)
{
	return cr_make_param_array(struct bad_mode, bad_modes,
				   sizeof bad_modes / sizeof bad_modes[0]);
}

ParameterizedTest(struct bad_mode *c, os_trust, writable_by_others)
{
	tree();
	mode(c->name, (mode_t)c->bits);
	refused(c->name, c->says);
	mode(c->name, 0755);
	cr_assert_eq(trust(rig_path("a/b/x.so")), VIA_OK, "%s", via_error());
}

Test(os_trust, sticky_directory_is_fine_above)
{
	tree();
	mode("a", 01777);
	cr_assert_eq(trust(rig_path("a/b/x.so")), VIA_OK, "%s", via_error());
	mode("a/b", 01777);
	cr_assert_eq(trust(rig_path("a/b/x.so")), VIA_OK, "%s", via_error());
}

Test(os_trust, writable_by_group)
{
	if (geteuid() != 0)
		rig_skip("needs root to give files away");
	tree();
	owner("a/b/x.so", 0, 0);
	mode("a/b/x.so", 0775);
	cr_assert_eq(trust(rig_path("a/b/x.so")), VIA_OK, "group 0 is root's: %s", via_error());
	owner("a/b/x.so", 0, OTHER);
	mode("a/b/x.so", 0775);
	refused("a/b/x.so", "mode 0775 is writable by group 4242, expected at most 0755");
	mode("a/b/x.so", 0755);
	cr_assert_eq(trust(rig_path("a/b/x.so")), VIA_OK, "%s", via_error());
	owner("a", 0, OTHER);
	mode("a", 0770);
	refused("a", "mode 0770 is writable by group 4242, expected at most 0750");
	mode("a", 03770);
	cr_assert_eq(trust(rig_path("a/b/x.so")), VIA_OK, "sticky: %s", via_error());
}

Test(os_trust, foreign_owner)
{
	if (geteuid() != 0)
		rig_skip("needs root to give files away");
	tree();
	owner("a/b/x.so", OTHER, 0);
	refused("a/b/x.so", "owned by user 4242, expected 0 or 0");
	owner("a/b/x.so", 0, 0);
	owner("a/b", OTHER, OTHER);
	refused("a/b", "owned by user 4242, expected 0 or 0");
	mode("a/b", 01755);
	refused("a/b", "owned by user 4242, expected 0 or 0");
}

/* What user 4242 of group 4242 thinks of the tree; in a child, which reports by its exit code. */
static int trusted_by_other(void)
{
	pid_t pid = fork();
	int status = -1;

	if (pid == 0) {
		if (setgid(OTHER) != 0 || setuid(OTHER) != 0)
			_exit(100);
		_exit(-trust(rig_path("a/b/x.so")));
	}
	cr_assert_gt(pid, 0);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) != 100, "status %#x", status);
	return -WEXITSTATUS(status);
}

Test(os_trust, group_of_its_own)
{
	if (geteuid() != 0)
		rig_skip("needs root to become another user");
	tree();
	cr_assert_eq(trusted_by_other(), VIA_OK, "root's files are fine for anybody");
	owner("a/b/x.so", OTHER, OTHER);
	mode("a/b/x.so", 0775);
	cr_assert_eq(trusted_by_other(), VIA_OK, "nobody else is in that group");
	owner("a/b", OTHER, OTHER);
	mode("a/b", 0775);
	cr_assert_eq(trusted_by_other(), VIA_OK);
	owner("a/b/x.so", OTHER, OTHER + 1);
	mode("a/b/x.so", 0775);
	cr_assert_eq(trusted_by_other(), VIA_PERM, "others may be in that one");
	owner("a/b/x.so", 0, OTHER);
	mode("a/b/x.so", 0775);
	cr_assert_eq(trusted_by_other(), VIA_PERM, "the user's group, but not the user's file");
	owner("a/b/x.so", OTHER + 1, OTHER + 1);
	mode("a/b/x.so", 0755);
	cr_assert_eq(trusted_by_other(), VIA_PERM, "a third user's file");
}

Test(os_trust, links_above_are_resolved_first)
{
	tree();
	cr_assert_eq(symlink("a", rig_path("link")), 0);
	cr_assert_eq(trust(rig_path("link/b/x.so")), VIA_OK, "%s", via_error());
	cr_assert_eq(trust(rig_path("link/../a/./b//x.so")), VIA_OK, "%s", via_error());
	mode("a", 0777);
	cr_assert_eq(trust(rig_path("link/b/x.so")), VIA_PERM);
	cr_assert(rig_error_has(rig_path("a: mode 0777")), "the real directory is named: %s",
		  via_error());
}

Test(os_trust, another_file_in_its_place)
{
	os_file *f;

	tree();
	cr_assert_eq(os_file_open(&rig_env, rig_path("a/b/x.so"), &f), VIA_OK);
	rig_write(rig_path("a/b/y.so"), "evil", 4);
	cr_assert_eq(rename(rig_path("a/b/y.so"), rig_path("a/b/x.so")), 0);
	cr_assert_eq(os_file_trusted(f, rig_path("a/b/x.so")), VIA_PERM);
	cr_assert(rig_error_has("put in its place"), "%s", via_error());
	rig_remove(rig_path("a/b/x.so"));
	cr_assert_eq(os_file_trusted(f, rig_path("a/b/x.so")), VIA_NOTFOUND);
	cr_assert_eq(symlink("/dev/null", rig_path("a/b/x.so")), 0);
	cr_assert_eq(os_file_trusted(f, rig_path("a/b/x.so")), VIA_PERM);
	os_file_close(f);
}

Test(os_trust, paths_that_name_no_file)
{
	os_file *f;

	tree();
	cr_assert_eq(os_file_open(&rig_env, rig_path("a/b/x.so"), &f), VIA_OK);
	cr_assert_eq(os_file_trusted(f, "x.so"), VIA_INVAL);
	cr_assert_eq(os_file_trusted(f, "a/b/x.so"), VIA_INVAL);
	cr_assert_eq(os_file_trusted(f, rig_path("a/b/")), VIA_INVAL);
	cr_assert_eq(os_file_trusted(f, rig_path("a/..")), VIA_INVAL);
	cr_assert_eq(os_file_trusted(f, rig_path("nowhere/x.so")), VIA_NOTFOUND);
	cr_assert_eq(os_file_trusted(f, "/x.so"), VIA_NOTFOUND);
	os_file_close(f);
}
