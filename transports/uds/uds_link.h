/* SPDX-License-Identifier: Apache-2.0
 * transports/uds/uds_link.h - one connected socket as a link: its state and its lanes.
 *
 * How a link ends: the first CLOSED or RESET that a verb sees is kept in `end` and answered from
 * then on, except that recv() first hands out what the kernel still holds. abort() stands above
 * that. */
#ifndef VIA_UDS_LINK_H
#define VIA_UDS_LINK_H
#include "uds.h"

struct uds_link {
	via_link base; /* first: the core holds a pointer to this */
	struct uds_self *self;
	int fd;
	via_limits limits;
	_Atomic via_rc aborted; /* why, from abort() */
	_Atomic via_rc end;     /* CLOSED or RESET */
	/* send lane */
	uint8_t *slot; /* NULL until the first reserve() */
	uint32_t slot_cap;
	int slot_out;
	int tx_shut;
	/* receive lane */
	uint8_t *buf; /* of view 0: first, or allocated by expect() */
	uint32_t buf_cap, buf_len;
	uint8_t *more;      /* of the other views; NULL until there are any */
	uint32_t views_out; /* bit n: view n */
	int one_by_one;     /* several at once cannot be: no memory, no such call */
	int drained;        /* nothing more will come */
	uint32_t n_handles;
	int handles[UDS_MAX_HANDLES];
	_Alignas(UDS_ALIGN) uint8_t first[VIA_EXPECT_INITIAL];
};

static inline struct uds_link *uds_link_of(via_link *base)
{
	return (struct uds_link *)(void *)base;
}

/* -- how it ends ------------------------------------------------------------------------------- */

/* Keeps the first end and answers the one that counts. */
static inline via_rc uds_finish(struct uds_link *l, via_rc how)
{
	via_rc none = VIA_OK;
	via_rc why;

	atomic_compare_exchange_strong(&l->end, &none, how);
	why = atomic_load(&l->aborted);
	return why != VIA_OK ? why : atomic_load(&l->end);
}

static inline via_rc uds_ended(struct uds_link *l)
{
	via_rc why = atomic_load_explicit(&l->aborted, memory_order_acquire);

	return why != VIA_OK ? why : atomic_load_explicit(&l->end, memory_order_acquire);
}

/* -- receive lane: uds_recv.c ------------------------------------------------------------------ */

via_rc VIA_CALL uds_recv(via_link *base, via_view *out, uint32_t max);
void VIA_CALL uds_release(via_link *base, const via_view *views, uint32_t n);
via_rc VIA_CALL uds_expect(via_link *base, uint32_t max_record);
via_rc VIA_CALL uds_take_handles(via_link *base, const via_view *view, via_handle *out,
				 uint32_t max);
void uds_recv_drop(struct uds_link *l); /* handles and memory */

/* -- send lane: uds_send.c --------------------------------------------------------------------- */

via_rc VIA_CALL uds_reserve(via_link *base, uint32_t len, via_slot *out);
via_rc VIA_CALL uds_commit(via_link *base, const via_slot *slots, uint32_t n);
via_rc VIA_CALL uds_send(via_link *base, const via_msg *msgs, uint32_t n);
via_rc VIA_CALL uds_shutdown(via_link *base);

#endif
