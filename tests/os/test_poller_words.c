/* tests/os/test_poller_words.c - a poller with futex words: among themselves, beside descriptors, without
 * futex_waitv, and what it costs when nothing happens. */
#include "words.h"
#include <dirent.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(os_poller_words, .init = rig_open, .fini = rig_close, .timeout = 60);

static os_poller *poller(void)
{
	os_poller *p;

	cr_assert_eq(os_poller_open(&rig_env, &p), VIA_OK, "%s", via_error());
	return p;
}

static os_waker *waker(void)
{
	os_waker *w;

	cr_assert_eq(os_waker_open(&rig_env, &w), VIA_OK, "%s", via_error());
	return w;
}

/* Each object is its own key here. */
static void add_word(os_poller *p, uint32_t *word, uint32_t expected)
{
	via_waitobj o = word_object(word, expected);

	cr_assert_eq(os_poller_add(p, &o, word), VIA_OK, "%s", via_error());
}

static void arm_word(os_poller *p, uint32_t *word, uint32_t expected)
{
	via_waitobj o = word_object(word, expected);

	cr_assert_eq(os_poller_modify(p, &o, word), VIA_OK, "%s", via_error());
}

static void remove_word(os_poller *p, uint32_t *word)
{
	via_waitobj o = word_object(word, 0);

	os_poller_remove(p, &o);
}

static void add_waker(os_poller *p, os_waker *w)
{
	via_waitobj o;

	os_waker_object(w, &o);
	cr_assert_eq(os_poller_add(p, &o, w), VIA_OK, "%s", via_error());
}

/* The key of the one event there is. */
static void *one(os_poller *p, via_time deadline)
{
	os_event ev[4];

	cr_assert_eq(os_poller_wait(p, ev, 4, deadline), 1, "%s", via_error());
	return ev[0].key;
}

static void quiet(os_poller *p)
{
	os_event ev[4];
	via_time deadline = os_now() + 4 * MS;

	cr_assert_eq(os_poller_wait(p, ev, 4, VIA_POLL), 0);
	cr_assert_eq(os_poller_wait(p, ev, 4, deadline), 0);
	cr_assert_geq(os_now(), deadline);
	cr_assert_eq(os_poller_wait(p, ev, 4, deadline), 0, "past");
}

Test(os_poller_words, told_once_for_each_add_or_modify)
{
	os_poller *p = poller();
	uint32_t w = 7;
	via_waitobj o = word_object(&w, 7);
	char other;

	cr_assert_eq(os_poller_modify(p, &o, &w), VIA_NOTFOUND);
	os_poller_remove(p, &o);
	add_word(p, &w, 7);
	cr_assert_eq(os_poller_add(p, &o, &w), VIA_EXISTS);
	quiet(p);
	w = 8;
	cr_assert_eq(one(p, VIA_FOREVER), &w);
	quiet(p);
	w = 9;
	quiet(p);
	arm_word(p, &w, 9);
	quiet(p);
	arm_word(p, &w, 8);
	cr_assert_eq(one(p, VIA_POLL), &w, "it differs already");
	o.fd_events = 0;
	cr_assert_eq(os_poller_modify(p, &o, &other), VIA_OK, "fd_events do not matter");
	cr_assert_eq(one(p, rig_soon()), &other, "the new key");
	arm_word(p, &w, 7);
	arm_word(p, &w, 9);
	quiet(p);
	os_poller_remove(p, &o);
	os_poller_remove(p, &o);
	w = 10;
	quiet(p);
	cr_assert_eq(os_poller_modify(p, &o, &w), VIA_NOTFOUND);
	add_word(p, &w, 9);
	cr_assert_eq(one(p, rig_soon()), &w);
	o.word = NULL;
	cr_assert_eq(os_poller_add(p, &o, &w), VIA_INVAL);
	os_poller_close(p);
}

Test(os_poller_words, words_and_descriptors)
{
	os_poller *p = poller();
	os_waker *a = waker(), *b = waker();
	uint32_t w[2] = {7, 7}, round, words = 0, wakers = 0;
	os_event ev[4];

	add_waker(p, a);
	add_word(p, &w[0], 7);
	add_word(p, &w[1], 7);
	add_waker(p, b);
	quiet(p);
	os_waker_set(b);
	cr_assert_eq(one(p, VIA_POLL), b, "found without its helper's help");
	cr_assert_eq(one(p, VIA_FOREVER), b, "level-triggered");
	w[1] = 8;
	cr_assert_eq(os_poller_wait(p, ev, 4, rig_soon()), 2);
	cr_assert((ev[0].key == b && ev[1].key == &w[1]) || (ev[1].key == b && ev[0].key == &w[1]));
	cr_assert_eq(one(p, rig_soon()), b, "the word was told");
	for (round = 0; round < 20; round++) { /* with room for one: neither starves the other */
		arm_word(p, &w[1], 7);
		cr_assert_eq(os_poller_wait(p, ev, 1, rig_soon()), 1);
		words += ev[0].key == &w[1];
		wakers += ev[0].key == b;
	}
	cr_assert(words >= 5 && wakers >= 5, "%u words, %u descriptors", words, wakers);
	os_waker_clear(b);
	arm_word(p, &w[1], 8);
	quiet(p);
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
	key = one(p, VIA_FOREVER);
	os_thread_join(&core_env_libc, t);
	cr_assert_eq(c->failed, 0, "nobody slept");
	return key;
}

Test(os_poller_words, another_thread_ends_it)
{
	os_poller *p = poller();
	os_waker *a = waker();
	uint32_t w[3] = {7, 7, 7}, round;
	struct peer word = {&w[2], &w[1], NULL, 0}, fd = {&w[2], NULL, a, 0};

	add_waker(p, a);
	for (round = 0; round < 3; round++)
		add_word(p, &w[round], 7);
	for (round = 0; round < 20; round++) {
		cr_assert_eq(key_after(p, &word), &w[1]);
		cr_assert_eq(key_after(p, &fd), a);
		os_waker_clear(a);
		word_store(&w[1], 7);
		arm_word(p, &w[1], 7);
	}
	for (round = 0; round < 3; round++)
		remove_word(p, &w[round]);
	fd.asleep_on = NULL;
	cr_assert_eq(key_after(p, &fd), a, "no word is left");
	os_waker_clear(a);
	add_word(p, &w[0], 7);
	quiet(p);
	os_poller_close(p);
	os_waker_close(&rig_env, a);
}

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
	p = poller();
	add_word(p, &w[0], 7);
	add_word(p, &w[1], 7);
	cr_assert_eq(one(p, rig_soon()), &w[1]);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert_eq(status, 0);
	os_poller_close(p);
	cr_assert_eq(munmap(w, 4096), 0);
}

Test(os_poller_words, removed_while_another_fires)
{
	os_poller *p = poller();
	uint32_t w[4] = {7, 7, 7, 7}, *first, *second;
	os_event ev[4];

	add_word(p, &w[0], 7);
	add_word(p, &w[1], 7);
	add_word(p, &w[2], 7);
	w[0] = w[2] = 8;
	cr_assert_eq(os_poller_wait(p, ev, 1, rig_soon()), 1);
	first = ev[0].key;
	second = first == &w[0] ? &w[2] : &w[0];
	cr_assert(first == &w[0] || first == &w[2]);
	remove_word(p, second);
	quiet(p);
	remove_word(p, &w[1]);
	add_word(p, &w[3], 8);
	cr_assert_eq(one(p, rig_soon()), &w[3]);
	arm_word(p, first, 7);
	cr_assert_eq(one(p, rig_soon()), first);
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
	os_waker *a = waker();
	uint32_t i, k, n;
	struct peer word = {0}, fd = {.waker = a};

	for (i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
		os_poller *p = poller();

		n = numbers[i];
		memset(expected, 0, sizeof expected);
		add_waker(p, a);
		for (k = 0; k < n; k++) {
			w[k] = 7;
			add_word(p, &w[k], 7);
		}
		quiet(p);
		for (k = 0; k < n; k += n / 3) { /* asleep in one way or the other */
			word.word = &w[k];
			cr_assert_eq(key_after(p, &word), &w[k]);
			cr_assert_eq(key_after(p, &fd), a);
			os_waker_clear(a);
			arm_word(p, &w[k], 8);
			quiet(p);
		}
		for (k = 0; k < n; k += 3)
			w[k] = 10;
		for (k = 0; k < n; k++)
			expected[k] = k % 3 == 0;
		expect_told(p, w, expected, n);
		for (k = 0; k < n; k++) {
			expected[k] = k % 7 != 0;
			if (k % 7 == 0)
				remove_word(p, &w[k]);
			else
				arm_word(p, &w[k], 0);
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
	os_poller *p = poller();
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

/* -- when something fails ------------------------------------------------------------------------
 */

static void without_waitv(void)
{
	os_poller *p = poller();
	os_waker *a = waker();
	uint32_t w[3] = {7, 7, 7}, round;
	struct peer word = {NULL, &w[1], NULL, 0}, fd = {NULL, NULL, a, 0};

	add_waker(p, a);
	for (round = 0; round < 3; round++)
		add_word(p, &w[round], 7);
	quiet(p);
	for (round = 0; round < 10; round++) {
		cr_assert_eq(key_after(p, &word), &w[1]);
		cr_assert_eq(key_after(p, &fd), a);
		os_waker_clear(a);
		word_store(&w[1], 7);
		arm_word(p, &w[1], 7);
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
	os_poller *p = poller();
	os_waker *a = waker();
	uint32_t w = 7, i;
	os_event ev[2];

	add_waker(p, a);
	rig_deny_call("pthread_create", EAGAIN);
	cr_assert_eq(os_poller_add(p, &(via_waitobj){.kind = VIA_WAIT_WORD, .word = &w}, &w),
		     VIA_LIMIT);
	rig_deny_call(NULL, 0);
	os_waker_set(a);
	cr_assert_eq(one(p, rig_soon()), a);
	os_waker_clear(a);
	add_word(p, &w, 7);
	for (i = 0; i < 2; i++) {
		rig_deny_call(calls[i], EIO);
		cr_assert_eq(os_poller_wait(p, ev, 2, rig_soon()), VIA_IO);
		cr_assert(rig_error_has("futex words"), "%s", via_error());
		rig_deny_call(NULL, 0);
		quiet(p);
		os_waker_set(a);
		cr_assert_eq(one(p, rig_soon()), a);
		os_waker_clear(a);
	}
	os_poller_close(p);
	os_waker_close(&rig_env, a);
}

/* -- what it costs -------------------------------------------------------------------------------
 */

/* Threads of this process and how often they went to sleep. */
static uint32_t threads(uint64_t *switches)
{
	char path[300], line[128];
	struct dirent *entry;
	uint32_t n = 0;
	DIR *d = opendir("/proc/self/task");
	FILE *f;

	cr_assert_not_null(d);
	*switches = 0;
	while ((entry = readdir(d)) != NULL) {
		(void)snprintf(path, sizeof path, "/proc/self/task/%s/status", entry->d_name);
		f = entry->d_name[0] == '.' ? NULL : fopen(path, "r");
		if (f == NULL)
			continue;
		n++;
		while (fgets(line, sizeof line, f) != NULL)
			if (strncmp(line, "voluntary_ctxt_switches:", 24) == 0)
				*switches += strtoull(line + 24, NULL, 10);
		(void)fclose(f);
	}
	closedir(d);
	return n;
}

static uint64_t switches_while_idle(os_poller *p)
{
	uint64_t before, after;
	os_event ev[2];

	(void)threads(&before);
	cr_assert_eq(os_poller_wait(p, ev, 2, os_now() + 300 * MS), 0);
	(void)threads(&after);
	return after - before;
}

Test(os_poller_words, nothing_happens_when_nothing_happens)
{
	os_poller *p = poller();
	os_waker *a = waker();
	uint64_t none, armed, fired, left;
	uint32_t w[2] = {7, 7};

	add_waker(p, a);
	none = switches_while_idle(p); /* a sanitizer may have a thread with habits of its own */
	add_word(p, &w[0], 7);
	add_word(p, &w[1], 7);
	armed = switches_while_idle(p);
	cr_assert_leq(armed, none + 8, "%d sleeps in 300 ms", (int)armed);
	w[0] = w[1] = 8;
	while (os_poller_wait(p, (os_event[2]){{NULL}}, 2, VIA_POLL) != 0)
		;
	fired = switches_while_idle(p);
	cr_assert_leq(fired, none + 8, "%d sleeps with words that have fired", (int)fired);
	remove_word(p, &w[0]);
	remove_word(p, &w[1]);
	left = switches_while_idle(p);
	cr_assert_leq(left, none + 8, "%d sleeps after the words", (int)left);
	os_poller_close(p);
	os_waker_close(&rig_env, a);
}

Test(os_poller_words, the_helper_ends_with_the_poller)
{
	via_time deadline = rig_soon();
	uint32_t w = 7, before, slept;
	uint64_t ignored;
	os_event ev[2];
	os_poller *p;

	p = poller();
	before = threads(&ignored);
	os_poller_close(p);
	for (slept = 0; slept < 20; slept++) {
		p = poller();
		cr_assert_eq(threads(&ignored), before, "no word, no thread");
		add_word(p, &w, 7);
		cr_assert_eq(threads(&ignored), before + 1);
		if (slept % 2 != 0)
			cr_assert_eq(os_poller_wait(p, ev, 2, os_now() + MS), 0);
		os_poller_close(p);                 /* with the word in it */
		while (threads(&ignored) != before) /* joined; the kernel may still be tidying up */
			cr_assert_lt(os_now(), deadline, "a thread is left");
	}
}

/* -- everything at once --------------------------------------------------------------------------
 */

#define HAMMERS 4
#define WORDS_EACH 8
#define ROUNDS 3000u
#define BELLS 300

static uint32_t hammered[HAMMERS][WORDS_EACH];
static os_waker *bell;
static atomic_uint n_rung, n_heard;

static void hammer(void *arg)
{
	uint32_t *w = arg, round, k;

	for (round = 1; round <= ROUNDS; round++)
		for (k = 0; k < WORDS_EACH; k++)
			word_change(&w[k], round);
}

static void ring(void *arg)
{
	via_time deadline = rig_soon();
	unsigned int i;

	(void)arg;
	for (i = 1; i <= BELLS && os_now() < deadline; i++) {
		atomic_store(&n_rung, i);
		os_waker_set(bell);
		while (atomic_load(&n_heard) < i && os_now() < deadline)
			os_yield();
	}
}

/* Events of one call; number of words that came to their last value. */
static uint32_t hear(os_poller *p, const os_event *ev, via_rc n)
{
	uint32_t done = 0, value, *w;
	via_waitobj o;
	via_rc i;

	os_waker_object(bell, &o);
	for (i = 0; i < n; i++) {
		if (ev[i].key == bell) {
			os_waker_clear(bell);
			os_poller_remove(p, &o);
			add_waker(p, bell);
			atomic_store(&n_heard, atomic_load(&n_rung));
			continue;
		}
		w = ev[i].key;
		value = word_value(w);
		if (value == ROUNDS) {
			remove_word(p, w);
			done++;
		} else {
			arm_word(p, w, value);
		}
	}
	return done;
}

Test(os_poller_words, nothing_is_lost_under_fire)
{
	os_poller *p = poller();
	os_thread *t[HAMMERS + 1];
	uint32_t i, done = 0, asleep = 7;
	os_event ev[8];
	via_rc n;

	bell = waker();
	add_waker(p, bell);
	add_word(p, &asleep, 7); /* so that a word is armed to the end */
	for (i = 0; i < HAMMERS * WORDS_EACH; i++)
		add_word(p, &hammered[0][0] + i, 0);
	for (i = 0; i < HAMMERS; i++)
		cr_assert_eq(os_thread_start(&core_env_libc, "hammer", hammer, hammered[i], &t[i]),
			     VIA_OK);
	cr_assert_eq(os_thread_start(&core_env_libc, "bell", ring, NULL, &t[HAMMERS]), VIA_OK);
	while (done < HAMMERS * WORDS_EACH || atomic_load(&n_heard) < BELLS) {
		n = os_poller_wait(p, ev, 8, rig_soon());
		cr_assert_gt(n, 0, "%u words done, %u bells heard: %s", done, atomic_load(&n_heard),
			     via_error());
		done += hear(p, ev, n);
	}
	for (i = 0; i <= HAMMERS; i++)
		os_thread_join(&core_env_libc, t[i]);
	os_poller_close(p);
	os_waker_close(&rig_env, bell);
}
