/* tests/tools/test_object.c - the names in a shared object, and what is said of bytes that are none. */
#include "tools/lib/buf.h"
#include "tools/lib/object.h"

#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(object, .timeout = 20);

struct names {
	buf list[5];
	uint64_t note_bytes;
};

static void take_name(void *arg, int what, const char *name, uint64_t value)
{
	struct names *n = arg;

	if (what == OBJECT_SECTION && strcmp(name, ".viaduct") == 0)
		n->note_bytes = value;
	buf_text(&n->list[what], name);
	buf_char(&n->list[what], ' ');
}

static void forget(struct names *n)
{
	size_t i;

	for (i = 0; i < sizeof n->list / sizeof n->list[0]; i++)
		buf_free(&n->list[i]);
}

/* A file of the fuzz program's corpus. */
static void read_sample(const char *name, buf *out)
{
	char path[1024], piece[4096];
	FILE *f;
	size_t n;

	(void)snprintf(path, sizeof path, VIA_TEST_SOURCE_DIR "/fuzz/corpus/object/%s", name);
	f = fopen(path, "rb");
	cr_assert(f != NULL, "%s", path);
	while ((n = fread(piece, 1, sizeof piece, f)) > 0)
		buf_put(out, piece, n);
	(void)fclose(f);
	cr_assert(!out->failed);
}

Test(object, elf)
{
	struct names n = {0};
	char why[OBJECT_WHY] = "";
	buf file = {0};

	read_sample("x86-64.so", &file);
	cr_assert_eq(object_read(file.data, file.len, take_name, &n, why), OBJECT_ELF, "%s", why);
	cr_expect_str_eq(buf_string(&n.list[OBJECT_EXPORT]), "viaduct_module_v1 ");
	cr_expect(strstr(buf_string(&n.list[OBJECT_IMPORT]), "malloc ") != NULL);
	cr_expect(strstr(buf_string(&n.list[OBJECT_IMPORT]), "getpid ") != NULL);
	cr_expect_str_eq(buf_string(&n.list[OBJECT_LIBRARY]), "libc.so.6 ");
	cr_expect_eq(n.note_bytes, sizeof "viaduct-module\0abi=1");
	forget(&n);
	buf_free(&file);
}

Test(object, pe)
{
	struct names n = {0};
	char why[OBJECT_WHY] = "";
	buf file = {0};

	read_sample("x86-64.dll", &file);
	cr_assert_eq(object_read(file.data, file.len, take_name, &n, why), OBJECT_PE, "%s", why);
	cr_expect_str_eq(buf_string(&n.list[OBJECT_EXPORT]), "viaduct_module_v1 ");
	cr_expect(strstr(buf_string(&n.list[OBJECT_IMPORT]), "malloc ") != NULL);
	cr_expect(strstr(buf_string(&n.list[OBJECT_LIBRARY]), "msvcrt.dll ") != NULL);
	cr_expect_geq(n.note_bytes, sizeof "viaduct-module\0abi=1"); /* rounded up by the linker */
	forget(&n);
	buf_free(&file);
}

/* Each length in a block of just that size: an instrumented build sees a byte too many. */
static void cut(const char *name)
{
	char why[OBJECT_WHY];
	buf file = {0};
	size_t len;

	read_sample(name, &file);
	for (len = 0; len < file.len; len++) {
		struct names n = {0};
		char *copy = malloc(len + 1);

		cr_assert(copy != NULL);
		memcpy(copy + 1, file.data, len);
		why[0] = '\0';
		if (object_read(copy + 1, len, take_name, &n, why) == 0)
			cr_expect(why[0] != '\0', "%s cut to %zu bytes: no reason", name, len);
		forget(&n);
		free(copy);
	}
	buf_free(&file);
}

Test(object, cut_at_every_length)
{
	cut("x86-64.so");
	cut("x86-64.dll");
}

/* Every byte changed: it ends, and a refusal has a reason. */
static void change(const char *name)
{
	char why[OBJECT_WHY];
	buf file = {0};
	size_t at;

	read_sample(name, &file);
	for (at = 0; at < file.len; at++) {
		struct names n = {0};

		file.data[at] = (char)~file.data[at];
		why[0] = '\0';
		if (object_read(file.data, file.len, take_name, &n, why) == 0)
			cr_expect(why[0] != '\0', "%s byte %zu: no reason", name, at);
		file.data[at] = (char)~file.data[at];
		forget(&n);
	}
	buf_free(&file);
}

Test(object, every_byte_changed)
{
	change("x86-64.so");
	change("x86-64.dll");
}

Test(object, something_else)
{
	struct names n = {0};
	char why[OBJECT_WHY] = "";

	cr_expect_eq(object_read("#!/bin/sh\n", 10, take_name, &n, why), 0);
	cr_expect_str_eq(why, "expected an ELF or a PE file, found neither");
	forget(&n);
}
