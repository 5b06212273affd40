/* tools/viaductd/config.c - reads the daemon's configuration. */
#include "config.h"

#include "../lib/sys_process.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX 1048576u
#define FILE_PATH_MAX 3700 /* so that the path of a file in FILE.d fits into SYS_PATH as well */
#define MAX_SEEN 512u      /* keys of one section */

/* One of them comes from the build. An installation that may be moved has its configuration where the path
 * leads from the program, "../etc/viaduct/viaductd.conf"; any other has it below one directory. */
#if !defined(VIA_CONFIG_FROM_PROGRAM) && !defined(VIA_SYSCONFDIR)
#define VIA_SYSCONFDIR "/etc"
#endif

/* -- keys ------------------------------------------------------------------------------------ */

enum { V_TEXT, V_PATH, V_NUMBER, V_SIZE, V_TOKEN, V_TIME, V_MODE, V_BOOL, V_WORD };

typedef struct key {
	const char *name;
	uint8_t type;    /* V_* */
	uint16_t offset; /* of the member */
	uint32_t cap;    /* TEXT, PATH: room; NUMBER, SIZE: largest */
	uint32_t least;  /* NUMBER, SIZE: smallest */
	const char
		*words; /* WORD: "copy direct", in the order of the enum; else what is expected */
} key;

#define DAEMON(member) (uint16_t) offsetof(conf, member)
#define SERVICE(member) (uint16_t) offsetof(conf_service, member)

static const key daemon_keys[] = {
	{"run_dir", V_PATH, DAEMON(run_dir), INI_VALUE, 0, NULL},
	{"run_dir_mode", V_MODE, DAEMON(run_dir_mode), 0, 0, NULL},
	{"token", V_TOKEN, DAEMON(token), 0, 0, NULL},
	{"serve", V_WORD, DAEMON(serve), 0, 0, "all listed"},
	{"workers", V_NUMBER, DAEMON(workers), 64, 1, NULL},
	{"pool", V_NUMBER, DAEMON(pool), 256, 1, NULL},
	{"max_sessions", V_NUMBER, DAEMON(max_sessions), 65536, 1, NULL},
	{"module_path", V_TEXT, DAEMON(module_path), INI_VALUE, 0, NULL},
	{"modules.policy", V_WORD, DAEMON(module_policy), 0, 0, "any locked"},
	{"policy", V_WORD, DAEMON(policy), 0, 0, "balanced latency frugal"},
	{"log_level", V_WORD, DAEMON(log_level), 0, 0, "trace debug info warn error off"},
	{"load", V_WORD, DAEMON(load), 0, 0, "copy direct"},
	{"drain_timeout", V_TIME, DAEMON(drain_ns), 0, 0, NULL},
};

static const key service_keys[] = {
	{"enabled", V_BOOL, SERVICE(enabled), 0, 0, NULL},
	{"token", V_TOKEN, SERVICE(token), 0, 0, NULL},
	{"max_request", V_SIZE, SERVICE(max_request), 1u << 30, 1, NULL},
	{"max_response", V_SIZE, SERVICE(max_response), 1u << 30, 1, NULL},
	{"transport", V_TEXT, SERVICE(transport), 64, 0, NULL},
	{"profiles", V_TEXT, SERVICE(profiles), 128, 0, NULL},
};

#define N_DAEMON_KEYS (sizeof daemon_keys / sizeof daemon_keys[0])
#define N_SERVICE_KEYS (sizeof service_keys / sizeof service_keys[0])

/* One file being read. */
typedef struct parser {
	conf *c;
	const char *file;
	char *why;
	ini_reader ini;
	/* where things stood in this file, to say so when they come again */
	struct seen {
		char what[2 * INI_NAME]; /* "section name" or "key" */
		uint32_t line;
	} * sections;
	uint32_t n_sections;
	struct seen *keys; /* of the section */
	uint32_t n_keys;
	conf_service *service; /* the section's, or NULL */
	conf_module *module;
} parser;

static int fail_at(parser *p, uint32_t line, const char *fmt, ...) TOOLS_PRINTF(3, 4);

static int fail_at(parser *p, uint32_t line, const char *fmt, ...)
{
	char text[CONF_WHY - 200];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	(void)snprintf(p->why, CONF_WHY, "%.190s:%" PRIu32 ": %s", p->file, line, text);
	return 0;
}

/* -- values ---------------------------------------------------------------------------------- */

static int bad_value(parser *p, const char *expected)
{
	char shown[64];

	return fail_at(p, p->ini.line, "%s: expected %s, found \"%s\"", p->ini.key, expected,
		       text_shown(shown, sizeof shown, p->ini.value, strlen(p->ini.value)));
}

static int take_number(parser *p, const key *k, uint32_t *out)
{
	char expected[80];
	uint64_t v;
	int ok;

	ok = k->type == V_SIZE ? text_size(p->ini.value, &v) : text_u64(p->ini.value, &v);
	(void)snprintf(expected, sizeof expected, "a number of %" PRIu32 "..%" PRIu32 "%s",
		       k->least, k->cap, k->type == V_SIZE ? ", maybe with K or M" : "");
	if (!ok || v < k->least || v > k->cap)
		return bad_value(p, expected);
	*out = (uint32_t)v;
	return 1;
}

static int take_mode(parser *p, uint32_t *out)
{
	const char *s = p->ini.value;
	uint32_t mode = 0;

	if (s[0] != '0' || strlen(s) < 4 || strlen(s) > 5 || s[strspn(s, "01234567")] != '\0')
		return bad_value(p, "an octal mode like 0700 or 01777");
	for (; *s != '\0'; s++)
		mode = mode * 8 + (uint32_t)(*s - '0');
	if ((mode & 0700) != 0700)
		return bad_value(p, "a mode that lets the owner in (07..)");
	if ((mode & 0002) != 0 && (mode & 01000) == 0)
		return bad_value(p, "a mode that others cannot write to, or a sticky one (01777)");
	*out = mode;
	return 1;
}

/* The position of the value in "first second third". */
static int take_word(parser *p, const key *k, uint32_t *out)
{
	const char *names[8], *near, *s = k->words;
	char text[80], expected[96];
	uint32_t n = 0, i;

	(void)snprintf(text, sizeof text, "%s", s);
	for (s = strtok(text, " "); s != NULL && n < 8; s = strtok(NULL, " "))
		names[n++] = s;
	for (i = 0; i < n; i++) {
		if (strcmp(names[i], p->ini.value) == 0) {
			*out = i;
			return 1;
		}
	}
	(void)snprintf(expected, sizeof expected, "one of %s", k->words);
	near = text_nearest(p->ini.value, names, n);
	if (near == NULL)
		return bad_value(p, expected);
	return fail_at(p, p->ini.line, "%s: expected %s, found \"%s\"; did you mean \"%s\"?",
		       p->ini.key, expected, p->ini.value, near);
}

static int take_text(parser *p, const key *k, char *out)
{
	size_t len = strlen(p->ini.value);

	if (len == 0)
		return bad_value(p, "something");
	if (len >= k->cap)
		return fail_at(p, p->ini.line, "%s: longer than %" PRIu32 " bytes", p->ini.key,
			       k->cap - 1);
#if !defined(_WIN32)
	if (k->type == V_PATH && p->ini.value[0] != '/')
		return bad_value(p, "an absolute path");
#endif
	memcpy(out, p->ini.value, len + 1);
	return 1;
}

static int take_value(parser *p, const key *k, void *base)
{
	void *at = (char *)base + k->offset;

	switch (k->type) {
	case V_TEXT:
	case V_PATH:
		return take_text(p, k, at);
	case V_NUMBER:
	case V_SIZE:
		return take_number(p, k, at);
	case V_TOKEN:
		return text_u64(p->ini.value, at) ||
		       bad_value(p, "a number of 64 bits, decimal or 0x...");
	case V_TIME:
		return text_duration(p->ini.value, at) ||
		       bad_value(p, "a time like 500ms, 5s or 1m");
	case V_MODE:
		return take_mode(p, at);
	case V_BOOL:
		return text_bool(p->ini.value, at) || bad_value(p, "yes or no");
	default:
		return take_word(p, k, at);
	}
}

static int known_key(parser *p, const key *keys, size_t n, void *base)
{
	const char *names[16], *near;
	size_t i;

	for (i = 0; i < n; i++) {
		if (strcmp(keys[i].name, p->ini.key) == 0)
			return take_value(p, &keys[i], base);
		names[i] = keys[i].name;
	}
	near = text_nearest(p->ini.key, names, n);
	if (near != NULL)
		return fail_at(p, p->ini.line, "unknown key \"%s\" in [%s]; did you mean \"%s\"?",
			       p->ini.key, p->ini.section, near);
	return fail_at(p, p->ini.line, "unknown key \"%s\" in [%s]", p->ini.key, p->ini.section);
}

/* -- sections -------------------------------------------------------------------------------- */

/* Remembers that `what` came here; refuses it the second time. */
static int once(parser *p, struct seen **list, uint32_t *n, const char *what, const char *kind)
{
	struct seen *more;
	uint32_t i;

	for (i = 0; i < *n; i++) {
		if (strcmp((*list)[i].what, what) == 0)
			return fail_at(p, p->ini.line,
				       "%s %s again; it stands in line %" PRIu32 " already", kind,
				       what, (*list)[i].line);
	}
	if (*n == MAX_SEEN)
		return fail_at(p, p->ini.line, "more than %u of them", MAX_SEEN);
	more = realloc(*list, (*n + 1) * sizeof(*more));
	if (more == NULL)
		return fail_at(p, p->ini.line, "no memory");
	*list = more;
	(void)snprintf(more[*n].what, sizeof more[*n].what, "%s", what);
	more[*n].line = p->ini.line;
	(*n)++;
	return 1;
}

static int open_service(parser *p)
{
	via_endpoint ep = {.struct_size = sizeof ep, .service = p->ini.name};
	conf_service *s = conf_find_service(p->c, p->ini.name);

	if (p->ini.name[0] == '\0')
		return fail_at(p, p->ini.line, "expected a service's name: [service NAME]");
	if (via_endpoint_check(&ep) != VIA_OK)
		return fail_at(p, p->ini.line, "[service %s]: %s", p->ini.name, via_error());
	if (s == NULL) {
		s = calloc(1, sizeof *s);
		if (s == NULL)
			return fail_at(p, p->ini.line, "no memory");
		memcpy(s->name, p->ini.name, sizeof s->name);
		(void)snprintf(s->where, sizeof s->where, "%.100s:%" PRIu32, p->file, p->ini.line);
		s->enabled = 1;
		s->next = p->c->services;
		p->c->services = s;
	}
	p->service = s;
	return 1;
}

static int open_module(parser *p)
{
	conf_module *m = conf_find_module(p->c, p->ini.name);

	if (p->ini.name[0] == '\0')
		return fail_at(p, p->ini.line, "expected a module's id: [module ID]");
	if (m == NULL) {
		m = calloc(1, sizeof *m);
		if (m == NULL)
			return fail_at(p, p->ini.line, "no memory");
		memcpy(m->id, p->ini.name, sizeof m->id);
		(void)snprintf(m->where, sizeof m->where, "%.100s:%" PRIu32, p->file, p->ini.line);
		m->next = p->c->modules;
		p->c->modules = m;
	}
	p->module = m;
	return 1;
}

static int open_section(parser *p)
{
	static const char *const names[] = {"daemon", "service", "module"};
	char what[2 * INI_NAME + 2];
	const char *near;

	p->service = NULL;
	p->module = NULL;
	p->n_keys = 0;
	(void)snprintf(what, sizeof what, "[%s%s%s]", p->ini.section,
		       p->ini.name[0] != '\0' ? " " : "", p->ini.name);
	what[2 * INI_NAME - 1] = '\0';
	if (!once(p, &p->sections, &p->n_sections, what, "section"))
		return 0;
	if (strcmp(p->ini.section, "service") == 0)
		return open_service(p);
	if (strcmp(p->ini.section, "module") == 0)
		return open_module(p);
	if (strcmp(p->ini.section, "daemon") == 0)
		return p->ini.name[0] == '\0' ||
		       fail_at(p, p->ini.line, "[daemon] has no name behind it");
	near = text_nearest(p->ini.section, names, 3);
	if (near != NULL)
		return fail_at(p, p->ini.line, "unknown section [%s]; did you mean [%s]?",
			       p->ini.section, near);
	return fail_at(p, p->ini.line,
		       "unknown section [%s]: expected [daemon], [service NAME] or [module ID]",
		       p->ini.section);
}

/* A later file's value replaces an earlier one's: the line goes, the new one is added. */
static void set_line(buf *lines, const char *name, const char *value)
{
	size_t len = strlen(name), at = 0, end;

	while (at < lines->len) {
		end = at;
		while (end < lines->len && lines->data[end] != '\n')
			end++;
		end++;
		if (end - at > len && memcmp(lines->data + at, name, len) == 0 &&
		    lines->data[at + len] == '=') {
			memmove(lines->data + at, lines->data + end, lines->len - end);
			lines->len -= end - at;
			break;
		}
		at = end;
	}
	buf_text(lines, name);
	buf_char(lines, '=');
	buf_text(lines, value);
	buf_char(lines, '\n');
}

static int take_key(parser *p)
{
	if (!once(p, &p->keys, &p->n_keys, p->ini.key, "key"))
		return 0;
	if (p->module != NULL) {
		set_line(&p->module->lines, p->ini.key, p->ini.value);
		return !p->module->lines.failed || fail_at(p, p->ini.line, "no memory");
	}
	if (p->service == NULL)
		return known_key(p, daemon_keys, N_DAEMON_KEYS, p->c);
	p->service->has_token |= strcmp(p->ini.key, "token") == 0;
	return known_key(p, service_keys, N_SERVICE_KEYS, p->service);
}

int conf_parse(conf *c, const char *file, const char *src, size_t len, char *why)
{
	parser p;
	int what, ok = 1;

	memset(&p, 0, sizeof p);
	p.c = c;
	p.file = file;
	p.why = why;
	ini_begin(&p.ini, src, len);
	while (ok && (what = ini_next(&p.ini)) != INI_END) {
		if (what == INI_BAD) {
			(void)snprintf(why, CONF_WHY, "%.190s:%" PRIu32 ":%" PRIu32 ": %s", file,
				       p.ini.why.line, p.ini.why.column, p.ini.why.text);
			ok = 0;
		} else {
			ok = what == INI_SECTION ? open_section(&p) : take_key(&p);
		}
	}
	free(p.sections);
	free(p.keys);
	c->n_files += ok != 0;
	return ok;
}

/* -- files ----------------------------------------------------------------------------------- */

void conf_init(conf *c)
{
	memset(c, 0, sizeof *c);
	c->run_dir_mode = 0700;
	c->log_level = VIA_LOG_INFO;
	c->drain_ns = 5000000000ull;
}

static int load_one(conf *c, const char *file, int must_exist, char *why)
{
	char reason[SYS_WHY];
	buf text = {0};
	int rc;

	rc = sys_read(file, FILE_MAX, &text, reason);
	if (rc == 1)
		rc = conf_parse(c, file, buf_string(&text), text.len, why);
	else if (rc == 0 && !must_exist)
		rc = 1;
	else
		rc = ((void)snprintf(why, CONF_WHY, "%.300s: %s", file, reason), 0);
	buf_free(&text);
	return rc;
}

int conf_load(conf *c, const char *file, int must_exist, char *why)
{
	char dir[SYS_PATH], path[SYS_PATH], reason[SYS_WHY];
	buf names = {0};
	size_t at;
	int ok;

	if (strlen(file) > FILE_PATH_MAX) {
		(void)snprintf(why, CONF_WHY,
			       "path of the configuration: expected at most %d bytes, found %zu",
			       FILE_PATH_MAX, strlen(file));
		return 0;
	}
	if (!load_one(c, file, must_exist, why))
		return 0;
	(void)snprintf(dir, sizeof dir, "%.*s.d", FILE_PATH_MAX, file);
	ok = sys_list(dir, ".conf", &names, reason) >= 0;
	if (!ok)
		(void)snprintf(why, CONF_WHY, "%.300s: %s", dir, reason);
	for (at = 0; ok && at < names.len; at += strlen(names.data + at) + 1) {
		(void)snprintf(path, sizeof path, "%.3750s/%.300s", dir, names.data + at);
		ok = load_one(c, path, 1, why);
	}
	buf_free(&names);
	return ok;
}

#if defined(VIA_CONFIG_FROM_PROGRAM)

#if defined(_WIN32)
#define SEPARATOR '\\'
#else
#define SEPARATOR '/'
#endif

int conf_default_file(char path[CONF_PATH], char *why)
{
	const char *rest = VIA_CONFIG_FROM_PROGRAM;
	char program[CONF_PATH], reason[SYS_WHY], *end;
	int up = 1, i;

	if (!sys_own_program(program, CONF_PATH, reason)) {
		(void)snprintf(why, CONF_WHY, "place of the configuration: %s", reason);
		return 0;
	}
	(void)snprintf(path, CONF_PATH, "%s", program);
	for (; strncmp(rest, "../", 3) == 0; rest += 3)
		up++;
	for (i = 0; i < up; i++) {
		end = strrchr(path, SEPARATOR);
		if (end == NULL)
			break;
		*end = '\0';
	}
	if (i < up || strlen(path) + strlen(rest) + 2 > CONF_PATH) {
		(void)snprintf(why, CONF_WHY,
			       "place of the configuration: expected %d directories above the "
			       "program and %u bytes at most, found %.300s",
			       up, CONF_PATH - 1, program);
		return 0;
	}
	end = path + strlen(path);
	(void)snprintf(end, CONF_PATH - (size_t)(end - path), "%c%s", SEPARATOR, rest);
	while ((end = strchr(end, '/')) != NULL)
		*end++ = SEPARATOR;
	return 1;
}

#else

int conf_default_file(char path[CONF_PATH], char *why)
{
	(void)why;
	(void)snprintf(path, CONF_PATH, "%s", VIA_SYSCONFDIR "/viaduct/viaductd.conf");
	return 1;
}

#endif

int conf_read(conf *c, const conf_source *from, char *why)
{
	char path[CONF_PATH];

	if (from->file == NULL && !conf_default_file(path, why))
		return 0;
	if (!conf_load(c, from->file != NULL ? from->file : path, from->file != NULL, why))
		return 0;
	if (c->module_policy == VIA_MODULES_LOCKED && c->load == VIA_LOAD_DIRECT) {
		(void)snprintf(
			why, CONF_WHY,
			"[daemon]: modules.policy = locked: expected load = copy, so that what "
			"was checked is what is mapped, found load = direct");
		return 0;
	}
	if (from->run_dir == NULL)
		return 1;
	if (strlen(from->run_dir) >= sizeof c->run_dir || from->run_dir[0] == '\0') {
		(void)snprintf(why, CONF_WHY, "--run-dir: expected a path of 1..%zu bytes",
			       sizeof c->run_dir - 1);
		return 0;
	}
	memcpy(c->run_dir, from->run_dir, strlen(from->run_dir) + 1);
	return 1;
}

conf_service *conf_find_service(const conf *c, const char *name)
{
	conf_service *s = c->services;

	while (s != NULL && strcmp(s->name, name) != 0)
		s = s->next;
	return s;
}

conf_module *conf_find_module(const conf *c, const char *id)
{
	conf_module *m = c->modules;

	while (m != NULL && strcmp(m->id, id) != 0)
		m = m->next;
	return m;
}

void conf_free(conf *c)
{
	conf_service *s;
	conf_module *m;

	while ((s = c->services) != NULL) {
		c->services = s->next;
		free(s);
	}
	while ((m = c->modules) != NULL) {
		c->modules = m->next;
		buf_free(&m->lines);
		free(m);
	}
}
