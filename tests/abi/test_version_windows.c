/* tests/abi/test_version_windows.c - what Windows shows of library, programs and modules. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <viaduct/viaduct.h>
#include <windows.h>

/* A string of the version block, "" if it is not there. */
static const char *text(const void *block, const char *name)
{
	char path[64];
	void *found;
	UINT len;

	(void)snprintf(path, sizeof path, "\\StringFileInfo\\040904B0\\%s", name);
	return VerQueryValueA(block, path, &found, &len) && len > 0 ? found : "";
}

static void check_file(const char *directory, const char *name)
{
	const char *version = via_version();
	unsigned major, minor, patch;
	VS_FIXEDFILEINFO *fixed;
	char path[1024];
	void *block;
	DWORD size;
	UINT len;

	(void)snprintf(path, sizeof path, "%s/%s", directory, name);
	size = GetFileVersionInfoSizeA(path, NULL);
	cr_assert(size > 0, "%s: expected a version, found error %lu", path, GetLastError());
	block = malloc(size);
	cr_assert(block != NULL && GetFileVersionInfoA(path, 0, size, block), "%s", path);

	cr_assert(VerQueryValueA(block, "\\", (void **)&fixed, &len) && len >= sizeof *fixed);
	cr_assert_eq(sscanf(version, "%u.%u.%u", &major, &minor, &patch), 3);
	cr_expect_eq(fixed->dwFileVersionMS, major << 16 | minor, "%s", path);
	cr_expect_eq(fixed->dwFileVersionLS, patch << 16, "%s", path);
	cr_expect_eq(fixed->dwProductVersionMS, fixed->dwFileVersionMS, "%s", path);
	cr_expect_eq(fixed->dwProductVersionLS, fixed->dwFileVersionLS, "%s", path);
	cr_expect_eq(fixed->dwFileType, strstr(name, ".exe") != NULL ? VFT_APP : VFT_DLL, "%s",
		     path);
	cr_expect_str_eq(text(block, "FileVersion"), version);
	cr_expect_str_eq(text(block, "ProductVersion"), version);
	cr_expect_str_eq(text(block, "OriginalFilename"), name);
	cr_expect_str_eq(text(block, "ProductName"), "viaduct");
	cr_expect(text(block, "FileDescription")[0] != 0, "%s: no description", path);
	free(block);
}

Test(version, of_library_and_programs)
{
	check_file(VIA_TEST_BIN_DIR, "viaduct.dll");
	check_file(VIA_TEST_BIN_DIR, "viaduct.exe");
	check_file(VIA_TEST_BIN_DIR, "viaductd.exe");
}

Test(version, of_every_module)
{
	WIN32_FIND_DATAA found;
	unsigned n = 0;
	HANDLE search;

	search = FindFirstFileA(VIA_TEST_MODULE_DIR "/*.dll", &found);
	cr_assert(search != INVALID_HANDLE_VALUE, "no modules in %s", VIA_TEST_MODULE_DIR);
	do {
		check_file(VIA_TEST_MODULE_DIR, found.cFileName);
		n++;
	} while (FindNextFileA(search, &found));
	FindClose(search);
	cr_expect(n >= 9, "expected the 9 modules of Windows and more, found %u", n);
}
