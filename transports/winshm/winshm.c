/* transports/winshm/winshm.c - the netipc shared memory of Windows as an upgrade: module, provision,
 * attach, errors.
 *
 * Threads: none. Syscalls: file mappings, events, the process token. Peer: whoever may open the
 * objects; it can write any byte of the mapping at any time. Wire layout: docs/wire.md section 12,
 * byte for byte; profile 0x02 sleeps on events, 0x04 has none and keeps a processor busy.
 */
#include "winshm.h"
#include <stdarg.h>
#include <stdio.h>

/* -- errors ------------------------------------------------------------------------------------ */

via_rc wshm_rc_of(DWORD err)
{
	switch (err) {
	case ERROR_FILE_NOT_FOUND:
		return VIA_NOTFOUND;
	case ERROR_ACCESS_DENIED:
		return VIA_PERM;
	case ERROR_ALREADY_EXISTS:
	case ERROR_INVALID_HANDLE: /* the name belongs to an object of another kind */
		return VIA_EXISTS;
	case ERROR_NOT_ENOUGH_MEMORY:
	case ERROR_OUTOFMEMORY:
	case ERROR_COMMITMENT_LIMIT:
		return VIA_NOMEM;
	case ERROR_TOO_MANY_OPEN_FILES:
	case ERROR_NO_SYSTEM_RESOURCES:
	case ERROR_NOT_ENOUGH_QUOTA:
	case ERROR_DISK_FULL:
		return VIA_LIMIT;
	default:
		return VIA_IO;
	}
}

via_rc wshm_failf(const struct wshm_self *s, via_rc rc, DWORD err, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	return s->h->fail(s->h->ctx, rc, (int64_t)err, text);
}

via_rc wshm_fail(const struct wshm_self *s, DWORD err, const char *call, const char *what)
{
	return wshm_failf(s, wshm_rc_of(err), err, "%s %s", call, what);
}

via_rc wshm_set(const struct wshm_self *s, HANDLE event)
{
	if (wshm_may(s, "SetEvent") && SetEvent(event))
		return VIA_OK;
	(void)wshm_failf(s, VIA_IO, GetLastError(), "SetEvent");
	return VIA_IO;
}

/* -- transport --------------------------------------------------------------------------------- */

static via_rc VIA_CALL wshm_probe(void *self)
{
	(void)self;
	return 50; /* every Windows has what it takes */
}

static via_rc VIA_CALL wshm_provision(void *self, via_upgrade *u, via_link **out)
{
	struct wshm_self *s = self;
	struct wshm_map map;
	via_rc rc = wshm_create(s, u, &map);

	return rc != VIA_OK ? rc : wshm_link_make(s, &map, 1, out);
}

static via_rc VIA_CALL wshm_attach_named(void *self, const via_upgrade *u, via_link **out)
{
	struct wshm_self *s = self;
	struct wshm_map map;
	via_rc rc = wshm_attach(s, u, &map);

	return rc != VIA_OK ? rc : wshm_link_make(s, &map, 0, out);
}

/* -- module ------------------------------------------------------------------------------------ */

static via_rc VIA_CALL wshm_init(const via_host *h, const char *config, void **out)
{
	struct wshm_self *s;

	if (config != NULL && config[0] != '\0') {
		char text[128];

		(void)snprintf(text, sizeof text, "winshm has no options, found \"%.60s\"", config);
		return h->fail(h->ctx, VIA_INVAL, 0, text);
	}
	s = h->alloc(h->ctx, sizeof *s, _Alignof(struct wshm_self));
	if (s == NULL)
		return h->fail(h->ctx, VIA_NOMEM, 0, "state of the winshm transport");
	s->h = h;
	s->gate = h->get_ext(h->ctx, VIA_EXT_SYSGATE);
	*out = s;
	return VIA_OK;
}

static void VIA_CALL wshm_fini(void *self)
{
	struct wshm_self *s = self;

	s->h->free(s->h->ctx, s);
}

static const via_transport wshm_transport = {
	.struct_size = sizeof(via_transport),
	.roles = VIA_ROLE_UPGRADE,
	.profiles = WSHM_HYBRID | WSHM_BUSYWAIT,
	.by_request = WSHM_BUSYWAIT, /* it keeps a processor busy */
	.caps = VIA_CAP_RELIABLE | VIA_CAP_ZC_TX | VIA_CAP_POLLABLE | VIA_CAP_WORDWAIT,
	.needs = VIA_CAP_HUP, /* the closed flags only tell of who closes, not of who dies */
	.schemes = "winshm",
	.probe = wshm_probe,
	.provision = wshm_provision,
	.attach = wshm_attach_named,
};

static const via_component wshm_components[] = {
	{sizeof(via_component), VIA_KIND_TRANSPORT, "org.viaduct.winshm", 1, 50, &wshm_transport},
};

static const via_lifecycle wshm_life = {
	.struct_size = sizeof(via_lifecycle),
	.init = wshm_init,
	.fini = wshm_fini,
};

static const via_module_desc wshm_desc =
	VIA_MODULE_DESC("org.viaduct.winshm", "1.0.0", "Apache-2.0", VIA_MOD_UNLOADABLE,
			wshm_components, &wshm_life);

VIA_MODULE(
	winshm, wshm_desc,
	"id=org.viaduct.winshm\0"
	"version=1.0.0\0"
	"provides=transport org.viaduct.winshm/1 score=50 roles=upgrade profiles=0x6 by_request=0x4 "
	"schemes=winshm\0")
