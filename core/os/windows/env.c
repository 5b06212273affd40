/* core/os/windows/env.c - environment variables, rights, and where things are by default. */
#include "win.h"
#include <stdio.h>
#include <string.h>
#include <wchar.h>

/* Windows has no set-id programs. A process that was elevated got the rights by its user's consent
 * or by a token its creator had to own, and there is no telling what the creator had; so no process
 * is ever more privileged than whoever started it, as far as can be known. */
int os_is_privileged(void)
{
	return 0;
}

static via_rc put(char *buf, uint32_t cap, const char *what, const char *a, const char *b)
{
	size_t need = strlen(a) + strlen(b) + 1;

	if (need > cap)
		return core_fail(VIA_TOOBIG, "%s takes %zu bytes, expected at most %u", what, need,
				 cap);
	(void)snprintf(buf, cap, "%s%s", a, b);
	return VIA_OK;
}

via_rc os_getenv(const char *name, char *buf, uint32_t cap)
{
	wchar_t wname[256], value[WIN_PATH_MAX];
	char text[WIN_PATH_MAX * 3];
	DWORD n;

	if (!win_wide(name, wname, 256))
		return core_fail_os(VIA_INVAL, GetLastError(), "environment variable %s", name);
	SetLastError(0);
	n = GetEnvironmentVariableW(wname, value, WIN_PATH_MAX);
	if (n == 0 && GetLastError() == ERROR_ENVVAR_NOT_FOUND)
		return core_fail(VIA_NOTFOUND, "environment variable %s is not set", name);
	if (n >= WIN_PATH_MAX)
		return core_fail(VIA_TOOBIG, "%s takes %lu UTF-16 units, expected at most %d", name,
				 n, WIN_PATH_MAX);
	value[n] = L'\0';
	if (!win_utf8(value, text, sizeof text))
		return core_fail_os(VIA_IO, GetLastError(), "environment variable %s", name);
	return put(buf, cap, name, text, "");
}

via_rc os_default_run_dir(char *buf, uint32_t cap)
{
	char dir[WIN_PATH_MAX];

	if (os_getenv("ProgramData", dir, sizeof dir) != VIA_OK || !os_path_is_absolute(dir))
		strcpy(dir, "C:\\ProgramData");
	return put(buf, cap, "the run directory", dir, "\\viaduct");
}

static int is_dir(const char *path)
{
	wchar_t wide[WIN_PATH_MAX];
	DWORD attr;

	if (!win_path(path, wide))
		return 0;
	attr = GetFileAttributesW(wide);
	return attr != INVALID_FILE_ATTRIBUTES && (attr & FILE_ATTRIBUTE_DIRECTORY) != 0;
}

/* Directory of the file that holds this code; 0 when it cannot be told. */
static int own_dir(char *buf, uint32_t cap)
{
	static const char anchor = 0;
	wchar_t wide[WIN_PATH_MAX], *slash;
	HMODULE self;
	DWORD n;

	if (!GetModuleHandleExW(GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS |
					GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT,
				(LPCWSTR)(const void *)&anchor, &self))
		return 0;
	n = GetModuleFileNameW(self, wide, WIN_PATH_MAX);
	if (n == 0 || n >= WIN_PATH_MAX)
		return 0;
	slash = wcsrchr(wide, L'\\');
	if (slash == NULL)
		return 0;
	*slash = L'\0';
	return win_utf8(wide, buf, cap);
}

via_rc os_default_module_dir(char *buf, uint32_t cap)
{
	char dir[WIN_PATH_MAX], path[WIN_PATH_MAX + 32], *slash;

	if (!own_dir(dir, sizeof dir))
		return core_fail_os(VIA_NOTFOUND, GetLastError(), "finding the library's own file");
	(void)snprintf(path, sizeof path, "%s\\viaduct\\1", dir);
	if (!is_dir(path)) {
		slash = strrchr(dir, '\\');
		if (slash != NULL)
			*slash = '\0';
		(void)snprintf(path, sizeof path, "%s\\lib\\viaduct\\1", dir);
	}
	return put(buf, cap, "the module directory", path, "");
}
