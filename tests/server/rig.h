/* SPDX-License-Identifier: Apache-2.0
 * tests/server/rig.h - a registry and a managed server that count what they take, a service that does what a
 * test asks of it, and clients of both levels.
 *
 * rig_close() fails the test when an allocation, a descriptor, a thread or a file is left. */
#ifndef VIA_TESTS_SERVER_RIG_H
#define VIA_TESTS_SERVER_RIG_H
#include "core/os/os.h"
#include "platform.h"
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <viaduct/app/client.h>
#include <viaduct/app/server.h>
#include <viaduct/codecs/increment.h>
#include <viaduct/codecs/string_reverse.h>

enum { RIG_STACK_MAX = 24 };
enum { RIG_LOG = 1 << 17, RIG_CALLS = 256, RIG_SESSIONS = 1 << 15 };
#define RIG_MS ((uint64_t)1000000)
#define RIG_SOON (20000 * RIG_MS) /* deadline of what must happen: only a hang reaches it */
#define NUMBER VIA_INCREMENT_METHOD
#define TEXT VIA_STRING_REVERSE_METHOD

/* STACK_TEST(suite, name) { ... }: once for every baseline of the platform, alone and with each upgrade; what
 * an endpoint calls it is in `stack`. */
extern char rig_stacks[][RIG_STACK_MAX];
extern const size_t rig_n_stacks;
#define STACK_TEST(S, N) \
	ParameterizedTestParameters(S, N) \
	{ \
		return cr_make_param_array(char[RIG_STACK_MAX], rig_stacks, rig_n_stacks); \
	} \
	ParameterizedTest(char stack[RIG_STACK_MAX], S, N)

/* -- waiting ----------------------------------------------------------------------------------- */

void rig_pause(void); /* lets others run; callers look at a condition again and again */
#define rig_until(condition) \
	do { \
		via_time rig_end_ = via_deadline(RIG_SOON); \
		while (!(condition)) { \
			cr_assert_lt(via_now(), rig_end_, "%s:%d: never: %s", __FILE__, __LINE__, \
				     #condition); \
			rig_pause(); \
		} \
	} while (0)

/* -- registry and server ----------------------------------------------------------------------- */

typedef struct rig {
	char stack[RIG_STACK_MAX];
	char dir[64];      /* run directory: exists, empty */
	char modules[256]; /* module path */
	uint32_t policy;
	via_registry *reg;
	via_server *srv;
	via_server_options options;
	via_hooks hooks;
	_Atomic int64_t live;              /* allocations not freed */
	atomic_uint allocs, gates;         /* made, asked so far */
	atomic_uint fail_alloc, fail_gate; /* the nth from now on fails; 0: none */
	atomic_uint failed;
	const char *_Atomic deny_call; /* every call of that name fails with deny_error */
	atomic_int deny_error;
	atomic_uint deny_after; /* so many of them pass first */
	atomic_uint denied;
	void (*on_denied)(void); /* called before such a call fails; may be NULL */
	os_mutex lock;           /* log */
	char log[RIG_LOG];
	size_t log_len;
	int descriptors, threads; /* when it was opened */
} rig;

void rig_open(rig *r, const char *stack);
/* The parts of it: nothing in between but what the test changes in r. */
void rig_prepare(rig *r, const char *stack);
via_rc rig_open_registry(rig *r);
via_rc rig_open_server(rig *r);
void rig_close(rig *r);
int rig_log_has(rig *r, const char *text);
int rig_log_count(rig *r, const char *text);
int rig_descriptors(void);
int rig_threads(void);     /* of the library */
int rig_all_asleep(void);  /* those threads; always 1 where it cannot be told */
uint64_t rig_cpu_ns(void); /* of this process, so far */
/* 1: while ns pass none of them wakes up (Linux counts), or they use next to no time (elsewhere). */
int rig_idle_for(uint64_t ns);
/* What stack is to offer so that it is what carries the data: the baseline alone, or everything. */
uint32_t rig_profiles(const rig *r);
via_endpoint rig_endpoint(const rig *r, const char *service);
via_server_stats rig_stats(rig *r);
/* Server and registry have nothing open but what they had at the start; returns to the state after rig_prepare(). */
void rig_stop(rig *r);

/* -- the service of a test --------------------------------------------------------------------- */

typedef struct rig_svc rig_svc;
typedef struct rig_session {
	rig_svc *svc;
	atomic_int calls; /* running or owed */
	atomic_int closed;
	atomic_int used; /* for the test */
} rig_session;

struct rig_svc {
	via_service vt;
	const char *codecs[3];
	via_rc (*behave)(rig_svc *, rig_session *, via_call *);
	via_rc open_rc;
	rig *r;
	atomic_int calls, running, most_running, opens, closes, wrong_closes, cancels, held;
	os_mutex lock;
	os_cond cond;
	int shut; /* calls of rig_held() wait */
	rig_session sessions[RIG_SESSIONS];
	/* calls left with VIA_PENDING, in order */
	uint64_t token[RIG_CALLS], number[RIG_CALLS];
	rig_session *of[RIG_CALLS];
	atomic_int n_pending;
	_Atomic uint64_t cancelled;
};

/* flags: VIA_SVC_*. Methods NUMBER and TEXT. */
void rig_svc_open(rig_svc *v, rig *r, uint32_t flags,
		  via_rc (*behave)(rig_svc *, rig_session *, via_call *));
void rig_svc_close(rig_svc *v); /* expects open and close to be balanced */
/* Answers a number with the next one, a text with the same. */
via_rc rig_answer(rig_svc *v, rig_session *s, via_call *call);
via_rc rig_held(rig_svc *v, rig_session *s, via_call *call); /* the same, when the gate is open */
via_rc rig_pend(rig_svc *v, rig_session *s,
		via_call *call); /* notes token and number: VIA_PENDING */
void rig_gate(rig_svc *v, int shut);
void rig_reply(rig_svc *v, int nth); /* the right answer to the nth call left pending */

/* Adds the service as an endpoint and starts. */
void rig_add(rig *r, rig_svc *v, const char *service, const via_session_config *config);
void rig_start(rig *r);

/* -- clients ----------------------------------------------------------------------------------- */

/* A new client makes one call of NUMBER; VIA_OK when the answer is right. */
via_rc rig_call(rig *r, const char *service, uint64_t number);
#define rig_good(r, service) \
	do { \
		via_rc rig_rc_ = rig_call(r, service, 41); \
		cr_assert_eq(rig_rc_, VIA_OK, "%s:%d: a good client: %s: %s", __FILE__, __LINE__, \
			     via_rc_name(rig_rc_), via_error()); \
	} while (0)
via_client *rig_client(rig *r, const char *service, const via_session_config *config);
/* VIA_OK when the answer is number + 1. */
via_rc rig_client_call(via_client *c, uint64_t number);

/* Whether the client may send again before it was answered. */
int rig_pipelines(const via_session *s);
via_session *rig_connect(rig *r, const char *service, const via_session_config *config);
via_rc rig_send(via_session *s, const via_message *m); /* fills kind, waits */
via_rc rig_send_number(via_session *s, uint64_t id, uint64_t number);
/* Waits for a message; the payload is copied into buf (of cap bytes) and the message released. */
via_rc rig_recv(via_session *s, via_message *m, void *buf, size_t cap);
/* Receives and expects the answer to rig_send_number(). */
void rig_expect_number(via_session *s, uint64_t id, uint64_t number);
/* Receives and expects an empty error answer; ends: the session is closed after it. */
void rig_expect_status(via_session *s, uint64_t id, uint16_t code, uint16_t status, int ends);
/* A string-reverse payload of len bytes of text; returns its size. */
uint32_t rig_text(uint8_t *dst, uint32_t len);

/* -- threads ----------------------------------------------------------------------------------- */

os_thread *rig_thread(void (*fn)(void *), void *arg);
void rig_join(os_thread *t);

#endif
