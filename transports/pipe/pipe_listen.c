/* transports/pipe/pipe_listen.c - owns a name, keeps instances of it waiting for clients.
 *
 * Threads: none. Syscalls: CreateNamedPipeW, ConnectNamedPipe, WaitNamedPipeW,
 * GetNamedPipeHandleState, CancelIoEx. Peer: clients, and other servers that want the same name.
 * Wire layout: none (docs/wire.md section 11).
 *
 * Who owns a name: the first instance is created with FILE_FLAG_FIRST_PIPE_INSTANCE, which fails
 * while anybody has one. Sessions that outlive their listener hold the name too; when they are this
 * module's own a new listener joins them, for then nobody else can have come in between, and the
 * security descriptor is the one that we gave. wine ignores the flag. There it is asked first
 * whether an instance waits (WaitNamedPipe, which does not connect), and counted afterwards.
 *
 * Clients meet instances in the order in which these were created, and so they are looked at: the
 * oldest first, new ones at the end. As each is taken another is made, so there is one waiting at
 * every moment unless as many clients as `backlog` come at once; those get VIA_AGAIN. */
#include "pipe_link.h"
#include <string.h>

struct instance {
	OVERLAPPED o; /* the kernel's while it waits */
	HANDLE h;
	int posted; /* ConnectNamedPipe() has been called, and is under way or has succeeded */
};

struct pipe_listener {
	via_listener base; /* first: the core holds a pointer to this */
	struct pipe_self *self;
	struct pipe_name *name;
	PSECURITY_DESCRIPTOR descriptor;
	HANDLE event; /* of all instances */
	struct pipe_config cfg;
	int claimed; /* the name, among this module's listeners */
	uint32_t n;
	struct instance *waiting[PIPE_BACKLOG_MAX]; /* the oldest first */
};

static struct pipe_listener *listener_of(via_listener *base)
{
	return (struct pipe_listener *)(void *)base;
}

static via_rc name_fail(const struct pipe_listener *l, DWORD err, const char *call)
{
	char text[PIPE_NAME_MAX];

	pipe_name_text(l->name->text, text);
	return pipe_fail(l->self, err, call, text);
}

static via_rc owned(const struct pipe_listener *l, DWORD err)
{
	char text[PIPE_NAME_MAX];

	pipe_name_text(l->name->text, text);
	return pipe_failf(l->self, VIA_EXISTS, err,
			  "%s: another server has this name, or clients of one that has ended",
			  text);
}

/* -- one instance ------------------------------------------------------------------------------ */

static DWORD create(const struct pipe_listener *l, DWORD flags, HANDLE *out)
{
	SECURITY_ATTRIBUTES sa = {.nLength = sizeof sa, .lpSecurityDescriptor = l->descriptor};
	DWORD quota = l->cfg.packet > PIPE_QUOTA_MIN ? l->cfg.packet : PIPE_QUOTA_MIN;
	DWORD err = pipe_deny(l->self, "CreateNamedPipeW");
	HANDLE h;

	if (err != 0)
		return err;
	h = CreateNamedPipeW(l->name->text, PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED | flags,
			     PIPE_TYPE_MESSAGE | PIPE_READMODE_MESSAGE | PIPE_WAIT |
				     PIPE_REJECT_REMOTE_CLIENTS,
			     PIPE_UNLIMITED_INSTANCES, quota, quota, 0, &sa);
	if (h == INVALID_HANDLE_VALUE)
		return GetLastError();
	*out = h;
	return 0;
}

/* A client may be there already, and may even have left: what it said is still to be read. */
static DWORD wait_for_client(struct pipe_listener *l, struct instance *i)
{
	DWORD err = pipe_deny(l->self, "ConnectNamedPipe");

	if (err == 0 && !ConnectNamedPipe(i->h, &i->o))
		err = GetLastError();
	if (err == ERROR_PIPE_CONNECTED || err == ERROR_NO_DATA) {
		pipe_not_begun(&i->o);
		(void)SetEvent(l->event);
		err = 0;
	}
	i->posted = err == 0 || err == ERROR_IO_PENDING;
	if (!i->posted)
		pipe_not_begun(&i->o);
	return i->posted ? 0 : err;
}

/* The kernel lets go of it first. */
static void recall(struct instance *i)
{
	if (i->posted && pipe_flies(&i->o)) {
		(void)CancelIoEx(i->h, &i->o);
		while (pipe_flies(&i->o))
			(void)SwitchToThread();
	}
}

static void discard(struct pipe_listener *l, struct instance *i)
{
	recall(i);
	CloseHandle(i->h);
	pipe_name_drop(l->self, l->name);
	l->self->h->free(l->self->h->ctx, i);
}

static via_rc add_instance(struct pipe_listener *l, DWORD flags)
{
	const via_host *h = l->self->h;
	struct instance *i = h->alloc(h->ctx, sizeof *i, _Alignof(struct instance));
	DWORD err;

	if (i == NULL)
		return h->fail(h->ctx, VIA_NOMEM, 0, "pipe instance");
	i->o.hEvent = l->event;
	err = create(l, flags, &i->h);
	if (err != 0) {
		h->free(h->ctx, i);
		if (flags != 0 && (err == ERROR_ACCESS_DENIED || err == ERROR_PIPE_BUSY))
			return owned(l, err);
		return name_fail(l, err, "CreateNamedPipeW");
	}
	pipe_name_keep(l->self, l->name);
	err = wait_for_client(l, i);
	if (err != 0) {
		discard(l, i);
		return name_fail(l, err, "ConnectNamedPipe");
	}
	l->waiting[l->n++] = i;
	return VIA_OK;
}

/* Takes the instance out of the row. */
static struct instance *take(struct pipe_listener *l, uint32_t at)
{
	struct instance *i = l->waiting[at];

	l->n--;
	memmove(&l->waiting[at], &l->waiting[at + 1], (l->n - at) * sizeof l->waiting[0]);
	return i;
}

/* As many as are asked for; fewer will do while there is one. */
static via_rc refill(struct pipe_listener *l)
{
	via_rc rc = VIA_OK;

	while (rc == VIA_OK && l->n < l->cfg.backlog)
		rc = add_instance(l, 0);
	return l->n != 0 ? VIA_OK : rc;
}

/* -- listener ---------------------------------------------------------------------------------- */

/* The first instance that a client has come to, or NULL. What has been cancelled with the thread that
 * began it begins again; what has failed makes room for a new one. */
static struct instance *find(struct pipe_listener *l)
{
	uint32_t at = 0;

	while (at < l->n) {
		struct instance *i = l->waiting[at];
		DWORD status = (DWORD)pipe_status(&i->o);

		if (status == PIPE_STATUS_PENDING ||
		    (status == PIPE_STATUS_CANCELLED && wait_for_client(l, i) == 0 &&
		     pipe_flies(&i->o)))
			at++;
		else if (i->posted && (DWORD)pipe_status(&i->o) == 0)
			return take(l, at);
		else
			discard(l, take(l, at));
	}
	return NULL;
}

static int somebody_came(const struct pipe_listener *l)
{
	uint32_t at;

	for (at = 0; at < l->n; at++)
		if (!pipe_flies(&l->waiting[at]->o))
			return 1;
	return 0;
}

/* The event tells whether somebody came. To begin to wait clears it, so this comes last. */
static void settle(struct pipe_listener *l)
{
	(void)ResetEvent(l->event);
	atomic_thread_fence(memory_order_seq_cst);
	if (somebody_came(l))
		(void)SetEvent(l->event);
}

static via_rc VIA_CALL pipe_accept(via_listener *base, via_link **out)
{
	struct pipe_listener *l = listener_of(base);
	struct instance *i;
	HANDLE h;
	via_rc rc;

	pipe_reap(l->self, 0);
	i = find(l);
	rc = refill(l); /* before anything else: nobody shall find the name without an instance */
	settle(l);
	if (i == NULL)
		return rc == VIA_OK ? VIA_AGAIN : rc;
	h = i->h;
	l->self->h->free(l->self->h->ctx, i);
	return pipe_link_make(l->self, h, l->name, l->cfg.packet, out);
}

static via_rc VIA_CALL pipe_listener_arm(via_listener *base, via_waitobj *out)
{
	struct pipe_listener *l = listener_of(base);
	via_rc rc = refill(l);

	if (rc != VIA_OK)
		return rc;
	settle(l);
	out->kind = VIA_WAIT_WIN;
	out->handle = (int64_t)(intptr_t)l->event;
	return VIA_OK;
}

static via_rc VIA_CALL pipe_address(via_listener *base, char *buf, uint32_t cap)
{
	const wchar_t *text = listener_of(base)->name->text;
	size_t need = wcslen(text) + 1;
	size_t i;

	if (need <= cap)
		for (i = 0; i < need; i++)
			buf[i] = (char)text[i];
	return (via_rc)need;
}

/* -- listen ------------------------------------------------------------------------------------ */

static void dismantle(struct pipe_listener *l)
{
	struct pipe_self *s = l->self;

	while (l->n != 0)
		discard(l, take(l, l->n - 1));
	if (l->claimed)
		pipe_name_unclaim(s, l->name);
	if (l->name != NULL)
		pipe_name_drop(s, l->name);
	if (l->event != NULL)
		CloseHandle(l->event);
	if (l->descriptor != NULL)
		LocalFree(l->descriptor);
	s->h->free(s->h->ctx, l);
}

static void VIA_CALL pipe_listener_close(via_listener *base)
{
	struct pipe_listener *l = listener_of(base);
	struct pipe_self *s = l->self;

	dismantle(l);
	pipe_reap(s, 0);
}

static const via_listener_ops pipe_listener_ops = {
	.struct_size = sizeof(via_listener_ops),
	.listener_size = sizeof(struct pipe_listener),
	.accept = pipe_accept,
	.arm = pipe_listener_arm,
	.address = pipe_address,
	.close = pipe_listener_close,
};

/* Does an instance wait for a client? Asked without becoming one. */
static via_rc check_free(const struct pipe_listener *l)
{
	DWORD err = pipe_deny(l->self, "WaitNamedPipeW");

	if (err == 0) {
		if (WaitNamedPipeW(l->name->text, 1))
			return owned(l, 0);
		err = GetLastError();
	}
	if (err == ERROR_FILE_NOT_FOUND || err == ERROR_PATH_NOT_FOUND)
		return VIA_OK;
	/* Instances without any that waits: our own sessions, or a server that is busy. */
	if (err == ERROR_SEM_TIMEOUT || err == ERROR_PIPE_BUSY)
		return VIA_OK;
	return name_fail(l, err, "WaitNamedPipeW");
}

/* After the first instance of a name that was nobody's: are there others? */
static via_rc check_alone(const struct pipe_listener *l)
{
	DWORD err = pipe_deny(l->self, "GetNamedPipeHandleState");
	DWORD n = 0;

	if (err == 0 && !GetNamedPipeHandleStateW(l->waiting[0]->h, NULL, &n, NULL, NULL, NULL, 0))
		err = GetLastError();
	if (err != 0)
		return name_fail(l, err, "GetNamedPipeHandleState");
	return n > 1 ? owned(l, 0) : VIA_OK;
}

static via_rc own(struct pipe_listener *l)
{
	int is_first = pipe_name_only(l->self, l->name);
	via_rc rc = check_free(l);

	if (rc == VIA_OK)
		rc = add_instance(l, is_first ? FILE_FLAG_FIRST_PIPE_INSTANCE : 0);
	if (rc == VIA_OK && is_first)
		rc = check_alone(l);
	return rc == VIA_OK ? refill(l) : rc;
}

static via_rc prepare(struct pipe_listener *l, const via_address *a)
{
	struct pipe_self *s = l->self;
	wchar_t name[PIPE_NAME_MAX];
	via_rc rc = pipe_name_make(s, a, name);
	DWORD err;

	if (rc != VIA_OK)
		return rc;
	l->name = pipe_name_hold(s, name);
	if (l->name == NULL)
		return s->h->fail(s->h->ctx, VIA_NOMEM, 0, "pipe name");
	l->claimed = pipe_name_claim(s, l->name);
	if (!l->claimed)
		return owned(l, 0);
	rc = pipe_descriptor(s, &l->cfg, &l->descriptor);
	if (rc != VIA_OK)
		return rc;
	err = pipe_event(s, &l->event);
	return err == 0 ? VIA_OK : name_fail(l, err, "CreateEventW");
}

via_rc VIA_CALL pipe_listen(void *self, const via_address *a, via_listener **out)
{
	struct pipe_self *s = self;
	struct pipe_config cfg = s->defaults;
	struct pipe_listener *l;
	via_rc rc;

	pipe_reap(s, 0);
	rc = pipe_config_read(s, a->config, &cfg);
	if (rc != VIA_OK)
		return rc;
	l = s->h->alloc(s->h->ctx, sizeof *l, _Alignof(struct pipe_listener));
	if (l == NULL)
		return s->h->fail(s->h->ctx, VIA_NOMEM, 0, "listener");
	l->base.ops = &pipe_listener_ops;
	l->self = s;
	l->cfg = cfg;
	rc = prepare(l, a);
	if (rc == VIA_OK)
		rc = own(l);
	if (rc != VIA_OK) {
		dismantle(l);
		return rc;
	}
	*out = &l->base;
	return VIA_OK;
}
