// attack: more threads than it may have
// run: --processes 16
// cflags: -pthread
// stopped-by: pids_limit = denied
#include "attack.h"

#include <pthread.h>

static void *wait_forever(void *unused) {
  pause();
  return unused;
}

int main(void) {
  pthread_attr_t small;
  pthread_attr_init(&small);
  pthread_attr_setstacksize(&small, 65536);
  for (int i = 0; i < 64; i++) {
    pthread_t thread;
    if (pthread_create(&thread, &small, wait_forever, NULL) != 0) {
      return DENIED;
    }
  }
  return SUCCEEDED;
}
