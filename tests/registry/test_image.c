/* tests/registry/test_image.c - finding the identity section in ELF and PE files, good and bad. */
#include "core/registry/image.h"
#include "core/registry/note.h"
#include "reg_rig.h"

#include <criterion/parameterized.h>
#include <stdio.h>
#include <stdlib.h>

TestSuite(registry_image, .init = rig_open, .fini = rig_close, .timeout = 30);

/* -- a file in memory -------------------------------------------------------------------------- */

struct memory {
	unsigned char *bytes;
	uint64_t size;
	uint32_t n_reads;
	uint64_t n_bytes;
};

static via_rc read_memory(void *ctx, uint64_t off, void *buf, uint64_t len)
{
	struct memory *m = ctx;

	cr_assert(off <= m->size && len <= m->size - off, "asked for %llu bytes at %llu of %llu",
		  (unsigned long long)len, (unsigned long long)off, (unsigned long long)m->size);
	memcpy(buf, m->bytes + off, (size_t)len);
	m->n_reads++;
	m->n_bytes += len;
	return VIA_OK;
}

typedef via_rc (*find_fn)(const image_source *s, uint32_t machine, image_span *out);

/* From a block of exactly that size, so that a sanitizer sees over-reads. */
static via_rc find(find_fn fn, const void *bytes, uint64_t size, uint32_t machine, image_span *out)
{
	struct memory m = {malloc(size > 0 ? size : 1), size, 0, 0};
	image_source s = {read_memory, &m, size};
	via_rc rc;

	memcpy(m.bytes, bytes, (size_t)size);
	*out = (image_span){0, 0};
	rc = fn(&s, machine, out);
	if (rc == VIA_OK)
		cr_expect(out->off <= size && out->len <= size - out->off);
	free(m.bytes);
	return rc;
}

static void put(unsigned char *p, uint64_t value, int bytes)
{
	for (; bytes > 0; bytes--, value >>= 8)
		*p++ = (unsigned char)value;
}

/* -- crafted ELF: header, 3 sections (null, .viaduct, names), the text at 64, the names at 80 -- */

enum { ELF_TABLE = 104, ELF_SIZE = ELF_TABLE + 3 * 64 };

static void make_elf(unsigned char *f)
{
	static const char names[] = "\0.viaduct\0.shstrtab";

	memset(f, 0, ELF_SIZE);
	memcpy(f, "\177ELF\2\1\1", 7);
	put(f + 16, 3, 2);
	put(f + 18, IMAGE_ELF_X86_64, 2);
	put(f + 40, ELF_TABLE, 8);
	put(f + 58, 64, 2);
	put(f + 60, 3, 2);
	put(f + 62, 2, 2);
	memcpy(f + 64, "0123456789abcdef", 16);
	memcpy(f + 80, names, sizeof names);
	put(f + ELF_TABLE + 64, 1, 4);
	put(f + ELF_TABLE + 68, 1, 4);
	put(f + ELF_TABLE + 64 + 24, 64, 8);
	put(f + ELF_TABLE + 64 + 32, 16, 8);
	put(f + ELF_TABLE + 128, 10, 4);
	put(f + ELF_TABLE + 132, 3, 4);
	put(f + ELF_TABLE + 128 + 24, 80, 8);
	put(f + ELF_TABLE + 128 + 32, sizeof names, 8);
}

RR_TEST(registry_image, elf_finds_the_section)
{
	unsigned char f[ELF_SIZE];
	image_span span;

	make_elf(f);
	cr_assert_eq(find(image_elf_find, f, sizeof f, IMAGE_ELF_X86_64, &span), VIA_OK, "%s",
		     via_error());
	cr_expect_eq(span.off, 64);
	cr_expect_eq(span.len, 16);
	put(f + 18, IMAGE_ELF_AARCH64, 2);
	cr_expect_eq(find(image_elf_find, f, sizeof f, IMAGE_ELF_AARCH64, &span), VIA_OK, "%s",
		     via_error());
}

/* One field changed at a time. */
struct change {
	uint32_t at, bytes;
	uint64_t value;
	via_rc rc;
	char expected[80];
};
static struct change elf_changes[] = {
	{0, 1, '#', VIA_EABI, "not an ELF file: expected to begin with 7f 45 4c 46, found 23 45"},
	{0, 2, 0x5a4d, VIA_EABI, "found a Windows (PE) file"},
	{4, 1, 1, VIA_EABI, "expected 64-bit ELF (class 2), found class 1, 32-bit"},
	{4, 1, 0, VIA_EABI, "found class 0"},
	{5, 1, 2, VIA_EABI, "found data 2, big-endian"},
	{6, 1, 9, VIA_EABI, "expected ELF version 1, found 9"},
	{16, 2, 2, VIA_EABI, "expected an ELF shared object (type 3), found type 2"},
	{18, 2, IMAGE_ELF_AARCH64, VIA_EABI,
	 "expected code for x86-64 (ELF machine 62), found aarch64 (183)"},
	{18, 2, 3, VIA_EABI, "found unknown (3)"},
	{40, 8, 0, VIA_NOTFOUND, "no section table"},
	{40, 8, ELF_TABLE + 1, VIA_PROTO,
	 "truncated or damaged: the section table needs 192 bytes at 105"},
	{40, 8, UINT64_MAX, VIA_PROTO, "truncated or damaged: the section table"},
	{40, 8, UINT64_MAX - 63, VIA_PROTO, "truncated or damaged: the section table"},
	{58, 2, 63, VIA_PROTO, "expected section headers of 64 bytes, found 63"},
	{60, 2, 0, VIA_NOTFOUND, "no section table"},
	{60, 2, 4, VIA_PROTO, "truncated or damaged: the section table needs 256"},
	{60, 2, 4097, VIA_PROTO, "expected at most 4096 sections, found 4097"},
	{60, 2, 2, VIA_PROTO, "section 2 holds the names, of 2 sections"},
	{62, 2, 0xffff, VIA_PROTO, "section 65535 holds the names"},
	{ELF_TABLE + 64, 4, 2, VIA_NOTFOUND, "no section .viaduct among its 3 sections"},
	{ELF_TABLE + 64, 4, UINT32_MAX, VIA_NOTFOUND, "no section .viaduct"},
	{ELF_TABLE + 64, 4, 11, VIA_NOTFOUND, "no section .viaduct"},
	{ELF_TABLE + 68, 4, 8, VIA_PROTO,
	 "section .viaduct: expected type 1 (bytes in the file), found 8"},
	{ELF_TABLE + 64 + 24, 8, ELF_SIZE, VIA_PROTO,
	 "the section .viaduct needs 16 bytes at 296, the file has 296"},
	{ELF_TABLE + 64 + 24, 8, UINT64_MAX, VIA_PROTO,
	 "truncated or damaged: the section .viaduct"},
	{ELF_TABLE + 64 + 32, 8, UINT64_MAX, VIA_PROTO,
	 "truncated or damaged: the section .viaduct"},
	{ELF_TABLE + 128 + 24, 8, UINT64_MAX, VIA_PROTO,
	 "truncated or damaged: the table of section names"},
	{ELF_TABLE + 128 + 32, 8, UINT64_MAX, VIA_PROTO,
	 "truncated or damaged: the table of section names"},
	{ELF_TABLE + 128 + 32, 8, 9, VIA_NOTFOUND, "no section .viaduct"},
	{ELF_TABLE + 128 + 32, 8, 0, VIA_NOTFOUND, "no section .viaduct"},
};

ParameterizedTestParameters(registry_image, elf_changed)
{
	return cr_make_param_array(struct change, elf_changes,
				   sizeof elf_changes / sizeof elf_changes[0]);
}

ParameterizedTest(struct change *c, registry_image, elf_changed)
{
	unsigned char f[ELF_SIZE];
	image_span span;

	make_elf(f);
	put(f + c->at, c->value, (int)c->bytes);
	rr_refused(find(image_elf_find, f, sizeof f, IMAGE_ELF_X86_64, &span), c->rc, c->expected);
}

RR_TEST(registry_image, elf_truncated_anywhere)
{
	unsigned char f[ELF_SIZE];
	image_span span;
	uint64_t size;

	make_elf(f);
	for (size = 0; size < sizeof f; size++) {
		via_rc rc = find(image_elf_find, f, size, IMAGE_ELF_X86_64, &span);

		cr_expect_eq(rc, size >= 1 && size < 4 ? VIA_EABI : VIA_PROTO, "%llu bytes: %s",
			     (unsigned long long)size, via_error());
		cr_expect(rig_error_has(size == 0  ? "empty file"
					: size < 4 ? "not an ELF"
						   : "truncated"),
			  "%llu: %s", (unsigned long long)size, via_error());
	}
}

/* Many sections, and names behind what is read of them at once. */
RR_TEST(registry_image, elf_with_many_sections)
{
	enum { N = 200, TABLE = 4096, SIZE = TABLE + N * 64 };
	unsigned char *f = calloc(1, SIZE);
	image_span span;

	make_elf(f);
	memset(f + ELF_TABLE, 0, ELF_SIZE - ELF_TABLE);
	put(f + 40, TABLE, 8);
	put(f + 60, N, 2);
	put(f + 62, N - 1, 2);
	memcpy(f + 2000 + 1500, ".viaduct", 9);
	put(f + TABLE + (N - 1) * 64 + 24, 2000, 8);
	put(f + TABLE + (N - 1) * 64 + 32, 1509, 8);
	put(f + TABLE + 150 * 64, 1500, 4);
	put(f + TABLE + 150 * 64 + 4, 1, 4);
	put(f + TABLE + 150 * 64 + 24, 77, 8);
	put(f + TABLE + 150 * 64 + 32, 5, 8);
	cr_expect_eq(find(image_elf_find, f, SIZE, IMAGE_ELF_X86_64, &span), VIA_OK, "%s",
		     via_error());
	cr_expect_eq(span.off, 77);
	cr_expect_eq(span.len, 5);
	free(f);
}

/* -- crafted PE: DOS header, PE header at 64, 2 sections, the text at 256 ---------------------- */

enum { PE_HEAD = 64, PE_TABLE = PE_HEAD + 24 + 112, PE_SIZE = 320 };

static void make_pe(unsigned char *f)
{
	memset(f, 0, PE_SIZE);
	memcpy(f, "MZ", 2);
	put(f + 60, PE_HEAD, 4);
	memcpy(f + PE_HEAD, "PE\0\0", 4);
	put(f + PE_HEAD + 4, IMAGE_PE_X86_64, 2);
	put(f + PE_HEAD + 6, 1, 2);
	put(f + PE_HEAD + 20, 112, 2);
	put(f + PE_HEAD + 22, 0x2022, 2);
	put(f + PE_HEAD + 24, 0x20b, 2);
	memcpy(f + PE_TABLE, ".viaduct", 8);
	put(f + PE_TABLE + 8, 30, 4);
	put(f + PE_TABLE + 16, 64, 4);
	put(f + PE_TABLE + 20, 256, 4);
}

RR_TEST(registry_image, pe_finds_the_section)
{
	unsigned char f[PE_SIZE];
	image_span span;

	make_pe(f);
	cr_assert_eq(find(image_pe_find, f, sizeof f, IMAGE_PE_X86_64, &span), VIA_OK, "%s",
		     via_error());
	cr_expect_eq(span.off, 256);
	cr_expect_eq(span.len, 30, "the size in memory, not the rounded one in the file");
	put(f + PE_TABLE + 8, 0, 4);
	cr_assert_eq(find(image_pe_find, f, sizeof f, IMAGE_PE_X86_64, &span), VIA_OK, "%s",
		     via_error());
	cr_expect_eq(span.len, 64);
}

static struct change pe_changes[] = {
	{0, 1, '#', VIA_EABI, "not a DLL: expected to begin with 4d 5a, found 23 5a"},
	{0, 4, 0x464c457f, VIA_EABI, "expected a DLL, found an ELF file"},
	{60, 4, UINT32_MAX, VIA_PROTO,
	 "truncated or damaged: the PE header needs 26 bytes at 4294967295"},
	{60, 4, PE_SIZE - 25, VIA_PROTO, "truncated or damaged: the PE header"},
	{PE_HEAD, 2, 0x454e, VIA_EABI, "expected the signature 50 45 00 00, found 4e 45 00 00"},
	{PE_HEAD + 4, 2, 0x14c, VIA_EABI,
	 "expected code for x86-64 (PE machine 0x8664), found 32-bit x86 (0x14c)"},
	{PE_HEAD + 6, 2, 0, VIA_NOTFOUND, "no section .viaduct among its 0 sections"},
	{PE_HEAD + 6, 2, 97, VIA_PROTO, "expected at most 96 sections, found 97"},
	{PE_HEAD + 6, 2, 4, VIA_PROTO,
	 "truncated or damaged: the section table needs 160 bytes at 200"},
	{PE_HEAD + 20, 2, 65535, VIA_PROTO, "truncated or damaged: the section table"},
	{PE_HEAD + 22, 2, 0x22, VIA_EABI, "expected a DLL (flag 0x2000), found flags 0x22"},
	{PE_HEAD + 24, 2, 0x10b, VIA_EABI, "expected PE32+ (0x20b), found 0x10b"},
	{PE_TABLE + 7, 1, 'x', VIA_NOTFOUND,
	 "no section .viaduct among its 1 sections: not a viaduct module"},
	{PE_TABLE + 20, 4, UINT32_MAX, VIA_PROTO,
	 "truncated or damaged: the section .viaduct needs 30 bytes"},
	{PE_TABLE + 20, 4, PE_SIZE - 29, VIA_PROTO,
	 "truncated or damaged: the section .viaduct needs 30 bytes"},
};

ParameterizedTestParameters(registry_image, pe_changed)
{
	return cr_make_param_array(struct change, pe_changes,
				   sizeof pe_changes / sizeof pe_changes[0]);
}

ParameterizedTest(struct change *c, registry_image, pe_changed)
{
	unsigned char f[PE_SIZE];
	image_span span;

	make_pe(f);
	put(f + c->at, c->value, (int)c->bytes);
	rr_refused(find(image_pe_find, f, sizeof f, IMAGE_PE_X86_64, &span), c->rc, c->expected);
}

RR_TEST(registry_image, pe_truncated_anywhere)
{
	unsigned char f[PE_SIZE];
	image_span span;
	uint64_t size;

	make_pe(f);
	for (size = 0; size < 286; size++) {
		via_rc rc = find(image_pe_find, f, size, IMAGE_PE_X86_64, &span);

		cr_expect_eq(rc, size == 1 ? VIA_EABI : VIA_PROTO, "%llu bytes: %s",
			     (unsigned long long)size, via_error());
	}
	cr_expect_eq(find(image_pe_find, f, 286, IMAGE_PE_X86_64, &span), VIA_OK);
}

/* -- real files -------------------------------------------------------------------------------- */

static struct memory slurp(const char *path)
{
	struct memory m = {calloc(1, 1 << 22), 0, 0, 0};
	FILE *f = fopen(path, "rb");

	cr_assert_not_null(f, "%s", path);
	cr_assert_not_null(m.bytes);
	m.size = fread(m.bytes, 1, 1 << 22, f);
	cr_assert(m.size > 0 && m.size < 1 << 22);
	fclose(f);
	return m;
}

RR_TEST(registry_image, a_real_module_in_a_handful_of_reads)
{
	struct memory m = slurp(rr_built("unit"));
	image_source s = {read_memory, &m, m.size};
	char text[NOTE_MAX], store[NOTE_MAX];
	uint32_t len = 0;
	note n;

	cr_assert_eq(image_read_note(&s, text, &len), VIA_OK, "%s", via_error());
	cr_expect_leq(m.n_reads, 6);
	cr_expect_leq(m.n_bytes, 16384);
	cr_assert_eq(note_parse(text, len, store, &n), VIA_OK, "%s", via_error());
	cr_expect_str_eq(n.id, "org.test.unit");
	cr_expect_eq(n.n_provides, 1);
	free(m.bytes);
}

/* At every length of the headers and at many lengths of the rest. */
RR_TEST(registry_image, a_real_module_truncated)
{
	struct memory m = slurp(rr_built("unit"));
	image_source s = {read_memory, &m, 0};
	char text[NOTE_MAX], store[NOTE_MAX];
	uint32_t len = 0, n_good = 0;
	uint64_t full = m.size;
	note n;

	for (m.size = 0; m.size < full; m.size += m.size < 1024 ? 1 : 97) {
		s.size = m.size;
		if (image_read_note(&s, text, &len) != VIA_OK)
			continue;
		n_good++; /* PE: the section may be complete although the file is not */
		cr_expect_eq(note_parse(text, len, store, &n), VIA_OK, "%s", via_error());
	}
#if !defined(_WIN32)
	cr_expect_eq(n_good, 0, "the section table is at the end of an ELF file");
#endif
	free(m.bytes);
}
