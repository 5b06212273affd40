/* tests/link/fault_effects.c - each action of the fault decorator does what its plan says, and
 * only that. */
#include "platform.h"
#include "rig.h"

TestSuite(fault_effects, .timeout = 30);

/* A pair over loop: a plays by the plan, b is straight. */
static void open_with(rig *r, const char *lines)
{
	rig_open(r, "fault+loop");
	cr_assert_eq(rig_listen(r, NULL, &r->listener), VIA_OK);
	snprintf(r->decor, sizeof r->decor, "%s\n", lines);
	cr_assert_eq(rig_dial(r, NULL, &r->a), VIA_OK, "%s", rig_detail());
	r->decor[0] = '\0';
	cr_assert_eq(rig_accept(r, r->listener, &r->b), VIA_OK);
}

static via_rc recv_once(via_link *l)
{
	via_view v;
	via_rc rc = l->ops->recv(l, &v, 1);

	if (rc == 1)
		l->ops->release(l, &v, 1);
	return rc;
}

Test(fault_effects, again_hits_one_call)
{
	rig r;
	int i;

	open_with(&r, "fault.plan=recv:again@3,send:again@2,reserve:again@1");
	for (i = 1; i <= 4; i++)
		cr_assert_eq(rig_put(r.b, "x", 1), VIA_OK);
	for (i = 1; i <= 5; i++)
		cr_expect_eq(recv_once(r.a), i == 3 ? VIA_AGAIN : 1, "call %d", i);
	for (i = 1; i <= 4; i++)
		cr_expect_eq(rig_send_once(r.a, "x", 1), i == 2 ? VIA_AGAIN : VIA_OK, "call %d", i);
	for (i = 1; i <= 2; i++) {
		via_slot s;

		cr_expect_eq(r.a->ops->reserve(r.a, 1, &s), i == 1 ? VIA_AGAIN : VIA_OK);
	}
	rig_close(&r);
}

Test(fault_effects, delay_lasts_so_many_calls)
{
	rig r;
	int i;

	open_with(&r, "fault.plan=recv:delay=4@2");
	for (i = 0; i < 3; i++)
		cr_assert_eq(rig_put(r.b, "x", 1), VIA_OK);
	for (i = 1; i <= 7; i++)
		cr_expect_eq(recv_once(r.a), i >= 2 && i <= 5 ? VIA_AGAIN : 1, "call %d", i);
	rig_close(&r);
}

/* Whoever is told AGAIN by the plan must not be allowed to sleep: nothing down there will end
 * it. */
Test(fault_effects, arm_does_not_sleep_on_a_made_up_again)
{
	rig r;
	via_waitobj o = {.struct_size = sizeof o};
	int i;

	open_with(&r, "fault.plan=recv:delay=3@1,send:again@1");
	for (i = 0; i < 3; i++) {
		cr_expect_eq(recv_once(r.a), VIA_AGAIN);
		cr_expect_eq(r.a->ops->arm(r.a, VIA_EV_RX, &o), VIA_BUSY);
	}
	cr_expect_eq(recv_once(r.a), VIA_AGAIN, "a real one");
	cr_expect_eq(r.a->ops->arm(r.a, VIA_EV_RX, &o), VIA_OK);
	r.a->ops->disarm(r.a, VIA_EV_RX);
	cr_expect_eq(rig_send_once(r.a, "x", 1), VIA_AGAIN);
	cr_expect_eq(r.a->ops->arm(r.a, VIA_EV_TX, &o), VIA_BUSY);
	cr_assert_eq(rig_put(r.a, "x", 1), VIA_OK);
	rig_close(&r);
}

Test(fault_effects, errors_that_pass)
{
	rig r;
	via_peer p = {.struct_size = sizeof p};
	via_waitobj o = {.struct_size = sizeof o};

	open_with(&r, "fault.plan=send:error=NOMEM@1,recv:error=IO@1,expect:error=NOMEM@1,"
		      "shutdown:error=IO@1,peer:error=PERM@1,arm:error=LIMIT@1");
	cr_assert_eq(rig_put(r.b, "x", 1), VIA_OK);
	cr_expect_eq(rig_send_once(r.a, "x", 1), VIA_NOMEM);
	cr_expect_eq(rig_send_once(r.a, "x", 1), VIA_OK);
	cr_expect_eq(recv_once(r.a), VIA_IO);
	cr_expect_eq(recv_once(r.a), 1);
	cr_expect_eq(r.a->ops->expect(r.a, 500), VIA_NOMEM);
	cr_expect_eq(r.a->ops->expect(r.a, 500), VIA_OK);
	cr_expect_eq(r.a->ops->peer(r.a, &p), VIA_PERM);
	cr_expect_eq(r.a->ops->peer(r.a, &p), VIA_OK);
	cr_expect_eq(r.a->ops->arm(r.a, VIA_EV_RX, &o), VIA_LIMIT);
	cr_expect_eq(r.a->ops->arm(r.a, VIA_EV_RX, &o), VIA_OK);
	r.a->ops->disarm(r.a, VIA_EV_RX);
	cr_expect_eq(r.a->ops->shutdown(r.a), VIA_IO);
	cr_expect_eq(r.a->ops->shutdown(r.a), VIA_OK);
	rig_close(&r);
}

/* An error that ends a link stays, and the peer sees an end. */
Test(fault_effects, errors_that_stay)
{
	rig r;
	via_slot s;
	via_view v;
	via_rc rc;

	open_with(&r, "fault.plan=send:error=RESET@2");
	cr_assert_eq(rig_put(r.b, "not received any more", 21), VIA_OK);
	cr_expect_eq(rig_send_once(r.a, "x", 1), VIA_OK);
	cr_expect_eq(rig_send_once(r.a, "x", 1), VIA_RESET);
	cr_expect_eq(rig_send_once(r.a, "x", 1), VIA_RESET);
	cr_expect_eq(recv_once(r.a), VIA_RESET);
	cr_expect_eq(r.a->ops->reserve(r.a, 1, &s), VIA_RESET);
	cr_expect_eq(r.a->ops->shutdown(r.a), VIA_RESET);
	cr_expect_eq(recv_once(r.b), 1, "what was sent before");
	rc = rig_get(r.b, &v);
	cr_expect(rc == VIA_CLOSED || rc == VIA_RESET);
	r.a->ops->abort(r.a, VIA_ABORTED);
	cr_expect_eq(recv_once(r.a), VIA_ABORTED, "abort stands above it");
	rig_close(&r);
}

Test(fault_effects, close_counts_every_call)
{
	rig r;
	via_waitobj o = {.struct_size = sizeof o};

	open_with(&r, "fault.plan=close@4");
	cr_expect_eq(rig_send_once(r.a, "x", 1), VIA_OK);
	cr_expect_eq(recv_once(r.a), VIA_AGAIN);
	cr_expect_eq(r.a->ops->expect(r.a, 10), VIA_OK);
	cr_expect_eq(r.a->ops->arm(r.a, VIA_EV_RX, &o), VIA_RESET);
	cr_expect_eq(rig_send_once(r.a, "x", 1), VIA_RESET);
	rig_close(&r);
}

/* Once the link under it has ended there is nothing left to disturb. */
Test(fault_effects, an_end_stays_an_end)
{
	rig r;
	int i;

	open_with(&r, "fault.plan=recv:again@2,recv:error=IO@3,send:again@1,close@5");
	rig_hang_up(&r.b);
	for (i = 0; i < 4; i++)
		cr_expect_eq(recv_once(r.a), VIA_CLOSED, "call %d", i);
	cr_expect_eq(rig_send_once(r.a, "x", 1), VIA_CLOSED);
	rig_close(&r);
}

/* Dies at every call in turn, over a busy exchange: the other side always gets an end. */
Test(fault_effects, close_anywhere)
{
	char plan[64];
	uint32_t n;

	for (n = 1; n < 60; n++) {
		rig r;
		via_view v;
		via_rc rc = VIA_OK;
		int i;

		snprintf(plan, sizeof plan, "fault.plan=close@%u", n);
		open_with(&r, plan);
		for (i = 0; i < 100 && rc == VIA_OK; i++) {
			rc = rig_put(r.a, "ping", 4);
			if (rc == VIA_OK && rig_get(r.b, &v) == 1) {
				r.b->ops->release(r.b, &v, 1);
				(void)rig_put(r.b, "pong", 4);
			}
			if (rc == VIA_OK) {
				rc = rig_get(r.a, &v);
				if (rc == 1) {
					r.a->ops->release(r.a, &v, 1);
					rc = VIA_OK;
				}
			}
		}
		cr_expect_eq(rc, VIA_RESET, "close@%u", n);
		while ((rc = rig_get(r.b, &v)) == 1)
			r.b->ops->release(r.b, &v, 1);
		cr_expect_eq(rc, VIA_CLOSED);
		rig_close(&r);
	}
}

Test(fault_effects, spurious_arm)
{
	rig r;
	via_waitobj o = {.struct_size = sizeof o};

	open_with(&r, "fault.plan=arm:spurious@2");
	cr_expect_eq(r.a->ops->arm(r.a, VIA_EV_RX, &o), VIA_OK);
	r.a->ops->disarm(r.a, VIA_EV_RX);
	cr_expect_eq(r.a->ops->arm(r.a, VIA_EV_RX, &o), VIA_BUSY);
	cr_expect_eq(recv_once(r.a), VIA_AGAIN);
	cr_expect_eq(r.a->ops->arm(r.a, VIA_EV_RX, &o), VIA_OK);
	r.a->ops->disarm(r.a, VIA_EV_RX);
	rig_close(&r);
}

/* -- records that change ----------------------------------------------------------------------- */

static void expect_len(via_link *l, uint32_t len)
{
	via_view v;

	cr_assert_eq(rig_get(l, &v), 1);
	cr_expect_eq(v.len, len);
	cr_expect_arr_eq(v.data, "0123456789", v.len);
	l->ops->release(l, &v, 1);
}

Test(fault_effects, short_records)
{
	rig r;
	via_slot s;
	int i;

	open_with(&r, "fault.plan=recv:short=3@2,send:short=4@2,commit:short=5@1");
	for (i = 0; i < 3; i++) {
		cr_assert_eq(rig_put(r.b, "0123456789", 10), VIA_OK);
		cr_assert_eq(rig_put(r.a, "0123456789", 10), VIA_OK);
	}
	for (i = 0; i < 3; i++) {
		expect_len(r.a, i == 1 ? 3 : 10);
		expect_len(r.b, i == 1 ? 4 : 10);
	}
	for (i = 0; i < 2; i++) {
		cr_assert_eq(r.a->ops->reserve(r.a, 10, &s), VIA_OK);
		memcpy(s.data, "0123456789", 10);
		s.len = 10;
		cr_assert_eq(r.a->ops->commit(r.a, &s, 1), 1);
		expect_len(r.b, i == 0 ? 5 : 10);
	}
	rig_close(&r);
}

/* How many bytes differ from what was sent. */
static uint32_t damage(via_link *l)
{
	static const char sent[] = "0123456789";
	via_view v;
	uint32_t n = 0, i;

	cr_assert_eq(rig_get(l, &v), 1);
	cr_assert_eq(v.len, 10);
	for (i = 0; i < 10; i++)
		n += ((const char *)v.data)[i] != sent[i];
	l->ops->release(l, &v, 1);
	return n;
}

Test(fault_effects, corrupt_records)
{
	rig r;
	via_slot s;
	char mine[] = "0123456789";
	int i;

	open_with(&r, "fault.plan=recv:corrupt@2,send:corrupt@2,commit:corrupt@1");
	for (i = 0; i < 3; i++) {
		cr_assert_eq(rig_put(r.b, mine, 10), VIA_OK);
		cr_assert_eq(rig_put(r.a, mine, 10), VIA_OK);
	}
	cr_expect_str_eq(mine, "0123456789", "the sender's memory is left alone");
	for (i = 0; i < 3; i++) {
		cr_expect_eq(damage(r.a), i == 1 ? 1 : 0);
		cr_expect_eq(damage(r.b), i == 1 ? 1 : 0);
	}
	for (i = 0; i < 2; i++) {
		cr_assert_eq(r.a->ops->reserve(r.a, 10, &s), VIA_OK);
		memcpy(s.data, mine, 10);
		s.len = 10;
		cr_assert_eq(r.a->ops->commit(r.a, &s, 1), 1);
		cr_expect_eq(damage(r.b), i == 0 ? 1 : 0);
	}
	rig_close(&r);
}

#if !defined(_WIN32)
/* A slot that was not accepted is handed back as it was, so that the next try is not damaged
 * twice. */
Test(fault_effects, corrupt_slots_wait_undamaged)
{
	rig r;
	via_slot s;
	via_rc rc = 1;

	rig_open(&r, "fault+" PLATFORM_BASELINE);
	cr_assert_eq(rig_listen(&r, NULL, &r.listener), VIA_OK);
	snprintf(r.decor, sizeof r.decor, "fault.plan=commit:corrupt%%100\n");
	cr_assert_eq(rig_dial(&r, NULL, &r.a), VIA_OK);
	while (rc == 1) {
		cr_assert_eq(r.a->ops->reserve(r.a, 4000, &s), VIA_OK);
		memset(s.data, 0, 4000);
		s.len = 4000;
		rc = r.a->ops->commit(r.a, &s, 1);
	}
	cr_assert_eq(rc, VIA_AGAIN);
	for (rc = 0; rc < 4000; rc++)
		cr_assert_eq(((uint8_t *)s.data)[rc], 0, "byte %d", rc);
	rig_close(&r);
}
#endif

Test(fault_effects, corrupt_long_records)
{
	static uint8_t data[60000];
	rig r;
	via_view v;
	uint32_t n = 0, i;

	open_with(&r, "fault.plan=recv:corrupt@1");
	rig_fill(data, sizeof data, 1);
	cr_assert_eq(r.a->ops->expect(r.a, sizeof data), VIA_OK);
	cr_assert_eq(rig_put(r.b, data, sizeof data), VIA_OK);
	cr_assert_eq(rig_get(r.a, &v), 1);
	cr_assert_eq(v.len, sizeof data);
	for (i = 0; i < sizeof data; i++)
		n += ((const uint8_t *)v.data)[i] != data[i];
	cr_expect_eq(n, 1);
	cr_expect_eq(r.a->ops->expect(r.a, 10), VIA_STATE);
	r.a->ops->release(r.a, &v, 1);
	rig_close(&r);
}

/* A changed record among several of one send: the others pass, handles stay where they belong. */
Test(fault_effects, only_the_first_of_several)
{
	rig r;
	via_iov iov[2] = {{"0123456789", 10}, {"0123456789", 10}};
	via_msg m[2] = {{.iov = &iov[0], .n_iov = 1}, {.iov = &iov[1], .n_iov = 1}};
	via_slot s[2];
	rig_token t;
	via_handle h;
	via_view v;
	int i;

	open_with(&r, "fault.plan=send:short=2@1,commit:short=2@1");
	rig_token_make(&t);
	m[0].handles = &t.give;
	m[0].n_handles = 1;
	cr_assert_eq(r.a->ops->send(r.a, m, 2), 2);
	cr_assert_eq(rig_get(r.b, &v), 1);
	cr_expect_eq(v.len, 2);
	cr_assert_eq(r.b->ops->take_handles(r.b, &v, &h, 1), 1);
	cr_expect(rig_token_works(&t, &h));
	rig_token_done(&t);
	r.b->ops->release(r.b, &v, 1);
	expect_len(r.b, 10);
	for (i = 0; i < 2; i++) {
		cr_assert_eq(r.a->ops->reserve(r.a, 10, &s[i]), VIA_OK);
		memcpy(s[i].data, "0123456789", 10);
		s[i].len = 10;
	}
	cr_assert_eq(r.a->ops->commit(r.a, s, 2), 2);
	expect_len(r.b, 2);
	expect_len(r.b, 10);
	rig_close(&r);
}

/* -- determinism ------------------------------------------------------------------------------- */

enum { CALLS = 400 };

static uint32_t pattern(const char *seed, uint8_t *out)
{
	char lines[96];
	rig r;
	uint32_t hits = 0, i;

	snprintf(lines, sizeof lines,
		 "fault.seed=%s\nfault.plan=recv:error=IO%%20,send:corrupt%%20", seed);
	open_with(&r, lines);
	for (i = 0; i < CALLS; i++) {
		via_view v;
		via_rc rc = r.a->ops->recv(r.a, &v, 1);

		cr_assert(rc == VIA_IO || rc == VIA_AGAIN);
		cr_assert_eq(rig_put(r.a, "0123456789", 10), VIA_OK);
		cr_assert_eq(rig_get(r.b, &v), 1);
		out[i] = (uint8_t)(rc == VIA_IO);
		memcpy(out + CALLS + 10 * i, v.data, 10);
		r.b->ops->release(r.b, &v, 1);
		hits += rc == VIA_IO;
	}
	rig_close(&r);
	return hits;
}

Test(fault_effects, the_seed_decides)
{
	static uint8_t one[11 * CALLS], two[11 * CALLS], other[11 * CALLS];
	uint32_t hits = pattern("7", one);

	cr_expect(hits > CALLS / 10 && hits < CALLS * 3 / 10, "%u of %d calls at 20 percent", hits,
		  CALLS);
	cr_expect_eq(pattern("7", two), hits);
	cr_expect_arr_eq(one, two, sizeof one);
	pattern("8", other);
	cr_expect_arr_neq(one, other, sizeof one);
}

Test(fault_effects, always_and_never)
{
	rig r;
	int i;

	open_with(&r, "fault.plan=recv:again%100");
	cr_assert_eq(rig_put(r.b, "x", 1), VIA_OK);
	for (i = 0; i < 200; i++)
		cr_assert_eq(recv_once(r.a), VIA_AGAIN);
	rig_close(&r);
}

/* The defaults of init() hold for links whose own configuration says nothing. */
Test(fault_effects, defaults_from_init)
{
	rig r;

	rig_open(&r, "fault+loop");
	cr_assert_eq(rig_listen(&r, NULL, &r.listener), VIA_OK);
	r.layer[1].desc->life->fini(r.layer[1].self);
	cr_assert_eq(r.layer[1].desc->life->init(&r.host.h, "fault.plan=send:error=IO@1\n",
						 &r.layer[1].self),
		     VIA_OK);
	cr_assert_eq(rig_dial(&r, NULL, &r.a), VIA_OK);
	cr_expect_eq(rig_send_once(r.a, "x", 1), VIA_IO);
	cr_expect_eq(rig_send_once(r.a, "x", 1), VIA_OK);
	rig_hang_up(&r.a);
	snprintf(r.decor, sizeof r.decor, "fault.plan=\n");
	cr_assert_eq(rig_dial(&r, NULL, &r.a), VIA_OK);
	cr_expect_eq(rig_send_once(r.a, "x", 1), VIA_OK, "the link's own plan replaces them");
	rig_close(&r);
}
