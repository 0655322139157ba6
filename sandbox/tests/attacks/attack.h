// What attacks written in C share.
#ifndef ATTACK_H
#define ATTACK_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { DENIED = 0, SUCCEEDED = 42, BROKEN = 3 };

static inline int verdict(int succeeded) { return succeeded ? SUCCEEDED : DENIED; }

static inline void sleep_ms(long ms) {
  struct timespec t = {ms / 1000, ms % 1000 * 1000000};
  while (nanosleep(&t, &t) == -1 && errno == EINTR) {
  }
}

static inline double now(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

// Burns this much CPU time of the clock given.
static inline void burn(clockid_t clock, double seconds) {
  double end = now(clock) + seconds;
  while (now(clock) < end) {
    for (volatile int i = 0; i < 100000; i++) {
    }
  }
}

// Allocates and touches.
static inline char *hog(size_t bytes) {
  char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    exit(DENIED);
  }
  for (size_t i = 0; i < bytes; i += 4096) {
    memory[i] = 1;
  }
  return memory;
}
#endif
