/* core/session/candidates.c - which profiles this side offers, and what became of each. */
#include "session.h"
#include <stdio.h>
#include <string.h>

static via_candidate *candidate(candidates *c, uint32_t profile)
{
	uint32_t i;

	for (i = 0; i < c->n; i++)
		if (c->list[i].profile == profile)
			return &c->list[i];
	if (c->n == MAX_CANDIDATES)
		return NULL;
	c->list[c->n] = (via_candidate){.profile = profile};
	return &c->list[c->n++];
}

void candidates_verdict(candidates *c, uint32_t profile, uint32_t verdict, const char *reason)
{
	via_candidate *v = candidate(c, profile);

	if (v == NULL)
		return;
	v->verdict = verdict;
	if (reason != NULL)
		snprintf(v->reason, sizeof v->reason, "%s", reason);
}

/* Whether this side offers one of a transport's bits. A server leaves it to the client to ask. */
static int is_offered(const candidates *c, uint32_t bit, uint32_t by_request)
{
	if (c->configured != 0)
		return (c->configured & bit) != 0;
	return c->is_server != 0 || (by_request & bit) == 0;
}

static int collect_one(void *arg, const via_provided *t)
{
	candidates *c = arg;
	uint32_t bits = t->profiles;

	if ((t->roles & VIA_ROLE_BASELINE) != 0)
		bits &= ~PROFILE_BASELINE; /* the baseline in use is entered by the caller */
	if ((t->roles & VIA_ROLE_UPGRADE) == 0 || t->score <= 0)
		return 0;
	while (bits != 0) {
		uint32_t bit = bits & (~bits + 1u);
		via_candidate *v = candidate(c, bit);

		bits &= ~bit;
		if (v == NULL || v->verdict != 0) /* a better one serves this bit */
			continue;
		snprintf(v->id, sizeof v->id, "%s", t->id);
		v->verdict = is_offered(c, bit, t->by_request) ? VIA_VERDICT_OFFERED
							       : VIA_VERDICT_MASKED;
		if (v->verdict == VIA_VERDICT_OFFERED)
			c->mask |= bit;
		else if (c->configured == 0)
			snprintf(v->reason, sizeof v->reason, "offered when it is asked for");
	}
	return 0;
}

void candidates_collect(via_registry *reg, uint32_t configured, int is_server, candidates *out)
{
	uint32_t missing;

	reg_refresh(reg);
	*out = (candidates){.configured = configured, .is_server = is_server};
	if (is_offered(out, PROFILE_BASELINE, 0)) {
		candidates_verdict(out, PROFILE_BASELINE, VIA_VERDICT_OFFERED, NULL);
		out->mask = PROFILE_BASELINE;
	}
	reg_transports(reg, collect_one, out);
	for (missing = configured & ~out->mask; missing != 0; missing &= missing - 1)
		candidates_verdict(out, missing & (~missing + 1u), VIA_VERDICT_UNUSABLE,
				   "no module that was found provides this profile");
}

void candidates_name(candidates *c, const char *id, const via_transport *t)
{
	uint32_t i, bits = t->profiles & ~PROFILE_BASELINE;

	for (i = 0; i < c->n; i++)
		if (c->list[i].profile != PROFILE_BASELINE &&
		    c->list[i].verdict == VIA_VERDICT_OFFERED)
			c->list[i].verdict = VIA_VERDICT_MASKED;
	c->mask &= PROFILE_BASELINE;
	for (; bits != 0; bits &= bits - 1) {
		uint32_t bit = bits & (~bits + 1u);
		via_candidate *v = candidate(c, bit);

		if (v == NULL)
			continue;
		*v = (via_candidate){.profile = bit, .verdict = VIA_VERDICT_MASKED};
		snprintf(v->id, sizeof v->id, "%s", id);
		if (is_offered(c, bit, t->by_request)) {
			v->verdict = VIA_VERDICT_OFFERED;
			c->mask |= bit;
		}
	}
}

void candidates_inherit(candidates *c, const candidates *failed)
{
	uint32_t i;

	for (i = 0; i < failed->n; i++) {
		const via_candidate *f = &failed->list[i];
		via_candidate *v =
			f->verdict == VIA_VERDICT_FAILED ? candidate(c, f->profile) : NULL;

		if (v != NULL)
			*v = *f;
	}
}

void candidates_settle(candidates *c, uint32_t peer, uint32_t selected)
{
	uint32_t i;

	for (i = 0; i < c->n; i++) {
		via_candidate *v = &c->list[i];

		if (v->verdict != VIA_VERDICT_OFFERED)
			continue;
		if (v->profile == selected)
			v->verdict = VIA_VERDICT_SELECTED;
		else if ((v->profile & peer) == 0)
			v->verdict = VIA_VERDICT_NOT_COMMON;
	}
	for (i = 0; i < 32; i++) { /* what only the peer has is worth knowing too */
		uint32_t bit = 1u << i;
		uint32_t j;

		for (j = 0; j < c->n && c->list[j].profile != bit; j++)
			;
		if ((peer & bit) != 0 && j == c->n)
			candidates_verdict(
				c, bit, VIA_VERDICT_UNUSABLE,
				"the peer offers it, no module that was found provides it");
	}
}

const char *via_verdict_text(uint32_t verdict)
{
	static const char *const text[] = {
		[0] = "unknown",
		[VIA_VERDICT_SELECTED] = "selected",
		[VIA_VERDICT_OFFERED] = "offered, not selected",
		[VIA_VERDICT_NOT_COMMON] = "offered, the peer does not have it",
		[VIA_VERDICT_FAILED] = "failed",
		[VIA_VERDICT_UNUSABLE] = "not available",
		[VIA_VERDICT_MASKED] = "not offered by configuration",
	};

	return verdict < sizeof text / sizeof text[0] ? text[verdict] : text[0];
}
