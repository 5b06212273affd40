/* tests/server/rig_client.c - clients of both levels. */
#include "rig.h"
#include "core/session/session.h"

/* What is not the test's business may take as long as the machine takes. */
static void complete(const rig *r, via_session_config *c)
{
	c->struct_size = sizeof *c;
	if (c->profiles == 0)
		c->profiles = rig_profiles(r);
	if (c->handshake_ms == 0)
		c->handshake_ms = (uint32_t)(RIG_SOON / RIG_MS);
}

via_client *rig_client(rig *r, const char *service, const via_session_config *config)
{
	via_client_options o = {.struct_size = sizeof o, .endpoint = rig_endpoint(r, service)};
	via_client *c = NULL;

	if (config != NULL)
		o.config = *config;
	complete(r, &o.config);
	return via_client_open(r->reg, &o, &c) == VIA_OK ? c : NULL;
}

via_rc rig_client_call(via_client *c, uint64_t number)
{
	uint8_t bytes[VIA_INCREMENT_SIZE];
	via_request q = {.method = NUMBER, .payload = bytes, .payload_len = sizeof bytes};
	via_reply a;
	uint64_t got = 0;
	via_rc rc;

	via_increment_encode(bytes, sizeof bytes, number, &got);
	rc = via_client_refresh(c, via_deadline(RIG_SOON));
	if (rc == VIA_OK)
		rc = via_client_call(c, &q, via_deadline(RIG_SOON), &a);
	if (rc != VIA_OK)
		return rc;
	if (via_increment_decode(a.payload, a.payload_len, &got, NULL) != VIA_OK ||
	    got != number + 1)
		return core_fail(VIA_PROTO, "the answer to %llu is %llu",
				 (unsigned long long)number, (unsigned long long)got);
	return VIA_OK;
}

via_rc rig_call(rig *r, const char *service, uint64_t number)
{
	via_client *c = rig_client(r, service, NULL);
	via_rc rc;

	if (c == NULL)
		return VIA_NOMEM;
	rc = rig_client_call(c, number);
	via_client_close(c);
	return rc;
}

int rig_pipelines(const via_session *s)
{
	const via_link *l = s->data;

	return (l->caps & VIA_CAP_PIPELINE) != 0;
}

via_session *rig_connect(rig *r, const char *service, const via_session_config *config)
{
	via_endpoint ep = rig_endpoint(r, service);
	via_session_config c = {0};
	via_session *s = NULL;
	via_rc rc;

	if (config != NULL)
		c = *config;
	complete(r, &c);
	rc = via_session_connect(r->reg, &ep, &c, via_deadline(RIG_SOON), &s);
	cr_assert_eq(rc, VIA_OK, "%s: %s", via_rc_name(rc), via_error());
	return s;
}

via_rc rig_send(via_session *s, const via_message *m)
{
	via_message q = *m;

	q.kind = VIA_WIRE_REQUEST;
	return via_session_send_wait(s, &q, via_deadline(RIG_SOON));
}

via_rc rig_send_number(via_session *s, uint64_t id, uint64_t number)
{
	uint8_t bytes[VIA_INCREMENT_SIZE];
	uint64_t used = 0;

	via_increment_encode(bytes, sizeof bytes, number, &used);
	return rig_send(s, &(via_message){.code = NUMBER,
					  .item_count = 1,
					  .id = id,
					  .payload = bytes,
					  .payload_len = sizeof bytes});
}

via_rc rig_recv(via_session *s, via_message *m, void *buf, size_t cap)
{
	via_rc rc = via_session_recv_wait(s, m, via_deadline(RIG_SOON));

	if (rc != VIA_OK)
		return rc;
	if (m->payload_len <= cap && m->payload_len != 0)
		memcpy(buf, m->payload, m->payload_len);
	via_session_release(s, m);
	m->payload = buf;
	return m->payload_len <= cap ? VIA_OK : VIA_TOOBIG;
}

void rig_expect_number(via_session *s, uint64_t id, uint64_t number)
{
	uint8_t bytes[VIA_INCREMENT_SIZE] = {0};
	uint64_t got = 0;
	via_message m;
	via_rc rc = rig_recv(s, &m, bytes, sizeof bytes);

	cr_assert_eq(rc, VIA_OK, "answer %llu: %s: %s", (unsigned long long)id, via_rc_name(rc),
		     via_error());
	cr_assert_eq(m.status, VIA_STATUS_OK, "answer %llu: status %u", (unsigned long long)id,
		     m.status);
	cr_assert_eq(m.id, id, "expected answer %llu, found %llu", (unsigned long long)id,
		     (unsigned long long)m.id);
	cr_assert_eq(m.code, NUMBER);
	cr_assert_eq(m.flags, 0);
	cr_assert_eq(m.item_count, 1);
	cr_assert_eq(via_increment_decode(bytes, m.payload_len, &got, NULL), VIA_OK);
	cr_assert_eq(got, number + 1, "expected %llu, found %llu", (unsigned long long)number + 1,
		     (unsigned long long)got);
}

void rig_expect_status(via_session *s, uint64_t id, uint16_t code, uint16_t status, int ends)
{
	via_message m;
	via_rc rc = rig_recv(s, &m, NULL, 0);

	cr_assert_eq(rc, VIA_OK, "answer %llu: %s: %s", (unsigned long long)id, via_rc_name(rc),
		     via_error());
	cr_assert_eq(m.status, status, "expected status %s, found %s", via_wire_status_name(status),
		     via_wire_status_name(m.status));
	cr_assert_eq(m.id, id);
	cr_assert_eq(m.code, code);
	cr_assert_eq(m.flags, 0);
	cr_assert_eq(m.item_count, 1);
	cr_assert_eq(m.payload_len, 0);
	if (ends != 0) {
		rc = rig_recv(s, &m, NULL, 0);
		cr_assert(rc == VIA_CLOSED || rc == VIA_RESET, "expected the end, found %s",
			  via_rc_name(rc));
	}
}

uint32_t rig_text(uint8_t *dst, uint32_t len)
{
	char *room = via_string_reverse_reserve(dst, via_string_reverse_size(len), len);
	uint32_t i;

	for (i = 0; i < len; i++)
		room[i] = (char)('a' + i % 26);
	return (uint32_t)via_string_reverse_size(len);
}
