/* tests/tools/test_hist.c - counts of times against exact quantiles of known values. */
#include "tools/lib/hist.h"

#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

TestSuite(hist, .timeout = 20);

static hist h; /* too large for a stack */

/* What three significant digits allow: a bucket is never wider than a 1024th of what is in it. */
static void is_near(uint64_t found, uint64_t exact)
{
	cr_expect(found >= exact && found - exact <= exact / 1024, "expected %llu, found %llu",
		  (unsigned long long)exact, (unsigned long long)found);
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* Every per-mille of sorted values: the smallest one that so many do not exceed. */
static void all_quantiles(uint64_t *values, uint32_t n)
{
	uint32_t i;
	uint64_t rank;

	hist_reset(&h);
	for (i = 0; i < n; i++)
		hist_record(&h, values[i]);
	qsort(values, n, sizeof(*values), by_value);
	cr_expect_eq(h.n, n);
	cr_expect_eq(h.min, values[0]);
	cr_expect_eq(h.max, values[n - 1]);
	for (i = 1; i <= 1000; i++) {
		rank = ((uint64_t)n * i + 999) / 1000;
		is_near(hist_quantile(&h, i * 1000), values[rank - 1]);
	}
	cr_expect_eq(hist_quantile(&h, 1000000), h.max);
	cr_expect_eq(hist_quantile(&h, 0), h.min);
}

Test(hist, nothing_has_no_quantiles)
{
	hist_reset(&h);
	cr_expect_eq(hist_quantile(&h, 500000), 0u);
	cr_expect_eq(hist_quantile(&h, 1000000), 0u);
}

Test(hist, one_value_is_every_quantile)
{
	static const uint64_t values[] = {0, 1, 2047, 2048, 123456789, UINT64_MAX};
	size_t i;
	uint32_t q;

	for (i = 0; i < sizeof values / sizeof values[0]; i++) {
		hist_reset(&h);
		hist_record(&h, values[i]);
		for (q = 0; q <= 1000000; q += 50000)
			cr_expect_eq(hist_quantile(&h, q), values[i]);
	}
}

Test(hist, small_values_are_exact)
{
	uint64_t v;

	hist_reset(&h);
	for (v = 0; v < 2000; v++)
		hist_record(&h, v);
	for (v = 1; v <= 2000; v++)
		cr_expect_eq(hist_quantile(&h, (uint32_t)v * 500), v - 1);
}

Test(hist, known_values_of_every_size)
{
	enum { N = 20011 };
	uint64_t *values = malloc(N * sizeof(*values)), x = 1;
	uint32_t i;

	cr_assert_not_null(values);
	for (i = 0; i < N; i++) { /* xorshift, cut to a random length */
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		values[i] = x >> (x % 64);
	}
	all_quantiles(values, N);
	for (i = 0; i < N; i++)
		values[i] = 190 + i % 7 + (i % 100 == 0 ? 50000 : 0) + (i == 777 ? 4000000000u : 0);
	all_quantiles(values, N);
	free(values);
}

Test(hist, buckets_are_in_order_and_narrow)
{
	uint64_t edge, next;
	uint32_t bit, k;

	for (bit = 11; bit < 64; bit++) {
		for (k = 0; k < 1024; k++) {
			edge = ((uint64_t)1 << bit) + ((uint64_t)k << (bit - 10));
			next = edge + (((uint64_t)1 << (bit - 10)) - 1);
			cr_assert_eq(hist_bucket(edge - 1) + 1, hist_bucket(edge));
			cr_assert_eq(hist_bucket(edge), hist_bucket(next));
		}
	}
	cr_expect_eq(hist_bucket(UINT64_MAX), HIST_BUCKETS - 1);
}

Test(hist, counts_below_a_value)
{
	hist_reset(&h);
	hist_record(&h, 10);
	hist_record(&h, 10);
	hist_record(&h, 5000);
	cr_expect_eq(hist_up_to(&h, 9), 0u);
	cr_expect_eq(hist_up_to(&h, 10), 2u);
	cr_expect_eq(hist_up_to(&h, 4999 - 8), 2u);
	cr_expect_eq(hist_up_to(&h, UINT64_MAX), 3u);
}

static void time_is(uint64_t ns, const char *text)
{
	buf b = {0};

	hist_time(&b, ns);
	cr_expect_str_eq(buf_string(&b), text);
	buf_free(&b);
}

Test(hist, times_have_three_digits)
{
	time_is(0, "0 ns");
	time_is(999, "999 ns");
	time_is(1000, "1.00 us");
	time_is(13400, "13.4 us");
	time_is(999999, "1000 us");
	time_is(1250000, "1.25 ms");
	time_is(2000000000, "2.00 s");
	time_is(90000000000, "90.0 s");
}

/* Shares of all lines add up, there are not too many of them, and the picture covers the maximum. */
static void picture(uint32_t rows)
{
	uint32_t lines = 0;
	double sum = 0;
	const char *line, *end;
	buf b = {0};

	hist_draw(&b, &h, rows);
	for (line = buf_string(&b); *line != '\0'; line = end + 1) {
		end = strchr(line, '\n');
		cr_assert_not_null(end);
		cr_assert_not_null(strchr(line, '%'));
		sum += strtod(line + 16, NULL);
		lines++;
	}
	cr_expect(sum > 99.9 && sum < 100.1, "shares add up to %f", sum);
	cr_expect(lines >= 1 && lines <= rows, "%u lines", lines);
	buf_free(&b);
}

Test(hist, a_picture_shows_everything)
{
	buf b = {0};
	uint64_t v;

	hist_reset(&h);
	hist_draw(&b, &h, 16);
	cr_expect_eq(b.len, 0u, "nothing was recorded");
	buf_free(&b);
	hist_record(&h, 0);
	picture(16);
	for (v = 1; v < 40; v++)
		hist_record(&h, v);
	picture(64);
	hist_reset(&h);
	for (v = 0; v < 10000; v++)
		hist_record(&h, 180 + v % 90);
	picture(16);
	hist_record(&h, UINT64_MAX);
	picture(16);
	for (v = 1; v != 0; v <<= 1)
		hist_record(&h, v);
	picture(72);
}
