/* core/os/windows/poller.c - many objects, each with a key.
 *
 * WaitForMultipleObjects() takes 64. The first 63 are waited for by the calling thread itself; the
 * rest by the thread pool, whose callback marks the object and rings a bell, which is the 64th. A
 * pooled object gets its wait only when the caller is about to sleep and it is not ready then,
 * which makes it level-triggered like the others.
 *
 * Readiness of an automatic-reset event is consumed by finding it, so it is reported once. For
 * handles, fd_events says only whether to watch: os_poller_modify() with 0 silences one.
 * os_poller_add() always watches, since who fills a waitobj with a handle has no reason to set
 * fd_events. */
#include "win.h"
#include <string.h>

#define DIRECT_MAX MAXIMUM_WAIT_OBJECTS

enum place { QUIET, DIRECT, POOLED };

struct entry {
	os_poller *p;
	HANDLE object, wait; /* wait: the pool's, NULL when there is none */
	void *key;
	enum place place;
	volatile LONG fired; /* the pool saw it ready */
};

struct os_poller {
	const core_env *e;
	struct entry **all;
	uint32_t n, cap;
	HANDLE direct[DIRECT_MAX]; /* [0] is the bell, an automatic-reset event */
	struct entry *direct_of[DIRECT_MAX];
	uint32_t n_direct; /* with the bell */
	uint32_t n_pooled;
	uint32_t next_direct, next_pooled; /* where the next look begins, so that nobody starves */
	int pooled_first;
};

struct batch {
	os_event *out;
	uint32_t n, cap;
};

via_rc os_poller_open(const core_env *e, os_poller **out)
{
	struct os_poller *p;
	DWORD err;

	p = env_alloc(e, sizeof *p);
	if (p == NULL)
		return core_nomem("poller");
	memset(p, 0, sizeof *p);
	p->e = e;
	p->direct[0] = win_may(e, "CreateEventW") ? CreateEventW(NULL, FALSE, FALSE, NULL) : NULL;
	if (p->direct[0] == NULL) {
		err = GetLastError();
		env_free(e, p);
		return core_fail_os(win_rc(err), err, "creating a poller");
	}
	p->n_direct = 1;
	*out = p;
	return VIA_OK;
}

/* -- one object ----------------------------------------------------------------------------------
 */

static void CALLBACK on_ready(void *arg, BOOLEAN timed_out)
{
	struct entry *x = arg;

	(void)timed_out;
	(void)InterlockedExchange(&x->fired, 1);
	(void)SetEvent(x->p->direct[0]);
}

/* Ends the pool's wait; when this returns the callback is not running and will not. What it saw
 * stays in `fired`: it may have reset the event. */
static void disarm(struct entry *x)
{
	if (x->wait != NULL)
		(void)UnregisterWaitEx(x->wait, INVALID_HANDLE_VALUE);
	x->wait = NULL;
}

static via_rc arm(struct entry *x)
{
	if (!win_may(x->p->e, "RegisterWaitForSingleObject") ||
	    !RegisterWaitForSingleObject(&x->wait, x->object, on_ready, x, INFINITE,
					 WT_EXECUTEONLYONCE | WT_EXECUTEINWAITTHREAD)) {
		x->wait = NULL;
		return core_fail_os(VIA_IO, GetLastError(), "waiting for handle %p", x->object);
	}
	return VIA_OK;
}

static void watch(os_poller *p, struct entry *x)
{
	if (p->n_direct < DIRECT_MAX && !x->fired) {
		x->place = DIRECT;
		p->direct[p->n_direct] = x->object;
		p->direct_of[p->n_direct++] = x;
	} else {
		x->place = POOLED;
		p->n_pooled++;
	}
}

static void silence(os_poller *p, struct entry *x)
{
	uint32_t i = 1;

	if (x->place == POOLED) {
		disarm(x);
		p->n_pooled--;
	} else if (x->place == DIRECT) {
		while (p->direct_of[i] != x)
			i++;
		p->n_direct--;
		p->direct[i] = p->direct[p->n_direct];
		p->direct_of[i] = p->direct_of[p->n_direct];
	}
	x->place = QUIET;
}

/* -- the set -------------------------------------------------------------------------------------
 */

static uint32_t find(const os_poller *p, const via_waitobj *obj)
{
	uint32_t i = 0;

	while (i < p->n && p->all[i]->object != (HANDLE)(intptr_t)obj->handle)
		i++;
	return i;
}

static via_rc check(const via_waitobj *obj)
{
	if (obj->kind == VIA_WAIT_WIN)
		return VIA_OK;
	if (obj->kind == VIA_WAIT_WORD)
		return core_fail(VIA_NOTSUP, "object is a futex word, expected a handle");
	return core_fail(VIA_INVAL, "object has kind %d, expected a handle", obj->kind);
}

static via_rc grow(os_poller *p)
{
	uint32_t cap = p->cap == 0 ? 64 : p->cap * 2;
	struct entry **all;

	all = env_alloc(p->e, (uint64_t)cap * sizeof *all);
	if (all == NULL)
		return core_nomem("poller");
	if (p->n != 0)
		memcpy(all, p->all, p->n * sizeof *all);
	env_free(p->e, p->all);
	p->all = all;
	p->cap = cap;
	return VIA_OK;
}

via_rc os_poller_add(os_poller *p, const via_waitobj *obj, void *key)
{
	struct entry *x;
	via_rc rc;

	rc = check(obj);
	if (rc != VIA_OK)
		return rc;
	if (find(p, obj) != p->n)
		return core_fail(VIA_EXISTS, "handle %#llx is watched already",
				 (unsigned long long)obj->handle);
	if (p->n == p->cap && (rc = grow(p)) != VIA_OK)
		return rc;
	x = env_alloc(p->e, sizeof *x);
	if (x == NULL)
		return core_nomem("watched object");
	memset(x, 0, sizeof *x);
	x->p = p;
	x->object = (HANDLE)(intptr_t)obj->handle;
	x->key = key;
	watch(p, x);
	p->all[p->n++] = x;
	return VIA_OK;
}

via_rc os_poller_modify(os_poller *p, const via_waitobj *obj, void *key)
{
	uint32_t i = find(p, obj);
	struct entry *x;

	if (i == p->n)
		return core_fail(VIA_NOTFOUND, "handle %#llx is not watched",
				 (unsigned long long)obj->handle);
	x = p->all[i];
	x->key = key;
	if (obj->fd_events == 0)
		silence(p, x);
	else if (x->place == QUIET)
		watch(p, x);
	return VIA_OK;
}

void os_poller_remove(os_poller *p, const via_waitobj *obj)
{
	uint32_t i = find(p, obj);

	if (i == p->n)
		return;
	silence(p, p->all[i]);
	env_free(p->e, p->all[i]);
	p->all[i] = p->all[--p->n];
}

void os_poller_close(os_poller *p)
{
	uint32_t i;

	if (p == NULL)
		return;
	for (i = 0; i < p->n; i++) {
		disarm(p->all[i]);
		env_free(p->e, p->all[i]);
	}
	CloseHandle(p->direct[0]);
	env_free(p->e, p->all);
	env_free(p->e, p);
}

/* -- waiting -------------------------------------------------------------------------------------
 */

/* 1 ready, 0 not, or a negative via_rc. look: ask the object although the pool is waiting for it.
 */
static via_rc pooled_ready(struct entry *x, int look)
{
	DWORD r;

	if (x->fired) {
		disarm(x);
		x->fired = 0;
		return 1;
	}
	if (x->wait != NULL && !look)
		return 0;
	if (!win_may(x->p->e, "WaitForSingleObject") ||
	    (r = WaitForSingleObject(x->object, 0)) == WAIT_FAILED)
		return core_fail_os(VIA_IO, GetLastError(), "waiting for handle %p", x->object);
	if (r == WAIT_TIMEOUT)
		return 0;
	disarm(x);
	x->fired = 0;
	return 1;
}

static via_rc look_pooled(os_poller *p, struct batch *b, int look)
{
	const uint32_t from = p->next_pooled;
	uint32_t i, at;
	via_rc rc;

	for (i = 0; p->n_pooled != 0 && i < p->n && b->n < b->cap; i++) {
		at = (from + i) % p->n;
		if (p->all[at]->place != POOLED)
			continue;
		rc = pooled_ready(p->all[at], look);
		if (rc < 0)
			return rc;
		if (rc == 0)
			continue;
		b->out[b->n++].key = p->all[at]->key;
		p->next_pooled = at + 1;
	}
	return VIA_OK;
}

/* Looks at direct[lo..hi); the first wait may take ms. Ready ones go to b; the bell at 0 goes
 * nowhere. */
static via_rc look_range(os_poller *p, struct batch *b, uint32_t lo, uint32_t hi, DWORD ms)
{
	DWORD r;

	while (lo < hi && b->n < b->cap) {
		if (!win_may(p->e, "WaitForMultipleObjects"))
			r = WAIT_FAILED;
		else
			r = WaitForMultipleObjects(hi - lo, p->direct + lo, FALSE, ms);
		if (r == WAIT_TIMEOUT)
			return VIA_OK;
		if (r >= WAIT_ABANDONED_0 && r < WAIT_ABANDONED_0 + (hi - lo))
			r -= WAIT_ABANDONED_0 - WAIT_OBJECT_0;
		if (r >= WAIT_OBJECT_0 + (hi - lo))
			return core_fail_os(VIA_IO, GetLastError(), "waiting for %u handles",
					    hi - lo);
		lo += (uint32_t)(r - WAIT_OBJECT_0);
		if (lo != 0)
			b->out[b->n++].key = p->direct_of[lo]->key;
		lo++;
		p->next_direct = lo;
		ms = 0;
	}
	return VIA_OK;
}

static via_rc look_direct(os_poller *p, struct batch *b)
{
	uint32_t from = p->next_direct;
	via_rc rc;

	if (from < 1 || from >= p->n_direct)
		from = 1;
	rc = look_range(p, b, from, p->n_direct, 0);
	return rc != VIA_OK ? rc : look_range(p, b, 1, from, 0);
}

static via_rc look(os_poller *p, struct batch *b, int hard)
{
	via_rc rc;

	p->pooled_first = !p->pooled_first;
	if (p->pooled_first) {
		rc = look_pooled(p, b, hard);
		return rc != VIA_OK ? rc : look_direct(p, b);
	}
	rc = look_direct(p, b);
	return rc != VIA_OK ? rc : look_pooled(p, b, hard);
}

static via_rc arm_pooled(os_poller *p)
{
	via_rc rc = VIA_OK;
	uint32_t i;

	for (i = 0; p->n_pooled != 0 && i < p->n && rc == VIA_OK; i++)
		if (p->all[i]->place == POOLED && p->all[i]->wait == NULL)
			rc = arm(p->all[i]);
	return rc;
}

via_rc os_poller_wait(os_poller *p, os_event *out, uint32_t cap, via_time deadline)
{
	struct batch b = {out, 0, cap};
	via_rc rc;
	DWORD ms;

	if (cap == 0)
		return core_fail(VIA_INVAL, "room for 0 events, expected at least 1");
	for (;;) {
		ms = win_ms_left(deadline);
		rc = look(p, &b, ms == 0);
		if (rc == VIA_OK && b.n == 0 && ms != 0)
			rc = arm_pooled(p);
		if (rc == VIA_OK && b.n == 0 && ms != 0)
			rc = look_range(p, &b, 0, p->n_direct, win_ms_left(deadline));
		if (b.n != 0)
			return (via_rc)
				b.n; /* what was found may have been reset: it must be told */
		if (rc != VIA_OK)
			return rc;
		if (ms == 0)
			return 0;
	}
}
