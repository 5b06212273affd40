/* tests/os/words.c - see words.h. */
#include "words.h"
#include <stdatomic.h>
#if defined(__linux__)
#include <errno.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#if !defined(SYS_futex_waitv)
#define SYS_futex_waitv 449
#endif
#endif

via_waitobj word_object(const uint32_t *word, uint32_t expected)
{
	via_waitobj o = OS_WAITOBJ_INIT;

	o.kind = VIA_WAIT_WORD;
	o.expected = expected;
	o.word = word;
	return o;
}

uint32_t word_value(const uint32_t *word)
{
	return os_load32(word);
}

void word_store(uint32_t *word, uint32_t value)
{
#if defined(_MSC_VER)
	atomic_thread_fence(memory_order_release);
	*(volatile uint32_t *)word = value;
#else
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
#endif
}

#if defined(__linux__)
int word_wake(uint32_t *word)
{
	return (int)syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

int word_has_sleeper(uint32_t *word)
{
	via_time deadline = rig_soon();

	while (word_wake(word) == 0) {
		if (os_now() >= deadline)
			return 0;
		os_yield();
	}
	return 1;
}

void word_forbid_waitv(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_futex_waitv, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = {sizeof code / sizeof code[0], code};

	cr_assert_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	cr_assert_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter), 0, "errno %d", errno);
	cr_assert_eq(syscall(SYS_futex_waitv, NULL, 0, 0, NULL, 0), -1);
	cr_assert_eq(errno, EPERM);
}
#else
int word_wake(uint32_t *word)
{
	(void)word;
	return 0;
}

int word_has_sleeper(uint32_t *word)
{
	(void)word;
	return 1;
}
#endif

void word_change(uint32_t *word, uint32_t value)
{
	word_store(word, value);
	(void)word_wake(word);
}

/* -- pollers ------------------------------------------------------------------------------------
 */

os_poller *words_poller(void)
{
	os_poller *p;

	cr_assert_eq(os_poller_open(&rig_env, &p), VIA_OK, "%s", via_error());
	return p;
}

os_waker *words_waker(void)
{
	os_waker *w;

	cr_assert_eq(os_waker_open(&rig_env, &w), VIA_OK, "%s", via_error());
	return w;
}

void words_add(os_poller *p, uint32_t *word, uint32_t expected)
{
	via_waitobj o = word_object(word, expected);

	cr_assert_eq(os_poller_add(p, &o, word), VIA_OK, "%s", via_error());
}

void words_arm(os_poller *p, uint32_t *word, uint32_t expected)
{
	via_waitobj o = word_object(word, expected);

	cr_assert_eq(os_poller_modify(p, &o, word), VIA_OK, "%s", via_error());
}

void words_remove(os_poller *p, uint32_t *word)
{
	via_waitobj o = word_object(word, 0);

	os_poller_remove(p, &o);
}

void words_add_waker(os_poller *p, os_waker *w)
{
	via_waitobj o;

	os_waker_object(w, &o);
	cr_assert_eq(os_poller_add(p, &o, w), VIA_OK, "%s", via_error());
}

void *words_one(os_poller *p, via_time deadline)
{
	os_event ev[4];

	cr_assert_eq(os_poller_wait(p, ev, 4, deadline), 1, "%s", via_error());
	return ev[0].key;
}

void words_quiet(os_poller *p)
{
	os_event ev[4];
	via_time deadline = os_now() + 4 * MS;

	cr_assert_eq(os_poller_wait(p, ev, 4, VIA_POLL), 0);
	cr_assert_eq(os_poller_wait(p, ev, 4, deadline), 0);
	cr_assert_geq(os_now(), deadline);
	cr_assert_eq(os_poller_wait(p, ev, 4, deadline), 0, "past");
}
