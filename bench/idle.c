/* bench/idle.c - what an idle server with idle sessions costs: context switches of all its threads.
 *
 * usage: bench_idle MODULE_PATH RUN_DIR [SESSIONS [SECONDS]]
 *
 * Exit status 1 unless the count is zero once the handshakes' deadlines are through. */
#include "bench.h"
#include <dirent.h>
#include <string.h>
#include <time.h>

static long switches_of(const char *path)
{
	char line[256];
	FILE *f = fopen(path, "r");
	long n = 0, v;

	while (f != NULL && fgets(line, sizeof line, f) != NULL)
		if (sscanf(line, "voluntary_ctxt_switches: %ld", &v) == 1 ||
		    sscanf(line, "nonvoluntary_ctxt_switches: %ld", &v) == 1)
			n += v;
	if (f != NULL)
		fclose(f);
	return n;
}

static long switches(pid_t pid)
{
	char path[600];
	struct dirent *e;
	long n = 0;
	DIR *d;

	snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
	d = opendir(path);
	while (d != NULL && (e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof path, "/proc/%d/task/%s/status", (int)pid, e->d_name);
		n += switches_of(path);
	}
	if (d != NULL)
		closedir(d);
	return n;
}

static void wait_seconds(unsigned s)
{
	struct timespec t = {.tv_sec = s};

	nanosleep(&t, NULL);
}

int main(int argc, char **argv)
{
	int n = argc > 3 ? atoi(argv[3]) : 100;
	unsigned seconds = argc > 4 ? (unsigned)atoi(argv[4]) : 5;
	via_endpoint ep = {.struct_size = sizeof ep, .service = "increment"};
	bench_server server;
	via_session **s;
	via_registry *r;
	long before, count;
	int i;

	if (argc < 3 || n < 1 || seconds < 1) {
		fprintf(stderr, "usage: %s MODULE_PATH RUN_DIR [SESSIONS [SECONDS]]\n", argv[0]);
		return 2;
	}
	ep.run_dir = argv[2];
	server = bench_server_start(argv[1], argv[2]);
	r = bench_registry(argv[1]);
	s = calloc((size_t)n, sizeof(*s));
	for (i = 0; s != NULL && i < n; i++)
		bench_check(via_session_connect(r, &ep, NULL, via_deadline(5000000000u), &s[i]),
			    "connect");
	wait_seconds(6); /* one second past the handshakes' deadlines */
	before = switches(server.pid);
	wait_seconds(seconds);
	count = switches(server.pid) - before;
	printf("idle server, %d idle sessions: %ld context switches in %u s\n", n, count, seconds);
	for (i = 0; s != NULL && i < n; i++)
		via_session_close(s[i]);
	free(s);
	bench_check(via_registry_close(r), "close");
	bench_server_stop(&server);
	return count == 0 ? 0 : 1;
}
