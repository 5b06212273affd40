/* transports/loop/loop_windows.c - events are manual-reset event objects.
 *
 * Threads: any. Syscalls: CreateEvent, SetEvent, ResetEvent, CloseHandle. Peer: this process.
 * Wire layout: none.
 */
#include "loop.h"
#include <stdio.h>
#include <windows.h>

static HANDLE handle_of(int64_t event)
{
	return (HANDLE)(intptr_t)event;
}

via_rc loop_event_open(const struct loop_self *s, int64_t *out)
{
	int64_t err = s->gate == NULL ? 0 : s->gate->deny(s->gate->arg, "CreateEvent");
	HANDLE e = NULL;

	if (err == 0) {
		e = CreateEventW(NULL, TRUE, FALSE, NULL);
		err = e == NULL ? (int64_t)GetLastError() : 0;
	}
	if (err != 0)
		return s->h->fail(s->h->ctx, VIA_LIMIT, err, "CreateEvent");
	*out = (int64_t)(intptr_t)e;
	return VIA_OK;
}

void loop_event_close(int64_t event)
{
	if (event != LOOP_NO_EVENT)
		CloseHandle(handle_of(event));
}

void loop_event_set(int64_t event)
{
	SetEvent(handle_of(event));
}

void loop_event_clear(int64_t event)
{
	ResetEvent(handle_of(event));
}

void loop_event_object(int64_t event, via_waitobj *out)
{
	out->kind = VIA_WAIT_WIN;
	out->handle = event;
}

int loop_handle_ok(const via_handle *h)
{
	return h->kind == VIA_H_WIN && h->value != 0;
}

void loop_handle_close(const via_handle *h)
{
	CloseHandle(handle_of(h->value));
}

void loop_self_facts(via_peer *out)
{
	out->valid = VIA_PEER_PID | VIA_PEER_LABEL;
	out->pid = GetCurrentProcessId();
	out->uid = 0;
	out->gid = 0;
	(void)snprintf(out->label, sizeof out->label, "pid %lu, this process",
		       (unsigned long)GetCurrentProcessId());
}

void loop_yield(void)
{
	SwitchToThread();
}
