/* tools/viaduct/bench_server.c - `viaduct bench`, the server's side: services, and the process that
 * serves them.
 *
 * That process is told what to do line by line over its standard input, and answers each line over
 * its standard output. When its input ends it ends, so none is left behind whatever becomes of the
 * program that started it.
 */
#include "bench.h"

#include "../lib/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOCAL "loop" /* both ends in one process */
#define NAME_ROOM 96u

/* -- services -------------------------------------------------------------------------------- */

/* The answer to payload is one to increment, with bytes behind it: a codec may look at it. */
static via_rc VIA_CALL payload_call(void *self, void *session, via_call *call)
{
	const bench_server *s = self;
	const uint32_t bytes = s->row->bytes;
	uint8_t *dst = call->response;
	uint64_t value;
	via_rc rc = via_increment_decode(call->request, call->request_len, &value, NULL);

	(void)session;
	if (rc != VIA_OK)
		return rc;
	if (call->response_cap < bytes)
		return VIA_TOOBIG;
	memcpy(dst, s->source, bytes);
	via_bytes_put_u64(dst, value + 1);
	via_bytes_put_u64(dst + bytes - 8, value + 1);
	call->response_len = bytes;
	return VIA_OK;
}

static via_rc VIA_CALL snapshot_call(void *self, void *session, via_call *call)
{
	const bench_server *s = self;
	via_cgroups_snapshot_builder b;
	uint32_t i, n = s->row->max_items;
	via_rc rc = via_cgroups_snapshot_begin(&b, call->response, call->response_cap, n);

	(void)session;
	for (i = 0; rc == VIA_OK && i < n; i++)
		rc = via_cgroups_snapshot_add(&b, &s->items[i]);
	if (rc != VIA_OK)
		return rc;
	via_cgroups_snapshot_set_header(&b, 1, 1);
	return via_cgroups_snapshot_finish(&b, &call->response_len);
}

static const char *const increment_codecs[] = {"increment", NULL};
static const char *const snapshot_codecs[] = {"cgroups-snapshot", NULL};

static const via_service payload_service = {.struct_size = sizeof(via_service),
					    .flags = VIA_SVC_CONCURRENT | VIA_SVC_IDEMPOTENT,
					    .name = "bench-payload",
					    .codecs = increment_codecs,
					    .call = payload_call};
static const via_service snapshot_service = {.struct_size = sizeof(via_service),
					     .flags = VIA_SVC_CONCURRENT | VIA_SVC_IDEMPOTENT,
					     .name = "cgroups-snapshot",
					     .codecs = snapshot_codecs,
					     .call = snapshot_call};

static int make_source(bench_server *s)
{
	uint32_t i, bytes = s->row->bytes;

	s->source = malloc((size_t)bytes + 8);
	for (i = 0; s->source != NULL && i < bytes; i += 8)
		via_bytes_put_u64(s->source + i, bench_word(i / 8));
	return s->source != NULL;
}

static void item_texts(uint32_t i, char *name, char *path)
{
	(void)snprintf(name, NAME_ROOM / 3, "bench-%u", i);
	(void)snprintf(path, NAME_ROOM - NAME_ROOM / 3, "/system.slice/bench-%u.service", i);
}

static int make_items(bench_server *s)
{
	uint32_t i, n = s->row->max_items;
	char *name, *path;

	s->items = calloc(n, sizeof(*s->items));
	s->names = calloc(n, NAME_ROOM);
	for (i = 0; s->items != NULL && s->names != NULL && i < n; i++) {
		name = s->names + (size_t)i * NAME_ROOM;
		path = name + NAME_ROOM / 3;
		item_texts(i, name, path);
		s->items[i] = (via_cgroups_item){.hash = i,
						 .options = 2,
						 .enabled = 1,
						 .name = name,
						 .name_len = (uint32_t)strlen(name),
						 .path = path,
						 .path_len = (uint32_t)strlen(path)};
	}
	return s->items != NULL && s->names != NULL;
}

/* -- what both sides compute alike ----------------------------------------------------------- */

static uint32_t snapshot_size(uint32_t n)
{
	char name[NAME_ROOM], path[NAME_ROOM];
	uint64_t size = via_cgroups_snapshot_packed(n);
	uint32_t i;

	for (i = 0; i < n; i++) {
		item_texts(i, name, path);
		size = via_bytes_align8(size) +
		       via_cgroups_snapshot_item_size((uint32_t)strlen(name),
						      (uint32_t)strlen(path));
	}
	return (uint32_t)size;
}

void bench_config(const bench_row *row, via_session_config *out)
{
	memset(out, 0, sizeof *out);
	out->struct_size = sizeof *out;
	out->profiles = row->offered;
	if (row->scenario->has_batches) { /* directory entry and number */
		out->max_request_batch = row->max_items;
		out->max_request_payload = out->max_response_payload = 16 * row->max_items;
	} else if (row->scenario->has_items) {
		out->max_response_payload = snapshot_size(row->max_items);
	} else if (row->scenario->has_bytes) {
		out->max_response_payload = row->bytes;
		out->flags = VIA_SESSION_BORROW;
	}
}

int bench_open_registry(const bench_setup *setup, const bench_row *row, via_registry **out)
{
	via_registry_options o = VIA_REGISTRY_OPTIONS_INIT;

	o.module_path = setup->module_path;
	o.module_policy = setup->module_policy;
	o.policy = row->policy;
	return open_registry_with(&o, setup->verbose, out);
}

typedef struct choice {
	const char *word; /* NULL: the best baseline */
	size_t len;
	int32_t score;
	char name[64];
	int is_builtin;
} choice;

static int provides(const via_provided *p, const char *word, size_t len)
{
	const char *s = p->name;
	size_t n;

	for (; *s != '\0'; s += n + (s[n] == ',')) {
		n = strcspn(s, ",");
		if (n == len && memcmp(s, word, len) == 0)
			return 1;
	}
	return strlen(p->id) == len && memcmp(p->id, word, len) == 0;
}

static int look_at(void *arg, const via_file_info *f)
{
	choice *c = arg;
	uint32_t i;

	for (i = 0;
	     i < f->n_provided && (f->state == VIA_FILE_FOUND || f->state == VIA_FILE_LOADED);
	     i++) {
		const via_provided *p = &f->provided[i];

		if (p->kind != VIA_KIND_TRANSPORT || p->score <= c->score ||
		    (c->word != NULL ? !provides(p, c->word, c->len)
				     : (p->roles & VIA_ROLE_BASELINE) == 0 || p->score <= 0))
			continue;
		c->score = p->score;
		c->is_builtin = f->path[0] == '(';
		(void)snprintf(c->name, sizeof c->name, "%.*s", (int)strcspn(p->name, ","),
			       p->name);
	}
	return 0;
}

/* The last word of "decorator+word" up to the end. */
static const char *last_word(const char *text, const char *end)
{
	const char *p = end;

	while (p > text && p[-1] != '+')
		p--;
	return p;
}

void bench_build(via_registry *r, const char *transport, char *out, size_t cap)
{
	const char *end = transport + strcspn(transport, ">");
	choice c = {.score = INT32_MIN};

	c.word = last_word(transport, end);
	c.len = (size_t)(end - c.word);
	(void)via_registry_files(r, look_at, &c);
#if defined(__clang__)
	(void)snprintf(out, cap, "clang-%d.%d.%d %s", __clang_major__, __clang_minor__,
		       __clang_patchlevel__, c.is_builtin ? "builtin" : "modules");
#elif defined(_MSC_VER)
	(void)snprintf(out, cap, "msvc-%d.%d %s", _MSC_VER / 100, _MSC_VER % 100,
		       c.is_builtin ? "builtin" : "modules");
#else
	(void)snprintf(out, cap, "gcc-%d.%d.%d %s", __GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__,
		       c.is_builtin ? "builtin" : "modules");
#endif
}

static int look_up(via_registry *r, const char *word, const char *end, via_provided *out)
{
	char name[64], shown[64];
	size_t len = (size_t)(end - word);

	memset(out, 0, sizeof *out);
	out->struct_size = sizeof *out;
	if (len == 0 || len >= sizeof name)
		return cli_fail(CLI_USAGE,
				"--transport: expected names with '+' and '>' between, "
				"found '%s'",
				text_shown(shown, sizeof shown, word, strlen(word)));
	memcpy(name, word, len);
	name[len] = '\0';
	if (via_registry_lookup(r, VIA_KIND_TRANSPORT, name, out) == VIA_OK)
		return CLI_OK;
	return cli_fail_rc(VIA_NOTFOUND, name);
}

int bench_best(via_registry *r, char *name, size_t cap)
{
	choice base = {.score = INT32_MIN};

	(void)via_registry_files(r, look_at, &base);
	if (base.name[0] == '\0')
		return cli_fail(CLI_MODULE, "no baseline was found that is chosen by itself; "
					    "'viaduct modules' lists what there is");
	(void)snprintf(name, cap, "%s", base.name);
	return CLI_OK;
}

/* What is offered, and what of it must come out. */
static int choose_profiles(via_registry *r, const via_provided *found, bench_row *row)
{
	char why[CLI_WHY];

	row->asked = found->profiles;
	row->offered = (found->roles & VIA_ROLE_UPGRADE) != 0 ? 0 : found->profiles;
	if (row->profiles == NULL)
		return CLI_OK;
	if (!cli_profiles(r, row->profiles, &row->offered, why))
		return cli_fail(CLI_USAGE, "--profiles: %s", why);
	row->asked &= row->offered;
	if (row->asked == 0)
		return cli_fail(CLI_USAGE,
				"--profiles: expected one of 0x%x, which %s serves, found '%s'",
				found->profiles, found->id, row->profiles);
	return CLI_OK;
}

int bench_resolve(via_registry *r, const char *text, bench_row *row, char *name, size_t cap)
{
	const char *behind = strchr(text, '>'), *end = text + strlen(text);
	via_provided found;
	char best[64];
	int status, n;

	status = look_up(r, last_word(behind != NULL ? behind + 1 : text, end), end, &found);
	if (status != CLI_OK)
		return status;
	status = choose_profiles(r, &found, row);
	if (status != CLI_OK)
		return status;
	if (behind != NULL || (found.roles & VIA_ROLE_BASELINE) != 0) {
		n = snprintf(name, cap, "%s", text);
	} else {
		status = bench_best(r, best, sizeof best);
		if (status != CLI_OK)
			return status;
		n = snprintf(name, cap, "%s>%s", best, text);
	}
	if (n < 0 || (size_t)n >= cap)
		return cli_fail(CLI_USAGE, "--transport: '%s' is too long", text);
	row->transport = name;
	end = name + strcspn(name, ">");
	text = last_word(name, end);
	row->is_local =
		(size_t)(end - text) == strlen(LOCAL) && memcmp(text, LOCAL, strlen(LOCAL)) == 0;
	return CLI_OK;
}

/* -- serving --------------------------------------------------------------------------------- */

static int add_endpoint(bench_server *s, const char *run_dir)
{
	const bench_scenario *what = s->row->scenario;
	via_endpoint ep = {.struct_size = sizeof ep, .service = what->service, .run_dir = run_dir};
	via_session_config config;
	via_rc rc;

	bench_config(s->row, &config);
	ep.transport = s->row->transport;
	if (what->has_bytes && !make_source(s))
		return cli_fail(CLI_FAILED, "no memory for %u bytes", s->row->bytes);
	if (what->has_items && !what->has_batches && !make_items(s))
		return cli_fail(CLI_FAILED, "no memory for %u items", s->row->max_items);
	if (s->source != NULL)
		rc = via_server_add_service(s->server, &ep, &config, &payload_service, s);
	else if (s->items != NULL)
		rc = via_server_add_service(s->server, &ep, &config, &snapshot_service, s);
	else
		rc = via_server_add(s->server, &ep, &config);
	return rc == VIA_OK ? CLI_OK : cli_fail_rc(rc, what->service);
}

int bench_server_open(bench_server *s, via_registry *r, const bench_row *row, const char *run_dir)
{
	via_rc rc;
	int status;

	memset(s, 0, sizeof *s);
	s->registry = r;
	s->row = row;
	rc = via_server_open(r, NULL, &s->server);
	if (rc != VIA_OK)
		return cli_fail_rc(rc, "server");
	status = add_endpoint(s, run_dir);
	if (status != CLI_OK)
		return status;
	rc = via_server_start(s->server);
	return rc == VIA_OK ? CLI_OK : cli_fail_rc(rc, "server");
}

void bench_server_close(bench_server *s)
{
	via_server_close(s->server);
	free(s->source);
	free(s->items);
	free(s->names);
	memset(s, 0, sizeof *s);
}

/* -- the process ----------------------------------------------------------------------------- */

static int say(const char *line)
{
	return fputs(line, stdout) >= 0 && fflush(stdout) == 0;
}

static int open_all(bench_server *s, const bench_setup *setup, const bench_row *row,
		    const char *run_dir)
{
	via_registry *r;
	int status = bench_open_registry(setup, row, &r);

	if (status != CLI_OK)
		return status;
	status = bench_server_open(s, r, row, run_dir);
	s->registry = r;
	return status;
}

static void close_all(bench_server *s)
{
	via_registry *r = s->registry;

	bench_server_close(s);
	if (r != NULL)
		(void)via_registry_close(r);
}

static int pin_all(const char *word)
{
	char why[SYS_WHY];
	uint64_t cpu;

	if (!text_u64(word, &cpu) || cpu >= SYS_CPUS)
		return cli_fail(CLI_FAILED, "pin: expected a processor, found '%s'", word);
	if (!sys_pin_others((uint32_t)cpu, why) || !sys_pin_thread((uint32_t)cpu, why))
		return cli_fail(CLI_FAILED, "pin: %s", why);
	return CLI_OK;
}

/* One line of the client's side. */
static int obey(bench_server *s, const bench_setup *setup, const bench_row *row, const char *line,
		const char *run_dir)
{
	char answer[SYS_LINE];
	int status = CLI_OK;

	(void)snprintf(answer, sizeof answer, "ok\n");
	if (strcmp(line, "cpu") == 0) {
		(void)snprintf(answer, sizeof answer, "cpu %llu\n",
			       (unsigned long long)sys_process_cpu());
	} else if (strncmp(line, "pin ", 4) == 0) {
		status = pin_all(line + 4);
	} else if (strcmp(line, "renew") == 0) {
		close_all(s);
		status = open_all(s, setup, row, run_dir);
	} else {
		return cli_fail(CLI_FAILED, "expected cpu, pin or renew, found '%s'", line);
	}
	return status == CLI_OK && !say(answer) ? CLI_FAILED : status;
}

int bench_serve(const bench_setup *setup, const bench_row *row, const char *run_dir)
{
	char line[SYS_LINE], build[64], why[SYS_WHY];
	bench_server s = {0};
	sys_child client;
	sys_dir dir;
	int status, heard = 1;

	if (!sys_dir_open(run_dir, 0700, &dir, why))
		return cli_fail(CLI_FAILED, "run directory %s: %s", run_dir, why);
	status = open_all(&s, setup, row, run_dir);
	sys_child_self(&client);
	if (status == CLI_OK) {
		bench_build(s.registry, row->transport, build, sizeof build);
		(void)snprintf(line, sizeof line, "ready %s\n", build);
		status = say(line) ? CLI_OK : CLI_FAILED;
	}
	while (status == CLI_OK && (heard = sys_child_hear(&client, line, UINT32_MAX, NULL)) != 0) {
		if (heard == 1)
			status = obey(&s, setup, row, line, run_dir);
	}
	close_all(&s);
	dir.is_made = 1; /* for whoever started this and may be gone: removes it if it is empty */
	sys_dir_close(&dir);
	return status;
}
