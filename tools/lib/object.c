/* tools/lib/object.c - the names in a shared object: what both formats share, and ELF.
 *
 * ELF is read by its section table (System V gABI, chapters 4 and 5): a module has one, since its
 * identity is a section.
 */
#include "object.h"

#include <stdio.h>
#include <string.h>

enum {
	NAME_MAX_BYTES = 4096
}; /* no name is longer; keeps the time that a forged file takes short */

const uint8_t *object_at(const object *o, uint64_t off, uint64_t n, const char *what)
{
	if (off <= o->len && n <= o->len - off)
		return o->data + off;
	(void)snprintf(o->why, OBJECT_WHY,
		       "truncated or damaged: the %s needs %llu bytes at %llu, the file has %llu",
		       what, (unsigned long long)n, (unsigned long long)off,
		       (unsigned long long)o->len);
	return NULL;
}

const char *object_text(const object *o, uint64_t off, uint64_t end, const char *what)
{
	uint64_t room = off < end && end <= o->len ? end - off : 0;

	if (room > NAME_MAX_BYTES)
		room = NAME_MAX_BYTES;
	if (room != 0 && memchr(o->data + off, 0, room) != NULL)
		return (const char *)o->data + off;
	(void)snprintf(
		o->why, OBJECT_WHY,
		"damaged: the %s at %llu does not end before %llu, or is longer than 4096 bytes; "
		"the file has %llu",
		what, (unsigned long long)off, (unsigned long long)end, (unsigned long long)o->len);
	return NULL;
}

int object_too_many(const object *o, const char *what)
{
	(void)snprintf(o->why, OBJECT_WHY, "damaged: too many %s", what);
	return 0;
}

int object_read(const void *data, size_t len, object_fn *fn, void *arg, char why[OBJECT_WHY])
{
	const object o = {data, len, fn, arg, why};

	if (len >= 4 && memcmp(data, "\177ELF", 4) == 0)
		return object_read_elf(&o) ? OBJECT_ELF : 0;
	if (len >= 2 && memcmp(data, "MZ", 2) == 0)
		return object_read_pe(&o) ? OBJECT_PE : 0;
	(void)snprintf(why, OBJECT_WHY, "expected an ELF or a PE file, found neither");
	return 0;
}

/* -- ELF ------------------------------------------------------------------------------------- */

enum {
	EHDR_BYTES = 64,
	SHDR_BYTES = 64,
	SYMBOL_BYTES = 24,
	DYNAMIC_BYTES = 16,
	MAX_SECTIONS = 4096,
	TYPE_DYNAMIC = 6,
	TYPE_NOBITS = 8,
	TYPE_DYNSYM = 11,
	TAG_NULL = 0,
	TAG_NEEDED = 1,
	BIND_LOCAL = 0,
	VISIBILITY_INTERNAL = 1,
	VISIBILITY_HIDDEN = 2
};

typedef struct section {
	uint32_t name, type, link;
	uint64_t off, size;
} section;

typedef struct elf {
	const object *o;
	const uint8_t *table;
	uint32_t n_sections, n_read; /* n_read: tables of names read so far */
} elf;

/* Section i; its bytes lie in the file. */
static int section_at(const elf *e, uint32_t i, section *out)
{
	const uint8_t *h = e->table + (size_t)i * SHDR_BYTES;

	*out = (section){object_u32(h), object_u32(h + 4), object_u32(h + 40), object_u64(h + 24),
			 object_u64(h + 32)};
	if (out->type == 0 || out->type == TYPE_NOBITS)
		out->size = 0;
	return out->size == 0 || object_at(e->o, out->off, out->size, "section") != NULL;
}

static int linked(const elf *e, const section *s, section *out)
{
	if (s->link < e->n_sections)
		return section_at(e, s->link, out);
	(void)snprintf(e->o->why, OBJECT_WHY, "damaged: section %u holds the names, of %u sections",
		       s->link, e->n_sections);
	return 0;
}

static int read_symbols(const elf *e, const section *s)
{
	const uint8_t *p = e->o->data + s->off;
	uint64_t i, n = s->size / SYMBOL_BYTES;
	const char *name;
	section names;

	if (n > OBJECT_NAMES)
		return object_too_many(e->o, "symbols");
	if (!linked(e, s, &names))
		return 0;
	for (i = 1; i < n; i++) { /* the first one is none */
		const uint8_t *symbol = p + i * SYMBOL_BYTES;
		uint32_t visibility = symbol[5] & 3u;

		if (symbol[4] >> 4 == BIND_LOCAL)
			continue;
		name = object_text(e->o, names.off + object_u32(symbol), names.off + names.size,
				   "name of a symbol");
		if (name == NULL)
			return 0;
		if (object_u16(symbol + 6) == 0)
			e->o->fn(e->o->arg, OBJECT_IMPORT, name, 0);
		else if (visibility != VISIBILITY_INTERNAL && visibility != VISIBILITY_HIDDEN)
			e->o->fn(e->o->arg, OBJECT_EXPORT, name, 0);
	}
	return 1;
}

static int read_needed(const elf *e, const section *s)
{
	const uint8_t *p = e->o->data + s->off;
	uint64_t i, n = s->size / DYNAMIC_BYTES, tag, at;
	const char *name;
	section names;

	if (n > OBJECT_NAMES)
		return object_too_many(e->o, "dynamic entries");
	if (!linked(e, s, &names))
		return 0;
	for (i = 0; i < n; i++) {
		tag = object_u64(p + i * DYNAMIC_BYTES);
		at = object_u64(p + i * DYNAMIC_BYTES + 8);
		if (tag == TAG_NULL)
			break;
		if (tag != TAG_NEEDED)
			continue;
		name = at < names.size ? object_text(e->o, names.off + at, names.off + names.size,
						     "name of a library")
				       : object_text(e->o, at, 0, "name of a library");
		if (name == NULL)
			return 0;
		e->o->fn(e->o->arg, OBJECT_LIBRARY, name, 0);
	}
	return 1;
}

/* There is one of either; more would only take time. */
static int read_table(elf *e, const section *s)
{
	if (s->type != TYPE_DYNSYM && s->type != TYPE_DYNAMIC)
		return 1;
	if (e->n_read++ == 2)
		return object_too_many(e->o, "tables of symbols");
	return s->type == TYPE_DYNSYM ? read_symbols(e, s) : read_needed(e, s);
}

static int read_sections(elf *e, uint32_t names_index)
{
	section names, s;
	const char *name;
	uint32_t i;

	if (!section_at(e, names_index, &names))
		return 0;
	for (i = 0; i < e->n_sections; i++) {
		if (!section_at(e, i, &s))
			return 0;
		name = object_text(e->o, names.off + s.name, names.off + names.size,
				   "name of a section");
		if (name == NULL)
			return 0;
		e->o->fn(e->o->arg, OBJECT_SECTION, name, s.size);
		if (!read_table(e, &s))
			return 0;
	}
	return 1;
}

int object_read_elf(const object *o)
{
	const uint8_t *h = object_at(o, 0, EHDR_BYTES, "ELF header");
	elf e = {.o = o};
	uint32_t names_index;

	if (h == NULL)
		return 0;
	if (h[4] != 2 || h[5] != 1) {
		(void)snprintf(o->why, OBJECT_WHY,
			       "expected 64-bit little-endian ELF (2, 1), found class %u, data %u",
			       h[4], h[5]);
		return 0;
	}
	e.n_sections = object_u16(h + 60);
	names_index = object_u16(h + 62);
	if (object_u16(h + 58) != SHDR_BYTES || e.n_sections == 0 || e.n_sections > MAX_SECTIONS ||
	    names_index >= e.n_sections) {
		(void)snprintf(o->why, OBJECT_WHY,
			       "expected 1 to %d section headers of %d bytes and their names among "
			       "them, found %u of %u bytes, names in %u",
			       MAX_SECTIONS, SHDR_BYTES, e.n_sections, object_u16(h + 58),
			       names_index);
		return 0;
	}
	e.table = object_at(o, object_u64(h + 40), (uint64_t)e.n_sections * SHDR_BYTES,
			    "section table");
	return e.table != NULL && read_sections(&e, names_index);
}
