/* bench/compare_zmq.c - the comparator zmq-ipc: two pair sockets of the library ZeroMQ over ipc. */
#include "compare.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <zmq.h>

static void check(int is_good, const char *what)
{
	if (is_good)
		return;
	fprintf(stderr, "bench_compare: zmq: %s: %s\n", what, zmq_strerror(zmq_errno()));
	exit(1);
}

static void *open_socket(compare_pair *p)
{
	void *context = zmq_ctx_new();

	check(context != NULL, "context");
	p->library = zmq_socket(context, ZMQ_PAIR);
	check(p->library != NULL, "socket");
	return p->library;
}

static void put(void *s, uint64_t counter)
{
	uint8_t record[COMPARE_RECORD];

	compare_put(record, counter);
	check(zmq_send(s, record, sizeof record, 0) == COMPARE_RECORD, "send");
}

static uint64_t get(void *s)
{
	uint8_t record[COMPARE_RECORD];

	check(zmq_recv(s, record, sizeof record, 0) == COMPARE_RECORD, "receive");
	return compare_get(record);
}

static void zmq_side_listen(compare_pair *p)
{
	check(zmq_bind(open_socket(p), p->address) == 0, "bind");
}

static void zmq_side_serve(compare_pair *p)
{
	uint64_t counter;

	while ((counter = get(p->library)) != COMPARE_END)
		put(p->library, counter + 1);
}

static void zmq_side_connect(compare_pair *p)
{
	check(zmq_connect(open_socket(p), p->address) == 0, "connect");
}

static void zmq_side_send(compare_pair *p, uint64_t counter)
{
	put(p->library, counter);
}

static uint64_t zmq_side_recv(compare_pair *p)
{
	return get(p->library);
}

static const char *zmq_side_version(void)
{
	static char text[40];
	int major, minor, patch;

	zmq_version(&major, &minor, &patch);
	snprintf(text, sizeof text, "%d.%d.%d", major, minor, patch);
	return text;
}

const comparator compare_zmq = {.name = "zmq-ipc",
				.policy = "library",
				.version = zmq_side_version,
				.listen = zmq_side_listen,
				.serve = zmq_side_serve,
				.connect = zmq_side_connect,
				.send = zmq_side_send,
				.recv = zmq_side_recv};
