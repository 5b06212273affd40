/* tests/session/modules/upgrade.c - an upgrade over pairs of ends, whose failures its configuration chooses.
 *
 * Serves profile 0x20000. The server's half is made at provision; the client's half waits in a table under
 * the session's number (mode=key) or travels as a handle with HELLO_ACK (mode=handles). The table and the
 * vtable are static: this module is never in two registries of one process. Threads: the core's rules plus
 * one lock around the table. Syscalls: pair_posix.c, pair_windows.c. Peer: this process.
 *
 *	mode=key|handles|mute|bad-link|provision-fails|attach-fails	mute: the end of the data link is not seen
 *	again=N		the first N attach calls answer AGAIN
 *	needs=N		capabilities asked of the baseline
 */
#include "pair.h"
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <viaduct/module.h>

enum { MAX_WAITING = 64 };

struct up_self {
	const via_host *h;
	char mode[32];
	uint32_t again;
};

struct up_link {
	via_link base;
	via_limits limits;
	const via_host *h;
	pair_end end;
	uint8_t *buf;
	uint32_t cap;
	_Atomic via_rc aborted;
	int ended;
};

static struct {
	uint64_t id;
	pair_end end;
} waiting[MAX_WAITING]; /* client halves, and in mode mute a second hold on every half */
static uint32_t n_waiting;
static atomic_flag lock = ATOMIC_FLAG_INIT;

static void table_put(uint64_t id, pair_end end)
{
	while (atomic_flag_test_and_set(&lock))
		;
	if (n_waiting < MAX_WAITING) {
		waiting[n_waiting].id = id;
		waiting[n_waiting++].end = end;
	} else {
		pair_close(end);
	}
	atomic_flag_clear(&lock);
}

static pair_end table_take(uint64_t id)
{
	pair_end end = PAIR_NONE;
	uint32_t i;

	while (atomic_flag_test_and_set(&lock))
		;
	for (i = 0; i < n_waiting && end == PAIR_NONE; i++)
		if (waiting[i].id == id) {
			end = waiting[i].end;
			waiting[i] = waiting[--n_waiting];
		}
	atomic_flag_clear(&lock);
	return end;
}

/* -- link ------------------------------------------------------------------------------------------------- */

static struct up_link *link_of(via_link *base)
{
	return (struct up_link *)(void *)base;
}

static via_rc VIA_CALL up_reserve(via_link *base, uint32_t len, via_slot *out)
{
	(void)base;
	(void)len;
	(void)out;
	return VIA_LIMIT;
}

static via_rc VIA_CALL up_commit(via_link *base, const via_slot *slots, uint32_t n)
{
	(void)base;
	(void)slots;
	(void)n;
	return VIA_INVAL;
}

static via_rc VIA_CALL up_send(via_link *base, const via_msg *m, uint32_t n)
{
	struct up_link *l = link_of(base);
	via_rc why = atomic_load(&l->aborted);

	if (why != VIA_OK)
		return why;
	return n != 1 || m->n_iov > PAIR_IOV ? VIA_INVAL : pair_send(l->end, m->iov, m->n_iov);
}

static via_rc VIA_CALL up_recv(via_link *base, via_view *out, uint32_t max)
{
	struct up_link *l = link_of(base);
	via_rc why = atomic_load(&l->aborted);
	uint32_t n = 0;
	via_rc rc;

	(void)max;
	if (why != VIA_OK)
		return why;
	if (l->ended)
		return VIA_CLOSED;
	rc = pair_recv(l->end, l->buf, l->cap, &n);
	l->ended = rc == VIA_CLOSED;
	if (rc == 1)
		*out = (via_view){.data = l->buf, .len = n};
	return rc;
}

static void VIA_CALL up_release(via_link *base, const via_view *views, uint32_t n)
{
	struct up_link *l = link_of(base);

	if (n == 1 && views->data == l->buf)
		return;
	fprintf(stderr, "upgrade: a view of another link was released here\n");
	_Exit(3);
}

static via_rc VIA_CALL up_arm(via_link *base, uint32_t events, via_waitobj *out)
{
	struct up_link *l = link_of(base);
	via_rc why = atomic_load(&l->aborted);

	if (why != VIA_OK)
		return why;
	pair_arm(l->end, events, out);
	return VIA_OK;
}

static void VIA_CALL up_disarm(via_link *base, uint32_t events)
{
	pair_disarm(link_of(base)->end, events);
}

static void VIA_CALL up_abort(via_link *base, via_rc why)
{
	struct up_link *l = link_of(base);
	via_rc none = VIA_OK;

	if (atomic_compare_exchange_strong(&l->aborted, &none, why))
		pair_shutdown(l->end, 1);
}

static via_rc VIA_CALL up_expect(via_link *base, uint32_t max_record)
{
	struct up_link *l = link_of(base);
	uint8_t *p = l->h->alloc(l->h->ctx, max_record, 8);

	if (p == NULL)
		return l->h->fail(l->h->ctx, VIA_NOMEM, 0, "receive buffer");
	l->h->free(l->h->ctx, l->buf);
	l->buf = p;
	l->cap = max_record;
	return VIA_OK;
}

static via_rc VIA_CALL up_take(via_link *base, const via_view *v, via_handle *out, uint32_t max)
{
	(void)base;
	(void)v;
	(void)out;
	(void)max;
	return 0;
}

static via_rc VIA_CALL up_shutdown(via_link *base)
{
	pair_shutdown(link_of(base)->end, 0);
	return VIA_OK;
}

static via_rc VIA_CALL up_peer(via_link *base, via_peer *out)
{
	(void)base;
	(void)out;
	return VIA_NOTSUP;
}

static const void *VIA_CALL up_get_ext(via_link *base, const char *id)
{
	(void)base;
	(void)id;
	return NULL;
}

static void VIA_CALL up_close(via_link *base)
{
	struct up_link *l = link_of(base);

	pair_close(l->end);
	l->h->free(l->h->ctx, l->buf);
	l->h->free(l->h->ctx, l);
}

static const via_link_ops up_ops = {
	.struct_size = sizeof up_ops,
	.link_size = sizeof(struct up_link),
	.reserve = up_reserve,
	.commit = up_commit,
	.send = up_send,
	.recv = up_recv,
	.release = up_release,
	.arm = up_arm,
	.disarm = up_disarm,
	.abort = up_abort,
	.expect = up_expect,
	.take_handles = up_take,
	.shutdown = up_shutdown,
	.peer = up_peer,
	.get_ext = up_get_ext,
	.close = up_close,
};

/* Takes the end over, also when it fails. */
static via_rc link_make(const struct up_self *s, pair_end end, via_link **out)
{
	struct up_link *l = s->h->alloc(s->h->ctx, sizeof *l, _Alignof(struct up_link));

	if (l == NULL) {
		pair_close(end);
		return s->h->fail(s->h->ctx, VIA_NOMEM, 0, "link");
	}
	l->h = s->h;
	l->end = end;
	l->limits = (via_limits){.struct_size = sizeof l->limits,
				 .max_record = strcmp(s->mode, "bad-link") == 0 ? 1 : 100000,
				 .max_batch = 1,
				 .max_views = 1,
				 .max_slots = 1,
				 .align = 8};
	l->base = (via_link){.ops = &up_ops,
			     .caps = VIA_CAP_RELIABLE | VIA_CAP_POLLABLE,
			     .limits = &l->limits};
	*out = &l->base;
	return VIA_OK;
}

/* -- transport ---------------------------------------------------------------------------------------------- */

static via_rc VIA_CALL up_probe(void *self)
{
	(void)self;
	return 10;
}

static via_rc VIA_CALL up_provision(void *self, via_upgrade *u, via_link **out)
{
	struct up_self *s = self;
	char text[128];
	pair_end end[2];
	via_rc rc;

	if (strcmp(s->mode, "provision-fails") == 0) {
		(void)snprintf(text, sizeof text, "no room for records of %u and %u",
			       u->max_request, u->max_response);
		return s->h->fail(s->h->ctx, VIA_LIMIT, 0, text);
	}
	if (pair_make(end) != 0)
		return s->h->fail(s->h->ctx, VIA_IO, 0, "a pair of ends");
	rc = link_make(s, end[0], out);
	if (rc != VIA_OK) {
		pair_close(end[1]);
		return rc;
	}
	if (strcmp(s->mode, "mute") == 0) {
		table_put(UINT64_MAX, pair_dup(end[0]));
		table_put(UINT64_MAX, pair_dup(end[1]));
	}
	if (strcmp(s->mode, "handles") == 0) {
		pair_to_handle(end[1], &u->handles[0]);
		u->n_handles = 1;
	} else {
		table_put(u->session_id, end[1]);
	}
	return VIA_OK;
}

static via_rc VIA_CALL up_attach(void *self, const via_upgrade *u, via_link **out)
{
	struct up_self *s = self;
	pair_end end;

	if (s->again != 0) {
		s->again--;
		return VIA_AGAIN;
	}
	if (strcmp(s->mode, "attach-fails") == 0)
		return s->h->fail(s->h->ctx, VIA_IO, 0, "the door is locked");
	if (strcmp(s->mode, "handles") == 0)
		end = u->n_handles == 1 ? pair_from_handle(&u->handles[0]) : PAIR_NONE;
	else
		end = table_take(u->session_id);
	if (end == PAIR_NONE)
		return s->h->fail(s->h->ctx, VIA_NOTFOUND, 0, "no such session");
	return link_make(s, end, out);
}

static via_transport up_transport = {
	.struct_size = sizeof up_transport,
	.roles = VIA_ROLE_UPGRADE,
	.profiles = 0x60000,
	.by_request = 0x40000,
	.schemes = "upgrade",
	.caps = VIA_CAP_RELIABLE | VIA_CAP_POLLABLE,
	.probe = up_probe,
	.provision = up_provision,
	.attach = up_attach,
};

static via_rc VIA_CALL up_init(const via_host *h, const char *config, void **out)
{
	struct up_self *s = h->alloc(h->ctx, sizeof *s, _Alignof(struct up_self));
	const char *p;

	if (s == NULL)
		return h->fail(h->ctx, VIA_NOMEM, 0, "state");
	s->h = h;
	if (config == NULL || sscanf(config, "mode=%31s", s->mode) != 1)
		memcpy(s->mode, "key", 4);
	p = config == NULL ? NULL : strstr(config, "again=");
	s->again = p == NULL ? 0 : (uint32_t)strtoul(p + 6, NULL, 10);
	p = config == NULL ? NULL : strstr(config, "needs=");
	up_transport.needs = p == NULL ? 0 : strtoul(p + 6, NULL, 0);
	*out = s;
	return VIA_OK;
}

static void VIA_CALL up_fini(void *self)
{
	struct up_self *s = self;

	while (n_waiting > 0)
		pair_close(waiting[--n_waiting].end);
	s->h->free(s->h->ctx, s);
}

static const via_component up_components[] = {
	{sizeof(via_component), VIA_KIND_TRANSPORT, "org.test.upgrade", 1, 10, &up_transport},
};

static const via_lifecycle up_life = {.struct_size = sizeof up_life,
				      .init = up_init,
				      .fini = up_fini};

static const via_module_desc up_desc = {
	.magic = VIA_MODULE_MAGIC,
	.abi_major = VIA_ABI_MAJOR,
	.abi_minor = VIA_ABI_MINOR,
	.struct_size = sizeof up_desc,
	.flags = VIA_MOD_UNLOADABLE,
	.layout = VIA_LAYOUT,
	.id = "org.test.upgrade",
	.version = "1",
	.license = "Apache-2.0",
	.components = up_components,
	.n_components = 1,
	.component_size = sizeof(via_component),
	.life = &up_life,
};

VIA_MODULE(
	upgrade, up_desc,
	"id=org.test.upgrade\0version=1\0"
	"provides=transport org.test.upgrade/1 score=10 roles=upgrade profiles=0x60000 by_request=0x40000 schemes=upgrade\0")
