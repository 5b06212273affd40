/* services/cgroups/text.c - readable text out of the bytes that a directory name may hold.
 *
 * Pure. Threads: any. Syscalls: none.
 */
#include "cgroups.h"

#include <string.h>

#define MARK "..."
#define MARK_LEN 3u

void cgroups_text_clear(struct cgroups_text *t)
{
	t->len = 0;
	t->is_cut = 0;
	t->at[0] = 0;
}

/* Adds a piece that must not be divided. What follows a piece without room is left out too. */
static void add_piece(struct cgroups_text *t, const char *s, uint32_t len)
{
	if (t->is_cut != 0 || len > CGROUPS_NAME_CAP - 1 - MARK_LEN - t->len) {
		t->is_cut = 1;
		return;
	}
	memcpy(t->at + t->len, s, len);
	t->len += len;
	t->at[t->len] = 0;
}

/* Length of the printable character at s, or 0: broken UTF-8 or a control character. */
static uint32_t printable(const uint8_t *s, uint64_t len)
{
	static const uint32_t smallest[5] = {0, 0, 0x80, 0x800, 0x10000};
	uint32_t n, i, code;

	if (s[0] < 0x80)
		return s[0] >= 0x20 && s[0] != 0x7f ? 1 : 0;
	if ((s[0] & 0xe0) == 0xc0)
		n = 2;
	else if ((s[0] & 0xf0) == 0xe0)
		n = 3;
	else if ((s[0] & 0xf8) == 0xf0)
		n = 4;
	else
		return 0;
	if (n > len)
		return 0;
	code = s[0] & (0x7fu >> n);
	for (i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (s[i] & 0x3fu);
	}
	if (code < smallest[n] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
		return 0;
	return code < 0xa0 ? 0 : n; /* U+0080 to U+009F are controls */
}

void cgroups_text_add(struct cgroups_text *t, const char *s, uint64_t len)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *p = (const uint8_t *)s;
	uint64_t at = 0;

	while (at < len && t->is_cut == 0) {
		uint32_t n = printable(p + at, len - at);

		if (n != 0) {
			add_piece(t, s + at, n);
			at += n;
		} else {
			const char escape[4] = {'\\', 'x', digits[p[at] >> 4], digits[p[at] & 15]};

			add_piece(t, escape, sizeof escape);
			at++;
		}
	}
}

void cgroups_text_add_z(struct cgroups_text *t, const char *s)
{
	cgroups_text_add(t, s, strlen(s));
}

void cgroups_text_finish(struct cgroups_text *t)
{
	if (t->is_cut == 0)
		return;
	memcpy(t->at + t->len, MARK, MARK_LEN + 1);
	t->len += MARK_LEN;
	t->is_cut = 0;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

uint64_t cgroups_unescape(const char *s, uint64_t len, char *out)
{
	uint64_t at = 0, n = 0;

	while (at < len) {
		int high = -1, low = -1;

		if (s[at] == '\\' && len - at >= 4 && s[at + 1] == 'x') {
			high = hex_digit(s[at + 2]);
			low = hex_digit(s[at + 3]);
		}
		if (high >= 0 && low >= 0 && (high | low) != 0) {
			out[n++] = (char)(high << 4 | low);
			at += 4;
		} else {
			out[n++] = s[at++];
		}
	}
	return n;
}

uint32_t cgroups_hash(const char *s, uint64_t len)
{
	uint32_t h = 0x811c9dc5u;
	uint64_t i;

	for (i = 0; i < len; i++) {
		h *= 16777619u;
		h ^= (uint8_t)s[i];
	}
	return h;
}
