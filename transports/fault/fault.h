/* SPDX-License-Identifier: Apache-2.0
 * transports/fault/fault.h - what the parts of the fault module share. */
#ifndef VIA_FAULT_H
#define VIA_FAULT_H
#include <viaduct/module.h>
#include <stdatomic.h>

enum { FAULT_MAX_ITEMS = 32 };

enum {
	FAULT_RESERVE,
	FAULT_COMMIT,
	FAULT_SEND,
	FAULT_RECV,
	FAULT_EXPECT,
	FAULT_HANDLES,
	FAULT_SHUTDOWN,
	FAULT_PEER,
	FAULT_ARM,
	FAULT_ANY,
	FAULT_N_VERBS
};

enum {
	FAULT_NONE,
	FAULT_AGAIN,
	FAULT_DELAY,
	FAULT_ERROR,
	FAULT_SHORT,
	FAULT_CORRUPT,
	FAULT_SPURIOUS,
	FAULT_CLOSE
};

struct fault_item {
	uint8_t verb, action;
	uint8_t is_percent;
	uint32_t when; /* the nth call, or percent */
	int64_t arg;   /* DELAY: calls, ERROR: result, SHORT: bytes */
};

struct fault_plan {
	uint64_t seed;
	uint32_t n;
	struct fault_item item[FAULT_MAX_ITEMS];
};

struct fault_self {
	const via_host *h;
	struct fault_plan defaults;
};

/* -- fault_plan.c ------------------------------------------------------------------------------ */

/* Reads "fault.seed=N" and "fault.plan=..." lines; a plan replaces the one in *p. VIA_INVAL
 * names the place. */
via_rc fault_plan_read(const struct fault_self *s, const char *lines, struct fault_plan *p);
/* What happens at the nth call (from 1) of verb, which is call number `total` of all; NULL:
 * nothing. */
const struct fault_item *fault_plan_at(const struct fault_plan *p, uint32_t verb, uint32_t n,
				       uint32_t total);
int fault_plan_has(const struct fault_plan *p, uint32_t verb, uint32_t action);
/* A number that depends on its arguments only. */
uint64_t fault_draw(uint64_t seed, uint64_t a, uint64_t b);

/* -- fault_link.c ------------------------------------------------------------------------------ */

via_rc fault_link_make(struct fault_self *s, via_link *inner, const struct fault_plan *p,
		       via_link **out);

#endif
