/* tests/link/fault_plan.c - the plan's grammar: what is taken, what is refused, and where. */
#include "rig.h"

TestSuite(fault_plan, .timeout = 30);

/* Wraps a loop link by this configuration; the result of wrap(). */
static via_rc try_config(rig *r, const char *config)
{
	via_link *inner;
	via_link *outer;
	via_address a = rig_address(r, "svc", NULL);
	via_rc rc;

	cr_assert_eq(r->layer[0].t->dial(r->layer[0].self, &a, &inner), VIA_OK);
	rc = r->layer[1].t->wrap(r->layer[1].self, inner, config, &outer);
	if (rc == VIA_OK)
		outer->ops->close(outer);
	else
		inner->ops->close(inner); /* wrap() that fails does not take it */
	cr_assert_eq(rig_accept(r, r->listener, &inner), VIA_OK);
	inner->ops->close(inner);
	return rc;
}

static via_rc try_plan(rig *r, const char *plan)
{
	char line[512];

	snprintf(line, sizeof line, "fault.plan=%s\n", plan);
	rig_detail_clear();
	return try_config(r, line);
}

static void open_listening(rig *r)
{
	rig_open(r, "fault+loop");
	cr_assert_eq(rig_listen(r, NULL, &r->listener), VIA_OK);
}

Test(fault_plan, good_plans)
{
	static const char *const good[] = {
		"",
		"recv:again@3",
		"recv:again@3,send:error=RESET@5,recv:short=10@2,recv:corrupt@4,"
		"send:delay=3@2,close@9,arm:spurious@1,commit:again%10",
		"close%1",
		"reserve:error=NOMEM@2147483647",
		"expect:error=NOMEM@1,handles:error=IO@1,shutdown:error=STATE@1,"
		"peer:error=PERM@1,arm:error=IO@1",
		"send:close@1,recv:close@1,arm:close%100",
		"commit:corrupt%50,commit:short=1%100",
	};
	rig r;
	uint32_t i;

	open_listening(&r);
	for (i = 0; i < sizeof good / sizeof good[0]; i++)
		cr_expect_eq(try_plan(&r, good[i]), VIA_OK, "%s: %s", good[i], rig_detail());
	cr_expect_eq(try_config(&r, NULL), VIA_OK);
	cr_expect_eq(try_config(&r, "\n\nfault.seed=7\n\nfault.plan=recv:again@1"), VIA_OK);
	cr_expect_eq(try_config(&r, "fault.seed=9223372036854775807\n"), VIA_OK);
	rig_close(&r);
}

Test(fault_plan, bad_plans_are_named_by_position)
{
	static const struct {
		const char *plan;
		uint32_t position; /* from 1 */
	} bad[] = {
		{"jump", 1},
		{"recv", 5},
		{"recv:", 6},
		{"recv:jump@1", 6},
		{"recv@1", 5},
		{"recv:again", 11},
		{"recv:again@", 12},
		{"recv:again@0", 12},
		{"recv:again@-1", 12},
		{"recv:again@2147483648", 12},
		{"recv:again%0", 12},
		{"recv:again%101", 12},
		{"recv:again@1,", 14},
		{"recv:again@1;", 13},
		{"recv:again@1 ", 13},
		{" recv:again@1", 1},
		{"recv:again@1,,recv:again@2", 14},
		{"recv:again=3@1", 11},
		{"recv:short@1", 11},
		{"recv:short=@1", 12},
		{"recv:short=0@1", 12},
		{"recv:delay@1", 11},
		{"recv:error@1", 11},
		{"recv:error=OK@1", 12},
		{"recv:error=AGAIN@1", 12},
		{"recv:error=reset@1", 12},
		{"recv:error=RESETS@1", 12},
		{"recv:spurious@1", 1},
		{"arm:again@1", 1},
		{"again@1", 1},
		{"peer:short=1@1", 1},
		{"error=RESET@1", 1},
		{"close@1,release:again@1", 9},
	};
	rig r;
	uint32_t i;

	open_listening(&r);
	for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		char want[32];

		snprintf(want, sizeof want, "position %u:", bad[i].position);
		cr_expect_eq(try_plan(&r, bad[i].plan), VIA_INVAL, "%s", bad[i].plan);
		cr_expect_not_null(strstr(rig_detail(), want), "%s: %s", bad[i].plan, rig_detail());
	}
	rig_close(&r);
}

Test(fault_plan, bad_configuration)
{
	static const char *const bad[] = {
		"fault.seed=\n",
		"fault.seed=x\n",
		"fault.seed=1x\n",
		"fault.seed=-1\n",
		"fault.seed\n",
		"fault.colour=blue\n",
		"seed=1\n",
		"fault.seed=10000000000000000000\n",
		"fault.planet=close@1\n",
	};
	rig r;
	uint32_t i;

	open_listening(&r);
	for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		rig_detail_clear();
		cr_expect_eq(try_config(&r, bad[i]), VIA_INVAL, "%s", bad[i]);
		cr_expect_str_not_empty(rig_detail());
	}
	rig_close(&r);
}

Test(fault_plan, at_most_32_items)
{
	char plan[512] = "close@1";
	rig r;
	int i;

	open_listening(&r);
	for (i = 1; i < 32; i++)
		strcat(plan, ",close@1");
	cr_expect_eq(try_plan(&r, plan), VIA_OK);
	strcat(plan, ",close@1");
	cr_expect_eq(try_plan(&r, plan), VIA_INVAL);
	cr_expect_not_null(strstr(rig_detail(), "32"));
	rig_close(&r);
}
