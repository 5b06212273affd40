/* bench/roundtrip.c - increment calls over the baseline against bare SEQPACKET round trips of the same size.
 *
 * usage: bench_roundtrip MODULE_PATH RUN_DIR [CALLS [ROUNDS]]
 *        bench_roundtrip --only MODULE_PATH RUN_DIR CALLS     ns of one call, nothing else
 *
 * Every round measures the three one after another, each between two processes; the ratios are taken
 * within a round and their median is reported. Every call's answer is checked. */
#include "bench.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

enum { RECORD = 40, MAX_ROUNDS = 99 };

/* -- bare sockets ----------------------------------------------------------------------------------- */

static ssize_t receive(int fd, void *buf, int flags)
{
	ssize_t n;

	do
		n = recv(fd, buf, RECORD, flags);
	while (n < 0 && (errno == EAGAIN || errno == EINTR));
	return n;
}

static void echo(int fd, int flags)
{
	uint8_t buf[RECORD];

	while (receive(fd, buf, flags) == RECORD)
		if (send(fd, buf, RECORD, MSG_NOSIGNAL) != RECORD)
			break;
	_exit(0);
}

/* ns per round trip; flags: MSG_DONTWAIT polls, 0 blocks. */
static double raw_roundtrip(int flags, long calls)
{
	uint8_t out[RECORD] = {0}, in[RECORD];
	via_time t0;
	int fd[2];
	pid_t pid;
	long i;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fd) != 0)
		exit(1);
	pid = fork();
	if (pid == 0) {
		close(fd[0]);
		echo(fd[1], flags);
	}
	close(fd[1]);
	t0 = via_now();
	for (i = 0; i < calls; i++) {
		memcpy(out, &i, sizeof i);
		if (send(fd[0], out, RECORD, MSG_NOSIGNAL) != RECORD ||
		    receive(fd[0], in, flags) != RECORD || memcmp(in, out, RECORD) != 0)
			exit(1);
	}
	t0 = via_now() - t0;
	close(fd[0]);
	waitpid(pid, NULL, 0);
	return (double)t0 / (double)calls;
}

/* -- viaduct ------------------------------------------------------------------------------------------- */

static void call(via_client *c, uint64_t *value)
{
	via_request q = {.method = 1, .payload = value, .payload_len = sizeof *value};
	uint64_t want = *value + 1;
	via_reply a;

	bench_check(via_client_call(c, &q, 0, &a), "call");
	if (a.payload_len != sizeof *value || memcmp(a.payload, &want, sizeof want) != 0) {
		fprintf(stderr, "the counter chain is broken\n");
		exit(1);
	}
	*value = want;
}

static double via_roundtrip(const char *modules, const char *run_dir, long calls)
{
	via_client_options o = {.struct_size = sizeof o};
	bench_server server = bench_server_start(modules, run_dir);
	via_registry *r = bench_registry(modules);
	uint64_t value = 0;
	via_client *c;
	via_time t0;
	long i;

	o.endpoint = (via_endpoint){.struct_size = sizeof o.endpoint,
				    .service = "increment",
				    .run_dir = run_dir};
	bench_check(via_client_open(r, &o, &c), "client");
	bench_check(via_client_refresh(c, via_deadline(5000000000u)), "connect");
	call(c, &value); /* loads the service */
	t0 = via_now();
	for (i = 0; i < calls; i++)
		call(c, &value);
	t0 = via_now() - t0;
	via_client_close(c);
	bench_check(via_registry_close(r), "close");
	bench_server_stop(&server);
	return (double)t0 / (double)calls;
}

int main(int argc, char **argv)
{
	long calls = argc > 3 ? atol(argv[3]) : 20000;
	int rounds = argc > 4 ? atoi(argv[4]) : 9;
	double polled[MAX_ROUNDS], blocking[MAX_ROUNDS], via[MAX_ROUNDS], to_polled[MAX_ROUNDS],
		to_blocking[MAX_ROUNDS];
	int i;

	if (argc == 5 && strcmp(argv[1], "--only") == 0) {
		printf("%.1f\n", via_roundtrip(argv[2], argv[3], atol(argv[4])));
		return 0;
	}
	if (argc < 3 || calls < 1 || rounds < 1 || rounds > MAX_ROUNDS) {
		fprintf(stderr, "usage: %s MODULE_PATH RUN_DIR [CALLS [ROUNDS]]\n", argv[0]);
		return 2;
	}
	for (i = 0; i < rounds; i++) {
		polled[i] = raw_roundtrip(MSG_DONTWAIT, calls);
		via[i] = via_roundtrip(argv[1], argv[2], calls);
		blocking[i] = raw_roundtrip(0, calls / 10 + 1);
		to_polled[i] = via[i] / polled[i];
		to_blocking[i] = blocking[i] / via[i];
	}
	printf("increment over the baseline / raw busy-polled SEQPACKET round trip: %.2f\n",
	       bench_median(to_polled, rounds));
	printf("raw blocking SEQPACKET round trip / increment over the baseline:    %.2f\n",
	       bench_median(to_blocking, rounds));
	printf("medians of %d rounds of %ld calls: polled %.2f us, increment %.2f us, blocking %.2f us\n",
	       rounds, calls, bench_median(polled, rounds) / 1e3, bench_median(via, rounds) / 1e3,
	       bench_median(blocking, rounds) / 1e3);
	return 0;
}
