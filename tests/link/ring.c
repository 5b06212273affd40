/* tests/link/ring.c - records in the rings: sizes, wrap-around, slots, views, room. */
#include "ring_rig.h"
#include <stdlib.h>

TestSuite(link_ring, .timeout = 60);

static uint8_t *buffer(uint32_t len)
{
	uint8_t *p = malloc(len);

	cr_assert_not_null(p);
	return p;
}

/* Every size goes over the end of the memory sooner or later. */
Test(link_ring, every_size_both_ways)
{
	enum { MAX = 5000 };
	uint8_t *data = buffer(MAX);
	pair p;
	uint32_t i;

	pair_open(&p, MAX, MAX);
	for (i = 1; i <= MAX; i++) {
		rig_fill(data, i, i);
		cr_assert_eq(rig_send_once(p.a, data, i), VIA_OK, "%u bytes", i);
		rig_expect_record(p.b, i, i);
		cr_assert_eq(rig_send_once(p.b, data, i), VIA_OK, "%u bytes", i);
		rig_expect_record(p.a, i, i);
	}
	cr_expect_eq(rig_send_once(p.a, data, MAX + 1), VIA_TOOBIG);
	free(data);
	pair_close(&p);
}

/* The consumer tells of all the room there is. */
static void tell_room(via_link *l)
{
	via_waitobj o = {.struct_size = sizeof o};

	cr_assert_eq(l->ops->arm(l, VIA_EV_RX, &o), VIA_OK);
	l->ops->disarm(l, VIA_EV_RX);
}

/* Two of the longest records fit, at every position. */
Test(link_ring, the_longest_records)
{
	enum { MAX = 1000000 };
	uint8_t *data = buffer(MAX);
	pair p;
	uint32_t i;

	pair_open(&p, MAX, 100);
	cr_expect_eq(p.a->limits->max_record, MAX);
	cr_expect_eq(p.b->limits->max_record, VIA_EXPECT_INITIAL);
	for (i = 0; i < 40; i++) {
		rig_fill(data, MAX, i);
		cr_assert_eq(rig_send_once(p.a, data, MAX), VIA_OK);
		cr_assert_eq(rig_send_once(p.a, data, MAX), VIA_OK);
		cr_assert_eq(rig_send_once(p.a, data, MAX), VIA_AGAIN);
		rig_expect_record(p.b, MAX, i);
		rig_expect_record(p.b, MAX, i);
		rig_fill(data, 70000 + i * 64, i); /* moves on by something odd */
		cr_assert_eq(rig_send_once(p.a, data, 70000 + i * 64), VIA_OK);
		rig_expect_record(p.b, 70000 + i * 64, i);
		tell_room(p.b);
	}
	free(data);
	pair_close(&p);
}

/* -- a model: random steps, compared with a queue ---------------------------------------------- */

enum { MODEL_MAX = 6000, MODEL_STEPS = 60000, BATCH = 8 };

struct model {
	pair p;
	uint64_t seed;
	uint32_t sent, got; /* records */
	uint32_t len[1024]; /* of record n, at n % 1024 */
	via_view view[16];  /* out */
	uint32_t number[16], n_out;
	uint8_t data[BATCH][MODEL_MAX];
};

static uint32_t pick(struct model *m, uint32_t below)
{
	m->seed = m->seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(m->seed >> 33) % below;
}

static uint32_t pick_len(struct model *m)
{
	return 1 + pick(m, pick(m, 4) == 0 ? MODEL_MAX : 200);
}

static void model_send(struct model *m)
{
	uint32_t n = 1 + pick(m, BATCH), i;
	via_iov iov[BATCH][2];
	via_msg msg[BATCH];
	via_rc rc;

	for (i = 0; i < n; i++) {
		uint32_t len = pick_len(m);
		uint32_t cut = pick(m, len + 1);

		rig_fill(m->data[i], len, m->sent + i);
		iov[i][0] = (via_iov){m->data[i], cut};
		iov[i][1] = (via_iov){m->data[i] + cut, len - cut};
		msg[i] = (via_msg){.iov = iov[i], .n_iov = 2};
		m->len[(m->sent + i) % 1024] = len;
	}
	rc = m->p.a->ops->send(m->p.a, msg, n);
	cr_assert(rc == VIA_AGAIN || (rc > 0 && rc <= (via_rc)n), "%d", rc);
	m->sent += rc > 0 ? (uint32_t)rc : 0;
}

/* What is not committed must not be seen, whatever was written there. */
static void model_slot(struct model *m)
{
	uint32_t room = pick_len(m);
	uint32_t len = 1 + pick(m, room);
	via_slot s;
	via_rc rc = m->p.a->ops->reserve(m->p.a, room, &s);

	cr_assert(rc == VIA_AGAIN || rc == VIA_OK);
	if (rc != VIA_OK)
		return;
	memset(s.data, 0x11, room);
	rig_fill(s.data, len, m->sent);
	s.len = pick(m, 3) == 0 ? VIA_SKIP : len;
	m->len[m->sent % 1024] = len;
	cr_assert_eq(m->p.a->ops->commit(m->p.a, &s, 1), 1);
	m->sent += s.len != VIA_SKIP;
}

static void model_recv(struct model *m)
{
	uint32_t i;
	via_rc rc = m->p.b->ops->recv(m->p.b, m->view + m->n_out, 1 + pick(m, 3));

	if (m->n_out >= 13 && rc != VIA_LIMIT && rc != VIA_AGAIN)
		cr_assert_leq(m->n_out + (uint32_t)rc, 16);
	if (m->n_out == 16) {
		cr_assert_eq(rc, VIA_LIMIT);
		return;
	}
	if (m->got == m->sent) {
		cr_assert_eq(rc, VIA_AGAIN);
		return;
	}
	cr_assert_gt(rc, 0, "%d with %u views out: %s", rc, m->n_out, rig_detail());
	for (i = 0; i < (uint32_t)rc; i++, m->got++)
		m->number[m->n_out++] = m->got;
	cr_assert_leq(m->got, m->sent);
}

static void model_release(struct model *m)
{
	uint32_t at;

	if (m->n_out == 0)
		return;
	at = pick(m, m->n_out);
	rig_check_fill(&m->view[at], m->len[m->number[at] % 1024], m->number[at]);
	m->p.b->ops->release(m->p.b, &m->view[at], 1);
	m->n_out--;
	m->view[at] = m->view[m->n_out];
	m->number[at] = m->number[m->n_out];
}

Test(link_ring, random_steps)
{
	struct model *m = calloc(1, sizeof *m);
	uint32_t i;

	cr_assert_not_null(m);
	pair_open(&m->p, MODEL_MAX, 100);
	m->seed = 20;
	for (i = 0; i < MODEL_STEPS; i++) {
		switch (pick(m, 8)) {
		case 0:
			model_send(m);
			break;
		case 1:
			model_slot(m);
			break;
		case 2:
		case 3:
		case 4:
			if (m->n_out <= 13 || m->n_out == 16)
				model_recv(m);
			break;
		default:
			model_release(m);
			break;
		}
	}
	cr_expect_gt(m->sent, MODEL_STEPS / 4);
	while (m->n_out != 0)
		model_release(m);
	pair_close(&m->p);
	free(m);
}

/* -- slots ------------------------------------------------------------------------------------- */

/* The words behind a record that is shorter than its room look like records. */
Test(link_ring, what_lies_behind_a_record_is_not_read)
{
	pair p;
	via_slot s;
	via_view v;
	uint32_t i, k;

	pair_open(&p, 8000, 8000);
	for (i = 0; i < 100; i++) {
		uint64_t *words;

		cr_assert_eq(p.a->ops->reserve(p.a, 6000, &s), VIA_OK);
		words = s.data;
		for (k = 0; k < 6000 / 8; k++)
			words[k] = 40; /* each of them would do as a commit word */
		s.len = i % 3 == 0 ? VIA_SKIP : 1 + i % 200;
		cr_assert_eq(p.a->ops->commit(p.a, &s, 1), 1);
		if (s.len != VIA_SKIP) {
			cr_assert_eq(p.b->ops->recv(p.b, &v, 1), 1);
			cr_assert_eq(v.len, s.len);
			p.b->ops->release(p.b, &v, 1);
		}
		cr_assert_eq(p.b->ops->recv(p.b, &v, 1), VIA_AGAIN, "round %u", i);
		for (k = 0; k < 5; k++) { /* nor is it when lines are cleared ahead */
			cr_assert_eq(rig_send_once(p.a, "\x1f", 1), VIA_OK);
			rig_expect_record(p.b, 1, 1);
			cr_assert_eq(p.b->ops->recv(p.b, &v, 1), VIA_AGAIN);
		}
	}
	pair_close(&p);
}

Test(link_ring, records_carry_no_handles)
{
	pair p;
	via_handle h = {.kind = VIA_H_FD};
	via_iov iov = {"x", 1};
	via_msg m = {.iov = &iov, .n_iov = 1, .n_handles = 1, .handles = &h};
	via_view v;

	pair_open(&p, 100, 100);
	cr_expect_eq(p.a->ops->send(p.a, &m, 1), VIA_NOTSUP);
	cr_expect_eq(p.b->ops->recv(p.b, &v, 1), VIA_AGAIN);
	pair_close(&p);
}

/* -- views and room ---------------------------------------------------------------------------- */

Test(link_ring, views_are_the_peers_memory)
{
	pair p;
	via_view v;

	pair_open(&p, 100, 100);
	pair_map(&p);
	cr_assert_eq(rig_send_once(p.a, "abc", 3), VIA_OK);
	cr_assert_eq(p.b->ops->recv(p.b, &v, 1), 1);
	cr_expect_eq(v.flags, VIA_VIEW_SHARED);
	p.shared[AT_DATA + 8] = 'A';
	cr_expect_arr_eq(v.data, "Abc", 3);
	p.b->ops->release(p.b, &v, 1);
	p.b->ops->release(p.b, &v, 1); /* twice, or one that never was: nothing happens */
	v.cookie = 77;
	p.b->ops->release(p.b, &v, 1);
	cr_assert_eq(rig_send_once(p.a, "\x1f", 1), VIA_OK);
	rig_expect_record(p.b, 1, 1);
	pair_close(&p);
}

/* The consumer tells what it has given back now and then, and before it sleeps. */
Test(link_ring, the_head_is_lazy)
{
	pair p;
	via_waitobj o = {.struct_size = sizeof o};
	uint32_t i;

	pair_open(&p, 100, 100);
	pair_map(&p);
	for (i = 1; i <= 63; i++) {
		cr_assert_eq(rig_send_once(p.a, "\x1f", 1), VIA_OK);
		rig_expect_record(p.b, 1, 1);
		cr_assert_eq(atomic_load(pair_u64(&p, AT_REQUEST + AT_HEAD)), 0, "record %u", i);
	}
	cr_assert_eq(rig_send_once(p.a, "\x1f", 1), VIA_OK);
	rig_expect_record(p.b, 1, 1);
	cr_expect_eq(atomic_load(pair_u64(&p, AT_REQUEST + AT_HEAD)), 4096, "an eighth of 32768");
	cr_assert_eq(rig_send_once(p.a, "\x1f", 1), VIA_OK);
	rig_expect_record(p.b, 1, 1);
	cr_assert_eq(p.b->ops->arm(p.b, VIA_EV_RX, &o), VIA_OK);
	cr_expect_eq(atomic_load(pair_u64(&p, AT_REQUEST + AT_HEAD)), 4160);
	p.b->ops->disarm(p.b, VIA_EV_RX);
	pair_close(&p);
}

/* 511 lines of 512: one stays free for the word behind the last record. */
Test(link_ring, a_full_ring)
{
	pair p;
	via_slot s;
	uint32_t round, i;
	via_iov iov = {"\x1f", 1};
	via_msg m[8];

	for (i = 0; i < 8; i++)
		m[i] = (via_msg){.iov = &iov, .n_iov = 1};
	pair_open(&p, 100, 100);
	for (round = 0; round < 20; round++) {
		for (i = 0; i < 63; i++)
			cr_assert_eq(p.a->ops->send(p.a, m, 8), 8);
		cr_assert_eq(p.a->ops->send(p.a, m, 8), 7, "the part of a batch that fits");
		cr_expect_eq(p.a->ops->send(p.a, m, 8), VIA_AGAIN);
		cr_expect_eq(p.a->ops->reserve(p.a, 1, &s), VIA_AGAIN);
		for (i = 0; i < 511; i++)
			rig_expect_record(p.b, 1, 1);
		cr_expect_eq(p.b->ops->recv(p.b, &(via_view){0}, 1), VIA_AGAIN);
		for (i = 0; i < round; i++) { /* so that each round begins elsewhere */
			cr_assert_eq(rig_put(p.a, "\x1f", 1), VIA_OK);
			rig_expect_record(p.b, 1, 1);
		}
		tell_room(p.b);
	}
	pair_close(&p);
}

/* While nobody sleeps nobody calls the system. */
Test(link_ring, no_system_call_while_awake)
{
	pair p;
	uint32_t before, i;
	via_slot s;

	pair_open(&p, 1000, 1000);
	before = atomic_load(&p.r.host.calls);
	for (i = 0; i < 10000; i++) {
		cr_assert_eq(rig_send_once(p.a, "\x1f", 1), VIA_OK);
		rig_expect_record(p.b, 1, 1);
		cr_assert_eq(p.b->ops->reserve(p.b, 900, &s), VIA_OK);
		rig_fill(s.data, 900, i);
		cr_assert_eq(p.b->ops->commit(p.b, &s, 1), 1);
		rig_expect_record(p.a, 900, i);
	}
	cr_expect_eq(atomic_load(&p.r.host.calls), before);
	pair_close(&p);
}

Test(link_ring, facts)
{
	pair p;
	via_peer peer = {.struct_size = sizeof peer};

	pair_open(&p, 1000, 2000);
	cr_expect_eq(p.a->limits->max_record, 1000);
	cr_expect_eq(p.b->limits->max_record, 2000);
	cr_expect_eq(p.a->caps & ~p.ring.t->caps, 0);
	cr_expect_eq(p.a->ops->peer(p.a, &peer), VIA_OK);
	cr_expect_eq(peer.pid, rig_process_id());
	cr_expect_null(p.a->ops->get_ext(p.a, "org.example.unknown/1"));
	cr_expect_eq(*p.b->rx_word, p.b->rx_seen);
	cr_assert_eq(rig_send_once(p.a, "\x1f", 1), VIA_OK);
	cr_expect_neq(*p.b->rx_word, p.b->rx_seen);
	rig_expect_record(p.b, 1, 1);
	cr_expect_eq(*p.b->rx_word, p.b->rx_seen);
	pair_close(&p);
}
