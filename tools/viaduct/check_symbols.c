/* tools/viaduct/check_symbols.c - `viaduct check`: what the file exports, needs and uses, read from its
 * bytes.
 *
 * The build looks at the objects of a module; here is only the finished file. For ELF that is as good:
 * the start-up code of a shared object takes nothing that is forbidden. That of a DLL takes memory and
 * writes messages itself, so those names prove nothing there and are listed in the sentence instead.
 */
#include "check.h"

#include "../lib/object.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <viaduct/module.h>

static const struct forbidden {
	const char *name;
	int is_startup; /* the start-up code of a DLL may use it */
} forbidden[] = {
#define VIA_FORBIDDEN(name, startup) {#name, startup},
#include "../../cmake/forbidden.def"
#undef VIA_FORBIDDEN
};

typedef struct symbols {
	int format; /* guessed from the first bytes, for while the file is read */
	uint64_t note_bytes;
	uint32_t n_exports, n_imports, n_libraries, has_note, has_entry;
	buf others;        /* exports that are not the entry */
	buf bad, unclear;  /* imports */
	buf ours, foreign; /* libraries */
} symbols;

/* No more than a sentence can show. */
static void add(buf *b, const char *name)
{
	if (b->len >= CHECK_SENTENCE)
		return;
	if (b->len != 0)
		buf_text(b, ", ");
	buf_text(b, name);
}

/* Without the version behind '@', which only a symbol of an executable has in its name. */
static void take_import(symbols *s, const char *name)
{
	size_t i;

	s->n_imports++;
	if (strncmp(name, "via_", 4) == 0)
		add(&s->bad, name);
	for (i = 0; i < sizeof forbidden / sizeof forbidden[0]; i++)
		if (strcmp(name, forbidden[i].name) == 0)
			add(s->format == OBJECT_PE && forbidden[i].is_startup ? &s->unclear
									      : &s->bad,
			    name);
}

static int begins(const char *name, const char *with)
{
	for (; *with != '\0'; name++, with++)
		if (tolower((unsigned char)*name) != *with)
			return 0;
	return 1;
}

/* What every process has anyway, under its names on the systems this runs on. */
static int is_libc(const symbols *s, const char *name)
{
	static const char *const elf[] = {"libc.so.", "ld-linux", "ld-musl", "libc.musl-"};
	static const char *const pe[] = {"kernel32.dll", "advapi32.dll", "ntdll.dll",  "msvcrt.dll",
					 "ucrtbase",     "vcruntime140", "api-ms-win-"};
	size_t i;

	if (s->format == OBJECT_ELF) {
		for (i = 0; i < sizeof elf / sizeof elf[0]; i++)
			if (begins(name, elf[i]))
				return 1;
	} else {
		for (i = 0; i < sizeof pe / sizeof pe[0]; i++)
			if (begins(name, pe[i]))
				return 1;
	}
	return 0;
}

static void take_library(symbols *s, const char *name)
{
	s->n_libraries++;
	if (begins(name, "libviaduct") || begins(name, "viaduct"))
		add(&s->ours, name);
	else if (!is_libc(s, name))
		add(&s->foreign, name);
}

static void take_name(void *arg, int what, const char *name, uint64_t value)
{
	symbols *s = arg;

	switch (what) {
	case OBJECT_SECTION:
		if (strcmp(name, ".viaduct") == 0) {
			s->has_note++;
			s->note_bytes = value;
		}
		break;
	case OBJECT_EXPORT:
		s->n_exports++;
		if (strcmp(name, VIA_MODULE_SYMBOL) == 0)
			s->has_entry = 1;
		else
			add(&s->others, name);
		break;
	case OBJECT_IMPORT:
		take_import(s, name);
		break;
	default:
		take_library(s, name);
	}
}

static void tell_section(check_report *r, const symbols *s)
{
	check_begin(r, "section");
	if (s->has_note != 1)
		check_tell(r, CHECK_FAILED, "expected one section .viaduct, found %u", s->has_note);
	else
		check_tell(r, CHECK_PASSED, "section .viaduct, %llu bytes",
			   (unsigned long long)s->note_bytes);
}

static void tell_exports(check_report *r, symbols *s)
{
	check_begin(r, "exports");
	if (s->has_entry && s->n_exports == 1)
		check_tell(r, CHECK_PASSED, VIA_MODULE_SYMBOL " and nothing else");
	else
		check_tell(r, CHECK_FAILED,
			   "expected " VIA_MODULE_SYMBOL " and nothing else, found %s%.300s",
			   s->n_exports == 0                    ? "nothing"
			   : s->has_entry && s->others.len == 0 ? "it more than once"
			   : s->has_entry                       ? "it and "
								: "",
			   buf_string(&s->others));
}

static void tell_libraries(check_report *r, symbols *s)
{
	check_begin(r, "libraries");
	if (s->ours.len != 0)
		check_tell(
			r, CHECK_FAILED,
			"expected none of viaduct, which comes through the host table, found %.200s",
			buf_string(&s->ours));
	else if (s->foreign.len != 0)
		check_tell(r, CHECK_PASSED,
			   "allowed, but whoever installs the file must have them: %.300s",
			   buf_string(&s->foreign));
	else
		check_tell(r, CHECK_PASSED, s->n_libraries != 0 ? "libc only" : "none");
}

static void tell_imports(check_report *r, symbols *s)
{
	check_begin(r, "imports");
	if (s->bad.len != 0)
		check_tell(
			r, CHECK_FAILED,
			"expected nothing that changes the process or takes memory past the host, "
			"found %.300s",
			buf_string(&s->bad));
	else if (s->unclear.len != 0)
		check_tell(r, CHECK_PASSED,
			   "nothing forbidden among %u; its start-up code may use some itself, so "
			   "nothing is said of %.200s",
			   s->n_imports, buf_string(&s->unclear));
	else
		check_tell(r, CHECK_PASSED, "nothing forbidden among %u", s->n_imports);
}

void check_symbols(check_run *c)
{
	const buf *data = &c->subject.data;
	char why[OBJECT_WHY];
	symbols s = {0};

	check_begin(&c->report, "format");
	s.format = data->len >= 2 && memcmp(data->data, "MZ", 2) == 0 ? OBJECT_PE : OBJECT_ELF;
	if (object_read(data->data, data->len, take_name, &s, why) == 0) {
		check_tell(&c->report, CHECK_FAILED, "%s", why);
	} else {
		check_tell(&c->report, CHECK_PASSED, "%s, %zu bytes",
			   s.format == OBJECT_ELF ? "ELF" : "PE", data->len);
		tell_section(&c->report, &s);
		tell_exports(&c->report, &s);
		tell_libraries(&c->report, &s);
		tell_imports(&c->report, &s);
	}
	buf_free(&s.others);
	buf_free(&s.bad);
	buf_free(&s.unclear);
	buf_free(&s.ours);
	buf_free(&s.foreign);
}
