/* SPDX-License-Identifier: Apache-2.0 */
/** @file viaduct/app/base.h
 * Version, errors and time of the application API.
 *
 * Every function that can fail returns a via_rc and leaves a sentence with the detail for the calling
 * thread; via_error() reads it. Out parameters are written on success only. */
#ifndef VIADUCT_APP_BASE_H
#define VIADUCT_APP_BASE_H
#include "../abi.h"

/** Before a function of the library. VIA_STATIC: the program links viaduct's objects themselves. */
#if defined(VIA_STATIC)
#define VIA_API
#elif defined(_WIN32) && defined(VIA_BUILDING_CORE)
#define VIA_API __declspec(dllexport)
#elif defined(_WIN32)
#define VIA_API __declspec(dllimport)
#else
#define VIA_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/** Version of the library in use, "1.2.3". Threads: any. */
VIA_API const char *via_version(void);

/** Symbolic name of a result code, "VIA_TIMEOUT"; "VIA_?" if unknown. Threads: any. */
VIA_API const char *via_rc_name(via_rc rc);

/** What a result code means in a few words, "deadline passed". Threads: any. */
VIA_API const char *via_rc_text(via_rc rc);

/**
 * Detail of the last failure on the calling thread: one sentence that says what was expected and what
 * was found. Valid until the thread's next call into the library; "" if there was none.
 */
VIA_API const char *via_error(void);

/** Monotonic clock, ns. The base of every via_time. Threads: any. */
VIA_API via_time via_now(void);

/** via_now() plus ns, saturating at VIA_FOREVER. Threads: any. */
VIA_API via_time via_deadline(uint64_t ns);

/** Writes a flaw as a sentence into buf (always NUL-terminated). Returns the length it wanted. Threads: any. */
VIA_API uint32_t via_flaw_text(const via_flaw *flaw, char *buf, uint32_t cap);

/** Class name of a flaw, "OUT_OF_BOUNDS". Threads: any. */
VIA_API const char *via_flaw_name(uint32_t kind);

#ifdef __cplusplus
}
#endif
#endif
