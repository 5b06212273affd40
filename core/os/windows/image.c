/* core/os/windows/image.c - mapping a private copy of a DLL.
 *
 * The copy lies alone in a private directory (copies.c); from before it is looked at until it is
 * unmapped, it and the directory are open in a way that nobody can write, rename or delete them. The
 * original stays free to be replaced. Each copy has a path of its own, since the loader takes a path it
 * knows for the DLL it has. After the loader is done its word is not taken for it: what it mapped must be
 * the very file, for a file named <program>.local, among others, makes it choose another one.
 *
 * The direct mode maps the file itself, which cannot be changed from then on.
 *
 * Dependencies are searched for beside the program and in the system directory, nowhere else. */
#include "win.h"
#include <stdio.h>
#include <string.h>
#include <wchar.h>

#define LABEL_MAX 100

struct os_image {
	const core_env *e;
	char *path; /* of the original, for messages */
	uint64_t size;
	HANDLE file; /* the copy, or the original in direct mode */
	HANDLE pin;  /* of the directory; NULL in direct mode */
	os_file_id id;
	HMODULE module;
	wchar_t dir[WIN_PATH_MAX];  /* holds nothing but the copy */
	wchar_t name[WIN_PATH_MAX]; /* what is mapped */
};

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

static HANDLE open_image(const struct os_image *i, DWORD access, DWORD share, DWORD how)
{
	return win_may(i->e, "CreateFileW") ? CreateFileW(i->name, access, share, NULL, how,
							  FILE_FLAG_OPEN_REPARSE_POINT, NULL)
					    : INVALID_HANDLE_VALUE;
}

/* Opens what is to be mapped, so that it stays what it is. */
static via_rc hold(struct os_image *i, const os_file_id *expected)
{
	BY_HANDLE_FILE_INFORMATION info;
	via_rc rc;

	i->file = open_image(i, GENERIC_READ, FILE_SHARE_READ, OPEN_EXISTING);
	if (i->file == INVALID_HANDLE_VALUE)
		return core_fail_os(win_rc(GetLastError()), GetLastError(),
				    "%s: opening what is to be mapped", i->path);
	rc = win_identify(i->e, i->file, i->path, &info, &i->id);
	if (rc == VIA_OK && (i->id.device != expected->device || i->id.inode != expected->inode ||
			     i->id.size != expected->size))
		rc = core_fail(
			VIA_IO,
			"%s: file %llu of %llu bytes was put in its place, expected file %llu of %llu",
			i->path, (unsigned long long)i->id.inode, (unsigned long long)i->id.size,
			(unsigned long long)expected->inode, (unsigned long long)expected->size);
	if (rc != VIA_OK)
		CloseHandle(i->file);
	return rc;
}

static via_rc fill_copy(const struct os_image *i, const os_file *f, os_file_id *id)
{
	BY_HANDLE_FILE_INFORMATION info;
	HANDLE h = open_image(i, GENERIC_WRITE, 0, CREATE_NEW);
	via_rc rc;

	if (h == INVALID_HANDLE_VALUE)
		return core_fail_os(win_rc(GetLastError()), GetLastError(),
				    "%s: creating its private copy", i->path);
	rc = copy(i, f, h);
	if (rc == VIA_OK)
		rc = win_identify(i->e, h, i->path, &info, id);
	CloseHandle(h);
	return rc;
}

static via_rc take_copy(struct os_image *i, const os_file *f, const char *label)
{
	wchar_t safe[LABEL_MAX + 4];
	os_file_id written;
	via_rc rc;

	if (!win_copies_make(i->e, i->dir, &i->pin))
		return core_fail_os(win_rc(GetLastError()), GetLastError(),
				    "%s: a directory for its private copy", i->path);
	safe_label(label, safe);
	wcscat(safe, L".dll");
	if (!win_join(i->name, i->dir, safe))
		rc = core_fail_os(win_rc(GetLastError()), GetLastError(),
				  "%s: the name of its private copy", i->path);
	else
		rc = fill_copy(i, f, &written);
	if (rc == VIA_OK)
		rc = hold(i, &written);
	if (rc != VIA_OK)
		win_copies_remove(i->dir, i->pin);
	return rc;
}

/* The path must still name the open file: it is the path that gets mapped. */
static via_rc take_direct(struct os_image *i, const os_file *f)
{
	if (!win_path(i->path, i->name))
		return core_fail_os(win_rc(GetLastError()), GetLastError(), "%s: its path",
				    i->path);
	return hold(i, &f->id);
}

/* -- the contract --------------------------------------------------------------------------------
 */

via_rc os_image_open(const core_env *e, os_file *f, const char *path, const char *label, int direct,
		     os_image **out)
{
	struct os_image *i;
	via_rc rc;

	if (f->id.size > OS_IMAGE_MAX)
		return core_fail(VIA_TOOBIG, "%s: %llu bytes, expected at most %llu", path,
				 (unsigned long long)f->id.size, (unsigned long long)OS_IMAGE_MAX);
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

/* The loader was given a path; did it map what the path names? */
static via_rc check_mapped(const struct os_image *i)
{
	const DWORD share = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;
	BY_HANDLE_FILE_INFORMATION info;
	wchar_t name[WIN_PATH_MAX];
	os_file_id id;
	HANDLE h;
	via_rc rc;
	DWORD n;

	n = win_may(i->e, "GetModuleFileNameW") ? GetModuleFileNameW(i->module, name, WIN_PATH_MAX)
						: 0;
	h = n > 0 && n < WIN_PATH_MAX && win_long(name) && win_may(i->e, "CreateFileW")
		    ? CreateFileW(name, FILE_READ_ATTRIBUTES, share, NULL, OPEN_EXISTING, 0, NULL)
		    : INVALID_HANDLE_VALUE;
	if (h == INVALID_HANDLE_VALUE)
		return core_fail_os(VIA_IO, GetLastError(), "%s: looking at what was mapped",
				    i->path);
	rc = win_identify(i->e, h, i->path, &info, &id);
	CloseHandle(h);
	if (rc == VIA_OK && (id.device != i->id.device || id.inode != i->id.inode))
		rc = core_fail(VIA_PERM, "%s: the loader mapped file %llu, expected file %llu",
			       i->path, (unsigned long long)id.inode,
			       (unsigned long long)i->id.inode);
	return rc;
}

via_rc os_image_map(os_image *i)
{
	const DWORD where = LOAD_LIBRARY_SEARCH_APPLICATION_DIR | LOAD_LIBRARY_SEARCH_SYSTEM32;
	DWORD mode, err;
	via_rc rc;

	if (i->module != NULL)
		return VIA_OK;
	/* No dialogue over a missing dependency. */
	(void)SetThreadErrorMode(SEM_FAILCRITICALERRORS, &mode);
	i->module = win_may(i->e, "LoadLibraryExW") ? LoadLibraryExW(i->name, NULL, where) : NULL;
	err = GetLastError();
	(void)SetThreadErrorMode(mode, NULL);
	if (i->module == NULL)
		return core_fail_os(VIA_EABI, err, "%s: mapping it", i->path);
	rc = check_mapped(i);
	if (rc != VIA_OK) {
		(void)FreeLibrary(i->module);
		i->module = NULL;
	}
	return rc;
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
	if (i->pin != NULL && mapped)
		CloseHandle(i->pin);
	else if (i->pin != NULL)
		win_copies_remove(i->dir, i->pin);
	env_free(i->e, i->path);
	env_free(i->e, i);
}
