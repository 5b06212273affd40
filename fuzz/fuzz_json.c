/* fuzz/fuzz_json.c - the JSON reader over any text, and the writer behind it.
 *
 * What the reader takes is written again and read again: the same values in the same order, and
 * written a second time the same bytes. What it refuses has a reason with a place.
 */
#include "tools/lib/buf.c"
#include "tools/lib/json.c"
#include "tools/lib/json_write.c"
#include "tools/lib/text.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int truth)
{
	if (!truth)
		abort();
}

/* Strings and keys that are no plain text change their form when written: left out of the
 * comparison. */
static int write_again(json_writer *w, const json_node *n)
{
	const json_node *m;
	int same = 1;

	switch (n->type) {
	case JSON_STRING:
		json_put_bytes(w, n->u.text, n->len);
		return text_is_plain(n->u.text, n->len);
	case JSON_ARRAY:
	case JSON_OBJECT:
		json_open(w, n->type == JSON_ARRAY ? '[' : '{');
		for (m = n->u.first; m != NULL; m = m->next) {
			if (n->type == JSON_OBJECT) {
				char key[256];

				if (m->key_len >= 200 || !text_is_plain(m->key, m->key_len))
					return 0;
				memcpy(key, m->key, m->key_len);
				key[m->key_len] = '\0';
				json_key(w, key);
			}
			same &= write_again(w, m);
		}
		json_close(w, n->type == JSON_ARRAY ? ']' : '}');
		return same;
	case JSON_NUMBER:
		json_put_f64(w, strtod(n->u.text,
				       NULL)); /* the text goes on behind the number: no digit */
		return 1;
	case JSON_NULL:
		json_put_text(w, "null");
		return 0;
	default:
		json_put_bool(w, n->type == JSON_TRUE);
		return 1;
	}
}

static void round_trip(const json_node *root, uint32_t lines)
{
	buf first = {0}, second = {0};
	json_writer a = {.out = &first, .lines = lines}, b = {.out = &second, .lines = lines};
	text_error why;
	json_doc doc;

	if (write_again(&a, root)) {
		require(!first.failed && json_parse(first.data, first.len, &doc, &why) == 0);
		require(doc.root->type == root->type || root->type == JSON_NUMBER);
		(void)write_again(&b, doc.root);
		require(first.len == second.len && memcmp(first.data, second.data, first.len) == 0);
		json_free(&doc);
	}
	buf_free(&first);
	buf_free(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	text_error why = {0};
	json_doc doc;
	uint64_t u;
	int64_t i;
	double d;

	if (json_parse((const char *)data, size, &doc, &why) != 0) {
		require(why.line >= 1 && why.column >= 1 && why.text[0] != '\0');
		return 0;
	}
	if (json_u64(doc.root, &u) && json_i64(doc.root, &i))
		require((int64_t)u == i && json_f64(doc.root, &d));
	/* strtod needs something behind the last number that is no digit */
	if (size != 0 && (data[size - 1] == ']' || data[size - 1] == '}')) {
		round_trip(doc.root, 0);
		round_trip(doc.root, 2);
	}
	json_free(&doc);
	return 0;
}
