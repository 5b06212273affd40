/* core/os/windows/copies.c - the private directories that copies of modules lie in.
 *
 * Each is made for one copy, below the temporary directory, with full access for this user and SYSTEM and
 * none for anybody else, and is called viaduct-<process>-<when it began>-<number>. While its handle is
 * open nobody can rename or delete it, so a path that begins with it keeps its meaning.
 *
 * A process that was killed leaves its directories, and a module that stays mapped cannot be deleted
 * before the process ends. So the first copy that a process makes is preceded by a sweep: directories of
 * processes that are gone, which belong to this user, are really directories, and hold only files. */
#include "win.h"
#include <aclapi.h>
#include <sddl.h>
#include <stdio.h>
#include <string.h>
#include <wchar.h>

#define PREFIX L"viaduct-"
#define TRIES 1000

int win_join(wchar_t buf[WIN_PATH_MAX], const wchar_t *dir, const wchar_t *name)
{
	int n = _snwprintf(buf, WIN_PATH_MAX, L"%ls\\%ls", dir, name);

	if (n > 0 && n < WIN_PATH_MAX)
		return win_long(buf);
	SetLastError(ERROR_FILENAME_EXCED_RANGE);
	return 0;
}

/* Without a backslash at its end. SYSTEM has one of its own where there is GetTempPath2W (Windows 11):
 * others may not even add to it. */
static int temp_dir(const core_env *e, wchar_t buf[WIN_PATH_MAX])
{
	typedef DWORD(WINAPI * temp_fn)(DWORD, LPWSTR);
	FARPROC proc = win_proc("GetTempPath2W");
	temp_fn temp = GetTempPathW;
	DWORD n;

	if (proc != NULL)
		memcpy(&temp, &proc, sizeof temp);
	n = win_may(e, "GetTempPathW") ? temp(WIN_PATH_MAX, buf) : 0;
	if (n == 0)
		return 0;
	if (n >= WIN_PATH_MAX) {
		SetLastError(ERROR_FILENAME_EXCED_RANGE);
		return 0;
	}
	if (buf[n - 1] == L'\\')
		buf[n - 1] = L'\0';
	return 1;
}

/* -- processes ------------------------------------------------------------------------------------
 */

/* In units of 100 ns; 0 when the system does not tell. */
static uint64_t began(HANDLE process)
{
	FILETIME start, rest[3];

	if (!GetProcessTimes(process, &start, &rest[0], &rest[1], &rest[2]))
		return 0;
	return ((uint64_t)start.dwHighDateTime << 32) + start.dwLowDateTime;
}

/* False only when it is certain: numbers are given out again, but not with the same beginning. */
static int is_alive(DWORD pid, uint64_t start)
{
	HANDLE h = OpenProcess(SYNCHRONIZE | PROCESS_QUERY_LIMITED_INFORMATION, FALSE, pid);
	uint64_t t;
	int alive;

	if (h == NULL)
		return GetLastError() != ERROR_INVALID_PARAMETER;
	t = began(h);
	alive = WaitForSingleObject(h, 0) == WAIT_TIMEOUT && (t == 0 || start == 0 || t == start);
	CloseHandle(h);
	return alive;
}

/* Its name says that it is a copy's, and of a process that is gone. */
static int is_left(const wchar_t *name)
{
	const wchar_t *p = name + wcslen(PREFIX);
	unsigned long pid;
	uint64_t start;
	wchar_t *end;

	pid = wcstoul(p, &end, 10);
	if (pid == 0 || *end != L'-')
		return 0;
	p = end + 1;
	start = _wcstoui64(p, &end, 16);
	return end != p && *end == L'-' && !is_alive(pid, start);
}

/* -- directories ----------------------------------------------------------------------------------
 */

/* As long as the handle is open its path names it. */
static HANDLE pin(const core_env *e, const wchar_t *dir)
{
	const DWORD flags = FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OPEN_REPARSE_POINT;

	return win_may(e, "CreateFileW") ? CreateFileW(dir, READ_CONTROL | FILE_READ_ATTRIBUTES,
						       FILE_SHARE_READ | FILE_SHARE_WRITE, NULL,
						       OPEN_EXISTING, flags, NULL)
					 : INVALID_HANDLE_VALUE;
}

/* A directory, not a way to another one, that this user made. */
static int is_own(const core_env *e, HANDLE h)
{
	BY_HANDLE_FILE_INFORMATION info;
	PSECURITY_DESCRIPTOR sd = NULL;
	PSID owner = NULL;
	win_sid user;
	int is;

	if (!win_user(e, &user) || !win_may(e, "GetFileInformationByHandle") ||
	    !GetFileInformationByHandle(h, &info) ||
	    (info.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY) == 0 ||
	    (info.dwFileAttributes & FILE_ATTRIBUTE_REPARSE_POINT) != 0 ||
	    !win_may(e, "GetSecurityInfo") ||
	    GetSecurityInfo(h, SE_FILE_OBJECT, OWNER_SECURITY_INFORMATION, &owner, NULL, NULL, NULL,
			    &sd) != 0)
		return 0;
	is = owner != NULL && EqualSid(owner, &user);
	LocalFree(sd);
	return is;
}

void win_copies_remove(const wchar_t *dir, HANDLE pinned)
{
	wchar_t path[WIN_PATH_MAX];
	WIN32_FIND_DATAW d;
	HANDLE find;

	find = win_join(path, dir, L"*") ? FindFirstFileW(path, &d) : INVALID_HANDLE_VALUE;
	if (find != INVALID_HANDLE_VALUE) {
		do
			if ((d.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY) == 0 &&
			    win_join(path, dir, d.cFileName))
				(void)DeleteFileW(path);
		while (FindNextFileW(find, &d));
		FindClose(find);
	}
	CloseHandle(pinned);
	(void)RemoveDirectoryW(dir);
}

static void sweep(const core_env *e, const wchar_t *temp)
{
	static volatile LONG done;
	wchar_t path[WIN_PATH_MAX];
	WIN32_FIND_DATAW d;
	HANDLE find, h;

	if (InterlockedExchange(&done, 1) != 0 || !win_join(path, temp, PREFIX L"*"))
		return;
	find = FindFirstFileW(path, &d);
	if (find == INVALID_HANDLE_VALUE)
		return;
	do {
		if (!is_left(d.cFileName) || !win_join(path, temp, d.cFileName))
			continue;
		h = pin(e, path);
		if (h == INVALID_HANDLE_VALUE)
			continue;
		if (is_own(e, h))
			win_copies_remove(path, h);
		else
			CloseHandle(h);
	} while (FindNextFileW(find, &d));
	FindClose(find);
}

/* Owned by this user, also where the system would make Administrators the owner; what is inside inherits
 * the list. */
static int make_security(const core_env *e, SECURITY_ATTRIBUTES *sa)
{
	wchar_t text[512], *who;
	win_sid user;

	memset(sa, 0, sizeof *sa);
	sa->nLength = sizeof *sa;
	if (!win_user(e, &user) || !win_may(e, "ConvertSidToStringSidW") ||
	    !ConvertSidToStringSidW(&user, &who))
		return 0;
	(void)_snwprintf(text, sizeof text / sizeof text[0],
			 L"O:%lsD:P(A;OICI;FA;;;%ls)(A;OICI;FA;;;SY)", who, who);
	LocalFree(who);
	return win_may(e, "ConvertStringSecurityDescriptorToSecurityDescriptorW") &&
	       ConvertStringSecurityDescriptorToSecurityDescriptorW(text, SDDL_REVISION_1,
								    &sa->lpSecurityDescriptor,
								    NULL);
}

/* The directory that was just made, unless somebody who may rename it has been quicker. */
static int keep(const core_env *e, const wchar_t *dir, HANDLE *pinned)
{
	HANDLE h = pin(e, dir);
	DWORD err = GetLastError();

	if (h != INVALID_HANDLE_VALUE && is_own(e, h)) {
		*pinned = h;
		return 1;
	}
	if (h != INVALID_HANDLE_VALUE) {
		CloseHandle(h);
		err = ERROR_ACCESS_DENIED;
	}
	(void)RemoveDirectoryW(dir);
	SetLastError(err);
	return 0;
}

static int make(const core_env *e, SECURITY_ATTRIBUTES *sa, const wchar_t *temp,
		wchar_t dir[WIN_PATH_MAX], HANDLE *pinned)
{
	static volatile LONG count;
	wchar_t name[80];
	int k;

	for (k = 0; k < TRIES; k++) {
		(void)_snwprintf(name, sizeof name / sizeof name[0], PREFIX L"%lu-%llx-%ld",
				 GetCurrentProcessId(),
				 (unsigned long long)began(GetCurrentProcess()),
				 InterlockedIncrement(&count));
		if (!win_join(dir, temp, name) || !win_may(e, "CreateDirectoryW"))
			return 0;
		if (CreateDirectoryW(dir, sa))
			return keep(e, dir, pinned);
		if (GetLastError() != ERROR_ALREADY_EXISTS)
			return 0;
	}
	return 0;
}

int win_copies_make(const core_env *e, wchar_t dir[WIN_PATH_MAX], HANDLE *pinned)
{
	wchar_t temp[WIN_PATH_MAX];
	SECURITY_ATTRIBUTES sa;
	DWORD err;
	int ok;

	if (!temp_dir(e, temp))
		return 0;
	sweep(e, temp);
	if (!make_security(e, &sa))
		return 0;
	ok = make(e, &sa, temp, dir, pinned);
	err = GetLastError();
	LocalFree(sa.lpSecurityDescriptor);
	SetLastError(err);
	return ok;
}
