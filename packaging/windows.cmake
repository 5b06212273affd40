# Windows: what CPack is told beyond Packages.cmake.
set(CPACK_EXTERNAL_ENABLE_STAGING ON)
