/* tools/lib/json.c - the JSON reader: recursive descent over memory, bounded in depth and nodes. */
#include "json.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_BYTES 65536u

typedef struct reader {
	const char *src, *line_start;
	size_t len, at;
	uint32_t line;
	json_doc *doc;
	text_error *why;
} reader;

static json_node *read_value(reader *r, uint32_t depth);

/* -- memory ---------------------------------------------------------------------------------- */

void *json_alloc(json_doc *doc, size_t size)
{
	size_t take = (size + 15) & ~(size_t)15, block;
	void **head;
	char *p;

	if (size > SIZE_MAX - 64)
		return NULL;
	if (take > doc->room) {
		block = take + 16 > BLOCK_BYTES ? take + 16 : BLOCK_BYTES;
		head = calloc(1, block);
		if (head == NULL)
			return NULL;
		*head = doc->blocks;
		doc->blocks = head;
		doc->at = (char *)head + 16;
		doc->room = block - 16;
	}
	p = doc->at;
	doc->at += take;
	doc->room -= take;
	return p;
}

void json_free(json_doc *doc)
{
	void *block = doc->blocks, *next;

	while (block != NULL) {
		next = *(void **)block;
		free(block);
		block = next;
	}
	memset(doc, 0, sizeof *doc);
}

/* -- errors ---------------------------------------------------------------------------------- */

static void *fail_at(reader *r, const char *where, const char *fmt, ...) TOOLS_PRINTF(3, 4);

static void *fail_at(reader *r, const char *where, const char *fmt, ...)
{
	va_list ap;

	r->why->line = r->line;
	r->why->column = where >= r->line_start ? (uint32_t)(where - r->line_start) + 1 : 1;
	va_start(ap, fmt);
	(void)vsnprintf(r->why->text, sizeof r->why->text, fmt, ap);
	va_end(ap);
	return NULL;
}

/* "expected X, found Y" at the reader's place. */
static void *expected(reader *r, const char *what)
{
	char shown[24];
	uint32_t code;
	size_t n;

	if (r->at >= r->len)
		return fail_at(r, r->src + r->at, "expected %s, found the end of the text", what);
	n = text_utf8(r->src + r->at, r->len - r->at, &code);
	text_shown(shown, sizeof shown, r->src + r->at, n != 0 ? n : 1);
	return fail_at(r, r->src + r->at, "expected %s, found '%s'", what, shown);
}

/* -- tokens ---------------------------------------------------------------------------------- */

static int peek(const reader *r)
{
	return r->at < r->len ? (uint8_t)r->src[r->at] : -1;
}

static void skip_blanks(reader *r)
{
	for (; r->at < r->len; r->at++) {
		char c = r->src[r->at];

		if (c == '\n') {
			r->line++;
			r->line_start = r->src + r->at + 1;
		} else if (c != ' ' && c != '\t' && c != '\r') {
			return;
		}
	}
}

static json_node *new_node(reader *r, uint8_t type)
{
	json_node *n;

	if (r->doc->n_nodes == JSON_NODES)
		return fail_at(r, r->src + r->at, "more than %u values", JSON_NODES);
	n = json_alloc(r->doc, sizeof *n);
	if (n == NULL)
		return fail_at(r, r->src + r->at, "no memory");
	r->doc->n_nodes++;
	n->type = type;
	n->line = r->line;
	n->column = (uint32_t)(r->src + r->at - r->line_start) + 1;
	return n;
}

static size_t skip_digits(reader *r)
{
	size_t start = r->at;

	while (peek(r) >= '0' && peek(r) <= '9')
		r->at++;
	return r->at - start;
}

static json_node *read_number(reader *r)
{
	json_node *n = new_node(r, JSON_NUMBER);
	size_t start = r->at;

	if (n == NULL)
		return NULL;
	if (peek(r) == '-')
		r->at++;
	if (peek(r) == '0')
		r->at++;
	else if (skip_digits(r) == 0)
		return expected(r, "a digit");
	if (peek(r) >= '0' && peek(r) <= '9')
		return fail_at(r, r->src + start,
			       "a number must not begin with 0 and another digit");
	if (peek(r) == '.') {
		r->at++;
		if (skip_digits(r) == 0)
			return expected(r, "a digit behind the point");
	}
	if (peek(r) == 'e' || peek(r) == 'E') {
		r->at++;
		if (peek(r) == '+' || peek(r) == '-')
			r->at++;
		if (skip_digits(r) == 0)
			return expected(r, "a digit of the exponent");
	}
	n->u.text = r->src + start;
	n->len = (uint32_t)(r->at - start);
	return n;
}

/* -- strings --------------------------------------------------------------------------------- */

/* Four hexadecimal digits at offset at. */
static int read_unit(const reader *r, size_t at, uint32_t *out)
{
	uint8_t b[2];

	if (at > r->len || r->len - at < 4 || !text_unhex(r->src + at, 4, b))
		return 0;
	*out = (uint32_t)b[0] << 8 | b[1];
	return 1;
}

static size_t put_utf8(char *dst, uint32_t c)
{
	if (c < 0x80) {
		dst[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		dst[0] = (char)(0xC0 | c >> 6);
		dst[1] = (char)(0x80 | (c & 0x3F));
		return 2;
	}
	if (c < 0x10000) {
		dst[0] = (char)(0xE0 | c >> 12);
		dst[1] = (char)(0x80 | (c >> 6 & 0x3F));
		dst[2] = (char)(0x80 | (c & 0x3F));
		return 3;
	}
	dst[0] = (char)(0xF0 | c >> 18);
	dst[1] = (char)(0x80 | (c >> 12 & 0x3F));
	dst[2] = (char)(0x80 | (c >> 6 & 0x3F));
	dst[3] = (char)(0x80 | (c & 0x3F));
	return 4;
}

/* The escape at r->at (the backslash) as a code point; moves behind it. */
static int read_escape(reader *r, uint32_t *code)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *start = r->src + r->at, *p;
	uint32_t low;

	r->at++;
	if (peek(r) > 0 && (p = strchr(from, peek(r))) != NULL) {
		*code = (uint8_t)to[p - from];
		r->at++;
		return 1;
	}
	if (peek(r) != 'u') {
		expected(r, "one of \"\\/bfnrtu behind the backslash");
		return 0;
	}
	if (!read_unit(r, r->at + 1, code)) {
		fail_at(r, start, "expected four hexadecimal digits behind \\u");
		return 0;
	}
	r->at += 5;
	if (*code < 0xD800 || *code > 0xDFFF)
		return 1;
	if (*code > 0xDBFF || r->at + 6 > r->len || r->src[r->at] != '\\' ||
	    r->src[r->at + 1] != 'u' || !read_unit(r, r->at + 2, &low) || low < 0xDC00 ||
	    low > 0xDFFF) {
		fail_at(r, start, "lone surrogate \\u%04x", *code);
		return 0;
	}
	*code = 0x10000 + ((*code - 0xD800) << 10) + (low - 0xDC00);
	r->at += 6;
	return 1;
}

/* Length of the string's text from the opening quote to before the closing one; 0 escapes:
 * *plain. */
static int measure_string(reader *r, size_t *len, int *plain)
{
	size_t i = r->at + 1, n;
	uint32_t code;

	*plain = 1;
	for (; i < r->len && r->src[i] != '"'; i += n) {
		n = text_utf8(r->src + i, r->len - i, &code);
		if (n == 0) {
			fail_at(r, r->src + i, "byte 0x%02x is not UTF-8", (uint8_t)r->src[i]);
			return 0;
		}
		if (code < 0x20) {
			fail_at(r, r->src + i,
				"control character 0x%02x in a string: write \\u%04x", code, code);
			return 0;
		}
		if (code == '\\') {
			*plain = 0;
			n = i + 1 < r->len && (uint8_t)r->src[i + 1] < 0x80 ? 2 : 1;
		}
	}
	if (i >= r->len) {
		fail_at(r, r->src + r->at, "the string that begins here has no end");
		return 0;
	}
	*len = i - r->at - 1;
	return 1;
}

static int read_string(reader *r, const char **text, uint32_t *len)
{
	size_t raw, used = 0, end;
	uint32_t code;
	int plain;
	char *out;

	if (!measure_string(r, &raw, &plain))
		return 0;
	r->at++;
	end = r->at + raw;
	if (plain) {
		*text = r->src + r->at;
		*len = (uint32_t)raw;
		r->at = end + 1;
		return 1;
	}
	out = json_alloc(r->doc, raw + 4);
	if (out == NULL) {
		fail_at(r, r->src + r->at, "no memory");
		return 0;
	}
	while (r->at < end) {
		if (r->src[r->at] != '\\') {
			out[used++] = r->src[r->at++];
			continue;
		}
		if (!read_escape(r, &code))
			return 0;
		used += put_utf8(out + used, code);
	}
	*text = out;
	*len = (uint32_t)used;
	r->at++;
	return 1;
}

/* -- containers ------------------------------------------------------------------------------ */

static int by_key(const void *a, const void *b)
{
	const json_node *x = *(json_node *const *)a, *y = *(json_node *const *)b;

	if (x->key_len != y->key_len)
		return x->key_len < y->key_len ? -1 : 1;
	return x->key_len == 0 ? 0 : memcmp(x->key, y->key, x->key_len);
}

static int keys_differ(reader *r, const json_node *object)
{
	json_node **all, *m;
	uint32_t i = 0;
	char name[80];

	if (object->len < 2)
		return 1;
	all = calloc(object->len, sizeof(*all));
	if (all == NULL) {
		fail_at(r, r->src + r->at, "no memory");
		return 0;
	}
	for (m = object->u.first; m != NULL; m = m->next)
		all[i++] = m;
	qsort(all, object->len, sizeof(*all), by_key);
	for (i = 1; i < object->len && by_key(&all[i - 1], &all[i]) != 0; i++)
		;
	if (i < object->len) {
		fail_at(r, r->src + r->at, "two members are named \"%s\"",
			text_shown(name, sizeof name, all[i]->key, all[i]->key_len));
		r->why->line = object->line;
		r->why->column = object->column;
	}
	i = i == object->len;
	free(all);
	return (int)i;
}

static int read_key(reader *r, const char **key, uint32_t *len)
{
	skip_blanks(r);
	if (peek(r) != '"') {
		expected(r, "a member's name in quotes");
		return 0;
	}
	if (!read_string(r, key, len))
		return 0;
	skip_blanks(r);
	if (peek(r) != ':') {
		expected(r, "':'");
		return 0;
	}
	r->at++;
	return 1;
}

static json_node *read_container(reader *r, uint32_t depth, uint8_t type)
{
	const int close = type == JSON_OBJECT ? '}' : ']';
	json_node *n = new_node(r, type), *child, **tail;
	const char *key = NULL;
	uint32_t key_len = 0;

	if (n == NULL)
		return NULL;
	if (depth == JSON_DEPTH)
		return fail_at(r, r->src + r->at, "nested deeper than %u levels", JSON_DEPTH);
	tail = &n->u.first;
	r->at++;
	skip_blanks(r);
	if (peek(r) == close) {
		r->at++;
		return n;
	}
	for (;;) {
		if (type == JSON_OBJECT && !read_key(r, &key, &key_len))
			return NULL;
		child = read_value(r, depth + 1);
		if (child == NULL)
			return NULL;
		child->key = key;
		child->key_len = key_len;
		*tail = child;
		tail = &child->next;
		n->len++;
		skip_blanks(r);
		if (peek(r) == close)
			break;
		if (peek(r) != ',')
			return expected(r, type == JSON_OBJECT ? "',' or '}'" : "',' or ']'");
		r->at++;
	}
	r->at++;
	return type == JSON_ARRAY || keys_differ(r, n) ? n : NULL;
}

static json_node *read_word(reader *r)
{
	static const struct {
		const char *word;
		uint8_t type;
	} words[] = {{"null", JSON_NULL}, {"false", JSON_FALSE}, {"true", JSON_TRUE}};
	json_node *n;
	size_t i, len;

	for (i = 0; i < sizeof words / sizeof words[0]; i++) {
		len = strlen(words[i].word);
		if (r->len - r->at < len || memcmp(r->src + r->at, words[i].word, len) != 0)
			continue;
		n = new_node(r, words[i].type);
		r->at += len;
		return n;
	}
	return expected(r, "a value");
}

static json_node *read_value(reader *r, uint32_t depth)
{
	json_node *n;
	int c;

	skip_blanks(r);
	c = peek(r);
	if (c == '{')
		return read_container(r, depth, JSON_OBJECT);
	if (c == '[')
		return read_container(r, depth, JSON_ARRAY);
	if (c == '-' || (c >= '0' && c <= '9'))
		return read_number(r);
	if (c != '"')
		return read_word(r);
	n = new_node(r, JSON_STRING);
	if (n == NULL || !read_string(r, &n->u.text, &n->len))
		return NULL;
	return n;
}

int json_parse(const char *src, size_t len, json_doc *doc, text_error *why)
{
	reader r;

	memset(doc, 0, sizeof *doc);
	r = (reader){src, src, len, 0, 1, doc, why};
	if (len > UINT32_MAX / 2) {
		fail_at(&r, src, "more than %u bytes", UINT32_MAX / 2);
		return -1;
	}
	doc->root = read_value(&r, 0);
	if (doc->root != NULL) {
		skip_blanks(&r);
		if (r.at != len)
			doc->root = expected(&r, "the end of the text");
	}
	if (doc->root != NULL)
		return 0;
	json_free(doc);
	return -1;
}

/* -- access ---------------------------------------------------------------------------------- */

const json_node *json_get(const json_node *node, const char *key)
{
	const json_node *m;
	size_t len = strlen(key);

	if (node == NULL || node->type != JSON_OBJECT)
		return NULL;
	for (m = node->u.first; m != NULL; m = m->next) {
		if (m->key_len == len && memcmp(m->key, key, len) == 0)
			return m;
	}
	return NULL;
}

const char *json_type_name(const json_node *node)
{
	static const char *const names[] = {"?",        "null",     "false",    "true",
					    "a number", "a string", "an array", "an object"};

	return names[node->type <= JSON_OBJECT ? node->type : 0];
}

/* The number's text with a NUL; NULL: no number, or longer than any that fits. */
static const char *number_text(const json_node *node, char *dst, size_t cap)
{
	if (node->type != JSON_NUMBER || node->len >= cap)
		return NULL;
	memcpy(dst, node->u.text, node->len);
	dst[node->len] = '\0';
	return dst;
}

int json_u64(const json_node *node, uint64_t *out)
{
	char text[32];

	return number_text(node, text, sizeof text) != NULL && text_u64(text, out);
}

int json_i64(const json_node *node, int64_t *out)
{
	char text[32];

	return number_text(node, text, sizeof text) != NULL && text_i64(text, out);
}

int json_f64(const json_node *node, double *out)
{
	char text[512];

	return number_text(node, text, sizeof text) != NULL && text_f64(text, out);
}
