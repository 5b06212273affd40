/* tools/lib/hist.c - counts of times: quantiles and a picture for people. */
#include "hist.h"

#include <string.h>

#define BAR 40u
#define STEPS 4u /* steps of the picture in a power of two, at its finest */

void hist_reset(hist *h)
{
	memset(h, 0, sizeof *h);
	h->min = UINT64_MAX;
}

/* The highest value that falls into a bucket. */
static uint64_t highest(uint32_t bucket)
{
	uint32_t shift, top;

	if (bucket < 2u << HIST_BITS)
		return bucket;
	shift = (bucket >> HIST_BITS) - 1;
	top = bucket - (shift << HIST_BITS);
	return ((uint64_t)top << shift) + (((uint64_t)1 << shift) - 1);
}

uint64_t hist_quantile(const hist *h, uint32_t per_million)
{
	uint64_t seen = 0, v, rank;
	uint32_t i;

	if (h->n == 0)
		return 0;
	/* the smallest rank with rank * 10^6 >= n * per_million, without overflow */
	rank = h->n / 1000000 * per_million + (h->n % 1000000 * per_million + 999999) / 1000000;
	if (rank == 0)
		return h->min;
	for (i = hist_bucket(h->min); i < HIST_BUCKETS; i++) {
		seen += h->count[i];
		if (seen >= rank) {
			v = highest(i);
			return v < h->max ? v : h->max;
		}
	}
	return h->max;
}

uint64_t hist_up_to(const hist *h, uint64_t v)
{
	uint32_t i, last = hist_bucket(v);
	uint64_t seen = 0;

	for (i = 0; i <= last; i++)
		seen += h->count[i];
	return seen;
}

void hist_time(buf *b, uint64_t ns)
{
	static const struct {
		const char *unit;
		uint64_t ns;
	} units[] = {{"us", 1000}, {"ms", 1000000}, {"s", 1000000000}};
	uint32_t i = 0;
	double v;

	if (ns < 1000) {
		buf_printf(b, "%u ns", (unsigned int)ns);
		return;
	}
	while (i < 2 && ns >= units[i].ns * 1000)
		i++;
	v = (double)ns / (double)units[i].ns;
	buf_printf(b, "%.*f %s", v < 10 ? 2 : v < 100 ? 1 : 0, v, units[i].unit);
}

/* Ends of the picture's lines: powers of two cut into so many steps. */
static uint64_t next_end(uint64_t end, uint32_t steps)
{
	uint32_t bit;
	uint64_t step;

	if (end < 16)
		return end + 1;
	bit = hist_top_bit(end);
	step = ((uint64_t)1 << bit) / steps;
	return end > UINT64_MAX - step ? UINT64_MAX : end + step;
}

static uint64_t first_end(uint64_t min)
{
	return min < 16 ? min : (uint64_t)1 << hist_top_bit(min);
}

static uint32_t count_rows(const hist *h, uint64_t low, uint64_t high, uint32_t steps)
{
	uint64_t end = first_end(low);
	uint32_t n = 0;

	while (end < high) {
		end = next_end(end, steps);
		n += end > h->min;
	}
	return n;
}

static void draw_row(buf *b, const char *head, uint64_t end, uint64_t share, uint64_t n)
{
	size_t at = b->len, wide;

	buf_printf(b, "  %s ", head);
	hist_time(b, end);
	for (wide = b->len - at; wide < 16; wide++)
		buf_char(b, ' ');
	buf_printf(b, "%6.2f %%  ", 100.0 * (double)share / (double)n);
	buf_fill(b, '#', (size_t)((share * BAR + n - 1) / n));
	buf_char(b, '\n');
}

/* The tail above the 99.9th percentile would make every line thin: it gets one line of its own. */
void hist_draw(buf *b, const hist *h, uint32_t rows)
{
	uint64_t high = hist_quantile(h, 999000), end, seen, before = 0;
	uint32_t steps = STEPS;

	if (h->n == 0)
		return;
	while (steps > 1 && count_rows(h, h->min, high, steps) + 1 > rows)
		steps /= 2;
	for (end = first_end(h->min); before < h->n && end < high;) {
		end = next_end(end, steps);
		if (end <= h->min)
			continue;
		seen = hist_up_to(h, end - 1);
		draw_row(b, "<", end, seen - before, h->n);
		before = seen;
	}
	if (before < h->n)
		draw_row(b, "<=", h->max, h->n - before, h->n);
}
