/* core/os/windows/sync.c - locks and threads: SRWLOCK, CONDITION_VARIABLE, the runtime's own
 * threads. */
#include "win.h"
#include <process.h>
#include <stdio.h>
#include <string.h>

_Static_assert(sizeof(SRWLOCK) <= sizeof(os_mutex), "os_mutex is too small");
_Static_assert(_Alignof(SRWLOCK) <= _Alignof(os_mutex), "os_mutex is not aligned enough");
_Static_assert(sizeof(CONDITION_VARIABLE) <= sizeof(os_cond), "os_cond is too small");
_Static_assert(_Alignof(CONDITION_VARIABLE) <= _Alignof(os_cond), "os_cond is not aligned enough");

/* -- locks ---------------------------------------------------------------------------------------
 */

static SRWLOCK *lock_of(os_mutex *m)
{
	return (SRWLOCK *)(void *)m->opaque;
}

static CONDITION_VARIABLE *cond_of(os_cond *c)
{
	return (CONDITION_VARIABLE *)(void *)c->opaque;
}

void os_mutex_init(os_mutex *m)
{
	InitializeSRWLock(lock_of(m));
}

void os_mutex_destroy(os_mutex *m)
{
	(void)m;
}

void os_mutex_lock(os_mutex *m)
{
	AcquireSRWLockExclusive(lock_of(m));
}

void os_mutex_unlock(os_mutex *m)
{
	ReleaseSRWLockExclusive(lock_of(m));
}

void os_cond_init(os_cond *c)
{
	InitializeConditionVariable(cond_of(c));
}

void os_cond_destroy(os_cond *c)
{
	(void)c;
}

void os_cond_wait(os_cond *c, os_mutex *m)
{
	(void)SleepConditionVariableSRW(cond_of(c), lock_of(m), INFINITE, 0);
}

/* A timer that is early by its resolution counts as a wakeup without a reason, which callers
 * expect. */
int os_cond_wait_until(os_cond *c, os_mutex *m, via_time deadline)
{
	if (SleepConditionVariableSRW(cond_of(c), lock_of(m), win_ms_left(deadline), 0))
		return 1;
	return os_now() < deadline;
}

void os_cond_signal(os_cond *c)
{
	WakeConditionVariable(cond_of(c));
}

void os_cond_broadcast(os_cond *c)
{
	WakeAllConditionVariable(cond_of(c));
}

/* -- threads -------------------------------------------------------------------------------------
 */

struct os_thread {
	HANDLE h;
	void (*fn)(void *);
	void *arg;
	char name[16];
};

/* Windows 10 and later keep a name for debuggers. */
static void set_name(const char *name)
{
	typedef HRESULT(WINAPI * describe_fn)(HANDLE, PCWSTR);
	FARPROC proc = win_proc("SetThreadDescription");
	describe_fn describe;
	wchar_t wide[16];

	if (proc == NULL || !win_wide(name, wide, 16))
		return;
	memcpy(&describe, &proc, sizeof describe);
	(void)describe(GetCurrentThread(), wide);
}

static unsigned int __stdcall thread_main(void *arg)
{
	struct os_thread *t = arg;

	set_name(t->name);
	t->fn(t->arg);
	return 0;
}

via_rc os_thread_start(const core_env *e, const char *name, void (*fn)(void *), void *arg,
		       os_thread **out)
{
	struct os_thread *t;
	uintptr_t h = 0;
	DWORD err;

	t = env_alloc(e, sizeof *t);
	if (t == NULL)
		return core_nomem("thread");
	t->fn = fn;
	t->arg = arg;
	(void)snprintf(t->name, sizeof t->name, "%.15s", name);
	if (win_may(e, "_beginthreadex"))
		h = _beginthreadex(NULL, 0, thread_main, t, 0, NULL);
	if (h == 0) {
		err = GetLastError();
		env_free(e, t);
		return core_fail_os(VIA_LIMIT, err, "starting thread %s", name);
	}
	t->h = (HANDLE)h;
	*out = t;
	return VIA_OK;
}

void os_thread_join(const core_env *e, os_thread *t)
{
	if (t == NULL)
		return;
	(void)WaitForSingleObject(t->h, INFINITE);
	CloseHandle(t->h);
	env_free(e, t);
}
