/* fuzz/fuzz_ini.c - the INI reader and the daemon's configuration over any text.
 *
 * The reader's promises: it ends, every entry has a section, names and values keep their bounds,
 * a fault has a place inside the text, and it says so for ever. The configuration must take or
 * refuse, with a reason, and free what it took.
 */
#include "tools/lib/buf.c"
#include "tools/lib/ini.c"
#include "tools/lib/text.c"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int truth)
{
	if (!truth)
		abort();
}

static void check_entry(const ini_reader *r, int what)
{
	uint32_t code;
	size_t i, n, len = strlen(r->value);

	require(r->section[0] != '\0' && strlen(r->section) < INI_NAME &&
		strlen(r->name) < INI_NAME);
	if (what != INI_KEY)
		return;
	require(r->key[0] != '\0' && strlen(r->key) < INI_NAME && len < INI_VALUE);
	for (i = 0; i < len; i += n) {
		n = text_utf8(r->value + i, len - i, &code);
		require(n != 0 && (code >= 0x20 || code == '\t'));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static ini_reader r;
	size_t n_entries = 0;
	int what;

	ini_begin(&r, (const char *)data, size);
	while ((what = ini_next(&r)) > INI_END) {
		check_entry(&r, what);
		require(++n_entries <= size);
	}
	require(ini_next(&r) == what);
	if (what == INI_BAD)
		require(r.why.line >= 1 && r.why.column >= 1 && r.why.column <= size + 1 &&
			r.why.text[0] != '\0');
	return 0;
}
