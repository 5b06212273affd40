/* tests/codecs/test_vectors.c - every golden vector of methods 1, 2 and 3. */
#include "rig.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <viaduct/app/base.h>

TestSuite(codec_vectors, .timeout = 30);

/* -- canonical messages ----------------------------------------------------------------------- */

static void expect_same(const struct rig_payload *p, const struct rig_room *from,
			const struct rig_room *to, via_rc rc, uint64_t used)
{
	cr_assert_eq(rc, VIA_OK, "%s/%s: %d", p->folder, p->vector, rc);
	cr_assert_eq(used, from->cap, "%s/%s: length", p->folder, p->vector);
	cr_expect_eq(memcmp(from->room, to->room, (size_t)used), 0, "%s/%s: bytes", p->folder,
		     p->vector);
	cr_expect(rig_room_whole(to), "%s/%s: wrote past the room", p->folder, p->vector);
}

/* Exactly as long as the message, and with unused reservations that have to be closed up. */
static void reencode_both_ways(const struct rig_payload *p, const struct rig_room *from,
			       uint32_t spare)
{
	uint64_t used = 0;
	struct rig_room to = rig_room_open(from->cap + 8u * spare);
	via_rc rc = rig_reencode(rig_codec(p->module), p->side, from, spare, &to, &used);

	expect_same(p, from, &to, rc, used);
	rig_room_close(&to);

	to = rig_room_open(from->cap + 8u * spare);
	used = 0;
	rc = rig_reencode_typed(p->module, p->side, from, spare, &to, &used);
	expect_same(p, from, &to, rc, used);
	rig_room_close(&to);
}

Test(codec_vectors, canonical_ones_reencode_to_the_same_bytes)
{
	struct rig_room from;
	uint32_t i;

	for (i = 0; i < n_rig_canonical; i++) {
		from.block = NULL;
		from.room = rig_load(&rig_canonical[i], &from.cap);
		reencode_both_ways(&rig_canonical[i], &from, 0);
		reencode_both_ways(&rig_canonical[i], &from, 13);
		free(from.room);
	}
}

Test(codec_vectors, every_address_will_do)
{
	struct rig_room from, to;
	uint8_t *block, *bytes;
	uint64_t len, used;
	uint32_t i, shift;
	via_rc rc;

	for (i = 0; i < n_rig_canonical; i++) {
		bytes = rig_load(&rig_canonical[i], &len);
		for (shift = 0; shift < 8; shift++) {
			block = malloc((size_t)len + shift);
			cr_assert_not_null(block);
			memcpy(block + shift, bytes, (size_t)len);
			from = rig_bytes(block + shift, len);
			to = rig_room_open(len + 8);
			to.room += shift;
			to.cap = len;
			used = 0;
			rc = rig_reencode(rig_codec(rig_canonical[i].module), rig_canonical[i].side,
					  &from, 0, &to, &used);
			expect_same(&rig_canonical[i], &from, &to, rc, used);
			rig_room_close(&to);
			free(block);
		}
		free(bytes);
	}
}

/* A message cut anywhere is malformed: nothing canonical has a byte it could do without. */
Test(codec_vectors, truncation_at_every_length_is_refused)
{
	const struct rig_payload *p;
	via_flaw why;
	uint8_t *bytes, *cut;
	uint64_t len, n;
	uint32_t i;
	via_rc rc;

	for (i = 0; i < n_rig_canonical; i++) {
		p = &rig_canonical[i];
		bytes = rig_load(p, &len);
		for (n = 0; n < len; n++) {
			cut = rig_block(bytes, n);
			memset(&why, 0, sizeof why);
			rc = rig_codec(p->module)->check(p->side, cut, n, &why);
			cr_assert_eq(rc, VIA_PROTO, "%s at %u: %d", p->vector, (unsigned)n, rc);
			cr_assert(why.kind == VIA_FLAW_TRUNCATED ||
					  why.kind == VIA_FLAW_OUT_OF_BOUNDS,
				  "%s at %u: %s", p->vector, (unsigned)n, via_flaw_name(why.kind));
			cr_assert_leq(why.offset, len, "%s at %u", p->vector, (unsigned)n);
			cr_assert_not_null(why.field);
			free(cut);
		}
		free(bytes);
	}
}

Test(codec_vectors, captured_chunks_carry_the_captured_response)
{
	vec whole = rig_vec("live", "l2-snapshot.resp"), chunk;
	via_cgroups_snapshot_view view = {NULL, 0, 0, 0, 0};
	char name[64];
	uint8_t joined[1024];
	uint64_t len = 0;
	uint32_t i;

	for (i = 0; i < 3; i++) {
		snprintf(name, sizeof name, "l2-snapshot-chunked-pkt128.%u", i);
		chunk = rig_vec("live", name);
		cr_assert_leq(len + chunk.len, sizeof joined);
		memcpy(joined + len, chunk.data + 32, chunk.len - 32);
		len += chunk.len - 32;
		vec_free(&chunk);
	}
	cr_assert_eq(len, whole.len - 32);
	cr_expect_eq(memcmp(joined, whole.data + 32, (size_t)len), 0);
	cr_assert_eq(via_cgroups_snapshot_check(&view, joined, len, NULL), VIA_OK);
	cr_expect_eq(view.n_items, 3);
	cr_expect_eq(view.generation, 42);
	vec_free(&whole);
}

/* -- malformed and lenient ones, as INDEX.md lists them --------------------------------------- */

/* One table row: what it is called, which decoder, the class or what is unusual. */
struct row {
	char vector[96], decoder[96], result[256];
};

static int split_row(const char *line, struct row *r)
{
	char bytes[32];

	return sscanf(line, "| `%95[^`]` | %31[^|]| %95[^|]| %255[^|]|", r->vector, bytes,
		      r->decoder, r->result) == 4;
}

static void trim(char *s)
{
	size_t n = strlen(s);

	while (n > 0 && (s[n - 1] == ' ' || s[n - 1] == '\n' || s[n - 1] == '\r'))
		s[--n] = '\0';
}

/* Calls fn for every row of a folder's tables whose decoder is one of ours; returns how many. */
static int each_row(const char *heading, void (*fn)(const struct row *, int module, uint32_t side))
{
	static const struct {
		const char *decoder;
		int module;
		uint32_t side;
	} ours[] = {
		{"INCREMENT", RIG_INCREMENT, VIA_SIDE_REQUEST},
		{"STRING_REVERSE", RIG_REVERSE, VIA_SIDE_REQUEST},
		{"snapshot request", RIG_SNAPSHOT, VIA_SIDE_REQUEST},
		{"snapshot response, every item read", RIG_SNAPSHOT, VIA_SIDE_RESPONSE},
		{"snapshot response, no item read", RIG_SNAPSHOT, VIA_SIDE_RESPONSE},
	};
	size_t len, i;
	char *text = vec_text("INDEX.md", &len), *line, *end;
	struct row r;
	int n = 0, inside = 0;

	cr_assert_not_null(text, "%s", vec_error());
	for (line = text; *line != '\0'; line = end) {
		end = line + strcspn(line, "\n");
		if (*end != '\0')
			*end++ = '\0';
		trim(line);
		if (strncmp(line, "## ", 3) == 0)
			inside = strcmp(line + 3, heading) == 0;
		if (!inside || !split_row(line, &r))
			continue;
		trim(r.decoder);
		trim(r.result);
		for (i = 0; i < sizeof ours / sizeof ours[0]; i++) {
			if (strcmp(r.decoder, ours[i].decoder) == 0) {
				fn(&r, ours[i].module, ours[i].side);
				n++;
			}
		}
	}
	free(text);
	return n;
}

static void expect_class(const struct row *r, int module, uint32_t side)
{
	vec v = rig_vec("invalid", r->vector);
	uint8_t *bytes = rig_block(v.data, v.len);
	via_flaw why;
	via_rc rc;

	memset(&why, 0, sizeof why);
	rc = rig_codec(module)->check(side, bytes, v.len, &why);
	cr_expect_eq(rc, VIA_PROTO, "%s: %d", r->vector, rc);
	cr_expect_str_eq(via_flaw_name(why.kind), r->result, "%s", r->vector);
	cr_expect_eq(rig_codec(module)->check(side, bytes, v.len, NULL), VIA_PROTO, "%s",
		     r->vector);
	if (side == VIA_SIDE_REQUEST && module != RIG_SNAPSHOT) { /* same layout both ways */
		rc = rig_codec(module)->check(VIA_SIDE_RESPONSE, bytes, v.len, &why);
		cr_expect_eq(rc, VIA_PROTO, "%s: %d", r->vector, rc);
		cr_expect_str_eq(via_flaw_name(why.kind), r->result, "%s", r->vector);
	}
	free(bytes);
	vec_free(&v);
}

Test(codec_vectors, invalid_ones_are_refused_with_their_class)
{
	cr_assert_eq(each_row("invalid/", expect_class), 24); /* 2 + 4 + 18: none may get lost */
}

static void expect_accepted(const struct row *r, int module, uint32_t side)
{
	vec v = rig_vec("lenient", r->vector);
	struct rig_room from = rig_bytes(rig_block(v.data, v.len), v.len);
	struct rig_room to = rig_room_open(v.len + 64);
	const int items_unread = strcmp(r->decoder, "snapshot response, no item read") == 0;
	via_cgroups_snapshot_view view = {NULL, 0, 0, 0, 0};
	uint64_t used;
	via_rc rc = rig_codec(module)->check(side, from.room, from.cap, NULL);

	if (items_unread) { /* our check reads the items; the decode step alone does not */
		cr_expect_eq(rc, VIA_PROTO, "%s: %d", r->vector, rc);
		rc = via_cgroups_snapshot_open(&view, from.room, from.cap, NULL);
		cr_expect_eq(rc, VIA_OK, "%s: %d", r->vector, rc);
	} else {
		cr_expect_geq(rc, 0, "%s: %d", r->vector, rc);
		/* Anything accepted can be written anew, canonically. */
		rc = rig_reencode(rig_codec(module), side, &from, 0, &to, &used);
		cr_assert_eq(rc, VIA_OK, "%s: %d", r->vector, rc);
		rc = rig_codec(module)->check(side, to.room, used, NULL);
		cr_expect_geq(rc, 0, "%s: %d", r->vector, rc);
	}
	rig_room_close(&to);
	free(from.room);
	vec_free(&v);
}

Test(codec_vectors, lenient_ones_are_accepted)
{
	cr_assert_eq(each_row("lenient/", expect_accepted), 8);
}

/* Every file named after our decoders is in the tables above. */
static int count_ours(void *arg, const char *name)
{
	if (strncmp(name, "increment", 9) == 0 || strncmp(name, "reverse", 7) == 0 ||
	    strncmp(name, "snap", 4) == 0)
		++*(int *)arg;
	return 0;
}

Test(codec_vectors, no_file_is_left_out)
{
	int invalid = 0, lenient = 0, valid = 0;

	cr_assert_gt(vec_list("invalid", count_ours, &invalid), 0, "%s", vec_error());
	cr_assert_gt(vec_list("lenient", count_ours, &lenient), 0, "%s", vec_error());
	cr_assert_gt(vec_list("valid", count_ours, &valid), 0, "%s", vec_error());
	cr_expect_eq(invalid, 24);
	cr_expect_eq(lenient, 8);
	cr_expect_eq(valid, 4 + 6 + 6); /* all in rig_canonical */
}

/* -- captured requests that a server has to refuse -------------------------------------------- */

Test(codec_vectors, captured_bad_requests)
{
	static const struct rig_payload bad[] = {
		{"live", "l2-increment-short.req", 32, 0, RIG_INCREMENT, VIA_SIDE_REQUEST},
		{"live", "l2-bad-envelope.req", 32, 0, RIG_SNAPSHOT, VIA_SIDE_REQUEST},
	};
	static const uint32_t class[] = {VIA_FLAW_TRUNCATED, VIA_FLAW_BAD_LAYOUT};
	via_flaw why;
	uint64_t len;
	uint8_t *bytes;
	uint32_t i;

	for (i = 0; i < 2; i++) {
		bytes = rig_load(&bad[i], &len);
		cr_expect_eq(rig_codec(bad[i].module)->check(bad[i].side, bytes, len, &why),
			     VIA_PROTO);
		cr_expect_eq(why.kind, class[i], "%s: %s", bad[i].vector, via_flaw_name(why.kind));
		free(bytes);
	}
}
