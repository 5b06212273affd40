/* core/base/err.c - the calling thread's error detail.
 *
 * One buffer for each thread; formatting goes through a second one, so that a detail may quote the
 * detail before it.
 */
#if defined(_WIN32)
#define __USE_MINGW_ANSI_STDIO 1 /* %llu and %zu, whatever the C runtime */
#endif
#include "err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { DETAIL_CAP = 512, SYSTEM_CAP = 160 };

static _Thread_local char detail[DETAIL_CAP];

static void set_detail(const char *text)
{
	size_t len = strlen(text);

	if (len >= sizeof detail)
		len = sizeof detail - 1;
	memcpy(detail, text, len);
	detail[len] = '\0';
}

via_rc core_fail(via_rc rc, const char *fmt, ...)
{
	char text[DETAIL_CAP];
	va_list ap;

	va_start(ap, fmt);
	if (vsnprintf(text, sizeof text, fmt, ap) < 0)
		text[0] = '\0';
	va_end(ap);
	set_detail(text);
	return rc;
}

via_rc core_fail_os(via_rc rc, int64_t os_error, const char *fmt, ...)
{
	char text[DETAIL_CAP], system[SYSTEM_CAP], tail[SYSTEM_CAP + 48];
	size_t head_len, tail_len;
	va_list ap;

	va_start(ap, fmt);
	if (vsnprintf(text, sizeof text, fmt, ap) < 0)
		text[0] = '\0';
	va_end(ap);
	if (os_error != 0) {
		system[0] = '\0';
		os_error_text(os_error, system, sizeof system);
		snprintf(tail, sizeof tail, ": %s (error %lld)", system, (long long)os_error);
		head_len = strlen(text);
		tail_len = strlen(tail);
		/* What the system said survives a sentence that is too long. */
		if (head_len > sizeof text - 1 - tail_len)
			head_len = sizeof text - 1 - tail_len;
		memcpy(text + head_len, tail, tail_len + 1);
	}
	set_detail(text);
	return rc;
}

via_rc core_nomem(const char *what)
{
	return core_fail(VIA_NOMEM, "out of memory for %s", what);
}

via_rc core_fail_flaw(const char *what, const via_flaw *flaw)
{
	char text[256];

	via_flaw_text(flaw, text, sizeof text);
	return core_fail(VIA_PROTO, "%s: %s", what, text);
}

void core_error_clear(void)
{
	detail[0] = '\0';
}

char *core_error_place(void)
{
	return detail;
}

const char *via_error(void)
{
	return detail;
}
