/* SPDX-License-Identifier: Apache-2.0
 * transports/posixshm/posixshm.h - what the parts of the posixshm module share. */
#ifndef VIA_POSIXSHM_H
#define VIA_POSIXSHM_H
#include <viaduct/module.h>
#include <stdatomic.h>

#define PSHM_MAGIC 0x4E53484Du
#define PSHM_VERSION 3u
#define PSHM_HEADER 64u
#define PSHM_ALIGN 64u
#define PSHM_MODE 0600u
#define PSHM_SUFFIX ".ipcshm"
#define PSHM_ID_DIGITS 16u
#define PSHM_PATH_MAX 1024u /* with the NUL */
#define PSHM_SWEPT_MAX 64u

/* docs/wire.md section 10. The first half never changes once the magic is there; of the second half
 * each word has one writer, but for the signal words: anybody may add to those. */
struct pshm_header {
	_Atomic uint32_t magic;
	uint16_t version;
	uint16_t header_len;
	int32_t owner_pid;
	uint32_t owner_generation;
	uint32_t request_offset;
	uint32_t request_capacity;
	uint32_t response_offset;
	uint32_t response_capacity;
	_Atomic uint64_t req_seq;
	_Atomic uint64_t resp_seq;
	_Atomic uint32_t req_len;
	_Atomic uint32_t resp_len;
	_Atomic uint32_t req_signal;
	_Atomic uint32_t resp_signal;
};
_Static_assert(sizeof(struct pshm_header) == PSHM_HEADER, "the header is 64 bytes");
_Static_assert(offsetof(struct pshm_header, owner_pid) == 8, "owner_pid at 8");
_Static_assert(offsetof(struct pshm_header, response_capacity) == 28, "response_capacity at 28");
_Static_assert(offsetof(struct pshm_header, req_seq) == 32, "req_seq at 32");
_Static_assert(offsetof(struct pshm_header, req_len) == 48, "req_len at 48");
_Static_assert(offsetof(struct pshm_header, resp_signal) == 60, "resp_signal at 60");
_Static_assert(ATOMIC_INT_LOCK_FREE == 2 && ATOMIC_LLONG_LOCK_FREE == 2,
	       "words shared between processes need atomics without locks");

/* One direction: where a message lies and the words that announce it. */
struct pshm_area {
	uint8_t *bytes;
	uint32_t cap;
	_Atomic uint64_t *seq;
	_Atomic uint32_t *len;
	_Atomic uint32_t *signal;
};

struct pshm_map {
	struct pshm_header *header;
	uint64_t size;
	uint64_t dev, ino; /* of the file */
	struct pshm_area request, response;
};

struct pshm_self {
	const via_host *h;
	const via_sysgate *gate; /* NULL outside of tests */
	/* Hashes of the services whose dead regions have been looked for; the oldest is forgotten
	 * first. Looking twice does no harm. */
	uint64_t swept[PSHM_SWEPT_MAX];
	uint32_t n_swept;
	_Atomic int left_behind; /* a region that could not be removed: look again */
};

/* -- posixshm.c -------------------------------------------------------------------------------- */

/* 0: make the system call. Otherwise the errno it is to be treated as having failed with. */
static inline int pshm_deny(const struct pshm_self *s, const char *call)
{
	return s->gate == NULL ? 0 : s->gate->deny(s->gate->arg, call);
}

via_rc pshm_rc_of(int err); /* errno to result */
/* Leaves "call what: ..." as detail and returns the result for err. */
via_rc pshm_fail(const struct pshm_self *s, int err, const char *call, const char *what);
via_rc pshm_failf(const struct pshm_self *s, via_rc rc, int err, const char *fmt, ...)
	VIA_PRINTF(4, 5);
/* FUTEX_WAKE, shared; 0 or an errno. */
int pshm_wake(const struct pshm_self *s, _Atomic uint32_t *word, int sleepers);

/* -- posixshm_stale.c -------------------------------------------------------------------------- */

/* {ns}/{service}-{session id}.ipcshm into path, which has room for PSHM_PATH_MAX bytes. */
via_rc pshm_path(const struct pshm_self *s, const char *ns, const char *service, uint64_t id,
		 char *path);
/* Removes what is at path unless it is a region in use. VIA_OK: the name is free; VIA_EXISTS: in
 * use, or it cannot be told, or it cannot be removed. */
via_rc pshm_clear(const struct pshm_self *s, const char *path);
/* Removes the dead regions of a service, when it is the first time. */
void pshm_sweep(struct pshm_self *s, const char *ns, const char *service);
/* Removes the name if it still leads to that file. */
void pshm_unlink(struct pshm_self *s, const char *path, uint64_t dev, uint64_t ino);

/* -- posixshm_owner.c -------------------------------------------------------------------------- */

/* Whether the process that a region names as its owner can be alive; 1 in doubt. written_ns is when
 * the file was last written, on the wall clock; name is the last part of its path. */
int pshm_owner_lives(const struct pshm_self *s, int32_t pid, uint64_t written_ns, const char *name);

/* -- posixshm_region.c ------------------------------------------------------------------------- */

/* Makes and maps the file. VIA_EXISTS: the name is taken. On failure nothing is left of it. */
via_rc pshm_create(struct pshm_self *s, const char *path, uint32_t max_request,
		   uint32_t max_response, struct pshm_map *out);
/* Maps the server's file after all checks. VIA_AGAIN: not there or not complete yet. */
via_rc pshm_attach(const struct pshm_self *s, const char *path, const via_upgrade *u,
		   struct pshm_map *out);
void pshm_unmap(const struct pshm_map *m);

/* -- posixshm_link.c --------------------------------------------------------------------------- */

extern const uint64_t pshm_caps;
/* Makes a link of a region; it owns the mapping from now on and, for the server, the file at path,
 * also when this fails. path is NULL for the client. */
via_rc pshm_link_make(struct pshm_self *s, const struct pshm_map *m, const char *path,
		      via_link **out);

#endif
