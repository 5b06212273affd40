/* tools/lib/json_write.c - the JSON writer. */
#include "json.h"

#include <stdio.h>
#include <string.h>

#define SPILL_BYTES 65536u

static void new_line(json_writer *w)
{
	buf_char(w->out, '\n');
	buf_fill(w->out, ' ', (size_t)w->depth * 2);
}

/* What stands in front of an item: the comma, the line. Nothing behind a key. */
static void before_item(json_writer *w)
{
	if (w->spill != NULL && w->out->len >= SPILL_BYTES)
		w->spill(w->out);
	if (w->after_key) {
		w->after_key = 0;
		return;
	}
	if (w->depth == 0)
		return;
	if (w->n_items[w->depth - 1])
		buf_char(w->out, ',');
	if (w->depth <= w->lines)
		new_line(w);
	else if (w->n_items[w->depth - 1])
		buf_char(w->out, ' ');
	w->n_items[w->depth - 1] = 1;
}

void json_open(json_writer *w, char bracket)
{
	before_item(w);
	buf_char(w->out, bracket);
	if (w->depth == JSON_DEPTH) {
		w->out->failed = 1;
		return;
	}
	w->n_items[w->depth++] = 0;
}

void json_close(json_writer *w, char bracket)
{
	int is_empty;

	if (w->depth == 0)
		return;
	is_empty = !w->n_items[--w->depth];
	if (!is_empty && w->depth < w->lines)
		new_line(w);
	buf_char(w->out, bracket);
}

/* Text that is plain already, in quotes. */
static void put_quoted(json_writer *w, const char *s, size_t len)
{
	size_t i;

	buf_char(w->out, '"');
	for (i = 0; i < len; i++) {
		if (s[i] == '"' || s[i] == '\\')
			buf_char(w->out, '\\');
		buf_char(w->out, s[i]);
	}
	buf_char(w->out, '"');
}

void json_key(json_writer *w, const char *name)
{
	char shown[256];

	before_item(w);
	text_shown(shown, sizeof shown, name, strlen(name));
	put_quoted(w, shown, strlen(shown));
	buf_text(w->out, ": ");
	w->after_key = 1;
}

void json_put_u64(json_writer *w, uint64_t v)
{
	before_item(w);
	buf_printf(w->out, "%llu", (unsigned long long)v);
}

void json_put_i64(json_writer *w, int64_t v)
{
	before_item(w);
	buf_printf(w->out, "%lld", (long long)v);
}

void json_put_f64(json_writer *w, double v)
{
	char bits[24];
	uint64_t raw;

	if (v - v == 0) { /* false for an infinity and for what is not a number */
		before_item(w);
		buf_printf(w->out, "%.17g", v);
		return;
	}
	memcpy(&raw, &v, sizeof raw);
	(void)snprintf(bits, sizeof bits, "%016llx", (unsigned long long)raw);
	json_open(w, '{');
	json_key(w, "bits");
	json_put_text(w, bits);
	json_close(w, '}');
}

void json_put_bool(json_writer *w, int v)
{
	before_item(w);
	buf_text(w->out, v ? "true" : "false");
}

void json_put_hex(json_writer *w, const void *src, size_t len)
{
	json_open(w, '{');
	json_key(w, "hex");
	before_item(w);
	buf_char(w->out, '"');
	text_hex(w->out, src, len);
	buf_char(w->out, '"');
	json_close(w, '}');
}

void json_put_bytes(json_writer *w, const void *src, size_t len)
{
	if (!text_is_plain(src, len)) {
		json_put_hex(w, src, len);
		return;
	}
	before_item(w);
	put_quoted(w, src, len);
}

void json_put_text(json_writer *w, const char *text)
{
	json_put_bytes(w, text, strlen(text));
}
