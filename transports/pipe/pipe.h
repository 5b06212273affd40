/* SPDX-License-Identifier: Apache-2.0
 * transports/pipe/pipe.h - what the parts of the pipe module share. */
#ifndef VIA_PIPE_H
#define VIA_PIPE_H
#include <viaduct/module.h>
#include <stdatomic.h>
#include <windows.h>

#define PIPE_NAME_MAX 256u /* characters with the NUL: docs/wire.md section 11 */
#define PIPE_SDDL_MAX 512u /* bytes with the NUL */
#define PIPE_PREFIX "\\\\.\\pipe\\netipc-"

#define PIPE_BACKLOG 16u
#define PIPE_BACKLOG_MAX 254u
#define PIPE_PACKET 65536u /* docs/wire.md section 11: default packet size */
#define PIPE_PACKET_MAX (16u << 20)
#define PIPE_QUOTA_MIN 65536u
#define PIPE_MAX_BATCH 16u
#define PIPE_ALIGN 16u

enum { PIPE_ACCESS_USER, PIPE_ACCESS_AUTHENTICATED, PIPE_ACCESS_EVERYONE };

struct pipe_config {
	uint32_t backlog; /* instances that wait for a client */
	uint32_t packet;  /* longest record */
	uint32_t access;  /* PIPE_ACCESS_*, unless there is a text */
	char sddl[PIPE_SDDL_MAX];
};

/* A name, and how many instances of it this module has made and still holds. While there is one the
 * name cannot be anybody else's. */
struct pipe_name {
	struct pipe_name *next;
	uint32_t instances;
	int listening; /* one listener at a time */
	wchar_t text[PIPE_NAME_MAX];
};

struct pipe_link;

struct pipe_self {
	const via_host *h;
	const via_sysgate *gate; /* NULL outside of tests */
	struct pipe_config defaults;
	SRWLOCK lock; /* names, lingering */
	struct pipe_name *names;
	struct pipe_link *lingering; /* the oldest first: pipe_link.c */
	_Atomic uint32_t n_lingering;
};

/* -- pipe.c ------------------------------------------------------------------------------------ */

/* 0: make the system call. Otherwise the error it is to be treated as having failed with. */
static inline DWORD pipe_deny(const struct pipe_self *s, const char *call)
{
	return s->gate == NULL ? 0 : (DWORD)s->gate->deny(s->gate->arg, call);
}

via_rc pipe_rc_of(DWORD err); /* system error to result */
/* Leaves "call what" as detail and returns the result for err. */
via_rc pipe_fail(const struct pipe_self *s, DWORD err, const char *call, const char *what);
via_rc pipe_failf(const struct pipe_self *s, via_rc rc, DWORD err, const char *fmt, ...)
	VIA_PRINTF(4, 5);
/* A manual-reset event, not set. */
DWORD pipe_event(const struct pipe_self *s, HANDLE *out);

/* -- pipe_config.c ----------------------------------------------------------------------------- */

/* Reads "pipe.key=value\n" lines into *cfg; VIA_INVAL names the key or value. */
via_rc pipe_config_read(const struct pipe_self *s, const char *lines, struct pipe_config *cfg);
/* The security descriptor that cfg asks for; LocalFree() it. */
via_rc pipe_descriptor(const struct pipe_self *s, const struct pipe_config *cfg,
		       PSECURITY_DESCRIPTOR *out);

/* -- pipe_name.c ------------------------------------------------------------------------------- */

/* The name of an endpoint; what is wrong with it is told by host->fail. */
via_rc pipe_name_make(const struct pipe_self *s, const via_address *a, wchar_t out[PIPE_NAME_MAX]);
/* The name's characters, all of them ASCII, as text for people. */
void pipe_name_text(const wchar_t *name, char out[PIPE_NAME_MAX]);
/* Books of what is held under each name. pipe_name_hold() finds or makes the entry and counts one
 * instance; NULL: no memory. */
struct pipe_name *pipe_name_hold(struct pipe_self *s, const wchar_t *text);
void pipe_name_keep(struct pipe_self *s, struct pipe_name *n);
void pipe_name_drop(struct pipe_self *s, struct pipe_name *n);
/* 1: the name had no listener, and has one now; 0: it is taken. */
int pipe_name_claim(struct pipe_self *s, struct pipe_name *n);
/* Nothing is held under it but what pipe_name_hold() has just counted. */
int pipe_name_only(struct pipe_self *s, const struct pipe_name *n);
void pipe_name_unclaim(struct pipe_self *s, struct pipe_name *n);

/* -- pipe_peer.c ------------------------------------------------------------------------------- */

/* The text of the user of a token, "S-1-5-...": 0 or an error. */
DWORD pipe_user_of(const struct pipe_self *s, HANDLE token, char *buf, size_t cap);
via_rc pipe_peer_read(const struct pipe_self *s, HANDLE pipe, int is_server, via_peer *out);

/* -- pipe_link.c, pipe_listen.c ---------------------------------------------------------------- */

extern const uint64_t pipe_caps;
/* Makes a link of a connected pipe, which it owns from now on, also when this fails. name: of the
 * instance, for the server's end; it is dropped with the handle. NULL for the client's. */
via_rc pipe_link_make(struct pipe_self *s, HANDLE h, struct pipe_name *name, uint32_t packet,
		      via_link **out);
/* Frees closed links whose last record has gone out; all of them: also the others. */
void pipe_reap(struct pipe_self *s, int all);
via_rc VIA_CALL pipe_listen(void *self, const via_address *a, via_listener **out);

#endif
