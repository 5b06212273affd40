/* core/registry/note.c - strict parser of the identity text. Pure: no I/O, no allocation.
 *
 * The text is a row of NUL-terminated strings: the magic word, "abi=N", then "key=value" in any
 * order. Keys that are not known are skipped, so that a newer module may say more; a known key with
 * a value that does not follow docs/abi.md refuses the whole text.
 */
#include "note.h"

#include <string.h>

/* -- words ------------------------------------------------------------------------------------- */

static int id_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '.' || c == '_' || c == '-';
}

int note_is_id(const char *s)
{
	size_t n = 0;

	while (s[n] != '\0') {
		if (n == NOTE_ID_MAX || !id_char(s[n]))
			return 0;
		n++;
	}
	return n > 0;
}

/* A version is for people: what packages use, without spaces. */
static int is_version(const char *s)
{
	size_t n = 0;

	while (s[n] != '\0') {
		if (n == NOTE_ID_MAX ||
		    !(id_char(s[n]) || s[n] == '+' || s[n] == '~' || s[n] == ':'))
			return 0;
		n++;
	}
	return n > 0;
}

int note_list_has(const char *list, const char *word)
{
	size_t len = strlen(word);

	while (list != NULL && *list != '\0') {
		size_t n = strcspn(list, ",");

		if (n == len && memcmp(list, word, n) == 0)
			return 1;
		list += n + (list[n] == ',');
	}
	return 0;
}

/* A comma-separated list of 1..NOTE_PROVIDES_MAX ids without repetition. */
static int is_id_list(const char *list)
{
	char word[NOTE_ID_MAX + 1];
	uint32_t n_words;

	for (n_words = 0;; n_words++) {
		size_t n = strcspn(list, ",");

		if (n_words == NOTE_PROVIDES_MAX || n > NOTE_ID_MAX)
			return 0;
		memcpy(word, list, n);
		word[n] = '\0';
		if (!note_is_id(word))
			return 0;
		if (list[n] == '\0')
			return 1;
		list += n + 1;
		if (note_list_has(list, word))
			return 0;
	}
}

const char *note_kind_name(uint32_t kind)
{
	switch (kind) {
	case VIA_KIND_TRANSPORT:
		return "transport";
	case VIA_KIND_CODEC:
		return "codec";
	case VIA_KIND_SERVICE:
		return "service";
	default:
		return "component";
	}
}

static uint32_t kind_of(const char *word)
{
	uint32_t kind;

	for (kind = VIA_KIND_TRANSPORT; kind <= VIA_KIND_SERVICE; kind++)
		if (strcmp(word, note_kind_name(kind)) == 0)
			return kind;
	return 0;
}

static int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return 99;
}

/* Decimal, or hexadecimal after "0x". 0 when it is no number between min and max. */
static int number(const char *s, uint32_t min, uint32_t max, uint32_t *out)
{
	uint64_t value = 0;
	int base = 10;

	if (s[0] == '0' && s[1] == 'x') {
		base = 16;
		s += 2;
	}
	if (*s == '\0')
		return 0;
	for (; *s != '\0'; s++) {
		int d = digit_of(*s);

		if (d >= base)
			return 0;
		value = value * (uint64_t)base + (uint64_t)d;
		if (value > UINT32_MAX)
			return 0;
	}
	if (value < min || value > max)
		return 0;
	*out = (uint32_t)value;
	return 1;
}

/* -- provides= --------------------------------------------------------------------------------- */

enum {
	KEY_SCORE,
	KEY_ROLES,
	KEY_PROFILES,
	KEY_BY_REQUEST,
	KEY_SCHEMES,
	KEY_METHOD,
	KEY_NAME,
	KEY_CODECS,
	KEY_MAX_REQUEST,
	KEY_MAX_RESPONSE,
	N_KEYS
};

static const struct {
	const char *name;
	uint32_t kinds; /* bit per VIA_KIND_*; for other kinds the key is an unknown one */
	const char *expected;
} keys[N_KEYS] = {
	[KEY_SCORE] = {"score", 0xe, "a number from 0 to 1000"},
	[KEY_ROLES] = {"roles", 1u << VIA_KIND_TRANSPORT,
		       "baseline, upgrade, decorator, each at most once"},
	[KEY_PROFILES] = {"profiles", 1u << VIA_KIND_TRANSPORT, "a number up to 0xffffffff"},
	[KEY_BY_REQUEST] = {"by_request", 1u << VIA_KIND_TRANSPORT, "a number up to 0xffffffff"},
	[KEY_SCHEMES] = {"schemes", 1u << VIA_KIND_TRANSPORT, "ids between commas, each once"},
	[KEY_METHOD] = {"method", 1u << VIA_KIND_CODEC, "a number from 1 to 65535"},
	[KEY_NAME] = {"name", 1u << VIA_KIND_CODEC | 1u << VIA_KIND_SERVICE, "an id"},
	[KEY_CODECS] = {"codecs", 1u << VIA_KIND_SERVICE, "ids between commas, each once"},
	[KEY_MAX_REQUEST] = {"max_request", 1u << VIA_KIND_SERVICE,
			     "a number from 1 to 4294967295"},
	[KEY_MAX_RESPONSE] = {"max_response", 1u << VIA_KIND_SERVICE,
			      "a number from 1 to 4294967295"},
};

static int roles_of(char *list, uint32_t *out)
{
	uint32_t roles = 0, role;
	char *next;

	for (; list != NULL; list = next) {
		next = strchr(list, ',');
		if (next != NULL)
			*next++ = '\0';
		role = strcmp(list, "baseline") == 0    ? VIA_ROLE_BASELINE
		       : strcmp(list, "upgrade") == 0   ? VIA_ROLE_UPGRADE
		       : strcmp(list, "decorator") == 0 ? VIA_ROLE_DECORATOR
							: 0u;
		if (role == 0 || (roles & role) != 0)
			return 0;
		roles |= role;
	}
	*out = roles;
	return 1;
}

static int set_key(note_component *c, uint32_t key, char *value)
{
	uint32_t n = 0;

	switch (key) {
	case KEY_SCORE:
		if (!number(value, 0, NOTE_SCORE_MAX, &n))
			return 0;
		c->p.score = (int32_t)n;
		c->stated |= NOTE_SCORE;
		return 1;
	case KEY_ROLES:
		return roles_of(value, &c->p.roles);
	case KEY_PROFILES:
		return number(value, 0, UINT32_MAX, &c->p.profiles);
	case KEY_BY_REQUEST:
		return number(value, 0, UINT32_MAX, &c->p.by_request);
	case KEY_SCHEMES:
		c->p.name = value;
		return is_id_list(value);
	case KEY_METHOD:
		return number(value, 1, UINT16_MAX, &c->p.method);
	case KEY_NAME:
		c->p.name = value;
		return note_is_id(value);
	case KEY_CODECS:
		c->p.codecs = value;
		c->stated |= NOTE_CODECS;
		return is_id_list(value);
	case KEY_MAX_REQUEST:
		return number(value, 1, UINT32_MAX, &c->p.max_request);
	default:
		return number(value, 1, UINT32_MAX, &c->p.max_response);
	}
}

/* "key=value" of one component. seen: bit per key that came already. */
static via_rc component_key(note_component *c, char *word, uint32_t *seen)
{
	char *value = strchr(word, '=');
	uint32_t k;

	if (value == NULL || value == word)
		return core_fail(VIA_PROTO, "provides %s: expected key=value, found \"%.40s\"",
				 c->p.id, word);
	*value++ = '\0';
	for (k = 0; k < N_KEYS; k++)
		if (strcmp(word, keys[k].name) == 0 && (keys[k].kinds >> c->p.kind & 1u) != 0)
			break;
	if (k == N_KEYS)
		return VIA_OK;
	if ((*seen >> k & 1u) != 0)
		return core_fail(VIA_PROTO, "provides %s: %s= twice", c->p.id, word);
	*seen |= 1u << k;
	if (!set_key(c, k, value))
		return core_fail(VIA_PROTO, "provides %s: %s= expects %s, found \"%.40s\"", c->p.id,
				 word, keys[k].expected, value);
	return VIA_OK;
}

/* What a kind cannot do without. */
static via_rc component_complete(note_component *c, uint32_t seen)
{
	const char *missing = NULL;

	if (c->p.kind == VIA_KIND_TRANSPORT) {
		if ((seen >> KEY_ROLES & 1u) == 0)
			missing = "roles";
		else if ((c->p.roles & VIA_ROLE_UPGRADE) != 0 && c->p.profiles == 0)
			missing = "profiles";
		else if (c->p.profiles == 0 && (c->p.roles & VIA_ROLE_BASELINE) != 0)
			c->p.profiles = 1; /* what a baseline always serves */
	} else if (c->p.kind == VIA_KIND_CODEC && (seen >> KEY_METHOD & 1u) == 0) {
		missing = "method";
	} else if ((seen >> KEY_NAME & 1u) == 0) {
		missing = "name";
	}
	if (missing != NULL)
		return core_fail(VIA_PROTO, "provides %s: %s without %s=", c->p.id,
				 note_kind_name(c->p.kind), missing);
	if ((c->p.by_request & ~c->p.profiles) != 0)
		return core_fail(
			VIA_PROTO,
			"provides %s: by_request= expects some of profiles=0x%x, found 0x%x",
			c->p.id, c->p.profiles, c->p.by_request);
	if (c->p.name == NULL)
		c->p.name = "";
	if (c->p.codecs == NULL)
		c->p.codecs = "";
	return VIA_OK;
}

/* Cuts *rest at its first space and returns the word before it. */
static char *next_word(char **rest)
{
	char *word = *rest, *space;

	if (word == NULL)
		return NULL;
	space = strchr(word, ' ');
	if (space != NULL)
		*space++ = '\0';
	*rest = space;
	return word;
}

/* "<id>/<rev>" */
static via_rc component_id(note_component *c, char *word)
{
	char *slash = strchr(word, '/');

	if (slash == NULL)
		return core_fail(VIA_PROTO, "provides: expected <id>/<revision>, found \"%.80s\"",
				 word);
	*slash = '\0';
	if (!note_is_id(word))
		return core_fail(VIA_PROTO, "provides: \"%.80s\" is no id", word);
	if (!number(slash + 1, 1, UINT32_MAX, &c->p.rev))
		return core_fail(VIA_PROTO,
				 "provides %s: expected a revision from 1, found \"%.40s\"", word,
				 slash + 1);
	c->p.id = word;
	return VIA_OK;
}

/* "transport org.viaduct.uds/1 score=100 ..." */
static via_rc add_provides(note *out, char *value)
{
	note_component c = {.p = {.struct_size = sizeof c.p, .score = NOTE_SCORE_DEFAULT}};
	char *rest = value, *word = next_word(&rest);
	uint32_t seen = 0, i;
	via_rc rc;

	c.p.kind = kind_of(word);
	if (c.p.kind == 0)
		return note_is_id(word)
			       ? VIA_OK /* a kind of a newer minor */
			       : core_fail(VIA_PROTO, "provides: \"%.40s\" is no kind", word);
	word = next_word(&rest);
	if (word == NULL)
		return core_fail(VIA_PROTO, "provides: expected %s <id>/<revision>, found no id",
				 note_kind_name(c.p.kind));
	rc = component_id(&c, word);
	while (rc == VIA_OK && (word = next_word(&rest)) != NULL)
		rc = component_key(&c, word, &seen);
	if (rc == VIA_OK)
		rc = component_complete(&c, seen);
	if (rc != VIA_OK)
		return rc;
	for (i = 0; i < out->n_provides; i++)
		if (out->provides[i].p.kind == c.p.kind &&
		    strcmp(out->provides[i].p.id, c.p.id) == 0)
			return core_fail(VIA_PROTO, "provides %s %s twice",
					 note_kind_name(c.p.kind), c.p.id);
	if (out->n_provides == NOTE_PROVIDES_MAX)
		return core_fail(VIA_PROTO, "provides more than %d components", NOTE_PROVIDES_MAX);
	out->provides[out->n_provides++] = c;
	return VIA_OK;
}

/* "codec:increment" */
static via_rc add_requires(note *out, char *value)
{
	char *colon = strchr(value, ':');
	uint32_t kind;

	if (colon == NULL)
		return core_fail(VIA_PROTO, "requires: expected kind:name, found \"%.80s\"", value);
	*colon = '\0';
	kind = kind_of(value);
	if (kind == 0)
		return core_fail(VIA_PROTO,
				 "requires: expected transport, codec or service, found \"%.40s\"",
				 value);
	if (!note_is_id(colon + 1))
		return core_fail(VIA_PROTO, "requires: \"%.80s\" is no id", colon + 1);
	if (out->n_requires == NOTE_PROVIDES_MAX)
		return core_fail(VIA_PROTO, "requires more than %d components", NOTE_PROVIDES_MAX);
	out->requires[out->n_requires++] = (note_requirement){kind, colon + 1};
	return VIA_OK;
}

/* -- the text ---------------------------------------------------------------------------------- */

static via_rc add_line(note *out, char *line, uint32_t *n_provides)
{
	char *value = strchr(line, '=');

	if (value == NULL || value == line)
		return core_fail(VIA_PROTO, "identity text: expected key=value, found \"%.80s\"",
				 line);
	*value++ = '\0';
	if (strcmp(line, "id") == 0) {
		if (out->id[0] != '\0')
			return core_fail(VIA_PROTO, "identity text: id= twice");
		if (!note_is_id(value))
			return core_fail(VIA_PROTO,
					 "identity text: id= expects an id, found \"%.80s\"",
					 value);
		out->id = value;
	} else if (strcmp(line, "version") == 0) {
		if (out->version[0] != '\0')
			return core_fail(VIA_PROTO, "identity text: version= twice");
		if (!is_version(value))
			return core_fail(VIA_PROTO,
					 "identity text: version= expects A-Z a-z 0-9 . _ - + ~ :, "
					 "found \"%.80s\"",
					 value);
		out->version = value;
	} else if (strcmp(line, "provides") == 0) {
		*n_provides += 1;
		return add_provides(out, value);
	} else if (strcmp(line, "requires") == 0) {
		return add_requires(out, value);
	} else if (strcmp(line, "abi") == 0) {
		return core_fail(VIA_PROTO, "identity text: abi= twice");
	}
	return VIA_OK;
}

/* The first two strings: the magic word and "abi=N". Returns what follows them. */
static via_rc read_head(char *text, char *end, note *out, char **body)
{
	char *abi = text + strlen(text) + 1;

	if (strcmp(text, VIA_NOTE_MAGIC) != 0)
		return core_fail(VIA_PROTO,
				 "identity text: expected to begin with \"" VIA_NOTE_MAGIC
				 "\", found \"%.40s\"",
				 text);
	if (abi >= end || strncmp(abi, "abi=", 4) != 0)
		return core_fail(VIA_PROTO,
				 "identity text: expected abi= in second place, found \"%.40s\"",
				 abi >= end ? "" : abi);
	if (!number(abi + 4, 1, UINT16_MAX, &out->abi))
		return core_fail(
			VIA_PROTO,
			"identity text: abi= expects a number from 1 to 65535, found \"%.40s\"",
			abi + 4);
	*body = abi + strlen(abi) + 1;
	return VIA_OK;
}

/* Of another ABI only the id is of interest, for the sentence; its grammar is not ours. */
static via_rc other_abi(char *line, const char *end, note *out)
{
	for (; line < end; line += strlen(line) + 1)
		if (strncmp(line, "id=", 3) == 0 && note_is_id(line + 3))
			out->id = line + 3;
	return core_fail(VIA_EABI, "built for viaduct ABI %u, this core offers %u.%u", out->abi,
			 VIA_ABI_MAJOR, VIA_ABI_MINOR);
}

static via_rc read_body(char *line, const char *end, note *out)
{
	uint32_t n_provides = 0;
	via_rc rc;

	while (line < end) {
		char *next = line + strlen(line) + 1;

		if (line[0] == '\0') {
			while (line < end && *line == '\0')
				line++;
			if (line < end)
				return core_fail(VIA_PROTO,
						 "identity text: empty string before \"%.40s\"",
						 line);
			break;
		}
		rc = add_line(out, line, &n_provides);
		if (rc != VIA_OK)
			return rc;
		line = next;
	}
	if (out->id[0] == '\0')
		return core_fail(VIA_PROTO, "identity text: id= is missing");
	if (n_provides == 0)
		return core_fail(VIA_PROTO, "identity text: provides= is missing");
	return VIA_OK;
}

via_rc note_parse(const char *text, uint64_t len, char *store, note *out)
{
	char *body = NULL;
	via_rc rc;

	memset(out, 0, sizeof *out);
	out->id = out->version = "";
	if (len == 0 || len > NOTE_MAX)
		return core_fail(VIA_PROTO, "identity text: expected 1 to %d bytes, found %llu",
				 NOTE_MAX, (unsigned long long)len);
	if (text[len - 1] != '\0')
		return core_fail(VIA_PROTO,
				 "identity text: expected a NUL at its end, found 0x%02x",
				 (unsigned)(unsigned char)text[len - 1]);
	memcpy(store, text, (size_t)len);
	rc = read_head(store, store + len, out, &body);
	if (rc != VIA_OK)
		return rc;
	if (out->abi != VIA_ABI_MAJOR)
		return other_abi(body, store + len, out);
	return read_body(body, store + len, out);
}
