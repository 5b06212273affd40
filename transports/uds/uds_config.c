/* transports/uds/uds_config.c - "uds.backlog=N" and "uds.mode=OCTAL".
 *
 * Threads: none. Syscalls: none. Peer: none. Wire layout: none.
 */
#include "uds.h"
#include <string.h>

enum { BACKLOG_MAX = 65535 };

/* Digits of a base up to len; anything else, nothing, or more than max is refused. */
static int read_number(const char *s, size_t len, uint32_t base, uint32_t max, uint32_t *out)
{
	uint64_t v = 0;
	size_t i;

	if (len == 0)
		return 0;
	for (i = 0; i < len; i++) {
		uint32_t d = (uint32_t)(unsigned char)s[i] - '0';

		if (d >= base)
			return 0;
		v = v * base + d;
		if (v > max)
			return 0;
	}
	*out = (uint32_t)v;
	return 1;
}

static int is_key(const char *line, size_t len, const char *name)
{
	static const char *const prefix[] = {"uds.", "unix."};
	size_t i;

	for (i = 0; i < sizeof prefix / sizeof prefix[0]; i++) {
		size_t n = strlen(prefix[i]);

		if (len == n + strlen(name) && memcmp(line, prefix[i], n) == 0 &&
		    memcmp(line + n, name, len - n) == 0)
			return 1;
	}
	return 0;
}

static via_rc read_line(const struct uds_self *s, const char *line, size_t len,
			struct uds_config *cfg)
{
	const char *eq = memchr(line, '=', len);
	size_t key = eq == NULL ? len : (size_t)(eq - line);
	const char *value = eq == NULL ? line + len : eq + 1;
	size_t n = len - (size_t)(value - line);
	int show = (int)(len > 80 ? 80 : len);

	if (eq == NULL)
		return uds_failf(s, VIA_INVAL, 0, "expected key=value, found \"%.*s\"", show, line);
	if (is_key(line, key, "backlog")) {
		if (read_number(value, n, 10, BACKLOG_MAX, &cfg->backlog) != 0 && cfg->backlog != 0)
			return VIA_OK;
		return uds_failf(s, VIA_INVAL, 0, "uds.backlog: expected 1 to %d, found \"%.*s\"",
				 BACKLOG_MAX, show, line);
	}
	if (is_key(line, key, "mode")) {
		if (read_number(value, n, 8, 0777, &cfg->mode) != 0)
			return VIA_OK;
		return uds_failf(s, VIA_INVAL, 0,
				 "uds.mode: expected octal 0 to 0777, found \"%.*s\"", show, line);
	}
	return uds_failf(s, VIA_INVAL, 0,
			 "unknown key: expected uds.backlog or uds.mode, found \"%.*s\"", show,
			 line);
}

via_rc uds_config_read(const struct uds_self *s, const char *lines, struct uds_config *cfg)
{
	struct uds_config c = *cfg;

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
