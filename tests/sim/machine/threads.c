/* SPDX-License-Identifier: Apache-2.0 */
/* threads: coroutines in the place of threads, with their locks, conditions, event loops and the clock. */
#include <errno.h>
#include <link.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include "base/loop.h"
#include "base/log.h"
#include "base/rand.h"
#include "sim/machine/machine.h"

enum { THREADS_MAX = 128, STACK = 256 << 10, GUARD = 4096 };
enum { POINTS_MAX = 10000000, LOOK_NS = 12000, STALL_NS = 40000000 };
#define START_NS UINT64_C(1000000000)
#define START_MS INT64_C(1700000000000)

enum state { FREE, READY, ASLEEP, ENDED };
struct thread {
	enum state state;
	ucontext_t context;
	uint8_t *stack;
	void *(*run)(void *arg);
	void *arg;
	const void *waits_for; /* lock, condition, loop or thread */
	uint64_t until_ns;     /* asleep at most */
	uint64_t held_ns;      /* stalled */
	uint8_t *locals;       /* thread-local variables while another thread runs */
	int err;
};

struct wr_loop { /* in the place of base/loop.c's */
	bool woken;
};

uint64_t *machine_counts;
void (*machine_on_failure)(const char *text);

static struct {
	struct wr_rand rand;
	struct wr_clock clock;
	struct machine_roughness rough;
	uint64_t points, calls, names, renames, cuts, commits;
	bool crashed;
	void (*on_crash)(void *arg);
	void *arg;
	struct thread threads[THREADS_MAX]; /* 0: the one that the program began with */
	uint32_t count;			    /* that were ever used */
	uint32_t current;
	uint8_t *locals, *locals_new; /* of the thread that runs; as a new thread finds them */
	size_t locals_len;
} m;

uint32_t machine_below(uint32_t n)
{
	return wr_rand_below(&m.rand, n);
}

void machine_failed(const char *fmt, ...)
{
	char text[2048];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	machine_on_failure(text);
	abort();
}

/* ---- giving way ---- */

static int find_locals(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)size, (void)arg;
	for (int i = 0; i < info->dlpi_phnum; i++)
		if (info->dlpi_phdr[i].p_type == PT_TLS) {
			m.locals = info->dlpi_tls_data;
			m.locals_len = info->dlpi_phdr[i].p_memsz;
		}
	return 1; /* the program comes first, and is the only one asked about */
}

static void go_to(uint32_t to)
{
	struct thread *from = &m.threads[m.current], *t = &m.threads[to];

	if (from == t)
		return;
	from->err = errno;
	memcpy(from->locals, m.locals, m.locals_len);
	memcpy(m.locals, t->locals, m.locals_len);
	m.current = to;
	swapcontext(&from->context, &t->context);
	errno = m.threads[m.current].err;
}

/* Nobody can ever go on. */
static void stuck(void)
{
	machine_failed("deadlock: all threads wait");
}

/* One of those who can go on; where none can, time passes. */
static uint32_t next_thread(void)
{
	for (;;) {
		uint32_t ready[THREADS_MAX], n = 0;
		uint64_t next = UINT64_MAX;

		for (uint32_t i = 0; i < m.count; i++) {
			struct thread *t = &m.threads[i];
			uint64_t at = t->state == ASLEEP ? t->until_ns : t->held_ns;

			if (t->state != READY && t->state != ASLEEP)
				continue;
			if (at <= m.clock.manual_ns) {
				t->state = READY;
				ready[n++] = i;
			} else if (at < next) {
				next = at;
			}
		}
		if (n)
			return ready[machine_below(n)];
		if (next == UINT64_MAX)
			stuck();
		m.clock.manual_ns = next;
	}
}

static void give_way(void)
{
	struct thread *t = &m.threads[m.current];

	if (!m.crashed && machine_one_in(m.rough.stall)) {
		t->held_ns = m.clock.manual_ns + machine_below(STALL_NS);
		machine_counts[STALLS]++;
	}
	go_to(next_thread());
}

static void crash(void)
{
	m.crashed = true;
	wr_debug("machine", "the %s", m.rough.power ? "power fails" : "process is killed");
	machine_counts[m.rough.power ? POWER_LOSSES : KILLS]++;
	files_crash(m.rough.power);
	for (uint32_t i = 0; i < m.count; i++)
		m.threads[i].held_ns = 0;
	m.on_crash(m.arg);
}

void machine_point(void)
{
	if (++m.points == m.rough.crash_at && !m.crashed)
		crash();
	if (m.points == POINTS_MAX)
		machine_failed("the process does not come to an end");
	if (machine_one_in(m.rough.give_way))
		give_way();
}

void machine_call(void)
{
	if (++m.calls == m.rough.crash_at_call && !m.crashed)
		crash();
	machine_point();
}

void machine_named(bool renamed)
{
	m.renames += renamed;
	if ((++m.names == m.rough.crash_at_name || (renamed && m.renames == m.rough.crash_at_rename)) &&
	    !m.crashed)
		crash();
}

void machine_cut(void)
{
	if (++m.cuts == m.rough.crash_at_cut && !m.crashed)
		crash();
}

void machine_committed(void)
{
	if (++m.commits == m.rough.crash_at_commit && !m.crashed)
		crash();
}

bool machine_fails(void)
{
	if (m.crashed || !machine_one_in(m.rough.io))
		return false;
	machine_counts[CALLS_FAILED]++;
	return true;
}

const struct machine_roughness *machine_rough(void)
{
	return &m.rough;
}

bool machine_has_crashed(void)
{
	return m.crashed;
}

/* Until `what` is there, or the time has come. */
static void sleep_on(const void *what, uint64_t until_ns)
{
	struct thread *t = &m.threads[m.current];

	t->state = ASLEEP;
	t->waits_for = what;
	t->until_ns = until_ns;
	go_to(next_thread());
}

void machine_sleep(uint64_t ns)
{
	machine_point();
	sleep_on(&m.threads[m.current], m.clock.manual_ns + ns);
}

static bool wake_one(const void *what, bool all)
{
	uint32_t n = 0, first = machine_below(m.count);

	for (uint32_t i = 0; i < m.count && (all || !n); i++) {
		struct thread *t = &m.threads[(first + i) % m.count];

		if (t->state != ASLEEP || t->waits_for != what)
			continue;
		t->state = READY;
		n++;
	}
	return n > 0;
}

/* ---- the clock ---- */

static uint64_t mono_ns(struct wr_clock *c)
{
	c->manual_ns += machine_below(LOOK_NS);
	machine_point();
	return c->manual_ns;
}

static int64_t wall_ms(struct wr_clock *c)
{
	return START_MS + (int64_t)(c->manual_ns / 1000000);
}

struct wr_clock *machine_clock(void)
{
	return &m.clock;
}

/* ---- threads ---- */

static void main_of_thread(void)
{
	struct thread *t = &m.threads[m.current];

	errno = 0;
	t->run(t->arg);
	t->state = ENDED;
	wake_one(t, true);
	go_to(next_thread());
}

static uint8_t *stack_new(void)
{
	uint8_t *at =
	    mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at == MAP_FAILED || mprotect(at, GUARD, PROT_NONE) != 0)
		machine_failed("no room for a stack");
	return at;
}

static struct thread *thread_new(void)
{
	uint32_t i = 0;

	while (i < m.count && m.threads[i].state != FREE)
		i++;
	if (i == THREADS_MAX)
		machine_failed("more than %d threads", THREADS_MAX);
	if (i == m.count)
		m.count++;
	if (!m.threads[i].locals)
		m.threads[i].locals = malloc(m.locals_len);
	memcpy(m.threads[i].locals, m.locals_new, m.locals_len);
	m.threads[i].held_ns = 0;
	m.threads[i].state = READY;
	return &m.threads[i];
}

int __wrap_pthread_create(pthread_t *id, const pthread_attr_t *attr, void *(*run)(void *), void *arg);
int __wrap_pthread_join(pthread_t id, void **result);
int __wrap_pthread_setname_np(pthread_t id, const char *name);
int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex);
int __wrap_pthread_cond_wait(pthread_cond_t *c, pthread_mutex_t *mutex);
int __wrap_pthread_cond_signal(pthread_cond_t *c);
int __wrap_pthread_cond_broadcast(pthread_cond_t *c);
int __wrap_setpriority(int which, unsigned who, int priority);
int __wrap_pthread_setschedparam(pthread_t id, int policy, const struct sched_param *param);
int __real_pthread_mutex_unlock(pthread_mutex_t *mutex);

int __wrap_pthread_create(pthread_t *id, const pthread_attr_t *attr, void *(*run)(void *), void *arg)
{
	struct thread *t = thread_new();

	(void)attr;
	t->run = run;
	t->arg = arg;
	if (!t->stack)
		t->stack = stack_new();
	getcontext(&t->context);
	t->context.uc_stack.ss_sp = t->stack;
	t->context.uc_stack.ss_size = STACK;
	t->context.uc_link = NULL;
	makecontext(&t->context, main_of_thread, 0);
	*id = (pthread_t)(t - m.threads);
	machine_point();
	return 0;
}

int __wrap_pthread_join(pthread_t id, void **result)
{
	struct thread *t = &m.threads[id];

	(void)result;
	while (t->state != ENDED)
		sleep_on(t, UINT64_MAX);
	t->state = FREE;
	return 0;
}

int __wrap_pthread_setname_np(pthread_t id, const char *name)
{
	(void)id, (void)name;
	return 0;
}

int __wrap_setpriority(int which, unsigned who, int priority)
{
	(void)which, (void)who, (void)priority;
	return 0;
}

int __wrap_pthread_setschedparam(pthread_t id, int policy, const struct sched_param *param)
{
	(void)id, (void)policy, (void)param;
	return 0;
}

/* ---- locks and conditions ---- */

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex)
{
	machine_point();
	while (pthread_mutex_trylock(mutex) != 0)
		sleep_on(mutex, UINT64_MAX);
	return 0;
}

int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex)
{
	int rc = __real_pthread_mutex_unlock(mutex);

	wake_one(mutex, true);
	return rc;
}

int __wrap_pthread_cond_wait(pthread_cond_t *c, pthread_mutex_t *mutex)
{
	__wrap_pthread_mutex_unlock(mutex);
	sleep_on(c, UINT64_MAX);
	return __wrap_pthread_mutex_lock(mutex);
}

int __wrap_pthread_cond_signal(pthread_cond_t *c)
{
	wake_one(c, false);
	return 0;
}

int __wrap_pthread_cond_broadcast(pthread_cond_t *c)
{
	wake_one(c, true);
	return 0;
}

/* ---- event loops: nothing is ever watched in one ---- */

struct wr_loop *__wrap_wr_loop_new(struct wr_clock *clock);
void __wrap_wr_loop_free(struct wr_loop *l);
void __wrap_wr_loop_wake(struct wr_loop *l);
void __wrap_wr_loop_wait(struct wr_loop *l, uint64_t deadline_ns);

struct wr_loop *__wrap_wr_loop_new(struct wr_clock *clock)
{
	(void)clock;
	return calloc(1, sizeof(struct wr_loop));
}

void __wrap_wr_loop_free(struct wr_loop *l)
{
	free(l);
}

void __wrap_wr_loop_wake(struct wr_loop *l)
{
	l->woken = true;
	wake_one(l, true);
}

void __wrap_wr_loop_wait(struct wr_loop *l, uint64_t deadline_ns)
{
	machine_point();
	if (deadline_ns <= m.clock.manual_ns)
		return;
	if (!l->woken)
		sleep_on(l, deadline_ns);
	l->woken = false;
}

/* ---- life ---- */

void machine_init(uint64_t seed)
{
	if (!m.locals) {
		dl_iterate_phdr(find_locals, NULL);
		m.locals_new = malloc(m.locals_len);
		memcpy(m.locals_new, m.locals, m.locals_len);
		thread_new();
	}
	m.rand.s = seed;
	m.clock = (struct wr_clock){mono_ns, wall_ms, START_NS + machine_below(1000000000), 0};
	m.rough = (struct machine_roughness){0};
	m.crashed = false;
	files_init();
}

void machine_begin(const struct machine_roughness *r, void (*crashed)(void *arg), void *arg)
{
	m.rough = *r;
	m.points = m.calls = m.names = m.renames = m.cuts = m.commits = 0;
	m.crashed = false;
	m.on_crash = crashed;
	m.arg = arg;
}

const char *machine_end(void)
{
	const char *left = files_end(m.crashed);

	for (uint32_t i = 1; i < m.count; i++)
		if (m.threads[i].state != FREE)
			left = "a thread";
	m.rough = (struct machine_roughness){0};
	m.crashed = false;
	return left;
}

void machine_power_off(void)
{
	machine_counts[POWER_LOSSES]++;
	files_crash(true);
	files_end(true);
}
