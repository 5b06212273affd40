/* core/os/windows/words.c - words in memory that somebody else changes, and what happens between two
 * looks at them.
 *
 * Nobody wakes a word here: the one who changes it may be a program that knows only busy waiting, and
 * WaitOnAddress() does not reach across processes. So they are looked at again and again: for
 * OFFER_NS with the processor offered to others in between, then about every SLICE_NS, asleep on
 * the handles meanwhile, so that those still end the sleep at once.
 *
 * A time-out of a wait is as coarse as the system's timer, up to 15.6 ms. Waitable timers of high
 * resolution (Windows 10, 1803) are not; where there are none the slices are what time-outs give. */
#include "win.h"

/* Longer than a peer's slice: of two that look once a slice neither would ever see the other answer at
 * once, and learn that spinning pays. */
#define OFFER_NS 3000000u
#define SLICE_NS 1000000u

#if !defined(CREATE_WAITABLE_TIMER_HIGH_RESOLUTION)
#define CREATE_WAITABLE_TIMER_HIGH_RESOLUTION 0x2
#endif

via_rc win_word_check(const via_waitobj *obj)
{
	if (obj->word != NULL && (uintptr_t)obj->word % sizeof *obj->word == 0)
		return VIA_OK;
	return core_fail(VIA_INVAL, "word at %#llx, expected an address divisible by 4",
			 (unsigned long long)(uintptr_t)obj->word);
}

void win_pace_begin(struct win_pace *p)
{
	p->until = 0;
	p->offered = 0;
}

void win_pace_close(struct win_pace *p)
{
	if (p->timer != NULL)
		CloseHandle(p->timer);
	p->timer = NULL;
}

int win_pace_offer(struct win_pace *p)
{
	via_time now;

	if (p->offered)
		return 0;
	now = os_now();
	if (p->until == 0)
		p->until = now + OFFER_NS;
	p->offered = now >= p->until;
	if (!p->offered)
		os_yield();
	return !p->offered;
}

/* False where there is no such timer. */
static int set_timer(const core_env *e, struct win_pace *p, via_time ns)
{
	const LARGE_INTEGER due = {.QuadPart = -(LONGLONG)((ns + 99) / 100)}; /* from now on */

	if (p->timer == NULL && !p->is_coarse) {
		if (win_may(e, "CreateWaitableTimerExW"))
			p->timer = CreateWaitableTimerExW(NULL, NULL,
							  CREATE_WAITABLE_TIMER_HIGH_RESOLUTION,
							  SYNCHRONIZE | TIMER_MODIFY_STATE);
		p->is_coarse = p->timer == NULL;
	}
	return p->timer != NULL && win_may(e, "SetWaitableTimer") &&
	       SetWaitableTimer(p->timer, &due, 0, NULL, NULL, FALSE);
}

int win_pace_sleep(const core_env *e, struct win_pace *p, HANDLE *hs, uint32_t n, via_time deadline)
{
	const via_time now = os_now(), left = deadline > now ? deadline - now : 0;
	int got;

	if (!set_timer(e, p, left < SLICE_NS ? left : SLICE_NS))
		return win_wait(e, hs, n, left == 0 ? 0 : 1);
	hs[n] = p->timer;
	got = win_wait(e, hs, n + 1, INFINITE);
	return got < 0 || (uint32_t)got < n ? got : (int)n;
}
