/* bench/compare_nng.c - the comparator nng-ipc: two pair sockets of the library nng over ipc. */
#include "compare.h"
#include <nng/nng.h>
#include <nng/protocol/pair0/pair.h>
#include <stdio.h>
#include <stdlib.h>

static void check(int rc, const char *what)
{
	if (rc == 0)
		return;
	fprintf(stderr, "bench_compare: nng: %s: %s\n", what, nng_strerror(rc));
	exit(1);
}

static nng_socket open_socket(compare_pair *p)
{
	nng_socket *s = malloc(sizeof *s);

	if (s == NULL)
		compare_die("nng socket", 0);
	check(nng_pair0_open(s), "socket");
	p->library = s;
	return *s;
}

static void put(nng_socket s, uint64_t counter)
{
	uint8_t record[COMPARE_RECORD];

	compare_put(record, counter);
	check(nng_send(s, record, sizeof record, 0), "send");
}

static uint64_t get(nng_socket s)
{
	uint8_t record[COMPARE_RECORD];
	size_t len = sizeof record;

	check(nng_recv(s, record, &len, 0), "receive");
	if (len != sizeof record)
		compare_die("nng: a record of another length", 0);
	return compare_get(record);
}

static void nng_side_listen(compare_pair *p)
{
	check(nng_listen(open_socket(p), p->address, NULL, 0), "listen");
}

static void nng_side_serve(compare_pair *p)
{
	nng_socket s = *(nng_socket *)p->library;
	uint64_t counter;

	while ((counter = get(s)) != COMPARE_END)
		put(s, counter + 1);
}

static void nng_side_connect(compare_pair *p)
{
	check(nng_dial(open_socket(p), p->address, NULL, 0), "dial");
}

static void nng_side_send(compare_pair *p, uint64_t counter)
{
	put(*(nng_socket *)p->library, counter);
}

static uint64_t nng_side_recv(compare_pair *p)
{
	return get(*(nng_socket *)p->library);
}

static const char *nng_side_version(void)
{
	return nng_version();
}

const comparator compare_nng = {.name = "nng-ipc",
				.policy = "library",
				.version = nng_side_version,
				.listen = nng_side_listen,
				.serve = nng_side_serve,
				.connect = nng_side_connect,
				.send = nng_side_send,
				.recv = nng_side_recv};
