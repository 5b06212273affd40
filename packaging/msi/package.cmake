# Run by cpack's External generator on what is staged in CPACK_TEMPORARY_DIRECTORY/<component>: an MSI, an archive of the
# same files, an archive of their debug symbols. Two builds of one commit give the same bytes, on any machine: CPack's
# ZIP generator takes the files in the order in which the file system has them, so it is not asked.
cmake_minimum_required(VERSION 3.25)
find_program(_zip zip REQUIRED)
set(_root ${CPACK_TEMPORARY_DIRECTORY})
string(TIMESTAMP _date "%Y-%m-%d %H:%M:%S" UTC) # of the commit: SOURCE_DATE_EPOCH
execute_process(COMMAND find ${_root} -exec touch -h -d "${_date} UTC" {} + COMMAND_ERROR_IS_FATAL ANY)
set(CPACK_EXTERNAL_BUILT_PACKAGES "")
include(${CPACK_VIADUCT_SOURCE}/packaging/msi/wixl.cmake)

# _zip(<file> <component>...): the files of these components below one directory. They are moved: the last use of them.
function(_zip name)
	set(top ${CPACK_TOPLEVEL_DIRECTORY}/zip/${name})
	file(REMOVE_RECURSE ${top})
	foreach(component IN LISTS ARGN)
		file(GLOB_RECURSE files RELATIVE ${_root}/${component} LIST_DIRECTORIES false ${_root}/${component}/*)
		foreach(file IN LISTS files)
			get_filename_component(directory ${top}/${CPACK_PACKAGE_FILE_NAME}/${file} DIRECTORY)
			file(MAKE_DIRECTORY ${directory})
			file(RENAME ${_root}/${component}/${file} ${top}/${CPACK_PACKAGE_FILE_NAME}/${file} NO_REPLACE)
		endforeach()
	endforeach()
	file(GLOB_RECURSE files RELATIVE ${top} LIST_DIRECTORIES false ${top}/*)
	list(SORT files)
	set(zip ${CPACK_TOPLEVEL_DIRECTORY}/${name}.zip)
	file(REMOVE ${zip})
	execute_process(COMMAND ${CMAKE_COMMAND} -E env TZ=UTC ${_zip} -q -X ${zip} ${files} # no owners, no other times
		WORKING_DIRECTORY ${top} COMMAND_ERROR_IS_FATAL ANY)
	set(CPACK_EXTERNAL_BUILT_PACKAGES ${CPACK_EXTERNAL_BUILT_PACKAGES} ${zip} PARENT_SCOPE)
endfunction()

_zip(${CPACK_PACKAGE_FILE_NAME} ${_msi_components})
_zip(${CPACK_PACKAGE_FILE_NAME}-debug debug)
