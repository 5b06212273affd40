/* tests/vec.c - reader of the golden vectors, see vec.h. */
#include "vec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if defined(_WIN32)
#include <io.h>
#else
#include <dirent.h>
#endif

#if !defined(VIA_TEST_VECTORS)
#error "VIA_TEST_VECTORS must be the path of tests/vectors"
#endif

static char error[512];

const char *vec_error(void)
{
	return error;
}

/* -- files ------------------------------------------------------------------------------------ */

char *vec_text(const char *path, size_t *len)
{
	char full[1024], *text = NULL, *more;
	size_t cap = 0, used = 0, got;
	FILE *f;

	snprintf(full, sizeof full, "%s/%s", VIA_TEST_VECTORS, path);
	f = fopen(full, "rb");
	if (f == NULL) {
		snprintf(error, sizeof error, "cannot open %.400s", full);
		return NULL;
	}
	do {
		cap = cap == 0 ? 8192 : 2 * cap;
		more = realloc(text, cap + 1);
		if (more == NULL) {
			snprintf(error, sizeof error, "out of memory for %.400s", full);
			goto fail;
		}
		text = more;
		got = fread(text + used, 1, cap - used, f);
		used += got;
	} while (used == cap);
	if (ferror(f)) {
		snprintf(error, sizeof error, "cannot read %.400s", full);
		goto fail;
	}
	fclose(f);
	text[used] = '\0';
	*len = used;
	return text;

fail:
	free(text);
	fclose(f);
	return NULL;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

struct names {
	char **name;
	size_t n;
};

/* Takes the name when it ends in .hex, cut there. -1: out of memory. */
static int keep_name(struct names *names, const char *file)
{
	size_t len = strlen(file);
	char **more, *copy;

	if (len <= 4 || strcmp(file + len - 4, ".hex") != 0)
		return 0;
	more = realloc(names->name, (names->n + 1) * sizeof *more);
	if (more == NULL)
		return -1;
	names->name = more;
	copy = malloc(len - 3);
	if (copy == NULL)
		return -1;
	memcpy(copy, file, len - 4);
	copy[len - 4] = '\0';
	more[names->n++] = copy;
	return 0;
}

/* Keeps the vectors of a directory; NULL, or what went wrong. */
#if defined(_WIN32)
static const char *keep_names(const char *directory, struct names *names)
{
	const char *wrong = NULL;
	struct _finddata_t entry;
	char pattern[1024 + 2];
	intptr_t find;

	snprintf(pattern, sizeof pattern, "%s/*", directory);
	find = _findfirst(pattern, &entry);
	if (find == -1)
		return "cannot list";
	do {
		if (keep_name(names, entry.name) != 0)
			wrong = "out of memory for the names in";
	} while (wrong == NULL && _findnext(find, &entry) == 0);
	_findclose(find);
	return wrong;
}
#else
static const char *keep_names(const char *directory, struct names *names)
{
	DIR *dir = opendir(directory);
	const char *wrong = NULL;
	struct dirent *entry;

	if (dir == NULL)
		return "cannot list";
	while (wrong == NULL && (entry = readdir(dir)) != NULL) {
		if (keep_name(names, entry->d_name) != 0)
			wrong = "out of memory for the names in";
	}
	closedir(dir);
	return wrong;
}
#endif

int vec_list(const char *folder, int (*fn)(void *arg, const char *name), void *arg)
{
	struct names names = {0};
	int calls = 0, stop = 0;
	const char *wrong;
	char full[1024];
	size_t i;

	snprintf(full, sizeof full, "%s/%s", VIA_TEST_VECTORS, folder);
	wrong = keep_names(full, &names);
	if (wrong != NULL) {
		snprintf(error, sizeof error, "%s %.400s", wrong, full);
		calls = -1;
	}
	if (names.n > 0)
		qsort(names.name, names.n, sizeof *names.name, compare_names);
	for (i = 0; i < names.n; i++) {
		if (calls >= 0 && !stop) {
			stop = fn(arg, names.name[i]);
			calls++;
		}
		free(names.name[i]);
	}
	free(names.name);
	return calls;
}

/* -- hex text --------------------------------------------------------------------------------- */

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Reads one byte at text (two digits or two question marks). 0, or -1: neither. */
static int parse_byte(const char *text, size_t len, uint8_t *value, uint8_t *mask)
{
	int high, low;

	if (len < 2)
		return -1;
	if (text[0] == '?' && text[1] == '?') {
		*value = 0;
		*mask = 0;
		return 0;
	}
	high = nibble(text[0]);
	low = nibble(text[1]);
	if (high < 0 || low < 0)
		return -1;
	*value = (uint8_t)(high * 16 + low);
	*mask = 0xff;
	return 0;
}

/* Fills data and mask (NULL: only counts). Number of bytes, or -1 with the line in vec_error(). */
static long scan(const char *text, size_t len, const char *where, uint8_t *data, uint8_t *mask)
{
	size_t i = 0;
	long n = 0;
	int line = 1;
	uint8_t value = 0, counts = 0;

	while (i < len) {
		if (text[i] == '#') {
			while (i < len && text[i] != '\n')
				i++;
			continue;
		}
		if (text[i] == '\n')
			line++;
		if (text[i] == ' ' || text[i] == '\t' || text[i] == '\r' || text[i] == '\n') {
			i++;
			continue;
		}
		if (parse_byte(text + i, len - i, &value, &counts) != 0) {
			snprintf(error, sizeof error,
				 "%.300s, line %d: expected two hex digits or ??", where, line);
			return -1;
		}
		if (data != NULL) {
			data[n] = value;
			mask[n] = counts;
		}
		n++;
		i += 2;
	}
	return n;
}

int vec_parse(const char *text, size_t text_len, const char *where, vec *out)
{
	long n = scan(text, text_len, where, NULL, NULL);
	vec v = {0};

	if (n < 0)
		return -1;
	v.len = (size_t)n;
	v.data = malloc(n > 0 ? v.len : 1);
	v.mask = malloc(n > 0 ? v.len : 1);
	if (v.data == NULL || v.mask == NULL) {
		snprintf(error, sizeof error, "out of memory for %.300s", where);
		vec_free(&v);
		return -1;
	}
	scan(text, text_len, where, v.data, v.mask);
	snprintf(v.name, sizeof v.name, "%.120s", where);
	*out = v;
	return 0;
}

int vec_load(const char *folder, const char *name, vec *out)
{
	char path[256];
	size_t len;
	char *text;
	int rc;

	snprintf(path, sizeof path, "%s/%s.hex", folder, name);
	text = vec_text(path, &len);
	if (text == NULL)
		return -1;
	snprintf(path, sizeof path, "%s/%s", folder, name);
	rc = vec_parse(text, len, path, out);
	free(text);
	return rc;
}

void vec_free(vec *v)
{
	free(v->data);
	free(v->mask);
	*v = (vec){0};
}

long vec_difference(const vec *v, const void *data, size_t len)
{
	const uint8_t *bytes = data;
	size_t i;

	for (i = 0; i < len && i < v->len; i++) {
		if (((bytes[i] ^ v->data[i]) & v->mask[i]) != 0)
			return (long)i;
	}
	return len == v->len ? -1 : (long)i;
}

int vec_equal(const vec *v, const void *data, size_t len)
{
	return vec_difference(v, data, len) < 0;
}
