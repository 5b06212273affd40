/* tests/server/rig_posix.c - POSIX side of the rig. */
#include "rig.h"
#include "rig_os.h"
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

const int32_t rig_no_memory = ENOMEM;

static int count_entries(const char *dir)
{
	DIR *d = opendir(dir);
	int n = 0;

	if (d == NULL)
		return 0;
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n - 2;
}

int rig_descriptors(void)
{
	return count_entries("/proc/self/fd");
}

/* Library threads, by their names: a sanitizer may have threads of its own. */
struct threads {
	long switches;
	int n, awake;
};

static void look_at_thread(const char *id, struct threads *t)
{
	char path[320], line[128];
	int mine = 0;
	FILE *f;

	snprintf(path, sizeof path, "/proc/self/task/%s/status", id);
	f = fopen(path, "r");
	while (f != NULL && fgets(line, sizeof line, f) != NULL) {
		if (strncmp(line, "Name:\tvia-", 10) == 0) {
			mine = 1;
			t->n++;
		}
		if (mine && strncmp(line, "State:", 6) == 0)
			t->awake += line[7] != 'S';
		if (mine && strncmp(line, "voluntary_ctxt_switches:", 24) == 0)
			t->switches += atol(line + 24);
	}
	if (f != NULL)
		fclose(f);
}

static struct threads look_at_threads(void)
{
	DIR *d = opendir("/proc/self/task");
	struct threads t = {0};
	struct dirent *e;

	cr_assert_not_null(d);
	while ((e = readdir(d)) != NULL)
		if (e->d_name[0] != '.')
			look_at_thread(e->d_name, &t);
	closedir(d);
	return t;
}

static long switches(void)
{
	return look_at_threads().switches;
}

int rig_all_asleep(void)
{
	return look_at_threads().awake == 0;
}

int rig_threads(void)
{
	return look_at_threads().n;
}

int rig_idle_for(uint64_t ns)
{
	via_time end = via_deadline(ns);
	long before = switches();

	rig_until(via_now() > end);
	return switches() == before;
}

void rig_make_dir(rig *r)
{
	snprintf(r->dir, sizeof r->dir, "/tmp/via-server-XXXXXX");
	cr_assert_not_null(mkdtemp(r->dir));
}

void rig_remove_dir(rig *r)
{
	cr_expect_eq(count_entries(r->dir), 0, "files are left in the run directory");
	cr_expect_eq(rmdir(r->dir), 0);
}

void rig_check_descriptors(int expected)
{
	cr_expect_eq(rig_descriptors(), expected, "descriptors: %d before, %d now", expected,
		     rig_descriptors());
}

uint64_t rig_cpu_ns(void)
{
	struct rusage u;

	cr_assert_eq(getrusage(RUSAGE_SELF, &u), 0);
	return ((uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000 +
		(uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec)) *
	       1000;
}

void rig_make_directory(char *path, size_t cap)
{
	snprintf(path, cap, "/tmp/via-modules-XXXXXX");
	cr_assert_not_null(mkdtemp(path));
}

void rig_remove_directory(const char *path)
{
	cr_expect_eq(rmdir(path), 0);
}

void rig_let_anybody_write(const char *path, int may)
{
	cr_assert_eq(chmod(path, may ? 0777 : 0755), 0);
}
