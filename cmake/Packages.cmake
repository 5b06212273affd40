# Packages of this build, of one family: VIADUCT_PACKAGES is deb, rpm, archive or windows, because what is installed where,
# and with which mode, differs. scripts/package.sh builds them all.
# One component is one package. packaging/components.cmake says what each is called and what it is for,
# packaging/<family>.cmake what only that family wants; packaging/per_format.cmake is read by cpack for each generator.
set(CPACK_PACKAGE_NAME viaduct)
set(CPACK_PACKAGE_VENDOR "The viaduct developers")
set(CPACK_PACKAGE_CONTACT "The viaduct developers <viaduct@example.org>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "${PROJECT_DESCRIPTION}")
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE)
set(CPACK_PACKAGE_DIRECTORY ${PROJECT_BINARY_DIR}/packages)
set(CPACK_VERBATIM_VARIABLES ON)
set(CPACK_PACKAGE_RELOCATABLE OFF) # the default makes RPMs whose prefix can be changed: the daemon's could not
set(CPACK_THREADS 0)
set(VIADUCT_PACKAGE_RELEASE 1 CACHE STRING "of the same version, counted from 1: of packages only")

# Read by the scripts that cpack runs, which see CPACK_* only.
set(CPACK_VIADUCT_SOURCE ${PROJECT_SOURCE_DIR})
set(CPACK_VIADUCT_OBJCOPY ${CMAKE_OBJCOPY})
set(CPACK_VIADUCT_STRIP ${CMAKE_STRIP})
set(CPACK_VIADUCT_READELF ${CMAKE_READELF})
set(CPACK_VIADUCT_MODULES viaduct/${VIADUCT_ABI_MAJOR})
set(CPACK_VIADUCT_FAMILY ${VIADUCT_PACKAGES})
set(CPACK_VIADUCT_RELEASE ${VIADUCT_PACKAGE_RELEASE})
set(CPACK_PROJECT_CONFIG_FILE ${PROJECT_SOURCE_DIR}/packaging/per_format.cmake)
set(CPACK_PRE_BUILD_SCRIPTS ${PROJECT_SOURCE_DIR}/packaging/stage.cmake)

# Those that this build has, in the order of components.cmake.
include(${PROJECT_SOURCE_DIR}/packaging/components.cmake)
install(CODE "# filled by packaging/stage.cmake" COMPONENT debug)
get_cmake_property(_built COMPONENTS)
set(_unknown ${_built})
list(REMOVE_ITEM _unknown ${VIADUCT_COMPONENTS} Unspecified)
if(_unknown)
	message(FATAL_ERROR "packaging/components.cmake: expected a package for each component, found none for: ${_unknown}")
endif()
set(CPACK_COMPONENTS_ALL "")
foreach(_component IN LISTS VIADUCT_COMPONENTS)
	if(_component IN_LIST _built)
		list(APPEND CPACK_COMPONENTS_ALL ${_component})
	endif()
endforeach()
include(${PROJECT_SOURCE_DIR}/packaging/${VIADUCT_PACKAGES}.cmake)
include(CPack)
foreach(_component IN LISTS CPACK_COMPONENTS_ALL)
	string(TOUPPER ${_component} _C)
	cpack_add_component(${_component} DISPLAY_NAME "${VIADUCT_${_C}_TITLE}"
		DESCRIPTION "${VIADUCT_${_C}_DESCRIPTION}" DEPENDS ${VIADUCT_${_C}_NEEDS})
endforeach()
