#include <viaduct/codecs/increment.h>
#include <viaduct/module.h>

/* A service "double" that speaks the increment codec: one number in, one number out. */
static via_rc VIA_CALL double_call(void *self, void *session, via_call *call)
{
	uint64_t value;
	via_rc rc = via_increment_decode(call->request, call->request_len, &value, NULL);

	(void)self;
	(void)session;
	if (rc != VIA_OK)
		return rc;
	return via_increment_encode(call->response, call->response_cap, value * 2,
				    &call->response_len);
}

static const char *const codecs[] = {"increment", NULL};
static const via_service service = {.struct_size = sizeof service,
				    .flags = VIA_SVC_CONCURRENT | VIA_SVC_IDEMPOTENT,
				    .name = "double",
				    .codecs = codecs,
				    .call = double_call};
static const via_component components[] = {{.struct_size = sizeof(via_component),
					    .kind = VIA_KIND_SERVICE,
					    .id = "com.example.double",
					    .rev = 1,
					    .score = 100,
					    .vtable = &service}};
static const via_module_desc desc =
	VIA_MODULE_DESC("com.example.double", "1.0.0", "Apache-2.0", 0, components, NULL);

VIA_MODULE(double_service, desc,
	   "id=com.example.double\0version=1.0.0\0"
	   "provides=service com.example.double/1 score=100 name=double codecs=increment\0")
