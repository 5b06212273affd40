# Run by cpack after stage.cmake, for an upgrade in rpm.sh: what changes in the next release.
file(APPEND ${CPACK_TEMPORARY_DIRECTORY}/programs/etc/viaduct/viaductd.conf "\n# The next release.\n")
