# What lands in an installation: library, headers, package descriptions. Modules and programs install
# themselves where they are defined.
include(CMakePackageConfigHelpers)
set(_package ${CMAKE_INSTALL_LIBDIR}/cmake/viaduct)

install(TARGETS viaduct EXPORT viaductTargets
	RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT core
	LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT core NAMELINK_COMPONENT devel
	ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT devel)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/viaduct DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
	COMPONENT devel FILES_MATCHING PATTERN "*.h")
install(EXPORT viaductTargets NAMESPACE viaduct:: DESTINATION ${_package} COMPONENT devel)

set(VIADUCT_MODULE_INSTALL_DIR ${CMAKE_INSTALL_LIBDIR}/viaduct/${VIADUCT_ABI_MAJOR})
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/viaductConfig.cmake.in
	${PROJECT_BINARY_DIR}/viaductConfig.cmake INSTALL_DESTINATION ${_package}
	PATH_VARS VIADUCT_MODULE_INSTALL_DIR)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/viaductConfigVersion.cmake
	COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/viaductConfig.cmake
	${PROJECT_BINARY_DIR}/viaductConfigVersion.cmake DESTINATION ${_package} COMPONENT devel)

# Relative to the file's own place, whatever the depth of the library directory.
file(RELATIVE_PATH VIADUCT_PC_PREFIX /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
configure_file(${PROJECT_SOURCE_DIR}/cmake/viaduct.pc.in ${PROJECT_BINARY_DIR}/viaduct.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/viaduct.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig
	COMPONENT devel)
