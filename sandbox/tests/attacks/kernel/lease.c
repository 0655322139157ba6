// attack: a lease on a file of its own; breaking leases has held up others before
// stopped-by: seccomp = denied
#include "attack.h"

int main(void) {
  int file = open("file", O_RDONLY | O_CREAT, 0600);
  return verdict(fcntl(file, F_SETLEASE, F_RDLCK) == 0);
}
