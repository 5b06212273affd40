/* tools/lib/sys_probe_posix.c - what a process of a POSIX system holds; guarded memory. */
#include "sys_probe.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#if defined(__linux__)
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#endif

static int failed(const char *what, int error, char *why)
{
	(void)snprintf(why, SYS_WHY, "%s: %s", what, strerror(error));
	return 0;
}

int sys_is_file(const char *path, char *why)
{
	struct stat st;

	if (stat(path, &st) != 0)
		(void)snprintf(why, SYS_WHY, "%s", strerror(errno));
	else if (S_ISREG(st.st_mode))
		return 1;
	else
		(void)snprintf(why, SYS_WHY, "expected a regular file, found %s",
			       S_ISDIR(st.st_mode)    ? "a directory"
			       : S_ISCHR(st.st_mode)  ? "a device"
			       : S_ISFIFO(st.st_mode) ? "a pipe"
						      : "something else");
	return 0;
}

int sys_write_new(const char *path, const void *data, size_t len, char *why)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), error = 0;
	const char *p = data;
	ssize_t n;

	if (fd < 0)
		return failed(path, errno, why);
	while (len > 0 && error == 0) {
		n = write(fd, p, len);
		if (n >= 0) {
			p += n;
			len -= (size_t)n;
		} else if (errno != EINTR) {
			error = errno;
		}
	}
	if (close(fd) != 0 && error == 0)
		error = errno;
	return error == 0 || failed(path, error, why);
}

void sys_crash_quietly(void)
{
	const struct rlimit none = {0, 0};

	(void)setrlimit(RLIMIT_CORE, &none);
}

void sys_end_with_parent(void)
{
#if defined(__linux__)
	struct pollfd input = {.fd = STDIN_FILENO, .events = 0};

	(void)prctl(PR_SET_PDEATHSIG, (unsigned long)SIGKILL, 0ul, 0ul, 0ul);
	if (poll(&input, 1, 0) == 1 && (input.revents & POLLHUP) != 0)
		_exit(1); /* it has ended already, and its end of our input with it */
#endif
}

/* -- what it holds --------------------------------------------------------------------------- */

static int count_entries(const char *path, uint64_t *out, char *why)
{
	DIR *d = opendir(path);
	struct dirent *e;
	uint64_t n = 0;

	if (d == NULL)
		return failed(path, errno, why);
	while ((e = readdir(d)) != NULL)
		n += e->d_name[0] != '.';
	(void)closedir(d);
	*out = n;
	return 1;
}

/* Calls fn for every mapping until it returns non-zero. Returns that, or -1 with errno. */
static int each_mapping(int (*fn)(void *arg, uint64_t begin, uint64_t end, const char *rest),
			void *arg)
{
	FILE *f = fopen("/proc/self/maps", "re");
	char line[4352], *dash, *blank;
	uint64_t begin, end;
	int rc = 0;

	if (f == NULL)
		return -1;
	while (rc == 0 && fgets(line, sizeof line, f) != NULL) {
		begin = strtoull(line, &dash, 16);
		if (dash == line || *dash != '-')
			continue;
		end = strtoull(dash + 1, &blank, 16);
		if (blank != dash + 1)
			rc = fn(arg, begin, end, line);
	}
	(void)fclose(f);
	return rc;
}

static int add_mapping(void *arg, uint64_t begin, uint64_t end, const char *rest)
{
	uint64_t *sum = arg;

	if (strstr(rest, "[heap]") == NULL && strstr(rest, "[stack]") == NULL)
		*sum += end - begin;
	return 0;
}

int sys_usage_get(sys_usage *out, char *why)
{
	sys_usage u = {0};

	if (!count_entries("/proc/self/fd", &u.n_handles, why) ||
	    !count_entries("/proc/self/task", &u.n_threads, why))
		return 0;
	if (each_mapping(add_mapping, &u.n_mapped) < 0)
		return failed("/proc/self/maps", errno, why);
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	u.n_mapped = 0; /* a sanitizer maps memory of its own as it goes */
#endif
	*out = u;
	return 1;
}

static int holds(void *arg, uint64_t begin, uint64_t end, const char *rest)
{
	const uint64_t p = (uint64_t)(uintptr_t) * (const void *const *)arg;

	(void)rest;
	return begin <= p && p < end;
}

int sys_is_mapped(const void *p)
{
	return each_mapping(holds, (void *)&p) > 0;
}

/* -- guarded memory -------------------------------------------------------------------------- */

int sys_guarded_make(sys_guarded *g, size_t cap, char *why)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t room = (cap + page - 1) / page * page;
	uint8_t *p;

	p = mmap(NULL, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return failed("mmap", errno, why);
	if (mprotect(p + room, page, PROT_NONE) != 0) {
		int error = errno;

		(void)munmap(p, room + page);
		return failed("mprotect", error, why);
	}
	*g = (sys_guarded){.end = p + room, .cap = room, .base = p, .size = room + page};
	return 1;
}

void sys_guarded_free(sys_guarded *g)
{
	if (g->base != NULL)
		(void)munmap(g->base, g->size);
	memset(g, 0, sizeof *g);
}
