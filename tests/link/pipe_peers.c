/* tests/link/pipe_peers.c - the pipe transport against blocking peers such as netipc's, peers that
 * are killed, and who a peer is. */
#include "pipe_rig.h"
#include <sddl.h>
#include <stdlib.h>

TestSuite(pipe_peers, .timeout = 60);

/* -- blocking peers ---------------------------------------------------------------------------- */

enum { MESSAGES = 200 };

static uint32_t len_of(uint32_t i)
{
	return 1 + i * 331 % PIPE_ROOM;
}

/* Sends back what it hears, until the end. */
static void echo_raw(void *arg)
{
	HANDLE h = arg;
	char *data = malloc(PIPE_ROOM);
	int n;

	while ((n = pipe_raw_get(h, data, PIPE_ROOM)) > 0)
		if (!pipe_raw_put(h, data, (uint32_t)n))
			break;
	free(data);
}

static void talk(via_link *l)
{
	uint8_t *data = malloc(PIPE_ROOM);
	uint32_t i;

	cr_assert_eq(l->ops->expect(l, PIPE_ROOM), VIA_OK);
	for (i = 0; i < MESSAGES; i++) {
		rig_fill(data, len_of(i), i);
		cr_assert_eq(rig_put(l, data, len_of(i)), VIA_OK);
		rig_expect_record(l, len_of(i), i);
	}
	free(data);
}

Test(pipe_peers, a_blocking_server)
{
	rig r;
	HANDLE raw;
	rig_thread *t;

	rig_open(&r, "pipe");
	raw = pipe_raw_server(&r);
	cr_assert_eq(rig_dial(&r, NULL, &r.a), VIA_OK, "%s", rig_detail());
	pipe_raw_accept(raw);
	t = rig_thread_start(echo_raw, raw);
	talk(r.a);
	rig_hang_up(&r.a);
	rig_thread_join(t);
	CloseHandle(raw);
	rig_close(&r);
}

Test(pipe_peers, a_blocking_client)
{
	rig r;
	HANDLE raw;
	rig_thread *t;

	rig_open(&r, "pipe");
	cr_assert_eq(rig_listen(&r, NULL, &r.listener), VIA_OK);
	raw = pipe_raw_client(&r);
	cr_assert_eq(rig_accept_soon(&r, r.listener, &r.b), VIA_OK);
	t = rig_thread_start(echo_raw, raw);
	talk(r.b);
	rig_hang_up(&r.b);
	rig_thread_join(t);
	CloseHandle(raw);
	rig_close(&r);
}

/* netipc's server ends a session with flush, disconnect, close. */
static void flush_and_disconnect(void *arg)
{
	FlushFileBuffers(arg);
	DisconnectNamedPipe(arg);
}

Test(pipe_peers, a_server_that_flushes_and_disconnects)
{
	rig r;
	HANDLE raw;
	rig_thread *t;
	uint8_t data[5000];
	via_view v;
	via_rc rc;

	rig_open(&r, "pipe");
	raw = pipe_raw_server(&r);
	cr_assert_eq(rig_dial(&r, NULL, &r.a), VIA_OK);
	pipe_raw_accept(raw);
	cr_assert_eq(r.a->ops->expect(r.a, sizeof data), VIA_OK);
	rig_fill(data, sizeof data, 1);
	cr_assert(pipe_raw_put(raw, data, sizeof data));
	cr_assert(pipe_raw_put(raw, data, 10));
	t = rig_thread_start(flush_and_disconnect, raw);
	rig_expect_record(r.a, sizeof data, 1);
	rig_expect_record(r.a, 10, 1);
	cr_expect_eq(rig_get(r.a, &v), VIA_CLOSED);
	rig_thread_join(t);
	rc = rig_send_once(r.a, "x", 1);
	cr_expect_eq(rc, VIA_CLOSED);
	CloseHandle(raw);
	rig_close(&r);
}

/* Our ends, seen by a blocking peer: a message of no bytes for shutdown and abort, an error after
 * close. What was sent before is there first. */
Test(pipe_peers, a_blocking_client_hears_the_end)
{
	enum { SHUTDOWN, ABORT, CLOSE };
	rig r;
	HANDLE raw;
	char c[10];
	int how;

	rig_open(&r, "pipe");
	cr_assert_eq(rig_listen(&r, NULL, &r.listener), VIA_OK);
	for (how = SHUTDOWN; how <= CLOSE; how++) {
		raw = pipe_raw_client(&r);
		cr_assert_eq(rig_accept_soon(&r, r.listener, &r.b), VIA_OK);
		cr_assert_eq(rig_put(r.b, "last", 4), VIA_OK);
		if (how == SHUTDOWN)
			cr_assert_eq(r.b->ops->shutdown(r.b), VIA_OK);
		else if (how == ABORT)
			r.b->ops->abort(r.b, VIA_ABORTED);
		else
			rig_hang_up(&r.b);
		cr_expect_eq(pipe_raw_get(raw, c, sizeof c), 4);
		if (how != CLOSE) {
			cr_expect_eq(pipe_raw_get(raw, c, sizeof c), 0);
			rig_hang_up(&r.b);
		}
		cr_expect_eq(pipe_raw_get(raw, c, sizeof c), -1);
		cr_expect_eq(GetLastError(), ERROR_BROKEN_PIPE);
		CloseHandle(raw);
	}
	rig_close(&r);
}

Test(pipe_peers, a_message_of_no_bytes_is_the_end)
{
	rig r;
	HANDLE raw;
	via_view v;

	rig_open(&r, "pipe");
	cr_assert_eq(rig_listen(&r, NULL, &r.listener), VIA_OK);
	raw = pipe_raw_client(&r);
	cr_assert_eq(rig_accept_soon(&r, r.listener, &r.b), VIA_OK);
	cr_assert(pipe_raw_put(raw, "\x1f", 1));
	cr_assert(pipe_raw_put(raw, "", 0));
	cr_assert(pipe_raw_put(raw, "late", 4));
	rig_expect_record(r.b, 1, 1);
	cr_expect_eq(rig_get(r.b, &v), VIA_CLOSED);
	cr_expect_eq(rig_get(r.b, &v), VIA_CLOSED);
	cr_expect_eq(rig_send_once(r.b, "x", 1), VIA_CLOSED);
	CloseHandle(raw);
	rig_close(&r);
}

/* Each way to leave, with a view out or none, before the wait begins or during it. */
Test(pipe_peers, the_end_is_known_to_the_send_lane)
{
	via_waitobj o = {.struct_size = sizeof o};
	uint32_t i;
	via_view v;
	rig r;

	for (i = 0; i < 8; i++) {
		rig_open(&r, "pipe");
		rig_connect(&r);
		cr_assert_eq(rig_put(r.a, "ab", 2), VIA_OK);
		cr_assert_eq(rig_get(r.b, &v), 1);
		if ((i & 1) != 0)
			r.b->ops->release(r.b, &v, 1);
		if ((i & 2) != 0)
			cr_assert_eq(r.b->ops->arm(r.b, VIA_EV_RX, &o), VIA_OK);
		if ((i & 4) != 0)
			rig_shutdown(r.a);
		else
			rig_hang_up(&r.a);
		if ((i & 2) != 0) {
			cr_assert_eq(rig_sleep(&o, rig_now() + RIG_SOON), 1);
			r.b->ops->disarm(r.b, VIA_EV_RX);
		}
		cr_expect_eq(r.b->ops->arm(r.b, VIA_EV_RX, &o), VIA_BUSY, "%u", i);
		cr_expect_eq(r.b->ops->arm(r.b, VIA_EV_TX, &o), VIA_CLOSED, "%u", i);
		if ((i & 1) == 0)
			r.b->ops->release(r.b, &v, 1);
		cr_expect_eq(rig_get(r.b, &v), VIA_CLOSED, "%u", i);
		rig_close(&r);
	}
}

/* -- killed peers ------------------------------------------------------------------------------ */

/* Runs in a process of its own, which is killed. */
Test(pipe_child, dials, .disabled = true)
{
	rig r;

	rig_open(&r, "pipe");
	snprintf(r.dir, sizeof r.dir, "%s", pipe_child_dir());
	cr_assert_eq(rig_dial(&r, NULL, &r.a), VIA_OK, "%s", rig_detail());
	cr_assert_eq(rig_put(r.a, "\x1f", 1), VIA_OK);
	(void)pipe_fill_up(r.a, 30000);
	(void)WaitForSingleObject(GetCurrentThread(), INFINITE); /* until it is killed */
}

Test(pipe_child, listens, .disabled = true)
{
	rig r;

	rig_open(&r, "pipe");
	snprintf(r.dir, sizeof r.dir, "%s", pipe_child_dir());
	cr_assert_eq(rig_listen(&r, NULL, &r.listener), VIA_OK, "%s", rig_detail());
	cr_assert_eq(rig_accept_soon(&r, r.listener, &r.b), VIA_OK);
	cr_assert_eq(rig_put(r.b, "\x1f", 1), VIA_OK);
	(void)WaitForSingleObject(GetCurrentThread(), INFINITE); /* until it is killed */
}

/* What it had sent and what had found room is heard, then the end; its half-sent record is not. */
Test(pipe_peers, a_client_is_killed)
{
	rig r;
	HANDLE child;
	via_view v;
	via_rc rc;
	uint32_t got = 0;
	via_time t0;

	rig_open(&r, "pipe");
	cr_assert_eq(rig_listen(&r, NULL, &r.listener), VIA_OK);
	child = pipe_child("pipe_child/dials", r.dir);
	cr_assert_eq(rig_accept_soon(&r, r.listener, &r.b), VIA_OK);
	cr_assert_eq(r.b->ops->expect(r.b, 30000), VIA_OK);
	rig_expect_record(r.b, 1, 1);
	rig_expect_record(r.b, 30000, 0);
	pipe_child_kill(child);
	t0 = rig_now();
	while ((rc = rig_get(r.b, &v)) == 1) {
		rig_check_fill(&v, 30000, ++got);
		r.b->ops->release(r.b, &v, 1);
	}
	cr_expect(rc == VIA_CLOSED || rc == VIA_RESET, "%d", rc);
	cr_expect_lt(rig_now() - t0, 5000 * RIG_MS);
	cr_expect_eq(rig_send_once(r.b, "x", 1), rc);
	rig_close(&r);
}

/* The one who is killed takes its name along; the next server may have it at once. */
Test(pipe_peers, a_server_is_killed)
{
	rig r;
	HANDLE child;
	via_waitobj o = {.struct_size = sizeof o};
	via_time deadline = rig_now() + RIG_SOON;
	via_view v;
	via_rc rc;

	rig_open(&r, "pipe");
	child = pipe_child("pipe_child/listens", r.dir);
	while ((rc = rig_dial(&r, NULL, &r.a)) == VIA_UNREACH && rig_now() < deadline)
		SwitchToThread();
	cr_assert_eq(rc, VIA_OK, "%s", rig_detail());
	rig_expect_record(r.a, 1, 1);
	cr_assert_eq(r.a->ops->arm(r.a, VIA_EV_RX, &o), VIA_OK);
	pipe_child_kill(child);
	cr_expect_eq(rig_sleep(&o, rig_now() + RIG_SOON), 1, "the sleeper wakes");
	r.a->ops->disarm(r.a, VIA_EV_RX);
	rc = rig_get(r.a, &v);
	cr_expect(rc == VIA_CLOSED || rc == VIA_RESET, "%d", rc);
	rig_hang_up(&r.a);
	cr_expect_eq(rig_dial(&r, NULL, &r.a), VIA_UNREACH);
	cr_assert_eq(rig_listen(&r, NULL, &r.listener), VIA_OK, "%s", rig_detail());
	rig_close(&r);
}

/* -- who it is --------------------------------------------------------------------------------- */

static void own_label(char *buf, size_t cap)
{
	union {
		TOKEN_USER user;
		char room[256];
	} u;
	HANDLE t;
	DWORD n;
	char *text = NULL;

	cr_assert(OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &t));
	cr_assert(GetTokenInformation(t, TokenUser, &u, sizeof u, &n));
	CloseHandle(t);
	cr_assert(ConvertSidToStringSidA(u.user.User.Sid, &text));
	snprintf(buf, cap, "pid %lu %s", GetCurrentProcessId(), text);
	LocalFree(text);
}

Test(pipe_peers, the_user_is_known)
{
	via_peer p = {.struct_size = sizeof p};
	char label[64];
	HANDLE t;
	rig r;

	rig_open(&r, "pipe");
	rig_connect(&r);
	own_label(label, sizeof label);
	cr_assert_eq(rig_put(r.a, "\x1f", 1), VIA_OK); /* Windows wants to have read something */
	rig_expect_record(r.b, 1, 1);
	cr_assert_eq(r.b->ops->peer(r.b, &p), VIA_OK, "%s", rig_detail());
	cr_expect_eq(p.valid, VIA_PEER_PID | VIA_PEER_LABEL);
	cr_expect_eq(p.pid, GetCurrentProcessId());
	cr_expect_str_eq(p.label, label);
	cr_expect(!OpenThreadToken(GetCurrentThread(), TOKEN_QUERY, TRUE, &t),
		  "nobody is impersonated any more");
	p = (via_peer){.struct_size = sizeof p};
	cr_assert_eq(r.a->ops->peer(r.a, &p), VIA_OK, "%s", rig_detail());
	cr_expect_eq(p.pid, GetCurrentProcessId());
	cr_expect_str_eq(p.label, label);
	rig_close(&r);
}

/* A thread that acts as somebody keeps doing so. */
Test(pipe_peers, an_impersonating_thread_stays_that)
{
	via_peer p = {.struct_size = sizeof p};
	HANDLE t = NULL;
	rig r;

	rig_open(&r, "pipe");
	rig_connect(&r);
	cr_assert_eq(rig_put(r.a, "\x1f", 1), VIA_OK);
	rig_expect_record(r.b, 1, 1);
	cr_assert(ImpersonateSelf(SecurityImpersonation));
	cr_expect_eq(r.b->ops->peer(r.b, &p), VIA_OK);
	cr_expect(OpenThreadToken(GetCurrentThread(), TOKEN_QUERY, TRUE, &t));
	CloseHandle(t);
	cr_assert(RevertToSelf());
	rig_close(&r);
}

/* Each query that fails is either told, or there is less to tell; never a lie, never a leak. */
Test(pipe_peers, queries_that_fail)
{
	rig r;
	uint32_t n;

	rig_open(&r, "pipe");
	rig_connect(&r);
	cr_assert_eq(rig_put(r.a, "\x1f", 1), VIA_OK);
	rig_expect_record(r.b, 1, 1);
	for (n = 0; n < 12; n++) {
		via_link *l = n % 2 != 0 ? r.a : r.b;
		via_peer p = {.struct_size = sizeof p};
		uint32_t before = rig_descriptors();
		char short_label[64];
		via_rc rc;

		r.host.fail_call = atomic_load(&r.host.calls) + 1 + n / 2;
		r.host.error = ERROR_ACCESS_DENIED;
		rc = l->ops->peer(l, &p);
		r.host.fail_call = 0;
		snprintf(short_label, sizeof short_label, "pid %lu", GetCurrentProcessId());
		if (n / 2 == 0)
			cr_expect_eq(rc, VIA_PERM);
		else
			cr_expect_eq(rc, VIA_OK);
		if (rc == VIA_OK && n / 2 < 4)
			cr_expect_str_eq(p.label, short_label);
		cr_expect_eq(rig_descriptors(), before);
	}
	rig_close(&r);
}
