/* core/registry/image_elf.c - finds section .viaduct in an ELF64 little-endian shared object.
 *
 * Reads: file header, section table in blocks, names in blocks. Layout: System V gABI, chapter 4.
 */
#include "image.h"

#include <string.h>

enum {
	EHDR_BYTES = 64,
	SHDR_BYTES = 64,
	BLOCK_SECTIONS = 48, /* section headers per read: one read for most files */
	NAMES_BYTES = 1024,  /* of the name table kept; names behind them are read one by one */
	MAX_SECTIONS = 4096,
	TYPE_DYN = 3,
	SECTION_PROGBITS = 1
};

struct elf_file {
	const image_source *s;
	uint64_t table, names, names_len;
	uint32_t n_sections, names_index, kept;
	unsigned char name[NAMES_BYTES];
};

static const char *machine_name(uint32_t machine)
{
	return machine == IMAGE_ELF_X86_64    ? "x86-64"
	       : machine == IMAGE_ELF_AARCH64 ? "aarch64"
					      : "unknown";
}

static via_rc check_ident(const unsigned char *h, uint64_t size)
{
	if (size == 0)
		return core_fail(VIA_PROTO, "empty file: expected an ELF shared object");
	if (size >= 2 && h[0] == 'M' && h[1] == 'Z')
		return core_fail(VIA_EABI,
				 "expected an ELF shared object, found a Windows (PE) file");
	if (size < 4 || memcmp(h, "\177ELF", 4) != 0)
		return core_fail(VIA_EABI,
				 "not an ELF file: expected to begin with 7f 45 4c 46, "
				 "found %02x %02x %02x %02x",
				 h[0], h[1], h[2], h[3]);
	if (size < EHDR_BYTES)
		return core_fail(
			VIA_PROTO,
			"truncated or damaged: the ELF header needs %d bytes, the file has %llu",
			EHDR_BYTES, (unsigned long long)size);
	if (h[4] != 2)
		return core_fail(VIA_EABI, "expected 64-bit ELF (class 2), found class %u%s", h[4],
				 h[4] == 1 ? ", 32-bit" : "");
	if (h[5] != 1)
		return core_fail(VIA_EABI, "expected little-endian ELF (data 1), found data %u%s",
				 h[5], h[5] == 2 ? ", big-endian" : "");
	if (h[6] != 1)
		return core_fail(VIA_EABI, "expected ELF version 1, found %u", h[6]);
	return VIA_OK;
}

static via_rc read_header(struct elf_file *f, uint32_t machine)
{
	unsigned char h[EHDR_BYTES] = {0};
	uint64_t have = f->s->size < sizeof h ? f->s->size : sizeof h;
	via_rc rc;

	rc = have == 0 ? VIA_OK : f->s->read_at(f->s->ctx, 0, h, have);
	if (rc == VIA_OK)
		rc = check_ident(h, f->s->size);
	if (rc != VIA_OK)
		return rc;
	if (image_u16(h + 16) != TYPE_DYN)
		return core_fail(VIA_EABI, "expected an ELF shared object (type 3), found type %u",
				 image_u16(h + 16));
	if (image_u16(h + 18) != machine)
		return core_fail(VIA_EABI, "expected code for %s (ELF machine %u), found %s (%u)",
				 machine_name(machine), machine, machine_name(image_u16(h + 18)),
				 image_u16(h + 18));
	f->table = image_u64(h + 40);
	f->n_sections = image_u16(h + 60);
	f->names_index = image_u16(h + 62);
	if (f->table == 0 || f->n_sections == 0)
		return core_fail(VIA_NOTFOUND,
				 "no section .viaduct: the file has no section table");
	if (image_u16(h + 58) != SHDR_BYTES)
		return core_fail(
			VIA_PROTO,
			"truncated or damaged: expected section headers of %d bytes, found %u",
			SHDR_BYTES, image_u16(h + 58));
	if (f->n_sections > MAX_SECTIONS)
		return core_fail(VIA_PROTO, "expected at most %d sections, found %u", MAX_SECTIONS,
				 f->n_sections);
	if (f->names_index >= f->n_sections)
		return core_fail(VIA_PROTO,
				 "truncated or damaged: section %u holds the names, of %u sections",
				 f->names_index, f->n_sections);
	return image_inside(f->s, f->table, (uint64_t)f->n_sections * SHDR_BYTES, "section table");
}

static via_rc read_names(struct elf_file *f)
{
	unsigned char h[SHDR_BYTES];
	via_rc rc;

	rc = image_fetch(f->s, f->table + (uint64_t)f->names_index * SHDR_BYTES, h, sizeof h,
			 "section table");
	if (rc != VIA_OK)
		return rc;
	f->names = image_u64(h + 24);
	f->names_len = image_u64(h + 32);
	rc = image_inside(f->s, f->names, f->names_len, "table of section names");
	if (rc != VIA_OK)
		return rc;
	f->kept = f->names_len < sizeof f->name ? (uint32_t)f->names_len : (uint32_t)sizeof f->name;
	return f->kept == 0 ? VIA_OK : f->s->read_at(f->s->ctx, f->names, f->name, f->kept);
}

/* 1 when the name at `at` in the name table is ".viaduct", 0 when not, else an error. */
static via_rc is_ours(const struct elf_file *f, uint64_t at)
{
	static const char wanted[] = ".viaduct";
	char name[sizeof wanted];
	via_rc rc;

	if (at >= f->names_len || sizeof wanted > f->names_len - at)
		return 0;
	if (at + sizeof wanted <= f->kept)
		return memcmp(f->name + at, wanted, sizeof wanted) == 0;
	rc = f->s->read_at(f->s->ctx, f->names + at, name, sizeof name);
	return rc != VIA_OK ? rc : memcmp(name, wanted, sizeof wanted) == 0;
}

via_rc image_elf_find(const image_source *s, uint32_t machine, image_span *out)
{
	unsigned char block[BLOCK_SECTIONS * SHDR_BYTES];
	struct elf_file f = {.s = s};
	uint32_t i, n;
	via_rc rc;

	rc = read_header(&f, machine);
	if (rc == VIA_OK)
		rc = read_names(&f);
	for (i = 0; rc == VIA_OK && i < f.n_sections; i++) {
		const unsigned char *h = block + (size_t)(i % BLOCK_SECTIONS) * SHDR_BYTES;

		if (i % BLOCK_SECTIONS == 0) {
			n = f.n_sections - i < BLOCK_SECTIONS ? f.n_sections - i : BLOCK_SECTIONS;
			rc = s->read_at(s->ctx, f.table + (uint64_t)i * SHDR_BYTES, block,
					(uint64_t)n * SHDR_BYTES);
			if (rc != VIA_OK)
				return rc;
		}
		rc = is_ours(&f, image_u32(h));
		if (rc <= 0)
			continue;
		if (image_u32(h + 4) != SECTION_PROGBITS)
			return core_fail(
				VIA_PROTO,
				"section .viaduct: expected type %d (bytes in the file), found %u",
				SECTION_PROGBITS, image_u32(h + 4));
		rc = image_inside(s, image_u64(h + 24), image_u64(h + 32), "section .viaduct");
		if (rc == VIA_OK)
			*out = (image_span){image_u64(h + 24), image_u64(h + 32)};
		return rc;
	}
	if (rc != VIA_OK)
		return rc;
	return core_fail(VIA_NOTFOUND,
			 "no section .viaduct among its %u sections: not a viaduct module",
			 f.n_sections);
}
