/* transports/loop/loop_config.c - "loop.record=BYTES" and "loop.backlog=N".
 *
 * Threads: none. Syscalls: none. Peer: none. Wire layout: none.
 */
#include "loop.h"
#include <stdio.h>
#include <string.h>

static const char prefix[] = "loop.";

struct key {
	const char *name;
	uint32_t min, max;
};

static const struct key keys[] = {
	{"record", VIA_EXPECT_INITIAL, LOOP_RECORD_MAX},
	{"backlog", 1, LOOP_BACKLOG_MAX},
};
enum { N_KEYS = sizeof keys / sizeof keys[0] };

static int read_number(const char *s, size_t len, const struct key *k, uint32_t *out)
{
	uint64_t v = 0;
	size_t i;

	for (i = 0; i < len; i++) {
		if (s[i] < '0' || s[i] > '9')
			return 0;
		v = v * 10 + (uint64_t)(s[i] - '0');
		if (v > k->max)
			return 0;
	}
	if (len == 0 || v < k->min)
		return 0;
	*out = (uint32_t)v;
	return 1;
}

static via_rc read_line(const struct loop_self *s, const char *line, size_t len,
			struct loop_config *cfg)
{
	uint32_t *const value[N_KEYS] = {&cfg->record, &cfg->backlog};
	const char *eq = memchr(line, '=', len);
	size_t key = eq == NULL ? len : (size_t)(eq - line);
	int show = (int)(len > 80 ? 80 : len);
	char text[256];
	size_t i;

	for (i = 0; i < N_KEYS; i++) {
		size_t n = sizeof prefix - 1;

		if (eq == NULL || key != n + strlen(keys[i].name) || memcmp(line, prefix, n) != 0 ||
		    memcmp(line + n, keys[i].name, key - n) != 0)
			continue;
		if (read_number(eq + 1, len - key - 1, &keys[i], value[i]))
			return VIA_OK;
		(void)snprintf(text, sizeof text, "loop.%s: expected %u to %u, found \"%.*s\"",
			       keys[i].name, keys[i].min, keys[i].max, show, line);
		return s->h->fail(s->h->ctx, VIA_INVAL, 0, text);
	}
	(void)snprintf(text, sizeof text,
		       "unknown key: expected loop.record=N or loop.backlog=N, found \"%.*s\"",
		       show, line);
	return s->h->fail(s->h->ctx, VIA_INVAL, 0, text);
}

via_rc loop_config_read(const struct loop_self *s, const char *lines, struct loop_config *cfg)
{
	struct loop_config c = *cfg;

	while (lines != NULL && *lines != '\0') {
		size_t n = strcspn(lines, "\n");

		if (n != 0) {
			via_rc rc = read_line(s, lines, n, &c);

			if (rc != VIA_OK)
				return rc;
		}
		lines += n + (lines[n] == '\n');
	}
	*cfg = c;
	return VIA_OK;
}
