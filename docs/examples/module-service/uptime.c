/* docs/examples/module-service/uptime.c - a service that says how long its module has been running, and
 * how often it was asked.
 *
 * One file provides the service and the codec it speaks. State lives in *self: a process may have several
 * registries, and each initialises the module for itself.
 *
 * Threads: none; without VIA_SVC_CONCURRENT calls come one at a time. Syscalls: none. Peer: any.
 * Wire layout: uptime.h.
 */
#include "uptime.h"

struct uptime_self {
	const via_host *h;
	via_time started;
	uint64_t calls;
};

/* -- service ----------------------------------------------------------------------------------- */

static via_rc VIA_CALL uptime_call(void *self, void *session, via_call *call)
{
	struct uptime_self *s = self;

	(void)session;
	if (call->method != UPTIME_METHOD)
		return VIA_NOTSUP;
	s->calls++;
	return uptime_encode(call->response, call->response_cap, s->h->now(s->h->ctx) - s->started,
			     s->calls, &call->response_len);
}

static const char *const uptime_codecs[] = {"uptime", NULL};

static const via_service uptime_service = {
	.struct_size = sizeof(via_service),
	.flags = VIA_SVC_IDEMPOTENT, /* who asks again is counted again: no harm */
	.name = "uptime",
	.codecs = uptime_codecs,
	.call = uptime_call,
};

/* -- module ------------------------------------------------------------------------------------ */

static via_rc VIA_CALL uptime_init(const via_host *h, const char *config, void **out)
{
	struct uptime_self *s;

	if (config != NULL)
		return h->fail(h->ctx, VIA_INVAL, 0,
			       "uptime: expected no configuration, found some");
	s = h->alloc(h->ctx, sizeof *s, _Alignof(struct uptime_self));
	if (s == NULL)
		return h->fail(h->ctx, VIA_NOMEM, 0, "state of the service uptime");
	s->h = h;
	s->started = h->now(h->ctx);
	*out = s;
	return VIA_OK;
}

static void VIA_CALL uptime_fini(void *self)
{
	const via_host *h = ((struct uptime_self *)self)->h;

	h->free(h->ctx, self);
}

static const via_component uptime_components[] = {
	{sizeof(via_component), VIA_KIND_SERVICE, "com.example.uptime", 1, 100, &uptime_service},
	{sizeof(via_component), VIA_KIND_CODEC, "com.example.uptime", 1, 100, &uptime_codec},
};

static const via_lifecycle uptime_life = {
	.struct_size = sizeof(via_lifecycle),
	.init = uptime_init,
	.fini = uptime_fini,
};

static const via_module_desc uptime_desc =
	VIA_MODULE_DESC("com.example.uptime", "1.0.0", "Apache-2.0",
			VIA_MOD_UNLOADABLE | VIA_MOD_FORK_SAFE, uptime_components, &uptime_life);

VIA_MODULE(uptime, uptime_desc,
	   "id=com.example.uptime\0"
	   "version=1.0.0\0"
	   "provides=service com.example.uptime/1 score=100 name=uptime codecs=uptime "
	   "max_request=1024 max_response=1024\0"
	   "provides=codec com.example.uptime/1 score=100 method=40001 name=uptime\0")
