/* tests/services/test_cgroups_mounts.c - lines of mountinfo, and the module's configuration. */
#include "services/cgroups/cgroups.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(cgroups_mounts, .timeout = 20);
TestSuite(cgroups_config, .timeout = 20);

#define V1(options) "35 31 0:32 / /sys/fs/cgroup/x rw,relatime shared:9 - cgroup cgroup " options

static const struct good_case {
	const char *line, *point;
	int is_v2, is_systemd, has_whole_tree;
} good[] = {
	{"41 31 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw", "/sys/fs/cgroup", 1, 0, 1},
	{"41 31 0:38 / /sys/fs/cgroup rw shared:4 master:1 - cgroup2 none rw", "/sys/fs/cgroup", 1,
	 0, 1},
	{"41 31 0:38 / /sys/fs/cgroup rw - cgroup2  rw", "/sys/fs/cgroup", 1, 0,
	 1}, /* empty source */
	{"41 31 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 ", "/sys/fs/cgroup", 1, 0, 1},
	{"41 31 0:38 /docker/ab /sys/fs/cgroup ro - cgroup2 c rw", "/sys/fs/cgroup", 1, 0, 0},
	{"41 31 0:38 /../.. /sys/fs/cgroup ro - cgroup2 c rw", "/sys/fs/cgroup", 1, 0, 0},
	{"41 31 0:38 / /mnt/my\\040groups rw - cgroup2 c rw", "/mnt/my groups", 1, 0, 1},
	{"41 31 0:38 / /a\\011b\\012c\\134d rw - cgroup2 c rw", "/a\tb\nc\\d", 1, 0, 1},
	{"41 31 0:38 / /\\377 rw - cgroup2 c rw", "/\xff", 1, 0, 1},
	{"41 31 0:38 / / rw - cgroup2 c rw", "/", 1, 0, 1},
	{V1("rw,memory"), "/sys/fs/cgroup/x", 0, 0, 1},
	{V1("rw,xattr,name=systemd"), "/sys/fs/cgroup/x", 0, 1, 1},
	{V1("rw"), "/sys/fs/cgroup/x", 0, 0, 1},
	{"41 31 0:38 / /..x rw - cgroup2 c rw", "/..x", 1, 0, 1},
};

Test(cgroups_mounts, lines_of_the_kernel)
{
	size_t i;

	for (i = 0; i < sizeof good / sizeof good[0]; i++) {
		const struct good_case *c = &good[i];
		struct cgroups_mount m;

		cr_assert_eq(cgroups_mount_parse(c->line, strlen(c->line), &m), 1, "%s", c->line);
		cr_expect_str_eq(m.point, c->point, "%s", c->line);
		cr_expect_eq(m.is_v2, c->is_v2, "%s", c->line);
		cr_expect_eq(m.is_systemd, c->is_systemd, "%s", c->line);
		cr_expect_eq(m.has_whole_tree, c->has_whole_tree, "%s", c->line);
	}
}

static const char *const bad[] = {
	"",
	" ",
	"-",
	" - ",
	"garbage",
	"22 27 0:21 / /proc rw,relatime - proc proc rw",
	"22 27 0:21 / /x rw,relatime - cgroupfs cgroup rw",
	"22 27 0:21 / /x rw,relatime - cgroup3 cgroup rw",
	"41 31 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2", /* no super options */
	"41 31 0:38 / /sys/fs/cgroup rw - cgroup2",
	"41 31 0:38 / /sys/fs/cgroup rw -",
	"41 31 0:38 / /sys/fs/cgroup rw cgroup2 cgroup2 rw", /* no separator */
	"41 31 0:38 / /sys/fs/cgroup - cgroup2 cgroup2 rw",  /* its own option is "-" */
	"x 31 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw",
	"41 -1 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw",
	" 31 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw",
	"41 31 0:38 sys /sys/fs/cgroup rw - cgroup2 cgroup2 rw",
	"41 31 0:38  /sys/fs/cgroup rw - cgroup2 cgroup2 rw",
	"41 31 0:38 / sys/fs/cgroup rw - cgroup2 cgroup2 rw",
	"41 31 0:38 /  rw - cgroup2 cgroup2 rw",
	"41 31 0:38 / /a\\0 rw - cgroup2 cgroup2 rw",
	"41 31 0:38 / /a\\04 rw - cgroup2 cgroup2 rw",
	"41 31 0:38 / /a\\08x rw - cgroup2 cgroup2 rw",
	"41 31 0:38 / /a\\400 rw - cgroup2 cgroup2 rw",
	"41 31 0:38 / /a\\000b rw - cgroup2 cgroup2 rw",
	"41 31 0:38 / /a\\x2d rw - cgroup2 cgroup2 rw",
	"41 31 0:38 / /sys/.. rw - cgroup2 cgroup2 rw",
	"41 31 0:38 / /sys/../etc rw - cgroup2 cgroup2 rw",
	"41 31 0:38 / /.. rw - cgroup2 cgroup2 rw",
	"41 31 0:38 / /sys/\\056\\056/etc rw - cgroup2 cgroup2 rw",
};

Test(cgroups_mounts, everything_else_is_passed_over)
{
	size_t i;

	for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct cgroups_mount m;

		cr_expect_eq(cgroups_mount_parse(bad[i], strlen(bad[i]), &m), 0, "%s", bad[i]);
	}
}

Test(cgroups_mounts, a_nul_byte_is_no_part_of_a_path)
{
	static const char line[] = "41 31 0:38 / /a\0b rw - cgroup2 cgroup2 rw";
	struct cgroups_mount m;

	cr_expect_eq(cgroups_mount_parse(line, sizeof line - 1, &m), 0);
}

/* Every shorter form of a line, in a block of exactly its size: a sanitizer sees the first byte
 * too far. */
Test(cgroups_mounts, truncated_anywhere)
{
	static const char line[] = "41 31 0:38 / /my\\040groups rw shared:4 - cgroup2 cgroup2 rw";
	const size_t enough = sizeof line - 1 - 2; /* up to the super options, which may be empty */
	struct cgroups_mount m;
	size_t len;

	for (len = 0; len < sizeof line; len++) {
		char *copy = malloc(len + 1);

		cr_assert_not_null(copy);
		copy = realloc(copy, len == 0 ? 1 : len);
		memcpy(copy, line, len);
		cr_expect_eq(cgroups_mount_parse(copy, len, &m), len >= enough, "%zu bytes", len);
		free(copy);
	}
}

Test(cgroups_mounts, too_long_a_mount_point)
{
	char line[CGROUPS_MOUNT_CAP + 256], point[CGROUPS_MOUNT_CAP + 1];
	struct cgroups_mount m;
	int n;

	memset(point, 'a', sizeof point);
	point[0] = '/';
	point[CGROUPS_MOUNT_CAP - 1] = 0; /* the longest that fits */
	n = snprintf(line, sizeof line, "41 31 0:38 / %s rw - cgroup2 c rw", point);
	cr_expect_eq(cgroups_mount_parse(line, (uint64_t)n, &m), 1);
	cr_expect_str_eq(m.point, point);
	point[CGROUPS_MOUNT_CAP - 1] = 'a';
	point[CGROUPS_MOUNT_CAP] = 0;
	n = snprintf(line, sizeof line, "41 31 0:38 / %s rw - cgroup2 c rw", point);
	cr_expect_eq(cgroups_mount_parse(line, (uint64_t)n, &m), 0);
}

/* The order that README.md promises. */
Test(cgroups_mounts, usefulness)
{
	static const char *const order[] = {
		V1("rw,memory"),
		V1("rw,cpu,cpuacct"),
		V1("rw,cpu"),
		"41 31 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,memory",
		V1("rw,xattr,name=systemd"),
		V1("rw,pids"),
		V1("rw,blkio"),
		V1("rw,devices"),
		V1("rw,cpuset"),
		V1("rw,freezer"),
		V1("rw,net_cls,net_prio"),
	};
	struct cgroups_mount m;
	uint32_t last = 0;
	size_t i;

	for (i = 0; i < sizeof order / sizeof order[0]; i++) {
		cr_assert_eq(cgroups_mount_parse(order[i], strlen(order[i]), &m), 1);
		cr_expect(i == 0 || m.rank > last, "%s", order[i]);
		last = m.rank;
	}
}

/* -- configuration ----------------------------------------------------------------------------- */

Test(cgroups_config, defaults)
{
	static const char *const empty[] = {NULL, "", "\n", "\n\n"};
	struct cgroups_config c;
	char why[256];
	size_t i;

	for (i = 0; i < sizeof empty / sizeof empty[0]; i++) {
		memset(&c, 0xaa, sizeof c);
		cr_assert_eq(cgroups_config_parse(empty[i], &c, why, sizeof why), VIA_OK);
		cr_expect_eq(c.max_cgroups, 4096);
		cr_expect_eq(c.max_depth, 32);
		cr_expect_str_eq(c.root, "/");
	}
}

Test(cgroups_config, values)
{
	struct cgroups_config c;
	char why[256];

	cr_assert_eq(cgroups_config_parse("root=/a=b\nmax_cgroups=1\nmax_depth=256", &c, why,
					  sizeof why),
		     VIA_OK);
	cr_expect_str_eq(c.root, "/a=b");
	cr_expect_eq(c.max_cgroups, 1);
	cr_expect_eq(c.max_depth, 256);
	cr_assert_eq(cgroups_config_parse("max_cgroups=7\n\nmax_cgroups=65536\n", &c, why,
					  sizeof why),
		     VIA_OK);
	cr_expect_eq(c.max_cgroups, 65536);
}

static const struct refused {
	const char *text, *why;
} refused[] = {
	{"rot=/x\n", "unknown key \"rot\": expected root, max_cgroups or max_depth"},
	{"=1\n", "unknown key \"\": expected root, max_cgroups or max_depth"},
	{"root\n", "expected key=value, found \"root\""},
	{"root=\n", "root: expected an absolute path, found \"\""},
	{"root=tmp\n", "root: expected an absolute path, found \"tmp\""},
	{"max_cgroups=\n", "max_cgroups: expected a number from 1 to 65536, found \"\""},
	{"max_cgroups=0\n", "max_cgroups: expected a number from 1 to 65536, found \"0\""},
	{"max_cgroups=65537\n", "max_cgroups: expected a number from 1 to 65536, found \"65537\""},
	{"max_cgroups=4294967297",
	 "max_cgroups: expected a number from 1 to 65536, found \"4294967297\""},
	{"max_cgroups=-1\n", "max_cgroups: expected a number from 1 to 65536, found \"-1\""},
	{"max_cgroups= 1\n", "max_cgroups: expected a number from 1 to 65536, found \" 1\""},
	{"max_cgroups=1k\n", "max_cgroups: expected a number from 1 to 65536, found \"1k\""},
	{"max_depth=257\n", "max_depth: expected a number from 1 to 256, found \"257\""},
	{"max_depth=99999999999999999999\n",
	 "max_depth: expected a number from 1 to 256, found \"99999999999999999999\""},
	{"max_depth=3\nmax_deep=3\n",
	 "unknown key \"max_deep\": expected root, max_cgroups or max_depth"},
};

Test(cgroups_config, refusals_name_the_key)
{
	size_t i;

	for (i = 0; i < sizeof refused / sizeof refused[0]; i++) {
		struct cgroups_config c = {0};
		char why[256] = "";

		cr_expect_eq(cgroups_config_parse(refused[i].text, &c, why, sizeof why), VIA_INVAL);
		cr_expect_str_eq(why, refused[i].why, "%s", why);
		cr_expect_eq(c.max_cgroups, 0, "written although refused");
	}
}

Test(cgroups_config, a_root_has_a_limit)
{
	char text[CGROUPS_ROOT_CAP + 64], why[256];
	struct cgroups_config c;

	memset(text, 'a', sizeof text);
	memcpy(text, "root=/", 6);
	text[5 + CGROUPS_ROOT_CAP - 1] = 0;
	cr_expect_eq(cgroups_config_parse(text, &c, why, sizeof why), VIA_OK);
	cr_expect_eq(strlen(c.root), CGROUPS_ROOT_CAP - 1);
	text[5 + CGROUPS_ROOT_CAP - 1] = 'a';
	text[5 + CGROUPS_ROOT_CAP] = 0;
	cr_expect_eq(cgroups_config_parse(text, &c, why, sizeof why), VIA_INVAL);
	cr_expect_str_eq(why, "root: expected at most 1023 bytes, found 1024");
}
