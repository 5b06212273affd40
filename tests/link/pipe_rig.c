/* tests/link/pipe_rig.c - see pipe_rig.h. */
#include "pipe_rig.h"
#include <stdlib.h>

#define DIR_VARIABLE "VIA_TEST_PIPE_DIR"

const char *pipe_text(const rig *r)
{
	static char text[PIPE_TEXT_MAX];
	uint64_t h = 14695981039346656037u;
	const char *p;

	for (p = r->dir; *p != '\0'; p++)
		h = (h ^ (uint8_t)*p) * 1099511628211u;
	snprintf(text, sizeof text, "\\\\.\\pipe\\netipc-%016llx-svc", (unsigned long long)h);
	return text;
}

HANDLE pipe_raw_server(const rig *r)
{
	return CreateNamedPipeA(pipe_text(r), PIPE_ACCESS_DUPLEX | FILE_FLAG_FIRST_PIPE_INSTANCE,
				PIPE_TYPE_MESSAGE | PIPE_READMODE_MESSAGE | PIPE_WAIT,
				PIPE_UNLIMITED_INSTANCES, PIPE_ROOM, PIPE_ROOM, 0, NULL);
}

void pipe_raw_accept(HANDLE h)
{
	cr_assert(ConnectNamedPipe(h, NULL) || GetLastError() == ERROR_PIPE_CONNECTED);
}

HANDLE pipe_raw_client(const rig *r)
{
	HANDLE h = CreateFileA(pipe_text(r), GENERIC_READ | GENERIC_WRITE, 0, NULL, OPEN_EXISTING,
			       0, NULL);
	DWORD mode = PIPE_READMODE_MESSAGE;

	cr_assert(h != INVALID_HANDLE_VALUE, "error %lu", GetLastError());
	cr_assert(SetNamedPipeHandleState(h, &mode, NULL, NULL));
	return h;
}

int pipe_raw_put(HANDLE h, const void *data, uint32_t len)
{
	DWORD n = 0;

	return WriteFile(h, data, len, &n, NULL) && n == len;
}

int pipe_raw_get(HANDLE h, void *data, uint32_t cap)
{
	DWORD n = 0;

	return ReadFile(h, data, cap, &n, NULL) ? (int)n : -1;
}

uint32_t pipe_raw_unread(HANDLE h)
{
	DWORD n = 0;

	cr_assert(PeekNamedPipe(h, NULL, 0, NULL, &n, NULL));
	return n;
}

uint32_t pipe_fill_up(via_link *l, uint32_t len)
{
	uint8_t *data = malloc(len);
	uint32_t n = 0;
	via_rc rc;

	cr_assert_not_null(data);
	for (;;) {
		rig_fill(data, len, n);
		rc = rig_send_once(l, data, len);
		if (rc == VIA_AGAIN)
			break;
		cr_assert_eq(rc, VIA_OK, "%d", rc);
		cr_assert_lt(++n, 100000);
	}
	free(data);
	return n;
}

void pipe_in_a_thread(void (*fn)(void *), void *arg)
{
	rig_thread_join(rig_thread_start(fn, arg));
}

HANDLE pipe_child(const char *test, const char *dir)
{
	STARTUPINFOA si = {.cb = sizeof si};
	PROCESS_INFORMATION pi;
	char program[512], command[900];

	cr_assert_gt(GetModuleFileNameA(NULL, program, sizeof program), 0);
	snprintf(command, sizeof command, "\"%s\" --worker %s", program, test);
	cr_assert(SetEnvironmentVariableA(DIR_VARIABLE, dir));
	cr_assert(CreateProcessA(program, command, NULL, NULL, FALSE, 0, NULL, NULL, &si, &pi));
	CloseHandle(pi.hThread);
	return pi.hProcess;
}

void pipe_child_kill(HANDLE child)
{
	cr_assert(TerminateProcess(child, 9));
	cr_assert_eq(WaitForSingleObject(child, 10000), WAIT_OBJECT_0);
	CloseHandle(child);
}

const char *pipe_child_dir(void)
{
	static char dir[64];

	cr_assert_gt(GetEnvironmentVariableA(DIR_VARIABLE, dir, sizeof dir), 0);
	return dir;
}
