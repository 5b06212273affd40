/* tools/viaduct/check_report.c - `viaduct check`: verdicts for people, as JSON, and for the program that
 * started this one.
 */
#include "check.h"

#include "../lib/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *const check_verdicts[3] = {"passed", "failed", "skipped"};

void check_report_begin(check_report *r, const char *file, const char *id, const char *version)
{
	r->name[0] = '\0';
	if (r->form == CHECK_TO_JSON) {
		r->json = (json_writer){.out = &r->out, .lines = 2};
		json_open(&r->json, '{');
		json_key(&r->json, "file");
		json_put_text(&r->json, file);
		json_key(&r->json, "id");
		json_put_text(&r->json, id);
		json_key(&r->json, "version");
		json_put_text(&r->json, version);
		json_key(&r->json, "checks");
		json_open(&r->json, '[');
	} else {
		text_show(&r->out, file, strlen(file));
		if (id[0] != '\0')
			buf_printf(&r->out, ": %s%s%s", id, version[0] != '\0' ? " " : "", version);
		buf_text(&r->out, r->is_brief ? "\n\n" : "\n");
		(void)cli_write(&r->out);
	}
}

/* Says how many have passed, of one stack. */
static void flush_passed(check_report *r)
{
	char name[2 * CHECK_NAME];

	if (r->n_passed == 0)
		return;
	(void)snprintf(name, sizeof name, "%s%s%s", r->group, r->stack[0] != '\0' ? " " : "",
		       r->stack);
	buf_printf(&r->out, "  passed   %-33s  %u check%s\n", name, r->n_passed,
		   r->n_passed != 1 ? "s" : "");
	r->n_passed = 0;
	(void)cli_write(&r->out);
	(void)fflush(stdout);
}

void check_group(check_report *r, const char *group)
{
	flush_passed(r);
	r->group = group;
	r->has_heading = r->has_output = 0;
}

void check_begin(check_report *r, const char *fmt, ...)
{
	char raw[CHECK_NAME];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(raw, sizeof raw, fmt, ap);
	va_end(ap);
	(void)text_shown(r->name, sizeof r->name, raw, strlen(raw));
	if (r->form == CHECK_TO_PARENT) {
		(void)printf("begin %s\n", r->name);
		(void)fflush(stdout);
	}
}

void check_forget(check_report *r)
{
	r->name[0] = '\0';
	if (r->form == CHECK_TO_PARENT)
		(void)puts("forget");
}

/* A sentence in a form that is safe to show; the copy's path becomes that of the file. */
static void show(const check_report *r, const char *raw, char out[CHECK_SENTENCE])
{
	const char *at = r->copy != NULL ? strstr(raw, r->copy) : NULL;
	buf text = {0};

	buf_put(&text, raw, at != NULL ? (size_t)(at - raw) : strlen(raw));
	if (at != NULL) {
		buf_text(&text, r->shown_as);
		buf_text(&text, at + strlen(r->copy));
	}
	(void)text_shown(out, CHECK_SENTENCE, text.data, text.failed ? 0 : text.len);
	buf_free(&text);
}

static void tell_json(check_report *r, check_verdict v, const char *text)
{
	const char *const values[][2] = {{"group", r->group},
					 {"name", r->name},
					 {"verdict", check_verdicts[v]},
					 {"text", text}};
	size_t i;

	json_open(&r->json, '{');
	for (i = 0; i < sizeof values / sizeof values[0]; i++) {
		json_key(&r->json, values[i][0]);
		json_put_text(&r->json, values[i][1]);
	}
	json_close(&r->json, '}');
}

/* A line for all that has passed of a group, or of one stack of the transport's ("uds: a.case"); one for each
 * that has not. */
static void tell_brief(check_report *r, check_verdict v, const char *text)
{
	const char *colon = strstr(r->name, ": ");
	size_t len = colon != NULL ? (size_t)(colon - r->name) : 0;

	if (strlen(r->stack) != len || memcmp(r->stack, r->name, len) != 0) {
		flush_passed(r);
		memcpy(r->stack, r->name, len);
		r->stack[len] = '\0';
	}
	if (v == CHECK_PASSED) {
		r->n_passed++;
		return;
	}
	if (r->is_expected)
		return;
	buf_printf(&r->out, "  %-7s  %s %-*s  %s\n", check_verdicts[v], r->group,
		   (int)(32 - strlen(r->group)), r->name, text);
	(void)cli_write(&r->out);
	(void)fflush(stdout);
}

static void tell_people(check_report *r, check_verdict v, const char *text)
{
	if (!r->has_heading)
		buf_printf(&r->out, "\n%s\n", r->group);
	r->has_heading = 1;
	buf_printf(&r->out, "  %-7s  %-22s  ", check_verdicts[v], r->name);
	buf_text(&r->out, text);
	buf_char(&r->out, '\n');
	(void)cli_write(&r->out);
	(void)fflush(stdout);
}

void check_tell(check_report *r, check_verdict v, const char *fmt, ...)
{
	char raw[2 * CHECK_SENTENCE], text[CHECK_SENTENCE];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(raw, sizeof raw, fmt, ap);
	va_end(ap);
	show(r, raw, text);
	r->n[v]++;
	if (r->form == CHECK_TO_PARENT) {
		(void)printf("%s %s\n", check_verdicts[v], text);
		(void)fflush(stdout);
	} else if (r->form == CHECK_TO_JSON) {
		tell_json(r, v, text);
	} else if (r->is_brief) {
		tell_brief(r, v, text);
	} else {
		tell_people(r, v, text);
	}
	r->name[0] = '\0';
	r->is_expected = 0;
}

int check_report_end(check_report *r)
{
	uint32_t i;
	int status;

	if (r->form == CHECK_TO_JSON) {
		json_close(&r->json, ']');
		for (i = 0; i < 3; i++) {
			json_key(&r->json, check_verdicts[i]);
			json_put_u64(&r->json, r->n[i]);
		}
		json_close(&r->json, '}');
		buf_char(&r->out, '\n');
	} else {
		flush_passed(r);
		buf_printf(&r->out, "\n%u passed, %u failed, %u skipped\n", r->n[CHECK_PASSED],
			   r->n[CHECK_FAILED], r->n[CHECK_SKIPPED]);
	}
	status = cli_write(&r->out);
	if (status != CLI_OK)
		return status;
	return r->n[CHECK_FAILED] != 0 ? CLI_FAILED : CLI_OK;
}
