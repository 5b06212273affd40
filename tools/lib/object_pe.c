/* tools/lib/object_pe.c - the names in a DLL: PE32+ (PE/COFF specification, sections 2 to 6).
 *
 * Addresses of the image are found in the file through the section table. Imports by number have no
 * name and are called "#N".
 */
#include "object.h"

#include <stdio.h>
#include <string.h>

enum {
	DOS_BYTES = 64,
	HEAD_BYTES = 24,
	SECTION_BYTES = 40,
	PE_SECTIONS = 96, /* what Windows itself accepts */
	OPTIONAL_BYTES = 112,
	DIRECTORY_BYTES = 8,
	EXPORT_BYTES = 40,
	IMPORT_BYTES = 20,
	DELAY_BYTES = 32,
	MAX_LIBRARIES = 1024,
	PE32_PLUS = 0x20b,
	DIR_EXPORT = 0,
	DIR_IMPORT = 1,
	DIR_DELAY = 13
};

typedef struct pe {
	const object *o;
	const uint8_t *sections, *directories;
	uint32_t n_sections, n_directories;
	uint32_t n_imports, n_libraries;
} pe;

/* Where n bytes at an address of the image lie in the file: 1 with *off and the end of their
 * section, or 0 with why. */
static int locate(const pe *p, uint32_t rva, uint64_t n, const char *what, uint64_t *off,
		  uint64_t *end)
{
	uint32_t i;

	for (i = 0; i < p->n_sections; i++) {
		const uint8_t *s = p->sections + (size_t)i * SECTION_BYTES;
		uint32_t at = object_u32(s + 12), raw = object_u32(s + 16);
		uint64_t from = object_u32(s + 20);

		if (rva < at || rva - at >= raw)
			continue;
		*off = from + (rva - at);
		*end = from + raw;
		if (*end > p->o->len)
			*end = p->o->len;
		if (n <= *end && *off <= *end - n)
			return 1;
		break;
	}
	(void)snprintf(
		p->o->why, OBJECT_WHY,
		"damaged: the %s at address 0x%x needs %llu bytes of one section, which are not "
		"there",
		what, rva, (unsigned long long)n);
	return 0;
}

static const uint8_t *bytes_at(const pe *p, uint32_t rva, uint64_t n, const char *what)
{
	uint64_t off, end;

	return locate(p, rva, n, what, &off, &end) ? p->o->data + off : NULL;
}

static const char *text_at(const pe *p, uint32_t rva, const char *what)
{
	uint64_t off, end;

	return locate(p, rva, 1, what, &off, &end) ? object_text(p->o, off, end, what) : NULL;
}

/* Address of a data directory, 0 if there is none. */
static uint32_t directory(const pe *p, uint32_t i)
{
	return i < p->n_directories ? object_u32(p->directories + (size_t)i * DIRECTORY_BYTES) : 0;
}

/* -- exports --------------------------------------------------------------------------------- */

static int read_exports(const pe *p)
{
	uint32_t at = directory(p, DIR_EXPORT), i, n;
	const uint8_t *h, *names;
	const char *name;

	if (at == 0)
		return 1;
	h = bytes_at(p, at, EXPORT_BYTES, "export table");
	if (h == NULL)
		return 0;
	n = object_u32(h + 24);
	if (n > OBJECT_NAMES)
		return object_too_many(p->o, "exports");
	if (n == 0)
		return 1;
	names = bytes_at(p, object_u32(h + 32), (uint64_t)n * 4, "table of exported names");
	if (names == NULL)
		return 0;
	for (i = 0; i < n; i++) {
		name = text_at(p, object_u32(names + (size_t)i * 4), "name of an export");
		if (name == NULL)
			return 0;
		p->o->fn(p->o->arg, OBJECT_EXPORT, name, 0);
	}
	return 1;
}

/* -- imports --------------------------------------------------------------------------------- */

static int read_import(pe *p, uint64_t entry)
{
	const char *name;
	char number[16];

	if (p->n_imports++ == OBJECT_NAMES)
		return object_too_many(p->o, "imports");
	if (entry >> 63 != 0) {
		(void)snprintf(number, sizeof number, "#%u", (unsigned)(entry & 0xffff));
		p->o->fn(p->o->arg, OBJECT_IMPORT, number, 0);
		return 1;
	}
	if (entry > UINT32_MAX - 2) {
		(void)snprintf(p->o->why, OBJECT_WHY, "damaged: an import at address 0x%llx",
			       (unsigned long long)entry);
		return 0;
	}
	name = text_at(p, (uint32_t)entry + 2, "name of an import"); /* behind its hint */
	if (name == NULL)
		return 0;
	p->o->fn(p->o->arg, OBJECT_IMPORT, name, 0);
	return 1;
}

static int read_library(pe *p, uint32_t name_at, uint32_t table)
{
	const char *name = text_at(p, name_at, "name of a library");
	const uint8_t *entry;

	if (name == NULL)
		return 0;
	if (p->n_libraries++ == MAX_LIBRARIES)
		return object_too_many(p->o, "libraries");
	p->o->fn(p->o->arg, OBJECT_LIBRARY, name, 0);
	for (;; table += 8) {
		entry = bytes_at(p, table, 8, "import table");
		if (entry == NULL)
			return 0;
		if (object_u64(entry) == 0)
			return 1;
		if (!read_import(p, object_u64(entry)))
			return 0;
	}
}

static int read_imports(pe *p)
{
	uint32_t at = directory(p, DIR_IMPORT), table;
	const uint8_t *h;

	for (; at != 0; at += IMPORT_BYTES) {
		h = bytes_at(p, at, IMPORT_BYTES, "import directory");
		if (h == NULL)
			return 0;
		if (object_u32(h + 12) == 0)
			return 1;
		table = object_u32(h) != 0 ? object_u32(h) : object_u32(h + 16);
		if (!read_library(p, object_u32(h + 12), table))
			return 0;
	}
	return 1;
}

static int read_delayed(pe *p)
{
	uint32_t at = directory(p, DIR_DELAY);
	const uint8_t *h;

	for (; at != 0; at += DELAY_BYTES) {
		h = bytes_at(p, at, DELAY_BYTES, "directory of delayed imports");
		if (h == NULL)
			return 0;
		if (object_u32(h + 4) == 0)
			return 1;
		if (!read_library(p, object_u32(h + 4), object_u32(h + 16)))
			return 0;
	}
	return 1;
}

/* -- headers --------------------------------------------------------------------------------- */

static void tell_sections(const pe *p)
{
	char name[9] = {0};
	uint32_t i, size;

	for (i = 0; i < p->n_sections; i++) {
		const uint8_t *s = p->sections + (size_t)i * SECTION_BYTES;

		memcpy(name, s, 8);
		size = object_u32(s + 8);
		if (size == 0 || size > object_u32(s + 16))
			size = object_u32(s + 16);
		p->o->fn(p->o->arg, OBJECT_SECTION, name, size);
	}
}

int object_read_pe(const object *o)
{
	const uint8_t *dos = object_at(o, 0, DOS_BYTES, "DOS header"), *h, *optional;
	uint32_t optional_len;
	pe p = {.o = o};
	uint64_t at;

	if (dos == NULL)
		return 0;
	at = object_u32(dos + 60);
	h = object_at(o, at, HEAD_BYTES, "PE header");
	if (h == NULL)
		return 0;
	optional_len = object_u16(h + 20);
	optional = object_at(o, at + HEAD_BYTES, optional_len, "optional header");
	if (optional == NULL)
		return 0;
	if (memcmp(h, "PE\0\0", 4) != 0 || optional_len < OPTIONAL_BYTES ||
	    object_u16(optional) != PE32_PLUS) {
		(void)snprintf(o->why, OBJECT_WHY,
			       "expected a PE32+ file with at least %d bytes of optional header",
			       OPTIONAL_BYTES);
		return 0;
	}
	p.n_sections = object_u16(h + 6);
	if (p.n_sections > PE_SECTIONS)
		return object_too_many(o, "sections");
	p.sections = object_at(o, at + HEAD_BYTES + optional_len,
			       (uint64_t)p.n_sections * SECTION_BYTES, "section table");
	if (p.sections == NULL)
		return 0;
	p.directories = optional + OPTIONAL_BYTES;
	p.n_directories = (optional_len - OPTIONAL_BYTES) / DIRECTORY_BYTES;
	if (p.n_directories > object_u32(optional + 108))
		p.n_directories = object_u32(optional + 108);
	tell_sections(&p);
	return read_exports(&p) && read_imports(&p) && read_delayed(&p);
}
