# Windows: what CPack is told beyond Packages.cmake. CPack's External generator makes the MSI by wixl, and the archives
# (msi/package.cmake). On Windows CPack's own WIX generator would make an MSI after the same description.
set(CPACK_PACKAGE_FILE_NAME viaduct-${PROJECT_VERSION}-windows-x86_64)
set(CPACK_PACKAGE_INSTALL_DIRECTORY Viaduct)
set(CPACK_EXTERNAL_ENABLE_STAGING ON)
set(CPACK_EXTERNAL_PACKAGE_SCRIPT ${PROJECT_SOURCE_DIR}/packaging/msi/package.cmake)
set(CPACK_VIADUCT_ABI ${VIADUCT_ABI_MAJOR})
set(CPACK_COMPONENT_CORE_REQUIRED ON)
set(CPACK_COMPONENT_DEVEL_DISABLED ON)

# The manual of a system without manual pages, and a configuration to begin with. It is no file that an upgrade or a
# removal could touch: who wants one copies it.
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE ${PROJECT_SOURCE_DIR}/README.md ${PROJECT_SOURCE_DIR}/CHANGES.md
	${PROJECT_SOURCE_DIR}/docs/programs.md ${PROJECT_SOURCE_DIR}/docs/windows.md
	DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT core)
configure_file(${PROJECT_SOURCE_DIR}/packaging/msi/viaductd.conf.in ${PROJECT_BINARY_DIR}/packaging/viaductd.conf.sample
	@ONLY NEWLINE_STYLE WIN32)
install(FILES ${PROJECT_BINARY_DIR}/packaging/viaductd.conf.sample DESTINATION ${CMAKE_INSTALL_SYSCONFDIR}/viaduct
	COMPONENT programs)

# -- CPack's WIX generator: never run by us, for it runs on Windows only -----------------------------

include(${PROJECT_SOURCE_DIR}/packaging/msi/product.cmake)
set(_remove_log [[<RemoveFile Id="log" Property="LOG_TO_REMOVE" Name="viaductd.log" On="uninstall"/>]])
viaduct_msi_product(${PROJECT_VERSION} ${VIADUCT_ABI_MAJOR} ROOT INSTALL_ROOT DAEMON CM_FP_programs.bin.viaductd.exe
	PROGRAMS CM_C_programs REMOVE_LOG "${_remove_log}")
configure_file(${PROJECT_SOURCE_DIR}/packaging/msi/cpack_wix_patch.xml.in
	${PROJECT_BINARY_DIR}/packaging/cpack_wix_patch.xml @ONLY)
configure_file(${PROJECT_SOURCE_DIR}/LICENSE ${PROJECT_BINARY_DIR}/packaging/LICENSE.txt COPYONLY)
set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_BINARY_DIR}/packaging/LICENSE.txt) # the generator knows .txt and .rtf
set(CPACK_WIX_UPGRADE_GUID ${VIADUCT_UPGRADE_CODE})
set(CPACK_WIX_PRODUCT_GUID ${VIADUCT_PRODUCT_CODE})
set(CPACK_WIX_PATCH_FILE ${PROJECT_BINARY_DIR}/packaging/cpack_wix_patch.xml)
set(CPACK_WIX_ROOT_FEATURE_TITLE Viaduct)
set(CPACK_WIX_ROOT_FEATURE_DESCRIPTION "${PROJECT_DESCRIPTION}")
