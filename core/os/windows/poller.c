/* core/os/windows/poller.c - many objects, each with a key.
 *
 * Up to 62 handles are waited for by the calling thread itself, in one call; the others by the thread
 * pool (poller_pool.c), whose bell is among the 62. Which are which follows use: a handle from the
 * pool that becomes ready takes the place of the one that was told longest ago. So a thousand
 * sessions of which fifty are busy cost what fifty cost.
 *
 * One call of the system for each wake-up is the aim. Nothing is looked at before the sleep but what
 * lies in memory, and after it the handles behind the one that was found only while that keeps
 * finding some. The row of handles turns, what was told goes to its end, so that nobody starves.
 *
 * Words (words.c) are looked at before each sleep, which is cut in slices while one is armed.
 *
 * Readiness of an automatic-reset event is consumed by finding it, so it is told once. Handles that are
 * in the pool are seen a moment later than the others, and one that is reset in that moment, or silenced,
 * is told nevertheless when it is watched, for it may be such an event. For handles, fd_events says only whether to watch:
 * os_poller_modify() with 0 silences one. os_poller_add() always watches, since who fills a waitobj
 * with a handle has no reason to set fd_events. */
#include "poller.h"
#include <string.h>

#define LOOK_ON_EACH 8 /* wake-ups of a single handle */

enum source { WORDS, POOL, HANDLES, N_SOURCES };

via_rc os_poller_open(const core_env *e, os_poller **out)
{
	struct os_poller *p;
	DWORD err;

	p = env_alloc(e, sizeof *p);
	if (p == NULL)
		return core_nomem("poller");
	memset(p, 0, sizeof *p);
	p->e = e;
	p->direct[BELL] =
		win_may(e, "CreateEventW") ? CreateEventW(NULL, FALSE, FALSE, NULL) : NULL;
	if (p->direct[BELL] == NULL) {
		err = GetLastError();
		env_free(e, p);
		return core_fail_os(win_rc(err), err, "creating a poller");
	}
	p->n_direct = 1;
	win_pool_open(&p->pool);
	*out = p;
	return VIA_OK;
}

/* -- the row of handles --------------------------------------------------------------------------
 */

static void direct_append(os_poller *p, struct entry *x)
{
	x->place = DIRECT;
	p->direct[p->n_direct] = (HANDLE)(uintptr_t)x->id;
	p->direct_of[p->n_direct++] = x;
}

static struct entry *direct_take(os_poller *p, uint32_t i)
{
	struct entry *x = p->direct_of[i];
	const uint32_t behind = --p->n_direct - i;

	memmove(&p->direct[i], &p->direct[i + 1], behind * sizeof p->direct[0]);
	memmove(&p->direct_of[i], &p->direct_of[i + 1], behind * sizeof p->direct_of[0]);
	x->place = QUIET;
	return x;
}

/* From the pool into the row; the first of the row, told longest ago, makes room. */
static void promote(struct batch *b, struct entry *x)
{
	os_poller *p = x->p;

	if (p->n_direct == DIRECT_MAX && b->n_fresh == DIRECT_MAX - 1) {
		win_pool_add(&p->pool, x); /* all of them were told just now */
		return;
	}
	if (p->n_direct == DIRECT_MAX)
		win_pool_add(&p->pool, direct_take(p, BELL + 1));
	direct_append(p, x);
	b->n_fresh++;
}

static void watch(os_poller *p, struct entry *x)
{
	if (p->n_direct < DIRECT_MAX && x->fired == NOT_SEEN)
		direct_append(p, x);
	else
		win_pool_add(&p->pool, x);
}

static void silence(os_poller *p, struct entry *x)
{
	uint32_t i = BELL + 1;

	if (x->place == POOLED) {
		win_pool_remove(&p->pool, x);
	} else if (x->place == DIRECT) {
		while (p->direct_of[i] != x)
			i++;
		(void)direct_take(p, i);
	}
}

/* -- the set -------------------------------------------------------------------------------------
 */

static uint64_t id_of(const via_waitobj *obj)
{
	return obj->kind == VIA_WAIT_WORD ? (uint64_t)(uintptr_t)obj->word : (uint64_t)obj->handle;
}

static struct entry *find(const os_poller *p, const via_waitobj *obj)
{
	return win_set_find(&p->set, obj->kind == VIA_WAIT_WORD, id_of(obj));
}

static const char *noun(const via_waitobj *obj)
{
	return obj->kind == VIA_WAIT_WORD ? "word at" : "handle";
}

static via_rc check(const via_waitobj *obj)
{
	if (obj->kind == VIA_WAIT_WIN)
		return VIA_OK;
	if (obj->kind == VIA_WAIT_WORD)
		return win_word_check(obj);
	return core_fail(VIA_INVAL, "object has kind %d, expected a handle or a word", obj->kind);
}

static via_rc new_entry(os_poller *p, const via_waitobj *obj, void *key, struct entry **out)
{
	struct entry *x = env_alloc(p->e, sizeof *x);
	via_rc rc;

	if (x == NULL)
		return core_nomem("watched object");
	memset(x, 0, sizeof *x);
	x->p = p;
	x->key = key;
	x->is_word = obj->kind == VIA_WAIT_WORD;
	x->id = id_of(obj);
	rc = x->is_word ? win_words_reserve(&p->words, p->e) : VIA_OK;
	if (rc == VIA_OK)
		rc = win_set_add(&p->set, p->e, x);
	if (rc != VIA_OK) {
		env_free(p->e, x);
		return rc;
	}
	*out = x;
	return VIA_OK;
}

via_rc os_poller_add(os_poller *p, const via_waitobj *obj, void *key)
{
	struct entry *x = NULL;
	via_rc rc;

	rc = check(obj);
	if (rc != VIA_OK)
		return rc;
	if (find(p, obj) != NULL)
		return core_fail(VIA_EXISTS, "%s %#llx is watched already", noun(obj),
				 (unsigned long long)id_of(obj));
	rc = new_entry(p, obj, key, &x);
	if (rc != VIA_OK)
		return rc;
	if (x->is_word) {
		p->words.n_known++;
		win_words_arm(&p->words, x, obj->expected);
	} else {
		watch(p, x);
	}
	return VIA_OK;
}

via_rc os_poller_modify(os_poller *p, const via_waitobj *obj, void *key)
{
	struct entry *x = find(p, obj);

	if (x == NULL)
		return core_fail(VIA_NOTFOUND, "%s %#llx is not watched", noun(obj),
				 (unsigned long long)id_of(obj));
	x->key = key;
	if (x->is_word)
		win_words_arm(&p->words, x, obj->expected);
	else if (obj->fd_events == 0)
		silence(p, x);
	else if (x->place == QUIET)
		watch(p, x);
	return VIA_OK;
}

void os_poller_remove(os_poller *p, const via_waitobj *obj)
{
	struct entry *x = find(p, obj);

	if (x == NULL)
		return;
	if (x->is_word) {
		win_words_disarm(&p->words, x);
		p->words.n_known--;
	} else {
		silence(p, x);
	}
	win_set_remove(&p->set, x);
	env_free(p->e, x);
}

void os_poller_close(os_poller *p)
{
	uint32_t i;

	if (p == NULL)
		return;
	for (i = 0; i < p->set.cap; i++)
		if (p->set.slots[i] != NULL && p->set.slots[i]->place == POOLED)
			win_pool_remove(&p->pool, p->set.slots[i]);
	for (i = 0; i < p->set.cap; i++)
		env_free(p->e, p->set.slots[i]);
	win_pace_close(&p->pace);
	CloseHandle(p->direct[BELL]);
	env_free(p->e, p->words.all);
	env_free(p->e, p->set.slots);
	env_free(p->e, p);
}

/* -- waiting -------------------------------------------------------------------------------------
 */

/* Whether to look for more handles after one was found. Where that finds none, most wake-ups do without. */
static int look_on(os_poller *p)
{
	return p->lonely == 0 || ++p->lonely > LOOK_ON_EACH;
}

/* How the look at the handles may pass the time until one is ready. */
enum pace { NOT_AT_ALL, IN_SLICES, ASLEEP };

static int first_of(os_poller *p, uint32_t n, enum pace pace, via_time deadline)
{
	if (pace == IN_SLICES)
		return win_pace_sleep(p->e, &p->pace, p->direct, n, deadline);
	return win_wait(p->e, p->direct, n, pace == ASLEEP ? win_ms_left(deadline) : 0);
}

/* Those at the end that were told just now are not looked at again. The bell is told to nobody: the
 * next look finds what it was rung for. */
static via_rc look_handles(os_poller *p, struct batch *b, enum pace pace, via_time deadline)
{
	uint32_t lo = 0, hi = p->n_direct - b->n_fresh;
	int got = first_of(p, hi, pace, deadline);

	while (got >= 0 && lo + (uint32_t)got < hi) {
		lo += (uint32_t)got;
		if (lo == BELL)
			return VIA_OK;
		batch_tell(b, p->direct_of[lo]);
		direct_append(p, direct_take(p, lo));
		hi--;
		if (b->n == b->cap || lo == hi || !look_on(p))
			return VIA_OK;
		got = win_wait(p->e, p->direct + lo, hi - lo, 0);
		p->lonely = got >= 0 && lo + (uint32_t)got < hi ? 0 : 1;
	}
	return got >= 0 ? VIA_OK
			: core_fail_os(VIA_IO, GetLastError(), "waiting for %u handles", hi - lo);
}

static via_rc look(os_poller *p, struct batch *b, enum pace pace, via_time deadline)
{
	via_rc rc = VIA_OK;
	uint32_t k;

	for (k = 0; k < N_SOURCES && b->n < b->cap && rc == VIA_OK; k++) {
		const int wait = k + 1 == N_SOURCES && b->n == 0;

		switch ((enum source)((p->turn + k) % N_SOURCES)) {
		case WORDS:
			win_words_look(&p->words, b);
			break;
		case POOL:
			rc = win_pool_look(&p->pool, b, promote);
			break;
		default:
			rc = look_handles(p, b, wait ? pace : NOT_AT_ALL, deadline);
			break;
		}
	}
	p->turn = b->n == b->cap ? (p->turn + 1) % N_SOURCES : WORDS;
	return rc;
}

via_rc os_poller_wait(os_poller *p, os_event *out, uint32_t cap, via_time deadline)
{
	struct batch b = {out, 0, cap, 0};
	int last, first = 1;
	enum pace pace;
	via_rc rc;

	if (cap == 0)
		return core_fail(VIA_INVAL, "room for 0 events, expected at least 1");
	win_pace_begin(&p->pace);
	for (;; first = 0) {
		last = win_is_past(deadline);
		if (p->words.n == 0)
			pace = last ? NOT_AT_ALL : ASLEEP;
		else if (last || first)
			pace = NOT_AT_ALL;
		else
			pace = IN_SLICES;
		rc = look(p, &b, pace, deadline);
		if (b.n != 0)
			return (via_rc)
				b.n; /* what was found may have been reset: it must be told */
		if (rc != VIA_OK)
			return rc;
		if (last)
			return 0;
		while (p->words.n != 0 && win_pace_offer(&p->pace)) {
			win_words_look(&p->words, &b);
			if (b.n != 0)
				return (via_rc)b.n;
		}
	}
}
