/* fuzz/fuzz_object.c - the names in a shared object that is to be checked: ELF and PE.
 *
 * Every name lies in the input with its NUL, or is that of a section or a number; there are never more of
 * them than the header promises; a refusal has a reason.
 */
#include "tools/lib/object.c"
#include "tools/lib/object_pe.c"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
	const uint8_t *data;
	size_t size;
	uint32_t n[5];
};

static void must(int condition)
{
	if (!condition)
		abort();
}

static void take_name(void *arg, int what, const char *name, uint64_t value)
{
	struct seen *s = arg;
	const uint8_t *p = (const uint8_t *)name;

	must(what >= OBJECT_SECTION && what <= OBJECT_LIBRARY);
	must(what == OBJECT_SECTION ? value <= UINT32_MAX || value <= s->size : value == 0);
	s->n[what]++;
	if (p >= s->data && p < s->data + s->size)
		must(memchr(p, 0, s->size - (size_t)(p - s->data)) != NULL);
	else
		must(strlen(name) < 16);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen s = {data, size, {0}};
	char why[OBJECT_WHY] = "";
	int format = object_read(data, size, take_name, &s, why);

	must((format == 0) == (why[0] != '\0'));
	must(s.n[OBJECT_IMPORT] <= 2 * OBJECT_NAMES && s.n[OBJECT_EXPORT] <= 2 * OBJECT_NAMES);
	return 0;
}
