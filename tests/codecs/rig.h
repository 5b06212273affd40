/* SPDX-License-Identifier: Apache-2.0
 * tests/codecs/rig.h - what the codec tests share: the modules, guarded rooms, re-encoding.
 */
#ifndef VIA_TEST_CODECS_RIG_H
#define VIA_TEST_CODECS_RIG_H
#include "vec.h"

#include <viaduct/codecs/cgroups_snapshot.h>
#include <viaduct/codecs/increment.h>
#include <viaduct/codecs/string_reverse.h>
#include <viaduct/module.h>

#include <stdlib.h>

/* -- modules ---------------------------------------------------------------------------------- */

/* Every module under test: linked into this program and, under the same name, a file of its own. */
struct rig_module {
	const char *file; /* without .so or .dll */
	via_rc(VIA_CALL *entry)(uint32_t, const via_module_desc **);
	const char *note;
	const uint32_t *note_len;
};
enum { RIG_INCREMENT, RIG_REVERSE, RIG_SNAPSHOT, RIG_S_INCREMENT, RIG_S_REVERSE, RIG_MODULES };
extern const struct rig_module rig_modules[RIG_MODULES];

const via_module_desc *rig_desc(int module);
const via_codec *rig_codec(int module);
const via_service *rig_service(int module);

/* -- messages --------------------------------------------------------------------------------- */

/* One payload of methods 1 to 3 out of the golden vectors. */
struct rig_payload {
	const char *folder, *vector;
	uint32_t skip; /* bytes of outer header (and directory) before the payload */
	uint32_t len;  /* 0: to the end */
	int module;
	uint32_t side;
};
/* The canonical ones: whatever re-encodes them gives the same bytes. */
extern const struct rig_payload rig_canonical[];
extern const uint32_t n_rig_canonical;

/* A payload of its own block of exactly len bytes. Fails the test when there is no such vector. */
uint8_t *rig_load(const struct rig_payload *p, uint64_t *len);
vec rig_vec(const char *folder, const char *name);
uint8_t *rig_block(const void *bytes, uint64_t len); /* the same for any bytes */

/* -- rooms ------------------------------------------------------------------------------------ */

/* cap bytes to encode into, in the middle of a block whose other bytes must not change. */
struct rig_room {
	uint8_t *block, *room;
	uint64_t cap;
};
enum { RIG_GUARD = 64, RIG_FILL = 0xAA };

struct rig_room rig_room_open(uint64_t cap);
int rig_room_whole(const struct rig_room *r);                /* guards untouched */
int rig_room_blank(const struct rig_room *r, uint64_t from); /* nothing written from there on */
void rig_room_close(struct rig_room *r);

/* -- encoding --------------------------------------------------------------------------------- */

/* Checks a payload and writes it anew through the generic vtable, with `spare` reserved rows more
 * than it has. What check or the builder answers if that is a failure. */
via_rc rig_reencode(const via_codec *c, uint32_t side, const struct rig_room *from, uint32_t spare,
		    struct rig_room *to, uint64_t *used);
/* The same through the typed functions. */
via_rc rig_reencode_typed(int module, uint32_t side, const struct rig_room *from, uint32_t spare,
			  struct rig_room *to, uint64_t *used);

static inline struct rig_room rig_bytes(uint8_t *bytes, uint64_t len)
{
	struct rig_room r = {NULL, bytes, len};

	return r;
}

/* The item "hash, options, enabled, name, path". */
via_cgroups_item rig_item(uint32_t hash, uint32_t options, uint32_t enabled, const char *name,
			  const char *path);

#endif
