/* tests/proc_windows.c - see proc.h: this program again, with pipes for its standard input and output.
 *
 * The function to run is its distance from the program's image, which is the same in every process of it. */
#include "proc.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <windows.h>

#include <tlhelp32.h>
#include <viaduct/app/base.h>

enum { SOON_MS = 20000, KILLED_CODE = 0x4B494C4C };

struct order {
	uint64_t fn;
	uint32_t len;
	_Alignas(16) char arg[PROC_ARG_MAX];
};

/* -- numbers of functions ---------------------------------------------------------------------- */

uint64_t proc_number(proc_fn *fn)
{
	return (uint64_t)((uintptr_t)fn - (uintptr_t)GetModuleHandleA(NULL));
}

proc_fn *proc_function(uint64_t number)
{
	return (proc_fn *)((uintptr_t)GetModuleHandleA(NULL) + (uintptr_t)number);
}

/* -- the other process ------------------------------------------------------------------------- */

static int read_all(HANDLE h, void *to, DWORD len)
{
	DWORD n = 0, got;

	for (; n < len; n += got)
		if (!ReadFile(h, (char *)to + n, len - n, &got, NULL) || got == 0)
			return 0;
	return 1;
}

static int obey(const char *word)
{
	static struct order o;
	int (*fn)(const void *arg);

	(void)word;
	if (!read_all(GetStdHandle(STD_INPUT_HANDLE), &o, sizeof o))
		return 92;
	fn = (int (*)(const void *))proc_function(o.fn);
	return fn(o.arg);
}

SHIM_BEFORE_MAIN(offer)
{
	shim_call = obey;
}

void proc_say(char c)
{
	DWORD n;

	if (!WriteFile(GetStdHandle(STD_OUTPUT_HANDLE), &c, 1, &n, NULL) || n != 1)
		ExitProcess(91);
}

char proc_listen(void)
{
	char c = 0;

	if (!read_all(GetStdHandle(STD_INPUT_HANDLE), &c, 1))
		ExitProcess(92);
	return c;
}

_Noreturn void proc_die(void)
{
	(void)TerminateProcess(GetCurrentProcess(), KILLED_CODE);
	ExitProcess(93);
}

/* -- the test ---------------------------------------------------------------------------------- */

static HANDLE handle(intptr_t h)
{
	return (HANDLE)h;
}

/* A pipe of which the other process inherits one end. */
static void make_pipe(HANDLE *rd, HANDLE *wr, int inherits_read)
{
	SECURITY_ATTRIBUTES all = {sizeof all, NULL, TRUE};

	cr_assert(CreatePipe(rd, wr, &all, 0) != 0, "CreatePipe: error %lu", GetLastError());
	cr_assert(SetHandleInformation(inherits_read ? *wr : *rd, HANDLE_FLAG_INHERIT, 0) != 0);
}

/* Under load wine now and then answers "internal error"; that is not the test's. */
static int create(const char *program, char *command, STARTUPINFOA *start, PROCESS_INFORMATION *out)
{
	int tries;

	for (tries = 0; tries < 5; tries++) {
		if (CreateProcessA(program, command, NULL, NULL, TRUE, 0, NULL, NULL, start, out))
			return 1;
		if (GetLastError() != ERROR_INTERNAL_ERROR)
			return 0;
	}
	return 0;
}

void proc_start(proc *p, int (*fn)(const void *arg), const void *arg, size_t len)
{
	static struct order o;
	char program[MAX_PATH], command[MAX_PATH + 32];
	STARTUPINFOA start = {.cb = sizeof start, .dwFlags = STARTF_USESTDHANDLES};
	PROCESS_INFORMATION got;
	HANDLE ears, mouth;
	DWORD n;

	cr_assert_leq(len, sizeof o.arg);
	make_pipe(&ears, &start.hStdOutput, 0);
	make_pipe(&start.hStdInput, &mouth, 1);
	start.hStdError = GetStdHandle(STD_ERROR_HANDLE);
	GetModuleFileNameA(NULL, program, sizeof program);
	snprintf(command, sizeof command, "\"%s\" --call proc", program);
	fflush(NULL);
	cr_assert(create(program, command, &start, &got), "CreateProcess: error %lu",
		  GetLastError());
	CloseHandle(got.hThread);
	CloseHandle(start.hStdInput);
	CloseHandle(start.hStdOutput);
	o.fn = proc_number((proc_fn *)fn);
	o.len = (uint32_t)len;
	if (len != 0)
		memcpy(o.arg, arg, len);
	cr_assert(WriteFile(mouth, &o, sizeof o, &n, NULL) != 0 && n == sizeof o);
	*p = (proc){.id = (intptr_t)got.hProcess, .ears = (intptr_t)ears, .mouth = (intptr_t)mouth};
}

int proc_hear(proc *p)
{
	via_time end = via_deadline(SOON_MS * UINT64_C(1000000));
	unsigned char c;
	DWORD n = 0;

	while (PeekNamedPipe(handle(p->ears), NULL, 0, NULL, &n, NULL) != 0 && n == 0) {
		cr_assert_lt(via_now(), end, "the other process says nothing");
		WaitForSingleObject(handle(p->id), 1);
	}
	return n != 0 && ReadFile(handle(p->ears), &c, 1, &n, NULL) != 0 && n == 1 ? c : -1;
}

void proc_tell(proc *p, char c)
{
	DWORD n;

	cr_assert(WriteFile(handle(p->mouth), &c, 1, &n, NULL) != 0 && n == 1);
}

void proc_kill(proc *p)
{
	cr_assert(TerminateProcess(handle(p->id), KILLED_CODE) != 0 ||
			  WaitForSingleObject(handle(p->id), 0) == WAIT_OBJECT_0,
		  "TerminateProcess: error %lu", GetLastError());
}

/* SuspendThread() only asks; GetThreadContext() has to wait until it has happened. */
static void stop_thread(DWORD id, int stop)
{
	CONTEXT c = {.ContextFlags = CONTEXT_CONTROL};
	HANDLE t = OpenThread(THREAD_SUSPEND_RESUME | THREAD_GET_CONTEXT, FALSE, id);

	if (t == NULL)
		return; /* it has ended meanwhile */
	if (stop && SuspendThread(t) != (DWORD)-1)
		(void)GetThreadContext(t, &c);
	if (!stop)
		(void)ResumeThread(t);
	CloseHandle(t);
}

static void each_thread(const proc *p, int stop)
{
	THREADENTRY32 e = {.dwSize = sizeof e};
	HANDLE all = CreateToolhelp32Snapshot(TH32CS_SNAPTHREAD, 0);
	DWORD pid = GetProcessId(handle(p->id));
	BOOL more;

	cr_assert_neq(all, INVALID_HANDLE_VALUE);
	for (more = Thread32First(all, &e); more; more = Thread32Next(all, &e))
		if (e.th32OwnerProcessID == pid)
			stop_thread(e.th32ThreadID, stop);
	CloseHandle(all);
}

void proc_stop(proc *p)
{
	each_thread(p, 1);
}

void proc_continue(proc *p)
{
	each_thread(p, 0);
}

int proc_has_ended(const proc *p)
{
	return WaitForSingleObject(handle(p->id), 0) == WAIT_OBJECT_0;
}

int proc_wait(proc *p, via_time deadline)
{
	DWORD code = 0;

	while (WaitForSingleObject(handle(p->id), 10) != WAIT_OBJECT_0)
		cr_assert_lt(via_now(), deadline, "the other process does not end");
	cr_assert(GetExitCodeProcess(handle(p->id), &code) != 0);
	CloseHandle(handle(p->id));
	CloseHandle(handle(p->ears));
	CloseHandle(handle(p->mouth));
	return code == KILLED_CODE ? PROC_KILLED : (int)code;
}
