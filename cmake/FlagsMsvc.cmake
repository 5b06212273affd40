# Flags.cmake for Microsoft's compiler, and for clang-cl, which takes the same ones.
if(CMAKE_C_COMPILER_ID STREQUAL "MSVC" AND MSVC_VERSION LESS 1938)
	message(FATAL_ERROR "expected Visual Studio 2022 17.8 (compiler 19.38) or newer, for C11 atomics and "
		"_Thread_local; found ${CMAKE_C_COMPILER_VERSION}")
endif()
if(VIADUCT_INSTRUMENTED)
	message(FATAL_ERROR "VIADUCT_SANITIZE, VIADUCT_COVERAGE and VIADUCT_AFL need gcc or clang")
endif()

set(CMAKE_C_FLAGS_DEBUG "/Od /RTC1")
set(CMAKE_C_FLAGS_RELEASE "/O2")
set(CMAKE_C_FLAGS_RELWITHDEBINFO "/O2")
set(CMAKE_MSVC_DEBUG_INFORMATION_FORMAT Embedded) # of objects; the linker makes the .pdb
foreach(_kind EXE SHARED MODULE)
	set(CMAKE_${_kind}_LINKER_FLAGS_DEBUG "/DEBUG /INCREMENTAL:NO")
	set(CMAKE_${_kind}_LINKER_FLAGS_RELEASE "/DEBUG /INCREMENTAL:NO /OPT:REF")
	set(CMAKE_${_kind}_LINKER_FLAGS_RELWITHDEBINFO "/DEBUG /INCREMENTAL:NO /OPT:REF")
endforeach()

add_compile_definitions(${VIADUCT_WINDOWS_DEFINITIONS} _CRT_SECURE_NO_WARNINGS)
add_compile_options(/utf-8 /guard:cf /Brepro /W4)
add_link_options(/guard:cf /Brepro /PDBALTPATH:%_PDB%)
if(CMAKE_C_COMPILER_ID STREQUAL "MSVC")
	add_compile_options(/experimental:c11atomics /sdl)
	# What C11 allows and C90 did not, or what gcc and clang look at more exactly (their -Wconversion and
	# -Wmaybe-uninitialized are errors here too). Everything else of /W4 stays on.
	add_compile_options(
		/wd4054 /wd4055 /wd4152 # function and object pointers convert: GetProcAddress, tables of functions
		/wd4090                 # reports arrays of pointers to const whose qualifiers are right
		/wd4127                 # the condition of a loop or a macro is constant
		/wd4132                 # a static const object is zero without being told
		/wd4200 /wd4201         # flexible array members, anonymous members
		/wd4204 /wd4221         # initialisers that are no constants
		/wd4232                 # the address of an imported function in a static table
		/wd4244 /wd4310         # narrowing that the value's range allows, or that a cast asks for
		/wd4295                 # an array of characters without NUL
		/wd4324                 # padding, asked for by _Alignas
		/wd4701 /wd4703 /wd4702 # flow of control as the optimiser sees it
		/wd4706                 # if ((a = b))
		/wd5105)                # the headers of older Windows SDKs
endif()
if(VIADUCT_WERROR)
	add_compile_options(/WX)
endif()
