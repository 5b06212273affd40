/* tools/lib/buf.c - bytes that grow. */
#include "buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Makes room for len more bytes. Returns 0 when there is none. */
static int grow(buf *b, size_t len)
{
	size_t cap = b->cap != 0 ? b->cap : 256;
	char *data;

	if (b->failed)
		return 0;
	if (len <= b->cap - b->len)
		return 1;
	if (len > SIZE_MAX / 2 - b->len) {
		b->failed = 1;
		return 0;
	}
	while (cap < b->len + len)
		cap *= 2;
	data = realloc(b->data, cap);
	if (data == NULL) {
		b->failed = 1;
		return 0;
	}
	b->data = data;
	b->cap = cap;
	return 1;
}

void buf_put(buf *b, const void *src, size_t len)
{
	if (len == 0 || !grow(b, len))
		return;
	memcpy(b->data + b->len, src, len);
	b->len += len;
}

void buf_text(buf *b, const char *text)
{
	buf_put(b, text, strlen(text));
}

void buf_char(buf *b, char c)
{
	buf_put(b, &c, 1);
}

void buf_fill(buf *b, char c, size_t n)
{
	if (n == 0 || !grow(b, n))
		return;
	memset(b->data + b->len, c, n);
	b->len += n;
}

void buf_printf(buf *b, const char *fmt, ...)
{
	char text[1024];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (n > 0)
		buf_put(b, text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1);
}

const char *buf_string(buf *b)
{
	if (!grow(b, 1))
		return "";
	b->data[b->len] = '\0';
	return b->data;
}

void buf_free(buf *b)
{
	free(b->data);
	memset(b, 0, sizeof *b);
}
