/* SPDX-License-Identifier: Apache-2.0
 * tools/lib/opt.h - options of a command line, strict, and the help text made from the same table.
 *
 * --name VALUE and --name=VALUE; -n VALUE; "--" ends the options. Options may stand before, between
 * and behind the operands. "-" and what looks like a negative number are operands.
 */
#ifndef VIA_TOOLS_OPT_H
#define VIA_TOOLS_OPT_H
#include "buf.h"

typedef struct opt {
	const char *name; /* without the dashes; NULL ends the table */
	char letter;      /* short form, or 0 */
	const char *arg;  /* what the value is called, or NULL: takes none */
	const char *help;
} opt;

typedef struct opt_parser {
	const opt *table;
	int argc, at;
	char **argv;
	int only_operands;
	const char *value; /* of the option just read, or the operand */
	char why[256];     /* after OPT_BAD */
} opt_parser;

enum { OPT_END = -1, OPT_OPERAND = -2, OPT_BAD = -3 };

/* Reads argv[0] .. argv[argc - 1]. */
void opt_begin(opt_parser *p, const opt *table, int argc, char **argv);
/* Index of the option in the table, or OPT_*. */
int opt_next(opt_parser *p);
/* "  --name ARG   help" for every option. */
void opt_help(buf *b, const opt *table);

#endif
