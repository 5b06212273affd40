/* SPDX-License-Identifier: Apache-2.0 */
/** @file viaduct/module.h
 * What a shared object must contain to be a viaduct module. */
#ifndef VIADUCT_MODULE_H
#define VIADUCT_MODULE_H
#include "codec.h"
#include "service.h"
#include "transport.h"
#ifdef __cplusplus
extern "C" {
#endif
/** The life of a module.
 *
 * States:  init -> start <-> (pause/resume) -> drain -> stop -> fini.   One at a time.
 * pause: admit no new objects, keep the old ones.  drain: admit none, let old ones finish.
 * drain returns VIA_OK when nothing is in flight, VIA_AGAIN when called again later, VIA_TIMEOUT past
 * the deadline (the core then resumes the module and refuses to unload). After stop no callback may
 * run. After fini the module must be as if never initialised; init may follow again.
 * init runs once per registry and a process may hold several: state lives in *self, not in statics.
 * Every member but struct_size may be NULL: nothing to do there. */
typedef struct via_lifecycle {
	uint32_t struct_size;        /**< sizeof, where it was built */
	uint32_t reserved;           /**< 0 */
	/** Makes the module's state. config: "key=value\n" lines, or NULL. An unknown key or a bad value is VIA_INVAL, named in fail. */
	via_rc(VIA_CALL *init)(const via_host *, const char *config, void **self); /**< [ctl] host lives until fini returns */
	/** Begins work: objects may be made from now on. */
	via_rc(VIA_CALL *start)(void *self);                    /**< [ctl] */
	/** Admits no new objects, keeps the old ones. */
	via_rc(VIA_CALL *pause)(void *self);                    /**< [ctl] */
	/** Ends pause() or a drain() that failed. */
	via_rc(VIA_CALL *resume)(void *self);                   /**< [ctl] */
	/** Lets old objects finish. AGAIN: call again; TIMEOUT: past the deadline. */
	via_rc(VIA_CALL *drain)(void *self, via_time deadline); /**< [ctl] */
	/** Ends work: no callback runs after it. */
	via_rc(VIA_CALL *stop)(void *self);                     /**< [ctl] */
	/** Gives everything back. */
	void(VIA_CALL *fini)(void *self);                       /**< [ctl] */
	/** An extension by its name; NULL if there is none of it. */
	const void *(VIA_CALL *get_ext)(void *self, const char *id); /**< [any] e.g. "via.state/1": hand-over on reload */
} via_lifecycle;

/** One thing that a module provides. */
typedef struct via_component {
	uint32_t struct_size;        /**< sizeof, where it was built */
	uint32_t kind;  /**< VIA_KIND_* */
	const char *id;              /**< "org.viaduct.uds": unique per kind; others use their own domain */
	uint32_t rev;                /**< of the component's behaviour, from 1 */
	int32_t score;               /**< default preference; 0 = only when asked for by name */
	const void *vtable;          /**< via_transport, via_codec or via_service */
} via_component;

/** Flags of a module. */
enum {
	VIA_MOD_UNLOADABLE = 1,      /**< author vouches: no TLS destructors, atexit, signal handlers */
	VIA_MOD_FORK_SAFE = 2,       /**< author vouches: works in the child of a fork too */
	VIA_MOD_EXPERIMENTAL = 4,    /**< author warns: may change or go */
	VIA_MOD_SINGLETON = 8        /**< cannot serve two registries of one process at once */
};
#define VIA_MODULE_MAGIC 0x31414956u /**< via_module_desc.magic: "VIA1" */

/** Facts about the frozen structs as compiled; a mismatch means a wrong toolchain flag (packing,
 * pointer size), never merely a different build configuration or a newer minor. */
#define VIA_LAYOUT ((uint64_t)sizeof(void *) | (uint64_t)sizeof(via_value) << 8 | \
	(uint64_t)sizeof(via_view) << 16 | (uint64_t)sizeof(via_slot) << 24 | \
	(uint64_t)offsetof(via_link, host) << 32 | (uint64_t)offsetof(via_link_ops, close) << 48)

/** What a module says of itself; see VIA_MODULE_DESC. */
typedef struct via_module_desc {
	uint32_t magic;                  /**< VIA_MODULE_MAGIC */
	uint16_t abi_major;              /**< VIA_ABI_MAJOR */
	uint16_t abi_minor;              /**< lowest core that has everything the module uses */
	uint32_t struct_size;        /**< sizeof, where it was built */
	uint32_t flags;     /**< flags: VIA_MOD_* */
	uint64_t layout;                 /**< VIA_LAYOUT */
	const char *id;                  /**< "org.viaduct.uds"; as in the identity note */
	const char *version;             /**< of the module, "1.0.0" */
	const char *license;             /**< SPDX expression */
	const char *build_id;            /**< for logs and crash reports only, may be NULL */
	const via_component *components; /**< what it provides */
	uint32_t n_components;           /**< how many */
	uint32_t component_size;         /**< stride, so that via_component may grow */
	const via_lifecycle *life;       /**< may be NULL */
} via_module_desc;

/** What a descriptor is initialised with; the facts of the ABI as compiled are filled in. components is an
 * array; abi_minor is 0, set it by hand when the module needs more:
 *
 *     static const via_module_desc desc = VIA_MODULE_DESC("org.viaduct.uds", "1.0.0", "Apache-2.0",
 *                                                         VIA_MOD_UNLOADABLE, components, &life); */
#define VIA_MODULE_DESC(id, version, license, flags, components, life) \
	{ VIA_MODULE_MAGIC, VIA_ABI_MAJOR, 0, (uint32_t)sizeof(via_module_desc), (flags), VIA_LAYOUT, \
	  (id), (version), (license), NULL, (components), \
	  (uint32_t)(sizeof(components) / sizeof((components)[0])), (uint32_t)sizeof(via_component), (life) }

/** The single exported function. Pure: no allocation, no I/O, no threads; may run before init.
 * host_minor lets one binary serve several minors with different tables. */
typedef via_rc(VIA_CALL *via_module_entry_fn)(uint32_t host_minor, const via_module_desc **out);
#define VIA_MODULE_SYMBOL "viaduct_module_v1" /**< its name */

/** Identity readable without executing the file: NUL-separated key=value text in its own section.
 * Keys: abi, id, version, provides (repeated), requires (repeated). docs/abi.md has the grammar. */
#define VIA_NOTE_SECTION ".viaduct"
#define VIA_NOTE_MAGIC "viaduct-module" /**< how the text begins */
/** Begins the definition of an identity note: `VIA_NOTE(symbol) = "text";`. VIA_MODULE does it. */
#if defined(_MSC_VER) /* a symbol of the object, which the linker is told to keep */
#  pragma section(".viaduct", read)
#  if defined(_M_IX86)
#    define VIA_NOTE_KEEP(symbol) __pragma(comment(linker, "/INCLUDE:_" #symbol))
#  else
#    define VIA_NOTE_KEEP(symbol) __pragma(comment(linker, "/INCLUDE:" #symbol))
#  endif
#  define VIA_NOTE(symbol) VIA_NOTE_KEEP(symbol) __declspec(allocate(".viaduct")) const char symbol[]
#elif defined(__APPLE__)
#  define VIA_NOTE(symbol) \
	__attribute__((used, section("__DATA,__viaduct"))) static const char symbol[]
#elif defined(_WIN32)
#  define VIA_NOTE(symbol) \
	__attribute__((used, section(".viaduct"), aligned(1))) static const char symbol[]
#else
#  define VIA_NOTE(symbol) \
	__attribute__((used, retain, section(".viaduct"), aligned(1))) static const char symbol[]
#endif

/** Makes a module of a descriptor and its identity note:
 *
 *     VIA_MODULE(uds, desc,
 *     "id=org.viaduct.uds\0" "version=1.0.0\0"
 *     "provides=transport org.viaduct.uds/1 score=100 roles=baseline profiles=0x1 schemes=uds,unix\0")
 *
 * Loadable build: exports viaduct_module_v1. Builtin build (-DVIA_BUILTIN): defines via_builtin_uds
 * and its note, which CMake lists in the generated builtin table. No constructors either way. */
#if defined(VIA_BUILTIN)
#  define VIA_MODULE(name, desc, note) \
	extern const char via_builtin_note_##name[]; \
	extern const uint32_t via_builtin_note_len_##name; \
	const char via_builtin_note_##name[] = VIA_NOTE_MAGIC "\0abi=1\0" note; \
	const uint32_t via_builtin_note_len_##name = (uint32_t)sizeof via_builtin_note_##name - 1; \
	via_rc VIA_CALL via_builtin_##name(uint32_t, const via_module_desc **); \
	via_rc VIA_CALL via_builtin_##name(uint32_t m, const via_module_desc **out) { (void)m; *out = &(desc); return VIA_OK; }
#else
#  define VIA_MODULE(name, desc, note) \
	VIA_NOTE(via_note_##name) = VIA_NOTE_MAGIC "\0abi=1\0" note; \
	VIA_EXPORT via_rc VIA_CALL viaduct_module_v1(uint32_t, const via_module_desc **); \
	VIA_EXPORT via_rc VIA_CALL viaduct_module_v1(uint32_t m, const via_module_desc **out) { (void)m; *out = &(desc); return VIA_OK; }
#endif
#ifdef __cplusplus
}
#endif
#endif
