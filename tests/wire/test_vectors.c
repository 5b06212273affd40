/* tests/wire/test_vectors.c - refused vectors, cut vectors and garbage, for every decoder of wire.h. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

TestSuite(wire_vectors, .timeout = 60);

#define N(array) (sizeof(array) / sizeof(array)[0])

/* -- refused vectors: class as in the table of INDEX.md --------------------------------------- */

typedef via_rc (*decode_fn)(const uint8_t *data, size_t len, via_flaw *why);

static via_rc as_header(const uint8_t *data, size_t len, via_flaw *why)
{
	via_wire_header out;

	return via_wire_header_decode(data, len, &out, why);
}

static via_rc as_chunk(const uint8_t *data, size_t len, via_flaw *why)
{
	via_wire_chunk out;

	return via_wire_chunk_decode(data, len, &out, why);
}

static via_rc as_hello(const uint8_t *data, size_t len, via_flaw *why)
{
	via_wire_hello out;

	return via_wire_hello_decode(data, len, &out, why);
}

static via_rc as_ack(const uint8_t *data, size_t len, via_flaw *why)
{
	via_wire_ack out;

	return via_wire_ack_decode(data, len, &out, why);
}

/* The vector is the directory alone; its packed area is 16 bytes. */
static via_rc as_directory(const uint8_t *data, size_t len, via_flaw *why)
{
	uint8_t *payload = malloc(len + 16);
	via_rc rc;

	cr_assert_not_null(payload);
	memcpy(payload, data, len);
	memset(payload + len, 0, 16);
	rc = via_wire_batch_check(payload, len + 16, 2, why);
	free(payload);
	return rc;
}

static via_rc as_item(const uint8_t *data, size_t len, uint32_t index, via_flaw *why)
{
	const void *item;
	uint32_t item_len;

	return via_wire_batch_item(data, len, 2, index, &item, &item_len, why);
}

static via_rc as_item_0(const uint8_t *data, size_t len, via_flaw *why)
{
	return as_item(data, len, 0, why);
}

static via_rc as_item_1(const uint8_t *data, size_t len, via_flaw *why)
{
	return as_item(data, len, 1, why);
}

static via_rc as_item_2(const uint8_t *data, size_t len, via_flaw *why)
{
	return as_item(data, len, 2, why);
}

static const struct {
	const char *decoder; /* as INDEX.md calls it */
	decode_fn fn;
} decoders[] = {
	{"outer header", as_header},
	{"chunk header", as_chunk},
	{"batch directory, item_count 2, packed area 16", as_directory},
	{"batch item extraction, item_count 2, index 0", as_item_0},
	{"batch item extraction, item_count 2, index 1", as_item_1},
	{"batch item extraction, item_count 2, index 2", as_item_2},
	{"HELLO", as_hello},
	{"HELLO_ACK", as_ack},
};

static const struct {
	const char *name, *decoder, *class;
} refused[] = {
	{"hdr-truncated-31", "outer header", "TRUNCATED"},
	{"hdr-byteswapped-magic", "outer header", "BAD_MAGIC"},
	{"hdr-version-2", "outer header", "BAD_VERSION"},
	{"hdr-header-len-0", "outer header", "BAD_HEADER_LEN"},
	{"hdr-header-len-33", "outer header", "BAD_HEADER_LEN"},
	{"hdr-kind-0", "outer header", "BAD_KIND"},
	{"hdr-kind-4", "outer header", "BAD_KIND"},
	{"hdr-kind-65535", "outer header", "BAD_KIND"},
	{"hdr-order-magic-first", "outer header", "BAD_MAGIC"},
	{"hdr-order-version-second", "outer header", "BAD_VERSION"},
	{"hdr-order-header-len-third", "outer header", "BAD_HEADER_LEN"},
	{"chunk-truncated-31", "chunk header", "TRUNCATED"},
	{"chunk-bad-magic", "chunk header", "BAD_MAGIC"},
	{"chunk-version-2", "chunk header", "BAD_VERSION"},
	{"chunk-flags-1", "chunk header", "BAD_LAYOUT"},
	{"chunk-payload-len-0", "chunk header", "BAD_LAYOUT"},
	{"batchdir-unaligned", "batch directory, item_count 2, packed area 16", "BAD_ALIGNMENT"},
	{"batchdir-oob", "batch directory, item_count 2, packed area 16", "OUT_OF_BOUNDS"},
	{"batchdir-offset-overflow", "batch directory, item_count 2, packed area 16",
	 "OUT_OF_BOUNDS"},
	{"batchitem-index-eq-count", "batch item extraction, item_count 2, index 2",
	 "OUT_OF_BOUNDS"},
	{"batchitem-dir-truncated", "batch item extraction, item_count 2, index 0", "TRUNCATED"},
	{"batchitem-oob", "batch item extraction, item_count 2, index 1", "OUT_OF_BOUNDS"},
	{"hello-layout-0", "HELLO", "BAD_LAYOUT"},
	{"hello-reserved", "HELLO", "BAD_LAYOUT"},
	{"ack-truncated-47", "HELLO_ACK", "TRUNCATED"},
	{"ack-layout-2", "HELLO_ACK", "BAD_LAYOUT"},
	{"ack-flags", "HELLO_ACK", "BAD_LAYOUT"},
};

static decode_fn decoder_named(const char *name)
{
	size_t i;

	for (i = 0; i < N(decoders); i++) {
		if (strcmp(decoders[i].decoder, name) == 0)
			return decoders[i].fn;
	}
	return NULL;
}

Test(wire_vectors, refused_with_their_class)
{
	decode_fn fn;
	via_flaw why;
	size_t i;

	for (i = 0; i < N(refused); i++) {
		vec v = check_vec("invalid", refused[i].name);

		fn = decoder_named(refused[i].decoder);
		cr_assert_not_null(fn, "no decoder '%s'", refused[i].decoder);
		why = (via_flaw){0};
		cr_expect_eq(fn(v.data, v.len, &why), VIA_PROTO, "%s is accepted", refused[i].name);
		cr_expect_str_eq(via_flaw_name(why.kind), refused[i].class,
				 "%s: expected %s, found %s", refused[i].name, refused[i].class,
				 via_flaw_name(why.kind));
		cr_expect_eq(fn(v.data, v.len, NULL), VIA_PROTO);
		vec_free(&v);
	}
}

/* Cuts "| `name` | 32 | decoder | class | reason |" into its cells. 0 unless it is such a row. */
static int cut_row(char *line, char *cells[5])
{
	int n = 0;
	char *end;

	if (strncmp(line, "| `", 3) != 0)
		return 0;
	line += 2;
	while (n < 5 && (end = strstr(line, " |")) != NULL) {
		*end = '\0';
		cells[n++] = line;
		line = end + 2 + (end[2] == ' ');
	}
	return n == 5;
}

/* The table above is INDEX.md's, as far as its decoders are ours. */
Test(wire_vectors, the_table_is_the_index)
{
	char *text, *line, *cells[5], name[64];
	size_t len, i;
	int n = 0;

	text = vec_text("INDEX.md", &len);
	cr_assert_not_null(text, "%s", vec_error());
	line = strstr(text, "\n## invalid/");
	cr_assert_not_null(line);
	for (line = strtok(line, "\n"); line != NULL; line = strtok(NULL, "\n")) {
		if (strncmp(line, "## lenient/", 11) == 0)
			break;
		if (!cut_row(line, cells) || decoder_named(cells[2]) == NULL)
			continue;
		for (i = 0; i < N(refused); i++) {
			snprintf(name, sizeof name, "`%s`", refused[i].name);
			if (strcmp(name, cells[0]) == 0)
				break;
		}
		cr_assert_lt(i, N(refused), "%s is in INDEX.md only", cells[0]);
		cr_expect_str_eq(refused[i].decoder, cells[2], "%s", cells[0]);
		cr_expect_str_eq(refused[i].class, cells[3], "%s", cells[0]);
		n++;
	}
	cr_assert_eq(n, (int)N(refused));
	free(text);
}

Test(wire_vectors, every_file_is_in_the_table)
{
	static const char *const prefixes[] = {"hdr-",       "chunk-", "batchdir-",
					       "batchitem-", "hello-", "ack-"};
	size_t i;
	int n = 0;

	for (i = 0; i < N(prefixes); i++)
		n += check_count("invalid", prefixes[i]);
	cr_assert_eq(n, (int)N(refused));
}

/* -- no decoder looks past the end ------------------------------------------------------------ */

struct outcome { /* everything that a run over the same bytes must repeat */
	via_rc rc[64];
	via_flaw why[64];
	uint64_t item_at[64];
	uint32_t item_len[64];
	via_wire_header header;
	via_wire_chunk chunk;
	via_wire_hello hello, first;
	via_wire_ack ack, answer;
	uint16_t status;
	int has_directory;
};

static void run_batch(const uint8_t *data, size_t len, struct outcome *o, size_t *slot)
{
	static const uint32_t counts[] = {0, 1, 2, 3, 8, 64, 0x20000000, UINT32_MAX};
	const void *item;
	uint32_t index;
	size_t i, k;

	for (i = 0; i < N(counts); i++) {
		k = (*slot)++;
		o->rc[k] = via_wire_batch_check(data, len, counts[i], &o->why[k]);
		for (index = 0; index < 3; index++) {
			k = (*slot)++;
			item = data;
			o->rc[k] = via_wire_batch_item(data, len, counts[i], index, &item,
						       &o->item_len[k], &o->why[k]);
			o->item_at[k] = (uint64_t)((const uint8_t *)item - data);
			if (o->rc[k] == VIA_OK &&
			    (o->item_at[k] > len || o->item_len[k] > len - o->item_at[k]))
				cr_assert_fail("item outside the payload");
		}
	}
	o->has_directory = via_wire_batch_has_directory(data, len);
}

static void run_all(const uint8_t *data, size_t len, struct outcome *o)
{
	size_t slot = 6, i;

	memset(o, 0, sizeof *o);
	o->rc[0] = via_wire_header_decode(data, len, &o->header, &o->why[0]);
	o->rc[1] = via_wire_chunk_decode(data, len, &o->chunk, &o->why[1]);
	o->rc[2] = via_wire_hello_decode(data, len, &o->hello, &o->why[2]);
	o->rc[3] = via_wire_ack_decode(data, len, &o->ack, &o->why[3]);
	o->rc[4] = via_wire_hello_inspect(data, len, &o->first, &o->why[4]);
	o->rc[5] = via_wire_ack_inspect(data, len, &o->answer, &o->status, &o->why[5]);
	run_batch(data, len, o, &slot);
	for (i = 0; i < slot; i++) {
		if (i == 4 || (i == 5 && o->rc[5] == VIA_REFUSED))
			continue;
		if (o->rc[i] != VIA_OK &&
		    (o->rc[i] != VIA_PROTO || o->why[i].kind == VIA_FLAW_NONE))
			cr_assert_fail("decoder %zu: %d without a reason", i, o->rc[i]);
	}
}

/* Runs everything on exactly len bytes, then twice more with bytes behind that must not matter. */
static void check_no_overread(const char *name, const uint8_t *data, size_t len)
{
	uint8_t *exact = check_copy(data, len), *more = malloc(len + 128);
	struct outcome want, got;

	cr_assert_not_null(more);
	run_all(exact, len, &want);
	memcpy(more, exact, len);
	memset(more + len, 0x00, 128);
	run_all(more, len, &got);
	if (memcmp(&want, &got, sizeof want) != 0)
		cr_assert_fail("%s cut to %zu: depends on what follows", name, len);
	memset(more + len, 0xff, 128);
	run_all(more, len, &got);
	if (memcmp(&want, &got, sizeof want) != 0)
		cr_assert_fail("%s cut to %zu: depends on what follows", name, len);
	free(more);
	free(exact);
}

static int cut_everywhere(void *arg, const char *name)
{
	vec v = check_vec(arg, name);
	size_t len;

	for (len = 0; len <= v.len; len++)
		check_no_overread(name, v.data, len);
	vec_free(&v);
	return 0;
}

Test(wire_vectors, valid_cut_at_every_length)
{
	cr_assert_gt(vec_list("valid", cut_everywhere, "valid"), 90, "%s", vec_error());
}

Test(wire_vectors, others_cut_at_every_length)
{
	static char folders[][8] = {"invalid", "lenient", "interop", "live"};
	size_t i;

	for (i = 0; i < N(folders); i++)
		cr_assert_gt(vec_list(folders[i], cut_everywhere, folders[i]), 20, "%s",
			     vec_error());
}

Test(wire_vectors, empty_zero_and_garbage)
{
	uint32_t seed = 0x9e3779b9, round, i;
	uint8_t bytes[160];
	size_t len;

	memset(bytes, 0, sizeof bytes);
	for (len = 0; len <= sizeof bytes; len++)
		check_no_overread("zeros", bytes, len);
	memset(bytes, 0xff, sizeof bytes);
	for (len = 0; len <= sizeof bytes; len++)
		check_no_overread("ones", bytes, len);
	for (round = 0; round < 4000; round++) {
		for (i = 0; i < sizeof bytes; i++)
			bytes[i] = (uint8_t)(check_random(&seed) >> 8);
		if (round & 1) { /* far enough to meet the later checks */
			check_put32(bytes, 0, round & 2 ? VIA_WIRE_MAGIC : VIA_WIRE_CHUNK_MAGIC);
			check_put32(bytes, 4, round & 2 ? 0x00200001 : 1);
			check_put16(bytes, 8, 3);
			check_put16(bytes, 12, 1 + (round >> 2 & 1));
			check_put16(bytes, 14, 0);
			check_put32(bytes, 32, 1);
		}
		check_no_overread("garbage", bytes, check_random(&seed) % (sizeof bytes + 1));
	}
}

/* -- the reader of the vectors itself --------------------------------------------------------- */

Test(wire_vectors, reader)
{
	static const char text[] = "# a comment with ff in it\n00 Ff 7a?? # 0x0000\n\r\n\t10\n";
	static const uint8_t same[] = {0x00, 0xff, 0x7a, 0x99, 0x10};
	vec v;

	cr_assert_eq(vec_parse(text, sizeof text - 1, "text", &v), 0, "%s", vec_error());
	cr_assert_eq(v.len, 5);
	cr_assert(vec_equal(&v, same, 5), "a wildcard matches anything");
	cr_assert_eq(vec_difference(&v, same, 4), 4, "a prefix differs at its end");
	cr_assert_eq(vec_difference(&v, "\x00\xff\x7a\x99\x11", 5), 4);
	vec_free(&v);
	cr_assert_eq(vec_parse("# empty\n", 8, "text", &v), 0);
	cr_assert_eq(v.len, 0);
	vec_free(&v);
	cr_assert_eq(vec_parse("00\n0", 4, "half", &v), -1);
	cr_assert_str_eq(vec_error(), "half, line 2: expected two hex digits or ??");
	cr_assert_eq(vec_parse("0g", 2, "text", &v), -1);
	cr_assert_eq(vec_load("valid", "no-such-vector", &v), -1);
	cr_assert_eq(vec_list("no-such-folder", NULL, NULL), -1);
	v = check_vec("live", "shm-header-fresh-1000-5000");
	cr_assert_eq(v.mask[7], 0xff);
	cr_assert_eq(v.mask[8], 0);
	vec_free(&v);
}
