/* core/registry/pins.c - who holds what: pins on generations, holds on the registry, control
 * lanes. */
#include "reg.h"

/* -- lists (registry.pins held) ---------------------------------------------------------------- */

static void link_pin(reg_pin *head, reg_pin *pin)
{
	pin->prev = head->prev;
	pin->next = head;
	head->prev->next = pin;
	head->prev = pin;
}

static void unlink_pin(reg_pin *pin)
{
	pin->prev->next = pin->next;
	pin->next->prev = pin->prev;
	pin->next = pin->prev = NULL;
}

uint32_t pins_count(const reg_gen *g, int but_modules)
{
	return g->n_pins + g->n_own_pins + (but_modules ? 0 : g->n_module_pins);
}

/* -- pins -------------------------------------------------------------------------------------- */

void pin_add(reg_gen *g, reg_pin *pin, const char *what, int by_module)
{
	pin->generation = g;
	pin->what = what;
	os_mutex_lock(&g->reg->pins);
	link_pin(by_module ? &g->module_pins : &g->pins, pin);
	*(by_module ? &g->n_module_pins : &g->n_pins) += 1;
	os_mutex_unlock(&g->reg->pins);
}

/* The generation may be gone as soon as the lock is released: the registry's own parts only. */
void pin_del(via_registry *r, reg_pin *pin, int by_module)
{
	reg_gen *g = pin->generation;

	os_mutex_lock(&r->pins);
	unlink_pin(pin);
	*(by_module ? &g->n_module_pins : &g->n_pins) -= 1;
	os_cond_broadcast(&r->unpinned);
	os_mutex_unlock(&r->pins);
	pin->generation = NULL;
}

static reg_gen *gen_of(const via_ref *ref)
{
	return ((const reg_ref *)(uintptr_t)ref->token)->pin.generation;
}

void reg_pin_take(via_registry *r, const via_ref *ref, reg_pin *pin, const char *what)
{
	(void)r;
	pin_add(gen_of(ref), pin, what, 0);
}

void reg_pin_drop(via_registry *r, reg_pin *pin)
{
	pin_del(r, pin, 0);
}

via_rc pins_refuse(reg_gen *g, int but_modules)
{
	const char *id = g->note->n.id, *what;
	const reg_pin *first = NULL;
	uint32_t n;

	os_mutex_lock(&g->reg->pins);
	n = pins_count(g, but_modules);
	if (g->n_pins > 0)
		first = g->pins.next;
	else if (g->n_module_pins > 0 && !but_modules)
		first = g->module_pins.next;
	what = first == NULL         ? "its own work under way"
	       : first->what == NULL ? "an unnamed pin"
				     : first->what;
	if (n == 0)
		core_fail(VIA_BUSY, "%s did not finish its work before the deadline", id);
	else if (n == 1 || first == NULL)
		core_fail(VIA_BUSY, "%s is still held by %s", id, what);
	else
		core_fail(VIA_BUSY, "%s is still held by %s and %u more", id, what, n - 1);
	os_mutex_unlock(&g->reg->pins);
	return VIA_BUSY;
}

/* -- holds ------------------------------------------------------------------------------------- */

void reg_hold(via_registry *r, reg_pin *pin, const char *what)
{
	pin->generation = NULL;
	pin->what = what;
	os_mutex_lock(&r->pins);
	link_pin(&r->holds, pin);
	r->n_holds++;
	os_mutex_unlock(&r->pins);
}

void reg_unhold(via_registry *r, reg_pin *pin)
{
	os_mutex_lock(&r->pins);
	unlink_pin(pin);
	r->n_holds--;
	os_mutex_unlock(&r->pins);
}

/* -- control lanes ----------------------------------------------------------------------------- */

void reg_ctl_lock(via_registry *r, const via_ref *ref)
{
	(void)r;
	os_mutex_lock(&gen_of(ref)->ctl);
}

void reg_ctl_unlock(via_registry *r, const via_ref *ref)
{
	(void)r;
	os_mutex_unlock(&gen_of(ref)->ctl);
}

const char *reg_ref_id(const via_ref *ref)
{
	return ref->token == 0 ? "" : ((const reg_ref *)(uintptr_t)ref->token)->id;
}
