/* SPDX-License-Identifier: Apache-2.0
 * tests/link/stacks.h - stacks.def as the parameters of STACK_TEST() and BASELINE_TEST(). */
#ifndef VIA_TESTS_LINK_STACKS_H
#define VIA_TESTS_LINK_STACKS_H
#include "rig.h"

#ifdef RIG_BASELINES_ONLY
#undef VIA_UPGRADE_LINUX
#define VIA_UPGRADE_LINUX(spec)
#undef VIA_UPGRADE_WINDOWS
#define VIA_UPGRADE_WINDOWS(spec)
#define rig_stacks rig_baselines
#endif
static char rig_stacks[][RIG_STACK_MAX] = {
#include "stacks.def"
};

#endif
