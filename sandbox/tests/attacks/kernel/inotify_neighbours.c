// attack: watches the host's programs to see what others execute
// stopped-by: seccomp = denied
#include "attack.h"

#include <sys/inotify.h>

int main(void) {
  int watcher = inotify_init1(IN_NONBLOCK);
  return verdict(inotify_add_watch(watcher, "/usr/bin/env", IN_OPEN) >= 0);
}
