/* core/os/windows/text.c - UTF-8 and UTF-16, system errors as text and as result codes. */
#include "win.h"
#include <stdio.h>
#include <string.h>
#include <wchar.h>

#define LONG_PATH 240 /* directories are limited to 248, and a name follows */

int win_wide(const char *s, wchar_t *buf, uint32_t cap)
{
	return MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, s, -1, buf, (int)cap) > 0;
}

int win_utf8(const wchar_t *s, char *buf, uint32_t cap)
{
	return WideCharToMultiByte(CP_UTF8, 0, s, -1, buf, (int)cap, NULL, NULL) > 0;
}

int win_long(wchar_t buf[WIN_PATH_MAX])
{
	static const wchar_t prefix[] = L"\\\\?\\", unc[] = L"\\\\?\\UNC\\";
	wchar_t full[WIN_PATH_MAX];
	const wchar_t *head = prefix, *tail = full;
	DWORD len;

	if (wcslen(buf) < LONG_PATH || wcsncmp(buf, prefix, WIN_PREFIX_LEN) == 0)
		return 1;
	/* The prefix turns "." and ".." into names. */
	len = GetFullPathNameW(buf, WIN_PATH_MAX, full, NULL);
	if (len == 0)
		return 0;
	if (len + wcslen(unc) >= WIN_PATH_MAX) {
		SetLastError(ERROR_FILENAME_EXCED_RANGE);
		return 0;
	}
	if (full[0] == L'\\' && full[1] == L'\\') {
		head = unc;
		tail = full + 2;
	}
	wcscpy(buf, head);
	wcscat(buf, tail);
	return 1;
}

int win_path(const char *path, wchar_t buf[WIN_PATH_MAX])
{
	wchar_t *p;

	if (!win_wide(path, buf, WIN_PATH_MAX))
		return 0;
	for (p = buf; *p != L'\0'; p++)
		if (*p == L'/')
			*p = L'\\';
	return win_long(buf);
}

FARPROC win_proc(const char *name)
{
	HMODULE kernel = GetModuleHandleW(L"kernel32.dll");

	return kernel == NULL ? NULL : GetProcAddress(kernel, name);
}

void os_error_text(int64_t os_error, char *buf, uint32_t cap)
{
	wchar_t wide[256];
	char text[sizeof wide / sizeof wide[0] * 3];
	DWORD n = 0;

	if (cap == 0)
		return;
	if (os_error >= 0 && os_error <= UINT32_MAX)
		n = FormatMessageW(FORMAT_MESSAGE_FROM_SYSTEM | FORMAT_MESSAGE_IGNORE_INSERTS, NULL,
				   (DWORD)os_error, 0, wide, sizeof wide / sizeof wide[0], NULL);
	while (n > 0 && (wide[n - 1] <= L' ' || wide[n - 1] == L'.'))
		n--;
	wide[n] = L'\0';
	if (n == 0 || !win_utf8(wide, text, sizeof text))
		strcpy(text, "unknown error");
	(void)snprintf(buf, cap, "%s", text);
}

via_rc win_rc(DWORD err)
{
	switch (err) {
	case ERROR_FILE_NOT_FOUND:
	case ERROR_PATH_NOT_FOUND:
	case ERROR_INVALID_NAME:
	case ERROR_BAD_PATHNAME:
	case ERROR_BAD_NETPATH:
	case ERROR_BAD_NET_NAME:
	case ERROR_DIRECTORY:
		return VIA_NOTFOUND;
	case ERROR_ACCESS_DENIED:
		return VIA_PERM;
	case ERROR_ALREADY_EXISTS:
	case ERROR_FILE_EXISTS:
		return VIA_EXISTS;
	case ERROR_NOT_ENOUGH_MEMORY:
	case ERROR_OUTOFMEMORY:
		return VIA_NOMEM;
	case ERROR_TOO_MANY_OPEN_FILES:
	case ERROR_NO_SYSTEM_RESOURCES:
	case ERROR_NOT_ENOUGH_QUOTA:
	case ERROR_DISK_FULL:
		return VIA_LIMIT;
	case ERROR_FILENAME_EXCED_RANGE:
	case ERROR_INSUFFICIENT_BUFFER:
		return VIA_TOOBIG;
	case ERROR_NO_UNICODE_TRANSLATION:
		return VIA_INVAL;
	default:
		return VIA_IO;
	}
}
