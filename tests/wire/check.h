/* SPDX-License-Identifier: Apache-2.0
 * tests/wire/check.h - what the wire tests share. */
#ifndef VIA_TEST_WIRE_CHECK_H
#define VIA_TEST_WIRE_CHECK_H
#include <viaduct/app/wire.h>

#include "vec.h"

/* Loads a vector or fails the test. */
vec check_vec(const char *folder, const char *name);

/* Number of vectors in a folder whose names start with prefix. */
int check_count(const char *folder, const char *prefix);

/* A copy in a block of exactly len bytes. */
uint8_t *check_copy(const void *data, size_t len);

/* Fails the test unless the flaw is what is said; what names the case. */
void check_flaw(const char *what, const via_flaw *flaw, uint32_t kind, uint64_t offset,
		uint64_t expected, uint64_t found);

/* Small generator, so that "random" cases are the same in every run. */
uint32_t check_random(uint32_t *state);

void check_put16(uint8_t *p, size_t at, uint32_t value);
void check_put32(uint8_t *p, size_t at, uint32_t value);

#endif
