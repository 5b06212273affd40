/* tools/viaductd/main.c - the daemon: reads options and configuration, then serves. */
#include "daemon.h"

#include "../lib/opt.h"
#include "../lib/sys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef VIA_SYSCONFDIR
#define VIA_SYSCONFDIR "/etc"
#endif

enum { O_CONFIG, O_CHECK, O_RUN_DIR, O_VERSION, O_HELP };

static const opt options[] = {{"config", 'c', "FILE",
			       "configuration; FILE.d/*.conf are read after it"},
			      {"check", 0, NULL, "test the configuration and end"},
			      {"run-dir", 0, "DIR",
			       "run directory, before what the configuration says"},
			      {"version", 0, NULL, "print the version"},
			      {"help", 'h', NULL, "this text"},
			      {NULL, 0, NULL, NULL}};

static void default_config(char *path, size_t cap)
{
#if defined(_WIN32)
	const char *base = getenv("ProgramData");

	(void)snprintf(path, cap, "%s\\viaduct\\viaductd.conf",
		       base != NULL ? base : "C:\\ProgramData");
#else
	(void)snprintf(path, cap, "%s", VIA_SYSCONFDIR "/viaduct/viaductd.conf");
#endif
}

static int help(const char *config)
{
	buf out = {0};

	buf_text(
		&out,
		"usage: viaductd [-c FILE] [--check] [--run-dir DIR]\n\n"
		"Serves the services of the installed modules until SIGTERM or SIGINT. A module is\n"
		"loaded by the first call that needs it. Stays in the foreground; logs to standard\n"
		"error; SIGUSR1 puts a report into the log. Without a configuration every service\n"
		"that is installed is served.\n\n");
	buf_printf(&out, "The configuration is %s\nunless -c names another file.\n\nOptions:\n",
		   config);
	opt_help(&out, options);
	buf_text(&out,
		 "\nExit status: 0 stopped in order; 1 failed; 2 wrong usage or configuration;\n"
		 "6 a module that the configuration names is missing or refused.\n");
	return cli_finish(cli_write(&out));
}

static int load(conf *c, const char *file, const char *run_dir)
{
	char path[SYS_PATH], why[CONF_WHY];

	default_config(path, sizeof path);
	if (!conf_load(c, file != NULL ? file : path, file != NULL, why))
		return cli_fail(CLI_USAGE, "%s", why);
	if (run_dir == NULL)
		return CLI_OK;
	if (strlen(run_dir) >= sizeof c->run_dir || run_dir[0] == '\0')
		return cli_fail(CLI_USAGE, "--run-dir: expected a path of 1..%zu bytes",
				sizeof c->run_dir - 1);
	memcpy(c->run_dir, run_dir, strlen(run_dir) + 1);
	return CLI_OK;
}

int main(int argc, char **argv)
{
	const char *file = NULL, *run_dir = NULL;
	char path[SYS_PATH];
	int o, status, is_check = 0;
	opt_parser p;
	conf c;

	cli_name("viaductd");
	sys_init(&argc, &argv);
	opt_begin(&p, options, argc > 0 ? argc - 1 : 0, argv + 1);
	while ((o = opt_next(&p)) != OPT_END) {
		if (o == OPT_BAD)
			return cli_fail(CLI_USAGE, "%s", p.why);
		if (o == OPT_OPERAND)
			return cli_fail(CLI_USAGE, "expected no argument, found '%s'", p.value);
		if (o == O_HELP) {
			default_config(path, sizeof path);
			return help(path);
		}
		if (o == O_VERSION)
			return cli_finish((printf("viaductd %s\n", via_version()), CLI_OK));
		if (o == O_CONFIG)
			file = p.value;
		if (o == O_RUN_DIR)
			run_dir = p.value;
		is_check |= o == O_CHECK;
	}
	conf_init(&c);
	status = load(&c, file, run_dir);
	if (status == CLI_OK)
		status = daemon_run(&c, is_check);
	conf_free(&c);
	return cli_finish(status);
}
