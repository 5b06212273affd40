/* core/registry/image.c - the identity text of a module file in this platform's format. */
#include "image.h"
#include "note.h"

#include <string.h>

via_rc image_inside(const image_source *s, uint64_t off, uint64_t len, const char *what)
{
	if (off <= s->size && len <= s->size - off)
		return VIA_OK;
	return core_fail(VIA_PROTO,
			 "truncated or damaged: the %s needs %llu bytes at %llu, the file has %llu",
			 what, (unsigned long long)len, (unsigned long long)off,
			 (unsigned long long)s->size);
}

via_rc image_fetch(const image_source *s, uint64_t off, void *buf, uint64_t len, const char *what)
{
	via_rc rc = image_inside(s, off, len, what);

	return rc != VIA_OK ? rc : s->read_at(s->ctx, off, buf, len);
}

#if defined(__aarch64__)
enum { ELF_HERE = IMAGE_ELF_AARCH64, PE_HERE = IMAGE_PE_AARCH64 };
#else
enum { ELF_HERE = IMAGE_ELF_X86_64, PE_HERE = IMAGE_PE_X86_64 };
#endif

static via_rc find_here(const image_source *s, image_span *out)
{
#if defined(_WIN32)
	(void)ELF_HERE;
	return image_pe_find(s, PE_HERE, out);
#else
	(void)PE_HERE;
	return image_elf_find(s, ELF_HERE, out);
#endif
}

via_rc image_read_note(const image_source *s, char *buf, uint32_t *len)
{
	image_span span = {0, 0};
	via_rc rc;

	rc = find_here(s, &span);
	if (rc != VIA_OK)
		return rc;
	if (span.len == 0 || span.len > NOTE_MAX)
		return core_fail(VIA_PROTO, "section .viaduct: expected 1 to %d bytes, found %llu",
				 NOTE_MAX, (unsigned long long)span.len);
	rc = image_fetch(s, span.off, buf, span.len, "section .viaduct");
	if (rc != VIA_OK)
		return rc;
	*len = (uint32_t)span.len;
	return VIA_OK;
}
