# The API reference: target doc, in doc/html of the build directory. Any warning of Doxygen's is an error.
find_program(VIADUCT_DOXYGEN doxygen)
if(NOT VIADUCT_DOXYGEN)
	return()
endif()
set(VIADUCT_DOC_DIR ${PROJECT_BINARY_DIR}/doc)
configure_file(${PROJECT_SOURCE_DIR}/docs/Doxyfile.in ${VIADUCT_DOC_DIR}/Doxyfile @ONLY)
add_custom_target(doc VERBATIM
	COMMAND ${CMAKE_COMMAND} -E rm -rf ${VIADUCT_DOC_DIR}/html
	COMMAND ${VIADUCT_DOXYGEN} ${VIADUCT_DOC_DIR}/Doxyfile)
