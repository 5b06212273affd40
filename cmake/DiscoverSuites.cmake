cmake_minimum_required(VERSION 3.25)
# cmake -DPROGRAM= -DNAME= -DOUT= -DEMULATOR= -DJUNIT=dir -DSECONDS= -DLABELS=a,b -DFIXTURE= -DFAILURE=regex
#	-DENVIRONMENT=A=1,B=2 -P DiscoverSuites.cmake
# Asks a test program for its suites and writes one add_test() for each.
file(REMOVE ${OUT})
execute_process(COMMAND ${EMULATOR} ${PROGRAM} --list
	OUTPUT_VARIABLE listing ERROR_VARIABLE complaint RESULT_VARIABLE status TIMEOUT 120)
if(NOT status EQUAL 0)
	message(FATAL_ERROR "${NAME} --list: ${status} ${complaint}")
endif()
string(REPLACE "\r" "" listing "${listing}")
string(REGEX MATCHALL "(^|\n)[A-Za-z0-9_]+: [0-9]+ tests?" heads "${listing}")
if(NOT heads)
	message(FATAL_ERROR "${NAME} --list names no suite")
endif()
string(REPLACE "," ";" ENVIRONMENT "${ENVIRONMENT}")
string(REPLACE "," ";" LABELS "${LABELS}")

set(text "")
foreach(head IN LISTS heads)
	string(REGEX REPLACE "\n?([A-Za-z0-9_]+): .*" "\\1" suite "${head}")
	set(test "[=[${NAME}.${suite}]=]")
	string(APPEND text
		"add_test(${test} ${EMULATOR} [=[${PROGRAM}]=] --filter [=[${suite}/*]=] -j1 "
		"[=[--xml=${JUNIT}/${NAME}.${suite}.xml]=])\n"
		"set_tests_properties(${test} PROPERTIES TIMEOUT ${SECONDS} LABELS [=[${LABELS}]=]\n"
		"\tFAIL_REGULAR_EXPRESSION [=[${FAILURE}]=] ENVIRONMENT [=[${ENVIRONMENT}]=])\n")
	if(FIXTURE)
		string(APPEND text
			"set_tests_properties(${test} PROPERTIES FIXTURES_REQUIRED ${FIXTURE})\n")
	endif()
endforeach()
file(WRITE ${OUT} "${text}")
