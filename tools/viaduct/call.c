/* tools/viaduct/call.c - `viaduct call`: one call to any service, through its codec.
 *
 * The codec is the one named like the service; if there is none, the service's own module says
 * which.
 */
#include "viaduct.h"

#include "../lib/elsewhere.h"
#include "../lib/sys.h"

#include <stdio.h>
#include <string.h>

#define DEFAULT_TIMEOUT_NS 30000000000ull
#define DEFAULT_REQUEST 1024u /* what a session offers when nothing is configured */

typedef struct call {
	const char *run_dir, *transport, *transport_config, *profiles, *module_path, *service;
	uint64_t token, timeout;
	uint32_t module_policy;
	int is_json, is_explained, is_verbose, is_help;
	int is_broken_there; /* the server answered INTERNAL_ERROR */
	int argc;            /* of the service's arguments */
	char **argv;         /* moved to the front of the command's */
	via_registry *registry;
	via_ref codec_ref;
	const via_codec *codec;
	via_client *client;
	via_time deadline;
	buf request;
} call;

enum {
	O_RUN_DIR,
	O_TOKEN,
	O_PROFILES,
	O_TRANSPORT,
	O_CONFIG,
	O_TIMEOUT,
	O_JSON,
	O_EXPLAIN,
	O_PATH,
	O_MODULES,
	O_VERBOSE,
	O_HELP
};

static const opt options[] =
	{{"run-dir", 0, "DIR", "run directory; else $XDG_RUNTIME_DIR/viaduct or /run/viaduct"},
	 {"token", 0, "N", "authentication token, decimal or 0x...; else 0"},
	 {"profiles", 0, "LIST",
	  "profiles to offer: 0x1,0x2 or transports by name; else all that work here"},
	 {"transport", 0, "NAME", "transport to connect with; else the best that works here"},
	 {"transport-config", 0, "LINES", "for the transport: \"scheme.key=value\" lines"},
	 {"timeout", 0, "TIME", "for all of it: 500ms, 2s, 1m; else 30s"},
	 {"json", 0, NULL, "one JSON object, bytes exactly"},
	 {"explain", 0, NULL, "say on standard error what was negotiated, and why not the rest"},
	 {"module-path", 0, "DIRS", "where modules are, instead of the usual place"},
	 CLI_MODULE_POLICY,
	 {"verbose", 'v', NULL, "log what the library does to standard error"},
	 {"help", 'h', NULL, "this text"},
	 {NULL, 0, NULL, NULL}};

static const char about[] =
	"Calls a service once and prints its answer: a lone value as it is, rows as a table.\n"
	"ARGs are the columns of the request in order; 'viaduct call SERVICE' with too many or too\n"
	"few names them. '--' ends the options.\n";

static int take_option(call *c, int o, const char *value)
{
	switch (o) {
	case O_RUN_DIR:
		c->run_dir = value;
		break;
	case O_TOKEN:
		if (!text_u64(value, &c->token))
			return cli_fail(CLI_USAGE,
					"--token: expected a number of 64 bits, decimal or 0x..., "
					"found '%s'",
					value);
		break;
	case O_PROFILES:
		c->profiles = value;
		break;
	case O_TRANSPORT:
		c->transport = value;
		break;
	case O_CONFIG:
		c->transport_config = value;
		break;
	case O_TIMEOUT:
		if (!text_duration(value, &c->timeout))
			return cli_fail(
				CLI_USAGE,
				"--timeout: expected a time like 500ms, 2s or 1m, found '%s'",
				value);
		break;
	case O_PATH:
		c->module_path = value;
		break;
	case O_MODULES:
		return cli_module_policy(value, &c->module_policy);
	default:
		c->is_json |= o == O_JSON;
		c->is_explained |= o == O_EXPLAIN;
		c->is_verbose |= o == O_VERBOSE;
		c->is_help |= o == O_HELP;
	}
	return CLI_OK;
}

static int read_options(call *c, int argc, char **argv)
{
	opt_parser p;
	int o, status;

	c->timeout = DEFAULT_TIMEOUT_NS;
	c->argv = argv;
	opt_begin(&p, options, argc, argv);
	while ((o = opt_next(&p)) != OPT_END) {
		if (o == OPT_BAD)
			return bad_option("call", &p);
		if (o == OPT_OPERAND) {
			if (c->service == NULL)
				c->service = p.value;
			else
				argv[c->argc++] = argv[p.at - 1]; /* never ahead of what is read */
			continue;
		}
		status = take_option(c, o, p.value);
		if (status != CLI_OK)
			return status;
	}
	if (c->service == NULL && !c->is_help)
		return cli_fail(CLI_USAGE,
				"call: expected a SERVICE; viaduct call --help tells more");
	return CLI_OK;
}

/* -- steps ----------------------------------------------------------------------------------- */

/* The first codec of the service, as its identity note says. */
static via_rc codec_of_service(call *c, const via_provided *service)
{
	size_t len = strcspn(service->codecs, ",");
	char name[64];

	if (len == 0 || len >= sizeof name)
		return via_registry_acquire(c->registry, VIA_KIND_CODEC, c->service, 0,
					    &c->codec_ref);
	memcpy(name, service->codecs, len);
	name[len] = '\0';
	return via_registry_acquire(c->registry, VIA_KIND_CODEC, name, 0, &c->codec_ref);
}

static int find_codec(call *c)
{
	via_provided known = {.struct_size = sizeof known};
	via_rc rc;

	c->codec_ref.struct_size = sizeof c->codec_ref;
	if (via_registry_lookup(c->registry, VIA_KIND_CODEC, c->service, &known) != VIA_OK &&
	    via_registry_lookup(c->registry, VIA_KIND_SERVICE, c->service, &known) == VIA_OK)
		rc = codec_of_service(c, &known);
	else
		rc = via_registry_acquire(c->registry, VIA_KIND_CODEC, c->service, 0,
					  &c->codec_ref);
	if (rc != VIA_OK)
		return cli_fail(CLI_MODULE, "%s: no codec for this service: %s", c->service,
				via_error());
	c->codec = c->codec_ref.vtable;
	return CLI_OK;
}

static int open_client(call *c)
{
	via_client_options o = {.struct_size = sizeof o};
	char why[CLI_WHY];
	via_rc rc;

	o.call_timeout_ms = cli_ms(c->timeout);
	o.endpoint.struct_size = sizeof o.endpoint;
	o.endpoint.service = c->service;
	o.endpoint.run_dir = c->run_dir;
	o.endpoint.transport = c->transport;
	o.endpoint.config = c->transport_config;
	o.endpoint.auth_token = c->token;
	o.config.struct_size = sizeof o.config;
	if (c->request.len > DEFAULT_REQUEST)
		o.config.max_request_payload = (uint32_t)c->request.len;
	if (c->timeout < 5000000000ull)
		o.config.handshake_ms = cli_ms(c->timeout);
	if (c->profiles != NULL && !cli_profiles(c->registry, c->profiles, &o.config.profiles, why))
		return cli_fail(CLI_USAGE, "--profiles: %s", why);
	rc = via_endpoint_check(&o.endpoint);
	if (rc == VIA_OK)
		rc = via_client_open(c->registry, &o, &c->client);
	return rc == VIA_OK ? CLI_OK : cli_fail_rc(rc, c->service);
}

/* A service of this source tree may be one that no server on this system can have. */
static int connect_failed(call *c, via_rc rc)
{
	via_provided known = {.struct_size = sizeof known};
	const char *needs = elsewhere_service(c->service);
	char detail[512];

	(void)snprintf(detail, sizeof detail, "%s", via_error());
	if (needs == NULL || (rc != VIA_UNREACH && rc != VIA_NOTFOUND) ||
	    via_registry_lookup(c->registry, VIA_KIND_SERVICE, c->service, &known) == VIA_OK)
		return cli_fail(cli_status(rc), "%s: %s", c->service,
				detail[0] != '\0' ? detail : via_rc_text(rc));
	return cli_fail(cli_status(rc), "%s: nobody serves it: " ELSEWHERE_SAYS "; %s", c->service,
			elsewhere_here, needs, detail);
}

static int answer_failed(call *c, via_rc rc, const via_reply *reply)
{
	c->is_broken_there = rc == VIA_REFUSED && reply->status == VIA_STATUS_INTERNAL_ERROR;
	if (rc != VIA_REFUSED || reply->status == VIA_STATUS_OK)
		return cli_fail_rc(rc, c->service);
	return cli_fail(
		CLI_FAILED, "%s: the server answered %s%s", c->service,
		via_wire_status_name(reply->status),
		reply->status != VIA_STATUS_INTERNAL_ERROR ? ""
		: c->is_explained
			? ": it could not load the service's module, or the service failed"
			: ": it could not load the service's module, or the service failed; "
			  "--explain looks at the modules");
}

static int print_answer(const call *c, const via_reply *reply)
{
	buf out = {0};
	json_writer w = {.out = &out, .spill = cli_spill};
	char text[256];
	via_flaw flaw;
	via_rc n;

	n = c->codec->check(VIA_SIDE_RESPONSE, reply->payload, reply->payload_len, &flaw);
	if (n < 0) {
		(void)via_flaw_text(&flaw, text, sizeof text);
		return cli_fail(CLI_FAILED, "%s: the answer is not a valid %s response: %s",
				c->service, c->codec->name, text);
	}
	if (c->is_json) {
		record_write(c->codec, VIA_SIDE_RESPONSE, reply->payload, reply->payload_len,
			     (uint32_t)n, &w);
		buf_char(&out, '\n');
	} else {
		record_show(c->codec, VIA_SIDE_RESPONSE, reply->payload, reply->payload_len,
			    (uint32_t)n, &out);
	}
	return cli_write(&out);
}

static int run(call *c)
{
	via_request request = {.item_count = 1};
	via_reply reply = {0};
	int status;
	via_rc rc;

	status = find_codec(c);
	if (status == CLI_OK)
		status = record_from_words(c->codec, c->argc, c->argv, &c->request);
	if (status == CLI_OK)
		status = open_client(c);
	if (status != CLI_OK)
		return status;
	rc = via_client_refresh(c->client, c->deadline);
	if (rc != VIA_OK)
		return connect_failed(c, rc);
	request.method = c->codec->method;
	request.payload = buf_string(&c->request);
	request.payload_len = (uint32_t)c->request.len;
	rc = via_client_call(c->client, &request, c->deadline, &reply);
	return rc == VIA_OK ? print_answer(c, &reply) : answer_failed(c, rc, &reply);
}

static void explain(call *c, int status)
{
	buf out = {0};

	if (c->client != NULL)
		explain_session(via_client_session(c->client), &out);
	if (status == CLI_OK)
		explain_modules(c->registry, &out); /* one of them may be what is missing above */
	else if (status != CLI_USAGE)
		explain_files(c->registry, c->service, c->is_broken_there, &out);
	cli_write_error(&out);
}

int cmd_call(int argc, char **argv)
{
	via_registry_options o = VIA_REGISTRY_OPTIONS_INIT;
	call c;
	int status;

	memset(&c, 0, sizeof c);
	status = read_options(&c, argc, argv);
	if (status != CLI_OK)
		return status;
	if (c.is_help)
		return print_help("viaduct call [OPTION...] SERVICE [ARG...]", about, options);
	c.deadline = via_deadline(c.timeout);
	o.module_path = c.module_path;
	o.module_policy = c.module_policy;
	status = open_registry_with(&o, c.is_verbose, &c.registry);
	if (status != CLI_OK)
		return status;
	status = run(&c);
	if (c.is_explained)
		explain(&c, status);
	via_client_close(c.client);
	via_registry_release(c.registry, &c.codec_ref);
	(void)via_registry_close(c.registry);
	buf_free(&c.request);
	return status;
}
