/* codecs/string-reverse/string_reverse.c - the generic face of STRING_REVERSE: one head column.
 *
 * Threads: none. Syscalls: none. Peer: none. Wire layout: docs/wire.md section 13.2, implemented in
 * viaduct/codecs/string_reverse.h; here it is only given the shape every codec has.
 */
#include <viaduct/codecs/string_reverse.h>
#include <viaduct/module.h>

/* -- types ------------------------------------------------------------------------------------- */

/* What a via_builder holds between begin and finish. */
struct reverse_build {
	void *dst;
	uint64_t cap;
	uint64_t used; /* 0 until the text is in */
	uint32_t is_open, reserved;
};
_Static_assert(sizeof(struct reverse_build) <= sizeof(via_builder), "via_builder is too small");

/* -- reading ----------------------------------------------------------------------------------- */

static via_rc VIA_CALL reverse_check(uint32_t side, const void *src, uint64_t len, via_flaw *why)
{
	via_string_reverse_view view;

	if (side > VIA_SIDE_RESPONSE)
		return VIA_INVAL;
	return via_string_reverse_open(&view, src, len, why);
}

static void VIA_CALL reverse_head(uint32_t side, const void *src, uint64_t len, via_value *out)
{
	via_string_reverse_view view = {"", 0};

	(void)side;
	(void)via_string_reverse_open(&view, src, len, NULL); /* passed the check: cannot fail */
	memset(out, 0, sizeof *out);
	out->type = VIA_T_STR;
	out->v.ptr = view.text;
	out->len = view.len;
}

/* Nothing has rows, so nobody may ask for one: whoever does gets nothing. */
static void VIA_CALL reverse_row(uint32_t side, const void *src, uint64_t len, uint32_t index,
				 via_value *out)
{
	(void)side;
	(void)src;
	(void)len;
	(void)index;
	(void)out;
}

/* -- writing ----------------------------------------------------------------------------------- */

static via_rc VIA_CALL reverse_begin(via_builder *builder, uint32_t side, void *dst, uint64_t cap,
				     uint32_t max_rows)
{
	struct reverse_build b;

	(void)max_rows;
	memset(&b, 0, sizeof b);
	memcpy(builder, &b, sizeof b);
	if (side > VIA_SIDE_RESPONSE)
		return VIA_INVAL;
	if (cap < VIA_STRING_REVERSE_MIN)
		return VIA_TOOBIG;
	if (dst == NULL)
		return VIA_INVAL;
	b.dst = dst;
	b.cap = cap;
	b.is_open = 1;
	memcpy(builder, &b, sizeof b);
	return VIA_OK;
}

static via_rc VIA_CALL reverse_set_head(via_builder *builder, const via_value *head)
{
	struct reverse_build b;
	via_string_reverse_view text;
	via_rc rc;

	memcpy(&b, builder, sizeof b);
	if (b.is_open == 0)
		return VIA_STATE;
	if (head == NULL || head->type != VIA_T_STR || head->len > UINT32_MAX)
		return VIA_INVAL;
	text.text = (const char *)head->v.ptr;
	text.len = (uint32_t)head->len;
	rc = via_string_reverse_encode(b.dst, b.cap, &text, &b.used);
	memcpy(builder, &b, sizeof b);
	return rc;
}

static via_rc VIA_CALL reverse_add_row(via_builder *builder, const via_value *row,
				       const via_value *pairs)
{
	struct reverse_build b;

	(void)row;
	(void)pairs;
	memcpy(&b, builder, sizeof b);
	return b.is_open == 0 ? VIA_STATE : VIA_INVAL; /* this method carries no rows */
}

static via_rc VIA_CALL reverse_finish(via_builder *builder, uint64_t *used)
{
	struct reverse_build b;

	memcpy(&b, builder, sizeof b);
	if (b.is_open == 0 || b.used == 0)
		return VIA_STATE;
	*used = b.used;
	b.is_open = 0;
	memcpy(builder, &b, sizeof b);
	return VIA_OK;
}

/* -- module ------------------------------------------------------------------------------------ */

static const via_column reverse_columns[] = {
	{"text", VIA_T_STR, 0},
};

static const via_codec reverse_codec = {
	.struct_size = sizeof(via_codec),
	.method = VIA_STRING_REVERSE_METHOD,
	.layout = 1,
	.name = "string-reverse",
	.side = {{.n_head = 1, .head = reverse_columns}, {.n_head = 1, .head = reverse_columns}},
	.check = reverse_check,
	.head = reverse_head,
	.row = reverse_row,
	.begin = reverse_begin,
	.set_head = reverse_set_head,
	.add_row = reverse_add_row,
	.finish = reverse_finish,
};

static const via_component reverse_components[] = {{
	.struct_size = sizeof(via_component),
	.kind = VIA_KIND_CODEC,
	.id = "org.viaduct.string-reverse",
	.rev = 1,
	.score = 100,
	.vtable = &reverse_codec,
}};

static const via_module_desc reverse_desc =
	VIA_MODULE_DESC("org.viaduct.codec.string-reverse", "1.0.0", "Apache-2.0",
			VIA_MOD_UNLOADABLE | VIA_MOD_FORK_SAFE, reverse_components, NULL);

VIA_MODULE(codec_string_reverse, reverse_desc,
	   "id=org.viaduct.codec.string-reverse\0"
	   "version=1.0.0\0"
	   "provides=codec org.viaduct.string-reverse/1 score=100 method=3 name=string-reverse\0")
