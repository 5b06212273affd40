/* SPDX-License-Identifier: Apache-2.0
 * core/os/os.h - everything the core asks of an operating system; the only door to it.
 *
 * core/os/posix and core/os/windows implement it, nothing else in the core includes a system header.
 * Functions that return via_rc leave a detail through core_fail_os(). Functions that take a core_env
 * ask env_deny() with the call's name before each system call that can fail. */
#ifndef VIA_CORE_OS_H
#define VIA_CORE_OS_H
#include "../base/env.h"
#include "../base/err.h"
#if defined(_MSC_VER)
#include <intrin.h>
#include <stdatomic.h>
#endif

/* -- time and processors ----------------------------------------------------------------------- */

via_time os_now(void);         /* monotonic, ns; async-signal-safe */
uint32_t os_usable_cpus(void); /* by affinity and cgroup / job quota, at least 1 */
uint64_t os_process_id(void);

/* Offers the processor to whoever else is ready to run on it. */
void os_yield(void);

/* What compilers spell differently. The core says it in these functions only. */
static inline void os_cpu_relax(void)
{
#if defined(_MSC_VER) && (defined(_M_X64) || defined(_M_IX86))
	_mm_pause();
#elif defined(_MSC_VER)
	__yield();
#elif defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ __volatile__("yield");
#endif
}

/* A word that others write, with everything they wrote before it. It need not be declared atomic: it may lie in
 * memory shared with a peer. */
static inline uint32_t os_load32(const volatile uint32_t *word)
{
#if defined(_MSC_VER)
	uint32_t value = *word;

	atomic_thread_fence(memory_order_acquire);
	return value;
#else
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
#endif
}

static inline uint64_t os_load64(const volatile uint64_t *word)
{
#if defined(_MSC_VER)
	uint64_t value = *word;

	atomic_thread_fence(memory_order_acquire);
	return value;
#else
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
#endif
}

/* -- locks and threads -------------------------------------------------------------------------- */

typedef struct os_mutex {
	void *opaque[8];
} os_mutex; /* pthread_mutex_t or SRWLOCK in place */
typedef struct os_cond {
	void *opaque[8];
} os_cond;

void os_mutex_init(os_mutex *m);
void os_mutex_destroy(os_mutex *m);
void os_mutex_lock(os_mutex *m);
void os_mutex_unlock(os_mutex *m);
void os_cond_init(os_cond *c); /* monotonic clock */
void os_cond_destroy(os_cond *c);
void os_cond_wait(os_cond *c, os_mutex *m);
int os_cond_wait_until(os_cond *c, os_mutex *m, via_time deadline); /* 0 when the deadline passed */
void os_cond_signal(os_cond *c);
void os_cond_broadcast(os_cond *c);

typedef struct os_thread os_thread;
/* Starts a joinable thread. All signals are blocked in it. name: at most 15 bytes are used. */
via_rc os_thread_start(const core_env *e, const char *name, void (*fn)(void *), void *arg,
		       os_thread **out);
void os_thread_join(const core_env *e, os_thread *t);

/* -- sleeping ----------------------------------------------------------------------------------- */

/* A latch that ends a sleep: set from any thread, stays set until cleared. */
typedef struct os_waker os_waker;
via_rc os_waker_open(const core_env *e, os_waker **out);
void os_waker_close(const core_env *e, os_waker *w);
void os_waker_set(os_waker *w); /* any thread; never fails, never blocks */
void os_waker_clear(os_waker *w);
void os_waker_object(const os_waker *w, via_waitobj *out);

/* Sleeps until one of n objects is ready or the deadline passes. *ready gets a bit for each ready
 * object (n <= 32; 0 just sleeps). FD on POSIX, WIN on Windows, WORD on Linux and Windows (VIA_NOTSUP
 * elsewhere). VIA_OK, VIA_TIMEOUT, VIA_IO. Finding an automatic-reset event resets it.
 *
 * A word is ready when it holds something other than `expected`. Words may be mixed with the other kind.
 * Linux: who changes a word has to wake its (shared) futex, which ends the sleep at once; a descriptor beside
 * words ends it after 5 ms at most. The same where the kernel cannot wait for several words, after 2 ms, for all
 * words but the first.
 * Windows: nobody has to wake a word. It is looked at all the time for about 100 us, and then about every
 * millisecond (the tick of the system, up to 15.6 ms, before Windows 10 1803); a handle still ends that sleep at
 * once. */
via_rc os_wait(const core_env *e, const via_waitobj *objs, uint32_t n, via_time deadline,
	       uint32_t *ready);

/* What arm() is given to fill. Kinds other than FD leave fd_events alone, and 0 would silence them. */
#define OS_WAITOBJ_INIT \
	{ \
		.struct_size = sizeof(via_waitobj), .fd_events = 1 \
	}

/* Many objects, each with a key. One thread waits; add, modify and remove come from that thread too.
 *
 * Descriptors and handles are level-triggered. A word (Linux and Windows; VIA_NOTSUP elsewhere) is known by
 * its address and told once for each add or modify, as soon as it differs from the `expected` given there;
 * fd_events do not matter. While no word is armed, waiting costs nothing but the one wait.
 *
 * Linux: data in a word wakes the waiting thread itself; for descriptors beside armed words a poller keeps one
 * thread, from its first word until it is closed. Up to 127 armed words cost nothing while nothing happens;
 * with more, or on a kernel without futex_waitv(), the waiting thread looks at all of them every 2 ms.
 *
 * Windows: armed words are looked at as os_wait() does it. An automatic-reset event is told once for each
 * time it was set, or for several; what was set before os_poller_remove() may be lost with it, so who adds such
 * an event again first looks at what it stands for, as arm() does. Beyond 62 handles, the ones that were used
 * least are seen a moment later than the others, and may be told although they were reset in that moment. One
 * that was silenced may be told once when it is not any more. */
typedef struct os_poller os_poller;
typedef struct os_event {
	void *key;
} os_event;
via_rc os_poller_open(const core_env *e, os_poller **out);
void os_poller_close(os_poller *p);
via_rc os_poller_add(os_poller *p, const via_waitobj *obj, void *key);
/* Other fd_events (0: none), or another `expected`, which arms the word again. */
via_rc os_poller_modify(os_poller *p, const via_waitobj *obj, void *key);
void os_poller_remove(os_poller *p, const via_waitobj *obj);
/* Number of events (0 after the deadline), or VIA_IO. VIA_POLL looks without sleeping. */
via_rc os_poller_wait(os_poller *p, os_event *out, uint32_t cap, via_time deadline);

/* Closes an operating-system handle that came over a link; sets it to VIA_H_NONE. */
void os_handle_close(via_handle *h);

/* -- environment -------------------------------------------------------------------------------- */

/* True when the process has more rights than whoever started it (set-id, file capabilities). */
int os_is_privileged(void);
/* Value of an environment variable copied into buf; VIA_NOTFOUND, VIA_TOOBIG. UTF-8 on Windows. */
via_rc os_getenv(const char *name, char *buf, uint32_t cap);
/* $XDG_RUNTIME_DIR/viaduct, /run/viaduct, %ProgramData%\viaduct */
via_rc os_default_run_dir(char *buf, uint32_t cap);
/* Where modules are: relative to the library's own file if there is such a directory, else VIA_MODULE_DIR. */
via_rc os_default_module_dir(char *buf, uint32_t cap);

/* -- files (UTF-8 paths) ------------------------------------------------------------------------- */

#if defined(_WIN32)
#define OS_PATH_SEP ';'
#define OS_DIR_SEP '\\'
#define OS_MODULE_SUFFIX ".dll"
#else
#define OS_PATH_SEP ':'
#define OS_DIR_SEP '/'
#define OS_MODULE_SUFFIX ".so"
#endif

int os_path_is_absolute(const char *path);
/* Order of two names of at most 255 bytes in one directory; 0: they are the same file's, as the file
 * systems of this platform have it (Windows: whatever the case). */
int os_name_compare(const char *a, const char *b);
/* Calls fn for every entry of a directory but "." and "..", in no order. VIA_NOTFOUND: no such directory. */
via_rc os_dir_list(const core_env *e, const char *dir, via_rc (*fn)(void *arg, const char *name),
		   void *arg);

typedef struct os_file os_file; /* read only */
typedef struct os_file_id {     /* tells whether a path still names what it named */
	uint64_t device, inode, size, mtime_ns;
} os_file_id;
/* The time now, as mtime_ns counts it. The clock may be set. */
uint64_t os_file_clock(void);
/* Opens a regular file for reading, following no link in its last component. VIA_NOTFOUND, VIA_PERM,
 * VIA_INVAL (not a regular file; the detail says what it is), VIA_IO. */
via_rc os_file_open(const core_env *e, const char *path, os_file **out);
void os_file_close(os_file *f);
void os_file_identity(const os_file *f, os_file_id *out);
/* Reads exactly len bytes at offset; VIA_IO, or VIA_PROTO when the file ends before. */
via_rc os_file_read(os_file *f, uint64_t offset, void *buf, uint64_t len);
/* The trust gate: owner root or this user, file and every directory above it not writable by others
 * (a sticky directory is fine as a parent). VIA_PERM with a sentence that says what was expected and
 * found. */
via_rc os_file_trusted(os_file *f, const char *path);
/* Identity of a path without opening it: used to see whether a directory changed. */
via_rc os_path_id(const char *path, os_file_id *out);

/* -- loading code --------------------------------------------------------------------------------- */

typedef struct os_image os_image;
#define OS_IMAGE_MAX ((uint64_t)64 << 20) /* bytes of a file that os_image_open() takes */
/* A private copy of f (or, with direct, the file itself) that can be read and then mapped: nothing that
 * happens to the file afterwards can change it. label: unique per load, for debuggers. */
via_rc os_image_open(const core_env *e, os_file *f, const char *path, const char *label, int direct,
		     os_image **out);
via_rc os_image_read(os_image *i, uint64_t offset, void *buf, uint64_t len);
uint64_t os_image_size(const os_image *i);
/* Maps it, resolving everything now, exporting nothing to others. VIA_EABI with the loader's message. */
via_rc os_image_map(os_image *i);
void *os_image_symbol(os_image *i, const char *name);
/* Unmaps (if keep_mapped is 0) and frees. */
void os_image_close(os_image *i, int keep_mapped);

#endif
