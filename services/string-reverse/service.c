/* services/string-reverse/service.c - answers STRING_REVERSE with the bytes from last to first.
 *
 * Bytes, not characters: UTF-8 does not survive it, a NUL does. Stateless: calls may overlap and
 * may run twice.
 *
 * Threads: none. Syscalls: none. Peer: any. Wire layout: docs/wire.md section 13.2.
 */
#include <viaduct/codecs/string_reverse.h>
#include <viaduct/module.h>

/* -- service ----------------------------------------------------------------------------------- */

static via_rc VIA_CALL reverse_open(void *self, const via_peer *peer, void **session)
{
	(void)self;
	(void)peer;
	*session = NULL;
	return VIA_OK;
}

static via_rc VIA_CALL reverse_call(void *self, void *session, via_call *call)
{
	via_string_reverse_view view;
	char *room;
	uint32_t i;
	via_rc rc;

	(void)self;
	(void)session;
	if (call->method != VIA_STRING_REVERSE_METHOD)
		return VIA_NOTSUP;
	rc = via_string_reverse_open(&view, call->request, call->request_len, NULL);
	if (rc != VIA_OK)
		return rc;
	room = via_string_reverse_reserve(call->response, call->response_cap, view.len);
	if (room == NULL)
		return VIA_TOOBIG;
	for (i = 0; i < view.len; i++)
		room[i] = view.text[view.len - 1 - i];
	call->response_len = via_string_reverse_size(view.len);
	return VIA_OK;
}

/* -- module ------------------------------------------------------------------------------------ */

static const char *const reverse_codecs[] = {"string-reverse", NULL};

static const via_service reverse_service = {
	.struct_size = sizeof(via_service),
	.flags = VIA_SVC_CONCURRENT | VIA_SVC_IDEMPOTENT,
	.name = "string-reverse",
	.codecs = reverse_codecs,
	.open = reverse_open,
	.call = reverse_call,
};

static const via_component reverse_components[] = {{
	.struct_size = sizeof(via_component),
	.kind = VIA_KIND_SERVICE,
	.id = "org.viaduct.string-reverse",
	.rev = 1,
	.score = 100,
	.vtable = &reverse_service,
}};

static const via_module_desc reverse_desc =
	VIA_MODULE_DESC("org.viaduct.service.string-reverse", "1.0.0", "Apache-2.0",
			VIA_MOD_UNLOADABLE | VIA_MOD_FORK_SAFE, reverse_components, NULL);

VIA_MODULE(service_string_reverse, reverse_desc,
	   "id=org.viaduct.service.string-reverse\0"
	   "version=1.0.0\0"
	   "provides=service org.viaduct.string-reverse/1 score=100 name=string-reverse "
	   "codecs=string-reverse max_request=65536 max_response=65536\0")
