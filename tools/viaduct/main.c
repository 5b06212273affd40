/* tools/viaduct/main.c - the program `viaduct`: finds the command and runs it. */
#include "viaduct.h"

#include "../lib/sys.h"
#include "../lib/text.h"

#include <stdio.h>
#include <string.h>

static const struct {
	const char *name, *about;
	command_fn *run;
} commands[] = {
	{"call", "call a service and print its answer", cmd_call},
	{"serve", "serve services in the foreground, without a daemon", cmd_serve},
	{"bench", "measure calls, messages and payloads between two processes", cmd_bench},
	{"modules", "list the module files that were found, and why others were refused",
	 cmd_modules},
	{"check", "check whether a module file keeps the contract of modules", cmd_check},
	{"decode", "print bytes of the wire as JSON", cmd_decode},
	{"encode", "write JSON as bytes of the wire", cmd_encode},
	{"version", "print the versions", cmd_version},
};

#define N_COMMANDS (sizeof commands / sizeof commands[0])

int print_help(const char *usage, const char *text, const opt *options)
{
	buf out = {0};

	buf_printf(&out, "usage: %s\n\n", usage);
	buf_text(&out, text);
	buf_text(&out, "\nOptions:\n");
	opt_help(&out, options);
	return cli_write(&out);
}

int bad_option(const char *command, const opt_parser *p)
{
	return cli_fail(CLI_USAGE, "%s: %s", command, p->why);
}

void log_to_stderr(void *arg, int32_t level, const char *origin, const char *text)
{
	static const char *const names[] = {"trace", "debug", "info", "warning", "error"};
	buf line = {0};

	(void)arg;
	buf_printf(&line, "viaduct: %s: ", level >= 0 && level < 5 ? names[level] : "?");
	text_show(&line, origin, strlen(origin));
	buf_text(&line, ": ");
	text_show(&line, text, strlen(text));
	buf_char(&line, '\n');
	if (!line.failed)
		sys_log(line.data, line.len);
	buf_free(&line);
}

int open_registry(const char *module_path, int verbose, via_registry **out)
{
	via_registry_options options = VIA_REGISTRY_OPTIONS_INIT;

	options.module_path = module_path;
	return open_registry_with(&options, verbose, out);
}

int open_registry_with(via_registry_options *options, int verbose, via_registry **out)
{
	via_rc rc;

	if (verbose) {
		options->log = log_to_stderr;
		options->log_level = VIA_LOG_DEBUG;
	}
	rc = via_registry_open(options, out);
	return rc == VIA_OK ? CLI_OK : cli_fail_rc(rc, "module registry");
}

static int help(void)
{
	buf out = {0};
	size_t i;

	buf_text(&out, "usage: viaduct COMMAND [OPTION...] [ARGUMENT...]\n\n"
		       "Calls, serves and looks into services on this machine.\n\nCommands:\n");
	for (i = 0; i < N_COMMANDS; i++)
		buf_printf(&out, "  %-10s %s\n", commands[i].name, commands[i].about);
	buf_text(
		&out,
		"\nviaduct COMMAND --help tells more.\n\n"
		"Exit status: 0 done; 1 malformed data, or the other side failed; 2 wrong usage;\n"
		"3 nobody listens; 4 timed out; 5 refused in the handshake; 6 a module is missing\n"
		"or refused.\n");
	return cli_write(&out);
}

static int unknown_command(const char *word)
{
	const char *names[N_COMMANDS], *near;
	size_t i;

	for (i = 0; i < N_COMMANDS; i++)
		names[i] = commands[i].name;
	near = text_nearest(word, names, N_COMMANDS);
	if (near != NULL)
		return cli_fail(CLI_USAGE, "unknown command '%s'; did you mean '%s'?", word, near);
	return cli_fail(CLI_USAGE, "unknown command '%s'; viaduct --help lists the commands", word);
}

int main(int argc, char **argv)
{
	size_t i;

	cli_name("viaduct");
	sys_init(&argc, &argv);
	if (argc < 2)
		return cli_fail(CLI_USAGE, "expected a command; viaduct --help lists them");
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
	    strcmp(argv[1], "help") == 0)
		return cli_finish(help());
	if (strcmp(argv[1], "--version") == 0)
		return cli_finish(cmd_version(0, NULL));
	for (i = 0; i < N_COMMANDS; i++) {
		if (strcmp(argv[1], commands[i].name) == 0)
			return cli_finish(commands[i].run(argc - 2, argv + 2));
	}
	if (argv[1][0] == '-')
		return cli_fail(CLI_USAGE,
				"unknown option '%s'; a command comes first, see viaduct --help",
				argv[1]);
	return unknown_command(argv[1]);
}
