/* fuzz/fuzz_handshake.c - arbitrary records against both handshake machines and against sessions that are up,
 * through the scripted link of the session tests.
 *
 * First byte: 0 server's handshake, 1 client's, 2 server session, 3 client session. Second byte: of the link
 * and the terms. Then records: a byte of VIA_VIEW_* flags and actions, a byte of length, the bytes; they are
 * there from the start or arrive one by one. script_reset() counts links that were left open or used against
 * their contract.
 */
#include "core/session/session.h"
#include "tests/session/script.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { IS_CLIENT = 1, IS_UP = 2 }; /* first byte */
enum {
	ACT_LATE = 0x10,
	ACT_END = 0x20,
	ACT_LONG = 0x40
}; /* with the flags: after a step; the peer leaves; length * 8 */
enum { REQUEST_MAX = 512, RESPONSE_MAX = 600, BATCH_MAX = 8, IN_FLIGHT = 16 };

static via_registry *registry;
static via_acceptor *acceptor;
static const via_endpoint endpoint = {.struct_size = sizeof(via_endpoint),
				      .service = "fuzz",
				      .run_dir = "/nowhere",
				      .transport = "script",
				      .auth_token = 1};

static void insist(int truth)
{
	if (!truth)
		abort(); /* the fuzzer's report */
}

static void open_once(void)
{
	via_session_config c = {.struct_size = sizeof c,
				.max_request_payload = REQUEST_MAX,
				.max_response_payload = RESPONSE_MAX,
				.handshake_ms = UINT32_MAX};
	via_registry_options o = VIA_REGISTRY_OPTIONS_INIT;

	if (registry != NULL)
		return;
	o.module_path = "/nowhere";
	insist(reg_open(&o, script_builtins, &registry) == VIA_OK);
	insist(via_acceptor_open(registry, &endpoint, &c, &acceptor) == VIA_OK);
}

/* -- the input ------------------------------------------------------------------------------------------ */

struct input {
	const uint8_t *p;
	size_t left;
	script_link *l;
};

/* Puts records on the link until one says that the next is late, or there are no more. 0: none came. */
static int feed(struct input *in)
{
	int n = 0;

	while (in->left >= 2 && in->l->n_in < SCRIPT_MAX_IN && in->l->end == VIA_OK) {
		uint8_t act = in->p[0];
		size_t len = (size_t)in->p[1] * ((act & ACT_LONG) != 0 ? 8u : 1u);

		in->p += 2;
		in->left -= 2;
		if (len > in->left)
			len = in->left;
		if (len != 0)
			script_push(in->l, in->p, (uint32_t)len,
				    act & (VIA_VIEW_SHARED | VIA_VIEW_CUT));
		in->p += len;
		in->left -= len;
		n++;
		if ((act & ACT_END) != 0)
			script_end(in->l, (act & ACT_LATE) != 0 ? VIA_RESET : VIA_CLOSED);
		if ((act & ACT_LATE) != 0)
			break;
	}
	return n;
}

/* -- a session that is up -------------------------------------------------------------------------------- */

/* Every byte of what was delivered can be read, and it keeps to what was agreed. */
static void check_message(const via_session *s, const via_message *m, int is_client)
{
	static volatile uint8_t sink;
	const uint8_t *b = m->payload;
	uint32_t i;

	insist(m->kind == (is_client ? VIA_WIRE_RESPONSE : VIA_WIRE_REQUEST));
	insist(m->payload_len <= s->max_in);
	insist(m->item_count <=
	       (is_client ? s->agreed.max_response_batch : s->agreed.max_request_batch));
	for (i = 0; i < m->payload_len; i++)
		sink = (uint8_t)(sink + b[i]);
	if ((m->flags & VIA_WIRE_FLAG_BATCH) != 0 && m->item_count > 1)
		insist(via_wire_batch_check(m->payload, m->payload_len, m->item_count, NULL) ==
		       VIA_OK);
}

static void answer(via_session *s, const via_message *m)
{
	static const uint8_t body[RESPONSE_MAX];
	via_message a = {.kind = VIA_WIRE_RESPONSE,
			 .code = m->code,
			 .item_count = 1,
			 .id = m->id,
			 .payload = body};
	via_rc rc;

	a.payload_len = (uint32_t)(m->id % (RESPONSE_MAX + 1));
	rc = via_session_send(s, &a);
	if (rc == VIA_PENDING || rc == VIA_AGAIN)
		rc = via_session_flush(s);
	insist(rc <= VIA_OK);
}

static void ask(via_session *s)
{
	static const uint8_t body[200];
	uint64_t id;

	for (id = 1; id <= IN_FLIGHT; id++) {
		via_message m = {.kind = VIA_WIRE_REQUEST,
				 .item_count = 1,
				 .id = id,
				 .payload = body};

		m.payload_len = (uint32_t)id * 12;
		while (via_session_send(s, &m) == VIA_AGAIN)
			;
		while (via_session_flush(s) == VIA_AGAIN)
			;
	}
}

static void drive(via_session *s, struct input *in, int is_client)
{
	via_message m;
	via_rc rc;

	if (is_client)
		ask(s);
	for (;;) {
		rc = via_session_recv(s, &m);
		if (rc == VIA_OK) {
			check_message(s, &m, is_client);
			insist(via_session_recv(s, &(via_message){0}) == VIA_STATE);
			via_session_release(s, &m);
			if (!is_client)
				answer(s, &m);
		} else if (rc != VIA_AGAIN || feed(in) == 0) {
			break;
		}
	}
	insist(rc == VIA_AGAIN || rc == VIA_CLOSED || rc == VIA_RESET || rc == VIA_PROTO ||
	       rc == VIA_LIMIT || rc == VIA_NOMEM);
	insist(via_session_recv(s, &m) == rc);
	if (rc != VIA_AGAIN)
		insist(via_error()[0] != '\0');
}

/* -- both handshakes ----------------------------------------------------------------------------------------- */

static void push_hello(script_link *l, uint32_t packet)
{
	via_wire_hello h = {.layout = 1,
			    .supported = 1,
			    .max_request_payload = REQUEST_MAX,
			    .max_request_batch = BATCH_MAX,
			    .auth_token = 1,
			    .packet_size = packet};
	uint8_t p[VIA_WIRE_HELLO_PACKET];

	script_push(l, p, via_wire_hello_packet(&h, p), 0);
}

static void push_ack(script_link *l, uint32_t packet)
{
	via_wire_ack a = {.layout = 1,
			  .server_supported = 1,
			  .intersection = 1,
			  .selected = 1,
			  .max_request_payload = REQUEST_MAX,
			  .max_request_batch = BATCH_MAX,
			  .max_response_payload = RESPONSE_MAX,
			  .max_response_batch = BATCH_MAX,
			  .packet_size = packet,
			  .session_id = 1};
	uint8_t p[VIA_WIRE_ACK_PACKET];

	script_push(l, p, via_wire_ack_packet(&a, 0, p), 0);
}

static via_session *accept_one(struct input *in)
{
	via_session *s = NULL;
	via_rc rc;

	while ((rc = via_acceptor_step(acceptor, &s)) == VIA_AGAIN && !in->l->closed)
		if (feed(in) == 0 && in->l->sends == 0)
			script_end(in->l, VIA_CLOSED); /* it never said a good word */
	insist(rc == VIA_OK || rc == VIA_AGAIN);
	insist(in->l->n_out <= 1);
	insist(in->l->n_out == 0 || in->l->out[0].len == VIA_WIRE_ACK_PACKET);
	return s;
}

static via_session *connect_one(struct input *in)
{
	via_session_config c = {.struct_size = sizeof c,
				.max_request_payload = REQUEST_MAX,
				.max_request_batch = BATCH_MAX};
	via_session_info info = {.struct_size = sizeof info};
	via_session *s;
	via_rc rc;

	insist(via_session_start(registry, &endpoint, &c, &s) == VIA_OK);
	while ((rc = via_session_step(s)) == VIA_AGAIN)
		if (feed(in) == 0 && in->l->n_out != 0)
			script_end(in->l, VIA_RESET);
	via_session_get_info(s, &info);
	insist(info.is_up == (rc == VIA_OK));
	if (rc == VIA_OK)
		return s;
	insist(via_session_step(s) == rc);
	via_session_close(s);
	return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint32_t packets[] = {33, 40, 64, 65536};
	struct input in = {NULL, 0, NULL};
	via_session *s;
	int is_client;

	if (size < 2)
		return 0;
	in.p = data + 2;
	in.left = size - 2;
	open_once();
	is_client = (data[0] & IS_CLIENT) != 0;
	in.l = is_client ? script_dialled() : script_accepted();
	in.l->again_from = data[1] >> 2 & 15;
	in.l->again_n = data[1] >> 6;
	if ((data[0] & IS_UP) != 0) {
		if (is_client)
			push_ack(in.l, packets[data[1] & 3]);
		else
			push_hello(in.l, packets[data[1] & 3]);
	}
	s = is_client ? connect_one(&in) : accept_one(&in);
	if (s != NULL) {
		drive(s, &in, is_client);
		via_session_close(s);
	}
	insist(script_reset() == 0);
	return 0;
}
