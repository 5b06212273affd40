# viaduct_add_module(<kind> <name> SOURCES a.c ... [COMPONENT name] [POSIX_ONLY] [LINUX_ONLY] [WINDOWS_ONLY])
#   kind: transport, codec or service. The file is <name>, codec-<name> or service-<name>, .so or .dll,
#   in lib/viaduct/<abi major>. It links libc, nothing of viaduct, and exports one symbol.
#   Named in VIADUCT_BUILTIN it becomes part of the library instead.
#   COMPONENT: of the installation, and so the package; without it transport-<name>, codecs or services.
# Targets: mod_<file name>; builtin_<file name>, the same sources as builtin objects (built on demand).
include(${CMAKE_CURRENT_LIST_DIR}/ModuleFile.cmake)

function(viaduct_add_module kind name)
	if(NOT PROJECT_NAME STREQUAL "viaduct")
		message(FATAL_ERROR "viaduct_add_module(${kind} ${name}): expected a module of the project viaduct, found "
			"${PROJECT_NAME}; modules of others are built against an installation, by find_package(viaduct)")
	endif()
	cmake_parse_arguments(PARSE_ARGV 2 A "POSIX_ONLY;LINUX_ONLY;WINDOWS_ONLY" "COMPONENT" "SOURCES")
	if(A_UNPARSED_ARGUMENTS OR NOT A_SOURCES)
		message(FATAL_ERROR "viaduct_add_module(${kind} ${name}): SOURCES missing, or unknown words: "
			"'${A_UNPARSED_ARGUMENTS}'")
	endif()
	_viaduct_module_name(${kind} ${name} file)
	if(NOT A_COMPONENT AND kind STREQUAL "transport")
		set(A_COMPONENT transport-${name})
	elseif(NOT A_COMPONENT)
		set(A_COMPONENT ${kind}s)
	endif()
	if((WIN32 AND (A_POSIX_ONLY OR A_LINUX_ONLY)) OR (A_WINDOWS_ONLY AND NOT WIN32)
		OR (A_LINUX_ONLY AND NOT CMAKE_SYSTEM_NAME STREQUAL "Linux"))
		if(A_WINDOWS_ONLY)
			_viaduct_module_is_elsewhere("Windows" "${A_SOURCES}")
		elseif(A_LINUX_ONLY)
			_viaduct_module_is_elsewhere("Linux" "${A_SOURCES}")
		else()
			_viaduct_module_is_elsewhere("a POSIX system" "${A_SOURCES}")
		endif()
		return()
	endif()

	add_library(builtin_${file} OBJECT EXCLUDE_FROM_ALL ${A_SOURCES})
	target_include_directories(builtin_${file} PRIVATE ${PROJECT_SOURCE_DIR}/include)
	target_compile_definitions(builtin_${file} PRIVATE VIA_BUILTIN)
	if(file IN_LIST VIADUCT_BUILTIN)
		set_property(GLOBAL APPEND PROPERTY VIADUCT_BUILTIN_MODULES ${file})
	else()
		_viaduct_add_module_file(${file} ${A_COMPONENT} "${A_SOURCES}")
	endif()
endfunction()

# Notes what a module that is not built here would provide, from the identity in its sources, for
# viaduct_write_elsewhere(): the programs can then say more than "no module".
function(_viaduct_module_is_elsewhere needs sources)
	foreach(source IN LISTS sources)
		file(READ ${source} text)
		string(REGEX REPLACE "\"[ \t\r\n]+\"" "" text "${text}") # one literal on several lines
		if(NOT text MATCHES "\"id=([^\\\"]+)\\\\0")
			continue()
		endif()
		_viaduct_elsewhere(MODULE "${CMAKE_MATCH_1}" "${needs}")
		string(REGEX MATCHALL "provides=[^\\\"]+" provided "${text}")
		foreach(words IN LISTS provided)
			if(words MATCHES "^provides=service .*name=([^ ]+)")
				_viaduct_elsewhere(SERVICE "${CMAKE_MATCH_1}" "${needs}")
			elseif(words MATCHES "^provides=transport .*schemes=([^ ]+)")
				string(REPLACE "," ";" schemes "${CMAKE_MATCH_1}")
				foreach(scheme IN LISTS schemes)
					_viaduct_elsewhere(TRANSPORT "${scheme}" "${needs}")
				endforeach()
			endif()
		endforeach()
		set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${source})
	endforeach()
endfunction()

function(_viaduct_elsewhere kind name needs)
	set_property(GLOBAL APPEND_STRING PROPERTY VIADUCT_ELSEWHERE
		"\t{${kind}, \"${name}\", \"${needs}\"},\n")
endfunction()

# The table of what was left out so far: rows of tools/lib/elsewhere.c.
function(viaduct_write_elsewhere file)
	get_property(rows GLOBAL PROPERTY VIADUCT_ELSEWHERE)
	file(CONFIGURE OUTPUT ${file} CONTENT "@rows@" @ONLY)
endfunction()

function(_viaduct_add_module_file file component sources)
	set(instrumented "")
	if(VIADUCT_SANITIZE OR VIADUCT_AFL)
		set(instrumented INSTRUMENTED)
	endif()
	_viaduct_module_file(${file} SOURCES ${sources} COMPONENT ${component}
		DESTINATION ${VIADUCT_MODULE_INSTALL_DIR} ${instrumented})
	set_target_properties(mod_${file} PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${VIADUCT_MODULE_OUTPUT})
	viaduct_version_info(mod_${file} "viaduct module ${file}")
	set_property(GLOBAL APPEND PROPERTY VIADUCT_MODULES mod_${file})
	add_dependencies(viaduct_programs mod_${file})
	if(BUILD_TESTING AND NOT VIADUCT_INSTRUMENTED)
		_viaduct_module_check(${file} command)
		add_test(NAME abi.${file} COMMAND ${command})
		set_tests_properties(abi.${file} PROPERTIES LABELS abi)
		_viaduct_test_by_program(${file})
	endif()
endfunction()

# The same that a third party does with a module of its own.
function(_viaduct_test_by_program file)
	set(path $<TARGET_FILE:mod_${file}>)
	set(groups "")
	if(CMAKE_CROSSCOMPILING) # wine shows the file system as drive Z, and needs minutes for the links, which link_conform has
		set(path Z:${path})
		foreach(group identity trust symbols abi lifecycle unload codec service)
			list(APPEND groups --only ${group})
		endforeach()
	endif()
	add_test(NAME check.${file} COMMAND viaduct_command check ${groups} ${path})
	set_tests_properties(check.${file} PROPERTIES LABELS abi TIMEOUT 600)
	if(CMAKE_CROSSCOMPILING)
		set_tests_properties(check.${file} PROPERTIES FIXTURES_REQUIRED wine ENVIRONMENT
			"WINEPREFIX=${PROJECT_BINARY_DIR}/wine;WINEDEBUG=-all")
	endif()
endfunction()

# Every directory below the given ones that has a CMakeLists.txt is a module.
function(viaduct_find_modules)
	foreach(parent IN LISTS ARGN)
		file(GLOB found CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${parent}/*/CMakeLists.txt)
		foreach(list IN LISTS found)
			get_filename_component(directory ${list} DIRECTORY)
			add_subdirectory(${directory})
		endforeach()
	endforeach()
endfunction()

# Libraries for a program that links the static library and module objects (builtin_<file name>): what
# VIADUCT_BUILTIN has already put into the library is left out.
function(viaduct_link_static program)
	set(libraries ${ARGN})
	foreach(file IN LISTS VIADUCT_BUILTIN)
		list(REMOVE_ITEM libraries builtin_${file})
	endforeach()
	target_link_libraries(${program} PRIVATE ${libraries} viaduct_static)
endfunction()
