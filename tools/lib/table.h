/* SPDX-License-Identifier: Apache-2.0
 * tools/lib/table.h - aligned columns for people. Cells are shown safely (text_show).
 */
#ifndef VIA_TOOLS_TABLE_H
#define VIA_TOOLS_TABLE_H
#include "buf.h"

#define TABLE_COLUMNS 32u

typedef struct table {
	buf text;     /* the cells, one after another */
	size_t *ends; /* of each cell in text */
	size_t n_cells, cap;
	uint32_t n_columns;
	uint8_t is_number[TABLE_COLUMNS]; /* aligned right */
	int failed;
} table;

/* n_columns: at most TABLE_COLUMNS. */
void table_begin(table *t, uint32_t n_columns);
/* Fills the table row by row; the first row is the heading. */
void table_cell(table *t, const void *src, size_t len);
void table_text(table *t, const char *text);
/* Writes it and frees the table. Sets out->failed if there was no memory. */
void table_end(table *t, buf *out);

#endif
