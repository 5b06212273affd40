/* tests/session/test_death.c - a peer that is killed: its connections end, and that is seen at once. */
#include "proc.h"
#include "sess_rig.h"

TestSuite(death, .init = sr_open, .fini = sr_close, .timeout = 60);

static char specs[][32] = {
	PLATFORM_BASELINE,
	PLATFORM_FAULTY,
#if defined(__linux__)
	"uds>ring",
	"uds>posixshm",
#elif defined(_WIN32)
	"pipe>winshm",
	"pipe>fault+winshm",
#endif
};

#define DEATH_TEST(N) \
	ParameterizedTestParameters(death, N) \
	{ \
		return cr_make_param_array(char[32], specs, sizeof specs / sizeof specs[0]); \
	} \
	ParameterizedTest(char spec[32], death, N)

/* -- the other process: a registry of its own ---------------------------------------------------- */

struct order {
	char spec[32], run_dir[512];
};

static struct order order_for(const char *spec)
{
	struct order o;

	snprintf(o.spec, sizeof o.spec, "%s", spec);
	snprintf(o.run_dir, sizeof o.run_dir, "%s", sr_run_dir());
	return o;
}

static via_registry *open_registry(const struct order *o, via_endpoint *ep)
{
	via_registry_options options = VIA_REGISTRY_OPTIONS_INIT;
	via_registry *r = NULL;

	options.module_path = VIA_TEST_MODULE_DIR;
	options.load_mode = VIA_LOAD_DIRECT;
	*ep = (via_endpoint){.struct_size = sizeof *ep,
			     .service = "svc",
			     .run_dir = o->run_dir,
			     .transport = o->spec,
			     .auth_token = 0x1122334455667788u};
	return via_registry_open(&options, &r) == VIA_OK ? r : NULL;
}

/* Accepts sessions for ever, answers nothing. */
static int serve(const void *arg)
{
	via_acceptor *a;
	via_endpoint ep;
	via_session *s;
	via_registry *r = open_registry(arg, &ep);

	if (r == NULL || via_acceptor_open(r, &ep, NULL, &a) != VIA_OK)
		return 1;
	proc_say('r');
	while (via_acceptor_accept(a, VIA_FOREVER, &s) == VIA_OK)
		proc_say('s');
	return 2;
}

static int connect_and_stay(const void *arg)
{
	const struct order *o = arg;
	via_session_config c = {.struct_size = sizeof c, .profiles = sr_profiles(o->spec)};
	via_endpoint ep;
	via_session *s;
	via_registry *r = open_registry(o, &ep);

	if (r == NULL || via_session_connect(r, &ep, &c, rig_soon(), &s) != VIA_OK)
		return 1;
	proc_say('u');
	(void)proc_listen();
	return 2;
}

/* -- the test ------------------------------------------------------------------------------------ */

static proc start(int (*fn)(const void *), const char *spec)
{
	struct order o = order_for(spec);
	proc p;

	proc_start(&p, fn, &o, sizeof o);
	return p;
}

static void expect_end(via_session *s)
{
	via_time t0 = os_now();
	via_message m;
	via_rc rc = via_session_recv_wait(s, &m, rig_soon());

	cr_assert(rc == VIA_CLOSED || rc == VIA_RESET, "%s: %s", via_rc_name(rc), via_error());
	cr_assert_lt(os_now() - t0, 5000000000u);
}

static void check_server(const char *spec, int asked)
{
	via_endpoint ep = sr_endpoint(spec, "svc");
	via_session_config c = sr_config();
	via_message m = {.kind = VIA_WIRE_REQUEST, .item_count = 1, .id = 1};
	proc p = start(serve, spec);
	via_session *s = NULL;

	cr_assert_eq(proc_hear(&p), 'r');
	c.profiles = sr_profiles(spec);
	sr_ok(via_session_connect(r_, &ep, &c, rig_soon(), &s));
	cr_assert_eq(proc_hear(&p), 's');
	if (asked)
		sr_ok(via_session_send(s, &m)); /* unread when it dies */
	sr_is(via_session_recv(s, &m), VIA_AGAIN);
	proc_kill(&p);
	expect_end(s);
	cr_assert_eq(proc_wait(&p, rig_soon()), PROC_KILLED);
	via_session_close(s);
	sr_is(via_session_connect(r_, &ep, &c, rig_soon(), &s), VIA_UNREACH);
	sr_listen(spec, NULL); /* its dead endpoint is in nobody's way */
}

DEATH_TEST(of_an_idle_server)
{
	check_server(spec, 0);
}

DEATH_TEST(of_the_server_during_a_call)
{
	check_server(spec, 1);
}

DEATH_TEST(of_the_server_behind_a_typed_client)
{
	via_client_options o = {.struct_size = sizeof o, .endpoint = sr_endpoint(spec, "svc")};
	via_request q = {.method = 1};
	proc p = start(serve, spec);
	via_client *c = NULL;
	via_reply reply;
	via_rc rc;

	cr_assert_eq(proc_hear(&p), 'r');
	o.config =
		(via_session_config){.struct_size = sizeof o.config, .profiles = sr_profiles(spec)};
	sr_ok(via_client_open(r_, &o, &c));
	sr_ok(via_client_refresh(c, rig_soon()));
	cr_assert_eq(proc_hear(&p), 's');
	proc_kill(&p);
	rc = via_client_call(c, &q, 0, &reply);
	cr_assert(rc == VIA_CLOSED || rc == VIA_RESET, "%s: %s", via_rc_name(rc), via_error());
	cr_assert_eq(via_client_get_state(c), VIA_CLIENT_BROKEN);
	/* its listener is gone a moment after its connections */
	cr_assert_eq(proc_wait(&p, rig_soon()), PROC_KILLED);
	sr_is(via_client_refresh(c, rig_soon()), VIA_UNREACH);
	cr_assert_eq(via_client_get_state(c), VIA_CLIENT_NOT_FOUND);
	via_client_close(c);
	sr_listen(spec, NULL); /* and the run directory is clean when it closes */
}

DEATH_TEST(of_the_client)
{
	via_session *s = NULL;
	proc p;

	sr_listen(spec, NULL);
	p = start(connect_and_stay, spec);
	sr_ok(via_acceptor_accept(acceptor_, rig_soon(), &s));
	cr_assert_eq(proc_hear(&p), 'u');
	proc_kill(&p);
	expect_end(s);
	cr_assert_eq(proc_wait(&p, rig_soon()), PROC_KILLED);
	via_session_close(s);
}
