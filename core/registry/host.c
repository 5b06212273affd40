/* core/registry/host.c - the host table: what one generation of a module may ask of the core.
 *
 * Every block is chained to its generation, so that what a module leaves behind is counted, named
 * and freed. Threads: all functions from any thread.
 */
#include "reg.h"

#include <string.h>

/* Stands directly before the memory the module gets. */
struct host_block {
	struct host_block *next, *prev;
	void *base; /* what the environment gave */
	reg_gen *owner;
	uint64_t size;
	uint64_t unused; /* a multiple of 16 bytes in all */
};

static reg_gen *gen_of(via_ctx *ctx)
{
	return (reg_gen *)(void *)ctx;
}

/* -- diagnostics ------------------------------------------------------------------------------- */

/* Also called while the module's identity is still being found out. */
static const char *origin(const reg_gen *g)
{
	return g->note != NULL ? g->note->n.id : g->file->label;
}

static void VIA_CALL host_log(via_ctx *ctx, int32_t level, const char *text)
{
	reg_gen *g = gen_of(ctx);

	if (reg_logs(g->reg, level))
		g->reg->log(g->reg->log_arg, level, origin(g), text == NULL ? "" : text);
}

static via_rc VIA_CALL host_fail(via_ctx *ctx, via_rc rc, int64_t os_error, const char *detail)
{
	(void)ctx;
	if (detail == NULL)
		detail = via_rc_text(rc);
	return os_error != 0 ? core_fail_os(rc, os_error, "%s", detail)
			     : core_fail(rc, "%s", detail);
}

/* -- memory and time --------------------------------------------------------------------------- */

static void *VIA_CALL host_alloc(via_ctx *ctx, uint64_t size, uint64_t align)
{
	reg_gen *g = gen_of(ctx);
	struct host_block *b;
	uint64_t head;
	char *base, *p;

	if ((align & (align - 1)) != 0 || align > 1u << 20 || size > UINT64_MAX / 2)
		return NULL;
	if (align < 16)
		align = 16;
	head = (sizeof *b + align - 1) & ~(align - 1);
	base = g->reg->env.alloc(g->reg->env.arg, head + size, align);
	if (base == NULL)
		return NULL;
	p = base + head;
	b = (struct host_block *)(void *)(p - sizeof *b);
	b->base = base;
	b->owner = g;
	b->size = size;
	os_mutex_lock(&g->mem);
	b->next = g->blocks;
	if (b->next != NULL)
		b->next->prev = b;
	g->blocks = b;
	g->n_blocks++;
	g->n_bytes += size;
	os_mutex_unlock(&g->mem);
	return p;
}

static void VIA_CALL host_free(via_ctx *ctx, void *p)
{
	reg_gen *g = gen_of(ctx);
	struct host_block *b;

	if (p == NULL)
		return;
	b = (struct host_block *)(void *)((char *)p - sizeof *b);
	if (b->owner != g) {
		reg_log(g->reg, VIA_LOG_ERROR, origin(g),
			"gave back memory that is not its own; it was left alone");
		return;
	}
	os_mutex_lock(&g->mem);
	if (b->prev != NULL)
		b->prev->next = b->next;
	else
		g->blocks = b->next;
	if (b->next != NULL)
		b->next->prev = b->prev;
	g->n_blocks--;
	g->n_bytes -= b->size;
	os_mutex_unlock(&g->mem);
	b->owner = NULL;
	env_free(&g->reg->env, b->base);
}

void host_reclaim(reg_gen *g)
{
	while (g->blocks != NULL)
		host_free((via_ctx *)(void *)g, (char *)g->blocks + sizeof *g->blocks);
}

static via_time VIA_CALL host_now(via_ctx *ctx)
{
	(void)ctx;
	return os_now();
}

/* -- other modules ----------------------------------------------------------------------------- */

static via_rc VIA_CALL host_lookup(via_ctx *ctx, uint32_t kind, const char *id, uint32_t min_rev,
				   via_ref *out)
{
	reg_want w = {.by = REG_BY_NAME, .kind = kind, .name = id, .min_rev = min_rev};
	reg_gen *g = gen_of(ctx);

	if (id == NULL || kind < VIA_KIND_TRANSPORT || kind > VIA_KIND_SERVICE)
		return core_fail(
			VIA_INVAL,
			"lookup: expected a kind from 1 to 3 and an id, found %u and %.80s", kind,
			id == NULL ? "none" : id);
	return reg_acquire(g->reg, &w, g, out);
}

static void VIA_CALL host_unref(via_ctx *ctx, via_ref *ref)
{
	via_registry_release(gen_of(ctx)->reg, ref);
}

/* -- lifetime ---------------------------------------------------------------------------------- */

static void VIA_CALL host_pin(via_ctx *ctx)
{
	reg_gen *g = gen_of(ctx);

	os_mutex_lock(&g->reg->pins);
	g->n_own_pins++;
	os_mutex_unlock(&g->reg->pins);
}

static void VIA_CALL host_unpin(via_ctx *ctx)
{
	reg_gen *g = gen_of(ctx);
	via_registry *r = g->reg;
	int surplus;

	os_mutex_lock(&r->pins);
	surplus = g->n_own_pins == 0;
	if (!surplus)
		g->n_own_pins--;
	if (g->n_own_pins == 0)
		os_cond_broadcast(&r->unpinned);
	os_mutex_unlock(&r->pins);
	if (surplus)
		reg_log(r, VIA_LOG_ERROR, origin(g), "unpin() without pin()");
}

static void VIA_CALL host_reply(via_ctx *ctx, uint64_t token, via_rc rc, const void *response,
				uint64_t len)
{
	pending_reply(gen_of(ctx)->reg->pending, token, rc, response, len);
}

/* -- extensions -------------------------------------------------------------------------------- */

static int32_t VIA_CALL gate_deny(void *arg, const char *call)
{
	return env_deny(arg, call);
}

static const void *VIA_CALL host_get_ext(via_ctx *ctx, const char *id)
{
	reg_gen *g = gen_of(ctx);

	if (id != NULL && strcmp(id, VIA_EXT_SYSGATE) == 0 && g->reg->env.deny != NULL)
		return &g->gate;
	return NULL;
}

void host_init(reg_gen *g)
{
	g->gate = (via_sysgate){.struct_size = sizeof g->gate,
				.arg = &g->reg->env,
				.deny = gate_deny};
	g->host = (via_host){
		.struct_size = sizeof g->host,
		.abi_minor = VIA_ABI_MINOR,
		.ctx = (via_ctx *)(void *)g,
		.log_level = &g->reg->log_level,
		.log = host_log,
		.fail = host_fail,
		.alloc = host_alloc,
		.free = host_free,
		.now = host_now,
		.lookup = host_lookup,
		.unref = host_unref,
		.pin = host_pin,
		.unpin = host_unpin,
		.reply = host_reply,
		.get_ext = host_get_ext,
	};
}
