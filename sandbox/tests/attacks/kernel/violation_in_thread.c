// attack: makes the forbidden call in a thread while others go on
// cflags: -pthread
// stopped-by: seccomp = violation mount
#include "attack.h"

#include <pthread.h>

static void *forbidden(void *unused) {
  syscall(SYS_mount, 0, 0, 0, 0, 0);
  return unused;
}

int main(void) {
  pthread_t thread;
  pthread_create(&thread, NULL, forbidden, NULL);
  sleep_ms(1000);
  return SUCCEEDED;
}
