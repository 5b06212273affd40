/* SPDX-License-Identifier: Apache-2.0
 * tools/viaductd/log.h - the daemon's log: one line a message on standard error, whole, from any
 * thread.
 */
#ifndef VIA_TOOLS_LOG_H
#define VIA_TOOLS_LOG_H
#include "../lib/buf.h"

/* Before the first thread. Lines get "<priority>" in front when they go to the journal. */
void log_init(int32_t level);
/* level: VIA_LOG_*. */
void log_line(int32_t level, const char *fmt, ...) TOOLS_PRINTF(2, 3);
/* For via_registry_options. */
void log_from_library(void *arg, int32_t level, const char *origin, const char *text);

#endif
