/* tests/os/test_poller_words.c - a poller with words: among themselves, beside descriptors or handles, and
 * without futex_waitv. */
#include "words.h"
#if defined(__linux__)
#include <errno.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#endif

TestSuite(os_poller_words, .init = rig_open, .fini = rig_close, .timeout = 60);

Test(os_poller_words, told_once_for_each_add_or_modify)
{
	os_poller *p = words_poller();
	uint32_t w = 7;
	via_waitobj o = word_object(&w, 7);
	char other;

	cr_assert_eq(os_poller_modify(p, &o, &w), VIA_NOTFOUND);
	os_poller_remove(p, &o);
	words_add(p, &w, 7);
	cr_assert_eq(os_poller_add(p, &o, &w), VIA_EXISTS);
	words_quiet(p);
	w = 8;
	cr_assert_eq(words_one(p, VIA_FOREVER), &w);
	words_quiet(p);
	w = 9;
	words_quiet(p);
	words_arm(p, &w, 9);
	words_quiet(p);
	words_arm(p, &w, 8);
	cr_assert_eq(words_one(p, VIA_POLL), &w, "it differs already");
	o.fd_events = 0;
	cr_assert_eq(os_poller_modify(p, &o, &other), VIA_OK, "fd_events do not matter");
	cr_assert_eq(words_one(p, rig_soon()), &other, "the new key");
	words_arm(p, &w, 7);
	words_arm(p, &w, 9);
	words_quiet(p);
	os_poller_remove(p, &o);
	os_poller_remove(p, &o);
	w = 10;
	words_quiet(p);
	cr_assert_eq(os_poller_modify(p, &o, &w), VIA_NOTFOUND);
	words_add(p, &w, 9);
	cr_assert_eq(words_one(p, rig_soon()), &w);
	o.word = NULL;
	cr_assert_eq(os_poller_add(p, &o, &w), VIA_INVAL);
	os_poller_close(p);
}

Test(os_poller_words, words_and_descriptors)
{
	os_poller *p = words_poller();
	os_waker *a = words_waker(), *b = words_waker();
	uint32_t w[2] = {7, 7}, round, words = 0, wakers = 0;
	os_event ev[4];

	words_add_waker(p, a);
	words_add(p, &w[0], 7);
	words_add(p, &w[1], 7);
	words_add_waker(p, b);
	words_quiet(p);
	os_waker_set(b);
	cr_assert_eq(words_one(p, VIA_POLL), b, "found without its helper's help");
	cr_assert_eq(words_one(p, VIA_FOREVER), b, "level-triggered");
	w[1] = 8;
	cr_assert_eq(os_poller_wait(p, ev, 4, rig_soon()), 2);
	cr_assert((ev[0].key == b && ev[1].key == &w[1]) || (ev[1].key == b && ev[0].key == &w[1]));
	cr_assert_eq(words_one(p, rig_soon()), b, "the word was told");
	for (round = 0; round < 20; round++) { /* with room for one: neither starves the other */
		words_arm(p, &w[1], 7);
		cr_assert_eq(os_poller_wait(p, ev, 1, rig_soon()), 1);
		words += ev[0].key == &w[1];
		wakers += ev[0].key == b;
	}
	cr_assert(words >= 5 && wakers >= 5, "%u words, %u descriptors", words, wakers);
	os_waker_clear(b);
	words_arm(p, &w[1], 8);
	words_quiet(p);
	os_poller_close(p);
	os_waker_close(&rig_env, a);
	os_waker_close(&rig_env, b);
}

/* -- another thread or process -------------------------------------------------------------------
 */

struct peer {
	uint32_t *asleep_on, *word;
	os_waker *waker;
	int failed;
};

static void act(void *arg)
{
	struct peer *c = arg;

	c->failed = c->asleep_on != NULL && !word_has_sleeper(c->asleep_on);
	if (c->waker != NULL)
		os_waker_set(c->waker);
	else
		word_change(c->word, 8);
}

static void *key_after(os_poller *p, struct peer *c)
{
	os_thread *t;
	void *key;

	cr_assert_eq(os_thread_start(&core_env_libc, "peer", act, c, &t), VIA_OK);
	key = words_one(p, VIA_FOREVER);
	os_thread_join(&core_env_libc, t);
	cr_assert_eq(c->failed, 0, "nobody slept");
	return key;
}

Test(os_poller_words, another_thread_ends_it)
{
	os_poller *p = words_poller();
	os_waker *a = words_waker();
	uint32_t w[3] = {7, 7, 7}, round;
	struct peer word = {&w[2], &w[1], NULL, 0}, fd = {&w[2], NULL, a, 0};

	words_add_waker(p, a);
	for (round = 0; round < 3; round++)
		words_add(p, &w[round], 7);
	for (round = 0; round < 20; round++) {
		cr_assert_eq(key_after(p, &word), &w[1]);
		cr_assert_eq(key_after(p, &fd), a);
		os_waker_clear(a);
		word_store(&w[1], 7);
		words_arm(p, &w[1], 7);
	}
	for (round = 0; round < 3; round++)
		words_remove(p, &w[round]);
	fd.asleep_on = NULL;
	cr_assert_eq(key_after(p, &fd), a, "no word is left");
	os_waker_clear(a);
	words_add(p, &w[0], 7);
	words_quiet(p);
	os_poller_close(p);
	os_waker_close(&rig_env, a);
}

#if defined(__linux__)
Test(os_poller_words, another_process_ends_it)
{
	struct peer c = {0};
	os_poller *p;
	uint32_t *w;
	int status;
	pid_t pid;

	w = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	cr_assert_neq(w, MAP_FAILED);
	w[0] = w[1] = 7;
	pid = fork(); /* before there is a second thread */
	if (pid == 0) {
		c.asleep_on = &w[0];
		c.word = &w[1];
		act(&c);
		_exit(c.failed);
	}
	cr_assert_gt(pid, 0);
	p = words_poller();
	words_add(p, &w[0], 7);
	words_add(p, &w[1], 7);
	cr_assert_eq(words_one(p, rig_soon()), &w[1]);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert_eq(status, 0);
	os_poller_close(p);
	cr_assert_eq(munmap(w, 4096), 0);
}
#endif

Test(os_poller_words, removed_while_another_fires)
{
	os_poller *p = words_poller();
	uint32_t w[4] = {7, 7, 7, 7}, *first, *second;
	os_event ev[4];

	words_add(p, &w[0], 7);
	words_add(p, &w[1], 7);
	words_add(p, &w[2], 7);
	w[0] = w[2] = 8;
	cr_assert_eq(os_poller_wait(p, ev, 1, rig_soon()), 1);
	first = ev[0].key;
	second = first == &w[0] ? &w[2] : &w[0];
	cr_assert(first == &w[0] || first == &w[2]);
	words_remove(p, second);
	words_quiet(p);
	words_remove(p, &w[1]);
	words_add(p, &w[3], 8);
	cr_assert_eq(words_one(p, rig_soon()), &w[3]);
	words_arm(p, first, 7);
	cr_assert_eq(words_one(p, rig_soon()), first);
	os_poller_close(p);
}

/* -- many ----------------------------------------------------------------------------------------
 */

#define MANY 1024

/* Collects what is ready now; every word in `expected` exactly once, nothing else. */
static void expect_told(os_poller *p, uint32_t *w, const unsigned char *expected, uint32_t n)
{
	unsigned char seen[MANY];
	os_event ev[16];
	uint32_t k, want = 0;
	via_rc i, c;

	memset(seen, 0, sizeof seen);
	for (k = 0; k < n; k++)
		want += expected[k];
	while (want > 0) {
		c = os_poller_wait(p, ev, 16, rig_soon());
		cr_assert(c > 0 && c <= 16, "%d events, %u words are missing", c, want);
		for (i = 0; i < c; i++) {
			k = (uint32_t)((uint32_t *)ev[i].key - w);
			cr_assert_lt(k, n);
			cr_assert(expected[k], "word %u is not ready", k);
			cr_assert(!seen[k], "word %u was told twice", k);
			seen[k] = 1;
			want--;
		}
	}
	cr_assert_eq(os_poller_wait(p, ev, 16, VIA_POLL), 0);
}

Test(os_poller_words, any_number_of_words)
{
	static const uint32_t numbers[] = {126, 127, 128, 300, MANY};
	static uint32_t w[MANY];
	unsigned char expected[MANY];
	os_waker *a = words_waker();
	uint32_t i, k, n;
	struct peer word = {0}, fd = {.waker = a};

	for (i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
		os_poller *p = words_poller();

		n = numbers[i];
		memset(expected, 0, sizeof expected);
		words_add_waker(p, a);
		for (k = 0; k < n; k++) {
			w[k] = 7;
			words_add(p, &w[k], 7);
		}
		words_quiet(p);
		for (k = 0; k < n; k += n / 3) { /* asleep in one way or the other */
			word.word = &w[k];
			cr_assert_eq(key_after(p, &word), &w[k]);
			cr_assert_eq(key_after(p, &fd), a);
			os_waker_clear(a);
			words_arm(p, &w[k], 8);
			words_quiet(p);
		}
		for (k = 0; k < n; k += 3)
			w[k] = 10;
		for (k = 0; k < n; k++)
			expected[k] = k % 3 == 0;
		expect_told(p, w, expected, n);
		for (k = 0; k < n; k++) {
			expected[k] = k % 7 != 0;
			if (k % 7 == 0)
				words_remove(p, &w[k]);
			else
				words_arm(p, &w[k], 0);
		}
		expect_told(p, w, expected, n);
		os_poller_close(p);
	}
	os_waker_close(&rig_env, a);
}

/* Adding, arming, firing and removing in no order, against a plain list of what should be told. */
Test(os_poller_words, any_order)
{
	static uint32_t w[MANY];
	static unsigned char known[MANY], fires[MANY];
	os_poller *p = words_poller();
	uint32_t seed = 12345, step, k;
	via_waitobj o;

	for (step = 0; step < 30000; step++) {
		seed = seed * 1664525 + 1013904223;
		k = (seed >> 8) % (step % 5000 < 2500 ? MANY : 50);
		o = word_object(&w[k], w[k] + (seed >> 31));
		if ((seed >> 24) % 4 == 0) {
			os_poller_remove(p, &o);
			known[k] = fires[k] = 0;
		} else {
			via_rc rc = known[k] ? os_poller_modify(p, &o, &w[k])
					     : os_poller_add(p, &o, &w[k]);

			cr_assert_eq(rc, VIA_OK, "%s", via_error());
			known[k] = 1;
			fires[k] = (unsigned char)(seed >> 31);
		}
		if (step % 97 == 0) {
			expect_told(p, w, fires, MANY);
			memset(fires, 0, sizeof fires);
		}
	}
	os_poller_close(p);
}

/* All are ready all the time, and armed again as soon as they are told: everybody has his turn. */
Test(os_poller_words, none_starves)
{
	static const uint32_t rooms[] = {1, 2, 7};
	uint32_t w[50], told[50], i, k, n, round;
	os_event ev[8];
	via_rc c;

	for (i = 0; i < 9; i++) {
		os_poller *p = words_poller();

		n = i < 3 ? 3 : i < 6 ? 20 : 50;
		for (k = 0; k < n; k++) {
			w[k] = 7;
			told[k] = 0;
			words_add(p, &w[k], 0);
		}
		for (round = 0; round < 5 * n; round++) {
			c = os_poller_wait(p, ev, rooms[i % 3], rig_soon());
			cr_assert_gt(c, 0);
			while (c-- > 0) {
				told[(uint32_t *)ev[c].key - w]++;
				words_arm(p, ev[c].key, 0);
			}
		}
		for (k = 0; k < n; k++)
			cr_assert_geq(told[k], 2u, "word %u of %u was told %u times", k, n,
				      told[k]);
		os_poller_close(p);
	}
}

#if defined(__linux__)
/* -- when something fails ------------------------------------------------------------------------
 */

/* rig_env, but the helper's poll() waits for the test. */
static os_mutex helper_gate;

static int32_t stall(void *arg, const char *call)
{
	(void)arg;
	if (strcmp(call, "poll") == 0) {
		os_mutex_lock(&helper_gate);
		os_mutex_unlock(&helper_gate);
	}
	return 0;
}

Test(os_poller_words, a_look_does_not_need_the_helper)
{
	core_env slow = rig_env;
	os_waker *a = words_waker();
	uint32_t w = 7;
	os_event ev[2];
	os_poller *p;

	slow.deny = stall;
	os_mutex_init(&helper_gate);
	cr_assert_eq(os_poller_open(&slow, &p), VIA_OK);
	words_add_waker(p, a);
	words_add(p, &w, 7);
	os_mutex_lock(&helper_gate);
	words_quiet(p);
	os_waker_set(a);
	cr_assert_eq(words_one(p, VIA_POLL), a);
	cr_assert_eq(os_poller_wait(p, ev, 2, os_now() + MS), 1, "at the deadline at the latest");
	os_mutex_unlock(&helper_gate);
	cr_assert_eq(words_one(p, rig_soon()), a);
	os_poller_close(p);
	os_mutex_destroy(&helper_gate);
	os_waker_close(&rig_env, a);
}

static void without_waitv(void)
{
	os_poller *p = words_poller();
	os_waker *a = words_waker();
	uint32_t w[3] = {7, 7, 7}, round;
	struct peer word = {NULL, &w[1], NULL, 0}, fd = {NULL, NULL, a, 0};

	words_add_waker(p, a);
	for (round = 0; round < 3; round++)
		words_add(p, &w[round], 7);
	words_quiet(p);
	for (round = 0; round < 10; round++) {
		cr_assert_eq(key_after(p, &word), &w[1]);
		cr_assert_eq(key_after(p, &fd), a);
		os_waker_clear(a);
		word_store(&w[1], 7);
		words_arm(p, &w[1], 7);
	}
	os_poller_close(p);
	os_waker_close(&rig_env, a);
}

Test(os_poller_words, on_a_kernel_without_futex_waitv)
{
	rig_deny_call("futex_waitv", ENOSYS);
	without_waitv();
}

Test(os_poller_words, where_a_filter_forbids_futex_waitv)
{
	word_forbid_waitv();
	without_waitv();
}

Test(os_poller_words, failures_are_told_and_pass)
{
	static const char *const calls[] = {"futex_waitv", "poll"};
	os_poller *p = words_poller();
	os_waker *a = words_waker();
	uint32_t w = 7, i;
	os_event ev[2];

	words_add_waker(p, a);
	rig_deny_call("pthread_create", EAGAIN);
	cr_assert_eq(os_poller_add(p, &(via_waitobj){.kind = VIA_WAIT_WORD, .word = &w}, &w),
		     VIA_LIMIT);
	rig_deny_call(NULL, 0);
	os_waker_set(a);
	cr_assert_eq(words_one(p, rig_soon()), a);
	os_waker_clear(a);
	words_add(p, &w, 7);
	for (i = 0; i < 2; i++) {
		rig_deny_call(calls[i], EIO);
		cr_assert_eq(os_poller_wait(p, ev, 2, rig_soon()), VIA_IO);
		cr_assert(rig_error_has("futex words"), "%s", via_error());
		rig_deny_call(NULL, 0);
		words_quiet(p);
		os_waker_set(a);
		cr_assert_eq(words_one(p, rig_soon()), a);
		os_waker_clear(a);
	}
	os_poller_close(p);
	os_waker_close(&rig_env, a);
}
#endif
