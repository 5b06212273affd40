/* tools/lib/table.c - aligned columns for people. */
#include "table.h"

#include "text.h"

#include <stdlib.h>
#include <string.h>

void table_begin(table *t, uint32_t n_columns)
{
	memset(t, 0, sizeof *t);
	t->n_columns = n_columns;
	t->failed = n_columns == 0 || n_columns > TABLE_COLUMNS;
}

void table_cell(table *t, const void *src, size_t len)
{
	size_t *ends, cap;

	if (t->failed)
		return;
	if (t->n_cells == t->cap) {
		cap = t->cap != 0 ? t->cap * 2 : 64;
		ends = realloc(t->ends, cap * sizeof(*ends));
		if (ends == NULL) {
			t->failed = 1;
			return;
		}
		t->ends = ends;
		t->cap = cap;
	}
	if (len == 0)
		buf_char(&t->text, '-'); /* an empty cell would look like a missing one */
	else
		text_show(&t->text, src, len);
	t->ends[t->n_cells++] = t->text.len;
}

void table_text(table *t, const char *text)
{
	table_cell(t, text, strlen(text));
}

static void put_cell(const table *t, size_t i, size_t width, buf *out)
{
	size_t start = i != 0 ? t->ends[i - 1] : 0, len = t->ends[i] - start;
	const char *text = t->text.data + start;
	size_t pad = width - text_width(text, len);
	uint32_t column = (uint32_t)(i % t->n_columns);

	if (t->is_number[column])
		buf_fill(out, ' ', pad);
	buf_put(out, text, len);
	if (column + 1 == t->n_columns) {
		buf_char(out, '\n');
		return;
	}
	if (!t->is_number[column])
		buf_fill(out, ' ', pad);
	buf_text(out, "  ");
}

void table_end(table *t, buf *out)
{
	size_t width[TABLE_COLUMNS] = {0}, i, start, w;

	if (t->failed || t->text.failed || t->n_cells % t->n_columns != 0)
		out->failed = 1;
	for (i = 0; !out->failed && i < t->n_cells; i++) {
		start = i != 0 ? t->ends[i - 1] : 0;
		w = text_width(t->text.data + start, t->ends[i] - start);
		if (w > width[i % t->n_columns])
			width[i % t->n_columns] = w;
	}
	for (i = 0; !out->failed && i < t->n_cells; i++)
		put_cell(t, i, width[i % t->n_columns], out);
	buf_free(&t->text);
	free(t->ends);
	memset(t, 0, sizeof *t);
}
