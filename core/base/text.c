/* core/base/text.c - names and sentences for codes and flaws, version, clock. */
#if defined(_WIN32)
#define __USE_MINGW_ANSI_STDIO 1 /* %llu, whatever the C runtime */
#endif
#include "../os/os.h"

#include <stdio.h>

#if !defined(VIA_VERSION)
#define VIA_VERSION "0.0.0" /* built outside the project's own build */
#endif

/* -- version and time ------------------------------------------------------------------------- */

const char *via_version(void)
{
	return VIA_VERSION;
}

via_time via_now(void)
{
	return os_now();
}

via_time via_deadline(uint64_t ns)
{
	via_time now = os_now();

	return ns > VIA_FOREVER - now ? VIA_FOREVER : now + ns;
}

/* -- result codes ----------------------------------------------------------------------------- */

static const struct {
	via_rc rc;
	const char *name, *text;
} codes[] = {
	{VIA_OK, "VIA_OK", "success"},
	{VIA_AGAIN, "VIA_AGAIN", "nothing could be done right now"},
	{VIA_TIMEOUT, "VIA_TIMEOUT", "deadline passed"},
	{VIA_BUSY, "VIA_BUSY", "in use"},
	{VIA_PENDING, "VIA_PENDING", "accepted, not finished yet"},
	{VIA_CLOSED, "VIA_CLOSED", "the peer closed the connection"},
	{VIA_RESET, "VIA_RESET", "the connection to the peer was lost"},
	{VIA_UNREACH, "VIA_UNREACH", "nobody listens there"},
	{VIA_PROTO, "VIA_PROTO", "the peer broke the protocol"},
	{VIA_REFUSED, "VIA_REFUSED", "the peer refused"},
	{VIA_INVAL, "VIA_INVAL", "invalid argument"},
	{VIA_TOOBIG, "VIA_TOOBIG", "does not fit"},
	{VIA_STATE, "VIA_STATE", "not allowed in this state"},
	{VIA_NOTFOUND, "VIA_NOTFOUND", "not found"},
	{VIA_EXISTS, "VIA_EXISTS", "exists already"},
	{VIA_NOMEM, "VIA_NOMEM", "out of memory"},
	{VIA_LIMIT, "VIA_LIMIT", "a limit is reached"},
	{VIA_IO, "VIA_IO", "the operating system refused"},
	{VIA_PERM, "VIA_PERM", "not permitted"},
	{VIA_NOTSUP, "VIA_NOTSUP", "not supported"},
	{VIA_EABI, "VIA_EABI", "built for another ABI"},
	{VIA_ABORTED, "VIA_ABORTED", "aborted"},
};

const char *via_rc_name(via_rc rc)
{
	size_t i;

	if (rc > 0)
		return "VIA_OK"; /* a success that counts something */
	for (i = 0; i < sizeof codes / sizeof codes[0]; i++) {
		if (codes[i].rc == rc)
			return codes[i].name;
	}
	return "VIA_?";
}

const char *via_rc_text(via_rc rc)
{
	static const char *const classes[] = {"try again", "the peer or the medium failed",
					      "the caller made a mistake", "resources ran out",
					      "the contract does not allow it"};
	size_t i;

	if (rc > 0)
		return "success";
	for (i = 0; i < sizeof codes / sizeof codes[0]; i++) {
		if (codes[i].rc == rc)
			return codes[i].text;
	}
	/* A code from a newer module: its class is all that is known, and all that is needed. */
	i = (0u - (uint32_t)rc) >> 4;
	return i < sizeof classes / sizeof classes[0] ? classes[i] : "unknown result code";
}

/* -- flaws ------------------------------------------------------------------------------------ */

static const char *const flaw_names[] = {
	[VIA_FLAW_NONE] = "NONE",
	[VIA_FLAW_TRUNCATED] = "TRUNCATED",
	[VIA_FLAW_BAD_MAGIC] = "BAD_MAGIC",
	[VIA_FLAW_BAD_VERSION] = "BAD_VERSION",
	[VIA_FLAW_BAD_HEADER_LEN] = "BAD_HEADER_LEN",
	[VIA_FLAW_BAD_KIND] = "BAD_KIND",
	[VIA_FLAW_BAD_LAYOUT] = "BAD_LAYOUT",
	[VIA_FLAW_OUT_OF_BOUNDS] = "OUT_OF_BOUNDS",
	[VIA_FLAW_MISSING_NUL] = "MISSING_NUL",
	[VIA_FLAW_BAD_ALIGNMENT] = "BAD_ALIGNMENT",
	[VIA_FLAW_BAD_ITEM_COUNT] = "BAD_ITEM_COUNT",
	[VIA_FLAW_OVERFLOW] = "OVERFLOW",
};

const char *via_flaw_name(uint32_t kind)
{
	return kind < sizeof flaw_names / sizeof flaw_names[0] ? flaw_names[kind] : "?";
}

/* What the rule asks for and what was there; the numbers tell which side of a bound was left. */
static void rule_text(const via_flaw *f, char *buf, size_t cap)
{
	unsigned long long want = f->expected, got = f->found;

	switch (f->kind) {
	case VIA_FLAW_TRUNCATED:
		snprintf(buf, cap, "expected at least %llu bytes, found %llu", want, got);
		return;
	case VIA_FLAW_BAD_MAGIC:
		snprintf(buf, cap, "expected 0x%08llx, found 0x%08llx", want, got);
		return;
	case VIA_FLAW_BAD_VERSION:
		snprintf(buf, cap, "expected version %llu, found %llu", want, got);
		return;
	case VIA_FLAW_BAD_HEADER_LEN:
		snprintf(buf, cap, "expected a header of %llu bytes, found %llu", want, got);
		return;
	case VIA_FLAW_BAD_KIND:
		if (want == 3 && (got == 0 || got > 3))
			snprintf(buf, cap, "expected 1, 2 or 3, found %llu", got);
		else
			snprintf(buf, cap, "expected %llu, found %llu", want, got);
		return;
	case VIA_FLAW_OUT_OF_BOUNDS:
		snprintf(buf, cap, "expected %s %llu, found %llu",
			 got < want   ? "at least"
			 : got > want ? "at most"
				      : "less than",
			 want, got);
		return;
	case VIA_FLAW_MISSING_NUL:
		snprintf(buf, cap, "expected a zero byte, found 0x%02llx", got);
		return;
	case VIA_FLAW_BAD_ALIGNMENT:
		snprintf(buf, cap, "expected a multiple of %llu, found %llu", want, got);
		return;
	case VIA_FLAW_BAD_ITEM_COUNT:
		snprintf(buf, cap, "expected %llu items, found %llu", want, got);
		return;
	case VIA_FLAW_OVERFLOW:
		snprintf(buf, cap, "there is room for %llu bytes, %llu are needed", want, got);
		return;
	default:
		snprintf(buf, cap, "expected %llu, found %llu", want, got);
		return;
	}
}

uint32_t via_flaw_text(const via_flaw *flaw, char *buf, uint32_t cap)
{
	char rule[96], item[32];
	int wanted;

	item[0] = '\0';
	if (flaw->kind == VIA_FLAW_NONE) {
		wanted = snprintf(buf, cap, "no flaw");
		return wanted < 0 ? 0 : (uint32_t)wanted;
	}
	rule_text(flaw, rule, sizeof rule);
	if (flaw->item != VIA_FLAW_NO_ITEM)
		snprintf(item, sizeof item, " of item %lu", (unsigned long)flaw->item);
	wanted = snprintf(buf, cap, "%s%s at byte %llu: %s",
			  flaw->field == NULL ? "a field" : flaw->field, item,
			  (unsigned long long)flaw->offset, rule);
	return wanted < 0 ? 0 : (uint32_t)wanted;
}
