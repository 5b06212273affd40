/* tests/session/test_denied.c - the nth allocation or system call fails: connect, exchange, close. Whatever
 * the result is, it is clean: nothing is left, the registry closes, and the next try works. */
#include "sess_rig.h"

TestSuite(denied, .init = sr_open, .fini = sr_close, .timeout = 120);

enum { PAYLOAD = 700, PACKET = 200 };

#if defined(_WIN32)
/* Pipes carry no handles; and a process may not be run for a while. */
enum { OFFERED = 1, PATIENCE_MS = 400, STRIDE = 19 };

static void configure(void)
{
}
#else
enum { OFFERED = 0x20001, PATIENCE_MS = 150, STRIDE = 3 };

/* The upgrade's second half travels with the answer: whoever fails in between has a descriptor to close. */
static void configure(void)
{
	sr_ok(via_registry_configure(r_, "org.test.upgrade", "mode=handles\n"));
}
#endif

/* One whole life in this thread. VIA_OK, or the first failure; nothing is left either way. */
static via_rc life(const char *spec, int as_client)
{
	static uint8_t body[PAYLOAD];
	via_endpoint ep = sr_endpoint(spec, "svc");
	via_session_config c = sr_config();
	via_message m = {.kind = VIA_WIRE_REQUEST,
			 .item_count = 1,
			 .id = 1,
			 .payload = body,
			 .payload_len = PAYLOAD};
	via_session *client = NULL, *server = NULL;
	via_client *typed = NULL;
	via_acceptor *a = NULL;
	via_time end = via_deadline(PATIENCE_MS * UINT64_C(1000000));
	via_rc rc;

	if (strchr(spec, '>') == NULL) /* so that a failure does not load further upgrades */
		c.profiles = OFFERED;
	c.packet_size = PACKET;
	c.handshake_ms = 100;
	rc = via_acceptor_open(r_, &ep, &c, &a);
	if (rc != VIA_OK)
		return rc;
	if (as_client) {
		via_client_options o = {.struct_size = sizeof o, .endpoint = ep, .config = c};

		rc = via_client_open(r_, &o, &typed);
		if (rc == VIA_OK && via_client_refresh(typed, VIA_POLL) == VIA_OK)
			rc = VIA_STATE; /* nobody has accepted it */
		goto close;
	}
	rc = via_session_start(r_, &ep, &c, &client);
	while (rc == VIA_OK && (server == NULL || !sr_info(client).is_up)) {
		rc = server == NULL ? via_acceptor_step(a, &server) : VIA_OK;
		if (rc == VIA_OK || rc == VIA_AGAIN)
			rc = sr_info(client).is_up ? VIA_OK : via_session_step(client);
		if (rc == VIA_AGAIN)
			rc = os_now() < end ? VIA_OK : VIA_TIMEOUT;
	}
	if (rc == VIA_OK)
		rc = via_session_send_wait(client, &m, end);
	if (rc == VIA_OK)
		rc = via_session_recv_wait(server, &m, end);
	if (rc == VIA_OK)
		via_session_release(server, &m);
close:
	via_client_close(typed);
	via_session_close(client);
	via_session_close(server);
	via_acceptor_close(a);
	return rc;
}

static void sweep(const char *spec, int as_client)
{
	uint32_t nth, failed = 0;

	configure();
	sr_ok(life(spec, as_client)); /* loads the modules: they stay */
	for (nth = 1; nth < 400; nth++) {
		int allocations = rig_allocations();
		int descriptors = rig_descriptors();
		uint32_t denied;
		via_rc rc;

		rig_deny(nth);
		rc = life(spec, as_client);
		denied = rig_denied();
		rig_deny(0);
		cr_assert(rc <= 0, "%s: %d", spec, rc);
		cr_assert_eq(rig_allocations(), allocations,
			     "%s, failure %u: %d allocations more (%s)", spec, nth,
			     rig_allocations() - allocations, via_rc_name(rc));
		cr_assert(rig_balanced(descriptors), "%s, failure %u: descriptors (%s)", spec, nth,
			  via_rc_name(rc));
		if (denied == 0) {
			sr_ok(rc);
			break;
		}
		failed += rc != VIA_OK;
	}
	cr_assert_lt(nth, 400);
	cr_assert_gt(failed, 3, "only %u of %u denials made a difference", failed, nth);
	sr_ok(life(spec, as_client));
}

STACK_TEST(denied, session)
{
	sweep(spec, 0);
}

STACK_TEST(denied, client)
{
	sweep(spec, 1);
}

/* From loading the modules on: what a failure leaves behind is the registry's, and it closes. */
STACK_TEST(denied, first_use)
{
	uint32_t nth;

	for (nth = 1; nth < 300; nth += STRIDE) {
		uint32_t denied;

		configure();
		rig_deny(nth);
		(void)life(spec, 0);
		denied = rig_denied();
		rig_deny(0);
		sr_ok(life(spec, 0));
		sr_close();
		if (denied == 0) {
			sr_open();
			break;
		}
		sr_open();
	}
}
