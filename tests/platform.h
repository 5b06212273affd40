/* SPDX-License-Identifier: Apache-2.0
 * tests/platform.h - what tests name differently on POSIX and Windows: the transport that crosses
 * processes, and the upgrade that it prefers. */
#ifndef VIA_TESTS_PLATFORM_H
#define VIA_TESTS_PLATFORM_H

#if defined(_WIN32)
#define PLATFORM_BASELINE "pipe"
#define PLATFORM_FAULTY "fault+pipe"
#define PLATFORM_UPGRADE "winshm"
#define PLATFORM_SUFFIX ".dll"
#else
#define PLATFORM_BASELINE "uds"
#define PLATFORM_FAULTY "fault+uds"
#define PLATFORM_UPGRADE "ring" /* Linux only */
#define PLATFORM_SUFFIX ".so"
#endif

#endif
