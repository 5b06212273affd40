/* tools/viaduct/check_service.c - `viaduct check`: services through their table, with requests that their
 * codec accepts, which is all that a core ever gives them.
 *
 * A service that answers later needs a server around it: see check_served.c.
 */
#include "check_service.h"

#include "../lib/sys_probe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GUARD = 64, REQUESTS = 8, THREADS = 4, CALLS = 200 };
/* Bytes of room for an answer: all of it is filled before each call, and a service may ask for a gigabyte. */
enum { ROOM = 65536, MOST_ROOM = 16 << 20 };

/* -- one call -------------------------------------------------------------------------------- */

/* Request and answer lie at the end of memory that is followed by a page nobody may touch. */
typedef struct place {
	sys_guarded request, response;
} place;

static int place_make(place *p, uint32_t cap, char *why)
{
	if (!sys_guarded_make(&p->request, CHECK_REQUEST_ROOM, why))
		return 0;
	if (sys_guarded_make(&p->response, (size_t)cap + (size_t)2 * GUARD, why))
		return 1;
	sys_guarded_free(&p->request);
	return 0;
}

static void place_free(place *p)
{
	sys_guarded_free(&p->request);
	sys_guarded_free(&p->response);
}

static int is_filled(const uint8_t *p, size_t n)
{
	while (n-- > 0)
		if (*p++ != 0xa5)
			return 0;
	return 1;
}

/* Calls with a room of cap bytes. NULL, or what is wrong with that; *rc is the answer. */
static const char *call(const check_served *s, place *p, void *session, const void *request,
			uint64_t len, uint64_t cap, via_rc *rc, uint64_t *used)
{
	const uint64_t whole = (cap + 7) & ~(uint64_t)7; /* a room begins at a multiple of 8 */
	via_peer peer = {.struct_size = sizeof peer};
	uint8_t *at = p->response.end - whole;
	via_call c = {.struct_size = sizeof c, .method = s->codec->method, .request_len = len};

	c.request = memcpy(p->request.end - len, request, (size_t)len);
	memset(at - GUARD, 0xa5, (size_t)whole + GUARD);
	c.response = at;
	c.response_cap = cap;
	c.deadline = VIA_FOREVER;
	c.peer = &peer;
	*rc = s->service->call(s->self, session, &c);
	*used = c.response_len;
	if (!is_filled(at - GUARD, GUARD) || !is_filled(at + cap, (size_t)(whole - cap)))
		return "it wrote outside of the room";
	if (memcmp(c.request, request, (size_t)len) != 0)
		return "it changed the request";
	if (*rc == VIA_PENDING)
		return "expected an answer at once, since it does not say VIA_SVC_ASYNC, found "
		       "VIA_PENDING";
	if (*rc > 0)
		return "expected VIA_OK or an error, found a positive number";
	if (*rc == VIA_OK && c.response_len > cap)
		return "it says that the answer is longer than the room";
	if (*rc == VIA_OK && s->codec->check(VIA_SIDE_RESPONSE, at, c.response_len, NULL) < 0)
		return "expected an answer that its codec accepts";
	return NULL;
}

static void *open_session(const check_served *s, via_rc *rc)
{
	via_peer peer = {.struct_size = sizeof peer};
	void *session = NULL;

	*rc = s->service->open != NULL ? s->service->open(s->self, &peer, &session) : VIA_OK;
	return session;
}

static void close_session(const check_served *s, void *session)
{
	if (s->service->close != NULL)
		s->service->close(s->self, session);
}

static int fail(const check_served *s, uint64_t len, uint64_t cap, const char *what)
{
	check_tell(s->c->report, CHECK_FAILED, "a request of %llu bytes, room for %llu: %s",
		   (unsigned long long)len, (unsigned long long)cap, what);
	return 0;
}

/* -- checks ---------------------------------------------------------------------------------- */

/* Finds a request that is answered with VIA_OK. 0 if there is none, with a verdict. */
static int check_answer(check_served *s, place *p, void *session)
{
	const char *wrong;
	uint64_t used;
	via_rc rc = VIA_OK;
	uint32_t i;

	check_begin(s->c->report, "answer");
	for (i = 0; i < REQUESTS && check_request(s); i++, s->which++) {
		wrong = call(s, p, session, s->request, s->len, s->cap, &rc, &used);
		if (wrong != NULL)
			return fail(s, s->len, s->cap, wrong);
		if (rc != VIA_OK)
			continue;
		s->answer_len = used;
		check_tell(s->c->report, CHECK_PASSED,
			   "a request of %llu bytes: %llu bytes that %s accepts",
			   (unsigned long long)s->len, (unsigned long long)used, s->codec->name);
		return 1;
	}
	check_tell(s->c->report, CHECK_SKIPPED,
		   "none of the requests that could be made is answered: %s",
		   i == 0 ? "its codec takes none of the values that were tried" : via_rc_text(rc));
	return 0;
}

static void check_short(check_served *s, place *p, void *session)
{
	const uint64_t step = s->answer_len > 512 ? s->answer_len / 256 : 1;
	const char *wrong;
	uint64_t cap, used;
	via_rc rc;

	check_begin(s->c->report, "short-room");
	for (cap = 0; cap < s->answer_len; cap += step) {
		wrong = call(s, p, session, s->request, s->len, cap, &rc, &used);
		if (wrong != NULL) {
			(void)fail(s, s->len, cap, wrong);
			return;
		}
	}
	check_tell(s->c->report, CHECK_PASSED,
		   "rooms from 0 to %llu bytes: an error, or an answer that fits",
		   (unsigned long long)s->answer_len);
}

/* Changed bytes, as far as the codec lets them pass. */
static void check_changed(check_served *s, place *p, void *session)
{
	static const uint8_t masks[] = {0x01, 0x80, 0xff};
	uint8_t bytes[CHECK_REQUEST_ROOM];
	uint32_t n = 0, k;
	const char *wrong;
	uint64_t i, used;
	via_rc rc;

	check_begin(s->c->report, "changed-requests");
	for (i = 0; i < s->len && n < 1000; i++) {
		for (k = 0; k < sizeof masks; k++) {
			memcpy(bytes, s->request, (size_t)s->len);
			bytes[i] ^= masks[k];
			if (s->codec->check(VIA_SIDE_REQUEST, bytes, s->len, NULL) < 0)
				continue;
			wrong = call(s, p, session, bytes, s->len, s->cap, &rc, &used);
			if (wrong != NULL) {
				(void)fail(s, s->len, s->cap, wrong);
				return;
			}
			n++;
		}
	}
	check_tell(s->c->report, CHECK_PASSED,
		   "%u that the codec accepts: an error or a valid answer each", n);
}

static void check_sessions(check_served *s, place *p)
{
	void *session[REQUESTS];
	const char *wrong = NULL;
	uint64_t used;
	uint32_t i, n;
	via_rc rc = VIA_OK, answer;

	check_begin(s->c->report, "sessions");
	for (n = 0; n < REQUESTS && rc == VIA_OK; n++)
		session[n] = open_session(s, &rc);
	if (rc != VIA_OK)
		n--;
	for (i = 0; i < n; i++)
		if (wrong == NULL)
			wrong = call(s, p, session[n - 1 - i], s->request, s->len, s->cap, &answer,
				     &used);
	for (i = 0; i < n; i++)
		close_session(s, session[i]);
	if (rc != VIA_OK)
		check_tell(s->c->report, CHECK_FAILED, "expected %u at once, session %u: %s",
			   REQUESTS, n + 1, via_rc_text(rc));
	else if (wrong != NULL)
		(void)fail(s, s->len, s->cap, wrong);
	else
		check_tell(s->c->report, CHECK_PASSED, "%u at once", REQUESTS);
}

/* -- from several threads -------------------------------------------------------------------- */

typedef struct caller {
	const check_served *s;
	void *session;
	const char *wrong;
	char why[SYS_WHY];
	sys_thread thread;
} caller;

static void call_many_times(void *arg)
{
	caller *a = arg;
	uint64_t used;
	place p;
	via_rc rc;
	uint32_t i;

	if (!place_make(&p, a->s->cap, a->why)) {
		a->wrong = a->why;
		return;
	}
	for (i = 0; i < CALLS && a->wrong == NULL; i++)
		a->wrong =
			call(a->s, &p, a->session, a->s->request, a->s->len, a->s->cap, &rc, &used);
	place_free(&p);
}

static void check_concurrent(check_served *s, void *session)
{
	caller callers[THREADS] = {0};
	const char *wrong = NULL;
	uint32_t i, n;

	check_begin(s->c->report, "concurrent");
	if ((s->service->flags & VIA_SVC_CONCURRENT) == 0) {
		check_tell(s->c->report, CHECK_SKIPPED, "it does not say VIA_SVC_CONCURRENT");
		return;
	}
	for (n = 0; n < THREADS; n++) {
		callers[n].s = s;
		callers[n].session = session;
		if (!sys_thread_start(&callers[n].thread, call_many_times, &callers[n],
				      callers[n].why)) {
			wrong = callers[n].why;
			break;
		}
	}
	for (i = 0; i < n; i++) {
		sys_thread_join(&callers[i].thread);
		if (wrong == NULL)
			wrong = callers[i].wrong;
	}
	if (wrong != NULL)
		(void)fail(s, s->len, s->cap, wrong);
	else
		check_tell(s->c->report, CHECK_PASSED,
			   "%d calls on each of %d threads, in one session", CALLS, THREADS);
}

/* -- a component ----------------------------------------------------------------------------- */

int check_request(check_served *s)
{
	return check_find(s->codec, VIA_SIDE_REQUEST, s->codec->side[VIA_SIDE_REQUEST].n_row != 0,
			  &s->which, s->request, sizeof s->request, &s->len);
}

static void check_table(check_served *s)
{
	via_rc rc = VIA_OK;
	char why[SYS_WHY];
	void *session;
	place p;

	check_begin(s->c->report, "open");
	if (!place_make(&p, s->cap, why)) {
		check_tell(s->c->report, CHECK_FAILED, "expected memory to call it in, found: %s",
			   why);
		return;
	}
	session = open_session(s, &rc);
	if (rc != VIA_OK) {
		check_tell(s->c->report, CHECK_FAILED,
			   "expected a session for a peer that is not known, "
			   "found: %s",
			   via_rc_text(rc));
	} else {
		check_tell(s->c->report, CHECK_PASSED, "a session for a peer that is not known");
		if (check_answer(s, &p, session)) {
			check_short(s, &p, session);
			check_changed(s, &p, session);
			check_concurrent(s, session);
			check_sessions(s, &p);
		}
		close_session(s, session);
	}
	place_free(&p);
}

static void check_codec_of(check_served *s, const check_component *p, const char *name)
{
	via_ref ref = {.struct_size = sizeof ref};
	via_rc rc;

	check_begin(s->c->report, "codec %.40s", name);
	rc = via_registry_acquire(s->registry, VIA_KIND_CODEC, name, 0, &ref);
	if (rc != VIA_OK) {
		check_tell(s->c->report, CHECK_SKIPPED,
			   "no requests can be made without it: %s; --module-path says where it is",
			   check_error(rc));
		return;
	}
	s->codec = ref.vtable;
	if (check_fits(s->codec)) {
		check_tell(s->c->report, CHECK_PASSED, "method %u, found", s->codec->method);
		s->which = 0;
		s->cap = p->max_response != 0 ? p->max_response : ROOM;
		if (s->cap > MOST_ROOM)
			s->cap = MOST_ROOM;
		if ((s->service->flags & VIA_SVC_ASYNC) == 0)
			check_table(s);
		check_served_by_loop(s, p);
	} else {
		check_tell(s->c->report, CHECK_SKIPPED, "it has more than %u columns",
			   CHECK_COLUMNS);
	}
	via_registry_release(s->registry, &ref);
}

static void check_one(check_child *c, via_registry *r, const check_component *p)
{
	static check_served s; /* too large for a stack */
	via_ref ref = {.struct_size = sizeof ref};
	uint32_t i;
	via_rc rc;

	check_begin(c->report, "load");
	rc = via_registry_acquire(r, VIA_KIND_SERVICE, p->id, 0, &ref);
	if (rc != VIA_OK) {
		check_tell(c->report, CHECK_FAILED, "%s", check_error(rc));
		return;
	}
	s.c = c;
	s.registry = r;
	s.service = ref.vtable;
	s.self = ref.self;
	check_tell(c->report, CHECK_PASSED, "%s", s.service->name);
	for (i = 0; s.service->codecs[i] != NULL; i++)
		check_codec_of(&s, p, s.service->codecs[i]);
	via_registry_release(r, &ref);
}

void check_service(check_child *c)
{
	via_registry *r;
	uint32_t i;

	check_begin(c->report, "load");
	if (!check_open(c, NULL, VIA_LOAD_COPY, &r))
		return;
	check_forget(c->report);
	for (i = 0; i < c->module.n_components; i++)
		if (c->module.component[i].kind == VIA_KIND_SERVICE)
			check_one(c, r, &c->module.component[i]);
	(void)check_close(c, r);
}
