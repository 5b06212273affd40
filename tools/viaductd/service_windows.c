/* tools/viaductd/service_windows.c - viaductd under the service control manager of Windows.
 *
 * Threads: the main thread belongs to the manager's dispatcher, which calls on_control(); the daemon runs
 * in the thread that the dispatcher makes for service_main(). */
#include "service_windows.h"

#include "../lib/cli.h"
#include "supervisor.h"

#include <windows.h>

#include <stdio.h>
#include <string.h>

#define START_MS 30000u /* until the first service listens */

static struct {
	SRWLOCK lock;
	SERVICE_STATUS_HANDLE handle; /* NULL: this is no service */
	SERVICE_STATUS status;
	int (*run)(void *arg);
	void *arg;
	int exit_status;
} service = {.lock = SRWLOCK_INIT};

static int tell(DWORD state, DWORD accepted, DWORD wait_ms, int exit_status)
{
	SERVICE_STATUS *s = &service.status;
	BOOL ok = TRUE;

	AcquireSRWLockExclusive(&service.lock);
	if (s->dwCurrentState != SERVICE_STOPPED) { /* there is nothing after that */
		s->dwCheckPoint = wait_ms != 0 ? s->dwCheckPoint + 1 : 0;
		s->dwServiceType = SERVICE_WIN32_OWN_PROCESS;
		s->dwCurrentState = state;
		s->dwControlsAccepted = accepted;
		s->dwWaitHint = wait_ms;
		s->dwWin32ExitCode =
			exit_status == CLI_OK ? NO_ERROR : ERROR_SERVICE_SPECIFIC_ERROR;
		s->dwServiceSpecificExitCode = (DWORD)exit_status;
		ok = SetServiceStatus(service.handle, s);
	}
	ReleaseSRWLockExclusive(&service.lock);
	return ok != FALSE;
}

static DWORD WINAPI on_control(DWORD control, DWORD type, void *data, void *arg)
{
	(void)type;
	(void)data;
	(void)arg;
	switch (control) {
	case SERVICE_CONTROL_STOP:
	case SERVICE_CONTROL_PRESHUTDOWN:
		sys_signals_post(SYS_STOP);
		return NO_ERROR;
	case SERVICE_CONTROL_PARAMCHANGE:
		sys_signals_post(SYS_RELOAD);
		return NO_ERROR;
	case SERVICE_REPORT:
		sys_signals_post(SYS_REPORT);
		return NO_ERROR;
	case SERVICE_CONTROL_INTERROGATE:
		return NO_ERROR;
	default:
		return ERROR_CALL_NOT_IMPLEMENTED;
	}
}

/* -- the daemon's side ----------------------------------------------------------------------- */

int supervisor_watchdog(uint64_t *ns, char *why)
{
	(void)why;
	*ns = 0; /* it looks at the process only */
	return 1;
}

int supervisor_tell(int state, uint64_t within_ns, char *why)
{
	int ok = 1;

	if (service.handle == NULL)
		return 1;
	if (state == SUPERVISOR_READY)
		ok = tell(SERVICE_RUNNING,
			  SERVICE_ACCEPT_STOP | SERVICE_ACCEPT_PRESHUTDOWN |
				  SERVICE_ACCEPT_PARAMCHANGE,
			  0, CLI_OK);
	else if (state == SUPERVISOR_STOPPING) /* it ends by itself within that time, or is ended */
		ok = tell(SERVICE_STOP_PENDING, 0, cli_ms(within_ns) + 1000, CLI_OK);
	if (!ok)
		(void)snprintf(why, SYS_WHY, "service control manager: error %lu", GetLastError());
	return ok;
}

void supervisor_end(int status)
{
	if (service.handle != NULL)
		(void)tell(SERVICE_STOPPED, 0, 0, status);
}

/* -- the manager's side ---------------------------------------------------------------------- */

static void WINAPI service_main(DWORD argc, wchar_t **argv)
{
	(void)argc;
	service.handle = RegisterServiceCtrlHandlerExW(argv[0], on_control, NULL);
	if (service.handle == NULL) {
		service.exit_status = CLI_FAILED;
		return;
	}
	service.status.dwCurrentState = SERVICE_START_PENDING;
	(void)tell(SERVICE_START_PENDING, 0, START_MS, CLI_OK);
	service.exit_status = service.run(service.arg);
	supervisor_end(service.exit_status);
}

int service_run(int (*run)(void *arg), void *arg)
{
	static wchar_t any[] = L""; /* a process of its own: the manager knows the name */
	const SERVICE_TABLE_ENTRYW table[] = {{any, service_main}, {NULL, NULL}};

	service.run = run;
	service.arg = arg;
	if (StartServiceCtrlDispatcherW(table))
		return service.exit_status;
	if (GetLastError() == ERROR_FAILED_SERVICE_CONTROLLER_CONNECT)
		return cli_fail(CLI_USAGE,
				"--service: expected the service control manager as parent; in a "
				"console leave it out");
	return cli_fail(CLI_FAILED, "--service: error %lu", GetLastError());
}
