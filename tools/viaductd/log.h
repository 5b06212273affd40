/* SPDX-License-Identifier: Apache-2.0
 * tools/viaductd/log.h - the daemon's log: one line a message on standard error or in a file, whole, from
 * any thread.
 */
#ifndef VIA_TOOLS_LOG_H
#define VIA_TOOLS_LOG_H
#include "../lib/buf.h"

/* Before the first thread. Lines get "<priority>" in front when they go to the journal. */
void log_init(int32_t level);
/* Before the first thread: into this file instead, each line with the time in front. Returns 1, or 0
 * with why. */
int log_to_file(const char *path, char *why);
/* After the file was moved away: makes a new one. Returns 1, or 0 with why: the old one goes on. */
int log_reopen(char *why);
/* level: VIA_LOG_*. */
void log_line(int32_t level, const char *fmt, ...) TOOLS_PRINTF(2, 3);
/* What ends the program: one line, to standard error as every program does it when nobody has named a
 * file. Returns status. */
int log_end(int status, const char *fmt, ...) TOOLS_PRINTF(2, 3);
/* For via_registry_options. */
void log_from_library(void *arg, int32_t level, const char *origin, const char *text);

#endif
