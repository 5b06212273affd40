/* tests/server/procs_linux.c - see procs.h: /proc, futexes, seccomp. */
#include "procs.h"
#include <dirent.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>

void proc_forbid(long call, int error)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)call, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ((uint32_t)error & SECCOMP_RET_DATA)),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = {sizeof code / sizeof code[0], code};

	cr_assert_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	cr_assert_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter), 0, "errno %d", errno);
}

void proc_pin(void)
{
	cpu_set_t all, one;
	size_t i = 0;

	cr_assert_eq(sched_getaffinity(0, sizeof all, &all), 0);
	while (i < CPU_SETSIZE - 1 && !CPU_ISSET(i, &all))
		i++;
	CPU_ZERO(&one);
	CPU_SET(i, &one);
	cr_assert_eq(sched_setaffinity(0, sizeof one, &one), 0);
	cr_assert_eq(os_usable_cpus(), 1);
}

static int is_region(const char *line)
{
	return strstr(line, "memfd:viaduct-ring") != NULL || strstr(line, ".ipcshm") != NULL;
}

static int find_regions(struct proc_region *out, int max)
{
	FILE *f = fopen("/proc/self/maps", "r");
	char line[512];
	int n = 0;

	while (f != NULL && fgets(line, sizeof line, f) != NULL) {
		unsigned long from, to;

		if (!is_region(line) || sscanf(line, "%lx-%lx", &from, &to) != 2)
			continue;
		if (n < max)
			out[n] = (struct proc_region){(uint8_t *)(uintptr_t)from, to - from};
		n++;
	}
	if (f != NULL)
		fclose(f);
	return n < max || max == 0 ? n : max;
}

int proc_regions(const rig *r, via_session *s, struct proc_region *out, int max)
{
	(void)r;
	(void)s;
	return find_regions(out, max);
}

void proc_regions_done(const struct proc_region *regions, int n)
{
	(void)regions;
	(void)n;
}

void proc_punch(const struct proc_region *g, int deep)
{
	(void)madvise(g->at, g->len, deep ? MADV_REMOVE : MADV_NORMAL);
}

int proc_mappings(void)
{
	return find_regions(NULL, 0);
}

int proc_session_files(const rig *r)
{
	DIR *d = opendir(r->dir);
	struct dirent *e;
	int n = 0;

	cr_assert_not_null(d);
	while ((e = readdir(d)) != NULL)
		n += strstr(e->d_name, ".ipcshm") != NULL;
	closedir(d);
	return n;
}
