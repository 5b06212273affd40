/* SPDX-License-Identifier: Apache-2.0
 * tests/link/rig.h - opens real module files without the core, and counts what they leave behind.
 *
 * The rig is a host table of its own: allocations and system calls are counted and can be made to
 * fail.
 * rig_close() fails the test when a descriptor, a mapping, an allocation or a file is left. */
#ifndef VIA_TESTS_LINK_RIG_H
#define VIA_TESTS_LINK_RIG_H
#include <criterion/criterion.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <viaduct/module.h>

enum { RIG_MAX_LAYERS = 4, RIG_NAME_MAX = 64, RIG_STACK_MAX = 160 };
#define RIG_MS ((uint64_t)1000000)
#define RIG_SOON (10000 * RIG_MS) /* deadline of what must happen */

/* -- host -------------------------------------------------------------------------------------- */

enum { RIG_FAIL, RIG_EXIT }; /* what happens at the nth system call */

typedef struct rig_host {
	via_host h;
	via_sysgate gate;
	_Atomic int64_t live;    /* allocations not freed */
	_Atomic uint32_t allocs; /* made so far */
	_Atomic uint32_t calls;  /* of the gate */
	uint32_t fail_alloc;     /* the nth allocation fails; 0: none */
	uint32_t fail_call;      /* the nth system call; 0: none */
	int how;                 /* RIG_FAIL or RIG_EXIT */
	int32_t error;           /* errno of RIG_FAIL, status of RIG_EXIT */
	void (*hook)(void *arg,
		     const char *call); /* sees every call before it is made; may be NULL */
	void *hook_arg;
} rig_host;

/* What the last host->fail() of this thread said. */
const char *rig_detail(void);
void rig_detail_clear(void);

/* -- rig --------------------------------------------------------------------------------------- */

typedef struct rig_layer {
	void *image;
	const via_module_desc *desc;
	const via_transport *t;
	void *self;
	int is_up; /* initialised */
} rig_layer;

typedef struct rig {
	rig_host host;
	char stack[RIG_STACK_MAX];
	char baseline[RIG_NAME_MAX];
	char dir[64];                    /* the run directory: exists, empty, 0700 */
	rig_layer layer[RIG_MAX_LAYERS]; /* baseline first */
	rig_layer up[RIG_MAX_LAYERS];    /* the upgrade first; none without '>' */
	uint32_t n, n_up;
	uint32_t profile; /* of the upgrade, behind ':' in the stack; 0: the lowest it serves */
	via_listener *listener;
	via_link *a, *b;                /* dialled, accepted; with an upgrade: its data links */
	uint64_t session_id;            /* of the last pair that was upgraded */
	char decor[160];                /* configuration of decorators, or empty */
	int64_t own;                    /* allocations of the modules' own state */
	uint32_t descriptors, mappings; /* when it was opened */
} rig;

/* The file of the module that a stack calls so. rig_modules.c looks into the build; the program for
 * third parties has its own answer. */
void rig_module_file(const char *name, char *file, size_t cap);
/* Maps it and asks for its transport of that name. 1, or 0 with a sentence. */
int rig_load(rig_layer *l, const char *name, char *why, size_t cap);
/* Loads the modules, makes the run directory. Fails the test if it cannot. */
void rig_open(rig *r, const char *stack);
/* Closes what is open and checks that nothing is left. */
void rig_close(rig *r);
/* Only the check: nothing but the rig itself is there. */
void rig_check_clean(rig *r);
void rig_check_files(rig *r, uint32_t expected);
/* Finishes and initialises the modules again, with this configuration for the baseline. */
via_rc rig_init_modules(rig *r, const char *config);
void rig_fini_modules(rig *r);

/* "BASELINE.key=value\n" */
const char *rig_option(const rig *r, const char *key, const char *value);
via_address rig_address(const rig *r, const char *service, const char *config);
/* All layers of the baseline. *out is written on VIA_OK only. */
via_rc rig_listen(rig *r, const char *config, via_listener **out);
via_rc rig_dial(rig *r, const char *config, via_link **out);
via_rc rig_accept(rig *r, via_listener *l, via_link **out);
/* Decorates a link of layers[0] in place; on failure it is closed. */
via_rc rig_wrap(const rig *r, const rig_layer *layers, uint32_t n, via_link **link);
/* Dials, accepts and, when the stack has an upgrade, provisions and attaches, as the core does. Both or
 * none; nothing is waited for but the upgrade's handles. */
via_rc rig_try_pair(rig *r, via_listener *l, via_link **a, via_link **b);
/* Listens, and makes a pair into r->a, b. rig_pair(): the listener is there already. */
void rig_connect(rig *r);
void rig_pair(rig *r);
/* Ends a link, and then the baseline under it if it has been upgraded. */
void rig_hang_up(via_link **l);
void rig_shutdown(via_link *l);
void rig_abort(via_link *l, via_rc why);
/* The baseline that an upgraded link lies on; any other link itself. */
via_link *rig_base(via_link *l);
/* The transport that made r->a and r->b. */
const via_transport *rig_transport(const rig *r);

/* -- by capability ----------------------------------------------------------------------------- */

/* Without VIA_CAP_PIPELINE there is one record in flight and the ends take turns, the dialling one first:
 * what it sent is answered before it may send again. Tests that send many records do so one by one there. */
int rig_pipelines(const rig *r);
/* Gives the turn back to r->a after it has been heard; nothing to do on a link that pipelines. */
void rig_answer(rig *r);
/* Without VIA_CAP_HUP the link itself never hears of the peer's end: the baseline does, and whoever
 * waits on both (rig_wait_set(), the core) ends the link then, once nothing is left in it. */
int rig_hears_the_end(const via_link *l);
void rig_stop(via_listener **l);

/* -- verbs with a deadline --------------------------------------------------------------------- */

via_time rig_now(void);
/* Sleeps on an armed object: 1 ready, 0 deadline. */
int rig_sleep(const via_waitobj *o, via_time deadline);
/* The same for one or two: 1 one of them is ready. */
int rig_sleep_any(const via_waitobj *o, uint32_t n, via_time deadline);
/* Arms the link and, where it does not hear the end by itself, the baseline under it; by one thread for
 * each lane. Objects to sleep on, or VIA_BUSY, or how it ended. After a number: rig_wait_done(). */
via_rc rig_wait_set(via_link *l, uint32_t events, via_waitobj o[2]);
void rig_wait_done(via_link *l, uint32_t events, via_rc n);
/* All of that: VIA_OK try again, VIA_TIMEOUT, or how it ended. */
via_rc rig_wait(via_link *l, uint32_t events, via_time deadline);
/* One recv(); an end that only the baseline knows is found as well. */
via_rc rig_look(via_link *l, via_view *out);
/* Sets an event object that is nobody's business to set. */
void rig_signal(const via_waitobj *o);
via_rc rig_accept_soon(rig *r, via_listener *l, via_link **out);
via_rc rig_get(via_link *l, via_view *out);                  /* one record, or how the link ended */
via_rc rig_put(via_link *l, const void *data, uint32_t len); /* VIA_OK, or why not */
via_rc rig_send_once(via_link *l, const void *data,
		     uint32_t len); /* no waiting; VIA_OK when taken */

/* Bytes that depend on their number; fails the test where they differ. */
void rig_fill(uint8_t *p, uint32_t len, uint32_t number);
void rig_check_fill(const via_view *v, uint32_t len, uint32_t number);
/* Takes the next record, compares, releases. */
void rig_expect_record(via_link *l, uint32_t len, uint32_t number);

/* -- system ------------------------------------------------------------------------------------ */

uint64_t rig_process_id(void);
uint32_t rig_descriptors(void);
uint32_t rig_mappings(void); /* of files and shared memory */
uint32_t rig_files(const char *dir);

typedef struct rig_thread rig_thread;
rig_thread *rig_thread_start(void (*fn)(void *), void *arg);
void rig_thread_join(rig_thread *t);

/* A handle to give away, and the other end to see that it is the same thing. */
typedef struct rig_token {
	via_handle give;
	int64_t keep;
} rig_token;
void rig_token_make(rig_token *t);
int rig_token_works(const rig_token *t, const via_handle *got); /* closes got */
int rig_token_is_gone(const rig_token *t); /* nobody holds the given end any more */
void rig_token_done(rig_token *t);

#endif
