/* tests/server/rig_windows.c - Windows side of the rig. */
#include "rig.h"
#include "rig_os.h"
#include <windows.h>

#include <aclapi.h>
#include <sddl.h>
#include <tlhelp32.h>

/* The system's thread pool makes its threads and their handles when it pleases, and keeps them. */
enum { POOL_HANDLES = 8 };

const int32_t rig_no_memory = ERROR_NO_SYSTEM_RESOURCES;

int rig_descriptors(void)
{
	DWORD n = 0;

	cr_assert(GetProcessHandleCount(GetCurrentProcess(), &n) != 0);
	return (int)n;
}

void rig_check_descriptors(int expected)
{
	cr_expect_leq(rig_descriptors(), expected + POOL_HANDLES, "handles: %d before, %d now",
		      expected, rig_descriptors());
}

/* By its name: the system's thread pool is not the library's. */
static int is_ours(DWORD id)
{
	typedef HRESULT(WINAPI * describe_fn)(HANDLE, PWSTR *);
	FARPROC proc = GetProcAddress(GetModuleHandleA("kernel32.dll"), "GetThreadDescription");
	HANDLE t = OpenThread(THREAD_QUERY_LIMITED_INFORMATION, FALSE, id);
	describe_fn describe;
	wchar_t *name = NULL;
	int ours = 0;

	if (t == NULL)
		return 0;
	if (proc != NULL) {
		memcpy(&describe, &proc, sizeof describe);
		ours = describe(t, &name) >= 0 && wcsncmp(name, L"via-", 4) == 0;
		LocalFree(name);
	}
	CloseHandle(t);
	return ours;
}

int rig_threads(void)
{
	THREADENTRY32 e = {.dwSize = sizeof e};
	HANDLE all = CreateToolhelp32Snapshot(TH32CS_SNAPTHREAD, 0);
	int n = 0;
	BOOL more;

	cr_assert_neq(all, INVALID_HANDLE_VALUE);
	for (more = Thread32First(all, &e); more; more = Thread32Next(all, &e))
		n += e.th32OwnerProcessID == GetCurrentProcessId() && is_ours(e.th32ThreadID);
	CloseHandle(all);
	return n;
}

uint64_t rig_cpu_ns(void)
{
	FILETIME made, ended, kernel, user;

	cr_assert(GetProcessTimes(GetCurrentProcess(), &made, &ended, &kernel, &user) != 0);
	return (((uint64_t)kernel.dwHighDateTime << 32 | kernel.dwLowDateTime) +
		((uint64_t)user.dwHighDateTime << 32 | user.dwLowDateTime)) *
	       100;
}

int rig_all_asleep(void)
{
	return 1;
}

/* Sleeping here is what this thread does, in the kernel, so that it uses no time of its own. */
int rig_idle_for(uint64_t ns)
{
	HANDLE never = CreateEventW(NULL, TRUE, FALSE, NULL);
	uint64_t before = rig_cpu_ns();

	(void)WaitForSingleObject(never, (DWORD)(ns / RIG_MS));
	CloseHandle(never);
	return rig_cpu_ns() - before < ns / 10;
}

/* No transport of this system keeps files: a name is enough. The directory of named objects is opened with the
 * first of them, and stays open. */
void rig_make_dir(rig *r)
{
	HANDLE h = CreateEventW(NULL, TRUE, FALSE, L"Local\\viaduct-test-warm-up");

	cr_assert_not_null(h);
	CloseHandle(h);
	snprintf(r->dir, sizeof r->dir, "C:\\via-server-%lu", (unsigned long)GetCurrentProcessId());
}

void rig_remove_dir(rig *r)
{
	cr_expect_eq(GetFileAttributesA(r->dir), INVALID_FILE_ATTRIBUTES,
		     "something made the run directory");
}

void rig_make_directory(char *path, size_t cap)
{
	char temp[200];

	cr_assert(GetTempPathA(sizeof temp, temp) != 0);
	snprintf(path, cap, "%svia-modules-%lu", temp, (unsigned long)GetCurrentProcessId());
	cr_assert(CreateDirectoryA(path, NULL) != 0, "%s: error %lu", path, GetLastError());
}

void rig_remove_directory(const char *path)
{
	cr_expect(RemoveDirectoryA(path) != 0, "%s: error %lu", path, GetLastError());
}

void rig_let_anybody_write(const char *path, int may)
{
	const char *text = may ? "D:P(A;;FA;;;WD)" : "D:P(A;;FA;;;SY)(A;;FA;;;OW)(A;;FRFX;;;WD)";
	PSECURITY_DESCRIPTOR sd;
	BOOL present, defaulted;
	char name[320];
	DWORD err;
	PACL list;

	snprintf(name, sizeof name, "%s", path);
	cr_assert(ConvertStringSecurityDescriptorToSecurityDescriptorA(text, SDDL_REVISION_1, &sd,
								       NULL) != 0);
	cr_assert(GetSecurityDescriptorDacl(sd, &present, &list, &defaulted) && present);
	err = SetNamedSecurityInfoA(name, SE_FILE_OBJECT,
				    DACL_SECURITY_INFORMATION | PROTECTED_DACL_SECURITY_INFORMATION,
				    NULL, NULL, list, NULL);
	cr_assert_eq(err, 0, "%s: error %lu", path, err);
	LocalFree(sd);
}
