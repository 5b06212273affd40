#include <stdio.h>
#include <viaduct/codecs/increment.h>
#include <viaduct/viaduct.h>

int main(void)
{
	via_client_options options = {.struct_size = sizeof options};
	via_registry *registry = NULL;
	via_client *client = NULL;
	uint64_t value = 41, len;
	uint8_t bytes[8];
	via_reply reply;
	via_rc rc;

	options.endpoint =
		(via_endpoint){.struct_size = sizeof(via_endpoint), .service = "increment"};
	rc = via_registry_open(NULL, &registry);
	if (rc == VIA_OK)
		rc = via_client_open(registry, &options, &client);
	if (rc == VIA_OK)
		rc = via_client_refresh(client,
					via_deadline(1000000000)); /* connects, negotiates */
	if (rc == VIA_OK)
		rc = via_increment_encode(bytes, sizeof bytes, value, &len);
	if (rc == VIA_OK)
		rc = via_client_call(client,
				     &(via_request){.method = VIA_INCREMENT_METHOD,
						    .payload = bytes,
						    .payload_len = 8},
				     via_deadline(1000000000), &reply);
	if (rc == VIA_OK)
		rc = via_increment_decode(reply.payload, reply.payload_len, &value, NULL);
	if (rc == VIA_OK)
		printf("%llu\n", (unsigned long long)value);
	else
		fprintf(stderr, "%s: %s\n", via_rc_name(rc), via_error());
	via_client_close(client);
	if (registry != NULL)
		via_registry_close(registry);
	return rc != VIA_OK;
}
