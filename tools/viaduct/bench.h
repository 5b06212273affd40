/* SPDX-License-Identifier: Apache-2.0
 * tools/viaduct/bench.h - `viaduct bench`: what its parts share.
 *
 *   bench.c          options, the rows that follow from them
 *   bench_row.c      one row: set up, warm up, measure, tear down
 *   bench_calls.c    the scenarios that are calls, one after another
 *   bench_pipe.c     the scenarios with several messages under way
 *   bench_server.c   the server's side: services, and the process that serves them
 *   bench_host.c     the client's hold on that process
 *   bench_watch.c    the thread that hears signals and shows how it goes
 *   bench_out.c      results for people, as CSV and as JSON
 */
#ifndef VIA_TOOLS_BENCH_H
#define VIA_TOOLS_BENCH_H
#include <viaduct/codecs/cgroups_snapshot.h> /* before viaduct.h: it has a type called kind */
#include <viaduct/codecs/increment.h>

#include "viaduct.h"

#include "../lib/hist.h"
#include "../lib/sys_process.h"
#include "../lib/table.h"

#include <stdatomic.h>

#define BENCH_PATIENCE_NS 10000000000ull /* without any answer */
#define BENCH_PATIENCE_MS 10000u
#define BENCH_SAMPLE 64u           /* of fast calls one in so many is timed */
#define BENCH_FAST_NS 2000u        /* calls up to this are fast */
#define BENCH_UNLIMITED UINT64_MAX /* operations of a phase */
#define BENCH_METHOD 1u            /* increment: the request of every scenario but snapshot */
#define BENCH_MIN_BYTES 64u
#define BENCH_MAX_BYTES 16777216u
#define BENCH_MAX_DEPTH 64u
#define BENCH_MAX_ITEMS 1000u

enum { BENCH_CLIENT = 1, BENCH_SESSION = 2, BENCH_NONE = 3 };
enum { BENCH_NO_PIN, BENCH_PIN, BENCH_ONE_CPU };

typedef struct bench_run bench_run;

/* One operation, verified. 1, or 0 after bench_fail(). */
typedef int bench_op(bench_run *b);

typedef struct bench_scenario {
	const char *name, *about;
	const char *service; /* endpoint */
	const char *units;   /* what there are several of in an operation; NULL: nothing */
	bench_op *open;      /* before the first operation; may be NULL */
	bench_op *prepare;   /* before each one, not timed; may be NULL */
	bench_op *op;        /* NULL: several messages under way, see bench_pipe.c */
	void (*close)(bench_run *b);
	uint32_t link; /* BENCH_CLIENT...: what is connected for it */
	uint8_t has_depth, has_items, has_batches, has_bytes;
} bench_scenario;

extern const bench_scenario bench_scenarios[]; /* ends with name NULL */
extern const bench_scenario bench_memcpy;      /* what payload is compared with */

typedef struct bench_row {
	const bench_scenario *scenario;
	const char *transport; /* endpoint text */
	const char *policy_name;
	const char *profiles; /* to offer, as text; NULL: what belongs to the transport */
	uint32_t asked;       /* profiles, one of which must come out of the handshake */
	uint32_t offered;     /* mask for the configuration, 0: what the endpoint text says */
	int is_local;         /* the server runs in this process */
	uint32_t policy, pin, depth, min_items, max_items, bytes;
	uint64_t rate; /* operations per second, 0: as fast as they go */
	uint64_t ns, warmup_ns;
} bench_row;

typedef struct bench_setup { /* what all rows have in common */
	const char *module_path, *server_program, *server_modules;
	uint32_t module_policy; /* of both sides, VIA_MODULES_* */
	int verbose;
} bench_setup;

typedef struct bench_result {
	uint64_t ops, units, verified, span_ns, client_cpu_ns, server_cpu_ns;
	uint32_t profile, stride; /* every stride'th operation was timed */
	char client_build[64], server_build[64];
	hist times;
} bench_result;

/* -- bench_server.c -------------------------------------------------------------------------- */

typedef struct bench_server {
	via_registry *registry;
	via_server *server;
	const bench_row *row;
	uint8_t *source; /* payload: what is copied into each answer */
	via_cgroups_item *items;
	char *names;
} bench_server;

/* Serves what a row needs. The row must outlive it. Returns CLI_OK, or says why not. */
int bench_server_open(bench_server *s, via_registry *r, const bench_row *row, const char *run_dir);
void bench_server_close(bench_server *s);
/* `viaduct bench --serve DIR`: until standard input ends. */
int bench_serve(const bench_setup *setup, const bench_row *row, const char *run_dir);

/* Both sides' limits of a row. */
void bench_config(const bench_row *row, via_session_config *out);
/* Compiler, and where the transport's code comes from. */
void bench_build(via_registry *r, const char *transport, char *out, size_t cap);
/* The i-th number of a payload, but for the first and last one. */
static inline uint64_t bench_word(uint64_t i)
{
	return (i ^ 0x5DEECE66Du) * 0x9E3779B97F4A7C15u;
}
int bench_open_registry(const bench_setup *setup, const bench_row *row, via_registry **out);
/* Name of the baseline that is used when none is named. */
int bench_best(via_registry *r, char *name, size_t cap);
/* Transports by name: fills transport, asked, offered and is_local. text is short or whole; room for
 * cap bytes in name. Returns CLI_OK, or says why not. */
int bench_resolve(via_registry *r, const char *text, bench_row *row, char *name, size_t cap);

/* -- bench_host.c ---------------------------------------------------------------------------- */

typedef struct bench_host {
	const bench_setup *setup;
	const bench_row *row;
	char run_dir[SYS_PATH];
	int has_dir, is_serving;
	via_registry *registry; /* the client's */
	bench_server local;
	sys_child child;
	char build[64];
	char why[2 * SYS_WHY];
} bench_host;

/* Each returns 1, or 0 with h->why. */
int bench_host_start(bench_host *h, const bench_setup *setup, const bench_row *row);
int bench_host_pin(bench_host *h, uint32_t cpu);
int bench_host_cpu(bench_host *h, uint64_t *ns);
/* Starts both sides' registries anew. */
int bench_host_renew(bench_host *h);
/* Ends the server and removes the directory, whatever happened. 0: it did not end well, h->why. */
int bench_host_stop(bench_host *h);

/* -- bench_row.c ----------------------------------------------------------------------------- */

typedef struct bench_phase {
	via_time start, end;
	uint64_t max_ops;
	uint64_t ops, units, verified;
	uint64_t untimed_ns; /* spent in prepare */
	via_time patience; /* an answer must be there by then; put off at every look at the clock */
	uint32_t stride;
} bench_phase;

struct bench_run {
	const bench_row *row;
	bench_host *host;
	bench_result *result;
	bench_phase phase;
	via_endpoint ep;
	via_session_config config;
	via_client *client;
	via_session *session;
	via_ref codec;
	uint64_t value;     /* the counter chain */
	uint64_t random;    /* state of bench_random() */
	struct pipe *pipe;  /* bench_pipe.c */
	uint8_t *from, *to; /* memcpy */
	char why[512];      /* the first failure */
};

/* Measures a row. Returns CLI_OK, or says why not. */
int bench_row_run(const bench_setup *setup, const bench_row *row, bench_result *out);
/* Remembers the first failure. Returns 0. */
int bench_fail(bench_run *b, const char *fmt, ...) TOOLS_PRINTF(2, 3);
int bench_fail_rc(bench_run *b, via_rc rc, const char *what);
/* Connects b->session or b->client, and looks at the profile. */
int bench_connect_session(bench_run *b);
int bench_connect_client(bench_run *b);
void bench_disconnect(bench_run *b);
/* Sleeps until an operation is due; 0: told to stop. */
int bench_pace(via_time due);
/* When operation i of this phase is due. */
via_time bench_due(const bench_run *b, uint64_t i);
uint64_t bench_random(uint64_t *state);

/* -- bench_pipe.c ---------------------------------------------------------------------------- */

int bench_pipe_open(bench_run *b);
void bench_pipe_close(bench_run *b);
/* Runs the phase. */
int bench_pipe_run(bench_run *b);

/* -- bench_watch.c --------------------------------------------------------------------------- */

extern atomic_int bench_stop;             /* told to stop */
extern _Atomic uint64_t bench_ops_so_far; /* of the phase under way, for the live line */

/* Starts the thread. is_live: shows progress on the terminal. */
int bench_watch_start(int is_live);
void bench_watch_stop(void);
/* What is measured now; NULL ends the line. */
void bench_watch_row(const bench_row *row, via_time start);
/* What is to be aborted when told to stop. Both NULL: nothing. */
void bench_watch_link(via_client *c, via_session *s);

/* -- bench_out.c ----------------------------------------------------------------------------- */

enum { BENCH_TEXT, BENCH_CSV, BENCH_JSON };

typedef struct bench_out {
	uint32_t form;
	json_writer json;
	buf text;
	table table; /* the summary */
	uint32_t n_rows;
} bench_out;

int bench_out_begin(bench_out *o, uint32_t form);
int bench_out_row(bench_out *o, const bench_row *row, const bench_result *r);
int bench_out_end(bench_out *o);

#endif
