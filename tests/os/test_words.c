/* tests/os/test_words.c - os_wait on words, alone and beside descriptors or handles. */
#include "words.h"
#include <errno.h>
#if defined(__linux__)
#include <signal.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
#endif

TestSuite(os_words, .init = rig_open, .fini = rig_close, .timeout = 60);

/* How the other side ends a sleep, once there is one. */
struct change {
	uint32_t *asleep_on; /* a word that is known to be slept on */
	uint32_t *word;      /* what changes; NULL: nothing */
	os_waker *waker;     /* what is set; NULL: nothing */
	int silent;          /* change without a wake */
	int failed;
};

static void make_change(void *arg)
{
	struct change *c = arg;

	c->failed = !word_has_sleeper(c->asleep_on);
	if (c->waker != NULL)
		os_waker_set(c->waker);
	if (c->word == NULL)
		return;
	word_store(c->word, 8);
	if (!c->silent)
		(void)word_wake(c->word);
}

static uint32_t bits_after(struct change *c, const via_waitobj *objs, uint32_t n, via_time deadline)
{
	uint32_t ready = 0;
	os_thread *t;
	via_rc rc;

	cr_assert_eq(os_thread_start(&core_env_libc, "peer", make_change, c, &t), VIA_OK);
	rc = os_wait(&rig_env, objs, n, deadline, &ready);
	os_thread_join(&core_env_libc, t);
	cr_assert_eq(rc, VIA_OK, "%s", via_error());
	cr_assert_eq(c->failed, 0, "nobody slept");
	return ready;
}

Test(os_words, a_word_that_differs_is_ready_at_once)
{
	uint32_t w[32], i, ready = 99;
	via_waitobj o[32];

	for (i = 0; i < 32; i++) {
		w[i] = i;
		o[i] = word_object(&w[i], i);
	}
	cr_assert_eq(os_wait(&rig_env, o, 32, VIA_POLL, &ready), VIA_TIMEOUT);
	cr_assert_eq(os_wait(&rig_env, o, 1, VIA_POLL, &ready), VIA_TIMEOUT);
	cr_assert_eq(ready, 99u, "written on success only");
	w[0] = 5;
	w[2] = 5;
	w[31] = 5;
	cr_assert_eq(os_wait(&rig_env, o, 32, VIA_FOREVER, &ready), VIA_OK);
	cr_assert_eq(ready, UINT32_C(0x80000005), "%#x", ready);
	cr_assert_eq(os_wait(&rig_env, o, 1, VIA_POLL, &ready), VIA_OK);
	cr_assert_eq(ready, 1u);
	rig_deny_call("futex", EIO);
	rig_deny_call("futex_waitv", EIO);
	cr_assert_eq(os_wait(&rig_env, o, 3, VIA_FOREVER, &ready), VIA_OK, "without a system call");
}

Test(os_words, words_that_cannot_be_are_refused)
{
	uint32_t w[2] = {0, 0}, ready;
	via_waitobj o = word_object(NULL, 0);

	cr_assert_eq(os_wait(&rig_env, &o, 1, VIA_POLL, &ready), VIA_INVAL);
	o.word = (const volatile uint32_t *)(const volatile void *)((const char *)w + 2);
	cr_assert_eq(os_wait(&rig_env, &o, 1, VIA_POLL, &ready), VIA_INVAL);
	cr_assert(rig_error_has("divisible by 4"), "%s", via_error());
}

Test(os_words, another_thread_ends_it)
{
	uint32_t w[3], n, k;
	via_waitobj o[3];

	for (n = 1; n <= 3; n++) {
		for (k = 0; k < n; k++) {
			struct change c = {.asleep_on = &w[n - 1], .word = &w[k]};
			uint32_t i;

			for (i = 0; i < 3; i++) {
				w[i] = 7;
				o[i] = word_object(&w[i], 7);
			}
			cr_assert_eq(bits_after(&c, o, n, VIA_FOREVER), UINT32_C(1) << k);
			w[k] = 7;
			cr_assert_eq(bits_after(&c, o, n, rig_soon()), UINT32_C(1) << k);
		}
	}
}

#if defined(__linux__)
Test(os_words, another_process_ends_it)
{
	uint32_t *w, n, ready = 0;
	via_waitobj o[2];
	struct change c;
	int status;
	pid_t pid;

	w = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	cr_assert_neq(w, MAP_FAILED);
	for (n = 1; n <= 2; n++) {
		w[0] = w[1] = 7;
		o[0] = word_object(&w[0], 7);
		o[1] = word_object(&w[1], 7);
		pid = fork();
		if (pid == 0) {
			c = (struct change){.asleep_on = &w[0], .word = &w[n - 1]};
			make_change(&c);
			_exit(c.failed);
		}
		cr_assert_gt(pid, 0);
		cr_assert_eq(os_wait(&rig_env, o, n, rig_soon(), &ready), VIA_OK, "%s",
			     via_error());
		cr_assert_eq(ready, n);
		cr_assert_eq(waitpid(pid, &status, 0), pid);
		cr_assert_eq(status, 0);
	}
	cr_assert_eq(munmap(w, 4096), 0);
}
#endif

Test(os_words, deadline_is_kept)
{
	uint32_t w[2] = {7, 7}, n, ready = 99;
	via_waitobj o[3];
	os_waker *waker;
	via_time deadline;

	cr_assert_eq(os_waker_open(&rig_env, &waker), VIA_OK);
	o[0] = word_object(&w[0], 7);
	o[1] = word_object(&w[1], 7);
	os_waker_object(waker, &o[2]);
	for (n = 1; n <= 3; n++) {
		deadline = os_now() + 12 * MS + 1;
		cr_assert_eq(os_wait(&rig_env, o, n, deadline, &ready), VIA_TIMEOUT);
		cr_assert_geq(os_now(), deadline);
		cr_assert_eq(os_wait(&rig_env, o, n, deadline, &ready), VIA_TIMEOUT, "past");
	}
	cr_assert_eq(ready, 99u);
	os_waker_close(&rig_env, waker);
}

#if defined(__linux__)
static void on_alarm(int sig)
{
	(void)sig;
}

Test(os_words, signals_do_not_end_it)
{
	const struct itimerval each = {{0, 2000}, {0, 2000}}, none = {{0, 0}, {0, 0}};
	struct sigaction sa = {.sa_handler = on_alarm};
	uint32_t w[2] = {7, 7}, n, ready;
	via_waitobj o[2];
	via_time deadline;

	o[0] = word_object(&w[0], 7);
	o[1] = word_object(&w[1], 7);
	cr_assert_eq(sigaction(SIGALRM, &sa, NULL), 0);
	cr_assert_eq(setitimer(ITIMER_REAL, &each, NULL), 0);
	for (n = 1; n <= 2; n++) {
		deadline = os_now() + 20 * MS;
		cr_assert_eq(os_wait(&rig_env, o, n, deadline, &ready), VIA_TIMEOUT);
		cr_assert_geq(os_now(), deadline);
	}
	cr_assert_eq(setitimer(ITIMER_REAL, &none, NULL), 0);
}
#endif

Test(os_words, words_and_descriptors)
{
	uint32_t w[2] = {7, 7}, ready = 0;
	via_waitobj o[4];
	os_waker *waker[2];
	struct change c = {.asleep_on = &w[1]};

	cr_assert_eq(os_waker_open(&rig_env, &waker[0]), VIA_OK);
	cr_assert_eq(os_waker_open(&rig_env, &waker[1]), VIA_OK);
	os_waker_object(waker[0], &o[0]);
	o[1] = word_object(&w[0], 7);
	o[2] = word_object(&w[1], 7);
	os_waker_object(waker[1], &o[3]);
	cr_assert_eq(os_wait(&rig_env, o, 4, VIA_POLL, &ready), VIA_TIMEOUT);
	c.waker = waker[1];
	cr_assert_eq(bits_after(&c, o, 4, VIA_FOREVER), 8u, "a descriptor while asleep");
	os_waker_clear(waker[1]);
	c.waker = NULL;
	c.word = &w[0];
	cr_assert_eq(bits_after(&c, o, 4, VIA_FOREVER), 2u, "a word while asleep");
	os_waker_set(waker[0]);
	w[1] = 8;
	cr_assert_eq(os_wait(&rig_env, o, 4, VIA_POLL, &ready), VIA_OK);
	cr_assert_eq(ready, 7u, "whatever is ready, not only what was found first");
	os_waker_clear(waker[0]);
	w[0] = w[1] = 7;
	c.silent = 1;
	cr_assert_eq(bits_after(&c, o, 4, rig_soon()), 2u, "at the end of a slice");
	os_waker_close(&rig_env, waker[0]);
	cr_assert_eq(os_wait(&rig_env, o, 4, rig_soon(), &ready), VIA_IO, "a closed descriptor");
	os_waker_close(&rig_env, waker[1]);
}

#if defined(__linux__)
static void without_waitv(void)
{
	uint32_t w[3], k;
	via_waitobj o[3];
	via_time deadline;

	for (k = 0; k < 3; k++) {
		struct change c = {.asleep_on = &w[0], .word = &w[k]};
		uint32_t i, ready;

		for (i = 0; i < 3; i++) {
			w[i] = 7;
			o[i] = word_object(&w[i], 7);
		}
		deadline = os_now() + 5 * MS;
		cr_assert_eq(os_wait(&rig_env, o, 3, deadline, &ready), VIA_TIMEOUT, "%s",
			     via_error());
		cr_assert_geq(os_now(), deadline);
		cr_assert_eq(bits_after(&c, o, 3, VIA_FOREVER), UINT32_C(1) << k);
	}
}

Test(os_words, several_words_on_a_kernel_that_waits_for_one)
{
	rig_deny_call("futex_waitv", ENOSYS);
	without_waitv();
}

Test(os_words, several_words_where_a_filter_forbids_it)
{
	word_forbid_waitv();
	without_waitv();
}

Test(os_words, a_failure_is_told)
{
	uint32_t w[2] = {7, 7}, ready;
	via_waitobj o[2];

	o[0] = word_object(&w[0], 7);
	o[1] = word_object(&w[1], 7);
	rig_deny_call("futex", EIO);
	cr_assert_eq(os_wait(&rig_env, o, 1, rig_soon(), &ready), VIA_IO);
	cr_assert(rig_error_has("1 futex words"), "%s", via_error());
	rig_deny_call("futex_waitv", EIO);
	cr_assert_eq(os_wait(&rig_env, o, 2, rig_soon(), &ready), VIA_IO);
}
#endif
