/* tests/services/cgroups_rig.c - see cgroups_rig.h. */
#include "cgroups_rig.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

via_rc VIA_CALL via_builtin_service_cgroups(uint32_t minor, const via_module_desc **out);

/* -- host -------------------------------------------------------------------------------------- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct rig *of(via_ctx *ctx)
{
	return (struct rig *)(void *)ctx;
}

static void host_log(via_ctx *ctx, int32_t level, const char *text)
{
	struct rig *r = of(ctx);

	(void)level;
	pthread_mutex_lock(&lock);
	snprintf(r->log_text, sizeof r->log_text, "%s", text);
	pthread_mutex_unlock(&lock);
	atomic_fetch_add(&r->n_logs, 1);
}

static via_rc host_fail(via_ctx *ctx, via_rc rc, int64_t error, const char *detail)
{
	struct rig *r = of(ctx);

	pthread_mutex_lock(&lock);
	r->fail_rc = rc;
	r->fail_error = error;
	snprintf(r->fail_text, sizeof r->fail_text, "%s", detail);
	pthread_mutex_unlock(&lock);
	atomic_fetch_add(&r->n_fails, 1);
	return rc;
}

static void *host_alloc(via_ctx *ctx, uint64_t size, uint64_t align)
{
	struct rig *r = of(ctx);
	int n = atomic_fetch_add(&r->n_allocs, 1) + 1;
	void *p;

	if (n == atomic_load(&r->fail_alloc))
		return NULL;
	if (align < sizeof(void *))
		align = sizeof(void *);
	if (posix_memalign(&p, (size_t)align, size == 0 ? 1 : (size_t)size) != 0)
		return NULL;
	memset(p, 0, (size_t)size);
	atomic_fetch_add(&r->n_live, 1);
	return p;
}

static void host_free(via_ctx *ctx, void *p)
{
	if (p != NULL)
		atomic_fetch_sub(&of(ctx)->n_live, 1);
	free(p);
}

static via_time host_now(via_ctx *ctx)
{
	struct rig *r = of(ctx);
	via_time now;

	pthread_mutex_lock(&lock);
	now = r->now;
	r->now += r->tick;
	pthread_mutex_unlock(&lock);
	return now;
}

static const void *host_get_ext(via_ctx *ctx, const char *id)
{
	return strcmp(id, VIA_EXT_SYSGATE) == 0 ? &of(ctx)->gate : NULL;
}

static int32_t gate_deny(void *arg, const char *call)
{
	struct rig *r = arg;
	int n = atomic_fetch_add(&r->n_calls, 1) + 1, every = atomic_load(&r->fail_every);

	cr_assert(call[0] != 0);
	if (n == atomic_load(&r->fail_call) || (every != 0 && n >= every))
		return atomic_load(&r->call_error);
	return 0;
}

int rig_open_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	cr_assert_not_null(d);
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

void rig_host(struct rig *r)
{
	memset(r, 0, sizeof *r);
	r->log_level = VIA_LOG_INFO;
	r->gate = (via_sysgate){sizeof r->gate, 0, r, gate_deny};
	r->host = (via_host){
		.struct_size = sizeof r->host,
		.ctx = (via_ctx *)(void *)r,
		.log_level = &r->log_level,
		.log = host_log,
		.fail = host_fail,
		.alloc = host_alloc,
		.free = host_free,
		.now = host_now,
		.get_ext = host_get_ext,
	};
	r->n_fds = rig_open_fds();
}

static void find_service(struct rig *r)
{
	cr_assert_eq(r->desc->magic, VIA_MODULE_MAGIC);
	cr_assert_eq(r->desc->layout, VIA_LAYOUT);
	cr_assert_eq(r->desc->n_components, 1);
	cr_assert_eq(r->desc->components[0].kind, VIA_KIND_SERVICE);
	cr_assert_str_eq(r->desc->components[0].id, "org.viaduct.cgroups");
	r->service = r->desc->components[0].vtable;
}

void rig_open(struct rig *r, const char *path, const char *config)
{
	via_module_entry_fn entry = via_builtin_service_cgroups;

	rig_host(r);
	if (path != NULL) {
		r->file = dlopen(path, RTLD_NOW | RTLD_LOCAL);
		cr_assert_not_null(r->file, "%s cannot be loaded", path);
		*(void **)&entry = dlsym(r->file, VIA_MODULE_SYMBOL);
		cr_assert(entry != NULL);
	}
	cr_assert_eq(entry(VIA_ABI_MINOR, &r->desc), VIA_OK);
	find_service(r);
	cr_assert_eq(r->desc->life->init(&r->host, config, &r->self), VIA_OK, "%s", r->fail_text);
}

void rig_close(struct rig *r)
{
	if (r->self != NULL)
		r->desc->life->fini(r->self);
	if (r->file != NULL)
		dlclose(r->file);
	cr_expect_eq(atomic_load(&r->n_live), 0, "allocations are left");
	cr_expect_eq(rig_open_fds(), r->n_fds, "descriptors are left");
}

via_rc rig_call(struct rig *r, void *response, uint64_t cap, uint64_t *len)
{
	static const uint8_t request[4] = {1, 0, 0, 0};
	via_call call = {.struct_size = sizeof call,
			 .method = 2,
			 .request = request,
			 .request_len = sizeof request,
			 .response = response,
			 .response_cap = cap,
			 .deadline = VIA_FOREVER};
	via_rc rc = r->service->call(r->self, NULL, &call);

	if (rc == VIA_OK)
		*len = call.response_len;
	else
		cr_expect_eq(call.response_len, 0);
	return rc;
}

#define ANSWER_CAP (8u << 20)

struct answer rig_ask(struct rig *r)
{
	struct answer a = {malloc(ANSWER_CAP), 0, {0}};
	via_rc rc;

	cr_assert_not_null(a.bytes);
	rc = rig_call(r, a.bytes, ANSWER_CAP, &a.len);
	cr_assert_eq(rc, VIA_OK, "%d: %s (%d)", rc, r->fail_text, (int)r->fail_error);
	cr_assert_eq(via_cgroups_snapshot_check(&a.view, a.bytes, a.len, NULL), VIA_OK);
	return a;
}

void answer_free(struct answer *a)
{
	free(a->bytes);
	a->bytes = NULL;
}

const via_cgroups_item *answer_at(const struct answer *a, uint32_t index)
{
	static via_cgroups_item item;

	cr_assert_eq(via_cgroups_snapshot_item(&a->view, index, &item, NULL), VIA_OK);
	return &item;
}

const via_cgroups_item *answer_find(const struct answer *a, const char *path)
{
	uint32_t i;

	for (i = 0; i < a->view.n_items; i++) {
		const via_cgroups_item *item = answer_at(a, i);

		if (item->path_len == strlen(path) && memcmp(item->path, path, item->path_len) == 0)
			return item;
	}
	return NULL;
}

/* -- trees ------------------------------------------------------------------------------------- */

char tree_root[TREE_PATH];

void tree_make(void)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(tree_root, sizeof tree_root, "%s/viaduct-cgroups-XXXXXX",
		 tmp != NULL && tmp[0] == '/' && strlen(tmp) < 512 ? tmp : "/tmp");
	cr_assert_not_null(mkdtemp(tree_root));
}

/* Removes what is in the directory, at any depth: paths may be longer than the system takes. */
static void empty_directory(int parent, const char *name)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
	struct dirent *e;
	DIR *d;

	if (fd < 0 && errno == EACCES && fchmodat(parent, name, 0700, 0) == 0)
		fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
	d = fd < 0 ? NULL : fdopendir(fd);
	if (d == NULL)
		return;
	(void)!fchmod(fd, 0700);
	while ((e = readdir(d)) != NULL) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (unlinkat(fd, e->d_name, 0) == 0)
			continue;
		empty_directory(fd, e->d_name);
		unlinkat(fd, e->d_name, AT_REMOVEDIR);
	}
	closedir(d);
}

void tree_remove(void)
{
	if (tree_root[0] == 0)
		return;
	empty_directory(AT_FDCWD, tree_root);
	rmdir(tree_root);
	tree_root[0] = 0;
}

const char *tree_config(const char *more)
{
	static char text[TREE_PATH + 256];

	snprintf(text, sizeof text, "root=%s\n%s", tree_root, more);
	return text;
}

const char *tree_path(const char *path)
{
	static char text[4][2 * TREE_PATH];
	static unsigned int turn;
	char *out = text[turn++ % 4];

	snprintf(out, sizeof text[0], "%s%s%s", tree_root, path[0] == '/' ? "" : "/", path);
	return out;
}

static void make_parents(char *path)
{
	char *p;

	for (p = path + strlen(tree_root) + 1; *p != 0; p++) {
		if (*p != '/')
			continue;
		*p = 0;
		cr_assert(mkdir(path, 0755) == 0 || errno == EEXIST, "%s: %s", path,
			  strerror(errno));
		*p = '/';
	}
}

void tree_dir(const char *path)
{
	char full[2 * TREE_PATH + 1];

	snprintf(full, sizeof full, "%s/", tree_path(path));
	make_parents(full);
}

void tree_file(const char *path, const char *text)
{
	char full[2 * TREE_PATH];
	FILE *f;

	snprintf(full, sizeof full, "%s", tree_path(path));
	make_parents(full);
	f = fopen(full, "w");
	cr_assert_not_null(f, "%s: %s", full, strerror(errno));
	fputs(text, f);
	fclose(f);
}

void tree_link(const char *path, const char *target)
{
	cr_assert_eq(symlink(target, tree_path(path)), 0);
}

void tree_mountinfo(const char *text)
{
	tree_file("proc/self/mountinfo", text);
}

static void cgroup_file(const char *at, const char *path, const char *name, const char *text)
{
	char full[TREE_PATH];

	snprintf(full, sizeof full, "%s%s/%s", at, strcmp(path, "/") == 0 ? "" : path, name);
	tree_file(full, text);
}

void tree_v1(const char *at, const char *path, int has_processes)
{
	cgroup_file(at, path, "cgroup.procs", has_processes ? "17\n4711\n" : "");
	cgroup_file(at, path, "tasks", has_processes ? "17\n4711\n" : "");
	cgroup_file(at, path, "notify_on_release", "0\n");
}

void tree_v2(const char *at, const char *path, int is_populated)
{
	cgroup_file(at, path, "cgroup.procs", "");
	if (strcmp(path, "/") != 0) /* the kernel gives the root none */
		cgroup_file(at, path, "cgroup.events",
			    is_populated ? "populated 1\nfrozen 0\n" : "populated 0\nfrozen 0\n");
	cgroup_file(at, path, "cgroup.controllers", "cpu memory pids\n");
}

void tree_pure_v2(void)
{
	tree_mountinfo("22 1 8:1 / / rw - ext4 /dev/sda1 rw\n" TREE_V2_LINE);
	tree_v2("sys/fs/cgroup", "/", 1);
}
