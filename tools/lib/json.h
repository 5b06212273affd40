/* SPDX-License-Identifier: Apache-2.0
 * tools/lib/json.h - JSON as RFC 8259 says and nothing more: a reader that keeps numbers as they
 * were written, and a writer. Pure: memory in, memory out.
 *
 * The reader also refuses what the RFC leaves open: two members of one name in an object, nesting
 * deeper than JSON_DEPTH, a byte order mark, lone surrogates. At most JSON_NODES values.
 */
#ifndef VIA_TOOLS_JSON_H
#define VIA_TOOLS_JSON_H
#include "text.h"

#define JSON_DEPTH 64u
#define JSON_NODES 4000000u

enum { JSON_NULL = 1, JSON_FALSE, JSON_TRUE, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

typedef struct json_node {
	union {
		const char *text; /* NUMBER: as written; STRING: decoded UTF-8, may hold NULs    */
		struct json_node
			*first; /* ARRAY, OBJECT: first child                                 */
	} u;
	const char *key; /* of a member of an object, decoded; else NULL */
	struct json_node *next;
	uint32_t len; /* bytes at u.text, or number of children */
	uint32_t key_len;
	uint32_t line, column;
	uint8_t type; /* JSON_* */
} json_node;

typedef struct json_doc {
	json_node *root;
	void *blocks; /* the reader's */
	size_t room;
	char *at;
	uint32_t n_nodes;
} json_doc;

/* Reads one value and nothing behind it. The document borrows from src. Returns 0, or -1 with
 * *why; then there is nothing to free. */
int json_parse(const char *src, size_t len, json_doc *doc, text_error *why);
void json_free(json_doc *doc);
/* Zeroed memory that lives as long as the document; NULL: none. */
void *json_alloc(json_doc *doc, size_t size);

/* The member of that name, or NULL; NULL too if node is no object. */
const json_node *json_get(const json_node *node, const char *key);
/* "a string", "an object" and so on. */
const char *json_type_name(const json_node *node);
/* Exact or not at all: 1e3 and 1.0 are no integers here. Return 1 if *out was written. */
int json_u64(const json_node *node, uint64_t *out);
int json_i64(const json_node *node, int64_t *out);
int json_f64(const json_node *node, double *out);

/* -- writer ---------------------------------------------------------------------------------- */

typedef struct json_writer {
	buf *out;
	uint32_t depth;
	uint32_t lines; /* levels of nesting that are written over several lines; 0: one line */
	uint8_t n_items[JSON_DEPTH]; /* 0, 1: has an item already */
	int after_key;
	void (*spill)(
		buf *); /* writes out what is there and empties it, now and then; may be NULL */
} json_writer;

void json_open(json_writer *w, char bracket);  /* '{' or '[' */
void json_close(json_writer *w, char bracket); /* '}' or ']' */
void json_key(json_writer *w, const char *name);
void json_put_u64(json_writer *w, uint64_t v);
void json_put_i64(json_writer *w, int64_t v);
/* A number; what is none becomes {"bits": "7ff8000000000000"}. */
void json_put_f64(json_writer *w, double v);
void json_put_bool(json_writer *w, int v);
/* Bytes: a string if they are plain text (text_is_plain), else {"hex": "6e006d"}. */
void json_put_bytes(json_writer *w, const void *src, size_t len);
void json_put_hex(json_writer *w, const void *src, size_t len);
void json_put_text(json_writer *w, const char *text);

#endif
