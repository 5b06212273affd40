/* tools/lib/sys_process_windows.c - processes, processors and times of Windows. */
#include "sys_process.h"

#include <windows.h>

#include <tlhelp32.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_MS 1    /* between two looks into a pipe */
#define COMMAND 8192 /* longest command line */
#ifndef CREATE_WAITABLE_TIMER_HIGH_RESOLUTION
#define CREATE_WAITABLE_TIMER_HIGH_RESOLUTION 0x2 /* Windows 10 1803; headers may be older */
#endif

static int failed(const char *what, DWORD error, char *why)
{
	(void)snprintf(why, SYS_WHY, "%s: error %lu", what, error);
	return 0;
}

static wchar_t *widen(const char *from)
{
	int n = MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, from, -1, NULL, 0);
	wchar_t *to = n > 0 ? malloc((size_t)n * sizeof(*to)) : NULL;

	if (to != NULL &&
	    MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, from, -1, to, n) == 0) {
		free(to);
		return NULL;
	}
	return to;
}

static int narrow(const wchar_t *from, char *to, size_t cap)
{
	return WideCharToMultiByte(CP_UTF8, 0, from, -1, to, (int)cap, NULL, NULL) > 0;
}

/* -- a process at the other end of two pipes ------------------------------------------------- */

int sys_own_program(char *path, size_t cap, char *why)
{
	wchar_t wide[SYS_PATH];
	DWORD n = GetModuleFileNameW(NULL, wide, SYS_PATH);

	if (n == 0 || n == SYS_PATH || !narrow(wide, path, cap))
		return failed("path of this program", GetLastError(), why);
	return 1;
}

void sys_put_argument(buf *b, const char *text)
{
	size_t slashes;

	buf_text(b, b->len != 0 ? " \"" : "\"");
	for (; *text != '\0'; text++) {
		for (slashes = 0; *text == '\\'; text++)
			slashes++;
		if (*text == '"' || *text == '\0')
			slashes *= 2;
		buf_fill(b, '\\', slashes);
		if (*text == '\0')
			break;
		if (*text == '"')
			buf_char(b, '\\');
		buf_char(b, *text);
	}
	buf_char(b, '"');
}

static int spawn(sys_child *c, const char *program, const char *const *argv, HANDLE in, HANDLE out,
		 char *why)
{
	STARTUPINFOW start = {.cb = sizeof start, .dwFlags = STARTF_USESTDHANDLES};
	PROCESS_INFORMATION info = {0};
	wchar_t *path = widen(program), *command = NULL;
	buf line = {0};
	DWORD error = ERROR_NOT_ENOUGH_MEMORY;

	for (; *argv != NULL; argv++)
		sys_put_argument(&line, *argv);
	if (line.len < COMMAND && !line.failed)
		command = widen(buf_string(&line));
	start.hStdInput = in;
	start.hStdOutput = out;
	start.hStdError = GetStdHandle(STD_ERROR_HANDLE);
	/* a group of its own: what stops this program at the console is not for the other one */
	if (path != NULL && command != NULL &&
	    CreateProcessW(path, command, NULL, NULL, TRUE, CREATE_NEW_PROCESS_GROUP, NULL, NULL,
			   &start, &info)) {
		CloseHandle(info.hThread);
		error = 0;
	} else if (path != NULL && command != NULL) {
		error = GetLastError();
	}
	free(path);
	free(command);
	buf_free(&line);
	c->process = (intptr_t)info.hProcess;
	return error == 0 || failed(program, error, why);
}

int sys_child_start(sys_child *c, const char *program, const char *const *argv, char *why)
{
	SECURITY_ATTRIBUTES inherited = {sizeof inherited, NULL, TRUE};
	HANDLE in[2], out[2];

	memset(c, 0, sizeof *c);
	if (!CreatePipe(&in[0], &in[1], &inherited, 0))
		return failed("pipe", GetLastError(), why);
	if (!CreatePipe(&out[0], &out[1], &inherited, 0)) {
		CloseHandle(in[0]);
		CloseHandle(in[1]);
		return failed("pipe", GetLastError(), why);
	}
	(void)SetHandleInformation(in[1], HANDLE_FLAG_INHERIT, 0);
	(void)SetHandleInformation(out[0], HANDLE_FLAG_INHERIT, 0);
	c->to = (intptr_t)in[1];
	c->from = (intptr_t)out[0];
	c->is_running = spawn(c, program, argv, in[0], out[1], why);
	CloseHandle(in[0]);
	CloseHandle(out[1]);
	if (c->is_running)
		return 1;
	CloseHandle(in[1]);
	CloseHandle(out[0]);
	return 0;
}

int sys_child_tell(sys_child *c, const char *line)
{
	DWORD len = (DWORD)strlen(line), n = 0;

	return WriteFile((HANDLE)c->to, line, len, &n, NULL) && n == len;
}

void sys_child_self(sys_child *c)
{
	memset(c, 0, sizeof *c);
	c->from = (intptr_t)GetStdHandle(STD_INPUT_HANDLE);
}

/* Takes a whole line out of what was read. */
static int take_line(sys_child *c, char *line)
{
	char *end = memchr(c->line, '\n', c->have);
	uint32_t len;

	if (end == NULL)
		return 0;
	len = (uint32_t)(end - c->line);
	memcpy(line, c->line, len);
	line[len] = '\0';
	c->have -= len + 1;
	memmove(c->line, end + 1, c->have);
	return 1;
}

int sys_child_hear(sys_child *c, char line[SYS_LINE], uint32_t ms, const atomic_int *stop)
{
	ULONGLONG end = GetTickCount64() + ms;
	DWORD n;

	while (!take_line(c, line)) {
		if ((stop != NULL && atomic_load(stop) != 0) || c->have == SYS_LINE)
			return 0;
		if (GetTickCount64() >= end)
			return -1;
		if (stop != NULL && !PeekNamedPipe((HANDLE)c->from, NULL, 0, NULL, &n, NULL))
			return 0;
		if (stop != NULL && n == 0) {
			Sleep(LOOK_MS);
			continue;
		}
		if (!ReadFile((HANDLE)c->from, c->line + c->have, SYS_LINE - c->have, &n, NULL) ||
		    n == 0)
			return 0;
		c->have += n;
	}
	return 1;
}

void sys_child_ask(sys_child *c)
{
	(void)c;
}

int sys_child_end(sys_child *c, uint32_t ms)
{
	HANDLE process = (HANDLE)c->process;
	DWORD status = 1;
	int is_killed;

	if (!c->is_running)
		return 0;
	CloseHandle((HANDLE)c->to);
	is_killed = WaitForSingleObject(process, ms) != WAIT_OBJECT_0;
	if (is_killed) {
		(void)TerminateProcess(process, 1);
		(void)WaitForSingleObject(process, INFINITE);
	}
	(void)GetExitCodeProcess(process, &status);
	CloseHandle(process);
	CloseHandle((HANDLE)c->from);
	c->is_running = 0;
	if (is_killed)
		(void)snprintf(c->end, sizeof c->end, "did not end and was killed");
	else if (status >= 0xc0000000) /* an exception nobody took */
		(void)snprintf(c->end, sizeof c->end, "was ended by exception 0x%lx%s", status,
			       status == EXCEPTION_ACCESS_VIOLATION ? " (access violation)" : "");
	else
		(void)snprintf(c->end, sizeof c->end, "ended with status %lu", status);
	return !is_killed && status == 0;
}

/* -- a directory for a short time ------------------------------------------------------------ */

int sys_temp_make(char path[SYS_PATH], char *why)
{
	wchar_t parent[MAX_PATH + 1], wide[MAX_PATH + 64];
	unsigned int i;

	if (GetTempPathW(MAX_PATH + 1, parent) == 0)
		return failed("temporary directory", GetLastError(), why);
	for (i = 0; i < 100; i++) {
		(void)_snwprintf(wide, MAX_PATH + 64, L"%lsviaduct-run.%lu.%u", parent,
				 GetCurrentProcessId(), i);
		if (CreateDirectoryW(wide, NULL))
			return narrow(wide, path, SYS_PATH) ||
			       failed("temporary directory", GetLastError(), why);
		if (GetLastError() != ERROR_ALREADY_EXISTS)
			break;
	}
	return failed("temporary directory", GetLastError(), why);
}

int sys_temp_remove(const char *path, char *why)
{
	wchar_t *dir = widen(path), name[2 * SYS_PATH];
	WIN32_FIND_DATAW found;
	HANDLE h;
	DWORD error = 0;

	if (dir == NULL)
		return failed("temporary directory", ERROR_NOT_ENOUGH_MEMORY, why);
	(void)_snwprintf(name, 2 * SYS_PATH, L"%ls\\*", dir);
	h = FindFirstFileW(name, &found);
	if (h != INVALID_HANDLE_VALUE) {
		do {
			if (wcscmp(found.cFileName, L".") == 0 ||
			    wcscmp(found.cFileName, L"..") == 0)
				continue;
			(void)_snwprintf(name, 2 * SYS_PATH, L"%ls\\%ls", dir, found.cFileName);
			(void)DeleteFileW(name);
		} while (FindNextFileW(h, &found));
		FindClose(h);
	}
	if (!RemoveDirectoryW(dir))
		error = GetLastError();
	free(dir);
	return error == 0 || error == ERROR_FILE_NOT_FOUND || error == ERROR_PATH_NOT_FOUND ||
	       failed(path, error, why);
}

/* -- time and processors --------------------------------------------------------------------- */

static uint64_t sum_ns(const FILETIME *a, const FILETIME *b)
{
	uint64_t x = (uint64_t)a->dwHighDateTime << 32 | a->dwLowDateTime;
	uint64_t y = (uint64_t)b->dwHighDateTime << 32 | b->dwLowDateTime;

	return (x + y) * 100;
}

uint64_t sys_process_cpu(void)
{
	FILETIME made, ended, kernel, user;

	if (!GetProcessTimes(GetCurrentProcess(), &made, &ended, &kernel, &user))
		return 0;
	return sum_ns(&kernel, &user);
}

uint64_t sys_thread_cpu(void)
{
	FILETIME made, ended, kernel, user;

	if (!GetThreadTimes(GetCurrentThread(), &made, &ended, &kernel, &user))
		return 0;
	return sum_ns(&kernel, &user);
}

void sys_sleep_exactly(void)
{
	/* a waitable timer is as exact as it gets */
}

/* Exact to the millisecond and better since Windows 10 1803; else to a tick of the system, 15.6 ms. */
static HANDLE exact_timer(void)
{
	HANDLE timer = CreateWaitableTimerExW(NULL, NULL,
					      CREATE_WAITABLE_TIMER_MANUAL_RESET |
						      CREATE_WAITABLE_TIMER_HIGH_RESOLUTION,
					      TIMER_ALL_ACCESS);

	return timer != NULL ? timer : CreateWaitableTimerW(NULL, TRUE, NULL);
}

void sys_sleep(uint64_t ns)
{
	HANDLE timer = exact_timer();
	LARGE_INTEGER due = {.QuadPart = -(LONGLONG)(ns / 100 + 1)};

	if (timer == NULL || !SetWaitableTimer(timer, &due, 0, NULL, NULL, FALSE) ||
	    WaitForSingleObject(timer, INFINITE) != WAIT_OBJECT_0)
		Sleep((DWORD)(ns / 1000000 + 1));
	if (timer != NULL)
		CloseHandle(timer);
}

/* Numbers within the processor group of this process: up to 64, what an affinity mask holds. */
uint32_t sys_cpus(uint16_t *list)
{
	DWORD_PTR mine, all;
	uint32_t n = 0;
	uint16_t i;

	if (!GetProcessAffinityMask(GetCurrentProcess(), &mine, &all))
		return 0;
	for (i = 0; i < 8 * sizeof mine; i++)
		if ((mine >> i & 1) != 0)
			list[n++] = i;
	return n;
}

int sys_pin_thread(uint32_t cpu, char *why)
{
	if (SetThreadAffinityMask(GetCurrentThread(), (DWORD_PTR)1 << cpu) == 0)
		return failed("SetThreadAffinityMask", GetLastError(), why);
	return 1;
}

/* Threads do not inherit a mask here, processes do. */
int sys_pin_all(uint32_t cpu, char *why)
{
	if (!SetProcessAffinityMask(GetCurrentProcess(), (DWORD_PTR)1 << cpu))
		return failed("SetProcessAffinityMask", GetLastError(), why);
	return 1;
}

void sys_unpin_thread(const uint16_t *cpus, uint32_t n)
{
	DWORD_PTR mask = 0;
	uint32_t i;

	for (i = 0; i < n; i++)
		mask |= (DWORD_PTR)1 << cpus[i];
	(void)SetThreadAffinityMask(GetCurrentThread(), mask);
}

static DWORD pin(DWORD id, uint32_t cpu)
{
	HANDLE thread = OpenThread(THREAD_SET_INFORMATION | THREAD_QUERY_INFORMATION, FALSE, id);
	DWORD error = 0;

	if (thread == NULL) /* ERROR_INVALID_PARAMETER: it has ended meanwhile */
		return GetLastError() == ERROR_INVALID_PARAMETER ? 0 : GetLastError();
	if (SetThreadAffinityMask(thread, (DWORD_PTR)1 << cpu) == 0)
		error = GetLastError();
	CloseHandle(thread);
	return error;
}

int sys_pin_others(uint32_t cpu, char *why)
{
	HANDLE all = CreateToolhelp32Snapshot(TH32CS_SNAPTHREAD, 0);
	THREADENTRY32 t = {.dwSize = sizeof t};
	DWORD error = 0;
	BOOL more;

	if (all == INVALID_HANDLE_VALUE)
		return failed("list of threads", GetLastError(), why);
	for (more = Thread32First(all, &t); more && error == 0; more = Thread32Next(all, &t))
		if (t.th32OwnerProcessID == GetCurrentProcessId() &&
		    t.th32ThreadID != GetCurrentThreadId())
			error = pin(t.th32ThreadID, cpu);
	CloseHandle(all);
	return error == 0 || failed("SetThreadAffinityMask", error, why);
}

/* -- threads --------------------------------------------------------------------------------- */

static DWORD WINAPI run_thread(void *arg)
{
	sys_thread *t = arg;

	t->run(t->arg);
	return 0;
}

int sys_thread_start(sys_thread *t, void (*run)(void *arg), void *arg, char *why)
{
	t->run = run;
	t->arg = arg;
	t->handle[0] = (intptr_t)CreateThread(NULL, 0, run_thread, t, 0, NULL);
	return t->handle[0] != 0 || failed("CreateThread", GetLastError(), why);
}

void sys_thread_join(sys_thread *t)
{
	(void)WaitForSingleObject((HANDLE)t->handle[0], INFINITE);
	CloseHandle((HANDLE)t->handle[0]);
}

int sys_is_terminal(void)
{
	DWORD mode;

	return GetConsoleMode(GetStdHandle(STD_ERROR_HANDLE), &mode) != 0;
}
