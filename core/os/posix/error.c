/* core/os/posix/error.c - errno as text and as a result code. */
#include "posix.h"
#include <stdio.h>
#include <string.h>

/* strerror_r() comes in two shapes; the argument's type chooses. */
static inline const char *text_gnu(const char *r, const char *buf)
{
	(void)buf;
	return r;
}

static inline const char *text_posix(int r, const char *buf)
{
	return r == 0 ? buf : "unknown error";
}

void os_error_text(int64_t os_error, char *buf, uint32_t cap)
{
	char tmp[128] = "";
	const char *text = "unknown error";

	if (cap == 0)
		return;
	if (os_error >= 0 && os_error <= INT32_MAX)
		text = _Generic(strerror_r(0, tmp, sizeof tmp), char *: text_gnu, int: text_posix)(
			strerror_r((int)os_error, tmp, sizeof tmp), tmp);
	(void)snprintf(buf, cap, "%s", text);
}

via_rc posix_rc(int err)
{
	switch (err) {
	case ENOENT:
	case ENOTDIR:
		return VIA_NOTFOUND;
	case EACCES:
	case EPERM:
		return VIA_PERM;
	case EEXIST:
		return VIA_EXISTS;
	case ENOMEM:
		return VIA_NOMEM;
	case EMFILE:
	case ENFILE:
	case ENOSPC:
	case EDQUOT:
		return VIA_LIMIT;
	case ENAMETOOLONG:
		return VIA_TOOBIG;
	default:
		return VIA_IO;
	}
}
