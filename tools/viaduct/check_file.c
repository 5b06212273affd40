/* tools/viaduct/check_file.c - `viaduct check`: the file as it lies there, its identity and whether the
 * registry would trust it. Nothing is executed.
 *
 * The file is read once; everything but the trust is checked on these bytes, in a copy that is alone in a
 * directory of its own. The registry gives one reason for refusing a file, and trust comes first: what it
 * says of the original and not of the copy is about the place.
 */
#include "check.h"

#include "../lib/sys_probe.h"

#include <stdio.h>
#include <string.h>

#if defined(_WIN32)
#define SEPARATORS "/\\"
#define SEPARATOR "\\"
#define PATH_SEPARATOR ';'
#define SUFFIX ".dll"
#else
#define SEPARATORS "/"
#define SEPARATOR "/"
#define PATH_SEPARATOR ':'
#define SUFFIX ".so"
#endif
#define FILE_MAX 67108864u /* what the registry maps at most */

/* -- what the registry says ------------------------------------------------------------------ */

const char *check_kind_name(uint32_t number)
{
	return number == VIA_KIND_TRANSPORT ? "transport"
	       : number == VIA_KIND_CODEC   ? "codec"
					    : "service";
}

int check_provides(const check_module *m, uint32_t wanted)
{
	uint32_t i;

	for (i = 0; i < m->n_components; i++)
		if (m->component[i].kind == wanted)
			return 1;
	return 0;
}

typedef struct look {
	const char *path;
	check_module *out;
} look;

static int take_file(void *arg, const via_file_info *info)
{
	const look *l = arg;
	check_module *m = l->out;
	uint32_t i;

	if (strcmp(info->path, l->path) != 0)
		return 0;
	m->state = info->state;
	(void)snprintf(m->id, sizeof m->id, "%s", info->id);
	(void)snprintf(m->version, sizeof m->version, "%s", info->version);
	(void)snprintf(m->reason, sizeof m->reason, "%s", info->reason);
	for (i = 0; i < info->n_provided && i < CHECK_COMPONENTS; i++) {
		const via_provided *p = &info->provided[i];
		check_component *c = &m->component[i];

		*c = (check_component){.kind = p->kind,
				       .rev = p->rev,
				       .roles = p->roles,
				       .max_request = p->max_request,
				       .max_response = p->max_response};
		(void)snprintf(c->id, sizeof c->id, "%s", p->id);
		(void)snprintf(c->name, sizeof c->name, "%s", p->name);
		m->n_components = i + 1;
	}
	return 1;
}

void check_look(via_registry *r, const char *path, check_module *out)
{
	look l = {path, out};

	memset(out, 0, sizeof *out);
	(void)via_registry_files(r, take_file, &l);
}

/* The same with a registry of one directory. Returns CLI_OK, or says why not. */
static int look_in(const check_run *c, const char *dir, const char *path, check_module *out)
{
	via_registry *r;
	int status = open_registry(dir, c->is_verbose, &r);

	if (status != CLI_OK)
		return status;
	check_look(r, path, out);
	(void)via_registry_close(r);
	return CLI_OK;
}

/* -- the subject ----------------------------------------------------------------------------- */

size_t check_dir_length(const char *path)
{
	size_t i, len = 0;

	for (i = 0; path[i] != '\0'; i++)
		if (strchr(SEPARATORS, path[i]) != NULL)
			len = i + 1;
	return len;
}

/* dir and name of s->path, which is then written as the registry writes it: with one separator
 * between the two. */
static int split(check_subject *s)
{
	char given[SYS_PATH];
	const char *name;
	size_t len;
	int n;

	memcpy(given, s->path, sizeof given);
	len = check_dir_length(given);
	name = given + len;
	if (name[0] == '\0')
		return cli_fail(CLI_MODULE, "%s: expected a file, found a directory", s->path);
	memcpy(s->dir, given, len);
	while (len > 1 && strchr(SEPARATORS, s->dir[len - 1]) != NULL && s->dir[len - 2] != ':')
		len--;
	s->dir[len] = '\0';
	n = snprintf(s->path, sizeof s->path, "%s%s%s", s->dir,
		     strchr(SEPARATORS, s->dir[len - 1]) != NULL ? "" : SEPARATOR, name);
	if (n < 0 || (size_t)n >= sizeof s->path)
		return cli_fail(CLI_MODULE, "%s: longer than %u bytes", given, SYS_PATH - 1);
	s->name = s->path + (size_t)n - strlen(name);
	if (strchr(len > 2 ? s->dir + 2 : s->dir, PATH_SEPARATOR) == NULL)
		return CLI_OK;
	return cli_fail(
		CLI_USAGE,
		"%s: the directory's name has a '%c', which ends a directory in a module path",
		s->path, PATH_SEPARATOR);
}

static int has_suffix(const char *name)
{
	size_t len = strlen(name), suffix = sizeof SUFFIX - 1;

	return name[0] != '.' && len > suffix && strcmp(name + len - suffix, SUFFIX) == 0;
}

/* A name the registry looks at, whatever the file is called. */
static int make_copy(check_subject *s)
{
	char why[SYS_WHY];

	if (!sys_temp_make(s->copy_dir, why)) {
		s->copy_dir[0] = '\0';
		return cli_fail(CLI_FAILED, "%s", why);
	}
	(void)snprintf(s->copy, sizeof s->copy, "%s" SEPARATOR "%.*s", s->copy_dir, 100,
		       has_suffix(s->name) && strlen(s->name) <= 100 ? s->name : "module" SUFFIX);
	if (sys_write_new(s->copy, s->data.data, s->data.len, why))
		return CLI_OK;
	return cli_fail(CLI_FAILED, "%s", why);
}

/* The copy's directory, then that of the file, then where modules are else. */
static int make_path(check_run *c)
{
	check_subject *s = &c->subject;
	const char *rest = c->given_path;
	via_registry *r = NULL;
	int n, status = CLI_OK;

	if (rest == NULL) {
		status = open_registry(NULL, 0, &r);
		if (status != CLI_OK)
			return status;
		rest = via_registry_path(r);
	}
	n = snprintf(s->module_path, sizeof s->module_path, "%s%c%s%s%s", s->copy_dir,
		     PATH_SEPARATOR, s->dir, rest[0] != '\0' ? (char[]){PATH_SEPARATOR, '\0'} : "",
		     rest);
	if (n < 0 || (size_t)n >= sizeof s->module_path)
		status = cli_fail(CLI_USAGE, "--module-path: longer than %u bytes", 2 * SYS_PATH);
	(void)via_registry_close(r);
	return status;
}

int check_subject_open(check_run *c, const char *path)
{
	check_subject *s = &c->subject;
	char why[SYS_WHY];
	int status;

	if (!sys_full_path(path, s->path, why))
		return cli_fail(CLI_MODULE, "%s: %s", path, why);
	status = split(s);
	if (status != CLI_OK)
		return status;
	if (!sys_is_file(s->path, why) || sys_read(s->path, FILE_MAX, &s->data, why) != 1)
		return cli_fail(CLI_MODULE, "%s: %s", s->path, why);
	(void)buf_string(&s->data);
	if (s->data.failed)
		return cli_fail(CLI_FAILED, "%s: no memory for the file", s->path);
	status = make_copy(s);
	if (status == CLI_OK)
		status = make_path(c);
	if (status == CLI_OK)
		status = look_in(c, s->copy_dir, s->copy, &s->module);
	s->is_accepted = s->module.state == VIA_FILE_FOUND;
	return status;
}

void check_subject_close(check_run *c)
{
	char why[SYS_WHY];

	if (c->subject.copy_dir[0] != '\0' && !sys_temp_remove(c->subject.copy_dir, why))
		(void)cli_fail(CLI_FAILED, "%s", why);
	buf_free(&c->subject.data);
}

/* -- identity -------------------------------------------------------------------------------- */

static void check_name(check_run *c)
{
	const check_subject *s = &c->subject;
	uint32_t first = s->module.n_components != 0 ? s->module.component[0].kind : 0;
	const char *found = strncmp(s->name, "codec-", 6) == 0     ? "codec"
			    : strncmp(s->name, "service-", 8) == 0 ? "service"
								   : "transport";

	check_begin(&c->report, "file-name");
	if (!has_suffix(s->name))
		check_tell(&c->report, CHECK_FAILED,
			   "expected a name ending in " SUFFIX
			   " that does not begin with a dot, the only "
			   "ones that are looked at, found %.200s",
			   s->name);
	else if (first == 0)
		check_tell(&c->report, CHECK_SKIPPED, "it is not known what the file provides");
	else if (strcmp(found, check_kind_name(first)) != 0)
		check_tell(&c->report, CHECK_FAILED,
			   "the first that it provides is a %s: expected %s, found %.200s",
			   check_kind_name(first),
			   first == VIA_KIND_TRANSPORT ? "the name of the transport alone"
			   : first == VIA_KIND_CODEC   ? "codec-NAME" SUFFIX
						       : "service-NAME" SUFFIX,
			   s->name);
	else
		check_tell(&c->report, CHECK_PASSED, "%.200s is the name of a %s", s->name, found);
}

void check_identity(check_run *c)
{
	const check_module *m = &c->subject.module;
	buf text = {0};
	uint32_t i;

	check_begin(&c->report, "text");
	for (i = 0; i < m->n_components; i++)
		buf_printf(&text, "%s %s %s/%u", i != 0 ? "," : "",
			   check_kind_name(m->component[i].kind), m->component[i].id,
			   m->component[i].rev);
	if (!c->subject.is_accepted)
		check_tell(&c->report, CHECK_FAILED, "%s", m->reason);
	else if (m->n_components == 0)
		check_tell(
			&c->report, CHECK_FAILED,
			"%s: expected a transport, a codec or a service, found none that this core "
			"knows",
			m->id);
	else
		check_tell(&c->report, CHECK_PASSED, "%s %s provides%.300s", m->id, m->version,
			   buf_string(&text));
	buf_free(&text);
	check_begin(&c->report, "version");
	if (!c->subject.is_accepted)
		check_tell(&c->report, CHECK_SKIPPED, "the text is refused");
	else if (m->version[0] == '\0')
		check_tell(&c->report, CHECK_SKIPPED,
			   "the text has none: allowed, but two builds cannot be told apart");
	else
		check_tell(&c->report, CHECK_PASSED, "%s", m->version);
	check_name(c);
}

/* -- trust ----------------------------------------------------------------------------------- */

void check_look_at_trust(check_run *c)
{
	check_subject *s = &c->subject;
	check_module there = {0};
	const char *reason = "";

	if (!has_suffix(s->name))
		reason = "the registry does not look at a file of this name";
	else if (look_in(c, s->dir, s->path, &there) != CLI_OK)
		reason = check_error(VIA_IO);
	else if (there.state == 0)
		reason = "expected the file in its directory, found none";
	else if (there.state == VIA_FILE_REFUSED && strcmp(there.reason, s->module.reason) != 0)
		reason = there.reason;
	(void)snprintf(s->distrust, sizeof s->distrust, "%s", reason);
}

void check_trust(check_run *c)
{
	const check_subject *s = &c->subject;

	check_begin(&c->report, "file");
	if (s->distrust[0] == '\0')
		check_tell(
			&c->report, CHECK_PASSED,
			"nobody but this user and the system's administrator can change it, or a "
			"directory that leads to it");
	else
		check_tell(&c->report, has_suffix(s->name) ? CHECK_FAILED : CHECK_SKIPPED, "%s",
			   s->distrust);
}
