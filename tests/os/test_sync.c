/* tests/os/test_sync.c - locks, conditions, threads. */
#include "rig.h"
#include <stdatomic.h>
#if !defined(_WIN32)
#include <pthread.h>
#include <signal.h>
#endif

TestSuite(os_sync, .init = rig_open, .fini = rig_close, .timeout = 60);

#define MS 1000000u

struct shared {
	os_mutex lock;
	os_cond changed;
	uint64_t count;
	int stage;
};

static struct shared s;

static void setup(void)
{
	os_mutex_init(&s.lock);
	os_cond_init(&s.changed);
	s.count = 0;
	s.stage = 0;
}

static void teardown(void)
{
	os_cond_destroy(&s.changed);
	os_mutex_destroy(&s.lock);
}

static void add_many(void *arg)
{
	int i;

	for (i = 0; i < *(int *)arg; i++) {
		os_mutex_lock(&s.lock);
		s.count++;
		os_mutex_unlock(&s.lock);
	}
}

Test(os_sync, mutex_excludes)
{
	os_thread *t[4];
	int n = 20000, i;

	setup();
	for (i = 0; i < 4; i++)
		cr_assert_eq(os_thread_start(&rig_env, "adder", add_many, &n, &t[i]), VIA_OK);
	for (i = 0; i < 4; i++)
		os_thread_join(&rig_env, t[i]);
	cr_assert_eq(s.count, 80000u);
	teardown();
}

Test(os_sync, wait_ends_at_the_deadline)
{
	via_time deadline;

	setup();
	os_mutex_lock(&s.lock);
	deadline = os_now() + 20 * MS;
	while (os_cond_wait_until(&s.changed, &s.lock, deadline)) /* may wake without reason */
		cr_assert_lt(os_now(), deadline + 20000 * (uint64_t)MS);
	cr_assert_geq(os_now(), deadline);
	cr_assert_eq(os_cond_wait_until(&s.changed, &s.lock, VIA_POLL), 0,
		     "a deadline that is past");
	os_mutex_unlock(&s.lock);
	teardown();
}

static void next_stage(void *arg)
{
	(void)arg;
	os_mutex_lock(&s.lock);
	while (s.stage != 1)
		os_cond_wait(&s.changed, &s.lock);
	s.stage = 2;
	os_cond_broadcast(&s.changed);
	os_mutex_unlock(&s.lock);
}

Test(os_sync, signal_and_broadcast_wake)
{
	via_time deadline = rig_soon();
	os_thread *t;

	setup();
	cr_assert_eq(os_thread_start(&rig_env, "stages", next_stage, NULL, &t), VIA_OK);
	os_mutex_lock(&s.lock);
	s.stage = 1;
	os_cond_signal(&s.changed);
	while (s.stage != 2)
		cr_assert(os_cond_wait_until(&s.changed, &s.lock, deadline), "nobody answered");
	os_mutex_unlock(&s.lock);
	os_thread_join(&rig_env, t);
	teardown();
}

Test(os_sync, forever_waits_for_a_signal)
{
	os_thread *t;

	setup();
	cr_assert_eq(os_thread_start(&rig_env, "stages", next_stage, NULL, &t), VIA_OK);
	os_mutex_lock(&s.lock);
	s.stage = 1;
	os_cond_broadcast(&s.changed);
	while (s.stage != 2)
		cr_assert(os_cond_wait_until(&s.changed, &s.lock, VIA_FOREVER));
	os_mutex_unlock(&s.lock);
	os_thread_join(&rig_env, t);
	teardown();
}

static void note_argument(void *arg)
{
	atomic_store((atomic_int *)arg, 7);
}

Test(os_sync, thread_gets_its_argument)
{
	atomic_int seen = 0;
	os_thread *t;

	cr_assert_eq(os_thread_start(&rig_env, "a name that is too long", note_argument, &seen, &t),
		     VIA_OK);
	os_thread_join(&rig_env, t);
	cr_assert_eq(atomic_load(&seen), 7);
	os_thread_join(&rig_env, NULL);
}

Test(os_sync, yielding_lets_others_run)
{
	via_time deadline = rig_soon();
	atomic_int seen = 0;
	os_thread *t;

	cr_assert_eq(os_thread_start(&rig_env, "other", note_argument, &seen, &t), VIA_OK);
	while (atomic_load(&seen) == 0 && os_now() < deadline)
		os_yield();
	cr_assert_eq(atomic_load(&seen), 7);
	os_thread_join(&rig_env, t);
}

#if !defined(_WIN32)
struct seen {
	int blocked[NSIG];
	char name[16];
};

static void note_thread(void *arg)
{
	struct seen *out = arg;
	sigset_t set;
	int i;

	(void)pthread_sigmask(SIG_SETMASK, NULL, &set);
	for (i = 1; i < NSIG; i++)
		out->blocked[i] = sigismember(&set, i) == 1;
	(void)pthread_getname_np(pthread_self(), out->name, sizeof out->name);
}

Test(os_sync, thread_is_named_and_blocks_signals)
{
	static const int sent[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGALRM, SIGCHLD, SIGPIPE};
	struct seen seen;
	sigset_t before, after;
	os_thread *t;
	size_t i;

	(void)pthread_sigmask(SIG_SETMASK, NULL, &before);
	memset(&seen, 0, sizeof seen);
	cr_assert_eq(os_thread_start(&rig_env, "via-worker-name-0", note_thread, &seen, &t),
		     VIA_OK);
	os_thread_join(&rig_env, t);
	for (i = 0; i < sizeof sent / sizeof sent[0]; i++)
		cr_expect_eq(seen.blocked[sent[i]], 1, "signal %d is not blocked", sent[i]);
	cr_expect_eq(seen.blocked[SIGSEGV], 0, "a fault must not be blocked");
	cr_assert_str_eq(seen.name, "via-worker-name");
	(void)pthread_sigmask(SIG_SETMASK, NULL, &after);
	for (i = 1; i < NSIG; i++)
		cr_expect_eq(sigismember(&before, (int)i), sigismember(&after, (int)i),
			     "signal %zu", i);
}
#endif
