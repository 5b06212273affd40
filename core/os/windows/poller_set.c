/* core/os/windows/poller_set.c - which entry watches a handle or a word: open addressing, linear
 * probing, at most half full. */
#include "poller.h"
#include <string.h>

static uint32_t home(const struct set *s, uint64_t id)
{
	return (uint32_t)((id * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & (s->cap - 1);
}

/* Where the entry is, or the free slot where it would be. */
static uint32_t slot_of(const struct set *s, int is_word, uint64_t id)
{
	uint32_t i = home(s, id);

	while (s->slots[i] != NULL && (s->slots[i]->id != id || s->slots[i]->is_word != is_word))
		i = (i + 1) & (s->cap - 1);
	return i;
}

struct entry *win_set_find(const struct set *s, int is_word, uint64_t id)
{
	return s->n == 0 ? NULL : s->slots[slot_of(s, is_word, id)];
}

static via_rc grow(struct set *s, const core_env *e)
{
	struct set bigger = {NULL, s->n, s->cap == 0 ? 64 : s->cap * 2};
	struct entry *x;
	uint32_t i;

	bigger.slots = env_alloc(e, (uint64_t)bigger.cap * sizeof *bigger.slots);
	if (bigger.slots == NULL)
		return core_nomem("poller");
	memset(bigger.slots, 0, bigger.cap * sizeof *bigger.slots);
	for (i = 0; i < s->cap; i++) {
		x = s->slots[i];
		if (x != NULL)
			bigger.slots[slot_of(&bigger, x->is_word, x->id)] = x;
	}
	env_free(e, s->slots);
	*s = bigger;
	return VIA_OK;
}

via_rc win_set_add(struct set *s, const core_env *e, struct entry *x)
{
	via_rc rc;

	if (s->n >= s->cap / 2 && (rc = grow(s, e)) != VIA_OK)
		return rc;
	s->slots[slot_of(s, x->is_word, x->id)] = x;
	s->n++;
	return VIA_OK;
}

/* Those behind it that are there for want of its slot move up. */
void win_set_remove(struct set *s, struct entry *x)
{
	const uint32_t mask = s->cap - 1;
	uint32_t hole = slot_of(s, x->is_word, x->id), i;

	for (i = (hole + 1) & mask; s->slots[i] != NULL; i = (i + 1) & mask) {
		if (((i - home(s, s->slots[i]->id)) & mask) < ((i - hole) & mask))
			continue;
		s->slots[hole] = s->slots[i];
		hole = i;
	}
	s->slots[hole] = NULL;
	s->n--;
}
