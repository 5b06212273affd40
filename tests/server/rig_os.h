/* SPDX-License-Identifier: Apache-2.0
 * tests/server/rig_os.h - what rig.c needs of the system: rig_posix.c, rig_windows.c. */
#ifndef VIA_TESTS_SERVER_RIG_OS_H
#define VIA_TESTS_SERVER_RIG_OS_H
#include "rig.h"

extern const int32_t rig_no_memory; /* what a system call fails with that is due */
void rig_make_dir(rig *r);
void rig_remove_dir(rig *r); /* fails the test when something is in it */
/* Fails the test when there are more descriptors than expected. */
void rig_check_descriptors(int expected);

/* A directory for modules. */
void rig_make_directory(char *path, size_t cap);
void rig_remove_directory(const char *path);
/* Gives every user the right to write a file, or to nobody but this one. */
void rig_let_anybody_write(const char *path, int may);

#endif
