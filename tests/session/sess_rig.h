/* SPDX-License-Identifier: Apache-2.0
 * tests/session/sess_rig.h - registries with the scripted baseline or the built modules, packets, and both
 * ends of a session, scripted or over a real stack. */
#ifndef VIA_TEST_SESS_RIG_H
#define VIA_TEST_SESS_RIG_H
#include "core/session/session.h"
#include "os/rig.h"
#include "platform.h"
#include "script.h"
#include <criterion/parameterized.h>
#include <stdio.h>
#include <string.h>
#include <viaduct/app/client.h>

/* .init and .fini of every suite: opens r_, and checks at the end that nothing is left. */
void sr_open(void);
/* The same with no upgrade but the test's own, so that what is offered is known. */
void sr_open_few(void);
void sr_close(void);
extern via_registry *r_;

/* rc and, when it is a failure, the sentence with it. */
#define sr_is(call, want) \
	do { \
		via_rc sr_rc_ = (call); \
		cr_assert(sr_rc_ == (want), "%s: expected %s, found %s: %s", #call, \
			  via_rc_name(want), via_rc_name(sr_rc_), via_error()); \
	} while (0)
#define sr_ok(call) sr_is(call, VIA_OK)

const char *sr_run_dir(void);
via_endpoint sr_endpoint(const char *transport, const char *service);
via_session_config sr_config(void); /* zeros */
via_session_info sr_info(via_session *s);
const via_candidate *sr_candidate(const via_session_info *i,
				  uint32_t profile); /* fails the test if none */

/* -- packets: heap-free, one static buffer each ------------------------------------------------------- */

/* A message's one packet; the header's fields may be changed at the returned place. */
uint32_t sr_packet(uint8_t *out, uint16_t kind, uint64_t id, const void *payload, uint32_t len);
void sr_put16(uint8_t *p, uint32_t at, uint16_t v);
void sr_put32(uint8_t *p, uint32_t at, uint32_t v);
void sr_put64(uint8_t *p, uint32_t at, uint64_t v);
uint32_t sr_get32(const uint8_t *p, uint32_t at);
void sr_fill(uint8_t *p, uint32_t len, uint32_t seed);
int sr_filled(const void *p, uint32_t len, uint32_t seed);

/* -- scripted sessions -------------------------------------------------------------------------------- */

/* What the two sides agree on in a scripted session. */
typedef struct sr_terms {
	uint32_t request, batch, response, packet;
} sr_terms;

/* A client (server) session that is up over a scripted link; what it sent so far is forgotten. */
via_session *sr_client_up(const sr_terms *t, script_link **out);
via_session *sr_server_up(const sr_terms *t, script_link **out);
/* The acceptor behind sr_server_up(); closed by sr_close(). */
extern via_acceptor *acceptor_;

/* -- hostile packets ------------------------------------------------------------------------------------ */

extern const sr_terms sr_wide; /* all of a message in one packet */
/* The session has failed with rc, says so for ever, and closes. */
void sr_dead(via_session *s, via_rc rc);
/* A server session that gets this packet fails with rc. */
void sr_packet_kills(const void *packet, uint32_t len, uint32_t flags, via_rc rc);
/* A request of SR_BODY bytes at 64 a packet: its first packet, and continuation 1 to 3. */
enum { SR_BODY = 100 };
void sr_push_first(script_link *l, const uint8_t *body, uint32_t flags);
uint32_t sr_chunk(uint8_t *out, uint32_t index, const uint8_t *body);

/* -- real sessions ------------------------------------------------------------------------------------- */

typedef struct sr_pair {
	via_session *client, *server;
} sr_pair;

/* Opens acceptor_ on a stack and connects one client, both in this thread. */
void sr_listen(const char *spec, const via_session_config *config);
sr_pair sr_connect(const char *spec, const via_session_config *config);
/* Steps client and acceptor in turn until the client's handshake ends; *server NULL if it did not come up. */
via_rc sr_handshake(via_session *client, via_session **server);
void sr_pair_close(sr_pair *p);
/* Sends request and answers it, checking both. */
void sr_exchange(sr_pair *p, uint64_t id, uint32_t request, uint32_t response);
/* The stacks of tests/link/stacks.def, alone and with each upgrade of the system. */
#define STACK_TEST(S, N) \
	ParameterizedTestParameters(S, N) \
	{ \
		return cr_make_param_array(char[32], sr_stacks, sr_n_stacks()); \
	} \
	ParameterizedTest(char spec[32], S, N)
extern char sr_stacks[][32];
size_t sr_n_stacks(void);
/* What a session over spec is to offer, so that spec is what carries its data. */
uint32_t sr_profiles(const char *spec);
/* Whether a side may send again before it was answered. */
int sr_pipelines(const sr_pair *p);

os_thread *sr_thread(void (*fn)(void *), void *arg);
void sr_join(os_thread *t);

#endif
