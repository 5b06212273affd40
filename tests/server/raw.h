/* SPDX-License-Identifier: Apache-2.0
 * tests/server/raw.h - a client that is a bare socket: every byte is the test's (POSIX). */
#ifndef VIA_TESTS_SERVER_RAW_H
#define VIA_TESTS_SERVER_RAW_H
#include "rig.h"
#include <sys/types.h>

enum { RAW_MAX = 1 << 18 };

/* Waits until the socket is ready for poll(2) events, at most until RIG_SOON. */
int raw_wait(int fd, short events);
int raw_connect(const rig *r, const char *service);     /* waits while the queue is full */
int raw_try_connect(const rig *r, const char *service); /* -1: errno */
void raw_send(int fd, const void *p, size_t len);
/* Bytes of the next record; 0: the end, also a reset. -1: none before the deadline. */
ssize_t raw_recv(int fd, void *p, size_t cap);
/* HELLO as config says; the answer's status. Fails the test without an answer. */
uint16_t raw_hello(int fd, const via_session_config *config);
int raw_session(const rig *r, const char *service, const via_session_config *config);
/* One record: header with these fields, then the payload (any length; declared: payload_len). */
void raw_request(int fd, const via_wire_header *h, const void *payload, size_t len);
void raw_number(int fd, uint64_t id, uint64_t number);
/* The next record is the answer to it. */
void raw_expect_number(int fd, uint64_t id, uint64_t number);
/* The next record is this status, empty, flags 0, one item. */
void raw_expect_status(int fd, uint64_t id, uint16_t code, uint16_t status);
void raw_expect_end(int fd); /* whatever comes before it is thrown away */

#endif
