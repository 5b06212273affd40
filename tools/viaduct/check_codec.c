/* tools/viaduct/check_codec.c - `viaduct check`: codecs through their generic face.
 *
 * Records are made of values the columns allow. Everything is read and written at the end of memory that is
 * followed by a page nobody may touch, so that one byte too many is a crash, which the program that started
 * this one reports.
 */
#include "check.h"

#include "../lib/sys_probe.h"

#include <stdio.h>
#include <string.h>

enum { ROOM = 65536, ROWS = 3, RECORDS = 8, GUARD = 64, NOISE = 2000, PAIRS = 64 };

typedef struct trial {
	check_child *c;
	const via_codec *codec;
	uint32_t side, n_rows;
	uint64_t which; /* the values */
	uint8_t *record;
	uint64_t len;
	sys_guarded at; /* where it is tried */
} trial;

static const char *side_name(uint32_t side)
{
	return side == VIA_SIDE_REQUEST ? "request" : "response";
}

static int fail(const trial *t, const char *what)
{
	check_tell(t->c->report, CHECK_FAILED, "a %s of %llu bytes with %u rows: %s",
		   side_name(t->side), (unsigned long long)t->len, t->n_rows, what);
	return 0;
}

/* Checks bytes and, if they pass, reads all of them. 1, or 0 with a failed check. */
static int judge(const trial *t, const uint8_t *src, uint64_t len, const char *what)
{
	via_flaw why = {0};
	char text[160];
	via_rc rc = t->codec->check(t->side, src, len, &why);

	if (rc >= 0 && (t->codec->side[t->side].n_row == 0 ? rc == 0 : (uint64_t)rc <= len)) {
		check_read_all(t->codec, t->side, src, len, (uint32_t)rc);
		if (t->codec->check(t->side, src, len, NULL) == rc)
			return 1;
		(void)snprintf(text, sizeof text, "%s: expected the same answer twice", what);
	} else if (rc >= 0) {
		(void)snprintf(text, sizeof text,
			       "%s: expected a number of rows it can hold, found %d", what, rc);
	} else if (rc != VIA_PROTO || why.kind == VIA_FLAW_NONE || why.field == NULL) {
		(void)snprintf(
			text, sizeof text,
			"%s: expected VIA_PROTO with a flaw and its field, found %s, flaw %u", what,
			via_rc_name(rc), why.kind);
	} else if (t->codec->check(t->side, src, len, NULL) != rc) {
		(void)snprintf(text, sizeof text, "%s: expected the same answer without a flaw",
			       what);
	} else {
		return 1;
	}
	return fail(t, text);
}

/* -- there and back -------------------------------------------------------------------------- */

/* Builds the record again from what is read out of it. */
static via_rc copy_record(const trial *t, void *dst, uint64_t cap, uint64_t *used)
{
	const via_shape *shape = &t->codec->side[t->side];
	via_value values[CHECK_COLUMNS], pairs[2 * PAIRS];
	via_builder b = {{0}};
	uint32_t i, k;
	uint64_t n;
	via_rc rc = t->codec->begin(&b, t->side, dst, cap, t->n_rows);

	memset(values, 0, sizeof values);
	memset(pairs, 0, sizeof pairs);
	if (rc >= 0 && shape->n_head != 0) {
		t->codec->head(t->side, t->record, t->len, values);
		rc = t->codec->set_head(&b, values);
	}
	for (i = 0; rc >= 0 && i < t->n_rows; i++) {
		memset(values, 0, sizeof values);
		t->codec->row(t->side, t->record, t->len, i, values);
		for (k = 0; k < shape->n_row; k++) {
			if (values[k].type != VIA_T_PAIRS)
				continue;
			if (values[k].len > PAIRS) /* more than any record here was made of */
				return VIA_PROTO;
			for (n = 0; n < values[k].len; n++)
				t->codec->pair(t->side, t->record, t->len, i, k, (uint32_t)n,
					       &pairs[2 * n]);
		}
		rc = t->codec->add_row(&b, values, pairs);
	}
	return rc >= 0 ? t->codec->finish(&b, used) : rc;
}

static int types_agree(const trial *t, const via_column *columns, uint32_t n,
		       const via_value *found)
{
	char text[160];
	uint32_t i;

	for (i = 0; i < n; i++) {
		if (found[i].type == columns[i].type && found[i].id == i)
			continue;
		(void)snprintf(text, sizeof text,
			       "column %.40s: expected type %u and number %u, found %u and %u",
			       columns[i].name, columns[i].type, i, found[i].type, found[i].id);
		return fail(t, text);
	}
	return 1;
}

static int check_types(const trial *t)
{
	const via_shape *shape = &t->codec->side[t->side];
	via_value values[CHECK_COLUMNS] = {0};

	if (shape->n_head != 0)
		t->codec->head(t->side, t->record, t->len, values);
	if (!types_agree(t, shape->head, shape->n_head, values))
		return 0;
	if (t->n_rows == 0)
		return 1;
	memset(values, 0, sizeof values);
	t->codec->row(t->side, t->record, t->len, 0, values);
	return types_agree(t, shape->row, shape->n_row, values);
}

static int round_trip(const trial *t)
{
	uint8_t *again = t->at.end - ROOM;
	uint64_t used = 0;
	char text[200];
	via_rc rc = t->codec->check(t->side, t->record, t->len, NULL);

	if (rc < 0 || (uint32_t)rc != t->n_rows) {
		(void)snprintf(
			text, sizeof text,
			"expected its own record to be valid with as many rows, found %d (%s)", rc,
			rc < 0 ? via_rc_name(rc) : "rows");
		return fail(t, text);
	}
	if (!check_types(t))
		return 0;
	rc = copy_record(t, again, ROOM, &used);
	if (rc < 0 || used != t->len || memcmp(again, t->record, t->len) != 0) {
		(void)snprintf(
			text, sizeof text,
			"expected the same bytes when its values are encoded again, found %s, %llu "
			"bytes",
			via_rc_name(rc < 0 ? rc : VIA_OK), (unsigned long long)used);
		return fail(t, text);
	}
	return 1;
}

/* -- hostile bytes --------------------------------------------------------------------------- */

static int truncated(const trial *t)
{
	char what[64];
	uint64_t len;

	for (len = 0; len < t->len; len++) {
		(void)snprintf(what, sizeof what, "cut to %llu bytes", (unsigned long long)len);
		memcpy(t->at.end - len, t->record, len);
		if (!judge(t, t->at.end - len, len, what))
			return 0;
	}
	return 1;
}

static int mutated(const trial *t)
{
	static const uint8_t masks[] = {0x01, 0x80, 0xff};
	uint8_t *at = t->at.end - t->len;
	char what[64];
	uint64_t i;
	size_t k;

	memcpy(at, t->record, t->len);
	for (i = 0; i < t->len; i++) {
		for (k = 0; k <= sizeof masks; k++) {
			at[i] = k < sizeof masks ? t->record[i] ^ masks[k] : 0;
			(void)snprintf(what, sizeof what, "byte %llu changed to 0x%02x",
				       (unsigned long long)i, at[i]);
			if (!judge(t, at, t->len, what))
				return 0;
		}
		at[i] = t->record[i];
	}
	if (memcmp(at, t->record, t->len) != 0)
		return fail(t, "expected the bytes it reads to stay as they are");
	return 1;
}

/* -- short room ------------------------------------------------------------------------------ */

static int is_filled(const uint8_t *p, size_t n, uint8_t with)
{
	while (n-- > 0)
		if (*p++ != with)
			return 0;
	return 1;
}

static int short_room(const trial *t)
{
	uint64_t cap, used = 0;
	char text[160];
	uint8_t *at;
	via_rc rc;

	for (cap = 0; cap <= t->len; cap++) {
		at = t->at.end - cap;
		memset(at - GUARD, 0xa5, GUARD);
		rc = check_encode(t->codec, t->side, t->which, t->n_rows, at, cap, &used);
		if (!is_filled(at - GUARD, GUARD, 0xa5)) {
			(void)snprintf(text, sizeof text,
				       "room of %llu bytes: it wrote in front of it",
				       (unsigned long long)cap);
			return fail(t, text);
		}
		if (cap < t->len ? rc == VIA_TOOBIG : rc >= 0 && used == t->len)
			continue;
		(void)snprintf(text, sizeof text, "room of %llu bytes: expected %s, found %s",
			       (unsigned long long)cap, cap < t->len ? "VIA_TOOBIG" : "VIA_OK",
			       via_rc_name(rc));
		return fail(t, text);
	}
	return 1;
}

/* -- a side ---------------------------------------------------------------------------------- */

static int each_record(trial *t, const char *name, int (*fn)(const trial *))
{
	const uint32_t n_rows[] = {0, 1, ROWS};
	const uint32_t n_shapes = t->codec->side[t->side].n_row != 0 ? 3 : 1;
	uint32_t n = 0, i, k;

	check_begin(t->c->report, "%.40s %s", name, side_name(t->side));
	for (i = 0; i < n_shapes; i++) {
		t->n_rows = n_rows[i];
		t->which = 0;
		for (k = 0; k < RECORDS; k++, t->which++, n++) {
			if (!check_find(t->codec, t->side, t->n_rows, &t->which, t->record, ROOM,
					&t->len))
				break;
			if (!fn(t))
				return 0;
		}
	}
	if (n != 0)
		check_tell(t->c->report, CHECK_PASSED, "%u records of %s", n, t->codec->name);
	else
		check_tell(
			t->c->report, CHECK_SKIPPED,
			"%s takes none of the values that were tried: its columns must have a meaning "
			"that cannot be guessed",
			t->codec->name);
	return n != 0;
}

/* Bytes without any sense, and what plain_len promises. */
static void noise(trial *t)
{
	const uint64_t plain =
		VIA_HAS(t->codec, via_codec, plain_len) ? t->codec->plain_len[t->side] : 0;
	uint64_t state = 1, len, i;
	uint8_t *at;
	int n;

	check_begin(t->c->report, "noise %s", side_name(t->side));
	t->n_rows = 0;
	for (n = 0; n < NOISE; n++) {
		len = plain != 0 && n % 2 == 0 && plain < ROOM / 2 ? plain + (uint64_t)n % 16
								   : (uint64_t)n % 300;
		at = t->at.end - len;
		for (i = 0; i < len; i++) {
			state = state * 6364136223846793005u + 1442695040888963407u;
			at[i] = (uint8_t)(state >> 56);
		}
		t->len = len;
		if (!judge(t, at, len, "bytes without sense"))
			return;
		if (plain != 0 && len >= plain && t->codec->check(t->side, at, len, NULL) < 0) {
			(void)fail(t, "plain_len says that bytes of this length are always valid");
			return;
		}
	}
	check_tell(t->c->report, CHECK_PASSED,
		   "%d times bytes without sense: refused with a flaw, or valid", NOISE);
}

static void check_side(trial *t, uint32_t side)
{
	t->side = side;
	if (each_record(t, "round-trip", round_trip)) {
		(void)each_record(t, "truncated", truncated);
		(void)each_record(t, "mutated", mutated);
		(void)each_record(t, "short-room", short_room);
	}
	noise(t);
}

static void check_one(check_child *c, const via_codec *codec)
{
	static uint8_t record[ROOM];
	trial t = {.c = c, .codec = codec, .record = record};
	char why[SYS_WHY];

	check_begin(c->report, "columns");
	if (!check_fits(codec)) {
		check_tell(c->report, CHECK_SKIPPED, "%s has more than %u columns", codec->name,
			   CHECK_COLUMNS);
		return;
	}
	if (!sys_guarded_make(&t.at, ROOM + GUARD, why)) {
		check_tell(c->report, CHECK_FAILED, "expected memory to try it in, found: %s", why);
		return;
	}
	check_tell(c->report, CHECK_PASSED,
		   "%s, method %u: %u and %u of a request, %u and %u of a response", codec->name,
		   codec->method, codec->side[0].n_head, codec->side[0].n_row,
		   codec->side[1].n_head, codec->side[1].n_row);
	check_side(&t, VIA_SIDE_REQUEST);
	check_side(&t, VIA_SIDE_RESPONSE);
	sys_guarded_free(&t.at);
}

void check_codec(check_child *c)
{
	via_ref ref = {.struct_size = sizeof ref};
	via_registry *r;
	uint32_t i;
	via_rc rc;

	check_begin(c->report, "load");
	if (!check_open(c, NULL, VIA_LOAD_COPY, &r))
		return;
	check_forget(c->report);
	for (i = 0; i < c->module.n_components; i++) {
		if (c->module.component[i].kind != VIA_KIND_CODEC)
			continue;
		check_begin(c->report, "load");
		rc = via_registry_acquire(r, VIA_KIND_CODEC, c->module.component[i].id, 0, &ref);
		if (rc != VIA_OK) {
			check_tell(c->report, CHECK_FAILED, "%s", check_error(rc));
			continue;
		}
		check_tell(c->report, CHECK_PASSED, "%s", ((const via_codec *)ref.vtable)->name);
		check_one(c, ref.vtable);
		via_registry_release(r, &ref);
	}
	(void)check_close(c, r);
}
