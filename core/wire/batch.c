/* core/wire/batch.c - batch directory and builder.
 *
 * Wire layout: docs/wire.md section 3. An entry is {u32 offset, u32 length}, the offset counted
 * from the end of the directory.
 */
#include "bytes.h"

enum { ENTRY = 8 };

#define MAX_PAYLOAD (UINT32_MAX - VIA_WIRE_HEADER) /* section 4: header and payload fit a u32 */

/* -- reading ---------------------------------------------------------------------------------- */

static via_rc check_directory(uint64_t len, uint32_t item_count, via_flaw *why)
{
	uint64_t directory = (uint64_t)item_count * ENTRY;

	if (directory > len)
		return flawed(why, FLAW(TRUNCATED, 0, directory, len, "batch.directory"));
	return VIA_OK;
}

/* The directory is known to lie inside the payload. */
static via_rc check_entry(const uint8_t *payload, uint64_t len, uint32_t item_count, uint32_t i,
			  via_flaw *why)
{
	uint64_t at = (uint64_t)i * ENTRY;
	uint64_t packed = len - (uint64_t)item_count * ENTRY;
	uint32_t offset = get_u32(payload + at, 0), length = get_u32(payload + at, 4);
	uint64_t end = (uint64_t)offset + length;

	if (offset % 8 != 0)
		return flawed(why,
			      (via_flaw){VIA_FLAW_BAD_ALIGNMENT, i, at, 8, offset, "batch.offset"});
	if (end > packed)
		return flawed(why, (via_flaw){VIA_FLAW_OUT_OF_BOUNDS, i, at, packed, end,
					      "batch.offset + length"});
	return VIA_OK;
}

via_rc via_wire_batch_check(const void *payload, uint64_t len, uint32_t item_count, via_flaw *why)
{
	via_rc rc = check_directory(len, item_count, why);
	uint32_t i;

	for (i = 0; rc == VIA_OK && i < item_count; i++)
		rc = check_entry(payload, len, item_count, i, why);
	return rc;
}

via_rc via_wire_batch_item(const void *payload, uint64_t len, uint32_t item_count, uint32_t index,
			   const void **item, uint32_t *item_len, via_flaw *why)
{
	const uint8_t *p = payload;
	uint64_t at = (uint64_t)index * ENTRY;
	via_rc rc;

	if (index >= item_count)
		return flawed(why, (via_flaw){VIA_FLAW_OUT_OF_BOUNDS, index, 0,
					      item_count == 0 ? 0 : item_count - 1, index,
					      "batch.index"});
	rc = check_directory(len, item_count, why);
	if (rc == VIA_OK)
		rc = check_entry(p, len, item_count, index, why);
	if (rc != VIA_OK)
		return rc;
	*item = p + (uint64_t)item_count * ENTRY + get_u32(p + at, 0);
	*item_len = get_u32(p + at, 4);
	return VIA_OK;
}

int via_wire_batch_has_directory(const void *payload, uint64_t len)
{
	uint64_t length;

	if (len < ENTRY || get_u32(payload, 0) != 0)
		return 0;
	length = get_u32(payload, 4);
	return len == ENTRY + length || len == ENTRY + align8(length);
}

/* -- building --------------------------------------------------------------------------------- */

static uint64_t next_start(const via_wire_batch *b)
{
	return (uint64_t)b->slots * ENTRY + align8(b->used);
}

via_rc via_wire_batch_begin(via_wire_batch *b, void *dst, uint64_t cap, uint32_t max_items)
{
	if (cap > MAX_PAYLOAD)
		cap = MAX_PAYLOAD;
	if ((uint64_t)max_items * ENTRY > cap)
		return VIA_TOOBIG;
	*b = (via_wire_batch){.dst = dst, .cap = cap, .slots = max_items};
	return VIA_OK;
}

void *via_wire_batch_room(const via_wire_batch *b, uint64_t *cap)
{
	uint64_t start = next_start(b);

	if (b->n == b->slots || start > b->cap)
		return NULL;
	*cap = b->cap - start;
	return b->dst + start;
}

via_rc via_wire_batch_commit(via_wire_batch *b, uint32_t len)
{
	uint64_t start = next_start(b), offset = align8(b->used);
	uint8_t *entry = b->dst + (uint64_t)b->n * ENTRY;

	if (b->n == b->slots)
		return VIA_LIMIT;
	if (start > b->cap || len > b->cap - start)
		return VIA_TOOBIG;
	memset(b->dst + start - (offset - b->used), 0, (size_t)(offset - b->used));
	put_u32(entry, 0, (uint32_t)offset);
	put_u32(entry, 4, len);
	b->used = offset + len;
	b->n++;
	return VIA_OK;
}

via_rc via_wire_batch_add(via_wire_batch *b, const void *item, uint32_t len)
{
	uint64_t room;
	void *at = via_wire_batch_room(b, &room);

	if (at != NULL && len <= room && len != 0)
		memmove(at, item, len);
	return via_wire_batch_commit(b, len);
}

uint64_t via_wire_batch_finish(via_wire_batch *b)
{
	uint64_t directory = (uint64_t)b->n * ENTRY, pad = align8(b->used) - b->used;

	if (b->n == 0) {
		b->slots = 0;
		return 0;
	}
	if (b->n < b->slots) {
		memmove(b->dst + directory, b->dst + (uint64_t)b->slots * ENTRY, (size_t)b->used);
		b->slots = b->n; /* full from now on, so that finishing twice changes nothing */
	}
	if (directory + b->used + pad <= b->cap) {
		memset(b->dst + directory + b->used, 0, (size_t)pad);
		b->used += pad;
	}
	return directory + b->used;
}
