/* tests/codecs/rig.c - helpers of the codec tests, see rig.h. */
#include "rig.h"

#include <criterion/criterion.h>

/* -- modules ---------------------------------------------------------------------------------- */

#define BUILTIN(cname) \
	extern const char via_builtin_note_##cname[]; \
	extern const uint32_t via_builtin_note_len_##cname; \
	via_rc VIA_CALL via_builtin_##cname(uint32_t, const via_module_desc **)

BUILTIN(codec_increment);
BUILTIN(codec_string_reverse);
BUILTIN(codec_cgroups_snapshot);
BUILTIN(service_increment);
BUILTIN(service_string_reverse);

#define MODULE(file, cname) \
	{ \
		file, via_builtin_##cname, via_builtin_note_##cname, &via_builtin_note_len_##cname \
	}

const struct rig_module rig_modules[RIG_MODULES] = {
	MODULE("codec-increment", codec_increment),
	MODULE("codec-string-reverse", codec_string_reverse),
	MODULE("codec-cgroups-snapshot", codec_cgroups_snapshot),
	MODULE("service-increment", service_increment),
	MODULE("service-string-reverse", service_string_reverse),
};

const via_module_desc *rig_desc(int module)
{
	const via_module_desc *desc = NULL;

	cr_assert_eq(rig_modules[module].entry(VIA_ABI_MINOR, &desc), VIA_OK);
	cr_assert_not_null(desc);
	return desc;
}

const via_codec *rig_codec(int module)
{
	const via_module_desc *desc = rig_desc(module);

	cr_assert_eq(desc->n_components, 1);
	cr_assert_eq(desc->components[0].kind, VIA_KIND_CODEC);
	return (const via_codec *)desc->components[0].vtable;
}

const via_service *rig_service(int module)
{
	const via_module_desc *desc = rig_desc(module);

	cr_assert_eq(desc->n_components, 1);
	cr_assert_eq(desc->components[0].kind, VIA_KIND_SERVICE);
	return (const via_service *)desc->components[0].vtable;
}

/* -- messages --------------------------------------------------------------------------------- */

const struct rig_payload rig_canonical[] = {
	{"valid", "increment-0", 0, 0, RIG_INCREMENT, VIA_SIDE_REQUEST},
	{"valid", "increment-1", 0, 0, RIG_INCREMENT, VIA_SIDE_RESPONSE},
	{"valid", "increment-pattern", 0, 0, RIG_INCREMENT, VIA_SIDE_REQUEST},
	{"valid", "increment-max", 0, 0, RIG_INCREMENT, VIA_SIDE_RESPONSE},
	{"valid", "pkt-increment-request", 32, 0, RIG_INCREMENT, VIA_SIDE_REQUEST},
	{"valid", "pkt-increment-response", 32, 0, RIG_INCREMENT, VIA_SIDE_RESPONSE},
	{"valid", "batch-3-increment", 24, 8, RIG_INCREMENT, VIA_SIDE_REQUEST},
	{"valid", "batch-3-increment", 32, 8, RIG_INCREMENT, VIA_SIDE_REQUEST},
	{"valid", "batch-3-increment", 40, 8, RIG_INCREMENT, VIA_SIDE_REQUEST},
	{"valid", "reverse-empty", 0, 0, RIG_REVERSE, VIA_SIDE_REQUEST},
	{"valid", "reverse-1", 0, 0, RIG_REVERSE, VIA_SIDE_RESPONSE},
	{"valid", "reverse-abc", 0, 0, RIG_REVERSE, VIA_SIDE_REQUEST},
	{"valid", "reverse-hello-world", 0, 0, RIG_REVERSE, VIA_SIDE_RESPONSE},
	{"valid", "reverse-utf8", 0, 0, RIG_REVERSE, VIA_SIDE_REQUEST},
	{"valid", "reverse-interior-nul", 0, 0, RIG_REVERSE, VIA_SIDE_RESPONSE},
	{"valid", "batch-3-string-reverse", 24, 12, RIG_REVERSE, VIA_SIDE_REQUEST},
	{"valid", "batch-3-string-reverse", 40, 9, RIG_REVERSE, VIA_SIDE_REQUEST},
	{"valid", "batch-3-string-reverse", 56, 20, RIG_REVERSE, VIA_SIDE_REQUEST},
	{"valid", "snapshot-req", 0, 0, RIG_SNAPSHOT, VIA_SIDE_REQUEST},
	{"valid", "pkt-snapshot-request", 32, 0, RIG_SNAPSHOT, VIA_SIDE_REQUEST},
	{"valid", "snapshot-resp-empty", 0, 0, RIG_SNAPSHOT, VIA_SIDE_RESPONSE},
	{"valid", "snapshot-resp-empty-of-50", 0, 0, RIG_SNAPSHOT, VIA_SIDE_RESPONSE},
	{"valid", "snapshot-resp-3", 0, 0, RIG_SNAPSHOT, VIA_SIDE_RESPONSE},
	{"valid", "snapshot-resp-20-of-64", 0, 0, RIG_SNAPSHOT, VIA_SIDE_RESPONSE},
	{"valid", "snapshot-resp-interior-nul", 0, 0, RIG_SNAPSHOT, VIA_SIDE_RESPONSE},
	{"interop", "cgroups_req", 0, 0, RIG_SNAPSHOT, VIA_SIDE_REQUEST},
	{"interop", "cgroups_resp", 0, 0, RIG_SNAPSHOT, VIA_SIDE_RESPONSE},
	{"interop", "cgroups_resp_empty", 0, 0, RIG_SNAPSHOT, VIA_SIDE_RESPONSE},
	{"live", "l2-snapshot.req", 32, 0, RIG_SNAPSHOT, VIA_SIDE_REQUEST},
	{"live", "l2-snapshot.resp", 32, 0, RIG_SNAPSHOT, VIA_SIDE_RESPONSE},
	{"live", "l2-unsupported-method.req", 32, 0, RIG_INCREMENT, VIA_SIDE_REQUEST},
	{"live", "l2-increment.req", 32, 0, RIG_INCREMENT, VIA_SIDE_REQUEST},
	{"live", "l2-increment.resp", 32, 0, RIG_INCREMENT, VIA_SIDE_RESPONSE},
	{"live", "l2-increment-batch3.req", 56, 8, RIG_INCREMENT, VIA_SIDE_REQUEST},
	{"live", "l2-increment-batch3.req", 64, 8, RIG_INCREMENT, VIA_SIDE_REQUEST},
	{"live", "l2-increment-batch3.req", 72, 8, RIG_INCREMENT, VIA_SIDE_REQUEST},
	{"live", "l2-increment-batch3.resp", 56, 8, RIG_INCREMENT, VIA_SIDE_RESPONSE},
	{"live", "l2-increment-batch3.resp", 64, 8, RIG_INCREMENT, VIA_SIDE_RESPONSE},
	{"live", "l2-increment-batch3.resp", 72, 8, RIG_INCREMENT, VIA_SIDE_RESPONSE},
};
const uint32_t n_rig_canonical = sizeof rig_canonical / sizeof rig_canonical[0];

vec rig_vec(const char *folder, const char *name)
{
	vec v;

	cr_assert_eq(vec_load(folder, name, &v), 0, "%s", vec_error());
	return v;
}

uint8_t *rig_block(const void *bytes, uint64_t len)
{
	uint8_t *block = malloc(len == 0 ? 1 : (size_t)len);

	cr_assert_not_null(block);
	via_bytes_copy(block, bytes, len);
	return block;
}

uint8_t *rig_load(const struct rig_payload *p, uint64_t *len)
{
	vec v = rig_vec(p->folder, p->vector);
	uint8_t *block;

	cr_assert_leq((size_t)p->skip + p->len, v.len, "%s is shorter than expected", v.name);
	*len = p->len != 0 ? p->len : v.len - p->skip;
	block = rig_block(v.data + p->skip, *len);
	vec_free(&v);
	return block;
}

/* -- rooms ------------------------------------------------------------------------------------ */

struct rig_room rig_room_open(uint64_t cap)
{
	struct rig_room r;

	r.block = malloc((size_t)cap + 2 * RIG_GUARD);
	cr_assert_not_null(r.block);
	memset(r.block, RIG_FILL, (size_t)cap + 2 * RIG_GUARD);
	r.room = r.block + RIG_GUARD;
	r.cap = cap;
	return r;
}

static int is_filled(const uint8_t *p, uint64_t len)
{
	uint64_t i;

	for (i = 0; i < len; i++) {
		if (p[i] != RIG_FILL)
			return 0;
	}
	return 1;
}

int rig_room_whole(const struct rig_room *r)
{
	return is_filled(r->block, RIG_GUARD) && is_filled(r->room + r->cap, RIG_GUARD);
}

int rig_room_blank(const struct rig_room *r, uint64_t from)
{
	return rig_room_whole(r) && is_filled(r->room + from, r->cap - from);
}

void rig_room_close(struct rig_room *r)
{
	free(r->block);
	r->block = NULL;
}

/* -- encoding --------------------------------------------------------------------------------- */

via_rc rig_reencode(const via_codec *c, uint32_t side, const struct rig_room *from, uint32_t spare,
		    struct rig_room *to, uint64_t *used)
{
	const via_rc rows = c->check(side, from->room, from->cap, NULL);
	via_value values[8];
	via_builder b;
	uint32_t i;
	via_rc rc;

	cr_assert_leq(c->side[side].n_head, 8);
	cr_assert_leq(c->side[side].n_row, 8);
	if (rows < 0)
		return rows;
	rc = c->begin(&b, side, to->room, to->cap, (uint32_t)rows + spare);
	if (rc != VIA_OK)
		return rc;
	for (i = 0; i < (uint32_t)rows; i++) {
		c->row(side, from->room, from->cap, i, values);
		rc = c->add_row(&b, values, NULL);
		if (rc != VIA_OK)
			return rc;
	}
	c->head(side, from->room, from->cap, values);
	rc = c->set_head(&b, values);
	if (rc != VIA_OK)
		return rc;
	return c->finish(&b, used);
}

static via_rc reencode_snapshot(const struct rig_room *from, uint32_t spare, struct rig_room *to,
				uint64_t *used)
{
	via_cgroups_snapshot_view view;
	via_cgroups_snapshot_builder b;
	via_cgroups_item item;
	uint32_t i;
	via_rc rc = via_cgroups_snapshot_check(&view, from->room, from->cap, NULL);

	if (rc == VIA_OK)
		rc = via_cgroups_snapshot_begin(&b, to->room, to->cap, view.n_items + spare);
	for (i = 0; rc == VIA_OK && i < view.n_items; i++) {
		rc = via_cgroups_snapshot_item(&view, i, &item, NULL);
		if (rc == VIA_OK)
			rc = via_cgroups_snapshot_add(&b, &item);
	}
	if (rc != VIA_OK)
		return rc;
	via_cgroups_snapshot_set_header(&b, view.systemd_enabled, view.generation);
	return via_cgroups_snapshot_finish(&b, used);
}

via_rc rig_reencode_typed(int module, uint32_t side, const struct rig_room *from, uint32_t spare,
			  struct rig_room *to, uint64_t *used)
{
	via_string_reverse_view text;
	uint64_t value;
	via_rc rc;

	if (module == RIG_INCREMENT) {
		rc = via_increment_decode(from->room, from->cap, &value, NULL);
		return rc != VIA_OK ? rc : via_increment_encode(to->room, to->cap, value, used);
	}
	if (module == RIG_REVERSE) {
		rc = via_string_reverse_open(&text, from->room, from->cap, NULL);
		return rc != VIA_OK ? rc
				    : via_string_reverse_encode(to->room, to->cap, &text, used);
	}
	if (side == VIA_SIDE_RESPONSE)
		return reencode_snapshot(from, spare, to, used);
	rc = via_cgroups_snapshot_request_check(from->room, from->cap, NULL);
	return rc != VIA_OK ? rc : via_cgroups_snapshot_request_encode(to->room, to->cap, used);
}

via_cgroups_item rig_item(uint32_t hash, uint32_t options, uint32_t enabled, const char *name,
			  const char *path)
{
	via_cgroups_item item;

	memset(&item, 0, sizeof item);
	item.hash = hash;
	item.options = options;
	item.enabled = enabled;
	item.name = name;
	item.name_len = (uint32_t)strlen(name);
	item.path = path;
	item.path_len = (uint32_t)strlen(path);
	return item;
}
