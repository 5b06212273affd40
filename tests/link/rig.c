/* tests/link/rig.c - the rig's host table, modules, connections and verbs with a deadline. */
#include "rig.h"
#include "rig_os.h"
#include <stdlib.h>

static _Thread_local char detail[512];

const char *rig_detail(void)
{
	return detail;
}

void rig_detail_clear(void)
{
	detail[0] = '\0';
}

/* -- host table -------------------------------------------------------------------------------- */

static rig_host *host_of(via_ctx *c)
{
	return (rig_host *)(void *)c;
}

static via_rc VIA_CALL host_fail(via_ctx *c, via_rc rc, int64_t os_error, const char *text)
{
	(void)c;
	(void)os_error;
	snprintf(detail, sizeof detail, "%s", text);
	return rc;
}

static void VIA_CALL host_log(via_ctx *c, int32_t level, const char *text)
{
	(void)c;
	(void)level;
	(void)text;
}

/* Zeroed, aligned; what malloc() gave is kept in front. */
static void *VIA_CALL host_alloc(via_ctx *c, uint64_t size, uint64_t align)
{
	rig_host *h = host_of(c);
	uint32_t n = atomic_fetch_add(&h->allocs, 1) + 1;
	char *raw;
	uintptr_t p;

	if (n == h->fail_alloc || size > (1u << 30) || align == 0 || (align & (align - 1)) != 0)
		return NULL;
	raw = calloc(1, (size_t)(size + align + sizeof raw));
	if (raw == NULL)
		return NULL;
	p = ((uintptr_t)raw + sizeof raw + (uintptr_t)align - 1) & ~((uintptr_t)align - 1);
	memcpy((void *)(p - sizeof raw), &raw, sizeof raw);
	atomic_fetch_add(&h->live, 1);
	return (void *)p;
}

static void VIA_CALL host_free(via_ctx *c, void *p)
{
	char *raw;

	if (p == NULL)
		return;
	memcpy(&raw, (char *)p - sizeof raw, sizeof raw);
	atomic_fetch_sub(&host_of(c)->live, 1);
	free(raw);
}

static via_time VIA_CALL host_now(via_ctx *c)
{
	(void)c;
	return rig_now();
}

static via_rc VIA_CALL host_lookup(via_ctx *c, uint32_t kind, const char *id, uint32_t rev,
				   via_ref *out)
{
	(void)c;
	(void)kind;
	(void)id;
	(void)rev;
	(void)out;
	return VIA_NOTFOUND;
}

static void VIA_CALL host_unref(via_ctx *c, via_ref *ref)
{
	(void)c;
	(void)ref;
}

static void VIA_CALL host_pin(via_ctx *c)
{
	(void)c;
}

static void VIA_CALL host_reply(via_ctx *c, uint64_t token, via_rc rc, const void *p, uint64_t len)
{
	(void)c;
	(void)token;
	(void)rc;
	(void)p;
	(void)len;
}

static const void *VIA_CALL host_get_ext(via_ctx *c, const char *id)
{
	return strcmp(id, VIA_EXT_SYSGATE) == 0 ? &host_of(c)->gate : NULL;
}

static int32_t VIA_CALL host_deny(void *arg, const char *call)
{
	rig_host *h = arg;
	uint32_t n = atomic_fetch_add(&h->calls, 1) + 1;

	if (h->hook != NULL)
		h->hook(h->hook_arg, call);
	if (n != h->fail_call)
		return 0;
	if (h->how == RIG_EXIT)
		_Exit(h->error);
	return h->error;
}

static void host_init(rig_host *h)
{
	static const volatile int32_t level = VIA_LOG_OFF;

	*h = (rig_host){
		.h = {.struct_size = sizeof(via_host),
		      .log_level = &level,
		      .log = host_log,
		      .fail = host_fail,
		      .alloc = host_alloc,
		      .free = host_free,
		      .now = host_now,
		      .lookup = host_lookup,
		      .unref = host_unref,
		      .pin = host_pin,
		      .unpin = host_pin,
		      .reply = host_reply,
		      .get_ext = host_get_ext},
		.gate = {.struct_size = sizeof(via_sysgate), .deny = host_deny},
	};
	h->h.ctx = (via_ctx *)(void *)h;
	h->gate.arg = h;
}

/* -- modules ----------------------------------------------------------------------------------- */

static int has_word(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (; list != NULL; list = strchr(list, ',')) {
		list += *list == ',';
		if (strncmp(list, word, len) == 0 && (list[len] == ',' || list[len] == '\0'))
			return 1;
	}
	return 0;
}

/* Of several transports the one of that name or id; else the first. */
static const via_transport *transport_of(const via_module_desc *d, const char *name)
{
	const via_transport *first = NULL;
	uint32_t i;

	for (i = 0; i < d->n_components; i++) {
		const via_component *c =
			(const void *)((const char *)d->components + (size_t)i * d->component_size);
		const via_transport *t = c->vtable;

		if (c->kind != VIA_KIND_TRANSPORT || t == NULL)
			continue;
		if (strcmp(c->id, name) == 0 || has_word(t->schemes, name))
			return t;
		if (first == NULL)
			first = t;
	}
	return first;
}

static const char *flaw_of(const via_module_desc *d)
{
	if (d == NULL || d->magic != VIA_MODULE_MAGIC)
		return "expected a descriptor with VIA_MODULE_MAGIC, found none";
	if (d->abi_major != VIA_ABI_MAJOR || d->abi_minor > VIA_ABI_MINOR)
		return "expected a module for an ABI that is not newer than this program's";
	if (d->layout != VIA_LAYOUT)
		return "expected the layout of this ABI, found another: see the compiler's options";
	return NULL;
}

int rig_load(rig_layer *l, const char *name, char *why, size_t cap)
{
	char file[4096];
	via_module_entry_fn entry;
	const char *flaw;
	via_rc rc;

	rig_module_file(name, file, sizeof file);
	l->image = rig_image_open(file, why, cap);
	if (l->image == NULL)
		return 0;
	entry = (via_module_entry_fn)rig_image_symbol(l->image, VIA_MODULE_SYMBOL);
	if (entry == NULL) {
		snprintf(why, cap, "expected the symbol " VIA_MODULE_SYMBOL ", found none");
		return 0;
	}
	rc = entry(VIA_ABI_MINOR, &l->desc);
	if (rc != VIA_OK) {
		snprintf(why, cap, "expected VIA_OK of " VIA_MODULE_SYMBOL "(), found %d", rc);
		return 0;
	}
	flaw = flaw_of(l->desc);
	l->t = flaw == NULL ? transport_of(l->desc, name) : NULL;
	if (l->t == NULL)
		snprintf(why, cap, "%s", flaw != NULL ? flaw : "expected a transport, found none");
	return l->t != NULL;
}

static void load_layer(rig_layer *l, const char *word, size_t len)
{
	char name[RIG_NAME_MAX], why[512];

	cr_assert_lt(len, sizeof name);
	snprintf(name, sizeof name, "%.*s", (int)len, word);
	cr_assert(rig_load(l, name, why, sizeof why), "%s: %s", name, why);
}

/* Words between from and end, joined by '+', the last one first. */
static uint32_t load_layers(rig_layer *layers, const char *from, const char *end)
{
	uint32_t n = 0;

	while (end != from) {
		const char *word = end;

		while (word != from && word[-1] != '+')
			word--;
		cr_assert_lt(n, RIG_MAX_LAYERS);
		load_layer(&layers[n++], word, (size_t)(end - word));
		end = word == from ? from : word - 1;
	}
	return n;
}

static uint32_t n_layers(const rig *r)
{
	return r->n + r->n_up;
}

static rig_layer *layer_at(rig *r, uint32_t i)
{
	return i < r->n ? &r->layer[i] : &r->up[i - r->n];
}

static const via_lifecycle *life_of(const rig_layer *l)
{
	static const via_lifecycle none = {.struct_size = sizeof none};

	return l->desc->life != NULL ? l->desc->life : &none;
}

static via_rc layer_up(rig_layer *l, const via_host *h, const char *config)
{
	const via_lifecycle *life = life_of(l);
	via_rc rc = life->init != NULL ? life->init(h, config, &l->self) : VIA_OK;

	if (rc != VIA_OK)
		return rc;
	l->is_up = 1;
	return life->start != NULL ? life->start(l->self) : VIA_OK;
}

/* Nothing is open any more, so nothing is left to drain. */
static void layer_down(rig_layer *l)
{
	const via_lifecycle *life = life_of(l);

	if (!l->is_up)
		return;
	if (life->pause != NULL)
		cr_expect_eq(life->pause(l->self), VIA_OK);
	if (life->drain != NULL)
		cr_expect_eq(life->drain(l->self, rig_now() + RIG_SOON), VIA_OK);
	if (life->stop != NULL)
		cr_expect_eq(life->stop(l->self), VIA_OK);
	if (life->fini != NULL)
		life->fini(l->self);
	l->self = NULL;
	l->is_up = 0;
}

via_rc rig_init_modules(rig *r, const char *config)
{
	uint32_t i;

	for (i = 0; i < n_layers(r); i++) {
		via_rc rc = layer_up(layer_at(r, i), &r->host.h, i == 0 ? config : NULL);

		if (rc != VIA_OK) {
			rig_fini_modules(r);
			return rc;
		}
	}
	r->own = atomic_load(&r->host.live);
	return VIA_OK;
}

void rig_fini_modules(rig *r)
{
	uint32_t i;

	for (i = n_layers(r); i > 0; i--)
		layer_down(layer_at(r, i - 1));
}

void rig_open(rig *r, const char *stack)
{
	const char *upgrade = strchr(stack, '>');
	const char *profile = strchr(stack, ':');
	const char *all = profile != NULL ? profile : stack + strlen(stack);
	const char *end = upgrade != NULL ? upgrade : all;
	const char *baseline = end;

	memset(r, 0, sizeof *r);
	host_init(&r->host);
	snprintf(r->stack, sizeof r->stack, "%s", stack);
	while (baseline != stack && baseline[-1] != '+')
		baseline--;
	snprintf(r->baseline, sizeof r->baseline, "%.*s", (int)(end - baseline), baseline);
	r->n = load_layers(r->layer, stack, end);
	if (upgrade != NULL)
		r->n_up = load_layers(r->up, upgrade + 1, all);
	if (profile != NULL)
		r->profile = (uint32_t)strtoul(profile + 1, NULL, 16);
	rig_dir_make(r->dir, sizeof r->dir);
	rig_system_warm_up();
	cr_assert_eq(rig_init_modules(r, NULL), VIA_OK, "%s", rig_detail());
	r->descriptors = rig_descriptors();
	r->mappings = rig_mappings();
}

void rig_check_files(rig *r, uint32_t expected)
{
	cr_assert_eq(rig_files(r->dir), expected, "%u files in the run directory, expected %u",
		     rig_files(r->dir), expected);
}

void rig_check_clean(rig *r)
{
	cr_assert_eq(atomic_load(&r->host.live), r->own, "%lld allocations are left",
		     (long long)(atomic_load(&r->host.live) - r->own));
	cr_assert_eq(rig_descriptors(), r->descriptors, "%u descriptors, %u before",
		     rig_descriptors(), r->descriptors);
	cr_assert_eq(rig_mappings(), r->mappings, "%u mappings, %u before", rig_mappings(),
		     r->mappings);
}

void rig_close(rig *r)
{
	rig_hang_up(&r->a);
	rig_hang_up(&r->b);
	rig_stop(&r->listener);
	rig_check_clean(r);
	rig_check_files(r, 0);
	rig_fini_modules(r);
	cr_assert_eq(atomic_load(&r->host.live), 0, "modules have left allocations");
	rig_dir_remove(r->dir);
}

/* -- connections ------------------------------------------------------------------------------- */

const char *rig_option(const rig *r, const char *key, const char *value)
{
	static _Thread_local char line[RIG_NAME_MAX + 64];

	snprintf(line, sizeof line, "%s.%s=%s\n", r->baseline, key, value);
	return line;
}

via_address rig_address(const rig *r, const char *service, const char *config)
{
	return (via_address){.struct_size = sizeof(via_address),
			     .ns = r->dir,
			     .service = service,
			     .config = config};
}

via_rc rig_listen(rig *r, const char *config, via_listener **out)
{
	via_address a = rig_address(r, "svc", config);

	return r->layer[0].t->listen(r->layer[0].self, &a, out);
}

via_rc rig_wrap(const rig *r, const rig_layer *layers, uint32_t n, via_link **link)
{
	uint32_t i;

	for (i = 1; i < n; i++) {
		via_rc rc = layers[i].t->wrap(layers[i].self, *link,
					      r->decor[0] == '\0' ? NULL : r->decor, link);

		if (rc != VIA_OK) {
			(*link)->ops->close(*link);
			return rc;
		}
	}
	return VIA_OK;
}

via_rc rig_dial(rig *r, const char *config, via_link **out)
{
	via_address a = rig_address(r, "svc", config);
	via_link *l;
	via_rc rc = r->layer[0].t->dial(r->layer[0].self, &a, &l);

	if (rc == VIA_OK)
		rc = rig_wrap(r, r->layer, r->n, &l);
	if (rc == VIA_OK)
		*out = l;
	return rc;
}

via_rc rig_accept(rig *r, via_listener *listener, via_link **out)
{
	via_link *l;
	via_rc rc = listener->ops->accept(listener, &l);

	if (rc == VIA_OK)
		rc = rig_wrap(r, r->layer, r->n, &l);
	if (rc == VIA_OK)
		*out = l;
	return rc;
}

via_rc rig_accept_soon(rig *r, via_listener *l, via_link **out)
{
	via_time deadline = rig_now() + RIG_SOON;

	for (;;) {
		via_waitobj o = {.struct_size = sizeof o};
		via_rc rc = rig_accept(r, l, out);

		if (rc != VIA_AGAIN)
			return rc;
		rc = l->ops->arm(l, &o);
		if (rc == VIA_OK && rig_sleep(&o, deadline) == 0)
			return VIA_TIMEOUT;
		if (rc != VIA_OK && rc != VIA_BUSY)
			return rc;
	}
}

void rig_pair(rig *r)
{
	cr_assert_eq(rig_try_pair(r, r->listener, &r->a, &r->b), VIA_OK, "%s", rig_detail());
}

void rig_connect(rig *r)
{
	cr_assert_eq(rig_listen(r, NULL, &r->listener), VIA_OK, "listen: %s", rig_detail());
	rig_pair(r);
}

void rig_stop(via_listener **l)
{
	if (*l != NULL)
		(*l)->ops->close(*l);
	*l = NULL;
}

/* -- verbs with a deadline --------------------------------------------------------------------- */

via_rc rig_get(via_link *l, via_view *out)
{
	via_time deadline = rig_now() + RIG_SOON;

	for (;;) {
		via_rc rc = l->ops->recv(l, out, 1);

		if (rc != VIA_AGAIN)
			return rc;
		rc = rig_wait(l, VIA_EV_RX, deadline);
		if (rc != VIA_OK)
			return rc;
	}
}

via_rc rig_send_once(via_link *l, const void *data, uint32_t len)
{
	via_iov iov = {data, len};
	via_msg m = {.iov = &iov, .n_iov = 1};
	via_rc rc = l->ops->send(l, &m, 1);

	return rc == 1 ? VIA_OK : rc;
}

via_rc rig_put(via_link *l, const void *data, uint32_t len)
{
	via_time deadline = rig_now() + RIG_SOON;

	for (;;) {
		via_rc rc = rig_send_once(l, data, len);

		if (rc != VIA_AGAIN)
			return rc;
		rc = rig_wait(l, VIA_EV_TX, deadline);
		if (rc != VIA_OK)
			return rc;
	}
}

void rig_fill(uint8_t *p, uint32_t len, uint32_t number)
{
	uint32_t i;

	for (i = 0; i < len; i++)
		p[i] = (uint8_t)(number * 31 + i * 7 + (i >> 8));
}

void rig_check_fill(const via_view *v, uint32_t len, uint32_t number)
{
	const uint8_t *p = v->data;
	uint32_t i;

	cr_assert_eq(v->len, len, "record %u: %u bytes, expected %u", number, v->len, len);
	for (i = 0; i < len; i++)
		if (p[i] != (uint8_t)(number * 31 + i * 7 + (i >> 8)))
			cr_assert_fail("record %u differs at byte %u of %u", number, i, len);
}

void rig_expect_record(via_link *l, uint32_t len, uint32_t number)
{
	via_view v;
	via_rc rc = rig_get(l, &v);

	cr_assert_eq(rc, 1, "record %u: %d", number, rc);
	rig_check_fill(&v, len, number);
	l->ops->release(l, &v, 1);
}
