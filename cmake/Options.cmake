# What a user of the build may choose. Presets (CMakePresets.json) set most of it.
set(VIADUCT_ABI_MAJOR 1) # VIA_ABI_MAJOR of include/viaduct/abi.h: part of the module directory's name

set(VIADUCT_BUILTIN "" CACHE STRING
	"modules linked into the library instead of built as files: uds;codec-increment;...")
set(VIADUCT_SANITIZE "" CACHE STRING "sanitizers for everything: address,undefined or thread")
option(VIADUCT_COVERAGE "instrument everything for gcov" OFF)
option(VIADUCT_BENCH "build the benchmarks" OFF)
option(VIADUCT_WERROR "warnings are errors" ON)
option(VIADUCT_RELOCATABLE "nothing installed has an absolute place: configuration is looked for beside the programs" OFF)
set(VIADUCT_PACKAGES "" CACHE STRING "packages to prepare for CPack: deb, rpm, archive or windows")
set(VIADUCT_PATH_MAP "" CACHE STRING
	"what debug information calls the source directory; empty: what it is called here")
option(VIADUCT_AFL "build the fuzz programs for AFL++; needs CMAKE_C_COMPILER=afl-clang-fast" OFF)

get_property(_multi GLOBAL PROPERTY GENERATOR_IS_MULTI_CONFIG)
if(_multi)
	message(FATAL_ERROR "expected a generator with one configuration (Ninja), found ${CMAKE_GENERATOR}: "
		"programs find their modules by the layout of the build directory")
endif()
if(NOT CMAKE_BUILD_TYPE)
	set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "type of build" FORCE)
endif()

# Built with instruments that add symbols of their own: checks of symbols and speed say nothing then.
set(VIADUCT_INSTRUMENTED OFF)
if(VIADUCT_SANITIZE OR VIADUCT_COVERAGE OR VIADUCT_AFL)
	set(VIADUCT_INSTRUMENTED ON)
endif()
