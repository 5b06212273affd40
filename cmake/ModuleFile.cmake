# How the file of a module is made: what viaduct_add_module() in this source tree (Modules.cmake) and in an
# installation (ViaductModule.cmake) have in common. Installed beside the latter, with what it names here.

# Sets <out> to the name of the file without its ending.
function(_viaduct_module_name kind name out)
	if(kind STREQUAL "transport")
		set(${out} ${name} PARENT_SCOPE)
	elseif(kind MATCHES "^(codec|service)$")
		set(${out} ${kind}-${name} PARENT_SCOPE)
	else()
		message(FATAL_ERROR "viaduct_add_module(${kind} ${name}): the kind is transport, codec or service")
	endif()
endfunction()

# _viaduct_module_file(<file name> SOURCES a.c ... [LIBRARIES ...] DESTINATION dir [COMPONENT name] [INSTRUMENTED])
#   The target mod_<file name>. INSTRUMENTED: the run time of its instruments comes with the program, so that
#   undefined symbols are no mistake.
function(_viaduct_module_file file)
	cmake_parse_arguments(PARSE_ARGV 1 A "INSTRUMENTED" "DESTINATION;COMPONENT" "SOURCES;LIBRARIES")
	set(target mod_${file})
	add_library(${target} MODULE ${A_SOURCES})
	target_compile_features(${target} PRIVATE c_std_11)
	target_include_directories(${target} PRIVATE
		$<TARGET_PROPERTY:viaduct::viaduct,INTERFACE_INCLUDE_DIRECTORIES>)
	target_link_libraries(${target} PRIVATE ${A_LIBRARIES})
	set_target_properties(${target} PROPERTIES PREFIX "" OUTPUT_NAME ${file} C_VISIBILITY_PRESET hidden
		INSTALL_RPATH "")
	if(MINGW) # a compiler of the posix thread model brings libwinpthread into what uses thread-local data
		target_link_options(${target} PRIVATE -static)
	elseif(NOT WIN32)
		set(map ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/module.map)
		target_link_options(${target} PRIVATE LINKER:--version-script=${map})
		set_target_properties(${target} PROPERTIES LINK_DEPENDS ${map})
		if(NOT A_INSTRUMENTED)
			target_link_options(${target} PRIVATE LINKER:-z,defs)
		endif()
	endif()
	set(component "")
	if(A_COMPONENT)
		set(component COMPONENT ${A_COMPONENT})
	endif()
	install(TARGETS ${target} LIBRARY DESTINATION ${A_DESTINATION} ${component})
endfunction()

# Sets <out> to the command that looks at the symbols of mod_<file name>, as CheckModule.cmake says.
function(_viaduct_module_check file out)
	if(MSVC)
		find_program(VIADUCT_DUMPBIN dumpbin REQUIRED)
		set(tools -DDUMPBIN=${VIADUCT_DUMPBIN})
	else()
		set(tools -DNM=${CMAKE_NM} -DOBJDUMP=${CMAKE_OBJDUMP})
	endif()
	set(${out} ${CMAKE_COMMAND} ${tools} -DFILE=$<TARGET_FILE:mod_${file}>
		"-DOBJECTS=$<JOIN:$<TARGET_OBJECTS:mod_${file}>,|>"
		-P ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/CheckModule.cmake PARENT_SCOPE)
endfunction()
