# Weir: build, test, measure. `make help` lists the targets.
#
# Nothing here may fail while this file is read: on a fresh machine neither compiler nor
# pkg-config are there yet, and `make demo` and `make test` install them and start make again.
BUILD  ?= release
B      := $(if $(filter release,$(BUILD)),build,build-$(BUILD))
PREFIX ?= /usr/local
ifeq ($(origin CC),default)
CC     := gcc
endif
ifeq ($(origin CXX),default)
CXX    := $(if $(findstring clang,$(CC)),$(patsubst clang%,clang++%,$(notdir $(CC))),g++)
endif

PC_NAMES  := libxxhash libzstd zlib simdjson
PC_CFLAGS := $(shell pkg-config --cflags luajit $(PC_NAMES) 2>/dev/null)
PC_LIBS   := -lev $(shell pkg-config --libs $(PC_NAMES) 2>/dev/null)
# LuaJIT is linked statically, inside the reach of its own machine code (README, Decisions).
LUAJIT_SYSTEM := $(shell pkg-config --variable=libdir luajit 2>/dev/null)/libluajit-5.1.a
LUAJIT_A      := $B/obj/libluajit.a

OPT.release := -O3 -g -fno-omit-frame-pointer
OPT.debug   := -O0 -g3 -DWR_DEBUG
OPT.asan    := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined -DWR_DEBUG
OPT.tsan    := -O1 -g -fno-omit-frame-pointer -fsanitize=thread -DWR_DEBUG
OPT.fuzz    := -O1 -g -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address -DWR_DEBUG
OPT := $(OPT.$(BUILD))
ifeq ($(OPT),)
$(error BUILD=$(BUILD) is none of release, debug, asan, tsan)
endif

WARN     := -Wall -Wextra -Werror
CFLAGS   := -std=c11 -D_GNU_SOURCE $(WARN) $(OPT) $(MARCH) -Iruntime $(PC_CFLAGS)
CXXFLAGS := -std=c++17 $(WARN) $(OPT) $(MARCH) -Iruntime
LDFLAGS  := $(OPT) -rdynamic
LDLIBS   := $(LUAJIT_A) $(PC_LIBS) -lm -ldl -lpthread

# Modules of several files each: runtime/NAME/ is build/weir-NAME.so.
PARTS   := kafka avro msgpack
C_SRC   := $(filter-out runtime/main.c runtime/vendor/% $(foreach p,$(PARTS),runtime/$p/%),$(wildcard runtime/*/*.c))
CC_SRC  := $(filter-out runtime/vendor/%,$(wildcard runtime/*/*.cc))
OBJ     := $(C_SRC:%.c=$B/obj/%.o) $(CC_SRC:%.cc=$B/obj/%.o) $B/obj/embed.o
LUA_SRC := $(sort $(shell find lua stdlib -name '*.lua' 2>/dev/null))
MODULES := $(patsubst runtime/vendor/%,$B/weir-%.so,$(basename $(wildcard runtime/vendor/*.c runtime/vendor/*.cc))) $(PARTS:%=$B/weir-%.so)
UNIT    := $(patsubst tests/%.c,$B/%,$(wildcard tests/unit/*/*_test.c))
SIM     := $(patsubst tests/%.c,$B/%,$(wildcard tests/sim/*_sim.c))
FUZZ    := $(patsubst tests/%.c,$B/%,$(wildcard tests/fuzz/*_fuzz.c))
REF     := $(patsubst tests/%,$B/%,$(basename $(wildcard tests/bench/*.c tests/bench/*.cc)))

.DEFAULT_GOAL := all
.PHONY: all demo test unit spec e2e rocksdb crash kafka crash-kafka sim fuzz bench bench-nexmark bench-kafka tidy format lint rows docs mutants install clean help \
	deps demo-run unit-build spec-build e2e-build crash-build kafka-build sim-build fuzz-build bench-build FORCE
.DELETE_ON_ERROR:

all: $B/weir $(MODULES)			## build the program: build/weir, and its modules

comma := ,

# ---- what CI and a newcomer call: these install the packages that are missing (DEPS=no: they do not) ----

demo:					## count the words of a real text and show the top words
	@tests/support/deps build
	@$(MAKE) --no-print-directory -s -j$$(nproc) all
	@tests/support/demo $B/weir

SANITIZE ?= asan tsan
SUITES   ?= tidy lint rows unit spec e2e rocksdb crash sim mutants fuzz $(foreach b,$(SANITIZE),unit@$b spec@$b)
test:					## run everything that CI runs; ends with "N passed, N failed" (SUITES=, SANITIZE=)
	@tests/support/deps test
	+@tests/support/run $(foreach s,$(SUITES),$(if $(findstring @,$s),$s,$s@$(BUILD)))

# These brokers live for seconds, which an optimizing compiler does not pay back.
kafka crash-kafka: export JDK_JAVA_OPTIONS ?= -XX:TieredStopAtLevel=1
kafka:					## specs with a real Kafka broker, started for them on the loopback: tests/kafka (FILTER=)
	@tests/support/deps kafka
	+@python3 tests/support/broker/broker.py with 1 tests/support/run kafka@$(BUILD)
crash-kafka:				## kill -9 a job between two topics, and brokers under it, N=100 in a row: each row is there once
	@tests/support/deps kafka
	+@$(MAKE) --no-print-directory -s -j$$(nproc) all
	@luajit tests/crash/kafka.lua $B $(or $(N),100)

# ---- suites: each builds what it needs; FILTER=text picks the files whose path contains text ----

unit:					## C tests of each folder: tests/unit
	+@tests/support/run unit@$(BUILD)
spec:					## Lua specs: tests/spec
	+@tests/support/run spec@$(BUILD)
e2e:					## real processes: tests/e2e (FILTER=records SEEDS=n: random records)
	+@tests/support/run e2e@$(BUILD)
crash: $B/weir $(MODULES)			## kill -9 a job at random times, N=200 in a row: its output is exact, and the steps met are counted
	@luajit tests/crash/run.lua $B $(or $(N),200)
rocksdb:				## specs of state once more, with next to nothing of it in memory (BIG=1: 4 GB of state in 1 GB)
	+@$(if $(BIG),TIMEOUT=0) tests/support/run rocksdb@$(BUILD)
sim:					## seeded simulation: tests/sim (SEEDS=1000, SEED=n replays one)
	+@TIMEOUT=0 tests/support/run sim@$(BUILD)
fuzz:					## fuzz every decoder: tests/fuzz (TIME=5 seconds each)
	+@TIMEOUT=0 tests/support/run fuzz
mutants:				## show that a simulation catches each planted bug: tests/sim/mutants (MUTANT=text)
	+@TIMEOUT=0 tests/support/run mutants@$(BUILD)
tidy:					## check layers and forbidden arrows: tests/tidy
	@luajit tests/tidy/tidy.lua
rows:					## which test shows which row of the semantics, and which rows have none
	@tests/support/rows
lint:					## clang-format, luacheck, self-contained headers, docs up to date
	@CC=$(CC) tests/support/lint
format:					## format all C files
	@find runtime tests -name '*.[ch]' -o -name '*.cc' | xargs clang-format -i
bench: bench-build			## measure against hand-written C: table, JSON lines and plot in build/bench
	@luajit tests/bench/run.lua $B $(FIGURES)
bench-nexmark: bench-build		## measure the Nexmark queries beside plain C (QUERIES="0 5" EVENTS=4e6 ROUNDS=3 FROM=generator)
	@luajit tests/bench/nexmark.lua $B $(QUERIES)
bench-kafka:				## measure jobs between topics beside plain C, with a real broker (ROUNDS=3 SCALE=1 FIGURES="count copy")
	@tests/support/deps kafka
	+@$(MAKE) --no-print-directory -s bench-build $(MODULES)
	@python3 tests/support/broker/broker.py with 1 luajit tests/bench/kafka.lua $B $(FIGURES)
docs:					## write docs/api.md from the annotations in lua/ and stdlib/
	@luajit packaging/docs.lua docs/api.md lua stdlib

install: $B/weir $(MODULES)		## install program, modules, man page, completions, unit (PREFIX=/usr/local DESTDIR=)
	install -D -m 755 $B/weir $(DESTDIR)$(PREFIX)/bin/weir
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/lib/weir $(MODULES)
	install -d $(DESTDIR)$(PREFIX)/share/man/man1
	$B/weir help man >$(DESTDIR)$(PREFIX)/share/man/man1/weir.1
	install -D -m 644 packaging/weir.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/weir
	install -D -m 644 packaging/_weir $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_weir
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system
	sed 's|/usr/local/bin|$(PREFIX)/bin|' packaging/weir@.service >$(DESTDIR)$(PREFIX)/lib/systemd/system/weir@.service

clean:					## remove what was built
	rm -rf build build-*

help:					## this list
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-13s %s\n", $$1, $$2}' Makefile
	@echo "  BUILD=release|debug|asan|tsan  each in a folder of its own; CC=gcc|clang; MARCH=-march=native"

# ---- how things are made ----

# Rewritten only when its text changes, so that other flags or another list of files rebuild. What one target
# has besides is private to it: its prerequisites, the stamps among them, would inherit it.
define stamp
@mkdir -p $(@D)
@echo '$(1)' | cmp -s - $@ || echo '$(1)' >$@
endef
$B/stamp/flags: FORCE
	$(call stamp,$(CC) $(CXX) $(CFLAGS) $(CXXFLAGS))
$B/stamp/link: FORCE
	$(call stamp,$(CXX) $(LDFLAGS) $(LDLIBS) $(OBJ) $(foreach p,$(PARTS),$(OBJ.$p)))
$B/stamp/lua: FORCE
	$(call stamp,$(LUA_SRC))

$B/obj/%.o: %.c $B/stamp/flags
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -MMD -MP -c $< -o $@
$B/obj/%.o: %.cc $B/stamp/flags
	@mkdir -p $(@D)
	$(CXX) $(CXXFLAGS) -MMD -MP -c $< -o $@

# lua/ and stdlib/ travel inside the binary as bytecode; the border's declarations as text, those that only
# some Lua states need as modules.
CDEF = $(CC) -E -P -DWR_CDEF -D_STDINT_H=1 -Iruntime
$B/gen/embed.c: $(LUA_SRC) runtime/script/embed.lua $(wildcard runtime/*/*.h) $B/stamp/lua
	@mkdir -p $(@D)
	$(CDEF) runtime/script/api.h > $B/gen/api.cdef
	$(CDEF) runtime/script/api_state.h > $B/gen/state.cdef
	$(CDEF) runtime/script/api_async.h > $B/gen/async.cdef
	$(CDEF) runtime/record/words.h > $B/gen/words.cdef
	$(CDEF) runtime/harness/harness.h > $B/gen/harness.cdef
	$(CDEF) runtime/savepoint/tools.h > $B/gen/savepoint.cdef
	$(CDEF) runtime/module/kafka.h > $B/gen/kafka.cdef
	$(CDEF) runtime/module/codec.h > $B/gen/codec.cdef
	luajit runtime/script/embed.lua $@ $B/gen/api.cdef $(LUA_SRC) $(addprefix $B/gen/,state.cdef async.cdef words.cdef harness.cdef savepoint.cdef kafka.cdef codec.cdef)
$B/obj/embed.o: $B/gen/embed.c
	@mkdir -p $(@D)
	$(CC) -std=c11 -Iruntime -c $< -o $@

# The pages of its machine code are ours (heap/mcode.h).
$(LUAJIT_A): $(LUAJIT_SYSTEM)
	@mkdir -p $(@D)
	objcopy $(foreach f,mmap mmap64 mprotect,--redefine-sym $f=wr_mcode_$f) $< $@

$B/weir: $B/obj/runtime/main.o $(OBJ) $(LUAJIT_A) $B/stamp/link
	$(CXX) $(LDFLAGS) -o $@ $(filter %.o,$^) $(LDLIBS)

# Parts that are loaded when they are needed (module/module.h): they use the program's functions, and bring the
# libraries that they are named after here.
LIBS.http    = $(shell pkg-config --libs libcurl 2>/dev/null)
LIBS.rocksdb = -lrocksdb
$B/obj/runtime/vendor/%.o: private CFLAGS += -fPIC
$B/obj/runtime/vendor/%.o: private CXXFLAGS += -fPIC
$B/weir-%.so: $B/obj/runtime/vendor/%.o $B/stamp/link
	$(CXX) $(OPT) -shared -o $@ $< $(LIBS.$*)
LIBS.kafka = $(shell pkg-config --libs rdkafka 2>/dev/null)
LIBS.msgpack = $(shell pkg-config --libs msgpack 2>/dev/null)
define part
OBJ.$(1) := $$(patsubst %.c,$B/obj/%.o,$$(wildcard runtime/$(1)/*.c))
$B/obj/runtime/$(1)/%.o: private CFLAGS += -fPIC
$B/weir-$(1).so: $$(OBJ.$(1)) $B/stamp/link
	$$(CXX) $$(OPT) -shared -o $$@ $$(OBJ.$(1)) $$(LIBS.$(1))
$$(filter $B/unit/$(1)/% $B/fuzz/$(1)_%,$$(UNIT) $$(FUZZ)): $$(OBJ.$(1))
$$(filter $B/unit/$(1)/% $B/fuzz/$(1)_%,$$(UNIT) $$(FUZZ)): private LDLIBS += $$(LIBS.$(1))
endef
$(foreach p,$(PARTS),$(eval $(call part,$p)))

# Test programs are linked with everything but main, so that FFI finds every exported symbol.
define test_program
$B/$(1)/%: $B/obj/tests/$(1)/%.o $(OBJ) $(LUAJIT_A) $B/stamp/link
	@mkdir -p $$(@D)
	$$(CXX) $$(LDFLAGS) $(2) -o $$@ $$(filter %.o,$$^) $(3) $$(LDLIBS)
endef
$B/obj/tests/%.o: private CFLAGS += -Itests
$(eval $(call test_program,unit,,-lcmocka))
# State is tested over both backends.
ON_ROCKSDB = $(addprefix $B/unit/,state/store_test state/frozen_test tiered/tiered_test)
$(ON_ROCKSDB): $B/obj/runtime/vendor/rocksdb.o
$(ON_ROCKSDB): private LDLIBS += $(LIBS.rocksdb)
# Avro is held against its own library.
$B/unit/avro/library_test: private LDLIBS += -lavro
# Sources, sinks, formats and watermarks are tested alone: what a task gives its stages comes from the test, which is linked first.
$B/unit/commit/% $B/unit/connect/% $B/unit/time/% $B/unit/nexmark/% $B/unit/format/% $B/unit/avro/% $B/unit/msgpack/% $B/unit/kafka/rows_test $B/fuzz/csv_fuzz $B/fuzz/json_fuzz $B/fuzz/avro_fuzz $B/fuzz/msgpack_fuzz $B/fuzz/decoder_fuzz $B/fuzz/kafka_rows_fuzz: private LDFLAGS += -Wl,-z,muldefs
$(eval $(call test_program,sim,,))
# These simulations put themselves between the program and the system (tests/sim/machine/machine.h).
MACHINE = $(patsubst %.c,$B/obj/%.o,$(wildcard tests/sim/machine/*.c))
WRAPPED = pthread_create pthread_join pthread_setname_np pthread_mutex_lock pthread_mutex_unlock pthread_cond_wait \
	pthread_cond_signal pthread_cond_broadcast pthread_setschedparam setpriority wr_loop_new wr_loop_free wr_loop_wake \
	wr_loop_wait wr_log_write open openat close read pread write dprintf lseek fsync ftruncate fstat stat mkdir mkdirat rmdir unlink unlinkat \
	rename renameat renameat2 linkat faccessat access flock mmap munmap opendir fdopendir readdir closedir dirfd getrandom
$B/sim/crash_sim $B/sim/once_sim: $(MACHINE)
$B/sim/crash_sim $B/sim/once_sim: private LDFLAGS += $(addprefix -Wl$(comma)--wrap=,$(WRAPPED))
$(eval $(call test_program,fuzz,-fsanitize=fuzzer,))
.SECONDARY:

# The references of the benchmark stand alone: C as fast as it can be made, on this machine.
$B/bench/%: tests/bench/%.c $(wildcard tests/bench/*.h) $(wildcard runtime/nexmark/*.h) runtime/nexmark/pool.c $B/stamp/flags
	@mkdir -p $(@D)
	$(CC) -std=c11 -D_GNU_SOURCE $(WARN) -O3 -march=native -g -Iruntime -Itests -o $@ $< $(if $(findstring rocksdb,$@),$(LIBS.rocksdb)) $(if $(findstring kafka,$@),$(LIBS.kafka)) -lm -lpthread $(shell pkg-config --cflags --libs libxxhash 2>/dev/null)

$B/bench/%: tests/bench/%.cc $(wildcard tests/bench/*.h) $B/stamp/flags
	@mkdir -p $(@D)
	$(CXX) -std=c++17 -D_GNU_SOURCE $(WARN) -O3 -march=native -g -o $@ $< $(shell pkg-config --cflags --libs simdjson rdkafka 2>/dev/null)

# The benchmark of state has both sides in one program.
$B/bench/state_ops: tests/bench/state_ops.c $(wildcard tests/bench/*.h) $(OBJ) $(LUAJIT_A) $B/stamp/link
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -march=native -c $< -o $@.o
	$(CXX) $(LDFLAGS) -o $@ $@.o $(OBJ) $(LDLIBS)

unit-build: $(UNIT)
sim-build: $(SIM)
fuzz-build: $(FUZZ)
bench-build: $(REF) $B/weir
spec-build e2e-build rocksdb-build crash-build kafka-build: $B/weir $(MODULES)

-include $(shell find $B -name '*.d' 2>/dev/null)
