/* SPDX-License-Identifier: Apache-2.0
 * tools/lib/buf.h - bytes that grow. A buffer that could not grow stays failed: test it once, at
 * the end.
 */
#ifndef VIA_TOOLS_BUF_H
#define VIA_TOOLS_BUF_H
#include <stddef.h>
#include <stdint.h>
#include <viaduct/abi.h>

#define TOOLS_PRINTF VIA_PRINTF

typedef struct buf {
	char *data; /* not NUL-terminated; see buf_string() */
	size_t len, cap;
	int failed; /* no memory; everything put since then was dropped */
} buf;

void buf_put(buf *b, const void *src, size_t len);
void buf_text(buf *b, const char *text);
void buf_char(buf *b, char c);
void buf_fill(buf *b, char c, size_t n);
/* At most 1023 bytes of text a call. */
void buf_printf(buf *b, const char *fmt, ...) TOOLS_PRINTF(2, 3);
/* The contents with a NUL behind them; "" if the buffer has failed. */
const char *buf_string(buf *b);
void buf_free(buf *b);

#endif
