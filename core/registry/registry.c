/* core/registry/registry.c - opens a registry and frees it; its options, path and configuration.
 *
 * Opening reads files and executes nothing of them (scan.c). What may refuse to close is in
 * close.c.
 */
#include "reg.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* -- small services ---------------------------------------------------------------------------- */

const core_env *reg_env(via_registry *r)
{
	return &r->env;
}

uint32_t reg_policy(const via_registry *r)
{
	return r->policy;
}

struct pending_table *reg_pending(via_registry *r)
{
	return r->pending;
}

int reg_logs(const via_registry *r, int32_t level)
{
	return r->log != NULL && level >= r->log_level;
}

void reg_log(via_registry *r, int32_t level, const char *origin, const char *fmt, ...)
{
	char text[640];
	va_list ap;

	if (!reg_logs(r, level))
		return;
	va_start(ap, fmt);
	if (vsnprintf(text, sizeof text, fmt, ap) < 0)
		text[0] = '\0';
	va_end(ap);
	r->log(r->log_arg, level, origin, text);
}

void reg_set_text(via_registry *r, char **slot, const char *text)
{
	env_free(&r->env, *slot);
	*slot = text == NULL ? NULL : env_strdup(&r->env, text);
}

/* The sentence that the thread's error detail holds; without the path, which stands beside it
 * anyway. */
void reg_set_reason(via_registry *r, const reg_file *f, char **slot)
{
	const char *text = via_error();
	size_t len = strlen(f->path);

	if (strncmp(text, f->path, len) == 0 && text[len] == ':' && text[len + 1] == ' ')
		text += len + 2;
	reg_set_text(r, slot, text);
}

const char *via_registry_path(via_registry *r)
{
	return r->path;
}

/* -- configuration of modules ------------------------------------------------------------------ */

static reg_file *loaded_file(via_registry *r, const char *id)
{
	reg_file *f;

	for (f = r->files; f != NULL; f = f->next)
		if (f->gen != NULL && strcmp(f->gen->note->n.id, id) == 0)
			return f;
	return NULL;
}

static void config_drop(via_registry *r, const char *id)
{
	reg_config **at, *c;

	for (at = &r->configs; (c = *at) != NULL; at = &c->next)
		if (strcmp(c->id, id) == 0) {
			*at = c->next;
			env_free(&r->env, c->id);
			env_free(&r->env, c->text);
			env_free(&r->env, c);
			return;
		}
}

via_rc via_registry_configure(via_registry *r, const char *id, const char *config)
{
	reg_config *c = NULL;
	via_rc rc = VIA_OK;

	if (id == NULL || !note_is_id(id))
		return core_fail(VIA_INVAL, "configure: \"%.80s\" is no module id",
				 id == NULL ? "" : id);
	if (config != NULL) {
		c = env_alloc(&r->env, sizeof *c);
		if (c == NULL)
			return core_nomem("a module's configuration");
		c->id = env_strdup(&r->env, id);
		c->text = env_strdup(&r->env, config);
		if (c->id == NULL || c->text == NULL) {
			rc = core_nomem("a module's configuration");
			goto err_free;
		}
	}
	os_mutex_lock(&r->lock);
	if (loaded_file(r, id) != NULL) {
		rc = core_fail(VIA_STATE, "configure: %s is loaded; it is configured before that",
			       id);
	} else {
		config_drop(r, id);
		if (c != NULL) {
			c->next = r->configs;
			r->configs = c;
		}
	}
	os_mutex_unlock(&r->lock);
	if (rc == VIA_OK || c == NULL)
		return rc;
err_free:
	env_free(&r->env, c->id);
	env_free(&r->env, c->text);
	env_free(&r->env, c);
	return rc;
}

/* -- freeing ----------------------------------------------------------------------------------- */

void reg_file_free(via_registry *r, reg_file *f)
{
	if (f == NULL)
		return;
	env_free(&r->env, f->path);
	env_free(&r->env, f->reason);
	env_free(&r->env, f->load_reason);
	env_free(&r->env, f);
}

/* Everything but loaded modules, which are gone by now. */
void reg_free(via_registry *r)
{
	core_env env = r->env;
	reg_file *f;
	reg_note *n;
	uint32_t i;

	while ((f = r->files) != NULL) {
		r->files = f->next;
		reg_file_free(r, f);
	}
	while ((n = r->notes) != NULL) {
		r->notes = n->next;
		env_free(&env, n);
	}
	while (r->configs != NULL)
		config_drop(r, r->configs->id);
	for (i = 0; i < r->n_dirs; i++) {
		env_free(&env, r->dirs[i].path);
		env_free(&env, r->dirs[i].reason);
	}
	env_free(&env, r->dirs);
	env_free(&env, r->path);
	if (r->pending != NULL)
		pending_close(r->pending);
	os_cond_destroy(&r->unpinned);
	os_cond_destroy(&r->changed);
	os_mutex_destroy(&r->pins);
	os_mutex_destroy(&r->lock);
	env_free(&env, r);
}

/* -- opening ----------------------------------------------------------------------------------- */

static via_rc check_options(const via_registry_options *given, via_registry_options *o)
{
	*o = (via_registry_options)VIA_REGISTRY_OPTIONS_INIT;
	if (given != NULL) {
		if (!VIA_HAS(given, via_registry_options, log_level))
			return core_fail(
				VIA_INVAL,
				"registry options: struct_size: expected at least %zu, found %u",
				offsetof(via_registry_options, module_path), given->struct_size);
		memcpy(o, given, given->struct_size < sizeof *o ? given->struct_size : sizeof *o);
	}
	if (o->load_mode > VIA_LOAD_DIRECT)
		return core_fail(VIA_INVAL,
				 "registry options: load_mode: expected 0 or 1, found %u",
				 o->load_mode);
	if (o->policy > VIA_POLICY_FRUGAL)
		return core_fail(VIA_INVAL, "registry options: policy: expected 0 to 2, found %u",
				 o->policy);
	if (o->module_policy > VIA_MODULES_LOCKED)
		return core_fail(VIA_INVAL,
				 "registry options: module_policy: expected 0 or 1, found %u",
				 o->module_policy);
	if (o->module_policy == VIA_MODULES_LOCKED && o->load_mode == VIA_LOAD_DIRECT)
		return core_fail(
			VIA_INVAL,
			"registry options: module_policy 1 (locked) expected load_mode 0 "
			"(a private copy, so that what was checked is what is mapped), found %u",
			o->load_mode);
	if (o->reserved != 0)
		return core_fail(VIA_INVAL, "registry options: reserved: expected 0, found %u",
				 o->reserved);
	if (o->log_level < VIA_LOG_TRACE || o->log_level > VIA_LOG_OFF)
		return core_fail(VIA_INVAL,
				 "registry options: log_level: expected %d to %d, found %d",
				 VIA_LOG_TRACE, VIA_LOG_OFF, o->log_level);
	return VIA_OK;
}

static void take_hooks(core_env *e, const via_hooks *hooks)
{
	*e = core_env_libc;
	if (hooks == NULL)
		return;
	if (VIA_HAS(hooks, via_hooks, free) && hooks->alloc != NULL && hooks->free != NULL) {
		e->arg = hooks->arg;
		e->alloc = hooks->alloc;
		e->free = hooks->free;
	}
	if (VIA_HAS(hooks, via_hooks, deny)) {
		e->arg = hooks->arg; /* the memory functions of libc do not look at it */
		e->deny = hooks->deny;
	}
	e->struct_size = sizeof *e;
}

/* Where to look: what the program says, else the environment (unless somebody else may have set
 * it for a process with more rights than theirs), else the built-in directory. */
static via_rc choose_path(via_registry *r, const char *given, const char **from)
{
	char *buf;
	via_rc rc;

	*from = "module path";
	if (given != NULL) {
		r->path = env_strdup(&r->env, given);
		return r->path == NULL ? core_nomem("the module path") : VIA_OK;
	}
	buf = env_alloc(&r->env, REG_PATH_MAX);
	if (buf == NULL)
		return core_nomem("the module path");
	rc = VIA_NOTFOUND;
	if (!os_is_privileged()) {
		*from = "VIADUCT_MODULE_PATH";
		rc = os_getenv(*from, buf, REG_PATH_MAX);
	}
	if (rc == VIA_TOOBIG)
		rc = core_fail(VIA_INVAL, "VIADUCT_MODULE_PATH: expected at most %d bytes",
			       REG_PATH_MAX - 1);
	else if (rc != VIA_OK || buf[0] == '\0')
		rc = os_default_module_dir(buf, REG_PATH_MAX);
	if (rc == VIA_OK) {
		r->path = env_strdup(&r->env, buf);
		if (r->path == NULL)
			rc = core_nomem("the module path");
	}
	env_free(&r->env, buf);
	return rc;
}

static via_rc add_dir(via_registry *r, const char *path, size_t len, const char *from)
{
	uint32_t i;
	char *copy;

	while (len > 1 && path[len - 1] == OS_DIR_SEP && path[len - 2] != ':')
		len--;
	copy = env_alloc(&r->env, len + 1);
	if (copy == NULL)
		return core_nomem("the module path");
	memcpy(copy, path, len);
	for (i = 0; i < r->n_dirs; i++)
		if (strcmp(r->dirs[i].path, copy) == 0) {
			env_free(&r->env, copy); /* twice in the path is once */
			return VIA_OK;
		}
	r->dirs[r->n_dirs++].path = copy;
	if (len > REG_PATH_MAX)
		return core_fail(VIA_INVAL,
				 "%s: expected directories of at most %d bytes, found %zu", from,
				 REG_PATH_MAX, len);
	if (!os_path_is_absolute(copy))
		return core_fail(VIA_INVAL, "%s: expected absolute directories, found \"%s\"", from,
				 copy);
	return VIA_OK;
}

static via_rc split_path(via_registry *r, const char *from)
{
	const char *p = r->path, *end;
	uint32_t n = 1;
	via_rc rc = VIA_OK;

	for (end = p; *end != '\0'; end++)
		n += *end == OS_PATH_SEP;
	r->dirs = env_alloc(&r->env, (uint64_t)n * sizeof *r->dirs);
	if (r->dirs == NULL)
		return core_nomem("the module path");
	for (; rc == VIA_OK; p = end + 1) {
		end = strchr(p, OS_PATH_SEP);
		if (end == NULL)
			end = p + strlen(p);
		if (end > p)
			rc = add_dir(r, p, (size_t)(end - p), from);
		if (*end == '\0')
			break;
	}
	return rc;
}

/* Builtins come first in the search order. Their text is parsed like that of a file. */
static via_rc add_builtins(via_registry *r, const core_builtin *b)
{
	reg_file **tail = &r->files, *f;
	reg_note *n;

	for (; b != NULL && b->name != NULL; b++) {
		f = env_alloc(&r->env, sizeof *f);
		if (f == NULL)
			return core_nomem("the table of builtin modules");
		*tail = f;
		tail = &f->next;
		f->builtin = b;
		f->label = b->name;
		f->path = env_strdup(&r->env, "(builtin)");
		if (f->path == NULL)
			return core_nomem("the table of builtin modules");
		n = NULL;
		f->rc = reg_note_new(&r->env, b->note, *b->note_len, &n);
		if (f->rc == VIA_NOMEM)
			return f->rc;
		if (n != NULL)
			f->note = reg_note_keep(r, n);
		if (f->rc != VIA_OK)
			reg_set_reason(r, f, &f->reason);
	}
	return VIA_OK;
}

via_rc reg_open(const via_registry_options *options, const core_builtin *builtins,
		via_registry **out)
{
	via_registry_options o;
	const char *from;
	via_registry *r;
	core_env env;
	via_rc rc;

	rc = check_options(options, &o);
	if (rc != VIA_OK)
		return rc;
	take_hooks(&env, o.hooks);
	r = env_alloc(&env, sizeof *r);
	if (r == NULL)
		return core_nomem("the registry");
	r->env = env;
	r->load_mode = o.load_mode;
	r->policy = o.policy;
	r->module_policy = o.module_policy;
	r->log_level = o.log == NULL ? VIA_LOG_OFF : o.log_level;
	r->log = o.log;
	r->log_arg = o.log_arg;
	r->holds.next = r->holds.prev = &r->holds;
	os_mutex_init(&r->lock);
	os_mutex_init(&r->pins);
	os_cond_init(&r->changed);
	os_cond_init(&r->unpinned);
	rc = choose_path(r, o.module_path, &from);
	if (rc == VIA_OK)
		rc = split_path(r, from);
	if (rc == VIA_OK)
		rc = pending_open(&r->env, &r->pending);
	if (rc == VIA_OK)
		rc = add_builtins(r, builtins);
	if (rc == VIA_OK)
		rc = reg_scan(r, REG_SCAN_ALWAYS);
	if (rc < 0) {
		reg_free(r);
		return rc;
	}
	r->is_open = 1;
	*out = r;
	return VIA_OK;
}
