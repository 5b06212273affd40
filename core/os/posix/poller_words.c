/* core/os/posix/poller_words.c - the futex words of a poller, and descriptors while it sleeps on them.
 *
 * The waiting thread itself sleeps in futex_waitv(), on every armed word and on one of the poller's
 * own, the stage: what changes a word wakes the very thread that will read the data. Descriptors
 * are watched meanwhile by a helper thread, which sits in poll() on the epoll descriptor and takes
 * nothing out of it. When one is ready it goes back to PARKED, which ends the sleep, and stays
 * there until the waiting thread, having found no more events, sleeps again:
 *
 *	PARKED  the helper sleeps; descriptors have to be looked at before the next sleep
 *	WATCH   the helper is in poll(); the waiting thread may sleep
 *	STOP    the helper ends
 *
 * So the helper costs two wake-ups for each batch of descriptor events, and none without events.
 *
 * Beyond 127 armed words, or without futex_waitv(), the sleep is on the stage only and in slices of
 * POSIX_SCAN_NS: descriptors still end it at once, words at the end of the slice.
 *
 * Words lie in one array, armed ones first, beside the array that the kernel is given; a hash finds
 * a word's index by its address. All but the stage and the error belong to the waiting thread. */
#include "posix.h"

#if defined(OS_LINUX)
#include <poll.h>
#include <stdatomic.h>
#include <string.h>

enum { PARKED, WATCH, STOP };

struct entry {
	const volatile uint32_t *word;
	void *key;
	uint32_t expected;
	uint32_t slot; /* where the hash knows it */
};

struct posix_words {
	const core_env *e;
	int epoll;
	os_waker *stop;
	os_thread *helper;
	_Atomic uint32_t stage;
	_Atomic int error; /* errno that kept the helper from watching */
	int no_waitv;
	uint32_t n, n_armed, cap;
	uint32_t next;     /* where the next look begins, so that nobody starves */
	struct entry *all; /* [0..n_armed) are armed */
	uint32_t *slots;   /* 2 * cap, a power of 2: index + 1, or 0 */
	struct posix_futex futex[POSIX_FUTEX_MAX]; /* the stage, then all[0], all[1], ... */
};

/* -- the helper ----------------------------------------------------------------------------------
 */

/* errno, or 0 when a descriptor is ready or the helper is to end. */
static int watch(struct posix_words *w)
{
	struct pollfd fds[2] = {{.fd = w->epoll, .events = POLLIN}, {.events = POLLIN}};
	via_waitobj stop;
	int n;

	os_waker_object(w->stop, &stop);
	fds[1].fd = (int)stop.handle;
	do
		n = posix_may(w->e, "poll") ? poll(fds, 2, -1) : -1;
	while (n < 0 && errno == EINTR);
	return n < 0 ? errno : 0;
}

static void helper_main(void *arg)
{
	struct posix_words *w = arg;
	uint32_t stage;

	for (;;) {
		stage = atomic_load(&w->stage);
		if (stage == STOP)
			return;
		if (stage == PARKED) {
			posix_futex_park(&w->stage, PARKED);
			continue;
		}
		atomic_store(&w->error, watch(w));
		if (atomic_compare_exchange_strong(&w->stage, &stage, PARKED))
			posix_futex_wake(&w->stage);
	}
}

via_rc posix_words_open(const core_env *e, int epoll, struct posix_words **out)
{
	struct posix_words *w;
	via_rc rc;

	w = env_alloc(e, sizeof *w);
	if (w == NULL)
		return core_nomem("futex words");
	memset(w, 0, sizeof *w);
	w->e = e;
	w->epoll = epoll;
	w->futex[0] = posix_futex_of((const volatile uint32_t *)&w->stage, WATCH, 1);
	rc = os_waker_open(e, &w->stop);
	if (rc != VIA_OK)
		goto free_words;
	rc = os_thread_start(e, "via-words", helper_main, w, &w->helper);
	if (rc != VIA_OK)
		goto close_waker;
	*out = w;
	return VIA_OK;

close_waker:
	os_waker_close(e, w->stop);
free_words:
	env_free(e, w);
	return rc;
}

void posix_words_close(struct posix_words *w)
{
	if (w == NULL)
		return;
	atomic_store(&w->stage, STOP);
	posix_futex_wake(&w->stage);
	os_waker_set(w->stop);
	os_thread_join(w->e, w->helper);
	os_waker_close(w->e, w->stop);
	env_free(w->e, w->all);
	env_free(w->e, w->slots);
	env_free(w->e, w);
}

/* -- the set -------------------------------------------------------------------------------------
 */

static uint32_t home(const struct posix_words *w, const volatile uint32_t *word)
{
	uint64_t mixed = (uint64_t)(uintptr_t)word * UINT64_C(0x9e3779b97f4a7c15);

	return (uint32_t)(mixed >> 32) & (2 * w->cap - 1);
}

/* Where the hash has a word, or the free slot where it would be. */
static uint32_t slot_of(const struct posix_words *w, const volatile uint32_t *word)
{
	uint32_t s = home(w, word);

	while (w->slots[s] != 0 && w->all[w->slots[s] - 1].word != word)
		s = (s + 1) & (2 * w->cap - 1);
	return s;
}

/* The word's index; n when there is none. */
static uint32_t find(const struct posix_words *w, const volatile uint32_t *word)
{
	uint32_t s;

	if (w->n == 0)
		return 0;
	s = slot_of(w, word);
	return w->slots[s] == 0 ? w->n : w->slots[s] - 1;
}

static void put(struct posix_words *w, uint32_t i, struct entry x)
{
	w->all[i] = x;
	w->slots[x.slot] = i + 1;
	if (i + 1 < POSIX_FUTEX_MAX)
		w->futex[i + 1] = posix_futex_of(x.word, x.expected, 0);
}

static void swap(struct posix_words *w, uint32_t i, uint32_t k)
{
	struct entry x = w->all[i];

	put(w, i, w->all[k]);
	put(w, k, x);
}

static void arm(struct posix_words *w, uint32_t i)
{
	if (i >= w->n_armed)
		swap(w, i, w->n_armed++);
}

/* Returns where it went. */
static uint32_t disarm(struct posix_words *w, uint32_t i)
{
	if (i < w->n_armed) {
		swap(w, i, --w->n_armed);
		i = w->n_armed;
	}
	return i;
}

/* Frees a slot; those behind it that are there for want of it move up. */
static void free_slot(struct posix_words *w, uint32_t s)
{
	const uint32_t mask = 2 * w->cap - 1;
	uint32_t i;

	for (i = (s + 1) & mask; w->slots[i] != 0; i = (i + 1) & mask) {
		struct entry *x = &w->all[w->slots[i] - 1];

		if (((i - home(w, x->word)) & mask) < ((i - s) & mask))
			continue;
		w->slots[s] = w->slots[i];
		x->slot = s;
		s = i;
	}
	w->slots[s] = 0;
}

static via_rc grow(struct posix_words *w)
{
	const uint32_t cap = w->cap == 0 ? 16 : w->cap * 2;
	struct entry *old = w->all, *all = env_alloc(w->e, (uint64_t)cap * sizeof *all);
	uint32_t *slots = env_alloc(w->e, (uint64_t)cap * 2 * sizeof *slots);
	uint32_t i;

	if (all == NULL || slots == NULL) {
		env_free(w->e, all);
		env_free(w->e, slots);
		return core_nomem("futex words");
	}
	memset(slots, 0, (size_t)cap * 2 * sizeof *slots);
	env_free(w->e, w->slots);
	w->all = all;
	w->slots = slots;
	w->cap = cap;
	for (i = 0; i < w->n; i++) {
		struct entry x = old[i];

		x.slot = slot_of(w, x.word);
		put(w, i, x);
	}
	env_free(w->e, old);
	return VIA_OK;
}

via_rc posix_words_add(struct posix_words *w, const via_waitobj *obj, void *key)
{
	struct entry x = {obj->word, key, obj->expected, 0};
	via_rc rc;

	if (find(w, obj->word) != w->n)
		return core_fail(VIA_EXISTS, "futex word at %#llx is watched already",
				 (unsigned long long)(uintptr_t)obj->word);
	if (w->n == w->cap && (rc = grow(w)) != VIA_OK)
		return rc;
	x.slot = slot_of(w, x.word);
	put(w, w->n++, x);
	arm(w, w->n - 1);
	return VIA_OK;
}

via_rc posix_words_modify(struct posix_words *w, const via_waitobj *obj, void *key)
{
	uint32_t i = find(w, obj->word);
	struct entry x;

	if (i == w->n)
		return core_fail(VIA_NOTFOUND, "futex word at %#llx is not watched",
				 (unsigned long long)(uintptr_t)obj->word);
	x = w->all[i];
	x.key = key;
	x.expected = obj->expected;
	put(w, i, x);
	arm(w, i);
	return VIA_OK;
}

void posix_words_remove(struct posix_words *w, const via_waitobj *obj)
{
	uint32_t i = find(w, obj->word), slot;

	if (i == w->n)
		return;
	i = disarm(w, i);
	slot = w->all[i].slot;
	put(w, i, w->all[--w->n]);
	free_slot(w, slot);
}

/* -- waiting -------------------------------------------------------------------------------------
 */

uint32_t posix_words_armed(const struct posix_words *w)
{
	return w->n_armed;
}

/* Disarming brings the last word to the same index, which is looked at next. When that makes the look
 * miss one, there is something to tell already. The next look begins behind where this one ended,
 * not with the word that was brought there: that one may have been told just now and armed again. */
uint32_t posix_words_look(struct posix_words *w, os_event *out, uint32_t cap)
{
	uint32_t left = w->n_armed, i = w->next, got = 0;

	for (; left > 0 && got < cap; left--) {
		if (i >= w->n_armed)
			i = 0;
		if (posix_word_differs(w->all[i].word, w->all[i].expected)) {
			out[got++].key = w->all[i].key;
			(void)disarm(w, i);
		} else {
			i++;
		}
	}
	w->next = i + 1;
	return got;
}

int posix_words_called(const struct posix_words *w)
{
	return atomic_load(&w->stage) == PARKED;
}

via_rc posix_words_sleep(struct posix_words *w, via_time deadline)
{
	int err;

	if (posix_words_called(w)) {
		err = atomic_exchange(&w->error, 0);
		if (err != 0)
			return core_fail_os(VIA_IO, err, "watching descriptors beside futex words");
		atomic_store(&w->stage, WATCH);
		posix_futex_wake(&w->stage);
	}
	if (posix_futex_sleep(w->e, w->futex, w->n_armed + 1, &w->no_waitv, deadline) != 0)
		return core_fail_os(VIA_IO, errno, "sleeping on %u futex words", w->n_armed);
	return VIA_OK;
}
#endif
