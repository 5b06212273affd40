/* tests/e2e/fixture_wedge.c - services that block for the value 0, until somebody opens the FIFO "gate" for writing
 * that the configuration names, and answer any other value with the next number: test-wedge where it must not
 * block, test-patient where it may.
 */
#include <viaduct/codecs/increment.h>
#include <viaduct/module.h>

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

struct wedge {
	const via_host *host;
	char gate[512];
};

static via_rc VIA_CALL wedge_open(void *self, const via_peer *peer, void **session)
{
	(void)self;
	(void)peer;
	*session = NULL;
	return VIA_OK;
}

static via_rc VIA_CALL wedge_call(void *self, void *session, via_call *call)
{
	const struct wedge *w = self;
	uint64_t value;
	via_rc rc = via_increment_decode(call->request, call->request_len, &value, NULL);
	int fd;

	(void)session;
	if (rc != VIA_OK)
		return rc;
	if (value == 0) {
		fd = open(w->gate, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return VIA_IO;
		(void)close(fd);
	}
	return via_increment_encode(call->response, call->response_cap, value + 1,
				    &call->response_len);
}

static via_rc VIA_CALL wedge_init(const via_host *host, const char *config, void **self)
{
	size_t len = config != NULL ? strcspn(config, "\n") : 0;
	struct wedge *w;

	if (len <= 5 || len - 5 >= sizeof w->gate || strncmp(config, "gate=", 5) != 0)
		return VIA_INVAL;
	w = host->alloc(host->ctx, sizeof *w, _Alignof(struct wedge));
	if (w == NULL)
		return VIA_NOMEM;
	w->host = host;
	memcpy(w->gate, config + 5, len - 5);
	w->gate[len - 5] = '\0';
	*self = w;
	return VIA_OK;
}

static void VIA_CALL wedge_fini(void *self)
{
	struct wedge *w = self;

	w->host->free(w->host->ctx, w);
}

static const char *const codecs[] = {"increment", NULL};

static const via_service wedge_service = {
	.struct_size = sizeof(via_service),
	.flags = VIA_SVC_CONCURRENT,
	.name = "test-wedge",
	.codecs = codecs,
	.open = wedge_open,
	.call = wedge_call,
};

static const via_service patient_service = {
	.struct_size = sizeof(via_service),
	.flags = VIA_SVC_CONCURRENT | VIA_SVC_BLOCKING,
	.name = "test-patient",
	.codecs = codecs,
	.open = wedge_open,
	.call = wedge_call,
};

static const via_component components[] = {
	{
		.struct_size = sizeof(via_component),
		.kind = VIA_KIND_SERVICE,
		.id = "org.viaduct.test-wedge",
		.rev = 1,
		.score = 100,
		.vtable = &wedge_service,
	},
	{
		.struct_size = sizeof(via_component),
		.kind = VIA_KIND_SERVICE,
		.id = "org.viaduct.test-patient",
		.rev = 1,
		.score = 100,
		.vtable = &patient_service,
	},
};

static const via_lifecycle life = {.struct_size = sizeof(via_lifecycle),
				   .init = wedge_init,
				   .fini = wedge_fini};

static const via_module_desc desc = {
	.magic = VIA_MODULE_MAGIC,
	.abi_major = VIA_ABI_MAJOR,
	.abi_minor = 0,
	.struct_size = sizeof(via_module_desc),
	.layout = VIA_LAYOUT,
	.id = "org.viaduct.test.wedge",
	.version = "1.0.0",
	.license = "Apache-2.0",
	.components = components,
	.n_components = 2,
	.component_size = sizeof(via_component),
	.life = &life,
};

VIA_MODULE(
	test_wedge, desc,
	"id=org.viaduct.test.wedge\0"
	"version=1.0.0\0"
	"provides=service org.viaduct.test-wedge/1 score=100 name=test-wedge codecs=increment\0"
	"provides=service org.viaduct.test-patient/1 score=100 name=test-patient codecs=increment\0")
