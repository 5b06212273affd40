/* fuzz/fuzz_encode.c - decode and encode of the kinds that need no codec: header, chunk, hello,
 * hello-ack, batch:N. The first byte chooses the kind and the way.
 *
 * Bytes that decode give JSON that encodes to bytes that decode to the same JSON; JSON that
 * encodes gives bytes that decode. Nothing but CLI_OK and CLI_FAILED comes back, and a failure
 * has a reason.
 */
#include "tools/lib/buf.c"
#include "tools/lib/json.c"
#include "tools/lib/json_write.c"
#include "tools/lib/text.c"
#include "tools/viaduct/kinds.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What kinds.c asks of the rest of the program; no codec is opened here. */
void record_write(const via_codec *c, uint32_t side, const void *src, size_t len, uint32_t n_rows,
		  json_writer *w)
{
	(void)c, (void)side, (void)src, (void)len, (void)n_rows, (void)w;
	abort();
}

int record_read(const via_codec *c, uint32_t side, json_doc *doc, buf *out, text_error *why)
{
	(void)c, (void)side, (void)doc, (void)out, (void)why;
	abort();
}

int open_registry(const char *module_path, int verbose, via_registry **out)
{
	(void)module_path, (void)verbose, (void)out;
	abort();
}

int cli_fail(int status, const char *fmt, ...)
{
	(void)fmt;
	return status;
}

int cli_fail_rc(via_rc rc, const char *what)
{
	(void)rc, (void)what;
	return CLI_FAILED;
}

static void require(int truth)
{
	if (!truth)
		abort();
}

static int decoded(const kind *k, const void *src, size_t len, buf *out)
{
	json_writer w = {.out = out};
	text_error why = {0};
	int status = kind_decode(k, src, len, &w, &why);

	require(status == CLI_OK || (status == CLI_FAILED && why.text[0] != '\0' && out->len == 0));
	return status == CLI_OK;
}

static int encoded(const kind *k, const char *text, size_t len, buf *out)
{
	text_error why = {0};
	json_doc doc;
	int status = CLI_FAILED;

	if (json_parse(text, len, &doc, &why) == 0) {
		status = kind_encode(k, &doc, out, &why);
		json_free(&doc);
	}
	require(status == CLI_OK || (status == CLI_FAILED && why.text[0] != '\0'));
	return status == CLI_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	buf text = {0}, bytes = {0}, again = {0};
	kind k = {.type = KIND_BATCH};

	if (size == 0)
		return 0;
	if (data[0] % 8 < N_FIXED) {
		k.type = KIND_FIXED;
		k.fixed = &fixed_kinds[data[0] % 8];
	} else {
		k.n_items = data[0] % 8 - (uint32_t)N_FIXED;
	}
	if ((data[0] & 0x80) != 0) {
		if (encoded(&k, (const char *)data + 1, size - 1, &bytes))
			require(decoded(&k, buf_string(&bytes), bytes.len, &text));
	} else if (decoded(&k, data + 1, size - 1, &text)) {
		/* a batch whose items overlap may need more room than its payload has */
		if (!encoded(&k, text.data, text.len, &bytes)) {
			require(k.type == KIND_BATCH);
		} else {
			require(decoded(&k, buf_string(&bytes), bytes.len, &again));
			require(k.type == KIND_BATCH || size - 1 > k.fixed->bytes ||
				(again.len == text.len &&
				 memcmp(again.data, text.data, text.len) == 0));
		}
	}
	buf_free(&text);
	buf_free(&bytes);
	buf_free(&again);
	return 0;
}
