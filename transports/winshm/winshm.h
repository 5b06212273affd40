/* SPDX-License-Identifier: Apache-2.0
 * transports/winshm/winshm.h - what the parts of the winshm module share. */
#ifndef VIA_WINSHM_H
#define VIA_WINSHM_H
#include <viaduct/module.h>
#include <stdatomic.h>
#include <windows.h>

#define WSHM_MAGIC 0x4E535748u
#define WSHM_VERSION 3u
#define WSHM_HEADER 128u
#define WSHM_ALIGN 64u
#define WSHM_SPIN_TRIES 1024u
#define WSHM_NAME_MAX 256u   /* with the NUL */
#define WSHM_HASHED_MAX 511u /* bytes */

enum { WSHM_HYBRID = 0x2, WSHM_BUSYWAIT = 0x4 }; /* profiles */

/* docs/wire.md section 12. Up to spin_tries nothing changes once the magic is there; every word after
 * it has one writer. The lengths and flags are int32_t there; nobody honest makes them negative. */
struct wshm_header {
	_Atomic uint32_t magic;
	uint32_t version;
	uint32_t header_len;
	uint32_t profile;
	uint32_t request_offset;
	uint32_t request_capacity;
	uint32_t response_offset;
	uint32_t response_capacity;
	uint32_t spin_tries;
	_Atomic uint32_t req_len;
	_Atomic uint32_t resp_len;
	_Atomic uint32_t req_client_closed;
	_Atomic uint32_t req_server_waiting;
	_Atomic uint32_t resp_server_closed;
	_Atomic uint32_t resp_client_waiting;
	uint32_t padding;
	_Atomic uint64_t req_seq;
	_Atomic uint64_t resp_seq;
	uint8_t reserved[48];
};
_Static_assert(sizeof(struct wshm_header) == WSHM_HEADER, "the header is 128 bytes");
_Static_assert(offsetof(struct wshm_header, response_capacity) == 28, "response_capacity at 28");
_Static_assert(offsetof(struct wshm_header, req_len) == 36, "req_len at 36");
_Static_assert(offsetof(struct wshm_header, req_client_closed) == 44, "req_client_closed at 44");
_Static_assert(offsetof(struct wshm_header, resp_client_waiting) == 56,
	       "resp_client_waiting at 56");
_Static_assert(offsetof(struct wshm_header, req_seq) == 64, "req_seq at 64");
_Static_assert(ATOMIC_INT_LOCK_FREE == 2 && ATOMIC_LLONG_LOCK_FREE == 2,
	       "words shared between processes need atomics without locks");

/* One direction: where a message lies and the words that go with it. */
struct wshm_area {
	uint8_t *bytes;
	uint32_t cap;
	_Atomic uint64_t *seq;
	_Atomic uint32_t *len;
	_Atomic uint32_t *closed;  /* its sender has finished */
	_Atomic uint32_t *waiting; /* its receiver sleeps, or is about to */
	HANDLE event;              /* that the receiver sleeps on; busy-wait: NULL */
};

struct wshm_map {
	struct wshm_header *header;
	HANDLE mapping; /* server: keeps the name alive; client: NULL */
	uint32_t profile;
	struct wshm_area request, response;
};

struct wshm_self {
	const via_host *h;
	const via_sysgate *gate; /* NULL outside of tests */
};

/* -- winshm.c ---------------------------------------------------------------------------------- */

/* True when the call may be made. Otherwise GetLastError() is what it is to be treated as having
 * failed with. */
static inline int wshm_may(const struct wshm_self *s, const char *call)
{
	int32_t err = s->gate == NULL ? 0 : s->gate->deny(s->gate->arg, call);

	if (err == 0)
		return 1;
	SetLastError((DWORD)err);
	return 0;
}

via_rc wshm_rc_of(DWORD err); /* system error to result */
/* Leaves "call what" as detail and returns the result for err. */
via_rc wshm_fail(const struct wshm_self *s, DWORD err, const char *call, const char *what);
via_rc wshm_failf(const struct wshm_self *s, via_rc rc, DWORD err, const char *fmt, ...)
	VIA_PRINTF(4, 5);
/* VIA_OK, or why the event cannot be set. */
via_rc wshm_set(const struct wshm_self *s, HANDLE event);

/* -- winshm_name.c ----------------------------------------------------------------------------- */

/* Local\netipc-{H}-{service}-p{profile}-s{session id}-{suffix}. */
via_rc wshm_name(const struct wshm_self *s, const via_upgrade *u, const char *suffix,
		 char name[WSHM_NAME_MAX]);
/* The same for the functions that take UTF-16. */
void wshm_widen(const char *name, wchar_t wide[WSHM_NAME_MAX]);

/* -- winshm_access.c --------------------------------------------------------------------------- */

/* Who may open the objects of this process: its user and SYSTEM. Points into itself. */
struct wshm_access {
	SECURITY_ATTRIBUTES attributes;
	SECURITY_DESCRIPTOR descriptor;
	union {
		ACL acl;
		DWORD room[64]; /* two entries, the longest SIDs there are */
	} list;
};
via_rc wshm_access_make(const struct wshm_self *s, struct wshm_access *a);

/* -- winshm_region.c --------------------------------------------------------------------------- */

/* Makes the objects of a session. VIA_EXISTS: one of the names is taken. On failure nothing is left. */
via_rc wshm_create(const struct wshm_self *s, const via_upgrade *u, struct wshm_map *out);
/* Opens the server's objects after all checks. VIA_NOTFOUND: there are none. */
via_rc wshm_attach(const struct wshm_self *s, const via_upgrade *u, struct wshm_map *out);
void wshm_let_go(const struct wshm_map *m);

/* -- winshm_link.c ----------------------------------------------------------------------------- */

/* Makes a link of a region; it owns the objects from now on, also when this fails. */
via_rc wshm_link_make(const struct wshm_self *s, const struct wshm_map *m, int is_server,
		      via_link **out);

#endif
