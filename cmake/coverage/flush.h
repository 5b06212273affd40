/* SPDX-License-Identifier: Apache-2.0
 * cmake/coverage/flush.h - how a part of a coverage build has its counters written; see flush.c. */
#ifndef VIA_COVERAGE_FLUSH_H
#define VIA_COVERAGE_FLUSH_H

typedef void (*coverage_dump_fn)(void);

__attribute__((visibility("default"))) void coverage_register(coverage_dump_fn dump);
__attribute__((visibility("default"))) void coverage_unregister(coverage_dump_fn dump);

#endif
