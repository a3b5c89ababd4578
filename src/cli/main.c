#include <stdio.h>

int main(void)
{
    (void)puts("tributary");
    return 0;
}
