/* SPDX-License-Identifier: Apache-2.0
 * tests/link/stacks.h - tests that run once for each stack: stacks.c has those of our own modules,
 * tools/check-link/plan.c those of somebody's module. */
#ifndef VIA_TESTS_LINK_STACKS_H
#define VIA_TESTS_LINK_STACKS_H
#include "rig.h"
#include <criterion/parameterized.h>

extern char rig_stacks[][RIG_STACK_MAX], rig_baselines[][RIG_STACK_MAX];
extern size_t rig_n_stacks, rig_n_baselines;

#define RIG_PARAMETERIZED(S, N, STACKS, COUNT) \
	ParameterizedTestParameters(S, N) \
	{ \
		return cr_make_param_array(char[RIG_STACK_MAX], STACKS, COUNT); \
	} \
	ParameterizedTest(char stack[RIG_STACK_MAX], S, N)
/* STACK_TEST(suite, name) { ... }: runs once per stack, with its text in `stack`. */
#define STACK_TEST(S, N) RIG_PARAMETERIZED(S, N, rig_stacks, rig_n_stacks)
/* The same for what only baselines do: once per stack without an upgrade. */
#define BASELINE_TEST(S, N) RIG_PARAMETERIZED(S, N, rig_baselines, rig_n_baselines)

#endif
