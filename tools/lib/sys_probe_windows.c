/* tools/lib/sys_probe_windows.c - what a process of Windows holds; guarded memory. */
#include "sys_probe.h"

#include <windows.h>

#include <tlhelp32.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failed(const char *what, DWORD error, char *why)
{
	(void)snprintf(why, SYS_WHY, "%s: error %lu", what, error);
	return 0;
}

int sys_is_file(const char *path, char *why)
{
	wchar_t wide[SYS_PATH];
	DWORD found;

	if (MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path, -1, wide, SYS_PATH) == 0)
		return failed("its name", GetLastError(), why);
	found = GetFileAttributesW(wide);
	if (found == INVALID_FILE_ATTRIBUTES)
		return failed("its attributes", GetLastError(), why);
	if ((found & (FILE_ATTRIBUTE_DIRECTORY | FILE_ATTRIBUTE_DEVICE)) == 0)
		return 1;
	(void)snprintf(why, SYS_WHY, "expected a regular file, found %s",
		       (found & FILE_ATTRIBUTE_DIRECTORY) != 0 ? "a directory" : "a device");
	return 0;
}

int sys_write_new(const char *path, const void *data, size_t len, char *why)
{
	wchar_t wide[SYS_PATH];
	DWORD n = 0, error = 0;
	HANDLE h;

	if (MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path, -1, wide, SYS_PATH) == 0)
		return failed(path, GetLastError(), why);
	h = CreateFileW(wide, GENERIC_WRITE, 0, NULL, CREATE_NEW, FILE_ATTRIBUTE_NORMAL, NULL);
	if (h == INVALID_HANDLE_VALUE)
		return failed(path, GetLastError(), why);
	if (len > MAXDWORD || !WriteFile(h, data, (DWORD)len, &n, NULL) || n != len)
		error = GetLastError();
	CloseHandle(h);
	return n == len || failed(path, error, why);
}

/* The status of the process is the exception's number; no debugger is asked first. */
static LONG WINAPI end_at_once(EXCEPTION_POINTERS *p)
{
	(void)TerminateProcess(GetCurrentProcess(), p->ExceptionRecord->ExceptionCode);
	return EXCEPTION_EXECUTE_HANDLER;
}

void sys_crash_quietly(void)
{
	(void)SetUnhandledExceptionFilter(end_at_once);
	(void)SetErrorMode(SEM_FAILCRITICALERRORS | SEM_NOGPFAULTERRORBOX | SEM_NOOPENFILEERRORBOX);
}

void sys_end_with_parent(void)
{
}

/* -- what it holds --------------------------------------------------------------------------- */

static int count_threads(uint64_t *out, char *why)
{
	HANDLE all = CreateToolhelp32Snapshot(TH32CS_SNAPTHREAD, 0);
	THREADENTRY32 t = {.dwSize = sizeof t};
	uint64_t n = 0;
	BOOL more;

	if (all == INVALID_HANDLE_VALUE)
		return failed("list of threads", GetLastError(), why);
	for (more = Thread32First(all, &t); more; more = Thread32Next(all, &t))
		n += t.th32OwnerProcessID == GetCurrentProcessId();
	CloseHandle(all);
	*out = n;
	return 1;
}

int sys_usage_get(sys_usage *out, char *why)
{
	sys_usage u = {0};
	DWORD n;

	if (!count_threads(&u.n_threads, why))
		return 0;
	if (!GetProcessHandleCount(GetCurrentProcess(), &n))
		return failed("number of handles", GetLastError(), why);
	u.n_handles = n;
	*out = u;
	return 1;
}

int sys_is_mapped(const void *p)
{
	MEMORY_BASIC_INFORMATION info;

	return VirtualQuery(p, &info, sizeof info) != 0 && info.State != MEM_FREE;
}

/* -- guarded memory -------------------------------------------------------------------------- */

int sys_guarded_make(sys_guarded *g, size_t cap, char *why)
{
	SYSTEM_INFO info;
	size_t room;
	uint8_t *p;
	DWORD old;

	GetSystemInfo(&info);
	room = (cap + info.dwPageSize - 1) / info.dwPageSize * info.dwPageSize;
	p = VirtualAlloc(NULL, room + info.dwPageSize, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
	if (p == NULL)
		return failed("VirtualAlloc", GetLastError(), why);
	if (!VirtualProtect(p + room, info.dwPageSize, PAGE_NOACCESS, &old)) {
		DWORD error = GetLastError();

		(void)VirtualFree(p, 0, MEM_RELEASE);
		return failed("VirtualProtect", error, why);
	}
	*g = (sys_guarded){.end = p + room, .cap = room, .base = p, .size = room + info.dwPageSize};
	return 1;
}

void sys_guarded_free(sys_guarded *g)
{
	if (g->base != NULL)
		(void)VirtualFree(g->base, 0, MEM_RELEASE);
	memset(g, 0, sizeof *g);
}
