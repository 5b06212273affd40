/* services/cgroups/cgroups.c - serves cgroups-snapshot: the control groups this machine really has.
 *
 * Every call reads the tree anew and keeps nothing but the fact that a limit was hit, so calls may
 * overlap and may be repeated.
 *
 * Threads: call() any number at once. Syscalls: openat, read, getdents64, close; they may block,
 * like any access to files. Peer: its request carries nothing. Wire layout: docs/wire.md section
 * 13.3.
 */
#include "cgroups.h"

#include <viaduct/codecs/cgroups_snapshot.h>

#include <stdatomic.h>
#include <stdio.h>

#define SENTENCE 256

/* -- service ----------------------------------------------------------------------------------- */

/* Says once that a limit leaves something out, and once that it no longer does. */
static void note_limits(struct cgroups_self *s, uint32_t cut)
{
	const via_host *h = s->h;
	const struct cgroups_config *c = &s->config;
	char text[SENTENCE];
	int32_t level = VIA_LOG_WARN;

	if (atomic_exchange(&s->cut, cut) == cut)
		return;
	if (cut == 0) {
		level = VIA_LOG_INFO;
		snprintf(text, sizeof text, "cgroups: the snapshot is complete again");
	} else {
		snprintf(text, sizeof text,
			 "cgroups: the snapshot is not complete:%s%s%s; limits: "
			 "max_cgroups=%u, max_depth=%u, %u bytes of paths",
			 (cut & CGROUPS_CUT_COUNT) != 0 ? " too many cgroups" : "",
			 (cut & CGROUPS_CUT_DEPTH) != 0 ? " too deep" : "",
			 (cut & CGROUPS_CUT_TEXT) != 0 ? " paths too long" : "", c->max_cgroups,
			 c->max_depth, CGROUPS_TEXT_MAX);
	}
	if (*h->log_level <= level)
		h->log(h->ctx, level, text);
}

static via_rc VIA_CALL cgroups_call(void *self, void *session, via_call *call)
{
	struct cgroups_self *s = self;
	const via_host *h = s->h;
	struct cgroups_hierarchy hier;
	struct cgroups_rows rows;
	via_rc rc;

	(void)session;
	if (call->method != VIA_CGROUPS_SNAPSHOT_METHOD)
		return h->fail(h->ctx, VIA_NOTSUP, 0, "this service answers method 2 only");
	rc = cgroups_hierarchy_open(s, &hier);
	if (rc != VIA_OK)
		return rc;
	rc = cgroups_tree_read(s, &hier, call->deadline, &rows);
	cgroups_close(hier.fd);
	if (rc != VIA_OK)
		goto free_rows;
	note_limits(s, rows.cut);
	rc = cgroups_encode(&rows, call->response, call->response_cap, &call->response_len);
	if (rc == VIA_TOOBIG)
		h->fail(h->ctx, rc, 0, "the cgroups of this machine do not fit the response");
	else if (rc != VIA_OK)
		h->fail(h->ctx, rc, 0, "the response cannot be encoded");
free_rows:
	cgroups_rows_free(s, &rows);
	return rc;
}

/* -- module ------------------------------------------------------------------------------------ */

static via_rc VIA_CALL cgroups_init(const via_host *h, const char *config, void **out)
{
	char why[SENTENCE];
	struct cgroups_self *s;
	via_rc rc;

	s = h->alloc(h->ctx, sizeof *s, _Alignof(struct cgroups_self));
	if (s == NULL)
		return h->fail(h->ctx, VIA_NOMEM, 0, "state of the cgroups service");
	s->h = h;
	rc = cgroups_config_parse(config, &s->config, why, sizeof why);
	if (rc != VIA_OK) {
		h->fail(h->ctx, rc, 0, why);
		h->free(h->ctx, s);
		return rc;
	}
	if (h->get_ext != NULL)
		s->gate = h->get_ext(h->ctx, VIA_EXT_SYSGATE);
	*out = s;
	return VIA_OK;
}

static void VIA_CALL cgroups_fini(void *self)
{
	struct cgroups_self *s = self;

	s->h->free(s->h->ctx, s);
}

static const char *const codecs[] = {"cgroups-snapshot", NULL};

static const via_service service = {
	.struct_size = sizeof service,
	.flags = VIA_SVC_CONCURRENT | VIA_SVC_IDEMPOTENT | VIA_SVC_BLOCKING,
	.name = "cgroups-snapshot",
	.codecs = codecs,
	.call = cgroups_call,
};

static const via_component components[] = {{
	.struct_size = sizeof(via_component),
	.kind = VIA_KIND_SERVICE,
	.id = "org.viaduct.cgroups",
	.rev = 1,
	.score = 100,
	.vtable = &service,
}};

static const via_lifecycle life = {
	.struct_size = sizeof life,
	.init = cgroups_init,
	.fini = cgroups_fini,
};

static const via_module_desc desc =
	VIA_MODULE_DESC("org.viaduct.service.cgroups", "1.0.0", "Apache-2.0",
			VIA_MOD_UNLOADABLE | VIA_MOD_FORK_SAFE, components, &life);

VIA_MODULE(service_cgroups, desc,
	   "id=org.viaduct.service.cgroups\0"
	   "version=1.0.0\0"
	   "provides=service org.viaduct.cgroups/1 score=100 name=cgroups-snapshot "
	   "codecs=cgroups-snapshot max_request=1024 max_response=1048576\0")
