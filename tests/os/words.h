/* SPDX-License-Identifier: Apache-2.0
 * tests/os/words.h - words for the tests: their other side, and what the kernel can do. */
#ifndef VIA_TEST_OS_WORDS_H
#define VIA_TEST_OS_WORDS_H
#include "rig.h"

#define MS 1000000u

via_waitobj word_object(const uint32_t *word, uint32_t expected);
uint32_t word_value(const uint32_t *word);
void word_store(uint32_t *word, uint32_t value);
/* Returns how many were asleep on it. Shared, as a peer in another process does it. Where there are no futexes
 * nobody needs to be woken, and 0 is the answer. */
int word_wake(uint32_t *word);
void word_change(uint32_t *word, uint32_t value); /* and wakes */
/* Waits until somebody sleeps on the word, by waking him for nothing; 0 when nobody ever did. Where there are
 * no futexes there is no telling, and 1 is the answer. */
int word_has_sleeper(uint32_t *word);
#if defined(__linux__)
/* From now on futex_waitv() fails with EPERM in this process, as in some containers. */
void word_forbid_waitv(void);
#endif

/* Pollers. Each word or waker is its own key. */
os_poller *words_poller(void);
os_waker *words_waker(void);
void words_add(os_poller *p, uint32_t *word, uint32_t expected);
void words_arm(os_poller *p, uint32_t *word, uint32_t expected);
void words_remove(os_poller *p, uint32_t *word);
void words_add_waker(os_poller *p, os_waker *w);
/* The key of the one event that there is before the deadline. */
void *words_one(os_poller *p, via_time deadline);
void words_quiet(os_poller *p); /* there is no event, and deadlines are kept */

#endif
