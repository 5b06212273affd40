# Part of the CMake package of viaduct: after find_package(viaduct) there is
#
# viaduct_add_module(<kind> <name> SOURCES a.c ... [LIBRARIES lib ...] [COMPONENT name])
#   Makes the module file <name>.so of a transport, codec-<name>.so or service-<name>.so (.dll on Windows): C11 or
#   later, with the include directory, exporting its entry only and nothing left undefined. The build fails if
#   the file exports another symbol, needs a library that LIBRARIES does not account for, or uses what a module
#   must not (CheckModule.cmake has the list). It is installed into VIADUCT_MODULE_INSTALL_DIR.
#   kind: transport, codec or service.
#   LIBRARIES: what it links besides libc. Nothing of viaduct: that comes through via_host.
#   COMPONENT: of the installation.
#   The target is mod_ and the file's name without its ending.
#
# VIADUCT_MODULE_INSTALL_DIR (cache): by default the directory where the libviaduct that was found looks for
#   modules, absolute; DESTDIR comes in front as ever. Relative to the prefix it suits an archive:
#   -DVIADUCT_MODULE_INSTALL_DIR=lib/viaduct/1.
# VIADUCT_MODULE_CHECK (cache): OFF for builds with sanitizers or coverage, which bring symbols and libraries
#   of their own.
set(VIADUCT_MODULE_INSTALL_DIR "${viaduct_MODULE_DIR}" CACHE STRING "where modules of viaduct are installed")
option(VIADUCT_MODULE_CHECK "look at the symbols of each module of viaduct that is built" ON)

cmake_policy(VERSION 3.16...3.25) # of this file, whatever the project says that finds it
include(${CMAKE_CURRENT_LIST_DIR}/ModuleFile.cmake)

function(viaduct_add_module kind name)
	get_property(languages GLOBAL PROPERTY ENABLED_LANGUAGES)
	if(NOT "C" IN_LIST languages)
		message(FATAL_ERROR "viaduct_add_module(${kind} ${name}): expected C among the languages of project(), "
			"found: ${languages}")
	endif()
	cmake_parse_arguments(PARSE_ARGV 2 A "" "COMPONENT" "SOURCES;LIBRARIES")
	if(A_UNPARSED_ARGUMENTS OR NOT A_SOURCES)
		message(FATAL_ERROR "viaduct_add_module(${kind} ${name}): SOURCES missing, or unknown words: "
			"'${A_UNPARSED_ARGUMENTS}'")
	endif()
	_viaduct_module_name(${kind} ${name} file)
	set(instrumented "")
	if(NOT VIADUCT_MODULE_CHECK)
		set(instrumented INSTRUMENTED)
	endif()
	_viaduct_module_file(${file} SOURCES ${A_SOURCES} LIBRARIES ${A_LIBRARIES} COMPONENT ${A_COMPONENT}
		DESTINATION ${VIADUCT_MODULE_INSTALL_DIR} ${instrumented})
	if(VIADUCT_MODULE_CHECK)
		_viaduct_module_check(${file} command)
		if(A_LIBRARIES)
			list(INSERT command 1 -DLIBRARIES=ON)
		endif()
		add_custom_command(TARGET mod_${file} POST_BUILD COMMAND ${command} VERBATIM
			COMMENT "Looking at the symbols of the ${kind} ${name}")
	endif()
endfunction()
