/* tests/server/test_processes.c - server and clients in processes of their own: calls, long messages, and an
 * orderly end of both. */
#include "procs.h"

TestSuite(processes, .timeout = 120);

enum { CALLS = 200, CLIENTS = 4, LONG = 300000 };

static rig r;
static rig_svc svc;
static const via_session_config roomy = {.struct_size = sizeof roomy,
					 .max_request_payload = 1 << 20,
					 .max_response_payload = 1 << 20};

static void skip_if_watched(void)
{
#if defined(__SANITIZE_THREAD__)
	cr_skip_test("the thread sanitizer does not follow a fork from many threads");
#endif
}

/* 0, or the number of the step that went wrong. */
static int call_it(rig *c)
{
	static uint8_t text[1 << 20], back[1 << 20];
	via_client *k = rig_client(c, "svc", &roomy);
	uint32_t len = rig_text(text, LONG);
	via_request q = {.method = TEXT, .payload = text, .payload_len = len};
	via_reply a;
	uint64_t i;

	if (k == NULL)
		return 10;
	for (i = 0; i < CALLS; i++)
		if (rig_client_call(k, i) != VIA_OK)
			return 11;
	for (i = 0; i < 5; i++) {
		if (via_client_call(k, &q, via_deadline(RIG_SOON), &a) != VIA_OK)
			return 12;
		if (a.payload_len != len)
			return 13;
		memcpy(back, a.payload, len);
		if (memcmp(back, text, len) != 0)
			return 14;
	}
	via_client_close(k);
	return 0;
}

static int serve_until_told(rig *c, const void *arg)
{
	via_endpoint ep = rig_endpoint(c, "svc");
	via_server_options o = {.struct_size = sizeof o, .n_workers = 2};

	(void)arg;
	rig_svc_open(&svc, c, 0, rig_answer);
	if (via_server_open(c->reg, &o, &c->srv) != VIA_OK ||
	    via_server_add_service(c->srv, &ep, &roomy, &svc.vt, &svc) != VIA_OK ||
	    via_server_start(c->srv) != VIA_OK)
		return 1;
	proc_say('r');
	(void)proc_listen();
	if (via_server_drain(c->srv, via_deadline(RIG_SOON)) != VIA_OK)
		return 2;
	via_server_close(c->srv);
	return via_registry_close(c->reg) == VIA_OK ? 0 : 3;
}

PROC_TEST(processes, a_server_in_another_one)
{
	int step;
	proc p;

	skip_if_watched();
	rig_prepare(&r, spec);
	cr_assert_eq(rig_open_registry(&r), VIA_OK, "%s", via_error());
	proc_start_rig(&p, &r, serve_until_told, NULL, 0);
	cr_assert_eq(proc_hear(&p), 'r');
	step = call_it(&r);
	cr_expect_eq(step, 0, "step %d: %s", step, via_error());
	proc_tell(&p, 'x');
	cr_expect_eq(proc_wait_soon(&p), 0);
	cr_expect_eq(rig_call(&r, "svc", 1), VIA_UNREACH, "it has ended");
	rig_close(&r);
}

static int call_and_leave(rig *c, const void *arg)
{
	int step;

	(void)arg;
	(void)proc_listen();
	step = call_it(c);
	return step != 0 || via_registry_close(c->reg) == VIA_OK ? step : 20;
}

PROC_TEST(processes, clients_in_other_ones)
{
	proc p[CLIENTS];
	int i;

	skip_if_watched();
	rig_open(&r, spec);
	rig_svc_open(&svc, &r, 0, rig_answer);
	rig_add(&r, &svc, "svc", &roomy);
	/* they fork before there are threads, which might hold the locks of an allocator or a loader */
	for (i = 0; i < CLIENTS; i++)
		proc_start_rig(&p[i], &r, call_and_leave, NULL, 0);
	rig_start(&r);
	for (i = 0; i < CLIENTS; i++)
		proc_tell(&p[i], 'g');
	for (i = 0; i < CLIENTS; i++)
		cr_expect_eq(proc_wait_soon(&p[i]), 0);
	cr_expect_eq(atomic_load(&svc.calls), CLIENTS * (CALLS + 5));
	rig_until(rig_stats(&r).n_sessions == 0);
	rig_close(&r);
	rig_svc_close(&svc);
}
