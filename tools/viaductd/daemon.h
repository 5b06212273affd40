/* SPDX-License-Identifier: Apache-2.0
 * tools/viaductd/daemon.h - what the daemon does with its configuration.
 */
#ifndef VIA_TOOLS_DAEMON_H
#define VIA_TOOLS_DAEMON_H
#include "config.h"

#include "../lib/cli.h"

/* Opens the registry and tests that every service and module named in the configuration is known;
 * with is_check nothing else, else serves until told to stop. Returns the exit status. */
int daemon_run(const conf *c, int is_check);

#endif
