# Archives: what CPack is told beyond Packages.cmake.
set(CPACK_ARCHIVE_COMPONENT_INSTALL OFF)
