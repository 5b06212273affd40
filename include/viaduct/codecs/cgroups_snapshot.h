/* SPDX-License-Identifier: Apache-2.0 */
/** @file viaduct/codecs/cgroups_snapshot.h
 * CGROUPS_SNAPSHOT (method 2): every control group of this machine (docs/wire.md section 13.3).
 *
 * Pure functions, the same for programs and for the codec module: no blocking, no state, and no
 * allocation but in via_cgroups_snapshot_copy(). Threads: any, as long as nobody changes the bytes
 * or the struct meanwhile; copy what lies in shared memory before it is opened.
 *
 *   request   @0 u16 layout_version 1, @2 u16 flags 0
 *   response  header (24 bytes), item_count entries {u32 offset, u32 length}, packed items
 *   item      header (32 bytes), name, NUL, path, NUL; offsets count from the item's first byte
 *
 * Reading: _open() checks header and directory, _item() checks one item and shows it, _check()
 *          does both for all.
 * Writing: _begin(), _add() for each item, _set_header() at any time, _finish().
 */
#ifndef VIADUCT_CODECS_CGROUPS_SNAPSHOT_H
#define VIADUCT_CODECS_CGROUPS_SNAPSHOT_H
#include "bytes.h"
#ifdef __cplusplus
extern "C" {
#endif

#define VIA_CGROUPS_SNAPSHOT_METHOD 2u   /**< its method code                             */
#define VIA_CGROUPS_SNAPSHOT_LAYOUT 1u   /**< its layout_version                          */
#define VIA_CGROUPS_SNAPSHOT_REQUEST 4u  /**< bytes of a request                          */
#define VIA_CGROUPS_SNAPSHOT_HEADER 24u  /**< bytes before the directory                  */
#define VIA_CGROUPS_SNAPSHOT_ENTRY 8u    /**< bytes of a directory entry                  */
#define VIA_CGROUPS_SNAPSHOT_ITEM 32u    /**< bytes of an item before its strings         */
#define VIA_CGROUPS_SNAPSHOT_TYPICAL 48u /**< directory entry and item, as estimates go   */

/** One control group. Strings are bytes: any value may occur in them, NUL included. */
typedef struct via_cgroups_item {
	uint32_t hash;     /**< whatever the producer put in: do not derive anything from it */
	uint32_t options;  /**< opaque */
	uint32_t enabled;  /**< 0 or 1 by convention, never checked */
	uint32_t name_len; /**< without the NUL */
	const char *name;  /**< ends in NUL; to write one of length 0 it may be NULL */
	const char *path;  /**< the same with path_len */
	uint32_t path_len; /**< without the NUL */
	uint32_t reserved; /**< 0 */
} via_cgroups_item;

/**
 * A response as it lies in somebody's buffer. Borrowed: valid while those bytes stay as they are.
 * Members may be read freely. A view that was made or changed by hand is safe too, as long as `len`
 * bytes can be read at `bytes`: everything else is checked again where it is used.
 */
typedef struct via_cgroups_snapshot_view {
	const uint8_t *bytes;     /**< the response */
	uint64_t len;             /**< its bytes */
	uint64_t generation;      /**< opaque */
	uint32_t systemd_enabled; /**< 0 or 1 by convention, never checked */
	uint32_t n_items;         /**< items of the directory */
} via_cgroups_snapshot_view;

/** Bytes of an item, without the padding that may follow it. */
static inline uint64_t via_cgroups_snapshot_item_size(uint32_t name_len, uint32_t path_len)
{
	return (uint64_t)VIA_CGROUPS_SNAPSHOT_ITEM + name_len + path_len + 2u;
}

/** Where the packed items of n_items start, from the response's first byte. */
static inline uint64_t via_cgroups_snapshot_packed(uint32_t n_items)
{
	return VIA_CGROUPS_SNAPSHOT_HEADER + (uint64_t)VIA_CGROUPS_SNAPSHOT_ENTRY * n_items;
}

/**
 * How many items to reserve for a room of cap bytes when nothing better is known: what fits if an
 * item takes 40 bytes. More may fit, or fewer: real names and paths are longer.
 */
static inline uint32_t via_cgroups_snapshot_estimate(uint64_t cap)
{
	uint64_t n;

	if (cap < VIA_CGROUPS_SNAPSHOT_HEADER)
		return 0;
	n = (cap - VIA_CGROUPS_SNAPSHOT_HEADER) / VIA_CGROUPS_SNAPSHOT_TYPICAL;
	return n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
}

/* -- request ------------------------------------------------------------------------------- */

/** Checks the two words every structure of this method starts with; base is where it starts. */
static inline via_rc via_cgroups_snapshot_check_layout(const uint8_t *p, uint64_t base,
						       uint32_t item, via_flaw *why)
{
	const uint16_t layout = via_bytes_get_u16(p), flags = via_bytes_get_u16(p + 2);

	if (layout != VIA_CGROUPS_SNAPSHOT_LAYOUT)
		return via_bytes_refuse(why, via_bytes_at(item, base, "layout_version"),
					VIA_FLAW_BAD_LAYOUT, VIA_CGROUPS_SNAPSHOT_LAYOUT, layout);
	if (flags != 0)
		return via_bytes_refuse(why, via_bytes_at(item, base + 2, "flags"),
					VIA_FLAW_BAD_LAYOUT, 0, flags);
	return VIA_OK;
}

/**
 * Checks a request. There is nothing in it to show.
 *
 * @param src  the payload at any address
 * @param len  its bytes; what follows the first 4 is ignored, as the wire allows
 * @param why  out on VIA_PROTO; may be NULL
 *
 * @retval VIA_OK
 * @retval VIA_PROTO  TRUNCATED, BAD_LAYOUT (layout_version, flags), in this order
 */
static inline via_rc via_cgroups_snapshot_request_check(const void *src, uint64_t len,
							via_flaw *why)
{
	if (len < VIA_CGROUPS_SNAPSHOT_REQUEST)
		return via_bytes_refuse(why, via_bytes_at(VIA_FLAW_NO_ITEM, 0, "request"),
					VIA_FLAW_TRUNCATED, VIA_CGROUPS_SNAPSHOT_REQUEST, len);
	return via_cgroups_snapshot_check_layout((const uint8_t *)src, 0, VIA_FLAW_NO_ITEM, why);
}

/**
 * Writes a request.
 *
 * @param dst   the caller's room, at any address; only written
 * @param cap   its bytes
 * @param used  out: 4
 *
 * @retval VIA_OK
 * @retval VIA_TOOBIG  cap is below 4; nothing was written
 */
static inline via_rc via_cgroups_snapshot_request_encode(void *dst, uint64_t cap, uint64_t *used)
{
	uint8_t *p = (uint8_t *)dst;

	if (cap < VIA_CGROUPS_SNAPSHOT_REQUEST)
		return VIA_TOOBIG;
	via_bytes_put_u16(p, VIA_CGROUPS_SNAPSHOT_LAYOUT);
	via_bytes_put_u16(p + 2, 0);
	*used = VIA_CGROUPS_SNAPSHOT_REQUEST;
	return VIA_OK;
}

/* -- response: reading --------------------------------------------------------------------- */

/** Checks that bytes and len of a view hold the header and the directory of n_items. */
static inline via_rc via_cgroups_snapshot_check_room(const via_cgroups_snapshot_view *view,
						     via_flaw *why)
{
	const uint64_t len = view->bytes == NULL ? 0 : view->len;
	const uint64_t directory = (uint64_t)VIA_CGROUPS_SNAPSHOT_ENTRY * view->n_items;

	if (len < VIA_CGROUPS_SNAPSHOT_HEADER)
		return via_bytes_refuse(why, via_bytes_at(VIA_FLAW_NO_ITEM, 0, "header"),
					VIA_FLAW_TRUNCATED, VIA_CGROUPS_SNAPSHOT_HEADER, len);
	if (directory > len - VIA_CGROUPS_SNAPSHOT_HEADER)
		return via_bytes_refuse(why,
					via_bytes_at(VIA_FLAW_NO_ITEM, VIA_CGROUPS_SNAPSHOT_HEADER,
						     "directory"),
					VIA_FLAW_TRUNCATED, directory,
					len - VIA_CGROUPS_SNAPSHOT_HEADER);
	return VIA_OK;
}

/** Checks directory entry `index`, which lies within the view, and says where its item is. */
static inline via_rc via_cgroups_snapshot_check_entry(const via_cgroups_snapshot_view *view,
						      uint32_t index, uint64_t *start,
						      uint32_t *item_len, via_flaw *why)
{
	const uint64_t at = via_cgroups_snapshot_packed(index);
	const uint64_t packed = via_cgroups_snapshot_packed(view->n_items);
	const uint32_t offset = via_bytes_get_u32(view->bytes + at);
	const uint32_t length = via_bytes_get_u32(view->bytes + at + 4);

	if (offset % 8 != 0)
		return via_bytes_refuse(why, via_bytes_at(index, at, "offset"),
					VIA_FLAW_BAD_ALIGNMENT, 8, offset);
	if ((uint64_t)offset + length > view->len - packed)
		return via_bytes_refuse(why, via_bytes_at(index, at + 4, "length"),
					VIA_FLAW_OUT_OF_BOUNDS, view->len - packed,
					(uint64_t)offset + length);
	if (length < VIA_CGROUPS_SNAPSHOT_ITEM)
		return via_bytes_refuse(why, via_bytes_at(index, at + 4, "length"),
					VIA_FLAW_TRUNCATED, VIA_CGROUPS_SNAPSHOT_ITEM, length);
	*start = packed + offset;
	*item_len = length;
	return VIA_OK;
}

/**
 * Checks a response's header and that its directory is there, and shows the header. Constant time:
 * entries and items are looked at when via_cgroups_snapshot_item() reads them.
 *
 * @param view  out, on success only
 * @param src   the payload at any address; *view points into it
 * @param len   its bytes
 * @param why   out on VIA_PROTO; may be NULL
 *
 * @retval VIA_OK
 * @retval VIA_PROTO  TRUNCATED (header), BAD_LAYOUT (layout_version, flags, reserved), TRUNCATED
 *                    (directory), in this order
 */
static inline via_rc via_cgroups_snapshot_peek(via_cgroups_snapshot_view *view, const void *src,
					       uint64_t len, via_flaw *why)
{
	const uint8_t *p = (const uint8_t *)src;
	via_cgroups_snapshot_view v = {p, len, 0, 0, 0};
	via_rc rc = via_cgroups_snapshot_check_room(&v, why); /* no items yet: the header alone */

	if (rc != VIA_OK)
		return rc;
	rc = via_cgroups_snapshot_check_layout(p, 0, VIA_FLAW_NO_ITEM, why);
	if (rc != VIA_OK)
		return rc;
	if (via_bytes_get_u32(p + 12) != 0)
		return via_bytes_refuse(why, via_bytes_at(VIA_FLAW_NO_ITEM, 12, "reserved"),
					VIA_FLAW_BAD_LAYOUT, 0, via_bytes_get_u32(p + 12));
	v.n_items = via_bytes_get_u32(p + 4);
	v.systemd_enabled = via_bytes_get_u32(p + 8);
	v.generation = via_bytes_get_u64(p + 16);
	rc = via_cgroups_snapshot_check_room(&v, why);
	if (rc == VIA_OK)
		*view = v;
	return rc;
}

/**
 * Checks a response's header and its whole directory, and shows the header: the wire's decode step.
 * Items may still be malformed; via_cgroups_snapshot_item() finds that.
 *
 * Parameters as for via_cgroups_snapshot_peek().
 * @retval VIA_OK
 * @retval VIA_PROTO  as via_cgroups_snapshot_peek(), then for each entry BAD_ALIGNMENT (offset),
 *                    OUT_OF_BOUNDS (length), TRUNCATED (length below an item's header)
 */
static inline via_rc via_cgroups_snapshot_open(via_cgroups_snapshot_view *view, const void *src,
					       uint64_t len, via_flaw *why)
{
	via_cgroups_snapshot_view v;
	uint64_t start;
	uint32_t i, item_len;
	via_rc rc = via_cgroups_snapshot_peek(&v, src, len, why);

	for (i = 0; rc == VIA_OK && i < v.n_items; i++)
		rc = via_cgroups_snapshot_check_entry(&v, i, &start, &item_len, why);
	if (rc == VIA_OK)
		*view = v;
	return rc;
}

/** An item's string while it is checked: its names, and what the item says about it. */
typedef struct via_cgroups_string {
	const char *text_field;   /**< the wire's name of the bytes */
	const char *offset_field; /**< of the offset */
	const char *length_field; /**< of the length */
	uint32_t at;              /**< of the offset in the item; the length follows it */
	uint32_t offset;          /**< from the item's first byte */
	uint32_t len;             /**< without the NUL */
} via_cgroups_string;

/** Checks that string s of an item of item_len bytes lies behind the item's header. */
static inline via_rc via_cgroups_snapshot_check_string(const via_cgroups_string *s,
						       uint64_t item_len, via_flaw *why)
{
	if (s->offset < VIA_CGROUPS_SNAPSHOT_ITEM)
		return via_bytes_refuse(why, via_bytes_at(0, s->at, s->offset_field),
					VIA_FLAW_OUT_OF_BOUNDS, VIA_CGROUPS_SNAPSHOT_ITEM,
					s->offset);
	if ((uint64_t)s->offset + s->len + 1 > item_len)
		return via_bytes_refuse(why, via_bytes_at(0, (uint64_t)s->at + 4, s->length_field),
					VIA_FLAW_OUT_OF_BOUNDS, item_len,
					(uint64_t)s->offset + s->len + 1);
	return VIA_OK;
}

/** Checks that string s, which lies within the item at p, ends in a NUL. */
static inline via_rc via_cgroups_snapshot_check_nul(const uint8_t *p, const via_cgroups_string *s,
						    via_flaw *why)
{
	const uint64_t end = (uint64_t)s->offset + s->len;

	if (p[end] != 0)
		return via_bytes_refuse(why, via_bytes_at(0, end, s->text_field),
					VIA_FLAW_MISSING_NUL, 0, p[end]);
	return VIA_OK;
}

/** Checks the two strings of the item at p. Flaws count from the item's first byte. */
static inline via_rc via_cgroups_snapshot_check_strings(const uint8_t *p, uint64_t item_len,
							const via_cgroups_string *name,
							const via_cgroups_string *path,
							via_flaw *why)
{
	const uint64_t name_end = (uint64_t)name->offset + name->len + 1;
	via_rc rc = via_cgroups_snapshot_check_string(name, item_len, why);

	if (rc == VIA_OK)
		rc = via_cgroups_snapshot_check_string(path, item_len, why);
	if (rc == VIA_OK)
		rc = via_cgroups_snapshot_check_nul(p, name, why);
	if (rc == VIA_OK)
		rc = via_cgroups_snapshot_check_nul(p, path, why);
	if (rc != VIA_OK)
		return rc;
	if (path->offset < name_end && name->offset < (uint64_t)path->offset + path->len + 1)
		return via_bytes_refuse(why, via_bytes_at(0, path->at, path->offset_field),
					VIA_FLAW_BAD_LAYOUT, name_end, path->offset);
	return VIA_OK;
}

/**
 * Checks one item completely and shows it. Trusts nothing of what an earlier step found out, so it
 * is safe on any view whose `len` bytes can be read, opened or not. Constant time.
 *
 * @param view   from via_cgroups_snapshot_open() or _peek()
 * @param index  below view->n_items
 * @param item   out, on success only; its strings point into the view's bytes and end in a NUL
 * @param why    out on VIA_PROTO; may be NULL. Offsets count from the response's first byte.
 *
 * @retval VIA_OK
 * @retval VIA_PROTO  OUT_OF_BOUNDS (index); the entry's flaws as in via_cgroups_snapshot_open();
 *                    BAD_LAYOUT (layout_version, flags); OUT_OF_BOUNDS (name, path); MISSING_NUL
 *                    (name, path); BAD_LAYOUT (they overlap), in this order
 */
static inline via_rc via_cgroups_snapshot_item(const via_cgroups_snapshot_view *view,
					       uint32_t index, via_cgroups_item *item,
					       via_flaw *why)
{
	via_cgroups_string name = {"name", "name_offset", "name_length", 16, 0, 0};
	via_cgroups_string path = {"path", "path_offset", "path_length", 24, 0, 0};
	uint64_t start;
	uint32_t item_len;
	const uint8_t *p;
	via_rc rc = via_cgroups_snapshot_check_room(view, why);

	if (rc != VIA_OK)
		return rc;
	if (index >= view->n_items)
		return via_bytes_refuse(why, via_bytes_at(index, 4, "item_count"),
					VIA_FLAW_OUT_OF_BOUNDS, view->n_items, index);
	rc = via_cgroups_snapshot_check_entry(view, index, &start, &item_len, why);
	if (rc != VIA_OK)
		return rc;
	p = view->bytes + start;
	rc = via_cgroups_snapshot_check_layout(p, start, index, why);
	if (rc != VIA_OK)
		return rc;
	name.offset = via_bytes_get_u32(p + 16);
	name.len = via_bytes_get_u32(p + 20);
	path.offset = via_bytes_get_u32(p + 24);
	path.len = via_bytes_get_u32(p + 28);
	rc = via_cgroups_snapshot_check_strings(p, item_len, &name, &path, why);
	if (rc != VIA_OK) {
		if (why != NULL) {
			why->item = index;
			why->offset += start;
		}
		return rc;
	}
	item->hash = via_bytes_get_u32(p + 4);
	item->options = via_bytes_get_u32(p + 8);
	item->enabled = via_bytes_get_u32(p + 12);
	item->name_len = name.len;
	item->name = (const char *)p + name.offset;
	item->path = (const char *)p + path.offset;
	item->path_len = path.len;
	item->reserved = 0;
	return VIA_OK;
}

/**
 * Checks a response completely: header, directory, then every item in order.
 *
 * Parameters as for via_cgroups_snapshot_open().
 * @retval VIA_OK     via_cgroups_snapshot_item() answers VIA_OK for every index below n_items
 * @retval VIA_PROTO  the first flaw of via_cgroups_snapshot_open(), then of _item()
 */
static inline via_rc via_cgroups_snapshot_check(via_cgroups_snapshot_view *view, const void *src,
						uint64_t len, via_flaw *why)
{
	via_cgroups_snapshot_view v;
	via_cgroups_item item;
	uint32_t i;
	via_rc rc = via_cgroups_snapshot_open(&v, src, len, why);

	for (i = 0; rc == VIA_OK && i < v.n_items; i++)
		rc = via_cgroups_snapshot_item(&v, i, &item, why);
	if (rc == VIA_OK)
		*view = v;
	return rc;
}

/* -- response: an owned copy --------------------------------------------------------------- */

/** A response that owns its bytes: one allocation, freed as one. Items are in wire order. */
typedef struct via_cgroups_snapshot {
	uint64_t generation;           /**< as in the view */
	uint32_t systemd_enabled;      /**< as in the view */
	uint32_t n_items;              /**< items */
	const via_cgroups_item *items; /**< in the same allocation, with all they point to */
} via_cgroups_snapshot;

/**
 * Copies a response and checks the copy: the source is read once and may change afterwards.
 *
 * @param view  from via_cgroups_snapshot_open() or _peek()
 * @param heap  where the one allocation comes from: sizeof **out, n_items items and view->len bytes
 * @param out   out, on success only: the caller's, to be given to heap->free as it is
 * @param why   out on VIA_PROTO; may be NULL
 *
 * @retval VIA_OK
 * @retval VIA_PROTO  as via_cgroups_snapshot_check(), or BAD_ITEM_COUNT: not the view's n_items
 * @retval VIA_NOMEM  heap->alloc gave nothing, or the size does not fit this machine
 *
 * Whatever VIA_NOMEM and VIA_PROTO find, nothing stays allocated. Allocates: once. Threads: any.
 */
static inline via_rc via_cgroups_snapshot_copy(const via_cgroups_snapshot_view *view,
					       const via_bytes_heap *heap,
					       via_cgroups_snapshot **out, via_flaw *why)
{
	const uint64_t head =
		sizeof(via_cgroups_snapshot) + (uint64_t)view->n_items * sizeof(via_cgroups_item);
	via_cgroups_snapshot_view copy;
	via_cgroups_snapshot *s;
	via_cgroups_item *items;
	uint8_t *bytes;
	uint32_t i;
	via_rc rc = via_cgroups_snapshot_check_room(view, why);

	if (rc != VIA_OK)
		return rc;
	if (view->len > SIZE_MAX || head > SIZE_MAX - view->len)
		return VIA_NOMEM;
	s = (via_cgroups_snapshot *)heap->alloc(heap->arg, head + view->len);
	if (s == NULL)
		return VIA_NOMEM;
	items = (via_cgroups_item *)(void *)(s + 1);
	bytes = (uint8_t *)s + head;
	via_bytes_copy(bytes, view->bytes, view->len);
	rc = via_cgroups_snapshot_open(&copy, bytes, view->len, why);
	if (rc == VIA_OK && copy.n_items != view->n_items) {
		rc = via_bytes_refuse(why, via_bytes_at(VIA_FLAW_NO_ITEM, 4, "item_count"),
				      VIA_FLAW_BAD_ITEM_COUNT, view->n_items, copy.n_items);
	}
	for (i = 0; rc == VIA_OK && i < copy.n_items; i++)
		rc = via_cgroups_snapshot_item(&copy, i, &items[i], why);
	if (rc != VIA_OK) {
		heap->free(heap->arg, s);
		return rc;
	}
	s->generation = copy.generation;
	s->systemd_enabled = copy.systemd_enabled;
	s->n_items = copy.n_items;
	s->items = items;
	*out = s;
	return VIA_OK;
}

/* -- response: writing --------------------------------------------------------------------- */

/**
 * Writes a response into the caller's room. Members are private. It needs no clean-up: a builder
 * that is not finished is just forgotten. One thread at a time.
 */
typedef struct via_cgroups_snapshot_builder {
	uint8_t *dst;             /**< the room */
	uint64_t cap;             /**< its bytes */
	uint64_t packed;          /**< bytes of the packed area, from after max_items entries */
	uint64_t generation;      /**< for the header */
	uint32_t systemd_enabled; /**< for the header */
	uint32_t max_items;       /**< entries reserved */
	uint32_t n_items;         /**< items in it */
	uint32_t is_open;         /**< between begin and finish */
} via_cgroups_snapshot_builder;

/**
 * Starts a response.
 *
 * @param b          the caller's; any content
 * @param dst        the room, at any address; borrowed until _finish(). It may be memory the peer
 *                   sees: it is only written, but for _finish() moving the items down
 * @param cap        its bytes; never is a byte past them touched
 * @param max_items  directory entries to reserve; via_cgroups_snapshot_estimate() guesses
 *
 * @retval VIA_OK
 * @retval VIA_INVAL   dst is NULL
 * @retval VIA_TOOBIG  cap does not hold the header and max_items entries; nothing was written
 */
static inline via_rc via_cgroups_snapshot_begin(via_cgroups_snapshot_builder *b, void *dst,
						uint64_t cap, uint32_t max_items)
{
	memset(b, 0, sizeof *b);
	if (cap < via_cgroups_snapshot_packed(max_items))
		return VIA_TOOBIG;
	if (dst == NULL)
		return VIA_INVAL;
	b->dst = (uint8_t *)dst;
	b->cap = cap;
	b->max_items = max_items;
	b->is_open = 1;
	return VIA_OK;
}

/**
 * Says what the header is to carry. At any time between begin and finish, and again: the last one
 * counts. Without it both are 0.
 */
static inline void via_cgroups_snapshot_set_header(via_cgroups_snapshot_builder *b,
						   uint32_t systemd_enabled, uint64_t generation)
{
	b->systemd_enabled = systemd_enabled;
	b->generation = generation;
}

/**
 * Adds an item.
 *
 * @param b     between begin and finish
 * @param item  borrowed until return; must not lie in the builder's room
 *
 * @retval VIA_OK
 * @retval VIA_INVAL   a string is NULL with a length, or the item is beyond what the wire can say
 * @retval VIA_TOOBIG  max_items are in, or the room is full; nothing was written, what was added
 *                     stays valid, and a smaller item may still fit
 * @retval VIA_STATE   not between begin and finish
 */
static inline via_rc via_cgroups_snapshot_add(via_cgroups_snapshot_builder *b,
					      const via_cgroups_item *item)
{
	const uint64_t size = via_cgroups_snapshot_item_size(item->name_len, item->path_len);
	const uint64_t base = via_cgroups_snapshot_packed(b->max_items);
	const uint64_t start = via_bytes_align8(b->packed);
	uint8_t *p;

	if (b->is_open == 0)
		return VIA_STATE;
	if ((item->name == NULL && item->name_len != 0) ||
	    (item->path == NULL && item->path_len != 0) || size > UINT32_MAX)
		return VIA_INVAL;
	if (b->n_items == b->max_items || start > UINT32_MAX || start > b->cap - base ||
	    size > b->cap - base - start)
		return VIA_TOOBIG;

	p = b->dst + via_cgroups_snapshot_packed(b->n_items);
	via_bytes_put_u32(p, (uint32_t)start);
	via_bytes_put_u32(p + 4, (uint32_t)size);
	memset(b->dst + base + b->packed, 0, (size_t)(start - b->packed));

	p = b->dst + base + start;
	via_bytes_put_u16(p, VIA_CGROUPS_SNAPSHOT_LAYOUT);
	via_bytes_put_u16(p + 2, 0);
	via_bytes_put_u32(p + 4, item->hash);
	via_bytes_put_u32(p + 8, item->options);
	via_bytes_put_u32(p + 12, item->enabled);
	via_bytes_put_u32(p + 16, VIA_CGROUPS_SNAPSHOT_ITEM);
	via_bytes_put_u32(p + 20, item->name_len);
	via_bytes_put_u32(p + 24, VIA_CGROUPS_SNAPSHOT_ITEM + 1 + item->name_len);
	via_bytes_put_u32(p + 28, item->path_len);
	p += VIA_CGROUPS_SNAPSHOT_ITEM;
	via_bytes_copy(p, item->name, item->name_len);
	p[item->name_len] = 0;
	p += (size_t)item->name_len + 1;
	via_bytes_copy(p, item->path, item->path_len);
	p[item->path_len] = 0;

	b->packed = start + size;
	b->n_items++;
	return VIA_OK;
}

/**
 * Ends the response: closes the gap that unused reservations left, writes the header.
 *
 * @param b     between begin and finish
 * @param used  out: the response's bytes
 *
 * @retval VIA_OK
 * @retval VIA_STATE  not between begin and finish
 */
static inline via_rc via_cgroups_snapshot_finish(via_cgroups_snapshot_builder *b, uint64_t *used)
{
	const uint64_t base = via_cgroups_snapshot_packed(b->n_items);
	uint8_t *p = b->dst;

	if (b->is_open == 0)
		return VIA_STATE;
	if (b->n_items != b->max_items && b->packed != 0)
		memmove(p + base, p + via_cgroups_snapshot_packed(b->max_items), (size_t)b->packed);
	via_bytes_put_u16(p, VIA_CGROUPS_SNAPSHOT_LAYOUT);
	via_bytes_put_u16(p + 2, 0);
	via_bytes_put_u32(p + 4, b->n_items);
	via_bytes_put_u32(p + 8, b->systemd_enabled);
	via_bytes_put_u32(p + 12, 0);
	via_bytes_put_u64(p + 16, b->generation);
	b->is_open = 0;
	*used = base + b->packed;
	return VIA_OK;
}

#ifdef __cplusplus
}
#endif
#endif
