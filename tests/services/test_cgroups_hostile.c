/* tests/services/test_cgroups_hostile.c - trees that are too large, strange, or change while
 * read. */
#include "cgroups_rig.h"
#include "services/cgroups/cgroups.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

TestSuite(cgroups_hostile, .timeout = 60, .init = tree_make, .fini = tree_remove);

/* -- limits ------------------------------------------------------------------------------------ */

Test(cgroups_hostile, fan_out_beyond_max_cgroups)
{
	struct rig r;
	struct answer a, b;
	char path[64];
	int i;

	tree_pure_v2();
	for (i = 0; i < 300; i++) {
		snprintf(path, sizeof path, "/wide-%03d", i);
		tree_v2("sys/fs/cgroup", path, 1);
	}
	rig_open(&r, NULL, tree_config("max_cgroups=50\n"));
	a = rig_ask(&r);
	cr_expect_eq(a.view.n_items, 50);
	cr_expect_not_null(answer_find(&a, "/"));
	cr_expect_eq(atomic_load(&r.n_logs), 1);
	cr_expect_str_eq(r.log_text,
			 "cgroups: the snapshot is not complete: too many cgroups; limits: "
			 "max_cgroups=50, max_depth=32, 8388608 bytes of paths",
			 "%s", r.log_text);
	b = rig_ask(&r);
	cr_expect_eq(a.len, b.len);
	cr_expect_arr_eq(a.bytes, b.bytes, a.len);
	cr_expect_eq(atomic_load(&r.n_logs), 1, "said once");
	answer_free(&a);
	answer_free(&b);

	for (i = 10; i < 300; i++) {
		snprintf(path, sizeof path, "sys/fs/cgroup/wide-%03d", i);
		cr_assert_eq(rename(tree_path(path), tree_path("sys/gone")), 0);
		unlink(tree_path("sys/gone/cgroup.procs"));
		unlink(tree_path("sys/gone/cgroup.events"));
		unlink(tree_path("sys/gone/cgroup.controllers"));
		cr_assert_eq(rmdir(tree_path("sys/gone")), 0);
	}
	a = rig_ask(&r);
	cr_expect_eq(a.view.n_items, 11);
	cr_expect_eq(atomic_load(&r.n_logs), 2);
	cr_expect_str_eq(r.log_text, "cgroups: the snapshot is complete again");
	answer_free(&a);
	rig_close(&r);
}

Test(cgroups_hostile, exactly_max_cgroups_is_complete)
{
	struct rig r;
	struct answer a;

	tree_pure_v2();
	tree_v2("sys/fs/cgroup", "/a", 1);
	tree_v2("sys/fs/cgroup", "/b", 1);
	rig_open(&r, NULL, tree_config("max_cgroups=3\n"));
	a = rig_ask(&r);
	cr_expect_eq(a.view.n_items, 3);
	cr_expect_eq(atomic_load(&r.n_logs), 0);
	answer_free(&a);
	rig_close(&r);
}

/* What lies deepest is left out first. */
Test(cgroups_hostile, limits_cut_from_below)
{
	struct rig r;
	struct answer a;
	char path[64];
	int i;

	tree_pure_v2();
	for (i = 0; i < 40; i++) {
		snprintf(path, sizeof path, "/deep/child-%d", i);
		tree_v2("sys/fs/cgroup", path, 0);
	}
	for (i = 0; i < 8; i++) {
		snprintf(path, sizeof path, "/top-%d", i);
		tree_v2("sys/fs/cgroup", path, 0);
	}
	rig_open(&r, NULL, tree_config("max_cgroups=10\n"));
	a = rig_ask(&r);
	cr_expect_eq(a.view.n_items, 10);
	for (i = 0; i < 8; i++) {
		snprintf(path, sizeof path, "/top-%d", i);
		cr_expect_not_null(answer_find(&a, path), "%s", path);
	}
	answer_free(&a);
	rig_close(&r);
}

Test(cgroups_hostile, too_deep)
{
	struct rig r;
	struct answer a;

	tree_pure_v2();
	tree_v2("sys/fs/cgroup", "/1/2/3/4/5", 1);
	rig_open(&r, NULL, tree_config("max_depth=3\n"));
	a = rig_ask(&r);
	cr_expect_eq(a.view.n_items, 4);
	cr_expect_not_null(answer_find(&a, "/1/2/3"));
	cr_expect_null(answer_find(&a, "/1/2/3/4"));
	cr_expect_not_null(strstr(r.log_text, "too deep"), "%s", r.log_text);
	answer_free(&a);
	rig_close(&r);

	rig_open(&r, NULL, tree_config("max_depth=5\n"));
	a = rig_ask(&r);
	cr_expect_not_null(answer_find(&a, "/1/2/3/4/5"));
	cr_expect_eq(atomic_load(&r.n_logs), 0, "%s", r.log_text);
	answer_free(&a);
	rig_close(&r);
}

/* A chain of n directories with names of 200 bytes below the hierarchy's root: its last one. */
static int make_chain(int n)
{
	char name[201];
	int fd = open(tree_path("sys/fs/cgroup"), O_RDONLY | O_DIRECTORY), i;

	memset(name, 'd', sizeof name - 1);
	name[sizeof name - 1] = 0;
	for (i = 0; i < n; i++) {
		int next;

		cr_assert_eq(mkdirat(fd, name, 0755), 0);
		next = openat(fd, name, O_RDONLY | O_DIRECTORY);
		cr_assert_geq(next, 0);
		close(fd);
		fd = next;
	}
	return fd;
}

/* Deeper than any path that the system would take in one piece. */
Test(cgroups_hostile, deeper_than_path_max)
{
	struct rig r;
	struct answer a;
	uint32_t longest = 0, i;

	tree_pure_v2();
	close(make_chain(30));
	rig_open(&r, NULL, tree_config(""));
	a = rig_ask(&r);
	cr_expect_eq(a.view.n_items, 31);
	for (i = 0; i < a.view.n_items; i++)
		if (answer_at(&a, i)->path_len > longest)
			longest = answer_at(&a, i)->path_len;
	cr_expect_eq(longest, 30 * 201);
	answer_free(&a);
	rig_close(&r);
}

Test(cgroups_hostile, more_paths_than_are_kept)
{
	const int n = (int)(CGROUPS_TEXT_MAX / (80 * 201)) + 50;
	struct rig r;
	char name[16];
	uint8_t *room;
	uint64_t len = 0;
	via_cgroups_snapshot_view view;
	int fd, i;

	tree_pure_v2();
	fd = make_chain(80);
	for (i = 0; i < n; i++) {
		snprintf(name, sizeof name, "%d", i);
		cr_assert_eq(mkdirat(fd, name, 0755), 0);
	}
	close(fd);
	rig_open(&r, NULL, tree_config("max_depth=100\n"));
	room = malloc(2 * (size_t)CGROUPS_TEXT_MAX);
	cr_assert_eq(rig_call(&r, room, 2 * (size_t)CGROUPS_TEXT_MAX, &len), VIA_OK);
	cr_assert_eq(via_cgroups_snapshot_check(&view, room, len, NULL), VIA_OK);
	cr_expect_lt(view.n_items, n);
	cr_expect_gt(view.n_items, 80);
	cr_expect_not_null(strstr(r.log_text, "paths too long"), "%s", r.log_text);
	free(room);
	rig_close(&r);
}

/* -- strange things ---------------------------------------------------------------------------- */

Test(cgroups_hostile, names_with_odd_bytes)
{
	static const char *const names[] = {
		"/new\nline", "/\xff\xfe",    "/ ",           "/a\tb",    "/-",
		"/...",       "/\x1b[31mred", "/back\\slash", "/quote\"", "/\x7f",
	};
	char longest[257];
	struct rig r;
	struct answer a;
	uint32_t i, j;

	tree_pure_v2();
	for (i = 0; i < sizeof names / sizeof names[0]; i++)
		tree_v2("sys/fs/cgroup", names[i], 1);
	memset(longest, 'L', sizeof longest - 1);
	longest[0] = '/';
	longest[256] = 0;
	tree_v2("sys/fs/cgroup", longest, 1);
	rig_open(&r, NULL, tree_config(""));
	a = rig_ask(&r);
	cr_expect_eq(a.view.n_items, i + 2);
	cr_expect_not_null(answer_find(&a, longest));
	for (i = 0; i < sizeof names / sizeof names[0]; i++) {
		const via_cgroups_item *item = answer_find(&a, names[i]);

		cr_assert_not_null(item, "row %u: paths carry the bytes as they are", i);
		for (j = 0; j < item->name_len; j++)
			cr_expect((uint8_t)item->name[j] >= 0x20 && (uint8_t)item->name[j] < 0x7f,
				  "row %u: names are readable", i);
	}
	cr_expect_str_eq(answer_find(&a, "/new\nline")->name, "new\\x0aline");
	cr_expect_str_eq(answer_find(&a, "/\x1b[31mred")->name, "\\x1b[31mred");
	answer_free(&a);
	rig_close(&r);
}

Test(cgroups_hostile, links_are_not_followed)
{
	struct rig r;
	struct answer a;

	tree_pure_v2();
	tree_v2("sys/fs/cgroup", "/real", 0);
	tree_v2("outside", "/secret", 1);
	tree_link("sys/fs/cgroup/loop", ".");
	tree_link("sys/fs/cgroup/real/up", "..");
	tree_link("sys/fs/cgroup/out", tree_path("outside"));
	tree_link("sys/fs/cgroup/dangling", "nothing");
	unlink(tree_path("sys/fs/cgroup/real/cgroup.events"));
	tree_link("sys/fs/cgroup/real/cgroup.events", "../../../outside/secret/cgroup.events");
	unlink(tree_path("sys/fs/cgroup/real/cgroup.procs"));
	tree_link("sys/fs/cgroup/real/cgroup.procs", tree_path("proc/self/mountinfo"));
	rig_open(&r, NULL, tree_config(""));
	a = rig_ask(&r);
	cr_expect_eq(a.view.n_items, 2);
	cr_assert_not_null(answer_find(&a, "/real"));
	cr_expect_eq(answer_find(&a, "/real")->enabled, 0, "what a link shows does not count");
	answer_free(&a);
	rig_close(&r);
}

/* Files in a cgroup that are not what the kernel would put there: none of them may block the
 * walk. */
Test(cgroups_hostile, wrong_kinds_of_files)
{
	struct rig r;
	struct answer a;

	tree_pure_v2();
	tree_dir("sys/fs/cgroup/dirs/cgroup.events");
	tree_dir("sys/fs/cgroup/dirs/cgroup.procs");
	tree_dir("sys/fs/cgroup/fifo");
	cr_assert_eq(mkfifo(tree_path("sys/fs/cgroup/fifo/cgroup.events"), 0644), 0);
	cr_assert_eq(mkfifo(tree_path("sys/fs/cgroup/fifo/cgroup.procs"), 0644), 0);
	tree_file("sys/fs/cgroup/odd/cgroup.events", "frozen 0\nunpopulated 1\npopulated 1");
	tree_file("sys/fs/cgroup/none/cgroup.events", "populated");
	tree_file("sys/fs/cgroup/none/cgroup.procs", "");
	tree_file("sys/fs/cgroup/zero/cgroup.events", "\n\n\npopulated 0\npopulated 1\n");
	rig_open(&r, NULL, tree_config(""));
	a = rig_ask(&r);
	cr_expect_eq(answer_find(&a, "/dirs")->enabled, 0);
	cr_expect_eq(answer_find(&a, "/fifo")->enabled, 0);
	cr_expect_eq(answer_find(&a, "/odd")->enabled, 1);
	cr_expect_eq(answer_find(&a, "/none")->enabled, 0);
	cr_expect_eq(answer_find(&a, "/zero")->enabled, 0);
	answer_free(&a);
	rig_close(&r);
}

Test(cgroups_hostile, unreadable_directories)
{
	const uint32_t scope = CGROUPS_OPT_V2 |
			       (uint32_t)CGROUPS_IS_SCOPE << CGROUPS_OPT_KIND_SHIFT |
			       CGROUPS_BY_SYSTEMD;
	struct rig r;
	struct answer a;

	tree_pure_v2();
	tree_v2("sys/fs/cgroup", "/closed.scope/inside", 1);
	tree_v2("sys/fs/cgroup", "/open.scope", 1);
	tree_v2("sys/fs/cgroup", "/blind.scope/inside", 1);
	cr_assert_eq(chmod(tree_root, 0755), 0);
	cr_assert_eq(chmod(tree_path("sys/fs/cgroup/closed.scope"), 0), 0);
	cr_assert_eq(chmod(tree_path("sys/fs/cgroup/open.scope/cgroup.events"), 0), 0);
	cr_assert_eq(chmod(tree_path("sys/fs/cgroup/open.scope/cgroup.procs"), 0), 0);
	cr_assert_eq(chmod(tree_path("sys/fs/cgroup/blind.scope"), 0444),
		     0); /* names, but nothing else */
	if (geteuid() == 0)
		cr_assert_eq(seteuid(65534), 0);
	rig_open(&r, NULL, tree_config(""));
	a = rig_ask(&r);
	cr_assert_not_null(answer_find(&a, "/closed.scope"));
	cr_expect_eq(answer_find(&a, "/closed.scope")->options, scope | CGROUPS_OPT_UNREADABLE);
	cr_expect_eq(answer_find(&a, "/closed.scope")->enabled, 0);
	cr_expect_eq(answer_find(&a, "/open.scope")->options, scope);
	cr_expect_eq(answer_find(&a, "/open.scope")->enabled, 0, "nobody can tell");
	cr_assert_not_null(answer_find(&a, "/blind.scope/inside"));
	cr_expect_neq(answer_find(&a, "/blind.scope/inside")->options & CGROUPS_OPT_UNREADABLE, 0);
	answer_free(&a);
	rig_close(&r);
	if (getuid() == 0)
		cr_assert_eq(seteuid(0), 0);
}

/* -- trees that change ------------------------------------------------------------------------- */

#define SNAPSHOTS 150

struct mover {
	pthread_t thread;
	atomic_int is_over;
	long n_moves;
	char cgroup[3][TREE_PATH], link[TREE_PATH], outside[TREE_PATH];
};

/* Renames, removes, makes again, and puts a link to the outside in a directory's place. */
static void *keep_moving(void *arg)
{
	struct mover *m = arg;

	while (atomic_load(&m->is_over) == 0) {
		(void)!rename(m->cgroup[0], m->cgroup[1]);
		(void)!symlink(m->outside, m->cgroup[0]);
		(void)!mkdir(m->cgroup[2], 0755);
		(void)!unlink(m->cgroup[0]);
		(void)!rename(m->cgroup[1], m->cgroup[0]);
		(void)!rmdir(m->cgroup[2]);
		m->n_moves++;
	}
	return NULL;
}

Test(cgroups_hostile, moved_and_removed_while_read)
{
	static struct mover m;
	struct rig r;
	char path[64];
	int i, j;

	tree_pure_v2();
	for (i = 0; i < 30; i++) {
		snprintf(path, sizeof path, "/busy/mid/child-%d", i);
		tree_v2("sys/fs/cgroup", path, 1);
		snprintf(path, sizeof path, "/calm-%d", i);
		tree_v2("sys/fs/cgroup", path, 1);
		snprintf(path, sizeof path, "/mid/secret-%d", i);
		tree_v2("outside", path, 1);
	}
	snprintf(m.cgroup[0], TREE_PATH, "%s", tree_path("sys/fs/cgroup/busy"));
	snprintf(m.cgroup[1], TREE_PATH, "%s", tree_path("sys/fs/cgroup/moved"));
	snprintf(m.cgroup[2], TREE_PATH, "%s", tree_path("sys/fs/cgroup/calm-0/new"));
	snprintf(m.outside, TREE_PATH, "%s", tree_path("outside"));
	rig_open(&r, NULL, tree_config(""));
	cr_assert_eq(pthread_create(&m.thread, NULL, keep_moving, &m), 0);
	for (i = 0; i < SNAPSHOTS; i++) {
		struct answer a = rig_ask(&r);

		for (j = 0; j < 30; j++) {
			snprintf(path, sizeof path, "/calm-%d", j);
			cr_assert_not_null(answer_find(&a, path), "%s is always there", path);
		}
		for (j = 0; j < (int)a.view.n_items; j++)
			cr_assert_null(strstr(answer_at(&a, (uint32_t)j)->path, "secret"),
				       "a link was followed");
		answer_free(&a);
	}
	atomic_store(&m.is_over, 1);
	pthread_join(m.thread, NULL);
	cr_expect_gt(m.n_moves, 0);
	rig_close(&r);
}

struct asker {
	pthread_t thread;
	struct rig *r;
	void *bytes;
	uint64_t len;
	via_rc rc;
};

static void *ask_often(void *arg)
{
	struct asker *a = arg;
	int i;

	for (i = 0; i < 20; i++) {
		a->rc = rig_call(a->r, a->bytes, 1u << 20, &a->len);
		if (a->rc != VIA_OK)
			break;
	}
	return NULL;
}

Test(cgroups_hostile, calls_may_overlap)
{
	struct asker a[4];
	struct rig r;
	char path[64];
	int i;

	tree_pure_v2();
	for (i = 0; i < 100; i++) {
		snprintf(path, sizeof path, "/c/%d", i);
		tree_v2("sys/fs/cgroup", path, 1);
	}
	rig_open(&r, NULL, tree_config("max_cgroups=90\n"));
	cr_assert_neq(r.service->flags & VIA_SVC_CONCURRENT, 0);
	for (i = 0; i < 4; i++) {
		a[i] = (struct asker){.r = &r, .bytes = malloc(1u << 20)};
		cr_assert_eq(pthread_create(&a[i].thread, NULL, ask_often, &a[i]), 0);
	}
	for (i = 0; i < 4; i++)
		pthread_join(a[i].thread, NULL);
	for (i = 0; i < 4; i++) {
		cr_expect_eq(a[i].rc, VIA_OK);
		cr_assert_eq(a[i].len, a[0].len);
		cr_expect_arr_eq(a[i].bytes, a[0].bytes, a[0].len);
	}
	for (i = 0; i < 4; i++)
		free(a[i].bytes);
	cr_expect_eq(atomic_load(&r.n_logs), 1);
	rig_close(&r);
}
