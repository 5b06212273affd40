/* core/registry/why.c - the sentences: why a file is not used, and why nothing was found.
 *
 * All functions run with the registry's lock held.
 */
#include "reg.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* -- text of bounded length -------------------------------------------------------------------- */

struct text {
	char *buf;
	uint32_t cap, len;
};

/* Appends all of it or nothing; 0 when it does not fit. */
static int append(struct text *t, const char *fmt, ...) VIA_PRINTF(2, 3);
static int append(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->buf + t->len, t->cap - t->len, fmt, ap);
	va_end(ap);
	if (n < 0 || (uint32_t)n >= t->cap - t->len) {
		t->buf[t->len] = '\0';
		return 0;
	}
	t->len += (uint32_t)n;
	return 1;
}

/* -- one file ---------------------------------------------------------------------------------- */

const char *reg_why(const reg_file *f, char *buf, uint32_t cap)
{
	if (f->gen != NULL) {
		if (f->vanished)
			return "the file is gone; the loaded copy goes on for those who have it";
		if (f->builtin == NULL && memcmp(&f->id, &f->gen->id, sizeof f->id) != 0)
			return "the file was replaced; the loaded copy goes on until it is unloaded";
		return "";
	}
	if (f->vanished)
		return "the file is gone";
	if (f->rc != VIA_OK)
		return f->reason != NULL ? f->reason : via_rc_text(f->rc);
	if (f->winner != NULL) {
		snprintf(buf, cap, "%s is already provided by %s", f->winner_id,
			 reg_name(f->winner));
		return buf;
	}
	return f->load_reason != NULL ? f->load_reason : "";
}

/* -- nothing found ----------------------------------------------------------------------------- */

void reg_want_text(const reg_want *w, char *buf, uint32_t cap)
{
	if (w->by == REG_BY_MODULE)
		snprintf(buf, cap, "module \"%.80s\"", w->name);
	else if (w->by == REG_BY_METHOD)
		snprintf(buf, cap, "codec of method %u", w->method);
	else if (w->by == REG_BY_NAME && w->min_rev > 1)
		snprintf(buf, cap, "%s \"%.80s\" of revision %u or later", note_kind_name(w->kind),
			 w->name, w->min_rev);
	else if (w->by == REG_BY_NAME)
		snprintf(buf, cap, "%s \"%.80s\"", note_kind_name(w->kind), w->name);
	else if (w->profile != 0)
		snprintf(buf, cap, "transport for profile 0x%x", w->profile);
	else
		snprintf(buf, cap, "baseline transport");
}

/* A refused file that would, or by its name might, be what is looked for. */
static int would_provide(const reg_file *f, const reg_want *w)
{
	uint32_t i;
	size_t len;

	if (f->note != NULL && reg_match(w, &f->note->n, &i) > 0)
		return 1;
	if (w->name == NULL)
		return 0;
	len = strlen(f->label);
	if (f->builtin == NULL && len > sizeof OS_MODULE_SUFFIX - 1)
		len -= sizeof OS_MODULE_SUFFIX - 1;
	return strstr(f->label, w->name) != NULL ||
	       (len >= 3 && len <= strlen(w->name) &&
		memcmp(w->name + strlen(w->name) - len, f->label, len) == 0);
}

/* Refused files: first those of interest, then the others while there is room. */
static void list_refused(via_registry *r, const reg_want *w, struct text *t)
{
	uint32_t n_listed = 0, n_left = 0;
	int relevant, full = 0;
	const reg_file *f;

	t->cap -= 24; /* room for "; and N more" */
	for (relevant = 1; relevant >= 0; relevant--)
		for (f = r->files; f != NULL; f = f->next) {
			if ((f->gen != NULL && !f->vanished) || (f->rc == VIA_OK && !f->vanished) ||
			    would_provide(f, w) != relevant)
				continue;
			if (!full && append(t, "%s %s: %s", n_listed == 0 ? "; refused:" : ";",
					    f->label, reg_why(f, NULL, 0)))
				n_listed++;
			else
				n_left++;
			full = n_left > 0;
		}
	t->cap += 24;
	if (n_left > 0)
		append(t, n_listed == 0 ? "; %u files refused" : "; and %u more", n_left);
}

/* The component is there, but too old. */
static int too_old(via_registry *r, const reg_want *w, struct text *t)
{
	reg_want any = *w;
	const reg_file *f;
	uint32_t i = 0;

	any.min_rev = 0;
	f = w->min_rev > 0 ? reg_find(r, &any, NULL, &i) : NULL;
	if (f == NULL)
		return 0;
	return append(t, "; %s has revision %u", reg_name(f), reg_active(f)->provides[i].p.rev);
}

via_rc reg_not_found(via_registry *r, const reg_want *w)
{
	char wanted[160], buf[500];
	struct text t = {buf, sizeof buf, 0};
	uint32_t i, n_builtins = 0;
	const reg_file *f;

	reg_want_text(w, wanted, sizeof wanted);
	append(&t, w->by == REG_BY_MODULE ? "no %s" : "no module provides %s", wanted);
	if (!too_old(r, w, &t)) {
		for (f = r->files; f != NULL; f = f->next)
			n_builtins += f->builtin != NULL;
		if (n_builtins > 0)
			append(&t, "; looked at %u builtin%s", n_builtins,
			       n_builtins == 1 ? "" : "s");
		for (i = 0; i < r->n_dirs; i++) {
			const reg_dir *d = &r->dirs[i];

			append(&t, "%s %s",
			       i > 0            ? ","
			       : n_builtins > 0 ? " and in"
						: "; looked in",
			       d->path);
			if (d->reason != NULL)
				append(&t, " (%.100s)", d->reason);
		}
		if (i == 0 && n_builtins == 0)
			append(&t, "; there is nowhere to look: the module path is empty");
		list_refused(r, w, &t);
	}
	return core_fail(VIA_NOTFOUND, "%s", buf);
}
