# RPM: what CPack is told beyond Packages.cmake. Each package has a spec, made of packaging/rpm/package.spec.in; cpack adds
# the list of files, rpmbuild what ELF files need and provide. packaging/viaduct.spec.in says the same for those who build
# from source; packaging/test/rpm.sh compares the two.
set(CPACK_RPM_COMPONENT_INSTALL ON)
set(CPACK_RPM_FILE_NAME RPM-DEFAULT)
set(CPACK_RPM_PACKAGE_RELEASE ${VIADUCT_PACKAGE_RELEASE})

# What a module is for, so that others can need it by that.
set(_provides_codecs "viaduct-codec(cgroups-snapshot)" "viaduct-codec(increment)" "viaduct-codec(string-reverse)")
set(_provides_services "viaduct-service(cgroups-snapshot)" "viaduct-service(increment)" "viaduct-service(string-reverse)")
set(_provides_transport-uds "viaduct-transport(uds)" "viaduct-transport(unix)")
set(_provides_transport-shm "viaduct-transport(posixshm)" "viaduct-transport(ring)")
set(_provides_transport-loop "viaduct-transport(loop)")
set(_provides_transport-fault "viaduct-transport(fault)")

# -- directories: those of others are nobody's here, those below have one owner ----------------------

set(_lib ${CMAKE_INSTALL_FULL_LIBDIR})
set(_license /usr/share/licenses/${VIADUCT_CORE_PACKAGE})
set(_foreign /etc /usr /usr/bin /usr/include /usr/lib /usr/lib/systemd
	/usr/lib/systemd/system /usr/lib/sysusers.d /usr/lib/tmpfiles.d ${_lib} ${_lib}/cmake ${_lib}/pkgconfig /usr/libexec
	/usr/share /usr/share/bash-completion /usr/share/bash-completion/completions /usr/share/doc /usr/share/licenses
	/usr/share/man /usr/share/man/man1 /usr/share/man/man5 /usr/share/man/man7 /usr/share/man/man8)
set(_listed ${_lib}/viaduct ${_lib}/viaduct/${VIADUCT_ABI_MAJOR} ${_lib}/viaduct/${VIADUCT_ABI_MAJOR}/modules.lock.d
	${_license} ${_license}/LICENSE /etc/viaduct /etc/viaduct/viaductd.conf.d)
set(CPACK_RPM_EXCLUDE_FROM_AUTO_FILELIST ${_foreign} ${_listed})

set(_files_core "%dir ${_lib}/viaduct\n%dir ${_lib}/viaduct/${VIADUCT_ABI_MAJOR}
%dir ${_lib}/viaduct/${VIADUCT_ABI_MAJOR}/modules.lock.d\n%license ${_license}")
# The configuration may hold tokens. Files with an absolute destination, as this one has, are never in cpack's list.
set(_files_programs "%dir %attr(0750,root,viaduct) /etc/viaduct
%dir %attr(0750,root,viaduct) /etc/viaduct/viaductd.conf.d
%config(noreplace) %attr(0640,root,viaduct) /etc/viaduct/viaductd.conf
%ghost %dir %attr(1775,root,viaduct) /run/viaduct")
set(_install_core "mkdir -p %{buildroot}${_lib}/viaduct/${VIADUCT_ABI_MAJOR}/modules.lock.d")
set(_install_programs "mkdir -p %{buildroot}/run/viaduct")
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${_license} COMPONENT core)
install(FILES ${PROJECT_SOURCE_DIR}/README.md ${PROJECT_SOURCE_DIR}/CHANGES.md DESTINATION ${CMAKE_INSTALL_DOCDIR}
	COMPONENT programs)

# -- scripts -----------------------------------------------------------------------------------------

set(_scripts_core "\n%post -n ${VIADUCT_CORE_PACKAGE} -p /sbin/ldconfig\n\n%postun -n ${VIADUCT_CORE_PACKAGE} -p /sbin/ldconfig\n")
set(_scripts_programs "")
foreach(_when pre post preun postun)
	file(READ ${PROJECT_SOURCE_DIR}/packaging/rpm/viaduct.${_when} _script)
	string(APPEND _scripts_programs "\n%${_when}\n${_script}")
endforeach()

# A summary begins with a capital letter.
function(_viaduct_summary component out)
	string(SUBSTRING "${VIADUCT_${component}_TITLE}" 0 1 first)
	string(SUBSTRING "${VIADUCT_${component}_TITLE}" 1 -1 rest)
	string(TOUPPER ${first} first)
	set(${out} "${first}${rest}" PARENT_SCOPE)
endfunction()

# -- a spec for each ---------------------------------------------------------------------------------

execute_process(COMMAND ${PROJECT_SOURCE_DIR}/packaging/rpm/changelog.sh ${PROJECT_SOURCE_DIR}/CHANGES.md
	${VIADUCT_PACKAGE_RELEASE} "${CPACK_PACKAGE_CONTACT}" OUTPUT_VARIABLE _changelog COMMAND_ERROR_IS_FATAL ANY)
_viaduct_summary(PROGRAMS _main_summary)
foreach(_later INSTALL_FILES PACKAGE_VERSION PACKAGE_RELEASE)
	set(_kept_${_later} "${CPACK_RPM_${_later}}")
	set(CPACK_RPM_${_later} "@CPACK_RPM_${_later}@") # for cpack to replace
endforeach()
set(_requires_programs "Requires(pre): /usr/bin/getent, /usr/sbin/groupadd, /usr/sbin/useradd\nOrderWithRequires: systemd\n")
foreach(_component IN LISTS CPACK_COMPONENTS_ALL)
	string(TOUPPER ${_component} _C)
	set(_name ${VIADUCT_${_C}_PACKAGE})
	_viaduct_summary(${_C} _summary)
	# All are of the source package viaduct, which is what the main package of a spec is called.
	set(_n "")
	set(_package "")
	if(NOT _component STREQUAL "programs")
		set(_n "-n ${_name}")
		set(_package "\n%description\nNot made here.\n\n%package ${_n}\nSummary: ${_summary}")
	endif()
	set(_description "${VIADUCT_${_C}_DESCRIPTION}")
	set(_dependencies "${_requires_${_component}}")
	foreach(_other IN LISTS VIADUCT_${_C}_NEEDS)
		string(TOUPPER ${_other} _O)
		string(APPEND _dependencies "Requires: ${VIADUCT_${_O}_PACKAGE}%{?_isa} = %{version}-%{release}\n")
	endforeach()
	foreach(_other IN LISTS VIADUCT_${_C}_RECOMMENDS)
		string(TOUPPER ${_other} _O)
		string(APPEND _dependencies "Recommends: ${VIADUCT_${_O}_PACKAGE}%{?_isa}\n")
	endforeach()
	if(_provides_${_component})
		string(APPEND _dependencies "Requires: viaduct-module-abi = ${VIADUCT_ABI_MAJOR}\n")
	elseif(_component STREQUAL "core")
		string(APPEND _dependencies "Provides: viaduct-module-abi = ${VIADUCT_ABI_MAJOR}\n")
	endif()
	foreach(_provided IN LISTS _provides_${_component})
		string(APPEND _dependencies "Provides: ${_provided} = %{version}\n")
	endforeach()
	set(_install "${_install_${_component}}")
	set(_scripts "${_scripts_${_component}}")
	set(_files "${_files_${_component}}")
	set(CPACK_RPM_${_C}_PACKAGE_NAME ${_name})
	set(CPACK_RPM_${_C}_USER_BINARY_SPECFILE ${PROJECT_BINARY_DIR}/packaging/rpm/${_name}.spec.in)
	configure_file(${PROJECT_SOURCE_DIR}/packaging/rpm/package.spec.in ${CPACK_RPM_${_C}_USER_BINARY_SPECFILE} @ONLY)
endforeach()
foreach(_later INSTALL_FILES PACKAGE_VERSION PACKAGE_RELEASE)
	set(CPACK_RPM_${_later} "${_kept_${_later}}")
endforeach()

configure_file(${PROJECT_SOURCE_DIR}/packaging/viaduct.spec.in ${PROJECT_BINARY_DIR}/packaging/viaduct.spec @ONLY)
