/* SPDX-License-Identifier: Apache-2.0
 * core/os/posix/posix.h - what the files of the POSIX side share. Include it first.
 *
 * OS_LINUX chooses the Linux facilities (eventfd, epoll, memfd, O_PATH). Building with
 * VIA_OS_PORTABLE defined takes the plain POSIX ways instead, so that they can be tested on Linux.
 */
#ifndef VIA_CORE_OS_POSIX_H
#define VIA_CORE_OS_POSIX_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include "../os.h"
#include <errno.h>
#include <time.h>

#if defined(__linux__) && !defined(VIA_OS_PORTABLE)
#define OS_LINUX 1
#endif

#define POSIX_NS_PER_S 1000000000u
#define POSIX_PATH_MAX 4096

struct os_file {
	const core_env *e;
	int fd;
	os_file_id id; /* as it was when it was opened */
};

/* True when the call may be made. Otherwise errno is what it is to be treated as having failed
 * with: `fd = posix_may(e, "open") ? open(...) : -1`. */
static inline int posix_may(const core_env *e, const char *call)
{
	int32_t err = env_deny(e, call);

	if (err == 0)
		return 1;
	errno = (int)err;
	return 0;
}

/* The result code that fits an errno from a call on a file or a resource. */
via_rc posix_rc(int err);

/* Time left until deadline, from now. {0, 0} when it is past. Not for VIA_FOREVER. */
void posix_time_left(via_time deadline, struct timespec *out);

/* Sets FD_CLOEXEC and O_NONBLOCK. 0, or -1 with errno. */
int posix_fd_prepare(int fd);

/* Reads a small file as text: at most cap - 1 bytes, NUL-terminated. Number of bytes, or -1. */
int posix_read_text(const char *path, char *buf, uint32_t cap);

/* Processors that the CPU quotas of the calling process's control groups amount to, rounded up; 0:
 * no quota. proc: its /proc/self/cgroup, mount: where the hierarchies are (/sys/fs/cgroup). */
uint32_t posix_cgroup_cpus(const char *proc, const char *mount);

/* Reads exactly len bytes at offset; VIA_IO, or VIA_PROTO when the file ends before. */
via_rc posix_read_at(const core_env *e, int fd, uint64_t offset, void *buf, uint64_t len);

/* What kind of file a mode says, with an article: "a directory". */
const char *posix_kind(unsigned int mode);

#endif
