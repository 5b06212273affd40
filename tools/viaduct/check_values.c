/* tools/viaduct/check_values.c - `viaduct check`: records of a codec that nothing is known of but its
 * columns.
 *
 * The same number always gives the same values. What a codec cannot carry (an enumeration, a text that
 * must be a path) it refuses, and other numbers are tried.
 */
#include "check.h"

#include <string.h>

enum {
	PLAIN = 8, /* numbers below choose the same kind of value for every column */
	TRIES = 4096,
	PAIRS = 3
};

static const uint64_t numbers[] = {0, 1, 2, 3, 42, 255, 65535, UINT32_MAX, UINT64_MAX};
static const int64_t integers[] = {0, 1, -1, 42, INT32_MIN, INT64_MIN, INT64_MAX};
static const double reals[] = {0, 1, -1.5, 1e300, -0.0};
static const char *const texts[] = {"", "a", "viaduct", "/sys/fs/cgroup/a",
				    "a longer text, of 33 bytes here!!"};

#define CHOOSE(a, n) ((a)[(n) % (sizeof(a) / sizeof(a)[0])])

/* splitmix64: spreads the bits of a number. */
static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15u;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

static void set_text(via_value *v, uint64_t n)
{
	const char *text = CHOOSE(texts, n);

	v->v.ptr = text;
	v->len = strlen(text);
}

void check_values(const via_column *columns, uint32_t n, uint64_t which, via_value *out)
{
	uint32_t i;

	memset(out, 0, n * sizeof(*out));
	for (i = 0; i < n; i++) {
		uint64_t k = which < PLAIN ? which : mix(which * CHECK_COLUMNS + i);

		out[i].type = columns[i].type;
		out[i].id = i;
		switch (columns[i].type) {
		case VIA_T_U64:
			out[i].v.u64 = CHOOSE(numbers, k);
			break;
		case VIA_T_I64:
			out[i].v.i64 = CHOOSE(integers, k);
			break;
		case VIA_T_F64:
			out[i].v.f64 = CHOOSE(reals, k);
			break;
		case VIA_T_BOOL:
			out[i].v.u64 = k & 1;
			break;
		case VIA_T_PAIRS:
			out[i].len = k % (PAIRS + 1);
			break;
		default:
			set_text(&out[i], k);
		}
	}
}

/* The pairs of a row: keys that differ, values that do not. */
static void fill_pairs(via_value out[2 * PAIRS])
{
	uint32_t i;

	memset(out, 0, sizeof *out * 2 * PAIRS);
	for (i = 0; i < 2 * PAIRS; i++) {
		out[i].type = VIA_T_STR;
		out[i].id = i % 2;
		set_text(&out[i], i % 2 == 0 ? i / 2 + 1 : 0);
	}
}

int check_fits(const via_codec *c)
{
	return c->side[0].n_head <= CHECK_COLUMNS && c->side[0].n_row <= CHECK_COLUMNS &&
	       c->side[1].n_head <= CHECK_COLUMNS && c->side[1].n_row <= CHECK_COLUMNS;
}

via_rc check_encode(const via_codec *c, uint32_t side, uint64_t which, uint32_t n_rows, void *dst,
		    uint64_t cap, uint64_t *used)
{
	const via_shape *shape = &c->side[side];
	via_value values[CHECK_COLUMNS], pairs[2 * PAIRS];
	via_builder b = {{0}};
	uint64_t len = 0;
	uint32_t i;
	via_rc rc;

	fill_pairs(pairs);
	rc = c->begin(&b, side, dst, cap, n_rows);
	if (rc < 0)
		return rc;
	if (shape->n_head != 0) {
		check_values(shape->head, shape->n_head, which, values);
		rc = c->set_head(&b, values);
	}
	for (i = 0; rc >= 0 && i < n_rows; i++) {
		check_values(shape->row, shape->n_row, which + i, values);
		rc = c->add_row(&b, values, pairs);
	}
	if (rc >= 0)
		rc = c->finish(&b, &len);
	if (rc >= 0)
		*used = len;
	return rc;
}

int check_find(const via_codec *c, uint32_t side, uint32_t n_rows, uint64_t *which, void *dst,
	       uint64_t cap, uint64_t *used)
{
	uint64_t end = *which + TRIES;

	for (; *which < end; ++*which)
		if (check_encode(c, side, *which, n_rows, dst, cap, used) >= 0)
			return 1;
	return 0;
}

/* Every byte of a value is looked at: what lies outside the record shows itself. */
static uint8_t read_value(const via_value *v)
{
	const volatile uint8_t *p = v->v.ptr;
	uint8_t sum = 0;
	uint64_t i;

	if (v->type != VIA_T_STR && v->type != VIA_T_BYTES)
		return 0;
	for (i = 0; i < v->len; i++)
		sum ^= p[i];
	return sum;
}

static void read_row(const via_codec *c, uint32_t side, const void *src, uint64_t len, uint32_t row)
{
	const via_shape *shape = &c->side[side];
	via_value values[CHECK_COLUMNS], pair[2];
	uint64_t k;
	uint32_t i;

	memset(values, 0, sizeof values);
	c->row(side, src, len, row, values);
	for (i = 0; i < shape->n_row; i++) {
		(void)read_value(&values[i]);
		if (values[i].type != VIA_T_PAIRS || c->pair == NULL)
			continue;
		for (k = 0; k < values[i].len; k++) {
			memset(pair, 0, sizeof pair);
			c->pair(side, src, len, row, i, (uint32_t)k, pair);
			(void)read_value(&pair[0]);
			(void)read_value(&pair[1]);
		}
	}
}

void check_read_all(const via_codec *c, uint32_t side, const void *src, uint64_t len,
		    uint32_t n_rows)
{
	via_value values[CHECK_COLUMNS];
	uint32_t i;

	memset(values, 0, sizeof values);
	if (c->side[side].n_head != 0)
		c->head(side, src, len, values);
	for (i = 0; i < c->side[side].n_head; i++)
		(void)read_value(&values[i]);
	for (i = 0; i < n_rows; i++)
		read_row(c, side, src, len, i);
}
