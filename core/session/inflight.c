/* core/session/inflight.c - set of message ids under way.
 *
 * Ids usually count up, so each has a place of its own in a small array that the send lane fills and the
 * receive lane empties without a lock. An id whose place is taken goes to a table behind a lock: open
 * addressing, linear probing. Only the send lane adds and only the receive lane removes, so a place that the
 * send lane has seen free stays free until it fills it. */
#include "session.h"
#include <string.h>

enum { FIRST_CAP = 8, MAX_CAP = 1 << 17 };

void inflight_init(inflight *f)
{
	memset(f, 0, sizeof *f);
	os_mutex_init(&f->lock);
}

void inflight_free(const core_env *e, inflight *f)
{
	env_free(e, f->table.slot);
	os_mutex_destroy(&f->lock);
}

static uint32_t home(const struct id_table *f, uint64_t id)
{
	return (uint32_t)((id * 0x9E3779B97F4A7C15u) >> 40) & (f->cap - 1);
}

/* Index of id, or of the free place where it would go. */
static uint32_t find(const struct id_table *f, uint64_t id)
{
	uint32_t i = home(f, id);

	while (f->used[i] != 0 && f->slot[i] != id)
		i = (i + 1) & (f->cap - 1);
	return i;
}

static void put(struct id_table *f, uint64_t id)
{
	uint32_t i = find(f, id);

	f->slot[i] = id;
	f->used[i] = 1;
}

static via_rc grow(const core_env *e, struct id_table *f)
{
	struct id_table bigger;
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
	*f = bigger;
	return VIA_OK;
}

static via_rc is_double(uint64_t id)
{
	return core_fail(VIA_EXISTS, "message id %llu is in flight already",
			 (unsigned long long)id);
}

static via_rc add_locked(const core_env *e, inflight *f, uint64_t id)
{
	uint32_t n = atomic_load_explicit(&f->n, memory_order_relaxed);
	via_rc rc = VIA_OK;

	if (n * 2 >= f->table.cap)
		rc = grow(e, &f->table);
	if (rc != VIA_OK)
		return rc;
	if (f->table.used[find(&f->table, id)] != 0)
		return is_double(id);
	put(&f->table, id);
	atomic_store_explicit(&f->n, n + 1, memory_order_release);
	return VIA_OK;
}

static int has(inflight *f, uint64_t id)
{
	int found;

	os_mutex_lock(&f->lock);
	found = atomic_load(&f->n) != 0 && f->table.used[find(&f->table, id)] != 0;
	os_mutex_unlock(&f->lock);
	return found;
}

via_rc inflight_add(const core_env *e, inflight *f, uint64_t id)
{
	_Atomic uint64_t *place = &f->quick[id % INFLIGHT_QUICK];
	uint64_t there = atomic_load_explicit(place, memory_order_acquire);
	via_rc rc;

	if (there == id + 1 && there != 0)
		return is_double(id);
	if (there == 0 && id != UINT64_MAX) {
		if (atomic_load_explicit(&f->n, memory_order_acquire) != 0 && has(f, id))
			return is_double(id);
		atomic_store_explicit(place, id + 1, memory_order_release);
		return VIA_OK;
	}
	os_mutex_lock(&f->lock);
	rc = add_locked(e, f, id);
	os_mutex_unlock(&f->lock);
	return rc;
}

/* Closes the gap at i: later entries of the same run move up. */
static void close_gap(struct id_table *f, uint32_t i)
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
	_Atomic uint64_t *place = &f->quick[id % INFLIGHT_QUICK];
	int found = 0;

	if (id != UINT64_MAX && atomic_load_explicit(place, memory_order_acquire) == id + 1) {
		atomic_store_explicit(place, 0, memory_order_release);
		return 1;
	}
	if (atomic_load_explicit(&f->n, memory_order_acquire) == 0)
		return 0;
	os_mutex_lock(&f->lock);
	if (atomic_load(&f->n) != 0) {
		uint32_t i = find(&f->table, id);

		found = f->table.used[i];
		if (found != 0) {
			close_gap(&f->table, i);
			atomic_fetch_sub(&f->n, 1);
		}
	}
	os_mutex_unlock(&f->lock);
	return found;
}
