/* tools/viaduct/modules.c - `viaduct modules`: every file that was looked at. Nothing is executed.
 *
 * Under the policy `locked` every file is hashed, which finding modules leaves to their loads: who
 * asks what is usable wants to know it now. */
#include "viaduct.h"

#include "../lib/table.h"

#include <string.h>

static const char *const states[] = {"?",       "found",    "loaded", "retired",
				     "refused", "shadowed", "gone"};
static const char *const kinds[] = {"?", "transport", "codec", "service"};

typedef struct listing {
	table table;
	json_writer json;
	int is_json, is_why;
} listing;

static const char *state_name(uint32_t state)
{
	return states[state <= VIA_FILE_GONE ? state : 0];
}

static const char *kind_name(uint32_t number)
{
	return kinds[number <= VIA_KIND_SERVICE ? number : 0];
}

static void put_text(json_writer *w, const char *key, const char *text)
{
	json_key(w, key);
	json_put_text(w, text);
}

static void put_number(json_writer *w, const char *key, uint64_t v)
{
	json_key(w, key);
	json_put_u64(w, v);
}

static void provided_json(json_writer *w, const via_provided *p)
{
	json_open(w, '{');
	put_text(w, "kind", kind_name(p->kind));
	put_text(w, "name", p->name);
	put_text(w, "id", p->id);
	put_number(w, "rev", p->rev);
	json_key(w, "score");
	json_put_i64(w, p->score);
	if (p->kind == VIA_KIND_TRANSPORT) {
		put_number(w, "roles", p->roles);
		put_number(w, "profiles", p->profiles);
		put_number(w, "by_request", p->by_request);
	} else if (p->kind == VIA_KIND_CODEC) {
		put_number(w, "method", p->method);
	} else {
		put_number(w, "max_request", p->max_request);
		put_number(w, "max_response", p->max_response);
	}
	json_close(w, '}');
}

static void file_json(listing *l, const via_file_info *info)
{
	json_writer *w = &l->json;
	uint32_t i;

	json_open(w, '{');
	put_text(w, "path", info->path);
	put_text(w, "state", state_name(info->state));
	put_text(w, "id", info->id);
	put_text(w, "version", info->version);
	put_text(w, "reason", info->reason);
	put_number(w, "generation", info->generation);
	json_key(w, "provides");
	json_open(w, '[');
	for (i = 0; i < info->n_provided; i++)
		provided_json(w, &info->provided[i]);
	json_close(w, ']');
	json_close(w, '}');
}

/* "codec increment (method 1), service increment" */
static void file_row(listing *l, const via_file_info *info)
{
	buf text = {0};
	uint32_t i;

	for (i = 0; i < info->n_provided; i++) {
		const via_provided *p = &info->provided[i];

		buf_printf(&text, "%s%s %s", i != 0 ? ", " : "", kind_name(p->kind), p->name);
		if (p->kind == VIA_KIND_TRANSPORT && p->profiles != 0) {
			buf_text(&text, " (profile ");
			explain_mask(p->profiles, &text);
			buf_char(&text, ')');
		} else if (p->kind == VIA_KIND_CODEC) {
			buf_printf(&text, " (method %u)", p->method);
		}
	}
	table_text(&l->table, state_name(info->state));
	table_text(&l->table, info->id);
	table_text(&l->table, info->version);
	table_text(&l->table, buf_string(&text));
	table_text(&l->table, info->path);
	if (l->is_why)
		table_text(&l->table, info->reason);
	buf_free(&text);
}

static int take_file(void *arg, const via_file_info *info)
{
	listing *l = arg;

	if (l->is_json)
		file_json(l, info);
	else
		file_row(l, info);
	return 0;
}

static void begin_table(listing *l)
{
	static const char *const heads[] = {"state", "id", "version", "provides", "file", "why"};
	uint32_t i, n = l->is_why ? 6 : 5;

	table_begin(&l->table, n);
	for (i = 0; i < n; i++)
		table_text(&l->table, heads[i]);
}

static int print_modules(listing *l, via_registry *r)
{
	buf out = {0};

	if (l->is_json) {
		l->json = (json_writer){.out = &out, .lines = 2};
		json_open(&l->json, '{');
		put_text(&l->json, "module_path", via_registry_path(r));
		json_key(&l->json, "files");
		json_open(&l->json, '[');
		(void)via_registry_files(r, take_file, l);
		json_close(&l->json, ']');
		json_close(&l->json, '}');
		buf_char(&out, '\n');
	} else {
		begin_table(l);
		(void)via_registry_files(r, take_file, l);
		if (l->table.n_cells == l->table.n_columns) {
			buf_text(&out, "no module files in ");
			text_show(&out, via_registry_path(r), strlen(via_registry_path(r)));
			buf_char(&out, '\n');
			l->table.n_cells = 0;
		}
		table_end(&l->table, &out);
	}
	return cli_write(&out);
}

enum { O_WHY, O_JSON, O_PATH, O_MODULES, O_HELP };

static const opt options[] = {{"why", 0, NULL, "add why a file was refused or shadowed"},
			      {"json", 0, NULL, "one JSON object with everything"},
			      {"module-path", 0, "DIRS",
			       "where modules are, instead of the usual place"},
			      CLI_MODULE_POLICY,
			      {"help", 'h', NULL, "this text"},
			      {NULL, 0, NULL, NULL}};

static const char usage[] = "viaduct modules [--why] [--json]";
static const char about[] =
	"Lists every module file that was looked at: what it provides, whether it can be used,\n"
	"and why not. Reads files, executes nothing.\n";

int cmd_modules(int argc, char **argv)
{
	via_registry_options registry = VIA_REGISTRY_OPTIONS_INIT;
	listing l = {0};
	via_registry *r;
	opt_parser p;
	int o, status;
	via_rc rc;

	opt_begin(&p, options, argc, argv);
	while ((o = opt_next(&p)) != OPT_END) {
		if (o == OPT_BAD)
			return bad_option("modules", &p);
		if (o == OPT_OPERAND)
			return cli_fail(CLI_USAGE, "modules: expected no argument, found '%s'",
					p.value);
		if (o == O_HELP)
			return print_help(usage, about, options);
		l.is_why |= o == O_WHY;
		l.is_json |= o == O_JSON;
		if (o == O_PATH)
			registry.module_path = p.value;
		if (o == O_MODULES && cli_module_policy(p.value, &registry.module_policy) != CLI_OK)
			return CLI_USAGE;
	}
	status = open_registry_with(&registry, 0, &r);
	if (status != CLI_OK)
		return status;
	if (registry.module_policy == VIA_MODULES_LOCKED) {
		rc = via_registry_verify(r);
		status = rc == VIA_OK ? CLI_OK : cli_fail_rc(rc, "module registry");
	}
	if (status == CLI_OK)
		status = print_modules(&l, r);
	(void)via_registry_close(r);
	return status;
}
