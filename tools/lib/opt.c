/* tools/lib/opt.c - options of a command line. */
#include "opt.h"

#include "text.h"

#include <stdio.h>
#include <string.h>

#define HELP_COLUMN 24u

void opt_begin(opt_parser *p, const opt *table, int argc, char **argv)
{
	memset(p, 0, sizeof *p);
	p->table = table;
	p->argc = argc;
	p->argv = argv;
}

static int unknown(opt_parser *p, const char *name, size_t len)
{
	const char *names[64];
	char word[64], shown[64];
	const char *near;
	size_t n = 0;

	for (; n < 64 && p->table[n].name != NULL; n++)
		names[n] = p->table[n].name;
	(void)snprintf(word, sizeof word, "%.*s", (int)(len < 63 ? len : 63), name);
	near = text_nearest(word, names, n);
	text_shown(shown, sizeof shown, name, len);
	if (near != NULL)
		(void)snprintf(p->why, sizeof p->why, "unknown option --%s; did you mean --%s?",
			       shown, near);
	else
		(void)snprintf(p->why, sizeof p->why,
			       "unknown option --%s; --help lists the options", shown);
	return OPT_BAD;
}

/* Takes the value of option i: behind '=' if given, else the next word. */
static int take_value(opt_parser *p, int i, const char *attached)
{
	const opt *o = &p->table[i];

	p->value = attached;
	if (o->arg == NULL && attached != NULL) {
		(void)snprintf(p->why, sizeof p->why, "option --%s takes no value", o->name);
		return OPT_BAD;
	}
	if (o->arg == NULL || attached != NULL)
		return i;
	if (p->at == p->argc) {
		(void)snprintf(p->why, sizeof p->why, "option --%s needs a value: %s", o->name,
			       o->arg);
		return OPT_BAD;
	}
	p->value = p->argv[p->at++];
	return i;
}

static int long_option(opt_parser *p, const char *word)
{
	const char *equals = strchr(word, '=');
	size_t len = equals != NULL ? (size_t)(equals - word) : strlen(word);
	int i;

	for (i = 0; p->table[i].name != NULL; i++) {
		if (strlen(p->table[i].name) == len && memcmp(p->table[i].name, word, len) == 0)
			return take_value(p, i, equals != NULL ? equals + 1 : NULL);
	}
	return unknown(p, word, len);
}

static int short_option(opt_parser *p, const char *word)
{
	char shown[32];
	int i;

	for (i = 0; p->table[i].name != NULL; i++) {
		if (p->table[i].letter == word[0])
			return take_value(p, i, word[1] != '\0' ? word + 1 : NULL);
	}
	text_shown(shown, sizeof shown, word, strlen(word));
	(void)snprintf(p->why, sizeof p->why, "unknown option -%s; --help lists the options",
		       shown);
	return OPT_BAD;
}

int opt_next(opt_parser *p)
{
	const char *word;

	if (p->at == p->argc)
		return OPT_END;
	word = p->argv[p->at++];
	p->value = word;
	if (p->only_operands || word[0] != '-' || word[1] == '\0' ||
	    (word[1] >= '0' && word[1] <= '9'))
		return OPT_OPERAND;
	if (word[1] != '-')
		return short_option(p, word + 1);
	if (word[2] != '\0')
		return long_option(p, word + 2);
	p->only_operands = 1;
	return opt_next(p);
}

void opt_help(buf *b, const opt *table)
{
	for (; table->name != NULL; table++) {
		size_t start = b->len;

		buf_text(b, "  ");
		if (table->letter != 0)
			buf_printf(b, "-%c, ", table->letter);
		buf_printf(b, "--%s", table->name);
		if (table->arg != NULL)
			buf_printf(b, " %s", table->arg);
		if (b->len - start + 1 > HELP_COLUMN) {
			buf_char(b, '\n');
			buf_fill(b, ' ', HELP_COLUMN);
		} else {
			buf_fill(b, ' ', HELP_COLUMN - (b->len - start));
		}
		buf_printf(b, "%s\n", table->help);
	}
}
