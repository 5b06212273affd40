/* SPDX-License-Identifier: Apache-2.0
 * core/os/windows/poller.h - the parts of a poller. */
#ifndef VIA_CORE_OS_WIN_POLLER_H
#define VIA_CORE_OS_WIN_POLLER_H
#include "win.h"

/* WaitForMultipleObjects() takes 64: the bell, 62 objects, and the timer of the words. */
#define DIRECT_MAX (MAXIMUM_WAIT_OBJECTS - 1)
#define BELL 0

enum place {
	QUIET,  /* nobody waits for it: a handle that is silenced, a word that was told */
	DIRECT, /* among the handles that the caller waits for itself */
	POOLED, /* with the thread pool, or in the row before it */
	ARMED   /* among the words that are looked at */
};

/* What the pool saw. It may have reset the event, so it must be told even if it is not ready any more. */
enum fired { NOT_SEEN, SEEN, PERHAPS };

struct entry {
	os_poller *p;
	void *key;
	int is_word;
	uint64_t id; /* the handle, or the address of the word */
	enum place place;
	uint32_t expected; /* of a word */
	uint32_t at;       /* where it is among the armed words */
	HANDLE wait;       /* the pool's, NULL when there is none */
	enum fired fired;
	struct entry *rung;        /* next of those whose callback has run */
	struct entry *prev, *next; /* in the row; NULL when it is not there */
};

/* Entries by what they watch: a hash of at most half full, so that a search is short. */
struct set {
	struct entry **slots;
	uint32_t n, cap; /* cap: 0 or a power of 2 */
};

struct armed {
	const volatile uint32_t *word;
	uint32_t expected;
	struct entry *x;
};

struct words {
	struct armed *all;
	uint32_t n, cap; /* cap: enough for every word of the set */
	uint32_t next;   /* where the next look begins, so that nobody starves */
	uint32_t n_known;
};

struct pool {
	struct entry *volatile rung; /* a stack; callbacks push, the waiting thread takes all */
	struct entry row;            /* ends of the ring of those that need a look and a wait */
	uint32_t n_row;
};

struct os_poller {
	const core_env *e;
	struct set set;
	HANDLE direct[MAXIMUM_WAIT_OBJECTS]; /* [BELL] is an automatic-reset event */
	struct entry *direct_of[DIRECT_MAX];
	uint32_t n_direct; /* with the bell */
	uint32_t lonely;   /* see look_on() */
	struct pool pool;
	struct words words;
	struct win_pace pace;
	uint32_t turn; /* whose turn it is to be looked at first */
};

struct batch {
	os_event *out;
	uint32_t n, cap;
	uint32_t n_fresh; /* of the direct ones, at the end: told already in this look */
};

static inline void batch_tell(struct batch *b, const struct entry *x)
{
	b->out[b->n++].key = x->key;
}

/* -- poller_set.c -------------------------------------------------------------------------------- */

struct entry *win_set_find(const struct set *s, int is_word, uint64_t id);
via_rc win_set_add(struct set *s, const core_env *e, struct entry *x);
void win_set_remove(struct set *s, struct entry *x);

/* -- poller_words.c ------------------------------------------------------------------------------ */

/* Room for one word more. */
via_rc win_words_reserve(struct words *w, const core_env *e);
void win_words_arm(struct words *w, struct entry *x, uint32_t expected);
void win_words_disarm(struct words *w, struct entry *x);
void win_words_look(struct words *w, struct batch *b);

/* -- poller_pool.c ------------------------------------------------------------------------------- */

void win_pool_open(struct pool *l);
void win_pool_add(struct pool *l, struct entry *x);
/* When this returns the callback is not running and will not. */
void win_pool_remove(struct pool *l, struct entry *x);
/* Tells the ones that are ready, each of which leaves the pool; `promote` says where it goes. The others are
 * handed to the system's thread pool. */
via_rc win_pool_look(struct pool *l, struct batch *b,
		     void (*promote)(struct batch *b, struct entry *x));

#endif
