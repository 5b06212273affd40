/* tests/e2e/modules/broken.c - a codec and a service that are sound, or wrong in one way that is chosen when
 * they are compiled: BROKEN_x. For the tests of `viaduct check`.
 *
 * The codec carries one number in eight bytes, both ways; the service sends the number back.
 * Threads: none but one that must not be. Syscalls: none but one that must not be. Peer: none. Wire
 * layout: eight bytes, little-endian.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <viaduct/module.h>
#if defined(BROKEN_LIBRARY)
#include <viaduct/app/base.h>
#endif
#if defined(_WIN32)
#include <windows.h>
#else
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>
#endif

enum { LEN = 8 };

struct self {
	const via_host *h;
	void *block;
};

/* -- codec ----------------------------------------------------------------------------------- */

static const via_column columns[] = {{"value", VIA_T_U64, 0}};

static via_rc VIA_CALL codec_check(uint32_t side, const void *src, uint64_t len, via_flaw *why)
{
	(void)side;
#if defined(BROKEN_READS_BEYOND)
	if (((const volatile uint8_t *)src)[LEN - 1] == 0x77)
		return 0;
#else
	(void)src;
#endif
	if (len >= LEN)
		return 0;
#if !defined(BROKEN_NO_FLAW)
	if (why != NULL)
		*why = (via_flaw){.kind = VIA_FLAW_TRUNCATED,
				  .item = VIA_FLAW_NO_ITEM,
				  .expected = LEN,
				  .found = len,
				  .field = "value"};
#else
	(void)why;
#endif
	return VIA_PROTO;
}

static void VIA_CALL codec_head(uint32_t side, const void *src, uint64_t len, via_value *out)
{
	(void)side;
	(void)len;
	memset(out, 0, sizeof *out);
	out->type = VIA_T_U64;
	memcpy(&out->v.u64, src, LEN);
#if defined(BROKEN_LOSES)
	out->v.u64 &= 0xff;
#endif
}

static void VIA_CALL codec_row(uint32_t side, const void *src, uint64_t len, uint32_t index,
			       via_value *out)
{
	(void)side, (void)src, (void)len, (void)index, (void)out;
}

struct build {
	uint8_t *dst;
	uint64_t cap, used;
};

static via_rc VIA_CALL codec_begin(via_builder *b, uint32_t side, void *dst, uint64_t cap,
				   uint32_t max_rows)
{
	struct build s = {dst, cap, 0};

	(void)side;
	(void)max_rows;
	memcpy(b, &s, sizeof s);
	return VIA_OK;
}

static via_rc VIA_CALL codec_set_head(via_builder *b, const via_value *head)
{
	struct build s;

	memcpy(&s, b, sizeof s);
#if !defined(BROKEN_WRITES_BEYOND)
	if (s.cap < LEN)
		return VIA_TOOBIG;
#endif
	memcpy(s.dst, &head->v.u64, LEN);
	s.used = LEN;
	memcpy(b, &s, sizeof s);
	return VIA_OK;
}

static via_rc VIA_CALL codec_add_row(via_builder *b, const via_value *row, const via_value *pairs)
{
	(void)b, (void)row, (void)pairs;
	return VIA_LIMIT;
}

#if !defined(BROKEN_NO_FINISH)
static via_rc VIA_CALL codec_finish(via_builder *b, uint64_t *used)
{
	struct build s;

	memcpy(&s, b, sizeof s);
	*used = s.used;
	return VIA_OK;
}
#endif

static const via_codec codec = {
	.struct_size = sizeof codec,
	.method = 77,
	.layout = 1,
	.name = "check-broken",
	.side = {{1, 0, columns, NULL}, {1, 0, columns, NULL}},
	.check = codec_check,
	.head = codec_head,
	.row = codec_row,
	.begin = codec_begin,
	.set_head = codec_set_head,
	.add_row = codec_add_row,
#if !defined(BROKEN_NO_FINISH)
	.finish = codec_finish,
#endif
};

/* -- service --------------------------------------------------------------------------------- */

static via_rc VIA_CALL service_call(void *self, void *session, via_call *c)
{
	(void)self;
	(void)session;
#if !defined(BROKEN_SERVICE_WRITES_BEYOND)
	if (c->response_cap < LEN)
		return VIA_TOOBIG;
#endif
	memcpy(c->response, c->request, LEN);
#if defined(BROKEN_ANSWER)
	c->response_len = LEN - 1;
#else
	c->response_len = LEN;
#endif
	return VIA_OK;
}

static const char *const service_codecs[] = {"check-broken", NULL};
static const via_service service = {
	.struct_size = sizeof service,
	.flags = VIA_SVC_CONCURRENT | VIA_SVC_IDEMPOTENT,
	.name = "check-broken",
	.codecs = service_codecs,
	.call = service_call,
};

/* -- lifecycle ------------------------------------------------------------------------------- */

#if defined(BROKEN_THREAD)
static void *sleep_for_ever(void *arg)
{
	for (;;)
		(void)pause();
	return arg;
}
#endif

static void misbehave(void)
{
#if defined(BROKEN_CRASH)
	static volatile uintptr_t nowhere = 16;

	*(volatile int *)nowhere = 1;
#elif defined(BROKEN_HANG)
	for (volatile int i = 1; i != 0;)
		;
#elif defined(BROKEN_EXIT)
	exit(0);
#elif defined(BROKEN_OUTPUT)
	(void)puts("hello from the module");
	(void)fflush(stdout);
#elif defined(BROKEN_FLOOD)
	while (puts("hello from the module") >= 0)
		;
#elif defined(BROKEN_CLOSES)
	(void)close(0);
	(void)close(1);
	(void)close(2);
#elif defined(BROKEN_FORK)
	if (fork() == 0)
		for (;;)
			(void)pause();
#elif defined(BROKEN_THREAD)
	pthread_t thread;

	(void)pthread_create(&thread, NULL, sleep_for_ever, NULL);
#elif defined(BROKEN_HANDLE) && defined(_WIN32)
	(void)CreateEventW(NULL, TRUE, FALSE, NULL);
#elif defined(BROKEN_HANDLE)
	if (dup(0) < 0)
		return;
#elif defined(BROKEN_LIBRARY)
	(void)via_version();
#endif
}

static via_rc VIA_CALL life_init(const via_host *h, const char *config, void **out)
{
	struct self *s;

#if !defined(BROKEN_ANY_KEY)
	if (config != NULL && config[0] != '\0')
		return h->fail(h->ctx, VIA_INVAL, 0, "unknown key: expected none");
#else
	(void)config;
#endif
	misbehave();
	s = h->alloc(h->ctx, sizeof *s, _Alignof(struct self));
#if !defined(BROKEN_UNCHECKED)
	if (s == NULL)
		return h->fail(h->ctx, VIA_NOMEM, 0, "module state");
#endif
	s->h = h;
	s->block = h->alloc(h->ctx, 100, 8);
	if (s->block == NULL) {
#if !defined(BROKEN_LEAK_ON_FAILURE)
		h->free(h->ctx, s);
#endif
		return h->fail(h->ctx, VIA_NOMEM, 0, "a block");
	}
	*out = s;
	return VIA_OK;
}

static void VIA_CALL life_fini(void *self)
{
	struct self *s = self;
	const via_host *h = s->h;

#if !defined(BROKEN_LEAK)
	h->free(h->ctx, s->block);
#endif
	h->free(h->ctx, s);
}

static const via_lifecycle life = {
	.struct_size = sizeof life,
	.init = life_init,
	.fini = life_fini,
};

/* -- module ---------------------------------------------------------------------------------- */

static const via_component components[] = {
	{sizeof(via_component), VIA_KIND_CODEC, "org.test.broken", 1, 100, &codec},
	{sizeof(via_component), VIA_KIND_SERVICE, "org.test.broken", 1, 100, &service},
};

#if defined(BROKEN_ID)
#define DESC_ID "org.test.somebody-else"
#else
#define DESC_ID "org.test.broken"
#endif
#if defined(BROKEN_THREAD) /* its code must stay */
#define FLAGS 0
#else
#define FLAGS VIA_MOD_UNLOADABLE
#endif
static const via_module_desc desc =
	VIA_MODULE_DESC(DESC_ID, "1.0.0", "Apache-2.0", FLAGS, components, &life);

#if defined(BROKEN_EXPORT)
VIA_EXPORT int broken_second_export(void);
VIA_EXPORT int broken_second_export(void)
{
	return 1;
}
#endif
#if defined(BROKEN_VERSION)
#define VERSION
#else
#define VERSION "version=1.0.0\0"
#endif

VIA_MODULE(broken, desc,
	   "id=org.test.broken\0" VERSION
	   "provides=codec org.test.broken/1 score=100 method=77 name=check-broken\0"
	   "provides=service org.test.broken/1 score=100 name=check-broken codecs=check-broken "
	   "max_request=64 max_response=64\0")
