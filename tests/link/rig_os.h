/* SPDX-License-Identifier: Apache-2.0
 * tests/link/rig_os.h - what rig.c needs of the system: rig_posix.c, rig_windows.c. */
#ifndef VIA_TESTS_LINK_RIG_OS_H
#define VIA_TESTS_LINK_RIG_OS_H
#include <stddef.h>
#include <viaduct/abi.h>

#if defined(_WIN32)
#define RIG_MODULE_SUFFIX ".dll"
#else
#define RIG_MODULE_SUFFIX ".so"
#endif

/* NULL with a sentence. */
void *rig_image_open(const char *file, char *why, size_t cap);
void (*rig_image_symbol(void *image, const char *name))(void);
void rig_handle_close(const via_handle *h);
/* Where run directories are made instead of among the temporary ones; NULL: there. */
extern const char *rig_dir_parent;
void rig_dir_make(char *buf, size_t cap);
void rig_dir_remove(const char *dir);
/* Does once what the C library does lazily, so that it is not counted as a leak. */
void rig_system_warm_up(void);

#endif
