/* SPDX-License-Identifier: Apache-2.0 */
/** @file viaduct/app/registry.h
 * Finds modules, loads them on first need, and says why not.
 *
 * A registry is the root of everything: clients, servers and sessions are opened in one. A process
 * may hold several; they share nothing. All functions are thread-safe unless they say otherwise. */
#ifndef VIADUCT_APP_REGISTRY_H
#define VIADUCT_APP_REGISTRY_H
#include "../codec.h"
#include "../host.h"
#include "../service.h"
#include "../transport.h"
#include "base.h"
#ifdef __cplusplus
extern "C" {
#endif

typedef struct via_registry via_registry; /**< the root of everything; opaque */

/** How module files are mapped. */
enum {
	/** map a private copy: the file on disk may then be replaced or truncated */
	VIA_LOAD_COPY = 0,
	VIA_LOAD_DIRECT = 1, /**< map the file itself: for debuggers and sanitizers */
};

/** How waiting begins. */
enum {
	VIA_POLICY_BALANCED = 0, /**< spin for about what a sleep costs, while it pays */
	VIA_POLICY_LATENCY = 1,  /**< spin longer */
	VIA_POLICY_FRUGAL = 2,   /**< never spin */
};

/** Which module files may be loaded. */
enum {
	VIA_MODULES_ANY = 0, /**< whatever passes the trust gate */
	/** moreover only files that a lock of their directory lists, with the digest it lists: see
	 * viaduct-module(7). Builtin modules are part of the library and pass. */
	VIA_MODULES_LOCKED = 1,
};

/** Replaces the core's memory and lets system calls fail. For tests and unusual embedders. */
typedef struct via_hooks {
	uint32_t struct_size;                                     /**< sizeof, where it was built */
	uint32_t reserved;                                        /**< 0 */
	void *arg;                                                /**< first argument of all */
	void *(*alloc)(void *arg, uint64_t size, uint64_t align); /**< zeroed; NULL: no memory */
	void (*free)(void *arg, void *p);                         /**< NULL is fine */
	/** 0, or the system error `call` fails with; may be NULL */
	int32_t (*deny)(void *arg, const char *call);
} via_hooks;

/** Takes a line of the log: VIA_LOG_*, who says it, and what. Both strings are borrowed for the call. */
typedef void (*via_log_fn)(void *arg, int32_t level, const char *origin, const char *text);

/** What a registry is opened with. */
typedef struct via_registry_options {
	uint32_t struct_size;    /**< sizeof, where it was built */
	uint32_t load_mode;      /**< VIA_LOAD_* */
	uint32_t policy;         /**< VIA_POLICY_* */
	int32_t log_level;       /**< VIA_LOG_*; less is not even formatted */
	const char *module_path; /**< absolute directories, ':' between (';' on Windows). NULL:
	                                VIADUCT_MODULE_PATH unless privileged, else the built-in one */
	via_log_fn log;          /**< called from any thread; NULL: nothing is logged */
	void *log_arg;           /**< first argument of log */
	const via_hooks *hooks;  /**< NULL: libc */
	/** VIA_MODULES_*. LOCKED needs VIA_LOAD_COPY: what was checked is what is mapped */
	uint32_t module_policy;
	uint32_t reserved; /**< 0 */
} via_registry_options;

/** Zeroed options with struct_size set. */
#define VIA_REGISTRY_OPTIONS_INIT \
	{ \
		sizeof(via_registry_options), 0, 0, VIA_LOG_OFF, NULL, NULL, NULL, NULL, 0, 0 \
	}

/**
 * Opens a registry: takes the builtin modules and scans the module path, executing nothing.
 *
 * @param options  NULL for defaults; copied
 * @param out      the registry, for via_registry_close()
 * @retval VIA_OK, VIA_NOMEM, VIA_INVAL (relative directory in the path, unknown option value,
 *         VIA_MODULES_LOCKED with VIA_LOAD_DIRECT)
 *
 * A directory that is missing is not an error; a file that is refused is not an error: see
 * via_registry_files(). Blocks: on the file system.
 */
VIA_API via_rc via_registry_open(const via_registry_options *options, via_registry **out);

/**
 * Closes it: finishes every module, then frees.
 *
 * @retval VIA_BUSY  something is still open in it; the detail names the holder, nothing happened
 */
VIA_API via_rc via_registry_close(via_registry *r);

/**
 * Looks at the module path again. New files appear, vanished ones disappear; what is loaded of those stays
 * with whoever holds it. Handshakes look by themselves whether a directory has changed.
 */
VIA_API via_rc via_registry_scan(via_registry *r);

/**
 * Scans, and under VIA_MODULES_LOCKED also compares the digest of every file with its lock: what
 * differs is VIA_FILE_REFUSED with both digests as the reason. Loading compares in any case; this
 * is for who wants to know before, and reads every file whole, as all later scans do. Executes nothing.
 */
VIA_API via_rc via_registry_verify(via_registry *r);

/** What became of a module file. */
enum {
	VIA_FILE_FOUND = 1,    /**< identity read, nothing executed */
	VIA_FILE_LOADED = 2,   /**< runs */
	VIA_FILE_RETIRED = 3,  /**< finished; its code stays mapped */
	VIA_FILE_REFUSED = 4,  /**< see reason */
	VIA_FILE_SHADOWED = 5, /**< another file of the same id came first; see reason */
	VIA_FILE_GONE = 6,     /**< loaded, but not there any more: nobody gets it who has it not */
};

/** One component that a file says it provides. */
typedef struct via_provided {
	uint32_t struct_size;  /**< sizeof, where it was built */
	uint32_t kind;         /**< VIA_KIND_* */
	uint32_t rev;          /**< of its behaviour, from 1 */
	int32_t score;         /**< preference; 0: only by name */
	uint32_t roles;        /**< transport: VIA_ROLE_* */
	uint32_t profiles;     /**< transport: profile bits */
	uint32_t method;       /**< codec: method code; 0 otherwise */
	uint32_t max_request;  /**< service: payload it asks for, bytes; 0: default */
	uint32_t max_response; /**< service: the same of answers */
	uint32_t by_request;   /**< transport: bits that a client offers by request only */
	const char *id;        /**< component id */
	const char *name;      /**< codec, service: name; transport: schemes */
	const char *codecs;    /**< service: names of its codecs, ',' between; "" if not said */
} via_provided;

/** One module file, or builtin module. */
typedef struct via_file_info {
	uint32_t struct_size; /**< sizeof, where it was built */
	uint32_t state;       /**< VIA_FILE_* */
	const char *path;     /**< "(builtin)" for a builtin */
	const char *id;       /**< "" if unknown */
	const char *version;  /**< "" if unknown */
	const char *reason;   /**< why refused, shadowed or last failed to load; "" if not */
	const via_provided *provided; /**< what it says it provides */
	uint32_t n_provided;          /**< how many */
	uint32_t generation;          /**< how often it was loaded */
	uint32_t n_pins;              /**< objects that hold it */
	uint32_t reserved;            /**< 0 */
} via_file_info;

/**
 * Calls fn for every file looked at, in search order, until it returns non-zero; returns that value.
 * Everything in the info is borrowed for the call. fn must not call into the registry.
 */
VIA_API int via_registry_files(via_registry *r, int (*fn)(void *arg, const via_file_info *),
			       void *arg);

/**
 * Takes a component by kind and name, loading its module if need be.
 *
 * @param r        the registry
 * @param kind     VIA_KIND_*
 * @param name     component id, or codec name, service name, or one of a transport's schemes
 * @param min_rev  lowest revision accepted, 0 for any
 * @param out      borrowed access; give back with via_registry_release()
 *
 * @retval VIA_NOTFOUND  no module provides it; the detail says where was looked and what was refused
 * @retval VIA_EABI, VIA_PERM, VIA_IO, VIA_NOMEM  its module cannot be loaded; the detail says why
 *         (VIA_PERM: not trusted, or not what a lock lists)
 */
VIA_API via_rc via_registry_acquire(via_registry *r, uint32_t kind, const char *name,
				    uint32_t min_rev, via_ref *out);

/** The same for the codec of a method code. */
VIA_API via_rc via_registry_acquire_method(via_registry *r, uint16_t method, via_ref *out);

/** Gives back what acquire took. NULL members are fine; clears *ref. */
VIA_API void via_registry_release(via_registry *r, via_ref *ref);

/** What the index knows of a component without loading anything. Strings live until the next scan. */
VIA_API via_rc via_registry_lookup(via_registry *r, uint32_t kind, const char *name,
				   via_provided *out);

/** Loads a module by id; VIA_OK if it is loaded already. */
VIA_API via_rc via_registry_load(via_registry *r, const char *id);

/**
 * Pauses, drains, stops and finishes a module. Its code is unmapped when the module allows it, else
 * it is retired. The next need loads it anew, from the file as it is then.
 *
 * @retval VIA_BUSY  still held when the deadline passed; the detail names a holder, the module goes on
 */
VIA_API via_rc via_registry_unload(via_registry *r, const char *id, via_time deadline);

/** Sets what init() of module `id` gets as configuration, "key=value\n" lines. Before it is loaded. */
VIA_API via_rc via_registry_configure(via_registry *r, const char *id, const char *config);

/** The directories that are searched, as given to the scan, ':' (';') between. Lives as long as r. */
VIA_API const char *via_registry_path(via_registry *r);

#ifdef __cplusplus
}
#endif
#endif
