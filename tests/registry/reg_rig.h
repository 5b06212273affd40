/* SPDX-License-Identifier: Apache-2.0
 * tests/registry/reg_rig.h - registries over a directory of the test's own. */
#ifndef VIA_TEST_REG_RIG_H
#define VIA_TEST_REG_RIG_H
#include "core/registry/reg.h"
#include "os/rig.h"

/* A test that fails when something is left: Criterion does not count what fails in .fini. The
 * suite has .init = rig_open, .fini = rig_close. */
#define RR_TEST(S, N) \
	static void S##_##N##_body(void); \
	Test(S, N) \
	{ \
		S##_##N##_body(); \
		rig_close(); \
	} \
	static void S##_##N##_body(void)

/* Puts module `variant` (tests/registry/CMakeLists.txt has the list) at <root>/<to>. Over a file
 * that is there: in place, the way cp does it. */
void rr_put(const char *variant, const char *to);
/* The same, by renaming a new file over it, the way mv and package managers do it. */
void rr_move(const char *variant, const char *to);
/* n generations are meant to stay mapped; on POSIX each keeps a descriptor. */
void rr_retired(int n);
/* The built file of a variant. */
const char *rr_built(const char *variant);

/* A registry over the test's root and the counting environment, a log that is kept (the last
 * lines), and no builtins. The test fails when it cannot be opened. */
via_registry *rr_open(void);
via_registry *rr_open_path(const char *path, const core_builtin *builtins);
void rr_options(via_registry_options *o); /* what those use */
void rr_close(via_registry *r);           /* expects VIA_OK */
const char *rr_log(void);                 /* everything logged so far, one line each */

typedef struct rr_file {
	uint32_t found, state, generation, n_pins, n_provided;
	char id[64], version[64], reason[640];
} rr_file;
/* What the registry says of the file called name ("a.so" without its directory and ending: "a"). */
rr_file rr_info(via_registry *r, const char *name);
uint32_t rr_count(via_registry *r);

/* Acquires a service and calls it with a word; the answer is valid until the next call. */
via_ref rr_service(via_registry *r, const char *name);
const char *rr_call(const via_ref *ref, const char *word);

/* rc, and the detail contains text. */
#define rr_refused(call, want, text) \
	do { \
		via_rc rr_rc_ = (call); \
		cr_assert_eq(rr_rc_, want, "%s: %s: %s", #call, via_rc_name(rr_rc_), via_error()); \
		cr_assert(rig_error_has(text), "expected \"%s\" in: %s", text, via_error()); \
	} while (0)

#endif
