/* tools/viaduct/bench_pipe.c - `viaduct bench`: scenarios with several messages under way, one item
 * or many in each.
 *
 * A message has a place of its own while it is under way. Its items are consecutive numbers, and each
 * must come back as the next one.
 */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

#define AT_ONCE 64u /* items of an answer that are looked up together */

/* What is done for each message is measured too, so there is no division in it. */
_Static_assert((BENCH_MAX_DEPTH & (BENCH_MAX_DEPTH - 1)) == 0, "places are found by a mask");
_Static_assert((BENCH_SAMPLE & (BENCH_SAMPLE - 1)) == 0,
	       "the messages to time are found by a mask");

typedef struct place {
	uint64_t id, first; /* id 0: free */
	uint32_t n;
	int is_timed;
	via_time start;
	uint8_t *payload; /* when the link has no memory to lend */
} place;

struct pipe {
	uint32_t depth, n_under_way, room; /* room: bytes of a payload */
	int is_pending;                    /* the last message went out in part */
	int is_full;                       /* the link took no more */
	int is_ending;                     /* nothing more is sent in this phase */
	uint64_t next_id, next_value;
	uint8_t *payloads;
	place places[BENCH_MAX_DEPTH];
	uint64_t numbers[BENCH_MAX_ITEMS]; /* of the batch that is encoded */
};

static place *place_of(struct pipe *p, uint64_t id)
{
	return &p->places[id % BENCH_MAX_DEPTH];
}

static int is_timed(const bench_run *b, uint64_t id)
{
	return (id & (b->phase.stride - 1)) == 0; /* stride: 1 or BENCH_SAMPLE */
}

/* -- life ------------------------------------------------------------------------------------ */

int bench_pipe_open(bench_run *b)
{
	const bench_row *row = b->row;
	struct pipe *p = calloc(1, sizeof *p);
	uint32_t i;

	b->pipe = p;
	if (p == NULL)
		return bench_fail(b, "no memory for the messages under way");
	p->depth = row->scenario->has_depth ? row->depth : 1;
	p->room = row->scenario->has_batches ? 16 * row->max_items : VIA_INCREMENT_SIZE;
	p->next_id = 1;
	p->payloads = malloc((size_t)BENCH_MAX_DEPTH * p->room);
	if (p->payloads == NULL)
		return bench_fail(b, "no memory for the payloads of messages under way");
	for (i = 0; i < BENCH_MAX_DEPTH; i++)
		p->places[i].payload = p->payloads + (size_t)i * p->room;
	return 1;
}

void bench_pipe_close(bench_run *b)
{
	if (b->pipe != NULL)
		free(b->pipe->payloads);
	free(b->pipe);
}

/* -- sending --------------------------------------------------------------------------------- */

/* Numbers first, first + 1, ... as a payload. Its length. */
static uint32_t encode(struct pipe *p, uint8_t *dst, uint32_t room, const place *at)
{
	via_wire_batch batch;
	uint32_t i;

	if (at->n == 1) { /* docs/wire.md section 3: one item is sent plain */
		via_bytes_put_u64(dst, at->first);
		return VIA_INCREMENT_SIZE;
	}
	for (i = 0; i < at->n; i++)
		p->numbers[i] = at->first + i;
	(void)via_wire_batch_begin(&batch, dst, room, at->n); /* 16 bytes an item are enough */
	(void)via_wire_batch_add_equal(&batch, p->numbers, VIA_INCREMENT_SIZE, at->n);
	return (uint32_t)via_wire_batch_finish(&batch);
}

static uint32_t count_items(bench_run *b)
{
	const bench_row *row = b->row;

	if (!row->scenario->has_batches)
		return 1;
	if (row->min_items == row->max_items)
		return row->max_items;
	return row->min_items +
	       (uint32_t)(bench_random(&b->random) % (row->max_items - row->min_items + 1));
}

/* Into the link's own memory if it lends any, else from the place's. */
static via_rc send_message(bench_run *b, via_message *m, place *at)
{
	uint32_t room = at->n == 1 ? VIA_INCREMENT_SIZE : 16 * at->n;
	void *dst;
	via_rc rc = via_session_reserve(b->session, room, &dst);

	if (rc == VIA_OK) {
		m->payload_len = encode(b->pipe, dst, room, at);
		rc = via_session_commit(b->session, m);
		if (rc == VIA_AGAIN)
			via_session_cancel(b->session);
		return rc;
	}
	if (rc != VIA_NOTSUP)
		return rc;
	m->payload_len = encode(b->pipe, at->payload, room, at);
	m->payload = at->payload;
	return via_session_send(b->session, m);
}

/* Sends the next message. 1; 0: the link is full; -1: failed. */
static int send_next(bench_run *b, via_time start)
{
	struct pipe *p = b->pipe;
	place *at = place_of(p, p->next_id);
	via_message m = {.kind = VIA_WIRE_REQUEST, .code = BENCH_METHOD, .id = p->next_id};
	uint64_t random = b->random;
	via_rc rc;

	at->n = m.item_count = count_items(b);
	at->first = p->next_value;
	at->is_timed = is_timed(b, p->next_id);
	if (at->is_timed)
		at->start = start != 0 ? start : via_now();
	m.flags = at->n > 1 ? VIA_WIRE_FLAG_BATCH : 0;
	rc = send_message(b, &m, at);
	if (rc == VIA_AGAIN) {
		b->random = random; /* the same sizes, however full the link is */
		return 0;
	}
	if (rc != VIA_OK && rc != VIA_PENDING) {
		(void)bench_fail_rc(b, rc, "sending a request");
		return -1;
	}
	p->is_pending = rc == VIA_PENDING;
	at->id = p->next_id++;
	p->next_value += at->n;
	p->n_under_way++;
	return 1;
}

/* Messages of one item, as many as may be under way. How many were sent; -1: failed. */
static int send_singles(bench_run *b)
{
	struct pipe *p = b->pipe;
	via_message m[AT_ONCE];
	uint32_t n;
	via_rc i, sent;

	for (n = 0; n < AT_ONCE && p->n_under_way + n < p->depth; n++) {
		place *at = place_of(p, p->next_id + n);

		if (at->id != 0)
			break;
		at->n = 1;
		at->first = p->next_value + n;
		at->is_timed = is_timed(b, p->next_id + n);
		if (at->is_timed)
			at->start = via_now();
		via_bytes_put_u64(at->payload, at->first);
		m[n] = (via_message){.kind = VIA_WIRE_REQUEST,
				     .code = BENCH_METHOD,
				     .id = p->next_id + n,
				     .item_count = 1,
				     .payload_len = VIA_INCREMENT_SIZE,
				     .payload = at->payload};
	}
	sent = n != 0 ? via_session_send_many(b->session, m, n) : 0;
	if (sent == VIA_AGAIN)
		return 0;
	if (sent < 0 && sent != VIA_PENDING) {
		(void)bench_fail_rc(b, sent, "sending requests");
		return -1;
	}
	p->is_pending = sent == VIA_PENDING;
	sent = sent == VIA_PENDING ? 1 : sent;
	for (i = 0; i < sent; i++) {
		place_of(p, p->next_id)->id = p->next_id;
		p->next_id++;
	}
	p->next_value += (uint32_t)sent;
	p->n_under_way += (uint32_t)sent;
	return sent;
}

static int flush(bench_run *b)
{
	via_rc rc = via_session_flush(b->session);

	b->pipe->is_pending = rc == VIA_AGAIN;
	return rc == VIA_OK || rc == VIA_AGAIN || bench_fail_rc(b, rc, "sending a request");
}

/* -- receiving ------------------------------------------------------------------------------- */

/* The numbers of some items must be `expected` and those that follow it. */
static int check_numbers(bench_run *b, const via_iov *items, uint32_t n, uint64_t expected)
{
	uint64_t value = 0;
	uint32_t i;

	for (i = 0; i < n; i++, expected++) {
		if (via_increment_decode(items[i].base, items[i].len, &value, NULL) != VIA_OK ||
		    value != expected)
			return bench_fail(b,
					  "the counter chain is broken: expected %llu, found %llu",
					  (unsigned long long)expected, (unsigned long long)value);
	}
	return 1;
}

static int check_items(bench_run *b, const via_message *m, const place *at)
{
	via_iov items[AT_ONCE];
	uint32_t i, n;

	if (at->n == 1) {
		items[0] = (via_iov){.base = m->payload, .len = m->payload_len};
		return check_numbers(b, items, 1, at->first + 1);
	}
	for (i = 0; i < at->n; i += n) {
		n = at->n - i < AT_ONCE ? at->n - i : AT_ONCE;
		if (via_wire_batch_items(m->payload, m->payload_len, at->n, i, n, items, NULL) !=
		    VIA_OK)
			return bench_fail(b, "an answer to %u items: one from %u on is not in it",
					  at->n, i);
		if (!check_numbers(b, items, n, at->first + i + 1))
			return 0;
	}
	return 1;
}

static int check(bench_run *b, const via_message *m, const place *at)
{
	if (at->id != m->id || m->id == 0)
		return bench_fail(b, "an answer to message %llu, which is not under way",
				  (unsigned long long)m->id);
	if (m->status != VIA_STATUS_OK)
		return bench_fail(b, "the server answered %s", via_wire_status_name(m->status));
	if (m->code != BENCH_METHOD || m->item_count != at->n)
		return bench_fail(b,
				  "an answer: expected method %u with %u items, found method %u "
				  "with %u",
				  BENCH_METHOD, at->n, m->code, m->item_count);
	return check_items(b, m, at);
}

static void finish(bench_run *b, place *at)
{
	struct pipe *p = b->pipe;
	bench_phase *phase = &b->phase;
	via_time now;

	at->id = 0;
	p->n_under_way--;
	phase->ops++;
	phase->verified += at->n;
	if (!at->is_timed)
		return;
	now = via_now();
	hist_record(&b->result->times, now - at->start);
	phase->patience = now + BENCH_PATIENCE_NS;
	atomic_store_explicit(&bench_ops_so_far, phase->ops, memory_order_relaxed);
	if (now >= phase->end || atomic_load_explicit(&bench_stop, memory_order_relaxed) != 0)
		p->is_ending = 1;
}

/* Takes one answer. 1; 0: there is none; -1: failed. */
static int take_answer(bench_run *b)
{
	struct pipe *p = b->pipe;
	via_message m;
	place *at;
	int is_good;
	via_rc rc = via_session_recv(b->session, &m);

	if (rc == VIA_AGAIN)
		return 0;
	if (rc != VIA_OK) {
		(void)bench_fail_rc(b, rc, "receiving an answer");
		return -1;
	}
	at = place_of(p, m.id);
	is_good = check(b, &m, at);
	via_session_release(b->session, &m);
	if (!is_good)
		return -1;
	finish(b, at);
	return 1;
}

/* -- a phase --------------------------------------------------------------------------------- */

/* Sends what may be sent now. *next: when the next message is due, 0 if that is not what it waits
 * for. */
static int fill(bench_run *b, uint64_t *n_sent, via_time *next)
{
	struct pipe *p = b->pipe;
	const bench_phase *phase = &b->phase;
	const int is_paced = b->row->rate != 0;
	via_time now = is_paced ? via_now() : 0, due = 0;
	int sent = 1;

	*next = 0;
	if (p->is_pending && !flush(b))
		return 0;
	p->is_ending |= is_paced && now >= phase->end;
	if (!is_paced && p->n_under_way > p->depth / 2)
		return 1; /* several in a row cost less than one at a time */
	if (!is_paced && !b->row->scenario->has_batches && phase->max_ops == BENCH_UNLIMITED) {
		if (!p->is_ending)
			sent = send_singles(b);
		p->is_full = sent == 0;
		*n_sent += sent > 0 ? (uint64_t)sent : 0;
		return sent >= 0;
	}
	via_session_cork(b->session);
	while (!p->is_ending && sent == 1 && p->n_under_way < p->depth &&
	       place_of(p, p->next_id)->id == 0) {
		if (is_paced && (due = bench_due(b, *n_sent)) > now) {
			p->is_ending |= due >= phase->end;
			*next = due;
			break;
		}
		sent = send_next(b, due);
		*n_sent += sent == 1;
		p->is_ending |= *n_sent == phase->max_ops;
	}
	via_session_uncork(b->session);
	p->is_full = sent == 0;
	return sent >= 0;
}

static int wait_more(bench_run *b, via_time next)
{
	struct pipe *p = b->pipe;
	const int is_blocked = p->is_pending || p->is_full;
	via_time until = b->phase.patience;
	via_rc rc;

	if (p->n_under_way == 0 && !is_blocked)
		return p->is_ending || bench_pace(next);
	if (next != 0 && next < until)
		until = next;
	rc = via_session_wait(b->session, is_blocked ? VIA_EV_RX | VIA_EV_TX : VIA_EV_RX, until);
	if (rc == VIA_OK || (rc == VIA_TIMEOUT && until == next))
		return 1;
	return bench_fail_rc(b, rc, "waiting for an answer");
}

int bench_pipe_run(bench_run *b)
{
	struct pipe *p = b->pipe;
	uint64_t n_sent = 0;
	uint32_t n_taken;
	via_time next;
	int taken;

	p->is_ending = 0;
	for (;;) {
		if (!fill(b, &n_sent, &next))
			return 0;
		if (p->is_ending && p->n_under_way == 0)
			break;
		for (n_taken = 0; p->n_under_way != 0; n_taken++) {
			taken = take_answer(b);
			if (taken < 0)
				return 0;
			if (taken == 0)
				break;
		}
		if (n_taken == 0 && !wait_more(b, next))
			return 0;
	}
	if (b->row->scenario->has_batches)
		b->phase.units = b->phase.verified;
	return b->row->rate == 0 || b->phase.max_ops != BENCH_UNLIMITED || bench_pace(b->phase.end);
}
