/* tests/registry/modules/privileged.c - prints where a registry of this process looks for
 * modules. */
#include <stdio.h>
#include <viaduct/app/registry.h>

int main(void)
{
	via_registry *r;

	if (via_registry_open(NULL, &r) != VIA_OK) {
		printf("error: %s\n", via_error());
		return 1;
	}
	printf("%s\n", via_registry_path(r));
	return via_registry_close(r) == VIA_OK ? 0 : 1;
}
