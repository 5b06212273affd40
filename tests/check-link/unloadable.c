/* tests/check-link/unloadable.c - the identity of a transport, and no entry; or one that does not come back. */
#include <stdlib.h>
#include <viaduct/module.h>

VIA_NOTE(note) = VIA_NOTE_MAGIC
	"\0abi=1\0"
	"id=org.test.unloadable\0"
	"provides=transport org.test.unloadable/1 roles=baseline schemes=unloadable\0";

#if defined(CRASHES)
VIA_EXPORT via_rc VIA_CALL viaduct_module_v1(uint32_t, const via_module_desc **);
VIA_EXPORT via_rc VIA_CALL viaduct_module_v1(uint32_t minor, const via_module_desc **out)
{
	(void)minor;
	(void)out;
	abort();
}
#endif
