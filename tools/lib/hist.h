/* SPDX-License-Identifier: Apache-2.0
 * tools/lib/hist.h - counts of times, log-linear: three significant digits over all of 64 bits, in
 * fixed memory. Pure.
 *
 * Values below 2048 have a bucket each; above, every power of two is cut into 1024 buckets of equal
 * width, so that a bucket is never wider than a 1024th of what is in it.
 */
#ifndef VIA_TOOLS_HIST_H
#define VIA_TOOLS_HIST_H
#include "buf.h"

#define HIST_BITS 10u /* of a value that count, after the first one */
#define HIST_BUCKETS ((65u - HIST_BITS) << HIST_BITS)

typedef struct hist {
	uint64_t n, min, max; /* min and max are exact; min is UINT64_MAX while n is 0 */
	uint64_t count[HIST_BUCKETS];
} hist;

/* Number of v's highest bit. v is not 0. */
static inline uint32_t hist_top_bit(uint64_t v)
{
#if defined(__GNUC__) || defined(__clang__)
	return 63u - (uint32_t)__builtin_clzll(v);
#else
	uint32_t bit = 0, step;

	for (step = 32; step != 0; step /= 2) {
		if (v >> step != 0) {
			v >>= step;
			bit += step;
		}
	}
	return bit;
#endif
}

static inline uint32_t hist_bucket(uint64_t v)
{
	uint32_t shift;

	if (v >> (HIST_BITS + 1) == 0)
		return (uint32_t)v;
	shift = hist_top_bit(v) - HIST_BITS;
	return (shift << HIST_BITS) + (uint32_t)(v >> shift);
}

static inline void hist_record(hist *h, uint64_t v)
{
	h->count[hist_bucket(v)]++;
	h->n++;
	if (v < h->min)
		h->min = v;
	if (v > h->max)
		h->max = v;
}

void hist_reset(hist *h);
/* The value that so many of a million values do not exceed: the highest one of its bucket, at most
 * max. 0 if nothing was recorded. */
uint64_t hist_quantile(const hist *h, uint32_t per_million);
/* Values of at most v, with the precision of the buckets. */
uint64_t hist_up_to(const hist *h, uint64_t v);
/* "850 ns", "1.25 us", "13.4 ms", "2.00 s": three digits. */
void hist_time(buf *b, uint64_t ns);
/* At most `rows` lines, from the lowest value to the highest: up to where, share, a bar. */
void hist_draw(buf *b, const hist *h, uint32_t rows);

#endif
