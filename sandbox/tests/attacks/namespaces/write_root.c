// attack: creates files in the sandbox's root directory and its /etc
// stopped-by: sandbox = denied
// control: native
#include "attack.h"

int main(void) {
  int made = 0;
  for (int i = 0; i < 3; i++) {
    const char *dirs[] = {"", "/etc", "/dev"};
    char path[64];
    snprintf(path, sizeof path, "%s/brig-attack-%d", dirs[i], getpid());
    made += open(path, O_WRONLY | O_CREAT | O_EXCL, 0644) >= 0;
    unlink(path);
  }
  return verdict(made > 0);
}
