/* tests/base/test_sha256.c - SHA-256 against FIPS 180-4's examples and lengths around a block. */
#include <criterion/criterion.h>
#include <string.h>

#include "core/base/sha256.h"

TestSuite(base_sha256, .timeout = 60);

#define N(array) (sizeof(array) / sizeof(array)[0])

static const char *end(sha256 *s)
{
	static char text[SHA256_TEXT];
	unsigned char digest[SHA256_BYTES];

	sha256_end(s, digest);
	sha256_text(digest, text);
	return text;
}

static const char *of(const void *data, size_t len)
{
	sha256 s;

	sha256_begin(&s);
	sha256_add(&s, data, len);
	return end(&s);
}

Test(base_sha256, examples_of_the_standard)
{
	static const struct {
		const char *message, *digest;
	} examples[] = {
		{"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
		{"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
		{"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		 "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
		{"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopq"
		 "klmnopqrlmnopqrsmnopqrstnopqrstu",
		 "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"},
	};
	size_t i;

	for (i = 0; i < N(examples); i++)
		cr_expect_str_eq(of(examples[i].message, strlen(examples[i].message)),
				 examples[i].digest, "%s", examples[i].message);
}

Test(base_sha256, a_million_times_a)
{
	unsigned char many[1000];
	sha256 s;
	int i;

	memset(many, 'a', sizeof many);
	sha256_begin(&s);
	for (i = 0; i < 1000; i++)
		sha256_add(&s, many, sizeof many);
	cr_expect_str_eq(end(&s),
			 "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

/* Where the padding begins a block of its own, and where it does not: 'a' repeated. */
Test(base_sha256, lengths_around_the_end_of_a_block)
{
	static const struct {
		size_t len;
		const char *digest;
	} lengths[] = {
		{1, "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"},
		{55, "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318"},
		{56, "b35439a4ac6f0948b6d6f9e3c6af0f5f590ce20f1bde7090ef7970686ec6738a"},
		{57, "f13b2d724659eb3bf47f2dd6af1accc87b81f09f59f2b75e5c0bed6589dfe8c6"},
		{63, "7d3e74a05d7db15bce4ad9ec0658ea98e3f06eeecf16b4c6fff2da457ddc2f34"},
		{64, "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb"},
		{65, "635361c48bb9eab14198e76ea8ab7f1a41685d6ad62aa9146d301d4f17eb0ae0"},
		{119, "31eba51c313a5c08226adf18d4a359cfdfd8d2e816b13f4af952f7ea6584dcfb"},
		{120, "2f3d335432c70b580af0e8e1b3674a7c020d683aa5f73aaaedfdc55af904c21c"},
		{127, "c57e9278af78fa3cab38667bef4ce29d783787a2f731d4e12200270f0c32320a"},
		{128, "6836cf13bac400e9105071cd6af47084dfacad4e5e302c94bfed24e013afb73e"},
	};
	unsigned char data[128];
	size_t i;

	memset(data, 'a', sizeof data);
	for (i = 0; i < N(lengths); i++)
		cr_expect_str_eq(of(data, lengths[i].len), lengths[i].digest, "%zu bytes",
				 lengths[i].len);
}

/* However the bytes come, the digest is that of all of them. */
Test(base_sha256, pieces_of_any_length)
{
	unsigned char data[300];
	char whole[SHA256_TEXT];
	size_t len, first, second;
	sha256 s;

	for (len = 0; len < sizeof data; len++)
		data[len] = (unsigned char)(len * 7 + 3);
	for (len = 0; len <= sizeof data; len += 25) {
		memcpy(whole, of(data, len), sizeof whole);
		for (first = 0; first <= len; first++) {
			second = (len - first) / 2;
			sha256_begin(&s);
			sha256_add(&s, data, first);
			sha256_add(&s, data + first, second);
			sha256_add(&s, data + first, 0);
			sha256_add(&s, data + first + second, len - first - second);
			cr_assert_str_eq(end(&s), whole, "%zu of %zu bytes first", first, len);
		}
	}
}
