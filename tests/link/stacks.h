/* SPDX-License-Identifier: Apache-2.0
 * tests/link/stacks.h - stacks.def as the parameters of STACK_TEST(). */
#ifndef VIA_TESTS_LINK_STACKS_H
#define VIA_TESTS_LINK_STACKS_H
#include "rig.h"

static char rig_stacks[][RIG_STACK_MAX] = {
#include "stacks.def"
};

#endif
