/* core/os/posix/sync.c - locks and threads over pthreads. */
#include "posix.h"
#include <pthread.h>
#include <signal.h>
#include <string.h>

_Static_assert(sizeof(pthread_mutex_t) <= sizeof(os_mutex), "os_mutex is too small");
_Static_assert(_Alignof(pthread_mutex_t) <= _Alignof(os_mutex), "os_mutex is not aligned enough");
_Static_assert(sizeof(pthread_cond_t) <= sizeof(os_cond), "os_cond is too small");
_Static_assert(_Alignof(pthread_cond_t) <= _Alignof(os_cond), "os_cond is not aligned enough");

/* -- locks ---------------------------------------------------------------------------------------
 */

static pthread_mutex_t *mutex(os_mutex *m)
{
	return (pthread_mutex_t *)(void *)m->opaque;
}

static pthread_cond_t *cond(os_cond *c)
{
	return (pthread_cond_t *)(void *)c->opaque;
}

void os_mutex_init(os_mutex *m)
{
	(void)pthread_mutex_init(mutex(m), NULL);
}

void os_mutex_destroy(os_mutex *m)
{
	(void)pthread_mutex_destroy(mutex(m));
}

void os_mutex_lock(os_mutex *m)
{
	(void)pthread_mutex_lock(mutex(m));
}

void os_mutex_unlock(os_mutex *m)
{
	(void)pthread_mutex_unlock(mutex(m));
}

void os_cond_init(os_cond *c)
{
	pthread_condattr_t attr;

	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(cond(c), &attr);
	(void)pthread_condattr_destroy(&attr);
}

void os_cond_destroy(os_cond *c)
{
	(void)pthread_cond_destroy(cond(c));
}

void os_cond_wait(os_cond *c, os_mutex *m)
{
	(void)pthread_cond_wait(cond(c), mutex(m));
}

int os_cond_wait_until(os_cond *c, os_mutex *m, via_time deadline)
{
	struct timespec ts;

	if (deadline == VIA_FOREVER) {
		os_cond_wait(c, m);
		return 1;
	}
	ts.tv_sec = (time_t)(deadline / POSIX_NS_PER_S);
	ts.tv_nsec = (long)(deadline % POSIX_NS_PER_S);
	return pthread_cond_timedwait(cond(c), mutex(m), &ts) != ETIMEDOUT;
}

void os_cond_signal(os_cond *c)
{
	(void)pthread_cond_signal(cond(c));
}

void os_cond_broadcast(os_cond *c)
{
	(void)pthread_cond_broadcast(cond(c));
}

/* -- threads -------------------------------------------------------------------------------------
 */

struct os_thread {
	pthread_t id;
	void (*fn)(void *);
	void *arg;
	char name[16];
};

static void *thread_main(void *arg)
{
	struct os_thread *t = arg;

#if defined(__linux__)
	(void)pthread_setname_np(pthread_self(), t->name);
#endif
	t->fn(t->arg);
	return NULL;
}

/* Every signal that is sent; those a thread brings upon itself by a fault cannot be blocked in a
 * defined way, and a sanitizer or crash handler wants them. */
static void block_signals(sigset_t *old)
{
	static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS};
	sigset_t all;
	size_t i;

	(void)sigfillset(&all);
	for (i = 0; i < sizeof faults / sizeof faults[0]; i++)
		(void)sigdelset(&all, faults[i]);
	(void)pthread_sigmask(SIG_SETMASK, &all, old);
}

via_rc os_thread_start(const core_env *e, const char *name, void (*fn)(void *), void *arg,
		       os_thread **out)
{
	struct os_thread *t;
	sigset_t old;
	int err;

	t = env_alloc(e, sizeof *t);
	if (t == NULL)
		return core_nomem("thread");
	t->fn = fn;
	t->arg = arg;
	(void)strncpy(t->name, name, sizeof t->name - 1);
	t->name[sizeof t->name - 1] = '\0';
	err = (int)env_deny(e, "pthread_create");
	if (err == 0) {
		block_signals(&old);
		err = pthread_create(&t->id, NULL, thread_main, t);
		(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	}
	if (err != 0) {
		env_free(e, t);
		return core_fail_os(err == EAGAIN ? VIA_LIMIT : posix_rc(err), err,
				    "starting thread %s", name);
	}
	*out = t;
	return VIA_OK;
}

void os_thread_join(const core_env *e, os_thread *t)
{
	if (t == NULL)
		return;
	(void)pthread_join(t->id, NULL);
	env_free(e, t);
}
