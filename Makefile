# The front door; CMake does the work. Every target works as the first command ever run.
BUILD  := build/release
PREFIX ?= /usr/local

.PHONY: all demo check bench install deps clean release

all: release

deps:
	@tools/install-deps build

release: deps
	@cmake --preset release -DBUILD_TESTING=OFF >/dev/null
	@cmake --build --preset release

demo: release
	@tools/install-deps demo
	@tools/demo/demo --lib $(BUILD)/libhakmem.so

check:
	@tests/check

bench: release
	@bench/compare --build $(BUILD)

install: release
	@cmake --install $(BUILD) --prefix $(PREFIX)

clean:
	rm -rf build
