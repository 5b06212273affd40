/* tools/lib/cli.c - what both programs say and how they end. */
#include "cli.h"

#include "text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *program_name = "viaduct";

void cli_name(const char *program)
{
	program_name = program;
}

int cli_fail(int status, const char *fmt, ...)
{
	buf line = {0};
	char text[2048];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (n < 0)
		return status;
	buf_printf(&line, "%s: ", program_name);
	text_show(&line, text, strlen(text));
	buf_char(&line, '\n');
	cli_write_error(&line);
	return status;
}

int cli_status(via_rc rc)
{
	switch (rc) {
	case VIA_UNREACH:
		return CLI_UNREACHABLE;
	case VIA_TIMEOUT:
		return CLI_TIMEOUT;
	case VIA_REFUSED:
		return CLI_REFUSED;
	case VIA_NOTFOUND:
	case VIA_EABI:
		return CLI_MODULE;
	case VIA_INVAL:
		return CLI_USAGE;
	default:
		return rc >= 0 ? CLI_OK : CLI_FAILED;
	}
}

int cli_fail_rc(via_rc rc, const char *what)
{
	const char *detail = via_error();

	if (detail[0] == '\0')
		detail = via_rc_text(rc);
	return cli_fail(cli_status(rc), "%s: %s", what, detail);
}

int cli_write(buf *out)
{
	int failed = out->failed;

	if (!failed && out->len != 0 && fwrite(out->data, 1, out->len, stdout) != out->len) {
		int error = errno;

		buf_free(out);
		return cli_fail(CLI_FAILED, "standard output: %s", strerror(error));
	}
	buf_free(out);
	return failed ? cli_fail(CLI_FAILED, "no memory for the output") : CLI_OK;
}

void cli_write_error(buf *out)
{
	if (!out->failed && out->len != 0)
		(void)fwrite(out->data, 1, out->len, stderr);
	buf_free(out);
}

void cli_spill(buf *out)
{
	(void)fwrite(out->data, 1, out->len, stdout);
	out->len = 0;
}

int cli_finish(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	return cli_fail(status != CLI_OK ? status : CLI_FAILED, "standard output: %s",
			strerror(errno));
}

uint32_t cli_ms(uint64_t ns)
{
	uint64_t ms = ns / 1000000;

	if (ms == 0 && ns != 0)
		return 1;
	return ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX;
}

int cli_module_policy(const char *text, uint32_t *out)
{
	if (strcmp(text, "any") != 0 && strcmp(text, "locked") != 0)
		return cli_fail(CLI_USAGE, "--module-policy: expected any or locked, found '%s'",
				text);
	*out = strcmp(text, "any") == 0 ? VIA_MODULES_ANY : VIA_MODULES_LOCKED;
	return CLI_OK;
}

static int one_profile(via_registry *r, const char *word, uint32_t *out, char *why)
{
	via_provided found = {.struct_size = sizeof found};
	uint64_t mask;

	if (text_u64(word, &mask)) {
		*out = (uint32_t)mask;
		if (mask != 0 && mask <= UINT32_MAX)
			return 1;
		(void)snprintf(why, CLI_WHY, "expected bits of 0x1..0xffffffff, found '%s'", word);
		return 0;
	}
	if (via_registry_lookup(r, VIA_KIND_TRANSPORT, word, &found) == VIA_OK &&
	    found.profiles != 0) {
		*out = found.profiles != found.by_request ? found.profiles & ~found.by_request
							  : found.profiles;
		return 1;
	}
	(void)snprintf(why, CLI_WHY,
		       "'%s' is neither a number nor a transport with a profile that is installed "
		       "here; 'viaduct modules' lists them",
		       word);
	return 0;
}

int cli_profiles(via_registry *r, const char *text, uint32_t *out, char why[CLI_WHY])
{
	const char *comma;
	uint32_t mask = 0, bits;
	char word[64];
	size_t len;

	for (;; text = comma + 1) {
		comma = strchr(text, ',');
		len = comma != NULL ? (size_t)(comma - text) : strlen(text);
		if (len == 0 || len >= sizeof word) {
			(void)snprintf(why, CLI_WHY,
				       "expected numbers or transports with ',' between, found "
				       "'%.150s'",
				       text);
			return 0;
		}
		memcpy(word, text, len);
		word[len] = '\0';
		if (!one_profile(r, word, &bits, why))
			return 0;
		mask |= bits;
		if (comma == NULL)
			break;
	}
	*out = mask;
	return 1;
}
