/* SPDX-License-Identifier: Apache-2.0
 * tests/shim/criterion/criterion.h - the part of Criterion's interface our tests use.
 *
 * For targets Criterion is not built for (Windows) or cannot start on (thread sanitizer): same macros,
 * same options of the program, same closing line, same exit status. Not here: theories, redirection and
 * the newer style of assertions. Messages must be string literals. */
#ifndef VIA_CRITERION_SHIM_H
#define VIA_CRITERION_SHIM_H
#if !defined(_MSC_VER)
#pragma GCC system_header
#endif
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#if defined(__MINGW32__)
#define SHIM_PRINTF(f, a) __attribute__((format(gnu_printf, f, a)))
#elif defined(__GNUC__) || defined(__clang__)
#define SHIM_PRINTF(f, a) __attribute__((format(printf, f, a)))
#else
#define SHIM_PRINTF(f, a)
#endif

/* A function without arguments that runs before main(). Microsoft's C library calls what .CRT$XCU points at. */
#if defined(_MSC_VER)
#pragma section(".CRT$XCU", read)
#define SHIM_BEFORE_MAIN(F) \
	static void F(void); \
	__pragma(comment(linker, "/INCLUDE:" #F "_pointer")) __declspec( \
		allocate(".CRT$XCU")) void (*const F##_pointer)(void) = F; \
	static void F(void)
#else
#define SHIM_BEFORE_MAIN(F) __attribute__((constructor)) static void F(void)
#endif

/* -- what a test is ------------------------------------------------------------------------------- */

struct criterion_test_opts {
	int shim_first; /* so that an empty list of options is an initialiser */
	void (*init)(void);
	void (*fini)(void);
	double timeout; /* seconds */
	int signal;     /* the test passes when it dies of this */
	int exit_code;  /* the test passes when it exits with this */
	bool disabled;
	const char *description;
};

struct shim_suite {
	const char *name;
	struct criterion_test_opts opts;
	struct shim_suite *next;
};

/* Parameters are plain data without pointers to allocated memory, as with Criterion. */
struct criterion_test_params {
	size_t size;
	void *params;
	size_t length;
};

struct shim_test {
	const char *suite, *name;
	void (*run)(void);
	struct criterion_test_opts opts;
	struct criterion_test_params (*params)(void);
	void (*run_with)(void *param);
	struct shim_test *next;
};

/* Not Criterion's. What `program --call WORD` runs instead of tests; NULL: nothing. Its result is the exit
 * status. Tests start other processes with it (../proc_windows.c). */
extern int (*shim_call)(const char *word);

void shim_add_suite(struct shim_suite *suite);
void shim_add_test(struct shim_test *test);

#define TestSuite(S, ...) \
	static struct shim_suite shim_suite_##S = {#S, {.shim_first = 0, __VA_ARGS__}, NULL}; \
	SHIM_BEFORE_MAIN(shim_suite_##S##_register) \
	{ \
		shim_add_suite(&shim_suite_##S); \
	} \
	struct shim_semicolon

#define SHIM_REGISTER(S, N, RUN, PARAMS, RUN_WITH, ...) \
	static struct shim_test S##_##N##_test = { \
		.suite = #S, \
		.name = #N, \
		.run = RUN, \
		.opts = {.shim_first = 0, __VA_ARGS__}, \
		.params = PARAMS, \
		.run_with = RUN_WITH, \
	}; \
	SHIM_BEFORE_MAIN(S##_##N##_register) \
	{ \
		shim_add_test(&S##_##N##_test); \
	}

#define Test(S, N, ...) \
	static void S##_##N##_run(void); \
	SHIM_REGISTER(S, N, S##_##N##_run, NULL, NULL, __VA_ARGS__) \
	static void S##_##N##_run(void)

#define ParameterizedTestParameters(S, N) static struct criterion_test_params S##_##N##_params(void)
#define cr_make_param_array(T, A, L, ...) \
	((struct criterion_test_params){sizeof(T), (void *)(A), (L)})

#define ParameterizedTest(P, S, N, ...) \
	static struct criterion_test_params S##_##N##_params(void); \
	static void S##_##N##_run(P); \
	static void S##_##N##_run_with(void *param) \
	{ \
		S##_##N##_run(param); \
	} \
	SHIM_REGISTER(S, N, NULL, S##_##N##_params, S##_##N##_run_with, __VA_ARGS__) \
	static void S##_##N##_run(P)

/* -- messages and early ends ------------------------------------------------------------------------ */

SHIM_PRINTF(4, 5)
void shim_fail(const char *file, int line, const char *expression, const char *fmt, ...);
_Noreturn void shim_leave(void);
SHIM_PRINTF(1, 2) _Noreturn void cr_skip_test(const char *fmt, ...);
SHIM_PRINTF(1, 2) void cr_log_info(const char *fmt, ...);
#define cr_skip cr_skip_test
#define cr_log_warn cr_log_info
#define cr_log_error cr_log_info

/* -- assertions: cr_assert_* ends the test, cr_expect_* goes on ----------------------------------------- */

#define SHIM_CHECK(END, C, E, ...) \
	do { \
		if (!(C)) { \
			shim_fail(__FILE__, __LINE__, E, "" __VA_ARGS__); \
			END; \
		} \
	} while (0)
#define SHIM_ASSERT(C, E, ...) SHIM_CHECK(shim_leave(), C, E, __VA_ARGS__)
#define SHIM_EXPECT(C, E, ...) SHIM_CHECK((void)0, C, E, __VA_ARGS__)
/* Both values of a comparison that fails become part of its message. They are looked at in the type in which C
 * compares them, and once. */
void shim_values(long long a, long long b);
void shim_values_u(unsigned long long a, unsigned long long b);
void shim_values_double(double a, double b);
void shim_values_pointer(const volatile void *a, const volatile void *b);
#if defined(__GNUC__) || defined(__clang__)
#define SHIM_VALUES(A, B) \
	_Generic((A), int \
		 : shim_values, long \
		 : shim_values, long long \
		 : shim_values, unsigned \
		 : shim_values_u, unsigned long \
		 : shim_values_u, unsigned long long \
		 : shim_values_u, float \
		 : shim_values_double, double \
		 : shim_values_double, default \
		 : shim_values_pointer)(A, B)
#define SHIM_TYPE(A, B) __typeof__(1 ? (A) : (B))
#define SHIM_COMPARE(K, A, O, B, ...) \
	do { \
		SHIM_TYPE(A, B) shim_a = (SHIM_TYPE(A, B))(A), shim_b = (SHIM_TYPE(A, B))(B); \
		K(shim_a O shim_b || (SHIM_VALUES(shim_a, shim_b), 0), #A " " #O " " #B, \
		  __VA_ARGS__); \
	} while (0)
#else /* no way to ask for a type: the message does without */
#define SHIM_COMPARE(K, A, O, B, ...) K((A)O(B), #A " " #O " " #B, __VA_ARGS__)
#endif
#define SHIM_NEAR(A, B, T) (fabs((double)(A) - (double)(B)) <= (double)(T))

#define cr_assert(C, ...) SHIM_ASSERT(C, #C, __VA_ARGS__)
#define cr_assert_not(C, ...) SHIM_ASSERT(!(C), "!(" #C ")", __VA_ARGS__)
#define cr_assert_fail(...) SHIM_ASSERT(0, "fail", __VA_ARGS__)
#define cr_assert_eq(A, B, ...) SHIM_COMPARE(SHIM_ASSERT, A, ==, B, __VA_ARGS__)
#define cr_assert_neq(A, B, ...) SHIM_COMPARE(SHIM_ASSERT, A, !=, B, __VA_ARGS__)
#define cr_assert_lt(A, B, ...) SHIM_COMPARE(SHIM_ASSERT, A, <, B, __VA_ARGS__)
#define cr_assert_leq(A, B, ...) SHIM_COMPARE(SHIM_ASSERT, A, <=, B, __VA_ARGS__)
#define cr_assert_gt(A, B, ...) SHIM_COMPARE(SHIM_ASSERT, A, >, B, __VA_ARGS__)
#define cr_assert_geq(A, B, ...) SHIM_COMPARE(SHIM_ASSERT, A, >=, B, __VA_ARGS__)
#define cr_assert_null(A, ...) SHIM_ASSERT((A) == NULL, #A " is NULL", __VA_ARGS__)
#define cr_assert_not_null(A, ...) SHIM_ASSERT((A) != NULL, #A " is not NULL", __VA_ARGS__)
#define cr_assert_str_eq(A, B, ...) SHIM_ASSERT(strcmp(A, B) == 0, #A " == " #B, __VA_ARGS__)
#define cr_assert_str_neq(A, B, ...) SHIM_ASSERT(strcmp(A, B) != 0, #A " != " #B, __VA_ARGS__)
#define cr_assert_str_empty(A, ...) SHIM_ASSERT(*(A) == '\0', #A " is empty", __VA_ARGS__)
#define cr_assert_str_not_empty(A, ...) SHIM_ASSERT(*(A) != '\0', #A " is not empty", __VA_ARGS__)
#define cr_assert_arr_eq(A, B, N, ...) SHIM_ASSERT(memcmp(A, B, N) == 0, #A " == " #B, __VA_ARGS__)
#define cr_assert_arr_neq(A, B, N, ...) SHIM_ASSERT(memcmp(A, B, N) != 0, #A " != " #B, __VA_ARGS__)
#define cr_assert_float_eq(A, B, T, ...) SHIM_ASSERT(SHIM_NEAR(A, B, T), #A " ~ " #B, __VA_ARGS__)

#define cr_expect(C, ...) SHIM_EXPECT(C, #C, __VA_ARGS__)
#define cr_expect_not(C, ...) SHIM_EXPECT(!(C), "!(" #C ")", __VA_ARGS__)
#define cr_expect_fail(...) SHIM_EXPECT(0, "fail", __VA_ARGS__)
#define cr_expect_eq(A, B, ...) SHIM_COMPARE(SHIM_EXPECT, A, ==, B, __VA_ARGS__)
#define cr_expect_neq(A, B, ...) SHIM_COMPARE(SHIM_EXPECT, A, !=, B, __VA_ARGS__)
#define cr_expect_lt(A, B, ...) SHIM_COMPARE(SHIM_EXPECT, A, <, B, __VA_ARGS__)
#define cr_expect_leq(A, B, ...) SHIM_COMPARE(SHIM_EXPECT, A, <=, B, __VA_ARGS__)
#define cr_expect_gt(A, B, ...) SHIM_COMPARE(SHIM_EXPECT, A, >, B, __VA_ARGS__)
#define cr_expect_geq(A, B, ...) SHIM_COMPARE(SHIM_EXPECT, A, >=, B, __VA_ARGS__)
#define cr_expect_null(A, ...) SHIM_EXPECT((A) == NULL, #A " is NULL", __VA_ARGS__)
#define cr_expect_not_null(A, ...) SHIM_EXPECT((A) != NULL, #A " is not NULL", __VA_ARGS__)
#define cr_expect_str_eq(A, B, ...) SHIM_EXPECT(strcmp(A, B) == 0, #A " == " #B, __VA_ARGS__)
#define cr_expect_str_neq(A, B, ...) SHIM_EXPECT(strcmp(A, B) != 0, #A " != " #B, __VA_ARGS__)
#define cr_expect_str_empty(A, ...) SHIM_EXPECT(*(A) == '\0', #A " is empty", __VA_ARGS__)
#define cr_expect_str_not_empty(A, ...) SHIM_EXPECT(*(A) != '\0', #A " is not empty", __VA_ARGS__)
#define cr_expect_arr_eq(A, B, N, ...) SHIM_EXPECT(memcmp(A, B, N) == 0, #A " == " #B, __VA_ARGS__)
#define cr_expect_arr_neq(A, B, N, ...) SHIM_EXPECT(memcmp(A, B, N) != 0, #A " != " #B, __VA_ARGS__)
#define cr_expect_float_eq(A, B, T, ...) SHIM_EXPECT(SHIM_NEAR(A, B, T), #A " ~ " #B, __VA_ARGS__)
#define cr_fail cr_expect_fail

#endif
