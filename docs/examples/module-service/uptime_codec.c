/* docs/examples/module-service/uptime_codec.c - the generic face of UPTIME, for programs that have
 * never heard of it: with it `viaduct call uptime` prints names and values.
 *
 * Threads: none. Syscalls: none. Peer: none. Wire layout: uptime.h.
 */
#include "uptime.h"

/* What a via_builder holds between begin and finish. */
struct uptime_build {
	void *dst;
	uint64_t cap, used;
	uint32_t side, is_open, is_full, reserved;
};
_Static_assert(sizeof(struct uptime_build) <= sizeof(via_builder), "via_builder is too small");

/* -- reading ----------------------------------------------------------------------------------- */

static via_rc VIA_CALL uptime_check(uint32_t side, const void *src, uint64_t len, via_flaw *why)
{
	uint64_t uptime_ns, calls;

	if (side == VIA_SIDE_REQUEST)
		return VIA_OK;
	if (side != VIA_SIDE_RESPONSE)
		return VIA_INVAL;
	return uptime_decode(src, len, &uptime_ns, &calls, why);
}

static void VIA_CALL uptime_head(uint32_t side, const void *src, uint64_t len, via_value *out)
{
	uint64_t uptime_ns = 0, calls = 0;

	if (side != VIA_SIDE_RESPONSE)
		return;                                          /* a request has no columns */
	(void)uptime_decode(src, len, &uptime_ns, &calls, NULL); /* passed the check: cannot fail */
	out[0] = (via_value){.type = VIA_T_U64, .id = 0, .v = {.u64 = uptime_ns}};
	out[1] = (via_value){.type = VIA_T_U64, .id = 1, .v = {.u64 = calls}};
}

/* Nothing has rows, so nobody may ask for one: whoever does gets nothing. */
static void VIA_CALL uptime_row(uint32_t side, const void *src, uint64_t len, uint32_t index,
				via_value *out)
{
	(void)side;
	(void)src;
	(void)len;
	(void)index;
	(void)out;
}

/* -- writing ----------------------------------------------------------------------------------- */

static via_rc VIA_CALL uptime_begin(via_builder *builder, uint32_t side, void *dst, uint64_t cap,
				    uint32_t max_rows)
{
	struct uptime_build b = {.dst = dst, .cap = cap, .side = side, .is_open = 1};

	(void)max_rows;
	memset(builder, 0, sizeof *builder);
	if (side > VIA_SIDE_RESPONSE)
		return VIA_INVAL;
	if (side == VIA_SIDE_RESPONSE && cap < UPTIME_SIZE)
		return VIA_TOOBIG;
	if (side == VIA_SIDE_RESPONSE && dst == NULL)
		return VIA_INVAL;
	b.is_full = side == VIA_SIDE_REQUEST;
	memcpy(builder, &b, sizeof b);
	return VIA_OK;
}

static via_rc VIA_CALL uptime_set_head(via_builder *builder, const via_value *head)
{
	struct uptime_build b;
	via_rc rc;

	memcpy(&b, builder, sizeof b);
	if (b.is_open == 0)
		return VIA_STATE;
	if (b.side == VIA_SIDE_REQUEST)
		return VIA_OK; /* nothing to set */
	if (head == NULL || head[0].type != VIA_T_U64 || head[1].type != VIA_T_U64)
		return VIA_INVAL;
	rc = uptime_encode(b.dst, b.cap, head[0].v.u64, head[1].v.u64, &b.used);
	b.is_full = rc == VIA_OK;
	memcpy(builder, &b, sizeof b);
	return rc;
}

static via_rc VIA_CALL uptime_add_row(via_builder *builder, const via_value *row,
				      const via_value *pairs)
{
	struct uptime_build b;

	(void)row;
	(void)pairs;
	memcpy(&b, builder, sizeof b);
	return b.is_open == 0 ? VIA_STATE : VIA_INVAL; /* this method carries no rows */
}

static via_rc VIA_CALL uptime_finish(via_builder *builder, uint64_t *used)
{
	struct uptime_build b;

	memcpy(&b, builder, sizeof b);
	if (b.is_open == 0 || b.is_full == 0)
		return VIA_STATE;
	*used = b.used;
	b.is_open = 0;
	memcpy(builder, &b, sizeof b);
	return VIA_OK;
}

static const via_column uptime_columns[] = {
	{"uptime_ns", VIA_T_U64, 0},
	{"calls", VIA_T_U64, 0},
};

const via_codec uptime_codec = {
	.struct_size = sizeof(via_codec),
	.method = UPTIME_METHOD,
	.layout = 1,
	.name = "uptime",
	.side = {{.n_head = 0}, {.n_head = 2, .head = uptime_columns}},
	.check = uptime_check,
	.head = uptime_head,
	.row = uptime_row,
	.begin = uptime_begin,
	.set_head = uptime_set_head,
	.add_row = uptime_add_row,
	.finish = uptime_finish,
	.plain_len = {0, UPTIME_SIZE},
};
