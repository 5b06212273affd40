/* tests/registry/test_note.c - the grammar of the identity text, rule by rule. */
#include "core/registry/note.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(registry_note, .timeout = 20);

/* Text with '|' for NUL; parsed from a block of exactly its size, so that a sanitizer sees
 * over-reads. */
static via_rc parse(const char *text, uint64_t len, note *out, char **store)
{
	char *copy = malloc(len > 0 ? len : 1);
	uint64_t i;
	via_rc rc;

	cr_assert_not_null(copy);
	for (i = 0; i < len; i++)
		copy[i] = text[i];
	for (i = 0; i < len; i++)
		if (copy[i] == '|')
			copy[i] = '\0';
	*store = malloc(len > 0 ? len : 1);
	cr_assert_not_null(*store);
	rc = note_parse(copy, len, *store, out);
	free(copy);
	return rc;
}

#define HEAD "viaduct-module|abi=1|id=org.test.m|version=1.0|"
#define SVC "provides=service org.test.s/1 name=s|"

Test(registry_note, everything_that_can_be_said)
{
	static const char text[] =
		"viaduct-module|abi=1|id=org.test.m|version=1.2.3-4+b1~rc:2|"
		"provides=transport org.test.t/7 score=5 roles=baseline,upgrade profiles=0x10001 by_request=0x10000 schemes=a,b-c.d_e|"
		"provides=codec org.test.c/4294967295 score=0 method=65535 name=c-1|"
		"provides=service org.test.s/1 score=1000 name=s codecs=c-1,c-2 max_request=10 max_response=0xff|"
		"requires=codec:c-2|requires=transport:uds|";
	note n;
	char *store;

	cr_assert_eq(parse(text, sizeof text - 1, &n, &store), VIA_OK, "%s", via_error());
	cr_expect_eq(n.abi, 1);
	cr_expect_str_eq(n.id, "org.test.m");
	cr_expect_str_eq(n.version, "1.2.3-4+b1~rc:2");
	cr_assert_eq(n.n_provides, 3);
	cr_expect_eq(n.provides[0].p.kind, VIA_KIND_TRANSPORT);
	cr_expect_eq(n.provides[0].p.rev, 7);
	cr_expect_eq(n.provides[0].p.score, 5);
	cr_expect_eq(n.provides[0].p.roles, VIA_ROLE_BASELINE | VIA_ROLE_UPGRADE);
	cr_expect_eq(n.provides[0].p.profiles, 0x10001);
	cr_expect_eq(n.provides[0].p.by_request, 0x10000);
	cr_expect_str_eq(n.provides[0].p.name, "a,b-c.d_e");
	cr_expect_eq(n.provides[1].p.rev, 4294967295u);
	cr_expect_eq(n.provides[1].p.score, 0);
	cr_expect_eq(n.provides[1].p.method, 65535);
	cr_expect_str_eq(n.provides[1].p.name, "c-1");
	cr_expect_str_eq(n.provides[2].p.id, "org.test.s");
	cr_expect_str_eq(n.provides[2].p.codecs, "c-1,c-2");
	cr_expect_eq(n.provides[2].p.max_request, 10);
	cr_expect_eq(n.provides[2].p.max_response, 255);
	cr_assert_eq(n.n_requires, 2);
	cr_expect_eq(n.requires[0].kind, VIA_KIND_CODEC);
	cr_expect_str_eq(n.requires[0].name, "c-2");
	cr_expect_str_eq(n.requires[1].name, "uds");
	free(store);
}

Test(registry_note, defaults)
{
	static const char text[] =
		"viaduct-module|abi=1|provides=transport t/1 roles=baseline|id=m|"
		"provides=transport d/1 roles=decorator profiles=0x0|provides=service s/1 name=s|";
	note n;
	char *store;

	cr_assert_eq(parse(text, sizeof text - 1, &n, &store), VIA_OK, "%s", via_error());
	cr_expect_str_eq(n.version, "");
	cr_expect_eq(n.provides[0].p.score, NOTE_SCORE_DEFAULT);
	cr_expect_eq(n.provides[0].stated, 0);
	cr_expect_eq(n.provides[0].p.profiles, 1, "a baseline serves profile 1");
	cr_expect_str_eq(n.provides[0].p.name, "");
	cr_expect_eq(n.provides[0].p.by_request, 0);
	cr_expect_eq(n.provides[1].p.profiles, 0);
	cr_expect_str_eq(n.provides[2].p.codecs, "");
	free(store);
}

/* What a newer module may add, and what a linker does. */
struct accepted {
	char text[200];
};
static struct accepted accepted[] = {
	{HEAD SVC},
	{HEAD SVC "|"},
	{HEAD SVC "|||||||"},
	{HEAD SVC "colour=blue|"},
	{HEAD SVC "colour=|"},
	{HEAD SVC "author=J\xc3\xbcrgen|"},
	{HEAD "provides=table org.test.t/1 whatever|" SVC},
	{HEAD "provides=table|"},
	{HEAD "provides=service org.test.s/1 name=s colour=blue|"},
	{HEAD "provides=service org.test.s/1 name=s method=nonsense|"},
	{HEAD "provides=service a/0x10 name=s|provides=codec a/1 name=s method=0x1|"},
};

ParameterizedTestParameters(registry_note, accepts)
{
	return cr_make_param_array(struct accepted, accepted, sizeof accepted / sizeof accepted[0]);
}

ParameterizedTest(struct accepted *a, registry_note, accepts)
{
	note n;
	char *store;

	cr_expect_eq(parse(a->text, strlen(a->text), &n, &store), VIA_OK, "%s: %s", a->text,
		     via_error());
	free(store);
}

struct malformed {
	char text[260], expected[80];
};
static struct malformed malformed[] = {
	{"", "1 to 4096 bytes, found 0"},
	{"viaduct-module", "expected a NUL at its end, found 0x65"},
	{"|", "expected to begin with \"viaduct-module\", found \"\""},
	{"viaduct-modul|abi=1|", "found \"viaduct-modul\""},
	{"viaduct-module|", "abi= in second place, found \"\""},
	{"viaduct-module|id=a|abi=1|", "abi= in second place, found \"id=a\""},
	{"viaduct-module|abi=|", "abi= expects a number"},
	{"viaduct-module|abi=0|", "abi= expects a number"},
	{"viaduct-module|abi=1x|", "abi= expects a number"},
	{"viaduct-module|abi=65536|", "abi= expects a number"},
	{"viaduct-module|abi=1|" SVC, "id= is missing"},
	{"viaduct-module|abi=1|id=a|", "provides= is missing"},
	{HEAD SVC "abi=1|", "abi= twice"},
	{HEAD SVC "id=b|", "id= twice"},
	{HEAD SVC "version=b|", "version= twice"},
	{"viaduct-module|abi=1|id=|" SVC, "id= expects an id"},
	{"viaduct-module|abi=1|id=a b|" SVC, "id= expects an id"},
	{"viaduct-module|abi=1|id=a/b|" SVC, "id= expects an id"},
	{"viaduct-module|abi=1|id=a|version=|" SVC, "version= expects"},
	{"viaduct-module|abi=1|id=a|version=1 2|" SVC, "version= expects"},
	{"viaduct-module|abi=1|id=0123456789012345678901234567890123456789012345678901234567890123|" SVC,
	 "id= expects an id"},
	{HEAD SVC "nonsense|", "expected key=value, found \"nonsense\""},
	{HEAD SVC "=x|", "expected key=value, found \"=x\""},
	{HEAD "|" SVC, "empty string before \"provides="},
	{HEAD "provides=|", "is no kind"},
	{HEAD "provides=ser/vice a/1|", "is no kind"},
	{HEAD "provides=service|", "found no id"},
	{HEAD "provides=service a|", "expected <id>/<revision>, found \"a\""},
	{HEAD "provides=service  a/1 name=a|", "expected <id>/<revision>, found \"\""},
	{HEAD "provides=service /1 name=a|", "is no id"},
	{HEAD "provides=service a/ name=a|", "expected a revision"},
	{HEAD "provides=service a/0 name=a|", "expected a revision"},
	{HEAD "provides=service a/-1 name=a|", "expected a revision"},
	{HEAD "provides=service a/4294967296 name=a|", "expected a revision"},
	{HEAD "provides=service a/99999999999999999999 name=a|", "expected a revision"},
	{HEAD "provides=service a/1 name|", "expected key=value, found \"name\""},
	{HEAD "provides=service a/1  name=a|", "expected key=value, found \"\""},
	{HEAD "provides=service a/1 name=a |", "expected key=value, found \"\""},
	{HEAD "provides=service a/1 name=a name=b|", "name= twice"},
	{HEAD "provides=service a/1|", "service without name="},
	{HEAD "provides=service a/1 name=|", "name= expects an id"},
	{HEAD "provides=service a/1 name=a,b|", "name= expects an id"},
	{HEAD "provides=service a/1 name=a score=1001|", "score= expects a number from 0 to 1000"},
	{HEAD "provides=service a/1 name=a score=-1|", "score= expects"},
	{HEAD "provides=service a/1 name=a score=0x|", "score= expects"},
	{HEAD "provides=service a/1 name=a codecs=|", "codecs= expects"},
	{HEAD "provides=service a/1 name=a codecs=a,|", "codecs= expects"},
	{HEAD "provides=service a/1 name=a codecs=a,,b|", "codecs= expects"},
	{HEAD "provides=service a/1 name=a codecs=a,b,a|",
	 "codecs= expects ids between commas, each once"},
	{HEAD "provides=service a/1 name=a max_request=0|", "max_request= expects"},
	{HEAD "provides=service a/1 name=a max_response=x|", "max_response= expects"},
	{HEAD "provides=codec a/1 name=a|", "codec without method="},
	{HEAD "provides=codec a/1 method=1|", "codec without name="},
	{HEAD "provides=codec a/1 name=a method=0|", "method= expects a number from 1 to 65535"},
	{HEAD "provides=codec a/1 name=a method=65536|", "method= expects"},
	{HEAD "provides=codec a/1 name=a method=1F|", "method= expects"},
	{HEAD "provides=transport a/1|", "transport without roles="},
	{HEAD "provides=transport a/1 roles=|", "roles= expects"},
	{HEAD "provides=transport a/1 roles=baseline,baseline|", "roles= expects"},
	{HEAD "provides=transport a/1 roles=baseline,|", "roles= expects"},
	{HEAD "provides=transport a/1 roles=Baseline|", "roles= expects"},
	{HEAD "provides=transport a/1 roles=upgrade|", "transport without profiles="},
	{HEAD "provides=transport a/1 roles=upgrade profiles=0|", "transport without profiles="},
	{HEAD "provides=transport a/1 roles=upgrade profiles=0x100000000|", "profiles= expects"},
	{HEAD "provides=transport a/1 roles=baseline by_request=x|",
	 "by_request= expects a number"},
	{HEAD "provides=transport a/1 roles=upgrade profiles=6 by_request=0xc|",
	 "by_request= expects some of profiles=0x6, found 0xc"},
	{HEAD "provides=transport a/1 roles=baseline schemes=a/b|", "schemes= expects"},
	{HEAD SVC SVC, "provides service org.test.s twice"},
	{HEAD SVC "requires=codec|", "expected kind:name, found \"codec\""},
	{HEAD SVC "requires=table:x|", "expected transport, codec or service, found \"table\""},
	{HEAD SVC "requires=codec:|", "\"\" is no id"},
	{HEAD SVC "requires=codec:a b|", "\"a b\" is no id"},
	{HEAD SVC "viaduct-module|abi=1|id=org.test.n|",
	 "expected key=value, found \"viaduct-module\""},
};

ParameterizedTestParameters(registry_note, refuses)
{
	return cr_make_param_array(struct malformed, malformed,
				   sizeof malformed / sizeof malformed[0]);
}

ParameterizedTest(struct malformed *m, registry_note, refuses)
{
	note n;
	char *store;
	via_rc rc = parse(m->text, strlen(m->text), &n, &store);

	cr_expect_eq(rc, VIA_PROTO, "%s: %s", m->text, via_rc_name(rc));
	cr_expect(strstr(via_error(), m->expected) != NULL, "%s: expected \"%s\" in: %s", m->text,
		  m->expected, via_error());
	free(store);
}

Test(registry_note, another_abi_is_said_so_whatever_its_grammar)
{
	static const char text[] =
		"viaduct-module|abi=2|gibberish|id=org.test.m|provides=hovercraft|";
	note n;
	char *store;

	cr_expect_eq(parse(text, sizeof text - 1, &n, &store), VIA_EABI);
	cr_expect_str_eq(via_error(), "built for viaduct ABI 2, this core offers 1.0");
	cr_expect_eq(n.abi, 2);
	cr_expect_str_eq(n.id, "org.test.m");
	cr_expect_eq(n.n_provides, 0);
	free(store);
}

Test(registry_note, bounds)
{
	char text[NOTE_MAX + 64];
	char *store;
	size_t len;
	note n;
	int i;

	len = (size_t)snprintf(text, sizeof text, "%s", HEAD);
	for (i = 0; i < NOTE_PROVIDES_MAX; i++)
		len += (size_t)snprintf(text + len, sizeof text - len,
					"provides=service s%d/1 name=s|", i);
	cr_expect_eq(parse(text, len, &n, &store), VIA_OK, "%s", via_error());
	cr_expect_eq(n.n_provides, NOTE_PROVIDES_MAX);
	free(store);
	len += (size_t)snprintf(text + len, sizeof text - len, "provides=service s%d/1 name=s|", i);
	cr_expect_eq(parse(text, len, &n, &store), VIA_PROTO);
	cr_expect_str_eq(via_error(), "provides more than 16 components");
	free(store);

	len = (size_t)snprintf(text, sizeof text, "%s", HEAD SVC);
	for (i = 0; i < NOTE_PROVIDES_MAX; i++)
		len += (size_t)snprintf(text + len, sizeof text - len, "requires=service:s|");
	cr_expect_eq(parse(text, len, &n, &store), VIA_OK, "%s", via_error());
	free(store);
	len += (size_t)snprintf(text + len, sizeof text - len, "requires=service:s|");
	cr_expect_eq(parse(text, len, &n, &store), VIA_PROTO);
	free(store);

	len = (size_t)snprintf(text, sizeof text, "%s", HEAD SVC);
	memset(text + len, '|', sizeof text - len);
	cr_expect_eq(parse(text, NOTE_MAX, &n, &store), VIA_OK, "%s", via_error());
	free(store);
	cr_expect_eq(parse(text, NOTE_MAX + 1, &n, &store), VIA_PROTO);
	free(store);
}

/* Every prefix of a good text is refused or good, and never read beyond its end. */
Test(registry_note, every_prefix)
{
	static const char text[] =
		HEAD "provides=transport t/1 score=3 roles=upgrade profiles=2 schemes=x|" SVC;
	uint64_t len;
	char *store;
	note n;

	for (len = 0; len < sizeof text - 1; len++) {
		via_rc rc = parse(text, len, &n, &store);

		cr_expect(rc == VIA_OK || rc == VIA_PROTO);
		cr_expect_eq(rc == VIA_OK, len == sizeof text - sizeof SVC, "%llu bytes",
			     (unsigned long long)len);
		free(store);
	}
}

Test(registry_note, lists)
{
	cr_expect_eq(note_list_has("uds,unix", "unix"), 1);
	cr_expect_eq(note_list_has("uds,unix", "uds"), 1);
	cr_expect_eq(note_list_has("uds,unix", "un"), 0);
	cr_expect_eq(note_list_has("uds,unix", "uds,unix"), 0);
	cr_expect_eq(note_list_has("", "uds"), 0);
	cr_expect_eq(note_list_has(NULL, "uds"), 0);
	cr_expect_eq(note_list_has("uds", ""), 0);
}
