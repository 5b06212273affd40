/* tools/lib/text.c - UTF-8, numbers and names as people write them. */
#include "text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* -- UTF-8 ----------------------------------------------------------------------------------- */

size_t text_utf8(const char *s, size_t len, uint32_t *code)
{
	static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
	uint32_t c, first;
	size_t n, i;

	if (len == 0)
		return 0;
	first = (uint8_t)s[0];
	if (first < 0x80)
		n = 1, c = first;
	else if (first >= 0xC2 && first < 0xE0)
		n = 2, c = first & 0x1F;
	else if (first >= 0xE0 && first < 0xF0)
		n = 3, c = first & 0x0F;
	else if (first >= 0xF0 && first < 0xF5)
		n = 4, c = first & 0x07;
	else
		return 0;
	if (n > len)
		return 0;
	for (i = 1; i < n; i++) {
		if (((uint8_t)s[i] & 0xC0) != 0x80)
			return 0;
		c = c << 6 | ((uint8_t)s[i] & 0x3F);
	}
	if (c < least[n] || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF))
		return 0;
	*code = c;
	return n;
}

/* Characters that a terminal obeys instead of showing, or that reorder what stands around them. */
static int is_plain_code(uint32_t c)
{
	if (c < 0x20 || (c >= 0x7F && c < 0xA0))
		return 0;
	return !(c == 0x061C || c == 0x200E || c == 0x200F || (c >= 0x2028 && c <= 0x202E) ||
		 (c >= 0x2066 && c <= 0x2069) || c == 0xFEFF);
}

int text_is_plain(const void *src, size_t len)
{
	const char *s = src;
	uint32_t code;
	size_t i, n;

	for (i = 0; i < len; i += n) {
		n = text_utf8(s + i, len - i, &code);
		if (n == 0 || !is_plain_code(code))
			return 0;
	}
	return 1;
}

void text_show(buf *b, const void *src, size_t len)
{
	const char *s = src;
	uint32_t code;
	size_t i, n;

	for (i = 0; i < len; i += n) {
		n = text_utf8(s + i, len - i, &code);
		if (n == 0) {
			buf_printf(b, "\\x%02x", (uint8_t)s[i]);
			n = 1;
		} else if (is_plain_code(code)) {
			buf_put(b, s + i, n);
		} else if (code < 0x80) {
			buf_printf(b, "\\x%02x", code);
		} else {
			buf_printf(b, "\\u{%x}", code);
		}
	}
}

char *text_shown(char *dst, size_t cap, const void *s, size_t len)
{
	buf b = {0};
	size_t n;

	text_show(&b, s, len);
	n = b.len < cap ? b.len : cap - 1;
	while (n > 0 && n < b.len && ((uint8_t)b.data[n] & 0xC0) == 0x80)
		n--; /* not in the middle of a character */
	if (n > 0)
		memcpy(dst, b.data, n);
	dst[n] = '\0';
	buf_free(&b);
	return dst;
}

size_t text_width(const char *s, size_t len)
{
	size_t i, n = 0;

	for (i = 0; i < len; i++)
		n += ((uint8_t)s[i] & 0xC0) != 0x80;
	return n;
}

/* -- names ----------------------------------------------------------------------------------- */

static uint32_t least_of(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

uint32_t text_distance(const char *a, const char *b)
{
	enum { CAP = 64 };
	uint32_t row[3][CAP];
	size_t la = strlen(a), lb = strlen(b), i, j;

	if (la >= CAP || lb >= CAP)
		return UINT32_MAX;
	for (j = 0; j <= lb; j++)
		row[0][j] = (uint32_t)j;
	for (i = 1; i <= la; i++) {
		uint32_t *now = row[i % 3], *up = row[(i - 1) % 3], *up2 = row[(i + 1) % 3];

		now[0] = (uint32_t)i;
		for (j = 1; j <= lb; j++) {
			now[j] = least_of(up[j], now[j - 1]) + 1;
			now[j] = least_of(now[j], up[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				now[j] = least_of(now[j], up2[j - 2] + 1);
		}
	}
	return row[la % 3][lb];
}

const char *text_nearest(const char *word, const char *const *names, size_t n)
{
	const char *best = NULL;
	uint32_t best_distance = UINT32_MAX, d;
	size_t i, len = strlen(word);

	for (i = 0; i < n; i++) {
		d = text_distance(word, names[i]);
		if (len >= 3 && d > 1 && strncmp(word, names[i], len) == 0)
			d = 1; /* the beginning of a name is near to it */
		if (d < best_distance) {
			best_distance = d;
			best = names[i];
		}
	}
	return best_distance <= 1 + len / 3 && best_distance < len ? best : NULL;
}

/* -- numbers --------------------------------------------------------------------------------- */

static int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return 99;
}

/* Digits of a base up to the first other character. Returns that, or NULL: no digit, or too big. */
static const char *digits(const char *s, uint32_t base, uint64_t *out)
{
	const char *p = s;
	uint64_t v = 0;

	for (; digit_of(*p) < (int)base; p++) {
		uint64_t d = (uint64_t)digit_of(*p);

		if (v > (UINT64_MAX - d) / base)
			return NULL;
		v = v * base + d;
	}
	if (p == s)
		return NULL;
	*out = v;
	return p;
}

int text_u64(const char *s, uint64_t *out)
{
	const char *end;
	uint64_t v;

	if (s[0] == '0' && (s[1] == 'x' || s[1] == 'X'))
		end = digits(s + 2, 16, &v);
	else
		end = digits(s, 10, &v);
	if (end == NULL || *end != '\0')
		return 0;
	*out = v;
	return 1;
}

int text_i64(const char *s, int64_t *out)
{
	int minus = s[0] == '-';
	const char *end;
	uint64_t v;

	end = digits(s + minus, 10, &v);
	if (end == NULL || *end != '\0' || v > (uint64_t)INT64_MAX + (uint64_t)minus)
		return 0;
	*out = minus ? (int64_t)(0 - v) : (int64_t)v;
	return 1;
}

int text_f64(const char *s, double *out)
{
	const char *p = s + (*s == '-');
	char *end;
	double v;

	if (strcmp(p, "nan") != 0 && strcmp(p, "inf") != 0 &&
	    (p[strspn(p, "0123456789+-.eE")] != '\0' || digit_of(*p) > 9))
		return 0;
	errno = 0;
	v = strtod(s, &end);
	if (end == s || *end != '\0' || (errno == ERANGE && (v > 1 || v < -1)))
		return 0;
	*out = v;
	return 1;
}

int text_bool(const char *s, int *out)
{
	static const char *const words[2][4] = {{"no", "false", "off", "0"},
						{"yes", "true", "on", "1"}};
	int v, i;

	for (v = 0; v < 2; v++) {
		for (i = 0; i < 4; i++) {
			if (strcmp(s, words[v][i]) == 0) {
				*out = v;
				return 1;
			}
		}
	}
	return 0;
}

int text_duration(const char *s, uint64_t *ns)
{
	static const struct {
		const char *unit;
		uint64_t ns;
	} units[] = {{"us", 1000},       {"ms", 1000000},      {"s", 1000000000},
		     {"m", 60000000000}, {"min", 60000000000}, {"h", 3600000000000}};
	const char *end;
	uint64_t v;
	size_t i;

	end = digits(s, 10, &v);
	if (end == NULL || v == 0)
		return 0;
	for (i = 0; i < sizeof units / sizeof units[0]; i++) {
		if (strcmp(end, units[i].unit) == 0 && v <= INT64_MAX / units[i].ns) {
			*ns = v * units[i].ns;
			return 1;
		}
	}
	return 0;
}

int text_size(const char *s, uint64_t *out)
{
	const char *end;
	uint64_t v, unit = 1;

	end = digits(s, 10, &v);
	if (end == NULL)
		return 0;
	if (*end == 'K')
		unit = 1024, end++;
	else if (*end == 'M')
		unit = 1048576, end++;
	if (*end != '\0' || v > UINT64_MAX / unit)
		return 0;
	*out = v * unit;
	return 1;
}

int text_unhex(const char *s, size_t len, uint8_t *dst)
{
	size_t i;

	if (len % 2 != 0)
		return 0;
	for (i = 0; i < len; i += 2) {
		int high = digit_of(s[i]), low = digit_of(s[i + 1]);

		if (high > 15 || low > 15)
			return 0;
		dst[i / 2] = (uint8_t)(high << 4 | low);
	}
	return 1;
}

void text_hex(buf *b, const void *src, size_t len)
{
	static const char digit[] = "0123456789abcdef";
	const uint8_t *p = src;
	size_t i;

	for (i = 0; i < len; i++) {
		buf_char(b, digit[p[i] >> 4]);
		buf_char(b, digit[p[i] & 15]);
	}
}
