// attack: attaches a System V shared memory segment of the host
// args: {shm_id}
// stopped-by: seccomp = denied
// stopped-by: sandbox = denied
// control: native
#include "attack.h"

#include <sys/shm.h>

int main(int argc, char **argv) { return verdict(shmat(atoi(argv[argc - 1]), NULL, 0) != (void *)-1); }
