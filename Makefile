# Weir: build, test, measure. `make help` lists the targets.
BUILD  ?= release
B      := $(if $(filter release,$(BUILD)),build,build-$(BUILD))
CC     ?= gcc
CXX    ?= g++

PKGS   := luajit libev libxxhash liblz4 libzstd zlib simdjson
PC_CFLAGS = $(shell pkg-config --cflags luajit libxxhash liblz4 libzstd zlib 2>/dev/null)
PC_LIBS   = -lev $(shell pkg-config --libs libxxhash liblz4 libzstd zlib simdjson 2>/dev/null)
# LuaJIT is linked statically, inside the reach of its own machine code (README, Decisions).
LUAJIT_A  = $(shell pkg-config --variable=libdir luajit 2>/dev/null)/libluajit-5.1.a

OPT.release := -O3 -g -fno-omit-frame-pointer
OPT.debug   := -O0 -g3 -DWR_DEBUG
OPT.asan    := -O1 -g -fno-omit-frame-pointer -fsanitize=address -DWR_DEBUG
OPT.ubsan   := -O1 -g -fno-omit-frame-pointer -fsanitize=undefined -fno-sanitize-recover=undefined -DWR_DEBUG
OPT.tsan    := -O1 -g -fno-omit-frame-pointer -fsanitize=thread -DWR_DEBUG

WARN    := -Wall -Wextra -Werror
CFLAGS  := -std=c11 -D_GNU_SOURCE $(WARN) $(OPT.$(BUILD)) -Iruntime $(PC_CFLAGS)
CXXFLAGS:= -std=c++17 $(WARN) $(OPT.$(BUILD)) -Iruntime
LDFLAGS := $(OPT.$(BUILD)) -rdynamic
LDLIBS   = $(LUAJIT_A) $(PC_LIBS) -lm -ldl -lpthread

C_SRC   := $(filter-out runtime/main.c,$(wildcard runtime/*/*.c))
CC_SRC  := $(wildcard runtime/*/*.cc)
OBJ     := $(C_SRC:%.c=$B/obj/%.o) $(CC_SRC:%.cc=$B/obj/%.o)
LUA_SRC := $(shell find lua stdlib -name '*.lua' | sort)
UNIT    := $(patsubst tests/unit/%.c,$B/unit/%,$(wildcard tests/unit/*/*_test.c))

.DEFAULT_GOAL := all
all: $B/weir

$B/obj/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -MMD -MP -c $< -o $@
$B/obj/%.o: %.cc
	@mkdir -p $(@D)
	$(CXX) $(CXXFLAGS) -MMD -MP -c $< -o $@

# lua/ and stdlib/ travel inside the binary as bytecode; the border's declarations as text.
$B/gen/embed.c: $(LUA_SRC) runtime/script/embed.lua $(wildcard runtime/*/*.h)
	@mkdir -p $(@D)
	$(CC) -E -P -DWR_CDEF -Iruntime runtime/script/api.h > $B/gen/api.cdef
	luajit runtime/script/embed.lua $@ $B/gen/api.cdef $(LUA_SRC)
$B/obj/embed.o: $B/gen/embed.c
	@mkdir -p $(@D)
	$(CC) -std=c11 -c $< -o $@

$B/weir: $B/obj/runtime/main.o $(OBJ) $B/obj/embed.o
	$(CXX) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$B/unit/%: tests/unit/%.c $(OBJ) $B/obj/embed.o
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -MMD -MP -Itests $< $(OBJ) $B/obj/embed.o -rdynamic -o $@ -lcmocka $(LDLIBS) -lstdc++

unit: $(UNIT)
	@set -e; for t in $(UNIT); do $$t; done

clean:
	rm -rf build build-*

-include $(shell find $B -name '*.d' 2>/dev/null)
.PHONY: all unit clean
