/* tools/viaduct/check_abi.c - `viaduct check`: the descriptor and the tables of code that was loaded, and
 * whether it goes again.
 *
 * The registry compares all of it while it loads, and its sentence says what differs; here is what a program
 * then finds.
 */
#include "check.h"

#include "../lib/sys_probe.h"

#include <stdio.h>
#include <string.h>

/* -- abi ------------------------------------------------------------------------------------- */

static int load(check_child *c, via_registry *r)
{
	via_rc rc = via_registry_load(r, c->module.id);

	if (rc == VIA_OK) {
		check_tell(c->report, CHECK_PASSED,
			   "entry, descriptor, layout and tables agree with the core and with the "
			   "identity text");
		return 1;
	}
	check_tell(c->report, CHECK_FAILED, "%s", check_error(rc));
	return 0;
}

static void check_component_ref(check_child *c, via_registry *r, const check_component *p)
{
	via_ref ref = {.struct_size = sizeof ref};
	via_rc rc;

	check_begin(c->report, "%s %s", check_kind_name(p->kind), p->id);
	rc = via_registry_acquire(r, p->kind, p->id, p->rev, &ref);
	if (rc != VIA_OK)
		check_tell(c->report, CHECK_FAILED, "expected it from this module, found: %s",
			   check_error(rc));
	else if (ref.rev != p->rev)
		check_tell(c->report, CHECK_FAILED, "expected revision %u, found %u", p->rev,
			   ref.rev);
	else
		check_tell(c->report, CHECK_PASSED, "revision %u, %u bytes of table", ref.rev,
			   *(const uint32_t *)ref.vtable);
	via_registry_release(r, &ref);
}

/* That it does not work here is nothing against it: it has to say why. */
static void check_probe(check_child *c, via_registry *r, const check_component *p)
{
	via_ref ref = {.struct_size = sizeof ref};
	const via_transport *t;
	char before[CHECK_SENTENCE];
	via_rc rc;

	check_begin(c->report, "probe %.50s", p->id);
	rc = via_registry_acquire(r, p->kind, p->id, 0, &ref);
	if (rc != VIA_OK) {
		check_tell(c->report, CHECK_FAILED, "%s", check_error(rc));
		return;
	}
	(void)via_registry_unload(r, NULL, VIA_POLL); /* fails with a sentence of its own */
	(void)snprintf(before, sizeof before, "%s", via_error());
	t = ref.vtable;
	rc = t->probe(ref.self);
	if (rc > 1000 || rc == 0)
		check_tell(c->report, CHECK_FAILED, "expected a score from 1 to 1000, found %d",
			   rc);
	else if (rc < 0 && strcmp(via_error(), before) == 0)
		check_tell(c->report, CHECK_FAILED, "expected a reason with %s, found none",
			   via_rc_name(rc));
	else if (rc < 0)
		check_tell(c->report, CHECK_PASSED, "it does not work here, and says why: %s",
			   via_error());
	else
		check_tell(c->report, CHECK_PASSED, "score %d", rc);
	via_registry_release(r, &ref);
}

void check_abi(check_child *c)
{
	via_registry *r;
	uint32_t i;

	check_begin(c->report, "load");
	if (!check_open(c, NULL, VIA_LOAD_COPY, &r))
		return;
	if (load(c, r)) {
		for (i = 0; i < c->module.n_components; i++) {
			check_component_ref(c, r, &c->module.component[i]);
			if (c->module.component[i].kind == VIA_KIND_TRANSPORT)
				check_probe(c, r, &c->module.component[i]);
		}
	}
	(void)check_close(c, r);
}

/* -- unload ---------------------------------------------------------------------------------- */

#define UNLOAD_NS 10000000000u

/* An address of the module: the table of its first component. NULL with a failed check. */
static const void *an_address(check_child *c, via_registry *r)
{
	const check_component *p = &c->module.component[0];
	via_ref ref = {.struct_size = sizeof ref};
	const void *table;
	via_rc rc = via_registry_acquire(r, p->kind, p->id, 0, &ref);

	if (rc != VIA_OK) {
		check_tell(c->report, CHECK_FAILED, "expected it to load, found: %s",
			   check_error(rc));
		return NULL;
	}
	table = ref.vtable;
	via_registry_release(r, &ref);
	return table;
}

static void judge_code(check_child *c, via_registry *r, const void *code)
{
	int is_there = sys_is_mapped(code);
	check_module now;

	check_look(r, c->file, &now);
	check_begin(c->report, "code");
	if (now.state == VIA_FILE_RETIRED && is_there)
		check_tell(c->report, CHECK_PASSED,
			   "it stays: the module does not say VIA_MOD_UNLOADABLE");
	else if (now.state == VIA_FILE_RETIRED)
		check_tell(c->report, CHECK_FAILED,
			   "expected code that stays, since the module does not say "
			   "VIA_MOD_UNLOADABLE, found it gone");
	else if (is_there)
		check_tell(
			c->report, CHECK_FAILED,
			"the module says VIA_MOD_UNLOADABLE: expected its code to be unmapped, found "
			"it there: is it linked with nodelete, or has it thread-local destructors?");
	else
		check_tell(c->report, CHECK_PASSED,
			   "unmapped, as the module allows with VIA_MOD_UNLOADABLE");
}

void check_unload(check_child *c)
{
	const void *code;
	via_registry *r;
	via_rc rc;

	check_begin(c->report, "unload");
	if (!check_open(c, NULL, VIA_LOAD_COPY, &r))
		return;
	code = an_address(c, r);
	if (code == NULL)
		goto end;
	rc = via_registry_unload(r, c->module.id, via_deadline(UNLOAD_NS));
	if (rc != VIA_OK) {
		check_tell(c->report, CHECK_FAILED, "%s", check_error(rc));
		goto end;
	}
	check_tell(c->report, CHECK_PASSED,
		   "drained, stopped and finished, nothing left with the host");
	judge_code(c, r, code);
	check_begin(c->report, "again");
	if (an_address(c, r) != NULL)
		check_tell(c->report, CHECK_PASSED, "loaded anew after it was unloaded");
end:
	(void)check_close(c, r);
}
