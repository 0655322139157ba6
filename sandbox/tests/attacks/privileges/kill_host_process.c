// attack: ends a process of the host
// args: {host_pid}
// stopped-by: sandbox = denied
// control: native
#include "attack.h"

int main(int argc, char **argv) { return verdict(argc == 2 && kill(atoi(argv[1]), SIGTERM) == 0); }
