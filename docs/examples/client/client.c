/* docs/examples/client/client.c - asks the service "increment" for the number after its argument. */
#include <stdio.h>
#include <stdlib.h>
#include <viaduct/codecs/increment.h>
#include <viaduct/viaduct.h>

#define SECOND 1000000000ull

static via_rc ask(via_client *client, uint64_t *value)
{
	uint8_t bytes[8];
	via_request request = {.method = VIA_INCREMENT_METHOD, .payload = bytes};
	via_reply reply;
	uint64_t len;
	via_rc rc = via_increment_encode(bytes, sizeof bytes, *value, &len);

	request.payload_len = (uint32_t)len;
	if (rc == VIA_OK)
		rc = via_client_call(client, &request, via_deadline(SECOND), &reply);
	if (rc == VIA_OK)
		rc = via_increment_decode(reply.payload, reply.payload_len, value, NULL);
	return rc;
}

int main(int argc, char **argv)
{
	uint64_t value = argc > 1 ? strtoull(argv[1], NULL, 0) : 0;
	via_client_options options = {.struct_size = sizeof options};
	via_registry *registry = NULL;
	via_client *client = NULL;
	via_rc rc = via_registry_open(NULL, &registry); /* modules of the installation */

	options.endpoint =
		(via_endpoint){.struct_size = sizeof(via_endpoint), .service = "increment"};
	if (rc == VIA_OK && (rc = via_client_open(registry, &options, &client)) == VIA_OK)
		rc = via_client_refresh(client, via_deadline(SECOND)); /* connects, negotiates */
	if (rc == VIA_OK && (rc = ask(client, &value)) == VIA_OK)
		printf("%llu\n", (unsigned long long)value);
	else
		fprintf(stderr, "%s: %s\n", via_rc_name(rc), via_error());
	via_client_close(client);
	if (registry != NULL)
		via_registry_close(registry);
	return rc != VIA_OK;
}
