/* tests/os/rig.c - see rig.h. */
#include "rig.h"
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if defined(_WIN32)
#include <windows.h>
#else
#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>
#endif

static atomic_int n_allocations;
static atomic_uint n_until_denied, n_denied;
static const char *_Atomic denied_call; /* asked from any thread */
static atomic_int denied_error;
static int kept, descriptors_before, slack;
static char root[512];

/* -- the env -------------------------------------------------------------------------------------
 */

static int denied(void)
{
	if (atomic_load(&n_until_denied) == 0 || atomic_fetch_sub(&n_until_denied, 1) != 1)
		return 0;
	atomic_fetch_add(&n_denied, 1);
	return 1;
}

static void *count_alloc(void *arg, uint64_t size, uint64_t align)
{
	void *p;

	(void)arg;
	if (denied())
		return NULL;
	p = core_env_libc.alloc(core_env_libc.arg, size, align);
	if (p != NULL)
		atomic_fetch_add(&n_allocations, 1);
	return p;
}

static void count_free(void *arg, void *p)
{
	(void)arg;
	if (p != NULL)
		atomic_fetch_sub(&n_allocations, 1);
	core_env_libc.free(core_env_libc.arg, p);
}

static _Atomic(const char *) awaited_call;
static void (*awaited_fn)(void *);
static void *awaited_arg;

void rig_before_call(const char *call, void (*fn)(void *), void *arg)
{
	awaited_fn = fn;
	awaited_arg = arg;
	atomic_store(&awaited_call, call);
}

static int32_t deny(void *arg, const char *call)
{
	const char *name = atomic_load(&denied_call);
	const char *awaited = atomic_load(&awaited_call);

	(void)arg;
	if (awaited != NULL && strcmp(awaited, call) == 0 &&
	    atomic_compare_exchange_strong(&awaited_call, &awaited, NULL))
		awaited_fn(awaited_arg);
	if (name != NULL && strcmp(name, call) == 0)
		return atomic_load(&denied_error);
#if defined(_WIN32)
	return denied() ? ERROR_NOT_ENOUGH_QUOTA : 0;
#else
	return denied() ? EIO : 0;
#endif
}

const core_env rig_env = {sizeof rig_env, 0, NULL, count_alloc, count_free, deny};

void rig_deny(unsigned int nth)
{
	atomic_store(&n_denied, 0);
	atomic_store(&n_until_denied, nth);
}

void rig_deny_call(const char *call, int os_error)
{
	atomic_store(&denied_error, os_error);
	atomic_store(&denied_call, call);
}

unsigned int rig_denied(void)
{
	return atomic_load(&n_denied);
}

int rig_allocations(void)
{
	return atomic_load(&n_allocations);
}

void rig_keep(int n)
{
	kept += n;
}

void rig_uses_pool(uint32_t n)
{
#if defined(_WIN32)
	slack = 8 + (int)n / MAXIMUM_WAIT_OBJECTS;
#else
	(void)n;
#endif
}

int rig_balanced(int expected)
{
	return abs(rig_descriptors() - expected) <= slack;
}

via_time rig_soon(void)
{
	return os_now() + UINT64_C(20) * 1000000000u;
}

/* -- files, without the layer under test ----------------------------------------------------------
 */

const char *rig_path(const char *name)
{
	static char bufs[16][1024];
	static unsigned int turn;
	char *buf = bufs[turn++ % 16], *p;

	(void)snprintf(buf, sizeof bufs[0], "%s%c%s", root, OS_DIR_SEP, name);
	for (p = buf; *p != '\0'; p++)
		if (*p == '/')
			*p = OS_DIR_SEP;
	return buf;
}

#if defined(_WIN32)
static const wchar_t *wide(const char *s)
{
	static wchar_t bufs[4][1024];
	static unsigned int turn;
	wchar_t *w = bufs[turn++ % 4];

	cr_assert(MultiByteToWideChar(CP_UTF8, 0, s, -1, w, 1024) > 0);
	return w;
}

/* Valid handles among the first 1024: they are given out from the lowest free number upwards. */
int rig_descriptors(void)
{
	uintptr_t h;
	DWORD flags;
	int n = 0;

	for (h = 4; h <= 4096; h += 4)
		n += GetHandleInformation((HANDLE)h, &flags) != 0;
	return n;
}

static FILE *file_open(const char *path, const wchar_t *mode)
{
	return _wfopen(wide(path), mode);
}
#define MODE(text) L##text

void rig_mkdir(const char *path)
{
	cr_assert(CreateDirectoryW(wide(path), NULL), "%s: error %lu", path, GetLastError());
}

void rig_rmdir(const char *path)
{
	cr_assert(RemoveDirectoryW(wide(path)), "%s: error %lu", path, GetLastError());
}

void rig_remove(const char *path)
{
	cr_assert(DeleteFileW(wide(path)), "%s: error %lu", path, GetLastError());
}

void rig_resize(const char *path, int64_t size)
{
	const LARGE_INTEGER end = {.QuadPart = size};
	HANDLE h = CreateFileW(wide(path), GENERIC_WRITE,
			       FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, NULL,
			       OPEN_EXISTING, 0, NULL);

	cr_assert(h != INVALID_HANDLE_VALUE && SetFilePointerEx(h, end, NULL, FILE_BEGIN) &&
			  SetEndOfFile(h),
		  "%s: error %lu", path, GetLastError());
	CloseHandle(h);
}

/* Depth first; 0 when everything went. */
static int empty_dir(const char *dir, int delete)
{
	char path[1024];
	WIN32_FIND_DATAW d;
	HANDLE find;
	int n = 0;

	(void)snprintf(path, sizeof path, "%s\\*", dir);
	find = FindFirstFileW(wide(path), &d);
	if (find == INVALID_HANDLE_VALUE)
		return 0;
	do {
		if (wcscmp(d.cFileName, L".") == 0 || wcscmp(d.cFileName, L"..") == 0)
			continue;
		n++;
		if (!delete)
			continue;
		(void)snprintf(path, sizeof path, "%s\\", dir);
		(void)WideCharToMultiByte(CP_UTF8, 0, d.cFileName, -1, path + strlen(path),
					  (int)(sizeof path - strlen(path)), NULL, NULL);
		if ((d.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY) != 0)
			n += empty_dir(path, 1) - (RemoveDirectoryW(wide(path)) != 0);
		else
			n -= DeleteFileW(wide(path)) != 0;
	} while (FindNextFileW(find, &d));
	FindClose(find);
	return n;
}

/* The directory of named objects is opened with the first of them, and stays open. */
static void warm_up(void)
{
	HANDLE h = CreateEventW(NULL, TRUE, FALSE, L"Local\\viaduct-test-warm-up");

	if (h != NULL)
		CloseHandle(h);
}

static void make_root(void)
{
	wchar_t temp[512], path[600];
	unsigned int n = 0;
	BOOL made;

	cr_assert(GetTempPathW(512, temp) != 0);
	do { /* process ids come again, and what a test that failed has left is still there */
		(void)swprintf(path, 600, L"%lsviaduct-test-%lu-%u", temp, GetCurrentProcessId(),
			       n++);
		made = CreateDirectoryW(path, NULL);
	} while (!made && GetLastError() == ERROR_ALREADY_EXISTS);
	cr_assert(made, "error %lu", GetLastError());
	cr_assert(WideCharToMultiByte(CP_UTF8, 0, path, -1, root, sizeof root, NULL, NULL) > 0);
}
#else
static void warm_up(void)
{
}

int rig_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	if (d == NULL)
		return 0;
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

static FILE *file_open(const char *path, const char *mode)
{
	return fopen(path, mode);
}
#define MODE(text) text

void rig_mkdir(const char *path)
{
	cr_assert(mkdir(path, 0755) == 0 && chmod(path, 0755) == 0, "%s: %s", path,
		  strerror(errno));
}

void rig_rmdir(const char *path)
{
	cr_assert(rmdir(path) == 0, "%s: %s", path, strerror(errno));
}

void rig_remove(const char *path)
{
	cr_assert(unlink(path) == 0, "%s: %s", path, strerror(errno));
}

void rig_resize(const char *path, int64_t size)
{
	cr_assert(truncate(path, (off_t)size) == 0, "%s: %s", path, strerror(errno));
}

/* Depth first; number of entries that are left. */
static int empty_dir(const char *dir, int delete)
{
	char path[1024];
	struct dirent *entry;
	int n = 0;
	DIR *d;

	d = opendir(dir);
	if (d == NULL)
		return 0;
	while ((entry = readdir(d)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		n++;
		if (!delete)
			continue;
		(void)snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
		if (unlink(path) == 0)
			n--;
		else
			n += empty_dir(path, 1) - (rmdir(path) == 0);
	}
	closedir(d);
	return n;
}

static void make_root(void)
{
	(void)snprintf(root, sizeof root, "/tmp/viaduct-test-XXXXXX");
	cr_assert_not_null(mkdtemp(root), "%s", strerror(errno));
	cr_assert_eq(chmod(root, 0755), 0);
}
#endif

void rig_write(const char *path, const void *data, size_t len)
{
	FILE *f = file_open(path, MODE("wb"));

	cr_assert_not_null(f, "%s: %s", path, strerror(errno));
	cr_assert_eq(fwrite(data, 1, len, f), len);
	cr_assert_eq(fclose(f), 0);
}

void rig_copy(const char *from, const char *to)
{
	FILE *in = file_open(from, MODE("rb")), *out = file_open(to, MODE("wb"));
	char buf[8192];
	size_t n;

	cr_assert(in != NULL && out != NULL, "%s to %s: %s", from, to, strerror(errno));
	while ((n = fread(buf, 1, sizeof buf, in)) > 0)
		cr_assert_eq(fwrite(buf, 1, n, out), n);
	cr_assert_eq(fclose(in), 0);
	cr_assert_eq(fclose(out), 0);
#if !defined(_WIN32)
	cr_assert_eq(chmod(to, 0755), 0);
#endif
}

uint32_t rig_count_entries(const char *dir)
{
	return (uint32_t)empty_dir(dir, 0);
}

/* -- begin and end -------------------------------------------------------------------------------
 */

void rig_open(void)
{
	make_root();
	warm_up();
	descriptors_before = rig_descriptors();
}

void rig_close(void)
{
	int left;

	if (root[0] == '\0')
		return;
	rig_deny(0);
	rig_deny_call(NULL, 0);
	rig_before_call(NULL, NULL, NULL);
	left = empty_dir(root, 1);
#if defined(_WIN32)
	left += RemoveDirectoryW(wide(root)) == 0;
#else
	left += rmdir(root) != 0;
#endif
	cr_expect_eq(left, 0, "%d entries of %s could not be removed", left, root);
	cr_expect_eq(rig_allocations(), 0, "%d allocations are left", rig_allocations());
	cr_expect(rig_balanced(descriptors_before + kept), "%d descriptors at the end, expected %d",
		  rig_descriptors(), descriptors_before + kept);
	root[0] = '\0';
}

void rig_skip(const char *why)
{
	rig_close();
	cr_skip_test("%s", why);
}
