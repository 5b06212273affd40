/* core/registry/image_pe.c - finds section .viaduct in a PE32+ DLL.
 *
 * Reads: DOS header, PE headers, section table. Layout: PE/COFF specification, sections 2 to 4.
 */
#include "image.h"

#include <string.h>

enum {
	DOS_BYTES = 64,
	HEAD_BYTES = 24 + 2, /* signature, COFF header, magic of the optional header */
	SECTION_BYTES = 40,
	MAX_SECTIONS = 96, /* what Windows itself accepts */
	FLAG_DLL = 0x2000,
	PE32_PLUS = 0x20b
};

static const char *machine_name(uint32_t machine)
{
	return machine == IMAGE_PE_X86_64    ? "x86-64"
	       : machine == IMAGE_PE_AARCH64 ? "aarch64"
	       : machine == 0x14c            ? "32-bit x86"
					     : "unknown";
}

static via_rc check_dos(const unsigned char *h, uint64_t size)
{
	if (size == 0)
		return core_fail(VIA_PROTO, "empty file: expected a DLL");
	if (size >= 4 && memcmp(h, "\177ELF", 4) == 0)
		return core_fail(VIA_EABI, "expected a DLL, found an ELF file");
	if (size < 2 || h[0] != 'M' || h[1] != 'Z')
		return core_fail(VIA_EABI,
				 "not a DLL: expected to begin with 4d 5a, found %02x %02x", h[0],
				 h[1]);
	if (size < DOS_BYTES)
		return core_fail(
			VIA_PROTO,
			"truncated or damaged: the DOS header needs %d bytes, the file has %llu",
			DOS_BYTES, (unsigned long long)size);
	return VIA_OK;
}

static via_rc check_head(const unsigned char *h, uint32_t machine)
{
	if (memcmp(h, "PE\0\0", 4) != 0)
		return core_fail(
			VIA_EABI,
			"not a DLL: expected the signature 50 45 00 00, found %02x %02x %02x %02x",
			h[0], h[1], h[2], h[3]);
	if (image_u16(h + 4) != machine)
		return core_fail(VIA_EABI,
				 "expected code for %s (PE machine 0x%x), found %s (0x%x)",
				 machine_name(machine), machine, machine_name(image_u16(h + 4)),
				 image_u16(h + 4));
	if (image_u16(h + 24) != PE32_PLUS)
		return core_fail(VIA_EABI, "expected PE32+ (0x20b), found 0x%x", image_u16(h + 24));
	if ((image_u16(h + 22) & FLAG_DLL) == 0)
		return core_fail(VIA_EABI, "expected a DLL (flag 0x2000), found flags 0x%x",
				 image_u16(h + 22));
	if (image_u16(h + 6) > MAX_SECTIONS)
		return core_fail(VIA_PROTO, "expected at most %d sections, found %u", MAX_SECTIONS,
				 image_u16(h + 6));
	return VIA_OK;
}

static via_rc find_section(const image_source *s, uint64_t table, uint32_t n, image_span *out)
{
	unsigned char h[MAX_SECTIONS * SECTION_BYTES];
	uint32_t i, size, raw;
	via_rc rc;

	rc = image_fetch(s, table, h, (uint64_t)n * SECTION_BYTES, "section table");
	if (rc != VIA_OK)
		return rc;
	for (i = 0; i < n; i++) {
		const unsigned char *p = h + (size_t)i * SECTION_BYTES;

		if (memcmp(p, ".viaduct", 8) != 0)
			continue;
		size = image_u32(p + 8);
		raw = image_u32(p + 16);
		if (size == 0 || size > raw) /* raw is rounded up to the alignment of the file */
			size = raw;
		rc = image_inside(s, image_u32(p + 20), size, "section .viaduct");
		if (rc == VIA_OK)
			*out = (image_span){image_u32(p + 20), size};
		return rc;
	}
	return core_fail(VIA_NOTFOUND,
			 "no section .viaduct among its %u sections: not a viaduct module", n);
}

via_rc image_pe_find(const image_source *s, uint32_t machine, image_span *out)
{
	unsigned char dos[DOS_BYTES] = {0}, h[HEAD_BYTES];
	uint64_t have = s->size < sizeof dos ? s->size : sizeof dos;
	uint64_t at;
	via_rc rc;

	rc = have == 0 ? VIA_OK : s->read_at(s->ctx, 0, dos, have);
	if (rc == VIA_OK)
		rc = check_dos(dos, s->size);
	if (rc != VIA_OK)
		return rc;
	at = image_u32(dos + 60);
	rc = image_fetch(s, at, h, sizeof h, "PE header");
	if (rc == VIA_OK)
		rc = check_head(h, machine);
	if (rc != VIA_OK)
		return rc;
	return find_section(s, at + 24 + image_u16(h + 20), image_u16(h + 6), out);
}
