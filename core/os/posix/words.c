/* core/os/posix/words.c - futexes: what a 32-bit word holds now, and sleeping until it is another.
 *
 * Words that objects name may lie in memory shared with another process, so their futexes are shared
 * ones; who changes such a word may be anybody and may do it at any time. */
#include "posix.h"

via_rc posix_word_check(const via_waitobj *obj)
{
#if defined(OS_LINUX)
	if (obj->word != NULL && (uintptr_t)obj->word % sizeof *obj->word == 0)
		return VIA_OK;
	return core_fail(VIA_INVAL, "futex word at %#llx, expected an address divisible by 4",
			 (unsigned long long)(uintptr_t)obj->word);
#else
	(void)obj;
	return core_fail(VIA_NOTSUP, "object is a futex word, expected a descriptor");
#endif
}

int posix_word_differs(const volatile uint32_t *word, uint32_t expected)
{
	return os_load32(word) != expected;
}

#if defined(OS_LINUX)
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#if !defined(SYS_futex_waitv)
#define SYS_futex_waitv 449 /* Linux 5.16; older headers */
#endif
#define SIZE_U32 2u /* flags of struct posix_futex */
#define PRIVATE 128u

struct posix_futex posix_futex_of(const volatile uint32_t *word, uint32_t expected, int is_private)
{
	struct posix_futex f = {.expected = expected,
				.word = (uintptr_t)word,
				.flags = SIZE_U32 | (is_private ? PRIVATE : 0)};

	return f;
}

/* 0 when it is time to look again, for whatever reason; -1 with errno when there was no sleep. */
static int slept(long r)
{
	return r >= 0 || errno == EAGAIN || errno == EINTR || errno == ETIMEDOUT ? 0 : -1;
}

static int sleep_on_one(const core_env *e, const struct posix_futex *f, via_time deadline)
{
	const via_time s = deadline / POSIX_NS_PER_S;
	struct {
		long s, ns;
	} until = {s > LONG_MAX ? LONG_MAX : (long)s, (long)(deadline % POSIX_NS_PER_S)};
	int op = FUTEX_WAIT_BITSET | ((f->flags & PRIVATE) != 0 ? FUTEX_PRIVATE_FLAG : 0);

	if (!posix_may(e, "futex"))
		return -1;
	return slept(syscall(SYS_futex, (uintptr_t)f->word, op, (uint32_t)f->expected,
			     deadline == VIA_FOREVER ? NULL : &until, NULL,
			     FUTEX_BITSET_MATCH_ANY));
}

static int sleep_on_some(const core_env *e, const struct posix_futex *f, uint32_t n,
			 via_time deadline)
{
	struct {
		int64_t s, ns;
	} until = {(int64_t)(deadline / POSIX_NS_PER_S), (int64_t)(deadline % POSIX_NS_PER_S)};

	if (!posix_may(e, "futex_waitv"))
		return -1;
	return slept(syscall(SYS_futex_waitv, f, n, 0u, deadline == VIA_FOREVER ? NULL : &until,
			     CLOCK_MONOTONIC));
}

int posix_futex_sleep(const core_env *e, const struct posix_futex *f, uint32_t n, int *no_waitv,
		      via_time deadline)
{
	int r;

	if (n > 1 && n <= POSIX_FUTEX_MAX && !*no_waitv) {
		r = sleep_on_some(e, f, n, deadline);
		if (r == 0 || (errno != ENOSYS && errno != EPERM))
			return r;
		*no_waitv = 1;
	}
	if (n > 1)
		deadline = posix_time_slice(deadline, POSIX_SCAN_NS);
	return sleep_on_one(e, f, deadline);
}

void posix_futex_park(_Atomic uint32_t *word, uint32_t expected)
{
	(void)syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, NULL, NULL, 0);
}

void posix_futex_wake(_Atomic uint32_t *word)
{
	(void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}
#endif
