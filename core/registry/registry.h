/* SPDX-License-Identifier: Apache-2.0
 * core/registry/registry.h - what the rest of the core uses of the registry. */
#ifndef VIA_CORE_REGISTRY_H
#define VIA_CORE_REGISTRY_H
#include "../base/env.h"
#include "../base/err.h"
#include <viaduct/module.h>

const core_env *reg_env(via_registry *r);
uint32_t reg_policy(const via_registry *r);

/* Logs when level passes; text is formatted by the caller only if reg_logs() says so. */
int reg_logs(const via_registry *r, int32_t level);
void reg_log(via_registry *r, int32_t level, const char *origin, const char *fmt, ...)
	VIA_PRINTF(4, 5);

/* Pins: an object that holds a module generation. `what` (static or living as long as the pin) names the
 * holder in a refused unload. Pins are counted and listed; taking one never fails. */
typedef struct reg_pin {
	struct reg_pin *next, *prev;
	void *generation;
	const char *what;
} reg_pin;

/* Holds the generation behind a ref a second time, independent of the ref. */
void reg_pin_take(via_registry *r, const via_ref *ref, reg_pin *pin, const char *what);
void reg_pin_drop(via_registry *r, reg_pin *pin);

/* The program's own objects (sessions, clients, servers): they keep the registry from closing. */
void reg_hold(via_registry *r, reg_pin *pin, const char *what);
void reg_unhold(via_registry *r, reg_pin *pin);

/* Serialises the [ctl] lane of a component: listen, dial, provision, attach, wrap, service open. */
void reg_ctl_lock(via_registry *r, const via_ref *ref);
void reg_ctl_unlock(via_registry *r, const via_ref *ref);

/* Looks whether the module directories have changed, and scans if so: what came or went counts from then on.
 * One stat for each directory; before a handshake. Failures leave everything as it was. */
void reg_refresh(via_registry *r);

/* Transports in the index, without loading. Calls fn for each, best score first; stops when fn returns
 * non-zero and returns that. The info is borrowed for the call; fn must not call the registry. */
int reg_transports(via_registry *r, int (*fn)(void *arg, const via_provided *t), void *arg);

/* The best component serving a profile bit in a role (VIA_ROLE_UPGRADE), loaded. VIA_NOTFOUND with the
 * reason. The ref also carries the component id through reg_ref_id(). */
via_rc reg_acquire_profile(via_registry *r, uint32_t profile, uint32_t role, via_ref *out);
/* The best baseline with a score above 0 whose probe() agrees. */
via_rc reg_acquire_baseline(via_registry *r, via_ref *out);
const char *reg_ref_id(const via_ref *ref); /* component id; lives as long as the ref */

/* Answers that come later: host->reply() lands in the registry's table of pending calls, which the server
 * layer implements (core/server/pending.c). The registry opens it, closes it and hands replies to it. */
struct pending_table;
via_rc pending_open(const core_env *e, struct pending_table **out);
void pending_close(struct pending_table *t);
void pending_reply(struct pending_table *t, uint64_t token, via_rc rc, const void *response,
		   uint64_t len);
struct pending_table *reg_pending(via_registry *r);

#endif
