/* SPDX-License-Identifier: Apache-2.0 */
/** @file viaduct/abi.h
 * Ground rules of the module ABI: types, result codes, tags.
 *
 * Lane tags used on every function of the ABI (a lane is a right, not a thread: it may migrate,
 * but two threads never hold the same lane of the same object at once):
 *   [ctl] control lane   [tx] send lane   [rx] receive lane   [any] callable concurrently
 *   nb = never blocks    na = never allocates    as = async-signal-safe */
#ifndef VIADUCT_ABI_H
#define VIADUCT_ABI_H
#include <stddef.h>
#include <stdint.h>

#define VIA_ABI_MAJOR 1u /**< part of the entry symbol's name; bumped at most once in ten years */
#define VIA_ABI_MINOR 0u /**< grows when a struct gains members at its end or an enum gains a value */

#if defined(_WIN32)
#  define VIA_CALL __cdecl
#  define VIA_EXPORT __declspec(dllexport)
#else
#  define VIA_CALL /**< calling convention of every function pointer of the ABI */
#  define VIA_EXPORT __attribute__((visibility("default"))) /**< a symbol that a shared object shows */
#endif

/** Behind a declaration: argument f is a format of printf, the arguments from a on belong to it. */
#if defined(__MINGW32__) && !defined(__clang__)
#  define VIA_PRINTF(f, a) __attribute__((format(gnu_printf, f, a)))
#elif defined(__GNUC__) || defined(__clang__)
#  define VIA_PRINTF(f, a) __attribute__((format(printf, f, a)))
#else
#  define VIA_PRINTF(f, a)
#endif

/** Behind a declaration: called only when something has gone wrong. */
#if defined(__GNUC__) || defined(__clang__)
#  define VIA_COLD __attribute__((cold))
#else
#  define VIA_COLD
#endif

/** True when *p, as built by the other side, really contains all of member m of type t. */
#define VIA_HAS(p, t, m) \
	((p)->struct_size >= offsetof(t, m) + sizeof(((t *)0)->m))

/** Results: >= 0 success (often a count). The class (-rc >> 4) tells an old host what to do with a
 * code it has never heard of: 0 retry, 1 peer/medium, 2 caller bug, 3 resources, 4 contract. */
typedef int32_t via_rc;
/** Values of via_rc. */
enum {
	VIA_OK = 0,         /**< done */
	VIA_AGAIN = -1,     /**< nothing could be done right now: wait, then call again */
	VIA_TIMEOUT = -2,   /**< the deadline passed */
	VIA_BUSY = -3,      /**< in use; from arm(): ready already, do not sleep */
	VIA_PENDING = -4,   /**< accepted, the answer follows */
	VIA_CLOSED = -16,   /**< the peer closed in order */
	VIA_RESET = -17,    /**< the peer or the medium died */
	VIA_UNREACH = -18,  /**< nobody listens there */
	VIA_PROTO = -19,    /**< the peer broke the protocol */
	VIA_REFUSED = -20,  /**< the peer said no */
	VIA_INVAL = -32,    /**< an argument is wrong */
	VIA_TOOBIG = -33,   /**< does not fit */
	VIA_STATE = -34,    /**< not allowed in this state */
	VIA_NOTFOUND = -35, /**< there is no such thing */
	VIA_EXISTS = -36,   /**< there is one already */
	VIA_NOMEM = -48,    /**< no memory */
	VIA_LIMIT = -49,    /**< a configured or system limit is reached */
	VIA_IO = -50,       /**< the operating system refused; see the detail */
	VIA_PERM = -51,     /**< not permitted, or not trusted */
	VIA_NOTSUP = -64,   /**< not supported by this component */
	VIA_EABI = -65,     /**< built for another ABI */
	VIA_ABORTED = -66   /**< abort() was called */
};
#define VIA_RC_CLASS(rc) ((uint32_t)(-(rc)) >> 4) /**< 0 to 4: the class of a result below 0 */

typedef uint64_t via_time;        /**< ns on the host's monotonic clock; all deadlines are absolute */
#define VIA_POLL 0u               /**< deadline already past: try once */
#define VIA_FOREVER UINT64_MAX    /**< no deadline; abort() still ends the wait */

/** Kinds of operating-system handle. */
enum {
	VIA_H_NONE = 0,              /**< none */
	VIA_H_FD = 1,                /**< a file descriptor */
	VIA_H_WIN = 2                /**< a HANDLE of Windows */
};
/** A handle of the operating system. Frozen at 16 bytes. */
typedef struct via_handle {
	int64_t value;               /**< the descriptor or HANDLE */
	int32_t kind;                /**< VIA_H_* */
	uint32_t rights;             /**< reserved, 0 */
} via_handle;

/** A span of bytes. Frozen at 16 bytes on 64-bit targets. */
typedef struct via_iov {
	const void *base;            /**< borrowed */
	uint64_t len;                /**< bytes */
} via_iov;

/** What is waited for. */
enum {
	VIA_EV_RX = 1,               /**< something to receive */
	VIA_EV_TX = 2,               /**< room to send */
	VIA_EV_UP = 4                /**< the link has become usable */
};
/** Kinds of via_waitobj. */
enum {
	VIA_WAIT_NONE = 0,           /**< nothing to sleep on */
	VIA_WAIT_FD = 1,             /**< a file descriptor */
	VIA_WAIT_WIN = 2,            /**< a HANDLE of Windows */
	VIA_WAIT_WORD = 3            /**< a 32-bit word in memory */
};

/** Something the core can sleep on, filled by arm(). FD: poll(2)-able. WIN: WaitForSingleObject-able,
 * manual or automatic reset. WORD: a 32-bit futex word; sleep while it still holds `expected`.
 * Borrowed; kind and handle stay the same for the life of the object that was armed. */
typedef struct via_waitobj {
	uint32_t struct_size;        /**< in: sizeof at the caller */
	int32_t kind;                /**< VIA_WAIT_* */
	int64_t handle;              /**< FD, WIN: what to wait for */
	uint32_t fd_events;          /**< FD: poll(2) event bits to ask for */
	uint32_t expected;           /**< WORD: sleep while the word holds this */
	const volatile uint32_t *word; /**< WORD: may lie in memory shared with the peer */
} via_waitobj;

/** Types of a value. */
enum {
	VIA_T_U64 = 1,               /**< v.u64 */
	VIA_T_I64,                   /**< v.i64 */
	VIA_T_F64,                   /**< v.f64 */
	VIA_T_BOOL,                  /**< v.u64: 0 or 1 */
	VIA_T_STR,                   /**< v.ptr: text */
	VIA_T_BYTES,                 /**< v.ptr: bytes */
	VIA_T_PAIRS                  /**< keys with values, read one by one with via_codec.pair */
};
/** One value of a record. Frozen at 24 bytes: embedded by value in arrays. */
typedef struct via_value {
	uint32_t type;               /**< VIA_T_* */
	uint32_t id;                 /**< column number */
	union {
		uint64_t u64;        /**< U64, BOOL */
		int64_t i64;         /**< I64 */
		double f64;          /**< F64 */
		const void *ptr;     /**< STR, BYTES: borrowed from the record */
	} v;                         /**< the value itself, by type */
	uint64_t len;                /**< STR, BYTES: bytes at v.ptr (STR too may hold any byte);
	                                PAIRS: number of pairs, read one by one */
} via_value;

/** Why bytes were refused. Filled by every checker, never on success. */
enum {
	VIA_FLAW_NONE = 0,       /**< nothing is wrong */
	VIA_FLAW_TRUNCATED,      /**< fewer bytes than a fixed part needs */
	VIA_FLAW_BAD_MAGIC,      /**< does not start with the protocol's number */
	VIA_FLAW_BAD_VERSION,    /**< another version of the outer header */
	VIA_FLAW_BAD_HEADER_LEN, /**< the header does not say its own length */
	VIA_FLAW_BAD_KIND,       /**< neither request, response nor control */
	VIA_FLAW_BAD_LAYOUT,     /**< layout version, flags, reserved field, enum or structural rule */
	VIA_FLAW_OUT_OF_BOUNDS,  /**< offset + length leaves its container */
	VIA_FLAW_MISSING_NUL,    /**< a string does not end where it says */
	VIA_FLAW_BAD_ALIGNMENT,  /**< an offset is not the multiple it must be */
	VIA_FLAW_BAD_ITEM_COUNT, /**< another number of items than expected */
	VIA_FLAW_OVERFLOW        /**< does not fit the output */
};
#define VIA_FLAW_NO_ITEM UINT32_MAX /**< via_flaw.item: the flaw is not in an item */
/** What is wrong with bytes that were refused, and where. Frozen at 40 bytes on 64-bit targets. */
typedef struct via_flaw {
	uint32_t kind;               /**< VIA_FLAW_* */
	uint32_t item;               /**< index of the item or row, or VIA_FLAW_NO_ITEM */
	uint64_t offset;             /**< of the offending field, from the first checked byte */
	uint64_t expected;           /**< what the rule asks for */
	uint64_t found;              /**< what the bytes say */
	const char *field;           /**< static text: the field's name in the wire specification */
} via_flaw;
#endif
