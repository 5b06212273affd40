/* tests/server/test_plural.c - services that answer many items of a batch in one call (service.h, call_many). */
#include "rig.h"
#include <string.h>
#include <viaduct/codecs/increment.h>

TestSuite(plural, .timeout = 60);

enum { ITEMS = 150, METHOD = VIA_INCREMENT_METHOD };

static rig r;

/* What the service does, and what it was asked. */
struct plural {
	unsigned fail_at; /* the nth call_many fails; 0: none */
	via_rc failure;
	unsigned n_many, n_single, n_items;
};

static via_rc VIA_CALL one(void *self, void *session, via_call *call)
{
	struct plural *p = self;
	uint64_t value;
	via_rc rc = via_increment_decode(call->request, call->request_len, &value, NULL);

	(void)session;
	p->n_single++;
	if (rc != VIA_OK)
		return rc;
	return via_increment_encode(call->response, call->response_cap, value + 1,
				    &call->response_len);
}

static via_rc VIA_CALL many(void *self, void *session, via_calls *calls)
{
	struct plural *p = self;
	uint8_t *out = calls->response;
	uint32_t i;

	(void)session;
	if (++p->n_many == p->fail_at)
		return p->failure;
	for (i = 0; i < calls->n; i++) {
		uint64_t value, used;

		if (via_increment_decode(calls->requests[i].base, calls->requests[i].len, &value,
					 NULL) != VIA_OK)
			return VIA_STATE; /* the core has checked that */
		if (via_increment_encode(out + 8 * (size_t)i, calls->response_cap - 8 * (size_t)i,
					 value + 1, &used) != VIA_OK)
			return VIA_TOOBIG;
		calls->lengths[i] = (uint32_t)used;
		p->n_items++;
	}
	return VIA_OK;
}

static const char *const codecs[] = {"increment", NULL};

/* Serves with p, sends one batch whose item `bad` (if < ITEMS) is a byte short; status and answer. */
static via_rc ask(const char *stack, struct plural *p, uint32_t flags, uint32_t bad,
		  uint16_t *status, int *is_right)
{
	const via_service service = {.struct_size = sizeof service,
				     .flags = flags,
				     .name = "svc",
				     .codecs = codecs,
				     .call = one,
				     .call_many = many};
	via_session_config c = {.struct_size = sizeof c,
				.max_request_payload = 4096,
				.max_request_batch = ITEMS,
				.max_response_payload = 4096};
	static uint8_t payload[4096];
	via_endpoint ep;
	via_wire_batch b;
	via_client *k;
	via_reply a = {0};
	via_rc rc;
	uint32_t i;

	rig_open(&r, stack);
	ep = rig_endpoint(&r, "svc");
	cr_assert_eq(via_server_add_service(r.srv, &ep, &c, &service, p), VIA_OK);
	rig_start(&r);
	k = rig_client(&r, "svc", &c);
	cr_assert_eq(via_client_refresh(k, via_deadline(RIG_SOON)), VIA_OK, "%s", via_error());
	cr_assert_eq(via_wire_batch_begin(&b, payload, sizeof payload, ITEMS), VIA_OK);
	for (i = 0; i < ITEMS; i++) {
		uint64_t value = 1000 + i;

		cr_assert_eq(via_wire_batch_add(&b, &value, i == bad ? 7 : 8), VIA_OK);
	}
	rc = via_client_call(k,
			     &(via_request){.method = METHOD,
					    .flags = VIA_WIRE_FLAG_BATCH,
					    .item_count = ITEMS,
					    .payload = payload,
					    .payload_len = (uint32_t)via_wire_batch_finish(&b)},
			     via_deadline(RIG_SOON), &a);
	*status = a.status;
	*is_right = rc == VIA_OK;
	for (i = 0; rc == VIA_OK && i < ITEMS; i++) {
		const void *item;
		uint32_t len;
		uint64_t value = 0;

		cr_assert_eq(via_wire_batch_item(a.payload, a.payload_len, ITEMS, i, &item, &len,
						 NULL),
			     VIA_OK);
		cr_assert_eq(via_increment_decode(item, len, &value, NULL), VIA_OK);
		*is_right &= value == 1001 + i;
	}
	via_client_close(k);
	rig_close(&r);
	return rc;
}

STACK_TEST(plural, a_batch_is_answered_in_groups)
{
	struct plural p = {0};
	uint16_t status;
	int is_right;

	cr_assert_eq(ask(stack, &p, VIA_SVC_CONCURRENT, ITEMS, &status, &is_right), VIA_OK);
	cr_expect(is_right);
	cr_expect_eq(p.n_items, ITEMS);
	cr_expect_eq(p.n_single, 0);
	cr_expect_lt(p.n_many, ITEMS / 8, "%u calls", p.n_many);
}

STACK_TEST(plural, calls_that_may_come_later_come_one_by_one)
{
	struct plural p = {0};
	uint16_t status;
	int is_right;

	cr_assert_eq(ask(stack, &p, VIA_SVC_ASYNC, ITEMS, &status, &is_right), VIA_OK);
	cr_expect(is_right);
	cr_expect_eq(p.n_single, ITEMS);
	cr_expect_eq(p.n_many, 0);
}

STACK_TEST(plural, a_failure_is_the_answer_to_the_whole_batch)
{
	static const struct {
		via_rc failure;
		uint16_t status;
	} t[] = {{VIA_TOOBIG, VIA_STATUS_LIMIT_EXCEEDED}, {VIA_IO, VIA_STATUS_INTERNAL_ERROR}};
	uint32_t i;

	for (i = 0; i < 2; i++) {
		struct plural p = {.fail_at = 2, .failure = t[i].failure};
		uint16_t status;
		int is_right;

		cr_assert_eq(ask(stack, &p, 0, ITEMS, &status, &is_right), VIA_REFUSED);
		cr_expect_eq(status, t[i].status);
		cr_expect_eq(p.n_many, 2, "nothing is asked behind a failure");
	}
}

STACK_TEST(plural, an_item_that_is_no_request_does_not_reach_the_service)
{
	struct plural p = {0};
	uint16_t status;
	int is_right;

	cr_assert_eq(ask(stack, &p, 0, 100, &status, &is_right), VIA_REFUSED);
	cr_expect_eq(status, VIA_STATUS_BAD_ENVELOPE);
	cr_expect_lt(p.n_items, 100, "%u items were answered", p.n_items);
}
