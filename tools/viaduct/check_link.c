/* tools/viaduct/check_link.c - `viaduct check`: the contract of links, which a program of its own tests. What
 * it says in TAP becomes checks here.
 */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define END_MS 10000u
#define LINK_PATH (SYS_PATH + 256)

/* The program has a limit for each case itself, of two minutes at most if none is given; this is for the
 * program. */
static uint32_t patience_ms(const check_run *c)
{
	return (c->seconds != NULL ? 2 : 3) * c->timeout_ms;
}

/* Where the program is, seen from this one's directory: installed, and in the build directory. */
static const char *const places[] = {CHECK_LINK_INSTALLED, CHECK_LINK_BUILT};

/* Starts it. Returns 1, or 0 with why. */
static int start(sys_child *child, char path[LINK_PATH], const char *const *argv, char *why)
{
	size_t len, i;

	if (!sys_own_program(path, SYS_PATH, why))
		return 0;
	len = check_dir_length(path);
	for (i = 0; i < sizeof places / sizeof places[0]; i++) {
		(void)snprintf(path + len, LINK_PATH - len, "%s", places[i]);
		if (sys_child_start(child, path, argv, why))
			return 1;
	}
	return 0;
}

/* "ok 3 - uds: records.order # SKIP why"; what follows a failure on lines with '#' is its reason. */
typedef struct tap {
	check_report *report;
	char name[CHECK_NAME], reason[CHECK_SENTENCE];
	int is_failed; /* the last result, not told yet */
	uint32_t n_planned, n_seen, n_failed;
	char bail[SYS_LINE];
} tap;

static void flush(tap *t)
{
	if (!t->is_failed)
		return;
	check_begin(t->report, "%s", t->name);
	check_tell(t->report, CHECK_FAILED, "%s",
		   t->reason[0] != '\0' ? t->reason : "expected to pass, found no reason");
	t->is_failed = 0;
}

static void take_result(tap *t, const char *line, int is_good)
{
	const char *name = strstr(line, " - "), *skip;
	char text[SYS_LINE];

	flush(t);
	t->n_seen++;
	t->reason[0] = '\0';
	(void)snprintf(text, sizeof text, "%s", name != NULL ? name + 3 : "unnamed");
	skip = strstr(text, " # SKIP");
	if (skip != NULL)
		text[skip - text] = '\0';
	(void)snprintf(t->name, sizeof t->name, "%.*s", (int)sizeof t->name - 1, text);
	t->is_failed = !is_good;
	t->n_failed += !is_good;
	if (!is_good)
		return;
	check_begin(t->report, "%s", t->name);
	if (skip != NULL)
		check_tell(t->report, CHECK_SKIPPED, "%s",
			   skip[7] == ' ' ? skip + 8 : "no reason given");
	else
		check_tell(t->report, CHECK_PASSED, "as the contract says");
}

static void take_line(tap *t, const char *line)
{
	size_t len = strcspn(line, "\r");
	char text[SYS_LINE];

	(void)snprintf(text, sizeof text, "%.*s", (int)len, line);
	if (strncmp(text, "ok ", 3) == 0)
		take_result(t, text, 1);
	else if (strncmp(text, "not ok ", 7) == 0)
		take_result(t, text, 0);
	else if (strncmp(text, "1..", 3) == 0)
		t->n_planned = (uint32_t)strtoul(text + 3, NULL, 10);
	else if (strncmp(text, "Bail out!", 9) == 0)
		(void)snprintf(t->bail, sizeof t->bail, "%s", text + 9 + (text[9] == ' '));
	else if (text[0] == '#' && t->is_failed && strlen(t->reason) < sizeof t->reason - 3)
		(void)snprintf(t->reason + strlen(t->reason), sizeof t->reason - strlen(t->reason),
			       "%s%s", t->reason[0] != '\0' ? "; " : "",
			       text + (text[1] == ' ' ? 2 : 1));
}

/* The results against the plan, and how the program ended. */
static void judge_end(check_run *c, tap *t, sys_child *child, int heard)
{
	const char *expected = t->n_failed != 0 ? "ended with status 1" : "ended with status 0";

	flush(t);
	if (heard < 0 || atomic_load(&check_stop) != 0)
		sys_child_ask(child); /* it has workers, and files to remove */
	(void)sys_child_end(child, END_MS);
	if (atomic_load(&check_stop) != 0)
		return;
	if (t->n_seen != 0 && t->n_seen == t->n_planned && strcmp(child->end, expected) == 0)
		return;
	check_begin(&c->report, "check-link");
	if (t->bail[0] != '\0' && t->n_planned == 0)
		check_tell(&c->report, CHECK_FAILED, "%s", t->bail);
	else if (heard < 0)
		check_tell(
			&c->report, CHECK_FAILED,
			"expected a result within %u ms, found none after %u of %u: it was killed",
			patience_ms(c), t->n_seen, t->n_planned);
	else
		check_tell(&c->report, CHECK_FAILED,
			   "expected %u results, found %u; the program %s%s%s", t->n_planned,
			   t->n_seen, child->end, t->bail[0] != '\0' ? ": " : "", t->bail);
}

void check_transport(check_run *c)
{
	char program[LINK_PATH], why[SYS_WHY], line[SYS_LINE];
	const char *argv[8] = {program, "--module", c->subject.copy, NULL};
	size_t n = 3;
	tap t = {.report = &c->report};
	sys_child child;
	int heard;

	if (c->given_path != NULL) {
		argv[n++] = "--baseline-dir";
		argv[n++] = c->given_path;
	}
	if (c->seconds != NULL) {
		argv[n++] = "--seconds";
		argv[n++] = c->seconds;
	}
	if (!start(&child, program, argv, why)) {
		check_begin(&c->report, "check-link");
		check_tell(&c->report, CHECK_FAILED,
			   "expected the program that tests links, found: %s", why);
		return;
	}
	while ((heard = sys_child_hear(&child, line, patience_ms(c), &check_stop)) == 1)
		take_line(&t, line);
	judge_end(c, &t, &child, heard);
}
