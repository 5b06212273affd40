/* tests/registry/test_gate.c - the descriptor against the ABI and against its own identity text.
 *
 * Builtins go through the same checks as files, so broken descriptors are made here and put into a
 * table.
 */
#include "reg_rig.h"

#include <stdio.h>
#include <string.h>

TestSuite(registry_gate, .init = rig_open, .fini = rig_close, .timeout = 30);

/* -- a module with one component of each kind, whole ------------------------------------------- */

static via_rc VIA_CALL probe(void *self)
{
	(void)self;
	return 10;
}

static via_rc VIA_CALL listen_at(void *self, const via_address *at, via_listener **out)
{
	(void)self;
	(void)at;
	(void)out;
	return VIA_NOTSUP;
}

static via_rc VIA_CALL dial(void *self, const via_address *at, via_link **out)
{
	(void)self;
	(void)at;
	(void)out;
	return VIA_NOTSUP;
}

static via_rc VIA_CALL provision(void *self, via_upgrade *u, via_link **out)
{
	(void)self;
	(void)u;
	(void)out;
	return VIA_NOTSUP;
}

static via_rc VIA_CALL attach(void *self, const via_upgrade *u, via_link **out)
{
	(void)self;
	(void)u;
	(void)out;
	return VIA_NOTSUP;
}

static via_rc VIA_CALL wrap(void *self, via_link *inner, const char *config, via_link **out)
{
	(void)self;
	(void)inner;
	(void)config;
	(void)out;
	return VIA_NOTSUP;
}

static via_rc VIA_CALL check(uint32_t side, const void *src, uint64_t len, via_flaw *why)
{
	(void)side;
	(void)src;
	(void)len;
	(void)why;
	return 0;
}

static void VIA_CALL head(uint32_t side, const void *src, uint64_t len, via_value *out)
{
	(void)side;
	(void)src;
	(void)len;
	(void)out;
}

static void VIA_CALL row(uint32_t side, const void *src, uint64_t len, uint32_t index,
			 via_value *out)
{
	(void)index;
	head(side, src, len, out);
}

static void VIA_CALL pair(uint32_t side, const void *src, uint64_t len, uint32_t index,
			  uint32_t column, uint32_t i, via_value out[2])
{
	(void)column;
	(void)i;
	row(side, src, len, index, out);
}

static via_rc VIA_CALL begin(via_builder *b, uint32_t side, void *dst, uint64_t cap,
			     uint32_t max_rows)
{
	(void)b;
	(void)side;
	(void)dst;
	(void)cap;
	(void)max_rows;
	return VIA_OK;
}

static via_rc VIA_CALL set_head(via_builder *b, const via_value *v)
{
	(void)b;
	(void)v;
	return VIA_OK;
}

static via_rc VIA_CALL add_row(via_builder *b, const via_value *v, const via_value *pairs)
{
	(void)b;
	(void)v;
	(void)pairs;
	return VIA_OK;
}

static via_rc VIA_CALL finish(via_builder *b, uint64_t *used)
{
	(void)b;
	(void)used;
	return VIA_OK;
}

static via_rc VIA_CALL svc_open(void *self, const via_peer *peer, void **session)
{
	(void)self;
	(void)peer;
	*session = NULL;
	return VIA_OK;
}

static via_rc VIA_CALL svc_call(void *self, void *session, via_call *c)
{
	(void)self;
	(void)session;
	(void)c;
	return VIA_OK;
}

static const char note_text[] = VIA_NOTE_MAGIC
	"\0abi=1\0id=org.test.all\0version=1\0"
	"provides=transport org.test.t/1 score=10 roles=baseline,upgrade,decorator profiles=0x5 by_request=0x4 schemes=t,tt\0"
	"provides=codec org.test.c/2 score=20 method=9 name=c\0"
	"provides=service org.test.s/3 score=30 name=s codecs=c,d\0";
static uint32_t note_len;

static via_column columns[2];
static const char *names[3];
static via_transport transport;
static via_codec codec;
static via_service service;
static via_component components[3];
static via_lifecycle life;
static via_module_desc desc;
static const via_module_desc *answer;
static via_rc answer_rc;

static via_rc VIA_CALL entry(uint32_t minor, const via_module_desc **out)
{
	cr_expect_eq(minor, VIA_ABI_MINOR);
	*out = answer;
	return answer_rc;
}

static core_builtin table[2];

static void make_tables(void)
{
	columns[0] = (via_column){"a", VIA_T_U64, 0};
	columns[1] = (via_column){"labels", VIA_T_PAIRS, 0};
	names[0] = "c";
	names[1] = "d";
	names[2] = NULL;
	transport = (via_transport){.struct_size = sizeof transport,
				    .roles = 7,
				    .profiles = 5,
				    .by_request = 4,
				    .schemes = "t,tt",
				    .probe = probe,
				    .listen = listen_at,
				    .dial = dial,
				    .provision = provision,
				    .attach = attach,
				    .wrap = wrap};
	codec = (via_codec){.struct_size = sizeof codec,
			    .method = 9,
			    .layout = 1,
			    .name = "c",
			    .check = check,
			    .head = head,
			    .row = row,
			    .pair = pair,
			    .begin = begin,
			    .set_head = set_head,
			    .add_row = add_row,
			    .finish = finish};
	codec.side[1] = (via_shape){1, 2, columns, columns};
	service = (via_service){.struct_size = sizeof service,
				.name = "s",
				.codecs = names,
				.open = svc_open,
				.call = svc_call};
}

static void make_whole(void)
{
	make_tables();
	components[0] = (via_component){sizeof(via_component),
					VIA_KIND_TRANSPORT,
					"org.test.t",
					1,
					10,
					&transport};
	components[1] =
		(via_component){sizeof(via_component), VIA_KIND_CODEC, "org.test.c", 2, 20, &codec};
	components[2] = (via_component){sizeof(via_component),
					VIA_KIND_SERVICE,
					"org.test.s",
					3,
					30,
					&service};
	life = (via_lifecycle){.struct_size = sizeof life};
	desc = (via_module_desc){.magic = VIA_MODULE_MAGIC,
				 .abi_major = VIA_ABI_MAJOR,
				 .abi_minor = VIA_ABI_MINOR,
				 .struct_size = sizeof desc,
				 .layout = VIA_LAYOUT,
				 .id = "org.test.all",
				 .version = "1",
				 .license = "Apache-2.0",
				 .components = components,
				 .n_components = 3,
				 .component_size = sizeof(via_component),
				 .life = &life};
	answer = &desc;
	answer_rc = VIA_OK;
	note_len = sizeof note_text - 1;
	table[0] = (core_builtin){"all", note_text, &note_len, entry};
	table[1] = (core_builtin){NULL, NULL, NULL, NULL};
}

RR_TEST(registry_gate, a_whole_builtin_passes)
{
	via_registry *r;
	via_ref t, c, s;
	rr_file f;

	make_whole();
	r = rr_open_path("", table);
	f = rr_info(r, "(builtin)");
	cr_expect_eq(f.state, VIA_FILE_FOUND, "%s", f.reason);
	cr_expect_eq(f.n_provided, 3);
	cr_assert_eq(via_registry_acquire(r, VIA_KIND_TRANSPORT, "tt", 1, &t), VIA_OK, "%s",
		     via_error());
	cr_assert_eq(via_registry_acquire_method(r, 9, &c), VIA_OK, "%s", via_error());
	s = rr_service(r, "s");
	cr_expect_eq(t.vtable, &transport);
	cr_expect_eq(c.vtable, &codec);
	cr_expect_eq(s.vtable, &service);
	cr_expect_eq(s.rev, 3);
	rr_refused(via_registry_unload(r, "org.test.all", VIA_POLL), VIA_BUSY, "and 2 more");
	via_registry_release(r, &t);
	via_registry_release(r, &c);
	via_registry_release(r, &s);
	cr_assert_eq(via_registry_unload(r, "org.test.all", VIA_POLL), VIA_OK, "%s", via_error());
	cr_expect_eq(rr_info(r, "(builtin)").state, VIA_FILE_FOUND,
		     "nothing was mapped, so nothing stays mapped");
	s = rr_service(r, "s");
	cr_expect_eq(rr_info(r, "(builtin)").generation, 2);
	via_registry_release(r, &s);
	rr_close(r);
}

RR_TEST(registry_gate, what_may_be_missing)
{
	via_registry *r;
	via_component more[4];
	via_ref s;

	make_whole();
	codec.side[1].n_row = 1;
	codec.pair = NULL; /* no column of pairs */
	desc.life = NULL;
	desc.version = desc.license = NULL;
	memcpy(more, components, sizeof components);
	more[3] = (via_component){sizeof(via_component),
				  99,
				  "org.test.hovercraft",
				  1,
				  1,
				  NULL}; /* of a newer minor */
	desc.components = more;
	desc.n_components = 4;
	r = rr_open_path("", table);
	s = rr_service(r, "s");
	via_registry_release(r, &s);
	rr_close(r);
}

/* -- one thing wrong at a time ----------------------------------------------------------------- */

static const struct {
	const char *expected;
	uint32_t *u32; /* what is changed: one of these, */
	uint16_t *u16;
	const void **pointer; /* set to NULL */
	uint32_t value;       /* to this */
} cases[] = {
	{"descriptor: magic: expected 0x31414956, found 0x7", &desc.magic, NULL, NULL, 7},
	{"built for viaduct ABI 2.0, this core offers 1.0", NULL, &desc.abi_major, NULL, 2},
	{"built for viaduct ABI 0.0, this core offers 1.0", NULL, &desc.abi_major, NULL, 0},
	{"built for viaduct ABI 1.4, this core offers 1.0", NULL, &desc.abi_minor, NULL, 4},
	{"descriptor: struct_size: expected at least 80, found 8", &desc.struct_size, NULL, NULL,
	 8},
	{"descriptor: struct_size: expected at least 80, found 79", &desc.struct_size, NULL, NULL,
	 79},
	{"descriptor: id: expected org.test.all as in the identity text, found none", NULL, NULL,
	 (const void **)&desc.id, 0},
	{"descriptor: expected at most 64 components, found 65", &desc.n_components, NULL, NULL,
	 65},
	{"descriptor: 3 components, but no table of them", NULL, NULL,
	 (const void **)&desc.components, 0},
	{"descriptor: component_size: expected 32 to 4096, a multiple of 8, found 31",
	 &desc.component_size, NULL, NULL, 31},
	{"descriptor: component_size: expected 32 to 4096, a multiple of 8, found 33",
	 &desc.component_size, NULL, NULL, 33},
	{"descriptor: component_size: expected 32 to 4096, a multiple of 8, found 8192",
	 &desc.component_size, NULL, NULL, 8192},
	{"lifecycle: struct_size: expected at least 8, found 4", &life.struct_size, NULL, NULL, 4},
	{"service org.test.s is in the identity text but not in the descriptor", &desc.n_components,
	 NULL, NULL, 2},
	{"component 1: struct_size: expected at least 32, found 24", &components[1].struct_size,
	 NULL, NULL, 24},
	{"component 0: it has no id", NULL, NULL, (const void **)&components[0].id, 0},
	{"service org.test.c is in the descriptor but not in the identity text",
	 &components[1].kind, NULL, NULL, 3},
	{"codec org.test.c is in the identity text but not in the descriptor", &components[1].kind,
	 NULL, NULL, 9},
	{"transport org.test.t: revision: expected 1 as in the identity text, found 2",
	 &components[0].rev, NULL, NULL, 2},
	{"codec org.test.c: score: expected 20 as in the identity text, found 5",
	 (uint32_t *)&components[1].score, NULL, NULL, 5},
	{"service org.test.s: the table of functions is missing", NULL, NULL, &components[2].vtable,
	 0},
	{"transport org.test.t: struct_size: expected at least 88, found 80",
	 &transport.struct_size, NULL, NULL, 80},
	{"transport org.test.t: roles: expected 0x7 as in the identity text, found 0x3",
	 &transport.roles, NULL, NULL, 3},
	{"transport org.test.t: profiles: expected 0x5 as in the identity text, found 0x4",
	 &transport.profiles, NULL, NULL, 4},
	{"transport org.test.t: by_request: expected 0x4 as in the identity text, found 0x0",
	 &transport.by_request, NULL, NULL, 0},
	{"transport org.test.t: schemes: expected \"t,tt\" as in the identity text, found \"\"",
	 NULL, NULL, (const void **)&transport.schemes, 0},
	{"transport org.test.t: member probe is missing", NULL, NULL,
	 (const void **)&transport.probe, 0},
	{"transport org.test.t: member listen is missing", NULL, NULL,
	 (const void **)&transport.listen, 0},
	{"transport org.test.t: member dial is missing", NULL, NULL, (const void **)&transport.dial,
	 0},
	{"transport org.test.t: member provision is missing", NULL, NULL,
	 (const void **)&transport.provision, 0},
	{"transport org.test.t: member attach is missing", NULL, NULL,
	 (const void **)&transport.attach, 0},
	{"transport org.test.t: member wrap is missing", NULL, NULL, (const void **)&transport.wrap,
	 0},
	{"codec org.test.c: struct_size: expected at least 144, found 136", &codec.struct_size,
	 NULL, NULL, 136},
	{"codec org.test.c: method: expected 9 as in the identity text, found 8", NULL,
	 &codec.method, NULL, 8},
	{"codec org.test.c: name: expected \"c\" as in the identity text, found \"\"", NULL, NULL,
	 (const void **)&codec.name, 0},
	{"codec org.test.c: 1 columns of the head, but no table of them", NULL, NULL,
	 (const void **)&codec.side[1].head, 0},
	{"codec org.test.c: 2 columns of the row, but no table of them", NULL, NULL,
	 (const void **)&codec.side[1].row, 0},
	{"codec org.test.c: column 1 of the row has no name", NULL, NULL,
	 (const void **)&columns[1].name, 0},
	{"codec org.test.c: column a: type: expected 1 to 7, found 0", &columns[0].type, NULL, NULL,
	 0},
	{"codec org.test.c: column labels: type: expected 1 to 7, found 8", &columns[1].type, NULL,
	 NULL, 8},
	{"codec org.test.c: member check is missing", NULL, NULL, (const void **)&codec.check, 0},
	{"codec org.test.c: member head is missing", NULL, NULL, (const void **)&codec.head, 0},
	{"codec org.test.c: member row is missing", NULL, NULL, (const void **)&codec.row, 0},
	{"codec org.test.c: member pair is missing", NULL, NULL, (const void **)&codec.pair, 0},
	{"codec org.test.c: member begin is missing", NULL, NULL, (const void **)&codec.begin, 0},
	{"codec org.test.c: member set_head is missing", NULL, NULL, (const void **)&codec.set_head,
	 0},
	{"codec org.test.c: member add_row is missing", NULL, NULL, (const void **)&codec.add_row,
	 0},
	{"codec org.test.c: member finish is missing", NULL, NULL, (const void **)&codec.finish, 0},
	{"service org.test.s: struct_size: expected at least 64, found 56", &service.struct_size,
	 NULL, NULL, 56},
	{"service org.test.s: name: expected \"s\" as in the identity text, found \"\"", NULL, NULL,
	 (const void **)&service.name, 0},
	{"service org.test.s: it names no codec", NULL, NULL, (const void **)&service.codecs, 0},
	{"service org.test.s: it names no codec", NULL, NULL, (const void **)&names[0], 0},
	{"service org.test.s: codecs: expected \"c,d\" as in the identity text, found \"c\"", NULL,
	 NULL, (const void **)&names[1], 0},
	{"service org.test.s: member call is missing", NULL, NULL, (const void **)&service.call, 0},
	{"viaduct_module_v1 gave no descriptor", NULL, NULL, (const void **)&answer, 0},
	{"viaduct_module_v1 answered VIA_NOTSUP to a core of minor 0", (uint32_t *)&answer_rc, NULL,
	 NULL, (uint32_t)VIA_NOTSUP},
	{"the symbol viaduct_module_v1 is missing", NULL, NULL, (const void **)&table[0].entry, 0},
};

RR_TEST(registry_gate, one_thing_wrong_at_a_time)
{
	static const void *const none = NULL;
	via_registry *r;
	rr_file f;
	size_t i;

	for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		make_whole();
		if (cases[i].u32 != NULL)
			memcpy(cases[i].u32, &cases[i].value, 4);
		else if (cases[i].u16 != NULL)
			*cases[i].u16 = (uint16_t)cases[i].value;
		else
			memcpy((void *)cases[i].pointer, (const void *)&none, sizeof none);
		r = rr_open_path("", table);
		rr_refused(via_registry_load(r, "org.test.all"), VIA_EABI, cases[i].expected);
		f = rr_info(r, "(builtin)");
		cr_expect_eq(f.state, VIA_FILE_FOUND);
		cr_expect_str_eq(f.reason, cases[i].expected);
		rr_close(r);
	}
}

RR_TEST(registry_gate, layout_facts_are_named)
{
	static const struct {
		unsigned shift;
		const char *expected;
	} facts[] = {
		{0, "size of a pointer: expected 8, found 9"},
		{8, "size of via_value: expected 24, found 25"},
		{16, "size of via_view: expected 24, found 25"},
		{24, "size of via_slot: expected 24, found 25"},
		{32, "offset of via_link.host: expected 40, found 41"},
		{48, "offset of via_link_ops.close: expected"},
	};
	via_registry *r;
	size_t i;

	for (i = 0; i < sizeof facts / sizeof facts[0]; i++) {
		make_whole();
		desc.layout += UINT64_C(1) << facts[i].shift;
		r = rr_open_path("", table);
		rr_refused(via_registry_load(r, "org.test.all"), VIA_EABI, facts[i].expected);
		rr_close(r);
	}
}

/* A text that is wrong is refused in a builtin as it is in a file. */
RR_TEST(registry_gate, builtin_with_a_bad_text)
{
	via_registry *r;
	rr_file f;

	make_whole();
	note_len--;
	r = rr_open_path("", table);
	f = rr_info(r, "(builtin)");
	cr_expect_eq(f.state, VIA_FILE_REFUSED);
	cr_expect(strstr(f.reason, "expected a NUL at its end") != NULL, "%s", f.reason);
	rr_refused(via_registry_load(r, "org.test.all"), VIA_NOTFOUND, "looked at 1 builtin");
	cr_expect(rig_error_has("refused: all: identity text"), "%s", via_error());
	rr_close(r);
}

RR_TEST(registry_gate, builtins_come_first)
{
	static const char text[] =
		VIA_NOTE_MAGIC "\0abi=1\0id=org.test.unit\0provides=service unit/1 name=unit\0";
	via_registry *r;
	rr_file f;

	make_whole();
	note_len = sizeof text - 1;
	table[0].note = text;
	rr_put("unit", "a");
	r = rr_open_path(rig_path(""), table);
	f = rr_info(r, "a");
	cr_expect_eq(f.state, VIA_FILE_SHADOWED);
	cr_expect_str_eq(f.reason, "org.test.unit is already provided by all");
	cr_assert_eq(via_registry_scan(r), VIA_OK);
	cr_expect_eq(rr_info(r, "(builtin)").state, VIA_FILE_FOUND);
	cr_expect_eq(rr_count(r), 2);
	rr_close(r);
}
