/* SPDX-License-Identifier: Apache-2.0
 * bench/compare.h - what every comparator gives: two sides that exchange a counter. */
#ifndef VIA_BENCH_COMPARE_H
#define VIA_BENCH_COMPARE_H
#include <stdint.h>

enum { COMPARE_RECORD = 40, COMPARE_COUNTER_AT = 32 }; /* behind as much as a wire header */

#define COMPARE_END UINT64_MAX /* a counter that asks the server to end */

typedef struct compare_pair {
	char address[128]; /* of the libraries' sockets: a path below the run directory */
	int one_cpu;       /* whoever spins must let the other run */
	int poll;          /* sockets: never block */
	int fd[2];         /* sockets: client's and server's end */
	void *memory;      /* shared by both sides */
	void *library;     /* the side's own socket */
} compare_pair;

/* Each function ends the process when something is wrong. listen and serve run in the server's process,
 * connect, send, recv in the client's. A comparator of one process has neither listen nor serve. */
typedef struct comparator {
	const char *name, *policy;
	int can_pipeline, poll;
	const char *(*version)(void);  /* of the library; NULL: none */
	void (*open)(compare_pair *p); /* before the fork; may be NULL */
	void (*listen)(compare_pair *p);
	void (*serve)(compare_pair *p); /* answers counter + 1 until COMPARE_END */
	void (*connect)(compare_pair *p);
	void (*send)(compare_pair *p, uint64_t counter);
	uint64_t (*recv)(compare_pair *p);
} comparator;

extern const comparator compare_line, compare_futex, compare_futex_wake, compare_seqpacket_block,
	compare_seqpacket_poll, compare_nng, compare_zmq;

/* Prints what was wrong and ends the process; error is an errno, 0 for none. */
_Noreturn void compare_die(const char *what, int error);

/* Writes a counter into a record, or reads it: the last 8 bytes. */
void compare_put(uint8_t record[COMPARE_RECORD], uint64_t counter);
uint64_t compare_get(const uint8_t record[COMPARE_RECORD]);

#endif
