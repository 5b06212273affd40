/* SPDX-License-Identifier: Apache-2.0
 * core/base/sha256.h - SHA-256 as FIPS 180-4 has it, of bytes that come in pieces. */
#ifndef VIA_CORE_SHA256_H
#define VIA_CORE_SHA256_H
#include <stddef.h>
#include <stdint.h>

enum { SHA256_BYTES = 32, SHA256_TEXT = 65 }; /* TEXT: as text, with its NUL */

typedef struct sha256 {
	uint32_t h[8];
	uint64_t n_bytes;
	unsigned char block[64]; /* n_bytes % 64 of them are waiting */
} sha256;

void sha256_begin(sha256 *s);
void sha256_add(sha256 *s, const void *data, size_t len);
void sha256_end(sha256 *s, unsigned char digest[SHA256_BYTES]);

/* 64 lower-case hexadecimal digits and a NUL. */
void sha256_text(const unsigned char digest[SHA256_BYTES], char text[SHA256_TEXT]);

#endif
