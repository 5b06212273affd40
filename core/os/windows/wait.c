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

struct wait_set {
	HANDLE hs[WAIT_MAX + 1]; /* room for the timer of the words */
	uint8_t at[WAIT_MAX];    /* which object a handle is */
	uint32_t n;
	uint32_t n_words;
};

static via_rc collect(const via_waitobj *objs, uint32_t n, struct wait_set *s)
{
	via_rc rc;
	uint32_t i;

	s->n = s->n_words = 0;
	if (n > WAIT_MAX)
		return core_fail(VIA_INVAL, "waiting on %u objects, expected at most %u", n,
				 WAIT_MAX);
	for (i = 0; i < n; i++) {
		if (objs[i].kind == VIA_WAIT_WORD) {
			rc = win_word_check(&objs[i]);
			if (rc != VIA_OK)
				return rc;
			s->n_words++;
			continue;
		}
		if (objs[i].kind != VIA_WAIT_WIN)
			return core_fail(VIA_INVAL,
					 "object %u has kind %d, expected a handle or a word", i,
					 objs[i].kind);
		s->at[s->n] = (uint8_t)i;
		s->hs[s->n++] = (HANDLE)(intptr_t)objs[i].handle;
	}
	return VIA_OK;
}

int win_wait(const core_env *e, const HANDLE *hs, uint32_t n, DWORD ms)
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

/* *bits of handle `got`, and of those behind it, each of which a wait may reset. */
static via_rc take(const core_env *e, const struct wait_set *s, int got, uint32_t *bits)
{
	uint32_t i;

	if (got < 0)
		return core_fail_os(VIA_IO, GetLastError(), "waiting on %u handles", s->n);
	for (i = (uint32_t)got; i < s->n;) {
		*bits |= UINT32_C(1) << s->at[i++];
		got = i == s->n ? 0 : win_wait(e, s->hs + i, s->n - i, 0);
		if (got < 0)
			break; /* what was found may have been reset: tell it now, fail next time */
		i += (uint32_t)got;
	}
	return VIA_OK;
}

static via_rc wait_handles(const core_env *e, const struct wait_set *s, via_time deadline,
			   uint32_t *bits)
{
	int got;

	do
		got = win_wait(e, s->hs, s->n, win_ms_left(deadline));
	while ((uint32_t)got == s->n && deadline != VIA_POLL && !win_is_past(deadline));
	return take(e, s, got, bits);
}

static uint32_t words_that_differ(const via_waitobj *objs, uint32_t n)
{
	uint32_t bits = 0, i;

	for (i = 0; i < n; i++)
		if (objs[i].kind == VIA_WAIT_WORD &&
		    win_word_differs(objs[i].word, objs[i].expected))
			bits |= UINT32_C(1) << i;
	return bits;
}

static via_rc wait_words(const core_env *e, const via_waitobj *objs, uint32_t n, struct wait_set *s,
			 via_time deadline, uint32_t *bits)
{
	struct win_pace pace = {0};
	int got, last;
	via_rc rc;

	got = s->n == 0 ? 0 : win_wait(e, s->hs, s->n, 0);
	for (;;) {
		last = win_is_past(deadline);
		rc = take(e, s, got, bits);
		*bits |= words_that_differ(objs, n);
		if (rc != VIA_OK || *bits != 0 || last)
			break;
		got = win_pace_offer(&pace) ? (int)s->n
					    : win_pace_sleep(e, &pace, s->hs, s->n, deadline);
	}
	win_pace_close(&pace);
	return rc;
}

via_rc os_wait(const core_env *e, const via_waitobj *objs, uint32_t n, via_time deadline,
	       uint32_t *ready)
{
	struct wait_set s;
	uint32_t bits = 0;
	via_rc rc;

	rc = collect(objs, n, &s);
	if (rc == VIA_OK)
		rc = s.n_words == 0 ? wait_handles(e, &s, deadline, &bits)
				    : wait_words(e, objs, n, &s, deadline, &bits);
	if (rc != VIA_OK)
		return rc;
	if (bits == 0)
		return core_fail(VIA_TIMEOUT, "none of %u objects became ready before the deadline",
				 n);
	*ready = bits;
	return VIA_OK;
}
