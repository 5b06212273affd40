message(FATAL_ERROR "no test was built, missing: ${MISSING}. make test installs them on Debian; elsewhere, "
	"install them and configure again.")
