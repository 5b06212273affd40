/* SPDX-License-Identifier: Apache-2.0
 * tests/link/winshm_rig.h - sessions by the winshm module, and beside it a netipc peer written from
 * docs/wire.md section 12 alone. */
#ifndef VIA_TESTS_LINK_WINSHM_RIG_H
#define VIA_TESTS_LINK_WINSHM_RIG_H
#include "rig.h"
#include <stdlib.h>
#include <windows.h>

enum { HYBRID = 2, BUSYWAIT = 4 };

/* PROFILE_TEST(suite, name) { ... }: runs once per profile, which is in profile[0]. */
#define PROFILE_TEST(S, N) \
	ParameterizedTestParameters(S, N) \
	{ \
		static uint32_t both[] = {HYBRID, BUSYWAIT}; \
		return cr_make_param_array(uint32_t, both, 2); \
	} \
	ParameterizedTest(uint32_t profile[1], S, N)

/* -- the module's ends ------------------------------------------------------------------------- */

/* Opens the rig; sessions are of this profile from now on. */
void wshm_open(rig *r, uint32_t profile);
via_upgrade wshm_upgrade(const rig *r, const char *service, uint64_t id, uint32_t request,
			 uint32_t response);
/* Service "svc". *out is written on VIA_OK only. */
via_rc wshm_provision(rig *r, uint64_t id, uint32_t request, uint32_t response, via_link **out);
via_rc wshm_attach(rig *r, uint64_t id, uint32_t request, uint32_t response, via_link **out);
/* Opens the rig: r->b is the server's end of session 1, r->a the client's. */
void wshm_open_pair(rig *r, uint32_t profile, uint32_t request, uint32_t response);
/* Request and response of these lengths. */
void wshm_roundtrip(rig *r, uint32_t request, uint32_t response, uint32_t number);
/* The next record, which is let go. */
void wshm_take(via_link *l);

/* -- a peer that knows only the wire contract -------------------------------------------------- */

/* Offsets of section 12. */
enum {
	AT_MAGIC = 0,
	AT_VERSION = 4,
	AT_HEADER_LEN = 8,
	AT_PROFILE = 12,
	AT_REQ_OFFSET = 16,
	AT_REQ_CAP = 20,
	AT_RESP_OFFSET = 24,
	AT_RESP_CAP = 28,
	AT_SPIN_TRIES = 32,
	AT_REQ_LEN = 36,
	AT_RESP_LEN = 40,
	AT_CLIENT_CLOSED = 44,
	AT_SERVER_WAITING = 48,
	AT_SERVER_CLOSED = 52,
	AT_CLIENT_WAITING = 56,
	AT_REQ_SEQ = 64,
	AT_RESP_SEQ = 72,
	RAW_HEADER = 128
};
enum { RAW_NOTHING = -1, RAW_BAD = -2, RAW_CLOSED = -3 };

typedef struct raw_peer {
	uint8_t *base;
	HANDLE mapping, req_event, resp_event; /* the events: hybrid only */
	int is_server;
	LONG64 rx; /* sequence number taken last */
} raw_peer;

/* "mapping", "req_event" or "resp_event" of service "svc"; one buffer for each thread. */
const char *raw_name(const rig *r, uint64_t id, const char *suffix);
uint64_t raw_hash(const void *bytes, size_t n);
uint32_t raw_u32(const raw_peer *p, uint32_t at);
uint64_t raw_u64(const raw_peer *p, uint32_t at);
void raw_set32(const raw_peer *p, uint32_t at, uint32_t v);
void raw_set64(const raw_peer *p, uint32_t at, uint64_t v);
/* 0, or -1 with nothing open. */
int raw_create(raw_peer *p, const rig *r, uint64_t id, uint32_t request_cap, uint32_t response_cap);
int raw_attach(raw_peer *p, const rig *r, uint64_t id, int as_server);
void raw_close(raw_peer *p);  /* as an honest peer does */
void raw_vanish(raw_peer *p); /* without a word */
int raw_send(const raw_peer *p, const void *data, uint32_t len);
/* Bytes, or RAW_...: nothing came in time, the header is bad, the peer has closed. */
int64_t raw_recv(raw_peer *p, void *buf, uint32_t cap);

#endif
