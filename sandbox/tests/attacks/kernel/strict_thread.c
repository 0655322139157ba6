// attack: a second thread, under a policy for programs of one thread
// policy: strict
// cflags: -pthread
// stopped-by: seccomp = violation clone3
#include "attack.h"

#include <pthread.h>

static void *nothing(void *unused) { return unused; }

int main(void) {
  pthread_t thread;
  return verdict(pthread_create(&thread, NULL, nothing, NULL) == 0);
}
