/* core/base/sha256.c - SHA-256 (FIPS 180-4), whose names for functions and values are used here. */
#include "sha256.h"

#include <string.h>

enum { BLOCK = 64, LENGTH_AT = 56 }; /* the last block ends with the number of bits */

/* The first 32 bits of the fractional parts of the cube roots of the first 64 primes. */
static const uint32_t k[64] = {0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b,
			       0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01,
			       0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7,
			       0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc,
			       0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152,
			       0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
			       0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc,
			       0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
			       0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819,
			       0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08,
			       0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f,
			       0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
			       0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static uint32_t rotr(uint32_t x, unsigned int n)
{
	return x >> n | x << (32 - n);
}

static void expand(uint32_t w[64], const unsigned char *p)
{
	uint32_t s0, s1;
	int t;

	for (t = 0; t < 16; t++, p += 4)
		w[t] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
	for (; t < 64; t++) {
		s0 = rotr(w[t - 15], 7) ^ rotr(w[t - 15], 18) ^ w[t - 15] >> 3;
		s1 = rotr(w[t - 2], 17) ^ rotr(w[t - 2], 19) ^ w[t - 2] >> 10;
		w[t] = w[t - 16] + s0 + w[t - 7] + s1;
	}
}

static uint32_t ch_and_s1(uint32_t e, uint32_t f, uint32_t g)
{
	return (rotr(e, 6) ^ rotr(e, 11) ^ rotr(e, 25)) + ((e & f) ^ (~e & g));
}

static uint32_t maj_and_s0(uint32_t a, uint32_t b, uint32_t c)
{
	return (rotr(a, 2) ^ rotr(a, 13) ^ rotr(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
}

static void compress(uint32_t hash[8], const unsigned char *p)
{
	uint32_t a = hash[0], b = hash[1], c = hash[2], d = hash[3];
	uint32_t e = hash[4], f = hash[5], g = hash[6], h = hash[7];
	uint32_t w[64], t1, t2;
	int t;

	expand(w, p);
	for (t = 0; t < 64; t++) {
		t1 = h + ch_and_s1(e, f, g) + k[t] + w[t];
		t2 = maj_and_s0(a, b, c);
		h = g;
		g = f;
		f = e;
		e = d + t1;
		d = c;
		c = b;
		b = a;
		a = t1 + t2;
	}
	hash[0] += a;
	hash[1] += b;
	hash[2] += c;
	hash[3] += d;
	hash[4] += e;
	hash[5] += f;
	hash[6] += g;
	hash[7] += h;
}

void sha256_begin(sha256 *s)
{
	static const uint32_t first[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
					  0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

	memcpy(s->h, first, sizeof s->h);
	s->n_bytes = 0;
}

void sha256_add(sha256 *s, const void *data, size_t len)
{
	const unsigned char *p = data;
	size_t waiting = (size_t)(s->n_bytes % BLOCK), n;

	s->n_bytes += len;
	for (; len > 0; p += n, len -= n) {
		if (waiting == 0 && len >= BLOCK) {
			n = BLOCK;
			compress(s->h, p);
			continue;
		}
		n = len < BLOCK - waiting ? len : BLOCK - waiting;
		memcpy(s->block + waiting, p, n);
		waiting = (waiting + n) % BLOCK;
		if (waiting == 0)
			compress(s->h, s->block);
	}
}

void sha256_end(sha256 *s, unsigned char digest[SHA256_BYTES])
{
	static const unsigned char padding[BLOCK] = {0x80};
	const uint64_t n_bits = s->n_bytes * 8;
	const size_t waiting = (size_t)(s->n_bytes % BLOCK);
	unsigned char length[8];
	int i;

	for (i = 0; i < 8; i++)
		length[i] = (unsigned char)(n_bits >> (56 - 8 * i));
	sha256_add(s, padding, (waiting < LENGTH_AT ? LENGTH_AT : BLOCK + LENGTH_AT) - waiting);
	sha256_add(s, length, sizeof length);
	for (i = 0; i < SHA256_BYTES; i++)
		digest[i] = (unsigned char)(s->h[i / 4] >> (24 - 8 * (i % 4)));
}

void sha256_text(const unsigned char digest[SHA256_BYTES], char text[SHA256_TEXT])
{
	static const char digits[] = "0123456789abcdef";
	size_t i;

	for (i = 0; i < SHA256_BYTES; i++) {
		text[2 * i] = digits[digest[i] >> 4];
		text[2 * i + 1] = digits[digest[i] & 15];
	}
	text[2 * i] = '\0';
}
