/* SPDX-License-Identifier: Apache-2.0
 * tools/lib/ini.h - reads INI text. Pure and without allocation: memory in, one entry after
 * another out.
 *
 *      # comment            a line of its own; '#' or ';' inside a value belong to the value
 *      [section]            or [section NAME]
 *      key = value          blanks around both are dropped; the value may be empty
 *      key = " value "      quotes keep blanks; inside them \" and \\ are the only escapes
 *
 * Text is UTF-8 (a byte order mark in front is skipped), lines end with LF or CRLF, there are no
 * continuation lines and no control characters except TAB. Keys, sections and names are of A-Z
 * a-z 0-9 . _ - only. What a key means, and whether it may come twice, is the caller's affair.
 */
#ifndef VIA_TOOLS_INI_H
#define VIA_TOOLS_INI_H
#include "text.h"

#define INI_NAME 128u   /* room for a section, a name or a key, NUL included */
#define INI_VALUE 4096u /* room for a value */

enum { INI_END = 0, INI_SECTION = 1, INI_KEY = 2, INI_BAD = -1 };

typedef struct ini_reader {
	const char *src;
	size_t len, at;
	uint32_t line;
	/* the entry: section and name stay until the next section */
	char section[INI_NAME], name[INI_NAME]; /* name: "" if the section has none */
	char key[INI_NAME], value[INI_VALUE];
	text_error why; /* after INI_BAD */
} ini_reader;

void ini_begin(ini_reader *r, const char *src, size_t len);
/* The next entry, INI_*. After INI_BAD or INI_END it says the same for ever. */
int ini_next(ini_reader *r);

#endif
