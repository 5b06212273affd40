# What lands in an installation: library, headers, package descriptions, manual, completion, configuration, units.
# Modules and programs install themselves where they are defined.
include(CMakePackageConfigHelpers)
set(_package ${CMAKE_INSTALL_LIBDIR}/cmake/viaduct)

install(TARGETS viaduct EXPORT viaductTargets
	RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT core
	LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT core NAMELINK_COMPONENT devel
	ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT devel)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/viaduct DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
	COMPONENT devel FILES_MATCHING PATTERN "*.h")
install(EXPORT viaductTargets NAMESPACE viaduct:: DESTINATION ${_package} COMPONENT devel)

# In small letters: find_package() takes these names for viaduct and for Viaduct.
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/viaduct-config.cmake.in
	${PROJECT_BINARY_DIR}/viaduct-config.cmake INSTALL_DESTINATION ${_package}
	PATH_VARS VIADUCT_MODULE_INSTALL_DIR)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/viaduct-config-version.cmake
	COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/viaduct-config.cmake
	${PROJECT_BINARY_DIR}/viaduct-config-version.cmake
	${PROJECT_SOURCE_DIR}/cmake/ViaductModule.cmake ${PROJECT_SOURCE_DIR}/cmake/ModuleFile.cmake
	${PROJECT_SOURCE_DIR}/cmake/CheckModule.cmake ${PROJECT_SOURCE_DIR}/cmake/forbidden.def
	${PROJECT_SOURCE_DIR}/cmake/module.map
	DESTINATION ${_package} COMPONENT devel)

# Relative to the file's own place, whatever the depth of the library directory. What is searched anyway is named, so that
# pkg-config leaves it out, and puts the directory of another system in front when there is one.
file(RELATIVE_PATH VIADUCT_PC_PREFIX /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
string(REGEX REPLACE "/$" "" VIADUCT_PC_PREFIX "\${pcfiledir}/${VIADUCT_PC_PREFIX}")
if(CMAKE_INSTALL_PREFIX STREQUAL "/usr" AND NOT VIADUCT_RELOCATABLE)
	set(VIADUCT_PC_PREFIX /usr)
endif()
configure_file(${PROJECT_SOURCE_DIR}/cmake/viaduct.pc.in ${PROJECT_BINARY_DIR}/viaduct.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/viaduct.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig
	COMPONENT devel)

# To begin with. Packages of distributions have documents below the name of the package: VIADUCT_EXAMPLES_DIR.
if(NOT VIADUCT_EXAMPLES_DIR)
	set(VIADUCT_EXAMPLES_DIR ${CMAKE_INSTALL_DOCDIR}/examples)
endif()
set(_examples ${PROJECT_SOURCE_DIR}/docs/examples)
install(DIRECTORY ${_examples}/client ${_examples}/module-service ${_examples}/module-transport
	DESTINATION ${VIADUCT_EXAMPLES_DIR} COMPONENT devel
	FILES_MATCHING PATTERN "*.[ch]" PATTERN CMakeLists.txt PATTERN Makefile PATTERN build EXCLUDE)
install(FILES ${_examples}/double.c DESTINATION ${VIADUCT_EXAMPLES_DIR} COMPONENT devel)

if(NOT UNIX)
	return()
endif()

# The manual, packed as distributions want it; -n leaves out name and time, so that the bytes are always the same.
find_program(VIADUCT_GZIP gzip)
function(_viaduct_install_page page component)
	set(file ${PROJECT_SOURCE_DIR}/docs/man/${page})
	if(VIADUCT_GZIP)
		set(packed ${PROJECT_BINARY_DIR}/man/${page}.gz)
		add_custom_command(OUTPUT ${packed} DEPENDS ${file} VERBATIM
			COMMAND sh -c "\"$1\" -9nc \"$2\" >\"$3\"" pack ${VIADUCT_GZIP} ${file} ${packed})
		add_custom_target(manual_${page} DEPENDS ${packed})
		add_dependencies(viaduct_programs manual_${page})
		set(file ${packed})
	endif()
	string(REGEX MATCH "[0-9]$" section ${page})
	install(FILES ${file} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section} COMPONENT ${component})
endfunction()
file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/man)
_viaduct_install_page(viaduct.1 programs)
_viaduct_install_page(viaductd.8 programs)
_viaduct_install_page(viaductd.conf.5 programs)
_viaduct_install_page(viaduct-module.7 devel)

# Completion is loaded by the name of the command: one file for both, once for each.
set(_completions ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
install(FILES ${PROJECT_SOURCE_DIR}/packaging/completion/viaduct.bash DESTINATION ${_completions}
	RENAME viaduct COMPONENT programs)
install(FILES ${PROJECT_SOURCE_DIR}/packaging/completion/viaduct.bash DESTINATION ${_completions}
	RENAME viaductd COMPONENT programs)

# The configuration: below the prefix, unless GNUInstallDirs puts it elsewhere (/etc for the prefix /usr).
set(_etc ${CMAKE_INSTALL_SYSCONFDIR})
if(NOT VIADUCT_RELOCATABLE AND NOT CMAKE_INSTALL_FULL_SYSCONFDIR STREQUAL "${CMAKE_INSTALL_PREFIX}/${_etc}")
	set(_etc ${CMAKE_INSTALL_FULL_SYSCONFDIR})
endif()
set(VIADUCT_SOCKETS "") # of the system's daemon: in force where there are such
if(WIN32)
	set(VIADUCT_SOCKETS "#")
endif()
configure_file(${PROJECT_SOURCE_DIR}/packaging/viaductd.conf.in ${PROJECT_BINARY_DIR}/packaging/viaductd.conf @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/packaging/viaductd.conf DESTINATION ${_etc}/viaduct COMPONENT programs)
install(DIRECTORY DESTINATION ${_etc}/viaduct/viaductd.conf.d COMPONENT programs)

# What systemd reads is in lib, whatever the library directory is called, and names absolute places.
if(CMAKE_SYSTEM_NAME STREQUAL "Linux" AND NOT VIADUCT_RELOCATABLE)
	set(_systemd ${PROJECT_SOURCE_DIR}/packaging/systemd)
	configure_file(${_systemd}/viaductd.service.in ${PROJECT_BINARY_DIR}/packaging/viaductd.service @ONLY)
	install(FILES ${PROJECT_BINARY_DIR}/packaging/viaductd.service DESTINATION lib/systemd/system
		COMPONENT programs)
	install(FILES ${_systemd}/sysusers.conf DESTINATION lib/sysusers.d RENAME viaduct.conf COMPONENT programs)
	install(FILES ${_systemd}/tmpfiles.conf DESTINATION lib/tmpfiles.d RENAME viaduct.conf COMPONENT programs)
endif()
