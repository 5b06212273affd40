/* SPDX-License-Identifier: Apache-2.0
 * tools/viaductd/supervisor.h - whoever started the daemon and wants to know how it is: a service manager
 * behind $NOTIFY_SOCKET, or that of Windows.
 */
#ifndef VIA_TOOLS_SUPERVISOR_H
#define VIA_TOOLS_SUPERVISOR_H
#include "../lib/sys.h"

enum { SUPERVISOR_READY, SUPERVISOR_RELOADING, SUPERVISOR_STOPPING, SUPERVISOR_WORKS };

/* How often it wants to be told SUPERVISOR_WORKS, at least; 0: never. Asked once, before everything else.
 * Returns 1, or 0 with why: it wants something that cannot be understood, and is told nothing. */
int supervisor_watchdog(uint64_t *ns, char *why);

/* within_ns: how long what has begun may take. Returns 1 if it was told or nobody wants to know, 0 with
 * why. */
int supervisor_tell(int state, uint64_t within_ns, char *why);
/* The process is about to end with this status. */
void supervisor_end(int status);

#endif
