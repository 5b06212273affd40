/* SPDX-License-Identifier: Apache-2.0
 * tests/server/raw.h - a client that is a bare socket or a bare pipe: every byte is the test's. */
#ifndef VIA_TESTS_SERVER_RAW_H
#define VIA_TESTS_SERVER_RAW_H
#include "rig.h"

enum { RAW_MAX = 1 << 18 };

/* -- of the system: raw_posix.c, raw_windows.c (docs/wire.md sections 9 and 11) ------------------ */

typedef intptr_t raw; /* a descriptor or a handle */
#define RAW_NONE ((raw)-1)
/* RAW_NONE: *busy tells whether it is worth trying again. No assertions, like the next four. */
raw raw_dial(const char *run_dir, const char *service, int *busy);
void raw_close(raw c);
/* One record: 1 taken, 0 there is no room for it now, -1 the connection has ended. */
int raw_try_send(raw c, const void *p, size_t len);
/* Waits for room until RIG_SOON. */
int raw_send(raw c, const void *p, size_t len);
/* Bytes of the next record; 0: the end, also a reset. -1: none before RIG_SOON. */
int raw_recv(raw c, void *p, size_t cap);

/* -- built on it --------------------------------------------------------------------------------- */

raw raw_connect(const rig *r, const char *service); /* waits while the queue is full */
/* HELLO as config says; the answer's status. Fails the test without an answer. */
uint16_t raw_hello(raw c, const via_session_config *config);
raw raw_session(const rig *r, const char *service, const via_session_config *config);
/* One record: header with these fields, then the payload (any length; declared: payload_len). */
void raw_request(raw c, const via_wire_header *h, const void *payload, size_t len);
void raw_number(raw c, uint64_t id, uint64_t number);
/* The next record is the answer to it. */
void raw_expect_number(raw c, uint64_t id, uint64_t number);
/* The next record is this status, empty, flags 0, one item. */
void raw_expect_status(raw c, uint64_t id, uint16_t code, uint16_t status);
void raw_expect_end(raw c); /* whatever comes before it is thrown away */

#endif
