/* tests/services/test_cgroups_module.c - the real module file, and the real machine. */
#include "cgroups_rig.h"
#include "services/cgroups/cgroups.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

TestSuite(cgroups_module, .timeout = 60, .init = tree_make, .fini = tree_remove);
TestSuite(cgroups_machine, .timeout = 60);

#define MODULE VIA_TEST_MODULE_DIR "/service-cgroups.so"

/* The file, or the builtin copy where modules are built into the library. */
static const char *module(void)
{
	return access(MODULE, F_OK) == 0 ? MODULE : NULL;
}

Test(cgroups_module, answers_like_the_builtin_one)
{
	struct rig file, builtin;
	struct answer a, b;

	tree_pure_v2();
	tree_v2("sys/fs/cgroup", "/system.slice", 1);
	rig_open(&builtin, NULL, tree_config(""));
	rig_open(&file, module(), tree_config(""));
	a = rig_ask(&builtin);
	b = rig_ask(&file);
	cr_assert_eq(a.len, b.len);
	cr_expect_arr_eq(a.bytes, b.bytes, a.len);
	answer_free(&a);
	answer_free(&b);
	if (file.file != NULL)
		builtin.n_fds = file.n_fds;
	rig_close(&file);
	rig_close(&builtin);
}

Test(cgroups_module, may_be_initialised_again_and_twice)
{
	struct rig r, other;
	struct answer a;
	void *again;

	tree_pure_v2();
	rig_open(&r, module(), tree_config("max_cgroups=1\n"));
	rig_open(&other, module(), tree_config(""));
	tree_v2("sys/fs/cgroup", "/a", 1);
	a = rig_ask(&r);
	cr_expect_eq(a.view.n_items, 1);
	answer_free(&a);
	a = rig_ask(&other);
	cr_expect_eq(a.view.n_items, 2);
	answer_free(&a);
	r.desc->life->fini(r.self);
	cr_expect_eq(atomic_load(&r.n_live), 0);
	cr_assert_eq(r.desc->life->init(&r.host, tree_config(""), &again), VIA_OK);
	r.self = again;
	a = rig_ask(&r);
	cr_expect_eq(a.view.n_items, 2);
	answer_free(&a);
	rig_close(&other);
	rig_close(&r);
}

Test(cgroups_module, descriptor)
{
	struct rig r;

	rig_open(&r, module(), NULL);
	cr_expect_str_eq(r.desc->id, "org.viaduct.service.cgroups");
	cr_expect_str_eq(r.desc->license, "Apache-2.0");
	cr_expect_eq(r.desc->struct_size, sizeof *r.desc);
	cr_expect_eq(r.desc->abi_major, VIA_ABI_MAJOR);
	cr_expect_eq(r.desc->components[0].rev, 1);
	cr_expect_eq(r.desc->components[0].score, 100);
	cr_expect_str_eq(r.service->name, "cgroups-snapshot");
	cr_expect_str_eq(r.service->codecs[0], "cgroups-snapshot");
	cr_expect_null(r.service->codecs[1]);
	cr_expect_eq(r.service->flags, VIA_SVC_CONCURRENT | VIA_SVC_IDEMPOTENT | VIA_SVC_BLOCKING);
	rig_close(&r);
}

static int holds(const char *bytes, size_t len, const char *text, size_t text_len)
{
	size_t i;

	for (i = 0; i + text_len <= len; i++)
		if (memcmp(bytes + i, text, text_len) == 0)
			return 1;
	return 0;
}

Test(cgroups_module, says_what_it_provides_without_being_loaded)
{
	static const char text[] =
		"viaduct-module\0abi=1\0id=org.viaduct.service.cgroups\0version=1.0.0\0"
		"provides=service org.viaduct.cgroups/1 score=100 name=cgroups-snapshot "
		"codecs=cgroups-snapshot max_request=1024 max_response=1048576";
	struct stat st;
	char *bytes;
	int fd;

	if (module() == NULL)
		cr_skip_test("modules are built into the library");
	fd = open(MODULE, O_RDONLY);
	cr_assert_geq(fd, 0);
	cr_assert_eq(fstat(fd, &st), 0);
	bytes = malloc((size_t)st.st_size);
	cr_assert_eq(read(fd, bytes, (size_t)st.st_size), st.st_size);
	close(fd);
	cr_expect(holds(bytes, (size_t)st.st_size, text, sizeof text));
	free(bytes);
}

/* -- this machine ------------------------------------------------------------------------------ */

static int is_on_a_cgroup_mount(const char *path)
{
	char line[8192], full[3 * CGROUPS_MOUNT_CAP];
	FILE *f = fopen("/proc/self/mountinfo", "r");
	struct cgroups_mount m;
	struct stat st;
	int found = 0;

	cr_assert_not_null(f);
	while (found == 0 && fgets(line, sizeof line, f) != NULL) {
		if (!cgroups_mount_parse(line, strcspn(line, "\n"), &m))
			continue;
		snprintf(full, sizeof full, "%s%s", m.point, path);
		found = stat(full, &st) == 0 && S_ISDIR(st.st_mode);
	}
	fclose(f);
	return found;
}

Test(cgroups_machine, every_path_exists)
{
	struct rig r;
	struct answer a, later;
	uint8_t *room = malloc(8u << 20);
	uint64_t len;
	uint32_t i;
	via_rc rc;

	rig_open(&r, module(), NULL);
	rc = rig_call(&r, room, 8u << 20, &len);
	free(room);
	if (rc == VIA_NOTFOUND) {
		rig_close(&r);
		cr_skip_test("no cgroup hierarchy is mounted here");
	}
	a = rig_ask(&r);
	cr_expect_geq(a.view.n_items, 1);
	cr_expect_not_null(answer_find(&a, "/"));
	cr_expect_eq(answer_find(&a, "/")->enabled, 1, "we run in it or below it");
	later = rig_ask(&r);
	for (i = 0; i < a.view.n_items; i++) {
		via_cgroups_item item = *answer_at(&a, i);

		cr_expect_eq(item.path[0], '/');
		cr_expect_gt(item.name_len, 0);
		/* one that ended meanwhile is missing in the later snapshot, too */
		cr_expect(is_on_a_cgroup_mount(item.path) || answer_find(&later, item.path) == NULL,
			  "%s", item.path);
	}
	cr_expect_eq(atomic_load(&r.n_logs), 0, "%s", r.log_text);
	answer_free(&a);
	answer_free(&later);
	rig_close(&r);
}
