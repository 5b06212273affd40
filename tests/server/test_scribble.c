/* tests/server/test_scribble.c - peers that are correct until the session is up and then write what they like where
 * they like in the shared memory, ring or do not ring, and send garbage on the baseline.
 *
 * VIADUCT_SCRIBBLE_MS: how long each test does that. */
#include "core/session/session.h"
#include "procs.h"

TestSuite(scribble, .timeout = 300);

enum { SCRIBBLE_MS = 1500, REGIONS = 16, WRITES = 40 };
#define AT_MOST (5000 * RIG_MS) /* of a call to a peer that may say anything */

static rig r;
static rig_svc svc;

static void skip_if_watched(void)
{
#if defined(__SANITIZE_THREAD__)
	cr_skip_test("the thread sanitizer does not follow a fork from many threads");
#endif
}

/* -- the hostile side -------------------------------------------------------------------------- */

struct vandal {
	uint64_t seed;
	via_session *s;
	struct proc_region region[REGIONS];
	int n;
};

static uint32_t any(struct vandal *v)
{
	return proc_random(&v->seed);
}

/* Half of it among the control words, and there small numbers as often as not. */
static void write_anywhere(struct vandal *v)
{
	const struct proc_region *g = &v->region[any(v) % (uint32_t)v->n];
	uint32_t last = (uint32_t)g->len - 8;
	uint32_t at = any(v) % 2 != 0 ? any(v) % 1024 : any(v) % last;
	uint64_t value = any(v) % 2 != 0 ? any(v) % 4 : (uint64_t)any(v) << 32 | any(v);
	volatile uint8_t *to = g->at + (at < last ? at : last);
	uint32_t i, len = 1u << any(v) % 4;

	if (any(v) % 2 != 0)
		to = g->at + (at < last ? at : last) / 64 * 64;
	for (i = 0; i < len; i++)
		to[i] = (uint8_t)(value >> (8 * i));
}

/* Zeros where there was something: what truncating would do, were it not sealed. */
static void punch(struct vandal *v)
{
	const struct proc_region *g = &v->region[any(v) % (uint32_t)v->n];

	proc_punch(g, any(v) % 8 == 0);
}

static void send_garbage(struct vandal *v, via_link *l)
{
	uint8_t bytes[40];
	via_iov iov = {bytes, any(v) % 2 != 0 ? 1 : any(v) % sizeof bytes + 1};
	via_msg m = {.iov = &iov, .n_iov = 1};
	size_t i;

	for (i = 0; i < sizeof bytes; i++)
		bytes[i] = any(v) % 4 == 0 ? (uint8_t)any(v) : 0x42;
	(void)l->ops->send(l, &m, 1);
}

/* A message that is in order, as far as the memory still is. */
static void say_something(struct vandal *v)
{
	uint8_t bytes[VIA_INCREMENT_SIZE];
	uint64_t used;
	via_message m = {.kind = v->s->is_server != 0 ? VIA_WIRE_RESPONSE : VIA_WIRE_REQUEST,
			 .code = NUMBER,
			 .item_count = 1,
			 .id = any(v) % 100,
			 .payload = bytes,
			 .payload_len = sizeof bytes};

	via_increment_encode(bytes, sizeof bytes, any(v), &used);
	(void)via_session_send(v->s, &m);
}

static void hear_something(struct vandal *v)
{
	via_message m;

	if (via_session_recv(v->s, &m) != VIA_OK)
		return;
	m.kind = VIA_WIRE_RESPONSE;
	via_session_release(v->s, &m);
	m.payload_len = 0;
	if (v->s->is_server != 0 && any(v) % 8 != 0)
		(void)via_session_send(v->s, &m);
}

/* One session: in order for a while, then not. */
static void vandalize(const rig *c, struct vandal *v)
{
	uint32_t manners = any(v) % 20, steps = any(v) % 60, i;

	v->n = proc_regions(c, v->s, v->region, REGIONS);
	for (i = 0; i < manners; i++) {
		say_something(v);
		hear_something(v);
	}
	for (i = 0; i < steps; i++) {
		uint32_t k;

		for (k = any(v) % WRITES; v->n != 0 && k > 0; k--)
			write_anywhere(v);
		switch (any(v) % 8) {
		case 0:
			if (v->n != 0)
				punch(v);
			break;
		case 1:
			if (any(v) % 4 == 0)
				send_garbage(v, v->s->base);
			break;
		case 2:
			send_garbage(v, v->s->data);
			break;
		case 3:
			hear_something(v);
			break;
		case 4:
			proc_let_pass(any(v) % 200000);
			break;
		default:
			say_something(v);
		}
	}
	proc_regions_done(v->region, v->n);
	via_session_close(v->s);
}

static int hostile_client(rig *c, const void *arg)
{
	via_endpoint ep = rig_endpoint(c, "svc");
	struct vandal v = {.seed = *(const uint64_t *)arg};
	uint64_t end = via_deadline(proc_setting("VIADUCT_SCRIBBLE_MS", SCRIBBLE_MS) * RIG_MS);

	while (via_now() < end) {
		if (via_session_connect(c->reg, &ep, NULL, via_deadline(RIG_SOON), &v.s) != VIA_OK)
			return 1;
		if (v.s->data == v.s->base)
			return 3;
		vandalize(c, &v);
	}
	return via_registry_close(c->reg) == VIA_OK ? 0 : 2;
}

static int hostile_server(rig *c, const void *arg)
{
	via_endpoint ep = rig_endpoint(c, "svc");
	struct vandal v = {.seed = *(const uint64_t *)arg};
	uint64_t end = via_deadline(proc_setting("VIADUCT_SCRIBBLE_MS", SCRIBBLE_MS) * RIG_MS);
	via_acceptor *a;

	if (via_acceptor_open(c->reg, &ep, NULL, &a) != VIA_OK)
		return 1;
	while (via_now() < end)
		if (via_acceptor_accept(a, end, &v.s) == VIA_OK)
			vandalize(c, &v);
	via_acceptor_close(a);
	return via_registry_close(c->reg) == VIA_OK ? 0 : 2;
}

/* -- against a managed server ------------------------------------------------------------------ */

static uint64_t chain;
static atomic_int done_;

/* Each number is the answer to the one before. */
static void count_up(void *arg)
{
	via_client *k = rig_client(&r, "svc", NULL);
	via_rc *rc = arg;

	for (chain = 0, *rc = VIA_OK; *rc == VIA_OK && atomic_load(&done_) == 0; chain++)
		*rc = rig_client_call(k, chain);
	via_client_close(k);
}

static void check_server(const char *spec, uint32_t flags, uint64_t seed)
{
	uint64_t seeds[2] = {seed, seed + 1};
	os_thread *good;
	proc p[2];
	via_rc rc;
	int i, status, before, mapped;

	skip_if_watched();
	rig_open(&r, spec);
	rig_svc_open(&svc, &r, flags, rig_answer);
	rig_add(&r, &svc, "svc", NULL);
	rig_start(&r);
	proc_warm_up(&r);
	before = rig_descriptors();
	mapped = proc_mappings();
	for (i = 0; i < 2; i++)
		proc_start_rig(&p[i], &r, hostile_client, &seeds[i], sizeof seeds[i]);
	atomic_store(&done_, 0);
	good = rig_thread(count_up, &rc);
	for (i = 0; i < 2; i++) {
		while (!proc_has_ended(&p[i])) /* new clients are served, too */
			rig_good(&r, "svc");
		status = proc_wait_soon(&p[i]);
		cr_expect_eq(status, 0, "the hostile client ended with %x", (unsigned)status);
	}
	atomic_store(&done_, 1);
	rig_join(good);
	cr_expect_eq(rc, VIA_OK, "the good client after %llu calls: %s", (unsigned long long)chain,
		     via_rc_name(rc));
	cr_expect_gt(chain, 100);
	rig_until(rig_stats(&r).n_sessions == 0);
	rig_until(rig_descriptors() == before);
	cr_expect_eq(proc_mappings(), mapped);
	cr_expect_eq(proc_session_files(&r), 0);
	rig_close(&r);
	rig_svc_close(&svc);
}

SHARED_TEST(scribble, clients)
{
	check_server(spec, 0, 11);
}

SHARED_TEST(scribble, clients_of_a_service_on_the_pool)
{
	check_server(spec, VIA_SVC_BLOCKING, 22);
}

/* -- against clients --------------------------------------------------------------------------- */

struct honest {
	uint64_t n;
	atomic_int *stop;
};

/* Whatever comes back, every call ends, and not long after its deadline. */
static void call_whoever_is_there(void *arg)
{
	struct honest *h = arg;
	uint8_t bytes[VIA_INCREMENT_SIZE];
	via_request q = {.method = NUMBER, .payload = bytes, .payload_len = sizeof bytes};
	via_client *k = rig_client(&r, "svc", NULL);
	uint64_t used;

	via_increment_encode(bytes, sizeof bytes, 1, &used);
	for (h->n = 0; atomic_load(h->stop) == 0; h->n++) {
		via_time t0 = via_now();
		via_reply a;

		if (via_client_refresh(k, via_deadline(20 * RIG_MS)) == VIA_OK)
			(void)via_client_call(k, &q, via_deadline(20 * RIG_MS), &a);
		cr_expect_lt(via_now() - t0, AT_MOST);
	}
	via_client_close(k);
}

SHARED_TEST(scribble, servers)
{
	uint64_t seed = 33;
	atomic_int stop = 0;
	struct honest h[3];
	os_thread *t[3];
	int i, status, mapped;
	proc p;

	skip_if_watched();
	rig_prepare(&r, spec);
	cr_assert_eq(rig_open_registry(&r), VIA_OK, "%s", via_error());
	mapped = proc_mappings();
	proc_start_rig(&p, &r, hostile_server, &seed, sizeof seed);
	for (i = 0; i < 3; i++) {
		h[i].stop = &stop;
		t[i] = rig_thread(call_whoever_is_there, &h[i]);
	}
	status = proc_wait_soon(&p);
	cr_expect_eq(status, 0, "the hostile server ended with %x", (unsigned)status);
	atomic_store(&stop, 1);
	for (i = 0; i < 3; i++) {
		rig_join(t[i]);
		cr_expect_gt(h[i].n, 10);
	}
	cr_expect_eq(proc_mappings(), mapped);
	rig_close(&r);
}
