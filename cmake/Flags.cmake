# Compiler and linker flags of every target, by directory scope: nobody can forget them.
set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(VIADUCT_WINDOWS_DEFINITIONS _WIN32_WINNT=0x0602 WIN32_LEAN_AND_MEAN UNICODE _UNICODE)
if(MSVC)
	include(${CMAKE_CURRENT_LIST_DIR}/FlagsMsvc.cmake)
	return()
endif()

set(CMAKE_C_FLAGS_DEBUG "-O0 -g")
set(CMAKE_C_FLAGS_RELEASE "-O2 -g")
set(CMAKE_C_FLAGS_RELWITHDEBINFO "-O2 -g")

add_compile_options(-Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes
	-fmacro-prefix-map=${PROJECT_SOURCE_DIR}/=)
if(VIADUCT_WERROR)
	add_compile_options(-Werror)
endif()

if(VIADUCT_PATH_MAP) # nothing of where it was built is in what was built
	add_compile_options(-ffile-prefix-map=${PROJECT_SOURCE_DIR}=${VIADUCT_PATH_MAP}
		-ffile-prefix-map=${PROJECT_BINARY_DIR}=${VIADUCT_PATH_MAP}/build)
endif()
if(WIN32)
	add_compile_definitions(${VIADUCT_WINDOWS_DEFINITIONS} __USE_MINGW_ANSI_STDIO=1)
	# -static: a compiler of the posix thread model brings libwinpthread into what uses thread-local data.
	add_link_options(-static -Wl,--no-insert-timestamp -Wl,--nxcompat -Wl,--dynamicbase)
else()
	add_compile_definitions(_GNU_SOURCE)
	add_link_options(-Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack -Wl,--as-needed)
endif()

if(VIADUCT_SANITIZE)
	add_compile_options(-fsanitize=${VIADUCT_SANITIZE} -fno-sanitize-recover=all
		-fno-omit-frame-pointer)
	add_link_options(-fsanitize=${VIADUCT_SANITIZE})
endif()
if(VIADUCT_COVERAGE)
	# Not instrumented themselves, hence before the flags; linked into everything that comes after.
	add_library(viaduct_coverage_flush SHARED ${PROJECT_SOURCE_DIR}/cmake/coverage/flush.c)
	set_target_properties(viaduct_coverage_flush PROPERTIES
		LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/lib C_VISIBILITY_PRESET default)
	add_library(viaduct_coverage_register OBJECT ${PROJECT_SOURCE_DIR}/cmake/coverage/register.c)
	link_libraries($<TARGET_OBJECTS:viaduct_coverage_register> viaduct_coverage_flush)
	add_compile_options(--coverage -fprofile-abs-path -fprofile-update=atomic)
	add_link_options(--coverage)
endif()
if(NOT WIN32 AND NOT VIADUCT_INSTRUMENTED AND NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
	add_compile_options(-fstack-protector-strong -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
endif()
