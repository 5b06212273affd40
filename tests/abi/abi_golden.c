/* tests/abi/abi_golden.c - every size, offset and constant of the public headers, as they were.
 *
 * One table for LP64 and Win64: the structs hold fixed-width integers and pointers only. A member that is
 * gone fails to compile under its name; one that moved fails a test under its name.
 */
#include <criterion/criterion.h>
#include <string.h>

#include <viaduct/module.h>
#include <viaduct/viaduct.h>

TestSuite(abi, .timeout = 20);

#define N(array) (sizeof(array) / sizeof(array)[0])

struct size_row {
	const char *name;
	size_t want, found;
};

struct member_row {
	const char *type, *name;
	size_t want_offset, want_size, offset, size;
};

struct value_row {
	const char *name;
	long long want, found;
};

#define SIZE(t, want) {#t, want, sizeof(t)},
#define MEMBER(t, m, at, size)
#define VALUE(name, want)
static const struct size_row sizes[] = {
#include "abi_golden.inc"
};
#undef SIZE
#undef MEMBER
#undef VALUE

#define SIZE(t, want)
#define MEMBER(t, m, at, size) {#t, #m, at, size, offsetof(t, m), sizeof(((t *)0)->m)},
#define VALUE(name, want)
static const struct member_row members[] = {
#include "abi_golden.inc"
};
#undef SIZE
#undef MEMBER
#undef VALUE

#define SIZE(t, want)
#define MEMBER(t, m, at, size)
#define VALUE(name, want) {#name, want, name},
static const struct value_row values[] = {
#include "abi_golden.inc"
};
#undef SIZE
#undef MEMBER
#undef VALUE

static void need_64_bits(void)
{
	if (sizeof(void *) != 8)
		cr_skip_test("the table is for 64-bit targets");
}

Test(abi, sizes)
{
	size_t i;

	need_64_bits();
	cr_assert_geq(N(sizes), 50);
	for (i = 0; i < N(sizes); i++)
		cr_expect_eq(sizes[i].found, sizes[i].want, "%s: %u bytes, was %u", sizes[i].name,
			     (unsigned)sizes[i].found, (unsigned)sizes[i].want);
}

Test(abi, members)
{
	const struct member_row *m;
	size_t i;

	need_64_bits();
	for (i = 0; i < N(members); i++) {
		m = &members[i];
		cr_expect_eq(m->offset, m->want_offset, "%s.%s: at %u, was at %u", m->type, m->name,
			     (unsigned)m->offset, (unsigned)m->want_offset);
		cr_expect_eq(m->size, m->want_size, "%s.%s: %u bytes, was %u", m->type, m->name,
			     (unsigned)m->size, (unsigned)m->want_size);
	}
}

Test(abi, constants)
{
	size_t i;

	for (i = 0; i < N(values); i++)
		cr_expect_eq(values[i].found, values[i].want, "%s: %lld, was %lld", values[i].name,
			     values[i].found, values[i].want);
}

Test(abi, macros)
{
	static const uint32_t first_minor = 0;

	cr_expect_eq(VIA_ABI_MAJOR, 1);
	cr_expect_geq(VIA_ABI_MINOR, first_minor);
	cr_expect_eq(VIA_MODULE_MAGIC, 0x31414956u);
	cr_expect_str_eq(VIA_MODULE_SYMBOL, "viaduct_module_v1");
	cr_expect_str_eq(VIA_NOTE_SECTION, ".viaduct");
	cr_expect_str_eq(VIA_NOTE_MAGIC, "viaduct-module");
	cr_expect_str_eq(VIA_EXT_SYSGATE, "viaduct.sysgate/1");
	cr_expect_eq(VIA_POLL, 0);
	cr_expect_eq(VIA_FOREVER, UINT64_MAX);
	cr_expect_eq(VIA_SKIP, UINT32_MAX);
	cr_expect_eq(VIA_FLAW_NO_ITEM, UINT32_MAX);
	cr_expect_eq(VIA_EXPECT_INITIAL, 128);
	cr_expect_eq(VIA_RC_CLASS(VIA_PROTO), 1);
	cr_expect_eq(VIA_RC_CLASS(VIA_ABORTED), 4);
}

/* A module built with other flags is refused by this number alone, so it must never drift. */
Test(abi, layout)
{
	need_64_bits();
	cr_expect_eq(VIA_LAYOUT, 0x0070002818181808ull, "VIA_LAYOUT is 0x%016llx",
		     (unsigned long long)VIA_LAYOUT);
}

/* VIA_HAS is true only when all of a member lies inside what the other side built. */
Test(abi, has)
{
	via_file_info info;

	memset(&info, 0, sizeof info);
	info.struct_size = (uint32_t)offsetof(via_file_info, reason);
	cr_expect(!VIA_HAS(&info, via_file_info, reason));
	info.struct_size++;
	cr_expect(!VIA_HAS(&info, via_file_info, reason), "one byte of it");
	info.struct_size = (uint32_t)(offsetof(via_file_info, reason) + sizeof info.reason);
	cr_expect(VIA_HAS(&info, via_file_info, reason));
	cr_expect(!VIA_HAS(&info, via_file_info, provided));
}
