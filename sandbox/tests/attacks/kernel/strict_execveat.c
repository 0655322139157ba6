// attack: executes another program by the call that the engine itself uses
// policy: strict
// stopped-by: seccomp = violation execveat
#include "attack.h"

int main(int argc, char **argv) {
  if (argc == 2) {
    return SUCCEEDED;
  }
  char *again[] = {argv[0], "again", NULL}, *none[] = {NULL};
  syscall(SYS_execveat, open(argv[0], O_PATH), "", again, none, AT_EMPTY_PATH);
  return DENIED;
}
