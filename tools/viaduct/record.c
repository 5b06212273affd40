/* tools/viaduct/record.c - records of any codec as JSON, as a table, and from the words of a
 * command.
 *
 * Values: integers exactly, numbers with all their digits, strings and bytes as a JSON string
 * when they are plain text and as {"hex": "..."} when not, PAIRS as an array of [key, value].
 */
#include "viaduct.h"

#include "../lib/table.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_COLUMNS TABLE_COLUMNS
#define MAX_PAIRS 65536u /* of one row; more than any u16 count on the wire */

static const char *type_name(uint32_t type)
{
	static const char *const names[] = {"?",    "u64", "i64",   "f64",
					    "bool", "str", "bytes", "pairs"};

	return names[type <= VIA_T_PAIRS ? type : 0];
}

/* A foreign codec may have more columns than we have room for. */
static int shape_fits(const via_shape *s)
{
	return s->n_head <= MAX_COLUMNS && s->n_row <= MAX_COLUMNS;
}

void record_columns(const via_column *columns, uint32_t n, buf *out)
{
	uint32_t i;

	for (i = 0; i < n; i++)
		buf_printf(out, "%s%s (%s)", i != 0 ? ", " : "", columns[i].name,
			   type_name(columns[i].type));
}

/* -- to JSON --------------------------------------------------------------------------------- */

/* Which record a value was read from: PAIRS are read one by one. */
typedef struct source {
	const via_codec *codec;
	uint32_t side, row;
	const void *src;
	size_t len;
} source;

static void write_value(json_writer *w, const via_value *v, const source *s, uint32_t column)
{
	via_value pair[2];
	uint64_t i;

	switch (v->type) {
	case VIA_T_U64:
		json_put_u64(w, v->v.u64);
		break;
	case VIA_T_I64:
		json_put_i64(w, v->v.i64);
		break;
	case VIA_T_F64:
		json_put_f64(w, v->v.f64);
		break;
	case VIA_T_BOOL:
		json_put_bool(w, v->v.u64 != 0);
		break;
	case VIA_T_STR:
		json_put_bytes(w, v->v.ptr, v->len);
		break;
	case VIA_T_BYTES:
		json_put_hex(w, v->v.ptr, v->len);
		break;
	default:
		json_open(w, '[');
		for (i = 0; s->codec->pair != NULL && i < v->len; i++) {
			s->codec->pair(s->side, s->src, s->len, s->row, column, (uint32_t)i, pair);
			json_open(w, '[');
			json_put_bytes(w, pair[0].v.ptr, pair[0].len);
			json_put_bytes(w, pair[1].v.ptr, pair[1].len);
			json_close(w, ']');
		}
		json_close(w, ']');
	}
}

static void write_values(json_writer *w, const via_column *columns, uint32_t n,
			 const via_value *values, const source *s)
{
	uint32_t i;

	json_open(w, '{');
	for (i = 0; i < n; i++) {
		json_key(w, columns[i].name);
		write_value(w, &values[i], s, i);
	}
	json_close(w, '}');
}

void record_write(const via_codec *c, uint32_t side, const void *src, size_t len, uint32_t n_rows,
		  json_writer *w)
{
	const via_shape *shape = &c->side[side];
	source s = {c, side, 0, src, len};
	via_value values[MAX_COLUMNS];

	if (!shape_fits(shape)) {
		w->out->failed = 1;
		return;
	}
	memset(values, 0, sizeof values);
	json_open(w, '{');
	json_key(w, "head");
	c->head(side, src, len, values);
	write_values(w, shape->head, shape->n_head, values, &s);
	if (shape->n_row != 0) {
		json_key(w, "rows");
		json_open(w, '[');
		for (s.row = 0; s.row < n_rows; s.row++) {
			c->row(side, src, len, s.row, values);
			write_values(w, shape->row, shape->n_row, values, &s);
		}
		json_close(w, ']');
	}
	json_close(w, '}');
}

/* -- from JSON ------------------------------------------------------------------------------- */

static int say(text_error *why, const json_node *node, const char *fmt, ...) TOOLS_PRINTF(3, 4);

static int say(text_error *why, const json_node *node, const char *fmt, ...)
{
	va_list ap;

	why->line = node != NULL ? node->line : 0;
	why->column = node != NULL ? node->column : 0;
	va_start(ap, fmt);
	(void)vsnprintf(why->text, sizeof why->text, fmt, ap);
	va_end(ap);
	return 0;
}

static int read_bits(const json_node *node, double *out)
{
	const json_node *bits = json_get(node, "bits");
	uint8_t raw[8];
	uint64_t v = 0;
	int i;

	if (bits == NULL || node->len != 1 || bits->type != JSON_STRING || bits->len != 16 ||
	    !text_unhex(bits->u.text, 16, raw))
		return 0;
	for (i = 0; i < 8; i++)
		v = v << 8 | raw[i];
	memcpy(out, &v, sizeof v);
	return 1;
}

static int read_pairs(json_doc *doc, const json_node *node, const char *path, via_value **out,
		      uint64_t *n, text_error *why)
{
	const json_node *m;
	via_value *pairs;
	uint32_t i = 0, side;
	size_t len;

	if (node->type != JSON_ARRAY || node->len > MAX_PAIRS)
		return wrong_node(node, path, "an array of at most 65536 [key, value]", why);
	pairs = json_alloc(doc, ((size_t)node->len * 2 + 1) * sizeof(*pairs));
	if (pairs == NULL)
		return say(why, NULL, "no memory");
	for (m = node->u.first; m != NULL; m = m->next, i++) {
		const json_node *part = m->type == JSON_ARRAY && m->len == 2 ? m->u.first : NULL;

		if (part == NULL)
			return wrong_node(m, path, "[key, value]", why);
		for (side = 0; side < 2; side++, part = part->next) {
			via_value *v = &pairs[(size_t)i * 2 + side];

			if (!node_bytes(doc, part, path, &v->v.ptr, &len, why))
				return 0;
			v->type = VIA_T_STR;
			v->len = len;
		}
	}
	*out = pairs;
	*n = node->len;
	return 1;
}

static int read_value(json_doc *doc, const json_node *node, const via_column *column,
		      const char *path, via_value *v, text_error *why)
{
	size_t len;

	v->type = column->type;
	switch (column->type) {
	case VIA_T_U64:
		return json_u64(node, &v->v.u64) ||
		       wrong_node(node, path, "an integer of 0..18446744073709551615", why);
	case VIA_T_I64:
		return json_i64(node, &v->v.i64) ||
		       wrong_node(node, path, "an integer of 64 bits", why);
	case VIA_T_F64:
		return json_f64(node, &v->v.f64) || read_bits(node, &v->v.f64) ||
		       wrong_node(node, path, "a number or {\"bits\": \"16 hex digits\"}", why);
	case VIA_T_BOOL:
		v->v.u64 = node->type == JSON_TRUE;
		return node->type == JSON_TRUE || node->type == JSON_FALSE ||
		       wrong_node(node, path, "true or false", why);
	default:
		if (!node_bytes(doc, node, path, &v->v.ptr, &len, why))
			return 0;
		v->len = len;
		return 1;
	}
}

/* One object into values; the pairs of all PAIRS columns one behind another into *pairs. */
static int read_values(json_doc *doc, const json_node *object, const char *path,
		       const via_column *columns, uint32_t n, via_value *values, via_value **pairs,
		       text_error *why)
{
	const char *names[MAX_COLUMNS] = {NULL};
	const json_node *m;
	char at[128];
	uint32_t i, n_pair_columns = 0;

	for (i = 0; i < n; i++)
		names[i] = columns[i].name;
	if (!known_members(object, path, names, n, why))
		return 0;
	memset(values, 0, n * sizeof(*values));
	for (i = 0; i < n; i++) {
		(void)snprintf(at, sizeof at, "%s.%s", path, columns[i].name);
		values[i].id = i;
		m = json_get(object, columns[i].name);
		if (m == NULL)
			return say(why, object, "%s: expected a member of type %s, found none", at,
				   type_name(columns[i].type));
		if (columns[i].type != VIA_T_PAIRS) {
			if (!read_value(doc, m, &columns[i], at, &values[i], why))
				return 0;
			continue;
		}
		values[i].type = VIA_T_PAIRS;
		if (n_pair_columns++ != 0)
			return say(why, m, "%s: a second column of pairs cannot be built", at);
		if (!read_pairs(doc, m, at, pairs, &values[i].len, why))
			return 0;
	}
	return 1;
}

/* A record being built from parsed JSON. */
typedef struct build {
	const via_codec *codec;
	uint32_t side;
	json_doc *doc;
	const json_node *head, *rows; /* rows: NULL if there are none */
	text_error *why;
} build;

static via_rc add_rows(const build *b, via_builder *builder)
{
	const via_shape *shape = &b->codec->side[b->side];
	via_value values[MAX_COLUMNS], *pairs = NULL;
	const json_node *m;
	char path[32];
	uint32_t i = 0;
	via_rc rc = VIA_OK;

	for (m = b->rows != NULL ? b->rows->u.first : NULL; m != NULL && rc == VIA_OK;
	     m = m->next, i++) {
		(void)snprintf(path, sizeof path, "rows[%" PRIu32 "]", i);
		if (!read_values(b->doc, m, path, shape->row, shape->n_row, values, &pairs, b->why))
			return VIA_INVAL;
		rc = b->codec->add_row(builder, values, pairs);
		if (rc == VIA_INVAL)
			say(b->why, m, "%s: the method cannot carry these values", path);
	}
	return rc;
}

/* One attempt with cap bytes of room. VIA_INVAL: *why says it. */
static via_rc build_once(const build *b, void *dst, uint64_t cap, uint64_t *used)
{
	const via_shape *shape = &b->codec->side[b->side];
	via_value values[MAX_COLUMNS], *pairs = NULL;
	via_builder builder;
	via_rc rc;

	if (!read_values(b->doc, b->head, "head", shape->head, shape->n_head, values, &pairs,
			 b->why))
		return VIA_INVAL;
	rc = b->codec->begin(&builder, b->side, dst, cap, b->rows != NULL ? b->rows->len : 0);
	if (rc == VIA_OK) {
		rc = b->codec->set_head(&builder, values);
		if (rc == VIA_INVAL)
			say(b->why, b->head, "head: the method cannot carry these values");
	}
	if (rc == VIA_OK)
		rc = add_rows(b, &builder);
	return rc == VIA_OK ? b->codec->finish(&builder, used) : rc;
}

static int build_record(const build *b, buf *out)
{
	uint64_t cap, used = 0;
	via_rc rc = VIA_TOOBIG;
	char text[192];
	via_flaw flaw;
	void *dst;

	for (cap = 65536; cap <= INPUT_MAX && rc == VIA_TOOBIG; cap *= 4) {
		dst = malloc(cap);
		if (dst == NULL)
			return say(b->why, NULL, "no memory");
		rc = build_once(b, dst, cap, &used);
		if (rc == VIA_OK)
			buf_put(out, dst, (size_t)used);
		free(dst);
	}
	if (rc == VIA_TOOBIG)
		return say(b->why, NULL, "the record does not fit %u bytes", INPUT_MAX);
	if (rc == VIA_INVAL)
		return 0;
	if (rc != VIA_OK)
		return say(b->why, NULL, "%s: %s", b->codec->name, via_rc_text(rc));
	if (b->codec->check(b->side, buf_string(out), out->len, &flaw) < 0) {
		(void)via_flaw_text(&flaw, text, sizeof text);
		return say(b->why, NULL, "no peer would take it: %s", text);
	}
	return 1;
}

int record_read(const via_codec *c, uint32_t side, json_doc *doc, buf *out, text_error *why)
{
	static const char *const names[] = {"head", "rows"};
	const via_shape *shape = &c->side[side];
	build b = {c, side, doc, NULL, NULL, why};

	if (!shape_fits(shape))
		return say(why, NULL, "%s: more than %u columns", c->name, MAX_COLUMNS);
	if (!known_members(doc->root, c->name, names, shape->n_row != 0 ? 2 : 1, why))
		return 0;
	b.head = json_get(doc->root, "head");
	if (b.head == NULL)
		return say(why, doc->root, "head: expected an object, the member is missing");
	b.rows = json_get(doc->root, "rows");
	if (shape->n_row != 0 && (b.rows == NULL || b.rows->type != JSON_ARRAY))
		return b.rows == NULL ? say(why, doc->root,
					    "rows: expected an array, the member is missing")
				      : wrong_node(b.rows, "rows", "an array", why);
	return build_record(&b, out);
}

/* -- from words ------------------------------------------------------------------------------ */

static int word_value(const char *word, const via_column *column, via_value *v)
{
	int truth;

	v->type = column->type;
	switch (column->type) {
	case VIA_T_U64:
		return text_u64(word, &v->v.u64);
	case VIA_T_I64:
		return text_i64(word, &v->v.i64);
	case VIA_T_F64:
		return text_f64(word, &v->v.f64);
	case VIA_T_BOOL:
		if (!text_bool(word, &truth))
			return 0;
		v->v.u64 = (uint64_t)truth;
		return 1;
	case VIA_T_STR:
	case VIA_T_BYTES:
		v->v.ptr = word;
		v->len = strlen(word);
		return 1;
	default:
		return 0; /* pairs do not fit a word */
	}
}

static int words_to_values(const via_codec *c, char **argv, const via_column *columns, uint32_t n,
			   via_value *values)
{
	uint32_t i;

	memset(values, 0, n * sizeof(*values));
	for (i = 0; i < n; i++) {
		values[i].id = i;
		if (!word_value(argv[i], &columns[i], &values[i]))
			return cli_fail(CLI_USAGE, "%s: argument %s: expected %s, found '%s'",
					c->name, columns[i].name, type_name(columns[i].type),
					argv[i]);
	}
	return CLI_OK;
}

static int wrong_count(const via_codec *c, const via_shape *shape, int argc)
{
	buf text = {0};
	int status;

	record_columns(shape->head, shape->n_head, &text);
	if (shape->n_row != 0) {
		buf_text(&text, shape->n_head != 0 ? ", then for each row " : "for each row ");
		record_columns(shape->row, shape->n_row, &text);
	}
	status = cli_fail(CLI_USAGE, "%s: expected %s%s, found %d argument%s", c->name,
			  shape->n_head + shape->n_row == 0 ? "no arguments" : "the arguments ",
			  buf_string(&text), argc, argc == 1 ? "" : "s");
	buf_free(&text);
	return status;
}

int record_from_words(const via_codec *c, int argc, char **argv, buf *out)
{
	const via_shape *shape = &c->side[VIA_SIDE_REQUEST];
	uint32_t rest = (uint32_t)argc - shape->n_head, n_rows, i;
	via_value values[MAX_COLUMNS];
	uint64_t used = 0, cap = 4096;
	via_builder builder;
	int status;
	char *dst;
	via_rc rc;

	if (!shape_fits(shape) || (uint32_t)argc < shape->n_head ||
	    (shape->n_row == 0 ? rest != 0 : rest % shape->n_row != 0))
		return wrong_count(c, shape, argc);
	n_rows = shape->n_row != 0 ? rest / shape->n_row : 0;
	for (i = 0; i < (uint32_t)argc; i++)
		cap += strlen(argv[i]) +
		       256; /* each value, what surrounds it, and its share of a row */
	status = words_to_values(c, argv, shape->head, shape->n_head, values);
	if (status != CLI_OK)
		return status;
	dst = malloc(cap);
	if (dst == NULL)
		return cli_fail(CLI_FAILED, "no memory");
	rc = c->begin(&builder, VIA_SIDE_REQUEST, dst, cap, n_rows);
	if (rc == VIA_OK)
		rc = c->set_head(&builder, values);
	for (i = 0; i < n_rows && rc == VIA_OK && status == CLI_OK; i++) {
		status = words_to_values(c, argv + shape->n_head + (size_t)i * shape->n_row,
					 shape->row, shape->n_row, values);
		if (status == CLI_OK)
			rc = c->add_row(&builder, values, NULL);
	}
	if (rc == VIA_OK && status == CLI_OK)
		rc = c->finish(&builder, &used);
	if (rc == VIA_OK)
		buf_put(out, dst, (size_t)used);
	free(dst);
	if (rc != VIA_OK)
		return cli_fail(CLI_USAGE, "%s: the method cannot carry these arguments: %s",
				c->name, via_rc_text(rc));
	return status;
}

/* -- for people ------------------------------------------------------------------------------ */

/* A value as text without quotes. */
static void value_text(const via_value *v, const source *s, uint32_t column, buf *out)
{
	via_value pair[2];
	uint64_t i;

	switch (v->type) {
	case VIA_T_U64:
		buf_printf(out, "%" PRIu64, v->v.u64);
		break;
	case VIA_T_I64:
		buf_printf(out, "%" PRId64, v->v.i64);
		break;
	case VIA_T_F64:
		buf_printf(out, "%.17g", v->v.f64);
		break;
	case VIA_T_BOOL:
		buf_text(out, v->v.u64 != 0 ? "yes" : "no");
		break;
	case VIA_T_STR:
		buf_put(out, v->v.ptr, v->len);
		break;
	case VIA_T_BYTES:
		text_hex(out, v->v.ptr, v->len);
		break;
	default:
		for (i = 0; s->codec->pair != NULL && i < v->len; i++) {
			s->codec->pair(s->side, s->src, s->len, s->row, column, (uint32_t)i, pair);
			if (i != 0)
				buf_char(out, ' ');
			buf_put(out, pair[0].v.ptr, pair[0].len);
			buf_char(out, '=');
			buf_put(out, pair[1].v.ptr, pair[1].len);
		}
	}
}

static void show_head(const via_shape *shape, const via_value *values, const source *s, buf *out)
{
	buf text = {0};
	uint32_t i;

	for (i = 0; i < shape->n_head; i++) {
		text.len = 0;
		value_text(&values[i], s, i, &text);
		if (shape->n_head > 1 || shape->n_row != 0)
			buf_printf(out, "%s: ", shape->head[i].name);
		text_show(out, text.data, text.len);
		buf_char(out, '\n');
		out->failed |= text.failed;
	}
	buf_free(&text);
}

static void show_rows(const via_shape *shape, source *s, uint32_t n_rows, buf *out)
{
	via_value values[MAX_COLUMNS];
	buf text = {0};
	uint32_t i;
	table t;

	memset(values, 0, sizeof values);
	table_begin(&t, shape->n_row);
	for (i = 0; i < shape->n_row; i++) {
		t.is_number[i] = shape->row[i].type <= VIA_T_F64;
		table_text(&t, shape->row[i].name);
	}
	for (s->row = 0; s->row < n_rows; s->row++) {
		s->codec->row(s->side, s->src, s->len, s->row, values);
		for (i = 0; i < shape->n_row; i++) {
			text.len = 0;
			value_text(&values[i], s, i, &text);
			table_cell(&t, text.data, text.len);
		}
	}
	out->failed |= text.failed;
	buf_free(&text);
	table_end(&t, out);
}

void record_show(const via_codec *c, uint32_t side, const void *src, size_t len, uint32_t n_rows,
		 buf *out)
{
	const via_shape *shape = &c->side[side];
	source s = {c, side, 0, src, len};
	via_value values[MAX_COLUMNS];

	if (!shape_fits(shape)) {
		out->failed = 1;
		return;
	}
	memset(values, 0, sizeof values);
	c->head(side, src, len, values);
	show_head(shape, values, &s, out);
	if (shape->n_row == 0)
		return;
	buf_printf(out, "rows: %" PRIu32 "\n", n_rows);
	show_rows(shape, &s, n_rows, out);
}
