# DEB: names, dependencies, documents and scripts. Scripts of a package are in packaging/deb/<package>/.
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE ${VIADUCT_PACKAGE_RELEASE})
set(CPACK_DEBIAN_PACKAGE_SOURCE viaduct)
set(CPACK_DEBIAN_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_PROGRAMS_PACKAGE_SECTION net)
set(CPACK_DEBIAN_DEVEL_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEBUG_PACKAGE_SECTION debug)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_ENABLE_COMPONENT_DEPENDS OFF) # below, with the release
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${PROJECT_BINARY_DIR}/lib)

set(_version "${PROJECT_VERSION}-${VIADUCT_PACKAGE_RELEASE}")
foreach(_component IN LISTS CPACK_COMPONENTS_ALL)
	string(TOUPPER ${_component} _C)
	set(_depends "")
	foreach(_other IN LISTS VIADUCT_${_C}_NEEDS)
		string(TOUPPER ${_other} _O)
		list(APPEND _depends "${VIADUCT_${_O}_PACKAGE} (= ${_version})")
	endforeach()
	set(_recommends "")
	foreach(_other IN LISTS VIADUCT_${_C}_RECOMMENDS)
		string(TOUPPER ${_other} _O)
		list(APPEND _recommends "${VIADUCT_${_O}_PACKAGE}")
	endforeach()
	if(_component STREQUAL "programs")
		list(APPEND _depends adduser)
	elseif(_component STREQUAL "debug")
		list(APPEND _recommends "libviaduct1 (= ${_version})")
	endif()
	list(JOIN _depends ", " CPACK_DEBIAN_${_C}_PACKAGE_DEPENDS)
	list(JOIN _recommends ", " CPACK_DEBIAN_${_C}_PACKAGE_RECOMMENDS)
	set(CPACK_DEBIAN_${_C}_PACKAGE_NAME ${VIADUCT_${_C}_PACKAGE})
	set(CPACK_DEBIAN_${_C}_DESCRIPTION "${VIADUCT_${_C}_TITLE}\n${VIADUCT_${_C}_DESCRIPTION}")
	if(NOT _component MATCHES "^(devel|debug)$")
		set(CPACK_DEBIAN_${_C}_PACKAGE_SHLIBDEPS ON)
	endif()
	# Libraries, modules and headers of several architectures have nothing in one place that differs.
	# CMake has a variable for it from 3.31 on; before, a field may be two lines.
	if(NOT _component STREQUAL "programs")
		if(NOT CPACK_DEBIAN_${_C}_PACKAGE_SECTION)
			set(CPACK_DEBIAN_${_C}_PACKAGE_SECTION libs)
		endif()
		string(APPEND CPACK_DEBIAN_${_C}_PACKAGE_SECTION "\nMulti-Arch: same")
	endif()
endforeach()

# -- documents: every package has them ----------------------------------------------------------------

string(TIMESTAMP _date "%a, %d %b %Y %H:%M:%S +0000" UTC) # of SOURCE_DATE_EPOCH, if that is set
set(_doc ${PROJECT_BINARY_DIR}/packaging/deb)
configure_file(${PROJECT_SOURCE_DIR}/packaging/deb/copyright.in ${_doc}/copyright @ONLY)
file(CONFIGURE OUTPUT ${_doc}/changelog.Debian @ONLY CONTENT
"viaduct (${_version}) unstable; urgency=medium

  * Version ${PROJECT_VERSION}, see changelog.gz of libviaduct1.

 -- ${CPACK_PACKAGE_CONTACT}  ${_date}
")
function(_viaduct_pack input output)
	execute_process(COMMAND ${VIADUCT_GZIP} -9nc ${input} OUTPUT_FILE ${output} COMMAND_ERROR_IS_FATAL ANY)
endfunction()
_viaduct_pack(${_doc}/changelog.Debian ${_doc}/changelog.Debian.gz)
_viaduct_pack(${PROJECT_SOURCE_DIR}/CHANGES.md ${_doc}/changelog.gz)
foreach(_component IN LISTS CPACK_COMPONENTS_ALL)
	string(TOUPPER ${_component} _C)
	install(FILES ${_doc}/copyright ${_doc}/changelog.Debian.gz COMPONENT ${_component}
		DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${VIADUCT_${_C}_PACKAGE})
endforeach()
install(FILES ${PROJECT_SOURCE_DIR}/README.md COMPONENT programs
	DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${VIADUCT_PROGRAMS_PACKAGE})
install(FILES ${_doc}/changelog.gz COMPONENT core
	DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${VIADUCT_CORE_PACKAGE})

# -- scripts ------------------------------------------------------------------------------------------

set(_scripts ${PROJECT_SOURCE_DIR}/packaging/deb)
file(WRITE ${_doc}/shlibs
	"libviaduct ${VIADUCT_ABI_MAJOR} ${VIADUCT_CORE_PACKAGE} (>= ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})\n")
set(CPACK_DEBIAN_CORE_PACKAGE_CONTROL_EXTRA "${_doc}/shlibs;${_scripts}/libviaduct1/triggers")
set(CPACK_DEBIAN_PROGRAMS_PACKAGE_CONTROL_EXTRA "${_scripts}/viaduct/conffiles;${_scripts}/viaduct/postinst"
	"${_scripts}/viaduct/prerm;${_scripts}/viaduct/postrm")
