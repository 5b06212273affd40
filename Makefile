# Thin front of the CMake presets. Every target does its own set-up: on Debian it installs what is missing
# (as root; otherwise it says what to install). Results are in build/<preset>/.
PRESET ?= release
SECONDS_PER_TARGET ?= 30
BENCH_OPTIONS ?=
FORMATS ?= deb rpm archive windows

.PHONY: help run test build bench bench-windows fuzz coverage sanitize windows doc package package-test lint format clean

help:
	@echo 'make run       build, then show a daemon serving this machine'\''s control groups'
	@echo 'make build     programs in build/release/bin, modules in build/release/lib/viaduct/1'
	@echo 'make test      build and run every test'
	@echo 'make sanitize  the tests under the address, undefined behaviour and thread sanitizers'
	@echo 'make windows   cross build for Windows, tests under wine'
	@echo 'make fuzz      every fuzz program for SECONDS_PER_TARGET=$(SECONDS_PER_TARGET) seconds, two at a time'
	@echo 'make coverage  the tests with gcov; report in build/coverage/report'
	@echo 'make bench     measure beside other transports and libraries; writes bench/RESULTS.md'
	@echo '               (BENCH_OPTIONS=--quick: one short round, printed only)'
	@echo 'make bench-windows  the Windows build under wine, ratios of its transports; writes bench/WINE.md'
	@echo 'make package   RPM, DEB, MSI and archives in build/packages (FORMATS="$(FORMATS)")'
	@echo 'make package-test  install, run, upgrade and remove them'
	@echo 'make doc       the API reference; starts at build/release/doc/html/index.html'
	@echo 'make lint      formatting, clang-tidy, cppcheck, module and header rules, API reference'
	@echo 'make format    clang-format everything it is responsible for'
	@echo 'make clean     remove build/'

build:
	@scripts/setup.sh build
	cmake --preset $(PRESET)
	cmake --build --preset $(PRESET) --target viaduct_programs

run: build
	@scripts/demo.sh build/$(PRESET)

test:
	@scripts/setup.sh build test
	@scripts/test.sh $(PRESET)

sanitize:
	@scripts/setup.sh build test
	@scripts/test.sh asan
	@scripts/test.sh tsan

windows:
	@scripts/setup.sh build test windows
	@scripts/test.sh mingw

fuzz:
	@scripts/setup.sh build fuzz
	cmake --preset afl
	cmake --build --preset afl
	@fuzz/fuzz_ci.sh build/afl/fuzz/bin build/afl/fuzz/out $(SECONDS_PER_TARGET) 2

coverage:
	@scripts/setup.sh build test coverage
	@scripts/coverage.sh

bench:
	@scripts/setup.sh build bench
	bench/run.py $(BENCH_OPTIONS)

bench-windows:
	@scripts/setup.sh build test windows
	bench/windows.py $(BENCH_OPTIONS)

package:
	@scripts/setup.sh build package $(filter windows,$(FORMATS))
	@scripts/package.sh $(FORMATS)

package-test:
	@scripts/setup.sh build test package package-test $(filter windows,$(FORMATS))
	@packaging/test/run.sh $(FORMATS)

doc:
	@scripts/setup.sh build doc
	cmake --preset $(PRESET)
	cmake --build --preset $(PRESET) --target doc

lint:
	@scripts/setup.sh build test lint doc windows bench
	@scripts/lint.sh

format:
	@scripts/setup.sh lint
	@scripts/format.sh -i

clean:
	rm -rf build
