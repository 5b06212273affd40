/* tests/os/test_poller_load.c - a poller with words: what it costs when nothing happens, and whether it loses
 * anything when everything does. */
#include "words.h"
#include <stdatomic.h>
#if defined(__linux__)
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#endif

TestSuite(os_poller_load, .init = rig_open, .fini = rig_close, .timeout = 60);

#if defined(__linux__)
/* -- what it costs -------------------------------------------------------------------------------
 */

/* How many helpers of pollers there are, and how often the threads of this process went to sleep. */
static uint32_t helpers(uint64_t *switches)
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
		while (fgets(line, sizeof line, f) != NULL) {
			n += strcmp(line, "Name:\tvia-words\n") == 0;
			if (strncmp(line, "voluntary_ctxt_switches:", 24) == 0)
				*switches += strtoull(line + 24, NULL, 10);
		}
		(void)fclose(f);
	}
	closedir(d);
	return n;
}

static uint64_t switches_while_idle(os_poller *p)
{
	uint64_t before, after;
	os_event ev[2];

	(void)helpers(&before);
	cr_assert_eq(os_poller_wait(p, ev, 2, os_now() + 300 * MS), 0);
	(void)helpers(&after);
	return after - before;
}

Test(os_poller_load, nothing_happens_when_nothing_happens)
{
	os_poller *p = words_poller();
	os_waker *a = words_waker();
	uint64_t none, armed, fired, left;
	uint32_t w[2] = {7, 7};

	words_add_waker(p, a);
	none = switches_while_idle(p); /* a sanitizer may have a thread with habits of its own */
	words_add(p, &w[0], 7);
	words_add(p, &w[1], 7);
	armed = switches_while_idle(p);
	cr_assert_leq(armed, none + 8, "%d sleeps in 300 ms", (int)armed);
	w[0] = w[1] = 8;
	while (os_poller_wait(p, (os_event[2]){{NULL}}, 2, VIA_POLL) != 0)
		;
	fired = switches_while_idle(p);
	cr_assert_leq(fired, none + 8, "%d sleeps with words that have fired", (int)fired);
	words_remove(p, &w[0]);
	words_remove(p, &w[1]);
	left = switches_while_idle(p);
	cr_assert_leq(left, none + 8, "%d sleeps after the words", (int)left);
	os_poller_close(p);
	os_waker_close(&rig_env, a);
}

/* A thread names itself after it has begun, and the kernel tidies up after it was joined. */
static void expect_helpers(uint32_t n)
{
	via_time deadline = rig_soon();
	uint64_t ignored;

	while (helpers(&ignored) != n)
		cr_assert_lt(os_now(), deadline, "%u helpers, expected %u", helpers(&ignored), n);
}

Test(os_poller_load, the_helper_ends_with_the_poller)
{
	uint32_t w = 7, round;
	uint64_t ignored;
	os_event ev[2];
	os_poller *p;

	for (round = 0; round < 20; round++) {
		p = words_poller();
		cr_assert_eq(helpers(&ignored), 0u, "no word, no thread");
		words_add(p, &w, 7);
		expect_helpers(1);
		if (round % 2 != 0)
			cr_assert_eq(os_poller_wait(p, ev, 2, os_now() + MS), 0);
		os_poller_close(p); /* with the word in it */
		expect_helpers(0);
	}
}
#endif

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
			words_add_waker(p, bell);
			atomic_store(&n_heard, atomic_load(&n_rung));
			continue;
		}
		w = ev[i].key;
		value = word_value(w);
		if (value == ROUNDS) {
			words_remove(p, w);
			done++;
		} else {
			words_arm(p, w, value);
		}
	}
	return done;
}

Test(os_poller_load, nothing_is_lost_under_fire)
{
	os_poller *p = words_poller();
	os_thread *t[HAMMERS + 1];
	uint32_t i, done = 0, asleep = 7;
	os_event ev[8];
	via_rc n;

	bell = words_waker();
	words_add_waker(p, bell);
	words_add(p, &asleep, 7); /* so that a word is armed to the end */
	for (i = 0; i < HAMMERS * WORDS_EACH; i++)
		words_add(p, &hammered[0][0] + i, 0);
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
