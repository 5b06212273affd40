# The packages: component, name, what it needs, what it works better with, a line, a text.
# Debian has other names for two of them.
set(VIADUCT_COMPONENTS "")

function(_viaduct_package component name needs recommends title description)
	string(TOUPPER ${component} c)
	set(VIADUCT_COMPONENTS ${VIADUCT_COMPONENTS} ${component} PARENT_SCOPE)
	set(VIADUCT_${c}_PACKAGE ${name} PARENT_SCOPE)
	set(VIADUCT_${c}_NEEDS "${needs}" PARENT_SCOPE)
	set(VIADUCT_${c}_RECOMMENDS "${recommends}" PARENT_SCOPE)
	set(VIADUCT_${c}_TITLE "${title}" PARENT_SCOPE)
	set(VIADUCT_${c}_DESCRIPTION "${description}" PARENT_SCOPE)
endfunction()

_viaduct_package(core libviaduct1 "" "transport-uds;codecs"
	"typed messages between the programs of one machine"
	"The library: handshake, sessions, client, managed server and the registry that
loads transports, codecs and services from files when they are needed.")
_viaduct_package(codecs viaduct-codecs "core" ""
	"codecs of viaduct"
	"What the payloads of the known methods mean: increment, string-reverse,
cgroups-snapshot.")
_viaduct_package(services viaduct-services "core;codecs" ""
	"services of viaduct"
	"What answers: increment, string-reverse, and the control groups of this
machine.")
_viaduct_package(transport-uds viaduct-transport-uds "core" ""
	"Unix domain sockets for viaduct"
	"The transport that every connection of a POSIX system begins with: AF_UNIX
sockets of type SOCK_SEQPACKET, as netipc uses them.")
_viaduct_package(transport-shm viaduct-transport-shm "core;transport-uds" ""
	"shared memory for viaduct"
	"Transports that the handshake changes to when both sides have them: ring
(sealed memory, no system call while both sides are awake) and posixshm (as
netipc uses it).")
_viaduct_package(transport-loop viaduct-transport-loop "core" ""
	"both ends of a viaduct connection in one process"
	"A transport for services inside the program that calls them, and for tests.")
_viaduct_package(transport-fault viaduct-transport-fault "core" ""
	"errors on purpose for viaduct"
	"A decorator around any other transport that delays, drops, shortens and breaks
by a plan, for tests of programs.")
_viaduct_package(transport-pipe viaduct-transport-pipe "core" ""
	"named pipes for viaduct"
	"The transport that every connection of Windows begins with: named pipes of
message mode, as netipc uses them.")
_viaduct_package(transport-winshm viaduct-transport-winshm "core;transport-pipe" ""
	"shared memory for viaduct"
	"The transport that the handshake changes to when both sides have it, as netipc
uses it.")
set(_baseline transport-uds)
if(WIN32)
	set(_baseline transport-pipe)
endif()
_viaduct_package(programs viaduct "core;codecs;${_baseline}" "transport-shm;services"
	"daemon and command of viaduct"
	"viaductd serves the installed services, viaduct calls, serves, measures and
looks into them, and checks modules of others.")
set(_devel viaduct-devel)
set(_debug viaduct-debuginfo)
if(VIADUCT_PACKAGES STREQUAL "deb" OR CPACK_VIADUCT_FAMILY STREQUAL "deb")
	set(_devel libviaduct-dev)
	set(_debug viaduct-dbgsym)
endif()
_viaduct_package(devel ${_devel} "core" ""
	"headers of viaduct"
	"What programs and modules are built with: headers, CMake package, pkg-config
file, manual of the module ABI.")
_viaduct_package(debug ${_debug} "" ""
	"debug symbols of viaduct"
	"Found by debuggers by the build id of library, programs and modules.")
