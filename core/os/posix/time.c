/* core/os/posix/time.c - the clock, and how many processors this process may use.
 *
 * A quota counts as well as affinity: a container limited to half a processor on a machine with 64
 * must not spin. Control groups are read best effort; what cannot be read limits nothing. */
#include "posix.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#if defined(__linux__)
#include <sched.h>
#endif

via_time os_now(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (via_time)ts.tv_sec * POSIX_NS_PER_S + (via_time)ts.tv_nsec;
}

void posix_time_left(via_time deadline, struct timespec *out)
{
	via_time now, left;

	now = deadline == VIA_POLL ? 0 : os_now();
	left = deadline > now ? deadline - now : 0;
	out->tv_sec = (time_t)(left / POSIX_NS_PER_S);
	out->tv_nsec = (long)(left % POSIX_NS_PER_S);
}

int posix_time_is_past(via_time deadline)
{
	return deadline == VIA_POLL || (deadline != VIA_FOREVER && os_now() >= deadline);
}

via_time posix_time_slice(via_time deadline, uint64_t ns)
{
	via_time end = os_now() + ns;

	return end < deadline ? end : deadline;
}

uint64_t os_process_id(void)
{
	return (uint64_t)getpid();
}

int posix_read_text(const char *path, char *buf, uint32_t cap)
{
	uint32_t len = 0;
	ssize_t n;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	do {
		n = read(fd, buf + len, cap - 1 - len);
		if (n > 0)
			len += (uint32_t)n;
	} while ((n > 0 && len < cap - 1) || (n < 0 && errno == EINTR));
	close(fd);
	if (n < 0)
		return -1;
	buf[len] = '\0';
	return (int)len;
}

/* -- control groups ------------------------------------------------------------------------------
 */

static uint32_t quota_cpus(long long quota, long long period)
{
	long long n;

	if (quota <= 0 || period <= 0)
		return 0;
	n = quota / period + (quota % period != 0 ? 1 : 0);
	return n > UINT32_MAX ? 0 : (uint32_t)n;
}

static long long read_number(const char *dir, const char *file)
{
	char path[POSIX_PATH_MAX + 32], text[64], *end;
	long long v;

	(void)snprintf(path, sizeof path, "%s/%s", dir, file);
	if (posix_read_text(path, text, sizeof text) <= 0)
		return -1;
	v = strtoll(text, &end, 10);
	return end == text ? -1 : v;
}

/* Quota of one group's directory in either dialect; 0 when it has none. */
static uint32_t dir_cpus(const char *dir)
{
	char path[POSIX_PATH_MAX + 32], text[64], *end;
	long long quota;

	(void)snprintf(path, sizeof path, "%s/cpu.max", dir);
	if (posix_read_text(path, text, sizeof text) > 0) {
		quota = strtoll(text, &end, 10); /* "max 100000" has no number to read */
		return end == text ? 0 : quota_cpus(quota, strtoll(end, NULL, 10));
	}
	return quota_cpus(read_number(dir, "cpu.cfs_quota_us"),
			  read_number(dir, "cpu.cfs_period_us"));
}

/* Smallest quota of a group and its ancestors up to the hierarchy's mount point; 0 when none has
 * one. group starts with '/'. In a container the path may name nothing that is visible here: the
 * walk then still ends at the mount point, which is the container's own group. */
static uint32_t chain_cpus(const char *mount, const char *sub, const char *group)
{
	char dir[POSIX_PATH_MAX];
	uint32_t min = 0, n;
	size_t floor;
	char *slash;
	int len;

	len = snprintf(dir, sizeof dir, "%s%s%s", mount, sub, group);
	if (len < 0 || (size_t)len >= sizeof dir)
		return 0;
	floor = strlen(mount) + strlen(sub);
	for (;;) {
		n = dir_cpus(dir);
		if (n != 0 && (min == 0 || n < min))
			min = n;
		slash = strrchr(dir + floor, '/');
		if (slash == NULL)
			return min;
		*slash = '\0';
	}
}

static int has_word(const char *list, const char *word)
{
	size_t len = strlen(word);

	while (*list != '\0') {
		if (strncmp(list, word, len) == 0 && (list[len] == ',' || list[len] == '\0'))
			return 1;
		list += strcspn(list, ",");
		list += *list == ',';
	}
	return 0;
}

/* One line of /proc/self/cgroup, "4:cpu,cpuacct:/group" or "0::/group". */
static uint32_t line_cpus(char *line, const char *mount)
{
	static const char *const unified[] = {"", "/unified"};
	static const char *const legacy[] = {"/cpu", "/cpu,cpuacct", "/cpuacct,cpu"};
	const char *const *subs = legacy;
	size_t i, n = sizeof legacy / sizeof legacy[0];
	uint32_t cpus, min = 0;
	char *list, *group;

	list = strchr(line, ':');
	group = list == NULL ? NULL : strchr(list + 1, ':');
	if (group == NULL)
		return 0;
	*group++ = '\0';
	list++;
	if (list[0] == '\0') {
		subs = unified;
		n = sizeof unified / sizeof unified[0];
	} else if (!has_word(list, "cpu")) {
		return 0;
	}
	for (i = 0; i < n; i++) {
		cpus = chain_cpus(mount, subs[i], group);
		if (cpus != 0 && (min == 0 || cpus < min))
			min = cpus;
	}
	return min;
}

uint32_t posix_cgroup_cpus(const char *proc, const char *mount)
{
	char text[8192], *line, *next;
	uint32_t cpus, min = 0;

	if (posix_read_text(proc, text, sizeof text) <= 0)
		return 0;
	for (line = text; *line != '\0'; line = next) {
		next = line + strcspn(line, "\n");
		if (*next == '\n')
			*next++ = '\0';
		cpus = line_cpus(line, mount);
		if (cpus != 0 && (min == 0 || cpus < min))
			min = cpus;
	}
	return min;
}

uint32_t os_usable_cpus(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);
#if defined(__linux__)
	cpu_set_t set[8]; /* 8192 processors */
	uint32_t quota;

	memset(set, 0, sizeof set);
	if (sched_getaffinity(0, sizeof set, set) == 0)
		n = CPU_COUNT_S(sizeof set, set);
	quota = posix_cgroup_cpus("/proc/self/cgroup", "/sys/fs/cgroup");
	if (quota != 0 && (long)quota < n)
		n = (long)quota;
#endif
	return n < 1 ? 1 : (uint32_t)n;
}

void os_yield(void)
{
	(void)sched_yield();
}
