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

struct entry {
	uint32_t offset, length;
};

/* Each field is read once: the payload may be memory that the peer still writes. */
static struct entry read_entry(const uint8_t *payload, uint32_t i)
{
	uint64_t at = (uint64_t)i * ENTRY;

	return (struct entry){get_u32(payload + at, 0), get_u32(payload + at, 4)};
}

static int is_inside(struct entry e, uint64_t packed)
{
	return e.offset % 8 == 0 && (uint64_t)e.offset + e.length <= packed;
}

static via_rc entry_flawed(struct entry e, uint64_t packed, uint32_t i, via_flaw *why)
{
	uint64_t at = (uint64_t)i * ENTRY;

	if (e.offset % 8 != 0)
		return flawed(why, (via_flaw){VIA_FLAW_BAD_ALIGNMENT, i, at, 8, e.offset,
					      "batch.offset"});
	return flawed(why, (via_flaw){VIA_FLAW_OUT_OF_BOUNDS, i, at, packed,
				      (uint64_t)e.offset + e.length, "batch.offset + length"});
}

/* Nearly all batches are of items as long as each other and packed without gaps: then each entry follows from the
 * first one, and a comparison is all that it takes. */
struct regular {
	uint64_t entry, step; /* the first one as it lies in memory, and what the next has more */
	uint64_t stride;      /* from item to item, bytes */
};

static uint64_t entry_bits(uint32_t offset, uint32_t length)
{
	const uint32_t e[2] = {offset, length};

	return get_u64(e, 0);
}

/* 1: n such items that begin with e are inside. */
static int may_be_regular(struct entry e, uint32_t n, uint64_t packed, struct regular *r)
{
	r->stride = align8(e.length);
	if (n == 0 || e.offset % 8 != 0 || e.offset + (n - 1) * r->stride + e.length > packed ||
	    r->stride > UINT32_MAX)
		return 0;
	r->entry = entry_bits(e.offset, e.length);
	r->step = entry_bits((uint32_t)r->stride, 0);
	return 1;
}

static int is_regular(const uint8_t *payload, uint32_t n, uint64_t packed)
{
	uint64_t bad = 0;
	struct regular r;
	uint32_t i;

	if (n == 0 || !may_be_regular(read_entry(payload, 0), n, packed, &r))
		return 0;
	for (i = 0; i < n; i++, r.entry += r.step)
		bad |= get_u64(payload, (uint64_t)i * ENTRY) ^ r.entry;
	return bad == 0;
}

via_rc via_wire_batch_check(const void *payload, uint64_t len, uint32_t item_count, via_flaw *why)
{
	uint64_t packed = len - (uint64_t)item_count * ENTRY;
	via_rc rc = check_directory(len, item_count, why);
	uint64_t bad = 0;
	uint32_t i;

	if (rc != VIA_OK)
		return rc;
	if (is_regular(payload, item_count, packed))
		return VIA_OK;
	for (i = 0; i < item_count;
	     i++) { /* nearly always all of them are good: no way out in between */
		struct entry e = read_entry(payload, i);

		bad |= (uint64_t)(e.offset & 7u) | (packed - e.offset - e.length) >> 63;
	}
	if (bad == 0)
		return VIA_OK;
	for (i = 0; i < item_count; i++) {
		struct entry e = read_entry(payload, i);

		if (!is_inside(e, packed))
			return entry_flawed(e, packed, i, why);
	}
	return VIA_OK; /* whoever writes there has mended it meanwhile: readers check again */
}

/* Fills items from the first entry alone; 0 if another one says something else. */
static int regular_items(const uint8_t *payload, uint32_t item_count, uint32_t first, uint32_t n,
			 uint64_t packed, via_iov *items)
{
	const uint8_t *entry = payload + (uint64_t)first * ENTRY;
	struct entry e = read_entry(entry, 0);
	const uint8_t *at = payload + (uint64_t)item_count * ENTRY + e.offset;
	uint64_t bad = 0;
	struct regular r;
	uint32_t i;

	if (!may_be_regular(e, n, packed, &r))
		return 0;
	for (i = 0; i < n; i++, at += r.stride, r.entry += r.step) {
		bad |= get_u64(entry, (uint64_t)i * ENTRY) ^ r.entry;
		items[i].base = at;
		items[i].len = e.length;
	}
	return bad == 0;
}

via_rc via_wire_batch_items(const void *payload, uint64_t len, uint32_t item_count, uint32_t first,
			    uint32_t n, via_iov *items, via_flaw *why)
{
	uint64_t packed = len - (uint64_t)item_count * ENTRY;
	const uint8_t *base = (const uint8_t *)payload + (uint64_t)item_count * ENTRY;
	via_rc rc;
	uint32_t i;

	if (n > item_count || first > item_count - n)
		return flawed(why, (via_flaw){VIA_FLAW_OUT_OF_BOUNDS, first, 0, item_count,
					      (uint64_t)first + n, "batch.index"});
	rc = check_directory(len, item_count, why);
	if (rc != VIA_OK)
		return rc;
	if (n != 0 && regular_items(payload, item_count, first, n, packed, items))
		return VIA_OK;
	for (i = 0; i < n; i++) {
		struct entry e = read_entry(payload, first + i);

		if (!is_inside(e, packed))
			return entry_flawed(e, packed, first + i, why);
		items[i] = (via_iov){base + e.offset, e.length};
	}
	return VIA_OK;
}

via_rc via_wire_batch_item(const void *payload, uint64_t len, uint32_t item_count, uint32_t index,
			   const void **item, uint32_t *item_len, via_flaw *why)
{
	via_iov one;
	via_rc rc = via_wire_batch_items(payload, len, item_count, index, 1, &one, why);

	if (rc != VIA_OK)
		return rc;
	*item = one.base;
	*item_len = (uint32_t)one.len;
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

/* An item of a batch ends here: the gap before the next one is zero. */
static void zero_gap(uint8_t *area, uint64_t from, uint64_t to)
{
	if (from != to)
		memset(area + from, 0, (size_t)(to - from));
}

/* The same for items of equal length without gaps between them: 0 if they are not. */
static int commit_equal(via_wire_batch *b, const uint32_t *lengths, uint32_t n, uint64_t room)
{
	uint8_t *entry = b->dst + (uint64_t)b->n * ENTRY;
	uint32_t length = lengths[0], differ = 0, i;
	struct regular r;

	if (length % 8 != 0 || b->used % 8 != 0 ||
	    !may_be_regular((struct entry){(uint32_t)b->used, length}, n, room, &r))
		return 0;
	for (i = 0; i < n; i++, r.entry += r.step) {
		differ |= lengths[i] ^ length;
		put_u64(entry, (uint64_t)i * ENTRY, r.entry);
	}
	if (differ != 0)
		return 0;
	b->used += n * r.stride;
	b->n += n;
	return 1;
}

via_rc via_wire_batch_commit_many(via_wire_batch *b, const uint32_t *lengths, uint32_t n)
{
	uint64_t at = align8(b->used), used = b->used;
	uint64_t room = b->cap - (uint64_t)b->slots * ENTRY;
	uint8_t *area = b->dst + (uint64_t)b->slots * ENTRY;
	uint8_t *entry = b->dst + (uint64_t)b->n * ENTRY;
	uint32_t i;

	if (n > b->slots - b->n)
		return VIA_LIMIT;
	if (n != 0 && commit_equal(b, lengths, n, room))
		return VIA_OK;
	for (i = 0; i < n; i++, entry += ENTRY) {
		uint32_t length = lengths[i];

		if (at > room || length > room - at)
			return VIA_TOOBIG;
		zero_gap(area, used, at);
		put_u32(entry, 0, (uint32_t)at);
		put_u32(entry, 4, length);
		used = at + length;
		at = align8(used);
	}
	b->used = used;
	b->n += n;
	return VIA_OK;
}

via_rc via_wire_batch_add_equal(via_wire_batch *b, const void *items, uint32_t item_len, uint32_t n)
{
	uint64_t at = align8(b->used), stride = align8(item_len);
	uint8_t *area = b->dst + (uint64_t)b->slots * ENTRY;
	uint64_t room = b->cap - (uint64_t)b->slots * ENTRY;
	uint8_t *entry = b->dst + (uint64_t)b->n * ENTRY;
	const uint8_t *from = items;
	uint32_t i;

	if (n > b->slots - b->n)
		return VIA_LIMIT;
	if (n == 0)
		return VIA_OK;
	if (at > room || (n - 1) * stride + item_len > room - at)
		return VIA_TOOBIG;
	zero_gap(area, b->used, at);
	for (i = 0; i < n; i++, entry += ENTRY) {
		put_u32(entry, 0, (uint32_t)(at + i * stride));
		put_u32(entry, 4, item_len);
	}
	if (stride == item_len) {
		memcpy(area + at, from, (size_t)(n * stride));
	} else {
		for (i = 0; i < n; i++, at += stride) {
			memcpy(area + at, from + (uint64_t)i * item_len, item_len);
			if (i + 1 < n)
				zero_gap(area, at + item_len, at + stride);
		}
		at -= n * stride;
	}
	b->used = at + (n - 1) * stride + item_len;
	b->n += n;
	return VIA_OK;
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
