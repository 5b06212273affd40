/* tests/shim/process_windows.c - a process for each test, with a time limit: Windows. */
#include "shim.h"

#include <stdio.h>
#include <stdlib.h>
#include <windows.h>

enum { COMMAND = 8192 }; /* longest command line */

double process_now(void)
{
	LARGE_INTEGER frequency, count;

	QueryPerformanceFrequency(&frequency);
	QueryPerformanceCounter(&count);
	return (double)count.QuadPart / (double)frequency.QuadPart;
}

/* The job object of its parent ends it; see process_run(). */
void process_is_worker(void)
{
	SetErrorMode(SEM_FAILCRITICALERRORS | SEM_NOGPFAULTERRORBOX); /* a crash is a result here */
}

_Noreturn void process_end_thread(void)
{
	ExitThread(1);
}

/* The job object ends the worker with us, and there is nothing to tidy up. */
void process_stop_when_asked(void)
{
}

_Noreturn void process_end_as_asked(void)
{
	ExitProcess(1);
}

/* -- a worker ------------------------------------------------------------------------------------- */

static enum outcome judge(struct worker *w, DWORD code)
{
	const struct criterion_test_opts *expected = w->expected;
	/* An unhandled exception is an NTSTATUS of severity error; abort() exits with 3. */
	const int is_crash = code >= 0xC0000000u || (code == 3 && expected->exit_code != 3);

	if (code == WORKER_SKIPPED)
		return SKIPPED;
	if (is_crash) { /* no signal numbers to compare here */
		snprintf(w->how, sizeof w->how, "exception 0x%08lx", code);
		if (code == 3)
			snprintf(w->how, sizeof w->how, "abort()");
		return expected->signal != 0 ? PASSED : CRASHED;
	}
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

static enum outcome finish(struct worker *w, HANDLE process)
{
	DWORD code = 0;
	DWORD limit = w->seconds > 0 ? (DWORD)(w->seconds * 1000) : INFINITE;

	if (WaitForSingleObject(process, limit) == WAIT_TIMEOUT) {
		TerminateProcess(process, 9);
		WaitForSingleObject(process, 5000);
		return TIMED_OUT;
	}
	if (!GetExitCodeProcess(process, &code))
		return FAILED;
	return judge(w, code);
}

/* Adds an argument that has no '"' in it, as no file name has, the way the C library reads it back. */
static int add_argument(char *command, size_t cap, const char *text)
{
	size_t len = strlen(command), slashes = 0, n = strlen(text);
	int added;

	while (slashes < n && text[n - 1 - slashes] == '\\')
		slashes++; /* before the closing '"' each counts half */
	added = snprintf(command + len, cap - len, "%s\"%s%.*s\"", len != 0 ? " " : "", text,
			 (int)slashes, text + n - slashes);
	return added > 0 && (size_t)added < cap - len;
}

static int command_of(const struct worker *w, wchar_t *out, int cap)
{
	char command[COMMAND] = "worker";
	size_t i;

	for (i = 0; w->args[i] != NULL; i++)
		if (!add_argument(command, sizeof command, w->args[i]))
			return 0;
	return MultiByteToWideChar(CP_UTF8, 0, command, -1, out, cap) > 0;
}

/* Under load wine now and then answers "internal error"; that is not the test's. */
static int start_suspended(wchar_t *command, STARTUPINFOW *start, PROCESS_INFORMATION *process)
{
	wchar_t program[COMMAND];
	int tries;

	if (GetModuleFileNameW(NULL, program, COMMAND) == COMMAND)
		return 0;
	for (tries = 0; tries < 5; tries++) {
		if (CreateProcessW(program, command, NULL, NULL, TRUE, CREATE_SUSPENDED, NULL, NULL,
				   start, process))
			return 1;
		if (GetLastError() != ERROR_INTERNAL_ERROR)
			return 0;
	}
	return 0;
}

static enum outcome run_in_job(struct worker *w, PROCESS_INFORMATION *process)
{
	HANDLE job = job_open();
	enum outcome outcome;

	if (job != NULL)
		AssignProcessToJobObject(job, process->hProcess);
	ResumeThread(process->hThread);
	outcome = finish(w, process->hProcess);
	CloseHandle(process->hThread);
	CloseHandle(process->hProcess);
	if (job != NULL)
		CloseHandle(job); /* and with it what the test has started */
	return outcome;
}

/* -- what it says --------------------------------------------------------------------------------- */

struct listener {
	struct worker *w;
	HANDLE from, to, thread;
};

/* Until nobody can say anything any more. */
static DWORD WINAPI listen_to_it(void *arg)
{
	struct listener *l = arg;
	struct worker *w = l->w;
	char rest[4096];
	DWORD n;

	for (;;) {
		size_t room = w->cap - w->len;

		if (!ReadFile(l->from, room != 0 ? w->said + w->len : rest,
			      room != 0 ? (DWORD)room : (DWORD)sizeof rest, &n, NULL))
			return 0;
		if (room != 0)
			w->len += n;
	}
}

static int listener_open(struct listener *l, STARTUPINFOW *start)
{
	SECURITY_ATTRIBUTES inherited = {sizeof inherited, NULL, TRUE};

	if (!CreatePipe(&l->from, &l->to, &inherited, 0))
		return 0;
	SetHandleInformation(l->from, HANDLE_FLAG_INHERIT, 0);
	start->dwFlags = STARTF_USESTDHANDLES;
	start->hStdInput = GetStdHandle(STD_INPUT_HANDLE);
	start->hStdOutput = start->hStdError = l->to;
	l->thread = CreateThread(NULL, 0, listen_to_it, l, 0, NULL);
	return l->thread != NULL;
}

static void listener_close(struct listener *l)
{
	if (l->to != NULL)
		CloseHandle(l->to); /* the last one: the thread comes to its end */
	if (l->thread != NULL) {
		WaitForSingleObject(l->thread, INFINITE);
		CloseHandle(l->thread);
	}
	if (l->from != NULL)
		CloseHandle(l->from);
}

enum outcome process_run(struct worker *w)
{
	wchar_t command[COMMAND];
	STARTUPINFOW start = {.cb = sizeof start};
	PROCESS_INFORMATION process;
	struct listener listener = {.w = w};
	enum outcome outcome = FAILED;

	w->len = 0;
	w->how[0] = '\0';
	fflush(NULL);
	if (!command_of(w, command, COMMAND))
		fprintf(stderr, "expected a command line of at most %d characters\n", COMMAND);
	else if (w->said != NULL && !listener_open(&listener, &start))
		fprintf(stderr, "CreatePipe: error %lu\n", GetLastError());
	else if (!start_suspended(command, &start, &process))
		fprintf(stderr, "CreateProcess: error %lu\n", GetLastError());
	else
		outcome = run_in_job(w, &process);
	listener_close(&listener);
	return outcome;
}
