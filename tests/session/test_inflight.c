/* tests/session/test_inflight.c - the set of ids under way: places that collide, the largest id, two lanes at once. */
#include "sess_rig.h"

TestSuite(inflight, .init = sr_open, .fini = sr_close, .timeout = 60);

static inflight set;

static void add(uint64_t id, via_rc rc)
{
	sr_is(inflight_add(&core_env_libc, &set, id), rc);
}

static void take(uint64_t id, int there)
{
	cr_assert_eq(inflight_take(&set, id), there, "id %llu: expected %d", (unsigned long long)id,
		     there);
}

Test(inflight, duplicates_wherever_they_lie)
{
	inflight_init(&set);
	add(5, VIA_OK);
	add(5, VIA_EXISTS); /* in its place */
	add(69, VIA_OK);    /* the place is taken: in the table */
	add(69, VIA_EXISTS);
	take(5, 1);
	add(69, VIA_EXISTS); /* its place is free, it is in the table all the same */
	add(5, VIA_OK);
	add(5, VIA_EXISTS);
	take(69, 1);
	take(69, 0);
	add(69, VIA_OK);
	take(5, 1);
	take(69, 1);
	take(5, 0);
	inflight_free(&core_env_libc, &set);
}

Test(inflight, the_largest_id)
{
	inflight_init(&set);
	take(UINT64_MAX, 0);
	add(UINT64_MAX, VIA_OK); /* one more would be 0, a free place */
	add(UINT64_MAX, VIA_EXISTS);
	add(UINT64_MAX - 64, VIA_OK);
	add(UINT64_MAX - 64, VIA_EXISTS);
	take(UINT64_MAX, 1);
	take(UINT64_MAX, 0);
	add(UINT64_MAX, VIA_OK);
	take(UINT64_MAX - 64, 1);
	take(UINT64_MAX, 1);
	take(UINT64_MAX - 64, 0);
	add(0, VIA_OK);
	take(0, 1);
	take(0, 0);
	inflight_free(&core_env_libc, &set);
}

/* Against a model that is a plain array: ids of two places, in every order. */
Test(inflight, collisions_in_any_order)
{
	enum { IDS = 200, STEPS = 200000 };
	uint8_t in[IDS] = {0};
	uint32_t x = 12345, i;

	inflight_init(&set);
	for (i = 0; i < STEPS; i++) {
		uint32_t k = (x >> 8) % IDS;
		uint64_t id = (uint64_t)(k / 2) * INFLIGHT_QUICK + k % 2;

		x = x * 1664525u + 1013904223u;
		if ((x >> 30) < 2) {
			add(id, in[k] ? VIA_EXISTS : VIA_OK);
			in[k] = 1;
		} else {
			take(id, in[k]);
			in[k] = 0;
		}
	}
	for (i = 0; i < IDS; i++)
		take((uint64_t)(i / 2) * INFLIGHT_QUICK + i % 2, in[i]);
	inflight_free(&core_env_libc, &set);
}

/* -- the two lanes at once --------------------------------------------------------------------- */

enum { WINDOW = 200, ROUNDS = 100000 };
static _Atomic uint64_t added, taken;
static atomic_int wrong;

/* Every third id collides with the one before it. */
static uint64_t nth_id(uint64_t n)
{
	return n % 3 == 2 ? (n - 1) + ((uint64_t)INFLIGHT_QUICK << 32) : n;
}

static void add_all(void *arg)
{
	uint64_t n;

	(void)arg;
	for (n = 0; n < ROUNDS; n++) {
		while (n - atomic_load(&taken) >= WINDOW)
			os_yield();
		if (inflight_add(&core_env_libc, &set, nth_id(n)) != VIA_OK)
			atomic_fetch_add(&wrong, 1);
		if (n % 16 == 0 && inflight_add(&core_env_libc, &set, nth_id(n)) != VIA_EXISTS)
			atomic_fetch_add(&wrong, 1);
		atomic_store(&added, n + 1);
	}
}

Test(inflight, two_lanes)
{
	os_thread *t;
	uint64_t n;

	inflight_init(&set);
	t = sr_thread(add_all, NULL);
	for (n = 0; n < ROUNDS; n++) {
		while (atomic_load(&added) <= n)
			os_yield();
		if (inflight_take(&set, nth_id(n)) == 0)
			atomic_fetch_add(&wrong, 1);
		atomic_store(&taken, n + 1);
	}
	sr_join(t);
	cr_assert_eq(atomic_load(&wrong), 0);
	inflight_free(&core_env_libc, &set);
}
