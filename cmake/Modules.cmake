# viaduct_add_module(<kind> <name> SOURCES a.c ... [POSIX_ONLY] [LINUX_ONLY] [WINDOWS_ONLY])
#   kind: transport, codec or service. The file is <name>, codec-<name> or service-<name>, .so or .dll,
#   in lib/viaduct/<abi major>. It links libc, nothing of viaduct, and exports one symbol.
#   Named in VIADUCT_BUILTIN it becomes part of the library instead.
# Targets: mod_<file name>; builtin_<file name>, the same sources as builtin objects (built on demand).
function(viaduct_add_module kind name)
	cmake_parse_arguments(PARSE_ARGV 2 A "POSIX_ONLY;LINUX_ONLY;WINDOWS_ONLY" "" "SOURCES")
	if(A_UNPARSED_ARGUMENTS OR NOT A_SOURCES)
		message(FATAL_ERROR "viaduct_add_module(${kind} ${name}): SOURCES missing, or unknown words: "
			"'${A_UNPARSED_ARGUMENTS}'")
	endif()
	if(kind STREQUAL "transport")
		set(file ${name})
	elseif(kind MATCHES "^(codec|service)$")
		set(file ${kind}-${name})
	else()
		message(FATAL_ERROR "viaduct_add_module(${kind} ${name}): the kind is transport, codec or service")
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
		_viaduct_add_module_file(${kind} ${file} "${A_SOURCES}")
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

function(_viaduct_add_module_file kind file sources)
	set(target mod_${file})
	add_library(${target} MODULE ${sources})
	target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/include)
	set_target_properties(${target} PROPERTIES PREFIX "" OUTPUT_NAME ${file}
		LIBRARY_OUTPUT_DIRECTORY ${VIADUCT_MODULE_OUTPUT} INSTALL_RPATH "")
	if(NOT WIN32)
		target_link_options(${target} PRIVATE
			LINKER:--version-script=${PROJECT_SOURCE_DIR}/cmake/module.map)
		set_target_properties(${target} PROPERTIES
			LINK_DEPENDS ${PROJECT_SOURCE_DIR}/cmake/module.map)
		if(NOT VIADUCT_SANITIZE AND NOT VIADUCT_AFL) # their run time comes with the program
			target_link_options(${target} PRIVATE LINKER:-z,defs)
		endif()
	endif()
	set_property(GLOBAL APPEND PROPERTY VIADUCT_MODULES ${target})
	add_dependencies(viaduct_programs ${target})
	install(TARGETS ${target} COMPONENT ${kind}-${file}
		LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/viaduct/${VIADUCT_ABI_MAJOR})
	if(BUILD_TESTING AND NOT VIADUCT_INSTRUMENTED)
		set(tools -DNM=${CMAKE_NM} -DOBJDUMP=${CMAKE_OBJDUMP})
		if(MSVC)
			find_program(VIADUCT_DUMPBIN dumpbin REQUIRED)
			set(tools -DDUMPBIN=${VIADUCT_DUMPBIN})
		endif()
		add_test(NAME abi.${file} COMMAND ${CMAKE_COMMAND} ${tools}
			-DFILE=$<TARGET_FILE:${target}> "-DOBJECTS=$<JOIN:$<TARGET_OBJECTS:${target}>,|>"
			-P ${PROJECT_SOURCE_DIR}/cmake/CheckModule.cmake)
		set_tests_properties(abi.${file} PROPERTIES LABELS abi)
		_viaduct_check_module(${file} ${target})
	endif()
endfunction()

# The same that a third party does with a module of its own.
function(_viaduct_check_module file target)
	set(path $<TARGET_FILE:${target}>)
	if(CMAKE_CROSSCOMPILING) # wine shows the file system as drive Z
		set(path Z:${path})
	endif()
	add_test(NAME check.${file} COMMAND viaduct_command check ${path})
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
