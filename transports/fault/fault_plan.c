/* transports/fault/fault_plan.c - reads a plan and says what it wants at a given call.
 *
 * Threads: any; a plan does not change once it is read. Syscalls: none. Peer: none. Wire layout:
 * none.
 *
 *	plan    = item *( "," item )
 *	item    = [ verb ":" ] action [ "=" arg ] trigger
 *	verb    = reserve | commit | send | recv | expect | handles | shutdown | peer | arm
 *	trigger = "@" N      the nth call of that verb, from 1; without a verb, of all together
 *	        | "%" P      P in a hundred calls, chosen by the seed
 */
#include "fault.h"
#include <stdio.h>
#include <string.h>

struct word {
	const char *name;
	int32_t value;
};

static const struct word verbs[] = {
	{"reserve", FAULT_RESERVE},   {"commit", FAULT_COMMIT}, {"send", FAULT_SEND},
	{"recv", FAULT_RECV},         {"expect", FAULT_EXPECT}, {"handles", FAULT_HANDLES},
	{"shutdown", FAULT_SHUTDOWN}, {"peer", FAULT_PEER},     {"arm", FAULT_ARM},
};

static const struct word actions[] = {
	{"again", FAULT_AGAIN}, {"delay", FAULT_DELAY},     {"error", FAULT_ERROR},
	{"short", FAULT_SHORT}, {"corrupt", FAULT_CORRUPT}, {"spurious", FAULT_SPURIOUS},
	{"close", FAULT_CLOSE},
};

static const struct word codes[] = {
	{"TIMEOUT", VIA_TIMEOUT}, {"BUSY", VIA_BUSY},       {"PENDING", VIA_PENDING},
	{"CLOSED", VIA_CLOSED},   {"RESET", VIA_RESET},     {"UNREACH", VIA_UNREACH},
	{"PROTO", VIA_PROTO},     {"REFUSED", VIA_REFUSED}, {"INVAL", VIA_INVAL},
	{"TOOBIG", VIA_TOOBIG},   {"STATE", VIA_STATE},     {"NOTFOUND", VIA_NOTFOUND},
	{"EXISTS", VIA_EXISTS},   {"NOMEM", VIA_NOMEM},     {"LIMIT", VIA_LIMIT},
	{"IO", VIA_IO},           {"PERM", VIA_PERM},       {"NOTSUP", VIA_NOTSUP},
	{"EABI", VIA_EABI},       {"ABORTED", VIA_ABORTED},
};

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

/* -- reading ----------------------------------------------------------------------------------- */

struct reader {
	const struct fault_self *s;
	const char *text; /* of the plan */
	size_t at, len;
};

static via_rc wrong(const struct reader *r, const char *expected)
{
	char text[256];
	size_t left = r->len - r->at;

	(void)snprintf(text, sizeof text, "fault.plan: position %zu: expected %s, found %s%.*s%s",
		       r->at + 1, expected, left != 0 ? "\"" : "the end",
		       (int)(left > 40 ? 40 : left), r->text + r->at, left != 0 ? "\"" : "");
	return r->s->h->fail(r->s->h->ctx, VIA_INVAL, 0, text);
}

static int is_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Value of the word at the reader, which moves behind it, or -1 and it stays. For codes, that is
 * 1. */
static int32_t read_word(struct reader *r, const struct word *w, size_t n, int32_t none)
{
	size_t len = 0;
	size_t i;

	while (r->at + len < r->len && is_alpha(r->text[r->at + len]))
		len++;
	for (i = 0; i < n; i++) {
		if (strlen(w[i].name) == len && memcmp(w[i].name, r->text + r->at, len) == 0) {
			r->at += len;
			return w[i].value;
		}
	}
	return none;
}

static int read_char(struct reader *r, char c)
{
	if (r->at == r->len || r->text[r->at] != c)
		return 0;
	r->at++;
	return 1;
}

/* Decimal from 1 to max, or 0. */
static uint32_t read_number(struct reader *r, uint32_t max)
{
	size_t from = r->at;
	uint64_t v = 0;

	while (r->at < r->len && r->text[r->at] >= '0' && r->text[r->at] <= '9') {
		v = v * 10 + (uint64_t)(r->text[r->at] - '0');
		if (v > max)
			break;
		r->at++;
	}
	if (v == 0 || v > max) {
		r->at = from;
		return 0;
	}
	return (uint32_t)v;
}

static int fits(uint32_t verb, uint32_t action)
{
	int moves = verb == FAULT_COMMIT || verb == FAULT_SEND || verb == FAULT_RECV;

	switch (action) {
	case FAULT_AGAIN:
	case FAULT_DELAY:
		return moves || verb == FAULT_RESERVE;
	case FAULT_SHORT:
	case FAULT_CORRUPT:
		return moves;
	case FAULT_SPURIOUS:
		return verb == FAULT_ARM;
	case FAULT_ERROR:
		return verb != FAULT_ANY;
	default:
		return 1;
	}
}

static via_rc read_arg(struct reader *r, struct fault_item *it)
{
	if (it->action != FAULT_DELAY && it->action != FAULT_ERROR && it->action != FAULT_SHORT)
		return VIA_OK;
	if (!read_char(r, '='))
		return wrong(r, "\"=\" and an argument");
	if (it->action == FAULT_ERROR) {
		it->arg = read_word(r, codes, COUNT(codes), VIA_OK);
		return it->arg == VIA_OK ? wrong(r, "the name of a result such as RESET") : VIA_OK;
	}
	it->arg = read_number(r, INT32_MAX);
	return it->arg == 0 ? wrong(r, "a number from 1") : VIA_OK;
}

static via_rc read_item(struct reader *r, struct fault_item *it)
{
	size_t start = r->at;
	int32_t verb = read_word(r, verbs, COUNT(verbs), FAULT_ANY);
	int32_t action;
	via_rc rc;

	if (verb != FAULT_ANY && !read_char(r, ':'))
		return wrong(r, "\":\" after the verb");
	action = read_word(r, actions, COUNT(actions), FAULT_NONE);
	if (action == FAULT_NONE)
		return wrong(r, verb == FAULT_ANY ? "a verb or an action" : "an action");
	it->verb = (uint8_t)verb;
	it->action = (uint8_t)action;
	if (!fits(it->verb, it->action)) {
		r->at = start;
		return wrong(r, "an action that this verb can have");
	}
	rc = read_arg(r, it);
	if (rc != VIA_OK)
		return rc;
	it->is_percent = (uint8_t)read_char(r, '%');
	if (!it->is_percent && !read_char(r, '@'))
		return wrong(r, "\"@\" or \"%\"");
	it->when = read_number(r, it->is_percent ? 100 : INT32_MAX);
	return it->when == 0 ? wrong(r, it->is_percent ? "1 to 100" : "a number from 1") : VIA_OK;
}

static via_rc read_plan(const struct fault_self *s, const char *text, size_t len,
			struct fault_plan *p)
{
	struct reader r = {.s = s, .text = text, .len = len};

	p->n = 0;
	if (len == 0)
		return VIA_OK;
	do {
		struct fault_item it = {0};
		via_rc rc;

		if (p->n == FAULT_MAX_ITEMS)
			return wrong(&r, "at most 32 items");
		rc = read_item(&r, &it);
		if (rc != VIA_OK)
			return rc;
		p->item[p->n++] = it;
	} while (read_char(&r, ','));
	return r.at == r.len ? VIA_OK : wrong(&r, "\",\" or the end");
}

static via_rc read_seed(const struct fault_self *s, const char *text, size_t len, uint64_t *seed)
{
	uint64_t v = 0;
	size_t i;

	for (i = 0; i < len && i < 19 && text[i] >= '0' && text[i] <= '9'; i++)
		v = v * 10 + (uint64_t)(text[i] - '0');
	if (len == 0 || i != len)
		return s->h->fail(s->h->ctx, VIA_INVAL, 0,
				  "fault.seed: expected a decimal number of at most 19 digits");
	*seed = v;
	return VIA_OK;
}

static via_rc read_line(const struct fault_self *s, const char *line, size_t len,
			struct fault_plan *p)
{
	static const char seed[] = "fault.seed=";
	static const char plan[] = "fault.plan=";
	char text[160];

	if (len >= sizeof seed - 1 && memcmp(line, seed, sizeof seed - 1) == 0)
		return read_seed(s, line + sizeof seed - 1, len - (sizeof seed - 1), &p->seed);
	if (len >= sizeof plan - 1 && memcmp(line, plan, sizeof plan - 1) == 0)
		return read_plan(s, line + sizeof plan - 1, len - (sizeof plan - 1), p);
	(void)snprintf(text, sizeof text,
		       "unknown key: expected fault.seed=N or fault.plan=..., found \"%.*s\"",
		       (int)(len > 80 ? 80 : len), line);
	return s->h->fail(s->h->ctx, VIA_INVAL, 0, text);
}

via_rc fault_plan_read(const struct fault_self *s, const char *lines, struct fault_plan *p)
{
	struct fault_plan q = *p;

	while (lines != NULL && *lines != '\0') {
		size_t n = strcspn(lines, "\n");

		if (n != 0) {
			via_rc rc = read_line(s, lines, n, &q);

			if (rc != VIA_OK)
				return rc;
		}
		lines += n + (lines[n] == '\n');
	}
	*p = q;
	return VIA_OK;
}

/* -- asking ------------------------------------------------------------------------------------ */

/* splitmix64 over a mix of the arguments: no state, so the lanes cannot disturb each other's
 * sequence. */
uint64_t fault_draw(uint64_t seed, uint64_t a, uint64_t b)
{
	uint64_t z = seed * 0x9e3779b97f4a7c15u + a * 0xd1b54a32d192ed03u + b * 0x8cb92ba72f3d8dd7u;

	z += 0x9e3779b97f4a7c15u;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

const struct fault_item *fault_plan_at(const struct fault_plan *p, uint32_t verb, uint32_t n,
				       uint32_t total)
{
	uint32_t i;

	for (i = 0; i < p->n; i++) {
		const struct fault_item *it = &p->item[i];
		uint32_t count = it->verb == FAULT_ANY ? total : n;

		if (it->verb != FAULT_ANY && it->verb != verb)
			continue;
		if (it->is_percent
			    ? fault_draw(p->seed, (uint64_t)i << 32 | it->verb, count) % 100 <
				      it->when
			    : count == it->when)
			return it;
	}
	return NULL;
}

int fault_plan_has(const struct fault_plan *p, uint32_t verb, uint32_t action)
{
	uint32_t i;

	for (i = 0; i < p->n; i++)
		if (p->item[i].verb == verb && p->item[i].action == action)
			return 1;
	return 0;
}
