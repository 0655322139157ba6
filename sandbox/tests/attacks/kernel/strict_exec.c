// attack: executes another program, under a policy for one
// policy: strict
// stopped-by: seccomp = violation execve
#include "attack.h"

int main(int argc, char **argv) {
  if (argc == 2) {
    return SUCCEEDED;
  }
  char *again[] = {argv[0], "again", NULL}, *none[] = {NULL};
  execve(argv[0], again, none);
  return DENIED;
}
