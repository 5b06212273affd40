/* tests/services/test_cgroups_tree.c - hierarchies of every layout, read through the service. */
#include "cgroups_rig.h"
#include "services/cgroups/cgroups.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

TestSuite(cgroups_tree, .timeout = 30, .init = tree_make, .fini = tree_remove);

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define SYSFS "25 1 0:23 / /sys rw - sysfs sysfs rw\n"
#define TMPFS "31 25 0:28 / /sys/fs/cgroup ro - tmpfs tmpfs ro,mode=755\n"
#define V1_LINE(id, name, options) \
	id " 31 0:4" id " / /sys/fs/cgroup/" name " rw,nosuid shared:9 - cgroup cgroup " options \
	   "\n"

static void expect_row(const struct answer *a, const char *path, const char *name, uint32_t options,
		       uint32_t enabled)
{
	const via_cgroups_item *item = answer_find(a, path);

	cr_assert_not_null(item, "%s is missing", path);
	cr_expect_str_eq(item->name, name, "%s", path);
	cr_expect_eq(item->options, options, "%s: options %#x, expected %#x", path, item->options,
		     options);
	cr_expect_eq(item->enabled, enabled, "%s: enabled %u", path, item->enabled);
	cr_expect_eq(item->hash, cgroups_hash(item->name, item->name_len));
}

#define IS(kind) ((uint32_t)(kind) << CGROUPS_OPT_KIND_SHIFT)

static void expect_sorted(const struct answer *a)
{
	via_cgroups_item before, item;
	uint32_t i;

	cr_assert_eq(via_cgroups_snapshot_item(&a->view, 0, &before, NULL), VIA_OK);
	for (i = 1; i < a->view.n_items; i++) {
		cr_assert_eq(via_cgroups_snapshot_item(&a->view, i, &item, NULL), VIA_OK);
		cr_expect_lt(strcmp(before.path, item.path), 0, "%s before %s", before.path,
			     item.path);
		before = item;
	}
}

Test(cgroups_tree, pure_v2)
{
	struct rig r;
	struct answer a;

	tree_pure_v2();
	tree_v2("sys/fs/cgroup", "/init.scope", 1);
	tree_v2("sys/fs/cgroup", "/system.slice", 1);
	tree_v2("sys/fs/cgroup", "/system.slice/ssh.service", 1);
	tree_v2("sys/fs/cgroup", "/system.slice/idle.service", 0);
	tree_v2("sys/fs/cgroup", "/system.slice/docker-" ID ".scope", 1);
	tree_v2("sys/fs/cgroup", "/a", 0);
	tree_v2("sys/fs/cgroup", "/a-b", 0);
	tree_v2("sys/fs/cgroup", "/a/b", 0);
	rig_open(&r, NULL, tree_config(""));
	a = rig_ask(&r);
	cr_expect_eq(a.view.n_items, 9);
	cr_expect_eq(a.view.systemd_enabled, 1);
	expect_row(&a, "/", "/", CGROUPS_OPT_V2 | IS(CGROUPS_IS_ROOT), 1);
	expect_row(&a, "/init.scope", "init",
		   CGROUPS_OPT_V2 | IS(CGROUPS_IS_SCOPE) | CGROUPS_BY_SYSTEMD, 1);
	expect_row(&a, "/system.slice", "system",
		   CGROUPS_OPT_V2 | IS(CGROUPS_IS_GROUP) | CGROUPS_BY_SYSTEMD, 1);
	expect_row(&a, "/system.slice/ssh.service", "ssh",
		   CGROUPS_OPT_V2 | IS(CGROUPS_IS_SERVICE) | CGROUPS_BY_SYSTEMD, 1);
	expect_row(&a, "/system.slice/idle.service", "idle",
		   CGROUPS_OPT_V2 | IS(CGROUPS_IS_SERVICE) | CGROUPS_BY_SYSTEMD, 0);
	expect_row(&a, "/system.slice/docker-" ID ".scope", "docker-0123456789ab",
		   CGROUPS_OPT_V2 | IS(CGROUPS_IS_CONTAINER) | CGROUPS_BY_DOCKER, 1);
	expect_row(&a, "/a/b", "a/b", CGROUPS_OPT_V2, 0);
	expect_sorted(&a);
	cr_expect_eq(atomic_load(&r.n_logs), 0);
	answer_free(&a);
	rig_close(&r);
}

Test(cgroups_tree, only_the_root)
{
	struct rig r;
	struct answer a;

	tree_pure_v2();
	rig_open(&r, NULL, tree_config(""));
	a = rig_ask(&r);
	cr_expect_eq(a.view.n_items, 1);
	cr_expect_eq(a.view.systemd_enabled, 0);
	/* populated once it says so, although the root has no cgroup.events */
	expect_row(&a, "/", "/", CGROUPS_OPT_V2 | IS(CGROUPS_IS_ROOT), 0);
	answer_free(&a);
	tree_file("sys/fs/cgroup/cgroup.procs", "1\n");
	a = rig_ask(&r);
	expect_row(&a, "/", "/", CGROUPS_OPT_V2 | IS(CGROUPS_IS_ROOT), 1);
	answer_free(&a);
	rig_close(&r);
}

Test(cgroups_tree, pure_v1)
{
	struct rig r;
	struct answer a;

	tree_mountinfo(SYSFS TMPFS V1_LINE("33", "systemd", "rw,xattr,name=systemd")
			       V1_LINE("34", "cpu,cpuacct", "rw,cpu,cpuacct")
				       V1_LINE("35", "memory", "rw,memory"));
	tree_v1("sys/fs/cgroup/systemd", "/", 1);
	tree_v1("sys/fs/cgroup/systemd", "/user.slice", 1);
	tree_v1("sys/fs/cgroup/cpu,cpuacct", "/", 1);
	tree_v1("sys/fs/cgroup/cpu,cpuacct", "/only-here", 1);
	tree_v1("sys/fs/cgroup/memory", "/", 0);
	tree_v1("sys/fs/cgroup/memory", "/docker", 0);
	tree_v1("sys/fs/cgroup/memory", "/docker/" ID, 1);
	tree_v1("sys/fs/cgroup/memory", "/lxc", 0);
	tree_v1("sys/fs/cgroup/memory", "/lxc/web", 0);
	rig_open(&r, NULL, tree_config(""));
	a = rig_ask(&r);
	cr_expect_eq(a.view.n_items, 5);
	cr_expect_eq(a.view.systemd_enabled, 1, "its own hierarchy is mounted");
	expect_row(&a, "/docker/" ID, "docker-0123456789ab",
		   IS(CGROUPS_IS_CONTAINER) | CGROUPS_BY_DOCKER, 1);
	/* processes below count, as cgroup2 counts them */
	expect_row(&a, "/docker", "docker", IS(CGROUPS_IS_GROUP) | CGROUPS_BY_DOCKER, 1);
	expect_row(&a, "/", "/", IS(CGROUPS_IS_ROOT), 1);
	expect_row(&a, "/lxc/web", "lxc-web", IS(CGROUPS_IS_CONTAINER) | CGROUPS_BY_LXC, 0);
	expect_row(&a, "/lxc", "lxc", IS(CGROUPS_IS_GROUP) | CGROUPS_BY_LXC, 0);
	expect_sorted(&a);
	answer_free(&a);
	rig_close(&r);
}

/* The best hierarchy of v1 is not the best one when there is nothing in it. */
Test(cgroups_tree, v1_prefers_a_hierarchy_with_content)
{
	struct rig r;
	struct answer a;

	tree_mountinfo(SYSFS TMPFS V1_LINE("33", "pids", "rw,pids")
			       V1_LINE("35", "memory", "rw,memory"));
	tree_v1("sys/fs/cgroup/memory", "/", 1);
	tree_v1("sys/fs/cgroup/pids", "/", 1);
	tree_v1("sys/fs/cgroup/pids", "/job", 1);
	tree_link("sys/fs/cgroup/memory/job", "../pids/job"); /* no content */
	rig_open(&r, NULL, tree_config(""));
	a = rig_ask(&r);
	cr_expect_not_null(answer_find(&a, "/job"));
	answer_free(&a);
	tree_v1("sys/fs/cgroup/memory", "/other", 1);
	a = rig_ask(&r);
	cr_expect_null(answer_find(&a, "/job"));
	cr_expect_not_null(answer_find(&a, "/other"));
	answer_free(&a);
	rig_close(&r);
}

Test(cgroups_tree, hybrid_with_controllers_on_v1)
{
	struct rig r;
	struct answer a;

	tree_mountinfo(
		SYSFS TMPFS
		"32 31 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate\n" V1_LINE(
			"33", "systemd", "rw,xattr,name=systemd")
			V1_LINE("35", "memory", "rw,memory"));
	tree_v2("sys/fs/cgroup/unified", "/", 1);
	tree_v2("sys/fs/cgroup/unified", "/system.slice", 1);
	tree_v1("sys/fs/cgroup/systemd", "/", 1);
	tree_v1("sys/fs/cgroup/systemd", "/system.slice", 1);
	tree_v1("sys/fs/cgroup/memory", "/", 1);
	tree_v1("sys/fs/cgroup/memory", "/system.slice", 0);
	tree_v1("sys/fs/cgroup/memory", "/system.slice/m.service", 1);
	rig_open(&r, NULL, tree_config(""));
	a = rig_ask(&r);
	expect_row(&a, "/system.slice/m.service", "m", IS(CGROUPS_IS_SERVICE) | CGROUPS_BY_SYSTEMD,
		   1);
	cr_expect_eq(a.view.systemd_enabled, 1);
	answer_free(&a);
	rig_close(&r);
}

/* A left-over hierarchy of v1 does not win over a cgroup2 that has the controllers. */
Test(cgroups_tree, hybrid_with_a_left_over)
{
	struct rig r;
	struct answer a;

	tree_mountinfo(TREE_V2_LINE "40 24 0:50 / /mnt/net_cls rw - cgroup net_cls rw,net_cls\n");
	tree_v2("sys/fs/cgroup", "/", 1);
	tree_v2("sys/fs/cgroup", "/real", 1);
	tree_v1("mnt/net_cls", "/", 1);
	tree_v1("mnt/net_cls", "/vpn", 1);
	rig_open(&r, NULL, tree_config(""));
	a = rig_ask(&r);
	cr_expect_not_null(answer_find(&a, "/real"));
	cr_expect_null(answer_find(&a, "/vpn"));
	answer_free(&a);
	rig_close(&r);
}

Test(cgroups_tree, a_hidden_mount_is_passed_over)
{
	struct rig r;
	struct answer a;

	/* cgroup2 was mounted first, then a tmpfs over it: nothing of a cgroup is to be seen
	 * there */
	tree_mountinfo(TREE_V2_LINE TMPFS V1_LINE("34", "freezer", "rw,freezer"));
	tree_v1("sys/fs/cgroup/freezer", "/", 1);
	tree_v1("sys/fs/cgroup/freezer", "/f", 1);
	rig_open(&r, NULL, tree_config(""));
	a = rig_ask(&r);
	cr_expect_not_null(answer_find(&a, "/f"));
	answer_free(&a);
	rig_close(&r);
}

Test(cgroups_tree, the_whole_tree_wins_over_a_part)
{
	struct rig r;
	struct answer a;

	tree_mountinfo("41 31 0:26 /docker/ab /part rw - cgroup2 cgroup2 rw\n"
		       "42 31 0:26 / /whole\\040tree rw - cgroup2 cgroup2 rw\n");
	tree_v2("part", "/", 1);
	tree_v2("part", "/p", 1);
	tree_v2("whole tree", "/", 1);
	tree_v2("whole tree", "/w", 1);
	rig_open(&r, NULL, tree_config(""));
	a = rig_ask(&r);
	cr_expect_not_null(answer_find(&a, "/w"));
	cr_expect_null(answer_find(&a, "/p"));
	answer_free(&a);
	rig_close(&r);
}

Test(cgroups_tree, the_root_itself_may_be_the_mount_point)
{
	struct rig r;
	struct answer a;

	tree_mountinfo("41 31 0:26 / / rw - cgroup2 cgroup2 rw\n");
	tree_v2("", "/", 1);
	tree_v2("", "/c", 1);
	rig_open(&r, NULL, tree_config(""));
	a = rig_ask(&r);
	cr_expect_not_null(answer_find(&a, "/c"));
	answer_free(&a);
	rig_close(&r);
}

/* mountinfo in many reads, lines longer than any window, and a last line that was cut off. */
Test(cgroups_tree, a_long_mountinfo)
{
	struct rig r;
	struct answer a;
	FILE *f;
	int i;

	tree_pure_v2();
	f = fopen(tree_path("proc/self/mountinfo"), "w");
	cr_assert_not_null(f);
	for (i = 0; i < 2000; i++)
		fprintf(f, "%d 1 8:1 / /mnt/%d rw - ext4 /dev/sda%d rw,and,many,other,options\n", i,
			i, i);
	fprintf(f, "50 1 0:9 / /overlay rw - overlay overlay lowerdir=");
	for (i = 0; i < 9000; i++)
		fprintf(f, "/var/lib/%d:", i);
	fprintf(f, " 41 31 0:26 / /bait rw - cgroup2 cgroup2 rw\n");
	fprintf(f, "41 31 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
	fprintf(f, "43 31 0:26 / /bait rw - cgroup cgroup rw,memory");
	fclose(f);
	tree_v1("bait", "/", 1);
	tree_v1("bait", "/bait", 1);
	tree_v2("sys/fs/cgroup", "/real", 1);
	rig_open(&r, NULL, tree_config(""));
	a = rig_ask(&r);
	cr_expect_not_null(answer_find(&a, "/real"));
	cr_expect_null(answer_find(&a, "/bait"));
	answer_free(&a);
	rig_close(&r);
}

Test(cgroups_tree, more_mounts_than_are_tried)
{
	struct rig r;
	struct answer a;
	FILE *f;
	int i;

	tree_pure_v2();
	f = fopen(tree_path("proc/self/mountinfo"), "w");
	cr_assert_not_null(f);
	for (i = 0; i < 100; i++)
		fprintf(f, "%d 1 0:9 / /none/%d rw - cgroup x rw,freezer\n", 100 + i, i);
	fputs(TREE_V2_LINE, f);
	for (i = 0; i < 100; i++)
		fprintf(f, "%d 1 0:9 / /none/%d rw - cgroup x rw,freezer\n", 200 + i, i);
	fclose(f);
	rig_open(&r, NULL, tree_config(""));
	a = rig_ask(&r);
	cr_expect_eq(a.view.n_items, 1);
	answer_free(&a);
	rig_close(&r);
}

/* -- nothing to read --------------------------------------------------------------------------- */

static void expect_failure(via_rc rc, const char *text)
{
	struct rig r;
	uint8_t room[4096];
	uint64_t len = 77;

	rig_open(&r, NULL, tree_config(""));
	cr_expect_eq(rig_call(&r, room, sizeof room, &len), rc);
	cr_expect_eq(len, 77);
	cr_expect_eq(r.fail_rc, rc);
	cr_expect_str_eq(r.fail_text, text, "%s", r.fail_text);
	rig_close(&r);
}

Test(cgroups_tree, no_proc)
{
	expect_failure(VIA_NOTFOUND, "cannot open proc/self/mountinfo");
}

Test(cgroups_tree, no_root)
{
	struct rig r;
	uint64_t len;
	char room[64];

	rig_open(&r, NULL, tree_config("root=/nonexistent/viaduct\n"));
	cr_expect_eq(rig_call(&r, room, sizeof room, &len), VIA_NOTFOUND);
	cr_expect_str_eq(r.fail_text, "cannot open root directory /nonexistent/viaduct", "%s",
			 r.fail_text);
	rig_close(&r);
}

Test(cgroups_tree, mountinfo_is_a_directory)
{
	tree_dir("proc/self/mountinfo");
	expect_failure(VIA_IO, "cannot read proc/self/mountinfo");
}

Test(cgroups_tree, an_empty_mountinfo)
{
	tree_mountinfo("");
	expect_failure(VIA_NOTFOUND,
		       "expected a cgroup or cgroup2 mount in proc/self/mountinfo, found none");
}

Test(cgroups_tree, no_cgroup_mount)
{
	tree_mountinfo(SYSFS TMPFS);
	expect_failure(VIA_NOTFOUND,
		       "expected a cgroup or cgroup2 mount in proc/self/mountinfo, found none");
}

Test(cgroups_tree, mounts_that_are_not_there)
{
	tree_mountinfo(TREE_V2_LINE V1_LINE("35", "memory", "rw,memory"));
	tree_dir("sys/fs/cgroup"); /* there, but not a cgroup */
	expect_failure(VIA_NOTFOUND,
		       "expected a cgroup hierarchy with cgroup.procs at a mount point, found "
		       "none at any of 2 cgroup mounts");
}

Test(cgroups_tree, a_mount_point_that_is_a_link)
{
	tree_mountinfo("41 31 0:26 / /link rw - cgroup2 cgroup2 rw\n");
	tree_v2("real", "/", 1);
	tree_link("link", "real");
	expect_failure(VIA_NOTFOUND,
		       "expected a cgroup hierarchy with cgroup.procs at a mount point, found "
		       "none at any of 1 cgroup mounts");
}

Test(cgroups_tree, another_method)
{
	struct rig r;
	uint8_t room[64];
	via_call call = {.struct_size = sizeof call,
			 .method = 3,
			 .response = room,
			 .response_cap = sizeof room,
			 .deadline = VIA_FOREVER};

	tree_pure_v2();
	rig_open(&r, NULL, tree_config(""));
	cr_expect_eq(r.service->call(r.self, NULL, &call), VIA_NOTSUP);
	cr_expect_str_eq(r.fail_text, "this service answers method 2 only");
	rig_close(&r);
}

/* -- generation -------------------------------------------------------------------------------- */

static uint64_t generation(struct rig *r)
{
	struct answer a = rig_ask(r);
	uint64_t g = a.view.generation;

	answer_free(&a);
	return g;
}

Test(cgroups_tree, generation_follows_the_content)
{
	struct rig r;
	struct answer a, b;
	uint64_t g[6];

	tree_pure_v2();
	tree_v2("sys/fs/cgroup", "/x", 1);
	rig_open(&r, NULL, tree_config(""));
	a = rig_ask(&r);
	b = rig_ask(&r);
	cr_assert_eq(a.len, b.len);
	cr_expect_arr_eq(a.bytes, b.bytes, a.len, "an unchanged tree gives the same bytes");
	g[0] = a.view.generation;
	answer_free(&a);
	answer_free(&b);

	tree_v2("sys/fs/cgroup", "/y", 1);
	g[1] = generation(&r);
	cr_expect_neq(g[1], g[0], "a cgroup was added");
	tree_v2("sys/fs/cgroup", "/y", 0);
	g[2] = generation(&r);
	cr_expect_neq(g[2], g[1], "its last process ended");
	cr_assert_eq(rename(tree_path("sys/fs/cgroup/y"), tree_path("sys/fs/cgroup/z")), 0);
	g[3] = generation(&r);
	cr_expect_neq(g[3], g[2], "another one took its place");
	cr_assert_eq(rename(tree_path("sys/fs/cgroup/z"), tree_path("sys/fs/cgroup/y")), 0);
	g[4] = generation(&r);
	cr_expect_eq(g[4], g[2], "equal content, equal generation");
	tree_file("sys/fs/cgroup/x/memory.max", "max\n");
	g[5] = generation(&r);
	cr_expect_eq(g[5], g[4], "files do not count");
	rig_close(&r);
}

/* The order in which a file system lists a directory is nobody's business. */
Test(cgroups_tree, order_of_creation_does_not_matter)
{
	struct rig r;
	struct answer a, b;
	char path[32];
	int i;

	tree_mountinfo("41 31 0:26 / /one rw - cgroup2 cgroup2 rw\n");
	tree_v2("one", "/", 1);
	tree_v2("two", "/", 1);
	for (i = 0; i < 100; i++) {
		snprintf(path, sizeof path, "/c%d", i);
		tree_v2("one", path, i & 1);
		snprintf(path, sizeof path, "/c%d", 99 - i);
		tree_v2("two", path, ~i & 1);
	}
	rig_open(&r, NULL, tree_config(""));
	a = rig_ask(&r);
	tree_mountinfo("41 31 0:26 / /two rw - cgroup2 cgroup2 rw\n");
	b = rig_ask(&r);
	cr_assert_eq(a.len, b.len);
	cr_expect_arr_eq(a.bytes, b.bytes, a.len);
	cr_expect_eq(a.view.n_items, 101);
	expect_sorted(&a);
	answer_free(&a);
	answer_free(&b);
	rig_close(&r);
}
