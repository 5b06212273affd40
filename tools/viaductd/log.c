/* tools/viaductd/log.c - the daemon's log. */
#include "log.h"

#include "../lib/cli.h"
#include "../lib/sys.h"
#include "../lib/text.h"

#include <viaduct/viaduct.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static int32_t least_level = VIA_LOG_INFO;
static int is_journal;
static const char *file; /* NULL: standard error */

void log_init(int32_t level)
{
	least_level = level;
	is_journal = file == NULL && sys_is_journal();
}

int log_to_file(const char *path, char *why)
{
	file = path;
	return sys_log_open(path, why);
}

int log_reopen(char *why)
{
	return file == NULL || sys_log_open(file, why);
}

static void put_line(int32_t level, const char *origin, const char *text)
{
	static const char *const names[] = {"trace", "debug", "info", "warning", "error"};
	static const char *const priorities[] = {"<7>", "<7>", "<6>", "<4>", "<3>"};
	char now[32];
	buf line = {0};

	if (level < least_level || level < 0 || level >= VIA_LOG_OFF)
		return;
	if (file != NULL) {
		sys_clock_text(now);
		buf_printf(&line, "%s ", now);
	}
	if (is_journal)
		buf_text(&line, priorities[level]);
	else
		buf_printf(&line, "viaductd: %s: ", names[level]);
	if (origin != NULL && origin[0] != '\0') {
		text_show(&line, origin, strlen(origin));
		buf_text(&line, ": ");
	}
	text_show(&line, text, strlen(text));
	buf_char(&line, '\n');
	if (!line.failed)
		sys_log(line.data, line.len);
	buf_free(&line);
}

void log_line(int32_t level, const char *fmt, ...)
{
	char text[2048];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	put_line(level, NULL, text);
}

int log_end(int status, const char *fmt, ...)
{
	char text[2048];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (file == NULL)
		return cli_fail(status, "%s", text);
	put_line(VIA_LOG_ERROR, NULL, text);
	return status;
}

void log_from_library(void *arg, int32_t level, const char *origin, const char *text)
{
	(void)arg;
	put_line(level, origin, text);
}
