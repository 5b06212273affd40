/* core/registry/singleton.c - modules that may serve one registry of a process at a time only.
 *
 * The one thing registries share. A spin lock over a short list: there is no lock to initialise,
 * and nothing is called under it.
 */
#include "reg.h"

#include <stdatomic.h>
#include <string.h>

static atomic_flag list_lock = ATOMIC_FLAG_INIT;
static reg_gen *active;

static void lock_list(void)
{
	while (atomic_flag_test_and_set_explicit(&list_lock, memory_order_acquire))
		os_cpu_relax();
}

static void unlock_list(void)
{
	atomic_flag_clear_explicit(&list_lock, memory_order_release);
}

via_rc singleton_claim(reg_gen *g)
{
	reg_gen *other;

	if ((g->desc->flags & VIA_MOD_SINGLETON) == 0)
		return VIA_OK;
	lock_list();
	for (other = active; other != NULL; other = other->next_singleton)
		if (strcmp(other->note->n.id, g->note->n.id) == 0)
			break;
	if (other == NULL) {
		g->next_singleton = active;
		active = g;
	}
	unlock_list();
	if (other != NULL)
		return core_fail(
			VIA_BUSY,
			"serves one registry of a process at a time, and another one has it loaded");
	return VIA_OK;
}

void singleton_drop(reg_gen *g)
{
	reg_gen **at;

	lock_list();
	for (at = &active; *at != NULL; at = &(*at)->next_singleton)
		if (*at == g) {
			*at = g->next_singleton;
			break;
		}
	unlock_list();
}
