/* tools/check-link/run.c - runs the cases, each in a process of its own, and says what became of them: TAP 13. */
#include "check_link.h"
#include "tests/link/stacks.h"
#include "tests/shim/shim.h"

#include <stdio.h>
#include <string.h>

enum { SAID = 8192, TEXT = RIG_STACK_MAX + SHIM_ID };

typedef struct chosen {
	const struct shim_test *test;
	size_t param;
	char text[TEXT]; /* "stack: suite.case" */
} chosen;

/* -- choosing ---------------------------------------------------------------------------------- */

/* Which of the test's parameters the stack is; 0 when it is none. */
static int find_param(const struct shim_test *test, const char *stack, size_t *out)
{
	struct criterion_test_params p = test->params();

	for (*out = 0; *out < p.length; (*out)++)
		if (strcmp((const char *)p.params + *out * p.size, stack) == 0)
			return 1;
	return 0;
}

static int is_wanted(const run *r, const chosen *c)
{
	return r->only == NULL || shim_matches(r->only, c->text) ||
	       shim_matches(r->only, strchr(c->text, ' ') + 1);
}

/* Calls fn for each case of each stack. */
static void for_each(const run *r, void (*fn)(void *arg, const chosen *c), void *arg)
{
	const struct shim_test *t;
	chosen c;
	size_t i;

	for (i = 0; i < rig_n_stacks; i++)
		for (t = shim_tests; t != NULL; t = t->next) {
			if (!find_param(t, rig_stacks[i], &c.param))
				continue;
			c.test = t;
			(void)snprintf(c.text, sizeof c.text, "%s: %s.%s", rig_stacks[i], t->suite,
				       t->name);
			if (is_wanted(r, &c))
				fn(arg, &c);
		}
}

static void count_one(void *arg, const chosen *c)
{
	(void)c;
	++*(unsigned *)arg;
}

unsigned run_count(const run *r)
{
	unsigned n = 0;

	for_each(r, count_one, &n);
	return n;
}

static void list_one(void *arg, const chosen *c)
{
	(void)arg;
	(void)puts(c->text);
}

void run_list(const run *r)
{
	for_each(r, list_one, NULL);
}

/* -- one process ------------------------------------------------------------------------------- */

static enum outcome start(const run *r, const char *id, const char *place, struct worker *w)
{
	const char *const args[] = {"--worker", id, r->file, r->dir, place, NULL};

	w->args = args;
	return process_run(w);
}

int run_try_loading(const run *r, char *why, size_t cap)
{
	static const struct criterion_test_opts none;
	char said[SAID];
	struct worker w = {.seconds = 60, .expected = &none, .said = said, .cap = sizeof said - 1};
	enum outcome outcome = start(r, "load", "", &w);

	if (outcome == PASSED)
		return 1;
	if (outcome == STOPPED)
		process_end_as_asked();
	said[w.len] = '\0';
	if (outcome == CRASHED)
		(void)snprintf(why, cap, "%s: expected a module that loads, found %s", r->file,
			       w.how);
	else if (outcome == TIMED_OUT)
		(void)snprintf(why, cap, "%s: expected a module that loads, found none after 60 s",
			       r->file);
	else
		(void)snprintf(why, cap, "%.*s", (int)strcspn(said, "\n"), said);
	return 0;
}

/* -- TAP --------------------------------------------------------------------------------------- */

struct tap {
	run *r;
	unsigned n;
};

/* What follows in the worker's words, which may be anything, as lines that cannot be taken for others. */
static void diagnose(const char *said, size_t len)
{
	static const char mark[] = "[----] ";
	const char *end = said + len;

	while (said < end) {
		const char *stop = memchr(said, '\n', (size_t)(end - said));
		size_t n = (size_t)((stop != NULL ? stop : end) - said);
		size_t i = n >= sizeof mark - 1 && memcmp(said, mark, sizeof mark - 1) == 0
				   ? sizeof mark - 1
				   : 0;

		(void)fputs("# ", stdout);
		for (; i < n; i++)
			if (said[i] != '\r')
				(void)putchar((unsigned char)said[i] < ' ' ? ' ' : said[i]);
		(void)putchar('\n');
		said += n + 1;
	}
}

/* The reason that a case has given for skipping itself. */
static void print_skip(struct worker *w)
{
	const char *at;

	w->said[w->len] = '\0';
	at = strstr(w->said, "[SKIP] ");
	at = at != NULL ? strstr(at, ": ") : NULL;
	(void)printf(" # SKIP %.*s\n", at != NULL ? (int)strcspn(at + 2, "\r\n") : 0,
		     at != NULL ? at + 2 : "");
}

static void print(struct tap *t, const chosen *c, enum outcome outcome, struct worker *w)
{
	int is_good = outcome == PASSED || outcome == SKIPPED;

	(void)printf("%sok %u - %s", is_good ? "" : "not ", ++t->n, c->text);
	if (outcome == SKIPPED) {
		print_skip(w);
		return;
	}
	(void)putchar('\n');
	if (is_good)
		return;
	t->r->failed++;
	diagnose(w->said, w->len);
	if (outcome == CRASHED)
		(void)printf("# crashed: %s\n", w->how);
	if (outcome == TIMED_OUT)
		(void)printf("# expected an end within %g s, found none\n", w->seconds);
}

static void run_one(void *arg, const chosen *c)
{
	struct tap *t = arg;
	const run *r = t->r;
	char said[SAID], id[SHIM_ID], place[RIG_NAME_MAX], why[SYS_WHY];
	struct worker w = {.expected = &c->test->opts, .said = said, .cap = sizeof said - 1};
	enum outcome outcome = FAILED;

	w.seconds = r->seconds > 0 ? r->seconds : shim_seconds(c->test, 60);
	shim_id(c->test, c->param, id, sizeof id);
	if (place_make(place, why)) {
		outcome = start(r, id, place, &w);
		place_remove(place);
	} else {
		w.len = (size_t)snprintf(said, sizeof said, "%s\n", why);
	}
	if (outcome == STOPPED)
		process_end_as_asked();
	print(t, c, outcome, &w);
	(void)fflush(stdout); /* here, where a signal finds nothing to tidy up; see run_all() */
}

int run_all(run *r)
{
	struct tap t = {r, 0};

	(void)printf("TAP version 13\n1..%u\n", run_count(r));
	(void)fflush(stdout);
	for_each(r, run_one, &t);
	if (ferror(stdout)) {
		(void)fprintf(stderr, "check-link: the results could not be written\n");
		return CHECK_UNUSABLE;
	}
	return r->failed == 0 ? CHECK_PASSED : CHECK_FAILED;
}
