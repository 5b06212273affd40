/* tools/viaduct/kinds.c - every KIND of decode and encode: fixed headers, batches, codecs'
 * records.
 *
 * Wire layout: docs/wire.md sections 2 to 5. Field names are those of that document. A member
 * that follows from the others or can only have one value (a magic number) may be left out when
 * encoding; one that says something else is refused. A batch's offsets are the encoder's
 * business: not looked at.
 */
#include "viaduct.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -- fixed headers --------------------------------------------------------------------------- */

typedef union fixed_record {
	via_wire_header header;
	via_wire_chunk chunk;
	via_wire_hello hello;
	via_wire_ack ack;
} fixed_record;

typedef struct field {
	const char *name;
	uint8_t size; /* bytes in the C struct */
	uint8_t is_const;
	uint16_t offset; /* in the C struct, unless constant */
	uint32_t value;  /* of a constant */
} field;

#define FIELD(type, member, wire) \
	{ \
		wire, (uint8_t)sizeof(((type *)0)->member), 0, (uint16_t)offsetof(type, member), 0 \
	}
#define CONSTANT(wire, value) \
	{ \
		wire, 4, 1, 0, value \
	}

struct fixed {
	const char *name;
	const field *fields;
	uint32_t n_fields, bytes;
	via_rc (*decode)(const void *src, uint64_t len, fixed_record *out, via_flaw *why);
	void (*encode)(const fixed_record *r, void *dst);
};

static const field header_fields[] = {
	CONSTANT("magic", VIA_WIRE_MAGIC),
	CONSTANT("version", VIA_WIRE_VERSION),
	CONSTANT("header_len", VIA_WIRE_HEADER),
	FIELD(via_wire_header, kind, "kind"),
	FIELD(via_wire_header, flags, "flags"),
	FIELD(via_wire_header, code, "code"),
	FIELD(via_wire_header, status, "transport_status"),
	FIELD(via_wire_header, payload_len, "payload_len"),
	FIELD(via_wire_header, item_count, "item_count"),
	FIELD(via_wire_header, message_id, "message_id"),
};

static const field chunk_fields[] = {
	CONSTANT("magic", VIA_WIRE_CHUNK_MAGIC),
	CONSTANT("version", VIA_WIRE_VERSION),
	CONSTANT("flags", 0),
	FIELD(via_wire_chunk, message_id, "message_id"),
	FIELD(via_wire_chunk, total_message_len, "total_message_len"),
	FIELD(via_wire_chunk, chunk_index, "chunk_index"),
	FIELD(via_wire_chunk, chunk_count, "chunk_count"),
	FIELD(via_wire_chunk, chunk_payload_len, "chunk_payload_len"),
};

static const field hello_fields[] = {
	FIELD(via_wire_hello, layout, "layout_version"),
	FIELD(via_wire_hello, flags, "flags"),
	FIELD(via_wire_hello, supported, "supported_profiles"),
	FIELD(via_wire_hello, preferred, "preferred_profiles"),
	FIELD(via_wire_hello, max_request_payload, "max_request_payload_bytes"),
	FIELD(via_wire_hello, max_request_batch, "max_request_batch_items"),
	FIELD(via_wire_hello, max_response_payload, "max_response_payload_bytes"),
	FIELD(via_wire_hello, max_response_batch, "max_response_batch_items"),
	CONSTANT("reserved", 0),
	FIELD(via_wire_hello, auth_token, "auth_token"),
	FIELD(via_wire_hello, packet_size, "packet_size"),
};

static const field ack_fields[] = {
	FIELD(via_wire_ack, layout, "layout_version"),
	FIELD(via_wire_ack, flags, "flags"),
	FIELD(via_wire_ack, server_supported, "server_supported_profiles"),
	FIELD(via_wire_ack, intersection, "intersection_profiles"),
	FIELD(via_wire_ack, selected, "selected_profile"),
	FIELD(via_wire_ack, max_request_payload, "agreed_max_request_payload_bytes"),
	FIELD(via_wire_ack, max_request_batch, "agreed_max_request_batch_items"),
	FIELD(via_wire_ack, max_response_payload, "agreed_max_response_payload_bytes"),
	FIELD(via_wire_ack, max_response_batch, "agreed_max_response_batch_items"),
	FIELD(via_wire_ack, packet_size, "agreed_packet_size"),
	FIELD(via_wire_ack, reserved, "reserved"),
	FIELD(via_wire_ack, session_id, "session_id"),
};

static via_rc decode_header(const void *src, uint64_t len, fixed_record *out, via_flaw *why)
{
	return via_wire_header_decode(src, len, &out->header, why);
}

static via_rc decode_chunk(const void *src, uint64_t len, fixed_record *out, via_flaw *why)
{
	return via_wire_chunk_decode(src, len, &out->chunk, why);
}

static via_rc decode_hello(const void *src, uint64_t len, fixed_record *out, via_flaw *why)
{
	return via_wire_hello_decode(src, len, &out->hello, why);
}

static via_rc decode_ack(const void *src, uint64_t len, fixed_record *out, via_flaw *why)
{
	return via_wire_ack_decode(src, len, &out->ack, why);
}

static void encode_header(const fixed_record *r, void *dst)
{
	via_wire_header_encode(&r->header, dst);
}

static void encode_chunk(const fixed_record *r, void *dst)
{
	via_wire_chunk_encode(&r->chunk, dst);
}

static void encode_hello(const fixed_record *r, void *dst)
{
	via_wire_hello_encode(&r->hello, dst);
}

static void encode_ack(const fixed_record *r, void *dst)
{
	via_wire_ack_encode(&r->ack, dst);
}

#define FIELDS(table) table, (uint32_t)(sizeof(table) / sizeof((table)[0]))

static const struct fixed fixed_kinds[] = {
	{"header", FIELDS(header_fields), VIA_WIRE_HEADER, decode_header, encode_header},
	{"chunk", FIELDS(chunk_fields), VIA_WIRE_HEADER, decode_chunk, encode_chunk},
	{"hello", FIELDS(hello_fields), VIA_WIRE_HELLO_LEN, decode_hello, encode_hello},
	{"hello-ack", FIELDS(ack_fields), VIA_WIRE_ACK_LEN, decode_ack, encode_ack},
};

#define N_FIXED (sizeof fixed_kinds / sizeof fixed_kinds[0])
#define MAX_FIELDS 16

static uint64_t get_field(const fixed_record *r, const field *f)
{
	const uint8_t *p = (const uint8_t *)r + f->offset;
	uint16_t v16;
	uint32_t v32;
	uint64_t v64;

	if (f->is_const)
		return f->value;
	if (f->size == 2) {
		memcpy(&v16, p, sizeof v16);
		return v16;
	}
	if (f->size == 4) {
		memcpy(&v32, p, sizeof v32);
		return v32;
	}
	memcpy(&v64, p, sizeof v64);
	return v64;
}

static void set_field(fixed_record *r, const field *f, uint64_t value)
{
	uint8_t *p = (uint8_t *)r + f->offset;
	uint16_t v16 = (uint16_t)value;
	uint32_t v32 = (uint32_t)value;

	if (f->size == 2)
		memcpy(p, &v16, sizeof v16);
	else if (f->size == 4)
		memcpy(p, &v32, sizeof v32);
	else
		memcpy(p, &value, sizeof value);
}

/* -- what is wrong --------------------------------------------------------------------------- */

static int set_why(text_error *why, const json_node *node, const char *fmt, ...) TOOLS_PRINTF(3, 4);

static int set_why(text_error *why, const json_node *node, const char *fmt, ...)
{
	va_list ap;

	why->line = node != NULL ? node->line : 0;
	why->column = node != NULL ? node->column : 0;
	va_start(ap, fmt);
	(void)vsnprintf(why->text, sizeof why->text, fmt, ap);
	va_end(ap);
	return 0;
}

int wrong_node(const json_node *node, const char *path, const char *expected, text_error *why)
{
	char shown[48];

	if (node->type == JSON_NUMBER)
		return set_why(why, node, "%s: expected %s, found %s", path, expected,
			       text_shown(shown, sizeof shown, node->u.text, node->len));
	if (node->type == JSON_STRING)
		return set_why(why, node, "%s: expected %s, found the string \"%s\"", path,
			       expected, text_shown(shown, sizeof shown, node->u.text, node->len));
	return set_why(why, node, "%s: expected %s, found %s", path, expected,
		       json_type_name(node));
}

static int set_flaw(text_error *why, const via_flaw *flaw)
{
	why->line = 0;
	why->column = 0;
	(void)via_flaw_text(flaw, why->text, sizeof why->text);
	return CLI_FAILED;
}

int known_members(const json_node *object, const char *path, const char *const *names, size_t n,
		  text_error *why)
{
	const json_node *m;
	char name[64];
	const char *near;
	size_t i;

	if (object->type != JSON_OBJECT)
		return wrong_node(object, path, "an object", why);
	for (m = object->u.first; m != NULL; m = m->next) {
		for (i = 0; i < n; i++) {
			if (strlen(names[i]) == m->key_len &&
			    memcmp(names[i], m->key, m->key_len) == 0)
				break;
		}
		if (i < n)
			continue;
		text_shown(name, sizeof name, m->key, m->key_len);
		near = text_nearest(name, names, n);
		if (near != NULL)
			return set_why(why, m, "%s: unknown member \"%s\"; did you mean \"%s\"?",
				       path, name, near);
		return set_why(why, m, "%s: unknown member \"%s\"", path, name);
	}
	return 1;
}

int node_bytes(json_doc *doc, const json_node *node, const char *path, const void **out,
	       size_t *len, text_error *why)
{
	const json_node *hex = json_get(node, "hex");
	uint8_t *bytes;

	if (node->type == JSON_STRING) {
		*out = node->u.text;
		*len = node->len;
		return 1;
	}
	if (hex == NULL || node->len != 1 || hex->type != JSON_STRING)
		return wrong_node(node, path, "a string or {\"hex\": \"...\"}", why);
	bytes = json_alloc(doc, hex->len / 2 + 1);
	if (bytes == NULL)
		return set_why(why, NULL, "no memory");
	if (!text_unhex(hex->u.text, hex->len, bytes))
		return wrong_node(hex, path, "pairs of hexadecimal digits", why);
	*out = bytes;
	*len = hex->len / 2;
	return 1;
}

/* A member that is an integer of 0..max. */
static int member_u64(const json_node *object, const char *name, uint64_t max, uint64_t *out,
		      text_error *why)
{
	const json_node *m = json_get(object, name);
	char expected[64];

	if (m == NULL)
		return set_why(why, object, "%s: expected an integer, the member is missing", name);
	if (json_u64(m, out) && *out <= max)
		return 1;
	(void)snprintf(expected, sizeof expected, "an integer of 0..%" PRIu64, max);
	return wrong_node(m, name, expected, why);
}

/* -- fixed headers, both ways ---------------------------------------------------------------- */

static int fixed_decode(const struct fixed *k, const void *src, size_t len, json_writer *w,
			text_error *why)
{
	fixed_record r;
	via_flaw flaw;
	uint32_t i;

	memset(&r, 0, sizeof r);
	if (k->decode(src, len, &r, &flaw) != VIA_OK)
		return set_flaw(why, &flaw);
	json_open(w, '{');
	for (i = 0; i < k->n_fields; i++) {
		json_key(w, k->fields[i].name);
		json_put_u64(w, get_field(&r, &k->fields[i]));
	}
	if (len > k->bytes) {
		json_key(w,
			 "ignored_bytes"); /* behind the record: a receiver does not look at them */
		json_put_u64(w, len - k->bytes);
	}
	json_close(w, '}');
	return CLI_OK;
}

static int fixed_encode(const struct fixed *k, const json_node *root, buf *out, text_error *why)
{
	const char *names[MAX_FIELDS];
	uint8_t bytes[64];
	fixed_record r, again;
	via_flaw flaw;
	uint64_t v;
	uint32_t i;

	for (i = 0; i < k->n_fields; i++)
		names[i] = k->fields[i].name;
	names[i++] = "ignored_bytes";
	if (!known_members(root, k->name, names, i, why))
		return CLI_FAILED;
	memset(&r, 0, sizeof r);
	for (i = 0; i < k->n_fields; i++) {
		const field *f = &k->fields[i];

		if (f->is_const && json_get(root, f->name) == NULL)
			continue;
		if (!member_u64(root, f->name,
				f->size == 8 ? UINT64_MAX : (1ull << f->size * 8) - 1, &v, why))
			return CLI_FAILED;
		if (!f->is_const) {
			set_field(&r, f, v);
		} else if (v != f->value) {
			set_why(why, json_get(root, f->name),
				"%s: expected %" PRIu32 ", found %" PRIu64, f->name, f->value, v);
			return CLI_FAILED;
		}
	}
	k->encode(&r, bytes);
	if (k->decode(bytes, k->bytes, &again, &flaw) != VIA_OK)
		return set_flaw(why, &flaw); /* values that no peer would take */
	buf_put(out, bytes, k->bytes);
	return CLI_OK;
}

/* -- batches --------------------------------------------------------------------------------- */

static int batch_decode(uint32_t n, const void *src, size_t len, json_writer *w, text_error *why)
{
	const void *item;
	uint32_t item_len, i;
	via_flaw flaw;

	if (via_wire_batch_check(src, len, n, &flaw) != VIA_OK)
		return set_flaw(why, &flaw);
	json_open(w, '{');
	json_key(w, "payload_len");
	json_put_u64(w, len);
	json_key(w, "items");
	json_open(w, '[');
	for (i = 0; i < n; i++) {
		if (via_wire_batch_item(src, len, n, i, &item, &item_len, &flaw) != VIA_OK)
			return set_flaw(why, &flaw);
		json_open(w, '{');
		json_key(w, "offset");
		json_put_u64(w,
			     (uint64_t)((const uint8_t *)item - (const uint8_t *)src) - 8ull * n);
		json_key(w, "length");
		json_put_u64(w, item_len);
		json_key(w, "bytes");
		json_put_hex(w, item, item_len);
		json_close(w, '}');
	}
	json_close(w, ']');
	json_close(w, '}');
	return CLI_OK;
}

static int add_item(via_wire_batch *b, json_doc *doc, const json_node *item, uint32_t i,
		    text_error *why)
{
	static const char *const names[] = {"offset", "length", "bytes"};
	const json_node *bytes, *length = json_get(item, "length");
	char path[48];
	const void *p;
	uint64_t v;
	size_t len;

	(void)snprintf(path, sizeof path, "items[%" PRIu32 "]", i);
	if (!known_members(item, path, names, 3, why))
		return 0;
	bytes = json_get(item, "bytes");
	if (bytes == NULL)
		return set_why(why, item, "%s: expected a member \"bytes\"", path);
	if (!node_bytes(doc, bytes, path, &p, &len, why))
		return 0;
	if (length != NULL && (!json_u64(length, &v) || v != len)) {
		(void)snprintf(path, sizeof path, "items[%" PRIu32 "].length", i);
		return set_why(why, length,
			       "%s: expected %zu, the number of bytes, or no such member", path,
			       len);
	}
	if (via_wire_batch_add(b, p, (uint32_t)len) != VIA_OK)
		return set_why(why, item, "%s: does not fit the payload", path);
	return 1;
}

/* The builder pads behind the last item only if there is room: payload_len tells how it was. */
static int batch_encode(uint32_t n, json_doc *doc, buf *out, text_error *why)
{
	static const char *const names[] = {"payload_len", "items"};
	const json_node *items, *m;
	uint64_t cap = INPUT_MAX, used;
	via_wire_batch b;
	uint32_t i = 0;
	void *room;
	int ok;

	if (!known_members(doc->root, "batch", names, 2, why))
		return CLI_FAILED;
	items = json_get(doc->root, "items");
	if (items == NULL || items->type != JSON_ARRAY || items->len != n) {
		set_why(why, items != NULL ? items : doc->root,
			"items: expected an array of %" PRIu32 " items, found %" PRIu32, n,
			items != NULL && items->type == JSON_ARRAY ? items->len : 0);
		return CLI_FAILED;
	}
	if (json_get(doc->root, "payload_len") != NULL &&
	    !member_u64(doc->root, "payload_len", INPUT_MAX, &cap, why))
		return CLI_FAILED;
	room = malloc(cap + 8);
	if (room == NULL)
		return set_why(why, NULL, "no memory"), CLI_FAILED;
	ok = via_wire_batch_begin(&b, room, cap, n) == VIA_OK ||
	     set_why(why, doc->root, "payload_len: the directory does not fit");
	for (m = items->u.first; ok && m != NULL; m = m->next)
		ok = add_item(&b, doc, m, i++, why);
	if (ok) {
		used = via_wire_batch_finish(&b);
		buf_put(out, room, (size_t)used);
	}
	free(room);
	return ok ? CLI_OK : CLI_FAILED;
}

/* -- a kind ---------------------------------------------------------------------------------- */

static int unknown_kind(const char *text)
{
	static const char *const names[] = {"header",        "chunk",   "hello",
					    "hello-ack",     "batch:N", "CODEC:request",
					    "CODEC:response"};
	const char *near = text_nearest(text, names, 4);

	if (near != NULL)
		return cli_fail(CLI_USAGE, "unknown KIND '%s'; did you mean '%s'?", text, near);
	return cli_fail(CLI_USAGE,
			"unknown KIND '%s': expected header, chunk, hello, hello-ack, batch:N, "
			"CODEC:request or CODEC:response",
			text);
}

static int open_codec(const char *text, const char *colon, const char *module_path, kind *out)
{
	char name[128];
	via_rc rc;
	int status;

	if ((size_t)(colon - text) >= sizeof name || colon == text)
		return unknown_kind(text);
	if (strcmp(colon, ":request") != 0 && strcmp(colon, ":response") != 0)
		return cli_fail(CLI_USAGE, "KIND '%s': expected request or response behind ':'",
				text);
	memcpy(name, text, (size_t)(colon - text));
	name[colon - text] = '\0';
	status = open_registry(module_path, 0, &out->registry);
	if (status != CLI_OK)
		return status;
	out->ref.struct_size = sizeof out->ref;
	rc = via_registry_acquire(out->registry, VIA_KIND_CODEC, name, 0, &out->ref);
	if (rc != VIA_OK) {
		status = cli_fail_rc(rc, name);
		(void)via_registry_close(out->registry);
		return status;
	}
	out->type = KIND_RECORD;
	out->codec = out->ref.vtable;
	out->side = strcmp(colon, ":request") == 0 ? VIA_SIDE_REQUEST : VIA_SIDE_RESPONSE;
	return CLI_OK;
}

int kind_open(const char *text, const char *module_path, kind *out)
{
	const char *colon = strrchr(text, ':');
	uint64_t n;
	size_t i;

	memset(out, 0, sizeof *out);
	for (i = 0; i < N_FIXED; i++) {
		if (strcmp(text, fixed_kinds[i].name) == 0) {
			out->type = KIND_FIXED;
			out->fixed = &fixed_kinds[i];
			return CLI_OK;
		}
	}
	if (strncmp(text, "batch:", 6) == 0) {
		if (!text_u64(text + 6, &n) || n > INPUT_MAX / 8)
			return cli_fail(CLI_USAGE,
					"KIND '%s': expected a number of items of 0..%u behind ':'",
					text, INPUT_MAX / 8);
		out->type = KIND_BATCH;
		out->n_items = (uint32_t)n;
		return CLI_OK;
	}
	return colon != NULL ? open_codec(text, colon, module_path, out) : unknown_kind(text);
}

void kind_close(kind *k)
{
	if (k->registry == NULL)
		return;
	via_registry_release(k->registry, &k->ref);
	(void)via_registry_close(k->registry);
	k->registry = NULL;
}

int kind_decode(const kind *k, const void *src, size_t len, json_writer *w, text_error *why)
{
	via_flaw flaw;
	via_rc rc;

	if (k->type == KIND_FIXED)
		return fixed_decode(k->fixed, src, len, w, why);
	if (k->type == KIND_BATCH)
		return batch_decode(k->n_items, src, len, w, why);
	rc = k->codec->check(k->side, src, len, &flaw);
	if (rc < 0)
		return set_flaw(why, &flaw);
	record_write(k->codec, k->side, src, len, (uint32_t)rc, w);
	return CLI_OK;
}

int kind_encode(const kind *k, json_doc *doc, buf *out, text_error *why)
{
	if (k->type == KIND_FIXED)
		return fixed_encode(k->fixed, doc->root, out, why);
	if (k->type == KIND_BATCH)
		return batch_encode(k->n_items, doc, out, why);
	return record_read(k->codec, k->side, doc, out, why) ? CLI_OK : CLI_FAILED;
}
