/* tools/viaduct/check_life.c - `viaduct check`: a module's life, repeated and under failures.
 *
 * The drills map the file itself (VIA_LOAD_DIRECT): what changes from one load to the next is then the
 * module's doing and not that of another private copy.
 */
#include "check.h"

#include "../lib/sys_probe.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CYCLES = 16, WARM_UP = 3, ROUNDS = 3, DRILLS = 5000, PAGE = 4096 };
#define UNLOAD_NS 10000000000u
#define DENIED 5 /* EIO; on Windows ERROR_ACCESS_DENIED */
#define UNKNOWN_KEY "viaduct-check-unknown-key"

/* -- hooks ----------------------------------------------------------------------------------- */

typedef struct drill {
	atomic_long n_blocks; /* not given back yet */
	atomic_ulong n_allocs, n_calls;
	unsigned long bad_alloc, bad_call; /* which of them fails; 0: none */
} drill;

/* The block's own address stands in front of what is given out. */
static void *drill_alloc(void *arg, uint64_t size, uint64_t align)
{
	drill *d = arg;
	uint8_t *base, *p;

	if (atomic_fetch_add(&d->n_allocs, 1) + 1 == d->bad_alloc || size > SIZE_MAX / 2)
		return NULL;
	align = align < sizeof(void *) ? sizeof(void *) : align;
	base = calloc(1, (size_t)(size + align + sizeof(void *)));
	if (base == NULL)
		return NULL;
	p = base + sizeof(void *);
	p += (align - (uintptr_t)p % align) % align;
	memcpy(p - sizeof(void *), &base, sizeof base);
	atomic_fetch_add(&d->n_blocks, 1);
	return p;
}

static void drill_free(void *arg, void *p)
{
	drill *d = arg;
	void *base;

	if (p == NULL)
		return;
	memcpy(&base, (uint8_t *)p - sizeof(void *), sizeof base);
	atomic_fetch_sub(&d->n_blocks, 1);
	free(base);
}

static int32_t drill_deny(void *arg, const char *call)
{
	drill *d = arg;

	(void)call;
	return atomic_fetch_add(&d->n_calls, 1) + 1 == d->bad_call ? DENIED : 0;
}

static via_hooks hooks_of(drill *d)
{
	return (via_hooks){sizeof(via_hooks), 0, d, drill_alloc, drill_free, drill_deny};
}

/* -- again and again ------------------------------------------------------------------------- */

/* One load and unload; 0 with a failed check. */
static int cycle(check_child *c, via_registry *r, uint32_t number)
{
	via_rc rc = via_registry_load(r, c->module.id);

	if (rc != VIA_OK) {
		check_tell(c->report, CHECK_FAILED, "load %u: %s", number, check_error(rc));
		return 0;
	}
	rc = via_registry_unload(r, c->module.id, via_deadline(UNLOAD_NS));
	if (rc == VIA_OK)
		return 1;
	check_tell(c->report, CHECK_FAILED, "unload %u: %s", number, check_error(rc));
	return 0;
}

static void check_cycles(check_child *c)
{
	via_registry *r;
	uint32_t i;

	check_begin(c->report, "cycles");
	if (!check_open(c, NULL, VIA_LOAD_COPY, &r))
		return;
	for (i = 1; i <= CYCLES && cycle(c, r, i); i++)
		;
	if (check_close(c, r) && i > CYCLES)
		check_tell(c->report, CHECK_PASSED,
			   "loaded and unloaded %d times, each time another mapping", CYCLES);
}

static void check_twice(check_child *c)
{
	via_registry *r[2];
	via_rc rc;

	check_begin(c->report, "two-registries");
	if (!check_open(c, NULL, VIA_LOAD_DIRECT, &r[0]))
		return;
	if (!check_open(c, NULL, VIA_LOAD_DIRECT, &r[1])) {
		(void)via_registry_close(r[0]);
		return;
	}
	rc = via_registry_load(r[0], c->module.id);
	if (rc == VIA_OK)
		rc = via_registry_load(r[1], c->module.id);
	if (rc == VIA_OK)
		check_tell(c->report, CHECK_PASSED, "loaded in two registries of one process");
	else if (rc == VIA_BUSY || rc == VIA_EXISTS || rc == VIA_STATE)
		check_tell(c->report, CHECK_PASSED, "refused in a second one: %s", check_error(rc));
	else
		check_tell(c->report, CHECK_FAILED,
			   "expected it in two registries of one process, found: %s",
			   check_error(rc));
	(void)via_registry_close(r[1]);
	(void)via_registry_close(r[0]);
}

static void check_unknown_key(check_child *c)
{
	via_registry *r;
	via_rc rc;

	check_begin(c->report, "unknown-key");
	if (!check_open(c, NULL, VIA_LOAD_COPY, &r))
		return;
	rc = via_registry_configure(r, c->module.id, UNKNOWN_KEY "=1\n");
	if (rc == VIA_OK)
		rc = via_registry_load(r, c->module.id);
	if (rc == VIA_OK)
		check_tell(c->report, CHECK_FAILED,
			   "expected the configuration \"" UNKNOWN_KEY "=1\" to be refused, it was "
			   "accepted");
	else if (rc != VIA_INVAL)
		check_tell(c->report, CHECK_FAILED,
			   "expected VIA_INVAL for the configuration \"" UNKNOWN_KEY
			   "=1\", found %s: %s",
			   via_rc_name(rc), check_error(rc));
	else
		check_tell(c->report, CHECK_PASSED, "refused: %s", check_error(rc));
	(void)via_registry_close(r);
}

/* -- failures -------------------------------------------------------------------------------- */

enum { DRILL_ALLOC, DRILL_CALL };

/* What a failure has led to. NULL: all is well. */
static const char *try_loading(check_child *c, drill *d, via_registry *r)
{
	via_rc rc = via_registry_load(r, c->module.id);

	if (rc != VIA_OK && via_error()[0] == '\0')
		return "expected a reason";
	d->bad_alloc = d->bad_call = 0;
	if (rc != VIA_OK)
		rc = via_registry_load(r, c->module.id);
	if (rc == VIA_OK)
		rc = via_registry_unload(r, c->module.id, via_deadline(UNLOAD_NS));
	if (rc != VIA_OK)
		return check_error(rc);
	return c->left[0] != '\0' ? c->left : NULL;
}

/* Loads with failure n. 1: it happened; 0: there are fewer of them; -1: a failed check. */
static int drill_once(check_child *c, int what, unsigned long n)
{
	drill d = {0};
	const via_hooks hooks = hooks_of(&d);
	char wrong[CHECK_SENTENCE] = "";
	const char *why;
	via_registry *r;
	int happened;

	if (!check_open(c, &hooks, VIA_LOAD_DIRECT, &r))
		return -1;
	c->left[0] = '\0';
	atomic_store(&d.n_allocs, 0);
	atomic_store(&d.n_calls, 0);
	d.bad_alloc = what == DRILL_ALLOC ? n : 0;
	d.bad_call = what == DRILL_CALL ? n : 0;
	why = try_loading(c, &d, r);
	if (why != NULL)
		(void)snprintf(wrong, sizeof wrong, "%s", why);
	happened = atomic_load(what == DRILL_ALLOC ? &d.n_allocs : &d.n_calls) >= n;
	if (via_registry_close(r) != VIA_OK && wrong[0] == '\0')
		(void)snprintf(wrong, sizeof wrong, "%s", via_error());
	if (atomic_load(&d.n_blocks) != 0 && wrong[0] == '\0')
		(void)snprintf(wrong, sizeof wrong,
			       "expected all memory to be given back, found %ld blocks",
			       atomic_load(&d.n_blocks));
	if (wrong[0] == '\0')
		return happened;
	check_tell(c->report, CHECK_FAILED, "when %s %lu of a load failed: %s",
		   what == DRILL_ALLOC ? "allocation" : "system call", n, wrong);
	return -1;
}

static void check_drill(check_child *c, const char *name, int what)
{
	unsigned long n = 1;
	int rc;

	check_begin(c->report, "%s", name);
	while ((rc = drill_once(c, what, n)) == 1 && n < DRILLS)
		n++;
	if (rc == 1)
		check_tell(c->report, CHECK_FAILED, "expected less than %d of them in a load",
			   DRILLS);
	else if (rc == 0)
		check_tell(
			c->report, CHECK_PASSED,
			"each of %lu of a load failed once: a reason each time, nothing left, and the "
			"next load did",
			n - 1);
}

/* -- what is left ---------------------------------------------------------------------------- */

/* The address space: by a page each time. */
static int has_grown(const sys_usage *before, const sys_usage *after)
{
	return before->n_mapped != 0 &&
	       after->n_mapped >= before->n_mapped + (uint64_t)CYCLES * PAGE;
}

static void judge_usage(check_child *c, const sys_usage *first, const sys_usage *before,
			const sys_usage *after, long n_blocks)
{
	if (after->n_threads > first->n_threads)
		check_tell(c->report, CHECK_FAILED, "expected %llu threads as before, found %llu",
			   (unsigned long long)first->n_threads,
			   (unsigned long long)after->n_threads);
	else if (after->n_handles > before->n_handles)
		check_tell(c->report, CHECK_FAILED,
			   "expected %llu descriptors as before %d loads, found %llu",
			   (unsigned long long)before->n_handles, CYCLES,
			   (unsigned long long)after->n_handles);
	else if (has_grown(before, after))
		check_tell(c->report, CHECK_FAILED,
			   "expected %llu bytes mapped as before %d loads, found %llu",
			   (unsigned long long)before->n_mapped, CYCLES,
			   (unsigned long long)after->n_mapped);
	else if (n_blocks != 0)
		check_tell(c->report, CHECK_FAILED,
			   "expected all memory of the host to be given back, found %ld blocks",
			   n_blocks);
	else
		check_tell(c->report, CHECK_PASSED,
			   "after %d loads as many threads%s%s as before, all memory given back",
			   CYCLES, after->n_handles != 0 ? " and descriptors" : "",
			   after->n_mapped != 0 ? " and mappings" : "");
}

static int usage(check_child *c, sys_usage *out)
{
	char why[SYS_WHY];

	if (sys_usage_get(out, why))
		return 1;
	check_tell(c->report, CHECK_SKIPPED, "%s", why);
	return 0;
}

static int cycles(check_child *c, via_registry *r, uint32_t n)
{
	uint32_t i;

	for (i = 1; i <= n; i++)
		if (!cycle(c, r, i))
			return 0;
	return 1;
}

static void check_left(check_child *c)
{
	drill d = {0};
	const via_hooks hooks = hooks_of(&d);
	sys_usage first, before, after;
	int is_known = 0, round;
	via_registry *r;

	check_begin(c->report, "left-behind");
	if (!check_open(c, &hooks, VIA_LOAD_DIRECT, &r))
		return;
	if (!usage(c, &first) || !cycles(c, r, WARM_UP))
		goto end;
	for (round = 0; round < ROUNDS; round++) { /* what grows once is no leak */
		if (!usage(c, &before) || !cycles(c, r, CYCLES) || !usage(c, &after))
			goto end;
		if (after.n_handles <= before.n_handles && !has_grown(&before, &after))
			break;
	}
	is_known = 1;
end:
	if (check_close(c, r) && is_known)
		judge_usage(c, &first, &before, &after, atomic_load(&d.n_blocks));
}

void check_lifecycle(check_child *c)
{
	check_cycles(c);
	check_twice(c);
	check_unknown_key(c);
	check_drill(c, "allocations", DRILL_ALLOC);
	check_drill(c, "system-calls", DRILL_CALL);
	check_left(c);
}
