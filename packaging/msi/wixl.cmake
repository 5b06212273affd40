# Part of package.cmake: an MSI by wixl of what is staged in _root/<component>, all of it with the time _date. One
# component of CPack is one feature, one file one component of the MSI. What wixl 0.101 does not know is written into the
# finished database.
include(${CPACK_VIADUCT_SOURCE}/packaging/components.cmake)
include(${CPACK_VIADUCT_SOURCE}/packaging/msi/product.cmake)
foreach(_tool wixl msibuild faketime)
	find_program(_${_tool} ${_tool} REQUIRED)
endforeach()
set(_msi ${CPACK_TOPLEVEL_DIRECTORY}/${CPACK_PACKAGE_FILE_NAME}.msi)
set(_version ${CPACK_PACKAGE_VERSION})

# -- names and texts ---------------------------------------------------------------------------------

# The id of a file, its component or a directory: up to 72 of a few characters, the same for the same path.
function(_id out kind path)
	string(REGEX REPLACE "[^A-Za-z0-9_.]" "_" id "${kind}.${path}")
	string(LENGTH ${id} length)
	if(length GREATER 72)
		string(SUBSTRING ${id} 0 39 id)
		string(MD5 digest ${path})
		string(APPEND id _${digest})
	endif()
	set(${out} ${id} PARENT_SCOPE)
endfunction()

function(_directory_id out path)
	set(id INSTALLDIR)
	if(path)
		_id(id dir ${path})
	endif()
	set(${out} ${id} PARENT_SCOPE)
endfunction()

# Adds a directory, and those above it, to _directories, when the component is the first in it; the ones above come before.
# Each is made with that component, if there is a file in it or not: what is made by name is removed by name.
function(_add_directory path component)
	if(NOT path OR path IN_LIST _known)
		return()
	endif()
	get_filename_component(above "${path}" DIRECTORY)
	get_filename_component(name ${path} NAME)
	_add_directory("${above}" ${component})
	_directory_id(above_id "${above}")
	_directory_id(id ${path})
	set(_known ${_known} ${path} PARENT_SCOPE)
	set(_folders ${_folders} "'${id}','${component}'" PARENT_SCOPE)
	set(_directories "${_directories}    <DirectoryRef Id=\"${above_id}\"><Directory Id=\"${id}\" Name=\"${name}\"/></DirectoryRef>\n"
		PARENT_SCOPE)
endfunction()

# -- files and features ------------------------------------------------------------------------------

_id(_daemon file bin/viaductd.exe)
viaduct_msi_product(${_version} ${CPACK_VIADUCT_ABI} ROOT INSTALLDIR DAEMON ${_daemon} PROGRAMS programs)
set(_known "")
_id(_library comp bin/viaduct.dll)
set(_folders "'INSTALLDIR','${_library}'")
set(_directories "")
set(_components "")
set(_contents "")
set(_versioned "")
set(_msi_components ${CPACK_COMPONENTS_ALL})
list(REMOVE_ITEM _msi_components debug)
foreach(_component IN LISTS _msi_components)
	set(_refs_${_component} "")
	file(GLOB_RECURSE _files RELATIVE ${_root}/${_component} LIST_DIRECTORIES false ${_root}/${_component}/*)
	list(SORT _files)
	foreach(_file IN LISTS _files)
		get_filename_component(_path ${_file} DIRECTORY)
		get_filename_component(_name ${_file} NAME)
		_id(_comp comp ${_file})
		_add_directory("${_path}" ${_comp})
		_directory_id(_dir "${_path}")
		_id(_key file ${_file})
		viaduct_msi_guid(_guid component/${_file})
		set(_more "")
		if(_file STREQUAL "bin/viaduct.dll")
			set(_more "\n${VIADUCT_XML_CORE}")
		elseif(_file STREQUAL "bin/viaductd.exe")
			set(_more "\n${VIADUCT_XML_SERVICE}")
		endif()
		if(_file MATCHES "\\.(dll|exe)$")
			list(APPEND _versioned ${_key})
		endif()
		string(APPEND _components "    <DirectoryRef Id=\"${_dir}\"><Component Id=\"${_comp}\" Guid=\"{${_guid}}\" Win64=\"yes\">\n"
			"      <File Id=\"${_key}\" Name=\"${_name}\" Source=\"${_component}/${_file}\" KeyPath=\"yes\"/>${_more}\n"
			"    </Component></DirectoryRef>\n")
		string(APPEND _refs_${_component} "        <ComponentRef Id=\"${_comp}\"/>\n")
		file(SHA256 ${_root}/${_component}/${_file} _digest)
		string(APPEND _contents "${_digest}  ${_file}\n")
	endforeach()
endforeach()
string(APPEND _refs_programs "        <ComponentRef Id=\"comp.data\"/>\n        <ComponentRef Id=\"comp.log\"/>\n")

# Everything is below core, which cannot be left out. What else a feature needs comes with it: a component may belong to
# several features.
function(_feature out component)
	string(TOUPPER ${component} c)
	string(REPLACE - _ id ${component})
	set(level 1)
	if(CPACK_COMPONENT_${c}_DISABLED)
		set(level 1000)
	endif()
	string(REGEX REPLACE "[ \n]+" " " text "${CPACK_COMPONENT_${c}_DESCRIPTION}")
	set(refs "${_refs_${component}}")
	foreach(needed IN LISTS CPACK_COMPONENT_${c}_DEPENDS)
		if(NOT needed STREQUAL "core" AND NOT component STREQUAL "core")
			string(APPEND refs "${_refs_${needed}}")
		endif()
	endforeach()
	set(${out} "<Feature Id=\"${id}\" Title=\"${VIADUCT_${c}_PACKAGE}\" Description=\"${text}\" Level=\"${level}\">\n${refs}" PARENT_SCOPE)
endfunction()

_feature(_features core)
set(_features "    ${_features}")
foreach(_component IN LISTS _msi_components)
	if(NOT _component STREQUAL "core")
		_feature(_feature ${_component})
		string(APPEND _features "      ${_feature}      </Feature>\n")
	endif()
endforeach()
string(APPEND _features "    </Feature>")

# -- the database ------------------------------------------------------------------------------------

# The time of writing is in the summary.
set(_at_that_time ${CMAKE_COMMAND} -E env TZ=UTC G_DEBUG=fatal-warnings ${_faketime} -f ${_date})
viaduct_msi_guid(_package_code package/${_version}/${_contents})
set(_wxs ${CPACK_TOPLEVEL_DIRECTORY}/viaduct.wxs)
configure_file(${CPACK_VIADUCT_SOURCE}/packaging/msi/viaduct.wxs.in ${_wxs} @ONLY)
# A warning of wixl is an attribute that it leaves out.
execute_process(COMMAND ${_at_that_time} ${_wixl} --arch x64 -o ${_msi} ${_wxs} WORKING_DIRECTORY ${_root}
	COMMAND_ERROR_IS_FATAL ANY)

# One statement a row; a semicolon is written as |, because of lists.
_id(_program comp bin/viaduct.exe)
_id(_bin dir bin)
set(_statements
	"UPDATE `Feature` SET `Attributes`=16 WHERE `Feature`='core'"
	"CREATE TABLE `Environment` (`Environment` CHAR(72) NOT NULL, `Name` CHAR(255) NOT NULL LOCALIZABLE, `Value` CHAR(255) LOCALIZABLE, `Component_` CHAR(72) NOT NULL PRIMARY KEY `Environment`)"
	"INSERT INTO `Environment` (`Environment`,`Name`,`Value`,`Component_`) VALUES ('path','=-*PATH','[${_bin}]|[~]','${_program}')"
	"INSERT INTO `InstallExecuteSequence` (`Action`,`Sequence`) VALUES ('RemoveEnvironmentStrings',3300)"
	"INSERT INTO `InstallExecuteSequence` (`Action`,`Sequence`) VALUES ('WriteEnvironmentStrings',5200)"
	"INSERT INTO `RemoveFile` (`FileKey`,`Component_`,`FileName`,`DirProperty`,`InstallMode`) VALUES ('log','comp.log','viaductd.log','LOG_TO_REMOVE',2)"
	"UPDATE `CustomAction` SET `Type`=51 WHERE `Action`='SetLogToRemove'"
	"UPDATE `Property` SET `Value`='WIX_DOWNGRADE_DETECTED|WIX_UPGRADE_DETECTED|INSTALLDIR' WHERE `Property`='SecureCustomProperties'"
	# Within the transaction: if the new version fails, the old one is there again.
	"UPDATE `InstallExecuteSequence` SET `Sequence`=1501 WHERE `Action`='RemoveExistingProducts'")
foreach(_folder IN LISTS _folders)
	list(APPEND _statements "INSERT INTO `CreateFolder` (`Directory_`,`Component_`) VALUES (${_folder})")
endforeach()
foreach(_key IN LISTS _versioned)
	list(APPEND _statements
		"UPDATE `File` SET `Version`='${_version}.0', `Language`='1033' WHERE `File`='${_key}'"
		"DELETE FROM `MsiFileHash` WHERE `File_`='${_key}'")
endforeach()
set(_arguments "")
foreach(_statement IN LISTS _statements)
	string(REPLACE "|" "\;" _statement "${_statement}")
	list(APPEND _arguments -q "${_statement}")
endforeach()
execute_process(COMMAND ${_at_that_time} ${_msibuild} ${_msi} ${_arguments} COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${_at_that_time} ${_msibuild} ${_msi}
	-s "Viaduct ${_version}" ${CPACK_PACKAGE_VENDOR} "x64;1033" "{${_package_code}}" COMMAND_ERROR_IS_FATAL ANY)
list(APPEND CPACK_EXTERNAL_BUILT_PACKAGES ${_msi})
