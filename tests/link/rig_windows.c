/* tests/link/rig_windows.c - Windows side of the rig. */
#include "rig.h"
#include "rig_os.h"
#include <stdlib.h>
#include <windows.h>

enum { MAX_PATH_UNITS = 4096 };

const char *rig_dir_parent;

void *rig_image_open(const char *file, char *why, size_t cap)
{
	wchar_t path[MAX_PATH_UNITS];
	wchar_t *p;
	HMODULE image = NULL;

	if (MultiByteToWideChar(CP_UTF8, 0, file, -1, path, MAX_PATH_UNITS) > 0) {
		for (p = path; *p != L'\0'; p++)
			if (*p == L'/')
				*p = L'\\';
		image = LoadLibraryW(path);
	}
	if (image == NULL)
		snprintf(why, cap, "expected a file that can be loaded, found error %lu",
			 GetLastError());
	return (void *)image;
}

void (*rig_image_symbol(void *image, const char *name))(void)
{
	FARPROC p = GetProcAddress((HMODULE)image, name);
	void (*fn)(void) = NULL;

	memcpy(&fn, &p, sizeof fn);
	return fn;
}

/* No transport of this system keeps files: a name is enough. */
void rig_dir_make(char *buf, size_t cap)
{
	snprintf(buf, cap, "viaduct-link-%lu", (unsigned long)GetCurrentProcessId());
}

void rig_dir_remove(const char *dir)
{
	(void)dir;
}

uint32_t rig_files(const char *dir)
{
	DWORD a = GetFileAttributesA(dir);

	return a == INVALID_FILE_ATTRIBUTES ? 0 : 1;
}

static void nothing(void *arg)
{
	(void)arg;
}

void rig_system_warm_up(void)
{
	HANDLE h = CreateEventA(NULL, TRUE, FALSE, "Local\\viaduct-link-warm-up");

	if (h != NULL) /* the directory of named objects stays open */
		CloseHandle(h);
	rig_thread_join(rig_thread_start(nothing, NULL));
	(void)rig_now();
}

via_time rig_now(void)
{
	LARGE_INTEGER f, t;

	QueryPerformanceFrequency(&f);
	QueryPerformanceCounter(&t);
	return (via_time)(t.QuadPart / f.QuadPart) * 1000000000u +
	       (via_time)(t.QuadPart % f.QuadPart) * 1000000000u / (via_time)f.QuadPart;
}

int rig_sleep(const via_waitobj *o, via_time deadline)
{
	return rig_sleep_any(o, 1, deadline);
}

static int word_changed(const via_waitobj *o)
{
	return *o->word != o->expected; /* the link's own loads order what it announces */
}

/* Nobody wakes a word here: it is looked at again and again, after a while every millisecond, while the
 * handles are slept on. */
int rig_sleep_any(const via_waitobj *o, uint32_t n, via_time deadline)
{
	const via_waitobj *word = NULL;
	HANDLE h[2];
	DWORD handles = 0;
	uint32_t looks = 0, i;

	cr_assert_leq(n, 2);
	for (i = 0; i < n; i++) {
		if (o[i].kind == VIA_WAIT_WORD)
			word = &o[i];
		if (o[i].kind == VIA_WAIT_WIN)
			h[handles++] = (HANDLE)(intptr_t)o[i].handle;
	}
	if (handles == 0)
		h[handles++] = GetCurrentThread(); /* never ready while it runs */
	for (;;) {
		via_time now = rig_now();
		via_time left = now >= deadline ? 0 : deadline - now;
		DWORD ms = (DWORD)((left + RIG_MS - 1) / RIG_MS);

		if (word != NULL && word_changed(word))
			return 1;
		if (word != NULL && ms != 0)
			ms = ++looks < 1000 ? 0 : 1;
		if (word != NULL && ms == 0)
			SwitchToThread();
		if (WaitForMultipleObjects(handles, h, FALSE, ms) < WAIT_OBJECT_0 + handles)
			return 1;
		if (left == 0)
			return 0;
	}
}

void rig_handle_close(const via_handle *h)
{
	CloseHandle((HANDLE)(intptr_t)h->value);
}

void rig_signal(const via_waitobj *o)
{
	cr_assert(SetEvent((HANDLE)(intptr_t)o->handle) != 0);
}

uint64_t rig_process_id(void)
{
	return GetCurrentProcessId();
}

/* Valid handles among the first 1024, which are given out from the lowest free number upwards; wine does
 * not implement GetProcessHandleCount(). */
uint32_t rig_descriptors(void)
{
	uintptr_t h;
	uint32_t n = 0;
	DWORD flags;

	for (h = 4; h <= 4096; h += 4)
		n += GetHandleInformation((HANDLE)h, &flags) != 0;
	return n;
}

/* Views of mapped sections that are not images of programs: shared memory, and files. */
uint32_t rig_mappings(void)
{
	MEMORY_BASIC_INFORMATION m;
	const char *p = NULL;
	const void *last = NULL;
	uint32_t n = 0;

	while (VirtualQuery(p, &m, sizeof m) == sizeof m) {
		if (m.State != MEM_FREE && m.Type == MEM_MAPPED && m.AllocationBase != last) {
			last = m.AllocationBase;
			n++;
		}
		p = (const char *)m.BaseAddress + m.RegionSize;
	}
	return n;
}

/* -- threads ----------------------------------------------------------------------------------- */

struct rig_thread {
	HANDLE id;
	void (*fn)(void *);
	void *arg;
};

static DWORD WINAPI thread_main(void *p)
{
	rig_thread *t = p;

	t->fn(t->arg);
	return 0;
}

rig_thread *rig_thread_start(void (*fn)(void *), void *arg)
{
	rig_thread *t = malloc(sizeof *t);

	cr_assert_not_null(t);
	t->fn = fn;
	t->arg = arg;
	t->id = CreateThread(NULL, 0, thread_main, t, 0, NULL);
	cr_assert_not_null(t->id);
	return t;
}

void rig_thread_join(rig_thread *t)
{
	WaitForSingleObject(t->id, INFINITE);
	CloseHandle(t->id);
	free(t);
}

/* -- handles: the write end of a pipe is given away -------------------------------------------- */

void rig_token_make(rig_token *t)
{
	HANDLE rd, wr;

	cr_assert(CreatePipe(&rd, &wr, NULL, 0) != 0);
	t->give = (via_handle){.value = (int64_t)(intptr_t)wr, .kind = VIA_H_WIN};
	t->keep = (int64_t)(intptr_t)rd;
}

int rig_token_works(const rig_token *t, const via_handle *got)
{
	HANDLE wr = (HANDLE)(intptr_t)got->value;
	char c = 0;
	DWORD n = 0;
	int ok = got->kind == VIA_H_WIN && WriteFile(wr, "x", 1, &n, NULL) != 0 && n == 1 &&
		 ReadFile((HANDLE)(intptr_t)t->keep, &c, 1, &n, NULL) != 0 && c == 'x';

	CloseHandle(wr);
	return ok;
}

int rig_token_is_gone(const rig_token *t)
{
	DWORD n;

	return !PeekNamedPipe((HANDLE)(intptr_t)t->keep, NULL, 0, NULL, &n, NULL) &&
	       GetLastError() == ERROR_BROKEN_PIPE;
}

void rig_token_done(rig_token *t)
{
	CloseHandle((HANDLE)(intptr_t)t->keep);
}
