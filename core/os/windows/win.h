/* SPDX-License-Identifier: Apache-2.0
 * core/os/windows/win.h - what the files of the Windows side share. Include it first. */
#ifndef VIA_CORE_OS_WIN_H
#define VIA_CORE_OS_WIN_H
#ifndef _WIN32_WINNT
#define _WIN32_WINNT 0x0602
#endif
#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#ifndef __USE_MINGW_ANSI_STDIO
#define __USE_MINGW_ANSI_STDIO 1 /* %llu and %zu, whatever the C runtime */
#endif
#include "../os.h"
#include <windows.h>

#define WIN_PATH_MAX 4096 /* in UTF-16 units */
#define WIN_PREFIX_LEN 4  /* of the prefix that makes a path literal */

struct os_file {
	const core_env *e;
	HANDLE h;
	os_file_id id; /* as it was when it was opened */
};

/* True when the call may be made. Otherwise GetLastError() is what it is to be treated as having
 * failed with: `h = win_may(e, "CreateFileW") ? CreateFileW(...) : INVALID_HANDLE_VALUE`. */
static inline int win_may(const core_env *e, const char *call)
{
	int32_t err = env_deny(e, call);

	if (err == 0)
		return 1;
	SetLastError((DWORD)err);
	return 0;
}

/* The result code that fits an error from a call on a file or a resource. */
via_rc win_rc(DWORD err);

/* Milliseconds left until deadline, rounded up; INFINITE for VIA_FOREVER. */
DWORD win_ms_left(via_time deadline);

/* True when the deadline has passed; asks for the time only when it matters. */
int win_is_past(via_time deadline);

/* Index of a handle that is ready, n when none was for ms, or -1 with GetLastError(). n = 0 just sleeps. */
int win_wait(const core_env *e, const HANDLE *hs, uint32_t n, DWORD ms);

/* -- words (words.c) ---------------------------------------------------------------------------- */

via_rc win_word_check(const via_waitobj *obj);

static inline int win_word_differs(const volatile uint32_t *word, uint32_t expected)
{
	return os_load32(word) != expected;
}

/* What is done between two looks at words. Zeroed at first; win_pace_begin() for each wait. */
struct win_pace {
	HANDLE timer;   /* NULL until the first sleep */
	via_time until; /* the processor is offered; 0: not yet */
	int offered;    /* enough of that */
	int is_coarse;  /* there are no timers of high resolution */
};

void win_pace_begin(struct win_pace *p);
void win_pace_close(struct win_pace *p);
/* Offers the processor and answers 1, or 0 when it is time to sleep. */
int win_pace_offer(struct win_pace *p);
/* Sleeps on n handles, hs[n] being room for one more, for a slice of time or until the deadline.
 * Answers like win_wait(). */
int win_pace_sleep(const core_env *e, struct win_pace *p, HANDLE *hs, uint32_t n,
		   via_time deadline);

/* -- text and files ------------------------------------------------------------------------------ */

/* UTF-8 to UTF-16 and back; false, with the error in GetLastError(), when it is malformed or too
 * long. */
int win_wide(const char *s, wchar_t *buf, uint32_t cap);
int win_utf8(const wchar_t *s, char *buf, uint32_t cap);

/* A path as the W functions like it: backslashes, and the prefix that lifts the limit of 260 when
 * the path is long. */
int win_path(const char *path, wchar_t buf[WIN_PATH_MAX]);
/* The second half of it, in place. */
int win_long(wchar_t buf[WIN_PATH_MAX]);
/* dir and name with a backslash between; false with GetLastError() when that is too long. */
int win_join(wchar_t buf[WIN_PATH_MAX], const wchar_t *dir, const wchar_t *name);

/* A function of kernel32 that not every Windows has; NULL. */
FARPROC win_proc(const char *name);

via_rc win_identify(const core_env *e, HANDLE h, const char *path, BY_HANDLE_FILE_INFORMATION *info,
		    os_file_id *out);
via_rc win_read_at(const core_env *e, HANDLE h, uint64_t offset, void *buf, uint64_t len);

typedef struct win_sid {
	DWORD room[(SECURITY_MAX_SID_SIZE + 3) / 4];
} win_sid;

/* Who this process runs as; false with GetLastError(). */
int win_user(const core_env *e, win_sid *out);
/* The trust gate for one file or directory; is_above: a directory above the one that holds the file. */
via_rc win_check_access(PSID owner, PACL list, const win_sid *user, int is_above, const char *path);

/* A directory for one copy of a module, to which only this user and SYSTEM have access, and a handle that
 * keeps it where it is. False with GetLastError(). */
int win_copies_make(const core_env *e, wchar_t dir[WIN_PATH_MAX], HANDLE *pinned);
/* Deletes what is in it, closes the handle and deletes it. */
void win_copies_remove(const wchar_t *dir, HANDLE pinned);

#endif
