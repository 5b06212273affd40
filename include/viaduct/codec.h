/* SPDX-License-Identifier: Apache-2.0 */
/** @file viaduct/codec.h
 * What the bytes of one method mean. Pure: no I/O, no allocation, no state.
 *
 * A record is a head (a fixed list of columns) and zero or more rows (another fixed list). That is enough
 * for calls (head only), snapshots and lookups (head + rows) and events, and it lets the core replicate a
 * table, the command line print any service and a gateway speak JSON without knowing a single method.
 * Programs that want speed use the typed view and builder functions of viaduct/codecs/NAME.h instead;
 * both are the same code underneath. */
#ifndef VIADUCT_CODEC_H
#define VIADUCT_CODEC_H
#include "host.h"
#ifdef __cplusplus
extern "C" {
#endif
/** The two records of a method. */
enum {
	VIA_SIDE_REQUEST = 0,        /**< what the client sends */
	VIA_SIDE_RESPONSE = 1        /**< what the service answers */
};
/** Flags of a column. */
enum {
	VIA_COL_KEY = 1,             /**< part of the row's identity: caches and tables index by these */
	VIA_COL_ECHO = 2             /**< the response must repeat the request's value in the same position */
};

/** One column of a head or a row. Frozen. */
typedef struct via_column {
	const char *name;            /**< for people and JSON: "cpu_shares" */
	uint32_t type;               /**< VIA_T_* */
	uint32_t flags;              /**< VIA_COL_* */
} via_column;

/** The columns of one side. Frozen: embedded by value. */
typedef struct via_shape {
	uint32_t n_head;             /**< columns of the head */
	uint32_t n_row;              /**< columns of each row; 0: there are no rows */
	const via_column *head;      /**< n_head */
	const via_column *row;       /**< n_row */
} via_shape;

/** A record being written; lives on the caller's stack, needs no clean-up. Frozen. */
typedef struct via_builder {
	uint64_t opaque[16];         /**< the codec's */
} via_builder;

/** What the bytes of one method mean. Static, never changes. */
typedef struct via_codec {
	uint32_t struct_size;        /**< sizeof, where it was built */
	uint32_t flags;              /**< 0 */
	uint16_t method;             /**< method code on the wire */
	uint16_t layout;             /**< layout version it speaks */
	uint32_t reserved;           /**< 0 */
	const char *name;            /**< "cgroups-snapshot" */
	via_shape side[2];           /**< by VIA_SIDE_* */
	/** Complete structural validation. All other readers may only be given bytes that passed, and that
	 * nobody else can change meanwhile. Returns the number of rows, or VIA_PROTO with *why (may be
	 * NULL) filled. */
	via_rc(VIA_CALL *check)(uint32_t side, const void *src, uint64_t len, via_flaw *why);         /**< [any] nb na */
	/** Reads the head: n_head values. They borrow from src. */
	void(VIA_CALL *head)(uint32_t side, const void *src, uint64_t len, via_value *out);           /**< [any] nb na */
	/** Reads row `index`, below what check() returned: n_row values. They borrow from src. */
	void(VIA_CALL *row)(uint32_t side, const void *src, uint64_t len, uint32_t index, via_value *out); /**< [any] nb na */
	/** One pair of a PAIRS column: out[0] is the key, out[1] the value. NULL when no column has that type. */
	void(VIA_CALL *pair)(uint32_t side, const void *src, uint64_t len, uint32_t index, uint32_t column,
			     uint32_t i, via_value out[2]);                                       /**< [any] nb na */
	/** Starts a record in the caller's room, which may be memory the peer will see. This and the next three: TOOBIG
	 * leaves what was added valid; INVAL: a value that the method cannot carry; values are read before the call
	 * returns. */
	via_rc(VIA_CALL *begin)(via_builder *, uint32_t side, void *dst, uint64_t cap, uint32_t max_rows); /**< [any] nb na */
	/** Gives the head: n_head values. */
	via_rc(VIA_CALL *set_head)(via_builder *, const via_value *head);                             /**< [any] nb na */
	/** Adds a row: n_row values; pairs: key and value in turn, for its PAIRS column. */
	via_rc(VIA_CALL *add_row)(via_builder *, const via_value *row, const via_value *pairs);       /**< [any] nb na */
	/** Ends the record; *used is its bytes. */
	via_rc(VIA_CALL *finish)(via_builder *, uint64_t *used);                                      /**< [any] nb na */
	/** An extension by its name; NULL if there is none of it. */
	const void *(VIA_CALL *get_ext)(const char *id);                                              /**< [any]; may be NULL */
	/** By VIA_SIDE_*: bytes of at least this length are valid whatever they hold, and check() need not be
	 * asked. 0: only check() knows. */
	uint32_t plain_len[2];
} via_codec;
#ifdef __cplusplus
}
#endif
#endif
