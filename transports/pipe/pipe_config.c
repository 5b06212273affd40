/* transports/pipe/pipe_config.c - "pipe.backlog", "pipe.packet", "pipe.access", "pipe.sddl", and the
 * security descriptor that follows from them.
 *
 * Threads: none. Syscalls: OpenProcessToken, GetTokenInformation, and the conversion of texts. Peer:
 * none. Wire layout: none.
 */
#include "pipe.h"
#include <sddl.h>
#include <stdio.h>
#include <string.h>

/* What others may do: read, write and ask, but not create an instance of the name (which is
 * FILE_APPEND_DATA here) nor change who may do what. Opening does not need that right although
 * GENERIC_WRITE contains it: the file system of pipes leaves it out. */
#define OTHERS "0x12019b"

/* -- descriptor -------------------------------------------------------------------------------- */

static via_rc convert(const struct pipe_self *s, const char *text, PSECURITY_DESCRIPTOR *out)
{
	wchar_t wide[PIPE_SDDL_MAX];
	DWORD err;
	size_t i = 0;

	do {
		if ((unsigned char)text[i] > '~')
			return pipe_failf(s, VIA_INVAL, 0,
					  "pipe.sddl: expected ASCII, found byte 0x%02x at %zu",
					  (unsigned)(unsigned char)text[i], i);
		wide[i] = (wchar_t)text[i];
	} while (text[i++] != '\0');
	err = pipe_deny(s, "ConvertStringSecurityDescriptorToSecurityDescriptorW");
	if (err == 0 &&
	    !ConvertStringSecurityDescriptorToSecurityDescriptorW(wide, SDDL_REVISION_1, out, NULL))
		err = GetLastError();
	switch (err) {
	case 0:
		return VIA_OK;
	case ERROR_INVALID_PARAMETER:
	case ERROR_INVALID_ACL:
	case ERROR_INVALID_SID:
	case ERROR_UNKNOWN_REVISION:
	case ERROR_NONE_MAPPED:
	case ERROR_INVALID_SECURITY_DESCR:
		return pipe_failf(s, VIA_INVAL, err,
				  "pipe.sddl: expected a security descriptor such as "
				  "\"D:P(A;;GA;;;SY)\", found \"%.200s\"",
				  text);
	default:
		return pipe_fail(s, err, "ConvertStringSecurityDescriptorToSecurityDescriptorW",
				 text);
	}
}

static via_rc own_user(const struct pipe_self *s, char *buf, size_t cap)
{
	HANDLE token = NULL;
	DWORD err = pipe_deny(s, "OpenProcessToken");

	if (err == 0 && !OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &token))
		err = GetLastError();
	if (err == 0) {
		err = pipe_user_of(s, token, buf, cap);
		CloseHandle(token);
	}
	return err == 0 ? VIA_OK : pipe_fail(s, err, "OpenProcessToken", "of this process");
}

via_rc pipe_descriptor(const struct pipe_self *s, const struct pipe_config *cfg,
		       PSECURITY_DESCRIPTOR *out)
{
	static const char *const others[] = {"", "(A;;" OTHERS ";;;AU)", "(A;;" OTHERS ";;;WD)"};
	char text[PIPE_SDDL_MAX];
	char user[192];
	via_rc rc;

	if (cfg->sddl[0] != '\0')
		return convert(s, cfg->sddl, out);
	rc = own_user(s, user, sizeof user);
	if (rc != VIA_OK)
		return rc;
	(void)snprintf(text, sizeof text, "D:P(A;;GA;;;SY)(A;;GA;;;%s)%s", user,
		       others[cfg->access]);
	return convert(s, text, out);
}

/* -- lines ------------------------------------------------------------------------------------- */

/* Decimal digits; anything else, nothing, or a number outside of min to max is refused. */
static int read_number(const char *s, size_t len, uint32_t min, uint32_t max, uint32_t *out)
{
	uint64_t v = 0;
	size_t i;

	if (len == 0)
		return 0;
	for (i = 0; i < len; i++) {
		if (s[i] < '0' || s[i] > '9')
			return 0;
		v = v * 10 + (uint64_t)(s[i] - '0');
		if (v > max)
			return 0;
	}
	if (v < min)
		return 0;
	*out = (uint32_t)v;
	return 1;
}

static int equals(const char *s, size_t len, const char *word)
{
	return len == strlen(word) && memcmp(s, word, len) == 0;
}

static int is_key(const char *line, size_t len, const char *name)
{
	static const char *const prefix[] = {"pipe.", "npipe."};
	size_t i;

	for (i = 0; i < sizeof prefix / sizeof prefix[0]; i++) {
		size_t n = strlen(prefix[i]);

		if (len > n && memcmp(line, prefix[i], n) == 0 && equals(line + n, len - n, name))
			return 1;
	}
	return 0;
}

static int read_access(const char *value, size_t n, uint32_t *out)
{
	static const char *const words[] = {"user", "authenticated", "everyone"};
	uint32_t i;

	for (i = 0; i < sizeof words / sizeof words[0]; i++) {
		if (equals(value, n, words[i])) {
			*out = i;
			return 1;
		}
	}
	return 0;
}

static via_rc read_sddl(const struct pipe_self *s, const char *value, size_t n,
			struct pipe_config *cfg)
{
	PSECURITY_DESCRIPTOR d = NULL;
	via_rc rc;

	if (n == 0 || n >= sizeof cfg->sddl)
		return pipe_failf(s, VIA_INVAL, 0, "pipe.sddl: expected 1 to %zu bytes, found %zu",
				  sizeof cfg->sddl - 1, n);
	memcpy(cfg->sddl, value, n);
	cfg->sddl[n] = '\0';
	rc = convert(s, cfg->sddl, &d);
	if (rc == VIA_OK)
		LocalFree(d);
	return rc;
}

static via_rc read_line(const struct pipe_self *s, const char *line, size_t len,
			struct pipe_config *cfg)
{
	const char *eq = memchr(line, '=', len);
	size_t key = eq == NULL ? len : (size_t)(eq - line);
	const char *value = eq == NULL ? line + len : eq + 1;
	size_t n = len - (size_t)(value - line);
	int show = (int)(len > 80 ? 80 : len);

	if (eq == NULL)
		return pipe_failf(s, VIA_INVAL, 0, "expected key=value, found \"%.*s\"", show,
				  line);
	if (is_key(line, key, "backlog")) {
		if (read_number(value, n, 1, PIPE_BACKLOG_MAX, &cfg->backlog))
			return VIA_OK;
		return pipe_failf(s, VIA_INVAL, 0, "pipe.backlog: expected 1 to %u, found \"%.*s\"",
				  PIPE_BACKLOG_MAX, show, line);
	}
	if (is_key(line, key, "packet")) {
		if (read_number(value, n, VIA_EXPECT_INITIAL, PIPE_PACKET_MAX, &cfg->packet))
			return VIA_OK;
		return pipe_failf(s, VIA_INVAL, 0,
				  "pipe.packet: expected %u to %u bytes, found \"%.*s\"",
				  VIA_EXPECT_INITIAL, PIPE_PACKET_MAX, show, line);
	}
	if (is_key(line, key, "access")) {
		cfg->sddl[0] = '\0'; /* the last one counts */
		if (read_access(value, n, &cfg->access))
			return VIA_OK;
		return pipe_failf(s, VIA_INVAL, 0,
				  "pipe.access: expected user, authenticated or everyone, found "
				  "\"%.*s\"",
				  show, line);
	}
	if (is_key(line, key, "sddl"))
		return read_sddl(s, value, n, cfg);
	return pipe_failf(s, VIA_INVAL, 0,
			  "unknown key: expected pipe.backlog, pipe.packet, pipe.access or "
			  "pipe.sddl, found \"%.*s\"",
			  show, line);
}

via_rc pipe_config_read(const struct pipe_self *s, const char *lines, struct pipe_config *cfg)
{
	struct pipe_config c = *cfg;

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
