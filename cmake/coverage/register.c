/* cmake/coverage/register.c - part of every program, library and module of a coverage build: each has its own
 * hidden __gcov_dump().
 */
#include "flush.h"

extern void __gcov_dump(void);

__attribute__((constructor)) static void tell(void)
{
	coverage_register(__gcov_dump);
}

__attribute__((destructor)) static void forget(void)
{
	coverage_unregister(__gcov_dump);
}
