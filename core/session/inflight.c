/* core/session/inflight.c - set of message ids under way: open addressing, linear probing. */
#include "session.h"
#include <string.h>

enum { FIRST_CAP = 8, MAX_CAP = 1 << 17 };

void inflight_init(inflight *f)
{
	*f = (inflight){0};
	os_mutex_init(&f->lock);
}

void inflight_free(const core_env *e, inflight *f)
{
	env_free(e, f->slot);
	os_mutex_destroy(&f->lock);
}

static uint32_t home(const inflight *f, uint64_t id)
{
	return (uint32_t)((id * 0x9E3779B97F4A7C15u) >> 40) & (f->cap - 1);
}

/* Index of id, or of the free place where it would go. */
static uint32_t find(const inflight *f, uint64_t id)
{
	uint32_t i = home(f, id);

	while (f->used[i] != 0 && f->slot[i] != id)
		i = (i + 1) & (f->cap - 1);
	return i;
}

static void put(inflight *f, uint64_t id)
{
	uint32_t i = find(f, id);

	f->slot[i] = id;
	f->used[i] = 1;
}

static via_rc grow(const core_env *e, inflight *f)
{
	inflight bigger = *f;
	uint32_t i;

	bigger.cap = f->cap == 0 ? FIRST_CAP : f->cap * 2;
	if (bigger.cap > MAX_CAP)
		return core_fail(VIA_LIMIT, "requests in flight: expected at most %d", MAX_CAP / 2);
	bigger.slot = env_alloc(e, (uint64_t)bigger.cap * (sizeof *bigger.slot + 1));
	if (bigger.slot == NULL)
		return core_nomem("table of requests in flight");
	bigger.used = (uint8_t *)(bigger.slot + bigger.cap);
	for (i = 0; i < f->cap; i++)
		if (f->used[i] != 0)
			put(&bigger, f->slot[i]);
	env_free(e, f->slot);
	f->slot = bigger.slot;
	f->used = bigger.used;
	f->cap = bigger.cap;
	return VIA_OK;
}

via_rc inflight_add(const core_env *e, inflight *f, uint64_t id)
{
	via_rc rc = VIA_OK;

	os_mutex_lock(&f->lock);
	if (f->n * 2 >= f->cap)
		rc = grow(e, f);
	if (rc == VIA_OK && f->used[find(f, id)] != 0)
		rc = core_fail(VIA_EXISTS, "message id %llu is in flight already",
			       (unsigned long long)id);
	if (rc == VIA_OK) {
		put(f, id);
		f->n++;
	}
	os_mutex_unlock(&f->lock);
	return rc;
}

/* Closes the gap at i: later entries of the same run move up. */
static void close_gap(inflight *f, uint32_t i)
{
	uint32_t j = i;

	for (;;) {
		uint32_t h;

		j = (j + 1) & (f->cap - 1);
		if (f->used[j] == 0)
			break;
		h = home(f, f->slot[j]);
		if (((j - h) & (f->cap - 1)) >= ((j - i) & (f->cap - 1))) {
			f->slot[i] = f->slot[j];
			i = j;
		}
	}
	f->used[i] = 0;
}

int inflight_take(inflight *f, uint64_t id)
{
	int found = 0;

	os_mutex_lock(&f->lock);
	if (f->n != 0) {
		uint32_t i = find(f, id);

		found = f->used[i];
		if (found != 0) {
			close_gap(f, i);
			f->n--;
		}
	}
	os_mutex_unlock(&f->lock);
	return found;
}
