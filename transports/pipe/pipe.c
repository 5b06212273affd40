/* transports/pipe/pipe.c - Windows named pipe baseline: module, dial, errors.
 *
 * Threads: none. Syscalls: named pipes with overlapped I/O, events, tokens. Peer: any process that
 * the pipe's security descriptor lets in; nothing it sends is interpreted here. Wire layout: none,
 * one pipe message is one record (docs/wire.md section 11).
 */
#include "pipe.h"
#include <stdarg.h>
#include <stdio.h>

/* -- errors ------------------------------------------------------------------------------------ */

via_rc pipe_rc_of(DWORD err)
{
	switch (err) {
	case ERROR_ACCESS_DENIED:
	case ERROR_PRIVILEGE_NOT_HELD:
		return VIA_PERM;
	case ERROR_TOO_MANY_OPEN_FILES:
	case ERROR_NO_SYSTEM_RESOURCES:
	case ERROR_NOT_ENOUGH_QUOTA:
	case ERROR_WORKING_SET_QUOTA:
	case ERROR_NO_MORE_USER_HANDLES:
		return VIA_LIMIT;
	case ERROR_NOT_ENOUGH_MEMORY:
	case ERROR_OUTOFMEMORY:
	case ERROR_COMMITMENT_LIMIT:
		return VIA_NOMEM;
	default:
		return VIA_IO;
	}
}

via_rc pipe_failf(const struct pipe_self *s, via_rc rc, DWORD err, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	text[sizeof text - 1] = '\0';
	return s->h->fail(s->h->ctx, rc, (int64_t)err, text);
}

via_rc pipe_fail(const struct pipe_self *s, DWORD err, const char *call, const char *what)
{
	return pipe_failf(s, pipe_rc_of(err), err, "%s %s", call, what);
}

DWORD pipe_event(const struct pipe_self *s, HANDLE *out)
{
	DWORD err = pipe_deny(s, "CreateEventW");
	HANDLE h;

	if (err != 0)
		return err;
	h = CreateEventW(NULL, TRUE, FALSE, NULL);
	if (h == NULL)
		return GetLastError();
	*out = h;
	return 0;
}

/* -- dial -------------------------------------------------------------------------------------- */

static via_rc no_answer(const struct pipe_self *s, DWORD err, const wchar_t *name)
{
	char text[PIPE_NAME_MAX];

	pipe_name_text(name, text);
	switch (err) {
	case ERROR_PIPE_BUSY:
		return VIA_AGAIN; /* every instance is taken: the server's queue is full */
	case ERROR_FILE_NOT_FOUND:
	case ERROR_PATH_NOT_FOUND:
		return pipe_failf(s, VIA_UNREACH, err, "%s: nobody listens there", text);
	case ERROR_ACCESS_DENIED:
		return pipe_failf(s, VIA_PERM, err, "%s: its owner does not let this user in",
				  text);
	default:
		return pipe_fail(s, err, "CreateFileW", text);
	}
}

/* The server may learn who we are, and do nothing in our name. */
static DWORD open_pipe(const struct pipe_self *s, const wchar_t *name, HANDLE *out)
{
	DWORD err = pipe_deny(s, "CreateFileW");
	HANDLE h;

	if (err != 0)
		return err;
	h = CreateFileW(name, GENERIC_READ | GENERIC_WRITE, 0, NULL, OPEN_EXISTING,
			FILE_FLAG_OVERLAPPED | SECURITY_SQOS_PRESENT | SECURITY_IDENTIFICATION,
			NULL);
	if (h == INVALID_HANDLE_VALUE)
		return GetLastError();
	*out = h;
	return 0;
}

static via_rc VIA_CALL pipe_dial(void *self, const via_address *a, via_link **out)
{
	struct pipe_self *s = self;
	struct pipe_config cfg = s->defaults;
	DWORD mode = PIPE_READMODE_MESSAGE;
	wchar_t name[PIPE_NAME_MAX];
	HANDLE h = NULL;
	via_rc rc;
	DWORD err;

	pipe_reap(s, 0);
	rc = pipe_config_read(s, a->config, &cfg);
	if (rc == VIA_OK)
		rc = pipe_name_make(s, a, name);
	if (rc != VIA_OK)
		return rc;
	err = open_pipe(s, name, &h);
	if (err != 0)
		return no_answer(s, err, name);
	err = pipe_deny(s, "SetNamedPipeHandleState");
	if (err == 0 && !SetNamedPipeHandleState(h, &mode, NULL, NULL))
		err = GetLastError();
	if (err != 0) {
		CloseHandle(h);
		return pipe_fail(s, err, "SetNamedPipeHandleState", "to read messages");
	}
	return pipe_link_make(s, h, NULL, cfg.packet, out);
}

static via_rc VIA_CALL pipe_self_probe(void *self)
{
	(void)self;
	return 100; /* every Windows has named pipes */
}

/* -- module ------------------------------------------------------------------------------------ */

static via_rc VIA_CALL pipe_init(const via_host *h, const char *config, void **out)
{
	struct pipe_self *s = h->alloc(h->ctx, sizeof *s, _Alignof(struct pipe_self));
	via_rc rc;

	if (s == NULL)
		return h->fail(h->ctx, VIA_NOMEM, 0, "state of the pipe transport");
	s->h = h;
	s->gate = h->get_ext(h->ctx, VIA_EXT_SYSGATE);
	s->defaults.backlog = PIPE_BACKLOG;
	s->defaults.packet = PIPE_PACKET;
	s->defaults.access = PIPE_ACCESS_USER;
	InitializeSRWLock(&s->lock);
	rc = pipe_config_read(s, config, &s->defaults);
	if (rc != VIA_OK) {
		h->free(h->ctx, s);
		return rc;
	}
	*out = s;
	return VIA_OK;
}

static void VIA_CALL pipe_fini(void *self)
{
	struct pipe_self *s = self;

	pipe_reap(s, 1);
	s->h->free(s->h->ctx, s);
}

static const via_transport pipe_transport = {
	.struct_size = sizeof(via_transport),
	.roles = VIA_ROLE_BASELINE,
	.profiles = 0x1,
	.caps = VIA_CAP_RELIABLE | VIA_CAP_PIPELINE | VIA_CAP_PEERCRED | VIA_CAP_HUP |
		VIA_CAP_POLLABLE,
	.schemes = "pipe,npipe",
	.probe = pipe_self_probe,
	.listen = pipe_listen,
	.dial = pipe_dial,
};

static const via_component pipe_components[] = {
	{sizeof(via_component), VIA_KIND_TRANSPORT, "org.viaduct.pipe", 1, 100, &pipe_transport},
};

static const via_lifecycle pipe_life = {
	.struct_size = sizeof(via_lifecycle),
	.init = pipe_init,
	.fini = pipe_fini,
};

static const via_module_desc pipe_desc =
	VIA_MODULE_DESC("org.viaduct.pipe", "1.0.0", "Apache-2.0", VIA_MOD_UNLOADABLE,
			pipe_components, &pipe_life);

VIA_MODULE(pipe, pipe_desc,
	   "id=org.viaduct.pipe\0"
	   "version=1.0.0\0"
	   "provides=transport org.viaduct.pipe/1 score=100 roles=baseline profiles=0x1 "
	   "schemes=pipe,npipe\0")
