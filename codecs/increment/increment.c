/* codecs/increment/increment.c - the generic face of INCREMENT: one head column.
 *
 * Threads: none. Syscalls: none. Peer: none. Wire layout: docs/wire.md section 13.1, implemented in
 * viaduct/codecs/increment.h; here it is only given the shape every codec has.
 */
#include <viaduct/codecs/increment.h>
#include <viaduct/module.h>

/* -- types ------------------------------------------------------------------------------------- */

/* What a via_builder holds between begin and finish. */
struct increment_build {
	void *dst;
	uint64_t cap;
	uint64_t used; /* 0 until the value is in */
	uint32_t is_open, reserved;
};
_Static_assert(sizeof(struct increment_build) <= sizeof(via_builder), "via_builder is too small");

/* -- reading ----------------------------------------------------------------------------------- */

static via_rc VIA_CALL increment_check(uint32_t side, const void *src, uint64_t len, via_flaw *why)
{
	uint64_t value;

	if (side > VIA_SIDE_RESPONSE)
		return VIA_INVAL;
	return via_increment_decode(src, len, &value, why);
}

static void VIA_CALL increment_head(uint32_t side, const void *src, uint64_t len, via_value *out)
{
	uint64_t value = 0;

	(void)side;
	(void)via_increment_decode(src, len, &value, NULL); /* passed the check: cannot fail */
	memset(out, 0, sizeof *out);
	out->type = VIA_T_U64;
	out->v.u64 = value;
}

/* Nothing has rows, so nobody may ask for one: whoever does gets nothing. */
static void VIA_CALL increment_row(uint32_t side, const void *src, uint64_t len, uint32_t index,
				   via_value *out)
{
	(void)side;
	(void)src;
	(void)len;
	(void)index;
	(void)out;
}

/* -- writing ----------------------------------------------------------------------------------- */

static via_rc VIA_CALL increment_begin(via_builder *builder, uint32_t side, void *dst, uint64_t cap,
				       uint32_t max_rows)
{
	struct increment_build b;

	(void)max_rows;
	memset(&b, 0, sizeof b);
	memcpy(builder, &b, sizeof b);
	if (side > VIA_SIDE_RESPONSE)
		return VIA_INVAL;
	if (cap < VIA_INCREMENT_SIZE)
		return VIA_TOOBIG;
	if (dst == NULL)
		return VIA_INVAL;
	b.dst = dst;
	b.cap = cap;
	b.is_open = 1;
	memcpy(builder, &b, sizeof b);
	return VIA_OK;
}

static via_rc VIA_CALL increment_set_head(via_builder *builder, const via_value *head)
{
	struct increment_build b;
	via_rc rc;

	memcpy(&b, builder, sizeof b);
	if (b.is_open == 0)
		return VIA_STATE;
	if (head == NULL || head->type != VIA_T_U64)
		return VIA_INVAL;
	rc = via_increment_encode(b.dst, b.cap, head->v.u64, &b.used);
	memcpy(builder, &b, sizeof b);
	return rc;
}

static via_rc VIA_CALL increment_add_row(via_builder *builder, const via_value *row,
					 const via_value *pairs)
{
	struct increment_build b;

	(void)row;
	(void)pairs;
	memcpy(&b, builder, sizeof b);
	return b.is_open == 0 ? VIA_STATE : VIA_INVAL; /* this method carries no rows */
}

static via_rc VIA_CALL increment_finish(via_builder *builder, uint64_t *used)
{
	struct increment_build b;

	memcpy(&b, builder, sizeof b);
	if (b.is_open == 0 || b.used == 0)
		return VIA_STATE;
	*used = b.used;
	b.is_open = 0;
	memcpy(builder, &b, sizeof b);
	return VIA_OK;
}

/* -- module ------------------------------------------------------------------------------------ */

static const via_column increment_columns[] = {
	{"value", VIA_T_U64, 0},
};

static const via_codec increment_codec = {
	.struct_size = sizeof(via_codec),
	.method = VIA_INCREMENT_METHOD,
	.layout = 1,
	.name = "increment",
	.side = {{.n_head = 1, .head = increment_columns},
		 {.n_head = 1, .head = increment_columns}},
	.check = increment_check,
	.head = increment_head,
	.row = increment_row,
	.begin = increment_begin,
	.set_head = increment_set_head,
	.add_row = increment_add_row,
	.finish = increment_finish,
	.plain_len = {VIA_INCREMENT_SIZE, VIA_INCREMENT_SIZE},
};

static const via_component increment_components[] = {{
	.struct_size = sizeof(via_component),
	.kind = VIA_KIND_CODEC,
	.id = "org.viaduct.increment",
	.rev = 1,
	.score = 100,
	.vtable = &increment_codec,
}};

static const via_module_desc increment_desc =
	VIA_MODULE_DESC("org.viaduct.codec.increment", "1.0.0", "Apache-2.0",
			VIA_MOD_UNLOADABLE | VIA_MOD_FORK_SAFE, increment_components, NULL);

VIA_MODULE(codec_increment, increment_desc,
	   "id=org.viaduct.codec.increment\0"
	   "version=1.0.0\0"
	   "provides=codec org.viaduct.increment/1 score=100 method=1 name=increment\0")
