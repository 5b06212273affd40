/* core/os/windows/poller_pool.c - handles beyond what one call can wait for: the system's thread pool
 * waits for them, and its callback puts the entry on a stack and rings the poller's bell.
 *
 * The pool waits once. Before a handle is given to it, and again after it was told and came back, it
 * stands in the row: it gets a look of its own, which makes it level-triggered like the others, and
 * then its wait. So a look costs nothing for those that the pool waits for. */
#include "poller.h"

void win_pool_open(struct pool *l)
{
	l->row.prev = l->row.next = &l->row;
}

static void row_append(struct pool *l, struct entry *x)
{
	x->prev = l->row.prev;
	x->next = &l->row;
	x->prev->next = x;
	l->row.prev = x;
	l->n_row++;
}

static void row_remove(struct pool *l, struct entry *x)
{
	if (x->next == NULL)
		return;
	x->prev->next = x->next;
	x->next->prev = x->prev;
	x->prev = x->next = NULL;
	l->n_row--;
}

static void CALLBACK on_ready(void *arg, BOOLEAN timed_out)
{
	struct entry *x = arg;
	struct pool *l = &x->p->pool;
	HANDLE bell = x->p->direct[BELL];
	struct entry *head = l->rung, *seen;

	(void)timed_out;
	do {
		seen = head;
		x->rung = seen;
		head = InterlockedCompareExchangePointer((void *volatile *)&l->rung, x, seen);
	} while (head != seen);
	if (head == NULL)
		(void)SetEvent(bell);
}

static void end_wait(struct entry *x)
{
	if (x->wait != NULL)
		(void)UnregisterWaitEx(x->wait, INVALID_HANDLE_VALUE);
	x->wait = NULL;
}

/* Those whose callback has run come back to the row. */
static void take_rung(struct pool *l)
{
	struct entry *x, *next;

	if (l->rung == NULL)
		return;
	for (x = InterlockedExchangePointer((void *volatile *)&l->rung, NULL); x != NULL;
	     x = next) {
		next = x->rung;
		end_wait(x);
		x->fired = SEEN;
		row_append(l, x);
	}
}

void win_pool_add(struct pool *l, struct entry *x)
{
	x->place = POOLED;
	row_append(l, x);
}

void win_pool_remove(struct pool *l, struct entry *x)
{
	if (x->wait != NULL) /* which may take a set of the event with it when it ends */
		x->fired = PERHAPS;
	end_wait(x);
	take_rung(l); /* it may be among them */
	row_remove(l, x);
	x->place = QUIET;
}

static via_rc begin_wait(struct entry *x)
{
	HANDLE object = (HANDLE)(uintptr_t)x->id;

	if (!win_may(x->p->e, "RegisterWaitForSingleObject") ||
	    !RegisterWaitForSingleObject(&x->wait, object, on_ready, x, INFINITE,
					 WT_EXECUTEONLYONCE | WT_EXECUTEINWAITTHREAD)) {
		x->wait = NULL;
		return core_fail_os(VIA_IO, GetLastError(), "waiting for handle %p", object);
	}
	return VIA_OK;
}

/* 1 ready, 0 not, or a negative via_rc. */
static via_rc is_ready(const struct entry *x)
{
	HANDLE object = (HANDLE)(uintptr_t)x->id;
	int got;

	if (x->fired == SEEN)
		return 1;
	got = win_wait(x->p->e, &object, 1, 0);
	if (got < 0)
		return core_fail_os(VIA_IO, GetLastError(), "waiting for handle %p", object);
	return got == 0 || x->fired == PERHAPS;
}

via_rc win_pool_look(struct pool *l, struct batch *b,
		     void (*promote)(struct batch *b, struct entry *x))
{
	struct entry *x;
	uint32_t left;
	via_rc rc;

	take_rung(l);
	for (left = l->n_row; left > 0 && b->n < b->cap; left--) {
		x = l->row.next;
		row_remove(l, x);
		rc = is_ready(x);
		if (rc > 0) {
			x->fired = NOT_SEEN;
			batch_tell(b, x);
			promote(b, x);
			continue;
		}
		if (rc == 0)
			rc = begin_wait(x);
		if (rc < 0) {
			row_append(l, x);
			return rc;
		}
	}
	return VIA_OK;
}
