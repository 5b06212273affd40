# Run by cpack's External generator on what is staged in CPACK_TEMPORARY_DIRECTORY, and on the symbols that stage.cmake
# has taken out of it. The same bytes on any machine, whoever runs it.
cmake_minimum_required(VERSION 3.25)
find_program(_tar tar REQUIRED)
string(TIMESTAMP _time "%s" UTC) # of the commit: SOURCE_DATE_EPOCH

function(_archive name directory)
	set(file ${CPACK_TOPLEVEL_DIRECTORY}/${name}.tar.gz)
	execute_process(COMMAND ${_tar} --sort=name --format=gnu --mtime=@${_time} --owner=root:0 --group=root:0
		--use-compress-program "gzip -9n" -cf ${file} --transform "s,^\\.,${CPACK_PACKAGE_FILE_NAME}," .
		WORKING_DIRECTORY ${directory} COMMAND_ERROR_IS_FATAL ANY)
	list(APPEND CPACK_EXTERNAL_BUILT_PACKAGES ${file})
	set(CPACK_EXTERNAL_BUILT_PACKAGES ${CPACK_EXTERNAL_BUILT_PACKAGES} PARENT_SCOPE)
endfunction()

set(CPACK_EXTERNAL_BUILT_PACKAGES "")
_archive(${CPACK_PACKAGE_FILE_NAME} ${CPACK_TEMPORARY_DIRECTORY})
_archive(${CPACK_PACKAGE_FILE_NAME}-debug ${CPACK_TOPLEVEL_DIRECTORY}/debug)
