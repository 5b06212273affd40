/* tests/wire/check.c - what the wire tests share. */
#include "check.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

vec check_vec(const char *folder, const char *name)
{
	vec v = {0};
	int rc = vec_load(folder, name, &v);

	cr_assert_eq(rc, 0, "%s", vec_error());
	return v;
}

struct counting {
	const char *prefix;
	int n;
};

static int count_name(void *arg, const char *name)
{
	struct counting *c = arg;

	c->n += strncmp(name, c->prefix, strlen(c->prefix)) == 0;
	return 0;
}

int check_count(const char *folder, const char *prefix)
{
	struct counting c = {prefix, 0};
	int calls = vec_list(folder, count_name, &c);

	cr_assert_gt(calls, 0, "no vectors in %s: %s", folder, vec_error());
	return c.n;
}

uint8_t *check_copy(const void *data, size_t len)
{
	uint8_t *copy = malloc(len > 0 ? len : 1);

	cr_assert_not_null(copy);
	if (len > 0)
		memcpy(copy, data, len);
	return copy;
}

void check_flaw(const char *what, const via_flaw *flaw, uint32_t kind, uint64_t offset,
		uint64_t expected, uint64_t found)
{
	char text[256];

	via_flaw_text(flaw, text, sizeof text);
	cr_assert_eq(flaw->kind, kind, "%s: expected the class %s, found %s (%s)", what,
		     via_flaw_name(kind), via_flaw_name(flaw->kind), text);
	cr_assert_eq(flaw->offset, offset, "%s: wrong offset in: %s", what, text);
	cr_assert_eq(flaw->expected, expected, "%s: wrong expectation in: %s", what, text);
	cr_assert_eq(flaw->found, found, "%s: wrong finding in: %s", what, text);
	cr_assert(flaw->field != NULL && flaw->field[0] != '\0', "%s: no field named", what);
}

uint32_t check_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

void check_put16(uint8_t *p, size_t at, uint32_t value)
{
	uint16_t v = (uint16_t)value;

	memcpy(p + at, &v, sizeof v);
}

void check_put32(uint8_t *p, size_t at, uint32_t value)
{
	memcpy(p + at, &value, sizeof value);
}
