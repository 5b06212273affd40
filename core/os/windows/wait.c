/* core/os/windows/wait.c - the waker (a manual-reset event) and sleeping on a few objects. */
#include "win.h"

struct os_waker {
	HANDLE event;
};

via_rc os_waker_open(const core_env *e, os_waker **out)
{
	struct os_waker *w;
	DWORD err;

	w = env_alloc(e, sizeof *w);
	if (w == NULL)
		return core_nomem("waker");
	w->event = win_may(e, "CreateEventW") ? CreateEventW(NULL, TRUE, FALSE, NULL) : NULL;
	if (w->event == NULL) {
		err = GetLastError();
		env_free(e, w);
		return core_fail_os(win_rc(err), err, "creating a waker");
	}
	*out = w;
	return VIA_OK;
}

void os_waker_close(const core_env *e, os_waker *w)
{
	if (w == NULL)
		return;
	CloseHandle(w->event);
	env_free(e, w);
}

void os_waker_set(os_waker *w)
{
	(void)SetEvent(w->event);
}

void os_waker_clear(os_waker *w)
{
	(void)ResetEvent(w->event);
}

/* fd_events: anything but 0, which would silence it in a poller. */
void os_waker_object(const os_waker *w, via_waitobj *out)
{
	*out = (via_waitobj){.struct_size = sizeof *out,
			     .kind = VIA_WAIT_WIN,
			     .handle = (int64_t)(intptr_t)w->event,
			     .fd_events = 1};
}

/* -- a few objects -------------------------------------------------------------------------------
 */

#define WAIT_MAX 32

static via_rc collect(const via_waitobj *objs, uint32_t n, HANDLE *hs)
{
	uint32_t i;

	if (n > WAIT_MAX)
		return core_fail(VIA_INVAL, "waiting on %u objects, expected at most %u", n,
				 WAIT_MAX);
	for (i = 0; i < n; i++) {
		if (objs[i].kind == VIA_WAIT_WORD)
			return core_fail(VIA_NOTSUP, "object %u is a futex word, expected a handle",
					 i);
		if (objs[i].kind != VIA_WAIT_WIN)
			return core_fail(VIA_INVAL, "object %u has kind %d, expected a handle", i,
					 objs[i].kind);
		hs[i] = (HANDLE)(intptr_t)objs[i].handle;
	}
	return VIA_OK;
}

/* Index of an object that is ready, n when none is, or -1. */
static int wait_once(const core_env *e, const HANDLE *hs, uint32_t n, DWORD ms)
{
	DWORD r;

	if (n == 0) {
		Sleep(ms);
		return 0;
	}
	if (!win_may(e, "WaitForMultipleObjects"))
		return -1;
	r = WaitForMultipleObjects(n, hs, FALSE, ms);
	if (r < WAIT_OBJECT_0 + n)
		return (int)(r - WAIT_OBJECT_0);
	if (r >= WAIT_ABANDONED_0 && r < WAIT_ABANDONED_0 + n)
		return (int)(r - WAIT_ABANDONED_0); /* a mutex whose owner died is ready, too */
	return r == WAIT_TIMEOUT ? (int)n : -1;
}

via_rc os_wait(const core_env *e, const via_waitobj *objs, uint32_t n, via_time deadline,
	       uint32_t *ready)
{
	HANDLE hs[WAIT_MAX];
	uint32_t bits = 0, i;
	via_rc rc;
	int got;

	rc = collect(objs, n, hs);
	if (rc != VIA_OK)
		return rc;
	do {
		got = wait_once(e, hs, n, win_ms_left(deadline));
		if (got < 0)
			return core_fail_os(VIA_IO, GetLastError(), "waiting on %u objects", n);
	} while ((uint32_t)got == n && deadline != VIA_POLL && os_now() < deadline);
	if ((uint32_t)got == n)
		return core_fail(VIA_TIMEOUT, "none of %u objects became ready before the deadline",
				 n);
	for (i = (uint32_t)got; i < n;) { /* the ones behind it, each of which a wait may reset */
		bits |= UINT32_C(1) << i++;
		got = i == n ? 0 : wait_once(e, hs + i, n - i, 0);
		if (got < 0)
			break; /* what was found may have been reset: tell it now, fail next time */
		i += (uint32_t)got;
	}
	*ready = bits;
	return VIA_OK;
}
