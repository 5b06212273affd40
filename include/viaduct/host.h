/* SPDX-License-Identifier: Apache-2.0 */
/** @file viaduct/host.h
 * Everything a module may ask of the core. A module links against libc only. */
#ifndef VIADUCT_HOST_H
#define VIADUCT_HOST_H
#include "abi.h"
#ifdef __cplusplus
extern "C" {
#endif
typedef struct via_ctx via_ctx;        /**< the core, as seen by one loaded module; opaque */

/** Levels of the log. */
enum {
	VIA_LOG_TRACE,               /**< every step */
	VIA_LOG_DEBUG,               /**< for who looks for a fault */
	VIA_LOG_INFO,                /**< what happens in order */
	VIA_LOG_WARN,                /**< it works, but not as it should */
	VIA_LOG_ERROR,               /**< it does not work */
	VIA_LOG_OFF                  /**< as a limit: nothing */
};
/** Kinds of component. */
enum {
	VIA_KIND_TRANSPORT = 1,      /**< vtable: via_transport */
	VIA_KIND_CODEC = 2,          /**< vtable: via_codec */
	VIA_KIND_SERVICE = 3         /**< vtable: via_service */
};

/** Borrowed access to a component of a module. It pins the providing generation until unref(). */
typedef struct via_ref {
	uint32_t struct_size;        /**< sizeof, where it was built */
	uint32_t rev;                /**< revision actually provided, >= the one asked for */
	const void *vtable;          /**< via_transport, via_codec or via_service */
	void *self;                  /**< first argument of the vtable's functions */
	uint64_t token;              /**< core's bookkeeping */
} via_ref;

/** The calls a module may make. The core's; lives until the module's fini() returns. */
typedef struct via_host {
	uint32_t struct_size;        /**< sizeof, where it was built */
	uint32_t abi_minor;          /**< minor of the running core */
	via_ctx *ctx;                /**< first argument of every call below */
	const volatile int32_t *log_level; /**< read before formatting: a disabled log costs one load */
	/* -- diagnostics ------------------------------------------------------------------------- */
	/** Logs a line of text. */
	void(VIA_CALL *log)(via_ctx *, int32_t level, const char *text);                     /**< [any] */
	/** Records the detail behind rc for the calling thread and returns rc: `return h->fail(...)`.
	 * os_error: errno or GetLastError(), 0 for none. */
	via_rc(VIA_CALL *fail)(via_ctx *, via_rc rc, int64_t os_error, const char *detail);  /**< [any] na */
	/* -- memory and time --------------------------------------------------------------------- */
	/** Memory, align a power of two; give it back with free(). */
	void *(VIA_CALL *alloc)(via_ctx *, uint64_t size, uint64_t align);  /**< [any] zeroed; NULL: no memory */
	/** Gives back what alloc() gave. */
	void(VIA_CALL *free)(via_ctx *, void *);                            /**< [any] NULL is fine */
	/** The monotonic clock, ns. */
	via_time(VIA_CALL *now)(via_ctx *);                                 /**< [any] nb na as */
	/* -- registry: another module's component, loaded if need be ------------------------------ */
	/** Takes a component by kind (VIA_KIND_*) and id; give it back with unref(). NOTFOUND, or why it cannot be loaded. */
	via_rc(VIA_CALL *lookup)(via_ctx *, uint32_t kind, const char *id, uint32_t min_rev, via_ref *); /**< [any] */
	/** Gives back what lookup() took. */
	void(VIA_CALL *unref)(via_ctx *, via_ref *);                                         /**< [any] */
	/* -- lifetime: extra pins for work the core cannot see; balanced before drain() can end ---- */
	/** Keeps this module loaded until unpin(). */
	void(VIA_CALL *pin)(via_ctx *);                                                      /**< [any] nb */
	/** Ends one pin(). */
	void(VIA_CALL *unpin)(via_ctx *);                                                    /**< [any] nb */
	/** Completes a via_service call that returned VIA_PENDING. Exactly once per call; response is
	 * copied before it returns. */
	void(VIA_CALL *reply)(via_ctx *, uint64_t token, via_rc rc, const void *response, uint64_t len); /**< [any] */
	/** An extension of the core by its name. */
	const void *(VIA_CALL *get_ext)(via_ctx *, const char *id); /**< [any] NULL if unknown; lives until fini */
} via_host;

/** Name of the extension via_sysgate for via_host.get_ext(). It is present only where somebody wants to fail system calls (tests, fault
 * drills). A module that makes system calls asks `err = gate->deny(gate->arg, "bind")` before each:
 * 0 means go on, anything else is the error the call must be treated as having failed with. */
#define VIA_EXT_SYSGATE "viaduct.sysgate/1"
/** Asked before each system call that can fail: see VIA_EXT_SYSGATE. */
typedef struct via_sysgate {
	uint32_t struct_size;        /**< sizeof, where it was built */
	uint32_t reserved;           /**< 0 */
	void *arg;                   /**< first argument of deny() */
	/** 0, or the error `call` fails with: errno, or GetLastError()'s. */
	int32_t(VIA_CALL *deny)(void *arg, const char *call);                                /**< [any] */
} via_sysgate;
#ifdef __cplusplus
}
#endif
#endif
