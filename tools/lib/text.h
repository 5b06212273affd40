/* SPDX-License-Identifier: Apache-2.0
 * tools/lib/text.h - UTF-8, numbers and names as people write them. Pure.
 */
#ifndef VIA_TOOLS_TEXT_H
#define VIA_TOOLS_TEXT_H
#include "buf.h"

/* Where a text was refused, and why. Lines and columns count from 1, columns in bytes. */
typedef struct text_error {
	uint32_t line, column;
	char text[232];
} text_error;

/* Bytes of the code point at s, 1..4; 0: not UTF-8 (overlong, surrogate, above U+10FFFF, cut). */
size_t text_utf8(const char *s, size_t len, uint32_t *code);
/* True for UTF-8 without control characters or characters that change the direction of a line. */
int text_is_plain(const void *s, size_t len);
/* Puts bytes in a form that is safe on a terminal: what is not plain becomes \xNN or \u{N}. */
void text_show(buf *b, const void *s, size_t len);
/* The same with room for `cap` bytes, NUL included; what does not fit is cut. Returns dst. */
char *text_shown(char *dst, size_t cap, const void *s, size_t len);
/* Columns that plain text takes: its code points. */
size_t text_width(const char *s, size_t len);

/* The name that was probably meant, or NULL if none is near. */
const char *text_nearest(const char *word, const char *const *names, size_t n);
/* Edit distance with transpositions; what is longer than 63 bytes is far from everything. */
uint32_t text_distance(const char *a, const char *b);

/* Each takes the whole text or nothing, and returns 1 if it did. */
int text_u64(const char *s, uint64_t *out); /* decimal, or hexadecimal after 0x */
int text_i64(const char *s, int64_t *out);  /* decimal, maybe with a minus */
int text_f64(const char *s, double *out);   /* decimal; nan, inf and -inf by name */
int text_bool(const char *s, int *out);     /* yes/no, true/false, on/off, 1/0 */
int text_duration(const char *s,
		  uint64_t *ns);             /* 500ms, 2s, 1m, 1h; a unit is required, 0 is not */
int text_size(const char *s, uint64_t *out); /* bytes; K and M are 2^10 and 2^20 */
/* Pairs of hexadecimal digits into dst, which has room for len / 2 bytes. */
int text_unhex(const char *s, size_t len, uint8_t *dst);
void text_hex(buf *b, const void *src, size_t len);

#endif
