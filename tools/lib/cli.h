/* SPDX-License-Identifier: Apache-2.0
 * tools/lib/cli.h - what both programs say and how they end. docs/programs.md lists the exit
 * statuses.
 */
#ifndef VIA_TOOLS_CLI_H
#define VIA_TOOLS_CLI_H
#include "buf.h"

#include <viaduct/viaduct.h>

#define CLI_WHY 256u /* room for a reason */

enum {
	CLI_OK = 0,
	CLI_FAILED = 1,      /* malformed data, or the other side could not answer */
	CLI_USAGE = 2,       /* command line or configuration */
	CLI_UNREACHABLE = 3, /* nobody listens there */
	CLI_TIMEOUT = 4,
	CLI_REFUSED = 5, /* the server refused in the handshake */
	CLI_MODULE = 6
}; /* a module that is needed here is missing or refused */

/* "viaduct", in front of every message. */
void cli_name(const char *program);
/* One line on standard error: "viaduct: ...". Returns status. */
int cli_fail(int status, const char *fmt, ...) TOOLS_PRINTF(2, 3);
/* The same from a result code and via_error(): "viaduct: WHAT: detail". */
int cli_fail_rc(via_rc rc, const char *what);
/* Exit status for a result code. */
int cli_status(via_rc rc);
/* Writes a buffer to standard output or standard error and empties it. Returns CLI_OK or says why
 * not. */
int cli_write(buf *out);
void cli_write_error(buf *out);
/* For json_writer: writes what is there to standard output; cli_finish() notices a failure. */
void cli_spill(buf *out);
/* Flushes standard output: what was not written is a failure. Returns status, or that failure. */
int cli_finish(int status);

/* Milliseconds that fit the API's fields; never 0 for a time that is not 0. */
uint32_t cli_ms(uint64_t ns);
/* The option --module-policy, which several commands have. */
#define CLI_MODULE_POLICY \
	{ \
		"module-policy", 0, "NAME", \
			"any, or locked: only modules that a modules.lock lists" \
	}
/* Its value: VIA_MODULES_*. CLI_OK, or says why not. */
int cli_module_policy(const char *text, uint32_t *out);
/* Profile masks: hexadecimal or decimal numbers and transport schemes, ',' between. Returns 1, or 0 with
 * why. */
int cli_profiles(via_registry *r, const char *text, uint32_t *out, char why[CLI_WHY]);

#endif
