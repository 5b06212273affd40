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

/* True when there is no time left; what a deadline becomes when nobody may sleep longer than ns. */
int posix_time_is_past(via_time deadline);
via_time posix_time_slice(via_time deadline, uint64_t ns);

/* Sets FD_CLOEXEC and O_NONBLOCK. 0, or -1 with errno. */
int posix_fd_prepare(int fd);

/* -- futex words -------------------------------------------------------------------------------- */

/* VIA_OK when an object of kind WORD can be slept on here; VIA_INVAL, VIA_NOTSUP. */
via_rc posix_word_check(const via_waitobj *obj);
int posix_word_differs(const volatile uint32_t *word, uint32_t expected);

#if defined(OS_LINUX)
#define POSIX_FUTEX_MAX 128u    /* what futex_waitv() takes */
#define POSIX_SCAN_NS 2000000u  /* sleep between two looks at words that nothing can wait for */
#define POSIX_MIXED_NS 5000000u /* sleep between two looks at descriptors beside words */

struct posix_futex { /* the kernel's futex_waitv */
	uint64_t expected, word;
	uint32_t flags, reserved;
};

struct posix_futex posix_futex_of(const volatile uint32_t *word, uint32_t expected, int is_private);
/* Sleeps while all words hold what is expected, until one is woken or the deadline passes. 0: look
 * again (there need not be a reason); -1 with errno. Where futex_waitv() is missing or forbidden, or
 * cannot take as many, it sleeps on the first word only and for POSIX_SCAN_NS at most; *no_waitv
 * remembers the former. */
int posix_futex_sleep(const core_env *e, const struct posix_futex *f, uint32_t n, int *no_waitv,
		      via_time deadline);
/* A word of this process's own: sleeping while it holds `expected`, and waking everybody. */
void posix_futex_park(_Atomic uint32_t *word, uint32_t expected);
void posix_futex_wake(_Atomic uint32_t *word);

/* The futex words of a poller; see poller_words.c. */
struct posix_words;
via_rc posix_words_open(const core_env *e, int epoll, struct posix_words **out);
void posix_words_close(struct posix_words *w);
via_rc posix_words_add(struct posix_words *w, const via_waitobj *obj, void *key);
via_rc posix_words_modify(struct posix_words *w, const via_waitobj *obj, void *key);
void posix_words_remove(struct posix_words *w, const via_waitobj *obj);
uint32_t posix_words_armed(const struct posix_words *w);
/* Words that differ, at most cap; they are told and not armed any more. */
uint32_t posix_words_look(struct posix_words *w, os_event *out, uint32_t cap);
/* True when descriptors have to be looked at before the next sleep. */
int posix_words_called(const struct posix_words *w);
/* Sleeps until a word differs, a descriptor is ready, the deadline passes, or for no reason. */
via_rc posix_words_sleep(struct posix_words *w, via_time deadline);
#endif

/* -- files -------------------------------------------------------------------------------------- */

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
