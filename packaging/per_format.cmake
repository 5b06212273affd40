# Read by cpack, once for each format, after everything else.
if(CPACK_GENERATOR MATCHES "^(RPM|DEB)$")
	set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
	set(CPACK_SET_DESTDIR OFF)
else()
	# An absolute destination would be written to on the machine that builds.
	set(CPACK_ERROR_ON_ABSOLUTE_INSTALL_DESTINATION ON)
endif()
if(CPACK_GENERATOR STREQUAL "DEB")
	set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "") # it would be put in front of what deb.cmake says
endif()
if(CPACK_GENERATOR STREQUAL "RPM")
	find_program(RPM_EXECUTABLE rpm) # CMake 3.25 asks it about weak dependencies and does not look for it
endif()
