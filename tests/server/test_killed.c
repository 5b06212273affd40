/* tests/server/test_killed.c - peers in other processes that are killed or stopped at any moment: the other one
 * notices, and keeps nothing of them.
 *
 * VIADUCT_KILLS: how many are killed in each test. */
#include "procs.h"

TestSuite(killed, .timeout = 600);

#if defined(_WIN32) /* a process is started anew, not forked */
enum { KILLS = 20, CHECK_EVERY = 5, ROUNDS = 3, LIFE_NS = 60000000 };
#else
enum { KILLS = 100, CHECK_EVERY = 20, ROUNDS = 10, LIFE_NS = 6000000 };
#endif
#define AT_MOST (2000 * RIG_MS) /* until a call knows that its server is dead */

static rig r;
static rig_svc svc;

static void skip_if_watched(void)
{
#if defined(__SANITIZE_THREAD__)
	cr_skip_test("the thread sanitizer does not follow a fork from many threads");
#endif
}

/* -- clients that are killed ------------------------------------------------------------------- */

static int call_for_ever(rig *c, const void *arg)
{
	via_client *k = rig_client(c, "svc", NULL);
	uint64_t i;

	(void)arg;
	if (k == NULL || rig_client_call(k, 0) != VIA_OK)
		return 1;
	proc_say('u');
	for (i = 1; rig_client_call(k, i) == VIA_OK; i++)
		;
	return 2;
}

static void serve(const char *spec)
{
	rig_open(&r, spec);
	rig_svc_open(&svc, &r, 0, rig_answer);
	rig_add(&r, &svc, "svc", NULL);
	rig_start(&r);
	proc_warm_up(&r);
}

static void nothing_is_left(int descriptors, int mappings)
{
	rig_until(rig_stats(&r).n_sessions == 0);
	rig_until(rig_descriptors() == descriptors);
	rig_until(proc_mappings() == mappings);
	rig_until(proc_session_files(&r) == 0);
}

PROC_TEST(killed, clients)
{
	unsigned kills = proc_setting("VIADUCT_KILLS", KILLS), i;
	uint64_t seed = 1;
	int before, mapped;

	skip_if_watched();
	serve(spec);
	before = rig_descriptors();
	mapped = proc_mappings();
	for (i = 1; i <= kills; i++) {
		int status;
		proc p;

		proc_start_rig(&p, &r, call_for_ever, NULL, 0);
		if (i % 2 == 0)
			cr_assert_eq(proc_hear(&p), 'u');
		proc_let_pass(proc_random(&seed) % (i % 2 == 0 ? 1000000 : 12000000));
		proc_kill(&p);
		status = proc_wait_soon(&p);
		cr_assert_eq(status, PROC_KILLED, "client %u: status %x", i, (unsigned)status);
		if (i % CHECK_EVERY == 0) {
			rig_good(&r, "svc");
			nothing_is_left(before, mapped);
		}
	}
	nothing_is_left(before, mapped);
	rig_close(&r);
	rig_svc_close(&svc);
}

/* -- servers that are killed ------------------------------------------------------------------- */

static int serve_until_killed(rig *c, const void *arg)
{
	const uint64_t *ns = arg;

	c->options = (via_server_options){.struct_size = sizeof c->options, .n_workers = 1};
	if (rig_open_server(c) != VIA_OK)
		return 1;
	rig_svc_open(&svc, c, 0, rig_answer);
	rig_add(c, &svc, "svc", NULL);
	rig_start(c);
	proc_say('r');
	if (*ns == 0)
		(void)proc_listen();
	proc_let_pass(*ns);
	proc_die();
}

/* Calls until the server is gone; no call takes longer than AT_MOST. */
static uint64_t call_until_it_dies(via_client *k)
{
	uint64_t n = 0;
	via_rc rc;

	do {
		via_time t0 = via_now();

		rc = rig_client_call(k, n++);
		cr_assert_lt(via_now() - t0, AT_MOST, "call %llu took %llu ms: %s",
			     (unsigned long long)n, (unsigned long long)(via_now() - t0) / RIG_MS,
			     via_rc_name(rc));
	} while (rc == VIA_OK);
	cr_assert(rc == VIA_CLOSED || rc == VIA_RESET || rc == VIA_UNREACH, "%s: %s",
		  via_rc_name(rc), via_error());
	return n - 1;
}

static void open_registry_only(const char *spec)
{
	rig_prepare(&r, spec);
	cr_assert_eq(rig_open_registry(&r), VIA_OK, "%s", via_error());
}

/* A server that lives finds the place as its dead ones left it, and leaves it empty: rig_close() looks. */
static void a_new_server_cleans_up(void)
{
	r.options = (via_server_options){.struct_size = sizeof r.options, .n_workers = 1};
	cr_assert_eq(rig_open_server(&r), VIA_OK);
	rig_svc_open(&svc, &r, 0, rig_answer);
	rig_add(&r, &svc, "svc", NULL);
	rig_start(&r);
	rig_good(&r, "svc");
	rig_close(&r);
	rig_svc_close(&svc);
}

PROC_TEST(killed, servers)
{
	unsigned kills = proc_setting("VIADUCT_KILLS", KILLS), i;
	uint64_t seed = 2, calls = 0;
	int before = 0, mapped = 0;
	via_client *k;

	skip_if_watched();
	open_registry_only(spec);
	k = rig_client(&r, "svc", NULL);
	for (i = 1; i <= kills; i++) {
		uint64_t ns = proc_random(&seed) % LIFE_NS + 1;
		proc p;

		proc_start_rig(&p, &r, serve_until_killed, &ns, sizeof ns);
		cr_assert_eq(proc_hear(&p), 'r');
		calls += call_until_it_dies(k);
		cr_assert_eq(proc_wait_soon(&p), PROC_KILLED);
		if (i == 1) {
			via_client_close(k);
			before = rig_descriptors();
			mapped = proc_mappings();
			k = rig_client(&r, "svc", NULL);
		}
		if (i % CHECK_EVERY == 0) {
			via_client_close(k);
			cr_assert_eq(rig_descriptors(), before);
			cr_assert_eq(proc_mappings(), mapped);
			k = rig_client(&r, "svc", NULL);
		}
	}
	via_client_close(k);
	cr_assert_gt(calls, kills, "only %llu calls were made", (unsigned long long)calls);
	a_new_server_cleans_up();
}

/* -- stopped, not dead ------------------------------------------------------------------------- */

PROC_TEST(killed, a_stopped_server_costs_its_clients_their_deadline)
{
	uint8_t bytes[VIA_INCREMENT_SIZE];
	via_request q = {.method = NUMBER, .payload = bytes, .payload_len = sizeof bytes};
	uint64_t forever = 0, used;
	via_reply a;
	via_client *k;
	int mapped;
	via_time t0;
	via_rc rc;
	proc p;

	skip_if_watched();
	open_registry_only(spec);
	mapped = proc_mappings();
	proc_start_rig(&p, &r, serve_until_killed, &forever, sizeof forever);
	cr_assert_eq(proc_hear(&p), 'r');
	k = rig_client(&r, "svc", NULL);
	cr_assert_eq(rig_client_call(k, 1), VIA_OK);
	proc_stop(&p);
	via_increment_encode(bytes, sizeof bytes, 5, &used);
	t0 = via_now();
	rc = via_client_call(k, &q, via_deadline(100 * RIG_MS), &a);
	cr_expect_eq(rc, VIA_TIMEOUT, "%s: %s", via_rc_name(rc), via_error());
	cr_expect_geq(via_now() - t0, 100 * RIG_MS);
	cr_expect_lt(via_now() - t0, AT_MOST);
	proc_continue(&p);
	cr_expect_eq(rig_client_call(k, 7), VIA_OK, "%s", via_error());
	proc_kill(&p);
	cr_expect_eq(proc_wait_soon(&p), PROC_KILLED);
	via_client_close(k);
	cr_expect_eq(proc_mappings(), mapped);
	a_new_server_cleans_up();
}

enum { CALLS_OF_STOPPED = 300 };

static int call_some(rig *c, const void *arg)
{
	via_client *k = rig_client(c, "svc", NULL);
	uint64_t i;

	(void)arg;
	for (i = 0; i < CALLS_OF_STOPPED; i++) {
		if (rig_client_call(k, i) != VIA_OK)
			return 2;
		if (i == 20)
			proc_say('h');
	}
	return 0;
}

PROC_TEST(killed, a_stopped_client_holds_nobody_up_and_goes_on)
{
	uint64_t seed = 3;
	int round, i, status;

	skip_if_watched();
	serve(spec);
	for (round = 0; round < ROUNDS; round++) {
		proc p;

		proc_start_rig(&p, &r, call_some, NULL, 0);
		cr_assert_eq(proc_hear(&p), 'h');
		proc_let_pass(proc_random(&seed) % 300000);
		proc_stop(&p); /* also of one that has ended */
		for (i = 0; i < 20; i++)
			rig_good(&r, "svc");
		proc_continue(&p);
		status = proc_wait_soon(&p);
		cr_assert_eq(status, 0, "the stopped client ended with %x", status);
	}
	rig_close(&r);
	rig_svc_close(&svc);
}
