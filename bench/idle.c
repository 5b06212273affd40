/* bench/idle.c - what idle sessions cost both sides: context switches of all threads of two processes.
 *
 * usage: bench_idle MODULE_PATH RUN_DIR TRANSPORT [SESSIONS [SECONDS]]
 *
 * Prints "transport,sessions,seconds,server_switches,client_switches". Counting begins once the
 * handshakes' deadlines are through. */
#include "bench.h"
#include <dirent.h>
#include <string.h>
#include <time.h>

enum { HANDSHAKES_S = 6 }; /* one second past their deadline */

/* The lines "voluntary_ctxt_switches:" and "nonvoluntary_ctxt_switches:". */
static long switches_of(const char *path)
{
	static const char name[] = "voluntary_ctxt_switches:";
	char line[256];
	FILE *f = fopen(path, "r");
	const char *at;
	long n = 0;

	while (f != NULL && fgets(line, sizeof line, f) != NULL) {
		at = strstr(line, name);
		if (at != NULL)
			n += strtol(at + sizeof name - 1, NULL, 10);
	}
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
	if (d == NULL) {
		fprintf(stderr, "%s cannot be read\n", path);
		exit(1);
	}
	while ((e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof path, "/proc/%d/task/%s/status", (int)pid, e->d_name);
		n += switches_of(path);
	}
	closedir(d);
	return n;
}

static void wait_seconds(unsigned s)
{
	struct timespec t = {.tv_sec = s};

	nanosleep(&t, NULL);
}

typedef struct idle {
	const char *module_path;
	via_endpoint ep;
	via_session_config config;
	uint32_t profiles; /* what must come out of the handshake */
	int n;             /* sessions */
} idle;

/* Without '>' the baseline is to carry the data itself: nothing else is offered. */
static void choose_profiles(idle *c)
{
	const char *behind = strchr(c->ep.transport, '>');
	via_provided found = {.struct_size = sizeof found};
	via_registry *r = bench_registry(c->module_path);

	bench_check(via_registry_lookup(r, VIA_KIND_TRANSPORT,
					behind != NULL ? behind + 1 : c->ep.transport, &found),
		    "transport");
	c->profiles = found.profiles;
	c->config.struct_size = sizeof c->config;
	c->config.profiles = behind != NULL ? 0 : found.profiles;
	bench_check(via_registry_close(r), "close");
}

static void serve(void *arg, int up, int stop)
{
	const idle *c = arg;
	via_registry *r = bench_registry(c->module_path);
	via_server *s;

	bench_check(via_server_open(r, NULL, &s), "server");
	bench_check(via_server_add(s, &c->ep, &c->config), "endpoint");
	bench_check(via_server_start(s), "start");
	bench_child_ready(up, stop);
	bench_check(via_server_drain(s, via_deadline(5000000000u)), "drain");
	via_server_close(s);
	bench_check(via_registry_close(r), "close");
}

static void connect_one(const idle *c, via_registry *r, via_session **out)
{
	via_session_info info = {.struct_size = sizeof info};

	bench_check(via_session_connect(r, &c->ep, &c->config, via_deadline(5000000000u), out),
		    "connect");
	via_session_get_info(*out, &info);
	if ((info.selected & c->profiles) != 0)
		return;
	fprintf(stderr, "%s: expected one of profiles 0x%x, found 0x%x\n", c->ep.transport,
		c->profiles, info.selected);
	_exit(1);
}

static void hold_sessions(void *arg, int up, int stop)
{
	const idle *c = arg;
	via_registry *r = bench_registry(c->module_path);
	via_session **s = calloc((size_t)c->n, sizeof(*s));
	int i;

	if (s == NULL)
		_exit(1);
	for (i = 0; i < c->n; i++)
		connect_one(c, r, &s[i]);
	bench_child_ready(up, stop);
	for (i = 0; i < c->n; i++)
		via_session_close(s[i]);
	free(s);
	bench_check(via_registry_close(r), "close");
}

int main(int argc, char **argv)
{
	unsigned seconds = argc > 5 ? (unsigned)bench_number(argv[5], 3600) : 5;
	idle c = {.n = argc > 4 ? bench_number(argv[4], 1000) : 100};
	bench_child server, client;
	long server_before, client_before;

	if (argc < 4 || argc > 6) {
		fprintf(stderr, "usage: %s MODULE_PATH RUN_DIR TRANSPORT [SESSIONS [SECONDS]]\n",
			argv[0]);
		return 2;
	}
	c.module_path = argv[1];
	c.ep = (via_endpoint){.struct_size = sizeof c.ep,
			      .service = "increment",
			      .run_dir = argv[2],
			      .transport = argv[3]};
	choose_profiles(&c);
	server = bench_child_start(serve, &c);
	client = bench_child_start(hold_sessions, &c);
	wait_seconds(HANDSHAKES_S);
	server_before = switches(server.pid);
	client_before = switches(client.pid);
	wait_seconds(seconds);
	printf("%s,%d,%u,%ld,%ld\n", argv[3], c.n, seconds, switches(server.pid) - server_before,
	       switches(client.pid) - client_before);
	bench_child_stop(&client);
	bench_child_stop(&server);
	return 0;
}
