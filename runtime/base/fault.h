/* SPDX-License-Identifier: Apache-2.0 */
/* fault: named places where a test lets the outside world fail. The sorted list of names
 * is in fault.c; a name that is not in it asserts when it is hit.
 * Switched by WEIR_FAULT="name[:nth][=errno|=kill],…" or by wr_fault_set; kill ends the process there as kill
 * -9 does. Costs one relaxed load when nothing is set. */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { WR_FAULT_KILL = 1 << 20 };  /* in place of an errno */
extern _Atomic int wr_fault_armed; /* number of points switched on */
/* true when `name` is due now; then *err (may be NULL) holds the errno to pretend. */
bool wr_fault_hit(const char *name, int *err);
/* Lets `name` fail at its nth hit from now (1 = next; 0 = off). WR_EUSER for an unknown name. */
int wr_fault_set(const char *name, int64_t nth, int err);
/* WR_EUSER says which part of the list cannot be read; points before it are switched on. */
int wr_fault_parse(const char *spec);
/* Name i of the sorted list, NULL behind the last. */
const char *wr_fault_name(int i);

/* Another process can see at which points this one is, also behind a kill -9: a file that is mapped has one
 * of these for each, in the order of their names, and zeros behind the last. */
struct wr_fault_step {
	char name[48];
	_Atomic uint64_t passed; /* how often it was reached */
	_Atomic uint64_t at;	 /* threads that are there now */
};
/* "FILE" or "FILE:MICROSECONDS" that each thread stays at each point, so that what takes a few instructions
 * is seen, too; not at those of memory and of plain files. Once, before there are threads. WR_EUSER if it
 * cannot be read or made. */
int wr_fault_show(const char *spec);

#define WR_FAULT(name, err)                                                                                  \
	(atomic_load_explicit(&wr_fault_armed, memory_order_relaxed) && wr_fault_hit(name, err))
/* A step at which a process may be killed, and nothing can fail. */
#define WR_CRASH_STEP(name) ((void)WR_FAULT(name, NULL))
