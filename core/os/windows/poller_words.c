/* core/os/windows/poller_words.c - the armed words of a poller, in one array that is looked through. */
#include "poller.h"
#include <string.h>

via_rc win_words_reserve(struct words *w, const core_env *e)
{
	const uint32_t cap = w->cap == 0 ? 16 : w->cap * 2;
	struct armed *all;

	if (w->n_known < w->cap)
		return VIA_OK;
	all = env_alloc(e, (uint64_t)cap * sizeof *all);
	if (all == NULL)
		return core_nomem("words of a poller");
	if (w->n != 0)
		memcpy(all, w->all, w->n * sizeof *all);
	env_free(e, w->all);
	w->all = all;
	w->cap = cap;
	return VIA_OK;
}

void win_words_arm(struct words *w, struct entry *x, uint32_t expected)
{
	if (x->place != ARMED)
		x->at = w->n++;
	x->place = ARMED;
	w->all[x->at] = (struct armed){(const volatile uint32_t *)(uintptr_t)x->id, expected, x};
}

void win_words_disarm(struct words *w, struct entry *x)
{
	if (x->place != ARMED)
		return;
	x->place = QUIET;
	w->n--;
	w->all[x->at] = w->all[w->n];
	w->all[x->at].x->at = x->at;
}

/* Disarming brings the last word to the same index, which is looked at next. When that makes the look
 * miss one, there is something to tell already. The next look begins behind where this one ended,
 * not with the word that was brought there: that one may have been told just now and armed again. */
void win_words_look(struct words *w, struct batch *b)
{
	uint32_t left = w->n, i = w->next;

	for (; left > 0 && b->n < b->cap; left--) {
		if (i >= w->n)
			i = 0;
		if (win_word_differs(w->all[i].word, w->all[i].expected)) {
			batch_tell(b, w->all[i].x);
			win_words_disarm(w, w->all[i].x);
		} else {
			i++;
		}
	}
	w->next = i + 1;
}
