/* tests/tools/fixture_slow.c - a service that is not named like its codec and keeps calls: the value 0
 * is answered when it is cancelled, any other one at once with the next number. As test-stuck the same,
 * but not even then.
 */
#include <viaduct/codecs/increment.h>
#include <viaduct/module.h>

static via_rc VIA_CALL slow_open(void *self, const via_peer *peer, void **session)
{
	(void)self;
	(void)peer;
	*session = NULL;
	return VIA_OK;
}

static via_rc VIA_CALL slow_call(void *self, void *session, via_call *call)
{
	uint64_t value;
	via_rc rc;

	(void)self;
	(void)session;
	rc = via_increment_decode(call->request, call->request_len, &value, NULL);
	if (rc == VIA_OK && value == 0)
		return VIA_PENDING;
	if (rc != VIA_OK)
		return rc;
	return via_increment_encode(call->response, call->response_cap, value + 1,
				    &call->response_len);
}

static void VIA_CALL slow_cancel(void *self, void *session, uint64_t token)
{
	const via_host *host = self;

	(void)session;
	host->reply(host->ctx, token, VIA_ABORTED, NULL, 0);
}

static via_rc VIA_CALL slow_init(const via_host *host, const char *config, void **self)
{
	(void)config;
	*self = (void *)(uintptr_t)host; /* only read */
	return VIA_OK;
}

static const char *const slow_codecs[] = {"increment", NULL};

static const via_service slow_service = {
	.struct_size = sizeof(via_service),
	.flags = VIA_SVC_CONCURRENT | VIA_SVC_ASYNC,
	.name = "test-slow",
	.codecs = slow_codecs,
	.open = slow_open,
	.call = slow_call,
	.cancel = slow_cancel,
};

static const via_service stuck_service = {
	.struct_size = sizeof(via_service),
	.flags = VIA_SVC_CONCURRENT | VIA_SVC_ASYNC,
	.name = "test-stuck",
	.codecs = slow_codecs,
	.open = slow_open,
	.call = slow_call,
};

static const via_component slow_components[] = {
	{
		.struct_size = sizeof(via_component),
		.kind = VIA_KIND_SERVICE,
		.id = "org.viaduct.test-slow",
		.rev = 1,
		.score = 100,
		.vtable = &slow_service,
	},
	{
		.struct_size = sizeof(via_component),
		.kind = VIA_KIND_SERVICE,
		.id = "org.viaduct.test-stuck",
		.rev = 1,
		.score = 100,
		.vtable = &stuck_service,
	},
};

static const via_lifecycle slow_life = {.struct_size = sizeof(via_lifecycle), .init = slow_init};

static const via_module_desc slow_desc = {
	.magic = VIA_MODULE_MAGIC,
	.abi_major = VIA_ABI_MAJOR,
	.abi_minor = 0,
	.struct_size = sizeof(via_module_desc),
	.layout = VIA_LAYOUT,
	.id = "org.viaduct.test.slow",
	.version = "1.0.0",
	.license = "Apache-2.0",
	.components = slow_components,
	.n_components = 2,
	.component_size = sizeof(via_component),
	.life = &slow_life,
};

VIA_MODULE(test_slow, slow_desc,
	   "id=org.viaduct.test.slow\0"
	   "version=1.0.0\0"
	   "provides=service org.viaduct.test-slow/1 score=100 name=test-slow codecs=increment\0"
	   "provides=service org.viaduct.test-stuck/1 score=100 name=test-stuck codecs=increment\0")
