/* tests/link/faults.c - conformance of any link: the nth allocation or system call fails, for
 * every n.
 *
 * Whatever fails, the verb says so with a result, the link can still be closed, and nothing is
 * left. */
#include "stacks.h"
#include <errno.h>

TestSuite(link_faults, .timeout = 120);

enum { MOST = 400 }; /* more failing points than any transport has */

/* Tries it a few times: AGAIN may be the answer to a refused system call. */
static via_rc get_some(via_link *l, via_view *v)
{
	via_rc rc = VIA_AGAIN;
	int i;

	for (i = 0; i < 3 && rc == VIA_AGAIN; i++)
		rc = l->ops->recv(l, v, 1);
	return rc;
}

static void exchange(rig *r)
{
	rig_token t;
	via_iov iov[2] = {{"to", 2}, {"ken", 3}};
	via_msg m = {.iov = iov, .n_iov = 2, .n_handles = 1, .handles = &t.give};
	via_waitobj o = {.struct_size = sizeof o};
	via_peer p = {.struct_size = sizeof p};
	via_handle h;
	via_slot s;
	via_view v;
	int sent;

	(void)r->b->ops->expect(r->b, 5000);
	(void)rig_send_once(r->a, "plain", 5);
	if (r->a->ops->reserve(r->a, 4000, &s) == VIA_OK) {
		memset(s.data, 0, 4000);
		s.len = 4000;
		if (r->a->ops->commit(r->a, &s, 1) != 1) {
			s.len = VIA_SKIP;
			(void)r->a->ops->commit(r->a, &s, 1);
		}
	}
	rig_token_make(&t);
	sent = r->a->ops->send(r->a, &m, 1) == 1;
	if (!sent) /* not accepted: still ours */
		cr_expect(rig_token_works(&t, &t.give));
	(void)r->b->ops->peer(r->b, &p);
	while (get_some(r->b, &v) == 1) {
		if ((v.flags & VIA_VIEW_HANDLES) != 0 &&
		    r->b->ops->take_handles(r->b, &v, &h, 1) == 1)
			cr_expect(rig_token_works(&t, &h));
		r->b->ops->release(r->b, &v, 1);
	}
	if (r->b->ops->arm(r->b, VIA_EV_RX, &o) == VIA_OK)
		r->b->ops->disarm(r->b, VIA_EV_RX);
	(void)rig_send_once(r->b, "answer", 6);
	if (get_some(r->a, &v) == 1)
		r->a->ops->release(r->a, &v, 1);
	(void)r->a->ops->shutdown(r->a);
	(void)get_some(r->b, &v);
	rig_token_done(&t);
}

/* Open, exchange, close, with whatever is set to fail in the host. 1: all of it worked. */
static int whole_life(rig *r)
{
	via_listener *l = NULL;
	int ok = 0;

	r->session_id = 0; /* always the same names, also those that could not be given back */
	if (rig_listen(r, NULL, &l) == VIA_OK && rig_try_pair(r, l, &r->a, &r->b) == VIA_OK) {
		exchange(r);
		ok = 1;
	}
	rig_hang_up(&r->a);
	rig_hang_up(&r->b);
	rig_stop(&l);
	return ok;
}

/* A name that could not be given back is there for the next one to take. */
static void check_recovers(rig *r)
{
	rig_check_clean(r);
	r->host.fail_alloc = r->host.fail_call = 0;
	cr_assert(whole_life(r), "%s", rig_detail());
	rig_check_clean(r);
	rig_check_files(r, 0);
}

STACK_TEST(link_faults, every_allocation)
{
	rig r;
	uint32_t n, total;

	rig_open(&r, stack);
	total = atomic_load(&r.host.allocs);
	cr_assert(whole_life(&r));
	total = atomic_load(&r.host.allocs) - total;
	cr_assert(total > 0 && total < MOST);
	for (n = 1; n <= total; n++) {
		r.host.fail_alloc = atomic_load(&r.host.allocs) + n;
		rig_detail_clear();
		(void)whole_life(&r);
		cr_expect_str_not_empty(rig_detail(), "allocation %u failed without a word", n);
		check_recovers(&r);
	}
	rig_close(&r);
}

/* How many there are. */
static uint32_t every_call(rig *r, int32_t error)
{
	uint32_t total = atomic_load(&r->host.calls);
	uint32_t n;

	cr_assert(whole_life(r));
	total = atomic_load(&r->host.calls) - total;
	cr_assert_lt(total, MOST);
	for (n = 1; n <= total; n++) {
		r->host.fail_call = atomic_load(&r->host.calls) + n;
		r->host.how = RIG_FAIL;
		r->host.error = error;
		(void)whole_life(r);
		check_recovers(r);
	}
	return total;
}

STACK_TEST(link_faults, every_system_call)
{
	static const int32_t errors[] = {EIO, EMFILE, ENOMEM, EACCES, EINTR, EAGAIN, ENOENT, EPIPE};
	uint32_t i, n_calls = 0;
	rig r;

	rig_open(&r, stack);
	for (i = 0; i < sizeof errors / sizeof errors[0]; i++)
		n_calls += every_call(&r, errors[i]);
	rig_close(&r);
	if (n_calls == 0) /* memory of one process needs none */
		cr_skip_test("makes no system call that can fail");
}

/* Modules that cannot get their own state say so. */
STACK_TEST(link_faults, init_without_memory)
{
	rig r;
	uint32_t n, total;

	rig_open(&r, stack);
	rig_fini_modules(&r);
	total = atomic_load(&r.host.allocs);
	cr_assert_eq(rig_init_modules(&r, NULL), VIA_OK);
	rig_fini_modules(&r);
	total = atomic_load(&r.host.allocs) - total;
	for (n = 1; n <= total; n++) {
		r.host.fail_alloc = atomic_load(&r.host.allocs) + n;
		cr_expect_eq(rig_init_modules(&r, NULL), VIA_NOMEM);
		cr_expect_eq(atomic_load(&r.host.live), 0);
	}
	r.host.fail_alloc = 0;
	cr_assert_eq(rig_init_modules(&r, NULL), VIA_OK);
	rig_close(&r);
}
