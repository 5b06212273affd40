/* tests/session/modules/pair_windows.c - see pair.h: two queues in this process, and an event for each end. No
 * baseline of this system carries what these are made of: as a handle an end is an event that nobody knows. */
#include "pair.h"
#include <stdlib.h>
#include <string.h>
#include <windows.h>

enum { ROOM = 200000 }; /* bytes that wait in one direction */

struct record {
	struct record *next;
	uint32_t len;
	uint8_t bytes[];
};

struct side {
	struct pair *pair;
	struct side *other;
	HANDLE event;           /* manual reset: set while something that is armed is ready */
	struct record *in;      /* oldest first */
	struct record **in_end; /* where the next one goes */
	uint32_t in_bytes, armed;
	int holds, is_shut; /* is_shut: sends nothing any more */
};

struct pair {
	SRWLOCK lock;
	struct side side[2];
};

static struct side *side_of(pair_end e)
{
	return (struct side *)e;
}

/* With the lock. */
static int is_ready(const struct side *s)
{
	int ended = s->other->holds == 0 || s->other->is_shut;

	return ((s->armed & VIA_EV_RX) != 0 && (s->in != NULL || ended)) ||
	       ((s->armed & VIA_EV_TX) != 0 &&
		(s->other->in_bytes < ROOM || s->other->holds == 0 || s->is_shut));
}

static void tell(struct side *s)
{
	if (s->event == NULL)
		return;
	if (is_ready(s))
		(void)SetEvent(s->event);
	else
		(void)ResetEvent(s->event);
}

static void tell_both(struct side *s)
{
	tell(s);
	tell(s->other);
}

int pair_make(pair_end out[2])
{
	struct pair *p = calloc(1, sizeof *p);
	int i;

	if (p == NULL)
		return -1;
	InitializeSRWLock(&p->lock);
	for (i = 0; i < 2; i++) {
		p->side[i].pair = p;
		p->side[i].other = &p->side[1 - i];
		p->side[i].in_end = &p->side[i].in;
		p->side[i].holds = 1;
		p->side[i].event = CreateEventW(NULL, TRUE, FALSE, NULL);
		out[i] = (pair_end)&p->side[i];
	}
	if (p->side[0].event != NULL && p->side[1].event != NULL)
		return 0;
	pair_close(out[0]);
	pair_close(out[1]);
	return -1;
}

pair_end pair_dup(pair_end e)
{
	struct side *s = side_of(e);

	AcquireSRWLockExclusive(&s->pair->lock);
	s->holds++;
	ReleaseSRWLockExclusive(&s->pair->lock);
	return e;
}

static void drop_records(struct side *s)
{
	while (s->in != NULL) {
		struct record *r = s->in;

		s->in = r->next;
		free(r);
	}
	s->in_end = &s->in;
	s->in_bytes = 0;
}

void pair_close(pair_end e)
{
	struct side *s = side_of(e);
	struct pair *p = s->pair;
	int last;

	AcquireSRWLockExclusive(&p->lock);
	if (--s->holds == 0) {
		drop_records(s);
		if (s->event != NULL)
			CloseHandle(s->event);
		s->event = NULL;
		tell(s->other);
	}
	last = s->holds == 0 && s->other->holds == 0;
	ReleaseSRWLockExclusive(&p->lock);
	if (last)
		free(p);
}

static struct record *record_of(const via_iov *v, uint32_t n)
{
	uint64_t len = 0, at = 0;
	struct record *r;
	uint32_t i;

	for (i = 0; i < n; i++)
		len += v[i].len;
	r = malloc(sizeof *r + (size_t)len);
	if (r == NULL)
		return NULL;
	r->next = NULL;
	r->len = (uint32_t)len;
	for (i = 0; i < n; at += v[i++].len)
		if (v[i].len != 0)
			memcpy(r->bytes + at, v[i].base, (size_t)v[i].len);
	return r;
}

via_rc pair_send(pair_end e, const via_iov *v, uint32_t n)
{
	struct side *s = side_of(e), *to = s->other;
	struct record *r = record_of(v, n);
	via_rc rc = 1;

	if (r == NULL)
		return VIA_NOMEM;
	AcquireSRWLockExclusive(&s->pair->lock);
	if (to->holds == 0 || s->is_shut)
		rc = VIA_RESET;
	else if (to->in_bytes >= ROOM)
		rc = VIA_AGAIN;
	if (rc == 1) {
		*to->in_end = r;
		to->in_end = &r->next;
		to->in_bytes += r->len;
		tell_both(s);
	}
	ReleaseSRWLockExclusive(&s->pair->lock);
	if (rc != 1)
		free(r);
	return rc;
}

via_rc pair_recv(pair_end e, void *buf, uint32_t cap, uint32_t *len)
{
	struct side *s = side_of(e);
	struct record *r;
	via_rc rc = 1;

	AcquireSRWLockExclusive(&s->pair->lock);
	r = s->in;
	if (r != NULL) {
		*len = r->len < cap ? r->len : cap;
		memcpy(buf, r->bytes, *len);
		s->in = r->next;
		if (s->in == NULL)
			s->in_end = &s->in;
		s->in_bytes -= r->len;
		tell_both(s);
	} else {
		rc = s->other->holds == 0 || s->other->is_shut ? VIA_CLOSED : VIA_AGAIN;
	}
	ReleaseSRWLockExclusive(&s->pair->lock);
	free(r);
	return rc;
}

void pair_arm(pair_end e, uint32_t events, via_waitobj *out)
{
	struct side *s = side_of(e);

	AcquireSRWLockExclusive(&s->pair->lock);
	s->armed |= events;
	tell(s);
	ReleaseSRWLockExclusive(&s->pair->lock);
	out->kind = VIA_WAIT_WIN;
	out->handle = (int64_t)(intptr_t)s->event;
	out->fd_events = 1;
}

void pair_disarm(pair_end e, uint32_t events)
{
	struct side *s = side_of(e);

	AcquireSRWLockExclusive(&s->pair->lock);
	s->armed &= ~events;
	tell(s);
	ReleaseSRWLockExclusive(&s->pair->lock);
}

void pair_shutdown(pair_end e, int both)
{
	struct side *s = side_of(e);

	AcquireSRWLockExclusive(&s->pair->lock);
	s->is_shut = 1;
	if (both)
		s->other->is_shut = 1;
	tell_both(s);
	ReleaseSRWLockExclusive(&s->pair->lock);
}

/* The other half is dropped: whoever gets this handle finds nobody, and closes it. */
void pair_to_handle(pair_end e, via_handle *out)
{
	pair_close(e);
	*out = (via_handle){.value = (int64_t)(intptr_t)CreateEventW(NULL, TRUE, FALSE, NULL),
			    .kind = VIA_H_WIN};
}

pair_end pair_from_handle(const via_handle *h)
{
	(void)h;
	return PAIR_NONE;
}
