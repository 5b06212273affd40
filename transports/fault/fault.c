/* transports/fault/fault.c - a decorator that makes any link misbehave by plan: module and wrap.
 *
 * Threads: none. Syscalls: none. Peer: none of its own. Wire layout: none.
 */
#include "fault.h"

static via_rc VIA_CALL fault_wrap(void *self, via_link *inner, const char *config, via_link **outer)
{
	struct fault_self *s = self;
	struct fault_plan plan = s->defaults;
	via_rc rc = fault_plan_read(s, config, &plan);

	return rc == VIA_OK ? fault_link_make(s, inner, &plan, outer) : rc;
}

static via_rc VIA_CALL fault_probe(void *self)
{
	(void)self;
	return 1;
}

static via_rc VIA_CALL fault_init(const via_host *h, const char *config, void **out)
{
	struct fault_self *s = h->alloc(h->ctx, sizeof *s, _Alignof(struct fault_self));
	via_rc rc;

	if (s == NULL)
		return h->fail(h->ctx, VIA_NOMEM, 0, "state of the fault transport");
	s->h = h;
	rc = fault_plan_read(s, config, &s->defaults);
	if (rc != VIA_OK) {
		h->free(h->ctx, s);
		return rc;
	}
	*out = s;
	return VIA_OK;
}

static void VIA_CALL fault_fini(void *self)
{
	struct fault_self *s = self;

	s->h->free(s->h->ctx, s);
}

static const via_transport fault_transport = {
	.struct_size = sizeof(via_transport),
	.roles = VIA_ROLE_DECORATOR,
	.caps = VIA_CAP_RELIABLE | VIA_CAP_PIPELINE | VIA_CAP_HANDLES | VIA_CAP_PEERCRED |
		VIA_CAP_HUP | VIA_CAP_POLLABLE | VIA_CAP_ZC_TX | VIA_CAP_ZC_RX,
	.schemes = "fault",
	.probe = fault_probe,
	.wrap = fault_wrap,
};

static const via_component fault_components[] = {
	{sizeof(via_component), VIA_KIND_TRANSPORT, "org.viaduct.fault", 1, 0, &fault_transport},
};

static const via_lifecycle fault_life = {
	.struct_size = sizeof(via_lifecycle),
	.init = fault_init,
	.fini = fault_fini,
};

static const via_module_desc fault_desc =
	VIA_MODULE_DESC("org.viaduct.fault", "1.0.0", "Apache-2.0", VIA_MOD_UNLOADABLE,
			fault_components, &fault_life);

VIA_MODULE(fault, fault_desc,
	   "id=org.viaduct.fault\0"
	   "version=1.0.0\0"
	   "provides=transport org.viaduct.fault/1 score=0 roles=decorator profiles=0x0 "
	   "schemes=fault\0")
