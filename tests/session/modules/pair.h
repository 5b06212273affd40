/* SPDX-License-Identifier: Apache-2.0
 * tests/session/modules/pair.h - two ends in this process that carry records: sockets, or a queue with events. */
#ifndef VIA_TESTS_SESSION_PAIR_H
#define VIA_TESTS_SESSION_PAIR_H
#include <viaduct/module.h>

enum { PAIR_IOV = 4 };
typedef intptr_t pair_end;
#define PAIR_NONE ((pair_end)-1)

int pair_make(pair_end out[2]); /* 0, or -1 */
/* Another hold on the same end: the other side sees its end when the last one is closed. */
pair_end pair_dup(pair_end e);
void pair_close(pair_end e);
/* Verbs of a link: 1, VIA_AGAIN, or a failure. */
via_rc pair_send(pair_end e, const via_iov *v, uint32_t n);
via_rc pair_recv(pair_end e, void *buf, uint32_t cap, uint32_t *len);
void pair_arm(pair_end e, uint32_t events, via_waitobj *out);
void pair_disarm(pair_end e, uint32_t events);
void pair_shutdown(pair_end e, int both); /* nothing more is sent; both: nor received */
/* Gives the end away as something that a baseline may carry, and makes it an end again (a new hold). */
void pair_to_handle(pair_end e, via_handle *out);
pair_end pair_from_handle(const via_handle *h);

#endif
