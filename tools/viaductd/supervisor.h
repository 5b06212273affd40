/* SPDX-License-Identifier: Apache-2.0
 * tools/viaductd/supervisor.h - whoever started the daemon and wants to know how it is: a service manager
 * behind $NOTIFY_SOCKET, or that of Windows.
 */
#ifndef VIA_TOOLS_SUPERVISOR_H
#define VIA_TOOLS_SUPERVISOR_H
#include "../lib/sys.h"

enum { SUPERVISOR_READY, SUPERVISOR_RELOADING, SUPERVISOR_STOPPING };

/* within_ns: how long what has begun may take. Returns 1 if it was told or nobody wants to know, 0 with
 * why. */
int supervisor_tell(int state, uint64_t within_ns, char *why);
/* The process is about to end with this status. */
void supervisor_end(int status);

#endif
