/* SPDX-License-Identifier: Apache-2.0 */
/** @file viaduct/viaduct.h
 * The whole application API in one include. */
#ifndef VIADUCT_VIADUCT_H
#define VIADUCT_VIADUCT_H
#include "app/base.h"
#include "app/client.h"
#include "app/endpoint.h"
#include "app/registry.h"
#include "app/server.h"
#include "app/session.h"
#include "app/wire.h"
#endif
