/* core/os/posix/poller.c - many objects, each with a key: epoll on Linux, with futex words
 * beside it (poller_words.c), elsewhere a list for poll(2). */
#include "posix.h"
#include <poll.h>
#include <string.h>
#include <unistd.h>

static via_rc check(const via_waitobj *obj)
{
	if (obj->kind == VIA_WAIT_FD && obj->handle >= 0 && obj->handle <= INT32_MAX)
		return VIA_OK;
	if (obj->kind == VIA_WAIT_WORD)
		return posix_word_check(obj);
	return core_fail(VIA_INVAL, "object has kind %d and handle %lld, expected a descriptor",
			 obj->kind, (long long)obj->handle);
}

#if defined(OS_LINUX)
#include <sys/epoll.h>
#include <sys/syscall.h>

/* fd_events are poll(2) bits; epoll took them over. */
_Static_assert(EPOLLIN == POLLIN && EPOLLOUT == POLLOUT && EPOLLPRI == POLLPRI,
	       "epoll bits differ");
_Static_assert((uint32_t)EPOLLRDHUP == POLLRDHUP, "epoll bits differ");

#define POLLER_BATCH 64
#define POLLER_BITS ((uint32_t)(EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLRDHUP))

struct os_poller {
	const core_env *e;
	int fd;
	int whole_ms;              /* the kernel has no epoll_pwait2 */
	int words_first;           /* in the next look; in turn, so that nobody starves */
	struct posix_words *words; /* NULL until the first one is added */
};

via_rc os_poller_open(const core_env *e, os_poller **out)
{
	struct os_poller *p;
	via_rc rc;

	p = env_alloc(e, sizeof *p);
	if (p == NULL)
		return core_nomem("poller");
	p->e = e;
	p->whole_ms = p->words_first = 0;
	p->words = NULL;
	p->fd = posix_may(e, "epoll_create1") ? epoll_create1(EPOLL_CLOEXEC) : -1;
	if (p->fd < 0) {
		rc = core_fail_os(posix_rc(errno), errno, "creating a poller");
		env_free(e, p);
		return rc;
	}
	*out = p;
	return VIA_OK;
}

void os_poller_close(os_poller *p)
{
	if (p == NULL)
		return;
	posix_words_close(p->words);
	close(p->fd);
	env_free(p->e, p);
}

static via_rc control(os_poller *p, int op, const char *what, const via_waitobj *obj, void *key)
{
	struct epoll_event ev;

	memset(&ev, 0, sizeof ev);
	ev.events = obj->fd_events & POLLER_BITS;
	ev.data.ptr = key;
	if (!posix_may(p->e, "epoll_ctl") || epoll_ctl(p->fd, op, (int)obj->handle, &ev) != 0)
		return core_fail_os(posix_rc(errno), errno, "%s descriptor %lld", what,
				    (long long)obj->handle);
	return VIA_OK;
}

via_rc os_poller_add(os_poller *p, const via_waitobj *obj, void *key)
{
	via_rc rc;

	rc = check(obj);
	if (rc == VIA_OK && obj->kind == VIA_WAIT_WORD && p->words == NULL)
		rc = posix_words_open(p->e, p->fd, &p->words);
	if (rc != VIA_OK)
		return rc;
	return obj->kind == VIA_WAIT_WORD ? posix_words_add(p->words, obj, key)
					  : control(p, EPOLL_CTL_ADD, "watching", obj, key);
}

via_rc os_poller_modify(os_poller *p, const via_waitobj *obj, void *key)
{
	via_rc rc;

	rc = check(obj);
	if (rc != VIA_OK)
		return rc;
	if (obj->kind == VIA_WAIT_FD)
		return control(p, EPOLL_CTL_MOD, "watching otherwise", obj, key);
	return p->words == NULL ? core_fail(VIA_NOTFOUND, "no futex word is watched")
				: posix_words_modify(p->words, obj, key);
}

void os_poller_remove(os_poller *p, const via_waitobj *obj)
{
	struct epoll_event ev;

	memset(&ev, 0, sizeof ev);
	if (obj->kind == VIA_WAIT_FD)
		(void)epoll_ctl(p->fd, EPOLL_CTL_DEL, (int)obj->handle, &ev);
	else if (obj->kind == VIA_WAIT_WORD && p->words != NULL)
		posix_words_remove(p->words, obj);
}

/* Whole milliseconds, rounded up: rounding down would call again and again in the last one. */
static int ms_left(const struct timespec *left)
{
	const int64_t most = INT32_MAX / 1000 - 1;

	if (left == NULL)
		return -1;
	if ((int64_t)left->tv_sec > most)
		return INT32_MAX;
	return (int)(left->tv_sec * 1000 + (left->tv_nsec + 999999) / 1000000);
}

static int wait_once(os_poller *p, struct epoll_event *evs, int cap, const struct timespec *left)
{
	if (!posix_may(p->e, "epoll_wait"))
		return -1;
#if defined(SYS_epoll_pwait2)
	if (!p->whole_ms && left != NULL && left->tv_nsec % 1000000 != 0) {
		struct {
			int64_t sec, nsec;
		} ts = {left->tv_sec, left->tv_nsec};
		long n = syscall(SYS_epoll_pwait2, p->fd, evs, cap, &ts, NULL, 0);

		if (n >= 0 || (errno != ENOSYS && errno != EPERM))
			return (int)n;
		p->whole_ms = 1;
	}
#endif
	return epoll_wait(p->fd, evs, cap, ms_left(left));
}

static via_rc wait_fds(os_poller *p, os_event *out, uint32_t cap, via_time deadline)
{
	struct epoll_event evs[POLLER_BATCH];
	struct timespec left = {0}, *timeout = deadline == VIA_FOREVER ? NULL : &left;
	int n, i;

	if (cap > POLLER_BATCH)
		cap = POLLER_BATCH;
	do {
		if (timeout != NULL)
			posix_time_left(deadline, timeout);
		n = wait_once(p, evs, (int)cap, timeout);
		if (n < 0 && errno != EINTR)
			return core_fail_os(VIA_IO, errno, "waiting in a poller");
	} while (n < 0 || (n == 0 && deadline != VIA_POLL && os_now() < deadline));
	for (i = 0; i < n; i++)
		out[i].key = evs[i].data.ptr;
	return n;
}

/* What is ready now. all: look at the descriptors although their helper saw none. */
static via_rc look(os_poller *p, os_event *out, uint32_t cap, int all)
{
	const int words_first = p->words_first;
	uint32_t got = 0;
	via_rc n = 0;

	p->words_first = !words_first;
	if (words_first)
		got = posix_words_look(p->words, out, cap);
	if (got < cap && (all || posix_words_called(p->words)))
		n = wait_fds(p, out + got, cap - got, VIA_POLL);
	if (n < 0)
		return got == 0 ? n : (via_rc)got; /* words are told once: not to be lost */
	got += (uint32_t)n;
	if (!words_first)
		got += posix_words_look(p->words, out + got, cap - got);
	return (via_rc)got;
}

static via_rc wait_all(os_poller *p, os_event *out, uint32_t cap, via_time deadline)
{
	via_rc rc;
	int last;

	for (;;) {
		last = posix_time_is_past(deadline);
		rc = look(p, out, cap, last);
		if (rc != 0 || last)
			return rc;
		rc = posix_words_sleep(p->words, deadline);
		if (rc != VIA_OK)
			return rc;
	}
}

via_rc os_poller_wait(os_poller *p, os_event *out, uint32_t cap, via_time deadline)
{
	if (cap == 0)
		return core_fail(VIA_INVAL, "room for 0 events, expected at least 1");
	if (p->words != NULL && posix_words_armed(p->words) != 0)
		return wait_all(p, out, cap, deadline);
	return wait_fds(p, out, cap, deadline);
}

#else /* not OS_LINUX */

struct os_poller {
	const core_env *e;
	struct pollfd *fds;
	void **keys; /* same index */
	uint32_t n, cap;
	uint32_t start; /* where the next look begins, so that nobody starves */
};

via_rc os_poller_open(const core_env *e, os_poller **out)
{
	struct os_poller *p;

	p = env_alloc(e, sizeof *p);
	if (p == NULL)
		return core_nomem("poller");
	memset(p, 0, sizeof *p);
	p->e = e;
	*out = p;
	return VIA_OK;
}

void os_poller_close(os_poller *p)
{
	if (p == NULL)
		return;
	env_free(p->e, p->fds);
	env_free(p->e, p->keys);
	env_free(p->e, p);
}

static uint32_t find(const os_poller *p, int64_t fd)
{
	uint32_t i = 0;

	while (i < p->n && p->fds[i].fd != fd)
		i++;
	return i;
}

static via_rc grow(os_poller *p)
{
	uint32_t cap = p->cap == 0 ? 16 : p->cap * 2;
	struct pollfd *fds = env_alloc(p->e, (uint64_t)cap * sizeof *fds);
	void **keys = env_alloc(p->e, (uint64_t)cap * sizeof *keys);

	if (fds == NULL || keys == NULL) {
		env_free(p->e, fds);
		env_free(p->e, keys);
		return core_nomem("poller");
	}
	if (p->n != 0) {
		memcpy(fds, p->fds, p->n * sizeof *fds);
		memcpy(keys, p->keys, p->n * sizeof *keys);
	}
	env_free(p->e, p->fds);
	env_free(p->e, p->keys);
	p->fds = fds;
	p->keys = keys;
	p->cap = cap;
	return VIA_OK;
}

via_rc os_poller_add(os_poller *p, const via_waitobj *obj, void *key)
{
	via_rc rc;

	rc = check(obj);
	if (rc != VIA_OK)
		return rc;
	if (find(p, obj->handle) != p->n)
		return core_fail(VIA_EXISTS, "descriptor %lld is watched already",
				 (long long)obj->handle);
	if (p->n == p->cap && (rc = grow(p)) != VIA_OK)
		return rc;
	p->fds[p->n] = (struct pollfd){.fd = (int)obj->handle, .events = (short)obj->fd_events};
	p->keys[p->n++] = key;
	return VIA_OK;
}

via_rc os_poller_modify(os_poller *p, const via_waitobj *obj, void *key)
{
	uint32_t i = find(p, obj->handle);

	if (i == p->n)
		return core_fail(VIA_NOTFOUND, "descriptor %lld is not watched",
				 (long long)obj->handle);
	p->fds[i].events = (short)obj->fd_events;
	p->keys[i] = key;
	return VIA_OK;
}

void os_poller_remove(os_poller *p, const via_waitobj *obj)
{
	uint32_t i = find(p, obj->handle);

	if (i == p->n)
		return;
	p->n--;
	p->fds[i] = p->fds[p->n];
	p->keys[i] = p->keys[p->n];
}

via_rc os_poller_wait(os_poller *p, os_event *out, uint32_t cap, via_time deadline)
{
	struct timespec left = {0}, *timeout = deadline == VIA_FOREVER ? NULL : &left;
	uint32_t i, at, got = 0;
	int n;

	if (cap == 0)
		return core_fail(VIA_INVAL, "room for 0 events, expected at least 1");
	do {
		if (timeout != NULL)
			posix_time_left(deadline, timeout);
		n = posix_may(p->e, "ppoll") ? ppoll(p->fds, p->n, timeout, NULL) : -1;
		if (n < 0 && errno != EINTR)
			return core_fail_os(VIA_IO, errno, "waiting in a poller");
	} while (n < 0 || (n == 0 && deadline != VIA_POLL && os_now() < deadline));
	for (i = 0; n > 0 && i < p->n && got < cap; i++) {
		at = (p->start + i) % p->n;
		if (p->fds[at].revents != 0)
			out[got++].key = p->keys[at];
	}
	p->start = p->n == 0 ? 0 : (p->start + i) % p->n;
	return (via_rc)got;
}
#endif
