/* tests/link/winshm_process.c - two processes: honest peers in both roles, by the module and by the
 * contract alone; a peer that is killed.
 *
 * A child is this program again, as the worker of the test that has its role as name. That suite is
 * disabled: it does nothing without a parent. */
#include "winshm_rig.h"

TestSuite(winshm_process, .timeout = 120);
TestSuite(winshm_child, .timeout = 120, .disabled = true);

enum { MESSAGES = 4000, CAP = 4096 };
enum { PASSED = 90, KILLED = 7 }; /* exit codes: of a worker whose test has passed; of our kill */
#define PARENT "VIA_TEST_PARENT"  /* environment: "profile directory" */

/* -- parents and children ---------------------------------------------------------------------- */

static HANDLE child_start(const rig *r, const char *role)
{
	char program[MAX_PATH], command[MAX_PATH + 100], parent[100];
	STARTUPINFOA start = {.cb = sizeof start};
	PROCESS_INFORMATION process;

	cr_assert_gt(GetModuleFileNameA(NULL, program, sizeof program), 0);
	snprintf(command, sizeof command, "\"%s\" --worker winshm_child/%s#0", program, role);
	snprintf(parent, sizeof parent, "%u %s", r->profile, r->dir);
	cr_assert(SetEnvironmentVariableA(PARENT, parent));
	fflush(NULL);
	cr_assert(CreateProcessA(program, command, NULL, NULL, FALSE, 0, NULL, NULL, &start,
				 &process),
		  "error %lu", GetLastError());
	CloseHandle(process.hThread);
	return process.hProcess;
}

/* Its exit code. */
static DWORD child_ends(HANDLE process)
{
	DWORD code = 99;

	cr_expect_eq(WaitForSingleObject(process, 60000), WAIT_OBJECT_0);
	cr_expect(GetExitCodeProcess(process, &code));
	CloseHandle(process);
	return code;
}

/* The rig of a child, with the names of its parent's. */
static void child_open(rig *r)
{
	char parent[100];
	char *directory;

	cr_assert(GetEnvironmentVariableA(PARENT, parent, sizeof parent) != 0, "no parent");
	wshm_open(r, (uint32_t)strtoul(parent, &directory, 10));
	snprintf(r->dir, sizeof r->dir, "%s", directory + 1);
}

static uint32_t length_of(uint32_t number)
{
	return 1 + number * 37 % CAP;
}

/* -- what either side does --------------------------------------------------------------------- */

static void link_ask(via_link *l)
{
	uint8_t data[CAP];
	uint32_t i;

	cr_assert_eq(l->ops->expect(l, CAP), VIA_OK);
	for (i = 0; i < MESSAGES; i++) {
		rig_fill(data, length_of(i), i);
		cr_assert_eq(rig_put(l, data, length_of(i)), VIA_OK, "%s", rig_detail());
		rig_expect_record(l, length_of(i), i);
	}
}

static void link_echo(via_link *l)
{
	uint32_t i;

	cr_assert_eq(l->ops->expect(l, CAP), VIA_OK);
	for (i = 0; i < MESSAGES; i++) {
		via_view v;
		via_slot s;

		cr_assert_eq(rig_get(l, &v), 1, "message %u: %s", i, rig_detail());
		rig_check_fill(&v, length_of(i), i);
		cr_assert_eq(l->ops->reserve(l, v.len, &s), VIA_OK);
		memcpy(s.data, v.data, v.len);
		s.len = v.len;
		l->ops->release(l, &v, 1);
		cr_assert_eq(l->ops->commit(l, &s, 1), 1);
	}
}

static int is_filled(const uint8_t *data, uint32_t len, uint32_t number)
{
	uint8_t want[CAP];

	rig_fill(want, len, number);
	return memcmp(data, want, len) == 0;
}

static void raw_ask(raw_peer *p)
{
	uint8_t data[CAP];
	uint32_t i;

	for (i = 0; i < MESSAGES; i++) {
		rig_fill(data, length_of(i), i);
		cr_assert_eq(raw_send(p, data, length_of(i)), 0);
		cr_assert_eq(raw_recv(p, data, sizeof data), length_of(i), "message %u", i);
		cr_assert(is_filled(data, length_of(i), i));
	}
}

static void raw_echo(raw_peer *p)
{
	uint8_t data[CAP];
	uint32_t i;

	for (i = 0; i < MESSAGES; i++) {
		int64_t n = raw_recv(p, data, sizeof data);

		cr_assert_eq(n, length_of(i), "message %u", i);
		cr_assert(is_filled(data, (uint32_t)n, i));
		cr_assert_eq(raw_send(p, data, (uint32_t)n), 0);
	}
}

/* -- roles ------------------------------------------------------------------------------------- */

Test(winshm_child, client)
{
	rig r;

	child_open(&r);
	cr_assert_eq(wshm_attach(&r, 1, CAP, CAP, &r.a), VIA_OK, "%s", rig_detail());
	link_ask(r.a);
	rig_close(&r);
}

Test(winshm_child, raw_client)
{
	rig r;
	raw_peer p;

	child_open(&r);
	cr_assert_eq(raw_attach(&p, &r, 1, 0), 0);
	raw_ask(&p);
	raw_close(&p);
	rig_close(&r);
}

Test(winshm_child, raw_server)
{
	rig r;
	raw_peer p;

	child_open(&r);
	cr_assert_eq(raw_attach(&p, &r, 1, 1), 0);
	raw_echo(&p);
	raw_close(&p);
	rig_close(&r);
}

/* Says one thing and is killed while it sleeps. */
Test(winshm_child, client_to_be_killed)
{
	rig r;

	child_open(&r);
	cr_assert_eq(wshm_attach(&r, 1, CAP, CAP, &r.a), VIA_OK, "%s", rig_detail());
	cr_assert_eq(rig_put(r.a, "here", 4), VIA_OK);
	wshm_take(r.a);
	rig_close(&r);
}

/* -- two processes ----------------------------------------------------------------------------- */

static void check_closed(via_link *l)
{
	via_view v;
	via_time deadline = rig_now() + RIG_SOON;
	via_rc rc;

	while ((rc = l->ops->recv(l, &v, 1)) == VIA_AGAIN && rig_now() < deadline)
		SwitchToThread();
	cr_expect_eq(rc, VIA_CLOSED);
}

static void serve_a(uint32_t profile, const char *role)
{
	HANDLE child;
	rig r;

	wshm_open(&r, profile);
	cr_assert_eq(wshm_provision(&r, 1, CAP, CAP, &r.b), VIA_OK, "%s", rig_detail());
	child = child_start(&r, role);
	link_echo(r.b);
	cr_expect_eq(child_ends(child), PASSED);
	check_closed(r.b);
	rig_close(&r);
}

PROFILE_TEST(winshm_process, both_are_the_modules)
{
	serve_a(profile[0], "client");
}

PROFILE_TEST(winshm_process, a_foreign_client_is_served)
{
	serve_a(profile[0], "raw_client");
}

PROFILE_TEST(winshm_process, a_foreign_server_is_asked)
{
	HANDLE child;
	raw_peer p;
	rig r;

	wshm_open(&r, profile[0]);
	cr_assert_eq(raw_create(&p, &r, 1, CAP, CAP), 0);
	cr_assert_eq(wshm_attach(&r, 1, CAP, CAP, &r.a), VIA_OK, "%s", rig_detail());
	child = child_start(&r, "raw_server");
	link_ask(r.a);
	cr_expect_eq(child_ends(child), PASSED);
	check_closed(r.a);
	raw_vanish(&p);
	rig_close(&r);
}

/* Who is killed raises no flag: the link stays as it was, usable and without an end, until the baseline
 * says so. Nothing of it is left when it is closed, and the name is free again. */
PROFILE_TEST(winshm_process, a_peer_that_is_killed)
{
	HANDLE child;
	via_view v;
	rig r;
	int i;

	wshm_open(&r, profile[0]);
	for (i = 0; i < 5; i++) {
		cr_assert_eq(wshm_provision(&r, 1, CAP, CAP, &r.b), VIA_OK, "%s", rig_detail());
		child = child_start(&r, "client_to_be_killed");
		wshm_take(r.b);
		cr_assert(TerminateProcess(child, KILLED));
		cr_expect_eq(child_ends(child), KILLED);
		cr_expect_eq(r.b->ops->recv(r.b, &v, 1), VIA_AGAIN);
		cr_expect_eq(rig_send_once(r.b, "nobody hears this", 17), VIA_OK);
		cr_expect_eq(r.b->ops->recv(r.b, &v, 1), VIA_AGAIN);
		rig_abort(r.b, VIA_CLOSED);
		cr_expect_eq(r.b->ops->recv(r.b, &v, 1), VIA_CLOSED);
		rig_hang_up(&r.b);
		rig_check_clean(&r);
	}
	rig_close(&r);
}
