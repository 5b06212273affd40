# via_test(<program> SOURCES a.c ... LABELS unit ... [LIBS ...] [DEFINITIONS ...] [TIMEOUT s] [LINUX_ONLY] [POSIX_ONLY] [WINDOWS_ONLY])
# One test program, one ctest per suite, found by asking the program after it was linked. It links the
# static library (tests may reach the core's inner headers) and can count on every module and program.
set(VIADUCT_JUNIT_DIR ${PROJECT_BINARY_DIR}/junit)
file(MAKE_DIRECTORY ${VIADUCT_JUNIT_DIR})

# Paths as the test program sees them: wine shows the file system as drive Z. (${_drive} is for areas that
# hand paths of their own to their programs.)
set(_drive "")
if(WIN32 AND CMAKE_HOST_UNIX)
	set(_drive "Z:")
endif()
set(VIADUCT_TEST_DEFINITIONS
	VIA_TEST_MODULE_DIR="${_drive}${VIADUCT_MODULE_OUTPUT}"
	VIA_TEST_BIN_DIR="${_drive}${PROJECT_BINARY_DIR}/bin"
	VIA_TEST_SOURCE_DIR="${_drive}${PROJECT_SOURCE_DIR}"
	VIA_TEST_VECTORS="${_drive}${PROJECT_SOURCE_DIR}/tests/vectors")
# Commas, not semicolons: the text travels through a custom command; DiscoverSuites.cmake puts them back.
set(VIADUCT_TEST_ENVIRONMENT
	"ASAN_OPTIONS=detect_leaks=1:abort_on_error=0,UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1,TSAN_OPTIONS=halt_on_error=1:handle_segv=0:handle_sigill=0")
if(WIN32 AND CMAKE_CROSSCOMPILING) # the prefix of this build, whatever the caller's environment says
	string(APPEND VIADUCT_TEST_ENVIRONMENT ",WINEPREFIX=${PROJECT_BINARY_DIR}/wine,WINEDEBUG=-all")
endif()
# Criterion does not count an assertion that fails in .fini, where the rigs look for what was left behind.
set(VIADUCT_TEST_FAILURE "Sanitizer|runtime error:|Assertion Failed")

function(via_test program)
	cmake_parse_arguments(PARSE_ARGV 1 A "POSIX_ONLY;LINUX_ONLY;WINDOWS_ONLY" "TIMEOUT"
		"SOURCES;LABELS;LIBS;DEFINITIONS")
	if(A_UNPARSED_ARGUMENTS OR NOT A_SOURCES OR NOT A_LABELS)
		message(FATAL_ERROR "via_test(${program}): SOURCES and LABELS are needed; unknown words: "
			"'${A_UNPARSED_ARGUMENTS}'")
	endif()
	if((WIN32 AND (A_POSIX_ONLY OR A_LINUX_ONLY)) OR (A_WINDOWS_ONLY AND NOT WIN32)
		OR (A_LINUX_ONLY AND NOT CMAKE_SYSTEM_NAME STREQUAL "Linux"))
		return()
	endif()
	if(NOT A_TIMEOUT)
		set(A_TIMEOUT 120)
	endif()

	add_executable(${program} ${A_SOURCES})
	target_include_directories(${program} PRIVATE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/tests)
	target_compile_definitions(${program} PRIVATE ${VIADUCT_TEST_DEFINITIONS} ${A_DEFINITIONS})
	viaduct_link_static(${program} ${A_LIBS} viaduct_test_framework)
	set_target_properties(${program} PROPERTIES
		RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests/bin)
	add_dependencies(${program} viaduct_programs)

	set(suites ${CMAKE_CURRENT_BINARY_DIR}/${program}_suites.cmake)
	set(fixture "")
	if(CMAKE_CROSSCOMPILING)
		set(fixture wine)
		add_dependencies(${program} wine_prefix)
	endif()
	string(REPLACE ";" "," labels "${A_LABELS}")
	add_custom_command(TARGET ${program} POST_BUILD BYPRODUCTS ${suites} VERBATIM
		COMMAND ${CMAKE_COMMAND} -DPROGRAM=$<TARGET_FILE:${program}> -DNAME=${program}
			-DOUT=${suites} -DEMULATOR=${CMAKE_CROSSCOMPILING_EMULATOR}
			-DJUNIT=${VIADUCT_JUNIT_DIR} -DSECONDS=${A_TIMEOUT} -DLABELS=${labels}
			-DFIXTURE=${fixture} -DFAILURE=${VIADUCT_TEST_FAILURE}
			-DENVIRONMENT=${VIADUCT_TEST_ENVIRONMENT}
			-P ${PROJECT_SOURCE_DIR}/cmake/DiscoverSuites.cmake)
	# A program that was not built is one failing test, never none.
	set(include ${CMAKE_CURRENT_BINARY_DIR}/${program}_include.cmake)
	file(WRITE ${include} "if(EXISTS \"${suites}\")\n\tinclude(\"${suites}\")\n"
		"else()\n\tadd_test(${program}.not-built ${program}.not-built)\nendif()\n")
	set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES ${include})
endfunction()
