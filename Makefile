# The front door; CMake does the work. Every target works as the first command ever run.
BUILD  := build/release
PREFIX ?= /usr/local

.PHONY: all demo check check-long bench install deps clean release

all: release

deps:
	@tools/install-deps build

release: deps
	@cmake --preset release -DBUILD_TESTING=OFF >/dev/null
	@cmake --build --preset release

demo: release
	@tools/install-deps demo
	@$(BUILD)/hakmem bench --only 'program-*' --peers glibc --rounds 3 --out build/demo

check:
	@tests/check

check-long:
	@tests/check-long

bench: release
	@tools/install-deps bench
	@$(BUILD)/hakmem bench --out build/bench
	@$(BUILD)/hakmem report build/bench

install: release
	@cmake --install $(BUILD) --prefix $(PREFIX)

clean:
	rm -rf build
