/* tests/session/sess_rig.c - see sess_rig.h. */
#include "sess_rig.h"

via_registry *r_;
via_acceptor *acceptor_;
static char run_dir[1024];

#define VIA_STACK(spec) spec,
#if defined(_WIN32)
#define VIA_STACK_POSIX(spec)
#define VIA_STACK_WINDOWS(spec) spec,
#else
#define VIA_STACK_POSIX(spec) spec,
#define VIA_STACK_WINDOWS(spec)
#endif
#define VIA_UPGRADE_LINUX(spec) /* the ones below, which are enough here */
#define VIA_UPGRADE_WINDOWS(spec)
char sr_stacks[][32] = {
#include "link/stacks.def"
#if defined(__linux__)
	"uds>ring", "uds>posixshm", "fault+uds>ring", "uds>fault+ring", "fault+uds>posixshm",
#elif defined(_WIN32)
	"pipe>winshm",
	"loop>winshm",
	"fault+pipe>winshm",
	"pipe>fault+winshm",
#endif
};

size_t sr_n_stacks(void)
{
	return sizeof sr_stacks / sizeof sr_stacks[0];
}

uint32_t sr_profiles(const char *spec)
{
	return strchr(spec, '>') != NULL ? 0 : 1;
}

/* -- begin and end ------------------------------------------------------------------------------------------ */

static void open_with(const char *modules)
{
	via_registry_options o = VIA_REGISTRY_OPTIONS_INIT;
	char path[1024];
	const char sep[2] = {OS_PATH_SEP, '\0'};

	snprintf(path, sizeof path, "%s%s%s", modules, sep, VIA_TEST_SESSION_MODULES);
	o.module_path = path;
	o.load_mode = VIA_LOAD_DIRECT;
	o.hooks = &rig_env;
	sr_ok(reg_open(&o, script_builtins, &r_));
}

static void open_rig(void)
{
	(void)wait_sleep_cost(
		&core_env_libc); /* measured once, so that no test counts it as its own */
	rig_open();
	snprintf(run_dir, sizeof run_dir, "%s", rig_path("x"));
	run_dir[strlen(run_dir) - 2] = '\0';
}

void sr_open(void)
{
	open_rig();
	open_with(VIA_TEST_MODULE_DIR);
}

static const char *const few[] = {"loop" PLATFORM_SUFFIX, PLATFORM_BASELINE PLATFORM_SUFFIX};

void sr_open_few(void)
{
	const char *dir;
	char from[1024], to[64];
	size_t i;

	open_rig();
	dir = rig_path("few");
	rig_mkdir(dir);
	for (i = 0; i < sizeof few / sizeof few[0]; i++) {
		snprintf(from, sizeof from, "%s/%s", VIA_TEST_MODULE_DIR, few[i]);
		snprintf(to, sizeof to, "few/%s", few[i]);
		rig_copy(from, rig_path(to));
	}
	open_with(dir);
}

void sr_close(void)
{
	if (r_ == NULL)
		return;
	rig_deny(0);
	via_acceptor_close(acceptor_);
	acceptor_ = NULL;
	sr_ok(via_registry_close(r_));
	r_ = NULL;
	cr_expect_eq(script_reset(), 0, "a scripted link was misused or not closed");
	rig_close();
}

const char *sr_run_dir(void)
{
	return run_dir;
}

via_endpoint sr_endpoint(const char *transport, const char *service)
{
	return (via_endpoint){.struct_size = sizeof(via_endpoint),
			      .service = service,
			      .run_dir = run_dir,
			      .transport = transport,
			      .auth_token = 0x1122334455667788u};
}

via_session_config sr_config(void)
{
	return (via_session_config){.struct_size = sizeof(via_session_config)};
}

via_session_info sr_info(via_session *s)
{
	via_session_info i = {.struct_size = sizeof i};

	via_session_get_info(s, &i);
	return i;
}

const via_candidate *sr_candidate(const via_session_info *i, uint32_t profile)
{
	uint32_t n;

	for (n = 0; n < i->n_candidates; n++)
		if (i->candidates[n].profile == profile)
			return &i->candidates[n];
	cr_assert_fail("profile 0x%x is not among the %u candidates", profile, i->n_candidates);
	return NULL;
}

/* -- packets --------------------------------------------------------------------------------------------------- */

void sr_put16(uint8_t *p, uint32_t at, uint16_t v)
{
	memcpy(p + at, &v, sizeof v);
}

void sr_put32(uint8_t *p, uint32_t at, uint32_t v)
{
	memcpy(p + at, &v, sizeof v);
}

void sr_put64(uint8_t *p, uint32_t at, uint64_t v)
{
	memcpy(p + at, &v, sizeof v);
}

uint32_t sr_get32(const uint8_t *p, uint32_t at)
{
	uint32_t v;

	memcpy(&v, p + at, sizeof v);
	return v;
}

uint32_t sr_packet(uint8_t *out, uint16_t kind, uint64_t id, const void *payload, uint32_t len)
{
	via_wire_header h = {.kind = kind,
			     .code = 3,
			     .payload_len = len,
			     .item_count = 1,
			     .message_id = id};

	via_wire_header_encode(&h, out);
	if (len != 0)
		memcpy(out + VIA_WIRE_HEADER, payload, len);
	return VIA_WIRE_HEADER + len;
}

void sr_fill(uint8_t *p, uint32_t len, uint32_t seed)
{
	uint32_t i;

	for (i = 0; i < len; i++)
		p[i] = (uint8_t)(i * 7 + seed + i / 251);
}

int sr_filled(const void *p, uint32_t len, uint32_t seed)
{
	const uint8_t *b = p;
	uint32_t i;

	for (i = 0; i < len; i++)
		if (b[i] != (uint8_t)(i * 7 + seed + i / 251))
			return 0;
	return 1;
}

/* -- scripted sessions -------------------------------------------------------------------------------------- */

static void forget_sent(script_link *l)
{
	while (l->n_out != 0) {
		l->n_out--;
		env_free(&core_env_libc, l->out[l->n_out].data);
	}
	l->sends = 0;
}

via_session *sr_client_up(const sr_terms *t, script_link **out)
{
	via_endpoint ep = sr_endpoint("script", "svc");
	via_session_config c = sr_config();
	via_wire_ack ack = {.layout = 1,
			    .server_supported = 1,
			    .intersection = 1,
			    .selected = 1,
			    .max_request_payload = t->request,
			    .max_request_batch = t->batch,
			    .max_response_payload = t->response,
			    .max_response_batch = t->batch,
			    .packet_size = t->packet,
			    .session_id = 77};
	script_link *l = script_dialled();
	uint8_t packet[VIA_WIRE_ACK_PACKET];
	via_session *s;

	c.profiles = 1;
	c.max_request_payload = t->request;
	c.max_request_batch = t->batch;
	sr_ok(via_session_start(r_, &ep, &c, &s));
	script_push(l, packet, via_wire_ack_packet(&ack, VIA_STATUS_OK, packet), 0);
	sr_ok(via_session_step(s));
	forget_sent(l);
	*out = l;
	return s;
}

via_session *sr_server_up(const sr_terms *t, script_link **out)
{
	via_session_config c = sr_config();
	via_wire_hello hello = {.layout = 1,
				.supported = 1,
				.max_request_payload = t->request,
				.max_request_batch = t->batch,
				.auth_token = 0x1122334455667788u,
				.packet_size = t->packet};
	uint8_t packet[VIA_WIRE_HELLO_PACKET];
	script_link *l = script_accepted();
	via_session *s;

	c.max_request_payload = UINT32_MAX;
	c.max_response_payload = t->response;
	c.packet_size = UINT32_MAX;
	if (acceptor_ == NULL)
		sr_listen("script", &c);
	script_push(l, packet, via_wire_hello_packet(&hello, packet), 0);
	sr_ok(via_acceptor_step(acceptor_, &s));
	forget_sent(l);
	*out = l;
	return s;
}

/* -- hostile packets ------------------------------------------------------------------------------------ */

const sr_terms sr_wide = {4096, 4, 4096, 65536};

void sr_dead(via_session *s, via_rc rc)
{
	via_message m;

	cr_assert_str_not_empty(via_error());
	sr_is(via_session_recv(s, &m), rc);
	sr_is(via_session_recv_wait(s, &m, rig_soon()), rc);
	sr_is(via_session_wait(s, VIA_EV_RX, rig_soon()), VIA_OK);
	via_session_close(s);
}

void sr_packet_kills(const void *packet, uint32_t len, uint32_t flags, via_rc rc)
{
	script_link *l;
	via_session *s = sr_server_up(&sr_wide, &l);
	via_message m;

	script_push(l, packet, len, flags);
	sr_is(via_session_recv(s, &m), rc);
	sr_dead(s, rc);
}

uint32_t sr_chunk(uint8_t *out, uint32_t index, const uint8_t *body)
{
	uint32_t n = index == 3 ? 4 : 32;
	via_wire_chunk c = {.message_id = 9,
			    .total_message_len = 32 + SR_BODY,
			    .chunk_index = index,
			    .chunk_count = 4,
			    .chunk_payload_len = n};

	via_wire_chunk_encode(&c, out);
	memcpy(out + 32, body + (size_t)index * 32, n);
	return 32 + n;
}

void sr_push_first(script_link *l, const uint8_t *body, uint32_t flags)
{
	uint8_t p[32 + SR_BODY];

	sr_packet(p, VIA_WIRE_REQUEST, 9, body, SR_BODY);
	script_push(l, p, 64, flags);
}

/* -- real sessions ------------------------------------------------------------------------------------------- */

void sr_listen(const char *spec, const via_session_config *config)
{
	via_endpoint ep = sr_endpoint(spec, "svc");

	sr_ok(via_acceptor_open(r_, &ep, config, &acceptor_));
}

via_rc sr_handshake(via_session *client, via_session **server)
{
	via_time end = rig_soon();
	via_rc rc = VIA_AGAIN;
	via_session *s = NULL;

	while (rc == VIA_AGAIN || (rc == VIA_OK && s == NULL)) {
		via_rc a = s == NULL ? via_acceptor_step(acceptor_, &s) : VIA_AGAIN;

		cr_assert(a == VIA_OK || a == VIA_AGAIN, "acceptor: %s: %s", via_rc_name(a),
			  via_error());
		if (rc == VIA_AGAIN)
			rc = via_session_step(client);
		cr_assert(os_now() < end, "the handshake does not end");
	}
	*server = s;
	return rc;
}

sr_pair sr_connect(const char *spec, const via_session_config *config)
{
	via_endpoint ep = sr_endpoint(spec, "svc");
	sr_pair p;

	sr_ok(via_session_start(r_, &ep, config, &p.client));
	sr_ok(sr_handshake(p.client, &p.server));
	return p;
}

int sr_pipelines(const sr_pair *p)
{
	const via_link *l = p->client->data;

	return (l->caps & VIA_CAP_PIPELINE) != 0;
}

void sr_pair_close(sr_pair *p)
{
	via_session_close(p->client);
	via_session_close(p->server);
	p->client = p->server = NULL;
}

/* One message from a to b, both in this thread: a sends as far as the link takes it, b takes what is there. */
static void carry(via_session *a, via_session *b, const via_message *m, uint32_t seed)
{
	via_rc sent = via_session_send(a, m);
	int pending = sent == VIA_PENDING;
	via_message got;
	via_rc rc;

	do {
		if (sent != VIA_OK) {
			sent = pending ? via_session_flush(a) : via_session_send(a, m);
			pending |= sent == VIA_PENDING;
		}
		cr_assert(sent == VIA_OK || sent == VIA_AGAIN || sent == VIA_PENDING,
			  "send: %s: %s", via_rc_name(sent), via_error());
		rc = via_session_recv(b, &got);
		cr_assert(rc == VIA_OK || rc == VIA_AGAIN, "recv: %s: %s", via_rc_name(rc),
			  via_error());
		if (rc == VIA_AGAIN && sent == VIA_OK)
			sr_ok(via_session_wait(b, VIA_EV_RX, rig_soon()));
	} while (rc != VIA_OK);
	while (sent != VIA_OK)
		sent = via_session_flush(a);
	cr_assert_eq(got.id, m->id);
	cr_assert_eq(got.payload_len, m->payload_len);
	cr_assert(sr_filled(got.payload, got.payload_len, seed),
		  "message of %u bytes arrived changed", m->payload_len);
	via_session_release(b, &got);
}

void sr_exchange(sr_pair *p, uint64_t id, uint32_t request, uint32_t response)
{
	static uint8_t bytes[1 << 20];
	via_message m = {.kind = VIA_WIRE_REQUEST,
			 .code = 3,
			 .item_count = 1,
			 .id = id,
			 .payload = bytes};

	cr_assert(request <= sizeof bytes && response <= sizeof bytes);
	sr_fill(bytes, request, (uint32_t)id);
	m.payload_len = request;
	carry(p->client, p->server, &m, (uint32_t)id);
	sr_fill(bytes, response, (uint32_t)id + 1);
	m.kind = VIA_WIRE_RESPONSE;
	m.payload_len = response;
	carry(p->server, p->client, &m, (uint32_t)id + 1);
}

os_thread *sr_thread(void (*fn)(void *), void *arg)
{
	os_thread *t = NULL;

	sr_ok(os_thread_start(&core_env_libc, "test", fn, arg, &t));
	return t;
}

void sr_join(os_thread *t)
{
	os_thread_join(&core_env_libc, t);
}
