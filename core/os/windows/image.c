/* core/os/windows/image.c - mapping a private copy of a DLL.
 *
 * The copy lies alone in a directory of its own below the temporary directory, to which only this
 * user and SYSTEM have access, and stays open so that nobody can write it; the original stays free
 * to be replaced. Each copy has a path of its own, since the loader takes a path it knows for the
 * DLL it has. The copy is deleted when it is unmapped. A copy that stays mapped cannot be deleted
 * before the process ends; a later process that loads something removes it.
 *
 * Dependencies are searched for beside the program and in the system directory, nowhere else. */
#include "win.h"
#include <sddl.h>
#include <stdio.h>
#include <string.h>
#include <wchar.h>

#define IMAGE_MAX ((uint64_t)64 << 20)
#define LABEL_MAX 100
#define TRIES 1000

struct os_image {
	const core_env *e;
	char *path; /* of the original, for messages */
	uint64_t size;
	HANDLE file; /* the copy, or the original in direct mode */
	HMODULE module;
	int is_copy;
	wchar_t dir[WIN_PATH_MAX];  /* holds nothing but the copy */
	wchar_t name[WIN_PATH_MAX]; /* what is mapped */
};

/* -- what dead processes left --------------------------------------------------------------------
 */

static int is_alive(DWORD pid)
{
	HANDLE h = OpenProcess(SYNCHRONIZE, FALSE, pid);
	int alive;

	if (h == NULL)
		return GetLastError() != ERROR_INVALID_PARAMETER;
	alive = WaitForSingleObject(h, 0) == WAIT_TIMEOUT;
	CloseHandle(h);
	return alive;
}

static void remove_dir(const wchar_t *dir)
{
	wchar_t path[WIN_PATH_MAX];
	WIN32_FIND_DATAW d;
	HANDLE find;

	if (_snwprintf(path, WIN_PATH_MAX, L"%ls\\*.dll", dir) < 0)
		return;
	find = FindFirstFileW(path, &d);
	if (find != INVALID_HANDLE_VALUE) {
		do
			if (_snwprintf(path, WIN_PATH_MAX, L"%ls\\%ls", dir, d.cFileName) > 0)
				(void)DeleteFileW(path);
		while (FindNextFileW(find, &d));
		FindClose(find);
	}
	(void)RemoveDirectoryW(dir);
}

/* Copies of processes that are gone; once in a process. Directories are named viaduct-<pid>-<n>. */
static void sweep(const wchar_t *temp)
{
	static volatile LONG done;
	wchar_t path[WIN_PATH_MAX], *end;
	WIN32_FIND_DATAW d;
	unsigned long pid;
	HANDLE find;

	if (InterlockedExchange(&done, 1) != 0 ||
	    _snwprintf(path, WIN_PATH_MAX, L"%lsviaduct-*", temp) < 0)
		return;
	find = FindFirstFileW(path, &d);
	if (find == INVALID_HANDLE_VALUE)
		return;
	do {
		pid = wcstoul(d.cFileName + wcslen(L"viaduct-"), &end, 10);
		if (pid == 0 || *end != L'-' ||
		    (d.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY) == 0 ||
		    (d.dwFileAttributes & FILE_ATTRIBUTE_REPARSE_POINT) != 0 || is_alive(pid))
			continue;
		if (_snwprintf(path, WIN_PATH_MAX, L"%ls%ls", temp, d.cFileName) > 0)
			remove_dir(path);
	} while (FindNextFileW(find, &d));
	FindClose(find);
}

/* -- the private directory -----------------------------------------------------------------------
 */

/* Full access for this user and SYSTEM, inherited by what is inside; nothing from above. */
static int make_security(const core_env *e, SECURITY_ATTRIBUTES *sa)
{
	wchar_t user[192], text[256];

	memset(sa, 0, sizeof *sa);
	sa->nLength = sizeof *sa;
	if (!win_user_sid(e, user, 192))
		return 0;
	(void)_snwprintf(text, 256, L"D:P(A;OICI;FA;;;%ls)(A;OICI;FA;;;SY)", user);
	return ConvertStringSecurityDescriptorToSecurityDescriptorW(text, SDDL_REVISION_1,
								    &sa->lpSecurityDescriptor,
								    NULL) != 0;
}

static int make_dir(struct os_image *i)
{
	static volatile LONG count;
	wchar_t temp[WIN_PATH_MAX];
	SECURITY_ATTRIBUTES sa;
	int k, ok = 0;
	DWORD n, err;

	n = win_may(i->e, "GetTempPathW") ? GetTempPathW(WIN_PATH_MAX - 64, temp) : 0;
	if (n == 0 || n >= WIN_PATH_MAX - 64)
		return 0;
	sweep(temp);
	if (!make_security(i->e, &sa))
		return 0;
	for (k = 0; k < TRIES && !ok; k++) {
		(void)_snwprintf(i->dir, WIN_PATH_MAX, L"%lsviaduct-%lu-%ld", temp,
				 GetCurrentProcessId(), InterlockedIncrement(&count));
		ok = win_may(i->e, "CreateDirectoryW") && CreateDirectoryW(i->dir, &sa);
		if (!ok && GetLastError() != ERROR_ALREADY_EXISTS)
			break;
	}
	err = GetLastError();
	LocalFree(sa.lpSecurityDescriptor);
	SetLastError(err);
	return ok;
}

/* -- copying -------------------------------------------------------------------------------------
 */

static via_rc copy(const struct os_image *i, const os_file *f, HANDLE to)
{
	unsigned char buf[16384];
	LARGE_INTEGER now;
	uint64_t at, len;
	DWORD n;
	via_rc rc;

	for (at = 0; at < i->size; at += len) {
		len = i->size - at < sizeof buf ? i->size - at : sizeof buf;
		rc = win_read_at(i->e, f->h, at, buf, len);
		if (rc != VIA_OK)
			return rc;
		if (!win_may(i->e, "WriteFile") || !WriteFile(to, buf, (DWORD)len, &n, NULL))
			return core_fail_os(win_rc(GetLastError()), GetLastError(),
					    "%s: writing its private copy", i->path);
		if (n != len)
			return core_fail(VIA_LIMIT,
					 "%s: %lu bytes of its private copy written, expected %llu",
					 i->path, n, (unsigned long long)len);
	}
	if (!win_may(i->e, "GetFileSizeEx") || !GetFileSizeEx(f->h, &now))
		return core_fail_os(VIA_IO, GetLastError(), "%s: looking at the file", i->path);
	if ((uint64_t)now.QuadPart != i->size)
		return core_fail(
			VIA_IO,
			"%s: now has %lld bytes, expected the %llu it had when it was opened",
			i->path, (long long)now.QuadPart, (unsigned long long)i->size);
	return VIA_OK;
}

/* File name made of a label: what is special in names becomes '_'. */
static void safe_label(const char *label, wchar_t out[LABEL_MAX])
{
	size_t k;

	for (k = 0; k + 1 < LABEL_MAX && label[k] != '\0'; k++)
		out[k] = label[k] > ' ' && label[k] < 127 && strchr("\\/:*?\"<>|", label[k]) == NULL
				 ? (wchar_t)label[k]
				 : L'_';
	out[k] = L'\0';
}

static HANDLE open_copy(const struct os_image *i, DWORD access, DWORD share, DWORD how)
{
	return win_may(i->e, "CreateFileW")
		       ? CreateFileW(i->name, access, share, NULL, how, 0, NULL)
		       : INVALID_HANDLE_VALUE;
}

static via_rc take_copy(struct os_image *i, const os_file *f, const char *label)
{
	wchar_t safe[LABEL_MAX];
	HANDLE h;
	via_rc rc;

	if (!make_dir(i))
		return core_fail_os(win_rc(GetLastError()), GetLastError(),
				    "%s: a directory for its private copy", i->path);
	safe_label(label, safe);
	(void)_snwprintf(i->name, WIN_PATH_MAX, L"%ls\\%ls.dll", i->dir, safe);
	h = open_copy(i, GENERIC_WRITE, 0, CREATE_NEW);
	if (h == INVALID_HANDLE_VALUE) {
		rc = core_fail_os(win_rc(GetLastError()), GetLastError(),
				  "%s: creating its private copy", i->path);
		goto err_dir;
	}
	rc = copy(i, f, h);
	CloseHandle(h);
	if (rc != VIA_OK)
		goto err_dir;
	h = open_copy(i, GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_DELETE, OPEN_EXISTING);
	if (h == INVALID_HANDLE_VALUE) {
		rc = core_fail_os(win_rc(GetLastError()), GetLastError(),
				  "%s: opening its private copy", i->path);
		goto err_dir;
	}
	i->file = h;
	i->is_copy = 1;
	return VIA_OK;

err_dir:
	remove_dir(i->dir);
	return rc;
}

/* The path must still name the open file: it is the path that gets mapped. */
static via_rc take_direct(struct os_image *i, const os_file *f)
{
	HANDLE self = GetCurrentProcess();
	os_file_id now;
	via_rc rc;

	rc = os_path_id(i->path, &now);
	if (rc != VIA_OK)
		return rc;
	if (now.device != f->id.device || now.inode != f->id.inode)
		return core_fail(VIA_IO, "%s: file %llu was put in its place, expected file %llu",
				 i->path, (unsigned long long)now.inode,
				 (unsigned long long)f->id.inode);
	if (!win_path(i->path, i->name) || !win_may(i->e, "DuplicateHandle") ||
	    !DuplicateHandle(self, f->h, self, &i->file, 0, FALSE, DUPLICATE_SAME_ACCESS))
		return core_fail_os(win_rc(GetLastError()), GetLastError(),
				    "%s: duplicating its handle", i->path);
	return VIA_OK;
}

/* -- the contract --------------------------------------------------------------------------------
 */

via_rc os_image_open(const core_env *e, os_file *f, const char *path, const char *label, int direct,
		     os_image **out)
{
	struct os_image *i;
	via_rc rc;

	if (f->id.size > IMAGE_MAX)
		return core_fail(VIA_TOOBIG, "%s: %llu bytes, expected at most %llu", path,
				 (unsigned long long)f->id.size, (unsigned long long)IMAGE_MAX);
	i = env_alloc(e, sizeof *i);
	if (i == NULL)
		return core_nomem("module image");
	memset(i, 0, sizeof *i);
	i->e = e;
	i->size = f->id.size;
	i->path = env_strdup(e, path);
	if (i->path == NULL)
		rc = core_nomem("module image");
	else
		rc = direct ? take_direct(i, f) : take_copy(i, f, label);
	if (rc != VIA_OK) {
		env_free(e, i->path);
		env_free(e, i);
		return rc;
	}
	*out = i;
	return VIA_OK;
}

via_rc os_image_read(os_image *i, uint64_t offset, void *buf, uint64_t len)
{
	return win_read_at(i->e, i->file, offset, buf, len);
}

uint64_t os_image_size(const os_image *i)
{
	return i->size;
}

via_rc os_image_map(os_image *i)
{
	const DWORD where = LOAD_LIBRARY_SEARCH_APPLICATION_DIR | LOAD_LIBRARY_SEARCH_SYSTEM32;
	DWORD mode, err;

	if (i->module != NULL)
		return VIA_OK;
	(void)SetThreadErrorMode(SEM_FAILCRITICALERRORS,
				 &mode); /* no dialogue over a missing dependency */
	i->module = win_may(i->e, "LoadLibraryExW") ? LoadLibraryExW(i->name, NULL, where) : NULL;
	err = GetLastError();
	(void)SetThreadErrorMode(mode, NULL);
	if (i->module == NULL)
		return core_fail_os(VIA_EABI, err, "%s: mapping it", i->path);
	return VIA_OK;
}

void *os_image_symbol(os_image *i, const char *name)
{
	FARPROC proc = i->module == NULL ? NULL : GetProcAddress(i->module, name);
	void *p;

	memcpy(&p, &proc, sizeof p);
	return p;
}

void os_image_close(os_image *i, int keep_mapped)
{
	int mapped;

	if (i == NULL)
		return;
	mapped = i->module != NULL && keep_mapped;
	if (i->module != NULL && !mapped)
		(void)FreeLibrary(i->module);
	CloseHandle(i->file);
	if (i->is_copy && !mapped)
		remove_dir(i->dir);
	env_free(i->e, i->path);
	env_free(i->e, i);
}
