/* tests/session/test_shared.c - sessions over the real upgrades: the baseline under them is watched without
 * getting in the data link's way, and its end does not overtake the last message. */
#include "core/registry/reg.h"
#include "sess_rig.h"

/* Sleeping, not spinning, is what is looked at. */
static void open_frugal(void)
{
	sr_open();
	r_->policy = VIA_POLICY_FRUGAL;
}

TestSuite(shared, .init = open_frugal, .fini = sr_close, .timeout = 60);

static char upgrades[][32] = {
	PLATFORM_BASELINE ">" PLATFORM_UPGRADE,
	"loop>" PLATFORM_UPGRADE,
#if defined(__linux__)
	"uds>posixshm",
#endif
};

#define UPGRADE_TEST(N) \
	ParameterizedTestParameters(shared, N) \
	{ \
		return cr_make_param_array(char[32], upgrades, \
					   sizeof upgrades / sizeof upgrades[0]); \
	} \
	ParameterizedTest(char spec[32], shared, N)

enum { CALLS = 3000 };

static via_rc answer_one(via_session *s)
{
	uint8_t copy[64];
	via_message m;
	via_rc rc = via_session_recv_wait(s, &m, rig_soon());

	if (rc != VIA_OK)
		return rc;
	if (m.payload_len > sizeof copy)
		return VIA_PROTO;
	memcpy(copy, m.payload, m.payload_len);
	via_session_release(s, &m);
	m.kind = VIA_WIRE_RESPONSE;
	m.payload = copy;
	return via_session_send_wait(s, &m, rig_soon());
}

static void answer_all(void *arg)
{
	while (answer_one(arg) == VIA_OK)
		;
}

static void answer_once_and_leave(void *arg)
{
	via_session *s = arg;

	(void)answer_one(s);
	via_session_close(s);
}

static via_rc ask(via_session *s, uint32_t i)
{
	via_message m = {.kind = VIA_WIRE_REQUEST,
			 .item_count = 1,
			 .id = i,
			 .payload = &i,
			 .payload_len = sizeof i};

	return via_session_send_wait(s, &m, rig_soon());
}

static void ask_all(void *arg)
{
	uint32_t i = 1;

	while (i <= CALLS && ask(arg, i) == VIA_OK)
		i++;
}

static void expect(via_session *s, uint32_t i)
{
	via_message m;
	uint32_t got;

	sr_ok(via_session_recv_wait(s, &m, rig_soon()));
	cr_assert_eq(m.payload_len, sizeof got);
	memcpy(&got, m.payload, sizeof got);
	cr_assert_eq(got, i);
	via_session_release(s, &m);
}

/* Bells come while a session goes to sleep, at any moment; none of them is its business. */
UPGRADE_TEST(bells_are_the_data_links_affair)
{
	via_session_config c = sr_config();
	os_thread *server, *asker;
	uint32_t i;
	sr_pair p;

	sr_listen(spec, &c);
	p = sr_connect(spec, &c);
	cr_assert_neq(sr_info(p.client).selected, 1);
	server = sr_thread(answer_all, p.server);
	asker = sr_thread(ask_all, p.client);
	for (i = 1; i <= CALLS; i++)
		expect(p.client, i);
	sr_join(asker);
	via_session_close(p.client);
	sr_join(server);
	via_session_close(p.server);
}

/* The server answers and leaves between two looks of a client that goes to sleep. */
UPGRADE_TEST(a_last_answer_arrives)
{
	via_session_config c = sr_config();
	sr_pair p;

	sr_listen(spec, &c);
	p = sr_connect(spec, &c);
	sr_ok(ask(p.client, 1));
	rig_before_call("recvmsg", answer_once_and_leave, p.server);
	if (strncmp(spec, "uds", 3) != 0)
		answer_once_and_leave(p.server);
	expect(p.client, 1);
	via_session_close(p.client);
}
