/* fuzz/fuzz_lock.c - the locks of a module directory: any text.
 *
 * The reader's promises: it ends, each line that is taken has a name without a directory and a whole
 * digest, lines are numbered upwards, and a fault has a sentence that names its line. What was taken
 * is taken again, and alone, when it is written the way sha256sum writes it.
 */
#include "core/registry/lock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
	uint32_t n, last;
	const lock_line *again;
};

static void must(int condition)
{
	if (!condition)
		abort();
}

static via_rc compare(void *arg, const lock_line *line)
{
	struct seen *s = arg;

	s->n++;
	must(strcmp(line->name, s->again->name) == 0);
	must(strcmp(line->digest, s->again->digest) == 0);
	return VIA_OK;
}

static void read_again(const lock_line *line)
{
	char text[LOCK_DIGITS + LOCK_NAME_MAX + 8];
	struct seen s = {0, 0, line};
	int len = snprintf(text, sizeof text, "%s  %s\n", line->digest, line->name);

	must(len > 0 && (size_t)len < sizeof text);
	must(lock_parse(text, (uint64_t)len, compare, &s) == VIA_OK && s.n == 1);
}

static via_rc take(void *arg, const lock_line *line)
{
	struct seen *s = arg;
	size_t len = strlen(line->name);

	must(len > 0 && len <= LOCK_NAME_MAX && strpbrk(line->name, "/\\\r\n") == NULL);
	must(strcmp(line->name, ".") != 0 && strcmp(line->name, "..") != 0);
	must(strlen(line->digest) == LOCK_DIGITS &&
	     strspn(line->digest, "0123456789abcdef") == LOCK_DIGITS);
	must(line->number > s->last);
	s->last = line->number;
	read_again(line);
	return VIA_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen s = {0, 0, NULL};
	char *text = malloc(size + 1);
	unsigned int number;
	via_rc rc;

	if (text == NULL)
		return 0;
	if (size > 0)
		memcpy(text, data, size);
	core_error_clear();
	rc = lock_parse(text, size, take, &s);
	must(rc == VIA_OK || rc == VIA_PROTO);
	must((rc == VIA_OK) == (via_error()[0] == '\0'));
	if (rc == VIA_PROTO)
		must(sscanf(via_error(), "line %u: expected ", &number) == 1 && number > s.last);
	free(text);
	return 0;
}
