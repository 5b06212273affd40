/* SPDX-License-Identifier: Apache-2.0
 * tests/os/rig.h - what the tests of the OS layer stand on: an env that counts and denies, a
 * directory of the test's own, and the balance of descriptors when a test ends. */
#ifndef VIA_TEST_OS_RIG_H
#define VIA_TEST_OS_RIG_H
#include "core/os/os.h"
#include <criterion/criterion.h>
#include <stddef.h>

extern const core_env rig_env;

/* .init and .fini of every suite. rig_close() fails the test when a descriptor or an allocation of
 * rig_env is left. */
void rig_open(void);
void rig_close(void);
/* Leaves the test as skipped; the framework does not always call .fini then. */
_Noreturn void rig_skip(const char *why);

/* n descriptors more than at the start are meant to be open in the end. */
void rig_keep(int n);
/* The test makes the system's thread pool wait for about n handles, for which it keeps a few of its own (Windows). */
void rig_uses_pool(uint32_t n);
int rig_descriptors(void);
/* True when as many descriptors are open as expected, give or take the pool's. */
int rig_balanced(int expected);
int rig_allocations(void);

/* Lets the nth system call or allocation from now on fail (1: the next); 0: none. */
void rig_deny(unsigned int nth);
/* Lets every system call of this name fail with os_error; NULL: none. */
void rig_deny_call(const char *call, int os_error);
/* Runs fn(arg) once, before the next system call of this name is made. */
void rig_before_call(const char *call, void (*fn)(void *), void *arg);
/* How many rig_deny() has denied since. */
unsigned int rig_denied(void);

/* An absolute path below the test's directory; valid for the next 15 calls. */
const char *rig_path(const char *name);
void rig_mkdir(const char *path);
void rig_rmdir(const char *path);
void rig_write(const char *path, const void *data, size_t len);
void rig_resize(const char *path, int64_t size);
void rig_copy(const char *from, const char *to);
void rig_remove(const char *path);
uint32_t rig_count_entries(const char *dir);

/* A deadline far away enough that only a hang reaches it. */
via_time rig_soon(void);

#define rig_error_has(text) (strstr(via_error(), text) != NULL)

#endif
