/* tests/session/test_matrix.c - negotiation between two real sessions over every mask and preference of two
 * profiles, against the rule of docs/wire.md section 6 written out here. */
#include "sess_rig.h"

#define UP 0x20000u

TestSuite(matrix, .init = sr_open, .fini = sr_close, .timeout = 120);

static const uint32_t masks[] = {1, UP, UP | 1};
static const uint32_t prefs[] = {0, 1, UP, UP | 1};

static uint32_t top(uint32_t mask)
{
	return (mask & UP) != 0 ? UP : mask & 1;
}

static void check(uint32_t client, uint32_t client_pref, uint32_t server, uint32_t server_pref)
{
	uint32_t common = client & server, liked = common & client_pref & server_pref;
	uint32_t want = liked != 0 ? top(liked) : top(common);
	via_endpoint ep = sr_endpoint(PLATFORM_BASELINE, "svc");
	via_session_config c = sr_config();
	via_session *other = NULL;
	via_session_info a;
	sr_pair p;
	via_rc rc;

	c.profiles = client;
	c.preferred = client_pref;
	sr_ok(via_session_start(r_, &ep, &c, &p.client));
	rc = sr_handshake(p.client, &other);
	a = sr_info(p.client);
	cr_assert_eq(a.offered, client);
	if (want == 0) {
		cr_assert_eq(rc, VIA_REFUSED, "client %x/%x server %x/%x: %s", client, client_pref,
			     server, server_pref, via_rc_name(rc));
		cr_assert_eq(a.status, VIA_STATUS_UNSUPPORTED);
		cr_assert_null(other);
	} else {
		cr_assert_eq(rc, VIA_OK, "client %x/%x server %x/%x: %s", client, client_pref,
			     server, server_pref, via_error());
		p.server = other;
		cr_assert_eq(a.selected, want, "client %x/%x server %x/%x selected %x", client,
			     client_pref, server, server_pref, a.selected);
		cr_assert_eq(a.peer_offered, server);
		cr_assert_eq(sr_info(p.server).selected, want);
		cr_assert_eq(sr_info(p.server).peer_offered, client);
		cr_assert_eq(p.client->data != p.client->base, want == UP);
		sr_exchange(&p, 1, 33, 44);
		via_session_close(p.server);
	}
	via_session_close(p.client);
}

Test(matrix, all_masks_and_preferences)
{
	uint32_t s, sp, c, cp;

	for (s = 0; s < 3; s++) {
		for (sp = 0; sp < 4; sp++) {
			via_session_config server = sr_config();

			server.profiles = masks[s];
			server.preferred = prefs[sp];
			sr_listen(PLATFORM_BASELINE, &server);
			for (c = 0; c < 3; c++)
				for (cp = 0; cp < 4; cp++)
					check(masks[c], prefs[cp], masks[s], prefs[sp]);
			via_acceptor_close(acceptor_);
			acceptor_ = NULL;
		}
	}
}
