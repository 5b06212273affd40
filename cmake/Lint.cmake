# The rules of the house as tests (label lint). Compilers that are not installed are left to make lint, which
# installs them.
if(VIADUCT_INSTRUMENTED OR CMAKE_CROSSCOMPILING OR NOT CMAKE_HOST_UNIX) # scripts and compilers of Linux
	return()
endif()
find_program(VIADUCT_PYTHON python3)
if(VIADUCT_PYTHON)
	foreach(_rule self-test names includes lanes sizes system spdx sleeps gnu)
		add_test(NAME lint.${_rule} COMMAND ${VIADUCT_PYTHON} ${PROJECT_SOURCE_DIR}/scripts/lint/rules.py
			${_rule} --compiler ${CMAKE_C_COMPILER})
		set_tests_properties(lint.${_rule} PROPERTIES LABELS lint)
	endforeach()
	add_test(NAME lint.bench COMMAND ${VIADUCT_PYTHON} ${PROJECT_SOURCE_DIR}/bench/test_run.py)
	set_tests_properties(lint.bench PROPERTIES LABELS lint)
endif()
foreach(_pair "gcc g++" "clang clang++" "x86_64-w64-mingw32-gcc-win32 x86_64-w64-mingw32-g++-win32")
	string(REPLACE " " ";" _pair "${_pair}")
	list(GET _pair 0 _cc)
	list(GET _pair 1 _cxx)
	find_program(VIADUCT_LINT_${_cc} ${_cc})
	find_program(VIADUCT_LINT_${_cxx} ${_cxx})
	if(VIADUCT_LINT_${_cc} AND VIADUCT_LINT_${_cxx})
		add_test(NAME lint.headers.${_cc}
			COMMAND ${PROJECT_SOURCE_DIR}/scripts/lint/headers.sh ${_cc} ${_cxx})
		set_tests_properties(lint.headers.${_cc} PROPERTIES LABELS lint)
	endif()
endforeach()
