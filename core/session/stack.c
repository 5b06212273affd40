/* core/session/stack.c - resolves "fault+uds>fault+ring" into loaded modules and makes links from them. */
#include "stack.h"
#include "../os/os.h"
#include <string.h>

/* -- endpoint ------------------------------------------------------------------------------------- */

enum { SERVICE_MAX = 127, RUN_DIR_MAX = 255 }; /* docs/wire.md section 17 */

static int service_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '.' || c == '_' || c == '-';
}

/* docs/wire.md section 9: service names. */
static via_rc check_service(const char *s)
{
	size_t n;

	if (s == NULL || s[0] == '\0')
		return core_fail(VIA_INVAL,
				 "service name: expected at least one character, found none");
	for (n = 0; s[n] != '\0'; n++) {
		if (n == SERVICE_MAX)
			return core_fail(VIA_INVAL, "service name: expected at most %d bytes",
					 SERVICE_MAX);
		if (!service_char(s[n]))
			return core_fail(
				VIA_INVAL,
				"service name: expected only A-Z a-z 0-9 . _ -, found byte 0x%02x at %zu",
				(unsigned char)s[n], n);
	}
	if (strcmp(s, ".") == 0 || strcmp(s, "..") == 0)
		return core_fail(VIA_INVAL, "service name: \"%s\" is a directory", s);
	return VIA_OK;
}

via_rc via_endpoint_check(const via_endpoint *ep)
{
	via_rc rc;

	if (ep == NULL || !VIA_HAS(ep, via_endpoint, auth_token))
		return core_fail(VIA_INVAL, "endpoint: struct_size is not set");
	rc = check_service(ep->service);
	if (rc != VIA_OK)
		return rc;
	if (ep->run_dir == NULL)
		return VIA_OK;
	if (ep->run_dir[0] == '\0')
		return core_fail(VIA_INVAL, "run directory: expected a path, found an empty one");
	if (strlen(ep->run_dir) > RUN_DIR_MAX)
		return core_fail(VIA_INVAL, "run directory: expected at most %d bytes, found %zu",
				 RUN_DIR_MAX, strlen(ep->run_dir));
	return VIA_OK;
}

static char *copy_or_null(const core_env *e, const char *s, int *failed)
{
	char *c = s == NULL ? NULL : env_strdup(e, s);

	*failed |= s != NULL && c == NULL;
	return c;
}

via_rc endpoint_copy(const core_env *e, const via_endpoint *in, via_endpoint *out)
{
	int failed = 0;

	*out = (via_endpoint){.struct_size = sizeof *out,
			      .service = copy_or_null(e, in->service, &failed),
			      .run_dir = copy_or_null(e, in->run_dir, &failed),
			      .transport = copy_or_null(e, in->transport, &failed),
			      .config = copy_or_null(e, in->config, &failed),
			      .auth_token = in->auth_token};
	return failed != 0 ? core_nomem("endpoint") : VIA_OK;
}

void endpoint_free(const core_env *e, via_endpoint *ep)
{
	env_free(e, (char *)(uintptr_t)ep->service);
	env_free(e, (char *)(uintptr_t)ep->run_dir);
	env_free(e, (char *)(uintptr_t)ep->transport);
	env_free(e, (char *)(uintptr_t)ep->config);
}

via_rc via_default_run_dir(char *buf, uint32_t cap)
{
	return os_default_run_dir(buf, cap);
}

/* -- configuration: each layer gets the lines with its own prefix ---------------------------------- */

static int has_scheme(const char *schemes, const char *name, size_t len)
{
	while (schemes != NULL && *schemes != '\0') {
		size_t n = strcspn(schemes, ",");

		if (n == len && memcmp(schemes, name, len) == 0)
			return 1;
		schemes += n + (schemes[n] == ',');
	}
	return 0;
}

/* The layer a "scheme.key=value" line belongs to, or NULL. */
static stack_layer *line_owner(stack *st, const char *line, size_t len, int is_upper)
{
	const char *dot = memchr(line, '.', len);
	uint32_t end = is_upper != 0 ? st->n + st->n_up : st->n;
	uint32_t i;

	if (dot == NULL)
		return NULL;
	for (i = is_upper != 0 ? st->n : 0; i < end; i++)
		if (has_scheme(stack_transport(&st->layer[i])->schemes, line, (size_t)(dot - line)))
			return &st->layer[i];
	return NULL;
}

static via_rc add_line(const core_env *e, stack_layer *l, const char *line, size_t len)
{
	size_t have = l->config == NULL ? 0 : strlen(l->config);
	char *grown = env_alloc(e, have + len + 2);

	if (grown == NULL)
		return core_nomem("transport configuration");
	if (have != 0)
		memcpy(grown, l->config, have);
	memcpy(grown + have, line, len);
	grown[have + len] = '\n';
	env_free(e, l->config);
	l->config = grown;
	return VIA_OK;
}

static via_rc split_config(stack *st, const char *config)
{
	while (config != NULL && *config != '\0') {
		size_t n = strcspn(config, "\n");

		if (n != 0) {
			size_t mark = config[0] == '>'; /* for what is behind the '>' */
			stack_layer *owner = line_owner(st, config + mark, n - mark, mark != 0);
			via_rc rc;

			if (owner == NULL)
				return core_fail(
					VIA_INVAL,
					"transport configuration: expected \"scheme.key=value\" with a scheme of "
					"this endpoint, found \"%.*s\"",
					(int)(n > 80 ? 80 : n), config);
			rc = add_line(reg_env(st->reg), owner, config + mark, n - mark);
			if (rc != VIA_OK)
				return rc;
		}
		config += n + (config[n] == '\n');
	}
	return VIA_OK;
}

/* -- resolving --------------------------------------------------------------------------------------- */

static via_rc take_layer(stack *st, const char *scheme, size_t len, uint32_t role, uint32_t *n)
{
	static const char *const role_name[] = {"", "baseline", "upgrade", "", "decorator"};
	stack_layer *l;
	char name[64];
	via_rc rc;

	if (len == 0 || len >= sizeof name)
		return core_fail(
			VIA_INVAL,
			"transport: expected scheme names with '+' between, found \"%.*s\"",
			(int)(len > 63 ? 63 : len), scheme);
	if (st->n + st->n_up == STACK_MAX_LAYERS)
		return core_fail(VIA_INVAL, "transport: expected at most %d layers",
				 STACK_MAX_LAYERS);
	l = &st->layer[st->n + st->n_up];
	memcpy(name, scheme, len);
	name[len] = '\0';
	rc = via_registry_acquire(st->reg, VIA_KIND_TRANSPORT, name, 0, &l->ref);
	if (rc != VIA_OK)
		return rc;
	(*n)++;
	if ((stack_transport(l)->roles & role) == 0)
		return core_fail(VIA_INVAL, "transport \"%s\" is not a %s", name, role_name[role]);
	return VIA_OK;
}

/* "fault+uds": the carrier is the last word. */
static via_rc take_words(stack *st, const char *transport, size_t end, uint32_t role, uint32_t *n)
{
	for (;;) {
		size_t start = end;
		via_rc rc;

		while (start > 0 && transport[start - 1] != '+')
			start--;
		rc = take_layer(st, transport + start, end - start, role, n);
		if (rc != VIA_OK)
			return rc;
		if (start == 0)
			return VIA_OK;
		end = start - 1;
		role = VIA_ROLE_DECORATOR;
	}
}

/* "fault+uds>fault+ring" */
static via_rc take_layers(stack *st, const char *transport)
{
	size_t base = strcspn(transport, ">");
	const char *upper = transport[base] == '>' ? transport + base + 1 : NULL;
	via_rc rc;

	if (upper != NULL && strchr(upper, '>') != NULL)
		return core_fail(VIA_INVAL, "transport: expected at most one '>', found \"%.60s\"",
				 transport);
	rc = take_words(st, transport, base, VIA_ROLE_BASELINE, &st->n);
	if (rc == VIA_OK && upper != NULL)
		rc = take_words(st, upper, strlen(upper), VIA_ROLE_UPGRADE, &st->n_up);
	return rc;
}

static via_rc take_names(stack *st, const via_endpoint *ep)
{
	const core_env *e = reg_env(st->reg);
	char dir[RUN_DIR_MAX + 1];
	via_rc rc;

	if (ep->run_dir == NULL) {
		rc = os_default_run_dir(dir, sizeof dir);
		if (rc != VIA_OK)
			return rc;
	}
	st->ns = env_strdup(e, ep->run_dir == NULL ? dir : ep->run_dir);
	st->service = env_strdup(e, ep->service);
	return st->ns == NULL || st->service == NULL ? core_nomem("endpoint") : VIA_OK;
}

via_rc stack_open(via_registry *reg, const via_endpoint *ep, stack *out)
{
	stack st = {.reg = reg};
	via_rc rc;

	rc = via_endpoint_check(ep);
	if (rc != VIA_OK)
		return rc;
	st.auth_token = ep->auth_token;
	rc = take_names(&st, ep);
	if (rc == VIA_OK && ep->transport != NULL)
		rc = take_layers(&st, ep->transport);
	if (rc == VIA_OK && ep->transport == NULL) {
		rc = reg_acquire_baseline(reg, &st.layer[0].ref);
		st.n = rc == VIA_OK;
	}
	if (rc == VIA_OK)
		rc = split_config(&st, ep->config);
	if (rc != VIA_OK) {
		stack_close(&st);
		return rc;
	}
	*out = st;
	return VIA_OK;
}

void stack_close(stack *st)
{
	const core_env *e;
	uint32_t i;

	if (st->reg == NULL)
		return;
	e = reg_env(st->reg);
	for (i = st->n + st->n_up; i > 0; i--) {
		via_registry_release(st->reg, &st->layer[i - 1].ref);
		env_free(e, st->layer[i - 1].config);
	}
	env_free(e, st->ns);
	env_free(e, st->service);
	*st = (stack){0};
}

/* -- links --------------------------------------------------------------------------------------------- */

via_rc link_check(const via_link *l, const char *what)
{
	const via_link_ops *o = l->ops;

	if (o == NULL || !VIA_HAS(o, via_link_ops, close))
		return core_fail(VIA_EABI, "%s: link operations are shorter than ABI %u.0 asks for",
				 what, VIA_ABI_MAJOR);
	if (o->reserve == NULL || o->commit == NULL || o->send == NULL || o->recv == NULL ||
	    o->release == NULL || o->arm == NULL || o->disarm == NULL || o->abort == NULL ||
	    o->expect == NULL || o->take_handles == NULL || o->shutdown == NULL ||
	    o->peer == NULL || o->get_ext == NULL || o->close == NULL)
		return core_fail(VIA_EABI, "%s: a mandatory link operation is missing", what);
	if (l->limits == NULL || !VIA_HAS(l->limits, via_limits, align) ||
	    l->limits->max_record < VIA_EXPECT_INITIAL)
		return core_fail(VIA_EABI, "%s: link limits are missing or below %u bytes a record",
				 what, VIA_EXPECT_INITIAL);
	return VIA_OK;
}

void link_discard(via_link *l)
{
	if (l->ops != NULL && VIA_HAS(l->ops, via_link_ops, close) && l->ops->close != NULL)
		l->ops->close(l);
}

static via_address address_of(const stack *st)
{
	return (via_address){.struct_size = sizeof(via_address),
			     .ns = st->ns,
			     .service = st->service,
			     .config = st->layer[0].config};
}

via_rc stack_listen(const stack *st, via_listener **out)
{
	const stack_layer *base = &st->layer[0];
	via_address a = address_of(st);
	via_rc rc;

	reg_ctl_lock(st->reg, &base->ref);
	rc = stack_transport(base)->listen(base->ref.self, &a, out);
	reg_ctl_unlock(st->reg, &base->ref);
	return rc;
}

via_rc stack_dial(const stack *st, via_link **out)
{
	const stack_layer *base = &st->layer[0];
	via_address a = address_of(st);
	via_link *l;
	via_rc rc;

	reg_ctl_lock(st->reg, &base->ref);
	rc = stack_transport(base)->dial(base->ref.self, &a, &l);
	reg_ctl_unlock(st->reg, &base->ref);
	if (rc != VIA_OK)
		return rc;
	rc = stack_wrap(st, &l);
	if (rc == VIA_OK)
		*out = l;
	return rc;
}

/* Puts layers [first, end) around a link of `carrier`; closes it on failure. */
static via_rc wrap_in(const stack *st, const via_ref *carrier, uint32_t first, uint32_t end,
		      via_link **link)
{
	via_link *l = *link;
	via_rc rc = link_check(l, reg_ref_id(carrier));
	uint32_t i;

	for (i = first; i < end && rc == VIA_OK; i++) {
		const stack_layer *d = &st->layer[i];
		via_link *outer;

		if ((stack_transport(d)->needs & ~l->caps) != 0) {
			rc = core_fail(VIA_NOTSUP,
				       "%s: the link under it lacks capabilities 0x%llx",
				       reg_ref_id(&d->ref),
				       (unsigned long long)(stack_transport(d)->needs & ~l->caps));
			break;
		}
		reg_ctl_lock(st->reg, &d->ref);
		rc = stack_transport(d)->wrap(d->ref.self, l, d->config, &outer);
		reg_ctl_unlock(st->reg, &d->ref);
		if (rc == VIA_OK) {
			l = outer;
			rc = link_check(l, reg_ref_id(&d->ref));
		}
	}
	if (rc != VIA_OK) {
		link_discard(l);
		return rc;
	}
	*link = l;
	return VIA_OK;
}

via_rc stack_wrap(const stack *st, via_link **link)
{
	return wrap_in(st, &st->layer[0].ref, 1, st->n, link);
}

via_rc stack_wrap_upgrade(const stack *st, const via_ref *upgrade, via_link **link)
{
	return wrap_in(st, upgrade, st->n + (st->n_up != 0), st->n + st->n_up, link);
}

via_rc stack_acquire_upgrade(const stack *st, uint32_t profile, via_ref *out)
{
	const stack_layer *named = stack_upgrade(st);

	if (named != NULL)
		return via_registry_acquire(st->reg, VIA_KIND_TRANSPORT, reg_ref_id(&named->ref), 0,
					    out);
	return reg_acquire_profile(st->reg, profile, VIA_ROLE_UPGRADE, out);
}

void stack_pin(const stack *st, link_pins *pins, const char *what)
{
	for (pins->n = 0; pins->n < st->n + st->n_up; pins->n++)
		reg_pin_take(st->reg, &st->layer[pins->n].ref, &pins->pin[pins->n], what);
}

void stack_unpin(via_registry *reg, link_pins *pins)
{
	while (pins->n > 0)
		reg_pin_drop(reg, &pins->pin[--pins->n]);
}
