/* tests/os/test_wait.c - wakers, os_wait, the poller. */
#include "rig.h"
#include <stdatomic.h>
#include <stdlib.h>
#if defined(_WIN32)
#include <windows.h>
#else
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#endif

TestSuite(os_wait, .init = rig_open, .fini = rig_close, .timeout = 60);
TestSuite(os_poller, .init = rig_open, .fini = rig_close, .timeout = 60);

#define MS 1000000u
#define MANY 150

static os_waker *waker(void)
{
	os_waker *w;

	cr_assert_eq(os_waker_open(&rig_env, &w), VIA_OK, "%s", via_error());
	return w;
}

static via_waitobj object(const os_waker *w)
{
	via_waitobj o;

	memset(&o, 0xff, sizeof o);
	os_waker_object(w, &o);
	cr_assert_eq(o.struct_size, sizeof o);
	return o;
}

static void set_later(void *arg)
{
	os_waker_set(arg);
}

/* -- os_wait -------------------------------------------------------------------------------------
 */

Test(os_wait, waker_stays_set_until_cleared)
{
	os_waker *w = waker();
	via_waitobj o = object(w);
	uint32_t ready = 99, i;

	cr_assert_eq(os_wait(&rig_env, &o, 1, VIA_POLL, &ready), VIA_TIMEOUT);
	cr_assert_eq(ready, 99u, "written on success only");
	for (i = 0; i < 1000; i++)
		os_waker_set(w);
	for (i = 0; i < 3; i++)
		cr_assert_eq(os_wait(&rig_env, &o, 1, VIA_POLL, &ready), VIA_OK);
	cr_assert_eq(ready, 1u);
	os_waker_clear(w);
	cr_assert_eq(os_wait(&rig_env, &o, 1, VIA_POLL, &ready), VIA_TIMEOUT);
	os_waker_clear(w);
	os_waker_set(w);
	cr_assert_eq(os_wait(&rig_env, &o, 1, VIA_POLL, &ready), VIA_OK);
	os_waker_close(&rig_env, w);
	os_waker_close(&rig_env, NULL);
}

Test(os_wait, a_bit_for_each_ready_object)
{
	os_waker *w[32];
	via_waitobj o[32];
	uint32_t ready = 0, i;

	for (i = 0; i < 32; i++) {
		w[i] = waker();
		o[i] = object(w[i]);
	}
	os_waker_set(w[0]);
	os_waker_set(w[2]);
	os_waker_set(w[31]);
	cr_assert_eq(os_wait(&rig_env, o, 32, rig_soon(), &ready), VIA_OK);
	cr_assert_eq(ready, UINT32_C(0x80000005), "%#x", ready);
	cr_assert_eq(os_wait(&rig_env, o + 1, 1, VIA_POLL, &ready), VIA_TIMEOUT);
	for (i = 0; i < 32; i++)
		os_waker_close(&rig_env, w[i]);
}

Test(os_wait, deadline_is_kept)
{
	os_waker *w = waker();
	via_waitobj o = object(w);
	uint32_t ready;
	via_time deadline = os_now() + 20 * MS + 1;

	cr_assert_eq(os_wait(&rig_env, &o, 1, deadline, &ready), VIA_TIMEOUT);
	cr_assert_geq(os_now(), deadline);
	cr_assert_eq(os_wait(&rig_env, &o, 1, deadline, &ready), VIA_TIMEOUT, "past already");
	deadline = os_now() + 5 * MS;
	cr_assert_eq(os_wait(&rig_env, NULL, 0, deadline, &ready), VIA_TIMEOUT,
		     "nothing but the deadline");
	cr_assert_geq(os_now(), deadline);
	os_waker_close(&rig_env, w);
}

Test(os_wait, another_thread_ends_it)
{
	os_waker *w = waker();
	via_waitobj o = object(w);
	uint32_t ready = 0, i;
	os_thread *t;

	for (i = 0; i < 20; i++) {
		cr_assert_eq(os_thread_start(&rig_env, "setter", set_later, w, &t), VIA_OK);
		cr_assert_eq(os_wait(&rig_env, &o, 1, i % 2 == 0 ? VIA_FOREVER : rig_soon(),
				     &ready),
			     VIA_OK);
		cr_assert_eq(ready, 1u);
		os_thread_join(&rig_env, t);
		os_waker_clear(w);
	}
	os_waker_close(&rig_env, w);
}

Test(os_wait, refuses_what_it_cannot_wait_for)
{
	os_waker *w = waker();
	via_waitobj o[33];
	uint32_t ready, i;

	for (i = 0; i < 33; i++)
		o[i] = object(w);
	cr_assert_eq(os_wait(&rig_env, o, 33, VIA_POLL, &ready), VIA_INVAL);
	cr_assert(rig_error_has("33"), "%s", via_error());
#if !defined(__linux__) && !defined(_WIN32)
	o[1].kind = VIA_WAIT_WORD;
	cr_assert_eq(os_wait(&rig_env, o, 2, VIA_POLL, &ready), VIA_NOTSUP);
	cr_assert(rig_error_has("futex word"), "%s", via_error());
#endif
	o[1].kind = VIA_WAIT_NONE;
	cr_assert_eq(os_wait(&rig_env, o, 2, VIA_POLL, &ready), VIA_INVAL);
	os_waker_close(&rig_env, w);
}

#if !defined(_WIN32)
static atomic_int n_alarms;

static void on_alarm(int sig)
{
	(void)sig;
	atomic_fetch_add(&n_alarms, 1);
}

Test(os_wait, signals_do_not_end_it)
{
	const struct itimerval each = {{0, 2000}, {0, 2000}}, none = {{0, 0}, {0, 0}};
	struct sigaction sa = {.sa_handler = on_alarm};
	os_waker *w = waker();
	via_waitobj o = object(w);
	os_poller *p;
	os_event ev;
	uint32_t ready;
	via_time deadline;

	cr_assert_eq(os_poller_open(&rig_env, &p), VIA_OK);
	cr_assert_eq(os_poller_add(p, &o, NULL), VIA_OK);
	cr_assert_eq(sigaction(SIGALRM, &sa, NULL), 0);
	cr_assert_eq(setitimer(ITIMER_REAL, &each, NULL), 0);
	deadline = os_now() + 30 * MS;
	cr_assert_eq(os_wait(&rig_env, &o, 1, deadline, &ready), VIA_TIMEOUT);
	cr_assert_geq(os_now(), deadline);
	deadline = os_now() + 30 * MS;
	cr_assert_eq(os_poller_wait(p, &ev, 1, deadline), 0);
	cr_assert_geq(os_now(), deadline);
	cr_assert_eq(setitimer(ITIMER_REAL, &none, NULL), 0);
	cr_assert_gt(atomic_load(&n_alarms), 0);
	os_poller_close(p);
	os_waker_close(&rig_env, w);
}

Test(os_wait, events_asked_for_and_hangup)
{
	via_waitobj o = {.struct_size = sizeof o, .kind = VIA_WAIT_FD, .fd_events = POLLIN};
	uint32_t ready = 0;
	int fd[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fd), 0);
	o.handle = fd[0];
	cr_assert_eq(os_wait(&rig_env, &o, 1, VIA_POLL, &ready), VIA_TIMEOUT);
	o.fd_events = POLLOUT;
	cr_assert_eq(os_wait(&rig_env, &o, 1, VIA_POLL, &ready), VIA_OK);
	o.fd_events = 0;
	cr_assert_eq(os_wait(&rig_env, &o, 1, VIA_POLL, &ready), VIA_TIMEOUT);
	close(fd[1]);
	cr_assert_eq(os_wait(&rig_env, &o, 1, VIA_POLL, &ready), VIA_OK, "a hangup is always told");
	close(fd[0]);
	cr_assert_eq(os_wait(&rig_env, &o, 1, VIA_POLL, &ready), VIA_IO,
		     "a closed descriptor is an error");
}
#endif

/* -- poller --------------------------------------------------------------------------------------
 */

static os_poller *poller(void)
{
	os_poller *p;

	rig_uses_pool(0);
	cr_assert_eq(os_poller_open(&rig_env, &p), VIA_OK, "%s", via_error());
	return p;
}

/* Which of keys[0..n) are ready now: collects until as many as expected were seen. A key seen twice
 * in one round is fine, one that was not expected is not. */
static void expect_ready(os_poller *p, const unsigned char *expected, char *keys, uint32_t n)
{
	unsigned char seen[MANY];
	via_time deadline = rig_soon();
	os_event ev[16];
	uint32_t want = 0, got = 0, k;
	via_rc i, c;

	memset(seen, 0, sizeof seen);
	for (k = 0; k < n; k++)
		want += expected[k];
	while (got < want) {
		c = os_poller_wait(p, ev, 16, deadline);
		cr_assert_gt(c, 0, "%u of %u seen: %s", got, want, via_error());
		cr_assert_leq(c, 16);
		for (i = 0; i < c; i++) {
			k = (uint32_t)((char *)ev[i].key - keys);
			cr_assert_lt(k, n);
			cr_assert(expected[k], "object %u is not ready", k);
			got += !seen[k];
			seen[k] = 1;
		}
	}
	if (want == 0)
		cr_assert_eq(os_poller_wait(p, ev, 16, VIA_POLL), 0);
}

Test(os_poller, more_objects_than_one_call_can_wait_for)
{
	unsigned char ready[MANY];
	char keys[MANY];
	os_waker *w[MANY];
	via_waitobj o[MANY];
	os_poller *p = poller();
	uint32_t i;

	memset(ready, 0, sizeof ready);
	for (i = 0; i < MANY; i++) {
		w[i] = waker();
		o[i] = object(w[i]);
		cr_assert_eq(os_poller_add(p, &o[i], &keys[i]), VIA_OK, "%s", via_error());
	}
	expect_ready(p, ready, keys, MANY);
	for (i = 0; i < MANY; i += 7) {
		os_waker_set(w[i]);
		ready[i] = 1;
	}
	expect_ready(p, ready, keys, MANY);
	expect_ready(p, ready, keys, MANY); /* level-triggered: again, nothing was taken away */
	for (i = 0; i < MANY; i++) {
		os_waker_set(w[i]);
		ready[i] = 1;
	}
	expect_ready(p, ready, keys, MANY); /* with room for 16: nobody starves */
	for (i = 0; i < MANY; i++)
		os_waker_clear(w[i]);
	memset(ready, 0, sizeof ready);
	expect_ready(p, ready, keys, MANY);
	for (i = 0; i < MANY; i++) {
		os_poller_remove(p, &o[i]);
		os_waker_close(&rig_env, w[i]);
	}
	os_poller_close(p);
	os_poller_close(NULL);
}

Test(os_poller, deadline_is_kept_with_many_objects)
{
	os_waker *w[MANY];
	via_waitobj o;
	os_poller *p = poller();
	os_event ev[4];
	via_time deadline;
	uint32_t i;

	deadline = os_now() + 5 * MS;
	cr_assert_eq(os_poller_wait(p, ev, 4, deadline), 0, "no objects at all");
	cr_assert_geq(os_now(), deadline);
	for (i = 0; i < MANY; i++) {
		w[i] = waker();
		o = object(w[i]);
		cr_assert_eq(os_poller_add(p, &o, w[i]), VIA_OK);
	}
	for (i = 1; i < 8; i++) {
		deadline = os_now() + i * MS + 7;
		cr_assert_eq(os_poller_wait(p, ev, 4, deadline), 0);
		cr_assert_geq(os_now(), deadline);
	}
	cr_assert_eq(os_poller_wait(p, ev, 4, 1), 0, "past");
	cr_assert_eq(os_poller_wait(p, ev, 0, VIA_POLL), VIA_INVAL);
	os_poller_close(p); /* with everything still in it */
	for (i = 0; i < MANY; i++)
		os_waker_close(&rig_env, w[i]);
}

Test(os_poller, another_thread_ends_it)
{
	os_waker *w[MANY];
	via_waitobj o;
	os_poller *p = poller();
	os_event ev[4];
	os_thread *t;
	uint32_t i;

	for (i = 0; i < MANY; i++) {
		w[i] = waker();
		o = object(w[i]);
		cr_assert_eq(os_poller_add(p, &o, w[i]), VIA_OK);
	}
	for (i = 0; i < MANY; i += 10) { /* among the first and among the last */
		cr_assert_eq(os_thread_start(&rig_env, "setter", set_later, w[i], &t), VIA_OK);
		cr_assert_eq(os_poller_wait(p, ev, 4, i % 20 == 0 ? VIA_FOREVER : rig_soon()), 1);
		cr_assert_eq(ev[0].key, w[i], "woken by another object than %u", i);
		os_thread_join(&rig_env, t);
		os_waker_clear(w[i]);
		cr_assert_eq(os_poller_wait(p, ev, 4, VIA_POLL), 0);
	}
	os_poller_close(p);
	for (i = 0; i < MANY; i++)
		os_waker_close(&rig_env, w[i]);
}

Test(os_poller, modify_and_remove)
{
	char keys[MANY], other;
	os_waker *w[MANY];
	via_waitobj o[MANY], quiet;
	os_poller *p = poller();
	os_event ev[4];
	uint32_t i, at[] = {0, MANY - 1};

	for (i = 0; i < MANY; i++) {
		w[i] = waker();
		o[i] = object(w[i]);
		cr_assert_eq(os_poller_add(p, &o[i], &keys[i]), VIA_OK);
	}
	for (i = 0; i < 2; i++) {
		uint32_t k = at[i];

		cr_assert_eq(os_poller_add(p, &o[k], &keys[k]), VIA_EXISTS, "twice");
		os_waker_set(w[k]);
		quiet = o[k];
		quiet.fd_events = 0;
		cr_assert_eq(os_poller_modify(p, &quiet, &keys[k]), VIA_OK);
		cr_assert_eq(os_poller_wait(p, ev, 4, VIA_POLL), 0, "object %u is not asked for",
			     k);
		cr_assert_eq(os_poller_wait(p, ev, 4, os_now() + 2 * MS), 0);
		cr_assert_eq(os_poller_modify(p, &o[k], &other), VIA_OK);
		cr_assert_eq(os_poller_wait(p, ev, 4, rig_soon()), 1);
		cr_assert_eq(ev[0].key, &other, "the new key");
		os_poller_remove(p, &o[k]);
		os_poller_remove(p, &o[k]); /* not there: nothing happens */
		cr_assert_eq(os_poller_wait(p, ev, 4, VIA_POLL), 0);
		cr_assert_eq(os_poller_modify(p, &o[k], &keys[k]), VIA_NOTFOUND);
		cr_assert_eq(os_poller_add(p, &o[k], &keys[k]), VIA_OK, "again");
		cr_assert_eq(os_poller_wait(p, ev, 4, rig_soon()), 1);
		cr_assert_eq(ev[0].key, &keys[k]);
		os_waker_clear(w[k]);
	}
	quiet = o[0];
#if !defined(__linux__) && !defined(_WIN32)
	quiet.kind = VIA_WAIT_WORD;
	cr_assert_eq(os_poller_add(p, &quiet, &other), VIA_NOTSUP);
	cr_assert(rig_error_has("futex word"), "%s", via_error());
#endif
	quiet.kind = VIA_WAIT_NONE;
	cr_assert_eq(os_poller_add(p, &quiet, &other), VIA_INVAL);
	os_poller_close(p);
	for (i = 0; i < MANY; i++)
		os_waker_close(&rig_env, w[i]);
}

#if !defined(_WIN32)
Test(os_poller, asked_for_nothing_still_tells_a_hangup)
{
	via_waitobj o = {.struct_size = sizeof o, .kind = VIA_WAIT_FD, .fd_events = POLLIN};
	os_poller *p = poller();
	os_event ev[2];
	char key;
	int fd[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fd), 0);
	o.handle = fd[0];
	cr_assert_eq(os_poller_add(p, &o, &key), VIA_OK);
	cr_assert_eq(send(fd[1], "x", 1, 0), 1);
	cr_assert_eq(os_poller_wait(p, ev, 2, VIA_POLL), 1);
	o.fd_events = 0;
	cr_assert_eq(os_poller_modify(p, &o, &key), VIA_OK);
	cr_assert_eq(os_poller_wait(p, ev, 2, VIA_POLL), 0);
	close(fd[1]);
	cr_assert_eq(os_poller_wait(p, ev, 2, rig_soon()), 1);
	cr_assert_eq(ev[0].key, &key);
	o.fd_events = POLLOUT | POLLIN;
	cr_assert_eq(os_poller_modify(p, &o, &key), VIA_OK);
	cr_assert_eq(os_poller_wait(p, ev, 2, VIA_POLL), 1);
	os_poller_close(p);
	close(fd[0]);
}
#else
/* An event that a successful wait resets: reported once for each time it was set, wherever it is
 * waited for and whether or not anybody was waiting when it was set. */
Test(os_poller, automatic_reset_events_are_told_once)
{
	via_waitobj o = {.struct_size = sizeof o, .kind = VIA_WAIT_WIN, .fd_events = 0};
	os_poller *p = poller();
	HANDLE h[MANY];
	os_event ev[4];
	uint32_t i, round, at[] = {0, 62, 63, MANY - 1};

	for (i = 0; i < MANY; i++) {
		h[i] = CreateEventW(NULL, FALSE, FALSE, NULL);
		o.handle = (int64_t)(intptr_t)h[i];
		cr_assert_eq(os_poller_add(p, &o, h[i]), VIA_OK);
	}
	for (round = 0; round < 3; round++) {
		for (i = 0; i < 4; i++) {
			cr_assert(SetEvent(h[at[i]]));
			cr_assert_eq(os_poller_wait(p, ev, 4, rig_soon()), 1, "event %u", at[i]);
			cr_assert_eq(ev[0].key, h[at[i]]);
			cr_assert_eq(os_poller_wait(p, ev, 4, os_now() + 2 * MS), 0,
				     "event %u, twice", at[i]);
		}
	}
	os_poller_close(p);
	for (i = 0; i < MANY; i++)
		CloseHandle(h[i]);
}

Test(os_wait, closed_handle_is_an_error)
{
	via_waitobj o = {.struct_size = sizeof o, .kind = VIA_WAIT_WIN};
	HANDLE h = CreateEventW(NULL, TRUE, TRUE, NULL);
	uint32_t ready = 0;

	o.handle = (int64_t)(intptr_t)h;
	cr_assert_eq(os_wait(&rig_env, &o, 1, VIA_POLL, &ready), VIA_OK);
	CloseHandle(h);
	cr_assert_eq(os_wait(&rig_env, &o, 1, VIA_POLL, &ready), VIA_IO);
}
#endif
