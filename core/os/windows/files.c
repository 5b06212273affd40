/* core/os/windows/files.c - reading files and directories. */
#include "win.h"
#include <string.h>
#include <wchar.h>

/* "C:\x" and "\\server\x"; not "\\.\x", which names devices and pipes. */
int os_path_is_absolute(const char *path)
{
	const char drive = (char)(path[0] | 0x20);

	if (drive >= 'a' && drive <= 'z' && path[1] == ':')
		return path[2] == '\\' || path[2] == '/';
	return path[0] == '\\' && path[1] == '\\' && path[2] != '\0' && path[2] != '.' &&
	       path[2] != '\\';
}

/* As NTFS compares: by code unit, after its own table of upper case. */
int os_name_compare(const char *a, const char *b)
{
	wchar_t wide_a[MAX_PATH], wide_b[MAX_PATH];

	if (!win_wide(a, wide_a, MAX_PATH) || !win_wide(b, wide_b, MAX_PATH))
		return strcmp(a, b);
	return CompareStringOrdinal(wide_a, -1, wide_b, -1, TRUE) - CSTR_EQUAL;
}

/* -- directories ---------------------------------------------------------------------------------
 */

static via_rc list_entries(const core_env *e, HANDLE find, WIN32_FIND_DATAW *d, const char *dir,
			   via_rc (*fn)(void *arg, const char *name), void *arg)
{
	char name[MAX_PATH * 3 + 1];
	via_rc rc = VIA_OK;

	for (;;) {
		if (wcscmp(d->cFileName, L".") != 0 && wcscmp(d->cFileName, L"..") != 0) {
			if (!win_utf8(d->cFileName, name, sizeof name))
				return core_fail_os(VIA_IO, GetLastError(),
						    "%s: reading the directory", dir);
			rc = fn(arg, name);
			if (rc != VIA_OK)
				return rc;
		}
		if (!win_may(e, "FindNextFileW") || !FindNextFileW(find, d)) {
			if (GetLastError() == ERROR_NO_MORE_FILES)
				return VIA_OK;
			return core_fail_os(VIA_IO, GetLastError(), "%s: reading the directory",
					    dir);
		}
	}
}

via_rc os_dir_list(const core_env *e, const char *dir, via_rc (*fn)(void *arg, const char *name),
		   void *arg)
{
	wchar_t wide[WIN_PATH_MAX];
	WIN32_FIND_DATAW d;
	HANDLE find;
	DWORD attr;
	via_rc rc;

	if (!win_path(dir, wide) || !win_may(e, "GetFileAttributesW") ||
	    (attr = GetFileAttributesW(wide)) == INVALID_FILE_ATTRIBUTES)
		return core_fail_os(win_rc(GetLastError()), GetLastError(),
				    "%s: opening the directory", dir);
	if ((attr & FILE_ATTRIBUTE_DIRECTORY) == 0)
		return core_fail(VIA_NOTFOUND, "%s is a file, expected a directory", dir);
	if (wcslen(wide) + 3 > WIN_PATH_MAX)
		return core_fail(VIA_TOOBIG, "path of %zu units, expected less than %d",
				 wcslen(wide), WIN_PATH_MAX - 2);
	wcscat(wide, L"\\*");
	find = win_may(e, "FindFirstFileW") ? FindFirstFileW(wide, &d) : INVALID_HANDLE_VALUE;
	if (find == INVALID_HANDLE_VALUE && GetLastError() == ERROR_FILE_NOT_FOUND)
		return VIA_OK; /* an empty drive does not even have "." */
	if (find == INVALID_HANDLE_VALUE)
		return core_fail_os(win_rc(GetLastError()), GetLastError(),
				    "%s: opening the directory", dir);
	rc = list_entries(e, find, &d, dir, fn, arg);
	FindClose(find);
	return rc;
}

/* -- files ---------------------------------------------------------------------------------------
 */

via_rc win_identify(const core_env *e, HANDLE h, const char *path, BY_HANDLE_FILE_INFORMATION *info,
		    os_file_id *out)
{
	const uint64_t high = UINT64_C(1) << 32;

	if (!win_may(e, "GetFileInformationByHandle") || !GetFileInformationByHandle(h, info))
		return core_fail_os(VIA_IO, GetLastError(), "%s: looking at it", path);
	out->device = info->dwVolumeSerialNumber;
	out->inode = info->nFileIndexHigh * high + info->nFileIndexLow;
	out->size = info->nFileSizeHigh * high + info->nFileSizeLow;
	out->mtime_ns = (info->ftLastWriteTime.dwHighDateTime * high +
			 info->ftLastWriteTime.dwLowDateTime) *
			100u;
	return VIA_OK;
}

static via_rc check_kind(HANDLE h, const char *path, const BY_HANDLE_FILE_INFORMATION *info)
{
	const char *kind = NULL;

	if (GetFileType(h) != FILE_TYPE_DISK)
		kind = "a device or a pipe";
	else if ((info->dwFileAttributes & FILE_ATTRIBUTE_REPARSE_POINT) != 0)
		kind = "a symbolic link or another reparse point";
	else if ((info->dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY) != 0)
		kind = "a directory";
	return kind == NULL ? VIA_OK
			    : core_fail(VIA_INVAL, "%s is %s, expected a regular file", path, kind);
}

static via_rc open_handle(const core_env *e, const char *path, HANDLE *out)
{
	const DWORD share = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
		    flags = FILE_FLAG_OPEN_REPARSE_POINT | FILE_FLAG_BACKUP_SEMANTICS;
	wchar_t wide[WIN_PATH_MAX];
	HANDLE h;

	h = win_path(path, wide) && win_may(e, "CreateFileW")
		    ? CreateFileW(wide, GENERIC_READ, share, NULL, OPEN_EXISTING, flags, NULL)
		    : INVALID_HANDLE_VALUE;
	if (h == INVALID_HANDLE_VALUE)
		return core_fail_os(win_rc(GetLastError()), GetLastError(), "%s: opening the file",
				    path);
	*out = h;
	return VIA_OK;
}

via_rc os_file_open(const core_env *e, const char *path, os_file **out)
{
	BY_HANDLE_FILE_INFORMATION info;
	struct os_file *f;
	via_rc rc;

	if (!os_path_is_absolute(path))
		return core_fail(VIA_INVAL, "%s: a relative path, expected an absolute one", path);
	f = env_alloc(e, sizeof *f);
	if (f == NULL)
		return core_nomem("file");
	f->e = e;
	rc = open_handle(e, path, &f->h);
	if (rc != VIA_OK)
		goto err_free;
	rc = win_identify(e, f->h, path, &info, &f->id);
	if (rc == VIA_OK)
		rc = check_kind(f->h, path, &info);
	if (rc != VIA_OK)
		goto err_close;
	*out = f;
	return VIA_OK;

err_close:
	CloseHandle(f->h);
err_free:
	env_free(e, f);
	return rc;
}

void os_file_close(os_file *f)
{
	if (f == NULL)
		return;
	CloseHandle(f->h);
	env_free(f->e, f);
}

void os_file_identity(const os_file *f, os_file_id *out)
{
	*out = f->id;
}

via_rc win_read_at(const core_env *e, HANDLE h, uint64_t offset, void *buf, uint64_t len)
{
	const uint64_t end = offset + len;
	unsigned char *p = buf;
	OVERLAPPED at;
	DWORD n, part;

	if (end < offset || end > INT64_MAX)
		return core_fail(VIA_PROTO, "%llu bytes at %llu lie beyond the end of any file",
				 (unsigned long long)len, (unsigned long long)offset);
	while (offset < end) {
		memset(&at, 0, sizeof at);
		at.Offset = (DWORD)offset;
		at.OffsetHigh = (DWORD)(offset >> 32);
		part = end - offset > (1u << 30) ? 1u << 30 : (DWORD)(end - offset);
		n = 0;
		if ((!win_may(e, "ReadFile") || !ReadFile(h, p, part, &n, &at)) &&
		    GetLastError() != ERROR_HANDLE_EOF)
			return core_fail_os(VIA_IO, GetLastError(), "reading %llu bytes at %llu",
					    (unsigned long long)(end - offset),
					    (unsigned long long)offset);
		if (n == 0)
			return core_fail(VIA_PROTO,
					 "the file ends at byte %llu, expected %llu bytes",
					 (unsigned long long)offset, (unsigned long long)end);
		p += n;
		offset += n;
	}
	return VIA_OK;
}

via_rc os_file_read(os_file *f, uint64_t offset, void *buf, uint64_t len)
{
	return win_read_at(f->e, f->h, offset, buf, len);
}

uint64_t os_file_clock(void)
{
	FILETIME now;

	GetSystemTimeAsFileTime(&now);
	return (((uint64_t)now.dwHighDateTime << 32) + now.dwLowDateTime) * 100u;
}

via_rc os_path_id(const char *path, os_file_id *out)
{
	const DWORD share = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;
	BY_HANDLE_FILE_INFORMATION info;
	wchar_t wide[WIN_PATH_MAX];
	os_file_id id;
	HANDLE h;
	via_rc rc;

	h = win_path(path, wide) ? CreateFileW(wide, FILE_READ_ATTRIBUTES, share, NULL,
					       OPEN_EXISTING, FILE_FLAG_BACKUP_SEMANTICS, NULL)
				 : INVALID_HANDLE_VALUE;
	if (h == INVALID_HANDLE_VALUE)
		return core_fail_os(win_rc(GetLastError()), GetLastError(), "%s: looking at it",
				    path);
	rc = win_identify(&core_env_libc, h, path, &info, &id);
	CloseHandle(h);
	if (rc == VIA_OK)
		*out = id;
	return rc;
}

void os_handle_close(via_handle *h)
{
	if (h->kind == VIA_H_WIN)
		CloseHandle((HANDLE)(intptr_t)h->value);
	*h = (via_handle){.value = -1, .kind = VIA_H_NONE};
}
