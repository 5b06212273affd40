/* tools/viaduct/check_served.c - `viaduct check`: a service behind a server of this process, with a transport
 * that stays in one process.
 */
#include "check_service.h"

#include <stdio.h>
#include <string.h>

#define LOCAL "loop"
#define CALL_NS 20000000000u
enum { GARBAGE = 200 };

typedef struct served {
	check_served *s;
	via_server *server;
	via_client *client;
	via_endpoint ep;
	char run_dir[SYS_PATH];
} served;

static int fail(const served *v, const char *what, via_rc rc)
{
	check_tell(v->s->c->report, CHECK_FAILED, "%s: %s", what, check_error(rc));
	return 0;
}

static int open_both(served *v, const check_component *p)
{
	via_session_config config = {.struct_size = sizeof config};
	via_client_options o = {.struct_size = sizeof o};
	via_rc rc;

	v->ep = (via_endpoint){.struct_size = sizeof v->ep,
			       .service = p->name,
			       .run_dir = v->run_dir,
			       .transport = LOCAL};
	config.max_request_payload = CHECK_REQUEST_ROOM;
	config.max_response_payload = v->s->cap;
	rc = via_server_open(v->s->registry, NULL, &v->server);
	if (rc == VIA_OK)
		rc = via_server_add(v->server, &v->ep, &config);
	if (rc == VIA_OK)
		rc = via_server_start(v->server);
	if (rc != VIA_OK)
		return fail(v, "expected a server", rc);
	o.endpoint = v->ep;
	o.config = config;
	rc = via_client_open(v->s->registry, &o, &v->client);
	if (rc == VIA_OK)
		rc = via_client_refresh(v->client, via_deadline(CALL_NS));
	return rc == VIA_OK || fail(v, "expected a connection", rc);
}

static via_rc ask(served *v, const void *payload, uint64_t len, via_reply *reply)
{
	const via_request q = {.method = v->s->codec->method,
			       .payload = payload,
			       .payload_len = (uint32_t)len};
	via_rc rc = via_client_is_ready(v->client)
			    ? VIA_OK
			    : via_client_refresh(v->client, via_deadline(CALL_NS));

	memset(reply, 0, sizeof *reply);
	return rc == VIA_OK ? via_client_call(v->client, &q, via_deadline(CALL_NS), reply) : rc;
}

/* 1: answered as its codec accepts; 0: refused with a status; -1: a failed check. */
static int ask_well(served *v)
{
	via_reply reply;
	via_rc rc = ask(v, v->s->request, v->s->len, &reply);

	if (rc == VIA_REFUSED)
		return 0;
	if (rc != VIA_OK) {
		(void)fail(v, "expected an answer or a status", rc);
		return -1;
	}
	if (v->s->codec->check(VIA_SIDE_RESPONSE, reply.payload, reply.payload_len, NULL) >= 0)
		return 1;
	(void)fail(v, "expected an answer that its codec accepts", VIA_PROTO);
	return -1;
}

static int check_answers(served *v)
{
	int rc;

	check_begin(v->s->c->report, "served");
	rc = ask_well(v);
	if (rc == 1)
		check_tell(v->s->c->report, CHECK_PASSED, "a client of a server gets an answer");
	else if (rc == 0)
		check_tell(v->s->c->report, CHECK_PASSED, "a client of a server gets a status: %s",
			   check_error(VIA_REFUSED));
	return rc >= 0;
}

/* What the codec refuses never reaches the service; what it accepts does. */
static void check_garbage(served *v)
{
	uint8_t bytes[256];
	uint64_t state = 7, len, i;
	via_reply reply;
	uint32_t n;
	via_rc rc;

	check_begin(v->s->c->report, "garbage");
	for (n = 0; n < GARBAGE; n++) {
		len = n % sizeof bytes;
		for (i = 0; i < len; i++) {
			state = state * 6364136223846793005u + 1442695040888963407u;
			bytes[i] = (uint8_t)(state >> 56);
		}
		rc = ask(v, bytes, len, &reply);
		if (rc != VIA_OK && rc != VIA_REFUSED && rc != VIA_CLOSED && rc != VIA_RESET) {
			(void)fail(v, "expected an answer, a status or the end of the session", rc);
			return;
		}
	}
	if (ask_well(v) >= 0)
		check_tell(
			v->s->c->report, CHECK_PASSED,
			"%d requests without sense: refused or answered, and the next good one is served",
			GARBAGE);
}

/* A client that does not wait: the call goes on without it. */
static void check_abandoned(served *v)
{
	via_reply reply;
	via_request q = {.method = v->s->codec->method,
			 .payload = v->s->request,
			 .payload_len = (uint32_t)v->s->len};
	uint32_t i;

	check_begin(v->s->c->report, "abandoned");
	for (i = 0; i < 20; i++) {
		if (!via_client_is_ready(v->client) &&
		    via_client_refresh(v->client, via_deadline(CALL_NS)) != VIA_OK) {
			(void)fail(v, "expected a connection", VIA_UNREACH);
			return;
		}
		(void)via_client_call(v->client, &q, via_deadline(1), &reply);
	}
	if (ask_well(v) >= 0)
		check_tell(v->s->c->report, CHECK_PASSED,
			   "%u calls whose client did not wait for the answer, then one that did",
			   i);
}

void check_served_by_loop(check_served *s, const check_component *p)
{
	via_provided found = {.struct_size = sizeof found};
	served v = {.s = s};

	check_begin(s->c->report, "server");
	if (via_registry_lookup(s->registry, VIA_KIND_TRANSPORT, LOCAL, &found) != VIA_OK) {
		check_tell(s->c->report, CHECK_SKIPPED,
			   "no transport '" LOCAL
			   "' to serve it with; --module-path says where it is");
		return;
	}
	s->which = 0;
	if (!check_request(s)) {
		check_tell(s->c->report, CHECK_SKIPPED,
			   "its codec takes none of the values that were tried");
		return;
	}
	/* removed by the program that made it, however this one ends */
	(void)snprintf(v.run_dir, sizeof v.run_dir, "%.*s", (int)check_dir_length(s->c->file) - 1,
		       s->c->file);
	if (open_both(&v, p)) {
		check_tell(s->c->report, CHECK_PASSED, "serves %s over " LOCAL, p->name);
		if (check_answers(&v)) {
			check_garbage(&v);
			check_abandoned(&v);
		}
		check_begin(s->c->report, "drain");
		if (via_server_drain(v.server, via_deadline(CALL_NS)) == VIA_OK)
			check_tell(s->c->report, CHECK_PASSED, "no call was left");
		else
			check_tell(s->c->report, CHECK_FAILED, "%s", check_error(VIA_TIMEOUT));
	}
	via_client_close(v.client);
	via_server_close(v.server);
}
