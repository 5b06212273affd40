/* fuzz/fuzz_note.c - the identity of a module file: ELF and PE readers, and the text itself.
 *
 * Input that begins like an ELF or a PE file goes through that reader first, as a file of that
 * content; everything else is taken for the text. What was accepted must keep what the header
 * promises.
 */
#include "core/registry/image.h"
#include "core/registry/note.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct file {
	const uint8_t *data;
	size_t size;
};

static void must(int condition)
{
	if (!condition)
		abort();
}

static via_rc read_at(void *ctx, uint64_t off, void *buf, uint64_t len)
{
	const struct file *f = ctx;

	must(off <= f->size && len <= f->size - off);
	memcpy(buf, f->data + off, (size_t)len);
	return VIA_OK;
}

static void check_component(const note_component *c)
{
	const via_provided *p = &c->p;

	must(p->kind >= VIA_KIND_TRANSPORT && p->kind <= VIA_KIND_SERVICE);
	must(note_is_id(p->id) && p->rev > 0 && p->name != NULL);
	must(p->score >= 0 && p->score <= NOTE_SCORE_MAX);
	if (p->kind == VIA_KIND_TRANSPORT)
		must(p->roles != 0 && (p->roles & ~7u) == 0 &&
		     ((p->roles & (VIA_ROLE_BASELINE | VIA_ROLE_UPGRADE)) == 0 ||
		      p->profiles != 0) &&
		     (p->by_request & ~p->profiles) == 0);
	else
		must(note_is_id(p->name));
	must(p->kind == VIA_KIND_CODEC ? p->method > 0 && p->method <= UINT16_MAX : p->method == 0);
	must(((c->stated & NOTE_CODECS) != 0) == (c->p.codecs[0] != 0));
}

static void check_text(const uint8_t *text, size_t size)
{
	char *store = malloc(size > 0 ? size : 1);
	note n;
	via_rc rc;
	uint32_t i;

	if (store == NULL)
		return;
	core_error_clear();
	rc = note_parse((const char *)text, size, store, &n);
	must(rc == VIA_OK || rc == VIA_PROTO || rc == VIA_EABI);
	must((rc == VIA_OK) == (via_error()[0] == '\0'));
	if (rc == VIA_EABI)
		must(n.abi != VIA_ABI_MAJOR && n.n_provides == 0 &&
		     (n.id[0] == '\0' || note_is_id(n.id)));
	if (rc == VIA_OK) {
		must(size > 0 && size <= NOTE_MAX && n.abi == VIA_ABI_MAJOR && note_is_id(n.id));
		must(n.n_provides <= NOTE_PROVIDES_MAX && n.n_requires <= NOTE_PROVIDES_MAX);
		for (i = 0; i < n.n_provides; i++)
			check_component(&n.provides[i]);
		for (i = 0; i < n.n_requires; i++)
			must(n.requires[i].kind <= VIA_KIND_SERVICE &&
			     note_is_id(n.requires[i].name));
	}
	free(store);
}

static void check_file(const struct file *f,
		       via_rc (*find)(const image_source *, uint32_t, image_span *),
		       const uint32_t machine[2])
{
	struct file copy = *f;
	image_source s = {read_at, &copy, f->size};
	image_span span = {0, 0};
	via_rc rc;

	rc = find(&s, machine[0], &span);
	if (rc == VIA_EABI)
		rc = find(&s, machine[1], &span);
	if (rc != VIA_OK)
		return;
	must(span.off <= f->size && span.len <= f->size - span.off);
	check_text(f->data + span.off, (size_t)span.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint32_t elf[2] = {IMAGE_ELF_X86_64, IMAGE_ELF_AARCH64};
	static const uint32_t pe[2] = {IMAGE_PE_X86_64, IMAGE_PE_AARCH64};
	const struct file f = {data, size};

	if (size >= 4 && memcmp(data, "\177ELF", 4) == 0)
		check_file(&f, image_elf_find, elf);
	else if (size >= 2 && data[0] == 'M' && data[1] == 'Z')
		check_file(&f, image_pe_find, pe);
	else
		check_text(data, size);
	return 0;
}
