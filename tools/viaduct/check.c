/* tools/viaduct/check.c - `viaduct check`: the command, its groups, and the processes that run them. */
#include "check.h"

#include "../lib/sys_probe.h"
#include "../lib/text.h"

#include <stdio.h>
#include <string.h>

#define TIMEOUT_MS 60000u
#define TIMEOUT_MAX_NS (86400 * UINT64_C(1000000000))
#define END_MS 10000u /* for a child that has told everything */

typedef struct group {
	const char *name;
	void (*here)(check_run *c); /* executes nothing of the module; or: */
	check_child_fn *child;
	uint32_t kind; /* only for a module that provides one; 0: for any */
} group;

static const group groups[] = {
	{"identity", check_identity, NULL, 0},
	{"trust", check_trust, NULL, 0},
	{"symbols", check_symbols, NULL, 0},
	{"abi", NULL, check_abi, 0},
	{"lifecycle", NULL, check_lifecycle, 0},
	{"unload", NULL, check_unload, 0},
	{"transport", check_transport, NULL, VIA_KIND_TRANSPORT},
	{"codec", NULL, check_codec, VIA_KIND_CODEC},
	{"service", NULL, check_service, VIA_KIND_SERVICE},
};

#define N_GROUPS (sizeof groups / sizeof groups[0])

static const char help_text[] =
	"Checks whether a module file keeps the contract of modules, and says for each check that fails\n"
	"what was expected and what was found. The first three groups execute nothing of the file; the others\n"
	"load it, in processes of their own, but only if the registry trusts the file.\n"
	"\nGroups:\n"
	"  identity   what the file says it is, and its name\n"
	"  trust      who may change it: owner, modes, directories\n"
	"  symbols    what it exports, needs and uses\n"
	"  abi        descriptor, layout, tables\n"
	"  lifecycle  load and unload, again and again, while memory and system calls fail\n"
	"  unload     what is left of its code\n"
	"  transport  links: records, waiting, ending, addresses, faults\n"
	"  codec      values there and back, cut and changed bytes, short room\n"
	"  service    answers, short room, hostile requests\n"
	"\nExit status: 0 all passed or skipped; 1 something failed; 2 wrong usage; 6 the file cannot\n"
	"be read.\n";

enum { O_JSON, O_ONLY, O_MODULE_PATH, O_TIMEOUT, O_VERBOSE, O_HELP };

static const opt options[] = {
	{"json", 0, NULL, "one JSON object with everything"},
	{"only", 0, "GROUP", "check this group; may be given again"},
	{"module-path", 0, "DIRS", "where other modules are, instead of the usual place"},
	{"timeout", 0, "TIME", "how long one check may take; 60s if not given"},
	{"verbose", 'v', NULL, "a line for each check; log what the library does"},
	{"help", 'h', NULL, "this text"},
	{NULL, 0, NULL, NULL},
};

/* -- a group in a process of its own --------------------------------------------------------- */

/* Something that is no line of the child's: told once for a group. */
static void take_output(check_report *r, const char *line)
{
	char name[CHECK_NAME];

	if (r->has_output)
		return;
	memcpy(name, r->name, sizeof name);
	check_begin(r, "output");
	check_tell(r, CHECK_FAILED, "expected nothing on standard output, found: %s", line);
	memcpy(r->name, name, sizeof name);
	r->has_output = 1;
}

/* What a line of the child was. */
enum { TOLD_ALL, TOLD, NOT_TOLD };

static int take_line(check_report *r, const char *line)
{
	size_t i, len;

	if (strncmp(line, "begin ", 6) == 0) {
		if (r->name[0] != '\0')
			check_tell(r, CHECK_FAILED, "expected a verdict before the next check");
		check_begin(r, "%s", line + 6);
		return TOLD;
	}
	for (i = 0; i < 3; i++) {
		len = strlen(check_verdicts[i]);
		if (strncmp(line, check_verdicts[i], len) == 0 && line[len] == ' ' &&
		    r->name[0] != '\0') {
			check_tell(r, (check_verdict)i, "%s", line + len + 1);
			return TOLD;
		}
	}
	if (strcmp(line, "done") == 0)
		return TOLD_ALL;
	if (strcmp(line, "forget") == 0) {
		r->name[0] = '\0';
		return TOLD;
	}
	take_output(r, line);
	return NOT_TOLD;
}

/* The child has ended, or has to. heard: the last answer of sys_child_hear(). */
static void judge_end(check_run *c, sys_child *child, int heard, int is_done)
{
	check_report *r = &c->report;
	int is_stopped = atomic_load(&check_stop) != 0;
	int is_good = sys_child_end(child, heard < 0 || is_stopped ? 0 : END_MS);

	if (is_stopped || (is_done && is_good && r->name[0] == '\0'))
		return;
	if (r->name[0] == '\0')
		check_begin(r, "end");
	if (heard < 0)
		check_tell(r, CHECK_FAILED,
			   "expected an end within %u ms, found none: it was killed",
			   c->timeout_ms);
	else
		check_tell(r, CHECK_FAILED, "expected the process that runs it to go on, it %s",
			   child->end);
}

/* Until it has told everything, has ended or says nothing of the kind for too long: a module that only prints
 * gets no more time for that. */
static void hear_all(check_run *c, sys_child *child)
{
	const uint64_t patience = c->timeout_ms * UINT64_C(1000000);
	via_time end = via_deadline(patience), now;
	int heard = 1, what = TOLD;
	char line[SYS_LINE];

	while (heard == 1 && what != TOLD_ALL) {
		now = via_now();
		heard = now < end ? sys_child_hear(child, line, cli_ms(end - now), &check_stop)
				  : -1;
		if (heard == 1)
			what = take_line(&c->report, line);
		if (heard == 1 && what == TOLD)
			end = via_deadline(patience);
	}
	if (atomic_load(&check_stop) != 0)
		(void)sys_child_end(child, 0);
	else
		judge_end(c, child, heard, what == TOLD_ALL);
}

static void run_child(check_run *c, const group *g)
{
	char own[SYS_PATH], why[SYS_WHY];
	const char *argv[10];
	size_t n = 0;
	sys_child child;

	argv[n++] = own;
	argv[n++] = "check";
	argv[n++] = "--child";
	argv[n++] = g->name;
	argv[n++] = c->subject.module_path;
	argv[n++] = c->subject.copy;
	if (c->is_verbose)
		argv[n++] = "--verbose";
	argv[n] = NULL;
	if (!sys_own_program(own, sizeof own, why) || !sys_child_start(&child, own, argv, why)) {
		check_begin(&c->report, "process");
		check_tell(&c->report, CHECK_FAILED, "expected a process for it, found: %s", why);
		return;
	}
	hear_all(c, &child);
}

/* The other side of it: --child GROUP PATH FILE [--verbose]. */
static int be_child(int argc, char **argv)
{
	check_report report = {.form = CHECK_TO_PARENT};
	check_child c = {.report = &report};
	via_registry *r = NULL;
	size_t i;

	if (argc < 4)
		return cli_fail(CLI_USAGE, "check: --child is for this program itself");
	for (i = 0; i < N_GROUPS && strcmp(groups[i].name, argv[1]) != 0; i++)
		;
	if (i == N_GROUPS || groups[i].child == NULL)
		return cli_fail(CLI_USAGE, "check: no group '%s' for a child", argv[1]);
	sys_crash_quietly();
	sys_end_with_parent(); /* a module that hangs would go on for ever */
	c.module_path = argv[2];
	c.file = argv[3];
	c.is_verbose = argc > 4;
	check_begin(&report, "registry");
	if (check_open(&c, NULL, VIA_LOAD_COPY, &r)) {
		check_look(r, c.file, &c.module);
		(void)via_registry_close(r);
		check_forget(&report);
		groups[i].child(&c);
	}
	(void)puts("done");
	return CLI_OK;
}

/* -- being told to stop ---------------------------------------------------------------------- */

atomic_int check_stop;

static struct watch {
	sys_thread thread;
	atomic_int is_done;
} watch;

static void wait_for_stop(void *arg)
{
	(void)arg;
	while (atomic_load(&watch.is_done) == 0)
		if (sys_signals_wait() == SYS_STOP)
			atomic_store(&check_stop, 1);
}

static int watch_start(void)
{
	char why[SYS_WHY];

	if (!sys_signals_take(SYS_STOP, why))
		return cli_fail(CLI_FAILED, "signals: %s", why);
	if (!sys_thread_start(&watch.thread, wait_for_stop, NULL, why))
		return cli_fail(CLI_FAILED, "thread: %s", why);
	return CLI_OK;
}

static void watch_end(void)
{
	atomic_store(&watch.is_done, 1);
	sys_signals_post(SYS_REPORT);
	sys_thread_join(&watch.thread);
}

/* -- the command ----------------------------------------------------------------------------- */

static const group *find_group(const char *name)
{
	size_t i;

	for (i = 0; i < N_GROUPS; i++)
		if (strcmp(groups[i].name, name) == 0)
			return &groups[i];
	return NULL;
}

static int wrong_group(const char *name)
{
	const char *names[N_GROUPS], *near;
	size_t i;

	for (i = 0; i < N_GROUPS; i++)
		names[i] = groups[i].name;
	near = text_nearest(name, names, N_GROUPS);
	if (near != NULL)
		return cli_fail(CLI_USAGE, "check: --only: no group '%s'; did you mean '%s'?", name,
				near);
	return cli_fail(CLI_USAGE, "check: --only: no group '%s'; viaduct check --help lists them",
			name);
}

static const char provides_none[] = "it provides none";

/* Why a group is not run, or NULL. */
static const char *not_run(const check_run *c, const group *g)
{
	const check_subject *s = &c->subject;

	if (g->kind != 0 && s->is_accepted && !check_provides(&s->module, g->kind))
		return provides_none;
	if (g->here != NULL && g->kind == 0)
		return NULL;
	if (!s->is_accepted || s->module.n_components == 0)
		return "not run: its identity is refused";
	if (c->is_unfit)
		return "not run: it does not load, see abi";
	return s->distrust[0] == '\0' ? NULL : "not run: the file is not trusted";
}

static void run_group(check_run *c, const group *g, int is_shown)
{
	const uint32_t n_failed = c->report.n[CHECK_FAILED];
	const char *why = not_run(c, g);

	check_group(&c->report, g->name);
	if (!is_shown)
		return;
	if (why != NULL) {
		check_begin(&c->report, "all");
		c->report.is_expected = why == provides_none;
		check_tell(&c->report, CHECK_SKIPPED, "%s", why);
	} else if (g->here != NULL) {
		g->here(c);
	} else {
		run_child(c, g);
		c->is_unfit |= g->child == check_abi && c->report.n[CHECK_FAILED] != n_failed;
	}
}

static int run_groups(check_run *c, uint32_t only)
{
	const check_module *m = &c->subject.module;
	uint32_t i;

	c->report.copy = c->subject.copy;
	c->report.shown_as = c->subject.path;
	c->report.is_brief = !c->is_verbose;
	check_look_at_trust(c);
	check_report_begin(&c->report, c->subject.path, m->id, m->version);
	for (i = 0; i < N_GROUPS && atomic_load(&check_stop) == 0; i++)
		run_group(c, &groups[i], only == 0 || (only >> i & 1u) != 0);
	if (atomic_load(&check_stop) == 0)
		return check_report_end(&c->report);
	buf_free(&c->report.out);
	return cli_fail(CLI_FAILED, "check: stopped");
}

/* From the first file on that it makes it is stopped only where it removes them. */
static int run(check_run *c, const char *path, uint32_t only)
{
	int status = watch_start();

	if (status != CLI_OK)
		return status;
	status = check_subject_open(c, path);
	if (status == CLI_OK)
		status = run_groups(c, only);
	check_subject_close(c);
	watch_end();
	return status;
}

static int read_timeout(const char *text, check_run *c)
{
	static char seconds[32];
	uint64_t ns;

	if (!text_duration(text, &ns))
		return cli_fail(
			CLI_USAGE,
			"check: --timeout: expected a time with its unit, like 500ms or 2m, "
			"found '%s'",
			text);
	if (ns > TIMEOUT_MAX_NS)
		return cli_fail(CLI_USAGE, "check: --timeout: expected at most 24h, found '%s'",
				text);
	c->timeout_ms = cli_ms(ns);
	(void)snprintf(seconds, sizeof seconds, "%u.%03u", c->timeout_ms / 1000,
		       c->timeout_ms % 1000);
	c->seconds = seconds;
	return CLI_OK;
}

int cmd_check(int argc, char **argv)
{
	static check_run c; /* too large for a stack */
	const char *file = NULL;
	uint32_t only = 0;
	opt_parser p;
	int o;

	if (argc > 0 && strcmp(argv[0], "--child") == 0)
		return be_child(argc, argv);
	c.timeout_ms = TIMEOUT_MS;
	opt_begin(&p, options, argc, argv);
	while ((o = opt_next(&p)) != OPT_END) {
		if (o == OPT_BAD)
			return bad_option("check", &p);
		if (o == OPT_OPERAND && file != NULL)
			return cli_fail(CLI_USAGE, "check: expected one FILE, found one more: '%s'",
					p.value);
		if (o == OPT_OPERAND)
			file = p.value;
		else if (o == O_JSON)
			c.report.form = CHECK_TO_JSON;
		else if (o == O_ONLY && find_group(p.value) == NULL)
			return wrong_group(p.value);
		else if (o == O_ONLY)
			only |= 1u << (find_group(p.value) - groups);
		else if (o == O_MODULE_PATH)
			c.given_path = p.value;
		else if (o == O_TIMEOUT && read_timeout(p.value, &c) != CLI_OK)
			return CLI_USAGE;
		else if (o == O_VERBOSE)
			c.is_verbose = 1;
		else if (o == O_HELP)
			return print_help("viaduct check [OPTION...] FILE", help_text, options);
	}
	if (file == NULL)
		return cli_fail(CLI_USAGE,
				"check: expected a FILE; viaduct check --help tells more");
	return run(&c, file, only);
}
