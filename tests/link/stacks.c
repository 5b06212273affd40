/* tests/link/stacks.c - the stacks of our own modules, from stacks.def. */
#include "stacks.h"

#define VIA_STACK(spec) spec,
#define VIA_UPGRADE_LINUX(spec)
#define VIA_UPGRADE_WINDOWS(spec)
#if defined(_WIN32)
#define VIA_STACK_POSIX(spec)
#define VIA_STACK_WINDOWS(spec) spec,
#else
#define VIA_STACK_POSIX(spec) spec,
#define VIA_STACK_WINDOWS(spec)
#endif

char rig_baselines[][RIG_STACK_MAX] = {
#include "stacks.def"
};
size_t rig_n_baselines = sizeof rig_baselines / sizeof rig_baselines[0];

#if defined(_WIN32)
#undef VIA_UPGRADE_WINDOWS
#define VIA_UPGRADE_WINDOWS(spec) spec,
#elif defined(__linux__)
#undef VIA_UPGRADE_LINUX
#define VIA_UPGRADE_LINUX(spec) spec,
#endif

char rig_stacks[][RIG_STACK_MAX] = {
#include "stacks.def"
};
size_t rig_n_stacks = sizeof rig_stacks / sizeof rig_stacks[0];
