/* tests/link/rig_modules.c - the rig's modules are those of the build. */
#include "rig.h"
#include "rig_os.h"

void rig_module_file(const char *name, char *file, size_t cap)
{
	snprintf(file, cap, "%s/%s" RIG_MODULE_SUFFIX, VIA_TEST_MODULE_DIR, name);
}
