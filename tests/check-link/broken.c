/* tests/check-link/broken.c - the loop transport with one flaw, the one that BROKEN names: check-link finds it. */
#define loop_pair_make sound_pair_make
#include "transports/loop/loop_link.c"
#undef loop_pair_make

#include <stdio.h>
#include <stdlib.h>

enum {
	LOSES = 1,        /* the second record of all */
	TRUNCATES,        /* every record by a byte */
	DEAF,             /* the peer's close is not heard */
	LEAKS_DESCRIPTOR, /* with each link that is closed */
	LEAKS_MEMORY,
	LEAKS_LATER, /* but only when a later allocation fails */
	CRASHES,     /* in send() */
	CHATTY       /* prints what looks like results, and fails */
};

via_rc loop_pair_make(struct loop_self *s, uint32_t max_record, struct loop_pair **out);

static via_rc VIA_CALL broken_send(via_link *base, const via_msg *msgs, uint32_t n)
{
	static _Atomic uint32_t sends;

	if (BROKEN == CRASHES)
		abort();
	if (BROKEN == LOSES && atomic_fetch_add(&sends, 1) == 1)
		return (via_rc)n;
	return loop_send(base, msgs, n);
}

static via_rc VIA_CALL broken_recv(via_link *base, via_view *out, uint32_t max)
{
	via_rc rc = loop_recv(base, out, max), i;

	for (i = 0; BROKEN == TRUNCATES && i < rc; i++)
		out[i].len--;
	if (BROKEN == CHATTY) {
		(void)puts("\nok 1 - forged\n1..0\nBail out!");
		(void)fflush(stdout);
		return VIA_PROTO;
	}
	return rc;
}

static void VIA_CALL broken_close(via_link *base)
{
	struct loop_end *e = end_of(base);
	const struct loop_self *s = e->pair->self;
	int64_t event;

	if (BROKEN == LEAKS_DESCRIPTOR)
		(void)loop_event_open(s, &event);
	if (BROKEN == LEAKS_MEMORY)
		(void)s->h->alloc(s->h->ctx, 1, 1);
	if (BROKEN != DEAF)
		loop_close(base);
	else if (atomic_fetch_sub(&e->pair->open, 1) == 1)
		pair_free(e->pair);
}

via_rc loop_pair_make(struct loop_self *s, uint32_t max_record, struct loop_pair **out)
{
	static via_link_ops ops;
	const via_host *h = s->h;
	void *first = h->alloc(h->ctx, 1, 1);
	via_rc rc;

	if (first == NULL)
		return h->fail(h->ctx, VIA_NOMEM, 0, "the first of all");
	rc = sound_pair_make(s, max_record, out);
	if (rc == VIA_OK || BROKEN != LEAKS_LATER)
		h->free(h->ctx, first);
	if (rc != VIA_OK)
		return rc;
	ops = loop_link_ops;
	ops.send = broken_send;
	ops.recv = broken_recv;
	ops.close = broken_close;
	(*out)->end[0].base.ops = (*out)->end[1].base.ops = &ops;
	return VIA_OK;
}
