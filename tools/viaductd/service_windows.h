/* SPDX-License-Identifier: Apache-2.0
 * tools/viaductd/service_windows.h - viaductd as a service of Windows.
 */
#ifndef VIA_TOOLS_SERVICE_WINDOWS_H
#define VIA_TOOLS_SERVICE_WINDOWS_H
#include "../lib/sys.h"

#define SERVICE_NAME "viaductd" /* unless --name says otherwise */
#define SERVICE_REPORT 128      /* control code of our own: a report into the log */

typedef struct service_options {
	const char *name;                   /* NULL: SERVICE_NAME */
	const char *config, *run_dir, *log; /* for its command line; NULL: left out */
} service_options;

/* Serves the service control manager until the service has stopped. run(arg) is the daemon; it gets a
 * thread of its own and returns an exit status. Returns that status. */
int service_run(int (*run)(void *arg), void *arg);
/* Log of a service whose command line names none. Returns path. */
const char *service_log(char path[SYS_PATH]);

/* Makes the service and what it needs. Returns an exit status after one line of output. */
int service_install(const service_options *o);
/* Gives a service that an installer made what service_install() gives it beside its entry: directories,
 * description, and that it comes back when it crashes. */
int service_prepare(const char *name);
/* Stops it if it runs, then removes it; what it has logged stays. */
int service_remove(const char *name);

#endif
