/* tests/link/winshm_rig.c - ends of sessions, and the raw peer. */
#include "winshm_rig.h"

/* -- the module's ends ------------------------------------------------------------------------- */

void wshm_open(rig *r, uint32_t profile)
{
	rig_open(r, "winshm");
	r->profile = profile;
}

via_upgrade wshm_upgrade(const rig *r, const char *service, uint64_t id, uint32_t request,
			 uint32_t response)
{
	return (via_upgrade){.struct_size = sizeof(via_upgrade),
			     .profile = r->profile,
			     .ns = r->dir,
			     .service = service,
			     .session_id = id,
			     .max_request = request,
			     .max_response = response};
}

via_rc wshm_provision(rig *r, uint64_t id, uint32_t request, uint32_t response, via_link **out)
{
	via_upgrade u = wshm_upgrade(r, "svc", id, request, response);

	return r->layer[0].t->provision(r->layer[0].self, &u, out);
}

via_rc wshm_attach(rig *r, uint64_t id, uint32_t request, uint32_t response, via_link **out)
{
	via_upgrade u = wshm_upgrade(r, "svc", id, request, response);

	return r->layer[0].t->attach(r->layer[0].self, &u, out);
}

void wshm_open_pair(rig *r, uint32_t profile, uint32_t request, uint32_t response)
{
	wshm_open(r, profile);
	cr_assert_eq(wshm_provision(r, 1, request, response, &r->b), VIA_OK, "%s", rig_detail());
	cr_assert_eq(wshm_attach(r, 1, request, response, &r->a), VIA_OK, "%s", rig_detail());
	cr_assert_eq(r->a->ops->expect(r->a, response), VIA_OK);
	cr_assert_eq(r->b->ops->expect(r->b, request), VIA_OK);
}

void wshm_roundtrip(rig *r, uint32_t request, uint32_t response, uint32_t number)
{
	uint8_t *data = malloc(request > response ? request : response);

	cr_assert_not_null(data);
	rig_fill(data, request, number);
	cr_assert_eq(rig_send_once(r->a, data, request), VIA_OK, "%s", rig_detail());
	rig_expect_record(r->b, request, number);
	rig_fill(data, response, number + 1);
	cr_assert_eq(rig_send_once(r->b, data, response), VIA_OK, "%s", rig_detail());
	rig_expect_record(r->a, response, number + 1);
	free(data);
}

void wshm_take(via_link *l)
{
	via_view v;

	cr_assert_eq(rig_get(l, &v), 1, "%s", rig_detail());
	l->ops->release(l, &v, 1);
}

/* -- raw peer: names --------------------------------------------------------------------------- */

uint64_t raw_hash(const void *bytes, size_t n)
{
	const uint8_t *p = bytes;
	uint64_t h = 0xCBF29CE484222325u;

	while (n-- > 0) {
		h ^= *p++;
		h *= 0x100000001B3u;
	}
	return h;
}

const char *raw_name(const rig *r, uint64_t id, const char *suffix)
{
	static _Thread_local char name[256];
	char hashed[512];
	int n = snprintf(hashed, sizeof hashed, "%s\nsvc\n0", r->dir);

	snprintf(name, sizeof name, "Local\\netipc-%016llx-svc-p%u-s%016llx-%s",
		 (unsigned long long)raw_hash(hashed, (size_t)n), r->profile,
		 (unsigned long long)id, suffix);
	return name;
}

/* -- raw peer: words --------------------------------------------------------------------------- */

static volatile LONG *word32(const raw_peer *p, uint32_t at)
{
	return (volatile LONG *)(void *)(p->base + at);
}

static volatile LONG64 *word64(const raw_peer *p, uint32_t at)
{
	return (volatile LONG64 *)(void *)(p->base + at);
}

uint32_t raw_u32(const raw_peer *p, uint32_t at)
{
	return (uint32_t)InterlockedCompareExchange(word32(p, at), 0, 0);
}

uint64_t raw_u64(const raw_peer *p, uint32_t at)
{
	return (uint64_t)InterlockedCompareExchange64(word64(p, at), 0, 0);
}

void raw_set32(const raw_peer *p, uint32_t at, uint32_t v)
{
	InterlockedExchange(word32(p, at), (LONG)v);
}

void raw_set64(const raw_peer *p, uint32_t at, uint64_t v)
{
	InterlockedExchange64(word64(p, at), (LONG64)v);
}

/* -- raw peer: objects ------------------------------------------------------------------------- */

static uint32_t up64(uint32_t n)
{
	return (n + 63) / 64 * 64;
}

static int map(raw_peer *p)
{
	if (p->mapping != NULL)
		p->base = MapViewOfFile(p->mapping, FILE_MAP_ALL_ACCESS, 0, 0, 0);
	return p->base != NULL;
}

int raw_create(raw_peer *p, const rig *r, uint64_t id, uint32_t request_cap, uint32_t response_cap)
{
	uint32_t request = up64(request_cap), response = up64(response_cap);

	*p = (raw_peer){.is_server = 1};
	p->mapping =
		CreateFileMappingA(INVALID_HANDLE_VALUE, NULL, PAGE_READWRITE, 0,
				   RAW_HEADER + request + response, raw_name(r, id, "mapping"));
	if (!map(p)) {
		raw_vanish(p);
		return -1;
	}
	raw_set32(p, AT_MAGIC, 0x4E535748);
	raw_set32(p, AT_VERSION, 3);
	raw_set32(p, AT_HEADER_LEN, 128);
	raw_set32(p, AT_PROFILE, r->profile);
	raw_set32(p, AT_REQ_OFFSET, RAW_HEADER);
	raw_set32(p, AT_REQ_CAP, request);
	raw_set32(p, AT_RESP_OFFSET, RAW_HEADER + request);
	raw_set32(p, AT_RESP_CAP, response);
	raw_set32(p, AT_SPIN_TRIES, 1024);
	MemoryBarrier();
	if (r->profile == BUSYWAIT)
		return 0;
	p->req_event = CreateEventA(NULL, FALSE, FALSE, raw_name(r, id, "req_event"));
	p->resp_event = CreateEventA(NULL, FALSE, FALSE, raw_name(r, id, "resp_event"));
	return 0;
}

int raw_attach(raw_peer *p, const rig *r, uint64_t id, int as_server)
{
	*p = (raw_peer){.is_server = as_server};
	p->mapping = OpenFileMappingA(FILE_MAP_ALL_ACCESS, FALSE, raw_name(r, id, "mapping"));
	if (!map(p)) {
		raw_vanish(p);
		return -1;
	}
	if (!as_server) /* a server made the region and begins with it */
		p->rx = (LONG64)raw_u64(p, AT_RESP_SEQ);
	if (r->profile == BUSYWAIT)
		return 0;
	p->req_event =
		OpenEventA(EVENT_MODIFY_STATE | SYNCHRONIZE, FALSE, raw_name(r, id, "req_event"));
	p->resp_event =
		OpenEventA(EVENT_MODIFY_STATE | SYNCHRONIZE, FALSE, raw_name(r, id, "resp_event"));
	if (p->req_event != NULL && p->resp_event != NULL)
		return 0;
	raw_vanish(p);
	return -1;
}

void raw_vanish(raw_peer *p)
{
	if (p->base != NULL)
		UnmapViewOfFile(p->base);
	if (p->mapping != NULL)
		CloseHandle(p->mapping);
	if (p->req_event != NULL)
		CloseHandle(p->req_event);
	if (p->resp_event != NULL)
		CloseHandle(p->resp_event);
	*p = (raw_peer){.is_server = p->is_server};
}

void raw_close(raw_peer *p)
{
	HANDLE event = p->is_server ? p->resp_event : p->req_event;

	raw_set32(p, p->is_server ? AT_SERVER_CLOSED : AT_CLIENT_CLOSED, 1);
	MemoryBarrier();
	if (event != NULL)
		SetEvent(event);
	raw_vanish(p);
}

/* -- raw peer: messages ------------------------------------------------------------------------ */

int raw_send(const raw_peer *p, const void *data, uint32_t len)
{
	uint32_t offset = raw_u32(p, p->is_server ? AT_RESP_OFFSET : AT_REQ_OFFSET);
	uint32_t cap = raw_u32(p, p->is_server ? AT_RESP_CAP : AT_REQ_CAP);
	HANDLE event = p->is_server ? p->resp_event : p->req_event;

	if (len == 0 || len > cap)
		return -1;
	memcpy(p->base + offset, data, len);
	InterlockedExchange(word32(p, p->is_server ? AT_RESP_LEN : AT_REQ_LEN), (LONG)len);
	InterlockedIncrement64(word64(p, p->is_server ? AT_RESP_SEQ : AT_REQ_SEQ));
	if (event != NULL && raw_u32(p, p->is_server ? AT_CLIENT_WAITING : AT_SERVER_WAITING) != 0)
		SetEvent(event);
	return 0;
}

/* One look. Consumes what it finds. */
static int64_t observe(raw_peer *p, void *buf, uint32_t cap)
{
	uint32_t seq_at = p->is_server ? AT_REQ_SEQ : AT_RESP_SEQ;
	uint32_t len_at = p->is_server ? AT_REQ_LEN : AT_RESP_LEN;
	uint32_t offset = raw_u32(p, p->is_server ? AT_REQ_OFFSET : AT_RESP_OFFSET);
	LONG64 seq = (LONG64)raw_u64(p, seq_at);
	uint32_t len;

	if (seq < p->rx + 1)
		return RAW_NOTHING;
	len = raw_u32(p, len_at);
	if ((int32_t)len < 0)
		return RAW_BAD;
	if (len <= cap)
		memcpy(buf, p->base + offset, len);
	if (raw_u32(p, len_at) != len || (LONG64)raw_u64(p, seq_at) != seq)
		return RAW_BAD;
	p->rx++;
	return len == 0 || len > cap ? RAW_BAD : (int64_t)len;
}

static void wait_a_little(const raw_peer *p, HANDLE event, uint32_t flag_at, uint32_t round)
{
	if (event != NULL) {
		WaitForSingleObject(event, 1000);
		raw_set32(p, flag_at, 0);
	} else if (round % 64 == 0) {
		SwitchToThread();
	} else {
		YieldProcessor();
	}
}

int64_t raw_recv(raw_peer *p, void *buf, uint32_t cap)
{
	uint32_t flag_at = p->is_server ? AT_SERVER_WAITING : AT_CLIENT_WAITING;
	uint32_t closed_at = p->is_server ? AT_CLIENT_CLOSED : AT_SERVER_CLOSED;
	HANDLE event = p->is_server ? p->req_event : p->resp_event;
	via_time deadline = rig_now() + RIG_SOON;
	uint32_t tries = raw_u32(p, AT_SPIN_TRIES), i;
	int64_t n = RAW_NOTHING;

	for (i = 0; i < tries && n == RAW_NOTHING; i++)
		n = observe(p, buf, cap);
	for (i = 0; n == RAW_NOTHING && rig_now() < deadline; i++) {
		if (event != NULL) {
			raw_set32(p, flag_at, 1);
			MemoryBarrier();
		}
		n = observe(p, buf, cap);
		if (n != RAW_NOTHING)
			break;
		wait_a_little(p, event, flag_at, i);
		n = observe(p, buf, cap);
		if (n == RAW_NOTHING && raw_u32(p, closed_at) != 0) {
			n = observe(p, buf, cap);
			if (n == RAW_NOTHING)
				return RAW_CLOSED;
		}
	}
	if (event != NULL)
		raw_set32(p, flag_at, 0);
	return n;
}
