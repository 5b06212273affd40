/* core/registry/vtable.c - a component's table of functions: complete for its kind, and as its
 * text says. */
#include "reg.h"

#include <string.h>

/* A member that must be there. Function pointers of any type: only their presence is looked at. */
struct member {
	const char *name;
	int present;
};

static via_rc missing(const note_component *n, const struct member *m, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (!m[i].present)
			return core_fail(VIA_EABI, "%s %s: member %s is missing",
					 note_kind_name(n->p.kind), n->p.id, m[i].name);
	return VIA_OK;
}

#define N_OF(a) (sizeof(a) / sizeof(a)[0])

static via_rc check_size(const note_component *n, uint32_t size, size_t least)
{
	if (size >= least)
		return VIA_OK;
	return core_fail(VIA_EABI, "%s %s: struct_size: expected at least %zu, found %u",
			 note_kind_name(n->p.kind), n->p.id, least, size);
}

static via_rc differs(const note_component *n, const char *what, const char *expected,
		      const char *found)
{
	return core_fail(VIA_EABI,
			 "%s %s: %s: expected \"%.80s\" as in the identity text, found \"%.80s\"",
			 note_kind_name(n->p.kind), n->p.id, what, expected,
			 found == NULL ? "" : found);
}

/* -- transport --------------------------------------------------------------------------------- */

static via_rc check_transport(const note_component *n, const via_transport *t)
{
	int baseline = (n->p.roles & VIA_ROLE_BASELINE) != 0,
	    upgrade = (n->p.roles & VIA_ROLE_UPGRADE) != 0;
	const struct member m[] = {
		{"probe", t->probe != NULL},
		{"listen", !baseline || t->listen != NULL},
		{"dial", !baseline || t->dial != NULL},
		{"provision", !upgrade || t->provision != NULL},
		{"attach", !upgrade || t->attach != NULL},
		{"wrap", (n->p.roles & VIA_ROLE_DECORATOR) == 0 || t->wrap != NULL},
	};

	if (t->roles != n->p.roles)
		return core_fail(
			VIA_EABI,
			"transport %s: roles: expected 0x%x as in the identity text, found 0x%x",
			n->p.id, n->p.roles, t->roles);
	if (t->profiles != n->p.profiles)
		return core_fail(
			VIA_EABI,
			"transport %s: profiles: expected 0x%x as in the identity text, found 0x%x",
			n->p.id, n->p.profiles, t->profiles);
	if (t->by_request != n->p.by_request)
		return core_fail(
			VIA_EABI,
			"transport %s: by_request: expected 0x%x as in the identity text, found 0x%x",
			n->p.id, n->p.by_request, t->by_request);
	if (strcmp(n->p.name, t->schemes == NULL ? "" : t->schemes) != 0)
		return differs(n, "schemes", n->p.name, t->schemes);
	return missing(n, m, N_OF(m));
}

/* -- codec ------------------------------------------------------------------------------------- */

static via_rc check_columns(const note_component *n, const char *what, uint32_t count,
			    const via_column *c, int *pairs)
{
	uint32_t i;

	if (count > 0 && c == NULL)
		return core_fail(VIA_EABI, "codec %s: %u columns of the %s, but no table of them",
				 n->p.id, count, what);
	for (i = 0; i < count; i++) {
		if (c[i].name == NULL)
			return core_fail(VIA_EABI, "codec %s: column %u of the %s has no name",
					 n->p.id, i, what);
		if (c[i].type < VIA_T_U64 || c[i].type > VIA_T_PAIRS)
			return core_fail(VIA_EABI,
					 "codec %s: column %.40s: type: expected 1 to %d, found %u",
					 n->p.id, c[i].name, VIA_T_PAIRS, c[i].type);
		*pairs |= c[i].type == VIA_T_PAIRS;
	}
	return VIA_OK;
}

static via_rc check_codec(const note_component *n, const via_codec *c)
{
	int pairs = 0;
	via_rc rc;
	uint32_t i;

	if (c->method != n->p.method)
		return core_fail(VIA_EABI,
				 "codec %s: method: expected %u as in the identity text, found %u",
				 n->p.id, n->p.method, c->method);
	if (c->name == NULL || strcmp(c->name, n->p.name) != 0)
		return differs(n, "name", n->p.name, c->name);
	for (i = 0; i < N_OF(c->side); i++) {
		rc = check_columns(n, "head", c->side[i].n_head, c->side[i].head, &pairs);
		if (rc == VIA_OK)
			rc = check_columns(n, "row", c->side[i].n_row, c->side[i].row, &pairs);
		if (rc != VIA_OK)
			return rc;
	}
	const struct member m[] = {
		{"check", c->check != NULL},     {"head", c->head != NULL},
		{"row", c->row != NULL},         {"pair", !pairs || c->pair != NULL},
		{"begin", c->begin != NULL},     {"set_head", c->set_head != NULL},
		{"add_row", c->add_row != NULL}, {"finish", c->finish != NULL},
	};

	return missing(n, m, N_OF(m));
}

/* -- service ----------------------------------------------------------------------------------- */

/* "a,b" of the text against the NULL-terminated table. */
static via_rc check_codec_names(const note_component *n, const via_service *s)
{
	const char *list = n->p.codecs;
	uint32_t i;

	if (s->codecs == NULL || s->codecs[0] == NULL)
		return core_fail(VIA_EABI, "service %s: it names no codec", n->p.id);
	for (i = 0; s->codecs[i] != NULL; i++) {
		size_t len = strlen(s->codecs[i]);

		if (i == NOTE_PROVIDES_MAX)
			return core_fail(VIA_EABI, "service %s: expected at most %d codecs",
					 n->p.id, NOTE_PROVIDES_MAX);
		if ((n->stated & NOTE_CODECS) == 0)
			continue;
		if (strcspn(list, ",") != len || memcmp(list, s->codecs[i], len) != 0)
			return differs(n, "codecs", n->p.codecs, s->codecs[i]);
		list += len + (list[len] == ',');
	}
	if ((n->stated & NOTE_CODECS) != 0 && *list != '\0')
		return differs(n, "codecs", n->p.codecs, s->codecs[i - 1]);
	return VIA_OK;
}

static via_rc check_service(const note_component *n, const via_service *s)
{
	const struct member m[] = {
		{"call", s->call != NULL},
	};
	via_rc rc;

	if (s->name == NULL || strcmp(s->name, n->p.name) != 0)
		return differs(n, "name", n->p.name, s->name);
	rc = check_codec_names(n, s);
	return rc != VIA_OK ? rc : missing(n, m, N_OF(m));
}

/* -- any --------------------------------------------------------------------------------------- */

via_rc vtable_check(const note_component *n, const void *vtable)
{
	uint32_t size;
	via_rc rc;

	memcpy(&size, vtable, sizeof size); /* struct_size is the first member of every kind */
	switch (n->p.kind) {
	case VIA_KIND_TRANSPORT:
		rc = check_size(n, size, offsetof(via_transport, wrap) + sizeof(void (*)(void)));
		return rc != VIA_OK ? rc : check_transport(n, vtable);
	case VIA_KIND_CODEC:
		rc = check_size(n, size, offsetof(via_codec, get_ext) + sizeof(void (*)(void)));
		return rc != VIA_OK ? rc : check_codec(n, vtable);
	default:
		rc = check_size(n, size, offsetof(via_service, get_ext) + sizeof(void (*)(void)));
		return rc != VIA_OK ? rc : check_service(n, vtable);
	}
}
