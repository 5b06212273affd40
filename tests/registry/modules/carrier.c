/* tests/registry/modules/carrier.c - a transport that carries nothing, for the tests of the choice.
 *
 * Its probe() answers what it was compiled to answer. Threads, syscalls, peer, wire layout: none.
 */
#include <stddef.h>
#include <viaduct/module.h>

#ifndef CARRIER_ID
#define CARRIER_ID "org.test.carrier"
#endif
#ifndef CARRIER_SCHEMES
#define CARRIER_SCHEMES "carrier,car"
#endif
#ifndef CARRIER_SCORE
#define CARRIER_SCORE 50
#endif
#ifndef CARRIER_PROBE
#define CARRIER_PROBE 1
#endif
#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)

static const via_host *the_host(void *self)
{
	return self; /* the only state there is */
}

static via_rc VIA_CALL carrier_init(const via_host *h, const char *config, void **self)
{
	(void)config;
	*self = (void *)(uintptr_t)h;
	return VIA_OK;
}

static via_rc VIA_CALL carrier_probe(void *self)
{
	const via_host *h = the_host(self);

	if (CARRIER_PROBE > 0)
		return CARRIER_PROBE;
	return h->fail(h->ctx, VIA_NOTSUP, 0, "no road here");
}

static via_rc VIA_CALL carrier_listen(void *self, const via_address *at, via_listener **out)
{
	(void)self;
	(void)at;
	(void)out;
	return VIA_NOTSUP;
}

static via_rc VIA_CALL carrier_dial(void *self, const via_address *at, via_link **out)
{
	(void)self;
	(void)at;
	(void)out;
	return VIA_UNREACH;
}

static via_rc VIA_CALL carrier_provision(void *self, via_upgrade *u, via_link **out)
{
	(void)self;
	(void)u;
	(void)out;
	return VIA_NOTSUP;
}

static via_rc VIA_CALL carrier_attach(void *self, const via_upgrade *u, via_link **out)
{
	(void)self;
	(void)u;
	(void)out;
	return VIA_NOTSUP;
}

static const via_transport carrier_baseline = {
	.struct_size = sizeof carrier_baseline,
	.roles = VIA_ROLE_BASELINE,
	.profiles = 1,
	.schemes = CARRIER_SCHEMES,
	.probe = carrier_probe,
	.listen = carrier_listen,
	.dial = carrier_dial,
};

static const via_transport carrier_upgrade = {
	.struct_size = sizeof carrier_upgrade,
	.roles = VIA_ROLE_UPGRADE,
	.profiles = 0x10006,
	.probe = carrier_probe,
	.provision = carrier_provision,
	.attach = carrier_attach,
};

static const via_component carrier_components[] = {
	{sizeof(via_component), VIA_KIND_TRANSPORT, CARRIER_ID, 3, CARRIER_SCORE,
	 &carrier_baseline},
	{sizeof(via_component), VIA_KIND_TRANSPORT, CARRIER_ID ".up", 1, CARRIER_SCORE,
	 &carrier_upgrade},
};

static const via_lifecycle carrier_life = {.struct_size = sizeof carrier_life,
					   .init = carrier_init};

static const via_module_desc carrier_desc = {
	.magic = VIA_MODULE_MAGIC,
	.abi_major = VIA_ABI_MAJOR,
	.abi_minor = VIA_ABI_MINOR,
	.struct_size = sizeof carrier_desc,
	.flags = VIA_MOD_UNLOADABLE,
	.layout = VIA_LAYOUT,
	.id = CARRIER_ID,
	.version = "3",
	.license = "Apache-2.0",
	.components = carrier_components,
	.n_components = 2,
	.component_size = sizeof(via_component),
	.life = &carrier_life,
};

VIA_MODULE(carrier, carrier_desc,
	   "id=" CARRIER_ID "\0version=3\0"
	   "provides=transport " CARRIER_ID "/3 score=" TEXT(
		   CARRIER_SCORE) " roles=baseline profiles=0x1 schemes=" CARRIER_SCHEMES "\0"
				  "provides=transport " CARRIER_ID ".up/1 score=" TEXT(
					  CARRIER_SCORE) " roles=upgrade profiles=0x10006\0")
