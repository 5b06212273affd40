/* tools/viaductd/service_install_windows.c - installs and removes the service.
 *
 * The service runs as LocalService, which may do little more than any user. Its command line has every
 * path in quotation marks: without them a path with blanks names other programs first. What it writes
 * by default is below %ProgramData%\viaduct, where by Windows' defaults every user could put files;
 * installing takes that right away. */
#include "service_windows.h"

#include "../lib/cli.h"
#include "../lib/sys_process.h"
#include "config.h"

#include <windows.h>

#include <aclapi.h>
#include <sddl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ACCOUNT L"NT AUTHORITY\\LocalService"
#define DESCRIPTION L"Carries typed messages between the programs of this machine."
#define STOP_MS 20000u /* drain_timeout and grace, and some */
#define LOOK_MS 50u
#define RESTART_MS 1000u
#define FORGET_S 86400u /* after a day without a failure it counts from the start again */

/* system and administrators: everything; the service and users: reading */
#define DATA_ACCESS L"D:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;FRFX;;;LS)(A;OICI;FRFX;;;BU)"
/* system and administrators: everything; the service: writing */
#define LOG_ACCESS L"D:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;0x1301bf;;;LS)"

static int failed(const char *what, DWORD error)
{
	if (error == ERROR_ACCESS_DENIED)
		return cli_fail(CLI_FAILED, "%s: access denied: expected an administrator", what);
	return cli_fail(CLI_FAILED, "%s: error %lu", what, error);
}

static int wide(const char *from, wchar_t *to, int cap)
{
	return MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, from, -1, to, cap) > 0;
}

/* -- directories ----------------------------------------------------------------------------- */

static int data_dir(char path[SYS_PATH])
{
	via_rc rc = via_default_run_dir(path, SYS_PATH);

	return rc == VIA_OK ? CLI_OK : cli_fail_rc(rc, "directory of viaduct");
}

const char *service_log(char path[SYS_PATH])
{
	char dir[SYS_PATH];

	if (data_dir(dir) != CLI_OK)
		return NULL;
	(void)snprintf(path, SYS_PATH, "%.4000s\\log\\viaductd.log", dir);
	return path;
}

/* Only whom the list of a directory cannot stop may own it: an owner can always change the list. */
static int check_owner(const wchar_t *dir, const char *path)
{
	BYTE own[SECURITY_MAX_SID_SIZE + sizeof(TOKEN_USER)];
	PSECURITY_DESCRIPTOR sd = NULL;
	PSID owner = NULL;
	HANDLE token;
	DWORD n, error;
	int is_good;

	error = GetNamedSecurityInfoW((wchar_t *)dir, SE_FILE_OBJECT, OWNER_SECURITY_INFORMATION,
				      &owner, NULL, NULL, NULL, &sd);
	if (error != ERROR_SUCCESS)
		return failed(path, error);
	is_good = IsWellKnownSid(owner, WinBuiltinAdministratorsSid) ||
		  IsWellKnownSid(owner, WinLocalSystemSid);
	if (!is_good && OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &token)) {
		is_good = GetTokenInformation(token, TokenUser, own, sizeof own, &n) &&
			  EqualSid(owner, ((const TOKEN_USER *)(const void *)own)->User.Sid);
		CloseHandle(token);
	}
	LocalFree(sd);
	if (is_good)
		return CLI_OK;
	return cli_fail(CLI_FAILED,
			"%s: expected a directory of the administrators, found one of another "
			"user: remove it or take it over",
			path);
}

/* Makes a directory, or takes over one that is there, with this list of who may do what. */
static int make_dir(const char *path, const wchar_t *access)
{
	SECURITY_ATTRIBUTES with = {.nLength = sizeof with};
	PSECURITY_DESCRIPTOR sd = NULL;
	wchar_t dir[SYS_PATH];
	BOOL present, is_default;
	PACL list = NULL;
	DWORD error = 0;
	int status;

	if (!wide(path, dir, SYS_PATH) ||
	    !ConvertStringSecurityDescriptorToSecurityDescriptorW(access, SDDL_REVISION_1, &sd,
								  NULL))
		return failed(path, GetLastError());
	with.lpSecurityDescriptor = sd;
	if (CreateDirectoryW(dir, &with)) {
		LocalFree(sd);
		return CLI_OK;
	}
	error = GetLastError();
	status = error == ERROR_ALREADY_EXISTS ? check_owner(dir, path) : failed(path, error);
	if (status == CLI_OK) {
		error = ERROR_INVALID_DATA;
		if (GetSecurityDescriptorDacl(sd, &present, &list, &is_default))
			error = SetNamedSecurityInfoW(dir, SE_FILE_OBJECT,
						      DACL_SECURITY_INFORMATION |
							      PROTECTED_DACL_SECURITY_INFORMATION,
						      NULL, NULL, list, NULL);
		if (error != ERROR_SUCCESS)
			status = failed(path, error);
	}
	LocalFree(sd);
	return status;
}

static int make_dirs(void)
{
	char dir[SYS_PATH], log[SYS_PATH];
	int status = data_dir(dir);

	if (status != CLI_OK)
		return status;
	(void)snprintf(log, sizeof log, "%.4000s\\log", dir);
	status = make_dir(dir, DATA_ACCESS);
	return status == CLI_OK ? make_dir(log, LOG_ACCESS) : status;
}

/* -- command line ---------------------------------------------------------------------------- */

/* " --option path", the path independent of any directory: the service starts in the system's. */
static int put_path(buf *line, const char *option, const char *path)
{
	char full[SYS_PATH], why[SYS_WHY];

	if (path == NULL)
		return CLI_OK;
	if (!sys_full_path(path, full, why))
		return cli_fail(CLI_USAGE, "%s %s: %s", option, path, why);
	sys_put_argument(line, option);
	sys_put_argument(line, full);
	return CLI_OK;
}

static int command_line(const service_options *o, wchar_t *out, int cap)
{
	char program[SYS_PATH], why[SYS_WHY], log[SYS_PATH];
	buf line = {0};
	int status;

	if (!sys_own_program(program, sizeof program, why))
		return cli_fail(CLI_FAILED, "%s", why);
	sys_put_argument(&line, program);
	sys_put_argument(&line, "--service");
	status = put_path(&line, "--config", o->config);
	if (status == CLI_OK && o->run_dir != NULL) {
		sys_put_argument(&line, "--run-dir"); /* a name, whose text both sides must have */
		sys_put_argument(&line, o->run_dir);
	}
	if (status == CLI_OK)
		status = put_path(&line, "--log", o->log != NULL ? o->log : service_log(log));
	if (status == CLI_OK && (line.failed || !wide(buf_string(&line), out, cap)))
		status = cli_fail(CLI_USAGE, "the service's command line is too long");
	buf_free(&line);
	return status;
}

/* -- install --------------------------------------------------------------------------------- */

/* How it is shown, and that it comes back when it crashes. */
static int describe(SC_HANDLE service)
{
	static wchar_t text[] = DESCRIPTION;
	SERVICE_DESCRIPTIONW description = {text};
	SC_ACTION again[] = {{SC_ACTION_RESTART, RESTART_MS},
			     {SC_ACTION_RESTART, 10 * RESTART_MS},
			     {SC_ACTION_RESTART, 60 * RESTART_MS}};
	SERVICE_FAILURE_ACTIONSW failure = {.dwResetPeriod = FORGET_S,
					    .cActions = 3,
					    .lpsaActions = again};

	if (!ChangeServiceConfig2W(service, SERVICE_CONFIG_DESCRIPTION, &description) ||
	    !ChangeServiceConfig2W(service, SERVICE_CONFIG_FAILURE_ACTIONS, &failure))
		return failed("service", GetLastError());
	return CLI_OK;
}

static int create(const char *name, const wchar_t *command)
{
	SC_HANDLE manager, service = NULL;
	wchar_t wname[257];
	int status = CLI_OK;

	if (!wide(name, wname, 257))
		return cli_fail(CLI_USAGE, "--name: expected at most 256 characters, found '%s'",
				name);
	manager = OpenSCManagerW(NULL, NULL, SC_MANAGER_CREATE_SERVICE);
	if (manager == NULL)
		return failed("service control manager", GetLastError());
	service = CreateServiceW(manager, wname, wname,
				 SERVICE_CHANGE_CONFIG | SERVICE_START | DELETE,
				 SERVICE_WIN32_OWN_PROCESS, SERVICE_AUTO_START,
				 SERVICE_ERROR_NORMAL, command, NULL, NULL, NULL, ACCOUNT, NULL);
	if (service != NULL) {
		status = describe(service);
		if (status != CLI_OK)
			(void)DeleteService(service);
		CloseServiceHandle(service);
	} else if (GetLastError() == ERROR_SERVICE_EXISTS) {
		status = cli_fail(CLI_FAILED,
				  "service %s is there already; --remove-service removes it", name);
	} else {
		status = failed(name, GetLastError());
	}
	CloseServiceHandle(manager);
	return status;
}

/* A service that could not start is not worth installing. */
static int check_configuration(const service_options *o)
{
	const conf_source from = {o->config, o->run_dir};
	char why[CONF_WHY];
	int ok;
	conf c;

	conf_init(&c);
	ok = conf_read(&c, &from, why);
	conf_free(&c);
	return ok ? CLI_OK : cli_fail(CLI_USAGE, "%s", why);
}

int service_install(const service_options *o)
{
	const char *name = o->name != NULL ? o->name : SERVICE_NAME;
	wchar_t command[2 * SYS_PATH];
	int status;

	status = check_configuration(o);
	if (status == CLI_OK)
		status = command_line(o, command, 2 * SYS_PATH);
	if (status == CLI_OK)
		status = make_dirs();
	if (status == CLI_OK)
		status = create(name, command);
	if (status == CLI_OK)
		printf("service %s is installed; 'sc start %s' starts it\n", name, name);
	return status;
}

/* -- prepare --------------------------------------------------------------------------------- */

static int change(const char *name, int (*what)(SC_HANDLE service))
{
	SC_HANDLE manager, service;
	wchar_t wname[257];
	int status;

	if (!wide(name, wname, 257))
		return cli_fail(CLI_USAGE, "--name: expected at most 256 characters, found '%s'",
				name);
	manager = OpenSCManagerW(NULL, NULL, SC_MANAGER_CONNECT);
	if (manager == NULL)
		return failed("service control manager", GetLastError());
	service = OpenServiceW(manager, wname, SERVICE_CHANGE_CONFIG | SERVICE_START);
	if (service != NULL) {
		status = what(service);
		CloseServiceHandle(service);
	} else if (GetLastError() == ERROR_SERVICE_DOES_NOT_EXIST) {
		status = cli_fail(CLI_FAILED, "there is no service %s", name);
	} else {
		status = failed(name, GetLastError());
	}
	CloseServiceHandle(manager);
	return status;
}

int service_prepare(const char *name)
{
	int status;

	if (name == NULL)
		name = SERVICE_NAME;
	status = make_dirs();
	if (status == CLI_OK)
		status = change(name, describe);
	if (status == CLI_OK)
		printf("service %s has what it needs\n", name);
	return status;
}

/* -- remove ---------------------------------------------------------------------------------- */

/* Asks a service to stop and waits for its end. */
static int stop(SC_HANDLE service, const char *name)
{
	ULONGLONG end = GetTickCount64() + STOP_MS;
	SERVICE_STATUS status;
	DWORD error;

	if (!ControlService(service, SERVICE_CONTROL_STOP, &status)) {
		error = GetLastError();
		if (error == ERROR_SERVICE_NOT_ACTIVE)
			return CLI_OK;
		if (error != ERROR_SERVICE_CANNOT_ACCEPT_CTRL) /* it may be stopping already */
			return failed(name, error);
	}
	while (QueryServiceStatus(service, &status) && status.dwCurrentState != SERVICE_STOPPED) {
		if (GetTickCount64() >= end)
			return cli_fail(CLI_TIMEOUT, "service %s does not stop", name);
		Sleep(LOOK_MS);
	}
	return CLI_OK;
}

int service_remove(const char *name)
{
	SC_HANDLE manager, service;
	wchar_t wname[257];
	int status;

	if (name == NULL)
		name = SERVICE_NAME;
	if (!wide(name, wname, 257))
		return cli_fail(CLI_USAGE, "--name: expected at most 256 characters, found '%s'",
				name);
	manager = OpenSCManagerW(NULL, NULL, SC_MANAGER_CONNECT);
	if (manager == NULL)
		return failed("service control manager", GetLastError());
	service = OpenServiceW(manager, wname, SERVICE_STOP | SERVICE_QUERY_STATUS | DELETE);
	if (service == NULL) {
		status = GetLastError() == ERROR_SERVICE_DOES_NOT_EXIST
				 ? cli_fail(CLI_FAILED, "there is no service %s", name)
				 : failed(name, GetLastError());
		CloseServiceHandle(manager);
		return status;
	}
	status = stop(service, name);
	if (status == CLI_OK && !DeleteService(service))
		status = failed(name, GetLastError());
	CloseServiceHandle(service);
	CloseServiceHandle(manager);
	if (status == CLI_OK)
		printf("service %s is removed\n", name);
	return status;
}
