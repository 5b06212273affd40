/* services/cgroups/encode.c - rows into the bytes of docs/wire.md section 13.3.
 *
 * Pure. Threads: any. Syscalls: none.
 */
#include "cgroups.h"

#include <viaduct/codecs/cgroups_snapshot.h>

#include <string.h>

/* 64-bit FNV-1a. */
static uint64_t mix(uint64_t h, const void *bytes, uint64_t len)
{
	const uint8_t *p = bytes;
	uint64_t i;

	for (i = 0; i < len; i++) {
		h ^= p[i];
		h *= 0x100000001b3u;
	}
	return h;
}

static uint64_t mix_u32(uint64_t h, uint32_t v)
{
	return mix(h, &v, sizeof v);
}

/* The name follows from the path, so it does not count. */
static uint64_t mix_row(uint64_t h, const via_cgroups_item *item)
{
	h = mix_u32(h, item->path_len);
	h = mix(h, item->path, item->path_len);
	h = mix_u32(h, item->options);
	return mix_u32(h, item->enabled);
}

via_rc cgroups_encode(const struct cgroups_rows *rows, void *dst, uint64_t cap, uint64_t *used)
{
	via_cgroups_snapshot_builder b;
	struct cgroups_text name;
	uint64_t generation = mix_u32(0xcbf29ce484222325u, rows->has_systemd);
	uint32_t i, options;
	via_rc rc;

	rc = via_cgroups_snapshot_begin(&b, dst, cap, rows->n);
	for (i = 0; rc == VIA_OK && i < rows->n; i++) {
		const struct cgroups_row *r = &rows->row[i];
		via_cgroups_item item = {0};

		item.path = rows->text + r->path;
		item.path_len = r->path_len;
		cgroups_name(item.path, item.path_len, &name, &options);
		item.name = name.at;
		item.name_len = name.len;
		item.hash = cgroups_hash(name.at, name.len);
		item.options = r->options | options;
		item.enabled = r->is_enabled;
		generation = mix_row(generation, &item);
		rc = via_cgroups_snapshot_add(&b, &item);
	}
	if (rc != VIA_OK)
		return rc;
	via_cgroups_snapshot_set_header(&b, rows->has_systemd, generation);
	return via_cgroups_snapshot_finish(&b, used);
}
