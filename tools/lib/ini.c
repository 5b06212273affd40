/* tools/lib/ini.c - reads INI text. */
#include "ini.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

typedef struct span {
	const char *p, *end;
} span;

static int fail_at(ini_reader *r, const char *line, const char *at, const char *fmt, ...)
	TOOLS_PRINTF(4, 5);

static int fail_at(ini_reader *r, const char *line, const char *at, const char *fmt, ...)
{
	va_list ap;

	r->why.line = r->line;
	r->why.column = (uint32_t)(at - line) + 1;
	va_start(ap, fmt);
	(void)vsnprintf(r->why.text, sizeof r->why.text, fmt, ap);
	va_end(ap);
	r->at = r->len;
	return INI_BAD;
}

static int is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static span trimmed(span s)
{
	while (s.p < s.end && is_blank(*s.p))
		s.p++;
	while (s.end > s.p && is_blank(s.end[-1]))
		s.end--;
	return s;
}

static int is_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '.' || c == '_' || c == '-';
}

/* Copies the name at the beginning of s; moves s behind it. Returns its length, 0: none or too
 * long. */
static size_t take_name(span *s, char *dst)
{
	const char *p = s->p;
	size_t n;

	while (p < s->end && is_name_char(*p))
		p++;
	n = (size_t)(p - s->p);
	if (n == 0 || n >= INI_NAME)
		return 0;
	memcpy(dst, s->p, n);
	dst[n] = '\0';
	s->p = p;
	return n;
}

static int read_section(ini_reader *r, const char *line, span s)
{
	s.p++;
	s = (span){s.p, s.end};
	while (s.p < s.end && is_blank(*s.p))
		s.p++;
	r->name[0] = '\0';
	if (take_name(&s, r->section) == 0)
		return fail_at(r, line, s.p,
			       "expected a section's name of A-Z a-z 0-9 . _ -, at most %u bytes",
			       INI_NAME - 1);
	while (s.p < s.end && is_blank(*s.p))
		s.p++;
	if (s.p < s.end && *s.p != ']' && take_name(&s, r->name) == 0)
		return fail_at(r, line, s.p,
			       "expected ']' or a name of A-Z a-z 0-9 . _ -, at most %u bytes",
			       INI_NAME - 1);
	while (s.p < s.end && is_blank(*s.p))
		s.p++;
	if (s.p == s.end || *s.p != ']')
		return fail_at(r, line, s.p, "expected ']' at the end of the section's name");
	if (s.p + 1 != s.end)
		return fail_at(r, line, s.p + 1, "expected nothing behind ']'");
	return INI_SECTION;
}

static int read_quoted(ini_reader *r, const char *line, span s)
{
	size_t n = 0;

	for (s.p++; s.p < s.end && *s.p != '"'; s.p++) {
		if (*s.p == '\\') {
			s.p++;
			if (s.p == s.end || (*s.p != '"' && *s.p != '\\'))
				return fail_at(r, line, s.p - 1,
					       "expected \\\" or \\\\ in a quoted value");
		}
		if (n + 1 == INI_VALUE)
			return fail_at(r, line, s.p, "value longer than %u bytes", INI_VALUE - 1);
		r->value[n++] = *s.p;
	}
	if (s.p == s.end)
		return fail_at(r, line, s.p, "expected '\"' at the end of the value");
	if (s.p + 1 != s.end)
		return fail_at(r, line, s.p + 1, "expected nothing behind the closing '\"'");
	r->value[n] = '\0';
	return INI_KEY;
}

static int read_key(ini_reader *r, const char *line, span s)
{
	size_t n;

	if (take_name(&s, r->key) == 0)
		return fail_at(
			r, line, s.p,
			"expected '[section]' or 'key = value', the key of A-Z a-z 0-9 . _ -");
	while (s.p < s.end && is_blank(*s.p))
		s.p++;
	if (s.p == s.end || *s.p != '=')
		return fail_at(r, line, s.p, "expected '=' behind \"%s\"", r->key);
	if (r->section[0] == '\0')
		return fail_at(r, line, line, "\"%s\" stands before the first [section]", r->key);
	s.p++;
	s = trimmed(s);
	if (s.p < s.end && *s.p == '"')
		return read_quoted(r, line, s);
	n = (size_t)(s.end - s.p);
	if (n >= INI_VALUE)
		return fail_at(r, line, s.p, "value longer than %u bytes", INI_VALUE - 1);
	if (n != 0)
		memcpy(r->value, s.p, n);
	r->value[n] = '\0';
	return INI_KEY;
}

/* Refuses what is no text. Returns 0 if the line is good. */
static int check_text(ini_reader *r, const char *line, const char *end)
{
	const char *p = line;
	uint32_t code;
	size_t n;

	for (; p < end; p += n) {
		n = text_utf8(p, (size_t)(end - p), &code);
		if (n == 0)
			return fail_at(r, line, p, "byte 0x%02x is not UTF-8", (uint8_t)*p);
		if ((code < 0x20 && code != '\t') || code == 0x7F)
			return fail_at(r, line, p, "control character 0x%02x", code);
	}
	return 0;
}

void ini_begin(ini_reader *r, const char *src, size_t len)
{
	memset(r, 0, sizeof *r);
	r->src = src;
	r->len = len;
	if (len >= 3 && memcmp(src, "\xEF\xBB\xBF", 3) == 0)
		r->at = 3;
}

int ini_next(ini_reader *r)
{
	const char *line, *end;
	span s;

	while (r->at < r->len) {
		line = r->src + r->at;
		end = memchr(line, '\n', r->len - r->at);
		r->line++;
		r->at = end != NULL ? (size_t)(end - r->src) + 1 : r->len;
		if (end == NULL)
			end = r->src + r->len;
		if (end > line && end[-1] == '\r')
			end--;
		if (check_text(r, line, end) != 0)
			return INI_BAD;
		s = trimmed((span){line, end});
		if (s.p == s.end || *s.p == '#' || *s.p == ';')
			continue;
		return *s.p == '[' ? read_section(r, line, s) : read_key(r, line, s);
	}
	return r->why.line != 0 ? INI_BAD : INI_END;
}
