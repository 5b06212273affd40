/* tests/check-link/unloadable.c - the identity of a transport, and no entry; or one that does not come back, or
 * has nothing to give. */
#include <stdlib.h>
#include <viaduct/module.h>

VIA_NOTE(note) = VIA_NOTE_MAGIC
	"\0abi=1\0"
	"id=org.test.unloadable\0"
	"provides=transport org.test.unloadable/1 roles=baseline schemes=unloadable\0";

#if defined(CRASHES) || defined(IS_EMPTY)
static const via_transport transport = {.struct_size = sizeof transport,
					.roles = VIA_ROLE_BASELINE};
static const via_component components[] = {
	{sizeof components[0], VIA_KIND_TRANSPORT, "org.test.unloadable", 1, 0, &transport}};
static const via_module_desc desc =
	VIA_MODULE_DESC("org.test.unloadable", "1", "", 0, components, NULL);

VIA_EXPORT via_rc VIA_CALL viaduct_module_v1(uint32_t, const via_module_desc **);
VIA_EXPORT via_rc VIA_CALL viaduct_module_v1(uint32_t minor, const via_module_desc **out)
{
	(void)minor;
#if defined(CRASHES)
	abort();
#endif
	*out = &desc;
	return VIA_OK;
}
#endif
