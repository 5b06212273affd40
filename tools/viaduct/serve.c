/* tools/viaduct/serve.c - `viaduct serve`: services in the foreground, without a daemon. */
#include "viaduct.h"

#include "../lib/elsewhere.h"
#include "../lib/sys.h"

#include <string.h>

#define DRAIN_NS 5000000000ull
#define GRACE_NS 2000000000ull /* for modules to let go of calls that were abandoned */

typedef struct serve {
	const char *run_dir, *transport, *module_path;
	uint64_t token, workers;
	uint32_t module_policy;
	int is_verbose, is_help;
	int n_services;
	char **services; /* moved to the front of the command's arguments */
	sys_dir dir;
	via_registry *registry;
	via_server *server;
} serve;

enum { O_RUN_DIR, O_TOKEN, O_WORKERS, O_TRANSPORT, O_PATH, O_MODULES, O_VERBOSE, O_HELP };

static const opt options[] =
	{{"run-dir", 0, "DIR", "run directory; else $XDG_RUNTIME_DIR/viaduct or /run/viaduct"},
	 {"token", 0, "N", "authentication token, decimal or 0x...; else 0"},
	 {"workers", 0, "N", "threads that answer, 1..64; else one for each usable CPU, at most 4"},
	 {"transport", 0, "NAME", "transport to listen on; else the best that works here"},
	 {"module-path", 0, "DIRS", "where modules are, instead of the usual place"},
	 CLI_MODULE_POLICY,
	 {"verbose", 'v', NULL, "log what the library does to standard error"},
	 {"help", 'h', NULL, "this text"},
	 {NULL, 0, NULL, NULL}};

static int take_option(serve *s, int o, const char *value)
{
	switch (o) {
	case O_RUN_DIR:
		s->run_dir = value;
		break;
	case O_TOKEN:
		if (!text_u64(value, &s->token))
			return cli_fail(CLI_USAGE,
					"--token: expected a number of 64 bits, decimal or 0x..., "
					"found '%s'",
					value);
		break;
	case O_WORKERS:
		if (!text_u64(value, &s->workers) || s->workers == 0 || s->workers > 64)
			return cli_fail(CLI_USAGE, "--workers: expected 1..64, found '%s'", value);
		break;
	case O_TRANSPORT:
		s->transport = value;
		break;
	case O_PATH:
		s->module_path = value;
		break;
	case O_MODULES:
		return cli_module_policy(value, &s->module_policy);
	default:
		s->is_verbose |= o == O_VERBOSE;
		s->is_help |= o == O_HELP;
	}
	return CLI_OK;
}

static int read_options(serve *s, int argc, char **argv)
{
	opt_parser p;
	int o, status;

	s->services = argv;
	opt_begin(&p, options, argc, argv);
	while ((o = opt_next(&p)) != OPT_END) {
		if (o == OPT_BAD)
			return bad_option("serve", &p);
		if (o == OPT_OPERAND) {
			argv[s->n_services++] = argv[p.at - 1];
			continue;
		}
		status = take_option(s, o, p.value);
		if (status != CLI_OK)
			return status;
	}
	if (s->n_services == 0 && !s->is_help)
		return cli_fail(CLI_USAGE,
				"serve: expected a SERVICE; viaduct serve --help tells more");
	return CLI_OK;
}

static int open_dir(serve *s)
{
	char path[SYS_PATH], why[SYS_WHY];
	via_rc rc;

	if (s->run_dir == NULL) {
		rc = via_default_run_dir(path, sizeof path);
		if (rc != VIA_OK)
			return cli_fail_rc(rc, "run directory");
		s->run_dir = path;
	}
	if (!sys_dir_open(s->run_dir, 0700, &s->dir, why))
		return cli_fail(CLI_FAILED, "run directory %s: %s", s->run_dir, why);
	s->run_dir = s->dir.path;
	return CLI_OK;
}

static int add_services(serve *s)
{
	via_server_options o = {.struct_size = sizeof o, .n_workers = (uint32_t)s->workers};
	via_session_config config = {.struct_size = sizeof config};
	via_endpoint ep = {.struct_size = sizeof ep};
	const char *needs;
	via_rc rc;
	int i;

	rc = via_server_open(s->registry, &o, &s->server);
	if (rc != VIA_OK)
		return cli_fail_rc(rc, "server");
	ep.run_dir = s->run_dir;
	ep.transport = s->transport;
	ep.auth_token = s->token;
	for (i = 0; i < s->n_services; i++) {
		ep.service = s->services[i];
		rc = via_server_add(s->server, &ep, &config);
		needs = rc == VIA_NOTFOUND ? elsewhere_service(ep.service) : NULL;
		if (needs != NULL)
			return cli_fail(CLI_MODULE, "%s: " ELSEWHERE_SAYS, ep.service,
					elsewhere_here, needs);
		if (rc != VIA_OK)
			return cli_fail_rc(rc, s->services[i]);
	}
	rc = via_server_start(s->server);
	return rc == VIA_OK ? CLI_OK : cli_fail_rc(rc, "server");
}

static int announce(const serve *s)
{
	buf out = {0};
	int i;

	for (i = 0; i < s->n_services; i++)
		buf_printf(&out, "serving %s in %s\n", s->services[i], s->run_dir);
	return cli_finish(cli_write(&out));
}

static void last_words(void)
{
	static const char text[] = "viaduct: stopped at once, calls were abandoned\n";

	sys_log(text, sizeof text - 1);
}

static void out_of_patience(void)
{
	static const char text[] =
		"viaduct: a module does not let go of its calls: ended without it\n";

	sys_log(text, sizeof text - 1);
}

static int run(serve *s)
{
	int status = add_services(s);
	via_rc rc;

	if (status == CLI_OK)
		status = announce(s);
	if (status != CLI_OK)
		return status;
	while (sys_signals_wait() != SYS_STOP)
		;
	sys_signals_insist(last_words);
	sys_end_within(DRAIN_NS + GRACE_NS, out_of_patience);
	rc = via_server_drain(s->server, via_deadline(DRAIN_NS));
	if (rc != VIA_OK)
		(void)cli_fail_rc(rc, "stopped without waiting any longer");
	return CLI_OK;
}

int cmd_serve(int argc, char **argv)
{
	via_registry_options o = VIA_REGISTRY_OPTIONS_INIT;
	char why[SYS_WHY];
	serve s;
	int status;

	memset(&s, 0, sizeof s);
	status = read_options(&s, argc, argv);
	if (status != CLI_OK)
		return status;
	if (s.is_help)
		return print_help(
			"viaduct serve [OPTION...] SERVICE...",
			"Serves modules in the foreground until SIGINT or SIGTERM, then lets running "
			"calls end for\nup to 5 seconds. A second signal stops at once. The run "
			"directory is made (mode 0700) if it\nis missing.\n",
			options);
	if (!sys_signals_take(SYS_STOP, why))
		return cli_fail(CLI_FAILED, "signals: %s", why);
	o.module_path = s.module_path;
	o.module_policy = s.module_policy;
	status = open_registry_with(&o, s.is_verbose, &s.registry);
	if (status == CLI_OK)
		status = open_dir(&s);
	if (status == CLI_OK)
		status = run(&s);
	via_server_close(s.server);
	if (s.registry != NULL)
		(void)via_registry_close(s.registry);
	sys_dir_close(&s.dir);
	return status;
}
