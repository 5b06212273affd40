/* tests/server/raw_windows.c - see raw.h: a message pipe (docs/wire.md section 11). */
#include "raw.h"
#include <windows.h>

static uint64_t fnv1a(const char *s)
{
	uint64_t h = UINT64_C(0xCBF29CE484222325);

	for (; *s != '\0'; s++)
		h = (h ^ (uint8_t)*s) * UINT64_C(0x100000001B3);
	return h;
}

raw raw_dial(const char *run_dir, const char *service, int *busy)
{
	DWORD mode = PIPE_READMODE_MESSAGE;
	char name[256];
	HANDLE h;

	snprintf(name, sizeof name, "\\\\.\\pipe\\netipc-%016llx-%s",
		 (unsigned long long)fnv1a(run_dir), service);
	h = CreateFileA(name, GENERIC_READ | GENERIC_WRITE, 0, NULL, OPEN_EXISTING,
			FILE_FLAG_OVERLAPPED, NULL);
	*busy = GetLastError() == ERROR_PIPE_BUSY;
	if (h == INVALID_HANDLE_VALUE)
		return RAW_NONE;
	if (SetNamedPipeHandleState(h, &mode, NULL, NULL))
		return (raw)h;
	CloseHandle(h); /* the server was faster */
	*busy = 1;
	return RAW_NONE;
}

void raw_close(raw c)
{
	CloseHandle((HANDLE)c);
}

/* Waits ms for what has begun, then takes it back. The error, or 0. */
static DWORD finish(HANDLE h, OVERLAPPED *o, DWORD ms, DWORD *n)
{
	if (WaitForSingleObject(o->hEvent, ms) != WAIT_OBJECT_0)
		(void)CancelIoEx(h, o);
	return GetOverlappedResult(h, o, n, TRUE) ? 0 : GetLastError();
}

static int send_within(raw c, const void *p, size_t len, DWORD ms)
{
	OVERLAPPED o = {.hEvent = CreateEventW(NULL, TRUE, FALSE, NULL)};
	DWORD err = 0, n;

	if (!WriteFile((HANDLE)c, p, (DWORD)len, NULL, &o))
		err = GetLastError();
	if (err == ERROR_IO_PENDING)
		err = finish((HANDLE)c, &o, ms, &n);
	CloseHandle(o.hEvent);
	return err == 0 ? 1 : err == ERROR_OPERATION_ABORTED ? 0 : -1;
}

int raw_try_send(raw c, const void *p, size_t len)
{
	return send_within(c, p, len, 0);
}

int raw_send(raw c, const void *p, size_t len)
{
	return send_within(c, p, len, (DWORD)(RIG_SOON / RIG_MS));
}

int raw_recv(raw c, void *p, size_t cap)
{
	OVERLAPPED o = {.hEvent = CreateEventW(NULL, TRUE, FALSE, NULL)};
	DWORD err = 0, n = 0;

	if (!ReadFile((HANDLE)c, p, (DWORD)cap, NULL, &o))
		err = GetLastError();
	if (err == 0 || err == ERROR_IO_PENDING)
		err = finish((HANDLE)c, &o, (DWORD)(RIG_SOON / RIG_MS), &n);
	CloseHandle(o.hEvent);
	if (err == ERROR_BROKEN_PIPE || err == ERROR_PIPE_NOT_CONNECTED || err == ERROR_NO_DATA)
		return 0;
	return err == 0 ? (int)n : -1;
}
