# Archives: everything in one, which runs from wherever it is unpacked; the debug symbols in another.
set(CPACK_ARCHIVE_COMPONENT_INSTALL OFF)
string(TOLOWER ${CMAKE_SYSTEM_NAME}-${CMAKE_SYSTEM_PROCESSOR} _platform)
set(CPACK_PACKAGE_FILE_NAME viaduct-${PROJECT_VERSION}-${_platform})
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE ${PROJECT_SOURCE_DIR}/README.md ${PROJECT_SOURCE_DIR}/CHANGES.md
	DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT core)
