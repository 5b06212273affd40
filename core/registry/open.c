/* core/registry/open.c - the public door: a registry over the modules linked into this library. */
#include "reg.h"

via_rc via_registry_open(const via_registry_options *options, via_registry **out)
{
	return reg_open(options, core_builtins, out);
}
