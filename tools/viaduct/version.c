/* tools/viaduct/version.c - `viaduct version`. */
#include "viaduct.h"

int cmd_version(int argc, char **argv)
{
	static const opt options[] = {{"json", 0, NULL, "one JSON object"},
				      {"help", 'h', NULL, "this text"},
				      {NULL, 0, NULL, NULL}};
	opt_parser p;
	buf out = {0};
	json_writer w = {.out = &out};
	int o, is_json = 0;

	opt_begin(&p, options, argc, argv);
	while ((o = opt_next(&p)) != OPT_END) {
		if (o == OPT_BAD)
			return bad_option("version", &p);
		if (o == OPT_OPERAND)
			return cli_fail(CLI_USAGE, "version: expected no argument, found '%s'",
					p.value);
		if (o == 1)
			return print_help(
				"viaduct version [--json]",
				"Prints the versions of the library in use, of the module ABI and of "
				"the wire format.\n",
				options);
		is_json = 1;
	}
	if (!is_json) {
		buf_printf(&out, "viaduct %s (module ABI %u.%u, wire format %u)\n", via_version(),
			   VIA_ABI_MAJOR, VIA_ABI_MINOR, VIA_WIRE_VERSION);
		return cli_write(&out);
	}
	json_open(&w, '{');
	json_key(&w, "version");
	json_put_text(&w, via_version());
	json_key(&w, "abi_major");
	json_put_u64(&w, VIA_ABI_MAJOR);
	json_key(&w, "abi_minor");
	json_put_u64(&w, VIA_ABI_MINOR);
	json_key(&w, "wire");
	json_put_u64(&w, VIA_WIRE_VERSION);
	json_close(&w, '}');
	buf_char(&out, '\n');
	return cli_write(&out);
}
