/* transports/posixshm/posixshm.c - the netipc shared memory region as an upgrade: module, provision,
 * attach, errors.
 *
 * Threads: none. Syscalls: files, mmap, futex; kill and /proc to judge owners of old regions. Peer:
 * whoever may open the region; it can write any byte of it at any time. Wire layout: docs/wire.md
 * section 10, byte for byte; profiles 0x02 and 0x04 are the same region (section 7).
 */
#include "posixshm.h"
#include <errno.h>
#include <linux/futex.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#if !defined(SYS_futex)
#define SYS_futex SYS_futex_time64 /* 32-bit systems that were born with 64-bit time */
#endif

/* -- errors ------------------------------------------------------------------------------------ */

via_rc pshm_rc_of(int err)
{
	switch (err) {
	case EAGAIN:
	case EINTR:
		return VIA_AGAIN;
	case EMFILE:
	case ENFILE:
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return VIA_LIMIT;
	case ENOMEM:
		return VIA_NOMEM;
	case EACCES:
	case EPERM:
	case EROFS:
		return VIA_PERM;
	case EEXIST:
		return VIA_EXISTS;
	case EOPNOTSUPP:
	case ENOSYS:
		return VIA_NOTSUP;
	default:
		return VIA_IO;
	}
}

via_rc pshm_failf(const struct pshm_self *s, via_rc rc, int err, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	return s->h->fail(s->h->ctx, rc, err, text);
}

via_rc pshm_fail(const struct pshm_self *s, int err, const char *call, const char *what)
{
	return pshm_failf(s, pshm_rc_of(err), err, "%s %s", call, what);
}

/* -- futex ------------------------------------------------------------------------------------- */

int pshm_wake(const struct pshm_self *s, _Atomic uint32_t *word, int sleepers)
{
	int err = pshm_deny(s, "futex");

	if (err != 0)
		return err;
	return syscall(SYS_futex, word, FUTEX_WAKE, sleepers, NULL, NULL, 0) < 0 ? errno : 0;
}

/* -- transport --------------------------------------------------------------------------------- */

static via_rc VIA_CALL pshm_probe(void *self)
{
	struct pshm_self *s = self;
	_Atomic uint32_t word = 0;
	int err = pshm_wake(s, &word, 1);

	if (err != 0)
		return pshm_failf(s, VIA_NOTSUP, err, "this system refuses futex calls");
	return 50;
}

static via_rc VIA_CALL pshm_provision(void *self, via_upgrade *u, via_link **out)
{
	struct pshm_self *s = self;
	char path[PSHM_PATH_MAX];
	struct pshm_map map;
	via_rc rc;

	rc = pshm_path(s, u->ns, u->service, u->session_id, path);
	if (rc != VIA_OK)
		return rc;
	pshm_sweep(s, u->ns, u->service);
	rc = pshm_create(s, path, u->max_request, u->max_response, &map);
	if (rc == VIA_EXISTS) {
		rc = pshm_clear(s, path);
		if (rc == VIA_OK)
			rc = pshm_create(s, path, u->max_request, u->max_response, &map);
	}
	if (rc != VIA_OK)
		return rc;
	return pshm_link_make(s, &map, path, out);
}

static via_rc VIA_CALL pshm_attach_named(void *self, const via_upgrade *u, via_link **out)
{
	struct pshm_self *s = self;
	char path[PSHM_PATH_MAX];
	struct pshm_map map;
	via_rc rc;

	rc = pshm_path(s, u->ns, u->service, u->session_id, path);
	if (rc == VIA_OK)
		rc = pshm_attach(s, path, u, &map);
	if (rc != VIA_OK)
		return rc;
	return pshm_link_make(s, &map, NULL, out);
}

/* -- module ------------------------------------------------------------------------------------ */

static via_rc VIA_CALL pshm_init(const via_host *h, const char *config, void **out)
{
	struct pshm_self *s;

	if (config != NULL && config[0] != '\0') {
		char text[128];

		(void)snprintf(text, sizeof text, "posixshm has no options, found \"%.60s\"",
			       config);
		return h->fail(h->ctx, VIA_INVAL, 0, text);
	}
	s = h->alloc(h->ctx, sizeof *s, _Alignof(struct pshm_self));
	if (s == NULL)
		return h->fail(h->ctx, VIA_NOMEM, 0, "state of the posixshm transport");
	s->h = h;
	s->gate = h->get_ext(h->ctx, VIA_EXT_SYSGATE);
	*out = s;
	return VIA_OK;
}

static void VIA_CALL pshm_fini(void *self)
{
	struct pshm_self *s = self;

	s->h->free(s->h->ctx, s);
}

static const via_transport pshm_transport = {
	.struct_size = sizeof(via_transport),
	.roles = VIA_ROLE_UPGRADE,
	.profiles = 0x6,
	.by_request = 0x4, /* the same region under another number, for peers that have only that */
	.caps = VIA_CAP_RELIABLE | VIA_CAP_ZC_TX | VIA_CAP_ZC_RX | VIA_CAP_WORDWAIT,
	.needs = VIA_CAP_HUP, /* the region cannot say that the peer has gone */
	.schemes = "posixshm",
	.probe = pshm_probe,
	.provision = pshm_provision,
	.attach = pshm_attach_named,
};

static const via_component pshm_components[] = {
	{sizeof(via_component), VIA_KIND_TRANSPORT, "org.viaduct.posixshm", 1, 50, &pshm_transport},
};

static const via_lifecycle pshm_life = {
	.struct_size = sizeof(via_lifecycle),
	.init = pshm_init,
	.fini = pshm_fini,
};

static const via_module_desc pshm_desc =
	VIA_MODULE_DESC("org.viaduct.posixshm", "1.0.0", "Apache-2.0", VIA_MOD_UNLOADABLE,
			pshm_components, &pshm_life);

VIA_MODULE(
	posixshm, pshm_desc,
	"id=org.viaduct.posixshm\0"
	"version=1.0.0\0"
	"provides=transport org.viaduct.posixshm/1 score=50 roles=upgrade profiles=0x6 by_request=0x4 "
	"schemes=posixshm\0")
