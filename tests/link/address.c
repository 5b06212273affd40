/* tests/link/address.c - conformance of any baseline: names, listeners, dialling, configuration. */
#include "stacks.h"

TestSuite(link_address, .timeout = 60);

static via_rc listen_at(rig *r, const char *service, via_listener **out)
{
	via_address a = rig_address(r, service, NULL);

	return r->layer[0].t->listen(r->layer[0].self, &a, out);
}

BASELINE_TEST(link_address, the_module_describes_itself)
{
	rig r;
	uint32_t i;

	rig_open(&r, stack);
	for (i = 0; i < r.n; i++) {
		const via_transport *t = r.layer[i].t;
		uint32_t role = i == 0 ? VIA_ROLE_BASELINE : VIA_ROLE_DECORATOR;
		via_rc score;

		cr_expect_eq(t->roles & role, role);
		cr_expect_not_null(t->schemes);
		score = t->probe(r.layer[i].self);
		cr_expect(score >= 1 && score <= 1000, "%d", score);
	}
	cr_expect_eq(r.layer[0].t->profiles, 1);
	rig_close(&r);
}

BASELINE_TEST(link_address, nobody_is_unreachable)
{
	rig r;

	rig_open(&r, stack);
	rig_detail_clear();
	cr_expect_eq(rig_dial(&r, NULL, &r.a), VIA_UNREACH);
	cr_expect_str_not_empty(rig_detail());
	cr_assert_eq(rig_listen(&r, NULL, &r.listener), VIA_OK);
	rig_stop(&r.listener);
	rig_detail_clear();
	cr_expect_eq(rig_dial(&r, NULL, &r.a), VIA_UNREACH, "not any more");
	cr_expect_str_not_empty(rig_detail());
	rig_close(&r);
}

BASELINE_TEST(link_address, a_name_has_one_owner)
{
	rig r;
	via_listener *other = NULL;
	via_listener *third = NULL;

	rig_open(&r, stack);
	rig_connect(&r);
	rig_detail_clear();
	cr_expect_eq(rig_listen(&r, NULL, &other), VIA_EXISTS);
	cr_expect_str_not_empty(rig_detail());
	cr_assert_eq(rig_put(r.a, "\x1f", 1), VIA_OK); /* and the owner never noticed */
	rig_expect_record(r.b, 1, 1);
	cr_assert_eq(listen_at(&r, "another", &third), VIA_OK);
	rig_hang_up(&r.a);
	cr_assert_eq(rig_dial(&r, NULL, &r.a), VIA_OK);
	rig_stop(&r.listener);
	cr_assert_eq(rig_listen(&r, NULL, &r.listener), VIA_OK, "free again");
	rig_stop(&third);
	rig_close(&r);
}

BASELINE_TEST(link_address, names_are_kept_apart)
{
	rig r;
	via_listener *l[8];
	via_link *from, *to;
	via_address a;
	char name[16];
	int i;

	rig_open(&r, stack);
	for (i = 0; i < 8; i++) {
		snprintf(name, sizeof name, "s-%d", i);
		cr_assert_eq(listen_at(&r, name, &l[i]), VIA_OK);
	}
	for (i = 7; i >= 0; i--) {
		snprintf(name, sizeof name, "s-%d", i);
		a = rig_address(&r, name, NULL);
		cr_assert_eq(r.layer[0].t->dial(r.layer[0].self, &a, &from), VIA_OK);
		cr_assert_eq(rig_accept_soon(&r, l[i], &to), VIA_OK);
		from->ops->close(from);
		to->ops->close(to);
	}
	for (i = 0; i < 8; i++)
		rig_stop(&l[i]);
	rig_close(&r);
}

BASELINE_TEST(link_address, accept_says_again)
{
	rig r;
	via_waitobj o = {.struct_size = sizeof o};
	via_rc rc;

	rig_open(&r, stack);
	cr_assert_eq(rig_listen(&r, NULL, &r.listener), VIA_OK);
	cr_expect_eq(rig_accept(&r, r.listener, &r.b), VIA_AGAIN);
	cr_assert_eq(r.listener->ops->arm(r.listener, &o), VIA_OK);
	cr_expect_eq(rig_sleep(&o, rig_now()), 0, "nobody called");
	cr_assert_eq(rig_dial(&r, NULL, &r.a), VIA_OK);
	cr_expect_eq(rig_sleep(&o, rig_now() + RIG_SOON), 1, "somebody called");
	cr_assert_eq(rig_accept(&r, r.listener, &r.b), VIA_OK);
	cr_expect_eq(rig_accept(&r, r.listener, &r.b), VIA_AGAIN);
	rc = r.listener->ops->arm(r.listener, &o);
	cr_expect(rc == VIA_OK && rig_sleep(&o, rig_now()) == 0, "quiet again");
	rig_close(&r);
}

/* One sleep may announce several; they all come out without another. */
BASELINE_TEST(link_address, calls_queue_up)
{
	rig r;
	via_link *a[10];
	via_link *b[10];
	int i;

	rig_open(&r, stack);
	cr_assert_eq(rig_listen(&r, NULL, &r.listener), VIA_OK);
	for (i = 0; i < 10; i++) {
		uint8_t c = (uint8_t)(i * 31);

		cr_assert_eq(rig_dial(&r, NULL, &a[i]), VIA_OK);
		cr_assert_eq(rig_put(a[i], &c, 1), VIA_OK, "before it was accepted");
	}
	for (i = 0; i < 10; i++) {
		cr_assert_eq(rig_accept(&r, r.listener, &b[i]), VIA_OK);
		rig_expect_record(b[i], 1, (uint32_t)i);
	}
	for (i = 0; i < 10; i++) {
		rig_hang_up(&a[i]);
		rig_hang_up(&b[i]);
	}
	rig_close(&r);
}

BASELINE_TEST(link_address, a_full_queue_says_again)
{
	rig r;
	via_link *a[300];
	uint32_t n = 0, i;
	via_rc rc;

	rig_open(&r, stack);
	rc = rig_listen(&r, rig_option(&r, "backlog", "2"), &r.listener);
	if (rc == VIA_INVAL) {
		rig_close(&r);
		cr_skip_test("no such option");
	}
	cr_assert_eq(rc, VIA_OK, "%s", rig_detail());
	while (n < 300 && (rc = rig_dial(&r, NULL, &a[n])) == VIA_OK)
		n++;
	cr_assert_eq(rc, VIA_AGAIN, "after %u", n);
	cr_assert_lt(n, 10);
	cr_assert_eq(rig_accept(&r, r.listener, &r.b), VIA_OK);
	cr_assert_eq(rig_dial(&r, NULL, &r.a), VIA_OK, "room for one more");
	for (i = 0; i < n; i++)
		rig_hang_up(&a[i]);
	rig_close(&r);
}

BASELINE_TEST(link_address, closing_a_listener_ends_what_was_not_accepted)
{
	rig r;
	via_link *other;
	via_view v;
	via_rc rc;

	rig_open(&r, stack);
	cr_assert_eq(rig_listen(&r, NULL, &r.listener), VIA_OK);
	cr_assert_eq(rig_dial(&r, NULL, &other), VIA_OK);
	cr_assert_eq(rig_accept_soon(&r, r.listener, &r.b), VIA_OK);
	cr_assert_eq(rig_dial(&r, NULL, &r.a), VIA_OK);
	rig_stop(&r.listener);
	rc = rig_get(r.a, &v);
	cr_expect(rc == VIA_CLOSED || rc == VIA_RESET, "%d", rc);
	cr_assert_eq(rig_put(other, "\x1f", 1), VIA_OK, "accepted ones live on");
	rig_expect_record(r.b, 1, 1);
	rig_hang_up(&other);
	rig_close(&r);
}

/* A probe that connects and leaves, as other implementations do. */
BASELINE_TEST(link_address, a_caller_that_hangs_up_is_harmless)
{
	rig r;
	via_view v;

	rig_open(&r, stack);
	cr_assert_eq(rig_listen(&r, NULL, &r.listener), VIA_OK);
	cr_assert_eq(rig_dial(&r, NULL, &r.a), VIA_OK);
	rig_hang_up(&r.a);
	cr_assert_eq(rig_accept_soon(&r, r.listener, &r.b), VIA_OK);
	cr_expect_eq(rig_get(r.b, &v), VIA_CLOSED);
	rig_hang_up(&r.b);
	cr_assert_eq(rig_dial(&r, NULL, &r.a), VIA_OK);
	cr_assert_eq(rig_accept_soon(&r, r.listener, &r.b), VIA_OK);
	rig_close(&r);
}

BASELINE_TEST(link_address, a_listener_knows_its_address)
{
	rig r;
	char text[256];
	char small[4] = "abc";
	via_rc need;

	rig_open(&r, stack);
	cr_assert_eq(rig_listen(&r, NULL, &r.listener), VIA_OK);
	need = r.listener->ops->address(r.listener, NULL, 0);
	cr_assert(need > 1 && need <= (via_rc)sizeof text);
	cr_expect_eq(r.listener->ops->address(r.listener, small, sizeof small), need);
	cr_expect_str_eq(small, "abc", "written only if it fits");
	cr_expect_eq(r.listener->ops->address(r.listener, text, (uint32_t)need), need);
	cr_expect_eq(strlen(text) + 1, (size_t)need);
	cr_expect_not_null(strstr(text, "svc"));
	rig_close(&r);
}

/* -- configuration ----------------------------------------------------------------------------- */

BASELINE_TEST(link_address, unknown_configuration_is_named)
{
	static const char *const bad[] = {"nonsense", "no-such-key=1", "=", "backlog=3"};
	rig r;
	uint32_t i;

	rig_open(&r, stack);
	for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		char line[64];

		snprintf(line, sizeof line, "%s\n", bad[i]);
		rig_detail_clear();
		cr_expect_eq(rig_listen(&r, line, &r.listener), VIA_INVAL, "%s", bad[i]);
		cr_expect_not_null(strstr(rig_detail(), bad[i]), "%s", rig_detail());
		cr_expect_eq(rig_dial(&r, line, &r.a), VIA_INVAL, "%s", bad[i]);
	}
	rig_detail_clear();
	cr_expect_eq(rig_listen(&r, rig_option(&r, "colour", "blue"), &r.listener), VIA_INVAL);
	cr_expect_not_null(strstr(rig_detail(), "colour"), "%s", rig_detail());
	cr_expect_eq(rig_listen(&r, rig_option(&r, "backlog", "0"), &r.listener), VIA_INVAL);
	cr_expect_eq(rig_listen(&r, rig_option(&r, "backlog", "12x"), &r.listener), VIA_INVAL);
	cr_expect_eq(rig_listen(&r, rig_option(&r, "backlog", ""), &r.listener), VIA_INVAL);
	cr_expect_eq(rig_listen(&r, rig_option(&r, "backlog", "99999999999999999999"), &r.listener),
		     VIA_INVAL);
	rig_close(&r);
}

BASELINE_TEST(link_address, a_module_reads_configuration_at_start)
{
	rig r;
	via_rc rc;

	rig_open(&r, stack);
	rig_fini_modules(&r);
	rig_detail_clear();
	cr_expect_eq(rig_init_modules(&r, "no-such-key=1\n"), VIA_INVAL);
	cr_expect_not_null(strstr(rig_detail(), "no-such-key"));
	rc = rig_init_modules(&r, rig_option(&r, "backlog", "5"));
	if (rc == VIA_INVAL) /* it has no such option */
		rc = rig_init_modules(&r, NULL);
	cr_assert_eq(rc, VIA_OK, "%s", rig_detail());
	rig_connect(&r);
	rig_close(&r);
}

BASELINE_TEST(link_address, a_service_needs_a_name)
{
	rig r;

	rig_open(&r, stack);
	cr_expect_eq(listen_at(&r, "", &r.listener), VIA_INVAL);
	cr_expect_eq(listen_at(&r, NULL, &r.listener), VIA_INVAL);
	rig_close(&r);
}

/* After fini the module is as if it had never been initialised. */
BASELINE_TEST(link_address, init_and_fini_many_times)
{
	rig r;
	int i;

	rig_open(&r, stack);
	for (i = 0; i < 20; i++) {
		rig_connect(&r);
		cr_assert_eq(rig_put(r.a, "\x1f", 1), VIA_OK);
		rig_expect_record(r.b, 1, 1);
		rig_hang_up(&r.a);
		rig_hang_up(&r.b);
		rig_stop(&r.listener);
		rig_fini_modules(&r);
		cr_assert_eq(atomic_load(&r.host.live), 0);
		cr_assert_eq(rig_init_modules(&r, NULL), VIA_OK);
	}
	rig_close(&r);
}
