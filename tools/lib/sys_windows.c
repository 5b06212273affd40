/* tools/lib/sys_windows.c - what both programs need from Windows. Paths and arguments are UTF-8. */
#include "sys.h"

#include <windows.h>

#include <fcntl.h>
#include <io.h>
#include <shellapi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -- text ------------------------------------------------------------------------------------ */

static char *narrow(const wchar_t *from)
{
	int n = WideCharToMultiByte(CP_UTF8, 0, from, -1, NULL, 0, NULL, NULL);
	char *to = n > 0 ? malloc((size_t)n) : NULL;

	if (to != NULL && WideCharToMultiByte(CP_UTF8, 0, from, -1, to, n, NULL, NULL) == 0) {
		free(to);
		return NULL;
	}
	return to;
}

static wchar_t *widen(const char *from)
{
	int n = MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, from, -1, NULL, 0);
	wchar_t *to = n > 0 ? malloc((size_t)n * sizeof(*to)) : NULL;

	if (to != NULL &&
	    MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, from, -1, to, n) == 0) {
		free(to);
		return NULL;
	}
	return to;
}

static void explain(char *why, DWORD error)
{
	wchar_t text[160];
	char *utf8;
	DWORD n;

	n = FormatMessageW(FORMAT_MESSAGE_FROM_SYSTEM | FORMAT_MESSAGE_IGNORE_INSERTS, NULL, error,
			   0, text, 160, NULL);
	while (n > 0 && text[n - 1] <= L' ')
		text[--n] = L'\0';
	utf8 = n > 0 ? narrow(text) : NULL;
	(void)snprintf(why, SYS_WHY, "%s (error %lu)", utf8 != NULL ? utf8 : "system error", error);
	free(utf8);
}

void sys_init(int *argc, char ***argv)
{
	wchar_t **wide;
	char **utf8;
	int n, i;

	(void)_setmode(0, _O_BINARY);
	(void)_setmode(1, _O_BINARY);
	(void)_setmode(2, _O_BINARY);
	wide = CommandLineToArgvW(GetCommandLineW(), &n);
	utf8 = wide != NULL ? calloc((size_t)n + 1, sizeof(*utf8)) : NULL;
	for (i = 0; utf8 != NULL && i < n; i++) {
		utf8[i] = narrow(wide[i]);
		if (utf8[i] == NULL)
			utf8[i] = _strdup("");
	}
	LocalFree(wide);
	if (utf8 != NULL) { /* lives as long as the program */
		*argc = n;
		*argv = utf8;
	}
}

/* -- files ----------------------------------------------------------------------------------- */

static int read_all(HANDLE h, uint64_t max, buf *out, char *why)
{
	char piece[16384];
	DWORD n;

	for (;;) {
		if (!ReadFile(h, piece, sizeof piece, &n, NULL)) {
			if (GetLastError() == ERROR_BROKEN_PIPE)
				return 1; /* the writer of a pipe is done */
			explain(why, GetLastError());
			return -1;
		}
		if (n == 0)
			return 1;
		buf_put(out, piece, n);
		if (out->failed || out->len > max) {
			(void)snprintf(why, SYS_WHY, "more than %llu bytes",
				       (unsigned long long)max);
			return -1;
		}
	}
}

int sys_read(const char *path, uint64_t max, buf *out, char *why)
{
	wchar_t *wide;
	HANDLE h;
	DWORD error;
	int rc;

	if (path == NULL || strcmp(path, "-") == 0)
		return read_all(GetStdHandle(STD_INPUT_HANDLE), max, out, why);
	wide = widen(path);
	if (wide == NULL) {
		(void)snprintf(why, SYS_WHY, "the path is not UTF-8");
		return -1;
	}
	h = CreateFileW(wide, GENERIC_READ, FILE_SHARE_READ, NULL, OPEN_EXISTING, 0, NULL);
	error = GetLastError();
	free(wide);
	if (h == INVALID_HANDLE_VALUE) {
		explain(why, error);
		return error == ERROR_FILE_NOT_FOUND || error == ERROR_PATH_NOT_FOUND ? 0 : -1;
	}
	rc = read_all(h, max, out, why);
	CloseHandle(h);
	return rc;
}

static int by_bytes(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Takes one name if it ends with suffix. */
static int take_name(const wchar_t *wide, const char *suffix, char ***all, size_t *n)
{
	char *name = narrow(wide), **more;
	size_t len = name != NULL ? strlen(name) : 0, end = strlen(suffix);

	if (name == NULL || len <= end || strcmp(name + len - end, suffix) != 0) {
		free(name);
		return 1;
	}
	more = realloc(*all, (*n + 1) * sizeof(**all));
	if (more == NULL) {
		free(name);
		return 0;
	}
	*all = more;
	more[(*n)++] = name;
	return 1;
}

int sys_list(const char *dir, const char *suffix, buf *names, char *why)
{
	WIN32_FIND_DATAW found;
	char pattern[SYS_PATH], **all = NULL;
	size_t n = 0, i;
	wchar_t *wide;
	HANDLE h;
	int rc = 1;

	(void)snprintf(pattern, sizeof pattern, "%s\\*", dir);
	wide = widen(pattern);
	h = wide != NULL ? FindFirstFileW(wide, &found) : INVALID_HANDLE_VALUE;
	free(wide);
	if (h == INVALID_HANDLE_VALUE) {
		explain(why, GetLastError());
		return 0;
	}
	do {
		if (found.cFileName[0] != L'.' && !take_name(found.cFileName, suffix, &all, &n))
			rc = -1;
	} while (rc == 1 && FindNextFileW(h, &found));
	FindClose(h);
	if (rc != 1)
		(void)snprintf(why, SYS_WHY, "no memory");
	if (n != 0)
		qsort(all, n, sizeof(*all), by_bytes);
	for (i = 0; i < n; i++) {
		buf_put(names, all[i], strlen(all[i]) + 1);
		free(all[i]);
	}
	free(all);
	return rc;
}

/* -- run directory --------------------------------------------------------------------------- */

int sys_dir_open(const char *path, uint32_t mode, sys_dir *out, char *why)
{
	wchar_t *wide = widen(path);
	DWORD attributes;

	(void)mode; /* access follows the parent's list */
	memset(out, 0, sizeof *out);
	if (wide == NULL || strlen(path) >= sizeof out->path) {
		free(wide);
		(void)snprintf(why, SYS_WHY, "expected a path in UTF-8 of less than %u bytes",
			       SYS_PATH);
		return 0;
	}
	memcpy(out->path, path, strlen(path));
	out->is_made = CreateDirectoryW(wide, NULL) != 0;
	attributes = GetFileAttributesW(wide);
	if (attributes == INVALID_FILE_ATTRIBUTES)
		explain(why, GetLastError());
	else if ((attributes & FILE_ATTRIBUTE_REPARSE_POINT) != 0)
		(void)snprintf(why, SYS_WHY, "expected a directory, found a link");
	else if ((attributes & FILE_ATTRIBUTE_DIRECTORY) == 0)
		(void)snprintf(why, SYS_WHY, "expected a directory, found something else");
	else
		why[0] = '\0';
	free(wide);
	return why[0] == '\0';
}

void sys_dir_close(sys_dir *d)
{
	wchar_t *wide = d->is_made ? widen(d->path) : NULL;

	if (wide != NULL)
		(void)RemoveDirectoryW(wide); /* refuses one that is not empty */
	free(wide);
	d->is_made = 0;
}

/* -- being told to stop ---------------------------------------------------------------------- */

static HANDLE requests[3]; /* events, by SYS_* - 1 */
static volatile LONG is_insisting;
static void (*last_wish)(void);

static BOOL WINAPI on_console(DWORD event)
{
	if (event == CTRL_LOGOFF_EVENT)
		return TRUE; /* somebody's session ends; only services hear of it, and go on */
	if (is_insisting != 0 && (event == CTRL_C_EVENT || event == CTRL_BREAK_EVENT)) {
		if (last_wish != NULL)
			last_wish();
		ExitProcess(1);
	}
	SetEvent(requests[SYS_STOP - 1]);
	if (event != CTRL_C_EVENT && event != CTRL_BREAK_EVENT)
		Sleep(INFINITE); /* Windows ends the process when this returns, or in a few seconds */
	return TRUE;
}

int sys_signals_take(int hangup, char *why)
{
	int i;

	(void)hangup; /* there is none */
	for (i = 0; i < 3; i++) {
		requests[i] = CreateEventW(NULL, FALSE, FALSE, NULL);
		if (requests[i] == NULL) {
			explain(why, GetLastError());
			return 0;
		}
	}
	/* a parent may have switched Ctrl-C off, which is inherited */
	if (SetConsoleCtrlHandler(NULL, FALSE) && SetConsoleCtrlHandler(on_console, TRUE))
		return 1;
	explain(why, GetLastError());
	return 0;
}

static int wait_for_request(DWORD ms)
{
	DWORD n = WaitForMultipleObjects(3, requests, FALSE, ms);

	return n < WAIT_OBJECT_0 + 3 ? (int)(n - WAIT_OBJECT_0) + 1 : 0;
}

int sys_signals_wait(void)
{
	int what;

	do {
		what = wait_for_request(INFINITE);
	} while (what == 0);
	return what;
}

int sys_signals_wait_for(uint64_t ns)
{
	return wait_for_request((DWORD)(ns / 1000000));
}

void sys_signals_post(int what)
{
	SetEvent(requests[what - 1]);
}

void sys_signals_insist(void (*last_words)(void))
{
	last_wish = last_words;
	InterlockedExchange(&is_insisting, 1);
}

static DWORD limit_ms;
static void (*limit_words)(void);

static DWORD WINAPI end_at_limit(void *arg)
{
	(void)arg;
	Sleep(limit_ms);
	if (limit_words != NULL)
		limit_words();
	ExitProcess(1);
}

void sys_end_within(uint64_t ns, void (*last_words)(void))
{
	HANDLE thread;

	limit_ms = ns / 1000000 < INFINITE - 1 ? (DWORD)(ns / 1000000) : INFINITE - 1;
	limit_words = last_words;
	thread = CreateThread(NULL, 0, end_at_limit, NULL, 0, NULL);
	if (thread != NULL)
		CloseHandle(thread);
}

/* -- log ------------------------------------------------------------------------------------- */

static SRWLOCK log_lock = SRWLOCK_INIT;
static HANDLE log_file; /* NULL: standard error */

int sys_is_journal(void)
{
	return 0;
}

int sys_log_open(const char *path, char *why)
{
	wchar_t *wide = widen(path);
	HANDLE h = INVALID_HANDLE_VALUE, old;

	/* whoever rotates logs may rename or delete it */
	if (wide != NULL)
		h = CreateFileW(wide, FILE_APPEND_DATA,
				FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, NULL,
				OPEN_ALWAYS, FILE_ATTRIBUTE_NORMAL, NULL);
	if (h == INVALID_HANDLE_VALUE)
		explain(why, GetLastError());
	free(wide);
	if (h == INVALID_HANDLE_VALUE)
		return 0;
	AcquireSRWLockExclusive(&log_lock);
	old = log_file;
	log_file = h;
	ReleaseSRWLockExclusive(&log_lock);
	if (old != NULL)
		CloseHandle(old);
	return 1;
}

void sys_log(const char *text, size_t len)
{
	DWORD n;

	AcquireSRWLockShared(&log_lock);
	(void)WriteFile(log_file != NULL ? log_file : GetStdHandle(STD_ERROR_HANDLE), text,
			(DWORD)len, &n, NULL);
	ReleaseSRWLockShared(&log_lock);
}

void sys_clock_text(char text[32])
{
	SYSTEMTIME t;

	GetSystemTime(&t);
	(void)snprintf(text, 32, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ", t.wYear % 10000u,
		       t.wMonth % 100u, t.wDay % 100u, t.wHour % 100u, t.wMinute % 100u,
		       t.wSecond % 100u, t.wMilliseconds % 1000u);
}

int sys_full_path(const char *path, char full[SYS_PATH], char *why)
{
	wchar_t *wide = widen(path), out[SYS_PATH];
	char *utf8 = NULL;
	DWORD n = wide != NULL ? GetFullPathNameW(wide, SYS_PATH, out, NULL) : 0;
	int fits;

	if (n == 0)
		explain(why, GetLastError());
	else if (n < SYS_PATH)
		utf8 = narrow(out);
	fits = utf8 != NULL && strlen(utf8) < SYS_PATH;
	if (fits)
		memcpy(full, utf8, strlen(utf8) + 1);
	else if (n != 0)
		(void)snprintf(why, SYS_WHY, "longer than %u bytes", SYS_PATH - 1);
	free(utf8);
	free(wide);
	return fits;
}
