/* tests/server/test_faults.c - the nth allocation and the nth system call fail, while a server starts and while it
 * serves: it lives or fails cleanly, and in the end nothing is left. */
#include "core/wait/wait.h"
#include "rig.h"
#include <errno.h>
#if !defined(_WIN32)
#include <sys/resource.h>
#endif

#if defined(_WIN32) /* where each try takes a multiple: every fifth, another one for every stack */
#define THREAD_CALL "_beginthreadex"
enum { STRIDE = 5 };
#else
#define THREAD_CALL "pthread_create"
enum { STRIDE = 1 };
#endif
#define FIRST(stack) (1 + (unsigned)strlen(stack) % STRIDE)

TestSuite(faults, .timeout = 120);

static rig r;
static rig_svc svc[4];
static const uint32_t flags[4] = {0, VIA_SVC_BLOCKING, VIA_SVC_CONCURRENT, VIA_SVC_ASYNC};
static const char *const names[4] = {"a", "b", "c", "d"};

static via_rc reply_at_once(rig_svc *v, rig_session *s, via_call *call)
{
	uint64_t number = 0, used = 0;
	uint8_t bytes[VIA_INCREMENT_SIZE];

	via_increment_decode(call->request, call->request_len, &number, NULL);
	via_increment_encode(bytes, sizeof bytes, number + 1, &used);
	atomic_fetch_sub(&s->calls, 1);
	via_server_reply(v->r->srv, call->token, VIA_OK, bytes, used);
	return VIA_PENDING;
}

static void open_services(void)
{
	int i;

	for (i = 0; i < 4; i++)
		rig_svc_open(&svc[i], &r, flags[i], i == 3 ? reply_at_once : rig_answer);
}

static void close_services(void)
{
	int i;

	for (i = 0; i < 4; i++)
		rig_svc_close(&svc[i]);
}

static via_rc add_services(void)
{
	via_rc rc = VIA_OK;
	int i;

	for (i = 0; i < 4 && rc == VIA_OK; i++) {
		via_endpoint ep = rig_endpoint(&r, names[i]);

		rc = via_server_add_service(r.srv, &ep, NULL, &svc[i].vt, &svc[i]);
	}
	return rc;
}

/* Fails the nth; 0 when there was no nth any more. */
static int fail_start(atomic_uint *which, unsigned nth)
{
	via_rc rc;

	open_services();
	atomic_store(&r.failed, 0);
	atomic_store(which, nth);
	rc = rig_open_server(&r);
	if (rc == VIA_OK)
		rc = add_services();
	if (rc == VIA_OK)
		rc = via_server_start(r.srv);
	atomic_store(which, 0);
	if (rc != VIA_OK)
		cr_assert_neq(via_error()[0], '\0', "number %u: %s without a reason", nth,
			      via_rc_name(rc));
	if (rc == VIA_OK)
		rig_good(&r, "a");
	via_server_close(r.srv);
	r.srv = NULL;
	close_services();
	return atomic_load(&r.failed) != 0;
}

static void check_start(const char *stack, atomic_uint *which)
{
	unsigned nth;

	rig_prepare(&r, stack);
	cr_assert_eq(rig_open_registry(&r), VIA_OK);
	for (nth = FIRST(stack); fail_start(which, nth) != 0; nth += STRIDE)
		cr_assert_lt(nth, 2000);
	cr_expect_gt(nth, 5);
	rig_close(&r);
}

STACK_TEST(faults, the_nth_allocation_of_a_start)
{
	check_start(stack, &r.fail_alloc);
}

STACK_TEST(faults, the_nth_system_call_of_a_start)
{
	check_start(stack, &r.fail_gate);
}

/* A start that fails may be repeated, and clients that came meanwhile are not lost on it. */
static atomic_int knocking;

static void knock(void *arg)
{
	(void)arg;
	while (atomic_load(&knocking) != 0)
		(void)rig_call(&r, "a", 1);
}

STACK_TEST(faults, threads_that_cannot_be_started)
{
	os_thread *t;
	int i;

	rig_open(&r, stack);
	r.options.n_workers = 4;
	via_server_close(r.srv);
	cr_assert_eq(rig_open_server(&r), VIA_OK);
	open_services();
	cr_assert_eq(add_services(), VIA_OK);
	atomic_store(&knocking, 1);
	t = rig_thread(knock, NULL);
	for (i = 0; i < 60; i++) {
		unsigned skip = (unsigned)(i % 4); /* so many threads start */

		atomic_store(&r.failed, 0);
		atomic_store(&r.fail_gate, 0);
		atomic_store(&r.deny_error, EAGAIN);
		atomic_store(&r.deny_after, skip);
		atomic_store(&r.deny_call, THREAD_CALL);
		cr_expect_neq(via_server_start(r.srv), VIA_OK);
		atomic_store(&r.deny_call, NULL);
	}
	cr_assert_eq(via_server_start(r.srv), VIA_OK, "%s", via_error());
	rig_good(&r, "a");
	atomic_store(&knocking, 0);
	rig_join(t);
	rig_close(&r);
	close_services();
}

/* Sessions that come up on the workers that run already stay with them. */
static via_session *early[4];
static _Thread_local int
	starts_server; /* workers start threads too, and cannot wait for themselves */

static void connect_early(void)
{
	int i;

	if (!starts_server || early[0] != NULL) /* in this order: early is the starting thread's */
		return;
	for (i = 0; i < 4; i++) {
		via_session_config c = {.struct_size = sizeof c, .profiles = rig_profiles(&r)};
		via_endpoint ep = rig_endpoint(&r, "a");

		/* a server that cannot start a thread may have to refuse those that need one */
		if (via_session_connect(r.reg, &ep, &c, via_deadline(RIG_SOON), &early[i]) !=
		    VIA_OK)
			early[i] = NULL;
	}
}

STACK_TEST(faults, sessions_that_are_there_before_all_threads_are)
{
	int i;

	rig_open(&r, stack);
	open_services();
	cr_assert_eq(add_services(), VIA_OK);
	memset(early, 0, sizeof early);
	r.on_denied = connect_early;
	atomic_store(&r.deny_error, EAGAIN);
	atomic_store(&r.deny_after, 1);
	wait_budget(&r.hooks, VIA_POLICY_BALANCED); /* has threads of its own, once per process */
	starts_server = 1;
	atomic_store(&r.deny_call, THREAD_CALL);
	cr_expect_neq(via_server_start(r.srv), VIA_OK);
	atomic_store(&r.deny_call, NULL);
	starts_server = 0;
	for (i = 0; i < 4; i++)
		via_session_close(early[i]);
	rig_start(&r);
	rig_good(&r, "a");
	rig_close(&r);
	close_services();
}

/* One call of each service while the nth fails; then all of them work again. */
static int fail_serving(atomic_uint *which, unsigned nth)
{
	int i;

	open_services();
	cr_assert_eq(rig_open_server(&r), VIA_OK, "%s", via_error());
	cr_assert_eq(add_services(), VIA_OK);
	rig_start(&r);
	atomic_store(&r.failed, 0);
	atomic_store(which, nth);
	for (i = 0; i < 4; i++)
		(void)rig_call(&r, names[i], (uint64_t)i);
	atomic_store(which, 0);
	for (i = 0; i < 4; i++)
		rig_good(&r, names[i]);
	via_server_close(r.srv);
	r.srv = NULL;
	close_services();
	return atomic_load(&r.failed) != 0;
}

static void check_serving(const char *stack, atomic_uint *which)
{
	unsigned nth;

	rig_prepare(&r, stack);
	r.options.n_workers = 1;
	r.policy = VIA_POLICY_FRUGAL; /* looking again and again would use up any number of calls */
	cr_assert_eq(rig_open_registry(&r), VIA_OK);
	for (nth = FIRST(stack); fail_serving(which, nth) != 0; nth += STRIDE)
		cr_assert_lt(nth, 2000);
	cr_expect_gt(nth, 10);
	rig_close(&r);
}

STACK_TEST(faults, the_nth_allocation_while_serving)
{
	check_serving(stack, &r.fail_alloc);
}

STACK_TEST(faults, the_nth_system_call_while_serving)
{
	check_serving(stack, &r.fail_gate);
}

/* -- out of descriptors ------------------------------------------------------------------------ */

#if !defined(_WIN32)
static via_client *waiting_client;
static atomic_int waiting_done;
static via_rc waiting_rc;

static void call_in_time(void *arg)
{
	(void)arg;
	waiting_rc = rig_client_call(waiting_client, 1);
	atomic_store(&waiting_done, 1);
}

/* Accepting pauses instead of asking again and again, sessions that are up go on, and whoever waits in the queue
 * is served once there are descriptors again. */
Test(faults, out_of_descriptors_for_a_while)
{
	via_session *s;
	os_thread *t;
	via_time end;
	uint64_t before;
	unsigned asked;

	rig_open(&r, PLATFORM_BASELINE);
	open_services();
	cr_assert_eq(add_services(), VIA_OK);
	rig_start(&r);
	s = rig_connect(&r, "a", NULL);
	cr_assert_eq(rig_send_number(s, 1, 1), VIA_OK);
	rig_expect_number(s, 1, 1);
	waiting_client = rig_client(&r, "a", NULL);
	atomic_store(&r.deny_error, EMFILE);
	atomic_store(&r.deny_call, "accept");
	t = rig_thread(call_in_time, NULL);
	rig_until(atomic_load(&r.denied) >= 1);
	before = rig_cpu_ns();
	asked = atomic_load(&r.denied);
	end = via_deadline(450 * RIG_MS);
	rig_until(via_now() > end);
	asked = atomic_load(&r.denied) - asked; /* every listener may try every 100 ms */
	cr_expect(asked >= 2 && asked <= 24, "accept was tried %u times in 450 ms", asked);
	cr_expect_lt(rig_cpu_ns() - before, 300 * RIG_MS, "a thread is busy");
	cr_assert_eq(rig_send_number(s, 2, 2), VIA_OK);
	rig_expect_number(s, 2, 2);
	cr_expect_eq(atomic_load(&waiting_done), 0);
	atomic_store(&r.deny_call, NULL);
	rig_join(t);
	cr_expect_eq(waiting_rc, VIA_OK, "%s", via_rc_name(waiting_rc));
	cr_expect(rig_log_has(&r, "service a: accepting pauses: "), "%s", r.log);
	via_client_close(waiting_client);
	via_session_close(s);
	rig_close(&r);
	close_services();
}
#endif
