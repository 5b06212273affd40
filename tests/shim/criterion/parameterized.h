/* SPDX-License-Identifier: Apache-2.0
 * tests/shim/criterion/parameterized.h - parameterised tests are part of criterion.h here. */
#include "criterion.h"
