/* services/increment/service.c - answers INCREMENT with the next number.
 *
 * After 2^64 - 1 comes 0. Stateless: calls may overlap and may run twice.
 *
 * Threads: none. Syscalls: none. Peer: any. Wire layout: docs/wire.md section 13.1.
 */
#include <viaduct/codecs/increment.h>
#include <viaduct/module.h>

/* -- service ----------------------------------------------------------------------------------- */

static via_rc VIA_CALL increment_open(void *self, const via_peer *peer, void **session)
{
	(void)self;
	(void)peer;
	*session = NULL;
	return VIA_OK;
}

static via_rc VIA_CALL increment_call(void *self, void *session, via_call *call)
{
	uint64_t value;
	via_rc rc;

	(void)self;
	(void)session;
	if (call->method != VIA_INCREMENT_METHOD)
		return VIA_NOTSUP;
	rc = via_increment_decode(call->request, call->request_len, &value, NULL);
	if (rc != VIA_OK)
		return rc;
	return via_increment_encode(call->response, call->response_cap, value + 1,
				    &call->response_len);
}

static via_rc VIA_CALL increment_call_many(void *self, void *session, via_calls *calls)
{
	const via_iov *request = calls->requests; /* kept here: out may alias anything */
	uint32_t *length = calls->lengths;
	uint8_t *out = calls->response;
	uint32_t n = calls->n, i;

	(void)self;
	(void)session;
	if (calls->method != VIA_INCREMENT_METHOD)
		return VIA_NOTSUP;
	if (calls->response_cap / VIA_INCREMENT_SIZE < n)
		return VIA_TOOBIG;
	for (i = 0; i < n; i++) {
		uint64_t value;
		via_rc rc = via_increment_decode(request[i].base, request[i].len, &value, NULL);

		if (rc != VIA_OK)
			return rc;
		via_bytes_put_u64(out + (size_t)i * VIA_INCREMENT_SIZE, value + 1);
		length[i] = VIA_INCREMENT_SIZE;
	}
	return VIA_OK;
}

/* -- module ------------------------------------------------------------------------------------ */

static const char *const increment_codecs[] = {"increment", NULL};

static const via_service increment_service = {
	.struct_size = sizeof(via_service),
	.flags = VIA_SVC_CONCURRENT | VIA_SVC_IDEMPOTENT,
	.name = "increment",
	.codecs = increment_codecs,
	.open = increment_open,
	.call = increment_call,
	.call_many = increment_call_many,
};

static const via_component increment_components[] = {{
	.struct_size = sizeof(via_component),
	.kind = VIA_KIND_SERVICE,
	.id = "org.viaduct.increment",
	.rev = 1,
	.score = 100,
	.vtable = &increment_service,
}};

static const via_module_desc increment_desc =
	VIA_MODULE_DESC("org.viaduct.service.increment", "1.0.0", "Apache-2.0",
			VIA_MOD_UNLOADABLE | VIA_MOD_FORK_SAFE, increment_components, NULL);

VIA_MODULE(service_increment, increment_desc,
	   "id=org.viaduct.service.increment\0"
	   "version=1.0.0\0"
	   "provides=service org.viaduct.increment/1 score=100 name=increment codecs=increment "
	   "max_request=1024 max_response=1024\0")
