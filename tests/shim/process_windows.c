/* tests/shim/process_windows.c - a process for each test, with a time limit: Windows. */
#include "shim.h"

#include <stdio.h>
#include <stdlib.h>
#include <windows.h>

double process_now(void)
{
	LARGE_INTEGER frequency, count;

	QueryPerformanceFrequency(&frequency);
	QueryPerformanceCounter(&count);
	return (double)count.QuadPart / (double)frequency.QuadPart;
}

void process_is_worker(void)
{
	/* The job object of its parent ends it; see process_run(). */
}

_Noreturn void process_end_thread(void)
{
	ExitThread(1);
}

static enum outcome judge(DWORD code, const struct criterion_test_opts *expected)
{
	/* An unhandled exception is an NTSTATUS of severity error; abort() exits with 3. */
	const int is_crash = code >= 0xC0000000u || (code == 3 && expected->exit_code != 3);

	if (code == WORKER_SKIPPED)
		return SKIPPED;
	if (is_crash)
		return expected->signal != 0 ? PASSED
					     : CRASHED; /* no signal numbers to compare here */
	if (expected->signal != 0)
		return FAILED;
	if (expected->exit_code != 0)
		return code == (DWORD)expected->exit_code ? PASSED : FAILED;
	return code == WORKER_PASSED ? PASSED : FAILED;
}

/* A job that ends what the test started when its handle is closed. NULL: none, and none is needed. */
static HANDLE job_open(void)
{
	JOBOBJECT_EXTENDED_LIMIT_INFORMATION limits;
	HANDLE job = CreateJobObjectA(NULL, NULL);

	if (job == NULL)
		return NULL;
	memset(&limits, 0, sizeof limits);
	limits.BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE;
	SetInformationJobObject(job, JobObjectExtendedLimitInformation, &limits, sizeof limits);
	return job;
}

static enum outcome finish(HANDLE process, double seconds,
			   const struct criterion_test_opts *expected)
{
	DWORD code = 0;
	DWORD limit = seconds > 0 ? (DWORD)(seconds * 1000) : INFINITE;

	if (WaitForSingleObject(process, limit) == WAIT_TIMEOUT) {
		TerminateProcess(process, 9);
		WaitForSingleObject(process, 5000);
		return TIMED_OUT;
	}
	if (!GetExitCodeProcess(process, &code))
		return FAILED;
	return judge(code, expected);
}

/* Under load wine now and then answers "internal error"; that is not the test's. */
static int start_suspended(const char *program, char *command, STARTUPINFOA *start,
			   PROCESS_INFORMATION *process)
{
	int tries;

	for (tries = 0; tries < 5; tries++) {
		if (CreateProcessA(program, command, NULL, NULL, TRUE, CREATE_SUSPENDED, NULL, NULL,
				   start, process))
			return 1;
		if (GetLastError() != ERROR_INTERNAL_ERROR)
			return 0;
	}
	return 0;
}

enum outcome process_run(const char *id, double seconds, const struct criterion_test_opts *expected)
{
	char program[MAX_PATH], command[MAX_PATH + 400];
	PROCESS_INFORMATION process;
	STARTUPINFOA start;
	enum outcome outcome;
	HANDLE job;

	GetModuleFileNameA(NULL, program, sizeof program);
	snprintf(command, sizeof command, "\"%s\" --worker %s", program, id);
	memset(&start, 0, sizeof start);
	start.cb = sizeof start;
	fflush(NULL);
	if (!start_suspended(program, command, &start, &process)) {
		fprintf(stderr, "CreateProcess: error %lu\n", GetLastError());
		return FAILED;
	}
	job = job_open();
	if (job != NULL)
		AssignProcessToJobObject(job, process.hProcess);
	ResumeThread(process.hThread);
	outcome = finish(process.hProcess, seconds, expected);
	CloseHandle(process.hThread);
	CloseHandle(process.hProcess);
	if (job != NULL)
		CloseHandle(job);
	return outcome;
}
