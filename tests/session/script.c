/* tests/session/script.c - see script.h.
 *
 * Threads: the send lane and the receive lane may run at once; queues are filled before. Syscalls: those
 * of the wakers. Peer: the test. Wire layout: none.
 */
#include "script.h"

#include <stdlib.h>
#include <string.h>

static script_link *links[SCRIPT_MAX_LINKS];
static uint32_t n_links;
static script_link *dial_queue[SCRIPT_MAX_LINKS], *accept_queue[SCRIPT_MAX_LINKS];
static uint32_t n_dial, at_dial, n_accept, at_accept;
static via_rc dial_rc;
static os_waker *accept_waker;

/* -- one link ------------------------------------------------------------------------------------------- */

static script_link *script_of(via_link *base)
{
	return (script_link *)(void *)base;
}

static int has_news(const script_link *l)
{
	return l->next_in < l->n_in || l->end != VIA_OK || atomic_load(&l->aborted) != VIA_OK;
}

static via_rc VIA_CALL script_reserve(via_link *base, uint32_t len, via_slot *out)
{
	(void)base;
	(void)len;
	(void)out;
	return VIA_LIMIT; /* no slots: the session gathers */
}

static via_rc VIA_CALL script_commit(via_link *base, const via_slot *slots, uint32_t n)
{
	(void)base;
	(void)slots;
	(void)n;
	return VIA_INVAL;
}

static void keep(script_link *l, const via_msg *m)
{
	script_record *r = &l->out[l->n_out++];
	uint64_t len = 0;
	uint32_t i;

	for (i = 0; i < m->n_iov; i++)
		len += m->iov[i].len;
	r->data = env_alloc(&core_env_libc, len + 1);
	if (r->data == NULL)
		abort();
	r->len = 0;
	for (i = 0; i < m->n_iov; i++) {
		if (m->iov[i].len != 0)
			memcpy(r->data + r->len, m->iov[i].base, m->iov[i].len);
		r->len += (uint32_t)m->iov[i].len;
	}
	r->n_handles = m->n_handles;
	for (i = 0; i < m->n_handles && i < SCRIPT_HANDLES; i++)
		r->handle[i] = m->handles[i];
}

static via_rc VIA_CALL script_send(via_link *base, const via_msg *msgs, uint32_t n)
{
	script_link *l = script_of(base);
	via_rc why = atomic_load(&l->aborted);
	uint64_t len = 0;
	uint32_t i;

	if (why != VIA_OK)
		return why;
	if (n == 0 || n > l->limits.max_batch || l->closed)
		l->misused = 1;
	l->sends++;
	if (l->sends >= l->again_from && l->sends - l->again_from < l->again_n)
		return VIA_AGAIN;
	if (l->sends == l->fail_at)
		return l->fail_rc;
	for (i = 0; i < msgs->n_iov; i++)
		len += msgs->iov[i].len;
	if (len > l->limits.max_record)
		return VIA_TOOBIG;
	if (l->n_out < SCRIPT_MAX_OUT)
		keep(l, msgs);
	return 1;
}

static via_rc VIA_CALL script_recv(via_link *base, via_view *out, uint32_t max)
{
	script_link *l = script_of(base);
	via_rc why = atomic_load(&l->aborted);
	script_record *r;

	l->asked = max;
	if (max == 0 || l->view_out || l->closed)
		l->misused = 1;
	if (why != VIA_OK)
		return why;
	if (l->next_in == l->n_in)
		return l->end != VIA_OK ? l->end : VIA_AGAIN;
	r = &l->in[l->next_in];
	*out = (via_view){.data = r->data,
			  .len = r->len,
			  .flags = r->flags | (r->n_handles != 0 ? VIA_VIEW_HANDLES : 0u),
			  .cookie = (uint64_t)(uintptr_t)l};
	l->next_in++;
	l->view_out = 1;
	if (!has_news(l) && l->waker != NULL)
		os_waker_clear(l->waker);
	return 1;
}

static void VIA_CALL script_release(via_link *base, const via_view *views, uint32_t n)
{
	script_link *l = script_of(base);
	script_record *r = l->next_in != 0 ? &l->in[l->next_in - 1] : NULL;

	if (n != 1 || !l->view_out || r == NULL || views->data != r->data || l->closed) {
		l->misused = 1; /* a view of another link, or released twice */
		return;
	}
	while (r->n_handles != 0)
		os_handle_close(&r->handle[--r->n_handles]);
	if (r->len != 0)
		memset(r->data, 0xdd, r->len); /* whoever still looks finds nonsense */
	l->view_out = 0;
}

static via_rc VIA_CALL script_arm(via_link *base, uint32_t events, via_waitobj *out)
{
	script_link *l = script_of(base);
	via_rc why = atomic_load(&l->aborted);

	if (l->closed)
		l->misused = 1;
	if (l->fail_arm != VIA_OK)
		return l->fail_arm;
	if (why != VIA_OK)
		return why;
	if ((events & VIA_EV_TX) != 0 || has_news(l))
		return VIA_BUSY;
	if (l->waker == NULL)
		return VIA_IO;
	os_waker_object(l->waker, out);
	return VIA_OK;
}

static void VIA_CALL script_disarm(via_link *base, uint32_t events)
{
	script_link *l = script_of(base);

	(void)events;
	l->misused |= l->closed;
}

static void VIA_CALL script_abort(via_link *base, via_rc why)
{
	script_link *l = script_of(base);
	via_rc none = VIA_OK;

	atomic_compare_exchange_strong(&l->aborted, &none, why);
	if (l->waker != NULL)
		os_waker_set(l->waker);
}

static via_rc VIA_CALL script_expect(via_link *base, uint32_t max_record)
{
	script_link *l = script_of(base);

	if (l->view_out)
		l->misused = 1;
	if (l->fail_expect != VIA_OK)
		return l->fail_expect;
	l->expected = max_record;
	return VIA_OK;
}

static via_rc VIA_CALL script_take(via_link *base, const via_view *v, via_handle *out, uint32_t max)
{
	script_link *l = script_of(base);
	script_record *r = &l->in[l->next_in - 1];
	uint32_t i, n = r->n_handles;

	(void)v;
	if (n > max)
		return VIA_LIMIT;
	for (i = 0; i < n; i++)
		out[i] = r->handle[i];
	r->n_handles = 0;
	return (via_rc)n;
}

static via_rc VIA_CALL script_shutdown(via_link *base)
{
	(void)base;
	return VIA_OK;
}

static via_rc VIA_CALL script_peer(via_link *base, via_peer *out)
{
	(void)base;
	(void)out;
	return VIA_NOTSUP;
}

static const void *VIA_CALL script_get_ext(via_link *base, const char *id)
{
	(void)base;
	(void)id;
	return NULL;
}

static void VIA_CALL script_close(via_link *base)
{
	script_link *l = script_of(base);

	l->misused |= l->closed || l->view_out;
	l->closed = 1;
}

static const via_link_ops script_ops = {
	.struct_size = sizeof script_ops,
	.link_size = sizeof(script_link),
	.reserve = script_reserve,
	.commit = script_commit,
	.send = script_send,
	.recv = script_recv,
	.release = script_release,
	.arm = script_arm,
	.disarm = script_disarm,
	.abort = script_abort,
	.expect = script_expect,
	.take_handles = script_take,
	.shutdown = script_shutdown,
	.peer = script_peer,
	.get_ext = script_get_ext,
	.close = script_close,
};

/* -- what the test does ------------------------------------------------------------------------------------ */

static script_link *new_link(void)
{
	script_link *l = env_alloc(&core_env_libc, sizeof *l);

	if (l == NULL || n_links == SCRIPT_MAX_LINKS)
		abort();
	if (os_waker_open(&core_env_libc, &l->waker) != VIA_OK)
		l->waker = NULL;
	l->limits = (via_limits){.struct_size = sizeof l->limits,
				 .max_record = 212992,
				 .max_batch = 1,
				 .max_views = 1,
				 .max_slots = 1,
				 .max_handles = SCRIPT_HANDLES,
				 .align = 8};
	l->base = (via_link){.ops = &script_ops,
			     .caps = VIA_CAP_RELIABLE | VIA_CAP_PIPELINE | VIA_CAP_HANDLES |
				     VIA_CAP_HUP | VIA_CAP_POLLABLE,
			     .limits = &l->limits};
	links[n_links++] = l;
	return l;
}

script_link *script_dialled(void)
{
	return dial_queue[n_dial++] = new_link();
}

script_link *script_accepted(void)
{
	script_link *l = accept_queue[n_accept++] = new_link();

	if (accept_waker != NULL)
		os_waker_set(accept_waker);
	return l;
}

void script_dial_fails(via_rc rc)
{
	dial_rc = rc;
}

static void free_records(script_record *r, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n; i++)
		env_free(&core_env_libc, r[i].data);
}

int script_reset(void)
{
	int bad = 0;
	uint32_t i;

	for (i = 0; i < n_links; i++) {
		script_link *l = links[i];

		bad += l->misused != 0 || (l->closed == 0 && (i < at_dial || i < at_accept));
		free_records(l->in, l->n_in);
		free_records(l->out, l->n_out);
		os_waker_close(&core_env_libc, l->waker);
		env_free(&core_env_libc, l);
	}
	n_links = n_dial = at_dial = n_accept = at_accept = 0;
	dial_rc = VIA_OK;
	return bad;
}

script_record *script_push(script_link *l, const void *data, uint32_t len, uint32_t flags)
{
	script_record *r = &l->in[l->n_in];

	if (l->n_in == SCRIPT_MAX_IN)
		abort();
	*r = (script_record){.len = len, .flags = flags};
	r->data = env_alloc(&core_env_libc,
			    len); /* exactly, so that a sanitizer sees any read past it */
	if (r->data == NULL)
		abort();
	if (len != 0)
		memcpy(r->data, data, len);
	l->n_in++;
	if (l->waker != NULL)
		os_waker_set(l->waker);
	return r;
}

void script_end(script_link *l, via_rc rc)
{
	l->end = rc;
	if (l->waker != NULL)
		os_waker_set(l->waker);
}

/* -- the module ---------------------------------------------------------------------------------------------- */

static via_rc VIA_CALL script_dial(void *self, const via_address *at, via_link **out)
{
	(void)self;
	(void)at;
	if (dial_rc != VIA_OK)
		return dial_rc;
	if (at_dial == n_dial)
		return VIA_UNREACH;
	*out = &dial_queue[at_dial++]->base;
	return VIA_OK;
}

static via_rc VIA_CALL listener_accept(via_listener *l, via_link **out)
{
	(void)l;
	if (at_accept == n_accept)
		return VIA_AGAIN;
	*out = &accept_queue[at_accept++]->base;
	return VIA_OK;
}

static via_rc VIA_CALL listener_arm(via_listener *l, via_waitobj *out)
{
	(void)l;
	if (at_accept != n_accept)
		return VIA_BUSY;
	os_waker_clear(accept_waker);
	os_waker_object(accept_waker, out);
	return VIA_OK;
}

static via_rc VIA_CALL listener_address(via_listener *l, char *buf, uint32_t cap)
{
	(void)l;
	if (cap >= sizeof "script")
		memcpy(buf, "script", sizeof "script");
	return (via_rc)sizeof "script";
}

static void VIA_CALL listener_close(via_listener *l)
{
	env_free(&core_env_libc, l);
	os_waker_close(&core_env_libc, accept_waker);
	accept_waker = NULL;
}

static const via_listener_ops listener_ops = {
	.struct_size = sizeof listener_ops,
	.listener_size = sizeof(via_listener),
	.accept = listener_accept,
	.arm = listener_arm,
	.address = listener_address,
	.close = listener_close,
};

static via_rc VIA_CALL script_listen(void *self, const via_address *at, via_listener **out)
{
	via_listener *l = env_alloc(&core_env_libc, sizeof *l);

	(void)self;
	(void)at;
	if (l == NULL)
		return VIA_NOMEM;
	if (os_waker_open(&core_env_libc, &accept_waker) != VIA_OK) {
		env_free(&core_env_libc, l);
		return VIA_IO;
	}
	l->ops = &listener_ops;
	*out = l;
	return VIA_OK;
}

static via_rc VIA_CALL script_probe(void *self)
{
	(void)self;
	return 1;
}

static via_rc VIA_CALL script_init(const via_host *h, const char *config, void **self)
{
	(void)config;
	*self = (void *)(uintptr_t)h;
	return VIA_OK;
}

static const via_transport script_transport = {
	.struct_size = sizeof script_transport,
	.roles = VIA_ROLE_BASELINE,
	.profiles = 1,
	.schemes = "script",
	.probe = script_probe,
	.listen = script_listen,
	.dial = script_dial,
};

static const via_component script_components[] = {
	{sizeof(via_component), VIA_KIND_TRANSPORT, "org.test.script", 1, 0, &script_transport},
};

static const via_lifecycle script_life = {.struct_size = sizeof script_life, .init = script_init};

static const via_module_desc script_desc = {
	.magic = VIA_MODULE_MAGIC,
	.abi_major = VIA_ABI_MAJOR,
	.abi_minor = VIA_ABI_MINOR,
	.struct_size = sizeof script_desc,
	.flags = VIA_MOD_UNLOADABLE,
	.layout = VIA_LAYOUT,
	.id = "org.test.script",
	.version = "1",
	.license = "Apache-2.0",
	.components = script_components,
	.n_components = 1,
	.component_size = sizeof(via_component),
	.life = &script_life,
};

static via_rc VIA_CALL script_entry(uint32_t minor, const via_module_desc **out)
{
	(void)minor;
	*out = &script_desc;
	return VIA_OK;
}

static const char script_note[] =
	VIA_NOTE_MAGIC "\0abi=1\0id=org.test.script\0version=1\0"
		       "provides=transport org.test.script/1 score=0 roles=baseline "
		       "profiles=0x1 schemes=script\0";
static const uint32_t script_note_len = sizeof script_note - 1;

const core_builtin script_builtins[] = {
	{"script", script_note, &script_note_len, script_entry},
	{NULL, NULL, NULL, NULL},
};
