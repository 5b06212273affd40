/* SPDX-License-Identifier: Apache-2.0
 * tests/link/ring_rig.h - a session's rings by hand: a socket pair, provision, attach. */
#ifndef VIA_TESTS_LINK_RING_RIG_H
#define VIA_TESTS_LINK_RING_RIG_H
#include "rig.h"

/* a: client, attached over base_a. b: server, provisioned over base_b. */
typedef struct pair {
	rig r;
	rig_layer ring;
	via_link *base_a, *base_b;
	via_link *a, *b;
	uint32_t max_request, max_response;
	int fd;          /* what provision handed over, until pair_close() */
	uint8_t *shared; /* the test's own mapping of it, as a hostile peer has one */
	size_t shared_len;
} pair;

/* Where things are: docs/wire.md section 20. */
enum {
	AT_REQUEST = 128,  /* control lines of the client's direction */
	AT_RESPONSE = 512, /* and of the server's */
	AT_CLOSED = 0,
	AT_TX_SLEEP = 4,
	AT_HEAD = 128,
	AT_RX_SLEEP = 256,
	AT_DATA = 4096 /* of the request direction, with pages of 4096 bytes */
};

/* Modules and a connected pair of sockets, no ring yet. Skips the test where rings do not work. */
void pair_begin(pair *p, uint32_t max_request, uint32_t max_response);
via_rc pair_provision(pair *p);
via_rc pair_attach(pair *p, const via_handle *h, uint32_t n);
/* All of that. */
void pair_open(pair *p, uint32_t max_request, uint32_t max_response);
/* Another mapping of the shared memory. */
void pair_map(pair *p);
void pair_hang_up(pair *p);
/* Closes what is open and checks that nothing is left. */
void pair_close(pair *p);
void pair_check_clean(pair *p);

static inline _Atomic uint32_t *pair_u32(pair *p, size_t at)
{
	return (_Atomic uint32_t *)(void *)(p->shared + at);
}

static inline _Atomic uint64_t *pair_u64(pair *p, size_t at)
{
	return (_Atomic uint64_t *)(void *)(p->shared + at);
}

/* Fails the test unless the last refusal contains these words. */
void pair_said(const char *words);

#endif
