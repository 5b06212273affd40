/* SPDX-License-Identifier: Apache-2.0
 * tests/session/script.h - a baseline transport whose links play scripts: what comes in is what the test
 * queued, what goes out is kept, and any send can be made to answer AGAIN or to fail.
 *
 * It is a builtin module of the test's registry (script_builtins), so that everything above it is the real
 * thing. Free of the test framework: the fuzz harness uses it too. */
#ifndef VIA_TEST_SCRIPT_H
#define VIA_TEST_SCRIPT_H
#include "core/os/os.h"
#include "core/registry/reg.h"
#include <stdatomic.h>

enum { SCRIPT_MAX_IN = 512, SCRIPT_MAX_OUT = 8192, SCRIPT_MAX_LINKS = 64, SCRIPT_HANDLES = 8 };

typedef struct script_record {
	uint8_t *data;
	uint32_t len, flags; /* VIA_VIEW_* */
	via_handle
		handle[SCRIPT_HANDLES]; /* in: waits for take_handles(); out: what was given away */
	uint32_t n_handles;
} script_record;

/* One link. Settings are made before it is used; the rest is for looking at. */
typedef struct script_link {
	via_link base; /* first */
	via_limits limits;
	os_waker *waker; /* set while recv() has something to say */
	script_record in[SCRIPT_MAX_IN];
	uint32_t n_in, next_in;
	via_rc end;     /* what recv() answers when the queue is empty; VIA_OK: AGAIN */
	uint32_t asked; /* for at most so many records, by the last recv() */
	int view_out;
	script_record out[SCRIPT_MAX_OUT];
	uint32_t n_out;
	uint32_t sends;               /* calls of send() so far */
	uint32_t again_from, again_n; /* calls again_from ... + n - 1 answer AGAIN */
	uint32_t fail_at;             /* this call (from 1) answers fail_rc; 0: none */
	via_rc fail_rc;
	via_rc fail_arm; /* every arm() answers this; VIA_OK: none */
	via_rc fail_expect;
	uint32_t expected; /* of expect(); 0: never called */
	int misused;       /* a verb was called that its contract forbids */
	_Atomic via_rc aborted;
	int closed;
} script_link;

extern const core_builtin script_builtins[];

/* The next link that dial() or accept() hands out. Owned by the script; freed by script_reset(). */
script_link *script_dialled(void);
script_link *script_accepted(void);
/* What dial() answers instead of a link; VIA_OK: a link if there is one, else UNREACH. */
void script_dial_fails(via_rc rc);
/* Frees every link and forgets every setting. Returns how many were never closed or were misused. */
int script_reset(void);

/* A record for recv(); copied. flags: VIA_VIEW_SHARED, VIA_VIEW_CUT. */
script_record *script_push(script_link *l, const void *data, uint32_t len, uint32_t flags);
void script_end(script_link *l, via_rc rc);

#endif
