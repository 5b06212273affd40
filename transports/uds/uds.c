/* transports/uds/uds.c - AF_UNIX SOCK_SEQPACKET baseline: module, dial, errors.
 *
 * Threads: none. Syscalls: sockets, and for listeners file names (uds_listen.c). Peer: any process
 * that can write to the socket file; nothing it sends is interpreted here. Wire layout: none, one
 * packet is one record (docs/wire.md section 9).
 */
#include "uds.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* -- errors ------------------------------------------------------------------------------------ */

via_rc uds_rc_of(int err)
{
	switch (err) {
	case EAGAIN:
	case EINTR:
		return VIA_AGAIN;
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOSPC:
	case EDQUOT:
	case ETOOMANYREFS:
		return VIA_LIMIT;
	case ENOMEM:
		return VIA_NOMEM;
	case EACCES:
	case EPERM:
	case EROFS:
		return VIA_PERM;
	case EEXIST:
	case EADDRINUSE:
		return VIA_EXISTS;
	default:
		return VIA_IO;
	}
}

via_rc uds_failf(const struct uds_self *s, via_rc rc, int err, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	return s->h->fail(s->h->ctx, rc, err, text);
}

via_rc uds_fail(const struct uds_self *s, int err, const char *call, const char *what)
{
	return uds_failf(s, uds_rc_of(err), err, "%s %s", call, what);
}

/* -- dial -------------------------------------------------------------------------------------- */

/* Says who may, when that can be seen from here. */
static via_rc not_permitted(const struct uds_self *s, int err, const char *path)
{
	struct stat st;
	int hidden = uds_deny(s, "lstat");

	if (hidden != 0 || lstat(path, &st) != 0)
		return uds_failf(s, VIA_PERM, err, "%s: permission denied, on the way to it", path);
	return uds_failf(
		s, VIA_PERM, err,
		"%s: permission denied: user %lu is not admitted by mode %04o of user %lu, "
		"group %lu",
		path, (unsigned long)geteuid(), (unsigned)(st.st_mode & 07777u),
		(unsigned long)st.st_uid, (unsigned long)st.st_gid);
}

static via_rc no_answer(const struct uds_self *s, int err, const char *path)
{
	switch (err) {
	case EAGAIN:
		return VIA_AGAIN; /* the server's queue is full */
	case ENOENT:
	case ENOTDIR:
		return uds_failf(s, VIA_UNREACH, err, "%s: no such socket", path);
	case ECONNREFUSED:
	case ENOTSOCK:
	case EPROTOTYPE:
	case ELOOP: {
		const char *kind = uds_kind_of(s, path);

		if (err == EPROTOTYPE)
			kind = "a socket of another type";
		if (strcmp(kind, "a socket") == 0)
			return uds_failf(s, VIA_UNREACH, err, "%s: nobody listens there", path);
		return uds_failf(s, VIA_UNREACH, err,
				 "%s: expected a SOCK_SEQPACKET socket, found %s", path, kind);
	}
	case EACCES:
	case EPERM:
		return not_permitted(s, err, path);
	default:
		return uds_fail(s, err, "connect", path);
	}
}

static via_rc VIA_CALL uds_dial(void *self, const via_address *a, via_link **out)
{
	struct uds_self *s = self;
	struct uds_config cfg = s->defaults;
	struct uds_names names;
	via_rc rc;
	int fd;
	int err;

	rc = uds_config_read(s, a->config, &cfg);
	if (rc == VIA_OK)
		rc = uds_names_make(s, a, &names);
	if (rc == VIA_OK)
		rc = uds_socket(s, &fd);
	if (rc != VIA_OK)
		return rc;
	err = uds_connect(s, fd, names.path);
	if (err != 0) {
		close(fd);
		return no_answer(s, err, names.path);
	}
	return uds_link_make(s, fd, out);
}

static via_rc VIA_CALL uds_self_probe(void *self)
{
	int fd;
	via_rc rc = uds_socket(self, &fd);

	if (rc != VIA_OK)
		return rc;
	close(fd);
	return 100;
}

/* -- module ------------------------------------------------------------------------------------ */

static via_rc VIA_CALL uds_init(const via_host *h, const char *config, void **out)
{
	struct uds_self *s = h->alloc(h->ctx, sizeof *s, _Alignof(struct uds_self));
	via_rc rc;

	if (s == NULL)
		return h->fail(h->ctx, VIA_NOMEM, 0, "state of the uds transport");
	s->h = h;
	s->gate = h->get_ext(h->ctx, VIA_EXT_SYSGATE);
	s->defaults = (struct uds_config){UDS_BACKLOG, UDS_MODE};
	rc = uds_config_read(s, config, &s->defaults);
	if (rc != VIA_OK) {
		h->free(h->ctx, s);
		return rc;
	}
	*out = s;
	return VIA_OK;
}

static void VIA_CALL uds_fini(void *self)
{
	struct uds_self *s = self;

	s->h->free(s->h->ctx, s);
}

static const via_transport uds_transport = {
	.struct_size = sizeof(via_transport),
	.roles = VIA_ROLE_BASELINE,
	.profiles = 0x1,
	.caps = VIA_CAP_RELIABLE | VIA_CAP_PIPELINE | VIA_CAP_HANDLES | VIA_CAP_PEERCRED |
		VIA_CAP_HUP | VIA_CAP_POLLABLE,
	.schemes = "uds,unix",
	.probe = uds_self_probe,
	.listen = uds_listen,
	.dial = uds_dial,
};

static const via_component uds_components[] = {
	{sizeof(via_component), VIA_KIND_TRANSPORT, "org.viaduct.uds", 1, 100, &uds_transport},
};

static const via_lifecycle uds_life = {
	.struct_size = sizeof(via_lifecycle),
	.init = uds_init,
	.fini = uds_fini,
};

static const via_module_desc uds_desc =
	VIA_MODULE_DESC("org.viaduct.uds", "1.0.0", "Apache-2.0", VIA_MOD_UNLOADABLE,
			uds_components, &uds_life);

VIA_MODULE(uds, uds_desc,
	   "id=org.viaduct.uds\0"
	   "version=1.0.0\0"
	   "provides=transport org.viaduct.uds/1 score=100 roles=baseline profiles=0x1 "
	   "schemes=uds,unix\0")
