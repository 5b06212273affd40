/* SPDX-License-Identifier: Apache-2.0
 * core/session/stack.h - the transports under an endpoint: one baseline, decorators around it, and
 * maybe the one upgrade to offer with decorators of its own.
 *
 * A stack holds its modules as long as it lives. Links made from it hold them on their own. */
#ifndef VIA_CORE_STACK_H
#define VIA_CORE_STACK_H
#include "../registry/registry.h"
#include <viaduct/app/endpoint.h>

enum { STACK_MAX_LAYERS = 8 };

typedef struct stack_layer {
	via_ref ref;
	char *config; /* the lines that concern this layer, or NULL */
} stack_layer;

typedef struct stack {
	via_registry *reg;
	/* layer[0] is the baseline, layer[n - 1] the outermost around it; then, if one was named, the
	 * upgrade and what is around its links: n_up layers */
	stack_layer layer[STACK_MAX_LAYERS];
	uint32_t n, n_up;
	char *ns, *service; /* of the endpoint, owned */
	uint64_t auth_token;
} stack;

/* An endpoint with strings of its own; endpoint_free() also takes one that was copied in part. */
via_rc endpoint_copy(const core_env *e, const via_endpoint *in, via_endpoint *out);
void endpoint_free(const core_env *e, via_endpoint *ep);

/* Resolves an endpoint: checks it, loads the transports, splits the configuration. */
via_rc stack_open(via_registry *reg, const via_endpoint *ep, stack *out);
void stack_close(stack *st);

/* Listens or dials on the baseline. dial returns a link with every decorator around it. */
via_rc stack_listen(const stack *st, via_listener **out);
via_rc stack_dial(const stack *st, via_link **out);
/* Puts the decorators around an accepted link; closes it on failure. */
via_rc stack_wrap(const stack *st, via_link **link);
/* The upgrade for a profile bit: the one that was named, else the best. */
via_rc stack_acquire_upgrade(const stack *st, uint32_t profile, via_ref *out);
/* Puts the decorators around an upgrade's link, which is checked first; closes it on failure. */
via_rc stack_wrap_upgrade(const stack *st, const via_ref *upgrade, via_link **link);

/* The named upgrade, or NULL. */
static inline const stack_layer *stack_upgrade(const stack *st)
{
	return st->n_up != 0 ? &st->layer[st->n] : NULL;
}

static inline const via_transport *stack_transport(const stack_layer *l)
{
	return l->ref.vtable;
}

/* Tests what a transport handed over before it is called unchecked. what: names it in the refusal. */
via_rc link_check(const via_link *l, const char *what);
/* Closes a link that may have failed that test, as far as it can be closed. */
void link_discard(via_link *l);

/* The pins that keep the modules of one link alive. */
typedef struct link_pins {
	reg_pin pin[STACK_MAX_LAYERS];
	uint32_t n;
} link_pins;
void stack_pin(const stack *st, link_pins *pins, const char *what);
void stack_unpin(via_registry *reg, link_pins *pins);

#endif
