/* core/server/group.c - short messages that came together, answered in one go.
 *
 * Where several are there, what is done once for each of them takes longer than the call itself. So they are looked at
 * where they lie, handed to the service together, and their answers sent together; only then are as many taken as
 * answers were accepted. The others, and all of them if anything is out of the ordinary, are looked at again and
 * answered one by one: that may call the service twice, so it must be idempotent. */
#include "server.h"

struct group {
	via_message m[SHORT_MANY];
	uint8_t payload[SHORT_MANY][SHORT_PAYLOAD];
	via_iov request[SHORT_MANY];
	uint32_t length[SHORT_MANY];
	uint32_t n;
};

static int can_group(const struct server_conn *c)
{
	const uint32_t needed = VIA_SVC_IDEMPOTENT, never = VIA_SVC_BLOCKING | VIA_SVC_ASYNC;
	const via_service *service = c->ep->service;

	return rx_n_views(c->s) > 1 && c->alone == 0 && c->svc_open != 0 && c->job.codec != NULL &&
	       (service->flags & (needed | never)) == needed && answer_takes_many(service);
}

/* Requests of one method that pass the codec's check, until one does not. */
static void collect(const struct server_conn *c, struct group *g)
{
	const via_codec *codec = c->job.codec;
	uint32_t i;

	for (i = 0; i < c->s->tx_at_once && rx_peek_short(c->s, i, &g->m[i], g->payload[i]); i++) {
		const via_message *m = &g->m[i];

		if (m->code != codec->method || !answer_is_valid(codec, m->payload, m->payload_len))
			break;
		g->request[i] = (via_iov){m->payload, m->payload_len};
	}
	g->n = i;
}

/* Turns the requests into their answers; 0 if they cannot be sent together. */
static int make_answers(const struct server_conn *c, struct group *g, const uint8_t *answers)
{
	uint64_t at = 0;
	uint32_t i;

	for (i = 0; i < g->n; i++) {
		via_message *m = &g->m[i];

		if (g->length[i] > c->s->short_out)
			return 0;
		m->kind = VIA_WIRE_RESPONSE;
		m->flags = 0;
		m->status = VIA_STATUS_OK;
		m->item_count = 1;
		m->payload_len = g->length[i];
		m->payload = answers + at;
		at += (g->length[i] + 7u) & ~7u;
	}
	return 1;
}

static int call(struct server_conn *c, struct group *g, uint8_t *room, uint32_t cap)
{
	via_calls calls = {.struct_size = sizeof calls,
			   .method = c->job.codec->method,
			   .n = g->n,
			   .requests = g->request,
			   .response = room,
			   .response_cap = cap,
			   .lengths = g->length,
			   .deadline = VIA_FOREVER,
			   .peer = &c->peer};

	return answer_call_many(c, &calls) == VIA_OK;
}

uint32_t group_answer(struct server_conn *c)
{
	uint32_t cap = c->s->max_out;
	struct group g;
	uint8_t *room;
	via_rc sent;

	if (!can_group(c))
		return 0;
	collect(c, &g);
	room = g.n > 1 ? conn_worker_room(c, cap) : NULL;
	if (room == NULL || !call(c, &g, room, cap))
		return 0;
	c->alone = !make_answers(c, &g, room);
	if (c->alone != 0)
		return 0;
	server_count(&c->worker->tally->calls, (int32_t)g.n); /* before anybody sees an answer */
	sent = tx_send_short(c->s, g.m, g.n);
	if (sent < 0)
		sent = 0; /* the answer to the next one alone will find out why */
	server_count(&c->worker->tally->calls, sent - (int32_t)g.n);
	rx_take_short(c->s, (uint32_t)sent);
	return (uint32_t)sent;
}
