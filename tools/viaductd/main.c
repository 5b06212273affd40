/* tools/viaductd/main.c - the daemon: reads options and configuration, then serves. */
#include "daemon.h"

#include "../lib/opt.h"
#include "../lib/sys.h"
#include "log.h"

#include <stdio.h>
#include <string.h>

#if defined(_WIN32)
#include "service_windows.h"
#define ASKED_TO_STOP "Ctrl-C"
#define ASKED_TO_DO_MORE \
	"As a service it reloads its configuration on paramchange ('sc control viaductd\n" \
	"paramchange') and puts a report into the log on control code 128.\n"
#else
#define ASKED_TO_STOP "SIGTERM or SIGINT"
#define ASKED_TO_DO_MORE "SIGHUP reloads the configuration; SIGUSR1 puts a report into the log.\n"
#endif

enum {
	O_CONFIG,
	O_CHECK,
	O_RUN_DIR,
	O_LOG,
	O_VERSION,
	O_HELP,
	O_SERVICE,
	O_INSTALL,
	O_PREPARE,
	O_REMOVE,
	O_NAME
};

static const opt options[] =
	{{"config", 'c', "FILE", "configuration; FILE.d/*.conf are read after it"},
	 {"check", 0, NULL, "test the configuration and end"},
	 {"run-dir", 0, "DIR", "run directory, before what the configuration says"},
	 {"log", 0, "FILE", "append the log to this file; opened anew by a reload"},
	 {"version", 0, NULL, "print the version"},
	 {"help", 'h', NULL, "this text"},
#if defined(_WIN32)
	 {"service", 0, NULL, "run as a Windows service: for the service control manager only"},
	 {"install-service", 0, NULL, "install the service; it gets the other options"},
	 {"prepare-service", 0, NULL, "for installers: what a service needs beside its entry"},
	 {"remove-service", 0, NULL, "stop the service if it runs, and remove it"},
	 {"name", 0, "NAME", "of that service; else viaductd"},
#endif
	 {NULL, 0, NULL, NULL}};

typedef struct command {
	conf_source from;
	const char *log, *name;
	int is_check, is_help, is_version, is_service, is_install, is_prepare, is_remove;
} command;

static int help(void)
{
	char config[CONF_PATH], why[CONF_WHY];
	buf out = {0};

	if (!conf_default_file(config, why))
		return cli_fail(CLI_FAILED, "%s", why);
	buf_text(
		&out,
		"usage: viaductd [-c FILE] [--check] [--run-dir DIR] [--log FILE]\n\n"
		"Serves the services of the installed modules until " ASKED_TO_STOP
		". A module is\n"
		"loaded by the first call that needs it. Stays in the foreground; logs to standard\n"
		"error. Without a configuration every service that is installed is served.\n");
	buf_text(&out, ASKED_TO_DO_MORE);
	buf_printf(&out, "\nThe configuration is %s\nunless -c names another file.\n\nOptions:\n",
		   config);
	opt_help(&out, options);
	buf_text(&out,
		 "\nExit status: 0 stopped in order; 1 failed; 2 wrong usage or configuration;\n"
		 "6 a module that the configuration names is missing or refused.\n");
	return cli_finish(cli_write(&out));
}

static void take_option(command *c, int o, const char *value)
{
	switch (o) {
	case O_CONFIG:
		c->from.file = value;
		break;
	case O_RUN_DIR:
		c->from.run_dir = value;
		break;
	case O_LOG:
		c->log = value;
		break;
	case O_NAME:
		c->name = value;
		break;
	default:
		c->is_check |= o == O_CHECK;
		c->is_help |= o == O_HELP;
		c->is_version |= o == O_VERSION;
		c->is_service |= o == O_SERVICE;
		c->is_install |= o == O_INSTALL;
		c->is_prepare |= o == O_PREPARE;
		c->is_remove |= o == O_REMOVE;
	}
}

static int read_options(command *c, int argc, char **argv)
{
	opt_parser p;
	int o;

	opt_begin(&p, options, argc, argv);
	while ((o = opt_next(&p)) != OPT_END) {
		if (o == OPT_BAD)
			return cli_fail(CLI_USAGE, "%s", p.why);
		if (o == OPT_OPERAND)
			return cli_fail(CLI_USAGE, "expected no argument, found '%s'", p.value);
		take_option(c, o, p.value);
	}
	if (c->is_check + c->is_service + c->is_install + c->is_prepare + c->is_remove > 1)
		return cli_fail(CLI_USAGE, "expected one of --check, --service, --install-service, "
					   "--prepare-service and --remove-service, found several");
	if (c->name != NULL && !c->is_install && !c->is_prepare && !c->is_remove)
		return cli_fail(CLI_USAGE, "--name belongs to --install-service, "
					   "--prepare-service or --remove-service");
	return CLI_OK;
}

/* Reads its configuration and serves. */
static int run(void *arg)
{
	const command *c = arg;
	char why[SYS_WHY];

	if (c->log != NULL && !c->is_check && !log_to_file(c->log, why))
		return cli_fail(CLI_FAILED, "--log %s: %s", c->log, why);
	return daemon_run(&c->from, c->is_check);
}

static int run_as_asked(command *c)
{
#if defined(_WIN32)
	const service_options o = {c->name, c->from.file, c->from.run_dir, c->log};
	char log[SYS_PATH];

	if (c->is_install)
		return service_install(&o);
	if (c->is_prepare)
		return service_prepare(o.name);
	if (c->is_remove)
		return service_remove(o.name);
	if (c->is_service && c->log == NULL)
		c->log = service_log(log);
	if (c->is_service)
		return service_run(run, c);
#endif
	return run(c);
}

int main(int argc, char **argv)
{
	command c;
	int status;

	memset(&c, 0, sizeof c);
	cli_name("viaductd");
	sys_init(&argc, &argv);
	status = read_options(&c, argc > 0 ? argc - 1 : 0, argv + 1);
	if (status != CLI_OK)
		return status;
	if (c.is_help)
		return help();
	if (c.is_version)
		return cli_finish((printf("viaductd %s\n", via_version()), CLI_OK));
	return cli_finish(run_as_asked(&c));
}
