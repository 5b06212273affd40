/* core/os/posix/wait.c - the waker and sleeping on a few objects: ppoll and
 * futexes with absolute deadlines. */
#include "posix.h"
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>
#if defined(OS_LINUX)
#include <sys/eventfd.h>
#endif

/* An eventfd where there are any; else a pipe, where `get` is read and `put` is written. */
struct os_waker {
	int get, put;
};

int posix_fd_prepare(int fd)
{
	int fl = fcntl(fd, F_GETFL);

	if (fl < 0 || fcntl(fd, F_SETFL, fl | O_NONBLOCK) != 0)
		return -1;
	return fcntl(fd, F_SETFD, FD_CLOEXEC);
}

static int waker_make(const core_env *e, struct os_waker *w)
{
#if defined(OS_LINUX)
	w->get = posix_may(e, "eventfd") ? eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC) : -1;
	w->put = w->get;
	return w->get < 0 ? -1 : 0;
#else
	int fd[2], err;

	if (!posix_may(e, "pipe(2)") || pipe(fd) != 0)
		return -1;
	if (!posix_may(e, "fcntl") || posix_fd_prepare(fd[0]) != 0 ||
	    posix_fd_prepare(fd[1]) != 0) {
		err = errno;
		close(fd[0]);
		close(fd[1]);
		errno = err;
		return -1;
	}
	w->get = fd[0];
	w->put = fd[1];
	return 0;
#endif
}

via_rc os_waker_open(const core_env *e, os_waker **out)
{
	struct os_waker *w;
	via_rc rc;

	w = env_alloc(e, sizeof *w);
	if (w == NULL)
		return core_nomem("waker");
	if (waker_make(e, w) != 0) {
		rc = core_fail_os(posix_rc(errno), errno, "creating a waker");
		env_free(e, w);
		return rc;
	}
	*out = w;
	return VIA_OK;
}

void os_waker_close(const core_env *e, os_waker *w)
{
	if (w == NULL)
		return;
	close(w->get);
	if (w->put != w->get)
		close(w->put);
	env_free(e, w);
}

/* A full counter or pipe is a waker that is set already, so EAGAIN is success. errno is the
 * caller's: this may run in a signal handler. */
void os_waker_set(os_waker *w)
{
	const uint64_t one = 1;
	int err = errno;
	ssize_t n;

	do
		n = write(w->put, &one, sizeof one);
	while (n < 0 && errno == EINTR);
	errno = err;
}

void os_waker_clear(os_waker *w)
{
	uint64_t sink[64];
	ssize_t n;

	do
		n = read(w->get, sink, w->get == w->put ? sizeof sink[0] : sizeof sink);
	while ((n < 0 && errno == EINTR) || (n > 0 && w->get != w->put));
}

void os_waker_object(const os_waker *w, via_waitobj *out)
{
	*out = (via_waitobj){.struct_size = sizeof *out,
			     .kind = VIA_WAIT_FD,
			     .handle = w->get,
			     .fd_events = POLLIN};
}

/* -- a few objects -------------------------------------------------------------------------------
 */

#define WAIT_MAX 32

/* Number of words, or an error. A word's place among the descriptors stays empty. */
static via_rc collect(const via_waitobj *objs, uint32_t n, struct pollfd *fds)
{
	via_rc rc, words = 0;
	uint32_t i;

	if (n > WAIT_MAX)
		return core_fail(VIA_INVAL, "waiting on %u objects, expected at most %u", n,
				 WAIT_MAX);
	for (i = 0; i < n; i++) {
		fds[i] = (struct pollfd){.fd = -1};
		if (objs[i].kind == VIA_WAIT_WORD) {
			rc = posix_word_check(&objs[i]);
			if (rc != VIA_OK)
				return rc;
			words++;
			continue;
		}
		if (objs[i].kind != VIA_WAIT_FD || objs[i].handle < 0 || objs[i].handle > INT32_MAX)
			return core_fail(
				VIA_INVAL,
				"object %u has kind %d and handle %lld, expected a descriptor", i,
				objs[i].kind, (long long)objs[i].handle);
		fds[i].fd = (int)objs[i].handle;
		fds[i].events = (short)objs[i].fd_events;
	}
	return words;
}

static int poll_once(const core_env *e, struct pollfd *fds, uint32_t n, via_time deadline)
{
	struct timespec left, *timeout = NULL;

	if (deadline != VIA_FOREVER) {
		posix_time_left(deadline, &left);
		timeout = &left;
	}
	if (!posix_may(e, "ppoll"))
		return -1;
	return ppoll(fds, n, timeout, NULL);
}

/* *bits gets the descriptors that are ready; none after the deadline. */
static via_rc wait_fds(const core_env *e, struct pollfd *fds, uint32_t n, via_time deadline,
		       uint32_t *bits)
{
	uint32_t i;
	int got;

	do {
		got = poll_once(e, fds, n, deadline);
		if (got < 0 && errno != EINTR)
			return core_fail_os(VIA_IO, errno, "waiting on %u objects", n);
	} while (got < 0 || (got == 0 && deadline != VIA_POLL && os_now() < deadline));
	for (i = 0; got > 0 && i < n; i++) {
		if ((fds[i].revents & POLLNVAL) != 0)
			return core_fail_os(VIA_IO, EBADF, "waiting on descriptor %d", fds[i].fd);
		if (fds[i].revents != 0)
			*bits |= UINT32_C(1) << i;
	}
	return VIA_OK;
}

#if defined(OS_LINUX)
/* Also *bits of the words that differ. Nothing can sleep on both kinds without a thread or a
 * descriptor of its own, so beside descriptors the sleep is cut in slices: a word ends it at once,
 * a descriptor after POSIX_MIXED_NS at most. */
static via_rc wait_words(const core_env *e, const via_waitobj *objs, struct pollfd *fds, uint32_t n,
			 via_time deadline, uint32_t *bits)
{
	struct posix_futex words[WAIT_MAX];
	uint32_t i, n_words;
	int last, no_waitv = 0;
	via_rc rc;

	for (;;) {
		last = posix_time_is_past(deadline);
		for (i = n_words = 0; i < n; i++) {
			if (objs[i].kind != VIA_WAIT_WORD)
				continue;
			words[n_words++] = posix_futex_of(objs[i].word, objs[i].expected, 0);
			if (posix_word_differs(objs[i].word, objs[i].expected))
				*bits |= UINT32_C(1) << i;
		}
		if (n_words < n && (rc = wait_fds(e, fds, n, VIA_POLL, bits)) != VIA_OK)
			return rc;
		if (*bits != 0 || last)
			return VIA_OK;
		if (posix_futex_sleep(e, words, n_words, &no_waitv,
				      n_words == n ? deadline
						   : posix_time_slice(deadline, POSIX_MIXED_NS)))
			return core_fail_os(VIA_IO, errno, "sleeping on %u futex words", n_words);
	}
}
#endif

via_rc os_wait(const core_env *e, const via_waitobj *objs, uint32_t n, via_time deadline,
	       uint32_t *ready)
{
	struct pollfd fds[WAIT_MAX];
	uint32_t bits = 0;
	via_rc rc;

	rc = collect(objs, n, fds);
	if (rc < 0)
		return rc;
#if defined(OS_LINUX)
	if (rc > 0)
		rc = wait_words(e, objs, fds, n, deadline, &bits);
	else
#endif
		rc = wait_fds(e, fds, n, deadline, &bits);
	if (rc != VIA_OK)
		return rc;
	if (bits == 0)
		return core_fail(VIA_TIMEOUT, "none of %u objects became ready before the deadline",
				 n);
	*ready = bits;
	return VIA_OK;
}
