/* SPDX-License-Identifier: Apache-2.0
 * tools/lib/elsewhere.h - services and modules of this source tree that are not built for this system, so
 * that asking for one is answered with more than "no module". The build writes the table.
 */
#ifndef VIA_TOOLS_ELSEWHERE_H
#define VIA_TOOLS_ELSEWHERE_H

/* What a service, a module's id or a transport's scheme needs ("Linux"); NULL: nothing is known of it. */
const char *elsewhere_service(const char *name);
const char *elsewhere_module(const char *id);
const char *elsewhere_transport(const char *scheme);

/* For a message: takes what one of them returned. */
extern const char elsewhere_here[]; /* "Windows" */
#define ELSEWHERE_SAYS "it is not built for %s: it needs %s"

#endif
