/* transports/winshm/winshm_name.c - names of the objects of a session (docs/wire.md section 12).
 *
 * Threads: none. Syscalls: none. Peer: both sides derive the same names from what HELLO has decided.
 * Wire layout: names only.
 */
#include "winshm.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* FNV-1a, 64 bits. */
static uint64_t hash_of(const char *bytes, size_t n)
{
	uint64_t h = 0xCBF29CE484222325u;
	size_t i;

	for (i = 0; i < n; i++)
		h = (h ^ (uint8_t)bytes[i]) * 0x100000001B3u;
	return h;
}

/* The core has found the service's name to be in order. What would lead to another directory of names,
 * or means something else in UTF-16, is refused all the same. */
static int is_plain(const char *service)
{
	const char *p = service;

	while (*p > ' ' && *p < 0x7f && *p != '\\')
		p++;
	return p != service && *p == '\0';
}

via_rc wshm_name(const struct wshm_self *s, const via_upgrade *u, const char *suffix,
		 char name[WSHM_NAME_MAX])
{
	char text[WSHM_HASHED_MAX + 1];
	uint64_t h;
	int n;

	if (!is_plain(u->service))
		return wshm_failf(s, VIA_INVAL, 0,
				  "service \"%.100s\": expected printable ASCII without \\",
				  u->service);
	n = snprintf(text, sizeof text, "%s\n%s\n%" PRIu64, u->ns, u->service, u->auth_token);
	if (n < 0 || (size_t)n >= sizeof text)
		return wshm_failf(s, VIA_TOOBIG, 0,
				  "run directory, service and token: expected at most %u bytes, "
				  "found %d",
				  WSHM_HASHED_MAX, n);
	h = hash_of(text, (size_t)n);
	if (h == 0)
		return wshm_failf(s, VIA_INVAL, 0,
				  "run directory \"%.100s\", service \"%.100s\" and the token: "
				  "expected a hash that is not 0",
				  u->ns, u->service);
	n = snprintf(name, WSHM_NAME_MAX,
		     "Local\\netipc-%016" PRIx64 "-%s-p%" PRIu32 "-s%016" PRIx64 "-%s", h,
		     u->service, u->profile, u->session_id, suffix);
	if (n < 0 || (size_t)n >= WSHM_NAME_MAX)
		return wshm_failf(s, VIA_TOOBIG, 0,
				  "name of the %s of service \"%.100s\": expected at most %u "
				  "bytes, found %d",
				  suffix, u->service, WSHM_NAME_MAX - 1, n);
	return VIA_OK;
}

/* Names are ASCII. */
void wshm_widen(const char *name, wchar_t wide[WSHM_NAME_MAX])
{
	size_t i = 0;

	do
		wide[i] = (wchar_t)(uint8_t)name[i];
	while (name[i++] != '\0');
}
