/* transports/winshm/winshm_region.c - makes the objects of a session, opens them, lets go of them
 * (docs/wire.md section 12).
 *
 * Threads: none. Syscalls: CreateFileMapping, OpenFileMapping, MapViewOfFile, VirtualQuery,
 * GetMappedFileName, CreateEvent, OpenEvent, UnmapViewOfFile, CloseHandle. Peer: the objects may be
 * anybody's and the mapping may hold anything. Each field of its header is read once, and only that
 * copy is checked and used: what the peer writes into it later changes nothing here.
 *
 * An access outside of what is really there would kill the process. So what is declared is compared
 * with the pages that the system says are there; pages of a mapping can be added but never taken
 * away. Pages of a file are refused: they can fail to come in.
 */
#include "winshm.h"
#include <inttypes.h>
#include <psapi.h>

/* -- layout ------------------------------------------------------------------------------------ */

static uint64_t align64(uint64_t n)
{
	return (n + WSHM_ALIGN - 1) & ~(uint64_t)(WSHM_ALIGN - 1);
}

/* What the offsets and capacities of the header amount to. */
struct layout {
	uint32_t request_offset, request_capacity, response_offset, response_capacity;
};

static uint64_t layout_size(const struct layout *l)
{
	return (uint64_t)l->response_offset + l->response_capacity;
}

/* Lengths are signed in the header. */
static uint32_t usable(uint32_t capacity)
{
	return capacity < INT32_MAX ? capacity : INT32_MAX;
}

static void map_set(struct wshm_map *m, const struct layout *l)
{
	struct wshm_header *h = m->header;
	uint8_t *bytes = (uint8_t *)h;

	m->request = (struct wshm_area){
		.bytes = bytes + l->request_offset,
		.cap = usable(l->request_capacity),
		.seq = &h->req_seq,
		.len = &h->req_len,
		.closed = &h->req_client_closed,
		.waiting = &h->req_server_waiting,
	};
	m->response = (struct wshm_area){
		.bytes = bytes + l->response_offset,
		.cap = usable(l->response_capacity),
		.seq = &h->resp_seq,
		.len = &h->resp_len,
		.closed = &h->resp_server_closed,
		.waiting = &h->resp_client_waiting,
	};
}

static via_rc map_view(const struct wshm_self *s, HANDLE mapping, const char *name,
		       struct wshm_map *m)
{
	if (wshm_may(s, "MapViewOfFile"))
		m->header = MapViewOfFile(mapping, FILE_MAP_READ | FILE_MAP_WRITE, 0, 0, 0);
	return m->header != NULL ? VIA_OK : wshm_fail(s, GetLastError(), "MapViewOfFile", name);
}

void wshm_let_go(const struct wshm_map *m)
{
	if (m->request.event != NULL)
		CloseHandle(m->request.event);
	if (m->response.event != NULL)
		CloseHandle(m->response.event);
	if (m->header != NULL)
		UnmapViewOfFile(m->header);
	if (m->mapping != NULL)
		CloseHandle(m->mapping);
}

static via_rc check_profile(const struct wshm_self *s, const via_upgrade *u)
{
	if (u->profile == WSHM_HYBRID || u->profile == WSHM_BUSYWAIT)
		return VIA_OK;
	return wshm_failf(s, VIA_NOTSUP, 0, "profile: expected 0x2 or 0x4, found 0x%" PRIx32,
			  u->profile);
}

/* -- server ------------------------------------------------------------------------------------ */

static via_rc plan(const struct wshm_self *s, const via_upgrade *u, struct layout *out)
{
	uint64_t request = align64(u->max_request);
	uint64_t response = align64(u->max_response);

	if (u->max_request == 0 || u->max_response == 0)
		return wshm_failf(s, VIA_INVAL, 0,
				  "region: expected records of at least 1 byte, found %" PRIu32
				  " and %" PRIu32,
				  u->max_request, u->max_response);
	if (WSHM_HEADER + request + response > UINT32_MAX)
		return wshm_failf(s, VIA_LIMIT, 0,
				  "region: records of %" PRIu32 " and %" PRIu32
				  " bytes do not fit the offsets of the header",
				  u->max_request, u->max_response);
	*out = (struct layout){WSHM_HEADER, (uint32_t)request, (uint32_t)(WSHM_HEADER + request),
			       (uint32_t)response};
	return VIA_OK;
}

/* Why there is no new object of that name. Whoever was there first is not trusted with the session. */
static via_rc not_made(const struct wshm_self *s, DWORD err, const char *call, const char *name)
{
	via_rc rc = wshm_rc_of(err);

	if (rc == VIA_EXISTS)
		return wshm_failf(s, rc, err, "%s %s: expected a name that is free, found it taken",
				  call, name);
	if (rc == VIA_PERM)
		return wshm_failf(s, rc, err,
				  "%s %s: not permitted, or the name is taken by another user",
				  call, name);
	return wshm_fail(s, err, call, name);
}

static via_rc make_mapping(const struct wshm_self *s, const via_upgrade *u, struct wshm_access *a,
			   uint64_t size, struct wshm_map *m)
{
	wchar_t wide[WSHM_NAME_MAX];
	char name[WSHM_NAME_MAX];
	DWORD err;
	via_rc rc = wshm_name(s, u, "mapping", name);

	if (rc != VIA_OK)
		return rc;
	wshm_widen(name, wide);
	if (wshm_may(s, "CreateFileMapping")) {
		SetLastError(ERROR_SUCCESS);
		m->mapping = CreateFileMappingW(INVALID_HANDLE_VALUE, &a->attributes,
						PAGE_READWRITE, 0, (DWORD)size, wide);
	}
	err = GetLastError();
	if (m->mapping == NULL || err == ERROR_ALREADY_EXISTS)
		return not_made(s, err, "CreateFileMapping", name);
	return map_view(s, m->mapping, name, m);
}

static via_rc make_event(const struct wshm_self *s, const via_upgrade *u, struct wshm_access *a,
			 const char *suffix, HANDLE *out)
{
	wchar_t wide[WSHM_NAME_MAX];
	char name[WSHM_NAME_MAX];
	DWORD err;
	via_rc rc = wshm_name(s, u, suffix, name);

	if (rc != VIA_OK)
		return rc;
	wshm_widen(name, wide);
	if (wshm_may(s, "CreateEvent")) {
		SetLastError(ERROR_SUCCESS);
		*out = CreateEventW(&a->attributes, FALSE, FALSE, wide);
	}
	err = GetLastError();
	if (*out == NULL || err == ERROR_ALREADY_EXISTS)
		return not_made(s, err, "CreateEvent", name);
	return VIA_OK;
}

static via_rc make_events(const struct wshm_self *s, const via_upgrade *u, struct wshm_access *a,
			  struct wshm_map *m)
{
	via_rc rc = make_event(s, u, a, "req_event", &m->request.event);

	return rc != VIA_OK ? rc : make_event(s, u, a, "resp_event", &m->response.event);
}

/* The magic last: who sees it sees the rest. The pages are new, what is not written here is zero. */
static void write_header(struct wshm_header *h, const struct layout *l, uint32_t profile)
{
	h->version = WSHM_VERSION;
	h->header_len = WSHM_HEADER;
	h->profile = profile;
	h->request_offset = l->request_offset;
	h->request_capacity = l->request_capacity;
	h->response_offset = l->response_offset;
	h->response_capacity = l->response_capacity;
	h->spin_tries = WSHM_SPIN_TRIES;
	atomic_store(&h->magic, WSHM_MAGIC);
}

via_rc wshm_create(const struct wshm_self *s, const via_upgrade *u, struct wshm_map *out)
{
	struct wshm_map m = {.profile = u->profile};
	struct wshm_access access;
	struct layout l = {0};
	via_rc rc = check_profile(s, u);

	if (rc == VIA_OK)
		rc = plan(s, u, &l);
	if (rc == VIA_OK)
		rc = wshm_access_make(s, &access);
	if (rc != VIA_OK)
		return rc;
	rc = make_mapping(s, u, &access, layout_size(&l), &m);
	if (rc == VIA_OK) {
		map_set(&m, &l);
		if (u->profile == WSHM_HYBRID)
			rc = make_events(s, u, &access, &m);
	}
	if (rc != VIA_OK) {
		wshm_let_go(&m);
		return rc;
	}
	write_header(m.header, &l, u->profile);
	*out = m;
	return VIA_OK;
}

/* -- client ------------------------------------------------------------------------------------ */

/* The server makes its objects before it answers HELLO, so there is nothing to wait for. */
static via_rc open_mapping(const struct wshm_self *s, const char *name, struct wshm_map *m)
{
	wchar_t wide[WSHM_NAME_MAX];
	HANDLE mapping = NULL;
	via_rc rc;

	wshm_widen(name, wide);
	if (wshm_may(s, "OpenFileMapping"))
		mapping = OpenFileMappingW(FILE_MAP_READ | FILE_MAP_WRITE, FALSE, wide);
	if (mapping == NULL)
		return wshm_fail(s, GetLastError(), "OpenFileMapping", name);
	rc = map_view(s, mapping, name, m);
	CloseHandle(mapping); /* the view is enough */
	return rc;
}

/* Whether the pages at that address are those of a file. Of anything else the system has no name. */
static int is_file(const void *at)
{
	wchar_t name[2];

	SetLastError(ERROR_SUCCESS);
	if (K32GetMappedFileNameW(GetCurrentProcess(), (void *)(uintptr_t)at, name, 2) != 0)
		return 1;
	return GetLastError() == ERROR_INSUFFICIENT_BUFFER || GetLastError() == ERROR_MORE_DATA;
}

/* How many bytes can be touched, a multiple of the page size. */
static via_rc measure_view(const struct wshm_self *s, const char *name, const void *at,
			   uint64_t *out)
{
	MEMORY_BASIC_INFORMATION info;

	if (!wshm_may(s, "VirtualQuery") || VirtualQuery(at, &info, sizeof info) == 0)
		return wshm_fail(s, GetLastError(), "VirtualQuery", name);
	if (info.State != MEM_COMMIT || info.Type != MEM_MAPPED)
		return wshm_failf(s, VIA_PROTO, 0,
				  "%s: expected a mapping with its memory, found state 0x%lx, type "
				  "0x%lx",
				  name, info.State, info.Type);
	if (!wshm_may(s, "GetMappedFileName"))
		return wshm_fail(s, GetLastError(), "GetMappedFileName", name);
	if (is_file(at))
		return wshm_failf(s, VIA_PROTO, 0, "%s: expected memory, found a mapped file",
				  name);
	*out = info.RegionSize;
	return VIA_OK;
}

/* Each field read once. How long the peer spins is its own affair. */
static void copy_header(const struct wshm_header *h, uint32_t field[8])
{
	const volatile uint32_t *from = (const volatile uint32_t *)(const volatile void *)h;
	uint32_t i;

	field[0] = atomic_load_explicit(&h->magic, memory_order_acquire);
	for (i = 1; i < 8; i++)
		field[i] = from[i];
}

static via_rc check_header(const struct wshm_self *s, const char *name, const uint32_t field[8],
			   const via_upgrade *u, struct layout *out)
{
	const struct {
		const char *name;
		uint32_t expected;
	} fixed[4] = {{"magic", WSHM_MAGIC},
		      {"version", WSHM_VERSION},
		      {"header_len", WSHM_HEADER},
		      {"profile", u->profile}};
	uint32_t i;

	for (i = 0; i < 4; i++)
		if (field[i] != fixed[i].expected)
			return wshm_failf(s, VIA_PROTO, 0,
					  "%s: %s: expected 0x%" PRIx32 ", found 0x%" PRIx32, name,
					  fixed[i].name, fixed[i].expected, field[i]);
	*out = (struct layout){field[4], field[5], field[6], field[7]};
	return VIA_OK;
}

static via_rc check_layout(const struct wshm_self *s, const char *name, const struct layout *l,
			   const via_upgrade *u, uint64_t real_size)
{
	uint64_t request_end = (uint64_t)l->request_offset + l->request_capacity;

	if (l->request_offset < WSHM_HEADER || l->response_offset < WSHM_HEADER ||
	    l->request_capacity == 0 || l->response_capacity == 0 ||
	    ((l->request_offset | l->request_capacity | l->response_offset | l->response_capacity) &
	     (WSHM_ALIGN - 1)) != 0)
		return wshm_failf(s, VIA_PROTO, 0,
				  "%s: areas: expected offsets from 128, some room, and multiples "
				  "of 64, found %" PRIu32 "+%" PRIu32 " and %" PRIu32 "+%" PRIu32,
				  name, l->request_offset, l->request_capacity, l->response_offset,
				  l->response_capacity);
	if (request_end > UINT32_MAX || layout_size(l) > UINT32_MAX)
		return wshm_failf(s, VIA_PROTO, 0,
				  "%s: areas: expected ends below 2^32, found %" PRIu64
				  " and %" PRIu64,
				  name, request_end, layout_size(l));
	if (l->response_offset < request_end)
		return wshm_failf(s, VIA_PROTO, 0,
				  "%s: response_offset: expected at least %" PRIu64
				  ", the end of the request area, found %" PRIu32,
				  name, request_end, l->response_offset);
	if (real_size < layout_size(l))
		return wshm_failf(s, VIA_PROTO, 0,
				  "%s: expected %" PRIu64 " bytes for the areas declared, found "
				  "%" PRIu64,
				  name, layout_size(l), real_size);
	if (l->request_capacity < u->max_request)
		return wshm_failf(s, VIA_PROTO, 0,
				  "%s: request_capacity: expected at least the %" PRIu32
				  " bytes agreed, found %" PRIu32,
				  name, u->max_request, l->request_capacity);
	return VIA_OK;
}

static via_rc open_event(const struct wshm_self *s, const via_upgrade *u, const char *suffix,
			 HANDLE *out)
{
	wchar_t wide[WSHM_NAME_MAX];
	char name[WSHM_NAME_MAX];
	via_rc rc = wshm_name(s, u, suffix, name);

	if (rc != VIA_OK)
		return rc;
	wshm_widen(name, wide);
	if (wshm_may(s, "OpenEvent"))
		*out = OpenEventW(EVENT_MODIFY_STATE | SYNCHRONIZE, FALSE, wide);
	return *out != NULL ? VIA_OK : wshm_fail(s, GetLastError(), "OpenEvent", name);
}

static via_rc attach_view(const struct wshm_self *s, const char *name, const via_upgrade *u,
			  struct wshm_map *m)
{
	uint32_t field[8];
	struct layout l = {0};
	uint64_t size = 0;
	via_rc rc = measure_view(s, name, m->header, &size);

	if (rc != VIA_OK)
		return rc;
	copy_header(m->header, field);
	rc = check_header(s, name, field, u, &l);
	if (rc == VIA_OK)
		rc = check_layout(s, name, &l, u, size);
	if (rc != VIA_OK)
		return rc;
	map_set(m, &l);
	if (u->profile != WSHM_HYBRID)
		return VIA_OK;
	rc = open_event(s, u, "req_event", &m->request.event);
	return rc != VIA_OK ? rc : open_event(s, u, "resp_event", &m->response.event);
}

via_rc wshm_attach(const struct wshm_self *s, const via_upgrade *u, struct wshm_map *out)
{
	struct wshm_map m = {.profile = u->profile};
	char name[WSHM_NAME_MAX];
	via_rc rc = check_profile(s, u);

	if (rc == VIA_OK)
		rc = wshm_name(s, u, "mapping", name);
	if (rc == VIA_OK)
		rc = open_mapping(s, name, &m);
	if (rc == VIA_OK)
		rc = attach_view(s, name, u, &m);
	if (rc != VIA_OK) {
		wshm_let_go(&m);
		return rc;
	}
	*out = m;
	return VIA_OK;
}
