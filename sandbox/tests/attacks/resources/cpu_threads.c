// attack: CPU time in four threads
// cflags: -pthread
// run: --cpu-time 500ms --wall-time 20s --cpus 2
// stopped-by: cpu_time_limit = cpu_time_limit
#include "attack.h"

#include <pthread.h>

static void *work(void *unused) {
  burn(CLOCK_THREAD_CPUTIME_ID, 0.4);
  return unused;
}

int main(void) {
  pthread_t threads[4];
  for (int i = 0; i < 4; i++) {
    pthread_create(&threads[i], NULL, work, NULL);
  }
  for (int i = 0; i < 4; i++) {
    pthread_join(threads[i], NULL);
  }
  return SUCCEEDED;
}
