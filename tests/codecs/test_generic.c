/* tests/codecs/test_generic.c - the vtables: columns, values, what builders refuse and when. */
#include "rig.h"

#include <criterion/criterion.h>

TestSuite(codec_generic, .timeout = 30);

/* -- shape ------------------------------------------------------------------------------------ */

static void expect_columns(const via_column *columns, uint32_t n, const via_column *want,
			   uint32_t n_want)
{
	uint32_t i;

	cr_assert_eq(n, n_want);
	for (i = 0; i < n; i++) {
		cr_expect_str_eq(columns[i].name, want[i].name);
		cr_expect_eq(columns[i].type, want[i].type, "%s", want[i].name);
		cr_expect_eq(columns[i].flags, want[i].flags, "%s", want[i].name);
	}
}

Test(codec_generic, columns)
{
	static const via_column value[] = {{"value", VIA_T_U64, 0}};
	static const via_column text[] = {{"text", VIA_T_STR, 0}};
	static const via_column head[] = {{"systemd_enabled", VIA_T_U64, 0},
					  {"generation", VIA_T_U64, 0}};
	static const via_column row[] = {{"hash", VIA_T_U64, VIA_COL_KEY},
					 {"name", VIA_T_STR, VIA_COL_KEY},
					 {"options", VIA_T_U64, 0},
					 {"enabled", VIA_T_U64, 0},
					 {"path", VIA_T_STR, 0}};
	const via_codec *c = rig_codec(RIG_INCREMENT);
	uint32_t side;

	for (side = 0; side < 2; side++) {
		expect_columns(c->side[side].head, c->side[side].n_head, value, 1);
		cr_expect_eq(c->side[side].n_row, 0);
	}
	c = rig_codec(RIG_REVERSE);
	for (side = 0; side < 2; side++) {
		expect_columns(c->side[side].head, c->side[side].n_head, text, 1);
		cr_expect_eq(c->side[side].n_row, 0);
	}
	c = rig_codec(RIG_SNAPSHOT);
	cr_expect_eq(c->side[VIA_SIDE_REQUEST].n_head, 0);
	cr_expect_eq(c->side[VIA_SIDE_REQUEST].n_row, 0);
	expect_columns(c->side[VIA_SIDE_RESPONSE].head, c->side[VIA_SIDE_RESPONSE].n_head, head, 2);
	expect_columns(c->side[VIA_SIDE_RESPONSE].row, c->side[VIA_SIDE_RESPONSE].n_row, row, 5);
}

/* -- reading ---------------------------------------------------------------------------------- */

/* Every value has its column's type and number, so that nobody has to ask the shape twice. */
Test(codec_generic, values_match_their_columns)
{
	const struct rig_payload *p;
	const via_shape *shape;
	const via_codec *c;
	via_value values[8];
	uint8_t *bytes;
	uint64_t len;
	uint32_t i, k, row;
	via_rc rows;

	for (i = 0; i < n_rig_canonical; i++) {
		p = &rig_canonical[i];
		c = rig_codec(p->module);
		shape = &c->side[p->side];
		bytes = rig_load(p, &len);
		rows = c->check(p->side, bytes, len, NULL);
		cr_assert_geq(rows, 0, "%s", p->vector);
		memset(values, 0xEE, sizeof values);
		c->head(p->side, bytes, len, values);
		for (k = 0; k < shape->n_head; k++) {
			cr_expect_eq(values[k].type, shape->head[k].type, "%s", p->vector);
			cr_expect_eq(values[k].id, k, "%s", p->vector);
		}
		cr_expect_eq(values[shape->n_head].type, 0xEEEEEEEE, "%s", p->vector);
		for (row = 0; row < (uint32_t)rows; row++) {
			memset(values, 0xEE, sizeof values);
			c->row(p->side, bytes, len, row, values);
			for (k = 0; k < shape->n_row; k++) {
				cr_expect_eq(values[k].type, shape->row[k].type, "%s", p->vector);
				cr_expect_eq(values[k].id, k, "%s", p->vector);
			}
			cr_expect_eq(values[shape->n_row].type, 0xEEEEEEEE, "%s", p->vector);
		}
		free(bytes);
	}
}

Test(codec_generic, snapshot_values)
{
	const struct rig_payload p = {"valid", "snapshot-resp-3", 0,
				      0,       RIG_SNAPSHOT,      VIA_SIDE_RESPONSE};
	const via_codec *c = rig_codec(RIG_SNAPSHOT);
	via_value v[5];
	uint64_t len;
	uint8_t *bytes = rig_load(&p, &len);

	cr_assert_eq(c->check(p.side, bytes, len, NULL), 3);
	c->head(p.side, bytes, len, v);
	cr_expect_eq(v[0].v.u64, 1);
	cr_expect_eq(v[1].v.u64, 999);
	c->row(p.side, bytes, len, 2, v);
	cr_expect_eq(v[0].v.u64, UINT32_MAX);
	cr_assert_eq(v[1].len, 24);
	cr_expect_eq(memcmp(v[1].v.ptr, "long-name-of-a-container", 25), 0);
	cr_expect_eq(v[2].v.u64, UINT32_MAX);
	cr_expect_eq(v[3].v.u64, UINT32_MAX);
	cr_assert_eq(v[4].len, 58);
	c->row(p.side, bytes, len, 3, v); /* a row that is not there: empty, not a crash */
	cr_expect_eq(v[0].v.u64, 0);
	cr_expect_eq(v[1].len, 0);
	cr_expect_eq(v[4].len, 0);
	cr_expect_not_null(v[4].v.ptr);
	free(bytes);
}

Test(codec_generic, a_side_that_is_not_there)
{
	static const uint8_t bytes[32] = {1};
	via_builder b;
	uint8_t room[64];
	int m;

	for (m = RIG_INCREMENT; m <= RIG_SNAPSHOT; m++) {
		cr_expect_eq(rig_codec(m)->check(2, bytes, sizeof bytes, NULL), VIA_INVAL);
		cr_expect_eq(rig_codec(m)->begin(&b, 2, room, sizeof room, 0), VIA_INVAL);
		cr_expect_eq(rig_codec(m)->begin(&b, VIA_SIDE_RESPONSE, NULL, 64, 0), VIA_INVAL);
		cr_expect_eq(rig_codec(m)->set_head(&b, NULL), VIA_STATE);
		cr_expect_eq(rig_codec(m)->add_row(&b, NULL, NULL), VIA_STATE);
	}
}

Test(codec_generic, what_has_no_rows_shows_none)
{
	static const uint8_t bytes[16] = {1};
	via_value v[5], before[5];

	memset(v, 0xEE, sizeof v);
	memcpy(before, v, sizeof before);
	rig_codec(RIG_INCREMENT)->row(VIA_SIDE_REQUEST, bytes, sizeof bytes, 0, v);
	rig_codec(RIG_REVERSE)->row(VIA_SIDE_RESPONSE, bytes, sizeof bytes, 0, v);
	rig_codec(RIG_SNAPSHOT)->row(VIA_SIDE_REQUEST, bytes, sizeof bytes, 0, v);
	rig_codec(RIG_SNAPSHOT)->head(VIA_SIDE_REQUEST, bytes, sizeof bytes, v);
	cr_expect_eq(memcmp(v, before, sizeof v), 0);
	rig_codec(RIG_SNAPSHOT)->row(VIA_SIDE_RESPONSE, bytes, sizeof bytes, 0, v); /* no header */
	cr_expect_eq(v[0].v.u64, 0);
	cr_expect_eq(v[1].len, 0);
}

/* -- writing ---------------------------------------------------------------------------------- */

static via_value number(uint64_t n)
{
	via_value v;

	memset(&v, 0, sizeof v);
	v.type = VIA_T_U64;
	v.v.u64 = n;
	return v;
}

static via_value text(const char *s, uint64_t len)
{
	via_value v;

	memset(&v, 0, sizeof v);
	v.type = VIA_T_STR;
	v.v.ptr = s;
	v.len = len;
	return v;
}

Test(codec_generic, increment_builder_refuses)
{
	const via_codec *c = rig_codec(RIG_INCREMENT);
	via_value v = text("1", 1);
	struct rig_room r;
	via_builder b;
	uint64_t used = 77, cap;

	for (cap = 0; cap < 8; cap++) {
		r = rig_room_open(cap);
		cr_expect_eq(c->begin(&b, VIA_SIDE_REQUEST, r.room, cap, 0), VIA_TOOBIG);
		cr_expect_eq(c->set_head(&b, &v), VIA_STATE);
		cr_expect_eq(c->finish(&b, &used), VIA_STATE);
		cr_expect(rig_room_blank(&r, 0));
		rig_room_close(&r);
	}
	r = rig_room_open(8);
	cr_assert_eq(c->begin(&b, VIA_SIDE_REQUEST, r.room, 8, 0), VIA_OK);
	cr_expect_eq(c->finish(&b, &used), VIA_STATE); /* no value yet */
	cr_expect_eq(c->set_head(&b, &v), VIA_INVAL);
	cr_expect_eq(c->set_head(&b, NULL), VIA_INVAL);
	v.type = VIA_T_I64;
	cr_expect_eq(c->set_head(&b, &v), VIA_INVAL);
	cr_expect_eq(c->add_row(&b, &v, NULL), VIA_INVAL); /* no rows in this method */
	cr_expect_eq(used, 77, "written although it failed");
	v = number(41);
	cr_expect_eq(c->set_head(&b, &v), VIA_OK);
	v = number(42);
	cr_expect_eq(c->set_head(&b, &v), VIA_OK);
	cr_assert_eq(c->finish(&b, &used), VIA_OK);
	cr_expect_eq(used, 8);
	cr_expect_eq(via_bytes_get_u64(r.room), 42);
	cr_expect_eq(c->finish(&b, &used), VIA_STATE);
	rig_room_close(&r);
}

Test(codec_generic, reverse_builder_refuses)
{
	const via_codec *c = rig_codec(RIG_REVERSE);
	via_value v = number(1);
	struct rig_room r;
	via_builder b;
	uint64_t used = 77, cap;

	for (cap = 0; cap < 12; cap++) {
		r = rig_room_open(cap);
		v = text("abc", 3);
		cr_expect_eq(c->begin(&b, VIA_SIDE_RESPONSE, r.room, cap, 0),
			     cap < 9 ? VIA_TOOBIG : VIA_OK);
		cr_expect_eq(c->set_head(&b, &v), cap < 9 ? VIA_STATE : VIA_TOOBIG);
		cr_expect_eq(c->finish(&b, &used), VIA_STATE);
		cr_expect(rig_room_blank(&r, 0));
		rig_room_close(&r);
	}
	r = rig_room_open(12);
	cr_assert_eq(c->begin(&b, VIA_SIDE_RESPONSE, r.room, 12, 0), VIA_OK);
	v = number(1);
	cr_expect_eq(c->set_head(&b, &v), VIA_INVAL);
	cr_expect_eq(c->set_head(&b, NULL), VIA_INVAL);
	v = text(NULL, 1);
	cr_expect_eq(c->set_head(&b, &v), VIA_INVAL);
	v = text("", UINT64_C(1) << 32);
	cr_expect_eq(c->set_head(&b, &v), VIA_INVAL);
	v = text("", UINT32_MAX);
	cr_expect_eq(c->set_head(&b, &v), VIA_TOOBIG);
	v = text("", 0);
	cr_expect_eq(c->add_row(&b, &v, NULL), VIA_INVAL);
	cr_expect_eq(used, 77, "written although it failed");
	cr_expect_eq(c->set_head(&b, &v), VIA_OK);
	cr_assert_eq(c->finish(&b, &used), VIA_OK);
	cr_expect_eq(used, 9);
	cr_expect(rig_room_blank(&r, 9));
	rig_room_close(&r);
}

Test(codec_generic, snapshot_request_builder)
{
	const via_codec *c = rig_codec(RIG_SNAPSHOT);
	via_value v = number(1);
	struct rig_room r = rig_room_open(16);
	via_builder b;
	uint64_t used = 77;

	cr_expect_eq(c->begin(&b, VIA_SIDE_REQUEST, r.room, 3, 0), VIA_TOOBIG);
	cr_expect_eq(c->begin(&b, VIA_SIDE_REQUEST, NULL, 0, 0), VIA_TOOBIG);
	cr_expect_eq(c->begin(&b, VIA_SIDE_REQUEST, NULL, 4, 0), VIA_INVAL);
	cr_expect_eq(c->finish(&b, &used), VIA_STATE);
	cr_assert_eq(c->begin(&b, VIA_SIDE_REQUEST, r.room, r.cap, 0), VIA_OK);
	cr_expect_eq(c->add_row(&b, &v, NULL), VIA_INVAL);
	cr_expect_eq(c->set_head(&b, NULL), VIA_OK); /* no columns: nothing to give */
	cr_assert_eq(c->finish(&b, &used), VIA_OK);
	cr_expect_eq(used, 4);
	cr_expect(rig_room_blank(&r, 4));
	rig_room_close(&r);
}

Test(codec_generic, snapshot_rows_out_of_range)
{
	static const uint32_t numbers[] = {0, 2, 3}, strings[] = {1, 4};
	const via_value good[5] = {number(1), text("n", 1), number(2), number(3), text("/p", 2)};
	const via_codec *c = rig_codec(RIG_SNAPSHOT);
	struct rig_room r = rig_room_open(200);
	via_value row[5], head[2] = {number(1), number(UINT64_MAX)};
	via_builder b;
	uint64_t used = 77;
	uint32_t i;

	cr_assert_eq(c->begin(&b, VIA_SIDE_RESPONSE, r.room, r.cap, 4), VIA_OK);
	for (i = 0; i < 3; i++) {
		memcpy(row, good, sizeof row);
		row[numbers[i]].v.u64 = UINT64_C(1) << 32;
		cr_expect_eq(c->add_row(&b, row, NULL), VIA_INVAL, "column %u", numbers[i]);
		row[numbers[i]] = text("1", 1);
		cr_expect_eq(c->add_row(&b, row, NULL), VIA_INVAL, "column %u", numbers[i]);
	}
	for (i = 0; i < 2; i++) {
		memcpy(row, good, sizeof row);
		row[strings[i]].len = UINT64_C(1) << 32;
		cr_expect_eq(c->add_row(&b, row, NULL), VIA_INVAL, "column %u", strings[i]);
		row[strings[i]] = text(NULL, 1);
		cr_expect_eq(c->add_row(&b, row, NULL), VIA_INVAL, "column %u", strings[i]);
		row[strings[i]] = number(1);
		cr_expect_eq(c->add_row(&b, row, NULL), VIA_INVAL, "column %u", strings[i]);
	}
	cr_expect_eq(c->add_row(&b, NULL, NULL), VIA_INVAL);
	cr_expect(rig_room_blank(&r, 0), "a refused row was written");
	cr_expect_eq(c->finish(&b, &used), VIA_STATE); /* no head yet */
	head[0].v.u64 = UINT64_C(1) << 32;
	cr_expect_eq(c->set_head(&b, head), VIA_INVAL);
	head[0] = text("1", 1);
	cr_expect_eq(c->set_head(&b, head), VIA_INVAL);
	head[0] = number(1);
	head[1].type = VIA_T_BOOL;
	cr_expect_eq(c->set_head(&b, head), VIA_INVAL);
	cr_expect_eq(c->set_head(&b, NULL), VIA_INVAL);
	cr_expect_eq(used, 77, "written although it failed");

	head[1] = number(UINT64_MAX);
	cr_expect_eq(c->set_head(&b, head), VIA_OK);
	cr_expect_eq(c->add_row(&b, good, NULL), VIA_OK);
	cr_assert_eq(c->finish(&b, &used), VIA_OK);
	cr_expect_eq(c->check(VIA_SIDE_RESPONSE, r.room, used, NULL), 1);
	cr_expect_eq(c->add_row(&b, good, NULL), VIA_STATE);
	rig_room_close(&r);
}

/* The builder at every capacity: TOOBIG leaves what was added valid, and the guards stay whole. */
Test(codec_generic, snapshot_builder_at_every_capacity)
{
	const via_value row[5] = {number(1), text("name", 4), number(2), number(3), text("/p", 2)};
	const via_value head[2] = {number(1), number(2)};
	const via_codec *c = rig_codec(RIG_SNAPSHOT);
	struct rig_room r;
	via_builder b;
	uint64_t used, cap;
	via_rc rc, n;

	for (cap = 0; cap <= 24 + 4 * 8 + 4 * 40; cap++) {
		r = rig_room_open(cap);
		rc = c->begin(&b, VIA_SIDE_RESPONSE, r.room, cap, 4);
		cr_assert_eq(rc, cap < 56 ? VIA_TOOBIG : VIA_OK);
		for (n = 0; rc == VIA_OK && n < 5; n++) {
			rc = c->add_row(&b, row, NULL);
			if (rc != VIA_OK)
				break;
		}
		if (cap >= 56) {
			cr_expect_eq(rc, VIA_TOOBIG);
			cr_expect_eq(n, (via_rc)((cap - 56) / 40), "cap %u: %d", (unsigned)cap, n);
			cr_assert_eq(c->set_head(&b, head), VIA_OK);
			cr_assert_eq(c->finish(&b, &used), VIA_OK);
			cr_expect_eq(c->check(VIA_SIDE_RESPONSE, r.room, used, NULL), n);
		}
		cr_expect(rig_room_whole(&r));
		rig_room_close(&r);
	}
}
