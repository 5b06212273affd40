/* services/cgroups/config.c - the module's configuration lines.
 *
 * Pure. Threads: any. Syscalls: none.
 */
#include "cgroups.h"

#include <stdio.h>
#include <string.h>

#define SHOWN 64 /* bytes of somebody's text that a sentence repeats */

static int shown(uint64_t len)
{
	return len > SHOWN ? SHOWN : (int)len;
}

struct input {
	const char *s;
	uint64_t len;
};

static int is_key(struct input key, const char *z)
{
	return key.len == strlen(z) && memcmp(key.s, z, (size_t)key.len) == 0;
}

static via_rc read_number(struct input key, struct input value, uint32_t largest, uint32_t *out,
			  char *why, uint64_t why_cap)
{
	uint32_t n = 0;
	uint64_t i;

	for (i = 0; i < value.len && n <= largest; i++) {
		if (value.s[i] < '0' || value.s[i] > '9')
			break;
		n = n * 10 + (uint32_t)(value.s[i] - '0');
	}
	if (i < value.len || value.len == 0 || n == 0 || n > largest) {
		snprintf(why, (size_t)why_cap,
			 "%.*s: expected a number from 1 to %u, found \"%.*s\"", (int)key.len,
			 key.s, largest, shown(value.len), value.s);
		return VIA_INVAL;
	}
	*out = n;
	return VIA_OK;
}

static via_rc read_root(struct input value, char *out, char *why, uint64_t why_cap)
{
	if (value.len == 0 || value.s[0] != '/') {
		snprintf(why, (size_t)why_cap, "root: expected an absolute path, found \"%.*s\"",
			 shown(value.len), value.s);
		return VIA_INVAL;
	}
	if (value.len >= CGROUPS_ROOT_CAP) {
		snprintf(why, (size_t)why_cap, "root: expected at most %u bytes, found %llu",
			 CGROUPS_ROOT_CAP - 1, (unsigned long long)value.len);
		return VIA_INVAL;
	}
	memcpy(out, value.s, (size_t)value.len);
	out[value.len] = 0;
	return VIA_OK;
}

static via_rc read_line(struct input line, struct cgroups_config *c, char *why, uint64_t why_cap)
{
	const char *sign = memchr(line.s, '=', (size_t)line.len);
	struct input key, value;

	if (sign == NULL) {
		snprintf(why, (size_t)why_cap, "expected key=value, found \"%.*s\"",
			 shown(line.len), line.s);
		return VIA_INVAL;
	}
	key = (struct input){line.s, (uint64_t)(sign - line.s)};
	value = (struct input){sign + 1, line.len - key.len - 1};
	if (is_key(key, "root"))
		return read_root(value, c->root, why, why_cap);
	if (is_key(key, "max_cgroups"))
		return read_number(key, value, CGROUPS_MAX_CGROUPS_LIMIT, &c->max_cgroups, why,
				   why_cap);
	if (is_key(key, "max_depth"))
		return read_number(key, value, CGROUPS_MAX_DEPTH_LIMIT, &c->max_depth, why,
				   why_cap);
	snprintf(why, (size_t)why_cap,
		 "unknown key \"%.*s\": expected root, max_cgroups or max_depth", shown(key.len),
		 key.s);
	return VIA_INVAL;
}

via_rc cgroups_config_parse(const char *config, struct cgroups_config *out, char *why,
			    uint64_t why_cap)
{
	struct cgroups_config c = {CGROUPS_MAX_CGROUPS_DEFAULT, CGROUPS_MAX_DEPTH_DEFAULT, "/"};
	via_rc rc;

	while (config != NULL && *config != 0) {
		struct input line = {config, strcspn(config, "\n")};

		if (line.len != 0) {
			rc = read_line(line, &c, why, why_cap);
			if (rc != VIA_OK)
				return rc;
		}
		config += line.len + (config[line.len] == '\n');
	}
	*out = c;
	return VIA_OK;
}
