/* SPDX-License-Identifier: Apache-2.0
 * core/registry/note.h - the identity text of a module (docs/abi.md has the grammar). */
#ifndef VIA_CORE_NOTE_H
#define VIA_CORE_NOTE_H
#include "../base/env.h"
#include "../base/err.h"
#include <viaduct/module.h>

enum {
	NOTE_MAX = 4096,        /* bytes of the whole text */
	NOTE_PROVIDES_MAX = 16, /* components, and requirements */
	NOTE_ID_MAX = 63,
	NOTE_SCORE_MAX = 1000,
	NOTE_SCORE_DEFAULT = 100
};

/* Bits of note_component.stated: what the text says and is therefore compared with the code. */
enum { NOTE_SCORE = 1, NOTE_CODECS = 2 };

typedef struct note_component {
	via_provided p;
	uint32_t stated; /* NOTE_* */
} note_component;

typedef struct note_requirement {
	uint32_t kind; /* VIA_KIND_* */
	const char *name;
} note_requirement;

typedef struct note {
	uint32_t abi; /* major */
	uint32_t n_provides, n_requires;
	const char *id, *version; /* "" where unknown */
	note_component provides[NOTE_PROVIDES_MAX];
	note_requirement requires[NOTE_PROVIDES_MAX];
} note;

/* Parses len bytes of text. store: len bytes of room that the strings of *out will live in. Pure
 * and total: any bytes may be given. *out is complete on VIA_OK; on VIA_EABI (another ABI major,
 * whose grammar is unknown) abi is set and id, if it could be read. VIA_PROTO: malformed. The
 * detail is a sentence that says where. */
via_rc note_parse(const char *text, uint64_t len, char *store, note *out);

/* 1 for A-Z a-z 0-9 . _ - only, 1..NOTE_ID_MAX bytes. */
int note_is_id(const char *s);

/* 1 when the comma-separated list (may be NULL) has the word. */
int note_list_has(const char *list, const char *word);

const char *note_kind_name(uint32_t kind);

#endif
