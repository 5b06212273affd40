/* SPDX-License-Identifier: Apache-2.0
 * tests/registry/lock_rig.h - a module "a" that a lock lists, or not. */
#ifndef VIA_TEST_LOCK_RIG_H
#define VIA_TEST_LOCK_RIG_H
#include "core/base/sha256.h"
#include "reg_rig.h"

#define A "a" OS_MODULE_SUFFIX
#define LOCK "modules.lock"
#define DIR "modules.lock.d"
#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"
#define N(array) (sizeof(array) / sizeof(array)[0])

/* Of a file, without the layer under test. Valid for the next seven calls. */
const char *lr_digest(const char *path);
/* Writes a text below the test's directory. */
void lr_write(const char *name, const char *text);
/* Writes a lock of one line, for the module as it is now. */
void lr_list(const char *name, const char *module);

via_registry *lr_open_under(uint32_t module_policy, const char *path, const core_builtin *builtins);
via_registry *lr_open(void); /* locked, over the test's directory */
/* Takes the service of "a" and gives it back. */
via_rc lr_load(via_registry *r);
void lr_version(via_registry *r, const char *version); /* the same, and it is this one */
/* Opens a registry: the scan refuses "a" for this reason, and so does a need. */
void lr_refused(const char *why);
/* Opens a registry: "a" is loaded. */
void lr_loaded(void);

#endif
