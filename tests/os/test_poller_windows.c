/* tests/os/test_poller_windows.c - a poller with more events than one call can wait for, what a wake-up
 * costs, and words when nobody can wake them. */
#include "words.h"
#include <stdatomic.h>
#include <windows.h>

TestSuite(os_poller_windows, .init = rig_open, .fini = rig_close, .timeout = 60);

/* -- many events ---------------------------------------------------------------------------------
 */

#define EVENTS 1000
#define WORDS 200
#define DIRECT 62 /* as many as the poller waits for itself */

static HANDLE events[EVENTS];
static uint32_t words[WORDS];

static via_waitobj event_object(uint32_t k)
{
	via_waitobj o = OS_WAITOBJ_INIT;

	o.kind = VIA_WAIT_WIN;
	o.handle = (int64_t)(intptr_t)events[k];
	return o;
}

static void add_event(os_poller *p, uint32_t k)
{
	via_waitobj o = event_object(k);

	cr_assert_eq(os_poller_add(p, &o, &events[k]), VIA_OK, "%s", via_error());
}

static void remove_event(os_poller *p, uint32_t k)
{
	via_waitobj o = event_object(k);

	os_poller_remove(p, &o);
}

static os_poller *poller_with_events(uint32_t n, int manual)
{
	os_poller *p = words_poller();
	uint32_t k;

	rig_uses_pool(n);
	for (k = 0; k < n; k++) {
		events[k] = CreateEventW(NULL, manual, FALSE, NULL);
		cr_assert_not_null(events[k]);
		add_event(p, k);
	}
	return p;
}

static void close_events(os_poller *p, uint32_t n)
{
	os_poller_close(p);
	while (n-- > 0)
		CloseHandle(events[n]);
}

/* Collects until all that is expected was told, each once; then there is nothing. */
static void expect_told(os_poller *p, const unsigned char *expected,
			const unsigned char *word_expected)
{
	unsigned char seen[EVENTS] = {0}, word_seen[WORDS] = {0};
	uint32_t want = 0, k;
	os_event ev[16];
	via_rc i, c;

	for (k = 0; k < EVENTS; k++)
		want += expected[k];
	for (k = 0; k < WORDS; k++)
		want += word_expected[k];
	for (; want > 0; want -= (uint32_t)c) {
		c = os_poller_wait(p, ev, 16, rig_soon());
		cr_assert(c > 0 && (uint32_t)c <= want, "%d events, %u are missing: %s", c, want,
			  via_error());
		for (i = 0; i < c; i++) {
			if ((uint32_t *)ev[i].key >= words &&
			    (uint32_t *)ev[i].key < words + WORDS) {
				k = (uint32_t)((uint32_t *)ev[i].key - words);
				cr_assert(word_expected[k] && !word_seen[k], "word %u", k);
				word_seen[k] = 1;
				continue;
			}
			k = (uint32_t)((HANDLE *)ev[i].key - events);
			cr_assert_lt(k, EVENTS);
			cr_assert(expected[k] && !seen[k], "event %u", k);
			seen[k] = 1;
		}
	}
	cr_assert_eq(os_poller_wait(p, ev, 16, VIA_POLL), 0);
}

/* Adding, setting and removing in no order, against a plain list of what should be told. */
Test(os_poller_windows, a_thousand_events_and_words)
{
	static unsigned char known[EVENTS], expected[EVENTS], word_expected[WORDS];
	os_poller *p = poller_with_events(EVENTS, 0);
	uint32_t seed = 12345, step, k;

	memset(known, 1, sizeof known);
	for (k = 0; k < WORDS; k++)
		words_add(p, &words[k], 0);
	for (step = 0; step < 8000; step++) {
		seed = seed * 1664525 + 1013904223;
		k = (seed >> 8) % (step % 2000 < 1000 ? EVENTS : 80);
		if ((seed >> 24) % 4 == 0 && !expected[k]) {
			if (known[k])
				remove_event(p, k);
			else
				add_event(p, k);
			known[k] = !known[k];
		} else if (known[k] && !expected[k]) { /* set twice may be told twice */
			cr_assert(SetEvent(events[k]));
			expected[k] = 1;
		}
		if (k < WORDS && !word_expected[k]) {
			words_arm(p, &words[k], words[k]);
			words[k]++;
			word_expected[k] = 1;
		}
		if (step % 97 == 0) {
			expect_told(p, expected, word_expected);
			memset(expected, 0, sizeof expected);
			memset(word_expected, 0, sizeof word_expected);
		}
	}
	close_events(p, EVENTS);
}

Test(os_poller_windows, all_ready_all_the_time)
{
	static uint32_t told[EVENTS];
	os_poller *p = poller_with_events(200, 1);
	uint32_t n = 0, k;
	os_event ev[7];
	via_rc c;

	for (k = 0; k < 200; k++)
		cr_assert(SetEvent(events[k]));
	while (n < 200 * 12) {
		c = os_poller_wait(p, ev, 7, rig_soon());
		cr_assert_gt(c, 0, "%s", via_error());
		n += (uint32_t)c;
		while (c-- > 0)
			told[(HANDLE *)ev[c].key - events]++;
	}
	for (k = 0; k < 200; k++)
		cr_assert_geq(told[k], 2u, "event %u was told %u times of %u", k, told[k], n);
	close_events(p, 200);
}

/* Waits once; in last[] the number of the wait that told an event. */
static void wait_once(os_poller *p, uint32_t cap, uint32_t number, uint32_t *last)
{
	os_event ev[16];
	via_rc c = os_poller_wait(p, ev, cap, rig_soon());

	cr_assert_gt(c, 0, "%s", via_error());
	while (c-- > 0)
		last[(HANDLE *)ev[c].key - events] = number;
}

/* Of n handles that are ready all the time each is told at least once in `most` waits, whatever the poller has
 * learnt before: one was ready alone. Those in the pool are counted from when its thread has seen them. */
static void check_waits(uint32_t n, uint32_t cap, uint32_t most)
{
	uint32_t last[EVENTS] = {0}, begin = 1, wait, k;
	os_poller *p = poller_with_events(n, 1);

	for (k = 0; k < 20; k++) {
		cr_assert(SetEvent(events[n / 2]));
		cr_assert_eq(words_one(p, rig_soon()), &events[n / 2]);
		cr_assert(ResetEvent(events[n / 2]));
	}
	for (k = 0; k < n; k++)
		cr_assert(SetEvent(events[k]));
	for (k = 0; n > DIRECT && k < n; k++)
		while (last[k] == 0)
			wait_once(p, cap, begin, last);
	for (k = 0; k < n; k++)
		last[k] = begin;
	for (wait = begin + 1; wait <= begin + 8 * most; wait++) {
		wait_once(p, cap, wait, last);
		for (k = 0; k < n; k++)
			cr_assert_leq(wait - last[k], most, "%u of %u with room for %u", k, n, cap);
	}
	close_events(p, n);
}

Test(os_poller_windows, nobody_waits_for_long)
{
	check_waits(2, 1, 2);
	check_waits(3, 16, 3);
	check_waits(DIRECT, 1, DIRECT);
	check_waits(DIRECT, 16, DIRECT);
	check_waits(DIRECT + 1, 1, 2 * DIRECT);
	check_waits(DIRECT + 1, 16, DIRECT);
	check_waits(100, 1, 200);
	check_waits(100, 16, 100);
	check_waits(300, 16, 300);
}

/* One that is always ready, another now and then: that one comes with the next wait or the one after it. In the
 * pool it has to be seen first. */
static void check_hidden(uint32_t n)
{
	os_poller *p = poller_with_events(n, 1);
	uint32_t last[EVENTS] = {0}, i, k, waits;
	via_time end;

	cr_assert(SetEvent(events[0]));
	for (i = 0; i < 300; i++) {
		k = 1 + i * 37 % (n - 1);
		for (waits = 0; waits < i % 12; waits++)
			cr_assert_eq(words_one(p, rig_soon()), &events[0]);
		cr_assert(SetEvent(events[k]));
		last[k] = 0;
		end = rig_soon();
		for (waits = 0; last[k] == 0; waits++) {
			cr_assert_lt(os_now(), end, "event %u is not told", k);
			wait_once(p, 4, 1, last);
		}
		cr_assert(n > DIRECT || waits <= 2, "event %u after %u waits", k, waits);
		cr_assert(ResetEvent(events[k]));
	}
	close_events(p, n);
}

Test(os_poller_windows, one_that_is_always_ready_hides_nobody)
{
	check_hidden(DIRECT);
	check_hidden(100);
}

Test(os_poller_windows, silenced_in_the_pool)
{
	os_poller *p = poller_with_events(100, 0);
	via_waitobj o = event_object(99);
	os_event ev[4];
	uint32_t round;

	for (round = 0; round < 20; round++) {
		cr_assert_eq(os_poller_wait(p, ev, 4, os_now() + MS), 0); /* now the pool waits */
		o.fd_events = 0;
		if (round % 2 != 0)
			cr_assert(SetEvent(events[99])); /* it may have seen it already, or not */
		cr_assert_eq(os_poller_modify(p, &o, &events[99]), VIA_OK);
		if (round % 2 == 0)
			cr_assert(SetEvent(events[99]));
		words_quiet(p);
		o.fd_events = 1;
		cr_assert_eq(os_poller_modify(p, &o, &events[99]), VIA_OK);
		cr_assert_eq(words_one(p, rig_soon()), &events[99], "round %u", round);
		words_quiet(p);
		remove_event(p, 99);
		add_event(p, 99);
	}
	close_events(p, 100);
}

/* -- under fire ----------------------------------------------------------------------------------
 */

#define SETTERS 4
#define EVENTS_EACH 40
#define ROUNDS 200u

static atomic_uint counts[SETTERS * EVENTS_EACH];

static void set_many(void *arg)
{
	const uint32_t first = (uint32_t)(uintptr_t)arg * EVENTS_EACH;
	uint32_t round, k;

	for (round = 1; round <= ROUNDS; round++)
		for (k = first; k < first + EVENTS_EACH; k++) {
			atomic_store(&counts[k], round);
			(void)SetEvent(events[k]);
		}
}

/* Removes and adds now and then. Like any owner of an event it looks at what the event stands for after it
 * has added it: what was set before may have been taken by the wait that was ended. */
Test(os_poller_windows, nothing_is_lost_under_fire)
{
	os_poller *p = poller_with_events(SETTERS * EVENTS_EACH, 0);
	unsigned char done[SETTERS * EVENTS_EACH] = {0};
	uint32_t i, k, n = 0, seed = 1;
	os_thread *t[SETTERS];
	os_event ev[8];
	via_rc c;

	for (i = 0; i < SETTERS; i++)
		cr_assert_eq(os_thread_start(&core_env_libc, "setter", set_many,
					     (void *)(uintptr_t)i, &t[i]),
			     VIA_OK);
	while (n < SETTERS * EVENTS_EACH) {
		c = os_poller_wait(p, ev, 8, rig_soon());
		cr_assert_gt(c, 0, "%u are done: %s", n, via_error());
		while (c-- > 0) {
			k = (uint32_t)((HANDLE *)ev[c].key - events);
			seed = seed * 1664525 + 1013904223;
			if (seed >> 29 == 0) {
				remove_event(p, k);
				add_event(p, k);
			}
			if (!done[k] && atomic_load(&counts[k]) == ROUNDS) {
				done[k] = 1;
				n++;
			}
		}
	}
	for (i = 0; i < SETTERS; i++)
		os_thread_join(&core_env_libc, t[i]);
	close_events(p, SETTERS * EVENTS_EACH);
}

/* -- what it costs -------------------------------------------------------------------------------
 */

static uint32_t n_waits;

static int32_t count_waits(void *arg, const char *call)
{
	n_waits += strcmp(call, "WaitForMultipleObjects") == 0;
	return rig_env.deny(arg, call);
}

static os_poller *counted_poller(core_env *e)
{
	os_poller *p;

	*e = rig_env;
	e->deny = count_waits;
	cr_assert_eq(os_poller_open(e, &p), VIA_OK, "%s", via_error());
	return p;
}

static uint32_t waits_while_idle(os_poller *p)
{
	os_event ev[2];

	n_waits = 0;
	cr_assert_eq(os_poller_wait(p, ev, 2, os_now() + 40 * MS), 0);
	return n_waits;
}

Test(os_poller_windows, slices_only_while_words_are_armed)
{
	os_waker *a = words_waker();
	uint32_t w = 7, n;
	core_env e;
	os_poller *p = counted_poller(&e);

	words_add_waker(p, a);
	n = waits_while_idle(p);
	cr_assert_leq(n, 4u, "%u calls without a word", n);
	words_add(p, &w, 7);
	n = waits_while_idle(p);
	cr_assert_geq(n, 5u, "%u calls with an armed word", n);
	w = 8;
	cr_assert_eq(words_one(p, VIA_POLL), &w);
	n = waits_while_idle(p);
	cr_assert_leq(n, 4u, "%u calls with a word that was told", n);
	os_poller_close(p);
	os_waker_close(&rig_env, a);
}

Test(os_poller_windows, one_call_for_each_wake_up)
{
	os_waker *w[20];
	uint32_t i;
	core_env e;
	os_poller *p = counted_poller(&e);

	for (i = 0; i < 20; i++) {
		w[i] = words_waker();
		words_add_waker(p, w[i]);
	}
	for (i = 0; i < 20; i++) { /* learns that they come alone */
		os_waker_set(w[3]);
		cr_assert_eq(words_one(p, rig_soon()), w[3]);
		os_waker_clear(w[3]);
	}
	n_waits = 0;
	for (i = 0; i < 800; i++) {
		os_waker_set(w[i % 20]);
		cr_assert_eq(words_one(p, rig_soon()), w[i % 20]);
		os_waker_clear(w[i % 20]);
	}
	cr_assert_leq(n_waits, 920u, "%u calls for 800 wake-ups", n_waits);
	os_poller_close(p);
	for (i = 0; i < 20; i++)
		os_waker_close(&rig_env, w[i]);
}

/* -- words ---------------------------------------------------------------------------------------
 */

struct change {
	uint32_t *word;
	os_waker *waker;
};

static void make_change(void *arg)
{
	const struct change *c = arg;

	if (c->waker != NULL)
		os_waker_set(c->waker);
	else
		word_store(c->word, 8);
}

/* Just before the first sleep, when the time of looking all the time is over. */
static void change_at_sleep(struct change *c)
{
	rig_before_call("CreateWaitableTimerExW", make_change, c);
}

static void sleep_and_tell(void)
{
	uint32_t w[2], ready = 0;
	os_waker *a = words_waker();
	os_poller *p = words_poller();
	struct change word = {&w[1], NULL}, handle = {NULL, a};
	via_waitobj o[3];

	w[0] = w[1] = 7;
	o[0] = word_object(&w[0], 7);
	o[1] = word_object(&w[1], 7);
	os_waker_object(a, &o[2]);
	change_at_sleep(&word);
	cr_assert_eq(os_wait(&rig_env, o, 2, VIA_FOREVER, &ready), VIA_OK, "%s", via_error());
	cr_assert_eq(ready, 2u);
	w[1] = 7;
	change_at_sleep(&handle);
	cr_assert_eq(os_wait(&rig_env, o, 3, VIA_FOREVER, &ready), VIA_OK, "%s", via_error());
	cr_assert_eq(ready, 4u);
	words_add(p, &w[0], 7);
	words_add(p, &w[1], 7);
	words_add_waker(p, a);
	cr_assert_eq(words_one(p, VIA_FOREVER), a);
	os_waker_clear(a);
	rig_before_call("WaitForMultipleObjects", make_change, &word);
	cr_assert_eq(words_one(p, VIA_FOREVER), &w[1]);
	rig_before_call(NULL, NULL, NULL);
	os_poller_close(p);
	os_waker_close(&rig_env, a);
}

Test(os_poller_windows, words_and_handles_end_a_sleep)
{
	sleep_and_tell();
}

Test(os_poller_windows, where_timers_are_coarse)
{
	uint32_t w = 7, ready;
	via_waitobj o = word_object(&w, 7);
	via_time deadline = os_now() + 3 * MS;

	rig_deny_call("CreateWaitableTimerExW", ERROR_INVALID_PARAMETER);
	sleep_and_tell();
	cr_assert_eq(os_wait(&rig_env, &o, 1, deadline, &ready), VIA_TIMEOUT);
	cr_assert_geq(os_now(), deadline);
}

Test(os_poller_windows, failures_are_told_and_pass)
{
	os_poller *p = words_poller();
	os_waker *a = words_waker();
	uint32_t w = 7, ready;
	via_waitobj o = word_object(&w, 7);
	os_event ev[2];

	words_add(p, &w, 7);
	rig_deny_call("WaitForMultipleObjects", ERROR_NOT_ENOUGH_MEMORY);
	cr_assert_eq(os_wait(&rig_env, &o, 1, rig_soon(), &ready), VIA_IO);
	cr_assert(rig_error_has("waiting on"), "%s", via_error());
	cr_assert_eq(os_poller_wait(p, ev, 2, rig_soon()), VIA_IO);
	cr_assert(rig_error_has("waiting for"), "%s", via_error());
	w = 8;
	cr_assert_eq(words_one(p, rig_soon()), &w, "found without a call");
	rig_deny_call(NULL, 0);
	words_add_waker(p, a);
	os_waker_set(a);
	cr_assert_eq(words_one(p, rig_soon()), a);
	os_poller_close(p);
	os_waker_close(&rig_env, a);
}
