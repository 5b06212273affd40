/* SPDX-License-Identifier: Apache-2.0
 * tests/link/pipe_rig.h - pipes as netipc makes and opens them: blocking handles, default security. */
#ifndef VIA_TESTS_LINK_PIPE_RIG_H
#define VIA_TESTS_LINK_PIPE_RIG_H
#include "rig.h"
#include <windows.h>

enum { PIPE_TEXT_MAX = 300, PIPE_ROOM = 65536 };

/* The name of the rig's service. */
const char *pipe_text(const rig *r);
/* One instance; with FIRST_PIPE_INSTANCE. INVALID_HANDLE_VALUE: refused. */
HANDLE pipe_raw_server(const rig *r);
/* Blocks until a client is there. */
void pipe_raw_accept(HANDLE h);
HANDLE pipe_raw_client(const rig *r);
/* Blocks until it is written; 1, or 0 and GetLastError(). */
int pipe_raw_put(HANDLE h, const void *data, uint32_t len);
/* Blocks for a message; its length, or -1 and GetLastError(). */
int pipe_raw_get(HANDLE h, void *data, uint32_t cap);
/* Numbers of bytes the other end has written and nobody has read. */
uint32_t pipe_raw_unread(HANDLE h);

/* Sends records of len bytes until one has to wait, which is then the last accepted. How many. */
uint32_t pipe_fill_up(via_link *l, uint32_t len);
/* Runs fn in a thread of its own and waits until that has exited. */
void pipe_in_a_thread(void (*fn)(void *), void *arg);

/* This program once more, to run one test of it that is disabled otherwise. */
HANDLE pipe_child(const char *test, const char *dir);
void pipe_child_kill(HANDLE child);
const char *pipe_child_dir(void); /* in the child: dir */

#endif
