/* tests/tools/fixture_control.c - what the host's Python cannot do inside Windows.
 *
 *   fixture_control control SERVICE CODE   sends a control code, as `sc control` does where it exists
 *   fixture_control move FROM TO           renames a file, in place of one that is there
 *   fixture_control delete FILE
 */
#include <windows.h>

#include <shellapi.h>
#include <stdio.h>
#include <stdlib.h>
#include <wchar.h>

static int failed(const wchar_t *what)
{
	fprintf(stderr, "%ls: error %lu\n", what, GetLastError());
	return 1;
}

static int control(const wchar_t *name, const wchar_t *code)
{
	SC_HANDLE manager = OpenSCManagerW(NULL, NULL, SC_MANAGER_CONNECT), service;
	SERVICE_STATUS status;
	int rc = 0;

	if (manager == NULL)
		return failed(L"service control manager");
	service =
		OpenServiceW(manager, name, SERVICE_USER_DEFINED_CONTROL | SERVICE_PAUSE_CONTINUE);
	if (service == NULL || !ControlService(service, (DWORD)wcstoul(code, NULL, 0), &status))
		rc = failed(name);
	if (service != NULL)
		CloseServiceHandle(service);
	CloseServiceHandle(manager);
	return rc;
}

int main(void)
{
	wchar_t **argv;
	int argc;

	argv = CommandLineToArgvW(GetCommandLineW(), &argc);
	if (argv == NULL)
		return failed(L"command line");
	if (argc == 4 && wcscmp(argv[1], L"control") == 0)
		return control(argv[2], argv[3]);
	if (argc == 4 && wcscmp(argv[1], L"move") == 0)
		return MoveFileExW(argv[2], argv[3], MOVEFILE_REPLACE_EXISTING) ? 0
										: failed(argv[2]);
	if (argc == 3 && wcscmp(argv[1], L"delete") == 0)
		return DeleteFileW(argv[2]) ? 0 : failed(argv[2]);
	fprintf(stderr,
		"usage: fixture_control control SERVICE CODE | move FROM TO | delete FILE\n");
	return 2;
}
