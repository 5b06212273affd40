/* codecs/cgroups-snapshot/cgroups_snapshot.c - the generic face of CGROUPS_SNAPSHOT.
 *
 * Request: no columns. Response: a head of two columns, a row of five for each control group.
 *
 * Threads: none. Syscalls: none. Peer: none. Wire layout: docs/wire.md section 13.3, implemented in
 * viaduct/codecs/cgroups_snapshot.h; here it is only given the shape every codec has.
 */
#include <viaduct/codecs/cgroups_snapshot.h>
#include <viaduct/module.h>

/* -- types ------------------------------------------------------------------------------------- */

enum { HEAD_SYSTEMD_ENABLED, HEAD_GENERATION, N_HEAD };
enum { ROW_HASH, ROW_NAME, ROW_OPTIONS, ROW_ENABLED, ROW_PATH, N_ROW };

static const via_column snapshot_head_columns[N_HEAD] = {
	{"systemd_enabled", VIA_T_U64, 0},
	{"generation", VIA_T_U64, 0},
};

static const via_column snapshot_row_columns[N_ROW] = {
	{"hash", VIA_T_U64, VIA_COL_KEY}, {"name", VIA_T_STR, VIA_COL_KEY},
	{"options", VIA_T_U64, 0},        {"enabled", VIA_T_U64, 0},
	{"path", VIA_T_STR, 0},
};

/* What a via_builder holds between begin and finish. */
struct snapshot_build {
	via_cgroups_snapshot_builder response;
	uint64_t request_used; /* bytes of a finished request: it has nothing to wait for */
	uint32_t side, is_open, has_head, reserved;
};
_Static_assert(sizeof(struct snapshot_build) <= sizeof(via_builder), "via_builder is too small");

/* -- reading ----------------------------------------------------------------------------------- */

static via_rc VIA_CALL snapshot_check(uint32_t side, const void *src, uint64_t len, via_flaw *why)
{
	via_cgroups_snapshot_view view;
	via_rc rc;

	if (side == VIA_SIDE_REQUEST)
		return via_cgroups_snapshot_request_check(src, len, why);
	if (side != VIA_SIDE_RESPONSE)
		return VIA_INVAL;
	rc = via_cgroups_snapshot_peek(&view, src, len, why);
	if (rc != VIA_OK)
		return rc;
	if (view.n_items > INT32_MAX) /* a count that cannot be returned; no message is that long */
		return via_bytes_refuse(why, via_bytes_at(VIA_FLAW_NO_ITEM, 4, "item_count"),
					VIA_FLAW_BAD_ITEM_COUNT, INT32_MAX, view.n_items);
	rc = via_cgroups_snapshot_check(&view, src, len, why);
	return rc != VIA_OK ? rc : (via_rc)view.n_items;
}

static void snapshot_put_u64(via_value *out, uint32_t column, uint64_t value)
{
	memset(out, 0, sizeof *out);
	out->type = VIA_T_U64;
	out->id = column;
	out->v.u64 = value;
}

static void snapshot_put_str(via_value *out, uint32_t column, const char *text, uint32_t len)
{
	memset(out, 0, sizeof *out);
	out->type = VIA_T_STR;
	out->id = column;
	out->v.ptr = text;
	out->len = len;
}

static void VIA_CALL snapshot_head(uint32_t side, const void *src, uint64_t len, via_value *out)
{
	via_cgroups_snapshot_view view = {NULL, 0, 0, 0, 0};

	if (side != VIA_SIDE_RESPONSE)
		return;                                         /* a request has no columns */
	(void)via_cgroups_snapshot_peek(&view, src, len, NULL); /* passed the check: cannot fail */
	snapshot_put_u64(&out[HEAD_SYSTEMD_ENABLED], HEAD_SYSTEMD_ENABLED, view.systemd_enabled);
	snapshot_put_u64(&out[HEAD_GENERATION], HEAD_GENERATION, view.generation);
}

/* An index that is not there reads as zeros and empty strings. */
static void VIA_CALL snapshot_row(uint32_t side, const void *src, uint64_t len, uint32_t index,
				  via_value *out)
{
	via_cgroups_snapshot_view view;
	via_cgroups_item item = {0, 0, 0, 0, "", "", 0, 0};

	if (side != VIA_SIDE_RESPONSE)
		return; /* a request has no rows */
	if (via_cgroups_snapshot_peek(&view, src, len, NULL) == VIA_OK)
		(void)via_cgroups_snapshot_item(&view, index, &item, NULL);
	snapshot_put_u64(&out[ROW_HASH], ROW_HASH, item.hash);
	snapshot_put_str(&out[ROW_NAME], ROW_NAME, item.name, item.name_len);
	snapshot_put_u64(&out[ROW_OPTIONS], ROW_OPTIONS, item.options);
	snapshot_put_u64(&out[ROW_ENABLED], ROW_ENABLED, item.enabled);
	snapshot_put_str(&out[ROW_PATH], ROW_PATH, item.path, item.path_len);
}

/* -- writing ----------------------------------------------------------------------------------- */

static via_rc VIA_CALL snapshot_begin(via_builder *builder, uint32_t side, void *dst, uint64_t cap,
				      uint32_t max_rows)
{
	struct snapshot_build b;
	via_rc rc;

	memset(&b, 0, sizeof b);
	b.side = side;
	if (side == VIA_SIDE_RESPONSE)
		rc = via_cgroups_snapshot_begin(&b.response, dst, cap, max_rows);
	else if (side != VIA_SIDE_REQUEST || (dst == NULL && cap != 0))
		rc = VIA_INVAL;
	else
		rc = via_cgroups_snapshot_request_encode(dst, cap, &b.request_used);
	b.is_open = rc == VIA_OK;
	memcpy(builder, &b, sizeof b);
	return rc;
}

/* True if the value is a number of 32 bits, as most fields of this method are. */
static int snapshot_is_u32(const via_value *value)
{
	return value->type == VIA_T_U64 && value->v.u64 <= UINT32_MAX;
}

/* True if the value is a string whose length the wire can say. */
static int snapshot_is_str(const via_value *value)
{
	return value->type == VIA_T_STR && value->len <= UINT32_MAX;
}

static via_rc VIA_CALL snapshot_set_head(via_builder *builder, const via_value *head)
{
	struct snapshot_build b;

	memcpy(&b, builder, sizeof b);
	if (b.is_open == 0)
		return VIA_STATE;
	if (b.side == VIA_SIDE_REQUEST)
		return VIA_OK; /* no columns: nothing to read */
	if (head == NULL || !snapshot_is_u32(&head[HEAD_SYSTEMD_ENABLED]) ||
	    head[HEAD_GENERATION].type != VIA_T_U64)
		return VIA_INVAL;
	via_cgroups_snapshot_set_header(&b.response, (uint32_t)head[HEAD_SYSTEMD_ENABLED].v.u64,
					head[HEAD_GENERATION].v.u64);
	b.has_head = 1;
	memcpy(builder, &b, sizeof b);
	return VIA_OK;
}

static via_rc VIA_CALL snapshot_add_row(via_builder *builder, const via_value *row,
					const via_value *pairs)
{
	struct snapshot_build b;
	via_cgroups_item item;
	via_rc rc;

	(void)pairs;
	memcpy(&b, builder, sizeof b);
	if (b.is_open == 0)
		return VIA_STATE;
	if (b.side == VIA_SIDE_REQUEST || row == NULL || !snapshot_is_u32(&row[ROW_HASH]) ||
	    !snapshot_is_str(&row[ROW_NAME]) || !snapshot_is_u32(&row[ROW_OPTIONS]) ||
	    !snapshot_is_u32(&row[ROW_ENABLED]) || !snapshot_is_str(&row[ROW_PATH]))
		return VIA_INVAL;
	item.hash = (uint32_t)row[ROW_HASH].v.u64;
	item.options = (uint32_t)row[ROW_OPTIONS].v.u64;
	item.enabled = (uint32_t)row[ROW_ENABLED].v.u64;
	item.name = (const char *)row[ROW_NAME].v.ptr;
	item.name_len = (uint32_t)row[ROW_NAME].len;
	item.path = (const char *)row[ROW_PATH].v.ptr;
	item.path_len = (uint32_t)row[ROW_PATH].len;
	item.reserved = 0;
	rc = via_cgroups_snapshot_add(&b.response, &item);
	memcpy(builder, &b, sizeof b);
	return rc;
}

static via_rc VIA_CALL snapshot_finish(via_builder *builder, uint64_t *used)
{
	struct snapshot_build b;
	via_rc rc = VIA_OK;

	memcpy(&b, builder, sizeof b);
	if (b.is_open == 0 || (b.side == VIA_SIDE_RESPONSE && b.has_head == 0))
		return VIA_STATE;
	if (b.side == VIA_SIDE_REQUEST)
		*used = b.request_used;
	else
		rc = via_cgroups_snapshot_finish(&b.response, used);
	b.is_open = 0;
	memcpy(builder, &b, sizeof b);
	return rc;
}

/* -- module ------------------------------------------------------------------------------------ */

static const via_codec snapshot_codec = {
	.struct_size = sizeof(via_codec),
	.method = VIA_CGROUPS_SNAPSHOT_METHOD,
	.layout = VIA_CGROUPS_SNAPSHOT_LAYOUT,
	.name = "cgroups-snapshot",
	.side = {{.n_head = 0},
		 {.n_head = N_HEAD,
		  .n_row = N_ROW,
		  .head = snapshot_head_columns,
		  .row = snapshot_row_columns}},
	.check = snapshot_check,
	.head = snapshot_head,
	.row = snapshot_row,
	.begin = snapshot_begin,
	.set_head = snapshot_set_head,
	.add_row = snapshot_add_row,
	.finish = snapshot_finish,
};

static const via_component snapshot_components[] = {{
	.struct_size = sizeof(via_component),
	.kind = VIA_KIND_CODEC,
	.id = "org.viaduct.cgroups-snapshot",
	.rev = 1,
	.score = 100,
	.vtable = &snapshot_codec,
}};

static const via_module_desc snapshot_desc =
	VIA_MODULE_DESC("org.viaduct.codec.cgroups-snapshot", "1.0.0", "Apache-2.0",
			VIA_MOD_UNLOADABLE | VIA_MOD_FORK_SAFE, snapshot_components, NULL);

VIA_MODULE(codec_cgroups_snapshot, snapshot_desc,
	   "id=org.viaduct.codec.cgroups-snapshot\0"
	   "version=1.0.0\0"
	   "provides=codec org.viaduct.cgroups-snapshot/1 score=100 method=2 "
	   "name=cgroups-snapshot\0")
