// attack: makes the host write out everybody's data, again and again
// stopped-by: seccomp = denied
#include "attack.h"

int main(void) {
  int root = open("/usr", O_RDONLY | O_DIRECTORY);
  return verdict(syncfs(root) == 0);
}
