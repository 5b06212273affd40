/* tools/check-link/main.c - check-link: does a transport keep the contract of links?
 *
 * The suite that tests our own transports, over stacks that are made from a module's identity. Each case runs in
 * a process of its own: this program again, as `check-link --worker CASE FILE DIR PLACE`.
 */
#include "check_link.h"
#include "tests/link/rig_os.h"
#include "tests/shim/shim.h"
#include "tools/lib/opt.h"
#include "tools/lib/sys_process.h"

#include <core/os/os.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { O_MODULE, O_DIR, O_LIST, O_ONLY, O_SECONDS, O_HELP };

static const opt table[] = {
	[O_MODULE] = {"module", 0, "FILE", "the transport to test"},
	[O_DIR] = {"baseline-dir", 0, "DIRS", "modules to stand beside it; default: the installed"},
	[O_LIST] = {"list", 0, NULL, "name the cases, run none"},
	[O_ONLY] = {"only", 0, "PATTERN", "cases of that name: * any text, ? any character"},
	[O_SECONDS] = {"seconds", 0, "N", "limit for each case; default: the case's own"},
	[O_HELP] = {"help", 'h', NULL, "this text"},
	{NULL, 0, NULL, NULL},
};

struct options {
	const char *module, *dir, *only;
	double seconds;
	int is_list, is_help;
};

static plan the_plan; /* too large for a stack */

static int refuse(const char *text)
{
	(void)fprintf(stderr, "check-link: %s\n", text);
	return CHECK_UNUSABLE;
}

/* The same for whoever reads results. */
static int bail_out(const struct options *o, const char *text)
{
	if (o->is_list)
		return refuse(text);
	(void)printf("Bail out! %s\n", text);
	return CHECK_UNUSABLE;
}

/* -- options ----------------------------------------------------------------------------------- */

static int read_seconds(const char *text, double *out, char *why)
{
	char *end;

	*out = strtod(text, &end);
	if (end != text && *end == '\0' && *out > 0 && *out <= 86400)
		return 1;
	(void)snprintf(why, SYS_WHY, "--seconds: expected a number up to 86400, found \"%.40s\"",
		       text);
	return 0;
}

/* 1, or 0 with why. */
static int read_options(int argc, char **argv, struct options *o, char why[SYS_WHY])
{
	opt_parser p;
	int i;

	opt_begin(&p, table, argc - 1, argv + 1);
	while ((i = opt_next(&p)) != OPT_END) {
		if (i == OPT_BAD || i == OPT_OPERAND) {
			(void)snprintf(why, SYS_WHY, "%.200s",
				       i == OPT_BAD ? p.why : "expected options only; see --help");
			return 0;
		}
		if (i == O_MODULE)
			o->module = p.value;
		else if (i == O_DIR)
			o->dir = p.value;
		else if (i == O_ONLY)
			o->only = p.value;
		else if (i == O_LIST)
			o->is_list = 1;
		else if (i == O_HELP)
			o->is_help = 1;
		else if (!read_seconds(p.value, &o->seconds, why))
			return 0;
	}
	if (o->module != NULL || o->is_help)
		return 1;
	(void)snprintf(why, SYS_WHY, "expected --module FILE; see --help");
	return 0;
}

static int print_help(void)
{
	buf b = {0};

	opt_help(&b, table);
	(void)printf("check-link --module FILE [option...]: tests whether a transport keeps the "
		     "contract of links.\n\n%s\n"
		     "Prints TAP. Ends with 0: all passed, 1: some failed, 2: nothing to test.\n",
		     buf_string(&b));
	buf_free(&b);
	return CHECK_PASSED;
}

/* -- places ------------------------------------------------------------------------------------ */

/* Each directory of a module path without any dependence on the current one. 1, or 0 with why. */
static int full_dirs(const char *given, char dirs[SYS_PATH], char *why)
{
	const char separator[] = {OS_PATH_SEP, '\0'};
	char one[SYS_PATH], full[SYS_PATH];
	size_t len, at = 0;

	for (;; given += len + 1) {
		len = strcspn(given, separator);
		(void)snprintf(one, sizeof one, "%.*s", len < sizeof one ? (int)len : 0, given);
		if (!sys_full_path(one, full, why))
			return 0;
		if (len >= sizeof one || at + strlen(full) + 2 > SYS_PATH) {
			(void)snprintf(why, SYS_WHY, "--baseline-dir: longer than %u bytes",
				       SYS_PATH - 1);
			return 0;
		}
		at += (size_t)snprintf(dirs + at, SYS_PATH - at, "%s%s", at != 0 ? separator : "",
				       full);
		if (given[len] == '\0')
			return 1;
	}
}

static int is_there(const char *path)
{
	os_file_id id;

	return os_path_id(path, &id) == VIA_OK;
}

/* Where this program's installation, or its build, has its modules. 1, or 0 with why. */
static int default_dir(char dir[SYS_PATH], char *why)
{
	static const char *const places[] = {CHECK_LINK_INSTALLED, CHECK_LINK_BUILT};
	char program[SYS_PATH], path[2 * SYS_PATH];
	size_t i, len;

	if (!sys_own_program(program, sizeof program, why))
		return 0;
	for (len = strlen(program); len > 0 && strchr("/\\", program[len - 1]) == NULL;)
		len--;
	for (i = 0; i < sizeof places / sizeof places[0]; i++) {
		(void)snprintf(path, sizeof path, "%.*s%s", (int)len, program, places[i]);
		if (is_there(path))
			return sys_full_path(path, dir, why);
	}
	(void)snprintf(
		why, SYS_WHY,
		"expected modules in %.150s, seen from this program, found no such directory; "
		"see --baseline-dir",
		places[0]);
	return 0;
}

/* -- ways through ------------------------------------------------------------------------------ */

/* What it says goes to whoever started it. */
static int be_worker(char **argv)
{
	const char *id = argv[2];

	process_is_worker();
	if (argv[5][0] != '\0')
		rig_dir_parent = argv[5];
	if (!plan_make(&the_plan, argv[3], argv[4]) ||
	    (strcmp(id, "load") == 0 && !plan_load(&the_plan))) {
		(void)puts(the_plan.why);
		return WORKER_FAILED;
	}
	return strcmp(id, "load") == 0 ? WORKER_PASSED : shim_run_id(id);
}

static int check(const struct options *o, run *r)
{
	char why[SYS_PATH + SYS_WHY];

	if (!plan_make(&the_plan, r->file, r->dir))
		return bail_out(o, the_plan.why);
	if (run_count(r) == 0) {
		(void)snprintf(why, sizeof why,
			       "--only: expected a pattern of --list, found \"%.80s\"", o->only);
		return bail_out(o, why);
	}
	if (o->is_list) {
		run_list(r);
		return CHECK_PASSED;
	}
	process_stop_when_asked();
	if (!run_try_loading(r, why, sizeof why))
		return bail_out(o, why);
	return run_all(r);
}

int main(int argc, char **argv)
{
	struct options o = {0};
	char file[SYS_PATH], dir[SYS_PATH], why[SYS_WHY];
	run r = {.file = file, .dir = dir};

	sys_init(&argc, &argv);
	if (argc == 6 && strcmp(argv[1], "--worker") == 0)
		return be_worker(argv);
	if (!read_options(argc, argv, &o, why))
		return refuse(why);
	if (o.is_help)
		return print_help();
	if (!sys_full_path(o.module, file, why) ||
	    !(o.dir != NULL ? full_dirs(o.dir, dir, why) : default_dir(dir, why)))
		return refuse(why);
	r.only = o.only;
	r.seconds = o.seconds;
	return check(&o, &r);
}
