# Archives: everything in one, which runs from wherever it is unpacked; the debug symbols in another. CPack's TGZ generator
# takes the files in the order in which the file system has them, so tar is asked by the External one.
set(CPACK_MONOLITHIC_INSTALL ON)
set(CPACK_EXTERNAL_ENABLE_STAGING ON)
set(CPACK_EXTERNAL_PACKAGE_SCRIPT ${PROJECT_SOURCE_DIR}/packaging/tar.cmake)
string(TOLOWER ${CMAKE_SYSTEM_NAME}-${CMAKE_SYSTEM_PROCESSOR} _platform)
set(CPACK_PACKAGE_FILE_NAME viaduct-${PROJECT_VERSION}-${_platform})
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE ${PROJECT_SOURCE_DIR}/README.md ${PROJECT_SOURCE_DIR}/CHANGES.md
	DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT core)
