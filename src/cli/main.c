/* The only place that ends the process. */
#include "cli/cli.h"

int main(int argc, char **argv) { return trib_cli_main(argc, argv); }
