/* tests/registry/modules/unit.c - a module that does what it is told, for the tests of the
 * registry.
 *
 * One component: a service whose calls are commands (see unit_call). What it is called, what it
 * answers and what is wrong with it is chosen when it is compiled; how init and drain behave, by
 * its configuration.
 * Threads: none. Syscalls: none but the one it asks the gate about. Peer: none. Wire layout: none.
 */
#include <stdio.h>
#include <string.h>
#include <viaduct/module.h>

#ifndef UNIT_ID
#define UNIT_ID "org.test.unit"
#endif
#ifndef UNIT_SERVICE /* component id and service name */
#define UNIT_SERVICE "unit"
#endif
#ifndef UNIT_VERSION
#define UNIT_VERSION "1"
#endif
#ifndef UNIT_REV
#define UNIT_REV 1
#endif
#ifndef UNIT_SCORE
#define UNIT_SCORE 100
#endif
#ifndef UNIT_FLAGS
#define UNIT_FLAGS 0
#endif
#ifndef UNIT_MINOR
#define UNIT_MINOR VIA_ABI_MINOR
#endif
#ifndef UNIT_DESC_ID /* what the descriptor says, if not the same */
#define UNIT_DESC_ID UNIT_ID
#endif
#ifndef UNIT_CALL
#define UNIT_CALL unit_call
#endif
#ifdef UNIT_NEEDS
#define UNIT_REQUIRES "requires=service:" UNIT_NEEDS "\0"
#else
#define UNIT_REQUIRES
#endif
#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)

struct unit_self {
	const via_host *h;
	via_ref other; /* taken in init, given back in fini unless told to keep it */
	void *block;
	int keep_ref, leak, again, refuse_drain, refuse_stop;
	int n_pauses, n_resumes, n_drains, n_starts;
};

/* -- configuration ----------------------------------------------------------------------------- */

static via_rc look_up(struct unit_self *s, const char *value)
{
	char name[64];
	size_t len = strcspn(value, "\n");

	if (len >= sizeof name)
		return s->h->fail(s->h->ctx, VIA_INVAL, 0, "lookup: name too long");
	memcpy(name, value, len);
	name[len] = '\0';
	return s->h->lookup(s->h->ctx, VIA_KIND_SERVICE, name, 0, &s->other);
}

static via_rc configure(struct unit_self *s, const char *line)
{
	if (strncmp(line, "init=fail\n", 10) == 0)
		return s->h->fail(s->h->ctx, VIA_IO, 0, "told to fail");
	if (strncmp(line, "init=silent\n", 12) == 0)
		return VIA_LIMIT;
	if (strncmp(line, "init=leak\n", 10) == 0) {
		s->h->alloc(s->h->ctx, 100, 8);
		return s->h->fail(s->h->ctx, VIA_NOMEM, 0, "told to fail with a block left");
	}
	if (strncmp(line, "start=fail\n", 11) == 0)
		s->n_starts = -1;
	else if (strncmp(line, "leak=yes\n", 9) == 0)
		s->leak = 1;
	else if (strncmp(line, "keep=yes\n", 9) == 0)
		s->keep_ref = 1;
	else if (strncmp(line, "again=3\n", 8) == 0)
		s->again = 3;
	else if (strncmp(line, "drain=never\n", 12) == 0)
		s->again = 1 << 30;
	else if (strncmp(line, "drain=fail\n", 11) == 0)
		s->refuse_drain = 1;
	else if (strncmp(line, "stop=fail\n", 10) == 0)
		s->refuse_stop = 1;
	else if (strncmp(line, "lookup=", 7) == 0)
		return look_up(s, line + 7);
	else
		return s->h->fail(s->h->ctx, VIA_INVAL, 0, "unknown key");
	return VIA_OK;
}

/* -- lifecycle --------------------------------------------------------------------------------- */

static void VIA_CALL unit_fini(void *self)
{
	struct unit_self *s = self;
	const via_host *h = s->h;

	if (!s->keep_ref)
		h->unref(h->ctx, &s->other);
	h->free(h->ctx, s->block);
	if (!s->leak)
		h->free(h->ctx, s);
}

static via_rc VIA_CALL unit_init(const via_host *h, const char *config, void **out)
{
	const via_sysgate *gate = h->get_ext(h->ctx, VIA_EXT_SYSGATE);
	struct unit_self *s;
	via_rc rc = VIA_OK;
	int32_t err;

	err = gate == NULL ? 0 : gate->deny(gate->arg, "unit");
	if (err != 0)
		return h->fail(h->ctx, VIA_IO, err, "unit");
	s = h->alloc(h->ctx, sizeof *s, _Alignof(struct unit_self));
	if (s == NULL)
		return h->fail(h->ctx, VIA_NOMEM, 0, "module state");
	s->h = h;
	s->block = h->alloc(h->ctx, 1000, 256);
	if (s->block == NULL || ((uintptr_t)s->block & 255) != 0)
		rc = h->fail(h->ctx, VIA_NOMEM, 0, "a block");
	while (rc == VIA_OK && config != NULL && *config != '\0') {
		rc = configure(s, config);
		config += strcspn(config, "\n");
		config += *config == '\n';
	}
	if (rc != VIA_OK) {
		unit_fini(s);
		return rc;
	}
	h->log(h->ctx, VIA_LOG_DEBUG, "unit is up");
	*out = s;
	return VIA_OK;
}

static via_rc VIA_CALL unit_start(void *self)
{
	struct unit_self *s = self;

	return s->n_starts++ < 0 ? s->h->fail(s->h->ctx, VIA_IO, 0, "told not to start") : VIA_OK;
}

static via_rc VIA_CALL unit_pause(void *self)
{
	((struct unit_self *)self)->n_pauses++;
	return VIA_OK;
}

static via_rc VIA_CALL unit_resume(void *self)
{
	((struct unit_self *)self)->n_resumes++;
	return VIA_OK;
}

static via_rc VIA_CALL unit_drain(void *self, via_time deadline)
{
	struct unit_self *s = self;

	(void)deadline;
	s->n_drains++;
	if (s->refuse_drain)
		return s->h->fail(s->h->ctx, VIA_IO, 0, "told not to drain");
	if (s->again == 0)
		return VIA_OK;
	s->again--;
	return VIA_AGAIN;
}

static via_rc VIA_CALL unit_stop(void *self)
{
	struct unit_self *s = self;

	return s->refuse_stop ? s->h->fail(s->h->ctx, VIA_IO, 0, "told not to stop") : VIA_OK;
}

/* -- service ----------------------------------------------------------------------------------- */

static via_rc VIA_CALL unit_open(void *self, const via_peer *peer, void **session)
{
	(void)self;
	(void)peer;
	*session = NULL;
	return VIA_OK;
}

#ifndef UNIT_NO_CALL
static int is(const via_call *c, const char *word)
{
	return c->request_len == strlen(word) && memcmp(c->request, word, strlen(word)) == 0;
}

/* The request is a word: what to do or what to tell. */
static via_rc VIA_CALL unit_call(void *self, void *session, via_call *c)
{
	struct unit_self *s = self;
	int n = 0;

	(void)session;
	if (is(c, "pin"))
		s->h->pin(s->h->ctx);
	else if (is(c, "unpin"))
		s->h->unpin(s->h->ctx);
	else if (is(c, "settle"))
		s->again = s->refuse_drain = s->refuse_stop = 0;
	else if (is(c, "foreign"))
		s->h->free(s->h->ctx, (char *)s->other.self);
	else
		n = is(c, "pauses")    ? s->n_pauses
		    : is(c, "resumes") ? s->n_resumes
		    : is(c, "drains")  ? s->n_drains
		    : is(c, "starts")  ? s->n_starts
				       : -1;
	if (is(c, "version"))
		n = snprintf(c->response, (size_t)c->response_cap, "%s", UNIT_VERSION);
	else
		n = snprintf(c->response, (size_t)c->response_cap, "%d", n);
	c->response_len = (uint64_t)n;
	return VIA_OK;
}
#endif

static const char *const unit_codecs[] = {"text", NULL};
static const via_service unit_service = {
	.struct_size = sizeof unit_service,
	.name = UNIT_SERVICE,
	.codecs = unit_codecs,
	.open = unit_open,
	.call = UNIT_CALL,
};

/* -- module ------------------------------------------------------------------------------------ */

static const via_lifecycle unit_life = {
	.struct_size = sizeof unit_life,
	.init = unit_init,
	.start = unit_start,
	.pause = unit_pause,
	.resume = unit_resume,
	.drain = unit_drain,
	.stop = unit_stop,
	.fini = unit_fini,
};

static const via_component unit_components[] = {
	{sizeof(via_component), VIA_KIND_SERVICE, UNIT_SERVICE, UNIT_REV, UNIT_SCORE,
	 &unit_service},
};

static const via_module_desc unit_desc = {
	.magic = VIA_MODULE_MAGIC,
	.abi_major = VIA_ABI_MAJOR,
	.abi_minor = UNIT_MINOR,
	.struct_size = sizeof unit_desc,
	.flags = UNIT_FLAGS,
	.layout = VIA_LAYOUT,
	.id = UNIT_DESC_ID,
	.version = UNIT_VERSION,
	.license = "Apache-2.0",
	.components = unit_components,
	.n_components = 1,
	.component_size = sizeof(via_component),
	.life = &unit_life,
};

#define UNIT_NOTE \
	"id=" UNIT_ID "\0version=" UNIT_VERSION "\0" \
	"provides=service " UNIT_SERVICE "/" TEXT(UNIT_REV) " score=" TEXT( \
		UNIT_SCORE) " name=" UNIT_SERVICE \
			    " codecs=text max_request=100 max_response=200\0" UNIT_REQUIRES

#if defined(UNIT_OTHER_ABI) /* what a module of another ABI major would carry */
VIA_NOTE(unit_note) = VIA_NOTE_MAGIC "\0abi=2\0" UNIT_NOTE;
VIA_EXPORT via_rc VIA_CALL viaduct_module_v1(uint32_t, const via_module_desc **);
VIA_EXPORT via_rc VIA_CALL viaduct_module_v1(uint32_t minor, const via_module_desc **out)
{
	(void)minor;
	(void)unit_note;
	*out = &unit_desc;
	return VIA_OK;
}
#elif defined(UNIT_NO_ENTRY)
VIA_NOTE(unit_note) = VIA_NOTE_MAGIC "\0abi=1\0" UNIT_NOTE;
VIA_EXPORT const via_module_desc *unit_not_the_entry(void);
VIA_EXPORT const via_module_desc *unit_not_the_entry(void)
{
	return unit_note[0] != '\0' ? &unit_desc : NULL;
}
#elif defined(UNIT_NO_NOTE)
VIA_EXPORT via_rc VIA_CALL viaduct_module_v1(uint32_t, const via_module_desc **);
VIA_EXPORT via_rc VIA_CALL viaduct_module_v1(uint32_t minor, const via_module_desc **out)
{
	(void)minor;
	*out = &unit_desc;
	return VIA_OK;
}
#else
VIA_MODULE(unit, unit_desc, UNIT_NOTE)
#endif
