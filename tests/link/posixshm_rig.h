/* SPDX-License-Identifier: Apache-2.0
 * tests/link/posixshm_rig.h - regions by the module, and beside it a netipc peer written from
 * docs/wire.md section 10 alone. */
#ifndef VIA_TESTS_LINK_POSIXSHM_RIG_H
#define VIA_TESTS_LINK_POSIXSHM_RIG_H
#include "rig.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* -- the module's ends ------------------------------------------------------------------------- */

via_upgrade shm_upgrade(const rig *r, const char *service, uint64_t id, uint32_t request,
			uint32_t response);
/* Service "svc". *out is written on VIA_OK only. */
via_rc shm_provision(rig *r, uint64_t id, uint32_t request, uint32_t response, via_link **out);
via_rc shm_attach(rig *r, uint64_t id, uint32_t request, uint32_t response, via_link **out);
/* Opens the rig: r->b is the server's end of session 1, r->a the client's. */
void shm_open_pair(rig *r, uint32_t request, uint32_t response);
/* {run directory}/svc-{id}.ipcshm */
const char *shm_path(const rig *r, uint64_t id);
const char *shm_path_of(const rig *r, const char *name);

/* One record within the deadline, sleeping on what arm() hands out. */
via_rc shm_get(via_link *l, via_view *out);
via_rc shm_put(via_link *l, const void *data, uint32_t len);
/* Sleeps on a word: 1 it changed or a wake-up came, 0 the deadline passed. */
int shm_sleep(const via_waitobj *o, via_time deadline);
void shm_expect_record(via_link *l, uint32_t len, uint32_t number);
/* Request and response of these lengths. */
void shm_roundtrip(rig *r, uint32_t request, uint32_t response, uint32_t number);

/* The nth system call of that name fails with error; 0: none does. */
void shm_deny(rig *r, const char *call, uint32_t nth, int error);
/* The nth system call of that name is preceded by fn(r). */
void shm_before(rig *r, const char *call, uint32_t nth, void (*fn)(rig *));

/* -- files ------------------------------------------------------------------------------------- */

int shm_exists(const char *path);
uint64_t shm_inode(const char *path);
/* A file with these bytes, made up to size. */
void shm_write(const char *path, const void *data, size_t len, size_t size);
/* A complete region file by nobody. */
void shm_write_region(const char *path, int32_t pid, uint32_t generation);
/* A child that cannot outlive the test and leaves through _exit(); -1 when it was killed. */
pid_t shm_child(void);
int shm_child_ends(pid_t pid);
/* The number of a process that has gone. */
int32_t shm_dead_pid(void);

/* -- a peer that knows only the wire contract -------------------------------------------------- */

/* Offsets of section 10. */
enum {
	AT_MAGIC = 0,
	AT_VERSION = 4,
	AT_HEADER_LEN = 6,
	AT_PID = 8,
	AT_GENERATION = 12,
	AT_REQ_OFFSET = 16,
	AT_REQ_CAP = 20,
	AT_RESP_OFFSET = 24,
	AT_RESP_CAP = 28,
	AT_REQ_SEQ = 32,
	AT_RESP_SEQ = 40,
	AT_REQ_LEN = 48,
	AT_RESP_LEN = 52,
	AT_REQ_SIGNAL = 56,
	AT_RESP_SIGNAL = 60,
	RAW_HEADER = 64
};

typedef struct raw_peer {
	uint8_t *base;
	size_t size;
	int is_server;
	uint64_t tx, rx; /* sequence numbers sent and received */
} raw_peer;

uint32_t raw_u32(const raw_peer *p, uint32_t at);
uint64_t raw_u64(const raw_peer *p, uint32_t at);
void raw_set32(raw_peer *p, uint32_t at, uint32_t v);
void raw_set64(raw_peer *p, uint32_t at, uint64_t v);
/* 0, or -1. */
int raw_create(raw_peer *p, const char *path, uint32_t request_cap, uint32_t response_cap);
int raw_attach(raw_peer *p, const char *path, int as_server);
void raw_close(raw_peer *p);
int raw_send(raw_peer *p, const void *data, uint32_t len);
/* Bytes, or -1: nothing came, or it does not fit. */
int64_t raw_recv(raw_peer *p, void *buf, uint32_t cap);

#endif
