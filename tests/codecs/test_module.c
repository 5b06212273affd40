/* tests/codecs/test_module.c - the five modules: descriptor, note, and the real files. */
#include "rig.h"

#include <criterion/criterion.h>
#include <stdio.h>

#if defined(_WIN32)
#include <windows.h>
#define SUFFIX ".dll"
#else
#include <dlfcn.h>
#define SUFFIX ".so"
#endif

TestSuite(codec_modules, .timeout = 30);

/* -- descriptor and note ---------------------------------------------------------------------- */

static void expect_descriptor(const via_module_desc *d, const char *what)
{
	const via_component *c = d->components;

	cr_expect_eq(d->magic, VIA_MODULE_MAGIC, "%s", what);
	cr_expect_eq(d->abi_major, VIA_ABI_MAJOR, "%s", what);
	cr_expect_leq(d->abi_minor, VIA_ABI_MINOR, "%s", what);
	cr_expect_eq(d->struct_size, sizeof *d, "%s", what);
	cr_expect_eq(d->layout, VIA_LAYOUT, "%s", what);
	cr_expect_neq(d->flags & VIA_MOD_UNLOADABLE, 0, "%s", what);
	cr_expect_str_eq(d->license, "Apache-2.0", "%s", what);
	cr_assert_eq(d->n_components, 1, "%s", what);
	cr_expect_eq(d->component_size, sizeof *c, "%s", what);
	cr_expect_eq(c->struct_size, sizeof *c, "%s", what);
	cr_expect_eq(c->score, 100, "%s", what);
	cr_expect_geq(c->rev, 1, "%s", what);
	cr_assert_not_null(c->vtable, "%s", what);
}

/* The value of key in a note's NUL-separated text, or NULL. */
static const char *note_value(const char *note, uint32_t len, const char *key)
{
	const size_t n = strlen(key);
	uint32_t at;

	for (at = 0; at < len; at += (uint32_t)strlen(note + at) + 1) {
		if (strncmp(note + at, key, n) == 0 && note[at + n] == '=')
			return note + at + n + 1;
	}
	return NULL;
}

static void provides_line(const via_module_desc *d, char *out, size_t cap)
{
	const via_component *c = d->components;
	const via_service *s;
	const via_codec *codec;

	if (c->kind == VIA_KIND_CODEC) {
		codec = c->vtable;
		snprintf(out, cap, "codec %s/%u score=%d method=%u name=%s", c->id, c->rev,
			 c->score, codec->method, codec->name);
		return;
	}
	s = c->vtable;
	snprintf(out, cap, "service %s/%u score=%d name=%s codecs=%s", c->id, c->rev, c->score,
		 s->name, s->codecs[0]);
}

Test(codec_modules, notes_say_what_descriptors_say)
{
	const struct rig_module *m;
	const via_module_desc *d;
	const char *provides;
	char want[256];
	int i, k;

	for (i = 0; i < RIG_MODULES; i++) {
		m = &rig_modules[i];
		d = rig_desc(i);
		expect_descriptor(d, m->file);
		cr_assert_eq(m->note[*m->note_len - 1], '\0', "%s", m->file);
		cr_expect_str_eq(m->note, VIA_NOTE_MAGIC, "%s", m->file);
		cr_expect_str_eq(note_value(m->note, *m->note_len, "abi"), "1", "%s", m->file);
		cr_expect_str_eq(note_value(m->note, *m->note_len, "id"), d->id, "%s", m->file);
		cr_expect_str_eq(note_value(m->note, *m->note_len, "version"), d->version, "%s",
				 m->file);
		provides_line(d, want, sizeof want);
		provides = note_value(m->note, *m->note_len, "provides");
		cr_assert_not_null(provides, "%s", m->file);
		cr_expect_eq(strncmp(provides, want, strlen(want)), 0, "%s: %s", m->file, provides);
		for (k = 0; k < i; k++)
			cr_expect_str_neq(rig_desc(k)->id, d->id);
	}
}

/* -- the real files --------------------------------------------------------------------------- */

#if defined(_WIN32)
static void *file_open(const char *path)
{
	return (void *)LoadLibraryA(path);
}

static via_module_entry_fn file_entry(void *file)
{
	FARPROC p = GetProcAddress((HMODULE)file, VIA_MODULE_SYMBOL);
	via_module_entry_fn fn = NULL;

	memcpy(&fn, &p, sizeof fn);
	return fn;
}

static int file_close(void *file)
{
	return FreeLibrary((HMODULE)file) ? 0 : -1;
}
#else
static void *file_open(const char *path)
{
	return dlopen(path, RTLD_NOW | RTLD_LOCAL);
}

static via_module_entry_fn file_entry(void *file)
{
	void *p = dlsym(file, VIA_MODULE_SYMBOL);
	via_module_entry_fn fn = NULL;

	memcpy(&fn, &p, sizeof fn);
	return fn;
}

static int file_close(void *file)
{
	return dlclose(file);
}
#endif

/* True if this build made the module a part of the library, so that it has no file. */
static int is_builtin(int module)
{
	char word[64];

	snprintf(word, sizeof word, ",%s,", rig_modules[module].file);
	return strstr(VIA_TEST_BUILTIN, word) != NULL;
}

static void *open_module(int module, const via_module_desc **desc)
{
	char path[1024];
	via_module_entry_fn entry;
	void *file;

	snprintf(path, sizeof path, "%s/%s" SUFFIX, VIA_TEST_MODULE_DIR, rig_modules[module].file);
	file = file_open(path);
	cr_assert_not_null(file, "cannot load %s", path);
	entry = file_entry(file);
	cr_assert_not_null(entry, "%s: no " VIA_MODULE_SYMBOL, path);
	*desc = NULL;
	cr_assert_eq(entry(VIA_ABI_MINOR, desc), VIA_OK, "%s", path);
	expect_descriptor(*desc, path);
	cr_expect_str_eq((*desc)->id, rig_desc(module)->id, "%s", path);
	return file;
}

static uint32_t run_vectors(int module, const via_codec *c)
{
	struct rig_room from, to;
	uint64_t used;
	uint32_t i, n = 0;

	for (i = 0; i < n_rig_canonical; i++) {
		if (rig_canonical[i].module != module)
			continue;
		from.block = NULL;
		from.room = rig_load(&rig_canonical[i], &from.cap);
		to = rig_room_open(from.cap + 16);
		used = 0;
		cr_assert_eq(rig_reencode(c, rig_canonical[i].side, &from, 2, &to, &used), VIA_OK,
			     "%s", rig_canonical[i].vector);
		cr_assert_eq(used, from.cap, "%s", rig_canonical[i].vector);
		cr_expect_eq(memcmp(to.room, from.room, (size_t)used), 0, "%s",
			     rig_canonical[i].vector);
		rig_room_close(&to);
		free(from.room);
		n++;
	}
	return n;
}

static uint64_t increment_through(const via_service *s, uint64_t value)
{
	uint8_t request[8], response[8] = {0};
	via_call c;

	via_bytes_put_u64(request, value);
	memset(&c, 0, sizeof c);
	c.struct_size = sizeof c;
	c.method = VIA_INCREMENT_METHOD;
	c.request = request;
	c.request_len = sizeof request;
	c.response = response;
	c.response_cap = sizeof response;
	cr_assert_eq(s->call(NULL, NULL, &c), VIA_OK);
	cr_assert_eq(c.response_len, 8);
	return via_bytes_get_u64(response);
}

static void reverse_through(const via_service *s)
{
	static const uint8_t request[] = {8, 0, 0, 0, 3, 0, 0, 0, 'a', 'b', 'c', 0};
	static const uint8_t want[] = {8, 0, 0, 0, 3, 0, 0, 0, 'c', 'b', 'a', 0};
	uint8_t response[sizeof want] = {0};
	via_call c;

	memset(&c, 0, sizeof c);
	c.struct_size = sizeof c;
	c.method = VIA_STRING_REVERSE_METHOD;
	c.request = request;
	c.request_len = sizeof request;
	c.response = response;
	c.response_cap = sizeof response;
	cr_assert_eq(s->call(NULL, NULL, &c), VIA_OK);
	cr_assert_eq(c.response_len, sizeof want);
	cr_expect_eq(memcmp(response, want, sizeof want), 0);
}

/* One test for each, so that a builtin one shows as skipped and a missing one as failed. */
static void codec_file(int module)
{
	const via_module_desc *desc;
	void *file;

	if (is_builtin(module))
		cr_skip_test("%s is builtin here", rig_modules[module].file);
	file = open_module(module, &desc);
	cr_assert_eq(desc->components[0].kind, VIA_KIND_CODEC);
	cr_expect_gt(run_vectors(module, desc->components[0].vtable), 0);
	cr_expect_eq(file_close(file), 0);
}

Test(codec_modules, file_of_codec_increment)
{
	codec_file(RIG_INCREMENT);
}

Test(codec_modules, file_of_codec_string_reverse)
{
	codec_file(RIG_REVERSE);
}

Test(codec_modules, file_of_codec_cgroups_snapshot)
{
	codec_file(RIG_SNAPSHOT);
}

Test(codec_modules, file_of_service_increment)
{
	const via_module_desc *desc;
	void *file;

	if (is_builtin(RIG_S_INCREMENT))
		cr_skip_test("%s is builtin here", rig_modules[RIG_S_INCREMENT].file);
	file = open_module(RIG_S_INCREMENT, &desc);
	cr_assert_eq(desc->components[0].kind, VIA_KIND_SERVICE);
	cr_expect_eq(increment_through(desc->components[0].vtable, 41), 42);
	cr_expect_eq(file_close(file), 0);
}

Test(codec_modules, file_of_service_string_reverse)
{
	const via_module_desc *desc;
	void *file;

	if (is_builtin(RIG_S_REVERSE))
		cr_skip_test("%s is builtin here", rig_modules[RIG_S_REVERSE].file);
	file = open_module(RIG_S_REVERSE, &desc);
	cr_assert_eq(desc->components[0].kind, VIA_KIND_SERVICE);
	reverse_through(desc->components[0].vtable);
	cr_expect_eq(file_close(file), 0);
}
