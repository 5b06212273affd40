/* tests/os/test_image_windows.c - the private copies of modules: who may touch them, and what is left of
 * those whose process was killed. */
#include "rig.h"
#include <aclapi.h>
#include <stdio.h>
#include <wchar.h>
#include <windows.h>

TestSuite(os_copies, .init = rig_open, .fini = rig_close, .timeout = 60);

static os_image *image(const char *path, int direct)
{
	os_image *i = NULL;
	os_file *f;

	cr_assert_eq(os_file_open(&rig_env, path, &f), VIA_OK, "%s", via_error());
	cr_assert_eq(os_image_open(&rig_env, f, path, "plug", direct, &i), VIA_OK, "%s",
		     via_error());
	os_file_close(f);
	return i;
}

static int answer(os_image *i)
{
	void *p = os_image_symbol(i, "plug_answer");
	int (*fn)(void);

	cr_assert_not_null(p);
	memcpy(&fn, &p, sizeof fn);
	return fn();
}

/* -- what lies in the temporary directory -------------------------------------------------------- */

static const wchar_t *temp_name(const wchar_t *name)
{
	static wchar_t bufs[8][600];
	static unsigned int turn;
	wchar_t *buf = bufs[turn++ % 8];

	cr_assert(GetTempPathW(500, buf) != 0);
	wcscat(buf, name);
	return buf;
}

/* The one directory of a process, or NULL. */
static const wchar_t *copy_of(DWORD pid)
{
	const wchar_t *path = NULL;
	WIN32_FIND_DATAW d;
	wchar_t pattern[64];
	HANDLE find;

	(void)swprintf(pattern, 64, L"viaduct-%lu-*", pid);
	find = FindFirstFileW(temp_name(pattern), &d);
	if (find == INVALID_HANDLE_VALUE)
		return NULL;
	path = temp_name(d.cFileName);
	cr_expect(!FindNextFileW(find, &d), "more than one");
	FindClose(find);
	return path;
}

static int is_there(const wchar_t *path)
{
	return GetFileAttributesW(path) != INVALID_FILE_ATTRIBUTES;
}

static uint64_t own_start(void)
{
	FILETIME t[4];

	cr_assert(GetProcessTimes(GetCurrentProcess(), &t[0], &t[1], &t[2], &t[3]));
	return ((uint64_t)t[0].dwHighDateTime << 32) + t[0].dwLowDateTime;
}

static void make_left(const wchar_t *dir)
{
	wchar_t file[700];
	HANDLE h;

	cr_assert(CreateDirectoryW(dir, NULL), "error %lu", GetLastError());
	(void)swprintf(file, 700, L"%ls\\old.dll", dir);
	h = CreateFileW(file, GENERIC_WRITE, 0, NULL, CREATE_NEW, 0, NULL);
	cr_assert_neq(h, INVALID_HANDLE_VALUE);
	CloseHandle(h);
}

static void remove_left(const wchar_t *dir)
{
	wchar_t file[700];

	(void)swprintf(file, 700, L"%ls\\old.dll", dir);
	cr_expect(DeleteFileW(file), "error %lu", GetLastError());
	cr_expect(RemoveDirectoryW(dir), "error %lu", GetLastError());
}

static int is_wine(void)
{
	return GetProcAddress(GetModuleHandleW(L"ntdll.dll"), "wine_get_version") != NULL;
}

Test(os_copies, of_dead_processes_are_removed)
{
	wchar_t alive[80], reused[80];
	const wchar_t *gone = temp_name(L"viaduct-4000000000-1-1"), *one_s, *other;

	(void)swprintf(alive, 80, L"viaduct-%lu-%llx-77", GetCurrentProcessId(), own_start());
	(void)swprintf(reused, 80, L"viaduct-%lu-1-77", GetCurrentProcessId());
	one_s = temp_name(alive);
	other = temp_name(reused);
	make_left(gone);
	make_left(other);
	make_left(one_s);
	make_left(temp_name(L"viaduct-4000000000-2"));
	os_image_close(image(VIA_TEST_PLUG_A, 0), 0);
	cr_expect(!is_there(gone));
	cr_expect(!is_there(other), "its number is this process's, its beginning is not");
	remove_left(one_s);
	remove_left(temp_name(L"viaduct-4000000000-2")); /* not a name that copies have */
}

Test(os_copies, a_link_is_not_followed)
{
	const wchar_t *link = temp_name(L"viaduct-4000000000-1-2"),
		      *dir = temp_name(L"via-test-precious");

	make_left(dir);
	if (CreateSymbolicLinkW(link, dir,
				SYMBOLIC_LINK_FLAG_DIRECTORY | 2 /* without privilege */)) {
		os_image_close(image(VIA_TEST_PLUG_A, 0), 0);
		(void)RemoveDirectoryW(link);
	} else {
		cr_log_info("no symbolic links here: error %lu", GetLastError());
	}
	remove_left(dir); /* with everything that was in it */
}

/* -- processes ------------------------------------------------------------------------------------ */

struct loader {
	PROCESS_INFORMATION process;
	HANDLE in, out; /* our ends */
};

static void loader_start(struct loader *l, const char *path)
{
	SECURITY_ATTRIBUTES inherit = {sizeof inherit, NULL, TRUE};
	STARTUPINFOA start = {.cb = sizeof start, .dwFlags = STARTF_USESTDHANDLES};
	char command[1024];

	cr_assert(CreatePipe(&start.hStdInput, &l->in, &inherit, 0));
	cr_assert(CreatePipe(&l->out, &start.hStdOutput, &inherit, 0));
	cr_assert(SetHandleInformation(l->in, HANDLE_FLAG_INHERIT, 0));
	cr_assert(SetHandleInformation(l->out, HANDLE_FLAG_INHERIT, 0));
	start.hStdError = GetStdHandle(STD_ERROR_HANDLE);
	(void)snprintf(command, sizeof command, "\"%s\" \"%s\"", VIA_TEST_LOADER, path);
	cr_assert(CreateProcessA(NULL, command, NULL, NULL, TRUE, 0, NULL, NULL, &start,
				 &l->process),
		  "%s: error %lu", VIA_TEST_LOADER, GetLastError());
	CloseHandle(start.hStdInput);
	CloseHandle(start.hStdOutput);
}

static int loader_answer(const struct loader *l)
{
	char text[16] = "";
	DWORD n = 0;

	cr_assert(ReadFile(l->out, text, sizeof text - 1, &n, NULL), "error %lu", GetLastError());
	return (int)strtol(text, NULL, 10);
}

static void loader_end(struct loader *l, int kill)
{
	DWORD code = 99;

	if (kill)
		cr_assert(TerminateProcess(l->process.hProcess, 7));
	CloseHandle(l->in);
	cr_assert_eq(WaitForSingleObject(l->process.hProcess, 20000), WAIT_OBJECT_0);
	cr_assert(GetExitCodeProcess(l->process.hProcess, &code));
	cr_assert_eq(code, kill ? 7u : 0u);
	CloseHandle(l->out);
	CloseHandle(l->process.hThread);
	CloseHandle(l->process.hProcess);
}

Test(os_copies, of_several_processes_at_once)
{
	struct loader l[3];
	os_image *i;
	int k;

	for (k = 0; k < 3; k++)
		loader_start(&l[k], k == 1 ? VIA_TEST_PLUG_B : VIA_TEST_PLUG_A);
	for (k = 0; k < 3; k++) {
		cr_assert_eq(loader_answer(&l[k]), k == 1 ? 42 : 41);
		cr_assert_not_null(copy_of(l[k].process.dwProcessId));
	}
	loader_end(&l[0], 1);
	cr_assert_not_null(copy_of(l[0].process.dwProcessId), "nobody was there to remove it");
	i = image(VIA_TEST_PLUG_A, 0);
	cr_assert_null(copy_of(l[0].process.dwProcessId));
	cr_assert_not_null(copy_of(l[1].process.dwProcessId));
	cr_assert_not_null(copy_of(l[2].process.dwProcessId));
	loader_end(&l[1], 0);
	cr_assert_null(copy_of(l[1].process.dwProcessId));
	loader_end(&l[2], 0);
	cr_assert_null(copy_of(l[2].process.dwProcessId));
	os_image_close(i, 0);
	cr_assert_null(copy_of(GetCurrentProcessId()));
}

/* -- who may touch a copy ------------------------------------------------------------------------- */

/* Somebody in this very account tries; others do not even have access. */
static void expect_held(const wchar_t *file, const wchar_t *dir)
{
	const DWORD share = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;
	wchar_t elsewhere[700];

	cr_expect_eq(CreateFileW(file, GENERIC_WRITE, share, NULL, OPEN_EXISTING, 0, NULL),
		     INVALID_HANDLE_VALUE);
	cr_expect_eq(GetLastError(), ERROR_SHARING_VIOLATION);
	cr_expect(!DeleteFileW(file));
	(void)swprintf(elsewhere, 700, L"%ls-aside", dir);
	cr_expect(!MoveFileW(file, elsewhere));
	if (!is_wine())
		cr_expect(!MoveFileW(dir, elsewhere)); /* wine renames directories all the same */
}

Test(os_copies, cannot_be_changed_before_nor_after_they_are_mapped)
{
	os_image *i = image(VIA_TEST_PLUG_A, 0);
	const wchar_t *dir = copy_of(GetCurrentProcessId());
	wchar_t file[700];

	cr_assert_not_null(dir);
	(void)swprintf(file, 700, L"%ls\\plug.dll", dir);
	expect_held(file, dir);
	cr_assert_eq(os_image_map(i), VIA_OK, "%s", via_error());
	expect_held(file, dir);
	cr_assert_eq(answer(i), 41);
	os_image_close(i, 0);
	cr_assert(!is_there(dir));
}

Test(os_copies, belong_to_this_user_only)
{
	os_image *i = image(VIA_TEST_PLUG_A, 0);
	const wchar_t *dir = copy_of(GetCurrentProcessId());
	PSECURITY_DESCRIPTOR sd;
	ACCESS_ALLOWED_ACE *ace;
	void *entry;
	PACL list;
	DWORD k;

	cr_assert_not_null(dir);
	cr_assert_eq(GetNamedSecurityInfoW(dir, SE_FILE_OBJECT, DACL_SECURITY_INFORMATION, NULL,
					   NULL, &list, NULL, &sd),
		     0u);
	cr_assert_not_null(list);
	for (k = 0; k < list->AceCount; k++) {
		cr_assert(GetAce(list, k, &entry));
		ace = entry;
		cr_expect(!IsWellKnownSid(&ace->SidStart, WinWorldSid) || ace->Mask == 0,
			  "everybody has access %#lx", ace->Mask);
	}
	LocalFree(sd);
	os_image_close(i, 0);
}

Test(os_copies, what_is_mapped_directly_is_held_as_well)
{
	const char *path = rig_path("p.dll");
	os_image *i;

	rig_copy(VIA_TEST_PLUG_A, path);
	i = image(path, 1);
	cr_expect_neq(rename(path, rig_path("q.dll")), 0);
	cr_expect_neq(remove(path), 0);
	cr_assert_eq(os_image_map(i), VIA_OK, "%s", via_error());
	cr_assert_eq(answer(i), 41);
	os_image_close(i, 0);
	rig_remove(path);
}

/* -- paths ---------------------------------------------------------------------------------------- */

/* A path of more than 260 units, with letters of more than one byte; `end` makes it another one. */
static void long_path(char *buf, size_t cap, const char *end)
{
	char part[80];
	int k;

	(void)snprintf(buf, cap, "%s", rig_path("long"));
	for (k = 0; k < 6; k++) {
		size_t len = strlen(buf);

		(void)snprintf(part, sizeof part, "\\%d-m\xc3\xbcller-\xe6\xa9\x8b-%050d", k, k);
		(void)snprintf(buf + len, cap - len, "%s", k == 5 ? end : part);
	}
}

static void make_long_dirs(char *path)
{
	wchar_t wide[1200] = L"\\\\?\\";
	char *p;

	for (p = strstr(path, "long") + 4;; p++) {
		const char c = *p;

		if (c != '\\' && c != '\0')
			continue;
		*p = '\0';
		cr_assert(MultiByteToWideChar(CP_UTF8, 0, path, -1, wide + 4, 1190) > 0);
		*p = c;
		if (c == '\0')
			break;
		cr_assert(CreateDirectoryW(wide, NULL), "error %lu", GetLastError());
	}
	cr_assert(MultiByteToWideChar(CP_UTF8, 0, VIA_TEST_PLUG_B, -1, wide + 600, 500) > 0);
	cr_assert(CopyFileW(wide + 600, wide, TRUE), "error %lu", GetLastError());
}

static void remove_long_dirs(char *path)
{
	wchar_t wide[1200] = L"\\\\?\\";
	char *end;

	while (strstr(path, "long") != NULL) {
		cr_assert(MultiByteToWideChar(CP_UTF8, 0, path, -1, wide + 4, 1190) > 0);
		cr_assert(DeleteFileW(wide) || RemoveDirectoryW(wide), "error %lu", GetLastError());
		end = strrchr(path, '\\');
		*end = '\0';
	}
}

static via_rc see(void *arg, const char *name)
{
	*(int *)arg += strcmp(name, "p\xc3\xa4.dll") == 0;
	return VIA_OK;
}

Test(os_copies, long_and_foreign_paths)
{
	char path[1200], *slash;
	os_file_id id;
	int direct, n = 0;
	os_image *i;
	os_file *f;

	long_path(path, sizeof path, "\\p\xc3\xa4.dll");
	cr_assert_gt(strlen(path), 360u);
	make_long_dirs(path);
	for (direct = 0; direct < 2; direct++) {
		i = image(path, direct);
		cr_assert_eq(os_image_map(i), VIA_OK, "%s", via_error());
		cr_assert_eq(answer(i), 42);
		os_image_close(i, 0);
	}
	cr_assert_eq(os_path_id(path, &id), VIA_OK, "%s", via_error());
	cr_assert_eq(os_file_open(&rig_env, path, &f), VIA_OK);
	if (!is_wine()) /* which has no canonical paths of this length */
		cr_assert_eq(os_file_trusted(f, path), VIA_OK, "%s", via_error());
	os_file_close(f);
	slash = strrchr(path, '\\');
	*slash = '\0';
	cr_assert_eq(os_dir_list(&rig_env, path, see, &n), VIA_OK, "%s", via_error());
	cr_assert_eq(n, 1);
	*slash = '\\';
	remove_long_dirs(path);
}
