/* tools/viaduct/decode.c - `viaduct decode` and `viaduct encode`. */
#include "viaduct.h"

#include "../lib/sys.h"

#include <string.h>

static const char kinds_help[] =
	"KIND is one of\n"
	"  header          outer header, 32 bytes; what stands behind it is not looked at\n"
	"  chunk           chunk continuation header, 32 bytes\n"
	"  hello           payload of HELLO, 44 bytes (no outer header)\n"
	"  hello-ack       payload of HELLO_ACK, 48 bytes (no outer header)\n"
	"  batch:N         payload of a batch of N items\n"
	"  CODEC:request   payload of one request, for every codec that is installed\n"
	"  CODEC:response  payload of one response\n"
	"\nBytes that are no plain text (not UTF-8, or with control characters) are written as\n"
	"{\"hex\": \"6e006d\"} instead of a string. Integers are exact up to 64 bits.\n";

typedef struct request {
	const char *kind, *file, *module_path;
	int is_hex, is_help;
} request;

/* Options of both commands: --hex is decode's. */
static int read_options(const char *command, const opt *options, int argc, char **argv,
			request *out)
{
	opt_parser p;
	int o;

	memset(out, 0, sizeof *out);
	opt_begin(&p, options, argc, argv);
	while ((o = opt_next(&p)) != OPT_END) {
		if (o == OPT_BAD)
			return bad_option(command, &p);
		if (o == OPT_OPERAND && out->kind == NULL)
			out->kind = p.value;
		else if (o == OPT_OPERAND && out->file == NULL)
			out->file = p.value;
		else if (o == OPT_OPERAND)
			return cli_fail(CLI_USAGE,
					"%s: expected KIND and FILE, found one more: '%s'", command,
					p.value);
		else if (strcmp(options[o].name, "hex") == 0)
			out->is_hex = 1;
		else if (strcmp(options[o].name, "module-path") == 0)
			out->module_path = p.value;
		else
			out->is_help = 1;
	}
	if (out->kind == NULL && !out->is_help)
		return cli_fail(CLI_USAGE, "%s: expected a KIND; viaduct %s --help lists them",
				command, command);
	return CLI_OK;
}

static const char *file_name(const request *q)
{
	return q->file != NULL && strcmp(q->file, "-") != 0 ? q->file : "standard input";
}

static int read_input(const request *q, buf *in)
{
	char why[SYS_WHY];

	if (sys_read(q->file, INPUT_MAX, in, why) == 1)
		return CLI_OK;
	return cli_fail(CLI_FAILED, "%s: %s", file_name(q), why);
}

static int is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* Hexadecimal text to bytes, in place: pairs of digits, blanks between pairs, '#' begins a
 * comment. */
static int unhex(const request *q, buf *in)
{
	size_t i = 0, n = 0, line = 1;
	char *s = in->data;
	char shown[24];

	while (i < in->len) {
		if (s[i] == '\n' || is_blank(s[i])) {
			line += s[i++] == '\n';
		} else if (s[i] == '#') {
			while (i < in->len && s[i] != '\n')
				i++;
		} else if (i + 1 < in->len && text_unhex(s + i, 2, (uint8_t *)s + n)) {
			n++;
			i += 2;
		} else {
			return cli_fail(CLI_FAILED,
					"%s:%zu: expected pairs of hexadecimal digits, found '%s'",
					file_name(q), line,
					text_shown(shown, sizeof shown, s + i,
						   in->len - i < 2 ? 1 : 2));
		}
	}
	in->len = n;
	return CLI_OK;
}

int cmd_decode(int argc, char **argv)
{
	static const opt options[] = {{"hex", 0, NULL,
				       "the input is hexadecimal text; '#' begins a comment"},
				      {"module-path", 0, "DIRS",
				       "where modules are, instead of the usual place"},
				      {"help", 'h', NULL, "this text"},
				      {NULL, 0, NULL, NULL}};
	buf in = {0}, out = {0};
	json_writer w = {.out = &out, .lines = 2, .spill = cli_spill};
	text_error why;
	request q;
	kind k;
	int status;

	status = read_options("decode", options, argc, argv, &q);
	if (status != CLI_OK)
		return status;
	if (q.is_help)
		return print_help("viaduct decode [--hex] KIND [FILE]", kinds_help, options);
	status = kind_open(q.kind, q.module_path, &k);
	if (status != CLI_OK)
		return status;
	status = read_input(&q, &in);
	if (status == CLI_OK && q.is_hex)
		status = unhex(&q, &in);
	if (status == CLI_OK) {
		status = kind_decode(&k, buf_string(&in), in.len, &w, &why);
		if (status != CLI_OK)
			(void)cli_fail(status, "%s: not a valid %s: %s", file_name(&q), q.kind,
				       why.text);
	}
	if (status == CLI_OK) {
		buf_char(&out, '\n');
		status = cli_write(&out);
	}
	buf_free(&out);
	buf_free(&in);
	kind_close(&k);
	return status;
}

static int encode(const request *q, const kind *k, const buf *in, buf *out)
{
	text_error why;
	json_doc doc;
	int status = CLI_FAILED;

	if (json_parse(in->data, in->len, &doc, &why) == 0) {
		status = kind_encode(k, &doc, out, &why);
		json_free(&doc);
	}
	if (status == CLI_OK)
		return status;
	if (why.line == 0)
		return cli_fail(status, "%s: %s", file_name(q), why.text);
	return cli_fail(status, "%s:%u:%u: %s", file_name(q), why.line, why.column, why.text);
}

int cmd_encode(int argc, char **argv)
{
	static const opt options[] = {{"module-path", 0, "DIRS",
				       "where modules are, instead of the usual place"},
				      {"help", 'h', NULL, "this text"},
				      {NULL, 0, NULL, NULL}};
	buf in = {0}, out = {0};
	request q;
	kind k;
	int status;

	status = read_options("encode", options, argc, argv, &q);
	if (status != CLI_OK)
		return status;
	if (q.is_help)
		return print_help("viaduct encode KIND [FILE]", kinds_help, options);
	status = kind_open(q.kind, q.module_path, &k);
	if (status != CLI_OK)
		return status;
	status = read_input(&q, &in);
	if (status == CLI_OK) {
		(void)buf_string(&in);
		status = encode(&q, &k, &in, &out);
	}
	if (status == CLI_OK)
		status = cli_write(&out);
	buf_free(&out);
	buf_free(&in);
	kind_close(&k);
	return status;
}
