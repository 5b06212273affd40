/* fuzz/fuzz_codecs.c - arbitrary bytes as messages of methods 1, 2 and 3.
 *
 * Input: one byte that selects codec and side, then the payload. What is refused must say why; what
 * is accepted must be readable to the last byte, and survive being written anew: the typed and the
 * generic builder give the same bytes, and those give the same bytes again.
 *
 * The modules are compiled in: a fuzzer sees no coverage in libraries that are loaded later.
 */
#define VIA_BUILTIN
#include "codecs/cgroups-snapshot/cgroups_snapshot.c" /* NOLINT(bugprone-suspicious-include) */
#include "codecs/increment/increment.c"               /* NOLINT(bugprone-suspicious-include) */
#include "codecs/string-reverse/string_reverse.c"     /* NOLINT(bugprone-suspicious-include) */

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ROOM (1u << 20)
#define MAX_INPUT 16384u /* entries may share one item: reading all is quadratic, and only slower */

/* Not assert(): this has to hold in every build. */
#define MUST(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "fuzz_codecs.c:%d: %s\n", __LINE__, #condition); \
			abort(); \
		} \
	} while (0)

struct message {
	const via_codec *codec;
	uint32_t side;
	const uint8_t *bytes;
	uint64_t len;
	via_rc rows;
};

/* Reads every byte that the values show, and the NUL behind each string. */
static uint64_t touch(const via_value *values, const via_column *columns, uint32_t n)
{
	const uint8_t *p;
	uint64_t sum = 0, k;
	uint32_t i;

	for (i = 0; i < n; i++) {
		MUST(values[i].type == columns[i].type && values[i].id == i);
		if (values[i].type != VIA_T_STR) {
			sum = sum * 31 + values[i].v.u64;
			continue;
		}
		p = (const uint8_t *)values[i].v.ptr;
		for (k = 0; k < values[i].len; k++)
			sum = sum * 31 + p[k];
		MUST(p[k] == 0);
	}
	return sum;
}

static uint64_t read_whole(const struct message *m)
{
	const via_shape *shape = &m->codec->side[m->side];
	via_value values[N_ROW];
	uint64_t sum;
	uint32_t i;

	m->codec->head(m->side, m->bytes, m->len, values);
	sum = touch(values, shape->head, shape->n_head);
	for (i = 0; i < (uint32_t)m->rows; i++) {
		m->codec->row(m->side, m->bytes, m->len, i, values);
		sum = sum * 31 + touch(values, shape->row, shape->n_row);
	}
	return sum;
}

/* 0: it is longer than the room. Items that overlap in the input are written apart. */
static uint64_t write_generic(const struct message *m, uint32_t spare, uint8_t *room)
{
	via_value values[N_ROW];
	via_builder b;
	uint64_t used = 0;
	uint32_t i;
	via_rc rc = m->codec->begin(&b, m->side, room, ROOM, (uint32_t)m->rows + spare);

	for (i = 0; rc == VIA_OK && i < (uint32_t)m->rows; i++) {
		m->codec->row(m->side, m->bytes, m->len, i, values);
		rc = m->codec->add_row(&b, values, NULL);
	}
	if (rc == VIA_OK) {
		m->codec->head(m->side, m->bytes, m->len, values);
		rc = m->codec->set_head(&b, values);
	}
	if (rc == VIA_OK)
		rc = m->codec->finish(&b, &used);
	MUST(rc == VIA_OK || rc == VIA_TOOBIG);
	return used;
}

static uint64_t write_snapshot(const struct message *m, uint8_t *room)
{
	via_cgroups_snapshot_view view;
	via_cgroups_snapshot_builder b;
	via_cgroups_item item;
	uint64_t used = 0;
	uint32_t i;
	via_rc rc;

	MUST(via_cgroups_snapshot_check(&view, m->bytes, m->len, NULL) == VIA_OK);
	rc = via_cgroups_snapshot_begin(&b, room, ROOM, view.n_items);
	for (i = 0; rc == VIA_OK && i < view.n_items; i++) {
		MUST(via_cgroups_snapshot_item(&view, i, &item, NULL) == VIA_OK);
		rc = via_cgroups_snapshot_add(&b, &item);
	}
	MUST(rc == VIA_OK || rc == VIA_TOOBIG);
	if (rc != VIA_OK)
		return 0;
	via_cgroups_snapshot_set_header(&b, view.systemd_enabled, view.generation);
	MUST(via_cgroups_snapshot_finish(&b, &used) == VIA_OK);
	return used;
}

static uint64_t write_typed(const struct message *m, uint8_t *room)
{
	via_string_reverse_view text;
	uint64_t value, used = 0;

	if (m->codec == &increment_codec) {
		MUST(via_increment_decode(m->bytes, m->len, &value, NULL) == VIA_OK);
		MUST(via_increment_encode(room, ROOM, value, &used) == VIA_OK);
	} else if (m->codec == &reverse_codec) {
		MUST(via_string_reverse_open(&text, m->bytes, m->len, NULL) == VIA_OK);
		MUST(via_string_reverse_encode(room, ROOM, &text, &used) == VIA_OK);
	} else if (m->side == VIA_SIDE_REQUEST) {
		MUST(via_cgroups_snapshot_request_encode(room, ROOM, &used) == VIA_OK);
	} else {
		used = write_snapshot(m, room);
	}
	return used;
}

static void expect_stable(const struct message *m)
{
	static uint8_t one[ROOM], two[ROOM];
	const uint64_t sum = read_whole(m), used = write_generic(m, 3, one);
	struct message again = *m;

	if (used == 0)
		return;
	MUST(write_typed(m, two) == used && memcmp(one, two, used) == 0);
	again.bytes = one;
	again.len = used;
	again.rows = m->codec->check(m->side, one, used, NULL);
	MUST(again.rows == m->rows && read_whole(&again) == sum);
	MUST(write_generic(&again, 0, two) == used && memcmp(one, two, used) == 0);
}

/* Item by item, on views whose numbers come from the input as well. */
static void probe_items(const uint8_t *bytes, uint64_t len)
{
	via_cgroups_snapshot_view view;
	via_cgroups_item item;
	uint32_t i;

	if (via_cgroups_snapshot_peek(&view, bytes, len, NULL) != VIA_OK) {
		view.bytes = bytes;
		view.len = len;
		view.n_items = len > 0 ? bytes[len - 1] : 1;
	}
	for (i = 0; i < 64; i++) {
		if (via_cgroups_snapshot_item(&view, i, &item, NULL) == VIA_OK)
			MUST(item.name[item.name_len] == 0 && item.path[item.path_len] == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const via_codec *const codecs[] = {&increment_codec, &snapshot_codec,
						  &reverse_codec};
	struct message m;
	via_flaw why;

	if (size == 0 || size > MAX_INPUT)
		return 0;
	m.codec = codecs[(data[0] >> 1) % 3];
	m.side = data[0] & 1;
	m.bytes = data + 1;
	m.len = size - 1;
	memset(&why, 0, sizeof why);
	m.rows = m.codec->check(m.side, m.bytes, m.len, &why);
	if (m.codec == &snapshot_codec && m.side == VIA_SIDE_RESPONSE)
		probe_items(m.bytes, m.len);
	if (m.rows < 0) {
		MUST(m.rows == VIA_PROTO && why.kind != VIA_FLAW_NONE && why.field != NULL);
		MUST(why.offset <= m.len || m.len < VIA_CGROUPS_SNAPSHOT_HEADER);
		return 0;
	}
	MUST(why.kind == VIA_FLAW_NONE);
	expect_stable(&m);
	return 0;
}
