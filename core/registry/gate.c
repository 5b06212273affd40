/* core/registry/gate.c - the descriptor of mapped code against this core's ABI and its own identity
 * text.
 *
 * Every refusal says what was expected and what was found. Nothing of the module but its pure entry
 * has run.
 */
#include "reg.h"

#include <string.h>

enum { COMPONENTS_MAX = 64, COMPONENT_SIZE_MAX = 4096 };

/* -- version and layout ------------------------------------------------------------------------ */

static const struct {
	const char *name;
	unsigned shift, bits;
} facts[] = {
	{"size of a pointer", 0, 8},         {"size of via_value", 8, 8},
	{"size of via_view", 16, 8},         {"size of via_slot", 24, 8},
	{"offset of via_link.host", 32, 16}, {"offset of via_link_ops.close", 48, 16},
};

static via_rc check_layout(uint64_t layout)
{
	uint64_t expected, found;
	size_t i;

	for (i = 0; i < sizeof facts / sizeof facts[0]; i++) {
		expected = VIA_LAYOUT >> facts[i].shift & ((1u << facts[i].bits) - 1u);
		found = layout >> facts[i].shift & ((1u << facts[i].bits) - 1u);
		if (expected != found)
			return core_fail(
				VIA_EABI,
				"compiled for another layout: %s: expected %llu, found %llu",
				facts[i].name, (unsigned long long)expected,
				(unsigned long long)found);
	}
	return VIA_OK;
}

static via_rc check_version(const via_module_desc *d)
{
	if (d->magic != VIA_MODULE_MAGIC)
		return core_fail(VIA_EABI, "descriptor: magic: expected 0x%x, found 0x%x",
				 VIA_MODULE_MAGIC, d->magic);
	if (d->abi_major != VIA_ABI_MAJOR || d->abi_minor > VIA_ABI_MINOR)
		return core_fail(VIA_EABI, "built for viaduct ABI %u.%u, this core offers %u.%u",
				 d->abi_major, d->abi_minor, VIA_ABI_MAJOR, VIA_ABI_MINOR);
	if (!VIA_HAS(d, via_module_desc, life))
		return core_fail(VIA_EABI,
				 "descriptor: struct_size: expected at least %zu, found %u",
				 offsetof(via_module_desc, life) + sizeof d->life, d->struct_size);
	return check_layout(d->layout);
}

static via_rc check_outline(const reg_gen *g, const via_module_desc *d)
{
	if (d->id == NULL || strcmp(d->id, g->note->n.id) != 0)
		return core_fail(VIA_EABI,
				 "descriptor: id: expected %s as in the identity text, found %.80s",
				 g->note->n.id, d->id == NULL ? "none" : d->id);
	if (d->n_components > COMPONENTS_MAX)
		return core_fail(VIA_EABI, "descriptor: expected at most %d components, found %u",
				 COMPONENTS_MAX, d->n_components);
	if (d->n_components > 0 && d->components == NULL)
		return core_fail(VIA_EABI, "descriptor: %u components, but no table of them",
				 d->n_components);
	if (d->component_size < sizeof(via_component) || d->component_size % sizeof(void *) != 0 ||
	    d->component_size > COMPONENT_SIZE_MAX)
		return core_fail(
			VIA_EABI,
			"descriptor: component_size: expected %zu to %d, a multiple of %zu, found %u",
			sizeof(via_component), COMPONENT_SIZE_MAX, sizeof(void *),
			d->component_size);
	if (d->life != NULL && d->life->struct_size < sizeof(uint64_t))
		return core_fail(VIA_EABI,
				 "lifecycle: struct_size: expected at least %zu, found %u",
				 sizeof(uint64_t), d->life->struct_size);
	return VIA_OK;
}

/* -- components -------------------------------------------------------------------------------- */

static const via_component *component_at(const via_module_desc *d, uint32_t i)
{
	return (const via_component *)(const void *)((const char *)d->components +
						     (size_t)i * d->component_size);
}

static via_rc check_component(const note_component *n, const via_component *c)
{
	const char *kind = note_kind_name(n->p.kind);

	if (c->rev != n->p.rev)
		return core_fail(VIA_EABI,
				 "%s %s: revision: expected %u as in the identity text, found %u",
				 kind, c->id, n->p.rev, c->rev);
	if ((n->stated & NOTE_SCORE) != 0 && c->score != n->p.score)
		return core_fail(VIA_EABI,
				 "%s %s: score: expected %d as in the identity text, found %d",
				 kind, c->id, n->p.score, c->score);
	if (c->vtable == NULL)
		return core_fail(VIA_EABI, "%s %s: the table of functions is missing", kind, c->id);
	return vtable_check(n, c->vtable);
}

/* The component of the descriptor that the text calls n, or NULL. */
static const via_component *find_component(const via_module_desc *d, const note_component *n)
{
	uint32_t i;

	for (i = 0; i < d->n_components; i++) {
		const via_component *c = component_at(d, i);

		if (c->kind == n->p.kind && strcmp(c->id, n->p.id) == 0)
			return c;
	}
	return NULL;
}

/* What the code has but the text does not say. Kinds of a newer minor are not ours to judge. */
static via_rc check_surplus(const reg_gen *g, const via_module_desc *d)
{
	const note *n = &g->note->n;
	uint32_t i, k;

	for (i = 0; i < d->n_components; i++) {
		const via_component *c = component_at(d, i);

		if (c->struct_size < sizeof *c)
			return core_fail(
				VIA_EABI,
				"component %u: struct_size: expected at least %zu, found %u", i,
				sizeof *c, c->struct_size);
		if (c->id == NULL)
			return core_fail(VIA_EABI, "component %u: it has no id", i);
		if (c->kind < VIA_KIND_TRANSPORT || c->kind > VIA_KIND_SERVICE)
			continue;
		for (k = 0; k < n->n_provides; k++)
			if (n->provides[k].p.kind == c->kind &&
			    strcmp(n->provides[k].p.id, c->id) == 0)
				break;
		if (k == n->n_provides)
			return core_fail(VIA_EABI,
					 "%s %s is in the descriptor but not in the identity text",
					 note_kind_name(c->kind), c->id);
	}
	return VIA_OK;
}

via_rc gate_check(reg_gen *g, const via_module_desc *d)
{
	const note *n = &g->note->n;
	uint32_t i;
	via_rc rc;

	rc = check_version(d);
	if (rc == VIA_OK)
		rc = check_outline(g, d);
	if (rc == VIA_OK)
		rc = check_surplus(g, d);
	for (i = 0; rc == VIA_OK && i < n->n_provides; i++) {
		const via_component *c = find_component(d, &n->provides[i]);

		if (c == NULL)
			return core_fail(VIA_EABI,
					 "%s %s is in the identity text but not in the descriptor",
					 note_kind_name(n->provides[i].p.kind),
					 n->provides[i].p.id);
		rc = check_component(&n->provides[i], c);
		if (rc == VIA_OK)
			g->component[i].vtable = c->vtable;
	}
	return rc;
}
