/* SPDX-License-Identifier: Apache-2.0
 * core/base/err.h - the calling thread's error detail. */
#ifndef VIA_CORE_ERR_H
#define VIA_CORE_ERR_H
#include <viaduct/app/base.h>

/* Formats the detail behind rc (at most 511 bytes) and returns rc: `return core_fail(VIA_IO, ...)`. */
via_rc core_fail(via_rc rc, const char *fmt, ...) VIA_COLD VIA_PRINTF(2, 3);

/* The same with ": <system message> (error N)" behind it. os_error: errno or GetLastError(). */
via_rc core_fail_os(via_rc rc, int64_t os_error, const char *fmt, ...) VIA_COLD VIA_PRINTF(3, 4);

/* Out of memory for `what`. */
via_rc core_nomem(const char *what);

/* A flaw as the detail of VIA_PROTO: "what: field at byte N: expected X, found Y". */
via_rc core_fail_flaw(const char *what, const via_flaw *flaw);

void core_error_clear(void);
/* The detail of the calling thread: "" in its first byte is core_error_clear() without a call. */
char *core_error_place(void);

/* Puts the system's text for os_error into buf (os layer). */
void os_error_text(int64_t os_error, char *buf, uint32_t cap);

#endif
