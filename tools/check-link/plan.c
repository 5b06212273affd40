/* tools/check-link/plan.c - which stacks a module is tested in, from its identity.
 *
 * A baseline x: x, fault+x. An upgrade x: B>x:PROFILE for each of its profiles, fault+B>fault+x:PROFILE with the
 * lowest, where B is the best baseline of the directory. A decorator x: x+B. Whoever gives x several roles
 * gets all of it. The same module in the directory is left alone: it is the file that counts.
 */
#include "check_link.h"
#include "tests/link/rig_os.h"
#include "tests/link/stacks.h"

#include <core/os/os.h>
#include <core/registry/image.h>
#include <stdio.h>
#include <string.h>

char rig_stacks[PLAN_STACKS][RIG_STACK_MAX], rig_baselines[PLAN_STACKS][RIG_STACK_MAX];
size_t rig_n_stacks, rig_n_baselines;

static const plan *current; /* for rig_module_file() */

static int fail(plan *p, const char *fmt, ...) TOOLS_PRINTF(2, 3);
static int fail(plan *p, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(p->why, sizeof p->why, fmt, args);
	va_end(args);
	return 0;
}

/* The core's detail, which often begins with the path. */
static int fail_at(plan *p, const char *path, const char *expected)
{
	const char *detail = via_error();

	if (strncmp(detail, path, strlen(path)) == 0)
		return fail(p, "%s%s", expected, detail);
	return fail(p, "%s%s: %s", expected, path, detail);
}

/* -- identities -------------------------------------------------------------------------------- */

static via_rc read_file(void *ctx, uint64_t off, void *to, uint64_t len)
{
	return os_file_read(ctx, off, to, len);
}

/* The detail is in via_error(). */
static via_rc read_identity(const char *path, char store[NOTE_MAX], note *out)
{
	image_source s = {read_file, NULL, 0};
	char text[NOTE_MAX];
	os_file *file = NULL;
	os_file_id id;
	uint32_t len = 0;
	via_rc rc = os_file_open(&core_env_libc, path, &file);

	if (rc != VIA_OK)
		return rc;
	os_file_identity(file, &id);
	s.ctx = file;
	s.size = id.size;
	rc = image_read_note(&s, text, &len);
	os_file_close(file);
	return rc == VIA_OK ? note_parse(text, len, store, out) : rc;
}

static int is_transport(const via_provided *c)
{
	return c->kind == VIA_KIND_TRANSPORT;
}

/* What a stack calls a transport: its first scheme, and without any its id. */
static void name_of(const via_provided *c, char name[RIG_NAME_MAX])
{
	size_t len = strcspn(c->name, ",");

	(void)snprintf(name, RIG_NAME_MAX, "%.*s", (int)(len != 0 ? len : strlen(c->id)),
		       len != 0 ? c->name : c->id);
}

/* -- the directory ----------------------------------------------------------------------------- */

struct looking {
	plan *p;
	const char *dir;
};

/* The module under test, or one that would be taken for it. */
static int is_ours(const plan *p, const note *other)
{
	char ours[RIG_NAME_MAX], theirs[RIG_NAME_MAX];
	uint32_t i, k;

	if (strcmp(p->module.id, other->id) == 0)
		return 1;
	for (i = 0; i < p->module.n_provides; i++)
		for (k = 0; k < other->n_provides; k++) {
			name_of(&p->module.provides[i].p, ours);
			name_of(&other->provides[k].p, theirs);
			if (strcmp(ours, theirs) == 0)
				return 1;
		}
	return 0;
}

/* The higher score; of equal ones the file that comes first. */
static void consider(plan_other *best, const via_provided *c, const char *path)
{
	if (best->name[0] != '\0' &&
	    (c->score < best->score || (c->score == best->score && strcmp(path, best->file) >= 0)))
		return;
	name_of(c, best->name);
	(void)snprintf(best->file, sizeof best->file, "%s", path);
	best->score = c->score;
}

static via_rc look_at(void *arg, const char *name)
{
	const struct looking *l = arg;
	const size_t suffix = sizeof OS_MODULE_SUFFIX - 1;
	size_t len = strlen(name);
	char path[SYS_PATH], store[NOTE_MAX];
	note n;
	uint32_t i;

	if (len <= suffix || name[0] == '.' || strcmp(name + len - suffix, OS_MODULE_SUFFIX) != 0)
		return VIA_OK;
	if (snprintf(path, sizeof path, "%s%c%s", l->dir, OS_DIR_SEP, name) >= (int)sizeof path ||
	    read_identity(path, store, &n) != VIA_OK || is_ours(l->p, &n))
		return VIA_OK; /* what cannot be read is not what we look for */
	for (i = 0; i < n.n_provides; i++) {
		const via_provided *c = &n.provides[i].p;

		if (!is_transport(c))
			continue;
		if ((c->roles & VIA_ROLE_BASELINE) != 0)
			consider(&l->p->baseline, c, path);
		if ((c->roles & VIA_ROLE_DECORATOR) != 0 && note_list_has(c->name, "fault"))
			consider(&l->p->fault, c, path);
	}
	return VIA_OK;
}

/* -- stacks ------------------------------------------------------------------------------------ */

static void add(char stacks[][RIG_STACK_MAX], size_t *n, const char *fmt, ...) TOOLS_PRINTF(3, 4);
static void add(char stacks[][RIG_STACK_MAX], size_t *n, const char *fmt, ...)
{
	va_list args;

	if (*n == PLAN_STACKS)
		return;
	va_start(args, fmt);
	(void)vsnprintf(stacks[(*n)++], RIG_STACK_MAX, fmt, args);
	va_end(args);
}

static void add_baseline(const char *decorator, const char *name)
{
	const char *plus = decorator[0] != '\0' ? "+" : "";

	add(rig_stacks, &rig_n_stacks, "%s%s%s", decorator, plus, name);
	add(rig_baselines, &rig_n_baselines, "%s%s%s", decorator, plus, name);
}

static void add_upgrade(const plan *p, const char *name, uint32_t profiles)
{
	const char *b = p->baseline.name, *f = p->fault.name;
	uint32_t bit, lowest = profiles & (0u - profiles);

	for (bit = lowest; bit != 0; bit <<= 1)
		if ((profiles & bit) != 0)
			add(rig_stacks, &rig_n_stacks, "%s>%s:0x%x", b, name, bit);
	if (f[0] != '\0')
		add(rig_stacks, &rig_n_stacks, "%s+%s>%s+%s:0x%x", f, b, f, name, lowest);
}

static int add_transport(plan *p, const via_provided *c, const char *dir)
{
	char name[RIG_NAME_MAX];

	name_of(c, name);
	if ((c->roles & (VIA_ROLE_UPGRADE | VIA_ROLE_DECORATOR)) != 0 &&
	    p->baseline.name[0] == '\0')
		return fail(p, "%s: expected a baseline for %s to stand on, found none", dir, name);
	if ((c->roles & VIA_ROLE_BASELINE) != 0) {
		add_baseline("", name);
		if (p->fault.name[0] != '\0')
			add_baseline(p->fault.name, name);
	}
	if ((c->roles & VIA_ROLE_UPGRADE) != 0)
		add_upgrade(p, name, c->profiles);
	if ((c->roles & VIA_ROLE_DECORATOR) != 0)
		add_baseline(name, p->baseline.name);
	return 1;
}

/* One that is not there is passed over if another is, as in any module path. */
static int look_in(plan *p, const char *dirs)
{
	const char separator[] = {OS_PATH_SEP, '\0'};
	char dir[SYS_PATH];
	struct looking l = {p, dir};
	int is_found = 0;
	size_t len;
	via_rc rc;

	for (;; dirs += len + 1) {
		len = strcspn(dirs, separator);
		(void)snprintf(dir, sizeof dir, "%.*s", len < sizeof dir ? (int)len : 0, dirs);
		rc = os_dir_list(&core_env_libc, dir, look_at, &l);
		is_found |= rc == VIA_OK;
		if (rc != VIA_OK && (rc != VIA_NOTFOUND || (dirs[len] == '\0' && !is_found)))
			return fail_at(p, dir, "expected a directory of modules: ");
		if (dirs[len] == '\0')
			return 1;
	}
}

int plan_make(plan *p, const char *file, const char *dir)
{
	uint32_t i;

	memset(p, 0, sizeof *p);
	p->file = file;
	current = p;
	if (read_identity(file, p->store, &p->module) != VIA_OK)
		return fail_at(p, file, "expected a module: ");
	if (!look_in(p, dir))
		return 0;
	for (i = 0; i < p->module.n_provides; i++)
		if (is_transport(&p->module.provides[i].p) &&
		    !add_transport(p, &p->module.provides[i].p, dir))
			return 0;
	if (rig_n_stacks == 0)
		return fail(p, "%s: expected a transport, found %s %s", file,
			    note_kind_name(p->module.provides[0].p.kind),
			    p->module.provides[0].p.id);
	return 1;
}

/* -- modules ----------------------------------------------------------------------------------- */

static int same_name(const plan_other *other, const char *name)
{
	return strcmp(other->name, name) == 0;
}

void rig_module_file(const char *name, char *file, size_t cap)
{
	const plan *p = current;
	const char *from = same_name(&p->baseline, name) ? p->baseline.file
			   : same_name(&p->fault, name)  ? p->fault.file
							 : p->file;

	(void)snprintf(file, cap, "%s", from);
}

/* What the cases call without asking. */
static const char *missing_of(const via_transport *t)
{
	if (t->probe == NULL)
		return "probe()";
	if ((t->roles & VIA_ROLE_BASELINE) != 0 && (t->listen == NULL || t->dial == NULL))
		return "listen() and dial() of a baseline";
	if ((t->roles & VIA_ROLE_UPGRADE) != 0 && (t->provision == NULL || t->attach == NULL))
		return "provision() and attach() of an upgrade";
	if ((t->roles & VIA_ROLE_DECORATOR) != 0 && t->wrap == NULL)
		return "wrap() of a decorator";
	return NULL;
}

static int load_one(plan *p, const char *name, const char *file)
{
	rig_layer l = {0};
	char why[SYS_WHY];
	const char *missing;

	if (!rig_load(&l, name, why, sizeof why))
		return fail(p, "%s: %s", file, why);
	missing = missing_of(l.t);
	return missing == NULL || fail(p, "%s: expected %s, found none", file, missing);
}

int plan_load(plan *p)
{
	char name[RIG_NAME_MAX];
	uint32_t i;

	for (i = 0; i < p->module.n_provides; i++) {
		if (!is_transport(&p->module.provides[i].p))
			continue;
		name_of(&p->module.provides[i].p, name);
		if (!load_one(p, name, p->file))
			return 0;
	}
	if (p->baseline.name[0] != '\0' && !load_one(p, p->baseline.name, p->baseline.file))
		return 0;
	return p->fault.name[0] == '\0' || load_one(p, p->fault.name, p->fault.file);
}
